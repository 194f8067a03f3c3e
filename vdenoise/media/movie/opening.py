"""Opening an encoder without side effects on the rest of the process."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from av.video.codeccontext import VideoCodecContext

from vdenoise.machine.process import fill_memory

_SMALL = 640 * 360  # pixels
os.environ.setdefault("SVT_LOG", "1")  # errors only: SVT-AV1 has no other way to be quiet


def open_encoder(context: VideoCodecContext) -> None:
    """Open an encoder, and leave every thread of this process the priority that it has.

    Root's SVT-AV1 makes the thread that opens it, and all that are started afterwards, real-time
    ones of the highest priority: nothing else on the machine is served, and threads of torch that
    wait for each other turn in circles for ever.

    x264 reads memory that it never wrote, in small pictures (docs/decisions/farm.md): that holds
    the same every time then.
    """
    if context.name == "libx264":
        fill_memory(same=context.width * context.height < _SMALL)
    if not hasattr(os, "sched_getscheduler"):  # SVT-AV1 does it on Linux only
        context.open()
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        context.open()
    finally:
        for thread in (int(path.name) for path in Path("/proc/self/task").iterdir()):
            with contextlib.suppress(ProcessLookupError):  # it has ended
                if os.sched_getscheduler(thread) in (os.SCHED_FIFO, os.SCHED_RR):
                    os.sched_setscheduler(thread, policy, parameters)
