import pytest
import torch

from vdenoise.degrade import synth
from vdenoise.errors import UsageError
from vdenoise.media.roundtrip import compress
from vdenoise.picture.color import KB, KG, KR

GRAY = torch.full((3, 3, 64, 64), 0.5)

KINDS = {
    "gaussian": lambda x, first=0: synth.gaussian(x, 0.1, seed=7, first=first),
    "poisson": lambda x, first=0: synth.poisson(x, 100, seed=7, first=first),
    "salt_and_pepper": lambda x, first=0: synth.salt_and_pepper(x, 0.1, seed=7, first=first),
    "speckle": lambda x, first=0: synth.speckle(x, 0.2, seed=7, first=first),
    "sensor": lambda x, first=0: synth.sensor(x, 1e-2, 1e-4, seed=7, first=first),
    "film_grain": lambda x, first=0: synth.film_grain(x, 0.1, seed=7, first=first),
}


@pytest.mark.parametrize("kind", KINDS)
def test_part_of_a_clip_gets_the_noise_of_the_whole(kind):
    whole = KINDS[kind](GRAY)
    assert torch.equal(KINDS[kind](GRAY[1:], first=1), whole[1:])
    assert not torch.equal(whole[0], whole[1])


@pytest.mark.parametrize("kind", KINDS)
def test_input_is_kept_and_noise_has_no_mean(kind):
    before = GRAY.clone()
    noise = KINDS[kind](GRAY) - GRAY
    assert torch.equal(GRAY, before)
    assert noise.dtype == torch.float32
    assert noise.std() > 0.03
    assert noise.mean().abs() < 0.01


@pytest.mark.parametrize(
    ("kind", "sigma"), [("gaussian", 0.1), ("poisson", 0.0707), ("speckle", 0.1)]
)
def test_strength_is_what_was_asked(kind, sigma):
    assert (KINDS[kind](GRAY) - GRAY).std().item() == pytest.approx(sigma, rel=0.03)


def test_film_grain_is_as_strong_as_asked_at_mid_gray_and_correlated():
    noise = KINDS["film_grain"](GRAY) - GRAY
    assert noise.std().item() == pytest.approx(0.1, rel=0.1)
    neighbor = (noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean()
    assert neighbor > 0.6  # exp(-1/4) = 0.78 for a blur of 1 px
    dark = synth.film_grain(torch.zeros_like(GRAY), 0.1, seed=7)
    assert dark.std() < 0.5 * noise.std()


def test_sensor_noise_grows_with_light_before_the_curve_and_shares_chroma_in_2x2():
    noise = KINDS["sensor"](GRAY) - GRAY
    luma = torch.einsum("c,tchw->thw", torch.tensor((KR, KG, KB)), noise)[:, None]
    color = (noise - luma)[:, 2]
    inside = color[:, 2:-2, 2:-2]
    assert (inside[:, ::2, ::2] - inside[:, 1::2, 1::2]).abs().median() < 1e-3


def test_salt_and_pepper_hits_the_asked_share():
    noisy = KINDS["salt_and_pepper"](GRAY)
    assert (noisy != GRAY).float().mean().item() == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("codec", ["x264", "x265"])
def test_compression_keeps_shape_and_color(codec):
    x = (
        torch.rand(1, 3, 8, 8)
        .repeat_interleave(8, -1)
        .repeat_interleave(8, -2)
        .expand(3, -1, -1, -1)
    )
    y = compress(x, codec, 10)
    assert y.shape == x.shape
    assert (y - x).mean(dim=(0, 2, 3)).abs().max() < 0.004
    assert (y - x).abs().mean() < 0.02


def test_more_compression_loses_more():
    x = synth.gaussian(GRAY, 0.05, seed=1)
    errors = [(compress(x, "x264", crf) - x).std() for crf in (5, 15, 25)]
    assert errors[0] < errors[1] < errors[2]


def test_unknown_codec_is_refused():
    with pytest.raises(UsageError, match="av9"):
        compress(GRAY, "av9", 20)
