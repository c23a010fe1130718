"""What a pass takes on a machine that lowers its clock where it would draw more than its design limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cost_models.performance.energy import drawn_j, moved_j, parts_j
from cost_models.performance.phases import PhaseTime
from cost_models.performance.serving_stack import Software
from cost_models.silicon.machine import Machine, Throttle
from cost_models.silicon.power import clock_ratio
from cost_models.table import FloatArray, Number, positive
from cost_models.tape import asarray
from cost_models.workload.formats import Formats
from cost_models.workload.serving import ServingConfig

LOWEST = -12.0
"""Logarithm of the least clock over that at the least supply; a machine that slow pauses."""

HALVINGS = 26
"""Steps in which the clock is found, to a millionth."""


def capped_phase(
    work: PhaseTime,
    serving: ServingConfig,
    machine: Machine,
    formats: Formats,
    software: Software,
) -> PhaseTime:
    """Return a pass that draws the design limit at most, with the time that the lower clock adds.

    Library chips keep their time: their software was measured on them, under the limit that they have.
    """
    if machine.throttle is None or machine.measured.all():
        return work
    work = replace(work, moved_j=moved_j(work, machine, formats, software))
    return replace(work, capped_s=added_s(work, serving, machine, formats, software))


def cap_stretch(
    work: PhaseTime,
    serving: ServingConfig,
    machine: Machine,
    formats: Formats,
    software: Software,
) -> FloatArray:
    """Return the time of a pass at the design limit over that at the highest clock; NaN where that is not known.

    Of a library chip it is what the power model makes of a pass whose time is that of its measured software: beyond 1,
    power and time do not go together.
    """
    if machine.throttle is None:
        return np.full(1, np.nan)
    if not machine.measured.any():
        return asarray(work.pass_s / (work.pass_s - work.capped_s))
    bare = replace(work, capped_s=np.zeros(1))
    return 1 + added_s(bare, serving, machine, formats, software) / bare.pass_s


def added_s(
    work: PhaseTime, serving: ServingConfig, machine: Machine, formats: Formats, software: Software
) -> FloatArray:
    """Return the time by which the clock at which a pass draws the design limit stretches it.

    A share c of the clock stretches arithmetic by 1 / c and leaves memory as it is. The supply follows the clock down
    to the least (`Throttle`): dynamic energy on the die goes with V^2, what a running program draws with c V^2, leakage
    with V; memory and links draw what they draw, for longer. A faster design can take the clock of a slower one,
    with its supply, and so is no slower under a limit that is no lower.
    """
    throttle = machine.throttle
    assert throttle is not None
    spent = parts_j(work, work.pass_s, serving, machine, formats, software)
    limit = asarray(machine.tdp_w * serving.chips)
    wanted = drawn_j(spent, machine)
    over = np.isfinite(work.pass_s) & (wanted > limit * work.pass_s * (1 + 1e-9))
    if not over.any():
        return np.zeros(1)
    # A parameter of the curve may be drawn where nothing of the pass depends on it.
    n = max(len(over), *(len(column) for column in vars(throttle).values()))
    rows = np.flatnonzero(np.broadcast_to(over, (n,)))

    def at(column: Number | FloatArray) -> FloatArray:
        column = asarray(column, dtype=np.float64)
        return asarray(np.broadcast_to(column, (*column.shape[:-1], n))[..., rows])

    delivered = {name: at(joules / machine.conversion_efficiency) for name, joules in spent.items()}
    pass_s, dynamic_j = at(work.pass_s), delivered["arithmetic"] + delivered["on_chip"] + delivered["dequantizing"]
    fixed_j = delivered["memory"] + delivered["links"]
    active_w, static_w = delivered["active"] / pass_s, delivered["static"] / pass_s
    leakage_w = at(throttle.leakage_w * serving.chips / machine.conversion_efficiency)
    memory_s, arithmetic_s = at(work.times.memory_s), at(work.times.arithmetic_s)
    alone, most = at(work.times.total_s), at(limit)
    turns = at(work.total_s) / positive(alone, np.inf)
    exposed = at(software.non_overlapped_fraction)
    curve = Throttle(*(at(column) for column in vars(throttle).values()))

    def at_clock(place: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the time of the pass, the energy of what it does, and what flows meanwhile."""
        clock, supply = slower(curve, place)
        computing_s = arithmetic_s / clock
        longer = np.maximum(memory_s, computing_s) - np.maximum(memory_s, arithmetic_s)
        bare = np.minimum(memory_s, computing_s) - np.minimum(memory_s, arithmetic_s)
        seconds = pass_s + ((longer + bare * exposed) * turns).sum(axis=0)
        flowing_w = active_w * clock * supply**2 + static_w - leakage_w * (1 - supply)
        return seconds, dynamic_j * supply**2 + fixed_j, flowing_w

    low, high = np.full(len(rows), LOWEST), np.ones(len(rows))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        seconds, joules, flowing_w = at_clock(middle)
        held = joules + flowing_w * seconds <= most * seconds
        low, high = np.where(held, middle, low), np.where(held, high, middle)
    seconds, joules, flowing_w = at_clock(low)
    # What no clock of the die slows down, as products beside the banks of a memory, pauses.
    spare_w = most - flowing_w
    paused_s = np.where(spare_w > 0, joules / positive(spare_w), np.inf)
    result = np.zeros(n)
    result[rows] = np.maximum(seconds, paused_s) - pass_s
    return result


def slower(curve: Throttle, place: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return (clock, supply) over those at the highest clock, at a place between the slowest and the highest.

    Args:
        curve: how the supply follows the clock.
        place: from 1 to 0 the supply falls evenly from that of the highest clock to the least, and the clock with it;
            below 0 it is the logarithm of the clock over that at the least supply, which stays.
    """
    law = {"threshold": curve.threshold, "alpha": curve.alpha}
    needed = curve.least + (curve.highest - curve.least) * np.maximum(place, 0.0)
    clock = clock_ratio(needed, **law) / clock_ratio(curve.highest, **law) * np.exp(np.minimum(place, 0.0))
    supply = (curve.guard + (1 - curve.guard) * needed) / (curve.guard + (1 - curve.guard) * curve.highest)
    return clock, supply
