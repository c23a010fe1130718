"""Monte Carlo samples as figures.

Probabilities and intervals of the designs, and the inputs that move one of them (a tornado).
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from dse.render.plots.style import BLUE, GREY, ORANGE, PALE, VERMILION, new_figure, save, scale_axis, with_unit
from dse.results.store import StoredRun
from dse.uncertainty.files import read_robust

if TYPE_CHECKING:
    import pandas as pd

MAX_BARS = 9
"""Inputs of one metric that are drawn."""

MAX_DESIGNS = 10
"""Designs whose intervals are drawn, picks apart."""

TORNADO_COLUMNS = 2


def draw_robustness(run: StoredRun, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Draw the intervals of the designs and the tornado of the analysed one; return the files."""
    designs, inputs, draws = read_robust(run)
    record = draws.data
    paths = _draw_intervals(run, designs, record, folder, formats)
    return paths + _draw_tornado(run, inputs, record, folder, formats)


def _draw_intervals(
    run: StoredRun, designs: pd.DataFrame, record: dict[str, object], folder: Path, formats: Sequence[str]
) -> list[Path]:
    shown_metrics = [one.metric for one in run.spec.objectives]
    if hardest := _hardest(run, designs, but=shown_metrics):
        shown_metrics.append(hardest)
    ranked = designs.sort_values(["p_feasible", "nondominated_fraction"], ascending=False, kind="stable")
    shown = ranked.head(MAX_DESIGNS)
    shown = designs.loc[sorted({*shown.index, *designs.index[designs["picks"].notna()]})]
    shown = shown.sort_values("p_feasible", kind="stable")
    figure = new_figure(3.2 + 2.6 * len(shown_metrics), 1.9 + 0.26 * len(shown))
    probabilities, *rest = figure.subplots(1, 1 + len(shown_metrics), sharey=True, squeeze=False)[0]
    rows = np.arange(len(shown))
    _draw_chances(probabilities, shown, rows)
    for axes, metric in zip(rest, shown_metrics, strict=True):
        _draw_interval(axes, shown, rows, metric, run)
    figure.suptitle(
        f"{run.name}: {len(shown)} of {len(designs)} designs under {record['draws']} Monte Carlo samples of the "
        f"ranged parameters",
        x=0.01, ha="left", fontsize=10.0, fontweight="bold",
    )  # fmt: skip
    # A limit may stand in one panel alone.
    labelled = [zip(*axes.get_legend_handles_labels(), strict=True) for axes in (*rest, probabilities)]
    entries = {label: handle for panel in labelled for handle, label in panel}
    figure.legend(entries.values(), entries, loc="outside lower center", ncols=3)
    return save(figure, folder, "robust_intervals", formats)


def _hardest(run: StoredRun, designs: pd.DataFrame, *, but: Sequence[str]) -> str:
    """Return the limited metric, none of `but`, that these designs miss in most of the draws, "" for none."""
    held: dict[str, float] = {}
    for constraint in run.spec.constraints:
        name = f"p {constraint.label}"
        if constraint.metric not in but and name in designs and f"{constraint.metric} p50" in designs:
            held[constraint.metric] = min(held.get(constraint.metric, 1.0), float(designs[name].mean()))
    return min(held, key=lambda metric: held[metric], default="")


def _draw_chances(axes: Axes, shown: pd.DataFrame, rows: np.ndarray) -> None:
    axes.barh(rows, 100 * shown["p_feasible"], height=0.62, color=BLUE, label="meets every target")
    axes.plot(
        100 * shown["nondominated_fraction"], rows, linestyle="", marker="D", markersize=4, color=ORANGE,
        markeredgecolor="black", markeredgewidth=0.5, clip_on=False, zorder=3, label="no other is better",
    )  # fmt: skip
    axes.set(xlim=(0, 100), xlabel="share of the draws [%]")
    axes.set_yticks(rows, [_design_words(row) for _, row in shown.iterrows()])
    axes.grid(visible=False, axis="y")


def _design_words(row: pd.Series) -> str:
    picks = str(row["picks"]).split() if isinstance(row["picks"], str) else []
    names = [name.removeprefix("best_").rpartition(".")[2] for name in picks]
    kind = ", ".join(
        "best " + n if p.startswith("best_") else n.replace("_", " ") for p, n in zip(picks, names, strict=True)
    )
    return f"{kind or ('front' if row['front'] else 'infeasible')}  {row['id']}"


