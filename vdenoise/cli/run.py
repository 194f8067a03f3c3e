"""``vdenoise run``: one clip in, the same clip out without its noise."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from vdenoise.cli.chain import chain_options, warn_of_idle
from vdenoise.cli.clip import beside_options, clip_options, reading_options
from vdenoise.cli.files import READS, WRITES, WRITES_CLIP, FileCommand, claims_of
from vdenoise.cli.grain import grain_to_match
from vdenoise.cli.options import device_option, option, progress_option, set_threads
from vdenoise.cli.planned import frame_number, show_plan
from vdenoise.cli.qc import QC, tell_of_gates
from vdenoise.cli.request import clip_request
from vdenoise.cli.segments import run_segments, segment_options
from vdenoise.errors import Interrupted, UsageError
from vdenoise.machine import process
from vdenoise.settings.text import counted

if TYPE_CHECKING:
    from vdenoise.engine.plan import Plan
    from vdenoise.engine.run import Result
    from vdenoise.picture.frame import ClipInfo
    from vdenoise.ui import Reporter
    from vdenoise.workflows.request import ClipRequest


class _Run(FileCommand):
    """``run IN OUT`` is ``run IN -o OUT``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, args)
        typed = ctx.get_parameter_source("output") is ParameterSource.COMMANDLINE
        if ctx.params["target"] is not None and not typed:
            ctx.params["output"], ctx.params["target"] = ctx.params["target"], None
            ctx.set_parameter_source("output", ParameterSource.COMMANDLINE)
        return rest


@click.command(
    cls=_Run,
    epilog="Every option is also a variable: --temporal-radius is VDENOISE_TEMPORAL_RADIUS. "
    "The command line wins. '-' reads standard input (kept in a temporary file, because "
    "measuring and denoising each read it) and writes standard output.",
)
@click.argument("input", type=READS, required=False, metavar="INPUT")
@click.argument("target", type=WRITES_CLIP, required=False, metavar="[OUTPUT]")
@option("-o", "--output", type=WRITES_CLIP, help="Where the clean clip goes.")
@chain_options
@clip_options
@beside_options
@option("--write-cuts", type=WRITES, metavar="FILE", help="Keep the cuts found, for --cuts FILE.")
@device_option
@reading_options
@option("--overwrite", is_flag=True, help="Replace outputs that exist.")
@option(
    "--qc",
    type=click.Choice(QC),
    default="off",
    show_default=True,
    help="Judge the picture while it is written: warn of what fails, or end with exit 7.",
)
@option(
    "--report",
    is_flag=True,
    help="Write a page beside the output, OUTPUT.html: before and after, figures, settings.",
)
@option("--dry-run", is_flag=True, help="Say what would be done, and stop.")
@segment_options
@progress_option
@click.pass_context
def run(ctx: click.Context, /, **options: Any) -> None:
    """Remove the noise of INPUT and change nothing else.

    \b
    vdenoise run noisy.mov clean.mov
    vdenoise run noisy.mov clean.mov --preset high-iso --luma 60
    """
    with process.importing():
        from vdenoise import ui
        from vdenoise.workflows.denoise_clip import denoise_clip
        from vdenoise.workflows.prepare import plan_clip

        judged = options["report"] or options["qc"] != "off"
        if judged:  # else half of the package is not needed
            from vdenoise.review.inspect import Inspector
            from vdenoise.review.report.page import told_of, write_report
            from vdenoise.review.report.summary import claim_report
            from vdenoise.review.report.witness import Witness

    if options["resume"] and options["plan"] is None:
        _check_resumable(options)
    if options["target"] is not None:
        raise UsageError(
            f"vdenoise run takes one clip and one output; {options['target']} is one more than "
            f"{options['input']} and -o {options['output']}.",
            "Images are one clip by their pattern, in quotes: 'plate.####.exr'. For many clips "
            "there is vdenoise batch.",
            number=1,
        )
    if options["plan"] is not None:
        run_segments(ctx, options)
        return
    if options["input"] is None:
        raise click.UsageError("Missing argument 'INPUT'.", ctx)
    if options["output"] is None:
        raise click.UsageError("Missing option '-o' / '--output', or OUTPUT behind INPUT.", ctx)
    with (
        ui.Reporter(options["progress"]) as reporter,
        grain_to_match(ctx, options["output"], reporter),
    ):
        if options["report"]:
            claim_report(claims_of(ctx), options["output"], overwrite=options["overwrite"])
        request = clip_request(ctx, set_threads(options["threads"]))
        if options["resume"] and not options["overwrite"]:
            request = replace(request, overwrite=None)  # what is its own is seen later
        plan = plan_clip(request, reporter.read, claims=claims_of(ctx))
        for warning in plan.warnings:
            reporter.warn(warning)
        for text in plan.translated:
            reporter.note(text)
        warn_of_idle(ctx, plan.chain, reporter)
        if options["dry_run"]:
            show_plan(plan, as_json=options["progress"] == "json")
            return
        command = ["vdenoise", *sys.argv[1:]]
        if options["resume"]:
            _resume(request, plan, reporter, command)
            return
        inspector = Inspector(plan.info, plan.encode.pixel_format) if judged else None
        witness = Witness(plan, inspector) if inspector is not None and options["report"] else None
        seen = witness or inspector
        prepared, result = denoise_clip(
            request,
            reporter,
            command=command,
            plan=plan,
            watch=None if seen is None else seen.watch,
            ready=None if witness is None else witness.ready,
        )
        _tell(prepared.plan, result, reporter)
        if inspector is None:
            return
        findings = None if witness is None else witness.finish()
        found = inspector.finish(prepared.cuts) if findings is None else findings.inspection
        if findings is not None:
            page = write_report(prepared, findings, told_of(prepared, result, command))
            reporter.note(f"report: {page}")
        if options["qc"] != "off":
            tell_of_gates(found, plan.info, str(plan.output), options["qc"], reporter)


