"""A clip that is still being written is refused by that name, and nothing is written of it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import images
from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.errors import InputError
from vdenoise.media.images.sequence import find
from vdenoise.media.inputs import FRESH_SECONDS
from vdenoise.media.probe import probe
from vdenoise.workflows import prepare

FAST = ("--speed", "veryfast", "--temporal-radius", "1", "--threads", "1")


def movie(folder: Path) -> tuple[Path, Callable[[], None]]:
    """A transport stream of which a part is there, and what adds the rest."""
    whole = write(Clip("whole.ts", frames=30), folder).read_bytes()
    path, half = folder / "in.ts", len(whole) // 188 // 2 * 188
    path.write_bytes(whole[:half])
    return path, lambda: path.write_bytes(whole)


def sequence(folder: Path) -> tuple[Path, Callable[[], None]]:
    """Images, and what adds another one."""
    path = images.sequence(folder / "in", "png-8", frames=4)
    found = find(path)
    later = found.path(found.numbers[-1] + 1)
    return path, lambda: shutil.copy(found.path(found.numbers[-1]), later) and None


@pytest.mark.parametrize("made", [movie, sequence])
def test_what_grows_while_it_is_measured_is_refused_before_anything_is_written(
    made: Callable[[Path], tuple[Path, Callable[[], None]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clip, grow = made(tmp_path)
    measure = prepare.measure

    def measured(*given: object, **more: object) -> object:
        found = measure(*given, **more)  # type: ignore[arg-type]
        grow()
        return found

    monkeypatch.setattr(prepare, "measure", measured)
    target = tmp_path / ("out.mkv" if clip.suffix == ".ts" else "out.####.png")
    more = ("--on-bad-frame", "repeat") if clip.suffix == ".ts" else ()
    assert cli.status(["run", str(clip), "-o", str(target), *FAST, *more]) == 3
    said = capsys.readouterr().err
    assert "E0319" in said and "still being written" in said and clip.name in said
    assert not list(tmp_path.glob("*out*"))
    monkeypatch.setattr(prepare, "measure", measure)
    assert cli.status(["run", str(clip), "-o", str(target), *FAST, *more]) == 0


def test_what_grows_while_it_is_indexed_is_refused(tmp_path: Path) -> None:
    clip, grow = movie(tmp_path)
    with pytest.raises(InputError, match=r"in\.ts is still being written: \d+ bytes") as caught:
        probe(clip, heard=lambda done, total: grow())
    assert caught.value.code == "E0319"


@pytest.mark.parametrize("name", ["cut.mkv", "cut.mov"])
def test_what_lacks_its_end_may_only_need_time_where_it_is_fresh(name: str, tmp_path: Path) -> None:
    clip = write(Clip(name), tmp_path)
    clip.write_bytes(clip.read_bytes()[:-900])
    for age, patient in ((0.0, True), (2 * FRESH_SECONDS, False)):
        os.utime(clip, (time.time() - age,) * 2)
        with pytest.raises(InputError) as caught:
            prepare.Reading(clip).reader(probe(clip)).__enter__()
        assert ("wait until it is complete" in caught.value.hint) == patient
