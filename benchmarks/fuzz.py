"""Give every reader files that somebody broke, and see that each says so and leaves nothing.

::

    python -m benchmarks.fuzz --kinds movie --count 2400 --log fuzz.log
    python -m benchmarks.fuzz --count 640 --log fuzz.log -o benchmarks/results/fuzz.json

Each input is a good file of one kind, mutated: bits, pieces and ends of its bytes, or values, keys
and depth of its JSON. It goes through the command that reads such files. Sound is what ends with a
documented exit status other than 1 (a traceback), in time, in the memory that small files take,
opens no file and no address that nobody named, leaves no temporary file, and after a failure none
where outputs go.
Inputs follow from seed, kind and number alone.

A worker process does one input after the other; where it dies by a signal or hangs, that is
written down and the next worker goes on behind it. A log holds what is done, so that it is done
once; what was wrong is tried again, and the last time counts.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from benchmarks import results
from benchmarks.families import FAMILIES, write
from benchmarks.forked import preloaded
from benchmarks.opened import Opened
from vdenoise import cli
from vdenoise.farm.record import digest
from vdenoise.machine.process import fill_memory

DOCUMENTED = frozenset({0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 75})  # exit statuses of a command left alone
PATIENCE_SECONDS = 120.0  # for one input, in a worker
MOST_KIB = 1 << 20  # that the peak of a worker's memory may grow by in one input
QUICK = ("--speed", "veryfast", "--temporal", "none", "--spatial", "gaussian", "--cuts", "off")
GIVEN = (*QUICK, "--sigma", "5")  # nothing is measured
# What values in a text are replaced by: the ends of types, and what is none of the type wanted.
ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 2**31, -(2**63), 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf")),
    *("", "x", "a\0b", "../../x", "/dev/zero", "-o", "\udc80", "9" * 5000, "é" * 300, "{stem}"),
    *([], [[]], [None], [1e9] * 3, {}, {"": {}}, {"kind": 1}),
)
ODD_BYTES = (b"\0" * 8, b"\xff" * 8, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"9" * 5000, b"[" * 3000)


# -- mutations ---------------------------------------------------------------------------------


def broken_bytes(data: bytes, rng: random.Random) -> bytes:
    """A file with some of its bytes changed, lost, doubled or cut off.

    Half of the changes lie in the first or last 256 bytes, where headers and indices are.
    """
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        near = rng.randrange(max(min(256, len(made)), 1))
        at = rng.choice((near, max(len(made) - near - 1, 0), rng.randrange(len(made) + 1)))
        some = rng.choice((1, 4, 16, 300))
        match rng.randrange(7):
            case 0 if at < len(made):
                made[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(made):
                made[at] = rng.choice((0, 0xFF, 0x7F, 0x80, rng.randrange(256)))
            case 2:
                del made[at : at + some]
            case 3:
                made[at:at] = made[at : at + some]
            case 4:
                made[at:at] = rng.choice(ODD_BYTES)
            case 5:
                made[at : at + 8] = rng.choice(ODD_BYTES)[: len(made) - at]
            case _ if rng.random() < 0.3:
                del made[at:]
    return bytes(made)


def broken_value(value: Any, rng: random.Random) -> Any:
    """What JSON holds, with one of its values changed, lost, doubled or put elsewhere."""
    made = copy.deepcopy(value)
    places = [p for p in _places(made) if p]
    for _ in range(rng.choice((1, 1, 2, 4))):
        *path, last = rng.choice(places)
        with contextlib.suppress(LookupError, TypeError):  # an earlier change took it away
            holder = made
            for step in path:
                holder = holder[step]
            _break(holder, last, made, rng)
    return made


def _break(holder: Any, last: Any, whole: Any, rng: random.Random) -> None:
    match rng.randrange(6):
        case 0:
            del holder[last]
        case 1 if isinstance(holder, dict):
            holder[rng.choice(("", "x", f"{last}2"))] = holder.pop(last)
        case 2:
            other = rng.choice([p for p in _places(whole) if p])
            found = whole
            for step in other:
                found = found[step]
            holder[last] = copy.deepcopy(found)
        case 3 if isinstance(holder[last], int | float):
            holder[last] = holder[last] * rng.choice((-1, 0.5, 2, 1e6)) + rng.choice((0, 1))
        case _:
            holder[last] = rng.choice(ODD)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from _places(value[key], (*path, key))
    elif isinstance(value, list):
        for number in range(min(len(value), 8)):
            yield from _places(value[number], (*path, number))


def broken(path: Path, rng: random.Random) -> bytes:
    """The content of a file, broken: of JSON its values three times of four, else its bytes."""
    data = path.read_bytes()
    if path.suffix != ".json" or rng.random() < 0.25:
        return broken_bytes(data, rng)
    # A number that took the place of a name in an object is one there.
    made = json.loads(json.dumps(broken_value(json.loads(data), rng)))
    if isinstance(made, dict) and made.get("kind") == "vdenoise-plan":  # else its seal tells
        with contextlib.suppress(ValueError):
            made["plan_id"] = digest({k: v for k, v in made.items() if k != "plan_id"})
    return json.dumps(made).encode()


# -- kinds of input ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A kind of file that is read.

    Attributes:
        make: writes good ones of it, beside a good clip.
        words: the command line that reads one, from the good clip, the file and where outputs go.
        names: whether such a file says what else is to be read.
    """

    make: Callable[[Path, Path], list[Path]]
    words: Callable[[Path, Path, Path], list[object]]
    names: bool = False


