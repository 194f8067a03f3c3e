"""``vdenoise run``: one clip in, the same clip out without its noise."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vdenoise.cli.grain import grain_to_match
from vdenoise.cli.options import (
    beside_options,
    chain_from,
    chain_options,
    clip_options,
    option,
    probed,
    progress_option,
    reading_options,
    set_threads,
)
from vdenoise.cli.segments import run_segments, segment_options

if TYPE_CHECKING:
    from vdenoise.chain import Chain
    from vdenoise.frame import ClipInfo
    from vdenoise.noise.profile import NoiseProfile
    from vdenoise.plan import Plan
    from vdenoise.ui import Reporter

PATH = click.Path(path_type=Path, allow_dash=True)


@click.command(
    epilog="Every option is also a variable: --temporal-radius is VDENOISE_TEMPORAL_RADIUS. "
    "The command line wins. '-' reads standard input (kept in a temporary file, because "
    "measuring and denoising each read it) and writes standard output."
)
@click.argument("input", type=PATH, required=False)
@option("-o", "--output", type=PATH, help="Where the clean clip goes.")
@chain_options
@clip_options
@beside_options
@option(
    "--grain-table",
    type=PATH,
    metavar="FILE",
    help="Keep the grain removed as a film-grain table for AV1 encoders.",
)
@option("--write-cuts", type=PATH, metavar="FILE", help="Keep the cuts found, for --cuts FILE.")
@option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|cuda:N",
    help="Where to compute.",
)
@reading_options
@option("--overwrite", is_flag=True, help="Replace outputs that exist.")
@option("--dry-run", is_flag=True, help="Say what would be done, and stop.")
@segment_options
@progress_option
@click.pass_context
def run(ctx: click.Context, /, **options: Any) -> None:
    """Remove the noise of INPUT and change nothing else."""
    from vdenoise import ui

    if options["plan"] is not None:
        run_segments(ctx, options)
        return
    if options["input"] is None:
        raise click.UsageError("Missing argument 'INPUT'.", ctx)
    if options["output"] is None:
        raise click.UsageError("Missing option '-o' / '--output'.", ctx)
    with (
        ui.Reporter(options["progress"]) as reporter,
        grain_to_match(ctx, options["output"], reporter),
    ):
        options["threads"] = set_threads(options["threads"])
        plan = plan_clip(chain_from(ctx), options)
        for warning in plan.warnings:
            reporter.warn(warning)
        if options["dry_run"]:
            _show(plan, as_json=options["progress"] == "json")
            return
        _carry_out(ctx, plan, options, reporter)


def plan_clip(chain: Chain, options: dict[str, Any]) -> Plan:
    """Everything that can be checked before the first frame."""
    from vdenoise import plan
    from vdenoise.errors import OutputError, UsageError
    from vdenoise.media.beside import noise_settings, view_settings
    from vdenoise.media.encode import choose
    from vdenoise.media.sequence import selected
    from vdenoise.media.writer import check_target

    info = probed(options["input"], options["on_missing"], options["fps"])
    chosen = None if options["frames"] is None else selected(info, options["frames"])
    output, noise_out = options["output"], options["noise_out"]
    plan.check_interlaced(info, options["interlaced"])
    source = info if options["interlaced"] != "deinterlace" else plan.progressive(info)
    table = options.get("grain_table")
    if table is not None and table.exists() and not options["overwrite"]:
        raise OutputError(f"{table} exists already.", "Choose another name or add --overwrite.")
    matte = options["matte"]
    views = {"mask": options["mask_out"], matte: options["matte_out"]}
    targets = {"--noise-out": noise_out, "--mask-out": views["mask"]}
    targets["--matte-out"] = views[matte]
    taken = {output.absolute()}
    check_target(info, output, overwrite=options["overwrite"], positions=chosen)
    for name, target in targets.items():
        if target is None:
            continue
        check_target(info, target, overwrite=options["overwrite"], positions=chosen)
        if target.absolute() in taken:
            raise UsageError(
                f"{name} names the output itself or another file that is written.",
                "Give it another name.",
                number=52,
            )
        taken.add(target.absolute())
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
        grain_table=options.get("grain_table"),  # not of a plan for many machines
        views=tuple(
            plan.View(kind, path, view_settings(source, path))
            for kind, path in views.items()
            if path is not None
        ),
    )
    if options["strict"] and made.warnings:
        raise OutputError(
            f"Not everything can be kept: {made.warnings[0]}.",
            "Leave --strict away to go on, or choose another container or codec.",
            number=10,
        )
    return made


def _carry_out(ctx: click.Context, plan: Plan, options: dict[str, Any], reporter: Reporter) -> None:
    from vdenoise import recipe, run
    from vdenoise.media.source import is_pipe
    from vdenoise.plan import with_chain

    profile, cuts, values = _measure(plan, options, reporter)
    asked = plan.chain
    if values:
        plan = with_chain(plan, chain_from(ctx, values))
    reporter.note(f"denoise: {plan.chain.text}, {plan.bit_path}, {plan.encode.label}")
    result = run.run(
        plan,
        profile,
        cuts,
        reporter,
        on_bad_frame=options["on_bad_frame"],
        overwrite=options["overwrite"],
        threads=options["threads"],
    )
    if result.bad_frames:
        reporter.warn(
            f"{len(result.bad_frames)} damaged frames were replaced by the ones before: "
            f"{', '.join(map(str, result.bad_frames[:10]))}"
        )
    for note in result.report.notes:
        reporter.note(note)
    if result.guards:
        reporter.note(f"guards: {_guards(result.guards)}")
    if not is_pipe(plan.output):
        made = recipe.make_recipe(plan, profile, cuts, result, ["vdenoise", *sys.argv[1:]], asked)
        recipe.save_recipe(made, plan.output)
    fps = result.frames / max(result.seconds, 1e-6)
    reporter.finish(
        f"{plan.output}: {result.frames} frames, checked, "
        f"{result.seconds:.1f} s ({fps:.2f} frames per second)",
        output=str(plan.output),
        frames=result.frames,
        seconds=round(result.seconds, 2),
    )


def _guards(found: Mapping[str, float]) -> str:
    """What the guards saw and did, for people."""
    words = {
        "drift": "levels drifted by up to {:.2f} of an 8-bit code before it was taken out",
        "structure_share": "picture was given back on {:.2f} % of the area",
        "ghost_share": "the temporal average was not used on {:.2f} %",
    }
    return ", ".join(words[name].format(value) for name, value in found.items())


def _measure(
    plan: Plan, options: dict[str, Any], reporter: Reporter
) -> tuple[NoiseProfile, tuple[int, ...], Mapping[str, str]]:
    """Noise and cuts, as given, else measured in one pass over the clip; and what ``auto`` does
    differently for that noise."""
    from vdenoise import analyze
    from vdenoise.motion.cuts import write_cuts

    info = plan.info
    profile = given_profile(info, options)
    values: Mapping[str, str] = {}
    cuts = given_cuts(info, options)
    if profile is None or cuts is None:
        found = analyze.measure(
            info,
            reporter,
            cuts=cuts,
            threads=options["threads"],
            on_bad_frame=options["on_bad_frame"],
            deinterlace=plan.interlaced == "deinterlace",
        )
        for text in found.notes:
            reporter.note(text)
        cuts = found.cuts
        if profile is None:
            profile = found.profile
            proposal = analyze.propose(profile, info)
            reporter.note(f"measured: {'; '.join(proposal.reasons)}")
            if options["preset"].partition("+")[0] == "auto":
                values = proposal.values
                if proposal.preset != "auto":
                    reporter.note(f"another choice for such footage: --preset {proposal.preset}")
    if options["write_cuts"] is not None:
        write_cuts(options["write_cuts"], cuts)
    return profile, cuts, values


def given_cuts(info: ClipInfo, options: dict[str, Any]) -> tuple[int, ...] | None:
    """Where shots begin, if that was said; None is to find out."""
    from vdenoise import analyze
    from vdenoise.motion.cuts import read_cuts

    if options["cuts"] == "auto":
        return None
    if options["cuts"] == "off":
        return ()
    cuts = read_cuts(Path(options["cuts"]))
    analyze.check_cuts(cuts, info)
    return cuts


def given_profile(info: ClipInfo, options: dict[str, Any]) -> NoiseProfile | None:
    """The noise, if that was given; None is to measure it."""
    from vdenoise import analyze
    from vdenoise.errors import UsageError
    from vdenoise.noise.profile import NoiseProfile

    if options["profile"] is not None and options["sigma"] is not None:
        raise UsageError(
            "--profile and --sigma both say how noisy the clip is.", "Use one of them.", number=53
        )
    if options["profile"] is not None:
        profile = NoiseProfile.load(options["profile"])
        analyze.check_profile(profile, info)
        return profile
    if options["sigma"] is not None:
        return analyze.profile_from_sigma(options["sigma"], info)
    return None


def frames_text(plan: Plan) -> str:
    """``1001-1100 (100)``, in the numbers people see."""
    own = plan.info.sequence
    first, last = (n if own is None else own.numbers[n] for n in (plan.first, plan.last))
    return f"{first}-{last} ({len(plan.positions)})"


def _show(plan: Plan, *, as_json: bool) -> None:
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
            "float16" if step.half else "float32",
            f"{step.block} frames" + ("" if step.tile is None else f", {step.tile} px tiles"),
        )
        for step in plan.steps
    ]
    if rows:
        ui.result("")
        ui.table("", ("stage", "parameters", "reach", "precision", "at once"), rows)
