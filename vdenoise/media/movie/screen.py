"""Small movies to look at: R'G'B' pictures as H.264 that every player shows."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from vdenoise.machine.files import replacing
from vdenoise.media.access import writing
from vdenoise.media.movie.opening import open_encoder

_QUALITY = "12"  # CRF: what is looked at is noise, and coarser steps would take it away
_BT709 = 1


def write_screen_movie(target: Path, pictures: Iterable[NDArray[np.uint8]], rate: Fraction) -> int:
    """Write pictures as an MP4, all of one even size; a file that is there is replaced.

    Returns:
        How many there were.

    Raises:
        OutputError: it cannot be written.
    """
    count = 0
    with (
        writing(target),
        replacing(target.absolute()) as part,
        av.open(str(part), "w", format="mp4") as file,
    ):
        stream = file.add_stream("libx264", rate=rate, options={"crf": _QUALITY, "preset": "fast"})
        context = stream.codec_context
        context.pix_fmt = "yuv420p"
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        for picture in pictures:
            if count == 0:
                context.height, context.width = picture.shape[:2]
                open_encoder(context)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
            )
            frame.pts, frame.time_base = count, 1 / rate
            file.mux(stream.encode(frame))
            count += 1
        file.mux(stream.encode())
    return count
