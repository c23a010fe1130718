"""Inverse sizing: from the targets of a sweep to the least that any chip must bring, and to what can deliver it.

The least bandwidth is that of a chip with endless arithmetic, the least arithmetic that of one with endless
bandwidth: both follow from the operators of the workload. "With the stack" solves the same equations with the
sweep's software stack for the one unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cost_models.performance.envelope import envelope_machine, least_work
from cost_models.performance.phases import PhaseTime, decode_phase, prefill_phase
from cost_models.performance.serving_stack import Software, software
from cost_models.silicon.defaults import fill_defaults
from cost_models.silicon.machine import Machine
from cost_models.table import Choice, Column, FloatArray, numbers_of
from cost_models.weights.compression import stored_bits
from cost_models.workload.formats import Formats
from cost_models.workload.serving import ServingConfig, footprint
from dse.analysis.require.memory_options import MemoryOption, memory_options
from dse.analysis.require.sizing import SizedDesign, sized_designs
from dse.analysis.require.targets import Target, bounds_of, targets_of
from dse.evaluator import Evaluator
from dse.plain import plain
from dse.space import Space
from dse.space.tables import axis_values, crossed, within
from dse.sweep import Spec

GROWTH, HALVINGS = 1e6, 60
"""A stack that needs this many times the ideal rate never reaches the target; steps of the bisection."""


@dataclass(frozen=True)
class Requirement:
    """The least that a chip must bring, for one way of storing weights and KV cache.

    Attributes:
        weight_format: how weights are stored.
        stored_bits: bits per body weight, metadata included.
        kv_bits: bits of a KV-cache element.
        bandwidth_gbps: delivered bandwidth, everything else for free.
        bandwidth_stack_gbps: the same with the software stack's shares and fixed costs; inf where those alone
            take longer than the target.
        tflops: arithmetic rate, everything else for free.
        tflops_stack: the same with the stack.
        capacity_gib: memory of one chip.
        set_by: for each of these the workload and constraint that sets it.
        quality_ok: whether it meets the sweep's constraints on perplexity.
        perplexity_ratio: the largest of the workloads.
    """

    weight_format: str
    stored_bits: float
    kv_bits: float
    bandwidth_gbps: float
    bandwidth_stack_gbps: float
    tflops: float
    tflops_stack: float
    capacity_gib: float
    set_by: Mapping[str, str]
    quality_ok: bool
    perplexity_ratio: float


@dataclass(frozen=True)
class Requirements:
    """What the targets of a sweep come to.

    Attributes:
        name: the sweep.
        targets: mosts of time.
        needs: one per combination of weight format and KV width in the space, the least bandwidth first.
        chosen: the need that `options` are for: the least bandwidth among those whose quality is allowed, or the
            least of all where none is.
        options: memory grades of the space and what it takes of each.
        sized: the best design of the space per memory grade, sized to the needs.
    """

    name: str
    targets: tuple[Target, ...]
    needs: tuple[Requirement, ...]
    chosen: Requirement
    options: tuple[MemoryOption, ...]
    sized: tuple[SizedDesign, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data; None stands for what is missing or without bound."""
        data: dict[str, Any] = plain(
            {
                "name": self.name,
                "targets": self.targets,
                "needs": self.needs,
                "chosen": {"weight_format": self.chosen.weight_format, "kv_bits": self.chosen.kv_bits},
                "memory_options": self.options,
                "sized_designs": self.sized,
            }
        )
        return data


def requirements(spec: Spec) -> Requirements:
    """Return the least that could meet the constraints of a sweep, and what in its space can deliver it."""
    evaluator, space = Evaluator(spec), Space(spec)
    targets = targets_of(evaluator)
    needs = sorted(_needs(evaluator, space, targets), key=lambda need: (need.bandwidth_gbps, need.capacity_gib))
    chosen = next((need for need in needs if need.quality_ok), needs[0])
    step_bytes = _bits_line(evaluator, space, targets, chosen)
    options = memory_options(evaluator, space, chosen, step_bytes)
    return Requirements(spec.name, tuple(targets), tuple(needs), chosen, options, sized_designs(evaluator, space))


