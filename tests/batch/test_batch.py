from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import kills
from tests.helpers import images
from tests.helpers.clips import Clip, write
from tests.helpers.rights import permissions_count
from vdenoise import cli
from vdenoise.batch import running
from vdenoise.batch.jobs import ClipJob, jobs_of, linked_folders
from vdenoise.batch.journal import Journal, tidy
from vdenoise.batch.lists import OUTPUTS
from vdenoise.batch.outcome import REPORT, Outcome, Wanted, state_of
from vdenoise.batch.watch import Looks
from vdenoise.cli.batch_jobs import wanted_of
from vdenoise.cli.chain import CHAIN_OPTIONS, chain_request
from vdenoise.cli.grain import References
from vdenoise.cli.run import run
from vdenoise.errors import ConflictError, InputError, UsageError
from vdenoise.machine.owner import mark
from vdenoise.nets.models import find
from vdenoise.picture.frame import ClipInfo
from vdenoise.picture.noise import NoiseProfile
from vdenoise.ui import Reporter
from vdenoise.workflows import decides
from vdenoise.workflows import measure as workflows_measure
from vdenoise.workflows.contents import content, fingerprint, is_same
from vdenoise.workflows.recipe import load_recipe

FAST = ("--speed", "veryfast", "--temporal-radius", "1", "--spatial", "gaussian")
GIVEN = (*FAST, "--sigma", "5", "--cuts", "off")  # nothing is measured


def call(*args: object) -> int:
    return cli.status([str(arg) for arg in args])


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def named(jobs: list[ClipJob], folder: Path) -> dict[str, str]:
    return {str(j.source.relative_to(folder)): str(j.output.relative_to(folder)) for j in jobs}


# -- which jobs ------------------------------------------------------------------------------


def test_folders_behind_links_are_named_and_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "in/a/a.mov", "else/b.mov", "out/c.mov")
    for link, there in (("in/a/link", "else"), ("in/round", "in"), ("in/out", "out")):
        (tmp_path / link).symlink_to(tmp_path / there)
    sources, out = [str(tmp_path / "in"), str(tmp_path / "in" / "a" / "a.mov")], tmp_path / "out"
    found = linked_folders(sources, out)
    assert [path.relative_to(tmp_path / "in") for path in found] == [
        Path("round"),
        Path("a/link"),
    ]
    assert list(named(jobs_of(sources[:1], out, "{stem}.mkv", ()), tmp_path)) == ["in/a/a.mov"]
    named_itself = jobs_of([str(tmp_path / "in" / "a" / "link")], out, "{stem}.mkv", ())
    assert [job.source.name for job in named_itself] == ["b.mov"]


def test_a_folder_is_mirrored(tmp_path: Path) -> None:
    touch(tmp_path / "in", "a.mov", "x/b.MP4", "x/p.0001.exr", "x/p.0002.exr", "x/y/c.mpg")
    touch(tmp_path / "in", "notes.txt", ".hidden.mov", ".git/d.mov", "s.jpg", "out/old_dn.mov")
    jobs = jobs_of([str(tmp_path / "in")], tmp_path / "in" / "out", "{stem}_dn.{ext}", ())
    assert named(jobs, tmp_path / "in") == {
        "a.mov": "out/a_dn.mov",
        "s.jpg": "out/s_dn.png",
        "x/b.MP4": "out/x/b_dn.MP4",
        "x/p.####.exr": "out/x/p_dn.####.exr",
        "x/y/c.mpg": "out/x/y/c_dn.mkv",
    }


def test_globs_files_and_templates(tmp_path: Path) -> None:
    touch(tmp_path, "s1/a.mov", "s1/b.mkv", "s2/a.mov", "s2/n_01.png", "s2/n_02.png")
    jobs = jobs_of([str(tmp_path / "*" / "a.mov")], tmp_path / "o", "{preset}-{stem}.mkv", ())
    assert named(jobs, tmp_path) == {
        "s1/a.mov": "o/s1/auto-a.mkv",
        "s2/a.mov": "o/s2/auto-a.mkv",
    }
    jobs = jobs_of(
        [str(tmp_path / "s1/b.mkv"), str(tmp_path / "s2" / "*.png")],
        tmp_path / "o",
        "{stem}-{preset}.{ext}",
        ("--preset", "film-scan"),
    )
    assert named(jobs, tmp_path) == {
        "s1/b.mkv": "o/b-film-scan.mkv",
        "s2/n_##.png": "o/n-film-scan.##.png",
    }


def test_two_clips_do_not_become_one(tmp_path: Path) -> None:
    touch(tmp_path / "in", "a.mov", "a.mkv")
    with pytest.raises(ConflictError, match="would both become") as caught:
        jobs_of([str(tmp_path / "in")], tmp_path / "o", "{stem}.mkv", ())
    assert caught.value.exit_code == 10
    assert len(jobs_of([str(tmp_path / "in")], tmp_path / "o", "{stem}_{ext}.mkv", ())) == 2
    with pytest.raises(UsageError, match="template"):
        jobs_of([str(tmp_path / "in")], tmp_path / "o", "{shot}.mkv", ())
    with pytest.raises(InputError, match="no clip"):
        jobs_of([str(tmp_path / "in" / "*.mxf")], tmp_path / "o", "{stem}.mkv", ())


