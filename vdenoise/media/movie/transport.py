"""Whether an MPEG transport stream is all there (ISO/IEC 13818-1): its packets are numbered.

FFmpeg passes over missing packets, and marks the frames of some of them alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SYNC, _PACKET = 0x47, 188
_SIZES = (188, 192, 204)  # alone; behind a time of 4 bytes (M2TS); before a checksum of 16
_TOGETHER = 1 << 16  # packets that are looked at together
_READ = 64  # packets that a file has at least to be read
_NOTHING = b"\x47\x1f\xff\x10" + b"\xff" * (_PACKET - 4)  # a packet that says that it is none
_ALIGNED = 8  # packets that show where all begin

Bytes = NDArray[np.uint8]


@dataclass
class Continuity:
    """What the numbers of the packets say."""

    damage: str = ""  # what is missing inside of a unit or at the end, in words
    jumps: int = 0  # places between units where packets may be missing, or two streams be joined


@dataclass
class _Stream:
    """What is known of a stream so far."""

    number: int = -1  # of its last packet
    content: bytes = b""  # of its last packet
    told: int = 0  # bytes that its last unit says it has, 0 where it does not say
    there: int = 0


def continuity(files: Sequence[Path], streams: Collection[int]) -> Continuity:
    """Read all packets of a transport stream.

    Args:
        files: the stream, in one file or in parts that were cut anywhere.
        streams: PIDs of the streams; tables and padding do not count.
    """
    found = Continuity()
    states = {pid: _Stream() for pid in streams}
    at = 0
    for at, packets, whole in chain.from_iterable(map(blocks, files)):
        wrong = np.flatnonzero(packets[:, 0] != _SYNC)
        sound = packets[: wrong[0]] if wrong.size else packets
        pids = (sound[:, 1].astype(np.int32) & 0x1F) << 8 | sound[:, 2]
        for pid, state in states.items():
            rows = np.flatnonzero(pids == pid)
            if rows.size:
                missing = _follow(sound[rows], state, found)
                if missing is not None and not found.damage:
                    found.damage = (
                        f"packets are missing or damaged {_place(at, int(rows[missing]), whole)}"
                    )
        if wrong.size:
            found.damage = found.damage or (
                f"its structure is damaged {_place(at, int(wrong[0]), whole)}"
            )
            return found
    if not found.damage and any(state.there < state.told for state in states.values()):
        found.damage = "it ends inside of a packet of sound or picture"
    return found


def filling(*, m2ts: bool) -> bytes:
    """Packets that say that they are nothing: as many as a file has at least to be read.

    Args:
        m2ts: whether it is M2TS.
    """
    return (bytes(4 if m2ts else 0) + _NOTHING) * _READ


def fill_up(path: Path) -> None:
    """Bring a finished transport stream to the length from which on FFmpeg reads any: a black frame
    or two are shorter. What is added says that it is nothing."""
    found = next(blocks(path), None)
    if found is None:
        return
    at, packets, _ = found
    lacks = _READ - len(packets)
    if lacks > 0:
        with path.open("r+b") as file:
            before = file.read(at)  # the time of the first packet, of M2TS
            file.seek(0, 2)
            file.write((before + _NOTHING) * lacks)


def _place(at: int, row: int, whole: int) -> str:
    return f"at byte {at + row * whole}"


def blocks(path: Path) -> Iterator[tuple[int, Bytes, int]]:
    """(byte, packets (N, 188), distance) of many packets at a time; one that was cut is none."""
    with path.open("rb") as file:
        place = _alignment(np.frombuffer(file.read(1 << 16), np.uint8))
        if place is None:
            return
        at, whole = place
        file.seek(at)
        while data := file.read(whole * _TOGETHER):
            count = (len(data) + whole - _PACKET) // whole
            padded = np.frombuffer(data.ljust(count * whole, b"\0"), np.uint8)[: count * whole]
            if count:
                yield at, padded.reshape(count, whole)[:, :_PACKET], whole
            at += len(data)


def _alignment(head: Bytes) -> tuple[int, int] | None:
    """Where the first packet begins, and how far the next is from it."""
    for at in np.flatnonzero(head[: max(_SIZES)] == _SYNC):
        for whole in _SIZES:
            if bool((head[at::whole][:_ALIGNED] == _SYNC).all()):
                return int(at), whole
    return None


def _follow(packets: Bytes, state: _Stream, found: Continuity) -> int | None:
    """Go on with a stream; which of its packets does not follow the one before, inside of a unit,
    or came damaged."""
    has_field, has_payload = packets[:, 3] & 0x20 != 0, packets[:, 3] & 0x10 != 0
    field = np.where(has_field, packets[:, 4].astype(np.int32) + 1, 0)
    renumbered = has_field & (packets[:, 4] > 0) & (packets[:, 5] & 0x80 != 0)
    begins = packets[:, 1] & 0x40 != 0
    numbers = (packets[:, 3] & 0x0F).astype(np.int32)
    before = np.concatenate([[state.number], numbers[:-1]])
    follows = (numbers == (before + has_payload) % 16) | renumbered | (before < 0)
    again = numbers == before  # a packet may be sent twice
    for row in np.flatnonzero(again & ~follows):
        last = packets[row - 1].tobytes() if row else state.content
        again[row] = packets[row].tobytes() == last
    breaks = ~follows & ~again
    found.jumps += int((breaks & begins).sum())
    broken = (breaks & ~begins) | (packets[:, 1] & 0x80 != 0)
    twice = again & ~follows
    lengths = np.where(has_payload & ~twice, np.maximum(_PACKET - 4 - field, 0), 0)
    starts = np.flatnonzero(begins & has_payload)
    if starts.size:
        start = int(starts[-1])
        state.told = _unit_length(packets[start, 4 + int(field[start]) :])
        state.there = int(lengths[start:].sum())
    else:
        state.there += int(lengths.sum())
    state.number, state.content = int(numbers[-1]), packets[-1].tobytes()
    return int(np.flatnonzero(broken)[0]) if broken.any() else None


def _unit_length(payload: Any) -> int:
    """Bytes of the PES packet that begins here, its header included; 0 where it does not say."""
    if len(payload) < 6 or bytes(payload[:3]) != b"\0\0\1":
        return 0
    told = int(payload[4]) << 8 | int(payload[5])
    return told + 6 if told else 0
