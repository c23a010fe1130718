"""Systolic arrays: cycles of a slow twin, utilisation by M, N and K, and the price of small arrays."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.evaluate.serve import designs_machine, serve_designs
from cost_models.evaluate.workload import Workload
from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.performance.roofline import array_slots
from cost_models.silicon.cost import Economics
from cost_models.silicon.machine import Arrays
from cost_models.table import Table
from cost_models.workload.operators import OperatorStack, Shape, linear_operators

TECHNOLOGY, ECONOMICS = Technology(), Economics.of(shipped_library())
USUAL = TECHNOLOGY.value("on_chip.array_side")


def gemm(m, k, n):
    stack = OperatorStack()
    stack.add("gemm", "linear", 1.0, rows=m, weights=k * n, macs=m * k * n, depth=k)
    return stack.build()


def slots(m, k, n, *, rows, columns, macs, outputs=False):
    shape = Arrays(*(np.array([float(one)]) for one in (macs, rows, columns, outputs)))
    return float(array_slots(gemm(float(m), float(k), float(n)), shape)[0, 0])


def cycles(m, k, n, rows, columns, number, outputs):
    """Return the cycles of arrays that take tiles one after the other, each when it is free."""
    free = [0] * number
    first = range(0, m if outputs else k, rows)
    for _ in first:
        for _ in range(0, n, columns):
            at = free.index(min(free))
            free[at] += max(k if outputs else m, rows)
    return max(free) + rows + columns


@given(
    st.integers(1, 200), st.integers(1, 300), st.integers(1, 300), st.sampled_from([4, 16, 64]),
    st.sampled_from([8, 32, 128]), st.integers(1, 5), st.booleans(),
)  # fmt: skip
def test_tiles_are_dealt_to_arrays(m, k, n, rows, columns, number, outputs):
    macs = rows * columns * number
    expected = cycles(m, k, n, rows, columns, number, outputs) * macs
    found = slots(m, k, n, rows=rows, columns=columns, macs=macs, outputs=outputs)
    assert found == pytest.approx(expected)
    assert found >= m * k * n


def test_a_matrix_of_whole_tiles_keeps_an_array_busy():
    whole = slots(4096, 1024, 1024, rows=128, columns=128, macs=16384)
    assert whole / (4096 * 1024 * 1024) == pytest.approx(1, abs=2e-3)
    # One element more in N or K opens a row of tiles; one row in M takes a cycle per tile.
    assert slots(4096, 1025, 1024, rows=128, columns=128, macs=16384) / whole == pytest.approx(9 / 8, rel=1e-3)
    assert slots(4096, 1024, 1025, rows=128, columns=128, macs=16384) / whole == pytest.approx(9 / 8, rel=1e-3)
    assert slots(4097, 1024, 1024, rows=128, columns=128, macs=16384) / whole == pytest.approx(1, rel=1e-3)
    # Few rows wait for weights to enter, where outputs stay for the sums.
    few = slots(8, 1024, 1024, rows=128, columns=128, macs=16384)
    assert few == slots(128, 1024, 1024, rows=128, columns=128, macs=16384)
    assert slots(8, 1024, 1024, rows=8, columns=128, macs=1024) < few
    stay = slots(8, 1024, 1024, rows=8, columns=128, macs=1024, outputs=True)
    assert stay / (8 * 1024 * 1024) == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("outputs", [False, True])
def test_matrices_of_unlike_shapes_fill_their_tiles(outputs):
    """Without a depth weights are dealt to arrays as if all tiles were full."""
    stack = OperatorStack()
    m, weights, rows, columns, number = 200.0, 7e6, 16, 32, 3
    stack.add("fused", "linear", 1.0, rows=m, weights=weights, macs=m * weights)
    macs = rows * columns * number
    shape = Arrays(*(np.array([float(one)]) for one in (macs, rows, columns, outputs)))
    found = float(array_slots(stack.build(), shape)[0, 0])
    cycles = math.ceil(m / rows) * weights / columns / number if outputs else weights / (rows * columns) / number * m
    assert found == pytest.approx((cycles + rows + columns) * macs)


def test_operators_say_how_deep_they_are():
    model = shipped_library().model("llama2_70b")
    operators = linear_operators(model, Shape(1, 1, 1), tokens_per_sequence=1.0, head_rows=1.0)
    depth = dict(zip(operators.names, operators.depth[:, 0], strict=True))
    assert depth == {"qkv": 8192, "attention_out": 8192, "ffn_up": 8192, "ffn_down": 28672, "lm_head": 8192}
    width = dict(zip(operators.names, (operators.weights / operators.depth)[:, 0], strict=True))
    assert width["ffn_down"] == width["attention_out"] == 8192 and width["qkv"] == 8192 + 2 * 1024


def made(**settings):
    return designs_machine(Table.from_settings({"macs": 131072, **settings}), TECHNOLOGY, ECONOMICS)


def test_arrays_of_the_usual_side_cost_what_they_did_and_smaller_ones_more():
    plain, usual = made(), made(array_rows=USUAL, array_columns=USUAL)
    for name in ("die_mm2", "tdp_w", "cost_usd", "linear_j_per_mac"):
        assert getattr(usual, name) == getattr(plain, name), name
    assert made(array_rows=USUAL).arrays.columns == USUAL
    sides = [made(array_rows=side, array_columns=side) for side in (8, 32, USUAL, 512)]
    for smaller, larger in itertools.pairwise(sides):
        assert smaller.die_mm2 > larger.die_mm2 and smaller.linear_j_per_mac > larger.linear_j_per_mac
    control = TECHNOLOGY.value("floorplan.control_over_mac_array.compiled")
    mac = plain.blocks["area_mm2"]["mac_array"]
    more = sides[0].blocks["area_mm2"]["vector_and_control"] - plain.blocks["area_mm2"]["vector_and_control"]
    assert more == pytest.approx(mac * control * (USUAL / 8 - 1))
    bare = (TECHNOLOGY.value("mac_n7.operand_delivery_factor") - 1) * USUAL / 8 + 1
    assert sides[0].linear_j_per_mac / plain.linear_j_per_mac == pytest.approx(
        bare / TECHNOLOGY.value("mac_n7.operand_delivery_factor")
    )


def test_designs_without_arrays_keep_every_bit_beside_those_with():
    chat = Workload("chat", "llama3_8b", 8.0, 512, 128)
    columns = {"macs": np.full(3, 65536.0), "array_rows": np.array([np.nan, 128.0, 16.0])}
    mixed = serve_designs(columns, chat, TECHNOLOGY, ECONOMICS)
    alone = serve_designs({"macs": np.array([65536.0])}, chat, TECHNOLOGY, ECONOMICS)
    assert mixed.inference.decode_s[0] == alone.inference.decode_s[0]
    assert mixed.inference.prefill_s[0] == alone.inference.prefill_s[0]
    assert mixed.machine.cost_usd[0] == alone.machine.cost_usd[0]
    # Eight sequences wait for 128 rows of weights to enter, and less for 16.
    arithmetic = mixed.inference.decode.sum(mixed.inference.decode.times.arithmetic_s)
    assert arithmetic[1] > arithmetic[2]
    assert math.isfinite(arithmetic[1])
