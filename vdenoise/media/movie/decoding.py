"""Decoded frames of a movie, each under its number in presentation order, from any of them on.

The index holds a checksum of each packet: what is read is what was indexed, or an error.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from itertools import islice

import av
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vdenoise.media.images.reader import changed
from vdenoise.media.inputs import (
    display,
    open_input,
    prepare_decoder,
    readable,
    release,
    video_of,
)
from vdenoise.media.memory import see_memory
from vdenoise.media.movie.ffv1 import Checksums, present
from vdenoise.media.movie.ordering import FrameIndex
from vdenoise.picture.frame import ClipInfo

# After a seek the first packets of these may be cut or carry the timestamp of another one.
_FOUND_LATER = ("mpeg", "mpegts")


class Decoding:
    """Opens a movie where a frame is to be had from, and decodes it.

    Args:
        info: the clip.
        index: of its frames.
        threads: of the decoder, None for one per core.
    """

    def __init__(self, info: ClipInfo, index: FrameIndex, threads: int | None) -> None:
        self.info, self.index = info, index
        self.damaged: set[int] = set()  # frames whose packets fail their checksum
        self.trouble = ""  # the decoder's last complaint
        self._threads = threads
        self._opened: tuple[InputContainer, VideoCodecContext] | None = None

    def close(self) -> None:
        """Give the file and the decoder back."""
        if self._opened is not None:
            release(*self._opened)
            self._opened = None

    def frames(self, first: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """Decode (number, frame) from ``first`` or earlier on, in presentation order.

        Raises:
            ConflictError: the file is not the one that was indexed.
        """
        for start in self._starts(first):
            self.close()
            container = open_input(self.info.path)
            stream = video_of(container, self.info.path)
            decoder = prepare_decoder(stream, self._threads)
            self._opened = (container, decoder)
            if start is not None:
                try:
                    container.seek(self.index.pts[start], stream=stream, backward=True)
                except av.FFmpegError:
                    continue  # the file's own index is damaged: the beginning needs none
            frames = self._numbered(container, stream, decoder, sought=start is not None)
            head = next(frames, None)
            if start is not None and (head is None or head[0] > start):
                continue  # landed behind the keyframe asked for: start earlier
            if head is not None:
                yield head
                yield from frames
            return

    def _starts(self, first: int) -> Iterator[int | None]:
        """Frames to seek to, the best first; None is the start of the file.

        The keyframe right before is not safe: after an open-GOP keyframe leading pictures are
        lost or broken. One further back is, and every seek is checked.
        """
        if not self.index.counted:
            keys = [key for key in self.index.keys if key <= first]
            for back in (2, 4):
                if len(keys) >= back and keys[-back] > 0:
                    yield keys[-back]
        yield None

    def _numbered(
        self,
        container: InputContainer,
        stream: VideoStream,
        decoder: VideoCodecContext,
        *,
        sought: bool,
    ) -> Iterator[tuple[int, av.VideoFrame]]:
        """Every decoded frame with its number; frames outside of the index are left out."""
        numbers = self.index.numbers
        checksums = self._checksums(stream)
        count = place = 0
        settled = not (sought and self.info.container in _FOUND_LATER)
        packets = container.demux(stream)
        ended = False
        while not ended:
            try:
                packet = next(packets, None)
                ended = packet is None or not packet.size
                if packet is not None and not ended and not packet.is_discard:
                    known = place if self.index.counted else numbers.get(packet.pts)
                    settled = self._compare(packet, known, settled)
                    place += 1
                if checksums is not None and packet is not None and not ended:
                    self._note_damage(checksums, packet, numbers)
                frames = decoder.decode(None if ended else packet)
            except av.FFmpegError as error:
                see_memory(error)
                self.trouble = error.strerror or str(error)
                if self.index.counted:  # without timestamps a hole can only be seen here
                    count += 1
                continue
            for frame in frames:
                number = count if self.index.counted else numbers.get(frame.pts)
                count += 1
                if number is not None and number < len(self.index):
                    yield number, frame

    def _compare(self, packet: av.Packet[VideoStream], number: int | None, settled: bool) -> bool:
        """See that a packet is the one that was indexed; whether the next ones must be, too."""
        if number is None or number >= len(self.index.checks):
            return settled
        same = zlib.crc32(packet) == self.index.checks[number]
        if settled and not same:
            raise changed(display(self.info.path), f"frame {number}")
        return settled or same

    def _checksums(self, stream: VideoStream) -> Checksums | None:
        if stream.codec_context.name != "ffv1":
            return None
        with open_input(self.info.path) as container:
            packets = readable(container.demux(video_of(container, self.info.path)))
            return Checksums(present(bytes(packet) for packet in islice(packets, 8)))

    def _note_damage(
        self,
        checksums: Checksums,
        packet: av.Packet[VideoStream],
        numbers: Mapping[int | None, int],
    ) -> None:
        if checksums.damaged(bytes(packet), packet.is_keyframe) and packet.pts in numbers:
            self.damaged.add(numbers[packet.pts])
            self.trouble = "its checksum is wrong"
