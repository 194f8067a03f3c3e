"""The contract of networks, on random weights: what each states about itself holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.helpers.pictures import (
    SIGMA,
    SUBSAMPLING,
    block,
    converted,
    in_blocks,
    noisy,
    psnr,
    scene,
)
from vdenoise import compiled
from vdenoise.engine.tiles import apply_tiled
from vdenoise.nets import ARCHITECTURES, build, fitting, shapes_of
from vdenoise.nets.autoencoder import Autoencoder
from vdenoise.nets.base import BANDS, NetInput, Network, example, halo, macs_per_pixel, parameters
from vdenoise.nets.color import RgbNetwork, rgb_sigma
from vdenoise.nets.dncnn import DnCnn, FDnCnn
from vdenoise.nets.drunet import DruNet
from vdenoise.nets.fastdvdnet import FastDvdNet
from vdenoise.nets.ffdnet import FfdNet
from vdenoise.nets.grow import grow
from vdenoise.nets.guided import Guided
from vdenoise.nets.models import shipped
from vdenoise.nets.shift import Shift, shifted
from vdenoise.picture.block import Block
from vdenoise.picture.color import from_rgb, to_rgb
from vdenoise.stages.net.cnn import Cnn

# One of each kind, narrow: what depends on the width is tested on those that are published.
SMALL: dict[str, Callable[[], Network]] = {
    "guided-s": lambda: Guided((32, 64), (1, 2)),
    "dncnn": lambda: DnCnn(width=8, depth=5),
    "fdncnn": lambda: FDnCnn(width=8, depth=4, told=True),
    "ffdnet": lambda: FfdNet(width=8, depth=4),
    "drunet": lambda: DruNet(widths=(8, 8, 16, 16), blocks=1),
    "autoencoder": lambda: Autoencoder((8, 16)),
    "fastdvdnet": lambda: FastDvdNet((4, 8, 8), 2),
    "shift": lambda: Shift((16, 16), (1, 1)),
}
NARROW: dict[str, Callable[[], Network]] = {
    "guided-m": lambda: Guided((2, 2, 2), (1, 2, 3)),
    "guided-b": lambda: Guided((2, 2, 2), (2, 2, 2), 4.0),
    "dncnn": lambda: DnCnn(width=2),
    "fdncnn": lambda: FDnCnn(width=2, told=True),
    "dncnn of gray": lambda: DnCnn(channels=1, width=2, depth=17, normed=True),
    "ffdnet": lambda: FfdNet(width=2),
    "ffdnet of gray": lambda: FfdNet(channels=1, width=2, depth=15),
    "drunet": lambda: DruNet(widths=(1, 1, 1, 1), blocks=2),
    "autoencoder": lambda: Autoencoder((2, 2, 2)),
    "fastdvdnet": lambda: FastDvdNet((1, 1, 1), 1),
    "shift": lambda: Shift((8, 8, 8)),
}


def randomized(net: Network) -> Network:
    """Weights as training may leave them: none of them 0, averages of normalisation neither."""
    with torch.no_grad():
        for value in net.state_dict().values():
            if value.dtype.is_floating_point and float(value.abs().max()) in (0.0, 1.0):
                value += 0.02 * torch.randn(value.shape)
    return net.eval()


@pytest.fixture(params=SMALL)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Cnn:
    """The stage with a file of random weights."""
    net = randomized(SMALL[request.param]())
    path = tmp_path / "random.safetensors"
    save_file(net.state_dict(), path, metadata={"architecture": request.param})
    return Cnn(model=str(path))


def given(net: Network, height: int, width: int, frames: int = 1) -> NetInput:
    picture = torch.rand(frames, 3, height, width)
    neighbors = torch.rand(frames, 2 * net.reach, 3, height, width)
    return NetInput(
        noisy=picture + 0.05 * torch.randn_like(picture),
        average=picture,
        sigma=torch.full_like(picture, SIGMA),
        residual=torch.full_like(picture, 0.5),
        bands=torch.ones(frames, 2 * BANDS),
        neighbors=neighbors if "neighbors" in net.inputs else None,
    )


def single(x: NetInput, n: int) -> NetInput:
    return replace(x.mapped(lambda t: t[n : n + 1]), bands=x.bands[n : n + 1])


def same(a: Block, b: Block) -> bool:
    return all(
        x.pixels.equal(y.pixels) and x.residual.equal(y.residual)
        for x, y in zip(a.signals, b.signals, strict=True)
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_states_what_it_is(architecture: str) -> None:
    net = build(architecture)
    assert net.halo >= 1 and net.multiple & (net.multiple - 1) == 0
    assert ("neighbors" in net.inputs) == (net.reach > 0 and net.clip == 0)
    assert set(fitting(shapes_of(net))) == {architecture}
    assert net.memory > 0


def test_costs_are_those_of_the_papers() -> None:
    """Parameters and kMAC per pixel, counted from the authors' code."""
    expected = {
        "dncnn": (668_227 + 18 * 2 * 64, 667),  # batch normalisation, merged when published
        "ffdnet": (852_108, 213),
        "drunet": (32_640_960, 2118),
        "fastdvdnet": (2_479_096, 636),
    }
    for architecture, (count, kilo_macs) in expected.items():
        net = build(architecture)
        assert parameters(net) == pytest.approx(count, rel=1e-6)
        assert macs_per_pixel(net) / 1000 == pytest.approx(kilo_macs, rel=0.01)


