"""A job of a batch as the run that it will be: its options parsed, its files claimed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vdenoise.cli.files import claim_typed, share_claims
from vdenoise.cli.grain import References, grain_of_batch
from vdenoise.cli.request import clip_request
from vdenoise.cli.run import run
from vdenoise.errors import FileClash, OutputError, UsageError

if TYPE_CHECKING:
    from vdenoise.batch.jobs import ClipJob
    from vdenoise.batch.outcome import Wanted
    from vdenoise.machine.claims import Claims


def wanted_of(ctx: click.Context) -> Wanted:
    """What a run with this command line would make.

    Raises:
        InputError: a file it reads cannot be read.
    """
    from vdenoise import __version__
    from vdenoise.batch.outcome import Wanted
    from vdenoise.workflows.contents import hashes
    from vdenoise.workflows.decides import deciding_files, deciding_options, written_beside

    request = clip_request(ctx, None)
    return Wanted(
        version=__version__,
        asked=request.chain.chain().parameters(),
        options=deciding_options(request),
        files=hashes(deciding_files(request)),
        beside=written_beside(request),
    )


def as_run(
    job: ClipJob, claims: Claims, references: References, *, overwrite: bool
) -> tuple[ClipJob, Wanted]:
    """A job as it is to be run, and what it is to make. The files it reads and writes are claimed.

    Raises:
        FileClash: it would write what this or another job reads or writes.
        OutputError: a file that it makes for itself would replace another.
        InputError: a file that it reads beside its clip cannot be read.
        UsageError: it does not accept one of its options; of a list's job it says whose.
    """
    from vdenoise.review.report.summary import claim_report

    try:
        ctx = run.make_context("run", list(job.arguments()))
        share_claims(ctx, claims)
        claim_typed(ctx, claims, overwrite=None, of=f" of {job.name}")
        if ctx.params["report"]:
            claim_report(claims, job.output, overwrite=None, of=f" of {job.name}")
        kept = grain_of_batch(ctx, job.output, references, overwrite=overwrite)
        wanted = wanted_of(ctx)
        return (job, wanted) if kept is None else _with_grain(job, wanted, ctx, kept)
    except FileClash:
        raise
    except click.UsageError as error:
        found = UsageError(error.format_message(), "See: vdenoise run --help", number=1)
    except UsageError as error:
        found = error
    if job.listed:
        found = UsageError(f"The job of {job.name}: {found.what}", found.hint, number=found.number)
    raise found


def check_report(job: ClipJob) -> None:
    """See that what lies where a job's report goes is a report, which may be replaced.

    Raises:
        OutputError: it is another file.
    """
    from vdenoise.review.report.summary import report_path, summary_in

    page = report_path(job.output)
    if page.exists() and summary_in(page) is None:
        raise OutputError(
            f"{page} exists, and is no report.",
            "Move it away, or leave --report away.",
            number=1,
        )


def _with_grain(
    job: ClipJob, wanted: Wanted, ctx: click.Context, kept: Path
) -> tuple[ClipJob, Wanted]:
    """The same, where the profile of the grain lies beside the output once the job begins."""
    profile = Path(ctx.params["grain"].partition(":")[2])
    asked = {**wanted.asked, "grain.file": str(kept)} if "grain.file" in wanted.asked else None
    prepared = () if profile == kept else ((kept, profile.read_text(encoding="utf-8")),)
    options = (*job.options, "--grain", f"match:{kept}")
    return (
        replace(job, options=options, prepared=prepared),
        wanted if asked is None else replace(wanted, asked=asked),
    )
