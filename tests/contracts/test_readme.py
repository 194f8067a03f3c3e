"""The front door opens: what README names exists."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
import torch

from tests.helpers.pictures import noisy, psnr, scene
from vdenoise.chain import presets
from vdenoise.cli import cli
from vdenoise.stages.base import SpatialStage

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "samples/README.md",
    "benchmarks/README.md",
    *(str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs").rglob("*.md"))),
)
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^(?:\$ )?vdenoise ([a-z]+)(.*?)(?:\s#.*)?$", README, flags=re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    here = (ROOT / page).parent
    assert [link for link in links if not (here / link).exists()] == []


@pytest.mark.parametrize(("name", "rest"), COMMANDS)
def test_commands_and_options_exist(name: str, rest: str):
    command = cli.commands[name]
    assert isinstance(command, click.Command)
    known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
    if isinstance(command, click.Group):
        known |= {o for sub in command.commands.values() for p in sub.params for o in p.opts}
    assert [o for o in re.findall(r"(?<=\s)--?[a-z][a-z-]*", rest) if o not in known] == []


def test_presets_in_the_table_are_the_presets_there_are():
    named = set(re.findall(r"^\| .*? \| `([a-z-]+)`", README, flags=re.MULTILINE))
    assert named == set(presets.names())


def test_readme_has_a_command_to_check():
    assert len(COMMANDS) >= 3


def test_the_denoiser_of_the_readme_works():
    section = README.partition("## Adding a denoiser")[2]
    source = re.search(r"```python\n(.*?)```", section, flags=re.DOTALL)
    assert source is not None
    names: dict[str, object] = {"__name__": "vdenoise.stages.spatial.lee"}
    exec(compile(source[1], "README.md", "exec"), names)  # the page's own code
    stage_class = names["Lee"]
    assert isinstance(stage_class, type) and issubclass(stage_class, SpatialStage)
    luma, chroma = scene(1, 48, 64)
    given = noisy(luma, chroma, "noise")
    off = stage_class(strength=0).apply(given)
    assert torch.equal(off.luma.pixels, given.luma.pixels)
    done = stage_class().apply(given)
    assert psnr(done.luma.pixels, luma) > psnr(given.luma.pixels, luma) + 2
    assert done.luma.residual.max() <= 1