@pytest.mark.parametrize("name", ["dncnn", "fdncnn", "ffdnet", "autoencoder"])
def test_what_goes_into_a_network_that_begins_to_learn_comes_out(name: str) -> None:
    """With torch's own random weights a billionth of it does: nothing is ever learned."""
    torch.manual_seed(5)
    net = build(name)
    one, other = torch.rand(2, 1, 3, 32, 32)
    sigma = torch.full((1, 1, 32, 32), 0.1)
    assert isinstance(net, RgbNetwork)
    with torch.no_grad():
        answers = [net.change(rgb, sigma, example(net)) for rgb in (one, other)]
    if name != "dncnn":  # they answer with the picture
        answers = [answers[0] + one, answers[1] + other]
    assert float((answers[0] - answers[1]).std()) > 0.1 * float((one - other).std())


@pytest.mark.parametrize("dim", [-1, -2], ids=["across", "down"])
@pytest.mark.parametrize("name", NARROW)
def test_the_halo_is_exact(name: str, dim: int) -> None:
    """All weights 1 and the picture 0 but for a line: what the line reaches is not 0.

    Sigma is next to nothing, so that it hides nothing where it multiplies the answer.
    """
    net = NARROW[name]().eval().double()
    with torch.no_grad():
        for key, value in net.state_dict().items():
            if key.endswith(("bias", "running_mean")):
                value.zero_()
            elif value.is_floating_point():  # FastDVDnet takes its answer off, a ReLU comes next
                value.fill_(-1 if key.endswith("outc.convblock.3.weight") else 1)
    size, side = 2 * net.halo + 2 * net.multiple, net.multiple
    shape = (side, size) if dim == -1 else (size, side)
    zero = torch.zeros(1, 3, *shape, dtype=torch.float64)
    grey = zero + zero.new_tensor([0.5, 0, 0])[:, None, None]
    if not isinstance(net, Guided | Shift | Autoencoder):  # these take 0.5 off
        grey = zero
    average = grey.repeat(net.multiple, 1, 1, 1)
    for n, picture in enumerate(average):
        picture.select(dim, net.halo + n).add_(1)
    x = NetInput(
        noisy=average,
        average=average,
        sigma=torch.full_like(average, 1e-200),
        residual=torch.ones_like(average),
        bands=torch.zeros(net.multiple, 2 * BANDS, dtype=torch.float64),
        neighbors=average[:, None].expand(-1, 4, -1, -1, -1) if net.reach == 2 else None,
    )
    with torch.no_grad():
        parts = [net(single(x, n)) for n in range(len(average))] if net.clip else net(x).split(1)
    reached = 0
    for n, out in enumerate(parts):
        assert out.isfinite().all()
        lines = (out != 0).any(0).any(0).any(0 if dim == -1 else 1).nonzero()
        reached = max(reached, (lines - net.halo - n).abs().max().item())
    assert reached == net.halo


