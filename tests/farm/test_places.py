"""Files of a plan on machines that have them elsewhere, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.farm.test_farm_engines import EXPORT
from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.cli.farm import ENGINES
from vdenoise.errors import ConflictError, UsageError
from vdenoise.farm import inputs
from vdenoise.farm.export import files_of
from vdenoise.farm.inputs import InputRecord, Places
from vdenoise.machine.path_map import VARIABLE, PathMap
from vdenoise.media.probe import probe
from vdenoise.workflows.measure import profile_from_sigma

FAST = ("--speed", "veryfast", "--spatial", "gaussian")


def call(*args: object) -> int:
    return cli.status([str(arg) for arg in args])


@pytest.mark.parametrize(
    ("rules", "name", "here"),
    [
        (["/mnt/a=/Volumes/a"], "/mnt/a/b/c.mov", "/Volumes/a/b/c.mov"),
        (["/mnt/a=/Volumes/a"], "/mnt/a", "/Volumes/a"),
        (["/mnt/a/=/Volumes/a/"], "/mnt/a/x.####.exr", "/Volumes/a/x.####.exr"),
        (["/mnt/a=/Volumes/a"], "/mnt/ab/c.mov", "/mnt/ab/c.mov"),
        (["/mnt/a=/x", "/mnt/a/b=/y"], "/mnt/a/b/c.mov", "/y/c.mov"),
        (["/mnt/a/b=/y", "/mnt/a=/x"], "/mnt/a/b/c.mov", "/y/c.mov"),
        (["/a=/x", "/a=/y"], "/a/c", "/x/c"),
        (["P:\\shots=/mnt/p"], "p:\\Shots\\a\\b.mov", "/mnt/p/a/b.mov"),
        (["P:=/mnt/p"], "P:\\a.mov", "/mnt/p/a.mov"),
        (["P:/=/mnt/p"], "P:/a/b.mov", "/mnt/p/a/b.mov"),
        (["\\\\nas\\vol=/mnt/p"], "\\\\nas\\vol\\a.mov", "/mnt/p/a.mov"),
        (["/mnt/p=P:\\shots"], "/mnt/p/a/b.mov", "P:\\shots\\a\\b.mov"),
        (["/a=/a"], "/a/c", "/a/c"),
        (["/mnt/a=b=/x"], "/mnt/a=b/c", "/x/c"),
        (["/mnt/a=//nas/a"], "/mnt/a/c", "//nas/a/c"),
    ],
)
def test_a_name_is_mapped_folder_by_folder(rules: list[str], name: str, here: str) -> None:
    found = PathMap.of(rules)
    assert found(name) == here
    assert found(here) == here  # a task hands what it mapped on to others
    assert found.covers(name) == (here != name or rules == ["/a=/a"])


@pytest.mark.parametrize("text", ["/mnt/a", "a=/b", "/a=b", "/a=/a/b", "=/b", "/a="])
def test_a_mapping_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        PathMap.of([text])
    with pytest.raises(UsageError):
        PathMap.of(["/a=/b", "/b=/c"])


@pytest.mark.skipif(os.name == "nt", reason="there P: is a place")
@pytest.mark.parametrize("there", ["P:\\", "P:\\shots", "\\\\nas\\vol"])
def test_a_mapping_for_nodes_of_another_system_is_passed_over(
    there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One job serves both, and no folder called P:\\shots is made here."""
    clip = write(Clip("in.mkv", "ffv1", frames=4), tmp_path)
    plan = tmp_path / "plan.json"
    assert call("plan", clip, "-o", plan, "--sigma", 5, "--cuts", "off", *FAST) == 0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, f"{tmp_path.parent}={there}")
    assert call("run", "--plan", plan, "--map", f"{tmp_path}={there}") == 0
    assert call("farm", "assemble", "--plan", plan, "--map", f"{tmp_path}={there}") == 0
    names = {"in.mkv", "plan.json", "plan.work", "in_dn.mkv", "in_dn.mkv.vdenoise.json"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_the_variable_and_the_rules_of_a_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, r"/mnt/a=/Volumes/a;P:\b=/mnt/b;")
    assert PathMap.of_variable()(r"P:\b\c") == "/mnt/b/c"
    rule = {"source_path_format": "POSIX", "source_path": "/a", "destination_path": "/b"}
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"version": "pathmapping-1.0", "path_mapping_rules": [rule]}))
    assert PathMap.of_rules_file(path)("/a/c") == "/b/c"
    path.write_text("{}")  # what a session without rules has
    assert not PathMap.of_rules_file(path).rules
    for text in ("[]", "{", '{"path_mapping_rules": [{}]}'):
        path.write_text(text)
        with pytest.raises(UsageError):
            PathMap.of_rules_file(path)


