"""One design: its die with the edge that interfaces take, and its latency against batch and context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from cost_models.library import Library
from cost_models.table import Column, FloatArray, Setting, Table
from dse.analysis.explain import Explanation
from dse.evaluator import Evaluator
from dse.render.plots.style import (
    DASHES,
    FILLS,
    HATCHES,
    MARKERS,
    SERIES,
    freeze_layout,
    new_figure,
    save,
    scale_axis,
    short,
)

_EDGE_OF = {"memory_interface": "memory", "host_interface": "host", "link_interface": "links"}

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
CONTEXTS = (512, 2048, 8192, 32768)


@dataclass(frozen=True)
class Box:
    """A rectangle on the die, in mm."""

    name: str
    x: float
    y: float
    width: float
    height: float


def draw_floorplan(
    name: str, design: Explanation, library: Library, folder: Path, formats: Sequence[str]
) -> list[Path]:
    """Draw the die to scale: interfaces along the edge that they take, blocks inside in proportion. Not a layout."""
    areas, edges = design.blocks["area_mm2"], design.blocks["edge_mm"]
    ratio = library.parameters["floorplan.aspect_ratio"].typ
    width = float(np.sqrt(sum(areas.values()) * ratio))
    height = width / ratio
    rim, inset = rim_boxes(areas, edges, width, height)
    by_size = sorted(areas.items(), key=lambda item: -item[1])
    inside = [(block, area) for block, area in by_size if block not in _EDGE_OF and area > 0]
    core = slice_boxes(inside, Box("", inset[3], inset[2], width - inset[1] - inset[3], height - inset[0] - inset[2]))
    figure = new_figure(6.4, 6.2)
    axes = figure.subplots()
    axes.add_patch(Rectangle((0, 0), width, height, facecolor="white", edgecolor="black", linewidth=1.6, zorder=1))
    legend = _fill_boxes(axes, [*rim, *core], areas)
    used, allowed = design.limits["die_edge_mm"].used, design.limits["die_edge_mm"].allowed
    axes.set_xlim(-0.03 * width, 1.03 * width)
    axes.set_ylim(-0.03 * height, 1.03 * height)
    axes.set_aspect("equal")
    axes.grid(visible=False)
    axes.set_xlabel("[mm]; die and interfaces along the edge to scale, blocks inside in proportion, not a layout")
    axes.set_ylabel("[mm]")
    axes.set_title(
        f"{name}: die of {short(width * height)} mm², interfaces on {short(used)} of {short(allowed)} mm usable edge"
    )
    figure.legend(handles=legend, loc="outside lower center", ncols=2)
    freeze_layout(figure)
    return save(figure, folder, "floorplan", formats)


def rim_boxes(
    areas: Mapping[str, float], edges: Mapping[str, float], width: float, height: float
) -> tuple[list[Box], list[float]]:
    """Return the interfaces, clockwise along the edge from the top left, and how deep they are on each side."""
    boxes, inset, start = [], [0.0] * 4, 0.0
    for block, edge in _EDGE_OF.items():
        length = edges.get(edge, 0.0)
        if length <= 0:
            continue
        depth = areas[block] / length
        for side, box in _along_edge(block, start, length, depth, width, height):
            boxes.append(box)
            inset[side] = max(inset[side], depth)
        start += length
    return boxes, inset


def _along_edge(
    name: str, start: float, length: float, depth: float, width: float, height: float
) -> list[tuple[int, Box]]:
    sides = (width, height, width, height)
    at, side = start % (2 * (width + height)), 0
    pieces: list[tuple[int, Box]] = []
    while at >= sides[side]:
        at -= sides[side]
        side += 1
    # What is longer than the die's edge goes round a second time; the limit says so.
    while length > 1e-9 and len(pieces) < 6:
        piece = min(length, sides[side] - at)
        box = (
            Box(name, at, height - depth, piece, depth),
            Box(name, width - depth, height - at - piece, depth, piece),
            Box(name, width - at - piece, 0.0, piece, depth),
            Box(name, 0.0, at, depth, piece),
        )[side]
        pieces.append((side, box))
        length, at, side = length - piece, 0.0, (side + 1) % 4
    return pieces


def slice_boxes(parts: Sequence[tuple[str, float]], room: Box) -> list[Box]:
    """Cut a rectangle into slices by area, always across its longer side."""
    if not parts:
        return []
    (name, area), *rest = parts
    share = area / sum(one for _, one in parts)
    if room.width >= room.height:
        cut = share * room.width
        left = Box(name, room.x, room.y, cut, room.height)
        return [left, *slice_boxes(rest, Box("", room.x + cut, room.y, room.width - cut, room.height))]
    cut = share * room.height
    top = Box(name, room.x, room.y + room.height - cut, room.width, cut)
    return [top, *slice_boxes(rest, Box("", room.x, room.y, room.width, room.height - cut))]


def _fill_boxes(axes: Axes, boxes: Sequence[Box], areas: Mapping[str, float]) -> list[Patch]:
    """Draw the boxes, a fill and a hatch per block, and return the legend with their areas."""
    handles: dict[str, Patch] = {}
    names = list(dict.fromkeys(box.name for box in boxes))
    for box in boxes:
        place = names.index(box.name) % len(FILLS)
        style = {"facecolor": FILLS[place], "hatch": HATCHES[place], "edgecolor": "black", "linewidth": 0.6}
        axes.add_patch(Rectangle((box.x, box.y), box.width, box.height, alpha=0.75, zorder=2, **style))  # type: ignore[arg-type]
        text = f"{box.name.replace('_', ' ')}: {short(areas[box.name])} mm²"
        handles.setdefault(box.name, Patch(label=text, **style))  # type: ignore[arg-type]
    return list(handles.values())


def draw_latency(
    name: str, evaluator: Evaluator, design: Mapping[str, Setting], folder: Path, formats: Sequence[str]
) -> list[Path]:
    """Draw time per token against the batch, a line per context, for every workload that decodes; return the files."""
    paths = []
    for workload, entry in evaluator.spec.workloads.items():
        if evaluator.technology.library.models[entry.model].encoder:
            continue
        values, first = latencies_of(evaluator, design, workload)
        if not np.isfinite([values, first]).any():
            # The chips hold this model at no batch: there is nothing to show.
            continue
        figure = new_figure(7.2, 4.6)
        per_token, to_first = figure.subplots(1, 2)
        for axes, table, words in (
            (per_token, values, "time per token of the whole batch [ms]"),
            (to_first, first, "time to first token [ms]"),
        ):
            _draw_lines(axes, table)
            axes.set_xlabel("batch")
            axes.set_ylabel(words)
        handles, labels = per_token.get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=4, title="prompt tokens, as many again in output"
        )
        figure.suptitle(f"{workload} ({entry.model}) on {name}; gaps: memory is full", x=0.01, ha="left", fontsize=10)
        freeze_layout(figure)
        paths += save(figure, folder, f"latency-{workload}", formats)
    return paths


def _draw_lines(axes: Axes, table: FloatArray) -> None:
    for place, context in enumerate(CONTEXTS):
        axes.plot(
            BATCHES, table[place], color=SERIES[place], marker=MARKERS[place], linestyle=DASHES[place], markersize=4.5,
            linewidth=1.4, label=f"{context}",
        )  # fmt: skip
    axes.set_xlim(0.9, BATCHES[-1] * 1.15)
    scale_axis(axes, "x", logarithmic=True)
    if np.isfinite(table).any():
        axes.set_yscale("log")
        scale_axis(axes, "y", logarithmic=True)
    axes.set_xticks(BATCHES, [str(batch) for batch in BATCHES])


def latencies_of(evaluator: Evaluator, design: Mapping[str, Setting], workload: str) -> tuple[FloatArray, FloatArray]:
    """Return ``(contexts, batches)`` time per token and to the first token, NaN where memory is full."""
    shape = (len(CONTEXTS), len(BATCHES))
    batches, contexts = (np.ravel(grid).astype(np.float64) for grid in np.meshgrid(BATCHES, CONTEXTS))
    settings = {key: value for key, value in design.items() if not key.startswith(f"{workload}.")}
    columns: dict[str, Column] = {
        **Table.from_settings(settings).repeated(len(batches)),
        f"{workload}.batch": batches,
        f"{workload}.prompt_tokens": contexts,
        f"{workload}.output_tokens": contexts,
    }
    result = evaluator.evaluate(columns, metrics=(f"{workload}.tpot_ms", f"{workload}.ttft_ms")).metrics
    return (
        np.reshape(result[f"{workload}.tpot_ms"], shape),
        np.reshape(result[f"{workload}.ttft_ms"], shape),
    )
