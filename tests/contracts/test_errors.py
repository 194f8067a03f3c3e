"""What an error says helps whoever reads it, and its code means one thing."""

from __future__ import annotations

import ast
import json
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import vdenoise
from vdenoise import errors
from vdenoise.errors import InputError, UsageError
from vdenoise.farm.planfile import PlanFile, read_record
from vdenoise.media.probe import probe
from vdenoise.picture.noise import NoiseProfile

ROOT = Path(vdenoise.__file__).parent
KINDS = {
    name: kind.exit_code
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.VdenoiseError)
}
ITSELF = ("VdenoiseError", "Interrupted")  # never raised; one code, in its own constructor
# What is raised in several places because it means the same, whatever the file or option.
SAME = {
    "E0201": "click did not understand the command line",
    "E0216": "there is no such parameter",
    "E0217": "a value is not accepted",
    "E0220": "the clip has no such frames",
    "E0225": "an output is also an input",
    "E0260": "a mask cannot be understood",
    "E0262": "what is said of masks contradicts itself",
    "E0267": "a map has nothing to show",
    "E0291": "a list of jobs cannot be used",
    "E02103": "there is no such stage",
    "E0301": "it does not exist",
    "E0303": "it is empty",
    "E0304": "it is no clip",
    "E0306": "its samples are of a kind that cannot be denoised",
    "E0308": "it is damaged",
    "E0309": "it cannot be read",
    "E0310": "its codec cannot be decoded",
    "E0312": "its frames differ in size or kind",
    "E0401": "it exists already",
    "E0405": "the disk is full",
    "E0505": "weights cannot be read",
    "E1004": "the clip has changed since",
    "E7501": "it cannot be reached for now",
}


@cache
def sites() -> tuple[tuple[str, str | None, str], ...]:
    """Class, code and place of every error that is made. A code that is passed on has none."""
    return tuple(_sites())


def _sites() -> Iterator[tuple[str, str | None, str]]:
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named = {
            node.targets[0].id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            kind, where = node.func.id, f"{path.relative_to(ROOT)}:{node.lineno}"
            if kind not in KINDS or kind in ITSELF:
                continue
            (number,) = (key.value for key in node.keywords if key.arg == "number")
            number = named.get(number.id, number) if isinstance(number, ast.Name) else number
            if isinstance(number, ast.Constant):
                yield kind, f"E{KINDS[kind]:02d}{number.value:02d}", where
            else:
                yield kind, None, where


def test_every_code_means_one_thing() -> None:
    places = defaultdict(list)
    for _, code, where in sites():
        if code is not None:
            places[code].append(where)
    twice = {code: where for code, where in places.items() if len(where) > 1}
    assert not {code: where for code, where in twice.items() if code not in SAME}, "take another"
    assert set(SAME) <= set(twice), "no longer raised in several places"


def test_a_code_is_passed_on_only_by_a_batch() -> None:
    """Which says of a run's own error what it would have said."""
    assert {where.partition(":")[0] for _, code, where in sites() if code is None} == {
        "cli/batch_jobs.py"
    }


def test_every_kind_of_error_is_raised() -> None:
    assert {kind for kind, _, _ in sites()} == set(KINDS) - set(ITSELF)


def test_a_profile_with_a_fault_names_it(tmp_path: Path) -> None:
    path = tmp_path / "noise.json"
    white = NoiseProfile.white(0.01).model_dump(mode="json")
    white["shots"][0]["first"] = "soon"
    path.write_text(json.dumps(white), encoding="utf-8")
    with pytest.raises(UsageError, match=r"noise\.json is not a noise profile .*shots\.0\.first"):
        NoiseProfile.load(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match=r"is not a noise profile .*line 1 column 2"):
        NoiseProfile.load(path)


def test_a_plan_with_a_fault_names_it(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match=r"plan\.json is no plan: \w+: Field required\."):
        read_record(PlanFile, path, "plan", "Make one.")


@pytest.mark.parametrize("name", ["clip.mov", "plate.####.png"])
def test_a_path_below_a_file_cannot_be_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no folder", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"notes\.txt.* cannot be read: Not a directory\."
    ) as caught:
        probe(tmp_path / "notes.txt" / name)
    assert caught.value.number == 9
