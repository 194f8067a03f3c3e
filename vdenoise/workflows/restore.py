"""The source again from what was made of it: clean + noise, or with a share of the noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from vdenoise.errors import UsageError
from vdenoise.machine.claims import Claims
from vdenoise.media.images.sequence import is_image
from vdenoise.media.movie.encoder import EncodeSettings
from vdenoise.media.movie.settings import choose
from vdenoise.media.verify import Report
from vdenoise.media.writer import check_target, files_written, open_writer
from vdenoise.noise.removed import restore_planes
from vdenoise.picture.frame import ClipInfo, PixelFormat
from vdenoise.picture.samples import apply_correction
from vdenoise.workflows.originals import Originals
from vdenoise.workflows.prepare import Listener
from vdenoise.workflows.reading import Reading
from vdenoise.workflows.tag import told_plan

ALL = 100.0  # percent of the noise


def restore(
    clean: Reading,
    noise: Reading,
    output: Path,
    listener: Listener,
    *,
    grain: float = ALL,
    codec: str | None = None,
    crf: int | None = None,
    overwrite: bool = False,
    claims: Claims | None = None,
) -> tuple[EncodeSettings, Report]:
    """Write clean + noise: the source's samples to the bit where both files are lossless.

    Args:
        clean: the result of a run.
        noise: what it kept with ``--noise-out``.
        output: where the source goes; sound and all else come from ``clean``.
        listener: told of every frame.
        grain: percent of the noise to put back.
        codec: how it is written; None is FFV1 for movies, so that nothing is lost again.
        crf: quality, where the codec has it.
        overwrite: replace an output that exists.
        claims: files that are read or written beside these.

    Returns:
        How it was written, and what was compared with ``clean``.

    Raises:
        UsageError: the two do not belong together.
        ConflictError: one was changed while it was read.
        InputError: one cannot be read.
        OutputError: the output cannot be written.
    """
    info, removed = clean.probe(), noise.probe()
    _check(info, removed)
    if codec is None and crf is None and not is_image(output):
        codec = "ffv1"
    encode = choose(info, output, codec=codec, crf=crf)
    positions = range(info.readable)
    check_target(info, output, overwrite=overwrite)
    claims = Claims() if claims is None else claims
    for file in files_written(info, output, None):
        claims.write(file, "--output")
    if _was_lossy(clean.path):
        listener.note(
            f"{clean.path} was written with losses: the source comes back as near as it was kept"
        )
    listener.start("restore", len(positions))
    originals = Originals(info), Originals(removed)
    with (
        originals[0].explaining(),
        originals[1].explaining(),
        clean.reader(info, last=positions[-1]) as a,
        noise.reader(removed, last=positions[-1]) as b,
        open_writer(
            info, output, encode, source=info.path, positions=positions, overwrite=overwrite
        ) as writer,
    ):
        for frame, part in zip(a, b, strict=True):
            for each in originals:
                each.see_frame(frame.index)
            planes = with_noise(frame.planes, part.planes, info.format, removed.format, grain)
            writer.write(frame, _as_written(planes, info, encode))
            listener.advance({})
        for each in originals:
            each.see_unchanged()
    return encode, writer.commit()


def with_noise(
    clean: Sequence[Tensor],
    noise: Sequence[Tensor],
    fmt: PixelFormat,
    noise_format: PixelFormat,
    grain: float,
) -> tuple[Tensor, ...]:
    """Clean planes plus a share of the noise; alpha is handed on.

    Args:
        clean: in ``fmt``.
        noise: of a noise file, in ``noise_format`` (`vdenoise.noise.removed`).
        fmt: layout of the clean planes.
        noise_format: layout of the noise file.
        grain: percent; 100 is exact, what lies between codes is rounded and clamped.
    """
    alpha = (clean[-1],) if fmt.alpha else ()
    if grain == ALL:
        return (*restore_planes(clean, noise, fmt, noise_format), *alpha)
    share = grain / ALL
    if fmt.floating:
        return (
            *(
                torch.where(a.isfinite(), (a.float() + share * b).to(a.dtype), a)
                for a, b in zip(clean[: fmt.color_planes], noise, strict=False)
            ),
            *alpha,
        )
    middle, top = 1 << (noise_format.bits - 1), (1 << fmt.bits) - 1
    wraps = noise_format.bits == fmt.bits  # 16 bits: differences are told modulo 2^16
    found = []
    for a, b in zip(clean[: fmt.color_planes], noise, strict=False):
        difference = b.to(torch.int32) - middle
        if wraps:
            full = a.to(torch.int32) + difference
            difference = difference - (full > top) * (top + 1) + (full < 0) * (top + 1)
        exact = a.to(torch.float64) + share * difference
        found.append(exact.round_().clamp_(0, top).to(torch.int32).to(a.dtype))
    return (*found, *alpha)


def _as_written(
    planes: Sequence[Tensor], info: ClipInfo, encode: EncodeSettings
) -> tuple[Tensor, ...]:
    """Planes of a clip in the layout that an encoder takes, as a run without a correction gives
    them."""
    return apply_correction(
        planes,
        None,
        None,
        info.format,
        info.full_range,
        out=encode.pixel_format,
        chroma_location=info.chroma_location,
        curve=info.curve,
    )


def _check(clean: ClipInfo, noise: ClipInfo) -> None:
    """See that a noise file is one of this clip."""
    a, b = clean.format, noise.format
    trouble = ""
    if (clean.width, clean.height) != (noise.width, noise.height):
        trouble = (
            f"{clean.path} is {clean.width}x{clean.height} and {noise.path} "
            f"{noise.width}x{noise.height}"
        )
    elif clean.readable != noise.readable:
        trouble = f"{clean.path} has {clean.readable} frames and {noise.path} {noise.readable}"
    elif replace(a, name="", bits=0) != replace(b, name="", bits=0):
        trouble = f"{clean.path} is {a.label} and {noise.path} {b.label}"
    elif b.bits <= a.bits and not (a.bits == b.bits == 16 or a.floating):
        trouble = f"{noise.path} has no more bits than {clean.path} ({b.label}, {a.label})"
    if trouble:
        raise UsageError(
            f"{trouble}: one is not the noise of the other.",
            "Give the clean clip and the --noise-out of the same run.",
            number=172,
        )


def _was_lossy(path: Path) -> bool:
    """Whether its recipe says that what was decoded is not what was encoded."""
    told = told_plan(path).get("encode", {})
    return bool(told) and not told.get("lossless", True)
