"""The report of a run: before and after, figures, plan and settings, on one page."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vdenoise.engine.run import Result
from vdenoise.engine.tiles import Area
from vdenoise.errors import OutputError
from vdenoise.machine.files import write_text
from vdenoise.review.positions import place_text
from vdenoise.review.qc import lines_of
from vdenoise.review.report.charts import charts
from vdenoise.review.report.html import as_data, render
from vdenoise.review.report.pictures import data_uri, noise_uri, thumbnail_uri
from vdenoise.review.report.summary import mean, mean_left, report_path, summary_of
from vdenoise.review.report.witness import Findings, Shown
from vdenoise.review.turning import as_seen
from vdenoise.review.verdict import Verdict
from vdenoise.settings.text import counted
from vdenoise.workflows.prepare import Prepared
from vdenoise.workflows.recipe import load_recipe


@dataclass(frozen=True)
class Told:
    """What a run tells of itself beside its frames."""

    command: Sequence[str]
    recipe: Mapping[str, Any]
    warnings: Sequence[str]


def write_report(prepared: Prepared, findings: Findings, told: Told) -> Path:
    """Write the report of a run beside its output, whole or not at all.

    Raises:
        OutputError: it cannot be written; the output is complete.
    """
    target = report_path(prepared.plan.output)
    page = report_page(prepared, findings, told)
    try:
        write_text(target, page)
    except OSError as error:
        raise OutputError(
            f"The clip {prepared.plan.output} is complete, but its report {target.name} cannot be "
            f"written: {error.strerror}.",
            "Free some room, or ignore this if you do not need the report.",
            number=15,
        ) from error
    return target


def report_page(prepared: Prepared, findings: Findings, told: Told) -> str:
    """The page of a run."""
    plan, info = prepared.plan, prepared.plan.info
    summary = summary_of(findings, prepared.plan.info, str(told.recipe["output"]["sha256"]))
    return render(
        "report.html",
        styles=("page.css",),
        scripts=("viewer.js", "report.js"),
        title=plan.output.name,
        source=str(info.path),
        output=str(plan.output),
        summary=as_data(summary.model_dump()),
        passed=not findings.inspection.failed,
        failed=[_sentence(verdict, prepared) for verdict in findings.inspection.failed],
        facts=_facts(prepared, findings, told.recipe),
        spots=as_data([_spot(shown, prepared, findings.gain) for shown in findings.spots]),
        charts=charts(prepared.profile, findings),
        gates=lines_of(findings.inspection, info),
        steps=[(step.stage.name, step.to_json()) for step in plan.steps],
        settings=_settings(told.recipe),
        command=shlex.join(told.command),
        recipe=json.dumps(_shortened(told.recipe), indent=1, ensure_ascii=False),
        warnings=list(told.warnings),
    )


def _facts(
    prepared: Prepared, findings: Findings, recipe: Mapping[str, Any]
) -> list[tuple[str, str, str]]:
    """The figures that stand first: what, how much, and what that is."""
    plan, info = prepared.plan, prepared.plan.info
    noise = mean([f.noise for f in findings.frames])
    left = None if findings.left is None else mean_left(findings)
    removed = mean([f.removed for f in findings.frames])
    seconds = recipe["result"]["seconds"]
    failed = findings.inspection.failed
    invented = [] if plan.invented is None else [("Invented detail", "yes", plan.invented)]
    return [
        *invented,
        ("Noise measured", f"{noise:.2f}", "luma, 8-bit codes"),
        (
            "Noise left",
            "not measured" if left is None else f"{left:.2f}",
            "single frames were chosen" if left is None else "measured in the result",
        ),
        ("Removed", f"{removed:.2f}", "RMS of luma, 8-bit codes"),
        (
            "Picture quality",
            f"{len(findings.inspection.verdicts) - len(failed)} of "
            f"{len(findings.inspection.verdicts)}",
            "gates passed",
        ),
        ("Frames", f"{len(findings.frames)}", f"{info.width}x{info.height}, {seconds:.1f} s"),
        ("Preset", plan.chain.preset, f"speed {plan.chain.speed}"),
    ]


def _spot(shown: Shown, prepared: Prepared, gain: float) -> dict[str, Any]:
    spot, height, width = shown.spot, *shown.source.shape[:2]
    place = place_text(prepared.plan.info, spot.frame)
    why = f"{spot.reason}, {spot.amount}" if spot.amount else spot.reason
    return {
        "why": why,
        "place": place,
        "mark": None if shown.mark is None else _mark(shown.mark, spot.area, prepared),
        "where": f"x {spot.area.left} y {spot.area.top}, {width}x{height}",
        "width": width,
        "height": height,
        "gain": f"{gain:g}",
        "source": data_uri(shown.source),
        "result": data_uri(shown.result),
        "noise": noise_uri(shown.noise),
        "thumbnail": thumbnail_uri(shown.source, shown.result, 160),
    }


def _mark(mark: Area, spot: Area, prepared: Prepared) -> list[int]:
    """Left, top, width and height of what a gate found, in the spot's picture as people see it."""
    inner, outer = (as_seen(area, prepared.plan.info) for area in (mark, spot))
    size = inner.right - inner.left, inner.bottom - inner.top
    return [inner.left - outer.left, inner.top - outer.top, *size]


def _sentence(verdict: Verdict, prepared: Prepared) -> str:
    frame = verdict.frame
    place = "" if frame is None else place_text(prepared.plan.info, frame)
    return f"{verdict.text(place)}. What to change: {verdict.gate.advice}."


def _settings(recipe: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Every parameter: its value, and where that comes from; what somebody said stands first."""
    origin = recipe["origin"]
    rows = [
        (name, _value(value), origin.get(name, "default"))
        for name, value in recipe["parameters"].items()
    ]
    return sorted(rows, key=lambda row: row[2] == "default")


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shortened(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe without what no person reads: the tables of the noise, a checksum of each frame."""
    result = {k: v for k, v in recipe["result"].items() if k != "frames_crc32"}
    kept = {k: v for k, v in recipe.items() if k != "profile"}
    return kept | {"result": result}


def told_of(prepared: Prepared, result: Result, command: Sequence[str]) -> Told:
    """What a finished run tells of itself; its recipe lies beside its output."""
    recipe = load_recipe(prepared.plan.output)
    assert recipe is not None, "a run that ends well leaves its recipe"
    warnings = list(prepared.plan.warnings)
    if result.bad_frames:
        warnings.append(
            f"{counted(len(result.bad_frames), 'damaged frame')} replaced by what came before: "
            f"{', '.join(map(str, result.bad_frames[:10]))}"
        )
    return Told(command, recipe, warnings)
