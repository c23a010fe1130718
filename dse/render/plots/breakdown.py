"""Stacked bars: where power, area and cost of the picks and the baselines go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dse.analysis.explain.records import Explanation
from dse.render.plots.style import FILLS, HATCHES, MIN_POINTS, new_figure, save, scale_axis, short

OTHER = "other"
_MIN_FRACTION = 0.03
_HELD = "held_at_tdp"
_GROUPS = ("picks", "baselines")

_MAX_RATIO = 6.0
"""Longest bar of one group over that of the other up to which both share a scale."""

_MEANINGS = {
    "active": "active (what running kernels draw whatever they do)",
    "static": "static (leakage, standby, board)",
    "on_chip": "on chip (data across the die)",
    "noc": "noc (on-chip network)",
    "vector_and_control": "vector and control (a factor on the SRAM)",
}
"""Parts whose names do not say what they are."""


@dataclass(frozen=True)
class Bar:
    """One bar: parts that add up to `total`; no parts where only the total is known."""

    name: str
    parts: Mapping[str, float]
    total: float
    remark: str = ""


def draw_breakdowns(
    picks: Mapping[str, Explanation], baselines: Mapping[str, Explanation], folder: Path, formats: Sequence[str]
) -> list[Path]:
    """Draw decode power per workload, die area and board cost by block, and return the files."""
    paths = []
    workloads = dict.fromkeys(workload for one in picks.values() for workload in one.workloads)
    powers = {
        workload: [[power_bar(name, one, workload) for name, one in group.items()] for group in (picks, baselines)]
        for workload in workloads
    }
    # A part has one colour in the figures of all workloads.
    parts = block_names([bar for groups in powers.values() for group in groups for bar in group])
    for workload, groups in powers.items():
        figure = _draw(f"{workload}: power of all boards in decode", "W", groups, parts)
        if figure is not None:
            paths += save(figure, folder, f"breakdown-power-{workload}", formats)
    for stem, title, blocks, metric, unit in (
        ("area", "area of the logic die", "area_mm2", "die_mm2", "mm²"),
        ("cost", "production cost of one board, without NRE", "cost_usd", "cost_usd", "USD"),
    ):
        groups = [[block_bar(name, one, blocks, metric) for name, one in group.items()] for group in (picks, baselines)]
        figure = _draw(title, unit, groups, block_names([bar for group in groups for bar in group]))
        if figure is not None:
            paths += save(figure, folder, f"breakdown-{stem}", formats)
    return paths


def power_bar(name: str, explanation: Explanation, workload: str) -> Bar:
    """Return the parts of the board's power in decode, and a remark where the design limit holds it."""
    table = explanation.workloads[workload]
    if not table.fits:
        return Bar(name, {}, np.nan, "does not fit")
    decode = table.decode
    parts = {part: watts for part, watts in decode.power_w.items() if part != _HELD}
    requested = sum(parts.values())
    remark = f"asks for {short(requested)} W, held at the design limit" if _HELD in decode.power_w else ""
    return Bar(name, parts, decode.board_w, remark)


def block_bar(name: str, explanation: Explanation, blocks: str, metric: str) -> Bar:
    """Return the parts of a metric of the chip, none where only the total is known."""
    total = explanation.metrics[metric]
    parts = explanation.blocks.get(blocks, {})
    # A published total stands as a single block: there is nothing to break down.
    return Bar(name, parts if len(parts) > 1 else {}, total, "" if np.isfinite(total) else "n/a")


def _draw(title: str, unit: str, groups: Sequence[Sequence[Bar]], names: Sequence[str]) -> Figure | None:
    """Draw picks and baselines, each group on a scale of its own; None where no total is known."""
    shown = [group for group in groups if any(np.isfinite(bar.total) for bar in group)]
    if not shown:
        return None
    count = sum(len(group) for group in shown)
    figure = new_figure(7.2, 1.9 + 0.36 * count + 0.5 * len(shown))
    panels = figure.subplots(len(shown), 1, squeeze=False, height_ratios=[len(group) + 0.4 for group in shown])[:, 0]
    reach = [max(_end(bar) for bar in group) for group in shown]
    alike = max(reach) <= _MAX_RATIO * min(reach)
    for axes, group, own in zip(panels, shown, reach, strict=True):
        _draw_bars(axes, group, names, unit, longest=max(reach) if alike else own)
        apart = "" if alike or axes is panels[0] else ", ON A SCALE OF THEIR OWN"
        axes.set_title(f"{_GROUPS[groups.index(group)]}{apart}", fontweight="normal", fontsize=9.0)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.0, fontweight="bold")
    remarks = [f"[{unit}]"]
    remarks += [f"{name} n/a" for name, group in zip(_GROUPS, groups, strict=True) if group and group not in shown]
    panels[-1].set_xlabel("; ".join(filter(None, remarks)))
    handles = _handles(names)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 3) or 1)
    return figure