@dataclass(frozen=True)
class Asked:
    """One workload with its number formats, a row per pair of formats, on its stack or on an ideal one."""

    serving: ServingConfig
    formats: Formats
    software: Software
    ideal: Software

    def pass_s(self, phase: PhaseTime) -> FloatArray:
        """Return the time of a step or of the prompts."""
        return phase.pass_s

    def seconds(self, span: str, machine: Machine) -> FloatArray:
        """Return the time of a step, of the prompts or of a request on a machine with the stack."""
        prompt = np.zeros(1)
        if span != "step":
            prompt = self.pass_s(prefill_phase(self.serving, machine, self.software, self.formats))
        if span == "prompt":
            return prompt
        step = self.pass_s(decode_phase(self.serving, machine, self.software, self.formats))
        return step if span == "step" else prompt + step * self.serving.decode_steps

    @property
    def held_bytes(self) -> FloatArray:
        """Memory of one chip that holds the workload."""
        return footprint(self.serving, self.formats, chunk_rows=self.software.chunk_rows).most_loaded_bytes


@dataclass(frozen=True)
class _Request(Asked):
    """The same with the on-chip memory of the designs of a sweep."""

    sram_bytes: FloatArray


def _pairs(spec: Spec, space: Space) -> dict[str, Column]:
    """Return every combination of weight format and KV width of the space, a row each."""
    axes = {}
    for name in ("weight_format", "kv_bits"):
        if name in space.parameters:
            axes[name] = axis_values(space, name, 12 if name == "kv_bits" else 100)
    return within(space, crossed(axes)) if axes else space.default_design()


def _asked(evaluator: Evaluator, name: str, designs: Mapping[str, Column]) -> _Request:
    result = evaluator.results(designs, (name,))[name]
    return _Request(
        serving=result.serving,
        formats=result.formats,
        software=result.inference.software,
        ideal=software(Choice.of("ideal"), evaluator.technology),
        sram_bytes=result.machine.sram_bytes,
    )


def _needs(evaluator: Evaluator, space: Space, targets: list[Target]) -> list[Requirement]:
    designs = _pairs(evaluator.spec, space)
    judged = evaluator.evaluate(designs)
    rows = len(judged.feasible)
    largest: dict[str, FloatArray] = {}
    causes: dict[str, list[str]] = {}

    def raise_to(key: str, value: FloatArray, cause: str) -> None:
        value = np.broadcast_to(value, (rows,))
        held = largest.get(key, np.zeros(rows))
        names = causes.get(key, [""] * rows)
        causes[key] = [cause if new > old else name for new, old, name in zip(value, held, names, strict=True)]
        largest[key] = np.maximum(held, value)

    for name, workload in evaluator.spec.workloads.items():
        requested = _asked(evaluator, name, designs)
        mine = [target for target in targets if target.workload == name]
        if workload.required or mine or _most_chips(evaluator, name):
            raise_to("capacity_gib", _capacity_bytes(evaluator, name, requested) / 2**30, f"{name}: memory")
        for target in mine:
            for key, value in _rates(requested, target).items():
                raise_to(key, value, f"{name}: {target.label.removeprefix(f'{name}.')}")
    zero = np.zeros(rows)
    formats = fill_defaults(designs)
    form = formats["weight_format"]
    assert isinstance(form, Choice)
    names = np.broadcast_to(form.names(), (rows,))
    library = evaluator.technology.library
    quality = _quality_met(evaluator, judged.margins, rows)
    ratios = [judged.metrics[f"{name}.perplexity_ratio"] for name in evaluator.spec.workloads]
    kv_bits = np.broadcast_to(numbers_of(formats["kv_bits"]), (rows,))
    return [
        Requirement(
            weight_format=str(names[row]),
            stored_bits=float(stored_bits(library.weight_format(str(names[row])))),
            kv_bits=float(kv_bits[row]),
            **{key: float(largest.get(key, zero)[row]) for key in _KEYS},
            set_by={key: causes[key][row] for key in _KEYS if key in causes},
            quality_ok=bool(quality[row]),
            perplexity_ratio=float(max(ratio[row] for ratio in ratios)),
        )
        for row in range(rows)
    ]


_KEYS = ("bandwidth_gbps", "bandwidth_stack_gbps", "tflops", "tflops_stack", "capacity_gib")


