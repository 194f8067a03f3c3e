"""What the page may ask: each question has a form, and what has another one is refused."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from vdenoise.review.tune.settings import Settings

_FAR = 1 << 20


class Question(BaseModel):
    """A question of the page. It names no file: those of the session were named on the command
    line."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class AskSettings(Question):
    """What settings come to; or a run with them."""

    settings: Settings


class AskLook(AskSettings):
    """A region of a frame by these settings: left, top, width and height as people see it."""

    frame: int
    left: int = Field(ge=0, le=_FAR)
    top: int = Field(ge=0, le=_FAR)
    width: int = Field(ge=1, le=_FAR)
    height: int = Field(ge=1, le=_FAR)


class AskPlace(Question):
    """A frame by its place: ``12.5``, ``00:00:12.5``, ``300f``."""

    place: str = Field(max_length=40)


class AskSave(AskSettings):
    """Keep settings as a preset."""

    name: str = Field(max_length=60)
    about: str = Field(default="", max_length=200)
    overwrite: bool = False


class AskNothing(Question):
    """How far a run is; or to stop it."""
