"""The block DCT: an orthonormal basis, an even lattice, the right amount of noise removed."""

import pytest
import torch

from vdenoise import compiled
from vdenoise.picture.block_passes import Kind, dct_matrix, lattice, one_pass
from vdenoise.picture.dct import dct_denoise, spectrum_for


@pytest.mark.parametrize("size", [8, 16])
def test_the_basis_is_orthonormal(size: int) -> None:
    basis = dct_matrix(size)
    torch.testing.assert_close(basis @ basis.T, torch.eye(size), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("block", "count"), [(8, 4), (8, 8), (8, 16), (16, 8), (16, 16), (16, 32)])
def test_lattice_offsets_are_distinct_and_spread_over_rows_and_columns(
    block: int, count: int
) -> None:
    offsets = lattice(block, count)
    assert len(set(offsets)) == count
    for axis in (0, 1):
        used = [offset[axis] for offset in offsets]
        assert len(set(used)) == min(count, block)
        assert all(0 <= value < block for value in used)


def test_a_white_spectrum_stays_white_on_smaller_blocks() -> None:
    torch.testing.assert_close(spectrum_for(torch.ones(3, 16, 16), 8), torch.ones(3, 64))


def test_a_smaller_block_sees_the_same_slope() -> None:
    slope = torch.linspace(2, 0.1, 16)
    spectrum = (slope[:, None] * slope)[None]
    small = spectrum_for(spectrum, 8).reshape(8, 8)
    assert (small[1:, 0].diff() < 0).all()
    assert small[0, 0] > 10 * small[7, 7]


@pytest.mark.parametrize("offsets", [(4, 0), (4, 8)])
def test_noise_on_a_flat_picture_nearly_vanishes_and_the_share_left_says_so(
    offsets: tuple[int, int],
) -> None:
    torch.manual_seed(1)
    sigma = 0.1
    noisy = 0.5 + sigma * torch.randn(1, 96, 96)
    variance = torch.full_like(noisy, sigma**2)
    spectrum = torch.ones(1, 64)
    clean, residual = dct_denoise(noisy, variance, spectrum, offsets=offsets)
    remaining = (clean - 0.5).var() / sigma**2
    assert remaining < 0.06
    assert 0 < residual.mean() < 0.12


def test_a_strong_edge_survives_weak_noise() -> None:
    torch.manual_seed(2)
    edge = torch.zeros(1, 64, 64)
    edge[:, :, 29:] = 1
    noisy = edge + 0.02 * torch.randn_like(edge)
    clean, _ = dct_denoise(noisy, torch.full_like(edge, 4e-4), torch.ones(1, 64))
    assert (clean - edge).square().mean() < 0.25 * (noisy - edge).square().mean()
    assert (clean - edge).abs().max() < 0.1


def test_colored_noise_needs_its_own_spectrum() -> None:
    """Coarse noise told as white is left in; told as coarse it goes."""
    torch.manual_seed(3)
    white = torch.randn(1, 1, 192, 192)
    coarse = torch.nn.functional.avg_pool2d(white, 3, stride=1, padding=1)[0]
    coarse = 0.05 * coarse / coarse.std()
    blocks = coarse[:, :192, :192].unfold(1, 16, 16).unfold(2, 16, 16)
    power = (dct_matrix(16) @ blocks @ dct_matrix(16).T).square().mean((1, 2))
    variance = torch.full_like(coarse, 0.05**2)
    spectrum = spectrum_for(power / power.mean(), 8)
    told, _ = dct_denoise(0.5 + coarse, variance, spectrum)
    untold, _ = dct_denoise(0.5 + coarse, variance, torch.ones(1, 64))
    assert (told - 0.5).std() < 0.7 * (untold - 0.5).std()


@pytest.mark.parametrize("block", [8, 16])
@pytest.mark.parametrize("kind", ["hard", "gains", "outliers", "outlier gains"])
def test_compiled_passes_say_what_torch_says(
    block: int, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compiled.library() is None:
        pytest.skip("this installation has no compiled functions")
    torch.manual_seed(3)
    pixels = torch.nn.functional.interpolate(torch.rand(1, 2, 9, 11), (96, 112))[0]
    pixels += 0.1 * torch.randn_like(pixels)
    variance = 0.005 + 0.01 * torch.rand_like(pixels)
    spectrum = 0.5 + torch.rand(2, block * block)
    pilot = pixels + 0.05 * torch.randn_like(pixels) if "gains" in kind else None

    def run() -> tuple[torch.Tensor, torch.Tensor]:
        work = (pixels, variance, spectrum, block, 4)
        guess = None if pilot is None else pilot.clone()
        return one_pass(*work, kind, 2.4, pilot=guess, want_residual="outlier" not in kind)

    found = run()
    monkeypatch.setattr(compiled, "serves", lambda *_: False)
    for ours, theirs in zip(found, run(), strict=True):
        # A coefficient that is as large as the threshold to the last bit may fall either way.
        assert ((ours - theirs).abs() > 2e-6).float().mean() < 1e-3


@pytest.mark.parametrize("block", [8, 16])
def test_a_part_on_the_grid_is_the_whole_to_the_bit(block: int) -> None:
    torch.manual_seed(4)
    pixels = torch.rand(1, 160, 176)
    variance = torch.full_like(pixels, 0.01)
    spectrum = torch.ones(1, block * block)
    whole, residual = dct_denoise(pixels, variance, spectrum, block=block, offsets=(4, 8))
    margin = 2 * block
    cut = (slice(None), slice(32, 128), slice(48, 144))
    part, share = dct_denoise(
        pixels[cut].contiguous(), variance[cut].contiguous(), spectrum, block=block, offsets=(4, 8)
    )
    inner = (slice(None), slice(margin, -margin), slice(margin, -margin))
    assert torch.equal(part[inner], whole[cut][inner])
    assert torch.equal(share[inner], residual[cut][inner])
