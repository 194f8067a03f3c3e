"""What an error says helps whoever reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vdenoise.errors import InputError, UsageError
from vdenoise.farm.planfile import PlanFile, read_record
from vdenoise.media.probe import probe
from vdenoise.picture.noise import NoiseProfile


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
