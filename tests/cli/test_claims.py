"""No command writes over what it reads, over another of its outputs, or over a file that is there
without being told to: tried with every option of every command that names a file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from tests.helpers import images
from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.cli.files import FileCommand, Folder, Reads, Writes
from vdenoise.errors import FileClash, InputError, OutputError
from vdenoise.machine.claims import Claims, identity
from vdenoise.nets.models import find
from vdenoise.picture.noise import NoiseProfile

FAST = ("--speed", "veryfast", "--temporal", "none", "--spatial", "gaussian", "--sigma", "5")
PRECIOUS = b"nobody has another copy of this"
# Options that name a file among other things, as text: what they come to is claimed with the chain.
TEXTS = {"--preset", "--model", "--grain", "--mask", "--set", "--against", "--executable", "--map"}
TEXTS |= {"--hot-map"}  # the chain reads it
# Arguments of the kind, and files a batch or a training finds by itself and claims in its own way.
TEXTS |= {"name", "names", "one", "other", "sources", "config", "--config", "--override"}


def call(*args: object) -> int:
    return cli.status([str(arg) for arg in args])


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands(cli.cli))
WRITING = {
    name: [p for p in command.params if isinstance(p.type, Writes)]
    for name, command in COMMANDS.items()
    if any(isinstance(p.type, Writes) for p in command.params)
}


def flag(parameter: click.Parameter) -> str:
    return max(parameter.opts, key=len)


def reading(name: str) -> list[click.Parameter]:
    return [p for p in COMMANDS[name].params if isinstance(p.type, Reads)]


def typed(name: str, values: dict[click.Parameter, Path], folder: Path) -> list[str]:
    """A command line with these values, and something for all else that is required."""
    (folder / "some").mkdir(exist_ok=True)
    (folder / "some.mov").touch()
    words, arguments = name.split(), []
    for parameter in COMMANDS[name].params:
        value: Any = values.get(parameter)
        needed = parameter.required or (parameter.name == "input" and name == "run")
        if (
            parameter.name == "plan"
            and name == "run"
            and any(p.name in ("source", "map_rules") for p in values)
        ):
            needed = True
        if value is None and needed:
            if isinstance(parameter.type, Writes):
                value = folder / f"new-{parameter.name}.json"
            elif isinstance(parameter.type, Folder):
                value = folder / "some"
            elif isinstance(parameter.type, click.Choice):
                value = next(iter(parameter.type.choices))
            else:
                value = folder / "some.mov"
        if value is None:
            continue
        if isinstance(parameter, click.Argument):
            arguments.append(str(value))
        else:
            words.append(f"{flag(parameter)}={value}")
    return [*words, *arguments]


# -- the declarations ------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_that_names_a_file_says_what_is_done_with_it(name: str) -> None:
    command = COMMANDS[name]
    assert isinstance(command, FileCommand)
    for parameter in command.params:
        called = flag(parameter)
        if isinstance(parameter.type, click.Path | click.File):
            assert isinstance(parameter.type, Reads | Writes | Folder), called
            continue
        shown = f"{parameter.metavar or ''} {parameter.name}".lower()
        names = any(word in shown for word in ("file", "folder", "dir", "path", "output", "clip"))
        is_text = isinstance(parameter.type, click.types.StringParamType)
        assert called in TEXTS or not (names and is_text), called


def test_the_commands_that_write_are_known() -> None:
    """The walk below has something to walk over."""
    assert {"run", "plan", "evaluate", "adapt", "profile build", "farm assemble"} <= set(WRITING)
    assert len(WRITING["run"]) >= 6 and len(reading("run")) >= 5


# -- by any name -----------------------------------------------------------------------------


def itself(path: Path) -> Path:
    return path


def linked(path: Path) -> Path:
    other = path.with_name("link.mov")
    other.symlink_to(path)
    return other


def hard(path: Path) -> Path:
    other = path.with_name("hard.mov")
    os.link(path, other)
    return other


def through_a_folder(path: Path) -> Path:
    (path.parent / "elsewhere").symlink_to(path.parent)
    return path.parent / "elsewhere" / path.name


def roundabout(path: Path) -> Path:
    return Path(os.path.relpath(path.parent / "some" / ".." / path.name))


WAYS = (itself, linked, hard, through_a_folder, roundabout)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", WRITING)
def test_what_is_read_is_not_written(
    name: str, way: Callable[[Path], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "some").mkdir()
    read = tmp_path / "precious.mov"
    read.write_bytes(PRECIOUS)
    other = way(read)
    for target in WRITING[name]:
        for source in reading(name):
            words = typed(name, {source: read, target: other}, tmp_path)
            if any(p.name == "overwrite" for p in COMMANDS[name].params):
                words.append("--overwrite")
            assert call(*words) == 2, words
            assert "E0225" in capsys.readouterr().err
            assert read.read_bytes() == PRECIOUS


@pytest.mark.parametrize("name", [name for name, found in WRITING.items() if len(found) > 1])
def test_two_outputs_are_two_files(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new.json"
    for place, one in enumerate(WRITING[name]):
        for other in WRITING[name][place + 1 :]:
            assert call(*typed(name, {one: new, other: new}, tmp_path)) == 2
            assert "E0252" in capsys.readouterr().err and not new.exists()


@pytest.mark.parametrize("name", WRITING)
def test_what_is_there_stays(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = tmp_path / "there.json"
    there.write_bytes(PRECIOUS)
    for target in WRITING[name]:
        if isinstance(target.type, Writes) and target.type.later:
            continue  # another command writes it
        assert call(*typed(name, {target: there}, tmp_path)) == 4, target.name
        assert "E0401" in capsys.readouterr().err
        assert there.read_bytes() == PRECIOUS


@pytest.mark.parametrize("name", sorted(WRITING))
def test_only_a_clip_goes_to_standard_output(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Elsewhere ``-`` was the name of a file, replaced without a word."""
    monkeypatch.chdir(tmp_path)
    Path("-").write_bytes(PRECIOUS)
    for parameter in (p for p in WRITING[name] if not p.type.stdout):  # type: ignore[attr-defined]
        assert call(*typed(name, {parameter: Path("-")}, tmp_path)) == 2, flag(parameter)
        assert "E02230" in capsys.readouterr().err
    assert Path("-").read_bytes() == PRECIOUS


