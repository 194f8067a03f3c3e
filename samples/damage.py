"""Damage as old films and tired sensors have it, drawn over clean frames from a seed.

Every function takes and gives back (T, H, W, 3) R'G'B' in [0, 1], float32, and says where the
damage is, so that a repair can be held against the truth. Nothing here is taken from a film.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.float32]
Mask = NDArray[np.bool_]


def dust(
    frames: Frames, seed: int, *, specks: int = 12, hairs: int = 1, sizes: tuple[int, int] = (1, 8)
) -> tuple[Frames, Mask]:
    """Specks of dirt, dark and bright, other ones on every frame, with soft edges.

    Args:
        frames: the clean clip.
        seed: of where and what they are.
        specks: on each frame.
        hairs: thin curves on every third frame.
        sizes: least and largest diameter of a speck, pixels.

    Returns:
        The clip, and (T, H, W) where it was changed by more than a twentieth.
    """
    rng = np.random.default_rng(seed)
    done = frames.copy()
    height, width = frames.shape[1:3]
    for t in range(len(frames)):
        cover = np.zeros((height, width), np.float32)
        level = np.zeros((height, width), np.float32)
        for _ in range(specks):
            size = int(rng.integers(sizes[0], sizes[1] + 1))
            spot = np.zeros((height, width), np.float32)
            at = (int(rng.integers(width)), int(rng.integers(height)))
            if size <= 2:
                spot[at[1] : at[1] + size, at[0] : at[0] + size] = 1
            else:
                axes = (max(1, size // 2), max(1, int(size * rng.uniform(0.3, 0.5))))
                cv2.ellipse(spot, at, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
                spot = cv2.GaussianBlur(spot, (0, 0), 0.5)
            _drawn(cover, level, spot, _tone(rng))
        for _ in range(hairs if t % 3 == 1 else 0):
            spot = np.zeros((height, width), np.float32)
            start = rng.uniform((0, 0), (width, height))
            turn = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.35, 14))
            path = start + np.cumsum(2.5 * np.stack([np.cos(turn), np.sin(turn)], 1), 0)
            cv2.polylines(spot, [path.astype(np.int32)], False, 1.0, 1, cv2.LINE_AA)
            _drawn(cover, level, spot, _tone(rng))
        done[t] += cover[..., None] * (level[..., None] - done[t])
    changed: Mask = np.abs(done - frames).max(-1) > 0.05
    return done, changed


def _tone(rng: np.random.Generator) -> float:
    """Dirt on a print is dark, dirt on a negative comes out bright."""
    return float(rng.uniform(0.0, 0.12) if rng.random() < 0.5 else rng.uniform(0.88, 1.0))


def _drawn(cover: Frames, level: Frames, spot: Frames, tone: float) -> None:
    level[spot > cover] = tone
    np.maximum(cover, spot, out=cover)


def scratches(frames: Frames, seed: int, *, lines: int = 3) -> tuple[Frames, Mask]:
    """Vertical lines over the whole height that stay for the clip and wander by a pixel or so.

    Returns:
        The clip, and (T, H, W) where they are.
    """
    rng = np.random.default_rng(seed)
    done = frames.copy()
    count, height, width = frames.shape[:3]
    where = np.zeros((count, height, width), np.bool_)
    xs = np.arange(width, dtype=np.float32)
    for _ in range(lines):
        x = float(rng.uniform(8, width - 8))
        half = float(rng.uniform(0.5, 1.2))
        tone, strength = _tone(rng), float(rng.uniform(0.25, 0.6))
        rows = np.clip(
            1
            + 0.3
            * cv2.GaussianBlur(rng.normal(size=(height, 1)).astype(np.float32), (0, 0), 12)
            * 4,
            0.3,
            1,
        )
        for t in range(count):
            x += float(rng.normal(0, 0.3))
            line = np.clip(half + 0.5 - np.abs(xs - x), 0, 1)[None] * rows * strength
            done[t] += line[..., None] * (tone - done[t])
            where[t] |= line > 0.05
    return done, where


def hot_pixels(frames: Frames, seed: int, *, count: int = 40) -> tuple[Frames, Mask]:
    """Pixels that shine in their own color at the same place in every frame, some more than others.

    Returns:
        The clip, and (H, W) where they are.
    """
    rng = np.random.default_rng(seed)
    height, width = frames.shape[1:3]
    shine = np.zeros((height, width, 3), np.float32)
    for _ in range(count):
        y, x = int(rng.integers(height)), int(rng.integers(width))
        shine[y, x] = rng.uniform(0.1, 0.6) * rng.dirichlet((1, 1, 1)).astype(np.float32) * 2
    return np.clip(frames + shine, 0, 1).astype(np.float32), shine.max(-1) > 0


def line_noise(
    frames: Frames, seed: int, *, rows: float = 3.0, columns: float = 0.0, hum: float = 0.0
) -> Frames:
    """Offsets of whole rows (other ones in every frame) and columns (the same in every frame), and
    a bar of mains hum that rolls up.

    Args:
        frames: the clean clip.
        seed: of the offsets.
        rows, columns: standard deviation, 8-bit codes.
        hum: amplitude, 8-bit codes.
    """
    rng = np.random.default_rng(seed)
    count, height, width = frames.shape[:3]
    done = frames + rng.normal(0, rows / 255, (count, height, 1, 1)).astype(np.float32)
    done += rng.normal(0, columns / 255, (1, 1, width, 1)).astype(np.float32)
    phase = np.arange(height)[None] / height + 0.13 * np.arange(count)[:, None]
    done += (hum / 255 * np.sin(2 * np.pi * phase)).astype(np.float32)[..., None, None]
    return done.astype(np.float32)


def flicker(
    frames: Frames, seed: int, *, strength: float = 0.06
) -> tuple[Frames, NDArray[np.float32]]:
    """Exposure that is another in every frame, with a contrast that follows.

    Args:
        frames: the clean clip.
        seed: of the exposures.
        strength: standard deviation of the gain.

    Returns:
        The clip, and (T,) its gains.
    """
    rng = np.random.default_rng(seed)
    gains = (1 + rng.normal(0, strength, len(frames))).astype(np.float32)
    return np.clip(frames * gains[:, None, None, None], 0, 1).astype(np.float32), gains


def weave(
    frames: Frames, seed: int, *, strength: float = 0.8
) -> tuple[Frames, NDArray[np.float64]]:
    """A picture that lies elsewhere in the gate in every frame; edge pixels are repeated.

    Args:
        frames: the clean clip.
        seed: of the places.
        strength: standard deviation of the places, pixels, down and across each.

    Returns:
        The clip, and (T, 2) how far down and across each frame was moved, pixels.
    """
    rng = np.random.default_rng(seed)
    ways = rng.normal(0, strength, (len(frames), 2))
    size = frames.shape[2], frames.shape[1]
    moved = [
        cv2.warpAffine(
            frame,
            np.array([[1, 0, across], [0, 1, down]]),
            size,
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for frame, (down, across) in zip(frames, ways, strict=True)
    ]
    return np.clip(np.stack(moved), 0, 1).astype(np.float32), ways
