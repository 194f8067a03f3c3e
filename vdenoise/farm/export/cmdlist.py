"""Plain lists of commands, one a line: for GNU parallel, cuecmd, Tractor, Royal Render, a shell."""

from __future__ import annotations

from vdenoise.farm.export import Export

_RETRIES = 3
# The first three lines give each of the commands that run side by side cards of its own.
_CARDS = """\
first=$((${{SLOT:-0}} * {gpus})); cards=$first
for more in {more}; do cards=$cards,$((first + more)); done
[ -n "$CUDA_VISIBLE_DEVICES" ] || export CUDA_VISIBLE_DEVICES="$cards"
"""
_TASK = """\
#!/bin/sh
# Does one line of a list. What asks to be tried again later (75) is; all else ends here.
{cards}tries=0
while :; do
    sh -c "$1"; code=$?
    [ "$code" -eq 75 ] && [ "$tries" -lt {retries} ] || exit "$code"
    tries=$((tries + 1)); sleep 30
done
"""


def files(job: Export) -> dict[str, str]:
    """One list for each step, and ``submit.sh`` that carries them out on this machine."""
    segments = [job.shell(job.segment_arguments(job.of_task(n))) for n in range(job.tasks)]
    lists = {"2-segments.txt": segments, "3-assemble.txt": [job.shell(job.assemble_arguments())]}
    if job.analyze:
        lists = {"1-analyze.txt": [job.shell(job.analyze_arguments())], **lists}
    made = {name: "\n".join(lines) + "\n" for name, lines in lists.items()}
    slots = "--process-slot-var=SLOT " if job.gpus else ""
    steps = [
        f"tr '\\n' '\\0' < {name} | xargs -0 -n 1 -P {job.at_once or 1} {slots}sh ./task.sh || exit"
        for name in lists
    ]
    head = "#!/bin/sh\n# Each list when the one before is done; all on this machine.\n"
    start = 'cd "$(dirname "$0")" || exit\n'
    return made | {"task.sh": _task(job), "submit.sh": head + start + "\n".join(steps) + "\n"}


def _task(job: Export) -> str:
    more = " ".join(str(n) for n in range(1, job.gpus))
    cards = _CARDS.format(gpus=job.gpus, more=more) if job.gpus else ""
    return _TASK.format(cards=cards, retries=_RETRIES if job.retries is None else job.retries)
