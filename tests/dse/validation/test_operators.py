"""What measured kernels do, counted by hand from the shapes of their rows."""

import numpy as np
import pandas as pd
import pytest

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.weights.compression import stored_bits
from dse.validation import operators
from dse.validation.operators import STORED_BITS, operators_of, sharing
from tests.dse.validation.cells import assert_cells

SHAPE = {
    "batch": 3.0, "seq_len": 50.0, "heads": 8.0, "kv_heads": 2.0, "head_dim": 64.0, "tokens": 40.0, "experts": 16.0,
    "topk": 2.0, "moe_tp": 4.0, "m": 5.0, "n": 96.0, "k": 32.0,
}  # fmt: skip


def only(quantity, **changes):
    rows = pd.DataFrame([{"quantity": quantity, **SHAPE, **changes}])
    operators, decodes = operators_of(rows)
    return {
        name: getattr(operators, name)[:, 0].tolist()
        for name in ("rows", "weights", "macs", "activations", "kv_elements", "row_elements", "kernels")
    } | {"decodes": decodes, "shared": float(sharing(rows)[0])}


def test_a_gemm_by_hand():
    found = only("gemm")
    assert (found["rows"], found["weights"], found["macs"]) == ([5], [96 * 32], [5 * 96 * 32])
    assert found["activations"] == [5 * (96 + 32)] and found["kernels"] == [1] and not found["decodes"]


@pytest.mark.parametrize(
    ("kind", "pairs", "per_pair", "per_token", "queries", "shared"),
    [
        ("decode_attention", 50, 2 * 64, 2 * 2 * 64, 1, 4),
        ("prefill_attention", 50 * 51 / 2, 2 * 64, 2 * 2 * 64, 50, np.inf),
        ("decode_mla", 50, 576 + 512, 576, 1, 8),
        ("prefill_mla", 50 * 51 / 2, 192 + 128, 2 * 2 * 64, 50, np.inf),
    ],
)
def test_attention_by_hand(kind, pairs, per_pair, per_token, queries, shared):
    found = only(kind)
    assert found["rows"] == [3 * queries] and found["weights"] == [0]
    assert found["macs"] == [3 * pairs * 8 * per_pair] and found["row_elements"] == [per_pair]
    assert found["kv_elements"] == [3 * 50 * per_token]
    assert found["activations"] == [3 * queries * 8 * 2 * 64], "queries in, outputs out"
    assert found["kernels"] == [2 if queries == 1 else 1]
    assert found["decodes"] == (queries == 1) and found["shared"] == shared


@pytest.mark.parametrize(("spread", "touched"), [("balanced", 16), ("power_law", 16 * (1 - (14 / 16) ** 40))])
def test_routed_experts_by_hand(spread, touched):
    found = only("moe_grouped_gemm", distribution=spread)
    copies, experts = 0, 1
    width = 96 / 4
    assert found["macs"][experts] == 80 * 3 * 32 * width
    assert found["weights"][experts] == pytest.approx(touched * 3 * 32 * width)
    assert found["rows"][experts] == pytest.approx(80 / touched)
    assert found["activations"][copies] == 2 * (80 + 40) * 32
    few = only("moe_grouped_gemm", tokens=3.0)
    assert few["weights"][experts] == 6 * 3 * 32 * width, "no more experts than slots"


@pytest.mark.parametrize(
    ("data_type", "name"),
    [
        ("nvfp4", "nvfp4"),
        ("w4a16_mxfp4", "mxfp4"),
        ("w4a8_mxfp4_mxfp8", "mxfp4"),
        ("fp8_block", "fp8"),
        ("int4_wo", "int4_g128"),
        ("fp8", "fp8"),
        ("int8_wo", "int8"),
    ],
)
def test_stored_bits_of_a_data_type_are_those_of_its_format(data_type, name):
    # Scales of int8 and fp8 are one per row of a tensor, which no element pays for.
    assert STORED_BITS[data_type] == pytest.approx(float(stored_bits(shipped_library().weight_formats[name])), abs=0.02)


LIBRARY, TECHNOLOGY = shipped_library(), Technology()


