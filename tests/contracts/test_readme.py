"""The front door opens: what README names exists."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from vdenoise.chain import presets
from vdenoise.cli import cli

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
COMMAND = re.compile(r"(?:^|`)(?:\$ )?vdenoise ([a-z]+)((?: [a-z]+)?)([^`\n#]*)", re.MULTILINE)
FOLDERS = {p.name for base in (ROOT, ROOT / "vdenoise") for p in base.iterdir() if p.is_dir()}
PLACES = re.compile(rf"`((?:{'|'.join(sorted(FOLDERS - {'out'}))})/[\w./-]+)`")
EXAMPLES = {"vdenoise/stages/spatial/lee.py", "vdenoise/stages/SLOT/METHOD.py"}  # to be written


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    here = (ROOT / page).parent
    assert [link for link in links if not (here / link).exists()] == []


def command_named(name: str, sub: str) -> click.Command:
    """A command, or one of a group."""
    command = cli.commands[name]
    inner = command.commands if isinstance(command, click.Group) else {}
    return inner.get(sub, command)


@pytest.mark.parametrize("page", PAGES)
def test_commands_options_and_paths_exist(page: str):
    text = (ROOT / page).read_text(encoding="utf-8")
    for name, sub, rest in COMMAND.findall(text.replace("\\\n", " ")):
        command = command_named(name, sub.strip())
        of = [command, *(command.commands.values() if isinstance(command, click.Group) else ())]
        known = {o for c in of for p in c.params for o in (*p.opts, *p.secondary_opts)}
        asked = re.findall(r"(?<=\s)--?[a-z][a-z-]*", rest)
        assert {*asked} <= known | {"--help", "--help-all"}, f"vdenoise {name}{sub}{rest}"
    bases = (ROOT, ROOT / "vdenoise", ROOT / "docs")
    missing = [p for p in PLACES.findall(text) if not any((base / p).exists() for base in bases)]
    assert {*missing} <= EXAMPLES


def test_presets_in_the_table_are_the_presets_there_are():
    named = set(re.findall(r"^\| .*? \| `([a-z-]+)`", README, flags=re.MULTILINE))
    assert named == set(presets.names())


def test_readme_has_a_command_to_check():
    assert len(COMMAND.findall(README)) >= 3


@pytest.mark.parametrize("way", ["The way of a frame", "The way of an option: `--highlights 50`"])
def test_contributing_tells_a_way_in_a_few_lines_that_are_true(way: str):
    """Each step links the module where it happens, and what it names is there."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    lines = text.partition(f"## {way}\n")[2].partition("\n## ")[0].strip().splitlines()
    assert 5 < len(lines) < 15
    for step in "\n".join(lines).split("\n* "):
        modules = [ROOT / link for link in re.findall(r"\]\(([^)]+)\)", step)]
        assert modules, step
        said = "".join(module.read_text(encoding="utf-8") for module in modules)
        assert [name for name in re.findall(r"`(\w+)`", step) if name not in said] == [], step


def example() -> str:
    """The file that the README shows."""
    section = README.partition("## Adding a denoiser")[2]
    source = re.search(r"```python\n(.*?)```", section, flags=re.DOTALL)
    assert source is not None
    return source[1]


def test_the_denoiser_of_the_readme_becomes_one_of_ours_as_told(tmp_path: Path):
    """In a scratch copy: the file, the line, and what else is run; then nothing is amiss."""
    for part in ("vdenoise", "tests", "docs", "pyproject.toml"):
        source, target = ROOT / part, tmp_path / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    lee = tmp_path / "vdenoise" / "stages" / "spatial" / "lee.py"
    lee.write_text(example(), encoding="utf-8")
    line = re.search(r"`(\"spatial\.lee\": \"Lee\")`", README)
    assert line is not None
    registry = tmp_path / "vdenoise" / "stages" / "__init__.py"
    entry = '    "spatial.mean": "Mean",\n'
    text = registry.read_text(encoding="utf-8")
    registry.write_text(text.replace(entry, f"{entry}    {line[1]},\n"), encoding="utf-8")
    contract = ["tests/contracts/test_stages.py", "-k", "lee and not tiny", "-p", "no:xdist"]
    golden = ["tests/contracts/test_golden.py", "--update-golden", "-k", "lee", "-p", "no:xdist"]
    current = ["tests/contracts/test_docs.py", "-k", "stages_page", "-p", "no:xdist"]
    pages = "from vdenoise.chain.docs import main; main()"
    tests = "; ".join(f"assert pytest.main({what}) == 0" for what in (contract, golden, current))
    for command in (
        ("-m", "ruff", "check", str(lee)),
        ("-m", "ruff", "format", "--check", str(lee)),
        ("-c", f"import pytest; {pages}; {tests}"),
    ):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(tmp_path), "VDENOISE_TORCH_PATHS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "### spatial.lee" in (tmp_path / "docs" / "stages.md").read_text(encoding="utf-8")
    assert (tmp_path / "tests" / "contracts" / "golden" / "spatial.lee.npz").exists()
