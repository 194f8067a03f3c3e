"""Options of the chain of denoisers, and how what was typed becomes layers of one."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from vdenoise.chain.option_values import parse_assignments, parse_grain, parse_masks, parse_regrow
from vdenoise.chain.presets import SPEEDS, load
from vdenoise.chain.presets import names as preset_names
from vdenoise.chain.request import ChainRequest
from vdenoise.chain.resolve import Chain, Layer, idle
from vdenoise.cli.completion import Complete, from_words
from vdenoise.cli.files import claim_clip, claims_of
from vdenoise.cli.options import Command, option
from vdenoise.cli.switches import SWITCHES
from vdenoise.errors import UsageError
from vdenoise.settings.groups import SETTINGS
from vdenoise.stages import OFF, SLOTS, methods

if TYPE_CHECKING:
    from vdenoise.ui import Reporter

# Options with a name of their own for a parameter of the chain. Everything else about them is
# declared once, on the stage or in SETTINGS.
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
    **SWITCHES,
    "--deblock": "deblock.strength",
    "--detail": "detail.strength",
    "--deband": "deband.strength",
    "--sharpen": "sharpen.strength",
}
# What the strength of a slot that is off by default switches on.
DOES = {
    "dust.strength": "Take specks and hairs off that are on one frame only",
    "scratches.strength": "Take off thin vertical lines",
    "hot.strength": "Replace pixels that shine in every frame",
    "lines.strength": "Even out rows that are too bright or dark",
    "weave.strength": "Steady a picture that weaves in the gate",
    "flicker.strength": "Steady light that flickers",
    "deblock.strength": "Smooth block edges and ringing before all else",
    "detail.strength": "Give back removed structure, not noise",
    "deband.strength": "Make slopes of bands",
    "sharpen.strength": "Sharpen what is not noise",
}
OWN_NETWORKS = ("S", "M", "L")  # that come with vdenoise
TYPED = "command line"
STAGES_FILE = Path(__file__).with_name("stages.json")


@cache
def stage_facts() -> dict[str, Any]:
    """What ``vdenoise stages --json`` says, as made at the last change of a stage: reading the
    stages themselves imports torch, which takes longer than help may. A test compares the two."""
    facts: dict[str, Any] = json.loads(STAGES_FILE.read_text(encoding="utf-8"))
    return facts


def chain_options(command: Command) -> Command:
    """Add the options of `CHAIN_OPTIONS`, ``--preset``, ``--speed`` and ``--set``."""
    return option(
        "-p",
        "--preset",
        default="auto",
        show_default=True,
        metavar="NAME",
        shell_complete=from_words(preset_names),
        help="What kind of footage it is, or a .toml file; +light and +strong do less or more. "
        "See: vdenoise presets.",
    )(dial_options(command))


def dial_options(command: Command) -> Command:
    """Add all options of a chain but its preset."""
    for name, target in reversed(CHAIN_OPTIONS.items()):
        command = option(
            name, metavar=_metavar(target), help=_help(target), shell_complete=_complete(target)
        )(command)
    command = option(
        "--grain",
        metavar="KIND",
        help="keep:PERCENT of the true grain, match:FILE (a noise profile or a clip), "
        "synth:AMOUNT[,SIZE], av1[:PERCENT] (AV1 decoders draw what was removed), or none.  "
        "[default: the preset's]",
    )(command)
    command = option(
        "--hot-map",
        metavar="FILE",
        help="Replace the pixels that this map of the camera names; analyze --hot-map-out makes "
        "one.",
    )(command)
    command = option(
        "--regrow",
        metavar="PERCENT",
        help="Invent detail where noise destroyed it, likely and not known, and add this much of "
        "it: 0 is off.  [0 to 100; default: 0]",
    )(command)
    command = option(
        "--set",
        "assignments",
        multiple=True,
        metavar="STAGE.PARAM=VALUE",
        shell_complete=from_words(_settable),
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
        type=click.Choice(SPEEDS),
        help="How much work goes into it.  [default: the preset's, base]",
    )(command)
    return option(
        "--gauge",
        type=click.Choice(("8mm", "16mm", "35mm", "65mm")),
        help="Of the film, for --preset film-scan.",
    )(command)


def _metavar(target: str) -> str:
    if target in SETTINGS:
        return SETTINGS[target].metavar
    slot, _, key = target.partition(".")
    if key == "model":
        return "NAME|FILE"
    return "METHOD" if key == "method" and slot in SLOTS else "NUMBER"


def _help(target: str) -> str:
    if target in SETTINGS:
        dial = SETTINGS[target]
        return f"{dial.help}  [{_brief(dial.rule)}; default: {dial.text(dial.default)}]"
    slot, _, key = target.partition(".")
    if target in DOES:
        return f"{DOES[target]}: 0 is off, 1 is right for most.  [0 to 2; default: the preset's]"
    if key == "method":
        return f"One of {', '.join((*methods(slot), OFF))}.  [default: {methods(slot)[0]}]"
    facts = next(
        p for p in stage_facts()[f"{slot}.{methods(slot)[0]}"]["parameters"] if p["name"] == key
    )
    return f"{facts['help']}  [{_brief(facts['rule'])}; default: {facts['default']}]"


def _brief(rule: str) -> str:
    """``0 to 100`` of ``a number from 0 to 100``: NUMBER stands before it."""
    return rule.removeprefix("a whole number from ").removeprefix("a number from ")


def _complete(target: str) -> Complete | None:
    """What a shell offers for an option; None where it is a number."""
    if target in SETTINGS:
        return None
    slot, _, key = target.partition(".")
    if key == "method" and slot in SLOTS:
        return from_words(lambda: (*methods(slot), OFF))
    return from_words(lambda: (*OWN_NETWORKS, OFF)) if key == "model" else None


def _settable() -> Iterator[str]:
    """``STAGE.PARAM=`` of every stage's parameters, and ``SLOT.method=``."""
    names = {f"{slot}.method=": None for slot in SLOTS}
    for stage, facts in stage_facts().items():
        slot = stage.partition(".")[0]
        names |= {f"{slot}.{each['name']}=": None for each in facts["parameters"]}
    return iter(names)


