"""Everything in a clip that is not its picture: copied packet by packet, never re-encoded.

Audio, subtitles, attachments and cover art go over as they are. A text subtitle the new container
has no place for is rewritten in that container's own text format. What cannot go over is named
before the start.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from av.container import InputContainer
from av.video.stream import VideoStream

from vdenoise.media.inputs import is_still, open_input, video_of
from vdenoise.media.movie.demuxers import joined_in, kinds_of
from vdenoise.media.movie.encoder import IMAGES, EncodeSettings
from vdenoise.media.movie.encrypted import is_encrypted
from vdenoise.media.movie.packets import TEXTS, codec_of, is_empty_core
from vdenoise.media.movie.sound import sound_for, told_anew
from vdenoise.media.movie.trials import has_places, takes
from vdenoise.picture.frame import ClipInfo

_TEXT_SUBTITLES = {"mov": "mov_text", "mp4": "mov_text", "matroska": "srt", "webm": "webvtt"}
_READ = ("audio", "subtitle", "video")  # without a decoder PyAV copies other kinds alone
_PICTURE_ONLY = ("yuv4mpegpipe",)


@dataclass(frozen=True)
class CopyPlan:
    """Which streams go over, by source index, and what to say about the others."""

    copied: tuple[int, ...] = ()
    rewritten: dict[int, str] = field(default_factory=dict)  # index -> encoder; sound as PCM
    notes: tuple[str, ...] = ()
    translated: tuple[str, ...] = ()  # what goes over in another form, with nothing lost
    silent: str = ""  # what sound there is, where none of it goes over


def plan_copies(
    source: InputContainer, video: VideoStream, container: str, *, m2ts: bool = False
) -> CopyPlan:
    """Decide for each stream beside ``video`` whether the new container can hold it.

    Args:
        source: the clip.
        video: its picture.
        container: FFmpeg muxer.
        m2ts: whether MPEG-TS is written as M2TS, which has codes of its own for streams.
    """
    copied, rewritten, notes, translated = [], {}, [], []
    for stream in source.streams:
        if stream.index == video.index or made_by_muxers(stream, source):
            continue
        if stream.type == "video" and is_still(source):  # the ledger names what it is for
            continue
        if is_encrypted(stream):
            notes.append(f"{stream_name(stream)} is encrypted, and is left out")
        elif stream.type in _READ and stream.codec_context is None:
            notes.append(f"{stream_name(stream)} is of a kind that is not read, and is left out")
        elif container not in _PICTURE_ONLY and takes(container, stream, m2ts=m2ts):
            copied.append(stream.index)
        elif codec_of(stream) in TEXTS and container in _TEXT_SUBTITLES:
            words = rewritten[stream.index] = _TEXT_SUBTITLES[container]
            if lost := _lost_of_text(stream):
                notes.append(f"{container} holds {stream_name(stream)} as {words}, without {lost}")
            else:
                translated.append(f"{stream_name(stream)} is written as {words}")
        elif stream.type == "audio" and (encoder := sound_for(stream, container)) is not None:
            rewritten[stream.index] = encoder
            if told := told_anew(stream, encoder, container):
                notes.append(f"{container} holds {stream_name(stream)} as {told}")
            else:
                translated.append(f"{stream_name(stream)} is written as PCM of the same samples")
        else:
            notes.append(f"{container} cannot hold {stream_name(stream)}, which is left out")
    known = [(s, s.codec_context) for s in source.streams.audio]
    sound = [s for s, c in known if c is None or c.sample_rate]  # 0: nothing is there
    none_left = sound and not any(s.index in (*copied, *rewritten) for s in sound)
    silent = stream_name(sound[0]) if none_left and container not in _PICTURE_ONLY else ""
    return CopyPlan(tuple(copied), rewritten, tuple(notes), tuple(translated), silent)


def translated(info: ClipInfo, settings: EncodeSettings) -> tuple[str, ...]:
    """What goes into an output in another form, with nothing lost, each for people.

    Args:
        info: the clip.
        settings: how it is written.
    """
    if info.sequence is not None or settings.container == IMAGES:
        return ()
    with open_input(info.path) as source:
        video = video_of(source, info.path)
        return plan_copies(source, video, settings.container, m2ts=settings.m2ts).translated


def _lost_of_text(stream: Any) -> str:
    """What is no longer there of a text that is written anew, for people; empty where nothing is
    lost."""
    if codec_of(stream) in ("ass", "ssa"):
        return "its places and most of its styles"
    return "its places" if codec_of(stream) == "webvtt" and has_places(stream) else ""


def stream_name(stream: Any) -> str:
    """Name a stream for people: ``subtitle stream 3 (hdmv_pgs_subtitle)``."""
    codec = codec_of(stream)
    if stream.type == "data":
        codec = stream.metadata.get("handler_name") or (codec if codec != "bin_data" else "")
    return f"{stream.type} stream {stream.index}{f' ({codec})' if codec else ''}"


def made_by_muxers(stream: Any, source: InputContainer) -> bool:
    """Whether this is a track that a muxer makes anew from what else it is told, or one that a
    demuxer shows and nothing is in."""
    told = joined_in(source)
    if told is not None and stream.index in told.timecode_tracks:
        return True
    return _is_timecode(stream) or _is_chapter_text(stream, source) or is_empty_core(stream)


def _is_timecode(stream: Any) -> bool:
    """A tmcd track: the muxer makes a new one from the timecode in the metadata."""
    return stream.type == "data" and any(key.lower() == "timecode" for key in stream.metadata)


def _is_chapter_text(stream: Any, source: InputContainer) -> bool:
    """The text track of QuickTime chapters: written anew with the chapters."""
    return (
        stream.type == "data"
        and "mov" in kinds_of(source)
        and stream.name in (None, "bin_data")
        and bool(source.chapters())
    )
