"""Serving a workload on a machine: prefill, decode step, whole request, memory, energy and power."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_models.columns import FloatArray, Number
from cost_models.energy import Energy, pass_energy
from cost_models.machine import Machine
from cost_models.passes import PassTime, decode_pass, prefill_pass
from cost_models.roofline import Formats
from cost_models.serving import Footprint, Serving, footprint
from cost_models.software import Software


@dataclass(frozen=True)
class Inference:
    """A workload on a machine; ``(n,)`` columns.

    Attributes:
        decode: the mean decode step.
        prefill: the prefill of the batch.
        decode_s: its time, for the whole batch (TPOT).
        prefill_s: time to first token.
        request_s: prefill and every decode step.
        bound_s: decode step at full bandwidth and arithmetic rate, nothing else.
        decode_energy: energy and power of the step.
        prefill_energy: energy and power of the prefill.
        footprint: memory taken.
        fits: whether the fullest chip holds its share, and the chips can reach each other.
        chips_needed: least chips that could hold it, perfectly shared.
    """

    decode: PassTime
    prefill: PassTime
    decode_s: FloatArray
    prefill_s: FloatArray
    request_s: FloatArray
    bound_s: FloatArray
    decode_energy: Energy
    prefill_energy: Energy
    footprint: Footprint
    fits: NDArray[np.bool_]
    chips_needed: FloatArray


def decode_bound_s(work: PassTime, serving: Serving, machine: Machine) -> FloatArray:
    """Return the least time of a decode step: all bytes at peak bandwidth or all MACs at peak rate."""
    operators = work.operators
    seconds_per_mac = (
        operators.of_class("linear") / machine.linear_mac_per_s
        + operators.of_class("head") / machine.head_mac_per_s
        + operators.of_class("attention") / machine.attention_mac_per_s
    )
    moving = work.sum(work.times.dram_bytes) / machine.bandwidth_bytes_per_s
    return np.maximum(moving, work.sum(operators.macs * seconds_per_mac))


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
    decode = decode_pass(serving, machine, software, formats)
    prefill = prefill_pass(serving, machine, software, formats)
    decode_s, prefill_s = decode.pass_s, prefill.pass_s
    held = footprint(serving, formats, chunk_tokens=chunk_tokens)
    needed = np.ceil((held.weights_bytes + held.kv_bytes + held.activations_bytes) / machine.capacity_bytes)
    return Inference(
        decode=decode,
        prefill=prefill,
        decode_s=decode_s,
        prefill_s=prefill_s,
        request_s=prefill_s + decode_s * serving.output_tokens,
        bound_s=decode_bound_s(decode, serving, machine),
        decode_energy=pass_energy(decode, decode_s, serving, machine, formats, software),
        prefill_energy=pass_energy(prefill, prefill_s, serving, machine, formats, software, decode=False),
        footprint=held,
        fits=(held.fullest_bytes <= machine.capacity_bytes) & np.isfinite(decode_s),
        chips_needed=needed,
    )