def test_outputs_beside_the_clips_are_not_clips(tmp_path: Path) -> None:
    touch(tmp_path, "a.mov", "p.01.png", "p.02.png", "x/b.mov")
    for _ in range(2):
        jobs = jobs_of([str(tmp_path)], tmp_path, "{stem}_dn.{ext}", ())
        assert named(jobs, tmp_path) == {
            "a.mov": "a_dn.mov",
            "p.##.png": "p_dn.##.png",
            "x/b.mov": "x/b_dn.mov",
        }
        touch(tmp_path, "a_dn.mov", "p_dn.01.png", "p_dn.02.png", "x/b_dn.mov")
    with pytest.raises(UsageError, match=r"a\.mov is the input itself"):
        jobs_of([str(tmp_path)], tmp_path, "{stem}.{ext}", ())


def test_a_template_names_what_can_be_written(tmp_path: Path) -> None:
    touch(tmp_path / "in", "p.0001.png", "p.0002.png", "a.mov")
    sources, out = [str(tmp_path / "in")], tmp_path / "o"
    assert named(jobs_of(sources, out, "{stem}_{ext}.mkv", ()), tmp_path) == {
        "in/a.mov": "o/a_mov.mkv",
        "in/p.####.png": "o/p_png.mkv",
    }
    assert named(jobs_of(sources, out, "{ext}/{stem}.####.exr", ()), tmp_path) == {
        "in/a.mov": "o/mov/a.####.exr",
        "in/p.####.png": "o/png/p.####.exr",
    }
    for template in ("{stem}", "{stem}.jpg", "{stem}.txt"):
        with pytest.raises(UsageError, match="writes no such file"):
            jobs_of(sources, out, template, ())


def test_a_glob_takes_sequences_with_gaps(tmp_path: Path) -> None:
    """Whether a gap matters is each run's own question."""
    touch(tmp_path, "p.0001.png", "p.0002.png", "p.0009.png")
    jobs = jobs_of([str(tmp_path / "*.png")], tmp_path / "o", "{stem}.{ext}", ())
    assert named(jobs, tmp_path) == {"p.####.png": "o/p.####.png"}


def test_a_list_names_folders_and_globs(tmp_path: Path) -> None:
    touch(tmp_path, "s/x/a.mov", "s/b.mov", "t/c.mov", "t/d.mov")
    (tmp_path / "jobs.toml").write_text(
        '[[job]]\ninput = "s"\nluma = 50\n[[job]]\ninput = "t/*.mov"\n'
    )
    jobs = jobs_of([str(tmp_path / "jobs.toml")], tmp_path / "o", "{stem}.{ext}", ())
    assert named(jobs, tmp_path) == {
        "s/b.mov": "o/b.mov",
        "s/x/a.mov": "o/x/a.mov",
        "t/c.mov": "o/c.mov",
        "t/d.mov": "o/d.mov",
    }
    assert [job.options for job in jobs] == [("--luma", "50")] * 2 + [()] * 2
    for text in ('input = "s"\noutput = "one.mov"\n', 'input = "s"\ndry_run = true\n'):
        (tmp_path / "jobs.toml").write_text(f"[[job]]\n{text}")
        with pytest.raises(UsageError, match="The job of"):
            jobs_of([str(tmp_path / "jobs.toml")], tmp_path / "o", "{stem}.{ext}", ())


def test_a_list_of_jobs(tmp_path: Path) -> None:
    (tmp_path / "jobs.toml").write_text(
        '[defaults]\npreset = "high-iso"\n[[job]]\ninput = "a.mov"\nluma = 60\n'
        '[[job]]\ninput = "b.mov"\noutput = "x/b.mkv"\nstrict = true\n'
        'set = {"temporal.radius" = 2}\npreset = "chroma"\n'
    )
    found = jobs_of(
        [str(tmp_path / "jobs.toml")], tmp_path / "o", "{stem}_dn.{ext}", ("--crf", "9")
    )
    assert named(found, tmp_path) == {"a.mov": "o/a_dn.mov", "b.mov": "o/x/b.mkv"}
    assert found[0].options == ("--preset", "high-iso", "--luma", "60", "--crf", "9")
    assert found[1].options == (
        *("--preset", "chroma", "--strict", "--set", "temporal.radius=2", "--crf", "9"),
    )
    for text in ("[[job]]\nname = 1\n", "job = 3\n", "[[jobs]]\n", "[[job\n"):
        (tmp_path / "jobs.toml").write_text(text)
        with pytest.raises((UsageError, InputError)):
            jobs_of([str(tmp_path / "jobs.toml")], tmp_path / "o", "{stem}.{ext}", ())


def test_a_wrong_option_of_one_job_stops_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path, "a.mov", "b.mov")
    (tmp_path / "jobs.toml").write_text(
        '[[job]]\ninput = "a.mov"\n[[job]]\ninput = "b.mov"\nlumma = 60\n'
    )
    assert call("batch", tmp_path / "jobs.toml", "-o", tmp_path / "o") == 2
    hint, last = capsys.readouterr().err.splitlines()
    assert "--lumma" in last and f"The job of {tmp_path / 'b.mov'}" in last
    assert "vdenoise run --help" in hint and not list(tmp_path.glob("o/*_dn*"))


def test_a_clip_that_is_not_there_stops_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(Clip("a.mkv", codec="ffv1", frames=2), tmp_path)
    inputs = ("a.mkv", "none.mov", "none.####.exr")
    (tmp_path / "jobs.toml").write_text("".join(f'[[job]]\ninput = "{n}"\n' for n in inputs))
    command = ("batch", tmp_path / "jobs.toml", "-o", tmp_path / "o", *GIVEN)
    for more in ((), ("--dry-run",)):
        assert call(*command, *more) == 3
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.endswith(f"{tmp_path / 'none.mov'} does not exist (1 more like it).")
        assert not list(tmp_path.glob("o/*_dn*"))
    assert call(*command, "--keep-going", "--dry-run") == 0
    assert call(*command, "--keep-going") == 8
    assert (tmp_path / "o" / "a_dn.mkv").exists()
    report = json.loads((tmp_path / "o" / REPORT).read_text())
    assert report["counts"] == {"done": 1, "failed": 2}
    assert {job.get("error") for job in report["jobs"]} == {None, "E0301"}


