"""Which layers of a Hugging Face ``config.json`` mix tokens how, and which have experts."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from cost_models.errors import LibraryError, UnknownEntryError
from cost_models.library.config_fields import Config
from cost_models.library.files import read_yaml
from cost_models.library.records import LibraryRecord, Width

Mixing = Literal["full", "window", "chunk", "indexed", "state", "both", "none"]
"""How a layer mixes tokens; "indexed" meets what an indexer of its own chooses, "both" has attention beside a state."""

Feeding = Literal["dense", "experts", "beside", "none"]
"""What feed-forward block a layer has; "beside" has experts beside a dense one."""

WORDS: Mapping[str, Mixing] = {
    "full_attention": "full", "attention": "full", "global": "full", "sliding_attention": "window", "local": "window",
    "chunked_attention": "chunk", "linear_attention": "state", "mamba": "state", "mamba2": "state", "conv": "state",
    "hybrid": "both", "mlp": "none", "moe": "none", "indexed_attention": "full", "minimax_m3_sparse": "indexed",
    "no_attention": "none",
}  # fmt: skip
"""Words of ``layer_types``."""

SIGNS = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
"""Signs of a pattern of layers (``hybrid_override_pattern``)."""


class ConfigType(LibraryRecord):
    """What a model's type says beyond its file; the head of ``config_types.yaml`` explains every field."""

    like: str | None = None
    also: tuple[str, ...] = ()
    family: str = ""
    text: str | None = None
    defaults: Mapping[str, Any] = Field(default_factory=dict)
    nested: Mapping[str, Any] = Field(default_factory=dict)
    heads: Literal["all", "told"] = "all"
    head_dim: Literal["even", "told"] = "even"
    attention: Literal["softmax", "none"] = "softmax"
    gated: bool = True
    parallel: bool = False
    post_norms: bool = False
    qk_norm: bool | str = False
    bias: bool | str = "mlp_bias"
    qkv_bias: bool | str = "attention_bias"
    positions: bool = False
    multi_query: bool = False
    latent: bool = False
    window: Literal["none", "all", "alternate", "every", "others", "upper", "optional", "chunks"] = "none"
    last_is_global: bool = False
    experts: Literal["none", "all", "first_dense", "step", "interleaved", "period", "range", "beside", "pattern"] = (
        "none"
    )
    width: str = "intermediate_size"
    dense_width: str = "intermediate_size"
    shared: str = "none"
    router_bias: bool = False
    expert_bias: bool = False
    state: Literal["mamba", "mamba2", "gated_delta", "kimi_delta", "lightning", "convolution"] | None = None
    which: Literal["none", "all", "interval", "period", "indices", "list", "pattern", "both"] = "none"
    gated_attention: bool = False
    window_kv_heads: Width = 1
    doubled: bool = False
    thin: bool = True
    reads: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    chunk: Width | None = None
    native: tuple[str, ...] = ("fp8", "mxfp4", "bitnet")
    refuse: str = ""


@functools.cache
def config_types() -> Mapping[str, ConfigType]:
    """Return the types that are known, each with what it takes from the one that it is like."""
    reported = read_yaml(Path(__file__).with_name("config_types.yaml"))["types"]
    result: dict[str, ConfigType] = {}
    for name, entry in reported.items():
        fields = dict(entry)
        if base := entry.get("like"):
            below = result[base].model_dump(exclude={"like"})
            defaults = {**below["defaults"], **fields.get("defaults", {})}
            fields = {**below, "nested": {}, "also": (), **fields, "defaults": defaults}
        result[name] = ConfigType.model_validate(fields)
        result |= dict.fromkeys(result[name].also, result[name])
    return result


def type_of(kind: str, source: str) -> ConfigType:
    """Return the type of a name.

    Raises:
        LibraryError: the type is not known, or models of it cannot be described; with the reason.
    """
    types = config_types()
    if kind not in types:
        reported = UnknownEntryError("model_type", kind, types)
        perhaps = f"; perhaps {' or '.join(reported.suggestions)}" if reported.suggestions else ""
        raise LibraryError(f"{source}: model_type {kind!r} is not one of the {len(types)} that are known{perhaps}")
    if types[kind].refuse:
        raise LibraryError(f"{source}: model_type {kind!r} cannot be described: it has {types[kind].refuse}")
    return types[kind]


@dataclass(frozen=True)
class LayerKinds:
    """How each layer mixes tokens, and its feed-forward block."""

    mixing: list[Mixing]
    feeding: list[Feeding]


