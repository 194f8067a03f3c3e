"""``vdenoise replay`` and ``vdenoise restore``: what a run made, made again or taken back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from vdenoise.cli.files import READS, WRITES_CLIP, FileCommand, claims_of
from vdenoise.cli.options import fps_option, option, progress_option, set_threads, threads_option
from vdenoise.settings.text import counted


@click.command(
    cls=FileCommand,
    epilog="Version, input, models and masks are compared first (exit 10), then every frame before "
    "it is written (exit 9); nothing is left where one differs.",
)
@click.argument("recipe", type=READS)
@option("-o", "--output", type=WRITES_CLIP, required=True, help="Where the clip goes.")
@option("--input", "source", type=READS, metavar="CLIP", help="Where the clip lies now.")
@option("--any-version", is_flag=True, help="Go on with another version of vdenoise.")
@option("--overwrite", is_flag=True, help="Replace the output if it exists.")
@threads_option
@progress_option
@click.pass_context
def replay(ctx: click.Context, /, **options: Any) -> None:
    """Make the same frames again from RECIPE, or from the clip that it lies beside."""
    from vdenoise import ui
    from vdenoise.workflows.replay import replay as replayed

    with ui.Reporter(options["progress"]) as reporter:
        _, result = replayed(
            options["recipe"],
            options["output"],
            reporter,
            ["vdenoise", *sys.argv[1:]],
            source=options["source"],
            any_version=options["any_version"],
            overwrite=options["overwrite"],
            threads=set_threads(options["threads"]),
            claims=claims_of(ctx),
        )
        reporter.finish(
            f"{options['output']}: {counted(result.frames, 'frame')}, the same to the bit",
            output=str(options["output"]),
            frames=result.frames,
        )


@click.command(
    cls=FileCommand,
    epilog="NOISE is what vdenoise run kept with --noise-out. Sound, times and tags are CLEAN's.",
)
@click.argument("clean", type=READS)
@click.argument("noise", type=READS)
@option("-o", "--output", type=WRITES_CLIP, required=True, help="Where the source goes.")
@option(
    "--grain",
    type=click.FloatRange(0, 100),
    default=100.0,
    show_default=True,
    metavar="PERCENT",
    help="How much of the noise to put back.",
)
@option("--codec", metavar="NAME", help="How it is written.  [default: ffv1, which loses nothing]")
@option("--crf", type=int, help="Quality, less is better, for codecs that have it.")
@option("--overwrite", is_flag=True, help="Replace the output if it exists.")
@fps_option
@threads_option
@progress_option
@click.pass_context
def restore(ctx: click.Context, /, **options: Any) -> None:
    """Put the noise back: CLEAN + NOISE is the source, to the bit where both are lossless."""
    from vdenoise import ui
    from vdenoise.media.images.sequence import is_image
    from vdenoise.workflows.reading import Reading
    from vdenoise.workflows.restore import restore as restored

    threads = set_threads(options["threads"])

    def reading(path: Path) -> Reading:
        fps = options["fps"] if is_image(path) else None
        return Reading(path, fps=fps, interlaced="ignore", threads=threads)

    with ui.Reporter(options["progress"]) as reporter:
        encode, report = restored(
            reading(options["clean"]),
            reading(options["noise"]),
            options["output"],
            reporter,
            grain=options["grain"],
            codec=options["codec"],
            crf=options["crf"],
            overwrite=options["overwrite"],
            claims=claims_of(ctx),
        )
        for note in report.notes:
            reporter.note(note)
        output = str(options["output"])
        reporter.finish(f"{output}: {encode.label}, checked", output=output)
