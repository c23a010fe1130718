"""One pass over the model, operator by operator: what it waits for, and what its energy goes into."""

from __future__ import annotations

import math

import numpy as np

from cost_models.energy import Energy
from cost_models.inference import decode_bound_s
from cost_models.machine import Machine
from cost_models.passes import PassTime
from cost_models.roofline import by_class
from cost_models.serving import Serving
from cost_models.table import Number
from dse.explain.records import BOUNDS, EXPOSED, OUTSIDE, OperatorRow, PassTable


def number(value: Number) -> float:
    """Return the one number of a column of one row."""
    found = float(np.ravel(value)[0])
    # One NaN for all: records that miss the same numbers are equal.
    return found if found == found else math.nan


def pass_table(work: PassTime, energy: Energy, serving: Serving, machine: Machine) -> PassTable:
    """Return the table of a decode step or a prefill."""
    operators = _operator_rows(work, machine)
    total_s = number(work.pass_s)
    bound_s = number(decode_bound_s(work, serving, machine))
    spent = dict.fromkeys((*BOUNDS, EXPOSED, OUTSIDE), 0.0)
    for row in operators[:-1]:
        fixed = {cause: row.causes_ms[cause] for cause in ("kernels", "collective", EXPOSED)}
        overlapped = max(("memory", "arithmetic", "unpacking"), key=row.causes_ms.__getitem__)
        spent[overlapped] += row.ms - sum(fixed.values())
        for cause, ms in fixed.items():
            spent[cause] += ms
    spent[OUTSIDE] = operators[-1].ms
    parts = _energy_parts(energy, machine)
    return PassTable(
        ms=total_s * 1e3,
        bound_ms=bound_s * 1e3,
        overhead_share=1 - bound_s / total_s,
        operators=operators,
        spent_ms=spent,
        energy_j=parts,
        board_j=number(energy.board_j),
        power_w={part: joules / total_s for part, joules in parts.items()},
        board_w=number(energy.board_w),
    )


def _energy_parts(energy: Energy, machine: Machine) -> dict[str, float]:
    """Return energy by cause, losses of the power conversion in.

    A board held at its design limit draws less than its parts ask for; that difference stands as a negative part.
    """
    parts = {name: number(joules) for name, joules in energy.parts_j.items()}
    asked = sum(parts.values())
    drawn = asked / number(machine.conversion_efficiency)
    parts["conversion_loss"] = drawn - asked
    over = number(energy.board_j) - drawn
    if over < -1e-12 * drawn:
        parts["held_at_tdp"] = over
    return parts


def _operator_rows(work: PassTime, machine: Machine) -> tuple[OperatorRow, ...]:
    """Return one row per operator and a last one for the time outside them."""
    operators, times = work.operators, work.times
    total_s = number(work.pass_s)
    # Turns of a pipeline's bubble: how often the pass pays for one execution of each operator.
    turns = work.total_s[0, 0] / (times.total_s[0, 0] * operators.times[0, 0])
    least_s = np.maximum(
        times.dram_bytes / machine.bandwidth_bytes_per_s,
        operators.macs
        * by_class(
            operators,
            linear=1 / machine.linear_mac_per_s,
            head=1 / machine.head_mac_per_s,
            attention=1 / machine.attention_mac_per_s,
        ),
    )
    causes = {
        "memory": times.memory_s, "arithmetic": times.arithmetic_s, "unpacking": times.unpack_s,
        "kernels": times.kernel_s, "collective": times.collective_s, EXPOSED: times.exposed_s,
    }  # fmt: skip
    rows = []
    for i, name in enumerate(operators.names):
        count = float(operators.times[i, 0])
        ms = float(work.total_s[i, 0]) * 1e3
        by_cause = {cause: float(seconds[i, 0]) * count * turns * 1e3 for cause, seconds in causes.items()}
        moved, macs = float(times.dram_bytes[i, 0]) * count, float(operators.macs[i, 0]) * count
        rows.append(
            OperatorRow(
                name=name,
                times=count,
                ms=ms,
                share=ms / (total_s * 1e3),
                bound=max(BOUNDS, key=by_cause.__getitem__) if math.isfinite(ms) else "",
                bytes_moved=moved,
                macs=macs,
                ops_per_byte=2 * macs / moved if moved else math.inf,
                roofline_share=float(least_s[i, 0]) * count * 1e3 / ms,
                causes_ms=by_cause,
            )
        )
    outside = number(work.fixed_s) * 1e3
    rows.append(OperatorRow(OUTSIDE, 1.0, outside, outside / (total_s * 1e3), "", 0.0, 0.0, math.nan, math.nan, {}))
    return tuple(rows)
