"""A file is whole under its name, or not there at all."""

from __future__ import annotations

import errno
import os
import threading
import tracemalloc
from pathlib import Path

import pytest

from vdenoise.chain import preset_files
from vdenoise.machine import files
from vdenoise.machine.files import (
    frozen,
    give_name,
    leftovers,
    partial_path,
    read_text,
    replacing,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_error_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_text(target, "old")
    with pytest.raises(RuntimeError, match="halfway"), replacing(target) as part:
        part.write_text("ne", encoding="utf-8")
        raise RuntimeError("halfway")
    assert target.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("durable", [True, False])
def test_the_name_appears_at_the_end(tmp_path: Path, durable: bool) -> None:
    target = tmp_path / "a.bin"
    with replacing(target, durable=durable) as part:
        part.write_bytes(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


def test_unfinished_files_are_known_by_their_process(tmp_path: Path) -> None:
    mine = partial_path(tmp_path / "clean.mov")
    assert mine != partial_path(tmp_path / "clean.mov")
    other = tmp_path / ".clean.mov.1.abcdef.partial"
    for path in (mine, other, tmp_path / "clean.mov"):
        path.touch()
    assert list(leftovers(tmp_path, os.getpid())) == [mine]
    assert set(leftovers(tmp_path)) == {mine, other}


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    kept, link = tmp_path / "kept.json", tmp_path / "own.json"
    kept.write_text("of version 1", encoding="utf-8")
    link.symlink_to(kept)
    write_text(link, "new")
    assert not link.is_symlink() and link.read_text(encoding="utf-8") == "new"
    assert kept.read_text(encoding="utf-8") == "of version 1"


def test_what_leads_to_an_opened_file_is_not_replaced(tmp_path: Path) -> None:
    """As ``/dev/stdout`` does where a shell sent it to a file."""
    with (tmp_path / "out.csv").open("w") as file:
        write_text(Path(f"/proc/self/fd/{file.fileno()}"), "a,b\n")
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == "a,b\n"
    assert names(tmp_path) == ["out.csv"]


def test_a_preset_that_is_kept_elsewhere_stays_there(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    kept, link = tmp_path / "dotfiles" / "own.toml", tmp_path / "own.toml"
    link.symlink_to(kept)
    for text in ("new", "newer"):  # a link to nothing, then to a file
        preset_files.write(link, text)
        assert link.is_symlink() and kept.read_text(encoding="utf-8") == text


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[str] = []
    listener = threading.Thread(target=lambda: heard.append(pipe.read_text(encoding="utf-8")))
    listener.start()
    write_text(pipe, "through")
    listener.join()
    assert heard == ["through"]
    assert pipe.is_fifo()
    with pytest.raises(IsADirectoryError):
        write_text(tmp_path, "a folder is none either")


def test_a_frozen_path_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
    monkeypatch.chdir(tmp_path / "a")
    assert frozen(Path("b/../../x.mov")) == tmp_path / "x.mov"
    assert frozen(Path("../link/x.mov")) == tmp_path / "link" / "x.mov"  # a mount's name
    assert frozen(tmp_path / "link" / ".." / "x.mov") == tmp_path / "a" / "x.mov"


def test_a_text_that_does_not_end_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_TEXT_BYTES", 1 << 20)
    (tmp_path / "long").write_bytes(b"a" * (1 << 20))
    assert len(read_text(tmp_path / "long")) == 1 << 20
    with pytest.raises(ValueError, match="longer than"):
        read_text(Path("/dev/zero"))


def test_a_short_text_takes_no_room_for_a_long_one(tmp_path: Path) -> None:
    write_text(tmp_path / "short", "luma = 70\n")
    tracemalloc.start()
    try:
        assert read_text(tmp_path / "short") == "luma = 70\n"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_takes_nobodys_name(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a disk knows no second names of a file, as FAT and some network mounts."""
    if not links:

        def refused(_part: Path, _target: Path) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refused)
    part, target = tmp_path / "new", tmp_path / "a.mkv"
    part.write_text("new", "utf-8")
    for taken in (lambda: target.write_text("old", "utf-8"), lambda: target.symlink_to("gone")):
        taken()
        with pytest.raises(FileExistsError):
            give_name(part, target, overwrite=False)
        assert part.read_text("utf-8") == "new"
        kept = target.readlink() if target.is_symlink() else target.read_text("utf-8")
        assert str(kept) in ("old", "gone")
        target.unlink()
    give_name(part, target, overwrite=False)
    assert target.read_text("utf-8") == "new" and names(tmp_path) == ["a.mkv"]


def test_a_name_that_was_given_is_ours_though_the_answer_was_lost(tmp_path: Path) -> None:
    """A network mount asks again then, and is told that the name is there."""
    part, target = tmp_path / "new", tmp_path / "a.mkv"
    part.write_text("new", "utf-8")
    os.link(part, target)
    give_name(part, target, overwrite=False)
    assert names(tmp_path) == ["a.mkv"]


def test_of_many_who_give_one_name_at_once_one_has_it(tmp_path: Path) -> None:
    """Each had seen that it was free; the last one's file was there in the end, with exit 0 for
    all."""
    target, ready, had = tmp_path / "a.mkv", threading.Barrier(8), []

    def give(number: int) -> None:
        part = tmp_path / f"part{number}"
        part.write_text(str(number), "utf-8")
        ready.wait()
        try:
            give_name(part, target, overwrite=False)
        except FileExistsError:
            return
        had.append(str(number))

    threads = [threading.Thread(target=give, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert had == [target.read_text("utf-8")]
