"""The first fits of the quality data, repeated on the same rows: power laws without collapse, patterns one by one.

They are what the shipped forms are measured against. Their pruning fits compare ln z, not ln y, with
z = y / (1 - y / ceiling).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cost_models.library.technology import Technology
from cost_models.table import FloatArray
from cost_models.weights.quality import rise
from studies.fits.quality.fit import Constants, Errors, Form, cross_validate, damage_of, errors_of, fit

REFERENCE_GROUP, CHANNEL_GROUP = 128.0, 4096.0


@dataclass(frozen=True)
class Reproduction:
    """One of the first fits.

    Attributes:
        name: what it fits.
        constants: what it finds.
        errors: on its own rows.
        left_out: the same, each model predicted without its rows.
    """

    name: str
    constants: Constants
    errors: Errors
    left_out: Errors


def reproduce(quantised: pd.DataFrame, pruned: pd.DataFrame) -> list[Reproduction]:
    """Return the first fits: quantisation, unstructured pruning up to y = 2 and 9, N:M patterns.

    Args:
        quantised: rows of quantised models; AWQ counts as GPTQ.
        pruned: rows of pruned models; Nemotron's are left out, and OWL on Wanda's unless it is a pattern.
    """
    merged = quantised.assign(method_class=quantised["method_class"].replace("awq", "gptq"))
    result = [_reproduce("quantisation", QUANTISATION, merged[merged["y"] < 1], lambda y: y, lambda z: z)]
    taken = pruned[(pruned["model_family"] != "Nemotron") & (pruned["method"] != "OWL+Wanda")]
    free = taken[np.isinf(taken["block"])]
    for limit in (2, 9):
        result.append(_reproduce(f"unstructured, y < {limit}", FREE, free[free["y"] < limit], damage_of, _saturated))
    confined = taken[np.isfinite(taken["block"])]
    confined = confined.assign(method_class=confined["pattern"] + " " + confined["method_class"])
    return [*result, _reproduce("N:M", CONFINED, confined, damage_of, _saturated)]


def _reproduce(
    name: str, form: Form, rows: pd.DataFrame,
    before: Callable[[FloatArray], FloatArray], after: Callable[[FloatArray], FloatArray],
) -> Reproduction:  # fmt: skip
    rows = rows.reset_index(drop=True)
    measured = rows["y"].to_numpy()
    target = rows.assign(y=before(measured))
    constants = fit(form, target)
    in_sample, left_out = form.predict(target, constants), cross_validate(form, target, "model")
    return Reproduction(
        name,
        constants,
        errors_of(measured, after(in_sample), below=np.inf),
        errors_of(measured, after(left_out), below=np.inf),
    )


def _saturated(damage: FloatArray) -> FloatArray:
    return rise(damage, Technology())


def _power_law(classes: tuple[str, ...], terms: dict[str, Callable[[pd.DataFrame], FloatArray]]) -> Form:
    """Return the form ln y = ln damage of the class + sum of exponents times logarithms."""

    def predict(rows: pd.DataFrame, constants: Constants) -> FloatArray:
        damage = rows["method_class"].map(lambda name: constants[f"damage.{name}"]).to_numpy()
        return damage * np.exp(sum(constants[name] * term(rows) for name, term in terms.items()))

    start = {f"damage.{name}": 0.1 for name in classes}
    return Form(classes, start | dict.fromkeys(terms, 0.1), frozenset(start), predict, lambda rows: rows)


def _octaves(rows: pd.DataFrame) -> FloatArray:
    group = rows["group"].replace(0.0, CHANNEL_GROUP).to_numpy()
    return np.log(group / REFERENCE_GROUP)


def _training(rows: pd.DataFrame) -> FloatArray:
    return np.log(rows["tokens"].to_numpy() / 2)


def _size(rows: pd.DataFrame) -> FloatArray:
    return np.log(rows["params_B"].to_numpy() / 7)


def _odds(rows: pd.DataFrame) -> FloatArray:
    sparsity = rows["sparsity"].to_numpy()
    return np.log(sparsity / (1 - sparsity))


QUANTISATION = _power_law(
    ("rtn", "gptq", "omniquant", "qat", "vector", "kquant", "kquant_imatrix"),
    {"kappa": lambda rows: (4 - rows["bits"].to_numpy()) * np.log(2), "gamma": _octaves, "alpha": _training},
)
FREE = _power_law(("sparsegpt", "wanda", "alps"), {"power": _odds, "alpha": _training, "size": _size})
CONFINED = _power_law(
    tuple(f"{pattern} {name}" for pattern in ("2:4", "4:8") for name in ("sparsegpt", "wanda", "alps")),
    {"alpha": _training, "size": _size},
)
