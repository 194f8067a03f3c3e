"""``run --resume``: killed anywhere, it goes on, and the frames are those of a single pass."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers import images
from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.errors import Interrupted
from vdenoise.farm import recipe as joining
from vdenoise.farm import split
from vdenoise.farm.resumable import PLAN, work_folder
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.workflows.recipe import load_recipe, recipe_path

FAST = ("--speed", "veryfast", "--temporal-radius", "1", "--threads", "1")
FRAMES = 49


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "TARGET_SECONDS", 0.001)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(Clip("in.mkv", frames=FRAMES), tmp_path_factory.mktemp("long"))


def call(*words: object) -> int:
    return cli.status([str(word) for word in words])


def frames_of(path: Path) -> list[bytes]:
    with Reader(probe(path)) as reader:
        return [b"".join(p.contiguous().numpy().tobytes() for p in f.planes) for f in reader]


def single(source: Path, tmp_path: Path, *more: object) -> list[bytes]:
    out = tmp_path / "single.mkv"
    assert call("run", source, "-o", out, *FAST, *more) == 0
    return frames_of(out)


def test_a_run_in_parts_gives_the_frames_of_a_single_pass_and_leaves_nothing_else(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also of a codec that is encoded once, from lossless parts. Without loss itself: without glibc
    lossy x264 differs from run to run at this size (docs/farm.md)."""
    out, codec = tmp_path / "out.mkv", ("--codec", "x264", "--crf", "0")
    words = ("run", source, "-o", out, *FAST, *codec, "--resume")
    assert call(*words) == 0
    assert frames_of(out) == single(source, tmp_path, *codec)
    assert not work_folder(out).exists()
    recipe = load_recipe(out)
    assert recipe is not None and recipe["options"]["codec"] == "x264"
    before = out.stat().st_mtime_ns
    capsys.readouterr()
    assert call(*words) == 0 and out.stat().st_mtime_ns == before
    assert "already there" in capsys.readouterr().err
    for path in (out, recipe_path(out)):
        path.chmod(0o444)  # finished work is locked
    assert call(*words) == 0 and "already there" in capsys.readouterr().err
    assert call(*words, "--overwrite") == 4 and "read-only" in capsys.readouterr().err
    assert call(*words, "--luma", "50") == 4  # made otherwise: it is not replaced
    assert call("run", source, "-o", out, *FAST, *codec) == 4
    assert out.stat().st_mtime_ns == before


def _stop(*_: object, **__: object) -> None:
    raise Interrupted("Stopped.", "Go on.", signal_number=signal.SIGINT)


def test_killed_at_random_it_goes_on_where_it_was(source: Path, tmp_path: Path) -> None:
    """By SIGKILL, which nothing can answer; parts that were done stay as they are."""
    out, rng = tmp_path / "out.mkv", random.Random(4)
    start = "from vdenoise.farm import split; split.TARGET_SECONDS = 0.001; import sys; "
    start += "from vdenoise import cli; sys.exit(cli.status(sys.argv[1:]))"
    words = ["run", str(source), "-o", str(out), *FAST, "--codec", "ffv1", "--resume"]
    process = subprocess.Popen([sys.executable, "-c", start, *words], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        if list(work_folder(out).glob("seg*.json")):
            break
        time.sleep(0.005)
    time.sleep(rng.uniform(0, 0.05))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in work_folder(out).glob("seg*.json")}
    assert kept and not out.exists()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(joining, "assemble", _stop)
        assert call(*words) == 130
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert call(*words) == 0
    assert frames_of(out) == single(source, tmp_path, "--codec", "ffv1")
    assert not work_folder(out).exists()


def test_unfinished_work_of_another_request_is_not_taken(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    folder = work_folder(out)
    folder.mkdir()
    assert call("plan", source, "-o", folder / PLAN, "--to", out, "--luma", "20") == 0
    before = (folder / PLAN).read_bytes()
    assert call("run", source, "-o", out, *FAST, "--codec", "ffv1", "--resume") == 10
    assert not out.exists() and (folder / PLAN).read_bytes() == before


def test_images_are_done_in_parts_too(tmp_path: Path) -> None:
    source = images.sequence(tmp_path / "in", "png-8", frames=25)
    for name in ("parts", "whole"):
        (tmp_path / name).mkdir()
        more = ("--resume",) if name == "parts" else ()
        assert call("run", source, "-o", tmp_path / name / "o.####.png", *FAST, *more) == 0
    found = [sorted((tmp_path / name).glob("*.png")) for name in ("parts", "whole")]
    assert [p.read_bytes() for p in found[0]] == [p.read_bytes() for p in found[1]]
    assert len(found[0]) == 25
    (tmp_path / "whole" / "o.####.png.vdenoise.json").unlink()
    before = [p.stat().st_mtime_ns for p in found[1]]
    assert call("run", source, "-o", tmp_path / "whole" / "o.####.png", *FAST, "--resume") == 4
    assert [p.stat().st_mtime_ns for p in found[1]] == before


def test_what_a_run_in_parts_cannot_do_is_said_before(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in (["--report"], ["--qc", "warn"], ["--on-bad-frame", "repeat"]):
        assert call("run", source, "-o", tmp_path / "o.mkv", "--resume", *more) == 2
        assert "E02212" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
