"""How every figure looks: one palette, one set of markers, words on axes, files without dates.

Plots are made without pyplot, so that plotting neither needs a display nor leaves global state behind.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, LogLocator, MaxNLocator, NullFormatter

from cost_models.quantities.columns import describe
from cost_models.quantities.records import Metric
from cost_models.table import FloatArray
from dse.results.directory import replacing

# Okabe and Ito 2008, colours that stay apart with the common kinds of colour blindness.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, PALE = "#6F6F6F", "#B8B8B8"

SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, GREY, BLACK)
"""Colours of things that stand beside each other: picks, baselines, roofs."""

FILLS = (BLUE, ORANGE, GREEN, SKY, VERMILION, PURPLE, YELLOW, PALE, "#FFFFFF")
"""Fills of stacked bars, with a hatch each so that grey prints keep them apart."""

HATCHES = ("", "///", "...", "\\\\\\", "xxx", "---", "+++", "", "ooo")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h")
DASHES: tuple[str | tuple[int, tuple[int, ...]], ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))

SEQUENTIAL = "cividis"
"""Colour scale of a third quantity: even in lightness, safe for colour blindness."""

_THIN_SPACE = "\u2009"

_MAX_PLAIN = 1e9
"""Numbers from here on are written with a power of ten."""

_MAX_ROUNDING = 0.15
"""Most that the text of a tick may be off, as a share of the distance to the next."""

_ROUNDING = 1e-6
"""Values that differ by less than this share of themselves are one value."""

MIN_POINTS = 8.0
"""Smallest type in any figure."""

_STYLE: dict[Any, object] = {
    "figure.dpi": 160,
    "savefig.dpi": 160,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "xtick.labelsize": MIN_POINTS,
    "ytick.labelsize": MIN_POINTS,
    "legend.fontsize": MIN_POINTS,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "axes.linewidth": 0.8,
    "hatch.linewidth": 0.5,
    "path.simplify": True,
    "svg.hashsalt": "dse",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}

FORMATS = ("png", "svg", "pdf")
_METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the style of this project, whatever the user's own settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure whose parts make room for each other."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def freeze_layout(figure: Figure) -> None:
    """Lay the figure out and keep it so: nothing is rendered, and no later drawing lays it out again."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")


def save(figure: Figure, folder: Path, stem: str, formats: Sequence[str]) -> list[Path]:
    """Write the figure in every format, laid out once, the same bytes each time, and return the paths."""
    freeze_layout(figure)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for suffix in formats:
        path = folder / f"{stem}.{suffix}"
        with replacing(path) as partial:
            if suffix == "png" and isinstance(figure.canvas, FigureCanvasAgg):
                # savefig goes through a figure twice where it ever had a layout engine.
                figure.canvas.print_png(partial, metadata=_METADATA[suffix])  # type: ignore[no-untyped-call]
            else:
                figure.savefig(partial, format=suffix, metadata=_METADATA[suffix])
        paths.append(path)
    return paths


def words(column: str) -> str:
    """Return a column's name for people: ``tpot_ms, chat_70b``."""
    workload, _, bare = column.rpartition(".")
    return f"{bare}, {workload}" if workload else bare


def with_unit(column: str, metrics: Mapping[str, Metric]) -> str:
    """Return a column's name for people with its unit in brackets."""
    unit = describe(column, metrics).unit
    return f"{words(column)} [{unit}]" if unit else words(column)


def axis_label(column: str, metrics: Mapping[str, Metric], *, width: int = 58) -> str:
    """Return what stands on an axis: name and unit, and below it the first clause of the meaning."""
    what = describe(column, metrics)
    per_chip = ", per chip" if what.per_chip and what.unit not in ("", "bit") else ""
    lines = textwrap.wrap(what.meaning.partition(";")[0] + per_chip, width)
    return "\n".join([with_unit(column, metrics), *lines])


def spans_decades(values: Sequence[float] | np.ndarray) -> bool:
    """Return whether positive values spread over more than one decade."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    return bool(len(known) and known.min() > 0 and known.max() > 10 * known.min())


def one_value(values: FloatArray) -> bool:
    """Return whether no tick could tell the values apart: they differ by rounding only."""
    return bool(np.ptp(values) <= _ROUNDING * np.abs(values).max())


def short(value: float) -> str:
    """Return a number with three significant digits, thousands set apart, without a power of ten where it can."""
    if not np.isfinite(value):
        return "n/a"
    if value == 0:
        return "0"
    if 100 <= abs(value) < _MAX_PLAIN:
        return f"{value:,.0f}".replace(",", _THIN_SPACE)
    return f"{value:.3g}"


def told_apart(values: Sequence[float]) -> list[str]:
    """Return ascending numbers as text, with as many decimals as it takes to place them between their neighbours."""
    texts = [short(value) for value in values]
    gaps = np.diff(np.unique(np.asarray(values, dtype=np.float64)))
    if not len(gaps):
        return texts
    allowed = _MAX_ROUNDING * float(gaps.min())
    for decimals in range(10):
        read = [float(text.replace(_THIN_SPACE, "")) for text in texts]
        if max(abs(a - b) for a, b in zip(read, values, strict=True)) <= allowed:
            break
        texts = [f"{value:,.{decimals}f}".replace(",", _THIN_SPACE) for value in values]
    return texts


class _PlainTicks(Formatter):
    """Plain numbers at the ticks of one axis, all with the same and sufficient decimals."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return one number, as beside a cursor."""
        return short(x)

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Return the text of every tick."""
        return told_apart(list(values))


def scale_axis(axes: Axes, which: str, *, logarithmic: bool) -> None:
    """Set one axis linear or logarithmic, with plain numbers at its ticks."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    plain = _PlainTicks()
    if not logarithmic:
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(plain)
        return
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis.set_major_locator(_decades(*(axes.get_xlim() if which == "x" else axes.get_ylim())))
    axis.set_major_formatter(plain)
    axis.set_minor_formatter(NullFormatter())


def _decades(low: float, high: float) -> LogLocator:
    """Return where ticks of a logarithmic axis stand: at 1, 2 and 5 in every decade where it has few."""
    return LogLocator(10, subs=(1.0, 2.0, 5.0) if high / low < 300 else (1.0,))


def bar_ticks(bar: Colorbar) -> None:
    """Write plain numbers beside a colour bar."""
    if isinstance(bar.norm, LogNorm):
        bar.ax.yaxis.set_major_locator(_decades(*bar.ax.get_ylim()))
    bar.ax.yaxis.set_major_formatter(_PlainTicks())
    bar.ax.yaxis.set_minor_formatter(NullFormatter())


def write_titles(figure: Figure, axes: Axes, title: str, *, feasible: bool, pad: float = 6.0) -> None:
    """Write the title, and below it in a box that nothing is feasible where that is so."""
    if feasible:
        axes.set_title(title, pad=pad)
        return
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.0, fontweight="bold")
    axes.set_title(
        "No design meets every constraint; shown are the designs that miss by least.",
        fontsize=9.0, pad=pad + 4, x=0.008, fontweight="normal",
        bbox={"boxstyle": "round,pad=0.4", "facecolor": "#FFF8DC", "edgecolor": GREY},
    )  # fmt: skip