@pytest.mark.parametrize("output", ["../x.mov", "a/../../x.mov", "/tmp/x.mov", "a/../x.mov"])
def test_a_list_writes_below_the_output_folder(
    tmp_path: Path, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path, "a.mov")
    jobs, out = tmp_path / "jobs.toml", tmp_path / "out"
    for text in (f"output = {output!r}", f"noise-out = {output!r}", f"write_cuts = {output!r}"):
        jobs.write_text(f'[[job]]\ninput = "a.mov"\n{text}\n')
        assert call("batch", jobs, "-o", out, "--dry-run") == 2
        assert "E0293" in capsys.readouterr().err
        found = jobs_of([str(jobs)], out, "{stem}.{ext}", (), trust_paths=True)
        assert str(Path(out, output)) in " ".join((str(found[0].output), *found[0].options))
    assert not out.exists()


@pytest.mark.parametrize(
    "template",
    ["{stem}/../../x.{ext}", "/tmp/{stem}.{ext}", "{stem.real}.{ext}", "{stem:>99}"],
)
def test_a_template_stays_below_the_output_folder(tmp_path: Path, template: str) -> None:
    touch(tmp_path, "a.mov")
    with pytest.raises(UsageError):
        jobs_of([str(tmp_path / "a.mov")], tmp_path / "out", template, ())


def test_what_a_list_writes_beside_its_clips_goes_there_too(tmp_path: Path) -> None:
    touch(tmp_path, "a.mov")
    jobs, out = tmp_path / "jobs.toml", tmp_path / "out"
    jobs.write_text('[[job]]\ninput = "a.mov"\nnoise-out = "n.mkv"\n')
    (job,) = jobs_of([str(jobs)], out, "{stem}.{ext}", ())
    assert job.options == ("--noise-out", str(out / "n.mkv"))


def test_a_name_that_no_file_can_have_fails_one_job(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path, "a.mov")
    jobs = tmp_path / "jobs.toml"
    jobs.write_text(
        '[[job]]\ninput = "x\\u0000.mov"\n[[job]]\ninput = "a.mov"\noutput = "y\\u0000.mov"\n'
        '[[job]]\ninput = "a.mov"\nprofile = "z\\u0000"\n[[job]]\ninput = "a.mov"\n'
        '[[job]]\ninput = "a.mov"\nnoise-out = "n\\u0000.mkv"\n'
    )
    command = ("batch", jobs, "-o", tmp_path / "out", "--dry-run")
    assert call(*command, "--keep-going") == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["failed", "failed", "failed", "to", "failed"]
    assert call(*command) == 3


def test_a_clip_whose_outputs_name_is_too_long_fails_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("b", "a" * 251):
        touch(tmp_path / "in", f"{name}.mov")
    (tmp_path / "out").mkdir()
    command = ("batch", tmp_path / "in", "-o", tmp_path / "out", "--dry-run")
    assert call(*command, "--keep-going") == 0
    failed, other = capsys.readouterr().out.splitlines()
    assert failed.startswith("failed") and "aaa_dn.mov cannot be used" in failed
    assert other.startswith("to do")
    assert call(*command) == 2
    assert "error E02216 [exit 2]" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("name", ["-x.mov", "--noise-out=i.mkv", "--help.mov", "--", "-o.mov"])
def test_a_clip_is_no_option_whatever_it_is_called(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).touch()
    job = ClipJob(Path(name), Path(f"{name}_dn.mov"), ("--luma", "5"))
    words = run.make_context("run", list(job.arguments("--overwrite"))).params
    assert (words["input"], words["output"]) == (job.source, job.output)
    assert words["luma"] == "5" and words["overwrite"] and words["noise_out"] is None


def test_what_cannot_be_read_does_not_keep_others_from_being_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    touch(folder, "-x.mov", "good.mov", "a#b.0001.exr", "a#b.0002.exr", "locked.mov")
    (folder / "locked.mov").chmod(0)
    with permissions_count():
        assert call("batch", folder, "-o", tmp_path / "o", "--dry-run", "--keep-going") == 0
    said = capsys.readouterr().out
    assert said.count("to do") == 2 and said.count("failed") == 2
    assert "a#b" in said and "-x_dn.mov" in said


def test_what_is_typed_wins_over_a_list(tmp_path: Path) -> None:
    touch(tmp_path, "a.mov")
    jobs = tmp_path / "jobs.toml"
    jobs.write_text(
        "[defaults]\nluma = 20\nchroma = 30\nset = {'temporal.radius' = 2, 'output.blend' = 5}\n"
        '[[job]]\ninput = "a.mov"\nchroma = 40\nmask = ["sky=luma:70-100", "x=luma:0-9"]\n'
    )
    for typed, luma in ((("--luma", "10"), 10), (("--set", "output.luma=10"), 10), ((), 20)):
        more = ("--set", "temporal.radius=1", "--blend", "7", "--mask", "sky=luma:5-50")
        (job,) = jobs_of([str(jobs)], tmp_path, "{stem}_o.{ext}", (*typed, *more),
                         parameters=CHAIN_OPTIONS)  # fmt: skip
        chain = chain_request(run.make_context("run", list(job.arguments()))).chain()
        values = chain.parameters()
        assert (values["output.luma"], values["output.chroma"]) == (luma, 40)
        assert (values["temporal.radius"], values["output.blend"]) == (1, 7)
        assert values["mask.sky"]["source"] == "luma:5-50" and "mask.x" in values


