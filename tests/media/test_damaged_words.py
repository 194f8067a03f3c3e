"""What broken files say of themselves: absurd sizes, times, codecs and words, each told as such."""

from __future__ import annotations

import errno
from fractions import Fraction
from pathlib import Path

import av
import pytest

from benchmarks import families
from benchmarks.families import Family
from tests.helpers.clips import Clip, write
from tests.helpers.copies import copied
from vdenoise.errors import InputError, TryAgain, UsageError
from vdenoise.media.access import writing
from vdenoise.media.movie.boxes import matroska_crop, quicktime_boxes
from vdenoise.media.movie.ordering import _held_rate
from vdenoise.media.movie.tag import RecipeTag, tag_in
from vdenoise.media.probe import probe

INT32 = 2**31


@pytest.mark.parametrize(
    "rate",
    [
        Fraction(30000, 1001),
        Fraction(324_001 * 90_000, 972_003_001),  # the mean of three hours in ticks of 90 kHz
        Fraction(7, 10**11 + 3),
        Fraction(10**12 + 1, 3),
    ],
)
def test_a_rate_is_one_that_ffmpeg_holds(rate: Fraction) -> None:
    if max(rate, 1 / rate) >= INT32:
        with pytest.raises(InputError, match="s apart"):
            _held_rate(rate, "clip")
        return
    held = _held_rate(rate, "clip")
    assert max(held.numerator, held.denominator) < INT32
    assert abs(held / rate - 1) < Fraction(1, 10**6)


def test_a_long_clip_of_uneven_times_is_written(tmp_path: Path) -> None:
    """Its mean rate needs more digits than FFmpeg has, as those of long takes of telephones do."""
    ticks = Fraction(1, 999_999_937)
    uneven = Clip(
        "in.nut", "ffv1", time_base=ticks, frames=4, pts=lambda n: n * 40_000_003 + n * n * 999_983
    )
    source = write(uneven, tmp_path)
    assert probe(source).variable_rate
    assert probe(copied(source, tmp_path / "out.mov", codec="x264")).frames == 4


def test_times_that_no_clip_has_are_damaged(tmp_path: Path) -> None:
    source = write(Clip("in.nut", "ffv1", frames=2, pts=lambda n: n << 57), tmp_path)
    with pytest.raises(InputError, match="apart") as caught:
        probe(source)
    assert caught.value.number == 8


def test_sizes_beyond_the_file_are_not_gone_to(tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    for size in (b"\x01" + b"\xff" * 6 + b"\xfe", b"\x01\x7f" + b"\xff" * 6):
        for kind in (b"\x15\x49\xa9\x66", b"\x16\x54\xae\x6b"):  # Info; Tracks, which is read
            huge.write_bytes(
                b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01" + b"\xff" * 7 + kind + size
            )
            assert matroska_crop(huge, 1) == ""
    for size in (2**63 + 8, 2**62):
        huge.write_bytes(b"\0\0\0\1mdat" + size.to_bytes(8, "big") + bytes(8))
        assert quicktime_boxes(huge, 1) == {}


def test_sound_of_no_known_codec_is_named(tmp_path: Path) -> None:
    source = families.write(Family("in.mov", "mov", "mjpeg", "yuvj420p", "pcm_s16le"), tmp_path)
    damaged = tmp_path / "damaged.mov"
    damaged.write_bytes(source.read_bytes().replace(b"sowt", b"zq1x"))
    with pytest.raises(UsageError, match="would lose its sound") as caught:
        copied(damaged, tmp_path / "out.mkv", codec="ffv1")
    assert caught.value.number == 26 and not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize("name", ["out.mkv", "out.nut", "out.mp4"])
def test_a_tag_that_is_damaged_gives_way_to_the_new_one(tmp_path: Path, name: str) -> None:
    told = {"vdenoise": "vdenoise 0.1.0 auto f13f", "encoding_tool": "another program"}
    source = write(Clip("in.mkv", "ffv1", frames=2, metadata=told), tmp_path)
    tag = RecipeTag("0.1.0", "auto", "3fa92b07c41d55e8")
    codec = "x264" if name.endswith("mp4") else "ffv1"
    there = tag_in(copied(source, tmp_path / name, tag=tag, codec=codec))
    assert there is not None and there.recipe == tag.recipe


def test_a_thread_that_ffmpeg_did_not_get_is_no_folder_that_is_away(tmp_path: Path) -> None:
    with pytest.raises(TryAgain), writing(tmp_path):
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
    with pytest.raises(MemoryError), writing(tmp_path):
        raise av.error.BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
