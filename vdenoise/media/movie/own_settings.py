"""What a plan or a recipe may say of encoding: what vdenoise itself sets, and nothing else.

They come from files, and FFmpeg's encoders and muxers have options that write other files.
"""

from __future__ import annotations

import av

from vdenoise.media.images.files import LOSSLESS
from vdenoise.media.images.sequence import KINDS
from vdenoise.media.movie.codecs import CODECS, CONTAINERS, is_set_here
from vdenoise.media.movie.encoder import IMAGES, EncodeSettings
from vdenoise.media.movie.pixels import planar_format


def check_settings(settings: EncodeSettings) -> None:
    """See that settings are of the kind that `vdenoise.media.movie.settings.choose` makes.

    Raises:
        ValueError: they name a container, codec or encoder that vdenoise does not write, or an
            option or a value of one that it does not set, or samples of no known kind.
    """
    if planar_format(settings.pixel_format.name) != settings.pixel_format:
        raise ValueError(f"{settings.pixel_format.name!r} is no such kind of samples")
    try:
        av.VideoFormat(settings.coded_format)
    except ValueError as error:
        raise ValueError(f"{settings.coded_format!r} is no kind of samples") from error
    if settings.container == IMAGES:
        _check_images(settings)
        return
    codec = CODECS.get(settings.codec)
    if settings.container not in CONTAINERS.values() or codec is None:
        raise ValueError(f"vdenoise does not write {settings.codec!r} in {settings.container!r}")
    if settings.encoder != codec.encoder:
        raise ValueError(f"{codec.name} is not made by the encoder {settings.encoder!r}")
    for name, value in settings.options.items():
        if not is_set_here(codec, name, value):
            raise ValueError(f"vdenoise does not set {name}={value} of {codec.encoder}")


def _check_images(settings: EncodeSettings) -> None:
    if settings.codec not in KINDS.values() or planar_format(settings.coded_format) is None:
        raise ValueError(f"vdenoise does not write {settings.coded_format!r} as {settings.codec!r}")
    for name, value in settings.options.items():
        known = value.partition(":")[0] in LOSSLESS.get(settings.codec, ())
        if name != "compression" or not known:
            raise ValueError(f"vdenoise does not set {name}={value} of {settings.codec}")
