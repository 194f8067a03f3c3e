"""``run --dry-run`` and ``run`` come to one verdict: what is refused is so before the start."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.clips import MATRIX, write
from tests.media.test_chapters import with_chapters
from tests.media.test_copied_streams import styled_text, transport_stream
from tests.media.test_sound_anew import with_sound
from vdenoise import cli

NOTHING_REMOVED = shlex.split(
    "--speed veryfast --temporal-radius 0 --spatial gaussian --sigma 5 --cuts off --luma 0 "
    "--chroma 0 --overwrite"
)
TARGETS = ("mov", "mp4", "mkv", "webm", "mxf", "avi", "ts", "nut", "y4m")
CANNOT_BE_KEPT = 4

# One of each kind of thing that only some containers take.
SOURCES: dict[str, Callable[[Path], Path]] = {
    **{
        name: lambda folder, name=name: write(MATRIX[name], folder)  # type: ignore[misc]
        for name in ("everything.mkv", "ntsc.mov", "rotated.mp4", "hdr.mkv", "alpha.mov")
    },
    "chapters.mkv": lambda folder: with_chapters(folder, (120, 240, "one"), (240, 480, None)),
    "two pictures.ts": lambda folder: transport_stream(folder, "eac3", second=True),
    "5.1.mov": lambda folder: with_sound(folder, "pcm_s24be", "5.1", 44100, name="in.mov"),
    "styled text.mkv": styled_text,
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_dry_run_and_a_run_come_to_one_verdict(source: str, tmp_path: Path) -> None:
    clip = SOURCES[source](tmp_path)
    for suffix in TARGETS:
        output = tmp_path / f"out.{suffix}"
        line = ["run", str(clip), "-o", str(output), *NOTHING_REMOVED]
        said = cli.status([*line, "--dry-run"])
        strict = cli.status([*line, "--dry-run", "--strict"])
        assert strict in (said, CANNOT_BE_KEPT), suffix
        if strict != said:
            assert (cli.status([*line, "--strict"]), output.exists()) == (strict, False), suffix
        assert (cli.status(line), output.exists()) == (said, said == 0), suffix
