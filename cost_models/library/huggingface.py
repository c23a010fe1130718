"""Architectures as Hugging Face writes them: the fields of a ``config.json`` to an entry of ``models``.

The styles of Llama, Mistral, Qwen, Gemma, Mixtral, DeepSeek (MLA, shared and routed experts) and GPT-OSS are known;
fields of the same meaning have several names there. Anything that would have to be guessed is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cost_models.errors import LibraryError
from cost_models.library.models import Model

_DENSE = {
    "layers": ("num_hidden_layers", "n_layer"),
    "d_model": ("hidden_size", "n_embd"),
    "heads": ("num_attention_heads", "n_head"),
    "vocab": ("vocab_size",),
}
_EXPERTS = ("n_routed_experts", "num_local_experts", "num_experts")
_ACTIVE = ("num_experts_per_tok", "experts_per_token", "num_experts_per_token")
_MLA = ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")

FAMILIES = {
    "llama": "llama", "mistral": "mistral", "mixtral": "mistral", "qwen2": "qwen", "qwen3": "qwen", "qwen2_moe": "qwen",
    "qwen3_moe": "qwen", "gemma": "gemma", "gemma2": "gemma", "gemma3_text": "gemma", "deepseek_v2": "deepseek",
    "deepseek_v3": "deepseek", "kimi_k2": "deepseek", "gpt_oss": "gpt-oss", "phi3": "phi",
}  # fmt: skip
"""Families by ``model_type``; the weights of other types may hold parts that these fields do not tell."""


def entry_of_config(config: Mapping[str, Any], *, source: str) -> dict[str, Any]:
    """Return a ``config.json`` as an entry of the library's ``models``.

    Args:
        config: the fields; those of a text model inside (``text_config``) are taken from there.
        source: where they were read.

    Raises:
        LibraryError: the type is not known, or a field is missing.
    """
    config = {**config, **config.get("text_config", {})}
    kind = str(config.get("model_type", ""))
    if kind not in FAMILIES:
        raise LibraryError(f"{source}: model_type {kind!r} is not one of {', '.join(FAMILIES)}")
    missing = [names[0] for names in _DENSE.values() if _first(config, names) is None]
    if missing:
        raise LibraryError(f"{source}: {', '.join(missing)} missing")
    entry: dict[str, Any] = {field: int(_first(config, names)) for field, names in _DENSE.items()}
    heads = entry["heads"]
    mla = _mla(config, source)
    entry |= {
        "name": str(config.get("_name_or_path") or source),
        "family": FAMILIES[kind],
        "kv_heads": int(config.get("num_key_value_heads") or heads),
        "head_dim": _head_dim(config, entry, mla),
        "gated_ffn": True,
        "tied_embeddings": bool(config.get("tie_word_embeddings", kind.startswith("gemma"))),
        "linear_bias": bool(config.get("mlp_bias", False)),
        "qkv_bias": bool(config.get("attention_bias", kind in ("qwen2", "qwen2_moe"))),
        "parallel_block": False,
        "post_norms": kind.startswith("gemma2") or kind.startswith("gemma3"),
        "qk_norm": kind.startswith("qwen3") or kind.startswith("gemma3"),
        "verified": False,
        "sources": [source],
    }
    experts = _first(config, _EXPERTS)
    if experts:
        entry["moe"] = _moe(config, kind, int(experts), source)
    entry["d_ff"] = int(_first(config, ("intermediate_size", "n_inner")) or entry.get("moe", {}).get("expert_d_ff", 0))
    if not entry["d_ff"]:
        raise LibraryError(f"{source}: intermediate_size missing")
    if mla:
        entry["mla"] = mla
    entry["attention"] = "MLA" if mla else _attention(heads, entry["kv_heads"])
    if config.get("max_position_embeddings"):
        entry["max_context"] = int(config["max_position_embeddings"])
    entry |= _windows(config, kind, entry["layers"])
    if _method(config) == "mxfp4" and experts:
        entry["expert_format"] = "mxfp4"
    return entry


def model_of_config(config: Mapping[str, Any], key: str, *, source: str) -> Model:
    """Return a ``config.json`` as a model.

    Raises:
        LibraryError: the type is not known, or a field is missing.
    """
    return Model.model_validate({**entry_of_config(config, source=source), "key": key})


def _first(config: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """Return the first field that is there and says something."""
    return next((config[name] for name in names if config.get(name) is not None), None)


def _method(config: Mapping[str, Any]) -> str:
    result = config.get("quantization_config") or {}
    return str(result.get("quant_method", ""))


def _attention(heads: int, kv_heads: int) -> str:
    return "MHA" if kv_heads == heads else "MQA" if kv_heads == 1 else "GQA"


def _head_dim(config: Mapping[str, Any], entry: Mapping[str, Any], mla: Mapping[str, int]) -> int:
    if mla:
        return mla["v_head_dim"]
    return int(config.get("head_dim") or entry["d_model"] // entry["heads"])


def _mla(config: Mapping[str, Any], source: str) -> dict[str, int]:
    """Return the ranks of multi-head latent attention, nothing where the model has none."""
    if config.get("kv_lora_rank") is None:
        return {}
    missing = [name for name in _MLA if config.get(name) is None]
    if missing:
        raise LibraryError(f"{source}: {', '.join(missing)} missing, which multi-head latent attention needs")
    return {name: int(config[name]) for name in _MLA}


def _moe(config: Mapping[str, Any], kind: str, experts: int, source: str) -> dict[str, Any]:
    """Return the mixture of experts: widths, how many a token takes, shared ones, and layers without experts."""
    active = _first(config, _ACTIVE)
    width = _first(config, ("moe_intermediate_size", "intermediate_size"))
    if active is None or width is None:
        raise LibraryError(f"{source}: num_experts_per_tok and intermediate_size are needed beside {experts} experts")
    if kind == "qwen2_moe":
        shared = int(config.get("shared_expert_intermediate_size") or 0)
        if shared % int(width):
            raise LibraryError(f"{source}: a shared expert of width {shared} is no multiple of {width}")
        count = shared // int(width)
    else:
        count = int(config.get("n_shared_experts") or 0)
    if int(config.get("moe_layer_freq") or config.get("decoder_sparse_step") or 1) != 1:
        raise LibraryError(f"{source}: experts in every second layer or rarer cannot be described")
    return {
        "experts": experts,
        "active_experts": int(active),
        "expert_d_ff": int(width),
        "shared_experts": count,
        "first_dense_layers": int(config.get("first_k_dense_replace") or 0),
        "router_bias": kind in ("deepseek_v3", "kimi_k2"),
        "expert_bias": kind == "gpt_oss",
    }


def _windows(config: Mapping[str, Any], kind: str, layers: int) -> dict[str, int]:
    """Return width and number of sliding-window layers, nothing where every layer sees all tokens."""
    window = config.get("sliding_window")
    if not window or config.get("use_sliding_window") is False:
        return {}
    types = config.get("layer_types")
    if types:
        count = sum(one == "sliding_attention" for one in types)
    else:
        # Gemma 2 alternates; elsewhere a window without a list of layers holds for all of them.
        count = (layers + 1) // 2 if kind == "gemma2" else layers
    return {"sliding_window": int(window), "window_layers": count} if count else {}
