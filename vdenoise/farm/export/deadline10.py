"""Thinkbox Deadline 10: three jobs of its CommandLine plug-in.

CommandLine, not CommandScript: that one is switched off by default.
"""

from __future__ import annotations

from vdenoise.farm.export import Export

_RETRIES = 2


def files(job: Export) -> dict[str, str]:
    """A job and a plug-in file for each step, and ``submit.sh``."""
    steps = {
        "segments": (
            job.segment_arguments("<STARTFRAME>-<ENDFRAME>"),
            f"0-{job.segments - 1}",
        ),
        "assemble": (job.assemble_arguments(), "0"),
    }
    if job.analyze:
        steps = {"analyze": (job.analyze_arguments(), "0"), **steps}
    made = {}
    for step, (arguments, frames) in steps.items():
        made[f"{step}.job"] = _job(job, step, frames)
        made[f"{step}.plugin"] = _plugin(job, arguments)
    return made | {"submit.sh": _submit(tuple(steps))}


def _job(job: Export, step: str, frames: str) -> str:
    values: dict[str, object] = {
        "Plugin": "CommandLine",
        "Name": f"vdenoise {job.name} {step}",
        "BatchName": f"vdenoise {job.name}",
        "Frames": frames,
        "ChunkSize": job.per_task if step == "segments" else 1,
        "OverrideTaskFailureDetection": "true",
        "FailureDetectionTaskErrors": 1 + (_RETRIES if job.retries is None else job.retries),
    }
    if job.priority is not None:
        values["Priority"] = job.priority
    if step == "segments" and job.at_once:
        values["MachineLimit"] = job.at_once
    values |= job.options
    return "".join(f"{key}={value}\n" for key, value in values.items())


def _plugin(job: Export, arguments: list[str]) -> str:
    # What quotes stand around is one argument, whatever it holds: quotes themselves are refused.
    words = " ".join(f"<QUOTE>{word}<QUOTE>" for word in arguments)
    return f"Executable={job.executable}\nArguments={words}\nShellExecute=False\n"


def _submit(steps: tuple[str, ...]) -> str:
    lines = ["#!/bin/sh", 'cd "$(dirname "$0")" || exit', "id=''"]
    for step in steps:
        lines += [
            f'{{ cat {step}.job; [ -z "$id" ] || echo "JobDependencies=$id"; }} > {step}.info',
            f"said=$(deadlinecommand {step}.info {step}.plugin) || exit",
            'echo "$said"; id=$(echo "$said" | sed -n \'s/^JobID=//p\')',
        ]
    return "\n".join(lines) + "\n"
