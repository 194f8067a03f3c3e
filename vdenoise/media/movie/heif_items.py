"""What a still of a phone or camera holds beside its picture (ISO/IEC 23008-12): an item of the
ledger. FFmpeg shows further pictures as streams, whatever they are for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vdenoise.media.movie.boxes import boxes_in, top_box

# How the kind of an auxiliary picture begins or ends, and what it is to people.
_KINDS = {
    "auxid:1": "alpha", ":alpha": "alpha", "auxid:2": "a depth map", ":depth": "a depth map",
    "hdrgainmap": "a gain map", ":portraiteffectsmatte": "a matte",
}  # fmt: skip
_CODED = (b"hvc1", b"hev1", b"av01", b"avc1", b"vvc1", b"jpeg", b"grid", b"iden", b"iovl", b"unci")
_XMP = b"application/rdf+xml"


def beside_picture(path: Path) -> str:
    """``alpha, a depth map, XMP``; empty where there is nothing, or where the file is no still.

    Args:
        path: a file of the MP4 family.
    """
    meta = dict(boxes_in(top_box(path, b"meta")[4:]))
    about = meta.get(b"pitm", b"")
    primary = _number(about[4:], 2 if about[:1] == b"\0" else 4)
    items = dict(_items(meta.get(b"iinf", b"")))
    if primary not in items:
        return ""
    references = list(_references(meta.get(b"iref", b"")))
    kinds = _auxiliary(meta.get(b"iprp", b""))
    used = {number for kind, source, to in references if kind == b"dimg" for number in to}
    small = {source for kind, source, to in references if kind == b"thmb"}
    found = []
    for number, (kind, rest) in items.items():
        if number == primary or number in used:
            continue
        if number in kinds:
            told = kinds[number]
            known = (word for end, word in _KINDS.items() if told.endswith(end))
            found.append(next(known, f"a picture of the kind {told}"))
        elif number in small:
            found.append("a smaller copy")
        elif kind == b"tmap":
            found.append("a gain map")
        elif kind in _CODED:
            found.append("a further picture")
        elif kind == b"mime" and _XMP in rest:
            found.append("XMP")
    return ", ".join(dict.fromkeys(found))


def _items(box: bytes) -> Iterator[tuple[int, tuple[bytes, bytes]]]:
    """(number, (kind, what else is said)) of each item ("iinf")."""
    for kind, body in boxes_in(box[6 if box[:1] == b"\0" else 8 :]):
        if kind == b"infe" and body[:1] in (b"\2", b"\3"):
            wide = 2 if body[0] == 2 else 4
            at = 4 + wide + 2
            yield _number(body[4:], wide), (body[at : at + 4], body[at + 4 :])


def _references(box: bytes) -> Iterator[tuple[bytes, int, list[int]]]:
    """(kind, item, items that it refers to) of "iref"."""
    wide = 2 if box[:1] == b"\0" else 4
    for kind, body in boxes_in(box[4:]):
        count = _number(body[wide:], 2)
        places = range(wide + 2, wide + 2 + wide * count, wide)
        yield kind, _number(body, wide), [_number(body[at:], wide) for at in places]


def _auxiliary(box: bytes) -> dict[int, str]:
    """What kind an auxiliary picture is of ("auxC"), by its item."""
    parts = list(boxes_in(box))
    properties = list(boxes_in(next((body for kind, body in parts if kind == b"ipco"), b"")))
    found = {}
    for kind, body in parts:
        if kind != b"ipma" or len(body) < 8:
            continue
        wide, large, at = 2 if body[0] == 0 else 4, body[3] & 1, 8
        for _ in range(_number(body[4:], 4)):
            number, count = _number(body[at:], wide), body[at + wide : at + wide + 1]
            if not count:
                break
            at += wide + 1
            for _ in range(count[0]):
                place = _number(body[at:], 1 + large) & (0x7FFF if large else 0x7F)
                at += 1 + large
                if 0 < place <= len(properties) and properties[place - 1][0] == b"auxC":
                    told = properties[place - 1][1][4:].partition(b"\0")[0]
                    found[number] = told.decode(errors="replace")
    return found


def _number(data: bytes, wide: int) -> int:
    return int.from_bytes(data[:wide], "big")
