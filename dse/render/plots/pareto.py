"""The front over its first two objectives, a third as colour; and over every other pair of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from matplotlib.transforms import Bbox

from cost_models.table import FloatArray
from dse.render.plots import style
from dse.render.plots.labels import Label, place_labels
from dse.render.plots.scene import Limit, Scene

_OPEN_MARKS = style.MARKERS[1:]

_MIN_FRONT_FRACTION = 0.4
"""Share of an axis below which the front gets a panel of its own."""

_BAND = 0.09
"""Width of the band of unknown values, as a share of the axis."""

_LIMIT_REACH = 0.5
"""A limit further from the designs than this share of their range is left to the panel that shows everything."""


def draw_pareto(scene: Scene, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Draw the front over the first two objectives, coloured by the third where there is one; return the files.

    A single objective stands beside the first limited metric; nothing is drawn where there is none.
    """
    axes = _axes_of(scene)
    if len(axes) < 2:
        return []
    x, y = axes[:2]
    return style.save(_draw(scene, x, y, axes[2] if len(axes) > 2 else None), folder, f"pareto-{x}-{y}", formats)


def draw_pairs(scene: Scene, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Draw the front over every pair of objectives but the first; return the files."""
    pairs = list(combinations(_axes_of(scene), 2))[1:]
    return [path for x, y in pairs for path in style.save(_draw(scene, x, y, None), folder, f"pareto-{x}-{y}", formats)]


def _axes_of(scene: Scene) -> tuple[str, ...]:
    """Return the metrics to draw: the objectives; beside a single one, the first metric that a constraint limits."""
    if len(scene.objectives) > 1:
        return scene.objectives
    others = [metric for metric in scene.limits if metric not in scene.objectives]
    return (*scene.objectives, *others[:1])


def _draw(scene: Scene, x: str, y: str, colour: str | None) -> Figure:
    """Draw one panel, or two where other things lie so far off that the front would shrink to a corner."""
    crowded = min(_front_fraction(scene, column) for column in (x, y)) < _MIN_FRONT_FRACTION
    figure = style.new_figure(7.2, 8.6 if crowded else 5.2)
    panels = figure.subplots(2, height_ratios=(1.15, 1.0)) if crowded else [figure.subplots()]
    labels = [
        _fill_panel(figure, axes, scene, (x, y, colour), main=axes is panels[0], whole=axes is panels[-1])
        for axes in panels
    ]
    count = f"{style.short(len(scene.front))} design{'s' if len(scene.front) != 1 else ''}"
    kind = f"Pareto front, {count}" if scene.feasible else f"nothing feasible, nearest {count}"
    style.write_titles(figure, panels[0], f"{scene.name}: {kind}", feasible=scene.feasible)
    if crowded:
        panels[1].set_title("the same beside other designs, baselines and limits", fontweight="normal", fontsize=9.0)
    legend = figure.legend(*_entries(panels), loc="outside lower center", ncols=3)
    style.freeze_layout(figure)
    for axes, texts in zip(panels, labels, strict=True):
        marks = np.array([[label.x, label.y] for label in texts] + _front_points(scene, x, y)).reshape(-1, 2)
        boxes = [legend.get_window_extent(), *(text.get_window_extent() for text in axes.texts)]
        place_labels(figure, axes, texts, marks=marks, keep_clear=[Bbox(box.get_points()) for box in boxes])
    return figure


def _fill_panel(
    figure: Figure, axes: Axes, scene: Scene, columns: tuple[str, str, str | None], *, main: bool, whole: bool
) -> list[Label]:
    """Draw into one panel and return the labels that it wants.

    Args:
        figure: the figure, for a colour bar.
        axes: the panel.
        scene: what to draw.
        columns: metrics of the two axes and of the colour.
        main: whether the axes carry the meaning of their metrics.
        whole: whether to show baselines, and limits however far away.
    """
    x, y, colour = columns
    for which, column in (("x", x), ("y", y)):
        _set_range(axes, which, scene.values(column) if whole else _front_values(scene, column))
    bands = {which: _band(axes, which, scene, column) for which, column in (("x", x), ("y", y)) if whole}
    for which, column in (("x", x), ("y", y)):
        _shade_limits(axes, which, scene.limits.get(column, ()), text_at_end=y not in scene.maximised)
    _draw_designs(figure, axes, scene, x, y, colour)
    labels = _draw_picks(axes, scene, x, y)
    if whole:
        labels += _draw_baselines(axes, scene, x, y, bands)
    axes.set_xlabel(style.axis_label(x, scene.metrics) if main else style.with_unit(x, scene.metrics))
    axes.set_ylabel(style.axis_label(y, scene.metrics, width=44) if main else style.with_unit(y, scene.metrics))
    return labels


def _entries(panels: Sequence[Axes]) -> tuple[list[Artist], list[str]]:
    """Return the legend of all panels together, every entry once."""
    result: dict[str, Artist] = {}
    for axes in panels:
        for handle, text in zip(*axes.get_legend_handles_labels(), strict=True):
            result.setdefault(text, handle)
    return list(result.values()), list(result)


def _front_values(scene: Scene, column: str) -> FloatArray:
    """Return a column of the front and the picks alone, and of those limits that lie close to them."""
    values = replace(scene, others=scene.others.iloc[:0], baselines={}, limits={}).values(column)
    if not len(values):
        return values
    low, high = float(values.min()), float(values.max())
    room = _LIMIT_REACH * (high - low)
    close = [limit.value for limit in scene.limits.get(column, ()) if low - room <= limit.value <= high + room]
    return np.concatenate([values, close])


def _front_fraction(scene: Scene, column: str) -> float:
    """Return how much of an axis that shows everything the designs would take."""
    whole, part = scene.values(column), _front_values(scene, column)
    if not len(part) or style.one_value(whole) or style.one_value(part):
        return 1.0
    if style.spans_decades(whole):
        whole, part = np.log(whole), np.log(part)
    return float(np.ptp(part) / np.ptp(whole))


def _front_points(scene: Scene, x: str, y: str) -> list[list[float]]:
    points = scene.front[[x, y]].to_numpy(dtype=np.float64)
    return [[float(a), float(b)] for a, b in points[np.isfinite(points).all(axis=1)]]


def _set_range(axes: Axes, which: str, values: FloatArray) -> None:
    """Set scale and range of one axis so that the values lie inside, with room at the sides."""
    if not len(values):
        return
    logarithmic = style.spans_decades(values)
    low, high = float(values.min()), float(values.max())
    if logarithmic:
        room = (high / low) ** 0.08
        low, high = low / room, high * room
    else:
        room = (0.05 * abs(high) or 1.0) if style.one_value(values) else 0.08 * (high - low)
        low, high = low - room, high + room
    (axes.set_xlim if which == "x" else axes.set_ylim)(low, high)
    style.scale_axis(axes, which, logarithmic=logarithmic)


def _shade_limits(axes: Axes, which: str, limits: Sequence[Limit], *, text_at_end: bool) -> None:
    """Shade what a constraint forbids, and write the limit along its line on that side."""
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    span, line = (axes.axvspan, axes.axvline) if which == "x" else (axes.axhspan, axes.axhline)
    look: dict[str, Any] = {"color": "#8A3A00", "fontsize": style.MIN_POINTS, "zorder": 3, "clip_on": True}
    for limit in limits:
        if not low <= limit.value <= high:
            continue
        above = limit.side == "max"
        span(*sorted((limit.value, high if above else low)), facecolor="#F6E3DA", edgecolor="none", zorder=0)
        line(limit.value, color=style.VERMILION, linewidth=1.0, linestyle=(0, (4, 2)), zorder=1)
        at, ends = (0, 3 if above else -3), ("left", "right") if which == "x" else ("bottom", "top")
        side = ends[0] if above else ends[1]
        if which == "x":
            place = (limit.value, 0.985 if text_at_end else 0.015)
            axes.annotate(
                limit.text, place, at[::-1], xycoords=axes.get_xaxis_transform(), textcoords="offset points",
                rotation=90, ha=side, va="top" if text_at_end else "bottom", **look,
            )  # fmt: skip
        else:
            axes.annotate(
                limit.text, (0.01, limit.value), at, xycoords=axes.get_yaxis_transform(),
                textcoords="offset points", ha="left", va=side, **look,
            )  # fmt: skip


def _draw_designs(figure: Figure, axes: Axes, scene: Scene, x: str, y: str, colour: str | None) -> None:
    if len(scene.others):
        axes.scatter(
            scene.others[x], scene.others[y], s=6, color=style.PALE, alpha=0.45, linewidths=0, zorder=2,
            label="other feasible designs", rasterized=True,
        )  # fmt: skip
    several = f" in all {len(scene.objectives)} objectives" if len(scene.objectives) > 2 else ""
    name = f"front{several}" if scene.feasible else "least infeasible designs"
    if colour is None:
        edge = edge_of_pair(scene, x, y)
        if scene.feasible and len(edge) > 1:
            steps = "steps-post" if x not in scene.maximised else "steps-pre"
            axes.plot(
                edge[:, 0],
                edge[:, 1],
                color=style.BLUE,
                linewidth=1.0,
                drawstyle=steps,
                zorder=4,
                label="best in these two alone" if several else None,
            )
        axes.scatter(scene.front[x], scene.front[y], s=16, color=style.BLUE, linewidths=0, zorder=5, label=name)
        return
    values = scene.front[colour].to_numpy(dtype=np.float64)
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    norm = LogNorm(low, high) if style.spans_decades(known) else Normalize(low, high)
    dots = axes.scatter(
        scene.front[x], scene.front[y], c=values, cmap=style.SEQUENTIAL, norm=norm, s=22, zorder=5,
        edgecolors=style.BLACK, linewidths=0.3, label=name,
    )  # fmt: skip
    bar = figure.colorbar(dots, ax=axes, pad=0.02, fraction=0.06)
    bar.set_label(style.with_unit(colour, scene.metrics))
    style.bar_ticks(bar)


def edge_of_pair(scene: Scene, x: str, y: str) -> FloatArray:
    """Return the points of the front that no other beats in these two alone, from left to right."""
    points = scene.front[[x, y]].to_numpy(dtype=np.float64)
    points = points[np.isfinite(points).all(axis=1)]
    signed = np.where([column in scene.maximised for column in (x, y)], -points, points)
    order = np.lexsort((signed[:, 1], signed[:, 0]))
    best = np.minimum.accumulate(signed[order, 1])
    kept = order[np.concatenate([[True], best[1:] < best[:-1]])] if len(order) else order
    edge = points[kept]
    return np.asarray(edge[np.argsort(edge[:, 0], kind="stable")])


def _band(axes: Axes, which: str, scene: Scene, column: str) -> float:
    """Widen an axis by a band for baselines without a value on it; return its middle, NaN where all have one."""
    if all(np.isfinite(metrics.get(column, np.nan)) for metrics in scene.baselines.values()):
        return float("nan")
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    logarithmic = (axes.get_xscale() if which == "x" else axes.get_yscale()) == "log"
    end = high * (high / low) ** _BAND if logarithmic else high + _BAND * (high - low)
    (axes.set_xlim if which == "x" else axes.set_ylim)(low, end)
    span = axes.axvspan if which == "x" else axes.axhspan
    span(high, end, facecolor="#F2F2F2", edgecolor=style.PALE, hatch="////", linewidth=0, zorder=0.5)
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_ticks([tick for tick in axis.get_majorticklocs() if low <= tick <= high])
    axis.set_minor_locator(NullLocator())
    return float(np.sqrt(high * end)) if logarithmic else (high + end) / 2


def _draw_baselines(axes: Axes, scene: Scene, x: str, y: str, bands: Mapping[str, float]) -> list[Label]:
    """Draw what the sweep compares with; one whose metric is not known stands in the band beyond that axis."""
    labels = []
    for place, (name, metrics) in enumerate(scene.baselines.items()):
        at_x, at_y = metrics.get(x, np.nan), metrics.get(y, np.nan)
        colour, mark = style.SERIES[1 + place % (len(style.SERIES) - 1)], _OPEN_MARKS[place % len(_OPEN_MARKS)]
        missing = [column for column, value in ((x, at_x), (y, at_y)) if not np.isfinite(value)]
        text = f"{name} ({' and '.join(map(style.words, missing))} n/a)" if missing else name
        if missing == [x]:
            at_x = bands["x"]
            axes.axhline(at_y, color=colour, linewidth=0.8, linestyle=":", zorder=1)
        elif missing == [y]:
            at_y = bands["y"]
            axes.axvline(at_x, color=colour, linewidth=0.8, linestyle=":", zorder=1)
        if len(missing) < 2:
            labels.append(Label(at_x, at_y, text, colour))
        axes.scatter(
            [at_x], [at_y], marker=mark, s=62, facecolors="white", edgecolors=colour, linewidths=1.8, zorder=7,
            label=text,
        )  # fmt: skip
    return labels


def _draw_picks(axes: Axes, scene: Scene, x: str, y: str) -> list[Label]:
    labels: list[Label] = []
    for pick in scene.picks:
        at_x, at_y = pick.number(x), pick.number(y)
        if not (np.isfinite(at_x) and np.isfinite(at_y)):
            continue
        axes.scatter(
            [at_x], [at_y], s=90, facecolors="none", edgecolors=style.BLACK, linewidths=1.3, zorder=9,
            label=None if labels else "picks",
        )  # fmt: skip
        labels.append(Label(at_x, at_y, pick.text, style.BLACK))
    return labels
