"""Names of files as machines see them that mount the same folders elsewhere."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Self

from vdenoise.errors import UsageError
from vdenoise.machine.files import read_json

VARIABLE = "VDENOISE_PATH_MAP"
SEPARATOR = ";"  # everywhere: names of Windows hold a colon
_WINDOWS = re.compile(r"[A-Za-z]:([\\/]|$)|\\\\|//")

Pure = PurePosixPath | PureWindowsPath


@dataclass(frozen=True)
class PathMap:
    """Folders by where another machine has them, and where they are here.

    Args:
        rules: from and to; of several that fit, the one that says most of the name counts.
    """

    rules: tuple[tuple[Pure, Pure], ...] = ()

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        """Read maps typed as ``FROM=TO``.

        Raises:
            UsageError: one is of another form, or a name would be mapped once more when it was
                mapped already: tasks hand names on to others.
        """
        found = cls(tuple(_rule(text) for text in texts if text.strip()))
        for _, there in found.rules:
            if found(str(there)) != str(there):
                raise UsageError(
                    f"{there} would be mapped once more, to {found(str(there))}.",
                    "Let no folder that names are mapped to lie in one that is mapped.",
                    number=194,
                )
        return found

    @classmethod
    def of_variable(cls) -> Self:
        """Read the variable ``VDENOISE_PATH_MAP``: ``FROM=TO;FROM=TO``."""
        return cls.of(os.environ.get(VARIABLE, "").split(SEPARATOR))

    @classmethod
    def of_rules_file(cls, path: Path) -> Self:
        """Read the rules that Open Job Description gives a session (``pathmapping-1.0``).

        Raises:
            UsageError: they cannot be read.
        """
        try:
            told = read_json(path)
            return cls(tuple(_told(rule) for rule in told.get("path_mapping_rules", ())))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{path} holds no path mapping rules of Open Job Description: "
                f"{type(error).__name__}: {error}.",
                "Give the session's file, {{Session.PathMappingRulesFile}}.",
                number=193,
            ) from error

    def for_this_system(self) -> Self:
        """The rules that lead to folders of this system: ``P:\\shots`` is for machines that have
        drives, so that one job may serve a farm of both kinds."""
        kind = PureWindowsPath if os.name == "nt" else PurePosixPath
        return type(self)(tuple(rule for rule in self.rules if isinstance(rule[1], kind)))

    def __add__(self, other: PathMap) -> PathMap:
        """Both; of two rules for the same folder the first counts."""
        return PathMap(self.rules + other.rules)

    def __call__(self, name: str) -> str:
        """The name here; one that lies in no folder of the rules stays as it is."""
        found = self._rule_for(name)
        if found is None:
            return name
        rest, there = found
        return str(there.joinpath(*rest))

    def covers(self, name: str) -> bool:
        """Whether a rule says where this name is."""
        return self._rule_for(name) is not None

    def _rule_for(self, name: str) -> tuple[tuple[str, ...], Pure] | None:
        best: tuple[int, tuple[str, ...], Pure] | None = None
        for folder, there in self.rules:
            path = type(folder)(name)
            if path.is_relative_to(folder) and (best is None or len(folder.parts) > best[0]):
                best = len(folder.parts), path.relative_to(folder).parts, there
        return None if best is None else best[1:]


UNMAPPED = PathMap()  # every name means the same everywhere


def _rule(text: str) -> tuple[Pure, Pure]:
    places = [place for place, letter in enumerate(text) if letter == "="]
    sides = [(text[:place].strip(), text[place + 1 :].strip()) for place in places]
    whole = [side for side in sides if all(map(_is_whole, side))]  # a folder may hold one, too
    if not whole:
        raise UsageError(
            f"{text!r} does not say where a folder is: two whole paths, FROM=TO.",
            f"For example: --map /mnt/a=/Volumes/a, or {VARIABLE}='/mnt/a=/Volumes/a"
            f"{SEPARATOR}P:\\b=/mnt/b'",
            number=197,
        )
    folder, there = whole[0]
    return _pure(folder), _target(there)


def _told(rule: dict[str, Any]) -> tuple[Pure, Pure]:
    windows = str(rule["source_path_format"]).upper() == "WINDOWS"
    folder, there = str(rule["source_path"]), str(rule["destination_path"])
    return (PureWindowsPath if windows else PurePosixPath)(folder), _target(there)


def _is_whole(name: str) -> bool:
    return name.startswith("/") or _WINDOWS.match(name) is not None


def _target(name: str) -> Pure:
    """Where a rule leads: two slashes begin a share of Windows there, and here a folder."""
    return PurePosixPath(name) if name.startswith("//") and os.name != "nt" else _pure(name)


def _pure(name: str) -> Pure:
    if _WINDOWS.match(name) is None:
        return PurePosixPath(name)
    return PureWindowsPath(f"{name}\\" if name.endswith(":") else name)  # a drive is its top
