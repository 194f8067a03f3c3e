"""Every preset on the footage it is meant for: ``python -m benchmarks.presets --data FOLDER``.

The footage is our own sample without noise, or a clip in ``--data``, made to look like it: noise,
codec, tape or animation on top. Each preset runs from its own measurement; beside it run ``auto``,
and the preset with other values where its reasons say that they are worse. Writes
``results/presets.json``, ``docs/presets/NAME.jpg`` (noisy, clean, removed, at 200 %) and
``docs/presets.md``. What a preset leaves on purpose costs it PSNR: the pictures say why.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks import clips, results
from benchmarks.combination import Picture, tile
from vdenoise.chain.preset_files import shipped
from vdenoise.chain.presets import load
from vdenoise.chain.resolve import Chain, Layer, resolve
from vdenoise.degrade import synth
from vdenoise.evaluation.measure import run_chain
from vdenoise.evaluation.metrics import flicker
from vdenoise.evaluation.protocol import Given, decoded
from vdenoise.media.roundtrip import compress_planes, to_planes
from vdenoise.picture.color import from_rgb
from vdenoise.picture.quality import psnr

FOLDER = results.PAGE.with_name("presets")
PAGE = results.PAGE.with_name("presets.md")
GAIN = 4  # of the removed noise, as shown
WALL, FACE = (130, 250), (105, 70)  # top and left of the crops shown
CROP = (120, 160)
SEED = clips.SEED

Row = dict[str, Any]
Making = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Footage:
    """What a preset is meant for, made from clean frames."""

    text: str
    make: Making  # clean R'G'B' (T, 3, H, W) to the clean and the noisy clip
    crf: float | None = None  # of x264, after the noise; None: lossless
    corner: tuple[int, int] = WALL
    clip: str = clips.SAMPLE  # or one of `clips.CLEAN`
    step: int = 1  # every n-th frame: how many times as fast
    instead: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # values by their text


def sensor(shot: float) -> Making:
    """Camera noise."""
    return lambda clean: (clean, synth.sensor(clean, shot, 0.04 * shot, seed=SEED))


def color_blotches(clean: Tensor) -> tuple[Tensor, Tensor]:
    """Noise in Cb and Cr alone, two pixels large: equal luma, so it sums to nothing there."""
    noise = synth.gaussian(torch.zeros_like(clean), 0.08, seed=SEED)
    noise = functional.interpolate(functional.avg_pool2d(noise, 2), scale_factor=2)
    return clean, clean + noise - from_rgb(noise)[:, :1]


def animation(clean: Tensor) -> tuple[Tensor, Tensor]:
    """Flats with hard edges, each drawing held for three frames, slight noise."""
    held = [_painted(clean[t // 3 * 3]) for t in range(len(clean))]
    drawn = torch.stack(held)
    return drawn, synth.gaussian(drawn, 5 / 255, seed=SEED)


def _painted(frame: Tensor) -> Tensor:
    picture = (255 * frame.permute(1, 2, 0)).round().byte().numpy()
    painted = cv2.pyrMeanShiftFiltering(np.ascontiguousarray(picture), 8, 24)
    return torch.from_numpy(painted).permute(2, 0, 1).float() / 255


def fixed_camera(clean: Tensor) -> tuple[Tensor, Tensor]:
    """One gray scene through which something moves, in infrared light that hardly suffices."""
    still = clean[:1].mean(1, keepdim=True).expand(len(clean), 3, -1, -1).clone()
    walker = still[0, :, 120:240, 320:380].flip(-1)
    for t, frame in enumerate(still):
        frame[:, 160:280, 40 + 6 * t : 100 + 6 * t] = walker
    noisy = synth.sensor(still, 0.02, 0.002, seed=SEED).mean(1, keepdim=True)
    return still, noisy.expand(-1, 3, -1, -1)


def tape(clean: Tensor) -> tuple[Tensor, Tensor]:
    """A quarter of luma's bandwidth in color, and noise along the lines, most of it in color."""
    luma = from_rgb(clean)[:, :1]
    color = _along_lines(clean - luma, 9)
    soft = _along_lines(luma, 3)
    base = soft + color
    noise = synth.gaussian(torch.zeros_like(clean), 1, seed=SEED)
    grain = 9 / 255 * 3**0.5 * _along_lines(noise[:, :1], 3)
    blotches = 14 / 255 * 3 * _along_lines(noise - noise.mean(1, keepdim=True), 9)
    return base, base + grain + blotches


