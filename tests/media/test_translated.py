"""What goes over in another form is said before the start, and keeps each packet and sample."""

from __future__ import annotations

import shlex
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.helpers.clips import MASTERING, Clip, write
from tests.media.test_copied_streams import codecs, styled_text
from tests.media.test_roundtrip import pass_through
from tests.media.test_sound_anew import heard as samples_of
from tests.media.test_sound_anew import with_sound
from tests.media.test_words_and_covers import said
from vdenoise import cli
from vdenoise.media.movie.hdr import comparable
from vdenoise.media.movie.memory_files import NullFile
from vdenoise.media.movie.rising import Rising
from vdenoise.media.movie.settings import choose
from vdenoise.media.movie.streams import translated
from vdenoise.media.probe import probe

UNTOUCHED = shlex.split(
    "--speed veryfast --temporal-radius 0 --spatial gaussian --sigma 5 --cuts off --luma 0 "
    "--chroma 0"
)


def latm(folder: Path) -> Path:
    source, path = with_sound(folder, "aac", "stereo", name="in.mp4"), folder / "latm.ts"
    with (
        av.open(str(source)) as read,
        av.open(str(path), "w", container_options={"mpegts_flags": "+latm"}) as output,
    ):
        made = {s.index: output.add_stream_from_template(s, opaque=True) for s in read.streams}
        for packet in read.demux():
            if packet.size and not packet.is_discard:
                packet.stream = made[packet.stream_index]
                output.mux(packet)
    return path


def test_sound_that_becomes_pcm_is_named_and_no_loss(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = latm(tmp_path), tmp_path / "out.mkv"
    assert codecs(source)[1] == "aac_latm"
    words = "audio stream 1 (aac_latm) is written as PCM of the same samples"
    line = ["run", str(source), "-o", str(target), *UNTOUCHED, "--strict"]
    for more in (["--dry-run"], []):
        assert cli.status([*line, *more]) == 0
        told = capsys.readouterr().err
        assert words in told
        assert "warning" not in told
    assert np.array_equal(samples_of(source)[:, -9000:], samples_of(target)[:, -9000:])


@pytest.mark.parametrize(
    ("target", "form"), [("out.mp4", "mov_text"), ("out.mkv", ""), ("out.webm", "webvtt")]
)
def test_text_that_is_written_anew_is_named(target: str, form: str, tmp_path: Path) -> None:
    source = write(Clip("in.mkv", subtitles=True), tmp_path)
    info = probe(source)
    told = translated(info, choose(info, tmp_path / target))
    assert told == ((f"subtitle stream 1 (subrip) is written as {form}",) if form else ())


def test_styles_that_a_text_loses_are_named(tmp_path: Path) -> None:
    source = styled_text(tmp_path)
    assert "as mov_text, without its places and most of its styles" in " ".join(
        said(source, "out.mp4")
    )
    assert not said(source, "out.mkv")


def in_nut(source: Path) -> Path:
    path = source.with_suffix(".nut")
    with av.open(str(source)) as read, av.open(str(path), "w") as output:
        made = {s.index: output.add_stream_from_template(s, opaque=True) for s in read.streams}
        for packet in read.demux():
            if packet.size:
                packet.stream = made[packet.stream_index]
                output.mux(packet)
    return path


@pytest.mark.parametrize(("codec", "targets"), [("alac", ("mp4", "mov")), ("flac", ("mp4",))])
def test_sound_that_tells_no_lengths_goes_over_whole(
    codec: str, targets: tuple[str, ...], tmp_path: Path
) -> None:
    """As FLAC in NUT, and ALAC in Matroska: MP4 forgets a last packet that lasts no time."""
    source = with_sound(tmp_path, codec, "stereo")
    source = in_nut(source) if codec == "flac" else source
    before = samples_of(source)
    for suffix in targets:
        target = tmp_path / f"out.{suffix}"
        pass_through(source, target)
        assert codecs(target)[1] == codec
        assert np.array_equal(samples_of(target), before)


def test_hdr10_metadata_beside_vp9(tmp_path: Path) -> None:
    told = f"log-level=none:hdr10=1:master-display={MASTERING}:max-cll=1000,400"
    options = {"preset": "ultrafast", "x265-params": told}
    source = write(Clip("in.mkv", "libx265", tags=(9, 16, 9, 1), options=options), tmp_path)
    info = probe(source)
    for suffix in ("webm", "mkv", "mp4"):
        target = tmp_path / f"out.{suffix}"
        assert "HDR10" not in " ".join(choose(info, target, codec="vp9").notes)
        assert comparable(pass_through(source, target, codec="vp9").hdr) == comparable(info.hdr)


def test_a_word_of_matroska_on_fields_stays_as_it_was(tmp_path: Path) -> None:
    """Some programs call a picture of fields progressive there, and say the truth in its frames."""
    clip = Clip("in.mkv", field_order="tff", options={"preset": "ultrafast", "bf": "0"})
    source = write(clip, tmp_path)
    data = source.read_bytes()
    at = data.index(b"\x9a\x81\x01")
    source.write_bytes(data[: at + 2] + b"\2" + data[at + 3 :])
    out = pass_through(source, tmp_path / "out.mkv")
    assert out.interlaced
    assert b"\x9a\x81\x02" in (tmp_path / "out.mkv").read_bytes()[:4096]


def test_packets_of_one_time_come_one_after_the_other_in_fine_ticks() -> None:
    """TrueHD's last five sixths of a millisecond each, and Matroska tells whole ones."""
    with av.open(NullFile(), "w", format="mpegts") as output:
        target: Any = output.add_stream("ac3", rate=48000, layout="stereo")
        output.start_encoding()
        rising, found = Rising(), []
        for ms in (0, 1, 2, 3, 3, 4):
            packet = av.Packet(b"sound")
            packet.pts = packet.dts = ms
            packet.time_base, packet.duration = Fraction(1, 1000), 1
            rising.move(packet, target)
            found.append(packet.dts * packet.time_base * 90000)
    assert found == [0, 90, 180, 270, 271, 360]
