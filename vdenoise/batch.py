"""Many clips, one run each: which jobs there are, which are done, and carrying out the rest.

Every job is a ``vdenoise run`` of its own in a process of its own: one that fails, or is killed,
takes nothing else with it. What a job has finished is read from the recipes beside the outputs,
so a batch that was stopped anywhere goes on where it was.
"""

from __future__ import annotations

import glob
import json
import os
import re
import selectors
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from vdenoise.atomic import leftovers, write_text
from vdenoise.errors import ConflictError, InputError, OutputError, UsageError
from vdenoise.media.codecs import CONTAINERS
from vdenoise.media.sequence import KINDS, WRITTEN, find, in_folder, is_image
from vdenoise.process import PARENT_VARIABLE
from vdenoise.recipe import fingerprint_of, is_intact, load_recipe

State = Literal["to do", "done", "conflict", "failed", "waiting"]

TEMPLATE = "{stem}_dn.{ext}"
JOURNAL, REPORT = "vdenoise-batch.jsonl", "vdenoise-batch.json"
# Movies that are read but not written in their own container.
READ_ONLY = (".mpg", ".mpeg", ".m2v", ".vob", ".3gp", ".wmv", ".flv", ".ogv", ".dv", ".asf")
GRACE_SECONDS = 20.0  # for jobs to drop their work after a signal
POLL_SECONDS = 0.2
_LAST_LINE = re.compile(r"vdenoise: error (E\d+) \[exit (\d+)\] (.*)")
_HARMLESS = {"--threads": 1, "--progress": 1, "--overwrite": 0}  # options that change no result


@dataclass(frozen=True)
class Job:
    """One clip and the options of its run."""

    source: Path
    output: Path
    options: tuple[str, ...] = ()  # of ``vdenoise run``, as typed

    @property
    def name(self) -> str:
        """For people."""
        return str(self.source)

    @property
    def arguments(self) -> tuple[str, ...]:
        """Everything after ``vdenoise run``."""
        return (str(self.source), "-o", str(self.output), *self.options)


@dataclass
class Outcome:
    """How a job stands."""

    job: Job
    state: State
    why: str = ""
    code: str = ""  # of the error, such as E0308
    seconds: float = 0.0
    frames: int = 0
    hint: str = ""

    def to_json(self) -> dict[str, Any]:
        """For the report."""
        found = {
            "input": str(self.job.source),
            "output": str(self.job.output),
            "options": list(self.job.options),
            "state": self.state,
            "seconds": round(self.seconds, 2),
            "frames": self.frames,
        }
        told = {"error": self.code, "why": self.why, "hint": self.hint}
        return found | {name: text for name, text in told.items() if text}


# -- which jobs ------------------------------------------------------------------------------


def jobs_of(
    sources: Sequence[str], folder: Path, template: str, options: Sequence[str]
) -> list[Job]:
    """The jobs of folders, globs, files and ``.toml`` lists, in a stable order.

    Args:
        sources: as typed. A folder is searched to any depth; its folders are mirrored.
        folder: where outputs go.
        template: name of an output, with {stem}, {ext} and {preset} of its source.
        options: of every run.

    Raises:
        InputError: nothing is there to do.
        UsageError: the template or a list cannot be understood.
        ConflictError: two jobs would write the same output.
    """
    found: list[Job] = []
    for text in sources:
        path = Path(text)
        if path.suffix.lower() == ".toml" and path.is_file():
            found += _listed(path, folder, template, options)
            continue
        for base, clip in _clips(text, folder):
            place = folder / clip.parent.relative_to(base)
            found.append(Job(clip, _named(clip, place, template, options), tuple(options)))
    if not found:
        raise InputError(
            f"There is no clip in {', '.join(sources)}.",
            "Name a folder or files of movies or images, or a .toml list of jobs.",
            number=17,
        )
    first: dict[Path, Job] = {}
    for job in found:
        other = first.setdefault(job.output.resolve(), job)
        if other is not job:
            raise ConflictError(
                f"{other.source} and {job.source} would both become {job.output}.",
                "Give --template something that tells them apart, such as {stem}_{ext}.mkv, or "
                "keep them in folders of their own.",
                number=10,
            )
    return found


