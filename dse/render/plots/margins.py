"""How far designs are from each constraint: a histogram of its margin, missed left of zero, met right of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import NullFormatter

from dse.render.plots.style import BLACK, BLUE, VERMILION, new_figure, save
from dse.results.store import StoredRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3
MIN_WIDTH_IN = 7.2

TITLE_LETTERS = 34
"""Letters of a line of a panel's title."""

OUTSIDE = 1.15
"""Where the bars of all that misses by more than the whole bound, or meets it by more, begin to end: beyond 100 %."""

ONE_DESIGN = 0.7
"""Where the logarithmic axis begins, so that a bar of one design is seen."""


def draw_margins(run: StoredRun, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Draw ``margins.csv``: designs, on a logarithmic scale, by interval of the margin of every constraint.

    Constraints that every design meets are named instead, unless there are no others.
    """
    table = run.margins
    every = list(dict.fromkeys(table["constraint"]))
    missed = set(table.loc[table["low"] < 0, "constraint"])
    labels = [label for label in every if label in missed] or every
    kept = [str(label) for label in every if label not in labels]
    columns = min(COLUMNS, len(labels))
    rows = -(-len(labels) // columns)
    figure = new_figure(max(3.1 * columns + 0.6, MIN_WIDTH_IN), 1.95 * rows + 1.2)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for panel in panels.flat:
        panel.tick_params(labelbottom=True)
    for place, panel in enumerate(panels.flat):
        if place < len(labels):
            _draw_panel(panel, table[table["constraint"] == labels[place]], str(labels[place]))
        else:
            panel.remove()
    panels[0, 0].set_ylim(ONE_DESIGN, 2 * max(10, int(table["designs"].max())))
    figure.supxlabel("margin, % of the bound; outermost bars: all beyond", fontsize=9)
    figure.supylabel("designs", fontsize=9)
    reported = [f"{run.name}: designs by their margin to each constraint"]
    reported += [f"met by every design: {', '.join(kept)}"] if kept else []
    figure.suptitle("\n".join(fill(line, 38 * max(columns, 2)) for line in reported))
    handles = [panels[0, 0].bar([0], [0], color=VERMILION, hatch="///", edgecolor="white", label="missed")]
    handles += [panels[0, 0].bar([0], [0], color=BLUE, label="met")]
    figure.legend(handles=handles, loc="outside lower right", ncols=2)
    return save(figure, folder, "margins", formats)


def _draw_panel(axes: Axes, counts: pd.DataFrame, label: str) -> None:
    low = counts["low"].to_numpy(dtype=np.float64).clip(-OUTSIDE)
    high = counts["high"].to_numpy(dtype=np.float64).clip(max=OUTSIDE)
    designs = counts["designs"].to_numpy(dtype=np.float64)
    for chosen, colour, hatch in ((low < 0, VERMILION, "///"), (low >= 0, BLUE, "")):
        axes.bar(
            100 * low[chosen], designs[chosen], width=100 * (high - low)[chosen], align="edge",
            color=colour, hatch=hatch, edgecolor="white", linewidth=0.4,
        )  # fmt: skip
    axes.axvline(0, color=BLACK, linewidth=1)
    axes.set_yscale("log")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(-100 * OUTSIDE, 100 * OUTSIDE)
    axes.set_xticks([-100, -50, 0, 50, 100])
    axes.set_title(fill(label, TITLE_LETTERS), fontsize=9)
    axes.grid(visible=False, axis="x")
