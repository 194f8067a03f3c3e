"""Options that are switches as well: ``--dust`` is ``--dust 1``."""

from __future__ import annotations

import re
from collections.abc import Sequence

# The strengths of what repairs damage; most people want them on or off.
SWITCHES: dict[str, str] = {
    "--dust": "dust.strength",
    "--scratches": "scratches.strength",
    "--hot-pixels": "hot.strength",
    "--lines": "lines.strength",
    "--stabilise": "weave.strength",
    "--deflicker": "flicker.strength",
}
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)$")


def with_strengths(args: Sequence[str]) -> list[str]:
    """What was typed, with 1 behind each switch that no number follows."""
    found: list[str] = []
    for n, word in enumerate(args):
        found.append(word)
        if word == "--":  # file names follow
            return [*found, *args[n + 1 :]]
        following = args[n + 1] if n + 1 < len(args) else ""
        if word in SWITCHES and not _NUMBER.match(following):
            found.append("1")
    return found
