"""A stack of transformer layers of real dimensions, random weights: one decode step, one prefill."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tools.measure_gpu.kernels import Kernel, Prepared
from tools.measure_gpu.shapes import Layers

EPSILON = 1e-5
ROTARY_BASE = 10_000.0


@dataclass(frozen=True)
class Layer:
    """Matrices of one layer as their kernel stores them; the norms' weights are ones."""

    qkv: Prepared
    attention_out: Prepared
    ffn_up: Prepared
    ffn_down: Prepared


@dataclass(frozen=True)
class Stack:
    """Embedding, some layers, head."""

    shape: Layers
    layers: tuple[Layer, ...]
    embedding: Tensor
    head: Tensor

    def double(self) -> Stack:
        """Return the stack that the stored numbers stand for, in 64-bit floats."""

        def exact(matrix: Prepared) -> Prepared:
            stored = matrix.stored().double()
            return Prepared(lambda x: functional.linear(x, stored), lambda: stored)

        layers = tuple(Layer(*(exact(getattr(x, f)) for f in Layer.__dataclass_fields__)) for x in self.layers)
        return Stack(self.shape, layers, self.embedding.double(), self.head.double())

    def cache(self, depth: int, batch: int, context: int, seed: int) -> list[tuple[Tensor, Tensor]]:
        """Return random keys and values (batch, KV heads, context, dimension) of the first layers."""
        size = (batch, self.shape.kv_heads, context, self.shape.head_dim)
        like = self.head
        generator = torch.Generator(device=like.device).manual_seed(seed)

        def made() -> Tensor:
            return torch.randn(size, dtype=like.dtype, device=like.device, generator=generator)

        return [(made(), made()) for _ in range(depth)]

    def decode(self, tokens: Tensor, cache: list[tuple[Tensor, Tensor]], rotary: tuple[Tensor, Tensor]) -> Tensor:
        """Return logits (batch, vocabulary) of the next token.

        Args:
            tokens: newest token of each sequence, (batch,).
            cache: keys and values of as many layers as are run; the newest token takes the last place.
            rotary: of the last place, see `rotary_tables`.
        """
        x = functional.embedding(tokens, self.embedding)[:, None]
        for layer, (keys, values) in zip(self.layers, cache, strict=False):
            q, k, v = self._heads(x, layer, rotary)
            keys[:, :, -1:] = k
            values[:, :, -1:] = v
            x = self._rest(x, layer, self._attend(q, keys, values, causal=False))
        return self._logits(x)

    def prefill(
        self, tokens: Tensor, depth: int, rotary: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Return logits after the last of `tokens` (batch, prompt), and keys and values of the first layers."""
        x = functional.embedding(tokens, self.embedding)
        cache = []
        for layer in self.layers[:depth]:
            q, k, v = self._heads(x, layer, rotary)
            cache.append((k, v))
            x = self._rest(x, layer, self._attend(q, k, v, causal=True))
        return self._logits(x[:, -1:]), cache

    def _heads(self, x: Tensor, layer: Layer, rotary: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        s = self.shape
        made = _times(self._norm(x), layer.qkv)
        parts = made.split([n * s.head_dim for n in (s.heads, s.kv_heads, s.kv_heads)], dim=2)
        q, k, v = (part.unflatten(2, (-1, s.head_dim)).transpose(1, 2) for part in parts)
        return _rotate(q, rotary), _rotate(k, rotary), v

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> Tensor:
        grouped = self.shape.heads != self.shape.kv_heads
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=grouped)
        return out.transpose(1, 2).flatten(2)

    def _rest(self, x: Tensor, layer: Layer, attended: Tensor) -> Tensor:
        x = x + _times(attended, layer.attention_out)
        gate, up = _times(self._norm(x), layer.ffn_up).chunk(2, dim=2)
        return x + _times(functional.silu(gate) * up, layer.ffn_down)

    def _norm(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, (self.shape.d_model,), None, EPSILON)

    def _logits(self, x: Tensor) -> Tensor:
        return functional.linear(self._norm(x[:, -1]), self.head)


def build_stack(
    shape: Layers, depth: int, device: torch.device, seed: int, kernel: Kernel, *, lean: bool = True
) -> Stack:
    """Return a stack with random weights of variance 1 / k, so that activations stay near 1 at any depth.

    Args:
        shape: dimensions.
        depth: layers.
        device: where it is.
        seed: of the weights.
        kernel: stores and multiplies the layers' matrices; embedding and head are dense in its type of activations.
        lean: whether the matrices' numbers are let go once they are packed; `Stack.double` needs them.
    """
    generator = torch.Generator(device=device).manual_seed(seed)

    def made(n: int, k: int) -> Tensor:
        return torch.randn((n, k), dtype=torch.bfloat16, device=device, generator=generator).mul_(k**-0.5)

    matrices = shape.matrices()
    head = kernel.cast(made(*matrices.pop("lm_head")))

    def packed(size: tuple[int, int]) -> Prepared:
        matrix = kernel.prepare(made(*size))
        return matrix.lean() if lean else matrix

    layers = tuple(Layer(**{name: packed(size) for name, size in matrices.items()}) for _ in range(depth))
    embedding = kernel.cast(made(shape.vocab, shape.d_model).mul_(shape.d_model**0.5))
    return Stack(shape, layers, embedding, head)


def _times(x: Tensor, matrix: Prepared) -> Tensor:
    """Return x W^T of activations (batch, tokens, k): kernels take two axes."""
    return matrix.call(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def rotary_tables(shape: Layers, first: int, tokens: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return cosines and sines (tokens, dimension / 2) of the positions from `first` on."""
    half = torch.arange(0, shape.head_dim, 2, dtype=torch.float64, device=like.device) / shape.head_dim
    place = torch.arange(first, first + tokens, dtype=torch.float64, device=like.device)
    angle = torch.outer(place, ROTARY_BASE**-half)
    return angle.cos().to(like.dtype), angle.sin().to(like.dtype)


def _rotate(x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    cosine, sine = rotary
    first, second = x.chunk(2, dim=3)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=3)
