"""Weights of a model, counted from its dimensions by block.

Biases and norms are kept apart from the matrices: they are never compressed and cost no multiplications.
"""

from __future__ import annotations

from dataclasses import dataclass

from cost_models.library import Model
from cost_models.library.layers import DenseLayers, FurtherWeights, StateLayers

GATED_MATRICES = 3
PLAIN_MATRICES = 2


@dataclass(frozen=True)
class Attention:
    """Layers of softmax attention that are alike, every dimension told (see `AttentionLayers`)."""

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    query_rank: int | None = None
    reach: int | None = None
    chunked: bool = False
    own_kv: bool = True
    key_is_value: bool = False
    gated: bool = False
    indexed: bool = False


@dataclass(frozen=True)
class LayerWeights:
    """Matrix elements of one layer of experts.

    Attributes:
        shared: all matrices of the shared experts.
        router: scores over the experts.
        expert: all matrices of one routed expert.
        latent: projections to the vectors that routed experts work on, and back.
    """

    shared: int
    router: int
    expert: int
    latent: int = 0


@dataclass(frozen=True)
class MixerWeights:
    """Matrix elements of one layer of attention.

    Attributes:
        query: query projection and output gate (MLA: down and up projection of the query).
        key_value: key and value projections (MLA: the shared latent and its up projection).
        output: output projection.
        latent: of query and key_value, what every chip holds: projections to latents, which all heads share.
    """

    query: int
    key_value: int
    output: int
    latent: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.query + self.key_value + self.output


@dataclass(frozen=True)
class ParameterCount:
    """Weights of a whole model.

    Attributes:
        body: matrices of all layers, the part that a weight format compresses.
        experts: routed experts among them.
        small: biases, norms, routers' biases, convolutions and learned positions.
        embedding: input embedding, and further tables of rows.
        head: language-model head; 0 where it is tied to the embedding.
        active: weights that one token meets, the embedding counted once and tables of rows not at all.
    """

    body: int
    experts: int
    small: int
    embedding: int
    head: int
    active: int

    @property
    def total(self) -> int:
        """All weights."""
        return self.body + self.small + self.embedding + self.head


def ffn_matrices(model: Model) -> int:
    """Return the number of matrices of a feed-forward block: gate, up and down, or up and down."""
    return GATED_MATRICES if model.gated_ffn else PLAIN_MATRICES


def attentions(model: Model) -> tuple[Attention, ...]:
    """Return the layers of softmax attention by kind, those that see the whole context first."""
    if model.attention == "none":
        return ()
    if not model.attention_layers:
        local = model.window_layers
        alike = (model.heads, model.kv_heads, model.head_dim, model.head_dim)
        parts = ((model.layers - local, None), (local, model.sliding_window))
        indexed = model.indexer is not None
        return tuple(Attention(layers, *alike, reach=reach, indexed=indexed) for layers, reach in parts if layers)
    return tuple(
        Attention(
            one.layers,
            one.heads or model.heads,
            one.kv_heads or model.kv_heads,
            one.head_dim or model.head_dim,
            one.value_dim or one.head_dim or model.head_dim,
            one.query_rank,
            one.reach,
            one.chunked,
            one.own_kv,
            one.key_is_value,
            one.gated,
            one.indexed or (model.indexer is not None and model.mla is not None),
        )
        for one in sorted(model.attention_layers, key=lambda one: one.reach is not None)
    )


def expert_layers(model: Model) -> int:
    """Return how many layers have routed experts."""
    if model.moe is None:
        return 0
    return model.moe.layers or model.layers - model.moe.first_dense_layers


def dense_blocks(model: Model) -> tuple[DenseLayers, ...]:
    """Return the dense feed-forward blocks by width."""
    if model.dense_layers is not None:
        return model.dense_layers
    layers = model.layers - expert_layers(model)
    return (DenseLayers(layers=layers, d_ff=model.d_ff),) if layers else ()


def kv_elements_per_token(model: Model, layer: Attention) -> int:
    """Return the KV-cache elements that one layer keeps of a token (MLA: the latent and the rotary key)."""
    return kv_read_per_token(model, layer) if layer.own_kv else 0


