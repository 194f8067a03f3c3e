"""Making a plan: device, precision, tiles, blocks and conversions, decided before the first frame.

The only place that chooses these, with `vdenoise.engine.steps` for each stage. Results do not
depend on the choices beyond floating-point rounding (float16 on CUDA where a stage claims it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vdenoise.chain.resolve import Chain
from vdenoise.engine.interlacing import check_interlaced, settle_interlacing, tag_fields
from vdenoise.engine.plan import Plan, View
from vdenoise.engine.steps import fit_steps, stages_of
from vdenoise.errors import InputError, UsageError
from vdenoise.machine.devices import find_device
from vdenoise.masks import files
from vdenoise.media.movie.encoder import IMAGES, EncodeSettings
from vdenoise.picture.frame import ClipInfo
from vdenoise.sampling.samplers import draws
from vdenoise.settings.choices import Dither, Interlaced, ViewKind
from vdenoise.stages import DECODER_GRAIN, ONLY_ASKED
from vdenoise.stages.control.guards import GUARDS


def plan_denoising(
    info: ClipInfo,
    chain: Chain,
    output: Path,
    encode: EncodeSettings,
    *,
    frames: tuple[int, int] | None = None,
    chosen: Sequence[int] | None = None,
    device: str = "auto",
    interlaced: Interlaced = "auto",
    seed: int = 0,
    noise_out: Path | None = None,
    noise_encode: EncodeSettings | None = None,
    dither: Dither = "auto",
    grain_table: Path | None = None,
    views: tuple[View, ...] = (),
) -> Plan:
    """Decide how a clip is denoised.

    Args:
        info: the clip as it is.
        chain: what to do.
        output: where the result goes.
        encode: how it is written.
        frames: first and last frame wanted, None for all.
        chosen: the frames wanted where they are not all between two; ``frames`` is then ignored.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        interlaced: what to do if the clip holds fields.
        seed: of the dither.
        noise_out: where the removed noise goes.
        noise_encode: how that is written.
        dither: when the result is dithered before it is rounded.
        grain_table: where a film-grain table of what was removed goes.
        views: maps to write as clips.

    Raises:
        UsageError: the frames do not exist, the clip is interlaced and that is refused, or a mask
            does not fit the clip.
        InputError: the size changes among the frames, or a mask cannot be read.
        DeviceError: there is no such device.
        MemoryShort: not even the smallest tile fits.
    """
    check_interlaced(info, interlaced)
    info = tag_fields(info, interlaced)
    first, last = (0, (info.frames or 0) - 1) if frames is None else frames
    if chosen is not None:
        first, last = chosen[0], chosen[-1]
        if encode.container != IMAGES and len(chosen) <= last - first:
            raise UsageError(
                "A movie holds every frame between its first and its last.",
                "Give --frames one range without a step, or write images.",
                number=88,
            )
        chosen = None if len(chosen) > last - first else tuple(chosen)
    _check_frames(info, first, last)
    asked = Plan(
        info=info,
        output=output,
        encode=encode,
        chain=chain,
        steps=(),
        device=find_device(device),
        first=first,
        last=last,
        memory_bytes=0,
        interlaced=settle_interlacing(info, interlaced),
        seed=seed,
        noise_out=noise_out,
        noise_encode=noise_encode,
        views=views,
        warnings=_warnings(info, chain, encode, interlaced),
        chosen=None if chosen is None else tuple(chosen),
        dither=dither,
        grain_table=grain_table,
    )
    return with_chain(asked, chain)


def _check_frames(info: ClipInfo, first: int, last: int) -> None:
    """Refuse frames that are not there, or that lie behind a change of the clip's size."""
    count = info.frames or 0
    if not 0 <= first <= last < count:
        raise UsageError(
            f"The clip has the frames 0-{count - 1}, not {first}-{last}.",
            f"Say --frames A-B with numbers between 0 and {count - 1}.",
            number=20,
        )
    if last >= info.readable:
        raise InputError(
            f"The clip changes in the middle: {info.holds['changes in mid-clip']}.",
            f"Denoise the part before with --frames 0-{info.readable - 1}; cut the file there for "
            "the rest.",
            number=12,
        )