def test_a_small_file_travels_and_a_large_one_must_be_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, work = tmp_path / "p.json", tmp_path / "work"
    file.write_bytes(b"profile")
    places = Places(inputs=(InputRecord.of(file),), work=work)
    assert places.find(str(file)) == str(file)  # the machine's own, while it is the same
    assert not work.exists()
    for gone in (False, True):
        file.unlink() if gone else file.write_bytes(b"another")
        copy = places.find(str(file))
        assert Path(copy).is_relative_to(work) and Path(copy).read_bytes() == b"profile"
        assert places.name(copy) == str(file)  # what is written down is the plan's name
    monkeypatch.setattr(inputs, "SMALL_BYTES", 4)
    file.write_bytes(b"weights")
    places = Places(inputs=(InputRecord.of(file),), work=work)
    file.write_bytes(b"changed")
    with pytest.raises(ConflictError):
        places.find(str(file))


@pytest.mark.parametrize("content", ["", "!", "eJwDAAAAAAE=", "eJxLTEoGAAJNASc="])
def test_a_copy_that_is_not_what_it_should_be_is_not_laid(content: str, tmp_path: Path) -> None:
    name = str(tmp_path / "gone.json")
    evil = "../../../evil"
    for sha256 in (evil, hashlib.sha256(b"other").hexdigest()):
        record = InputRecord(path=name, sha256=sha256, content=content)
        assert Places(inputs=(record,), work=tmp_path / "work").find(name) == name
    assert not list(tmp_path.iterdir())


def test_a_plan_with_mask_and_profile_goes_on_where_all_was_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    (there / "sub").mkdir(parents=True)
    clip = write(Clip("in.mkv", "ffv1", frames=8), there)
    mask = write(Clip("mask.mkv", "ffv1", frames=1), there)
    profile_from_sigma((4.0,), probe(clip)).save(there / "grain.json")
    monkeypatch.chdir(there / "sub")
    typed = ("--mask", f"m=file:../sub/../{mask.name},luma=50", "--mask-fit", "scale")
    typed += ("--grain", "match:../grain.json", "--analyze", "later", "--segment-frames", 4)
    to = ("-o", "../plan.json", "--to", "../sub/../out.mkv")
    assert call("plan", "../in.mkv", *to, *typed, *FAST) == 0
    text = (there / "plan.json").read_text()
    assert ".." not in text and str(there / "grain.json") in text

    monkeypatch.chdir(tmp_path)
    there.rename(here)
    (here / "grain.json").unlink()  # it travels in the plan
    plan = ("--plan", "here/plan.json")
    assert call("farm", "analyze", *plan, "--map", f"{there}={here}") == 0
    chain = json.loads((here / "plan.work" / "analysis.json").read_text())["chain"]
    assert str(there) in str(chain) and str(here) not in str(chain)  # other nodes read it
    assert call("run", *plan, "--map", f"{there}={here}") == 0
    assert call("farm", "status", *plan, "--map", f"{there}={here}") == 0
    capsys.readouterr()
    assert call("farm", "assemble", *plan, "--source", here / "in.mkv") == 2
    assert "E02215" in capsys.readouterr().err
    assert not there.exists()  # never to the old place
    monkeypatch.setenv(VARIABLE, f"/other=/else;{there}={here}")
    # A node's variable is for names in its commands as well.
    assert call("farm", "assemble", "--plan", there / "plan.json", "--verify") == 0
    assert (here / "out.mkv").exists()


@pytest.mark.parametrize("engine", ENGINES)
def test_mappings_of_the_nodes_are_handed_on(engine: str) -> None:
    job = replace(EXPORT, maps=("/mnt/a=/Volumes/a",))
    text = "".join(files_of(engine, job).values())
    assert text.count("--map=/mnt/a=/Volumes/a") >= 3
    if engine == "openjd":
        assert text.count("--map-rules={{Session.PathMappingRulesFile}}") == 3
