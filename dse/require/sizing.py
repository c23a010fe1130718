"""Designs of the space sized to the needs: the best one per memory grade, with the slack of every limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cost_models.table import Choice, Setting
from dse.evaluate import Evaluator
from dse.results.picks import settings_of
from dse.space import Space
from dse.space.tables import axis_values, crossed, neighbours, within

FEW = 6
"""Values of each remaining axis that are tried."""

MOST_ROWS = 60_000
"""Designs that are tried in all; axes are thinned until they fit."""


class Pair(Protocol):
    """A way of storing weights and KV cache."""

    @property
    def weight_format(self) -> str:
        """How weights are stored."""

    @property
    def kv_bits(self) -> float:
        """Bits of a KV-cache element."""


@dataclass(frozen=True)
class SizedDesign:
    """The best design of a memory grade.

    Attributes:
        memory: grade.
        feasible: whether it meets everything.
        design: its settings.
        slack: signed margin of every limit and constraint.
        metrics: area, power, cost and the constrained metrics.
    """

    memory: str
    feasible: bool
    design: Mapping[str, Setting]
    slack: Mapping[str, float]
    metrics: Mapping[str, float]


def sized_designs(evaluator: Evaluator, space: Space, pairs: Sequence[Pair]) -> tuple[SizedDesign, ...]:
    """Return the design of each memory grade that misses least, the cheapest among those that miss nothing.

    A coarse crossing of the axes of the space, refined twice around the best of each grade.
    """
    designs = within(space, crossed(_axes(space)))
    judged = evaluator.evaluate(designs, metrics=("cost_usd",))
    found = []
    memory = designs.get("memory")
    grades = list(memory.values) if isinstance(memory, Choice) else ["default"]
    for place, grade in enumerate(grades):
        own = np.flatnonzero(memory.codes == place) if isinstance(memory, Choice) else np.arange(len(judged.feasible))
        if not len(own):
            continue
        settings = settings_of(designs, int(own[_best(judged, own)]))
        for _ in range(3):
            table = within(space, neighbours(space, settings, kept=("memory",)))
            near = evaluator.evaluate(table, metrics=("cost_usd",))
            settings = settings_of(table, int(_best(near, np.arange(len(near.feasible)))))
        last = evaluator.evaluate(table.take(np.array([_best(near, np.arange(len(near.feasible)))])))
        named = [constraint.metric for constraint in evaluator.spec.constraints]
        shown = dict.fromkeys([*named, "bandwidth_gbps", "peak_tflops", "die_mm2", "tdp_w", "cost_usd", "price_usd"])
        found.append(
            SizedDesign(
                memory=grade,
                feasible=bool(last.feasible[0]),
                design={name: value for name, value in settings.items() if name in space.parameters},
                slack={name: float(margin[0]) for name, margin in last.margins.items()},
                metrics={name: float(last.metrics[name][0]) for name in shown},
            )
        )
    return tuple(found)


def _best(judged: object, rows: np.ndarray) -> int:
    """Return the place among `rows` of the design that misses least, then costs least."""
    violations = judged.violations[rows].sum(axis=1)  # type: ignore[attr-defined]
    feasible = judged.feasible[rows]  # type: ignore[attr-defined]
    cost = np.nan_to_num(judged.metrics["cost_usd"][rows], nan=np.inf)  # type: ignore[attr-defined]
    return int(np.lexsort((cost, np.where(feasible, 0.0, violations + 1e-9)))[0])


def _axes(space: Space) -> dict[str, list[Setting]]:
    axes = {name: axis_values(space, name, FEW) for name in space.dimensions if space.parameters[name].names}
    axes = {name: axis_values(space, name) for name in axes}
    numeric = {name: axis_values(space, name, FEW) for name in space.dimensions if not space.parameters[name].names}
    merged = {**axes, **numeric}
    while np.prod([float(len(values)) for values in merged.values()] or [1.0]) > MOST_ROWS:
        longest = max(merged, key=lambda name: (name != "memory") * len(merged[name]))
        values = merged[longest]
        merged[longest] = [values[i] for i in np.unique(np.linspace(0, len(values) - 1, len(values) - 1).astype(int))]
        if len(values) <= 2:
            merged[longest] = values[:1]
    return merged
