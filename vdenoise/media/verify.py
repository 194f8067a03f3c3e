"""Comparing an output with its source: everything but the picture must be the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from vdenoise.media.inputs import open_input, video_of
from vdenoise.media.movie import hdr
from vdenoise.media.movie.chapters import chapters_in, chapters_of
from vdenoise.media.movie.clock import (
    CONSTANT_RATE_CONTAINERS,
    Clock,
    advanced_timecode,
    output_clock,
)
from vdenoise.media.movie.codecs import CODECS, CONTAINERS, M2TS
from vdenoise.media.movie.compare_streams import Begin, decoder_lag, differences
from vdenoise.media.movie.covers import file_in, is_cover
from vdenoise.media.movie.encoder import EncodeSettings
from vdenoise.media.movie.filling import CONTAINER as FILLED
from vdenoise.media.movie.filling import checksum, filled_kind, has_holes
from vdenoise.media.movie.index import index_of, scan, streams_beside
from vdenoise.media.movie.ledger import contents, keeps
from vdenoise.media.movie.matrix import apart
from vdenoise.media.movie.metadata import language_in
from vdenoise.media.movie.streams import made_by_muxers, plan_copies, stream_name
from vdenoise.media.movie.tag import PLACES, RecipeTag, tag_in
from vdenoise.media.probe import probe
from vdenoise.picture.frame import ClipInfo, PixelFormat
from vdenoise.settings.text import counted


@dataclass(frozen=True)
class Report:
    """What was compared, and what differs (each a clause without a full stop)."""

    checked: tuple[str, ...]
    findings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    compared: str = ""  # of a movie: "240 frames, 2 sound tracks, 14 tags"

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.findings


class _Comparison:
    def __init__(self) -> None:
        self.checked: list[str] = []
        self.findings: list[str] = []
        self.tracks: Counter[str] = Counter()  # compared packet by packet, by kind

    def same(self, what: str, source: Any, output: Any) -> None:
        self.checked.append(what)
        if source != output:
            self.findings.append(f"{what}: {source} became {output}")


def verify(
    info: ClipInfo,
    output: Path,
    *,
    settings: EncodeSettings | None = None,
    first: int = 0,
    last: int | None = None,
    copied: bool = True,
    tag: RecipeTag | None = None,
) -> Report:
    """Compare a finished output with its source.

    Args:
        info: the source, as it was read (progressive where it was deinterlaced).
        output: the file to check.
        settings: what it was to be written as; None compares what any output must keep.
        first: absolute number of its first frame in the source.
        last: absolute number of its last frame, None for the last.
        copied: whether the other streams were to be copied.
        tag: of its recipe, which it is to hold where its container has a place for one.

    Raises:
        InputError: one of the files cannot be read.
    """
    found = _Comparison()
    out = probe(output)
    last = (info.frames or 1) - 1 if last is None else last
    container = settings.container if settings is not None else _muxer(output, out)
    clock = output_clock(index_of(info), container, first, last)
    _compare_timing(found, info, output, container, clock)
    found.same("size", (info.width, info.height), (out.width, out.height))
    if settings is not None:
        _compare_format(found, settings, out)
    codec = settings.codec if settings is not None else _codec(out)
    _compare_tags(found, info, out, container, codec)
    if info.timecode is not None and keeps(container, codec, "timecode"):
        expected = advanced_timecode(info.timecode, first, info.rate)
        found.same("timecode", expected, out.timecode)
    if tag is not None and container in PLACES:
        there = tag_in(output)
        found.same("recipe tag", tag.recipe, "nothing" if there is None else there.recipe)
    if copied:
        m2ts = output.suffix.lower() in M2TS if settings is None else settings.m2ts
        _compare_streams(found, info, output, container, clock, m2ts=m2ts)
    return Report(
        tuple(found.checked), tuple(found.findings), compared=_compared(found, len(clock.pts))
    )


_TRACKS = {
    "audio": "sound track",
    "subtitle": "subtitle track",
    "video": "further picture",
    "data": "data track",
}


def _compared(found: _Comparison, frames: int) -> str:
    """What was compared, for people: tracks packet by packet, everything else as one tag each."""
    tags = len(found.checked) - sum(found.tracks.values())
    parts = [counted(frames, "frame")]
    parts += [counted(n, _TRACKS[kind]) for kind, n in sorted(found.tracks.items())]
    return ", ".join([*parts, counted(tags, "tag")])


def _codec(out: ClipInfo) -> str | None:
    """Our name of what a clip is coded with; None where we write no such clips."""
    return next((codec.name for codec in CODECS.values() if codec.source == out.codec), None)


def _muxer(path: Path, out: ClipInfo) -> str:
    """The container by its name, else by what reads it, which tells not all of them apart."""
    named = CONTAINERS.get(path.suffix.lower())
    if named is not None:
        return named
    names = out.container.split(",")
    if "mov" in names:
        return "mov"
    return "matroska" if "matroska" in names else names[0]


def _compare_timing(
    found: _Comparison, info: ClipInfo, output: Path, container: str, clock: Clock
) -> None:
    index = scan(output)
    found.same("frames", len(clock.pts), len(index))
    if len(clock.pts) != len(index):
        return
    # A muxer may move a whole file (negative timestamps in Matroska); it may not move one frame.
    tick = index.time_base
    allowed = Fraction(0) if clock.time_base % tick == 0 else tick
    offset = index.pts[0] * tick - clock.pts[0] * clock.time_base
    worst = max(
        abs((out - index.pts[0]) * tick - (pts - clock.pts[0]) * clock.time_base)
        for pts, out in zip(clock.pts, index.pts, strict=True)
    )
    found.checked += ["timestamps", "duration"]
    if worst > allowed:
        found.findings.append(f"timestamps: off by up to {float(worst) * 1000:.3f} ms")
    end = (index.end - index.pts[0]) * tick
    wanted = (clock.pts[-1] + clock.durations[-1] - clock.pts[0]) * clock.time_base
    # At a variable rate containers give the last frame's duration in decoding order; MPEG-TS and
    # NUT have no place for it.
    guessed = info.variable_rate or container in ("mpegts", "nut")
    if abs(end - wanted) > (1 / info.rate + tick if guessed else max(allowed, tick)):
        found.findings.append(f"duration: {float(wanted):.3f} s became {float(end):.3f} s")
    movable = container in ("matroska", "webm", "mpegts", "nut", *CONSTANT_RATE_CONTAINERS)
    if abs(offset) > tick and not movable:
        found.findings.append(f"timestamps: the clip starts {float(offset) * 1000:.3f} ms off")


def _compare_format(found: _Comparison, settings: EncodeSettings, out: ClipInfo) -> None:
    expected = settings.written
    # FFmpeg's H.264 decoder shows 8-bit 4:0:0 as 4:2:0 without color.
    shown_gray = expected.family == "gray" and out.codec == "h264" and not out.format.alpha
    # A decoder may give more bits than were coded (ProRes 4444 comes back with 12).
    if not shown_gray or (out.format.sub_w, out.format.sub_h) != (1, 1):
        found.same("pixel format", _layout(expected), _layout(out.format))
    found.checked.append("bit depth")
    if out.format.bits < expected.bits:
        found.findings.append(f"bit depth: {expected.bits} became {out.format.bits}")


def _layout(fmt: PixelFormat) -> str:
    """Planes and their sizes, whatever the depth."""
    return fmt.label.partition("-bit ")[2].removeprefix("float ")


def _compare_tags(
    found: _Comparison, info: ClipInfo, out: ClipInfo, container: str, codec: str | None
) -> None:
    if keeps(container, codec, "color tags"):
        if info.primaries != "unknown":
            found.same("primaries", info.primaries, out.primaries)
        if info.transfer != "unknown":
            found.same("transfer", info.transfer, out.transfer)
        if not info.matrix_guessed and info.format.family == "yuv":
            found.same("matrix", _matrix(info.matrix), _matrix(out.matrix))
        found.same("range", info.full_range, out.full_range)
    if keeps(container, codec, "rotation"):
        close = apart(info.rotation, out.rotation) <= _SAME_ANGLE  # an angle is told as a float
        found.same("rotation", info.rotation, info.rotation if close else out.rotation)
    found.same("sample aspect ratio", info.sample_aspect_ratio, out.sample_aspect_ratio)
    if container not in ("avi", "nut"):  # there only some codecs tell
        found.same("interlacing", info.interlaced, out.interlaced)
        if info.interlaced and out.interlaced:  # the second letter is the field shown first
            found.same("field order", _FIELDS[info.field_order[-1]], _FIELDS[out.field_order[-1]])
    if codec is not None and hdr.kept(container, CODECS[codec].encoder, info.hdr):
        found.same("HDR10 metadata", hdr.comparable(info.hdr), hdr.comparable(out.hdr))
    there = contents(out)
    for item in info.holds:
        if item not in ("chapters",) and codec is not None and keeps(container, codec, item):
            found.same(item, info.holds[item], there.get(item, "nothing"))


_SAME_ANGLE = 0.01  # degrees
_FIELDS = {"t": "top field first", "b": "bottom field first"}


def _matrix(name: str) -> str:
    """BT.601 has two code points with one matrix; QuickTime knows one of them."""
    return "smpte170m" if name == "bt470bg" else name


def _compare_streams(
    found: _Comparison, info: ClipInfo, output: Path, container: str, clock: Clock, *, m2ts: bool
) -> None:
    index = scan(output)
    whole = len(clock.pts) == info.frames
    with open_input(info.path) as source, open_input(output) as result:
        video = video_of(source, info.path)
        plan = plan_copies(source, video, container, m2ts=m2ts)
        kept = [s for s in source.streams if s.index in (*plan.copied, *plan.rewritten)]
        mine = video_of(result, output)
        others = [
            s for s in result.streams if s.index != mine.index and not made_by_muxers(s, result)
        ]
        found.same("streams", [s.type for s in kept], [s.type for s in others])
        if len(kept) == len(others) and keeps(container, None, "languages"):
            for a, b in zip(kept, others, strict=True):
                if a.metadata.get("language") and not (m2ts and a.type == "subtitle"):
                    found.same(
                        f"language of {stream_name(a)}",
                        language_in(a.metadata["language"], "mov"),
                        language_in(b.metadata.get("language", "und"), "mov"),
                    )
        if whole and keeps(container, None, "chapters"):
            kept_chapters = chapters_in(chapters_of(source), container)
            found.same("chapters", kept_chapters, chapters_of(result))
        if len(kept) != len(others):
            return
        beside, copies = streams_beside(info.path), streams_beside(output)
        begin = Begin(index.pts[0] * index.time_base, index.time_base)
        for a, b in zip(kept, others, strict=True):
            if a.type == "attachment" or is_cover(a):
                found.checked.append(f"contents of {stream_name(a)}")
                if file_in(a) != file_in(b):
                    found.findings.append(f"{stream_name(a)}: its contents changed")
            if a.index in beside and b.index in copies:
                found.checked.append(f"packets of {stream_name(a)}")
                found.tracks[a.type] += 1
                encoder = plan.rewritten.get(a.index)
                rewritten = encoder is not None
                filled = filled_kind(container, b) and (
                    container == FILLED or (not rewritten and has_holes(beside[a.index]))
                )
                if filled:
                    expected = checksum(info.path, a.index, clock, container, encoder)
                    if expected != copies[b.index].whole:
                        found.findings.append(f"{stream_name(a)}: its samples changed")
                if container == FILLED and filled:
                    continue
                coded = rewritten and a.type == "audio"
                found.findings += differences(
                    stream_name(a),
                    beside[a.index],
                    copies[b.index],
                    clock,
                    begin,
                    container,
                    rewritten=rewritten or filled,
                    lag=decoder_lag(info.path, a.index, clock) if coded else Fraction(0),
                )
