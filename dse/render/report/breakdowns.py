"""Breakdowns of many designs at once: of what `dse.analysis.explain` says of each, the numbers that the page shows.

Each stands under a path of words: ``workloads, chat, decode, ms, qkv``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cost_models.table import FloatArray, Number, Table
from dse.analysis.explain.columns import explained
from dse.analysis.explain.records import OUTSIDE
from dse.evaluator import Evaluator

Path = tuple[str, ...]


def breakdowns(evaluator: Evaluator, designs: Table) -> dict[Path, FloatArray]:
    """Return the breakdown of every design: path to ``(n,)`` numbers.

    Args:
        evaluator: the sweep's evaluator.
        designs: a table of at least one row.
    """
    columns = explained(evaluator, designs)
    result = dict(_leaves({key: columns[key] for key in ("blocks", "margins")}))
    for name, limit in columns["limits"].items():
        result |= {("limits", name, key): limit[key] for key in ("used", "allowed")}
    for name, one in columns["workloads"].items():
        result |= {("workloads", name, *path): values for path, values in _workload_fields(one)}
    whole = {path: np.asarray(values, dtype=np.float64) for path, values in result.items()}
    return {path: np.broadcast_to(np.ravel(values), (designs.rows,)) for path, values in whole.items()}


def _leaves(tree: Mapping[str, Any], *path: str) -> Iterator[tuple[Path, Number]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, *path, name)
        else:
            yield (*path, name), value


def _workload_fields(one: Mapping[str, Any]) -> Iterator[tuple[Path, Number]]:
    yield ("fits",), one["fits"]
    for phase in ("decode", "prefill"):
        for path, values in _pass_fields(one[phase]):
            yield (phase, *path), values
    yield from _leaves({"roofs": one["roofs"]})


def _pass_fields(work: Mapping[str, Any]) -> Iterator[tuple[Path, Number]]:
    """Yield the numbers of one pass: totals, and per operator time, what it waits for, bytes and MACs."""
    yield ("total_ms",), work["ms"]
    yield from _leaves({key: work[key] for key in ("bound_ms", "board_w", "power_w")})
    for name, row in work["operators"].items():
        yield ("ms", name), row["ms"]
        if name != OUTSIDE:
            yield ("bound", name), row["bound"].codes
            yield ("bytes", name), row["bytes_moved"]
            yield ("macs", name), row["macs"]
