"""Dense inverse search: compiled and OpenCV's, alike in what they find; compiled to the bit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vdenoise import compiled
from vdenoise.motion.inverse_search import between, prepared
from vdenoise.picture.block import Accuracy

SIZE = (75, 117)  # odd, and no multiple of anything


@pytest.fixture
def built() -> None:
    if compiled.library() is None:
        pytest.skip("this installation has no compiled functions")


def pair() -> tuple[Tensor, Tensor, Tensor]:
    """Two pictures (1, h, w) and the flow between them (2, h, w): one half moves, one turns."""
    height, width = SIZE
    torch.manual_seed(3)
    coarse = torch.rand(1, 1, height // 5, width // 5)
    second = functional.interpolate(coarse, SIZE, mode="bicubic")
    ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    turning = torch.stack([(ys - 37) * 0.06, (xs - 29) * -0.06])
    moving = torch.tensor([4.3, -2.6])[:, None, None].expand(2, *SIZE)
    flow = torch.where(xs < 58, turning, moving)
    places = torch.stack([xs, ys], -1) + flow.permute(1, 2, 0)
    grid = (places * 2 / torch.tensor([width - 1, height - 1]) - 1)[None]
    first = functional.grid_sample(
        second, grid, mode="bicubic", padding_mode="border", align_corners=True
    )
    return first[0], second[0], flow


def found(accuracy: Accuracy) -> Tensor:
    first, second, _ = pair()
    return between(prepared(first, accuracy), prepared(second, accuracy), accuracy)


@pytest.mark.parametrize("accuracy", ["fast", "better", "best"])
@pytest.mark.parametrize("opencv", [False, True])
def test_motion_is_found_with_and_without_compiled_functions(
    accuracy: Accuracy, opencv: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if opencv:
        monkeypatch.setattr(compiled, "serves", lambda *_: False)
    error = (found(accuracy) - pair()[2]).square().sum(0).sqrt()
    inner = error[8:-8, 8:-8]
    assert inner.median() < 0.2 and inner.mean() < 0.7  # the rest is where the halves meet


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("accuracy", ["fast", "better", "best"])
def test_every_processor_finds_the_same_bits(
    accuracy: Accuracy, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = compiled._capability()
    own = found(accuracy)
    try:
        for other in ("DEFAULT", *(["AVX2"] if here == "AVX512" else [])):
            monkeypatch.setattr(compiled, "_capability", lambda other=other: other)
            compiled.library.cache_clear()
            assert torch.equal(found(accuracy), own)
    finally:
        monkeypatch.undo()
        compiled.library.cache_clear()


@pytest.mark.usefixtures("built")
def test_a_picture_without_numbers_harms_nothing() -> None:
    """Flows of what is no number are finite: they say where pixels are fetched."""
    first, second, _ = pair()
    first[0, 20:30, 20:40], second[0, 50:, 70:] = float("nan"), float("inf")
    flow = between(prepared(first, "better"), prepared(second, "better"), "better")
    assert flow.isfinite().all()
