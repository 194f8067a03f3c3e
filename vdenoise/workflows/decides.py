"""What of a request decides its result: for its recipe, and for a batch, which asks whether it is
done already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vdenoise.media.images.sequence import files_of
from vdenoise.workflows.request import ClipRequest

# What decides a result by its value, beside the chain and the files that are read, as typed.
OF_READING = ("fps", "on_missing", "on_bad_frame", "interlaced", "encoding")
OF_KNOWLEDGE = ("sigma", "cuts")
OF_CLIP = ("frames", "codec", "crf", "bit_depth", "dither", "seed", "matte", "device")
OPTIONS = (*OF_CLIP, *OF_KNOWLEDGE, *OF_READING)
LOADED = ("--profile", "--cuts")  # of the files below those that are read whole before the work
# What is written beside the clip, by its option; "matte_out" is called as what it shows.
BESIDE = {
    "noise_out": "noise",
    "mask_out": "mask",
    "matte_out": "",
    "grain_table": "grain table",
    "write_cuts": "cuts",
}


def deciding_options(request: ClipRequest) -> dict[str, Any]:
    """Values by name, as JSON has them; a file's is its hash's business (`deciding_files`)."""
    places = ((request, OF_CLIP), (request.known, OF_KNOWLEDGE), (request.reading, OF_READING))
    found = {}
    for place, names in places:
        for name in names:
            value = getattr(place, name)
            found[name] = "FILE" if isinstance(value, Path) else _plain(value)
    return found | {"beside": sorted(written_beside(request))}


def deciding_files(request: ClipRequest) -> dict[str, tuple[Path, ...]]:
    """Files that are read beside the clip, by what they are; of a sequence every image."""
    named = {"--profile": request.known.profile, "--cuts": request.known.cuts}
    found: dict[str, tuple[Path, ...]] = {
        role: (path,) for role, path in named.items() if isinstance(path, Path)
    }
    for role, paths in request.chain.chain().files.items():
        found[role] = tuple(file for path in paths for file in files_of(path))
    return found


def written_beside(request: ClipRequest) -> dict[str, Path]:
    """What is written beside the clip, by what it is."""
    asked = {name or request.matte: getattr(request, key) for key, name in BESIDE.items()}
    return {name: path for name, path in asked.items() if path is not None}


def _plain(value: Any) -> Any:
    """Tuples as lists, as JSON gives them back."""
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
