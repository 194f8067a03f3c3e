"""Ablations: one configuration, a list of changes to it, several seeds each, one table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vdenoise.errors import UsageError, fault_of
from vdenoise.machine.files import write_text
from vdenoise.training import log
from vdenoise.training.config import Config, overridden, read_toml
from vdenoise.training.loop import Ended, Trained

TABLE = "ablation"  # .csv, .json, .md


class Change(BaseModel):
    """A row of the table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[\w.+-]+$", description="Also the name of its folders.")
    set: tuple[str, ...] = Field(default=(), description="Overrides, key=value.")


class Ablation(BaseModel):
    """What is compared: a TOML file with ``seeds`` and a table ``[[ablation]]`` for each row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seeds: tuple[int, ...] = Field(default=(1, 2, 3), min_length=1)
    ablation: tuple[Change, ...] = Field(min_length=1)

    @classmethod
    def load(cls, path: Path) -> Ablation:
        """Read it.

        Raises:
            UsageError: it is missing or wrong.
        """
        try:
            return cls.model_validate(read_toml(path))
        except ValidationError as error:
            raise UsageError(
                f"{path} is no list of ablations: {fault_of(error)}.",
                "It needs seeds = [1, 2] and [[ablation]] tables with name and set.",
                number=118,
            ) from error


@dataclass(frozen=True)
class AblationRow:
    """What one change gave, over its seeds."""

    name: str
    set: tuple[str, ...]
    seeds: int
    psnr_db: float  # mean over seeds of the best validation
    psnr_std: float  # 0 for one seed
    gain_db: float  # over what the network was given
    seconds: float  # mean of a run
    by_kind: Mapping[str, float]


def ablate(
    data: Mapping[str, Any],
    ablation: Ablation,
    folder: Path,
    run: Callable[[str, Config, Path], Trained],
) -> tuple[list[AblationRow], Ended]:
    """Train every variant, each in a folder of its own; those that are done are left as they are.

    Args:
        data: the common configuration, as read.
        ablation: the changes and seeds.
        folder: for the variants' folders and the table.
        run: trains a variant, by name, and says how that ended.

    Returns:
        the rows, and ``asked`` where it was stopped before all were trained.
    """
    rows: list[AblationRow] = []
    for change in ablation.ablation:
        for seed in ablation.seeds:
            config, place = _variant(data, change, seed), _place(folder, change, seed)
            if run(f"{change.name}, seed {seed}", config, place).ended == "asked":
                return rows, "asked"
        rows.append(_row(change, [_place(folder, change, seed) for seed in ablation.seeds]))
        save(rows, folder)
    return rows, "done"


def save(rows: Sequence[AblationRow], folder: Path) -> None:
    """Write the table as CSV, JSON and Markdown."""
    found = [asdict(row) for row in rows]
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    write_text(folder / f"{TABLE}.json", text)
    cells = [cells_of(row) for row in rows]
    sheet = io.StringIO()
    csv.writer(sheet).writerows([HEAD, *cells])
    write_text(folder / f"{TABLE}.csv", sheet.getvalue())
    lines = [HEAD, ("---",) * len(HEAD), *cells]
    page = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    write_text(folder / f"{TABLE}.md", page)


HEAD = ("variant", "changes", "seeds", "PSNR dB", "std", "gain dB", "seconds")


def cells_of(row: AblationRow) -> tuple[str, ...]:
    """A row for people, under `HEAD`."""
    numbers = (f"{row.psnr_db:.3f}", f"{row.psnr_std:.3f}", f"{row.gain_db:+.3f}")
    return row.name, " ".join(row.set) or "-", str(row.seeds), *numbers, f"{row.seconds:.0f}"


def _variant(data: Mapping[str, Any], change: Change, seed: int) -> Config:
    return Config.of(overridden(data, [*change.set, f"seed={seed}"]), f"variant {change.name}")


def _place(folder: Path, change: Change, seed: int) -> Path:
    return folder / f"{change.name}-{seed}"


def _row(change: Change, places: Sequence[Path]) -> AblationRow:
    best = [max(log.read(place), key=lambda line: line.validation_db) for place in places]
    last = [log.read(place)[-1] for place in places]
    scores = [line.validation_db for line in best]
    kinds = {kind for line in best for kind in line.by_kind}
    return AblationRow(
        name=change.name,
        set=change.set,
        seeds=len(places),
        psnr_db=mean(scores),
        psnr_std=stdev(scores) if len(scores) > 1 else 0.0,
        gain_db=mean([line.gain_db for line in best]),
        seconds=mean([line.seconds for line in last]),
        by_kind={kind: mean([line.by_kind[kind] for line in best]) for kind in sorted(kinds)},
    )
