"""Options that commands share, and how what was typed becomes layers of a chain."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from vdenoise import process
from vdenoise.chain import Chain, Layer, resolve
from vdenoise.dials import DIALS
from vdenoise.preset import load
from vdenoise.stages import OFF, SLOTS, methods
from vdenoise.typed import parse_assignments, parse_grain, parse_masks

if TYPE_CHECKING:
    from vdenoise.frame import ClipInfo
    from vdenoise.ui import Style

Command = TypeVar("Command", bound=Callable[..., Any])

# Options with a name of their own for a parameter of the chain. Everything else about them is
# declared once, on the stage or in DIALS.
CHAIN_OPTIONS: dict[str, str] = {
    "--luma": "output.luma",
    "--chroma": "output.chroma",
    "--blend": "output.blend",
    "--limit": "output.limit",
    "--bands": "output.bands",
    "--shadows": "output.shadows",
    "--highlights": "output.highlights",
    "--guards": "output.guards",
    "--mask-fit": "output.mask_fit",
    "--sigma-scale": "noise.sigma_scale",
    "--temporal": "temporal.method",
    "--temporal-radius": "temporal.radius",
    "--motion-threshold": "temporal.motion_threshold",
    "--spatial": "spatial.method",
    "--model": "net.model",
    "--model-weight": "net.weight",
    "--deblock": "deblock.strength",
    "--detail": "detail.strength",
    "--deband": "deband.strength",
    "--sharpen": "sharpen.strength",
}
# What the strength of a slot that is off by default switches on.
_DOES = {
    "deblock.strength": "Smooth block edges and ringing before all else",
    "detail.strength": "Give back removed structure, not noise",
    "deband.strength": "Make slopes of bands",
    "sharpen.strength": "Sharpen what is not noise",
}
ENVIRONMENT = "VDENOISE_"
STAGES_FILE = Path(__file__).with_name("stages.json")


@cache
def stage_facts() -> dict[str, Any]:
    """What ``vdenoise stages --json`` says, as made at the last change of a stage: reading the
    stages themselves imports torch, which takes longer than help may. A test compares the two."""
    facts: dict[str, Any] = json.loads(STAGES_FILE.read_text(encoding="utf-8"))
    return facts


def variable(option: str) -> str:
    """The environment variable of an option: ``VDENOISE_TEMPORAL_RADIUS``."""
    return ENVIRONMENT + option.lstrip("-").replace("-", "_").upper()


def option(*names: str, **attributes: Any) -> Callable[[Command], Command]:
    """A click option that is an environment variable too."""
    long = next(name for name in names if name.startswith("--"))
    return click.option(*names, envvar=variable(long.partition("/")[0]), **attributes)


def chain_options(command: Command) -> Command:
    """Add the options of `CHAIN_OPTIONS`, ``--preset``, ``--speed`` and ``--set``."""
    for name, target in reversed(CHAIN_OPTIONS.items()):
        command = option(name, metavar=_metavar(target), help=_help(target))(command)
    command = option(
        "--grain",
        metavar="KIND",
        help="keep:PERCENT of the true grain, match:FILE (a noise profile or a clip), "
        "synth:AMOUNT[,SIZE], or none.  [default: the preset's]",
    )(command)
    command = option(
        "--set",
        "assignments",
        multiple=True,
        metavar="STAGE.PARAM=VALUE",
        help="Any parameter of a stage; may be repeated. See: vdenoise stages.",
    )(command)
    command = option(
        "--mask",
        "masks",
        multiple=True,
        metavar="NAME=SOURCE[,KEY=VALUE...]",
        help="Where to work, or how hard there; may be repeated. See docs/masks.md.",
    )(command)
    command = option(
        "--speed",
        type=click.Choice(("veryfast", "fast", "base", "slow", "veryslow")),
        help="How much work goes into it.  [default: the preset's, base]",
    )(command)
    command = option(
        "--gauge",
        type=click.Choice(("8mm", "16mm", "35mm", "65mm")),
        help="Of the film, for --preset film-scan.",
    )(command)
    return option(
        "-p",
        "--preset",
        default="auto",
        show_default=True,
        metavar="NAME",
        help="What kind of footage it is, or a .toml file; +light and +strong do less or more. "
        "See: vdenoise presets.",
    )(command)


def _metavar(target: str) -> str:
    if target in DIALS:
        return DIALS[target].metavar
    slot, _, key = target.partition(".")
    if key == "model":
        return "NAME|FILE"
    return "METHOD" if key == "method" and slot in SLOTS else "NUMBER"


def _help(target: str) -> str:
    if target in DIALS:
        dial = DIALS[target]
        return f"{dial.help}  [{dial.rule}; default: {dial.text(dial.default)}]"
    slot, _, key = target.partition(".")
    if target in _DOES:
        return f"{_DOES[target]}: 0 is off, 1 is right for most.  [0 to 2; default: the preset's]"
    if key == "method":
        return f"One of {', '.join((*methods(slot), OFF))}.  [default: {methods(slot)[0]}]"
    facts = next(
        p for p in stage_facts()[f"{slot}.{methods(slot)[0]}"]["parameters"] if p["name"] == key
    )
    return f"{facts['help']}  [{facts['rule']}; default: {facts['default']}]"


def layers_from(ctx: click.Context) -> list[Layer]:
    """What the environment and the command line say of the chain.

    Raises:
        UsageError: an assignment has another form.
    """
    layers = []
    for origin, source in (
        ("environment", ParameterSource.ENVIRONMENT),
        ("command line", ParameterSource.COMMANDLINE),
    ):
        values: dict[str, Any] = {}
        for name, target in CHAIN_OPTIONS.items():
            key = name.lstrip("-").replace("-", "_")
            if ctx.get_parameter_source(key) is source:
                values[target] = ctx.params[key]
        if ctx.get_parameter_source("grain") is source:
            values |= parse_grain(ctx.params["grain"])
        if ctx.get_parameter_source("assignments") is source:
            values |= parse_assignments(ctx.params["assignments"])
        if ctx.get_parameter_source("masks") is source:
            values |= parse_masks(ctx.params["masks"])
        if values:
            layers.append(Layer(origin, values))
    return layers


def preset_name(ctx: click.Context) -> str:
    """The preset with its gauge: ``film-scan+8mm``."""
    name, gauge = ctx.params["preset"], ctx.params["gauge"]
    return str(name if gauge is None else f"{name}+{gauge}")


def chain_from(ctx: click.Context, measured: Mapping[str, str] | None = None) -> Chain:
    """Resolve preset, measurement, speed, environment and command line.

    Raises:
        UsageError: a name or value is not accepted.
    """
    layers = [Layer("measurement", measured)] if measured else []
    layers += layers_from(ctx)
    return resolve(load(preset_name(ctx)), layers, speed=ctx.params["speed"])


def progress_option(command: Command) -> Command:
    """Add ``--progress``."""
    return option(
        "--progress",
        type=click.Choice(("auto", "bar", "plain", "json", "openjd", "none")),
        default="auto",
        show_default=True,
        help="A bar, plain lines, one JSON object a line, Open Job Description's lines, or "
        "nothing; on stderr.",
    )(command)


def reading_options(command: Command) -> Command:
    """Add what says how a clip is read."""
    command = option(
        "--fps",
        type=click.FloatRange(min=0, min_open=True, max=1000),
        help="Frames per second of a sequence of images.  [default: what they say, else 24]",
    )(command)
    for name, words, text in (
        (
            "--on-missing",
            ("refuse", "skip", "hold"),
            "At a gap in a sequence of images stop, leave it out, or show the frame before.",
        ),
        (
            "--on-bad-frame",
            ("fail", "repeat"),
            "At a damaged frame stop, or put the last good one in its place.",
        ),
        (
            "--interlaced",
            ("refuse", "ignore", "deinterlace"),
            "What to do with a clip that holds fields.",
        ),
    ):
        command = option(
            name, type=click.Choice(words), default=words[0], show_default=True, help=text
        )(command)
    return option(
        "--threads",
        type=click.IntRange(min=1),
        help="Threads for decoding and computing.  [default: one per core granted]",
    )(command)


def clip_options(command: Command) -> Command:
    """Add what decides a result beside the chain: frames, measured noise, cuts, encoding."""
    path = click.Path(path_type=Path)
    for decorate in reversed(
        (
            option(
                "--frames",
                type=FrameRange(),
                help="Only these frames, both included: counted from 0, or as images are numbered.",
            ),
            option(
                "--profile",
                type=path,
                metavar="FILE",
                help="Noise measured before, instead of measuring.",
            ),
            option(
                "--sigma",
                type=Numbers("Y[,U,V]"),
                help="Noise by hand, in 8-bit codes, instead of measuring.",
            ),
            option(
                "--cuts",
                default="auto",
                show_default=True,
                metavar="auto|off|FILE",
                help="Where shots begin.",
            ),
            option(
                "--codec",
                metavar="NAME",
                help="prores, dnxhr, ffv1, x264, x265, svt-av1.  [default: the source's]",
            ),
            option("--crf", type=int, help="Quality, less is better, for codecs that have it."),
            option("--bit-depth", type=int, help="Bits per sample.  [default: the source's]"),
            option(
                "--dither",
                type=click.Choice(("auto", "on", "off")),
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
            option("--strict", is_flag=True, help="Treat what cannot be kept as an error."),
        )
    ):
        command = decorate(command)
    return command


def beside_options(command: Command) -> Command:
    """Add what is written beside the clean clip."""
    path = click.Path(path_type=Path)
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
                type=click.Choice(("confidence", "structure", "ghost")),
                default="confidence",
                show_default=True,
                help="What --matte-out shows: how much of the noise is gone, or where a guard "
                "stepped in.",
            ),
        )
    ):
        command = decorate(command)
    return command


class FrameRange(click.ParamType[tuple[tuple[int, int, int], ...]]):
    """``A-B``, ``A-BxS`` or ``A-B:S`` (every S-th frame), ``A``; several with commas."""

    name = "A-B[xS]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[int, int, int], ...]:
        """To (first, last, step), both included."""
        if isinstance(value, tuple):
            return value
        parts = []
        for text in value.split(","):
            found = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*(?:[x:]\s*([1-9]\d*)\s*)?)?", text)
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
        """To numbers."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(float(part) for part in value.split(","))
        except ValueError:
            numbers = ()
        if not numbers or not all(0 <= number <= 255 for number in numbers):
            self.fail(f"{value!r} is not of the form {self.name}, from 0 to 255.", param, ctx)
        return numbers


def probed(path: Path, on_missing: Any, fps: float | None) -> ClipInfo:
    """The clip that was named, read as the options say."""
    from fractions import Fraction

    from vdenoise.media.index import COMMON_RATES
    from vdenoise.media.probe import probe

    if fps is None:
        return probe(path, on_missing=on_missing)
    rate = Fraction(fps).limit_denominator(1001)
    near = min(COMMON_RATES, key=lambda common: abs(common - rate))  # 23.976 is 24000/1001
    close = abs(near - rate) < Fraction(1, 1000)
    return probe(path, on_missing=on_missing, rate=near if close else rate)


def set_threads(threads: int | None) -> int | None:
    """Limit torch as decoding is limited: to what was typed, else to what a scheduler grants
    (OpenCV is kept on one thread). Returns the number, None for no limit."""
    threads = threads or process.granted_threads()
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    return threads


def as_style(text: str) -> Style:
    """A choice click has checked."""
    return text  # type: ignore[return-value]