OF_ALL_JOBS = ("overwrite", "resume", "threads", "progress")


@pytest.mark.parametrize(
    "key",
    ["help", "help-all", "dry-run", "plan", "segments", "Luma --overwrite", "-o", *OF_ALL_JOBS],
)
def test_a_list_says_nothing_that_makes_no_clip(tmp_path: Path, key: str) -> None:
    touch(tmp_path, "a.mov")
    jobs = tmp_path / "jobs.toml"
    jobs.write_text(f'[[job]]\ninput = "a.mov"\n{json.dumps(key)} = true\n')
    assert call("batch", jobs, "-o", tmp_path / "o") == 2


def test_a_list_names_only_outputs_that_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path, "a.mov")
    jobs = tmp_path / "jobs.toml"
    jobs.write_text('[[job]]\ninput = "a.mov"\noutput = "a.xyz"\n')
    assert call("batch", jobs, "-o", tmp_path / "o", "--dry-run") == 2
    assert "error E02129" in capsys.readouterr().err


def test_a_clip_that_comes_slowly_is_waited_for(tmp_path: Path) -> None:
    looks = Looks(movie=1, images=3)
    images.sequence(tmp_path, "png-8", frames=3)
    plate, movie = tmp_path / "plate.####.png", tmp_path / "a.mov"
    movie.touch()
    assert not looks.settled(movie) and looks.settled(movie)
    assert [looks.settled(plate) for _ in range(3)] == [False] * 3
    images.sequence(tmp_path, "png-8", frames=4)
    assert [looks.settled(plate) for _ in range(4)] == [False, False, False, True]
    assert not looks.changed(plate)
    images.sequence(tmp_path, "png-8", frames=5)  # it goes on, after all
    assert looks.changed(plate) and not looks.settled(plate)


# -- what is done ----------------------------------------------------------------------------


@pytest.fixture
def made(tmp_path: Path) -> ClipJob:
    """A job that was done, as a batch does it."""
    source = write(Clip("in.mkv", codec="ffv1", frames=3), tmp_path)
    job = ClipJob(source, tmp_path / "out.mkv", GIVEN)
    assert call("run", *job.arguments("--threads", "1")) == 0
    return job


def wanted(job: ClipJob) -> Wanted:
    ctx = run.make_context("run", list(job.arguments()))
    return wanted_of(ctx)


def state(job: ClipJob, *, ours: bool = False, overwrite: bool = False) -> str:
    return state_of(job, wanted(job), ours=ours, overwrite=overwrite).state


def test_what_is_done_stays_done(made: ClipJob) -> None:
    assert state(made) == "done"
    moved = ClipJob(
        made.source, made.output, ("--threads", "2", "--progress", "none", *made.options)
    )
    assert state(moved) == "done"
    reordered = ClipJob(made.source, made.output, (*GIVEN[2:], *GIVEN[:2]))
    assert state(reordered) == "done"
    os.utime(made.source)
    os.utime(made.output)
    assert state(made) == "done"  # touched, not changed


def test_another_request_is_a_conflict(made: ClipJob) -> None:
    for more in (("--crf", "3"), ("--luma", "50"), ("--seed", "2"), ("--noise-out", "n.mkv")):
        other = ClipJob(made.source, made.output, (*made.options, *more))
        assert state(other) == "conflict", more
        assert state(other, overwrite=True) == "to do"
    asked = replace(wanted(made), version="0.0")
    assert state_of(made, asked, ours=False, overwrite=False).state == "conflict"


def test_another_source_is_a_conflict(made: ClipJob) -> None:
    data = bytearray(made.source.read_bytes())
    data[-100] ^= 1
    made.source.write_bytes(data)
    assert state(made) == "conflict"


def test_a_byte_between_the_samples_is_another_source(tmp_path: Path) -> None:
    clip = tmp_path / "large.mov"
    clip.write_bytes(bytes(8 << 20))
    told = content(clip, None)
    assert is_same(clip, None, told)
    with clip.open("r+b") as file:
        file.seek((1 << 20) + (1 << 16))
        file.write(b"x")
    assert fingerprint(clip)["sha256_samples"] == told["sha256_samples"]
    assert not is_same(clip, None, told)


def test_what_was_changed_is_not_lost_and_what_is_missing_is_made_again(made: ClipJob) -> None:
    data = made.output.read_bytes()
    for edited in (data[:-10], data + b"tags", data[:-10] + b"0123456789"):
        made.output.write_bytes(edited)
        assert state(made) == "conflict"
        assert state(made, ours=True) == state(made, overwrite=True) == "to do"
    made.output.unlink()
    assert state(made) == "to do"


