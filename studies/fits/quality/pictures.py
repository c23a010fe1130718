"""Pictures of the quality fits: predicted against measured, and the curves of one model."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.weights.quality import format_quality, rise
from studies.fits.quality.fit import errors_of

EXAMPLE = ("Llama-2-13B", "llama2_13b")
NAMES = {
    "rtn": "round to nearest", "gptq": "GPTQ", "awq": "AWQ", "omniquant": "OmniQuant and alike", "qat": "EfficientQAT",
    "vector": "vector codes", "kquant": "k-quants", "kquant_imatrix": "k-quants, importance matrix",
    "sparsegpt": "SparseGPT", "wanda": "Wanda", "alps": "ALPS, OWL",
}  # fmt: skip
COLOURS = {
    "rtn": "#8c8c8c", "gptq": "#1f5fa8", "awq": "#6db3e8", "omniquant": "#d1495b", "qat": "#2e8b57",
    "vector": "#7b4fa3", "kquant": "#c98a1b", "kquant_imatrix": "#e8c468",
    "sparsegpt": "#1f5fa8", "wanda": "#c98a1b", "alps": "#d1495b",
}  # fmt: skip


def draw(results: dict[str, tuple[pd.DataFrame, np.ndarray]], directory: Path) -> None:
    """Write ``quality_errors.png`` and ``quality_curves.png``.

    Args:
        results: rows and y predicted without the row's model, by what was done to the weights.
        directory: where to; made if needed.
    """
    directory.mkdir(parents=True, exist_ok=True)
    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    for name, figure in (("errors", _errors(results)), ("curves", _curves(results))):
        figure.savefig(directory / f"quality_{name}.png", dpi=130)
        plt.close(figure)


def _errors(results: dict[str, tuple[pd.DataFrame, np.ndarray]]) -> Figure:
    figure, panels = plt.subplots(1, len(results), figsize=(11, 5.2), sharex=True, sharey=True, layout="constrained")
    limit = Technology().value("quality.unusable_y")
    for axes, (title, (rows, predicted)) in zip(panels, results.items(), strict=True):
        axes.axhspan(limit, 20, color="#f3e3e3", lw=0, zorder=0)
        axes.axvspan(limit, 20, color="#f3e3e3", lw=0, zorder=0)
        ends = np.array([0.003, 20])
        axes.plot(ends, ends, color="black", lw=1)
        for factor in (0.5, 2):
            axes.plot(ends, factor * ends, color="black", lw=0.6, ls=":")
        for method in NAMES:
            part = rows[rows["method_class"] == method]
            if part.empty:
                continue
            axes.scatter(
                predicted[part.index], part["y"], s=14, color=COLOURS[method], label=NAMES[method], alpha=0.75, lw=0
            )
        result = errors_of(rows["y"].to_numpy(), predicted)
        axes.set_title(
            f"{title}: {len(rows)} rows; below y = 1, perplexity is off by {result.perplexity_median:.1%} (median)",
            loc="left", fontsize=9,
        )  # fmt: skip
        axes.set(xscale="log", yscale="log", xlim=(0.004, 13), ylim=(0.004, 13))
        axes.set_xlabel("predicted by a fit without the model's rows")
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    panels[0].set_ylabel("measured y = ln(perplexity / perplexity of the dense model)")
    panels[0].text(0.0045, 11.5, "unusable: more than twice the perplexity", va="top", fontsize=8, color="#a04040")
    return figure


def _curves(results: dict[str, tuple[pd.DataFrame, np.ndarray]]) -> Figure:
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    quantised, pruned = ((rows[rows["model"] == EXAMPLE[0]]) for rows, _ in results.values())
    bits = np.linspace(2, 4.5, 101)
    for method in ("rtn", "gptq", "omniquant", "qat"):
        _curve(left, "int4_g128", method, "weight_bits", bits)
        part = quantised[(quantised["method_class"] == method) & (quantised["group"] == 128)]
        left.scatter(part["bits"], np.exp(part["y"]), s=16, color=COLOURS[method], zorder=3)
    left.set_xlabel("bits of a weight, groups of 128")
    left.set_title(f"{EXAMPLE[0]} quantised; points are measured, bands hold 90 %", loc="left", fontsize=9)
    shares = np.linspace(0, 0.8, 161)
    for method in ("sparsegpt", "wanda", "alps"):
        _curve(right, "bitmap_bf16_s50", method, "sparsity", shares)
        part = pruned[(pruned["method_class"] == method) & np.isinf(pruned["block"])]
        right.scatter(part["sparsity"], np.exp(part["y"]), s=16, color=COLOURS[method], zorder=3)
    right.axvspan(0, Technology().value("quality.pruning.least_sparsity"), color="#eeeeee", lw=0, zorder=0)
    right.text(0.01, 8.6, "no data: extrapolated", fontsize=8, color="#666666", va="top")
    right.set_xlim(0, 0.85)
    right.set_xlabel("share of weights removed, no pattern")
    right.set_title(f"{EXAMPLE[0]} pruned", loc="left", fontsize=9)
    for axes in (left, right):
        axes.set(yscale="log", ylim=(1, 10))
        axes.set_yticks([1, 1.1, 1.2, 1.5, 2, 3, 5, 10], ["1", "1.1", "1.2", "1.5", "2", "3", "5", "10"])
        axes.minorticks_off()
        axes.axhline(np.exp(Technology().value("quality.unusable_y")), color="#a04040", lw=0.8, ls="--")
        axes.set_ylabel("perplexity over the dense model's")
        axes.legend(frameon=False, fontsize=8)
    return figure


def _curve(axes: Axes, format_name: str, method: str, field: str, values: np.ndarray) -> None:
    library, technology = shipped_library(), Technology()
    change = {field: values} if field == "weight_bits" else {field: values, "pruning": method}
    form = library.weight_format(format_name).model_copy(update=change)
    damage = format_quality(library.model(EXAMPLE[1]), form, "none" if field == "sparsity" else method, technology)
    low, middle, high = (np.exp(rise(end, technology)) for end in (damage.low, damage.typ, damage.high))
    axes.plot(values, middle, color=COLOURS[method], lw=1.4, label=NAMES[method])
    axes.fill_between(values, low, high, color=COLOURS[method], alpha=0.1, lw=0)
