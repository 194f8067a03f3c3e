"""The recipe's tag: what a clip says of itself, and the recipe that it belongs to."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vdenoise import __version__
from vdenoise.engine.plan import Plan
from vdenoise.errors import ConflictError, InputError, VdenoiseError
from vdenoise.media.access import reading
from vdenoise.media.images.sequence import is_image
from vdenoise.media.inputs import passes
from vdenoise.media.movie.tag import RecipeTag, tag_in
from vdenoise.picture.noise import NoiseProfile
from vdenoise.workflows.contents import fingerprint_of
from vdenoise.workflows.recipe import read_recipe, recipe_path

_END = ".vdenoise.json"
_DIGITS = 16


def tag_of(
    plan: Plan, profile: NoiseProfile, cuts: Sequence[int], files: Mapping[str, str]
) -> RecipeTag:
    """The tag of what is about to be done. The same work on the same clip has the same one,
    whatever the files are called and whichever machine does it.

    Args:
        plan: what is done.
        profile: of the noise that is removed.
        cuts: that were found or given.
        files: `hashes` of the files that decide a result beside the clip.

    Raises:
        InputError: the clip cannot be read.
    """
    info = plan.info
    try:
        found = {} if passes(info.path) else fingerprint_of(info.path, info.sequence)
    except OSError as error:
        with reading(str(error.filename or info.path)):  # of a sequence the very image
            raise
    told = plan.to_json()
    decided = {
        "vdenoise": __version__,
        "clip": found.get("sha256_samples"),
        "plan": [told[key] for key in ("frames", "chosen", "encode", "interlaced", "seed")],
        "dither": plan.dither,
        "parameters": plan.chain.parameters(),
        "profile": profile.model_dump(mode="json"),
        "cuts": list(cuts),
        "files": dict(files),
    }
    text = json.dumps(decided, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return RecipeTag(__version__, plan.chain.preset, digest[:_DIGITS])


def recipe_of(clip: Path) -> Path:
    """The recipe of a clip: beside it under its name, or under another one in its folder where the
    clip was renamed and its tag tells which.

    Raises:
        InputError: it is not there.
        ConflictError: the one under its name is another clip's, and its own is not there.
    """
    beside = recipe_path(clip)
    tag = _tag_in(clip)
    if tag is None or (beside.exists() and _told_by(beside) in (None, tag.recipe)):
        return beside
    others = sorted(clip.absolute().parent.glob(f"*{_END}"))
    own = next((path for path in others if _told_by(path) == tag.recipe), None)
    if own is not None:
        return own
    hint = f"Put its recipe into its folder, or name the recipe itself: FILE{_END}."
    if beside.exists():
        raise ConflictError(
            f"{beside} is not the recipe that {clip} was made by: the clip says {tag.text!r}.",
            hint,
            number=23,
        )
    raise InputError(
        f"No recipe beside {clip} is the one that it names: {tag.text!r}.", hint, number=1
    )


def told_plan(clip: Path) -> dict[str, Any]:
    """What a clip's recipe says of its plan, also where the clip was renamed; nothing where there
    is no recipe, or it is another clip's."""
    try:
        found = read_recipe(recipe_of(clip)) or {}
    except VdenoiseError:
        return {}
    plan = found.get("plan")
    return plan if isinstance(plan, dict) else {}


def invented_in(clip: Path) -> str | None:
    """What the recipe of a clip says of invented detail in it; None where there is none, or no
    recipe that tells."""
    found = told_plan(clip).get("invented")
    return found if isinstance(found, str) else None


def _tag_in(clip: Path) -> RecipeTag | None:
    """The tag of a clip; None of what is no movie, or is not there any more."""
    if is_image(clip) or not clip.is_file():
        return None
    try:
        return tag_in(clip)
    except InputError:
        return None


_TAG = re.compile(rb'"tag"\s*:\s*"([^"]*)"')


def _told_by(recipe: Path) -> str | None:
    """Which recipe a file says it is; None of one from before there were tags, or of no recipe."""
    if recipe.is_fifo():  # it would be waited for
        return None
    with reading(str(recipe)):
        told = _TAG.search(recipe.read_bytes())
    tag = None if told is None else RecipeTag.read(told[1].decode("utf-8", "replace"))
    return None if tag is None else tag.recipe
