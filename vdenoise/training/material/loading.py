"""The batch of every step, put together when it is wanted or ahead by other processes."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from vdenoise.training.config import Config
from vdenoise.training.material.batches import Batch, batch
from vdenoise.training.material.fresh import Frames, crops
from vdenoise.training.material.pool import Pool, crop, unmoved_by_interrupts


def draw(config: Config, pool: Pool, frames: Frames, step: int) -> Batch:
    """The batch of a step: a function of (configuration, step)."""
    data = config.data
    rng = np.random.Generator(np.random.Philox(key=[config.seed, step]))
    known = data.drawn_from(step, config.steps)
    fresh = int(rng.binomial(config.batch, data.fresh.share)) if data.fresh.share else 0
    found = crops(data.fresh, frames, fresh, config.crop, rng)
    found += [
        crop(pool.wait(int(n), producing=data.workers > 0), config.crop, rng)
        for n in rng.integers(known.start, known.stop, size=config.batch - fresh)
    ]
    return batch(found, config.jitter, rng)


def batches(
    config: Config, pool: Pool, first: int, device: torch.device
) -> Generator[Batch, None, None]:
    """The batches from step ``first`` on, put together ahead where the configuration says so."""
    frames = Frames(pool.sources)
    if config.data.loaders == 0:
        yield from (draw(config, pool, frames, step) for step in range(first, config.steps))
        return
    loader = DataLoader(
        _Steps(config, pool, frames),
        batch_size=None,
        sampler=range(first, config.steps),
        num_workers=config.data.loaders,
        multiprocessing_context="spawn",
        worker_init_fn=unmoved_by_interrupts,
        pin_memory=device.type == "cuda",
    )
    yield from loader


@dataclass(frozen=True, eq=False)
class _Steps(Dataset[Batch]):
    """The batch of each step, for torch's loader."""

    config: Config
    pool: Pool
    frames: Frames

    def __getitem__(self, step: int) -> Batch:
        return draw(self.config, self.pool, self.frames, step)

    def __len__(self) -> int:
        return self.config.steps
