"""Things that come and go within a frame or two and are no damage, drawn from a seed.

Every function takes and gives back (T, H, W, 3) R'G'B' in [0, 1], float32, and says where it drew,
(T, H, W), so that what a repair takes of it can be counted.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.float32]
Mask = NDArray[np.bool_]
SEEN = 0.03  # a change of a pixel that counts as drawn


def rain(frames: Frames, seed: int, *, drops: int = 90) -> tuple[Frames, Mask]:
    """Streaks of rain, motion-blurred, other ones on every frame."""
    rng = np.random.default_rng(seed)
    done = frames.copy()
    height, width = frames.shape[1:3]
    for picture in done:
        cover = np.zeros((height, width), np.float32)
        for _ in range(drops):
            length, slope = rng.uniform(8, 22), rng.uniform(0.05, 0.15)
            x, y = rng.uniform(0, width), rng.uniform(-10, height)
            _stroke(cover, (x, y), (x + slope * length, y + length), float(rng.uniform(0.25, 0.6)))
        picture += cover[..., None] * (0.85 - picture)
    return done, _drawn(done, frames)


def glitter(
    frames: Frames, seed: int, *, area: float = 0.25, points: int = 60
) -> tuple[Frames, Mask]:
    """Sun on water: points that flash for a single frame, in the lowest part of the picture."""
    rng = np.random.default_rng(seed)
    done = frames.copy()
    height, width = frames.shape[1:3]
    top = round(height * (1 - area))
    for picture in done:
        cover = np.zeros((height, width), np.float32)
        for _ in range(points):
            at = (int(rng.integers(width)), int(rng.integers(top, height)))
            axes = (int(rng.integers(1, 4)), 1)
            cv2.ellipse(cover, at, axes, 0, 0, 360, float(rng.uniform(0.5, 1)), -1)
        picture += cover[..., None] * (1.0 - picture)
    return done, _drawn(done, frames)


def ball(frames: Frames, seed: int, *, size: int = 7, speed: float = 14.0) -> tuple[Frames, Mask]:
    """A white ball that flies and falls, farther on every frame than it is wide; then the next."""
    rng = np.random.default_rng(seed)
    done = frames.copy()
    height, width = frames.shape[1:3]
    x = y = dx = dy = 0.0
    gone = True
    for picture in done:
        if gone:
            x, y = float(rng.uniform(0, width / 4)), float(rng.uniform(0.2, 0.6)) * height
            dx, dy = speed * float(rng.uniform(0.8, 1.3)), -speed * float(rng.uniform(0.1, 0.5))
        cover = np.zeros((height, width), np.float32)
        for moment in (0.0, 0.25, 0.5):  # a shutter of 180 degrees
            at = (round(16 * (x + moment * dx)), round(16 * (y + moment * dy)))
            spot = np.zeros((height, width), np.float32)
            cv2.circle(spot, at, 8 * size, 1.0, -1, cv2.LINE_AA, 4)
            cover += spot / 3
        picture += cover[..., None] * (0.95 - picture)
        x, y, dy = x + dx, y + dy, dy + 0.08 * speed
        gone = not (-size < x < width + size and y < height + size)
    return done, _drawn(done, frames)


def blink(frames: Frames, seed: int) -> tuple[Frames, Mask]:
    """Eyes that close and open within three frames, and lamps that flash for two of ten."""
    rng = np.random.default_rng(seed)
    done = frames.copy()
    height, width = frames.shape[1:3]
    eyes = [(rng.uniform(0.1, 0.9) * width, rng.uniform(0.1, 0.9) * height) for _ in range(4)]
    lamps = [(rng.uniform(0, 1) * width, rng.uniform(0, 1) * height) for _ in range(6)]
    phases = rng.integers(0, 10, len(eyes) + len(lamps))
    where = np.zeros(frames.shape[:3], np.bool_)
    for t, picture in enumerate(done):
        for n, (x, y) in enumerate(eyes):
            lid = (0.5, 1.0, 0.5)[(t + phases[n]) % 10] if (t + phases[n]) % 10 < 3 else 0.0
            _disc(picture, (x, y), (7, 4), (0.9, 0.88, 0.85), where[t])
            _disc(picture, (x, y), (3, 3), (0.1, 0.07, 0.05), where[t])
            if lid:
                _disc(picture, (x, y - 4 * (1 - lid)), (8, 5), (0.72, 0.52, 0.42), where[t])
        for n, (x, y) in enumerate(lamps, len(eyes)):
            tone = 1.0 if (t + phases[n]) % 10 < 2 else 0.15
            _disc(picture, (x, y), (3, 3), (tone, tone * 0.9, tone * 0.8), where[t])
    return done, where


LIVELY = {"rain": rain, "glitter": glitter, "ball": ball, "blink": blink}


def _stroke(
    cover: Frames, start: tuple[float, float], stop: tuple[float, float], weight: float
) -> None:
    line = np.zeros_like(cover)
    a, b = ((round(16 * x), round(16 * y)) for x, y in (start, stop))
    cv2.line(line, a, b, weight, 1, cv2.LINE_AA, 4)
    np.maximum(cover, line, out=cover)


def _disc(
    picture: Frames,
    at: tuple[float, float],
    axes: tuple[int, int],
    rgb: tuple[float, float, float],
    where: Mask,
) -> None:
    cover = np.zeros(picture.shape[:2], np.float32)
    cv2.ellipse(cover, (round(at[0]), round(at[1])), axes, 0, 0, 360, 1.0, -1)
    cover = cv2.GaussianBlur(cover, (0, 0), 0.5)
    picture += cover[..., None] * (np.array(rgb, np.float32) - picture)
    where |= cover > SEEN


def _drawn(done: Frames, frames: Frames) -> Mask:
    drawn: Mask = np.abs(done - frames).max(-1) > SEEN
    return drawn
