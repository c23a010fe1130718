"""What a model asks of a chip: the operators of a decode step and of a prefill.

Amounts are those of the most-loaded of the chips that share the model by tensor parallelism: heads, feed-forward
columns and vocabulary are dealt out whole, KV heads are replicated once chips outnumber them. An operator
executed once per layer appears once, with `times` = layers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np

from cost_models.library import Model
from cost_models.table import FloatArray, Number, as_rows
from cost_models.tape import asarray
from cost_models.workload.param_count import (
    Attention,
    attention_weights,
    attentions,
    dense_blocks,
    expert_layers,
    ffn_matrices,
    index_layers,
    indexer_weights,
    kv_elements_per_token,
    layer_weights,
    state_weights,
)

WeightClass = Literal["linear", "expert", "head", "attention"]

CacheSplit = Literal["heads", "batch", "context"]


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
        exchanges: all-to-all exchanges between chips.
        exchanged: elements that each chip sends in them, in the width of activations.
        dispatched: further ones, in the width of the operands that weights meet.
        state_bytes: bytes of states of fixed size read and written.
        row_elements: elements of a query and its output, which attention holds while keys and values pass.
        depth: elements that an output sums, the K of a GEMM; 0 where matrices of unlike shapes are one operator.
        vector_ops: operations of norms, rotary positions, softmax and activations, element by element.
        special_functions: exponentials and reciprocals among what is done element by element.
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
    exchanges: FloatArray
    exchanged: FloatArray
    dispatched: FloatArray
    state_bytes: FloatArray
    row_elements: FloatArray
    depth: FloatArray
    vector_ops: FloatArray
    special_functions: FloatArray

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
        expert_parallel: groups of chips to which whole experts are dealt; the chips of a group hold slices of each.
        cache_split: what the chips deal out of the KV cache: heads, sequences ("batch") or tokens ("context").
        all_experts: 1 where every token goes through every expert, its own weighted and the others by 0.
        prefix_tokens: first tokens of the prompt whose keys, values and states are cached already.
    """

    batch: Number
    prompt_tokens: Number
    output_tokens: Number
    tensor_parallel: Number = 1.0
    ranks_per_chip: Number = 1.0
    replicas: Number = 1.0
    expert_spread: Number = 1.0
    expert_parallel: Number = 1.0
    cache_split: CacheSplit = "heads"
    all_experts: Number = 0.0
    prefix_tokens: Number = 0.0

    def share(self, parts: int) -> Number:
        """Return the share of `parts` indivisible parts on the most-loaded chip."""
        return self.ranks_per_chip * most_loaded_fraction(parts, asarray(self.tensor_parallel) * self.ranks_per_chip)


AMOUNTS = tuple(field.name for field in fields(Operators)[2:])
"""What is told of every operator."""


