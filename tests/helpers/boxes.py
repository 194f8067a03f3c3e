"""Boxes put by hand into QuickTime files whose header is at their end."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from vdenoise.media.movie.boxes import boxes_in

Box = tuple[bytes, bytes]


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def joined(boxes: list[Box]) -> bytes:
    return b"".join(box(*each) for each in boxes)


def change_tracks(path: Path, change: Callable[[int, list[Box]], list[Box]]) -> None:
    """Replace the boxes of each track, by its number from 0 on."""
    data = path.read_bytes()
    kind, header = list(boxes_in(data))[-1]
    assert kind == b"moov"
    made: list[Box] = []
    number = 0
    for name, body in boxes_in(header):
        if name == b"trak":
            body = joined(change(number, list(boxes_in(body))))
            number += 1
        made.append((name, body))
    path.write_bytes(data[: -8 - len(header)] + box(b"moov", joined(made)))


def in_tracks(path: Path, added: Box, *, inside: tuple[bytes, ...] = ()) -> None:
    """Put a box at the end of each track, or of a box inside of it."""

    def put(boxes: list[Box], way: tuple[bytes, ...]) -> list[Box]:
        if not way:
            return [*boxes, added]
        return [
            (kind, joined(put(list(boxes_in(body)), way[1:])) if kind == way[0] else body)
            for kind, body in boxes
        ]

    change_tracks(path, lambda _, boxes: put(boxes, inside))
