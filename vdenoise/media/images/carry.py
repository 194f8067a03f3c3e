"""What belongs to a picture beside its samples, carried from the file it was read from.

OpenImageIO knows a part of it, and adds what nobody asked for. So each kind's own bytes are
carried: what a file holds of them is in `kept`, and must be the same before and after.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vdenoise.media.images import dpx, exr, png, tiff


def prepare(spec: Any, source: Path, kind: str) -> None:
    """Tell OpenImageIO's header for a copy what its reader does not tell.

    Args:
        spec: of the file that is written.
        source: the file it is like.
        kind: of both.

    Raises:
        OSError: the file cannot be read.
    """
    if kind == "dpx":
        spec.attribute("oiio:Endian", dpx.byte_order(source))
        spec.erase_attribute("dpx:EndOfLinePadding")
        spec.erase_attribute("dpx:EndOfImagePadding")
    elif kind == "tiff":
        spec.attribute("tiff:half", 1)
        if spec.get_int_attribute("oiio:BitsPerSample", 8) < 8:
            spec.attribute("oiio:BitsPerSample", 8)  # the samples are no longer black or white
        spec.attribute("tiff:bigtiff", int(tiff.is_bigtiff(source)))
        spec.attribute("tiff:write_exif", 0)
        # Its own choice for floats is read by few; differences of swapped numbers would be wrong.
        own = 1 if stored_swapped(source, kind) else _tags(source).number(tiff.PREDICTOR) or 1
        spec.attribute("tiff:Predictor", own)


def stored_swapped(source: Path, kind: str) -> bool:
    """Whether samples are to be handed over in the other byte order: OpenImageIO writes TIFF in
    little-endian order only."""
    return kind == "tiff" and tiff.byte_order(source) == "big"


def stored_inverted(source: Path, kind: str) -> bool:
    """Whether 0 is white in the file: OpenImageIO reads and writes that as if it were black."""
    return kind == "tiff" and _tags(source).number(tiff.PHOTOMETRIC) == 0


def carry(target: Path, source: Path, kind: str, *, copied: bool = True) -> None:
    """Give a file what belongs to the picture in another of its kind, in the place of its own.

    Args:
        target: as OpenImageIO wrote it.
        source: whose belongings it gets.
        kind: of both.
        copied: the samples are stored as in ``source``: in its byte order, 0 as white if so there.

    Raises:
        OSError: one of them cannot be read or written.
    """
    if kind == "dpx":
        dpx.carry_header(target, source)
    elif kind == "exr":
        exr.carry_attributes(target, source)
    elif kind == "png":
        png.set_chunks(target, *png.kept_chunks(source, target))
    elif kind == "tiff":
        own = _tags(source)
        tags = tiff.kept_tags(own, _tags(target))
        if not copied:
            tiff.set_tags(target, tags)
            return
        # OpenImageIO goes by the number of samples: further ones become colors, or alpha.
        storage = {tiff.EXTRA_SAMPLES: own.tags.get(tiff.EXTRA_SAMPLES)}
        if own.number(tiff.PHOTOMETRIC) in tiff.GRAYS:
            storage[tiff.PHOTOMETRIC] = own.tags[tiff.PHOTOMETRIC]
        if own.number(tiff.COMPRESSION) == tiff.OLD_DEFLATE:  # the same under another number
            storage[tiff.COMPRESSION] = own.tags[tiff.COMPRESSION]
        tiff.set_tags(target, tags, order=tiff.byte_order(source), storage=storage)


def kept(source: Path, target: Path, kind: str) -> dict[str, Any]:
    """What of a file belongs into another one, by name.

    Raises:
        OSError: one of them cannot be read.
    """
    if kind == "dpx":
        return {**dpx.kept_header(source), "byte order": dpx.byte_order(source)}
    if kind == "exr":
        return {**exr.kept_attributes(source)}
    if kind == "png":
        before, after = png.kept_chunks(source, target)
        return {f"{n} {c.decode('latin-1')}": data for n, (c, data) in enumerate((*before, *after))}
    found = tiff.kept_tags(_tags(source), _tags(target))
    names: dict[str, Any] = {f"tag {tag}": value for tag, value in found.tags.items()}
    names |= {f"tags in {tag}": inner for tag, inner in found.inner.items()}
    return {**names, "byte order": tiff.byte_order(source)}


def lost(source: Path, kind: str) -> tuple[str, ...]:
    """What of a file cannot go into a copy with other samples, in words.

    Raises:
        OSError: it cannot be read.
    """
    if kind == "png":
        return tuple(f"the PNG chunk {name}" for name in png.lost_chunks(source))
    return tiff.lost_tags(_tags(source)) if kind == "tiff" else ()


def _tags(path: Path) -> tiff.Directory:
    with path.open("rb") as file:
        return tiff.read_directory(file)
