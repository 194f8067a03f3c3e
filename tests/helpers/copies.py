"""Clips that go the whole way of a run without being denoised."""

from __future__ import annotations

from pathlib import Path

from vdenoise.media.movie.settings import choose
from vdenoise.media.movie.tag import RecipeTag
from vdenoise.media.movie.writer import MovieWriter
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader


def copied(
    source: Path,
    target: Path,
    *,
    codec: str | None = None,
    tag: RecipeTag | None = None,
    overwrite: bool = False,
) -> Path:
    """Read a clip, write it and check it; the copy."""
    info = probe(source)
    settings = choose(info, target, codec=codec)
    with (
        Reader(info) as reader,
        MovieWriter(info, target, settings, source=source, tag=tag, overwrite=overwrite) as writer,
    ):
        for frame in reader:
            writer.write(frame, frame.planes)
    writer.commit()
    return target
