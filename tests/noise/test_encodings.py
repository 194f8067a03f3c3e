"""Noise in log curves: little in the lights, much in the darks, in luma and in chroma."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import encodings
from vdenoise import measure
from vdenoise.picture.color import from_rgb


@pytest.mark.parametrize("name", ["S-Log3", "Cineon", "ACEScct"])
def test_sigma_is_right_at_every_stop_of_a_log_curve(name: str) -> None:
    """Chroma of gray patches holds no texture that would tell noise from picture."""
    noisy, truth = encodings.encoded(name, 8)
    planes = measure((noisy * 64).astype(np.uint16)).shots[0].planes
    error = from_rgb(torch.from_numpy((noisy - truth) / encodings.CODES).permute(0, 3, 1, 2))
    for n in range(0, 12, 2):
        part = np.s_[8:-8, n * encodings.PATCH + 3 : (n + 1) * encodings.PATCH - 3]
        level = truth[part].mean() / encodings.CODES * 16
        for c, plane in enumerate(planes):
            found = np.interp(level, np.arange(17), plane.sigma)
            true = error[:, c][(slice(None), *part)].std().item()
            assert found == pytest.approx(true, rel=0.2), (encodings.STOPS[n], c)


@pytest.mark.parametrize("name", list(encodings.CURVES))
def test_curves_are_those_of_their_makers(name: str) -> None:
    """18 % gray lies where the documents say, and the pieces of each curve meet."""
    gray = {"S-Log3": 0.4106, "V-Log": 0.4233, "LogC3": 0.3910, "LogC4": 0.2784,
            "C-Log": 0.3278, "Cineon": 0.4568, "ACEScct": 0.4136}  # fmt: skip
    curve = encodings.CURVES[name]
    assert curve(np.array([0.18]))[0] == pytest.approx(gray[name], abs=2e-3)
    steps = np.diff(curve(np.linspace(-0.005, 1, 20001)))
    assert (steps > 0).all() and steps.max() < 0.02
