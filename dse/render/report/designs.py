"""The designs of a report: which rows of a run it shows, and the columns that it shows of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cost_models.quantities.columns import describe
from cost_models.table import INACTIVE, Choice, Table, evenly
from dse.plain import members
from dse.render.plots.reading import counts_in_ratios
from dse.render.report.packing import Packable, rounded
from dse.render.terminal.summary import shown_metrics, varying
from dse.results.rows import MARGIN_PREFIX
from dse.results.store import StoredRun
from dse.sweep import Spec

if TYPE_CHECKING:
    import pandas as pd

MAX_POINTS = 16_000
"""Designs that a report shows at most."""

HEADLINE = (
    "tpot_ms", "ttft_ms", "tokens_per_s", "decode_w", "tokens_per_joule", "usd_per_million_tokens",
    "perplexity_ratio", "memory_gib",
)  # fmt: skip
"""Metrics that are shown for every workload."""

FRONT_BITS, FEASIBLE_BITS, COARSE_BITS = 18, 15, 10
"""Bits of the mantissa kept of the front (2 parts in a million), of other feasible designs (15 in a million) and of
infeasible ones (5 in ten thousand)."""

INFEASIBLE, FEASIBLE, FRONT = 0, 1, 2
"""State of a design on the page."""

_NO_NAME = 255


@dataclass(frozen=True)
class PageColumn:
    """One column as the page holds it.

    Attributes:
        name: parameter or metric.
        unit: its unit, "" for none.
        meaning: one line for people.
        kind: "parameter" or "metric".
        log: whether the sweep spreads it over the logarithm.
        names: what codes stand for; empty where the column holds numbers.
        values: numbers, or codes into `names` (255 where a parameter does not apply).
    """

    name: str
    unit: str
    meaning: str
    kind: str
    names: tuple[str, ...]
    values: Packable
    log: bool = False

    def described(self) -> dict[str, Any]:
        """Return what the page has to know of the column beside its values."""
        return {**members(self, "name", "unit", "meaning", "kind"), "names": list(self.names), "log": self.log}


def shown_designs(run: StoredRun, at_most: int = MAX_POINTS, *, least_infeasible: int = 200) -> pd.DataFrame:
    """Return the designs that a report shows, by id.

    The picks, the front and the least infeasible designs come first; the rest of the room goes to the others at even
    steps.

    Args:
        run: the run.
        at_most: designs that are shown at most, picks and least infeasible designs apart.
        least_infeasible: least infeasible designs that are always shown.
    """
    table = run.designs
    places = np.argsort(table["id"].to_numpy(), kind="stable")
    if len(table) <= at_most:
        return table.iloc[places].reset_index(drop=True)
    front = table["pareto"].to_numpy(dtype=bool)
    picked = np.isin(table["id"], [int(pick["id"]) for pick in run.picks])
    order = np.lexsort((table["id"], table["violation"], table["feasible"].astype(bool)))
    chosen = picked.copy()
    chosen[order[:least_infeasible]] = True
    for group in (front, table["feasible"].to_numpy(dtype=bool), np.ones(len(table), dtype=bool)):
        chosen |= _evenly(group & ~chosen, at_most - int(chosen.sum()))
    return table.iloc[places[chosen[places]]].reset_index(drop=True)


def _evenly(mask: NDArray[np.bool_], at_most: int) -> NDArray[np.bool_]:
    """Return the mask with at most so many rows left, at even steps."""
    places = np.flatnonzero(mask)
    kept = np.zeros(len(mask), dtype=bool)
    kept[places[evenly(len(places), at_most)]] = True
    return kept


def page_columns(spec: Spec, table: pd.DataFrame) -> list[PageColumn]:
    """Return the columns that the page shows: what varies, and the metrics that matter."""
    parameters = [name for name in varying(spec) if name in table]
    metrics = [name for name in page_metrics(spec) if name in table]
    return [
        *(_column(name, "parameter", table, spec) for name in parameters),
        *(_column(name, "metric", table, spec) for name in metrics),
    ]


def page_metrics(spec: Spec) -> list[str]:
    """Return the metrics that the page shows: what the sweep names first, then those of the design and the headline."""
    design = [name for name, metric in spec.metrics.items() if metric.scope == "design"]
    headline = [f"{workload}.{name}" for workload in spec.workloads for name in HEADLINE]
    return list(dict.fromkeys([*shown_metrics(spec), *headline, *design]))


def _column(name: str, kind: str, table: pd.DataFrame, spec: Spec) -> PageColumn:
    what = describe(name, spec.metrics)
    column = Table.from_frame(table[[name]])[name]
    if isinstance(column, Choice):
        marked = np.where(column.codes == INACTIVE, _NO_NAME, column.codes).astype(np.uint8)
        return PageColumn(name, what.unit, what.meaning, kind, column.values, marked)
    if kind == "parameter":
        return PageColumn(
            name, what.unit, what.meaning, kind, (), column.astype(np.float32), counts_in_ratios(spec.space[name])
        )
    state = states(table)
    values = np.where(state == FEASIBLE, rounded(column, FEASIBLE_BITS), rounded(column, FRONT_BITS))
    values = np.where(state == INFEASIBLE, rounded(column, COARSE_BITS), values)
    return PageColumn(name, what.unit, what.meaning, kind, (), values)


def states(table: pd.DataFrame) -> NDArray[np.uint8]:
    """Return for every design whether it is infeasible, feasible or on the front."""
    feasible, front = (table[name].to_numpy(dtype=bool) for name in ("feasible", "pareto"))
    return np.where(front, FRONT, np.where(feasible, FEASIBLE, INFEASIBLE)).astype(np.uint8)


def missed(table: pd.DataFrame) -> tuple[list[str], NDArray[np.uint32]]:
    """Return the limits and constraints, and for every design the set of those that it misses, a bit each.

    Conditions beyond the 32nd have no bit; none of the sweeps that ship comes near.
    """
    labels = [name for name in map(str, table) if name.startswith(MARGIN_PREFIX)][:32]
    bits = np.zeros(len(table), dtype=np.uint32)
    for place, label in enumerate(labels):
        broken = table[label].to_numpy(dtype=np.float64) < 0
        bits |= broken.astype(np.uint32) << np.uint32(place)
    return [label.removeprefix(MARGIN_PREFIX) for label in labels], bits


def position_of(table: pd.DataFrame, ids: Sequence[int]) -> list[int]:
    """Return the row of each id in a table sorted by id."""
    return [int(place) for place in np.searchsorted(table["id"].to_numpy(), np.asarray(ids, dtype=np.int64))]
