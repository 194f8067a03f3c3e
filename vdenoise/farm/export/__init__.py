"""The job of a plan, as the texts of the farms there are: one exporter each.

All have the same steps: measure (unless the plan holds that), denoise segments, join. Every task
is a `vdenoise` process without a shell between it and the farm, so that signals reach it.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Self

from vdenoise.engine.plan import MIB
from vdenoise.errors import UsageError
from vdenoise.farm.job import Job, task_memory
from vdenoise.media.output_names import split_name
from vdenoise.settings.text import is_text

HEADROOM = 1.15  # over the estimate: farms end tasks that take more than was asked for
MEMORY_STEP = 1024  # MiB: asked for in whole GiB
WAIT_SECONDS = 60  # for the last segments to show in a shared folder
HERE = "\0"  # stands for a task's segments where a shell works them out: in no name there is one
_WITH_OPTIONS = ("slurm", "deadline10")
# What a farm takes for its own syntax in a name, where it knows no way to write it as it is.
_SYNTAX = {
    "deadline10": re.compile(r'[<>"\\]'),  # <STARTFRAME>, and the quotes around arguments
    "openjd": re.compile(r"\{\{|\}\}"),  # {{Param.Plan}}
    "opencue": re.compile(r"#[A-Za-z_]+#"),  # #FRAME_START#
    "flamenco": re.compile(r"\{[A-Za-z_]\w*\}"),  # {variable} of its Manager
}


@dataclass(frozen=True)
class Export:
    """What an exporter needs to know. Paths are absolute."""

    name: str
    plan: str
    source: str
    work: str
    output: str
    direct: bool  # whether segments write the output: images
    segments: int
    analyze: bool  # whether measuring is a step
    executable: str
    cpus: int
    gpus: int
    memory_mib: int
    at_once: int | None
    per_task: int
    options: tuple[tuple[str, str], ...] = ()  # the farm's own, as it spells them
    maps: tuple[str, ...] = ()  # FROM=TO, of the nodes
    priority: int | None = None  # by the farm's own scale; None for what it gives by itself
    retries: int | None = None  # of a task that failed; None for what the farm does by itself
    devices: tuple[str, ...] = ()  # a process on each; none for what a node finds
    threads: int | None = None  # of a task, where nothing grants cores; None for all

    @classmethod
    def of(
        cls,
        job: Job,
        *,
        name: str | None = None,
        executable: str = "vdenoise",
        cpus: int = 4,
        gpus: int = 0,
        memory_mib: int | None = None,
        at_once: int | None = None,
        per_task: int | None = None,
        options: tuple[tuple[str, str], ...] = (),
        maps: tuple[str, ...] = (),
        priority: int | None = None,
        retries: int | None = None,
        device: str | None = None,
        threads: int | None = None,
    ) -> Self:
        """Gather what exporters need of a job; the memory is what a task with so many cores takes,
        in whole GiB, and a task that asks for cards computes on them and nowhere else, one segment
        on each.

        Raises:
            UsageError: ``device`` is none.
        """
        if device is not None and not re.fullmatch(r"auto|cpu|cuda:\d+", device):
            raise UsageError(
                f"There is no device {device!r}.", "Use auto, cpu or cuda:0.", number=223
            )
        needed = int(HEADROOM * task_memory(job, cpus))
        memory = memory_mib or -(-needed // (MEMORY_STEP * MIB)) * MEMORY_STEP
        return cls(
            name=plain(name or split_name(job.source)[0]),
            plan=str(job.plan_path.absolute()),
            source=str(job.source.absolute()),
            work=str(job.work.absolute()),
            output=str(job.output(job.file.clean)),
            direct=job.file.clean.join == "files",
            segments=len(job.file.segments),
            analyze=job.file.analysis is None,
            executable=executable,
            cpus=cpus,
            gpus=gpus,
            memory_mib=memory,
            at_once=at_once,
            per_task=per_task or max(gpus, 1),
            options=options,
            maps=maps,
            priority=priority,
            retries=retries,
            devices=(device,) if device else tuple(f"cuda:{n}" for n in range(gpus)),
            threads=threads,
        )

    @property
    def tasks(self) -> int:
        """Number of tasks of the step that denoises."""
        return -(-self.segments // self.per_task)

    def of_task(self, task: int) -> str:
        """The segments of a task, as typed."""
        first = task * self.per_task
        last = min(first + self.per_task, self.segments) - 1
        return f"{first}-{last}" if last > first else str(first)

    def analyze_arguments(self) -> list[str]:
        """Arguments of the step that measures."""
        return ["farm", "analyze", *self._places()]

    def segment_arguments(self, segments: str) -> list[str]:
        """Arguments of a task that denoises; ``segments`` may be the farm's own placeholder."""
        output = [f"--output={self.output}"] if self.direct else []
        words = [*output, *self.compute_arguments(), f"--segments={segments}", "--resume"]
        return ["run", *self._places(), *words]

    def compute_arguments(self) -> list[str]:
        """What a task that denoises computes with."""
        threads = [] if self.threads is None else [f"--threads={self.threads}"]
        if not self.devices:
            return threads
        option = "--device" if len(self.devices) == 1 else "--devices"
        return [f"{option}={','.join(self.devices)}", *threads]

    def assemble_arguments(self) -> list[str]:
        """Arguments of the step that joins."""
        wait = f"--wait={WAIT_SECONDS}"
        output = f"--output={self.output}"
        return ["farm", "assemble", *self._places(), output, "--verify", "--resume", wait]

    def _places(self) -> list[str]:
        named = [f"--plan={self.plan}", f"--source={self.source}", f"--work={self.work}"]
        return [*named, *self.map_arguments()]

    def map_arguments(self) -> list[str]:
        """What tells a node where folders are that it mounts elsewhere."""
        return [f"--map={text}" for text in self.maps]

    def shell(self, arguments: list[str], segments: str = "") -> str:
        """A command line for a shell.

        Args:
            arguments: taken as they are, whatever they hold.
            segments: what the shell is to make of the argument that is `HERE`.
        """
        words = [self.executable, *arguments]
        here = f"--segments={HERE}"
        return " ".join(f"--segments={segments}" if w == here else shlex.quote(w) for w in words)


