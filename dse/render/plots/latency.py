"""Latency of one design against batch and context, beside the workload's own batch and lengths and its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from cost_models.performance.batching import CONTINUOUS
from cost_models.table import Column, FloatArray, Setting, Table
from dse.evaluator import Evaluator
from dse.render.plots import style

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
CONTEXTS = (512, 2048, 8192, 32768)


def draw_latency(
    name: str, evaluator: Evaluator, design: Mapping[str, Setting], folder: Path, formats: Sequence[str]
) -> list[Path]:
    """Draw time per token and to the first token against the batch, a line per context; return the files.

    Every workload that decodes has a figure: its own lengths as the thick line, its own batch as the star, its limits.
    """
    paths = []
    for workload, entry in evaluator.spec.workloads.items():
        if evaluator.technology.library.models[entry.model].encoder or entry.batching == CONTINUOUS:
            # No decode steps, or no batch of its own: the engine takes as many as come.
            continue
        own = _own(evaluator, design, workload)
        lengths = [(own[1], own[2]), *((context, context) for context in CONTEXTS)]
        batches = np.array(sorted({*BATCHES, own[0]}), dtype=np.float64)
        per_token, to_first = latencies_of(evaluator, design, workload, batches, lengths)
        if not np.isfinite([per_token, to_first]).any():
            # The chips hold this model at no batch: there is nothing to show.
            continue
        figure = style.new_figure(7.6, 4.9)
        left, right = figure.subplots(1, 2)
        limits = evaluator.slo_of(workload)
        _draw_lines(left, batches, per_token, lengths, own[0], limits.tpot_ms, "ms")
        _draw_lines(right, batches, to_first / 1e3, lengths, own[0], limits.ttft_ms and limits.ttft_ms / 1e3, "s")
        left.set_ylabel("time per token of the whole batch [ms]")
        right.set_ylabel("time to first token [s]")
        figure.legend(
            *left.get_legend_handles_labels(), loc="outside lower center", ncols=3, title="tokens in the prompt and out"
        )
        figure.suptitle(f"{workload} ({entry.model}) on {name}; lines end where memory is full", fontweight="bold")
        paths += style.save(figure, folder, f"latency-{workload}", formats)
    return paths


def _own(evaluator: Evaluator, design: Mapping[str, Setting], workload: str) -> tuple[float, float, float]:
    """Return batch, prompt and output tokens of a workload, from the design where the sweep varies them."""
    entry = evaluator.spec.workloads[workload]
    given = (("batch", entry.batch), ("prompt_tokens", entry.prompt_tokens), ("output_tokens", entry.output_tokens))
    batch, prompt, output = (float(design.get(f"{workload}.{key}", value)) for key, value in given)
    return batch, prompt, output


def _draw_lines(
    axes: Axes,
    batches: FloatArray,
    table: FloatArray,
    lengths: Sequence[tuple[float, float]],
    own_batch: float,
    limit: float | None,
    unit: str,
) -> None:
    for place, (prompt, output) in enumerate(lengths):
        label = f"{prompt:g} in, {output:g} out"
        if place:
            axes.plot(
                batches, table[place], color=style.SERIES[place - 1], marker=style.MARKERS[place - 1],
                linestyle=style.DASHES[place - 1], markersize=4, linewidth=1.2, label=label,
            )  # fmt: skip
            continue
        here = float(table[place][np.searchsorted(batches, own_batch)])
        axes.plot(batches, table[place], color=style.BLACK, linewidth=2.4, label=f"{label} (the workload's)")
        axes.plot(
            [own_batch], [here], linestyle="", marker="*", markersize=15, color=style.BLACK, markeredgecolor="white",
            zorder=9, label=f"its batch, {own_batch:g}",
        )  # fmt: skip
        if np.isfinite(here):
            axes.set_title(f"{style.short(here)} {unit} at batch {own_batch:g}", fontweight="normal", fontsize=9)
    if limit:
        axes.axhline(limit, color=style.VERMILION, linewidth=1.2, linestyle=(0, (4, 2)), label="its limit")
        axes.annotate(
            f"≤ {style.short(limit)} {unit}", (0.02, limit), (0, 3), xycoords=axes.get_yaxis_transform(),
            textcoords="offset points", color="#8A3A00", fontsize=8,
        )  # fmt: skip
    axes.set(xlabel="batch", xlim=(batches[0] / 1.1, batches[-1] * 1.15))
    style.scale_axis(axes, "x", logarithmic=True)
    shown = np.append(table[np.isfinite(table)], limit or [])
    style.scale_axis(axes, "y", logarithmic=style.spans_decades(shown))
    axes.set_xticks(BATCHES, [str(batch) for batch in BATCHES])


def latencies_of(
    evaluator: Evaluator,
    design: Mapping[str, Setting],
    workload: str,
    batches: FloatArray,
    lengths: Sequence[tuple[float, float]],
) -> tuple[FloatArray, FloatArray]:
    """Return time per token and to the first token in ms, ``(lengths, batches)``; NaN where memory is full.

    Args:
        evaluator: of the sweep.
        design: parameter to value.
        workload: its name.
        batches: sequences served together.
        lengths: tokens of the prompt and of the output.
    """
    shape = (len(lengths), len(batches))
    prompts, outputs = (
        np.repeat(np.array(column, dtype=np.float64), len(batches)) for column in zip(*lengths, strict=True)
    )
    settings = {key: value for key, value in design.items() if not key.startswith(f"{workload}.")}
    columns: dict[str, Column] = {
        **Table.from_settings(settings).repeated(len(prompts)),
        f"{workload}.batch": np.tile(batches, len(lengths)),
        f"{workload}.prompt_tokens": prompts,
        f"{workload}.output_tokens": outputs,
    }
    result = evaluator.evaluate(columns, metrics=(f"{workload}.tpot_ms", f"{workload}.ttft_ms")).metrics
    return (np.reshape(result[f"{workload}.tpot_ms"], shape), np.reshape(result[f"{workload}.ttft_ms"], shape))
