"""``vdenoise qc``: whether a result passes the gates of picture quality."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vdenoise.cli.clip import FrameRange, cuts_option
from vdenoise.cli.files import READS, FileCommand
from vdenoise.cli.options import fps_option, option, progress_option, set_threads, threads_option

if TYPE_CHECKING:
    from vdenoise.picture.frame import ClipInfo
    from vdenoise.review.verdict import Inspection
    from vdenoise.ui import Reporter

QC = ("off", "warn", "fail")


@click.command(
    cls=FileCommand,
    epilog="Gates, limits and what to change: docs/review.md. A run does the same while it writes: "
    "vdenoise run ... --qc fail.",
)
@click.argument("source", type=READS)
@click.argument("result", type=READS)
@option(
    "--frames",
    type=FrameRange(),
    help="The frames of SOURCE that RESULT holds.  [default: what its recipe says, else those "
    "shown at the same times]",
)
@cuts_option
@fps_option
@threads_option
@option("--json", "as_json", is_flag=True, help="Print JSON.")
@progress_option
@click.pass_context
def qc(ctx: click.Context, /, **options: Any) -> None:
    """Judge RESULT against its SOURCE: lost detail, ghosts, flicker, bands, shifts, wrong frames.

    Ends with exit 7 where a gate fails, and says the frame, the region and what to change.
    """
    from vdenoise import ui
    from vdenoise.media.images.sequence import is_image
    from vdenoise.review import qc as review
    from vdenoise.review.repaired import Repairs
    from vdenoise.workflows.reading import Reading
    from vdenoise.workflows.request import Knowledge
    from vdenoise.workflows.tag import invented_in

    threads = set_threads(options["threads"])

    def reading(path: Path) -> Reading:
        fps = options["fps"] if is_image(path) else None
        return Reading(path, fps=fps, interlaced="ignore", threads=threads)

    source, result = reading(options["source"]), reading(options["result"])
    with ui.Reporter(options["progress"]) as reporter:
        info = source.probe()
        cuts = Knowledge(cuts=options["cuts"]).first_frames(info)
        repairs = Repairs.of(result)
        found = review.qc_files(
            source, result, reporter, cuts=cuts, frames=options["frames"], repairs=repairs
        )
        invented = invented_in(options["result"])
        if invented is not None:
            reporter.warn(f"{options['result']} holds {invented}: it is likely, it is not known.")
    if options["as_json"]:
        ui.result_json(
            review.as_json(found, str(options["source"]), str(options["result"]))
            | {"invented": invented, "repairs": list(repairs.names)}
        )
    else:
        head = ("gate", "worst", "limit", "", "where")
        title = f"{found.frames} frames"
        if repairs.names:
            title += f", judged against the source as {', '.join(repairs.names)} repaired it"
        ui.table(title, head, review.lines_of(found, info))
    if found.failed:
        raise review.gate_error(found, info, str(options["result"]))


def tell_of_gates(
    found: Inspection, info: ClipInfo, output: str, how: str, reporter: Reporter
) -> None:
    """What ``run --qc`` says: every gate that failed; with ``fail`` as the run's end.

    Raises:
        GateError: with ``fail``, where one did.
    """
    from vdenoise.review.positions import place_text
    from vdenoise.review.qc import gate_error
    from vdenoise.settings.text import counted

    if not found.failed:
        reporter.note(f"qc: {counted(len(found.verdicts), 'gate')} passed")
        return
    for verdict in found.failed:
        place = "" if verdict.frame is None else place_text(info, verdict.frame)
        reporter.warn(f"qc: {verdict.text(place)}. {verdict.gate.advice}")
    if how == "fail":
        raise gate_error(found, info, output)