def call(*words: object) -> int:
    """A command, in this process."""
    return cli.status([str(word) for word in words])


def _movies(clip: Path, folder: Path) -> list[Path]:
    made = []
    for name, codec in (
        *(("a.mkv", "ffv1"), ("a.mov", "prores"), ("b.mov", "x264"), ("a.mp4", "x265")),
        *(("b.mp4", "svt-av1"), ("a.mxf", "dnxhr"), ("a.avi", "x264"), ("a.ts", "x264")),
        *(("a.webm", "vp9"), ("a.nut", "rawvideo"), ("a.y4m", "rawvideo")),
    ):
        if call("run", clip, "-o", folder / name, *GIVEN, "--codec", codec) == 0:
            made.append(folder / name)
    return made + [write(family, folder) for family in FAMILIES]


def _images(clip: Path, folder: Path) -> list[Path]:
    made = []
    for kind in ("png", "tif", "dpx"):
        name = folder / f"a.{kind}"
        if call("run", clip, "-o", name, *GIVEN, "--frames", "0") == 0:
            made.append(name)
    import numpy as np
    import OpenImageIO as oiio  # noqa: N813

    picture = np.random.default_rng(0).uniform(0, 1, (32, 48, 3)).astype(np.float32)
    for name, sort in (("a.exr", "half"), ("b.exr", "float"), ("a.jpg", "uint8")):
        out = oiio.ImageOutput.create(str(folder / name))
        out.open(str(folder / name), oiio.ImageSpec(48, 32, 3, sort))
        out.write_image(picture)
        out.close()
        made.append(folder / name)
    return made


def _plans(clip: Path, folder: Path) -> list[Path]:
    made = [folder / "copy.json", folder / "files.json"]
    for plan, to in zip(made, ("clean.mkv", "clean.####.png"), strict=True):
        words = ("plan", clip, "-o", plan, "--to", folder / "out" / to, *GIVEN)
        assert call(*words, "--segment-frames", 2) == 0
    return made


def _recipes(clip: Path, folder: Path) -> list[Path]:
    words = ("--mask", "m=luma:20-70,luma=50", "--grain", "keep:20")
    assert call("run", clip, "-o", folder / "a.mkv", *GIVEN, *words) == 0
    return [folder / "a.mkv.vdenoise.json"]


def _profiles(clip: Path, folder: Path) -> list[Path]:
    assert call("profile", "build", clip, "-o", folder / "a.json") == 0
    return [folder / "a.json"]


def _texts(name: str, *texts: str) -> Callable[[Path, Path], list[Path]]:
    def make(clip: Path, folder: Path) -> list[Path]:
        made = []
        for number, text in enumerate(texts):
            file = folder / f"{number}{name}"
            file.write_text(text.replace("CLIP", str(clip)))
            made.append(file)
        return made

    return make


def _rules(clip: Path, folder: Path) -> list[Path]:
    """Beside a plan that they are for."""
    _plans(clip, folder)
    rule = {"source_path_format": "POSIX", "source_path": "/a", "destination_path": "/b"}
    text = json.dumps({"version": "pathmapping-1.0", "path_mapping_rules": [rule]})
    return _texts(".rules.json", text)(clip, folder)


