"""Designs of the space sized to the needs: the best one per memory grade, with the slack of every limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cost_models.table import FloatArray, Setting
from dse.analysis.nearest import Best, CandidatePool
from dse.evaluator import Evaluation, Evaluator
from dse.space import Space
from dse.violation import violation

COST = "cost_usd"
"""What decides among designs that miss nothing."""


@dataclass(frozen=True)
class SizedDesign:
    """The best design of a memory grade.

    Attributes:
        memory: grade.
        feasible: whether it meets everything.
        violation: how far it is from that.
        design: its settings.
        slack: signed margin of every limit and constraint.
        metrics: area, power, cost and the constrained metrics.
    """

    memory: str
    feasible: bool
    violation: float
    design: Mapping[str, Setting]
    slack: Mapping[str, float]
    metrics: Mapping[str, float]


def sized_designs(evaluator: Evaluator, space: Space) -> tuple[SizedDesign, ...]:
    """Return the design of each memory grade that misses least, the cheapest among those that miss nothing.

    A search of its own and steps to better neighbours for each grade; all designs where they are few.
    """
    memory = space.parameters.get("memory")
    result = []
    for grade in memory.names if memory is not None else ("default",):
        fixed = {} if memory is None else {"memory": grade}
        pool = CandidatePool.towards([by_cost], space, evaluator, metrics=(COST,), fixed=fixed)
        best = pool.best(by_cost)
        if best is not None:
            result.append(_sized(evaluator, space, grade, best))
    return tuple(result)


def by_cost(found: Evaluation) -> tuple[FloatArray, FloatArray]:
    """Judge designs by how infeasible they are, then by what they cost."""
    return np.nan_to_num(found.metrics[COST], nan=np.inf), violation(found)


def _sized(evaluator: Evaluator, space: Space, grade: str, best: Best) -> SizedDesign:
    last, named = evaluator.evaluate(best.designs), [constraint.metric for constraint in evaluator.spec.constraints]
    shown = dict.fromkeys([*named, "bandwidth_gbps", "peak_tflops", "die_mm2", "tdp_w", "cost_usd", "price_usd"])
    return SizedDesign(
        memory=grade,
        feasible=last.feasible.item(),
        violation=best.violation,
        design={name: value for name, value in best.settings.items() if name in space.parameters},
        slack={name: margin.item() for name, margin in last.margins.items()},
        metrics={name: last.metrics[name].item() for name in shown},
    )
