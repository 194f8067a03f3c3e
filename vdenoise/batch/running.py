"""Carrying out jobs: a process for each, some at once."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import selectors
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from vdenoise.batch.jobs import ClipJob
from vdenoise.batch.journal import Journal, tidy
from vdenoise.batch.outcome import Outcome, state_of
from vdenoise.batch.turns import Turns
from vdenoise.batch.workers import Worker, Workers
from vdenoise.machine.files import write_text
from vdenoise.machine.guard import fault_of
from vdenoise.media.access import make_folder, writing
from vdenoise.media.images.sequence import files_of
from vdenoise.settings.text import counted

GRACE_SECONDS = 20.0  # for jobs to drop their work after a signal
POLL_SECONDS = 0.2
WAIT_SECONDS = 2.0  # until it is seen again what another batch has done


@dataclass
class _Running:
    process: Worker
    said: BinaryIO  # its standard error
    outcome: Outcome
    started: float
    rest: bytes = b""
    error: Mapping[str, Any] = field(default_factory=dict)  # its last words


Tell = Callable[[ClipJob, Mapping[str, Any]], None]


def carry_out(
    outcomes: Iterable[Outcome],
    journal: Journal,
    tell: Tell,
    finished: Callable[[Outcome], None],
    *,
    note: Callable[[str], None],
    at_once: int,
    threads: int,
    keep_going: bool,
) -> None:
    """Run every job that is to do, some at once; outcomes are changed in place.

    A clip that another batch is making is left to it: others are done meanwhile. In the end it is
    waited for, and done where the other batch has ended without it.

    Without ``keep_going`` the first failure lets the jobs under way end and starts no other.
    Whatever stops this early - a signal, an error - stops the jobs: they drop their work.

    Args:
        outcomes: what to do; others are passed over.
        journal: told of every start and end.
        tell: called with every event a job reports.
        finished: called when a job has ended.
        note: told what people should know.
        at_once: jobs at the same time.
        threads: of each job.
        keep_going: go on after a failure.
    """
    waiting = [outcome for outcome in outcomes if outcome.state == "to do"]
    for outcome in waiting:
        outcome.state = "waiting"
    if not waiting:
        return
    running: list[_Running] = []
    selector = selectors.DefaultSelector()
    stop = False
    with contextlib.ExitStack() as ending:
        turns = _Taking(ending.enter_context(Turns(journal.path)), journal, note)
        workers = ending.enter_context(Workers())
        ending.callback(selector.close)
        ending.callback(_stop, running)
        while running or (waiting and not stop):
            while len(running) < at_once and not stop and (mine := turns.next_of(waiting)):
                if mine.state == "waiting":
                    begun = _start(mine, journal, threads, workers)
                    running.append(begun)
                    selector.register(begun.said, selectors.EVENT_READ, begun)
                    continue
                turns.give(mine)
                finished(mine)
                stop = mine.state != "done" and not keep_going
            for key, _ in selector.select(POLL_SECONDS if running else WAIT_SECONDS):
                one: _Running = key.data
                if not _read(one, tell):
                    selector.unregister(key.fileobj)
                    running.remove(one)
                    _end(one, journal)
                    turns.give(one.outcome)
                    finished(one.outcome)
                    stop = stop or (one.outcome.state == "failed" and not keep_going)


class _Taking:
    """Takes jobs that no other batch is at, as they stand then."""

    def __init__(self, turns: Turns, journal: Journal, note: Callable[[str], None]) -> None:
        self._turns, self._journal, self._note = turns, journal, note
        self._told = False
        if not turns.seen:
            note(f"batches do not see each other in {journal.path.parent}: run one at a time")

    def next_of(self, waiting: list[Outcome]) -> Outcome | None:
        """The next job that can be taken, out of the list; None where there is none for now.

        It may have been done meanwhile, or no longer be possible: then its state says so.
        """
        mine = next((o for o in waiting if self._turns.take(o.job.output)), None)
        if mine is None:
            if waiting and not self._told:
                clips = counted(len(waiting), "clip")
                self._note(f"{clips} left, which another batch is making: waiting for it")
            self._told = bool(waiting)
            return None
        waiting.remove(mine)
        self._journal.read_on()
        assert mine.wanted is not None, "it was to do"
        ours = str(mine.job.output) in self._journal.unfinished
        now = state_of(mine.job, mine.wanted, ours=ours, overwrite=mine.overwrite)
        if now.state != "to do":
            mine.state, mine.why, mine.code, mine.hint = now.state, now.why, now.code, now.hint
            mine.frames = now.frames
        return mine

    def give(self, outcome: Outcome) -> None:
        """Give the output of a job back."""
        self._turns.give(outcome.job.output)


def _start(outcome: Outcome, journal: Journal, threads: int, workers: Workers) -> _Running:
    job = outcome.job
    make_folder(job.output.parent)
    left = journal.begun.get(str(job.output))
    if left is not None:
        tidy(job, left)
    for file, text in job.prepared:
        with writing(file):
            write_text(file, text)
    # Whether what is there may be replaced was decided before; what comes meanwhile may not.
    may = ("--overwrite",) if _is_something_there(outcome) else ()
    ours = (*may, "--progress", "json", "--threads", str(threads))
    ours_end, theirs = os.pipe()
    try:
        process = workers.start(("run", *job.arguments(*ours)), theirs)
    except BaseException:
        os.close(ours_end)
        raise
    finally:
        os.close(theirs)
    journal.write("start", job, pid=process.pid)
    return _Running(process, os.fdopen(ours_end, "rb", 0), outcome, time.monotonic())


def _is_something_there(outcome: Outcome) -> bool:
    """Whether anything has the name of an output, or one that begins so, as its recipe's does."""
    output = outcome.job.output
    assert outcome.wanted is not None, "it was to do"
    beside = [file for path in outcome.wanted.beside.values() for file in files_of(path)]
    named = output.parent.glob(f"{glob.escape(output.name)}.*")
    return any(map(os.path.lexists, (*files_of(output), *beside, *named)))