def _weights(_clip: Path, folder: Path) -> list[Path]:
    import torch
    from safetensors.torch import save_file

    from vdenoise.nets.ffdnet import FfdNet

    weights = dict(FfdNet(width=8, depth=3).state_dict())
    save_file(weights, folder / "a.safetensors")
    torch.save(weights, folder / "a.pth")
    return [folder / "a.safetensors", folder / "a.pth"]


_PRESET = """schema = 1
about = "Tape, softer."
inherit = "tape"
[output]
luma = 80
[temporal]
method = "mean"
radius = 2
[spatial]
method = "wiener"
[[mask]]
name = "sky"
source = "luma:70-100"
luma = 100
"""
_JOBS = """[defaults]
speed = "veryfast"
luma = 50
[[job]]
input = "CLIP"
output = "a.mkv"
set = {"temporal.radius" = 2}
[[job]]
input = "CLIP"
output = "sub/b.mkv"
frames = "0-1"
"""


# What makes a reader of movies open other files and addresses.
LISTS = (
    "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nCLIP\n#EXT-X-ENDLIST\n",
    "#EXTM3U\n#EXTINF:1,\nsubfile,,start,0,end,0,,:CLIP\n#EXT-X-ENDLIST\n",
    "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n",
    "ffconcat version 1.0\nfile 'CLIP'\nduration 1\n",
    '<?xml version="1.0"?>\n<MPD><Period><BaseURL>CLIP</BaseURL></Period></MPD>',
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
)


def _run(
    option: str, of: Callable[[Path], object] = str, *more: str
) -> Callable[..., list[object]]:
    """A run that an option names the file to."""

    def words(clip: Path, file: Path, out: Path) -> list[object]:
        return ["run", clip, "-o", out / "o.mkv", *GIVEN, option, of(file), *more]

    return words


KINDS: dict[str, Kind] = {
    "movie": Kind(_movies, lambda _, file, out: ["run", file, "-o", out / "o.mkv", *QUICK]),
    "image": Kind(
        _images, lambda _, file, out: ["run", file, "-o", out / f"o{file.suffix}", *QUICK]
    ),
    "list": Kind(
        _texts(".mkv", *LISTS), lambda _, file, out: ["run", file, "-o", out / "o.mkv", *QUICK]
    ),
    "plan": Kind(_plans, lambda _, file, out: ["farm", "status", "--plan", file], names=True),
    "plan run": Kind(
        _plans,
        lambda _, file, out: ["run", "--plan", file, "--work", out / ".work", "--segments", "0"],
        names=True,
    ),
    "recipe": Kind(
        _recipes, lambda _, file, out: ["replay", file, "-o", out / "o.mkv"], names=True
    ),
    "profile": Kind(
        _profiles,
        lambda clip, file, out: ["run", clip, "-o", out / "o.mkv", *QUICK, "--profile", file],
    ),
    "grain": Kind(_profiles, _run("--grain", lambda file: f"match:{file}")),
    "preset": Kind(_texts(".toml", _PRESET), _run("--preset", str, "--dry-run"), names=True),
    "jobs": Kind(
        _texts(".toml", _JOBS),
        lambda _, file, out: ["batch", file, "-o", out, "--dry-run"],
        names=True,
    ),
    "cuts": Kind(_texts(".txt", "# cuts\n2\n", "1\n2\n"), _run("--cuts")),
    "mask": Kind(_images, _run("--mask", lambda file: f"m=file:{file}")),
    "rules": Kind(
        _rules,
        lambda clip, file, out: [
            *("farm", "status", "--plan", clip.parent / "rules" / "copy.json", "--map-rules", file)
        ],
    ),
    "weights": Kind(_weights, _run("--model", str)),
}


