"""Models as GGUF files hold them: a header to an entry of ``models``, and the types of its tensors to formats."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cost_models.errors import LibraryError
from cost_models.library import shipped_library
from cost_models.library.files import read_yaml
from cost_models.library.gguf_header import Header, Items, Tensor, read_header
from cost_models.library.huggingface import model_of_entry, sections_of_config
from cost_models.library.models import Model
from cost_models.workload.param_count import attentions, count_parameters, kv_read_per_token
from dse.number_texts import share_text

Data = dict[str, Any]

TOLERANCE = 0.02
"""Largest share by which the weights of a whole file may miss what its fields describe."""

WAY_OUT = "give the config.json of the model"


@functools.cache
def _told() -> Mapping[str, Any]:
    return read_yaml(shipped_library().directory / "gguf_types.yaml")


def sections_of_gguf(file: Path, key: str, *, source: str) -> Data:
    """Return what a GGUF file adds to the library: the model, and the format of its weights.

    Args:
        file: the file, of which the header is read.
        key: name of the model's entry.
        source: what to call the file.

    Raises:
        LibraryError: the file is none or cut off within its header, its architecture is not known, layers differ in
            a way that is not read, or its tensors are not those that its fields describe.
    """
    header = read_header(file)
    sections = sections_of_config(_config(header, source), key, source=source)
    model = model_of_entry(sections["models"][key], key, source=source)
    if not _is_whole(header, model, source):
        return sections
    published, formats = _formats(header.tensors, key)
    return {"models": {key: {**sections["models"][key], **published}}, "weight_formats": formats}


def _config(header: Header, source: str) -> Data:
    """Return a header as the fields of a ``config.json``."""
    kind = header.fields.get("general.architecture")
    kinds = _told()["architectures"]
    if kind not in kinds:
        raise LibraryError(f"{source}: architecture {str(kind)[:40]!r} is not read from GGUF files; {WAY_OUT}")
    config: Data = {"model_type": kinds[kind], "tie_word_embeddings": True}
    for name, field in _told()["fields"].items():
        value = header.fields.get(f"{kind}.{name}")
        if value is not None:
            config[field] = _alike(value, f"{source}: {kind}.{name}")
    _settle_layers(str(kind), config, header, source)
    tokens = header.fields.get("tokenizer.ggml.tokens")
    if "vocab_size" not in config and isinstance(tokens, Items):
        config["vocab_size"] = tokens.count
    names = {tensor.name for tensor in header.tensors}
    if names:
        config["tie_word_embeddings"] = "output.weight" not in names
        config["attention_bias"] = "blk.0.attn_q.bias" in names
    heads = config.get("num_attention_heads")
    # As llama.cpp reads what is left out.
    config.setdefault("num_key_value_heads", heads)
    width = config.get("hidden_size")
    if isinstance(heads, int) and isinstance(width, int) and heads > 0 and width % heads == 0:
        config.setdefault("head_dim", width // heads)
    config |= _of_architecture(str(kind), config, header, source)
    return config


def _settle_layers(kind: str, config: Data, header: Header, source: str) -> None:
    """Leave out layers that predict further tokens, tell which layers have a window, and refuse lists that say more.

    Raises:
        LibraryError: a list that nothing reads tells something that differs from layer to layer, or a field of a part
            that is not read.
    """
    blocks, further = config.get("num_hidden_layers"), header.fields.get(f"{kind}.nextn_predict_layers", 0)
    if isinstance(blocks, int) and isinstance(further, int) and 0 < further < blocks:
        # They are counted among the blocks, behind the others.
        config |= {"num_hidden_layers": blocks - further, "num_nextn_predict_layers": further}
    pattern = header.fields.get(f"{kind}.attention.sliding_window_pattern")
    if isinstance(pattern, Items):
        windows = pattern.kept[: config.get("num_hidden_layers")]
        config["layer_types"] = ["sliding_attention" if one else "full_attention" for one in windows]
    elif pattern is not None:
        config["sliding_window_pattern"] = pattern
    for name, part in _told()["parts"].items():
        value = header.fields.get(f"{kind}.{name}")
        if value not in (
            None,
            0,
            1,
            header.fields.get(f"{kind}.{name.removesuffix('_swa')}" if "_swa" in name else ""),
        ):
            raise LibraryError(f"{source}: {kind}.{name} tells of {part}, not read from GGUF files; {WAY_OUT}")
    read = {f"{kind}.{name}" for name in (*_told()["fields"], "attention.sliding_window_pattern")}
    for name, value in header.fields.items():
        if isinstance(value, Items) and name.startswith(f"{kind}.") and name not in read and value.count == blocks:
            _alike(value, f"{source}: {name}")


def _alike(value: Any, where: str) -> Any:
    """Return a value that is one for all layers."""
    if not isinstance(value, Items):
        return value
    if not value.kept or len(set(value.kept)) > 1:
        raise LibraryError(f"{where}: differs from layer to layer, which is not read from GGUF files; {WAY_OUT}")
    return value.kept[0]


def _of_architecture(kind: str, config: Data, header: Header, source: str) -> Data:
    """Return the fields that architectures write in ways of their own."""
    value_length = header.fields.get(f"{kind}.attention.value_length")
    if config.get("kv_lora_rank") is not None:
        return _latent(kind, config, header, source)
    config.pop("qk_rope_head_dim", None)
    if value_length is not None and value_length != config.get("head_dim"):
        raise LibraryError(f"{source}: values {value_length} wide beside keys of {config.get('head_dim')}; {WAY_OUT}")
    if kind == "llama" and config.get("num_local_experts"):
        return {"model_type": "mixtral"}
    if kind == "llama4":
        return {
            "intermediate_size": config.get("moe_intermediate_size"),
            "intermediate_size_mlp": config.get("intermediate_size"),
        }
    if kind == "qwen3next":
        inner, heads = header.fields.get(f"{kind}.ssm.inner_size"), config.get("linear_num_value_heads")
        if isinstance(inner, int) and isinstance(heads, int) and heads:
            return {"linear_value_head_dim": inner // heads}
    if kind in ("granitemoe", "olmoe", "phimoe", "minimax-m2", "gpt-oss") and config.get("moe_intermediate_size"):
        return {"intermediate_size": config["moe_intermediate_size"]}
    return {}


def _latent(kind: str, config: Data, header: Header, source: str) -> Data:
    """Return the sizes of multi-head latent attention; keys and values as heads see them, or of old files."""
    keys, values = (
        header.fields.get(f"{kind}.attention.{part}_mla") or header.fields.get(f"{kind}.attention.{part}")
        for part in ("key_length", "value_length")
    )
    rotary = config.get("qk_rope_head_dim")
    if not (isinstance(rotary, int) and isinstance(keys, int) and isinstance(values, int)):
        raise LibraryError(f"{source}: a GGUF header without rope.dimension_count, key and value lengths; {WAY_OUT}")
    config.setdefault("q_lora_rank", None)
    return {"qk_nope_head_dim": keys - rotary, "v_head_dim": values, "head_dim": None}


def _is_whole(header: Header, model: Model, source: str) -> bool:
    """Return whether the file holds the tensors of the model: false of parts, and of headers without weights."""
    if int(header.fields.get("split.count") or 1) > 1 or len(header.tensors) < model.layers:
        return False
    _check_caches(header.tensors, model, source)
    own = [tensor for tensor in header.tensors if _layer(tensor) < model.layers]
    held = sum(tensor.elements for tensor in own)
    counted = count_parameters(model).total
    if abs(held - counted) > TOLERANCE * counted:
        raise LibraryError(
            f"{source}: its tensors hold {held / 1e9:.4g} billion weights, its fields describe {counted / 1e9:.4g}: "
            f"it has parts that are not read from GGUF files; {WAY_OUT}"
        )
    return True


def _layer(tensor: Tensor) -> int:
    """Return the place of a tensor's layer, -1 of tensors outside of layers."""
    words = tensor.name.split(".")
    return int(words[1]) if len(words) > 2 and words[0] == "blk" and words[1].isdecimal() else -1


