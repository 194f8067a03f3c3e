"""Where a report lies, and what it tells of itself at its head, for an index of many."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from vdenoise.errors import UsageError
from vdenoise.machine.claims import Claims
from vdenoise.machine.files import fitting
from vdenoise.media.inputs import is_pipe
from vdenoise.picture.frame import ClipInfo
from vdenoise.review.positions import place_text
from vdenoise.review.report.pictures import thumbnail_uri
from vdenoise.review.report.witness import Findings

_SUMMARY = re.compile(r'<script type="application/json" id="summary">(.*?)</script>', re.DOTALL)
_HEAD_BYTES = 1 << 18  # in which a page's summary lies


def report_path(output: Path) -> Path:
    """Where the report of an output goes: beside it, with its name, cut where that is too long."""
    end = ".html"
    if fitting(output.name, len(end)) != output.name:
        end = f".{zlib.crc32(os.fsencode(output.name)):08x}{end}"
    return output.with_name(fitting(output.name, len(end)) + end)


def claim_report(claims: Claims, output: Path, *, overwrite: bool | None, of: str = "") -> None:
    """Claim the report beside an output.

    Args:
        claims: what to add it to.
        output: the clip.
        overwrite: a report that is there may be replaced; None where that is seen elsewhere.
        of: what tells it from other reports with the same claims, to people.

    Raises:
        UsageError: the output is a pipe: there is no place beside it.
        FileClash: it is read, or written as something else.
        OutputError: it exists and may not be replaced.
    """
    if is_pipe(output):
        raise UsageError(
            "--report writes a page beside the output, and standard output has no place beside it.",
            "Name a file with -o, or leave --report away.",
            number=175,
        )
    claims.write(report_path(output), f"the report{of}", overwrite=overwrite)


class Summary(BaseModel):
    """What an index of reports tells of one of them."""

    made: str = Field(description="Fingerprint of the output that the report is of.")
    frames: int
    noise: float = Field(description="Luma, 8-bit codes.")
    left: float | None
    worst: float = Field(description="Highest figure of a gate, as a share of its limit.")
    gate: str
    place: str = Field("", description="Frame and time of that figure, for people.")
    failed: tuple[str, ...]
    thumbnail: str = Field(pattern=r"^data:image/webp;base64,[A-Za-z0-9+/=]+$")


def summary_of(findings: Findings, info: ClipInfo, made: str) -> Summary:
    """What an index shows."""
    worst = max(findings.inspection.verdicts, key=lambda verdict: verdict.share)
    first = findings.spots[0]
    return Summary(
        made=made,
        frames=len(findings.frames),
        noise=mean([f.noise for f in findings.frames]),
        left=None if findings.left is None else mean_left(findings),
        worst=worst.share,
        gate=worst.gate.name,
        place="" if worst.frame is None else place_text(info, worst.frame),
        failed=tuple(v.gate.name for v in findings.inspection.failed),
        thumbnail=thumbnail_uri(first.source, first.result),
    )


def summary_in(page: Path) -> Summary | None:
    """The summary of a report that lies there; None where there is none that can be read."""
    try:
        with page.open("rb") as file:
            head = file.read(_HEAD_BYTES).decode("utf-8", errors="replace")
        found = _SUMMARY.search(head)
        return None if found is None else Summary.model_validate_json(found[1])
    except (OSError, ValidationError):
        return None


def mean(values: Sequence[float]) -> float:
    """The mean of some numbers."""
    return sum(values) / len(values)


def mean_left(findings: Findings) -> float:
    """Noise that was measured in the result: luma, 8-bit codes."""
    assert findings.left is not None
    return mean([findings.left.at(f.index).y.codes for f in findings.frames])
