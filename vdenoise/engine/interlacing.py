"""What is done with frames that may hold two fields."""

from __future__ import annotations

from dataclasses import replace

from vdenoise.errors import UsageError
from vdenoise.picture.frame import ClipInfo
from vdenoise.settings.choices import Interlaced


def check_interlaced(info: ClipInfo, interlaced: Interlaced) -> None:
    """Refuse fields where that was said.

    Raises:
        UsageError: the clip is interlaced, and that is refused.
    """
    if info.interlaced and interlaced == "refuse":
        raise UsageError(
            f"{info.path} is interlaced ({info.field_order}), and --interlaced refuse was said.",
            "Say --interlaced fields or deinterlace, or --interlaced ignore if the tag is wrong.",
            number=50,
        )


def tag_fields(info: ClipInfo, interlaced: Interlaced) -> ClipInfo:
    """The clip with what was said of its fields; auto leaves it as it is."""
    return info if interlaced == "auto" else replace(info, fields=interlaced == "fields")


def settle_interlacing(info: ClipInfo, interlaced: Interlaced) -> Interlaced:
    """What auto comes to, so that it is the same wherever the plan is carried out."""
    if interlaced != "auto":
        return interlaced
    return "fields" if info.by_field else "ignore"


def progressive(info: ClipInfo) -> ClipInfo:
    """The clip as it is after deinterlacing."""
    return replace(info, field_order="progressive")
