"""The kinds of value that a sweep holds: numbers with units, names of the library, metrics.

Each is a pydantic annotation whose validators look names up in the `ValidationContext`, so that one pass over
a file finds a misspelt model and a wrong unit alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from cost_models.library import Library
from cost_models.library.names import nearest, resolve, singular
from cost_models.library.plain_yaml import scalar_of
from cost_models.quantities.columns import metric_of
from cost_models.quantities.metrics import P_FEASIBLE
from cost_models.quantities.parameters import PARAMETERS
from cost_models.quantities.records import MOST_SIZE, Metric, Parameter, size_issue
from cost_models.quantities.workload_fields import MOST_TOKENS, WORKLOAD_FIELDS
from cost_models.workload.serving import KINDS, Layout
from cost_models.workload.speculation import MTP, NGRAM
from dse.sweep.hints import DIRECTION_ALIASES, NAME_ALIASES, one_of, quoted, suggest, suggest_metric
from dse.units import UnitError, parse_quantity, split_quantity

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_COUNT = re.compile(r"^[-+0-9.]+\s*[xX×]\s*")
_CHIPS = re.compile(r"(?:([0-9]+)\s*[xX×]\s*)?(\S+)")


@dataclass(frozen=True)
class ValidationContext:
    """What the values of a sweep are checked against.

    Attributes:
        library: the library.
        metrics: every metric name that this sweep may use.
        described: its metrics by bare name.
        baselines: names of its baselines.
        parameter: the parameter that is being read, for the entries of `space`.
        folder: where files that the sweep names are looked for.
    """

    library: Library
    metrics: tuple[str, ...]
    described: Mapping[str, Metric]
    baselines: tuple[str, ...]
    parameter: Parameter | None = None
    folder: Path = Path()


def issue(what: str, must_be: str = "", perhaps: str = "") -> PydanticCustomError:
    """Return the error by which a validator states an issue (see `dse.errors.Issue` for the parts)."""
    return PydanticCustomError("issue", "{what}", {"what": what, "must_be": must_be, "perhaps": perhaps})


def validation_context(info: ValidationInfo) -> ValidationContext:
    """Return the door of a validation."""
    assert isinstance(info.context, ValidationContext), "a record of a sweep is validated with a ValidationContext"
    return info.context


def as_number(value: object, unit: str) -> int | float:
    """Return a value as a number of `unit`; text may carry a unit. Whole as written means int."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise issue(quoted(value), "a number")
    if not isinstance(value, str):
        return value
    plain = scalar_of(value.strip())
    if isinstance(plain, int) and not isinstance(plain, bool):
        return plain
    try:
        return parse_quantity(value, unit)
    except UnitError as error:
        raise issue(quoted(value), error.must_be, error.perhaps) from None


def as_whole(value: int | float, given: object) -> int:
    """Return a number as an int."""
    if not abs(value) <= MOST_SIZE or value != int(value):
        raise issue(quoted(given), f"a whole number{f', {most}' if (most := size_issue(value)) else ''}")
    return int(value)


def check_size(number: int | float, given: object, unit: str = "") -> None:
    """Refuse a number that is larger or nearer to 0 than any amount of the unit is."""
    if must := size_issue(number):
        raise issue(quoted(given), f"{must} ({unit})" if unit else must)


def check_bounds(number: int | float, given: object, parameter: Parameter) -> None:
    """Refuse a number outside the parameter's bounds, or of a size that no amount has."""
    above = number > parameter.low if parameter.open_low else number >= parameter.low
    if above and number <= parameter.high:
        check_size(number, given, parameter.unit)
        return
    unit = f" {parameter.unit}" if parameter.unit else ""
    low = f"{'above' if parameter.open_low else 'at least'} {quoted(float(parameter.low))}{unit}"
    high = f" and at most {quoted(float(parameter.high))}{unit}" if parameter.high < float("inf") else ""
    in_percent = parameter.high <= 1 and 2 <= number <= 100 and not parameter.unit  # 1.1 is a slip, 40 a percent
    raise issue(quoted(given), low + high, f"'{number:g} %'" if in_percent else "")


def number_of(parameter: Parameter) -> Callable[[object], int | float]:
    """Return the validator of numbers of a parameter."""

    def validate(value: object) -> int | float:
        number = as_number(value, parameter.unit)
        if parameter.integer:
            number = as_whole(number, value)
        check_bounds(number, value, parameter)
        return number

    return validate


def number(
    *, low: float = float("-inf"), high: float = float("inf"), open_low: bool = False, whole: bool = False
) -> BeforeValidator:
    """Return an annotation of pure numbers that are not parameters."""
    return BeforeValidator(number_of(Parameter("", "", "", None, integer=whole, low=low, high=high, open_low=open_low)))


_POSITIVE = Parameter("", "", "", None)


