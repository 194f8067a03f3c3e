"""A plan on the machine that works on it: made, opened, checked against the source, measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

from vdenoise import __version__, analyze
from vdenoise.errors import ConflictError, OutputError, UsageError
from vdenoise.farm.planfile import Analysis, ChainRecord, Part, PartName, PlanFile, Request
from vdenoise.farm.record import digest, read_record, write_record
from vdenoise.farm.source import open_source, record
from vdenoise.farm.split import segment_length, split
from vdenoise.frame import ClipInfo
from vdenoise.library import DEFAULT
from vdenoise.media.beside import gray
from vdenoise.media.codecs import CODECS
from vdenoise.media.encode import choose
from vdenoise.media.encoder import IMAGES, EncodeSettings
from vdenoise.media.source import is_pipe
from vdenoise.noise.profile import NoiseProfile
from vdenoise.plan import MIB, Plan, View, ViewKind, make, progressive
from vdenoise.run import Progress

ANALYSIS = "analysis.json"  # in the work folder, where the plan holds none
LOSSLESS_CONTAINER = "matroska"  # of segments whose samples are encoded once they are joined


@dataclass(frozen=True)
class Job:
    """A plan, the clip it is for, and where its segments go."""

    file: PlanFile
    plan_path: Path
    work: Path
    info: ClipInfo
    moved: Mapping[PartName, Path] = field(default_factory=dict)  # parts that go elsewhere, by name

    @property
    def source(self) -> Path:
        """The clip as found here."""
        return self.info.path

    def output(self, part: Part) -> Path:
        """Where a finished clip goes."""
        return self.moved.get(part.name, Path(part.output))

    def numbers(self, segment: int) -> tuple[int, int]:
        """First and last frame of a segment, in the numbers people see."""
        first, last = self.file.segments[segment]
        own = self.info.sequence
        return (first, last) if own is None else (own.numbers[first], own.numbers[last])


def make_plan(
    plan: Plan,
    request: Request,
    *,
    profile: NoiseProfile | None,
    cuts: Sequence[int] | None,
    segment_frames: int | None,
) -> PlanFile:
    """Freeze a plan, still without its analysis.

    Args:
        plan: as ``vdenoise run`` would carry it out (its device is not kept).
        request: where its chain came from.
        profile: noise given by the user.
        cuts: cuts given by the user.
        segment_frames: length of a segment, None for about ten minutes of work.

    Raises:
        UsageError: the source is no file, or its samples fit no lossless format.
    """
    info = plan.info
    if is_pipe(info.path) or is_pipe(plan.output):
        raise UsageError(
            "A plan is for files: a pipe can be read and written once.",
            "Name the clip and the output.",
            number=75,
        )
    parts = tuple(_part(plan, *one) for one in _delivered(plan))
    if plan.chosen is not None and any(part.join != "files" for part in parts):
        raise UsageError(
            "A plan that leaves frames out writes images only.",
            "Give --frames one range without a step, or name images for every output.",
            number=89,
        )
    reach = sum(step.stage.reach for step in plan.steps)
    length = segment_frames or segment_length(info.width * info.height, plan.chain.speed, reach)
    edges = split(plan.first, plan.last, length)
    return PlanFile(
        source=record(info),
        parts=parts,
        frames=(plan.first, plan.last),
        chosen=plan.chosen,
        segments=tuple((a, b) for a, b in edges if any(a <= n <= b for n in plan.positions)),
        interlaced=plan.interlaced,
        seed=plan.seed,
        dither=plan.dither,
        request=request,
        given_profile=profile,
        given_cuts=None if cuts is None else tuple(cuts),
        memory_mib=plan.memory_bytes // MIB,
        warnings=plan.warnings,
    )


def _delivered(plan: Plan) -> list[tuple[str, Path, EncodeSettings]]:
    found = [("clean", plan.output, plan.encode)]
    if plan.noise_out is not None and plan.noise_encode is not None:
        found.append(("noise", plan.noise_out, plan.noise_encode))
    return found + [(view.kind, view.path, view.encode) for view in plan.views]


def _part(plan: Plan, name: str, output: Path, encode: EncodeSettings) -> Part:
    join, settings = "files", encode
    if encode.container != IMAGES:
        join = "copy" if CODECS[encode.codec].intra else "encode"
        settings = _lossless(plan, encode) if join == "encode" else encode
    return Part.model_validate(
        {
            "name": name,
            "output": str(output.absolute()),
            "encode": encode,
            "segment_encode": settings.model_copy(update={"notes": ()}),
            "join": join,
        }
    )


def _lossless(plan: Plan, encode: EncodeSettings) -> EncodeSettings:
    """How segments of a clip are kept whose frames are not coded alone: FFV1, without loss."""
    fmt = encode.pixel_format
    source = plan.info if plan.interlaced != "deinterlace" else progressive(plan.info)
    wanted = replace(source, format=fmt)
    settings = choose(wanted, Path("segment"), codec="ffv1", container=LOSSLESS_CONTAINER)
    if settings.pixel_format != fmt:
        raise UsageError(
            f"{fmt.label} fits no lossless codec that segments could be kept in.",
            "Choose another --codec or --bit-depth.",
            number=76,
        )
    return settings


def add_analysis(
    file: PlanFile, info: ClipInfo, progress: Progress, threads: int | None
) -> Analysis:
    """Measure the clip as the plan asks.

    Args:
        file: the plan.
        info: of its source.
        progress: told of every frame.
        threads: decoder threads, None for one per core.
    """
    profile, cuts = file.given_profile, file.given_cuts
    values: Mapping[str, str] | None = None
    notes: tuple[str, ...] = ()
    if profile is None or cuts is None:
        found = analyze.measure(
            info,
            progress,
            cuts=cuts,
            threads=threads,
            deinterlace=file.interlaced == "deinterlace",
        )
        notes, cuts = tuple(found.notes), found.cuts
        if profile is None:
            profile = found.profile
            proposal = analyze.propose(profile, info)
            notes += (f"measured: {'; '.join(proposal.reasons)}",)
            if file.request.preset.partition("+")[0] == DEFAULT:
                values = proposal.values
    return Analysis(
        request_id=file.request_id,
        profile=profile,
        cuts=cuts,
        chain=ChainRecord.of(file.request.chain(values)),
        notes=notes,
    )


def open_job(
    path: Path,
    *,
    source: Path | None = None,
    work: Path | None = None,
    output: Path | None = None,
    allow_version_skew: bool = False,
) -> Job:
    """Open a plan and see that this machine may work on it.

    Args:
        path: the plan.
        source: the clip, where it lies elsewhere than the plan says.
        work: folder of the segments, by default beside the plan.
        output: the clean clip, where it goes elsewhere than the plan says.
        allow_version_skew: take another version of vdenoise for the same.

    Raises:
        UsageError: there is no such plan.
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
    info = open_source(file.source, Path(file.source.path) if source is None else source)
    moved: dict[PartName, Path] = {} if output is None else {"clean": output}
    return Job(file, path, work or path.with_suffix(".work"), info, moved)


