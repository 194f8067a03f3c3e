"""What machines are like that nobody set up for us: few handles, no temporary folder, links that
lead nowhere, a current folder that is gone. Each is said, and nothing is lost by it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.fuzz import GIVEN
from tests.fuzz.situations import call, last
from vdenoise.batch.jobs import jobs_of
from vdenoise.cli import system_faults
from vdenoise.errors import ConflictError, MemoryShort, OutputError, UsageError
from vdenoise.machine import claims, devices
from vdenoise.machine.files import partial_path
from vdenoise.machine.owner import temporary_prefix
from vdenoise.media import memory
from vdenoise.media.access import reading, writing
from vdenoise.media.images.drawing import save_picture
from vdenoise.media.inputs import readable
from vdenoise.media.movie.writer import MovieWriter
from vdenoise.workflows import denoise_clip as denoising

RUN = ("run", "a.mkv", "-o", "z.mkv", *GIVEN)


@pytest.mark.parametrize(("handles", "said"), [(12, ""), (5, "error E0606 [exit 6]")])
def test_few_file_handles_are_enough_or_are_said(handles: int, said: str, clip: Path) -> None:
    begin = f"""
import os, resource, sys
from vdenoise import cli
import benchmarks.forked, tests.helpers.clips, vdenoise.cli.warm  # all that is imported
resource.setrlimit(resource.RLIMIT_NOFILE, ({handles}, {handles}))
os._exit(cli.status({list(RUN)!r}))
"""
    done = subprocess.run(
        [sys.executable, "-c", begin], cwd=clip.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == (6 if said else 0), done.stderr
    assert said in (done.stderr.splitlines() or [""])[-1]
    assert (clip.parent / "z.mkv").exists() == (not said)
    assert not list(clip.parent.glob(".*"))


@pytest.mark.parametrize("doing", [reading("a.mkv"), writing(Path("a.mkv"))])
def test_handles_that_lack_are_no_fault_of_a_file(doing: object) -> None:
    """A farm gives exit 3 and 4 up, and tries 6 on another machine."""
    with pytest.raises(MemoryShort), doing:  # type: ignore[attr-defined]
        raise OSError(errno.EMFILE, "Too many open files", "a.mkv")


_NONE = av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory")
_NO_THREAD = av.error.BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")


@pytest.mark.parametrize(("error", "lacks"), [(_NONE, True), (_NO_THREAD, False)])
def test_memory_that_ffmpeg_does_not_get_is_no_fault_of_a_file(
    error: av.FFmpegError, lacks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was a damaged frame (exit 3), or a disk that cannot be written (4)."""

    def packets() -> Iterator[av.Packet]:
        raise error
        yield

    monkeypatch.setattr(memory, "may_take", lambda _: not lacks)
    with pytest.raises(MemoryError), writing(Path("a.mkv")):
        raise error
    with pytest.raises(MemoryError):
        list(readable(packets()))


