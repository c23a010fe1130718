"""Collectives between chips: a latency and a bandwidth term each."""

from __future__ import annotations

import numpy as np

from cost_models.performance.serving_stack import Software
from cost_models.silicon.machine import Machine
from cost_models.table import FloatArray, Number


def all_reduce_s(size_bytes: Number, chips: Number, machine: Machine, software: Software) -> FloatArray:
    """Return the time to sum a buffer over all chips; 0 for one chip, infinite without a link.

    base + (p-2) hop + 2 (p-1)/p S / (share W): the latency-bandwidth model of ring all-reduce
    (Thakur, Rabenseifner, Gropp 2005, section 3) with a measured floor in place of 2 (p-1) alpha.

    Args:
        size_bytes: buffer on each chip.
        chips: chips that take part.
        machine: one of them.
        software: stack parameters.
    """
    chips = np.asarray(chips, dtype=np.float64)
    return _collective_s(size_bytes, 2 * (chips - 1) / chips, chips, machine, software)


def all_gather_s(size_bytes: Number, chips: Number, machine: Machine, software: Software) -> FloatArray:
    """Return the time until every chip has the whole of a buffer of which each held an equal part.

    Each chip receives (p-1)/p of it.
    """
    chips = np.asarray(chips, dtype=np.float64)
    return _collective_s(size_bytes, (chips - 1) / chips, chips, machine, software)


def all_to_all_s(sent_bytes: Number, exchanges: Number, machine: Machine, software: Software) -> FloatArray:
    """Return the time of exchanges in which each chip sends others different data; 0 for none.

    All chips send at once, so that a floor per exchange does not grow with their number.

    Args:
        sent_bytes: what each chip sends in all of them.
        exchanges: their number.
        machine: one of the chips.
        software: stack parameters.
    """
    sent, times = np.asarray(sent_bytes, dtype=np.float64), np.asarray(exchanges, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        moving = sent / (machine.link_bytes_per_s * software.collective_fraction)
    return np.where(times > 0, times * software.exchange_base_s + np.where(sent > 0, moving, 0.0), 0.0)


def send_s(size_bytes: Number, machine: Machine, software: Software) -> FloatArray:
    """Return the time to hand a buffer to the next chip of a pipeline."""
    return _collective_s(size_bytes, 1.0, np.full(1, 2.0), machine, software)


def die_exchange_bytes(size_bytes: Number, machine: Machine) -> FloatArray:
    """Return what all dies of a chip send to each other so that each has the sum of their buffers: 2 (p - 1) S."""
    return np.asarray(size_bytes * (2 * (machine.dies - 1)))


def die_all_reduce_s(size_bytes: Number, machine: Machine) -> FloatArray:
    """Return the time to sum a buffer over the dies of a chip; 0 for one die.

    2 (p - 1) steps round a ring, each S / (p W) and the step's own time (Thakur, Rabenseifner, Gropp 2005, section 3):
    dies of a package exchange by hardware, without what software between chips takes.

    Args:
        size_bytes: buffer on each die.
        machine: the chip.
    """
    size, dies = np.asarray(size_bytes, dtype=np.float64), machine.dies
    with np.errstate(divide="ignore", invalid="ignore"):
        seconds = 2 * (dies - 1) * (machine.die_step_s + size / (dies * machine.die_link_bytes_per_s))
    return np.where((size > 0) & (dies > 1), seconds, 0.0)


def _collective_s(
    size_bytes: Number, crossings: Number, chips: FloatArray, machine: Machine, software: Software
) -> FloatArray:
    """Return base + hops + traffic, 0 where there is nothing to do, infinite where there is no link."""
    traffic = np.asarray(size_bytes * np.asarray(crossings), dtype=np.float64)
    if not traffic.any():
        return np.zeros_like(traffic)
    further = np.maximum(chips - 2, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        moving = traffic / (machine.link_bytes_per_s * software.collective_fraction) * _rivals(chips, machine)
    floor = software.collective_base_s + machine.link_added_s
    floor = floor + further * (software.collective_hop_s + machine.link_hop_s)
    return np.where(traffic > 0, floor + moving, 0.0)


def _rivals(chips: FloatArray, machine: Machine) -> FloatArray:
    """Return by how much traffic is slower where more than two chips share what lies between them, (p / 2)^x."""
    if not machine.link_rivalry.any():
        return np.ones(1)
    return np.asarray(np.maximum(chips / 2, 1.0) ** machine.link_rivalry)
