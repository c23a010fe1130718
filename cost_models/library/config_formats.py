"""How a Hugging Face file says its weights are stored (``quantization_config``), as formats of the library.

Methods: AWQ, GPTQ, AutoRound, FP8, compressed-tensors, modelopt, Quark, MXFP4, BitNet, bitsandbytes, HQQ, EXL3, AQLM,
EETQ and quanto. A format that the library lacks (a width, a group, zero points) becomes an entry of its own. Layers
that a file leaves at 16 bits are the head, and the attention or all but the experts where it says so. What is not
followed (other widths of single layers, attention left wide beside narrow dense blocks, a narrow cache) is told.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from cost_models.errors import LibraryError, shown

Data = dict[str, Any]

_FLOAT_NAMES = {
    "FP8": "fp8", "FP8_PER_CHANNEL_PER_TOKEN": "fp8", "FP8_PB_WO": "fp8_block128", "NVFP4": "nvfp4",
    "NVFP4_AWQ": "nvfp4", "W4A16_NVFP4": "nvfp4", "MXFP4": "mxfp4", "W4A16_AWQ": "awq", "W4A8_AWQ": "awq",
}  # fmt: skip
"""Formats of modelopt's ``quant_algo``."""

_BLOCK = [128, 128]
"""Rows and columns that share a scale in the format of the library."""


@dataclass(frozen=True)
class _Weights:
    """How weights are stored: a format of the library, or integers in groups."""

    format: str = ""
    bits: float = 0
    group: int = 0
    zero_points: bool = False
    method: str = "rtn"
    scale_bits: int = 16
    kind: str = "int"

    @property
    def words(self) -> str:
        """The same in words."""
        if self.format:
            return self.format
        if self.kind == "codes":
            return f"codes of {self.bits:g} bits ({self.method})"
        groups = f" in groups of {self.group}" if self.group else " with a scale per channel"
        return f"{self.kind}{self.bits:g}{groups}{', zero points' if self.zero_points else ''} ({self.method})"

    def entry(self) -> tuple[str, Data]:
        """Return name and entry of a format of integers, of 4-bit floats, or of codes of a codebook."""
        codes, integers = self.kind == "codes", self.kind == "int"
        name = f"{self.kind}{self.bits:g}".replace(".", "p")
        if not codes:
            name += (f"_g{self.group}" if self.group else "_channel") + ("_zero" if self.zero_points else "")
        return f"{name}_{self.method}", {
            "name": self.words,
            "kind": "codebook" if codes else "group",
            "weight_bits": self.bits,
            "operand": "int" if integers else "float",
            "operand_bits": int(self.bits) if integers else 16,
            "group": self.group,
            "scale_bits": 0 if codes else self.scale_bits,
            "zero_bits": self.bits if self.zero_points else 0,
            "method": self.method,
            "execution": "direct" if integers else "dequantize",
            "sources": ["quantization_config of a file"],
        }


def published_formats(told: Any, has_experts: bool, native: Collection[str], *, source: str) -> tuple[Data, Data]:
    """Return what a file says of its formats: fields of the model's entry, and entries of formats of its own.

    A method that is not known is named in the model's note of its formats, and weights count as 16 bits wide.

    Args:
        told: the field ``quantization_config``, None without one.
        has_experts: whether the model has routed experts.
        native: methods in which makers of the type train or release models themselves.
        source: where it was read.

    Raises:
        LibraryError: it is not what it must be.
    """
    if told is None:
        return {}, {}
    if not isinstance(told, Mapping):
        raise LibraryError(f"{source}: quantization_config must be a mapping, got {str(told)[:40]!r}")
    method = str(told.get("quant_method", "")).lower()
    weights = _weights(method, told, source)
    if weights is None:
        return {"published_as": f"{method or 'a method that is not named'}, which is not known: 16 bits are taken"}, {}
    name, entries = weights.format, {}
    if not name:
        name, entry = weights.entry()
        entries = {name: entry}
    spared = _spared(told, method)
    own, remarks = {"native_formats": method in native}, _remarks(told)
    if has_experts and spared:
        return {
            "expert_format": name,
            "published_as": f"experts {weights.words}, the rest bf16{remarks}",
            **own,
        }, entries
    if spared:
        remarks = f"; attention, which the file leaves at 16 bits, is counted as narrow as the rest{remarks}"
    return {"weight_format": name, "published_as": f"{weights.words}, embedding and head bf16{remarks}", **own}, entries


