"""The protocol of the literature: what is added, what is handed over, and what is measured."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.helpers.clips import Clip, write
from vdenoise.chain.presets import load
from vdenoise.chain.resolve import Chain, Layer, resolve
from vdenoise.cli import status
from vdenoise.errors import DeviceError, InputError, UsageError
from vdenoise.evaluation import material
from vdenoise.evaluation.lpips import Lpips
from vdenoise.evaluation.measure import Competitor, evaluate, run_chain, summary
from vdenoise.evaluation.protocol import Given, Noise, given, noises
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.picture.color import from_rgb
from vdenoise.settings.choices import EvaluationForm

FORMS: tuple[EvaluationForm, ...] = ("float", "8bit", "420")


def pictures(frames: int = 3, height: int = 48, width: int = 64) -> Tensor:
    """(T, 3, H, W) R'G'B' in [0, 1], smooth, with the whole range."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    planes = [(0.5 + 0.5 * torch.sin(6 * x + t / 9)) * y for t in range(frames)]
    return torch.stack([torch.stack([p, p.flip(1), 1 - p]) for p in planes])


def chain(**values: object) -> Chain:
    typed = {key.replace("__", "."): value for key, value in values.items()}
    return resolve(load("auto"), [Layer("test", typed)], speed="veryfast")


@pytest.mark.parametrize("form", FORMS)
def test_the_known_noise_is_that_of_the_planes(form: EvaluationForm) -> None:
    clean = torch.full((1, 3, 400, 400), 0.5)
    noise = Noise("gaussian", 20)
    made = given(clean, noise, 0, form)
    shot = noise.known(form).at(0)
    if form == "420":
        y, cb, cr = (plane.float() for plane in made.planes[0])
        found = [y.std() / 219, cb.std() / 224, cr.std() / 224]
    else:
        g, b, r = (plane.float() / (1 if form == "float" else 255) for plane in made.planes[0])
        found = list(from_rgb(torch.stack([r, g, b])).std((-2, -1)))
    for plane, sigma in zip(shot.planes, found, strict=True):
        assert plane.mean_sigma == pytest.approx(float(sigma), rel=0.02)


def test_float_noise_is_not_clipped_and_that_of_files_is() -> None:
    clean, noise = pictures(1), Noise("gaussian", 50)
    assert min(p.min() for p in given(clean, noise, 0, "float").planes[0]) < -0.1
    assert given(clean, noise, 0, "8bit").planes[0][0].dtype == torch.uint8


@pytest.mark.parametrize("form", FORMS)
def test_nothing_added_gives_the_reference(form: EvaluationForm) -> None:
    made = given(pictures(2, 37, 51), Noise("clean", 0), 0, form)
    assert torch.allclose(made.answer(made.planes), made.reference, atol=1e-6, rtol=0)


def test_the_seed_decides() -> None:
    clean = pictures(1)
    for text in ("gaussian", "poisson", "sensor", "film", "speckle", "impulses", "compressed:20"):
        (noise,) = noises(text)
        a, b, c = (given(clean, noise, seed, "8bit") for seed in (0, 0, 1))
        assert all(x.equal(y) for x, y in zip(a.planes[0], b.planes[0], strict=True)), text
        assert not all(x.equal(y) for x, y in zip(a.planes[0], c.planes[0], strict=True)), text


def test_noise_by_name() -> None:
    assert [str(noise) for noise in noises("gaussian:10,25.5")] == ["gaussian:10", "gaussian:25.5"]
    for wrong in ("white", "gaussian:x", "gaussian:-1", "film:1,,2"):
        with pytest.raises(UsageError):
            noises(wrong)
    with pytest.raises(UsageError, match="not of one known sigma"):
        noises("film")[0].known("float")


def test_a_chain_computes_what_a_run_does(tmp_path: Path) -> None:
    """To the bit: same stages, same measurement."""
    source = write(Clip("in.mkv", codec="ffv1", frames=6), tmp_path)
    out = tmp_path / "out.mkv"
    words = ["--codec", "ffv1", "--speed", "veryfast", "--progress", "none"]
    assert status(["run", str(source), "-o", str(out), *words]) == 0

    def planes(path: Path) -> tuple[tuple[Tensor, ...], ...]:
        with Reader(probe(path)) as reader:
            return tuple(tuple(p.clone() for p in frame.planes) for frame in reader)

    made = Given("420", planes(source), torch.zeros(6, 3, 48, 64))
    speed = resolve(load("auto"), [], speed="veryfast")
    done = run_chain(
        made, lambda proposed: resolve(load("auto"), [Layer("m", proposed)], speed="veryfast"), None
    )
    assert done.chain.text == speed.text
    assert done.rgb.equal(made.answer(planes(out)))


