"""Weights of a model, counted from its dimensions by block.

Biases and norms are kept apart from the matrices: they are never compressed and cost no multiplications.
"""

from __future__ import annotations

from dataclasses import dataclass

from cost_models.library import Model

GATED_MATRICES = 3
PLAIN_MATRICES = 2


@dataclass(frozen=True)
class LayerWeights:
    """Matrix elements of one transformer layer.

    Attributes:
        query: query projection (MLA: down and up projection of the query).
        key_value: key and value projections (MLA: the shared latent and its up projection).
        output: attention output projection.
        ffn: all matrices of one dense feed-forward block, or of the shared experts of an MoE layer.
        router: scores over the experts.
        expert: all matrices of one routed expert.
    """

    query: int
    key_value: int
    output: int
    ffn: int
    router: int
    expert: int


@dataclass(frozen=True)
class ParameterCount:
    """Weights of a whole model.

    Attributes:
        body: matrices of all layers, the part that a weight format compresses.
        experts: routed experts among them.
        small: biases, norms, routers' biases and learned positions.
        embedding: input embedding.
        head: language-model head; 0 where it is tied to the embedding.
        active: weights that one token meets, the embedding counted once.
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


def dense_layers(model: Model) -> int:
    """Return how many layers have a dense feed-forward block instead of routed experts."""
    return model.layers if model.moe is None else model.moe.first_dense_layers


def kv_elements_per_token(model: Model) -> int:
    """Return the KV-cache elements of one token in one layer (MLA: the latent and the rotary key)."""
    if model.mla is not None:
        return model.mla.kv_lora_rank + model.mla.qk_rope_head_dim
    return 2 * model.kv_heads * model.head_dim


def layer_weights(model: Model) -> LayerWeights:
    """Count the matrix elements of one layer.

    MLA follows DeepSeek-V2 (arXiv 2405.04434, section 2.1): low-rank query, shared latent of
    ``kv_lora_rank + qk_rope_head_dim``, up projection to keys and values per head.
    """
    d = model.d_model
    if model.mla is None:
        query = d * model.heads * model.head_dim
        key_value = d * kv_elements_per_token(model)
        output = model.heads * model.head_dim * d
    else:
        mla = model.mla
        wide = model.heads * (mla.qk_nope_head_dim + mla.qk_rope_head_dim)
        query = mla.q_lora_rank * (d + wide) if mla.q_lora_rank else d * wide
        key_value = d * (mla.kv_lora_rank + mla.qk_rope_head_dim) + mla.kv_lora_rank * model.heads * (
            mla.qk_nope_head_dim + mla.v_head_dim
        )
        output = model.heads * mla.v_head_dim * d
    matrices = ffn_matrices(model)
    if model.moe is None:
        return LayerWeights(query, key_value, output, matrices * d * model.d_ff, 0, 0)
    expert = matrices * d * model.moe.expert_d_ff
    return LayerWeights(query, key_value, output, model.moe.shared_experts * expert, d * model.moe.experts, expert)


def _biases(model: Model) -> int:
    """Count biases and norm vectors of all layers."""
    d, layers = model.d_model, model.layers
    width = model.heads * model.head_dim
    moe, dense = model.moe, dense_layers(model)
    count = 0
    if model.qkv_bias or model.linear_bias:
        count += layers * (width + kv_elements_per_token(model))
    if model.linear_bias:
        count += layers * d + dense * ((ffn_matrices(model) - 1) * model.d_ff + d)
    if moe is not None and moe.expert_bias:
        count += (layers - dense) * moe.experts * ((ffn_matrices(model) - 1) * moe.expert_d_ff + d)
        count += layers * d
    if moe is not None and (moe.router_bias or moe.expert_bias):
        count += (layers - dense) * moe.experts
    norms = 1 if model.parallel_block else 2
    per_norm = 2 * d if model.linear_bias else d
    count += layers * per_norm * norms * (2 if model.post_norms else 1) + per_norm
    if model.qk_norm:
        count += layers * 2 * model.head_dim
    if model.mla is not None:
        count += layers * (model.mla.q_lora_rank + model.mla.kv_lora_rank)
    return count


def count_parameters(model: Model) -> ParameterCount:
    """Count the weights of a model from its dimensions.

    Raises:
        LibraryError: the model's dimensions are not public.
    """
    model.require_dimensions()
    weights = layer_weights(model)
    attention = weights.query + weights.key_value + weights.output
    dense = dense_layers(model)
    sparse = model.layers - dense
    dense_ffn = ffn_matrices(model) * model.d_model * model.d_ff
    body = model.layers * attention + dense * dense_ffn
    active = body
    experts = 0
    if model.moe is not None:
        shared = sparse * (weights.ffn + weights.router)
        experts = sparse * model.moe.experts * weights.expert
        body += shared + experts
        active += shared + sparse * model.moe.active_experts * weights.expert
    embedding = model.vocab * model.d_model
    head = 0 if model.tied_embeddings else embedding
    positions = (model.learned_positions or 0) * model.d_model
    small = _biases(model) + positions
    return ParameterCount(body, experts, small, embedding, head, active + small + embedding + head)


def expert_share(model: Model) -> float:
    """Return the share of all weights that routed experts hold."""
    count = count_parameters(model)
    return count.experts / count.total
