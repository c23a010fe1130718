"""Prediction of kernel rows: gains of weight-only kernels by batch, and of sparse kernels by sparsity."""

from __future__ import annotations

import csv
import functools
from typing import NamedTuple

import numpy as np
import pandas as pd

from cost_models.library import Library
from cost_models.library.technology import Technology
from cost_models.performance.kernels import break_even_sparsity, crossover_rows, sparse_gain, weight_only_gain
from dse.validation.results import ScoreTable
from dse.validation.rows import Form, add_reason

_NOTE = (
    "gains over a dense FP16 GEMM on the same machine; constants: fitted on these rows, or derived from stored bits "
    "and peaks without them"
)


class KernelName(NamedTuple):
    """How sources print a kernel's name.

    Attributes:
        pattern: regular expression of the name.
        profile: key in ``kernels.yaml``, "" where the kernel has none.
        constants: whether the profile was ``fitted`` on the rows scored here or is ``derived`` from bits and peaks.
        not_predicted: why the kernel has no profile.
    """

    pattern: str
    profile: str
    constants: str
    not_predicted: str


@functools.lru_cache(maxsize=8)
def kernel_names(library: Library) -> tuple[KernelName, ...]:
    """Return the kernels' names that the library knows."""
    with library.data_file("kernel_names.csv").open(encoding="utf-8", newline="") as table:
        return tuple(KernelName(**row) for row in csv.DictReader(table))


def predict(rows: pd.DataFrame, form: Form, technology: Technology) -> pd.DataFrame:
    """Add profile, predicted and measured gain; a reason where a kernel has no profile."""
    rows = rows.copy()
    name = rows["method" if form == "weight_only" else "kernel"].fillna("")
    rows["measured_gain"] = rows["speedup_vs_fp16" if form == "weight_only" else "speedup_vs_cublas"]
    rows["profile"] = ""
    for known in kernel_names(technology.library):
        meant = name.str.contains(known.pattern)
        if known.profile:
            rows.loc[meant, "profile"] = known.profile
        if known.not_predicted:
            add_reason(rows, meant, "kernel " + name.map(repr) + " " + known.not_predicted)
    add_reason(rows, rows["profile"] == "", "kernel " + name.map(repr) + " has no profile")
    add_reason(rows, ~(rows["measured_gain"] > 0), "no speed-up over a dense FP16 GEMM is given")
    rows["predicted_gain"] = np.nan
    if form == "weight_only":
        rows["rows_m"] = pd.to_numeric(rows["batch_M"], errors="coerce")
        parameters = technology.library.parameters
        ridges = {gpu: f"kernel_gpus.{gpu}.ridge_rows" for gpu in rows["gpu"].dropna().unique()}
        add_reason(rows, ~rows["gpu"].map(ridges).isin(list(parameters)), "peaks of the GPU are not in the library")
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


def kernel_tables(rows: pd.DataFrame, form: Form, technology: Technology) -> list[ScoreTable]:
    """Return per kernel and GPU the error of the gain, and where it crosses 1: predicted and measured."""
    lines = []
    rests_on = {known.profile: known.constants for known in kernel_names(technology.library)}
    for (gpu, key), part in rows[rows["reason"] == ""].groupby(["gpu", "profile"]):
        error = (part["predicted_gain"] / part["measured_gain"] - 1).abs()
        line = {"kernel": key, "gpu": gpu, "n": len(part), "constants": rests_on[str(key)]}
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
    return [ScoreTable(form, title, pd.DataFrame(lines), _NOTE)] if lines else []
