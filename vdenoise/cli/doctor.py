"""``vdenoise doctor``: what this installation has, and whether it works."""

from __future__ import annotations

import click

from vdenoise.cli.files import FileCommand


@click.command(cls=FileCommand)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def doctor(as_json: bool) -> None:
    """Check this installation and machine."""
    import os
    import platform
    import shutil
    import tempfile
    from importlib.metadata import version

    import torch

    from vdenoise import __version__, compiled, ui
    from vdenoise.chain import preset_files
    from vdenoise.chain.presets import usable
    from vdenoise.chain.resolve import resolve
    from vdenoise.errors import DeviceError, UsageError
    from vdenoise.machine.devices import free_bytes
    from vdenoise.media.libraries import encoders, libraries
    from vdenoise.nets.models import shipped

    cards = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    found = encoders()
    found_presets, broken = usable()
    for name, preset in list(found_presets.items()):
        try:
            resolve(preset)
        except UsageError as error:
            if name in preset_files.shipped():
                raise
            broken[name] = error.what
            del found_presets[name]
    room = shutil.disk_usage(tempfile.gettempdir()).free
    facts = {
        "vdenoise": __version__,
        "python": f"{platform.python_version()} on {platform.platform()}",
        "torch": f"{torch.__version__}, {torch.get_num_threads()} threads, "
        f"{torch.backends.cpu.get_cpu_capability()}",
        "inner loops": compiled.described(),
        "opencv": version("opencv-python-headless"),
        **libraries(),
        "cores": str(
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        ),
        "memory": f"{free_bytes('cpu') // 2**20} MiB free",
        "temporary files": f"{room // 2**20} MiB free in {tempfile.gettempdir()}",
        "cuda": ", ".join(f"cuda:{n} {torch.cuda.get_device_name(n)}" for n in cards) or "none",
        "encoders": ", ".join(name for name, there in found.items() if there),
        "models": ", ".join(shipped()) or "none",
        "presets": ", ".join(found_presets) + "".join(f"; {why}" for why in broken.values()),
    }
    if as_json:
        ui.result_json(facts)
    else:
        ui.facts("", facts)
    missing = [name for name, there in found.items() if not there]
    if missing or not found_presets:
        what = f"the encoders {', '.join(missing)}" if missing else "the presets"
        raise DeviceError(
            f"This installation lacks {what}.", "Install vdenoise again from its wheel.", number=3
        )
