"""What repairs take out and what they leave: ``python -m benchmarks.repair [--data FOLDER]``.

Damage is drawn (``samples/damage.py``) over clean clips that move and then grain is added, once
with and once without damage, the same to the bit: what a repair should give back is the clip
without. The clip goes through measurement and repair as in a run with both dials at 0. Parts:

* ``dust``: specks of 1 to 8 pixels, six on each frame of 384x256, at three strengths of grain. One
  is counted where it stands out by four sigmas of the grain and 10 codes, and is *gone* where less
  than a fifth of that is left;
* ``lively``: rain, glitter, a ball, eyes and lamps (``samples/lively.py``) without any dust: the
  share of the drawn pixels that ``--dust`` changes by three sigmas and 6 codes; and of all pixels
  of the clips themselves (*nothing* drawn);
* ``scratches``, ``hot-pixels``, ``rows``, ``hum``: RMS that is left over RMS of the damage; rows
  and hum in a shot of 24 frames, as most of what is left of them lies at a short shot's ends;
* ``flicker``: mean step of light from frame to frame, left over given, less the clip's own; and how
  far the mean of many frames has moved, in codes (the clip goes to and fro);
* ``weave``: how far frames lie from where they lie in the clip without, in pixels, RMS down and
  across, before and after, both stabilised; and how far stabilising moves that clip itself, whose
  camera may not be steady. Found by correlation (ECC), not by the stage's own measurement.

For all but dust a row also says what the same repair does to the clip without damage: the share of
all pixels of the picture that it changes by more than 2 codes (``changed_undamaged_share``).

Writes ``results/repair.json``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import clips, results
from samples import damage, lively
from vdenoise import denoise_frames
from vdenoise.degrade import synth
from vdenoise.picture.color import KB, KG, KR

RESULTS = results.FOLDER / "repair.json"
GRAINS = (2, 6, 12)  # codes of film grain in the mid-tones
SEED = 20261129  # of its own: nothing was tuned on it
SIZE = (256, 384)
LUMA = np.array([KR, KG, KB], np.float32)
CONTRAST = (4.0, 10.0)  # sigmas of the grain, and codes: from which on a speck is seen
SHOT = 24  # frames, for lines
CHANGED = (3.0, 6.0)  # sigmas and codes: from which on a pixel was changed
PARTS = ("dust", "lively", "scratches", "hot-pixels", "rows", "hum", "flicker", "weave")
Frames = NDArray[np.float32]
Row = dict[str, Any]


def main() -> None:
    """Run the chosen parts and put their rows in the place of the old ones."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.repair", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the clean clips; else our sample only")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    names = (clips.SAMPLE, *(clips.CLEAN if chosen.data else ()))
    for name in names:
        for part in chosen.parts.split(","):
            count = SHOT if part in ("rows", "hum") else chosen.frames
            stack = clips.load_clean(chosen.data, name, count)
            clean = clips.middle(stack, SIZE).permute(0, 2, 3, 1).numpy()
            for row in measured(part, clean):
                found = {"part": part, "clip": name, "frames": len(clean)} | row
                print(found, flush=True)
                results.merge(RESULTS, found, key, SEED)


def key(row: Row) -> tuple[str, ...]:
    """What makes a row the same row."""
    return (row["part"], row["clip"], row.get("of", ""), f"{row['grain']:02d}")


def measured(part: str, clean: Frames) -> Iterator[Row]:
    """The rows of one part for one clip, (T, H, W, 3) in [0, 1]."""
    if part == "dust":
        yield from (dust(clean, grain) for grain in GRAINS)
    elif part == "lively":
        for grain in GRAINS:
            for what in ("nothing", *lively.LIVELY):
                yield falsely(clean, what, grain)
    elif part == "flicker":
        yield flicker(clean, 4)
    elif part == "weave":
        yield weave(clean, 4)
    else:
        yield lines(clean, part, 4)


def dust(clean: Frames, grain: int) -> Row:
    """How many of the specks that can be seen are gone."""
    dirty, _ = damage.dust(clean, SEED, specks=6, hairs=0)
    truth, given = grained(clean, grain), grained(dirty, grain)
    after = luma(repaired(given, {"dust.strength": 1.0})) - luma(truth)
    before = luma(dirty) - luma(clean)
    seen: dict[str, list[bool]] = {}
    for t in range(len(clean)):
        count, labels, stats, _ = cv2.connectedComponentsWithStats(
            (np.abs(before[t]) > 0.02).astype(np.uint8), connectivity=8
        )
        for n in range(1, count):
            spot = (labels == n) & (np.abs(before[t]) > 0.5 * np.abs(before[t][labels == n]).max())
            contrast = float(before[t][spot].mean())
            if abs(contrast) * 255 < max(CONTRAST[0] * grain, CONTRAST[1]):
                continue
            size = int(max(stats[n, 2:4]))
            group = "1-2" if size <= 2 else "3-4" if size <= 4 else "5-8" if size <= 8 else "9-"
            left = abs(float(after[t][spot].mean()) / contrast)
            seen.setdefault(group, []).append(left < 0.2)
    every = [gone for group in seen.values() for gone in group]
    shares = {f"gone_{group}": round(float(np.mean(seen[group])), 4) for group in sorted(seen)}
    touched = np.abs(before) > 0.02
    elsewhere = (np.abs(after) > 6 / 255) & ~_grown(touched)
    return {
        "grain": grain, "specks": len(every), "gone": round(float(np.mean(every)), 4), **shares,
        "changed_elsewhere": round(float(elsewhere.mean()), 6),
    }  # fmt: skip


