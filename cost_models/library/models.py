"""Records of language models and of the formats that their weights are stored in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from cost_models.errors import LibraryError
from cost_models.library.layers import AttentionLayers, DenseLayers, FurtherWeights, Indexer, StateLayers
from cost_models.library.records import (
    AboveZeroToOne,
    Amount,
    Bits,
    BitsOrZero,
    Count,
    Layers,
    LibraryRecord,
    Share,
    Tokens,
    WholeBits,
    Width,
)

UNKNOWN: Any = None
"""Default of a model's dimensions; `Model` refuses to give it out."""

DIMENSIONS = ("layers", "d_model", "heads", "kv_heads", "head_dim", "d_ff", "vocab")

NEEDED_FIELDS: Mapping[str, tuple[str, ...]] = {
    "double_group": ("group", "scale_bits", "second_group", "second_scale_bits"),
    "binary_coded": ("group", "scale_bits"),
    "csr": ("index_bits", "row_pointer_bits"),
    "tiled": ("index_bits",),
    "nm": ("index_bits", "n", "m"),
    "xor": ("n_in",),
}
"""Fields that a kind of weight format cannot do without."""

FREE_FIELDS: Mapping[str, str] = {
    "weight_bits": "weight_bits",
    "weight_group": "group",
    "sparsity": "sparsity",
    "mask_correlation": "correlation",
    "nm_n": "n",
    "nm_m": "m",
    "n_in": "n_in",
    "n_out": "n_out",
    "shift_registers": "shift_registers",
}
"""Parameters of a design that may replace a field of its weight format, and the field."""


class Moe(LibraryRecord):
    """Mixture of experts: routed experts, how many a token takes, and what else a layer holds.

    Attributes:
        shared_d_ff: width of all shared experts together, where it is not that of `shared_experts` routed ones.
        first_dense_layers: layers with a dense block in place of experts.
        layers: layers with experts, where they are not all but `first_dense_layers`.
        latent_d: width of the vectors that routed experts work on, projected from the model's and back in each layer
            (Nemotron 3); the model's where None.
        zero_experts: further outputs of the router that stand for experts without weights (LongCat-Flash, arXiv
            2509.01322); `active_experts` are then those with weights that a token takes in the mean.
    """

    experts: Width
    active_experts: Width
    expert_d_ff: Width
    shared_experts: Count
    first_dense_layers: Count
    shared_d_ff: Width | None = None
    layers: Layers | None = None
    latent_d: Width | None = None
    zero_experts: Count = 0
    router_bias: bool = False
    expert_bias: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.active_experts > self.experts:
            raise ValueError(f"active_experts must be at most {self.experts}, got {self.active_experts}")
        return self

    @property
    def routed(self) -> int:
        """Outputs of the router."""
        return self.experts + self.zero_experts

    @property
    def shared_width(self) -> int:
        """Width of all shared experts together."""
        return self.shared_d_ff or self.shared_experts * self.expert_d_ff


class Mla(LibraryRecord):
    """Multi-head latent attention: ranks and head sizes (DeepSeek-V2, arXiv 2405.04434).

    Queries that are not compressed have no rank.
    """

    q_lora_rank: Width | None = None
    kv_lora_rank: Width
    qk_nope_head_dim: Width
    qk_rope_head_dim: Width
    v_head_dim: Width


