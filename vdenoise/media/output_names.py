"""What an output is called, from what its clip is called."""

from __future__ import annotations

import re
from pathlib import Path

from vdenoise.media.images.pictures import is_animated_png
from vdenoise.media.images.sequence import KINDS, WRITTEN, is_image, is_pattern
from vdenoise.media.movie.codecs import CONTAINERS
from vdenoise.media.parts import HOLE, parts_of

_NUMBERED = re.compile(rf"(?P<before>.*?)[._-]?(?P<hole>{HOLE.pattern})(?P<after>.*)")


def split_name(clip: Path) -> tuple[str, str, str]:
    """The name of a clip, the place of its frames' numbers, and the extension of its output.

    ``plate.####.exr`` is ("plate", "####", "exr"). Of a movie or a single image the place is empty;
    images without a name are called as their folder, clips of several files as the first. What is
    read and not written in its own kind gets another: JPEG becomes PNG, MPEG and animated PNG
    become Matroska.
    """
    clip = parts_of(clip)[0]
    stem, hole = clip.stem, ""
    if is_pattern(clip) and (found := _NUMBERED.fullmatch(clip.stem)):
        stem, hole = found["before"] + found["after"], found["hole"]
    if is_image(clip) and not is_animated_png(clip):
        written, other = KINDS[clip.suffix.lower()] in WRITTEN, "png"
    else:
        written, other = clip.suffix.lower() in CONTAINERS, "mkv"
    return stem or clip.absolute().parent.name, hole, clip.suffix[1:] if written else other
