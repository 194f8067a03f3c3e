"""``vdenoise train``: networks of your own, and what the shipped ones are made with."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vdenoise.cli.files import FOLDER, READS, WRITES, FileGroup, claims_of
from vdenoise.cli.options import progress_option
from vdenoise.machine.guard import HANDED_ON, REPEATED
from vdenoise.settings.choices import ProgressStyle

if TYPE_CHECKING:
    from vdenoise.training.config import Config
    from vdenoise.training.loop import Trained
    from vdenoise.training.validation import Score
    from vdenoise.ui import Reporter


class _Group(FileGroup):
    """A group whose first command may go unnamed: ``train CONFIG`` is ``train run CONFIG``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args.insert(0, "run")
        return super().parse_args(ctx, args)


@click.group(cls=_Group, invoke_without_command=False)
def train() -> None:
    """Train a network: vdenoise train CONFIG -o FOLDER.

    CONFIG is a .toml file or the name of a recipe that comes with vdenoise, such as guided-s.
    docs/training.md says more.
    """


@train.command()
@click.argument("config", metavar="CONFIG")
@click.option("-o", "--output", type=FOLDER, required=True, help="Folder of the run; it goes on.")
@click.option(
    "--override",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Another value in the configuration; may be repeated: optimiser.rate=3e-4.",
)
@click.option("--steps", type=click.IntRange(min=1), help="Steps in all, instead of CONFIG's.")
@click.option("--max-minutes", type=float, metavar="M", help="Stop then, to go on another time.")
@click.option(
    "--ablate", type=READS, metavar="FILE", help="Train every variant this file lists; one table."
)
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda:N")
@progress_option
def run(
    config: str,
    output: Path,
    overrides: tuple[str, ...],
    steps: int | None,
    max_minutes: float | None,
    ablate: Path | None,
    device: str,
    progress: ProgressStyle,
) -> None:
    """Train as CONFIG says, or go on where FOLDER left off.

    Ctrl-C, SIGTERM, SIGHUP and --max-minutes write a checkpoint; the same command goes on, to the
    bit.
    """
    from vdenoise import ui
    from vdenoise.errors import Interrupted
    from vdenoise.machine.devices import find_device
    from vdenoise.training import ablate as ablations
    from vdenoise.training.config import Config, overridden, read
    from vdenoise.training.loop import train as run_training

    where = find_device(device)
    changes = (*overrides, *(() if steps is None else (f"steps={steps}",)))
    data = overridden(read(config), changes)
    checked = Config.of(data, config)
    until = None if max_minutes is None else time.monotonic() + 60 * max_minutes
    with ui.Reporter(progress) as reporter, _signals() as caught:

        def stop() -> bool:
            return bool(caught) or (until is not None and time.monotonic() >= until)

        def one(name: str, config: Config, folder: Path) -> Trained:
            return run_training(config, folder, where, _Watcher(reporter, name), stop)

        if ablate is not None:
            rows, ended = ablations.ablate(data, ablations.Ablation.load(ablate), output, one)
            if ended != "asked":
                reporter.finish(f"{output / ablations.TABLE}.md", output=str(output))
                ui.table("", ablations.HEAD, [ablations.cells_of(row) for row in rows])
        else:
            trained = one(checked.network, checked, output)
            ended = trained.ended
            if ended != "asked":
                why = "" if ended == "done" else ", no better for long"
                reporter.finish(
                    f"{trained.weights}: {trained.best:.2f} dB after {trained.step} steps{why}",
                    output=str(trained.weights),
                    step=trained.step,
                    validation_db=round(trained.best, 3),
                    ended=ended,
                )
        if caught:
            raise Interrupted(
                f"Interrupted between two steps: {output} holds a checkpoint.",
                "The same command goes on.",
                signal_number=caught[0],
            )
        if ended == "asked":
            reporter.finish(f"{output}: time is up; the same command goes on", ended="time")


@train.command()
@click.argument("run", type=READS)
@click.option("-o", "--output", type=WRITES, required=True, help="The .safetensors file to write.")
@click.option("--config", metavar="CONFIG", help="[default: what RUN was trained with]")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@click.pass_context
def export(
    ctx: click.Context, /, run: Path, output: Path, config: str | None, overwrite: bool
) -> None:
    """Write the best weights of RUN with their card: in float16 where that costs no quality."""
    from vdenoise import ui
    from vdenoise.training.checkpoint import CHECKPOINT, CONFIG, WEIGHTS
    from vdenoise.training.export import export_weights

    for name in (WEIGHTS, CHECKPOINT, CONFIG):
        claims_of(ctx).read(run / name, "a file of the run")
    claims_of(ctx).write(output.with_suffix(".json"), "its card", overwrite=overwrite)
    card = export_weights(run, output, config)
    validation = card["validation"]
    ui.facts(
        str(output),
        {
            "network": f"{card['architecture']}, {card['parameters']} parameters",
            "weights": card["weights"],
            "sha256": card["sha256"],
            "validation": f"{validation['network']} dB, given {validation['given']} dB",
        },
    )


@train.command()
@click.argument("folder", type=READS)
@click.option("-o", "--output", type=FOLDER, required=True, help="A new folder for the pack.")
@click.option(
    "--mib", type=click.IntRange(min=1), default=60, show_default=True, help="Most it may take."
)
@progress_option
def pack(folder: Path, output: Path, mib: int, progress: ProgressStyle) -> None:
    """Make the clean clips and stills in FOLDER small enough to send to another machine."""
    from vdenoise import ui
    from vdenoise.training.material.pack import make_pack

    with ui.Reporter(progress) as reporter:
        found = make_pack(folder, output, mib << 20, reporter)
        reporter.finish(
            f"{output}: {found.clips} clips, {found.stills} stills, {found.bytes / 2**20:.1f} MiB",
            output=str(output),
            bytes=found.bytes,
        )


class _Watcher:
    """Tells a reporter how training goes."""

    def __init__(self, reporter: Reporter, name: str) -> None:
        self._reporter, self._name, self._started = reporter, name, False

    def step(self, step: int, steps: int, loss: float, seconds: float) -> None:
        """A step is done."""
        if not self._started:
            self._started = True
            self._reporter.start(f"train {self._name}", steps, done=step - 1, unit="steps/s")
        self._reporter.advance({}, {"loss": round(loss, 5)})

    def validated(self, step: int, score: Score) -> None:
        """Say how good the weights are."""
        gain = score.psnr - score.average
        self._reporter.note(
            f"step {step}: {score.psnr:.2f} dB, {gain:+.2f} dB over what it is given"
        )
        self._reporter.event(
            "validated",
            step=step,
            psnr=round(score.psnr, 3),
            given=round(score.average, 3),
            by_kind={kind: round(value, 3) for kind, value in score.by_kind.items()},
        )


@contextmanager
def _signals() -> Iterator[Sequence[int]]:
    """Note signals to stop instead of stopping at once; the second ends the program."""
    caught: list[int] = []
    before: dict[signal.Signals, Any] = {}

    def note(number: int, _frame: Any) -> None:
        caught.append(number)
        for each in before:
            if each not in REPEATED:
                signal.signal(each, signal.SIG_DFL)

    for number in HANDED_ON:
        if signal.getsignal(number) is signal.SIG_IGN:  # as under nohup
            continue
        before[number] = signal.signal(number, note)
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