class OperatorStack:
    """Collects operators and stacks their amounts on a first axis."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._count: Counter[str] = Counter()
        self._classes: list[WeightClass] = []
        self._amounts: list[dict[str, Number]] = []

    def add(self, name: str, weight_class: WeightClass, times: float, **amounts: Number) -> None:
        """Add an operator, numbered where one of its name is there; amounts that are not told are 0."""
        if times == 0:
            return
        self._count[name] += 1
        self._names.append(name if self._count[name] == 1 else f"{name}_{self._count[name]}")
        self._classes.append(weight_class)
        self._amounts.append({**amounts, "times": times})

    def build(self) -> Operators:
        """Return all operators, columns broadcast to a common length."""
        columns = {name: as_rows(*[one.get(name, 0.0) for one in self._amounts]) for name in AMOUNTS}
        return Operators(tuple(self._names), tuple(self._classes), **columns)


def most_loaded_fraction(parts: int, chips: Number) -> Number:
    """Return the share of `parts` indivisible parts that the most-loaded of `chips` holds; one part at least."""
    return np.ceil(parts / asarray(chips)) / parts


def distinct_experts(experts: int, active: int, tokens: Number) -> Number:
    """Return how many different experts `tokens` tokens touch, routing uniform and independent.

    E (1 - (1 - k/E)^T): the expectation for T tokens that each pick k of E experts.
    """
    return experts * -np.expm1(asarray(tokens) * np.log1p(-active / experts)) if active < experts else float(experts)


def _projections(model: Model) -> list[Attention]:
    """Return attention layers by the shape of their projections: how far a layer sees makes no difference to them."""
    result: dict[Attention, int] = {}
    for layer in attentions(model):
        alike = replace(layer, layers=model.layers, reach=None, chunked=False)
        result[alike] = result.get(alike, 0) + layer.layers
    return [replace(alike, layers=layers) for alike, layers in result.items()]


def linear_operators(model: Model, shape: Shape, *, tokens_per_sequence: Number, head_rows: Number) -> Operators:
    """Return every operator with weights, for a pass over `tokens_per_sequence` tokens of each sequence.

    Args:
        model: the architecture.
        shape: batch and tensor parallelism.
        tokens_per_sequence: 1 in decode, the prompt length in prefill.
        head_rows: rows that meet the language-model head; only the last token of a sequence needs it.
    """
    d = model.d_model
    tp = shape.tensor_parallel
    tokens = asarray(shape.batch) * tokens_per_sequence
    stack = OperatorStack()
    # Where attention and feed-forward block stand side by side, one all-reduce sums both.
    mixed = 0.0 if model.parallel_block else tokens * d

    def gemm(name: str, times: float, elements: Number, wide: Number, **further: Number) -> None:
        stack.add(
            name, "linear", times, rows=tokens, weights=elements, macs=tokens * elements,
            activations=tokens * wide, **further,
        )  # fmt: skip

    for layer in _projections(model):
        weights = attention_weights(model, layer)
        heads = shape.share(layer.heads)
        kv_fraction = heads if model.mla is not None else shape.share(layer.kv_heads)
        width = layer.heads * (layer.value_dim if model.mla is None else model.mla.v_head_dim)
        query_key_value = (weights.query - weights.latent) * heads + weights.key_value * kv_fraction + weights.latent
        wide = d + width * heads + kv_elements_per_token(model, layer) * kv_fraction
        rotated = layer.heads * layer.head_dim * heads + kv_elements_per_token(model, layer) / 2 * kv_fraction
        normed = tokens * (NORM_OPS * d + ROTARY_OPS * rotated)
        gemm(
            "qkv", layer.layers, query_key_value, wide, kernels=3, vector_ops=normed, depth=0.0 if weights.latent else d
        )
        gemm(
            "attention_out", layer.layers, weights.output * heads, width * heads + d, kernels=1, reduced=mixed,
            depth=width * heads,
        )  # fmt: skip
    if model.indexer is not None:
        # Every chip chooses for itself: the projections are not dealt out.
        keys = (model.indexer.heads + 1) * model.indexer.head_dim
        gemm("index_projection", index_layers(model), indexer_weights(model), 2 * d + keys, kernels=3)
    if model.further is not None:
        # Thin matrices: every chip holds them whole.
        for name, times, elements in (
            ("further", model.layers, model.further.layer), ("further_once", 1, model.further.once),
        ):  # fmt: skip
            if elements:
                gemm(name, times, elements, 2 * d + elements / d, kernels=2)
    for state in model.state_layers:
        entering, leaving = state_weights(model, state)
        heads = shape.share(state.heads)
        wide = d + (2 * state.inner + 2 * state.keys) * heads
        gemm("state_in", state.layers, entering * heads, wide, kernels=2, vector_ops=tokens * NORM_OPS * d, depth=d)
        gemm(
            "state_out", state.layers, leaving * heads, state.inner * heads + d, kernels=1, reduced=mixed,
            depth=state.inner * heads,
        )  # fmt: skip
    matrices = ffn_matrices(model)
    for block in dense_blocks(model):
        columns = most_loaded_fraction(block.d_ff, tp)
        up, gated = (matrices - 1) * d * block.d_ff * columns, tokens * block.d_ff * columns
        gemm(
            "ffn_up", block.layers, up, d + matrices * block.d_ff * columns, kernels=3,
            vector_ops=tokens * NORM_OPS * d + GATE_OPS * gated, special_functions=GATE_FUNCTIONS * gated, depth=d,
        )  # fmt: skip
        down = d * block.d_ff * columns
        inner = block.d_ff * columns
        gemm("ffn_down", block.layers, down, inner + d, kernels=1, reduced=tokens * d, depth=inner)
    if model.moe is not None:
        _add_experts(stack, model, shape, tokens, expert_layers(model))
    vocabulary = most_loaded_fraction(model.vocab, tp)
    rows = asarray(head_rows, dtype=np.float64)
    head = d * model.vocab * vocabulary
    stack.add(
        "lm_head", "head", 1, rows=rows, weights=head, macs=rows * head,
        activations=rows * (d + model.vocab * vocabulary), kernels=2, vector_ops=rows * NORM_OPS * d, depth=d,
    )  # fmt: skip
    return stack.build()


def _add_experts(stack: OperatorStack, model: Model, shape: Shape, tokens: Number, layers: int) -> None:
    """Add router, shared and routed experts; every chip holds its part of the experts, which the replicas share."""
    moe = model.moe
    assert moe is not None
    d, weights, replicas = model.d_model, layer_weights(model), asarray(shape.replicas)
    columns = most_loaded_fraction(moe.expert_d_ff, shape.tensor_parallel)
    stack.add(
        "router", "head", layers, rows=tokens, weights=weights.router, macs=tokens * weights.router,
        activations=tokens * (d + moe.experts), kernels=2,
        vector_ops=tokens * (NORM_OPS * d + SCORE_OPS * moe.experts), special_functions=tokens * moe.experts,
    )  # fmt: skip
    if moe.shared_width:
        shared = weights.shared * columns
        inner, gated = d + moe.shared_width * columns, tokens * moe.shared_width * columns
        stack.add(
            "shared_experts", "linear", layers, rows=tokens, weights=shared, macs=tokens * shared,
            activations=tokens * 2 * inner, kernels=2, vector_ops=GATE_OPS * gated,
            special_functions=GATE_FUNCTIONS * gated,
        )  # fmt: skip
    wide = moe.latent_d or d
    if weights.latent:
        stack.add(
            "latent_projections", "linear", layers, rows=tokens, weights=weights.latent, macs=tokens * weights.latent,
            activations=tokens * 2 * (d + wide), kernels=2,
        )  # fmt: skip
    ranks = asarray(shape.tensor_parallel) * replicas
    slices = ranks / shape.expert_parallel
    every = asarray(tokens) * replicas
    touched, slots = most_loaded_experts(
        moe.experts, moe.active_experts, every, groups=shape.expert_parallel, spread=shape.expert_spread
    )
    every_expert = asarray(shape.all_experts) > 0
    if every_expert.any():
        held = np.ceil(moe.experts / asarray(shape.expert_parallel))
        touched, slots = np.where(every_expert, held, touched), np.where(every_expert, every * held, slots)
    sent = 0.0
    if (replicas > 1).any():
        # A token goes to every chip of each group that holds an expert of its own, and its parts come back; the
        # exchange ends when the chip with most tokens has them.
        groups = asarray(shape.expert_parallel)
        reached = slices * groups * -np.expm1(moe.active_experts * np.log1p(-1 / np.maximum(groups, 1 + 1e-9)))
        crowding = slots * groups / np.maximum(every * moe.active_experts, NO_TOKENS)
        sent = tokens / asarray(shape.tensor_parallel) * reached * (1 - 1 / ranks) * crowding * wide * (replicas > 1)
    add_routed(
        stack, layers, d=wide, width=moe.expert_d_ff * most_loaded_fraction(moe.expert_d_ff, slices),
        matrices=ffn_matrices(model), tokens=tokens, touched=touched, slots=slots, reduced=tokens * wide,
        exchanges=np.where(replicas > 1, 2.0, 0.0), exchanged=sent, dispatched=sent,
    )  # fmt: skip


def add_routed(
    stack: OperatorStack,
    times: float,
    *,
    d: Number,
    width: Number,
    matrices: int,
    tokens: Number,
    touched: Number,
    slots: Number,
    **between: Number,
) -> None:
    """Add routed experts on one chip: the copying of tokens to their experts and back, and the experts.

    Args:
        stack: what they are added to.
        times: layers.
        d: width of the vectors that experts work on.
        width: columns of an expert that the chip holds.
        matrices: matrices of an expert.
        tokens: tokens that enter and leave.
        touched: different experts that they choose.
        slots: pairs of a token and its expert.
        between: what chips send each other afterwards.
    """
    rows = slots / np.maximum(touched, NO_TOKENS)
    # Tokens are gathered by expert, and summed with their weights afterwards: a copy of each slot both times.
    stack.add(
        "expert_copies",
        "linear",
        times,
        rows=rows,
        activations=2 * (slots + tokens) * d,
        kernels=2,
        vector_ops=slots * d,
    )
    elements, gated = matrices * d * width, slots * width
    stack.add(
        "experts", "expert", times, rows=rows, weights=touched * elements, macs=slots * elements,
        activations=slots * (2 * d + matrices * width), kernels=2, vector_ops=GATE_OPS * gated,
        special_functions=GATE_FUNCTIONS * gated, **between,
    )  # fmt: skip


def most_loaded_experts(
    experts: int, active: int, tokens: Number, *, groups: Number, spread: Number
) -> tuple[Number, Number]:
    """Return (different experts, pairs of a token and its expert) on the group with most of each.

    T tokens choose like T^s independent ones. Each of the m = ceil(E / R) experts that one of R groups holds is then
    chosen with a chance p, so that numbers of chosen experts are binomial, and the mean of the largest of R of them is
    the sum over j of 1 - F(j)^R. Of pairs, the largest of R means of normal numbers is taken (Blom 1958).

    Args:
        experts: routed experts E of a layer.
        active: experts k of a token.
        tokens: tokens T of all chips.
        groups: groups R of chips to which whole experts are dealt.
        spread: exponent s.
    """
    from scipy import special

    alone = asarray(tokens) ** asarray(spread)
    touched, slots = distinct_experts(experts, active, alone), asarray(tokens) * active
    groups = asarray(groups, dtype=np.float64)
    if not (groups > 1).any():
        return touched, slots
    held = np.ceil(experts / groups)
    most = np.minimum(most_of_groups(held, touched / experts, groups), touched)
    blom = special.ndtri((groups - 0.375) / (groups + 0.25))
    fair = np.maximum(alone * active / groups, NO_TOKENS)
    crowded = slots / groups * (1 + np.maximum(blom, 0.0) * np.sqrt((1 - 1 / groups) / fair))
    crowded = np.clip(crowded, slots / groups, asarray(tokens) * np.minimum(active, held))
    return np.where(groups > 1, most, touched), np.where(groups > 1, np.maximum(crowded, most), slots)


def most_of_groups(held: FloatArray, chance: Number, groups: FloatArray) -> FloatArray:
    """Return the mean of the largest of `groups` binomial numbers of `held` trials each."""
    from scipy import special

    rows = np.stack(np.broadcast_arrays(held, np.clip(chance, 0.0, 1.0), groups), axis=-1)
    shape = rows.shape[:-1]
    # A sweep has few different batches and layouts, and many designs.
    different, back = np.unique(rows.reshape(-1, 3), axis=0, return_inverse=True)
    trials, likely, several = different.T
    below = np.arange(float(trials.max()))[:, None]
    within = below < trials
    chances = special.bdtr(np.minimum(below, trials), trials.astype(np.int64), likely)
    # One after the other: the order in which NumPy sums depends on the number of columns.
    mean = np.cumsum(np.where(within, 1 - chances**several, 0.0), axis=0)[-1]
    return asarray(mean[back.ravel()].reshape(shape))


def held_weights(model: Model, shape: Shape) -> dict[WeightClass, FloatArray]:
    """Return the weight elements that the most-loaded chip of a stage holds of all layers, by class.

    They are those that a batch reads which touches every expert; the embedding is not among them.
    """
    everyone = replace(shape, batch=TOUCHES_ALL, expert_spread=1.0)
    operators = linear_operators(model, everyone, tokens_per_sequence=1.0, head_rows=1.0)
    elements = operators.weights * operators.times
    names: tuple[WeightClass, ...] = ("linear", "expert", "head")
    held = {}
    for name in names:
        mine = np.array([[float(one == name)] for one in operators.classes])
        held[name] = np.cumsum(elements * mine, axis=0)[-1]
    return held


NORM_OPS = 4
"""Per element: the residual is added, squares are summed up, and it is scaled by their mean and by a weight."""

ROTARY_OPS = 2
"""Per element of a query or key: two products are summed up."""

GATE_OPS, GATE_FUNCTIONS = 3, 2
"""Per column of a feed-forward block: x / (1 + exp(-x)), and its product with the other half."""

SCORE_OPS, SCORE_FUNCTIONS = 3, 1
"""Per score of softmax: largest so far, difference to it, exponential, sum."""

NO_TOKENS = 1e-9
"""What stands for no tokens at all where something is divided by them."""

TOUCHES_ALL = 1e9
"""Tokens that leave no expert out."""