def layer_kinds(told: Config, rules: ConfigType, source: str) -> LayerKinds:
    """Return the kind of every layer.

    Raises:
        LibraryError: the kinds of layers are not known, or do not go with the other fields.
    """
    layers = told.num_hidden_layers
    assert layers is not None
    words = told.layer_types
    if rules.which == "pattern" and words is None:
        if told.hybrid_override_pattern is None:
            raise LibraryError(f"{source}: hybrid_override_pattern or layers_block_type missing")
        unknown = set(told.hybrid_override_pattern) - set(SIGNS)
        if unknown:
            raise LibraryError(f"{source}: hybrid_override_pattern: {unknown.pop()!r} is no known kind of layer")
        words = [SIGNS[sign] for sign in told.hybrid_override_pattern]
    if words is not None:
        for word in words:
            if word not in WORDS:
                raise LibraryError(f"{source}: layer_types: {word[:40]!r} is no kind of layer that can be described")
        if "indexed_attention" in words and told.index_topk is None:
            raise LibraryError(f"{source}: index_topk missing, which indexed_attention needs")
        if told.further_layers and len(words) == layers + told.further_layers:
            words = words[:layers]
        if len(words) != layers:
            raise LibraryError(f"{source}: layer_types names {len(words)} layers, num_hidden_layers is {layers}")
        mixing = [WORDS[word] for word in words]
    else:
        mixing = _mixing(told, rules, layers, source)
    if rules.last_is_global:
        mixing[-1] = "full"
    mixing = [_bounded(kind, told, rules, source) for kind in mixing]
    if rules.doubled:
        return LayerKinds(mixing * 2, ["beside", "dense"] * layers)
    if rules.which == "pattern":
        assert words is not None
        named: dict[str, Feeding] = {"mlp": "dense", "moe": "experts"}
        return LayerKinds(mixing, [named.get(word, "none") for word in words])
    return LayerKinds(mixing, _feeding(told, rules, layers, source))


def _bounded(kind: Mixing, told: Config, rules: ConfigType, source: str) -> Mixing:
    """Return a kind of layer as the file's other fields have it: a window that is switched off is none."""
    if kind in ("state", "both") and rules.state is None:
        raise LibraryError(f"{source}: layer_types: linear attention, which this model_type is not known to have")
    if kind == "indexed" and (told.index_topk is None or "sparse_attention_config" not in rules.reads):
        raise LibraryError(f"{source}: layer_types: sparse attention, which this model_type is not known to have")
    if kind == "chunk" and told.attention_chunk_size is None:
        raise LibraryError(f"{source}: attention_chunk_size missing, which chunked_attention needs")
    if kind == "window" and not told.sliding_window:
        if told.use_sliding_window is False:
            return "full"
        raise LibraryError(f"{source}: sliding_window missing, which sliding_attention needs")
    if kind == "window" and rules.window in ("upper", "optional") and not told.use_sliding_window:
        return "full"
    return kind


def _mixing(told: Config, rules: ConfigType, layers: int, source: str) -> list[Mixing]:
    """Return how layers mix tokens where the file does not say it layer by layer, windows that are off among them."""
    if rules.state is not None:
        return _stateful(told, rules, layers, source)
    if rules.window == "chunks":
        told_so = told.no_rope_layers
        if told_so:
            if len(told_so) < layers:
                raise LibraryError(f"{source}: no_rope_layers names {len(told_so)} of {layers} layers")
            return ["chunk" if rotary else "full" for rotary in told_so[:layers]]
        every = told.no_rope_layer_interval or layers + 1
        return ["chunk" if (place + 1) % every else "full" for place in range(layers)]
    if not told.sliding_window:
        return ["full"] * layers
    if rules.window == "upper":
        first = told.max_window_layers or 0
        return ["window" if place >= first else "full" for place in range(layers)]
    if rules.window == "others":
        pattern = told.sliding_window_pattern
        if not isinstance(pattern, int):
            raise LibraryError(f"{source}: sliding_window_pattern or layer_types missing: which layers have a window")
        return ["window" if place % pattern else "full" for place in range(layers)]
    if rules.window == "every":
        return _patterned(told.sliding_window_pattern, layers, source)
    if rules.window == "alternate":
        return ["full" if place % 2 else "window" for place in range(layers)]
    if rules.window in ("all", "optional"):
        return ["window"] * layers
    return ["full"] * layers


