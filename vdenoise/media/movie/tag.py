"""The recipe's tag in a movie: which of our recipes it was made by.

A file is renamed, moved and mailed without what lies beside it. So it says itself which recipe is
its own: the program, its version, the preset, and a hash of all that decided the frames.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from vdenoise.media.inputs import open_input, video_of

_NAME = "vdenoise"
_TOLD = re.compile(rf"{_NAME}(?: (\d\S*))?(?: (\S+))? ([0-9a-f]{{16}})")
_COMPRESSOR = 31  # bytes of the compressor's name in QuickTime's description of the picture

# Where each container tells it: a place of its own, or the one that names the program; never one
# that may hold somebody's words. Others have none.
PLACES: Mapping[str, str] = {
    "mov": "the name of the compressor, without the preset",
    "mp4": "the encoding tool",
    "matroska": "a tag VDENOISE",
    "webm": "a tag VDENOISE",
    "mxf": "a comment vdenoise",
    "nut": "a field vdenoise",
}
_KEYS = {"mp4": "encoding_tool", "mxf": f"comment_{_NAME}"}


@dataclass(frozen=True)
class RecipeTag:
    """Which recipe a clip was made by.

    Args:
        version: of vdenoise; empty where there was no room.
        preset: its name; empty where there was no room.
        recipe: 16 hexadecimal digits of all that decided the frames.
    """

    version: str
    preset: str
    recipe: str

    @property
    def text(self) -> str:
        """``vdenoise 0.2.0 film-scan 3fa92b07c41d55e8``."""
        return " ".join((_NAME, self.version, "-".join(self.preset.split()), self.recipe))

    @property
    def short(self) -> str:
        """The same in the 31 bytes of a compressor's name: without the preset."""
        text = f"{_NAME} {self.version} {self.recipe}"
        return text if len(text) <= _COMPRESSOR else f"{_NAME} {self.recipe}"

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The tag that a text is; None where it is another text."""
        told = _TOLD.fullmatch(text.strip())
        return None if told is None else cls(told[1] or "", told[2] or "", told[3])


def is_tag(text: str) -> bool:
    """Whether a text is a tag of ours: it speaks of the file it is in, and goes into no other."""
    return RecipeTag.read(text) is not None


def put(tag: RecipeTag, container: str, output: OutputContainer, video: VideoStream) -> None:
    """Put a tag where a container tells it; nowhere where that has no place.

    Args:
        tag: the tag.
        container: FFmpeg's muxer.
        output: the file, before its header is written.
        video: its picture.
    """
    if container == "mov":
        video.metadata["encoder"] = tag.short
    elif container in PLACES:
        output.metadata[_KEYS.get(container, _NAME)] = tag.text


def found_in(container: InputContainer, video: VideoStream) -> RecipeTag | None:
    """The tag of an open movie; None where it has none."""
    texts = (*container.metadata.values(), *video.metadata.values())
    return next(filter(None, map(RecipeTag.read, texts)), None)


def tag_in(path: Path) -> RecipeTag | None:
    """The tag of a movie; None where it has none.

    Raises:
        InputError: it cannot be read.
    """
    with open_input(path) as container:
        return found_in(container, video_of(container, path))
