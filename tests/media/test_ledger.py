"""What a clip holds beside its samples is kept, or named before the start."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import torch

from tests.helpers.clips import Clip, frame_of, write
from tests.media.test_roundtrip import pass_through, planes
from vdenoise.media.movie.frame_data import told_by_frames
from vdenoise.media.movie.ledger import RULES, WRITTEN, contents, keeps, lost
from vdenoise.media.movie.settings import choose
from vdenoise.media.probe import probe

CAPTIONS = "closed captions (CEA-608/708)"
GAMMA = "gamma (QuickTime's gama)"
QUICK = {"preset": "ultrafast", "bf": "0", "tune": "zerolatency"}


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


PROJECTION = box(
    b"sv3d",
    box(b"svhd", bytes(4), b"\0"),
    box(
        b"proj",
        box(b"prhd", bytes(4), struct.pack(">3i", 0, 0, 0)),
        box(b"equi", bytes(4), bytes(16)),
    ),
)
BOXES = {
    "stereo 3D layout": box(b"st3d", bytes(4), b"\1"),
    "360-degree projection": PROJECTION,
    "ambient viewing environment": box(b"amve", struct.pack(">IHH", 10000, 15635, 16450)),
    "ICC profile": box(b"colr", b"prof", b"P" * 200),
    "clean aperture": box(b"clap", struct.pack(">8i", 60, 1, 44, 1, 0, 1, 0, 1)),
    GAMMA: box(b"gama", struct.pack(">I", 144179)),
}


def with_boxes(path: Path, boxes: bytes) -> None:
    """Add boxes to the sample entry of a one-track file whose header stands last."""
    data = bytearray(path.read_bytes())
    at, places = data.rindex(b"moov") - 4, []
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"):
        at = data.index(kind, at) - 4
        places.append(at)
    places.append(entry := at + 16)
    for place in places:
        size = int.from_bytes(data[place : place + 4], "big") + len(boxes)
        data[place : place + 4] = size.to_bytes(4, "big")
    data[entry + 86 : entry + 86] = boxes
    path.write_bytes(data)


@pytest.mark.parametrize("target", ["out.mov", "out.mp4", "out.mkv", "out.ts"])
@pytest.mark.parametrize(
    ("codec", "layout", "options"),
    [("libx264", "yuv420p", QUICK), ("prores_ks", "yuv422p10le", {})],
)
def test_what_quicktime_tells_beside_the_codec(
    codec: str, layout: str, options: dict[str, str], target: str, tmp_path: Path
) -> None:
    clip = Clip("in.mov", codec=codec, format=layout, options=options, frames=3, tags=(2, 2, 2, 0))
    source = write(clip, tmp_path)
    with_boxes(source, b"".join(BOXES.values()))
    info = probe(source)
    assert set(info.holds) == set(BOXES)
    settings = choose(info, tmp_path / target)
    out = pass_through(source, tmp_path / target)
    kept = {item for item in BOXES if keeps(settings.container, settings.codec, item)}
    assert dict(out.holds) == {item: info.holds[item] for item in info.holds if item in kept}
    assert {item for item in BOXES if any(item in note for note in settings.notes)} == (
        set(BOXES) - kept
    )
    by_x264 = {"stereo 3D layout"} if settings.codec == "x264" else set()
    assert (
        kept
        == by_x264
        | {
            "out.mov": set(BOXES) - {"stereo 3D layout"},
            "out.mp4": set(BOXES) - {GAMMA},
            "out.mkv": {"stereo 3D layout", "360-degree projection"},
            "out.ts": set(),
        }[target]
    )


def test_a_clean_aperture_of_the_whole_picture_is_none(tmp_path: Path) -> None:
    """Uncompressed QuickTime always has one; FFmpeg writes no such box again."""
    source = write(Clip("in.mov", codec="prores_ks", format="yuv422p10le", frames=3), tmp_path)
    with_boxes(source, box(b"clap", struct.pack(">8i", 64, 1, 48, 1, 0, 1, 0, 1)))
    assert "clean aperture" not in probe(source).holds
    pass_through(source, tmp_path / "out.mov")


@pytest.mark.parametrize(
    ("codec", "options"), [("prores_ks", {}), ("libx264", QUICK)], ids=["prores", "h264"]
)
@pytest.mark.parametrize("target", ["out.mov", "out.mkv", "out.mxf"])
def test_color_that_only_the_container_tells(
    codec: str, options: dict[str, str], target: str, tmp_path: Path
) -> None:
    """The codec's own headers say "unspecified", the file says BT.2020 and PQ."""
    clip = Clip(
        "in.mov", codec=codec, format="yuv422p10le", options=options, frames=3, tags=(2, 2, 2, 0)
    )
    source = write(clip, tmp_path)
    with_boxes(source, box(b"colr", b"nclc", struct.pack(">3H", 9, 16, 9)))
    info = probe(source)
    wanted = ("bt2020", "smpte2084", "bt2020nc", False)
    assert (info.primaries, info.transfer, info.matrix, info.matrix_guessed) == wanted
    out = pass_through(source, tmp_path / target)
    assert (out.primaries, out.transfer, out.matrix, out.matrix_guessed) == wanted


