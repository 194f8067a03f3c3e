from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.cli.chain import STAGES_FILE
from vdenoise.media.probe import probe

LAST_LINE = re.compile(r"^vdenoise: error E\d{4,5} \[exit \d+\] .+$")
FAST = ("--speed", "veryfast", "--temporal-radius", "1", "--spatial", "gaussian")


@pytest.fixture(autouse=True)
def plain_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("VDENOISE_PRESET", "VDENOISE_SPEED", "VDENOISE_SET"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write(Clip("in.mkv", codec="ffv1", frames=8, audio=("eng",)), tmp_path)


def call(*args: object) -> int:
    return cli.status([str(arg) for arg in args])


def leftovers(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"in.mkv"}


def test_a_run_from_end_to_end(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.mkv"
    assert call("run", clip, "-o", target, *FAST) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "measured: noise of" in said.err and "8 frames, checked" in said.err
    assert leftovers(tmp_path) == {"out.mkv", "out.mkv.vdenoise.json"}
    assert probe(target).frames == 8 and "audio" in " ".join(probe(target).streams)
    recipe = json.loads((tmp_path / "out.mkv.vdenoise.json").read_text())
    assert recipe["parameters"]["temporal.radius"] == 1
    assert recipe["origin"]["temporal.radius"] == "command line"
    assert recipe["plan"]["speed"] == "veryfast"
    assert recipe["input"]["bytes"] == clip.stat().st_size
    assert recipe["result"]["frames"] == 8 and recipe["profile"]["shots"]


def test_one_frame_is_one_frame(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", clip, "-o", tmp_path / "out.mkv", "--frames", "3", *FAST) == 0
    assert "out.mkv: 1 frame, checked" in capsys.readouterr().err


def test_a_dry_run_says_everything_and_does_nothing(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("run", clip, "-o", tmp_path / "out.mkv", "--dry-run", "--frames", "2-5")
    assert call(*args) == 0
    said = capsys.readouterr().out
    for words in ("temporal.mean", "spatial.wiener", "2-5 (4)", "8-bit 4:2:0", "cpu", "MiB"):
        assert words in said
    assert call(*args, "--progress", "json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["frames"] == [2, 5] and len(plan["steps"]) == 3
    assert leftovers(tmp_path) == set()


def test_a_dry_run_says_what_a_network_computes_in(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(by_rows: bool) -> str:
        monkeypatch.setattr("vdenoise.compiled.serves_networks", lambda *_: by_rows)
        assert call("run", clip, "-o", tmp_path / "out.mkv", "--dry-run") == 0
        text = capsys.readouterr().out
        return text[text.index("net.cnn") :]

    monkeypatch.setattr("vdenoise.engine.steps.fast_bfloat16", lambda: True)
    assert "bfloat16" in said(by_rows=False)
    assert "bfloat16" not in said(by_rows=True)


def dry(capsys: pytest.CaptureFixture[str], clip: Path, *args: str) -> dict[str, object]:
    target = clip.with_name("out.mkv")
    assert call("run", clip, "-o", target, "--dry-run", "--progress", "json", *args) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def radius(plan: dict[str, object]) -> int:
    steps = plan["steps"]
    assert isinstance(steps, list)
    found: int = steps[0]["parameters"]["radius"]
    return found


def test_the_environment_beats_a_preset_and_the_command_line_both(
    clip: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert radius(dry(capsys, clip, "--preset", "high-iso")) == 4
    monkeypatch.setenv("VDENOISE_TEMPORAL_RADIUS", "2")
    assert radius(dry(capsys, clip, "--preset", "high-iso", "--speed", "slow")) == 2
    assert radius(dry(capsys, clip, "--temporal-radius", "1")) == 1
    assert radius(dry(capsys, clip, "--set", "temporal.radius=5")) == 5
    monkeypatch.setenv("VDENOISE_PRESET", "film-scan")
    monkeypatch.setenv("VDENOISE_LUMA", "12")
    plan = dry(capsys, clip)
    assert (plan["preset"], plan["luma"]) == ("film-scan", 12)


def test_events_for_programs(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", clip, "-o", tmp_path / "out.mkv", *FAST, "--progress", "json") == 0
    said = capsys.readouterr()
    events = [json.loads(line) for line in said.err.splitlines()]
    assert [e["phase"] for e in events if e["event"] == "start"] == ["measure", "denoise"]
    last = [e for e in events if e["event"] == "progress"][-1]
    assert last["done"] == last["total"] == 8 and set(last["busy"]) == {
        "decode",
        "denoise",
        "encode",
    }
    assert events[-1]["event"] == "done" and all(e["v"] == 1 for e in events)


def test_progress_none_says_nothing(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", clip, "-o", tmp_path / "out.mkv", *FAST, "--progress", "none") == 0
    said = capsys.readouterr()
    assert said.out == said.err == ""


def test_reading_a_long_file_is_told(
    clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a movie larger than memory, before anything else; not of one that is read at once."""
    plans = (tmp_path / f"{n}.json" for n in range(3))
    assert call("plan", clip, "-o", next(plans), *FAST) == 0
    assert "read" not in capsys.readouterr().err
    monkeypatch.setattr("vdenoise.ui.reporter._PATIENCE_SECONDS", 0)
    monkeypatch.setattr("vdenoise.ui.reporter._MIB", 1000)
    clip.touch()
    assert call("plan", clip, "-o", next(plans), *FAST) == 0
    size = -(-clip.stat().st_size // 1000)
    assert f"read: 100% ({size}/{size}), " in capsys.readouterr().err
    clip.touch()
    assert call("plan", clip, "-o", next(plans), *FAST, "--progress", "none") == 0
    assert capsys.readouterr().err == ""


def test_noise_by_hand_needs_no_measuring(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("run", clip, "-o", tmp_path / "out.mkv", *FAST, "--sigma", "9,4,4", "--cuts", "off")
    assert call(*args) == 0
    assert "measure" not in capsys.readouterr().err


def test_profiles_and_cuts_as_files(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile, cuts = tmp_path / "noise.json", tmp_path / "cuts.txt"
    assert call("profile", "build", clip, "-o", profile) == 0
    assert call("profile", "show", profile) == 0
    assert "Cb" in capsys.readouterr().out
    cuts.write_text("4  # a cut\n")
    args = ("run", clip, "-o", tmp_path / "out.mkv", *FAST, "--profile", profile, "--cuts", cuts)
    assert call(*args, "--write-cuts", tmp_path / "again.txt") == 0
    assert "measure" not in capsys.readouterr().err
    assert "4\n" in (tmp_path / "again.txt").read_text()
    recipe = json.loads((tmp_path / "out.mkv.vdenoise.json").read_text())
    assert recipe["cuts"] == [4]


def test_a_region_as_profile(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "noise.json"
    assert call("profile", "build", clip, "-o", target, "--region", "0,0,32,32@2") == 0
    assert call("profile", "build", clip, "-o", target, "--region", "0,0,32,32@2") == 4
    for bad in ("0,0,32,32", "60,0,32,32@2", "0,0,4,4@0", "0,0,32,32@99"):
        args = ("profile", "build", clip, "-o", target, "--overwrite", "--region", bad)
        assert call(*args) == 2


def test_analysis_for_people_and_for_programs(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("analyze", clip) == 0
    said = capsys.readouterr().out
    assert "proposed: --preset" in said and "8-bit 4:2:0" in said and "Cr" in said
    assert call("analyze", clip, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["proposal"]["reasons"] and found["cuts"] == [] and found["noise"]["luma_codes"] > 1


@pytest.mark.parametrize(
    "args", [["presets"], ["presets", "chroma"], ["stages"], ["stages", "nlm"], ["doctor"]]
)
def test_what_there_is(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*args) == 0
    said = capsys.readouterr()
    assert len(said.out.splitlines()) > 3 and said.err == ""


def test_the_facts_that_help_shows_are_those_of_the_stages(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("stages", "--json") == 0
    assert capsys.readouterr().out == STAGES_FILE.read_text(encoding="utf-8"), (
        "update it with: make docs"
    )


BAD = {
    "no command": (["rnu"], 2, "Did you mean run?"),
    "no input": (["run", "-o", "out.mkv"], 2, "Missing argument 'INPUT'"),
    "no output": (["run", "in.mkv"], 2, "Missing option"),
    "what a shell makes of *": (
        ["run", *(f"{n:09}.png" for n in range(2000)), "-o", "out.mkv"],
        2,
        "Images are one clip by their pattern",
    ),
    "unknown option": (["run", "in.mkv", "-o", "out.mkv", "--presett", "x"], 2, "--preset"),
    "unknown preset": (["run", "in.mkv", "-o", "out.mkv", "-p", "highiso"], 2, "high-iso"),
    "unknown stage": (["stages", "spatial.nml"], 2, "spatial.nlm"),
    "unknown parameter": (
        ["run", "in.mkv", "-o", "out.mkv", "--set", "spatial.sterngth=1"],
        2,
        "strength",
    ),
    "no assignment": (["run", "in.mkv", "-o", "out.mkv", "--set", "radius"], 2, "stage.param"),
    "out of range": (["run", "in.mkv", "-o", "out.mkv", "--temporal-radius", "99"], 2, "0 to 8"),
    "luma beyond": (["run", "in.mkv", "-o", "out.mkv", "--luma", "101"], 2, "0 to 100"),
    "no speed": (["run", "in.mkv", "-o", "out.mkv", "--speed", "warp"], 2, "veryfast"),
    "no range": (["run", "in.mkv", "-o", "out.mkv", "--frames", "9-3"], 2, "100-250"),
    "beyond the clip": (["run", "in.mkv", "-o", "out.mkv", "--frames", "5-9"], 2, "0-7"),
    "no sigma": (["run", "in.mkv", "-o", "out.mkv", "--sigma", "x"], 2, "Y[,U,V]"),
    "two sigmas": (["run", "in.mkv", "-o", "out.mkv", "--sigma", "3,4"], 2, "2 planes"),
    "sigma and profile": (
        ["run", "in.mkv", "-o", "out.mkv", "--sigma", "3", "--profile", "p.json"],
        2,
        "--sigma",
    ),
    "no profile": (["run", "in.mkv", "-o", "out.mkv", "--profile", "p.json"], 2, "p.json"),
    "no cuts": (["run", "in.mkv", "-o", "out.mkv", "--cuts", "cuts.txt"], 2, "cuts.txt"),
    "no device": (["run", "in.mkv", "-o", "out.mkv", "--device", "gpu"], 2, "cuda:N"),
    "no such card": (["run", "in.mkv", "-o", "out.mkv", "--device", "cuda:99"], 5, "doctor"),
    "no codec": (["run", "in.mkv", "-o", "out.mkv", "--codec", "divx"], 2, "x264"),
    "no container": (["run", "in.mkv", "-o", "out.xyz"], 2, ".mkv"),
    "input is output": (["run", "in.mkv", "-o", "in.mkv", "--overwrite"], 2, "input itself"),
    "noise is output": (
        ["run", "in.mkv", "-o", "out.mkv", "--noise-out", "out.mkv"],
        2,
        "a name of its own",
    ),
    "noise of fewer bits": (
        ["run", "in.mkv", "-o", "out.mkv", "--noise-out", "n.mkv", "--bit-depth", "10"],
        2,
        "clean + noise",
    ),
    "missing input": (["run", "gone.mkv", "-o", "out.mkv"], 3, "gone.mkv"),
    "folder as input": (["run", ".", "-o", "out.mkv"], 3, "folder"),
    "empty input": (["run", "empty.mkv", "-o", "out.mkv"], 3, "empty"),
    "text as input": (["run", "text.mkv", "-o", "out.mkv"], 3, "text.mkv"),
    "output exists": (["run", "in.mkv", "-o", "there.mkv"], 4, "--overwrite"),
    "folder missing": (["run", "in.mkv", "-o", "none/out.mkv"], 4, "mkdir"),
    "folder as output": (["run", "in.mkv", "-o", "folder"], 4, "folder"),
    "profile of text": (["profile", "show", "text.mkv"], 2, "profile build"),
}


@pytest.mark.parametrize(("args", "status", "words"), BAD.values(), ids=BAD)
def test_each_mistake_gets_one_sentence_a_hint_and_its_exit_code(
    args: list[str],
    status: int,
    words: str,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty.mkv").touch()
    (tmp_path / "there.mkv").touch()
    (tmp_path / "text.mkv").write_text("This is no clip.\n" * 50)
    (tmp_path / "folder").mkdir()
    before = leftovers(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert call(*args) == status
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert said.out == ""
    assert LAST_LINE.match(lines[-1]) and f"[exit {status}]" in lines[-1]
    assert lines[-2].startswith("hint: ") and len(lines[-2]) > 10
    assert words in lines[-1] + lines[-2] and len(said.err) < 1000
    assert "Traceback" not in said.err
    assert leftovers(tmp_path) == before


def test_a_bug_shows_where_it_is(
    clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(path: Path, **_options: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("vdenoise.workflows.reading.probe", broken)
    assert call("analyze", clip) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.splitlines()[-1] == "vdenoise: error E0100 [exit 1] ZeroDivisionError: oops"


def test_what_cannot_be_kept_is_an_error_when_strict(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("run", clip, "-o", tmp_path / "out.y4m", *FAST)  # y4m holds no sound
    assert call(*args, "--strict") == 4
    assert leftovers(tmp_path) == set()
    assert call(*args, "--dry-run") == 0
    assert "warning: " in capsys.readouterr().err


def test_fields_are_refused_or_treated_as_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write(Clip("in.mkv", codec="ffv1", frames=6, field_order="tff"), tmp_path)
    args = ("run", clip, "-o", tmp_path / "out.mkv", *FAST)
    assert call(*args, "--interlaced", "refuse") == 2
    assert "--interlaced fields or deinterlace" in capsys.readouterr().err
    assert call(*args, "--interlaced", "ignore") == 0
    assert probe(tmp_path / "out.mkv").interlaced
    assert call(*args, "--interlaced", "deinterlace", "--overwrite") == 0
    assert not probe(tmp_path / "out.mkv").interlaced


def program(*args: object, **options: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "vdenoise", *map(str, args)]
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


@pytest.mark.parametrize("args", ["", "--help", "run --help", "analyze --help", "profile --help"])
def test_help_loads_nothing_heavy(args: str) -> None:
    code = (
        "import sys; from vdenoise.cli import status; code = status(sys.argv[1:]); "
        "loaded = {name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names; "
        "heavy = {n for n in loaded if n[0] != '_'} - {'click', 'vdenoise', 'sitecustomize'}; "
        "sys.exit(f'loaded {heavy}' if heavy else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args.split()], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"Usage: vdenoise" in done.stdout


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run that has begun to write."""
    clip = write(Clip("in.mkv", codec="ffv1", frames=500, size=(160, 120)), tmp_path)
    process = program(
        *("run", clip, "-o", tmp_path / "out.mkv", "--sigma", "8", "--cuts", "off"),
        *("--progress", "json", "--noise-out", tmp_path / "noise.mkv"),
    )
    assert process.stderr is not None
    for line in process.stderr:
        if b'"progress"' in line:
            break
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_signals_end_a_run_and_leave_nothing(
    number: int, status: int, running: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert any(name.endswith(".partial") for name in leftovers(tmp_path))
    running.send_signal(number)
    assert running.stderr is not None
    said = running.stderr.read().decode()
    assert running.wait(60) == status
    last = json.loads(said.splitlines()[-1])  # as every line of events
    assert last["event"] == "error" and last["exit"] == status and last["hint"]
    assert leftovers(tmp_path) == set()


def test_a_full_disk_is_said_and_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    process = program(
        *("run", clip, "-o", tmp_path / "out.mkv", *FAST, "--codec", "ffv1"),
        *("--sigma", "8", "--cuts", "off"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    _, said = process.communicate(timeout=120)
    assert process.returncode == 4, said.decode()
    assert "full" in said.decode().splitlines()[-1]
    assert leftovers(tmp_path) == set()


def test_standard_input_to_standard_output(tmp_path: Path) -> None:
    clip = write(Clip("in.y4m", codec="wrapped_avframe", frames=5), tmp_path)
    process = program("run", "-", "-o", "-", *FAST, stdin=subprocess.PIPE)
    out, said = process.communicate(clip.read_bytes(), timeout=120)
    assert process.returncode == 0, said.decode()
    assert out.startswith(b"YUV4MPEG2") and out.count(b"FRAME") == 5
    assert leftovers(tmp_path) == {"in.y4m"}


def test_nothing_is_said_behind_the_last_line_of_a_failure(tmp_path: Path) -> None:
    """OpenImageIO told of leaks where modules were kept from being looked through for garbage."""
    write(Clip("a.mkv", "ffv1", frames=1), tmp_path)
    for words, code in ((("--luma", "abc"), "E0217"), (("--frames", f"0-{'9' * 5000}"), "E0201")):
        command = [sys.executable, "-m", "vdenoise", "run", "a.mkv", "-o", "o.mkv", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith(f"vdenoise: error {code}")
