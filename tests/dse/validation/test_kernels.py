"""Gains of kernels beside a plain twin."""

import math
import statistics

import numpy as np
import pandas as pd
import pytest

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from dse.validation import kernels
from tests.dse.validation.test_score import quantile

LIBRARY, TECHNOLOGY = shipped_library(), Technology()


def test_gains_of_weight_only_kernels_cross_one_where_the_rows_do():
    told = [
        ("A10", "Marlin W4A16 g128", "1", "4.0", ""), ("A10", "Marlin W4A16 g128", "64", "1.0", ""),
        ("A10", "Marlin W4A16 g128", "128", "0.9", ""), ("A10", "Marlin W4A16 g128", "128", "0.99", ""),
        ("A10", "Marlin W4A16 g128", "256", "0.5", ""), ("A100", "Marlin W4A16 g128", "16", "1.0", ""),
        ("A10", "Marlin W4A16 g128", "0.5", "2.0", "the batch is not a number"),
        ("A10", "Marlin W4A16 g128", "many", "2.0", "the batch is not a number"),
        ("A10", "Marlin W4A16 g128", "8", "0", "no speed-up over a dense FP16 GEMM is given"),
        ("RTX 9090", "Marlin W4A16 g128", "8", "2.0", "peaks of the GPU are not in the library"),
        ("A10", "a fast one", "8", "2.0", "kernel 'a fast one' has no profile"),
    ]  # fmt: skip
    rows = pd.DataFrame(told, columns=["gpu", "method", "batch_M", "speedup_vs_fp16", "why"]).assign(reason="")
    rows["speedup_vs_fp16"] = rows["speedup_vs_fp16"].astype(float)
    made = kernels.predict(rows, "weight_only", TECHNOLOGY)
    assert made["reason"].tolist() == made["why"].tolist()
    assert (made["predicted_gain"].notna() == (made["reason"] == "")).all()
    assert set(made["profile"][:-1]) == {"marlin"} and made["profile"].iloc[-1] == ""
    (table,) = kernels.kernel_tables(made, "weight_only", TECHNOLOGY)
    a10, a100 = table.frame[table.frame["gpu"] == "A10"].iloc[0], table.frame[table.frame["gpu"] == "A100"].iloc[0]
    assert (a10["n"], a10["first slower batch"], a10["constants"]) == (5, 128, "fitted")
    assert (a100["n"], a100["first slower batch"]) == (1, np.inf)
    usable = made[(made["reason"] == "") & (made["gpu"] == "A10")]
    errors = [abs(a / b - 1) for a, b in zip(usable["predicted_gain"], usable["measured_gain"], strict=True)]
    assert a10["mdape"] == pytest.approx(statistics.median(errors)) and a10["p90"] == pytest.approx(
        quantile(errors, 0.9)
    )
    assert kernels.kernel_tables(made[6:], "weight_only", TECHNOLOGY) == []


def test_gains_of_sparse_kernels_reach_one_where_the_rows_do():
    told = [(0.5, 0.8), (0.7, 1.0), (0.8, 1.5), (1.0, 9.0), (0.0, 0.1), (1.1, 2.0), (-0.1, 2.0), (np.nan, 2.0)]
    rows = pd.DataFrame(told, columns=["sparsity", "speedup_vs_cublas"]).assign(
        reason="", gpu="A100", kernel="Flash-LLM"
    )
    made = kernels.predict(rows, "sparse", TECHNOLOGY)
    assert made["reason"].tolist() == [""] * 5 + ["sparsity is not given"] * 3
    (table,) = kernels.kernel_tables(made, "sparse", TECHNOLOGY)
    line = table.frame.iloc[0]
    assert (line["kernel"], line["n"], line["first faster sparsity"]) == ("flash_llm", 5, 0.7)
    slow = kernels.predict(rows.assign(speedup_vs_cublas=0.5), "sparse", TECHNOLOGY)
    (never,) = kernels.kernel_tables(slow, "sparse", TECHNOLOGY)
    assert math.isnan(never.frame.iloc[0]["first faster sparsity"])
    # The same kernel is faster the fewer weights are left.
    assert made["predicted_gain"].iloc[:3].is_monotonic_increasing
