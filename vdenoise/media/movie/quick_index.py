"""The index of a long movie without reading all that a run reads of it.

QuickTime and MP4 have a table of all frames, which tells when they are decoded, not when they are
shown. At a constant rate these are the same times in another order; whether that is so is seen from
the packets at both ends, and nothing between them is read. Everywhere else, and where the rate is
not constant, as where clips of other lengths than their sound were joined, the times of the
picture's packets are read, and nothing is computed of what they hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from vdenoise.media.inputs import open_input, prepare_decoder, release, video_of
from vdenoise.media.movie.demuxers import kinds_of
from vdenoise.media.movie.index import adopt
from vdenoise.media.movie.ordering import FrameIndex, ordered
from vdenoise.media.movie.packets import read_times

LONG = 3000  # frames: shorter movies are read whole in a moment
_LOOK = 48  # packets looked at, at either end: more than any reordering reaches
_DECODED = 4  # frames decoded to see that packets and frames are one to one
_KEY, _DISCARD = 1, 2  # FFmpeg's flags of an entry


def adopt_quick_index(path: Path, *, long: int = LONG) -> bool:
    """Take an index of a long movie that is had sooner than by reading all of it.

    It holds for this process until the file changes: for looking at some frames. A run reads every
    packet, notices damage and checks what it reads against that; what was adopted here cannot.

    Args:
        path: the movie.
        long: frames from which on this is tried.

    Returns:
        Whether one was taken.

    Raises:
        InputError: the movie cannot be opened.
    """
    with open_input(path) as container:
        stream = video_of(container, path)
        if _frames(container, stream) < long:
            return False
        tabled = container.format.name != "concat" and "mov" in kinds_of(container)
        index = _from_table(stream) if tabled else None
        if index is not None and not _holds(container, stream, index):
            index = None
    if index is None or not _decodes(path, index):
        with open_input(path) as container:
            stream = video_of(container, path)
            index = ordered(path, container, stream, read_times(container, stream))
        if not index.pts:
            return False
    adopt(path, index)
    return True


def _frames(container: InputContainer, stream: VideoStream) -> int:
    """About how many frames there are, as far as the file says."""
    seconds = (container.duration or 0) / av.time_base
    told = stream.frames, len(stream.index_entries), round(seconds * (stream.average_rate or 25))
    return max(told)


def _from_table(stream: VideoStream) -> FrameIndex | None:
    """Frames at a constant rate; None where the table tells of another or of hidden ones."""
    entries = list(stream.index_entries)
    if len(entries) < 2:
        return None
    times = np.array([entry.timestamp for entry in entries], np.int64)
    flags = np.array([entry.flags for entry in entries], np.int64)
    steps = np.diff(times)
    step = int(steps[0])
    rate = stream.average_rate
    constant = step > 0 and bool((steps == step).all()) and not bool((flags & _DISCARD).any())
    if not constant or stream.start_time is None or stream.time_base is None or not rate:
        return None
    base = Fraction(stream.time_base)
    if abs(1 / (step * base) - rate) > Fraction(1, 1000):
        return None
    first = stream.start_time
    return FrameIndex(
        pts=tuple(range(first, first + step * len(entries), step)),
        durations=(step,) * len(entries),
        keys=tuple(np.flatnonzero(flags & _KEY).tolist()),
        time_base=base,
        rate=1 / (step * base),
        variable_rate=False,
        counted=False,
    )


def _holds(container: InputContainer, stream: VideoStream, index: FrameIndex) -> bool:
    """Whether the packets at both ends are shown when the index says."""
    first = _shown(islice(container.demux(stream), _LOOK))
    try:
        container.seek(index.pts[index.keys[-1]], stream=stream, backward=True)
        last = _shown(container.demux(stream))
    except av.FFmpegError:
        return False
    if not first or not last:
        return False
    # The first packets shown are all there but for those that later ones come before.
    begin, end = sorted(first)[: _LOOK // 2], sorted(last)[-_LOOK // 2 :]
    same_end = end == list(index.pts[len(index) - len(end) :])
    return begin == list(index.pts[: len(begin)]) and same_end


def _shown(packets: Iterable[av.Packet[VideoStream]]) -> list[int]:
    """When packets are shown; nothing where one is hidden or tells no time."""
    found = []
    for packet in packets:
        if not packet.size:
            continue
        if packet.is_discard or packet.pts is None:
            return []
        found.append(packet.pts)
    return found


def _decodes(path: Path, index: FrameIndex) -> bool:
    """Whether each packet at the start becomes a frame, shown when the index says."""
    with open_input(path) as container:
        stream = video_of(container, path)
        decoder = prepare_decoder(stream, threads=1)
        try:
            found = [frame.pts for frame in islice(container.decode(stream), _DECODED)]
        except av.FFmpegError:
            return False
        finally:
            release(container, decoder)
    return found == list(index.pts[: len(found)])
