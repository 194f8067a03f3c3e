"""Why a field that ffprobe sees is not the same in an output: what is to be expected, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.media_view import Difference, View

# Seconds by which a container's own ticks may move a time, and what it knows of an end.
_TICKS = {"mkv": 0.0011, "webm": 0.0011, "avi": 0.014}
_NO_END = (
    "avi",
    "ts",
    "nut",
    "webm",
    "mkv",
    "matroska",
    "mpegts",
    "mpeg",
    "flv",
    "asf",
)  # the last packet's length is not told, or not always
_EXACT = 0.0002
_OPUS = 0.0085
_SMALL = 0.0125  # seconds of a hole
_PACKET = 0.0201  # of Opus
_PRIMING, _EARLY = 2, 0.06  # packets that get a decoder going, and their seconds
_DELAYED = "told as Matroska's CodecDelay, and by the codec"
# Samples that decoders give nothing for, though nothing in the container says so.
_LAGS = {"opus": 312, "vorbis": 144, "wmav2": 4096}
_BT601 = ("bt470bg", "smpte170m")
_DEFAULTS = {
    "sample_aspect_ratio": "1:1", "field_order": "progressive", "chroma_location": "left",
    "color_range": "tv",
}  # fmt: skip
_ITEMS = {  # of a note "... cannot keep the ITEM"
    "color_space": "color tags", "color_transfer": "color tags", "color_primaries": "color tags",
    "color_range": "range of samples", "chroma_location": "chroma location", "chapters": "chapters",
}  # fmt: skip


def reason(found: Difference, before: View, target: str, notes: list[str]) -> str:
    """Name a difference that is as it is to be; empty where there is no such name.

    Args:
        found: the difference.
        before: the view of the source.
        target: the output's extension.
        notes: what was said before the start.
    """
    if found.field in _ITEMS and _named(_ITEMS[found.field], notes):
        return "named before the start"
    rule = _RULES.get(found.field)
    return rule(found, before, target, notes) if rule is not None else ""


def _named(item: str, notes: list[str]) -> bool:
    return any(f"cannot keep the {item}" in note for note in notes)


def _written_anew(found: Difference, before: View, target: str, notes: list[str]) -> str:
    if found.before is not None and found.after is None and target == "mxf":
        ffv1 = before["streams"][0].get("codec_name") == "ffv1"
        return "FFV1 in MXF is newer than ffprobe 5.1; PyAV reads it" if ffv1 else ""
    anew = any(f"{word} " in note for note in notes for word in ("is written as", "becomes"))
    if {found.before, found.after} == {"yuvj420p", "yuv420p"}:
        return "yuvj420p is the old name of yuv420p in full range"
    return "written anew, as was said" if anew and found.place == "picture" else ""


def _default(found: Difference, _before: View, target: str, _notes: list[str]) -> str:
    usual = _DEFAULTS[found.field]
    silent = found.field == "sample_aspect_ratio" and found.after is None
    if silent and target in ("mkv", "avi", "nut"):
        return "told by the codec's frames"
    if {found.before, found.after} == {usual, None}:
        return f"{usual} is what is meant where nothing is told"
    return ""


def _moment(found: Difference, before: View, target: str, _notes: list[str]) -> str:
    if target == "mxf" and found.place.startswith("audio"):
        return "silence fills sound there, from the picture's first frame to its last"
    if target in ("mov", "mp4") and found.place.startswith("subtitle") and (found.after or 0) <= 0:
        return "QuickTime fills the time before with an empty one"
    off = abs((found.after or 0.0) - (found.before or 0.0))
    if found.before is None and found.place == "picture":
        return "no times are told there: frames are counted"
    if None in (found.before, found.after):
        return ""
    coarse = max(_TICKS.get(target, _EXACT), _tick_of(before))
    if off <= coarse:
        return "rounded to ticks"
    if found.field == "first" and target == "webm" and off <= _OPUS:
        return "what Opus needs to get going"
    if found.place == "picture" and _ticks_long(before):
        return _TICKS_LONG
    if found.place.startswith("subtitle") and before["container"] == "mov" and not found.before:
        return _EMPTY_ONES
    guessed = target in _NO_END or before["container"] in _NO_END
    if found.field == "end" and guessed and off <= _last_packet(found, before):
        return "how long the last packet lasts is not told there"
    return _sound_moment(found, before, target) if found.place.startswith("audio") else ""


_EMPTY_ONES = "QuickTime's empty ones fill the time between; others need none"
_TICKS_LONG = "ffprobe 5.1 takes each packet for one tick long; newer libraries, for a frame"


def _ticks_long(before: View) -> bool:
    """Whether there is a hole behind every frame but the last."""
    picture = before["streams"][0]
    return len(picture.get("gaps", [])) == picture["count"] - 1 > 0


def _sound_moment(found: Difference, before: View, target: str) -> str:
    """Begins and ends that are others for ffprobe, while what is decoded begins and ends where it
    did (seen with PyAV, sample for sample)."""
    stream = _stream(found, before)
    early = found.before - found.after
    if found.field == "first" and _delayed(found, before, target) and 0 < early <= _EARLY:
        return _DELAYED
    codec, rate = stream.get("codec_name", ""), int(stream.get("sample_rate", 48000))
    lag = (stream.get("cut", [0])[0] or _LAGS.get(codec, 0)) / rate
    if lag and abs(found.after - found.before - lag) <= _OPUS:
        return "what a coder needs to get going is no sound"
    if found.field != "end":
        return ""
    if codec in ("wavpack", "tta"):
        return "ffprobe 5.1 does not know how long its packets are"
    off = abs(found.after - found.before)
    if target == "webm":
        return "packets of Opus are of another length" if off <= _PACKET else ""
    if codec in ("opus", "vorbis"):
        return "packets are decoded whole" if off <= _PACKET else ""
    return "packets are decoded whole" if codec == "mp3" and off <= _TICKS["mkv"] else ""


def _tick_of(before: View) -> float:
    """Times of the source that are whole milliseconds are not exact either."""
    return _TICKS["mkv"] if before["coarse"] else _EXACT


def _last_packet(found: Difference, before: View) -> float:
    stream = _stream(found, before)
    lasts = (stream["end"] - stream["first"]) / max(stream["count"], 1)
    return float(1.1 * lasts) + _TICKS["avi"]


def _stream(found: Difference, before: View) -> dict[str, Any]:
    if found.place == "picture":
        return dict(before["streams"][0])
    number = int(found.place.rpartition(" ")[2])
    return dict(next(s for s in before["streams"] if s["index"] == number))


def _holes(found: Difference, before: View, target: str, _notes: list[str]) -> str:
    if target == "mxf":
        return "silence fills them"
    longer = ("mov", "mp4", *(("mkv", "webm") if found.place == "picture" else ()))
    if target in longer and not found.after:
        return "a hole is a longer packet there"
    if found.place == "picture" and _ticks_long(before):
        return _TICKS_LONG
    if found.place.startswith("subtitle") and before["container"] == "mov" and not found.before:
        return _EMPTY_ONES
    short = found.before or []
    if target == "avi" and not found.after and all(lasts <= _SMALL for _, lasts in short):
        return "AVI has no holes; longer ones are refused"
    if found.before is None or found.after is None or len(found.before) != len(found.after):
        return ""
    off = max(
        abs(a - b)
        for one, other in zip(found.before, found.after, strict=True)
        for a, b in zip(one, other, strict=True)
    )
    if target == "webm" and off <= 2 * _PACKET:
        return "packets of Opus are of another length"
    return "rounded to ticks" if off <= 2 * max(_TICKS.get(target, 0), _tick_of(before)) else ""


def _delayed(found: Difference, before: View, target: str) -> bool:
    """Whether Matroska tells what QuickTime's edit list hides: it is decoded, and not heard."""
    codec = _stream(found, before).get("codec_name", "")
    return target == "mkv" and before["container"] == "mov" and codec in ("aac", "mp3")


