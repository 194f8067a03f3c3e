"""Options that say how a clip is read, what of it is done, and what is written beside it."""

from __future__ import annotations

import re
from typing import Any, get_args

import click

from vdenoise.cli.files import READS, WRITES, Reads, Writes
from vdenoise.cli.options import Command, fps_option, option, threads_option, words_of
from vdenoise.settings.choices import (
    Dither,
    EncodingName,
    Interlaced,
    Matte,
    OnBadFrame,
    OnMissing,
)


def reading_options(command: Command) -> Command:
    """Add what says how a clip is read."""
    command = fps_option(command)
    for name, choice, text in (
        (
            "--on-missing",
            OnMissing,
            "At a gap in a sequence of images stop, leave it out, or show the frame before.",
        ),
        (
            "--on-bad-frame",
            OnBadFrame,
            "At a damaged frame stop, or put the last good one in its place.",
        ),
        (
            "--interlaced",
            Interlaced,
            "What to do with fields: auto denoises each as a picture where the clip holds any, by "
            "its pictures or else by its flags.",
        ),
    ):
        command = option(
            name,
            type=words_of(choice),
            default=get_args(choice)[0],
            show_default=True,
            help=text,
        )(command)
    command = option(
        "--encoding",
        type=words_of(EncodingName),
        help="What samples stand for where tags do not say: R'G'B' and gray are denoised where "
        "their noise is even, and come back in the same curve.",
    )(command)
    return threads_option(command)


def cuts_option(command: Command) -> Command:
    """Add ``--cuts``."""
    return option(
        "--cuts",
        type=Reads("auto", "off"),
        default="auto",
        show_default=True,
        metavar="auto|off|FILE",
        help="Where shots begin.",
    )(command)


def clip_options(command: Command) -> Command:
    """Add what decides a result beside the chain: frames, measured noise, cuts, encoding."""
    command = option("--strict", is_flag=True, help="Treat what cannot be kept as an error.")(
        command
    )
    command = knowledge_options(sample_options(command))
    return option(
        "--frames",
        type=FrameRange(),
        metavar="A-B[xSTEP]",
        help="Only these frames, both included: counted from 0, or as images are numbered.",
    )(command)


def knowledge_options(command: Command) -> Command:
    """Add what is known of a clip beforehand: measured noise, cuts."""
    for decorate in reversed(
        (
            option(
                "--profile",
                type=READS,
                metavar="FILE",
                help="Noise measured before, instead of measuring.",
            ),
            option(
                "--sigma",
                type=Numbers("Y[,U,V]"),
                help="Noise by hand, in 8-bit codes, instead of measuring.",
            ),
            cuts_option,
        )
    ):
        command = decorate(command)
    return command


def sample_options(command: Command) -> Command:
    """Add what says how samples are written: codec, quality, depth, dither."""
    for decorate in reversed(
        (
            option(
                "--codec",
                metavar="NAME",
                help="prores, dnxhr, ffv1, x264, x265, svt-av1.  [default: the source's]",
            ),
            option("--crf", type=int, help="Quality, less is better, for codecs that have it."),
            option("--bit-depth", type=int, help="Bits per sample.  [default: the source's]"),
            option(
                "--dither",
                type=words_of(Dither),
                default="auto",
                show_default=True,
                help="Dither what is rounded; auto: where bits are dropped, and after --deband.",
            ),
            option(
                "--seed",
                type=click.IntRange(min=0),
                default=0,
                show_default=True,
                help="Of dither and grain.",
            ),
        )
    ):
        command = decorate(command)
    return command


def beside_options(command: Command, *, path: Writes = WRITES) -> Command:
    """Add what is written beside the clean clip: by this command, or later by another one."""
    for decorate in reversed(
        (
            option(
                "--noise-out",
                type=path,
                metavar="FILE.mkv",
                help="Keep what was removed: clean + noise = source.",
            ),
            option(
                "--mask-out",
                type=path,
                metavar="FILE.mkv",
                help="Keep what the masks come to: white is worked on in full, black untouched.",
            ),
            option(
                "--matte-out",
                type=path,
                metavar="FILE.mkv",
                help="Keep a map of each frame (--matte says which), to look at or to use "
                "elsewhere.",
            ),
            option(
                "--matte",
                type=words_of(Matte),
                default="confidence",
                show_default=True,
                help="What --matte-out shows: how much of the noise is gone, where a guard "
                "stepped in, where dust was, how much is invented, or how far several drawn "
                "pictures differ.",
            ),
            option(
                "--grain-table",
                type=path,
                metavar="FILE",
                help="Keep the grain removed as a film-grain table for AV1 encoders.",
            ),
        )
    ):
        command = decorate(command)
    return command


# Numbers of no more digits than anything is counted with.
_RANGE = r"\s*(\d{1,18})\s*(?:-\s*(\d{1,18})\s*(?:[x:]\s*([1-9]\d{,17})\s*)?)?"
_CROP = r"\s*(\d{1,18}),(\d{1,18}),([1-9]\d{,17}),([1-9]\d{,17})\s*"


class FrameRange(click.ParamType[tuple[tuple[int, int, int], ...]]):
    """``A-B``, ``A-BxS`` or ``A-B:S`` (every S-th frame), ``A``; several with commas."""

    name = "A-B[xS]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[int, int, int], ...]:
        """Read (first, last, step), both included."""
        if isinstance(value, tuple):
            return value
        parts = []
        for text in value.split(","):
            found = re.fullmatch(_RANGE, text)
            if found is None or int(found[2] or found[1]) < int(found[1]):
                self.fail(
                    f"{value!r} is not a range of frames such as 100-250 or 1001-1100x2.",
                    param,
                    ctx,
                )
            parts.append((int(found[1]), int(found[2] or found[1]), int(found[3] or 1)))
        return tuple(parts)


class Numbers(click.ParamType[tuple[float, ...]]):
    """Comma-separated numbers of at least 0."""

    def __init__(self, form: str) -> None:
        self.name = form

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Read the numbers."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(float(part) for part in value.split(","))
        except ValueError:
            numbers = ()
        if not numbers or not all(0 <= number <= 255 for number in numbers):
            self.fail(f"{value!r} is not of the form {self.name}, from 0 to 255.", param, ctx)
        return numbers


class Box(click.ParamType[tuple[int, int, int, int]]):
    """A rectangle ``X,Y,W,H`` in pixels from the top left corner."""

    def __init__(self, form: str) -> None:
        self.name = form

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int, int, int]:
        """Read the numbers, of which width and height are above 0."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(_CROP, value)
        if found is None:
            self.fail(f"{value!r} is not of the form {self.name}.", param, ctx)
        x, y, width, height = (int(number) for number in found.groups())
        return x, y, width, height
