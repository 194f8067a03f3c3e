"""A procedural scene to denoise: everything in it is drawn here, from numbers.

Shot one is a hand-held view of a street corner: a brick front with a painted sign, a tree, a
paved ground, a person who walks past a lamp post that hides them for some frames. Shot two, after
a hard cut, is a desk by lamplight: smooth gradients, a printed page, a swinging pendulum. The
material is deliberately what denoisers trip over: fine text, texture of low contrast, skin,
occlusion, gradients that band, motion at several speeds at once.

Frames are (H, W, 3) float32 R'G'B' in [0, 1], rendered at twice the size and reduced.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]

SUPERSAMPLE = 2
SHUTTER = (-0.25, 0.0, 0.25)  # moments of a frame that are averaged: a 180 degree shutter, coarsely


def frames(width: int, height: int, count: int, *, cut: int | None = None) -> Iterator[Picture]:
    """The clip, frame by frame; shot two begins at frame ``cut`` (default: two thirds in)."""
    cut = count * 2 // 3 if cut is None else cut
    scale = SUPERSAMPLE * height / 360
    street, desk = Street(scale), Desk(scale)
    size = (SUPERSAMPLE * width, SUPERSAMPLE * height)
    for t in range(count):
        shot, time = (street, t) if t < cut else (desk, t - cut)
        moments = [shot.render(time + offset, size) for offset in SHUTTER]
        picture = np.mean(moments, axis=0)
        yield np.clip(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), 0, 1)


def shake(time: float, seed: int) -> tuple[float, float, float, float]:
    """Hand-held movement: x and y in pixels at 360 lines, rotation in degrees, zoom factor."""
    phase = np.random.default_rng(seed).uniform(0, 2 * math.pi, (4, 3))
    rates = np.array([0.11, 0.23, 0.47])
    weights = np.array([1.0, 0.5, 0.2])
    x, y, turn, zoom = (np.sin(rates * time + phase) * weights).sum(axis=1)
    return 5 * x, 3.5 * y, 0.5 * turn, 1 + 0.006 * zoom


class Street:
    """Layers at several depths, moved by the camera each by its own amount."""

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.wall = _wall(scale)
        self.tree = _tree(scale)
        self.person = _person(scale)
        self.post = _post(scale)

    def render(self, time: float, size: tuple[int, int]) -> Picture:
        """One moment, R'G'B' of ``size``."""
        pan = 0.9 * time
        out = np.zeros((size[1], size[0], 3), np.float32)
        bob = 2.2 * math.sin(0.55 * time)
        lean = 1.5 * math.sin(0.275 * time)
        for layer, depth, x, y, turn in (
            (self.wall, 1.0, -110 - pan, -55, 0.0),
            (self.tree, 1.25, 430 - 1.3 * pan, -40, 0.4 * math.sin(0.2 * time)),
            (self.person, 1.6, 40 + 6.2 * time, 92 + bob, lean),
            (self.post, 2.4, 330 - 2.6 * pan, -40, 0.0),
        ):
            self._place(out, layer, time, depth, x, y, turn, size)
        return out

    def _place(
        self,
        out: Picture,
        layer: Picture,
        time: float,
        depth: float,
        x: float,
        y: float,
        turn: float,
        size: tuple[int, int],
    ) -> None:
        dx, dy, roll, zoom = shake(time, 1)
        height, width = layer.shape[:2]
        place = _affine(turn, 1, (width / 2, height), (x * self.scale, y * self.scale))
        camera = _affine(
            roll,
            zoom,
            (size[0] / 2, size[1] / 2),
            (dx * depth * self.scale, dy * depth * self.scale),
        )
        _composite(out, layer, camera @ place)


class Desk:
    """A wall with a glow, a page, a pendulum; the camera moves in slowly."""

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.room = _room(scale)
        self.page = _page(scale)
        self.bob = _ball(scale, 26, (0.72, 0.55, 0.25))

    def render(self, time: float, size: tuple[int, int]) -> Picture:
        """One moment, R'G'B' of ``size``."""
        s = self.scale
        dx, dy, roll, zoom = shake(time, 2)
        camera = _affine(
            0.6 * roll,
            zoom * (1 + 0.003 * time),
            (size[0] / 2, size[1] / 2),
            (0.5 * dx * s, 0.5 * dy * s),
        )
        out = np.zeros((size[1], size[0], 3), np.float32)
        _composite(out, self.room, camera @ _affine(0, 1, (0, 0), (-60 * s, -40 * s)))
        _composite(out, self.page, camera @ _affine(-7, 1, (0, 0), (300 * s, 170 * s)))
        angle = 7 * math.sin(0.25 * time + 0.6)
        swing = _affine(angle, 1, (26 * s, -150 * s), (200 * s, -130 * s))
        _composite(out, self.bob, camera @ swing)
        return out


