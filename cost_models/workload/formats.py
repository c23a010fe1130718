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
        activation_bits: bits of an activation between operators.
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

    @property
    def stored_expert_bits(self) -> Number:
        """Stored bits of a routed expert's weight."""
        return self.weight_bits if self.expert_bits is None else self.expert_bits
