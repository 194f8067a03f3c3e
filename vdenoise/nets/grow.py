"""Begin a larger network of our family where a smaller one stands (Net2Net, Chen et al. 2016,
arXiv:1511.05641): it answers the same at first, and learns what the additions are good for."""

from __future__ import annotations

import torch
from torch import nn

from vdenoise.nets.guided import Guided, ResidualBlock


def grow(small: Guided, large: Guided) -> None:
    """Give ``large``, which has random weights, the answers of ``small``.

    Channels that are added are computed but not listened to yet; blocks that are added hand their
    input on; scales that are added contribute nothing.

    Args:
        small: no wider, deeper or with more scales than ``large``.
        large: changed in place.

    Raises:
        ValueError: ``small`` is larger somewhere.
    """
    scales = len(small.widths)
    ours, theirs = ((*n.widths[:scales], *n.blocks[:scales]) for n in (large, small))
    if len(ours) < len(theirs) or any(a < b for a, b in zip(ours, theirs, strict=True)):
        raise ValueError(
            f"Widths {small.widths} and blocks {small.blocks} do not fit into "
            f"{large.widths} and {large.blocks}."
        )
    known = dict(small.named_modules())
    with torch.no_grad():
        for module in large.modules():
            if isinstance(module, ResidualBlock):
                _silence(module.second)
        for up in list(large.up)[scales - 1 :]:
            assert isinstance(up, nn.ConvTranspose2d)
            _silence(up)
        for name, module in large.named_modules():
            if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                continue
            origin = known.get(_origin(name, small, large))
            if isinstance(origin, nn.Conv2d | nn.ConvTranspose2d):
                _place(origin, module)


def _origin(name: str, small: Guided, large: Guided) -> str:
    """Where a layer of the large network is in the small one: its middle is on the way down."""
    scales = len(small.widths)
    if scales == len(large.widths):
        return name
    kind, _, rest = name.partition(".")
    level, _, inner = rest.partition(".")
    if kind == "encoder" and level == str(scales - 1):
        return f"middle.{inner}"
    return "" if kind == "middle" else name


def _place(small: nn.Conv2d | nn.ConvTranspose2d, large: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """Outputs that ``small`` has come from it alone; the others stay random."""
    ours, theirs = (
        layer.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else layer.weight
        for layer in (large, small)
    )
    outputs, inputs = theirs.shape[:2]
    ours[:outputs] = 0
    ours[:outputs, :inputs] = theirs
    assert small.bias is not None and large.bias is not None
    large.bias[:outputs] = small.bias


def _silence(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
