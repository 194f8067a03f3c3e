"""Parameters of stages: what each accepts, for people, and a stage made from values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from vdenoise.errors import UsageError
from vdenoise.stages import stage_class

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from vdenoise.stages.base import Stage


@dataclass(frozen=True)
class Parameter:
    """A stage's parameter, for people."""

    name: str
    default: Any
    rule: str  # what is accepted: "a whole number from 0 to 8"
    unit: str
    help: str
    low: float | None = None  # least and most, where that is a number with both ends
    high: float | None = None
    whole: bool = False
    words: tuple[str, ...] = ()  # one of these


@cache
def parameters(name: str) -> tuple[Parameter, ...]:
    """The parameters of the stage ``slot.method``, as declared on its model."""
    return tuple(_described(key, info) for key, info in stage_class(name).model_fields.items())


def build(cls: type[Stage], values: Mapping[str, Any]) -> Stage:
    """Make a stage; a wrong value gives the same sentence from everywhere.

    Raises:
        UsageError: a value is not accepted.
    """
    from pydantic import ValidationError

    for key, value in values.items():
        # bool is an int to Python, and pydantic would take `radius = true` for 1
        if isinstance(value, bool) and cls.model_fields[key].annotation is not bool:
            raise _refused(cls, key, value)
    try:
        return cls.model_validate({k: _typed(cls.model_fields[k], v) for k, v in values.items()})
    except ValidationError as error:
        key = str(error.errors()[0]["loc"][0]) if error.errors()[0]["loc"] else ""
        if key not in cls.model_fields:  # a rule between parameters
            raise UsageError(
                f"{cls.slot}.{cls.method}: {error.errors()[0]['msg']}.",
                f"See what it accepts with: vdenoise stages {cls.slot}.{cls.method}",
                number=17,
            ) from error
        raise _refused(cls, key, values[key]) from error


def _typed(info: FieldInfo, value: Any) -> Any:
    """The option that was typed, where a parameter has options that are not text: 16 for "16"."""
    options = getattr(info.annotation, "__args__", ())
    return next((option for option in options if str(option) == str(value)), value)


def _refused(cls: type[Stage], key: str, value: Any) -> UsageError:
    about = _described(key, cls.model_fields[key])
    return UsageError(f"{cls.slot}.{key} = {value}: want {about.rule}.", about.help, number=17)


def _described(name: str, info: FieldInfo) -> Parameter:
    low = next((m.ge for m in info.metadata if getattr(m, "ge", None) is not None), None)
    high = next((m.le for m in info.metadata if getattr(m, "le", None) is not None), None)
    options = getattr(info.annotation, "__args__", ())
    if info.annotation is bool:
        rule = "true or false"
    elif options:
        rule = f"one of {', '.join(str(option) for option in options)}"
    elif info.annotation is str:
        rule = "a name or a file"
    else:
        kinds = {int: "a whole number", float: "a number"}
        rule = kinds.get(info.annotation, "text")  # type: ignore[arg-type]
        if low is not None and high is not None:
            rule += f" from {low:g} to {high:g}"
        elif low is not None:
            rule += f" of {low:g} or more"
        elif high is not None:
            rule += f" of {high:g} or less"
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    return Parameter(
        name,
        info.default,
        rule,
        str(extra.get("unit", "")),
        info.description or "",
        low=low,
        high=high,
        whole=info.annotation is int,
        words=("true", "false") if info.annotation is bool else tuple(map(str, options)),
    )


def in_slot(values: Mapping[str, Any], slot: str) -> dict[str, Any]:
    """A slot's values out of all, which are named ``slot.parameter``, by parameter."""
    prefix = f"{slot}."
    return {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)}
