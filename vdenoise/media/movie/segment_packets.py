"""Packets of finished segments, to be put into the output as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vdenoise.errors import VerifyError
from vdenoise.media.inputs import open_input, video_of


def packets(path: Path, extradata: bytes | None) -> Iterator[Any]:
    """The video packets of a segment, one for each frame.

    Args:
        path: the segment.
        extradata: what the output's header says of its codec; the packets rest on it. Nothing
            where they say it all themselves (a demuxer may still find some).

    Raises:
        VerifyError: the segment was coded another way.
    """
    with open_input(path) as container:
        stream = video_of(container, path)
        if extradata and stream.codec_context.extradata != extradata:
            raise VerifyError(
                f"{path} was coded in another way than the output.",
                "Do the segment again with --overwrite.",
                number=5,
            )
        for packet in container.demux(stream):
            if packet.size:
                yield packet
