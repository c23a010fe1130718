"""Parallel coordinates: one line per design of the front across what varies and what is optimised."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from cost_models.quantities.columns import describe
from cost_models.quantities.parameters import unmet_needs
from cost_models.quantities.records import Metric
from cost_models.table import FloatArray, evenly
from dse.render.plots import style
from dse.render.plots.scene import Scene

MAX_LINES = 400
"""Lines drawn at most; of a larger front, designs at even steps along its first objective."""

_INACTIVE_HEIGHT = -0.09
"""Where a line passes the axis of a parameter that does not apply to its design."""

_MAX_NAMES = 14

_MAX_TICKS = 6
"""Values of an axis up to which all are written."""

_TICK_GAP = 0.08
"""Least distance of the values written beside an axis, as a share of it."""

_HEADING_LETTERS = 13
"""Letters of a line of a heading, so that neighbours keep apart."""


@dataclass(frozen=True)
class _Rail:
    """One vertical axis: heights of values between 0 and 1, and what to write beside it."""

    column: str
    heights: FloatArray
    ticks: tuple[tuple[float, str], ...]
    low: float = 0.0
    high: float = 1.0
    logarithmic: bool = False
    names: tuple[str, ...] = ()

    def height(self, value: float | str) -> float:
        """Return where a value stands."""
        if isinstance(value, str):
            return _spread(self.names.index(value), len(self.names)) if value in self.names else _INACTIVE_HEIGHT
        if not np.isfinite(value):
            return _INACTIVE_HEIGHT
        (height,) = _scaled(np.array([value]), self.low, self.high, logarithmic=self.logarithmic)
        return float(height)


def draw_parallel(scene: Scene, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Draw the front across parameters and objectives, and return the files; none where there is no design."""
    if scene.front.empty:
        return []
    alone = len(scene.front) == 1
    parameters = [name for name in scene.parameters if name in scene.front and (alone or _varies(scene.front[name]))]
    if len(parameters) + len(scene.objectives) < 2:
        return []
    return style.save(_draw(scene, parameters), folder, "parallel", formats)


def _draw(scene: Scene, columns: Sequence[str]) -> Figure:
    sampled = _thinned(scene)
    rails = [_rail(scene, sampled, column) for column in (*columns, *scene.objectives)]
    figure = style.new_figure(max(7.2, 0.94 * len(rails) + 1.2), 5.6)
    axes = figure.subplots()
    _draw_lines(figure, axes, scene, sampled, rails)
    _draw_picks(axes, scene, rails)
    _draw_rails(axes, scene, rails, n_parameters=len(columns))
    shown = (
        f"{len(sampled)} of {style.short(len(scene.front))}"
        if len(sampled) < len(scene.front)
        else style.short(len(sampled))
    )
    kind = "on the front" if scene.feasible else "that miss by least"
    plural = "s" if len(scene.front) > 1 else ""
    lines = max(_heading(rail.column, scene.metrics).count("\n") + 2 for rail in rails)
    title = f"{scene.name}: {shown} design{plural} {kind}"
    style.write_titles(figure, axes, title, feasible=scene.feasible, pad=14 + 10 * lines)
    if scene.picks:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    axes.set_xlabel(
        textwrap.fill(_shared_words(scene, columns), 14 * len(rails) + 20), fontsize=style.MIN_POINTS, loc="left"
    )
    return figure


def _shared_words(scene: Scene, drawn: Sequence[str]) -> str:
    """Return what has no axis because all designs drawn agree on it, without settings of parts that none has."""
    alike = {name: scene.front[name].iloc[0] for name in scene.parameters if name in scene.front and name not in drawn}
    own = [name for name in scene.parameters if name in scene.front]
    designs = [{**scene.shared, **one} for one in scene.front[own].head(MAX_LINES).to_dict("records")]
    shared = {
        name: value
        for name, value in {**alike, **scene.shared}.items()
        if any(not unmet_needs(name, design) for design in designs)
    }
    texts = [
        f"{name} {value if isinstance(value, str) else style.short(float(value))}"
        for name, value in shared.items()
        if isinstance(value, str) or np.isfinite(value)
    ]
    return f"the same in all of them: {', '.join(texts)}" if texts else ""


def _thinned(scene: Scene) -> pd.DataFrame:
    ordered = scene.front.sort_values(scene.objectives[0], kind="stable")
    return ordered.iloc[evenly(len(ordered), MAX_LINES)]


def _varies(column: pd.Series) -> bool:
    return bool(column.nunique(dropna=False) > 1)