@pytest.mark.parametrize("what", ["--profile", "--cuts", "--mask", "--grain", "--model"])
def test_a_file_that_decides_the_result_is_part_of_it(tmp_path: Path, what: str) -> None:
    source = write(Clip("in.mkv", codec="ffv1", frames=3), tmp_path)
    file, options = tmp_path / "file", list(FAST)
    if what in ("--profile", "--grain"):
        file = tmp_path / "p.json"
        NoiseProfile.white(0.02, 0.02, 0.02).save(file)
        options += ["--sigma", "5", "--grain", f"match:{file}"] if what == "--grain" else []
        options += ["--profile", str(file)] if what == "--profile" else []
    elif what == "--cuts":
        file.write_text("1\n")
        options += ["--sigma", "5", "--cuts", str(file)]
    elif what == "--mask":
        file = images.write(tmp_path / "m.png", np.full((96, 128, 1), 99, np.uint8), "uint8")
        options += ["--sigma", "5", "--mask", f"m=file:{file},luma=50", "--mask-fit", "scale"]
    else:
        file = tmp_path / "w.safetensors"
        shutil.copyfile(find("S").path, file)
        options += ["--sigma", "5", "--model", str(file)]
    job = ClipJob(source, tmp_path / "out.mkv", tuple(options))
    assert call("run", *job.arguments()) == 0
    assert state(job) == "done"
    if what in ("--profile", "--grain"):
        NoiseProfile.white(0.03, 0.02, 0.02).save(file)
    elif what == "--cuts":
        file.write_text("2\n")
    elif what == "--mask":
        images.write(file, np.full((96, 128, 1), 98, np.uint8), "uint8")
    else:
        data = bytearray(file.read_bytes())
        data[-3] ^= 1  # the size and all names stay
        file.write_bytes(data)
    assert state(job) == "conflict"
    file.unlink()
    assert call("batch", source, "-o", tmp_path / "o", *options) in (2, 3, 5)  # said, no bug


def test_what_is_beside_the_clip_is_part_of_it(tmp_path: Path) -> None:
    source = write(Clip("in.mkv", codec="ffv1", frames=3), tmp_path)
    noise, cuts = tmp_path / "n.mkv", tmp_path / "cuts.txt"
    beside = ("--noise-out", str(noise), "--write-cuts", str(cuts))
    job = ClipJob(source, tmp_path / "out.mkv", (*GIVEN, *beside))
    cuts.write_text("mine")
    assert state(job) == "conflict" and state(job, ours=True) == "to do"
    cuts.unlink()
    assert call("run", *job.arguments()) == 0
    assert state(job) == "done"
    noise.write_bytes(noise.read_bytes()[:-1])
    assert state(job) == "conflict"
    noise.unlink()
    assert state(job) == "to do"


def test_an_output_without_a_recipe_is_not_lost(made: ClipJob) -> None:
    recipe = made.output.with_name("out.mkv.vdenoise.json")
    whole = json.loads(recipe.read_text())
    for text in ("[" * 100_000, "{}", '{"kind": "vdenoise-recipe"}', "\0", '"x"', "[1]"):
        recipe.write_text(text)
        assert state(made) == "conflict", text[:30]
    for key in ("versions", "input", "output", "result", "asked", "options", "files", "beside"):
        for wrong in (None, 3, [], "x", {"a": []}):
            recipe.write_text(json.dumps({**whole, key: wrong}))
            assert state(made) in ("conflict", "to do"), (key, wrong)
    recipe.unlink()
    assert state(made) == "conflict"
    assert state(made, ours=True) == "to do"


def test_a_link_in_an_outputs_place_is_no_free_name(made: ClipJob, tmp_path: Path) -> None:
    """Its disk may not be mounted."""
    for path in (made.output, made.output.with_name("out.mkv.vdenoise.json")):
        path.unlink()
    made.output.symlink_to("/not/mounted/out.mkv")
    assert state(made) == "conflict"


def test_what_is_done_and_locked_is_done(made: ClipJob, tmp_path: Path) -> None:
    for path in (made.output, made.output.with_name("out.mkv.vdenoise.json")):
        path.chmod(0o444)
    assert state(made) == "done"


def test_the_output_of_a_sequence_is_checked_frame_by_frame(tmp_path: Path) -> None:
    pattern = images.sequence(tmp_path / "in", "png-8", frames=3)
    job = ClipJob(pattern, tmp_path / "q.####.png", GIVEN)
    assert call("run", *job.arguments()) == 0
    assert state(job) == "done"
    frame = tmp_path / "q.1002.png"
    data = frame.read_bytes()
    frame.unlink()
    assert state(job) == "to do"
    frame.write_bytes(data[:-1])
    assert state(job) == "conflict"
    frame.write_bytes(data)
    assert state(job) == "done"
    (tmp_path / "q.####.png.vdenoise.json").unlink()
    assert state(job) == "conflict"


def test_only_what_was_begun_and_not_done_may_be_replaced(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path)
    one, other = (ClipJob(tmp_path / "a.mov", tmp_path / name) for name in ("b.mov", "c.mov"))
    journal.write("start", one, pid=7)
    journal.write("done", one)
    journal.write("start", other, pid=8)
    journal.write("failed", other)
    assert Journal.open(tmp_path).unfinished == {str(other.output)}


def test_every_option_of_a_run_decides_its_result_or_does_not() -> None:
    """A new one has to be put into one of these: else a batch takes another result for its own."""
    chain = {name.lstrip("-").replace("-", "_") for name in CHAIN_OPTIONS}
    chain |= {"preset", "gauge", "speed", "assignments", "masks", "grain", "hot_map", "regrow"}
    places = {"input", "target", "output", "profile", *decides.BESIDE}
    of_plans = {"plan", "segments", "resume", "devices", "source", "work", "allow_version_skew"}
    of_plans |= {"path_map", "map_rules"}
    harmless = {"threads", "progress", "overwrite", "dry_run", "strict", "qc", "report"}
    known = chain | places | of_plans | harmless | set(decides.OPTIONS)
    assert {parameter.name for parameter in run.params} == known
    writes = {flag.replace("_", "-") for flag in decides.BESIDE}
    assert writes == set(OUTPUTS)