def _check_caches(tensors: Iterable[Tensor], model: Model, source: str) -> None:
    """Raise LibraryError where the projections to keys and values are not as wide as the fields describe them."""
    made = [one for one in tensors if one.name.endswith((".attn_k.weight", ".attn_v.weight")) and len(one.shape) == 2]
    layers = {_layer(tensor) for tensor in made}
    if model.mla is not None or len(layers) != sum(layer.layers for layer in attentions(model)):
        return
    held = sum(tensor.shape[1] for tensor in made if _layer(tensor) < model.layers)
    # Files hold the projections of layers too that read the cache of another.
    told = sum(layer.layers * kv_read_per_token(model, layer) for layer in attentions(model))
    if held != told:
        raise LibraryError(
            f"{source}: its tensors make {held} keys and values of a token, its fields describe {told}: "
            f"it has layers that are not read from GGUF files; {WAY_OUT}"
        )


def _bits(tensors: Iterable[Tensor]) -> float:
    """Return the mean stored bits of the weights of one tensor or more.

    Raises:
        LibraryError: a tensor is of a type that is not known.
    """
    types, bits, elements = _told()["tensor_types"], 0.0, 0
    for tensor in tensors:
        if tensor.type_id not in types:
            raise LibraryError(f"{tensor.name}: a tensor of type {tensor.type_id}, which is not known")
        _, block, size = types[tensor.type_id]
        bits += tensor.elements * size * 8 / block
        elements += tensor.elements
    return bits / elements


def _formats(tensors: Iterable[Tensor], key: str) -> tuple[Data, Data]:
    """Return the formats of body and experts, each of the mean stored bits of its tensors, head included."""
    parts: dict[str, list[Tensor]] = {"body": [], "experts": [], "head": []}
    for tensor in tensors:
        if len(tensor.shape) < 2:
            continue
        is_head = tensor.name in ("token_embd.weight", "output.weight", "per_layer_token_embd.weight")
        parts["head" if is_head else "experts" if "_exps." in tensor.name else "body"].append(tensor)
    bits = {part: _bits(inside) for part, inside in parts.items() if inside}
    names: Counter[str] = Counter()
    for tensor in (*parts["body"], *parts["experts"]):
        kind, *_ = _told()["tensor_types"][tensor.type_id]
        names[kind] += tensor.elements
    words = ", ".join(f"{name} {share_text(count / names.total())}" for name, count in names.most_common())
    head = bits.get("head", 16.0)
    published: Data = {"published_as": f"GGUF: {words}", "native_formats": False}
    formats: Data = {}
    for part, field in (("body", "weight_format"), ("experts", "expert_format")):
        if part in bits:
            name = f"{key}_{part}"
            published[field] = name
            formats[name] = _entry(f"{part} of a GGUF file: {words}", bits[part], head)
    return published, formats


def _entry(name: str, bits: float, head: float) -> Data:
    return {
        "name": name,
        "kind": "codebook",
        "weight_bits": bits,
        "operand": "float",
        "operand_bits": 16,
        "head_bits": head,
        "method": "none" if bits >= 16 else "kquant",
        "execution": "dense" if bits >= 16 else "dequantize",
        "sources": ["tensors of a GGUF file"],
    }