def _packets(found: Difference, before: View, target: str, _notes: list[str]) -> str:
    codec = _stream(found, before).get("codec_name", "")
    if _delayed(found, before, target) and 0 < found.after - found.before <= _PRIMING:
        return _DELAYED
    return "PCM is cut into other packets" if codec.startswith("pcm_") else ""


def _cut(found: Difference, before: View, target: str, notes: list[str]) -> str:
    codec = _stream(found, before).get("codec_name")
    opus = target in ("mkv", "webm") and codec == "opus" and found.after is None
    if opus or _delayed(found, before, target):
        return _DELAYED
    told = any("cut of" in note for note in notes)
    cuts = zip(found.before or [0, 0], found.after or [0, 0], strict=True)
    small = all(abs(a - b) <= 48 for a, b in cuts)
    return "named before the start" if told else "less than a millisecond" if small else ""


def _rate(found: Difference, before: View, _target: str, _notes: list[str]) -> str:
    rates = []
    for told in (found.before, found.after):
        over, _, under = str(told or "0/1").partition("/")
        rates.append(int(over) / max(int(under), 1))
    if before["streams"][0].get("gaps") and rates[1] < rates[0]:  # times are compared themselves
        return "counted with the source's holes"
    close = abs(rates[0] - rates[1]) <= 0.01 * max(rates)
    return "counted from rounded times" if close and min(rates) > 0 else ""


