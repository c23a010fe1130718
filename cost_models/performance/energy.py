"""Energy of a pass and the board power it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cost_models.performance.interconnect import die_exchange_bytes
from cost_models.performance.phases import PhaseTime
from cost_models.performance.roofline import (
    activation_element_bytes,
    dequantize_work_macs,
    of_tensors,
    rotation_macs,
    vector_work,
)
from cost_models.performance.serving_stack import Software
from cost_models.silicon.machine import Machine
from cost_models.table import FloatArray, Number
from cost_models.tape import asarray
from cost_models.workload.formats import Formats
from cost_models.workload.serving import ServingConfig


@dataclass(frozen=True)
class Energy:
    """Energy of one pass over all chips and the board power it means; ``(n,)``.

    Attributes:
        parts_j: dynamic and static energy by cause, before conversion losses, of all chips.
        board_j: energy drawn by the boards, conversion losses in.
        board_w: mean power of the boards.
    """

    parts_j: dict[str, FloatArray]
    board_j: FloatArray
    board_w: FloatArray

    def with_fraction(self, other: Energy, share: Number, seconds: FloatArray) -> Energy:
        """Return this pass with a share of another one's energy, over a time that holds both."""
        parts = {name: joules + share * other.parts_j[name] for name, joules in self.parts_j.items()}
        joules = self.board_j + share * other.board_j
        return Energy(parts, joules, joules / seconds)

    def divided(self, parts: Number) -> Energy:
        """Return one of equal parts of this pass."""
        return Energy(
            {name: joules / parts for name, joules in self.parts_j.items()}, self.board_j / parts, self.board_w
        )


def phase_energy(
    work: PhaseTime,
    pass_s: FloatArray,
    serving: ServingConfig,
    machine: Machine,
    formats: Formats,
    software: Software,
) -> Energy:
    """Return the energy of a pass: what moves and computes, and what flows meanwhile.

    While kernels run or wait for each other, a programmable chip draws a share of its design limit whatever they
    achieve (clocks, schedulers, polling), and attention of single queries, which use what they read once, costs a
    multiple of a matrix unit's energy per MAC: what it costs beyond is divided among the queries that share a read.

    Parts of a batch in a pipeline, and replicas, each pay their own weight reads. Power is held at the board's design
    limit, as boards do by lowering the clock: `power_cap.capped_phase` says how much longer a design takes for it, and
    the measured efficiencies of a chip's software hold what its cap costs.
    """
    parts = parts_j(work, pass_s, serving, machine, formats, software)
    running_s = _running_s(pass_s)
    watts = np.minimum(drawn_j(parts, machine) / running_s, machine.tdp_w * serving.chips)
    return Energy(parts, watts * running_s, watts)


def drawn_j(parts: Mapping[str, FloatArray], machine: Machine) -> FloatArray:
    """Return the energy that boards draw for what a pass takes by cause, conversion losses in."""
    return asarray(sum(parts.values()) / machine.conversion_efficiency)


def parts_j(
    work: PhaseTime,
    pass_s: FloatArray,
    serving: ServingConfig,
    machine: Machine,
    formats: Formats,
    software: Software,
) -> dict[str, FloatArray]:
    """Return the energy of a pass on all chips by cause, before conversion losses, whatever the boards may draw."""
    # The groups' layers add up to one model: a stage's share times stages is the whole pass.
    groups = asarray(serving.tensor_parallel) * serving.batch_parts * serving.replicas
    moved = moved_j(work, machine, formats, software) if work.moved_j is None else work.moved_j
    running_s = _running_s(pass_s)
    parts = {
        **{name: joules if _is_one(groups) else joules * groups for name, joules in moved.items()},
        "active": _active_w(machine, software) * running_s * serving.chips,
        "static": machine.static_w * running_s * serving.chips,
    }
    if (machine.dies > 1).any():
        reduced = work.sum(work.operators.reduced * (asarray(formats.exchanged_bits) / 8))
        parts["links"] = parts["links"] + die_exchange_bytes(reduced, machine) * machine.die_link_j_per_byte * groups
    return parts


def moved_j(work: PhaseTime, machine: Machine, formats: Formats, software: Software) -> dict[str, FloatArray]:
    """Return the energy by cause of what a pass moves and computes on one group of chips, however long it takes."""
    operators, times = work.operators, work.times
    crossing = work.dram_bytes + work.sum(operators.activations * activation_element_bytes(operators, formats))
    per_attention_mac = machine.attention_j_per_mac * (1 + (software.decode_attention_energy - 1) / work.sharing)
    arithmetic = (
        work.sum_of_class("linear", work.chip_macs) * machine.linear_j_per_mac
        + work.sum_of_class("head", work.chip_macs) * machine.head_j_per_mac
        + work.sum_of_class("attention", work.chip_macs) * per_attention_mac
    )
    if np.any(formats.rotated):
        arithmetic = arithmetic + work.sum(rotation_macs(operators, formats)) * machine.linear_j_per_mac
    if machine.dequantize_macs.any():
        arithmetic = (
            arithmetic
            + work.sum(dequantize_work_macs(operators, machine) * (times.near_bytes == 0)) * machine.linear_j_per_mac
        )
    if machine.vector_j_per_op.any():
        arithmetic = arithmetic + work.sum(vector_work(operators, machine, formats)) * machine.vector_j_per_op
    return {
        "memory": _memory_j(work, machine),
        "arithmetic": arithmetic,
        "on_chip": crossing * machine.sram_j_per_byte,
        "dequantizing": work.sum(times.weight_bytes) * machine.dequantize_j_per_byte,
        "links": work.sum(times.link_bytes) * machine.link_j_per_byte,
    }


def _running_s(pass_s: FloatArray) -> FloatArray:
    """Return the time of a pass; chips that cannot reach each other never finish: such a step has no mean power."""
    ends = np.isfinite(pass_s)
    return pass_s if ends.all() else np.where(ends, pass_s, np.nan)


def _is_one(number: FloatArray) -> bool:
    """Tell whether a number that all rows share is 1, so that products with it need no work."""
    return number.size == 1 and bool(number == 1)


def _memory_j(work: PhaseTime, machine: Machine) -> FloatArray:
    """Return the energy of the memories' bytes, and of what is multiplied beside the banks of the first."""
    joules = work.dram_bytes * machine.dram_j_per_byte
    if machine.placement is not None:
        added = of_tensors(work.operators, machine.placement.added_j_per_byte)
        joules = joules + work.sum(work.times.dram_bytes * added)
    return joules if machine.near is None else joules + work.sum(work.times.near_bytes) * machine.near.j_per_byte


def _active_w(machine: Machine, software: Software) -> FloatArray:
    """Return what a running program draws whatever it achieves; nothing, where that is nothing of an unknown limit."""
    runs = software.active_fraction > 0
    drawn = software.active_fraction * machine.tdp_w if runs.any() else np.zeros(1)
    return drawn if runs.all() else np.where(runs, drawn, 0.0)
