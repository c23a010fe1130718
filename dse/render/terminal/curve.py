"""Throughput against speed per user as tables."""

from __future__ import annotations

from collections.abc import Sequence

from dse.analysis.explain.curve import COLUMNS, RATES, Curve
from dse.number_texts import number_text
from dse.render.terminal.tables import Rows, TextTable

_SHOWN = ("tpot_ms", "ttft_ms", "usd_per_million_tokens")
"""Metrics that a table has room for beside the rates; a sheet has all."""


def curve_rows(curves: Sequence[Curve]) -> Rows:
    """Return every point of every curve as a sheet."""
    # The rate per USD is a metric as well.
    rates = [name for name in RATES if name not in COLUMNS]
    return ("machine", "workload", "batch", "user_tokens_per_s", *rates, *COLUMNS, "within_limits"), [
        (curve.name, curve.workload, point.batch, point.user_tokens_per_s, *(point.rates[name] for name in rates),
         *(point.metrics[name] for name in COLUMNS), point.within_limits)
        for curve in curves
        for point in curve.points
    ]  # fmt: skip


def curve_table(curve: Curve) -> TextTable:
    """Return a curve at every power of two and at its largest batch within limits."""
    shown = [p for p in curve.points if p.batch & (p.batch - 1) == 0 or p.batch == curve.max_batch]
    rows = [
        (str(point.batch), point.user_tokens_per_s, *(point.rates[name] for name in RATES),
         *(point.metrics[name] for name in _SHOWN), point.within_limits)
        for point in shown
    ]  # fmt: skip
    limits = [
        f"{words} <= {number_text(limit)} ms"
        for words, limit in (("TTFT", curve.ttft_limit_ms), ("TPOT", curve.tpot_limit_ms))
        if limit is not None
    ]
    promise = f"; largest batch on the curve with {', '.join(limits)}: {curve.max_batch}" if limits else ""
    title = f"{curve.name} on {curve.workload}: throughput against speed per user{promise}"
    headings = (
        "batch", "per user\ntoken/s", "per chip\ntoken/s", "per kW\ntoken/s", "per USD\ntoken/s", "TPOT\nms",
        "TTFT\nms", "USD per\nM tokens", "within",
    )  # fmt: skip
    return TextTable(title, headings, rows)