def _clips(text: str, target: Path) -> Iterator[tuple[Path, Path]]:
    """(folder to mirror from, clip) of a folder, a glob or a file."""
    path = Path(text)
    if path.is_dir():
        for where, folders, _ in os.walk(path):
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            here = Path(where)
            if here.resolve() == target.resolve() and here != path:
                folders.clear()
                continue
            for clip in _in(here):
                yield path, clip
    elif path.exists() or (is_image(path) and not glob.has_magic(text)):
        yield path.parent, path
    else:
        magic = next((n for n, part in enumerate(path.parts) if glob.has_magic(part)), None)
        if magic is None:
            raise InputError(f"{text} does not exist.", "Check the path.", number=1)
        base = Path(*path.parts[:magic])
        files = set(base.glob(str(Path(*path.parts[magic:]))))
        for folder in sorted({file.parent for file in files}):
            for clip in _in(folder):
                members = {clip} & files
                if is_image(clip) and not members:
                    members = {find(clip).source(0)} & files
                if members:
                    yield base, clip


def _in(folder: Path) -> list[Path]:
    """The movies and image sequences of a folder."""
    movies = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in (*CONTAINERS, *READ_ONLY)
        and path.is_file()
        and not path.name.startswith(".")
    ]
    return sorted([*movies, *in_folder(folder)])


def _named(clip: Path, folder: Path, template: str, options: Sequence[str]) -> Path:
    """The output of a clip. A sequence keeps the place of its number, before the extension."""
    suffix = clip.suffix.lower()
    stem, hole, ext = clip.stem, "", clip.suffix[1:]
    if is_image(clip):
        if match := re.fullmatch(r"(.*?)[._-]?(#+)(.*)", clip.stem):
            stem, hole = (match[1] + match[3]) or clip.parent.name, f".{match[2]}"
        if KINDS[suffix] not in WRITTEN:
            ext = "png"
    elif suffix not in CONTAINERS:
        ext = "mkv"
    preset = _given(options, "--preset") or "auto"
    try:
        name = template.format(stem=stem, ext=ext, preset=Path(preset).stem)
    except (KeyError, IndexError, ValueError) as error:
        raise UsageError(
            f"The template {template!r} cannot be understood: {error}.",
            f"Use {{stem}}, {{ext}} and {{preset}}, as in {TEMPLATE}.",
            number=90,
        ) from error
    made = Path(name)
    return folder / made.with_name(f"{made.stem}{hole}{made.suffix}")


def _given(options: Sequence[str], name: str) -> str:
    """The value of an option among those typed, the last one; empty without it."""
    return next((b for a, b in reversed([*pairwise(options)]) if a == name), "")


def _listed(file: Path, folder: Path, template: str, options: Sequence[str]) -> Iterator[Job]:
    """The jobs of a list: ``[defaults]`` and ``[[job]]`` tables of options of ``run``."""
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}.", "Correct it.", number=91) from error
    tables, defaults = data.pop("job", []), data.pop("defaults", {})
    sound = isinstance(tables, list) and all(isinstance(t, dict) for t in tables)
    if data or not sound or not isinstance(defaults, dict):
        raise UsageError(
            f"{file} holds {', '.join(data) or 'no list of jobs'}.",
            "It has a table [defaults] and tables [[job]] with input and options of run.",
            number=91,
        )
    for table in tables:
        values = {**defaults, **table}
        if not isinstance(values.get("input"), str):
            raise UsageError(f"A job of {file} has no input.", 'Add input = "CLIP".', number=91)
        clip = file.parent / values.pop("input")
        output = values.pop("output", None)
        typed = (*options, *_typed(values))
        target = folder / output if output else _named(clip, folder, template, typed)
        yield Job(clip, target, typed)


def _typed(values: Mapping[str, Any]) -> Iterator[str]:
    """Options as they would be typed: ``luma = 50`` is ``--luma 50``."""
    for name, value in values.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from (option, f"{key}={inner}")
        elif isinstance(value, bool):
            if value:
                yield option
        elif isinstance(value, list):
            for inner in value:
                yield from (option, str(inner))
        else:
            yield from (option, str(value))


