"""The measures against cases whose answer is known."""

import math

import numpy as np
import pytest
import torch

from vdenoise.evaluation import metrics
from vdenoise.picture.quality import psnr


def scene(frames: int = 3, height: int = 48, width: int = 64, step: int = 2) -> torch.Tensor:
    """(T, 3, H, W) smooth texture that moves ``step`` pixels to the left each frame."""
    y, x = np.mgrid[0:height, 0 : width + step * frames].astype(np.float64)
    wave = 0.5 + 0.2 * np.sin(x / 3 + y / 7) + 0.2 * np.cos(y / 4 - x / 9)
    clip = [wave[:, step * t : step * t + width] for t in range(frames)]
    return torch.from_numpy(np.stack(clip))[:, None].expand(-1, 3, -1, -1).float()


def test_psnr_of_a_known_error():
    clean = scene()
    assert psnr(clean, clean + 0.1) == pytest.approx(20, abs=1e-4)


def test_psnr_is_the_mean_of_the_frames_decibels():
    clean = scene(2)
    test = clean.clone()
    test[0] += 0.1
    test[1] += 0.01
    assert psnr(clean, test) == pytest.approx(30, abs=1e-3)


def test_psnr_of_equal_clips_is_finite():
    assert psnr(scene(), scene()) == 100


def test_luma_weights_are_those_of_bt709():
    green = torch.zeros(1, 3, 2, 2)
    green[:, 1] = 1
    assert metrics.luma(green).unique().item() == pytest.approx(0.7152)
    assert metrics.luma(torch.ones(1, 3, 2, 2)).unique().item() == pytest.approx(1)


def test_ssim_of_constant_pictures_is_the_luminance_term():
    a, b = torch.full((1, 3, 16, 16), 0.4), torch.full((1, 3, 16, 16), 0.6)
    expected = (2 * 0.4 * 0.6 + 1e-4) / (0.4**2 + 0.6**2 + 1e-4)
    assert metrics.ssim(a, b) == pytest.approx(expected, abs=1e-6)


def test_ssim_is_one_for_equal_and_falls_with_noise():
    clean = scene()
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    values = [metrics.ssim(clean, clean + s * noise) for s in (0, 0.05, 0.1, 0.2)]
    assert values[0] == pytest.approx(1)
    assert values == sorted(values, reverse=True) and len(set(values)) == 4


def test_ssim_of_negated_structure_is_negative():
    wave = scene(1) - 0.5
    wave = wave - wave.mean()
    assert metrics.ssim(0.5 + wave, 0.5 - wave) < 0


def test_flicker_of_independent_noise_is_its_change():
    """White noise changes by sqrt(2) sigma; interpolation along the flow takes some of it."""
    clean = scene(step=0)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(2))
    value = metrics.flicker(clean, clean + 10 / 255 * noise)
    assert value == pytest.approx(10 * math.sqrt(2), rel=0.05)


def test_flicker_ignores_error_that_moves_with_the_picture():
    clean = scene(4)
    carried = 0.2 * (clean - 0.5)  # a change of contrast: bound to the picture
    fixed = torch.zeros_like(clean) + 0.02 * torch.randn(
        1, 1, *clean.shape[-2:], generator=torch.Generator().manual_seed(3)
    )  # the same dirt on every frame: slides over the picture
    assert metrics.flicker(clean, clean + carried) < 1.0
    assert metrics.flicker(clean, clean + fixed) > 3.0


def test_flicker_does_not_depend_on_what_is_added_to_both():
    clean = scene()
    other = clean + 0.1
    assert metrics.flicker(clean, other) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("measure", [psnr, metrics.ssim, metrics.flicker])
def test_different_shapes_are_refused(measure):
    with pytest.raises(ValueError, match="differ in shape"):
        measure(scene(3), scene(2))


def test_too_little_to_measure_is_refused():
    with pytest.raises(ValueError, match="two frames"):
        metrics.flicker(scene(1), scene(1))
    with pytest.raises(ValueError, match="11x11"):
        metrics.ssim(torch.zeros(1, 3, 8, 20), torch.zeros(1, 3, 8, 20))
