"""What happened in an output folder: which jobs were begun, by which process."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vdenoise.batch.jobs import ClipJob
from vdenoise.batch.turns import unwritable
from vdenoise.errors import OutputError
from vdenoise.machine.files import remove_orphans

JOURNAL = "vdenoise-batch.jsonl"
_HEAD_BYTES = 4096
_NO_TEXT = {*range(1, 32)} - {*b"\t\n\r"}  # zeros are there where power was lost


@dataclass
class Journal:
    """What happened in this output folder, one JSON object a line, appended as it happens."""

    path: Path
    begun: dict[str, int] = field(default_factory=dict)  # output: process that may have left parts
    unfinished: set[str] = field(default_factory=set)  # outputs whose job was begun and not done

    _read: int = 0  # bytes

    @classmethod
    def open(cls, folder: Path) -> Journal:
        """Read what earlier batches wrote."""
        found = cls(folder / JOURNAL)
        found.read_on()
        return found

    def see_own(self) -> None:
        """See that what has the journal's name is a text of this folder, to which lines may be
        added: no link to somebody's file, and no clip that was called so.

        Raises:
            OutputError: it is not.
        """
        if self.path.is_symlink():
            what = "a link"
        elif self.path.is_file() and not self._is_text():
            what = "no journal of a batch"
        else:
            return
        raise OutputError(
            f"{self.path} is {what}.", "Move it away, or choose another folder.", number=71
        )

    def _is_text(self) -> bool:
        with self.path.open("rb") as file:
            return _NO_TEXT.isdisjoint(file.read(_HEAD_BYTES))

    def read_on(self) -> None:
        """Read what was written since, by this or another batch; a line that was cut short is
        passed over."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        self._read += len(data)
        for line in data.decode("utf-8", "replace").splitlines():
            try:
                entry = json.loads(line)
                event, output = entry["event"], str(entry["output"])
                if event == "start":
                    self.begun[output] = int(entry["pid"])
                    self.unfinished.add(output)
                elif event == "done":
                    self.unfinished.discard(output)
            except (ValueError, KeyError, TypeError, RecursionError):
                continue

    def write(self, event: str, job: ClipJob, **values: Any) -> None:
        """Append a line.

        Raises:
            OutputError: it cannot be written.
        """
        line = {"ts": round(time.time(), 3), "event": event, "input": str(job.source)}
        line |= {"output": str(job.output), "host": socket.gethostname(), **values}
        try:
            with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            raise unwritable(self.path, error) from error


def tidy(job: ClipJob, pid: int) -> None:
    """Remove the unfinished files that the process ``pid`` left beside an output, unless it is at
    work, here or on another machine."""
    remove_orphans(job.output.parent, pid)
