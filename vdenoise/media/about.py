"""What this FFmpeg can do, for ``vdenoise doctor``."""

from __future__ import annotations

import av
from av.codec import Codec

from vdenoise.media.codecs import CODECS, NAMED


def libraries() -> dict[str, str]:
    """Versions of PyAV and of the FFmpeg libraries in it."""
    versions = {name: ".".join(map(str, found)) for name, found in av.library_versions.items()}
    return {"PyAV": av.__version__, **versions}


def encoders() -> dict[str, bool]:
    """The codecs offered by name, and whether their encoder is there."""
    return {name: _exists(CODECS[name].encoder) for name in NAMED}


def _exists(encoder: str) -> bool:
    try:
        Codec(encoder, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True
