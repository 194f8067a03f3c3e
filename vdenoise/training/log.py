"""The log of a run: a line for each validation, as CSV and as JSON, and its curves as a picture."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vdenoise.machine.files import write_text

CSV, JSON, CURVES = "log.csv", "log.jsonl", "curves.png"
_COLUMNS = ("step", "loss", "rate", "seconds", "validation_db", "gain_db")
_SIZE = (960, 360)  # of one of the two plots, pixels
_MARGIN = (70, 20, 30, 40)  # left, right, top, bottom
_LINE, _GRID, _INK = (170, 90, 20), (225, 225, 225), (60, 60, 60)  # BGR


@dataclass(frozen=True)
class Line:
    """A validation."""

    step: int
    loss: float  # mean of the steps since the last line
    rate: float  # learning rate of the last of them
    seconds: float  # trained so far
    validation_db: float
    gain_db: float  # over what the network was given
    by_kind: dict[str, float] = field(default_factory=dict)


def append(folder: Path, line: Line) -> None:
    """Add a line to both files, and draw the curves anew."""
    table = folder / CSV
    new = not table.exists()
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(_COLUMNS)
        numbers = (f"{line.loss:.6f}", f"{line.rate:.2e}", f"{line.seconds:.0f}")
        writer.writerow((line.step, *numbers, f"{line.validation_db:.3f}", f"{line.gain_db:.3f}"))
    with (folder / JSON).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(line)) + "\n")
    draw(read(folder), folder / CURVES)


def read(folder: Path) -> list[Line]:
    """The lines of a run; none where it has none."""
    path = folder / CSV
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kinds: dict[int, dict[str, float]] = {}
    if (folder / JSON).exists():
        told = map(json.loads, (folder / JSON).read_text(encoding="utf-8").splitlines())
        kinds = {line["step"]: line["by_kind"] for line in told}
    found = []
    for row in rows:
        loss, rate, seconds, psnr, gain = (float(row[name]) for name in _COLUMNS[1:])
        step = int(row["step"])
        found.append(Line(step, loss, rate, seconds, psnr, gain, kinds.get(step, {})))
    return found


def forget_after(folder: Path, step: int) -> None:
    """Drop the lines of steps that a checkpoint did not keep: they will be written again."""
    for name, first in ((CSV, 1), (JSON, 0)):
        path = folder / name
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = lines[:first] + [text for text in lines[first:] if _step(text) <= step]
            if kept != lines:
                write_text(path, "".join(kept))


def _step(text: str) -> int:
    """Step of a line of either file."""
    return int(json.loads(text)["step"] if text.startswith("{") else text.partition(",")[0])


def stuck(folder: Path) -> bool:
    """Whether the last two validations agree to the bit, and are worse than what is given.

    Steps that are too large can drive a bounded answer to its bound, where no gradient leads back.
    """
    told = (folder / JSON).read_text(encoding="utf-8").splitlines()[-2:]  # the table is rounded
    last = [json.loads(line) for line in told]
    same = len(last) == 2 and last[0]["validation_db"] == last[1]["validation_db"]
    return same and last[1]["gain_db"] < -1


def draw(lines: Sequence[Line], path: Path) -> None:
    """Loss (logarithmic) and validation over steps, one above the other, as a PNG."""
    steps = [line.step for line in lines]
    loss = _plot("loss", steps, [line.loss for line in lines], logarithmic=True)
    score = _plot("validation, dB", steps, [line.validation_db for line in lines])
    cv2.imwrite(str(path), np.concatenate([loss, score]))


def _plot(
    title: str, steps: Sequence[int], values: Sequence[float], *, logarithmic: bool = False
) -> NDArray[np.uint8]:
    """One curve with its grid, (H, W, 3)."""
    width, height = _SIZE
    left, right, top, bottom = _MARGIN
    image: NDArray[np.uint8] = np.full((height, width, 3), 255, np.uint8)
    heights = np.asarray(values, float)
    heights = np.log10(np.maximum(heights, 1e-9)) if logarithmic else heights
    low, high = _range(heights)
    last = max([*steps, 1])

    def place(step: float, value: float) -> tuple[int, int]:
        x = left + (width - left - right) * step / last
        y = height - bottom - (height - top - bottom) * (value - low) / (high - low)
        return round(x), round(y)

    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = low + share * (high - low)
        (x, y), (end, _) = place(0, value), place(last, value)
        cv2.line(image, (x, y), (end, y), _GRID, 1)
        _write(image, f"{10**value if logarithmic else value:.4g}", (8, y + 4))
        _write(image, f"{share * last:.0f}", (place(share * last, low)[0] - 14, height - 14))
    points = np.array([place(s, v) for s, v in zip(steps, heights, strict=True)], np.int32)
    if len(points):
        cv2.polylines(image, [points.reshape(-1, 1, 2)], False, _LINE, 2, cv2.LINE_AA)
        cv2.circle(image, points[-1].tolist(), 4, _LINE, cv2.FILLED, cv2.LINE_AA)
    _write(image, title, (left, 20))
    return image


def _range(values: Iterable[float]) -> tuple[float, float]:
    """What an axis shows: never empty."""
    known = list(values) or [0.0]
    low, high = min(known), max(known)
    spare = max(0.05 * (high - low), 1e-3)
    return low - spare, high + spare


def _write(image: NDArray[np.uint8], text: str, at: tuple[int, int]) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)
