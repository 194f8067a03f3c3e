"""Builds ``vdenoise/compiled/kernels.so`` for a wheel or an editable installation.

Where there is no C compiler the installation is pure Python, and torch computes what the compiled
functions would. ``python hatch_build.py`` builds in place.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand
    BuildHookInterface = object

SOURCES = Path(__file__).parent / "vdenoise" / "compiled"
LIBRARY = SOURCES / "kernels.so"
# No operation is contracted: then every processor computes the same bits.
FLAGS = ("-O3", "-std=gnu11", "-fPIC", "-ffp-contract=off", "-fno-math-errno", "-Wno-psabi")
X86 = ("x86_64", "AMD64")


class CompiledHook(BuildHookInterface):  # type: ignore[misc, valid-type]
    """What hatchling calls."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Put the library into the wheel, which then is one for this platform."""
        if self.target_name != "wheel" or not built():
            return
        build_data["artifacts"].append(f"vdenoise/compiled/{LIBRARY.name}")
        build_data["pure_python"] = False
        system = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{system}"


def built() -> bool:
    """Compile, and put the library in its place; False where that cannot be."""
    compiler = os.environ.get("CC") or shutil.which("cc")
    if compiler is None or sys.platform == "win32":
        return _without("there is no C compiler")
    sets: tuple[tuple[str, ...], ...] = ((),)
    if platform.machine() in X86:
        avx2, wide = ("-march=haswell", "-DAVX2"), ("f", "bw", "dq", "vl")
        sets += (avx2, (*avx2, *(f"-mavx512{part}" for part in wide), "-DAVX512"))
    with tempfile.TemporaryDirectory(dir=SOURCES) as folder:
        objects = [f"{folder}/{n}.o" for n in range(len(sets))]
        fresh = Path(folder) / LIBRARY.name
        jobs = [
            (*FLAGS, *flags, "-c", SOURCES / "kernels.c", "-o", target)
            for flags, target in zip(sets, objects, strict=True)
        ]
        for job in (*jobs, ("-shared", *objects, "-o", fresh)):
            done = subprocess.run([compiler, *map(str, job)], check=False)
            if done.returncode:
                return _without(f"{compiler} failed")
        fresh.replace(LIBRARY)  # whoever has the old one open keeps it
    return True


def _without(why: str) -> bool:
    """An installation that works all the same; ``vdenoise doctor`` says so too."""
    print(f"vdenoise: {why}, so torch computes the inner loops")  # noqa: T201
    LIBRARY.unlink(missing_ok=True)
    return False


if __name__ == "__main__":
    sys.exit(0 if built() else 1)
