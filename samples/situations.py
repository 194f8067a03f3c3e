"""Footage as it comes: clean frames and noise put together as bars, graphics, fades and cameras do.

Every situation is made from clean frames of any clip, by numbers alone, and knows its own truth:
what a perfect denoiser would give back, and how strong the noise is at each pixel of each frame.
Frames are (T, 3, H, W) R'G'B', float, nominally in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.degrade import synth

GAIN_STEP = (18 / 12, 3 / 12)  # of the usual sigma, before and behind a change of gain
TRACE = 0.8 / 255  # sigma of the fresh noise on a frame that is shown again


@dataclass(frozen=True, eq=False)
class Situation:
    """Noisy frames and their truth."""

    clean: Tensor  # (T, 3, H, W) what a perfect denoiser gives back
    noisy: Tensor  # (T, 3, H, W) not rounded yet
    sigma: Tensor  # (T, 1, H, W) sigma of the noise in R', G' and B' before it is clipped
    bars: Tensor  # (H, W) bool: no picture at all, to be left alone to the bit
    judged: tuple[int | None, int | None] = (None, None)  # frames that results are judged on

    @property
    def loud(self) -> Tensor:
        """(T, 1, H, W) bool: where noise was added."""
        return self.sigma > 0

    @property
    def quiet(self) -> Tensor:
        """(T, 1, H, W) bool: picture without any noise, at least 4 pixels inside of its region."""
        silent = ((self.sigma == 0) & ~self.bars).float()
        outside = functional.pad(1 - silent, (4, 4, 4, 4))
        return functional.max_pool2d(outside, 9, stride=1) == 0


def _added(clean: Tensor, sigma: Tensor | float, seed: int) -> Situation:
    """White noise of a sigma for each pixel (anything that broadcasts to (T, 1, H, W))."""
    where = torch.as_tensor(sigma, dtype=torch.float32).expand(len(clean), 1, *clean.shape[-2:])
    unit = synth.gaussian(torch.zeros_like(clean), 1.0, seed=seed)
    bars = torch.zeros(clean.shape[-2:], dtype=torch.bool)
    return Situation(clean, clean + unit * where, where, bars)


def plain(clean: Tensor, sigma: float, seed: int) -> Situation:
    """Noise all over the picture: the control."""
    return _added(clean, sigma, seed)


def _grid(clean: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of each pixel, (H, 1) and (1, W)."""
    height, width = clean.shape[-2:]
    return torch.arange(height)[:, None], torch.arange(width)[None]


def _covered(made: Situation, where: Tensor, cover: Tensor, *, bars: bool) -> Situation:
    """Lay pictures (T or 1, 3, H, W) without noise over an area (H, W) or (T, 1, H, W)."""
    return replace(
        made,
        clean=torch.where(where, cover, made.clean),
        noisy=torch.where(where, cover, made.noisy),
        sigma=torch.where(where, torch.zeros(()), made.sigma),
        bars=made.bars | where if bars else made.bars,
    )


def _barred(made: Situation, where: Tensor, rgb: tuple[float, float, float]) -> Situation:
    color = torch.tensor(rgb).view(1, 3, 1, 1)
    return _covered(made, where, color.expand(1, 3, *made.bars.shape), bars=True)


def _letterbox(clean: Tensor) -> Tensor:
    """(H, W) bool: bars of 2.39:1 in 16:9, whatever the shape of the clip; rows are even."""
    height = clean.shape[-2]
    rows = round(height * (1 - 16 / 9 / 2.39) / 4) * 2
    y, x = _grid(clean)
    return ((y < rows) | (y >= height - rows)) & (x >= 0)


def letterbox(clean: Tensor, sigma: float, seed: int) -> Situation:
    """Black bars above and below."""
    return _barred(_added(clean, sigma, seed), _letterbox(clean), (0, 0, 0))


