"""What targets take, as a picture: bandwidth that each memory can deliver around a die, against bandwidth needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from dse.analysis.require.requirements import Requirement, Requirements
from dse.errors import RunError
from dse.number_texts import number_text
from dse.render.plots.style import BLACK, BLUE, DASHES, ORANGE, PALE, VERMILION, drawing, new_figure, save, scale_axis

MAX_LINES = 3
"""Ways of storing weights whose needs are drawn."""


def plot_requirements(found: Requirements, folder: Path, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Draw the memories of a sweep against the bandwidth that its targets need, and return the files."""
    if not found.chosen.bandwidth_gbps > 0:
        raise RunError("there is nothing to draw: no target of the sweep needs any memory bandwidth")
    with drawing():
        figure = new_figure(7.4, 1.6 + 0.34 * max(4, len(found.options)))
        axes = figure.subplots()
        _draw_memories(axes, found)
        for place, need in enumerate(_shown(found)):
            _draw_need(axes, need, place)
        scale_axis(axes, "x", logarithmic=True)
        axes.set_xlabel("delivered bandwidth of one chip [GB/s]")
        axes.set_title(f"{found.name}: bandwidth that the targets need, and what can deliver it")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16 - 0.5 / max(4, len(found.options))), ncols=1)
        return save(figure, folder, "require", formats)


def _shown(found: Requirements) -> list[Requirement]:
    """Return the chosen need and others with clearly different bandwidth, one per weight format."""
    shown = [found.chosen]
    for need in found.needs:
        if not need.bandwidth_gbps > 0:
            continue
        apart = all(abs(np.log(need.bandwidth_gbps / other.bandwidth_gbps)) > 0.2 for other in shown)
        if found.targets and apart and need.weight_format not in {other.weight_format for other in shown}:
            shown.append(need)
    return shown[:MAX_LINES]


def _draw_memories(axes: Axes, found: Requirements) -> None:
    names = [f"{option.memory}, x{option.device_bits:g}" for option in found.options]
    places = np.arange(len(names))
    most = [option.delivered_gbps * option.edge_allowed_mm / option.edge_mm for option in found.options]
    one = [option.delivered_gbps / option.devices for option in found.options]
    widths = np.subtract(most, one)
    axes.barh(places, widths, left=one, color=PALE, height=0.6, label="one device, to all around the largest die")
    fit = [option for option in found.options if option.edge_slack >= 0]
    for options, colour, words in (
        (fit, BLUE, "devices that meet the need below in solid line"),
        ([option for option in found.options if option.edge_slack < 0], ORANGE, "the same, more edge than any die has"),
    ):
        if options:
            heights = [found.options.index(option) for option in options]
            axes.plot(
                [option.delivered_gbps for option in options], heights, "o", color=colour, markersize=6, label=words
            )
    for place, option in zip(places, found.options, strict=True):
        axes.annotate(
            str(option.devices), (option.delivered_gbps, float(place)), xytext=(7, 0), textcoords="offset points",
            va="center", fontsize=8,
        )  # fmt: skip
    axes.set_yticks(places, names)
    axes.invert_yaxis()


def _draw_need(axes: Axes, need: Requirement, place: int) -> None:
    stack = f", {number_text(need.bandwidth_stack_gbps)} with the stack"
    words = (
        f"needed with {need.weight_format} ({number_text(need.stored_bits)} bit), {need.kv_bits:g}-bit KV: "
        f"{number_text(need.bandwidth_gbps)} GB/s{stack}"
    )
    colour = (BLACK, VERMILION, ORANGE)[place]
    axes.axvline(need.bandwidth_gbps, color=colour, linestyle=DASHES[place], linewidth=1.3, label=words)
