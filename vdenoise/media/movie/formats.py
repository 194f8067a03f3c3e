"""Which of an encoder's pixel formats keep what a source has, the closest first."""

from __future__ import annotations

from collections.abc import Iterator

import av

from vdenoise.media.movie.codecs import RAW_FORMATS, Codec
from vdenoise.media.movie.encoder import EncodeSettings
from vdenoise.media.movie.pixels import planar_format
from vdenoise.picture.frame import PixelFormat


def formats_of(
    codec: Codec, kind: str, source: PixelFormat, bit_depth: int | None, asked: bool
) -> Iterator[tuple[PixelFormat, str]]:
    """Pixel formats of an encoder that keep what the source has, the closest first.

    Yields the planar layout and the encoder's own name for it, which may be a packed one.

    More bits are fine; fewer only down to 10, and to 8 only when asked for. Denser chroma is fine
    when a codec was asked for by name; thinner chroma, or no alpha, never.
    """
    if codec.name == "vp9" and source.alpha and kind not in ("matroska", "webm"):
        return  # it stands beside the picture's packets, for which no other has a place
    described = av.Codec(codec.encoder, "w").video_formats
    if described is not None:
        offered = [fmt.name for fmt in described]
    else:  # uncompressed
        offered = list(RAW_FORMATS.get(kind, (source.name,)))
    found = []
    for name in offered:
        fmt = planar_format(name)
        if fmt is None or name.startswith("yuvj"):
            continue
        if (fmt.family, fmt.alpha, fmt.floating) != (source.family, source.alpha, source.floating):
            continue
        denser = (source.sub_w - fmt.sub_w) + (source.sub_h - fmt.sub_h)
        if fmt.sub_w > source.sub_w or fmt.sub_h > source.sub_h or (denser and not asked):
            continue
        if fmt.bits != (bit_depth or fmt.bits):
            continue
        narrower = fmt.bits < source.bits
        if narrower and bit_depth is None and fmt.bits < 10:
            continue
        packed = fmt.name != name
        found.append((narrower, denser, abs(fmt.bits - source.bits), packed, fmt, name))
    for *_, fmt, name in sorted(found, key=lambda item: item[:4]):
        yield fmt, name


def yuv_formats_of(
    codec: Codec, source: PixelFormat, bit_depth: int | None
) -> Iterator[tuple[PixelFormat, str]]:
    """YUV formats of an encoder that RGB can be written as, the best first: all chroma where frames
    are coded alone, for further work; 4:2:0 for delivery.

    Yields RGB with 16 bits, to be rounded once, and the encoder's own name of the YUV.
    """
    given = planar_format("gbrap16le" if source.alpha else "gbrp16le")
    assert given is not None
    if source.family != "rgb" or source.floating:
        return
    found = []
    for described in av.Codec(codec.encoder, "w").video_formats or ():
        fmt = planar_format(described.name)
        if fmt is None or fmt.family != "yuv" or described.name.startswith("yuvj"):
            continue
        wanted = bit_depth or fmt.bits
        too_few = bit_depth is None and fmt.bits < min(source.bits, 10)
        if fmt.alpha != source.alpha or fmt.bits != wanted or too_few:
            continue
        thin = fmt.sub_w + fmt.sub_h
        known = thin in (0, 1, 2) and (fmt.sub_w, fmt.sub_h) != (0, 1)  # 4:4:4, 4:2:2, 4:2:0
        if known and fmt.sub_w < 2:
            rank = thin if codec.crf is None else -thin
            packed = fmt.name != described.name
            found.append((rank, abs(fmt.bits - source.bits), packed, described.name))
    for *_, name in sorted(found):
        yield given, name


def format_notes(source: PixelFormat, settings: EncodeSettings) -> tuple[str, ...]:
    """What the user must know about the format that was chosen."""
    fmt = settings.pixel_format
    if settings.becomes_yuv:
        thin = ", its chroma thinned" if settings.written.sub_w else ""
        return (f"{source.label} is written as {settings.written.label} of BT.709{thin}",)
    if fmt.bits < source.bits:
        return (f"{source.label} is written with {fmt.bits} bits, dithered",)
    if (fmt.sub_w, fmt.sub_h) != (source.sub_w, source.sub_h):
        return (f"{source.label} is written as {fmt.label}: its chroma is interpolated",)
    return ()
