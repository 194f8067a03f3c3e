"""``vdenoise models``: the networks there are, what is known of them, and if they are whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vdenoise.cli.files import FileGroup

if TYPE_CHECKING:
    from vdenoise.nets.models import Model


@click.group(cls=FileGroup)
def models() -> None:
    """List the networks, show one, or check them."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_models(as_json: bool) -> None:
    """List the networks that came with vdenoise, and the architectures of others."""
    from vdenoise import ui
    from vdenoise.nets import ARCHITECTURES
    from vdenoise.nets.models import find, shipped

    found = {name: describe(find(name)) for name in shipped()}
    if as_json:
        ui.result_json({"models": found, "architectures": list(ARCHITECTURES)})
        return
    rows = [
        (
            name,
            facts["architecture"],
            f"{facts['parameters'] / 1e6:.2f} M",
            f"{facts['kmacs_per_pixel']:.0f}",
            facts["license"] or "not said",
            facts["sha256"][:12],
        )
        for name, facts in found.items()
    ]
    head = ("model", "architecture", "parameters", "kMAC a pixel", "license", "sha256")
    ui.table("", head, rows)
    ui.result(f"\nFiles of these architectures run, too: {', '.join(ARCHITECTURES)}")


@models.command()
@click.argument("name", metavar="NAME|FILE")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(name: str, as_json: bool) -> None:
    """Show what a network states about itself, and its card."""
    from vdenoise import ui
    from vdenoise.nets.models import find

    model = find(name)
    facts = describe(model)
    if as_json:
        ui.result_json(facts | {"card": model.card})
        return
    ui.facts(name, {key.replace("_", " "): _text(value) for key, value in facts.items()})
    if model.card:
        ui.facts("card", {key.replace("_", " "): _text(v) for key, v in model.card.items()})
    else:
        ui.result("no card: nothing is known of how it was made")


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME|FILE]...")
def check(names: tuple[str, ...]) -> None:
    """Check that networks are whole, fit their architecture and compute; all that came with
    vdenoise unless some are named."""
    from vdenoise import ui
    from vdenoise.nets.models import check as checked
    from vdenoise.nets.models import find, shipped

    for name in names or shipped():
        model = find(name)
        checked(model)
        compared = "its hash is that of its card" if model.card.get("sha256") else "it has no card"
        ui.result(f"{name}: fits {model.architecture}, computes; {compared}")


def describe(model: Model) -> dict[str, Any]:
    """What a model states, in plain values."""
    from vdenoise.nets.base import macs_per_pixel, parameters

    net = model.network()
    return {
        "file": str(model.path),
        "architecture": model.architecture,
        "license": model.card.get("licence", ""),
        "sha256": model.sha256,
        "parameters": parameters(net),
        "kmacs_per_pixel": round(macs_per_pixel(net) / 1000, 1),
        "takes": list(net.inputs),
        "frames_on_each_side": net.reach,
        "frames_at_once": max(1, net.clip),
        "halo": net.halo,
        "multiple": net.multiple,
        "half_precision": net.half_ok,
    }


def _text(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(_text(each) for each in value)
    return "yes" if value is True else "no" if value is False else str(value)
