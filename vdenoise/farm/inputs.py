"""What a plan reads beside its clip (weights, profiles, masks): found again on any machine.

Small files travel inside the plan, all others are named and hashed. A machine takes its own file
where it holds the same, else the plan's copy, which it lays into the work folder.
"""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from vdenoise.errors import ConflictError
from vdenoise.farm.record import Record
from vdenoise.machine.files import frozen, replacing
from vdenoise.machine.path_map import UNMAPPED, PathMap
from vdenoise.masks.parse import point_file
from vdenoise.media.access import make_folder, writing
from vdenoise.nets.models import SUFFIXES
from vdenoise.settings.groups import MASK

SMALL_BYTES = 512 << 10  # that travel inside a plan: profiles, stills, weights of a small network
FOLDER = "inputs"  # in the work folder
Where = Callable[[str], str]


class InputRecord(Record):
    """A file as it was when the plan was made."""

    path: str
    sha256: str
    content: str | None  # compressed by zlib, in base 64; None where it is large

    @classmethod
    def of(cls, path: Path) -> Self:
        """Record a file."""
        data = path.read_bytes()
        small = len(data) <= SMALL_BYTES
        return cls(
            path=str(path),
            sha256=hashlib.sha256(data).hexdigest(),
            content=b64encode(zlib.compress(data)).decode() if small else None,
        )

    def data(self) -> bytes | None:
        """What the plan holds of it, None where it holds nothing (that is what was hashed)."""
        if self.content is None:
            return None
        try:
            found = zlib.decompressobj().decompress(b64decode(self.content), SMALL_BYTES)
        except (ValueError, zlib.error):
            return None
        return found if hashlib.sha256(found).hexdigest() == self.sha256 else None


@dataclass(frozen=True)
class Places:
    """Where the files of a plan are on this machine.

    Args:
        path_map: of folders that are mounted elsewhere.
        inputs: of the plan.
        work: the work folder, for copies of what is not here; None lays none.
    """

    path_map: PathMap = UNMAPPED
    inputs: tuple[InputRecord, ...] = ()
    work: Path | None = None

    def find(self, name: str) -> str:
        """Where a file that is read is, by its name in the plan.

        Raises:
            ConflictError: it is another file than the plan was made with.
            OutputError: its copy cannot be laid into the work folder.
        """
        here = self.path_map(name)
        record = next((one for one in self.inputs if one.path == name), None)
        if record is None or _hash(Path(here)) == record.sha256:
            return here
        data = record.data()
        if data is not None and self.work is not None:
            return str(_laid(self.work / FOLDER / record.sha256[:12] / Path(here).name, data))
        if Path(here).exists():
            raise ConflictError(
                f"{here} is not the file that the plan was made with.",
                "Put it back, or make the plan again with: vdenoise plan.",
                number=16,
            )
        return here

    def name(self, place: str) -> str:
        """What a file that is read is called in the plan, by where it is here."""
        named = {self.find(one.path): one.path for one in self.inputs}
        return named.get(place, place)


AS_NAMED = Places()  # every file is where the plan says


def _hash(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    except (OSError, ValueError):
        return None


def _laid(path: Path, data: bytes) -> Path:
    if not path.exists():
        make_folder(path.parent)
        with writing(path), replacing(path) as part:
            part.write_bytes(data)
    return path


def moved(values: Mapping[str, Any], where: Where) -> dict[str, Any]:
    """Values by full name, with the files among them called as ``where`` says."""
    found = dict(values)
    for key, value in values.items():
        if key.startswith(f"{MASK}."):
            found[key] = point_file(value, where)
        elif _is_file(key, value):
            found[key] = where(str(value))
    return found


def _is_file(key: str, value: Any) -> bool:
    if key in ("grain.file", "hot.map"):
        return bool(value)
    return key == "net.model" and Path(str(value)).suffix in SUFFIXES


def anywhere(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same with files named so that they are found from any folder."""
    return moved(values, lambda name: str(frozen(Path(name))))


def files_in(values: Mapping[str, Any]) -> Iterator[str]:
    """Names of the files among values by full name."""
    found: list[str] = []

    def noted(name: str) -> str:
        found.append(name)
        return name

    moved(values, noted)
    return iter(found)


def record_files(values: Mapping[str, Any]) -> Iterator[InputRecord]:
    """Records of the single files among values by full name: patterns name none."""
    for name in files_in(values):
        if Path(name).is_file():
            yield InputRecord.of(Path(name))
