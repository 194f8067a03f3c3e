"""The edit lists of QuickTime and MP4 (ISO/IEC 14496-12, 8.6.6): which parts of a track are played,
and when. FFmpeg plays parts one after the other; what else they tell it does not."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from vdenoise.errors import InputError
from vdenoise.media.inputs import display, local
from vdenoise.media.movie.boxes import boxes_in, header_of, tracks_of
from vdenoise.media.movie.demuxers import first_file, joined_in, kinds_of

_PLAYED = ("video", "audio", "subtitle")
_PAUSE = -1
_LEAST_MS = 1  # less is a rounding of the movie's ticks
_MOST_FRAMES = 1 << 25  # in four days there are no more: such a table is damaged


class Edit(NamedTuple):
    """One entry of an edit list."""

    seconds: Fraction  # how long it is played
    begin: int  # tick of the track at which it begins, or -1: nothing is played
    speed: Fraction


class EditList(NamedTuple):
    """What is played of a track."""

    edits: tuple[Edit, ...]
    tick: Fraction  # seconds that lengths are told in

    @property
    def seconds(self) -> Fraction:
        """When the track ends; 0 where nothing is said of it."""
        lengths = [edit.seconds for edit in self.edits]
        return sum(lengths, Fraction(0)) if all(lengths) else Fraction(0)


def edits_of(path: Path) -> dict[int, EditList]:
    """The edit lists of a file, by the ID of their track.

    Args:
        path: a QuickTime or MP4 file.
    """
    header = header_of(path)
    told = dict(boxes_in(header)).get(b"mvhd", b"")
    place = 20 if told[:1] == b"\1" else 12
    scale = int.from_bytes(told[place : place + 4], "big")
    if not scale:
        return {}
    found = {}
    for track, inside in tracks_of(header).items():
        listed = dict(boxes_in(inside.get(b"edts", b""))).get(b"elst", b"")
        found[track] = EditList(tuple(_entries(listed, scale)), Fraction(1, scale))
    return found


def begins_inside(path: Path, track: int) -> str:
    """How far inside of a frame an edit list begins, for people: ``20 ms``; empty where it begins
    with a frame. FFmpeg begins with the next one, as if that were the beginning.

    Args:
        path: a QuickTime or MP4 file.
        track: ID of the picture's track.
    """
    listed = edits_of(path).get(track)
    begin = next((edit.begin for edit in listed.edits if edit.begin != _PAUSE), 0) if listed else 0
    media = dict(boxes_in(tracks_of(header_of(path)).get(track, {}).get(b"mdia", b"")))
    head = media.get(b"mdhd", b"")
    place = 20 if head[:1] == b"\1" else 12
    scale = int.from_bytes(head[place : place + 4], "big")
    table = dict(boxes_in(dict(boxes_in(media.get(b"minf", b""))).get(b"stbl", b"")))
    shown = _shown_at(table.get(b"stts", b""), table.get(b"ctts", b""))
    before = shown[shown <= begin]
    if not scale or not before.size or before.size == shown.size:
        return ""
    inside = (begin - int(before.max())) * 1000 / scale
    return f"{inside:.3g} ms" if inside >= _LEAST_MS else ""


def _shown_at(lasting: bytes, later: bytes) -> NDArray[np.int64]:
    """When each frame is shown, in ticks of its track ("stts" and "ctts")."""
    runs = _runs(lasting)
    decoded = np.cumsum(np.repeat(runs[:, 1], runs[:, 0]))
    decoded = np.concatenate([np.zeros(1, np.int64), decoded])[:-1]
    offsets = _runs(later)
    moved = np.repeat(offsets[:, 1].astype(np.uint32).astype(np.int32), offsets[:, 0])
    moved = moved[: decoded.size]
    decoded[: moved.size] += moved
    return decoded


def _runs(box: bytes) -> NDArray[np.int64]:
    """(count, value) of a table's entries; counts as far as a clip can have them."""
    count = min(int.from_bytes(box[4:8], "big"), max(len(box) - 8, 0) // 8)
    found = np.frombuffer(box, ">u4", 2 * count, 8 if count else 0).astype(np.int64)
    runs = found.reshape(-1, 2)
    return runs if runs[:, 0].sum() <= _MOST_FRAMES else runs[:0]


def _entries(box: bytes, scale: int) -> Iterator[Edit]:
    size = 8 if box[:1] == b"\1" else 4
    for at in range(8, len(box) - 2 * size - 3, 2 * size + 4):
        lasting = int.from_bytes(box[at : at + size], "big")
        begin = int.from_bytes(box[at + size : at + 2 * size], "big", signed=True)
        speed = int.from_bytes(box[at + 2 * size : at + 2 * size + 4], "big", signed=True)
        yield Edit(Fraction(lasting, scale), begin, Fraction(speed, 1 << 16))


def played_until(container: InputContainer, track: int, told: Fraction) -> Fraction:
    """When a track ends. FFmpeg counts a pause before it twice where less than all of it is played.

    Args:
        container: an open movie.
        track: the track's ID.
        told: what FFmpeg says.
    """
    if "mov" in kinds_of(container) and joined_in(container) is None:
        found = edits_of(first_file(container)).get(track)
        if found is not None and found.seconds and abs(found.seconds - told) > found.tick:
            return found.seconds
    return told


def is_joined(stream: Any) -> bool:
    """Whether several parts of a stream are played. Where they join, sound is not as it was: FFmpeg
    begins with a whole packet there, and without the one that gets a decoder going.

    Args:
        stream: of an open movie.
    """
    container = stream.container
    if "mov" not in kinds_of(container) or joined_in(container) is not None:
        return False
    listed = edits_of(first_file(container)).get(stream.id)
    return listed is not None and sum(edit.begin != _PAUSE for edit in listed.edits) > 1


def check_edits(path: Path, container: InputContainer) -> None:
    """See that the edit lists of a movie tell nothing that would be played otherwise.

    Raises:
        InputError: they do.
    """
    if "mov" not in kinds_of(container):
        return
    names = {stream.id: stream.type for stream in container.streams if stream.type in _PLAYED}
    for file in local(path):
        for track, listed in edits_of(file).items():
            words = _not_played(listed.edits) if track in names else ""
            if words:
                what = {"video": "picture", "audio": "sound"}.get(names[track], names[track])
                raise InputError(
                    f"The edit list of {display(path)} {words} in its {what}, which this FFmpeg "
                    "does not play.",
                    "Export it as a movie without edits first, with the program that made them.",
                    number=241,
                )


def _not_played(edits: tuple[Edit, ...]) -> str:
    """What FFmpeg plays otherwise, for people: it plays everything at its own speed, and knows
    pauses only before the first part."""
    pauses = [edit.begin == _PAUSE for edit in edits]
    if any(pauses[pauses.index(False) :] if False in pauses else []):
        return "pauses"
    parts = [edit for edit in edits if edit.begin != _PAUSE]
    for part in parts:
        if part.speed not in (0, 1):
            return f"plays a part {float(part.speed):g} times as fast"
        if not part.speed and len(parts) > 1:  # of a single one 0 is some writer's fault
            return "holds a moment"
    return ""
