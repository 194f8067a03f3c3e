"""Parts of a recording as one movie.

MPEG streams and DV were cut anywhere: their parts are read as the bytes of one stream. Parts of
other containers follow each other by FFmpeg's concat demuxer. That would begin a part where the
longest stream of the one before ends; it is told when the picture does, so that no frame comes late
where sound is a little longer.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from vdenoise.errors import InputError
from vdenoise.machine.owner import temporary_prefix
from vdenoise.media.movie.demuxers import Joined, known_as_joined
from vdenoise.media.movie.packets import codec_of, read_times

_STREAMS = ("mpeg", "mpegts", "dv")  # what of a part is not whole begins or goes on in the next
_FILES = ("mov", "matroska", "avi", "mxf")
_TELL = ("mov", "avi", "mxf")  # how long their picture lasts
_SAME_RATE = Fraction(1, 2000)
_OWN_HEADERS = "h264"  # FFmpeg puts a part's own headers before its packets


@dataclass(frozen=True)
class RecordingPart:
    """What is known of one part."""

    path: Path
    kinds: tuple[str, ...]  # FFmpeg's names of its container
    facts: dict[str, str]  # what has to be the same in all parts, for people
    headers: tuple[bytes, ...]  # of decoders, where they have to be the same
    rate: Fraction
    begin: Fraction  # seconds from the beginning of its first stream to that of the picture
    lasting: Fraction  # of the picture, in seconds
    timecode: str | None
    timecode_tracks: frozenset[int]
    metadata: dict[str, str]
    chapters: tuple[dict[str, Any], ...]

    @property
    def is_stream(self) -> bool:
        """Whether it is part of a stream of bytes."""
        return self.kinds[0] in _STREAMS


def part_of(path: Path, container: InputContainer, picture: VideoStream) -> RecordingPart:
    """Look at one part.

    Args:
        path: its file.
        container: it, opened for this alone.
        picture: its picture.

    Raises:
        InputError: files of its kind are not joined.
    """
    kinds = tuple(container.format.name.split(","))
    if not {*_STREAMS, *_FILES} & set(kinds):
        raise InputError(
            f"{path} is of the kind {kinds[0]}, whose files are not joined.",
            "Join its parts first, as docs/long.md shows.",
            number=46,
        )
    base = Fraction(picture.time_base or Fraction(1, 1000))
    rate = Fraction(picture.guessed_rate or picture.average_rate or 25)
    facts = {
        "a picture of": f"{picture.width}x{picture.height} {picture.codec_context.pix_fmt}",
        "a container of the kind": kinds[0],
        "the streams": ", ".join(_described(stream) for stream in container.streams),
        "a clock of": f"{base} s",
    }
    decoders = [s for s in container.streams if s.type in ("audio", "video") and s.codec_context]
    headers = tuple(
        b"" if codec_of(s) == _OWN_HEADERS else bytes(s.codec_context.extradata or b"")
        for s in decoders
    )
    tracks = frozenset(s.index for s in container.streams if _tells_timecode(s))
    start = Fraction(picture.start_time or 0) * base
    first = Fraction(container.start_time or 0, av.time_base)
    chapters = tuple(dict(chapter) for chapter in container.chapters())
    metadata, timecode = dict(container.metadata), timecode_of(container, picture)
    lasting = Fraction(0)
    if kinds[0] not in _STREAMS:
        lasting = _lasting(container, picture, kinds, rate)
    return RecordingPart(
        path, kinds, facts, headers, rate, start - first, lasting, timecode, tracks, metadata,
        chapters,
    )  # fmt: skip


def join(parts: Sequence[RecordingPart]) -> Joined:
    """Make a movie of parts; it is there until the program ends.

    Raises:
        InputError: one is not like the first.
    """
    for part in parts[1:]:
        _see_alike(parts[0], part)
    folder = Path(tempfile.mkdtemp(prefix=temporary_prefix()))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    bytewise = parts[0].is_stream
    listed = folder / "parts"
    lines = [] if bytewise else ["ffconcat version 1.0"]
    ends = tuple(accumulate(part.lasting for part in parts))
    begins = (Fraction(0), *ends[:-1])
    starts = [round(begin - part.begin, 6) for begin, part in zip(begins, parts, strict=True)]
    starts.append(round(ends[-1] - parts[-1].begin, 6))
    for n, part in enumerate(parts):
        name = f"{n}{part.path.suffix}"  # a name of the file's own could end a line
        (folder / name).symlink_to(part.path.absolute())
        lines.append(str(folder / name) if bytewise else f"file '{name}'")
        if not bytewise:
            lines.append(f"duration {float(starts[n + 1] - starts[n]):.6f}")
    listed.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    first = parts[0]
    return known_as_joined(
        Joined(
            address=f"concatf:{listed}" if bytewise else str(listed),
            files=tuple(part.path for part in parts),
            kinds=first.kinds,
            begins=() if bytewise else begins,
            timecodes=() if bytewise else tuple(part.timecode for part in parts),
            timecode_tracks=frozenset() if bytewise else first.timecode_tracks,
            metadata={} if bytewise else first.metadata,
            chapters=() if bytewise else _chapters(parts, begins),
        )
    )


def timecode_of(container: InputContainer, stream: VideoStream) -> str | None:
    """The start timecode, wherever the container keeps it."""
    others: list[Any] = [stream, container, *(s for s in container.streams if s.type == "data")]
    for place in others:
        for key, value in place.metadata.items():
            if key.lower() == "timecode":
                return str(value)
    return None


def _tells_timecode(stream: Any) -> bool:
    return stream.type == "data" and any(key.lower() == "timecode" for key in stream.metadata)


def _described(stream: Any) -> str:
    """What of a stream has to be the same, for people."""
    words = [stream.type, codec_of(stream)]
    context = stream.codec_context
    if stream.type == "audio" and context is not None:
        words += [f"{context.sample_rate} Hz", context.layout.name, str(stream.time_base)]
    return " ".join(word for word in words if word)


def _lasting(
    container: InputContainer, picture: VideoStream, kinds: Sequence[str], rate: Fraction
) -> Fraction:
    """How long the picture is shown, in seconds: as its container tells, or by its packets."""
    base = Fraction(picture.time_base or Fraction(1, 1000))
    if set(kinds) & set(_TELL) and picture.duration:
        return Fraction(picture.duration) * base
    found = read_times(container, picture)
    times = sorted(pts for pts in found.pts if pts is not None)
    if not times:
        return Fraction(len(found.pts)) / rate
    lasting = (times[-1] - times[0] + max(found.durations[-1], 0)) * base
    counted = len(times) / rate  # a container's ticks may be too coarse for a rate
    return counted if abs(counted - lasting) <= 1 / rate else lasting


def _see_alike(first: RecordingPart, part: RecordingPart) -> None:
    """See that a part goes on where others ended.

    Raises:
        InputError: it is not like the first.
    """
    told = [(what, part.facts[what], first.facts[what]) for what in first.facts]
    if abs(part.rate - first.rate) > first.rate * _SAME_RATE:
        told.append(("frames at", f"{float(part.rate):g} a second", f"{float(first.rate):g}"))
    if part.headers != first.headers:
        told.append(("headers of", "an encoder with other settings", "its own"))
    for what, now, before in told:
        if now != before:
            raise InputError(
                f"{part.path} is no part of one clip with {first.path}: it has {what} {now}, where "
                f"that has {before}.",
                "Give the parts one form first, or denoise each by itself.",
                number=45,
            )


def _chapters(
    parts: Sequence[RecordingPart], begins: Sequence[Fraction]
) -> tuple[dict[str, Any], ...]:
    found: list[dict[str, Any]] = []
    for part, begin in zip(parts, begins, strict=True):
        for told in part.chapters:
            base = Fraction(told["time_base"] or 1)
            moved = round((begin - part.begin + parts[0].begin) / base)
            times = {"start": told["start"] + moved, "end": told["end"] + moved}
            found.append({**told, **times, "id": len(found) + 1})
    return tuple(found)
