"""A source as the repairs of its result left it: what such a result is to be judged against."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import NamedTuple

from torch import Tensor

from vdenoise.engine.denoise import denoise_and_tell
from vdenoise.engine.plan import Plan
from vdenoise.engine.planning import plan_denoising
from vdenoise.engine.streams import Shots
from vdenoise.picture.frame import ClipInfo, SourceFrame
from vdenoise.picture.luma_chroma import Picture
from vdenoise.stages import REPAIRING
from vdenoise.workflows.reading import Reading
from vdenoise.workflows.recipe_to_replay import RecipeToReplay, load_to_replay
from vdenoise.workflows.tag import told_plan


class Before(NamedTuple):
    """A frame of a source, and what its repairs made of it; None where there are none."""

    source: SourceFrame
    repaired: Picture[Tensor] | None


@dataclass(frozen=True)
class Repairs:
    """What a result's recipe says of the damage that was taken out of its source.

    Attributes:
        names: the stages, as ``dust.spots``; empty where there were none.
    """

    names: tuple[str, ...] = ()
    _recipe: RecipeToReplay | None = None

    @staticmethod
    def of(result: Reading) -> Repairs:
        """Find those of a clip; none where no recipe lies beside it.

        Raises:
            VdenoiseError: its recipe tells of repairs, and this version cannot make them again.
        """
        steps = told_plan(result.path).get("steps", ())
        if not any(step["stage"].partition(".")[0] in REPAIRING for step in steps):
            return Repairs()
        _, recipe = load_to_replay(result.path)
        names = (stage.name for stage in recipe.chain().stages if stage.slot in REPAIRING)
        return Repairs(tuple(names), recipe)

    def frames(
        self, source: Reading, info: ClipInfo, first: int, last: int
    ) -> Generator[Before, None, None]:
        """The frames ``first`` to ``last`` of a source, with the repairs made again.

        Raises:
            VdenoiseError: the clip cannot be read, or the repairs need what is not there.
        """
        if self._recipe is None:
            with source.reader(info, first, last) as reader:
                yield from (Before(frame, None) for frame in reader)
            return
        recipe = self._recipe
        plan = _plan(recipe, info, first, last)
        shots = Shots(info.readable, tuple(c for c in recipe.cuts if c < info.readable))
        with (
            source.reader(info, *plan.source_range(shots)) as reader,
            contextlib.closing(denoise_and_tell(reader, plan, recipe.profile, shots)) as done,
        ):
            for each in done:
                yield Before(each.source, each.repaired)


def _plan(recipe: RecipeToReplay, info: ClipInfo, first: int, last: int) -> Plan:
    """The plan of a recipe as far as it repairs: no noise goes, and nothing is written."""
    chain, made = recipe.chain(), recipe.plan
    repairs = replace(
        chain,
        stages=tuple(stage for stage in chain.stages if stage.slot in REPAIRING),
        output=replace(chain.output, luma=0.0, chroma=0.0),
    )
    return plan_denoising(
        info,
        repairs,
        info.path,
        made.encode.model_copy(update={"pixel_format": info.format}),  # of none that is written
        frames=(first, last),
        device=made.device if made.device == "cpu" else "auto",
        interlaced=made.interlaced,
        seed=made.seed,
    )