def parse_options(engine: str, texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """``KEY=VALUE`` of ``--farm-option``, taken apart.

    Raises:
        UsageError: one has another form, or the farm's job has no place for it.
    """
    found = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", key) or not value.isprintable():
            raise UsageError(
                f"--farm-option {text!r} is not of the form KEY=VALUE.",
                "For example: --farm-option partition=gpu",
                number=39,
            )
        found.append((key, value))
    if found and engine not in _WITH_OPTIONS:
        raise UsageError(
            f"A job of {engine} has no place for --farm-option {found[0][0]}.",
            f"It is for {' and '.join(_WITH_OPTIONS)}; else change the texts that are written.",
            number=144,
        )
    return tuple(found)


def plain(name: str) -> str:
    """A job's name that no farm stumbles over."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)[:100]


def files_of(engine: str, job: Export) -> dict[str, str]:
    """The files of a farm's job by name; ``submit.sh`` is always one of them.

    Raises:
        UsageError: a name cannot be written in them.
    """
    for path in (job.plan, job.source, job.work, job.output, job.executable, *job.maps):
        _check_name(engine, path)
        if not is_text(path):
            raise UsageError(
                f"The name of {path} is not UTF-8, and a farm hands names on as text.",
                "Rename it (convmv does that), and make the plan again.",
                number=34,
            )
    exporter: Callable[[Export], dict[str, str]] = import_module(f"{__name__}.{engine}").files
    return exporter(job)


def _check_name(engine: str, name: str) -> None:
    """See that a farm hands a name on as it is.

    Raises:
        UsageError: it would be cut, or taken for something else.
    """
    if any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in name):
        raise UsageError(
            f"The name {name!r} holds a line break or another control character: farms read their "
            "jobs line by line.",
            "Rename it, and make the plan again.",
            number=35,
        )
    if engine in _SYNTAX and (found := _SYNTAX[engine].search(name)):
        raise UsageError(
            f"The name {name} holds {found[0]}, which {engine} takes for its own.",
            "Rename it, and make the plan again.",
            number=36,
        )
    if name.startswith("-"):
        raise UsageError(f"{name} is no program.", "Name it by its folder: ./NAME.", number=37)


def folder_of(path: str) -> str:
    """The folder a path lies in."""
    return str(Path(path).parent)
