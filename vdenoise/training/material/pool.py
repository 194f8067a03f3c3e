"""A pool of examples on disk, made ahead by worker processes and shared by every training run that
asks for the same ones."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
import time
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Self

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from vdenoise.machine.files import replacing
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.training.material.degrade import Kind
from vdenoise.training.material.examples import Recipe, make
from vdenoise.training.material.sources import Source

_POLL_SECONDS = 0.5
_CLAIM_SECONDS = 120


@dataclass(frozen=True)
class Pool:
    """Examples by number; each is one file, written whole or not at all."""

    folder: Path
    recipe: Recipe
    sources: tuple[Source, ...]
    seed: int

    def path(self, number: int) -> Path:
        """Where an example lies."""
        return self.folder / f"{number:06d}.safetensors"

    def produce(self, number: int) -> None:
        """Make an example unless it is there, or being made by another process."""
        path = self.path(number)
        claim = path.with_name(f".{path.name}.claim")
        if path.exists() or not _claimed(claim):
            return
        try:
            with replacing(path, durable=False) as temporary:  # it can be made again
                self._write(number, temporary)
        finally:
            claim.unlink(missing_ok=True)

    def _write(self, number: int, path: Path) -> None:
        clips = [source for source in self.sources if not source.is_still]
        stills = [source for source in self.sources if source.is_still]
        example = make(self.recipe, clips, stills, self.seed, number)
        tensors = {
            "planes": example.planes.half(),
            "sigma": example.noise.sigma,
            "spectrum": example.noise.spectrum,
        }
        about = {"kind": example.kind, "subsampled": str(int(example.subsampled))}
        save_file(tensors, path, metadata=about)

    def forget(self, number: int) -> None:
        """Delete an example; it can be made again."""
        self.path(number).unlink(missing_ok=True)

    def wait(self, number: int, *, producing: bool) -> Path:
        """The file of an example: waits for the workers, or makes it where there are none."""
        path = self.path(number)
        if not producing:
            self.produce(number)
        while not path.exists():
            time.sleep(_POLL_SECONDS)
            self.produce(number)
        return path


def _claimed(claim: Path) -> bool:
    """Whether this process is now the one to make it; old claims are of processes that died."""
    claim.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        if time.time() - claim.stat().st_mtime > _CLAIM_SECONDS:
            claim.unlink(missing_ok=True)
    try:
        claim.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


@dataclass(frozen=True, eq=False)
class Crop:
    """A square of one frame of an example."""

    planes: Tensor  # (14, S, S) float32, as `Example.planes`
    noise: NoiseTable
    subsampled: bool
    kind: Kind


def cut(whole: Crop, size: int, rng: np.random.Generator) -> Crop:
    """A random square of a crop, flipped and turned; it keeps the whole one's noise profile."""
    height, width = whole.planes.shape[-2:]
    top, left = (2 * int(rng.integers((n - size) // 2 + 1)) for n in (height, width))
    found = whole.planes[:, top : top + size, left : left + size]
    found = torch.rot90(found, int(rng.integers(4)), (1, 2))
    found = found.flip(2) if rng.random() < 0.5 else found
    return replace(whole, planes=found)


def crop(path: Path, size: int | None, rng: np.random.Generator) -> Crop:
    """A random square of a random frame, flipped and turned; the first whole frame without size."""
    with safe_open(path, framework="pt") as file:
        about = file.metadata()
        planes = file.get_slice("planes")
        count, _, height, width = planes.get_shape()
        noise = NoiseTable(file.get_tensor("sigma"), file.get_tensor("spectrum"))
        if size is None:
            found = planes[0]
        else:
            t = int(rng.integers(count))
            top, left = (2 * int(rng.integers((n - size) // 2 + 1)) for n in (height, width))
            found = planes[t, :, top : top + size, left : left + size]
    found = found.float()
    if size is not None:
        found = torch.rot90(found, int(rng.integers(4)), (1, 2))
        found = found.flip(2) if rng.random() < 0.5 else found
    return Crop(found, noise, about["subsampled"] == "1", about["kind"])


class Producers:
    """Processes that fill a pool in order; a context manager. None of them: nothing happens."""

    def __init__(self, pool: Pool, numbers: range, workers: int) -> None:
        """``numbers``: of the examples to make, in that order."""
        context = multiprocessing.get_context("spawn")
        pool.folder.mkdir(parents=True, exist_ok=True)
        self._processes: list[BaseProcess] = [
            context.Process(target=_fill, args=(pool, numbers[k::workers]), daemon=True)
            for k in range(workers)
        ]

    def __enter__(self) -> Self:
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()


def unmoved_by_interrupts(_number: int = 0) -> None:
    """Shield a worker process: Ctrl-C reaches the whole group, but the main process decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


def _fill(pool: Pool, numbers: range) -> None:
    unmoved_by_interrupts()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # which lets go of what it claimed
    for number in numbers:
        pool.produce(number)
