"""Whether colors are multiplied by alpha (associated): each kind of file has its own rule."""

from __future__ import annotations

from pathlib import Path

from vdenoise.media.images import tiff

_MULTIPLIED = {"exr": True, "png": False, "movie": False}  # by the rule of the kind; DPX has none


def is_multiplied(path: Path, kind: str) -> bool | None:
    """Whether the colors of an image with alpha are multiplied by it; None where that is not said.

    Raises:
        OSError: the file cannot be read.
    """
    if kind != "tiff":
        return _MULTIPLIED.get(kind)
    with path.open("rb") as file:
        told = tiff.read_directory(file).number(tiff.EXTRA_SAMPLES)
    return {1: True, 2: False}.get(told or 0)


def misread(path: Path, kind: str, target: str) -> tuple[str, ...]:
    """What is to be said where colors go as they are into a kind of file with another rule.

    Args:
        path: the image, with alpha.
        kind: of it.
        target: "exr", "dpx", "tiff", "png" or "movie".

    Raises:
        OSError: the image cannot be read.
    """
    own, other = is_multiplied(path, kind), _MULTIPLIED.get(target)
    if None in (own, other) or own == other:
        return ()
    if own:
        return (f"colors are multiplied by alpha, and {target} takes them for colors that are not",)
    return (f"colors are not multiplied by alpha, and {target} takes them for colors that are",)
