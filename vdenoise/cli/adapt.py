"""``vdenoise adapt``: a network for one clip."""

from __future__ import annotations

from typing import Any

import click

from vdenoise.cli.chain import chain_options, chain_request
from vdenoise.cli.clip import reading_options
from vdenoise.cli.files import READS, WRITES, FileCommand, claims_of
from vdenoise.cli.options import progress_option, set_threads
from vdenoise.cli.request import knowledge_from, reading_from


@click.command(cls=FileCommand)
@click.argument("input", type=READS)
@click.option("-o", "--output", type=WRITES, required=True, help="The .safetensors file to write.")
@chain_options
@click.option("--profile", type=READS, metavar="FILE", help="Noise measured before.")
@click.option("--steps", type=click.IntRange(min=1), default=300, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@reading_options
@progress_option
@click.pass_context
def adapt(ctx: click.Context, /, **options: Any) -> None:
    """Adapt the network named by --model to the noise of INPUT, without clean material.

    It takes some minutes, changes a few percent of the weights, and refuses where that does not
    help on frames it did not learn from. Use it with: vdenoise run INPUT --model OUTPUT, and the
    other options as they were here.
    """
    import torch

    from vdenoise import ui
    from vdenoise.compiled import fast_bfloat16
    from vdenoise.errors import UsageError
    from vdenoise.media.writer import check_target
    from vdenoise.nets import models
    from vdenoise.training.adapting import adapt as adapting
    from vdenoise.training.card import save_adapted
    from vdenoise.workflows.prepare import measure_clip

    output = options["output"]
    asked = chain_request(ctx)
    networks = [stage for stage in asked.chain().stages if stage.slot == "net"]
    if not networks:
        raise UsageError("There is no network to adapt.", "Say which: --model S.", number=125)
    if output.suffix != ".safetensors":
        raise UsageError(f"{output} is no weights file.", "Call it NAME.safetensors.", number=126)
    card = output.with_suffix(".json")
    claims_of(ctx).write(card, "its card", overwrite=options["overwrite"])
    reading = reading_from(ctx, set_threads(options["threads"]))
    with ui.Reporter(options["progress"]) as reporter:
        info = reading.probe(reporter.read)
        check_target(info, output, overwrite=options["overwrite"])
        model = models.find(networks[0].model_dump()["model"])
        net = models.load(model.name, torch.device("cpu"), torch.float32)
        found = measure_clip(
            info, reading, asked, reporter, profile=knowledge_from(ctx).noise(info)
        )
        for text in found.notes:
            reporter.note(text)
        adapted = adapting.adapt(
            info,
            reading,
            found.chain,
            net,
            found.profile,
            found.cuts,
            reporter,
            steps=options["steps"],
            seed=options["seed"],
            precision=torch.bfloat16 if fast_bfloat16() else torch.float32,
        )
        save_adapted(adapted, model, found.chain.parameters(), info, output)
        reporter.finish(
            f"{output}: {adapted.check.text}; {adapted.seconds:.0f} s",
            output=str(output),
            redrawn_db=round(adapted.check.redrawn_db, 3),
            neighbor=round(adapted.check.neighbor, 3),
            seconds=round(adapted.seconds, 1),
        )
