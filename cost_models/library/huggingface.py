"""Architectures as Hugging Face writes them: the fields of a ``config.json`` to an entry of ``models``.

Types and what they leave out of a file are in ``config_types.yaml``; fields of the same meaning have several names
(`cost_models.library.config_fields`). What would have to be guessed, or cannot be described, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cost_models.errors import ForeignFileError, LibraryError
from cost_models.library.config_blocks import attention_fields, feed_forward_fields
from cost_models.library.config_fields import Config
from cost_models.library.config_formats import published_formats
from cost_models.library.config_layers import ConfigType, config_types, layer_kinds, type_of
from cost_models.library.config_parts import canonical, further_weights
from cost_models.library.config_unread import unread_fields
from cost_models.library.foreign import read_json
from cost_models.library.models import Model
from cost_models.library.parameters import issue_text

Data = dict[str, Any]

INSIDE = ("text_config", "llm_config", "language_config", "thinker_config")
"""Fields that hold the text model of a model for several kinds of input, or a model that holds it in turn."""

OUTSIDE = ("quantization_config", "tie_word_embeddings", "_name_or_path")
"""Fields of the whole that hold for the text model too, where it does not say otherwise."""

LEFT_OUT = {
    "vision_config": "the vision tower", "audio_config": "the audio tower", "num_nextn_predict_layers": "the layers "
    "that predict further tokens", "mtp_num_hidden_layers": "the layers that predict further tokens",
}  # fmt: skip
"""Parts that are not counted, by the field that tells of them."""

NEEDED = ("hidden_size", "num_hidden_layers", "vocab_size")
"""Fields without which nothing is known."""

UNKNOWN_PARTS = {
    "is_encoder_decoder": "an encoder beside the decoder", "cross_attention_layers": "cross-attention",
    "block_configs": "blocks that differ from layer to layer", "use_cla": "caches that layers share",
    "hidden_size_per_layer_input": "per-layer embeddings", "moe_latent_size": "experts on latent vectors",
    "altup_num_inputs": "alternating updates", "compress_ratios": "compressed sparse attention",
    "add_cross_attention": "cross-attention", "kv_source_layers": "caches that layers share",
    "swa_num_key_value_heads": "windows with key heads of their own", "zero_expert_num": "experts without weights",
    "num_hash_layers": "experts chosen by hashes", "sparse_attention_config": "sparse attention over blocks",
    "hybrid_layer_pattern": "windows with heads of their own", "linear_attn_config": "linear attention",
    "laurel_rank": "low-rank residuals",
}  # fmt: skip
"""Fields that tell of a part, unless they are null, false or 0: which only types that name them in `reads` have."""


def read_config(file: Path) -> Data:
    """Return the fields that a ``config.json`` holds.

    Raises:
        ForeignFileError: it cannot be read, or is not JSON of a mapping; with what it seems to be.
    """
    fields = read_json(file)
    if not isinstance(fields, dict):
        raise ForeignFileError(file, "holds no mapping of fields")
    return fields


def entry_of_config(config: Mapping[str, Any], *, source: str) -> Data:
    """Return a ``config.json`` as an entry of the library's ``models``.

    Args:
        config: the fields; those of a text model inside (``text_config``) are taken from there.
        source: where they were read.

    Raises:
        LibraryError: the type is not known, a field is missing or not what it must be, or the model has a part that
            cannot be described.
    """
    return dict(sections_of_config(config, "", source=source)["models"][""])


def sections_of_config(config: Mapping[str, Any], key: str, *, source: str) -> Data:
    """Return what a ``config.json`` adds to the library: the model, and formats of its own that its weights have.

    Args:
        config: the fields.
        key: name of the model's entry.
        source: where they were read.

    Raises:
        LibraryError: as in `entry_of_config`.
    """
    kind, rules, fields = _text_model(config, source)
    if fields.get("gating") not in (None, True, "per-head"):
        raise LibraryError(f"{source}: gating must be true (a gate per head), got {str(fields['gating'])[:40]!r}")
    if fields.get("per_layer_config") and not rules.last_is_global:
        raise LibraryError(f"{source}: per_layer_config tells of layers of several shapes, which is not read")
    for field, part in UNKNOWN_PARTS.items():
        if (field not in rules.reads and fields.get(field)) or (field == "is_encoder_decoder" and config.get(field)):
            raise LibraryError(f"{source}: {field} tells of {part}, which cannot be described")
    if absent := [name for name in rules.needs if fields.get(name) is None]:
        raise LibraryError(f"{source}: {', '.join(absent)} missing, which model_type {kind!r} needs")
    if fields.get("use_bidirectional_attention") in (True, "all"):
        raise LibraryError(f"{source}: use_bidirectional_attention tells of an encoder, which generates nothing")
    listed = fields.get("layers_block_type")
    if rules.which == "pattern" and fields.get("num_hidden_layers") is None and isinstance(listed, list):
        fields["num_hidden_layers"] = len(listed)
    reported = Config.of(fields, source)
    missing = [name for name in NEEDED if getattr(reported, name) is None]
    if rules.attention != "none" and reported.num_attention_heads is None:
        missing.append("num_attention_heads")
    if missing:
        raise LibraryError(f"{source}: {', '.join(missing)} missing")
    if fields.get("word_embed_proj_dim") not in (None, reported.hidden_size):
        raise LibraryError(f"{source}: word_embed_proj_dim tells of embeddings of another width than the layers'")
    _refuse_strangers(kind, rules, reported, source)
    kinds = layer_kinds(reported, rules, source)
    entry = _frame(rules, fields, reported, len(kinds.mixing), source)
    entry |= attention_fields(rules, reported, kinds, fields, source)
    entry |= feed_forward_fields(rules, reported, kinds, source)
    entry |= further_weights(reported)
    if note := _note(config, fields, len(kinds.mixing), source):
        entry["note"] = note
    told, routed = fields.get("quantization_config"), bool(entry.get("moe"))
    published, formats = published_formats(told, routed, rules.native, source=source)
    return {"models": {key: {**entry, **published}}, "weight_formats": formats}


def model_of_config(config: Mapping[str, Any], key: str, *, source: str) -> Model:
    """Return a ``config.json`` as a model.

    Raises:
        LibraryError: as in `entry_of_config`.
    """
    return model_of_entry(entry_of_config(config, source=source), key, source=source)


def model_of_entry(entry: Data, key: str, *, source: str) -> Model:
    """Return the record of an entry that was worked out from a file.

    Raises:
        LibraryError: a number worked out, a product of two widths say, is none that a model may have.
    """
    try:
        return Model.model_validate({**entry, "key": key})
    except ValidationError as error:
        raise LibraryError(f"{source}: {'; '.join(map(issue_text, error.errors()))}") from None


def _note(config: Mapping[str, Any], fields: Data, layers: int, source: str) -> str:
    """Return what a file tells of that is not counted or not read."""
    left_out = dict.fromkeys(part for field, part in LEFT_OUT.items() if config.get(field) or fields.get(field))
    notes = [f"Without {' and '.join(left_out)}."] if left_out else []
    if config.get("model_type") not in config_types():
        notes.append(f"Of model_type {config.get('model_type')!r}, which is not known, only the text model is read.")
    if unread := unread_fields(fields, layers=layers, source=source):
        notes.append(f"Not read: {', '.join(unread)}.")
    return " ".join(notes)


def _text_model(config: Mapping[str, Any], source: str) -> tuple[str, ConfigType, Data]:
    """Return the type of the text model, what is known of it, and its fields with those that the type fills in."""
    kind = config.get("model_type")
    if not isinstance(kind, str):
        raise LibraryError(f"{source}: model_type missing: no config.json of a model")
    inside = next((config[name] for name in INSIDE if config.get(name) is not None), None)
    if inside is not None and not isinstance(inside, Mapping):
        raise LibraryError(f"{source}: text_config must be a mapping, got {str(inside)[:40]!r}")
    if inside is None:
        rules = type_of(kind, source)
        rules = rules if rules.family or rules.text is None else type_of(rules.text, source)
        return kind, rules, _told(rules.defaults, _flat(config, source))
    whole = {name: config[name] for name in OUTSIDE if config.get(name) is not None}
    if any(inside.get(name) is not None for name in INSIDE):
        return _text_model({**whole, "model_type": kind, **inside}, source)
    reported = inside.get("model_type")
    text = reported if isinstance(reported, str) else type_of(kind, source).text
    if text is None:
        raise LibraryError(f"{source}: text_config has no model_type")
    if kind in config_types():
        type_of(kind, source)
    rules = type_of(text, source)
    if "tie_word_embeddings" in whole and str(config.get("transformers_version") or "4").split(".")[0] != "4":
        # From version 5 on the whole says it; before, the text model did where it said anything.
        inside = {**inside, "tie_word_embeddings": whole["tie_word_embeddings"]}
    return text, rules, _told({**rules.nested, **rules.defaults}, {**whole, **_flat(inside, source)})


def _flat(fields: Mapping[str, Any], source: str) -> Data:
    """Return fields with those of the attention, of the experts and of other groups beside them."""
    fields = {**fields, **canonical(fields, source)}
    attention, experts = fields.get("attn_config"), fields.get("ffn_config")
    result = {**experts, **fields} if isinstance(experts, Mapping) else dict(fields)
    if not isinstance(attention, Mapping):
        return result
    single = {"kv_n_heads": 1} if attention.get("attn_type") == "multiquery_attention" else {}
    return {**result, **attention, **single}


def _told(defaults: Mapping[str, Any], fields: Data) -> Data:
    """Return fields with those that a type fills in where the file has none of that meaning, by whatever name.

    Those that are null are left out, which is not what a type fills in; a rank means something so.
    """
    same = Config.spellings()
    filled = {name: value for name, value in defaults.items() if not same.get(name, frozenset({name})) & fields.keys()}
    whole = {**filled, **fields}
    return {name: value for name, value in whole.items() if value is not None or name == "q_lora_rank"}


def _refuse_strangers(kind: str, rules: ConfigType, told: Config, source: str) -> None:
    """Refuse parts that a type is not known to have."""
    strangers = {
        "experts": bool(told.experts) and rules.experts == "none",
        "kv_lora_rank": told.kv_lora_rank is not None and not rules.latent,
        "attention_chunk_size": told.attention_chunk_size is not None
        and rules.window != "chunks"
        and "chunked_attention" not in (told.layer_types or ()),
        "full_attention_interval": told.full_attention_interval is not None and rules.which != "interval",
        "hybrid_override_pattern": told.hybrid_override_pattern is not None and rules.which != "pattern",
        "attn_type_list": told.attn_type_list is not None and rules.which != "list",
        "num_attention_heads_per_layer": told.num_attention_heads_per_layer is not None and rules.latent,
        "index_topk": told.index_topk is not None and not rules.latent and "sparse_attention_config" not in rules.reads,
        "num_kv_shared_layers": bool(told.num_kv_shared_layers)
        and not (rules.last_is_global or "hidden_size_per_layer_input" in rules.reads),
        "moe_layer_freq": rules.experts == "beside" and told.moe_layer_freq not in (None, 1),
    }
    for field, is_strange in strangers.items():
        if is_strange:
            raise LibraryError(f"{source}: {field} is there, which model_type {kind!r} is not known to use")


def _switch(fields: Mapping[str, Any], told: bool | str, source: str) -> bool:
    """Return a switch that a type sets, or names the field of."""
    if isinstance(told, bool):
        return told
    value = fields.get(told, False)
    if not isinstance(value, bool):
        raise LibraryError(f"{source}: {told} must be true or false, got {str(value)[:40]!r}")
    return value


def _frame(rules: ConfigType, fields: Mapping[str, Any], told: Config, layers: int, source: str) -> Data:
    """Return the fields of an entry that all layers have in common."""
    name = fields.get("_name_or_path")
    entry: Data = {
        "name": name if isinstance(name, str) and name else source,
        "family": rules.family,
        "layers": layers,
        "d_model": told.hidden_size,
        "vocab": told.vocab_size,
        "gated_ffn": rules.gated,
        "tied_embeddings": bool(told.tie_word_embeddings),
        "linear_bias": _switch(fields, rules.bias, source),
        "qkv_bias": _switch(fields, rules.qkv_bias, source),
        "parallel_block": rules.parallel if told.parallel_attn is None else told.parallel_attn,
        "post_norms": rules.post_norms,
        "qk_norm": _switch(fields, rules.qk_norm, source),
        "verified": False,
        "sources": [source],
    }
    if told.tie_word_embeddings is None:
        raise LibraryError(f"{source}: tie_word_embeddings missing")
    if told.max_position_embeddings is not None:
        entry["max_context"] = told.max_position_embeddings
        if rules.positions:
            entry["learned_positions"] = told.max_position_embeddings
    return entry
