"""Decoded frames of a clip by number, each read once as long as there is room for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from vdenoise.picture.frame import ClipInfo, SourceFrame
from vdenoise.workflows.reading import Reading

ROOM_BYTES = 384 << 20  # of decoded frames that are kept


class Decoded:
    """Any frames of a clip, in any order; those asked for last are kept.

    Args:
        reading: how the clip is read, as for the run.
        info: the clip.
        room: bytes of decoded frames to keep.
    """

    def __init__(self, reading: Reading, info: ClipInfo, room: int = ROOM_BYTES) -> None:
        self.reading, self.info, self.room = reading, info, room
        self._kept: OrderedDict[int, SourceFrame] = OrderedDict()
        self._bytes = 0
        self.read = 0  # frames that were decoded, for those who want to know

    def frames(self, first: int, last: int) -> Iterator[SourceFrame]:
        """The frames ``first`` to ``last``, both included, in order.

        Raises:
            InputError: they cannot be read.
        """
        position = first
        while position <= last:
            if position in self._kept:
                self._kept.move_to_end(position)
                yield self._kept[position]
                position += 1
                continue
            end = position
            while end < last and end + 1 not in self._kept:
                end += 1
            with self.reading.reader(self.info, position, end) as reader:
                for frame in reader:
                    self.read += 1
                    self._keep(frame)
                    yield frame
            position = end + 1

    def _keep(self, frame: SourceFrame) -> None:
        self._kept[frame.index] = frame
        self._bytes += _size(frame)
        while self._bytes > self.room and len(self._kept) > 1:
            _, old = self._kept.popitem(last=False)
            self._bytes -= _size(old)


def _size(frame: SourceFrame) -> int:
    return sum(plane.numel() * plane.element_size() for plane in frame.planes)