def _along_lines(x: Tensor, width: int) -> Tensor:
    padded = functional.pad(x, (width // 2, width // 2, 0, 0), mode="replicate")
    return functional.avg_pool2d(padded, (1, width), stride=1)


def moving_drawing(clean: Tensor) -> tuple[Tensor, Tensor]:
    """The drawn scene as it moves, slight noise."""
    return clean, synth.gaussian(clean, 5 / 255, seed=SEED)


_WITHOUT_NETWORK = {"without the network": {"net.method": "none"}}
_WITH_NETWORK = {"with the network": {"net.method": "cnn"}}
_STATIC = {"frames compared where they stand": {"temporal.method": "static"}}
_NEIGHBORS = {
    "one neighbor each side": {"temporal.radius": 1},
    "three, and threshold 50": {"temporal.motion_threshold": 50, "temporal.radius": 3},
    "85 % of luma": {"output.luma": 85},
}

FOOTAGE: Mapping[str, tuple[Footage, ...]] = {
    "auto": (Footage("camera noise", sensor(0.01)),),
    "high-iso": (
        Footage(
            "camera noise of a very high ISO",
            sensor(0.04),
            instead=_WITHOUT_NETWORK
            | {"5 % more taken for noise": {"noise.sigma_scale": 1.05}}
            | {f"{share} % of luma": {"output.luma": share} for share in (85, 100)}
            | {"contra-sharpening after it": {"detail.method": "contra"}},
        ),
    ),
    "film-scan": (
        Footage(
            "film grain",
            lambda x: (x, synth.film_grain(x, 12 / 255, size=0.8, seed=SEED)),
            instead={
                "spatial filter at 0.7, no network": {
                    "spatial.strength": 0.7,
                    "net.model": "none",
                },
            },
        ),
    ),
    "compression": (
        Footage(
            "camera noise through x264 CRF 28",
            sensor(0.01),
            28,
            instead={
                "one neighbor each side": {"temporal.radius": 1},
                "four neighbors each side": {"temporal.radius": 4},
            },
        ),
    ),
    "chroma": (Footage("color speckle on clean luma", color_blotches, instead=_WITHOUT_NETWORK),),
    "anime": (
        Footage(
            "drawings held for three frames, slight noise",
            animation,
            instead=_STATIC | _WITH_NETWORK | {"without debanding": {"deband.strength": 0}},
        ),
        Footage("a drawn scene that moves, slight noise", moving_drawing, instead=_STATIC),
    ),
    "action": (
        Footage("camera noise", sensor(0.02), instead=_NEIGHBORS),
        Footage(
            "a tennis match, camera noise, three times as fast",
            sensor(0.02),
            clip="tennis",
            step=3,
            instead=_NEIGHBORS,
        ),
    ),
    "interview": (
        Footage(
            "camera noise",
            sensor(0.01),
            corner=FACE,
            instead={
                "65 % everywhere, contra-sharpening, spatial filter at 0.8, no network": {
                    "mask.skin": {"source": "none"},
                    "output.luma": 65,
                    "detail.method": "contra",
                    "spatial.strength": 0.8,
                    "net.model": "none",
                },
                "as much on skin as elsewhere": {"mask.skin": {"source": "none"}},
            },
        ),
    ),
    "surveillance": (
        Footage(
            "a fixed infrared camera, x264 CRF 30",
            fixed_camera,
            30,
            corner=(150, 40),
            instead={
                "motion followed": {"temporal.method": "mean"},
                "90 % of luma": {"output.luma": 90},
            },
        ),
    ),
    "tape": (
        Footage(
            "tape: narrow color, noise along the lines",
            tape,
            instead=_WITHOUT_NETWORK
            | {"two neighbors each side": {"temporal.radius": 2}}
            | {"with --sharpen 0.5": {"sharpen.method": "unsharp", "sharpen.strength": 0.5}},
        ),
    ),
    "fast-preview": (Footage("camera noise", sensor(0.01)),),
    "max": (Footage("camera noise of a high ISO", sensor(0.02)),),
}


def main() -> None:
    """Run what is asked for, merge it into the results, and write pictures and page."""
    chosen = _arguments()
    torch.set_num_threads(chosen.threads)
    FOLDER.mkdir(exist_ok=True)
    for name in chosen.presets:
        rows, pictures = zip(
            *(_measured(name, footage, chosen) for footage in FOOTAGE[name]),
            strict=True,
        )
        print(*rows, sep="\n", flush=True)
        cv2.imwrite(str(FOLDER / f"{name}.jpg"), pictures[0], [cv2.IMWRITE_JPEG_QUALITY, 90])
        known = [r for r in results.load(results.PRESETS).get("rows", []) if r["preset"] != name]
        content = {"schema": results.SCHEMA, "machine": results.machine(), "seed": SEED}
        ordered = sorted([*known, *rows], key=lambda row: list(FOOTAGE).index(row["preset"]))
        results.save(results.PRESETS, content | {"rows": ordered})
    PAGE.write_text(page(results.load(results.PRESETS)["rows"]), encoding="utf-8")


def given(footage: Footage, clean: Tensor) -> Given:
    """Noisy and clean in 8-bit 4:2:0, through the codec if there is one."""
    base, noisy = footage.make(clean)
    planes = [to_planes(frame.clamp(0, 1)) for frame in noisy]
    if footage.crf is not None:
        planes = compress_planes(planes, "x264", footage.crf)
    reference, given = (
        [tuple(torch.from_numpy(plane) for plane in frame) for frame in frames]
        for frames in ([to_planes(frame.clamp(0, 1)) for frame in base], planes)
    )
    return Given("420", tuple(given), decoded(reference, "420"))


def _measured(name: str, footage: Footage, chosen: argparse.Namespace) -> tuple[Row, Picture]:
    clean = clips.load_clean(chosen.data, footage.clip, chosen.frames * footage.step)
    made = given(footage, clean[:: footage.step].contiguous())
    row: Row = {"preset": name, "footage": footage.text, "frames": len(made.planes)}

    def answer(preset: str, values: Mapping[str, Any]) -> Tensor:
        def chain(found: Mapping[str, str]) -> Chain:
            measured = Layer("measurement", found if preset == "auto" else {})
            return resolve(load(preset), [measured, Layer("instead", values)])

        return run_chain(made, chain, None, chosen.device).rgb

    def judged(rgb: Tensor) -> list[float]:
        return [round(psnr(made.reference, rgb), 2), round(flicker(made.reference, rgb), 2)]

    answers = {"noisy": made.answer(made.planes), "preset": answer(name, {})}
    answers["auto"] = answers["preset"] if name == "auto" else answer("auto", {})
    for label, rgb in answers.items():
        row[f"psnr_{label}"], row[f"flicker_{label}"] = judged(rgb)
    row["instead"] = {
        text: judged(answer(name, values)) for text, values in footage.instead.items()
    }
    return row, _picture(name, answers, footage.corner)


def _picture(name: str, answers: Mapping[str, Tensor], corner: tuple[int, int]) -> Picture:
    noisy, done = answers["noisy"], answers["preset"]
    t = len(noisy) // 2
    removed = (0.5 + GAIN * (noisy[t] - done[t])).clamp(0, 1)
    top, left = corner
    crop = slice(top, top + CROP[0]), slice(left, left + CROP[1])
    shown = {"noisy": noisy[t], name: done[t], f"removed, x{GAIN}": removed}
    return np.hstack([tile(rgb, title, crop) for title, rgb in shown.items()])


def page(rows: list[Row]) -> str:
    """``docs/presets.md``: every preset's intent and reasons, what it measured, its picture."""
    parts = [
        "# Presets",
        "<!-- Made by `python -m benchmarks.presets` from presets/*.toml and "
        "benchmarks/results/presets.json. -->",
        "What each is for, why its values are what they are, and what it does to footage of its "
        "kind, made from our own sample where nothing else is said: PSNR in dB and flicker in "
        "8-bit codes against the same scene without noise, with `auto` beside it, and what other "
        "values would give. Presets that leave noise on purpose have a lower PSNR than `auto`, "
        "and should. Pictures: noisy, result, and what was removed, four times amplified, at "
        "200 %.",
    ]
    for name in shipped():
        preset, measured = load(name), [row for row in rows if row["preset"] == name]
        parts += [f"## {name}", preset.about, " ".join(preset.why.split())]
        parts += [_table(row) for row in measured]
        if measured:
            parts.append(f"![{name}: noisy, result, removed](presets/{name}.jpg)")
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(row: Row) -> str:
    labels = {"noisy": "noisy", "preset": row["preset"], "auto": "auto"}
    if row["preset"] == "auto":
        del labels["auto"]
    lines = [f"| {row['footage']} | PSNR | flicker |", "|---|---:|---:|"]
    lines += [
        f"| {text} | {row[f'psnr_{key}']:.2f} | {row[f'flicker_{key}']:.2f} |"
        for key, text in labels.items()
    ]
    lines += [
        f"| {row['preset']}, but {text} | {quality:.2f} | {change:.2f} |"
        for text, (quality, change) in row["instead"].items()
    ]
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.presets",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("presets", nargs="*", default=list(FOOTAGE), metavar="PRESET")
    parser.add_argument("--data", type=Path, required=True, help="folder of the clean clips")
    parser.add_argument("--frames", type=int, default=10, help="first frames of each clip")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
