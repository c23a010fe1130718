"""Ways to serve a workload: what chips are ranked by against speed, with the front and the limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from cost_models.quantities.records import Metric
from dse.analysis.choose import KNOWN, SUMMED, Chosen, Way
from dse.render.plots.labels import Label, place_labels
from dse.render.plots.style import BLUE, GREY, ORANGE, drawing, freeze_layout, new_figure, save, scale_axis

MAX_NAMED = 16
"""Chips whose names stand beside their points."""


def draw_choice(found: Chosen, folder: Path, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Draw the ways to serve into a folder and return the files; none where no way has both numbers."""
    shown = [way for way in found.ways if _has_both(way, found)]
    if not shown:
        return []
    with drawing():
        figure = new_figure(7.4, 5.2)
        axes = figure.subplots()
        _draw_points(axes, found, shown)
        _draw_limits(axes, found)
        for which in ("x", "y"):
            scale_axis(axes, which, logarithmic=True)
        axes.set(xlabel=_label(found.speed), ylabel=_label(found.rank))
        workload = next(iter(found.spec.workloads.items()))
        axes.set_title(f"{workload[0]} (batch {workload[1].batch}): {_bare(found.rank)} against {_bare(found.speed)}")
        legend = axes.legend(loc="best")
        freeze_layout(figure)
        named = _named(found, shown)
        labels = [Label(way.values[found.speed], way.values[found.rank], f"{way.chips}x {way.name}") for way in named]
        marks = np.array([[way.values[found.speed], way.values[found.rank]] for way in shown])
        place_labels(figure, axes, labels, marks=marks, keep_clear=[legend.get_window_extent()])
        return save(figure, folder, "choose", formats)


def _has_both(way: Way, found: Chosen) -> bool:
    numbers = way.values[found.rank], way.values[found.speed]
    return all(math.isfinite(number) and number > 0 for number in numbers)


def _named(found: Chosen, shown: Sequence[Way]) -> list[Way]:
    """Return the ways that carry names: those on the front, then the best of each chip."""
    best = [way for way in found.best if _has_both(way, found)]
    listed = [way for way in shown if way.on_front] + best
    seen: dict[tuple[float, float], Way] = {}
    for way in listed:
        seen.setdefault((way.values[found.speed], way.values[found.rank]), way)
    return list(seen.values())[:MAX_NAMED]


def _draw_points(axes: Axes, found: Chosen, shown: Sequence[Way]) -> None:
    groups = (
        ([way for way in shown if not way.meets], dict(marker="x", color=GREY, s=16), "misses a limit"),
        ([way for way in shown if way.meets], dict(marker="o", color=BLUE, s=22), "within the limits"),
    )
    for ways, look, words in groups:
        if ways:
            x, y = zip(*((way.values[found.speed], way.values[found.rank]) for way in ways), strict=True)
            axes.scatter(x, y, label=f"{words} ({len(ways)})", linewidths=0.9, **look)  # type: ignore[arg-type]
    front = sorted((way.values[found.speed], way.values[found.rank]) for way in shown if way.on_front)
    if front:
        x, y = zip(*front, strict=True)
        axes.step(x, y, where="post", color=BLUE, linewidth=1.1, label="front: nothing is better in both")


def _draw_limits(axes: Axes, found: Chosen) -> None:
    for one in found.spec.constraints:
        for bound in (one.max, one.min):
            if bound is None or one.relative_to is not None:
                continue
            if one.metric == found.speed:
                axes.axvline(bound, color=ORANGE, linewidth=1.1, linestyle="--", label=one.label)
            elif one.metric == found.rank:
                axes.axhline(bound, color=ORANGE, linewidth=1.1, linestyle="--", label=one.label)


def _bare(metric: str) -> str:
    return metric.rpartition(".")[2]


def _label(metric: str) -> str:
    entry: Metric = KNOWN[_bare(metric)]
    total = " of all chips" if entry.name in SUMMED else ""
    return f"{entry.name}{total}" + (f" [{entry.unit}]" if entry.unit else "")