_EXCEPTIONS = ("dynamic", "extra_config", "layer_config", "layer_quant_config", "quantized_layers", "overrides")
"""Fields by which methods tell other widths of single layers."""

_CACHES = ("kv_cache_scheme", "kv_cache_quant_algo", "kv_cache_quant_config", "kv_cache_dtype")
"""Fields by which methods ask for a narrow cache."""


def _remarks(told: Mapping[str, Any]) -> str:
    """Return in words what a file says beside the format of its weights, which is not followed."""
    inner = told.get("quantization")
    parts = [told, inner] if isinstance(inner, Mapping) else [told]
    found = [name for name in _EXCEPTIONS if any(isinstance(part.get(name), Mapping) and part[name] for part in parts)]
    remarks = f"; other widths of single layers ({', '.join(found)}) are not read" if found else ""
    cache = next((part[name] for part in parts for name in _CACHES if part.get(name)), None)
    if cache is not None:
        bits = cache.get("num_bits") if isinstance(cache, Mapping) else None
        remarks += f"; it asks for a KV cache of {f'{bits} bits' if bits else shown(cache)}, which kv_bits sets"
    return remarks


def _weights(method: str, told: Mapping[str, Any], source: str) -> _Weights | None:
    """Return how weights are stored, None where the method is not known."""
    if method in ("awq", "gptq", "auto-round", "gptqmodel"):
        bits, group = _whole(told, ("bits", "w_bit"), source), _whole(told, ("group_size", "q_group_size"), source)
        zeros = bool(told.get("zero_point", True)) if method == "awq" else told.get("sym") is False
        return _integers(bits, group, zeros, "awq" if method == "awq" else "gptq", source)
    if method in ("fp8", "fbgemm_fp8"):
        return _float8(told.get("weight_block_size"), source)
    if method == "bitnet":
        return _Weights(bits=2)
    if method == "quark":
        return _quark(told, source)
    if method == "mxfp4":
        return _Weights("mxfp4")
    if method == "bitsandbytes":
        if told.get("load_in_4bit") or told.get("_load_in_4bit"):
            twice = told.get("bnb_4bit_use_double_quant")
            # Scales of 64 weights stand in 32 bits where they are not quantised themselves.
            return _Weights("nf4_dq") if twice else _Weights(bits=4, group=64, scale_bits=32, kind="nf")
        return _Weights("int8_channel")
    if method == "hqq":
        return _hqq(told, source)
    if method == "eetq":
        return _Weights("int8_channel")
    if method == "quanto":
        width = {"int2": 2, "int4": 4, "int8": 8}.get(str(told.get("weights")))
        if width == 8:
            return _Weights("int8_channel")
        return _Weights(bits=width, group=128, zero_points=True) if width else None
    if method == "exl3":
        return _codes(told.get("bits"), source)
    if method == "aqlm":
        sizes = [_whole(told, (name,), source) for name in ("nbits_per_codebook", "num_codebooks", "in_group_size")]
        if min(sizes) < 1:
            raise LibraryError(
                f"{source}: quantization_config: nbits_per_codebook, num_codebooks, in_group_size missing"
            )
        return _codes(sizes[0] * sizes[1] / sizes[2], source)
    if method == "modelopt":
        return _modelopt(told, source)
    if method in ("compressed-tensors", "compressed_tensors"):
        return _compressed_tensors(told, source)
    return None


def _hqq(told: Mapping[str, Any], source: str) -> _Weights | None:
    """Return the integers with zero points of HQQ, whose groups stand beside the widths of the weights."""
    inner = told.get("quant_config", told)
    weights = inner.get("weight_quant_params") if isinstance(inner, Mapping) else None
    if not isinstance(weights, Mapping):
        return None
    bits, group = _whole(weights, ("nbits",), source), _whole(weights, ("group_size",), source)
    return _integers(bits, group, True, "rtn", source)


def _codes(bits: Any, source: str) -> _Weights:
    """Return codes of a codebook or trellis, of a mean width."""
    if isinstance(bits, bool) or not isinstance(bits, int | float) or not 1 <= bits <= 8:
        raise LibraryError(f"{source}: quantization_config: bits must be from 1 to 8, got {shown(bits)}")
    return _Weights(bits=float(bits), method="vector", kind="codes")


def _float8(block: Any, source: str) -> _Weights:
    """Return 8-bit floats with the scales of blocks, where the file has some."""
    if block not in (None, _BLOCK):
        raise LibraryError(f"{source}: quantization_config: blocks must be {_BLOCK}, got {str(block)[:40]}")
    return _Weights("fp8_block128" if block else "fp8")


