"""Writing a clip: under a temporary name, complete, checked, and only then under its own.

A file that looks finished and is not would be worse than none: the output gets its name when its
streams were compared with the source's and its bytes are on the disk.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream
from torch import Tensor

from vdenoise.errors import OutputError, UsageError, VerifyError
from vdenoise.frame import ClipInfo, SourceFrame
from vdenoise.media.clock import Clock, advanced_timecode, output_clock
from vdenoise.media.encode import EncodeSettings, add_video, choose, open_output
from vdenoise.media.index import scan
from vdenoise.media.pixels import FrameMaker
from vdenoise.media.probe import display_matrix, side_data_of
from vdenoise.media.source import is_pipe, open_input, video_of
from vdenoise.media.streams import (
    Copier,
    add_copy,
    container_metadata,
    plan_copies,
    stream_metadata,
)
from vdenoise.media.verify import Report, verify

__all__ = ["EncodeSettings", "Writer", "check_target", "choose"]


def check_target(info: ClipInfo, target: Path, *, overwrite: bool = False) -> None:
    """See early that an output can be written where it is wanted.

    Raises:
        UsageError: it is the input itself.
        OutputError: it exists, is a folder, or its folder is missing or not writable.
    """
    if is_pipe(target):
        return
    folder = target.parent
    if not folder.is_dir():
        raise OutputError(
            f"The folder {folder} does not exist.", f"Make it with: mkdir -p {folder}", number=2
        )
    if target.is_dir():
        raise OutputError(f"{target} is a folder.", "Name a file in it.", number=3)
    if target.exists():
        if not is_pipe(info.path) and target.samefile(info.path):
            raise UsageError(
                f"{target} is the input itself.", "Give the output another name.", number=25
            )
        if not overwrite:
            raise OutputError(
                f"{target} exists already.", "Choose another name or add --overwrite.", number=1
            )
    if not os.access(folder, os.W_OK):
        raise OutputError(
            f"The folder {folder} may not be written.", "Choose another folder.", number=4
        )


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Turn failures of writing into an OutputError that says why."""
    try:
        yield
    except (OSError, av.FFmpegError) as error:
        code = getattr(error, "errno", None)
        if code in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise OutputError(
                f"The disk is full: {target} cannot be finished.",
                f"Free some room in {target.parent} and run the same command again.",
                number=5,
            ) from error
        if code == errno.EPIPE:
            raise OutputError(
                "The program that reads standard output has closed it.",
                "See what it says.",
                number=6,
            ) from error
        raise OutputError(
            f"{target} cannot be written: {getattr(error, 'strerror', None) or error}.",
            "Check the disk, or write in another place or container.",
            number=7,
        ) from error


