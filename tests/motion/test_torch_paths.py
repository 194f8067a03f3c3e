"""What cards take, on a processor: VDENOISE_TORCH_PATHS=1 against the processor's own paths."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vdenoise import compiled, denoise_frames
from vdenoise.motion.flow import agreement, estimate, make_guide
from vdenoise.motion.warp import box_mean, reduce, resize, warp
from vdenoise.picture.noise import NoiseProfile

HEIGHT, WIDTH = 120, 160


def texture() -> Tensor:
    """(1, H, W): smooth enough to be followed."""
    torch.manual_seed(6)
    coarse = torch.rand(1, 1, HEIGHT // 8, WIDTH // 8)
    return functional.interpolate(coarse, (HEIGHT, WIDTH), mode="bicubic")[0].contiguous()


def field() -> Tensor:
    """(2, h, w) of some pixels, at half size."""
    torch.manual_seed(7)
    coarse = 3 * torch.randn(1, 2, 4, 5)
    return functional.interpolate(coarse, (HEIGHT // 2, WIDTH // 2), mode="bicubic")[0]


def both(work: Callable[[], Tensor], monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, Tensor]:
    """What the processor's own paths answer, and what a card's do."""
    monkeypatch.delenv(compiled.TORCH_PATHS, raising=False)
    own = work()
    monkeypatch.setenv(compiled.TORCH_PATHS, "1")
    assert not compiled.serves(own)
    return own, work()


WORK: dict[str, tuple[Callable[[], Tensor], float]] = {
    "warp": (lambda: warp(texture(), field().contiguous()), 1e-4),
    "warp at half size": (lambda: warp(texture(), field().contiguous(), (0.5, 0.5)), 1e-4),
    "resize": (lambda: resize(field()[0].contiguous(), (HEIGHT, WIDTH)), 1e-5),
    "reduce": (lambda: reduce(texture(), (2, 2)), 1e-6),
    "box mean": (lambda: box_mean(texture()[0], (3, 7)), 1e-6),
    # A card interpolates the opposite flow by cubics, a processor linearly.
    "agreement": (lambda: agreement(field().contiguous(), -field().contiguous(), 2), 0.06),
    "guide, fast": (lambda: guide("fast"), 1e-3),
    "guide, better": (lambda: guide("better"), 1e-5),
}


def guide(accuracy: str) -> Tensor:
    noise = NoiseProfile.white(10 / 255).at(0).table()
    return make_guide(texture() + 0.04 * torch.randn(1, HEIGHT, WIDTH), noise, accuracy)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", WORK)
def test_a_card_is_told_what_a_processor_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    work, tolerance = WORK[name]
    own, other = both(work, monkeypatch)
    inner = (..., slice(8, -8), slice(8, -8)) if own.ndim > 2 else (slice(8, -8), slice(8, -8))
    assert own.shape == other.shape and own.dtype == other.dtype
    assert (own[inner] - other[inner]).abs().max() < tolerance


def test_a_card_finds_the_motion_that_a_processor_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    before, moved = texture(), texture().roll((2, 3), (-2, -1))
    for found in both(lambda: estimate(before, moved, 1, "better"), monkeypatch):
        middle = found[:, 20:-20, 20:-20]
        assert (middle[0].median() - 3).abs() < 0.2 and (middle[1].median() - 2).abs() < 0.2


def test_a_run_over_those_paths_is_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain at `base`, network and all, on a picture that moves."""
    clean = [texture().roll((t, 2 * t), (-2, -1))[0] for t in range(3)]
    torch.manual_seed(8)
    noisy = [(frame + 0.08 * torch.randn_like(frame)).numpy() for frame in clean]

    def error() -> Tensor:
        done = denoise_frames(noisy, sigma=[20.4], speed="base", cuts=())
        return (torch.from_numpy(done) - torch.stack(clean)).square().mean()

    own, other = both(error, monkeypatch)
    assert own < 0.25 * 0.08**2
    assert 0.8 < other / own < 1.25  # the search of a card's is half a decibel behind here
