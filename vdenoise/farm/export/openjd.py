"""Open Job Description 2023-09: ``openjd run`` on one machine, AWS Deadline Cloud as it is.

Segments are an INT task parameter, so that no extension of the specification is needed. All paths
are PATH parameters: a farm that moves files rewrites them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vdenoise.farm.export import Export, folder_of
from vdenoise.media.images.sequence import is_image

_GRACE_SECONDS = 120


def files(job: Export) -> dict[str, str]:
    """``template.json``, its parameters for both programs, and ``submit.sh``."""
    values = {
        "JobName": job.name,
        "Plan": job.plan,
        "Source": _place(job.source)[0],
        "Work": job.work,
        "Output": _place(job.output)[0],
        "LastTask": job.tasks - 1,
        "Vdenoise": job.executable,
    }
    # Open Job Description has no words for these; AWS Deadline Cloud takes them with the values.
    cloud = {
        "deadline:priority": job.priority,
        "deadline:maxRetriesPerTask": job.retries,
        "deadline:maxWorkerCount": job.at_once,
    }
    told = values | {key: value for key, value in cloud.items() if value is not None}
    listed = {"parameterValues": [{"name": k, "value": v} for k, v in told.items()]}
    return {
        "template.json": _json(template(job)),
        "parameters.json": _json(values),
        "parameter_values.json": _json(listed),  # AWS Deadline Cloud's name and form
        "submit.sh": (
            "#!/bin/sh\n"
            "# On this machine, one task after the other, with the reference runner (pip install\n"
            "# openjd-cli). On AWS Deadline Cloud instead: deadline bundle submit .\n"
            'cd "$(dirname "$0")" || exit\n'
            "exec openjd run template.json --step Assemble --run-dependencies "
            "--job-param file://parameters.json\n"
        ),
    }


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def template(job: Export) -> dict[str, Any]:
    """The job template."""
    (_, source, source_type), (_, output, output_type) = map(_place, (job.source, job.output))
    places = ["--plan={{Param.Plan}}", f"--source={{{{Param.Source}}}}{source}"]
    places.append("--work={{Param.Work}}")
    # What the plan names beside them: the session has mapped its PATH parameters only.
    places += ["--map-rules={{Session.PathMappingRulesFile}}", *job.map_arguments()]
    target = f"--output={{{{Param.Output}}}}{output}"
    segments, space = _segments(job)
    segments = [*([target] if job.direct else []), *job.compute_arguments(), *segments]
    steps = [
        _step(job, "Analyze", ["farm", "analyze", *places], None),
        _step(job, "Denoise", ["run", *places, *segments, "--resume"], "Analyze") | space,
        _step(
            job,
            "Assemble",
            [
                *("farm", "assemble", *places, target),
                *("--verify", "--resume", "--wait=60"),
            ],
            "Denoise",
        ),
    ]
    if not job.analyze:
        del steps[0], steps[0]["dependencies"]
    return {
        "specificationVersion": "jobtemplate-2023-09",
        "name": "vdenoise {{Param.JobName}}",
        "parameterDefinitions": [
            {"name": "JobName", "type": "STRING"},
            {"name": "Plan", "type": "PATH", "objectType": "FILE", "dataFlow": "IN"},
            {"name": "Source", "type": "PATH", "objectType": source_type, "dataFlow": "IN"},
            {"name": "Work", "type": "PATH", "objectType": "DIRECTORY", "dataFlow": "INOUT"},
            {"name": "Output", "type": "PATH", "objectType": output_type, "dataFlow": "OUT"},
            {"name": "LastTask", "type": "INT", "minValue": 0},
            {"name": "Vdenoise", "type": "STRING"},
        ],
        "steps": steps,
    }


def _place(path: str) -> tuple[str, str, str]:
    """The value of a PATH parameter, what follows it in an argument, and its type: images are given
    by their folder, because a pattern is the name of no file."""
    if not is_image(Path(path)):
        return path, "", "FILE"
    return folder_of(path), f"/{Path(path).name}", "DIRECTORY"


def _segments(job: Export) -> tuple[list[str], dict[str, Any]]:
    """The argument that names a task's segments, and the parameter space it comes from."""
    parameter: dict[str, Any] = {"name": "Task", "type": "INT", "range": "0-{{Param.LastTask}}"}
    argument = "{{Task.Param.Task}}"
    if job.per_task > 1:  # a range cannot be computed in a template: name each
        texts = [job.of_task(task) for task in range(job.tasks)]
        parameter = {"name": "Task", "type": "STRING", "range": texts}
    space = {"parameterSpace": {"taskParameterDefinitions": [parameter]}}
    return [f"--segments={argument}"], space


def _step(job: Export, name: str, arguments: list[str], after: str | None) -> dict[str, Any]:
    amounts: list[dict[str, Any]] = [
        {"name": "amount.worker.vcpu", "min": job.cpus},
        {"name": "amount.worker.memory", "min": job.memory_mib},
    ]
    if name == "Denoise" and job.gpus:
        amounts.append({"name": "amount.worker.gpu", "min": job.gpus})
    step: dict[str, Any] = {
        "name": name,
        "hostRequirements": {"amounts": amounts},
        "script": {
            "actions": {
                "onRun": {
                    "command": "{{Param.Vdenoise}}",
                    "args": arguments,
                    "cancelation": {
                        "mode": "NOTIFY_THEN_TERMINATE",
                        "notifyPeriodInSeconds": _GRACE_SECONDS,
                    },
                }
            }
        },
    }
    return step if after is None else step | {"dependencies": [{"dependsOn": after}]}
