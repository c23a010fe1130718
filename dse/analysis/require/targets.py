"""What the constraints of a sweep ask of time: seconds per step, per prompt and per request of each workload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dse.evaluator import Evaluator
from dse.sweep import ConstraintSpec

Span = Literal["step", "prompt", "request"]

_TIMES: dict[str, tuple[Span, float]] = {
    "tpot_ms": ("step", 1e-3),
    "ttft_ms": ("prompt", 1e-3),
    "request_s": ("request", 1.0),
}
_RATES: dict[str, Span] = {"tokens_per_s": "step", "tokens_per_s_end_to_end": "request"}


@dataclass(frozen=True)
class Target:
    """A most of time.

    Attributes:
        workload: whose.
        span: one decode step of the batch, the prefill of its prompts, or both and every step.
        seconds: most seconds.
        label: the constraint that says so.
    """

    workload: str
    span: Span
    seconds: float
    label: str


def bounds_of(constraint: ConstraintSpec, evaluator: Evaluator) -> tuple[float | None, float | None]:
    """Return (least, most) of the constraint's metric in its unit, None where it has no such bound."""
    scale = 1.0
    if constraint.relative_to:
        scale = evaluator.baselines[constraint.relative_to][constraint.metric]
    if constraint.near is not None and constraint.within is not None:
        ends = sorted(constraint.near * scale * (1 + sign * constraint.within) for sign in (-1, 1))
        return ends[0], ends[1]
    least = None if constraint.min is None else constraint.min * scale
    return least, None if constraint.max is None else constraint.max * scale


def targets_of(evaluator: Evaluator) -> list[Target]:
    """Return every most of time that the constraints of a sweep set, in their order."""
    targets = []
    for constraint in evaluator.spec.constraints:
        workload, _, metric = constraint.metric.rpartition(".")
        if workload not in evaluator.spec.workloads:
            continue
        least, most = bounds_of(constraint, evaluator)
        entry = evaluator.spec.workloads[workload]
        if metric in _TIMES and most is not None:
            span, unit = _TIMES[metric]
            targets.append(Target(workload, span, most * unit, constraint.label))
        # A batch that depends on the chip's memory makes no time of a rate.
        if metric in _RATES and least is not None and least > 0 and not isinstance(entry.batch, str):
            span = _RATES[metric]
            tokens = entry.batch * (entry.output_tokens if span == "request" else 1)
            targets.append(Target(workload, span, tokens / least, constraint.label))
    return targets
