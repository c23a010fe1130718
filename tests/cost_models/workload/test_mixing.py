"""Layers of several kinds: windows, chunks, states of fixed size and chosen tokens, against counting them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cost_models.library import Model, shipped_library
from cost_models.library.layers import AttentionLayers, DenseLayers, Indexer, StateLayers
from cost_models.workload.mixing import (
    cache_bytes,
    decode_attention,
    kv_cache_elements,
    prefill_attention,
    prefill_state_macs,
    state_bytes,
)
from cost_models.workload.operators import Shape, linear_operators
from cost_models.workload.param_count import attention_weights, attentions, count_parameters, state_weights

LIBRARY = shipped_library()


def like(key, **changes):
    """Return a model of the library with some fields changed, checked as any other."""
    return Model.model_validate({**LIBRARY.model(key).model_dump(), **changes})


def of_name(operators, name):
    place = operators.names.index(name)
    return {field: getattr(operators, field)[place] for field in ("times", "macs", "kv_elements", "state_bytes")}


@given(prompt=st.integers(1, 200), output=st.integers(1, 200), reach=st.integers(1, 90), chunked=st.booleans())
def test_limited_reaches_against_counting_tokens(prompt, output, reach, chunked):
    kind = AttentionLayers(layers=32, reach=reach, chunked=chunked)
    model, shape = like("llama2_7b", attention_layers=(kind,)), Shape(1.0, prompt, output)

    def met(token):
        return (token - 1) % reach + 1 if chunked else min(token, reach)

    pairs = sum(met(token) for token in range(1, prompt + 1))
    assert prefill_attention(model, shape).macs.sum() == pytest.approx(pairs * 32 * 2 * 128)
    over = (prompt + 0.5, prompt + output + 0.5)
    step = of_name(decode_attention(model, shape, context=float(prompt), over=over), "attention_window")
    mean = sum(met(token) for token in range(prompt + 1, prompt + output + 1)) / output
    # The mean over a continuous context misses an eighth of a token where a window fills up.
    missed = 0.0 if chunked else 0.126 / output
    assert step["macs"][0] == pytest.approx(mean * 32 * 2 * 128, rel=1e-9, abs=missed * 32 * 2 * 128)


def test_kinds_of_attention_add_up():
    """Gemma-4-like: narrow windowed layers and wide global ones whose keys are their values."""
    wide = AttentionLayers(layers=2, head_dim=256, kv_heads=4, key_is_value=True)
    near = AttentionLayers(layers=30, reach=512)
    model = like("llama2_7b", attention_layers=(near, wide))
    layers = attentions(model)
    assert [layer.reach for layer in layers] == [None, 512]
    d = model.d_model
    assert attention_weights(model, layers[0]).total == d * 256 * (32 + 4 + 32)
    assert attention_weights(model, layers[1]).total == 4 * d * 128 * 32
    held = kv_cache_elements(model, Shape(3.0, 1, 1), tokens=4096.0)
    assert held == pytest.approx(3 * (2 * 4096 * 2 * 4 * 256 + 30 * 512 * 2 * 32 * 128))
    read = linear_operators(model, Shape(1.0, 1, 1), tokens_per_sequence=1.0, head_rows=1.0)
    assert read.names[:4] == ("qkv", "attention_out", "qkv_2", "attention_out_2")
    count = count_parameters(model)
    assert (read.weights * read.times).sum() == pytest.approx(count.body + count.head)


def test_layers_that_read_the_cache_of_others_hold_none():
    kinds = (AttentionLayers(layers=20), AttentionLayers(layers=12, own_kv=False))
    model, plain = like("llama2_7b", attention_layers=kinds), LIBRARY.model("llama2_7b")
    shape = Shape(1.0, 1, 1)
    assert kv_cache_elements(model, shape, tokens=100.0) == kv_cache_elements(plain, shape, tokens=100.0) * 20 / 32
    ours, theirs = (decode_attention(one, shape, context=99.0, over=(98.5, 99.5)) for one in (model, plain))
    written = 12 * 2 * 32 * 128
    assert (ours.kv_elements * ours.times).sum() == (theirs.kv_elements * theirs.times).sum() - written
    prompt = Shape(1.0, 64, 1)
    ours, theirs = (prefill_attention(one, prompt) for one in (model, plain))
    assert (ours.kv_elements * ours.times).sum() == (theirs.kv_elements * theirs.times).sum() - 64 * written
    saved = count_parameters(plain).body - count_parameters(model).body
    assert saved == 12 * 2 * 4096 * 4096


STATES = {
    # By hand: matrices, and K - 1 inputs of the convolution over values, keys and queries.
    "mamba2": (
        StateLayers(kind="mamba2", layers=4, heads=128, head_dim=64, key_heads=8, key_dim=128, conv_width=4),
        128 * 64 * 128 * 2 + 3 * (8192 + 2 * 1024) * 2,
        4096 * (2 * 8192 + 2 * 1024 + 128) + 8192 * 4096,
    ),
    "gated_delta": (
        StateLayers(
            kind="gated_delta", layers=4, heads=32, head_dim=128, key_heads=16, key_dim=128, conv_width=4, state_bits=32
        ),
        32 * 128 * 128 * 4 + 3 * (4096 + 2 * 2048) * 2,
        4096 * (2 * 4096 + 2 * 2048 + 2 * 32) + 4096 * 4096,
    ),
    "kimi_delta": (
        # Decay and gate of full rank, as wide as keys and values; one step width per head.
        StateLayers(kind="kimi_delta", layers=4, heads=32, head_dim=128, key_heads=32, key_dim=128, conv_width=4),
        32 * 128 * 128 * 2 + 3 * 3 * 4096 * 2,
        4096 * (5 * 4096 + 32) + 4096 * 4096,
    ),
    "lightning": (
        StateLayers(kind="lightning", layers=4, heads=64, head_dim=128, key_heads=64, key_dim=128),
        64 * 128 * 128 * 2,
        5 * 4096 * 8192,
    ),
    "mamba": (
        StateLayers(kind="mamba", layers=4, heads=8192, head_dim=1, key_dim=16, conv_width=4, rank=256),
        8192 * 16 * 2 + 3 * 8192 * 2,
        4096 * 2 * 8192 + 8192 * (256 + 32) + 256 * 8192 + 8192 * 4096,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", STATES)
def test_states_and_weights_against_hand_counts(kind):
    state, held, weights = STATES[kind]
    assert state.state_bytes == held
    model = like("llama2_7b", state_layers=(state,), attention_layers=(AttentionLayers(layers=28),))
    assert sum(state_weights(model, state)) == weights
    shape = Shape(5.0, 100, 100)
    assert state_bytes(model, shape) == 5 * 4 * held
    for tokens in (1.0, 1e6):
        both = cache_bytes(model, shape, tokens=tokens, kv_bits=16.0)
        assert both - kv_cache_elements(model, shape, tokens=tokens) * 2 == pytest.approx(5 * 4 * held)
    step = of_name(decode_attention(model, shape, context=100.0, over=(99.5, 100.5)), "state")
    assert step["state_bytes"] == 2 * 5 * held and step["kv_elements"] == 0
    longer = of_name(decode_attention(model, shape, context=1e6, over=(999_999.5, 1_000_000.5)), "state")
    assert all(longer[field] == step[field] for field in step)
    half = Shape(5.0, 100, 100, 2.0)
    assert state_bytes(model, half) == state_bytes(model, shape) / 2
    count = count_parameters(model)
    read = linear_operators(model, shape, tokens_per_sequence=1.0, head_rows=1.0)
    assert (read.weights * read.times).sum() == pytest.approx(count.body + count.head)


@pytest.mark.parametrize(
    ("kind", "uses"),
    # Decay, outer product and output; the delta rule reads what the key finds as well; a convolution has no matrix.
    [("mamba", 3), ("mamba2", 3), ("lightning", 3), ("gated_delta", 4), ("kimi_delta", 4), ("convolution", 0)],
)
def test_work_of_a_token_by_itself(kind, uses):
    state = StateLayers(kind=kind, layers=1, heads=6, head_dim=10, key_heads=2, key_dim=7, conv_width=3)
    channels = 60 if kind in ("mamba", "convolution") else 60 + 2 * 14
    assert prefill_state_macs(state, 100.0) == uses * 420 + channels * 3
    whole = like("llama2_7b", attention="none", state_layers=(state.model_copy(update={"layers": 32}),))
    step = of_name(decode_attention(whole, Shape(2.0, 1, 1), context=9.0, over=(8.5, 9.5)), "state")
    assert step["macs"] == 2 * (uses * 420 + channels * 3)


DELTAS = [("gated_delta", False), ("kimi_delta", False)]


@pytest.mark.parametrize(("kind", "shared"), [("mamba2", True), ("lightning", False), *DELTAS])
@given(chunk=st.integers(1, 64), chunks=st.integers(1, 4))
def test_work_of_a_chunk_against_counting_pairs(kind, shared, chunk, chunks):
    """Whole chunks: tokens meet themselves and predecessors of their chunk, and the state once per product."""
    state = StateLayers(
        kind=kind, layers=1, heads=6, head_dim=10, key_heads=2, key_dim=7, conv_width=3, chunk_tokens=chunk
    )
    pairs = sum(place + 1 for place in range(chunk)) / chunk
    keys = 2 if shared or "delta" not in kind else 6
    products = {"mamba2": (1, 1, 2), "lightning": (1, 1, 2), **dict.fromkeys(dict(DELTAS), (3, 2, 3))}[kind]
    expected = pairs * (products[0] * keys * 7 + products[1] * 60) + products[2] * 420 + state.conv_channels * 3
    assert prefill_state_macs(state, chunk * chunks) == pytest.approx(expected)


def test_chosen_tokens_bound_attention_but_not_the_index():
    model = like("deepseek_v3", indexer=Indexer(heads=64, head_dim=128, top_k=2048))
    plain, shape = LIBRARY.model("deepseek_v3"), Shape(1.0, 1, 1)
    near, far = (decode_attention(model, shape, context=c, over=(c - 0.5, c + 0.5)) for c in (1000.0, 100_000.0))
    dense = decode_attention(plain, shape, context=1000.0, over=(999.5, 1000.5))
    np.testing.assert_allclose(of_name(near, "attention")["macs"], of_name(dense, "attention")["macs"])
    assert of_name(far, "attention")["macs"] == of_name(near, "attention")["macs"] * 2.048
    assert of_name(far, "index")["macs"] == 64 * 128 * 100_000
    assert of_name(far, "index")["kv_elements"] == 128 * 100_001
    cached = kv_cache_elements(model, shape, tokens=1.0) - kv_cache_elements(plain, shape, tokens=1.0)
    assert cached == 61 * 128
    added = count_parameters(model).body - count_parameters(plain).body
    assert added == 61 * (1536 * 64 * 128 + 7168 * (128 + 64))


@pytest.mark.parametrize(("prompt", "prefix"), [(100, 0), (300, 120)])
def test_the_index_of_a_prompt_meets_every_pair(prompt, prefix):
    model = like("deepseek_v3", indexer=Indexer(heads=64, head_dim=128, top_k=2048))
    operators = prefill_attention(model, Shape(2.0, prompt, 1, prefix_tokens=float(prefix)))
    place = operators.names.index("index")
    pairs = sum(token + 1 for token in range(prefix, prompt))
    assert operators.macs[place] == 2 * 64 * 128 * pairs
    assert operators.vector_ops[place] == 2 * 64 * pairs * 3
    # Keys of the new tokens are written and read, those of the prefix read; queries and keys are activations.
    assert operators.kv_elements[place] == 2 * (2 * (prompt - prefix) + prefix) * 128
    assert operators.activations[place] == 2 * (prompt - prefix) * 65 * 128


def test_dense_blocks_beside_experts_are_counted_by_width():
    moe = {**LIBRARY.model("mixtral_8x7b").moe.model_dump(), "layers": 16, "shared_d_ff": 1000}
    model = like("mixtral_8x7b", moe=moe, dense_layers=(DenseLayers(layers=16, d_ff=999),))
    attention = 32 * attention_weights(model, attentions(model)[0]).total
    routed = 16 * (8 * 3 * 4096 * 14336 + 3 * 4096 * 1000 + 8 * 4096)
    assert count_parameters(model).body == attention + routed + 16 * 3 * 4096 * 999


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"state_layers": (STATES["lightning"][0],)}, "need attention_layers"),
        ({"attention_layers": ({"layers": 33},)}, "at most 32 layers"),
        ({"attention_layers": ({"layers": 1, "chunked": True},)}, "chunked needs reach"),
        ({"indexer": {"heads": 1, "head_dim": 1, "top_k": 1}}, "goes with mla"),
        ({"sliding_window": 5, "window_layers": 5, "attention_layers": ({"layers": 1},)}, "does not go with"),
    ],
)
def test_layers_that_contradict_each_other_are_refused(changes, told):
    with pytest.raises(ValidationError, match=told):
        like("llama2_7b", **changes)
