"""Bits of everything that moves, each ``(n,)`` or scalar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cost_models.table import FloatArray, Number
from cost_models.tape import asarray

WIDE_BITS, USUAL_BITS = 16.0, 4.0
"""Bits to which kernels dequantize, and stored bits for which stacks say what that takes."""


@dataclass(frozen=True)
class Formats:
    """Bits of everything that moves, each ``(n,)`` or scalar.

    Attributes:
        weight_bits: stored bits of a body weight, metadata included.
        expert_bits: the same for routed experts where they are stored otherwise; as `weight_bits` where None.
        head_bits: stored bits of embedding, router and head weights.
        kv_bits: stored bits of a KV-cache element.
        activation_bits: bits of an activation between linear operators.
        wide_bits: bits of what stays wide: queries and outputs of attention, norms and biases.
        reduced_bits: bits of a partial sum that chips exchange; as `activation_bits` where None.
        rotated: 1 where activations are rotated while the model runs, before they are quantised.
        cache_unpack_ops: vector operations that a cached element takes before it is multiplied.
        operand_bits: bits of the wider operand that body layers multiply.
        dequantized: what dequantizing stored weights before they are multiplied takes relative to 4-bit ones
            (`unpacking`), 0 where hardware takes them as stored.
        scaled_blocks: 1 where operands share scales along what an output sums and the multiplier does not know them, so
            that partial sums are scaled one by one; 0 where it does, or where an output has one scale.
    """

    weight_bits: Number
    head_bits: Number
    kv_bits: Number
    activation_bits: Number
    operand_bits: Number = 16.0
    dequantized: Number = 0.0
    scaled_blocks: Number = 0.0
    expert_bits: Number | None = None
    wide_bits: Number = 16.0
    reduced_bits: Number | None = None
    rotated: Number = 0.0
    cache_unpack_ops: Number = 0.0

    @property
    def exchanged_bits(self) -> Number:
        """Bits of a partial sum that chips exchange."""
        return self.activation_bits if self.reduced_bits is None else self.reduced_bits

    @property
    def stored_expert_bits(self) -> Number:
        """Stored bits of a routed expert's weight."""
        return self.weight_bits if self.expert_bits is None else self.expert_bits


def unpacking(stored_bits: Number) -> FloatArray:
    """Return what dequantizing a weight takes relative to a 4-bit one: halvings of its width below 16 bits.

    An 8-bit code is converted; each halving more takes a shift and a mask before. log2(16 / b) / 2, at least 0.
    """
    halvings = np.log2(WIDE_BITS / np.minimum(asarray(stored_bits, dtype=np.float64), WIDE_BITS))
    return asarray(halvings / np.log2(WIDE_BITS / USUAL_BITS))
