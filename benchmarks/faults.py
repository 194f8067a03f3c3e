"""Let the system fail under commands, and see that nothing is lost and nothing is half.

::

    python -m benchmarks.faults -o benchmarks/results/faults.json

Each command runs once undisturbed, then again and again in a fresh folder, with one fault each
time: the disk is full from some size or call on, a read, a sync or a renaming fails, a folder is
away for good or for a moment, memory runs out, the clock jumps, a signal comes. Sound is what ends
with a documented exit status and a last line that says it, leaves under final names only what the
undisturbed command left there, and comes to the same result when the command is given again. The
disks are file systems in memory, for which the script needs the right to mount.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.forked import Ended, Failing, attempt, jumping, with_faults, within, written_down
from benchmarks.fuzz import GIVEN
from benchmarks.results import known, machine, save
from tests.helpers.clips import Clip, write
from vdenoise.media.images.sequence import is_image
from vdenoise.media.movie.codecs import CONTAINERS
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader

# C++ libraries and the loader end the process where memory lacks, and a run may die, if nothing is
# half after it. (Batches and tasks have a parent that says so.)
MAY_DIE = {"memory": {-signal.SIGABRT, -signal.SIGSEGV, 127}}
MISTAKEN = {"memory": {3, 4}}  # neither the clip's fault nor the disk's
DOCUMENTED = {0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 75, 129, 130, 143, -signal.SIGKILL, -signal.SIGTERM}
CALLS = 4  # of those that match, spread from the first to the last, one fails at a time
SIZES = 4  # of a full disk
_LITTLE_MIB = 4


@dataclass(frozen=True)
class Command:
    """What is tried.

    Attributes:
        name: in results.
        words: its command line, in a folder with ``in.mkv``; outputs are in ``out``.
        again: what its hint says to add after a fault, where files are left.
        ready: what is done before, undisturbed.
        reads: part of the paths of the clips that it reads.
    """

    name: str
    words: tuple[str, ...]
    again: tuple[str, ...] = ("--overwrite",)
    ready: tuple[tuple[str, ...], ...] = ()
    reads: str = "in.mkv"


_RUN = ("run", "in.mkv", *GIVEN, "-o")
_NETWORK = ("--sigma", "8", "--cuts", "off")
_PLAN = ("plan", "in.mkv", "-o", "plan.json", *GIVEN, "--segment-frames", "2", "--to")
_TASK = ("run", "--plan", "plan.json", "--work", "out/.work")
_BATCH = ("batch", "clips", "-o", "out", *GIVEN, "--jobs", "1")
COMMANDS = {
    command.name: command
    for command in (
        Command("mkv", (*_RUN, "out/o.mkv")),
        Command("mov", (*_RUN, "out/o.mov", "--codec", "prores")),
        Command("mp4", (*_RUN, "out/o.mp4", "--codec", "x264")),
        Command("exr", (*_RUN, "out/o.####.exr")),
        Command("png", (*_RUN, "out/o.####.png")),
        Command("tiff", (*_RUN, "out/o.####.tif")),
        Command(
            "beside",
            (
                *(*_RUN, "out/o.mkv", "--noise-out", "out/n.mkv", "--matte-out", "out/m.mkv"),
                *("--write-cuts", "out/cuts.txt", "--report"),
            ),
        ),
        Command("resumed", (*_RUN, "out/o.mkv", "--resume"), ()),
        Command("network", ("run", "in.mkv", "-o", "out/o.mkv", *_NETWORK)),
        Command(
            "network task",
            _TASK,
            ("--resume",),
            (
                (
                    *("plan", "in.mkv", "-o", "plan.json", *_NETWORK, "--segment-frames", "2"),
                    *("--to", "out/o.mkv"),
                ),
            ),
        ),
        Command("preview", ("preview", "in.mkv", "-o", "out/p.png", *GIVEN)),
        Command(
            "restore",
            ("restore", "clean.mkv", "n.mkv", "-o", "out/r.mkv"),
            ready=((*_RUN, "clean.mkv", "--noise-out", "n.mkv"),),
            reads="clean.mkv",
        ),
        Command("plan", ("plan", "in.mkv", "-o", "out/plan.json", *GIVEN, "--to", "out/o.mkv")),
        Command("segments", _TASK, ("--resume",), ((*_PLAN, "out/o.mkv"),)),
        Command("images", _TASK, ("--resume",), ((*_PLAN, "out/o.####.png"),)),
        Command(
            "assemble",
            ("farm", "assemble", "--plan", "plan.json", "--work", "out/.work"),
            ready=((*_PLAN, "out/o.mkv"), _TASK),
        ),
        Command("batch", _BATCH, (), reads="clips/"),
        Command("profile", ("profile", "build", "in.mkv", "-o", "out/p.json")),
        Command("replay", ("replay", "done.mkv", "-o", "out/o.mkv"), ready=((*_RUN, "done.mkv"),)),
    )
}


@dataclass
class Row:
    """What came of one kind of fault under one command."""

    fault: str
    command: str
    tried: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    half: list[str] = field(default_factory=list)  # under a final name, and not what belongs there
    unsaid: list[str] = field(default_factory=list)  # ends without a documented status or line
    differs: list[str] = field(default_factory=list)  # the same command again is another result
    left: list[str] = field(default_factory=list)  # unfinished files that are there in the end

    @property
    def sound(self) -> bool:
        """The verdict."""
        return not (self.half or self.unsaid or self.differs or self.left)


def contents(folder: Path) -> dict[str, str]:
    """What files under final names hold: frames of clips and images, whether texts are whole.

    What is hidden or in the folder of a run in parts is not final.
    """
    return {
        str(path.relative_to(folder)): _content(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not any(
            p.startswith(".") or p.endswith(".vdenoise-work")
            for p in path.relative_to(folder).parts
        )
    }


def _content(path: Path) -> str:
    if path.suffix in CONTAINERS or is_image(path):
        digest = hashlib.sha256()
        with Reader(probe(path), threads=1) as reader:
            for frame in reader:
                for plane in frame.planes:
                    digest.update(plane.contiguous().numpy().tobytes())
        return digest.hexdigest()
    text = path.read_text("utf-8")
    if path.suffix == ".json":
        return f"JSON: {', '.join(sorted(json.loads(text)))}"
    if path.suffix == ".jsonl":
        return "lines"
    return "a page" if "</html>" in text[-20:] else text


class Bench:
    """A place where commands are disturbed.

    Args:
        folder: empty.
        disk: a file system of its own, mounted at ``out``; None for a plain folder.
    """

    def __init__(self, folder: Path, command: Command) -> None:
        self.command, self.folder = command, folder
        self.out = folder / "out"
        self.out.mkdir(parents=True)
        clip = write(Clip("in.mkv", "ffv1", frames=4), folder)
        (folder / "clips").mkdir()
        for name in "ab":
            shutil.copy(clip, folder / "clips" / f"{name}.mkv")
        for words in command.ready:
            assert self.do(words).status == 0, words
        self.kept = Path(f"{folder}.kept")
        shutil.copytree(self.out, self.kept)
        ended = self.do()
        assert ended.status == 0, ended
        self.calm = contents(self.out)
        self.pages = _pages(self.out)

    def do(self, words: Sequence[str] | None = None, **more: object) -> Ended:
        """Run the command, or another one."""
        return attempt(words or self.command.words, self.folder, **more)  # type: ignore[arg-type]

    def fresh(self) -> None:
        """As it was before the command."""
        for path in self.out.iterdir() if self.out.exists() else ():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self.kept, self.out, dirs_exist_ok=True)

    def disturbed(self, row: Row, name: str, ended: Ended) -> None:
        """See what a fault left, and give the command again."""
        row.tried += 1
        row.statuses[str(ended.status)] = row.statuses.get(str(ended.status), 0) + 1
        died = ended.status < 0 or ended.status in MAY_DIE.get(row.fault, ())
        said = died or not ended.status or ended.said.startswith("vdenoise: error E")
        known = (DOCUMENTED | MAY_DIE.get(row.fault, set())) - MISTAKEN.get(row.fault, set())
        if ended.status not in known or not said:
            row.unsaid.append(f"{name}: {ended.status} {ended.said}"[:200])
        try:
            there = contents(self.out)
        except Exception as error:  # whatever it is, a file is not whole
            row.half.append(f"{name}: {error}"[:200])
            there = {}
        row.half += [f"{name}: {k}" for k, v in there.items() if self.calm.get(k) != v]
        self.out.mkdir(exist_ok=True)
        again = self.do()
        if again.status and self.command.again:
            again = self.do((*self.command.words, *self.command.again))
        if again.status or contents(self.out) != self.calm:
            row.differs.append(f"{name}: {again.status} {again.said}"[:200])
        if not died and "for good" not in row.fault:  # else it cannot be taken away
            hidden = (p for p in self.out.rglob(".*.partial"))
            row.left += [f"{name}: {p.name}" for p in hidden]


def _pages(folder: Path) -> int:
    """Pages of memory that a file system needs for what is in a folder."""
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(1 + -(-path.stat().st_size // page) for path in folder.rglob("*"))


def spread(count: int, wanted: int) -> list[int]:
    """So many of the numbers below a count, from the first to the last."""
    if count <= wanted:
        return list(range(count))
    return sorted({round(n * (count - 1) / (wanted - 1)) for n in range(wanted)})


def counted(bench: Bench, calls: str, place: str) -> int:
    """How often an undisturbed command makes such calls."""
    with tempfile.NamedTemporaryFile() as log:
        bench.fresh()
        bench.do(before=written_down(calls, place, Path(log.name)))
        return len(Path(log.name).read_text("utf-8", "replace").splitlines())


def failing(
    calls: str, place: str | None, code: int, lasting: int = 0
) -> Callable[[Bench, Row], None]:
    """Calls that fail: one after the other, or all from there on. Without a place it is the clip
    that they fail on."""

    def part(bench: Bench, row: Row) -> None:
        where = bench.command.reads if place is None else place
        for number in spread(counted(bench, calls, where), CALLS):
            bench.fresh()
            fault = Failing(calls, where, code, number, number + lasting)
            bench.disturbed(row, f"call {number}", bench.do(before=fault.arm))

    return part


def slow(bench: Bench, row: Row) -> None:
    """Every read and write of the outputs and the clip takes its time."""
    bench.fresh()
    nap = Failing("rw", str(bench.folder), last=1 << 40, nap_seconds=0.004)
    bench.disturbed(row, "slow", bench.do(before=nap.arm))


@contextmanager
def mounted(place: Path, size: int) -> Iterator[None]:
    """A file system in memory."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def full_disk(bench: Bench, row: Row) -> None:
    """A disk that has room for so much beside what is there; for the second try of many."""
    there, wanted = _pages(bench.kept), bench.pages
    for number in spread(wanted - there, SIZES):
        with mounted(bench.out, (there + number + 2) * os.sysconf("SC_PAGE_SIZE")):
            shutil.copytree(bench.kept, bench.out, dirs_exist_ok=True)
            ended = bench.do()
            subprocess.run(["mount", "-o", "remount,size=64m", bench.out], check=True)
            bench.disturbed(row, f"{number + 2} pages", ended)


