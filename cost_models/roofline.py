"""Time of an operator: the longest of moving, computing and unpacking, plus what a kernel costs by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cost_models.columns import FloatArray, Number
from cost_models.interconnect import all_reduce_s
from cost_models.machine import Machine
from cost_models.software import Software
from cost_models.workload import Operators


@dataclass(frozen=True)
class Formats:
    """Bits of everything that moves, each ``(n,)`` or scalar.

    Attributes:
        weight_bits: stored bits of a body weight, metadata included.
        head_bits: stored bits of embedding, router and head weights.
        kv_bits: stored bits of a KV-cache element.
        activation_bits: bits of an activation between operators.
    """

    weight_bits: Number
    head_bits: Number
    kv_bits: Number
    activation_bits: Number


@dataclass(frozen=True)
class OperatorTime:
    """Where the time of each operator goes; every field ``(ops, n)``, seconds or bytes per execution.

    Attributes:
        memory_s: bytes over delivered bandwidth.
        arithmetic_s: multiply-accumulates over delivered rate.
        unpack_s: stored weights over the decoder's rate.
        kernel_s: cost of the kernels by themselves.
        collective_s: all-reduce afterwards.
        dram_bytes: bytes through the memory interface.
        weight_bytes: stored weight bytes among them.
        link_bytes: bytes that each chip sends.
    """

    memory_s: FloatArray
    arithmetic_s: FloatArray
    unpack_s: FloatArray
    kernel_s: FloatArray
    collective_s: FloatArray
    dram_bytes: FloatArray
    weight_bytes: FloatArray
    link_bytes: FloatArray

    @property
    def total_s(self) -> FloatArray:
        """Time of one execution."""
        busy = np.maximum(np.maximum(self.memory_s, self.arithmetic_s), self.unpack_s)
        return busy + self.kernel_s + self.collective_s


def array_utilisation(rows: Number, tile_rows: Number) -> FloatArray:
    """Return the share of a GEMM's row slots that carry work: M / (t ceil(M / t))."""
    tiles = np.ceil(np.asarray(rows) / tile_rows)
    return np.asarray(rows / (tile_rows * tiles))


def _bytes_moved(operators: Operators, machine: Machine, formats: Formats) -> tuple[FloatArray, FloatArray]:
    """Return bytes through the memory interface and the stored weight bytes among them, both ``(ops, n)``.

    Weights and KV cache are read once; activations go through memory as far as they exceed the SRAM. A GEMM too
    large for the SRAM re-reads tiles: at least 2 MACs / sqrt(S) elements cross the chip's edge for S elements of
    SRAM (Hong and Kung 1981; Irony, Toledo, Tiskin 2004).
    """
    linear, head = operators.of_class("linear"), operators.of_class("head")
    weight_bytes = operators.weights * (linear * formats.weight_bits + head * formats.head_bits) / 8
    element_bytes = np.asarray(formats.activation_bits) / 8
    spilled = np.maximum(operators.activations * element_bytes - machine.sram_bytes, 0)
    once = weight_bytes + operators.kv_elements * (np.asarray(formats.kv_bits) / 8) + spilled
    tiled = operators.macs * (linear + head) * (2 * element_bytes**1.5 / np.sqrt(machine.sram_bytes))
    return np.maximum(once, tiled), weight_bytes


def time_operators(
    operators: Operators, machine: Machine, software: Software, formats: Formats, *, chips: Number
) -> OperatorTime:
    """Return where the time of each operator goes on one of `chips` chips that share it.

    time = max(bytes / (e_m W), MACs / (e_c P), stored weights / decoder rate) + kernels t_0 + all-reduce
    (Williams, Waterman, Patterson 2009, with measured efficiencies and a floor per kernel).
    """
    linear, head = operators.of_class("linear"), operators.of_class("head")
    attention = operators.of_class("attention")
    dram_bytes, weight_bytes = _bytes_moved(operators, machine, formats)
    bandwidth = machine.bandwidth_bytes_per_s * machine.stream_efficiency
    streamed = (linear + head) * software.stream_share + attention * software.attention_stream_share
    seconds_per_mac = (
        linear / (machine.linear_mac_per_s * software.mac_share)
        + head / (machine.head_mac_per_s * software.mac_share)
        + attention / (machine.attention_mac_per_s * software.attention_mac_share)
    )
    tiled = np.where(attention > 0, 1.0, array_utilisation(np.maximum(operators.rows, 1.0), software.tile_rows))
    element_bytes = np.asarray(formats.activation_bits) / 8
    reduced_bytes = operators.reduced * element_bytes
    shared = np.asarray(chips, dtype=np.float64)
    return OperatorTime(
        memory_s=dram_bytes / (streamed * bandwidth),
        arithmetic_s=operators.macs * seconds_per_mac / tiled,
        unpack_s=linear * weight_bytes / machine.unpack_bytes_per_s,
        kernel_s=operators.kernels * software.kernel_s,
        collective_s=all_reduce_s(reduced_bytes * (shared > 1), shared, machine.link_bytes_per_s, software),
        dram_bytes=dram_bytes,
        weight_bytes=weight_bytes * linear,
        link_bytes=reduced_bytes * 2 * (shared - 1) / shared,
    )