def _chapters(found: Difference, _before: View, target: str, _notes: list[str]) -> str:
    if len(found.before) != len(found.after):
        return ""
    pairs = list(zip(found.before, found.after, strict=True))
    off = max((abs(a[n] - b[n]) for a, b in pairs for n in (0, 1)), default=0)
    same = all(a[2] == b[2] for a, b in pairs)
    return "rounded to ticks" if same and off <= 0.0015 else ""


def _words(found: Difference, _before: View, target: str, notes: list[str]) -> str:
    before, after = found.before or {}, found.after or {}
    gone = [k for k, word in before.items() if word not in after.values()]
    told = " ".join(n for n in notes if "cannot keep the" in n)
    if target == "ts" and "title" in gone and found.place == "file":
        gone.remove("title")  # the program's name there
    if gone and all(key in told for key in gone):
        return "named before the start"
    return "under another name" if not gone else ""


def _side_data(found: Difference, _before: View, _target: str, notes: list[str]) -> str:
    gone = set(found.before or []) - set(found.after or [])
    if gone == {"Audio Service Type"}:
        return "AC-3's own frames tell it; PCM and Opus have no such thing"
    items = {"Mastering display metadata": "HDR10", "Content light level metadata": "HDR10"}
    told = all(_named(items.get(name, "rotation"), notes) for name in gone)
    if gone:
        return "named before the start" if told else ""
    return "told by the container as well"


def _marks(found: Difference, _before: View, _target: str, notes: list[str]) -> str:
    gone = set(found.before or []) - set(found.after or [])
    told = " ".join(notes)
    return "named before the start" if all(f"mark {m!r}" in told for m in gone) and gone else ""


def _language(found: Difference, _before: View, _target: str, notes: list[str]) -> str:
    if (found.before, found.after) in (("deu", "ger"), ("fra", "fre")):
        return "QuickTime's name of the same language"
    return "named before the start" if "language of" in " ".join(notes) else ""


def _layout(found: Difference, before: View, target: str, _notes: list[str]) -> str:
    channels = _stream(found, before).get("channels")
    usual = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}.get(int(channels or 0))
    if {found.before, found.after} <= {usual, None} or found.before is None:
        return "the usual one of so many channels"
    if found.after is None:
        return "only their number is told there"
    sides = {found.before, found.after} == {"5.1(side)", "5.1"}
    return "Opus has one order of speakers" if sides and target == "webm" else ""


def _resampled(found: Difference, _before: View, _target: str, notes: list[str]) -> str:
    return "resampled, as was said" if "resampled" in " ".join(notes) else ""


def _in_frames(found: Difference, _before: View, _target: str, _notes: list[str]) -> str:
    if found.field == "color_space" and found.before in _BT601:
        if found.after in _BT601:
            return "one matrix under two names (5 and 6 of H.273)"
        return "what is taken at this size where nothing is told" if found.after is None else ""
    return "told by the source's frames" if found.before is None else ""


def _field_order(found: Difference, before: View, target: str, notes: list[str]) -> str:
    one, other = found.before or "", found.after or ""
    if "shown first" in before and other in ("tt", "bb"):
        # QuickTime's codes 9 and 14: FFmpeg's words for them and Apple's say the opposite
        said = "of two readings of the source's code, that of its frames"
        return said if other[0] == before["shown first"] else ""
    if len(one) == len(other) == 2 and one[1] == other[1]:
        return "how fields are coded; they are shown in the same order"
    if any("holds whole frames; its frames say fields" in note for note in notes):
        return "named before the start"
    if target in ("mov", "mp4", "ts") and (one, before["container"]) == ("progressive", "matroska"):
        return "Matroska's own word, which is kept there; the others have the frames'"
    if target in ("avi", "nut") and not other and one != "progressive":
        return "told by the codec's frames"
    return _default(found, before, target, notes)


def _sound_codec(found: Difference, before: View, target: str, notes: list[str]) -> str:
    if {found.before, found.after} == {"mp2", "mp3"}:
        return "MPEG-TS has one name for both"
    if found.place.startswith(("audio", "subtitle")):
        return "written anew"  # what it is written as is seen where streams are paired
    return _written_anew(found, before, target, notes)


_RULES: dict[str, Callable[[Difference, View, str, list[str]], str]] = {
    "codec_name": _sound_codec, "pix_fmt": _written_anew, "avg_frame_rate": _rate,
    "sample_aspect_ratio": _default, "field_order": _field_order, "chroma_location": _default,
    "color_range": _default, "first": _moment, "end": _moment, "gaps": _holes,
    "count": _packets, "cut": _cut, "chapters": _chapters, "words": _words,
    "side data": _side_data, "marks": _marks, "language": _language, "sample_rate": _resampled,
    "color_space": _in_frames, "color_transfer": _in_frames, "color_primaries": _in_frames,
    "channel_layout": _layout,
}  # fmt: skip
