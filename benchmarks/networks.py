"""What the networks are worth: ``python -m benchmarks.networks --data FOLDER``.

Writes ``results/networks.json`` and a section of ``docs/quality.md``. Parts (``--parts``):

* ``gaussian``: white noise of 10 to 50 codes in R'G'B', clipped to 8 bits, noise measured as in a
  run: the classic chain, every model (at 30 also without the temporal stage, and as the mean over
  views), and VapourSynth's mc_degrain + BM3D (where ``$VDENOISE_BENCH_VAPOURSYNTH`` is set) at its
  best setting;
* ``real``: sensor, film and compressed noise in 4:2:0, measured, against the same chain told the
  best single sigma of those tried;
* ``clean``: how much is changed where nothing was added;
* ``precision``: float16 and bfloat16 against float32;
* ``speed``: the network alone on one 1080p frame as a run computes it (on a processor in C, row by
  row, where it can be), and how much of a plain convolution's rate on this machine that is.

``--model`` takes any model's name or file, also DnCNN's or FFDNet's; ``--missing`` goes on where
an earlier run was stopped. The clips are those of ``benchmarks/clips.py``, and any other folder of
clean frames by ``--also``; ``--stills`` are set in motion, and have no noise of their own.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks import clips, results
from benchmarks.noise import set_in_motion
from benchmarks.peers import PEERS, VAPOURSYNTH, best_setting
from vdenoise.chain.presets import load as preset
from vdenoise.chain.resolve import Chain, Layer, resolve
from vdenoise.compiled import fast_bfloat16
from vdenoise.engine.steps import Precision
from vdenoise.evaluation import material
from vdenoise.evaluation.measure import Told, profile_told, run_chain
from vdenoise.evaluation.metrics import luma
from vdenoise.evaluation.protocol import Given, Noise, given
from vdenoise.machine.devices import find_device
from vdenoise.nets.base import NetInput, example, macs_per_pixel, parameters
from vdenoise.nets.by_rows import Plane
from vdenoise.nets.models import find, load, load_rows, shipped
from vdenoise.picture.quality import psnr

PARTS = ("gaussian", "real", "clean", "precision", "speed")
SIGMAS = (10, 20, 30, 40, 50)
REAL = (Noise("sensor", 0.01), Noise("film", 12), Noise("compressed", 23))
TRIED = (0.4, 0.6, 0.8, 1.0, 1.4)  # single sigmas, as factors on the true RMS of the luma noise
CLASSIC, PEER = "classic chain", "mc_degrain+BM3D"
ALONE = ", each frame for itself"
ENSEMBLES = (2, 4, 8)  # views of the picture: 2 and 4 as from `slow` on, 8 is all there are
HD = (1080, 1920)
TILE = 384  # of the input of the speed test on a CPU

Key = tuple[str, str, str, str, str]
Wanted = Callable[[str, str, str, str, str], bool]
Row = dict[str, Any]


def main() -> None:
    """Run the chosen parts, merge each row into the results, and write the page again."""
    chosen = _arguments()
    torch.set_num_threads(chosen.threads)
    known = set(results.known(results.NETWORKS, key)) if chosen.missing else set()
    for row in _rows(chosen, lambda *names: names not in known):
        print({k: v for k, v in row.items() if v is not None}, flush=True)
        results.merge(results.NETWORKS, row, key, clips.SEED)
    results.write_quality_page()


def key(row: Mapping[str, Any]) -> Key:
    """What makes a row the same row."""
    return row["part"], row["clip"], row["noise"], row["competitor"], row["told"]


def _rows(chosen: argparse.Namespace, wanted: Wanted) -> Iterator[Row]:
    """Every row that is asked for, one after the other."""
    if "speed" in chosen.parts:
        for model in chosen.model:
            for precision in _precisions(model, chosen.device):
                if wanted("speed", "", "", _name(model), precision):
                    yield _speed(model, precision, chosen.device)
    parts = {"gaussian": _gaussian, "real": _real, "clean": _clean, "precision": _precision}
    for name, clean in _clips(chosen):
        for part, rows in parts.items():
            if part in chosen.parts:
                yield from rows(name, clean, chosen, wanted)


def _clips(chosen: argparse.Namespace) -> Iterator[tuple[str, Tensor]]:
    for name in chosen.clips:
        yield name, clips.load_clean(chosen.data, name, chosen.frames)
    for found in material.find(chosen.also) if chosen.also else ():
        clean = found.read(chosen.frames)
        yield found.name, clean[..., : clean.shape[-2] // 2 * 2, : clean.shape[-1] // 2 * 2]
    for seed, path in enumerate(chosen.stills):
        yield f"still {path.stem[:8]}", set_in_motion(path, chosen.frames, seed)


def chain(values: Mapping[str, str], proposed: Mapping[str, str]) -> Chain:
    """The default chain with some values set, as ``vdenoise run`` has it."""
    return resolve(preset("auto"), [Layer("measurement", proposed), Layer("benchmark", values)])


def competitors(models: list[str], *, variants: bool = False) -> dict[str, dict[str, str]]:
    """The classic chain and each model after it; with ``variants`` also each model without the
    temporal stage, and those that are shipped as the mean over views."""
    found: dict[str, dict[str, str]] = {CLASSIC: {"net.model": "none"}}
    for model in models:
        name, values = _name(model), {"net.model": model}
        found[name] = values
        if variants:
            found[name + ALONE] = values | {"temporal.method": "none"}
        if variants and name in shipped():
            found |= {f"{name}, {n} views": values | {"net.ensemble": str(n)} for n in ENSEMBLES}
    return found


def _name(model: str) -> str:
    return model.upper() if model.upper() in shipped() else Path(model).stem


def _gaussian(
    name: str, clean: Tensor, chosen: argparse.Namespace, wanted: Wanted
) -> Iterator[Row]:
    for sigma in SIGMAS:
        noise = Noise("gaussian", sigma)
        made = given(clean, noise, clips.SEED, "8bit")
        for competitor, values in competitors(chosen.model, variants=sigma == 30).items():
            if wanted("gaussian", name, str(noise), competitor, "measured"):
                done = _denoised(made, noise, values, "measured", chosen)
                yield _row("gaussian", name, made, noise, competitor, "measured", *done)
        if VAPOURSYNTH in os.environ and wanted("gaussian", name, str(noise), PEER, "searched"):
            yield _row("gaussian", name, made, noise, PEER, "searched", *_peer(made, noise))


def _real(name: str, clean: Tensor, chosen: argparse.Namespace, wanted: Wanted) -> Iterator[Row]:
    """Measured, and told one sigma for everything: the best of those tried."""
    for noise in REAL:
        made = given(clean, noise, clips.SEED, "420")
        noisy = luma(made.answer(made.planes))
        codes = 255 * float((noisy - luma(made.reference)).square().mean().sqrt())
        for competitor, values in competitors(chosen.model).items():
            if wanted("real", name, str(noise), competitor, "measured"):
                done = _denoised(made, noise, values, "measured", chosen)
                yield _row("real", name, made, noise, competitor, "measured", *done)
            single = "best single sigma"
            if competitor == CLASSIC or not wanted("real", name, str(noise), competitor, single):
                continue
            tried = []
            for sigma in (round(factor * codes, 2) for factor in TRIED):
                done = _denoised(made, noise, values, (sigma,), chosen)
                row = _row("real", name, made, noise, competitor, single, *done)
                tried.append(row | {"sigma": sigma})
            yield max(tried, key=lambda row: row["psnr"])


def _clean(name: str, clean: Tensor, chosen: argparse.Namespace, wanted: Wanted) -> Iterator[Row]:
    noise = Noise("clean", 0)
    made = given(clean, noise, clips.SEED, "420")
    for competitor, values in competitors(chosen.model).items():
        if wanted("clean", name, str(noise), competitor, "measured"):
            done = _denoised(made, noise, values, "measured", chosen)
            yield _row("clean", name, made, noise, competitor, "measured", *done)


def _precision(
    name: str, clean: Tensor, chosen: argparse.Namespace, wanted: Wanted
) -> Iterator[Row]:
    """On the first frames alone: float16 is slow on processors."""
    noise = Noise("gaussian", 20)
    made = given(clean[:3], noise, clips.SEED, "8bit")
    choices: tuple[Precision, ...] = ("float32", "bfloat16", "float16")
    for model in chosen.model:
        for precision in choices:
            if wanted("precision", name, str(noise), _name(model), precision):
                values = {"net.model": model}
                done = _denoised(made, noise, values, "measured", chosen, precision)
                yield _row("precision", name, made, noise, _name(model), precision, *done)


def _denoised(
    made: Given,
    noise: Noise,
    values: dict[str, str],
    told: Told,
    chosen: argparse.Namespace,
    precision: Precision | None = None,
) -> tuple[Tensor, float]:
    """What a chain makes of it, and seconds."""
    profile = profile_told(told, noise, made)
    done = run_chain(made, partial(chain, values), profile, chosen.device, precision=precision)
    return done.rgb, done.seconds


def _peer(made: Given, noise: Noise) -> tuple[Tensor, float]:
    """mc_degrain + BM3D at the best setting for this very clip, looking at its clean frames."""
    rows = [r for r in results.load(results.QUALITY)["rows"] if r["competitor"] == PEER]
    near = {float(r["kind"][9:]): r["setting"] for r in rows if r["kind"].startswith("gaussian-")}
    begin = near[min(near, key=lambda sigma: abs(sigma - noise.level))] if near else None
    with tempfile.TemporaryDirectory(prefix="vdenoise-networks-") as folder:
        noisy = clips.store(made.answer(made.planes), "gbrp", Path(folder) / "noisy.mkv")
        clip = clips.Clip("", "gaussian", noisy, "gbrp", made.reference)
        setting, _ = best_setting(PEERS[PEER], clip, begin)
        began = time.perf_counter()
        return PEERS[PEER].run(clip, setting), time.perf_counter() - began


def _row(
    part: str,
    name: str,
    made: Given,
    noise: Noise,
    competitor: str,
    told: str,
    rgb: Tensor,
    seconds: float,
) -> Row:
    """A result compared with the clean frames."""
    clean, noisy = made.reference, made.answer(made.planes)
    removed = noisy - rgb
    return {
        "part": part,
        "clip": name,
        "noise": str(noise),
        "competitor": competitor,
        "told": told,
        "frames": len(clean),
        "size": [clean.shape[-1], clean.shape[-2]],
        **results.scores(clean, rgb),
        "psnr_noisy": round(psnr(clean, noisy), 3),
        "structure": round(structure(removed, clean), 4),
        "change": round(255 * float(removed.square().mean().sqrt()), 4),
        "seconds": round(seconds, 2),
    }


def structure(removed: Tensor, clean: Tensor) -> float:
    """How much of the picture is in what was removed: its correlation with the clean frames'
    detail, which is what a 5x5 mean takes away.

    Args:
        removed: (T, 3, H, W), noisy less denoised.
        clean: the same shape.
    """
    mean = functional.avg_pool2d(functional.pad(clean, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    detail = clean - mean
    return float((removed * detail).sum()) / max(float(removed.norm() * detail.norm()), 1e-9)


def _precisions(model: str, device: str) -> tuple[Precision, ...]:
    if find_device(device) != "cpu":
        return ("float16", "float32")
    if find(model).network().by_rows:
        return ("float32",)
    return ("bfloat16", "float32") if fast_bfloat16() else ("float32",)


def _speed(model: str, precision: Precision, device: str) -> Row:
    """Frames of 1080p a second, network alone, input and output on the device.

    On a CPU one tile of `TILE` pixels is timed, halo not counted, and scaled to the frame; whole
    frames by rows on one core.
    """
    where = torch.device(find_device(device))
    dtype = getattr(torch, precision)
    net = load(model, where, dtype)
    by_rows = where.type == "cpu" and net.by_rows
    height, width = HD if where.type == "cuda" or by_rows else (TILE, TILE)
    x = _sized(example(net), height, width, where)
    work = partial(load_rows(model).correction, *_planes(x)) if by_rows else partial(net, x)
    with torch.inference_mode():
        seconds = _timed(work, where) / max(1, net.clip)
    scale = HD[0] * HD[1] / (height * width)
    macs = macs_per_pixel(find(model).network())
    rate = macs * height * width / seconds / 1e9
    roof = _roof(where, dtype)
    return {
        "part": "speed",
        "clip": "",
        "noise": "",
        "competitor": _name(model),
        "told": precision,
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else "cpu",
        "threads": 1 if by_rows else torch.get_num_threads(),
        "sha256": find(model).sha256,
        "parameters": parameters(net),
        "kmacs_per_pixel": round(macs / 1000, 1),
        "fps_1080p": round(1 / (seconds * scale), 2),
        "gmacs_per_second": round(rate, 1),
        "roof_gmacs_per_second": round(roof, 1),
    }


def _planes(x: NetInput) -> tuple[list[Plane], tuple[int, int], Tensor]:
    """The same for `Rows.correction`, chroma at half size, as in 4:2:0."""
    planes = []
    temporal, left = x.averaged
    for three in (x.average, temporal, x.noisy, x.sigma, left):
        luma, *chroma = three[0].expand(3, -1, -1)
        planes += [Plane(luma), *(Plane(c[::2, ::2].contiguous(), 2, 2) for c in chroma)]
    height, width = x.average.shape[-2:]
    return planes, (height, width), x.bands[0]


def _sized(x: NetInput, height: int, width: int, device: torch.device) -> NetInput:
    """The same input with pictures of another size, on a device."""

    def sized(t: Tensor) -> Tensor:
        return t[..., :1, :1].expand(*t.shape[:-2], height, width).contiguous().to(device)

    return replace(x.mapped(sized), bands=x.bands.to(device))


def _roof(device: torch.device, dtype: torch.dtype) -> float:
    """GMAC a second of a 3x3 convolution of 64 channels: what the best layer can have."""
    conv = nn.Conv2d(64, 64, 3, padding=1).to(device, dtype)
    side = 1024 if device.type == "cuda" else 192
    x = torch.rand(1, 64, side, side, device=device, dtype=dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        seconds = _timed(lambda: conv(x), device)
    return 64 * 64 * 9 * side**2 / seconds / 1e9


def _timed(work: Callable[[], Any], device: torch.device, seconds: float = 2.0) -> float:
    """The shortest of many runs: what else the machine does only adds to a run's time."""
    for _ in range(3):
        work()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return min(times)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.networks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the clean clips")
    known = [*clips.CLEAN, clips.SAMPLE]
    parser.add_argument("--clips", nargs="*", choices=known, default=list(clips.CLEAN))
    parser.add_argument("--also", type=Path, action="append", help="another folder of clean frames")
    parser.add_argument("--stills", type=Path, nargs="*", default=[], help="set in motion")
    parser.add_argument("--model", action="append", help="name or file; may be repeated [shipped]")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--frames", type=int, default=8, help="first frames of each clip")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--missing", action="store_true", help="only rows that are not on file")
    chosen = parser.parse_args()
    chosen.model = chosen.model or list(shipped())
    return chosen


if __name__ == "__main__":
    main()
