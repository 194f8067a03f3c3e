"""Choosing how a clip is written as images."""

from __future__ import annotations

from pathlib import Path

from vdenoise.errors import InputError, UsageError
from vdenoise.media.access import reading
from vdenoise.media.images import alpha, carry, files, sequence, turn
from vdenoise.media.images.belongings import belongings, lost
from vdenoise.media.images.layout import read_header
from vdenoise.media.images.packed import packed
from vdenoise.media.images.sequence import KINDS
from vdenoise.media.images.words import lost_words
from vdenoise.media.inputs import is_still, open_input, video_of
from vdenoise.media.movie.encoder import IMAGES, EncodeSettings
from vdenoise.media.movie.ledger import contents
from vdenoise.media.movie.matrix import MIRRORED
from vdenoise.media.movie.metadata import container_metadata, stream_metadata
from vdenoise.media.movie.pixels import planar_format
from vdenoise.media.movie.streams import made_by_muxers, stream_name
from vdenoise.media.movie.words import NOT_WORDS
from vdenoise.picture.frame import ClipInfo
from vdenoise.picture.samples import has_rgb

_DEPTHS = {"exr": (16, 32), "tiff": (8, 16, 32), "png": (8, 16), "dpx": (8, 10, 12, 16)}


def choose_images(info: ClipInfo, target: Path, *, bit_depth: int | None = None) -> EncodeSettings:
    """How a clip is written as images: by default with the source's own samples and compression.

    A lossy compression becomes zip: what was denoised is not to lose again. YUV becomes RGB, with
    16 bits (DPX 10) unless told otherwise.

    Raises:
        UsageError: this kind of image does not hold such samples.
    """
    sequence.target_of(info, target)
    kind = KINDS[target.suffix.lower()]
    fmt = info.format
    if fmt.floating and kind not in ("exr", "tiff"):
        raise UsageError(
            f"{fmt.label} cannot be written as {kind}: its values have no end.",
            "Write .exr or .tif; a picture for display needs a color transform first.",
            number=72,
        )
    if bit_depth is not None and bit_depth not in _DEPTHS[kind]:
        raise UsageError(
            f"{kind} is not written with {bit_depth} bits.",
            f"Use --bit-depth with one of: {', '.join(map(str, _DEPTHS[kind]))}.",
            number=73,
        )
    yuv = fmt.family == "yuv"
    if yuv and not has_rgb(info.matrix):
        raise UsageError(
            f"Video of the matrix {info.matrix} cannot be turned into RGB images.",
            "Write a movie.",
            number=87,
        )
    floating = fmt.floating or kind == "exr" or (kind == "tiff" and bit_depth == 32)
    if floating and kind == "tiff":
        half = info.codec == "tiff" and fmt.bits == 16 and bit_depth in (None, 16)
        bits = 16 if half else 32  # hardly anything else reads half there
    elif floating:
        bits = bit_depth or (fmt.bits if fmt.floating else 16 if fmt.bits <= 10 else 32)
    else:
        wanted = bit_depth or (16 if yuv and kind != "dpx" else max(fmt.bits, 10 if yuv else 8))
        bits = next(b for b in _DEPTHS[kind] if b >= wanted) if wanted <= 16 else 16
    coded = _named(gray=fmt.family == "gray", alpha=fmt.alpha, floating=floating, bits=bits)
    given = coded
    if yuv:
        given = f"yuv{'a' if fmt.alpha else ''}444p16le"
    elif floating and not fmt.floating:
        given = fmt.name
    pixel_format = planar_format(given)
    assert pixel_format is not None and planar_format(coded) is not None, (given, coded)
    compression, notes = _compression(info, kind, bits)
    if yuv:
        notes += (f"{fmt.label} is written as RGB: its chroma is interpolated",)
    elif given == coded and pixel_format.bits < fmt.bits:
        how = "rounded" if fmt.floating else "dithered"
        notes += (f"{fmt.label} is written with {bits} bits, {how}",)
    elif bit_depth is None and given == coded and pixel_format.bits > fmt.bits:
        notes += (f"{fmt.label} is written with {bits} bits",)
    notes += packed_notes(info, pixel_format.label)
    if info.sequence is not None and info.codec != kind:
        notes += named_losses(info, kind)
    elif info.sequence is None:
        if info.transfer != "unknown" and kind != "png":
            notes += (f"the transfer {info.transfer} cannot be told in {kind}",)
        notes += _losses_of_movie(info, kind)
    if info.codec == kind and kind != "exr" and info.sequence is not None:
        left = carry.lost(info.sequence.source(0), kind)
        notes += tuple(f"{what} stays behind: it belongs to the noisy picture" for what in left)
    anew = info.codec != kind or coded != fmt.name
    if anew and info.sequence is not None and not _only_color(info):
        notes += (f"only color is written as {kind}: other layers stay behind",)
    return EncodeSettings(
        container=IMAGES,
        codec=kind,
        encoder="OpenImageIO",
        pixel_format=pixel_format,
        coded_format=coded,
        lossless=True,
        options={"compression": compression} if compression else {},
        notes=notes,
    )


