"""A run that the page starts: a process of its own, with the command line that the page shows."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from vdenoise.errors import UsageError
from vdenoise.machine.process import PARENT_VARIABLE, python

GRACE_SECONDS = 20.0  # for a run to drop its work after a signal


@dataclass(frozen=True)
class RenderState:
    """How far a run is.

    Attributes:
        state: ``none`` before the first.
        phase: what it does: look, denoise.
        done, total: frames of the phase.
        left: seconds until the phase is done, None before that is known.
        text: its last words: what was written, or why it was not.
        hint: what to do about it.
    """

    state: Literal["none", "running", "done", "failed", "stopped"] = "none"
    phase: str = ""
    done: int = 0
    total: int = 0
    left: float | None = None
    text: str = ""
    hint: str = ""


class Rendering:
    """Runs in the background, at most one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._asked_to_stop = False
        self.progress = RenderState()

    def start(self, words: Sequence[str]) -> None:
        """Begin a run.

        Args:
            words: of ``vdenoise run``, from ``vdenoise`` on.

        Raises:
            UsageError: one is under way.
        """
        with self._lock:
            if self.is_running():
                raise UsageError(
                    "A render is under way.", "Wait until it is done, or stop it.", number=203
                )
            self._asked_to_stop = False
            self.progress = RenderState("running", phase="start")
            self._process = subprocess.Popen(
                [*python(words[0]), *words[1:], "--progress", "json"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
                start_new_session=True,  # a Ctrl-C comes to us, and we pass it on
            )
            self._reader = threading.Thread(
                target=self._read, args=(self._process,), name="vdenoise-render"
            )
            self._reader.start()

    def is_running(self) -> bool:
        """Whether a run is under way."""
        return self.progress.state == "running"

    def stop(self) -> None:
        """End the run that is under way, if one is, and wait until it has dropped its work."""
        with self._lock:
            process, reader = self._process, self._reader
            if process is None or reader is None:
                return
            self._asked_to_stop = True
            process.terminate()
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            reader.join()
            self._process = self._reader = None

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        why = hint = ""
        with process.stderr:
            for line in process.stderr:
                with contextlib.suppress(ValueError):  # what libraries say is no event
                    event = json.loads(line.decode(errors="replace"))
                    if isinstance(event, dict):
                        self._hear(event)
                        if event.get("event") == "error":
                            why, hint = event["what"], event["hint"]
        code = process.wait()
        if code == 0:
            self.progress = replace(self.progress, state="done", left=None)
        elif self._asked_to_stop:
            self.progress = RenderState("stopped", text="Stopped: nothing was written.")
        else:
            why = why or f"The run ended with {code}."
            self.progress = RenderState("failed", text=why, hint=hint)

    def _hear(self, event: dict[str, Any]) -> None:
        name, now = event.get("event"), self.progress
        if name == "start":
            self.progress = replace(
                now, phase=event["phase"], done=0, total=event["frames"], left=None
            )
        elif name == "progress":
            done, total, left = event["done"], event["total"], event["eta_s"]
            self.progress = replace(now, phase=event["phase"], done=done, total=total, left=left)
        elif name == "done":
            self.progress = replace(now, text=f"Written: {event.get('output', '')}")