def layers_from(ctx: click.Context) -> list[Layer]:
    """What the environment and the command line say of the chain.

    Raises:
        UsageError: an assignment has another form, or a value is set twice.
    """
    layers = []
    for origin, source in (
        ("environment", ParameterSource.ENVIRONMENT),
        (TYPED, ParameterSource.COMMANDLINE),
    ):
        values: dict[str, Any] = {}
        for name, target in CHAIN_OPTIONS.items():
            key = name.lstrip("-").replace("-", "_")
            if ctx.get_parameter_source(key) is source:
                values[target] = ctx.params[key]
        if ctx.get_parameter_source("grain") is source:
            values |= parse_grain(ctx.params["grain"])
        if ctx.get_parameter_source("hot_map") is source:
            values["hot.map"] = ctx.params["hot_map"]
        if ctx.get_parameter_source("regrow") is source:
            values |= parse_regrow(ctx.params["regrow"])
        if ctx.get_parameter_source("assignments") is source:
            more = parse_assignments(ctx.params["assignments"])
            if both := sorted(more.keys() & values.keys()):
                raise UsageError(
                    f"{both[0]} is set twice, by its own option and by --set.",
                    "Set it once.",
                    number=102,
                )
            values |= more
        if ctx.get_parameter_source("masks") is source:
            values |= parse_masks(ctx.params["masks"])
        if values:
            layers.append(Layer(origin, values))
    return layers


def _parsed_variant(text: str) -> tuple[str, dict[str, str], str | None]:
    """Preset, values by full name, and speed, from ``high-iso luma=50 speed=slow``."""
    try:
        name, *items = shlex.split(text)
    except ValueError:
        raise UsageError(
            f"--preset {text!r} is no preset and its settings.",
            "For example: --preset 'high-iso luma=50 temporal.radius=3'.",
            number=163,
        ) from None
    values: dict[str, str] = {}
    speed = None
    for item in items:
        key, equals, value = item.partition("=")
        if key == "speed" and equals:
            speed = value
        elif key == "grain" and equals:
            values |= parse_grain(value)
        elif key == "regrow" and equals:
            values |= parse_regrow(value)
        else:
            values |= parse_assignments([f"{CHAIN_OPTIONS.get(f'--{key}', key)}{equals}{value}"])
    return name, values, speed


def warn_of_idle(ctx: click.Context, chain: Chain, reporter: Reporter) -> None:
    """Say what was typed and can do nothing."""
    typed = [layer for layer in layers_from(ctx) if layer.origin == TYPED]
    for text in (text for layer in typed for text in idle(chain, layer.values)):
        reporter.warn(text)


def preset_name(ctx: click.Context) -> str:
    """The preset with its gauge: ``film-scan+8mm``."""
    return _with_gauge(ctx, ctx.params["preset"])


def _with_gauge(ctx: click.Context, name: str) -> str:
    gauge = ctx.params["gauge"]
    return name if gauge is None else f"{name}+{gauge}"


def chain_request(ctx: click.Context, variant: str | None = None) -> ChainRequest:
    """Preset, speed, environment and command line.

    What it reads is claimed.

    Args:
        ctx: of the command.
        variant: a preset and what is said on top of all options, where ``--preset`` may be
            repeated: ``high-iso luma=50 speed=slow temporal.radius=3``.

    Raises:
        UsageError: a name or value is not accepted, or a file it reads is to be written.
    """
    layers, speed = layers_from(ctx), ctx.params["speed"]
    if variant is None:
        preset = load(preset_name(ctx))
    else:
        name, values, own_speed = _parsed_variant(variant)
        preset = load(_with_gauge(ctx, name))
        layers += [Layer(TYPED, values)] if values else []
        speed = own_speed or speed
    asked = ChainRequest(preset, tuple(layers), speed)
    for role, files in ({"the preset": preset.files} | asked.chain().files).items():
        for file in files:
            claim_clip(claims_of(ctx), file, role)
    return asked
