"""Records of the layers of a language model whose layers are not all alike."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from cost_models.library.records import Count, Elements, Layers, LibraryRecord, Tokens, WholeBits, Width


class AttentionLayers(LibraryRecord):
    """Layers of softmax attention that are alike; dimensions are the model's where None.

    Attributes:
        layers: how many there are.
        heads: query heads.
        kv_heads: heads of keys and values.
        head_dim: width of a head.
        value_dim: width of a head of values, `head_dim` where None.
        query_rank: width of the vector that all heads project their queries from (Step-3, arXiv 2507.19427), the
            model's own where None.
        reach: tokens that a layer attends to, None for the whole context.
        chunked: whether `reach` is a chunk whose borders are fixed (Llama 4) in place of a window that slides.
        own_kv: whether a layer stores keys and values; False where it reads those of a layer before it.
        key_is_value: whether the key projection yields the values too.
        gated: whether an output gate as wide as the queries is projected beside them.
        indexed: whether the model's indexer chooses the tokens that a layer meets; all of latent attention where the
            model has one.
    """

    layers: Layers
    heads: Width | None = None
    kv_heads: Width | None = None
    head_dim: Width | None = None
    value_dim: Width | None = None
    query_rank: Width | None = None
    reach: Tokens | None = None
    chunked: bool = False
    own_kv: bool = True
    key_is_value: bool = False
    gated: bool = False
    indexed: bool = False

    @model_validator(mode="after")
    def _has_a_chunk(self) -> Self:
        if self.chunked and self.reach is None:
            raise ValueError("chunked needs reach, the tokens of a chunk")
        return self


class StateLayers(LibraryRecord):
    """Layers that keep a state of fixed size in place of keys and values, all alike.

    A layer has `heads` matrices of ``head_dim x key_dim``, which tokens decay, add to and read; `key_heads` keys and
    queries (input and output vectors of a state-space model) of `key_dim` are shared by them. A short convolution over
    the projected inputs keeps its last ``conv_width - 1`` inputs.

    Attributes:
        kind: "mamba" (arXiv 2312.00752), "mamba2" (arXiv 2405.21060), "gated_delta" (arXiv 2412.06464), "kimi_delta"
            (the same with a decay for each channel of the keys, arXiv 2510.26692), "lightning" (arXiv 2401.04658,
            2501.08313) or "convolution" (a gated short convolution without a matrix).
        layers: how many there are.
        heads: value heads; channels of "mamba", each with a row of the state of its own.
        head_dim: width of a value head.
        key_heads: key heads, or groups of a state-space model.
        key_dim: width of a key head, or size of the state space.
        conv_width: taps of the convolution; 0 without one.
        conv_bias: whether the convolution has a bias.
        rank: rank of the step width of "mamba", and of decay and gate of "kimi_delta" (0: of full rank).
        chunk_tokens: tokens of a prompt that are worked through together as a matrix; one by one where None.
        state_bits: bits of an element of the matrices.
        conv_bits: bits of an input that the convolution keeps.
    """

    kind: Literal["mamba", "mamba2", "gated_delta", "kimi_delta", "lightning", "convolution"]
    layers: Layers
    heads: Width
    head_dim: Width
    key_heads: Count = 1
    key_dim: Count = 0
    conv_width: Count = 0
    conv_bias: bool = False
    rank: Count = 0
    chunk_tokens: Tokens | None = None
    state_bits: WholeBits = 16
    conv_bits: WholeBits = 16

    @property
    def inner(self) -> int:
        """Width of all value heads."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of all key heads."""
        return self.key_heads * self.key_dim

    @property
    def conv_channels(self) -> int:
        """Channels that the convolution runs over: values, and keys and queries but in the first state-space model."""
        if not self.conv_width:
            return 0
        return self.inner if self.kind in ("mamba", "convolution") else self.inner + 2 * self.keys

    @property
    def matrix_elements(self) -> int:
        """Elements of the state of one layer and sequence, without what the convolution keeps."""
        return self.heads * self.head_dim * self.key_dim

    @property
    def state_bytes(self) -> float:
        """Bytes that one layer keeps of one sequence, however long it is."""
        kept = self.conv_channels * max(self.conv_width - 1, 0)
        return (self.matrix_elements * self.state_bits + kept * self.conv_bits) / 8


class DenseLayers(LibraryRecord):
    """Dense feed-forward blocks that are alike: how many, and their width."""

    layers: Layers
    d_ff: Width


class FurtherWeights(LibraryRecord):
    """Weights beside attention, states and feed-forward blocks, by their number alone (Gemma 3n's and 4's, say).

    Attributes:
        layer: elements of the matrices that each layer has.
        once: elements of those that a token meets once.
        table: elements of a table of which a token reads one row, as of an embedding.
        small: elements of norms and scales.
    """

    layer: Elements = 0
    once: Elements = 0
    table: Elements = 0
    small: Elements = 0


class Indexer(LibraryRecord):
    """Selection of the tokens that sparse attention meets (DeepSeek-V3.2, arXiv 2512.02556).

    Without latent attention (MiniMax-M3), it scores from the layer's own input, and the `attention_layers` that are
    `indexed` meet what it chooses, in whole blocks.

    Attributes:
        heads: heads that score every token of the context.
        head_dim: width of the one key per token that they share.
        top_k: tokens that are chosen.
        layers: layers that choose for themselves, the others meeting what the last of them chose; all where None.
        weighted: whether each token weighs the heads by a projection of its own.
    """

    heads: Width
    head_dim: Width
    top_k: Tokens
    layers: Layers | None = None
    weighted: bool = True
