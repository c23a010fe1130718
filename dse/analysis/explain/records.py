"""The tables of an explanation: frozen, plain, without a terminal or a picture in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cost_models.quantities.records import Metric
from cost_models.silicon.cost import Economics
from dse.plain import plain

BOUNDS = ("memory", "arithmetic", "dequantizing", "kernels", "collective", "near_memory")
"""What an operator may wait for; "kernels" is the cost of launching them, "collective" the all-reduce afterwards.

"near_memory" is what an operator takes that runs beside the banks of the memory, which waits for nothing else.
"""

NETWORK = "network"
"""What a collective or a hand-over takes longer because its chips stand in several nodes; only where they do."""

EXPOSED = "not_overlapped"
"""Cause of the time that the shorter of memory and arithmetic adds because the longer does not hide all of it."""

HELD = "held_at_tdp"
"""Part of the energy that a board held at its design limit does not draw; negative."""

OUTSIDE = "outside_operators"
"""Row of the time outside operators: host work of the step and hand-over between pipeline stages."""


@dataclass(frozen=True)
class OperatorRow:
    """One operator over a whole pass, on the most-loaded of the chips that share the model.

    Attributes:
        name: the operator.
        times: executions per pass, usually the layers.
        ms: time of all executions.
        share: share of the pass.
        bound: the longest of its times, one of `BOUNDS` or `NETWORK`; "" outside operators.
        bytes_moved: bytes through the memory interface.
        macs: multiply-accumulates.
        ops_per_byte: operational intensity, 2 operations per MAC; NaN where it neither multiplies nor moves bytes.
        roofline_fraction: least time at peak bandwidth and peak arithmetic rate over the time taken.
        causes_ms: the times that compete or add, by name of `BOUNDS`, `NETWORK` and `EXPOSED`; memory (or that beside
            its banks), arithmetic and dequantizing overlap, the others add.
    """

    name: str
    times: float
    ms: float
    share: float
    bound: str
    bytes_moved: float
    macs: float
    ops_per_byte: float
    roofline_fraction: float
    causes_ms: Mapping[str, float]


@dataclass(frozen=True)
class PassTable:
    """A decode step or a prefill.

    Attributes:
        ms: time of the pass for the whole batch.
        bound_ms: all bytes at peak bandwidth or all MACs at peak rate, whichever is longer, shared perfectly.
        overhead_fraction: share of the pass above that bound.
        operators: rows whose times sum to `ms`.
        spent_ms: time by what was waited for; sums to `ms`.
        energy_j: energy by cause, all chips; sums to `board_j`.
        board_j: energy that the boards draw.
        power_w: mean power by cause; sums to `board_w`.
        board_w: mean power of the boards.
    """

    ms: float
    bound_ms: float
    overhead_fraction: float
    operators: tuple[OperatorRow, ...]
    spent_ms: Mapping[str, float]
    energy_j: Mapping[str, float]
    board_j: float
    power_w: Mapping[str, float]
    board_w: float


@dataclass(frozen=True)
class WorkloadTable:
    """One workload on the design.

    Attributes:
        settings: what is served and how.
        fits: whether the most-loaded chip holds its share.
        decode: the mean decode step.
        prefill: the prefill of the batch.
        memory_gib: weights, KV cache at full length and activations of all chips.
        most_loaded_gib: what the most-loaded chip holds.
        capacity_gib: memory of one chip.
        placement: by tensor, where a chip has two memories: GiB held, of them in the second, share of its reads
            there, GiB moved by a step, and the time of a byte over that in the first.
        roofs: peaks of one chip: "bandwidth_gbps", "linear_tflops", "head_tflops", "attention_tflops", and where units
            multiply beside the banks of the memory, "near_memory_gbps" that they read.
        metrics: every metric of the workload; NaN where missing.
        intervals: by metric that is a time: "p10" and "p90", between which 80 % of measurements lay relative to
            predictions of chips (or software) left out of the fits, "rows" and "groups" they come from, "origin" in
            words; NaN and "" where a stack has nothing that was fitted.
    """

    settings: Mapping[str, float | str]
    fits: bool
    decode: PassTable
    prefill: PassTable
    memory_gib: Mapping[str, float]
    most_loaded_gib: float
    capacity_gib: float
    placement: Mapping[str, Mapping[str, float]]
    roofs: Mapping[str, float]
    metrics: Mapping[str, float]
    intervals: Mapping[str, Mapping[str, float | str]]

    @property
    def lacks_gib(self) -> float:
        """How much more the most-loaded chip would hold than it can; negative where it has room."""
        return self.most_loaded_gib - self.capacity_gib


@dataclass(frozen=True)
class LimitRow:
    """A physical limit: `used` must not exceed `allowed`; the unit is the last word of the name."""

    used: float
    allowed: float
    margin: float


@dataclass(frozen=True, repr=False)
class Explanation:
    """One design, or some chips of the library, explained.

    Attributes:
        name: what is explained.
        settings: its parameters; NaN where the library decides, None where one does not apply.
        metrics: metrics that no workload enters.
        workloads: tables by workload.
        blocks: "area_mm2", "tdp_w", "cost_usd", "edge_mm" -> block -> amount; each sums to its total.
        limits: physical limits.
        margins: signed relative margin of every limit, capacity and constraint; below 0 is missed.
        described: what its metrics are, by bare name.
        economics: what stands between the cost and the price of a design; None for chips that are bought.
        holders: workload that does not fit -> how such chips share it -> the least number that hold it.
    """

    name: str
    settings: Mapping[str, float | str | None]
    metrics: Mapping[str, float]
    workloads: Mapping[str, WorkloadTable]
    blocks: Mapping[str, Mapping[str, float]]
    limits: Mapping[str, LimitRow]
    margins: Mapping[str, float]
    described: Mapping[str, Metric]
    holders: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    economics: Economics | None = None

    def __repr__(self) -> str:
        steps = ", ".join(f"{name} {one.decode.ms:.4g} ms" for name, one in self.workloads.items())
        return f"Explanation({self.name!r}: {steps})"

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts, lists, text and finite numbers; None stands for a number that is missing."""
        data = plain(replace(self, described={}))
        return {key: value for key, value in data.items() if key != "described"}