class Writer:
    """A context manager that takes the frames of a clip in order.

    Every other stream of the source goes along. After a clean exit the file is complete under its
    temporary name; :meth:`commit` checks it and gives it its own. After an exception nothing is
    left.

    Args:
        info: the source (the reader's ``info``: deinterlaced where it deinterlaces).
        target: the output, ``-`` for standard output.
        settings: from :func:`choose`.
        source: clip to copy the other streams from; None writes the picture alone.
        first: absolute number of the first frame that will be written.
        last: absolute number of the last one, None for the clip's last.
        overwrite: replace an existing file.

    Raises:
        OutputError: the output cannot be written.
        UsageError: it is the input itself.
    """

    def __init__(
        self,
        info: ClipInfo,
        target: Path,
        settings: EncodeSettings,
        *,
        source: Path | None = None,
        first: int = 0,
        last: int | None = None,
        overwrite: bool = False,
    ) -> None:
        self.info, self.target, self.settings = info, Path(target), settings
        self._copy_from = source
        self._overwrite = overwrite
        index = scan(info.path)
        self.first, self.last = first, len(index) - 1 if last is None else last
        self.clock: Clock = output_clock(index, settings.container, self.first, self.last)
        whole = self.first == 0 and self.last == len(index) - 1
        self._range = None if whole else (self.clock.shift, self._end_of_range(index.pts))
        self._base = index.time_base
        self._maker = FrameMaker(
            info.width, info.height, settings.pixel_format, settings.coded_format
        )
        self._position = self.first
        self._temporary: Path | None = None
        self._output: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._source: InputContainer | None = None
        self._copier: Copier | None = None
        self._finished = False

    def _end_of_range(self, pts: tuple[int, ...]) -> Fraction | None:
        following = self.last + 1
        return None if following >= len(pts) else pts[following] * scan(self.info.path).time_base

    @property
    def temporary(self) -> Path | None:
        """Where the output is before it is committed; None for standard output."""
        return self._temporary

    def __enter__(self) -> Self:
        check_target(self.info, self.target, overwrite=self._overwrite)
        if not is_pipe(self.target):
            name = f".{self.target.name}.{os.getpid()}.{secrets.token_hex(3)}.partial"
            with _writing(self.target):
                self._temporary = self.target.with_name(name)
                self._temporary.touch(exist_ok=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.abort()
            return
        try:
            self.finish()
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Stop and leave nothing behind."""
        if self._temporary is not None:  # before closing: that writes a playable short file
            self._temporary.unlink(missing_ok=True)
            self._temporary = None
        with contextlib.suppress(av.FFmpegError, OSError, ValueError):
            self._close()

    def write(self, frame: SourceFrame, planes: Sequence[Tensor]) -> None:
        """Encode one frame.

        Args:
            frame: the source frame it comes from: timestamps, flags and side data are taken over.
            planes: its samples in ``settings.pixel_format``, as ``color.apply_correction`` gives
                them; on any device.
        """
        assert frame.index == self._position, f"frame {frame.index} is not {self._position}"
        self._position += 1
        with _writing(self.target):
            if self._output is None:
                self._open(frame)
            made = self._maker.make(frame.handle, planes)
            made.pts, made.duration = self.clock.at(frame.index)
            made.time_base = self.clock.time_base
            assert self._stream is not None
            self._mux(self._stream.encode(made))

    def finish(self) -> None:
        """Write what is still under way and close the file, under its temporary name."""
        if self._finished:
            return
        assert self._position == self.last + 1, (
            f"{self._position - self.first} of {self.last + 1 - self.first} frames were written"
        )
        assert self._stream is not None and self._output is not None
        with _writing(self.target):
            self._mux(self._stream.encode(None))
            if self._copier is not None:
                self._copier.advance(None)
            self._close()
        self._finished = True

    def commit(self, *, check: bool = True) -> Report:
        """Check the finished file against its source and give it its name.

        Raises:
            VerifyError: it does not keep what it must keep; it is removed.
            OutputError: it cannot be renamed.
        """
        assert self._finished, "commit follows a clean exit"
        if self._temporary is None:
            return Report(checked=(), findings=(), notes=("standard output is not checked",))
        report = Report(checked=(), findings=(), notes=("not checked",))
        try:
            if check:
                report = verify(
                    self.info,
                    self._temporary,
                    settings=self.settings,
                    first=self.first,
                    last=self.last,
                    copied=self._copy_from is not None,
                )
                if report.findings:
                    raise VerifyError(
                        f"{self.target} would not keep what it must: {report.findings[0]}.",
                        "Write it in another container or codec, and report this as a bug.",
                        number=1,
                    )
            with _writing(self.target):
                _sync(self._temporary)
                if not self._overwrite and self.target.exists():
                    check_target(self.info, self.target)
                self._temporary.replace(self.target)
                self._temporary = None
                _sync(self.target.parent)
        except BaseException:
            self.abort()
            raise
        return report

    def _open(self, frame: SourceFrame) -> None:
        """Open the output with the tags of the first frame, every stream and the header."""
        info, settings = self.info, self.settings
        place: Any = sys.stdout.buffer if self._temporary is None else str(self._temporary)
        source = self._source = open_input(info.path)
        video = video_of(source, info.path)
        plan = plan_copies(source, video, settings.container)
        output = self._output = open_output(place, settings, **self._muxer_options(source))
        streams: dict[int, Any] = {}
        for stream in source.streams:
            if stream.index == video.index:
                self._stream = self._add_video(output, video, frame)
            elif self._copy_from is None:
                continue
            elif stream.index in plan.copied:
                streams[stream.index] = add_copy(output, stream)
            elif stream.index in plan.rewritten:
                streams[stream.index] = self._add_text(output, stream, plan.rewritten[stream.index])
        if self._copy_from is not None:
            output.metadata.update(container_metadata(source))
            chapters = self._chapters(source)
            if chapters:
                output.set_chapters(chapters)
        output.start_encoding()
        begin, end = self._range or (None, None)
        self._copier = Copier(source, output, streams, set(plan.rewritten), begin, end)

    def _muxer_options(self, source: InputContainer) -> dict[str, str]:
        if self.settings.container not in ("mov", "mp4"):
            return {}
        flags = ["faststart"] if self.settings.container == "mp4" else []
        known = {"title", "artist", "album", "comment", "date", "genre", "copyright", "composer"}
        known |= {"creation_time", "description", "synopsis", "location", "timecode", "track"}
        if any(key.lower() not in known for key in container_metadata(source)):
            flags.append("use_metadata_tags")
        scale = self.clock.time_base.denominator
        while scale < 1000:
            scale *= 10
        options = {"movie_timescale": str(min(scale, 2**31 - 1))}
        return options | ({"movflags": "+" + "+".join(flags)} if flags else {})

    def _add_video(
        self, output: OutputContainer, video: VideoStream, frame: SourceFrame
    ) -> VideoStream:
        stream = add_video(output, self.info, self.settings, tags=frame.handle)
        stream.codec_context.time_base = self.clock.time_base
        stream.time_base = self.clock.time_base
        matrix = display_matrix(side_data_of(frame.handle))
        if matrix is not None:
            stream.set_display_matrix(matrix)
        stream.metadata.update(stream_metadata(video))
        stream.disposition = video.disposition
        if self.info.timecode is not None:
            timecode = advanced_timecode(self.info.timecode, self.first, self.info.rate)
            stream.metadata["timecode"] = timecode
            if self.settings.container == "mxf":
                output.metadata["timecode"] = timecode
        return stream

    def _add_text(self, output: OutputContainer, stream: Any, encoder: str) -> Any:
        text = output.add_stream(encoder)
        text.codec_context.subtitle_header = stream.codec_context.subtitle_header or _ASS_HEADER
        text.time_base = stream.time_base
        text.metadata.update(stream_metadata(stream))
        text.disposition = stream.disposition
        return text

    def _chapters(self, source: InputContainer) -> list[dict[str, Any]]:
        """The source's chapters, moved and cut to the range that is written."""
        found = []
        begin, end = self._range or (None, None)
        for chapter in source.chapters():
            base = chapter["time_base"]
            start, stop = chapter["start"], chapter["end"]
            if end is not None and start * base >= end:
                continue
            if end is not None:
                stop = min(stop, round(end / base))
            if begin is not None:
                if stop * base <= begin:
                    continue
                start = max(start - round(begin / base), 0)
                stop -= round(begin / base)
            found.append({**chapter, "start": start, "end": stop})
        return found

    def _mux(self, packets: list[Any]) -> None:
        assert self._output is not None and self._copier is not None
        for packet in packets:
            if packet.dts is not None:
                self._copier.advance(packet.dts * packet.time_base)
            self._output.mux(packet)

    def _close(self) -> None:
        output, self._output = self._output, None
        source, self._source = self._source, None
        if source is not None:
            source.close()
        if output is not None:
            output.close()


_ASS_HEADER = (
    b"[Script Info]\r\nScriptType: v4.00+\r\nPlayResX: 384\r\nPlayResY: 288\r\n\r\n"
    b"[V4+ Styles]\r\nFormat: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, "
    b"OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, "
    b"Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\r\n"
    b"Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1"
    b"\r\n\r\n[Events]\r\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, "
    b"Effect, Text\r\n"
)


def _sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
