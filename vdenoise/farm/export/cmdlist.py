"""Plain lists of commands, one a line: for GNU parallel, cuecmd, Tractor, Royal Render, a shell."""

from __future__ import annotations

from vdenoise.farm.export import Export


def files(job: Export) -> dict[str, str]:
    """One list for each step, and ``submit.sh`` that carries them out on this machine."""
    segments = [job.shell(job.segment_arguments(job.of_task(n))) for n in range(job.tasks)]
    lists = {"2-segments.txt": segments, "3-assemble.txt": [job.shell(job.assemble_arguments())]}
    if job.analyze:
        lists = {"1-analyze.txt": [job.shell(job.analyze_arguments())], **lists}
    made = {name: "\n".join(lines) + "\n" for name, lines in lists.items()}
    steps = [
        f"tr '\\n' '\\0' < {name} | xargs -0 -n 1 -P {job.at_once or 1} sh -c || exit"
        for name in lists
    ]
    head = "#!/bin/sh\n# Each list when the one before is done; all on this machine.\n"
    start = 'cd "$(dirname "$0")" || exit\n'
    return made | {"submit.sh": head + start + "\n".join(steps) + "\n"}
