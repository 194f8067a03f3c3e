"""An open output file: the new picture beside the source's other streams."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vdenoise.media.av1.grain import GrainAdder, announced
from vdenoise.media.images import turn
from vdenoise.media.inputs import open_input, video_of
from vdenoise.media.movie.added import add_copy, add_text
from vdenoise.media.movie.avi_starts import set_starts
from vdenoise.media.movie.chapters import chapters_between
from vdenoise.media.movie.clock import Clock, advanced_timecode
from vdenoise.media.movie.copier import StreamCopier
from vdenoise.media.movie.encoder import (
    EncodeSettings,
    add_video,
    add_video_with_beside,
    open_output,
    tag_dnxhr,
    told_beside,
)
from vdenoise.media.movie.first_frames import side_data_of
from vdenoise.media.movie.ledger import BOXED, keeps, stereo_mode
from vdenoise.media.movie.matrix import SHAPED, matrix_in, written
from vdenoise.media.movie.metadata import (
    QUICKTIME_KEYS,
    container_metadata,
    reel_name,
    stream_metadata,
)
from vdenoise.media.movie.opening import open_encoder
from vdenoise.media.movie.priming import delayed, priming
from vdenoise.media.movie.services import keeps_pids, muxer_options
from vdenoise.media.movie.sound import add_sound
from vdenoise.media.movie.streams import plan_copies
from vdenoise.media.movie.tag import RecipeTag, put
from vdenoise.media.movie.transport import fill_up
from vdenoise.picture.frame import ClipInfo

_X265_DELAY = 2  # frames from which on x265 knows decoding times
_WHOLE = 1  # FFmpeg's number of frames that are no fields
_QUICKTIME_BYTES = 30000  # of a word there, whose length is told with 16 bits


class Output:
    """The output container with its header written.

    Args:
        place: a path, or a binary file for a pipe.
        info: the source.
        settings: how to encode.
        clock: timestamps of the frames that will come.
        like: the first source frame: color tags and display matrix are taken from it.
        copy_from: clip to copy all other streams, metadata and chapters from, or None.
        grain: what adds film grain to AV1 packets; nothing is written then before the end.
        tag: of the recipe that it is made by, or None.

    Raises:
        OSError, av.FFmpegError: it cannot be written.
    """

    def __init__(
        self,
        place: Path | BinaryIO,
        info: ClipInfo,
        settings: EncodeSettings,
        clock: Clock,
        *,
        like: av.VideoFrame,
        copy_from: Path | None,
        grain: GrainAdder | None = None,
        tag: RecipeTag | None = None,
    ) -> None:
        self._info, self._settings, self._clock = info, settings, clock
        self._grain, self._tag = grain, tag
        with contextlib.ExitStack() as stack:
            if grain is not None:
                stack.callback(grain.close)
            self._source: InputContainer | None = None
            self._copier: StreamCopier | None = None
            self._places: dict[int, int] = {}  # number in the output of each source stream
            self._file = place if isinstance(place, Path) else None
            # Whole: what is before a colon at the start of a name would be taken for a protocol.
            target = str(place.absolute()) if isinstance(place, Path) else place
            if info.sequence is not None:  # images: there is nothing beside the picture
                self._output = open_output(target, settings, **self._muxer_options(False))
                self._video, self._encoder = self._add_video(None, like)
                self._output.start_encoding()
                stack.pop_all()
                return
            self._source = stack.enter_context(open_input(copy_from or info.path))
            video = video_of(self._source, info.path)
            plan = plan_copies(self._source, video, settings.container, m2ts=settings.m2ts)
            options = self._muxer_options(copy_from is not None)
            self._output = open_output(target, settings, **options)
            streams: dict[int, Any] = {}
            begins: dict[int, int] = {}
            for stream in self._source.streams:
                if stream.index == video.index:
                    self._video, self._encoder = self._add_video(video, like)
                elif copy_from is None:
                    continue
                elif stream.index in plan.copied:
                    going = priming(stream) if self._tells_priming() else None
                    delayed_one = None if going is None else delayed(stream, going.seconds)
                    streams[stream.index] = add_copy(self._output, stream, delayed_one)
                    if going is not None and delayed_one is not None:
                        begins[stream.index] = going.begin
                elif stream.index in plan.rewritten:
                    encoder = plan.rewritten[stream.index]
                    add = add_sound if stream.type == "audio" else add_text
                    streams[stream.index] = add(self._output, stream, encoder)
            if copy_from is not None:
                self._output.metadata.update(container_metadata(self._source))
                chapters = chapters_between(self._source, clock)
                if chapters:
                    self._output.set_chapters(chapters)  # type: ignore[arg-type]
            self._output.start_encoding()
            self._copier = StreamCopier(
                self._source, self._output, streams, plan.rewritten, clock, settings.container,
                begins,
            )  # fmt: skip
            self._places = {n: target.index for n, target in streams.items()}
            stack.pop_all()  # from here on close() is in charge

    def _tells_priming(self) -> bool:
        """Whether hidden packets at the beginning go along, and are told as such."""
        return self._settings.container == "matroska" and self._clock.first == 0

    def encode(self, frame: av.VideoFrame | None) -> None:
        """Encode a frame, or None for the end, and write what is ready with all that goes before.

        The other streams follow the picture's decoding times, so that readers find them together.
        """
        for packet in self._encoder.encode(frame):
            if self._grain is not None:
                assert packet.pts is not None, "a packet of a frame that has a time"
                self._grain.keep(packet, self._clock.number(packet.pts))
            else:
                self._mux(packet)
        if frame is not None:
            return
        if self._grain is not None:
            for packet in self._grain.packets():
                packet.time_base = self._clock.time_base
                self._mux(packet)
        if self._copier is not None:
            self._copier.advance(None)

    def _mux(self, packet: Any) -> None:
        packet.stream = self._video
        if self._settings.codec == "dnxhr":
            tag_dnxhr(packet, self._info)
        if self._settings.codec == "x265" and len(self._clock.pts) <= _X265_DELAY:
            packet.dts = packet.pts  # they are in order; x265 tells what it never set
        if packet.dts is not None and self._copier is not None:
            self._copier.advance(packet.dts * packet.time_base)
        self._output.mux(packet)

    @property
    def extradata(self) -> bytes | None:
        """What the header says of the codec."""
        return self._encoder.extradata

    def copy(self, packet: Any, pts: int, duration: int) -> None:
        """Write one packet of a frame that was coded alone, by the same settings."""
        packet.stream = self._video
        packet.pts = packet.dts = pts
        packet.duration, packet.time_base = duration, self._clock.time_base
        if self._copier is not None:
            self._copier.advance(pts * self._clock.time_base)
        self._output.mux(packet)

    def close(self) -> None:
        """Finish the file."""
        if self._source is not None:
            self._source.close()
        if self._grain is not None:
            self._grain.close()
        self._output.close()
        if self._file is not None and self._settings.container == "mpegts":
            fill_up(self._file)
        if self._copier is not None and self._file is not None and self._copier.firsts:
            firsts = {self._places[n]: first for n, first in self._copier.firsts.items()}
            set_starts(self._file, self._video.index, firsts)

    def _muxer_options(self, metadata: bool) -> dict[str, str]:
        # Segments: no random identifiers, so that one done twice has the same bytes.
        plain = {} if metadata else {"fflags": "+bitexact"}
        if self._settings.container == "mpegts":
            kind = {"mpegts_m2ts_mode": str(int(self._settings.m2ts))}
            if metadata and self._source is not None:
                return muxer_options(self._source, m2ts=self._settings.m2ts) | kind
            return plain | kind
        if self._settings.container not in ("mov", "mp4"):
            return plain
        held = self._info.holds
        gama = held.get("gamma (QuickTime's gama)") if self._settings.container == "mov" else None
        flags = ["faststart"] if self._settings.container == "mp4" else []
        known = {} if self._source is None else container_metadata(self._source)
        long = any(len(word.encode()) > _QUICKTIME_BYTES for word in known.values())
        if metadata and (long or known.keys() - QUICKTIME_KEYS):
            flags.append("use_metadata_tags")
        if gama is not None:
            flags.append("write_gama")
        if "ICC profile" in held:
            flags.append("prefer_icc")
        scale = self._clock.time_base.denominator  # or starts are rounded to milliseconds
        while scale < 1000:
            scale *= 10
        options = {"movie_timescale": str(min(scale, 2**31 - 1)), **plain}
        options |= {"mov_gamma": gama} if gama is not None else {}
        return options | ({"movflags": "+" + "+".join(flags)} if flags else {})

    def _add_video(
        self, video: VideoStream | None, like: av.VideoFrame
    ) -> tuple[VideoStream, VideoCodecContext]:
        output, info, settings = self._output, self._info, self._settings
        if told_beside(info, settings):
            stream, encoder = add_video_with_beside(
                output, info, settings, like, self._clock.time_base
            )
        else:
            stream = add_video(output, info, settings, tags=like)
            encoder = stream.codec_context
            encoder.time_base = self._clock.time_base
            open_encoder(encoder)
        _tell_whole_frames(stream, video, info, settings.container)
        if self._grain is not None and encoder.extradata:
            stream.codec_context.extradata = announced(encoder.extradata)
        stream.time_base = self._clock.time_base
        matrix = matrix_in(side_data_of(like))
        if matrix is not None:
            whole = keeps(settings.container, None, SHAPED)
            matrix = written(matrix, info.sample_aspect_ratio, whole=whole)
        orientation = turn.orientation_of(info) if info.sequence is not None else 1
        if orientation != 1:
            matrix = turn.display_matrix(orientation, info.width, info.height)
        if matrix is not None:
            stream.set_display_matrix(matrix)
        if video is not None:
            stream.metadata.update(stream_metadata(video, settings.container))
            stream.disposition = video.disposition
            if settings.container == "mpegts" and keeps_pids(video.container, m2ts=settings.m2ts):
                stream.id = video.id
        if settings.codec == "vp9" and settings.written.alpha:
            stream.metadata["alpha_mode"] = "1"
        if layout := stereo_mode(info, settings.container):
            stream.metadata["stereo_mode"] = layout
        if info.timecode is not None:
            timecode = advanced_timecode(info.timecode, self._clock.first, info.rate)
            reel = {} if self._source is None else reel_name(self._source)
            told = {"timecode": timecode, **reel}
            stream.metadata.update(told)
            if settings.container == "mxf":
                output.metadata.update(told)
        if self._tag is not None:
            put(self._tag, settings.container, output, stream)
        return stream, encoder


def _tell_whole_frames(
    stream: VideoStream, source: VideoStream | None, info: ClipInfo, container: str
) -> None:
    """Say that frames are no fields, where the source says how its fields stand; and where it only
    says so, as files with fields made by some programs, what is made of it says the same."""
    told = 0 if source is None else int(source.codec_context.field_order)
    if told and (not info.interlaced or (told == _WHOLE and container in BOXED)):
        stream.codec_context.field_order = _WHOLE
