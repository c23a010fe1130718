"""Parts of a Hugging Face ``config.json`` that files tell in a form of their own, in the fields that others use."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from cost_models.errors import LibraryError, shown
from cost_models.library.config_fields import Config
from cost_models.library.records import MOST_LAYERS

Data = dict[str, Any]

MOST_TIMES = 1000
"""Most of a multiple of the model's width."""


def canonical(fields: Mapping[str, Any], source: str) -> Data:
    """Return what groups of fields of one maker say, by the names that all have, where a file says nothing by those.

    Raises:
        LibraryError: a group is not what it must be.
    """
    groups = (_linear, _sparse, _windows, _listed_experts, _other_attention, _blocks)
    said = {name: value for read in groups for name, value in read(fields, source).items()}
    return {name: value for name, value in said.items() if fields.get(name) is None}


def _linear(fields: Mapping[str, Any], source: str) -> Data:
    """Return the layers and sizes of ``linear_attn_config`` (Kimi-Linear), whose layers are counted from one."""
    told = fields.get("linear_attn_config")
    if told is None:
        return {}
    told, layers = _group(told, "linear_attn_config", source), fields.get("num_hidden_layers")
    names = {"head_dim": "linear_head_dim", "num_heads": "linear_num_heads",
             "short_conv_kernel_size": "linear_conv_kernel_dim"}  # fmt: skip
    result = {name: told[own] for own, name in names.items() if told.get(own) is not None}
    whole, linear = told.get("full_attn_layers"), told.get("kda_layers")
    if whole is None and linear is None:
        return result
    listed = [*(whole if isinstance(whole, list) else []), *(linear if isinstance(linear, list) else [])]
    if not isinstance(layers, int) or sorted(map(str, listed)) != sorted(map(str, range(1, layers + 1))):
        raise LibraryError(f"{source}: linear_attn_config: full_attn_layers and kda_layers must name every layer once")
    assert isinstance(whole, list)
    places = set(whole)
    return {**result, "layer_types": [
        "full_attention" if place in places else "linear_attention" for place in range(1, layers + 1)
    ]}  # fmt: skip


def _sparse(fields: Mapping[str, Any], source: str) -> Data:
    """Return the layers and sizes of ``sparse_attention_config`` (MiniMax-M3), which chooses blocks of tokens."""
    told = fields.get("sparse_attention_config")
    told = {} if told is None else _group(told, "sparse_attention_config", source)
    names = {"sparse_num_index_heads": "index_n_heads", "sparse_index_dim": "index_head_dim",
             "sparse_block_size": "index_block_size", "sparse_topk_blocks": "index_topk_blocks"}  # fmt: skip
    result = {name: told[own] for own, name in names.items() if told.get(own) is not None}
    whole = result | {name: value for name, value in fields.items() if value is not None}
    block, blocks = whole.get("index_block_size"), whole.get("index_topk_blocks")
    if (block is None) != (blocks is None):
        raise LibraryError(
            f"{source}: size and number of the blocks that sparse attention meets must be given together"
        )
    if isinstance(block, int) and isinstance(blocks, int):
        result["index_topk"] = block * blocks
    if (frequency := told.get("sparse_attention_freq")) is not None:
        if not isinstance(frequency, list):
            raise LibraryError(f"{source}: sparse_attention_config.sparse_attention_freq must be a list")
        result["layer_types"] = ["minimax_m3_sparse" if chosen else "full_attention" for chosen in frequency]
    return result


def _windows(fields: Mapping[str, Any], source: str) -> Data:
    """Return the layers of ``hybrid_layer_pattern`` (MiMo-V2): 1 where a layer has a window."""
    told = fields.get("hybrid_layer_pattern")
    if told is None:
        return {}
    if not isinstance(told, list) or any(one not in (0, 1) for one in told):
        raise LibraryError(f"{source}: hybrid_layer_pattern must be a list of 0 and 1, got {shown(told)}")
    return {"layer_types": ["sliding_attention" if one else "full_attention" for one in told]}


def _listed_experts(fields: Mapping[str, Any], source: str) -> Data:
    """Return the blocks of ``moe_layers_enum`` (Step-3): the places of layers with experts, with commas between."""
    told, layers = fields.get("moe_layers_enum"), fields.get("num_hidden_layers")
    if told is None:
        return {}
    words = told.split(",") if isinstance(told, str) else told
    places = (
        {word.strip() if isinstance(word, str) else str(word) for word in words} if isinstance(words, list) else {""}
    )
    if not isinstance(layers, int) or isinstance(layers, bool) or not all(place.isdecimal() for place in places):
        raise LibraryError(f"{source}: moe_layers_enum must be places of layers, got {shown(told)}")
    return {
        "mlp_layer_types": ["sparse" if str(place) in places else "dense" for place in range(min(layers, MOST_LAYERS))]
    }


