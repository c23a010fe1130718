"""Margins: how far a design is from breaking a limit or a constraint.

A margin is signed and relative: 0.1 means met with 10 % to spare, -0.1 missed by 10 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import reduce

import numpy as np

from cost_models.performance.disaggregation import Disaggregated
from cost_models.performance.workload_result import WorkloadResult
from cost_models.silicon.machine import Machine
from cost_models.table import FloatArray, Number
from cost_models.tape import asarray
from dse.errors import Issue, SpecError
from dse.sweep import ConstraintSpec, Spec

Metrics = Mapping[str, FloatArray]

UNMET = -1.0
"""Margin of a condition that is not met and has no measure of how far: a value or a link that is not there."""


def limit_margins(machine: Machine) -> dict[str, FloatArray]:
    """Return the margin of every physical limit of a machine."""
    return {name: _limit_margin(asarray(used), asarray(allowed)) for name, (used, allowed) in machine.limits.items()}


def _limit_margin(used: FloatArray, allowed: FloatArray) -> FloatArray:
    """Return what is left of a limit as a share of it; where nothing is allowed, all that is used is missing."""
    something = allowed > 0
    if something.all():
        return asarray(1 - used / allowed)
    missing = np.where(used > 0, -used, 1.0)
    if not something.any():
        return missing
    return np.where(something, 1 - used / np.where(something, allowed, 1.0), missing)


def capacity_margin(served: WorkloadResult) -> FloatArray:
    """Return the margin of the most-loaded chip's memory, of the fuller pool where other chips prefill."""
    margin = 1 - served.planned.footprint.most_loaded_bytes / served.machine.capacity_bytes
    if not isinstance(served.users, Disaggregated):
        return margin
    first = served.users.pool.result
    return np.minimum(margin, 1 - first.footprint.most_loaded_bytes / first.machine.capacity_bytes)


def link_margin(served: WorkloadResult) -> FloatArray:
    """Return the margin of being connected: 1 where chips can reach each other or there is just one, else missed."""
    alone = asarray(served.planned.serving.chips) <= 1
    return np.where(alone | (served.machine.link_bytes_per_s > 0), 1.0, UNMET)


def load_margin(served: WorkloadResult) -> FloatArray:
    """Return the margin of users being served at all; 1 where nobody arrives, as batches start together.

    Of a load that is told, what is left of the engine's time: more requests than it finishes wait for ever. Where none
    is told and no load keeps the limits, how far a single request misses them, `UNMET` where it keeps them in the mean.
    """
    users, limits = served.users, served.limits
    if users is None or limits is None or not np.isnan(asarray(users.traffic.concurrency)).all():
        return np.ones(1)
    if not np.isnan(asarray(users.traffic.arrivals_per_s)).all():
        return asarray(1 - users.served.utilisation)
    least = zip(users.least_s, (limits.ttft_s, limits.tpot_s), strict=True)
    spare = reduce(np.minimum, (1 - asarray(time) / limit for time, limit in least))
    return np.where(users.goodput_per_s > 0, np.maximum(spare, 0.0), np.where(spare < 0, spare, UNMET))


def constraint_margin(
    constraint: ConstraintSpec, metrics: Metrics, baselines: Mapping[str, Mapping[str, Number]]
) -> FloatArray:
    """Return the signed relative margin of one constraint; NaN where its metric, or the baseline's, is missing."""
    value = metrics[constraint.metric]
    scale = baselines[constraint.relative_to][constraint.metric] if constraint.relative_to else 1.0
    if constraint.near is not None:
        return constraint.within - np.abs(value / (constraint.near * scale) - 1)
    margins = []
    for limit, sign in ((constraint.max, 1.0), (constraint.min, -1.0)):
        if limit is not None:
            bound = asarray(limit * scale)
            left = bound - value
            margins.append((left if sign > 0 else -left) / np.where(bound == 0, 1.0, np.abs(bound)))
    return asarray(reduce(np.minimum, margins), dtype=np.float64)


def check_baselines(spec: Spec, baselines: Mapping[str, Mapping[str, float]]) -> None:
    """Refuse constraints relative to something that a baseline does not have: no design could meet them.

    Raises:
        SpecError: every such constraint.
    """
    issues = [
        Issue(
            spec.place_of(f"constraints[{index}].relative_to"),
            f"constraints[{index}].relative_to",
            f"{constraint.relative_to} has no {constraint.metric}: the workload does not fit it, or none is published",
        )
        for index, constraint in enumerate(spec.constraints)
        if constraint.relative_to and math.isnan(baselines[constraint.relative_to][constraint.metric])
    ]
    if issues:
        raise SpecError(issues)