def test_no_thread_is_waited_for_that_has_no_memory_to_begin(
    clip: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python waits for ever (python/cpython#140746)."""
    assert devices.may_take(1 << 20) and not devices.may_take(1 << 46)
    monkeypatch.setattr(devices, "may_take", lambda _: False)
    assert call(*RUN) == 6
    assert "E0603" in last(capsys) and not Path("z.mkv").exists()


@pytest.mark.parametrize("lacks", [True, False])
def test_a_module_that_finds_no_memory_is_no_bug_of_ours(
    lacks: bool,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Python says then that a text is wrong, or that a name is not there (exit 1)."""

    def fails(*_words: object) -> None:
        raise SyntaxError("(unicode error) can't load unicodedata module")

    monkeypatch.setattr(system_faults, "may_take", lambda _: not lacks)
    monkeypatch.setattr(denoising, "denoise_clip", fails)
    assert call(*RUN) == (6 if lacks else 1)
    assert ("E0603" if lacks else "E0100") in last(capsys)


def test_a_damaged_file_that_asks_for_more_than_there_can_be_is_damaged() -> None:
    with pytest.raises(OutputError), writing(Path("a.mkv")):
        raise _NONE


def test_a_machine_without_a_folder_for_temporary_files_is_told_so(
    clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/nowhere/at/all"])
    assert call(*RUN) == 4
    assert "E0428" in last(capsys) and not Path("z.mkv").exists()


def test_a_file_that_may_not_be_so_large_is_no_full_disk(clip: Path) -> None:
    """As with ``ulimit -f``, and on disks of FAT32 beyond 4 GB."""
    begin = f"""
import os, resource, sys
from vdenoise import cli
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
os._exit(cli.status({list(RUN)!r}))
"""
    done = subprocess.run(
        [sys.executable, "-c", begin], cwd=clip.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 4 and "error E0432 [exit 4] z.mkv would be" in done.stderr
    assert not list(clip.parent.glob("*z.mkv*"))


def test_what_lies_beside_clips_is_not_taken_for_a_library(clip: Path, tmp_path: Path) -> None:
    """The process that starts a batch's jobs ran it, or ended by it."""
    for name in ("socket", "queue", "torch"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')")
    words = [sys.executable, "-P", "-m", "vdenoise", "batch", "a.mkv", "-o", "out", *GIVEN]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists() and list((tmp_path / "out").glob("*.mkv"))


def test_a_full_folder_for_temporary_files_is_not_taken_for_the_outputs(
    clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(writer: MovieWriter, *_frame: object) -> None:
        with writing(writer.target):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(MovieWriter, "write", fails)
    assert call(*RUN) == 4
    assert f"E0427 [exit 4] {tempfile.gettempdir()} has no room" in last(capsys)


def test_a_current_folder_that_was_removed_is_said(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (gone := tmp_path / "gone").mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert call("run", clip, "-o", "z.mkv", *GIVEN) == 3
    assert "E0388" in last(capsys)
    assert call("run", clip, "-o", tmp_path / "z.mkv", *GIVEN) == 0


def of_ended_process(made: str) -> Path:
    """A path that a process made and left."""
    words = [sys.executable, "-c", f"from pathlib import Path\n{made}"]
    return Path(subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip())


def test_what_a_killed_run_left_goes_with_the_next(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be as large as the clip. What is being written, here or elsewhere, stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    prefix = "from vdenoise.machine.owner import temporary_prefix as new, mark; import tempfile"
    folder = of_ended_process(f"{prefix}; print(tempfile.mkdtemp('', new(), {tempfile.tempdir!r}))")
    begin = "from vdenoise.machine.files import partial_path"
    left = of_ended_process(f"{begin}; p = partial_path(Path('z.mkv')); p.touch(); print(p)")
    at_work, elsewhere = partial_path(Path("z.mkv")), Path(".z.mkv.9.00000000abcdef.partial")
    (tmp_path / "tmp" / "vdenoise-mine").mkdir()
    for path in (at_work, elsewhere):
        path.touch()
    assert left.exists() and folder.is_dir()
    assert call(*RUN) == 0
    assert not left.exists() and at_work.exists() and elsewhere.exists()
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == ["vdenoise-mine"]
    left.touch()
    assert call("run", "a.mkv", "-o", "q.####.png", *GIVEN) == 0
    assert not left.exists() and at_work.exists()


def test_a_link_to_a_folder_is_no_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a.mov").touch()
    ended = "from vdenoise.machine.owner import mark; print(mark())"
    link = tmp_path / f"vdenoise-{of_ended_process(ended)}-abc"
    link.symlink_to("kept")
    temporary_prefix()
    assert link.is_symlink() and (tmp_path / "kept" / "a.mov").exists()


def test_a_pipe_in_the_place_of_a_clip_stays(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo("z.mkv")
    for more in ((), ("--overwrite",)):
        assert call(*RUN, *more) == 4
        assert "E0426" in last(capsys) and Path("z.mkv").is_fifo()


@pytest.mark.parametrize("place", ["z.mkv.vdenoise.json", "z.mkv.html"])
def test_a_pipe_in_the_place_of_a_page_or_recipe_is_not_waited_for(
    clip: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(place)
    assert call(*RUN, "--report", "--overwrite") == 4
    assert "E0429" in last(capsys) and not Path("z.mkv").exists() and Path(place).is_fifo()


@pytest.mark.parametrize("name", ["z.mkv", "z.0001.png"])
def test_a_file_that_somebody_locked_is_not_replaced(
    name: str, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(name).write_bytes(b"locked")
    Path(name).chmod(0o444)
    target = name.replace("0001", "####")
    assert call("run", "a.mkv", "-o", target, *GIVEN, "--overwrite") == 4
    assert f"E0430 [exit 4] {name} is read-only" in last(capsys)
    assert Path(name).read_bytes() == b"locked"
    Path(name).chmod(0o644)
    assert call("run", "a.mkv", "-o", target, *GIVEN, "--overwrite") == 0


def test_a_link_to_a_disk_that_is_not_mounted_stays(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("z.mkv").symlink_to("/not/mounted/z.mkv")
    assert call(*RUN) == 4
    assert "E0401" in last(capsys) and Path("z.mkv").is_symlink()
    Path("folder").symlink_to("/not/mounted")
    assert call("run", "a.mkv", "-o", "folder/z.mkv", *GIVEN) == 4
    said = capsys.readouterr().err
    assert "E0402" in said and "mounted" in said


@pytest.mark.parametrize("name", ["z.mkv", "z.0000.png"])
def test_a_link_is_replaced_and_what_it_leads_to_stays(name: str, clip: Path) -> None:
    """Nobody has named that file: it may be the version that the link was to be moved on from."""
    Path("v1").mkdir()
    Path(there := f"v1/{name}").write_bytes(b"version 1")
    Path(name).symlink_to(there)
    target = name.replace("0000", "####")
    assert call("run", "a.mkv", "-o", target, *GIVEN) == 4 and Path(name).is_symlink()
    assert call("run", "a.mkv", "-o", target, *GIVEN, "--overwrite") == 0
    assert not Path(name).is_symlink() and Path(name).stat().st_size > 9
    assert Path(there).read_bytes() == b"version 1"


def test_links_that_lead_in_a_circle_are_said(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("x.mkv").symlink_to("x.mkv")
    Path("folder").symlink_to("folder")
    # In the names of texts it is pathlib that says so, before Python 3.13.
    for words, *status in (
        (("run", "x.mkv", "-o", "z.mkv", *GIVEN), 3),
        (("run", "a.mkv", "-o", "x.mkv", *GIVEN), 4),
        (("run", "a.mkv", "-o", "folder/z.mkv", *GIVEN), 4),
        ((*RUN, "--noise-out", "x.mkv"), 4),
        ((*RUN, "--write-cuts", "folder/cuts.txt"), 2, 4),
        (("batch", "folder", "-o", "out", *GIVEN), 3),
        (("batch", "a.mkv", "-o", "folder", *GIVEN), 4),
    ):
        assert call(*words) in status, words
        assert "error E" in last(capsys)
    assert not Path("z.mkv").exists()


@pytest.mark.parametrize("key", ["output", "noise-out"])
def test_a_list_leads_out_by_no_link(key: str, clip: Path, tmp_path: Path) -> None:
    (out := tmp_path / "out").mkdir()
    (tmp_path / "else").mkdir()
    (out / "link").symlink_to("../else")
    (out / "l.mkv").symlink_to("../else/l.mkv")
    for name in ("link/x.mkv", "l.mkv"):
        Path("j.toml").write_text(f'[[job]]\ninput = "a.mkv"\n{key} = "{name}"\n')
        with pytest.raises(UsageError, match="leads out"):
            jobs_of(["j.toml"], out, "{stem}_x.{ext}", ())
        assert jobs_of(["j.toml"], out, "{stem}_x.{ext}", (), trust_paths=True)


def test_names_that_differ_in_case_alone_are_one_where_the_disk_says_so(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("j.toml").write_text(
        '[[job]]\ninput = "a.mkv"\noutput = "X.mkv"\n[[job]]\ninput = "a.mkv"\noutput = "x.mkv"\n'
    )
    assert len(jobs_of(["j.toml"], tmp_path / "out", "{stem}.{ext}", ())) == 2
    monkeypatch.setattr(claims, "_folds_case", lambda _: True)
    with pytest.raises(ConflictError, match="would both become"):
        jobs_of(["j.toml"], tmp_path / "out", "{stem}.{ext}", ())


def test_whether_a_disk_folds_case_is_told_by_what_lies_in_it(tmp_path: Path) -> None:
    """A folder's own name belongs to the disk that it is mounted on."""
    (tmp_path / "share").mkdir()
    (tmp_path / "SHARE").symlink_to("share")  # as a disk that folds case would have it
    assert claims._folds_case(tmp_path / "share")
    (tmp_path / "share" / "clip").write_text("x")
    assert not claims._folds_case(tmp_path / "share")
    (tmp_path / "share" / "CLIP").symlink_to("clip")
    assert claims._folds_case(tmp_path / "share")
    assert not claims._folds_case(Path("/nowhere"))


@pytest.mark.parametrize("name", ["p.png", "p.jpg", "p.webp"])
def test_a_picture_that_may_not_be_so_large_is_none(name: str, tmp_path: Path) -> None:
    """OpenImageIO says nothing of it, and half a PNG was left with exit 0."""
    begin = f"""
import resource
from pathlib import Path
import numpy as np
from vdenoise.errors import OutputError
from vdenoise.media.images.drawing import save_picture
picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
save_picture(Path("whole-{name}"), picture)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    save_picture(Path({name!r}), picture)
except OutputError as error:
    print(error.code)
"""
    done = subprocess.run(
        [sys.executable, "-c", begin], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "E0432\n"
    assert [path.name for path in tmp_path.iterdir()] == [f"whole-{name}"]


def test_a_picture_that_its_kind_cannot_hold_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="holds no 20000x8 pixels"):
        save_picture(tmp_path / "p.webp", np.zeros((8, 20000, 3), np.uint8))
    assert not list(tmp_path.iterdir())
