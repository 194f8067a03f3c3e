"""Processes for jobs, each of its own, that begin with everything loaded.

Loading Python, torch and the rest costs more than denoising a short clip. So one process loads it
once, works on nothing, and divides (fork) for each job: the child is a process like any other, with
a memory, signals and an exit status of its own, and what becomes of it is nobody else's concern.
Where there is no safe fork - anywhere but on Linux - each job is started from nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Protocol, Self

from vdenoise.machine.process import PARENT_VARIABLE, python

SERVER = "vdenoise.cli.warm"  # what is started, by name: commands are above us
MESSAGE_BYTES = 1 << 20


class Worker(Protocol):
    """A job's process, as `subprocess.Popen` is one."""

    @property
    def pid(self) -> int:
        """Its number."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, once it has ended: minus a signal's number where one ended it.

        Raises:
            subprocess.TimeoutExpired: it has not, after ``timeout`` seconds.
        """
        ...

    def terminate(self) -> None:
        """Ask it to end."""
        ...

    def kill(self) -> None:
        """End it."""
        ...


class Workers:
    """A context manager that starts processes of ``vdenoise``.

    On leaving it none may be under way.
    """

    def __init__(self) -> None:
        self._server: _Server | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    def start(self, arguments: Sequence[str], said: int) -> Worker:
        """Start a process.

        Args:
            arguments: all behind ``vdenoise``.
            said: descriptor of a file that its standard error goes to.
        """
        if sys.platform != "linux":
            return subprocess.Popen(
                [*python("vdenoise"), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
                start_new_session=True,  # a Ctrl-C comes to us, and we pass it on
            )
        if self._server is not None and self._server.gone:
            self._server.close()
            self._server = None
        self._server = self._server or _Server()
        return _Forked(self._server, self._server.start(arguments, said))


class _Server:
    """The process that divides, and the lane to it: a message is one packet of JSON."""

    def __init__(self) -> None:
        self._lane, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [*python(SERVER), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self.gone = False
        self._ended: dict[int, int] = {}  # exit status by process, until it is asked for

    def close(self) -> None:
        """Let it end; so do the processes that it started."""
        self._lane.close()
        self._process.wait()

    def start(self, arguments: Sequence[str], said: int) -> int:
        """The number of a new process."""
        words = json.dumps({"arguments": list(arguments)}).encode()
        with contextlib.suppress(BrokenPipeError):
            socket.send_fds(self._lane, [words], [said])
        while (answer := self._hear(None)) is not None:
            if "pid" in answer:
                return int(answer["pid"])
            if "errno" in answer:
                raise OSError(answer["errno"], os.strerror(answer["errno"]))
        raise ChildProcessError(f"the process that starts jobs ended with {self._process.wait()}")

    def signal(self, pid: int, number: int) -> None:
        """Send a signal to a process, if it is still there."""
        with contextlib.suppress(BrokenPipeError):
            self._lane.send(json.dumps({"signal": number, "pid": pid}).encode())

    def status(self, pid: int, timeout: float | None) -> int:
        """The exit status of a process, once it has ended."""
        until = None if timeout is None else time.monotonic() + timeout
        while pid not in self._ended and not self.gone:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired(str(pid), timeout or 0)
            with contextlib.suppress(TimeoutError):
                self._hear(left)
        # With the server its processes end, too, and nobody can tell how.
        return self._ended.pop(pid, -signal.SIGKILL)

    def _hear(self, timeout: float | None) -> dict[str, Any] | None:
        """The next message; None where there is none any more."""
        self._lane.settimeout(timeout)
        try:
            data = self._lane.recv(MESSAGE_BYTES)
        except ConnectionResetError:
            data = b""
        self._lane.settimeout(None)
        if not data:
            self.gone = True
            return None
        message: dict[str, Any] = json.loads(data)
        if "ended" in message:
            self._ended[message["ended"]] = message["status"]
        return message


class _Forked:
    """A process that the server has started."""

    def __init__(self, server: _Server, pid: int) -> None:
        self._server, self.pid = server, pid
        self._status: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        if self._status is None:
            self._status = self._server.status(self.pid, timeout)
        return self._status

    def terminate(self) -> None:
        self._server.signal(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        self._server.signal(self.pid, signal.SIGKILL)
