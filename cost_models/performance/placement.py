"""Which tensors lie in which of two memories, so that a decode step spends the least time reading.

Reads of an operator come from one memory and then from the other, so that times add: a step spends the sum over
tensors of bytes read x ((1 - x) / W1 + x / W2), x the share of the tensor in the second memory. With capacities as
bounds this is a linear program whose optimum is greedy: tensors by bytes read per byte held, the most read first, fill
the faster memory and then the slower one (a transportation problem with costs d_k s_t, whose Monge property makes the
sorted assignment optimal; Dantzig's fractional knapsack, 1957, where the slower one holds everything). What is written
at every step goes to a memory that can be written, before anything else takes its room there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cost_models.performance.phases import PhaseTime, decode_phase
from cost_models.performance.roofline import tensors_of
from cost_models.performance.serving_stack import Software
from cost_models.silicon.machine import Machine, Placement
from cost_models.table import FloatArray, Number, as_rows, positive
from cost_models.workload.formats import Formats
from cost_models.workload.hotness import hotness
from cost_models.workload.serving import ServingConfig, held_tensors, layers_held

WRITTEN = ("cache", "index", "state", "activations")
"""Tensors that every step writes."""


def second_fractions(
    held: FloatArray,
    read: FloatArray,
    written: FloatArray,
    *,
    capacities: tuple[FloatArray, FloatArray],
    seconds_per_byte: tuple[FloatArray, FloatArray],
    read_mostly: FloatArray,
) -> FloatArray:
    """Return ``(tensors, n)`` the share of each tensor in the second memory that reads all in the least time.

    Args:
        held: ``(tensors, n)`` bytes.
        read: ``(tensors, n)`` bytes of them that a step reads or writes.
        written: ``(tensors, 1)`` 1 where a step writes them.
        capacities: of the first memory and of the second, ``(n,)``; what exceeds both is counted in neither.
        seconds_per_byte: of the first and of the second.
        read_mostly: 1 where the second holds nothing that is written.
    """
    bound = written * read_mostly
    first = np.maximum(capacities[0] - (held * bound).sum(axis=0), 0.0)
    free = held * (1 - bound)
    # What holds nothing comes last, and takes no room.
    order = np.argsort(-read / positive(held), axis=0, kind="stable")
    ends = np.cumsum(np.take_along_axis(free, order, axis=0), axis=0)
    starts = np.concatenate([np.zeros((1, ends.shape[1])), ends[:-1]])
    # The second memory takes a stretch of the tensors in their order: before the first's or behind it.
    ahead = seconds_per_byte[1] < seconds_per_byte[0]
    low = np.where(ahead, 0.0, first)
    high = np.where(ahead, capacities[1], first + capacities[1])
    there = np.maximum(np.minimum(ends, high) - np.maximum(starts, low), 0.0)
    amounts = np.take_along_axis(there, np.argsort(order, axis=0, kind="stable"), axis=0)
    return np.where(held > 0, np.minimum(amounts / positive(held), 1.0), 0.0)


def read_by_tensor(step: PhaseTime, names: tuple[str, ...]) -> dict[str, FloatArray]:
    """Return the bytes that a decode step moves of each tensor, over all layers."""
    amounts = (step.times.dram_bytes + step.times.near_bytes) * step.operators.times
    moved, tensors = amounts, tensors_of(step.operators)
    nothing = np.zeros(moved.shape[1])
    return {
        name: sum((row for row, tensor in zip(moved, tensors, strict=True) if tensor == name), nothing)
        for name in names
    }


def placed(
    serving: ServingConfig,
    machine: Machine,
    software: Software,
    formats: Formats,
    *,
    chunk_rows: Number,
    before: Placement | None = None,
) -> Machine:
    """Return a machine whose two memories hold the tensors of a workload so that a decode step reads them fastest.

    What a step moves of each tensor is what its operators move; an embedding, of which it reads a few rows, and room
    for the activations of a prefill come last. A prefill reads where the decode step wants things to lie, and what it
    spills lies beside the weights it meets. Where some experts are hotter than others, they are placed by how hot they
    are (`hotness`).

    Args:
        serving: the workload.
        machine: one of its chips, with a second memory.
        software: the stack.
        formats: stored bits.
        chunk_rows: most rows that a prefill takes through the layers together.
        before: another model that has taken its place on the same chip.
    """
    assert machine.second is not None
    held = held_tensors(serving, formats, chunk_rows=chunk_rows)
    names, second = tuple(held), machine.second
    read = read_by_tensor(decode_phase(serving, machine, software, formats), names)
    read = {name: amount * layers_held(serving) for name, amount in read.items()}
    first_s = 1 / (machine.bandwidth_bytes_per_s * machine.stream_efficiency)
    second_s = 1 / positive(second.bytes_per_s)
    left = (machine.capacity_bytes - second.capacity_bytes, second.capacity_bytes)
    if before is not None:
        drafts = 1.0 if serving.speculation is None else serving.speculation.drafts
        there = drafts * sum(amount * before.second_fraction[name] for name, amount in before.held_bytes.items())
        here = drafts * sum(before.held_bytes.values()) - there
        left = np.maximum(left[0] - here, 0.0), np.maximum(left[1] - there, 0.0)
    hot = hotness(serving.model, serving.hottest_fifth, read["experts"] / positive(held["experts"]))
    shares = {name: hot if name == "experts" else np.ones((1, 1)) for name in names}
    rows = [(name, share) for name in names for share in shares[name]]
    fractions = second_fractions(
        as_rows(*[held[name] / len(shares[name]) for name, _ in rows]),
        as_rows(*[read[name] * share for name, share in rows]),
        np.array([[float(name in WRITTEN)] for name, _ in rows]),
        capacities=left,
        seconds_per_byte=(first_s, second_s),
        read_mostly=second.read_mostly,
    )
    of_tensor = {name: fractions[[name == one for one, _ in rows]] for name in names}
    reads = {name: (fraction * shares[name]).sum(axis=0) for name, fraction in of_tensor.items()}
    slower = np.where(second.bytes_per_s > 0, second_s / first_s, 1.0)
    return replace(
        machine,
        placement=Placement(
            held_bytes=held,
            read_bytes=read,
            second_fraction={name: fraction.mean(axis=0) for name, fraction in of_tensor.items()},
            second_reads=reads,
            slowdown={name: 1 + x * (slower - 1) for name, x in reads.items()},
            added_j_per_byte={name: x * (second.j_per_byte - machine.dram_j_per_byte) for name, x in reads.items()},
        ),
    )
