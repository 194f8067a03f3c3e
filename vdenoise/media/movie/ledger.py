"""What a clip holds beside its samples and its streams, and what each output does with it.

The one table of what is kept, how it is told, and what is lost: warnings before the start, the
check afterwards and docs/media.md are made from it. Streams (sound, subtitles, data) are not in it:
of those each muxer is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vdenoise.media.h273 import usual_matrix
from vdenoise.media.movie.codecs import CODECS
from vdenoise.media.movie.matrix import MIRRORED, SHAPED
from vdenoise.picture.frame import ClipInfo

ANY = frozenset(CODECS)
_BITSTREAM_TAGS = frozenset(name for name, codec in CODECS.items() if codec.carries_tags)
_CAPTIONS = frozenset({"x264", "x265"})
_BESIDE = frozenset({"x264", "x265", "svt-av1", "vp9", "prores", "dnxhr", "ffv1"})
_HDR = frozenset({"x264", "x265", "svt-av1"})
_HDR_BESIDE = _HDR | {"prores", "dnxhr", "ffv1", "vp9"}
WRITTEN = (
    "mov", "mp4", "matroska", "webm", "mxf", "avi", "mpegts", "nut", "yuv4mpegpipe",
)  # fmt: skip
BOXED = ("mov", "mp4", "matroska", "webm")  # what they tell beside a codec starts from boxes
ANAGLYPH = "stereo 3D layout by colors (anaglyph)"
BEGINS_INSIDE = "start of an edit list inside of a frame"
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
            _in(*_QUICKTIME, *_MATROSKA, codecs=_HDR_BESIDE),
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
        Rule("words of tracks", {}, how="Apple's metadata of a track, such as a camera's lens"),
        Rule(
            BEGINS_INSIDE,
            {},
            how="the rest of that frame is left out, and the clip begins with the next",
        ),
        Rule("track aperture", {}, how="QuickTime's size of the picture on the screen"),
        Rule("cropping of Matroska", {}),
        Rule("pictures and data beside a still", {}, how="of HEIF: alpha, depth, XMP and the like"),
        Rule("closed captions (CEA-608/708)", {}, _CAPTIONS, "in the codec's own messages"),
        Rule("active format description (AFD)", {}),
        Rule("bar data", {}),
        Rule("timecodes of single frames", {}, how="the clip's own start timecode is kept"),
        Rule(
            "timecodes of groups of frames",
            {},
            how="of MPEG-2, where they do not begin at 0 and nothing else tells a timecode",
        ),
        Rule(
            "user data of single frames",
            {},
            frozenset({"x264"}),
            "in the codec's own messages; x265 would tell it under a name of its own",
        ),
        Rule("user data of another kind", {}, how="which encoders have no way to be given"),
        Rule("data beside frames (BlockAdditions)", {}),
        Rule(
            "film grain of the decoder",
            {},
            how="the picture is denoised without it; --grain makes grain anew",
        ),
        Rule("hints on how colors are shown", {}, how="tone mapping and the like"),
        Rule(
            "further layers",
            {},
            how="of MV-HEVC, MVC, SVC, SHVC, LCEVC: a second view, alpha, or a finer picture",
        ),
        Rule(
            "changes in mid-clip",
            {},
            how="one picture shape and one set of color tags holds for all of an output",
        ),
        Rule("chapters", _in(*_QUICKTIME, *_MATROSKA, "nut"), how="moved and cut with the part"),
        Rule("structure of chapters", {}, how="Matroska's editions, and chapters inside of others"),
        Rule(
            "order in which chapters are played",
            {},
            how="of Matroska's ordered editions, also from other files: a plain player shows all",
        ),
        Rule("links to other files", {}, how="to the one before and behind, in Matroska"),
        Rule(
            "structure of tags",
            {},
            how="Matroska's that stand inside of others, tell several values, or are about more "
            "than the clip: each name has one word",
        ),
        Rule("tags that are no words", {}, how="such as Matroska's of bytes"),
        Rule(
            "timecode",
            _in(*_QUICKTIME, *_MATROSKA, "mxf"),
            how="as a tmcd track, a tag or MXF's own, counted on to the first frame written",
        ),
        Rule("further timecodes", {}),
        Rule("timecode that starts anew", {}, how="the first one is counted on"),
        Rule("languages", _in(*_QUICKTIME, *_MATROSKA, "mpegts", "nut"), how="of each stream"),
        Rule("regions of languages", {}, how="such as pt-BR, beside a language of three letters"),
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
