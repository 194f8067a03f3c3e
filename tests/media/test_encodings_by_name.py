"""``--encoding``: samples of a named curve are denoised in its light and come back to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import av
import numpy as np
import pytest
import torch

from benchmarks import encodings as makers
from tests.helpers.images import write
from vdenoise import denoise_frames
from vdenoise.cli import status
from vdenoise.errors import UsageError
from vdenoise.farm.source import open_source, record
from vdenoise.picture.color import apply_curve, straight_correction, undo_curve
from vdenoise.picture.encodings import ENCODINGS
from vdenoise.picture.frame import Curve
from vdenoise.settings.choices import EncodingName
from vdenoise.workflows.reading import Reading

OFF = {"output.luma": 0, "output.chroma": 0}


class Silent:
    """Takes progress."""

    def start(self, phase: str, frames: int, *, unit: str = "fps") -> None: ...

    def advance(self, busy: dict[str, float]) -> None: ...


def ramp(kind: type = np.uint16) -> np.ndarray:
    """Three frames (T, 48, 64, 3) of all levels with noise, as numbers of ``kind``."""
    rng = np.random.default_rng(3)
    x = np.linspace(0, 1, 64)[None, None, :, None] + rng.normal(0, 0.02, (3, 48, 64, 3))
    if kind is np.float32:
        return (x * 2 - 0.1).astype(np.float32)
    return np.rint(x.clip(0, 1) * 65535).astype(kind)


def test_names_of_the_option_are_the_encodings() -> None:
    assert get_args(EncodingName) == (*ENCODINGS,)


@pytest.mark.parametrize("name", list(makers.CURVES))
def test_a_curve_is_that_of_its_maker(name: str) -> None:
    light = np.geomspace(1e-5, 5, 500)
    mine = ENCODINGS[name.lower().replace("-", "")].samples(torch.from_numpy(light)).numpy()
    assert np.abs(mine - makers.CURVES[name](light)).max() < 1e-6


@pytest.mark.parametrize(
    ("name", "sample", "light"),
    [
        ("pq", 0.5806889, 203 / 10000),
        ("pq", 1.0, 1.0),
        ("hlg", 0.75, 0.26496256),
        ("hlg", 0.5, 1 / 12),
    ],
)
def test_pq_and_hlg_are_those_of_bt2100(name: str, sample: float, light: float) -> None:
    found = ENCODINGS[name].light(torch.tensor([sample], dtype=torch.float64)).item()
    assert found == pytest.approx(light, rel=1e-4)


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_sample_comes_back_through_the_curve(name: str) -> None:
    """Also below black and far above white; behind the curve their order stays."""
    curve = Curve(gain=2e-4, read=2e-3, white=1.0, encoding=name)
    samples = torch.linspace(-0.5, 3, 20001)
    behind = apply_curve(samples, curve)
    assert bool(behind.isfinite().all()) and bool((behind.diff() > 0).all())
    assert (undo_curve(behind, curve) - samples).abs().max() < 2e-5


def test_light_keeps_its_mean_where_all_of_the_noise_goes() -> None:
    """Behind the curve noise lowers the mean; in the dark that was a tenth of the noise's sigma."""
    curve = Curve(gain=2e-4, read=2e-3, white=1.0)
    generator = torch.Generator().manual_seed(5)
    for level in (0.0, 0.003, 0.02, 0.5):
        sigma = (curve.gain * level + curve.read**2) ** 0.5
        noisy = level + sigma * torch.randn((256, 256), generator=generator)
        behind = apply_curve(noisy, curve)
        change = straight_correction(behind, behind.mean() - behind, curve)
        clean = noisy + change
        assert clean.std() < 0.1 * sigma
        assert abs((clean.mean() - noisy.mean()).item()) < 0.005 * sigma, level
        assert not straight_correction(behind, torch.zeros(256, 256), curve).any()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("name", ENCODINGS)
def test_strength_0_gives_every_sample_back(name: str, kind: type) -> None:
    frames = (ramp() >> 8).astype(np.uint8) if kind is np.uint8 else ramp(kind)
    out = denoise_frames(frames, sigma=(3,), cuts=(), encoding=name, settings=OFF, speed="veryfast")
    assert np.array_equal(out, frames)


def test_noise_of_light_is_removed_at_all_levels_of_a_named_curve() -> None:
    """And the mean is that of the light, in every patch."""
    noisy, truth = makers.encoded("ACEScct", 4)
    clean = denoise_frames(
        (noisy * 64).astype(np.uint16), encoding="acescct", cuts=(), speed="veryfast"
    )
    for n in range(0, 14, 3):
        part = np.s_[:, 8:-8, n * makers.PATCH + 3 : (n + 1) * makers.PATCH - 3]
        before, after = (x[part] - truth[None][part] for x in (noisy, clean / 64))
        assert after.std() < 0.45 * before.std(), n
        assert abs(after.mean()) < 0.0025 * makers.CODES, n  # noise lowers the mean of its codes


def test_a_name_that_contradicts_the_tag_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "hdr.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gbrp10le"
        stream.codec_context.color_trc = 16
        frame = av.VideoFrame(64, 48, "gbrp10le")
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    with pytest.raises(UsageError, match="tagged as PQ, not as S-Log3") as caught:
        Reading(path, encoding="slog3").probe()
    assert caught.value.number == 210 and "pq" in caught.value.hint
    info = Reading(path, encoding="pq").probe()
    assert info.encoding == "pq" and info.transfer == "smpte2084"
    assert info.curve is not None and info.curve.encoding == "pq"


def test_a_plan_and_a_recipe_hold_the_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n, frame in enumerate(ramp()):
        write(tmp_path / f"a.{n:04}.tif", frame, "uint16")
    source = tmp_path / "a.####.tif"
    info = Reading(source, encoding="logc3").probe()
    assert info.curve is not None and info.curve.encoding == "logc3"
    kept = record(info, Silent())
    opened = open_source(kept, source)
    assert (opened.encoding, opened.curve) == ("logc3", info.curve)

    def out(letter: str) -> str:
        return str(tmp_path / f"{letter}.####.tif")

    def bytes_of(letter: str) -> list[bytes]:
        return [(tmp_path / f"{letter}.{n:04}.tif").read_bytes() for n in range(3)]

    words = ["--encoding", "logc3", "--speed", "veryfast"]
    assert status(["run", str(source), "-o", out("b"), *words]) == 0
    assert status(["replay", out("b") + ".vdenoise.json", "-o", out("c")]) == 0
    assert status(["run", str(source), "-o", out("d"), "--speed", "veryfast"]) == 0
    assert bytes_of("b") == bytes_of("c") != bytes_of("d")
    assert status(["analyze", str(source), "--encoding", "logc3"]) == 0
    assert "LogC3, as named" in capsys.readouterr().out
