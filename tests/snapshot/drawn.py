"""A figure as text: every artist that shows, with its place, its look and its words; no pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Patch
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Transform

MOST_POINTS = 12
"""Points of one artist that are told one by one; of more, the ends, and how all of them lie."""


def drawn(figure: Figure) -> str:
    """Return what a figure shows; places are shares of its axes, or of the page outside them."""
    lines = [f"figure {figure.get_figwidth():g} x {figure.get_figheight():g} in"]
    whole = figure.transSubfigure
    lines += _artists([*figure.texts, *figure.lines], whole)
    for legend in figure.legends:
        lines += _legend(legend, whole)
    for axes in figure.axes:
        lines += _axes(axes, whole)
    return "\n".join(lines) + "\n"


def _axes(axes: Axes, whole: Transform) -> Iterator[str]:
    yield f"axes {_numbers(axes.get_position().bounds)} {'frame' if axes.axison else 'no frame'}"
    own = axes.transAxes
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        if not (axes.axison and axis.get_visible()):
            continue
        limits = _numbers(axis.get_view_interval())
        yield f" {name} {axis.get_scale()} {limits} {_quoted(axis.get_label_text())} {'grid' if _grid(axis) else ''}"
        low, high = sorted(axis.get_view_interval())
        shown = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
        told = [
            f"{_quoted(tick.label1.get_text())} {tick.get_loc():.5g}" for tick in shown if tick.label1.get_visible()
        ]
        yield f" {name} ticks {', '.join(told)}"
    spines = (*axes.spines.values(), axes.patch)
    yield from _artists([child for child in axes.get_children() if child not in spines], own)


def _grid(axis: object) -> bool:
    return any(tick.gridline.get_visible() for tick in axis.get_major_ticks())  # type: ignore[attr-defined]


def _artists(artists: Sequence[Artist], place: Transform) -> Iterator[str]:
    for artist in artists:
        if not artist.get_visible():
            continue
        if isinstance(artist, Text):
            yield from _text(artist, place)
        elif isinstance(artist, Line2D):
            if len(artist.get_xdata()):
                yield f" line {_line(artist)} {_label(artist)}"
                yield _points(artist.get_transform().transform(artist.get_path().vertices), place)
        elif isinstance(artist, Collection):
            yield from _collection(artist, place)
        elif isinstance(artist, Patch):
            yield f" {type(artist).__name__} {_patch(artist)} {_label(artist)}"
            if not isinstance(artist, FancyArrowPatch):
                yield _points(artist.get_transform().transform(artist.get_path().vertices), place)
        elif isinstance(artist, AxesImage):
            yield f" image {artist.get_array().shape} {artist.get_cmap().name} {_numbers(artist.get_clim())}"
            yield f"  {_numbers(np.ma.filled(artist.get_array(), -1.0))}"
        elif isinstance(artist, Legend):
            yield from _legend(artist, place)


def _text(text: Text, place: Transform) -> Iterator[str]:
    if not text.get_text().strip():
        return
    box = place.inverted().transform(text.get_window_extent())
    look = f"{text.get_fontsize():g} {text.get_fontweight()} {to_hex(text.get_color())} {text.get_rotation():g}"
    back = text.get_bbox_patch()
    look += f" on {_patch(back)}" if back is not None else ""
    yield f" text {_quoted(text.get_text())} {look} {_numbers(box.ravel())} z {text.get_zorder():g}"
    if isinstance(text, Annotation) and text.arrow_patch is not None:
        yield f"  arrow {_patch(text.arrow_patch)} to {_numbers(text.xy)}"


def _line(line: Line2D) -> str:
    marker = line.get_marker()
    face, edge = _colour(line.get_markerfacecolor()), _colour(line.get_markeredgecolor())
    mark = f"{marker} {line.get_markersize():g} {face} {edge}"
    stroke = (
        f"{line.get_linestyle()} {line._dash_pattern[1] or ''} {line.get_linewidth():g} {_colour(line.get_color())}"
    )
    step, alpha = line.get_drawstyle(), line.get_alpha()
    mark = mark if marker not in ("None", None, "", " ") else "no mark"
    return f"{stroke} {mark} {step} alpha {alpha} z {line.get_zorder():g}"


def _patch(patch: Patch) -> str:
    fill = _colour(patch.get_facecolor()) if patch.get_fill() else "none"
    hatch = _quoted(patch.get_hatch() or "")
    return f"{fill} {_colour(patch.get_edgecolor())} {patch.get_linewidth():g} {hatch} z {patch.get_zorder():g}"


def _collection(these: Collection, place: Transform) -> Iterator[str]:
    offsets = np.ma.filled(these.get_offsets(), np.nan)
    widths, alpha = sorted({float(width) for width in np.atleast_1d(these.get_linewidths())}), these.get_alpha()
    sizes = sorted({float(size) for size in these.get_sizes()}) if hasattr(these, "get_sizes") else []
    scale = f"{these.get_cmap().name} {_numbers(these.get_clim())}" if these.get_array() is not None else ""
    yield (
        f" {type(these).__name__} sizes {_numbers(sizes)} widths {_numbers(widths)} "
        f"{_colours(these.get_facecolor())} / {_colours(these.get_edgecolor())} {scale} "
        f"alpha {alpha if np.ndim(alpha) == 0 else 'each'} "
        f"z {these.get_zorder():g} {_label(these)}"
    )
    if hasattr(these, "get_sizes"):
        yield _points(these.get_offset_transform().transform(offsets), place)
        marks = {path.vertices.round(3).tobytes(): len(path.vertices) for path in these.get_paths()}
        yield f"  marks {_numbers(sorted(marks.values()))}"
    else:
        vertices = [these.get_transform().transform(path.vertices) for path in these.get_paths()]
        yield _points(np.concatenate(vertices) if vertices else np.empty((0, 2)), place)
    if these.get_array() is not None:
        yield _points(np.ma.filled(np.ma.asarray(these.get_array(), dtype=float), np.nan).reshape(-1, 1), None)


def _legend(legend: Legend, place: Transform) -> Iterator[str]:
    box = place.inverted().transform(legend.get_window_extent())
    yield f" legend {_quoted(legend.get_title().get_text())} {_numbers(box.ravel())} columns {legend._ncols}"
    for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
        look = _line(handle) if isinstance(handle, Line2D) else ""
        look = _patch(handle) if isinstance(handle, Patch) else look
        look = f"{_colours(handle.get_facecolor())}" if isinstance(handle, Collection) else look
        yield f"  {_quoted(text.get_text())} {type(handle).__name__} {look}"


def _points(vertices: np.ndarray, place: Transform | None) -> str:
    """Return points as shares of a place; of many, the first and last and where all of them lie."""
    points = np.asarray(vertices, dtype=float)
    if place is not None and len(points):
        points = place.inverted().transform(points)
    flat = points.ravel()
    if len(points) <= MOST_POINTS:
        return f"  {_numbers(flat)}"
    known = points[np.isfinite(points).all(axis=-1)].reshape(-1, points.shape[-1])
    if not len(known):
        return f"  {len(points)} points, none of them known"
    ranks = np.linspace(0, len(known) - 1, MOST_POINTS).round().astype(int)
    spread = np.sort(known, axis=0)[ranks]
    return f"  {len(points)} points, mean {_numbers(known.mean(axis=0))}; sorted {_numbers(spread.ravel())}"


def _numbers(values: object) -> str:
    return " ".join(f"{value + 0.0:.4f}" if abs(value) < 100 else f"{value:.6g}" for value in np.ravel(values))


def _colour(colour: object) -> str:
    return to_hex(colour, keep_alpha=True) if not isinstance(colour, str) or colour != "none" else "none"


def _colours(colours: np.ndarray) -> str:
    every = list(dict.fromkeys(to_hex(colour, keep_alpha=True) for colour in colours))
    return " ".join(every if len(every) < 5 else [every[0], every[-1], f"{len(every)}"])


def _label(artist: Artist) -> str:
    label = str(artist.get_label())
    return "" if label.startswith("_") else _quoted(label)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', "'").replace("\n", "\\n") + '"'
