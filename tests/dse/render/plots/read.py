"""What the artists of a figure hold, in a form to compare."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle


def plain_axes(width: float = 4, height: float = 3) -> Axes:
    """Axes over the whole of a page of 72 dots per inch."""
    figure = Figure(figsize=(width, height), dpi=72)
    FigureCanvasAgg(figure)
    return figure.add_axes((0, 0, 1, 1))


def title(axes: Axes) -> str:
    """The title, wherever it stands."""
    return "".join(axes.get_title(place) for place in ("left", "center", "right"))


def hexed(colour: Any) -> str:
    """A colour, or the first of several, as text."""
    return to_hex(colour[0] if np.ndim(colour) == 2 else colour).upper()


def ticks(axis: Any) -> dict[float, str]:
    """Place to text of the ticks in view."""
    low, high = sorted(axis.get_view_interval())
    texts = [text.get_text() for text in axis.get_ticklabels()]
    return {float(at): text for at, text in zip(axis.get_ticklocs(), texts, strict=True) if low <= at <= high}


def entries(figure: Any) -> list[str]:
    """Texts of the legends of a figure or of axes."""
    legends = figure.legends if isinstance(figure, Figure) else [figure.get_legend()]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


def xy(line: Any) -> list[list[float]]:
    """Points of a line or of a scatter."""
    points = line.get_xydata() if hasattr(line, "get_xydata") else line.get_offsets()
    return np.asarray(points, dtype=float).tolist()


def bar(patch: Any) -> tuple[float, float, float, float]:
    """Left, bottom, width and height of a bar or a span."""
    return patch.get_x(), patch.get_y(), patch.get_width(), patch.get_height()


def same_mark(scatter: Any, mark: str) -> bool:
    """Tell whether a scatter has a mark."""
    style = MarkerStyle(mark)
    wanted = style.get_path().transformed(style.get_transform())
    return np.array_equal(scatter.get_paths()[0].vertices, wanted.vertices)
