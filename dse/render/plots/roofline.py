"""Rooflines: the operators of a workload under the roof of one design, beside the roofs of the baselines, per chip."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cost_models.table import FloatArray
from dse.analysis.explain.records import OUTSIDE, Explanation, PassTable, WorkloadTable
from dse.number_texts import share_text
from dse.render.plots import style
from dse.render.plots.labels import Label, place_labels

_UNBROKEN = "\u00a0"

_MIN_AREA, _MAX_AREA = 22.0, 200.0

_PARTS = {"attention": "attention", "head": "the output head"}
"""Operators whose formats may give them a roof of their own."""

_SAME_PLACE_PX = 22.0
"""Operators closer than this on the page share a label."""


@dataclass(frozen=True)
class _Phase:
    """How the operators of a decode step or a prefill are drawn."""

    name: Literal["decode", "prefill"]
    colour: str
    mark: str
    filled: bool

    def table_of(self, table: WorkloadTable) -> PassTable:
        """Return the table of this phase."""
        return table.decode if self.name == "decode" else table.prefill


_PHASES = (_Phase("decode", style.BLUE, "o", True), _Phase("prefill", style.VERMILION, "s", False))


def draw_rooflines(
    name: str, design: Explanation, baselines: Mapping[str, Explanation], folder: Path, formats: Sequence[str]
) -> list[Path]:
    """Draw one roofline per workload of the design, and return the files.

    Args:
        name: what the design is called, for the title.
        design: whose operators are drawn.
        baselines: whose roofs are drawn beside its own.
        folder: where the files go.
        formats: file formats.
    """
    paths = []
    for workload, table in design.workloads.items():
        roofs = {key: one.workloads[workload] for key, one in baselines.items() if workload in one.workloads}
        paths += style.save(_draw(name, workload, table, roofs), folder, f"roofline-{workload}", formats)
    return paths


def _draw(name: str, workload: str, table: WorkloadTable, baselines: Mapping[str, WorkloadTable]) -> Figure:
    figure = style.new_figure(7.2, 5.8)
    axes = figure.subplots()
    intensities, rates = _extent(table, baselines.values())
    _draw_roof(axes, table, intensities, label=f"{name}: {_peaks(table)}", color=style.BLACK, linewidth=2.0)
    _draw_lower_roofs(axes, table, intensities)
    for place, (key, one) in enumerate(baselines.items()):
        colour, dashes = (
            style.SERIES[(2 + place) % len(style.SERIES)],
            style.DASHES[1 + place % (len(style.DASHES) - 1)],
        )
        _draw_roof(axes, one, intensities, label=f"{key}: {_peaks(one)}", color=colour, linestyle=dashes, linewidth=1.1)
    axes.set(xlim=intensities, ylim=rates)
    style.scale_axis(axes, "x", logarithmic=True)
    style.scale_axis(axes, "y", logarithmic=True)
    axes.set_xlabel("operational intensity [op/byte]\noperations per byte through the memory interface, 1 MAC = 2 op")
    axes.set_ylabel("rate of one chip [TFLOP/s]")
    holds = "" if table.fits else " (which cannot hold it)"
    axes.set_title(f"{workload}: operators on the pick {name}{holds}")
    for phase in _PHASES:
        _draw_operators(axes, phase.table_of(table), phase)
    _write_legends(figure, axes)
    style.freeze_layout(figure)
    labels = [label for phase in _PHASES for label in _labels(axes, phase.table_of(table), phase)]
    marks = np.array([[label.x, label.y] for label in labels] + _roof_points(table, baselines, intensities))
    place_labels(figure, axes, labels, marks=marks, radius=8.0)
    return figure


def _peaks(table: WorkloadTable) -> str:
    roofs = table.roofs
    return f"{style.short(roofs['bandwidth_gbps'])} GB/s, {style.short(roofs['linear_tflops'])} TFLOP/s"


def _points(table: PassTable) -> tuple[list[str], FloatArray]:
    """Return the operators with finite intensity, and their intensity, rate in TFLOP/s and share of the pass."""
    rows = [row for row in table.operators if row.name != OUTSIDE and np.isfinite(row.ops_per_byte) and row.macs > 0]
    points = [(row.ops_per_byte, 2 * row.macs / (row.ms * 1e9), row.share) for row in rows]
    return [row.name for row in rows], np.array(points).reshape(-1, 3)


def _extent(table: WorkloadTable, others: Iterable[WorkloadTable]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return ranges of intensity and rate that hold every operator and every ridge."""
    points = np.concatenate([_points(table.decode)[1], _points(table.prefill)[1]])
    tables = [table, *others]
    peaks = np.array([one.roofs["linear_tflops"] for one in tables])
    ridges = peaks * 1e3 / np.array([one.roofs["bandwidth_gbps"] for one in tables])
    x, y = np.concatenate([points[:, 0], ridges]), np.concatenate([points[:, 1], peaks])
    return (float(x.min()) / 2, float(x.max()) * 2.5), (float(y.min()) / 2, float(y.max()) * 2)