def kv_read_per_token(model: Model, layer: Attention) -> int:
    """Return the elements of a token that one layer reads, those of another layer's cache included."""
    if model.mla is not None:
        return model.mla.kv_lora_rank + model.mla.qk_rope_head_dim
    return layer.kv_heads * (layer.head_dim + layer.value_dim)


def index_elements_per_token(model: Model) -> int:
    """Return the elements of a token by which one layer chooses what attention meets."""
    return model.indexer.head_dim if model.indexer is not None else 0


def index_layers(model: Model) -> int:
    """Return how many layers choose the tokens that they and those after them meet."""
    if model.indexer is None:
        return 0
    return model.indexer.layers or sum(layer.layers for layer in attentions(model) if layer.indexed)


def indexer_weights(model: Model) -> int:
    """Count the matrix elements by which one layer chooses tokens: queries from their latent, a key, head weights."""
    if model.indexer is None:
        return 0
    of, d = model.indexer, model.d_model
    entering = (model.mla.q_lora_rank if model.mla is not None else None) or d
    return entering * of.heads * of.head_dim + d * (of.head_dim + (of.heads if of.weighted else 0))


def attention_weights(model: Model, layer: Attention) -> MixerWeights:
    """Count the matrix elements of one attention layer.

    MLA follows DeepSeek-V2 (arXiv 2405.04434, section 2.1): low-rank query, shared latent of
    ``kv_lora_rank + qk_rope_head_dim``, up projection to keys and values per head.
    """
    d = model.d_model
    if model.mla is None:
        width, values = layer.heads * layer.head_dim, layer.heads * layer.value_dim
        keys = layer.kv_heads * (layer.head_dim + (0 if layer.key_is_value else layer.value_dim))
        gate = d * values if layer.gated else 0
        shared = d * (layer.query_rank or 0)
        query = shared + (layer.query_rank or d) * width + gate
        return MixerWeights(query, d * keys if layer.own_kv else 0, values * d, shared)
    mla = model.mla
    wide = layer.heads * (mla.qk_nope_head_dim + mla.qk_rope_head_dim)
    query = mla.q_lora_rank * (d + wide) if mla.q_lora_rank else d * wide
    key_value = d * (mla.kv_lora_rank + mla.qk_rope_head_dim) + mla.kv_lora_rank * layer.heads * (
        mla.qk_nope_head_dim + mla.v_head_dim
    )
    latent = d * (mla.kv_lora_rank + mla.qk_rope_head_dim) + d * (mla.q_lora_rank or 0)
    return MixerWeights(query, key_value, layer.heads * mla.v_head_dim * d, latent)


def state_weights(model: Model, layer: StateLayers) -> tuple[int, int]:
    """Count the matrix elements of one state layer: of its input projections, and of its output projection.

    Inputs are values and a gate as wide, keys and queries, and what each head's decay and update take; the first
    state-space model projects keys, queries and step widths from its channels instead.
    """
    d, inner, keys = model.d_model, layer.inner, layer.keys
    per_head = {"mamba2": 1, "gated_delta": 2, "kimi_delta": 1}.get(layer.kind, 0) * layer.heads
    if layer.kind == "mamba":
        return d * 2 * inner + inner * (layer.rank + 2 * layer.key_dim) + layer.rank * inner, inner * d
    if layer.kind == "convolution":
        return d * 3 * inner, inner * d
    if layer.kind == "kimi_delta":
        # Decays are as wide as the keys; they and the gate may be products of two thin matrices.
        wide = layer.rank * (2 * d + keys + inner) if layer.rank else d * (keys + inner)
        return d * (inner + 2 * keys + per_head) + wide, inner * d
    return d * (2 * inner + 2 * keys + per_head), inner * d


