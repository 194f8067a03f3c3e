"""What a clip holds beside its samples and its streams, and what each output does with it.

The one table of what is kept, how it is told, and what is lost: warnings before the start, the
check afterwards and docs/media.md are made from it. Streams (sound, subtitles, data) are not in it:
of those each muxer is asked.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from vdenoise.media.h273 import usual_matrix
from vdenoise.media.movie.codecs import CODECS
from vdenoise.media.movie.matrix import MIRRORED, SHAPED
from vdenoise.picture.frame import ClipInfo

ANY = frozenset(CODECS)
_BITSTREAM_TAGS = frozenset(name for name, codec in CODECS.items() if codec.carries_tags)
_CAPTIONS = frozenset({"x264", "x265"})
_BESIDE = frozenset({"x264", "x265", "svt-av1", "vp9", "prores", "dnxhr", "ffv1"})
_HDR = frozenset({"x264", "x265", "svt-av1"})
_HDR_BESIDE = _HDR | {"prores", "dnxhr", "ffv1"}
WRITTEN = (
    "mov", "mp4", "matroska", "webm", "mxf", "avi", "mpegts", "nut", "yuv4mpegpipe",
)  # fmt: skip
BOXED = ("mov", "mp4", "matroska", "webm")  # what they tell beside a codec starts from boxes
ANAGLYPH = "stereo 3D layout by colors (anaglyph)"
RIGHT_FIRST = "stereo 3D layout with the right view first"


@dataclass(frozen=True)
class Rule:
    """An item of the ledger: where it is kept."""

    item: str  # what people call it, in the plural or as a mass: "the ... cannot be kept"
    kept: Mapping[str, frozenset[str]]  # container -> our codecs that it is kept with there
    everywhere: frozenset[str] = frozenset()  # codecs whose own data tell it in any container
    how: str = ""  # for the page: how it is told

    def keeps(self, container: str, codec: str | None) -> bool:
        """Whether an output keeps it; of a codec that is not known, whether the container does."""
        with_codecs = self.kept.get(container, frozenset())
        if codec is None:
            return bool(with_codecs)
        return codec in with_codecs or codec in self.everywhere


def _in(*containers: str, codecs: frozenset[str] = ANY) -> dict[str, frozenset[str]]:
    return dict.fromkeys(containers, codecs)


_QUICKTIME = ("mov", "mp4")
_MATROSKA = ("matroska", "webm")

RULES: dict[str, Rule] = {
    rule.item: rule
    for rule in (
        Rule(
            "color tags",
            _in(*_QUICKTIME, *_MATROSKA, "mxf"),
            _BITSTREAM_TAGS,
            "by the codec and by the container; the container's count where the codec says nothing",
        ),
        Rule(
            "range of samples",
            _in(*_QUICKTIME, *_MATROSKA, "mxf", "yuv4mpegpipe"),
            _BITSTREAM_TAGS,
            "as color tags; where nothing tells it, YUV is taken for limited and gray for full",
        ),
        Rule(
            "chroma location",
            _in(*_MATROSKA, "yuv4mpegpipe"),
            _BITSTREAM_TAGS,
            "where nothing tells it, chroma is taken to stand at the left",
        ),
        Rule(
            "gamma (QuickTime's gama)",
            _in("mov"),
            how="as gama; MP4 and others have no place for it",
        ),
        Rule("ICC profile", _in(*_QUICKTIME, codecs=_BESIDE), how="as a colr box"),
        Rule(
            "HDR10 metadata",
            _in(*_QUICKTIME, "matroska", codecs=_HDR_BESIDE),
            _HDR,
            "in the codec's own messages, else beside it (mdcv and clli, Matroska's Colour)",
        ),
        Rule("HDR10+ metadata", {}, how="made for the picture before it was denoised"),
        Rule("Dolby Vision metadata", {}, how="its RPUs belong to the frames as they were coded"),
        Rule("HDR Vivid metadata", {}),
        Rule("Exif", {}, how="what a camera says of a picture; how it is turned is kept"),
        Rule(
            "ambient viewing environment",
            _in(*_QUICKTIME, codecs=_BESIDE),
            how="as an amve box",
        ),
        Rule("rotation", _in(*_QUICKTIME, *_MATROSKA), how="as the container's matrix or angle"),
        Rule(MIRRORED, _in(*_QUICKTIME, *_MATROSKA), how="as rotation"),
        Rule(SHAPED, _in(*_QUICKTIME), how="as the container's matrix"),
        Rule(
            "stereo 3D layout",
            _in("mp4", *_MATROSKA, codecs=_BESIDE),
            frozenset({"x264"}),
            "as st3d or Matroska's StereoMode; by x264 as a frame packing message",
        ),
        Rule(
            "360-degree projection",
            _in(*_QUICKTIME, *_MATROSKA, codecs=_BESIDE),
            how="as sv3d, vexu or Matroska's Projection",
        ),
        Rule(
            "stereo 3D layout of another kind",
            _in("matroska"),
            frozenset({"x264"}),
            "such as rows in turn: as Matroska's StereoMode; by x264 as a frame packing message",
        ),
        Rule(RIGHT_FIRST, _in("matroska"), how="as Matroska's StereoMode"),
        Rule(ANAGLYPH, _in("matroska"), how="as Matroska's StereoMode"),
        Rule("stereo 3D layout that only frames tell", {}),
        Rule("projection of another kind", {}),
        Rule("clean aperture", _in(*_QUICKTIME, codecs=_BESIDE), how="as a clap box"),
        Rule("cropping of Matroska", {}),
        Rule("closed captions (CEA-608/708)", {}, _CAPTIONS, "in the codec's own messages"),
        Rule("active format description (AFD)", {}),
        Rule("timecodes of single frames", {}, how="the clip's own start timecode is kept"),
        Rule(
            "user data of single frames",
            {},
            frozenset({"x264"}),
            "in the codec's own messages; x265 would tell it under a name of its own",
        ),
        Rule(
            "changes in mid-clip",
            {},
            how="one picture shape and one set of color tags holds for all of an output",
        ),
        Rule("chapters", _in(*_QUICKTIME, *_MATROSKA, "nut"), how="moved and cut with the part"),
        Rule(
            "timecode",
            _in(*_QUICKTIME, *_MATROSKA, "mxf"),
            how="as a tmcd track, a tag or MXF's own, counted on to the first frame written",
        ),
        Rule("further timecodes", {}),
        Rule("timecode that starts anew", {}, how="the first one is counted on"),
        Rule("languages", _in(*_QUICKTIME, *_MATROSKA, "mpegts", "nut"), how="of each stream"),
    )
}


def keeps(container: str, codec: str | None, item: str) -> bool:
    """Whether an output can tell an item of the ledger."""
    return RULES[item].keeps(container, codec)


def lost(info: ClipInfo, container: str, codec: str) -> list[str]:
    """What a clip holds and an output cannot tell, each for people: ``avi with ffv1 cannot keep the
    color tags``; with what it is where that is short."""
    found = []
    for item, detail in contents(info).items():
        if not keeps(container, codec, item):
            said = f" ({detail})" if detail else ""
            found.append(f"{container} with {codec} cannot keep the {item}{said}")
    return found


def stereo_mode(info: ClipInfo, container: str) -> str | None:
    """How a container of Matroska's kind calls the two views in a clip's frames."""
    views = {item: how for item, how in info.holds.items() if item.startswith("stereo")}
    kept = (how for item, how in views.items() if keeps(container, None, item))
    return next(kept, None) if container in _MATROSKA else None


def contents(info: ClipInfo) -> dict[str, str]:
    """The items that a clip holds, each with a few words on it."""
    usual = usual_matrix(info.width, info.height)
    usual_ones = (usual, "bt470bg") if usual == "smpte170m" else (usual,)  # two names of one
    matrix = not info.matrix_guessed and info.matrix not in (*usual_ones, "rgb")
    there = {
        "color tags": matrix or any(t != "unknown" for t in (info.primaries, info.transfer)),
        "timecode": info.timecode is not None,
        "rotation": info.rotation != 0,
        "HDR10 metadata": bool(info.hdr),
    }
    found = {item: "" for item, has in there.items() if has}
    unusual = info.format.family != "rgb" and info.full_range == (info.format.family == "yuv")
    if unusual and not info.format.floating:
        found["range of samples"] = "full" if info.full_range else "limited"
    unusual_places = (*(_MIDDLE if info.format.sub_w else ()), *(_OFF if info.format.sub_h else ()))
    if info.chroma_location in unusual_places:
        found["chroma location"] = info.chroma_location
    return found | dict(info.holds)


_MIDDLE = ("center", "top", "bottom")  # of two samples of luma side by side
_OFF = ("topleft", "bottomleft")  # one of two lines: as DV and BT.2020 have it in 4:2:0
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
