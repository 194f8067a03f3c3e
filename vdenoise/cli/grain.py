"""``--grain match:CLIP``: the clip's noise is measured first, as a profile that the stage reads."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from vdenoise.cli.files import claim_clip, claims_of

if TYPE_CHECKING:
    from vdenoise.picture.noise import NoiseProfile
    from vdenoise.ui import Reporter

_MATCH = "match:"


@contextmanager
def grain_to_match(ctx: click.Context, output: Path, reporter: Reporter) -> Iterator[None]:
    """Put the noise profile in the place of a clip that ``--grain`` names.

    It is kept beside the output, where the recipe finds it again; for a dry run, or where the
    output is a pipe, it is gone afterwards.
    """
    clip = _clip_to_match(ctx)
    if clip is None:
        yield
        return
    from vdenoise.media.inputs import is_pipe

    claim_clip(claims_of(ctx), clip, "the clip of --grain")
    with References(reporter) as references:
        passing = ctx.params.get("dry_run") or is_pipe(output)
        kept = (
            references.file(clip)
            if passing
            else _claimed_beside(ctx, output, ctx.params["overwrite"])
        )
        if not passing:
            references.profile(clip).save(kept)
        codes = references.profile(clip).shots[0].y.codes
        reporter.note(f"grain of {clip}: {codes:.1f} in luma (sigma, in 8-bit codes), {kept}")
        ctx.params["grain"] = f"{_MATCH}{kept}"
        yield


def grain_of_batch(
    ctx: click.Context, output: Path, references: References, *, overwrite: bool
) -> Path | None:
    """Put a noise profile in the place of a clip that ``--grain`` names, for one run of many.

    Where a profile of the same clip, by its content, is kept beside the output, it is that one,
    and nothing is measured.

    Returns:
        The file that the run is to read, None where no clip is named. Where it is not there or
        is of another clip, what it is to hold is what ``ctx`` names now.

    Raises:
        InputError: the clip cannot be read.
        FileClash: the file beside the output is read, or written as something else.
        OutputError: its name is taken by another file.
    """
    from vdenoise.errors import UsageError
    from vdenoise.picture.noise import NoiseProfile

    clip = _clip_to_match(ctx)
    if clip is None:
        return None
    claim_clip(claims_of(ctx), clip, f"the clip of --grain {clip}")
    kept = _claimed_beside(ctx, output, overwrite)
    try:
        known = NoiseProfile.load(kept).source_sha256 == references.content(clip)
    except UsageError:
        known = False
    ctx.params["grain"] = f"{_MATCH}{kept if known else references.file(clip)}"
    return kept


class References:
    """The clips that ``--grain`` names, each measured once, with a folder for their profiles."""

    def __init__(self, reporter: Reporter) -> None:
        from vdenoise.machine.owner import temporary_prefix

        self._reporter = reporter
        self._folder = tempfile.TemporaryDirectory(prefix=temporary_prefix())
        self._content: dict[Path, tuple[tuple[tuple[int, int], ...], str]] = {}
        self._profiles: dict[str, NoiseProfile] = {}  # by the content of the clip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def content(self, clip: Path) -> str:
        """SHA-256 of a clip's file, or of its images.

        Raises:
            InputError: it cannot be read.
        """
        from vdenoise.media.images.sequence import files_of
        from vdenoise.workflows.contents import hashes

        files = files_of(clip)
        state = tuple((s.st_size, s.st_mtime_ns) for f in files if f.exists() and (s := f.stat()))
        known = self._content.get(clip)
        if known is None or known[0] != state:  # a batch that watches outlives a version of it
            known = self._content[clip] = (state, hashes({"clip": files})["clip"])
        return known[1]

    def profile(self, clip: Path) -> NoiseProfile:
        """The noise of a clip.

        Raises:
            InputError: it cannot be read.
        """
        from vdenoise.workflows.measure import measure
        from vdenoise.workflows.reading import Reading

        content = self.content(clip)
        if content not in self._profiles:
            reading = Reading(clip)
            info = reading.probe(self._reporter.read)
            told = {"source": str(clip), "source_sha256": content}
            found = measure(info, reading, self._reporter).profile
            self._profiles[content] = found.model_copy(update=told)
        return self._profiles[content]

    def file(self, clip: Path) -> Path:
        """A file with the noise of a clip, there as long as this is."""
        found = Path(self._folder.name) / f"{self.content(clip)}.json"
        if not found.exists():
            self.profile(clip).save(found)
        return found


def _clip_to_match(ctx: click.Context) -> Path | None:
    kind = ctx.params["grain"] or ""
    name = kind.removeprefix(_MATCH)
    named = kind.startswith(_MATCH) and name and not name.endswith(".json")
    return Path(name) if named else None


def _claimed_beside(ctx: click.Context, output: Path, overwrite: bool) -> Path:
    """Where the profile of a run is kept; it may replace an older one."""
    from vdenoise.picture.noise import is_profile

    kept = output.with_name(f"{output.name}.grain.json")
    claims_of(ctx).write(kept, "a file of grain", overwrite=overwrite or is_profile(kept))
    return kept