class Model(LibraryRecord):
    """The architecture of a language model.

    A model whose dimensions are not public has `complete` False, and reading one of them raises LibraryError.

    Attributes:
        encoder: whether it reads its whole input at once and generates nothing, as a vision transformer does;
            `vocab` is then the number of its classes.
        d_ff: width of a dense feed-forward block.
        sliding_window: tokens that a windowed layer attends to, None without windows.
        window_layers: layers that are windowed.
        attention_layers: layers of softmax attention, where they are not all alike but for one window.
        state_layers: layers that keep a state of fixed size; all others are the `attention_layers`.
        dense_layers: dense feed-forward blocks, where they are not those of all layers without experts.
        indexer: selection of the tokens that attention meets, None where it meets all.
        further: weights beside all these, None without any.
        weight_format: weight format in which the maker publishes all but embedding and head; 16 bits where None.
        expert_format: weight format in which the maker publishes routed experts.
        published_as: the same in words.
        native_formats: whether the model was trained or released by its maker in them: they then cost no quality.
        published_params: weights according to the maker.
        training_tokens: trillions.
        quantised_like: measured model whose damage by quantised weights departs from the law of all models, a key of
            `quality.quantisation.sensitivity`; None where nothing is known to depart.
        verified: whether every dimension was read in a source.
    """

    key: str
    name: str
    family: str
    complete: bool = True
    encoder: bool = False
    layers: Layers = UNKNOWN
    d_model: Width = UNKNOWN
    heads: Width = UNKNOWN
    kv_heads: Width = UNKNOWN
    head_dim: Width = UNKNOWN
    d_ff: Width = UNKNOWN
    vocab: Width = UNKNOWN
    gated_ffn: bool
    tied_embeddings: bool
    attention: Literal["MHA", "GQA", "MQA", "MLA", "none"]
    moe: Moe | None = None
    mla: Mla | None = None
    linear_bias: bool
    qkv_bias: bool
    parallel_block: bool
    post_norms: bool
    qk_norm: bool
    learned_positions: Tokens | None = None
    sliding_window: Tokens | None = None
    window_layers: Count = 0
    attention_layers: tuple[AttentionLayers, ...] = ()
    state_layers: tuple[StateLayers, ...] = ()
    dense_layers: tuple[DenseLayers, ...] | None = None
    indexer: Indexer | None = None
    further: FurtherWeights | None = None
    max_context: Tokens | None = None
    weight_format: str | None = None
    expert_format: str | None = None
    published_as: str = ""
    native_formats: bool = True
    published_params: Amount | None = None
    training_tokens: Amount | None = None
    quantised_like: str | None = None
    verified: bool
    note: str = ""
    sources: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        without = self.attention == "none"
        spared = {"heads", "kv_heads", "head_dim"} if without else set()
        if self.dense_layers == ():
            spared.add("d_ff")
        missing = [name for name in DIMENSIONS if name not in spared and self.__dict__[name] is UNKNOWN]
        if self.complete and missing:
            raise ValueError(f"needs {', '.join(missing)}, or complete: false where they are not public")
        if (self.attention == "MLA") != (self.mla is not None):
            raise ValueError("mla must be given for attention MLA and for no other")
        if (self.sliding_window is None) != (self.window_layers == 0):
            raise ValueError("sliding_window and window_layers must be given together")
        if self.complete and self.window_layers > self.layers:
            raise ValueError(f"window_layers must be at most {self.layers}, got {self.window_layers}")
        if without == bool(self.attention_layers) and (without or self.state_layers):
            raise ValueError("state_layers need attention_layers beside them, or attention: none")
        if self.window_layers and self.attention_layers:
            raise ValueError("sliding_window does not go with attention_layers, which have a reach of their own")
        indexed = sum(layer.layers for layer in self.attention_layers if layer.indexed)
        if bool(indexed) != (self.indexer is not None and self.mla is None):
            raise ValueError("indexer goes with mla, or with attention_layers that are indexed")
        for field in ("attention_layers", "state_layers", "dense_layers") if self.complete else ():
            if (reported := sum(one.layers for one in getattr(self, field) or ())) > self.layers:
                raise ValueError(f"{field} must be at most {self.layers} layers, got {reported}")
        for name in missing:
            del self.__dict__[name]
        return self

    def require_dimensions(self) -> None:
        """Raise LibraryError, with the reason, unless the model's dimensions are known."""
        if not self.complete:
            raise LibraryError(f"model {self.key!r} cannot be computed: {self.note}")

    if not TYPE_CHECKING:  # a type checker would otherwise accept any attribute

        def __getattr__(self, name: str) -> Any:
            """Refuse dimensions that are not public; called only for attributes that do not exist."""
            if name in DIMENSIONS:
                self.require_dimensions()
            return super().__getattr__(name)