# -- one input ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """How one input ended.

    Attributes:
        status: exit status; of a worker that died minus its signal, None where it hung.
        fault: what is wrong with that, empty where nothing is.
    """

    kind: str
    number: int
    status: int | None
    fault: str = ""


class Fuzz:
    """Good files of some kinds, and inputs made of them.

    Args:
        folder: for all of it.
        seed: what inputs follow from, together with their kind and number.
        kinds: those that are wanted.
        opened: told of every file that is opened; None where nothing tells.
    """

    def __init__(
        self, folder: Path, seed: int, kinds: Sequence[str], opened: Opened | None = None
    ) -> None:
        self.folder, self.seed, self.opened = folder, seed, opened
        self.clip = folder / "good.mkv"
        _good_clip(self.clip)
        self.good: dict[str, list[Path]] = {}
        for kind in kinds:
            place = folder / kind
            place.mkdir()
            with _silent():
                self.good[kind] = KINDS[kind].make(self.clip, place)
            for number in range(len(self.good[kind]) if opened else 0):
                self.once(kind, number, whole=True)

    def once(self, kind: str, number: int, *, whole: bool = False) -> Ended:
        """Break a file of a kind, or leave it ``whole``, and let its command read it."""
        rng = random.Random(f"{self.seed} {kind} {number}")
        good = self.good[kind][number % len(self.good[kind])]
        with tempfile.TemporaryDirectory(dir=self.folder) as name, _temporaries(Path(name)) as own:
            out = Path(name) / "out"
            out.mkdir()
            file = Path(name) / good.name
            file.write_bytes(good.read_bytes() if whole else broken(good, rng))
            fill_memory(same=False)  # as it is in a process that has encoded nothing yet
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            if self.opened is not None:
                self.opened.since()
            with _silent() as said:
                status = call(*KINDS[kind].words(self.clip, file, out))
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            strangers = self._strangers(kind, file, [out, own], whole=whole)
            left = sorted(str(p.relative_to(out)) for p in _final(out))
            forgotten = sorted(p.name for p in own.iterdir())
        last = (said.getvalue().splitlines() or [""])[-1]
        fault = ""
        if status not in DOCUMENTED:
            fault = f"exit {status}: {last}"
        elif status and not last.startswith("vdenoise: error E"):
            fault = f"exit {status} without a last line: {last}"
        elif status and left:
            fault = f"exit {status} left {', '.join(left)}"
        elif forgotten:
            fault = f"exit {status} left {', '.join(forgotten)} among temporary files"
        elif strangers:
            fault = f"exit {status} opened {', '.join(strangers)}"
        elif grown > MOST_KIB:
            fault = f"exit {status} took {grown >> 10} MiB"
        return Ended(kind, number, status, fault)

    def _strangers(
        self, kind: str, file: Path, writes: Sequence[Path], *, whole: bool
    ) -> list[str]:
        """What was opened that nobody named. What sound files of a kind that names no others make
        a command open is usual, but for the clip: lists name it, and are not to be followed."""
        if self.opened is None:
            return []
        if KINDS[kind].names:
            return self.opened.strangers([self.folder], file.read_text("utf-8", "replace"))
        named = [file, *writes, *([] if kind == "list" else [self.clip])]
        if whole and kind != "list":
            self.opened.learn()
        return self.opened.strangers([path.resolve() for path in named])


@contextlib.contextmanager
def _temporaries(folder: Path) -> Iterator[Path]:
    """A folder of one's own for temporary files."""
    own, before = folder / "tmp", tempfile.tempdir
    own.mkdir()
    tempfile.tempdir = str(own)
    try:
        yield own
    finally:
        tempfile.tempdir = before


