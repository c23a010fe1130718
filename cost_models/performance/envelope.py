"""A machine of which only rates and capacity are known: what remains of a chip when its silicon is left open.

The least that a workload asks of any machine is what it asks of an envelope without limits; an envelope with numbers
put in stands for an unknown chip.
"""

from __future__ import annotations

import numpy as np

from cost_models.performance.phases import PhaseTime, decode_phase, prefill_phase
from cost_models.performance.serving_stack import Software
from cost_models.silicon.machine import Machine
from cost_models.table import FloatArray, Number, as_column
from cost_models.workload.formats import Formats
from cost_models.workload.serving import ServingConfig


def envelope_machine(
    *,
    bandwidth_bytes_per_s: Number = np.inf,
    mac_per_s: Number = np.inf,
    capacity_bytes: Number = np.inf,
    sram_bytes: Number = np.inf,
) -> Machine:
    """Return a machine with these rates; what nobody states of it (power, area, price) is NaN.

    Args:
        bandwidth_bytes_per_s: delivered memory bandwidth: the streaming efficiency is 1.
        mac_per_s: multiply-accumulates per second of every kind of operand.
        capacity_bytes: memory.
        sram_bytes: on-chip memory; without limit nothing is read twice.
    """
    unknown, free = np.array([np.nan]), np.array([np.inf])

    rate = as_column(mac_per_s)
    return Machine(
        linear_mac_per_s=rate,
        head_mac_per_s=rate,
        attention_mac_per_s=rate,
        linear_j_per_mac=unknown,
        head_j_per_mac=unknown,
        attention_j_per_mac=unknown,
        bandwidth_bytes_per_s=as_column(bandwidth_bytes_per_s),
        stream_efficiency=np.ones(1),
        capacity_bytes=as_column(capacity_bytes),
        sram_bytes=as_column(sram_bytes),
        dequantize_bytes_per_s=free,
        link_bytes_per_s=free,
        dram_j_per_byte=unknown,
        sram_j_per_byte=unknown,
        link_j_per_byte=unknown,
        dequantize_j_per_byte=unknown,
        static_w=unknown,
        conversion_efficiency=np.ones(1),
        tdp_w=unknown,
        die_mm2=unknown,
        cost_usd=unknown,
        price_usd=unknown,
    )


def work_of(done: PhaseTime) -> tuple[FloatArray, FloatArray]:
    """Return (bytes, multiply-accumulates) that a pass puts through the most-loaded chip."""
    return done.sum(done.times.dram_bytes), done.sum(done.operators.macs)


def least_work(serving: ServingConfig, software: Software, formats: Formats) -> dict[str, FloatArray]:
    """Return the bytes and multiply-accumulates of a decode step and of a prefill that no machine can do without.

    Weights and KV cache are read once, nothing is read twice. Keys: ``decode_bytes``, ``decode_macs``,
    ``prefill_bytes``, ``prefill_macs``, each ``(n,)`` per chip.
    """
    machine = envelope_machine()
    decode_bytes, decode_macs = work_of(decode_phase(serving, machine, software, formats))
    prefill_bytes, prefill_macs = work_of(prefill_phase(serving, machine, software, formats))
    return {
        "decode_bytes": decode_bytes,
        "decode_macs": decode_macs,
        "prefill_bytes": prefill_bytes,
        "prefill_macs": prefill_macs,
    }
