"""Operators that run beside the banks of the memory, where that is faster than on the chip.

A product there reads its weights, or keys and values, at the rate of all banks at once, and multiplies each operand
with one row of activations meanwhile: r rows take r times as long, while the chip reads once for all of them. Inputs go
to every channel over the pins and results come back. Scores of attention come back for the softmax and return as its
weights. Norms, activations and softmax stay on the chip, beside that.
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from cost_models.performance.roofline import (
    OperatorTime,
    activation_element_bytes,
    by_class,
    cached_bytes,
    of_tensors,
    roofline_s,
    stored_weight_bytes,
    vector_s,
)
from cost_models.performance.serving_stack import Software
from cost_models.silicon.machine import Machine
from cost_models.table import FloatArray, positive
from cost_models.tape import asarray
from cost_models.workload.formats import Formats
from cost_models.workload.operators import Operators


def near_times(
    operators: Operators, on_chip: OperatorTime, machine: Machine, software: Software, formats: Formats
) -> tuple[OperatorTime, NDArray[np.bool_]]:
    """Return where the time of each operator goes beside the banks, and ``(ops, n)`` which can run there.

    Those can whose format the units multiply, and whose operands lie in the first memory as a whole; states, which are
    written at every step, cannot.

    Args:
        operators: amounts on the most-loaded chip.
        on_chip: the same operators on the chip; launches and exchanges between chips are alike.
        machine: the chip and its memory, with units beside the banks in some rows.
        software: stack parameters.
        formats: stored bits.
    """
    near = machine.near
    assert near is not None
    same = asarray(formats.stored_expert_bits) == asarray(formats.weight_bits)
    rate = by_class(
        operators,
        linear=near.linear_mac_per_s,
        expert=near.expert_mac_per_s * same,
        head=near.head_mac_per_s,
        attention=near.attention_mac_per_s,
    )
    read = stored_weight_bytes(operators, formats) + cached_bytes(operators, formats)
    # What scores keys and shows no output as wide as a query's has a top-k to find, on the chip.
    scored = (operators.kv_elements == 0) | (operators.row_elements > 0)
    can = (rate > 0) & (read > 0) & (operators.state_bytes == 0) & scored
    if machine.placement is not None:
        can = can & (of_tensors(operators, machine.placement.second_fraction) == 0)
    through = _bus_bytes(operators, machine, formats)
    pins = machine.bandwidth_bytes_per_s * machine.stream_efficiency * software.bandwidth_efficiency
    reading = np.maximum(read / positive(near.bytes_per_s, np.inf), operators.macs / positive(rate, np.inf))
    memory_s = operators.kernels * near.start_s + through / pins + reading
    beside = vector_s(operators, machine, software, formats)
    shape = np.broadcast_shapes(memory_s.shape, can.shape)
    nothing = np.zeros((len(operators.names), 1))
    times = replace(
        on_chip,
        memory_s=memory_s,
        arithmetic_s=beside,
        dequantize_s=nothing,
        non_overlapped_s=np.minimum(memory_s, beside) * software.non_overlapped_fraction,
        dram_bytes=through,
        weight_bytes=nothing,
        near_bytes=np.broadcast_to(read, shape),
    )
    return times, np.broadcast_to(can, shape)


def faster(
    operators: Operators,
    machine: Machine,
    on_chip: OperatorTime,
    near: OperatorTime,
    chosen: NDArray[np.bool_],
    on_chip_s: FloatArray,
    near_s: FloatArray,
) -> tuple[OperatorTime, FloatArray]:
    """Return the times of operators, those beside the banks where they are faster and can run there, and their sums.

    The least time is that of the better place for each, chosen or not, so that more of anything never raises it.

    Args:
        operators: amounts on the most-loaded chip.
        machine: the chip and its memory.
        on_chip: times on the chip.
        near: times beside the banks.
        chosen: ``(ops, n)`` which can run there.
        on_chip_s: time of each on the chip.
        near_s: time of each beside the banks.
    """
    there = chosen & (near_s < on_chip_s)
    least_s = roofline_s(operators, on_chip, machine)
    least_s = np.where(chosen, np.minimum(least_s, roofline_s(operators, near, machine)), least_s)
    if not there.any():
        return replace(on_chip, least_s=least_s), on_chip_s
    picked = {
        one.name: np.where(there, getattr(near, one.name), getattr(on_chip, one.name)) for one in fields(OperatorTime)
    }
    return OperatorTime(**{**picked, "least_s": least_s}), np.where(there, near_s, on_chip_s)


def _bus_bytes(operators: Operators, machine: Machine, formats: Formats) -> FloatArray:
    """Return the bytes over the pins: inputs once per channel and results; queries, scores both ways and outputs.

    Outputs of a product are dealt to the channels, so that each is told all inputs; where the depth of a product is not
    known, half of what it reads and writes are inputs. KV heads and sequences are dealt out, with their own queries.
    """
    assert machine.near is not None
    element_bytes = activation_element_bytes(operators, formats)
    moved = operators.activations
    inputs = np.where(operators.depth > 0, np.minimum(operators.depth * operators.rows, moved), moved / 2)
    product = inputs * np.maximum(machine.near.channels, 1.0) + (moved - inputs)
    scores = 2 * operators.macs / np.maximum(operators.row_elements, 1.0)
    attention = np.array([[name == "attention"] for name in operators.classes])
    return asarray(np.where(attention, moved + scores, product) * element_bytes)
