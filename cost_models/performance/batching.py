"""How requests share the chips: a batch at once, in waves, or in flight; and the largest batch that keeps a promise.

Memory only fills and time never falls as a batch grows, so that the largest batch is found by bisection over whole
numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cost_models.library.technology import Technology
from cost_models.silicon.machine import Machine
from cost_models.table import FloatArray, Number
from cost_models.tape import asarray
from cost_models.units import GIB
from cost_models.workload.formats import Formats
from cost_models.workload.serving import ServingConfig, footprint

Batching = Literal["static", "waves", "in_flight", "continuous"]

BATCHINGS: tuple[Batching, ...] = get_args(Batching)
"""A batch that begins and ends together; the same, as many at a time as an engine's memory takes; a steady number of
requests, each of whose prompts joins the decode steps of the others; requests as they
arrive, each joining when its turn comes (`cost_models.performance.continuous`)."""

CONTINUOUS: Batching = "continuous"
"""The way of batching that has users and traffic."""

MAX_DOUBLINGS = 16
"""Batches of up to 2^16 sequences are considered."""


def largest_batch(meets: Callable[[FloatArray], NDArray[np.bool_]]) -> FloatArray:
    """Return the largest whole batch that keeps a promise, 0 where not even one sequence does.

    Args:
        meets: whether a batch does, per row; batches below one that does do as well.
    """
    best = np.where(meets(np.ones(1)), 1.0, 0.0)
    step = 2.0**MAX_DOUBLINGS
    while step >= 1 and best.any():
        tried = np.minimum(best + step, 2.0**MAX_DOUBLINGS)
        best = np.where((best > 0) & meets(tried), tried, best)
        step /= 2
    return best


def batch_that_fits(
    serving: ServingConfig,
    formats: Formats,
    capacity_bytes: FloatArray,
    *,
    chunk_rows: Number,
    read_mostly_bytes: Number = 0.0,
) -> FloatArray:
    """Return the largest batch of a replica whose weights, KV cache and activations the chips hold; 0 where none.

    Args:
        serving: the workload; its own batch has no part in it.
        formats: stored bits.
        capacity_bytes: memory of one chip.
        chunk_rows: most rows that a prefill takes through the layers together.
        read_mostly_bytes: of that memory, what holds weights alone.
    """

    def fits(batch: FloatArray) -> NDArray[np.bool_]:
        part = replace(serving, batch=batch)
        held = footprint(part, formats, chunk_rows=chunk_rows, read_mostly_bytes=read_mostly_bytes)
        return asarray(held.most_loaded_bytes <= capacity_bytes)

    return largest_batch(fits)


def in_waves(
    serving: ServingConfig, machine: Machine, formats: Formats, *, chunk_rows: Number, technology: Technology
) -> FloatArray:
    """Return how many waves a batch takes.

    An engine takes a share of the memory (``serving.memory_fraction``), of which its context and the buffers of
    collectives take their part (``serving.reserved_gib``), and queues the sequences whose cache does not fit beside
    the weights. A batch is left whole where not even one sequence fits that share: something else then holds.

    Args:
        serving: the workload with the whole batch of a replica.
        machine: one of the chips.
        formats: stored bits.
        chunk_rows: most rows that a prefill takes through the layers together.
        technology: parameters.
    """
    share = asarray(technology.value("serving.memory_fraction"))
    reserved = asarray(technology.value("serving.reserved_gib")) * GIB
    room, weights_only = machine.capacity_bytes * share - reserved, machine.read_mostly_bytes
    most = batch_that_fits(serving, formats, room, chunk_rows=chunk_rows, read_mostly_bytes=weights_only)
    return np.where(most >= 1, np.ceil(asarray(serving.batch) / np.maximum(most, 1.0)), 1.0)


def batched(
    serving: ServingConfig, machine: Machine, formats: Formats, mode: Any, *, chunk_rows: Number, technology: Technology
) -> tuple[ServingConfig, FloatArray]:
    """Return the workload with the batch that runs at a time, and how many waves of it there are.

    Args:
        serving: the workload; a batch that is NaN stands for the largest that the memory holds.
        machine: one of the chips.
        formats: stored bits.
        mode: one of `BATCHINGS`, or one per row.
        chunk_rows: most rows that a prefill takes through the layers together.
        technology: parameters.
    """
    batch = asarray(serving.batch)
    unknown, split = np.isnan(batch), asarray(mode) == "waves"
    if unknown.any():
        most = batch_that_fits(
            serving, formats, machine.capacity_bytes, chunk_rows=chunk_rows, read_mostly_bytes=machine.read_mostly_bytes
        )
        batch = np.where(unknown, np.maximum(most, 1.0), batch)
        serving = replace(serving, batch=batch)
    if not split.any():
        return serving, np.ones(1)
    waves = in_waves(serving, machine, formats, chunk_rows=chunk_rows, technology=technology)
    waves = np.where(split & ~unknown, waves, 1.0)
    return replace(serving, batch=batch / waves), waves
