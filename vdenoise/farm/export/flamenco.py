"""Flamenco 3: a job type (for its Manager's scripts folder) and a job of that type."""

from __future__ import annotations

import json

from vdenoise.farm.export import Export

# One job type for all plans: what differs comes as settings.
_JOB_TYPE = """\
const JOB_TYPE = {
    label: "vdenoise",
    settings: [
        { key: "executable", type: "string", required: true },
        { key: "analyze", type: "string", required: false },
        { key: "segments", type: "string", required: true },
        { key: "assemble", type: "string", required: true },
    ],
};

// Each setting is a JSON list: of arguments, for segments of one such list a task.
function compileJob(job) {
    const settings = job.settings;
    const task = function (name, args) {
        const made = author.Task(name, "misc");
        made.addCommand(author.Command("exec", { exe: settings.executable, args: args }));
        return made;
    };
    let analyze = null;
    if (settings.analyze) {
        analyze = task("analyze", JSON.parse(settings.analyze));
        job.addTask(analyze);
    }
    const assemble = task("assemble", JSON.parse(settings.assemble));
    JSON.parse(settings.segments).forEach(function (args, number) {
        const segment = task("segments-" + number, args);
        if (analyze) segment.addDependency(analyze);
        job.addTask(segment);
        assemble.addDependency(segment);
    });
    job.addTask(assemble);
}
"""


def files(job: Export) -> dict[str, str]:
    """``vdenoise.js``, ``job.json`` and ``submit.sh``."""
    settings = {
        "executable": job.executable,
        "segments": json.dumps(
            [job.segment_arguments(job.of_task(task)) for task in range(job.tasks)]
        ),
        "assemble": json.dumps(job.assemble_arguments()),
    }
    if job.analyze:
        settings["analyze"] = json.dumps(job.analyze_arguments())
    made = {
        "name": f"vdenoise {job.name}",
        "type": "vdenoise",
        "priority": 50 if job.priority is None else job.priority,
        "submitter_platform": "linux",
        "settings": settings,
    }
    return {
        "vdenoise.js": _JOB_TYPE,
        "job.json": json.dumps(made, indent=2, ensure_ascii=False) + "\n",
        "submit.sh": (
            "#!/bin/sh\n# The Manager must have vdenoise.js in its scripts folder.\n"
            'cd "$(dirname "$0")" || exit\n'
            'exec curl --fail-with-body --json @job.json "${FLAMENCO_MANAGER:?its URL}'
            '/api/v3/jobs"\n'
        ),
    }
