"""``vdenoise stages``: the denoisers and their parameters."""

from __future__ import annotations

import click

from vdenoise.cli.files import FileCommand


@click.command(cls=FileCommand)
@click.argument("name", required=False, metavar="[NAME]")
@click.option("--json", "as_json", is_flag=True, help="Everything about every stage, as JSON.")
def stages(name: str | None, as_json: bool) -> None:
    """List the denoisers, or the parameters of one: spatial.nlm."""
    from vdenoise import ui
    from vdenoise.chain import docs
    from vdenoise.chain.parameters import parameters
    from vdenoise.errors import UsageError, did_you_mean
    from vdenoise.stages import every_stage, stage_class

    if as_json:
        ui.result(docs.stages_json(every_stage()))
        return
    if name is None:
        ui.table(
            "",
            ("stage", "does"),
            [(key, _does(key)) for key in every_stage()],
        )
        return
    if name not in every_stage():
        short = [key for key in every_stage() if key.partition(".")[2] == name]
        if len(short) != 1:
            raise UsageError(
                f"There is no stage {name!r}.{did_you_mean(name, every_stage())}",
                "List them with: vdenoise stages",
                number=103,
            )
        name = short[0]
    cls = stage_class(name)
    ui.result(f"{name}: {_first_line(cls.__doc__)}\n")
    rows = [
        (f"{cls.slot}.{key}", str(p.default), p.rule + (f" ({p.unit})" * bool(p.unit)), p.help)
        for key, p in parameters(name).items()
    ]
    ui.table("", ("parameter", "default", "accepts", "meaning"), rows)
    if cls.speeds:
        ui.result("")
        costs = [
            (word, ", ".join(f"{key}={value}" for key, value in values.items()))
            for word, values in cls.speeds.items()
        ]
        ui.table("", ("--speed", "sets"), [cost for cost in costs if cost[1]])


def _does(name: str) -> str:
    """What a stage does, or why another package's cannot be used."""
    from vdenoise.errors import UsageError
    from vdenoise.stages import stage_class

    try:
        return _first_line(stage_class(name).__doc__)
    except UsageError as error:
        return str(error)


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
