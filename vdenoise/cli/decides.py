"""What of the command line of a run decides its result: for its recipe, and for a batch that wants
to know whether it is done already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vdenoise.chain.resolve import Chain

if TYPE_CHECKING:
    from vdenoise.batch.outcome import Wanted

# Options of ``run`` that decide its result, beside those of the chain and the files it reads.
OPTIONS = (
    *("frames", "sigma", "cuts", "codec", "crf", "bit_depth", "dither", "seed", "matte", "device"),
    *("fps", "on_missing", "on_bad_frame", "interlaced"),
)
# What is written beside the clip, by its option; "matte_out" is called as what it shows.
BESIDE = {
    "noise_out": "noise",
    "mask_out": "mask",
    "matte_out": "",
    "grain_table": "grain table",
    "write_cuts": "cuts",
}


def deciding_options(ctx: click.Context) -> dict[str, Any]:
    """Values by name, as JSON has them; a file's is its hash's business (`deciding_files`)."""
    found = {}
    for name in OPTIONS:
        value = ctx.params[name]
        found[name] = "FILE" if isinstance(value, Path) else _plain(value)
    return found | {"beside": sorted(written_beside(ctx))}


def deciding_files(ctx: click.Context, chain: Chain) -> dict[str, tuple[Path, ...]]:
    """Files that are read beside the clip, by what they are; of a sequence every image."""
    from vdenoise.media.images.sequence import files_of

    named = {f"--{name}": ctx.params[name] for name in ("profile", "cuts")}
    found: dict[str, tuple[Path, ...]] = {
        role: (path,) for role, path in named.items() if isinstance(path, Path)
    }
    for role, paths in chain.files.items():
        found[role] = tuple(file for path in paths for file in files_of(path))
    return found


def written_beside(ctx: click.Context) -> dict[str, Path]:
    """What is written beside the clip, by what it is."""
    asked = {name or ctx.params["matte"]: ctx.params[key] for key, name in BESIDE.items()}
    return {name: path for name, path in asked.items() if path is not None}


def wanted_of(ctx: click.Context, chain: Chain) -> Wanted:
    """What a run with this command line would make.

    Raises:
        InputError: a file it reads cannot be read.
    """
    from vdenoise import __version__
    from vdenoise.batch.outcome import Wanted
    from vdenoise.workflows.contents import hashes

    return Wanted(
        version=__version__,
        asked=chain.parameters(),
        options=deciding_options(ctx),
        files=hashes(deciding_files(ctx, chain)),
        beside=written_beside(ctx),
    )


def _plain(value: Any) -> Any:
    """Tuples as lists, as JSON gives them back."""
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
