"""Slurm: one batch script for each step, chained by dependencies."""

from __future__ import annotations

import shlex

from vdenoise.farm.export import HERE, Export

# The program works in the background, so that the script hears of a stop and passes it on. What was
# stopped, or is to be tried again later, goes back into the queue: Slurm does that by itself only
# where a node fails. A job that somebody cancelled is no longer running, and stays cancelled.
_TASK = """\
#!/bin/bash
# Does what it is given; what was stopped or is to be tried again (75) is queued again.
stopped=''
trap 'stopped=1; [ -z "$task" ] || kill -TERM "$task" 2>/dev/null' TERM USR1 USR2
"$@" &
task=$!
[ -z "$stopped" ] || kill -TERM "$task"
wait "$task"; code=$?
[ -z "$stopped" ] || { wait "$task"; code=$?; }
case $code in
75|129|138|140|143|152)
    if [ "${SLURM_RESTART_COUNT:-0}" -lt RETRIES ] &&
        [ "$(squeue -h -j "$SLURM_JOB_ID" -o %T)" = RUNNING ]; then
        scontrol requeue "$SLURM_JOB_ID" && sleep 60
    fi ;;
esac
exit "$code"
"""

_RETRIES = 5
LARGEST_ARRAY = 1000  # tasks: sites allow 1001 or more (MaxArraySize)


def files(job: Export) -> dict[str, str]:
    """A batch script for each step, and ``submit.sh``."""
    grouped = max(job.per_task, -(-job.segments // LARGEST_ARRAY))
    made = {
        "segments.sbatch": _script(job, "segments", _segments(job, grouped), grouped),
        "assemble.sbatch": _script(job, "assemble", job.shell(job.assemble_arguments())),
    }
    if job.analyze:
        made["analyze.sbatch"] = _script(job, "analyze", job.shell(job.analyze_arguments()))
    retries = str(_RETRIES if job.retries is None else job.retries)
    task = _TASK.replace("RETRIES", retries)
    return made | {"task.sh": task, "submit.sh": _submit(job)}


def _segments(job: Export, grouped: int) -> str:
    """The command, with the shell's arithmetic where a task does several segments."""
    arguments = job.segment_arguments(HERE)
    if grouped == 1:
        return job.shell(arguments, '"$SLURM_ARRAY_TASK_ID"')
    return (
        f"first=$((SLURM_ARRAY_TASK_ID * {grouped}))\n"
        f"last=$((first + {grouped - 1}))\n"
        f'[ "$last" -lt {job.segments} ] || last={job.segments - 1}\n'
        + job.shell(arguments, '"$first-$last"')
    )


def _script(job: Export, step: str, command: str, grouped: int = 0) -> str:
    options = [
        f"--job-name={job.name}-{step}",
        f"--cpus-per-task={job.cpus}",
        f"--mem={job.memory_mib}M",
        "--requeue --open-mode=append",
        # B: or the signal does not reach the program, which is the batch script's own process.
        "--signal=B:TERM@120",
        "--output=logs/%x-%A_%a.log" if grouped else "--output=logs/%x-%j.log",
    ]
    if grouped:
        limit = f"%{job.at_once}" if job.at_once else ""
        options.append(f"--array=0-{-(-job.segments // grouped) - 1}{limit}")
        if job.gpus:
            options.append(f"--gpus={job.gpus}")
    options += [f"--{key}={shlex.quote(value)}" for key, value in job.options]
    head, _, last = command.rpartition("\n")
    lines = [
        "#!/bin/bash",
        *(f"#SBATCH {option}" for option in options),
        *([head] if head else []),
        f"exec bash ./task.sh {last}",
    ]
    return "\n".join(lines) + "\n"


def _submit(job: Export) -> str:
    lines = ["#!/bin/sh", 'cd "$(dirname "$0")" && mkdir -p logs || exit']
    after, ids = "", []
    for step in (*(("analyze",) if job.analyze else ()), "segments", "assemble"):
        lines.append(f"{step}=$(sbatch --parsable{after} {shlex.quote(step + '.sbatch')}) || exit")
        after = f' --dependency="afterok:${step}" --kill-on-invalid-dep=yes'
        ids.append(f"${step}")
    return "\n".join([*lines, f'echo "{" ".join(ids)}"']) + "\n"
