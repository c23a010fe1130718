"""Plots of a validation: predicted against measured by source, error by batch and by context."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from dse.render.plots.style import GREY, MARKERS, SERIES, drawing, new_figure, save
from dse.validation.results import Validation
from dse.validation.score import static_rows

TITLES = {"decode": "Decode step", "prefill": "Prefill", "request": "Whole request"}
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024)
CONTEXTS = (128, 256, 512, 1024, 2048, 4096, 8192, 65536)
MEDIAN_ROWS = 5
"""Rows from which a bin is drawn."""


def draw_validation(validation: Validation, folder: Path, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Draw the plots of a validation into a folder and return the files; none without end-to-end rows.

    Args:
        validation: scored rows.
        folder: made where it does not exist.
        formats: of "png", "svg", "pdf".
    """
    rows = validation.internal
    if not len(rows):
        return []
    rows = rows[np.isfinite(rows["predicted_s"]) & (rows["measured_s"] > 0) & static_rows(rows, "AB")]
    if not len(rows):
        return []
    with drawing():
        return [*_predicted_measured(rows, folder, formats), *_error_by(rows, folder, formats)]


def _predicted_measured(rows: pd.DataFrame, folder: Path, formats: Sequence[str]) -> list[Path]:
    kinds = [kind for kind in TITLES if (rows["quantity"] == kind).any()]
    figure = new_figure(4.1 * len(kinds), 5.4)
    sources = sorted(rows["source"].unique())
    # Colours come round again with another mark: no two sources share both.
    look = {
        name: (SERIES[i % len(SERIES)], MARKERS[(i + i // len(SERIES)) % len(MARKERS)])
        for i, name in enumerate(sources)
    }
    shown: dict[str, Artist] = {}
    for place, kind in enumerate(kinds):
        axes = figure.add_subplot(1, len(kinds), place + 1)
        part = rows[rows["quantity"] == kind]
        for name, points in part.groupby("source"):
            colour, marker = look[str(name)]
            shown[str(name)] = axes.scatter(
                points["measured_s"], points["predicted_s"], s=13, c=colour, marker=marker, alpha=0.55, linewidths=0
            )
        _diagonal(axes, part)
        axes.set_title(f"{TITLES[kind]}\n{_error_words(part)}", fontsize=9)
        axes.set_xlabel("measured time [s]")
        if place == 0:
            axes.set_ylabel("predicted time [s]")
    names = list(shown)
    figure.legend(
        [shown[name] for name in names], names, loc="outside lower center", ncols=min(4, len(names)), markerscale=1.8
    )
    return save(figure, folder, "predicted_measured", formats)


def _error_words(part: pd.DataFrame) -> str:
    """Return how many rows a panel holds and how far off they are."""
    error = 100 * (part["predicted_s"] / part["measured_s"] - 1)
    return f"{len(part)} rows, median error {error.median():+z.0f} %,\nmedian of its size {error.abs().median():.0f} %"


def _diagonal(axes: Axes, part: pd.DataFrame) -> None:
    """Draw equality and a fifth to either side, on logarithmic axes of equal reach."""
    values = part[["measured_s", "predicted_s"]].to_numpy()
    ends = np.array([values.min() / 1.5, values.max() * 1.5])
    axes.plot(ends, ends, color=GREY, linewidth=1.0, zorder=0)
    axes.fill_between(ends, ends / 1.2, ends * 1.2, color=GREY, alpha=0.18, linewidth=0, zorder=0, label="within 20 %")
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")


def _error_by(rows: pd.DataFrame, folder: Path, formats: Sequence[str]) -> list[Path]:
    paths = []
    rows = rows.assign(
        context=rows["prompt"] + rows["output"] / 2, percent=100 * (rows["predicted_s"] / rows["measured_s"] - 1)
    )
    for name, column, edges, label in (
        ("error_by_batch", "used_batch", BATCHES, "sequences in the batch"),
        ("error_by_context", "context", CONTEXTS, "mean context [tokens]"),
    ):
        figure = new_figure(7.2, 3.9)
        axes = figure.add_subplot()
        for place, (kind, title) in enumerate(TITLES.items()):
            part = rows[rows["quantity"] == kind]
            middle, medians, low, high = _binned(part, column, edges)
            if not len(middle):
                continue
            shift = 1 + 0.06 * (place - 1)
            bars = np.array([medians - low, high - medians])
            axes.errorbar(
                middle * shift, medians, yerr=bars, color=SERIES[place], marker=MARKERS[place], markersize=5,
                linewidth=1.2, elinewidth=0.9, capsize=2, label=title,
            )  # fmt: skip
        axes.axhline(0, color=GREY, linewidth=1.0)
        axes.set(xscale="log", xlabel=label, ylabel="predicted over measured, less 1 [%]")
        axes.set_title("Median error with quartiles, static rows of grades A and B")
        axes.legend(loc="best")
        paths += save(figure, folder, name, formats)
    return paths


def _binned(
    part: pd.DataFrame, column: str, edges: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (typical value, median, lower and upper quartile of the error) of every bin with enough rows."""
    place = np.digitize(part[column].to_numpy(dtype=float), edges)
    groups = [group for _, group in part.groupby(place) if len(group) >= MEDIAN_ROWS]
    middle = np.array([max(float(group[column].median()), 1.0) for group in groups])
    quartiles = [group["percent"].quantile([0.5, 0.25, 0.75]).to_numpy() for group in groups]
    medians, low, high = np.array(quartiles).T if groups else (np.zeros(0),) * 3
    return middle, medians, low, high
