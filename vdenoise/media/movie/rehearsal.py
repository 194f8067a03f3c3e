"""Writing a clip before it is denoised: its streams and times, with a small gray picture.

What a container cannot hold is found before the render this way, not after it: the very writer
writes all that stands beside the picture, with the picture's own times, and the very check looks at
what came of it.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import av
import torch

from vdenoise.errors import InputError, OutputError, UsageError
from vdenoise.media.access import DISK_FULL
from vdenoise.media.inputs import display, open_input, video_of
from vdenoise.media.movie.codecs import CONTAINERS
from vdenoise.media.movie.encoder import EncodeSettings
from vdenoise.media.movie.index import index_of
from vdenoise.media.movie.pixels import planes_of
from vdenoise.media.movie.settings import choose
from vdenoise.media.movie.streams import plan_copies
from vdenoise.media.movie.writer import MovieWriter
from vdenoise.media.verify import verify
from vdenoise.picture.frame import ClipInfo, SourceFrame

_SIZES = {"dnxhr": (256, 120)}  # what an encoder takes at least; others take
_SIZE = (64, 64)
_MOST = 500  # frames; of a longer part only so many at each end are tried
_IMAGES = 4  # of a sequence
_OTHERS = (".mkv", ".mov", ".ts")


def rehearse(info: ClipInfo, settings: EncodeSettings, first: int, last: int) -> None:
    """See that an output can hold what a part of a clip holds beside its picture.

    Args:
        info: the source.
        settings: how it will be written.
        first: absolute number of the first frame.
        last: absolute number of the last one.

    Raises:
        UsageError: it cannot.
    """
    if info.sequence is not None:  # nothing beside pictures that are all of one kind
        last = min(last, first + _IMAGES - 1)
    elif not index_of(info).variable_rate and not _has_more(info, settings.container):
        return
    fault = _fault(info, settings, first, last)
    if fault is None:
        return
    able = []
    for suffix in _OTHERS:
        if CONTAINERS[suffix] != settings.container:
            try:
                other = choose(info, Path(f"rehearsal{suffix}"))
            except UsageError:
                continue
            if _fault(info, other, first, last) is None:
                able.append(suffix)
    raise UsageError(
        f"{settings.container} cannot hold what {display(info.path)} holds: {fault}.",
        f"Name an output that holds it: {', '.join(able)}."
        if able
        else "Give its streams new times first, with a program that copies them.",
        number=196,
    )


def _has_more(info: ClipInfo, container: str) -> bool:
    with open_input(info.path) as source:
        plan = plan_copies(source, video_of(source, info.path), container)
    return bool(plan.copied or plan.rewritten)


def _fault(info: ClipInfo, settings: EncodeSettings, first: int, last: int) -> str | None:
    """What a small copy would not keep."""
    if last - first < 2 * _MOST:
        return _tried(info, settings, first, last)
    begin = _tried(info, settings, first, first + _MOST - 1)
    return begin or _tried(info, settings, last - _MOST + 1, last)


def _tried(info: ClipInfo, settings: EncodeSettings, first: int, last: int) -> str | None:
    """The same of frames that are all written."""
    width, height = _SIZES.get(settings.codec, _SIZE)
    width, height = min(width, info.width), min(height, info.height)
    small = replace(
        info, width=width, height=height, field_order="progressive",
        rotation=0.0 if info.sequence is None else info.rotation,  # a movie's is on its frames
        holds={}, boxes={}, hdr={},
    )  # fmt: skip
    like = av.VideoFrame(width, height, settings.pixel_format.name)
    gray = tuple(torch.zeros_like(plane) for plane in planes_of(like))
    index = index_of(info)
    suffix = next(s for s, container in CONTAINERS.items() if container == settings.container)
    with tempfile.TemporaryDirectory(prefix="vdenoise-") as folder:
        target = Path(folder, f"rehearsal{suffix}")
        beside = info.path if info.sequence is None else None
        writer = MovieWriter(small, target, settings, source=beside, first=first, last=last)
        try:
            with writer:
                for n in range(first, last + 1):
                    pts, lasting = index.pts[n], index.durations[n]
                    writer.write(SourceFrame(n, pts, index.time_base, lasting, gray, None), gray)
            assert writer.temporary is not None
            report = verify(
                settings.shown(small),
                writer.temporary,
                settings=settings,
                first=first,
                last=last,
                copied=beside is not None,
            )
        except (OutputError, InputError) as error:
            if not isinstance(error.__cause__, av.FFmpegError) or error.number == DISK_FULL:
                raise
            if info.sequence is not None:
                return (
                    None  # a reader may know nothing by a few even pictures, and they alone are new
                )
            return f"its muxer says {error.__cause__.strerror!r}"
        finally:
            writer.abort()
    return report.findings[0] if report.findings else None
