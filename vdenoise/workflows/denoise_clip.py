"""One clip from file to file: planned, measured, denoised, checked, and its recipe beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vdenoise.engine.correction import Done
from vdenoise.engine.plan import Plan
from vdenoise.engine.run import Result, Watch, run
from vdenoise.media.inputs import is_pipe
from vdenoise.workflows.contents import FrameChecks
from vdenoise.workflows.decides import LOADED, deciding_files, deciding_options, written_beside
from vdenoise.workflows.originals import Originals
from vdenoise.workflows.prepare import Listener, Prepared, plan_clip, prepare
from vdenoise.workflows.recipe import make_recipe, save_recipe
from vdenoise.workflows.request import ClipRequest
from vdenoise.workflows.room import check_room
from vdenoise.workflows.tag import tag_of


def denoise_clip(
    request: ClipRequest,
    listener: Listener,
    *,
    command: Sequence[str],
    plan: Plan | None = None,
    watch: Watch | None = None,
    ready: Callable[[Prepared], None] | None = None,
) -> tuple[Prepared, Result]:
    """Do what was asked for.

    Args:
        request: what is asked for.
        listener: told of every frame, and of what was found.
        command: what to put into the recipe: what to type to do the same again.
        plan: of the request, where it was made already.
        watch: is shown every frame that is written.
        ready: is told what will be carried out, before the first frame.

    Returns:
        What was carried out, and what came of it.

    Raises:
        VdenoiseError: as `prepare` and `vdenoise.engine.run.run`; then nothing is left under the
            final names.
    """
    plan = plan_clip(request) if plan is None else plan
    if (short := check_room(plan)) is not None:
        listener.note(short)
    originals = Originals(plan.info, deciding_files(request), LOADED)
    with originals.explaining():
        prepared = prepare(request, listener, plan)
    originals.see_unchanged()  # before the longer half of the work
    plan = prepared.plan
    listener.note(f"denoise: {plan.chain.text}, {plan.bit_path}, {plan.encode.label}")
    if ready is not None:
        ready(prepared)
    checks = FrameChecks()

    def watched(done: Done) -> None:
        originals.see_frame(done[0].index)
        checks.watch(done)
        if watch is not None:
            watch(done)

    tag = tag_of(plan, prepared.profile, prepared.cuts, originals.files)
    with originals.explaining():
        result = run(
            plan,
            prepared.profile,
            prepared.cuts,
            listener,
            on_bad_frame=request.reading.on_bad_frame,
            overwrite=bool(request.overwrite),
            threads=request.reading.threads,
            watch=watched,
            tag=None if is_pipe(plan.output) else tag,
            settled=originals.see_unchanged,
        )
    if not is_pipe(plan.output):
        made = make_recipe(
            plan,
            prepared.profile,
            prepared.cuts,
            result,
            command,
            prepared.asked,
            options=deciding_options(request),
            source=originals.clip,
            files=originals.files,
            beside=written_beside(request),
            frames_crc32=checks.text,
            tag=tag,
        )
        save_recipe(made, plan.output)
    return prepared, result
