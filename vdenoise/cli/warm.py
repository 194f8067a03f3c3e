"""``python -m vdenoise.cli.warm FD``: a process that has everything loaded and divides for each job
of a batch (`vdenoise.batch.workers`). No thread runs in it, and it touches no card.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys

from vdenoise.machine import process
from vdenoise.machine.guard import end_with

# What a run imports in its functions: commands themselves import nothing that is slow; stages and
# networks by name; and what libraries import when they are first called.
LOADED = (
    "numpy.ma",
    "rich._emoji_codes",
    "vdenoise.nets.guided",
    "vdenoise.stages.spatial.wiener",
    "vdenoise.stages.temporal.mean",
    "vdenoise.ui",
    "vdenoise.review.inspect",
    "vdenoise.review.report.page",
    "vdenoise.review.report.witness",
    "vdenoise.workflows.denoise_clip",
    "vdenoise.workflows.prepare",
    "vdenoise.cli.request",
)


def serve(lane: socket.socket) -> list[str] | None:
    """Start a process for each message, and tell how each ends, until the other side has gone.

    Returns:
        In a new process what it is to do, all behind ``vdenoise``; None in this one, at the end.
    """
    from vdenoise.batch.workers import MESSAGE_BYTES

    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker)
    running: set[int] = set()
    while True:
        ready, _, _ = select.select([lane.fileno(), wake], [], [])
        if wake in ready:
            os.read(wake, 1 << 10)
            _tell_ended(lane, running)
        if lane.fileno() not in ready:
            continue
        data, files, _, _ = socket.recv_fds(lane, MESSAGE_BYTES, 1)
        if not data:
            for pid in running:
                os.kill(pid, signal.SIGTERM)
            return None
        asked = json.loads(data)
        if "signal" in asked:
            if asked["pid"] in running:
                os.kill(asked["pid"], asked["signal"])
            continue
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            os.close(files[0])
            _say(lane, errno=error.errno)
            continue
        if pid == 0:
            _become_job(server, files[0], (lane.detach(), wake, waker))
            return list(asked["arguments"])
        os.close(files[0])
        running.add(pid)
        _say(lane, pid=pid)


def _tell_ended(lane: socket.socket, running: set[int]) -> None:
    for pid in tuple(running):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            running.discard(pid)
            _say(lane, ended=pid, status=os.waitstatus_to_exitcode(status))


def _say(lane: socket.socket, **values: int | None) -> None:
    with contextlib.suppress(BrokenPipeError):  # the end of the lane is seen when it is read
        lane.send(json.dumps(values).encode())


def _become_job(server: int, said: int, closed: tuple[int, ...]) -> None:
    """Make of a copy of the server a process as if it had been started."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(said, 2)
    for number in (said, *closed):
        os.close(number)
    end_with(server, signal.SIGTERM)


if __name__ == "__main__":
    from vdenoise.cli import main

    process.prepare()
    with process.importing():
        for name in LOADED:
            importlib.import_module(name)
    atexit.register(gc.unfreeze)  # OpenImageIO calls what is never collected a leak, line by line
    words = serve(socket.socket(fileno=int(sys.argv[1])))
    if words is None:  # taking the interpreter down, a library says of all that it has leaked
        os._exit(0)
    sys.argv = ["vdenoise", *words]
    main()
