"""What a decoded frame's side data are: items of the ledger, and QuickTime's boxes for them."""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping
from fractions import Fraction

from vdenoise.media.movie.ledger import RIGHT_FIRST

# Side data of frames, by FFmpeg's name, and the item that they are.
SIDE_DATA = {
    "STEREO3D": "stereo 3D layout",
    "SPHERICAL": "360-degree projection",
    "AMBIENT_VIEWING_ENVIRONMENT": "ambient viewing environment",
    "ICC_PROFILE": "ICC profile",
    "A53_CC": "closed captions (CEA-608/708)",
    "AFD": "active format description (AFD)",
    "S12M_TIMECODE": "timecodes of single frames",
    "DOVI_RPU_BUFFER": "Dolby Vision metadata",
    "DOVI_METADATA": "Dolby Vision metadata",
    "DYNAMIC_HDR_PLUS": "HDR10+ metadata",
    "DYNAMIC_HDR_VIVID": "HDR Vivid metadata",
    "EXIF": "Exif",
    "FILM_GRAIN_PARAMS": "film grain of the decoder",
}
# Layouts of two views, by FFmpeg's number and whether the right one comes first: Matroska's words.
_STEREO = {
    (0, 0): "mono",
    (1, 0): "left_right", (1, 1): "right_left", (2, 0): "top_bottom", (2, 1): "bottom_top",
    (3, 0): "block_lr", (3, 1): "block_rl", (4, 0): "checkerboard_lr", (4, 1): "checkerboard_rl",
    (6, 0): "row_interleaved_lr", (6, 1): "row_interleaved_rl",
    (7, 0): "col_interleaved_lr", (7, 1): "col_interleaved_rl",
}  # fmt: skip
_BOXED_STEREO = {"mono": 0, "top_bottom": 1, "left_right": 2}  # which QuickTime's "st3d" has
_GROUP_TIME = 0xFFEFFF  # bits of MPEG-2's time_code that tell a time (ISO/IEC 13818-2, 6.3.8)
# What encoders say of themselves in user data: no one's to keep.
ENCODERS = (
    bytes.fromhex("dc45e9bde6d948b7962cd820d923eeef"),  # x264
    bytes.fromhex("2ca2de09b51747dbbb55a4fe7fc2fc4e"),  # x265
)


def told_by_frames(side_data: Mapping[str, bytes]) -> dict[str, str]:
    """Items that a frame's side data hold."""
    found = {item: "" for name, item in SIDE_DATA.items() if name in side_data}
    if found.pop("stereo 3D layout", None) is not None:
        found |= _stereo(side_data)
    if "360-degree projection" in found and not _projection(side_data["SPHERICAL"]):
        found["projection of another kind"] = found.pop("360-degree projection")
    if int.from_bytes(side_data.get("GOP_TIMECODE", b"")[:4], sys.byteorder) & _GROUP_TIME:
        found["timecodes of groups of frames"] = ""
    said = side_data.get("SEI_UNREGISTERED", b"")
    if len(said) > 16 and said[:16] not in ENCODERS:
        found["user data of single frames"] = ""
    return found


def _stereo(side_data: Mapping[str, bytes]) -> dict[str, str]:
    """The item that two views in a frame are, and how they stand in Matroska's words."""
    layout = _stereo_layout(side_data)
    if layout in _BOXED_STEREO:
        return {"stereo 3D layout": layout}
    if not layout:
        return {"stereo 3D layout that only frames tell": ""}
    inverted = struct.unpack_from("<2i", side_data["STEREO3D"])[1] & 1
    return {RIGHT_FIRST if inverted else "stereo 3D layout of another kind": layout}


def _stereo_layout(side_data: Mapping[str, bytes]) -> str:
    kind, flags = struct.unpack_from("<2i", side_data["STEREO3D"])
    return _STEREO.get((kind, flags & 1), "")


def side_boxes(side_data: Mapping[str, bytes]) -> dict[str, bytes]:
    """QuickTime boxes that tell what side data tell of the whole clip, by item."""
    boxes = {}
    if "STEREO3D" in side_data:
        layout = _BOXED_STEREO.get(_stereo_layout(side_data))
        if layout is not None:
            boxes["stereo 3D layout"] = _box(b"st3d", bytes(4), bytes([layout]))
    if "SPHERICAL" in side_data:
        projection = _projection(side_data["SPHERICAL"])
        boxes |= {"360-degree projection": projection} if projection else {}
    if "AMBIENT_VIEWING_ENVIRONMENT" in side_data:
        raw = struct.unpack_from("<6i", side_data["AMBIENT_VIEWING_ENVIRONMENT"])
        light, x, y = (Fraction(raw[n], raw[n + 1] or 1) for n in (0, 2, 4))
        numbers = round(light * 10000), round(x * 50000), round(y * 50000)
        boxes["ambient viewing environment"] = _box(b"amve", struct.pack(">I2H", *numbers))
    if "ICC_PROFILE" in side_data:
        boxes["ICC profile"] = _box(b"colr", b"prof", side_data["ICC_PROFILE"])
    return boxes


def _projection(raw: bytes) -> bytes:
    """AVSphericalMapping as "sv3d" (Google's Spherical Video V2); nothing for other projections."""
    kind, yaw, pitch, roll, left, top, right, bottom, padding = struct.unpack_from("<4i5I", raw)
    if kind in (0, 2):  # all of a sphere, or a part of it, on a rectangle
        shape = _box(b"equi", bytes(4), struct.pack(">4I", top, bottom, left, right))
    elif kind == 1:
        shape = _box(b"cbmp", bytes(4), struct.pack(">2I", 0, padding))
    else:
        return b""
    pose = _box(b"prhd", bytes(4), struct.pack(">3i", yaw, pitch, roll))
    return _box(b"sv3d", _box(b"svhd", bytes(4), b"\0"), _box(b"proj", pose, shape))


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body
