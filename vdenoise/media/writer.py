"""Writing a clip, as a movie or as images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

from torch import Tensor

from vdenoise.errors import OutputError
from vdenoise.machine.process import is_closed
from vdenoise.media.av1.grain import GrainBits
from vdenoise.media.images.sequence import is_image, target_of
from vdenoise.media.images.writer import ImageWriter, check_images
from vdenoise.media.inputs import is_pipe
from vdenoise.media.movie.encoder import IMAGES, EncodeSettings
from vdenoise.media.movie.tag import RecipeTag
from vdenoise.media.movie.writer import MovieWriter, check_movie
from vdenoise.media.verify import Report
from vdenoise.picture.frame import ClipInfo, SourceFrame


def check_target(
    info: ClipInfo,
    target: Path,
    *,
    overwrite: bool | None = False,
    positions: Sequence[int] | None = None,
    folder_later: bool = False,
) -> None:
    """See early that an output can be written where it is wanted.

    Args:
        info: the source.
        target: file, ``-``, or a pattern of images.
        overwrite: it may exist; None where that is seen elsewhere.
        positions: absolute numbers of the frames that will be written; None for all.
        folder_later: its folder is made before it is written.

    Raises:
        UsageError: it is the input itself.
        OutputError: it exists, is a folder, or its folder is missing or not writable.
    """
    if is_pipe(target):
        if is_closed(1):
            raise OutputError(
                "Standard output is closed.", "Send it somewhere, or name a file.", number=14
            )
        return
    if is_image(target):
        if positions is None:
            positions = range(info.frames or 0)
        check_images(info, target, positions, overwrite=overwrite, folder_later=folder_later)
    else:
        check_movie(info, target, overwrite=overwrite, folder_later=folder_later)


def files_written(
    info: ClipInfo, target: Path, positions: Sequence[int] | None = None
) -> tuple[Path, ...]:
    """The files that a target comes to: one, or an image for each frame.

    Args:
        info: the source.
        target: file, ``-``, or a pattern of images.
        positions: absolute numbers of the frames that will be written; None for all.
    """
    if not is_image(target):
        return (target,)
    files = target_of(info, target)
    return tuple(files.path(files.numbers[n]) for n in positions or range(info.frames or 0))


class ClipWriter(Protocol):
    """What writes a clip, as a movie or as images. See `MovieWriter`."""

    def __enter__(self) -> Self: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None: ...

    def write(self, frame: SourceFrame, planes: Sequence[Tensor]) -> None:
        """Write one frame."""
        ...

    def check(self) -> Report:
        """Check what was written, before it is final."""
        ...

    def commit(self, *, check: bool = True) -> Report:
        """Check what was written, if that was not done, and make it final."""
        ...

    def abort(self) -> None:
        """Stop and leave nothing unfinished behind."""
        ...


def open_writer(
    info: ClipInfo,
    target: Path,
    settings: EncodeSettings,
    *,
    source: Path | None = None,
    positions: Sequence[int],
    overwrite: bool = False,
    grain: GrainBits | None = None,
    tag: RecipeTag | None = None,
) -> ClipWriter:
    """The writer for a target: images one by one, or a movie.

    Args:
        info: the source.
        target: file, ``-``, or a pattern of images.
        settings: from `vdenoise.media.movie.settings.choose`.
        source: clip to copy the other streams of a movie from.
        positions: absolute numbers of the frames to write, ascending; a movie takes all between
            the first and the last.
        overwrite: replace what exists.
        grain: film grain that an AV1 decoder is to draw, of every frame.
        tag: of the recipe that a movie is made by; images get none, whose every attribute is their
            source's.
    """
    if settings.container == IMAGES:
        return ImageWriter(info, target, settings, positions=positions, overwrite=overwrite)
    return MovieWriter(
        info,
        target,
        settings,
        source=source if info.sequence is None else None,
        first=positions[0],
        last=positions[-1],
        overwrite=overwrite,
        grain=grain,
        tag=tag,
    )
