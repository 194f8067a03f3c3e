"""What a QuickTime or MP4 file tells of its tracks that FFmpeg passes over: items of the ledger."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

from vdenoise.media.movie.boxes import boxes_in, header_of, tracks_of

_APPLE = "com.apple.quicktime."
_NAMED = 3  # words; of more only how many is said
_OFF = 1  # pixels that a size may be rounded by


def passed_over(path: Path, track: int, size: tuple[int, int], aspect: Fraction) -> dict[str, str]:
    """The items, each with a few words on it.

    Args:
        path: the file.
        track: ID of the picture's track.
        size: width and height of the picture.
        aspect: of its pixels.
    """
    tracks = tracks_of(header_of(path))
    items = {}
    regions = [tag for inside in tracks.values() if "-" in (tag := _language(inside))]
    if regions:
        items["regions of languages"] = ", ".join(dict.fromkeys(regions))
    words = [key for inside in tracks.values() for key in _keys(inside.get(b"meta", b""))]
    if words:
        more = [f"{len(words) - _NAMED} more"] if len(words) > _NAMED else []
        items["words of tracks"] = ", ".join([*words[:_NAMED], *more])
    shown = _shown(tracks.get(track, {}))
    wanted = float(size[0] * aspect), float(size[1])
    if shown and any(abs(a - b) > _OFF for a, b in zip(shown, wanted, strict=True)):
        items["track aperture"] = f"{shown[0]:g}x{shown[1]:g}"
    return items


def _language(track: dict[bytes, bytes]) -> str:
    """The extended language of a track (ISO/IEC 14496-12, 8.4.6); empty where it has none."""
    told = dict(boxes_in(track.get(b"mdia", b""))).get(b"elng", b"")
    return told[4:].rstrip(b"\0").decode(errors="replace")


def _keys(meta: bytes) -> list[str]:
    """The names of Apple's metadata of a track, such as what a camera says of its lens."""
    inside = {**dict(boxes_in(meta[4:])), **dict(boxes_in(meta))}  # MP4's has a version before it
    rows = boxes_in(inside.get(b"keys", b"")[8:])
    return [key.decode(errors="replace").removeprefix(_APPLE) for _, key in rows]


def _shown(track: dict[bytes, bytes]) -> tuple[float, float] | None:
    """The size at which QuickTime shows a track in its clean aperture ("tapt")."""
    told = dict(boxes_in(track.get(b"tapt", b""))).get(b"clef", b"")
    if len(told) < 12:
        return None
    width, height = struct.unpack_from(">2I", told, 4)
    return width / 65536, height / 65536
