"""The ledger's items that a clip holds, gathered before the start: from its first frames, from its
container, and from one pass over its packets."""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.video.stream import VideoStream

from vdenoise.media.inputs import video_of
from vdenoise.media.movie import heif_items, matroska_items, quicktime_items
from vdenoise.media.movie.boxes import clean_aperture, gamma, matroska_crop, quicktime_boxes
from vdenoise.media.movie.clock import starts_anew
from vdenoise.media.movie.demuxers import first_file, joined_in, kinds_of, open_demuxer
from vdenoise.media.movie.edit_lists import begins_inside
from vdenoise.media.movie.first_frames import Peek, look_at
from vdenoise.media.movie.frame_data import side_boxes, told_by_frames
from vdenoise.media.movie.index import Turn, scanned
from vdenoise.media.movie.joined import timecode_of
from vdenoise.media.movie.ledger import ANAGLYPH, BEGINS_INSIDE
from vdenoise.media.movie.matrix import items, matrix_in
from vdenoise.media.movie.ordering import FrameIndex
from vdenoise.media.movie.packets import StreamPackets
from vdenoise.picture.frame import ClipInfo

_MOST_TURNS = 16  # headers that are looked at; a clip with more changes than that is known by then
_CHANGES = "changes in mid-clip"
_GROUPS = "timecodes of groups of frames"


@dataclass(frozen=True)
class Holdings:
    """What a clip holds beside its samples and streams; fields as in `ClipInfo`."""

    holds: dict[str, str]
    boxes: dict[str, bytes]
    alike: int | None
    changes_at: int | None


def held(
    container: InputContainer, stream: VideoStream, path: Path, index: FrameIndex, peek: Peek
) -> Holdings:
    """All that can be known of it without decoding the clip."""
    aspect = Fraction(stream.sample_aspect_ratio or peek.aspect or 1)
    found = told_by_frames(peek.side_data) | items(matrix_in(peek.side_data), aspect)
    boxes = side_boxes(peek.side_data)
    kinds, file = kinds_of(container), first_file(container)
    if "mov" in kinds:
        track, size = _number(container, stream), (stream.width, stream.height)
        told = quicktime_boxes(file, track)
        found |= {
            item: words
            for item, words in (
                ("clean aperture", clean_aperture(told, size)),
                ("gamma (QuickTime's gama)", gamma(told)),
                (BEGINS_INSIDE, begins_inside(file, track)),
                ("pictures and data beside a still", heif_items.beside_picture(file)),
            )
            if words
        }
        found |= quicktime_items.passed_over(file, track, size, aspect)
        if "clean aperture" in found:
            found.pop("track aperture", None)  # which is of that size
            head = struct.pack(">I4s", 8 + len(told[b"clap"]), b"clap")
            boxes["clean aperture"] = head + told[b"clap"]
    elif "matroska" in kinds:
        cut = matroska_crop(file, _number(container, stream))
        found |= {"cropping of Matroska": cut} if cut else {}
        found |= matroska_items.passed_over(file)
        views = stream.metadata.get("stereo_mode", "")
        found |= {ANAGLYPH: views} if views.startswith("anaglyph") else {}
    found_later = _Changes()
    packets = scanned(path)
    if packets is not None:
        found |= {item: found.get(item, "") for item in packets.told}
        found_later = _changes(path, index, packets.turns[:_MOST_TURNS])
        found = {**found_later.told, **found}
        if found_later.words:
            found[_CHANGES] = found_later.words
    if container.chapters():
        found["chapters"] = ""
    if starts_anew(container, index.rate):
        found["timecode that starts anew"] = ""
    found |= _timecodes(container, {} if packets is None else packets.others)
    if timecode_of(container, stream) is not None:
        found.pop(_GROUPS, None)
    return Holdings(found, boxes, found_later.alike, found_later.at)


def within(info: ClipInfo, first: int, last: int) -> ClipInfo:
    """A clip of which only the frames ``first`` to ``last`` are wanted: without what others hold,
    as far as single packets tell it."""
    packets = scanned(info.path) if info.sequence is None else None
    if packets is None:
        return info
    gone = {
        item
        for item, frames in packets.told.items()
        if bisect_left(frames, first) == bisect_right(frames, last)
    }
    if info.changes_at is not None and info.changes_at > last:
        gone.add(_CHANGES)
    return replace(info, holds={k: v for k, v in info.holds.items() if k not in gone})


def _number(container: InputContainer, stream: VideoStream) -> int:
    """The number of the picture's stream that its file gives it."""
    if joined_in(container) is None:
        return stream.id
    file = first_file(container)
    with open_demuxer(file) as first:
        return video_of(first, file).id


def _timecodes(container: InputContainer, beside: Mapping[int, StreamPackets]) -> dict[str, str]:
    """What tracks of timecode tell beside the first number."""
    tracks = [s for s in container.streams if s.type == "data" and "timecode" in s.metadata]
    told = list(dict.fromkeys(track.metadata["timecode"] for track in tracks))
    found = {"further timecodes": ", ".join(told[1:])} if len(told) > 1 else {}
    if any(track.index in beside and len(beside[track.index].times) > 1 for track in tracks):
        found["timecode that starts anew"] = ""
    return found


@dataclass(frozen=True)
class _Changes:
    """What later frames hold that the first one does not."""

    words: str = ""  # the first change: "frame 25 has the sample aspect ratio 4/3"
    at: int | None = None  # its frame
    alike: int | None = None  # frames before the first of another size or format
    told: Mapping[str, str] = field(default_factory=dict)  # items of the ledger


def _changes(path: Path, index: FrameIndex, turns: tuple[Turn, ...]) -> _Changes:
    if not turns:
        return _Changes()
    first = look_at(path, None if index.counted else index.pts[0])
    numbers = index.numbers
    places = {turn: turn.packet if index.counted else numbers.get(turn.pts, -1) for turn in turns}
    words, at = "", None
    told: dict[str, str] = {}
    for turn, number in sorted(places.items(), key=lambda item: item[1]):
        now = look_at(path, turn.pts, turn.packet)
        if first is None or now is None or number < 0:
            continue
        told = now.told | told
        change = now.differs(first)
        if change and at is None:
            words, at = f"frame {number} has {change}", number
        if now.layout_differs(first):
            return _Changes(words, at, number, told)
    return _Changes(words, at, None, told)
