"""``vdenoise analyze``: what a clip is, how noisy it is, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vdenoise.cli.clip import reading_options
from vdenoise.cli.files import READS, WRITES, FileCommand
from vdenoise.cli.options import progress_option, set_threads
from vdenoise.cli.request import reading_from

if TYPE_CHECKING:
    from vdenoise.picture.frame import ClipInfo


@click.command(cls=FileCommand)
@click.argument("input", type=READS)
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
@click.option(
    "--hot-map-out",
    type=WRITES,
    metavar="FILE",
    help="Also look for hot pixels, and write a PNG of where they are, for --hot-map.",
)
@click.option("--overwrite", is_flag=True, help="Replace that file if it exists.")
@reading_options
@progress_option
@click.pass_context
def analyze(ctx: click.Context, /, **options: Any) -> None:
    """Measure the noise of INPUT and propose a preset. Changes nothing."""
    from vdenoise import ui
    from vdenoise.workflows import measure as measuring
    from vdenoise.workflows.hot_map import check_map_name, find_hot_pixels, save_map
    from vdenoise.workflows.propose import overall, propose

    reading = reading_from(ctx, set_threads(options["threads"]))
    with ui.Reporter(options["progress"]) as reporter:
        info = reading.probe(reporter.read)
        target = options["hot_map_out"]
        if target is not None:
            check_map_name(target, info)
        found = measuring.measure(info, reading, reporter)
        if target is not None:
            where = find_hot_pixels(info, reading, found, reporter)
            save_map(where, target)
            reporter.note(f"{int(where.sum())} hot pixels: {target}")
    proposal = propose(found.profile, info)
    summary = overall(found.profile, info.frames or 1)
    if options["as_json"]:
        ui.result_json(
            {
                "input": str(info.path),
                "clip": clip_facts(info),
                "noise": vars(summary),
                "cuts": list(found.cuts),
                "repeats": list(found.repeats),
                "notes": list(found.notes),
                "proposal": {"preset": proposal.preset, "reasons": list(proposal.reasons)},
                "profile": found.profile.model_dump(mode="json"),
            }
        )
        return
    ui.facts("clip", clip_facts(info))
    ui.facts(
        "noise",
        {
            "temporal correlation": f"{summary.temporal_correlation:.2f}",
            "energy in the lowest quarter band": f"{100 * summary.coarseness:.0f} % (white: 6 %)",
            "impulses": f"{100 * summary.impulse_rate:.2f} % of the pixels",
            "repeated frames": f"{100 * summary.repeat_share:.1f} %",
            "cuts": ", ".join(map(str, found.cuts)) or "none",
        },
    )
    levels = range(0, 17, 4)
    rows = [
        (
            f"{shot.first}-{shot.last}" if name == "Y" else "",
            name,
            f"{plane.codes:.2f}",
            *(f"{plane.sigma[level] * 255:.2f}" for level in levels),
            f"{shot.confidence:.2f}" if name == "Y" else "",
            "; ".join(shot.reasons) if name == "Y" else "",
        )
        for shot in found.profile.shots
        for name, plane in zip(("Y", "Cb", "Cr"), shot.planes, strict=False)
    ]
    heads = (f"at {100 * level // 16} %" for level in levels)
    ui.table(
        "sigma in 8-bit codes, by luma level",
        ("frames", "plane", "mean", *heads, "sure", "because"),
        rows,
    )
    for text in (*info.warnings, *found.notes):
        ui.result(f"note: {text}")
    ui.result(f"proposed: --preset {proposal.preset}, because of {'; '.join(proposal.reasons)}")


def clip_facts(info: ClipInfo) -> dict[str, str]:
    """A clip's properties, for people."""
    from vdenoise.media.encoding import meaning

    rate = f"{float(info.rate):.6g} fps{', variable' if info.variable_rate else ''}"
    return {
        "container": f"{info.container}, {info.codec} {info.source_format}",
        "size": f"{info.width}x{info.height}, pixel aspect {info.sample_aspect_ratio}"
        + (f", rotated {info.rotation:g}" if info.rotation else ""),
        "frames": f"{info.frames} at {rate}, {info.field_order}",
        "samples": f"{info.format.label}, {'full' if info.full_range else 'limited'} range",
        "color": f"{info.matrix}{' (guessed)' if info.matrix_guessed else ''}, {info.primaries}, "
        f"{info.transfer}, chroma {info.chroma_location}",
        "encoding": meaning(info),
        "timecode": info.timecode or "none",
        "streams": "; ".join(info.streams),
        "bit path": f"{info.format.label} > float32 > {info.format.label}",
    }
