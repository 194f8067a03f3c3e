"""From a request to all that it takes to carry it out: the plan, the noise and the cuts of a clip.

The one place for it: a run, a plan for a farm, adapting and evaluating agree because they ask here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from vdenoise.chain.preset_files import DEFAULT
from vdenoise.chain.request import ChainRequest
from vdenoise.chain.resolve import Chain
from vdenoise.engine.interlacing import progressive
from vdenoise.engine.plan import Plan, View
from vdenoise.engine.planning import check_film_grain, plan_denoising, with_chain
from vdenoise.engine.run import Progress
from vdenoise.errors import OutputError
from vdenoise.machine.claims import Claims
from vdenoise.media.growing import see_settled
from vdenoise.media.images.sequence import selected
from vdenoise.media.movie.encoder import IMAGES
from vdenoise.media.movie.holdings import within
from vdenoise.media.movie.rehearsal import rehearse
from vdenoise.media.movie.settings import choose
from vdenoise.media.movie.streams import translated
from vdenoise.media.reader import refuse_cut_short
from vdenoise.media.side_outputs import noise_settings, view_settings
from vdenoise.media.writer import check_target, files_written
from vdenoise.motion.cuts import write_cuts
from vdenoise.picture.frame import ClipInfo
from vdenoise.picture.noise import NoiseProfile
from vdenoise.workflows.measure import measure
from vdenoise.workflows.propose import propose
from vdenoise.workflows.reading import Heard, Reading
from vdenoise.workflows.recipe import claim_recipe
from vdenoise.workflows.request import ClipRequest


class Listener(Progress, Protocol):
    """Who is told how far it is, and what was found."""

    def note(self, text: str) -> None:
        """Something worth knowing."""
        ...


@dataclass(frozen=True)
class Measured:
    """What is known of a clip once it was measured, as far as it was not given."""

    profile: NoiseProfile
    cuts: tuple[int, ...]  # first frames of the shots but the first
    chain: Chain  # with what the measurement changes in it
    notes: tuple[str, ...] = ()  # what was found, for people


@dataclass(frozen=True)
class Prepared:
    """All that a run needs."""

    plan: Plan  # of the chain that follows from the noise
    profile: NoiseProfile
    cuts: tuple[int, ...]
    asked: Chain  # before anything was measured


def plan_clip(
    request: ClipRequest,
    heard: Heard | None = None,
    *,
    claims: Claims | None = None,
    output_name: str = "--output",
) -> Plan:
    """Everything that can be decided and checked before the first frame; nothing is measured.

    Args:
        request: what is asked for.
        heard: told how much of the clip was looked at.
        claims: files that are read or written beside those of the request.
        output_name: what the output is called to people.

    Raises:
        UsageError: something that was said cannot be done.
        InputError: the clip, or a mask, cannot be read.
        OutputError: a file cannot be written where it is to go, or ``strict`` forbids it.
        DeviceError: there is no such device.
        MemoryShort: not even the smallest tile fits.
    """
    chain = request.chain.chain()
    info = request.reading.probe(heard)
    refuse_cut_short(info, request.reading.on_bad_frame)
    chosen = None if request.frames is None else selected(info, request.frames)
    if chosen is not None:
        info = within(info, chosen[0], chosen[-1])
    request.known.check(info)
    source = progressive(info) if request.reading.deinterlace else info
    views = request.views
    _claim_outputs(request, info, chosen, Claims() if claims is None else claims, output_name)
    encode = choose(
        source,
        request.output,
        codec=request.codec,
        crf=request.crf,
        bit_depth=request.bit_depth,
    )
    noise_out = request.noise_out
    made = plan_denoising(
        info,
        chain,
        request.output,
        encode,
        chosen=chosen,
        device=request.device,
        interlaced=request.reading.interlaced,
        seed=request.seed,
        noise_out=noise_out,
        noise_encode=None if noise_out is None else noise_settings(source, encode, noise_out),
        dither=request.dither,
        grain_table=request.grain_table,
        views=tuple(View(kind, path, view_settings(source, path)) for kind, path in views.items()),
    )
    check_film_grain(made)
    if encode.container != IMAGES:
        lost = rehearse(source, encode, made.first, made.last)
        warnings = tuple(dict.fromkeys((*made.warnings, *lost)))
        made = replace(made, warnings=warnings, translated=translated(source, encode))
    if request.strict and made.warnings:
        raise OutputError(
            f"Not everything can be kept: {made.warnings[0]}.",
            "Leave --strict away to go on, or choose another container or codec.",
            number=10,
        )
    return made


def _claim_outputs(
    request: ClipRequest,
    info: ClipInfo,
    chosen: tuple[int, ...] | None,
    claims: Claims,
    output_name: str,
) -> None:
    """See that every output may be written, each to a file of its own."""
    for name, target in (*request.beside.items(), (output_name, request.output)):
        check_target(
            info,
            target,
            overwrite=request.overwrite,
            positions=chosen,
            folder_later=request.folders_later,
        )
        for file in files_written(info, target, chosen):
            claims.write(file, name)  # what is there was seen just now
    claim_recipe(claims, request.output, overwrite=request.overwrite)


def measure_clip(
    info: ClipInfo,
    reading: Reading,
    chain: ChainRequest,
    progress: Progress,
    *,
    profile: NoiseProfile | None = None,
    cuts: tuple[int, ...] | None = None,
) -> Measured:
    """Noise and cuts, as given, else measured in one pass; and the chain that follows from them.

    Args:
        info: the clip.
        reading: how it is read, as for the run.
        chain: as asked for.
        progress: told of every frame.
        profile: the noise, None to measure it. Only what is measured changes the chain.
        cuts: first frames of the shots but the first, None to find them.

    Raises:
        InputError: the clip cannot be read, or is still being written.
        UsageError: a value is not accepted.
    """
    if profile is not None and cuts is not None:
        return Measured(profile, cuts, chain.chain())
    found = measure(info, reading, progress, cuts=cuts)
    see_settled(info)  # measuring took as long as anything yet
    if profile is not None:
        return Measured(profile, found.cuts, chain.chain(), found.notes)
    proposal = propose(found.profile, info)
    resolved = chain.after(proposal.values)
    notes = (*found.notes, f"measured: {'; '.join(proposal.reasons)}")
    if chain.is_auto and proposal.preset != DEFAULT:
        notes += (f"another choice for such footage: --preset {proposal.preset}",)
    return Measured(found.profile, found.cuts, resolved, notes)


def prepare(request: ClipRequest, listener: Listener, plan: Plan | None = None) -> Prepared:
    """Plan a clip, and measure what is not known of it.

    Args:
        request: what is asked for.
        listener: told of every frame that is measured, and what was found.
        plan: of the request, where it was made already.

    Raises:
        Everything that `plan_clip` and `measure_clip` raise.
    """
    plan = plan_clip(request) if plan is None else plan
    info, known = plan.info, request.known
    found = measure_clip(
        info,
        request.reading,
        request.chain,
        listener,
        profile=known.noise(info),
        cuts=known.first_frames(info),
    )
    for text in found.notes:
        listener.note(text)
    if request.write_cuts is not None:
        write_cuts(request.write_cuts, found.cuts)
    asked = plan.chain
    if found.chain != asked:
        plan = with_chain(plan, found.chain)
    return Prepared(plan, found.profile, found.cuts, asked)
