"""The designs of a report: which rows of a run it shows, and the columns that it shows of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cost_models.quantities import METRICS, PARAMETERS, WORKLOAD_FIELDS
from cost_models.table import INACTIVE, Choice, Column, FloatArray
from dse.report.packing import Packable, rounded
from dse.results.rows import MARGIN_PREFIX
from dse.results.store import StoredRun
from dse.spec import FixedSpec, Spec
from dse.terminal.summary import shown_metrics, unit_of, varying

if TYPE_CHECKING:
    import pandas as pd

MOST_POINTS = 50_000
"""Designs that a report shows at most."""

NEAR_MISSES = 200
"""Nearest misses that are always among them."""

HEADLINE = (
    "ms_per_token", "ttft_ms", "tokens_per_s", "decode_w", "tokens_per_joule", "usd_per_million_tokens",
    "perplexity_ratio", "memory_gib",
)  # fmt: skip
"""Metrics that are shown for every workload."""

FINE_BITS, COARSE_BITS = 18, 12
"""Bits of the mantissa kept of feasible designs (2 parts in a million) and of infeasible ones (1 in ten thousand)."""

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
        names: what codes stand for; empty where the column holds numbers.
        values: numbers, or codes into `names` (255 where a parameter does not apply).
    """

    name: str
    unit: str
    meaning: str
    kind: str
    names: tuple[str, ...]
    values: Packable

    def described(self) -> dict[str, Any]:
        """Return what the page has to know of the column beside its values."""
        return {
            "name": self.name,
            "unit": self.unit,
            "meaning": self.meaning,
            "kind": self.kind,
            "names": list(self.names),
        }


def shown_designs(run: StoredRun, at_most: int = MOST_POINTS) -> pd.DataFrame:
    """Return the designs that a report shows, by id.

    The picks, the front and the nearest misses come first; the rest of the room goes to the others at even steps.
    """
    table = run.designs.sort_values("id", kind="stable").reset_index(drop=True)
    if len(table) <= at_most:
        return table
    front = table["pareto"].to_numpy(dtype=bool)
    picked = np.isin(table["id"], [int(pick["id"]) for pick in run.picks])
    order = np.lexsort((table["id"], table["violation"], table["feasible"].astype(bool)))
    chosen = picked.copy()
    chosen[order[:NEAR_MISSES]] = True
    for group in (front, table["feasible"].to_numpy(dtype=bool), np.ones(len(table), dtype=bool)):
        chosen |= _evenly(group & ~chosen, at_most - int(chosen.sum()))
    return table[chosen].reset_index(drop=True)


def _evenly(mask: NDArray[np.bool_], at_most: int) -> NDArray[np.bool_]:
    """Return the mask with at most so many rows left, at even steps."""
    places = np.flatnonzero(mask)
    if len(places) > max(at_most, 0):
        places = places[np.linspace(0, len(places) - 1, max(at_most, 0)).round().astype(int)]
    kept = np.zeros(len(mask), dtype=bool)
    kept[places] = True
    return kept


def page_columns(spec: Spec, table: pd.DataFrame) -> list[PageColumn]:
    """Return the columns that the page shows: what varies, and the metrics that matter."""
    feasible = table["feasible"].to_numpy(dtype=bool)
    parameters = [name for name in varying(spec) if name in table]
    metrics = [name for name in page_metrics(spec) if name in table]
    return [
        *(_column(name, "parameter", table[name], feasible) for name in parameters),
        *(_column(name, "metric", table[name], feasible) for name in metrics),
    ]


def page_metrics(spec: Spec) -> list[str]:
    """Return the metrics that the page shows: what the sweep names first, then those of the design and the headline."""
    design = [name for name, metric in METRICS.items() if metric.scope == "design"]
    headline = [f"{workload}.{name}" for workload in spec.workloads for name in HEADLINE]
    return list(dict.fromkeys([*shown_metrics(spec), *headline, *design]))


def meaning_of(name: str) -> str:
    """Return what a parameter, a workload's number, a figure or a metric means."""
    bare = name.rpartition(".")[2]
    entry = PARAMETERS.get(name) or METRICS.get(bare) or WORKLOAD_FIELDS.get(bare) or PARAMETERS.get(bare)
    return entry.meaning if entry else ""


def _column(name: str, kind: str, series: pd.Series[Any], feasible: NDArray[np.bool_]) -> PageColumn:
    names, codes = _coded(series)
    if codes is not None:
        marked = np.where(codes < 0, _NO_NAME, codes).astype(np.uint8)
        return PageColumn(name, unit_of(name), meaning_of(name), kind, names, marked)
    numbers = series.to_numpy(dtype=np.float64)
    if kind == "parameter":
        return PageColumn(name, unit_of(name), meaning_of(name), kind, (), numbers.astype(np.float32))
    values = np.where(feasible, rounded(numbers, FINE_BITS), rounded(numbers, COARSE_BITS))
    return PageColumn(name, unit_of(name), meaning_of(name), kind, (), values)


def _coded(series: pd.Series[Any]) -> tuple[tuple[str, ...], NDArray[np.intp] | None]:
    """Return the names of a column and their codes (-1 where none applies); no codes where it holds numbers."""
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        return tuple(map(str, series.cat.categories)), series.cat.codes.to_numpy().astype(np.intp)
    if pd.api.types.is_numeric_dtype(series.dtype):
        return (), None
    codes, names = pd.factorize(series)
    return tuple(map(str, names)), codes.astype(np.intp)


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


def columns_of(spec: Spec, table: pd.DataFrame) -> dict[str, Column]:
    """Return rows of a run's table as designs that the evaluator takes."""
    designs: dict[str, Column] = {}
    for name, entries in spec.space.items():
        if name not in table:
            first = entries[0]
            assert isinstance(first, FixedSpec), "only what every design shares has no column of its own"
            designs[name] = _repeated(first.value, len(table))
            continue
        names, codes = _coded(table[name])
        if codes is None:
            designs[name] = table[name].to_numpy(dtype=np.float64)
        else:
            designs[name] = Choice(names, np.where(codes < 0, INACTIVE, codes))
    return designs


def _repeated(value: float | str, rows: int) -> FloatArray | Choice:
    if isinstance(value, str):
        return Choice((value,), np.zeros(rows, dtype=np.intp))
    return np.full(rows, float(value))


def position_of(table: pd.DataFrame, ids: Sequence[int]) -> list[int]:
    """Return the row of each id in a table sorted by id."""
    return [int(place) for place in np.searchsorted(table["id"].to_numpy(), np.asarray(ids, dtype=np.int64))]
