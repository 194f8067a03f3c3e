"""Networks row by row in C against the same in torch, and against themselves in parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.helpers.pictures import SUBSAMPLING, noisy, scene
from vdenoise import compiled
from vdenoise.engine.tiles import apply_tiled, tile_halo
from vdenoise.nets.base import BANDS, NetInput
from vdenoise.nets.by_rows import Plane
from vdenoise.nets.ensemble import ensembled
from vdenoise.nets.guided import Guided
from vdenoise.picture.block import Block
from vdenoise.picture.subsampling import repeat_to
from vdenoise.stages.net.cnn import Cnn

if not compiled.serves_networks():
    pytest.skip("this processor or installation has no networks by rows", allow_module_level=True)

ROUNDING = 2e-5  # corrections are some tenths here, some hundredths in pictures


def network(widths: tuple[int, ...] = (16, 32), blocks: tuple[int, ...] = (1, 1)) -> Guided:
    torch.manual_seed(3)
    net = Guided(widths, blocks).eval()
    torch.nn.init.normal_(net.tail.weight, std=0.2)
    for name, value in net.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(value, std=0.1)
    return net.requires_grad_(False)


def pictures(height: int, width: int, factors: tuple[int, int]) -> list[Plane]:
    """Three planes each of five pictures; sigma at luma's size, somewhere not told."""
    torch.manual_seed(4)
    small = (-(-height // factors[0]), -(-width // factors[1]))
    found = []
    for n in range(5):
        found.append(Plane(torch.rand(height, width)))
        chroma = (height, width) if n == 3 else small
        found += [Plane(torch.rand(chroma), *((1, 1) if n == 3 else factors)) for _ in range(2)]
    for n in (9, 10, 11):
        sigma = found[n].pixels
        assert sigma is not None
        found[n] = Plane(torch.where(sigma < 0.1, -1.0, 0.1 * sigma))
    return found


def joined(planes: list[Plane], size: tuple[int, int]) -> NetInput:
    def full(plane: Plane) -> torch.Tensor:
        if plane.pixels is None:
            return torch.zeros(size)
        return repeat_to(plane.pixels, torch.empty(size))

    whole = [torch.stack([full(p) for p in planes[n : n + 3]])[None] for n in range(0, 15, 3)]
    average, temporal, picture, sigma, residual = whole
    bands = torch.linspace(0.5, 2, 2 * BANDS)[None]
    return NetInput(picture, average, sigma, residual, bands, None, temporal, residual)


@pytest.mark.parametrize(
    ("size", "factors", "views"),
    [
        ((40, 72), (1, 1), 1),
        ((37, 51), (2, 2), 1),
        ((33, 130), (1, 4), 1),
        ((1, 1), (2, 2), 1),
        ((6, 300), (1, 2), 2),
        ((45, 38), (2, 2), 2),
        ((45, 38), (1, 2), 8),
    ],
)
def test_rows_say_what_torch_says(
    size: tuple[int, int], factors: tuple[int, int], views: int
) -> None:
    net, planes = network(), pictures(*size, factors)
    x = joined(planes, size)
    with torch.inference_mode():
        expected = ensembled(net, x, views)[0]
        found = net.rows().ensembled(planes, size, x.bands[0], views)
    assert found.shape == expected.shape and expected.abs().max() > 0.01
    assert (found - expected).abs().max() < ROUNDING


@pytest.mark.parametrize("missing", [False, True], ids=["color", "gray"])
def test_networks_of_three_levels_and_planes_that_are_not_there(missing: bool) -> None:
    net, planes = network((16, 48, 32), (2, 1, 1)), pictures(40, 56, (1, 1))
    if missing:
        planes = [Plane(None) if n % 3 else plane for n, plane in enumerate(planes)]
    x = joined(planes, (40, 56))
    with torch.inference_mode():
        expected, found = net(x)[0], net.rows().correction(planes, (40, 56), x.bands[0])
    assert (found - expected).abs().max() < ROUNDING


def test_networks_whose_channels_do_not_fit_and_other_precisions_are_left_to_torch() -> None:
    assert not Guided((16, 24), (1, 1)).by_rows
    assert not network().bfloat16().by_rows
    assert network().tiling[0] > network().halo and network().tiling[1] == 16
    narrow = Guided((8, 16), (1, 1))
    assert narrow.tiling == (narrow.halo, narrow.multiple)


@pytest.fixture
def stage(tmp_path: Path) -> Cnn:
    path = tmp_path / "random.safetensors"
    torch.manual_seed(3)
    net = Guided((32, 64), (1, 2))
    torch.nn.init.normal_(net.tail.weight, std=0.2)
    save_file(net.state_dict(), path, metadata={"architecture": "guided-s"})
    return Cnn(model=str(path))


def source(height: int, width: int, subsampling: str) -> Block:
    luma, chroma = scene(1, height, width, subsampling)
    given = noisy(luma, chroma, "noise")
    torch.manual_seed(9)
    return replace(given, present=torch.rand(1, 1, height, width))


def same(a: Block, b: Block) -> bool:
    return all(
        x.pixels.equal(y.pixels) and x.residual.equal(y.residual)
        for x, y in zip(a.signals, b.signals, strict=True)
    )


@pytest.mark.parametrize("subsampling", SUBSAMPLING)
def test_the_stage_is_the_same_to_rounding(
    stage: Cnn, subsampling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = source(54, 70, subsampling)
    found = stage.apply(given)
    monkeypatch.setattr(compiled, "serves_networks", lambda *_: False)
    expected = stage.apply(given)
    assert not same(given, found)
    for one, other in zip(found.signals, expected.signals, strict=True):
        assert (one.pixels - other.pixels).abs().max() < ROUNDING
        assert one.residual.equal(other.residual)


@pytest.mark.parametrize("views", [1, 2])
def test_tiles_are_the_same_to_the_bit(stage: Cnn, views: int) -> None:
    """Also where the picture ends inside a cell, and where mirrored views begin inside one."""
    stage = stage.model_copy(update={"ensemble": views})
    given = source(190, 300, "420")
    assert 2 * tile_halo(stage, (2, 2)) < 170, "a tile sees a part of the picture"
    whole = stage.apply(given)
    assert same(apply_tiled(stage, given, 128, (2, 2)), whole)


def test_what_is_no_number_stays_none() -> None:
    """Damaged weights are found by what they answer."""
    net, planes = network(), pictures(24, 32, (1, 1))
    net.head.weight[:] = 3e38
    assert not net.rows().correction(planes, (24, 32), torch.ones(2 * BANDS)).isfinite().all()


def test_every_copy_of_the_code_answers_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What AVX-512 adds changes nothing (other processors have one copy alone to run)."""
    net, planes = network((16, 48, 32), (2, 1, 1)), pictures(45, 70, (2, 2))
    bands = torch.linspace(0.5, 2, 2 * BANDS)
    own = net.rows().correction(planes, (45, 70), bands)
    monkeypatch.setattr(compiled, "library", compiled.library.__wrapped__)  # declared anew
    monkeypatch.setattr(compiled, "_capability", lambda: "AVX2")
    assert net.rows().correction(planes, (45, 70), bands).equal(own)