def _read(one: _Running, tell: Tell) -> bool:
    """Take what a job has said; False when it has closed its end."""
    data = os.read(one.said.fileno(), 1 << 16)
    *lines, one.rest = (one.rest + data).split(b"\n")
    for line in lines:
        try:
            event = json.loads(line.decode(errors="replace"))
        except ValueError:  # of a library
            continue
        if not isinstance(event, dict):
            continue
        if event.get("event") == "done":
            one.outcome.frames = int(event.get("frames", 0))
        if event.get("event") == "error":
            one.error = event
        tell(one.outcome.job, event)
    return bool(data)


def _end(one: _Running, journal: Journal) -> None:
    one.said.close()
    code = one.process.wait()
    outcome = one.outcome
    outcome.seconds = time.monotonic() - one.started
    if code == 0:
        outcome.state = "done"
    else:
        outcome.state = "failed"
        outcome.code, outcome.why = "E0100", f"it ended with {code}"
        # A fault in a decoder or encoder; what is asked to end says so itself.
        if (fault := fault_of(code, str(outcome.job.source))) is not None:
            outcome.code, outcome.why, outcome.hint = fault.code, fault.what, fault.hint
        if one.error:
            told = (str(one.error.get(key, "")) for key in ("code", "what", "hint"))
            outcome.code, outcome.why, outcome.hint = told
    journal.write(outcome.state, outcome.job, seconds=round(outcome.seconds, 2), exit=code)


def _stop(running: Sequence[_Running]) -> None:
    """End the jobs still under way and wait until they have dropped their work."""
    for one in running:
        one.process.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    for one in running:
        try:
            one.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            one.process.kill()
            one.process.wait()
        one.outcome.state = "waiting"
        one.said.close()
