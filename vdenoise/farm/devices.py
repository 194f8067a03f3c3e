"""Several devices of one machine on one segment list: a process for each."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from vdenoise.errors import BatchError, TryAgain, UsageError
from vdenoise.farm.job import Job
from vdenoise.farm.split import as_text
from vdenoise.machine.process import python

_POLL_SECONDS = 0.2
_GRACE_SECONDS = 20.0  # between SIGTERM and SIGKILL
_DIE_WITH_PARENT = 1  # prctl: PR_SET_PDEATHSIG


def run_on(
    devices: Sequence[str],
    job: Job,
    numbers: Sequence[int],
    flags: Sequence[str],
    *,
    threads: int | None,
) -> None:
    """Do segments in one process for each device, every one taking each n-th of them.

    Args:
        devices: such as ``cuda:0`` and ``cuda:1``; the same one may come twice.
        job: the job.
        numbers: segments to do.
        flags: further options of ``vdenoise run --plan``.
        threads: of each process.

    Raises:
        UsageError: no device is named.
        BatchError: a process failed; the others have done their share.
        TryAgain: all that failed asked to be tried again.
    """
    if not all(devices):
        raise UsageError(
            "--devices names no device.", "For example: --devices cuda:0,cuda:1", number=140
        )
    tasks = []
    try:
        for place, device in enumerate(devices):
            share = tuple(numbers[place :: len(devices)])
            if share:
                command = _command(job, share, device, flags, threads)
                tasks.append((device, share, subprocess.Popen(command, preexec_fn=_with_parent)))
        while any(task.poll() is None for _, _, task in tasks):
            time.sleep(_POLL_SECONDS)
    finally:
        _end([task for _, _, task in tasks])
    failed = [(device, share, task) for device, share, task in tasks if task.returncode != 0]
    if failed:
        texts = [f"{device} ended with exit {task.returncode}" for device, _, task in failed]
        rest = tuple(sorted(n for _, share, _ in failed for n in share))
        if all(task.returncode == TryAgain.exit_code for _, _, task in failed):
            raise TryAgain(
                f"Segments {as_text(rest)} could not be done for now.",
                "See why above; the same command again, later.",
                number=4,
            )
        raise BatchError(
            f"Not all segments were done: {', '.join(texts)}.",
            f"See its error above, then do the rest with --segments {as_text(rest)} --resume",
            number=2,
        )


def _command(
    job: Job, share: tuple[int, ...], device: str, flags: Sequence[str], threads: int | None
) -> list[str]:
    return [
        *(*python("vdenoise"), "run"),
        *(f"--plan={job.plan_path}", f"--source={job.source}", f"--work={job.work}"),
        *(f"--output={path}" for path in job.moved.values()),
        *(f"--segments={as_text(share)}", f"--device={device}", "--progress=plain"),
        *([] if threads is None else [f"--threads={threads}"]),
        *flags,
    ]


def _with_parent() -> None:
    """Run in the child: end when the parent is killed."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)


def _end(tasks: Sequence[subprocess.Popen[bytes]]) -> None:
    """After an interruption: the same for all, then no mercy."""
    running = [task for task in tasks if task.poll() is None]
    for task in running:
        task.terminate()
    until = time.monotonic() + _GRACE_SECONDS
    for task in running:
        try:
            task.wait(max(until - time.monotonic(), 0.01))
        except subprocess.TimeoutExpired:
            task.kill()
            task.wait()
