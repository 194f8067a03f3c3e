"""What a replay reads of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, field_validator

from vdenoise.chain.parameters import build
from vdenoise.chain.resolve import Chain
from vdenoise.errors import ConflictError, UsageError, fault_of
from vdenoise.machine.files import read_json
from vdenoise.masks.parse import make_mask
from vdenoise.media.access import absent, reading
from vdenoise.media.movie.encoder import EncodeSettings
from vdenoise.media.movie.own_settings import check_settings
from vdenoise.picture.noise import NoiseProfile
from vdenoise.settings.choices import Dither, Interlaced, OnBadFrame, OnMissing
from vdenoise.settings.groups import MASK, NoiseSettings, OutputSettings
from vdenoise.stages import SLOTS, stage_class
from vdenoise.workflows.recipe import KIND, SCHEMA
from vdenoise.workflows.tag import recipe_of


def _of_ours(settings: EncodeSettings) -> EncodeSettings:
    check_settings(settings)  # a recipe from elsewhere could have an encoder write any file
    return settings


class RecipeToReplay(BaseModel):
    """What a replay reads of a recipe."""

    class Made(BaseModel):
        """What was planned, as far as it is no parameter of the chain."""

        preset: str
        speed: str
        frames: tuple[int, int]
        chosen: tuple[int, ...] | None = None
        encode: Annotated[EncodeSettings, AfterValidator(_of_ours)]
        interlaced: Interlaced
        seed: int
        dither: Dither
        device: str

    class Options(BaseModel):
        """How the clip was read."""

        fps: float | None = None
        on_missing: OnMissing = "refuse"
        on_bad_frame: OnBadFrame = "fail"
        encoding: str | None = None

    class Outcome(BaseModel):
        """What came out."""

        frames: int
        frames_crc32: str = ""

    kind: Literal["vdenoise-recipe"]
    versions: dict[str, str]
    input: dict[str, Any]
    plan: Made
    options: Options
    files: dict[str, str]
    parameters: dict[str, Any]
    origin: dict[str, str]
    cuts: tuple[int, ...]
    profile: NoiseProfile
    engine: dict[str, str] = Field(default_factory=dict)
    result: Outcome

    @field_validator("input")
    @classmethod
    def _path_is_there(cls, values: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(values.get("path"), str):
            raise ValueError("path is missing")
        return values

    @field_validator("parameters")
    @classmethod
    def _strengths_are_there(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in ("output.luma", "output.chroma"):
            if name not in values:
                raise ValueError(f"{name} is missing")
        return values

    def chain(self) -> Chain:
        """The chain, every value as it was.

        Raises:
            UsageError: a value is not accepted here.
            DeviceError: a model is not installed.
        """
        values = self.parameters
        stages = []
        for slot in SLOTS:
            own = {k.partition(".")[2]: v for k, v in values.items() if k.startswith(f"{slot}.")}
            if own:
                name = f"{slot}.{own.pop('method', '')}"
                stages.append(build(stage_class(name), own))
        masks = [
            make_mask(name.partition(".")[2], value)
            for name, value in values.items()
            if name.startswith(f"{MASK}.")
        ]
        plan = self.plan
        return Chain(
            preset=plan.preset,
            speed=plan.speed,
            stages=tuple(stages),
            origin=self.origin,
            noise=NoiseSettings.of(values),
            output=OutputSettings.of(values),
            masks=tuple(masks),
        )


def load_to_replay(path: Path) -> tuple[Path, RecipeToReplay]:
    """A recipe, by its own name or by that of the clip that it lies beside.

    Raises:
        InputError: it is not there or cannot be read.
        ConflictError: the recipe beside the clip is another clip's, or it is of another schema.
        UsageError: it is no recipe.
    """
    file = path if path.suffix.lower() == ".json" else recipe_of(path)
    if not file.exists():
        raise absent(str(file))
    try:
        with reading(str(file)):
            found = read_json(file)
        _check_schema(file, found)
        return file, RecipeToReplay.model_validate(found)
    except ValueError as error:
        raise UsageError(
            f"{file} is no recipe that can be replayed: {fault_of(error)}.",
            "Recipes are called OUTPUT.vdenoise.json, and vdenoise run writes them.",
            number=171,
        ) from error


def _check_schema(file: Path, found: Any) -> None:
    told = found if isinstance(found, dict) else {}
    if told.get("kind") == KIND and told.get("schema") != SCHEMA:
        raise ConflictError(
            f"The recipe {file} has the schema {told.get('schema')}, and this vdenoise reads "
            f"{SCHEMA}.",
            "Replay it with the version that wrote it.",
            number=24,
        )
