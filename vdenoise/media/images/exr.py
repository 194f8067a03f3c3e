"""The attributes of OpenEXR files, which go from one file into another as they are.

OpenImageIO leaves out what it does not know, and adds a date. The layout of the file is that of
"OpenEXR File Layout": headers of all parts, then tables of where the chunks of pixels are.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

Header = dict[bytes, tuple[bytes, bytes]]  # type and value of each attribute, by its name

_PARTS, _LONG_NAMES = 0x1000, 0x400  # flags of the version
_SHORT = 31  # bytes of a name that need no flag
# How pixels are stored: each file has its own.
_STORAGE = frozenset((b"channels", b"compression", b"dataWindow", b"lineOrder", b"tiles"))
_STORAGE |= frozenset((b"chunkCount", b"version", b"type"))


def carry_attributes(target: Path, source: Path) -> None:
    """Give a file the attributes of another one with the same parts, but for how pixels are stored.

    Args:
        target: as OpenImageIO wrote it.
        source: whose attributes it is to have.

    Raises:
        OSError: one of them cannot be read or written.
    """
    made, own = headers(target), headers(source)
    if len(made) != len(own):
        raise OSError("its parts are others than those of the original")
    set_headers(target, [{**_storage(a), **_kept(b)} for a, b in zip(made, own, strict=True)])


def kept_attributes(path: Path) -> dict[str, tuple[bytes, bytes]]:
    """What :func:`carry_attributes` carries: type and value by ``part:name``.

    Raises:
        OSError: the file cannot be read.
    """
    return {
        f"{part}:{name.decode('latin-1')}": value
        for part, header in enumerate(headers(path))
        for name, value in _kept(header).items()
    }


def headers(path: Path) -> list[Header]:
    """The attributes of every part.

    Raises:
        OSError: the file cannot be read or is damaged.
    """
    return _parsed(path.read_bytes())[0]


def set_headers(target: Path, wanted: Sequence[Header]) -> None:
    """Put other attributes into a file; its pixels move, and where they are is written anew.

    Args:
        target: a file that OpenEXR wrote: its pixels begin behind the tables of their places.
        wanted: for every part.

    Raises:
        OSError: it cannot be read or written.
    """
    data = target.read_bytes()
    _, start = _parsed(data)
    version = struct.unpack_from("<I", data, 4)[0]
    if any(len(name) > _SHORT for header in wanted for name in header):
        version |= _LONG_NAMES
    new = data[:4] + struct.pack("<I", version)
    for header in wanted:
        for name, (kind, value) in header.items():
            new += name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value
        new += b"\0"
    new += b"\0" if version & _PARTS else b""
    places, at, first = [], start, len(data)
    while at < first:
        places.append(struct.unpack_from("<Q", data, at)[0])
        first, at = min(first, places[-1]), at + 8
    moved = (place + len(new) - start for place in places)
    target.write_bytes(new + struct.pack(f"<{len(places)}Q", *moved) + data[at:])


def _parsed(data: bytes) -> tuple[list[Header], int]:
    """The attributes of every part, and where the tables behind them begin."""
    try:
        several = struct.unpack_from("<I", data, 4)[0] & _PARTS
        found: list[Header] = []
        at = 8
        while True:
            header: Header = {}
            while data[at]:
                end = data.index(b"\0", at)
                name, at = data[at:end], end + 1
                end = data.index(b"\0", at)
                kind, at = data[at:end], end + 1
                size = struct.unpack_from("<i", data, at)[0]
                if not 0 <= size <= len(data) - at:
                    raise OSError("its header is damaged")
                header[name] = (kind, data[at + 4 : at + 4 + size])
                at += 4 + size
            found.append(header)
            at += 1
            if not several:
                return found, at
            if not data[at]:
                return found, at + 1
    except (struct.error, IndexError, ValueError) as error:
        raise OSError("its header is damaged") from error


def _storage(header: Header) -> Header:
    return {name: value for name, value in header.items() if name in _STORAGE}


def _kept(header: Header) -> Header:
    return {name: value for name, value in header.items() if name not in _STORAGE}
