"""Stages of other packages: entry points of the group ``vdenoise.stages``.

An entry point is called as the stage is, ``slot.method``, and names its class. Looking for them
takes a tenth of a second: nobody looks before a name is asked for that is none of our own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from vdenoise.errors import UsageError

if TYPE_CHECKING:
    from vdenoise.stages.base import Stage

GROUP = "vdenoise.stages"


@dataclass(frozen=True)
class PlugIn:
    """A stage that another package brings."""

    name: str  # ``slot.method``
    package: str  # its name and version
    point: EntryPoint

    def load(self) -> type[Stage]:
        """Its class.

        Raises:
            UsageError: the package is broken, or it is no stage of this name.
        """
        from vdenoise.stages.base import Stage

        try:
            found = self.point.load()
        except Exception as error:  # whatever another's module does when it is imported
            raise self._broken(f"{type(error).__name__}: {error}") from error
        if not (isinstance(found, type) and issubclass(found, Stage)):
            raise self._broken(f"{self.point.value} is no class of a stage")
        slot, _, method = self.name.partition(".")
        if (getattr(found, "slot", None), getattr(found, "method", None)) != (slot, method):
            raise self._broken(f"{self.point.value} is a stage of another slot or method")
        return found

    def _broken(self, why: str) -> UsageError:
        return UsageError(
            f"The stage {self.name} of the package {self.package} cannot be used: {why}.",
            "Update that package, take it away, or choose another method.",
            number=180,
        )


@cache
def plug_ins() -> Mapping[str, PlugIn]:
    """Stages of all packages that are installed, by name; of two that are called alike one."""
    found: dict[str, PlugIn] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda p: (p.name, p.value)):
        package = "" if point.dist is None else f"{point.dist.name} {point.dist.version}"
        found.setdefault(point.name, PlugIn(point.name, package, point))
    return found


def packages(stages: Iterable[Stage]) -> dict[str, str]:
    """Name and version of the package that each stage of others comes from."""
    from vdenoise.stages import STAGES

    others = [stage.name for stage in stages if stage.name not in STAGES]
    return {name: plug_ins()[name].package for name in others if name in plug_ins()}


def fingerprint(stage: Stage) -> str | None:
    """Which release of which package a stage of others comes from, and the hashes of the files
    that it computes with; None for neither. A farm plan records it, and a task with another one
    refuses to start."""
    package = packages([stage]).get(stage.name)
    parts = ([] if package is None else [package]) + [file.sha256 for file in stage.files]
    return " ".join(parts) or None
