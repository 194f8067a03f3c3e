"""Which files and addresses this process opens, in Python and in libraries alike.

`faults.c` writes calls down; it has to be loaded before all else (`forked.preloaded`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.forked import written_down

ADDRESS = "an address"  # what `faults.c` calls where a connection leads
_ROOT = Path(__file__).resolve().parent.parent
# What is read of the system and the installation, whatever the input: modules, libraries, zones.
SYSTEM = tuple(
    dict.fromkeys(
        str(name)
        for place in (
            sys.prefix,
            sys.base_prefix,
            *(_ROOT / n for n in ("vdenoise", "presets")),
            *("/usr", "/lib", "/sys"),
        )
        for name in (place, Path(place).resolve())  # an environment may be a link
    )
)
_NOWHERE = ("/proc/self/", "/dev/null", "/dev/urandom", "/dev/random")


class Opened:
    """What this process opens from now on.

    Args:
        log: a file for it.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._usual: set[str] = set()
        written_down("oc", "", log)()

    def since(self) -> set[str]:
        """What was opened since it was last asked: names as they were given, made absolute."""
        lines = self._log.read_text("utf-8", "replace").splitlines()
        os.truncate(self._log, 0)
        names = {line.split("\t")[1] for line in lines if line.count("\t") == 2}
        return {n if n == ADDRESS else str(Path.cwd() / n) for n in names} - {str(self._log)}

    def learn(self) -> None:
        """What was opened by now is usual: a sound input does it too."""
        self._usual |= self.since() - {ADDRESS}

    def strangers(self, named: Iterable[Path], text: str = "") -> list[str]:
        """What was opened that nobody had named.

        Args:
            named: files, and folders with all that is in them.
            text: names in it count as well.
        """
        places = [*map(str, named), *SYSTEM]
        return sorted(
            name
            for name in self.since() - self._usual
            if name not in text
            and not name.startswith(_NOWHERE)
            and not any(name == place or name.startswith(f"{place}/") for place in places)
        )
