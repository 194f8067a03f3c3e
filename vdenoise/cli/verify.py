"""``vdenoise verify``: whether a result keeps all that is not its picture."""

from __future__ import annotations

from pathlib import Path

import click

from vdenoise.cli.clip import FrameRange
from vdenoise.cli.files import READS, FileCommand
from vdenoise.cli.options import fps_option, option
from vdenoise.errors import VerifyError
from vdenoise.settings.text import counted


@click.command(
    cls=FileCommand,
    epilog="What the recipe beside RESULT says of its container, codec and frames is what is "
    "expected; without one, what any output in such a container must keep.",
)
@click.argument("source", type=READS)
@click.argument("result", type=READS)
@option(
    "--frames",
    type=FrameRange(),
    help="The frames of SOURCE that RESULT holds.  [default: what its recipe says, else all]",
)
@fps_option
@option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(
    source: Path,
    result: Path,
    frames: tuple[tuple[int, int, int], ...] | None,
    fps: float | None,
    as_json: bool,
) -> None:
    """Check that RESULT keeps of SOURCE all but the picture: times, sound, subtitles, tags.

    Ends with exit 9 where something was lost or moved, and says what.
    """
    from vdenoise import ui
    from vdenoise.review.contract import verify_files
    from vdenoise.workflows.reading import Reading

    report = verify_files(Reading(source, fps=fps, interlaced="ignore"), result, frames)
    if as_json:
        ui.result_json(
            {
                "source": str(source),
                "result": str(result),
                "same": report.ok,
                "checked": list(report.checked),
                "findings": list(report.findings),
            }
        )
    else:
        for finding in report.findings:
            ui.result(f"differs: {finding}")
        kept = [what for what in report.checked if not _is_found(what, report.findings)]
        ui.result(f"same: {', '.join(kept) or 'nothing'}")
    if report.findings:
        more = len(report.findings) - 1
        rest = f", and {counted(more, 'thing')} more" if more else ""
        lost = report.findings[0].startswith("frames:")  # no container's doing
        raise VerifyError(
            f"{result} does not keep what {source} holds: {report.findings[0]}{rest}.",
            "Write it anew; of a part, say which with --frames A-B."
            if lost
            else "Write it anew, in a container that can keep it: see docs/media.md.",
            number=60,
        )


def _is_found(what: str, findings: tuple[str, ...]) -> bool:
    """Whether a finding is of this: ``packets of audio 1`` is one of ``audio 1``."""
    name = what.removeprefix("packets of ")
    return any(finding.startswith(f"{name}:") for finding in findings)
