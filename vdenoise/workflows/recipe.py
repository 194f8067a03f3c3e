"""The recipe beside an output, ``OUT.vdenoise.json``: what was done, to what, with which versions.

Enough to do the same again, and to see whether the input is still the same.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vdenoise import __version__
from vdenoise.chain.resolve import Chain
from vdenoise.engine.plan import Plan
from vdenoise.engine.run import Result
from vdenoise.errors import OutputError
from vdenoise.machine.files import write_text
from vdenoise.masks.spec import MaskSpec
from vdenoise.media.images.sequence import is_image, split, target_of
from vdenoise.media.inputs import is_pipe
from vdenoise.media.probe import probe
from vdenoise.picture.frame import ImageSequence
from vdenoise.picture.noise import NoiseProfile

KIND, SCHEMA = "vdenoise-recipe", 1
_LIBRARIES = ("torch", "av", "OpenImageIO", "opencv-python-headless", "numpy")
EDGE_BYTES = 1 << 20  # hashed at each end of a file, and as much in between
IMAGE_EDGE_BYTES = 1 << 16  # the same for each image of a sequence
BETWEEN = 32  # places between the ends that are hashed


def recipe_path(output: Path) -> Path:
    """Where the recipe of an output goes."""
    return output.with_name(f"{output.name}.vdenoise.json")


def fingerprint(path: Path, edge: int = EDGE_BYTES) -> dict[str, Any]:
    """Size, and SHA-256 of the first and last MiB and of one MiB in places between them.

    All of a file of 3 MiB; beyond that quick on any size, and any re-encode shows.
    """
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for start, length in _sampled(size, edge):
            file.seek(start)
            digest.update(file.read(length))
    return {"bytes": size, "sha256_samples": digest.hexdigest()}


def _sampled(size: int, edge: int) -> list[tuple[int, int]]:
    """Offsets and lengths of what is hashed of a file."""
    if size <= 3 * edge:
        return [(0, size)]
    length = edge // BETWEEN
    room = (size - 2 * edge - length) / (BETWEEN - 1)
    between = [(edge + round(n * room), length) for n in range(BETWEEN)]
    return [(0, edge), *between, (size - edge, edge)]


def fingerprint_of(path: Path, sequence: ImageSequence | None) -> dict[str, Any]:
    """Fingerprint of a clip's file, or of all files of a sequence: name, size and edges of each."""
    if sequence is None:
        return fingerprint(path)
    return _of_images([sequence.source(n) for n in range(len(sequence.numbers))])


def _of_images(files: Sequence[Path]) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    for path in files:
        found = fingerprint(path, IMAGE_EDGE_BYTES)
        digest.update(f"{path.name} {found['bytes']} {found['sha256_samples']}\n".encode())
        size += found["bytes"]
    return {"files": len(files), "bytes": size, "sha256_samples": digest.hexdigest()}


def _output(plan: Plan) -> dict[str, Any]:
    """Fingerprint of what was written; of images also their numbers."""
    if not is_image(plan.output):
        return fingerprint(plan.output)
    files = target_of(plan.info, plan.output)
    numbers = [files.numbers[position] for position in plan.positions]
    found = _of_images([files.path(n) for n in numbers])
    return {**found, "numbers": numbers, "padding": files.padding}


def is_intact(recipe: Mapping[str, Any], output: Path) -> bool:
    """Whether an output is there as its recipe says."""
    told = dict(recipe.get("output", {}))
    numbers, padding = told.pop("numbers", None), told.pop("padding", None)
    try:
        if numbers is None:
            return bool(told) and fingerprint(output) == told
        before, _, after = (output.name, None, "") if padding is None else split(output)
        files = ImageSequence(output.parent, before, after, padding, tuple(numbers))
        return bool(_of_images([files.path(n) for n in numbers]) == told)
    except OSError:
        return False


def load_recipe(output: Path) -> dict[str, Any] | None:
    """The recipe beside an output; None where there is none that can be read."""
    try:
        found = json.loads(recipe_path(output).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("kind") == KIND else None


def mask_fingerprint(mask: MaskSpec) -> str | None:
    """SHA-256 over the ends of a mask's file or of every file of its sequence; None without one."""
    if not mask.path:
        return None
    path = Path(mask.path)
    found: str = fingerprint_of(path, probe(path).sequence)["sha256_samples"]
    return found


def make_recipe(
    plan: Plan,
    profile: NoiseProfile,
    cuts: Sequence[int],
    result: Result,
    command: Sequence[str],
    asked: Chain | None = None,
) -> dict[str, Any]:
    """Everything worth knowing of a finished run; ``asked`` is its chain before the measurement
    decided anything, where it did."""
    source = {"path": str(plan.info.path)}
    if not is_pipe(plan.info.path):
        source |= fingerprint_of(plan.info.path, plan.info.sequence)
    return {
        "kind": KIND,
        "schema": SCHEMA,
        "versions": {
            "vdenoise": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
        },
        "command": list(command),
        "input": source,
        "output": _output(plan),
        "masks": {
            mask.name: found
            for mask in plan.chain.masks
            if (found := mask_fingerprint(mask)) is not None
        },
        "plan": plan.to_json(),
        "asked": (asked or plan.chain).parameters(),
        "parameters": plan.chain.parameters(),
        "origin": dict(plan.chain.origin),
        "cuts": list(cuts),
        "profile": profile.model_dump(mode="json"),
        "result": {
            "frames": result.frames,
            "seconds": round(result.seconds, 3),
            "bad_frames": list(result.bad_frames),
            "guards": dict(result.guards),
            "masks": dict(result.masks),
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
        text = json.dumps(recipe, indent=1, ensure_ascii=False) + "\n"
        write_text(target, text)
    except OSError as error:
        raise OutputError(
            f"The clip {output} is complete, but its recipe {target.name} cannot be written: "
            f"{error.strerror}.",
            "Free some room, or ignore this if you do not need the recipe.",
            number=8,
        ) from error
    return target