@contextlib.contextmanager
def _silent() -> Iterator[io.StringIO]:
    """Hear what is said on standard error; the rest goes nowhere."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        yield said


def _good_clip(path: Path) -> None:
    import av
    import numpy as np

    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as output:
        video = output.add_stream("ffv1", 25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for _ in range(4):
            frame = av.VideoFrame.from_ndarray(
                rng.integers(90, 120, (72, 64)).astype(np.uint8), "yuv420p"
            )
            output.mux(video.encode(frame))
        output.mux(video.encode(None))


def _final(out: Path) -> Iterator[Path]:
    """Files under final names, and unfinished ones; what tasks of a plan work in is neither."""
    for path in out.rglob("*"):
        if path.is_file() and ".work" not in path.parts:
            yield path


# -- many --------------------------------------------------------------------------------------


Input = tuple[str, int]  # its kind and number


def _work(folder: Path, seed: int, todo: Sequence[Input]) -> None:
    """The worker: a line before and after each input."""
    tell = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    opened = Opened(folder / "opened.log")
    fuzz = Fuzz(folder, seed, tuple(dict.fromkeys(kind for kind, _ in todo)), opened)
    for kind, number in todo:
        tell.write(json.dumps({"kind": kind, "number": number}) + "\n")
        tell.write(json.dumps(asdict(fuzz.once(kind, number))) + "\n")


def many(seed: int, todo: Sequence[Input]) -> Iterator[Ended]:
    """All inputs, through as many workers as it takes."""
    left = list(todo)
    while left:
        folder = Path(tempfile.mkdtemp(prefix="vdenoise-fuzz-"))
        command = [sys.executable, "-m", "benchmarks.fuzz", "--worker", str(folder), str(seed)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        environment = {**os.environ, **preloaded(folder)}
        with (
            tempfile.TemporaryFile("w+", errors="replace") as said,
            subprocess.Popen(command, text=True, stderr=said, env=environment, **pipes) as worker,
        ):
            assert worker.stdin is not None
            with worker.stdin as given:
                json.dump(left, given)
            lines: Queue[str] = Queue()
            threading.Thread(target=_hear, args=(worker, lines), daemon=True).start()
            begun: dict[str, Any] | None = None
            try:
                while line := lines.get(timeout=PATIENCE_SECONDS):
                    told = json.loads(line)
                    if "status" in told:
                        begun = None
                        del left[0]
                        yield Ended(**told)
                    else:
                        begun = told
                status: int | None = worker.wait()
            except Empty:
                worker.kill()
                status = None
            said.seek(0)
            last = (said.read().splitlines() or [""])[-1]
        shutil.rmtree(folder, ignore_errors=True)
        if begun is None and left:
            raise RuntimeError(f"a worker ended before it began, with {status}")
        if begun is not None:
            del left[0]
            what = "hung" if status is None else f"ended its process with {status}: {last}"
            yield Ended(begun["kind"], begun["number"], status, what)


def _hear(worker: subprocess.Popen[str], lines: Queue[str]) -> None:
    assert worker.stdout is not None
    for line in worker.stdout:
        lines.put(line)
    lines.put("")


def rows_of(found: Sequence[Ended]) -> list[dict[str, Any]]:
    """By kind: how many inputs, how often each exit status, and what was wrong."""
    rows = []
    for kind in dict.fromkeys(one.kind for one in found):
        own = [one for one in found if one.kind == kind]
        statuses = Counter(str(one.status) for one in own)
        faults = [{"number": one.number, "fault": one.fault} for one in own if one.fault]
        counted = dict(sorted(statuses.items()))
        rows.append({"kind": kind, "inputs": len(own), "statuses": counted, "faults": faults})
    return rows


def logged(path: Path | None) -> dict[Input, Ended]:
    """What a log holds: of each input how it ended when it was last tried."""
    found: dict[Input, Ended] = {}
    if path is not None and path.exists():
        for line in path.read_text().splitlines():
            ended = Ended(**json.loads(line))
            found[ended.kind, ended.number] = ended
    return found


def main() -> None:
    """The command."""
    if sys.argv[1:2] == ["--worker"]:
        folder, seed = sys.argv[2:]
        _work(Path(folder), int(seed), [(kind, number) for kind, number in json.load(sys.stdin)])
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100, help="inputs of each kind")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--log", type=Path, help="what was done, by an earlier call, too")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    found = logged(options.log)
    wanted = [(k, n) for n in range(options.count) for k in options.kinds.split(",")]
    todo = [one for one in wanted if one not in found or found[one].fault]
    for ended in many(options.seed, todo):
        found[ended.kind, ended.number] = ended
        if options.log is not None:
            with options.log.open("a") as log:
                log.write(json.dumps(asdict(ended)) + "\n")
        if ended.fault:
            print(f"{ended.kind} {ended.number}: {ended.fault}", flush=True)
    rows = rows_of(list(found.values()))
    for row in rows:
        print(row["kind"], row["inputs"], row["statuses"], len(row["faults"]), "faults")
    if options.output is not None:
        head = {"schema": results.SCHEMA, "machine": results.machine(), "seed": options.seed}
        results.save(options.output, {**head, "inputs": len(found), "rows": rows})


if __name__ == "__main__":
    main()