def test_a_row_says_what_was_done() -> None:
    clean = pictures(3)
    noise = Noise("gaussian", 25)
    made = given(clean, noise, 0, "float")
    nothing = Competitor("nothing", lambda _: chain(output__luma=0, output__chroma=0))
    row = evaluate("c", made, noise, 0, nothing, told="known")
    error = (made.answer(made.planes) - clean).double().square().mean((1, 2, 3))
    assert (
        row.psnr == row.psnr_noisy == pytest.approx(float((-10 * error.log10()).mean()), abs=1e-3)
    )
    assert (row.frames, row.width, row.height) == (3, 64, 48)
    assert row.parameters == 0 and row.gmacs_per_frame == 0 and row.lpips is None
    plain = Competitor("plain", lambda _: chain())
    better = evaluate("c", made, noise, 0, plain, told="known")
    assert better.psnr > row.psnr + 3 and better.ssim > row.ssim
    assert better.flicker is not None and row.flicker is not None
    assert better.flicker < row.flicker and better.ms_per_frame > 0 and better.peak_mib > 10
    by_hand = evaluate("c", made, noise, 0, plain, told=(5.0,))
    assert by_hand.told == "5" and by_hand.psnr < better.psnr
    groups = summary([better, row, better])
    assert [group["competitor"] for group in groups] == ["plain", "nothing"]
    assert groups[0]["rows"] == 2 and groups[0]["psnr"] == {
        "mean": pytest.approx(better.psnr),
        "std": 0.0,
    }


def test_a_still_has_no_flicker() -> None:
    made = given(pictures(1), Noise("gaussian", 25), 0, "8bit")
    competitor = Competitor("plain", lambda _: chain())
    assert evaluate("s", made, Noise("gaussian", 25), 0, competitor).flicker is None


def folder(path: Path, count: int = 2) -> Path:
    path.mkdir(parents=True)
    for n, picture in enumerate(pictures(count)):
        image = (picture.permute(1, 2, 0).numpy()[..., ::-1] * 255).round().astype(np.uint8)
        cv2.imwrite(str(path / f"{n}.png"), image)
    return path


def test_material_is_found_by_folder(tmp_path: Path) -> None:
    folder(tmp_path / "data" / "a")
    folder(tmp_path / "data" / "b", 3)
    write(Clip("movie.mkv", codec="ffv1", frames=4), tmp_path / "data")
    found = material.find([tmp_path / "data"])
    assert [m.name for m in found] == ["movie", "a", "b"]
    assert [len(m.read(3)) for m in found] == [3, 2, 3]
    assert (found[1].read() - pictures(2)).abs().max() < 0.5 / 255 + 1e-6
    assert len(material.find([tmp_path / "data" / "b"], stills=True)) == 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        material.find([tmp_path / "empty"])


def test_the_command_writes_rows_and_a_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = folder(tmp_path / "clip")
    words = ["--noise", "gaussian:20", "--form", "8bit", "--speed", "veryfast", "--seeds", "2"]
    files = ["--csv", str(tmp_path / "o.csv"), "--json", str(tmp_path / "o.json")]
    other = ["--against", "--speed veryfast --temporal none"]
    assert status(["evaluate", str(clip), *words, *files, *other]) == 0
    rows = list(csv.DictReader((tmp_path / "o.csv").read_text().splitlines()))
    assert [(r["competitor"], r["seed"]) for r in rows] == [
        ("chain", "0"),
        ("--speed veryfast --temporal none", "0"),
        ("chain", "1"),
        ("--speed veryfast --temporal none", "1"),
    ]
    content = json.loads((tmp_path / "o.json").read_text())
    assert [r["psnr"] for r in content["rows"]] == [float(r["psnr"]) for r in rows]
    assert content["summary"][0]["rows"] == 2
    assert [("temporal.radius" in chain) for chain in content["chains"].values()] == [True, False]
    assert "4 rows" in capsys.readouterr().out
    assert status(["evaluate", str(clip), "--against", "--nothing"]) == 2
    assert status(["evaluate", str(clip), "--against", "XL"]) == 2


def lpips_weights() -> dict[str, Tensor]:
    shapes = {
        0: (64, 3, 11),
        3: (192, 64, 5),
        6: (384, 192, 3),
        8: (256, 384, 3),
        10: (256, 256, 3),
    }
    weights = {}
    for n, (number, (out, into, size)) in enumerate(shapes.items()):
        weights[f"features.{number}.weight"] = torch.randn(out, into, size, size) / (
            size * into**0.5
        )
        weights[f"features.{number}.bias"] = torch.zeros(out)
        weights[f"lin{n}.model.1.weight"] = torch.rand(1, out, 1, 1)
    return weights


def test_lpips_is_a_distance(tmp_path: Path) -> None:
    weights = lpips_weights()
    files = [tmp_path / "alexnet.pth", tmp_path / "lin.pth"]
    torch.save({k: v for k, v in weights.items() if k.startswith("features")}, files[0])
    torch.save({k: v for k, v in weights.items() if k.startswith("lin")}, files[1])
    measure = Lpips.load(files)
    clean = pictures(2, 64, 64)
    little, much = clean + 0.02 * torch.randn(clean.shape), clean + 0.2 * torch.randn(clean.shape)
    assert measure(clean, clean) == 0
    assert 0 < measure(clean, little) < measure(clean, much)
    assert measure(clean, much) == pytest.approx(measure(much, clean), rel=1e-4)
    names = [f"net.slice{n + 1}.{number}" for n, number in enumerate((0, 3, 6, 8, 10))]
    renamed = dict(weights)
    for name in names:
        for part in ("weight", "bias"):
            renamed[f"{name}.{part}"] = renamed.pop(f"features.{name.split('.')[-1]}.{part}")
    assert Lpips(renamed)(clean, much) == measure(clean, much)
    with pytest.raises(DeviceError, match="lack"):
        Lpips({k: v for k, v in weights.items() if "lin3" not in k})
    (tmp_path / "broken.pth").write_bytes(b"no")
    with pytest.raises(DeviceError, match="not a readable"):
        Lpips.load([tmp_path / "broken.pth"])