def _patterned(pattern: int | str | None, layers: int, source: str) -> list[Mixing]:
    """Return windows by a pattern: all but every n-th, or letters that repeat (L local, G global)."""
    if isinstance(pattern, str):
        if not pattern or set(pattern) - {"L", "G"}:
            raise LibraryError(f"{source}: sliding_window_pattern must be a number or letters L and G")
        return ["window" if pattern[place % len(pattern)] == "L" else "full" for place in range(layers)]
    every = pattern or 1
    return ["window" if (place + 1) % every else "full" for place in range(layers)]


def _stateful(told: Config, rules: ConfigType, layers: int, source: str) -> list[Mixing]:
    """Return which layers have a state, where the file does not say it layer by layer."""
    places = range(layers)
    if rules.which == "all":
        return ["state"] * layers
    if rules.which == "both":
        return ["both"] * layers
    if rules.which == "interval":
        every = told.full_attention_interval or 1
        return ["state" if (place + 1) % every else "full" for place in places]
    if rules.which == "period":
        every, offset = told.attn_layer_period or 1, told.attn_layer_offset or 0
        return ["full" if place % every == offset else "state" for place in places]
    if rules.which == "indices" and told.attn_layer_indices is not None:
        return ["full" if place in set(told.attn_layer_indices) else "state" for place in places]
    if rules.which == "list" and told.attn_type_list is not None:
        if len(told.attn_type_list) != layers or set(told.attn_type_list) - {0, 1}:
            raise LibraryError(f"{source}: attn_type_list must be {layers} times 0 or 1")
        return ["full" if softmax else "state" for softmax in told.attn_type_list]
    raise LibraryError(f"{source}: layer_types missing: which layers have linear attention is not told")


def _feeding(told: Config, rules: ConfigType, layers: int, source: str) -> list[Feeding]:
    """Return the feed-forward block of every layer."""
    places = range(layers)
    if told.mlp_layer_types is not None:
        return _listed(told, rules, layers, source)
    if told.experts is None and rules.experts not in ("none", "beside", "pattern"):
        raise LibraryError(
            f"{source}: number of experts missing (num_experts; 0 for a model without), needed by its type"
        )
    if not told.experts or rules.experts == "none":
        dense = "none" if rules.state in ("mamba", "mamba2") and rules.attention == "none" else "dense"
        return [dense] * layers  # type: ignore[list-item]
    if rules.experts == "beside":
        return ["beside" if told.enable_moe_block else "dense"] * layers
    if rules.experts == "all":
        return ["experts"] * layers
    if rules.experts == "interleaved":
        step = told.interleave_moe_layer_step or 1
        chosen = set(told.moe_layers if told.moe_layers is not None else range(step - 1, layers, step))
    elif rules.experts == "period":
        every, offset = told.expert_layer_period or 1, told.expert_layer_offset or 0
        chosen = {place for place in places if place % every == offset} if told.experts > 1 else set()
    elif rules.experts == "range":
        first, last = told.moe_layer_start_index or 0, told.moe_layer_end_index
        last = layers - 1 if last is None or last < 0 else last
        each = told.moe_layer_interval or 1
        chosen = {place for place in places if first <= place <= last and (place + 1) % each == 0}
    elif rules.experts == "step":
        without, each = set(told.mlp_only_layers or ()), told.decoder_sparse_step or layers + 1
        chosen = {place for place in places if place not in without and (place + 1) % each == 0}
    else:
        chosen = _after_dense(told, layers, source)
    return ["experts" if place in chosen else "dense" for place in places]


def _listed(told: Config, rules: ConfigType, layers: int, source: str) -> list[Feeding]:
    """Return the feed-forward blocks that the file names layer by layer."""
    words: Mapping[str, Feeding] = {"dense": "dense", "sparse": "experts"}
    listed = told.mlp_layer_types or []
    if told.further_layers and len(listed) == layers + told.further_layers:
        listed = listed[:layers]
    if len(listed) != layers or set(listed) - set(words):
        raise LibraryError(f"{source}: mlp_layer_types must be {layers} times dense or sparse")
    if "sparse" in listed and rules.experts == "none":
        raise LibraryError(f"{source}: mlp_layer_types: experts, which this model_type is not known to have")
    return [words[word] for word in listed]


def _after_dense(told: Config, layers: int, source: str) -> set[int]:
    """Return the layers with experts after the first dense ones; a list of frequencies says it layer by layer."""
    first, frequency = told.first_k_dense_replace or 0, told.moe_layer_freq
    if isinstance(frequency, list):
        if len(frequency) != layers:
            raise LibraryError(f"{source}: moe_layer_freq names {len(frequency)} of {layers} layers")
        return {place for place in range(layers) if frequency[place]}
    every = frequency or 1
    return {place for place in range(layers) if place >= first and place % every == 0}
