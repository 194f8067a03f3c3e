"""A folder or a page that may not be written: said before the work, and nothing is half-written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.clips import Clip, write
from tests.helpers.rights import permissions_count
from vdenoise import cli

QUICK = ("--speed", "veryfast", "--sigma", "9", "--temporal", "none")
COMMANDS: dict[str, tuple[str, ...]] = {
    "run": ("run", "{in}", "-o", "{to}/clean.mkv", "--report", *QUICK),
    "batch": ("batch", "{in}", "-o", "{to}", "--report", *QUICK),
    "preview": ("preview", "{in}", "-o", "{to}/look.png", "--at", "0", *QUICK),
    "a preview that moves": ("preview", "{in}", "-o", "{to}/look.mp4", "--seconds", "1", *QUICK),
    "compare": ("compare", "{out}", "--source", "{in}", "-o", "{to}/sheet.png"),
    "replay": ("replay", "{out}", "-o", "{to}/again.mkv"),
    "restore": ("restore", "{out}", "{noise}", "-o", "{to}/source.mkv"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip, its result, and the noise that was removed."""
    place = tmp_path_factory.mktemp("made")
    source = write(Clip("in.mkv", codec="ffv1", frames=3), place)
    noise = ("--noise-out", str(place / "noise.mkv"), "--codec", "ffv1", "--progress", "none")
    assert cli.status(["run", str(source), "-o", str(place / "out.mkv"), *QUICK, *noise]) == 0
    return place


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_that_may_not_be_written_is_said(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    there = {"in": made / "in.mkv", "out": made / "out.mkv", "noise": made / "noise.mkv"}
    words = [word.format(to=closed, **there) for word in COMMANDS[name]]
    before = sorted(made.iterdir())
    closed.chmod(0o555)
    with permissions_count():
        status = cli.status([*words, "--progress", "none"])
    closed.chmod(0o755)
    said = capsys.readouterr()
    assert status == 4, said.err
    hint, error = said.err.splitlines()[-2:]
    assert hint.startswith("hint: ") and "[exit 4]" in error and "closed" in error
    assert said.out == "" and list(closed.iterdir()) == [] and sorted(made.iterdir()) == before


def test_a_report_that_may_not_be_replaced_is_kept(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Though it was said that outputs may be: the clip is not made either."""
    page, clean = tmp_path / "clean.mkv.html", tmp_path / "clean.mkv"
    page.write_text("mine", encoding="utf-8")
    page.chmod(0o444)
    words = ["run", str(made / "in.mkv"), "-o", str(clean), "--report", "--overwrite", *QUICK]
    with permissions_count():
        assert cli.status([*words, "--progress", "none"]) == 4
    hint, error = capsys.readouterr().err.splitlines()[-2:]
    assert hint.startswith("hint: ") and page.name in error
    assert page.read_text(encoding="utf-8") == "mine" and not clean.exists()
