"""Stages that another package brings: the README's own example, installed as one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from tests.helpers.clips import Clip, write
from vdenoise import cli, stages
from vdenoise.stages import plugins

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## Adding a denoiser")[2]
LEE = re.search(r"```python\n(.*?)```", SECTION, flags=re.DOTALL)
FAST = ("--sigma", "8", "--cuts", "off", "--codec", "ffv1", "--model", "none", "--temporal", "none")
Install = Callable[..., None]


def forget() -> None:
    plugins.plug_ins.cache_clear()
    stages.stage_class.cache_clear()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Lays a package with an entry point where Python finds it."""
    folder = tmp_path / "site"
    monkeypatch.syspath_prepend(str(folder))

    def lay(point: str, value: str, code: str = "", version: str = "1.5") -> None:
        about = folder / "my_filters.dist-info"
        about.mkdir(parents=True, exist_ok=True)
        (about / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: my-filters\nVersion: {version}\n"
        )
        (about / "entry_points.txt").write_text(f"[vdenoise.stages]\n{point} = {value}\n")
        (folder / f"{value.partition(':')[0]}.py").write_text(code)
        forget()

    yield lay
    forget()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write(Clip("in.mkv", codec="ffv1", frames=2, size=(64, 48)), tmp_path)


def call(*args: object) -> int:
    return cli.status([str(arg) for arg in args])


def frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as film:
        return [frame.to_ndarray() for frame in film.decode(video=0)]


def test_the_readmes_denoiser_runs_from_a_package_of_its_own(
    install: Install, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert LEE is not None
    install("spatial.lee", "my_lee:Lee", LEE[1])
    assert call("stages") == 0 and "spatial.lee" in capsys.readouterr().out
    assert call("stages", "lee") == 0 and "spatial.radius" in capsys.readouterr().out
    assert "spatial.lee" in stages.every_stage() and "lee" not in stages.methods("spatial")

    made, other = tmp_path / "lee.mkv", tmp_path / "none.mkv"
    assert call("run", clip, made, *FAST, "--spatial", "lee", "--set", "spatial.radius=1") == 0
    assert call("run", clip, other, *FAST, "--spatial", "none", "--luma", "50") == 0
    assert not np.array_equal(frames(made)[0], frames(other)[0])
    recipe = json.loads(Path(f"{made}.vdenoise.json").read_text())
    assert recipe["plug_ins"] == {"spatial.lee": "my-filters 1.5"}
    assert recipe["parameters"]["spatial.radius"] == 1


def test_a_plan_is_for_the_release_it_was_made_with(
    install: Install, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert LEE is not None
    install("spatial.lee", "my_lee:Lee", LEE[1])
    plan, target = tmp_path / "plan.json", tmp_path / "out.mkv"
    words = (*FAST, "--spatial", "lee", "--set", "spatial.radius=1", "--segment-frames", "2")
    assert call("plan", clip, "--to", target, "-o", plan, *words) == 0
    install("spatial.lee", "my_lee:Lee", LEE[1], version="2.0")
    assert call("run", "--plan", plan, "--segments", "0") == 10
    assert "my-filters 1.5" in capsys.readouterr().err
    assert not target.exists()


@pytest.mark.parametrize(
    ("value", "code", "why"),
    [
        ("my_gone:Lee", "raise ImportError('no such library')", "no such library"),
        ("my_number:Lee", "Lee = 3", "no class of a stage"),
        ("my_other:Lee", LEE[1].replace('"lee"', '"lea"') if LEE else "", "another slot or method"),
    ],
)
def test_a_broken_package_is_named_and_harms_nothing_else(
    install: Install, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    value: str, code: str, why: str,
) -> None:  # fmt: skip
    install("spatial.lee", value, code)
    assert call("stages") == 0 and why in " ".join(capsys.readouterr().out.split())
    assert call("run", clip, tmp_path / "lee.mkv", *FAST, "--spatial", "lee") == 2
    said = capsys.readouterr().err
    assert "my-filters 1.5" in said and why in said
    assert call("run", clip, tmp_path / "fine.mkv", *FAST, "--spatial", "mean") == 0


def test_a_name_of_ours_stays_ours(install: Install) -> None:
    ours = stages.stage_class("spatial.mean")
    install("spatial.mean", "my_mean:Mean", "class Mean: pass")
    assert stages.stage_class("spatial.mean") is ours
    assert stages.every_stage().count("spatial.mean") == 1


def test_a_method_that_nobody_brings_is_refused_with_all_there_are(
    install: Install, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert LEE is not None
    install("spatial.lee", "my_lee:Lee", LEE[1])
    assert call("run", clip, tmp_path / "x.mkv", *FAST, "--spatial", "leee") == 2
    assert "Did you mean lee?" in capsys.readouterr().err
