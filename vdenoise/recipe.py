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
from vdenoise.frame import ClipInfo
from vdenoise.media.source import is_pipe
from vdenoise.noise.profile import NoiseProfile
from vdenoise.plan import Plan
from vdenoise.run import Result

SCHEMA = 1
_LIBRARIES = ("torch", "av", "OpenImageIO", "opencv-python-headless", "numpy")
EDGE_BYTES = 1 << 20  # hashed at each end of the input
IMAGE_EDGE_BYTES = 1 << 16  # the same for each image of a sequence


def recipe_path(output: Path) -> Path:
    """Where the recipe of an output goes."""
    return output.with_name(f"{output.name}.vdenoise.json")


def fingerprint(path: Path, edge: int = EDGE_BYTES) -> dict[str, Any]:
    """Size and SHA-256 of the first and last MiB: quick on any size, and any re-encode shows."""
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as file:
        digest.update(file.read(edge))
        if size > edge:
            file.seek(max(size - edge, edge))
            digest.update(file.read())
    return {"bytes": size, "sha256_ends": digest.hexdigest()}


def fingerprint_of(info: ClipInfo) -> dict[str, Any]:
    """Fingerprint of a clip's file, or of all files of a sequence: name, size and edges of each."""
    if info.sequence is None:
        return fingerprint(info.path)
    digest, size = hashlib.sha256(), 0
    for position in range(len(info.sequence.numbers)):
        path = info.sequence.source(position)
        found = fingerprint(path, IMAGE_EDGE_BYTES)
        digest.update(f"{path.name} {found['bytes']} {found['sha256_ends']}\n".encode())
        size += found["bytes"]
    return {"files": len(info.sequence.numbers), "bytes": size, "sha256_ends": digest.hexdigest()}


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
        source |= fingerprint_of(plan.info)
    return {
        "kind": "vdenoise-recipe",
        "schema": SCHEMA,
        "versions": {
            "vdenoise": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
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
