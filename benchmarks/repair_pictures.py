"""The pictures of docs/repair.md: ``python -m benchmarks.repair_pictures``.

Damage is drawn over our own scene and repaired as ``benchmarks.repair`` does it, at the usual
strength: before on the left, after on the right. Dust, scratches, hot pixels and lines are parts of
a frame at 200 %; weave and flicker, which no frame shows, are the same few pixels of every frame
side by side.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import clips, repair
from samples import damage

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "repair"
SEED = 7
GRAIN = 3  # codes
FRAMES = 16
AT = 8  # the frame that is shown
ZOOM = 2
GAP = 6
LARGEST = 60_000  # bytes of a picture in the docs

Rgb = NDArray[np.uint8]  # (H, W, 3)


class Shown(NamedTuple):
    """A kind of damage, and the part of the picture that shows it."""

    name: str
    stage: str
    rows: slice
    columns: slice
    over_time: bool = False  # the part of every frame, side by side


PARTS = (
    Shown("dust", "dust", slice(60, 180), slice(60, 220)),
    Shown("scratches", "scratches", slice(60, 180), slice(210, 370)),
    Shown("hot-pixels", "hot", slice(60, 180), slice(60, 220)),
    Shown("lines", "lines", slice(60, 180), slice(60, 220)),
    Shown("weave", "weave", slice(60, 180), slice(150, 160), over_time=True),
    Shown("flicker", "flicker", slice(60, 180), slice(150, 160), over_time=True),
)


def main() -> None:
    """Draw, repair and write one picture for each kind."""
    torch.set_num_threads(1)
    stack = clips.middle(clips.load_clean(None, clips.SAMPLE, FRAMES), repair.SIZE)
    clean = stack.permute(0, 2, 3, 1).numpy()
    FOLDER.mkdir(exist_ok=True)
    for shown in PARTS:
        given = repair.grained(damaged(shown.name, clean), GRAIN)
        after = repair.repaired(given, {f"{shown.stage}.strength": 1.0})
        path = FOLDER / f"{shown.name}.jpg"
        written = side_by_side(cut(given, shown), cut(after, shown))
        cv2.imwrite(str(path), written[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
        size = path.stat().st_size
        assert size < LARGEST, f"{path.name} has {size} bytes"
        print(path.name, written.shape[1::-1], size, flush=True)


def damaged(name: str, clean: repair.Frames) -> repair.Frames:
    """The clean frames with one kind of damage."""
    drawn: dict[str, Any] = {
        "dust": lambda: damage.dust(clean, SEED, specks=20, hairs=2)[0],
        "scratches": lambda: damage.scratches(clean, SEED)[0],
        "hot-pixels": lambda: damage.hot_pixels(clean, SEED, count=90)[0],
        "lines": lambda: damage.line_noise(clean, SEED, rows=4.0, hum=6.0),
        "weave": lambda: damage.weave(clean, SEED)[0],
        "flicker": lambda: damage.flicker(clean, SEED)[0],
    }
    found: repair.Frames = drawn[name]()
    return found


def cut(frames: Rgb, shown: Shown) -> Rgb:
    """What is shown of (T, H, W, 3)."""
    if shown.over_time:
        return np.concatenate([frame[shown.rows, shown.columns] for frame in frames], axis=1)
    part: Rgb = frames[AT][shown.rows, shown.columns]
    return part


def side_by_side(before: Rgb, after: Rgb) -> Rgb:
    """Both enlarged, with a white gap between them."""
    size = before.shape[1] * ZOOM, before.shape[0] * ZOOM
    left, right = (
        cv2.resize(np.ascontiguousarray(x), size, interpolation=cv2.INTER_NEAREST)
        for x in (before, after)
    )
    gap = np.full((size[1], GAP, 3), 255, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


if __name__ == "__main__":
    main()