def folder_gone(bench: Bench, row: Row) -> None:
    """The folder of the outputs is taken away in the middle."""
    for n, moment in enumerate(_moments(4)):
        bench.fresh()
        gone = Path(f"{bench.folder}.gone{n}")

        def take(_child: int, gone: Path = gone) -> None:
            bench.out.rename(gone)

        ended = bench.do(moment=moment, then=take)
        if gone.exists():
            shutil.rmtree(bench.out, ignore_errors=True)
            gone.rename(bench.out)
        bench.disturbed(row, f"{moment:.2f} s", ended)


def memory(bench: Bench, row: Row) -> None:
    """Less and less of it: from a little less than is enough, so that it lacks at every stage."""
    lacks, enough = 0, 4096
    while enough - lacks > _LITTLE_MIB:
        bench.fresh()
        middle = (lacks + enough) // 2
        if bench.do(before=within(middle)).status:
            lacks = middle
        else:
            enough = middle
    for less in (*range(8, 72, 8), 96, 128, 192, 256, 384, enough - 16, enough - 1):
        if less < enough:
            bench.fresh()
            bench.disturbed(row, f"{enough} - {less} MiB", bench.do(before=within(enough - less)))


def clock(bench: Bench, row: Row) -> None:
    """A year on, or back, in the middle."""
    for first in (0, 5, 40):
        for seconds in (-31_536_000, 31_536_000):
            bench.fresh()
            bench.disturbed(row, f"{seconds} at {first}", bench.do(before=jumping(first, seconds)))


