"""Parameters of stages: what each accepts, for people, and a stage made from values."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from vdenoise.errors import UsageError, did_you_mean
from vdenoise.settings.setting import Setting
from vdenoise.stages import stage_class

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from vdenoise.stages.base import Stage


@cache
def parameters(name: str) -> Mapping[str, Setting]:
    """The parameters of the stage ``slot.method`` by name, as declared on its model."""
    return {key: _described(info) for key, info in stage_class(name).model_fields.items()}


def build(cls: type[Stage], values: Mapping[str, Any]) -> Stage:
    """Make a stage; a wrong value gives the same sentence from everywhere.

    Raises:
        UsageError: a value is not accepted.
    """
    from pydantic import ValidationError

    for key, value in values.items():
        if key not in cls.model_fields:  # of a recipe or a plan: elsewhere names were looked up
            raise UsageError(
                f"{cls.slot}.{cls.method} has no parameter {key!r}."
                f"{did_you_mean(key, cls.model_fields)}",
                f"See what it accepts with: vdenoise stages {cls.slot}.{cls.method}",
                number=16,
            )
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
    return next((option for option in _options(info) if str(option) == str(value)), value)


def _refused(cls: type[Stage], key: str, value: Any) -> UsageError:
    return _described(cls.model_fields[key]).refusal(f"{cls.slot}.{key}", value)


def _described(info: FieldInfo) -> Setting:
    options = ("true", "false") if info.annotation is bool else _options(info)
    texts = {str: "a name or a file", int: "", float: ""}
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    return Setting(
        info.default,
        info.description or "",
        low=next((m.ge for m in info.metadata if getattr(m, "ge", None) is not None), None),
        high=next((m.le for m in info.metadata if getattr(m, "le", None) is not None), None),
        unit=str(extra.get("unit", "")),
        whole=info.annotation is int,
        words=tuple(map(str, options)),
        text_of=texts.get(info.annotation, "text"),  # type: ignore[arg-type]
    )


def _options(info: FieldInfo) -> tuple[Any, ...]:
    """The values to choose among, where a parameter is one of a few."""
    return getattr(info.annotation, "__args__", ())


def in_slot(values: Mapping[str, Any], slot: str) -> dict[str, Any]:
    """A slot's values out of all, which are named ``slot.parameter``, by parameter."""
    prefix = f"{slot}."
    return {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)}
