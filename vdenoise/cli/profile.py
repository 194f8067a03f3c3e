"""``vdenoise profile``: the measured noise as a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vdenoise.cli.clip import probed, reading_options
from vdenoise.cli.files import READS, WRITES, FileGroup
from vdenoise.cli.options import progress_option, set_threads

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

        found = re.fullmatch(r"(\d+),(\d+),(\d+),(\d+)@(\d+)", str(value).replace(" ", ""))
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
def build(
    input: Path,
    output: Path,
    region: Region | None,
    overwrite: bool,
    threads: int | None,
    on_bad_frame: Any,
    on_missing: Any,
    fps: float | None,
    interlaced: Any,
    progress: Any,
) -> None:
    """Measure the noise of INPUT, all of it or one even area of a frame."""
    from vdenoise import ui
    from vdenoise.engine.plan import check_interlaced
    from vdenoise.errors import OutputError
    from vdenoise.media.writer import check_target
    from vdenoise.workflows import measure

    set_threads(threads)
    with ui.Reporter(progress) as reporter:
        info = probed(input, on_missing, fps, reporter)
        check_target(info, output, overwrite=overwrite)
        check_interlaced(info, interlaced)
        if region is not None:
            found = measure.measure_region(info, region)
        else:
            found = measure.measure(
                info,
                reporter,
                threads=threads,
                on_bad_frame=on_bad_frame,
                deinterlace=interlaced == "deinterlace",
            ).profile
    found = found.model_copy(update={"source": str(input)})
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