def signals(number: signal.Signals, count: int) -> Callable[[Bench, Row], None]:
    """A signal at a random moment, so many times."""

    def part(bench: Bench, row: Row) -> None:
        for moment in _moments(count):
            bench.fresh()
            ended = bench.do(moment=moment, then=lambda child: os.kill(child, number))
            bench.disturbed(row, f"{moment:.3f} s", ended)

    return part


def _moments(count: int) -> list[float]:
    chance = random.Random(0)
    return [chance.uniform(0.02, 0.6) for _ in range(count)]


def twice(bench: Bench, row: Row) -> None:
    """The same command again while it is at work."""
    for moment in _moments(3):
        bench.fresh()
        other: list[Ended] = []

        def start(_child: int, other: list[Ended] = other) -> None:
            other.append(bench.do())

        ended = bench.do(moment=moment, then=start)
        bench.disturbed(row, f"{moment:.2f} s, first", ended)
        for each in other:
            row.statuses[str(each.status)] = row.statuses.get(str(each.status), 0) + 1
            if each.status not in DOCUMENTED:
                row.unsaid.append(f"{moment:.2f} s, second: {each.status} {each.said}")


def power(bench: Bench, row: Row) -> None:
    """Whether each file was on the disk before it got its name."""
    bench.fresh()
    with tempfile.NamedTemporaryFile() as log:
        ended = bench.do(before=written_down("wsn", str(bench.out), Path(log.name)))
        lines = [line.split("\t") for line in Path(log.name).read_text().splitlines()]
    synced: set[str] = set()
    for call, path, other in lines:
        if call == "s":
            synced.add(path)
        elif call == "w":
            synced.discard(path)
        elif str(bench.folder / path) not in synced | {str(bench.folder / s) for s in synced}:
            row.half.append(f"{other} had its name before it was on the disk")
    bench.disturbed(row, "in order", ended)


