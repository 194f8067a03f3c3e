"""Film grain put into the frame headers of AV1 packets, so that whoever plays them draws it.

SVT-AV1 as FFmpeg has it takes no film-grain table. So the packets it gives are kept until the grain
is known, which is once the whole clip was compared with its source; then grain is added to their
headers. Nothing of the coded picture changes: that is seen by decoding both, grain left out.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from vdenoise.errors import VerifyError
from vdenoise.filmgrain.params import NO_GRAIN
from vdenoise.media.av1.headers import Headers
from vdenoise.media.av1.syntax import INTER, FrameHeader
from vdenoise.media.av1.units import (
    FRAME,
    SEQUENCE_HEADER,
    Obu,
    UnreadableHeader,
    obus,
    read_sequence,
)

# film_grain_params() as zeros and ones, by the absolute number of a frame and whether it is an
# inter frame
GrainBits = Callable[[int, bool], str]


@dataclass(frozen=True)
class _Kept:
    """A packet in the file."""

    size: int
    key: bool
    pts: int
    dts: int
    duration: int
    frames: Sequence[FrameHeader | None]  # whose headers its units hold


class GrainAdder:
    """Keeps the packets of a clip, and gives them back with grain.

    Args:
        grain: of each frame; asked for once all packets are kept.
        folder: for a nameless file as large as the clip; None for the system's own.

    Raises:
        OSError: there can be no such file.
    """

    def __init__(self, grain: GrainBits, folder: Path | None) -> None:
        self._grain = grain
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._headers = Headers()
        self._kept: list[_Kept] = []

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def keep(self, packet: Any, number: int) -> None:
        """Take a packet as the encoder gave it, which shows the frame ``number``.

        Raises:
            OSError: there is no room for it.
            VerifyError: its headers are not as they are known to be.
        """
        data = bytes(packet)
        with _readable():
            frames = self._headers.read(list(obus(data)), number)
        self._file.write(data)
        times = packet.pts, packet.dts, packet.duration
        self._kept.append(_Kept(len(data), packet.is_keyframe, *times, frames))

    def packets(self) -> Iterator[Any]:
        """The packets again, with grain and with their times.

        Raises:
            OSError: they cannot be read again.
            VerifyError: a picture is not what it was before.
        """
        self._file.seek(0)
        pictures = _SamePictures()
        for kept in self._kept:
            plain = self._file.read(kept.size)
            units = zip(obus(plain), kept.frames, strict=True)
            made = b"".join(self._with_grain(unit, frame).bytes() for unit, frame in units)
            pictures.compare(plain, made)
            packet = av.Packet(made)
            packet.pts, packet.dts, packet.duration = kept.pts, kept.dts, kept.duration
            packet.is_keyframe = kept.key
            yield packet
        pictures.compare(None, None)

    def _with_grain(self, unit: Obu, frame: FrameHeader | None) -> Obu:
        if unit.kind == SEQUENCE_HEADER:
            return _announced(unit)
        if frame is None:
            return unit
        number = frame.number
        # A frame that is never shown draws none
        grain = NO_GRAIN if number is None else self._grain(number, frame.kind == INTER)
        # byte_alignment() of a frame, trailing_bits() of a header alone (5.3.4 and 5.3.5)
        end = "" if unit.kind == FRAME else "1"
        head = "".join(format(byte, "08b") for byte in unit.payload[: -(-frame.end // 8)])
        bits = head[: frame.end] + grain + end
        bits += "0" * (-len(bits) % 8)
        behind = unit.payload[-(-frame.end // 8) :] if unit.kind == FRAME else b""
        return Obu(unit.kind, unit.head, int(bits, 2).to_bytes(len(bits) // 8, "big") + behind)


def announced(extradata: bytes) -> bytes:
    """What a container says of a stream (its sequence header), with film grain announced.

    Raises:
        VerifyError: the header is not as it is known to be.
    """
    with _readable():
        return b"".join(
            (_announced(unit) if unit.kind == SEQUENCE_HEADER else unit).bytes()
            for unit in obus(extradata)
        )


def _announced(unit: Obu) -> Obu:
    """A sequence header with film_grain_params_present set."""
    at = read_sequence(unit.payload).grain_at
    payload = bytearray(unit.payload)
    payload[at // 8] |= 128 >> at % 8
    return Obu(unit.kind, unit.head, bytes(payload))


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except UnreadableHeader as error:
        raise VerifyError(
            f"Film grain cannot be added to what the AV1 encoder wrote: {error}.",
            "Leave --grain av1 away, and report this as a bug.",
            number=10,
        ) from error


class _SamePictures:
    """Decodes packets before and after, without drawing grain, and compares every sample."""

    def __init__(self) -> None:
        self._decoders = _decoder(), _decoder()
        self._waiting: tuple[deque[av.VideoFrame], ...] = deque(), deque()

    def compare(self, plain: bytes | None, grainy: bytes | None) -> None:
        """Take a packet of each, or None for the end.

        Raises:
            VerifyError: a picture differs.
        """
        try:
            for decoder, waiting, data in zip(
                self._decoders, self._waiting, (plain, grainy), strict=True
            ):
                waiting.extend(decoder.decode(None if data is None else av.Packet(data)))
        except av.FFmpegError as error:
            raise _differs() from error
        before, after = self._waiting
        while before and after:
            if not _same(before.popleft(), after.popleft()):
                raise _differs()
        if plain is None and (before or after):
            raise _differs()


def _decoder() -> VideoCodecContext:
    decoder = av.CodecContext.create("libdav1d", "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.options = {"export_side_data": "film_grain"}  # told of, and so not drawn
    # On threads of its own dav1d lets go of our packets there, which waits for Python's lock, while
    # whoever closes the decoder holds that and waits for the threads: for ever, behind an error.
    decoder.thread_count = 1
    return decoder


def _same(a: av.VideoFrame, b: av.VideoFrame) -> bool:
    if (a.format.name, len(a.planes)) != (b.format.name, len(b.planes)):
        return False
    wide = a.format.components[0].bits > 8
    return all(
        np.array_equal(_samples(one, wide), _samples(other, wide))
        for one, other in zip(a.planes, b.planes, strict=True)
    )


def _samples(plane: Any, wide: bool) -> np.ndarray[Any, Any]:
    """Take the samples without what fills its rows up."""
    row = plane.width * (2 if wide else 1)
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, :row]


def _differs() -> VerifyError:
    return VerifyError(
        "A picture is not the same once film grain was added to its header.",
        "Leave --grain av1 away, and report this as a bug.",
        number=11,
    )