@pytest.mark.parametrize(
    ("layout", "name", "kept"),
    [
        ("top_bottom", "out.mp4", True),  # as st3d
        ("top_bottom", "out.mov", True),  # by x264
        ("right_left", "out.mkv", True),
        ("right_left", "out.mp4", False),  # nothing there says which view comes first
        ("row_interleaved_lr", "out.ts", True),
        ("block_lr", "out.mkv", True),
        ("checkerboard_rl", "out.webm", False),
        ("anaglyph_cyan_red", "out.mkv", True),
        ("anaglyph_cyan_red", "out.mov", False),
    ],
)
def test_views_for_two_eyes_stay_as_they_stand_or_are_named(
    layout: str, name: str, kept: bool, tmp_path: Path
) -> None:
    """Never as another layout: with the eyes exchanged nobody can look at it."""
    path, target = tmp_path / "in.mkv", tmp_path / name
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libx264", rate=25, options=QUICK)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.metadata["stereo_mode"] = layout
        for number in range(3):
            frame = frame_of(Clip("x"), number)
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    info = probe(path)
    named = [note for note in choose(info, target).notes if "stereo 3D layout" in note]
    assert bool(named) != kept and all(layout in note for note in named)
    views = [w for item, w in pass_through(path, target).holds.items() if "stereo" in item]
    assert views == ([layout] if kept else [])


