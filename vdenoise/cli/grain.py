"""``--grain match:CLIP``: the clip's noise is measured first, as a profile that the stage reads."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vdenoise.cli.files import claim_clip, claims_of

if TYPE_CHECKING:
    from vdenoise.ui import Reporter

_MATCH = "match:"


@contextmanager
def grain_to_match(ctx: click.Context, output: Path, reporter: Reporter) -> Iterator[None]:
    """Put the noise profile in the place of a clip that ``--grain`` names.

    It is kept beside the output, where the recipe finds it again; for a dry run, or where the
    output is a pipe, it is gone afterwards.
    """
    kind = ctx.params["grain"] or ""
    name = kind.removeprefix(_MATCH)
    if not kind.startswith(_MATCH) or not name or name.endswith(".json"):
        yield
        return
    from vdenoise.media.inputs import is_pipe
    from vdenoise.picture.noise import is_profile
    from vdenoise.workflows.measure import measure
    from vdenoise.workflows.reading import Reading

    claims, clip = claims_of(ctx), Reading(Path(name))
    claim_clip(claims, clip.path, "the clip of --grain")
    with tempfile.TemporaryDirectory(prefix="vdenoise-") as passing:
        kept = output.with_name(f"{output.name}.grain.json")
        if ctx.params.get("dry_run") or is_pipe(output):
            kept = Path(passing) / "grain.json"
        else:
            may = ctx.params["overwrite"] or is_profile(kept)
            claims.write(kept, "a file of grain", overwrite=may)
        found = measure(clip.probe(reporter.read), clip, reporter)
        found.profile.save(kept)
        codes = found.profile.shots[0].y.codes
        reporter.note(f"grain of {name}: {codes:.1f} in luma (sigma, in 8-bit codes), {kept}")
        ctx.params["grain"] = f"{_MATCH}{kept}"
        yield
