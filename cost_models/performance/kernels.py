"""Gains of GPU kernels on compressed weights over dense FP16 GEMMs, by batch and by sparsity."""

from __future__ import annotations

import numpy as np

from cost_models.library.technology import Technology
from cost_models.table import FloatArray, Number
from cost_models.tape import asarray


def weight_only_gain(rows: Number, kernel: str, ridge_rows: Number, technology: Technology) -> FloatArray:
    """Return FP16 time over the time of a weight-only kernel; below 1 the compressed weights are slower.

    An FP16 GEMM takes max(1, M / R), in units of streaming its weights. A fused kernel takes w ceil(M / m) passes,
    or a M / R where multiplying lasts longer; beyond v rows, kernels that dequantize the weights first take f of the
    FP16 time instead.

    Args:
        rows: activation rows M.
        kernel: key in ``kernels.yaml``.
        ridge_rows: rows R at which the FP16 GEMM turns from memory to arithmetic: 2 bytes x MAC rate / bandwidth.
        technology: parameters.
    """
    share, per_pass, most, dequantized, multiplied = (
        asarray(technology.value(f"weight_only_kernels.{kernel}.{name}"))
        for name in (
            "one_row_efficiency",
            "rows_per_pass",
            "vector_rows",
            "dequantized_fraction",
            "arithmetic_fraction",
        )
    )
    dense = np.maximum(1.0, asarray(rows) / ridge_rows)
    passes = share * np.ceil(asarray(rows) / per_pass)
    fused = np.maximum(passes, multiplied * asarray(rows) / ridge_rows)
    return asarray(dense / np.where(asarray(rows) <= most, fused, np.maximum(share, dequantized * dense)))


def sparse_gain(sparsity: Number, kernel: str, technology: Technology) -> FloatArray:
    """Return dense FP16 time over the time of a sparse kernel: 1 / (c + s (1 - S))."""
    fixed, stored = (
        technology.value(f"sparse_kernels.{kernel}.{name}") for name in ("dense_fraction", "stored_fraction")
    )
    return asarray(1 / (asarray(fixed) + asarray(stored) * (1 - asarray(sparsity))))


def break_even_sparsity(kernel: str, technology: Technology) -> FloatArray:
    """Return the sparsity from which a sparse kernel beats the dense GEMM; above 1 where none does."""
    fixed, stored = (
        technology.value(f"sparse_kernels.{kernel}.{name}") for name in ("dense_fraction", "stored_fraction")
    )
    return asarray(1 - (1 - asarray(fixed)) / asarray(stored))


def crossover_rows(kernel: str, ridge_rows: float, technology: Technology, *, most: int = 4096) -> float:
    """Return the least rows at which a weight-only kernel is slower than FP16; infinite where there is none."""
    rows = np.arange(1, most + 1, dtype=np.float64)
    slower = rows[weight_only_gain(rows, kernel, ridge_rows, technology) < 1]
    return float(slower[0]) if len(slower) else float("inf")
