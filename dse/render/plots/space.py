"""The space and the search: which parameters decide (a heat map), the front in three dimensions, the hypervolume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LogNorm, Normalize

from dse.analysis.explain.sensitivity import write_sensitivity
from dse.render.plots.scene import Scene
from dse.render.plots.style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    PALE,
    SEQUENTIAL,
    bar_ticks,
    freeze_layout,
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

_PICK_MARKS = ("o", "s", "^", "D", "v", "p", "h")


def draw_pareto_3d(scene: Scene, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Draw the front over its first three objectives, each design with a line to the floor; nothing for fewer."""
    if len(scene.objectives) < 3:
        return []
    x, y, z = scene.objectives[:3]
    points = scene.front[[x, y, z]].to_numpy(dtype=np.float64)
    points = points[np.isfinite(points).all(axis=1)]
    figure = new_figure(7.2, 6.2)
    axes: Any = figure.add_subplot(projection="3d")
    if len(points):
        floor = points[:, 2].min()
        some = points[:: max(1, len(points) // 60)]
        for point in some:
            axes.plot(*([value, value] for value in point[:2]), [floor, point[2]], color=PALE, linewidth=0.6)
        norm = LogNorm() if spans_decades(points[:, 2]) else Normalize()
        axes.scatter(
            *points.T, c=points[:, 2], cmap=SEQUENTIAL, norm=norm, s=14, edgecolors=BLACK, linewidths=0.2,
            depthshade=False,
        )  # fmt: skip
    for place, pick in enumerate(scene.picks):
        at = [pick.number(column) for column in (x, y, z)]
        if np.isfinite(at).all():
            # Words in space would lie over points and axes: the shape of a mark tells which pick it is.
            axes.plot(
                *([value] for value in at), marker=_PICK_MARKS[place % len(_PICK_MARKS)], markersize=11,
                markerfacecolor="none", markeredgecolor=BLACK, markeredgewidth=1.5, linestyle="", label=pick.text,
            )  # fmt: skip
    if scene.picks:
        figure.legend(loc="outside lower center", ncols=2)
    for name, column in (("x", x), ("y", y), ("z", z)):
        getattr(axes, f"set_{name}label")(with_unit(column, scene.metrics), labelpad=8)
    axes.set_title(f"{scene.name}: {'front' if scene.feasible else 'least infeasible designs'}, {len(points)} designs")
    axes.view_init(elev=22, azim=-52)
    axes.set_box_aspect(None, zoom=0.88)
    freeze_layout(figure)
    return save(figure, folder, f"pareto3d-{x}-{y}-{z}", formats)


def draw_hypervolume(run: StoredRun, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Draw hypervolume and size of the front against the designs evaluated."""
    progress = run.progress
    figure = new_figure(7.2, 4.2)
    axes = figure.subplots()
    evaluated = progress["evaluated"].to_numpy(dtype=np.float64)
    volume = progress["hypervolume"].to_numpy(dtype=np.float64)
    mark = "o" if len(evaluated) < 20 else None
    axes.plot(evaluated, volume, color=BLUE, linewidth=1.8, marker=mark, label="hypervolume")
    axes.set_xlabel("designs evaluated")
    axes.set_ylabel("hypervolume over the corner of the first feasible designs")
    scale_axis(axes, "x", logarithmic=False)
    axes.set_xlim(0, max(float(evaluated.max()), 1.0) * 1.02)
    sizes = axes.twinx()
    sizes.plot(evaluated, progress["front"], color=ORANGE, linestyle="--", linewidth=1.4, label="designs on the front")
    sizes.set_ylabel("designs on the front")
    sizes.grid(visible=False)
    sizes.spines["right"].set_visible(True)
    handles = [*axes.get_lines(), *sizes.get_lines()]
    figure.legend(handles, [str(line.get_label()) for line in handles], loc="outside lower center", ncols=2)
    if not np.isfinite(volume).any():
        axes.text(0.5, 0.5, "nothing feasible, so no hypervolume", transform=axes.transAxes, ha="center", color=GREY)
    axes.set_title(f"{run.name}: {run.manifest['sampler']}, seed {run.manifest['seed']}")
    freeze_layout(figure)
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
    freeze_layout(figure)
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
