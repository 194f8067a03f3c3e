"""Opening what is to be read: files and standard input, with every failure in plain words."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeVar

import av
from av.codec.context import Flags, ThreadType
from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vdenoise.errors import InputError
from vdenoise.machine.owner import temporary_prefix
from vdenoise.media.access import reading
from vdenoise.media.images.sequence import OTHER_IMAGES, in_folder
from vdenoise.media.images.supported import unsupported
from vdenoise.media.memory import see_memory
from vdenoise.media.movie.demuxers import open_demuxer, text_kind
from vdenoise.media.movie.joined import RecordingPart, join, part_of
from vdenoise.media.parts import HOLE, parts_of

Packet = TypeVar("Packet")

PIPE = Path("-")
FRESH_SECONDS = 10.0  # since the last change of a file: writers that are at work change it sooner

# PyAV's logging stays off: its callback takes the GIL in FFmpeg's threads, and PyAV joins those
# threads while it holds the GIL, so that a damaged file would hang the program.


def is_pipe(path: Path) -> bool:
    """Whether ``path`` means standard input or output."""
    return path == PIPE


@cache
def _spooled(path: Path) -> Path:
    """A pipe as a file: measuring the noise and denoising each read the whole clip."""
    name = "Standard input" if is_pipe(path) else str(path)
    if is_pipe(path) and sys.stdin is None:  # closed by who started us
        raise InputError("Standard input is closed.", "Name a file, or pipe one in.", number=35)
    folder = Path(tempfile.mkdtemp(prefix=temporary_prefix()))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    target = folder / "stdin"
    with contextlib.ExitStack() as stack:
        source = sys.stdin.buffer if is_pipe(path) else stack.enter_context(path.open("rb"))
        try:
            with target.open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
        except OSError as error:
            raise InputError(
                f"{name} cannot be kept in {folder.parent}: {error.strerror}.",
                "Point TMPDIR to a folder with more room.",
                number=13,
            ) from error
    return target


def passes(path: Path) -> bool:
    """Whether a clip can be read but once: standard input, or what a shell makes of
    ``<(command)``."""
    return is_pipe(path) or (len(parts_of(path)) == 1 and path.is_fifo())


def local(path: Path) -> tuple[Path, ...]:
    """The files that hold ``path``: itself, its parts, or a temporary copy of a pipe."""
    return (_spooled(path),) if passes(path) else parts_of(path)


def display(path: Path) -> str:
    """The name to use towards people."""
    return "standard input" if is_pipe(path) else str(path)


def open_input(path: Path) -> InputContainer:
    """Open a clip for reading.

    Raises:
        InputError: it is missing, empty, a folder, unreadable or not a media file, or its parts do
            not go together.
    """
    name = display(path)
    file, *others = local(path)
    if others:
        return open_demuxer(_address(tuple(map(_state, (file, *others)))))
    kind = file.suffix.lower()
    if kind in OTHER_IMAGES and HOLE.search(file.name) and not file.exists():
        raise unsupported(path, f"is of the kind {kind}, which is not read")
    with reading(name):
        size = file.stat().st_size
        if file.is_dir():
            there = in_folder(file)
            raise InputError(
                f"{name} is a folder, not a clip.",
                f"Name one clip in it, such as {file / there[0].name}."
                if there
                else "Name one file in it, or use: vdenoise batch.",
                number=2,
            )
        if size == 0:
            raise InputError(f"{name} is empty.", "Copy or record it again.", number=3)
        file.open("rb").close()  # what the system has against it, in its own words
    try:
        container = open_demuxer(file)
    except av.DecoderNotFoundError as error:
        raise InputError(
            f"{name} uses a codec that this FFmpeg cannot decode.",
            "See what can be read with: vdenoise doctor",
            number=10,
        ) from error
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, av.FFmpegError):
            see_memory(error)
        if kind in OTHER_IMAGES:
            raise unsupported(path, f"is of the kind {kind}, which is not read") from error
        raise _text(name, text_kind(file)) or no_clip(path) from error
    return container


def _state(file: Path) -> tuple[Path, int, int]:
    """A part as it is now."""
    with reading(str(file)):
        found = file.stat()
    return file, found.st_size, found.st_mtime_ns


@lru_cache(maxsize=16)
def _address(states: tuple[tuple[Path, int, int], ...]) -> str:
    """Where what is joined of these files is opened."""
    parts: list[RecordingPart] = []
    for file, _, _ in states:
        with open_input(file) as container:
            parts.append(part_of(file, container, video_of(container, file)))
    return join(parts).address


def _text(name: str, kind: str) -> InputError | None:
    """The error for a text file; None for what is no text."""
    if kind in ("", "text"):
        # FFmpeg would "play" any text file.
        what = InputError(f"{name} is text, not a clip.", "Name a video file.", number=4)
        return what if kind else None
    return InputError(
        f"{name} is {kind}, not a clip: it names other files, which are not opened.",
        "Name the files themselves, with + between them, or a text of their names as @parts.txt "
        "(docs/long.md).",
        number=18,
    )


def no_clip(path: Path) -> InputError:
    """The error for a file that FFmpeg makes nothing of."""
    return InputError(
        f"{display(path)} is no clip that can be read: its header is missing or damaged.",
        patience(path) + "If it is a clip, it was cut short or never finished: copy or export it "
        "again.",
        number=4,
    )


def still_written(path: Path, how: str) -> InputError:
    """The error for a clip that changes while it is looked at.

    Args:
        path: the clip.
        how: what shows it.
    """
    return InputError(
        f"{display(path)} is still being written: {how}.",
        "Wait until it is complete, and run the same command again.",
        number=19,
    )


def patience(path: Path) -> str:
    """Advice to wait, where a clip that lacks something was changed a moment ago; else none."""
    changed = max(file.stat().st_mtime for file in local(path))
    fresh = abs(time.time() - changed) < FRESH_SECONDS
    return "If it is still being written, wait until it is complete. " if fresh else ""


def readable(packets: Iterable[Packet]) -> Iterator[Packet]:
    """Packets up to the first damage between them: what can be read is what there is."""
    try:
        yield from packets
    except av.FFmpegError as error:
        see_memory(error)


# Brands of HEIF's stills (ISO/IEC 23008-12, 10), by how they are coded or whatever that is.
_STILLS = ("heic", "heix", "heim", "heis", "avif", "mif1", "mif2")


def is_still(container: InputContainer) -> bool:
    """Whether an open file is a still of HEIF's family."""
    return container.metadata.get("major_brand") in _STILLS


