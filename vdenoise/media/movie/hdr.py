"""HDR10 static metadata: read from decoded frames, written through encoder parameters.

SMPTE ST 2086 mastering display color volume and CTA-861.3 content light levels. In
``ClipInfo.hdr``: ``{"mastering_display": {"red": ["34000/50000", "16000/50000"], "green": ...,
"blue": ..., "white": ..., "min_luminance": "50/10000", "max_luminance": "10000000/10000"},
"content_light": {"max": 1000, "average": 400}}``, with exact fractions as strings.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any

_CORNERS = ("red", "green", "blue", "white")


def read(side_data: dict[str, bytes]) -> dict[str, Any]:
    """HDR10 metadata among a frame's side data (name -> bytes); empty where there is none."""
    found: dict[str, Any] = {}
    raw = side_data.get("MASTERING_DISPLAY_METADATA")
    if raw is not None:
        mastering = _mastering(raw)
        if mastering:
            found["mastering_display"] = mastering
    raw = side_data.get("CONTENT_LIGHT_LEVEL")
    if raw is not None:
        brightest, average = struct.unpack_from("<2I", raw)
        found["content_light"] = {"max": brightest, "average": average}
    return found


def _mastering(raw: bytes) -> dict[str, Any]:
    """AVMasteringDisplayMetadata: 10 rationals (R, G, B, white, min, max) and two flags."""
    values = struct.unpack_from("<20i2i", raw)
    pairs = [f"{n}/{d}" for n, d in zip(values[0:20:2], values[1:20:2], strict=True)]
    has_primaries, has_luminance = values[20:22]
    found: dict[str, Any] = {}
    if has_primaries:
        found |= {name: pairs[2 * i : 2 * i + 2] for i, name in enumerate(_CORNERS)}
    if has_luminance:
        found |= {"min_luminance": pairs[8], "max_luminance": pairs[9]}
    return found


def scaled(text: str, unit: int) -> int:
    """A fraction as a whole number of 1/unit."""
    return round(Fraction(text) * unit)


def mastering_parameter(hdr: dict[str, Any]) -> str | None:
    """``G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)`` in units of 0.00002 and 0.0001 cd/m2 (x264, x265)."""
    display = hdr.get("mastering_display", {})
    if not {"red", "min_luminance"} <= display.keys():
        return None
    corners = "".join(
        f"{short}({scaled(display[name][0], 50000)},{scaled(display[name][1], 50000)})"
        for short, name in (("G", "green"), ("B", "blue"), ("R", "red"), ("WP", "white"))
    )
    brightest = scaled(display["max_luminance"], 10000)
    return f"{corners}L({brightest},{scaled(display['min_luminance'], 10000)})"


def decimal_mastering_parameter(hdr: dict[str, Any]) -> str | None:
    """The same in decimal numbers (SVT-AV1)."""
    display = hdr.get("mastering_display", {})
    if not {"red", "min_luminance"} <= display.keys():
        return None

    def number(text: str) -> str:
        return f"{float(Fraction(text)):.6f}"

    corners = "".join(
        f"{short}({number(display[name][0])},{number(display[name][1])})"
        for short, name in (("G", "green"), ("B", "blue"), ("R", "red"), ("WP", "white"))
    )
    return f"{corners}L({number(display['max_luminance'])},{number(display['min_luminance'])})"


def light_parameter(hdr: dict[str, Any]) -> str | None:
    """``max,average`` content light level in cd/m2."""
    light = hdr.get("content_light")
    return None if light is None else f"{light['max']},{light['average']}"


def encoder_parameters(encoder: str, hdr: dict[str, Any]) -> dict[str, str]:
    """Encoder options that carry HDR10 in the bitstream: ``{}`` where the encoder cannot."""
    light = light_parameter(hdr)
    if encoder == "libx265":
        mastering = mastering_parameter(hdr)
        parts = [
            *([f"master-display={mastering}"] if mastering else []),
            *([f"max-cll={light}"] if light else []),
        ]
        return {"x265-params": ":".join([*parts, "hdr10=1", "repeat-headers=1"])} if parts else {}
    if encoder == "libx264":
        mastering = mastering_parameter(hdr)
        parts = [
            *([f"mastering-display={mastering}"] if mastering else []),
            *([f"cll={light}"] if light else []),
        ]
        return {"x264-params": ":".join(parts)} if parts else {}
    if encoder == "libsvtav1":
        mastering = decimal_mastering_parameter(hdr)
        parts = [
            *([f"mastering-display={mastering}"] if mastering else []),
            *([f"content-light={light}"] if light else []),
        ]
        return {"svtav1-params": ":".join(parts)} if parts else {}
    return {}


def png_chunks(hdr: dict[str, Any]) -> dict[bytes, bytes]:
    """The same as PNG has it (third edition, 11.3.2.7 and 11.3.2.8), by the names of chunks."""
    display, light, found = hdr.get("mastering_display", {}), hdr.get("content_light"), {}
    if {"red", "min_luminance"} <= display.keys():
        corners = [scaled(part, 50000) for name in _CORNERS for part in display[name]]
        ends = [scaled(display[f"{end}_luminance"], 10000) for end in ("max", "min")]
        found[b"mDCV"] = struct.pack(">8H2I", *corners, *ends)
    if light is not None:
        found[b"cLLI"] = struct.pack(">2I", light["max"] * 10000, light["average"] * 10000)
    return found


def kept(container: str, encoder: str, hdr: dict[str, Any]) -> bool:
    """Whether an output can tell this HDR10 metadata, in its bitstream or beside it."""
    if encoder_parameters(encoder, hdr):
        return True
    return bool(hdr) and beside(container, encoder)


def beside(container: str, encoder: str) -> bool:
    """Whether the container tells it for this encoder, whose bitstream cannot."""
    known = ("prores_ks", "dnxhd", "ffv1", "libvpx-vp9")
    return container in ("mov", "mp4", "matroska", "webm") and encoder in known


def comparable(hdr: dict[str, Any]) -> dict[str, Any]:
    """Convert to the units of ST 2086, so that different ways to write the same fractions are
    equal."""
    found: dict[str, Any] = {
        name: [scaled(part, 50000) for part in value]
        if isinstance(value, list)
        else scaled(value, 10000)
        for name, value in hdr.get("mastering_display", {}).items()
    }
    return found | {"content_light": hdr.get("content_light")}
