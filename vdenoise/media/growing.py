"""Clips that are still being written: a recording that goes on, a copy or a render under way.

What a clip holds is decided when it is looked at first; one that grows meanwhile would be cut off
there without a word.
"""

from __future__ import annotations

from vdenoise.media.images.reader import changed
from vdenoise.media.images.sequence import find, is_pattern
from vdenoise.media.inputs import still_written
from vdenoise.media.movie.index import scan
from vdenoise.picture.frame import ClipInfo


def see_settled(info: ClipInfo) -> None:
    """See that a clip has the frames that it had when it was probed. A movie that has changed is
    read again for it, an unchanged one is not.

    Raises:
        InputError: it has more: it is being written.
        ConflictError: it has fewer: it is another one.
    """
    if info.sequence is None:
        count = len(scan(info.path))
    elif is_pattern(info.path):
        count = len(find(info.path, "hold" if info.sequence.held else "skip").numbers)
    else:
        return
    if count < (info.frames or 0):
        raise changed(str(info.path), "the number of its frames")
    if count != info.frames:
        raise still_written(info.path, f"{info.frames} frames have become {count}")