def _draw_interval(axes: Axes, shown: pd.DataFrame, rows: np.ndarray, metric: str, run: StoredRun) -> None:
    low, middle, high = (shown[f"{metric} {name}"].to_numpy(dtype=np.float64) for name in ("p10", "p50", "p90"))
    axes.hlines(rows, low, high, color=PALE, linewidth=5)
    axes.plot(middle, rows, linestyle="", marker="|", markersize=9, markeredgewidth=1.6, color=BLUE, label="P50")
    axes.plot(shown[metric], rows, linestyle="", marker="x", markersize=5, color=GREY, label="typical parameters")
    known = np.concatenate([low, high])
    known = known[np.isfinite(known)]
    scale_axis(axes, "x", logarithmic=bool(len(known) and known.min() > 0 and known.max() > 8 * known.min()))
    for constraint in run.spec.constraints:
        if constraint.metric == metric and not constraint.relative_to:
            for bound in (constraint.max, constraint.min):
                if bound is not None:
                    axes.axvline(bound, color=VERMILION, linewidth=1.2, linestyle="--", label="limit")
    axes.set_xlabel("\n".join(textwrap.wrap(with_unit(metric, run.spec.metrics), 30)))
    axes.grid(visible=False, axis="y")
    axes.plot([], [], color=PALE, linewidth=5, label="P10 to P90")


def _draw_tornado(
    run: StoredRun, inputs: pd.DataFrame, record: dict[str, object], folder: Path, formats: Sequence[str]
) -> list[Path]:
    metrics = list(dict.fromkeys(inputs["metric"])) if len(inputs) else []
    if not metrics:
        return []
    columns = min(TORNADO_COLUMNS, len(metrics))
    rows = -(-len(metrics) // columns)
    most = min(MAX_BARS, int(inputs.groupby("metric").size().max()))
    figure = new_figure(7.4 * columns, 1.3 + rows * (0.9 + 0.24 * most))
    panels = figure.subplots(rows, columns, squeeze=False)
    for place, axes in enumerate(panels.flat):
        if place < len(metrics):
            own = inputs[inputs["metric"] == metrics[place]]
            _draw_bars(axes, own.head(MAX_BARS), metrics[place], run)
        else:
            axes.remove()
    figure.legend(
        *panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9.0,
        title="beside the bars: share of the variance that the parameter makes alone", title_fontsize=9.0,
    )  # fmt: skip
    subject = record["inputs_of"]
    assert isinstance(subject, dict)
    figure.suptitle(
        f"{run.name}: what moves {str(subject['pick']).replace('_', ' ')} (design {subject['id']}), one parameter "
        "at a time from the low to the high end of its range",
        x=0.01, ha="left", fontsize=10.0, fontweight="bold",
    )  # fmt: skip
    return save(figure, folder, "robust_tornado", formats)


def _draw_bars(axes: Axes, table: pd.DataFrame, metric: str, run: StoredRun) -> None:
    typical = float(table["at_typical"].iloc[0])
    rows = np.arange(len(table))[::-1]
    low, high = (table[name].to_numpy(dtype=np.float64) for name in ("at_low", "at_high"))
    axes.barh(rows, low - typical, left=typical, height=0.62, color=BLUE, label="parameter at its low")
    axes.barh(rows, high - typical, left=typical, height=0.62, color=ORANGE, hatch="///", label="parameter at its high")
    axes.axvline(typical, color="black", linewidth=0.8)
    rights = np.maximum(typical, np.fmax(low, high))
    # An estimate from samples may fall outside of 0 to 1.
    shares = table["variance_fraction"].clip(0.0, 1.0).to_numpy(dtype=np.float64)
    for row, right, share in zip(rows, rights, shares, strict=True):
        if np.isfinite(share) and share >= 0.005:
            axes.annotate(
                f"{100 * share:.0f} %", (right, row), (4, 0), textcoords="offset points", va="center", fontsize=8
            )
    words = zip(table["input"], table["confidence"], strict=True)
    axes.set_yticks(rows, [f"{name}  ({confidence})" for name, confidence in words])
    axes.margins(x=0.08)
    scale_axis(axes, "x", logarithmic=False)
    axes.set_title(with_unit(metric, run.spec.metrics), fontsize=9, fontweight="normal")
    axes.grid(visible=False, axis="y")
