"""``vdenoise presets``: what there is, and what a preset comes to."""

from __future__ import annotations

import click


@click.command()
@click.argument("name", required=False, metavar="[NAME]")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def presets(name: str | None, as_json: bool) -> None:
    """List the presets, or every value of one."""
    from vdenoise import ui
    from vdenoise.preset import load, names, resolve

    if name is None:
        found = {each: load(each).about for each in names()}
        if as_json:
            ui.result_json(found)
        else:
            ui.table("", ("preset", "for"), list(found.items()))
        return
    preset = load(name)
    chain = resolve(preset)
    if as_json:
        ui.result_json({"name": preset.name, "about": preset.about, **chain.parameters()})
        return
    ui.result(f"{preset.name}: {preset.about}\n")
    rows = [
        (key, str(value), chain.origin.get(key, "default"))
        for key, value in chain.parameters().items()
    ]
    ui.table("", ("parameter", "value", "from"), rows)
