"""Geometric self-ensemble (Timofte et al. 2016; Lim et al. 2017, EDSR): the mean of what a network
answers to mirrored and turned views of a picture.

Noise has no direction and a network's errors have: part of them goes in the mean, at the price of
one run of the network for each view.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor

from vdenoise.nets.base import NetInput, Network

View = tuple[bool, bool, bool]
# (turned about the diagonal, mirrored down, mirrored across); the first two share no edge of a
# picture, so two of them bring most of what four do.
VIEWS = (
    (False, False, False),
    (False, True, True),
    (False, False, True),
    (False, True, False),
    (True, False, False),
    (True, True, True),
    (True, False, True),
    (True, True, False),
)


def ensembled(net: Network, x: NetInput, views: int) -> Tensor:
    """The correction for a picture of any size, as ``net(x)``, as the mean over views.

    Args:
        net: of any kind.
        x: what it is given.
        views: 1 to 8 of `VIEWS`; 1 is the network alone, to the bit.

    Returns:
        (N, 3, H, W) float32.
    """
    if views == 1:
        return net(x)  # type: ignore[no-any-return]
    height, width = x.noisy.shape[-2:]
    # Before they are turned: a network's cells must lie on the same pixels in every view, and in a
    # tile as in the whole.
    whole = x.padded(-height % net.multiple, -width % net.multiple)
    total = net(whole)
    for view in VIEWS[1:views]:
        total = total + back(net(whole.mapped(partial(seen, view=view))), view)
    mean: Tensor = total / views
    return mean[..., :height, :width]


def seen(x: Tensor, view: View) -> Tensor:
    """Pictures (..., H, W) as one of the views has them."""
    turned, down, across = view
    x = _mirrored(x, down=down, across=across)
    return (x.transpose(-1, -2) if turned else x).contiguous()


def back(x: Tensor, view: View) -> Tensor:
    """What was answered to such pictures, as it lies in the picture itself."""
    turned, down, across = view
    return _mirrored(x.transpose(-1, -2) if turned else x, down=down, across=across)


def _mirrored(x: Tensor, *, down: bool, across: bool) -> Tensor:
    dims = [dim for dim, wanted in ((-2, down), (-1, across)) if wanted]
    return x.flip(dims) if dims else x
