"""Designs as Optuna's users know them: real parameters, with the distributions that a sweep declares.

Inside, a sampler of Optuna's sees coordinates of the unit cube (`dse.samplers.optuna.sampler`). A study that people and
other processes look at holds the values themselves: names and listed numbers as categories, ranges as ranges. A
parameter that does not apply to a design is not among the parameters of its trial.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cost_models.table import Choice, Designs, FloatArray, Table, cells_of, column_of
from dse.space import Space
from dse.sweep import ParameterSpec, RangeSpec

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Parameters = dict[str, Any]


def parameter_distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return the distribution of every parameter that is not the same in all designs."""
    return {name: _distribution(space.declared(name)) for name in space.parameters if name not in space.fixed}


def _distribution(entries: Sequence[ParameterSpec]) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    ranges = [entry for entry in entries if isinstance(entry, RangeSpec)]
    listed = [value for entry in entries if not isinstance(entry, RangeSpec) for value in entry.values]
    if not ranges:
        return CategoricalDistribution([_plain(value) for value in dict.fromkeys(listed)])
    numbers = [float(value) for value in listed] + [end for entry in ranges for end in entry.bounds]
    low, high, log = min(numbers), max(numbers), all(entry.log for entry in ranges)
    if not all(entry.type == "int" for entry in ranges) or not all(value.is_integer() for value in numbers):
        return FloatDistribution(low, high, log=log)
    step = ranges[0].step if len(entries) == 1 else None
    if step is None or log:
        return IntDistribution(int(low), int(high), log=log)
    count = int((high - low) / step * (1 + 1e-12))
    return IntDistribution(int(low), int(low + count * step), step=int(step))


def _plain(value: float | str) -> float | int | str:
    return int(value) if not isinstance(value, str) and float(value).is_integer() else value


def trial_parameters(distributions: Mapping[str, BaseDistribution], designs: Designs) -> list[Parameters]:
    """Return the parameters of each design, without those that do not apply to it."""
    from optuna.distributions import IntDistribution

    rows: list[Parameters] = []
    for name, distribution in distributions.items():
        column = designs[name]
        values = cells_of(column)
        rows = rows or [{} for _ in values]
        whole = isinstance(distribution, IntDistribution) or not isinstance(column, Choice)
        for row, value in zip(rows, values, strict=True):
            if value is None:
                continue
            is_whole = whole and not isinstance(value, str) and float(value).is_integer()
            row[name] = int(value) if is_whole and not _is_float(distribution) else value
    return rows


def _is_float(distribution: BaseDistribution) -> bool:
    from optuna.distributions import FloatDistribution

    return isinstance(distribution, FloatDistribution)


def designs_of_trials(space: Space, trials: Sequence[Parameters]) -> Table:
    """Return the designs of parameters as `trial_parameters` makes them; values that the space lacks are inactive."""
    designs = Table()
    for name, parameter in space.parameters.items():
        values = [space.fixed.get(name, row.get(name)) for row in trials]
        known = [value if isinstance(value, str | int | float) else None for value in values]
        designs[name] = column_of(known, parameter.names)
    return designs


def unit_points(space: Space, trials: Sequence[Parameters]) -> FloatArray:
    """Return ``(n, dimensions)`` points of the unit cube that stand for trials."""
    return space.encode(designs_of_trials(space, trials))
