"""Elements put by hand into Matroska files."""

from __future__ import annotations

from pathlib import Path

from vdenoise.media.movie.boxes import elements

_SEGMENT, _CLUSTER, _TRACKS, _TRACK = 0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE
_PLACES = (0x114D9B74, 0x1C53BB6B, 0xEC)  # which tell where others are: they would be wrong


def element(kind: int, *inside: bytes) -> bytes:
    body = b"".join(inside)
    head = kind.to_bytes((kind.bit_length() + 7) // 8, "big")
    return head + (len(body) | 1 << 56).to_bytes(8, "big") + body


def number(kind: int, value: int) -> bytes:
    return element(kind, value.to_bytes(8, "big"))


def text(kind: int, words: str) -> bytes:
    return element(kind, words.encode())


def _segment(path: Path) -> tuple[bytes, list[tuple[int, bytes]]]:
    head, (kind, body) = list(elements(path.read_bytes()))[:2]
    assert kind == _SEGMENT
    return element(*head), [(k, b) for k, b in elements(body) if k not in _PLACES]


def in_segment(path: Path, added: bytes) -> None:
    """Put an element in front of the first cluster, for those of its kind."""
    head, parts = _segment(path)
    kind = next(k for k, _ in elements(added))
    parts = [part for part in parts if part[0] != kind]
    at = next(n for n, (k, _) in enumerate(parts) if k == _CLUSTER)
    before, after = (b"".join(element(*p) for p in some) for some in (parts[:at], parts[at:]))
    path.write_bytes(head + element(_SEGMENT, before, added, after))


def in_track(path: Path, added: bytes) -> None:
    """Put an element at the end of each track."""
    head, parts = _segment(path)
    tracks = next(body for kind, body in parts if kind == _TRACKS)
    made = b"".join(
        element(kind, body, added) if kind == _TRACK else element(kind, body)
        for kind, body in elements(tracks)
    )
    whole = [made if kind == _TRACKS else body for kind, body in parts]
    kinds = [kind for kind, _ in parts]
    path.write_bytes(head + element(_SEGMENT, *map(element, kinds, whole)))
