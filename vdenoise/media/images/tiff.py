"""The tags of TIFF files that go from one file into another: all but how pixels are stored.

Exif data, in JPEG and PNG as well, is laid out in the same way (TIFF 6.0, section 2; Exif 4.6.2).
OpenImageIO reads some of the tags, and writes a date, an orientation and XMP of its own.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

ByteOrder = Literal["little", "big"]

# How many bytes a value of each type has, and in how many numbers they are stored.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8, 129: 1}
_HALVES = (5, 10)  # rationals: two numbers of four bytes
EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965
_DIRECTORIES = (EXIF, GPS, INTEROPERABILITY)
ORIENTATION, ICC_PROFILE, XMP, PHOTOMETRIC, BITS, PREDICTOR = 274, 34675, 700, 262, 258, 317
COMPRESSION, OLD_DEFLATE = 259, 32946
EXTRA_SAMPLES = 338  # of each sample behind the colors: 0 unspecified, 1 and 2 alpha
GRAYS, RGB, PALETTE, YCBCR = (0, 1), 2, 3, 6  # photometric interpretations; of 0, 0 is white
# How pixels are stored: each file has its own.
_STORAGE = frozenset(
    (256, 257, BITS, COMPRESSION, PHOTOMETRIC, 273, 277, 278, 279, 284, PREDICTOR, 322, 323)
)
_STORAGE |= frozenset((324, 325, EXTRA_SAMPLES, 339))
# Further ways of storing pixels, which the file that is written does not use: order of bits, free
# places, settings of fax and JPEG compression, palette, and YCbCr.
_OTHER_STORAGE = frozenset((266, 288, 289, 292, 293, 320, 326, 327, 328, 347, *range(512, 522)))
_OTHER_STORAGE |= frozenset((529, 530, 531, 34688))
_OF_DEPTH = frozenset((280, 281, 290, 291, 301, 340, 341))  # in codes of the source
_BLACK_AND_WHITE = 532  # the same, and of Y, Cb and Cr where these are what is stored
_LOST = {330: "the smaller or further pictures inside", 37724: "Photoshop's layers"}
_LARGEST = 1 << 28  # bytes of a value; more is taken for damage


@dataclass
class Directory:
    """The tags of a picture: their types and values, these in little-endian order."""

    tags: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    inner: dict[int, Directory] = field(default_factory=dict)  # by the tags that point at them

    def number(self, tag: int) -> int | None:
        """The first value of a tag of whole numbers; None without it."""
        kind, data = self.tags.get(tag, (0, b""))
        size = _SIZES.get(kind, 0)
        return int.from_bytes(data[:size], "little") if size in (1, 2, 4, 8) and data else None


@dataclass(frozen=True)
class _Form:
    """How a file writes numbers."""

    order: str  # as `struct` says it
    big: bool  # BigTIFF: places and counts of eight bytes

    @property
    def word(self) -> str:
        return f"{self.order}{'Q' if self.big else 'I'}"

    @property
    def room(self) -> int:
        return 8 if self.big else 4


def byte_order(path: Path) -> ByteOrder:
    """Say in which order the bytes of numbers are stored.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return "big" if file.read(2) == b"MM" else "little"


