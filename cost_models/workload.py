"""What a model asks of a chip: the operators of a decode step and of a prefill.

Amounts are those of the fullest of the chips that share the model by tensor parallelism: heads, feed-forward
columns and vocabulary are dealt out whole, KV heads are replicated once chips outnumber them. An operator
executed once per layer appears once, with `times` = layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from cost_models.library import Model
from cost_models.parameters import dense_layers, ffn_matrices, kv_elements_per_token, layer_weights
from cost_models.table import FloatArray, Number

WeightClass = Literal["linear", "expert", "head", "attention"]


@dataclass(frozen=True)
class Operators:
    """Operators of one pass, stacked on the first axis; every amount ``(ops, n)`` or ``(ops, 1)``, per execution.

    Attributes:
        names: what each operator is.
        classes: "linear" (weights in the body's format), "expert" (routed experts, whose format may differ),
            "head" (16-bit class weights) or "attention" (no weights).
        times: executions per pass, usually the layers.
        rows: activation rows that each weight meets, the M of a GEMM.
        weights: weight elements read.
        macs: multiply-accumulates.
        activations: activation elements read and written.
        kv_elements: KV-cache elements read and written.
        kernels: kernels launched.
        reduced: elements that an all-reduce sums over the chips afterwards.
    """

    names: tuple[str, ...]
    classes: tuple[WeightClass, ...]
    times: FloatArray
    rows: FloatArray
    weights: FloatArray
    macs: FloatArray
    activations: FloatArray
    kv_elements: FloatArray
    kernels: FloatArray
    reduced: FloatArray

    def of_class(self, weight_class: WeightClass) -> FloatArray:
        """Return ``(ops, 1)`` ones where an operator is of the class, zeros elsewhere; experts are linear as well."""
        wanted = (weight_class, "expert") if weight_class == "linear" else (weight_class,)
        return np.array([[float(c in wanted)] for c in self.classes])


@dataclass(frozen=True)
class Shape:
    """How a model is served: each field a scalar or an ``(n,)`` column.

    Attributes:
        batch: sequences in one step (of one pipeline stage's turn).
        prompt_tokens: prompt length.
        output_tokens: generated tokens per sequence.
        tensor_parallel: chips that share every layer.
        ranks_per_chip: equal parts of a chip that hold shards of their own: whole heads are dealt to parts.
        replicas: groups of `tensor_parallel` chips that each serve `batch` sequences and share the routed experts.
        expert_spread: exponent s by which T tokens of a batch choose experts like T^s independent ones.
    """

    batch: Number
    prompt_tokens: Number
    output_tokens: Number
    tensor_parallel: Number = 1.0
    ranks_per_chip: Number = 1.0
    replicas: Number = 1.0
    expert_spread: Number = 1.0

    def share(self, parts: int) -> Number:
        """Return the share of `parts` indivisible parts on the fullest chip."""
        return self.ranks_per_chip * fullest_share(parts, np.asarray(self.tensor_parallel) * self.ranks_per_chip)


class _Stack:
    """Collects operators and stacks their amounts on a first axis."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._classes: list[WeightClass] = []
        self._rows: dict[str, list[Number]] = {f.name: [] for f in fields(Operators)[2:]}

    def add(self, name: str, weight_class: WeightClass, times: float, **amounts: Number) -> None:
        if times == 0:
            return
        self._names.append(name)
        self._classes.append(weight_class)
        for field, values in self._rows.items():
            values.append(times if field == "times" else amounts.get(field, 0.0))

    def build(self) -> Operators:
        def stacked(values: Sequence[Number]) -> FloatArray:
            columns = [np.atleast_1d(np.asarray(value, dtype=np.float64)) for value in values]
            return np.stack(np.broadcast_arrays(*columns))

        return Operators(tuple(self._names), tuple(self._classes), **{k: stacked(v) for k, v in self._rows.items()})


def fullest_share(parts: int, chips: Number) -> Number:
    """Return the share of `parts` indivisible parts that the fullest of `chips` holds; one part at least."""
    return np.ceil(parts / np.asarray(chips)) / parts


def distinct_experts(experts: int, active: int, tokens: Number) -> Number:
    """Return how many different experts `tokens` tokens touch, routing uniform and independent.

    E (1 - (1 - k/E)^T): the expectation for T tokens that each pick k of E experts.
    """
    return experts * -np.expm1(np.asarray(tokens) * np.log1p(-active / experts)) if active < experts else float(experts)


def window_layers(model: Model) -> int:
    """Return how many layers attend only to a sliding window."""
    return model.window_layers or 0


def linear_operators(model: Model, shape: Shape, *, tokens_per_sequence: Number, head_rows: Number) -> Operators:
    """Return every operator with weights, for a pass over `tokens_per_sequence` tokens of each sequence.

    Args:
        model: the architecture.
        shape: batch and tensor parallelism.
        tokens_per_sequence: 1 in decode, the prompt length in prefill.
        head_rows: rows that meet the language-model head; only the last token of a sequence needs it.
    """
    d, layers = model.d_model, model.layers
    tp = shape.tensor_parallel
    tokens = np.asarray(shape.batch) * tokens_per_sequence
    weights = layer_weights(model)
    heads = shape.share(model.heads)
    shared_latent = model.mla is not None
    kv_share = heads if shared_latent else shape.share(model.kv_heads)
    width = model.heads * (model.head_dim if model.mla is None else model.mla.v_head_dim)
    stack = _Stack()

    def gemm(name: str, times: float, elements: Number, wide: Number, *, kernels: float, reduced: Number = 0.0) -> None:
        stack.add(
            name, "linear", times, rows=tokens, weights=elements, macs=tokens * elements,
            activations=tokens * wide, kernels=kernels, reduced=reduced,
        )  # fmt: skip

    query_key_value = weights.query * heads + weights.key_value * kv_share
    gemm("qkv", layers, query_key_value, d + width * heads + kv_elements_per_token(model) * kv_share, kernels=3)
    gemm("attention_out", layers, weights.output * heads, width * heads + d, kernels=1, reduced=tokens * d)
    dense = dense_layers(model)
    matrices = ffn_matrices(model)
    columns = fullest_share(model.d_ff, tp)
    gemm("ffn_up", dense, (matrices - 1) * d * model.d_ff * columns, d + matrices * model.d_ff * columns, kernels=3)
    gemm("ffn_down", dense, d * model.d_ff * columns, model.d_ff * columns + d, kernels=1, reduced=tokens * d)
    if model.moe is not None:
        _add_experts(stack, model, shape, tokens, layers - dense)
    vocabulary = fullest_share(model.vocab, tp)
    rows = np.asarray(head_rows, dtype=np.float64)
    head = d * model.vocab * vocabulary
    stack.add(
        "lm_head", "head", 1, rows=rows, weights=head, macs=rows * head,
        activations=rows * (d + model.vocab * vocabulary), kernels=2,
    )  # fmt: skip
    return stack.build()


def _add_experts(stack: _Stack, model: Model, shape: Shape, tokens: Number, layers: int) -> None:
    """Add router, shared and routed experts; every chip holds its part of the experts, which the replicas share.

    Whole experts or slices of all: with routing uniform the work is the same.
    """
    moe = model.moe
    assert moe is not None
    d, weights = model.d_model, layer_weights(model)
    columns = fullest_share(moe.expert_d_ff, shape.tensor_parallel)
    sharers = np.asarray(shape.tensor_parallel) * shape.replicas
    every = np.asarray(tokens) * shape.replicas
    touched = distinct_experts(moe.experts, moe.active_experts, np.asarray(every) ** shape.expert_spread)
    slots = every * moe.active_experts
    stack.add(
        "router", "head", layers, rows=tokens, weights=weights.router, macs=tokens * weights.router,
        activations=tokens * (d + moe.experts), kernels=2,
    )  # fmt: skip
    if moe.shared_experts:
        shared = weights.ffn * columns
        wide = d + moe.shared_experts * moe.expert_d_ff * columns
        stack.add(
            "shared_experts", "linear", layers, rows=tokens, weights=shared, macs=tokens * shared,
            activations=tokens * 2 * wide, kernels=2,
        )  # fmt: skip
    columns = fullest_share(moe.expert_d_ff, sharers)
    expert = weights.expert * columns
    stack.add(
        "experts", "expert", layers, rows=slots / np.maximum(touched, 1e-9), weights=touched * expert,
        macs=slots * expert,
        activations=slots * (2 * d + ffn_matrices(model) * moe.expert_d_ff * columns), kernels=4,
        reduced=tokens * d,
    )  # fmt: skip


def _attention_macs_per_pair(model: Model, *, absorbed: bool) -> int:
    """Return multiply-accumulates per head, query token and context token: scores and weighted values."""
    if model.mla is None:
        return 2 * model.head_dim
    mla = model.mla
    if absorbed:
        return 2 * mla.kv_lora_rank + mla.qk_rope_head_dim
    return mla.qk_nope_head_dim + mla.qk_rope_head_dim + mla.v_head_dim


def _kv_per_token(model: Model, shape: Shape) -> Number:
    """Return KV elements per token and layer on the fullest chip; the MLA latent is replicated."""
    per_token = kv_elements_per_token(model)
    return per_token if model.mla is not None else per_token * shape.share(model.kv_heads)


def shared_queries(model: Model, shape: Shape) -> FloatArray:
    """Return how many query heads of the fullest chip read the same keys and values."""
    heads = model.heads * np.asarray(shape.share(model.heads))
    kv = 1.0 if model.mla is not None else model.kv_heads * np.asarray(shape.share(model.kv_heads))
    return np.maximum(heads / kv, 1.0)


def decode_attention(model: Model, shape: Shape, *, context: Number, windowed: Number) -> Operators:
    """Return attention of one decode step over `context` tokens (`windowed` tokens in sliding-window layers).

    MLA computes on the latent itself (absorbed form, arXiv 2405.04434): KV is read once for all heads.
    """
    batch = np.asarray(shape.batch, dtype=np.float64)
    heads = model.heads * shape.share(model.heads)
    kv = _kv_per_token(model, shape)
    per_pair = _attention_macs_per_pair(model, absorbed=True)
    stack = _Stack()
    local = window_layers(model)
    for name, times, tokens in (("attention", model.layers - local, context), ("attention_window", local, windowed)):
        stack.add(
            name, "attention", times, rows=batch, macs=batch * heads * per_pair * tokens,
            activations=batch * heads * 2 * model.head_dim, kv_elements=batch * kv * (tokens + 1.0), kernels=2,
        )  # fmt: skip
    return stack.build()


def prefill_attention(model: Model, shape: Shape) -> Operators:
    """Return attention over the prompt: each token meets itself and its predecessors, within the window.

    In an encoder every token meets every other, and keys and values are activations: nothing is cached.
    """
    batch = np.asarray(shape.batch, dtype=np.float64)
    prompt = np.asarray(shape.prompt_tokens, dtype=np.float64)
    heads = model.heads * shape.share(model.heads)
    kv = _kv_per_token(model, shape)
    per_pair = _attention_macs_per_pair(model, absorbed=False)
    local = window_layers(model)
    window = np.minimum(prompt, model.sliding_window or np.inf)
    causal = prompt * (prompt + 1) / 2
    banded = window * (window + 1) / 2 + (prompt - window) * window
    if model.encoder:
        causal, kv = prompt * prompt, 0.0
    stack = _Stack()
    for name, times, pairs in (("attention", model.layers - local, causal), ("attention_window", local, banded)):
        stack.add(
            name, "attention", times, rows=batch * prompt, macs=batch * heads * per_pair * pairs,
            activations=batch * prompt * heads * 2 * model.head_dim, kv_elements=2 * batch * prompt * kv, kernels=1,
        )  # fmt: skip
    return stack.build()


def kv_cache_elements(model: Model, shape: Shape, *, tokens: Number) -> FloatArray:
    """Return KV-cache elements of the batch at `tokens` of context, over all layers, on the fullest chip."""
    local = window_layers(model)
    if model.encoder:
        return np.zeros_like(np.asarray(shape.batch * np.asarray(tokens), dtype=np.float64))
    held = (model.layers - local) * np.asarray(tokens) + local * np.minimum(tokens, model.sliding_window or np.inf)
    return np.asarray(np.asarray(shape.batch) * held * _kv_per_token(model, shape), dtype=np.float64)
