"""Whether intervals of area and power hold what they say, of real chips.

The parameters are drawn as `dse robust` draws them. Open: around the library's values. Left out: around the values that
the library would have without the die, each draw moved in proportion.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cost_models.library.technology import Technology
from cost_models.table import FloatArray
from dse.uncertainty.monte_carlo import monte_carlo_samples, spreads_of
from dse.validation.results import ScoreTable
from dse.validation.silicon.designs import RealChips
from dse.validation.silicon.fit import PREDICTED, QUANTITIES, LeftOut, published

CALIBRATION_NOTE = (
    "every ranged parameter drawn as by dse robust, the models' own error (model_error) with them; open: around the "
    "library's values, left out: around what they would be without the die. An interval that holds what it says "
    "contains 80 %, half of them above its median"
)

DRAWS = 400
SEED = 0
QUANTILES = (0.1, 0.5, 0.9)


def drawn(chips: RealChips, unaware: Mapping[str, Mapping[str, float]] | None, technology: Technology) -> Technology:
    """Return the technology of the chips, repeated once per draw: every parameter that they depend on is drawn.

    Args:
        chips: the chips, once.
        unaware: by die, parameters that are others where it is left out; None for the library's.
        technology: the library's parameters.
    """
    for predict in PREDICTED.values():
        predict(chips, technology)
    free = technology.reads - technology.overridden
    spreads = spreads_of(sorted(free), {}, technology.library)
    samples = monte_carlo_samples(spreads, draws=DRAWS, seed=SEED)
    columns = {path: np.repeat(values, len(chips)) for path, values in samples.items()}
    moved = {path for one in (unaware or {}).values() for path in one}
    for path in sorted(moved):
        usual = float(np.asarray(technology.value(path)))
        own = [(unaware or {}).get(die, {}).get(path, usual) / usual for die in chips.dies]
        columns[path] = columns.get(path, np.full(DRAWS * len(chips), usual)) * np.tile(own, DRAWS)
    return technology.with_overrides(columns)


def intervals(chips: RealChips, technology: Technology) -> dict[str, FloatArray]:
    """Return ``(3, n)`` quantiles of each quantity, of a technology that `drawn` returns."""
    copies = chips.repeated(DRAWS)
    return {
        quantity: np.quantile(PREDICTED[quantity](copies, technology).reshape(DRAWS, len(chips)), QUANTILES, axis=0)
        for quantity in QUANTITIES
    }


def calibration_check(chips: RealChips, unseen: LeftOut, technology: Technology) -> pd.DataFrame:
    """Return by quantity and class how many real chips lie in their 80 % interval, and how wide it is."""
    found = {
        "open": intervals(chips, drawn(chips, None, technology)),
        "left out": intervals(chips, drawn(chips, unseen.unaware, technology)),
    }
    classes = chips.table["architecture"].to_numpy()
    rows = []
    for quantity in QUANTITIES:
        real = published(chips, quantity)
        for name in (*dict.fromkeys(classes), "all"):
            here = np.isfinite(real) & ((classes == name) | (name == "all"))
            row = {"quantity": quantity, "class": name, "dies": int(here.sum())}
            for kind, table in found.items():
                low, middle, high = table[quantity]
                label = kind.replace(" ", "_")
                row[f"inside_{label}"] = float(np.mean((low <= real)[here] & (real <= high)[here]))
                row[f"above_median_{label}"] = float(np.mean((real > middle)[here]))
                row[f"median_p90_over_p10_{label}"] = float(np.median((high / low)[here]))
            rows.append(row)
    return pd.DataFrame(rows)


def calibration_table(chips: RealChips, unseen: LeftOut, technology: Technology) -> ScoreTable:
    """Return the check as a table of `dse validate --silicon`."""
    held = calibration_check(chips, unseen, technology)
    return ScoreTable("calibration", "Real dies inside their 80 % interval", held, CALIBRATION_NOTE)
