"""Help that a person can read: options in groups, those that matter first, the rest on request.

`GROUPS` is the one place that says where an option stands in the help of every command that has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import click

FEW = 16  # options that are shown without sorting out
_ALL = "--help-all"
_SHOWN = "vdenoise.help_all"
_WIDE = 26  # letters of an option's name and form; longer ones have a line of their own

# Options by what they are about, in the order in which they are shown.
GROUPS: dict[str, str] = {
    "Input": "--stills --noise --form --told --seeds --frames --profile --sigma --cuts --region "
    "--at --reference --fps --interlaced --encoding --on-missing --on-bad-frame --threads --device",
    "Strength": "--preset --speed --gauge --luma --chroma --blend --limit --bands --sigma-scale "
    "--guards",
    "Where": "--mask --mask-fit --shadows --highlights",
    "Repair": "--dust --scratches --hot-pixels --hot-map --lines --stabilise --deflicker",
    "Stages": "--temporal --temporal-radius --motion-threshold --spatial --model --model-weight "
    "--deblock --set --against --steps",
    "Finishing": "--grain --sharpen --detail --deband --regrow --dither --seed",
    "Output": "--output --to --template --codec --crf --bit-depth --strict --overwrite --dry-run "
    "--resume --noise-out --hot-map-out --mask-out --matte-out --matte --grain-table "
    "--write-cuts --csv --json --lpips --qc --report --view --zoom --seconds --about",
    "Page": "--port --no-browser",
    "Clips": "--jobs --keep-going --watch --settle --trust-paths",
    "Farm": "--plan --engine --segment-frames --analyze --segments --devices --source "
    "--work --map --map-rules --allow-version-skew --allow-mixed --verify --wait --name "
    "--executable --cpus --gpus --memory --at-once --per-task --priority --retries --farm-option "
    "--submit --each --quick --given-up --yes",
    "Messages": "--progress --help --help-all",
}
# What a person needs first, of commands that have more than `FEW`; what is required comes along.
_FIRST = (
    "--output --preset --speed --luma --chroma --mask --grain --sharpen --frames --codec "
    "--overwrite --dry-run --jobs --keep-going --watch --to --help --help-all --noise --told "
    "--against --csv --about --steps --at --view --qc --report "
    "--port --no-browser"
)
FIRST = frozenset(_FIRST.split())


class HelpfulCommand(click.Command):
    """A command whose help is in groups; ``--help-all`` shows what ``--help`` leaves out."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The parameters of the command, with ``--help-all`` where ``--help`` leaves some out."""
        params = super().get_params(ctx)
        return [*params, _HELP_ALL] if self._has_many else params

    @property
    def _has_many(self) -> bool:
        return self.add_help_option and len(list(_options(self.params))) > FEW

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, group by group."""
        options = list(_options(self.get_params(ctx)))
        shown = options
        if self._has_many and not ctx.meta.get(_SHOWN):
            shown = [each for each in options if each.required or option_name(each) in FIRST]
        sections = _sections(shown) if len(options) > FEW // 2 else {"Options": shown}
        rows = {title: [_row(each, ctx) for each in found] for title, found in sections.items()}
        width = max(len(name) for found in rows.values() for name, _ in found if len(name) <= _WIDE)
        for title, found in rows.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), text) for name, text in found], width)
        if len(shown) < len(options):
            formatter.write_paragraph()
            more = len(options) - len(shown)
            formatter.write_text(f"{more} more options: {ctx.command_path} {_ALL}")


def option_name(option: click.Option) -> str:
    """The long name of an option."""
    return next((name for name in option.opts if name.startswith("--")), option.opts[0])


def _options(params: Sequence[click.Parameter]) -> Iterator[click.Option]:
    return (each for each in params if isinstance(each, click.Option) and not each.hidden)


def _sections(options: Sequence[click.Option]) -> dict[str, list[click.Option]]:
    """Options under the titles of their groups, in the order of `GROUPS`."""
    by_name = {option_name(option): option for option in options}
    found = {
        title: [by_name.pop(name) for name in names.split() if name in by_name]
        for title, names in GROUPS.items()
    }
    found["Other"] = list(by_name.values())  # a test sees that there is none
    return {title: group for title, group in found.items() if group}


def _row(option: click.Option, ctx: click.Context) -> tuple[str, str]:
    """Name and text of an option. A number's range is told in words, where it tells anything."""
    name, text = option.get_help_record(ctx) or ("", "")
    kind = option.type
    if isinstance(kind, click.IntRange | click.FloatRange):
        name = name.replace("INTEGER RANGE", "NUMBER").replace("FLOAT RANGE", "NUMBER")
        text = re.sub(r"(; |  \[)[\d.]*<?=?x[<>]?=?[\d.]*\]$", lambda m: "]" * (m[1] == "; "), text)
        if kind.max is not None:
            text += f"  [{kind.min or 0:g} to {kind.max:g}]"
    return name.replace(" INTEGER", " NUMBER"), text


def _show_all(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.meta[_SHOWN] = True
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


_HELP_ALL = click.Option(
    [_ALL],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    help="Show every option and exit.",
    callback=_show_all,
)