def is_bigtiff(path: Path) -> bool:
    """Whether a file's places have eight bytes.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return _form_of(file)[0].big


def read_directory(file: BinaryIO) -> Directory:
    """The first directory of a TIFF file, or of Exif data, with those inside it.

    Raises:
        OSError: the file cannot be read or is damaged.
    """
    try:
        form, at = _form_of(file)
        return _directory(file, form, at, depth=2)
    except (struct.error, OverflowError, MemoryError) as error:
        raise OSError("its tags are damaged") from error


def kept_tags(source: Directory, target: Directory) -> Directory:
    """What of one file's tags belongs into another with the same picture.

    Args:
        source: the tags of the file that is copied.
        target: of the other file, which say how its pixels are stored.
    """
    same_depth = source.tags.get(BITS) == target.tags.get(BITS)
    left = _STORAGE | _OTHER_STORAGE | frozenset(_LOST)
    if not same_depth:
        left |= _OF_DEPTH
    if not same_depth or source.number(PHOTOMETRIC) != RGB:
        left |= {_BLACK_AND_WHITE}
    tags = {tag: value for tag, value in source.tags.items() if tag not in left}
    return Directory(tags, source.inner)


def lost_tags(source: Directory) -> tuple[str, ...]:
    """What is left behind because it holds other pixels, in words."""
    return tuple(words for tag, words in _LOST.items() if tag in source.tags)


def set_tags(
    target: Path,
    kept: Directory,
    *,
    order: ByteOrder = "little",
    storage: Mapping[int, tuple[int, bytes] | None] = {},
) -> None:
    """Give a TIFF file tags in the place of those that it has, but for how pixels are stored.

    Args:
        target: as OpenImageIO wrote it, in little-endian order.
        kept: the tags, with those inside.
        order: of the numbers in the whole file; those of the pixels are in it already.
        storage: what is to stand in tags that say how pixels are stored; None for no such tag.

    Raises:
        OSError: it cannot be read or written.
    """
    with target.open("r+b") as file:
        form, at = _form_of(file)
        own = _directory(file, form, at, depth=0)
        tags = {tag: value for tag, value in own.tags.items() if tag in _STORAGE}
        for tag, value in storage.items():
            tags.pop(tag, None)
            tags |= {} if value is None else {tag: value}
        form = _Form("<" if order == "little" else ">", form.big)
        at = (file.seek(0, 2) + 7) // 8 * 8
        file.seek(at)
        file.write(_encoded(Directory({**kept.tags, **tags}, kept.inner), form, at))
        file.seek(0)
        magic = (43, 8, 0) if form.big else (42,)
        file.write(b"II" if order == "little" else b"MM")
        file.write(struct.pack(f"{form.order}{len(magic)}H", *magic) + struct.pack(form.word, at))


def exif_block(kept: Directory) -> bytes:
    """Tags as JPEG and PNG hold them."""
    form = _Form("<", big=False)
    return b"II*\0" + struct.pack("<I", 8) + _encoded(kept, form, 8)


def _form_of(file: BinaryIO) -> tuple[_Form, int]:
    file.seek(0)
    head = file.read(16)
    order = ">" if head[:2] == b"MM" else "<"
    big = struct.unpack_from(f"{order}H", head, 2)[0] == 43
    form = _Form(order, big)
    return form, struct.unpack_from(form.word, head, 8 if big else 4)[0]


def _directory(file: BinaryIO, form: _Form, at: int, *, depth: int) -> Directory:
    """A directory and, to a depth, those inside it: one that points at itself has no end."""
    file.seek(at)
    counted = f"{form.order}{'Q' if form.big else 'H'}"
    count = struct.unpack(counted, file.read(struct.calcsize(counted)))[0]
    entry = 12 + 2 * (form.room - 4)
    entries = file.read(entry * min(count, 65535))
    found = Directory()
    for start in range(0, len(entries) - entry + 1, entry):
        tag, kind = struct.unpack_from(f"{form.order}HH", entries, start)
        size = _SIZES.get(kind, 0) * struct.unpack_from(form.word, entries, start + 4)[0]
        place = start + entry - form.room
        if not size:
            continue
        if size > _LARGEST:
            raise OSError("its tags are damaged")
        if size <= form.room:
            data = entries[place : place + size]
        else:
            file.seek(struct.unpack_from(form.word, entries, place)[0])
            data = file.read(size)
        value = _swapped(kind, data) if form.order == ">" else data
        if tag in _DIRECTORIES:
            if depth:
                below = int.from_bytes(value, "little")
                found.inner[tag] = _directory(file, form, below, depth=depth - 1)
        else:
            found.tags[tag] = (kind, value)
    return found


def _swapped(kind: int, data: bytes) -> bytes:
    """Values in the other byte order."""
    size = 4 if kind in _HALVES else _SIZES[kind]
    return b"".join(data[n : n + size][::-1] for n in range(0, len(data), size))


def _encoded(directory: Directory, form: _Form, at: int) -> bytes:
    """A directory with its values and those inside it, to stand at a place."""
    tags = dict(directory.tags)
    pointer = 18 if form.big else 4
    tags |= {tag: (pointer, bytes(form.room)) for tag in directory.inner}
    counted = f"{form.order}{'Q' if form.big else 'H'}"
    start = struct.calcsize(counted) + (12 + 2 * (form.room - 4)) * len(tags) + form.room
    entries, beyond = bytearray(), bytearray()
    for tag, (kind, value) in sorted(tags.items()):
        data = _swapped(kind, value) if form.order == ">" else value
        if tag in directory.inner:
            beyond += bytes(-len(beyond) % 8)
            data = struct.pack(form.word, at + start + len(beyond))
            beyond += _encoded(directory.inner[tag], form, at + start + len(beyond))
        elif len(data) > form.room:
            beyond += bytes(-len(beyond) % 8)
            place = struct.pack(form.word, at + start + len(beyond))
            beyond += data
            data = place
        entries += struct.pack(f"{form.order}HH", tag, kind)
        entries += struct.pack(form.word, len(value) // _SIZES[kind]) + data.ljust(form.room, b"\0")
    following = bytes(form.room)
    return struct.pack(counted, len(tags)) + bytes(entries) + following + bytes(beyond)
