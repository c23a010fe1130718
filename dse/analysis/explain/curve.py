"""Throughput against speed per user: machines at every batch, with the batch that keeps their limits.

Throughput counts per chip, per kW that the boards are built for, and per USD of their price, so that machines of
unlike sizes stand in one picture. The picture, the report and the terminal read the same curves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from cost_models.performance.batching import CONTINUOUS, MAX_DOUBLINGS
from cost_models.table import FloatArray, Setting, Table
from dse.evaluator import Evaluator

BATCHES = tuple(float(batch) for batch in sorted({round(2 ** (step / 2)) for step in range(2 * MAX_DOUBLINGS + 1)}))
"""Batches of a curve: powers of the root of two."""

COLUMNS = (
    "tpot_ms", "tokens_per_s", "tokens_per_s_end_to_end", "ttft_ms", "decode_w", "tokens_per_joule",
    "tokens_per_joule_tdp", "tokens_per_s_per_usd", "usd_per_million_tokens", "prefill_chips",
)  # fmt: skip

RATES = {
    "tokens_per_s_per_chip": "chip",
    "tokens_per_s_per_kw": "kW of the boards' design limit",
    "tokens_per_s_per_usd": "USD of price",
}
"""Output tokens per second, prefill included, for each of what they are counted per."""


@dataclass(frozen=True)
class CurvePoint:
    """One machine at one batch.

    Attributes:
        batch: sequences served together; requests at all times where they are batched continuously.
        user_tokens_per_s: speed that a user sees in decode, 1000 / tpot_ms.
        rates: throughput by `RATES`; NaN where a chip has no price.
        metrics: metrics of `COLUMNS`.
        within_limits: whether it keeps the workload's limits on time to first token and time per token.
    """

    batch: int
    user_tokens_per_s: float
    rates: Mapping[str, float]
    metrics: Mapping[str, float]
    within_limits: bool


@dataclass(frozen=True)
class Curve:
    """One machine over the batches that fit its memory.

    Attributes:
        name: of the machine.
        workload: what it serves.
        chips: how many serve it, those that only prefill beside them.
        baseline: whether it is made of chips of the library.
        points: ascending batch.
        max_batch: largest batch that fits and keeps the limits; 0 where none does.
        ttft_limit_ms: limit on time to first token, None where there is none.
        tpot_limit_ms: limit on time per token.
    """

    name: str
    workload: str
    chips: int
    baseline: bool
    points: tuple[CurvePoint, ...]
    max_batch: int
    ttft_limit_ms: float | None
    tpot_limit_ms: float | None


def all_curves(
    evaluator: Evaluator, designs: Mapping[str, Mapping[str, Setting]], workloads: Collection[str] | None = None
) -> list[Curve]:
    """Return the curves of designs by name, and of the baselines of their sweep, for some workloads or all."""
    curves = [
        curve for name, settings in designs.items() for curve in design_curves(evaluator, settings, name, workloads)
    ]
    return curves + [
        curve for name in evaluator.spec.baselines for curve in baseline_curves(evaluator, name, workloads)
    ]


def design_curves(
    evaluator: Evaluator, settings: Mapping[str, Setting], name: str, workloads: Collection[str] | None = None
) -> list[Curve]:
    """Return the curve of a design for some workloads of its sweep, or all."""
    curves = []
    table = Table.from_settings(settings).repeated(len(BATCHES))
    for workload in _shown(evaluator, workloads):
        entry = evaluator.spec.workloads[workload]
        field = "concurrency" if entry.batching == CONTINUOUS else "batch"
        wanted = [f"{workload}.{column}" for column in COLUMNS]
        judged = evaluator.evaluate({**table, f"{workload}.{field}": np.array(BATCHES)}, metrics=wanted)
        chips = int(float(settings.get(f"{workload}.n_chips", entry.n_chips)))
        curves.append(_curve(evaluator, name, workload, chips, judged.metrics, baseline=False))
    return curves


def baseline_curves(evaluator: Evaluator, baseline: str, workloads: Collection[str] | None = None) -> list[Curve]:
    """Return the curve of one of a sweep's baselines for some workloads, or all."""
    entry, shown = evaluator.spec.baselines[baseline], _shown(evaluator, workloads)
    wanted = frozenset(f"{workload}.{column}" for workload in shown for column in COLUMNS)
    result = evaluator.baseline_columns(entry, batches=np.array(BATCHES), metrics=wanted)
    return [_curve(evaluator, baseline, workload, entry.count, result, baseline=True) for workload in shown]


def _shown(evaluator: Evaluator, workloads: Collection[str] | None) -> list[str]:
    return [name for name in evaluator.spec.workloads if workloads is None or name in workloads]


def _curve(
    evaluator: Evaluator, name: str, workload: str, chips: int, metrics: Mapping[str, FloatArray], *, baseline: bool
) -> Curve:
    limits, spec = evaluator.slo_of(workload), evaluator.spec
    ttft, tpot = limits.ttft_ms, limits.tpot_ms
    pools = spec.baselines[name].prefill if baseline else spec.deployment
    missing = np.array([np.nan])
    columns = {
        column: np.broadcast_to(metrics.get(f"{workload}.{column}", missing), (len(BATCHES),)) for column in COLUMNS
    }
    points: list[CurvePoint] = []
    for place, batch in enumerate(BATCHES):
        values = {column: float(column_values[place]) for column, column_values in columns.items()}
        # No number of chips that prefill keeps the limit: there is no such deployment.
        if not np.isfinite(values["tpot_ms"]) or (pools is not None and not np.isfinite(values["prefill_chips"])):
            continue
        if points and _waits(points[-1].metrics, values):
            break
        kept = (ttft is None or values["ttft_ms"] <= ttft) and (tpot is None or values["tpot_ms"] <= tpot)
        rates = _rates(values, chips if pools is None else chips + values["prefill_chips"])
        points.append(CurvePoint(int(batch), 1000 / values["tpot_ms"], rates, values, kept))
    within = [point.batch for point in points if point.within_limits]
    return Curve(name, workload, chips, baseline, tuple(points), max(within, default=0), ttft, tpot)


def _waits(before: Mapping[str, float], now: Mapping[str, float]) -> bool:
    """Return whether further requests only wait for memory: everything else is as it was."""
    same = ("tpot_ms", "tokens_per_s_end_to_end")
    return all(abs(now[name] - before[name]) <= 1e-9 * abs(before[name]) for name in same)


def _rates(values: Mapping[str, float], chips: float) -> dict[str, float]:
    """Return throughput per chip, per kW and per USD."""
    whole = values["tokens_per_s_end_to_end"]
    # The design limit of all boards is what tokens per second are divided by for tokens per joule of it.
    kilowatts = values["tokens_per_s"] / values["tokens_per_joule_tdp"] / 1000
    rates = whole / chips, whole / kilowatts, values["tokens_per_s_per_usd"]
    return dict(zip(RATES, rates, strict=True))
