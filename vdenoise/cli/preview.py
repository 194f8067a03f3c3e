"""``vdenoise preview``: hard spots of a clip before and after, on one picture."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vdenoise.cli.chain import chain_request, dial_options
from vdenoise.cli.clip import Box, knowledge_options, reading_options, sample_options
from vdenoise.cli.files import READS, WRITES, FileCommand
from vdenoise.cli.options import device_option, option, progress_option, set_threads, words_of
from vdenoise.cli.request import knowledge_from, reading_from
from vdenoise.errors import UsageError
from vdenoise.settings.choices import PreviewView

if TYPE_CHECKING:
    from vdenoise.picture.frame import ClipInfo
    from vdenoise.workflows.request import ClipRequest

MOVIE = ".mp4"


@click.command(
    cls=FileCommand,
    epilog="What is shown is what vdenoise run writes with the same options, to the bit. Several "
    "presets stand side by side, each with settings of its own: -p auto -p 'high-iso luma=50'.",
)
@click.argument("input", type=READS)
@option(
    "-o",
    "--output",
    type=WRITES,
    metavar="FILE",
    help="Where the picture goes: .png, .webp, .jpg, or .mp4 with --seconds.  "
    "[default: INPUT's name with .preview.png, in this folder]",
)
@option(
    "--at",
    "places",
    multiple=True,
    metavar="TIME",
    help="What to show: seconds (12.5), a time (00:00:12.5) or a frame (300f); may be repeated.  "
    "[default: hard spots, found by looking]",
)
@option(
    "--view",
    type=words_of(PreviewView),
    default="side",
    show_default=True,
    help="Before and after side by side, split or wiped; the noise removed, the confidence matte, "
    "the mask, or what each stage did.",
)
@option(
    "-p",
    "--preset",
    "presets",
    multiple=True,
    default=("auto",),
    show_default=True,
    metavar="NAME",
    help="What kind of footage it is; up to eight beside each other, each with settings of its "
    "own: 'high-iso luma=50 speed=slow'.",
)
@option(
    "--region",
    type=Box("X,Y,W,H"),
    help="The part of the picture to show, in pixels.  [default: the hardest]",
)
@option(
    "--zoom",
    type=click.IntRange(1, 8),
    default=2,
    show_default=True,
    help="Screen pixels for each pixel of the clip.",
)
@option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True, max=60),
    help="Make a short movie of this length, from --at or from the fastest motion.",
)
@dial_options
@knowledge_options
@sample_options
@device_option
@reading_options
@option("--overwrite", is_flag=True, help="Replace the picture if it exists.")
@progress_option
@click.pass_context
def preview(ctx: click.Context, /, **options: Any) -> None:
    """Show what denoising does to INPUT where it is hardest, without rendering it."""
    from vdenoise import ui
    from vdenoise.media.access import check_folder, check_no_pipe
    from vdenoise.review import preview as review
    from vdenoise.review.positions import frame_at

    target = _target(options)
    check_folder(target)
    check_no_pipe(target)
    with ui.Reporter(options["progress"]) as reporter:
        requests = _requests(ctx, set_threads(options["threads"]))
        info = requests[0][1].reading.probe(reporter.read, quick=True)
        frames = tuple(dict.fromkeys(frame_at(info, place) for place in options["places"]))
        request = review.PreviewRequest(
            variants=requests,
            view=options["view"],
            frames=tuple(sorted(frames)),
            output=target,
            area=_area(options["region"], info),
            zoom=options["zoom"],
            seconds=options["seconds"],
        )
        found = review.preview(request, info, reporter)
        if not found.whole:
            reporter.note(
                "the noise is that of a few stretches of the clip; vdenoise run measures all of it"
            )
        reporter.finish(str(target), output=str(target))
    ui.result(str(target))


def _requests(ctx: click.Context, threads: int | None) -> tuple[tuple[str, ClipRequest], ...]:
    """Each way to denoise the clip by name, as for a run that keeps the source's format."""
    from vdenoise.review.preview import MOST_VARIANTS
    from vdenoise.workflows.request import ClipRequest

    said = ctx.params
    presets = said["presets"]
    if len(presets) > MOST_VARIANTS:
        raise UsageError(
            f"{len(presets)} presets are more than fit beside each other.",
            f"Name {MOST_VARIANTS} or fewer.",
            number=164,
        )
    reading = reading_from(ctx, threads)
    base = ClipRequest(
        reading,
        chain_request(ctx, presets[0]),
        Path("preview.mkv") if str(reading.path) == "-" else reading.path,
        known=knowledge_from(ctx),
        codec=said["codec"],
        crf=said["crf"],
        bit_depth=said["bit_depth"],
        dither=said["dither"],
        seed=said["seed"],
        device=said["device"],
    )
    return tuple((text, replace(base, chain=chain_request(ctx, text))) for text in presets)


def _target(options: dict[str, Any]) -> Path:
    """Where the picture goes; by default a name that is free."""
    movie = options["seconds"] is not None
    target: Path | None = options["output"]
    if target is not None:
        if (target.suffix.lower() == MOVIE) != movie:
            raise UsageError(
                f"{target} is {'no movie' if movie else 'a movie, and its length was not said'}.",
                "Name an .mp4, and say how long it is to be with --seconds.",
                number=165,
            )
        if not movie:
            from vdenoise.media.images.drawing import check_picture

            check_picture(target)
        return target
    source = options["input"]
    stem = "stdin" if str(source) == "-" else source.stem.rstrip("#").rstrip("._-") or "clip"
    end = MOVIE if movie else ".png"
    names = (Path(f"{stem}.preview{'' if n == 1 else f'-{n}'}{end}") for n in count(1))
    return next(name for name in names if not name.exists())


def _area(box: tuple[int, int, int, int] | None, info: ClipInfo) -> Any:
    """The part of the picture that was asked for; None for none."""
    from vdenoise.engine.tiles import Area

    if box is None:
        return None
    x, y, width, height = box
    if x + width > info.width or y + height > info.height:
        raise UsageError(
            f"The region {x},{y},{width},{height} does not fit: the picture is "
            f"{info.width}x{info.height}.",
            "Give --region x,y,width,height inside of it.",
            number=166,
        )
    return Area(y, y + height, x, x + width)
