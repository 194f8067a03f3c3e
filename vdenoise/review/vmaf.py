"""VMAF (Netflix), by the ffmpeg program where there is one that has it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from vdenoise.machine.owner import temporary_prefix

MISSING = "there is no ffmpeg program"
LACKING = "this ffmpeg was built without libvmaf"


def why_no_vmaf() -> str:
    """Why VMAF cannot be measured here; empty where it can."""
    program = shutil.which("ffmpeg")
    if program is None:
        return MISSING
    listed = subprocess.run(
        [program, "-hide_banner", "-filters"], capture_output=True, text=True, check=False
    )
    return "" if " libvmaf " in listed.stdout else LACKING


def vmaf(reference: Path, test: Path) -> float | None:
    """Pooled mean of VMAF's default model, 0 to 100; None where ffmpeg could not say.

    Args:
        reference, test: movies of the same frames.
    """
    with tempfile.TemporaryDirectory(prefix=temporary_prefix()) as folder:
        log = Path(folder) / "vmaf.json"
        graph = f"[0:v]setpts=N[a];[1:v]setpts=N[b];[a][b]libvmaf=log_fmt=json:log_path={log}"
        inputs = ["-i", str(test.absolute()), "-i", str(reference.absolute())]
        command = ["ffmpeg", "-hide_banner", "-nostdin", *inputs, "-lavfi", graph]
        done = subprocess.run([*command, "-f", "null", "-"], capture_output=True, check=False)
        if done.returncode != 0 or not log.exists():
            return None
        found = json.loads(log.read_text(encoding="utf-8"))
        return float(found["pooled_metrics"]["vmaf"]["mean"])
