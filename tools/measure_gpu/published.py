"""What published rows and this project's model say of GPUs that were not measured here, as tables for docs/gpu.md.

    python -m tools.measure_gpu.published            print them
    python -m tools.measure_gpu.published --write    and put them into the page, between its markers

Nothing here is a measurement of this project, and nothing needs PyTorch.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.performance.kernels import break_even_sparsity, crossover_rows, weight_only_gain
from dse.analysis.explain.inputs import explain_library_chip
from dse.validation.run import run_validation
from studies import pages
from studies.pages import table

PROMPT = "prompt_tokens=512 output_tokens=1"
STEPS = (
    ("a100_80gb_sxm", "torch_compiled", "llama2_7b", "bf16", (1, 16, 64)),
    ("a100_80gb_sxm", "torch_compiled", "llama2_7b", "int4_g128", (1, 16, 64)),
    ("a100_80gb_sxm", "eager_torch", "llama2_7b", "bf16", (1,)),
    ("h100_sxm", "tensorrt_llm", "llama2_7b", "bf16", (1, 16, 64)),
    ("h100_sxm", "tensorrt_llm", "llama2_7b", "fp8", (1, 16, 64)),
    ("h100_sxm", "torch_compiled", "llama2_7b", "int4_g128", (1, 16, 64)),
    ("a100_80gb_sxm", "torch_compiled", "llama2_70b", "int4_g128", (1,)),
    ("h100_sxm", "torch_compiled", "llama2_70b", "int4_g128", (1,)),
)
"""Chip, software, model, weights, batches."""

RIDGES = ("a100_80gb_sxm", "h100_sxm")
KERNELS = ("marlin", "torch_int4", "exllamav2", "awq", "bitsandbytes")
GAIN_ROWS = (1, 16, 64)
MEASURED = ("gpt_fast", "tinychat_awq")
TITLES = {"a100_80gb_sxm": "A100 80GB", "h100_sxm": "H100"}


def step_table() -> list[str]:
    """Return where the time and energy of decode steps go: hardware bound, kernels, full stack."""
    rows = []
    for chip, stack, model, weights, batches in STEPS:
        for batch in batches:
            words = [f"weight_format={weights}", f"serving_stack={stack}"]
            reported = explain_library_chip(f"1x {chip}", [f"{model} batch={batch} {PROMPT}"], words).to_json()
            step = reported["workloads"][model]["decode"]
            spent, energy = step["spent_ms"], step["energy_j"]
            kernels = spent["memory"] + spent["arithmetic"] + spent["dequantizing"] + spent["not_overlapped"]
            work = energy["memory"] + energy["arithmetic"] + energy["on_chip"] + energy["dequantizing"]
            rows.append(
                (
                    TITLES[chip], stack, model, weights, batch, float(step["bound_ms"]),
                    float(kernels - step["bound_ms"]), float(spent["kernels"]), float(spent["outside_operators"]),
                    float(step["ms"]), f"{100 * step['bound_ms'] / step['ms']:.0f} %", float(step["board_j"] / batch),
                    f"{100 * work / step['board_j']:.0f} %",
                )
            )  # fmt: skip
    head = (
        "chip", "software", "model", "weights", "batch", "bound, ms", "+ what kernels miss of the peaks",
        "+ kernels by themselves", "+ host", "step, ms", "bound / step", "J per token", "of it moving and computing",
    )  # fmt: skip
    return table(head, rows)


def published_table() -> list[str]:
    """Return published rates of one GPU at batch 1, beside the prediction and the bound."""
    (rows,) = run_validation([shipped_library().data_file("open.csv")]).files.values()
    alone = (rows["n_chips"].astype(float) == 1) & rows["chip"].isin(list(TITLES)) & rows["source_id"].isin(MEASURED)
    dense = rows["model"].isin(["llama2_7b", "llama2_13b", "llama2_70b", "llama3_8b", "llama3_70b"])
    result = []
    for row in rows[alone & dense].to_dict("records"):
        value, predicted, bound = float(row["value"]), float(row["predicted"]), float(row["bound"])
        if row["metric"] == "ms_per_token":
            value, predicted, bound = (1e3 / x for x in (value, predicted, bound))
        result.append(
            (
                row["source_id"], TITLES[row["chip"]], row["model"], float(row["weight_bits"]), value, predicted, bound,
                f"{100 * value / bound:.0f} %",
            )
        )  # fmt: skip
    head = ("source", "chip", "model", "bits", "measured, tokens/s", "predicted", "bound", "measured / bound")
    return table(head, result)


def ridge_rows(chip: str) -> float:
    """Return the rows at which a BF16 GEMM turns from memory to arithmetic: 2 bytes x MAC rate / bandwidth."""
    entry = shipped_library().chip(chip)
    assert entry.bandwidth_gbps is not None
    return entry.peak_tops["bf16"] * 1e3 / entry.bandwidth_gbps


def weight_only_table(technology: Technology) -> list[str]:
    """Return per weight-only kernel its gain by rows on an A100, and the rows from which it is slower, by chip."""
    rows = []
    for kernel in KERNELS:
        ridge = ridge_rows("a100_80gb_sxm")
        gains = weight_only_gain(np.array(GAIN_ROWS, dtype=np.float64), kernel, ridge, technology)
        crossed = [crossover_rows(kernel, ridge_rows(chip), technology) for chip in RIDGES]
        reported = ["never" if np.isinf(rows_m) else f"{rows_m:.0f}" for rows_m in crossed]
        rows.append((kernel, *(float(gain) for gain in gains), *reported))
    head = ("kernel", *(f"gain at {m} rows" for m in GAIN_ROWS), *(f"slower from, {TITLES[chip]}" for chip in RIDGES))
    return table(head, rows)


def sparse_table(technology: Technology) -> list[str]:
    """Return per sparse kernel the published gains on an A100 by sparsity, and where it breaks even."""
    measured = pd.read_csv(shipped_library().data_file("spmm_gpu.csv"))
    measured = measured[measured["gpu"] == "A100"]
    profiles = {"Flash-LLM": "flash_llm", "SparTA": "sparta", "Sputnik": "sputnik"}
    rows = []
    for kernel, part in measured.groupby("kernel"):
        if kernel not in profiles and kernel not in ("CUTLASS 2:4 sparse tensor core", "cuSPARSE"):
            continue
        middle = part.groupby("sparsity")["speedup_vs_cublas"].median()
        cells = [f"{middle[s]:.2f}" if s in middle.index else "" for s in (0.5, 0.7, 0.8, 0.9, 0.99)]
        profile = profiles.get(str(kernel))
        point = "" if profile is None else f"{float(break_even_sparsity(profile, technology)):.2f}"
        rows.append((kernel, len(part), *cells, point))
    head = ("kernel", "rows", *(f"gain at {s:.0%} zeros" for s in (0.5, 0.7, 0.8, 0.9, 0.99)), "breaks even at")
    return table(head, rows)


def tables() -> dict[str, list[str]]:
    """Return every table by its name on the page."""
    technology = Technology()
    return {
        "steps": step_table(),
        "published": published_table(),
        "weight_only": weight_only_table(technology),
        "sparse": sparse_table(technology),
    }


def main() -> None:
    """Print, and write when asked to."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--write", action="store_true", help="put them into docs/gpu.md")
    asked, made = options.parse_args(), tables()
    if asked.write:
        pages.write("gpu.md", made)
    for name, lines in made.items():
        print(f"\n{name}\n", *lines, sep="\n")


if __name__ == "__main__":
    main()
