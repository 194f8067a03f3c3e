"""What an MPEG transport stream says of its programs (ISO/IEC 13818-1, ETSI EN 300 468).

PyAV tells nothing of programs: their names and numbers are read from the stream's own tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from av.container import Container, InputContainer, OutputContainer

from vdenoise.media.movie.demuxers import first_file
from vdenoise.media.movie.transport import Bytes, blocks

_PROGRAMS, _DESCRIPTIONS = 0, 0x11  # PIDs of the tables
_PAT, _PMT, _SDT = 0x00, 0x02, 0x42  # their own numbers
_SERVICE = 0x48  # descriptor
_FREE_PID = 0x20  # below are those of tables
_FREE_IN_M2TS = 0x1011  # below are those of tables there, at places that are fixed
# What FFmpeg's muxer says where it is told nothing.
_NOBODYS = re.compile(r"Service\d+|FFmpeg")


@dataclass(frozen=True)
class Service:
    """A program."""

    number: int
    table: int  # PID of its map
    transport: int  # number of the transport stream
    network: int | None  # number of the network that made it, None where nothing is said
    streams: tuple[int, ...]  # PIDs
    name: str
    provider: str

    @property
    def words(self) -> dict[str, str]:
        """The names that somebody gave, by FFmpeg's keys."""
        told = {"service_name": self.name, "service_provider": self.provider}
        return {key: word for key, word in told.items() if word and not _NOBODYS.fullmatch(word)}


def services_in(path: Path) -> tuple[Service, ...]:
    """The programs of a transport stream, by the tables near its beginning; none of others."""
    for _, packets, _ in blocks(path):
        pids = (packets[:, 1].astype(np.int32) & 0x1F) << 8 | packets[:, 2]
        programs: dict[int, int] = {}
        transport = 0
        for table in _tables(packets[pids == _PROGRAMS], _PAT):
            transport = _word(table, 3)
            for at in range(8, len(table) - 3, 4):
                programs.setdefault(_word(table, at), _word(table, at + 2) & 0x1FFF)
        programs.pop(0, None)  # the network's own
        network: int | None = None
        names: dict[int, tuple[str, str]] = {}
        for table in _tables(packets[pids == _DESCRIPTIONS], _SDT):
            network = _word(table, 8)
            names |= dict(_names(table))
        return tuple(
            Service(
                number, pid, transport, network, tuple(_streams(packets[pids == pid], number)),
                *names.get(number, ("", "")),
            )
            for number, pid in programs.items()
        )  # fmt: skip
    return ()


def service_of(source: InputContainer) -> Service | None:
    """The program that the picture of an open transport stream belongs to; None of others."""
    if source.format.name != "mpegts" or not source.streams.video:
        return None
    found = services_in(first_file(source))
    picture = source.streams.video[0].id
    return next((s for s in found if picture in s.streams), found[0] if found else None)


def other_names(source: InputContainer) -> Iterator[str]:
    """The names of further programs: what is written has one."""
    own = service_of(source)
    if own is not None:
        for service in services_in(first_file(source)):
            if service.number != own.number and service.words:
                yield service.name or service.provider


def muxer_options(source: InputContainer, *, m2ts: bool) -> dict[str, str]:
    """Options for FFmpeg's muxer that keep a program's numbers; none of another kind of source.

    Args:
        source: the clip.
        m2ts: whether M2TS is written.
    """
    service = service_of(source)
    if service is None:
        return {}
    network = 1 if service.network is None else service.network
    return {
        "mpegts_service_id": str(service.number),
        "mpegts_transport_stream_id": str(service.transport),
        "mpegts_original_network_id": str(network),
        **({"mpegts_pmt_start_pid": str(service.table)} if keeps_pids(source, m2ts=m2ts) else {}),
    }


def keeps_pids(source: Container, *, m2ts: bool) -> bool:
    """Whether all PIDs of a transport stream can be those of another one, or of M2TS."""
    service = service_of(source) if isinstance(source, InputContainer) else None
    if service is None:
        return False
    streams = [stream.id for stream in source.streams]
    if m2ts:
        return min(streams) >= _FREE_IN_M2TS
    return min(service.table, *streams) >= _FREE_PID


def is_m2ts(output: OutputContainer) -> bool:
    """Whether a transport stream is written as M2TS."""
    return output.container_options.get("mpegts_m2ts_mode") == "1"


def _tables(packets: Bytes, kind: int) -> Iterator[bytes]:
    """The whole tables of one kind in the packets of one PID, without their checksums."""
    held = b""
    for row in packets:
        packet = row.tobytes()
        if not packet[3] & 0x10:  # no payload
            continue
        data = packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]
        if packet[1] & 0x40 and data:  # a table begins in it
            yield from _whole(held + data[1 : 1 + data[0]], kind)
            held = data[1 + data[0] :]
        else:
            held += data
        yield from _whole(held, kind)


def _whole(data: bytes, kind: int) -> Iterator[bytes]:
    at = 0
    while at + 3 <= len(data) and data[at] != 0xFF:
        length = 3 + (_word(data, at + 1) & 0xFFF)
        if at + length > len(data):
            return
        if data[at] == kind and length >= 12 and data[at + 5] & 1:  # in force now
            yield data[at : at + length - 4]
        at += length


def _streams(packets: Bytes, number: int) -> Iterator[int]:
    """PIDs of the streams of a program."""
    for table in _tables(packets, _PMT):
        if _word(table, 3) != number or len(table) < 12:
            continue
        at = 12 + (_word(table, 10) & 0xFFF)
        while at + 5 <= len(table):
            yield _word(table, at + 1) & 0x1FFF
            at += 5 + (_word(table, at + 3) & 0xFFF)
        return


def _names(table: bytes) -> Iterator[tuple[int, tuple[str, str]]]:
    """(program number, (name, provider)) of a table of descriptions."""
    at = 11
    while at + 5 <= len(table):
        number, length = _word(table, at), _word(table, at + 3) & 0xFFF
        inside, place = table[at + 5 : at + 5 + length], 0
        while place + 2 <= len(inside):
            data = inside[place + 2 : place + 2 + inside[place + 1]]
            if inside[place] == _SERVICE and len(data) > 2:
                middle = 2 + data[1]
                yield number, (_text(data[middle + 1 :]), _text(data[2:middle]))
            place += 2 + inside[place + 1]
        at += 5 + length


def _text(data: bytes) -> str:
    """Text as broadcasts code it (ETSI EN 300 468, annex A)."""
    mark: Any = data[:1]
    if mark == b"\x15":
        return data[1:].decode("utf-8", "replace")
    if mark == b"\x11":
        return data[1:].decode("utf-16-be", "replace")
    if mark == b"\x10" and len(data) > 3:
        return _latin(data[3:], data[2])
    if mark and mark[0] < 0x0C:
        return _latin(data[1:], mark[0] + 4)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return _latin(data, 1)


def _latin(data: bytes, part: int) -> str:
    """Text of a part of ISO/IEC 8859."""
    try:
        return data.decode(f"iso8859-{part}", "replace")
    except LookupError:
        return data.decode("iso8859-1")


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")
