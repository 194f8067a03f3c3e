"""``vdenoise plan``: freeze everything that decides a result, for many machines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vdenoise.cli.chain import chain_options, warn_of_idle
from vdenoise.cli.clip import beside_options, clip_options, reading_options
from vdenoise.cli.files import READS, WRITES, WRITES_LATER, FileCommand, claims_of
from vdenoise.cli.grain import grain_to_match
from vdenoise.cli.options import option, progress_option, set_threads
from vdenoise.errors import UsageError
from vdenoise.settings.text import counted

if TYPE_CHECKING:
    from vdenoise.engine.plan import Plan
    from vdenoise.farm.planfile import PlanFile

_JOINED = {
    "files": "nothing: each frame is a file of its own",
    "copy": "copying their packets",
    "encode": "encoding their lossless frames once",
}


@click.command(
    cls=FileCommand,
    epilog="Then: vdenoise run --plan plan.json, on one machine or, with --segments, on many; and "
    "vdenoise farm assemble --plan plan.json. vdenoise farm export writes the jobs of a farm.",
)
@click.argument("input", type=READS)
@option(
    "-o", "--output", type=WRITES, required=True, metavar="PLAN", help="The plan, a .json file."
)
@option(
    "--to",
    type=WRITES_LATER,
    metavar="CLIP",
    help="Where the clean clip will go: a movie, or a pattern of images such as "
    "clean.####.exr.  [default: beside the plan, INPUT's name with _dn]",
)
@chain_options
@clip_options
@partial(beside_options, path=WRITES_LATER)
@option(
    "--segment-frames",
    type=click.IntRange(min=1),
    help="Length of a segment.  [default: about ten minutes of work]",
)
@option(
    "--analyze",
    "when",
    type=click.Choice(("now", "later")),
    default="now",
    show_default=True,
    help="Measure the noise now, or as a step of the farm's job.",
)
@reading_options
@option("--overwrite", is_flag=True, help="Replace the plan if it exists.")
@progress_option
@click.pass_context
def plan(ctx: click.Context, /, **options: Any) -> None:
    """Make the plan of INPUT: frames, noise, shots, parameters, encoding and segments."""
    from vdenoise import ui
    from vdenoise.cli.request import clip_request
    from vdenoise.farm.chain_record import Request
    from vdenoise.farm.make_plan import make_plan
    from vdenoise.farm.measure import measure
    from vdenoise.farm.record import write_record
    from vdenoise.media.access import make_folder
    from vdenoise.media.writer import check_target
    from vdenoise.workflows.prepare import plan_clip

    if options["on_bad_frame"] != "fail":
        raise UsageError(
            "A plan cannot repeat damaged frames: a segment may begin with one.",
            "Repair the clip first, for example with: vdenoise run --luma 0 --chroma 0 "
            "--on-bad-frame repeat",
            number=78,
        )
    source, target = options["input"], options["output"]
    if target.suffix.lower() != ".json":
        raise UsageError(
            f"{target} is no name for a plan: it is a .json file.",
            f"Say -o {target.with_suffix('.json')}; where the clean clip goes is --to.",
            number=96,
        )
    clip = options["to"] or target.with_name(_named(source))
    with ui.Reporter(options["progress"]) as reporter, grain_to_match(ctx, clip, reporter):
        threads = set_threads(options["threads"])
        request = clip_request(
            ctx,
            threads,
            output=clip,
            overwrite=_may_exist(clip, overwrite=options["overwrite"]),
            device="cpu",
            folders_later=True,
        )
        made = plan_clip(request, reporter.read, claims=claims_of(ctx), output_name="--to")
        check_target(made.info, target, overwrite=True, folder_later=True)
        for warning in made.warnings:
            reporter.warn(warning)
        for text in made.translated:
            reporter.note(text)
        warn_of_idle(ctx, made.chain, reporter)
        file = make_plan(
            made,
            Request.of(request.chain),
            profile=request.known.noise(made.info),
            cuts=request.known.first_frames(made.info),
            segment_frames=options["segment_frames"],
            progress=reporter,
        )
        if options["when"] == "now":
            found = measure(file, made.info, reporter, threads)
            for note in found.notes:
                reporter.note(note)
            file = file.model_copy(update={"analysis": found})
        file = file.sealed()
        for path in (target, *file.outputs):
            make_folder(path.parent)  # not before: what is refused leaves nothing
        write_record(file, target)
    _show(file, target, made)


def _named(source: Path) -> str:
    """``shot_dn.mov``, and ``shot_dn.####.exr`` of ``shot.####.exr``."""
    from vdenoise.media.output_names import split_name

    stem, hole, ext = split_name(source)
    return ".".join(filter(None, (f"{stem}_dn", hole, ext)))


def _may_exist(clip: Path, *, overwrite: bool) -> bool:
    """Whether what is there may stay: a movie is refused when it is joined, images are written by
    the segments, which go on where one was stopped and so replace them."""
    from vdenoise.media.images.sequence import is_image

    return overwrite or not is_image(clip)


def _show(file: PlanFile, target: Path, made: Plan) -> None:
    from vdenoise import ui
    from vdenoise.cli.planned import frames_text

    lengths = [last - first + 1 for first, last in file.segments]
    found = file.analysis
    chain = file.request.asked().chain() if found is None else found.chain.chain()
    ui.facts(
        "",
        {
            "plan": f"{target}, id {file.plan_id[:12]}",
            "source": file.source.path,
            **{
                "output" if part == file.clean else f"{part.name} out": f"{part.output}, "
                f"{part.encode.label}"
                for part in file.parts
            },
            **({} if file.grain_table is None else {"grain table": file.grain_table}),
            "removes": chain.text,
            "frames": frames_text(made),
            "segments": f"{len(lengths)}, of {_span(lengths)}",
            "joined by": _JOINED[file.clean.join],
            "noise": "measured" if file.analysis is not None else "to be measured by the farm",
            "memory": f"about {file.memory_mib} MiB for a task",
        },
    )


def _span(lengths: Sequence[int]) -> str:
    """``24 frames``, ``23 to 24 frames``."""
    shortest, longest = min(lengths), max(lengths)
    return ("" if shortest == longest else f"{shortest} to ") + counted(longest, "frame")
