"""Bits of everything that moves, each ``(n,)`` or scalar."""

from __future__ import annotations

from dataclasses import dataclass

from cost_models.table import Number


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
        operand_bits: bits of the wider operand that body layers multiply.
        dequantized: 1 where kernels dequantize stored weights before they multiply, 0 where hardware takes them as
            stored.
    """

    weight_bits: Number
    head_bits: Number
    kv_bits: Number
    activation_bits: Number
    operand_bits: Number = 16.0
    dequantized: Number = 0.0
    expert_bits: Number | None = None
    wide_bits: Number = 16.0
    reduced_bits: Number | None = None
    rotated: Number = 0.0

    @property
    def exchanged_bits(self) -> Number:
        """Bits of a partial sum that chips exchange."""
        return self.activation_bits if self.reduced_bits is None else self.reduced_bits

    @property
    def stored_expert_bits(self) -> Number:
        """Stored bits of a routed expert's weight."""
        return self.weight_bits if self.expert_bits is None else self.expert_bits