def _draw_roof(axes: Axes, table: WorkloadTable, intensities: tuple[float, float], **style: object) -> None:
    bandwidth, peak = table.roofs["bandwidth_gbps"] * 1e-3, table.roofs["linear_tflops"]
    x = np.array([intensities[0], peak / bandwidth, intensities[1]])
    axes.plot(x, np.minimum(x * bandwidth, peak), zorder=3, **style)  # type: ignore[arg-type]


def _draw_lower_roofs(axes: Axes, table: WorkloadTable, intensities: tuple[float, float]) -> None:
    """Draw the peaks of attention and of the head where they are not that of the linear layers."""
    seen = [table.roofs["linear_tflops"]]
    for place, part in enumerate(_PARTS):
        peak = table.roofs[f"{part}_tflops"]
        if any(np.isclose(peak, other, rtol=0.01) for other in seen):
            continue
        seen.append(peak)
        ridge = peak * 1e3 / table.roofs["bandwidth_gbps"]
        axes.plot(
            [ridge, intensities[1]], [peak, peak], color=style.BLACK, linewidth=1.0, linestyle=(0, (1, 1 + 2 * place)),
            zorder=3, label=f"roof of {_PARTS[part]} on it: {style.short(peak)} TFLOP/s",
        )  # fmt: skip


def _draw_operators(axes: Axes, table: PassTable, phase: _Phase) -> None:
    for intensity, rate, share in _points(table)[1]:
        axes.scatter(
            [intensity], [rate], marker=phase.mark, s=_MIN_AREA + (_MAX_AREA - _MIN_AREA) * share,
            facecolors=phase.colour if phase.filled else "white", edgecolors="white" if phase.filled else phase.colour,
            linewidths=0.6 if phase.filled else 1.4, alpha=0.9, zorder=6 if phase.filled else 5,
        )  # fmt: skip


def _labels(axes: Axes, table: PassTable, phase: _Phase) -> list[Label]:
    """Return one label for each group of operators that lie on top of each other, with their share of the pass."""
    names, points = _points(table)
    at = axes.transData.transform(points[:, :2])
    groups: list[list[int]] = []
    for i in np.lexsort((at[:, 1], at[:, 0])):
        near = [group for group in groups if np.hypot(*(at[i] - at[group[0]])) < _SAME_PLACE_PX]
        if near:
            near[0].append(int(i))
        else:
            groups.append([int(i)])
    labels = []
    for group in groups:
        x, y = np.exp(np.log(points[group, :2]).mean(axis=0))
        members = ", ".join(names[i] for i in sorted(group))
        share = f"{share_text(float(points[group, 2].sum()))} of {phase.name}".replace(" ", _UNBROKEN)
        text = f"{members}: {share}"
        labels.append(Label(float(x), float(y), textwrap.fill(text, 30), phase.colour))
    return labels


def _roof_points(
    table: WorkloadTable, baselines: Mapping[str, WorkloadTable], intensities: tuple[float, float]
) -> list[list[float]]:
    """Return points along every roof, so that labels keep off the lines."""
    x = np.geomspace(*intensities, 80)
    roofs = [one.roofs for one in (table, *baselines.values())]
    lines = [np.minimum(x * roof["bandwidth_gbps"] * 1e-3, roof["linear_tflops"]) for roof in roofs]
    own = table.roofs
    lines += [np.minimum(x * own["bandwidth_gbps"] * 1e-3, own[f"{part}_tflops"]) for part in ("attention", "head")]
    return [[float(a), float(b)] for line in lines for a, b in zip(x, line, strict=True)]


def _write_legends(figure: Figure, axes: Axes) -> None:
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", title="roofs", alignment="left")
    phases = [
        Line2D(
            [], [], linestyle="", marker=phase.mark, markersize=7, markeredgecolor=phase.colour, label=phase.name,
            markerfacecolor=phase.colour if phase.filled else "white",
        )
        for phase in _PHASES
    ]  # fmt: skip
    title = "operators; the larger, the longer"
    figure.legend(handles=phases, loc="outside lower right", alignment="left", title=title)
