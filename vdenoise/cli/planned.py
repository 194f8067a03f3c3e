"""What is decided before the first frame of a clip, from what was typed; and a plan, for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vdenoise.cli.clip import probed
from vdenoise.settings.text import counted

if TYPE_CHECKING:
    from vdenoise.chain.resolve import Chain
    from vdenoise.engine.plan import Plan
    from vdenoise.machine.claims import Claims
    from vdenoise.picture.frame import ClipInfo
    from vdenoise.picture.noise import NoiseProfile
    from vdenoise.ui import Reporter


def plan_clip(chain: Chain, options: dict[str, Any], claims: Claims, reporter: Reporter) -> Plan:
    """Everything that can be checked before the first frame."""
    from vdenoise.engine import plan
    from vdenoise.errors import OutputError, UsageError
    from vdenoise.media.images.sequence import selected
    from vdenoise.media.movie.settings import choose
    from vdenoise.media.side_outputs import noise_settings, view_settings
    from vdenoise.media.writer import check_target, files_written

    info = probed(options["input"], options["on_missing"], options["fps"], reporter)
    chosen = None if options["frames"] is None else selected(info, options["frames"])
    output, noise_out = options["output"], options["noise_out"]
    plan.check_interlaced(info, options["interlaced"])
    source = info if options["interlaced"] != "deinterlace" else plan.progressive(info)
    matte = options["matte"]
    if matte != "confidence" and options["matte_out"] is None:
        raise UsageError(
            f"--matte {matte} says what --matte-out shows, and there is no --matte-out.",
            "Add --matte-out FILE.mkv.",
            number=67,
        )
    views = {"mask": options["mask_out"], matte: options["matte_out"]}
    targets = {"--noise-out": noise_out, "--mask-out": views["mask"]}
    targets["--matte-out"] = views[matte]
    targets["--to" if "to" in options else "--output"] = output
    for name, target in targets.items():
        if target is not None:
            check_target(info, target, overwrite=options["overwrite"], positions=chosen)
            for file in files_written(info, target, chosen):
                claims.write(file, name, overwrite=True)  # seen just now
    claim_recipe(claims, output, overwrite=options["overwrite"])
    encode = choose(
        source,
        output,
        codec=options["codec"],
        crf=options["crf"],
        bit_depth=options["bit_depth"],
    )
    made = plan.make(
        info,
        chain,
        output,
        encode,
        chosen=chosen,
        device=options["device"],
        interlaced=options["interlaced"],
        seed=options["seed"],
        noise_out=noise_out,
        noise_encode=None if noise_out is None else noise_settings(source, encode, noise_out),
        dither=options["dither"],
        grain_table=options["grain_table"],
        views=tuple(
            plan.View(kind, path, view_settings(source, path))
            for kind, path in views.items()
            if path is not None
        ),
    )
    plan.check_film_grain(made)
    if options["strict"] and made.warnings:
        raise OutputError(
            f"Not everything can be kept: {made.warnings[0]}.",
            "Leave --strict away to go on, or choose another container or codec.",
            number=10,
        )
    return made


def claim_recipe(claims: Claims, output: Path, *, overwrite: bool) -> None:
    """Claim the recipe beside an output, which may replace an older one and nothing else.

    Raises:
        UsageError: it is read, or written as something else.
        OutputError: its name is taken by another file.
    """
    from vdenoise.media.inputs import is_pipe
    from vdenoise.workflows.recipe import load_recipe, recipe_path

    if not is_pipe(output):
        known = load_recipe(output) is not None
        claims.write(recipe_path(output), "the recipe", overwrite=overwrite or known)


def given_cuts(info: ClipInfo, options: dict[str, Any]) -> tuple[int, ...] | None:
    """Where shots begin, if that was said; None is to find out."""
    from vdenoise.motion.cuts import read_cuts
    from vdenoise.workflows import measure

    if options["cuts"] == "auto":
        return None
    if options["cuts"] == "off":
        return ()
    cuts = read_cuts(Path(options["cuts"]))
    measure.check_cuts(cuts, info)
    return cuts


def given_profile(info: ClipInfo, options: dict[str, Any]) -> NoiseProfile | None:
    """The noise, if that was given; None is to measure it."""
    from vdenoise.errors import UsageError
    from vdenoise.picture.noise import NoiseProfile
    from vdenoise.workflows import measure

    if options["profile"] is not None and options["sigma"] is not None:
        raise UsageError(
            "--profile and --sigma both say how noisy the clip is.", "Use one of them.", number=53
        )
    if options["profile"] is not None:
        profile = NoiseProfile.load(options["profile"])
        measure.check_profile(profile, info)
        return profile
    if options["sigma"] is not None:
        return measure.profile_from_sigma(options["sigma"], info)
    return None


def frame_number(info: ClipInfo, n: int) -> int:
    """A frame counted from 0, in the numbers people see: those of a sequence's files."""
    return n if info.sequence is None else info.sequence.numbers[n]


def frames_text(plan: Plan) -> str:
    """``1001-1100 (100)``, in the numbers people see."""
    first, last = (frame_number(plan.info, n) for n in (plan.first, plan.last))
    return f"{first}-{last} ({len(plan.positions)})"


def show_plan(plan: Plan, *, as_json: bool) -> None:
    """What ``--dry-run`` prints."""
    from vdenoise import ui

    if as_json:
        ui.result_json(plan.to_json())
        return
    info, chain = plan.info, plan.chain
    shown = {
        "input": f"{info.path}, {info.width}x{info.height}, {float(info.rate):.6g} fps"
        + (", variable" if info.variable_rate else ""),
        "output": f"{plan.output}, {plan.encode.label}",
        "frames": frames_text(plan),
        "preset": f"{chain.preset}, speed {chain.speed}",
        "removes": f"{chain.luma:g} % of the luma noise, {chain.chroma:g} % of the chroma noise",
        "bit path": plan.bit_path,
        "device": plan.device
        + (f", {plan.workers} frames side by side" if plan.workers > 1 else ""),
        "memory": f"about {plan.memory_bytes // 2**20} MiB",
    }
    for mask in chain.masks:
        shown[f"mask {mask.name}"] = mask.text
    for view in plan.views:
        shown[f"{view.kind} out"] = f"{view.path}, {view.encode.label}"
    if plan.noise_out is not None and plan.noise_encode is not None:
        shown["noise out"] = f"{plan.noise_out}, {plan.noise_encode.label}"
    ui.facts("", shown)
    rows = [
        (
            step.stage.name,
            ", ".join(f"{k}={v}" for k, v in step.stage.model_dump(mode="json").items()),
            f"{step.stage.reach}",
            step.precision,
            counted(step.block, "frame") + ("" if step.tile is None else f", {step.tile} px tiles"),
        )
        for step in plan.steps
    ]
    if rows:
        ui.result("")
        ui.table("", ("stage", "parameters", "reach", "precision", "at once"), rows)
