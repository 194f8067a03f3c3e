"""Writing a movie: under a temporary name, complete, checked, and only then under its own.

A file that looks finished and is not would be worse than none: the output gets its name when its
streams were compared with the source's and its bytes are on the disk.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
from torch import Tensor

from vdenoise.errors import InputError, OutputError, VerifyError
from vdenoise.machine.files import give_name, partial_path, remove_orphans, sync
from vdenoise.media.access import check_folder, check_free, writing
from vdenoise.media.av1.grain import GrainAdder, GrainBits
from vdenoise.media.h273 import MATRICES, PRIMARIES, TRANSFERS, code_point
from vdenoise.media.inputs import is_pipe
from vdenoise.media.movie.clock import Clock, output_clock
from vdenoise.media.movie.encoder import EncodeSettings, full_gray
from vdenoise.media.movie.index import index_of
from vdenoise.media.movie.ledger import RIGHT_FIRST
from vdenoise.media.movie.output import Output
from vdenoise.media.movie.pixels import FrameCopier, FrameMaker
from vdenoise.media.movie.segment_packets import packets
from vdenoise.media.movie.tag import RecipeTag
from vdenoise.media.parts import parts_of
from vdenoise.media.verify import Report, verify
from vdenoise.picture.frame import ClipInfo, SourceFrame
from vdenoise.picture.samples import yuv_samples


def check_movie(
    info: ClipInfo, target: Path, *, overwrite: bool | None = False, folder_later: bool = False
) -> None:
    """See early that a movie can be written where it is wanted, in a folder that may be made later.

    Raises:
        UsageError: it is the input itself.
        OutputError: it exists, is a folder, or its folder is missing or not writable.
    """
    check_folder(target, made_later=folder_later)
    if target.is_dir():
        raise OutputError(f"{target} is a folder.", "Name a file in it.", number=3)
    own = parts_of(info.path) if info.sequence is None else (info.sequence.source(0),)
    for file in own:
        check_free(target, None if is_pipe(file) else file, overwrite=overwrite)


class MovieWriter:
    """A context manager that takes the frames of a clip in order.

    Every other stream of the source goes along. After a clean exit the file is complete under its
    temporary name; :meth:`commit` checks it and gives it its own. After an exception nothing is
    left.

    Args:
        info: the source (the reader's ``info``: deinterlaced where it deinterlaces).
        target: the output, ``-`` for standard output.
        settings: from `vdenoise.media.movie.settings.choose`.
        source: clip to copy the other streams from; None writes the picture alone.
        first: absolute number of the first frame that will be written.
        last: absolute number of the last one, None for the clip's last.
        overwrite: replace an existing file.
        grain: film grain that an AV1 decoder is to draw, of every frame; it is asked for at the
            end, when all frames are encoded.
        tag: of the recipe that it is made by; a container without a place for it gets none.

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
        grain: GrainBits | None = None,
        tag: RecipeTag | None = None,
    ) -> None:
        self.info, self.target, self.settings = settings.shown(info), Path(target), settings
        self._copy_from = source
        self._overwrite, self._grain, self._tag = overwrite, grain, tag
        index = index_of(info)
        self.first, self.last = first, len(index) - 1 if last is None else last
        self.clock: Clock = output_clock(index, settings.container, self.first, self.last)
        aspect = info.sample_aspect_ratio  # which the container may tell otherwise than frames
        square = {aspect, info.frames_aspect} <= {Fraction(0), Fraction(1)}
        self._maker = FrameMaker(
            info.width,
            info.height,
            settings.written,
            settings.coded_format,
            None if square else aspect,
            flat=RIGHT_FIRST in info.holds,
        )
        self._shape: FrameCopier | None = None
        self._position = self.first
        self._temporary: Path | None = None
        self._output: Output | None = None
        self._finished = False
        self._report: Report | None = None

    @property
    def temporary(self) -> Path | None:
        """Where the output is before it is committed; None for standard output."""
        return self._temporary

    def __enter__(self) -> Self:
        if is_pipe(self.target) and sys.stdout is None:  # closed by who started us
            raise OutputError("Standard output is closed.", "Name a file with -o.", number=35)
        if not is_pipe(self.target):
            check_movie(self.info, self.target, overwrite=self._overwrite)
            remove_orphans(self.target.parent)
            with writing(self.target):
                self._temporary = partial_path(self.target)
                self._temporary.touch(exist_ok=False)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None:
            self.abort()
            return
        with self._or_nothing():
            self.finish()

    def abort(self) -> None:
        """Stop and leave nothing behind."""
        if self._temporary is not None:  # before closing: that writes a playable short file
            self._temporary.unlink(missing_ok=True)
            self._temporary = None
        if self._output is not None:
            with contextlib.suppress(av.FFmpegError, OSError, ValueError):
                self._output.close()
            self._output = None

    def write(self, frame: SourceFrame, planes: Sequence[Tensor]) -> None:
        """Encode one frame.

        Args:
            frame: the source frame it comes from: timestamps, flags and side data are taken over.
            planes: its samples in ``settings.pixel_format``, as ``color.apply_correction`` gives
                them; on any device.
        """
        assert frame.index == self._position, f"frame {frame.index} is not {self._position}"
        self._position += 1
        if self.settings.becomes_yuv:
            planes = yuv_samples(planes, self.settings.pixel_format, self.settings.written)
        with writing(self.target):
            output = self._opened(frame)
            made = self._maker.make(self._handle(frame), planes)
            made.pts, made.duration = self.clock.at(frame.index)
            made.time_base = self.clock.time_base
            if full_gray(self.info):
                made.color_range = 2
            output.encode(made)

    def copy(self, first: SourceFrame, segments: Iterable[Path]) -> Iterator[int]:
        """Take all frames from segments that were encoded by the same settings, frame by frame.

        Args:
            first: the source frame that the first one comes from.
            segments: one after the other.

        Yields:
            The number of each frame once it is written.

        Raises:
            VerifyError: a segment was coded in another way.
        """
        with writing(self.target):
            output = self._opened(first)
        for path in segments:
            for packet in packets(path, output.extradata):
                with writing(self.target):
                    output.copy(packet, *self.clock.at(self._position))
                self._position += 1
                yield self._position - 1

    def _opened(self, like: SourceFrame) -> Output:
        if self._output is None:
            self._output = Output(
                sys.stdout.buffer if self._temporary is None else self._temporary,
                self.info,
                self.settings,
                self.clock,
                like=self._handle(like),
                copy_from=self._copy_from,
                grain=self._adder(),
                tag=self._tag,
            )
        return self._output

    def _adder(self) -> GrainAdder | None:
        if self._grain is None:
            return None
        return GrainAdder(self._grain, None if is_pipe(self.target) else self.target.parent)

    def _handle(self, frame: SourceFrame) -> av.VideoFrame:
        """The decoder's frame; for an image a fresh one."""
        if isinstance(frame.handle, av.VideoFrame):
            return frame.handle
        info = self.info
        made = av.VideoFrame(info.width, info.height, self.settings.written.name)
        made.color_range = 2 if info.full_range else 1
        if info.format.family == "yuv":
            made.colorspace = code_point(MATRICES, info.matrix)
        made.color_primaries = code_point(PRIMARIES, info.primaries)
        made.color_trc = code_point(TRANSFERS, info.transfer)
        made.time_base = frame.time_base
        if self._shape is None:
            self._shape = FrameCopier(made, info.sample_aspect_ratio)
        return self._shape.copy(made)

    def finish(self) -> None:
        """Write what is still under way and close the file, under its temporary name."""
        if self._finished:
            return
        assert self._position == self.last + 1, (
            f"{self._position - self.first} of {self.last + 1 - self.first} frames were written"
        )
        assert self._output is not None
        with writing(self.target):
            self._output.encode(None)
            self._output.close()
        self._finished = True

    def check(self) -> Report:
        """Compare the finished file with its source, before it has its name.

        Raises:
            VerifyError: it does not keep what it must keep; it is removed.
        """
        assert self._finished, "a check follows a clean exit"
        if self._temporary is None:
            return self._report or Report((), (), ("standard output is not checked",))
        with self._or_nothing():
            self._report = self._report or self._verified(self._temporary)
            return self._report

    def commit(self, *, check: bool = True) -> Report:
        """Check the finished file, if that was not done, and give it its name.

        Raises:
            VerifyError: as `check`.
            OutputError: it cannot be renamed.
        """
        report = self.check() if check else Report((), (), ("not checked",))
        if self._temporary is None:
            return report
        with self._or_nothing(), writing(self.target):
            sync(self._temporary)
            give_name(self._temporary, self.target, overwrite=self._overwrite)
            self._temporary = None
            sync(self.target.parent)
        return report

    @contextlib.contextmanager
    def _or_nothing(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.abort()
            raise

    def _verified(self, written: Path) -> Report:
        hint = "Write it in another container (.mkv, .mov) or with another --codec."
        try:
            report = verify(
                self.info,
                written,
                settings=self.settings,
                first=self.first,
                last=self.last,
                copied=self._copy_from is not None,
                tag=self._tag,
            )
        except InputError as error:
            raise VerifyError(
                f"What was written for {self.target} cannot be read: {error.what}", hint, number=2
            ) from error
        if report.findings:
            raise VerifyError(
                f"{self.target} would not keep what it must: {report.findings[0]}.", hint, number=1
            )
        return report
