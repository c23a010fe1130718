"""Plain line plots of studies: one quantity against another, a line per series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dse.render.plots.style import DASHES, GREY, MARKERS, SERIES, drawing, new_figure, save, scale_axis


@dataclass(frozen=True)
class LineChart:
    """A figure.

    Attributes:
        stem: name of the file.
        title: above it.
        x: what stands below, with its unit.
        y: what stands beside, with its unit.
        series: name to (x values, y values).
        log_x: whether the horizontal axis counts in ratios.
        log_y: whether the vertical axis does.
        level: a horizontal line to compare with, None for none.
    """

    stem: str
    title: str
    x: str
    y: str
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    log_x: bool = True
    log_y: bool = True
    level: float | None = None


def shrink(path: Path, colours: int = 64) -> None:
    """Rewrite a PNG with a palette of few colours, a third of its size."""
    from PIL import Image

    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(colours, method=Image.Quantize.MEDIANCUT)
    small.save(path, optimize=True)


def draw_lines(lines: LineChart, folder: Path, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Draw a figure into a folder and return the files."""
    with drawing():
        figure = new_figure(6.4, 4.2)
        axes = figure.subplots()
        for place, (name, (x, y)) in enumerate(lines.series.items()):
            axes.plot(
                x, y, color=SERIES[place % len(SERIES)], linestyle=DASHES[place % len(DASHES)],
                marker=MARKERS[place % len(MARKERS)], markersize=4, linewidth=1.1, label=name,
            )  # fmt: skip
        if lines.level is not None:
            axes.axhline(lines.level, color=GREY, linewidth=0.9, linestyle=":")
        scale_axis(axes, "x", logarithmic=lines.log_x)
        scale_axis(axes, "y", logarithmic=lines.log_y)
        axes.set(xlabel=lines.x, ylabel=lines.y, title=lines.title)
        axes.legend(loc="best")
        return save(figure, folder, lines.stem, formats)
