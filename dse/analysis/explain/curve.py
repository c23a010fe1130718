"""Throughput against speed per user: one machine at every batch, with the batch that keeps its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cost_models.performance.batching import CONTINUOUS, MAX_DOUBLINGS
from cost_models.table import FloatArray, Setting, Table
from dse.evaluator import Evaluator

BATCHES = tuple(float(batch) for batch in sorted({round(2 ** (step / 2)) for step in range(2 * MAX_DOUBLINGS + 1)}))
"""Batches of a curve: powers of the root of two."""

COLUMNS = (
    "tpot_ms", "tokens_per_s", "tokens_per_s_end_to_end", "ttft_ms", "decode_w", "tokens_per_joule",
)  # fmt: skip


@dataclass(frozen=True)
class CurvePoint:
    """One machine at one batch.

    Attributes:
        batch: sequences served together; requests at all times where they are batched continuously.
        user_tokens_per_s: speed that a user sees in decode, 1000 / tpot_ms.
        metrics: metrics of `COLUMNS`.
        within_limits: whether it keeps the workload's limits on time to first token and time per token.
    """

    batch: int
    user_tokens_per_s: float
    metrics: Mapping[str, float]
    within_limits: bool


@dataclass(frozen=True)
class Curve:
    """One machine over the batches that fit its memory.

    Attributes:
        name: of the machine.
        workload: what it serves.
        chips: how many serve it.
        points: ascending batch.
        max_batch: largest batch that fits and keeps the limits; 0 where none does.
        ttft_limit_ms: limit on time to first token, None where there is none.
        tpot_limit_ms: limit on time per token.
    """

    name: str
    workload: str
    chips: int
    points: tuple[CurvePoint, ...]
    max_batch: int
    ttft_limit_ms: float | None
    tpot_limit_ms: float | None


def design_curves(evaluator: Evaluator, settings: Mapping[str, Setting], name: str) -> list[Curve]:
    """Return the curve of a design for every workload of its sweep."""
    curves = []
    table = Table.from_settings(settings).repeated(len(BATCHES))
    for workload, entry in evaluator.spec.workloads.items():
        field = "concurrency" if entry.batching == CONTINUOUS else "batch"
        judged = evaluator.evaluate({**table, f"{workload}.{field}": np.array(BATCHES)})
        result = {column: judged.metrics[f"{workload}.{column}"] for column in COLUMNS}
        chips = int(float(settings.get(f"{workload}.n_chips", entry.n_chips)))
        curves.append(_curve(evaluator, name, workload, chips, result))
    return curves


def baseline_curves(evaluator: Evaluator, baseline: str) -> list[Curve]:
    """Return the curve of one of a sweep's baselines for every workload."""
    entry = evaluator.spec.baselines[baseline]
    columns: dict[str, list[dict[str, float]]] = {workload: [] for workload in evaluator.spec.workloads}
    for batch in BATCHES:
        metrics = evaluator.baseline(entry.model_copy(update={"batch": int(batch)}))
        for workload, rows in columns.items():
            rows.append({column: metrics[f"{workload}.{column}"] for column in COLUMNS})
    return [
        _curve(
            evaluator,
            baseline,
            workload,
            entry.count,
            {column: np.array([row[column] for row in rows]) for column in COLUMNS},
        )
        for workload, rows in columns.items()
    ]


def _curve(evaluator: Evaluator, name: str, workload: str, chips: int, found: Mapping[str, FloatArray]) -> Curve:
    limits = evaluator.slo_of(workload)
    ttft, tpot = limits.ttft_ms, limits.tpot_ms
    points = []
    for place, batch in enumerate(BATCHES):
        values = {column: float(found[column][place]) for column in COLUMNS}
        if not np.isfinite(values["tpot_ms"]):
            continue
        kept = (ttft is None or values["ttft_ms"] <= ttft) and (tpot is None or values["tpot_ms"] <= tpot)
        points.append(CurvePoint(int(batch), 1000 / values["tpot_ms"], values, kept))
    within = [point.batch for point in points if point.within_limits]
    return Curve(name, workload, chips, tuple(points), max(within, default=0), ttft, tpot)
