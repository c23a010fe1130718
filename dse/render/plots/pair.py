"""Any two columns of a run against each other, a third as series or colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from cost_models.table import evenly
from dse.errors import Issue, Place, SpecError
from dse.render.plots import style
from dse.render.plots.reading import scene_of
from dse.render.plots.scene import Scene
from dse.results.rows import MARGIN_PREFIX
from dse.results.store import StoredRun
from dse.sweep.hints import quoted, suggest_metric

if TYPE_CHECKING:
    import pandas as pd

MAX_SERIES = 8
"""Values of the third column up to which each has a colour and a mark of its own."""

MAX_MISSED = 1000
"""Designs of a series that miss a constraint and are drawn, evenly along the first column."""

_BOOKKEEPING = ("pareto", "sampled", "feasible")


def draw_pair(
    run: StoredRun, x: str, y: str, by: str | None = None, *, folder: Path, formats: Sequence[str] = ("png",)
) -> list[Path]:
    """Draw two columns of a run's designs against each other and return the files.

    Designs that miss a constraint are pale. Where every series has one design per value of `x`, lines join them.

    Args:
        run: the run.
        x: parameter or metric across.
        y: parameter or metric up.
        by: parameter or metric that tells series apart, or colours points where it has many values.
        folder: where the files go; made where it does not exist.
        formats: of "png", "svg", "pdf".

    Raises:
        SpecError: the run's designs have no such column, or one that is drawn as a number is a name.
    """
    table = run.designs
    _check_columns(run, {"--x": x, "--y": y, **({"--by": by} if by else {})})
    scene = scene_of(run)
    with style.drawing():
        figure = style.new_figure(7.2, 5.2)
        axes = figure.subplots()
        names = _place_axis(axes, "x", table[x])
        shown = table[[x, y, "feasible", *([by] if by else [])]]
        shown = shown.assign(**{x: names.index(table[x])}) if names else shown
        _draw_points(figure, axes, scene, shown, (x, y, by))
        _draw_limits(axes, scene, x, y)
        for which, column in (("x", x), ("y", y)):
            if which == "x" and names:
                continue
            known = shown[column].to_numpy(dtype=np.float64)
            logarithmic = style.spans_decades(known) or (column in scene.logarithmic and bool(np.nanmin(known) > 0))
            style.scale_axis(axes, which, logarithmic=logarithmic)
        axes.set(xlabel=style.axis_label(x, scene.metrics), ylabel=style.axis_label(y, scene.metrics, width=44))
        met, kept = style.short(int(table["feasible"].sum())), style.short(len(table))
        counted = f"{met} of {kept} kept designs meet every constraint"
        axes.set_title(f"{run.name}: {style.words(y)} over {style.words(x)}\n{counted}", fontsize=9)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        return style.save(figure, folder, "-".join(["plot", x, y, *([by] if by else [])]), formats)


class _Names:
    """Names along an axis, at whole numbers."""

    def __init__(self, column: pd.Series) -> None:
        self.names = sorted({str(name) for name in column.dropna()})

    def __bool__(self) -> bool:
        return bool(self.names)

    def index(self, column: pd.Series) -> list[float]:
        return [float(self.names.index(str(name))) if str(name) in self.names else np.nan for name in column]


def _place_axis(axes: Axes, which: str, column: pd.Series) -> _Names | None:
    """Write the names of a column that holds names along an axis; None where it holds numbers."""
    from pandas.api.types import is_numeric_dtype

    if is_numeric_dtype(column):
        return None
    names = _Names(column)
    (axes.set_xticks if which == "x" else axes.set_yticks)(range(len(names.names)), names.names)
    return names


def _check_columns(run: StoredRun, given: dict[str, str]) -> None:
    from pandas.api.types import is_numeric_dtype

    known = [name for name in map(str, run.designs) if name not in _BOOKKEEPING and not name.startswith(MARGIN_PREFIX)]
    issues = [
        Issue(Place(option), "", quoted(name), f"a column of {run.path / 'pareto.csv'}", suggest_metric(name, known))
        for option, name in given.items()
        if name not in known
    ]
    if not issues and not is_numeric_dtype(run.designs[given["--y"]]):
        issues.append(
            Issue(Place("--y"), "", f"{quoted(given['--y'])}, whose values are names,", "a column of numbers")
        )
    if issues:
        raise SpecError(issues)


def _draw_points(
    figure: Figure, axes: Axes, scene: Scene, table: pd.DataFrame, columns: tuple[str, str, str | None]
) -> None:
    x, y, by = columns
    feasible = table["feasible"].to_numpy(dtype=bool)
    if by is None or table[by].nunique() <= MAX_SERIES:
        _draw_series(axes, table, columns)
        return
    kept = table[feasible] if feasible.any() else table
    values = kept[by].to_numpy(dtype=np.float64)
    norm = LogNorm() if style.spans_decades(values) or by in scene.logarithmic else Normalize()
    axes.scatter(
        table[x][~feasible], table[y][~feasible], s=6, color=style.PALE, linewidths=0, label="misses a constraint"
    )
    dots = axes.scatter(
        kept[x], kept[y], c=values, norm=norm, cmap=style.SEQUENTIAL, s=20,
        edgecolors=style.BLACK, linewidths=0.3, label="meets every constraint" if feasible.any() else None, zorder=4,
    )  # fmt: skip
    bar = figure.colorbar(dots, ax=axes, pad=0.02, fraction=0.06)
    bar.set_label(style.with_unit(by, scene.metrics))
    style.bar_ticks(bar)


def _draw_series(axes: Axes, table: pd.DataFrame, columns: tuple[str, str, str | None]) -> None:
    """Draw a colour, a mark and, where a value of `x` has one design, a line per value of the third column."""
    x, y, by = columns
    groups = [("designs", table)] if by is None else [(f"{by} {_text(key)}", part) for key, part in table.groupby(by)]
    for place, (label, part) in enumerate(groups):
        colour = style.SERIES[place % len(style.SERIES)] if by else style.BLUE
        ordered = part.sort_values(x, kind="stable")
        single = ordered[x].nunique() == len(ordered) and len(ordered) > 1
        dashes = style.DASHES[place % len(style.DASHES)] if single else ""
        feasible = ordered["feasible"].to_numpy(dtype=bool)
        axes.plot(
            ordered[x], ordered[y], color=colour, linestyle=dashes, linewidth=1.2, zorder=3,
            label="_line",
        )  # fmt: skip
        look: dict[str, Any] = {
            "linestyle": "",
            "marker": style.MARKERS[place % len(style.MARKERS)],
            "markersize": 5,
            "color": colour,
        }
        axes.plot(ordered[x][feasible], ordered[y][feasible], label=label, zorder=5, **look)
        missed = ordered[~feasible].iloc[evenly(int((~feasible).sum()), MAX_MISSED)]
        axes.plot(missed[x], missed[y], zorder=2, markerfacecolor="white", alpha=0.35, label="_none", **look)
    if not table["feasible"].all():
        axes.plot(
            [], [], "o", color=style.PALE, markerfacecolor="white", markersize=5, label="hollow: misses a constraint"
        )


def _text(value: object) -> str:
    return value if isinstance(value, str) else style.short(float(str(value)))


def _draw_limits(axes: Axes, scene: Scene, x: str, y: str) -> None:
    for line, column in ((axes.axvline, x), (axes.axhline, y)):
        for limit in scene.limits.get(column, ()):
            line(
                limit.value,
                color=style.VERMILION,
                linewidth=1.0,
                linestyle=(0, (4, 2)),
                label=f"{style.words(column)} {limit.text}",
            )
