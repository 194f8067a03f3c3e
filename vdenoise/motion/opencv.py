"""OpenCV on one thread.

Some of its results (DIS flow) depend on how many stripes its threads cut a picture into, and what
vdenoise makes must not depend on the number of cores: these compute several frames at once instead.
"""

from __future__ import annotations

import threading

import cv2

_lock = threading.Lock()


def keep_on_one_thread() -> None:
    """Make sure that OpenCV works on one thread, in this process.

    May be called from any thread, but is first called before threads share out frames: OpenCV ends
    the threads it has without asking whether another thread of ours is at work with them.
    """
    with _lock:
        if cv2.getNumThreads() != 1:
            cv2.setNumThreads(1)