# -- what is done ----------------------------------------------------------------------------


def state_of(
    job: Job, parameters: Mapping[str, Any], version: str, *, ours: bool, overwrite: bool
) -> Outcome:
    """Whether a job is to do, done, or in conflict with what is there.

    It is done where the recipe beside the output tells of the same input, options and resolved
    parameters, and the output is as it was written.

    Args:
        job: the job.
        parameters: of its chain before anything is measured.
        version: of vdenoise.
        ours: whether this batch has begun the job before: what it left may be replaced.
        overwrite: whether anything may be replaced.
    """
    recipe = load_recipe(job.output)
    if recipe is None:
        there = job.output.exists()
        if there and not ours and not overwrite:
            return Outcome(job, "conflict", f"{job.output} exists, and nothing tells what it is")
        return Outcome(job, "to do")
    why = _differs(recipe, job, parameters, version)
    if not why and is_intact(recipe, job.output):
        return Outcome(job, "done", frames=int(recipe["result"]["frames"]))
    if why and not overwrite:
        return Outcome(job, "conflict", f"{job.output} was made {why}")
    return Outcome(job, "to do")


def _differs(
    recipe: Mapping[str, Any], job: Job, parameters: Mapping[str, Any], version: str
) -> str:
    """What an output was made with that is not so now; empty for nothing."""
    if recipe["versions"]["vdenoise"] != version:
        return f"by vdenoise {recipe['versions']['vdenoise']}"
    if _meaning(recipe["command"]) != _meaning(["vdenoise", "run", *job.arguments]):
        return "with other options"
    if recipe.get("asked") != parameters:
        return "with other parameters"
    told = {k: v for k, v in recipe["input"].items() if k != "path"}
    hold = _given(job.options, "--on-missing") == "hold"
    sequence = find(job.source, "hold" if hold else "skip") if is_image(job.source) else None
    return "from another input" if fingerprint_of(job.source, sequence) != told else ""


def _meaning(command: Sequence[str]) -> list[str]:
    """A command line without what changes no result, and without where things are."""
    rest, words = [], iter(command[3:])
    for word in words:
        if word in _HARMLESS:
            for _ in range(_HARMLESS[word]):
                next(words, None)
        elif word in ("-o", "--output"):
            next(words, None)
        else:
            rest.append(word)
    return rest


# -- the journal -----------------------------------------------------------------------------


@dataclass
class Journal:
    """What happened in this output folder, one JSON object a line, appended as it happens."""

    path: Path
    begun: dict[str, int] = field(default_factory=dict)  # output: process that may have left parts

    @classmethod
    def open(cls, folder: Path) -> Journal:
        """Read what earlier batches wrote; a last line that was cut short is passed over."""
        found = cls(folder / JOURNAL)
        if found.path.exists():
            for line in found.path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    entry = json.loads(line)
                    if entry["event"] == "start":
                        found.begun[entry["output"]] = entry["pid"]
                except (ValueError, KeyError, TypeError):
                    continue
        return found

    def write(self, event: str, job: Job, **values: Any) -> None:
        """Append a line.

        Raises:
            OutputError: it cannot be written.
        """
        line = {"ts": round(time.time(), 3), "event": event, "input": str(job.source)}
        line |= {"output": str(job.output), "host": socket.gethostname(), **values}
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            raise OutputError(
                f"The journal {self.path} cannot be written: {error.strerror}.",
                "Free some room, or choose another folder.",
                number=11,
            ) from error


def tidy(job: Job, pid: int) -> None:
    """Remove the unfinished files that the process ``pid`` left beside an output."""
    try:
        os.kill(pid, 0)
        return  # it is still at work, here or (by the same number) something else is
    except ProcessLookupError:
        pass
    except PermissionError:
        return
    for path in leftovers(job.output.parent, pid):
        path.unlink(missing_ok=True)


# -- carrying out ----------------------------------------------------------------------------


@dataclass
class _Running:
    process: subprocess.Popen[bytes]
    outcome: Outcome
    started: float
    rest: bytes = b""
    lines: list[str] = field(default_factory=list)


