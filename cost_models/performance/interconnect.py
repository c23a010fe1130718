"""Collectives between chips, over their own links and over a network between nodes: a latency and a bandwidth each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cost_models.performance.serving_stack import Software
from cost_models.silicon.machine import Machine, Nodes
from cost_models.table import FloatArray, Number
from cost_models.tape import asarray


@dataclass(frozen=True)
class _Link:
    """What lies between chips: fields as those of `Machine` that begin with ``link_``."""

    bytes_per_s: FloatArray
    added_s: FloatArray
    hop_s: FloatArray
    rivalry: FloatArray
    axes: FloatArray

    def hops(self, chips: FloatArray) -> FloatArray:
        """Return the hops of two chips' or more's collective beyond its first: a (p^(1/a) - 1) on a torus of a axes."""
        if (self.axes == 1).all():
            return chips - 2
        return asarray(np.maximum(self.axes * (chips ** (1 / self.axes) - 1) - 1, 0.0))


def _own(machine: Machine) -> _Link:
    return _Link(
        machine.link_bytes_per_s, machine.link_added_s, machine.link_hop_s, machine.link_rivalry, machine.link_axes
    )


def _network(nodes: Nodes) -> _Link:
    return _Link(nodes.bytes_per_s, nodes.added_s, nodes.hop_s, np.zeros_like(nodes.hop_s), np.ones_like(nodes.hop_s))


def device_of(machine: Machine) -> Machine:
    """Return the links of a chip as one of its devices has them: a part of the bandwidth, more of them in a node."""
    devices, nodes = machine.devices, machine.nodes
    if (devices == 1).all():
        return machine
    if nodes is not None:
        nodes = replace(nodes, chips=nodes.chips * devices, bytes_per_s=nodes.bytes_per_s / devices)
    return replace(machine, link_bytes_per_s=machine.link_bytes_per_s / devices, nodes=nodes)


def spread(chips: Number, nodes: Nodes) -> tuple[FloatArray, FloatArray]:
    """Return (chips of a group in each node, nodes that it spans): as few as hold it, dealt evenly."""
    group = asarray(chips, dtype=np.float64)
    number = np.maximum(np.ceil(group / nodes.chips), 1.0)
    return group / number, number


def all_reduce_s(size_bytes: Number, chips: Number, machine: Machine, software: Software) -> FloatArray:
    """Return the time to sum a buffer over all chips; 0 for one chip, infinite without a link.

    base + (p-2) hop + 2 (p-1)/p S / (share W), fewer hops in a torus: the latency-bandwidth model of ring all-reduce
    (Thakur, Rabenseifner, Gropp 2005, section 3) with a measured floor in place of 2 (p-1) alpha. Chips of m nodes, q
    in each, sum over their node and then each its part S / q with those of the other nodes that hold the same part
    (reduce-scatter, all-reduce, all-gather: BlueConnect, Cho et al., MLSys 2019): one such time for each of the two.

    Args:
        size_bytes: buffer on each chip.
        chips: chips that take part.
        machine: one of them.
        software: stack parameters.
    """
    return _by_levels(size_bytes, chips, machine, software, ways=2.0)


def all_gather_s(size_bytes: Number, chips: Number, machine: Machine, software: Software) -> FloatArray:
    """Return the time until every chip has the whole of a buffer of which each held an equal part.

    Each chip receives (p-1)/p of it.
    """
    return _by_levels(size_bytes, chips, machine, software, ways=1.0)


def _by_levels(size_bytes: Number, chips: Number, machine: Machine, software: Software, *, ways: float) -> FloatArray:
    """Return the time in which (p-1)/p of a buffer passes each chip so many times, within nodes and between them."""
    near = asarray(chips, dtype=np.float64)
    if machine.nodes is None:
        return _collective_s(size_bytes * (ways * (near - 1) / near), near, _own(machine), software)
    near, number = spread(near, machine.nodes)
    within = _collective_s(size_bytes * (ways * (near - 1) / near), near, _own(machine), software)
    between = size_bytes / near * (ways * (number - 1) / number)
    return within + _collective_s(between, number, _network(machine.nodes), software)


def all_to_all_s(
    sent_bytes: Number, exchanges: Number, machine: Machine, software: Software, *, chips: Number = 1.0
) -> FloatArray:
    """Return the time of exchanges in which each chip sends others different data; 0 for none.

    All chips send at once, so that a floor per exchange does not grow with their number. Of p chips, q in each node,
    p - q of p - 1 are reached over the network, at the same time as the others over the chips' own links.

    Args:
        sent_bytes: what each chip sends in all of them.
        exchanges: their number.
        machine: one of the chips.
        software: stack parameters.
        chips: chips among which data are exchanged.
    """
    sent, times = asarray(sent_bytes, dtype=np.float64), asarray(exchanges, dtype=np.float64)
    base, outside = software.exchange_base_s, 0.0 * sent
    if machine.nodes is not None:
        near, number = spread(chips, machine.nodes)
        outside = sent * (near * (number - 1) / np.maximum(near * number - 1, 1.0))
        base = base + np.where(number > 1, machine.nodes.added_s, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        moving = (sent - outside) / (machine.link_bytes_per_s * software.collective_fraction)
        moving = np.where(sent > outside, moving, 0.0)
        if machine.nodes is not None:
            over_network = outside / (machine.nodes.bytes_per_s * software.collective_fraction)
            moving = np.maximum(moving, np.where(outside > 0, over_network, 0.0))
    return np.where(times > 0, times * base + moving, 0.0)


def send_s(
    size_bytes: Number, machine: Machine, software: Software, *, stages: Number = 2.0, chips: Number = 1.0
) -> FloatArray:
    """Return the time to hand a buffer from stage to stage of a pipeline: over the network where the next is elsewhere.

    Args:
        size_bytes: the buffer.
        machine: one of the chips.
        software: stack parameters.
        stages: stages of the pipeline.
        chips: chips of a stage; as many stages stand in a node as it holds whole.
    """
    number, pair = asarray(stages, dtype=np.float64), np.full(1, 2.0)
    each = _collective_s(size_bytes, pair, _own(machine), software)
    if machine.nodes is None:
        return np.where(number > 1, (number - 1) * each, 0.0)
    in_node = np.maximum(np.floor(machine.nodes.chips / asarray(chips)), 1.0)
    crossing = np.ceil(number / in_node) - 1
    outside = _collective_s(size_bytes, pair, _network(machine.nodes), software)
    near = number - 1 - crossing
    return np.where(near > 0, near * each, 0.0) + np.where(crossing > 0, crossing * outside, 0.0)


def die_exchange_bytes(size_bytes: Number, machine: Machine) -> FloatArray:
    """Return what all dies of a chip send to each other so that each has the sum of their buffers: 2 (p - 1) S."""
    return asarray(size_bytes * (2 * (machine.dies - 1)))


def die_all_reduce_s(size_bytes: Number, machine: Machine) -> FloatArray:
    """Return the time to sum a buffer over the dies of a chip; 0 for one die.

    2 (p - 1) steps round a ring, each S / (p W) and the step's own time (Thakur, Rabenseifner, Gropp 2005, section 3):
    dies of a package exchange by hardware, without what software between chips takes.

    Args:
        size_bytes: buffer on each die.
        machine: the chip.
    """
    size, dies = asarray(size_bytes, dtype=np.float64), machine.dies
    with np.errstate(divide="ignore", invalid="ignore"):
        seconds = 2 * (dies - 1) * (machine.die_step_s + size / (dies * machine.die_link_bytes_per_s))
    return np.where((size > 0) & (dies > 1), seconds, 0.0)


def _collective_s(traffic_bytes: Number, chips: FloatArray, link: _Link, software: Software) -> FloatArray:
    """Return base + hops + traffic, 0 where there is nothing to do, infinite where there is no link."""
    traffic = asarray(traffic_bytes, dtype=np.float64)
    if not traffic.any():
        return np.zeros_like(traffic)
    moving = _moving_s(traffic * _rivals(chips, link), link.bytes_per_s, software)
    floor = software.collective_base_s + link.added_s
    floor = floor + link.hops(chips) * (software.collective_hop_s + link.hop_s)
    return np.where(traffic > 0, floor + moving, 0.0)


def _moving_s(traffic: FloatArray, bytes_per_s: FloatArray, software: Software) -> FloatArray:
    """Return the time of a collective's bytes by the better of two protocols.

    The quick one sends a flag with every few bytes and reaches less of the link; the other waits for whole buffers and
    takes longer to start (LL and Simple of NCCL: Hu et al. 2025, arXiv 2507.04786, section 3).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        bulk = traffic / (bytes_per_s * software.collective_fraction)
        if not software.collective_bulk_s.any():
            return asarray(bulk)
        quick = traffic / (bytes_per_s * software.collective_quick_fraction)
    return np.where(software.collective_bulk_s > 0, np.minimum(quick, software.collective_bulk_s + bulk), bulk)


def _rivals(chips: FloatArray, link: _Link) -> FloatArray:
    """Return by how much traffic is slower where more than two chips share what lies between them, (p / 2)^x."""
    if not link.rivalry.any():
        return np.ones(1)
    return asarray(np.maximum(chips / 2, 1.0) ** link.rivalry)
