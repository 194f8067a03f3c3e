"""The film-grain table: what a decoder draws from it is the grain it was fitted to."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.helpers.av1grain import drawn, drawn_by_the_decoder, field_of
from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.errors import OutputError
from vdenoise.filmgrain.fit import GrainFit, filter_gains
from vdenoise.filmgrain.params import GrainParams
from vdenoise.filmgrain.table import FOREVER, save_table

FAST = ("--speed", "veryfast", "--temporal-radius", "1", "--spatial", "gaussian")
SIZE = 0.8  # of the grain, in pixels


def lag(field: Tensor, down: int, across: int) -> float:
    field = field - field.mean()
    height, width = field.shape[-2:]
    a, b = field[..., : height - down, : width - across], field[..., down:, across:]
    return ((a * b).mean() / field.square().mean()).item()


def sigma_at(level: float) -> float:
    """Of luma, in codes: strongest in the mid-tones."""
    return 3 + 16 * (level / 255) * (1 - level / 255)


@pytest.fixture(scope="module")
def fitted() -> GrainParams:
    fit = GrainFit()
    for t in range(4):
        y, u, v = (
            field_of(SIZE, h, w, 0, t, n)
            for n, (h, w) in enumerate(((352, 480), (176, 240), (176, 240)))
        )
        ramp = torch.linspace(16, 235, 480).expand(352, 480)
        fit.push([(y * sigma_at(ramp))[None], torch.stack([2.5 * u, 2 * v])], ramp[None])  # type: ignore[arg-type]
    found = fit.params()
    assert found is not None
    return found


def wanted_lag() -> float:
    x = torch.arange(-8, 9)
    taps = torch.exp(-0.5 * (x / SIZE) ** 2)
    return (taps[1:] @ taps[:-1] / taps.square().sum()).item()


def test_the_fit_has_the_strength_at_every_level_and_the_correlation(fitted: GrainParams) -> None:
    fields = drawn(fitted.filters, fitted.filter_shift)
    gain = 32 * fields[0].std().item() / 2 ** (fitted.scaling_shift + fitted.grain_shift)
    for level, scaling in fitted.scaling[0]:
        assert scaling * gain == pytest.approx(sigma_at(level), rel=0.1)
    for field in fields:
        assert lag(field, 0, 1) == pytest.approx(wanted_lag(), rel=0.1)
        assert lag(field, 1, 0) == pytest.approx(wanted_lag(), rel=0.1)
    assert all(-128 <= tap <= 127 for taps in fitted.filters for tap in taps)


@pytest.mark.parametrize("level", [60, 128, 200])
def test_a_decoder_draws_the_same_statistics(
    fitted: GrainParams, level: int, tmp_path: Path
) -> None:
    """dav1d, of grain put into a real AV1 stream: sigma and lag-1 correlation within 10 %."""
    luma, cb, cr = drawn_by_the_decoder(fitted, level, tmp_path)
    assert luma.std() == pytest.approx(sigma_at(level), rel=0.1)
    assert cb.std() == pytest.approx(2.5, rel=0.1) and cr.std() == pytest.approx(2, rel=0.1)
    for down, across in ((0, 1), (1, 0)):
        assert lag(luma, down, across) == pytest.approx(wanted_lag(), rel=0.1)
    assert abs(luma.mean()) < 0.2


def test_chroma_that_follows_luma_is_as_strong_and_follows_it_as_far(tmp_path: Path) -> None:
    """As camera noise does; luma is four times as strong, and a decoder averages it to 4:2:0."""
    fit = GrainFit()
    for t in range(4):
        y = field_of(SIZE, 352, 480, 0, t, 0)
        below = functional.avg_pool2d(y[None, None], 2)[0, 0]
        own = [field_of(0.5, 176, 240, 0, t, n) for n in (1, 2)]
        chroma = torch.stack([own[0] - 1.5 * below, 0.5 * own[1] + below])
        fit.push([8 * y[None], 2 * chroma], torch.full((1, 352, 480), 128.0))
    wanted = [8 * 1.0, *(2 * plane.std().item() for plane in chroma)]
    correlation = [torch.corrcoef(torch.stack([c, below]).flatten(1))[0, 1] for c in chroma]
    found = fit.params()
    assert found is not None
    gains = filter_gains(found.filters, found.filter_shift)
    assert gains == pytest.approx(
        [f.std().item() for f in drawn(found.filters, found.filter_shift)], rel=0.05
    )
    planes = drawn_by_the_decoder(found, 128, tmp_path)
    assert [plane.std().item() for plane in planes] == pytest.approx(wanted, rel=0.06)
    below = functional.avg_pool2d(planes[0], 2)
    for plane, alike in zip(planes[1:], correlation, strict=True):
        seen = torch.corrcoef(torch.stack([plane, below]).flatten(1))[0, 1]
        assert seen == pytest.approx(alike.item(), abs=0.08)


def test_grain_that_falls_towards_white_is_as_weak_there(tmp_path: Path) -> None:
    """A third of it at black and white, of which the picture shows a spot: a slope of 96 pixels."""
    level = torch.full((352, 480), 120.0)
    level[192:256, 96:192] = torch.linspace(140, 230, 96)
    small = functional.avg_pool2d(level[None, None], 2)[0, 0]
    fit = GrainFit()
    for t in range(4):
        y, *chroma = (
            field_of(SIZE, h, w, 0, t, n)
            for n, (h, w) in enumerate([(352, 480), *[(176, 240)] * 2])
        )
        luma = (y * sigma_of_film(level))[None]
        fit.push([luma, torch.stack(chroma) * sigma_of_film(small) / 2], level[None])
    found = fit.params()
    assert found is not None
    for at in (120, 170, 215):
        luma, *drawn = drawn_by_the_decoder(found, at, tmp_path)
        wanted = sigma_of_film(torch.tensor(at)).item()
        assert luma.std() == pytest.approx(wanted, rel=0.1)
        for plane in drawn:
            assert plane.std() == pytest.approx(wanted / 2, rel=0.1)


def sigma_of_film(level: Tensor) -> Tensor:
    unit = (level - 16) / 219
    return 3 + 6 * 4 * unit * (1 - unit)


def test_what_is_bright_and_small_has_its_own_strength() -> None:
    """Windows of 24 pixels, with a third of the grain around them: no block of the filter's size
    is as bright."""
    level = torch.full((320, 480), 120.0)
    for top in range(8, 300, 40):
        for left in range(8, 460, 40):
            level[top : top + 24, left : left + 24] = 210
    strength = torch.where(level > 200, 2.0, 6.0)
    fit = GrainFit()
    for t in range(3):
        field = field_of(SIZE, 320, 480, 0, t, 0)
        fit.push([(field * strength)[None]], level[None])
    found = fit.params()
    assert found is not None
    field = drawn(found.filters[:1], found.filter_shift)[0]
    gain = 32 * field.std().item() / 2 ** (found.scaling_shift + found.grain_shift)
    for wanted, sigma in ((120, 6), (210, 2)):
        level_found, scaling = min(found.scaling[0], key=lambda point: abs(point[0] - wanted))
        assert abs(level_found - wanted) <= 3
        assert scaling * gain == pytest.approx(sigma, rel=0.1)


def test_nothing_removed_fits_nothing() -> None:
    assert GrainFit().params() is None
    fit = GrainFit()
    fit.push([torch.zeros(1, 96, 96)], torch.full((1, 96, 96), 100.0))
    assert fit.params() is None


def test_a_table_reads_as_encoders_expect(fitted: GrainParams, tmp_path: Path) -> None:
    path = tmp_path / "grain.tbl"
    save_table([(0, 50_000_000, fitted), (50_000_000, FOREVER, fitted)], path)
    lines = path.read_text().splitlines()
    assert lines[0] == "filmgrn1" and len(lines) == 1 + 2 * 8
    entry = [line.split() for line in lines[1:9]]
    assert entry[0][0] == "E" and [int(n) for n in entry[0][1:3]] == [0, 50_000_000]
    assert [row[0] for row in entry] == ["E", "p", "sY", "sCb", "sCr", "cY", "cCb", "cCr"]
    assert len(entry[1]) == 13
    for row, most in zip(entry[2:5], (14, 10, 10), strict=True):
        assert len(row) == 2 + 2 * int(row[1]) and int(row[1]) <= most
        levels = [int(n) for n in row[2::2]]
        assert levels == sorted(set(levels)) and all(0 <= int(n) <= 255 for n in row[2:])
    assert [len(row) - 1 for row in entry[5:]] == [24, 25, 25]
    with pytest.raises(OutputError):
        save_table([(0, FOREVER, fitted)], tmp_path / "no" / "grain.tbl")


def test_a_run_keeps_the_table_of_what_it_removed(tmp_path: Path) -> None:
    """The table is as strong as what was removed, and its times begin at 0."""
    clip = write(Clip("in.mkv", codec="ffv1", frames=4, size=(160, 128)), tmp_path)
    table = tmp_path / "grain.tbl"
    words = ["run", clip, "-o", tmp_path / "out.mkv", "--grain-table", table, *FAST]
    assert cli.status([str(word) for word in words]) == 0
    lines = table.read_text().splitlines()
    assert lines[0] == "filmgrn1" and lines[1].split()[:3] == ["E", "0", str(FOREVER)]
    assert cli.status([str(word) for word in words] + ["--overwrite"]) == 0
    (tmp_path / "out.mkv").unlink()
    assert cli.status([str(word) for word in words]) == 4  # the table is there already
