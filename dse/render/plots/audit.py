"""Claims as pictures: verdicts by how far they are off, and the rates that unknown machines could have."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dse.analysis.audit import Audit
from dse.analysis.audit.rates import ConsistentRates
from dse.analysis.audit.verdicts import ClaimResult
from dse.render.plots import style

COLOURS = {
    "consistent": style.GREEN,
    "optimistic": style.ORANGE,
    "impossible": style.VERMILION,
    "pessimistic": style.BLUE,
}
MARKS = {"consistent": "o", "optimistic": "s", "impossible": "X", "pessimistic": "v"}


def draw_audit(found: Audit, folder: Path) -> list[Path]:
    """Draw the verdicts and the consistent rates into a folder, and return the files."""
    paths = []
    with style.drawing():
        judged = [verdict for verdict in found.verdicts if np.isfinite(verdict.predicted)]
        if judged:
            paths += _draw_verdicts(found.case.name, judged, folder)
        for rates in found.rates:
            if len(rates.table):
                paths += _draw_rates(rates, folder)
    return paths


def _draw_verdicts(name: str, verdicts: list[ClaimResult], folder: Path) -> list[Path]:
    figure = style.new_figure(8.2, 1.6 + 0.21 * len(verdicts))
    axes = figure.subplots()
    for place, verdict in enumerate(verdicts):
        value = verdict.claim.value
        axes.plot([verdict.low / value, verdict.high / value], [place, place], color=style.PALE, linewidth=4, zorder=2)
        axes.plot(
            verdict.predicted / value,
            place,
            MARKS[verdict.finding],
            color=COLOURS[verdict.finding],
            markersize=5,
            zorder=4,
        )
        if np.isfinite(verdict.bound):
            axes.plot(verdict.bound / value, place, "|", color=style.BLACK, markersize=9, zorder=3)
    axes.axvline(1.0, color=style.BLACK, linewidth=0.8)
    style.scale_axis(axes, "x", logarithmic=True)
    axes.set_yticks(range(len(verdicts)), [_label(v) for v in verdicts], fontsize=6)
    axes.set_ylim(len(verdicts) - 0.4, -0.6)
    axes.set_xlabel("predicted over claimed value (bar: 90 % interval; stroke: bound of peak rates)")
    axes.set_title(f"{name}: claims against the equations")
    for finding, mark in MARKS.items():
        axes.plot([], [], mark, color=COLOURS[finding], label=finding)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return style.save(figure, folder, "verdicts", ("png",))


def _label(verdict: ClaimResult) -> str:
    """Return the claim, the machine, and the rest of what it was written out for."""
    stem, _, rest = verdict.claim.key.partition(", ")
    parts = [part for part in rest.split(", ") if part and part != verdict.claim.of]
    return " ".join([f"{stem}:", verdict.claim.of, *parts])


def _draw_rates(rates: ConsistentRates, folder: Path) -> list[Path]:
    """Draw the consistent set: weight and KV bits, coloured by the bandwidth that they take."""
    rising = rates.table.sort_values("gbps_low", kind="stable")
    table = rising.drop_duplicates(["weight_bits", "kv_bits", "memory_bound"])
    figure = style.new_figure(6.6, 4.8)
    axes = figure.subplots()
    points = None
    for waits, mark, words in ((True, "o", "every step waits for memory"), (False, "^", "arithmetic sets a rate")):
        part = table[table["memory_bound"] == waits]
        if len(part):
            points = axes.scatter(
                part["weight_bits"], part["kv_bits"], c=part["gbps_low"], cmap=style.SEQUENTIAL, marker=mark, s=26,
                vmin=float(table["gbps_low"].min()), vmax=float(table["gbps_low"].max()), label=words,
            )  # fmt: skip
    assert points is not None
    bar = figure.colorbar(points, ax=axes)
    bar.set_label("least delivered bandwidth [GB/s]")
    style.bar_ticks(bar)
    axes.set_xlabel("stored bits of a weight [bit]")
    axes.set_ylabel("stored bits of a KV-cache element [bit]")
    axes.set_title(f"{rates.subject}: what satisfies every claim")
    axes.legend(loc="lower right")
    return style.save(figure, folder, f"rates-{rates.subject}", ("png",))
