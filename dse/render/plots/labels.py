"""Labels beside points that keep clear of each other, of the points and of the frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from cost_models.table import FloatArray
from dse.render.plots.style import MIN_POINTS

_DISTANCES = (2.0, 9.0, 19.0, 33.0, 51.0, 73.0, 99.0)
_ANGLES = np.deg2rad([20, 160, -20, -160, 60, 120, -60, -120, 0, 180, 90, -90])


@dataclass(frozen=True)
class Label:
    """Text for a point, in data coordinates."""

    x: float
    y: float
    text: str
    colour: str = "black"


def place_labels(
    figure: Figure,
    axes: Axes,
    labels: Sequence[Label],
    *,
    marks: FloatArray,
    radius: float = 5.0,
    keep_clear: Sequence[Bbox] = (),
) -> None:
    """Write each label where it covers least, nearest first, with a line back to its point.

    The figure must be laid out already. Every label tries a fixed set of places around its point; the one that
    covers the fewest marks and no other label wins, so the result depends on nothing but the input.

    Args:
        figure: the laid-out figure.
        axes: where the points are.
        labels: texts with their points.
        radius: of the markers that are labelled, in points.
        marks: ``(m, 2)`` points in data coordinates that labels should not cover.
        keep_clear: boxes on the page, in pixels, that labels should not cover, such as a legend.
    """
    pixels = figure.dpi / 72
    frame = axes.get_window_extent()
    dots = axes.transData.transform(marks) if len(marks) else np.empty((0, 2))
    anchors = [axes.transData.transform((label.x, label.y)) for label in labels]
    half = radius * pixels
    taken = [*keep_clear, *(Bbox.from_bounds(x - half, y - half, 2 * half, 2 * half) for x, y in anchors)]
    written: list[tuple[Bbox, FloatArray]] = []
    for label, anchor in zip(labels, anchors, strict=True):
        width, height = _size(figure, axes, label)
        best: tuple[float, Bbox, bool] | None = None
        for distance in _DISTANCES:
            if best is not None and distance / 40 >= best[0]:
                break  # none that is as far away is better
            for angle in _ANGLES:
                box = _box(anchor, angle, (radius + distance) * pixels, width, height)
                cost = _cost(box, frame, taken, dots)
                if best is not None and cost + distance / 40 >= best[0]:
                    continue
                cost = cost + _crossings(box, anchor, written, keep_clear) + distance / 40
                if best is None or cost < best[0]:
                    best = (cost, box, distance > _DISTANCES[0])
        assert best is not None
        _, chosen, far = best
        taken.append(chosen)
        written.append((chosen, anchor))
        _write(axes, label, anchor, chosen, far=far)


def _size(figure: Figure, axes: Axes, label: Label) -> tuple[float, float]:
    text = axes.text(label.x, label.y, label.text, fontsize=MIN_POINTS)
    extent = text.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
    text.remove()
    return float(extent.width) + 4, float(extent.height) + 3


def _box(anchor: FloatArray, angle: float, distance: float, width: float, height: float) -> Bbox:
    """Return the label's box when its near side stands `distance` from the point in the direction of `angle`."""
    towards = np.array([np.cos(angle), np.sin(angle)])
    # 0, a half or all of its width lies left of where it stands, and so of its height below.
    shares = (1 - np.sign(np.round(towards, 1))) / 2
    left, bottom = anchor + distance * towards - np.array([width, height]) * shares
    return Bbox.from_bounds(float(left), float(bottom), width, height)


def _cost(box: Bbox, frame: Bbox, taken: Sequence[Bbox], dots: FloatArray) -> float:
    outside = max(frame.x0 - box.x0, 0) + max(box.x1 - frame.x1, 0) + max(frame.y0 - box.y0, 0)
    outside += max(box.y1 - frame.y1, 0)
    covered = sum(_overlap(box, other) for other in taken)
    inside = (
        (dots[:, 0] > box.x0 - 3) & (dots[:, 0] < box.x1 + 3) & (dots[:, 1] > box.y0 - 3) & (dots[:, 1] < box.y1 + 3)
    )
    hidden = 100.0 * covered / float(box.width * box.height) + 40.0 * bool(covered)
    return float(2.0 * outside + hidden + 1.5 * inside.sum())


def _crossings(
    box: Bbox, anchor: FloatArray, written: Sequence[tuple[Bbox, FloatArray]], keep_clear: Sequence[Bbox]
) -> float:
    """Return the cost of lines to the points that run through text: this one's, and those of labels before it."""
    crossed = sum(_runs_through(anchor, box, other) for other in keep_clear)
    for other, other_anchor in written:
        crossed += _runs_through(anchor, box, other) + _runs_through(other_anchor, other, box)
    return 40.0 * crossed


def _runs_through(anchor: FloatArray, box: Bbox, other: Bbox) -> bool:
    """Tell whether the line from a point to its label's box runs through another box."""
    end = np.clip(anchor, box.min, box.max)
    steps = anchor + np.linspace(0.05, 0.95, 41)[:, None] * (end - anchor)
    return bool(((steps > other.min) & (steps < other.max)).all(axis=1).any())


def _overlap(a: Bbox, b: Bbox) -> float:
    return float(max(min(a.x1, b.x1) - max(a.x0, b.x0), 0.0) * max(min(a.y1, b.y1) - max(a.y0, b.y0), 0.0))


def _write(axes: Axes, label: Label, anchor: FloatArray, box: Bbox, *, far: bool) -> None:
    centre = axes.transData.inverted().transform(((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2))
    if far:
        near = (float(np.clip(anchor[0], box.x0, box.x1)), float(np.clip(anchor[1], box.y0, box.y1)))
        end = axes.transData.inverted().transform(near)
        axes.plot([label.x, end[0]], [label.y, end[1]], color=label.colour, linewidth=0.7, zorder=8)
    text = axes.text(
        centre[0], centre[1], label.text, color=label.colour, fontsize=MIN_POINTS, ha="center", va="center", zorder=12
    )
    text.set_bbox({"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75})
    text.set_in_layout(False)
