"""What ``vdenoise batch`` says: what there is to do, how far it is, how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vdenoise.errors import BatchError, ConflictError, VdenoiseError
from vdenoise.settings.text import counted

if TYPE_CHECKING:
    from vdenoise.batch.jobs import ClipJob
    from vdenoise.batch.outcome import Outcome
    from vdenoise.ui import Reporter

_KINDS = {kind.exit_code: kind for kind in VdenoiseError.__subclasses__()}  # of errors


def check(outcomes: Sequence[Outcome], *, keep_going: bool) -> None:
    """Stop before any work where a job cannot be done or an output would be lost.

    Raises:
        VdenoiseError: of a job that cannot be done, such as one whose clip is not there.
        ConflictError: an output would be lost.
    """
    missing = [o for o in outcomes if o.state == "failed"]
    conflicts = [o for o in outcomes if o.state == "conflict"]
    if keep_going or not (missing or conflicts):
        return
    bad = missing or conflicts
    more = f" ({len(bad) - 1} more like it)" if len(bad) > 1 else ""
    if missing:
        status, number = int(missing[0].code[1:3]), int(missing[0].code[3:])
        raise _KINDS[status](  # as the run of that clip would have it
            f"{missing[0].why.removesuffix('.')}{more}.",
            f"{missing[0].hint} Or say --keep-going to do the others.",
            number=number,
        )
    way = "Say --overwrite to make it again, --keep-going to leave it, or choose another folder."
    raise ConflictError(
        f"{conflicts[0].why.removesuffix('.')}{more}.",
        # Of names that clash there is nothing that --overwrite would make again.
        conflicts[0].hint if conflicts[0].code.startswith("E02") else way,
        number=11,
    )


def show(outcomes: Sequence[Outcome]) -> None:
    """What a dry run says: a line for each job."""
    from vdenoise import ui

    for outcome in outcomes:
        job, why = outcome.job, f": {outcome.why}" if outcome.why else ""
        ui.result(f"{outcome.state.ljust(8)}  {ui.seen(f'{job.name} > {job.output}{why}')}")


def note(outcomes: Sequence[Outcome], reporter: Reporter) -> None:
    """What there is to do, and what is left alone."""
    states = [o.state for o in outcomes]
    done, conflicts = states.count("done"), states.count("conflict")
    text = f"batch: {counted(len(outcomes), 'clip')}"
    if done:
        text += f", {done} done already"
    if conflicts:
        text += f", {conflicts} left alone"
    reporter.note(text)
    for outcome in outcomes:
        if outcome.state in ("conflict", "failed"):
            ended(outcome, reporter)


def tell(job: ClipJob, event: Mapping[str, Any], reporter: Reporter) -> None:
    """Hand an event of a job on to programs; people see how far it is, and warnings."""
    values = {key: value for key, value in event.items() if key not in ("v", "ts", "event")}
    kind = str(event.get("event", "note"))
    reporter.event(kind, job=job.name, **values)
    if reporter.style == "json":
        return
    if kind == "warning":
        reporter.warn(f"{job.name}: {event.get('text', '')}")
    elif kind == "progress":
        pace = f"{event.get('fps', 0):.3g} fps, {event.get('eta_s', 0):.0f} s left"
        reporter.other(job.name, str(event["phase"]), event["done"], event["total"], pace)


def ended(outcome: Outcome, reporter: Reporter) -> None:
    """How a job has ended."""
    job = outcome.job
    reporter.other_ended(job.name)
    if outcome.state == "failed":
        reporter.event("failed", job=job.name, code=outcome.code, text=outcome.why)
        if reporter.style != "json":
            reporter.warn(f"{job.name}: {outcome.code} {outcome.why}")
        return
    if outcome.state == "conflict":
        reporter.warn(f"{outcome.why}; left alone")
        return
    reporter.event("finished", job=job.name, output=str(job.output), frames=outcome.frames)
    if reporter.style != "json":
        how = f"{outcome.seconds:.1f} s" if outcome.seconds else "made by another batch"
        reporter.note(f"{job.name} > {job.output}: {counted(outcome.frames, 'frame')}, {how}")


def end(outcomes: Sequence[Outcome], folder: Path, reporter: Reporter, seconds: float) -> None:
    """The last words, and the exit code.

    Raises:
        BatchError: some jobs failed or were left alone.
    """
    from vdenoise.batch.outcome import REPORT

    states = [o.state for o in outcomes]
    good = states.count("done")
    if good == len(states):
        reporter.finish(f"{folder}: {counted(good, 'clip')} done, {seconds:.1f} s", jobs=good)
        return
    bad = [o for o in outcomes if o.state in ("failed", "conflict")]
    rest = states.count("waiting")
    text = f"{len(bad)} of {counted(len(states), 'clip')} failed or were left alone"
    text += f", {rest} were not begun" if rest else ""
    first = f"{bad[0].job.name}: {bad[0].code} {bad[0].why}".replace(":  ", ": ")
    hint = f"See {folder / REPORT}; run the same command again for what is missing"
    hint += "." if rest == 0 else ", with --keep-going to pass failures over."
    if "conflict" in states:
        hint += " With --overwrite what was made with other options is made again."
    raise BatchError(f"{text}: {first.removesuffix('.')}.", hint, number=1)
