"""What the rows say: where compressed weights stop or start to pay, and what a decode step is made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from tools.measure_gpu.kernels import BASELINE
from tools.measure_gpu.rows import PROVENANCE
from tools.measure_gpu.shapes import Layers

Row = Mapping[str, str]


def _gemms(rows: Sequence[Row]) -> dict[tuple[str, int, int, int], Row]:
    """Return GEMM rows by kernel, n, k and m."""
    return {
        (row["kernel"], int(row["n"]), int(row["k"]), int(row["m"])): row
        for row in rows
        if row["kind"].startswith("gemm") and row["value"]
    }


def gains(rows: Sequence[Row]) -> list[tuple[Row, float]]:
    """Return each weight-only and sparse GEMM row with the time of the dense BF16 GEMM over its own."""
    table = _gemms(rows)
    result = []
    for (kernel, n, k, m), row in table.items():
        dense = table.get((BASELINE, n, k, m))
        if dense is not None and (row["dtype"] == "int4_wo" or kernel.startswith(("csr", "sparse24"))):
            result.append((row, float(dense["value"]) / float(row["value"])))
    return result


def weight_only_row(row: Row, gain: float, gpu: str) -> dict[str, object]:
    """Return a row in the form of ``weight_only_speedup.csv``."""
    return _carried(row) | {
        "gpu": gpu, "method": row["note"].split(";")[0], "bits": 4, "batch_M": row["m"],
        "shape": f"{row['n']} x {row['k']}", "speedup_vs_fp16": gain, "note": f"against BF16; {row['note']}",
    }  # fmt: skip


def sparse_row(row: Row, gain: float, gpu: str) -> dict[str, object]:
    """Return a row in the form of ``spmm_gpu.csv``."""
    structured = row["kernel"] == "sparse24"
    return _carried(row) | {
        "gpu": gpu, "sparsity": row["sparsity"], "shape": f"{row['n']} x {row['k']}", "speedup_vs_cublas": gain,
        "kernel": row["note"].split(";")[0], "pattern": "2:4" if structured else "unstructured", "batch_N": row["m"],
        "note": f"against BF16; {row['note']}",
    }  # fmt: skip


def _carried(row: Row) -> dict[str, object]:
    kept = ("id", "chip", "n", "k", "software", "date", *PROVENANCE)
    return {"source": row["source_id"], **{name: row[name] for name in kept}}


def crossing(points: Sequence[tuple[float, float]], *, rising: bool, log: bool) -> float | None:
    """Return where a gain crosses 1, interpolated between neighbours; None where it does not.

    Args:
        points: (place, gain), in any order.
        rising: whether the gain passes from below 1 to above it.
        log: whether places are interpolated on a logarithmic axis.
    """
    ordered = sorted(points)
    for (x0, y0), (x1, y1) in pairwise(ordered):
        before, after = (y0, y1) if rising else (y1, y0)
        if before < 1 <= after:
            share = (1 - y0) / (y1 - y0)
            return math.exp(math.log(x0) + share * math.log(x1 / x0)) if log else x0 + share * (x1 - x0)
    return None


def crossovers(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Return per weight-only kernel and shape the rows from which it is slower than BF16."""
    groups: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for row, gain in gains(rows):
        if row["dtype"] == "int4_wo":
            groups.setdefault((row["kernel"], row["n"], row["k"]), []).append((float(row["m"]), gain))
    return [
        {
            "kernel": kernel, "n": int(n), "k": int(k), "gain_at_fewest_rows": min(points)[1],
            "slower_from_rows": crossing(points, rising=False, log=True),
            "slower_everywhere": all(gain < 1 for _, gain in points),
        }
        for (kernel, n, k), points in groups.items()
    ]  # fmt: skip


def break_evens(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Return per shape and activation rows the sparsity from which CSR is faster than dense BF16."""
    groups: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for row, gain in gains(rows):
        if row["kernel"].startswith("csr"):
            groups.setdefault((row["n"], row["k"], row["m"]), []).append((float(row["sparsity"]), gain))
    return [
        {
            "kernel": "csr", "n": int(n), "k": int(k), "m": int(m), "gain_at_most_sparsity": max(points)[1],
            "faster_from_sparsity": crossing(points, rising=True, log=False),
            "faster_everywhere": all(gain >= 1 for _, gain in points),
        }
        for (n, k, m), points in groups.items()
    ]  # fmt: skip


def step_parts(operators: Sequence[Row], steps: Sequence[Row], models: Sequence[Layers]) -> list[dict[str, object]]:
    """Return per decode step the kernels by themselves, summed over all layers, beside the whole step.

    Matrices by the rows of the step's own kernel (the head by BF16's) with as many activation rows as sequences,
    attention by the rows of batch and context:
    what is left is normalisation, rotary embedding, the gaps between kernels and, without graphs, the host.
    """
    table = _gemms(operators)
    attention = {
        (row["heads"], row["kv_heads"], row["batch"], row["seq_len"]): float(row["value"])
        for row in operators
        if row["kind"] == "decode_attention" and row["kernel"] == "sdpa"
    }
    shapes = {layers.key: layers for layers in models}
    result = []
    for row in steps:
        layers = shapes.get(row["model"])
        if layers is None or row["metric"] != "ms_per_token":
            continue
        m, context = int(row["batch"]), int(row["input_len"]) + 1
        sizes = layers.matrices()
        own = row["kernel"].removeprefix("stack ")
        kernels = {name: BASELINE if name == "lm_head" else own for name in sizes}
        gemms = {name: table.get((kernels[name], *size, m)) for name, size in sizes.items()}
        cache = attention.get((str(layers.heads), str(layers.kv_heads), str(m), str(context)))
        if cache is None or any(one is None for one in gemms.values()):
            continue
        times = {name: (1 if name == "lm_head" else layers.layers) for name in sizes}
        matrices_ms = sum(times[name] * float(one["value"]) for name, one in gemms.items() if one) / 1e3
        attention_ms = layers.layers * cache / 1e3
        result.append(
            {
                "id": row["id"], "step_ms": float(row["value"]), "matrices_ms": matrices_ms,
                "attention_ms": attention_ms, "rest_ms": float(row["value"]) - matrices_ms - attention_ms,
            }
        )  # fmt: skip
    return result
