"""Work of a layer across tokens: softmax attention over keys and values, and states of fixed size.

Amounts are those of the most-loaded of the chips that share the model, as in `cost_models.workload.operators`.
"""

from __future__ import annotations

import numpy as np

from cost_models.library import Model
from cost_models.library.layers import StateLayers
from cost_models.table import FloatArray, Number
from cost_models.tape import asarray
from cost_models.workload.operators import SCORE_FUNCTIONS, SCORE_OPS, Operators, OperatorStack, Shape
from cost_models.workload.param_count import (
    Attention,
    attentions,
    index_elements_per_token,
    index_layers,
    kv_elements_per_token,
    kv_read_per_token,
)

DECODE_MACS = {"mamba": 3, "mamba2": 3, "gated_delta": 4, "kimi_delta": 4, "lightning": 3, "convolution": 0}
"""Multiply-accumulates per element of a state and token, one token at a time.

A token decays the state, adds an outer product to it and reads it; the delta rule reads it once more, for the value
that the key finds already.
"""

CHUNK_READS = {"mamba2": 2, "gated_delta": 3, "kimi_delta": 3, "lightning": 2}
"""The same where a chunk of a prompt meets the state as a matrix: added to and read, by the delta rule read twice."""

CHUNK_PRODUCTS = {"mamba2": (1, 1), "gated_delta": (3, 2), "kimi_delta": (3, 2), "lightning": (1, 1)}
"""Products of a chunk's tokens with one another: as wide as keys, and as wide as values.

Queries with keys, and the weights with values; the delta rule needs keys with keys, and the inverse of that triangle
with keys and with values (Yang et al., arXiv 2412.06464, section 3.3).
"""


def _macs_per_pair(model: Model, layer: Attention, *, absorbed: bool) -> int:
    """Return multiply-accumulates per head, query token and context token: scores and weighted values."""
    if model.mla is None:
        return layer.head_dim + layer.value_dim
    mla = model.mla
    if absorbed:
        return 2 * mla.kv_lora_rank + mla.qk_rope_head_dim
    return mla.qk_nope_head_dim + mla.qk_rope_head_dim + mla.v_head_dim


def _kv_fraction(model: Model, shape: Shape, layer: Attention) -> Number:
    """Return the share of a layer's keys and values on the most-loaded chip.

    Dealt out by heads, those are held several times where chips outnumber them, and MLA's latent by every chip. Dealt
    out by sequences as well (Pope et al., arXiv 2211.05102, section 3.3), sequences times heads are shared; by tokens
    (Helix, arXiv 2507.07120), everything is.
    """
    parts = 1 if model.mla is not None else layer.kv_heads
    if shape.cache_split == "context":
        return 1 / asarray(shape.tensor_parallel, dtype=np.float64)
    if shape.cache_split == "batch":
        units = parts * np.maximum(asarray(shape.batch, dtype=np.float64), 1.0)
        ranks = asarray(shape.tensor_parallel) * shape.ranks_per_chip
        return asarray(shape.ranks_per_chip * np.ceil(units / ranks) / units)
    return 1.0 if model.mla is not None else shape.share(layer.kv_heads)


def _decoding_heads(model: Model, shape: Shape, layer: Attention) -> Number:
    """Return the query heads times sequences that the most-loaded chip serves, per sequence of the batch."""
    if shape.cache_split == "heads":
        return layer.heads * shape.share(layer.heads)
    return layer.heads * _kv_fraction(model, shape, layer)


def _exchanged(model: Model, shape: Shape, layer: Attention, rows: Number) -> dict[str, Number]:
    """Return what a decode step of so many rows sends so that queries meet keys not dealt out by heads, and back."""
    tp = asarray(shape.tensor_parallel, dtype=np.float64)
    if shape.cache_split == "heads" or not (tp > 1).any():
        return {}
    per_head = layer.head_dim + layer.value_dim if model.mla is None else _macs_per_pair(model, layer, absorbed=True)
    # By sequences, a chip sends the queries of its heads; by tokens, every chip needs all queries.
    part = 1 / tp if shape.cache_split == "batch" else 1.0
    sent = asarray(rows) * layer.heads * per_head * part * (1 - 1 / tp)
    return {"exchanges": np.where(tp > 1, 2.0, 0.0), "exchanged": sent}