def named_losses(info: ClipInfo, kind: str) -> tuple[str, ...]:
    """What belongs to the pictures of a sequence and stays behind in another kind of file.

    Args:
        info: the sequence.
        kind: of image, or "movie".

    Raises:
        InputError: its first image cannot be read.
    """
    assert info.sequence is not None
    first = info.sequence.source(0)
    others = (info.sequence.source(n) for n in files.places(len(info.sequence.numbers))[1:])
    looked_at = [first, *(path for path in others if _is_sound(path))]
    with reading(str(first)):
        owned = (lost(belongings(path, info.codec), kind) for path in looked_at)
        left = (*dict.fromkeys(what for one in owned for what in one), *lost_words(looked_at, kind))
        said = alpha.misread(first, info.codec, kind) if info.format.alpha else ()
    return (*(f"{what} cannot be kept in {kind}" for what in left), *said)


def _is_sound(path: Path) -> bool:
    """Whether an image's header can be read: whether it must be is decided by the reader."""
    try:
        read_header(path)
    except InputError:
        return False
    return True


def _losses_of_movie(info: ClipInfo, kind: str) -> tuple[str, ...]:
    """What a movie holds that images of a kind cannot tell."""
    found = []
    with open_input(info.path) as source:
        picture = video_of(source, info.path)
        for stream in source.streams:
            if stream.type == "video" and is_still(source):  # the ledger names what it is for
                continue
            if stream.index != picture.index and not made_by_muxers(stream, source):
                found.append(f"{kind} cannot hold {stream_name(stream)}, which is left out")
        words = list({**stream_metadata(picture, kind), **container_metadata(source)})
    words = [word for word in words if word.lower() not in NOT_WORDS]
    if words:
        found.append(f"{kind} cannot keep the {', '.join(words[:_NAMED])}")
    if info.variable_rate:
        found.append(f"{kind} cannot keep the times of frames, which last unequally long")
    kept = {item for item, kinds in _KEPT.items() if kind in kinds} | _OF_SAMPLES
    kept |= {"rotation", MIRRORED} if turn.is_told(info) else set()
    for item, detail in contents(info).items():
        if item not in kept:
            found.append(f"{kind} cannot keep the {item}{f' ({detail})' if detail else ''}")
    return tuple(found)


# Items of a movie's ledger that images tell, and what is turned into their samples.
_KEPT = {
    "HDR10 metadata": ("png",),
    "ICC profile": ("png", "tiff"),
    "timecode": ("exr", "dpx"),
}
_OF_SAMPLES = {"color tags", "range of samples", "chroma location"}
_NAMED = 6  # words


def packed_notes(info: ClipInfo, label: str) -> tuple[str, ...]:
    """What is to be said of images that store samples in fewer bits than any that is written.

    Args:
        info: the clip.
        label: of what is written, for people.
    """
    if info.sequence is None:
        return ()
    stored = packed(info.sequence.source(0), info.codec)
    return (f"{stored} is written as {label}",) if stored else ()


def _named(*, gray: bool, alpha: bool, floating: bool, bits: int) -> str:
    base = "gray" if gray else "gbrap" if alpha else "gbrp"
    if floating:
        return f"{base}f{bits}le"
    return base if bits == 8 else f"{base}{bits}le"


def _compression(info: ClipInfo, kind: str, bits: int) -> tuple[str, tuple[str, ...]]:
    """The compression to write with, and what there is to say about it."""
    if kind not in files.LOSSLESS:
        return "", ()
    own = info.metadata.get("compression", "") if info.codec == kind else ""
    name = own.partition(":")[0]
    if name in files.LOSSLESS[kind] and not (name == "pxr24" and bits == 32):
        return own, ()
    return "zip", (f"the compression {own} is written as zip",) if own else ()


def _only_color(info: ClipInfo) -> bool:
    assert info.sequence is not None
    return not read_header(info.sequence.source(0)).layout.kept_apart
