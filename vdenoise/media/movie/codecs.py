"""The codecs and containers vdenoise writes, and the quality it writes them at.

Defaults lose less than a denoiser removes: visually lossless at about 1.5 to 3 times a delivery
bitrate, so that a second encode cannot undo the work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType

from vdenoise.picture.frame import PixelFormat


@dataclass(frozen=True)
class Codec:
    """One way to encode: the name people type, FFmpeg's encoder and what we set on it."""

    name: str
    encoder: str
    source: str  # FFmpeg's name of the coded format: a source of this kind is kept in it
    crf: int | None = None  # default; None where there is no such dial
    crf_range: tuple[int, int] = (0, 63)
    options: MappingProxyType[str, str] = field(default_factory=lambda: MappingProxyType({}))
    interlaced: bool = True
    lossless: bool = False
    carries_aspect: bool = False  # the bitstream itself tells the sample aspect ratio
    carries_tags: bool = False  # and the color tags
    b_frames: bool = False
    intra: bool = False  # each frame is coded alone: packets do not depend on where a run begins


def _options(**options: str) -> MappingProxyType[str, str]:
    return MappingProxyType(options)


# The first six are offered by name; the others keep a source in its own kind.
CODECS: dict[str, Codec] = {
    codec.name: codec
    for codec in (
        Codec("prores", "prores_ks", "prores", options=_options(vendor="apl0"), intra=True),
        Codec("dnxhr", "dnxhd", "dnxhd", interlaced=False, intra=True),
        Codec(
            "ffv1",
            "ffv1",
            "ffv1",
            options=_options(level="3", slicecrc="1", g="1"),
            lossless=True,
            carries_aspect=True,
            intra=True,
        ),
        Codec(
            "x264",
            "libx264",
            "h264",
            14,
            (0, 51),
            _options(preset="medium", threads="8"),  # a number: its output depends on it
            carries_aspect=True,
            carries_tags=True,
            b_frames=True,
        ),
        Codec(
            "x265",
            "libx265",
            "hevc",
            14,
            (0, 51),
            _options(preset="medium", **{"x265-params": "frame-threads=3"}),  # as with x264
            interlaced=False,
            carries_aspect=True,
            carries_tags=True,
            b_frames=True,
        ),
        Codec(
            "svt-av1",
            "libsvtav1",
            "av1",
            16,
            (1, 63),
            _options(preset="6"),
            interlaced=False,
            carries_tags=True,
        ),
        Codec(
            "vp9",
            "libvpx-vp9",
            "vp9",
            16,
            (0, 63),
            _options(b="0", deadline="good", **{"cpu-used": "2", "row-mt": "1"}),
            False,
        ),
        Codec("v210", "v210", "v210", lossless=True, intra=True),
        Codec("rawvideo", "rawvideo", "rawvideo", lossless=True, intra=True),
        Codec("qtrle", "qtrle", "qtrle", lossless=True),
        Codec("utvideo", "utvideo", "utvideo", lossless=True, intra=True),
        Codec("magicyuv", "magicyuv", "magicyuv", lossless=True, intra=True),
        Codec("huffyuv", "huffyuv", "huffyuv", lossless=True, intra=True),
        Codec("ffvhuff", "ffvhuff", "ffvhuff", lossless=True, intra=True),
        Codec("cfhd", "cfhd", "cfhd"),
        Codec("y4m", "wrapped_avframe", "wrapped_avframe", lossless=True),
        Codec("png", "png", "png", lossless=True, intra=True),
    )
}
NAMED = ("prores", "dnxhr", "ffv1", "x264", "x265", "svt-av1")

# What to write where the source's own codec does not fit the container asked for, best first.
FALLBACK: dict[str, tuple[str, ...]] = {
    "mov": ("x264", "x265", "prores", "dnxhr", "rawvideo", "png"),
    "mp4": ("x264", "x265", "svt-av1"),
    "matroska": ("x264", "x265", "ffv1"),
    "webm": ("vp9", "svt-av1"),
    "mxf": ("dnxhr", "prores", "x264"),
    "avi": ("ffv1",),
    "mpegts": ("x264", "x265"),
    "nut": ("rawvideo", "ffv1"),
    "yuv4mpegpipe": ("y4m",),
}

# Uncompressed layouts that come back as they were: others get a tag that means something else.
RAW_FORMATS: dict[str, tuple[str, ...]] = {
    "mov": (
        "uyvy422", "yuyv422", "rgb24", "bgr24", "argb", "bgra", "rgba", "abgr", "gray16be",
        "rgb48be",
    ),
    "avi": (
        "uyvy422", "yuyv422", "bgr24", "bgra", "rgba", "gray", "yuv420p", "yuv422p", "yuv411p",
    ),
    "matroska": ("uyvy422", "yuyv422", "rgba", "gray", "yuv420p", "yuv422p", "yuv411p"),
}  # fmt: skip

CONTAINERS: dict[str, str] = {
    ".mov": "mov",
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mkv": "matroska",
    ".webm": "webm",
    ".mxf": "mxf",
    ".avi": "avi",
    ".ts": "mpegts",
    ".m2ts": "mpegts",
    ".mts": "mpegts",
    ".nut": "nut",
    ".y4m": "yuv4mpegpipe",
}
M2TS = (".m2ts", ".mts")  # MPEG-TS as Blu-ray and AVCHD have it: with a time before each packet


_PRORES_PROFILES = {
    "Proxy": "proxy",
    "LT": "lt",
    "Standard": "standard",
    "HQ": "hq",
    "4444": "4444",
    "XQ": "4444xq",
}


def profile_options(codec: Codec, fmt: PixelFormat, source_profile: str | None) -> dict[str, str]:
    """Options that depend on the pixel format and on the source's own profile."""
    if codec.name == "prores":
        dense = fmt.sub_w == 0
        kept = _PRORES_PROFILES.get(source_profile or "")
        fits = kept is not None and dense == kept.startswith("4444")
        chosen = kept if kept is not None and fits else "4444" if dense else "hq"
        return {"profile": chosen, **({"alpha_bits": "16"} if fmt.alpha else {})}
    if codec.name == "dnxhr":
        if fmt.sub_w == 0:
            return {"profile": "dnxhr_444"}
        return {"profile": "dnxhr_hqx" if fmt.bits == 10 else "dnxhr_hq"}
    if codec.name == "vp9" and fmt.alpha:
        return {"auto-alt-ref": "0"}  # a frame that is not shown has no alpha
    if codec.name == "ffv1" and fmt.floating:
        return {"level": "4", "strict": "experimental"}
    return {}


# All that `profile_options` can give.
_PROFILE_OPTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "prores": {"profile": tuple(_PRORES_PROFILES.values()), "alpha_bits": ("16",)},
    "dnxhr": {"profile": ("dnxhr_444", "dnxhr_hqx", "dnxhr_hq")},
    "vp9": {"auto-alt-ref": ("0",)},
    "ffv1": {"level": ("4",), "strict": ("experimental",)},
}


def is_set_here(codec: Codec, name: str, value: str) -> bool:
    """Whether an encoder's option is one that we set ourselves, to a value that we set it to.

    What encoders know besides can write files (``stats=PATH`` of x264) and is not taken from a
    file that someone hands in.
    """
    if name == "crf" and codec.crf is not None:
        low, high = codec.crf_range
        return value in map(str, range(low, high + 1))
    known = _PROFILE_OPTIONS.get(codec.name, {}).get(name, ())
    return value in known or codec.options.get(name) == value
