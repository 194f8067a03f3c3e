"""``vdenoise evaluate``: how well known noise is removed, by the protocol of the literature."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from vdenoise.chain.resolve import Layer
from vdenoise.cli.chain import chain_options, chain_request
from vdenoise.cli.clip import Numbers
from vdenoise.cli.files import READS, WRITES, FileCommand, claims_of
from vdenoise.cli.options import device_option, set_threads, threads_option, words_of
from vdenoise.errors import UsageError
from vdenoise.settings.choices import EvaluationForm

if TYPE_CHECKING:
    from vdenoise.evaluation.measure import Competitor, EvaluationRow


class _Told(click.ParamType[Any]):
    """``measured``, ``known`` or sigma."""

    name = "measured|known|Y[,U,V]"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if value in ("measured", "known") or isinstance(value, tuple):
            return value
        return Numbers("Y[,U,V]").convert(value, param, ctx)


@click.command(
    cls=FileCommand,
    epilog="PSNR is of float pictures over R'G'B', of each frame, then the mean over frames, over "
    "clips and over seeds; SSIM has an 11x11 Gaussian window. Every frame counts, nothing is "
    "cropped. Forms: float is not clipped before it is denoised, 8bit is clipped and rounded, 420 "
    "is 8-bit 4:2:0, whose reference went the same way.",
)
@click.argument("places", nargs=-1, required=True, type=READS, metavar="FOLDER|FILE...")
@click.option("--stills", is_flag=True, help="Each picture for itself, not a folder as a clip.")
@click.option(
    "--noise",
    "noise_texts",
    multiple=True,
    default=("gaussian:10,20,30,40,50",),
    show_default=True,
    metavar="KIND[:LEVEL,...]",
    help="gaussian, poisson, sensor, film, speckle, impulses, compressed, compressed-film, clean; "
    "may be repeated.",
)
@click.option(
    "--form",
    "forms",
    multiple=True,
    type=words_of(EvaluationForm),
    default=("float", "8bit"),
    show_default=True,
    help="How the noisy pictures are handed over; may be repeated.",
)
@click.option(
    "--told",
    type=_Told(),
    metavar="measured|known|Y[,U,V]",
    default="measured",
    show_default=True,
    help="What the denoiser knows of the noise: what it measures, the truth, or sigma by hand.",
)
@click.option(
    "--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Draws of noise."
)
@click.option("--frames", type=click.IntRange(min=1), help="First frames of each clip.  [all]")
@click.option(
    "--against",
    multiple=True,
    metavar="MODEL|OPTIONS",
    help="Another model in the same chain, or the options of another chain such as "
    '"--preset high-iso"; may be repeated.',
)
@click.option(
    "--lpips",
    multiple=True,
    type=READS,
    metavar="FILE",
    help="Weights of LPIPS (AlexNet), which do not come with vdenoise.",
)
@click.option("--csv", "csv_path", type=WRITES, metavar="FILE", help="Every row, as CSV.")
@click.option("--json", "json_path", type=WRITES, metavar="FILE", help="Rows and summary, as JSON.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@chain_options
@device_option
@threads_option
@click.pass_context
def evaluate(ctx: click.Context, /, **options: Any) -> None:
    """Add noise to clean clips, remove it, and measure what is left.

    Each FOLDER is a clip of the pictures in it, or holds such folders and movies.
    """
    from vdenoise import ui
    from vdenoise.evaluation import protocol
    from vdenoise.evaluation.lpips import Lpips
    from vdenoise.evaluation.material import find
    from vdenoise.evaluation.measure import evaluate as measured
    from vdenoise.media.access import check_folder

    for target in filter(None, (options["csv_path"], options["json_path"])):
        check_folder(target)  # now, not after hours
    set_threads(options["threads"])
    noises = [noise for text in options["noise_texts"] for noise in protocol.noises(text)]
    material = find(options["places"], stills=options["stills"])
    for path in (path for each in material for path in each.paths):
        claims_of(ctx).read(path, "the input")
    competitors = _competitors(ctx, options["against"])
    perceptual = Lpips.load(options["lpips"]) if options["lpips"] else None
    rows: list[EvaluationRow] = []
    with ui.Reporter("auto") as reporter:
        jobs = len(material) * len(noises) * options["seeds"] * len(options["forms"])
        reporter.start("evaluate", jobs * len(competitors), unit="clips/s")
        for each in material:
            clean = each.read(options["frames"])
            for noise in noises:
                for seed in range(options["seeds"]):
                    for form in options["forms"]:
                        given = protocol.given(clean, noise, seed, form)
                        for competitor in competitors:
                            rows.append(
                                measured(
                                    each.name,
                                    given,
                                    noise,
                                    seed,
                                    competitor,
                                    told=options["told"],
                                    device=options["device"],
                                    perceptual=perceptual,
                                )
                            )
                            reporter.advance({})
    chains = {each.name: each.chain({}).parameters() for each in competitors}
    _write(rows, chains, options)
    _show(rows)


def _competitors(ctx: click.Context, against: tuple[str, ...]) -> list[Competitor]:
    """The chain of the command line and those it is compared with."""
    from vdenoise.evaluation.measure import Competitor

    asked = chain_request(ctx)
    found = [Competitor("chain", asked.after)]
    for text in against:
        if text.startswith("-"):
            found.append(Competitor(text, chain_request(_parsed(text)).after))
        else:  # a model in the same chain, or in place of none
            other = asked.with_layer(Layer("--against", {"net.model": text}))
            found.append(Competitor(text, other.after))
    names = [competitor.name for competitor in found]
    if len(set(names)) < len(names):
        raise UsageError("--against names the same twice.", "Name each once.", number=124)
    for competitor in found:
        competitor.chain({})  # a wrong name is said now, not after hours
    return found


@click.command(add_help_option=False)
@chain_options
def _another(**_: Any) -> None:
    """Takes the options of another chain apart."""


def _parsed(text: str) -> click.Context:
    return _another.make_context("--against", shlex.split(text))


def _write(rows: list[EvaluationRow], chains: dict[str, Any], options: dict[str, Any]) -> None:
    """CSV and JSON, whole or not at all."""
    import csv
    import io
    import json
    from dataclasses import asdict

    from vdenoise import __version__
    from vdenoise.evaluation.measure import summary
    from vdenoise.evaluation.protocol import FORMS
    from vdenoise.machine.files import write_text

    table = [asdict(row) for row in rows]
    if options["csv_path"]:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
        write_text(options["csv_path"], text.getvalue())
    if options["json_path"]:
        content = {
            "kind": "vdenoise-evaluation",
            "schema_version": 1,
            "version": __version__,
            "forms": {form: FORMS[form] for form in options["forms"]},
            "chains": chains,
            "rows": table,
            "summary": summary(rows),
        }
        write_text(options["json_path"], json.dumps(content, indent=1) + "\n")


def _show(rows: list[EvaluationRow]) -> None:
    from vdenoise import ui
    from vdenoise.evaluation.measure import summary

    def cell(value: dict[str, float] | None, digits: int) -> str:
        if value is None:
            return ""
        return f"{value['mean']:.{digits}f} ± {value['std']:.{digits}f}"

    head = ("form", "noise", "competitor", "noisy, dB", "PSNR, dB", "SSIM", "flicker", "ms a frame")
    lines = [
        (
            group["form"],
            group["noise"],
            group["competitor"],
            f"{group['psnr_noisy']['mean']:.2f}",
            cell(group["psnr"], 2),
            cell(group["ssim"], 4),
            cell(group["flicker"], 2),
            f"{group['ms_per_frame']['mean']:.0f}",
        )
        for group in summary(rows)
    ]
    ui.table(f"{len(rows)} rows; mean ± standard deviation over clips and seeds", head, lines)
