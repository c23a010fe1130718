"""Records of the library: one class per kind of entry, frozen and validated as they are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from cost_models.errors import LibraryError

UNKNOWN: Any = None
"""Default of a model's dimensions; `Model` refuses to give it out."""

DIMENSIONS = ("layers", "d_model", "heads", "kv_heads", "head_dim", "d_ff", "vocab")

Share = Annotated[float, Field(ge=0, lt=1)]
Peaks = Mapping[Literal["fp32", "fp16", "bf16", "fp8", "int8", "int4", "fp4"], PositiveFloat]


class Record(BaseModel):
    """What every entry has in common: it cannot be changed, and takes no field that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Source(Record):
    """Where figures come from."""

    key: str
    title: str
    kind: str
    read: str
    authors: str = ""
    venue: str = ""
    year: int | None = None
    url: str = ""
    commit: str = ""


class Figure(Record):
    """A ranged number.

    Attributes:
        typ: what models use unless told otherwise.
        low: lower end for sensitivity, None where the source gives a single value.
        high: upper end.
        unit: last words of the key, as in ``usd_per_mm2``; "" for a pure number.
        sources: keys of the library's sources.
        year: year of the newest source.
        confidence: high (maker or primary source), medium (agreeing or quoted), low (estimate, analogy, recalled).
        note: how the figure came about.
    """

    typ: float
    low: float | None = None
    high: float | None = None
    unit: str = ""
    sources: tuple[str, ...] = Field(min_length=1)
    year: int | None = None
    confidence: Literal["high", "medium", "low"]
    note: str = ""

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        if self.low is not None and self.low > self.typ:
            raise ValueError(f"low must be at most typ, got low {self.low:g} and typ {self.typ:g}")
        if self.high is not None and self.high < self.typ:
            raise ValueError(f"high must be at least typ, got high {self.high:g} and typ {self.typ:g}")
        return self


class Conflict(Record):
    """A field on which sources disagree, and the choice made."""

    field: str
    values: tuple[float | str | None, ...]
    sources: tuple[str, ...]
    chosen: float | str
    why: str


class Chip(Record):
    """An accelerator as published; None where no trustworthy figure exists.

    Attributes:
        node: key of the node, the nearest one where `node_note` says so.
        family: architecture family, by which software stacks are chosen.
        peak_tops: dense tera-operations per second by number format, 1 MAC = 2 operations.
        capacity_gib: memory that a program can use.
        capacity_printed_gb: the number on the box.
        bandwidth_gbps: peak memory bandwidth.
        link_gbps: chip-to-chip bandwidth one way, sum over the links of one chip.
        unified_memory: whether the host's programs share the memory.
        conflicts: fields on which sources disagree.
    """

    key: str
    name: str
    vendor: str
    year: int
    family: str
    node: str | None
    node_note: str = ""
    process: str
    process_nm: float | None = None
    foundry: str | None = None
    die_mm2: PositiveFloat | None
    die_note: str = ""
    peak_tops: Peaks
    memory_technology: str | None
    memory_note: str = ""
    capacity_printed_gb: PositiveFloat | None = None
    capacity_gib: PositiveFloat | None
    capacity_note: str = ""
    bandwidth_gbps: PositiveFloat | None
    unified_memory: bool
    sram_mib: PositiveFloat | None
    sram_note: str = ""
    tdp_w: PositiveFloat | None
    tdp_note: str = ""
    link_name: str
    link_gbps: Annotated[float, Field(ge=0)] | None
    link_topology: str
    link_note: str = ""
    price_low_usd: PositiveFloat | None
    price_high_usd: PositiveFloat | None
    price_basis: str
    rental_usd_per_hour: PositiveFloat | None = None
    default_stack: str | None = None
    verified: bool = True
    note: str = ""
    claims: tuple[str, ...] = ()
    sources: tuple[str, ...] = Field(min_length=1)
    conflicts: tuple[Conflict, ...] = ()


class Moe(Record):
    """Mixture of experts: routed experts, how many a token takes, and what else a layer holds."""

    experts: PositiveInt
    active_experts: PositiveInt
    expert_d_ff: PositiveInt
    shared_experts: Annotated[int, Field(ge=0)]
    first_dense_layers: Annotated[int, Field(ge=0)]
    router_bias: bool = False
    expert_bias: bool = False


class Mla(Record):
    """Multi-head latent attention: ranks and head sizes (DeepSeek-V2, arXiv 2405.04434)."""

    q_lora_rank: PositiveInt
    kv_lora_rank: PositiveInt
    qk_nope_head_dim: PositiveInt
    qk_rope_head_dim: PositiveInt
    v_head_dim: PositiveInt


class Model(Record):
    """The architecture of a language model.

    A model whose dimensions are not public has `complete` False, and reading one of them raises LibraryError.

    Attributes:
        d_ff: width of a dense feed-forward block.
        sliding_window: tokens that a windowed layer attends to, None without windows.
        window_layers: layers that are windowed.
        published_params: weights according to the maker.
        computed_params: weights counted from the dimensions when the entry was made; kept for comparison.
        training_tokens: trillions.
        verified: whether every dimension was read in a source.
    """

    key: str
    name: str
    family: str
    complete: bool = True
    layers: PositiveInt = UNKNOWN
    d_model: PositiveInt = UNKNOWN
    heads: PositiveInt = UNKNOWN
    kv_heads: PositiveInt = UNKNOWN
    head_dim: PositiveInt = UNKNOWN
    d_ff: PositiveInt = UNKNOWN
    vocab: PositiveInt = UNKNOWN
    gated_ffn: bool
    tied_embeddings: bool
    attention: Literal["MHA", "GQA", "MQA", "MLA"]
    moe: Moe | None = None
    mla: Mla | None = None
    linear_bias: bool
    qkv_bias: bool
    parallel_block: bool
    post_norms: bool
    qk_norm: bool
    learned_positions: PositiveInt | None = None
    sliding_window: PositiveInt | None = None
    window_layers: Annotated[int, Field(ge=0)] = 0
    max_context: PositiveInt | None = None
    published_params: PositiveFloat | None = None
    computed_params: PositiveFloat | None = None
    computed_active_params: PositiveFloat | None = None
    computed_vs_published_pct: float | None = None
    kv_bytes_per_token_fp16: PositiveInt | None = None
    training_tokens: PositiveFloat | None = None
    verified: bool
    note: str = ""
    sources: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        missing = [name for name in DIMENSIONS if self.__dict__[name] is UNKNOWN]
        if self.complete and missing:
            raise ValueError(f"needs {', '.join(missing)}, or complete: false where they are not public")
        if (self.attention == "MLA") != (self.mla is not None):
            raise ValueError("mla must be given for attention MLA and for no other")
        if (self.sliding_window is None) != (self.window_layers == 0):
            raise ValueError("sliding_window and window_layers must be given together")
        if self.complete and self.window_layers > self.layers:
            raise ValueError(f"window_layers must be at most {self.layers}, got {self.window_layers}")
        for name in missing:
            del self.__dict__[name]
        return self

    def require_dimensions(self) -> None:
        """Raise LibraryError, with the reason, unless the model's dimensions are known."""
        if not self.complete:
            raise LibraryError(f"model {self.key!r} cannot be computed: {self.note}")

    def __getattr__(self, name: str) -> Any:
        """Refuse dimensions that are not public; called only for attributes that do not exist."""
        if name in DIMENSIONS:
            self.require_dimensions()
        return super().__getattr__(name)  # type: ignore[misc]


