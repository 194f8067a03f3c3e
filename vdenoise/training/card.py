"""Cards: what weights were made of and how good they are, beside the weights."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vdenoise import __version__
from vdenoise.errors import UsageError
from vdenoise.machine.files import write_text
from vdenoise.nets import build
from vdenoise.nets.base import macs_per_pixel, parameters
from vdenoise.nets.models import Model
from vdenoise.picture.frame import ClipInfo
from vdenoise.training.adapting.adapt import Adapted
from vdenoise.training.checkpoint import State, save_weights
from vdenoise.training.config import Config
from vdenoise.training.validation import Score, sources

SCHEMA = 1
LICENCE = "Apache-2.0"  # of the weights
LICENCES = "LICENCES.md"  # beside the data: a table whose rows begin with a folder


def make_card(
    config: Config, weights: Path, state: State, score: Score, half: Score | None = None
) -> dict[str, Any]:
    """Everything worth knowing of weights.

    Args:
        config: what they were trained by.
        weights: the file.
        state: how far the run has come.
        score: their validation.
        half: the same with weights rounded to float16, where the file holds these.
    """
    net = build(config.network)
    return {
        "kind": "vdenoise-model-card",
        "schema": SCHEMA,
        "architecture": config.network,
        "parameters": parameters(net),
        "kmacs_per_pixel": round(macs_per_pixel(net) / 1e3, 1),
        "sha256": digest(weights),
        "weights": "float32" if half is None else "float16",
        "licence": LICENCE,
        "data": data_used(config),
        "training": {
            "recipe": recipe(config),
            "seed": config.seed,
            "steps": state.best_step,
            "supervised_pixels": state.pixels,
            "seconds": round(state.seconds),
            "hardware": state.machines,
            "vdenoise": __version__,
            "torch": torch.__version__,
        },
        "validation": {
            "what": f"{config.data.validation} examples made from "
            + (f"{', '.join(config.data.held_out)}, held out" if config.data.held_out else "data"),
            "unit": "PSNR over R'G'B', dB",
            "given": round(score.average, 3),  # the stages before
            "network": round((half or score).psnr, 3),
            "in_float32": round(score.psnr, 3),
            "by_kind": {kind: round(v, 2) for kind, v in (half or score).by_kind.items()},
        },
    }


def save_adapted(
    adapted: Adapted,
    model: Model,
    parameters: Mapping[str, Any],
    info: ClipInfo,
    target: Path,
) -> None:
    """Write adapted weights with a card: that of the network they came from, and what was done.

    Args:
        adapted: the network.
        model: that it came from.
        parameters: of the chain it was adapted in.
        info: the clip.
        target: a .safetensors file.
    """
    save_weights(adapted.net, model.architecture, target)
    check = adapted.check
    done = {
        "from": {"model": model.path.name, "sha256": model.sha256},
        "clip": info.path.name,
        "chain": {k: v for k, v in parameters.items() if not k.startswith("net.")},
        "steps": adapted.steps,
        "seconds": round(adapted.seconds, 1),
        "hardware": machine(torch.device("cpu")),
        "share_of_weights": round(adapted.share, 4),
        "held_out": {
            "redrawn_db": round(check.redrawn_db, 3),
            "neighbor_codes_squared": round(check.neighbor, 3),
            "neighbor_error": round(check.neighbor_error, 3),
        },
    }
    known = {k: v for k, v in model.card.items() if k != "validation"}
    own = {"sha256": digest(target), "weights": "float32", "adapted": done}
    save_card({**known, "architecture": model.architecture, **own}, target)


def save_card(card: Mapping[str, Any], weights: Path) -> None:
    """Write a card beside its weights."""
    text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    write_text(weights.with_suffix(".json"), text)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def recipe(config: Config) -> dict[str, Any]:
    """The configuration without the places of one machine; files by name and hash."""
    told = config.model_dump(mode="json")
    del told["data"]["folder"], told["data"]["pool"], told["data"]["workers"], told["threads"]
    for key in ("start", "teacher", "yardstick"):
        path = getattr(config, key)
        if path is not None:
            known = {"sha256": digest(path)} if path.exists() else {}
            told[key] = {"name": path.name, **known}
    return told


def data_used(config: Config) -> list[dict[str, Any]]:
    """Each folder of the data that was learned from: how much of it, where from, its licence.

    Raises:
        UsageError: a folder's licence is not stated.
    """
    root = config.data.folder
    counts: dict[str, dict[str, int]] = {}
    for source in sources(config)[0]:
        parts = source.paths[0].relative_to(root).parts[:2]
        folder = "/".join(parts if (root / Path(*parts)).is_dir() else parts[:1])
        count = counts.setdefault(folder, {"clips": 0, "stills": 0})
        count["stills" if source.is_still else "clips"] += 1
    stated = licences(root)
    return [
        {"folder": folder, **count, **stated.get(folder, {"licence": "not stated"})}
        for folder, count in sorted(counts.items())
    ]


def licences(folder: Path) -> dict[str, dict[str, str]]:
    """``from`` and ``licence`` of each folder, from the table in LICENCES.md; empty without it."""
    path = folder / LICENCES
    if not path.exists():
        return {}
    rows = [line.strip("|\n ").split("|") for line in path.read_text("utf-8").splitlines()]
    cells = [[cell.strip() for cell in row] for row in rows if len(row) >= 3]
    found: dict[str, dict[str, str]] = {}
    licence = ""
    for name, origin, stated, *_ in cells[2:]:
        licence = licence if stated == "same" else stated  # as in the row above
        found[name] = {"from": origin, "licence": licence}
    return found


def require_licences(card: Mapping[str, Any]) -> None:
    """See that weights may be given away.

    Raises:
        UsageError: the licence of some of the data is not stated.
    """
    unknown = [row["folder"] for row in card["data"] if row["licence"] == "not stated"]
    if unknown:
        raise UsageError(
            f"The licence of {', '.join(unknown)} is not stated.",
            f"State it in a table in {LICENCES} beside the data: folder | from | licence.",
            number=117,
        )


def machine(device: torch.device) -> str:
    """The processor or card that trains."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {torch.get_num_threads()} threads"
