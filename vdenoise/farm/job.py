"""A plan on the machine that works on it: made, opened, checked against the source, measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vdenoise import __version__, analyze
from vdenoise.errors import ConflictError, OutputError, UsageError
from vdenoise.farm.planfile import (
    Analysis,
    ChainRecord,
    IndexRecord,
    PlanFile,
    Request,
    SourceRecord,
    digest,
    read_record,
    write_record,
)
from vdenoise.farm.split import segment_length, split
from vdenoise.frame import ClipInfo
from vdenoise.library import DEFAULT
from vdenoise.media.codecs import CODECS
from vdenoise.media.encode import choose
from vdenoise.media.encoder import EncodeSettings
from vdenoise.media.index import adopt, scan
from vdenoise.media.probe import probe
from vdenoise.media.sequence import is_image
from vdenoise.media.source import is_pipe, open_input
from vdenoise.noise.profile import NoiseProfile
from vdenoise.plan import MIB, Plan, make, progressive
from vdenoise.recipe import fingerprint
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

    @property
    def source(self) -> Path:
        """The clip as found here."""
        return self.info.path


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
    if info.sequence or is_image(plan.output) or len(plan.positions) != plan.last - plan.first + 1:
        raise UsageError(
            "A plan is for consecutive frames of a movie that become a movie.",
            "Images are done by range without one: vdenoise run INPUT -o OUTPUT --frames A-B.",
            number=89,
        )
    reach = sum(step.stage.reach for step in plan.steps)
    length = segment_frames or segment_length(info.width * info.height, plan.chain.speed, reach)
    copied = CODECS[plan.encode.codec].intra
    return PlanFile(
        source=SourceRecord(path=str(info.path.absolute()), **fingerprint(info.path)),
        output=str(plan.output.absolute()),
        frames=(plan.first, plan.last),
        segments=split(plan.first, plan.last, length),
        join="copy" if copied else "encode",
        encode=plan.encode,
        segment_encode=_segment_settings(plan, copied),
        interlaced=plan.interlaced,
        seed=plan.seed,
        dither=plan.dither,
        request=request,
        given_profile=profile,
        given_cuts=None if cuts is None else tuple(cuts),
        memory_mib=plan.memory_bytes // MIB,
        warnings=plan.warnings,
        index=IndexRecord.of(scan(info.path)),
    )


def _segment_settings(plan: Plan, copied: bool) -> EncodeSettings:
    """The output's own encoder where each frame is coded alone, else FFV1 without loss."""
    if copied:
        return plan.encode.model_copy(update={"notes": ()})
    fmt = plan.encode.pixel_format
    source = plan.info if plan.interlaced != "deinterlace" else progressive(plan.info)
    wanted = replace(source, format=fmt)
    settings = choose(wanted, Path("segment"), codec="ffv1", container=LOSSLESS_CONTAINER)
    if settings.pixel_format != fmt:
        raise UsageError(
            f"{fmt.label} fits no lossless codec that segments could be kept in.",
            "Choose another --codec or --bit-depth.",
            number=76,
        )
    return settings.model_copy(update={"notes": ()})


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
    allow_version_skew: bool = False,
) -> Job:
    """Open a plan and see that this machine may work on it.

    Args:
        path: the plan.
        source: the clip, where it lies elsewhere than the plan says.
        work: folder of the segments, by default beside the plan.
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
    clip = Path(file.source.path) if source is None else source
    _check_source(file, clip)
    adopt(clip, file.index.index())
    return Job(file, path, work or path.with_suffix(".work"), probe(clip))


def _check_source(file: PlanFile, clip: Path) -> None:
    open_input(clip).close()  # missing, unreadable, a folder: in the words of every command
    found = fingerprint(clip)
    if found != {"bytes": file.source.bytes, "sha256_ends": file.source.sha256_ends}:
        raise ConflictError(
            f"{clip} is not the clip the plan was made for: its bytes differ.",
            "Bring the right file back, or make a new plan.",
            number=4,
        )


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
    output: Path,
    encode: EncodeSettings,
    device: str,
) -> Plan:
    """What ``vdenoise.run`` carries out for some frames of a job."""
    return make(
        job.info,
        analysis.chain.chain(),
        output,
        encode,
        frames=frames,
        device=device,
        interlaced=job.file.interlaced,
        seed=job.file.seed,
        dither=job.file.dither,
    )
