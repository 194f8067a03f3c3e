"""Planes at another density, sigmas of levels, frames joined: compiled as in torch, to the bit."""

from __future__ import annotations

import pytest
import torch

from vdenoise import compiled
from vdenoise.picture.block import Signal, join_signals
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.subsampling import resize_to


@pytest.fixture
def built() -> None:
    if compiled.library() is None:
        pytest.skip("this installation has no compiled functions")


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    ("size", "chroma"),
    [
        ((48, 66), (24, 33)),
        ((49, 67), (25, 34)),  # 4:2:0 of odd sides
        ((30, 41), (30, 21)),  # 4:2:2
        ((31, 40), (16, 40)),  # 4:4:0
        ((20, 41), (20, 11)),  # 4:1:1
        ((9, 9), (3, 3)),  # 4:1:0
        ((1, 1), (1, 1)),
    ],
)
def test_luma_is_made_smaller_as_torch_does(
    size: tuple[int, int], chroma: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    planes = torch.randn(2, 3, *size)[:, 1:]  # not in one piece
    found = resize_to(planes, torch.empty(2, 2, *chroma))
    monkeypatch.setattr(compiled, "serves", lambda *_: False)
    assert torch.equal(found, resize_to(planes, torch.empty(2, 2, *chroma)))


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("planes", [1, 3])
def test_sigma_is_looked_up_as_torch_does(planes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(2)
    table = NoiseTable(torch.rand(planes, 17), torch.ones(planes, 16, 16))
    luma = 3 * torch.rand(2, 1, 33, 47) - 1
    found = table.sigma_at(luma)
    monkeypatch.setattr(compiled, "serves", lambda *_: False)
    assert torch.equal(found, table.sigma_at(luma))


@pytest.mark.usefixtures("built")
def test_where_luma_is_no_number_sigma_is_that_of_black() -> None:
    table = NoiseTable(torch.linspace(1, 2, 17)[None], torch.ones(1, 16, 16))
    assert table.sigma_at(torch.full((1, 1, 2, 2), float("nan"))).eq(1).all()


def test_frames_that_are_joined_are_copied_only_where_all_are_asked_for() -> None:
    one = torch.ones(()).expand(1, 1, 4, 6)
    frames = [Signal(torch.full((1, 2, 4, 6), float(n)), one) for n in range(4)]
    joined = join_signals(frames)
    assert len(joined) == 4 and joined.size == (4, 6)
    assert joined.frame(2).pixels is frames[2].pixels
    assert len(joined[1:3]) == 2 and joined[1:3].frame(0).pixels is frames[1].pixels
    assert torch.equal(joined.pixels[:, 0, 0, 0], torch.arange(4.0))
    assert joined.residual.shape == (4, 1, 4, 6)
    assert joined.residual.untyped_storage().nbytes() == 4, "maps that nothing touched are a number"