def falsely(clean: Frames, what: str, grain: int) -> Row:
    """What of lively things dust repair takes for dust."""
    drawn, where = clean, np.ones(clean.shape[:3], np.bool_)
    if what != "nothing":
        drawn, where = lively.LIVELY[what](clean, SEED)
    given = grained(drawn, grain)
    change = np.abs(luma(repaired(given, {"dust.strength": 1.0})) - luma(given)) * 255
    taken = (change > max(CHANGED[0] * grain, CHANGED[1])) & where
    return {
        "of": what, "grain": grain, "pixels": int(where.sum()),
        "taken": round(float(taken.sum() / where.sum()), 6),
    }  # fmt: skip


def lines(clean: Frames, part: str, grain: int) -> Row:
    """RMS of what is left of damage that stays, over RMS of the damage."""
    where: NDArray[Any] = np.ones(clean.shape[:3], np.bool_)
    if part == "scratches":
        bad, where = damage.scratches(clean, SEED)
    elif part == "hot-pixels":
        bad, places = damage.hot_pixels(clean, SEED)
        where = np.broadcast_to(places, where.shape)
    else:
        rows, hum = (4.0, 0.0) if part == "rows" else (0.0, 6.0)
        bad = damage.line_noise(clean, SEED, rows=rows, hum=hum)
    stage = {"scratches": "scratches", "hot-pixels": "hot"}.get(part, "lines")
    # The same repair of the clip without damage says what it changes there
    truth, given = grained(clean, grain), grained(bad, grain)
    before, after, idle = (
        luma(x) - luma(truth)
        for x in (given, *(repaired(y, {f"{stage}.strength": 1.0}) for y in (given, truth)))
    )
    codes = [255 * float(np.sqrt((x[where] ** 2).mean())) for x in (before, after, idle)]
    return {
        "grain": grain, "damage_codes": round(codes[0], 3), "left_codes": round(codes[1], 3),
        "left": round(codes[1] / codes[0], 4), "changed_undamaged_codes": round(codes[2], 3),
        "changed_undamaged_share": _changed(idle),
    }  # fmt: skip


def flicker(clean: Frames, grain: int) -> Row:
    """Pulses of light, and what the mean of many frames drifts by."""
    order = [*range(len(clean)), *range(len(clean) - 2, 0, -1)]
    long = np.concatenate([clean[order]] * (1 + 47 // len(order)))[:48]
    bad, _ = damage.flicker(long, SEED, strength=0.05)
    given = grained(bad, grain)
    after = repaired(given, {"flicker.strength": 1.0})
    still = grained(long, grain)
    idle = luma(repaired(still, {"flicker.strength": 1.0})) - luma(still)
    own, pulsing, steady = (luma(x).mean((1, 2)) * 255 for x in (long, given, after))
    steps = [float(np.abs(np.diff(x - own)).mean()) for x in (pulsing, steady)]
    return {
        "grain": grain, "frames": len(long), "pulse_codes": round(steps[0], 3),
        "left_codes": round(steps[1], 3), "left": round(steps[1] / steps[0], 4),
        "drift_codes": round(float(steady.mean() - pulsing.mean()), 3),
        "changed_undamaged_share": _changed(idle),
    }  # fmt: skip


def weave(clean: Frames, grain: int) -> Row:
    """How far frames lie from their places, before and after."""
    truth = grained(clean, grain)
    bad, _ = damage.weave(clean, SEED)
    given = grained(bad, grain)
    after, idle = (repaired(x, {"weave.strength": 1.0}) for x in (given, truth))
    pairs = ((truth, given), (idle, after), (truth, idle))
    places = [_places(luma(own), luma(other)) for own, other in pairs]
    before, left, steadied = (float((x - x.mean(0)).std()) for x in places)
    return {
        "grain": grain, "weave_px": round(before, 3), "left_px": round(left, 3),
        "camera_steadied_px": round(steadied, 3),
        "changed_undamaged_share": _changed(luma(idle) - luma(truth)),
    }  # fmt: skip


def _places(truth: Frames, found: Frames) -> NDArray[np.float64]:
    """(T, 2) how far across and down each frame lies from the true one, pixels."""
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-5)
    ways = []
    for own, other in zip(truth, found, strict=True):
        start = np.eye(2, 3, dtype=np.float32)
        _, way = cv2.findTransformECC(own, other, start, cv2.MOTION_TRANSLATION, stop, None, 7)  # type: ignore[call-overload]
        ways.append(way[:, 2])
    return np.array(ways, np.float64)


def _changed(by: Frames) -> float:
    """The share of pixels that were changed by more than 2 codes."""
    return round(float((np.abs(by) * 255 > 2).mean()), 6)


def grained(frames: Frames, codes: float) -> NDArray[np.uint8]:
    """Film grain from the one seed, and whole codes; damage is drawn below it, as on a print."""
    stack = torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2)))
    noisy = synth.film_grain(stack, codes / 255, size=0.6, seed=SEED)
    return (noisy.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()


def repaired(frames: NDArray[np.uint8], settings: dict[str, float]) -> NDArray[np.uint8]:
    """The frames as a run with both dials at 0 gives them back."""
    off = {"output.luma": 0, "output.chroma": 0}
    made: NDArray[np.uint8] = denoise_frames(
        frames, settings=settings | off, speed="veryfast", cuts=(), device="cpu"
    )
    return made


def luma(frames: NDArray[Any]) -> Frames:
    """(T, H, W) in [0, 1]."""
    whole = frames if frames.dtype == np.float32 else frames.astype(np.float32) / 255
    return np.asarray(whole @ LUMA, np.float32)


def _grown(where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Grown by three pixels, frame by frame."""
    kernel = np.ones((7, 7), np.uint8)
    return np.stack([cv2.dilate(mask.astype(np.uint8), kernel) > 0 for mask in where])


if __name__ == "__main__":
    main()
