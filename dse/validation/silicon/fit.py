"""Constants of area and power fitted on real chips, and what they predict of a die that they have never seen.

Least squares on the logarithm of predicted over published, every chip once, by Gauss and Newton for all folds at once:
a fold is a copy of the chips with parameters of its own. A die that is left out is left out of everything: the
constants are fitted on the others, and parameters of the library that it informed take what is known without it
(``informed.csv``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cost_models.library import Library
from cost_models.library.technology import Technology
from cost_models.table import FloatArray
from dse.validation.silicon.designs import RealChips, predicted_area_mm2, predicted_power_w
from dse.validation.silicon.rows import read_checks, records

Quantity = Literal["area", "power"]

QUANTITIES: tuple[Quantity, ...] = ("area", "power")
"""In the order of the fits: power depends on the area that is predicted."""

PREDICTED: Mapping[Quantity, Callable[[RealChips, Technology], FloatArray]] = {
    "area": predicted_area_mm2,
    "power": predicted_power_w,
}
PUBLISHED: Mapping[Quantity, str] = {"area": "die_mm2", "power": "power_w"}


ITERATIONS = 12
STEP = 1e-4
LONGEST = 0.5
"""Gauss-Newton steps, the difference that a slope is taken over, and the largest step, in logarithms."""


@dataclass(frozen=True)
class Fits:
    """Constants of one quantity from several sets of chips, ``folds`` first.

    Attributes:
        names: the parameters.
        values: ``(folds, names)`` fitted values.
        errors: ``(folds, names)`` standard errors of their logarithms.
    """

    names: tuple[str, ...]
    values: FloatArray
    errors: FloatArray


@dataclass(frozen=True)
class LeftOut:
    """What constants say of the chips, and of chips that they have never seen.

    Attributes:
        fits: quantity to constants, those of all chips in the first row and then one row for each die left out.
        in_sample: quantity to ``(n,)`` predictions by constants of all chips.
        predicted: quantity to ``(n,)`` predictions, each chip's die left out.
        unaware: by die, the parameters that differ from the library's where it is left out.
    """

    fits: Mapping[Quantity, Fits]
    in_sample: Mapping[Quantity, FloatArray]
    predicted: Mapping[Quantity, FloatArray]
    unaware: Mapping[str, Mapping[str, float]]


def starts(quantity: Quantity, library: Library) -> dict[str, float]:
    """Return the fitted constants of a quantity and where their search starts."""
    return {
        row["parameter"]: float(row["start"]) for row in records("constants", library) if row["quantity"] == quantity
    }


def informed(library: Library) -> dict[str, dict[str, float]]:
    """Return by die the parameters of the library that it informed, and what they are without it."""
    result: dict[str, dict[str, float]] = {}
    for parameter, die, without in read_checks("informed", library)[["parameter", "die", "without"]].itertuples(
        index=False
    ):
        result.setdefault(str(die), {})[str(parameter)] = float(without)
    return result


def published(chips: RealChips, quantity: Quantity) -> FloatArray:
    """Return what is published of a quantity, NaN where nothing is."""
    return chips.numbers(PUBLISHED[quantity])


def fit(chips: RealChips, quantity: Quantity, used: NDArray[np.bool_], technology: Technology) -> Fits:
    """Return the constants of a quantity that predict the `used` chips best, for every fold.

    Args:
        chips: the chips of all folds one after the other, ``folds * n``.
        quantity: what is fitted.
        used: ``(folds, n)`` chips that count; those of which nothing is published do not.
        technology: every other parameter.
    """
    start, (folds, n) = starts(quantity, technology.library), used.shape
    names = tuple(start)
    real = published(chips, quantity).reshape(folds, n)
    weight = (used & np.isfinite(real)).astype(np.float64)

    def misfit(logs: FloatArray) -> FloatArray:
        values = {name: np.repeat(np.exp(logs[:, k]), n) for k, name in enumerate(names)}
        predicted = PREDICTED[quantity](chips, technology.with_overrides(values)).reshape(folds, n)
        return np.where(weight > 0, np.log(predicted / real), 0.0)

    logs = np.tile(np.log(list(start.values())), (folds, 1))
    slopes = np.zeros((folds, n, len(names)))
    for _ in range(ITERATIONS):
        here = misfit(logs)
        for k in range(len(names)):
            aside = logs.copy()
            aside[:, k] += STEP
            slopes[:, :, k] = (misfit(aside) - here) / STEP
        normal = np.einsum("fni,fnj->fij", slopes, slopes)
        wanted = np.linalg.solve(normal, np.einsum("fni,fn->fi", slopes, here)[..., None])[..., 0]
        logs = logs - np.clip(wanted, -LONGEST, LONGEST)
    freedom = weight.sum(axis=1) - len(names)
    variance = (misfit(logs) ** 2).sum(axis=1) / freedom
    errors = np.sqrt(np.diagonal(np.linalg.inv(normal), axis1=1, axis2=2) * variance[:, None])
    return Fits(names, np.exp(logs), errors)


def left_out(chips: RealChips, technology: Technology) -> LeftOut:
    """Return the constants of all chips, and what is predicted of each chip without its die."""
    names, without = tuple(dict.fromkeys(chips.dies)), informed(technology.library)
    dies, n = np.array(chips.dies), len(chips)
    used = np.array([np.ones(n, dtype=bool), *(dies != die for die in names)])
    folds = len(used)
    copies = chips.repeated(folds)
    columns: dict[str, FloatArray] = {}
    for place, die in enumerate(names, start=1):
        for parameter, value in without.get(die, {}).items():
            usual = np.full((folds, n), float(np.asarray(technology.value(parameter))))
            columns.setdefault(parameter, usual.ravel()).reshape(folds, n)[place] = value
    technology = technology.with_overrides(columns)
    fits: dict[Quantity, Fits] = {}
    in_sample, predicted = {}, {}
    for quantity in QUANTITIES:
        result = fits[quantity] = fit(copies, quantity, used, technology)
        own = {name: np.repeat(result.values[:, k], n) for k, name in enumerate(result.names)}
        technology = technology.with_overrides(own)
        table = PREDICTED[quantity](copies, technology).reshape(folds, n)
        in_sample[quantity] = table[0]
        predicted[quantity] = np.array([table[1 + names.index(die), row] for row, die in enumerate(chips.dies)])
    unaware = {
        die: {
            **without.get(die, {}),
            **{name: float(one.values[place, k]) for one in fits.values() for k, name in enumerate(one.names)},
        }
        for place, die in enumerate(names, start=1)
    }
    return LeftOut(fits, in_sample, predicted, unaware)
