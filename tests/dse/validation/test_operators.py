"""What measured kernels do, counted by hand from the shapes of their rows."""

import numpy as np
import pandas as pd
import pytest

from cost_models.library import shipped_library
from cost_models.weights.compression import stored_bits
from dse.validation.operators import STORED_BITS, operators_of, sharing

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
