"""What is done element by element: how much it is, and how long few lanes take for it."""

import numpy as np
import pytest

from cost_models.evaluate.serve import serve_designs
from cost_models.evaluate.workload import Workload
from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.silicon.cost import Economics
from cost_models.table import Table
from cost_models.workload.mixing import decode_attention, prefill_attention
from cost_models.workload.operators import Shape, linear_operators

LIBRARY = shipped_library()
TECHNOLOGY, ECONOMICS = Technology(), Economics.of(LIBRARY)


def served(lanes, **other):
    designs = [{"vector_lanes": float(count), "memory_device_gib": 16.0, **other} for count in lanes]
    chat = Workload("chat", "llama3_8b", 16.0, 1024.0, 64.0)
    return serve_designs(Table.from_settings(*designs), chat, TECHNOLOGY, ECONOMICS).inference


def summed(operators, amount):
    return float((getattr(operators, amount) * operators.times).sum())


def test_work_of_a_dense_model_counted_token_by_token_and_head_by_head():
    model, tokens, context = LIBRARY.model("llama2_70b"), 3, 100
    linear = linear_operators(model, Shape(float(tokens), 1, 1), tokens_per_sequence=1.0, head_rows=float(tokens))
    attention = decode_attention(model, Shape(float(tokens), 1, 1), context=float(context), over=(99.5, 100.5))
    plain = functions = scores = 0
    for _ in range(tokens):
        plain += 4 * 8192  # the norm before the head
        for _ in range(80):
            plain += 2 * (4 * 8192)  # two norms with their residuals
            plain += 2 * (64 * 128 + 8 * 128)  # queries and keys turned
            plain += 3 * 28672
            functions += 2 * 28672  # an exponential and a reciprocal
            scores += 64 * context
    assert summed(linear, "vector_ops") == plain
    assert summed(linear, "special_functions") == functions
    assert summed(attention, "vector_ops") == 3 * scores
    assert summed(attention, "special_functions") == scores


def test_each_chosen_expert_is_gated_and_its_result_weighed():
    model, tokens = LIBRARY.model("mixtral_8x7b"), 3
    linear = linear_operators(model, Shape(float(tokens), 1, 1), tokens_per_sequence=1.0, head_rows=float(tokens))
    of = {name: np.ravel(linear.vector_ops[place])[0] for place, name in enumerate(linear.names)}
    slots = tokens * 2
    assert of["expert_copies"] == slots * 4096
    assert of["experts"] == 3 * slots * 14336


def test_a_prompt_of_one_token_is_a_step_without_a_past():
    model, shape = LIBRARY.model("llama3_8b"), Shape(4.0, 1.0, 1.0)
    prompt, step = prefill_attention(model, shape), decode_attention(model, shape, context=1.0, over=(0.5, 1.5))
    assert summed(prompt, "vector_ops") == summed(step, "vector_ops") > 0


def test_where_lanes_limit_half_of_them_take_twice_as_long():
    few = served([8, 16])
    computing = few.prefill.sum(few.prefill.times.arithmetic_s)
    assert computing[0] == pytest.approx(2 * computing[1], rel=0.02), "all but the head and two products wait for lanes"
    work = few.prefill.sum(few.prefill.operators.vector_ops + 4 * few.prefill.operators.special_functions)
    gemm = TECHNOLOGY.value("stacks.static_compiled.gemm_efficiency")
    assert computing[0] == pytest.approx(float(work[0]) / (8 * 1e9 * gemm), rel=0.02)


def test_lanes_have_a_benefit_that_ends_and_a_price_that_does_not():
    counts = [64, 256, 1024, 4096, 16384, 65536]
    result = served(counts)
    assert (np.diff(result.prefill_s) <= 0).all()
    assert (np.diff(result.decode_s) <= 0).all()
    assert result.prefill_s[0] > 1.5 * result.prefill_s[2]
    assert result.decode_s[-1] == pytest.approx(result.decode_s[-2], rel=1e-12), "the array and the memory limit"
    machine = result.machine
    assert (np.diff(machine.die_mm2) > 0).all()
    assert (np.diff(machine.tdp_w) > 0).all()
    assert (np.diff(machine.cost_usd) > 0).all()


def test_their_energy_goes_with_the_work_and_not_with_the_lanes():
    result = served([1024, 2048])
    joules, work = result.decode_energy.parts_j["arithmetic"], result.decode
    macs = sum(
        float(work.sum_of_class(kind, work.operators.macs)[0]) * float(getattr(result.machine, f"{kind}_j_per_mac")[0])
        * (1 + 0.5 / 4 if kind == "attention" else 1)  # four queries share a read of a key
        for kind in ("linear", "head", "attention")
    )  # fmt: skip
    vector = float(work.sum(work.operators.vector_ops + 4 * work.operators.special_functions)[0])
    assert joules == pytest.approx(macs + vector * result.machine.vector_j_per_op)
    assert result.machine.vector_j_per_op < 2.5e-12, "a lane at N7 and nominal supply"


def test_calibrated_codes_of_a_cache_take_vector_operations_that_others_do_not():
    plain = served((2048, 65536), kv_bits=3.0)
    same = served((2048, 65536), kv_bits=3.0, kv_method="grouped")
    looked_up = served((2048, 65536), kv_bits=3.0, kv_method="calibrated")
    assert (same.decode_s == plain.decode_s).all()
    # 16 sequences of 1 056 tokens in the mean, 32 layers of 2 x 8 x 128 elements, by the lanes of 1 GHz.
    elements = 16 * (1024 + 32) * 32 * 2 * 8 * 128
    ops = TECHNOLOGY.value("execution.cache_unpack_ops") * elements
    longer = looked_up.decode_s - plain.decode_s
    assert 0 < longer[1] < longer[0]
    assert 0.2 < longer[0] / (ops / (2048 * 1e9)) < 1.2
    assert (
        served((2048,), kv_bits=16.0, kv_method="calibrated").decode_s == served((2048,), kv_bits=16.0).decode_s
    ).all()
