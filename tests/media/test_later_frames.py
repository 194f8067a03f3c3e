"""What only later frames tell is seen before the start, and kept or named."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from benchmarks.media_cell import UNCHANGED, verdict
from tests.helpers.clips import Clip, frame_of, write
from tests.media.test_encodings_by_name import Silent
from tests.media.test_ledger import ATSC, QUICK, sei
from tests.media.test_roundtrip import pass_through
from vdenoise.farm.source import open_source, record
from vdenoise.media.movie import index as indexing
from vdenoise.media.movie.holdings import within
from vdenoise.media.movie.ledger import keeps
from vdenoise.media.movie.messages import length_bytes, told_by
from vdenoise.media.movie.settings import choose
from vdenoise.media.probe import probe

CAPTIONS = ATSC + b"\x42\xff\xfc\x94\x20\xfc\x94\x20\xff"
HDR10_PLUS = b"\xb5\x00\x3c\x00\x01\x04" + bytes(range(40))
STAMP = bytes(range(16, 32)) + b"words"
MASTERING = struct.pack(">8H2I", 1, 2, 3, 4, 5, 6, 7, 8, 90000, 10)
CHANGE = "changes in mid-clip"


def hevc_from(folder: Path, message: bytes, first: int = 3, frames: int = 6) -> Path:
    """Bare HEVC with a message in front of each frame from one on."""
    options = {"x265-params": "bframes=0:info=0:keyint=3:min-keyint=3:scenecut=0:log-level=none"}
    clip = Clip("plain.hevc", codec="libx265", frames=frames, options=options)
    plain = write(clip, folder).read_bytes().replace(b"\0\0\0\1", b"\0\0\1")
    found, number = b"", -1
    for part in plain.split(b"\0\0\1")[1:]:
        picture = part[0] >> 1 < 32
        number += picture
        found += (message if picture and number >= first else b"") + b"\0\0\0\1" + part
    path = folder / "in.hevc"
    path.write_bytes(found)
    return path


@pytest.mark.parametrize(
    ("message", "item"),
    [
        (sei(4, CAPTIONS), "closed captions (CEA-608/708)"),
        (sei(5, STAMP), "user data of single frames"),
        (sei(4, HDR10_PLUS), "HDR10+ metadata"),
        (sei(4, b"\xb5\x00\x31DTG1\x41\xfa"), "active format description (AFD)"),
        (sei(4, b"\xb5\x00\x31DTG1\x01"), None),
        (sei(4, b"\xb5\x00\x31GA94\x06\xc0\x10\x10\x20\x20"), "bar data"),
        (sei(4, b"\x26\x00\x04\x00\x05\x01"), "HDR Vivid metadata"),
        (sei(4, b"\xb5\x77\x77abc"), "user data of another kind"),
        (sei(136, b"\x55\x01\x02\x03\x04"), "timecodes of single frames"),
        (sei(23, b"\x40" * 8), "hints on how colors are shown"),
        (sei(137, MASTERING), CHANGE),
        (sei(144, b"\x03\xe8\x01\x90"), CHANGE),
        (b"\0\0\1\x7c\x01\x19\x08\x09", "Dolby Vision metadata"),
        (b"\0\0\1\x02\x09\xaf\x80", "further layers"),
        (sei(6, b"\xa0"), None),  # a recovery point is the coder's own
    ],
)
@pytest.mark.parametrize("codec", ["x264", "x265"])
def test_what_begins_in_mid_clip_is_kept_or_named(
    message: bytes, item: str | None, codec: str, tmp_path: Path
) -> None:
    info = probe(hevc_from(tmp_path, message))
    assert list(info.holds) == ([item] if item else [])
    target = tmp_path / "out.mkv"
    kept = item is not None and keeps("matroska", codec, item)
    notes = choose(info, target, codec=codec).notes
    assert any(item and item in note for note in notes) == bool(item and not kept)
    out = pass_through(info.path, target, codec=codec)
    assert list(out.holds) == ([item] if kept else [])


def test_a_part_holds_what_its_own_frames_hold(tmp_path: Path) -> None:
    """What is only before or behind it is neither looked for nor named."""
    source = hevc_from(tmp_path, sei(4, CAPTIONS))
    info = probe(source)
    item = "closed captions (CEA-608/708)"
    assert [item in within(info, *part).holds for part in ((0, 2), (0, 3), (4, 5))] == [
        False, True, True,
    ]  # fmt: skip
    light = probe(hevc_from(tmp_path, sei(144, b"\x03\xe8\x01\x90")))
    assert light.holds[CHANGE] == "frame 3 has other HDR10 metadata"
    assert [CHANGE in within(light, 0, last).holds for last in (2, 3)] == [False, True]


def test_a_run_of_a_part_before_the_captions_is_no_fault(tmp_path: Path) -> None:
    source = hevc_from(tmp_path, sei(4, CAPTIONS) + sei(4, HDR10_PLUS))
    line = ["run", str(source), "-o", str(tmp_path / "out.mkv"), *UNCHANGED, "--codec", "x264"]
    code, warnings = verdict([*line, "--frames", "0-2"])
    assert (code, [w for w in warnings if "HDR10" in w]) == ("kept", [])
    code, warnings = verdict([*line, "--frames", "2-4"])
    assert (code, [w for w in warnings if "HDR10+" in w]) == (
        "kept",
        ["matroska with x264 cannot keep the HDR10+ metadata"],
    )
    assert verdict([*line, "--frames", "2-4", "--strict"])[0] == "E0410"


def test_a_farm_task_knows_them_without_reading_the_clip(tmp_path: Path) -> None:
    info = probe(hevc_from(tmp_path, sei(4, CAPTIONS)))
    kept = record(info, Silent())
    indexing._adopted.clear()
    try:
        assert open_source(kept, info.path).holds == info.holds
    finally:
        indexing._adopted.clear()


def test_lengths_in_the_place_of_start_codes() -> None:
    """As MP4 and Matroska hold H.264; two bytes of length here, and an escape in the message."""
    body = bytes(range(16, 32)) + b"\0\0\1words"
    unit = b"\x06\x05" + bytes([len(body)]) + body.replace(b"\0\0\1", b"\0\0\3\1") + b"\x80"
    data = b"".join(len(u).to_bytes(2, "big") + u for u in (b"\x09\x10", unit, b"\x65" + bytes(99)))
    assert length_bytes("h264", b"\1\x64\0\x1f\xfd") == 2
    assert [told.item for told in told_by("h264", data, 2)] == ["user data of single frames"]
    assert length_bytes("h264", b"\0\0\0\1\x67") == 0
    for cut in range(len(data)):  # damage is the decoder's to tell
        list(told_by("h264", data[:cut], 2))


@pytest.mark.parametrize(
    ("said", "item"),
    [
        (b"GA94\x03\x41\xff\xfc\x94\x20\xff", "closed captions (CEA-608/708)"),
        (b"CC\1\xf8\x81\xff\x94\x20", "closed captions (CEA-608/708)"),
        (b"DTG1\x41\xfa", "active format description (AFD)"),
        (b"Some encoder 1.0", None),
        (b"\x80\x01\x02\x03", "user data of another kind"),
    ],
)
def test_user_data_of_mpeg2_that_begins_late(said: bytes, item: str | None, tmp_path: Path) -> None:
    options = {"g": "3", "bf": "0"}
    plain = write(
        Clip("plain.ts", codec="mpeg2video", frames=6, options=options, time_base=Fraction(1, 25)),
        tmp_path,
    )
    path, number = tmp_path / "in.ts", 0
    with av.open(str(plain)) as source, av.open(str(path), "w") as output:
        stream = source.streams.video[0]
        copy = output.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if not packet.size:
                continue
            data = bytes(packet)
            if number >= 3:
                slices = data.index(b"\0\0\1\1")
                data = data[:slices] + b"\0\0\1\xb2" + said + data[slices:]
            longer = av.Packet(data)
            longer.pts, longer.dts, longer.time_base = packet.pts, packet.dts, packet.time_base
            longer.is_keyframe, longer.stream = packet.is_keyframe, copy
            output.mux(longer)
            number += 1
    info = probe(path)
    assert list(info.holds) == ([item] if item else [])
    out = pass_through(path, tmp_path / "out.mkv", codec="x264")
    assert ("closed captions (CEA-608/708)" in out.holds) == (item is not None and "608" in item)


def test_metadata_units_of_av1() -> None:
    def unit(kind: int, payload: bytes, layer: int | None = None) -> bytes:
        head = bytes((kind << 3 | 2 | (4 if layer is not None else 0),))
        head += b"" if layer is None else bytes((layer << 3,))
        return head + bytes((len(payload),)) + payload

    def items(data: bytes) -> list[str]:
        return [told.item for told in told_by("av1", data, 0)]

    first = unit(2, b"")
    assert items(first + unit(5, b"\x04" + HDR10_PLUS + b"\x80")) == ["HDR10+ metadata"]
    assert items(first + unit(5, b"\x04" + CAPTIONS + b"\x80\0")) == [
        "closed captions (CEA-608/708)"
    ]
    assert items(unit(5, b"\x05\x01\x80")) == ["timecodes of single frames"]
    assert items(unit(5, b"\x02" + bytes(24) + b"\x80")) == [""]
    assert items(unit(6, bytes(9), layer=1)) == ["further layers"]
    assert items(unit(6, bytes(9), layer=0)) == []


def test_grain_that_a_decoder_draws_is_not_drawn_and_named(tmp_path: Path) -> None:
    """H.264 with a message of film grain (ITU-T T.832's model): it would be taken for noise."""
    grain = b"\x28\x80\x20\x10\x08\x04"  # additive, one interval of luma
    path = tmp_path / "in.mkv"
    message = b"\x06\x13" + bytes([len(grain)]) + grain + b"\x80"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libx264", rate=25, options=QUICK)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(4):
            frame = frame_of(Clip("x"), number)
            frame.pts = number
            for packet in stream.encode(frame):
                longer = av.Packet(
                    b"\0\0\0\1" * (number > 1) + message * (number > 1) + bytes(packet)
                )
                longer.pts, longer.dts, longer.time_base = number, number, Fraction(1, 25)
                longer.is_keyframe, longer.stream = packet.is_keyframe, stream
                output.mux(longer)
    assert list(probe(path).holds) == ["film grain of the decoder"]


def test_av1_that_says_it_has_grain(tmp_path: Path) -> None:
    """In which of its frames only a decoder knows: all of them are named."""
    clip = Clip(
        "in.mkv", codec="libsvtav1", frames=4,
        options={"preset": "12", "svtav1-params": "film-grain=20:film-grain-denoise=0"},
    )  # fmt: skip
    source = write(clip, tmp_path)
    assert told_by("av1", first_packet(source), 0)
    assert within(probe(source), 2, 3).holds == {"film grain of the decoder": ""}
    plain = write(
        Clip("plain.mkv", codec="libsvtav1", frames=4, options={"preset": "12"}), tmp_path
    )
    assert probe(plain).holds == {}


def first_packet(path: Path) -> bytes:
    with av.open(str(path)) as container:
        return bytes(next(packet for packet in container.demux(video=0) if packet.size))


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_in_later_frames_of_mjpeg(order: str, tmp_path: Path) -> None:
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    turned = struct.pack(order + "HHHIHHI", 1, 0x112, 3, 1, 6, 0, 0)
    segment = b"Exif\0\0" + head + turned
    segment = b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment
    plain = write(Clip("plain.mov", codec="mjpeg", format="yuvj420p", frames=5), tmp_path)
    path, number = tmp_path / "in.mov", 0
    with av.open(str(plain)) as source, av.open(str(path), "w") as output:
        copy = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                data = bytes(packet)
                longer = av.Packet(data[:2] + segment * (number > 2) + data[2:])
                longer.pts, longer.dts, longer.time_base = packet.pts, packet.dts, packet.time_base
                longer.duration, longer.is_keyframe, longer.stream = packet.duration, True, copy
                output.mux(longer)
                number += 1
    info = probe(path)
    assert info.holds == {CHANGE: "frame 3 has another display matrix", "Exif": ""}
    assert within(info, 0, 2).holds == {}