def video_of(container: InputContainer, path: Path) -> VideoStream:
    """The first video stream that is no cover art; of a still, the one that its file is about.

    Raises:
        InputError: there is none, or no decoder for it, or it is one of the tiles of a still.
    """
    found = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if any(stream.disposition & Disposition.dependent for stream in found):
        raise unsupported(path, "is a picture in tiles (a HEIF grid)")
    if is_still(container):  # smaller copies may stand before it
        found.sort(key=lambda stream: not stream.disposition & Disposition.default)
    for stream in found[:1]:
        if stream.codec_context is None:
            raise InputError(
                f"{display(path)} holds video that this FFmpeg cannot decode.",
                "See what can be read with: vdenoise doctor",
                number=10,
            )
        return stream
    kinds = sorted({stream.type for stream in container.streams})
    if not kinds:
        raise no_clip(path)
    raise InputError(
        f"{display(path)} holds no video, only {' and '.join(kinds)}.",
        "Name a file with a video stream.",
        number=5,
    )


# Decoders that know VP8's and VP9's alpha, which lies beside the packets; FFmpeg's own do not.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


def prepare_decoder(stream: VideoStream, threads: int | None = None) -> VideoCodecContext:
    """What decodes exactly what was coded in a stream: its own context, or another for alpha."""
    context = stream.codec_context
    with_alpha = _ALPHA_DECODERS.get(context.codec.canonical_name)
    told = {key.lower(): value for key, value in stream.metadata.items()}
    if with_alpha is not None and told.get("alpha_mode") == "1":
        made = av.CodecContext.create(with_alpha, "r")
        assert isinstance(made, VideoCodecContext)
        context = made
        context.width, context.height = stream.codec_context.width, stream.codec_context.height
    context.thread_type = ThreadType.AUTO
    context.flags |= Flags.unaligned  # or it shows what is cropped at the left, up to a few pixels
    if threads is not None:
        context.thread_count = threads
    if context.name in ("av1", "libdav1d", "h264", "hevc"):
        # The decoder would add synthetic grain to the picture, and we would measure it as noise.
        context.options = {"export_side_data": "film_grain"}
    return context


def release(container: InputContainer, decoder: VideoCodecContext) -> None:
    """Close a container whose stream was not decoded to its end.

    The decoder's threads work ahead; they must be at rest before anything else turns logging on.
    """
    if decoder.is_open:
        decoder.flush_buffers()
    container.close()