def alpha_clip(folder: Path, encoder: str) -> Path:
    """VP8 or VP9 with a moving edge of alpha, which lies beside the packets."""
    path = folder / "in.webm"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(encoder, rate=25, options={"auto-alt-ref": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuva420p"
        stream.metadata["alpha_mode"] = "1"
        for number in range(4):
            frame = av.VideoFrame(64, 48, "yuva420p")
            for plane in frame.planes:
                plane.update(b"\x60" * plane.buffer_size)
            row = b"\xff" * (16 + 4 * number)
            alpha = frame.planes[3]
            alpha.update(row.ljust(alpha.line_size, b"\0") * alpha.height)
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("encoder", ["libvpx", "libvpx-vp9"])
def test_alpha_of_vp8_and_vp9(encoder: str, tmp_path: Path) -> None:
    source = alpha_clip(tmp_path, encoder)
    assert probe(source).format.alpha
    pass_through(source, tmp_path / "out.mkv", codec="ffv1")
    for before, after in zip(planes(source), planes(tmp_path / "out.mkv"), strict=True):
        assert torch.equal(before[3], after[3])
    out = pass_through(source, tmp_path / "out.webm")
    assert out.format.alpha and out.codec == "vp9"
    for before, after in zip(planes(source), planes(tmp_path / "out.webm"), strict=True):
        assert (before[3].float() - after[3].float()).abs().mean() < 8


def captioned(folder: Path, name: str) -> Path:
    """H.264 with one caption message (ATSC A/53) in each frame."""
    path = folder / name
    said = b"\xb5\x00\x31GA94\x03\x41\xff\xfc\x94\x20\xff"
    message = b"\x06\x04" + bytes([len(said)]) + said + b"\x80"
    clip = Clip("x", tags=(1, 1, 1, 1))
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libx264", rate=25, options=QUICK)
        stream.width, stream.height, stream.pix_fmt = *clip.size, "yuv420p"
        for number in range(3):
            frame = frame_of(clip, number)
            frame.pts = number
            for packet in stream.encode(frame):
                longer = av.Packet(b"\0\0\0\1" + message + bytes(packet))
                longer.pts, longer.dts, longer.time_base = number, number, Fraction(1, 25)
                longer.is_keyframe, longer.stream = packet.is_keyframe, stream
                output.mux(longer)
    return path


@pytest.mark.parametrize("name", ["in.mp4", "in.ts"])
def test_closed_captions_are_kept_or_named(name: str, tmp_path: Path) -> None:
    info = probe(captioned(tmp_path, name))
    assert CAPTIONS in info.holds
    for codec, target in (("x264", "out.mkv"), ("x265", "out.mp4")):
        assert not [n for n in choose(info, tmp_path / target, codec=codec).notes if "capt" in n]
        assert CAPTIONS in pass_through(info.path, tmp_path / target, codec=codec).holds
    notes = choose(info, tmp_path / "out.mov", codec="ffv1", container="matroska").notes
    assert f"matroska with ffv1 cannot keep the {CAPTIONS}" in notes


def write_parts(path: Path, parts: list[int], change: dict[str, Any]) -> None:
    """A transport stream of one or both halves, of three frames each; the second is changed."""
    with av.open(str(path), "w") as output:
        stream = output.add_mux_stream("h264", rate=25, width=64, height=48)
        stream.time_base = Fraction(1, 90000)
        for part in parts:
            encoder: Any = av.CodecContext.create("libx264", "w")
            encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
            encoder.time_base, encoder.framerate = Fraction(1, 25), 25
            encoder.color_trc, encoder.sample_aspect_ratio = 1, 1
            encoder.options = QUICK
            for name, value in change.items() if part else ():
                setattr(encoder, name, value)
            made = []
            for number in range(3):
                frame = av.VideoFrame(encoder.width, 48, "yuv420p")
                for plane in frame.planes:
                    plane.update(bytes([80 + number]) * plane.buffer_size)
                frame.color_trc = encoder.color_trc
                frame.pts = 3 * part * (len(parts) > 1) + number
                made += encoder.encode(frame)
            for packet in [*made, *encoder.encode(None)]:
                packet.stream, packet.time_base = stream, Fraction(1, 25)
                output.mux(packet)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sample_aspect_ratio": Fraction(4, 3)}, "frame 3 has the sample aspect ratio 4/3"),
        ({"color_trc": 16}, "frame 3 has the transfer smpte2084"),
        ({"width": 96}, "frame 3 has 96x48 yuv420p"),
    ],
)
@pytest.mark.parametrize("joined", [False, True])
def test_what_changes_in_mid_clip_is_named(
    joined: bool, change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """Also where two files lie one behind the other, and times begin again with the second."""
    path = tmp_path / "in.ts"
    parts = [tmp_path / "a.ts", tmp_path / "b.ts"] if joined else [path, path]
    for file in dict.fromkeys(parts):
        write_parts(file, [n for n in (0, 1) if parts[n] == file], change)
    if joined:
        path.write_bytes(parts[0].read_bytes() + parts[1].read_bytes())
    info = probe(path)
    assert info.holds["changes in mid-clip"] == words
    assert info.alike == (3 if "width" in change else None)
    assert info.readable == (3 if "width" in change else 6)
    assert f"mp4 with x264 cannot keep the changes in mid-clip ({words})" in lost(
        info, "mp4", "x264"
    )


def test_side_data_of_frames_that_no_encoder_writes_are_named() -> None:
    x264 = bytes.fromhex("dc45e9bde6d948b7962cd820d923eeef") + b"x264 - core 164"
    held = told_by_frames({"AFD": b"\x0a", "DOVI_METADATA": b"", "SEI_UNREGISTERED": x264})
    assert set(held) == {"active format description (AFD)", "Dolby Vision metadata"}
    stamped = told_by_frames({"SEI_UNREGISTERED": b"MISPmicrosectime" + bytes(12)})
    assert set(stamped) == {"user data of single frames"}


def test_the_table_knows_every_container_and_nothing_else() -> None:
    for rule in RULES.values():
        assert set(rule.kept) <= set(WRITTEN)


def test_contents_of_a_plain_clip(tmp_path: Path) -> None:
    info = probe(write(Clip("in.mkv", options=QUICK, timecode="01:00:00:00"), tmp_path))
    assert set(contents(info)) == {"color tags", "timecode"}
    assert lost(info, "avi", "ffv1") == [
        "avi with ffv1 cannot keep the color tags",
        "avi with ffv1 cannot keep the timecode",
    ]


@pytest.mark.parametrize("suffix", ["mov", "mp4", "mkv", "webm", "avi", "ts", "nut", "y4m"])
def test_a_full_range_and_chroma_in_the_middle_are_read_again_or_named(
    suffix: str, tmp_path: Path
) -> None:
    """Where nothing tells it, players stretch the picture once more, and shift its colors."""
    unknown = (2, 2, 2, 2)
    source = write(Clip("in.avi", codec="mjpeg", format="yuvj420p", tags=unknown), tmp_path)
    target = tmp_path / f"out.{suffix}"
    notes = choose(probe(source), target).notes
    pass_through(source, target)
    before, after = probe(source), probe(target)
    assert (before.full_range, before.chroma_location) == (True, "center")
    named = any("range of samples (full)" in note for note in notes)
    assert after.full_range != named
    named = any("chroma location (center)" in note for note in notes)
    assert (after.chroma_location != "center") == named


def sei(kind: int, body: bytes) -> bytes:
    """A message of HEVC, as Annex B has it; ``body`` needs no escapes."""
    return b"\0\0\0\1\x4e\x01" + bytes((kind, len(body))) + body + b"\x80"


def hevc_with(folder: Path, message: bytes) -> Path:
    """Bare HEVC with a message in front of each frame."""
    plain = write(
        Clip("plain.hevc", codec="libx265", frames=3, options={"x265-params": "bframes=0:info=0"}),
        folder,
    )
    parts = plain.read_bytes().replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]
    found = b"".join((message if part[0] >> 1 < 32 else b"") + b"\0\0\0\1" + part for part in parts)
    path = folder / "in.hevc"
    path.write_bytes(found)
    return path