def _quark(told: Mapping[str, Any], source: str) -> _Weights | None:
    inner = told.get("global_quant_config")
    weights = inner.get("weight") if isinstance(inner, Mapping) else None
    if not isinstance(weights, Mapping):
        return None
    kind, group = str(weights.get("dtype", "")), _whole(weights, ("group_size",), source)
    if kind.startswith("fp8"):
        return _Weights("fp8")
    if kind == "fp4" and group == 32:
        return _Weights("mxfp4")
    return _integers(int(kind[3:]), group, False, "rtn", source) if kind in ("int4", "int8") else None


def _modelopt(told: Mapping[str, Any], source: str) -> _Weights | None:
    inner = told.get("quantization")
    told = inner if isinstance(inner, Mapping) else told
    result = _FLOAT_NAMES.get(str(told.get("quant_algo", "")).upper())
    if result == "awq":
        group = 128 if told.get("group_size") is None else _whole(told, ("group_size",), source)
        return _integers(4, group, False, "awq", source)
    return _Weights(result) if result else None


def _compressed_tensors(told: Mapping[str, Any], source: str) -> _Weights | None:
    groups, sparse = told.get("config_groups"), told.get("sparsity_config")
    if isinstance(sparse, Mapping) and str(sparse.get("sparsity_structure")) == "2:4":
        return _two_of_four(groups, source)
    if isinstance(sparse, Mapping) and sparse.get("format") not in (None, "dense"):
        raise LibraryError(f"{source}: quantization_config.sparsity_config: {shown(sparse.get('format'))} is not read")
    if not isinstance(groups, Mapping):
        return None
    result = {repr(one.get("weights")): one.get("weights") for one in groups.values() if isinstance(one, Mapping)}
    if len(result) != 1:
        raise LibraryError(f"{source}: quantization_config has {len(result)} kinds of weights, which is not supported")
    weights = next(iter(result.values()))
    if not isinstance(weights, Mapping):
        return None
    bits, group = _whole(weights, ("num_bits",), source), _whole(weights, ("group_size",), source)
    if weights.get("type") == "float":
        if bits == 8:
            return _float8(weights.get("block_structure"), source)
        return _Weights({16: "nvfp4", 32: "mxfp4"}.get(group, "")) if group in (16, 32) and bits == 4 else None
    zeros = weights.get("symmetric") is False
    return _integers(bits, group, zeros, "gptq", source)


def _two_of_four(groups: Any, source: str) -> _Weights:
    """Return weights of which two in four are kept: at 16 bits, or as 4-bit integers."""
    if not groups:
        return _Weights("nm2of4_bf16")
    weights = (
        [one.get("weights") for one in groups.values() if isinstance(one, Mapping)]
        if isinstance(groups, Mapping)
        else []
    )
    kinds = [(one.get("type"), one.get("num_bits")) for one in weights if isinstance(one, Mapping)]
    if kinds != [("int", 4)]:
        raise LibraryError(f"{source}: quantization_config: 2:4 sparse weights must have 16 bits or be 4-bit integers")
    return _Weights("nm2of4_int4")


def _integers(bits: int, group: int, zeros: bool, method: str, source: str) -> _Weights:
    if not 1 <= bits <= 8:
        raise LibraryError(f"{source}: quantization_config: bits must be from 1 to 8, got {bits}")
    return _Weights(bits=bits, group=max(group, 0), zero_points=zeros, method=method)


def _whole(told: Mapping[str, Any], names: tuple[str, ...], source: str) -> int:
    """Return the first whole number of these names; 0 where none is there (a scale per channel)."""
    for name in names:
        value = told.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value <= 2**20:
            raise LibraryError(f"{source}: quantization_config.{name} must be a whole number, got {str(value)[:40]!r}")
        return value
    return 0


def _spared(told: Mapping[str, Any], method: str) -> bool:
    """Return whether attention stays at 16 bits: some pattern of what is left out names it for all layers."""
    names = [told.get(key) for key in ("modules_to_not_convert", "ignore", "ignored_layers", "exclude_modules")]
    inner = told.get("quantization")
    names += [inner.get("exclude_modules")] if isinstance(inner, Mapping) else []
    spared = [str(name) for result in names if isinstance(result, list) for name in result]
    return method == "mxfp4" or any(re.search(r"self_attn|attention|\battn", name) for name in spared)
