"""Denoise and then sharpen, or the other way round: ``python -m benchmarks.finishing``.

On our own sample (samples/scene_sensor.mp4 and the same scene without noise). Both ways use the
same sharpener at the same strength and let the noise be measured in what they are given. Writes the
numbers and the picture that docs/finishing.md shows.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import results
from vdenoise import cli

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "samples"
RESULTS = ROOT / "benchmarks" / "results" / "finishing.json"
PICTURE = ROOT / "docs" / "finishing.png"
PAGE = ROOT / "docs" / "finishing.md"

FRAMES = "0-5"
SHARPEN = ("--sharpen", "2", "--set", "sharpen.method=unsharp", "--set", "sharpen.size=1")
BLIND = ("--luma", "0", "--chroma", "0", "--set", "sharpen.noise_margin=0")  # removes nothing
BLOCK, FLATTEST = 16, 0.2  # flats: this share of the blocks, those with the least detail
CROP = (slice(130, 250), slice(250, 410))  # face, bricks and text
MARK = "order"

Picture = NDArray[np.float64]


def main() -> None:
    """Run all of it; a minute or two on two cores."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = {
            "noisy": _run(SAMPLES / "scene_sensor.mp4", folder / "noisy.mkv", "--luma", "0",
                          "--chroma", "0"),
            "ideal": _run(SAMPLES / "scene_clean.mp4", folder / "ideal.mkv", *SHARPEN, *BLIND),
            "after": _run(SAMPLES / "scene_sensor.mp4", folder / "after.mkv", *SHARPEN),
            "first": _run(SAMPLES / "scene_sensor.mp4", folder / "first.mkv", *SHARPEN, *BLIND),
        }  # fmt: skip
        runs["before"] = _run(runs["first"], folder / "before.mkv", frames=None)
        profile = folder / "profile.json"
        assert not cli.status(["profile", "build", str(runs["noisy"]), "-o", str(profile)])
        runs["told"] = _run(
            runs["first"], folder / "told.mkv", "--profile", str(profile), frames=None
        )
        clips = {key: _read(path) for key, path in runs.items()}
    ideal = clips["ideal"]
    found = {key: _numbers(clips[key], ideal) for key in ("noisy", "told", "before", "after")}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    cv2.imwrite(str(PICTURE), _picture(clips))
    write_page()


def _run(source: Path, target: Path, *words: str, frames: str | None = FRAMES) -> Path:
    some = ("--frames", frames) if frames else ()
    given = ["run", str(source), "-o", str(target), "--codec", "ffv1", "--speed", "fast", *some]
    status = cli.status([*given, *words, "--progress", "none"])
    assert status == 0, f"{target.name}: exit {status}"
    return target


def _read(path: Path) -> list[NDArray[np.uint8]]:
    capture, frames = cv2.VideoCapture(str(path)), []
    while (found := capture.read())[0]:
        frames.append(found[1])
    return frames


def _luma(frame: NDArray[np.uint8]) -> Picture:
    return frame.astype(np.float64) @ (0.0722, 0.7152, 0.2126)  # OpenCV's order: B, G, R


def _numbers(clip: list[NDArray[np.uint8]], ideal: list[NDArray[np.uint8]]) -> dict[str, float]:
    """PSNR against the sharpened clean clip, error in flats, and flicker; luma, codes."""
    errors = np.stack([_luma(a) - _luma(b) for a, b in zip(clip, ideal, strict=True)])
    detail = np.stack([_blocks(_luma(frame)).std(axis=-1) for frame in ideal])
    flat = detail <= np.quantile(detail, FLATTEST)
    rest = np.stack([_blocks(error).std(axis=-1) for error in errors])[flat]
    return {
        "psnr_db": round(float(10 * np.log10(255**2 / np.mean(errors**2))), 2),
        "flat_sigma": round(float(np.sqrt(np.mean(rest**2))), 2),
        "flicker": round(float(np.diff(errors, axis=0).std()), 2),
    }


def _blocks(luma: Picture) -> Picture:
    """(blocks, pixels)."""
    rows, columns = luma.shape[0] // BLOCK, luma.shape[1] // BLOCK
    cut = luma[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    return cut.swapaxes(1, 2).reshape(rows * columns, BLOCK * BLOCK)


def _picture(clips: dict[str, list[NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    """The middle frame's crop at 200 %, four times."""
    titles = {
        "noisy": "noisy",
        "told": "sharpened, then denoised",
        "after": "denoised, then sharpened",
        "ideal": "clean, sharpened",
    }
    tiles = []
    for key, title in titles.items():
        crop = clips[key][len(clips[key]) // 2][CROP]
        large = cv2.resize(crop, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
        cv2.rectangle(large, (0, 0), (250, 20), (0, 0, 0), -1)
        cv2.putText(large, title, (6, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1,
                    cv2.LINE_AA)  # fmt: skip
        tiles.append(large)
    return np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])]).astype(np.uint8)


def order_table() -> str:
    """The table of docs/finishing.md, from the results on file."""
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    names = {
        "noisy": "noisy, not sharpened",
        "told": "sharpened, then denoised with the camera's noise profile",
        "before": "sharpened, then measured and denoised",
        "after": "**denoised, then sharpened**",
    }
    lines = ["| | PSNR, dB | left in flats, codes | flicker, codes |", "|---|---|---|---|"]
    for key, name in names.items():
        row = found[key]
        lines.append(f"| {name} | {row['psnr_db']} | {row['flat_sigma']} | {row['flicker']} |")
    return "\n".join(lines)


def write_page() -> None:
    """Put the table between its marks."""
    results.write_between(PAGE, MARK, order_table())


if __name__ == "__main__":
    main()
