"""The adversary: its loss, what it learns to tell, and which way it pushes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.training.adversary import Adversarial, Adversary, Discriminator, relativistic

SHARP = Adversarial(share=0.01, width=8, rate=5e-3)


def pictures(seed: int) -> Tensor:
    """(8, 3, 32, 32) with fine texture."""
    return torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def smoothed(clean: Tensor) -> Tensor:
    return functional.avg_pool2d(clean, 3, 1, 1)


def trained(steps: int) -> tuple[Adversary, list[float]]:
    torch.manual_seed(1)
    adversary = Adversary(SHARP, torch.device("cpu"))
    losses = []
    for n in range(steps):
        clean = pictures(n)
        losses.append(adversary.learn(smoothed(clean), clean, n))
    return adversary, losses


def test_the_loss_is_the_relativistic_average_one() -> None:
    same = torch.zeros(4, 1, 2, 2)
    assert float(relativistic(same, same)) == pytest.approx(math.log(2))
    assert float(relativistic(same + 3, same)) == pytest.approx(math.log1p(math.exp(-3)))
    assert float(relativistic(same, same + 3)) == pytest.approx(math.log1p(math.exp(3)))


def test_it_learns_to_tell_smooth_pictures_and_pushes_towards_texture() -> None:
    adversary, losses = trained(60)
    assert losses[0] == pytest.approx(math.log(2), abs=0.1)
    assert sum(losses[-10:]) / 10 < 0.35
    clean = pictures(1000)
    answer = smoothed(clean).requires_grad_()
    adversary.against(answer, clean).backward()
    slope = answer.grad
    assert slope is not None and slope.isfinite().all()
    detail = answer.detach() - smoothed(answer.detach())
    assert float((slope * detail).sum()) < 0  # more detail, less loss


def test_its_loss_counts_by_its_share() -> None:
    torch.manual_seed(1)
    one = Adversary(SHARP, torch.device("cpu"))
    two = Adversary(SHARP.model_copy(update={"share": 2 * SHARP.share}), torch.device("cpu"))
    two.load_state_dict(one.state_dict())
    clean = pictures(0)
    found = [a.against(smoothed(clean), clean).item() for a in (one, two)]
    assert found[1] == pytest.approx(2 * found[0])


def test_it_goes_on_where_it_was() -> None:
    whole, losses = trained(20)
    first, _ = trained(12)
    again = Adversary(SHARP, torch.device("cpu"))
    again.load_state_dict(first.state_dict())
    rest = [again.learn(smoothed(pictures(n)), pictures(n), n) for n in range(12, 20)]
    assert rest == losses[12:]
    clean = pictures(50)
    assert whole.against(smoothed(clean), clean).equal(again.against(smoothed(clean), clean))


@pytest.mark.parametrize("size", [32, 80])
def test_patches_are_judged(size: int) -> None:
    found = Discriminator(8)(torch.rand(2, 3, size, size))
    assert found.shape == (2, 1, size // 8, size // 8)