class WeightFormat(LibraryRecord):
    """How weights are stored; the head of ``weight_formats.yaml`` explains every field.

    Attributes:
        weight_bits: bits of one stored nonzero before metadata.
        operand_bits: bits of a weight as the multiplier sees it.
        group: weights that share a scale; 0 for one scale per output channel.
        sparsity: share of weights that are zero and not stored.
        correlation: intra-block correlation of the nonzeros.
        free: parameters of a design that may replace a field.
        n_out: bits that a step of the XOR code yields; 0 for the most that its inputs pay for.
        head_bits: bits of embedding and language-model head.
        method: class of quantisation method that quality is taken from.
        pruning: class of pruning method, None for formats without zeros.
        coded_bits: mean bits of a code after entropy coding, by the distribution of codes, None without it.
        hypothetical: an exact width that no published format has.
        power_of_two_scales: whether scales are exponents without a mantissa.
    """

    key: str
    name: str
    kind: Literal[
        "dense", "group", "double_group", "binary_coded", "codebook",
        "bitmap", "csr", "run_length", "tiled", "nm", "xor",
    ]  # fmt: skip
    weight_bits: Bits
    operand: Literal["int", "float"]
    operand_bits: WholeBits
    group: Count = 0
    scale_bits: BitsOrZero = 0
    zero_bits: BitsOrZero = 0
    second_group: Count = 0
    second_scale_bits: BitsOrZero = 0
    sparsity: Share = 0
    correlation: Share = 0
    index_bits: BitsOrZero = 0
    row_pointer_bits: BitsOrZero = 0
    columns: Width = 1
    n: Count = 0
    m: Count = 0
    n_in: Count = 0
    n_out: Count = 0
    shift_registers: Count = 0
    encoding_efficiency: AboveZeroToOne = 1
    correction_block: Width = 1
    coded_bits: Bits | None = None
    head_bits: Bits = 16
    method: Literal["none", "rtn", "gptq", "awq", "omniquant", "qat", "vector", "kquant", "kquant_imatrix"]
    pruning: Literal["sparsegpt", "wanda", "alps"] | None = None
    execution: Literal["dense", "dequantize", "direct", "skip"]
    free: tuple[str, ...] = ()
    hypothetical: bool = False
    power_of_two_scales: bool = False
    sources: tuple[str, ...] = Field(min_length=1)
    note: str = ""

    @property
    def has_float_codes(self) -> bool:
        """Whether stored weights are floating-point numbers themselves, not codes that are dequantized to some."""
        return self.operand == "float" and self.operand_bits == self.weight_bits

    @property
    def has_scaled_integers(self) -> bool:
        """Whether stored weights are integers whose groups have a scale; symmetric ones have no zero bits."""
        return self.kind not in ("codebook", "double_group", "binary_coded") and self.operand == "int"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.sparsity > 0) != (self.kind in ("bitmap", "csr", "run_length", "tiled", "nm", "xor")):
            raise ValueError(f"sparsity {self.sparsity:g} does not go with kind {self.kind}")
        if (self.sparsity > 0) != (self.pruning is not None):
            raise ValueError("pruning must be given where sparsity is above 0 and nowhere else")
        if self.kind == "nm" and (self.m <= self.n or abs(1 - self.n / self.m - self.sparsity) > 1e-9):
            raise ValueError(f"n of m must leave the sparsity {self.sparsity:g}, got {self.n} of {self.m}")
        unknown = [name for name in self.free if name not in FREE_FIELDS]
        if unknown:
            raise ValueError(f"free {unknown[0]!r} must be one of {', '.join(FREE_FIELDS)}")
        missing = [name for name in NEEDED_FIELDS.get(self.kind, ()) if not getattr(self, name)]
        if missing:
            raise ValueError(f"kind {self.kind} needs {', '.join(missing)}")
        return self
