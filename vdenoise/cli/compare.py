"""``vdenoise compare``: which clip is better, and in what."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vdenoise.cli.files import READS, WRITES, FileCommand
from vdenoise.cli.options import fps_option, option, progress_option, set_threads, threads_option
from vdenoise.errors import UsageError
from vdenoise.settings.choices import ProgressStyle

if TYPE_CHECKING:
    from vdenoise.review.compare import Comparison, Measures


@click.command(
    cls=FileCommand,
    epilog="Frames are aligned by their times. Noise, flicker and removed noise are in 8-bit "
    "codes, sharpness in codes a pixel at the same edges of all clips, banding in per mille of the "
    "pixels. VMAF needs an ffmpeg program that has libvmaf.",
)
@click.argument("clips", type=READS, nargs=-1, required=True)
@option("--source", type=READS, metavar="CLIP", help="What they were made from.")
@option(
    "--reference",
    type=READS,
    metavar="CLIP",
    help="What they should be: for PSNR, SSIM and others.",
)
@option(
    "--lpips",
    type=READS,
    multiple=True,
    metavar="FILE",
    help="Weights for LPIPS, as vdenoise evaluate takes them; may be repeated.",
)
@fps_option
@threads_option
@option(
    "-o",
    "--output",
    type=WRITES,
    metavar="FILE",
    help="A picture of the hard spots in all of them: .png, .webp or .jpg.",
)
@option("--overwrite", is_flag=True, help="Replace the picture if it exists.")
@option("--json", "as_json", is_flag=True, help="Print JSON.")
@progress_option
def compare(
    clips: tuple[Path, ...],
    source: Path | None,
    reference: Path | None,
    lpips: tuple[Path, ...],
    fps: float | None,
    threads: int | None,
    output: Path | None,
    overwrite: bool,
    as_json: bool,
    progress: ProgressStyle,
) -> None:
    """Measure CLIPS beside each other: two or more, or one with --source or --reference."""
    from vdenoise import ui
    from vdenoise.media.access import check_folder
    from vdenoise.media.images.drawing import check_picture, save_picture
    from vdenoise.media.images.sequence import is_image
    from vdenoise.review.compare import Asked, compared_sheet
    from vdenoise.review.compare import compare as measured
    from vdenoise.workflows.reading import Reading

    if len(clips) < 2 and source is None and reference is None:
        raise UsageError(
            "There is nothing to compare one clip with.",
            "Name two clips, or add --source CLIP or --reference CLIP.",
            number=169,
        )
    if output is not None:
        check_picture(output)
        check_folder(output)
    granted = set_threads(threads)

    def reading(path: Path) -> Reading:
        rate = fps if is_image(path) else None
        return Reading(path, fps=rate, interlaced="ignore", threads=granted)

    asked = Asked(
        clips=tuple(map(reading, clips)),
        source=None if source is None else reading(source),
        reference=None if reference is None else reading(reference),
        lpips=lpips,
    )
    with ui.Reporter(progress) as reporter:
        found = measured(asked, reporter)
        if output is not None:
            save_picture(output, compared_sheet(asked, found))
    if as_json:
        ui.result_json({key: value for key, value in asdict(found).items() if key != "spots"})
        return
    _show(found)


def _show(found: Comparison) -> None:
    """A table with a column for each clip."""
    from vdenoise import ui

    names = _names([Path(m.clip) for m in found.clips])
    rows = [
        (label, *(_number(row[n], digits) for n in range(len(names))))
        for label, row, digits in _rows(found.clips)
        if any(value is not None for value in row)
    ]
    ui.table(f"{found.frames} frames", ("", *names), rows)
    reasons: dict[str, list[str]] = {}
    for name, why in found.missing.items():
        reasons.setdefault(why, []).append(name)
    for why, measures in reasons.items():
        ui.result(f"not measured: {', '.join(measures)}: {why}")


def _rows(clips: tuple[Measures, ...]) -> list[tuple[str, list[float | None], int]]:
    """Label, a value for each clip, digits."""
    planes = list(dict.fromkeys(name for m in clips for name in m.noise))
    found: list[tuple[str, list[float | None], int]] = [
        ("PSNR, dB", [m.psnr for m in clips], 2),
        ("PSNR of luma, dB", [m.psnr_y for m in clips], 2),
        ("SSIM", [m.ssim for m in clips], 4),
        ("LPIPS", [m.lpips for m in clips], 4),
        ("VMAF", [m.vmaf for m in clips], 2),
        ("flicker, codes", [m.flicker for m in clips], 2),
        ("noise removed, codes", [m.removed for m in clips], 2),
    ]
    for plane in planes:
        found.append((f"noise left in {plane}, codes", [m.noise.get(plane) for m in clips], 2))
        for level in clips[0].noise_at.get(plane, {}):
            at = [m.noise_at.get(plane, {}).get(level) for m in clips]
            found.append((f"  where it is {level}", at, 2))
    found.append(("sharpness, codes a pixel", [m.sharpness for m in clips], 2))
    found.append(("banding, per mille", [m.banding for m in clips], 2))
    return found


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _names(paths: list[Path]) -> list[str]:
    """The names of files; with their folders where these would be the same."""
    short = [path.name for path in paths]
    return short if len(set(short)) == len(short) else [str(path) for path in paths]