def _check_resumable(options: Mapping[str, Any]) -> None:
    """See that nothing was asked for that a run in parts cannot do."""
    seen = {"--report": options["report"], "--qc": options["qc"] != "off"}
    seen |= {"--on-bad-frame repeat": options["on_bad_frame"] != "fail"}
    seen |= {"--write-cuts": options["write_cuts"] is not None}
    for name in (name for name, said in seen.items() if said):
        raise UsageError(
            f"{name} cannot be said with --resume: parts of the clip may be done in another run.",
            "Leave one of them away; vdenoise qc looks at the finished clip.",
            number=212,
        )


def _resume(request: ClipRequest, plan: Plan, reporter: Reporter, command: Sequence[str]) -> None:
    """Do what is left of a run."""
    from vdenoise.farm.resumable import denoise_resumably

    try:
        done = denoise_resumably(request, plan, reporter, command, request.device)
    except Interrupted as stop:
        raise Interrupted(
            "Stopped; what is done stays beside the output.",
            "Run the same command to go on.",
            signal_number=stop.signal_number,
        ) from stop
    if done is None:
        reporter.finish(f"{plan.output}: already there", output=str(plan.output))
    else:
        _tell(*done, reporter)


def _tell(plan: Plan, result: Result, reporter: Reporter) -> None:
    """What came of a run."""
    if result.bad_frames:
        reporter.warn(
            f"{counted(len(result.bad_frames), 'damaged frame')} replaced by what came before: "
            f"{', '.join(map(str, result.bad_frames[:10]))}"
        )
    if result.report.compared:
        reporter.note(f"compared with the source: {result.report.compared}")
    for note in result.report.notes:
        reporter.note(note)
    if result.guards:
        reporter.note(f"guards: {_guards(result.guards, plan.info)}")
    if result.masks:
        shares = (f"{name} {share:.3g} %" for name, share in result.masks.items())
        reporter.note(f"masks cover: {', '.join(shares)} of the picture")
    if plan.grain_table is not None:
        reporter.note(
            f"film-grain table: {plan.grain_table}, for aomenc --film-grain-table or "
            "SvtAv1EncApp --fgs-table"
            + ("; the clip itself is written without it" if plan.film_grain is None else "")
        )
    if plan.film_grain:
        reporter.note(
            f"film grain: AV1 decoders draw {100 * plan.film_grain:g} % of what was removed; the "
            "picture itself is clean"
        )
    for name in (name for name, share in result.masks.items() if share == 0):
        reporter.warn(f"the mask {name} covers nothing of these frames")
    fps = result.frames / max(result.seconds, 1e-6)
    reporter.finish(
        f"{plan.output}: {counted(result.frames, 'frame')}, checked, "
        f"{result.seconds:.1f} s ({fps:.2f} frames per second)"
        + ("" if plan.invented is None else f"; {plan.invented}"),
        output=str(plan.output),
        frames=result.frames,
        seconds=round(result.seconds, 2),
    )


def _guards(found: Mapping[str, float], info: ClipInfo) -> str:
    """What the guards saw and did, for people."""
    words = {
        "drift": "levels drifted by up to {:.2f} of an 8-bit code",
        "structure_share": "picture was given back on {:.2f} % of the area",
        "ghost_share": "the temporal average was not used on {:.2f} % of it",
    }
    parts = []
    for name, text in ((name, text) for name, text in words.items() if name in found):
        frame = frame_number(info, int(found[f"{name}_frame"]))
        most = "" if name == "drift" else f"{found[f'{name}_most']:.2f} % "
        parts.append(f"{text.format(found[name])} (most: {most}in frame {frame})")
    return ", ".join(parts)
