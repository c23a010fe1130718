"""Breakdowns of many designs at once: what `dse.explain` says of one, as columns with a row per design.

Numbers only, each under a path of words: ``workloads, chat, decode, ms, qkv``. `dse.explain` is the twin that the
tests compare with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from cost_models.energy import Energy
from cost_models.inference import decode_bound_s
from cost_models.machine import Machine
from cost_models.metrics import WorkloadResult
from cost_models.passes import PassTime
from cost_models.table import FloatArray, Number, Table
from dse.evaluate import Evaluator
from dse.explain import BOUNDS, OUTSIDE

Path = tuple[str, ...]

HELD = "held_at_tdp"
"""Part of the power that a board held at its design limit does not draw; 0 or negative."""


def breakdowns(evaluator: Evaluator, designs: Table) -> dict[Path, FloatArray]:
    """Return the breakdown of every design: path to ``(n,)`` numbers.

    Args:
        evaluator: the sweep's evaluator.
        designs: a table of at least one row.
    """
    machine = evaluator.machine(designs)
    found = dict(_machine_fields(machine))
    for label, margin in evaluator.evaluate(designs).margins.items():
        found["margins", label] = margin
    for name, served in evaluator.results(designs, machine=machine).items():
        for path, values in _served_fields(served):
            found["workloads", name, *path] = np.asarray(values, dtype=np.float64)
    return {path: np.broadcast_to(values, (designs.rows,)) for path, values in found.items()}


def _machine_fields(machine: Machine) -> Iterator[tuple[Path, FloatArray]]:
    for total, parts in machine.blocks.items():
        for block, amount in parts.items():
            yield ("blocks", total, block), amount
    for name, (used, allowed) in machine.limits.items():
        yield ("limits", name, "used"), used
        yield ("limits", name, "allowed"), allowed


def _served_fields(served: WorkloadResult) -> Iterator[tuple[Path, Number]]:
    result, machine = served.inference, served.machine
    yield ("fits",), np.asarray(result.fits, dtype=np.float64)
    for phase, work, energy in (
        ("decode", result.decode, result.decode_energy),
        ("prefill", result.prefill, result.prefill_energy),
    ):
        for path, values in _pass_fields(work, energy, served):
            yield (phase, *path), values
    held = result.footprint
    for part in ("weights", "kv", "activations"):
        yield ("memory_gib", part), np.asarray(getattr(held, f"{part}_bytes")) / 2**30
    yield ("capacity_gib",), machine.capacity_bytes * np.asarray(served.serving.chips) / 2**30
    yield ("roofs", "bandwidth_gbps"), machine.bandwidth_bytes_per_s / 1e9
    for part in ("linear", "head", "attention"):
        yield ("roofs", f"{part}_tflops"), getattr(machine, f"{part}_mac_per_s") * 2 / 1e12


def _pass_fields(work: PassTime, energy: Energy, served: WorkloadResult) -> Iterator[tuple[Path, FloatArray]]:
    """Yield the numbers of one pass: totals, and per operator time, what it waits for, bytes and MACs."""
    times, operators = work.times, work.operators
    pass_s = work.pass_s
    yield ("total_ms",), pass_s * 1e3
    yield ("bound_ms",), np.asarray(decode_bound_s(work, served.serving, served.machine)) * 1e3
    yield ("board_w",), energy.board_w
    causes = {
        "memory": times.memory_s, "arithmetic": times.arithmetic_s, "unpacking": times.unpack_s,
        "kernels": times.kernel_s, "collective": times.collective_s,
    }  # fmt: skip
    stacked = np.stack(np.broadcast_arrays(*(causes[bound] for bound in BOUNDS)))
    bound_by = np.argmax(stacked, axis=0)
    for i, name in enumerate(operators.names):
        yield ("ms", name), work.total_s[i] * 1e3
        yield ("bound", name), bound_by[i].astype(np.float64)
        yield ("bytes", name), times.dram_bytes[i] * operators.times[i]
        yield ("macs", name), operators.macs[i] * operators.times[i]
    yield ("ms", OUTSIDE), np.asarray(work.fixed_s) * 1e3
    for part, watts in _power_parts(energy, served.machine, pass_s).items():
        yield ("power_w", part), watts


def _power_parts(energy: Energy, machine: Machine, pass_s: FloatArray) -> Mapping[str, FloatArray]:
    """Return mean power by cause, losses in; a board held at its design limit has a negative part."""
    parts = {name: np.asarray(joules) / pass_s for name, joules in energy.parts_j.items()}
    asked = np.asarray(sum(parts.values()))
    drawn = asked / machine.conversion_efficiency
    parts["conversion_loss"] = drawn - asked
    over = energy.board_j / pass_s - drawn
    parts[HELD] = np.where(over < -1e-12 * drawn, over, 0.0)
    return parts