def shared_queries(model: Model, shape: Shape) -> FloatArray:
    """Return query heads of the most-loaded chip per key-value head, in the largest kind of layer."""
    layers = attentions(model)
    if not layers:
        return np.ones(1)
    layer = max(layers, key=lambda one: one.layers)
    parts = 1.0 if model.mla is not None else float(layer.kv_heads)
    if shape.cache_split != "heads":
        return asarray([max(layer.heads / parts, 1.0)])
    heads = layer.heads * asarray(shape.share(layer.heads))
    kv = parts if model.mla is not None else parts * asarray(shape.share(layer.kv_heads))
    return np.maximum(heads / kv, 1.0)


def _chunked_pairs(tokens: Number, chunk: int) -> FloatArray:
    """Return how many tokens the first `tokens` tokens meet within chunks of fixed borders, themselves included."""
    tokens = asarray(tokens, dtype=np.float64)
    whole = np.floor(tokens / chunk)
    rest = tokens - whole * chunk
    return asarray(whole * (chunk * (chunk + 1) / 2) + rest * (rest + 1) / 2)


def _mean_reach(layer: Attention, reach: float, first: Number, last: Number) -> FloatArray:
    """Return the mean number of tokens met over contexts from half a token after `first` to half one after `last`."""
    if layer.chunked:
        before, after = asarray(first) - 0.5, asarray(last) - 0.5
        return asarray((_chunked_pairs(after, int(reach)) - _chunked_pairs(before, int(reach))) / (after - before))
    return mean_clipped(first, last, reach)


def mean_clipped(first: Number, last: Number, window: float) -> FloatArray:
    """Return the mean of min(context, window) over contexts from `first` to `last`."""
    first, last = asarray(first, dtype=np.float64), asarray(last, dtype=np.float64)
    below = np.clip(window, first, last)
    beyond = (last - below) * np.minimum(window, last)
    return asarray(np.minimum(((below**2 - first**2) / 2 + beyond) / (last - first), window))


def _reach(model: Model, layer: Attention) -> float:
    """Return the most tokens that a layer meets, inf without a limit."""
    bounds = [layer.reach, model.indexer.top_k if model.indexer is not None and layer.indexed else None]
    return float(min((bound for bound in bounds if bound is not None), default=np.inf))


def decode_attention(
    model: Model, shape: Shape, *, context: Number, over: tuple[Number, Number], queries: Number = 1.0
) -> Operators:
    """Return what one decode step does across tokens.

    MLA computes on the latent itself (absorbed form, arXiv 2405.04434): KV is read once for all heads.

    Args:
        model: the architecture.
        shape: batch and tensor parallelism.
        context: tokens that unlimited layers meet.
        over: contexts of the first and the last step, half a token before the one and after the other; layers of
            limited reach are taken at their mean over them.
        queries: tokens of a sequence that are verified together: keys and values are read once for all of them, but
            where each chooses the tokens that it meets; states are written after each.
    """
    batch = asarray(shape.batch, dtype=np.float64)
    rows = batch * queries
    stack = OperatorStack()
    for layer in attentions(model):
        heads = _decoding_heads(model, shape, layer)
        share = _kv_fraction(model, shape, layer)
        written = queries if layer.own_kv else 0.0
        reach = _reach(model, layer)
        tokens = context if np.isinf(reach) else _mean_reach(layer, reach, *over)
        per_pair = _macs_per_pair(model, layer, absorbed=True)
        met = tokens
        if layer.indexed:
            met = np.minimum(tokens * asarray(queries), context)
        stack.add(
            "attention" if layer.reach is None else "attention_window", "attention", layer.layers, rows=rows,
            macs=rows * heads * per_pair * tokens, activations=rows * heads * (layer.head_dim + layer.value_dim),
            row_elements=per_pair, vector_ops=rows * heads * tokens * SCORE_OPS,
            special_functions=rows * heads * tokens * SCORE_FUNCTIONS,
            kv_elements=batch * (kv_read_per_token(model, layer) * share) * (met + written), kernels=2,
            **_exchanged(model, shape, layer, rows),
        )  # fmt: skip
    if model.indexer is not None:
        index = index_elements_per_token(model)
        stack.add(
            "index", "attention", index_layers(model), rows=rows,
            macs=rows * model.indexer.heads * model.indexer.head_dim * context,
            activations=rows * (model.indexer.heads + 1) * model.indexer.head_dim,
            kv_elements=batch * index * (asarray(context) + queries), kernels=2,
            vector_ops=rows * model.indexer.heads * context * SCORE_OPS,
        )  # fmt: skip
    for state in model.state_layers:
        held = shape.share(state.heads)
        macs = state.matrix_elements * DECODE_MACS[state.kind] + state.conv_channels * state.conv_width
        stack.add(
            "state", "attention", state.layers, rows=rows, macs=rows * macs * held,
            activations=rows * (2 * state.inner + 2 * state.keys) * held,
            state_bytes=(1 + asarray(queries)) * batch * state.state_bytes * held, kernels=2,
        )  # fmt: skip
    return stack.build()


