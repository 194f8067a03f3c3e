"""Single frames with noise drawn anew: what a network is told of them is true."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vdenoise.nets.models import find as find_model
from vdenoise.training.config import Config
from vdenoise.training.material.degrade import Kind, colored
from vdenoise.training.material.fresh import Frames, Fresh, Noisy, crops, given, square
from vdenoise.training.material.loading import draw
from vdenoise.training.material.sources import find
from vdenoise.training.validation import pools, singles, validate

SIZE = 96


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two soft stills and a clip."""
    place = tmp_path_factory.mktemp("fresh")
    (place / "stills").mkdir()
    (place / "video" / "clip").mkdir(parents=True)
    for n in range(10):
        picture = np.random.default_rng(n).random((140, 150, 3), np.float32)
        picture = cv2.normalize(
            cv2.GaussianBlur(picture, (0, 0), 4), None, 70, 190, cv2.NORM_MINMAX
        )
        name = f"stills/{n}.png" if n < 2 else f"video/clip/{n}.png"
        cv2.imwrite(str(place / name), picture)
    return place


@pytest.fixture(scope="module")
def frames(folder: Path) -> Frames:
    return Frames(find(folder))


def recipe(kind: Kind, **changes: float) -> Fresh:
    plain = {"share": 1.0, "averaged": 0.0, "filtered": 0.0, "patterns": 0.0, "clipped": 0.0}
    return Fresh(kinds={kind: 1.0}, **{**plain, **changes})


@pytest.mark.parametrize("kind", ["gaussian", "colored", "film", "sensor"])
def test_the_noise_told_is_the_noise_that_is_there(kind: Kind, frames: Frames) -> None:
    for seed in range(6):
        found = square(recipe(kind), frames, SIZE, np.random.default_rng(seed))
        error = found.planes[3] - found.planes[0]
        told = found.noise.sigma_at(found.planes[None, 0:1])[0, 0]
        expected = float(told.square().mean().sqrt())
        # A camera's clipping moves levels, which is no noise to a profile.
        slack = 0.25 if kind == "sensor" else 0.1
        assert float(error.square().mean().sqrt()) == pytest.approx(expected, rel=slack, abs=1e-3)


def test_noise_is_never_the_same_twice(frames: Frames) -> None:
    rng = np.random.default_rng(0)
    noises = [square(recipe("gaussian"), frames, SIZE, rng) for _ in range(4)]
    errors = torch.stack([(n.planes[3] - n.planes[0]).flatten() for n in noises])
    alike = torch.corrcoef(errors) - torch.eye(4)
    assert alike.abs().max() < 0.1


def test_an_average_has_what_its_map_says_is_left_and_holds_the_frame_itself() -> None:
    rng = np.random.default_rng(1)
    clean = torch.full((1, 3, 128, 128), 0.4)
    noise = torch.from_numpy(rng.standard_normal((2, 3, 128, 128), np.float32)) * 0.05
    made = Noisy(clean, clean + noise, clean + noise, torch.zeros_like(noise))
    residual = torch.full((1, 1, 128, 128), 1.0)
    residual[..., 64:] = 0.4
    found = given(made, "gaussian", False, residual)
    average, own = found.planes[6] - found.planes[0], found.planes[3] - found.planes[0]
    for part, share in ((slice(0, 64), 1.0), (slice(64, 128), 0.4)):
        ratio = float(average[:, part].std() / own[:, part].std())
        assert ratio == pytest.approx(share, rel=0.05)
        # Of 1 / share^2 frames the frame itself is one.
        alike = float((average * own)[:, part].mean() / own[:, part].square().mean())
        assert alike == pytest.approx(share**2, abs=0.03)
    assert torch.equal(found.planes[9], residual[0, 0])


def test_colored_noise_is_of_many_colors() -> None:
    flat = torch.full((1, 3, 64, 64), 0.5)
    share = []
    for seed in range(20):
        noise = colored(flat, np.random.default_rng(seed)) - flat
        power = torch.fft.rfft2(noise).abs().square().mean((0, 1))
        share.append(float(power[:8, :8].sum() / power.sum()))
    assert min(share) < 0.1 and max(share) > 0.5


def test_a_run_of_single_frames_needs_no_pool(folder: Path, tmp_path: Path) -> None:
    config = Config.of(
        {
            "network": "guided-s",
            "steps": 10,
            "crop": 32,
            "batch": 6,
            "data": {
                "folder": folder,
                "pool": tmp_path / "pool",
                "held_out": ["0"],
                "validation": 0,
                "singles": True,
                "fresh": recipe("gaussian", averaged=0.5, filtered=0.5),
            },
        },
        "test",
    )
    examples, checks = pools(config)
    pictures = Frames(examples.sources)
    one, again, other = (draw(config, examples, pictures, step) for step in (1, 1, 2))
    assert one.wanted.shape == (6, 3, 32, 32)
    assert torch.equal(one.given.noisy, again.given.noisy)
    assert not torch.equal(one.given.noisy, other.given.noisy)
    assert not (tmp_path / "pool").exists()
    assert len(crops(config.data.fresh, pictures, 5, 32, np.random.default_rng(0))) == 5

    judged = config.model_copy(update={"yardstick": find_model("S").path})
    net = find_model("S").network()
    score = validate(net, config, checks, singles(judged), torch.device("cpu"))
    white = {name for name in score.by_kind if name.startswith("alone gaussian")}
    assert white and {f"yardstick {name}" for name in white} <= set(score.by_kind)
    assert score.psnr == pytest.approx(
        np.mean([v for k, v in score.by_kind.items() if k.startswith("alone")])
    )
