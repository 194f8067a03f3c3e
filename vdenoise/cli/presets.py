"""``vdenoise presets``: what there is, what a preset comes to, and presets of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vdenoise.cli.chain import chain_options, layers_from, preset_name
from vdenoise.cli.files import FileGroup, claims_of

if TYPE_CHECKING:
    from vdenoise.chain.resolve import Chain


class _Presets(FileGroup):
    """``presets NAME`` is short for ``presets show NAME``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            args = ["show", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_Presets, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def presets(ctx: click.Context, as_json: bool) -> None:
    """List the presets; show, compare or save one."""
    if ctx.invoked_subcommand is not None:
        return
    from vdenoise import ui
    from vdenoise.chain import preset_files
    from vdenoise.chain.presets import usable

    found, broken = usable()
    for why in broken.values():
        ui.Reporter("plain").warn(f"{why} It is left out.")
    if as_json:
        ui.result_json({name: preset.about for name, preset in found.items()})
        return
    rows = [(name, preset.about) for name, preset in found.items()]
    ui.table("", ("preset", "for"), rows)
    ui.result("\n+light and +strong after a name do less or more: high-iso+light.")
    folder = preset_files.own_folder()
    if folder is not None:
        ui.result(f"Presets of your own are in {folder}.")


@presets.command()
@click.argument("name")
@click.option("--resolved", is_flag=True, help="Every value, not only what the preset says.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(name: str, resolved: bool, as_json: bool) -> None:
    """What a preset is for, why, and its values."""
    from vdenoise import ui
    from vdenoise.chain.presets import load
    from vdenoise.chain.resolve import resolve

    preset = load(name)
    chain = resolve(preset)
    if as_json:
        ui.result_json({"name": preset.name, "about": preset.about, **chain.parameters()})
        return
    ui.result(f"{preset.name}: {preset.about}\n")
    if preset.why:
        ui.result(f"{preset.why.strip()}\n")
    rows = [
        (key, _shown(value), chain.origin.get(key, "default"))
        for key, value in chain.parameters().items()
        if resolved or key.endswith(".method") or key in preset.values
    ]
    ui.table("", ("parameter", "value", "from"), rows)
    if not resolved:
        ui.result("\nEvery value: vdenoise presets show --resolved NAME")


@presets.command()
@click.argument("one")
@click.argument("other")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def diff(one: str, other: str, as_json: bool) -> None:
    """Show in which values two presets differ, completely resolved."""
    from vdenoise import ui
    from vdenoise.chain.presets import load
    from vdenoise.chain.resolve import resolve

    found = differences(resolve(load(one)), resolve(load(other)))
    if as_json:
        ui.result_json({key: list(values) for key, values in found.items()})
    elif found:
        rows = [(key, _shown(a), _shown(b)) for key, (a, b) in found.items()]
        ui.table("", ("parameter", one, other), rows)
    else:
        ui.result(f"{one} and {other} do the same.")


def differences(one: Chain, other: Chain) -> dict[str, tuple[Any, Any]]:
    """Values by parameter, None where a chain has no such parameter."""
    a, b = one.parameters(), other.parameters()
    keys = [*a, *(key for key in b if key not in a)]
    return {key: (a.get(key), b.get(key)) for key in keys if a.get(key) != b.get(key)}


def _shown(value: Any) -> str:
    """A value as it could be typed; a mask in one text."""
    if isinstance(value, dict):
        from vdenoise.masks.parse import make_mask

        return make_mask("shown", value).text
    return "-" if value is None else str(value)


@presets.command()
@click.argument("name")
@chain_options
@click.option("--about", help="What it is for, in a sentence.  [default: the preset's own]")
@click.option("--overwrite", is_flag=True, help="Replace a preset of this name.")
@click.pass_context
def save(ctx: click.Context, /, name: str, about: str | None, overwrite: bool, **_: Any) -> None:
    """Keep a preset with what is typed here on top of it, under a name of your own."""
    from vdenoise import ui
    from vdenoise.chain import preset_files
    from vdenoise.chain.presets import load, saved_text
    from vdenoise.chain.resolve import resolve

    parent = preset_name(ctx)
    layers, speed = layers_from(ctx), ctx.params["speed"]
    base = load(parent)
    resolve(base, layers, speed=speed)  # what is not accepted is said now
    target = preset_files.new_path(name)
    values = {key: value for layer in layers for key, value in layer.values.items()}
    claims = claims_of(ctx)
    for path in base.files:
        claims.read(path, "a preset it inherits from")
    claims.write(target, "the preset", overwrite=overwrite)
    preset_files.write(target, saved_text(about or base.about, parent, speed, values))
    ui.result(f"{target}\nuse it: vdenoise run INPUT -o OUTPUT --preset {name}")
