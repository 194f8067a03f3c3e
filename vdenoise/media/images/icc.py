"""Which color an ICC profile stands for, where it is one that other files can say in a word."""

from __future__ import annotations

import struct

# Red, green and blue of a profile (XYZ, adapted to its white D50), by the names of H.273.
_COLORANTS = {
    "bt709": ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)),
    "smpte432": ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)),
    "bt2020": ((0.6735, 0.2790, -0.0019), (0.1657, 0.6753, 0.0300), (0.1251, 0.0456, 0.7968)),
}
_NEAR = 0.004  # of 1: profiles of one color space differ by their rounding
_SRGB_HALF, _GAMMA_HALF = 0.2140, 0.5**2.2  # light at half of the codes


def primaries_and_transfer(profile: bytes) -> tuple[str, str]:
    """Primaries and transfer of an RGB profile as H.273 calls them; "unknown" where it has none.

    Args:
        profile: an ICC profile (ISO 15076-1) that works by a matrix and curves; another is unknown.
    """
    try:
        tags = _tags(profile)
        found = [
            struct.unpack_from(">3i", profile, tags[name] + 8)
            for name in (b"rXYZ", b"gXYZ", b"bXYZ")
        ]
        halves = [_at_half(profile, tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")]
    except (KeyError, struct.error):
        return "unknown", "unknown"
    colors = [value / 65536 for color in found for value in color]
    for name, wanted in _COLORANTS.items():
        flat = [value for color in wanted for value in color]
        if all(abs(a - b) < _NEAR for a, b in zip(colors, flat, strict=True)):
            if all(abs(half - _SRGB_HALF) < 0.001 for half in halves):
                return name, "iec61966-2-1"
            if all(abs(half - _GAMMA_HALF) < 0.001 for half in halves):
                return name, "gamma22"
    return "unknown", "unknown"


def description(profile: bytes) -> str:
    """What a profile calls itself, in ASCII; empty where it does not."""
    try:
        at = _tags(profile)[b"desc"]
        if profile[at : at + 4] == b"mluc":
            size, place = struct.unpack_from(">II", profile, at + 20)
            text = profile[at + place : at + place + size].decode("utf-16-be", "replace")
        else:
            size = struct.unpack_from(">I", profile, at + 8)[0]
            text = profile[at + 12 : at + 12 + size].decode("latin-1")
    except (KeyError, struct.error):
        return ""
    return "".join(letter for letter in text if letter.isprintable()).strip()


def _tags(profile: bytes) -> dict[bytes, int]:
    """Where the tags of a profile are."""
    count = min(struct.unpack_from(">I", profile, 128)[0], 200)
    entries = (struct.unpack_from(">4sI", profile, 132 + 12 * n) for n in range(count))
    return dict(entries)


def _at_half(profile: bytes, at: int) -> float:
    """The value of a curve at half of its range: a gamma, a table, or sRGB's kind of curve."""
    kind = profile[at : at + 4]
    if kind == b"curv":
        count = struct.unpack_from(">I", profile, at + 8)[0]
        if count == 0:
            return 0.5
        if count == 1:
            return float(0.5 ** (struct.unpack_from(">H", profile, at + 12)[0] / 256))
        low, high = struct.unpack_from(">2H", profile, at + 12 + 2 * ((count - 1) // 2))
        return float((low if count % 2 else (low + high) / 2) / 65535)
    form = struct.unpack_from(">H", profile, at + 8)[0]
    if kind != b"para" or form > 3:
        raise KeyError(kind)
    given = struct.unpack_from(f">{(1, 3, 4, 5)[form]}i", profile, at + 12)
    gamma, a, b = (
        (*(value / 65536 for value in given), 1.0, 0.0)[:3]
        if form
        else (
            given[0] / 65536,
            1.0,
            0.0,
        )
    )
    return float((a * 0.5 + b) ** gamma)