def prefill_attention(model: Model, shape: Shape) -> Operators:
    """Return what a prompt does across tokens: each token meets itself and its predecessors, as far as a layer sees.

    In an encoder every token meets every other, and keys and values are activations: nothing is cached. States are
    worked through in chunks where the layer has a matrix form, and written once. Tokens after a cached prefix meet it
    as well: what a whole prompt's tokens meet, less what the prefix's met; its keys, values and states are read.
    """
    batch = asarray(shape.batch, dtype=np.float64)
    whole, prefix = (asarray(x, dtype=np.float64) for x in (shape.prompt_tokens, shape.prefix_tokens))
    prompt, cached = whole - prefix, bool(prefix.any())
    stack = OperatorStack()
    causal = whole * whole if model.encoder else _causal_pairs(whole)
    if cached:
        causal = causal - _causal_pairs(prefix)
    for layer in attentions(model):
        heads = layer.heads * shape.share(layer.heads)
        kv = 0.0 if model.encoder else kv_read_per_token(model, layer) * _kv_fraction(model, shape, layer)
        reach = _reach(model, layer)
        pairs, per_pair = causal, _macs_per_pair(model, layer, absorbed=False)
        if np.isfinite(reach):
            pairs = _limited_pairs(layer, whole, reach)
            if cached:
                pairs = pairs - _limited_pairs(layer, prefix, reach)
        # New keys and values are read, and written but by layers that have another's; those of the prefix are read as
        # far as the layer sees.
        met = (2 if layer.own_kv else 1) * prompt
        if cached:
            met = met + np.minimum(prefix, reach)
        stack.add(
            "attention" if layer.reach is None else "attention_window", "attention", layer.layers,
            rows=batch * prompt, macs=batch * heads * per_pair * pairs, row_elements=per_pair,
            vector_ops=batch * heads * pairs * SCORE_OPS, special_functions=batch * heads * pairs * SCORE_FUNCTIONS,
            activations=batch * prompt * heads * (layer.head_dim + layer.value_dim), kv_elements=batch * met * kv,
            kernels=1,
        )  # fmt: skip
    if model.indexer is not None:
        index = index_elements_per_token(model)
        stack.add(
            "index", "attention", index_layers(model), rows=batch * prompt,
            macs=batch * model.indexer.heads * model.indexer.head_dim * causal,
            activations=batch * prompt * (model.indexer.heads + 1) * model.indexer.head_dim,
            kv_elements=batch * (2 * prompt + prefix) * index, kernels=1,
            vector_ops=batch * model.indexer.heads * causal * SCORE_OPS,
        )  # fmt: skip
    for state in model.state_layers:
        held = shape.share(state.heads)
        stack.add(
            "state", "attention", state.layers, rows=batch * prompt,
            macs=batch * prompt * prefill_state_macs(state, prompt) * held,
            activations=batch * prompt * (2 * state.inner + 2 * state.keys) * held,
            state_bytes=(1 + (prefix > 0)) * batch * state.state_bytes * held, kernels=1,
        )  # fmt: skip
    return stack.build()


