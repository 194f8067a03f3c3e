"""LPIPS, version 0.1 with AlexNet (Zhang et al. 2018), from weights that the user has.

No weights come with vdenoise: AlexNet's were trained on ImageNet, whose terms are its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.errors import DeviceError

_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
# Number in torchvision's AlexNet, stride, padding; a pooling of 3 with stride 2 comes before the
# second and the third.
_LAYERS = ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1))
_POOLED = (1, 2)


class Lpips:
    """Perceptual distance of pictures: 0 for equal ones, about 1 for unrelated ones."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        """Take weights by the names they have in ``lpips.LPIPS(net="alex")``, or AlexNet's own as
        in torchvision.

        Raises:
            DeviceError: some are missing.
        """
        self._layers: list[tuple[Tensor, Tensor, Tensor]] = []
        for n, (number, _, _) in enumerate(_LAYERS):
            names = (f"net.slice{n + 1}.{number}", f"features.{number}")
            base = next((name for name in names if f"{name}.weight" in weights), None)
            line = f"lin{n}.model.1.weight"
            if base is None or line not in weights:
                raise DeviceError(
                    f"The weights for LPIPS lack {line if base else names[0]}.",
                    'Save lpips.LPIPS(net="alex").state_dict() with torch.save, or give the two '
                    "files of lpips and of torchvision's AlexNet.",
                    number=40,
                )
            parts = (weights[f"{base}.weight"], weights[f"{base}.bias"], weights[line])
            self._layers.append(tuple(part.float() for part in parts))  # type: ignore[arg-type]

    @classmethod
    def load(cls, paths: Sequence[Path]) -> Lpips:
        """Read the weights from files of torch.save that hold nothing but weights.

        Raises:
            DeviceError: they cannot be read, or lack something.
        """
        weights: dict[str, Tensor] = {}
        for path in paths:
            try:
                weights |= torch.load(path, map_location="cpu", weights_only=True)
            except Exception as error:
                raise DeviceError(
                    f"{path} is not a readable file of weights.",
                    "Save the state_dict() alone, with torch.save.",
                    number=41,
                ) from error
        return cls(weights)

    def __call__(self, clean: Tensor, test: Tensor) -> float:
        """Mean over frames.

        Args:
            clean, test: (T, 3, H, W) R'G'B' in [0, 1], 31 pixels or more each way.
        """
        with torch.inference_mode():
            each = [self._frame(a[None], b[None]) for a, b in zip(clean, test, strict=True)]
        return sum(each) / len(each)

    def _frame(self, a: Tensor, b: Tensor) -> float:
        both = torch.cat([a, b]).float() * 2 - 1
        features = (both - both.new_tensor(_SHIFT)[:, None, None]) / both.new_tensor(_SCALE)[
            :, None, None
        ]
        total = 0.0
        for n, ((_, stride, padding), (weight, bias, line)) in enumerate(
            zip(_LAYERS, self._layers, strict=True)
        ):
            if n in _POOLED:
                features = functional.max_pool2d(features, 3, 2)
            features = functional.relu(functional.conv2d(features, weight, bias, stride, padding))
            norm = features.square().sum(1, keepdim=True).sqrt()
            unit = features / (norm + 1e-10)
            total += float(functional.conv2d((unit[:1] - unit[1:]).square(), line).mean())
        return total
