"""The recipe beside an output, ``OUT.vdenoise.json``: what was done, to what, with which versions.

Enough to do the same again, and to see whether the input is still the same.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vdenoise import __version__
from vdenoise.errors import OutputError
from vdenoise.media.source import is_pipe
from vdenoise.noise.profile import NoiseProfile
from vdenoise.plan import Plan
from vdenoise.run import Result

SCHEMA = 1
EDGE_BYTES = 1 << 20  # hashed at each end of the input


def recipe_path(output: Path) -> Path:
    """Where the recipe of an output goes."""
    return output.with_name(f"{output.name}.vdenoise.json")


def fingerprint(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of the first and last MiB: quick on any size, and any re-encode shows."""
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as file:
        digest.update(file.read(EDGE_BYTES))
        if size > EDGE_BYTES:
            file.seek(max(size - EDGE_BYTES, EDGE_BYTES))
            digest.update(file.read())
    return {"bytes": size, "sha256_ends": digest.hexdigest()}


def make_recipe(
    plan: Plan,
    profile: NoiseProfile,
    cuts: Sequence[int],
    result: Result,
    command: Sequence[str],
) -> dict[str, Any]:
    """Everything worth knowing of a finished run."""
    source = {"path": str(plan.info.path)}
    if not is_pipe(plan.info.path):
        source |= fingerprint(plan.info.path)
    return {
        "kind": "vdenoise-recipe",
        "schema": SCHEMA,
        "versions": {
            "vdenoise": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "av", "opencv-python-headless", "numpy")},
        },
        "command": list(command),
        "input": source,
        "plan": plan.to_json(),
        "parameters": plan.chain.parameters(),
        "origin": dict(plan.chain.origin),
        "cuts": list(cuts),
        "profile": profile.model_dump(mode="json"),
        "result": {
            "frames": result.frames,
            "seconds": round(result.seconds, 3),
            "bad_frames": list(result.bad_frames),
            "checked": list(result.report.checked),
            "notes": list(result.report.notes),
        },
    }


def save_recipe(recipe: dict[str, Any], output: Path) -> Path:
    """Write the recipe beside its output.

    Raises:
        OutputError: it cannot be written.
    """
    target = recipe_path(output)
    try:
        target.write_text(json.dumps(recipe, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"The clip {output} is complete, but its recipe {target.name} cannot be written: "
            f"{error.strerror}.",
            "Free some room, or ignore this if you do not need the recipe.",
            number=8,
        ) from error
    return target