def amount_in(unit: str) -> BeforeValidator:
    """Return an annotation of positive numbers of a unit that are not parameters."""
    return BeforeValidator(number_of(Parameter("", unit, "", None)))


def check_value(value: object, parameter: Parameter, library: Library) -> int | float | str:
    """Return a value of a parameter: one of its names, or a number in its unit and within its bounds."""
    return check_name(value, parameter, library) if parameter.is_choice else number_of(parameter)(value)


def check_name(value: object, parameter: Parameter, library: Library) -> str:
    """Return `value` if it names what the parameter asks for."""
    known = known_names(parameter, library)
    kind = singular(parameter.section or parameter.name).replace("_", " ")
    if not isinstance(value, str):
        raise issue(quoted(value), f"the name of a {kind}", suggest(str(value), known))
    if parameter.section == "models":
        value = resolve("model", value, library)
    if value not in known:
        perhaps = suggest(value, known, NAME_ALIASES)
        if parameter.section == "models" and (likest := nearest("model", value, library)):
            perhaps = likest
        words = one_of(known) if len(known) <= 8 else f"a {kind} of the library (dse library lists them)"
        raise issue(quoted(value), words, perhaps)
    return value


def known_names(parameter: Parameter, library: Library) -> tuple[str, ...]:
    """Return the names that a choice may take."""
    return tuple(getattr(library, parameter.section)) if parameter.section else parameter.names


def _of_field(value: object, info: ValidationInfo) -> int | float | str:
    """Check the value of a field that is named as the parameter of a workload or a design that it sets."""
    name = str(info.field_name)
    return check_value(value, WORKLOAD_FIELDS.get(name) or PARAMETERS[name], validation_context(info).library)


def _metric(value: object, info: ValidationInfo) -> str:
    known = validation_context(info).metrics
    if not isinstance(value, str):
        raise issue(quoted(value), "the name of a metric")
    if value not in known:
        if value == P_FEASIBLE:
            raise issue(f"{P_FEASIBLE} needs Monte Carlo samples", perhaps="add robustness: {draws: 2000}")
        raise issue(quoted(value), "a metric of this sweep", suggest_metric(value, known))
    return value


def _baseline(value: object, info: ValidationInfo) -> str:
    known = validation_context(info).baselines
    if not isinstance(value, str) or value not in known:
        must_be = "a baseline of this sweep" + ("" if known else " (it has none)")
        raise issue(quoted(value), must_be, suggest(str(value), known))
    return value


def _chips(value: object, info: ValidationInfo) -> str:
    known = tuple(validation_context(info).library.chips)
    match = _CHIPS.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or match[1] == "0" * len(match[1] or " "):
        meant = suggest(_COUNT.sub("", str(value)).replace(" ", ""), known, NAME_ALIASES)
        raise issue(quoted(value), "a chip of the library, or a count of one", meant and f"1x {meant}")
    count, chip = int(match[1] or 1), match[2]
    if chip not in known:
        perhaps = suggest(chip, known, NAME_ALIASES)
        counted = f"{count}x {perhaps}" if perhaps and match[1] else perhaps
        raise issue(quoted(chip), "a chip of the library (dse library lists them)", counted)
    entry = validation_context(info).library.chips[chip]
    missing = [name for name in ("capacity_gib", "bandwidth_gbps") if getattr(entry, name) is None]
    if missing:
        raise issue(f"the chip {chip} cannot be evaluated: its {missing[0]} is not published")
    return f"{count}x {chip}"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise issue(quoted(value), "text", f"'{quoted(value)}'" if isinstance(value, int | float) else "")
    return value


def is_identifier(text: str) -> bool:
    """Return whether a text can name a sweep, a workload or a baseline."""
    return bool(_IDENTIFIER.fullmatch(text)) and len(text) <= 80


def _identifier(value: object) -> str:
    text = _text(value)
    if not is_identifier(text):
        meant = re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_-")[:80]
        raise issue(
            quoted(text), "letters, digits, _ or -, beginning with a letter", meant if is_identifier(meant) else ""
        )
    return text


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        meant = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
        raise issue(quoted(value), "true or false", meant.get(str(value).casefold(), ""))
    return value


def word_of(names: tuple[str, ...], foreign: Mapping[str, str] | None = None) -> BeforeValidator:
    """Return an annotation of one word among a few."""

    def validate(value: object) -> str:
        if not isinstance(value, str) or value not in names:
            meant = suggest(str(value), names, foreign)
            raise issue(quoted(value), one_of(names), f"'{meant}'" if meant in names else meant)
        return value

    return BeforeValidator(validate)


