"""A plan made: all that decides a result, but for what is to be measured, frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vdenoise.engine.interlacing import progressive
from vdenoise.engine.plan import MIB, Plan
from vdenoise.engine.run import Progress
from vdenoise.errors import UsageError
from vdenoise.farm.chain_record import Request
from vdenoise.farm.planfile import OutputPart, PlanFile
from vdenoise.farm.source import record
from vdenoise.farm.split import segment_length, split
from vdenoise.machine.files import frozen
from vdenoise.media.inputs import is_pipe
from vdenoise.media.movie.codecs import CODECS
from vdenoise.media.movie.encoder import IMAGES, EncodeSettings
from vdenoise.media.movie.settings import choose
from vdenoise.picture.noise import NoiseProfile

LOSSLESS_CONTAINER = "matroska"  # of segments whose samples are encoded once they are joined


def make_plan(
    plan: Plan,
    request: Request,
    *,
    profile: NoiseProfile | None,
    cuts: Sequence[int] | None,
    segment_frames: int | None,
    progress: Progress,
) -> PlanFile:
    """Freeze a plan, still without its analysis.

    Args:
        plan: as ``vdenoise run`` would carry it out (its device is not kept).
        request: where its chain came from.
        profile: noise given by the user.
        cuts: cuts given by the user.
        segment_frames: length of a segment, None for about ten minutes of work.
        progress: told of every image that is read.

    Raises:
        UsageError: the source is no file, its samples fit no lossless format, or segments would
            not hold what a grain table needs.
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
    if plan.grain_table is not None and not parts[0].holds_frames:
        raise UsageError(
            f"Segments of {parts[0].encode.label} do not hold the frames that a grain table is "
            "fitted to: they were rounded once more.",
            "Choose another --codec, such as ffv1, or make the table with vdenoise run.",
            number=97,
        )
    reach = sum(step.stage.reach for step in plan.steps)
    length = segment_frames or segment_length(info.width * info.height, plan.chain.speed, reach)
    edges = split(plan.first, plan.last, length)
    return PlanFile(
        source=record(info, progress),
        parts=parts,
        grain_table=None if plan.grain_table is None else str(frozen(plan.grain_table)),
        frames=(plan.first, plan.last),
        chosen=plan.chosen,
        segments=tuple((a, b) for a, b in edges if any(a <= n <= b for n in plan.positions)),
        interlaced=plan.interlaced,
        seed=plan.seed,
        dither=plan.dither,
        request=request,
        inputs=request.inputs(),
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


def _part(plan: Plan, name: str, output: Path, encode: EncodeSettings) -> OutputPart:
    join, settings = "files", encode
    if encode.container != IMAGES:
        join = "copy" if CODECS[encode.codec].intra else "encode"
        settings = _lossless(plan, encode) if join == "encode" else encode
    return OutputPart.model_validate(
        {
            "name": name,
            "output": str(frozen(output)),
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