def test_the_journal_survives_a_line_cut_short(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path)
    job = ClipJob(tmp_path / "a.mov", tmp_path / "b.mov")
    journal.write("start", job, pid=2**22 + 1)
    with journal.path.open("a") as file:
        file.write('{"event": "sta')
    assert Journal.open(tmp_path).begun == {str(job.output): 2**22 + 1}
    here = mark().partition(".")[2][:-6]
    part, alive = (tmp_path / f".b.mov.{pid}.{here}abcdef.partial" for pid in (2**22 + 1, 1))
    elsewhere = tmp_path / f".b.mov.{2**22 + 1}.00000000abcdef.partial"
    touch(tmp_path, part.name, alive.name, elsewhere.name)
    tidy(job, 2**22 + 1)
    tidy(job, 1)
    assert not part.exists() and alive.exists() and elsewhere.exists()


# -- from end to end -------------------------------------------------------------------------


def test_a_batch_from_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    clips, out = tmp_path / "in", tmp_path / "out"
    clips.mkdir()
    write(Clip("a.mkv", codec="ffv1", frames=3), clips)
    (clips / "b.mkv").write_bytes(b"no clip at all")
    images.sequence(clips / "c", "png-8", frames=2)
    command = ("batch", clips, "-o", out, *GIVEN, "--jobs", "2", "--threads", "2")
    assert call(*command, "--dry-run") == 0
    assert capfd.readouterr().out.count("to do") == 3 and not out.exists()

    assert call(*command, "--keep-going", "--progress", "json") == 8
    said = capfd.readouterr().err
    assert "leaked" not in said  # by no process: a library says so of all that it holds at the end
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert {e["event"] for e in events} >= {"note", "progress", "finished", "failed"}
    last = json.loads(said.splitlines()[-1])
    assert (last["event"], last["code"], last["exit"]) == ("error", "E0801", 8)
    assert last["what"].startswith("1 of 3 clips failed") and not last["what"].endswith("..")
    report = json.loads((out / REPORT).read_text())
    assert report["counts"] == {"done": 2, "failed": 1}
    failed = next(job for job in report["jobs"] if job["state"] == "failed")
    assert failed["error"] == "E0304" and failed["hint"] and "b.mkv" in failed["why"]
    first = {path: path.stat().st_mtime_ns for path in out.rglob("*_dn*")}

    write(Clip("b.mkv", codec="ffv1", frames=2), clips)
    monkeypatch.setattr("vdenoise.ui.reporter._OTHERS_SECONDS", 0)
    assert call(*command) == 0
    said = capfd.readouterr().err
    assert said.startswith("batch: 3 clips") and "2 done already" in said
    far = f"{clips / 'b.mkv'}: denoise: 100% (2/2), "  # people see how far each clip is
    assert any(line.startswith(far) for line in said.splitlines())
    assert {path: path.stat().st_mtime_ns for path in first} == first
    assert (out / "b_dn.mkv").exists() and (out / "c" / "plate_dn.1002.png").exists()
    assert not list(out.rglob(".*"))

    assert call(*command, "--luma", "50", "--keep-going") == 8
    assert "--overwrite" in capfd.readouterr().err
    assert call(*command, "--luma", "50") == 10
    assert "made with other options" in capfd.readouterr().err.splitlines()[-1]
    assert {path: path.stat().st_mtime_ns for path in first} == first


def test_grain_to_match_is_measured_once_for_all_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Path] = []
    real = workflows_measure.measure

    def measure(info: ClipInfo, *rest: Any, **more: Any) -> Any:
        measured.append(info.path)
        return real(info, *rest, **more)

    monkeypatch.setattr(workflows_measure, "measure", measure)
    clips, out, like = tmp_path / "in", tmp_path / "out", tmp_path / "like.mkv"
    clips.mkdir()
    for name in ("a.mkv", "b.mkv"):
        write(Clip(name, codec="ffv1", frames=2), clips)
    write(Clip("like.mkv", codec="ffv1", frames=3), tmp_path)
    jobs = tmp_path / "jobs.toml"
    jobs.write_text(f'[[job]]\ninput = "in"\ngrain = "match:{like}"\n')
    listed = ("batch", jobs, "-o", out, *GIVEN)
    typed = ("batch", clips, "-o", out, *GIVEN, "--grain", f"match:{like}", "--jobs", "2")
    assert call(*listed, "--dry-run") == 0 and not out.exists()
    assert call(*typed) == 0 and measured == [like] * 2  # a dry run is a batch of its own
    profiles = [out / f"{name}_dn.mkv.grain.json" for name in "ab"]
    assert profiles[0].read_bytes() == profiles[1].read_bytes()
    results = sorted(out.glob("*.mkv"))
    before = [path.stat().st_mtime_ns for path in results]
    assert call(*typed) == call(*listed) == 0  # done already
    assert measured == [like] * 2  # and the clip known by its content
    assert [path.stat().st_mtime_ns for path in results] == before and len(results) == 2

    alone = tmp_path / "alone.mkv"
    assert call("run", clips / "a.mkv", alone, *GIVEN, "--grain", f"match:{like}") == 0
    assert frame_checks(alone) == frame_checks(results[0])
    write(Clip("like.mkv", codec="ffv1", frames=2, size=(48, 48)), tmp_path)
    assert call(*typed) == 10  # its content counts
    profiles[0].write_bytes(b"mine")
    assert call(*typed) == 10 and profiles[0].read_bytes() == b"mine"


def frame_checks(output: Path) -> str:
    recipe = load_recipe(output)
    assert recipe is not None and recipe["result"]["frames_crc32"]
    return str(recipe["result"]["frames_crc32"])