def _affine(
    degrees: float, zoom: float, centre: tuple[float, float], move: tuple[float, float]
) -> NDArray[np.float64]:
    """Rotation and zoom about ``centre``, then a translation; (3, 3)."""
    matrix = np.eye(3)
    matrix[:2] = cv2.getRotationMatrix2D(centre, degrees, zoom)
    matrix[:2, 2] += move
    return matrix


def _composite(out: Picture, layer: Picture, matrix: NDArray[np.float64]) -> None:
    """Lay a premultiplied RGBA picture over ``out``."""
    size = (out.shape[1], out.shape[0])
    moved = cv2.warpAffine(layer, matrix[:2], size, flags=cv2.INTER_LINEAR)
    out *= 1 - moved[..., 3:]
    out += moved[..., :3]


def _fractal(width: int, height: int, seed: int, coarsest: float, octaves: int = 6) -> Picture:
    """(H, W) noise of zero mean and unit deviation whose octaves weigh alike per area."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        step = coarsest / 2**octave
        if step < 1:
            break
        grid = rng.standard_normal(
            (max(2, round(height / step) + 2), max(2, round(width / step) + 2))
        ).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.62**octave
    return (total - total.mean()) / total.std()


def _opaque(picture: Picture) -> Picture:
    return np.dstack([picture, np.ones(picture.shape[:2], np.float32)]).astype(np.float32)


def _masked(picture: Picture, alpha: Picture) -> Picture:
    alpha = np.clip(alpha, 0, 1)
    return np.dstack([picture * alpha[..., None], alpha]).astype(np.float32)


def _color(rgb: tuple[float, float, float]) -> Picture:
    return np.array(rgb, np.float32)


def _text(
    picture: Picture,
    words: str,
    at: tuple[float, float],
    size: float,
    rgb: tuple[float, float, float],
    weight: float = 1,
) -> None:
    thickness = max(1, round(weight * size * 1.6))
    place = (round(at[0]), round(at[1]))
    ink = np.zeros(picture.shape[:2], np.uint8)
    cv2.putText(ink, words, place, cv2.FONT_HERSHEY_DUPLEX, size, 255, thickness, cv2.LINE_AA)
    cover = ink[..., None].astype(np.float32) / 255
    picture *= 1 - cover
    picture += cover * _color(rgb)


def _wall(s: float) -> Picture:
    """Bricks, a window with a reflection, a sign, a door, the pavement in front."""
    width, height = round(960 * s), round(480 * s)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    row = np.floor(y / (9 * s))
    column = np.floor((x + (row % 2) * 12 * s) / (24 * s))
    each = np.sin(row * 12.9898 + column * 78.233) * 43758.5453
    each = (each - np.floor(each)).astype(np.float32)
    brick = _color((0.52, 0.29, 0.22)) * (0.72 + 0.5 * each[..., None])
    brick = brick * (1 + 0.07 * _fractal(width, height, 11, 12 * s)[..., None])
    joint = ((y % (9 * s)) < 1.3 * s) | (((x + (row % 2) * 12 * s) % (24 * s)) < 1.3 * s)
    picture = np.where(joint[..., None], _color((0.55, 0.52, 0.48)), brick).astype(np.float32)
    picture *= (1 + 0.05 * _fractal(width, height, 12, 160 * s)[..., None]).astype(np.float32)

    def box(x0: float, y0: float, x1: float, y1: float) -> tuple[slice, slice]:
        return slice(round(y0 * s), round(y1 * s)), slice(round(x0 * s), round(x1 * s))

    for left in (180, 560):
        picture[box(left - 6, 84, left + 116, 236)] = _color((0.83, 0.80, 0.72))
        pane = box(left, 90, left + 110, 230)
        rows, columns = picture[pane].shape[:2]
        ramp = np.linspace(0.62, 0.18, rows, dtype=np.float32)[:, None, None]
        clouds = 0.05 * _fractal(columns, rows, left, 60 * s)[..., None]
        picture[pane] = ramp * _color((0.75, 0.92, 1.1)) + clouds
        picture[box(left + 52, 90, left + 58, 230)] = _color((0.83, 0.80, 0.72))
        picture[box(left, 152, left + 110, 157)] = _color((0.83, 0.80, 0.72))
    picture[box(330, 96, 524, 166)] = _color((0.09, 0.20, 0.17))
    picture[box(333, 99, 521, 163)] = _color((0.12, 0.27, 0.22))
    _text(picture, "CORNER BOOKS", (344 * s, 126 * s), 0.72 * s, (0.93, 0.86, 0.62))
    _text(picture, "old & new - maps - prints", (352 * s, 144 * s), 0.36 * s, (0.85, 0.84, 0.78))
    _text(
        picture, "Mon-Sat 9.30-18.00  tel. 555 0142", (350 * s, 157 * s), 0.26 * s, (0.8, 0.8, 0.75)
    )
    picture[box(386, 190, 470, 360)] = _color((0.16, 0.22, 0.33))
    for top in (204, 282):
        picture[box(398, top, 424, top + 62)] = _color((0.20, 0.27, 0.40))
        picture[box(432, top, 458, top + 62)] = _color((0.20, 0.27, 0.40))
    cv2.circle(
        picture, (round(461 * s), round(276 * s)), round(3 * s), (0.8, 0.7, 0.4), -1, cv2.LINE_AA
    )

    ground = y > 345 * s
    depth = np.clip((y - 345 * s) / (height - 345 * s), 0, 1)
    slab_x = np.abs(((x - width / 2) / (0.5 + depth)) % (46 * s))
    slab_y = np.abs((depth**0.6 * 9) % 1)
    stone = _color((0.46, 0.45, 0.43)) * (0.85 + 0.3 * depth[..., None])
    stone = stone * (1 + 0.10 * _fractal(width, height, 13, 10 * s, 4)[..., None])
    stone = np.where(((slab_x < 1.6 * s) | (slab_y < 0.05))[..., None], stone * 0.6, stone)
    picture = np.where(ground[..., None], stone, picture)
    shade = 1 - 0.45 * np.exp(-((y - 345 * s) ** 2) / (2 * (5 * s) ** 2))
    light = 0.78 + 0.34 * np.clip(1.3 - x / width - 0.3 * y / height, 0, 1)
    return _opaque((picture * (shade * light)[..., None]).astype(np.float32))


def _tree(s: float) -> Picture:
    """A trunk and leaves in three depths of green, with gaps."""
    width, height = round(300 * s), round(430 * s)
    picture = np.zeros((height, width, 3), np.float32)
    alpha = np.zeros((height, width), np.float32)
    bark = 0.23 + 0.05 * _fractal(width, height, 21, 8 * s)
    trunk = np.zeros_like(alpha)
    points = np.array([(138, 430), (146, 250), (120, 150), (160, 150), (168, 255), (180, 430)])
    cv2.fillPoly(trunk, [np.round(points * s).astype(np.int32)], 1.0, cv2.LINE_AA)
    picture += (bark * trunk)[..., None] * _color((1.1, 0.9, 0.7))
    alpha = np.maximum(alpha, trunk)
    rng = np.random.default_rng(22)
    for k in range(1500):
        angle, radius = rng.uniform(0, 2 * math.pi), math.sqrt(rng.uniform()) * 132
        x, y = 148 + radius * math.cos(angle), 140 + 0.85 * radius * math.sin(angle)
        long, wide = rng.uniform(4, 7.5), rng.uniform(1.5, 3)
        tone = (0.35 + 0.45 * k / 1500 + rng.uniform(-0.1, 0.1)) * (1.15 - y / 420)
        rgb = (0.52 * tone, 0.80 * tone, 0.24 * tone)
        axes = (round(long * s), max(1, round(wide * s)))
        centre, turn = (round(x * s), round(y * s)), rng.uniform(0, 180)
        cv2.ellipse(picture, centre, axes, turn, 0, 360, rgb, -1, cv2.LINE_AA)
        cv2.ellipse(alpha, centre, axes, turn, 0, 360, 1.0, -1, cv2.LINE_AA)
    return np.dstack([np.minimum(picture, alpha[..., None]), alpha]).astype(np.float32)


def _person(s: float) -> Picture:
    """A head with soft skin shading, hair, a knitted jacket."""
    width, height = round(170 * s), round(290 * s)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / s
    picture = np.zeros((height, width, 3), np.float32)
    alpha = np.zeros((height, width), np.float32)

    def blend(rgb: Picture, mask: Picture) -> None:
        nonlocal picture, alpha
        mask = np.clip(mask, 0, 1)
        picture = picture * (1 - mask[..., None]) + rgb * mask[..., None]
        alpha = alpha * (1 - mask) + mask

    def ellipse(cx: float, cy: float, rx: float, ry: float, soft: float) -> Picture:
        distance = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2)
        return np.clip((1 - distance) * min(rx, ry) / soft + 0.5, 0, 1)

    body = ellipse(85, 262, 74, 132, 1.0) * (y > 128)
    knit = 0.10 * np.sin(x * 2.4) * np.sign(np.sin(y * 1.6)) + 0.05 * np.sin(y * 3.2)
    fold = 0.12 * np.sin((x - 85) / 9 + np.sin(y / 30))
    jacket = _color((0.22, 0.30, 0.46)) * (1 + knit + fold - 0.0045 * np.abs(x - 60))[..., None]
    blend(jacket, body)
    blend(
        _color((0.85, 0.83, 0.80)) * (1 + 0.002 * (85 - x))[..., None], ellipse(85, 134, 24, 13, 1)
    )
    blend(_skin(x, y, 85, 118, s) * 0.84, ellipse(85, 118, 17, 24, 1.5))
    blend(
        _color((0.16, 0.10, 0.07)) * (1 + 0.25 * np.sin(x * 1.9 + y / 8))[..., None],
        ellipse(85, 64, 45, 52, 1.2),
    )
    blend(_skin(x, y, 85, 74, s), ellipse(86, 76, 36, 46, 1.2))
    for cx in (72, 101):
        blend(_color((0.95, 0.94, 0.92)), ellipse(cx, 70, 6.2, 3.1, 0.8))
        blend(_color((0.20, 0.14, 0.10)), ellipse(cx + 1.5, 70, 2.8, 2.9, 0.7))
        blend(_color((0.25, 0.16, 0.11)), ellipse(cx, 61.5, 8, 1.7, 0.9))
        blend(_color((0.92, 0.52, 0.45)), 0.22 * ellipse(cx + (cx - 86) * 0.4, 86, 13, 9, 8))
    blend(_color((0.68, 0.42, 0.33)), 0.55 * ellipse(90, 84, 4.2, 8.5, 3))
    blend(_color((0.70, 0.33, 0.32)), ellipse(87, 102, 11, 3.1, 1.1))
    blend(
        _color((0.16, 0.10, 0.07)) * (1 + 0.25 * np.sin(x * 1.9))[..., None],
        ellipse(78, 38, 40, 17, 1.5),
    )
    return _masked_premultiplied(picture, alpha)


def _masked_premultiplied(picture: Picture, alpha: Picture) -> Picture:
    return np.dstack([picture, alpha]).astype(np.float32)


def _skin(x: Picture, y: Picture, cx: float, cy: float, s: float) -> Picture:
    """A lit ellipsoid with a faint uneven tone."""
    nx, ny = (x - cx) / 44, (y - cy) / 56
    nz = np.sqrt(np.clip(1 - nx**2 - ny**2, 0.02, 1))
    lit = np.clip(-0.55 * nx - 0.35 * ny + 0.76 * nz, 0, 1)
    height, width = x.shape
    uneven = 1 + 0.012 * _fractal(width, height, 31, 6 * s, 4)
    tone = (0.38 + 0.62 * lit) * uneven
    return (_color((0.93, 0.70, 0.57)) * tone[..., None] ** _color((0.9, 1.05, 1.2))).astype(
        np.float32
    )


def _post(s: float) -> Picture:
    """A lamp post close to the camera."""
    width, height = round(26 * s), round(460 * s)
    x = np.linspace(-1, 1, width, dtype=np.float32)
    round_light = 0.10 + 0.30 * np.clip(1 - (x + 0.45) ** 2 * 1.8, 0, 1)
    picture = np.broadcast_to(round_light[None, :, None], (height, width, 3)) * _color(
        (0.9, 1.0, 0.95)
    )
    alpha = np.broadcast_to(np.clip((1 - np.abs(x)) * width / 3, 0, 1), (height, width))
    return _masked(picture.astype(np.float32), alpha.astype(np.float32))


def _room(s: float) -> Picture:
    """A plain wall lit by a lamp out of the picture, and a wooden table."""
    width, height = round(780 * s), round(470 * s)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / s
    glow = np.exp(-(((x - 560) / 330) ** 2 + ((y - 60) / 230) ** 2))
    wall = _color((0.10, 0.105, 0.13)) + glow[..., None] * _color((0.66, 0.52, 0.34))
    grain = np.sin(y * 1.1 + 3 * np.sin(x / 140) + 1.5 * _fractal(width, height, 41, 90 * s))
    wood = _color((0.34, 0.21, 0.12)) * (0.75 + 0.12 * grain + 0.9 * glow)[..., None]
    picture = np.where((y > 262)[..., None], wood, wall)
    picture *= (1 - 0.4 * np.exp(-np.abs(y - 262) / 4))[..., None]
    for k in range(9):
        left, tall = 96 + 17 * k, 84 + 9 * ((k * 5) % 4)
        rgb = _color(((0.35, 0.16, 0.14), (0.15, 0.25, 0.33), (0.38, 0.33, 0.2))[k % 3])
        spine = (x > left) & (x < left + 15) & (y > 262 - tall) & (y < 262)
        bend = 1 - 0.5 * ((x - left - 7.5) / 7.5) ** 2
        picture = np.where(spine[..., None], rgb * (bend * (0.5 + 0.9 * glow))[..., None], picture)
        band = spine & (np.abs(y - 275 + tall) < 2)
        picture = np.where(band[..., None], _color((0.6, 0.5, 0.25)), picture)
    return _opaque(picture.astype(np.float32))


def _page(s: float) -> Picture:
    """Print in small sizes on paper."""
    width, height = round(270 * s), round(190 * s)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / s
    paper = 0.80 + 0.05 * x / 270 - 0.06 * y / 190
    paper = paper * (1 + 0.01 * _fractal(width, height, 51, 5 * s))
    picture = np.ascontiguousarray(paper[..., None] * _color((1.0, 0.95, 0.84)), np.float32)
    lines = (
        "Every frame is a measurement with an error;",
        "the next one measures the same thing again,",
        "a little to the left. What repeats along the",
        "motion is the picture. What does not is noise.",
        "0123456789  +-=/%&  [aeiou]  il1I|  rnm  O0Q",
        "The quick brown fox jumps over the lazy dog.",
    )
    _text(picture, "On averaging", (16 * s, 28 * s), 0.62 * s, (0.12, 0.1, 0.1))
    for k, words in enumerate(lines):
        _text(
            picture, words, (16 * s, (50 + 17 * k) * s), (0.37 - 0.025 * k) * s, (0.15, 0.13, 0.13)
        )
    for k in range(24):
        left = round((16 + 9.8 * k) * s)
        step = max(1, round((0.5 + 0.12 * k) * s))
        for j in range(0, round(8 * s), 2 * step):
            picture[round(160 * s) : round(174 * s), left + j : left + j + step] = 0.2
    return _masked(picture, np.ones((height, width), np.float32))


def _ball(s: float, radius: float, rgb: tuple[float, float, float]) -> Picture:
    """A polished ball on a thread that leaves the picture at the top."""
    width, height = round(2 * radius * s), round((2 * radius + 300) * s)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / s
    nx, ny = (x - radius) / radius, (y - 300 - radius) / radius
    inside = np.clip((1 - np.sqrt(nx**2 + ny**2)) * radius + 0.5, 0, 1)
    nz = np.sqrt(np.clip(1 - nx**2 - ny**2, 0, 1))
    lit = np.clip(0.55 * nx - 0.5 * ny + 0.66 * nz, 0, 1)
    ball = _color(rgb) * (0.2 + 0.8 * lit)[..., None] + 0.9 * (lit**40)[..., None]
    thread = (np.abs(x - radius) < 0.7) & (y < 302)
    alpha = np.maximum(inside, thread.astype(np.float32))
    picture = np.where(
        thread[..., None] & (inside < 0.5)[..., None], _color((0.5, 0.42, 0.3)), ball
    )
    return _masked(np.minimum(picture, 1).astype(np.float32), alpha)
