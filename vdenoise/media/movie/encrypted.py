"""Streams whose packets are encrypted: MP4's common encryption, and scrambled transport streams.

FFmpeg reads both, and gives what nobody can decode.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np

from vdenoise.media.movie.demuxers import first_file, kinds_of, open_demuxer
from vdenoise.media.movie.transport import blocks

_TRIED = 4  # packets
_SCRAMBLED = 0xC0  # bits of the fourth byte of a transport stream's packet


def is_encrypted(stream: Any) -> bool:
    """Whether the first packets of a stream are.

    Args:
        stream: of an open movie.

    Raises:
        OSError, av.FFmpegError: it cannot be read again.
    """
    name, kinds = stream.container.name, kinds_of(stream.container)
    if "mpegts" in kinds:
        for _, packets, _ in blocks(first_file(stream.container)):
            pids = (packets[:, 1].astype(np.int32) & 0x1F) << 8 | packets[:, 2]
            return bool((packets[pids == stream.id][:, 3] & _SCRAMBLED).any())
    if "mov" not in kinds or stream.type == "attachment":
        return False
    with open_demuxer(name) as again:
        first = islice(again.demux(again.streams[stream.index]), _TRIED)
        return any(packet.has_sidedata("encryption_info") for packet in first)
