"""What was typed, as requests: the last place that looks options up by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vdenoise.cli.chain import chain_request

if TYPE_CHECKING:
    from vdenoise.workflows.reading import Reading
    from vdenoise.workflows.request import ClipRequest, Knowledge


def reading_from(ctx: click.Context, threads: int | None) -> Reading:
    """How INPUT is read, by the options of `reading_options`; ``threads`` as `set_threads` says."""
    from vdenoise.workflows.reading import Reading

    said = ctx.params
    return Reading(
        said["input"],
        fps=said["fps"],
        on_missing=said["on_missing"],
        on_bad_frame=said["on_bad_frame"],
        interlaced=said["interlaced"],
        encoding=said["encoding"],
        threads=threads,
    )


def knowledge_from(ctx: click.Context) -> Knowledge:
    """What is known of the clip: ``--profile``, and ``--sigma`` and ``--cuts`` where offered."""
    from vdenoise.workflows.request import Knowledge

    said = ctx.params
    return Knowledge(
        profile=said["profile"],
        sigma=said.get("sigma"),
        cuts=said.get("cuts", "auto"),
    )


def clip_request(
    ctx: click.Context,
    threads: int | None,
    *,
    output: Path | None = None,
    device: str | None = None,
    overwrite: bool | None = None,
    folders_later: bool = False,
) -> ClipRequest:
    """What ``run`` or ``plan`` was told; ``output``, ``device`` and ``overwrite`` where they are
    not what was typed; ``folders_later`` where the command makes the folders of outputs."""
    from vdenoise.workflows.request import ClipRequest

    said: dict[str, Any] = ctx.params
    return ClipRequest(
        reading_from(ctx, threads),
        chain_request(ctx),
        said["output"] if output is None else output,
        known=knowledge_from(ctx),
        frames=said["frames"],
        codec=said["codec"],
        crf=said["crf"],
        bit_depth=said["bit_depth"],
        dither=said["dither"],
        seed=said["seed"],
        strict=said["strict"],
        device=said["device"] if device is None else device,
        overwrite=said["overwrite"] if overwrite is None else overwrite,
        folders_later=folders_later,
        noise_out=said["noise_out"],
        mask_out=said["mask_out"],
        matte_out=said["matte_out"],
        matte=said["matte"],
        grain_table=said["grain_table"],
        write_cuts=said.get("write_cuts"),
    )
