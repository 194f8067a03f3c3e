"""One ordered list of layers is the architecture: imports point down, at simpler things."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import vdenoise
from vdenoise.stages import STAGES

ROOT = Path(vdenoise.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))

# Each may import itself and the lines above its own.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("compiled", "settings"),
    ("machine", "ui"),
    ("picture",),
    ("filmgrain", "motion", "nets", "sampling"),
    ("noise", "media"),
    ("degrade",),
    ("masks",),
    ("stages",),
    ("chain",),
    ("engine",),
    ("workflows",),
    ("farm", "batch", "training", "evaluation"),
    ("review",),
    ("cli",),
    ("__main__",),
)
LEVEL = {package: level for level, line in enumerate(LAYERS) for package in line}

# What is lower and yet none of their business.
NOT_FOR = {
    "ui": set(LEVEL) - {"cli"},  # only commands print
    "media": {"stages", "chain"},  # stages know no file, chains no frame
    "noise": {"stages", "chain", "masks"},
    "machine": {"stages", "nets", "masks"},  # a stage chooses no device
    "filmgrain": {"noise", "stages", "chain", "masks"},
    "degrade": {"masks", "stages", "chain", "engine", "workflows", "farm", "batch", "cli"},
}

# Packages of others that only one place may know.
OWNERS = {"av": "media", "OpenImageIO": "media", "click": "cli", "rich": "ui"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(path: Path) -> frozenset[str]:
    """Full names of everything imported, at the top or in a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: relative import"
            found |= {_resolved(node.module, alias.name) for alias in node.names}
    return frozenset(found)


def _resolved(module: str, name: str) -> str:
    """``from vdenoise.engine import plan`` imports a module, other names come from one."""
    below = ROOT.parent / Path(*module.split("."), name)
    is_module = below.is_dir() or below.with_suffix(".py").exists()
    return f"{module}.{name}" if module.startswith("vdenoise") and is_module else module


def test_every_package_has_its_layer_and_none_is_missing() -> None:
    there = {name_of(path).partition(".")[0] for path in MODULES} - {""}
    assert there == set(LEVEL)


def test_only_entry_points_and_errors_lie_at_the_root() -> None:
    assert {path.name for path in ROOT.glob("*.py")} == {"__init__.py", "__main__.py", "errors.py"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_at_simpler_things(path: Path) -> None:
    here = name_of(path)
    package = here.partition(".")[0]
    for imported in imports(path):
        top, _, inner = imported.partition(".")
        if top != "vdenoise":
            home = OWNERS.get(top)
            assert home in (None, package), f"{here} imports {top}, which is {home}'s"
            continue
        other = inner.partition(".")[0]
        if other in ("", package):
            continue
        if not package:  # what is public, for type checkers alone: it is loaded when it is used
            assert inner in vdenoise._PLACES.values(), f"the root imports {inner}"
            continue
        assert LEVEL[other] < LEVEL[package], f"{here} imports {inner}, which is no simpler"
        assert package not in NOT_FOR.get(other, ()), f"{here} imports {inner}"


def test_a_stage_lies_at_the_path_of_its_name() -> None:
    for name in STAGES:
        assert (ROOT / "stages" / f"{name.replace('.', '/')}.py").is_file(), name


def test_stages_do_not_know_each_other() -> None:
    """What is shared lives in modules that are no method; a method imports no other."""
    methods = {f"vdenoise.stages.{name}" for name in STAGES}
    shared = {"vdenoise.stages.spatial.mean"}  # the plainest average
    for name in STAGES:
        others = imports(ROOT / "stages" / f"{name.replace('.', '/')}.py") & methods
        assert others <= shared, name


def test_the_command_line_loads_nothing_heavy() -> None:
    """At the top of its modules: torch alone takes a second, and --help is to answer at once."""
    light = {"click", "vdenoise"}
    light |= {f"vdenoise.{name}" for name in ("errors", "settings", "machine", "chain", "stages")}
    light |= {
        f"vdenoise.{name}"
        for name in (
            "chain.presets",
            "chain.request",
            "chain.resolve",
            "chain.option_values",
            "settings.choices",
            "settings.groups",
        )
    }
    light |= {"vdenoise.settings.text"}
    light |= {f"vdenoise.machine.{name}" for name in ("claims", "guard", "memory")}
    for path in (ROOT / "cli").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                inside = name.startswith("vdenoise.cli.")
                standard = name.partition(".")[0] not in ("vdenoise", "torch", "av", "rich", "cv2")
                assert name in light or inside or standard, f"{path.name} imports {name}"


@cache
def definitions(kind: type[ast.ClassDef] | type[ast.FunctionDef]) -> dict[str, list[str]]:
    """Where each public class or function that a module defines at its top is defined."""
    found: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, kind) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(name_of(path))
    return found


def test_no_two_public_classes_have_one_name() -> None:
    twice = {name: places for name, places in definitions(ast.ClassDef).items() if len(places) > 1}
    assert not twice


@pytest.mark.parametrize(
    "name", ["psnr", "round_up", "subsampling", "to_rgb", "from_rgb", "resize_to", "repeat_to"]
)
def test_what_everybody_needs_is_defined_once(name: str) -> None:
    """`vdenoise.picture` has it; a copy would drift."""
    (place,) = definitions(ast.FunctionDef)[name]
    assert place.startswith("picture.")


def test_the_constants_of_bt709_are_written_down_once() -> None:
    numbers = {0.2126, 0.7152, 0.0722, 1.8556, 1.5748}
    for path in MODULES:
        if name_of(path) != "picture.color":
            tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            found = {n.value for n in tree if isinstance(n, ast.Constant) and n.value in numbers}
            assert not found, f"{name_of(path)} has {found} of its own"
