"""What single packets of a picture tell beside its samples, seen without decoding them.

Messages (SEI) of H.264 and HEVC (ITU-T H.264 and H.265, annex D), user data of MPEG-1, MPEG-2
(ISO/IEC 13818-2, 6.2.2.2) and VC-1, and metadata units of AV1 (section 5.8). Registered user data
(ITU-T T.35) is told apart by who registered it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from vdenoise.media.av1.units import SEQUENCE_HEADER, OwnGrain, UnreadableHeader, read_sequence
from vdenoise.media.movie.frame_data import ENCODERS

CAPTIONS = "closed captions (CEA-608/708)"
LAYERS = "further layers"
GRAIN = "film grain of the decoder"
_OTHER_DATA = "user data of another kind"
_REGISTERED, _UNREGISTERED, _TIMING, _TIMECODE = 4, 5, 1, 136  # kinds of messages
_GRAIN, _DEPTH, _COLORS = 19, (23, 142, 149), (45, 47, 137, 144, 147, 148, 150, 151, 154)
_COUNTS, _COUNT = 0x40, 0x1F  # bits: whether the bytes of captions count, and how many threes
# ITU-T T.35: country and provider, and what they call theirs.
_OWNERS = (
    (b"\xb5\x00\x31GA94\x06", "bar data"),
    (b"\xb5\x00\x31DTG1", "active format description (AFD)"),
    (b"\xb5\x00\x3c\x00\x01\x04", "HDR10+ metadata"),
    (b"\xb5\x00\x3b", "Dolby Vision metadata"),
    (b"\x26\x00\x04\x00\x05", "HDR Vivid metadata"),
    (b"\xb4\x00\x50", LAYERS),  # LCEVC
    (b"\xb5\x58\x90\x00\x01", GRAIN),
)
_ATSC = b"\xb5\x00\x31GA94\x03"
_START = b"\0\0\1"
_USER_DATA = {"mpeg1video": 0xB2, "mpeg2video": 0xB2, "vc1": 0x1D}
_DVD, _SCTE20 = b"CC\1\xf8", b"\x03\x81"
_SCAN, _APP1, _EXIF, _TURNED = 0xDA, 0xE1, b"Exif\0\0", 0x0112  # of a JPEG
_MOST = 1 << 16  # bytes: no message is longer


class Statement(NamedTuple):
    """One thing that a packet tells."""

    item: str  # of the ledger; empty where it is for a decoder
    lasting: tuple[int, bytes] | None = None  # kind and body of what holds from here on


def told_by(codec: str, data: bytes, lengths: int) -> Iterator[Statement]:
    """What a packet tells.

    Args:
        codec: FFmpeg's name.
        data: the packet.
        lengths: bytes in which the length of each of its units is told; 0 where they begin with
            start codes.
    """
    if codec in ("h264", "hevc"):
        yield from _by_messages(codec == "hevc", data, lengths)
    elif codec == "av1":
        yield from _by_metadata(data)
    elif codec == "mjpeg":
        yield from _by_segments(data)
    elif codec in _USER_DATA:
        yield from _by_user_data(data, _USER_DATA[codec])


def length_bytes(codec: str, extradata: bytes) -> int:
    """``lengths`` of `told_by`, by the header of a stream (avcC and hvcC, ISO/IEC 14496-15)."""
    place = {"h264": 4, "hevc": 21}.get(codec)
    if place is None or extradata[:1] != b"\1" or len(extradata) <= place:
        return 0
    return (extradata[place] & 3) + 1


def _by_messages(hevc: bool, data: bytes, lengths: int) -> Iterator[Statement]:
    for unit in _units(data, lengths):
        kind = unit[0] >> 1 & 0x3F if hevc else unit[0] & 0x1F
        if (hevc and len(unit) > 1 and (unit[0] & 1 or unit[1] >> 3)) or (
            not hevc and kind in (15, 20)
        ):
            # Of MV-HEVC, SHVC, MVC or SVC: nothing else in it is the picture's
            yield Statement(LAYERS)
        elif hevc and kind in (62, 63):
            yield Statement("Dolby Vision metadata" if kind == 62 else LAYERS)
        elif kind in ((39, 40) if hevc else (6,)):
            body = unit[2 if hevc else 1 :].replace(b"\0\0\3", b"\0\0")
            for number, said in _messages(body):
                yield from _by_message(number, said)


def _units(data: bytes, lengths: int) -> Iterator[bytes]:
    """The units of a packet; of long ones, which are pictures, only the beginning."""
    at = 0
    if lengths:
        while at + lengths < len(data):
            size = int.from_bytes(data[at : at + lengths], "big")
            at += lengths
            yield data[at : at + min(size, _MOST)] or b"\0"
            at += size
        return
    at = data.find(_START)
    while at >= 0:
        end = data.find(_START, at + 3)
        yield data[at + 3 : min(end if end >= 0 else len(data), at + 3 + _MOST)] or b"\0"
        at = end


def _messages(body: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind, contents) of the messages of a unit; what is cut off is none."""
    at = 0
    while at + 2 < len(body):
        numbers = []
        for _ in range(2):
            value = 0
            while at < len(body) and body[at] == 0xFF:
                value, at = value + 0xFF, at + 1
            if at >= len(body):
                return
            numbers.append(value + body[at])
            at += 1
        kind, size = numbers
        if at + size >= len(body):  # a bit of its own ends the unit
            return
        yield kind, body[at : at + size]
        at += size