def test_a_halo_counts_the_rest_of_cells() -> None:
    assert halo([]) == 0
    assert halo([(1, 1, 1)] * 3) == 3
    assert halo([(2, 1, 1)]) == 3  # the cell beside one's own: two pixels, and one to its edge
    assert halo([(2, 0, 0), (1, 1, 0)]) == 2  # stride: one's own cell, and one pixel before it
    assert halo([(4, 1, 1), (2, 1, 1)]) == 3 + 4 + 2


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (16, 24), (33, 47)], ids=str)
def test_any_size_goes_through(name: str, size: tuple[int, int]) -> None:
    net = randomized(SMALL[name]())
    x = given(net, *size, frames=1)
    with torch.no_grad():
        out = net(x)
    assert out.shape == x.average.shape and out.dtype == torch.float32
    assert out.isfinite().all() and out.abs().max() > 0


@pytest.mark.parametrize("layout", SUBSAMPLING)
def test_layouts_and_odd_sizes(stage: Cnn, layout: str) -> None:
    source = noisy(*scene(3, 37, 51, layout), "noise")
    before = [signal.pixels.clone() for signal in source.signals]
    result = stage.apply(source)
    for signal, new, old in zip(source.signals, result.signals, before, strict=True):
        assert new.pixels.shape == old.shape and new.pixels.isfinite().all()
        assert signal.pixels.equal(old) and not new.pixels.equal(old)


@pytest.mark.parametrize("layout", ["gray", "420", "422", "444"])
def test_tiles_equal_the_whole_to_the_bit(stage: Cnn, layout: str) -> None:
    source = noisy(*scene(2, 67, 91, layout), "noise")
    factors = SUBSAMPLING[layout] or (1, 1)
    tile = 16 * max(factors)
    assert same(apply_tiled(stage, source, tile, factors), stage.apply(source))


@pytest.mark.parametrize("length", [1, 3])
def test_blocks_and_where_a_clip_is_cut_change_nothing(stage: Cnn, length: int) -> None:
    frames = 2 * stage.reach + 4
    source = noisy(*scene(frames, 24, 33), "noise")
    source = replace(source, first=5, shot=(5, 5 + frames - 1))  # clips are counted from frame 0
    whole = stage.apply(source)
    for part, inside in in_blocks(stage, source, length):
        assert whole.chroma is not None
        expected = replace(whole, luma=whole.luma[inside], chroma=whole.chroma[inside])
        assert same(part, expected)


