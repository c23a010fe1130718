"""Throughput of a machine against the speed that each of its users sees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dse.analysis.explain.curve import Curve
from dse.render.plots.style import DASHES, GREY, MARKERS, SERIES, drawing, new_figure, save, scale_axis


def draw_curves(curves: Sequence[Curve], folder: Path, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Draw one figure per workload, every machine per chip, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with drawing():
        for workload in dict.fromkeys(curve.workload for curve in curves):
            mine = [curve for curve in curves if curve.workload == workload and curve.points]
            if mine:
                paths += _draw(workload, mine, folder, formats)
    return paths


def _draw(workload: str, curves: Sequence[Curve], folder: Path, formats: Sequence[str]) -> list[Path]:
    figure = new_figure(6.8, 4.8)
    axes = figure.subplots()
    for place, curve in enumerate(curves):
        users = [point.user_tokens_per_s for point in curve.points]
        rates = [point.metrics["tokens_per_s_end_to_end"] / curve.chips for point in curve.points]
        colour = SERIES[place % len(SERIES)]
        chips = f", {curve.chips} chips" if curve.chips > 1 else ""
        axes.plot(
            users,
            rates,
            color=colour,
            linestyle=DASHES[place % len(DASHES)],
            linewidth=1.2,
            label=f"{curve.name}{chips}",
        )
        kept = [
            (u, r) for u, r, point in zip(users, rates, curve.points, strict=True) if point.batch == curve.max_batch
        ]
        if kept and (curve.tpot_limit_ms or curve.ttft_limit_ms):
            axes.plot(*kept[0], MARKERS[place % len(MARKERS)], color=colour, markersize=7)
    scale_axis(axes, "x", logarithmic=True)
    scale_axis(axes, "y", logarithmic=True)
    limit = next((curve.tpot_limit_ms for curve in curves if curve.tpot_limit_ms), None)
    if limit:
        axes.axvline(1000 / limit, color=GREY, linewidth=0.8, linestyle=":")
    axes.set_xlabel("speed that a user sees in decode [token/s]")
    axes.set_ylabel("output tokens per second and chip, end to end [token/s]")
    axes.set_title(f"{workload}: throughput against speed per user")
    axes.legend(loc="best")
    return save(figure, folder, f"curve-{workload}", formats)
