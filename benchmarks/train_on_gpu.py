"""Train in runs of a few minutes that go on one from the other, on a machine that starts bare.

On your own machine, once:

    vdenoise train pack DATA -o pack                        # 60 MiB at most
    pip download av kornia pydantic --only-binary :all: --python-version 3.12 -d wheels

On the GPU machine, as often as there is time:

    python3 benchmarks/train_on_gpu.py guided-m --pack pack --wheels wheels --state state \\
        --out state --minutes 9

It installs what Python lacks (from the wheels, where there is no network), goes on from the parts
in --state if there are any, trains until the time is over, and leaves the state in --out: the
checkpoint, the best weights, their card, log and curves, as parts of at most 15 MiB. Pack, wheels
and state are kept in --scratch, so that they can be sent in calls of their own and left away while
the machine stays. Examples are functions of seed and number and are made anew on each machine. The
same command with --device cpu trains on a CPU.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PART_BYTES = 15 << 20
RESERVED_CORES = 2  # for the training process and the driver
LOADER_SHARE = 4  # one loader of batches for so many cores
GPU = {"batch": 48, "crop": 128, "compile": "true"}  # recipes are written for CPUs
KEPT = ("checkpoint.pt", "config.json", "weights.*", "log.*", "curves.png")
NEEDED = ("av", "cv2", "kornia", "pydantic", "safetensors", "click", "rich")
PACKAGES = {"cv2": "opencv-python-headless"}


def install(wheels: Path | None, scratch: Path, more: Sequence[str] = ()) -> None:
    """Install what this Python lacks of what training needs, and of ``more``."""
    missing = [
        PACKAGES.get(name, name)
        for name in (*NEEDED, *more)
        if subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True).returncode
    ]
    if not missing:
        return
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    pip += ["--target", str(scratch / "packages")]
    if wheels is None:
        subprocess.run([*pip, *missing], check=True)
    else:
        subprocess.run([*pip, "--no-deps", *sorted(wheels.glob("*.whl"))], check=True)


def unpack(parts: Path, run: Path) -> None:
    """Restore a run's folder from the parts an earlier one left."""
    data = b"".join(path.read_bytes() for path in sorted(parts.glob("state.*")))
    if data:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            archive.extractall(run, filter="data")


def pack(run: Path, parts: Path) -> None:
    """Leave a run's folder as parts, and what people look at as it is."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for path in sorted(path for pattern in KEPT for path in run.glob(pattern)):
            archive.add(path, path.name)
    parts.mkdir(parents=True, exist_ok=True)
    for old in parts.glob("state.*"):
        old.unlink()
    data = held.getvalue()
    for number, start in enumerate(range(0, len(data), PART_BYTES)):
        (parts / f"state.{number:02d}").write_bytes(data[start : start + PART_BYTES])
    for name in ("log.csv", "curves.png"):
        if (run / name).exists():
            shutil.copyfile(run / name, parts / name)


def overrides(device: str, scratch: Path, cores: int) -> list[str]:
    """What differs from the recipe here."""
    loaders = max(1, cores // LOADER_SHARE)
    values: dict[str, object] = {"data.folder": scratch / "data", "data.pool": scratch / "pool"}
    if device != "cpu":
        workers = max(1, cores - loaders - RESERVED_CORES)
        values |= {"data.loaders": loaders, "data.workers": workers, **GPU}
    return [f"{key}={value}" for key, value in values.items()]


def main(words: Sequence[str] | None = None) -> int:
    """Do as the module's text says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", help="as for vdenoise train")
    parser.add_argument("--pack", type=Path, help="data, from vdenoise train pack")
    parser.add_argument("--wheels", type=Path, help="packages, where there is no network")
    parser.add_argument("--state", type=Path, help="what an earlier run left")
    parser.add_argument("--out", type=Path, required=True, help="where the state goes")
    parser.add_argument("--scratch", type=Path, default=Path("/tmp/vdenoise-train"))
    parser.add_argument("--minutes", type=float, default=9.0, help="0: only send and install")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--override", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args(words)
    run = args.scratch / "run"
    run.mkdir(parents=True, exist_ok=True)
    install(args.wheels, args.scratch)
    if args.pack is not None:
        shutil.copytree(args.pack, args.scratch / "data", dirs_exist_ok=True)
    if args.state is not None:
        unpack(args.state, run)
    if args.minutes == 0:
        return 0
    call = [sys.executable, "-m", "vdenoise", "train", args.recipe, "-o", str(run)]
    call += ["--device", args.device, "--max-minutes", str(args.minutes), "--progress", "plain"]
    cores = len(os.sched_getaffinity(0))
    for word in (*overrides(args.device, args.scratch, cores), *args.override):
        call += ["--override", word]
    paths = [str(ROOT), str(args.scratch / "packages"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    status = subprocess.run(call, env=environment).returncode
    pack(run, args.out)
    return status


if __name__ == "__main__":
    sys.exit(main())
