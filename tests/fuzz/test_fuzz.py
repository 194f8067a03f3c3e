"""Broken files of every kind: each is said, in time, and leaves nothing (benchmarks/fuzz.py)."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, Self

import av
import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest
import torch

from benchmarks import fuzz
from benchmarks.forked import preloaded
from vdenoise import cli
from vdenoise.errors import ConflictError, DeviceError, UsageError, VdenoiseError
from vdenoise.farm.planfile import PlanFile
from vdenoise.farm.record import digest
from vdenoise.media.inputs import open_input
from vdenoise.media.movie import decoding, first_frames
from vdenoise.media.movie.index import scan
from vdenoise.media.movie.writer import MovieWriter
from vdenoise.media.probe import probe
from vdenoise.nets.ffdnet import FfdNet
from vdenoise.nets.models import load

SEED = 5
# Inputs of each kind. Movies, which can end a process, and weights are left to the long run.
COUNTS = {
    **dict.fromkeys(("plan", "plan run", "recipe", "preset", "jobs", "rules"), 10),
    **{"cuts": 6, "mask": 6, "grain": 3, "profile": 5, "image": 6},
}
LIMIT_SECONDS = 60  # of all, on a busy machine


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> fuzz.Fuzz:
    return fuzz.Fuzz(tmp_path_factory.mktemp("fuzz"), SEED, tuple(COUNTS))


@pytest.fixture
def watched() -> Iterator[None]:
    """End what hangs."""

    def hangs(_number: int, _frame: FrameType | None) -> None:
        pytest.fail(f"it took more than {LIMIT_SECONDS} s")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(LIMIT_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize("kind", COUNTS)
def test_broken_files_are_said_and_leave_nothing(kind: str, made: fuzz.Fuzz) -> None:
    whole = made.once(kind, 0, whole=True)
    assert whole.status in (0, 75) and not whole.fault  # else nothing below is looked at
    ended = [made.once(kind, number) for number in range(COUNTS[kind])]
    assert not [one for one in ended if one.fault]
    assert any(one.status not in (0, 75) for one in ended)


_WATCHED = """
import socket, sys
from pathlib import Path
import av
from benchmarks import fuzz
from benchmarks.forked import preloaded
from benchmarks.opened import ADDRESS, Opened

folder = Path(sys.argv[1])
opened = Opened(folder / "log")
made = fuzz.Fuzz(folder, 1, ("list",), opened)
ended = [made.once("list", number, whole=number < 6) for number in range(9)]
assert {one.status for one in ended} <= {2, 3}, ended
assert not [one for one in ended if one.fault], ended

opened.since()
(folder / "python").write_text("")
av.open(str(made.clip)).close()
try:
    socket.create_connection(("127.0.0.1", 9), timeout=0.1)
except OSError:
    pass
