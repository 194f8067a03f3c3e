"""``vdenoise verify``: whether a result keeps of its source all that is not its picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vdenoise.engine.interlacing import progressive
from vdenoise.errors import UsageError
from vdenoise.media.access import reading
from vdenoise.media.images import carry
from vdenoise.media.images.layout import kind_of
from vdenoise.media.images.sequence import selected
from vdenoise.media.movie.encoder import EncodeSettings
from vdenoise.media.probe import probe
from vdenoise.media.verify import Report, verify
from vdenoise.picture.frame import ClipInfo
from vdenoise.settings.text import counted
from vdenoise.workflows.reading import Reading
from vdenoise.workflows.request import FrameRanges
from vdenoise.workflows.tag import told_plan


def verify_files(source: Reading, result: Path, frames: FrameRanges | None = None) -> Report:
    """Compare a finished clip with its source, all but the picture.

    Args:
        source: how the source is read; interlaced or not.
        result: the clip to check. What its recipe says of its kind and its frames, where one lies
            beside it, is what is expected.
        frames: the frames that it holds; None is what the recipe says, else all.

    Raises:
        InputError: one of the clips cannot be read.
        UsageError: the source has no such frames, or one is a movie and the other is not.
    """
    info = source.probe()
    out = probe(result)
    told = told_plan(result)
    positions = positions_held(info, told, frames)
    if told.get("interlaced") == "deinterlace":
        info = progressive(info)
    if out.sequence is not None:
        return _images(info, out, positions)
    settings = _settings(told)
    return verify(
        info if settings is None else settings.shown(info),
        result,
        settings=settings,
        first=positions[0],
        last=positions[-1],
        copied=info.sequence is None,
    )


def positions_held(
    info: ClipInfo, told: dict[str, Any], frames: FrameRanges | None = None
) -> tuple[int, ...]:
    """Which frames of its source a result holds, by position.

    Args:
        info: the source.
        told: from `told_plan`; where it says nothing of frames, the result holds all.
        frames: what wins over the recipe.

    Raises:
        UsageError: the source has no such frames.
    """
    if frames is not None:
        return selected(info, frames)
    if told.get("chosen"):
        return tuple(told["chosen"])
    first, last = told.get("frames") or (0, info.readable - 1)
    return tuple(range(first, last + 1))


def _settings(told: dict[str, Any]) -> EncodeSettings | None:
    try:
        return EncodeSettings.model_validate(told["encode"]) if "encode" in told else None
    except ValidationError:  # of another version
        return None


def _images(info: ClipInfo, out: ClipInfo, positions: tuple[int, ...]) -> Report:
    """Images against images: numbers, size, samples, and what their files say beside these."""
    assert out.sequence is not None
    if info.sequence is None:
        raise UsageError(
            f"{info.path} is a movie and {out.path} are images: they keep other things.",
            "Verify the result of a run of the same kind.",
            number=170,
        )
    source = info.sequence
    wanted = tuple(source.numbers[n] for n in positions)
    checked, findings = ["frames", "size", "samples"], []
    if wanted != out.sequence.numbers:
        findings.append(
            f"frames: {counted(len(wanted), 'image')} from {wanted[0]} to {wanted[-1]} became "
            f"{counted(len(out.sequence.numbers), 'image')} from {out.sequence.numbers[0]} to "
            f"{out.sequence.numbers[-1]}"
        )
    for what, a, b in (
        ("size", (info.width, info.height), (out.width, out.height)),
        ("samples", info.format.family, out.format.family),
        ("alpha", info.format.alpha, out.format.alpha),
    ):
        if a != b:
            findings.append(f"{what}: {a} became {b}")
    kind = kind_of(out.codec)
    if kind == kind_of(info.codec):
        checked.append("attributes")
        findings += _attributes(info, out, wanted, kind)
    compared = f"{counted(len(wanted), 'image')}, {len(checked)} kinds of facts"
    return Report(tuple(checked), tuple(findings), compared=compared)


def _attributes(info: ClipInfo, out: ClipInfo, wanted: tuple[int, ...], kind: str) -> list[str]:
    """What the file of a frame says and its copy does not, of the first frame that lost any."""
    source, copies = info.sequence, out.sequence
    assert source is not None and copies is not None
    for number in wanted:
        if number not in copies.numbers:
            continue
        file = source.source(source.numbers.index(number))
        copy = copies.path(number)
        with reading(str(file)):
            before, after = carry.kept(file, copy, kind), carry.kept(copy, copy, kind)
        lost = [name for name in before if after.get(name) != before[name]]
        if lost:
            names = ", ".join(name.partition(":")[2] or name for name in lost[:3])
            return [f"attributes: image {number} lost or changed {names}"]
    return []
