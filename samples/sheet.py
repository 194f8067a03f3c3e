"""A before and after sheet as a PNG: ``python samples/sheet.py BEFORE AFTER SHEET.png``.

Top: before, after, and what was removed, four times amplified around gray. Below, at 200 %,
before beside after: the most detailed spot, the flattest, and the one that moves most.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # (H, W, 3), OpenCV's order of channels

GAIN = 4
GAP = 6


def main() -> None:
    """Read both clips and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("before", "after", "sheet"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--frame", type=int, help="counted from 0 [default: the middle one]")
    given = parser.parse_args()
    before, after = read(given.before), read(given.after)
    frame = len(before) // 2 if given.frame is None else given.frame
    if len(before) != len(after) or not 0 <= frame < len(before):
        raise SystemExit(
            f"{len(before)} and {len(after)} frames: there is no frame {frame} in both"
        )
    neighbour = after[max(frame - 1, 0)]
    cv2.imwrite(str(given.sheet), sheet(before[frame], after[frame], neighbour))
    print(f"{given.sheet}: frame {frame}")


def read(path: Path) -> list[Picture]:
    """All frames of a clip, in 8 bits: for looking, not for measuring."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (found := capture.read())[0]:
        frames.append(found[1])
    if not frames:
        raise SystemExit(f"{path}: no frames")
    return frames


def sheet(before: Picture, after: Picture, neighbour: Picture) -> Picture:
    """The whole sheet for one frame; ``neighbour`` is the result one frame away."""
    removed = np.clip(128 + GAIN * (before.astype(np.int16) - after), 0, 255).astype(np.uint8)
    top = [
        _titled(before, "before"),
        _titled(after, "after"),
        _titled(removed, f"removed, x{GAIN}"),
    ]
    width, height = _crop_size(before)
    crops = []
    for y, x in spots(after, neighbour, width, height):
        pair = [np.ascontiguousarray(p[y : y + height, x : x + width]) for p in (before, after)]
        grown = [cv2.resize(p, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST) for p in pair]
        crops += [_titled(grown[0], "before 200 %"), _titled(grown[1], "after 200 %")]
    rows = [_beside(top), _beside(crops)]
    widest = max(row.shape[1] for row in rows)
    return np.vstack([_padded(row, widest) for row in rows])


def spots(picture: Picture, neighbour: Picture, width: int, height: int) -> list[tuple[int, int]]:
    """Top left corners of three crops: most detail, least detail, most change."""
    gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
    other = cv2.cvtColor(neighbour, cv2.COLOR_BGR2GRAY).astype(np.float32)
    detail = np.abs(cv2.Laplacian(cv2.GaussianBlur(gray, (0, 0), 1), cv2.CV_32F))
    change = np.abs(cv2.GaussianBlur(gray - other, (0, 0), 3))
    chosen: list[tuple[int, int]] = []
    for measure in (detail, -detail, change):
        mean = cv2.boxFilter(measure, -1, (width, height), anchor=(0, 0))
        mean = mean[: gray.shape[0] - height + 1, : gray.shape[1] - width + 1].copy()
        for y, x in chosen:  # not the same place twice
            mean[
                max(0, y - height // 2) : y + height // 2, max(0, x - width // 2) : x + width // 2
            ] = -np.inf
        y, x = np.unravel_index(int(mean.argmax()), mean.shape)
        chosen.append((int(y), int(x)))
    return chosen


def _crop_size(picture: Picture) -> tuple[int, int]:
    """A sixth of three frames side by side, halved because crops are shown at 200 %."""
    height, width = picture.shape[:2]
    return max(width // 4, 8), max(height // 2, 8)


def _titled(picture: Picture, words: str) -> Picture:
    bar = np.full((22, picture.shape[1], 3), 24, np.uint8)
    cv2.putText(
        bar, words, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (230, 230, 230), 1, cv2.LINE_AA
    )
    return np.vstack([bar, picture])


def _beside(pictures: list[Picture]) -> Picture:
    gap = np.full((pictures[0].shape[0], GAP, 3), 24, np.uint8)
    row = [part for picture in pictures for part in (picture, gap)]
    return np.hstack(row[:-1])


def _padded(row: Picture, width: int) -> Picture:
    return cv2.copyMakeBorder(
        row, 0, GAP, 0, width - row.shape[1], cv2.BORDER_CONSTANT, value=(24, 24, 24)
    )


if __name__ == "__main__":
    main()
