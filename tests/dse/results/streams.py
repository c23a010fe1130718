"""Made streams of judged designs, and what tells their rows apart."""

import math

import numpy as np

from cost_models.table import INACTIVE, Choice, Table
from dse.evaluator import Evaluation
from dse.results.rows import Rows

LABELS = ("chat.tpot_ms <= 50", "capacity", "tdp_w <= 150")
MACS = np.array([1.0, 2.0, 4.0, 8.0])


def stream(n, seed=0):
    """Rows that repeat, tie, lack objectives and metrics, and are inactive in places."""
    rng = np.random.default_rng(seed)
    margins = np.round(rng.uniform(-1.3, 1.3, (n, 3)), 2)
    objectives = np.round(rng.random((n, 2)), 1)
    speed, watts = objectives[:, 0].copy(), objectives[:, 1].copy()
    full = rng.random(n) < 0.2
    # What does not fit has no speed; some lack a metric for no other reason.
    margins[full, 1], margins[full, 0] = -0.5, -1.0
    lost = full | (rng.random(n) < 0.05)
    speed[lost], objectives[lost, 0], margins[lost, 0] = np.nan, np.nan, -1.0
    objectives[rng.random(n) < 0.05, 1] = np.nan
    missing = np.isnan(objectives).sum(axis=1) + np.isnan(speed)
    feasible = (margins >= 0).all(axis=1) & (missing == 0)
    designs = {
        "memory": Choice(("lpddr", "hbm"), rng.integers(INACTIVE, 2, n)),
        "macs": np.where(rng.random(n) < 0.1, np.nan, MACS[rng.integers(0, 4, n)]),
        "sram": rng.integers(0, 15, n) * 1.0,
    }
    found = Evaluation(
        {"chat.tpot_ms": speed, "tdp_w": watts}, dict(zip(LABELS, margins.T, strict=True)), objectives, feasible,
        missing.astype(np.intp),
    )  # fmt: skip
    return Rows(np.arange(n, dtype=np.int64), Table(designs), found)


def value_of(rows, axis, i):
    column = rows.designs[axis]
    if isinstance(column, Choice):
        return "inactive" if column.codes[i] == INACTIVE else column.values[column.codes[i]]
    if math.isnan(column[i]):
        return "inactive"
    if axis == "macs":
        return f"{column[i]:g}"
    return "0 to 5" if column[i] < 5 else "5 to 10" if column[i] < 10 else "10 to 14"


def changed(rows, **evaluation):
    found = rows.evaluation
    fields = {
        name: getattr(found, name) for name in ("metrics", "margins", "objectives", "feasible", "missing", "failed")
    }
    return Rows(rows.ids, rows.designs, Evaluation(**fields | evaluation))


def archived(n, seed=0, values=640):
    rng = np.random.default_rng(seed)
    objectives = np.round(rng.random((n, 2)), 2)
    margin = np.round(rng.uniform(-1, 0.5, n), 2)
    objectives[rng.random(n) < 0.02] = np.nan
    feasible = (margin >= 0) & np.isfinite(objectives).all(axis=1)
    designs = Table(
        {
            "memory": Choice(("hbm3", "lpddr5x_9600"), rng.integers(0, 2, n)),
            "sram_mib": 1.0 * rng.integers(0, values, n),
        }
    )
    found = Evaluation({"cost_usd": objectives[:, 0]}, {"limit": margin}, objectives, feasible)
    return Rows(np.arange(n, dtype=np.int64), designs, found)


def key_of(rows, i):
    return int(rows.designs["memory"].codes[i]), float(rows.designs["sram_mib"][i])


def firsts(rows, places, most):
    found = {}
    for i in places:
        found.setdefault(key_of(rows, i), i)
    return list(found.values())[:most]
