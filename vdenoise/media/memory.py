"""Memory that FFmpeg did not get: that is no fault of a clip, and none of a disk."""

from __future__ import annotations

import errno

import av

from vdenoise.machine.memory import may_take

_SOME_BYTES = 256 << 20  # what a frame of 8K and its decoder may ask for at once


def see_memory(error: av.FFmpegError) -> None:
    """Let an error pass that is the file's own.

    FFmpeg says that memory lacks also where a damaged file asks for more than there can be, and
    that something is unavailable where it can begin no thread: what a codec waits for never comes
    here.

    Raises:
        MemoryError: it lacks.
    """
    if error.errno == errno.EAGAIN or (error.errno == errno.ENOMEM and not may_take(_SOME_BYTES)):
        raise MemoryError from error
