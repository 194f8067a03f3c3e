"""A data pack: clean clips and stills made small enough to send to a machine with a GPU.

Clips become HEVC 10-bit 4:4:4 of at most 640x360 pixels, which takes the noise and compression of
their sources away; stills share what room is left, as AVIF, all reduced by one factor. Names and
folders stay, so lists of what to leave out and to hold out go on to hold.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vdenoise.engine.run import Progress
from vdenoise.errors import OutputError, UsageError
from vdenoise.machine.files import replacing
from vdenoise.training.card import LICENCES
from vdenoise.training.material.sources import Source, decoded, find

CLIP_PIXELS = 640 * 360
CLIP_CRF = 12.0
STILL_QUALITY = 90  # AVIF
_SAMPLES = 12  # stills that are tried to learn how large all will be
_SPARE = 0.97


@dataclass(frozen=True)
class Packed:
    """What is in a pack."""

    clips: int
    stills: int
    bytes: int


def make_pack(
    folder: Path, target: Path, most: int, progress: Progress, *, threads: int = 0
) -> Packed:
    """Pack a folder of clean material.

    Args:
        folder: as `sources.find` takes it; its LICENCES.md comes along.
        target: a folder that does not exist yet.
        most: bytes.
        progress: told of every source.
        threads: of the encoder, 0 for one per core.

    Raises:
        OutputError: the target exists.
        UsageError: it does not fit.
    """
    if target.exists():
        raise OutputError(f"{target} exists already.", "Name a new folder.", number=70)
    sources = find(folder)
    clips = [source for source in sources if not source.is_still]
    stills = [source for source in sources if source.is_still]
    progress.start("pack", len(sources), unit="files/s")
    for clip in clips:
        _pack_clip(clip, _place(clip, folder, target).with_suffix(".mkv"), threads)
        progress.advance({})
    room = int(_SPARE * most) - _bytes(target)
    factor = _factor_for(stills, room) if stills else 1.0
    for still in stills:
        path = _place(still, folder, target).with_suffix(".avif")
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_bytes(_coded(still, factor))
        progress.advance({})
    if (folder / LICENCES).exists():
        shutil.copyfile(folder / LICENCES, target / LICENCES)
    size = _bytes(target)
    if size > most:
        raise UsageError(
            f"The pack takes {size >> 20} MiB, more than the {most >> 20} MiB allowed.",
            "Allow more with --mib, or leave out clips.",
            number=119,
        )
    return Packed(len(clips), len(stills), size)


def _place(source: Source, folder: Path, target: Path) -> Path:
    """Where a source goes, without its ending; a folder of frames becomes one file."""
    first = source.paths[0].relative_to(folder)
    return target / (first.parent if len(source.paths) > 1 else first)


def _pack_clip(clip: Source, path: Path, threads: int) -> None:
    from vdenoise.media.mezzanine import write_mezzanine

    path.parent.mkdir(parents=True, exist_ok=True)
    frames = decoded(clip)
    height, width = frames.shape[1:3]
    factor = min(1.0, (CLIP_PIXELS / (height * width)) ** 0.5)
    write_mezzanine(
        path, (_unit(_reduced(frame, factor)) for frame in frames), crf=CLIP_CRF, threads=threads
    )


def _factor_for(stills: Sequence[Source], room: int) -> float:
    """The largest reduction (1, 0.9, 0.81 ...) at which the stills fit, judged by a few."""
    samples = stills[:: max(1, len(stills) // _SAMPLES)]
    factor = 1.0
    while factor > 0.2:
        size = sum(len(_coded(still, factor)) for still in samples) * len(stills) / len(samples)
        if size <= room:
            break
        factor *= 0.9
    return factor


def _coded(still: Source, factor: float) -> bytes:
    image = cv2.cvtColor(_reduced(decoded(still)[0], factor), cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".avif", image, [cv2.IMWRITE_AVIF_QUALITY, STILL_QUALITY])
    assert done, "OpenCV writes AVIF"
    return data.tobytes()


def _reduced(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Reduce to even sides, by averaging."""
    if factor == 1.0:
        return image
    height, width = (2 * round(side * factor / 2) for side in image.shape[:2])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8)


def _unit(image: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1).float() / 255


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
