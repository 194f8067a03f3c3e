"""The ledger's items that a clip holds, gathered before the start: from its first frames, from its
container, and from one pass over its packets."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.video.stream import VideoStream

from vdenoise.media.inputs import video_of
from vdenoise.media.movie.boxes import clean_aperture, gamma, matroska_crop, quicktime_boxes
from vdenoise.media.movie.clock import starts_anew
from vdenoise.media.movie.demuxers import first_file, joined_in, kinds_of, open_demuxer
from vdenoise.media.movie.first_frames import Peek, look_at
from vdenoise.media.movie.index import Turn, scanned
from vdenoise.media.movie.ledger import ANAGLYPH, side_boxes, told_by_frames
from vdenoise.media.movie.matrix import items, matrix_in
from vdenoise.media.movie.ordering import FrameIndex
from vdenoise.media.movie.packets import StreamPackets

_MOST_TURNS = 16  # headers that are looked at; a clip with more changes than that is known by then


def held(
    container: InputContainer, stream: VideoStream, path: Path, index: FrameIndex, peek: Peek
) -> tuple[dict[str, str], dict[str, bytes], int | None]:
    """The items, each with a few words on it; QuickTime boxes for what holds for all frames; and
    how many frames have the first one's size and format, None for all."""
    aspect = Fraction(stream.sample_aspect_ratio or peek.aspect or 1)
    found = told_by_frames(peek.side_data) | items(matrix_in(peek.side_data), aspect)
    boxes = side_boxes(peek.side_data)
    kinds, file = kinds_of(container), first_file(container)
    if "mov" in kinds:
        told = quicktime_boxes(file, _number(container, stream))
        found |= {
            item: words
            for item, words in (
                ("clean aperture", clean_aperture(told, (stream.width, stream.height))),
                ("gamma (QuickTime's gama)", gamma(told)),
            )
            if words
        }
        if "clean aperture" in found:
            head = struct.pack(">I4s", 8 + len(told[b"clap"]), b"clap")
            boxes["clean aperture"] = head + told[b"clap"]
    elif "matroska" in kinds:
        cut = matroska_crop(file, _number(container, stream))
        found |= {"cropping of Matroska": cut} if cut else {}
        views = stream.metadata.get("stereo_mode", "")
        found |= {ANAGLYPH: views} if views.startswith("anaglyph") else {}
    alike = None
    packets = scanned(path)
    if packets is not None:
        if packets.captions:
            found["closed captions (CEA-608/708)"] = ""
        change, alike = _change(path, index, packets.turns[:_MOST_TURNS])
        if change:
            found["changes in mid-clip"] = change
    if container.chapters():
        found["chapters"] = ""
    if starts_anew(container, index.rate):
        found["timecode that starts anew"] = ""
    return found | _timecodes(container, {} if packets is None else packets.others), boxes, alike


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


def _change(path: Path, index: FrameIndex, turns: tuple[Turn, ...]) -> tuple[str, int | None]:
    """What changes first, and where: ``frame 25 has the sample aspect ratio 4/3``; and the first
    frame of another size or format."""
    if not turns:
        return "", None
    first = look_at(path, None if index.counted else index.pts[0])
    numbers = index.numbers
    places = {turn: turn.packet if index.counted else numbers.get(turn.pts, -1) for turn in turns}
    words = ""
    for turn, number in sorted(places.items(), key=lambda item: item[1]):
        now = look_at(path, turn.pts, turn.packet)
        if first is None or now is None or number < 0:
            continue
        change = now.differs(first)
        if change:
            words = words or f"frame {number} has {change}"
        if now.layout_differs(first):
            return words, number
    return words, None
