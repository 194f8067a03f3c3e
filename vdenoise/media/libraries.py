"""What this FFmpeg can do, for ``vdenoise doctor``."""

from __future__ import annotations

import av
import OpenImageIO as oiio  # noqa: N813 (its own documentation calls it so)
from av.codec import Codec

from vdenoise.media.movie.codecs import CODECS, NAMED


def libraries() -> dict[str, str]:
    """Versions of PyAV, of the FFmpeg libraries in it, and of OpenImageIO."""
    versions = {name: ".".join(map(str, found)) for name, found in av.library_versions.items()}
    return {"PyAV": av.__version__, **versions, "OpenImageIO": oiio.VERSION_STRING}


def encoders() -> dict[str, bool]:
    """The codecs offered by name, and whether their encoder is there."""
    return {name: _exists(CODECS[name].encoder) for name in NAMED}


def _exists(encoder: str) -> bool:
    try:
        Codec(encoder, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True
