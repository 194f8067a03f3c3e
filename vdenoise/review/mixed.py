"""Whether a picture that seems moved as a whole is one that was mixed with another time's."""

from __future__ import annotations

import torch
from torch import Tensor

from vdenoise.review.judged import Pair

_EDGE = 12  # px at the picture's edges that are left out: smoothing repeats them
_FARTHER = 1.3  # a ghost comes from farther away than it seems to move the picture
_ASIDE = 0.5  # share of the camera's motion that may lie across the shift


class MixedMotion:
    """Tells a ghost under a camera that pans from a picture that is moved.

    Mixing a picture with a share of the one before, which a pan moved by m pixels, looks like a
    shift s by that share of m, but it smears too, along the motion alone: to second order what was
    removed is s times the slope along the shift, plus s^2 - s m / 2 times the curvature along it;
    of a picture that is moved it is s^2 / 2. What a denoiser blurs has curvature in all directions,
    so that along the shift is compared with that across.
    """

    def __init__(self) -> None:
        self._products = torch.zeros(5, 5, dtype=torch.float64)
        self._gone = torch.zeros(5, dtype=torch.float64)
        self._motions: list[Tensor] = []

    def push(self, pair: Pair) -> None:
        """Look at the later frame of a pair."""
        smooth = pair.now.smooth_result[0]
        if min(smooth.shape) < 4 * _EDGE:
            return
        down, right = torch.gradient(smooth)
        (dd, dr), (_, rr) = torch.gradient(down), torch.gradient(right)
        inner = slice(_EDGE, -_EDGE)
        regressors = torch.stack(
            [x[inner, inner].flatten() for x in (down, right, dd, 2 * dr, rr)]
        ).double()
        gone = pair.now.smooth_removed[0, inner, inner].flatten().double()
        self._products += regressors @ regressors.T
        self._gone += regressors @ (gone - gone.mean())
        self._motions.append(pair.motion)

    def share(self, down: float, right: float) -> float | None:
        """Say what share of another frame is mixed in.

        Args:
            down, right: pixels by which the picture seems to be moved.

        Returns:
            The share, 0 to 1; None where it is moved.
        """
        far = (down**2 + right**2) ** 0.5
        if not self._motions or far == 0:
            return None
        along = torch.tensor([down, right], dtype=torch.float64) / far
        across = along.flip(0) * torch.tensor([1.0, -1.0], dtype=torch.float64)
        motion = torch.stack(self._motions).mean(dim=0)
        pan, aside = (abs(float(motion @ way)) for way in (along, across))
        if pan < _FARTHER * far or aside > _ASIDE * pan:
            return None
        *_, dd, dr, rr = torch.linalg.lstsq(self._products, self._gone).solution
        curved = torch.stack((torch.stack((dd, dr)), torch.stack((dr, rr))))
        smear = float(along @ curved @ along - across @ curved @ across)
        halfway = far**2 / 2 - far * (pan - far) / 4
        return far / pan if smear < halfway else None