Tell = Callable[[Job, Mapping[str, Any]], None]


def carry_out(
    outcomes: Iterable[Outcome],
    journal: Journal,
    tell: Tell,
    finished: Callable[[Outcome], None],
    *,
    at_once: int,
    threads: int,
    keep_going: bool,
) -> None:
    """Run every job that is to do, some at once; outcomes are changed in place.

    Without ``keep_going`` the first failure lets the jobs under way end and starts no other.
    Whatever stops this early - a signal, an error - stops the jobs: they drop their work.

    Args:
        outcomes: what to do; others are passed over.
        journal: told of every start and end.
        tell: called with every event a job reports.
        finished: called when a job has ended.
        at_once: jobs at the same time.
        threads: of each job.
        keep_going: go on after a failure.
    """
    waiting = [outcome for outcome in outcomes if outcome.state == "to do"]
    for outcome in waiting:
        outcome.state = "waiting"
    running: list[_Running] = []
    selector = selectors.DefaultSelector()
    stop = False
    try:
        while running or (waiting and not stop):
            while waiting and len(running) < at_once and not stop:
                begun = _start(waiting.pop(0), journal, threads)
                running.append(begun)
                assert begun.process.stderr is not None
                selector.register(begun.process.stderr, selectors.EVENT_READ, begun)
            for key, _ in selector.select(POLL_SECONDS):
                one: _Running = key.data
                if not _read(one, tell):
                    selector.unregister(key.fileobj)
                    running.remove(one)
                    _end(one, journal)
                    finished(one.outcome)
                    stop = stop or (one.outcome.state == "failed" and not keep_going)
    finally:
        _stop(running)
        selector.close()


def _start(outcome: Outcome, journal: Journal, threads: int) -> _Running:
    job = outcome.job
    job.output.parent.mkdir(parents=True, exist_ok=True)
    left = journal.begun.get(str(job.output))
    if left is not None:
        tidy(job, left)
    command = [sys.executable, "-m", "vdenoise", "run", *job.arguments]
    # Whether this output may be replaced was decided before.
    command += ["--overwrite", "--progress", "json", "--threads", str(threads)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
        start_new_session=True,  # a Ctrl-C comes to us, and we pass it on
    )
    journal.write("start", job, pid=process.pid)
    return _Running(process, outcome, time.monotonic())


def _read(one: _Running, tell: Tell) -> bool:
    """Take what a job has said; False when it has closed its end."""
    assert one.process.stderr is not None
    data = os.read(one.process.stderr.fileno(), 1 << 16)
    *lines, one.rest = (one.rest + data).split(b"\n")
    for line in lines:
        text = line.decode(errors="replace")
        try:
            event = json.loads(text)
        except ValueError:
            one.lines = [*one.lines[-50:], text]
            continue
        if event.get("event") == "done":
            one.outcome.frames = int(event.get("frames", 0))
        tell(one.outcome.job, event)
    return bool(data)


def _end(one: _Running, journal: Journal) -> None:
    assert one.process.stderr is not None
    one.process.stderr.close()
    code = one.process.wait()
    outcome = one.outcome
    outcome.seconds = time.monotonic() - one.started
    if code == 0:
        outcome.state = "done"
    else:
        outcome.state = "failed"
        outcome.code, outcome.why = "E0100", f"it ended with {code}"
        for line in one.lines:
            if line.startswith("hint: "):
                outcome.hint = line[6:]
            if found := _LAST_LINE.match(line):
                outcome.code, outcome.why = found[1], found[3]
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
        if one.process.stderr is not None:
            one.process.stderr.close()


def save_report(folder: Path, outcomes: Sequence[Outcome], seconds: float) -> Path:
    """Write the report of a batch beside its outputs, whole or not at all."""
    states = [outcome.state for outcome in outcomes]
    report = {
        "kind": "vdenoise-batch",
        "schema": 1,
        "seconds": round(seconds, 2),
        "counts": {state: states.count(state) for state in sorted(set(states))},
        "jobs": [outcome.to_json() for outcome in outcomes],
    }
    target = folder / REPORT
    write_text(target, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return target
