"""Time of an operator: the longest of moving, computing and dequantizing, plus what a kernel costs by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np

from cost_models.performance.interconnect import all_reduce_s, all_to_all_s, device_of, die_all_reduce_s
from cost_models.performance.serving_stack import Software
from cost_models.silicon.machine import Arrays, Machine
from cost_models.table import FloatArray, Number, as_rows, positive
from cost_models.tape import asarray
from cost_models.workload.formats import Formats
from cost_models.workload.operators import Operators

OfClass: TypeAlias = "Number | Callable[[], Number]"
"""The value of a class of operators, or what works it out."""

ROTATED_INPUTS = ("attention_out", "ffn_down", "shared_experts", "experts", "state_out")
"""Operators whose inputs no rotation of the weights before them reaches, by the beginning of their names."""


@dataclass(frozen=True)
class OperatorTime:
    """Where the time of each operator goes; every field ``(ops, n)``, seconds or bytes per execution.

    Attributes:
        memory_s: bytes over delivered bandwidth.
        arithmetic_s: multiply-accumulates over delivered rate, idle rows of tiles and dequantizing weights included, or
            what the vector units do meanwhile where that takes longer.
        dequantize_s: stored weights over the decoder's rate.
        non_overlapped_s: what the shorter of memory and arithmetic adds because the longer does not hide all of it.
        kernel_s: cost of the kernels by themselves.
        collective_s: all-reduce over dies and chips, and all-to-all exchanges, afterwards.
        dram_bytes: bytes through the memory interface.
        weight_bytes: stored weight bytes among them.
        link_bytes: bytes that each chip sends.
        near_bytes: bytes that are read and multiplied beside the banks instead; 0 where the operator is the chip's.
        least_s: roofline where that is least, on the chip or beside the banks; 0 where no memory may multiply.
    """

    memory_s: FloatArray
    arithmetic_s: FloatArray
    dequantize_s: FloatArray
    non_overlapped_s: FloatArray
    kernel_s: FloatArray
    collective_s: FloatArray
    dram_bytes: FloatArray
    weight_bytes: FloatArray
    link_bytes: FloatArray
    near_bytes: FloatArray
    least_s: FloatArray

    @property
    def total_s(self) -> FloatArray:
        """Time of one execution."""
        total = np.maximum(self.memory_s, self.arithmetic_s)
        if self.dequantize_s.any():
            total = np.maximum(total, self.dequantize_s)
        for extra in (self.non_overlapped_s, self.kernel_s, self.collective_s):
            if extra.any():
                total = total + extra
        return total


def by_class(
    operators: Operators, *, linear: OfClass, head: OfClass, attention: OfClass, expert: OfClass | None = None
) -> FloatArray:
    """Return ``(ops, n)`` the value of each operator's class; experts are as linear layers unless told otherwise.

    What is told as a function is worked out once, and only if an operator is of the class.
    """
    told = {"linear": linear, "expert": linear if expert is None else expert, "head": head, "attention": attention}
    values = {
        name: np.atleast_1d(value() if callable(value) else value)
        for name, value in told.items()
        if name in operators.classes
    }
    return as_rows(*[values[name] for name in operators.classes])


def activation_element_bytes(operators: Operators, formats: Formats) -> FloatArray:
    """Return ``(ops, n)`` bytes of an activation that an operator reads or writes."""

    @cache
    def narrow() -> FloatArray:
        return asarray(formats.activation_bits) / 8

    return by_class(operators, linear=narrow, head=narrow, attention=lambda: asarray(formats.wide_bits) / 8)


def rotations(operators: Operators, formats: Formats) -> FloatArray:
    """Return ``(ops, n)`` 1 where the inputs of an operator are rotated while the model runs, else 0.

    A rotation of the residual stream is folded into the weights on either side; what comes out of attention or of a
    gated product is rotated on the way (QuaRot, arXiv 2404.00456, section 4).
    """
    online = [[float(name.startswith(ROTATED_INPUTS))] for name in operators.names]
    return asarray(online) * formats.rotated


def rotation_macs(operators: Operators, formats: Formats) -> FloatArray:
    """Return ``(ops, n)`` additions of a fast Hadamard transform, log2 w for each element of rows as wide as w.

    Elements that an operator writes are counted with those that it reads, which are more than half of them.
    """
    wide = operators.activations / np.maximum(operators.rows, 1.0)
    return rotations(operators, formats) * operators.activations * np.log2(np.maximum(wide, 1.0))


def decode_attention_fraction(queries: Number, machine: Machine, software: Software, formats: Formats) -> FloatArray:
    """Return the share of the arithmetic rate that attention of one query position per sequence reaches.

    Vector units serve any query, each of which may read keys and values anew from the memory on the chip. Queries that
    share a KV head (a group, or all heads of MLA) fill rows of a matrix tile as the tokens of a prompt do:
    g / (t ceil(g / t)) of what prompts reach. The better of the two is taken.
    """
    queries = asarray(queries, dtype=np.float64)
    filled = queries / (software.attention_rows * np.ceil(queries / software.attention_rows))
    vector = software.decode_attention_compute_efficiency
    if not (software.cache_read_gbps >= 1e9).all():
        again = software.cache_read_gbps * 1e9 / (asarray(formats.kv_bits) / 8) / (1 - 1 / np.maximum(queries, 1.001))
        rate = machine.attention_mac_per_s
        vector = np.where(np.isfinite(rate), np.minimum(vector, again / rate), vector)
    tiled = (software.attention_group == 0) | (queries == software.attention_group)
    return asarray(np.maximum(vector, software.attention_compute_efficiency * filled * tiled))


def row_slots(rows: Number, software: Software) -> FloatArray:
    """Return the row slots that a GEMM of M rows occupies: t ceil(M / t), or M where vector kernels serve so few."""
    rows = asarray(rows)
    tiled = software.tile_rows * np.ceil(rows / software.tile_rows)
    return asarray(np.where(rows <= software.vector_rows, rows, tiled))


def expert_slots(rows: Number, software: Software) -> FloatArray:
    """Return the mean row slots of routed experts that get M rows each in the mean.

    Rows of an expert are random, so that half of its last tile of t is idle: the larger of t and M + t / 2.
    Kernels choose the tile nearest to M between two sizes.
    """
    rows = asarray(rows)
    tile = np.clip(rows, software.expert_rows, np.maximum(software.expert_most_rows, software.expert_rows))
    tiled = np.maximum(tile, rows + tile / 2)
    return asarray(np.where(rows <= software.vector_rows, rows, np.where(software.expert_rows > 1, tiled, rows)))


def tensors_of(operators: Operators) -> tuple[str, ...]:
    """Return which tensor each operator reads: "dense", "experts", "head", "state", the KV "cache" or its "index".

    The index is read by what scores keys and has no outputs as wide as queries.
    """
    of_class = {"linear": "dense", "expert": "experts", "head": "head"}
    states, outputs = (np.atleast_1d(each.any(axis=1)) for each in (operators.state_bytes, operators.row_elements))
    return tuple(
        of_class.get(name, "state" if state else "cache" if output else "index")
        for name, state, output in zip(operators.classes, states, outputs, strict=True)
    )


def of_tensors(operators: Operators, values: Mapping[str, FloatArray]) -> FloatArray:
    """Return ``(ops, n)`` the value of the tensor that each operator reads."""
    return as_rows(*[values[name] for name in tensors_of(operators)])


def memory_slowdown(operators: Operators, machine: Machine) -> Number:
    """Return ``(ops, n)`` how much longer a byte takes than in the first memory; 1 where nothing lies elsewhere."""
    return 1.0 if machine.placement is None else of_tensors(operators, machine.placement.slowdown)


def stored_weight_bytes(operators: Operators, formats: Formats) -> FloatArray:
    """Return ``(ops, n)`` the stored bytes of the weights that each operator reads."""
    stored = by_class(
        operators,
        linear=lambda: asarray(formats.weight_bits) / 8,
        expert=lambda: asarray(formats.stored_expert_bits) / 8,
        head=lambda: asarray(formats.head_bits) / 8,
        attention=0.0,
    )
    return operators.weights * stored


def cached_bytes(operators: Operators, formats: Formats) -> FloatArray:
    """Return ``(ops, n)`` the bytes of keys and values that each operator reads and writes."""
    return operators.kv_elements * (asarray(formats.kv_bits) / 8)


def _bytes_moved(
    operators: Operators, machine: Machine, software: Software, formats: Formats
) -> tuple[FloatArray, FloatArray]:
    """Return bytes through the memory interface and the stored weight bytes among them, both ``(ops, n)``.

    Weights and KV cache are read once; activations go through memory as far as they exceed the SRAM. A GEMM too
    large for the SRAM re-reads tiles: at least 2 MACs / sqrt(S) elements cross the chip's edge for S elements of
    SRAM (Hong and Kung 1981; Irony, Toledo, Tiskin 2004). Attention holds as many query rows with their outputs as a
    half of the SRAM has room for, and reads the keys and values that they meet once for all of them (FlashAttention,
    arXiv 2205.14135, theorem 2). A stack without such tiles writes the score of each pair of a query and a key, and
    reads it again, ``score_passes`` times in all.
    """
    weight_bytes = stored_weight_bytes(operators, formats)
    element_bytes = activation_element_bytes(operators, formats)
    held = operators.activations * element_bytes
    # Where every chip holds all activations there is nothing to add, and most decode steps are so.
    spills = np.max(held, initial=0.0) > np.min(machine.sram_bytes, initial=np.inf)
    once = weight_bytes + np.maximum(held - machine.sram_bytes, 0) if spills else weight_bytes
    attention = asarray(operators.kv_elements.any(axis=1))
    if attention.any():
        once = once + cached_bytes(operators, formats)
    if operators.state_bytes.any():
        once = once + operators.state_bytes
    matrices = ~np.array([name == "attention" for name in operators.classes])
    if matrices.any():
        tiled = operators.macs * matrices[:, None] * (2 * element_bytes**1.5 / np.sqrt(machine.sram_bytes))
        once = np.maximum(once, tiled)
    if attention.any():
        held_rows = machine.sram_bytes / (2 * np.maximum(operators.row_elements, 1.0) * element_bytes)
        read = operators.macs * attention[:, None] * (asarray(formats.kv_bits) / 8) / held_rows
        once = np.maximum(once, read)
        if software.score_passes.any():
            scores = operators.macs * attention[:, None] / np.maximum(operators.row_elements, 1.0)
            once = once + scores * element_bytes * software.score_passes
    return once, weight_bytes


def _seconds_per_byte(operators: Operators, machine: Machine, software: Software, formats: Formats) -> FloatArray:
    """Return the inverse of the bandwidth that each operator's kernel reaches on large operands.

    Kernels that keep few loads in flight stop at the rate that latency allows, however fast the memory
    (Little's law), which is why simple kernels stream an LPDDR or GDDR part fully and half of an HBM part.
    """
    delivered = machine.bandwidth_bytes_per_s * machine.stream_efficiency
    dequantized = 1 / software.dequantize_bandwidth_efficiency - 1

    def rate(efficiency: FloatArray) -> FloatArray:
        return np.minimum(delivered * efficiency, software.stream_limit_gbps * 1e9)

    @cache
    def full() -> FloatArray:
        return rate(software.bandwidth_efficiency)

    return by_class(
        operators,
        linear=lambda: (1 + asarray(formats.dequantized) * dequantized) / full(),
        head=lambda: 1 / full(),
        attention=lambda: 1 / rate(software.attention_bandwidth_efficiency),
    )


def _seconds_per_mac(
    operators: Operators, machine: Machine, software: Software, formats: Formats, *, attention_fraction: Number
) -> FloatArray:
    """Return the inverse of the rate that each operator's kernel reaches on large operands.

    GEMMs lose a further share each time the operand width halves: the peak doubles, the feeding of it does not.
    Kernels that multiply routed experts together reach a share of that, by the format of their operands.
    """

    @cache
    def linear() -> FloatArray:
        halvings = np.log2(16 / np.minimum(asarray(formats.operand_bits, dtype=np.float64), 16))
        dequantized = 1 / software.dequantize_compute_efficiency - 1
        narrow = np.where(halvings > 0, software.narrow_gemm_efficiency**halvings, 1.0)
        return asarray(
            (1 + asarray(formats.dequantized) * dequantized)
            / (machine.linear_mac_per_s * software.gemm_efficiency * narrow)
        )

    return by_class(
        operators,
        linear=linear,
        expert=lambda: linear() / _expert_efficiency(software, formats),
        head=lambda: 1 / (machine.head_mac_per_s * software.gemm_efficiency),
        attention=lambda: 1 / (machine.attention_mac_per_s * attention_fraction),
    )


def _expert_efficiency(software: Software, formats: Formats) -> FloatArray:
    """Return the share of a dense GEMM's rate that kernels of routed experts reach beyond their tiles."""
    direct = np.where(asarray(formats.scaled_blocks) > 0, software.expert_block_efficiency, software.expert_efficiency)
    return np.where(asarray(formats.dequantized) > 0, software.expert_dequantize_efficiency, direct)


def dequantize_work_macs(operators: Operators, machine: Machine) -> FloatArray:
    """Return ``(ops, n)`` multiply-accumulates spent on expanding body weights, once per tile of rows."""
    tiles = np.ceil(np.maximum(operators.rows, 1.0) / machine.dequantize_rows)
    return asarray(operators.of_class("linear") * operators.weights * tiles * machine.dequantize_macs)


def vector_work(operators: Operators, machine: Machine, formats: Formats) -> FloatArray:
    """Return ``(ops, n)`` operations of vector units, special functions counted as those that they take."""
    work = operators.vector_ops + operators.special_functions * machine.special_function_ops
    if np.any(formats.cache_unpack_ops):
        work = work + operators.kv_elements * formats.cache_unpack_ops
    return asarray(work)


def vector_s(operators: Operators, machine: Machine, software: Software, formats: Formats) -> FloatArray:
    """Return ``(ops, n)`` the time of what the vector units do; they are fed as the arrays are."""
    return vector_work(operators, machine, formats) * (1 / (machine.vector_ops_per_s * software.gemm_efficiency))


def array_slots(operators: Operators, arrays: Arrays) -> FloatArray:
    """Return ``(ops, n)`` the multiply-accumulate slots that GEMMs take on systolic arrays of R x C units.

    Weights stay: each of ceil(K / R) ceil(N / C) tiles takes as many cycles as rows pass it, M, and at least R, in
    which the next tile's weights enter. Outputs stay: each of ceil(M / R) ceil(N / C) tiles takes K cycles, and at
    least R, in which outputs leave. Tiles are dealt to the arrays, and one is filled first and emptied last, R + C (as
    in SCALE-Sim, Samajdar et al., 2018). Operators that fuse matrices of unlike shapes are not rounded up in K and N.

    Args:
        operators: matrices; of others the result means nothing.
        arrays: their shape.
    """
    rows, columns = arrays.rows, np.minimum(arrays.columns, np.maximum(arrays.macs / arrays.rows, 1.0))
    number = np.maximum(np.floor(arrays.macs / (rows * columns)), 1.0)
    m, depth = np.maximum(operators.rows, 1.0), operators.depth
    known = depth > 0
    k = np.where(known, depth, 1.0)
    width = operators.weights / k
    across = np.where(known, np.ceil(width / columns), width / columns)
    weights_stay = np.where(known, np.ceil(k / rows), 1 / rows) * across
    outputs_stay = np.ceil(m / rows) * across
    tiles = np.where(arrays.outputs_stay > 0, outputs_stay, weights_stay)
    each = np.maximum(np.where(arrays.outputs_stay > 0, k, m), rows)
    turns = np.where(known, np.ceil(tiles / number), tiles / number)
    # Where the shape is not known, outputs of one depth stand for all: their cycles are weights over columns.
    cycles = np.where((arrays.outputs_stay > 0) & ~known, turns, turns * each)
    return asarray((cycles + rows + columns) * arrays.macs)


def _slots(operators: Operators, machine: Machine, software: Software, formats: Formats) -> FloatArray:
    """Return multiply-accumulate slots taken: whole tiles of rows, and the dequantizing weights per tile of rows."""
    rows = np.maximum(operators.rows, 1.0)
    matrices = np.array([[name != "attention"] for name in operators.classes])
    slots = np.where(matrices, operators.macs * (row_slots(rows, software) / rows), operators.macs)
    routed = np.array([[name == "expert"] for name in operators.classes])
    if routed.any():
        slots = np.where(routed, operators.macs * (expert_slots(rows, software) / rows), slots)
    if machine.arrays is not None:
        told = matrices & ~np.isnan(machine.arrays.rows)
        slots = np.where(told, array_slots(operators, machine.arrays), slots)
    if np.any(asarray(formats.dequantized) > 0):
        passes = np.ceil(rows / software.dequantize_rows)
        linear = operators.of_class("linear") * formats.dequantized
        slots = slots + linear * operators.weights * passes * software.dequantize_macs
    if machine.dequantize_macs.any():
        slots = slots + dequantize_work_macs(operators, machine)
    if np.any(formats.rotated):
        slots = slots + rotation_macs(operators, formats)
    return slots


def time_operators(
    operators: Operators,
    machine: Machine,
    software: Software,
    formats: Formats,
    *,
    chips: Number,
    attention_fraction: Number,
    replicas: Number = 1.0,
) -> OperatorTime:
    """Return where the time of each operator goes on one of `chips` chips that share it.

    time = larger + s smaller + kernels t_0 + all-reduce, of bytes / (e_m W) and MAC slots / (e_c P)
    (Williams, Waterman, Patterson 2009, with measured efficiencies and a floor per kernel); s is the share of the
    shorter that the longer does not hide. A floor per kernel is a bandwidth that grows with the bytes in flight:
    B / t = e_m W B / (B + t_0 e_m W).

    Args:
        operators: amounts on the most-loaded chip.
        machine: the chip.
        software: stack parameters.
        formats: stored bits.
        chips: chips that share every operator.
        attention_fraction: share of the arithmetic rate that attention reaches in this phase.
        replicas: groups of such chips that share routed experts.
    """
    dram_bytes, weight_bytes = _bytes_moved(operators, machine, software, formats)
    memory_s = dram_bytes * _seconds_per_byte(operators, machine, software, formats)
    if machine.placement is not None:
        memory_s = memory_s * memory_slowdown(operators, machine)
    arithmetic_s = _slots(operators, machine, software, formats) * _seconds_per_mac(
        operators, machine, software, formats, attention_fraction=attention_fraction
    )
    if not np.isposinf(machine.vector_ops_per_s).all():
        # Vector units work beside the array, tile by tile: the slower of the two counts.
        arithmetic_s = np.maximum(arithmetic_s, vector_s(operators, machine, software, formats))
    body_bytes = weight_bytes * operators.of_class("linear")
    reduced_bytes = operators.reduced * (asarray(formats.exchanged_bits) / 8)
    kernels = operators.kernels + rotations(operators, formats) if np.any(formats.rotated) else operators.kernels
    shared = asarray(chips, dtype=np.float64) * machine.devices
    device = device_of(machine)
    collective_s = all_reduce_s(reduced_bytes * (shared > 1), shared, device, software)
    if (machine.dies > 1).any():
        collective_s = collective_s + die_all_reduce_s(reduced_bytes, machine)
    link_bytes = reduced_bytes * (2 * machine.devices * (shared - 1) / shared)
    if operators.exchanges.any():
        operand_bits = np.minimum(asarray(formats.operand_bits), formats.exchanged_bits)
        sent = (operators.exchanged * asarray(formats.exchanged_bits) + operators.dispatched * operand_bits) / 8
        moving = all_to_all_s(sent, operators.exchanges, machine, software, chips=asarray(chips) * replicas)
        exposed = moving * software.exchange_exposed_fraction
        collective_s, link_bytes = collective_s + exposed, link_bytes + sent
    is_free, none = bool(np.isposinf(machine.dequantize_bytes_per_s).all()), np.zeros((len(body_bytes), 1))
    return OperatorTime(
        memory_s=memory_s,
        arithmetic_s=arithmetic_s,
        dequantize_s=none if is_free else body_bytes / machine.dequantize_bytes_per_s,
        non_overlapped_s=np.minimum(memory_s, arithmetic_s) * software.non_overlapped_fraction,
        kernel_s=kernels * (software.kernel_s * software.kernels_launched),
        collective_s=collective_s,
        dram_bytes=dram_bytes,
        weight_bytes=body_bytes,
        link_bytes=link_bytes,
        near_bytes=none,
        least_s=none,
    )


def roofline_s(operators: Operators, times: OperatorTime, machine: Machine) -> FloatArray:
    """Return ``(ops, n)`` the least time of an execution where it runs: all bytes or all MACs at peak rate."""
    there = times.near_bytes > 0
    near, chip_macs = machine.near, np.where(there, 0.0, operators.macs)
    least = np.maximum(
        times.dram_bytes * memory_slowdown(operators, machine) / machine.bandwidth_bytes_per_s,
        chip_macs
        / by_class(
            operators,
            linear=machine.linear_mac_per_s,
            head=machine.head_mac_per_s,
            attention=machine.attention_mac_per_s,
        ),
    )
    if near is None:
        return least
    rate = by_class(
        operators,
        linear=near.linear_mac_per_s,
        expert=near.expert_mac_per_s,
        head=near.head_mac_per_s,
        attention=near.attention_mac_per_s,
    )
    return np.maximum(
        np.maximum(least, times.near_bytes / positive(near.bytes_per_s, np.inf)),
        (operators.macs - chip_macs) / positive(rate, np.inf),
    )