def analysis_of(job: Job) -> Analysis:
    """The plan's analysis, or the one in the work folder.

    Raises:
        ConflictError: there is none yet, or it belongs to another plan.
    """
    if job.file.analysis is not None:
        return job.file.analysis
    path = job.work / ANALYSIS
    hint = f"Make it with: vdenoise farm analyze --plan {job.plan_path} --work {job.work}"
    if not path.exists():
        raise ConflictError(f"The clip has not been measured yet: no {path}.", hint, number=5)
    found = read_record(Analysis, path, "analysis", hint)
    if found.request_id != job.file.request_id:
        raise ConflictError(
            f"{path} belongs to another plan.",
            f"Remove it, or give each plan a --work folder of its own. {hint}",
            number=7,
        )
    return found


def analyze_job(job: Job, progress: Progress, threads: int | None) -> tuple[Analysis, bool]:
    """The first step of a farm job: measure and keep it in the work folder.

    Returns:
        The analysis, and whether it was there already (then it stays as it is).

    Raises:
        ConflictError: the work folder holds that of another plan.
    """
    make_folder(job.work)
    if job.file.analysis is not None or (job.work / ANALYSIS).exists():
        return analysis_of(job), True
    found = add_analysis(job.file, job.info, progress, threads)
    write_record(found, job.work / ANALYSIS)
    return found, False


def make_folder(folder: Path) -> None:
    """Make the work folder.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"Cannot make the folder {folder}: {error.strerror}.",
            "Name another one with --work.",
            number=12,
        ) from error


def work_id(job: Job, analysis: Analysis) -> str:
    """SHA-256 of all that decides the result: what segments must have in common."""
    return digest([job.file.request_id, analysis.model_dump(mode="json")])


def run_plan(
    job: Job,
    analysis: Analysis,
    *,
    frames: tuple[int, int],
    targets: Mapping[PartName, tuple[Path, EncodeSettings]],
    device: str,
) -> Plan:
    """What ``vdenoise.run`` carries out for some frames of a job.

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
    return make(
        job.info,
        analysis.chain.chain(),
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


def shown(part: Part, info: ClipInfo) -> ClipInfo:
    """The clip as a part of a plan is written: maps are gray."""
    return info if part.name in ("clean", "noise") else gray(info)
