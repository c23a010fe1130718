"""Which memory can deliver a bandwidth and capacity: device counts, die edge, watts, and the bits it could carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cost_models.silicon.beachfront import Edge, units_around
from cost_models.silicon.cost import memory_price_factor
from cost_models.silicon.memory import memory_system
from cost_models.table import Choice, first_number
from dse.evaluator import Evaluator
from dse.space import Space
from dse.space.tables import axis_values

MAX_DEVICES = 4096

NO_SRAM = {"sram_mib": np.zeros(1), "clock_ghz": np.ones(1)}
"""What memory outside the die does not depend on."""


class MemoryDemand(Protocol):
    """What must be delivered."""

    @property
    def bandwidth_gbps(self) -> float:
        """Delivered bandwidth, ideal."""

    @property
    def bandwidth_stack_gbps(self) -> float:
        """Delivered bandwidth with the stack."""

    @property
    def capacity_gib(self) -> float:
        """Memory of one chip."""


@dataclass(frozen=True)
class MemoryOption:
    """One memory grade in one package width, in the number that the needs ask for.

    Attributes:
        memory: grade.
        device_bits: data width of a package or stack.
        devices_ideal: least number that streams the ideal bandwidth.
        devices: least number that streams the bandwidth with the stack and holds the data in its largest package.
        device_gib: smallest package that then holds the data.
        in_space: whether the sweep's space allows that number of such packages.
        peak_gbps: peak of all of them.
        delivered_gbps: what long reads reach of it.
        edge_mm: die edge that they take.
        edge_allowed_mm: edge of the largest die, the host interface taken off.
        bandwidth_slack: delivered over needed with the stack, less 1.
        capacity_slack: capacity over needed, less 1.
        edge_slack: 1 less the share of the edge taken; negative where it does not fit the largest die.
        memory_w: power of memory and interface while it streams the ideal bandwidth.
        price_usd: of all devices.
        most_bits: most stored bits per weight that the widest such memory on the largest die could stream in time,
            everything else for free; NaN where no target of a decode step is set.
    """

    memory: str
    device_bits: float
    devices_ideal: int
    devices: int
    device_gib: float
    in_space: bool
    peak_gbps: float
    delivered_gbps: float
    edge_mm: float
    edge_allowed_mm: float
    bandwidth_slack: float
    capacity_slack: float
    edge_slack: float
    memory_w: float
    price_usd: float
    most_bits: float


def memory_options(
    evaluator: Evaluator, space: Space, need: MemoryDemand, lines: Sequence[tuple[float, float]]
) -> tuple[MemoryOption, ...]:
    """Return what it takes of every memory grade of the space, in every width that is offered.

    Args:
        evaluator: the sweep's evaluator.
        space: its space.
        need: what must be delivered.
        lines: per target of a decode step, bytes/s at 0 bits per weight and further bytes/s per bit.
    """
    library = evaluator.technology.library
    grades = axis_values(space, "memory") if "memory" in space.parameters else ["lpddr5x_9600"]
    options = []
    for grade in map(str, grades):
        technology = library.memories[library.memory_grade(grade).technology]
        widths = technology.package_bits
        if "memory_device_bits" in space.parameters:
            requested = {float(value) for value in axis_values(space, "memory_device_bits")}
            widths = tuple(width for width in widths if float(width) in requested) or widths
        options += [
            _option(evaluator, space, need, lines, grade, float(width), technology.package_gib) for width in widths
        ]
    return tuple(options)


def _option(
    evaluator: Evaluator,
    space: Space,
    need: MemoryDemand,
    lines: Sequence[tuple[float, float]],
    grade: str,
    width: float,
    sizes: Sequence[float],
) -> MemoryOption:
    value = evaluator.technology.value
    one = memory_system(
        Choice.of(grade),
        devices=np.ones(1),
        device_bits=np.array([width]),
        device_gib=np.array([float(max(sizes))]),
        **NO_SRAM,
        technology=evaluator.technology,
    )
    each = first_number(one.bandwidth_bytes_per_s * one.stream_efficiency)
    ideal = _count(need.bandwidth_gbps * 1e9 / each)
    stack = _count(need.bandwidth_stack_gbps * 1e9 / each)
    devices = max(ideal, stack, _count(need.capacity_gib / max(sizes)))
    held = [size for size in sorted(sizes) if size * devices >= need.capacity_gib]
    gib = float(held[0] if held else max(sizes))
    whole = memory_system(
        Choice.of(grade),
        devices=np.array([float(devices)]),
        device_bits=np.array([width]),
        device_gib=np.array([gib]),
        **NO_SRAM,
        technology=evaluator.technology,
    )
    edge, units = first_number(whole.edge_mm), first_number(whole.units)
    reticle = np.atleast_1d(np.asarray(value("reticle.limit_mm2"), dtype=np.float64))
    host_mm = np.atleast_1d(np.asarray(value("interfaces.host_edge_mm"), dtype=np.float64))
    along = Edge(whole.units, whole.unit_mm, whole.on_interposer, host_mm, np.zeros(1))
    around = first_number(units_around(reticle, along, evaluator.technology))
    allowed = around * edge / units
    delivered = devices * each
    year = first_number(memory_price_factor(evaluator.spec.economics.price_year, evaluator.technology))
    widest = np.floor(around / (units / devices)) * each
    return MemoryOption(
        memory=grade,
        device_bits=width,
        devices_ideal=ideal,
        devices=devices,
        device_gib=gib,
        in_space=_in_space(space, devices, gib),
        peak_gbps=first_number(whole.bandwidth_bytes_per_s) / 1e9,
        delivered_gbps=delivered / 1e9,
        edge_mm=edge,
        edge_allowed_mm=allowed,
        bandwidth_slack=_slack(delivered / 1e9, need.bandwidth_stack_gbps),
        capacity_slack=_slack(gib * devices, need.capacity_gib),
        edge_slack=1 - edge / allowed,
        memory_w=need.bandwidth_gbps * 1e9 * first_number(whole.j_per_byte) + first_number(whole.idle_w),
        price_usd=first_number(whole.price_usd) * (1.0 if first_number(whole.on_interposer) > 0 else year),
        most_bits=min(((widest - fixed) / per_bit for fixed, per_bit in lines if per_bit > 0), default=float("nan")),
    )


def _count(share: float) -> int:
    return MAX_DEVICES if not np.isfinite(share) else min(MAX_DEVICES, max(1, int(np.ceil(share - 1e-9))))


def _slack(have: float, needed: float) -> float:
    return have / needed - 1 if needed > 0 else float("inf")


def _in_space(space: Space, devices: int, gib: float) -> bool:
    for name, value in (("memory_devices", devices), ("memory_device_gib", gib)):
        if name not in space.parameters:
            continue
        values = [float(entry) for entry in axis_values(space, name)]
        if not min(values) <= value <= max(values):
            return False
    return True
