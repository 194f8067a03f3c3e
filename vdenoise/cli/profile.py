"""``vdenoise profile``: the measured noise as a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vdenoise.cli.clip import reading_options
from vdenoise.cli.files import READS, WRITES, FileGroup
from vdenoise.cli.options import progress_option, set_threads
from vdenoise.cli.request import reading_from

if TYPE_CHECKING:
    from vdenoise.workflows.measure import Region


@click.group(cls=FileGroup)
def profile() -> None:
    """Measure noise once, use it with run --profile FILE."""


class _Region(click.ParamType["Region"]):
    """``x,y,w,h@FRAME``."""

    name = "x,y,w,h@FRAME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Region:
        from vdenoise.workflows.measure import Region

        found = re.fullmatch(
            ",".join([r"(\d{1,18})"] * 4) + r"@(\d{1,18})", str(value).replace(" ", "")
        )
        if found is None:
            self.fail(f"{value!r} is not of the form {self.name}.", param, ctx)
        return Region(*(int(number) for number in found.groups()))


@profile.command()
@click.argument("input", type=READS)
@click.option("-o", "--output", type=WRITES, required=True, help="A .json file.")
@click.option("--region", type=_Region(), help="An even area that shows nothing but noise.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@reading_options
@progress_option
@click.pass_context
def build(
    ctx: click.Context, /, output: Path, region: Region | None, overwrite: bool, **options: Any
) -> None:
    """Measure the noise of INPUT, all of it or one even area of a frame."""
    from vdenoise import ui
    from vdenoise.errors import OutputError
    from vdenoise.media.writer import check_target
    from vdenoise.workflows import measure

    reading = reading_from(ctx, set_threads(options["threads"]))
    with ui.Reporter(options["progress"]) as reporter:
        info = reading.probe(reporter.read)
        check_target(info, output, overwrite=overwrite)
        if region is not None:
            found = measure.measure_region(info, reading, region)
        else:
            found = measure.measure(info, reading, reporter).profile
    found = found.model_copy(update={"source": str(options["input"])})
    try:
        found.save(output)
    except OSError as error:
        raise OutputError(
            f"Cannot write the profile {output}: {error.strerror}.", "Name another file.", number=9
        ) from error
    _show(found)


@profile.command()
@click.argument("file", type=READS)
def show(file: Path) -> None:
    """Show a profile in 8-bit codes."""
    from vdenoise.picture.noise import NoiseProfile

    _show(NoiseProfile.load(file))


def _show(found: Any) -> None:
    from vdenoise import ui

    levels = range(0, 17, 2)
    rows = [
        (
            f"{shot.first}-{shot.last}" if shot.last < 2**31 else "all",
            name,
            f"{plane.codes:.2f}",
            *(f"{plane.sigma[level] * 255:.2f}" for level in levels),
        )
        for shot in found.shots
        for name, plane in zip(("Y", "Cb", "Cr"), shot.planes, strict=False)
    ]
    heads = (f"{100 * level // 16} %" for level in levels)
    ui.table("sigma in 8-bit codes, by luma level", ("frames", "plane", "mean", *heads), rows)