def tinted_bars(clean: Tensor, sigma: float, seed: int) -> Situation:
    """Bars of a dark blue."""
    return _barred(_added(clean, sigma, seed), _letterbox(clean), (0.07, 0.08, 0.13))


def soft_bars(clean: Tensor, sigma: float, seed: int) -> Situation:
    """Bars whose edge was scaled: two rows of it hold a share of the picture, and of its noise."""
    made = _added(clean, sigma, seed)
    black = _letterbox(clean)
    inner = 1 - black.float()
    soft = functional.avg_pool2d(inner[None], (3, 1), stride=1, padding=(1, 0))[0]
    share = torch.where(black, soft * (soft > 0), inner)
    return replace(
        made,
        clean=made.clean * share,
        noisy=made.noisy * share,
        sigma=made.sigma * share,
        bars=share == 0,
    )


def ringing_bars(clean: Tensor, sigma: float, seed: int) -> Situation:
    """Bars as a codec leaves them: the picture's edge rings into the block it lies in."""
    made = letterbox(clean, sigma, seed)
    rows = int(made.bars[: clean.shape[-2] // 2, 0].sum())
    y, _ = _grid(clean)
    away = torch.minimum((y - rows).abs(), (y - (clean.shape[-2] - rows - 1)).abs()).float()
    ripple = 1.2 / 255 * torch.cos(away * 2.2) * (1 - away / 6).clamp(min=0)
    phase = synth.gaussian(torch.zeros(len(clean), 3, 1, clean.shape[-1]), 0.6, seed=seed + 1)
    ring = torch.where(made.bars, ripple * (1 + phase[:, :1]), torch.zeros(()))
    return replace(made, clean=made.clean + ring, noisy=made.noisy + ring)


def pillar_box(clean: Tensor, sigma: float, seed: int) -> Situation:
    """4:3 in 16:9: black columns on both sides."""
    width = clean.shape[-1]
    _, x = _grid(clean)
    columns = width // 16 * 2
    where = ((x < columns) | (x >= width - columns)).expand(clean.shape[-2:])
    return _barred(_added(clean, sigma, seed), where, (0, 0, 0))


def phone_clip(clean: Tensor, sigma: float, seed: int) -> Situation:
    """A vertical clip in a wide frame: black on both sides, two thirds of all."""
    width = clean.shape[-1]
    _, x = _grid(clean)
    columns = width // 6 * 2
    where = ((x < columns) | (x >= width - columns)).expand(clean.shape[-2:])
    return _barred(_added(clean, sigma, seed), where, (0, 0, 0))


def blurred_sides(clean: Tensor, sigma: float, seed: int) -> Situation:
    """A vertical clip in a wide frame, with itself on both sides: enlarged, blurred, no noise."""
    height, width = clean.shape[-2:]
    _, x = _grid(clean)
    columns = width // 6 * 2
    where = ((x < columns) | (x >= width - columns)).expand(height, width)
    small = functional.avg_pool2d(clean, 8)
    large = functional.interpolate(small, (height, width), mode="bicubic").clamp(0, 1)
    cover = functional.avg_pool2d(large, 9, 1, 4)
    return _covered(_added(clean, sigma, seed), where, cover, bars=False)


def gray_border(clean: Tensor, sigma: float, seed: int) -> Situation:
    """A frame of even gray around the picture."""
    height, width = clean.shape[-2:]
    edge = height // 20 * 2
    y, x = _grid(clean)
    inside = (y >= edge) & (y < height - edge) & (x >= edge) & (x < width - edge)
    return _barred(_added(clean, sigma, seed), ~inside, (0.5, 0.5, 0.5))


def _lettered(height: int, width: int, words: str, ground: float, ink: float) -> Tensor:
    """(3, height, width) of lettering on an even ground."""
    drawn = np.zeros((height, width), np.uint8)
    line = max(10, height // 4) if height > 40 else height
    scale = line / 40
    for y in range(line, height + line // 3, line):
        place = (round(6 * scale) + 3 * (y % 7), y - round(line * 0.3))
        cv2.putText(drawn, words * 4, place, cv2.FONT_HERSHEY_DUPLEX, scale, 255, 1, cv2.LINE_AA)
    cover = torch.from_numpy(drawn).float() / 255
    paper = torch.tensor([ground, ground, min(1.0, ground + 0.1)])[:, None, None]
    return paper * (1 - cover) + ink * cover


def lower_third(clean: Tensor, sigma: float, seed: int) -> Situation:
    """Graphics laid over the lowest sixth of the picture, which stand still."""
    height, width = clean.shape[-2:]
    rows = round(height * 0.16)
    cover = torch.zeros(1, 3, height, width)
    cover[..., height - rows :, :] = _lettered(rows, width, "LIVE from the harbor  ", 0.2, 0.9)
    where = (_grid(clean)[0] >= height - rows).expand(height, width)
    return _covered(_added(clean, sigma, seed), where, cover, bars=False)


def ticker_and_logo(clean: Tensor, sigma: float, seed: int) -> Situation:
    """A line of text that runs along the bottom, and a logo in a corner, both without noise."""
    height, width = clean.shape[-2:]
    rows = height // 16 * 2
    strip = _lettered(rows, 3 * width, "shares rise  *  rain by noon  *  ", 0.15, 0.95)
    cover = torch.zeros(len(clean), 3, height, width)
    for t, frame in enumerate(cover):
        frame[:, height - rows :] = strip[..., 3 * t : 3 * t + width]
    size = height // 6
    y, x = _grid(clean)
    disc = (y - size) ** 2 + (x - (width - 1.4 * size)) ** 2
    logo = disc < (size * 0.7) ** 2
    cover = torch.where(logo, torch.tensor([0.8, 0.2, 0.15]).view(1, 3, 1, 1), cover)
    cover = torch.where(disc < (size * 0.35) ** 2, torch.tensor(0.95), cover)
    where = (y >= height - rows) | logo
    return _covered(_added(clean, sigma, seed), where, cover, bars=False)


def screen_recording(clean: Tensor, sigma: float, seed: int) -> Situation:
    """A still desktop full of text, with a camera's picture in an eighth of it."""
    height, width = clean.shape[-2:]
    page = _lettered(height, width, "def measure(frame):  return sigma  ", 0.93, 0.1)
    y, x = _grid(clean)
    camera = (y >= height * 0.62) & (x >= width * 0.67) & (y < height - 4) & (x < width - 4)
    return _covered(_added(clean, sigma, seed), ~camera, page[None], bars=False)


def crushed_blacks(clean: Tensor, sigma: float, seed: int) -> Situation:
    """Footage graded until its darkest eighth, noise and all, is black."""
    black = float(clean.mean(1).flatten()[:: 1 + clean.numel() // 300_000].quantile(0.13))
    made = _added(clean, sigma, seed)
    return replace(
        made,
        clean=((made.clean - black) / (1 - black)).clamp(0, 1),
        noisy=((made.noisy - black) / (1 - black)).clamp(0, 1),
        sigma=made.sigma / (1 - black),
    )


def blown_highlights(clean: Tensor, sigma: float, seed: int) -> Situation:
    """Overexposed footage: its brightest sixth is white."""
    white = float(clean.mean(1).flatten()[:: 1 + clean.numel() // 300_000].quantile(0.83))
    made = _added(clean, sigma, seed)
    return replace(
        made,
        clean=(made.clean / white).clamp(0, 1),
        noisy=(made.noisy / white).clamp(0, 1),
        sigma=made.sigma / white,
    )


def _faded(made: Situation, share: Tensor) -> Situation:
    """Picture and noise times a share for each frame: an editor's fade."""
    share = share.view(-1, 1, 1, 1)
    return replace(
        made, clean=made.clean * share, noisy=made.noisy * share, sigma=made.sigma * share
    )


def fade_in(clean: Tensor, sigma: float, seed: int, *, length: int = 12) -> Situation:
    """From black over so many frames; judged behind it."""
    made = _added(clean, sigma, seed)
    share = ((torch.arange(len(clean)) / length) if length else torch.ones(len(clean))).clamp(max=1)
    return replace(_faded(made, share), judged=(min(length, len(clean) - 4), None))


def fade_out(clean: Tensor, sigma: float, seed: int, *, length: int = 12) -> Situation:
    """To black over so many frames; judged before it."""
    made = _added(clean, sigma, seed)
    share = (torch.arange(len(clean) - 1, -1, -1) / length).clamp(max=1)
    return replace(_faded(made, share), judged=(None, max(len(clean) - length, 4)))


def held(clean: Tensor, sigma: float, seed: int, *, count: int = 2) -> Situation:
    """Drawings shown for ``count`` frames each, with a trace of fresh noise on every frame."""
    drawn = _added(clean[: -(-len(clean) // count)], sigma, seed)
    shown = torch.arange(len(clean)) // count
    fresh = synth.gaussian(torch.zeros_like(clean), TRACE, seed=seed + 1)
    return replace(
        drawn,
        clean=drawn.clean[shown],
        noisy=drawn.noisy[shown] + fresh,
        sigma=drawn.sigma[shown],
    )


def moving_inset(clean: Tensor, sigma: float, seed: int) -> Situation:
    """Rendered pictures without noise in two fifths of the frame, moving."""
    height, width = clean.shape[-2:]
    where = (_grid(clean)[1] < round(width * 0.2) * 2).expand(height, width)
    return _covered(_added(clean, sigma, seed), where, clean.flip(-1), bars=False)


def still_texture(clean: Tensor, sigma: float, seed: int) -> Situation:
    """A rendered texture that does not move beside footage."""
    height, width = clean.shape[-2:]
    where = (_grid(clean)[1] < round(width * 0.2) * 2).expand(height, width)
    rng = torch.Generator().manual_seed(seed + 2)
    weave = torch.randn(1, 3, height, width, generator=rng)
    weave = functional.avg_pool2d(weave, 3, 1, 1).mean(1, keepdim=True)
    cover = (0.5 + 0.09 * weave / weave.std()).expand(1, 3, -1, -1).clamp(0, 1)
    return _covered(_added(clean, sigma, seed), where, cover, bars=False)


def vignette(clean: Tensor, sigma: float, seed: int) -> Situation:
    """Noise of a third of ``sigma`` in the middle and four thirds in the corners."""
    height, width = clean.shape[-2:]
    y, x = _grid(clean)
    away = ((y - height / 2) / height) ** 2 + ((x - width / 2) / width) ** 2
    return _added(clean, sigma * (1 / 3 + 2 * away), seed)


def split_screen(clean: Tensor, sigma: float, seed: int) -> Situation:
    """Two cameras side by side: a third of ``sigma`` on the left."""
    _, x = _grid(clean)
    half = (x < clean.shape[-1] // 4 * 2).expand(clean.shape[-2:])
    return _added(clean, torch.where(half, sigma / 3, sigma), seed)


def four_cameras(clean: Tensor, sigma: float, seed: int) -> Situation:
    """A picture of four, with 0.3, 1, 0 and 1.5 times the usual noise."""
    height, width = clean.shape[-2:]
    y, x = _grid(clean)
    above = torch.where(x < width // 2, 0.3, 1.0)
    below = torch.where(x < width // 2, 0.0, 1.5)
    return _added(clean, sigma * torch.where(y < height // 2, above, below), seed)


def dissolve(clean: Tensor, sigma: float, seed: int) -> Situation:
    """A quiet source that gives way to a noisy one over the middle third of the clip."""
    count = len(clean)
    share = ((torch.arange(count) - count / 3) / (count / 3)).clamp(0, 1).view(-1, 1, 1, 1)
    quiet = _added(clean.flip(-1), sigma / 4, seed)
    loud = _added(clean, sigma, seed + 1)
    return replace(
        loud,
        clean=(1 - share) * quiet.clean + share * loud.clean,
        noisy=(1 - share) * quiet.noisy + share * loud.noisy,
        sigma=(((1 - share) * quiet.sigma) ** 2 + (share * loud.sigma) ** 2).sqrt(),
    )


def gain_change(clean: Tensor, sigma: float, seed: int, *, down: bool = True) -> Situation:
    """A camera changes its gain in the middle of a shot: 18 to 3 codes where ``sigma`` is 12."""
    first, second = GAIN_STEP if down else GAIN_STEP[::-1]
    before = torch.arange(len(clean)) < len(clean) // 2
    return _added(clean, sigma * torch.where(before, first, second).view(-1, 1, 1, 1), seed)


def flickering_light(clean: Tensor, sigma: float, seed: int) -> Situation:
    """Light that changes by up to 8 % from frame to frame, under noise that does not."""
    rate = torch.arange(len(clean)).view(-1, 1, 1, 1)
    return _added((clean * (0.92 + 0.08 * torch.cos(rate * 2.3))).clamp(0, 1), sigma, seed)


def rain(clean: Tensor, sigma: float, seed: int) -> Situation:
    """Short bright streaks, anew in every frame."""
    height, width = clean.shape[-2:]
    wet = []
    for t, frame in enumerate(clean):
        rng = np.random.default_rng((seed, t))
        drops = np.zeros((height, width), np.float32)
        for _ in range(height * width // 250):
            x, y = rng.uniform(0, width), rng.uniform(-8, height)
            end = (round(x + 1), round(y + rng.uniform(5, 10)))
            cv2.line(drops, (round(x), round(y)), end, float(rng.uniform(0.3, 1)), 1, cv2.LINE_4)
        wet.append(frame + 0.16 * torch.from_numpy(drops))
    return _added(torch.stack(wet).clamp(0, 1), sigma, seed)


Maker = Callable[[Tensor, float, int], Situation]


def _of(maker: Callable[..., Situation], **options: int | bool) -> Maker:
    return lambda clean, sigma, seed: maker(clean, sigma, seed, **options)


SITUATIONS: dict[str, Maker] = {
    "plain": plain,
    "letterbox": letterbox,
    "tinted bars": tinted_bars,
    "soft bars": soft_bars,
    "ringing bars": ringing_bars,
    "pillar box": pillar_box,
    "phone clip": phone_clip,
    "blurred sides": blurred_sides,
    "gray border": gray_border,
    "lower third": lower_third,
    "ticker and logo": ticker_and_logo,
    "screen recording": screen_recording,
    "crushed blacks": crushed_blacks,
    "blown highlights": blown_highlights,
    "fade in 6": _of(fade_in, length=6),
    "fade in 12": _of(fade_in, length=12),
    "fade in 24": _of(fade_in, length=24),
    "fade out 12": _of(fade_out, length=12),
    "held for 2": _of(held, count=2),
    "held for 3": _of(held, count=3),
    "moving inset": moving_inset,
    "still texture": still_texture,
    "vignette": vignette,
    "split screen": split_screen,
    "four cameras": four_cameras,
    "dissolve": dissolve,
    "gain down": _of(gain_change, down=True),
    "gain up": _of(gain_change, down=False),
    "flickering light": flickering_light,
    "rain": rain,
}


def make(name: str, clean: Tensor, sigma: float, seed: int) -> Situation:
    """A situation by name.

    Args:
        name: a key of `SITUATIONS`.
        clean: (T, 3, H, W) R'G'B' in [0, 1].
        sigma: usual sigma of the noise, full scale (codes / 255).
        seed: of everything that is drawn.
    """
    assert math.isfinite(sigma) and sigma >= 0
    return SITUATIONS[name](clean, sigma, seed)
