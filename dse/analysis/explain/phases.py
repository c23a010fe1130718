"""A pass over the model, operator by operator: what it waits for, and what its energy goes into; a row per design."""

from __future__ import annotations

from typing import Any

import numpy as np

from cost_models.performance.energy import Energy
from cost_models.performance.inference import decode_bound_s
from cost_models.performance.phases import PhaseTime
from cost_models.performance.roofline import roofline_s
from cost_models.silicon.machine import Machine
from cost_models.table import INACTIVE, Choice, FloatArray
from cost_models.workload.serving import ServingConfig
from dse.analysis.explain.records import BOUNDS, EXPOSED, HELD, NETWORK, OUTSIDE

_OVERLAPPING = ("memory", "arithmetic", "dequantizing", "near_memory")
"""Causes of which the longest counts; the others add."""


# Chips without a link never end a pass that they share: shares of an infinite time are NaN.
@np.errstate(divide="ignore", invalid="ignore")
def pass_columns(
    work: PhaseTime, energy: Energy, serving: ServingConfig, machine: Machine, within: PhaseTime | None = None
) -> dict[str, Any]:
    """Return the fields of `PassTable` for a decode step or a prefill, each a column; operators by name.

    Args:
        work: the pass.
        energy: its energy.
        serving: the workload.
        machine: one of the chips.
        within: the same pass were all chips in one node; None where they are.
    """
    total_s = work.pass_s
    bound_s = np.asarray(decode_bound_s(work, machine))
    operators = _operator_columns(work, machine, within)
    parts = _energy_parts(energy, machine)
    return {
        "ms": total_s * 1e3,
        "bound_ms": bound_s * 1e3,
        "overhead_fraction": 1 - bound_s / total_s,
        "operators": operators,
        "spent_ms": _spent(operators),
        "energy_j": parts,
        "board_j": energy.board_j,
        "power_w": {part: joules / total_s for part, joules in parts.items()},
        "board_w": energy.board_w,
    }


def _energy_parts(energy: Energy, machine: Machine) -> dict[str, FloatArray]:
    """Return energy by cause, losses of the power conversion in.

    A board held at its design limit draws less than its parts ask for; that difference stands as a negative part.
    """
    parts = {name: np.asarray(joules) for name, joules in energy.parts_j.items()}
    requested = np.asarray(sum(parts.values()))
    sampled = requested / machine.conversion_efficiency
    over = energy.board_j - sampled
    return {**parts, "conversion_loss": sampled - requested, HELD: np.where(over < -1e-12 * sampled, over, 0.0)}


def _spent(operators: dict[str, dict[str, Any]]) -> dict[str, FloatArray]:
    """Return the time of a pass by what was waited for."""
    spent: dict[str, FloatArray] = dict.fromkeys((*BOUNDS, EXPOSED, OUTSIDE), np.zeros(1))
    for name, row in operators.items():
        causes = row["causes_ms"]
        if name == OUTSIDE:
            crossing = causes.get(NETWORK)
            spent[OUTSIDE] = row["ms"] if crossing is None else row["ms"] - crossing
            spent |= {} if crossing is None else {NETWORK: spent[NETWORK] + crossing}
            continue
        fixed = {cause: causes[cause] for cause in ("kernels", "collective", NETWORK, EXPOSED) if cause in causes}
        longest = np.argmax([causes[cause] for cause in _OVERLAPPING], axis=0)
        for place, cause in enumerate(_OVERLAPPING):
            spent[cause] = spent[cause] + np.where(longest == place, row["ms"] - sum(fixed.values()), 0.0)
        spent |= {cause: spent.get(cause, 0.0) + ms for cause, ms in fixed.items()}
    return spent


def _operator_columns(work: PhaseTime, machine: Machine, within: PhaseTime | None) -> dict[str, dict[str, Any]]:
    """Return the fields of `OperatorRow` by operator, and last for the time outside them."""
    operators, times, total_s = work.operators, work.times, work.pass_s
    # Turns of a pipeline's bubble: how often the pass pays for one execution of each operator.
    turns = work.total_s[0] / (times.total_s[0] * operators.times[0])
    there, least_s = times.near_bytes > 0, roofline_s(operators, times, machine)
    causes = {
        "memory": np.where(there, 0.0, times.memory_s), "arithmetic": times.arithmetic_s,
        "dequantizing": times.dequantize_s, "kernels": times.kernel_s, "collective": times.collective_s,
        EXPOSED: times.non_overlapped_s, "near_memory": np.where(there, times.memory_s, 0.0),
    }  # fmt: skip
    bounds: tuple[str, ...] = BOUNDS
    crossing: dict[str, FloatArray] = {}
    if within is not None:
        network = np.maximum(times.collective_s - within.times.collective_s, 0.0)
        causes |= {"collective": times.collective_s - network, NETWORK: network}
        bounds, crossing = (*BOUNDS, NETWORK), {NETWORK: np.maximum(work.fixed_s - within.fixed_s, 0.0) * 1e3}
    result: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(operators.names):
        count, ms = operators.times[i], work.total_s[i] * 1e3
        spent = np.broadcast_arrays(*(seconds[i] * count * turns * 1e3 for seconds in causes.values()))
        by_cause = dict(zip(causes, spent, strict=True))
        longest = np.argmax([by_cause[bound] for bound in bounds], axis=0)
        moved, macs = times.dram_bytes[i] * count, operators.macs[i] * count
        result[name] = {
            "times": count,
            "ms": ms,
            "share": ms / (total_s * 1e3),
            "bound": Choice(bounds, np.where(np.isfinite(ms), longest, INACTIVE)),
            "bytes_moved": moved,
            "macs": macs,
            "ops_per_byte": np.where(moved > 0, 2 * macs / moved, np.where(macs > 0, np.inf, np.nan)),
            "roofline_fraction": least_s[i] * count * 1e3 / ms,
            "causes_ms": by_cause,
        }
    outside, nothing, none = (work.fixed_s + work.capped_s) * 1e3, np.zeros(1), np.full(1, np.nan)
    result[OUTSIDE] = {
        "times": np.ones(1),
        "ms": outside,
        "share": outside / (total_s * 1e3),
        "bound": Choice(BOUNDS, np.full(1, INACTIVE)),
        "bytes_moved": nothing,
        "macs": nothing,
        "ops_per_byte": none,
        "roofline_fraction": none,
        "causes_ms": crossing,
    }
    return result
