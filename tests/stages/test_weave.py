"""A picture that weaves in the gate stands still; a pan goes on; segments equal the single pass."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.pictures import StillMotion, in_blocks
from tests.stages.test_repair import Frames, block_of, panned
from vdenoise.picture.block import Block
from vdenoise.stages.weave.translation import GateWeave, moved_by

MARGIN = slice(8, -8)


def woven(frames: Frames, ways: NDArray[np.float64]) -> Frames:
    """Each frame moved down and across by so many pixels."""
    return np.stack(
        [
            cv2.warpAffine(
                f,
                np.array([[1, 0, x], [0, 1, y]]),
                f.shape[1::-1],
                flags=cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for f, (y, x) in zip(frames, ways, strict=True)
        ]
    )


def places(block: Block) -> NDArray[np.float64]:
    """(T - 1, 2) how each frame lies beside the first."""
    planes = block.luma.pixels[:, 0].numpy()
    return np.array([moved_by(planes[0], plane).way for plane in planes[1:]])


@pytest.mark.parametrize("sigma", [0.0, 4.0])
def test_weave_goes(sigma: float) -> None:
    still = np.repeat(panned(1), 16, axis=0)
    ways = np.random.default_rng(3).normal(0, 0.8, (16, 2))
    source = block_of(woven(still, ways), sigma)
    given, left = (p - p.mean(0) for p in (places(source), places(GateWeave().apply(source))))
    assert np.sqrt((given**2).mean()) > 0.6
    assert np.sqrt((np.diff(left, axis=0) ** 2).mean() / 2) < 0.15  # px, from frame to frame


def test_a_pan_and_a_still_picture_stay() -> None:
    for frames in (panned(12, 1.0), np.repeat(panned(1), 6, axis=0)):
        source = block_of(frames, 0.0)
        error = (GateWeave().apply(source).luma.pixels - source.luma.pixels)[..., MARGIN, MARGIN]
        assert float(error.square().mean().sqrt()) < 1 / 255


def test_pictures_that_share_nothing_stay() -> None:
    rng = np.random.default_rng(4)
    frames = rng.uniform(0, 1, (6, 120, 160, 1)).repeat(3, -1).astype(np.float32)
    source = block_of(frames, 0.0)
    assert GateWeave().apply(source).luma.pixels.equal(source.luma.pixels)


def test_a_way_is_found_to_a_part_of_a_pixel() -> None:
    own = panned(1)
    other = woven(own, np.array([[0.37, -1.62]]))
    found = moved_by(own[0, ..., 0], other[0, ..., 0])
    assert np.abs(found.way - [0.37, -1.62]).max() < 0.03 and found.share > 0.9


def test_cut_into_blocks_it_is_the_same() -> None:
    ways = np.random.default_rng(5).normal(0, 1.0, (9, 2))
    source = block_of(woven(np.repeat(panned(1), 9, axis=0), ways))
    source = replace(source, motion=StillMotion(source.luma.pixels))
    stage = GateWeave(radius=2)
    whole = stage.apply(source)
    for part, inside in in_blocks(stage, source, 2):
        assert part.luma.pixels.equal(whole.luma.pixels[inside])
        assert part.chroma is not None and whole.chroma is not None
        assert part.chroma.pixels.equal(whole.chroma.pixels[inside])