def _most_chips(evaluator: Evaluator, name: str) -> float | None:
    """Return the most chips that a constraint lets a workload need, None where none does."""
    result = [
        most
        for constraint in evaluator.spec.constraints
        if constraint.metric == f"{name}.chips_needed" and (most := bounds_of(constraint, evaluator)[1]) is not None
    ]
    return min(result, default=None)


def _capacity_bytes(evaluator: Evaluator, name: str, asked: _Request) -> FloatArray:
    """Return the memory that one chip must have: its own share, and the whole over the most chips allowed."""
    most = _most_chips(evaluator, name)
    if most is None:
        return asked.held_bytes
    held = footprint(asked.serving, asked.formats, chunk_rows=asked.software.chunk_rows)
    whole = held.weights_bytes + held.kv_bytes + held.activations_bytes
    if not evaluator.spec.workloads[name].required:
        return np.asarray(whole / most)
    return np.maximum(held.most_loaded_bytes, whole / most)


def _rates(asked: _Request, target: Target) -> dict[str, FloatArray]:
    """Return the least bandwidth and arithmetic for one target, ideal and with the stack."""
    work = least_work(asked.serving, asked.ideal, asked.formats)
    steps = {"step": (1.0, 0.0), "prompt": (0.0, 1.0), "request": (asked.serving.decode_steps, 1.0)}[target.span]
    moved = steps[0] * work["decode_bytes"] + steps[1] * work["prefill_bytes"]
    macs = steps[0] * work["decode_macs"] + steps[1] * work["prefill_macs"]
    bandwidth, rate = np.atleast_1d(moved / target.seconds), np.atleast_1d(macs / target.seconds)

    def with_bandwidth(value: FloatArray) -> FloatArray:
        machine = envelope_machine(bandwidth_bytes_per_s=value, sram_bytes=asked.sram_bytes)
        return asked.seconds(target.span, machine)

    def with_rate(value: FloatArray) -> FloatArray:
        return asked.seconds(target.span, envelope_machine(mac_per_s=value, sram_bytes=asked.sram_bytes))

    return {
        "bandwidth_gbps": bandwidth / 1e9,
        "bandwidth_stack_gbps": least_rate(with_bandwidth, bandwidth, target.seconds) / 1e9,
        "tflops": 2 * rate / 1e12,
        "tflops_stack": 2 * least_rate(with_rate, rate, target.seconds) / 1e12,
    }


def least_rate(seconds_at: Callable[[FloatArray], FloatArray], floor: FloatArray, seconds: float) -> FloatArray:
    """Return the least rate at which a falling time is at most `seconds`; inf where none up to `GROWTH` x floor is.

    Bisection on the logarithm.

    Args:
        seconds_at: time at a rate, per row.
        floor: a rate that is at most enough.
        seconds: what the time may be.
    """
    low, high = np.log(floor), np.log(floor * GROWTH)
    reached = seconds_at(np.exp(high)) <= seconds
    low, high = (np.broadcast_to(end, np.broadcast_shapes(end.shape, reached.shape)) for end in (low, high))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        enough = seconds_at(np.exp(middle)) <= seconds
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(reached, np.exp(high), np.inf)


def _quality_met(evaluator: Evaluator, margins: Mapping[str, FloatArray], rows: int) -> FloatArray:
    met = np.ones(rows, dtype=bool)
    for constraint in evaluator.spec.constraints:
        if constraint.metric.rpartition(".")[2].startswith("perplexity"):
            met &= margins[constraint.label] >= 0
    return met


def _bits_line(
    evaluator: Evaluator, space: Space, targets: list[Target], need: Requirement
) -> list[tuple[float, float]]:
    """Return for every target of a step (bandwidth at 0 bits, further bandwidth per stored bit), in bytes/s."""
    designs = within(space, crossed({"weight_format": [need.weight_format], "kv_bits": [need.kv_bits]}))
    lines = []
    for target in targets:
        if target.span != "step":
            continue
        requested = _asked(evaluator, target.workload, designs)
        moved = []
        for bits in (0.0, 1.0):
            formats = Formats(
                bits,
                requested.formats.head_bits,
                requested.formats.kv_bits,
                requested.formats.activation_bits,
                expert_bits=None,
            )
            moved.append(
                float(least_work(requested.serving, requested.ideal, formats)["decode_bytes"][0]) / target.seconds
            )
        lines.append((moved[0], moved[1] - moved[0]))
    return lines