def test_what_is_refused_leaves_no_folder(tmp_path: Path) -> None:
    clip, out = write(Clip("a.mkv", codec="ffv1", frames=2), tmp_path), tmp_path / "out"
    for wrong in (
        ("--grain", f"match:{tmp_path / 'none.mov'}"),
        ("--grain", f"match:{tmp_path / 'none.json'}"),
        ("--luma", "500"),
        ("--template", "{wrong}"),
    ):
        assert call("batch", clip, "-o", out, *GIVEN, *wrong) in (2, 3)
        assert not out.exists()


def test_folders_that_cannot_be_made_or_read_are_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path, "in/a.mov", "in/closed/b.mov", "file")
    assert call("batch", tmp_path / "in", "-o", tmp_path / "file" / "out", *GIVEN) == 4
    assert "Cannot make the folder" in capsys.readouterr().err.splitlines()[-1]
    for closed in ("in/closed", "in"):
        (tmp_path / closed).chmod(0)
        with permissions_count():
            assert call("batch", tmp_path / "in", "-o", tmp_path / "out", "--dry-run") == 3
        (tmp_path / closed).chmod(0o700)
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.endswith(f"The folder {tmp_path / closed} may not be read.")


def test_bars_of_clips_come_and_go(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    with Reporter("bar") as reporter:
        reporter.other("[a].mov", "denoise", 1, 4, "2 fps")
        reporter.other("b.mov", "measure", 3, 4, "9 fps")
        reporter.other_ended("b.mov")
        reporter.other("[a].mov", "denoise", 2, 4, "2 fps")
    said = capsys.readouterr().err
    assert said.count("[a].mov: denoise") >= 1 and "2/4" in said and "b.mov" not in said


def watch(folder: Path, looks: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch) -> int:
    """Watch ``folder / "in"``; between two looks happens the next of these, from the last on."""

    class Time:
        monotonic = staticmethod(time.monotonic)

        @staticmethod
        def sleep(seconds: float) -> None:
            assert seconds == 5
            looks.pop()()

    monkeypatch.setattr(sys.modules["vdenoise.cli.batch"], "time", Time)
    return call("batch", folder / "in", "-o", folder / "out", *GIVEN, "--watch")


def test_a_watched_folder_is_done_as_clips_become_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clips, out = tmp_path / "in", tmp_path / "out"
    clips.mkdir()

    def clip_comes() -> None:
        write(Clip("a.mkv", codec="ffv1", frames=2), clips)
        (clips / "broken.mkv").write_bytes(b"no clip")
        images.sequence(clips / "s", "png-8", frames=2)
        grow()

    def better_comes() -> None:
        assert not (out / "broken_dn.mkv").exists()
        write(Clip("broken.mkv", codec="ffv1", frames=2), clips)
        grow()

    def grow() -> None:
        with (clips / "growing.mkv").open("ab") as file:
            file.write(bytes(1000))
        images.sequence(clips / "rendering", "png-8", frames=9 - len(looks))

    def stop() -> None:
        assert (out / "a_dn.mkv").exists() and (out / "s" / "plate_dn.1002.png").exists()
        assert (out / "broken_dn.mkv").exists()
        os.kill(os.getpid(), signal.SIGINT)

    looks = [stop, grow, grow, better_comes, grow, clip_comes]
    assert watch(tmp_path, looks, monkeypatch) == 130
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith("[exit 130] Stopped: 3 clips done, and kept.")
    names = {path.name for path in out.rglob("*") if path.is_file()}
    assert not [name for name in names if "growing" in name or name.startswith(".")]
    assert not (out / "rendering").exists()
    report = json.loads((out / REPORT).read_text())
    assert report["counts"] == {"done": 3}


def test_a_watch_ends_at_a_scheduler_s_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    looks = [lambda: os.kill(os.getpid(), signal.SIGTERM), lambda: None]
    assert watch(tmp_path, looks, monkeypatch) == 143
    assert "[exit 143] Stopped" in capsys.readouterr().err.splitlines()[-1]


def test_killed_at_any_moment_it_goes_on_to_the_same_result(tmp_path: Path) -> None:
    clips = tmp_path / "in"
    clips.mkdir()
    write(Clip("a.mkv", codec="ffv1", frames=12), clips)
    images.sequence(clips, "png-8", frames=6)
    wanted = {signal.SIGKILL: 1, signal.SIGTERM: 1}
    rows = kills.check(clips, tmp_path, wanted, [*GIVEN, "--jobs", "2", "--threads", "2"])
    assert [row for row in rows if not row.sound or row.stopped != 1 or row.ended < 1] == []


@pytest.mark.parametrize(
    ("end", "code", "why"),
    [
        (
            f"os.kill(os.getpid(), {signal.SIGSEGV:d})",
            "E0385",
            "in.mkv ended its process (signal 11)",
        ),
        (
            f"os.kill(os.getpid(), {signal.SIGABRT:d})",
            "E0385",
            "in.mkv ended its process (signal 6)",
        ),
        (f"os.kill(os.getpid(), {signal.SIGKILL:d})", "E0604", "ended from outside (signal 9)"),
        ("os._exit(127)", "E0605", "memory was full while"),  # as glibc's loader does
    ],
)
def test_a_library_that_crashes_is_a_fault_of_its_clip(
    end: str, code: str, why: str, tmp_path: Path
) -> None:
    end = f"import os, resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); {end}"
    process = subprocess.Popen([sys.executable, "-c", end], stderr=subprocess.PIPE)
    clip, out = write(Clip("in.mkv", "ffv1", frames=2), tmp_path), tmp_path / "out"
    out.mkdir()
    outcome = Outcome(ClipJob(clip, out / "in.mkv"), "to do")
    assert process.stderr is not None
    running._end(running._Running(process, process.stderr, outcome, 0.0), Journal.open(out))
    assert (outcome.state, outcome.code) == ("failed", code)
    assert why in outcome.why and outcome.hint


def test_a_reference_that_changes_while_a_batch_watches_is_measured_anew(tmp_path: Path) -> None:
    like = write(Clip("like.mkv", codec="ffv1", frames=3), tmp_path)
    with Reporter("none") as reporter, References(reporter) as references:
        before = references.profile(like)
        assert references.profile(like) is before
        write(Clip("like.mkv", codec="ffv1", frames=2, size=(48, 48)), tmp_path)
        after = references.profile(like)
    assert after.source_sha256 == references.content(like) != before.source_sha256


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three clips of a frame in ``in``, the current folder's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    data = write(Clip("a.mkv", "ffv1", frames=1), tmp_path).read_bytes()
    for name in "abc":
        (tmp_path / "in" / f"{name}.mkv").write_bytes(data)
    return tmp_path / "in"


def _begun(folder: Path) -> list[str]:
    lines = map(json.loads, (folder / "vdenoise-batch.jsonl").read_text().splitlines())
    return sorted(Path(line["output"]).name for line in lines if line["event"] == "start")


def _batch(*more: str) -> subprocess.Popen[str]:
    words = ("batch", "in", "-o", "out", "--template", "{stem}.mkv", *GIVEN, *more)
    return subprocess.Popen(
        [sys.executable, "-m", "vdenoise", *words], stderr=subprocess.PIPE, text=True
    )


def _said(process: subprocess.Popen[str], words: str) -> str:
    """What a process has said, as soon as it has said these words, or all where it says others."""
    assert process.stderr is not None
    text = ""
    while words not in text and (line := process.stderr.readline()):
        text += line
    return text


def test_two_batches_share_a_folder(clips: Path) -> None:
    both = [_batch(), _batch()]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert _begun(Path("out")) == ["a.mkv", "b.mkv", "c.mkv"]
    assert all("3 clips done" in text for text in said)


@pytest.mark.parametrize("way", ["made", "made otherwise", "killed"])
def test_a_clip_that_another_batch_is_making_is_left_to_it(way: str, clips: Path) -> None:
    (out := Path("out")).mkdir()
    holding = """
import time
from pathlib import Path
from vdenoise.batch.turns import Turns
turns = Turns(Path("out/vdenoise-batch.jsonl"))
print(turns.take(Path("out/a.mkv")), flush=True)
time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", holding], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == "True\n"
        batch = _batch()
        said = _said(batch, "1 clip left, which another batch is making: waiting for it")
        assert "waiting" in said and _begun(out) == ["b.mkv", "c.mkv"]
        if way != "killed":
            strength = () if way == "made" else ("--luma", "50")
            assert call("run", "in/a.mkv", "-o", "out/a.mkv", *GIVEN, *strength) == 0
            made = (out / "a.mkv").read_bytes()
        other.kill()
    said += batch.communicate(timeout=120)[1]
    if way == "killed":
        assert batch.returncode == 0 and _begun(out) == ["a.mkv", "b.mkv", "c.mkv"], said
        return
    assert batch.returncode == (0 if way == "made" else 8), said
    assert ("made by another batch" if way == "made" else "left alone") in said
    assert (out / "a.mkv").read_bytes() == made and _begun(out) == ["b.mkv", "c.mkv"]


def test_where_a_disk_knows_no_locks_that_is_said(
    clips: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    assert call("batch", "in/a.mkv", "-o", "out", *GIVEN) == 0
    assert "batches do not see each other in out: run one at a time" in capsys.readouterr().err


def test_what_a_run_makes_while_a_batch_is_at_the_same_clip_stays(
    clips: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was replaced by a batch that had found the name free."""
    written = Journal.write

    def then(self: Journal, event: str, job: ClipJob, **values: Any) -> None:
        written(self, event, job, **values)
        if event == "start":  # the job's process begins
            job.output.write_bytes(b"another's")

    monkeypatch.setattr(Journal, "write", then)
    words = ("batch", "in/a.mkv", "-o", "out", "--template", "{stem}.mkv", *GIVEN)
    assert call(*words) == 8
    assert "E0401" in capsys.readouterr().err
    assert Path("out/a.mkv").read_bytes() == b"another's"


@pytest.mark.parametrize("read", ["input", "profile"])
@pytest.mark.parametrize("writer_first", [True, False])
def test_no_job_writes_over_what_another_one_reads(
    writer_first: bool, read: str, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was said of the job that comes later alone: the other one was done, and the file lost."""
    name = "b.mkv" if read == "input" else "p.json"
    assert call("profile", "build", clips / "c.mkv", "-o", clips / "p.json") == 0
    kept = (clips / name).read_bytes()
    tables = [
        f'[[job]]\ninput = "a.mkv"\nwrite-cuts = "{name}"\n',
        '[[job]]\ninput = "b.mkv"\n'
        + (f'profile = "{clips}/{name}"\n' if read == "profile" else ""),
    ]
    (clips / "jobs.toml").write_text("".join(tables if writer_first else tables[::-1]), "utf-8")
    words = ("batch", clips / "jobs.toml", "-o", clips, "--overwrite", *FAST)
    assert call(*words, "--keep-going") == 8
    assert (clips / name).read_bytes() == kept and "E0225" in capsys.readouterr().err
