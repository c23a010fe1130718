"""The layers of a Hugging Face ``config.json`` as fields of a model's entry: attention, states, feed-forward blocks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from cost_models.errors import LibraryError
from cost_models.library.config_fields import Config
from cost_models.library.config_layers import ConfigType, LayerKinds

Data = dict[str, Any]

MLA = ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
"""Sizes of multi-head latent attention, beside the rank of queries."""

INDEX = ("index_n_heads", "index_head_dim", "index_topk")
"""Sizes of the selection of tokens of sparse attention."""


def _kv_heads(rules: ConfigType, told: Config, heads: int, source: str) -> int:
    if rules.multi_query and not told.new_decoder_architecture:
        return 1 if told.multi_query else heads
    if told.multi_query_attention and told.multi_query_group_num is not None:
        return told.multi_query_group_num
    if told.num_key_value_heads is None and rules.heads == "told":
        raise LibraryError(f"{source}: num_key_value_heads missing")
    return told.num_key_value_heads or heads


def attention_fields(
    rules: ConfigType, told: Config, kinds: LayerKinds, fields: Mapping[str, Any], source: str
) -> Data:
    """Return the fields of an entry about how layers mix tokens."""
    states = sum(kind in ("state", "both") for kind in kinds.mixing)
    entry: Data = {"state_layers": [_state(rules, told, states, source)]} if states else {}
    if not any(kind in ("full", "window", "chunk", "indexed", "both") for kind in kinds.mixing):
        return {**entry, "attention": "none"}
    heads = told.num_attention_heads
    assert heads is not None
    kv_heads = _kv_heads(rules, told, heads, source)
    mla = _mla(rules, told, fields, source)
    if not mla and heads % kv_heads:
        raise LibraryError(f"{source}: num_key_value_heads {kv_heads} must divide num_attention_heads {heads}")
    if mla:
        entry |= {"attention": "MLA", "mla": mla, "heads": heads, "kv_heads": heads, "head_dim": mla["v_head_dim"]}
        if (index := [getattr(told, name) for name in INDEX]) != [None] * len(INDEX):
            if None in index:
                raise LibraryError(f"{source}: {', '.join(INDEX)} must be given together")
            entry["indexer"] = dict(zip(("heads", "head_dim", "top_k"), index, strict=True))
            entry["indexer"]["layers"] = _choosing_layers(told, len(kinds.mixing), source)
    else:
        kind = "MHA" if kv_heads == heads else "MQA" if kv_heads == 1 else "GQA"
        head_dim = _head_dim(rules, told, heads, source)
        entry |= {"attention": kind, "heads": heads, "kv_heads": kv_heads, "head_dim": head_dim}
        if indexed := kinds.mixing.count("indexed"):
            sizes = (told.index_n_heads, told.index_head_dim, told.index_topk, indexed, False)
            entry["indexer"] = dict(zip(("heads", "head_dim", "top_k", "layers", "weighted"), sizes, strict=True))
    return entry | _reaches(rules, told, kinds, kv_heads, source)


def _choosing_layers(told: Config, layers: int, source: str) -> int:
    """Return how many layers choose tokens themselves; the others meet those that the last such layer chose."""
    words: list[str] | str | None = told.indexer_types or told.index_topk_pattern
    if words is None:
        first = 2 if told.index_skip_topk_offset is None else told.index_skip_topk_offset
        choosing = [max(place - first + 1, 0) % (told.index_topk_freq or 1) == 0 for place in range(layers)]
    elif len(words) != layers or set(words) - {"full", "shared", "F", "S"}:
        raise LibraryError(f"{source}: indexer_types must be {layers} times full or shared")
    else:
        choosing = [word in ("full", "F") for word in words]
    if not choosing[0]:
        raise LibraryError(f"{source}: the first layer meets tokens that an indexer chose before it; it must choose")
    return sum(choosing)


def _head_dim(rules: ConfigType, told: Config, heads: int, source: str) -> int:
    assert told.hidden_size is not None
    if told.head_dim is not None:
        return told.head_dim
    if rules.head_dim == "told" or told.hidden_size % heads:
        raise LibraryError(f"{source}: head_dim missing")
    return told.hidden_size // heads


def _reaches(rules: ConfigType, told: Config, kinds: LayerKinds, usual_kv_heads: int, source: str) -> Data:
    """Return layers of attention: as one window where that says all, else kind by kind."""
    shared_from = len(kinds.mixing) - (told.num_kv_shared_layers or 0)
    groups: Counter[tuple[tuple[str, Any], ...]] = Counter()
    heads = told.num_attention_heads_per_layer or [told.num_attention_heads or 0] * len(kinds.mixing)
    if len(heads) != len(kinds.mixing) or min(heads) < 1:
        raise LibraryError(f"{source}: num_attention_heads_per_layer must be {len(kinds.mixing)} whole numbers")
    kv_heads = told.num_key_value_heads_per_layer
    if kv_heads is not None and (
        len(kv_heads) != len(heads) or any(n < 1 or h % n for h, n in zip(heads, kv_heads, strict=True))
    ):
        raise LibraryError(f"{source}: num_key_value_heads_per_layer must be {len(heads)} divisors of the heads")
    for place, kind in enumerate(kinds.mixing):
        if kind in ("state", "none"):
            continue
        layer: Data = {}
        if kind == "window":
            layer["reach"] = told.sliding_window
            several = usual_kv_heads * rules.window_kv_heads
            own = {"heads": told.swa_num_attention_heads, "kv_heads": told.swa_num_key_value_heads or several,
                   "head_dim": told.swa_head_dim}  # fmt: skip
            usual = {"heads": told.num_attention_heads, "kv_heads": usual_kv_heads, "head_dim": told.head_dim}
            layer |= {name: value for name, value in own.items() if value is not None and value != usual[name]}
        elif kind == "indexed":
            layer["indexed"] = True
        elif kind == "chunk":
            layer |= {"reach": told.attention_chunk_size, "chunked": True}
        elif told.global_head_dim is not None:
            layer["head_dim"] = told.global_head_dim
            if told.attention_k_eq_v:
                layer |= {"key_is_value": True, "kv_heads": told.num_global_key_value_heads or told.num_key_value_heads}
        if heads[place] != told.num_attention_heads:
            layer["heads"] = heads[place]
        if kv_heads is not None and kv_heads[place] != told.num_key_value_heads:
            layer["kv_heads"] = kv_heads[place]
        values = told.swa_v_head_dim if kind == "window" and told.swa_v_head_dim is not None else told.v_head_dim
        if values is not None and not rules.latent and values != layer.get("head_dim", told.head_dim):
            layer["value_dim"] = values
        if told.share_q_dim is not None:
            layer["query_rank"] = told.share_q_dim
        if rules.gated_attention:
            layer["gated"] = True
        if place >= shared_from:
            layer["own_kv"] = False
        groups[tuple(layer.items())] += 1
    plain, window = groups.get((), 0), groups.get((("reach", told.sliding_window),), 0)
    if plain + window == len(kinds.mixing) and rules.state is None:
        return {"sliding_window": told.sliding_window, "window_layers": window} if window else {}
    return {"attention_layers": [{"layers": count, **dict(layer)} for layer, count in groups.items()]}


def _mla(rules: ConfigType, told: Config, fields: Mapping[str, Any], source: str) -> Data:
    """Return the ranks of multi-head latent attention, nothing where the model has none."""
    if not rules.latent:
        return {}
    missing = [name for name in MLA if getattr(told, name) is None]
    if "q_lora_rank" not in fields:
        missing.insert(0, "q_lora_rank")
    if missing:
        raise LibraryError(f"{source}: {', '.join(missing)} missing, which multi-head latent attention needs")
    return {"q_lora_rank": told.q_lora_rank or None, **{name: getattr(told, name) for name in MLA}}


def _state(rules: ConfigType, told: Config, layers: int, source: str) -> Data:
    """Return the layers with a state."""
    d, kind = told.hidden_size, rules.state
    assert d is not None
    state: Data = {"kind": kind, "layers": layers, "conv_width": told.conv_width or 0}
    if kind == "convolution":
        return {**state, "heads": d, "head_dim": 1, "key_heads": 0}
    if told.state_dtype is not None:
        state["state_bits"] = 32 if told.state_dtype in ("float32", "fp32") else 16
    if kind == "lightning":
        heads = told.num_attention_heads
        assert heads is not None
        head_dim = _head_dim(rules, told, heads, source)
        return {**state, "heads": heads, "head_dim": head_dim, "key_heads": heads, "key_dim": head_dim,
                "chunk_tokens": rules.chunk}  # fmt: skip
    # Files of the first state-space model name the width itself as well, which then holds.
    inner = told.state_inner or (rules.attention == "none" and told.intermediate_size) or (told.expand or 1) * d
    state |= {"conv_bias": bool(told.conv_bias), "key_dim": told.key_dim}
    if kind == "mamba" and told.key_dim is not None:
        rank = told.step_rank if isinstance(told.step_rank, int) else -(-d // 16)
        return {**state, "heads": inner, "head_dim": 1, "rank": rank}
    heads = told.state_heads
    if kind == "kimi_delta":
        # As many heads as attention has, and as wide, where the file says nothing of its states.
        heads, of_one = heads or told.num_attention_heads, told.state_head_dim or told.head_dim
        if heads is None or not isinstance(of_one, int):
            raise LibraryError(f"{source}: heads or size of the states missing")
        return {**state, "heads": heads, "head_dim": of_one, "key_heads": heads, "key_dim": of_one,
                "rank": of_one if rules.thin else 0, "chunk_tokens": rules.chunk}  # fmt: skip
    if heads is None or told.key_dim is None:
        raise LibraryError(f"{source}: heads or size of the states missing")
    head_dim = told.state_head_dim if isinstance(told.state_head_dim, int) else inner // heads
    return {**state, "heads": heads, "head_dim": head_dim, "key_heads": told.key_heads or 1,
            "chunk_tokens": rules.chunk or told.chunk_size}  # fmt: skip


def feed_forward_fields(rules: ConfigType, told: Config, kinds: LayerKinds, source: str) -> Data:
    """Return the fields of an entry about feed-forward blocks."""
    layers = len(kinds.feeding)
    routed = sum(kind in ("experts", "beside") for kind in kinds.feeding)
    dense = [place for place, kind in enumerate(kinds.feeding) if kind in ("dense", "beside")]
    entry: Data = {"moe": _moe(rules, told, routed, source)} if routed else {}
    if told.intermediate_sizes is not None:
        if routed or len(told.intermediate_sizes) != layers:
            raise LibraryError(f"{source}: widths of dense blocks must be told of {layers} layers without experts")
        counted = Counter(size for size in told.intermediate_sizes if size)
        entry["dense_layers"] = [{"layers": count, "d_ff": size} for size, count in counted.items()]
        return {**entry, **({"d_ff": max(counted)} if counted else {})}
    width = _dense_width(rules, told, bool(routed))
    if width is None and dense:
        raise LibraryError(f"{source}: {rules.dense_width} missing")
    entry["d_ff"] = width or entry.get("moe", {}).get("expert_d_ff")
    doubled = 0
    if told.use_double_wide_mlp:
        shared_from = layers - (told.num_kv_shared_layers or 0)
        doubled = sum(place >= shared_from for place in dense)
    if routed and routed + len(dense) == layers and not doubled:
        entry["moe"]["first_dense_layers"] = len(dense)
    elif len(dense) < layers or routed or doubled:
        widths = ((len(dense) - doubled, width), (doubled, 2 * (width or 0)))
        entry["dense_layers"] = [{"layers": count, "d_ff": wide} for count, wide in widths if count]
        if routed:
            entry["moe"]["layers"] = routed
    if entry["d_ff"] is None:
        del entry["d_ff"]
    return entry


def _dense_width(rules: ConfigType, told: Config, has_experts: bool) -> int | None:
    """Return the width of dense blocks; files of a type with experts that have none use the width of shared ones."""
    if not has_experts and rules.experts != "none" and rules.shared == "shared_intermediate_size":
        return told.shared_intermediate_size or told.intermediate_size
    width: int | None = getattr(told, rules.dense_width) if has_experts else told.intermediate_size
    if width is None:
        width = told.intermediate_size
    if width is None and told.expansion_ratio is not None and told.hidden_size is not None:
        return told.expansion_ratio * told.hidden_size
    if width is not None and told.block_auto_adjust_ff_dim:
        # Two thirds, since a gate adds a third matrix, in whole blocks (LLaMA's rule).
        block = told.block_multiple_of or 1
        return block * math.ceil(int((told.block_ffn_dim_multiplier or 1.0) * (2 * width // 3)) / block)
    return width


def _moe(rules: ConfigType, told: Config, layers: int, source: str) -> Data:
    """Return the mixture of experts: widths, how many a token takes, and shared ones."""
    width: int | None = getattr(told, rules.width)
    missing = [name for name, value in (("num_experts_per_tok", told.active), (rules.width, width)) if not value]
    if missing:
        raise LibraryError(f"{source}: {', '.join(missing)} missing, needed beside {told.experts} experts")
    assert told.experts and told.active and width
    if told.active > told.experts:
        raise LibraryError(f"{source}: num_experts_per_tok {told.active} must be at most {told.experts}, the experts")
    count, shared = 0, 0
    if rules.shared == "count":
        count = told.n_shared_experts or 0
    elif rules.shared == "one":
        count = 1
    elif rules.shared != "none":
        shared = getattr(told, rules.shared) or 0
        count, shared = (shared // width, 0) if shared % width == 0 else (0, shared)
    if told.zero_expert_num:
        # Of the outputs that a token chooses, so many stand for experts with weights in the mean.
        active = round(told.active * told.experts / (told.experts + told.zero_expert_num))
    else:
        active = told.active
    moe: Data = {
        "experts": told.experts,
        "active_experts": active,
        "expert_d_ff": width,
        "shared_experts": count,
        "first_dense_layers": 0,
        "router_bias": rules.router_bias,
        "expert_bias": rules.expert_bias,
    }
    if shared:
        moe["shared_d_ff"] = shared
    if told.moe_latent_size:
        moe["latent_d"] = told.moe_latent_size
    if told.zero_expert_num:
        moe["zero_experts"] = told.zero_expert_num
    return moe
