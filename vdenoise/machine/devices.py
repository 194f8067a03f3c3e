"""What this machine has: devices, free memory, fast half precision."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from vdenoise.errors import DeviceError, UsageError
from vdenoise.machine.memory import may_take


def find_device(name: str) -> str:
    """``auto``, ``cpu`` or ``cuda:N`` to a device that exists.

    Raises:
        UsageError: it is none of these words.
        DeviceError: there is no such device.
    """
    if name == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    kind, colon, number = name.partition(":")
    if name != "cpu" and (kind != "cuda" or (colon and not number.isdecimal())):
        raise UsageError(f"There is no device {name!r}.", "Use auto, cpu or cuda:N.", number=51)
    if name == "cpu":
        return name
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(number or 0) >= count:
        raise DeviceError(
            f"There is no {name}: this machine has {count} CUDA devices that torch can use.",
            "Use --device cpu, or see: vdenoise doctor",
            number=1,
        )
    return f"cuda:{int(number or 0)}"


_THREAD_BYTES = 16 << 20  # its stack, and some for Python's first steps in it


def see_room_for_threads(count: int) -> None:
    """See that so many threads can begin: Python waits for ever for one that finds no memory for
    its first steps (python/cpython#140746).

    Raises:
        MemoryError: they cannot.
    """
    if not may_take(count * _THREAD_BYTES):
        raise MemoryError


def free_bytes(device: str) -> int:
    """Free memory of a device; for the CPU also within the limits of a container."""
    if device != "cpu":
        return int(torch.cuda.mem_get_info(device)[0])
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        if "MemAvailable" in lines:
            free = int(lines["MemAvailable"].split()[0]) * 1024
    limit, used = (Path(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if limit.exists() and used.exists() and limit.read_text().strip() != "max":
        free = min(free, int(limit.read_text()) - int(used.read_text()))
    return free
