"""Neighbors in time: the compiled functions say what torch and OpenCV do, on every processor."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vdenoise import compiled
from vdenoise.motion.flow import agreement
from vdenoise.stages.temporal.neighbors import Compared, Judge, Sums

LUMA = (Judge(0.1, 0.8), Judge(2.5, 0.7))  # of the guide, and of luma
CHROMA = (Judge(2.3, 0.9),)
# Rows and columns of the planes, of a cell, of the flow; pixels to one of luma, across and down;
# how they are judged
CASES = {
    "luma": ((96, 130), (2, 2), (48, 65), (1.0, 1.0), LUMA),
    "luma, coarse motion": ((96, 128), (2, 2), (24, 32), (1.0, 1.0), LUMA),
    "luma, full motion": ((50, 62), (2, 2), (50, 62), (1.0, 1.0), LUMA),
    "4:2:0": ((48, 67), (1, 1), (48, 67), (0.5, 0.5), CHROMA),
    "4:2:0, full motion": ((48, 60), (1, 1), (96, 120), (0.5, 0.5), CHROMA),
    "4:2:2": ((60, 40), (2, 1), (30, 40), (0.5, 1.0), CHROMA),
    "4:1:1": ((60, 40), (2, 1), (60, 160), (0.25, 1.0), CHROMA),
    "4:4:0": ((40, 60), (1, 2), (40, 30), (1.0, 0.5), CHROMA),
    "smaller than what a pixel is made of": ((2, 4), (2, 2), (1, 1), (1.0, 1.0), LUMA),
    "one pixel": ((1, 1), (1, 1), (1, 1), (1.0, 1.0), CHROMA),
}
WINDOW = {1: 7, 2: 3}


def smooth(count: int, size: tuple[int, int], cell: int) -> Tensor:
    coarse = torch.randn(1, count, size[0] // cell + 3, size[1] // cell + 3)
    return functional.interpolate(coarse, size, mode="bicubic")[0].contiguous()


def answers(name: str, *, flow: Tensor | None = None) -> tuple[list[Tensor], Compared, Tensor]:
    """All that comes out: difference and weight, and weight and sums."""
    size, cell, motion, scale, judges = CASES[name]
    torch.manual_seed(5)
    own = smooth(2, size, 6)
    neighbor = own + 0.03 * torch.randn(2, *size)
    cells = (-(-size[0] // cell[0]), -(-size[1] // cell[1]))
    variance = 0.001 + 0.0005 * torch.rand(2, *cells)
    flow = 2 * smooth(2, motion, 20) if flow is None else flow
    window = (WINDOW[cell[0]], WINDOW[cell[1]])
    compared = Compared([*own], [*variance], cell, window, judges, scale)
    planes = 3 - len(judges)
    sums = Sums(torch.zeros(planes, *size), torch.ones(cells), torch.ones(cells), 0.85)
    trust = torch.rand(cells)
    found = [*compared.weigh([*neighbor], flow, trust)]
    found.append(compared.sum_up([*neighbor], flow, trust, sums))
    return [*found, sums.total, sums.weight, sums.power], compared, neighbor


@pytest.fixture
def built() -> None:
    if compiled.library() is None:
        pytest.skip("this installation has no compiled functions")


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("name", CASES)
def test_what_is_compiled_is_what_torch_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = answers(name)[0]
    monkeypatch.setattr(compiled, "serves", lambda *_: False)
    for ours, theirs in zip(found, answers(name)[0], strict=True):
        assert ours.shape == theirs.shape and (ours - theirs).abs().max() < 5e-5


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("size", [(30, 45), (1, 1), (1, 9), (9, 1), (2, 3), (24, 64)])
def test_agreement_is_what_opencv_says(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(6)
    flow = 4 * smooth(2, size, 9)
    back = 0.3 * torch.randn(2, *size) - flow
    found = agreement(flow, back, 2)
    monkeypatch.setattr(compiled, "serves", lambda *_: False)
    assert (agreement(flow, back, 2) - found).abs().max() < 5e-6


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("capability", ["AVX2", "DEFAULT"])
@pytest.mark.parametrize("name", CASES)
def test_every_copy_of_the_code_says_the_same_bits(
    name: str, capability: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = answers(name)[0]
    flow = 3 * smooth(2, (30, 45), 9)
    agreed = agreement(flow, -flow, 2)
    monkeypatch.setattr(compiled, "library", compiled.library.__wrapped__)  # declared anew
    monkeypatch.setattr(compiled, "_capability", lambda: capability)
    assert all(map(torch.equal, found, answers(name)[0]))
    assert agreement(flow, -flow, 2).equal(agreed)


@pytest.mark.parametrize("name", ["luma", "4:2:0"])
def test_what_stands_still_is_not_interpolated(name: str) -> None:
    still = torch.zeros(2, *CASES[name][2])
    (difference, *_), compared, neighbor = answers(name, flow=still)
    assert difference.equal(neighbor - torch.stack([*compared.own]))


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("length", [float("nan"), float("inf"), -float("inf"), 1e30, -1e9])
def test_a_motion_that_cannot_be_leads_to_the_edge(length: float) -> None:
    flow = torch.full((2, *CASES["luma"][2]), length)
    (difference, *_), compared, neighbor = answers("luma", flow=flow)
    own = torch.stack([*compared.own])
    corners = [neighbor[:, y, x, None, None] - own for y in (0, -1) for x in (0, -1)]
    assert any(map(difference.equal, corners))
    assert agreement(flow, flow, 2).shape == flow.shape[1:]