assert opened.strangers([]) == [str(made.clip), str(folder / "python"), ADDRESS]
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="what writes calls down is to be compiled")
def test_lists_make_nothing_open_what_they_name(tmp_path: Path) -> None:
    """And what is opened by Python, by FFmpeg and over a network would be seen."""
    words = [sys.executable, "-c", _WATCHED, str(tmp_path)]
    environment = {**os.environ, **preloaded(tmp_path)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_inputs_follow_from_seed_kind_and_number(made: fuzz.Fuzz) -> None:
    (plan,) = made.good["plan"][:1]
    first, again, other = (fuzz.broken(plan, random.Random(seed)) for seed in (1, 1, 2))
    assert first == again != other and first != plan.read_bytes()


def test_a_broken_plan_is_sealed_again_so_that_its_content_is_read(
    made: fuzz.Fuzz, tmp_path: Path
) -> None:
    good, file = PlanFile.load(made.good["plan"][0]), tmp_path / "plan.json"
    changed = 0
    for seed in range(60):
        file.write_bytes(fuzz.broken(made.good["plan"][0], random.Random(seed)))
        try:
            changed += PlanFile.load(file) != good
        except VdenoiseError as error:
            assert isinstance(error, UsageError | ConflictError)
    assert changed > 3


def test_rows_count_by_kind_and_status() -> None:
    ended = [
        fuzz.Ended("a", 0, 2),
        fuzz.Ended("a", 1, 1, "exit 1"),
        fuzz.Ended("b", 0, None, "hung"),
    ]
    assert fuzz.rows_of(ended) == [
        {
            "kind": "a",
            "inputs": 2,
            "statuses": {"1": 1, "2": 1},
            "faults": [{"number": 1, "fault": "exit 1"}],
        },
        {
            "kind": "b",
            "inputs": 1,
            "statuses": {"None": 1},
            "faults": [{"number": 0, "fault": "hung"}],
        },
    ]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("run", "/nowhere-at-all/in.mov", "-o", "x.mov"), 3),  # nothing of it is there but /
        (("run", "n" * 300, "-o", "x.mov"), 2),
        (("run", "GOOD", "-o", "x.mkv", "--cuts", "LONG"), 2),
        (("batch", "NAMELESS", "-o", "x"), 2),
        (("batch", "HEX", "-o", "x"), 2),
        (("run", "GOOD", "-o", "x.mkv", "--preset", "HEX"), 2),
    ],
)
def test_what_was_found(
    words: tuple[str, ...],
    status: int,
    made: fuzz.Fuzz,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = {
        "HEX": f"luma = 0x{'f' * 5000}",
        "LONG": "9" * 5000,
        "NAMELESS": f'[[job]]\ninput = "{made.clip}"\noutput = "."\n',
    }
    for name, text in files.items():
        (tmp_path / f"{name}.toml").write_text(text)
    places = {name: str(tmp_path / f"{name}.toml") for name in files} | {"GOOD": str(made.clip)}
    assert fuzz.call(*(places.get(word, word) for word in words)) == status
    assert capsys.readouterr().err.splitlines()[-1].startswith("vdenoise: error E")


@pytest.mark.parametrize(
    ("key", "runs"),
    [
        ("durations", []),
        ("durations", [[40, 5]]),
        ("durations", [[40, 10**12]]),
        ("pts_steps", [[40, 10**12]]),
        ("pts_steps", [[40, 5], [40, -2]]),
        ("key_steps", [[0, 10**12]]),
    ],
)
def test_a_plan_of_frames_that_its_clip_cannot_have_is_none(
    key: str,
    runs: list[list[int]],
    made: fuzz.Fuzz,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = json.loads(made.good["plan"][0].read_text())
    plan["source"]["index"][key] = runs
    plan["plan_id"] = digest({k: v for k, v in plan.items() if k != "plan_id"})
    (file := tmp_path / "plan.json").write_text(json.dumps(plan))
    assert fuzz.call("farm", "status", "--plan", file) == 2
    assert "E0294" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "name", ["DateTime", "oiio:BitsPerSample", "Orientation", "compression", "oiio:ColorSpace"]
)
def test_an_image_may_say_anything_under_any_name(name: str, tmp_path: Path) -> None:
    for kind, value in (("float[8]", (1.0,) * 8), ("string", "x"), ("int", -(2**31))):
        spec = oiio.ImageSpec(48, 32, 3, "half")
        spec.attribute(name, kind, value)
        out = oiio.ImageOutput.create(str(tmp_path / "a.exr"))
        assert out.open(str(tmp_path / "a.exr"), spec)
        out.write_image(np.full((32, 48, 3), 0.25, np.float32))
        out.close()
        for target in ("o.exr", "o.dpx"):
            words = ("run", tmp_path / "a.exr", "-o", tmp_path / target, *fuzz.GIVEN)
            assert fuzz.call(*words, "--overwrite") in (0, 2, 3), (kind, target)


class _NoSeek:
    """A container that cannot go to a time, as where the index in its file is damaged."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def seek(self, *_: object, **__: object) -> None:
        raise av.PermissionError(1, "Operation not permitted")


def test_a_clip_that_has_no_way_to_a_time_is_read_from_its_beginning(
    made: fuzz.Fuzz, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = probe(made.clip)
    index = replace(scan(made.clip), keys=tuple(range(4)))
    wanted = dict(decoding.Decoding(info, index, None).frames(3))
    for module in (first_frames, decoding):
        monkeypatch.setattr(module, "open_input", lambda path: _NoSeek(open_input(path)))
    assert first_frames.look_at(made.clip, index.pts[2]) is not None
    found = dict(decoding.Decoding(info, index, None).frames(3))
    assert (found[3].to_ndarray() == wanted[3].to_ndarray()).all()


def test_weights_that_are_no_numbers_are_not_computed_with(tmp_path: Path) -> None:
    weights = dict(FfdNet(width=8, depth=3).state_dict())
    next(iter(weights.values())).flatten()[0] = float("nan")
    torch.save(weights, tmp_path / "a.pth")
    with pytest.raises(DeviceError, match="no finite numbers"):
        load(str(tmp_path / "a.pth"), torch.device("cpu"), torch.float32)


def test_weights_that_are_packed_are_not_unpacked(tmp_path: Path) -> None:
    """A file of some kilobytes could take all memory there is."""
    torch.save(dict(FfdNet(width=8, depth=3).state_dict()), tmp_path / "a.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "a.pth").read_bytes()[:-30] + bytes(8))
    with (
        zipfile.ZipFile(tmp_path / "a.pth") as plain,
        zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, bytes(1 << 20) if "/data/" in name else plain.read(name))
    assert load(str(tmp_path / "a.pth"), torch.device("cpu"), torch.float32)
    for name in ("b.pth", "cut.pth"):
        with pytest.raises(DeviceError, match="not a readable weights file"):
            load(str(tmp_path / name), torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("number", [3e38, -1e12, 1e5])
def test_weights_whose_answer_is_no_picture_make_none(
    number: float, made: fuzz.Fuzz, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = dict(FfdNet(width=8, depth=3).state_dict())
    weights = {name: value * number for name, value in weights.items()}
    torch.save(weights, tmp_path / "a.pth")
    words = ("run", made.clip, "-o", tmp_path / "o.mkv", *fuzz.GIVEN, "--model", tmp_path / "a.pth")
    assert fuzz.call(*words) == 5
    assert "error E0511" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


@pytest.mark.parametrize("words", [("run", "DPX", "-o", "o.dpx"), ("run", "CLIP", "--mask", "DPX")])
def test_a_header_that_says_too_much_is_damage(
    words: tuple[str, ...], made: fuzz.Fuzz, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (good,) = (path for path in made.good["image"] if path.suffix == ".dpx")
    data = bytearray(good.read_bytes())
    data[4:8] = b"\x02\x00\x20\x02"
    (tmp_path / "a.dpx").write_bytes(data)
    places: dict[str, object] = {"CLIP": made.clip, "DPX": tmp_path / "a.dpx"}
    if "--mask" in words:
        places["DPX"] = f"m=file:{tmp_path / 'a.dpx'}"
        words = (*words, "-o", "o.mkv")
    places |= {"o.dpx": tmp_path / "o.dpx", "o.mkv": tmp_path / "o.mkv"}
    assert fuzz.call(*(places.get(word, word) for word in words), *fuzz.GIVEN) == 3
    assert "E0308" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.dpx"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "out/.o.mkv.partial"), 4),
        (OSError(errno.EROFS, "Read-only file system", "out/.o.mkv.partial"), 4),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "out"), 4),
        (OSError(errno.ENOSPC, "No space left on device", "out/o.json"), 4),
        (OSError(errno.ESTALE, "Stale file handle", "out/o.json"), 75),
        (OSError(errno.EINVAL, "Invalid argument"), 1),  # that is ours
    ],
)
def test_what_others_do_to_files_meanwhile_is_no_traceback(
    error: OSError, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_args: object) -> int:
        raise error

    monkeypatch.setattr(cli, "_status", fails)
    assert cli.status(["run"]) == status
    assert ("Traceback" in capsys.readouterr().err) == (status == 1)


def test_a_signal_while_a_class_is_made_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python 3.11 makes a RuntimeError of what is raised there."""

    class Slow:
        def __set_name__(self, _owner: type, _name: str) -> None:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(cli, "_status", lambda _args: type("Made", (), {"slow": Slow()}) and 0)
    assert cli.status(["run"]) == 143
    assert "error E13001 [exit 143]" in capsys.readouterr().err


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.EMFILE, "Too many open files")])
def test_where_no_memory_is_left_for_a_sentence_it_is_told_all_the_same(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(*_args: object, **_more: object) -> int:
        raise error

    monkeypatch.setattr(cli, "_status", fails)
    monkeypatch.setattr(cli, "_say", fails)
    assert cli.status(["run"]) == cli.status(["run", "--progress=json"]) == 6
    plain, event = capfd.readouterr().err.splitlines()
    assert plain.startswith("vdenoise: error E0603 [exit 6]")
    assert json.loads(event)["code"] == "E0603"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("can't start new thread"),
        RuntimeError("std::bad_alloc"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory"
        ),
    ],
)
def test_memory_that_is_short_is_told_as_such(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_args: object) -> int:
        raise error

    monkeypatch.setattr(cli, "_status", fails)
    assert cli.status(["run"]) == 6
    assert "E0603" in capsys.readouterr().err


def test_what_ended_before_the_one_that_fails_goes_too(
    made: fuzz.Fuzz, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finish(writer: MovieWriter) -> None:
        if writer.target.name == "o.mkv":
            raise OSError(errno.ENOSPC, "No space left on device", str(writer.target))
        real(writer)

    real = MovieWriter.finish
    monkeypatch.setattr(MovieWriter, "finish", finish)
    words = ("run", made.clip, "-o", tmp_path / "o.mkv", "--matte-out", tmp_path / "m.mkv")
    assert fuzz.call(*words, *fuzz.GIVEN) == 4
    assert not list(tmp_path.iterdir())
