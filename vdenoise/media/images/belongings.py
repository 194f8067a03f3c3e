"""What belongs to a picture beside its samples, taken from one kind of image file into another.

Exif, ICC profile and XMP go over as they are between JPEG, TIFF and PNG; what the other kind cannot
hold is named.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from vdenoise.media.h273 import PRIMARIES, TRANSFERS, UNKNOWN, code_point
from vdenoise.media.images import icc, png, tiff
from vdenoise.media.images.pictures import jpeg_segments
from vdenoise.media.images.tiff import Directory
from vdenoise.media.movie import hdr
from vdenoise.picture.frame import ClipInfo

_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_PNG_XMP = b"XML:com.adobe.xmp\0\0\0\0\0"
_WHITE, _CHROMATICITIES = 318, 319
_RESOLUTION = (282, 283, 296)  # across, down, unit: 1 none, 2 inch, 3 cm
# Text chunks of PNG that TIFF has a tag for.
_TEXTS = {b"Title": 269, b"Description": 270, b"Software": 305, b"Author": 315, b"Copyright": 33432}
_COLOR_CHUNKS = (b"cHRM", b"gAMA", b"sRGB", b"cICP", b"mDCV", b"cLLI")
# cHRM: white, red, green, blue as x and y, times 100000.
_KNOWN_CHROMATICITIES = {
    (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000): "bt709",
    (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000): "smpte432",
    (31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600): "bt2020",
}
# What OpenImageIO calls the colors of pictures for a display, by primaries and transfer.
COLOR_SPACES = {
    ("bt709", "iec61966-2-1"): "srgb_rec709_scene",
    ("smpte432", "iec61966-2-1"): "srgb_p3d65_scene",
}
_COLR = 12  # bytes of QuickTime's "colr" box before the profile in it
_UNCALIBRATED, _COLOR_SPACE = 65535, 40961  # Exif: no sRGB


@dataclass(frozen=True)
class Belongings:
    """What belongs to a picture, in forms that several kinds of files hold."""

    tags: Directory = field(default_factory=Directory)  # of Exif, as TIFF has them
    profile: bytes = b""  # ICC
    xmp: bytes = b""
    color: dict[bytes, bytes] = field(default_factory=dict)  # color chunks as PNG has them

    @property
    def orientation(self) -> int:
        """How the picture is to be turned to be seen, as Exif counts; 1 is not at all."""
        told = self.tags.number(tiff.ORIENTATION) or 1
        return told if 1 <= told <= 8 else 1

    @property
    def chromaticities(self) -> tuple[float, ...] | None:
        """x and y of red, green, blue and white, where the file says them."""
        if b"cICP" in self.color:
            name = PRIMARIES.get(self.color[b"cICP"][0], UNKNOWN)
            known = {found: numbers for numbers, found in _KNOWN_CHROMATICITIES.items()}.get(name)
            return None if known is None else tuple(v / 1e5 for v in (*known[2:], *known[:2]))
        if b"cHRM" not in self.color:
            return None
        numbers = [value / 1e5 for value in struct.unpack(">8I", self.color[b"cHRM"])]
        return (*numbers[2:], *numbers[:2])

    def primaries_and_transfer(self, *, display: bool) -> tuple[str, str]:
        """What color the samples stand for, as H.273 calls it; "unknown" where that is not said.

        Args:
            display: of a kind that holds sRGB where nothing is said (PNG, JPEG).
        """
        if (told := self.color.get(b"cICP")) is not None:
            return PRIMARIES.get(told[0], UNKNOWN), TRANSFERS.get(told[1], UNKNOWN)
        if self.profile:
            return icc.primaries_and_transfer(self.profile)
        if b"sRGB" in self.color:
            return "bt709", "iec61966-2-1"
        exif = self.tags.inner.get(tiff.EXIF, Directory())
        if b"gAMA" in self.color or b"cHRM" in self.color:
            primaries = UNKNOWN
            if b"cHRM" in self.color:
                numbers = struct.unpack(">8I", self.color[b"cHRM"])
                primaries = _KNOWN_CHROMATICITIES.get(numbers, UNKNOWN)
            gamma = struct.unpack(">I", self.color.get(b"gAMA", bytes(4)))[0]
            return primaries, {45455: "gamma22", 100000: "linear"}.get(gamma, UNKNOWN)
        if not display or exif.number(_COLOR_SPACE) == _UNCALIBRATED:
            return UNKNOWN, UNKNOWN
        return "bt709", "iec61966-2-1"


NOTHING = Belongings()


def belongings(path: Path, kind: str) -> Belongings:
    """What belongs to the picture in a JPEG, TIFF or PNG; nothing for other kinds.

    Raises:
        OSError: the file cannot be read.
    """
    if kind == "tiff":
        with path.open("rb") as file:
            return _of_tags(tiff.kept_tags(tiff.read_directory(file), Directory()))
    if kind == "jpeg":
        return _of_jpeg(path.read_bytes())
    return _of_png(path) if kind == "png" else NOTHING


def of_movie(info: ClipInfo, orientation: int) -> Belongings:
    """What belongs to the pictures of a movie: its color and how it is turned.

    Args:
        info: of the movie.
        orientation: as Exif counts.
    """
    tags = {tiff.ORIENTATION: (3, struct.pack("<H", orientation))} if orientation != 1 else {}
    color = {}
    if (info.primaries, info.transfer) != (UNKNOWN, UNKNOWN):
        points = code_point(PRIMARIES, info.primaries), code_point(TRANSFERS, info.transfer)
        color[b"cICP"] = bytes((*points, 0, 1))
    profile = info.boxes.get("ICC profile", b"")[_COLR:]
    return Belongings(Directory(tags), profile, color=color | hdr.png_chunks(info.hdr))


def put(target: Path, kind: str, own: Belongings) -> None:
    """Give a TIFF or PNG that OpenImageIO wrote what belongs to its picture, in the place of what
    it added by itself: of that, words about the picture stay.

    Raises:
        OSError: it cannot be read or written.
    """
    if kind == "tiff":
        with target.open("rb") as file:
            made = tiff.read_directory(file).tags
        tags = {tag: made[tag] for tag in _TEXTS.values() if tag in made} | own.tags.tags
        if own.profile:
            tags[tiff.ICC_PROFILE] = (7, own.profile)
        if own.xmp:
            tags[tiff.XMP] = (1, own.xmp)
        if own.chromaticities is not None:
            numbers = [round(value * 1e5) for value in own.chromaticities]
            flat = struct.pack("<16I", *(part for n in numbers for part in (n, 100000)))
            tags[_CHROMATICITIES], tags[_WHITE] = (5, flat[:48]), (5, flat[48:])
        tiff.set_tags(target, Directory(tags, own.tags.inner))
    elif kind == "png":
        texts = [chunk for chunk in png.chunks(target) if chunk[0] == b"tEXt"]
        words = [chunk for chunk in texts if chunk[1].partition(b"\0")[0] in _TEXTS]
        png.set_chunks(target, (*_chunks(own), *(() if own.tags.tags else words)))


def lost(own: Belongings, kind: str) -> tuple[str, ...]:
    """What belongs to a picture and cannot go into another kind of file, in words.

    Args:
        own: of the picture.
        kind: "tiff", "png", "exr", "dpx", or "movie".
    """
    found = []
    color = own.primaries_and_transfer(display=False)
    named = color != (UNKNOWN, UNKNOWN)
    said = (named and kind == "movie") or (color in COLOR_SPACES and kind == "exr")
    if own.profile and kind not in ("tiff", "png") and not said:
        name = icc.description(own.profile)
        found.append(f"the ICC profile{f' ({name})' if name else ''}")
    held = {"png": _COLOR_CHUNKS, "tiff": (b"cHRM",), "exr": (b"cHRM",)}.get(kind, ())
    if color in COLOR_SPACES and kind == "exr":
        held = (b"cHRM", b"sRGB", b"gAMA", b"cICP")
    if kind == "movie" and named:
        held = (b"cICP", b"sRGB", b"cHRM", b"gAMA")
    tags = [chunk.decode("latin-1") for chunk in own.color if chunk not in held]
    if tags:
        found.append(f"the color tags {', '.join(tags)}")
    if own.xmp and kind not in ("tiff", "png"):
        found.append("XMP")
    if own.tags.inner and kind in ("dpx", "movie"):
        found.append("Exif")
    return tuple(found)


def _of_tags(tags: Directory) -> Belongings:
    """What tags of TIFF say, apart from the profile and XMP."""
    rest = dict(tags.tags)
    profile, xmp = rest.pop(tiff.ICC_PROFILE, (7, b""))[1], rest.pop(tiff.XMP, (1, b""))[1]
    color = {}
    white, others = (rest.get(tag, (0, b""))[1] for tag in (_WHITE, _CHROMATICITIES))
    if len(white) == 16 and len(others) == 48:
        numbers = struct.unpack("<16I", white + others)
        if all(numbers[1::2]):
            values = [round(1e5 * a / b) for a, b in zip(numbers[::2], numbers[1::2], strict=True)]
            color[b"cHRM"] = struct.pack(">8I", *values)
            del rest[_WHITE], rest[_CHROMATICITIES]
    return Belongings(Directory(rest, tags.inner), profile, xmp, color)


def _of_exif(data: bytes) -> Belongings:
    try:
        return _of_tags(tiff.kept_tags(tiff.read_directory(io.BytesIO(data)), Directory()))
    except OSError:
        return Belongings()  # what cannot be read by anyone is not carried


def _of_jpeg(data: bytes) -> Belongings:
    exif, xmp, parts, density = b"", b"", {}, b""
    for marker, content in jpeg_segments(data):
        if marker == 0xE1 and content.startswith(b"Exif\0\0"):
            exif = exif or content[6:]
        elif marker == 0xE1 and content.startswith(_XMP):
            xmp = xmp or content[len(_XMP) :]
        elif marker == 0xE2 and content.startswith(b"ICC_PROFILE\0"):
            parts[content[12]] = content[14:]
        elif marker == 0xE0 and content.startswith(b"JFIF\0") and len(content) >= 12:
            density = content[7:12]
    found = _of_exif(exif)
    tags = dict(found.tags.tags)
    if density and density[0] in (1, 2) and _RESOLUTION[0] not in tags:
        _, across, down = struct.unpack(">BHH", density)
        tags |= _resolution(across, down, density[0] + 1)
    profile = b"".join(parts[n] for n in sorted(parts))
    return Belongings(Directory(tags, found.tags.inner), profile, xmp, found.color)


def _of_png(path: Path) -> Belongings:
    chunks = dict(reversed([chunk for chunk in png.chunks(path) if chunk[0] != b"iTXt"]))
    found = _of_exif(chunks.get(b"eXIf", b""))
    tags, profile = dict(found.tags.tags), b""
    if b"iCCP" in chunks:
        packed = chunks[b"iCCP"].partition(b"\0")[2][1:]
        try:
            profile = zlib.decompress(packed)
        except zlib.error as error:
            raise OSError("its ICC profile is damaged") from error
    for kind, data in png.chunks(path):
        word, _, text = data.partition(b"\0")
        if kind == b"tEXt" and word in _TEXTS:
            tags.setdefault(_TEXTS[word], (2, text + b"\0"))
    if len(chunks.get(b"pHYs", b"")) == 9:
        across, down, meters = struct.unpack(">IIB", chunks[b"pHYs"])
        scale = 0.0254 if meters else 1
        tags |= _resolution(across * scale, down * scale, 2 if meters else 1)
    texts = (data for kind, data in png.chunks(path) if kind == b"iTXt")
    xmp = next((t[len(_PNG_XMP) :] for t in texts if t.startswith(_PNG_XMP)), b"")
    color = {kind: chunks[kind] for kind in _COLOR_CHUNKS if kind in chunks}
    if len(color.get(b"cHRM", bytes(32))) != 32:
        del color[b"cHRM"]
    return Belongings(Directory(tags, found.tags.inner), profile, xmp, color)


def _resolution(across: float, down: float, unit: int) -> dict[int, tuple[int, bytes]]:
    pair = [struct.pack("<II", round(value * 10000), 10000) for value in (across, down)]
    values = ((5, pair[0]), (5, pair[1]), (3, struct.pack("<H", unit)))
    return dict(zip(_RESOLUTION, values, strict=True))


def _chunks(own: Belongings) -> list[png.Chunk]:
    """Chunks of a PNG that say what belongs to the picture."""
    found = [(kind, own.color[kind]) for kind in _COLOR_CHUNKS if kind in own.color]
    if own.profile:
        found = [(b"iCCP", b"icc\0\0" + zlib.compress(own.profile))]
    tags = dict(own.tags.tags)
    across, down = (tags.get(tag, (0, b""))[1] for tag in _RESOLUTION[:2])
    if len(across) == len(down) == 8:
        unit = own.tags.number(_RESOLUTION[2]) or 2
        scale = {2: 1 / 0.0254, 3: 100.0}.get(unit, 1.0)
        (a, b), (c, d) = struct.unpack("<II", across), struct.unpack("<II", down)
        if b and d:
            numbers = round(a / b * scale), round(c / d * scale)
            found.append((b"pHYs", struct.pack(">IIB", *numbers, unit in (2, 3))))
            tags = {tag: value for tag, value in tags.items() if tag not in _RESOLUTION}
    if tags or own.tags.inner:
        found.append((b"eXIf", tiff.exif_block(Directory(tags, own.tags.inner))))
    if own.xmp:
        found.append((b"iTXt", _PNG_XMP + own.xmp))
    return found
