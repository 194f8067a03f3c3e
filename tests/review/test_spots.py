"""Hard spots are where somebody put them."""

from __future__ import annotations

import torch
from torch import Tensor

from vdenoise.engine.tiles import Area
from vdenoise.review.spots import Kind, Scout, Spot

SIZE, WINDOW = (256, 384), (64, 64)
TEXTURE, DARK, MOVES, SKIN = (16, 16), (16, 304), (176, 16), (176, 304)  # top, left


def frame(number: int, *, noise: float = 0.02) -> tuple[Tensor, Tensor]:
    """Gray with noise, and four squares of 64 pixels, each with a trouble of its own."""
    generator = torch.Generator().manual_seed(number)
    luma = torch.full((1, *SIZE), 0.6)
    chroma = torch.zeros(2, SIZE[0] // 2, SIZE[1] // 2)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")

    def put(place: tuple[int, int], what: Tensor) -> None:
        luma[0, place[0] : place[0] + 64, place[1] : place[1] + 64] = what

    put(TEXTURE, 0.6 + 0.1 * torch.sin(x * 0.9) * torch.sin(y * 0.9) * (1.5 if number == 2 else 1))
    put(DARK, 0.08 + 0.0012 * x)
    put(MOVES, 0.6 + 0.2 * torch.sin((x + 3 * number**2 / 2) / 9) * torch.sin(y / 9))
    put(SKIN, torch.full((64, 64), 0.55))
    chroma[0, 88:120, 152:184], chroma[1, 88:120, 152:184] = -0.09, 0.1
    return luma + noise * torch.randn(luma.shape, generator=generator), chroma


def found(frames: int = 4, cuts: tuple[int, ...] = ()) -> dict[Kind, Spot]:
    scout = Scout(SIZE, WINDOW)
    for number in range(frames):
        scout.push(number, *frame(number))
    return {kind: spot for spot in scout.spots(frames, cuts) for kind in spot.kinds}


def hits(spot: Spot, place: tuple[int, int]) -> bool:
    """Whether at least half of the square lies in the window."""
    square = Area(place[0], place[0] + 64, place[1], place[1] + 64)
    both = spot.area.common(square)
    return (both.bottom - both.top) * (both.right - both.left) >= 64 * 64 / 2


def test_each_kind_is_found_where_it_is() -> None:
    spots = found()
    for kind, place in {
        "texture": TEXTURE, "gradient": DARK, "motion": MOVES, "skin": SKIN
    }.items():  # fmt: skip
        assert hits(spots[kind], place), (kind, spots[kind])  # type: ignore[index]
    assert spots["texture"].frame == 2 and spots["motion"].frame == 3
    assert spots["motion"].amount.endswith("px a frame")
    assert spots["first"].frame == 0 and spots["last"].frame == 3
    assert all(spot.reason for spot in spots.values())


def test_both_sides_of_a_cut_are_shown() -> None:
    scout = Scout(SIZE, WINDOW)
    scout.push(0, *frame(0))
    sides = [spot for spot in scout.spots(40, (12, 30)) if "cut" in spot.kinds]
    assert [spot.frame for spot in sides] == [11, 12]
    assert [spot.reason.split()[0] for spot in sides] == ["last", "first"]


def test_what_shows_the_same_is_one_spot_with_both_reasons() -> None:
    scout = Scout(SIZE, WINDOW)
    scout.push(0, *frame(0))
    (only,) = [spot for spot in scout.spots(1, ()) if "first" in spot.kinds]
    assert only.kinds[0] != "first" and "first frame" in only.reason
    assert [s.frame for s in scout.spots(1, ())] == [0] * len(scout.spots(1, ()))


def test_a_gray_still_that_is_smaller_than_a_spot_has_spots_too() -> None:
    scout = Scout((20, 24), WINDOW)
    scout.push(0, torch.rand(1, 20, 24), None)
    spots = scout.spots(1, ())
    assert spots and all(s.area == Area(0, 20, 0, 24) for s in spots)
    assert scout.asked(0).area == Area(0, 20, 0, 24)


def test_noise_alone_is_neither_skin_nor_motion() -> None:
    scout = Scout(SIZE, WINDOW)
    for number in range(2):
        generator = torch.Generator().manual_seed(number)
        noise = 0.05 * torch.randn(1, *SIZE, generator=generator)
        chroma = 0.02 * torch.randn(2, 128, 192, generator=generator)
        scout.push(number, 0.5 + noise, chroma)
    kinds = {kind for spot in scout.spots(2, ()) for kind in spot.kinds}
    assert not kinds & {"skin", "gradient"}
