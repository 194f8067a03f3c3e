from itertools import cycle, pairwise

import pytest
import torch

from vdenoise.errors import OutputError, UsageError
from vdenoise.motion.cuts import REACH, CutFinder, mismatch, read_cuts, thumbnail, write_cuts


def scene(seed: int, frames: int, speed: float = 1.0) -> list[torch.Tensor]:
    """A picture of blobs, panned by ``speed`` pixels a frame: (1, 72, 128) each."""
    rng = torch.Generator().manual_seed(seed)
    small = torch.rand(1, 1, 12, 24, generator=rng)
    wide = torch.nn.functional.interpolate(small, (72, 512), mode="bicubic")[0].clamp(0, 1)
    return [wide[..., int(t * speed) : int(t * speed) + 128] for t in range(frames)]


def cuts(frames: list[torch.Tensor], first: int = 0) -> tuple[int, ...]:
    finder = CutFinder()
    for i, frame in enumerate(frames, first):
        finder.push(i, frame)
    return finder.finish()


def noisy(frames: list[torch.Tensor], sigma: float) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(9)
    return [f + sigma * torch.randn(f.shape, generator=rng) for f in frames]


@pytest.mark.parametrize("sigma", [0.0, 0.05, 0.1])
def test_cuts_are_found_in_noise(sigma):
    clip = scene(1, 12) + scene(2, 9) + scene(3, 12)
    assert cuts(noisy(clip, sigma)) == (12, 21)


@pytest.mark.parametrize("speed", [0.0, 1.0, 4.0, 8.0])
def test_motion_and_noise_are_no_cuts(speed):
    assert cuts(noisy(scene(4, 24, speed), 0.1)) == ()


@pytest.mark.parametrize("holds", [(2,), (3,), (2, 3)])
def test_fast_pictures_that_are_held_are_no_cuts(holds):
    """Drawings on twos and threes: seen frame by frame, each new one stands out from no motion."""
    drawings = scene(7, 12, 16.0)
    jumps = [mismatch(thumbnail(a), thumbnail(b)) for a, b in pairwise(drawings)]
    assert max(jumps) > 0.25  # what a cut must reach
    clip = [d for d, count in zip(drawings, cycle(holds), strict=False) for _ in range(count)]
    other = scene(8, 12, 16.0)
    assert cuts(noisy(clip, 0.01)) == ()
    assert cuts([*clip, *(d for d in other for _ in range(2))]) == (len(clip),)


def test_flashes_and_fades_are_no_cuts():
    clip = scene(5, 24)
    clip[7] = (clip[7] * 0.3 + 0.7).clamp(0, 1)
    clip[14] = clip[15] = torch.ones_like(clip[0])
    assert cuts(clip) == ()
    fade = [f * (1 - t / 24) for t, f in enumerate(scene(6, 24))]
    assert cuts(fade) == ()


def test_cut_next_to_the_ends():
    assert cuts(scene(1, 1) + scene(2, 10)) == (1,)
    assert cuts(scene(1, 10) + scene(2, 1)) == (10,)
    assert cuts(scene(1, 1)) == ()


def test_decisions_depend_on_a_bounded_neighborhood_only():
    clip = noisy(scene(1, 20) + scene(2, 20) + scene(3, 20), 0.1)
    whole = cuts(clip)
    assert whole == (20, 40)
    margin = REACH + 1
    assert cuts(clip[20 - margin : 20 + REACH + 1], first=20 - margin) == (20,)
    other = noisy(scene(8, 20 - margin), 0.1) + clip[20 - margin : 20 + REACH + 1]
    assert 20 in cuts(other)


def test_noise_alone_has_no_cuts():
    assert cuts(noisy([torch.full((1, 40, 60), 0.5)] * 20, 0.1)) == ()


def test_list_of_cuts_is_written_and_read(tmp_path):
    file = tmp_path / "cuts.txt"
    write_cuts(file, (12, 40))
    assert read_cuts(file) == (12, 40)
    file.write_text("40\n\n 12 # a comment\n0\n12\n")
    assert read_cuts(file) == (12, 40)


@pytest.mark.parametrize("text", ["twelve", "-3", "1.5", "1 2"])
def test_bad_list_of_cuts_is_refused(tmp_path, text):
    file = tmp_path / "cuts.txt"
    file.write_text(f"3\n{text}\n")
    with pytest.raises(UsageError, match="line 2"):
        read_cuts(file)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(UsageError, match=r"none\.txt"):
        read_cuts(tmp_path / "none.txt")
    with pytest.raises(OutputError, match=r"out\.txt"):
        write_cuts(tmp_path / "missing" / "out.txt", (1,))
