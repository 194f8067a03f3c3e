"""OpenCue: an outline for pyoutline (pip install opencue-pyoutline packaging)."""

from __future__ import annotations

import shlex

from vdenoise.farm.export import Export
from vdenoise.machine.process import EXIT_VARIABLE

_SCRIPT = '''\
"""Launch: python launch.py. The job's XML instead, without a server: python launch.py --xml."""

import sys

from outline import Outline
from outline.cuerun import OutlineLauncher
from outline.modules.shell import Shell, ShellCommand

job = Outline({name!r}, name_unique=True)
{layers}
launcher = OutlineLauncher(job{flags})
if "--xml" in sys.argv[1:]:
    print(launcher.serialize(use_pycuerun=False))
else:
    launcher.launch(use_pycuerun=False)
'''


def files(job: Export) -> dict[str, str]:
    """``launch.py`` and ``submit.sh``."""
    memory = f"{-(-job.memory_mib // 1024)}g"
    resources: dict[str, object] = {"threads": job.cpus, "memory": memory}
    cards: dict[str, object] = {"gpus": job.gpus, "gpu_memory": "8g"} if job.gpus else {}
    lines = []
    if job.analyze:
        command = [job.executable, *job.analyze_arguments()]
        lines.append(_layer("analyze", "ShellCommand", command, resources))
    # With a chunk the tokens are the first and last segment of it, and the last chunk is shorter.
    command = [job.executable, *job.segment_arguments("#FRAME_START#-#FRAME_END#")]
    frames = {"range": f"0-{job.segments - 1}", "chunk": job.per_task}
    lines.append(_layer("denoise", "Shell", command, {**frames, **resources, **cards}))
    command = [job.executable, *job.assemble_arguments()]
    lines.append(_layer("assemble", "ShellCommand", command, resources))
    if job.analyze:
        lines.append("denoise.depend_all(analyze)")
    lines.append("assemble.depend_all(denoise)")
    names = [*(["analyze"] if job.analyze else []), "denoise", "assemble"]
    lines += [f"job.add_layer({name})" for name in names]
    # A frame that ends with 33 gets more memory, and is tried again.
    lines += [f"{name}.set_env({EXIT_VARIABLE!r}, '6=33')" for name in names]
    if job.at_once is not None:
        lines.append(f"job.set_maxcores({job.at_once * job.cpus})")
    flags = {"priority": job.priority, "maxretries": job.retries}
    said = "".join(f", {key}={value}" for key, value in flags.items() if value is not None)
    return {
        "launch.py": _SCRIPT.format(
            name=f"vdenoise_{job.name}", layers="\n".join(lines), flags=said
        ),
        "submit.sh": '#!/bin/sh\ncd "$(dirname "$0")" && exec python3 launch.py\n',
    }


def _layer(name: str, kind: str, command: list[str], options: dict[str, object]) -> str:
    rest = "".join(f",\n    {key}={value!r}" for key, value in options.items())
    # A farm's node runs the words, joined by blanks, in a shell.
    listed = "".join(f"\n        {shlex.quote(word)!r}," for word in command)
    return f"{name} = {kind}(\n    {name!r},\n    command=[{listed}\n    ]{rest},\n)"
