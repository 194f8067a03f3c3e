"""Writing a clip before it is denoised: its streams and times, with a small gray picture.

What a container cannot hold is found before the render this way, not after it: the very writer
writes all that stands beside the picture, with the picture's own times, and the very check looks at
what came of it.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import torch

from vdenoise.errors import InputError, OutputError, UsageError
from vdenoise.machine.owner import temporary_prefix
from vdenoise.media.access import DISK_FULL, TOO_LARGE
from vdenoise.media.inputs import display, open_input, video_of
from vdenoise.media.movie.codecs import CONTAINERS
from vdenoise.media.movie.compare_streams import lost_cut
from vdenoise.media.movie.copier import HIDES
from vdenoise.media.movie.edit_lists import is_joined
from vdenoise.media.movie.encoder import EncodeSettings
from vdenoise.media.movie.index import index_of, streams_beside
from vdenoise.media.movie.pixels import planes_of
from vdenoise.media.movie.priming import priming
from vdenoise.media.movie.settings import choose
from vdenoise.media.movie.sound import lost_speakers
from vdenoise.media.movie.streams import made_by_muxers, plan_copies, stream_name
from vdenoise.media.movie.words import lost_words
from vdenoise.media.movie.writer import MovieWriter
from vdenoise.media.verify import verify
from vdenoise.picture.frame import ClipInfo, SourceFrame

_SIZES = {"dnxhr": (256, 120)}  # what an encoder takes at least; others take
_SIZE = (64, 64)
_MOST = 500  # frames; of a longer part only so many at each end are tried
_FEW = 4  # frames of what differs in none of them
_NAMED = 6  # words that were lost; of more only how many is said
_OTHERS = (".mkv", ".mov", ".ts")


@dataclass(frozen=True)
class _Tried:
    """What came of a small copy."""

    fault: str | None = None  # what it does not keep
    words: tuple[str, ...] = ()  # that it lost


def rehearse(info: ClipInfo, settings: EncodeSettings, first: int, last: int) -> tuple[str, ...]:
    """See that an output can hold what a part of a clip holds beside its picture.

    Args:
        info: the source.
        settings: how it will be written.
        first: absolute number of the first frame.
        last: absolute number of the last one.

    Returns:
        What the user must know before the start: words and marks that would be lost.

    Raises:
        UsageError: it cannot.
    """
    even = info.sequence is not None or not index_of(info).variable_rate
    if even and not _has_more(info, settings):  # pictures that are all of one kind
        last = min(last, first + _FEW - 1)
    tried = _try_part(info, settings, first, last)
    if tried.fault is None:
        more = len(tried.words) - _NAMED
        named = [*tried.words[:_NAMED], *([f"{more} more"] if more > 0 else [])]
        return (f"{settings.container} cannot keep the {', '.join(named)}",) if named else ()
    able = []
    for suffix in _OTHERS:
        if CONTAINERS[suffix] != settings.container:
            try:
                other = choose(info, Path(f"rehearsal{suffix}"))
            except UsageError:
                continue
            if _try_part(info, other, first, last).fault is None:
                able.append(suffix)
    raise UsageError(
        f"{settings.container} cannot hold what {display(info.path)} holds: {tried.fault}.",
        f"Name an output that holds it: {', '.join(able)}."
        if able
        else "Give its streams new times first, with a program that copies them.",
        number=196,
    )


def _has_more(info: ClipInfo, settings: EncodeSettings) -> bool:
    if info.sequence is not None:
        return False
    with open_input(info.path) as source:
        video = video_of(source, info.path)
        plan = plan_copies(source, video, settings.container, m2ts=settings.m2ts)
    return bool(plan.copied or plan.rewritten)


def _try_part(info: ClipInfo, settings: EncodeSettings, first: int, last: int) -> _Tried:
    """A small copy of a part, of a long one of its ends."""
    if last - first < 2 * _MOST:
        return _try_frames(info, settings, first, last)
    begin = _try_frames(info, settings, first, first + _MOST - 1)
    return begin if begin.fault else _try_frames(info, settings, last - _MOST + 1, last)


def _try_frames(info: ClipInfo, settings: EncodeSettings, first: int, last: int) -> _Tried:
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
    with tempfile.TemporaryDirectory(prefix=temporary_prefix()) as folder:
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
            if report.findings:
                return _Tried(report.findings[0])
            return _Tried(words=() if beside is None else _lost(info, writer))
        except (OutputError, InputError) as error:
            if isinstance(error, OutputError) and error.number in (DISK_FULL, TOO_LARGE):
                raise OutputError(
                    f"{tempfile.gettempdir()} has no room for temporary files.",
                    "Free some, or point TMPDIR to a folder with more room.",
                    number=27,
                ) from error
            if not isinstance(error.__cause__, av.FFmpegError):
                raise
            if info.sequence is not None:
                return _Tried()  # a reader may know nothing by a few even pictures
            return _Tried(f"its muxer says {error.__cause__.strerror!r}")
        finally:
            writer.abort()


def _lost(info: ClipInfo, writer: MovieWriter) -> tuple[str, ...]:
    """Words, marks and cuts of sound that are not in a copy."""
    written, clock = writer.temporary, writer.clock
    assert written is not None
    with open_input(info.path) as source, open_input(written) as copy:
        video, picture = video_of(source, info.path), video_of(copy, written)
        container = writer.settings.container
        plan = plan_copies(source, video, container, m2ts=writer.settings.m2ts)
        kept = [s for s in source.streams if s.index in (*plan.copied, *plan.rewritten)]
        others = [s for s in copy.streams if s.index != picture.index]
        others = [s for s in others if not made_by_muxers(s, copy)]
        pairs = list(zip(kept, others, strict=True))
        found = [*lost_words(source, copy, [(video, picture), *pairs])]
        before, after = streams_beside(info.path), streams_beside(written)
        for a, b in pairs:
            if a.type != "audio":
                continue
            speakers = lost_speakers(a, b)
            found += [f"speakers of {stream_name(a)}: {speakers}"] if speakers else []
            if a.index in plan.copied:
                heard: Any = a.codec_context
                cut = lost_cut(before[a.index], after[b.index], clock, heard.sample_rate)
                found += [f"{cut} of {stream_name(a)}"] if cut else []
                if is_joined(a):
                    found.append(f"joins of the parts of {stream_name(a)} as they are")
                begun = clock.first or container in HIDES or 0 in after[b.index].cuts
                if not begun and priming(a) is not None:
                    found.append(f"first moment of {stream_name(a)} as it is: it fades in")
        return tuple(found)
