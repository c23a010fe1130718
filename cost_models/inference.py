"""Serving a workload on a machine: prefill, decode step, whole request, memory, energy and power."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cost_models.energy import Energy, pass_energy
from cost_models.machine import Machine
from cost_models.passes import PassTime, decode_pass, prefill_pass
from cost_models.roofline import Formats
from cost_models.serving import Footprint, Serving, footprint
from cost_models.software import Software
from cost_models.table import FloatArray, Number


@dataclass(frozen=True)
class Inference:
    """A workload on a machine; every result is worked out when it is first asked for, ``(n,)`` or ``(1,)``.

    Attributes:
        serving: the workload and who shares it.
        machine: one of the chips.
        software: the stack's parameters.
        formats: stored bits.
        chunk_tokens: prompt tokens that prefill processes together.
    """

    serving: Serving
    machine: Machine
    software: Software
    formats: Formats
    chunk_tokens: Number

    @cached_property
    def decode(self) -> PassTime:
        """The mean decode step."""
        return decode_pass(self.serving, self.machine, self.software, self.formats)

    @cached_property
    def prefill(self) -> PassTime:
        """The prefill of the batch."""
        return prefill_pass(self.serving, self.machine, self.software, self.formats)

    @cached_property
    def decode_s(self) -> FloatArray:
        """Time of the decode step, for the whole batch (TPOT)."""
        return self.decode.pass_s

    @cached_property
    def prefill_s(self) -> FloatArray:
        """Time to first token."""
        return self.prefill.pass_s

    @cached_property
    def request_s(self) -> FloatArray:
        """Prefill and every decode step."""
        if self.serving.model.encoder:
            return self.prefill_s
        return self.prefill_s + self.decode_s * self.serving.output_tokens

    @cached_property
    def bound_s(self) -> FloatArray:
        """Decode step at full bandwidth and arithmetic rate, nothing else."""
        return decode_bound_s(self.decode, self.serving, self.machine)

    @cached_property
    def decode_energy(self) -> Energy:
        """Energy and power of the decode step."""
        return pass_energy(self.decode, self.decode_s, self.serving, self.machine, self.formats, self.software)

    @cached_property
    def prefill_energy(self) -> Energy:
        """Energy and power of the prefill."""
        work, seconds = self.prefill, self.prefill_s
        return pass_energy(work, seconds, self.serving, self.machine, self.formats, self.software, decode=False)

    @cached_property
    def footprint(self) -> Footprint:
        """Memory taken."""
        return footprint(self.serving, self.formats, chunk_tokens=self.chunk_tokens)

    @cached_property
    def fits(self) -> NDArray[np.bool_]:
        """Whether the fullest chip holds its share, and the chips can reach each other."""
        return (self.footprint.fullest_bytes <= self.machine.capacity_bytes) & np.isfinite(self.decode_s)

    @cached_property
    def chips_needed(self) -> FloatArray:
        """Least chips that could hold it, perfectly shared."""
        held = self.footprint
        return np.asarray(
            np.ceil((held.weights_bytes + held.kv_bytes + held.activations_bytes) / self.machine.capacity_bytes)
        )


def decode_bound_s(work: PassTime, serving: Serving, machine: Machine) -> FloatArray:
    """Return the least time of a decode step: all bytes at peak bandwidth or all MACs at peak rate."""
    macs = work.operators.macs
    computing = (
        work.sum_of_class("linear", macs) / machine.linear_mac_per_s
        + work.sum_of_class("head", macs) / machine.head_mac_per_s
        + work.sum_of_class("attention", macs) / machine.attention_mac_per_s
    )
    return np.maximum(work.dram_bytes / machine.bandwidth_bytes_per_s, computing)


def infer(
    serving: Serving, machine: Machine, software: Software, formats: Formats, *, chunk_tokens: Number
) -> Inference:
    """Return time, memory and power of a workload on a machine.

    Args:
        serving: the workload and who shares it.
        machine: one of the chips.
        software: the stack's parameters.
        formats: stored bits.
        chunk_tokens: prompt tokens that prefill processes together (figure ``serving.prefill_chunk_tokens``).
    """
    return Inference(serving, machine, software, formats, chunk_tokens)
