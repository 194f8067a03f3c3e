"""The curves of a report: noise against brightness and frequency, and the course of each frame."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vdenoise.picture.noise import NoiseProfile, PlaneNoise
from vdenoise.picture.noise_table import LEVELS, SPECTRUM
from vdenoise.review.gates import GATES
from vdenoise.review.report.plots import Plot, PlotLine, thinned
from vdenoise.review.report.witness import Findings

_NAMES = ("luma", "Cb", "Cr")
_LEAST_AXIS = 0.5  # codes at the top of an axis of noise: less than that is none


@dataclass(frozen=True)
class CurveGroup:
    """Curves that are looked at together."""

    title: str
    about: str
    plots: tuple[Plot, ...]


def charts(profile: NoiseProfile, findings: Findings) -> list[CurveGroup]:
    """All curves of a report.

    Args:
        profile: of the source.
        findings: of the run.
    """
    middle = findings.frames[len(findings.frames) // 2].index
    before, after = profile.at(middle), None
    if findings.left is not None:
        after = findings.left.at(middle)
    shots = len(profile.shots)
    which = f"the shot around the middle, of {shots}" if shots > 1 else "the clip"
    planes = [
        (name, plane, None if after is None else after.planes[n])
        for n, (name, plane) in enumerate(zip(_NAMES, before.planes, strict=False))
    ]
    return [
        CurveGroup(
            "Noise against brightness",
            f"How strong the noise is at each level of luma: in the source, and measured in the "
            f"result ({which}; 8-bit codes).",
            tuple(_levels(*plane) for plane in planes),
        ),
        CurveGroup(
            "Noise against frequency",
            "How strong it is in coarse structure (left) and fine (right): 0.5 cycles a pixel is "
            "the finest there is along lines.",
            tuple(_spectrum(*plane) for plane in planes),
        ),
        CurveGroup("Frame by frame", "", (*_course(findings), *_gates(findings))),
    ]


def _levels(name: str, before: PlaneNoise, after: PlaneNoise | None) -> Plot:
    def curve(plane: PlaneNoise) -> tuple[tuple[float, float], ...]:
        return tuple((100 * n / (LEVELS - 1), s * 255) for n, s in enumerate(plane.sigma))

    lines = [PlotLine("source", "source", curve(before))]
    if after is not None:
        lines.append(PlotLine("result", "result", curve(after)))
    text = _pair_text(before, after)
    return Plot(name, "level of luma, %", "sigma", tuple(lines), text, most=_LEAST_AXIS)


def _spectrum(name: str, before: PlaneNoise, after: PlaneNoise | None) -> Plot:
    lines = [PlotLine("source", "source", tuple(_rings(before)))]
    if after is not None:
        lines.append(PlotLine("result", "result", tuple(_rings(after))))
    text = _pair_text(before, after)
    return Plot(name, "cycles per pixel", "amplitude", tuple(lines), text, most=_LEAST_AXIS)


def _rings(plane: PlaneNoise) -> Iterator[tuple[float, float]]:
    """Amplitude in 8-bit codes by frequency in cycles per pixel: the root of the mean power of all
    coefficients about as far from the first."""
    rings: dict[int, list[float]] = {}
    for y, row in enumerate(plane.spectrum):
        for x, power in enumerate(row):
            if 0 < (ring := round(math.hypot(x, y))) < SPECTRUM:
                rings.setdefault(ring, []).append(power)
    for ring, powers in sorted(rings.items()):
        yield ring / (2 * SPECTRUM), plane.codes * math.sqrt(sum(powers) / len(powers))


def _pair_text(before: PlaneNoise, after: PlaneNoise | None) -> str:
    text = f"Source: sigma {before.codes:.2f} codes on average"
    return f"{text}." if after is None else f"{text}; result: {after.codes:.2f}."


def _course(findings: Findings) -> Iterator[Plot]:
    frames = findings.frames

    def line(name: str, look: str, values: Sequence[float]) -> PlotLine:
        points = [(float(f.index), v) for f, v in zip(frames, values, strict=True)]
        return PlotLine(name, look, tuple(thinned(points)))

    noise, left = [f.noise for f in frames], [f.left for f in frames]
    removed = [f.removed for f in frames]
    yield Plot(
        "Noise",
        "frame",
        "codes",
        (
            line("in the source", "source", noise),
            line("removed", "removed", removed),
            line("left, expected", "result", left),
        ),
        f"In the source {_span(noise)}, removed {_span(removed)}, left {_span(left)} codes.",
        whole=True,
    )
    sure = [100 * f.confidence for f in frames]
    yield Plot(
        "Confidence",
        "frame",
        "%",
        (line("noise that is gone", "result", sure),),
        f"Share of the noise that is gone: {_span(sure)} %.",
        most=100 / 1.05,
        whole=True,
    )


def _gates(findings: Findings) -> Iterator[Plot]:
    ends = findings.frames[0].index, findings.frames[-1].index
    for name, series in findings.inspection.series.items():
        if not series:
            continue
        gate = GATES[name]
        values = list(series.values())
        yield Plot(
            f"{name}",
            "frame",
            gate.unit,
            (
                PlotLine("limit", "limit", tuple((x, gate.limit) for x in (ends[0], ends[1]))),
                PlotLine(
                    name, "result", tuple(thinned([(float(n), v) for n, v in series.items()]))
                ),
            ),
            f"{gate.what}: {_span(values)} {gate.unit}, at most {gate.limit:g}.",
            whole=True,
        )


def _span(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.2f}" if high - low < 0.005 else f"{low:.2f} to {high:.2f}"
