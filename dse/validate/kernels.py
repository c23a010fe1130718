"""Prediction of kernel rows: gains of weight-only kernels by batch, and of sparse kernels by sparsity."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cost_models.kernels import break_even_sparsity, crossover_rows, sparse_gain, weight_only_gain
from cost_models.technology import Technology
from dse.validate.results import Table
from dse.validate.rows import Form, add_reason

METHODS = {
    r"^Marlin W4A16": "marlin",
    r"torch-nightly|_weight_int4pack_mm": "torch_int4",
    r"exllamav2": "exllamav2",
    r"^AWQ W4A16 g128$": "awq",
    r"bitsandbytes": "bitsandbytes",
    r"^Flash-LLM$": "flash_llm",
    r"^SparTA$": "sparta",
    r"^Sputnik$": "sputnik",
    r"^cuSPARSE$": "cusparse",
    r"^Sparse-Marlin 2:4 W4A16": "sparse_marlin",
    r"^FP6-LLM W6A16$": "fp6_llm",
    r"^TensorRT-LLM fine-grained W4A16$": "tensorrt_llm_group",
    r"^TensorRT-LLM coarse-grained W4A16$": "tensorrt_llm_channel",
    r"^CUTLASS 2:4": "cutlass_2of4",
    r"^DeepSparse$": "deepsparse",
}
"""Names of kernels as sources print them, and their profiles."""

UNFITTED = ("sparse_marlin", "fp6_llm", "tensorrt_llm_group", "tensorrt_llm_channel", "cutlass_2of4", "deepsparse")
"""Profiles whose constants come from stored bits and peaks; those of all others were fitted on the rows scored here."""

NOT_PREDICTED = {
    r"^Sparse-Marlin W4A16\+2:4$": "is scored among the weight-only kernels, where the same points stand",
    r"^TensorRT-LLM W4A16$": "ran at the largest batch that fits, which mixes capacity and speed",
    r"^BitBLAS": "is given as the least and most over 13 shapes with 8-bit activations",
    r"TinyChat|SGLang|^MLC-LLM|^HQQ|^AQLM|^QuIP#|^QTIP|^SlideSparse": "was measured on whole models, which stacks do",
    r"^LUT-GEMM": "is compared with another 3-bit kernel",
}
"""Kernels without a profile, and why."""

_NOTE = (
    "gains over a dense FP16 GEMM on the same machine; constants: fitted on these rows, or derived from stored bits "
    "and peaks without them"
)


def predict(rows: pd.DataFrame, form: Form, technology: Technology) -> pd.DataFrame:
    """Add profile, predicted and measured gain; a reason where a kernel has no profile."""
    rows = rows.copy()
    name = rows["method" if form == "weight_only" else "kernel"].fillna("")
    rows["measured_gain"] = rows["speedup_vs_fp16" if form == "weight_only" else "speedup_vs_cublas"]
    rows["profile"] = ""
    for pattern, profile in METHODS.items():
        rows.loc[name.str.contains(pattern), "profile"] = profile
    for pattern, why in NOT_PREDICTED.items():
        add_reason(rows, name.str.contains(pattern), "kernel " + name.map(repr) + " " + why)
    add_reason(rows, rows["profile"] == "", "kernel " + name.map(repr) + " has no profile")
    add_reason(rows, ~(rows["measured_gain"] > 0), "no speed-up over a dense FP16 GEMM is given")
    rows["predicted_gain"] = np.nan
    if form == "weight_only":
        rows["rows_m"] = pd.to_numeric(rows["batch_M"], errors="coerce")
        figures = technology.library.figures
        ridges = {gpu: f"kernel_gpus.{gpu}.ridge_rows" for gpu in rows["gpu"].dropna().unique()}
        add_reason(rows, ~rows["gpu"].map(ridges).isin(list(figures)), "peaks of the GPU are not in the library")
        add_reason(rows, ~(rows["rows_m"] >= 1), "the batch is not a number")
    else:
        add_reason(rows, ~rows["sparsity"].between(0, 1), "sparsity is not given")
    for (gpu, key), part in rows[rows["reason"] == ""].groupby(["gpu", "profile"]):
        if form == "weight_only":
            ridge = technology.value(f"kernel_gpus.{gpu}.ridge_rows")
            made = weight_only_gain(part["rows_m"].to_numpy(), str(key), ridge, technology)
        else:
            made = sparse_gain(part["sparsity"].to_numpy(), str(key), technology)
        rows.loc[part.index, "predicted_gain"] = made
    return rows


def kernel_tables(rows: pd.DataFrame, form: Form, technology: Technology) -> list[Table]:
    """Return per kernel and GPU the error of the gain, and where it crosses 1: predicted and measured."""
    lines = []
    for (gpu, key), part in rows[rows["reason"] == ""].groupby(["gpu", "profile"]):
        error = (part["predicted_gain"] / part["measured_gain"] - 1).abs()
        line = {"kernel": key, "gpu": gpu, "n": len(part), "constants": "derived" if key in UNFITTED else "fitted"}
        line |= {"mdape": error.median(), "p90": error.quantile(0.9)}
        if form == "weight_only":
            middle = part.groupby("rows_m")["measured_gain"].median()
            slower = middle.index[middle < 1]
            ridge = float(np.asarray(technology.value(f"kernel_gpus.{gpu}.ridge_rows")))
            line["crossover predicted"] = crossover_rows(str(key), ridge, technology)
            line["first slower batch"] = float(slower[0]) if len(slower) else np.inf
        else:
            middle = part.groupby("sparsity")["measured_gain"].median()
            faster = middle.index[middle >= 1]
            line["break-even predicted"] = float(break_even_sparsity(str(key), technology))
            line["first faster sparsity"] = float(faster[0]) if len(faster) else np.nan
        lines.append(line)
    title = "Weight-only kernels by batch" if form == "weight_only" else "Sparse kernels by sparsity"
    return [Table(form, title, pd.DataFrame(lines), _NOTE)] if lines else []
