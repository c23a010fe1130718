"""Prediction of operator rows: GEMM, attention, grouped experts, collectives, plain bandwidth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from cost_models.evaluate.serve import run_kernels
from cost_models.library.technology import Technology
from cost_models.performance.interconnect import all_gather_s, all_reduce_s, all_to_all_s
from cost_models.performance.roofline import OperatorTime, decode_attention_fraction, time_operators
from cost_models.performance.serving_stack import Software, software
from cost_models.silicon.machine import Machine
from cost_models.table import Choice, FloatArray
from cost_models.workload.formats import Formats
from cost_models.workload.operators import Operators, OperatorStack, add_routed, distinct_experts
from dse.validation.rows import add_reason
from dse.validation.setups import chip_setups, stacks

STORED_BITS = {
    "int8_wo": 8.0, "int4_wo": 4.125, "w4a16_mxfp4": 4.25, "w4a8_mxfp4_mxfp8": 4.25, "nvfp4": 4.5, "sq": 8.0,
    "fp8": 8.0, "fp8_block": 8.0, "kv_fp8": 8.0,
}  # fmt: skip
"""Stored bits of a weight or KV element by the name of the data type; 16 for all others."""

MULTIPLIED_BITS = {"sq": 8.0, "fp8": 8.0, "fp8_block": 8.0, "nvfp4": 4.0, "w4a8_mxfp4_mxfp8": 8.0}
"""Bits that are multiplied; 16 for all others."""

FORMATS = {"fp8_block": "fp8_block128"}
"""Weight formats by the name of the data type, where its bits leave them open."""

ATTENTION, MLA_PAIR, MLA_PREFILL_PAIR = ("decode_attention", "prefill_attention"), 1088.0, 320.0
"""MLA multiplies 576 + 512 values per head and pair absorbed (decode), 192 + 128 dequantized (prefill)."""

GATED = 3
KERNELS = {"gemm": 1.0, "decode_attention": 2.0, "decode_mla": 2.0}
"""Kernels of an operator as `workload` counts them; 1 for all others."""


def prepare(rows: pd.DataFrame) -> pd.DataFrame:
    """Add measured time and number formats, with reasons where a row cannot be predicted."""
    rows = rows.copy()
    rows["quantity"] = rows["kind"].fillna("")
    for column in ("batch", "seq_len", "heads", "kv_heads", "head_dim", "tokens", "topk", "experts", "moe_tp"):
        if column not in rows:
            rows[column] = np.nan
    # One collection prints n in the column of the chips.
    shaped = rows["quantity"].isin(["gemm", "moe_grouped_gemm"]) & rows["n"].isna() & (rows["n_chips"] > 1)
    rows["remark"] = np.where(shaped, "n read from n_chips", "")
    rows["n"] = rows["n"].where(~shaped, rows["n_chips"])
    rows["n_chips"] = rows["n_chips"].where(~shaped, 1.0)
    dtype = rows["dtype"].fillna("")
    rows["weight_bits"] = dtype.map(STORED_BITS).fillna(16.0)
    rows["act_bits"] = dtype.map(MULTIPLIED_BITS).fillna(16.0)
    rows["weight_format"] = dtype.map(FORMATS).fillna("")
    rows["kv_bits"] = rows["weight_bits"].where(rows["quantity"].isin(["decode_attention", "decode_mla"]), 16.0)
    gemm_rate = rows["metric"] == "achieved_TFLOPS"
    time = rows["value"] / 1e6
    time = time.where(~gemm_rate, 2 * rows["m"] * rows["n"] * rows["k"] / (rows["value"] * 1e12))
    rows["measured_s"] = time.where(rows["metric"] != "achieved_GBps", 1 / (rows["value"] * 1e9))
    known = rows["quantity"].isin(list(PREDICTORS))
    add_reason(rows, ~known, "operators of kind " + rows["quantity"] + " are not predicted")
    for kind, needed in NEEDED.items():
        for column in needed:
            add_reason(rows, (rows["quantity"] == kind) & ~(rows[column] > 0), f"{column} is not given")
    add_reason(rows, ~(rows["value"] > 0), "value must be above 0")
    return rows


def predict(rows: pd.DataFrame, technology: Technology, *, stack: Choice | None = None) -> pd.DataFrame:
    """Add stack, predicted time and physical bound (seconds per call; per byte for plain bandwidth)."""
    rows = rows.copy()
    for name in ("predicted_s", "bound_s", "memory_fraction"):
        rows[name] = np.nan
    rows["stack"], rows["own_profile"], rows["fits"] = "", False, None
    usable = rows.index[rows["reason"] == ""]
    if not len(usable):
        return rows
    part = rows.loc[usable]
    chosen, own = stacks(part, technology.library)
    if stack is not None:
        chosen = stack[np.flatnonzero(rows["reason"] == "")]
    rows.loc[usable, "stack"] = chosen.names()
    rows.loc[usable, "own_profile"] = own
    for kind, index in part.groupby("quantity", sort=False).groups.items():
        group = rows.loc[index]
        machine, stack_of_group, formats = run_kernels(chip_setups(group, technology.library), technology)
        ideal = software(Choice.of(*["ideal"] * len(group)), technology)
        predictor = PREDICTORS[str(kind)]
        rows.loc[index, "predicted_s"], _ = predictor(group, machine, stack_of_group, formats)
        bare = _without_losses(machine)
        rows.loc[index, "bound_s"], rows.loc[index, "memory_fraction"] = predictor(group, bare, ideal, formats)
    return rows


def _without_losses(machine: Machine) -> Machine:
    from dataclasses import replace

    return replace(machine, stream_efficiency=np.ones_like(machine.bandwidth_bytes_per_s))


Predictor = Callable[[pd.DataFrame, Machine, Software, Formats], tuple[FloatArray, FloatArray]]


def operators_of(rows: pd.DataFrame) -> tuple[Operators, bool]:
    """Return the operators that each row of one kind runs, and whether it decodes."""
    kind = str(rows["quantity"].iloc[0])
    column = {name: rows[name].to_numpy(dtype=np.float64) for name in (*SHAPES, "m", "n", "k")}
    stack = OperatorStack()
    if kind == "gemm":
        m, n, k = column["m"], column["n"], column["k"]
        stack.add(
            kind, "linear", 1.0, rows=m, weights=n * k, macs=m * n * k, activations=m * (n + k), kernels=KERNELS[kind]
        )
    elif kind == "moe_grouped_gemm":
        _add_grouped(stack, rows, column)
    else:
        batch, length, heads = column["batch"], column["seq_len"], column["heads"]
        decode, latent = kind.startswith("decode"), kind.endswith("mla")
        pairs = batch * (length if decode else length * (length + 1) / 2)
        per_pair = (MLA_PAIR if decode else MLA_PREFILL_PAIR) if latent else 2 * column["head_dim"]
        per_token = 576.0 if latent and decode else 2 * column["kv_heads"] * column["head_dim"]
        row = batch * (1 if decode else length)
        stack.add(
            kind, "attention", 1.0, rows=row, macs=pairs * heads * per_pair, kv_elements=batch * length * per_token,
            activations=row * heads * 2 * column["head_dim"], row_elements=per_pair, kernels=KERNELS.get(kind, 1.0),
        )  # fmt: skip
    return stack.build(), kind.startswith("decode")


def _add_grouped(stack: OperatorStack, rows: pd.DataFrame, column: dict[str, FloatArray]) -> None:
    """Add the routed experts of one layer."""
    slots = column["tokens"] * column["topk"]
    balanced = np.minimum(column["experts"], slots)
    skewed = np.array(
        [distinct_experts(int(e), int(k), t) for e, k, t in rows[["experts", "topk", "tokens"]].to_numpy()]
    )
    even = (rows.get("distribution", "balanced") == "balanced") if "distribution" in rows else True
    add_routed(
        stack, 1.0, d=column["k"], width=column["n"] / column["moe_tp"], matrices=GATED, tokens=column["tokens"],
        touched=np.where(even, balanced, skewed), slots=slots,
    )  # fmt: skip


def operator_time(
    rows: pd.DataFrame, machine: Machine, stack: Software, formats: Formats
) -> tuple[Operators, OperatorTime]:
    """Return the operator of each row with where its time goes."""
    operators, decode = operators_of(rows)
    share = stack.attention_compute_efficiency
    if decode:
        share = decode_attention_fraction(sharing(rows), machine, stack, formats)
    return operators, time_operators(operators, machine, stack, formats, chips=1.0, attention_fraction=share)


def sharing(rows: pd.DataFrame) -> FloatArray:
    """Return the queries that meet an element of the cache together: in decode the heads per KV head.

    MLA decodes all heads on one latent; infinite for a prefill.
    """
    kv = np.where(rows["quantity"] == "decode_mla", 1.0, rows["kv_heads"])
    decode = rows["quantity"].str.startswith("decode")
    return np.where(decode, np.asarray(rows["heads"] / kv, dtype=np.float64), np.inf)


def _operator(rows: pd.DataFrame, machine: Machine, stack: Software, formats: Formats) -> tuple[FloatArray, FloatArray]:
    _, time = operator_time(rows, machine, stack, formats)
    larger = np.maximum(time.memory_s, time.arithmetic_s).sum(axis=0)
    return time.total_s.sum(axis=0), time.memory_s.sum(axis=0) / larger


def _collective(rows: pd.DataFrame, machine: Machine, stack: Software, _: Formats) -> tuple[FloatArray, FloatArray]:
    size, chips = rows["size_bytes"].to_numpy(dtype=np.float64), rows["n_chips"].to_numpy(dtype=np.float64)
    kind = rows["quantity"].iloc[0]
    if kind == "alltoall":
        time = all_to_all_s(size * (chips - 1) / chips, np.sign(chips - 1), machine, stack)
    else:
        time = (all_reduce_s if kind == "all_reduce" else all_gather_s)(size, chips, machine, stack)
    return time, np.zeros(len(rows))


def _bandwidth(rows: pd.DataFrame, machine: Machine, stack: Software, _: Formats) -> tuple[FloatArray, FloatArray]:
    rate = machine.bandwidth_bytes_per_s * machine.stream_efficiency
    return 1 / np.broadcast_to(rate, (len(rows),)), np.ones(len(rows))


SHAPES = ("batch", "seq_len", "heads", "kv_heads", "head_dim", "tokens", "topk", "experts", "moe_tp")

_ATTENTION_NEEDS = ("batch", "seq_len", "heads", "kv_heads", "head_dim")

NEEDED = {
    "gemm": ("m", "n", "k"),
    "moe_grouped_gemm": ("tokens", "n", "k", "topk", "experts", "moe_tp"),
    "decode_attention": _ATTENTION_NEEDS,
    "prefill_attention": _ATTENTION_NEEDS,
    "decode_mla": ("batch", "seq_len", "heads"),
    "prefill_mla": ("batch", "seq_len", "heads"),
    "all_reduce": ("size_bytes", "n_chips"),
    "all_gather": ("size_bytes", "n_chips"),
    "alltoall": ("size_bytes", "n_chips"),
}
"""Columns that a kind of operator cannot do without."""

PREDICTORS: dict[str, Predictor] = {
    **dict.fromkeys(
        ("gemm", "moe_grouped_gemm", "decode_attention", "prefill_attention", "decode_mla", "prefill_mla"), _operator
    ),
    **dict.fromkeys(("all_reduce", "all_gather", "alltoall"), _collective),
    "memory_bandwidth": _bandwidth,
}


def in_metric_units(rows: pd.DataFrame, seconds: pd.Series) -> pd.Series:
    """Return times in the unit of each row's own metric."""
    work = 2 * rows["m"] * rows["n"] * rows["k"]
    out = seconds * 1e6
    out = out.where(rows["metric"] != "achieved_TFLOPS", work / seconds / 1e12)
    return out.where(rows["metric"] != "achieved_GBps", 1 / seconds / 1e9)
