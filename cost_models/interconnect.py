"""Collectives between chips: a latency and a bandwidth term each."""

from __future__ import annotations

import numpy as np

from cost_models.columns import FloatArray, Number
from cost_models.software import Software


def all_reduce_s(size_bytes: Number, chips: Number, link_bytes_per_s: Number, software: Software) -> FloatArray:
    """Return the time to sum a buffer over all chips; 0 for one chip, infinite without a link.

    base + (p-2) hop + 2 (p-1)/p S / (share W): the latency-bandwidth model of ring all-reduce
    (Thakur, Rabenseifner, Gropp 2005, section 3) with a measured floor in place of 2 (p-1) alpha.

    Args:
        size_bytes: buffer on each chip.
        chips: chips that take part.
        link_bytes_per_s: one-way bandwidth of a chip over all its links.
        software: stack parameters.
    """
    chips = np.asarray(chips, dtype=np.float64)
    return _collective_s(size_bytes, 2 * (chips - 1) / chips, chips, link_bytes_per_s, software)


def send_s(size_bytes: Number, link_bytes_per_s: Number, software: Software) -> FloatArray:
    """Return the time to hand a buffer to the next chip of a pipeline."""
    return _collective_s(size_bytes, np.float64(1.0), np.float64(2.0), link_bytes_per_s, software)


def _collective_s(
    size_bytes: Number, crossings: Number, chips: Number, link_bytes_per_s: Number, software: Software
) -> FloatArray:
    """Return base + hops + traffic, 0 where there is nothing to do, infinite where there is no link."""
    traffic = np.asarray(size_bytes * np.asarray(crossings), dtype=np.float64)
    rate = np.asarray(link_bytes_per_s) * software.collective_share
    with np.errstate(divide="ignore", invalid="ignore"):
        moving = traffic / rate
    floor = software.collective_base_s + np.maximum(np.asarray(chips) - 2, 0) * software.collective_hop_s
    return np.where(traffic > 0, floor + moving, 0.0)
