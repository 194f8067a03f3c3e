"""JSON files of a job: written whole or not at all, and read again unchanged."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from vdenoise.errors import ConflictError, OutputError, UsageError, fault_of
from vdenoise.machine.files import read_json, write_text


class Record(BaseModel):
    """Anything written to a JSON file and read again unchanged."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Saved = TypeVar("Saved", bound=Record)


def digest(value: Any) -> str:
    """SHA-256 of a value as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()


def read_record(cls: type[Saved], path: Path, what: str, hint: str) -> Saved:
    """Read a JSON file.

    Raises:
        UsageError: it is missing, or not of this kind.
        ConflictError: it is of another schema.
    """
    try:
        found = read_json(path)
        _check_schema(cls, found, path, what, hint)
        return cls.model_validate(found)
    except OSError as error:
        raise UsageError(
            f"Cannot read the {what} {path}: {error.strerror}.", hint, number=143
        ) from error
    except ValueError as error:
        raise UsageError(f"{path} is no {what}: {fault_of(error)}.", hint, number=94) from error


def _check_schema(cls: type[Record], found: Any, path: Path, what: str, hint: str) -> None:
    told = found if isinstance(found, dict) else {}
    kind, ours = (cls.model_fields.get(name) for name in ("kind", "schema_version"))
    if kind is None or ours is None or told.get("kind") != kind.default:
        return
    if told.get("schema_version") != ours.default:
        raise ConflictError(
            f"The {what} {path} is of another version of vdenoise: its schema is "
            f"{told.get('schema_version')}, and this one reads {ours.default}.",
            f"Use the version that wrote it, or make it again. {hint}",
            number=13,
        )


def write_record(record: Record, path: Path) -> None:
    """Write a JSON file: complete under its name, or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        write_text(path, _readable(record.model_dump(mode="json")) + "\n")
    except OSError as error:
        raise OutputError(
            f"Cannot write {path}: {error.strerror}.", "Check the folder and the disk.", number=20
        ) from error


def _readable(value: Any) -> str:
    """JSON with lists of numbers on one line: people read plans."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    return re.sub(r"\[[-+.\de,\s]*\]", lambda found: " ".join(found[0].split()), text)
