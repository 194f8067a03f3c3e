"""Files inside a movie: attachments, and pictures that belong to the whole of it."""

from __future__ import annotations

from typing import Any

from av.stream import Disposition

from vdenoise.media.movie.demuxers import open_demuxer
from vdenoise.media.movie.packets import codec_of

# Coded pictures that are files as they are, and what Matroska calls those.
COVERS = {
    "mjpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "bmp": "image/bmp",
    "webp": "image/webp", "tiff": "image/tiff",
}  # fmt: skip
_UNKNOWN = "application/octet-stream"


def is_cover(stream: Any) -> bool:
    """Whether a stream is a picture that belongs to the whole of a movie, such as its cover."""
    return bool(stream.disposition & Disposition.attached_pic)


def file_in(stream: Any) -> bytes:
    """The file that an attachment or a cover is."""
    if stream.type == "attachment":
        return bytes(stream.data)
    with open_demuxer(stream.container.name) as source:
        return next(bytes(p) for p in source.demux(source.streams[stream.index]) if p.size)


def attached(stream: Any) -> tuple[str, str, bytes]:
    """Name, media type and contents of an attachment or a cover, as an attachment of Matroska."""
    if stream.type == "attachment":
        name, kind = "attachment", stream.mimetype or _UNKNOWN
    else:
        kind = COVERS[codec_of(stream)]
        name = f"cover.{kind.partition('/')[2].replace('jpeg', 'jpg')}"  # which players look for
    return stream.metadata.get("filename", name), kind, file_in(stream)
