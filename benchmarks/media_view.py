"""What ffprobe sees in a movie, and how two such views differ.

Times are seconds behind the first frame of the picture: a container may move a whole file.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av

View = dict[str, Any]

_GAP_SECONDS = 0.002  # less between two packets is a rounding of their times
_PICTURE = (
    "codec_name", "pix_fmt", "width", "height", "sample_aspect_ratio", "field_order",
    "color_range", "color_space", "color_transfer", "color_primaries", "chroma_location",
    "avg_frame_rate",
)  # fmt: skip
_SOUND = ("codec_name", "sample_rate", "channels", "channel_layout")
_FIELDS = {"video": _PICTURE, "audio": _SOUND}
_NOTHING = ("unknown", "und", "N/A", "0:1")
# What a program says of itself, and what is compared as a field, a time or a chapter.
_OWN_WORDS = frozenset(
    ("encoder", "handler_name", "vendor_id", "major_brand", "minor_version", "compatible_brands",
     "duration", "vdenoise", "uid", "generation_uid", "company_name", "product_name",
     "product_version_num", "product_version", "application_platform", "product_uid",
     "modification_date", "toolkit_version_num", "material_package_umid", "operational_pattern_ul",
     "material_package_name", "file_package_umid", "file_package_name", "reel_umid", "software",
     "comment_vdenoise", "language", "rotate", "data_type", "filename", "mimetype", "language-eng",
     "service_name", "service_provider", "bps", "number_of_frames", "number_of_bytes", "isft",
     "wm/encodingsettings", "source_package_umid", "track_name", "alpha_mode", "timecode",
     "encoded_by"),
)  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """One field that is not the same.

    Args:
        place: ``picture``, ``audio 1`` or ``file``.
        field: ffprobe's name, or one of ours: ``first``, ``end``, ``count``, ``gaps``, ``cut``.
        before: in the source.
        after: in the output.
    """

    place: str
    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.place} {self.field}: {self.before} became {self.after}"


def view(path: Path) -> View:
    """What ffprobe, and PyAV of QuickTime's titles, say of a movie; empty where it is no movie."""
    told = _ffprobe(path)
    if not told:
        return {}
    packets: dict[int, list[dict[str, Any]]] = {}
    for packet in told.get("packets", []):
        if int(packet["size"]) and "D" not in packet.get("flags", ""):  # what is hidden
            packets.setdefault(packet["stream_index"], []).append(packet)
    streams = told["streams"]
    pictures = [s for s in streams if s.get("codec_type") == "video" and not _is_cover(s)]
    zero = _first(packets.get(pictures[0]["index"], [])) if pictures else 0.0
    seen = [_stream(stream, packets.get(stream["index"], []), zero) for stream in streams]
    titles = _titles_of_tracks(path) if told["format"]["format_name"].startswith("mov") else {}
    for stream in seen:
        stream["words"] |= titles.get(stream["index"], {})
    chapters = [
        [round(float(c[end]) - zero, 3) for end in ("start_time", "end_time")]
        + [c.get("tags", {}).get("title", "")]
        for c in told.get("chapters", [])
    ]
    return {
        "streams": sorted(seen, key=lambda s: s["type"] != "picture"),
        "chapters": chapters,
        "words": _words(told["format"]),
        "container": told["format"]["format_name"].partition(",")[0],
        "coarse": all(_whole_ms(p) for p in told.get("packets", [])),
    } | _shown_first(path, pictures)


def differences(before: View, after: View, pairs: list[tuple[int, int]]) -> Iterator[Difference]:
    """What is not the same in two views.

    Args:
        before: of the source.
        after: of the output.
        pairs: places in their lists of streams that belong together.
    """
    for one, other in pairs:
        a, b = before["streams"][one], after["streams"][other]
        place = "picture" if a["type"] == "picture" else f"{a['type']} {a['index']}"
        anew = a["type"] != "picture" and a.get("codec_name") != b.get("codec_name")
        own = ("count", "cut") if anew else ()  # of how it is coded
        for field in dict.fromkeys((*a, *b)):
            if field not in ("index", "type", *own) and a.get(field) != b.get(field):
                yield Difference(place, field, a.get(field), b.get(field))
    for field in ("chapters", "words"):
        if before[field] != after[field]:
            yield Difference("file", field, before[field], after[field])