def test_nothing_is_done_where_no_noise_is_left(stage: Cnn) -> None:
    """A mask is a factor on what is left; a network that is not told sigma keeps to it, too."""
    source = noisy(*scene(1, 24, 40), "noise")
    for name in ("luma", "chroma"):
        signal = getattr(source, name)
        residual = signal.residual.clone()
        residual[..., : residual.shape[-1] // 2] = 0
        source = replace(source, **{name: replace(signal, residual=residual)})
    result = stage.apply(source)
    for new, old in zip(result.signals, source.signals, strict=True):
        half = old.pixels.shape[-1] // 2
        assert new.pixels[..., :half].equal(old.pixels[..., :half])
        assert not new.pixels[..., half:].equal(old.pixels[..., half:])


def test_a_blind_network_does_the_share_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "blind.safetensors"
    net = randomized(DnCnn(width=8, depth=3))
    save_file(net.state_dict(), path, metadata={"architecture": "dncnn"})
    source = noisy(*scene(1, 24, 40), "noise")
    full = Cnn(model=str(path)).apply(source).luma.pixels - source.luma.pixels
    third = Cnn(model=str(path), strength=0.25).apply(source).luma.pixels - source.luma.pixels
    assert torch.allclose(third, full / 4, atol=1e-6)


def test_a_foreign_network_that_has_learned_nothing_is_held_back_where_asked(
    tmp_path: Path,
) -> None:
    """Its answer is far beyond the noise; ours is bounded to a few sigmas by its own make."""
    path = tmp_path / "wild.safetensors"
    torch.manual_seed(2)
    net = randomized(DnCnn(width=8, depth=3))
    save_file(net.state_dict(), path, metadata={"architecture": "dncnn"})
    source = noisy(*scene(1, 48, 64), "noise")
    changes = [
        Cnn(model=str(path), structure_guard=guard).apply(source).luma.pixels - source.luma.pixels
        for guard in ("off", "auto", "on")
    ]
    free, unasked, held = (float(change.square().mean().sqrt()) for change in changes)
    sigma = float(source.noise.sigma[0].mean())
    assert free > 2 * sigma and held < 1.2 * sigma
    assert unasked == free, "weights of others give their own result unless it is asked for"
    assert Cnn(model=str(path)).followed_by == ()
    assert not net.bounded and Guided.bounded


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_close_where_it_is_claimed(precision: torch.dtype) -> None:
    """Within a 50th of sigma: 0.02 dB where a third of the noise is left."""
    claimed = [name for name, make in SMALL.items() if make().half_ok]
    assert claimed
    for name in claimed:
        torch.manual_seed(3)
        net = randomized(SMALL[name]())
        x = given(net, 32, 40, frames=2)
        with torch.no_grad():
            exact = net(x)
            rounded = net.to(precision)(x)
        error = (rounded - exact).square().mean().sqrt()
        assert 0 < error < SIGMA / 50, name


def test_a_network_that_does_not_claim_half_precision_gets_none(tmp_path: Path) -> None:
    path = tmp_path / "ffdnet.safetensors"
    net = randomized(FfdNet(width=8, depth=3))
    save_file(net.state_dict(), path, metadata={"architecture": "ffdnet"})
    source = noisy(*scene(1, 24, 40), "noise")
    stage = Cnn(model=str(path))
    assert stage.precision == "float32"
    assert same(stage.apply(replace(source, compute=torch.bfloat16)), stage.apply(source))


@pytest.mark.parametrize("name", SMALL)
def test_cuda_in_float16_is_close_to_the_cpu_in_float32(
    name: str, tmp_path: Path, cuda: torch.device
) -> None:
    net = randomized(SMALL[name]())
    path = tmp_path / "random.safetensors"
    save_file(net.state_dict(), path, metadata={"architecture": name})
    stage = Cnn(model=str(path))
    source = noisy(*scene(2 * stage.reach + 1, 40, 56), "noise")
    expected = stage.apply(source)
    moved = replace(converted(source, torch.float32, cuda), compute=torch.float16)
    result = stage.apply(moved)
    for a, b in zip(expected.signals, result.signals, strict=True):
        assert (a.pixels - b.pixels.cpu()).square().mean().sqrt() < SIGMA / 50


def test_neighbors_are_the_nearest_distinct_frames() -> None:
    """In order of time inside a shot; at its ends the places beyond go to the other side."""
    from vdenoise.stages.net.inputs import Pictures

    luma = torch.zeros(9, 1, 4, 4)
    pictures = Pictures(replace(block(luma, None), first=100, shot=(100, 108)), 1.0)
    assert pictures._around(4, 2) == [2, 3, 5, 6]
    assert pictures._around(0, 2) == [4, 3, 1, 2]
    assert pictures._around(1, 2) == [4, 0, 2, 3]
    assert pictures._around(8, 2) == [6, 7, 5, 4]
    short = Pictures(replace(block(luma[:2], None), first=100, shot=(100, 101)), 1.0)
    assert short._around(0, 2) == [0, 0, 1, 1]


def test_shifting_takes_an_eighth_from_each_side() -> None:
    x = torch.arange(4.0)[:, None, None, None].expand(4, 16, 1, 1) + 1
    out = shifted(x, 4)[..., 0, 0]
    assert out[:, 0].tolist() == [0, 1, 2, 3] and out[:, 1].equal(out[:, 0])
    assert out[:, 2].tolist() == [2, 3, 4, 0] and out[:, 3].equal(out[:, 2])
    assert all(out[:, n].tolist() == [1, 2, 3, 4] for n in range(4, 16))
    assert shifted(x, 1)[:, :4].count_nonzero() == 0


def test_color_conversions_are_inverse_and_sigma_is_that_of_rgb() -> None:
    rgb = torch.rand(2, 3, 5, 7, dtype=torch.float64)
    assert torch.allclose(to_rgb(from_rgb(rgb)), rgb, atol=1e-12)
    noise = torch.randn(1, 3, 400, 400, dtype=torch.float64)
    sigma = from_rgb(noise).std((-2, -1), keepdim=True)
    assert rgb_sigma(sigma).item() == pytest.approx(1, rel=0.02)
    assert rgb_sigma(torch.tensor([0.5, 0, 0])[None, :, None, None]).item() == 0.5  # gray


@pytest.mark.parametrize("name", shipped())
@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16], ids=str)
def test_shipped_networks_lose_nothing_in_half_precision(name: str, precision: torch.dtype) -> None:
    """Less than 0.02 dB."""
    luma, chroma = scene(1, 64, 96)
    source = noisy(luma, chroma, "noise")
    stage = Cnn(model=name)
    exact = stage.apply(source).luma.pixels
    rounded = stage.apply(replace(source, compute=precision)).luma.pixels
    assert abs(psnr(exact, luma) - psnr(rounded, luma)) < 0.02


