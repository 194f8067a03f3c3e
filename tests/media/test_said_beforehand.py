"""What is said before the start is what comes: a small part of `benchmarks.media_matrix`."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from benchmarks import media_matrix, results
from tests.media.test_copied_streams import codecs, transport_stream
from tests.media.test_roundtrip import pass_through
from vdenoise.errors import UsageError
from vdenoise.media.movie.clock import Clock, SampleClock
from vdenoise.media.movie.compare_streams import Begin, differences
from vdenoise.media.movie.packets import StreamPackets
from vdenoise.media.movie.rehearsal import rehearse
from vdenoise.media.movie.settings import choose
from vdenoise.media.probe import probe


@pytest.mark.parametrize("codec", ["eac3", "mp2"])
def test_nothing_known_beforehand_fails_after_the_render(codec: str, tmp_path: Path) -> None:
    """The verdict of ``--dry-run`` and that of the run are one, in every container."""
    source = transport_stream(tmp_path, codec)
    info, written = probe(source), []
    for target in ("mkv", "webm", "avi", "nut", "mxf"):
        path = tmp_path / f"out.{target}"
        try:
            rehearse(info, choose(info, path), 0, info.frames - 1)
        except UsageError:
            continue
        pass_through(source, path)
        written.append(target)
    assert written == ["mkv", "webm", "avi", "nut", "mxf"]


def test_sound_that_a_container_gives_another_name_is_not_called_kept(tmp_path: Path) -> None:
    """NUT writes the number of AC-3 for E-AC-3."""
    pass_through(transport_stream(tmp_path, "eac3"), tmp_path / "out.nut")
    assert codecs(tmp_path / "out.nut")[1].startswith("pcm_")


def sound(*times: float, lasting: int, codec: str = "pcm_s16le") -> StreamPackets:
    """Packets of ``lasting`` samples at these seconds."""
    found = StreamPackets(1, "audio", codec, Fraction(1, 48000))
    for time in times:
        found.times.append(round(time * 48000))
        found.durations.append(lasting)
        found.checks.append(1)
    return found


def compared(source: StreamPackets, output: StreamPackets, **told: Any) -> list[str]:
    clock = Clock(Fraction(1, 1000), 0, tuple(range(0, 1000, 40)), (40,) * 25, Fraction(0))
    begin = Begin(Fraction(0), Fraction(1, 1000))
    return list(differences("sound", source, output, clock, begin, "matroska", **told))


def test_what_a_decoder_or_an_encoder_needs_to_get_going_is_no_difference() -> None:
    wma = sound(0, 2048 / 48000, 4096 / 48000, lasting=2048, codec="wmav2")
    pcm = sound(4096 / 48000, lasting=2048)
    lag = Fraction(4096, 48000)
    assert compared(wma, pcm, rewritten=True, lag=lag) == []
    assert "times are off" in compared(wma, pcm, rewritten=True)[0]
    truehd = sound(0, 40 / 48000, lasting=40, codec="truehd")
    opus = sound(-312 / 48000, lasting=960, codec="opus")
    assert compared(truehd, opus, rewritten=True) == []
    late = sound(0.05, lasting=960, codec="opus")
    assert "times are off" in compared(truehd, late, rewritten=True)[0]


def test_pcm_in_as_many_packets_of_other_lengths_is_no_difference() -> None:
    """QuickTime cuts 44.1 kHz elsewhere than FFmpeg 5.1 did."""
    one, other = sound(0, 0.02, lasting=960), sound(0, 0.01, lasting=480)
    other.durations[1] = 1440
    other.checks[0], one.whole, other.whole = 2, 7, 7
    assert compared(one, other, rewritten=False) == []
    other.whole = 8
    assert compared(one, other, rewritten=False) == ["sound: its samples changed"]


def test_a_copy_that_is_read_as_another_codec_differs() -> None:
    one, other = sound(0, lasting=1536, codec="eac3"), sound(0, lasting=1536, codec="ac3")
    assert "codec is read as ac3" in compared(one, other, rewritten=False)[0]
    assert (
        compared(
            sound(0, lasting=9, codec="mp2"), sound(0, lasting=9, codec="mp3"), rewritten=False
        )
        == []
    )


def test_sound_with_ticks_longer_than_its_packets_is_counted_by_its_samples() -> None:
    """TrueHD in Matroska: 40 samples each, at whole milliseconds; half a second is missing."""
    lasting, clock = Fraction(40, 48000), SampleClock(Fraction(1, 1000))
    told = [Fraction(round(n * 40 / 48) + (500 if n >= 20 else 0), 1000) for n in range(40)]
    places = [clock.place(time, lasting) for time in told]
    assert places[:20] == [n * lasting for n in range(20)]
    assert places[20:] == [told[20] + n * lasting for n in range(20)]
    assert clock.place(None, lasting) == places[-1] + lasting
    assert clock.place(Fraction(0), lasting) == places[-1] + 2 * lasting  # never back


def test_the_matrix_has_no_fault_and_the_page_is_made_from_it() -> None:
    rows = results.load(media_matrix.RESULTS)["rows"]
    tried = media_matrix.cells(rows)
    assert len({(row["source"], row["target"]) for row in rows}) == len(rows)
    assert {row["source"] for row in rows} == set(media_matrix.SOURCES)
    assert len(tried) == len(media_matrix.TARGETS) * len(media_matrix.SOURCES)
    assert not [row for row in tried if row["fault"] or row["said"] != row["came"]]
    assert media_matrix.PAGE.read_text() == media_matrix.page(rows)
