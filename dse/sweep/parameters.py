"""What a sweep says of one parameter: fixed, a list of values, or a range, perhaps under a condition."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic.main import BaseModel

from cost_models.quantities.records import Parameter
from dse.sweep.fields import Flag, as_number, as_whole, check_value, issue, validation_context, word_of
from dse.sweep.hints import quoted

Value: TypeAlias = "float | str"
"""A number in the parameter's unit, or a name."""


def _parameter(info: ValidationInfo) -> Parameter:
    parameter = validation_context(info).parameter
    assert parameter is not None, "a parameter of the space is validated with the parameter in its context"
    return parameter


def _value(value: object, info: ValidationInfo) -> int | float | str:
    return check_value(value, _parameter(info), validation_context(info).library)


def _step(value: object, info: ValidationInfo) -> int | float:
    step = as_number(value, _parameter(info).unit)
    if not step > 0:
        raise issue(quoted(value), "above 0")
    return step


def _levels(value: object) -> int:
    levels = as_whole(as_number(value, ""), value)
    if not 2 <= levels <= MAX_LEVELS:
        raise issue(quoted(value), f"at least 2 and at most {MAX_LEVELS}")
    return levels


def _values(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise issue(quoted(value), "a list", f"[{value}]" if isinstance(value, str | int | float) else "")
    if not value:
        raise issue("an empty list", "a list of at least one value")
    return value


def _condition(value: object) -> object:
    """Return a condition with every entry as a list of plain values."""
    if not isinstance(value, Mapping) or not value:
        raise issue(quoted(value), "a mapping from another parameter to its values", "{memory: [hbm3]}")
    entries = {name: item if isinstance(item, list | tuple) else (item,) for name, item in value.items()}
    for name, items in entries.items():
        if not items:
            raise issue(f"the list of values of {name} is empty")
        for item in items:
            if isinstance(item, bool) or not isinstance(item, str | int | float):
                raise issue(f"{quoted(item)} for {name}", "a name or a number")
    return entries


MAX_LEVELS = 1_000_000
"""Most points that `levels` may put on one range."""

Amount: TypeAlias = Annotated[float, BeforeValidator(_value)]
OneValue: TypeAlias = Annotated[float | str, BeforeValidator(_value)]
Condition: TypeAlias = Annotated[Mapping[str, tuple[float | str, ...]], BeforeValidator(_condition)]


class Declaration(BaseModel):
    """What all forms of a parameter share.

    Attributes:
        when: other parameters and the values at which this one exists; always where empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: Condition = Field(default_factory=dict)

    def written(self) -> Any:
        """Return the declaration as it would stand in a file."""
        return self.model_dump(mode="json", exclude_defaults=True)


class FixedSpec(Declaration):
    """A parameter that every design shares."""

    value: OneValue

    @property
    def values(self) -> tuple[OneValue]:
        """The value, as the only one of a list."""
        return (self.value,)

    def written(self) -> Any:
        """Return the declaration as it would stand in a file."""
        return self.value


class ValuesSpec(Declaration):
    """A list of names or numbers."""

    values: Annotated[tuple[OneValue, ...], BeforeValidator(_values)]

    @field_validator("values")
    @classmethod
    def _no_repeats(cls, values: tuple[Value, ...]) -> tuple[Value, ...]:
        for index, value in enumerate(values):
            if value in values[:index]:
                raise issue(f"{quoted(value)} is listed twice")
        return values


class RangeSpec(Declaration):
    """Numbers from `low` to `high`, both included.

    Attributes:
        low: least value.
        high: largest value.
        step: distance of the values, counted from `low`; the last one may lie below `high`.
        log: whether the values are spread evenly over the logarithm.
        levels: number of values, evenly spread; whole-number parameters round them and drop repeats.
        type: whether values are whole; told by how `low`, `high` and `step` are written where not given.
    """

    low: OneValue
    high: OneValue
    step: Annotated[float, BeforeValidator(_step)] | None = None
    log: Flag = False
    levels: Annotated[int, BeforeValidator(_levels)] | None = None
    type: Annotated[Literal["int", "float"], word_of(("int", "float"))] = "float"

    @model_validator(mode="before")
    @classmethod
    def _infer_type(cls, data: object, info: ValidationInfo) -> object:
        """Fill `type` in: whole where the parameter is, or where no bound is written with a decimal."""
        if not isinstance(data, dict) or "type" in data:
            return data
        written = [data[key] for key in ("low", "high", "step") if key in data]
        whole = all(isinstance(number, int) or _is_whole_text(number) for number in written)
        return {**data, "type": "int" if whole or _parameter(info).integer else "float"}

    @field_validator("type")
    @classmethod
    def _type_fits(cls, value: str, info: ValidationInfo) -> str:
        parameter = _parameter(info)
        if value == "float" and parameter.integer:
            raise issue(f"{parameter.name} takes whole numbers only: type float", "possible here", "int")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> RangeSpec:
        low, high = self.bounds
        if not low < high:
            raise issue(f"low {quoted(low)}", f"below high {quoted(high)}", _swapped(low, high))
        if self.log and low <= 0:
            raise issue(f"low {quoted(low)} of a range with log: true", "above 0")
        if self.step is not None and self.levels is not None:
            raise issue("step and levels are both given; one of them says which values there are")
        if self.step is not None and self.log:
            raise issue("step does not go with log: true", perhaps="levels")
        # 0.7 - 0.6 is a little less than 0.1.
        if self.step is not None and self.step > (high - low) * (1 + 1e-9):
            raise issue(f"step {quoted(self.step)}", f"at most high - low = {high - low:g}")
        if self.step is not None and (high - low) / self.step > MAX_LEVELS:
            raise issue(f"step {quoted(self.step)} makes more than {MAX_LEVELS} values")
        if self.type == "int":
            fractional = [f"{name} {quoted(v)}" for name, v in self._written_numbers() if v != int(v)]
            if fractional:
                raise issue(f"{fractional[0]} of a range of type int", "a whole number")
        return self

    def _written_numbers(self) -> list[tuple[str, float]]:
        low, high = self.bounds
        return [("low", low), ("high", high)] + ([("step", self.step)] if self.step is not None else [])

    @property
    def bounds(self) -> tuple[float, float]:
        """The two ends, as numbers."""
        assert not isinstance(self.low, str) and not isinstance(self.high, str), "names have no range"
        return float(self.low), float(self.high)

    @property
    def is_finite(self) -> bool:
        """Whether the file says which values there are, so that they can be enumerated."""
        return self.step is not None or self.levels is not None

    def written(self) -> Any:
        """Return the declaration as it would stand in a file; `type` always, since it need not be inferred then."""
        return {**super().written(), "type": self.type}


ParameterSpec: TypeAlias = "FixedSpec | ValuesSpec | RangeSpec"


def kind_of(raw: Mapping[str, object]) -> type[ValuesSpec] | type[RangeSpec] | None:
    """Return which form of declaration a mapping is meant to be, None where it cannot be told."""
    if "values" in raw:
        return None if "low" in raw or "high" in raw else ValuesSpec
    return RangeSpec if "low" in raw or "high" in raw else None


def _is_whole_text(value: object) -> bool:
    try:
        return isinstance(value, str) and isinstance(as_number(value, ""), int)
    except ValueError:
        return False


def _swapped(low: float, high: float) -> str:
    return "low and high swapped" if high < low and math.isfinite(high) else ""