# Growth


def test_a_larger_network_begins_where_a_smaller_one_stands() -> None:
    torch.manual_seed(1)
    small = randomized(Guided((8, 16), (1, 2)))
    assert isinstance(small, Guided)
    for widths, blocks in (
        ((12, 20, 24), (1, 2, 3)),
        ((12, 16), (2, 3)),
        ((8, 16, 16, 8), (3, 2, 1, 1)),
    ):
        large = Guided(widths, blocks)
        grow(small, large)
        x = example(large).mapped(lambda t: t + 0.05 * torch.randn_like(t).abs())
        with torch.no_grad():
            wanted, found = small.correction(x), large.correction(x)
        assert float(wanted.abs().max()) > 1e-3
        assert float((found - wanted).abs().max()) < 1e-5
        # And everything that was added can still learn.
        large.train()
        optimiser = torch.optim.Adam(large.parameters(), 1e-3, eps=1e-30)
        before = {name: value.clone() for name, value in large.named_parameters()}
        for _ in range(4):
            optimiser.zero_grad()
            large.correction(x).square().mean().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        still = [
            name for name, value in large.named_parameters() if torch.equal(value, before[name])
        ]
        assert not still


def test_a_network_does_not_grow_into_a_smaller_one() -> None:
    for widths, blocks in (((4, 16), (1, 2)), ((8, 16), (1, 1)), ((8,), (1,))):
        with pytest.raises(ValueError, match="do not fit"):
            grow(Guided((8, 16), (1, 2)), Guided(widths, blocks))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_compiled_packing_says_what_torch_says(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where sigma is not told, and for several pictures at once."""
    if compiled.library() is None:
        pytest.skip("this installation has no compiled functions")
    torch.manual_seed(5)
    net = Guided((32, 64), (1, 2)).eval()
    torch.nn.init.normal_(net.tail.weight, std=0.2)
    net = net.to(dtype)
    pictures = [torch.rand(2, 3, 24, 36) for _ in range(6)]
    noisy, average, sigma, residual, temporal, temporal_residual = pictures
    sigma = torch.where(sigma < 0.1, -1.0, sigma * 0.1)
    x = NetInput(noisy, average, sigma, residual, torch.rand(2, 2 * BANDS), None, temporal,
                 temporal_residual)  # fmt: skip
    with torch.no_grad():
        packed, found = net._packed_in_c(x), net.correction(x)
        monkeypatch.setattr(compiled, "serves", lambda *_: False)
        close = (
            {"atol": 1e-6, "rtol": 1e-5} if dtype == torch.float32 else {"atol": 0, "rtol": 0.01}
        )
        torch.testing.assert_close(packed, net._packed(x), **close)
        assert packed.is_contiguous(memory_format=torch.channels_last)
        far = (found - net.correction(x)).abs().max()
    assert found.abs().max() > 0.01 and far < (1e-5 if dtype == torch.float32 else 3e-3)
