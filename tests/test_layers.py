"""The table of who may import whom is the architecture: imports point at simpler things."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import vdenoise

ROOT = Path(vdenoise.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))

# Longest name wins. A package may import itself.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "words": set(),
    "atomic": set(),
    "process": set(),
    "draws": set(),
    "grainparams": set(),
    "frame": {"noise.profile"},
    "color": {"frame"},
    "chroma": {"frame"},
    "codes": {"chroma", "color", "draws", "frame"},
    "transform": {"frame", "noise.profile"},
    "noise.profile": {"atomic", "errors"},
    "noise": {"words", "atomic", "errors", "draws", "frame", "color", "transform", "motion"},
    "noise.filmgrain": {"draws", "grainparams"},
    "noise.graintable": {"atomic", "errors", "frame", "color", "codes", "grainparams"},
    "motion": {"atomic", "errors", "frame", "transform", "noise.profile"},
    "noise.synth": {"errors", "frame", "color", "media.roundtrip"},
    "media": {"words", "atomic", "errors", "frame", "color", "codes", "grainparams"},
    "nets": {"errors", "color", "noise.profile"},
    "stages": {
        *("errors", "draws", "frame", "color", "transform", "noise.profile", "motion", "nets"),
        "texture",
    },
    "library": {"errors"},
    "dials": {"errors"},
    "masks.spec": {"errors", "dials"},
    "masks.files": {"errors", "frame", "color", "media"},
    "masks": {"frame", "color", "motion"},
    "guards": {"frame", "noise.profile", "motion.warp", "stages.base"},
    "texture": {"frame", "stages.base", "transform"},
    "settle": {"frame", "guards", "masks", "stages.base", "stages.local"},
    "parameters": {"errors", "stages"},
    "preset": {"errors", "dials", "library", "masks.spec", "parameters", "stages"},
    "chain": {"dials", "errors", "masks.spec", "parameters", "preset", "stages"},
    "typed": {"dials", "errors", "masks.spec", "stages"},
    "stream": {"frame"},
    "tile": {"errors", "frame", "stages.base"},
    "device": {"errors"},
    "steps": {
        *("chain", "device", "errors", "frame", "guards", "masks.spec", "settle", "stages"),
        *("stream", "tile"),
    },
    "plan": {
        *("chain", "device", "errors", "frame", "guards", "masks.files", "media", "stages"),
        *("steps", "stream"),
    },
    "correction": {"codes", "frame", "color", "masks.files", "plan", "stages.base"},
    "denoise": {
        *("frame", "correction", "masks.files", "motion.flow", "noise.profile", "plan", "settle"),
        *("stages", "steps", "stream", "tile"),
    },
    "run": {
        *("frame", "correction", "denoise", "guards", "media", "noise.profile", "noise.removed"),
        *("noise.graintable", "plan", "steps", "stream"),
    },
    "analyze": {"errors", "frame", "color", "media", "noise", "run", "stream"},
    "recipe": {
        *("atomic", "chain", "errors", "frame", "masks.spec", "media", "noise.profile", "plan"),
        "run",
    },
    "farm": {
        *("errors", "frame", "media", "noise.profile", "stages", "preset", "stream", "plan"),
        *("atomic", "library", "run", "analyze", "recipe", "masks.spec", "chain", "dials"),
        *("parameters", "noise.graintable", "words"),
    },
    "batch": {"atomic", "errors", "media", "process", "recipe"},
    "quality": {"errors", "frame", "color", "transform", "motion"},
    "training": {
        *("errors", "frame", "color", "transform", "media", "motion", "noise", "nets", "stages"),
        *("atomic", "analyze", "device", "plan", "run", "stream"),
    },
    "evaluation": {
        *("errors", "frame", "color", "media", "nets", "noise", "quality", "chain", "stream"),
        *("plan", "steps", "denoise", "analyze"),
    },
    "docs": {"parameters", "preset", "stages"},
    "ui": {"errors"},
    "cli": {
        "words",
        *("evaluation", "quality"),
        *("errors", "frame", "media", "motion.cuts", "masks.spec", "noise.profile", "stages"),
        "preset",
        *("plan", "run", "analyze", "library", "recipe", "batch", "farm", "training", "nets"),
        *("atomic", "chain", "device", "dials", "docs", "parameters", "typed", "ui", "process"),
    },
    "__main__": {"cli"},
    "": set(),
}

# Packages of others that only one place may know.
OWNERS = {"av": "media", "OpenImageIO": "media", "click": "cli", "rich": "ui"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def owner(name: str) -> str:
    """The table's entry for a module."""
    found = [key for key in ALLOWED if key and (name == key or name.startswith(f"{key}."))]
    return max(found, key=len, default="")


def imports(path: Path) -> set[str]:
    """Full names of everything imported, at the top or in a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: relative import"
            found |= {_resolved(node.module, alias.name) for alias in node.names}
    return found


def _resolved(module: str, name: str) -> str:
    """``from vdenoise import plan`` imports the module plan, other names come from the module."""
    below = ROOT.parent / Path(*module.split("."), name)
    is_module = below.is_dir() or below.with_suffix(".py").exists()
    return f"{module}.{name}" if module.startswith("vdenoise") and is_module else module


def test_every_module_is_in_the_table() -> None:
    missing = [name_of(path) for path in MODULES if name_of(path) and not owner(name_of(path))]
    assert not missing


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
        if not inner or (inner.partition(".")[0] == package and here not in ("noise.profile",)):
            continue
        allowed = ALLOWED[owner(here)]
        fits = any(inner == one or inner.startswith(f"{one}.") for one in allowed)
        assert fits, f"{here} imports {inner}"


def test_stages_do_not_know_each_other() -> None:
    """What is shared lives in modules that are no method; a method imports no other."""
    shared = {f"vdenoise.stages.{name}" for name in ("base", "finish", "grain", "local", "mean")}
    for path in (ROOT / "stages").glob("*.py"):
        others = {name for name in imports(path) if name.startswith("vdenoise.stages.")}
        assert path.stem == "__init__" or others <= shared, path.name


def test_the_command_line_loads_nothing_heavy() -> None:
    """At the top of its modules: torch alone takes a second, and --help is to answer at once."""
    light = {"click", "vdenoise"}
    light |= {
        f"vdenoise.{name}"
        for name in ("chain", "dials", "errors", "preset", "stages", "typed", "words")
    }
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
