"""The space and the search: which parameters decide (a heat map), and how the front grew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dse.analysis.explain.sensitivity import write_sensitivity
from dse.render.plots.style import (
    BLUE,
    ORANGE,
    SEQUENTIAL,
    bar_ticks,
    new_figure,
    save,
    scale_axis,
    spans_decades,
    with_unit,
)
from dse.results.store import StoredRun

if TYPE_CHECKING:
    import pandas as pd

_MIN_FRACTION = 0.005


def draw_hypervolume(run: StoredRun, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Draw how the front grew, from the first feasible design on; nothing where a search had no steps to grow in."""
    progress = run.progress
    if not len(progress):
        return []
    progress = progress[np.nan_to_num(progress["hypervolume"].to_numpy(dtype=np.float64)) > 0]
    if len(progress) < 2:
        return []
    evaluated = progress["evaluated"].to_numpy(dtype=np.float64)
    volume = progress["hypervolume"].to_numpy(dtype=np.float64)
    figure = new_figure(7.2, 4.2)
    axes = figure.subplots()
    mark = "o" if len(evaluated) < 20 else None
    label = "hypervolume of the front"
    axes.plot(evaluated, 100 * volume / volume[-1], color=BLUE, linewidth=1.8, marker=mark, label=label)
    axes.set(xlabel="designs evaluated, from the first feasible one on", ylabel="hypervolume [% of the final]")
    scale_axis(axes, "x", logarithmic=spans_decades(evaluated))
    scale_axis(axes, "y", logarithmic=False)
    sizes = axes.twinx()
    sizes.plot(evaluated, progress["front"], color=ORANGE, linestyle="--", linewidth=1.4, label="designs on the front")
    sizes.set_ylabel("designs on the front")
    scale_axis(sizes, "y", logarithmic=False)
    sizes.grid(visible=False)
    sizes.spines["right"].set_visible(True)
    handles = [*axes.get_lines(), *sizes.get_lines()]
    figure.legend(handles, [str(line.get_label()) for line in handles], loc="outside lower center", ncols=2)
    axes.set_title(f"{run.name}: {run.manifest['sampler']}, seed {run.manifest['seed']}")
    return save(figure, folder, "hypervolume", formats)


def draw_sensitivity(run: StoredRun, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write ``sensitivity.csv`` and draw the total order of every parameter for every metric, if any varies."""
    from dse.space import Space

    if not Space(run.spec).dimensions:
        return []
    table = write_sensitivity(run.spec, run.path)
    shown = table.pivot(index="parameter", columns="metric", values="total_order")
    shown = shown[list(dict.fromkeys(table["metric"]))]
    shown = shown.loc[shown.fillna(0).sum(axis=1).sort_values(ascending=False, kind="stable").index]
    figure = new_figure(2.6 + 0.95 * shown.shape[1], 1.9 + 0.34 * shown.shape[0])
    axes = figure.subplots()
    image = axes.imshow(shown.to_numpy(dtype=np.float64), cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
    _write_cells(axes, shown)
    axes.set_xticks(
        range(shown.shape[1]), [_broken(with_unit(str(name), run.spec.metrics)) for name in shown.columns], fontsize=8
    )
    axes.set_yticks(range(shown.shape[0]), [with_unit(str(name), run.spec.metrics) for name in shown.index])
    axes.grid(visible=False)
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, pad=0.02, fraction=0.05)
    bar.set_label("share of the variance, interactions included")
    bar_ticks(bar)
    axes.set_title(f"{run.name}: which parameters decide, over the whole space", fontsize=9)
    return save(figure, folder, "sensitivity", formats)


def _write_cells(axes: Any, shown: pd.DataFrame) -> None:
    for row, column in np.ndindex(*shown.shape):
        share = float(shown.to_numpy(dtype=np.float64)[row, column])
        text = "–" if not np.isfinite(share) else "" if share < _MIN_FRACTION else f"{share:.2f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color="black" if share > 0.55 else "white")


def _broken(name: str, width: int = 14) -> str:
    """Return a name in lines, broken behind underscores, commas and dots."""
    lines = [""]
    for piece in name.replace("_", "_\0").replace(", ", ", \0").replace(".", ".\0").replace(" [", " \0[").split("\0"):
        if lines[-1] and len(lines[-1]) + len(piece) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.strip() for line in lines)