def _state_vectors(layer: StateLayers) -> int:
    """Count decays, biases, norms and the convolution of one state layer."""
    convolution = layer.conv_channels * (layer.conv_width + (1 if layer.conv_bias else 0))
    if layer.kind == "mamba":
        return convolution + layer.inner * (layer.key_dim + 2)
    own = {
        "mamba2": 3 * layer.heads + layer.inner,
        "gated_delta": 2 * layer.heads + layer.head_dim,
        "kimi_delta": layer.heads + layer.keys + layer.head_dim,
        "lightning": layer.inner,
    }
    return convolution + own.get(layer.kind, 0)


def layer_weights(model: Model) -> LayerWeights:
    """Count the matrix elements of one layer of experts; all zero where the model has none."""
    if model.moe is None:
        return LayerWeights(0, 0, 0)
    d, matrices = model.d_model, ffn_matrices(model)
    latent = model.moe.latent_d
    expert = matrices * (latent or d) * model.moe.expert_d_ff
    return LayerWeights(matrices * d * model.moe.shared_width, d * model.moe.routed, expert, 2 * d * (latent or 0))


def _biases(model: Model) -> int:
    """Count biases and norm vectors of all layers."""
    d, routed, matrices = model.d_model, expert_layers(model), ffn_matrices(model)
    moe, dense, mixers = model.moe, dense_blocks(model), attentions(model)
    count = sum(layer.layers * _state_vectors(layer) for layer in model.state_layers)
    for layer in mixers:
        if model.qkv_bias or model.linear_bias:
            count += layer.layers * (layer.heads * layer.head_dim + kv_elements_per_token(model, layer))
        if model.linear_bias or (moe is not None and moe.expert_bias):
            count += layer.layers * d
        if model.qk_norm:
            count += layer.layers * 2 * layer.head_dim
        if model.mla is not None:
            count += layer.layers * ((model.mla.q_lora_rank or 0) + model.mla.kv_lora_rank)
    if model.linear_bias:
        count += sum(block.layers * ((matrices - 1) * block.d_ff + d) for block in dense)
    if moe is not None and moe.expert_bias:
        count += routed * moe.experts * ((matrices - 1) * moe.expert_d_ff + d)
    if moe is not None and (moe.router_bias or moe.expert_bias):
        count += routed * moe.routed
    per_norm = 2 * d if model.linear_bias else d
    mixing = sum(layer.layers for layer in mixers) + sum(layer.layers for layer in model.state_layers)
    norms = mixing if model.parallel_block else mixing + routed + sum(block.layers for block in dense)
    return count + per_norm * norms * (2 if model.post_norms else 1) + per_norm


def count_parameters(model: Model) -> ParameterCount:
    """Count the weights of a model from its dimensions.

    Raises:
        LibraryError: the model's dimensions are not public.
    """
    model.require_dimensions()
    weights, matrices = layer_weights(model), ffn_matrices(model)
    body = sum(layer.layers * attention_weights(model, layer).total for layer in attentions(model))
    body += index_layers(model) * indexer_weights(model)
    body += sum(layer.layers * sum(state_weights(model, layer)) for layer in model.state_layers)
    body += sum(block.layers * matrices * model.d_model * block.d_ff for block in dense_blocks(model))
    further = model.further or FurtherWeights()
    body += model.layers * further.layer + further.once
    active = body
    experts = 0
    if model.moe is not None:
        routed = expert_layers(model)
        shared = routed * (weights.shared + weights.router + weights.latent)
        experts = routed * model.moe.experts * weights.expert
        body += shared + experts
        active += shared + routed * model.moe.active_experts * weights.expert
    embedding = model.vocab * model.d_model
    head = 0 if model.tied_embeddings else embedding
    positions = (model.learned_positions or 0) * model.d_model
    small = _biases(model) + positions + further.small
    active += small + embedding + head
    return ParameterCount(body, experts, small, embedding + further.table, head, active)


def expert_fraction(model: Model) -> float:
    """Return the share of all weights that routed experts hold."""
    count = count_parameters(model)
    return count.experts / count.total


def active_expert_fraction(model: Model) -> float:
    """Return the share of routed experts in the matrices of all layers that one token meets; 0 without any."""
    if model.moe is None:
        return 0.0
    count = count_parameters(model)
    met = count.experts * model.moe.active_experts / model.moe.experts
    return met / (count.body - count.experts + met)
