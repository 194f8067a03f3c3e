"""The same frames again, from the recipe that lies beside them, or why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vdenoise import __version__
from vdenoise.chain.resolve import Chain
from vdenoise.engine.correction import Done
from vdenoise.engine.interlacing import progressive
from vdenoise.engine.plan import Plan
from vdenoise.engine.planning import plan_denoising
from vdenoise.engine.run import Result, run
from vdenoise.errors import ConflictError, VerifyError
from vdenoise.machine import engine
from vdenoise.machine.claims import Claims
from vdenoise.media.inputs import is_pipe
from vdenoise.media.movie.codecs import CONTAINERS
from vdenoise.media.movie.encoder import IMAGES
from vdenoise.media.movie.settings import choose
from vdenoise.media.writer import check_target, files_written
from vdenoise.picture.frame import ClipInfo
from vdenoise.workflows.contents import frame_check
from vdenoise.workflows.originals import Originals
from vdenoise.workflows.prepare import Listener
from vdenoise.workflows.reading import Reading
from vdenoise.workflows.recipe import claim_recipe, make_recipe, save_recipe
from vdenoise.workflows.recipe_to_replay import RecipeToReplay, load_to_replay
from vdenoise.workflows.tag import tag_of


def replay(
    path: Path,
    output: Path,
    listener: Listener,
    command: Sequence[str],
    *,
    source: Path | None = None,
    any_version: bool = False,
    overwrite: bool = False,
    threads: int | None = None,
    claims: Claims | None = None,
) -> tuple[Plan, Result]:
    """Make the frames of a recipe again, each compared with what it was before it is written.

    Args:
        path: of the recipe, or of the clip beside it.
        output: where they go.
        listener: told of every frame.
        command: what to put into the new recipe.
        source: where the clip lies now; None is where it lay.
        any_version: go on with another version of vdenoise.
        overwrite: replace existing outputs.
        threads: of the decoder.
        claims: files that are read or written beside these.

    Raises:
        ConflictError: version, input, model or mask are not those of the recipe.
        VerifyError: a frame comes out otherwise; then nothing is left under the final name.
        VdenoiseError: as a run.
    """
    file, recipe = load_to_replay(path)
    if recipe.versions.get("vdenoise") != __version__ and not any_version:
        raise ConflictError(
            f"{file} was made by vdenoise {recipe.versions.get('vdenoise')}; this is "
            f"{__version__}.",
            "Install that version, or try with --any-version: frames are compared all the same.",
            number=20,
        )
    info = _source(file, recipe, source)
    chain = recipe.chain()
    named = {role: paths for role, paths in chain.files.items() if role in recipe.files}
    originals = Originals(info, named)
    _check_clip(file, recipe, info, originals)
    _check_files(recipe, named, originals)
    plan = _plan(recipe, chain, info, output)
    if not recipe.result.frames_crc32:
        raise ConflictError(
            f"{file} holds no checksums of frames to compare with.",
            "It was made by a farm or an older version: run its command again, and compare the "
            "results with vdenoise compare.",
            number=21,
        )
    check_target(info, output, overwrite=overwrite, positions=plan.chosen)
    claims = Claims() if claims is None else claims
    for each in files_written(info, output, plan.positions):
        claims.write(each, "--output")
    claim_recipe(claims, output, overwrite=overwrite)
    here = engine.fingerprint(plan.device)
    others = [name for name, value in recipe.engine.items() if here.get(name) != value]
    if others:
        listener.note(f"not as it was: {', '.join(others)}; frames may differ in their last bits")
    tag = tag_of(plan, recipe.profile, recipe.cuts, recipe.files)
    checks = _Compared(recipe.result.frames_crc32, plan, others)
    with originals.explaining():
        result = run(
            plan,
            recipe.profile,
            recipe.cuts,
            listener,
            on_bad_frame=recipe.options.on_bad_frame,
            overwrite=overwrite,
            threads=threads,
            watch=checks.watch,
            tag=None if is_pipe(output) else tag,
            settled=originals.see_unchanged,
        )
    options = {**recipe.options.model_dump(), **_decided(recipe)}
    made = make_recipe(
        plan, recipe.profile, recipe.cuts, result, command,
        source=originals.clip, options=options, files=recipe.files,
        frames_crc32=recipe.result.frames_crc32, tag=tag,
    )  # fmt: skip
    save_recipe(made, output)
    return plan, result


class _Compared:
    """Compares each frame with what the recipe tells of it."""

    def __init__(self, wanted: str, plan: Plan, others: Sequence[str]) -> None:
        self._wanted = [wanted[n : n + 8] for n in range(0, len(wanted), 8)]
        self._plan, self._others, self._next = plan, others, 0

    def watch(self, done: Done) -> None:
        number = self._next
        self._next += 1
        same = number < len(self._wanted) and frame_check(done[1]) == self._wanted[number]
        if not same:
            why = f" {', '.join(self._others)} differ here." if self._others else ""
            raise VerifyError(
                f"Frame {done[0].index} does not come out as the recipe tells.{why}",
                "Use the machine and the libraries that it names, or vdenoise run with its "
                "command; nothing was written.",
                number=61,
            )


def _source(file: Path, recipe: RecipeToReplay, source: Path | None) -> ClipInfo:
    """The clip, where it lies now."""
    told = recipe.input
    path = Path(told["path"]) if source is None else source
    if source is None and not path.is_absolute():
        beside = file.parent / path
        path = path if path.exists() or not beside.exists() else beside
    how = Reading(
        path,
        fps=recipe.options.fps,
        on_missing=recipe.options.on_missing,
        on_bad_frame=recipe.options.on_bad_frame,
        interlaced=recipe.plan.interlaced,
        encoding=recipe.options.encoding,
    )
    return how.probe()


def _check_clip(file: Path, recipe: RecipeToReplay, info: ClipInfo, originals: Originals) -> None:
    """See that the clip is the one that the recipe was made from."""
    told = recipe.input
    now = {key: value for key, value in originals.clip.items() if key != "changed"}
    if "sha256" in told and any(told.get(key) != value for key, value in now.items()):
        raise ConflictError(
            f"{info.path} is not the clip that {file} was made from: its content differs.",
            "Put that one back, or say where it lies with --input FILE.",
            number=4,
        )


def _check_files(
    recipe: RecipeToReplay, named: Mapping[str, Sequence[Path]], originals: Originals
) -> None:
    """See that models and masks are those that were used."""
    for role, found in originals.files.items():
        if recipe.files[role] != found:
            raise ConflictError(
                f"{role[0].upper()}{role[1:]} ({named[role][0]}) is not the one that was used.",
                "Put that one back: its SHA-256 stands in the recipe.",
                number=22,
            )


def _plan(recipe: RecipeToReplay, chain: Chain, info: ClipInfo, output: Path) -> Plan:
    made = recipe.plan
    encode = made.encode
    suffix = output.suffix.lower()
    images = encode.container == IMAGES
    if not images and CONTAINERS.get(suffix) != encode.container:
        source = progressive(info) if made.interlaced == "deinterlace" else info
        bits = encode.pixel_format.bits
        encode = choose(source, output, codec=encode.codec, crf=encode.crf, bit_depth=bits)
    elif images:
        encode = choose(info, output, bit_depth=encode.pixel_format.bits)
    return plan_denoising(
        info,
        chain,
        output,
        encode,
        frames=made.frames,
        chosen=made.chosen,
        device=made.device if made.device == "cpu" else "auto",
        interlaced=made.interlaced,
        seed=made.seed,
        dither=made.dither,
    )


def _decided(recipe: RecipeToReplay) -> Mapping[str, Any]:
    return {"seed": recipe.plan.seed, "dither": recipe.plan.dither, "beside": []}
