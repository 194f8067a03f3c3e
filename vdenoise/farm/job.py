"""A plan on the machine that works on it: opened, and checked against the source."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import get_args

from vdenoise import __version__
from vdenoise.chain.resolve import Chain
from vdenoise.engine.plan import Plan, View
from vdenoise.engine.planning import plan_denoising
from vdenoise.engine.steps import estimate_memory, stages_of
from vdenoise.errors import ConflictError, TryAgain, UsageError
from vdenoise.farm.inputs import AS_NAMED, Places
from vdenoise.farm.planfile import AnalysisRecord, OutputPart, PartName, PlanFile
from vdenoise.farm.record import digest, read_record
from vdenoise.farm.source import open_source
from vdenoise.machine.path_map import UNMAPPED, PathMap
from vdenoise.media.images.sequence import KINDS
from vdenoise.media.movie.codecs import CONTAINERS
from vdenoise.media.movie.encoder import IMAGES, EncodeSettings
from vdenoise.media.parts import SEAM, parts_of
from vdenoise.media.side_outputs import gray
from vdenoise.picture.frame import ClipInfo
from vdenoise.settings.choices import ViewKind

_PARTS = re.compile(r"\+(?=/|\\|[A-Za-z]:)")  # between whole paths
ANALYSIS = "analysis.json"  # in the work folder, where the plan holds none


@dataclass(frozen=True)
class Job:
    """A plan, the clip it is for, and where its segments go."""

    file: PlanFile
    plan_path: Path
    work: Path
    info: ClipInfo
    moved: Mapping[PartName, Path] = field(default_factory=dict)  # parts that go elsewhere, by name
    places: Places = AS_NAMED
    elsewhere: bool = False  # whether the clip is where neither the plan nor a mapping has it
    mapped: tuple[str, ...] = ()  # what was typed to say where folders are on this machine

    @property
    def source(self) -> Path:
        """The clip as found here."""
        return self.info.path

    @property
    def words(self) -> str:
        """What names the job in a command line, for a shell."""
        typed = ["--plan", str(self.plan_path)]
        if self.work != default_work(self.plan_path):
            typed += ["--work", str(self.work)]
        if self.elsewhere:
            typed += ["--source", str(self.source)]
        return shlex.join([*typed, *self.mapped])

    def output(self, part: OutputPart) -> Path:
        """Where a finished clip goes.

        Raises:
            UsageError: the clip was moved, and nothing says where its output went with it.
        """
        named = self.moved.get(part.name)
        return self._written(part.output) if named is None else named

    @property
    def grain_table(self) -> Path | None:
        """Where the grain table of the clean clip goes, None without one."""
        table = self.file.grain_table
        return None if table is None else self._written(table)

    def _written(self, name: str) -> Path:
        where = self.places.path_map
        if self.elsewhere and not where.covers(name):
            folder = Path(name).parent
            raise UsageError(
                f"The clip was moved, and nothing says where {name} goes now.",
                f"Say --map {folder}=FOLDER (--map {folder}={folder} if it stays), or -o for the "
                "clean clip.",
                number=215,
            )
        return Path(where(name))

    def chain(self, analysis: AnalysisRecord) -> Chain:
        """The chain that an analysis found, with its files as they are found here.

        Raises:
            ConflictError: one is another, or is not here.
        """
        return analysis.chain.chain(self.places.find)

    def numbers(self, segment: int) -> tuple[int, int]:
        """First and last frame of a segment, in the numbers people see."""
        first, last = self.file.segments[segment]
        own = self.info.sequence
        return (first, last) if own is None else (own.numbers[first], own.numbers[last])


def open_job(
    path: Path,
    *,
    source: Path | None = None,
    work: Path | None = None,
    output: Path | None = None,
    path_map: PathMap = UNMAPPED,
    mapped: tuple[str, ...] = (),
    allow_version_skew: bool = False,
) -> Job:
    """Open a plan and see that this machine may work on it.

    Args:
        path: the plan.
        source: the clip, where it lies elsewhere than the plan says.
        work: folder of the segments, by default beside the plan.
        output: the clean clip, where it goes elsewhere than the plan says.
        path_map: of folders that are mounted elsewhere than where the plan was made.
        mapped: what was typed to say so, for what is to be typed next.
        allow_version_skew: take another version of vdenoise for the same.

    Raises:
        UsageError: there is no such plan, or ``output`` is of another kind than its clip.
        ConflictError: the plan was changed, or is of another version, or the source is another.
        InputError: the source cannot be read.
    """
    file = PlanFile.load(path)
    if file.vdenoise != __version__ and not allow_version_skew:
        raise ConflictError(
            f"The plan was made by vdenoise {file.vdenoise}; this is {__version__}.",
            "Use the same version everywhere, or say --allow-version-skew.",
            number=3,
        )
    if output is not None:
        _check_moved(file.clean, output)
    planned = Path(SEAM.join(map(path_map, _PARTS.split(file.source.path))))
    info = open_source(file.source, source or planned)
    if info.frames is not None and file.frames[1] >= info.frames:
        raise ConflictError(
            f"The plan is of frames up to {file.frames[1]}, and {info.path} has {info.frames}.",
            "Make it again with: vdenoise plan.",
            number=17,
        )
    moved: dict[PartName, Path] = {} if output is None else {"clean": output}
    work = work or default_work(path)
    places = Places(path_map, file.inputs, work)
    elsewhere = source is not None and not _same_place(source, planned)
    return Job(file, path, work, info, moved, places, elsewhere, mapped)


def default_work(plan: Path) -> Path:
    """The work folder of a plan of which nothing else is said."""
    return plan.with_suffix(".work")


def _same_place(clip: Path, planned: Path) -> bool:
    """Whether two names, of files or of patterns, are of the same clip in the same folder."""
    pairs = list(zip_longest(parts_of(clip), parts_of(planned), fillvalue=Path()))
    try:
        same = all(a.absolute().parent.samefile(b.parent) for a, b in pairs)
    except OSError:
        return False
    return same and all(a.name == b.name for a, b in pairs)


def _check_moved(part: OutputPart, output: Path) -> None:
    """See that a name elsewhere stands for the same kind of file: what is written is decided."""
    suffix, encode = output.suffix.lower(), part.encode
    images = encode.container == IMAGES
    kind, planned = (KINDS, encode.codec) if images else (CONTAINERS, encode.container)
    if kind.get(suffix) != planned:
        raise UsageError(
            f"{output} is no name for {encode.label}, which the plan makes.",
            f"Let it end in {Path(part.output).suffix}, or make another plan.",
            number=98,
        )


def task_memory(job: Job, cores: int) -> int:
    """Estimate of the bytes that a task takes at its peak, with a frame on each of its cores.

    The plan's own is of the machine that made it, which may have had fewer cores.
    """
    record = job.file.analysis
    asked = job.file.request.asked(job.places.find)
    chain = asked.chain() if record is None else job.chain(record)
    views = tuple(part.name for part in job.file.parts if part.name in get_args(ViewKind))
    longest = max(last - first + 1 for first, last in job.file.segments)
    return estimate_memory(stages_of(chain, views), job.info, min(cores, longest))


def analysis_of(job: Job) -> AnalysisRecord:
    """The plan's analysis, or the one in the work folder.

    Raises:
        TryAgain: there is none yet: a shared folder may show it later.
        ConflictError: it belongs to another plan.
    """
    if job.file.analysis is not None:
        return job.file.analysis
    path = job.work / ANALYSIS
    hint = f"Make it with: vdenoise farm analyze {job.words}"
    if not path.exists():
        with contextlib.suppress(FileNotFoundError):
            list(job.work.iterdir())  # on NFS this, and not a look at one file, asks the server
    if not path.exists():
        raise TryAgain(f"The clip has not been measured yet: no {path}.", hint, number=5)
    found = read_record(AnalysisRecord, path, "analysis", hint)
    if found.request_id != job.file.request_id:
        raise ConflictError(
            f"{path} belongs to another plan.",
            f"Remove it, or give each plan a --work folder of its own. {hint}",
            number=7,
        )
    return found


def work_id(job: Job, analysis: AnalysisRecord) -> str:
    """SHA-256 of all that decides the result: what segments must have in common."""
    return digest([job.file.request_id, analysis.model_dump(mode="json")])


def run_plan(
    job: Job,
    analysis: AnalysisRecord,
    *,
    frames: tuple[int, int],
    targets: Mapping[PartName, tuple[Path, EncodeSettings]],
    device: str,
) -> Plan:
    """What ``vdenoise.engine.run`` carries out for some frames of a job.

    Args:
        job: the job.
        analysis: of it.
        frames: first and last frame.
        targets: where each part goes and how it is encoded, by name.
        device: ``auto``, ``cpu`` or ``cuda:N``.
    """
    file = job.file
    chosen = file.chosen
    if chosen is not None:
        chosen = tuple(n for n in chosen if frames[0] <= n <= frames[1])
    kinds: tuple[ViewKind, ...] = get_args(ViewKind)
    output, encode = targets["clean"]
    noise_out, noise_encode = targets.get("noise", (None, None))
    return plan_denoising(
        job.info,
        job.chain(analysis),
        output,
        encode,
        frames=frames,
        chosen=chosen,
        device=device,
        interlaced=file.interlaced,
        seed=file.seed,
        noise_out=noise_out,
        noise_encode=noise_encode,
        dither=file.dither,
        views=tuple(View(kind, *targets[kind]) for kind in kinds if kind in targets),
    )


def shown(part: OutputPart, info: ClipInfo) -> ClipInfo:
    """The clip as a part of a plan is written: maps are gray."""
    return info if part.name in ("clean", "noise") else gray(info)
