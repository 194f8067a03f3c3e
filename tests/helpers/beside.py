"""Movies with a second of picture, and sound beside it that a test makes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av

from tests.helpers.clips import Clip


@contextmanager
def second_of_picture(
    path: Path, sound: str, rate: int, layout: str, picture: str = "libx264"
) -> Iterator[tuple[Any, Any]]:
    """Write 25 gray pictures, then what is put into the sound stream.

    Args:
        path: of the movie.
        sound, rate, layout: codec, samples a second and channels of the stream.
        picture: codec, ``libx264`` or ``mjpeg``.

    Yields:
        The open movie, and the stream; what its encoder holds at the end is written too.
    """
    clip = Clip(path.name)
    kind = "yuvj420p" if picture == "mjpeg" else "yuv420p"
    options = {} if picture == "mjpeg" else {"preset": "ultrafast"}
    with av.open(str(path), "w") as output:
        video: Any = output.add_stream(picture, rate=25, options=options)
        video.width, video.height, video.pix_fmt = *clip.size, kind
        audio: Any = output.add_stream(sound, rate=rate, layout=layout)
        for number in range(25):
            frame = av.VideoFrame(*clip.size, kind)
            for plane in frame.planes:
                plane.update(bytes([number * 8]) * plane.buffer_size)
            frame.pts = number
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        yield output, audio
        output.mux(audio.encode(None))
