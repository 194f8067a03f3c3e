"""What a transport stream says of its programs."""

from __future__ import annotations

import zlib
from pathlib import Path

import av
import pytest

from tests.media.test_copied_streams import transport_stream
from tests.media.test_roundtrip import pass_through
from vdenoise.media.movie.rehearsal import rehearse
from vdenoise.media.movie.services import services_in
from vdenoise.media.movie.settings import choose
from vdenoise.media.probe import probe


def named(folder: Path, name: str, provider: str) -> Path:
    """A transport stream whose program has a name, and numbers other than a muxer's own."""
    path = folder / "in.ts"
    options = {"mpegts_service_id": "28106", "mpegts_transport_stream_id": "1101"}
    options |= {"mpegts_original_network_id": "8468", "mpegts_pmt_start_pid": "600"}
    with (
        av.open(str(transport_stream(folder, "mp2"))) as source,
        av.open(str(path), "w", container_options=options) as output,
    ):
        output.metadata.update({"service_name": name, "service_provider": provider})
        copies = [output.add_stream_from_template(s) for s in source.streams]
        for number, copy in enumerate(copies):
            copy.id = 601 + 10 * number
        for packet in source.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                output.mux(packet)
    return path


@pytest.mark.parametrize("name", ["Das Erste", "Das Größte"])
def test_a_program_keeps_its_names_and_numbers(name: str, tmp_path: Path) -> None:
    source = named(tmp_path, name, "ARD")
    (told,) = services_in(source)
    assert (told.name, told.provider, told.number, told.transport) == (name, "ARD", 28106, 1101)
    assert (told.network, told.table, told.streams) == (8468, 600, (601, 611))
    pass_through(source, tmp_path / "out.ts")
    assert services_in(tmp_path / "out.ts") == (told,)


def test_names_of_a_program_become_tags_and_programs_again(tmp_path: Path) -> None:
    source = named(tmp_path, "Das Erste", "ARD")
    pass_through(source, tmp_path / "out.mkv")
    pass_through(tmp_path / "out.mkv", tmp_path / "out.ts")
    (told,) = services_in(tmp_path / "out.ts")
    assert (told.name, told.provider) == ("Das Erste", "ARD")


def test_a_name_that_an_output_has_no_place_for_is_named(tmp_path: Path) -> None:
    info = probe(named(tmp_path, "Das Erste", "ARD"))
    said = rehearse(info, choose(info, tmp_path / "out.avi"), 0, info.frames - 1)
    assert said == ("avi cannot keep the service_name, service_provider",)


def section(kind: int, number: int, body: bytes) -> bytes:
    """A table in a packet of its own; readers do not look at its checksum."""
    length = len(body) + 9
    head = bytes((kind, 0xB0 | length >> 8, length & 0xFF, number >> 8, number & 0xFF, 0xC1, 0, 0))
    return head + body + zlib.crc32(body).to_bytes(4, "big")


def packet(pid: int, table: bytes) -> bytes:
    return (bytes((0x47, 0x40 | pid >> 8, pid & 0xFF, 0x10, 0)) + table).ljust(188, b"\xff")


@pytest.mark.parametrize(
    ("coded", "text"),
    [
        (b"ARD", "ARD"),
        (b"\x05\xd0rd", "\u011erd"),  # ISO 8859-9, Turkish
        (b"\x10\0\x02\xa3", "\u0141"),  # ISO 8859-2
        (b"\x11\0A\0B", "AB"),
        (b"\x15\xc3\xbc", "\u00fc"),
    ],
)
def test_names_are_read_in_the_alphabet_that_they_tell(
    coded: bytes, text: str, tmp_path: Path
) -> None:
    service = bytes((1, 1)) + b"P" + bytes((len(coded),)) + coded
    described = bytes((0x48, len(service))) + service
    entry = (7).to_bytes(2, "big") + b"\xfc" + len(described).to_bytes(2, "big") + described
    streams = b"\xe1\0\xf0\0" + b"\x1b\xe1\0\xf0\0"
    tables = [
        packet(0, section(0x00, 9, b"\0\7\xe2\0")),
        packet(0x200, section(0x02, 7, streams)),
        packet(0x11, section(0x42, 9, b"\0\1\xff" + entry)),
        *[packet(0x1FFF, b"")] * 8,
    ]
    path = tmp_path / "tables.ts"
    path.write_bytes(b"".join(tables))
    (told,) = services_in(path)
    assert (told.name, told.provider, told.streams) == (text, "P", (0x100,))