def _warnings(
    info: ClipInfo, chain: Chain, encode: EncodeSettings, interlaced: Interlaced
) -> tuple[str, ...]:
    """Collect what somebody should know before the first frame, each thing once."""
    warnings = [*info.warnings, *encode.notes]
    if info.interlaced and interlaced == "ignore":
        warnings.append("the clip is interlaced and is treated as if it were not")
    if chain.masks and any(stage.name == DECODER_GRAIN for stage in chain.stages):
        warnings.append("AV1 decoders draw grain on all of the picture, masked or not")
    return tuple(dict.fromkeys(warnings))


def with_chain(plan: Plan, chain: Chain) -> Plan:
    """The same plan for another chain: what ``auto`` does once it has measured.

    Raises:
        UsageError: a mask does not fit the clip, or a view has nothing to show.
        InputError: a mask cannot be read.
        MemoryShort: not even the smallest tile fits.
    """
    info = plan.info
    files.check(chain.masks, info, chain.output.mask_fit)
    for stage in chain.stages:
        stage.check(info)
    for view in plan.views:
        _check_view(view.kind, chain)
    stages = stages_of(chain, tuple(view.kind for view in plan.views))
    steps, workers, memory = fit_steps(stages, info, plan.device, plan.frames)
    return replace(plan, chain=chain, steps=steps, workers=workers, memory_bytes=memory)


def _check_view(kind: ViewKind, chain: Chain) -> None:
    """A map of what is not there cannot be written."""
    if kind == "mask" and not chain.masks:
        raise UsageError(
            "--mask-out has nothing to show: there is no mask.",
            "For example: --mask sky=luma:70-100,luma=30.",
            number=67,
        )
    if kind == "dust" and all(stage.slot != "dust" for stage in chain.stages):
        raise UsageError(
            "--matte dust has nothing to show: no dust is looked for.", "Add --dust.", number=67
        )
    inventing = [stage.model_dump() for stage in chain.stages if stage.slot in ONLY_ASKED]
    if kind in ("invented", "uncertainty") and not inventing:
        raise UsageError(
            f"--matte {kind} has nothing to show: nothing is invented.",
            "Add --regrow PERCENT.",
            number=67,
        )
    if kind == "uncertainty" and not any(
        how["samples"] > 1 and draws(how["sampler"], how["eta"]) for how in inventing
    ):
        raise UsageError(
            "--matte uncertainty has nothing to show: it takes several pictures that are drawn.",
            "Add --set regrow.sampler=ddpm --set regrow.samples=4.",
            number=67,
        )
    if kind in GUARDS and kind not in chain.output.guards:
        raise UsageError(
            f"--matte {kind} has nothing to show: that guard is off.",
            f"Switch it on with --guards {','.join((*chain.output.guards, kind))}.",
            number=67,
        )


def check_film_grain(plan: Plan) -> None:
    """Refuse grain that is left to the decoder where none would draw it as asked.

    Raises:
        UsageError: the output is not AV1, or a mask would scale the grain.
    """
    if plan.film_grain is None:
        return
    if plan.encode.codec != "svt-av1":
        raise UsageError(
            f"Grain av1 is drawn by AV1 decoders, and {plan.output} is written as "
            f"{plan.encode.label}.",
            "Add --codec svt-av1 and name an .mkv, .mp4 or .webm; or put grain into the picture "
            "with --grain keep:PERCENT or synth:AMOUNT.",
            number=99,
        )
    masked = [mask.name for mask in plan.chain.masks if mask.strengths.get("grain") is not None]
    if masked:
        raise UsageError(
            f"mask.{masked[0]} gives a share of the grain (grain=), and AV1 decoders draw grain "
            "on all of the picture.",
            "Leave grain= away, or put grain into the picture with --grain keep:PERCENT.",
            number=138,
        )