_OUT, _CLIP = "/out/", None
FAULTS: dict[str, Callable[[Bench, Row], None]] = {
    "disk full, from a size on": full_disk,
    "disk full, at a write": failing("w", _OUT, errno.ENOSPC, 1 << 40),
    "quota, at an opening": failing("o", "out/", errno.EDQUOT),
    "write error": failing("w", _OUT, errno.EIO),
    "sync error": failing("s", _OUT, errno.EIO),
    "renaming fails": failing("n", "out/", errno.EACCES),
    "no right to write": failing("o", "out/", errno.EACCES, 1 << 40),
    "read error": failing("r", _CLIP, errno.EIO),
    "read error for good": failing("r", _CLIP, errno.EIO, 1 << 40),
    "mount away for a call": failing("orwsnt", "out/", errno.ESTALE),
    "mount away for good": failing("orwsntu", "out/", errno.ESTALE, 1 << 40),
    "clip's mount away": failing("ort", _CLIP, errno.ENOTCONN, 1 << 40),
    "slow mount": slow,
    "folder taken away": folder_gone,
    "memory": memory,
    "clock": clock,
    "SIGTERM": signals(signal.SIGTERM, 20),
    "SIGKILL": signals(signal.SIGKILL, 20),
    "twice at once": twice,
    "power loss": power,
}


def main() -> None:
    """The command."""
    with_faults("benchmarks.faults")
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--commands", default=",".join(COMMANDS))
    parser.add_argument("--faults", default=",".join(FAULTS).replace(", ", "; "))
    parser.add_argument("--missing", action="store_true", help="leave what is on file")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    rows = {} if options.output is None else known(options.output, _key)
    wanted = [name.replace("; ", ", ") for name in options.faults.split(",")]
    for name in options.commands.split(","):
        with tempfile.TemporaryDirectory(prefix="vdenoise-faults-") as folder:
            bench = Bench(Path(folder, "place"), COMMANDS[name])
            for fault in wanted:
                if options.missing and (fault, name) in rows:
                    continue
                row = Row(fault, name)
                FAULTS[fault](bench, row)
                if not row.tried:
                    print(name, "|", fault, "| it makes no such calls", flush=True)
                    continue
                print(name, "|", fault, "|", row.tried, row.statuses, flush=True)
                for kind in ("half", "unsaid", "differs", "left"):
                    for line in getattr(row, kind):
                        print("   ", kind, line, flush=True)
                where = machine()
                commit = where.pop("commit")  # of this row: others stay as they are on file
                rows[fault, name] = asdict(row) | {"sound": row.sound, "commit": commit}
                if options.output is not None:
                    save(
                        options.output,
                        {"schema": 1, "machine": where, "rows": list(rows.values())},
                    )
    raise SystemExit(not all(row["sound"] for row in rows.values()))


def _key(row: dict[str, Any]) -> tuple[str, ...]:
    return row["fault"], row["command"]


if __name__ == "__main__":
    main()
