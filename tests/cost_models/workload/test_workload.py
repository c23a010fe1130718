"""Operators against published arithmetic and a slow twin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.library import shipped_library
from cost_models.workload.mixing import decode_attention, kv_cache_elements, prefill_attention
from cost_models.workload.operators import (
    Shape,
    distinct_experts,
    held_weights,
    linear_operators,
    most_loaded_experts,
    most_loaded_fraction,
)
from cost_models.workload.param_count import attentions, count_parameters, kv_elements_per_token
from cost_models.workload.serving import Layout

LIBRARY = shipped_library()
COMPLETE = sorted(key for key, model in LIBRARY.models.items() if model.complete)


def weights_read(model, *, batch=1.0, tp=1.0):
    operators = linear_operators(model, Shape(batch, 1024, 1024, tp), tokens_per_sequence=1.0, head_rows=batch)
    return (operators.weights * operators.times).sum(axis=0)


@pytest.mark.parametrize("key", COMPLETE)
def test_parameter_counts_are_within_two_percent_of_the_published(key):
    model = LIBRARY.models[key]
    if model.published_params is not None:
        assert count_parameters(model).total == pytest.approx(model.published_params, rel=0.02)


@pytest.mark.parametrize(
    ("key", "weights", "kv_per_token", "flops"),
    # Weights read per step with the LM head, KV elements per token and FLOP per token: the back-solve of the
    # two published throughputs of the Mach-1 chip starts from these.
    [("llama2_70b", 68.71e9, 163_840, 137.4e9), ("llama1_65b", 65.02e9, 1_310_720, 130.0e9)],
)
def test_bytes_and_operations_of_the_founding_models(key, weights, kv_per_token, flops):
    model = LIBRARY.model(key)
    assert weights_read(model)[0] == pytest.approx(weights, rel=5e-4)
    assert sum(one.layers * kv_elements_per_token(model, one) for one in attentions(model)) == kv_per_token
    operators = linear_operators(model, Shape(1.0, 1024, 1024), tokens_per_sequence=1.0, head_rows=1.0)
    assert 2 * (operators.macs * operators.times).sum() == pytest.approx(flops, rel=5e-4)


def test_prefill_work_of_llama2_70b():
    # 4.53 PFLOP for 32 prompts of 1024 tokens: LM head once per sequence, causal attention.
    model, shape = LIBRARY.model("llama2_70b"), Shape(32.0, 1024, 1024)
    linear = linear_operators(model, shape, tokens_per_sequence=1024, head_rows=32.0)
    attention = prefill_attention(model, shape)
    flops = 2 * sum((ops.macs * ops.times).sum() for ops in (linear, attention))
    assert flops == pytest.approx(4.53e15, rel=2e-3)


@pytest.mark.parametrize("key", COMPLETE)
def test_a_batch_that_touches_every_expert_reads_every_weight_once(key):
    model = LIBRARY.models[key]
    count = count_parameters(model)
    read = weights_read(model, batch=1e9)[0]
    head = model.vocab * model.d_model
    assert read == pytest.approx(count.body + head, rel=1e-9)


@pytest.mark.parametrize("key", COMPLETE)
@pytest.mark.parametrize("tp", [1, 2, 3, 8, 64])
def test_the_fullest_chip_holds_at_least_its_fraction(key, tp):
    model = LIBRARY.models[key]
    assert weights_read(model, tp=float(tp))[0] >= weights_read(model)[0] / tp * (1 - 1e-12)


@given(parts=st.integers(1, 200), chips=st.integers(1, 64))
def test_fullest_fraction_is_that_of_dealing_parts_out(parts, chips):
    hands = [len(range(start, parts, chips)) for start in range(chips)]
    assert most_loaded_fraction(parts, chips) == pytest.approx(max(hands) / parts)


@given(experts=st.integers(2, 256), tokens=st.integers(1, 4096), data=st.data())
def test_distinct_experts_lie_between_one_tokens_and_all(experts, tokens, data):
    active = data.draw(st.integers(1, experts))
    touched = float(distinct_experts(experts, active, float(tokens)))
    assert active * (1 - 1e-9) <= touched <= min(experts, active * tokens) * (1 + 1e-9)


def test_distinct_experts_against_drawing_them():
    generator = np.random.default_rng(0)
    draws = [len({e for _ in range(6) for e in generator.choice(8, 2, replace=False)}) for _ in range(4000)]
    assert float(distinct_experts(8, 2, 6.0)) == pytest.approx(np.mean(draws), rel=0.01)


def test_decode_attention_reads_the_cache_it_holds():
    model, shape = LIBRARY.model("llama2_70b"), Shape(32.0, 1024, 1024)
    operators = decode_attention(model, shape, context=1536.5, over=(1024.5, 2048.5))
    read = (operators.kv_elements * operators.times).sum()
    written = 32 * 163_840
    assert read - written == pytest.approx(32 * 163_840 * 1536.5)
    assert kv_cache_elements(model, shape, tokens=2048.0) == pytest.approx(32 * 163_840 * 2048)


def test_windowed_layers_stop_growing_at_their_window():
    model = LIBRARY.model("gpt_oss_20b")
    short, long = (kv_cache_elements(model, Shape(1.0, 1, 1), tokens=float(t)) for t in (4096, 8192))
    full_layers = model.layers - model.window_layers
    assert long - short == pytest.approx(full_layers * 4096 * kv_elements_per_token(model, attentions(model)[0]))


def test_mla_latent_is_read_once_for_all_heads_and_replicated():
    model = LIBRARY.model("deepseek_v3")
    assert kv_elements_per_token(model, attentions(model)[0]) == 576
    one, eight = (
        decode_attention(model, Shape(1.0, 1, 1, tp), context=1000.0, over=(999.5, 1000.5)) for tp in (1.0, 8.0)
    )
    assert one.kv_elements == pytest.approx(eight.kv_elements)
    assert one.macs == pytest.approx(8 * eight.macs)
    assert one.macs[0, 0] == pytest.approx(128 * 1088 * 1000)


@given(prompt=st.integers(1, 300), window=st.sampled_from([None, 16]))
def test_causal_pairs_against_counting_them(prompt, window):
    model = LIBRARY.model("llama2_7b").model_copy(
        update={"sliding_window": window, "window_layers": 32 if window else 0}
    )
    pairs = sum(min(token, window or token) for token in range(1, prompt + 1))
    operators = prefill_attention(model, Shape(1.0, prompt, 1))
    assert operators.macs.sum() == pytest.approx(pairs * 32 * 2 * 128)


@pytest.mark.parametrize(
    ("key", "per_layer"), [("falcon_180b", 1), ("gptj_6b", 1), ("palm_540b", 1), ("llama3_70b", 2)]
)
def test_blocks_side_by_side_are_summed_by_one_all_reduce(key, per_layer):
    model = LIBRARY.model(key)
    operators = linear_operators(model, Shape(3.0, 1, 1, 8.0), tokens_per_sequence=1.0, head_rows=3.0)
    summed = (operators.times * (operators.reduced > 0)).sum()
    assert summed == per_layer * model.layers
    assert (operators.times * operators.reduced).sum() == per_layer * model.layers * 3 * model.d_model


@pytest.mark.parametrize(
    ("experts", "active", "groups", "tokens"),
    [
        (256, 8, 8, 1),
        (256, 8, 8, 16),
        (256, 8, 32, 64),
        (128, 8, 4, 4),
        (128, 4, 8, 512),
        (8, 2, 4, 6),
        (128, 4, 6, 20),
    ],
)
def test_the_fullest_group_of_experts_against_dealing_them(experts, active, groups, tokens):
    generator = np.random.default_rng(1)
    held = -(-experts // groups)
    touched, slots = [], []
    for _ in range(400):
        chosen = np.argsort(generator.random((tokens, experts)), axis=1)[:, :active]
        load = np.bincount(chosen.ravel(), minlength=held * groups).reshape(groups, held)
        touched.append((load > 0).sum(axis=1).max())
        slots.append(load.sum(axis=1).max())
    most = most_loaded_experts(experts, active, float(tokens), groups=float(groups), spread=1.0)
    assert float(most[0]) == pytest.approx(np.mean(touched), rel=0.12)
    assert float(most[1]) == pytest.approx(np.mean(slots), rel=0.12)


def test_one_group_holds_the_fair_number_of_experts():
    touched, slots = most_loaded_experts(256, 8, 32.0, groups=1.0, spread=0.9)
    assert touched == distinct_experts(256, 8, 32.0**0.9)
    assert slots == 256


@pytest.mark.parametrize("key", COMPLETE)
def test_held_weights_are_all_but_the_embedding(key):
    model = LIBRARY.models[key]
    count = count_parameters(model)
    held = held_weights(model, Shape(1.0, 1, 1))
    total = sum(float(one[0]) for one in held.values())
    assert total == pytest.approx(count.body + model.vocab * model.d_model, rel=1e-12)
    assert float(held["expert"][0]) == pytest.approx(count.experts, rel=1e-12)


def test_latents_of_mla_are_projected_by_every_chip():
    model = LIBRARY.model("deepseek_v3")
    one, eight = (
        linear_operators(model, Shape(1.0, 1, 1, tp), tokens_per_sequence=1.0, head_rows=1.0) for tp in (1.0, 8.0)
    )
    place = one.names.index("qkv")
    latent = 7168 * (1536 + 512 + 64)
    assert eight.weights[place, 0] == pytest.approx((one.weights[place, 0] - latent) / 8 + latent)


@pytest.mark.parametrize("kind", ["tensor", "pipeline", "layer_split"])
def test_a_kind_of_sharing_takes_all_chips_and_one_where_nobody_says_how_many(kind):
    assert (Layout.of(kind).chips, Layout.of(kind, 6.0).chips) == (1, 6)