def _stream(told: dict[str, Any], packets: list[dict[str, Any]], zero: float) -> dict[str, Any]:
    kind = told.get("codec_type", "unknown")
    if kind == "video":
        kind = "cover" if _is_cover(told) else "picture"
    found: dict[str, Any] = {"index": told["index"], "type": kind}
    for field in _FIELDS.get(told.get("codec_type", ""), ("codec_name",)):
        if told.get(field) not in (None, *_NOTHING):
            found[field] = told[field]
    if "avg_frame_rate" in found and found["avg_frame_rate"] == "0/0":  # nothing was counted
        found["avg_frame_rate"] = told["r_frame_rate"]
    found["marks"] = sorted(
        mark for mark, on in told.get("disposition", {}).items() if on and mark != "default"
    )
    language = told.get("tags", {}).get("language", "und")
    found |= {} if language in _NOTHING else {"language": language}
    found["words"] = _words(told)
    found["side data"] = sorted(
        str(s.get("rotation", s["side_data_type"])) if "rotation" in s else s["side_data_type"]
        for s in told.get("side_data_list", [])
        if s["side_data_type"] != "CPB properties"  # of an encoder
    )
    return found | (_times(packets, zero) if kind not in ("attachment", "cover") else {})


def _times(packets: list[dict[str, Any]], zero: float) -> dict[str, Any]:
    """When a stream begins and ends, and where it has holes."""
    spans = sorted(
        (float(p["pts_time"]) - zero, float(p.get("duration_time", 0)))
        for p in packets
        if "pts_time" in p
    )
    if not spans:
        return {"count": len(packets)}
    holes = [
        [round(at + lasting, 4), round(then - at - lasting, 4)]
        for (at, lasting), (then, _) in pairwise(spans)
        if lasting and then - at - lasting > _GAP_SECONDS
    ]
    cuts = [s for p in packets for s in p.get("side_data_list", []) if "skip_samples" in s]
    cut = [sum(int(s[end]) for s in cuts) for end in ("skip_samples", "discard_padding")]
    found = {"count": len(packets), "first": round(spans[0][0], 4)}
    found |= {"end": round(max(at + lasting for at, lasting in spans), 4), "gaps": holes}
    return found | ({"cut": cut} if any(cut) else {})


def _first(packets: list[dict[str, Any]]) -> float:
    return min((float(p["pts_time"]) for p in packets if "pts_time" in p), default=0.0)


def _whole_ms(packet: dict[str, Any]) -> bool:
    return round(float(packet.get("pts_time", 0)) * 1e6) % 1000 == 0


def _words(told: dict[str, Any]) -> dict[str, str]:
    tags = told.get("tags", {})
    return {k.lower(): v for k, v in tags.items() if k.lower() not in _OWN_WORDS}


def _titles_of_tracks(path: Path) -> dict[int, dict[str, str]]:
    """What stands in the ``name`` of tracks: FFmpeg writes titles there, ffprobe 5.1 reads none."""
    with av.open(str(path)) as container:
        told = {stream.index: stream.metadata.get("name") for stream in container.streams}
    return {index: {"title": title} for index, title in told.items() if title}


def _shown_first(path: Path, pictures: list[dict[str, Any]]) -> dict[str, str]:
    """The field, ``t`` or ``b``, that the first frame says is shown first; only where the code of
    the stream has two readings."""
    if not pictures or pictures[0].get("field_order") not in ("tb", "bt"):
        return {}
    line = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-read_intervals", "%+#1"]
    line += ["-show_entries", "frame=top_field_first", "-of", "json", str(path)]
    done = subprocess.run(line, capture_output=True, stdin=subprocess.DEVNULL)
    frames = json.loads(done.stdout or b"{}").get("frames", [])
    return {"shown first": "t" if frames[0]["top_field_first"] else "b"} if frames else {}


def _is_cover(stream: dict[str, Any]) -> bool:
    return bool(stream.get("disposition", {}).get("attached_pic"))


def _ffprobe(path: Path) -> dict[str, Any]:
    wanted = "packet=stream_index,pts_time,duration_time,size,flags:stream:format:chapter"
    line = ["ffprobe", "-v", "error", "-show_entries", wanted, "-show_packets", "-show_streams"]
    line += ["-show_format", "-show_chapters", "-of", "json", str(path)]
    done = subprocess.run(line, capture_output=True, stdin=subprocess.DEVNULL)
    found: dict[str, Any] = json.loads(done.stdout or b"{}") if done.returncode == 0 else {}
    return found if found.get("streams") else {}
