"""The job of a plan, as the texts of the farms there are: one exporter each.

All have the same steps: measure (unless the plan holds that), denoise segments, join. Every task
is a `vdenoise` process without a shell between it and the farm, so that signals reach it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Self

from vdenoise.errors import UsageError
from vdenoise.farm.job import Job
from vdenoise.media.output_names import called
from vdenoise.settings.text import is_text

MEMORY_STEP = 1024  # MiB: asked for in whole GiB
WAIT_SECONDS = 60  # for the last segments to show in a shared folder


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
        per_task: int = 1,
    ) -> Self:
        """Of a job; the memory is the plan's estimate in whole GiB."""
        memory = memory_mib or -(-job.file.memory_mib // MEMORY_STEP) * MEMORY_STEP
        return cls(
            name=plain(name or called(job.source)[0]),
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
            per_task=per_task,
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
        return ["run", *self._places(), *output, f"--segments={segments}", "--resume"]

    def assemble_arguments(self) -> list[str]:
        """Arguments of the step that joins."""
        wait = f"--wait={WAIT_SECONDS}"
        output = f"--output={self.output}"
        return ["farm", "assemble", *self._places(), output, "--verify", "--resume", wait]

    def _places(self) -> list[str]:
        return [f"--plan={self.plan}", f"--source={self.source}", f"--work={self.work}"]

    def shell(self, arguments: list[str]) -> str:
        """A command line for a shell."""
        return shlex.join([self.executable, *arguments])


def plain(name: str) -> str:
    """A job's name that no farm stumbles over."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)[:100]


def files_of(engine: str, job: Export) -> dict[str, str]:
    """The files of a farm's job by name; ``submit.sh`` is always one of them.

    Raises:
        UsageError: a name cannot be written in them.
    """
    for path in (job.plan, job.source, job.work, job.output):
        if not is_text(path):
            raise UsageError(
                f"The name of {path} is not UTF-8, and a farm hands names on as text.",
                "Rename it (convmv does that), and make the plan again.",
                number=34,
            )
    exporter: Callable[[Export], dict[str, str]] = import_module(f"{__name__}.{engine}").files
    return exporter(job)


def folder_of(path: str) -> str:
    """The folder a path lies in."""
    return str(Path(path).parent)
