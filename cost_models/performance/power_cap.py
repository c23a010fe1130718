"""What a pass takes on a machine that lowers its clock where it would draw more than its design limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cost_models.performance.energy import phase_energy
from cost_models.performance.phases import PhaseTime
from cost_models.performance.serving_stack import Software
from cost_models.silicon.machine import Machine
from cost_models.table import FloatArray, Number
from cost_models.workload.formats import Formats
from cost_models.workload.serving import ServingConfig

SLOWEST = 0.1
"""Least share of the clock that a cap lowers it to; beyond that the machine pauses."""

HALVINGS = 20
"""Steps in which the clock is found, to a millionth."""


def capped_phase(
    work: PhaseTime,
    serving: ServingConfig,
    machine: Machine,
    formats: Formats,
    software: Software,
    *,
    decode: bool = True,
) -> PhaseTime:
    """Return a pass that draws the design limit at most: at the clock at which it draws just that.

    A share c of the clock stretches arithmetic by 1 / c and leaves memory as it is; dynamic energy on the die falls as
    c^g down to that of the least supply (`Machine.cap_exponent`, `Machine.cap_least`); what flows meanwhile flows for
    longer. Further time stands with that outside of operators. Machines whose exponent is missing are chips whose
    software is measured under their own cap: they keep their time.
    """
    if np.isnan(machine.cap_exponent).all():
        return work
    spent = phase_energy(work, work.pass_s, serving, machine, formats, software, decode=decode)
    limit = np.asarray(machine.tdp_w * serving.chips)
    wanted = np.asarray(sum(spent.parts_j.values()) / machine.conversion_efficiency)
    over = np.isfinite(work.pass_s) & (wanted > limit * work.pass_s * (1 + 1e-9)) & ~np.isnan(machine.cap_exponent)
    if not over.any():
        return work
    rows, n = np.flatnonzero(over), len(over)

    def at(column: Number | FloatArray) -> FloatArray:
        column = np.asarray(column, dtype=np.float64)
        return np.asarray(np.broadcast_to(column, (*column.shape[:-1], n))[..., rows])

    parts = {name: at(joules / machine.conversion_efficiency) for name, joules in spent.parts_j.items()}
    pass_s, dynamic = at(work.pass_s), parts["arithmetic"] + parts["on_chip"] + parts["dequantizing"]
    fixed_j, standing_w = parts["memory"] + parts["links"], (parts["active"] + parts["static"]) / pass_s
    memory_s, arithmetic_s = at(work.times.memory_s), at(work.times.arithmetic_s)
    alone = at(work.times.total_s)
    turns = np.where(alone > 0, at(work.total_s) / np.where(alone > 0, alone, 1.0), 0.0)
    exponent, least, most = at(machine.cap_exponent), at(machine.cap_least), at(limit)

    def slowed(share: FloatArray) -> tuple[FloatArray, FloatArray]:
        longer = np.maximum(memory_s, arithmetic_s / share) - np.maximum(memory_s, arithmetic_s)
        seconds = pass_s + (longer * turns).sum(axis=0)
        return seconds, dynamic * np.maximum(share**exponent, least) + fixed_j

    low, high = np.full(len(rows), SLOWEST), np.ones(len(rows))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        seconds, joules = slowed(middle)
        holds = joules + standing_w * seconds <= most * seconds
        low, high = np.where(holds, middle, low), np.where(holds, high, middle)
    seconds, joules = slowed(low)
    left = most - standing_w
    paused = joules / np.where(left > 0, left, np.nan)
    further = np.maximum(seconds, np.where(left > 0, paused, np.inf)) - pass_s
    return replace(work, fixed_s=_added(work.fixed_s, further, rows, n))


def _added(fixed_s: FloatArray, further: FloatArray, rows: NDArray[np.intp], n: int) -> FloatArray:
    """Return a column with something added to some of its rows."""
    result = np.array(np.broadcast_to(fixed_s, (n,)))
    result[rows] += further
    return result