class Memory(Record):
    """An off-chip memory technology; its figures are ``memory.KEY.*``.

    Attributes:
        packaging_class: whether packages sit on the board or on an interposer beside the die.
        package_bits: data widths of a package or stack as sold.
        package_gib: capacities of a package or stack as sold.
    """

    key: str
    packaging_class: Literal["board", "interposer"]
    package_bits: tuple[PositiveInt, ...] = Field(min_length=1)
    package_gib: tuple[PositiveFloat, ...] = Field(min_length=1)


class MemoryGrade(Record):
    """A speed grade of a memory technology; the rate is raw, before ``effective_share``."""

    key: str
    technology: str
    gbps_per_pin: PositiveFloat


class Node(Record):
    """A logic process node; its figures are ``nodes.KEY.*``, its fab carbon ``carbon.TABLE.carbon_node``."""

    key: str
    foundry: str
    carbon_node: str


class MacFormat(Record):
    """Operands that one MAC unit multiplies in one cycle; its figures are ``mac_n7.formats.KEY.*``."""

    key: str
    weight_bits: PositiveInt
    activation_bits: PositiveInt
    float_weights: bool


class WeightFormat(Record):
    """How weights are stored; the head of ``weight_formats.yaml`` explains every field.

    Attributes:
        weight_bits: bits of one stored survivor before metadata.
        operand_bits: bits of a weight as the multiplier sees it.
        group: weights that share a scale; 0 for one scale per output channel.
        sparsity: share of weights that are zero and not stored.
        head_bits: bits of embedding and language-model head.
        method: class of quantisation method that quality is taken from.
        pruning: class of pruning method, None for formats without zeros.
        hypothetical: an exact width that no published format has.
    """

    key: str
    name: str
    kind: Literal[
        "dense", "group", "double_group", "binary_coded", "codebook",
        "bitmap", "csr", "run_length", "tiled", "nm", "xor",
    ]  # fmt: skip
    weight_bits: PositiveFloat
    operand: Literal["int", "float"]
    operand_bits: PositiveInt
    group: Annotated[int, Field(ge=0)] = 0
    scale_bits: Annotated[float, Field(ge=0)] = 0
    zero_bits: Annotated[float, Field(ge=0)] = 0
    second_group: Annotated[int, Field(ge=0)] = 0
    second_scale_bits: Annotated[float, Field(ge=0)] = 0
    sparsity: Share = 0
    index_bits: Annotated[float, Field(ge=0)] = 0
    row_pointer_bits: Annotated[float, Field(ge=0)] = 0
    columns: PositiveInt = 1
    n: Annotated[int, Field(ge=0)] = 0
    m: Annotated[int, Field(ge=0)] = 0
    n_in: Annotated[int, Field(ge=0)] = 0
    shift_registers: Annotated[int, Field(ge=0)] = 0
    encoding_efficiency: Annotated[float, Field(gt=0, le=1)] = 1
    correction_block: PositiveInt = 1
    head_bits: PositiveFloat = 16
    method: Literal["none", "rtn", "gptq", "awq", "omniquant", "qat", "vector", "kquant", "kquant_imatrix"]
    pruning: Literal["sparsegpt", "wanda", "alps"] | None = None
    execution: Literal["dense", "dequantise", "direct", "skip"]
    hypothetical: bool = False
    sources: tuple[str, ...] = Field(min_length=1)
    note: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.sparsity > 0) != (self.kind in ("bitmap", "csr", "run_length", "tiled", "nm", "xor")):
            raise ValueError(f"sparsity {self.sparsity:g} does not go with kind {self.kind}")
        if (self.sparsity > 0) != (self.pruning is not None):
            raise ValueError("pruning must be given where sparsity is above 0 and nowhere else")
        if self.kind == "nm" and (self.m <= self.n or abs(1 - self.n / self.m - self.sparsity) > 1e-9):
            raise ValueError(f"n of m must leave the sparsity {self.sparsity:g}, got {self.n} of {self.m}")
        needs = {
            "xor": ("n_in", "shift_registers"),
            "double_group": ("group", "second_group"),
            "binary_coded": ("group",),
            "csr": ("index_bits", "row_pointer_bits"),
            "tiled": ("index_bits",),
        }.get(self.kind, ())
        missing = [name for name in needs if not getattr(self, name) and name != "shift_registers"]
        if missing:
            raise ValueError(f"kind {self.kind} needs {', '.join(missing)}")
        return self


class Stack(Record):
    """A software stack; the head of ``stacks.yaml`` explains its parameters.

    Attributes:
        families: chip families for which it is the generic stack.
        sources: keys of the library's sources.
        parameters: figures, also found as ``stacks.KEY.NAME``.
    """

    key: str
    name: str
    note: str = ""
    sources: tuple[str, ...] = Field(min_length=1)
    families: tuple[str, ...] = ()
    parameters: Mapping[str, Figure]