def _other_attention(fields: Mapping[str, Any], source: str) -> Data:
    """Return the heads of windows that ``attention_other_setting`` tells (Step-3.5)."""
    told = fields.get("attention_other_setting")
    if told is None:
        return {}
    told = _group(told, "attention_other_setting", source)
    if told.get("attention_type") != "sliding_attention":
        raise LibraryError(f"{source}: attention_other_setting.attention_type must be sliding_attention")
    names = {"num_attention_heads": "swa_num_attention_heads", "num_attention_groups": "swa_num_key_value_heads",
             "head_dim": "swa_head_dim"}  # fmt: skip
    return {name: told[own] for own, name in names.items() if told.get(own) is not None}


def _blocks(fields: Mapping[str, Any], source: str) -> Data:
    """Return layer by layer what ``block_configs`` tells (Llama-Nemotron, arXiv 2411.19146).

    Attention and feed-forward blocks may be left out, or be one matrix; key heads come as queries that share one, and
    widths as multiples of two thirds of the model's, in whole 256.
    """
    told = fields.get("block_configs")
    if told is None:
        return {}
    heads, d = fields.get("num_attention_heads"), fields.get("hidden_size")
    if not isinstance(told, list) or not isinstance(heads, int) or not isinstance(d, int):
        raise LibraryError(f"{source}: block_configs must be a list, beside num_attention_heads and hidden_size")
    words, kv_heads, widths, single = [], [], [], 0
    for place, block in enumerate(told[:MOST_LAYERS]):
        where = f"{source}: block_configs[{place}]"
        parts = _group(block, f"block_configs[{place}]", source)
        attention, dense = (
            _group(parts.get(name), f"block_configs[{place}].{name}", source) for name in ("attention", "ffn")
        )
        if any(attention.get(name) for name in ("sparsify", "window_length", "num_sink_tokens")) or dense.get(
            "sparsify"
        ):
            raise LibraryError(f"{where}: windows and sparse matrices cannot be described")
        single += bool(attention.get("replace_with_linear")) + bool(dense.get("replace_with_linear"))
        group, times = attention.get("n_heads_in_group"), dense.get("ffn_mult")
        without = attention.get("no_op") or attention.get("replace_with_linear")
        if not without and (not isinstance(group, int) or group < 1 or heads % group):
            raise LibraryError(f"{where}: n_heads_in_group must divide {heads} heads, got {shown(group)}")
        words.append("no_attention" if without else "full_attention")
        kv_heads.append(heads if without else heads // int(group or 1))
        empty = dense.get("no_op") or dense.get("replace_with_linear")
        if not empty and (not isinstance(times, int | float) or not 0 < times < MOST_TIMES):
            raise LibraryError(f"{where}: ffn_mult must be a number above 0, got {shown(times)}")
        widths.append(0 if empty else 256 * math.ceil(int(2 * float(times or 0) * d / 3) / 256))
    counts = Counter(heads for heads, word in zip(kv_heads, words, strict=True) if word == "full_attention")
    usual = counts.most_common(1)[0][0] if counts else heads
    return {"layer_types": words, "num_key_value_heads": usual, "num_key_value_heads_per_layer": kv_heads,
            "intermediate_sizes": widths, "linear_blocks": single}  # fmt: skip


def _group(told: Any, name: str, source: str) -> Mapping[str, Any]:
    if not isinstance(told, Mapping):
        raise LibraryError(f"{source}: {name} must be a mapping, got {shown(told)}")
    return told


def further_weights(told: Config) -> Data:
    """Return the weights of per-layer embeddings, of low-rank residuals and of alternating updates (Gemma 3n and 4).

    A token looks a vector per layer up, and adds what a projection of its embedding says; each layer gates it and
    projects it back. Alternating updates (arXiv 2301.13310) keep n copies of the hidden state, of which a layer works
    on one: it predicts and corrects the others by n x n and n x n^2 coefficients, which a router weighs.
    """
    d, layers, own = told.hidden_size, told.num_hidden_layers, told.hidden_size_per_layer_input
    assert d is not None and layers is not None
    further = dict.fromkeys(("layer", "once", "table", "small"), 0)
    if own:
        further["layer"] += 2 * d * own
        further["once"] += d * layers * own
        further["table"] += (told.vocab_size_per_layer_input or told.vocab_size or 0) * layers * own
        further["small"] += layers * d + own
    if told.laurel_rank:
        further["layer"] += 2 * d * told.laurel_rank
        further["small"] += layers * d
    if told.altup_num_inputs:
        copies = told.altup_num_inputs
        further["layer"] += d * copies + copies**2 + copies**3
        further["once"] += 2 * (copies - 1) * d * d
        further["small"] += 2 * layers * d
    further["once"] += (told.linear_blocks or 0) * d * d
    return {"further": further} if any(further.values()) else {}
