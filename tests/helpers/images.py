"""Small image files with everything in them that must survive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813

WIDTH, HEIGHT = 64, 48
Array = np.ndarray[Any, Any]


def write(
    path: Path,
    pixels: Array,
    kind: str,
    *,
    names: Sequence[str] = (),
    formats: Sequence[str] = (),
    window: tuple[int, int] = (0, 0),
    bits: int = 0,
    **attributes: Any,
) -> Path:
    """Write (H, W, C) samples; integers and floats as OpenImageIO takes them."""
    height, width, count = pixels.shape
    spec = oiio.ImageSpec(width, height, count, kind)
    if names:
        spec.channelnames = tuple(names)
    if formats:
        spec.channelformats = tuple(formats)
    spec.x, spec.y = window
    if bits:
        spec.attribute("oiio:BitsPerSample", bits)
    spec.attribute("oiio:UnassociatedAlpha", 1)
    for name, value in attributes.items():
        spec.attribute(name.replace("__", ":"), value)
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), spec), out.geterror()
    assert out.write_image(pixels), out.geterror()
    assert out.close(), out.geterror()
    return path


def read(path: Path) -> tuple[Any, Array]:
    """The first part's spec, and its samples as stored (mixed kinds as float)."""
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)
    file = oiio.ImageInput.open(str(path), config)
    assert file is not None, oiio.geterror()
    spec = file.spec()
    kinds = {str(f) for f in spec.channelformats} or {str(spec.format)}
    pixels = file.read_image(kinds.pop() if len(kinds) == 1 else "float")
    assert pixels is not None, file.geterror()
    file.close()
    return spec, pixels


def picture(number: int, *, noise: float = 0.02, channels: int = 3) -> Array:
    """A moving pattern in [0, 1] with noise, (48, 64, C) float64."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    base = 0.4 + 0.2 * np.sin((x + 2 * number) / 9) + 0.15 * np.cos(y / 7)
    image = np.stack([base * (1 - 0.1 * c) for c in range(channels)], -1)
    return image + rng.normal(0, noise, image.shape)


def sequence(folder: Path, kind: str, frames: int = 4, first: int = 1001) -> Path:
    """A sequence ``plate.1001.ext`` of a kind such as "exr-half" or "dpx-10"; its pattern."""
    folder.mkdir(exist_ok=True)
    ext, _, sort = kind.partition("-")
    for n in range(frames):
        path = folder / f"plate.{first + n}.{ext}"
        linear = picture(n, channels=4 if sort.endswith("a") else 3)
        codes = linear.clip(0, 1)
        match sort.rstrip("a"):
            case "half" | "float":
                samples = (linear * 4).astype(np.float16 if "half" in sort else np.float32)
                samples[3, 5] = [np.nan, np.inf, -np.inf, 0.5][: samples.shape[-1]]
                samples[9, 9] = -0.25
                samples[11, 4:8] = 6e4
                write(path, samples, "half" if "half" in sort else "float", shot="sh010")
            case "8":
                write(path, (codes * 255).round().astype(np.uint8), "uint8")
            case "16":
                write(path, (codes * 65535).round().astype(np.uint16), "uint16")
            case bits:
                code = (codes * ((1 << int(bits)) - 1)).round().astype(np.int64)
                full = (code << (16 - int(bits))) | (code >> (2 * int(bits) - 16))
                write(path, full.astype(np.uint16), "uint16", bits=int(bits), dpx__Transfer="Log")
    return folder / f"plate.####.{ext}"