OPERATOR = {
    "kind": "gemm", "dtype": "bf16", "m": 2.0, "n": 3.0, "k": 5.0, "size_bytes": np.nan, "metric": "latency_us",
    "value": 4.0, "n_chips": 1.0, "reason": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "cells"),
    [
        ({}, {"measured_s": 4e-6, "weight_bits": 16, "act_bits": 16, "kv_bits": 16, "remark": "", "reason": ""}),
        ({"metric": "achieved_TFLOPS"}, {"measured_s": 2 * 30 / 4e12}),
        ({"metric": "achieved_GBps", "kind": "memory_bandwidth"}, {"measured_s": 1 / 4e9, "reason": ""}),
        ({"dtype": "nvfp4"}, {"weight_bits": 4.5, "act_bits": 4, "kv_bits": 16, "weight_format": ""}),
        ({"dtype": "int8_wo"}, {"weight_bits": 8, "act_bits": 16}), ({"dtype": None}, {"weight_bits": 16}),
        ({"dtype": "fp8_block"}, {"weight_format": "fp8_block128", "weight_bits": 8, "act_bits": 8}),
        ({"n": np.nan, "n_chips": 64.0}, {"n": 64, "n_chips": 1, "remark": "n read from n_chips", "reason": ""}),
        ({"n": np.nan, "n_chips": 1.0}, {"n": np.nan, "n_chips": 1, "remark": "", "reason": "n is not given"}),
        ({"n_chips": 64.0}, {"n": 3, "n_chips": 64, "remark": ""}),
        ({"kind": "softmax"}, {"reason": "operators of kind softmax are not predicted"}),
        ({"kind": None}, {"reason": "operators of kind  are not predicted"}),
        ({"m": 0.0}, {"reason": "m is not given"}), ({"value": 0.0}, {"reason": "value must be above 0"}),
        ({"m": 0.5}, {"reason": ""}), ({"kind": "all_reduce", "n_chips": 8.0}, {"reason": "size_bytes is not given"}),
        ({"kind": "all_reduce", "n": np.nan, "n_chips": 8.0, "size_bytes": 8.0}, {"reason": "", "n_chips": 8}),
        ({"kind": "decode_attention", "dtype": "kv_fp8"}, {"kv_bits": 8, "reason": "batch is not given"}),
        ({"kind": "decode_mla", "dtype": "kv_fp8", "batch": 1.0, "seq_len": 2.0, "heads": 3.0},
         {"kv_bits": 8, "reason": ""}),
        ({"kind": "prefill_mla", "dtype": "kv_fp8", "batch": 1.0, "seq_len": 2.0}, {"kv_bits": 16,
         "reason": "heads is not given"}),
    ],
)  # fmt: skip
def test_what_a_row_of_an_operator_says(changed, cells):
    made = operators.prepare(pd.DataFrame([OPERATOR | changed]))
    assert_cells(made.iloc[0], cells)
    if not made["reason"].iloc[0]:
        assert operators.in_metric_units(made, made["measured_s"]).tolist() == pytest.approx([4.0])


def test_link_and_memory_by_hand():
    shared = {"chip": "h100_sxm", "software": "x", "kv_bits": 16.0, "weight_bits": 16.0, "act_bits": 16.0}
    moved = {"metric": "latency_us", "value": 1.0, "size_bytes": 1e12, "n": 1.0}
    rows = [
        OPERATOR | shared | moved | {"kind": kind, "n_chips": chips}
        for kind in ("all_reduce", "all_gather", "alltoall") for chips in (1.0, 2.0, 8.0)
    ]  # fmt: skip
    made = operators.predict(operators.prepare(pd.DataFrame(rows)), TECHNOLOGY)
    bound = made["bound_s"].to_numpy().reshape(3, 3)
    assert (bound[:, 0] == 0).all(), "a chip alone has nobody to talk to"
    # A terabyte on links of 450 GB/s: what is left of latencies is nothing.
    gather = 1e12 / 450e9
    assert bound[:, 1:] == pytest.approx(
        np.array([[2 * gather / 2, 2 * gather * 7 / 8], [gather / 2, gather * 7 / 8], [gather / 2, gather * 7 / 8]]),
        rel=1e-3,
    )
    assert (made["predicted_s"] >= made["bound_s"]).all() and (made["memory_fraction"] == 0).all()
    stream = OPERATOR | shared | {"kind": "memory_bandwidth", "metric": "achieved_GBps"}
    (found,) = operators.predict(operators.prepare(pd.DataFrame([stream])), TECHNOLOGY).to_dict("records")
    assert found["bound_s"] == pytest.approx(1 / (LIBRARY.chip("h100_sxm").bandwidth_gbps * 1e9))
    assert found["predicted_s"] > found["bound_s"] and found["memory_fraction"] == 1