def bound(value: object, info: ValidationInfo) -> float:
    """Return a bound of a constraint in the unit of its metric, or as a ratio where it is relative."""
    metric = info.data.get("metric")
    if metric is None:
        # The metric itself is at fault: its unit is unknown, so only the number is checked.
        return split_quantity(value, "")[0] if isinstance(value, str) else float(as_number(value, ""))
    asked = metric_of(metric, validation_context(info).described)
    unit = "" if info.data.get("relative_to") else asked.unit
    number = as_number(value, unit)
    check_size(number, value, unit)
    if number < asked.low and not info.data.get("relative_to"):
        perhaps = f"{-number:g}" if -number > asked.low else ""
        raise issue(quoted(value), f"at least {asked.low:g}: {metric} is never below it", perhaps)
    return float(number)


def tolerance(value: object, info: ValidationInfo) -> float:
    """Return the tolerance around ``near`` as a share of it; text with the metric's unit is divided by it."""
    metric, near = info.data.get("metric"), info.data.get("near")
    try:
        share = float(as_number(value, ""))
    except PydanticCustomError:
        unit = (
            ""
            if metric is None or info.data.get("relative_to")
            else metric_of(metric, validation_context(info).described).unit
        )
        if not unit or not near:
            raise
        share = float(as_number(value, unit)) / abs(near)
    check_bounds(share, value, _POSITIVE)
    return share


DESIGN = "design"
"""A pool that is made of the design that the space describes."""

DRAFTS = (MTP, NGRAM)
"""Drafts that are no model of the library."""

LARGEST = "largest"
"""The batch that the memory of the chips holds at most."""

_MEAN_BATCH = number_of(replace(WORKLOAD_FIELDS["batch"], integer=False))


def _batch(value: object) -> int | float | str:
    """Return a batch, which may be a mean over time."""
    return LARGEST if value == LARGEST else _MEAN_BATCH(value)


def _parallelism(value: object) -> str:
    try:
        Layout.of(value if isinstance(value, str) else "")
    except ValueError:
        must_be = f"{one_of(KINDS)}, or numbers of chips such as tp4_pp2, dp8_tp2 or layer_split4"
        raise issue(quoted(value), must_be, suggest(str(value), KINDS)) from None
    return str(value)


def _pool(value: object) -> object:
    """Return a pool of chips as a mapping, None for the design that is searched."""
    if value == DESIGN:
        return None
    return {"chips": value} if isinstance(value, str) else value


def _draft(value: object, info: ValidationInfo) -> str:
    if value in DRAFTS:
        return str(value)
    try:
        return check_name(value, WORKLOAD_FIELDS["model"], validation_context(info).library)
    except PydanticCustomError as error:
        meant = suggest(str(value), DRAFTS) or (error.context or {})["perhaps"]
        raise issue(quoted(value), f"a model of the library, or {one_of(DRAFTS)}", meant) from None


POOL = BeforeValidator(_pool)
"""Chips that may be given by their name alone, or as the design."""

Milliseconds: TypeAlias = Annotated[float, amount_in("ms")]
Bandwidth: TypeAlias = Annotated[float, amount_in("GB/s")]
TokenRate: TypeAlias = Annotated[float, amount_in("token/s")]
Share: TypeAlias = Annotated[float, amount_in("")]
Text: TypeAlias = Annotated[str, BeforeValidator(_text)]
Identifier: TypeAlias = Annotated[str, BeforeValidator(_identifier)]
Flag: TypeAlias = Annotated[bool, BeforeValidator(_flag)]
MetricName: TypeAlias = Annotated[str, BeforeValidator(_metric)]
BaselineName: TypeAlias = Annotated[str, BeforeValidator(_baseline)]
Chips: TypeAlias = Annotated[str, BeforeValidator(_chips)]
Direction: TypeAlias = Annotated[str, word_of(("minimize", "maximize"), DIRECTION_ALIASES)]
Bound: TypeAlias = Annotated[float, BeforeValidator(bound)]
Tolerance: TypeAlias = Annotated[float, BeforeValidator(tolerance)]
Whole: TypeAlias = Annotated[int, number(low=1, whole=True)]
Named: TypeAlias = Annotated[str, BeforeValidator(_of_field)]
Counted: TypeAlias = Annotated[int, BeforeValidator(_of_field)]
Measured: TypeAlias = Annotated[float, BeforeValidator(_of_field)]
Seed: TypeAlias = Annotated[int, number(low=0, high=2**32 - 1, whole=True)]

Batch: TypeAlias = Annotated[int | float | Literal["largest"], BeforeValidator(_batch)]
PromptTokens: TypeAlias = Annotated[int | float, number(low=0, high=MOST_TOKENS)]
OutputTokens: TypeAlias = Annotated[int | float, number(low=0, high=MOST_TOKENS, open_low=True)]
CachedPrefix: TypeAlias = Annotated[float, number(low=0, high=MOST_TOKENS)]
ParallelismName: TypeAlias = Annotated[str, BeforeValidator(_parallelism)]
Percentile: TypeAlias = Annotated[float, number(low=50, high=99.9)]
DraftName: TypeAlias = Annotated[str, BeforeValidator(_draft)]
StoredBits: TypeAlias = Annotated[float, number(low=0, high=32, open_low=True)]