def _causal_pairs(tokens: FloatArray) -> FloatArray:
    """Return how many tokens the first `tokens` tokens meet, themselves included."""
    return asarray(tokens * (tokens + 1) / 2)


def _limited_pairs(layer: Attention, tokens: FloatArray, reach: float) -> FloatArray:
    """Return how many tokens the first `tokens` tokens meet in a layer of limited reach."""
    if layer.chunked:
        return _chunked_pairs(tokens, int(reach))
    window = np.minimum(tokens, reach)
    return asarray(window * (window + 1) / 2 + (tokens - window) * window)


def prefill_state_macs(state: StateLayers, prompt: Number) -> FloatArray:
    """Return multiply-accumulates per token and layer over a prompt.

    In chunks of C tokens a token meets (C + 1) / 2 of its own chunk in the mean, and the state of all before it
    (arXiv 2405.21060, section 6; 2412.06464, section 3.3); without a matrix form it is worked through token by token.
    """
    convolution = float(state.conv_channels * state.conv_width)
    if state.chunk_tokens is None or state.kind not in CHUNK_READS:
        return asarray(state.matrix_elements * DECODE_MACS[state.kind] + convolution)
    met = (np.minimum(state.chunk_tokens, prompt) + 1) / 2
    by_keys, by_values = CHUNK_PRODUCTS[state.kind]
    # Keys of a state-space model are shared by the heads of a group, those of the delta rule are spread over them.
    keys = state.heads * state.key_dim if "delta" in state.kind else state.keys
    among = met * (by_keys * keys + by_values * state.inner)
    return asarray(among + CHUNK_READS[state.kind] * state.matrix_elements + convolution)


def kv_cache_elements(model: Model, shape: Shape, *, tokens: Number) -> FloatArray:
    """Return KV-cache elements of the batch at `tokens` of context, over all layers, on the most-loaded chip."""
    if model.encoder or not attentions(model):
        return np.zeros(np.broadcast_shapes(np.shape(shape.batch), np.shape(tokens)))
    held: Number = 0.0
    for layer in attentions(model):
        own = kv_elements_per_token(model, layer) * asarray(_kv_fraction(model, shape, layer))
        seen = np.minimum(tokens, layer.reach if layer.reach is not None else np.inf)
        held = held + layer.layers * (seen * own)
    if model.indexer is not None:
        held = held + index_layers(model) * index_elements_per_token(model) * asarray(tokens)
    return asarray(asarray(shape.batch) * held, dtype=np.float64)


def index_bytes(model: Model, shape: Shape, *, tokens: Number, kv_bits: Number) -> FloatArray:
    """Return the bytes of the keys among them that an indexer scores, every one at each step; zeros without one."""
    if model.indexer is None:
        return np.zeros(1)
    elements = index_layers(model) * index_elements_per_token(model) * asarray(tokens)
    return asarray(asarray(shape.batch) * elements * (asarray(kv_bits) / 8), dtype=np.float64)


def state_bytes(model: Model, shape: Shape) -> FloatArray:
    """Return the bytes of the batch's states of fixed size, over all layers, on the most-loaded chip."""
    of_sequence: Number = 0.0
    for state in model.state_layers:
        of_sequence = of_sequence + state.layers * state.state_bytes * asarray(shape.share(state.heads))
    return asarray(asarray(shape.batch, dtype=np.float64) * of_sequence)


def cache_bytes(model: Model, shape: Shape, *, tokens: Number, kv_bits: Number) -> FloatArray:
    """Return the bytes of keys, values and states that the batch holds at `tokens` of context (see above)."""
    cached = kv_cache_elements(model, shape, tokens=tokens) * (asarray(kv_bits) / 8)
    return cached + state_bytes(model, shape) if model.state_layers else cached
