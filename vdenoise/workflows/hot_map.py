"""A map of a camera's hot pixels from one clip of it, to be used on others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vdenoise.engine.run import Progress
from vdenoise.errors import UsageError
from vdenoise.machine.files import replacing
from vdenoise.media.access import check_folder, check_no_pipe, writing
from vdenoise.media.inputs import display
from vdenoise.motion.flow import SharedMotion
from vdenoise.noise.estimate import Analysis
from vdenoise.picture.block import Block, Signal
from vdenoise.picture.color import lift
from vdenoise.picture.frame import ClipInfo
from vdenoise.picture.luma_chroma import Picture
from vdenoise.stages.hot.fixed import HotPixels
from vdenoise.workflows.reading import Reading

_STRETCHES = 8  # of a clip that are looked at
_OFTEN = 0.5  # of those in which a pixel can be told must show it


def check_map_name(path: Path, info: ClipInfo) -> None:
    """See, before a clip is measured, that a map of it can be written.

    Raises:
        UsageError: it is no name of a PNG, or the clip is denoised field by field, or too short.
        OutputError: its folder is missing or not writable, or it is the name of a pipe.
    """
    check_folder(path)
    check_no_pipe(path)
    if path.suffix.lower() != ".png":
        raise UsageError(
            f"A map of hot pixels is a PNG, and {path} has another name.",
            "Let it end in .png.",
            number=226,
        )
    if info.by_field:
        raise UsageError(
            "A map of hot pixels is made of whole frames, and this clip holds fields.",
            "Take a progressive clip of the camera; or --interlaced deinterlace.",
            number=227,
        )
    _enough(info, ())


def find_hot_pixels(
    info: ClipInfo, reading: Reading, analysis: Analysis, progress: Progress
) -> NDArray[np.bool_]:
    """(H, W): the pixels that stand out in most stretches of a clip whose picture moves past them.

    Args:
        info: the clip.
        reading: how it is read.
        analysis: its noise and cuts.
        progress: told of every stretch.

    Raises:
        InputError: it cannot be read.
        UsageError: its shots are too short to tell.
    """
    stage = HotPixels()
    size = (info.height, info.width)
    seen, told = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    stretches = _enough(info, analysis.cuts)
    progress.start("hot pixels", len(stretches), unit="stretches/s")
    with torch.inference_mode():
        for first, last in stretches:
            where, moves = stage.found(_block(info, reading, analysis, first, last))
            seen += where.numpy()
            told += moves.numpy()
            progress.advance({})
    found: NDArray[np.bool_] = (seen > 0) & (seen >= _OFTEN * told)
    return found


def save_map(found: NDArray[np.bool_], path: Path) -> None:
    """Write a map as a PNG, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    _, data = cv2.imencode(".png", found.astype(np.uint8) * 255)
    with writing(path), replacing(path) as part:
        part.write_bytes(data.tobytes())


def _enough(info: ClipInfo, cuts: tuple[int, ...]) -> list[tuple[int, int]]:
    """The stretches that are looked at. One tells nothing: in a picture that is held for some
    frames its own points stand out all along, too.

    Raises:
        UsageError: there are fewer than two.
    """
    length = 2 * HotPixels().radius + 1
    found = list(_stretches(info, cuts, length))
    if len(found) < 2:
        raise UsageError(
            f"{display(info.path)} is too short to tell hot pixels from points of its picture.",
            f"Take a clip of the camera with a shot of more than {length} frames that moves.",
            number=228,
        )
    return found


def _stretches(info: ClipInfo, cuts: tuple[int, ...], length: int) -> Iterator[tuple[int, int]]:
    """First and last frames of stretches that are spread over a clip and hold no cut."""
    count = info.readable
    ends = [0, *cuts, count]
    known = set()
    for n in range(_STRETCHES):
        start = round(n * max(0, count - length) / max(1, _STRETCHES - 1))
        shot = max(k for k in range(len(ends) - 1) if ends[k] <= start)
        first = max(ends[shot], min(start, ends[shot + 1] - length))
        last = min(first + length, ends[shot + 1]) - 1
        if last - first >= 2 and (first, last) not in known:
            known.add((first, last))
            yield first, last


def _block(info: ClipInfo, reading: Reading, analysis: Analysis, first: int, last: int) -> Block:
    """A stretch, of which the frame in the middle is wanted."""
    with reading.reader(info, first=first, last=last) as reader:
        pictures = [lift(frame, info) for frame in reader]

    def signal(planes: list[Tensor]) -> Signal:
        pixels = torch.stack(planes)
        return Signal(pixels, torch.ones_like(pixels[:, :1]))

    whole = Picture.join(pictures, signal)
    noise = analysis.profile.at((first + last) // 2).table()
    middle = (last - first) // 2
    motion = SharedMotion("fast", keep=last - first + 1)
    return Block(
        first=first,
        core=slice(middle, middle + 1),
        luma=whole.luma,
        chroma=whole.chroma,
        noise=noise,
        motion=motion.block(first, list(whole.luma.pixels), noise),
    )