def block_names(bars: Sequence[Bar]) -> tuple[str, ...]:
    """Return the blocks to tell apart, the largest first; the small ones and those beyond the palette are `OTHER`."""
    share: dict[str, float] = {}
    for bar in bars:
        whole = sum(bar.parts.values())
        for part, amount in bar.parts.items():
            if amount > 0:
                share[part] = max(share.get(part, 0.0), amount / whole)
    large = sorted((part for part, most in share.items() if most >= _MIN_FRACTION), key=lambda part: -share[part])
    kept = tuple(part for part in large[: len(FILLS) - 1] if part != OTHER)
    return (*kept, OTHER) if len(kept) < len(share) else kept


def grouped_parts(bar: Bar, names: Sequence[str]) -> dict[str, float]:
    """Return the amount of each block of `names`, the rest under `OTHER`."""
    amounts = {name: bar.parts.get(name, 0.0) for name in names if name != OTHER}
    if OTHER in names:
        amounts[OTHER] = sum(amount for part, amount in bar.parts.items() if part not in amounts)
    return amounts


def _end(bar: Bar) -> float:
    """Return how far a bar reaches."""
    return max(sum(bar.parts.values()), bar.total if np.isfinite(bar.total) else 0.0)


def _draw_bars(axes: Axes, bars: Sequence[Bar], names: Sequence[str], unit: str, *, longest: float) -> None:
    """Draw one bar per design, the first at the top, its total at the end."""
    ends = [_end(bar) for bar in bars]
    axes.set_xlim(0, longest * 1.28)
    scale_axis(axes, "x", logarithmic=False)
    for row, (bar, end) in enumerate(zip(bars, ends, strict=True)):
        left = 0.0
        for place, (name, amount) in enumerate(grouped_parts(bar, names).items() if bar.parts else ()):
            axes.barh(row, amount, left=left, height=0.66, **_fill(place, name))
            if amount > 0.04 * axes.get_xlim()[1]:
                _write_inside(axes, left + amount / 2, row, short(amount), _fill(place, name)["facecolor"])
            left += amount
        if not bar.parts and np.isfinite(bar.total):
            axes.barh(row, bar.total, height=0.66, facecolor="#EDEDED", edgecolor="black", linewidth=0.6)
            _write_inside(axes, bar.total / 2, row, "blocks not published", "#EDEDED")
        total = f"{short(bar.total)} {unit}" if np.isfinite(bar.total) else ""
        text = "; ".join(part for part in (total, bar.remark) if part)
        axes.annotate(text, (end, row), (4, 0), textcoords="offset points", va="center", fontsize=MIN_POINTS)
    axes.set_yticks(range(len(bars)), [bar.name.replace(", ", ",\n") for bar in bars])
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)


def _fill(place: int, name: str) -> dict[str, Any]:
    """Return colour and hatch of a block; the rest is always white and dotted."""
    last = len(FILLS) - 1 if name == OTHER else place % (len(FILLS) - 1)
    return {"facecolor": FILLS[last], "hatch": HATCHES[last], "edgecolor": "black", "linewidth": 0.5}


def _write_inside(axes: Axes, x: float, row: int, text: str, fill: object) -> None:
    red, green, blue = to_rgb(str(fill))
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
    written = axes.text(x, row, text, ha="center", va="center", fontsize=MIN_POINTS, color="white" if dark else "black")
    written.set_bbox({"boxstyle": "round,pad=0.15", "facecolor": str(fill), "edgecolor": "none"})


def _handles(names: Sequence[str]) -> list[Patch]:
    return [
        Patch(label=_MEANINGS.get(name, name.replace("_", " ")), **_fill(place, name))
        for place, name in enumerate(names)
    ]
