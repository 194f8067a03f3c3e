"""Writing a clip as images: every frame under a temporary name, read back, and then renamed.

A frame that is there is whole, whatever happened to the rest: an interrupted run leaves finished
frames and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from vdenoise.errors import InputError, UsageError, VerifyError
from vdenoise.machine.files import give_name, partial_path, remove_orphans, sync
from vdenoise.media.access import check_folder, check_free, reading, writing
from vdenoise.media.images import carry, dpx, turn, write
from vdenoise.media.images import files as image_files
from vdenoise.media.images.belongings import Belongings, belongings, of_movie
from vdenoise.media.images.reader import ImageFile
from vdenoise.media.images.sequence import target_of
from vdenoise.media.movie.clock import advanced_timecode
from vdenoise.media.movie.encoder import EncodeSettings
from vdenoise.media.movie.pixels import planar_format
from vdenoise.media.verify import Report
from vdenoise.picture.frame import ClipInfo, PixelFormat, SourceFrame
from vdenoise.picture.samples import rgb_samples
from vdenoise.settings.text import counted

_CHECKED = ("frames", "samples", "size", "channels", "data window", "compression", "attributes")


def check_images(
    info: ClipInfo,
    target: Path,
    positions: Sequence[int],
    *,
    overwrite: bool | None = False,
    folder_later: bool = False,
) -> None:
    """See early that the frames at some positions can be written under a pattern, in a folder that
    may be made later.

    Raises:
        UsageError: they are the input itself, or one file is to hold several frames.
        OutputError: one exists, or the folder is missing or not writable.
    """
    files = target_of(info, target)
    if files.padding is None and len(positions) > 1:
        raise UsageError(
            f"{target.name} is one image, and the clip has {len(positions)} frames to write.",
            f"Name a pattern, such as {target.stem}.####{target.suffix}.",
            number=74,
        )
    check_folder(target, made_later=folder_later)
    entries = os.scandir(target.parent) if target.parent.exists() else ()
    there = {entry.name for entry in entries}
    for position in positions:
        path = files.path(files.numbers[position])
        if path.name in there:
            own = None if info.sequence is None else info.sequence.source(position)
            check_free(path, own, overwrite=overwrite)


class ImageWriter:
    """A context manager that takes the frames of a clip in order and writes each as it comes.

    Args:
        info: the source.
        target: pattern, or the name of a single image.
        settings: from `vdenoise.media.images.settings.choose_images`.
        positions: absolute numbers of the frames to write; others are passed over.
        overwrite: replace existing files.

    Raises:
        OutputError: a frame cannot be written.
        VerifyError: a frame does not read back as it was written; it is removed.
        UsageError: it is the input itself.
    """

    def __init__(
        self,
        info: ClipInfo,
        target: Path,
        settings: EncodeSettings,
        *,
        positions: Sequence[int],
        overwrite: bool = False,
    ) -> None:
        self.info, self.target, self.settings = info, target, settings
        self._positions = frozenset(positions)
        self._order = tuple(positions)
        self._overwrite = overwrite
        self._files = target_of(info, target)
        coded = planar_format(settings.coded_format)
        assert coded is not None
        self._coded: PixelFormat = coded
        self._written = 0
        self._strange: list[int] = []  # numbers of frames with NaN or infinity
        self.temporary: Path | None = None

    def __enter__(self) -> Self:
        check_images(self.info, self.target, self._order, overwrite=self._overwrite)
        remove_orphans(self._files.folder)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None:
            self.abort()
            return
        self.finish()

    def abort(self) -> None:
        """Remove what is not finished; finished frames stay."""
        if self.temporary is not None:
            self.temporary.unlink(missing_ok=True)
            self.temporary = None

    def write(self, frame: SourceFrame, planes: Sequence[Tensor]) -> None:
        """Write, check and rename one frame.

        Args:
            frame: the source frame it comes from.
            planes: its samples in ``settings.pixel_format``.
        """
        if frame.index not in self._positions:
            return
        number = self._files.numbers[frame.index]
        path = self._files.path(number)
        self.temporary = partial_path(path)
        made = self._turned(self._converted(planes), frame)
        if self._coded.floating and not all(bool(p.isfinite().all()) for p in made):
            self._strange.append(number)
        with writing(path):
            self.temporary.touch(exist_ok=False)
            source, compression = frame.handle, self.settings.options.get("compression", "")
            copied = isinstance(source, ImageFile) and self._fits(source)
            if copied:
                write.write_copy(self.temporary, source.path, source.layout, made, compression)
            else:
                write.write_new(
                    self.temporary,
                    self.settings.codec,
                    self._coded,
                    made,
                    compression,
                    like=source.path if isinstance(source, ImageFile) else None,
                    rate=self.info.rate,
                    timecode=self._timecode(frame),
                    aspect=self._aspect(),
                    own=self._own(source),
                )
            if self.settings.codec == "dpx":
                dpx.set_name(self.temporary, path.name)
        self._check(path, made, source if copied else None)
        with writing(path):
            sync(self.temporary)
            give_name(self.temporary, path, overwrite=self._overwrite)
        self.temporary = None
        self._written += 1

    def finish(self) -> None:
        """See that every frame came."""
        assert self._written == len(self._positions), (
            f"{self._written} of {len(self._positions)} frames were written"
        )

    def commit(self, *, check: bool = True) -> Report:
        """See to it that the names last, too, and say what was checked."""
        with writing(self.target):
            sync(self.target.parent)
        return self.check()

    def check(self) -> Report:
        """Say what was checked: each frame was, before it got its name."""
        notes: tuple[str, ...] = ()
        orientation, kind = turn.orientation_of(self.info), self.settings.codec
        if orientation != 1 and self.info.codec != kind and not turn.is_held(kind):
            notes = (f"the picture is written {turn.WORDS[orientation]}, as it is to be seen",)
        if self._strange:
            shown = ", ".join(map(str, self._strange[:5]))
            notes += (
                f"NaN or infinity was kept in {counted(len(self._strange), 'frame')}: {shown}",
            )
        return Report(checked=_CHECKED, findings=(), notes=notes)

    def _fits(self, source: ImageFile) -> bool:
        """Whether the file is like the source's but for the samples."""
        return source.layout.kind == self.settings.codec and source.layout.format == self._coded

    def _turned(self, planes: Sequence[Tensor], frame: SourceFrame) -> tuple[Tensor, ...]:
        """The picture as it is to be seen, where the file cannot say how to turn it."""
        source = frame.handle
        if turn.is_held(self.settings.codec) or (
            isinstance(source, ImageFile) and source.layout.kind == self.settings.codec
        ):
            return tuple(planes)
        return tuple(turn.turned(plane, turn.orientation_of(self.info)) for plane in planes)

    def _aspect(self) -> float:
        """Width of a pixel by its height, after turning."""
        aspect = float(self.info.sample_aspect_ratio or 1)
        sideways = turn.orientation_of(self.info) > 4 and not turn.is_held(self.settings.codec)
        return 1 / aspect if sideways else aspect

    def _own(self, source: object) -> Belongings:
        if isinstance(source, ImageFile):
            return belongings(source.path, source.layout.kind)
        return of_movie(self.info, turn.orientation_of(self.info))

    def _timecode(self, frame: SourceFrame) -> str | None:
        if self.info.timecode is None:
            return None
        return advanced_timecode(self.info.timecode, frame.index, self.info.rate)

    def _converted(self, planes: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The samples as the file holds them."""
        given = self.settings.pixel_format
        if given == self._coded:
            return tuple(planes)
        return rgb_samples(planes, given, self.info.full_range, self.info.matrix, self._coded)

    def _check(self, path: Path, made: Sequence[Tensor], like: ImageFile | None) -> None:
        assert self.temporary is not None
        trouble = ""
        try:
            found, planes = image_files.read_planes(self.temporary)
        except InputError as error:
            with writing(path):
                write.see_room(self.temporary, sum(plane.nbytes for plane in made))
            trouble = f"cannot be read: {error.what.removesuffix('.')}"
        else:
            if like is not None and found != like.layout:
                trouble = "would not keep its size, data window, channels or depth"
            elif not all(_same(a, b) for a, b in zip(planes, made, strict=True)):
                trouble = "would not hold the samples it was given"
            elif like is not None:
                kind = self.settings.codec
                with reading(str(like.path)):
                    before = carry.kept(like.path, self.temporary, kind)
                    after = carry.kept(self.temporary, self.temporary, kind)
                lost = [name for name in before | after if after.get(name) != before.get(name)]
                if lost:
                    trouble = f"would not keep the attribute {lost[0].partition(':')[2] or lost[0]}"
        if trouble:
            self.abort()
            raise VerifyError(
                f"{path} {trouble}.",
                "Write another kind of image, and report this as a bug.",
                number=3,
            )


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether two planes are equal to the bit, NaN included."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    raw = {torch.float16: torch.int16, torch.float32: torch.int32}.get(a.dtype)
    if raw is not None:
        a, b = a.contiguous().view(raw), b.contiguous().view(raw)
    return bool(torch.equal(a, b))