def _rail(scene: Scene, drawn: pd.DataFrame, column: str) -> _Rail:
    values = drawn[column]
    if not pd.api.types.is_numeric_dtype(values):
        return _name_rail(scene, values, column)
    numbers = values.to_numpy(dtype=np.float64)
    known = scene.front[column].to_numpy(dtype=np.float64)
    known = known[np.isfinite(known)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    logarithmic = style.spans_decades(known) or (column in scene.logarithmic and low > 0)
    levels = np.unique(known)
    if len(levels) > _MAX_TICKS:
        levels = _round_levels(low, high, logarithmic=logarithmic, whole=bool((known == np.round(known)).all()))
    at = _scaled(levels, low, high, logarithmic=logarithmic)
    texts = style.told_apart([float(level) for level in levels])
    ticks = tuple((float(height), text) for height, text in zip(at, texts, strict=True))
    heights = _scaled(numbers, low, high, logarithmic=logarithmic)
    heights = np.where(np.isnan(numbers), _INACTIVE_HEIGHT, heights)
    if np.isnan(numbers).any():
        ticks = (*ticks, (_INACTIVE_HEIGHT, "n/a"))
    return _Rail(column, heights, ticks, low, high, logarithmic)


def _round_levels(low: float, high: float, *, logarithmic: bool, whole: bool) -> FloatArray:
    """Return the ends of a range and round, or whole, numbers between them, far enough apart to be written."""
    locator = LogLocator(10, subs=(1.0, 2.0, 5.0)) if logarithmic else MaxNLocator(_MAX_TICKS, integer=whole)
    ticks = np.asarray(locator.tick_values(low, high), dtype=np.float64)
    levels = [low, high]
    for tick in np.clip(ticks, low, high):
        places = _scaled(np.array([*levels, tick]), low, high, logarithmic=logarithmic)
        if np.abs(places[:-1] - places[-1]).min() > _TICK_GAP:
            levels.append(float(tick))
    return np.sort(levels)


def _name_rail(scene: Scene, values: pd.Series, column: str) -> _Rail:
    """Return the axis of a parameter that is a name; names stand in the sweep's order where the table knows it."""
    present = {str(name) for name in scene.front[column].dropna()}
    known = values.cat.categories if isinstance(values.dtype, pd.CategoricalDtype) else sorted(present)
    names = tuple(str(name) for name in known if str(name) in present)
    heights = np.array(
        [_INACTIVE_HEIGHT if pd.isna(name) else _spread(names.index(str(name)), len(names)) for name in values]
    )
    ticks = tuple((_spread(place, len(names)), _clipped(name)) for place, name in enumerate(names[:_MAX_NAMES]))
    if values.isna().any():
        ticks = (*ticks, (_INACTIVE_HEIGHT, "n/a"))
    return _Rail(column, heights, ticks, names=names)


def _clipped(name: str) -> str:
    return name if len(name) <= 16 else f"{name[:15]}…"


def _spread(place: int, count: int) -> float:
    return 0.5 if count == 1 else place / (count - 1)


def _scaled(values: FloatArray, low: float, high: float, *, logarithmic: bool) -> FloatArray:
    if style.one_value(np.array([low, high])):
        return np.full(len(values), 0.5)
    if logarithmic:
        return np.asarray(np.log(values / low) / np.log(high / low))
    return (values - low) / (high - low)


def _draw_lines(figure: Figure, axes: Axes, scene: Scene, drawn: pd.DataFrame, rails: Sequence[_Rail]) -> None:
    first = scene.objectives[0]
    colour_by = drawn[first].to_numpy(dtype=np.float64)
    known = colour_by[np.isfinite(colour_by)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    norm: Normalize = LogNorm(low, high) if style.spans_decades(known) else Normalize(low, high)
    heights = np.stack([rail.heights for rail in rails], axis=1)
    paths = [np.column_stack([np.arange(len(rails)), row]) for row in heights]
    shade = float(np.clip(30 / len(paths), 0.18, 0.7))
    lines = LineCollection(paths, cmap=style.SEQUENTIAL, norm=norm, linewidths=0.9, alpha=shade, zorder=2)
    lines.set_array(np.nan_to_num(colour_by, nan=high))
    axes.add_collection(lines)
    bar = figure.colorbar(ScalarMappable(norm, colormaps[style.SEQUENTIAL]), ax=axes, pad=0.01, fraction=0.03)
    bar.set_label(style.with_unit(first, scene.metrics))
    style.bar_ticks(bar)


def _draw_picks(axes: Axes, scene: Scene, rails: Sequence[_Rail]) -> None:
    for place, pick in enumerate(scene.picks):
        heights = [rail.height(pick.values.get(rail.column, np.nan)) for rail in rails]
        axes.plot(
            np.arange(len(rails)), heights, color=style.SERIES[place % len(style.SERIES)], linewidth=1.9,
            linestyle=style.DASHES[place % len(style.DASHES)], marker=style.MARKERS[place % len(style.MARKERS)],
            markersize=5, markeredgecolor="white", markeredgewidth=0.5, zorder=6, label=pick.text,
        )  # fmt: skip


def _draw_rails(axes: Axes, scene: Scene, rails: Sequence[_Rail], *, n_parameters: int) -> None:
    box = {"boxstyle": "square,pad=0.12", "facecolor": "white", "edgecolor": "none", "alpha": 0.9}
    for place, rail in enumerate(rails):
        is_objective = place >= n_parameters
        better = ("▲ better" if rail.column in scene.maximised else "▼ better") if is_objective else ""
        axes.axvline(
            place, ymin=0.10, color=style.BLACK if is_objective else style.GREY, linewidth=1.4 if is_objective else 0.8
        )
        for height, text in rail.ticks:
            axes.annotate(
                text, (place, height), (4, 0), textcoords="offset points", va="center", fontsize=style.MIN_POINTS,
                zorder=8, bbox=box,
            )  # fmt: skip
        heading = (_heading(rail.column, scene.metrics), better)
        weight = "bold" if is_objective else "normal"
        axes.annotate(
            "\n".join(filter(None, heading)), (place, 1.0), (0, 11), textcoords="offset points", ha="center",
            va="bottom", fontsize=style.MIN_POINTS, fontweight=weight, annotation_clip=False,
        )  # fmt: skip
    axes.set(xlim=(-0.25, len(rails) - 0.45), ylim=(-0.14, 1.04))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _heading(column: str, metrics: Mapping[str, Metric]) -> str:
    """Return name and unit in short lines, long names broken behind an underscore."""
    workload, _, bare = column.rpartition(".")
    unit = describe(column, metrics).unit
    words = bare.replace("_", "_ ").split(" ")
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) > _HEADING_LETTERS:
            lines.append("")
        lines[-1] += word
    return "\n".join(line for line in (workload, *lines, f"[{unit}]" if unit else "") if line)
