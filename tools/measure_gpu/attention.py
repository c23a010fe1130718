"""Attention of one new token per sequence over a cache, and of whole prompts; grouped and separate KV heads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tools.measure_gpu.bench import FITS, SPARE, Bench, NotMeasured, Point, Points
from tools.measure_gpu.kernels import relative_error, version_of
from tools.measure_gpu.rows import Cells
from tools.measure_gpu.timing import copies_for

TOLERANCE = 1e-2
CHECKED = (2, 8, 2, 32, 48)
"""Batch, heads, KV heads, head dimension and context of the check."""

Attend = Callable[[Tensor, Tensor, Tensor, bool], Tensor]


@dataclass(frozen=True)
class Kernel:
    """An attention kernel: queries, keys and values (batch, heads, tokens, dimension), causal or not."""

    name: str
    software: str
    attend: Attend
    absent: str = ""
    tokens_first: bool = False


def _sdpa(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    return functional.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1])


def _flash(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    from flash_attn import flash_attn_func, flash_attn_with_kvcache

    if causal:
        return flash_attn_func(q, k, v, causal=True)
    return flash_attn_with_kvcache(q, k, v, cache_seqlens=k.shape[1])


def kernels(bench: Bench) -> list[Kernel]:
    """Return the attention kernels, absent ones with the reason."""
    version = version_of("flash-attn")
    absent = "" if version and bench.device.is_gpu else "flash-attn is not installed" if not version else "needs a GPU"
    return [
        Kernel("sdpa", f"{bench.device.software} SDPA", _sdpa),
        Kernel("flash_attn", f"flash-attn {version}", _flash, absent, tokens_first=True),
    ]


def reference(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> Tensor:
    """Return softmax(Q K^T / sqrt(d)) V in 64-bit floats, written out."""
    q, k, v = q.double(), k.double(), v.double()
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
    if causal:
        hidden = torch.ones(scores.shape[2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(hidden, -torch.inf)
    return scores.softmax(3) @ v


def _tensors(bench: Bench, kernel: Kernel, shape: tuple[int, ...], queries: int, seed: int) -> tuple[Tensor, ...]:
    """Return queries, keys and values in the order of axes that the kernel takes."""
    batch, heads, kv_heads, dim, context = shape
    generator = torch.Generator(device=bench.device.torch).manual_seed(seed)

    def made(count: int, tokens: int) -> Tensor:
        size = (batch, tokens, count, dim) if kernel.tokens_first else (batch, count, tokens, dim)
        return torch.randn(size, dtype=torch.bfloat16, device=bench.device.torch, generator=generator)

    return made(heads, queries), made(kv_heads, context), made(kv_heads, context)


def _error(bench: Bench, kernel: Kernel, *, causal: bool) -> float:
    q, k, v = _tensors(bench, kernel, CHECKED, CHECKED[4] if causal else 1, 7)
    result = kernel.attend(q, k, v, causal)
    if kernel.tokens_first:
        q, k, v, result = (x.transpose(1, 2) for x in (q, k, v, result))
    return relative_error(result, reference(q, k, v, causal=causal))


def _heads(bench: Bench) -> Iterator[tuple[int, int, int]]:
    seen = set()
    for layers in bench.sizes.models:
        heads = (layers.heads, layers.kv_heads, layers.head_dim)
        if heads not in seen:
            seen.add(heads)
            yield heads


def attention_points(bench: Bench) -> Points:
    """Yield decode attention by batch and context, and attention over prompts."""
    for kernel in kernels(bench):
        for heads, kv_heads, dim in _heads(bench):
            for batch in bench.sizes.batches:
                for context in bench.sizes.contexts:
                    shape = (batch, heads, kv_heads, dim, context)
                    yield _point(bench, kernel, shape, causal=False)
            for batch, prompt in bench.sizes.prompts:
                yield _point(bench, kernel, (batch, heads, kv_heads, dim, prompt), causal=True)


def _point(bench: Bench, kernel: Kernel, shape: tuple[int, ...], *, causal: bool) -> Point:
    batch, heads, kv_heads, dim, context = shape
    kind = "prefill_attention" if causal else "decode_attention"
    key = f"attention|{kernel.name}|{kind}|h{heads}kv{kv_heads}d{dim}|b{batch}|c{context}"
    needed = 4.0 * batch * context * kv_heads * dim + 8.0 * batch * heads * dim * (context if causal else 1)
    return Point(
        key, "operators", "attention", needed, lambda: _attention(bench, key, kernel, shape, kind, causal=causal)
    )


def _attention(bench: Bench, key: str, kernel: Kernel, shape: tuple[int, ...], kind: str, *, causal: bool) -> Cells:
    if kernel.absent:
        raise NotMeasured(kernel.absent)
    batch, heads, kv_heads, dim, context = shape
    name = f"{kernel.name} {kind}"
    error = bench.checked(name, TOLERANCE, lambda: _error(bench, kernel, causal=causal))
    queries = context if causal else 1
    size = 4.0 * batch * context * kv_heads * dim + 4.0 * batch * queries * heads * dim
    bench.held.clear()
    count = copies_for(size, bench.device.l2_bytes, SPARE / 2 * bench.device.free_bytes())
    several = [_tensors(bench, kernel, shape, queries, bench.arguments.seed + i) for i in range(count)]
    timing = bench.time([lambda a=a: kernel.attend(*a, causal) for a in several])
    grouped = "separate KV heads" if heads == kv_heads else f"{heads // kv_heads} query heads to a KV head"
    return {
        **bench.cells(
            key,
            software=bench.with_graphs(timing, kernel.software),
            note="; ".join(part for part in (grouped, timing.remark) if part),
        ),
        "kind": kind, "dtype": "bfloat16" if causal else "kv_bf16", "metric": "latency_us",
        "value": timing.median_s * 1e6, "batch": batch, "seq_len": context, "heads": heads, "kv_heads": kv_heads,
        "head_dim": dim, "bound_flag": "ok" if count * size > bench.device.l2_bytes else FITS, "kernel": kernel.name,
        "checked_error": error, **bench.spread(timing, unit=1e6),
    }  # fmt: skip
