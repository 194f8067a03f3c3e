"""Decoded frames of a clip, each under its absolute number in presentation order.

The index says which frames there must be, so a frame that is missing or damaged is noticed even
where the decoder hides it, and ``--frames A-B`` delivers exactly the frames a full pass would.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Self

import av
from av.video.reformatter import VideoReformatter

from vdenoise.errors import InputError, UsageError
from vdenoise.media.images.files import set_threads
from vdenoise.media.images.reader import changed, pictures
from vdenoise.media.inputs import display, patience
from vdenoise.media.movie.decoding import Decoding
from vdenoise.media.movie.deinterlace import deinterlaced
from vdenoise.media.movie.index import index_of
from vdenoise.media.movie.ordering import FrameIndex
from vdenoise.media.movie.pixels import normalized, planes_of, tag
from vdenoise.picture.frame import ClipInfo, SourceFrame
from vdenoise.settings.choices import OnBadFrame


class Reader:
    """A context manager that iterates over :class:`SourceFrame`.

    Args:
        info: the probed clip.
        first: absolute number of the first frame wanted (of images: its position, from 0).
        last: absolute number of the last frame wanted, None for the clip's last.
        threads: decoder threads, None for one per core.
        on_bad_frame: ``fail`` stops at the first frame that is missing or damaged; ``repeat``
            puts the last sound frame in its place (marked ``corrupt``) and notes it in ``bad``.
        deinterlace: turn each pair of fields into one frame with FFmpeg's bwdif.

    Raises:
        UsageError: the clip has no such frames.
        InputError: on entering, if the file was cut short (unless ``repeat``); while iterating,
            at a bad frame (unless ``repeat``) and where frames change their size or format.
        ConflictError: the file has another number of frames than it had when it was probed; while
            iterating, it is not the one that was indexed.
    """

    def __init__(
        self,
        info: ClipInfo,
        *,
        first: int = 0,
        last: int | None = None,
        threads: int | None = None,
        on_bad_frame: OnBadFrame = "fail",
        deinterlace: bool = False,
    ) -> None:
        self.index: FrameIndex = index_of(info)
        if info.frames is not None and len(self.index) != info.frames:
            raise changed(display(info.path), "the number of its frames")
        final = len(self.index) - 1
        self.first, self.last = first, final if last is None else last
        if not 0 <= self.first <= self.last <= final:
            raise UsageError(
                f"{display(info.path)} has the frames 0-{final}, not {self.first}-{self.last}.",
                f"Name frames between 0 and {final}.",
                number=20,
            )
        self._source_info = info
        self.info = replace(info, field_order="progressive") if deinterlace else info
        self.bad: list[int] = []  # numbers of the frames that were replaced
        self._threads = threads
        self._repeat = on_bad_frame == "repeat"
        self._deinterlace = deinterlace
        self._decoding = Decoding(info, self.index, threads)

    @property
    def frames(self) -> int:
        """Number of frames that iterating delivers."""
        return self.last - self.first + 1

    def __enter__(self) -> Self:
        refuse_cut_short(self.info, "repeat" if self._repeat else "fail")
        return self

    def __exit__(self, *_: object) -> None:
        self._decoding.close()

    def __iter__(self) -> Iterator[SourceFrame]:
        if self.info.sequence is not None:
            set_threads(self._threads)
            info, first, last = self.info, self.first, self.last
            yield from pictures(info, first, last, self.bad, repeat=self._repeat)
            return
        if not self._deinterlace:
            yield from self._frames(self.first, self.last)
            return
        # bwdif looks one frame back and ahead: with those the result is that of a full pass.
        first, last = max(self.first - 1, 0), min(self.last + 1, len(self.index) - 1)
        for frame in deinterlaced(self._frames(first, last)):
            if self.first <= frame.index <= self.last:
                yield frame

    def _frames(self, first: int, last: int) -> Iterator[SourceFrame]:
        """Exactly the frames first..last, in order; holes are filled or raised."""
        reformatter = VideoReformatter()
        position, sound = first, None
        for number, frame in self._decoding.frames(first):
            if number < position:
                continue
            if frame.is_corrupt or number in self._decoding.damaged:
                self._decoding.trouble = self._decoding.trouble or "the decoder reports damage"
                if not self._repeat:
                    raise self._bad_frame(number)
                continue  # its place is filled when the next sound frame is known
            self._check(frame, number)
            current = self._wrapped(frame, number, reformatter)
            while position < min(number, last + 1):
                yield self._substitute(position, sound or current)
                position += 1
            if position > last:
                return
            sound = current
            yield sound
            position += 1
            if position > last:
                return
        while position <= last:
            if sound is None:
                self._decoding.trouble = self._decoding.trouble or "nothing could be decoded"
                raise self._bad_frame(position)
            yield self._substitute(position, sound)
            position += 1

    def _wrapped(
        self, frame: av.VideoFrame, number: int, reformatter: VideoReformatter
    ) -> SourceFrame:
        planar = normalized(frame, self.info.format, reformatter)
        planar.pts, planar.time_base = self.index.pts[number], self.index.time_base
        planar.duration = self.index.durations[number]
        tag(planar, self._source_info)
        return SourceFrame(
            index=number,
            pts=self.index.pts[number],
            time_base=self.index.time_base,
            duration=self.index.durations[number],
            planes=planes_of(planar),
            handle=planar,
        )

    def _substitute(self, number: int, sound: SourceFrame) -> SourceFrame:
        """The sound frame in place of a bad one."""
        if not self._repeat:
            raise self._bad_frame(number)
        self.bad.append(number)
        return replace(
            sound,
            index=number,
            pts=self.index.pts[number],
            duration=self.index.durations[number],
            corrupt=True,
        )

    def _bad_frame(self, number: int) -> InputError:
        at = float((self.index.pts[number] - self.index.pts[0]) * self.index.time_base)
        why = f" ({self._decoding.trouble})" if self._decoding.trouble else ""
        return InputError(
            f"Frame {number} of {display(self.info.path)}, at {at:.3f} s, is damaged{why}.",
            "Copy the file again, or put the frame before in its place with --on-bad-frame repeat.",
            number=8,
        )

    def _check(self, frame: av.VideoFrame, number: int) -> None:
        info = self._source_info
        found = (frame.width, frame.height, frame.format.name)
        if found != (info.width, info.height, info.source_format):
            raise InputError(
                f"Frame {number} of {display(info.path)} is {found[0]}x{found[1]} {found[2]}, the "
                f"first one {info.width}x{info.height} {info.source_format}.",
                f"Denoise the part before with --frames 0-{number - 1}; cut the file there for the "
                "rest.",
                number=12,
            )


def refuse_cut_short(info: ClipInfo, on_bad_frame: OnBadFrame) -> None:
    """See that a clip is whole, where what is missing is not to be filled.

    Raises:
        InputError: it was cut short.
    """
    missing = index_of(info).truncated
    if missing and on_bad_frame == "fail":
        raise InputError(
            f"{display(info.path)} was cut short: {missing}.",
            patience(info.path)
            + "Copy it again, or take what is there with --on-bad-frame repeat.",
            number=7,
        )