def _by_message(kind: int, said: bytes) -> Iterator[Statement]:
    if kind == _REGISTERED:
        if item := _by_owner(said):
            yield Statement(item)
    elif kind == _UNREGISTERED:
        if len(said) > 16 and said[:16] not in ENCODERS:
            yield Statement("user data of single frames")
    elif kind == _TIMECODE:
        if said and said[0] >> 6:
            yield Statement("timecodes of single frames")
    elif kind == _GRAIN:
        if said and not said[0] & 0x80:  # film_grain_characteristics_cancel_flag
            yield Statement(GRAIN)
    elif kind in _DEPTH:
        if said and not said[0] & 0x80:
            yield Statement("hints on how colors are shown")
    elif kind in _COLORS:
        yield Statement("", (kind, said))
    elif kind == _TIMING:  # longer where it holds a timecode, which only a decoder can tell
        yield Statement("", (kind, bytes((len(said),))))


def _by_owner(said: bytes) -> str:
    """The item that registered user data are; empty for captions that nobody could show."""
    if said.startswith(_ATSC):
        return CAPTIONS if _holds_captions(said[len(_ATSC) :]) else ""
    if said.startswith(_OWNERS[1][0]) and not said[len(_OWNERS[1][0]) :][:1] > b"\x3f":
        return ""  # no format is active
    return next((item for owner, item in _OWNERS if said.startswith(owner)), _OTHER_DATA)


def _holds_captions(said: bytes) -> bool:
    """Whether ATSC's message holds captions: CTA-708 tells how many of three bytes each follow, and
    whether they count; where that is none, or more than there are, nobody shows any."""
    count = said[0] & _COUNT if said else 0
    return bool(count and said[0] & _COUNTS and len(said) >= 2 + 3 * count)


def _by_user_data(data: bytes, code: int) -> Iterator[Statement]:
    """What user data say that stand behind a start code, as in MPEG-2."""
    mark = _START + bytes((code,))
    at = data.find(mark)
    while at >= 0:
        end = data.find(_START, at + 4)
        said = data[at + 4 : end if end >= 0 else len(data)]
        if said.startswith((b"GA94", b"DTG1")):
            item = _by_owner(b"\xb5\x00\x31" + said)
        elif said.startswith((_DVD, _SCTE20)):
            item = CAPTIONS
        else:  # encoders give their name in letters
            named = all(32 <= byte < 127 or byte in b"\0\t\n\r" for byte in said)
            item = "" if named else _OTHER_DATA
        if item:
            yield Statement(item)
        at = data.find(mark, at + 4)


def _by_segments(data: bytes) -> Iterator[Statement]:
    """What the segments of a JPEG in front of its picture tell: Exif, and how it is turned."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _SCAN:
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        said = data[at + 4 : at + 2 + size]
        if data[at + 1] == _APP1 and said.startswith(_EXIF):
            yield Statement("Exif", (_APP1, _orientation(said[len(_EXIF) :])))
        at += 2 + size


def _orientation(exif: bytes) -> bytes:
    """How a picture is turned, by the first directory of Exif's TIFF; empty where it tells none."""
    order: Literal["little", "big"] = "little" if exif[:2] == b"II" else "big"
    begin = int.from_bytes(exif[4:8], order)
    count = int.from_bytes(exif[begin : begin + 2], order)
    for at in range(begin + 2, min(begin + 2 + 12 * count, len(exif) - 11), 12):
        if int.from_bytes(exif[at : at + 2], order) == _TURNED:
            return exif[at + 8 : at + 10]
    return b""


def _by_metadata(data: bytes) -> Iterator[Statement]:
    for kind, layered, body in _obus(data):
        if layered:
            yield Statement(LAYERS)
        elif kind == SEQUENCE_HEADER and _grainy(body):
            yield Statement(GRAIN)
        elif kind == 5 and body:  # OBU_METADATA
            what, said = body[0], body[1:].rstrip(b"\0")[:-1]  # a bit of its own ends it
            if what == 4 and (item := _by_owner(said)):
                yield Statement(item)
            elif what == 5:
                yield Statement("timecodes of single frames")
            elif what in (1, 2):
                yield Statement("", (what, said))


def _grainy(sequence: bytes) -> bool:
    """Whether a sequence header of AV1 says that frames may tell film grain: which of them do, only
    a decoder knows."""
    try:
        read_sequence(sequence)
    except OwnGrain:
        return True
    except UnreadableHeader:
        return False
    return False


def _obus(data: bytes) -> Iterator[tuple[int, bool, bytes]]:
    """(obu_type, whether it is of a layer above the first, contents) of an AV1 packet's units."""
    at = 0
    while at < len(data):
        head, extended = data[at], bool(data[at] & 4)
        layered = extended and at + 1 < len(data) and bool(data[at + 1] >> 3)
        at += 1 + extended
        size, shift = (len(data) - at, 0) if not head & 2 else (0, 0)
        while head & 2 and at < len(data):
            byte, at = data[at], at + 1
            size |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                break
        yield head >> 3 & 15, layered, data[at : at + min(size, _MOST)]
        at += size