ATSC = b"\xb5\x00\x31GA94\x03"


@pytest.mark.parametrize(
    ("message", "item"),
    [
        (sei(4, ATSC + b"\x42\xff\xfc\x94\x20\xfc\x94\x20\xff"), "closed captions (CEA-608/708)"),
        (sei(4, ATSC + b"\x40\xff\xff"), None),  # none in it
        (sei(4, ATSC + b"\x5f\xff\xfc"), None),  # fewer than it says
        (sei(4, ATSC), None),
        (sei(5, bytes(range(16, 32)) + b"words"), "user data of single frames"),
        (sei(5, bytes(range(16, 32))), None),
        (sei(5, b"abc"), None),
    ],
)
@pytest.mark.parametrize("codec", ["x264", "x265"])
def test_messages_that_are_damaged_or_empty_are_none(
    message: bytes, item: str | None, codec: str, tmp_path: Path
) -> None:
    """What is kept is there again; x265 hides user data behind a name of its own."""
    source = hevc_with(tmp_path, message)
    info = probe(source)
    assert list(info.holds) == ([item] if item else [])
    settings = choose(info, tmp_path / "out.mkv", codec=codec)
    lost = item is not None and item.startswith("user") and codec == "x265"
    assert any("user data" in note for note in settings.notes) == lost
    out = pass_through(source, tmp_path / "out.mkv", codec=codec)
    assert list(out.holds) == ([item] if item and not lost else [])