def test_variables_are_options_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = tmp_path / "a.mov"
    clip.write_bytes(PRECIOUS)
    monkeypatch.setenv("VDENOISE_WRITE_CUTS", str(clip))
    assert call("run", clip, "-o", tmp_path / "z.mov", "--overwrite") == 2
    assert clip.read_bytes() == PRECIOUS


# -- what a command comes to -----------------------------------------------------------------


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write(Clip("in.mkv", codec="ffv1", frames=3), tmp_path)


def unchanged(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_what_a_chain_reads_is_not_written(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset, mask, profile = (tmp_path / name for name in ("p.toml", "m.png", "n.json"))
    preset.write_text('schema = 1\nabout = "mine"\ninherit = "base.toml"\n')
    (tmp_path / "base.toml").write_text('schema = 1\nabout = "below"\n')
    images.write(mask, (images.picture(0).clip(0, 1) * 255).astype(np.uint8), "uint8")
    assert call("profile", "build", clip, "-o", profile) == 0
    copied = tmp_path / "w.safetensors"
    shutil.copyfile(find("S").path, copied)
    before = unchanged(tmp_path)
    out = ("-o", tmp_path / "z.mkv", "--overwrite", *FAST)
    monkeypatch.chdir(tmp_path)
    for target in ("--write-cuts", "--grain-table"):
        assert call("run", clip, *out, "--preset", preset, target, preset) == 2
        assert call("run", clip, *out, "--preset", preset, target, "base.toml") == 2
        assert call("run", clip, *out, "--mask", f"sky=file:{mask}", target, mask) == 2
        assert call("run", clip, *out, "--grain", f"match:{profile}", target, profile) == 2
        assert call("run", clip, *out, "--model", copied, target, copied) == 2
        assert call("run", clip, *out, target, tmp_path / "z.mkv.vdenoise.json") == 2
    assert unchanged(tmp_path) == before


def test_every_image_of_a_sequence_counts(tmp_path: Path) -> None:
    plate = images.sequence(tmp_path, "png-8")
    before = unchanged(tmp_path)
    out = tmp_path / "q.####.png"
    for words in (
        ("-o", out, "--write-cuts", tmp_path / plate.name.replace("####", "1002")),
        ("-o", out, "--write-cuts", tmp_path / "q.1001.png"),
        ("-o", out, "--noise-out", tmp_path / "q.%04d.png"),
        ("-o", tmp_path / plate.name.replace("####", "%04d")),
        ("-o", tmp_path / plate.name),
    ):
        assert call("run", plate, *words, "--overwrite", *FAST) == 2, words
    assert unchanged(tmp_path) == before


def test_pictures_found_in_folders_are_read(tmp_path: Path) -> None:
    images.sequence(tmp_path / "clip", "png-8", frames=2)
    before = unchanged(tmp_path)
    there = next((tmp_path / "clip").iterdir())
    assert call("evaluate", tmp_path, "--csv", there, "--overwrite") == 2
    assert call("evaluate", tmp_path, "--json", there) == 4
    assert call("evaluate", tmp_path, "--json", tmp_path / "none" / "o.json") == 4
    assert unchanged(tmp_path) == before


def test_a_recipe_replaces_recipes_only(clip: Path, tmp_path: Path) -> None:
    taken = tmp_path / "z.mkv.vdenoise.json"
    taken.write_bytes(PRECIOUS)
    words = ("run", clip, "-o", tmp_path / "z.mkv", *FAST)
    assert call(*words) == 4 and taken.read_bytes() == PRECIOUS
    taken.unlink()
    assert call(*words) == 0
    (tmp_path / "z.mkv").unlink()
    assert call(*words) == 0


def test_cards_and_profiles_beside_outputs_replace_nothing(clip: Path, tmp_path: Path) -> None:
    card, grain = tmp_path / "w.json", tmp_path / "z.mkv.grain.json"
    card.write_bytes(PRECIOUS)
    grain.write_bytes(PRECIOUS)
    assert call("adapt", clip, "-o", tmp_path / "w.safetensors", "--model", "S") == 4
    assert call("run", clip, "-o", tmp_path / "z.mkv", "--grain", f"match:{clip}", *FAST) == 4
    assert card.read_bytes() == grain.read_bytes() == PRECIOUS


def test_a_farms_files_replace_nothing(clip: Path, tmp_path: Path) -> None:
    plan, job = tmp_path / "plan.json", tmp_path / "job"
    assert call("plan", clip, "-o", plan, "--grain-table", tmp_path / "g.tbl", *FAST) == 0
    job.mkdir()
    (job / "submit.sh").write_bytes(PRECIOUS)
    export = ("farm", "export", "--plan", plan, "-o", job, "--engine", "slurm")
    assert call(*export) == 4
    assert [path.name for path in job.iterdir()] == ["submit.sh"]
    assert (job / "submit.sh").read_bytes() == PRECIOUS
    assert call(*export, "--overwrite") == 0
    assert call(*export) == 0  # they hold the same already
    assert call("run", "--plan", plan) == 0
    (tmp_path / "g.tbl").write_bytes(PRECIOUS)
    assert call("farm", "assemble", "--plan", plan) == 4
    assert call("farm", "assemble", "--plan", plan, "-o", clip, "--overwrite") == 2
    segment = next((tmp_path / "plan.work").glob("*.mkv"))
    assert call("farm", "assemble", "--plan", plan, "-o", segment, "--overwrite") == 2
    assert (tmp_path / "g.tbl").read_bytes() == PRECIOUS


def test_a_preset_is_not_saved_over_what_it_inherits_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VDENOISE_PRESETS", str(tmp_path))
    assert call("presets", "save", "mine", "--luma", "50") == 0
    before = unchanged(tmp_path)
    assert call("presets", "save", "mine", "--luma", "60") == 4
    assert call("presets", "save", "mine", "--preset", "mine", "--overwrite") == 2
    assert unchanged(tmp_path) == before


def test_jobs_of_a_batch_do_not_write_each_others_files(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write(Clip("other.mkv", codec="ffv1", frames=3), tmp_path)
    out, jobs = tmp_path / "out", tmp_path / "jobs.toml"
    out.mkdir()
    NoiseProfile.white(0.03, 0.02, 0.02).save(out / "other_dn.mkv")
    for text in (
        '[defaults]\nnoise-out = "n.mkv"\n',
        f'[defaults]\nprofile = "{out}/other_dn.mkv"\n',
    ):
        jobs.write_text(text + '[[job]]\ninput = "in.mkv"\n[[job]]\ninput = "other.mkv"\n')
        before = unchanged(tmp_path)
        assert call("batch", jobs, "-o", out, "--overwrite") == 10
        assert unchanged(tmp_path) == before
    del other
    capsys.readouterr()


# -- the claims themselves -------------------------------------------------------------------


def test_what_is_no_file_is_not_claimed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    claims = Claims()
    for path in (Path("-"), Path("/dev/null"), tmp_path / "pipe"):
        assert identity(path) is None
        claims.write(path, "--output", overwrite=False)
    claims.read(Path("-"), "the input")
    claims.read(tmp_path / "pipe", "the input")


def test_a_device_is_not_read_and_a_folder_is_not_written(tmp_path: Path) -> None:
    """What a device says may never end, and a folder is found to be one before any work."""
    with pytest.raises(InputError, match="is a device"):
        Claims().read(Path("/dev/zero"), "--profile")
    with pytest.raises(OutputError, match="is a folder"):
        Claims().write(tmp_path, "the recipe", overwrite=True)


def test_what_is_read_after_it_was_claimed_is_refused_too(tmp_path: Path) -> None:
    claims = Claims()
    claims.write(tmp_path / "new" / "a.mov", "--output", overwrite=False)
    claims.write(tmp_path / "new" / "a.mov", "--output", overwrite=False)
    with pytest.raises(FileClash, match="also the mask sky"):
        claims.read(tmp_path / "new" / ".." / "new" / "a.mov", "the mask sky")
    claims.read(tmp_path / "new" / "a.mov", "--output")  # written first, read then
    (tmp_path / "b.mov").touch()
    with pytest.raises(OutputError, match="exists already"):
        claims.write(tmp_path / "b.mov", "--noise-out", overwrite=False)


def test_upper_case_is_the_same_name_where_the_folder_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vdenoise.machine import claims

    assert identity(tmp_path / "a.mov") != identity(tmp_path / "A.mov")
    monkeypatch.setattr(claims, "_folds_case", lambda _: True)
    assert identity(tmp_path / "a.mov") == identity(tmp_path / "A.mov")


def test_a_link_to_nothing_is_what_it_would_become(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target.mov")
    assert identity(tmp_path / "link") == identity(tmp_path / "target.mov")
