"""Throughput of machines against the speed that each of their users sees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from dse.analysis.explain.curve import RATES, Curve
from dse.render.plots import style
from dse.render.plots.labels import Label, place_labels

_MARKED = tuple(4**power for power in range(9))
"""Batches that are marked on a curve, where it has them."""


def draw_curves(curves: Sequence[Curve], folder: Path, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Draw a figure per workload that any machine has several batches of, with a panel per rate; return the files."""
    paths = []
    with style.drawing():
        for workload in dict.fromkeys(curve.workload for curve in curves):
            mine = [curve for curve in curves if curve.workload == workload and curve.points]
            # A point is no curve.
            if any(len(curve.points) > 1 for curve in mine):
                paths += _draw(workload, mine, folder, formats)
    return paths


def _draw(workload: str, curves: Sequence[Curve], folder: Path, formats: Sequence[str]) -> list[Path]:
    shown = [
        rate for rate in RATES if any(np.isfinite(point.rates[rate]) for curve in curves for point in curve.points)
    ]
    figure = style.new_figure(1.2 + 4.6 * len(shown), 5.4)
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    labels = [_draw_panel(panel, curves, rate) for panel, rate in zip(panels, shown, strict=True)]
    figure.suptitle(f"{workload}: throughput against speed per user", x=0.01, ha="left", fontsize=10, fontweight="bold")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2 * len(shown))
    style.freeze_layout(figure)
    for panel, rate, texts in zip(panels, shown, labels, strict=True):
        marks = [(point.user_tokens_per_s, point.rates[rate]) for curve in curves for point in curve.points]
        place_labels(figure, panel, texts, marks=np.array(marks), radius=3.0)
    return style.save(figure, folder, f"curve-{workload}", formats)


def _draw_panel(axes: Axes, curves: Sequence[Curve], rate: str) -> list[Label]:
    """Draw every machine that has the rate, named in the legend, and return the batches to write beside it."""
    labels = []
    for place, curve in enumerate(curves):
        users = [point.user_tokens_per_s for point in curve.points]
        rates = [point.rates[rate] for point in curve.points]
        chips = f", {curve.chips} chips" if curve.chips > 1 else ""
        # Designs are drawn through, chips that can be bought are broken lines.
        dash = style.DASHES[1 + place % (len(style.DASHES) - 1)] if curve.baseline else style.DASHES[0]
        axes.plot(
            users,
            rates,
            color=style.SERIES[place % len(style.SERIES)],
            linestyle=dash,
            linewidth=1.2 if curve.baseline else 1.8,
            # Marks stand at some batches only, but in the legend too.
            marker=style.MARKERS[place % len(style.MARKERS)],
            markevery=[],
            markersize=3.5,
            label=f"{curve.name}{chips}",
        )
        if np.isfinite(rates).any():
            labels += _mark_batches(axes, curve, users, rates, place)
    style.scale_axis(axes, "x", logarithmic=True)
    style.scale_axis(axes, "y", logarithmic=True)
    limit = next((curve.tpot_limit_ms for curve in curves if curve.tpot_limit_ms), None)
    if limit:
        axes.axvline(
            1000 / limit,
            color=style.VERMILION,
            linewidth=1.0,
            linestyle=(0, (4, 2)),
            label=f"limit: {style.short(limit)} ms per token",
        )
    if any(curve.max_batch and (curve.tpot_limit_ms or curve.ttft_limit_ms) for curve in curves):
        axes.plot([], [], "o", color=style.GREY, markersize=9, label="largest batch within the limits")
    axes.plot([], [], "o", color=style.GREY, markersize=3.5, label="batches 1, 4, 16, ...; written at the ends")
    axes.set(xlabel="speed that a user sees in decode [token/s]", ylabel="output tokens per second, end to end")
    axes.set_title(f"per {RATES[rate]}", fontweight="normal", fontsize=9)
    return labels


def _mark_batches(axes: Axes, curve: Curve, users: Sequence[float], rates: Sequence[float], place: int) -> list[Label]:
    """Mark some batches of a curve; return labels of the smallest, the largest, and the largest within its limits."""
    labels = []
    colour, mark = style.SERIES[place % len(style.SERIES)], style.MARKERS[place % len(style.MARKERS)]
    limited = curve.tpot_limit_ms or curve.ttft_limit_ms
    last = len(curve.points) - 1
    for at, point in enumerate(curve.points):
        kept = bool(limited) and point.batch == curve.max_batch
        if not kept and point.batch not in _MARKED and at != last:
            continue
        axes.plot(users[at], rates[at], mark, color=colour, markersize=9 if kept else 3.5)
        if kept or at in (0, last):
            labels.append(Label(users[at], rates[at], str(point.batch), colour))
    return labels
