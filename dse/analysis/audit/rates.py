"""Claims about a machine of which not even a space is known: the rates and bits that satisfy them all.

For every (stored bits of a weight, bits of a KV element, arithmetic rate) the delivered bandwidths that satisfy every
claim form an interval, since a step only gets faster with bandwidth; its ends are found by bisection.

Overlap "step" lets all memory traffic of a step hide all its arithmetic: the least that any machine must bring.
Overlap "operators" lets them overlap within each operator only, one operator after the other, as `inference` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from cost_models.evaluate.workload import serving_config
from cost_models.library.technology import Technology
from cost_models.performance.envelope import envelope_machine, least_work
from cost_models.performance.phases import PhaseTime, decode_phase
from cost_models.performance.serving_stack import Software, software
from cost_models.silicon.machine import Machine
from cost_models.table import Choice, FloatArray
from cost_models.workload.formats import Formats
from cost_models.workload.serving import ServingConfig
from dse.analysis.audit.consistent import InformationGain, ValueRange, extents_of, settling_facts
from dse.analysis.audit.records import Claim, RatesSubject
from dse.analysis.require.requirements import Asked, least_rate
from dse.errors import Issue, SpecError
from dse.sweep.library_additions import library_of
from dse.sweep.served_workload import workload_of

MEMORY_BOUND = 0.99
"""Share of a step in operators that wait for memory above which it counts as memory-bound."""

_SPANS = {
    "tpot_ms": "step",
    "tokens_per_s": "step",
    "ttft_ms": "prompt",
    "request_s": "request",
    "tokens_per_s_end_to_end": "request",
}


@dataclass(frozen=True)
class ConsistentRates:
    """The machines that satisfy every claim about one subject.

    Attributes:
        subject: the subject.
        searched: combinations of bits and arithmetic looked at.
        table: a row per consistent combination: ``weight_bits``, ``kv_bits``, ``tflops`` (peak), ``gbps_low`` and
            ``gbps_high`` (delivered; the high end inf where more bandwidth changes nothing), ``capacity_gib`` that
            holds every claimed workload, ``memory_bound`` where every claimed step waits for memory alone.
        unused: claims that rates say nothing of, with the reason.
        extents: values that the quantities take.
        settling: what knowing one would leave open of the others.
    """

    subject: str
    searched: int
    table: pd.DataFrame
    unused: tuple[tuple[str, str], ...]
    extents: tuple[ValueRange, ...]
    settling: tuple[InformationGain, ...]


def find_consistent_rates(subject: RatesSubject, claims: Sequence[Claim]) -> ConsistentRates:
    """Return the machines that satisfy every claim about a subject known by rates alone."""
    axes = {name: _values(*axis) for name, axis in subject.axes.items()}
    # A claim that arithmetic alone sets holds in a narrow band of arithmetic that an even axis would step over.
    axes["tflops"] = np.unique(np.concatenate([axes["tflops"], arithmetic_of(subject, claims)]))
    grid = np.meshgrid(axes["weight_bits"], axes["kv_bits"], axes["tflops"], indexing="ij")
    weight_bits, kv_bits, tflops = (axis.ravel() for axis in grid)
    table, unused = consistent_rates(subject, claims, weight_bits, kv_bits, tflops)
    result = table[table["consistent"]].drop(columns="consistent").reset_index(drop=True)
    names = ["weight_bits", "kv_bits", "tflops", "gbps_low", "capacity_gib"]
    about = ["weight_bits", "kv_bits", "gbps_low", "tflops"]
    return ConsistentRates(
        subject=subject.name,
        searched=len(weight_bits),
        table=result,
        unused=tuple(unused),
        extents=tuple(extents_of(result, names)) if len(result) else (),
        settling=tuple(settling_facts(result, about, about)) if len(result) else (),
    )


def arithmetic_of(subject: RatesSubject, claims: Sequence[Claim]) -> FloatArray:
    """Return for every claim on a step the peak arithmetic that would take just its time, TFLOP/s."""
    technology, one = Technology(subject.spec.technology, library_of(subject.spec.library)), np.ones(1)
    stack = software(Choice.of(subject.stack), technology)
    result = []
    for claim in claims:
        workload, _, metric = claim.metric.rpartition(".")
        if _SPANS.get(metric) == "step" and not claim.not_comparable and claim.relative_to is None:
            requested = _Request.of(subject, workload, technology, (stack, stack), (8 * one, 8 * one, one))
            at_one = requested.seconds("step", requested.machine(np.array([np.inf])))
            low, high = _seconds(claim, metric, requested.serving)
            middle = np.sqrt(low * high) if low > 0 and np.isfinite(high) else high if np.isfinite(high) else low
            result.append(float(at_one[0] / middle))
    low, high, _, _ = subject.axes["tflops"]
    return np.array([value for value in result if low <= value <= high])


def _values(low: float, high: float, levels: int, log: bool) -> FloatArray:
    return np.geomspace(low, high, levels) if log else np.linspace(low, high, levels)


def consistent_rates(
    subject: RatesSubject, claims: Sequence[Claim], weight_bits: FloatArray, kv_bits: FloatArray, tflops: FloatArray
) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """Return for machines with these bits and arithmetic the bandwidths that satisfy every claim.

    Args:
        subject: stack and parameters.
        claims: about it.
        weight_bits: ``(n,)`` stored bits of a body weight.
        kv_bits: ``(n,)`` bits of a KV-cache element.
        tflops: ``(n,)`` peak arithmetic.

    Returns:
        The table of `ConsistentRates` with a column ``consistent``, and the claims that say nothing of rates.
    """
    technology = Technology(subject.spec.technology, library_of(subject.spec.library))
    stack = software(Choice.of(subject.stack), technology)
    ideal = software(Choice.of("ideal"), technology)
    rows = len(weight_bits)
    low, high, capacity = np.zeros(rows), np.full(rows, np.inf), np.zeros(rows)
    unused: list[tuple[str, str]] = []
    requested: list[_Request] = []
    for claim in claims:
        workload, _, metric = claim.metric.rpartition(".")
        if claim.not_comparable:
            unused.append((claim.key, claim.not_comparable))
        elif claim.relative_to is not None or not workload:
            unused.append((claim.key, "rates alone have no power, area, price or software of their own"))
        elif metric == "chips_needed":
            one = _Request.of(subject, workload, technology, (stack, ideal), (weight_bits, kv_bits, tflops))
            capacity = np.maximum(capacity, one.held_bytes / claim.interval[1])
        elif metric in _SPANS:
            one = _Request.of(subject, workload, technology, (stack, ideal), (weight_bits, kv_bits, tflops))
            ends = one.bandwidths(_SPANS[metric], *_seconds(claim, metric, one.serving))
            low, high = np.maximum(low, ends[0]), np.minimum(high, ends[1])
            capacity = np.maximum(capacity, one.held_bytes)
            requested.append(one)
        else:
            unused.append((claim.key, f"rates alone have no {metric}"))
    consistent = (low <= high) & np.isfinite(low)
    # Where any higher bandwidth does, a step is judged at the least that does.
    at = np.where(np.isfinite(low), low, 1.0)
    bound = np.ones(rows, dtype=bool)
    for one in requested:
        bound &= one.memory_fraction(np.maximum(at, 1e6)) >= MEMORY_BOUND
    table = pd.DataFrame(
        {
            "weight_bits": weight_bits,
            "kv_bits": kv_bits,
            "tflops": tflops,
            "gbps_low": low / 1e9,
            "gbps_high": high / 1e9,
            "capacity_gib": capacity / 2**30,
            "memory_bound": bound & np.isfinite(high),
            "consistent": consistent,
        }
    )
    return table, unused


def _seconds(claim: Claim, metric: str, serving: ServingConfig) -> tuple[float, float]:
    """Return the least and most seconds that a claim allows."""
    low, high = claim.interval
    if metric in ("tpot_ms", "ttft_ms"):
        return low / 1e3, high / 1e3
    if metric == "request_s":
        return low, high
    tokens = float(np.ravel(serving.batch)[0])
    if metric == "tokens_per_s_end_to_end":
        tokens *= float(np.ravel(serving.output_tokens)[0])
    return tokens / high if high > 0 else np.inf, tokens / low if low > 0 else np.inf


@dataclass(frozen=True)
class _Request(Asked):
    """One claimed workload on machines with given bits and arithmetic."""

    mac_per_s: FloatArray
    whole_step: bool

    @classmethod
    def of(
        cls,
        subject: RatesSubject,
        name: str,
        technology: Technology,
        stacks: tuple[Software, Software],
        rates: tuple[FloatArray, FloatArray, FloatArray],
    ) -> _Request:
        workload = subject.spec.workloads[name]
        weight_bits, kv_bits, tflops = rates
        serving = serving_config(workload_of(name, workload), technology)
        if np.isnan(serving.batch).any():
            path = f"workloads.{name}.batch"
            must = "a number: what fits cannot be told of a machine whose rates are unknown"
            raise SpecError([Issue(subject.spec.place_of(path), path, f"{workload.batch!r}", must)])
        # Embedding and head count as stored like all other weights: a slide's bits per weight are a mean over all.
        formats = Formats(weight_bits, weight_bits, kv_bits, technology.value("serving.activation_bits"))
        return cls(serving, formats, *stacks, tflops * 5e11, subject.overlap == "step")

    @cached_property
    def work(self) -> dict[str, FloatArray]:
        """Bytes and multiply-accumulates of a step and of the prompts."""
        return least_work(self.serving, self.ideal, self.formats)

    def pass_s(self, phase: PhaseTime) -> FloatArray:
        """Return the time of a step or of the prompts, as one where all its traffic hides all its arithmetic."""
        if not self.whole_step:
            return phase.pass_s
        moving, computing = phase.sum(phase.times.memory_s), phase.sum(phase.times.arithmetic_s)
        return np.maximum(moving, computing) + phase.sum(phase.times.kernel_s) + phase.fixed_s

    def machine(self, bandwidth: FloatArray) -> Machine:
        """Return the machines with delivered bandwidths."""
        return envelope_machine(bandwidth_bytes_per_s=bandwidth, mac_per_s=self.mac_per_s)

    def bandwidths(self, span: str, least_s: float, most_s: float) -> tuple[FloatArray, FloatArray]:
        """Return the least and most delivered bytes/s at which a span takes between two times."""
        moved = self.work["prefill_bytes" if span == "prompt" else "decode_bytes"]
        if span == "request":
            moved = self.work["prefill_bytes"] + moved * self.serving.decode_steps
        # A hundredth of the rate that moves those bytes in the longest time that is named is too slow in every case.
        longest_s = most_s if np.isfinite(most_s) else least_s
        floor = np.broadcast_to(moved, self.mac_per_s.shape) / (100 * max(longest_s, 1e-9))

        def at(rate: FloatArray) -> FloatArray:
            return self.seconds(span, self.machine(rate))

        low = least_rate(at, floor, most_s) if np.isfinite(most_s) else np.zeros(len(self.mac_per_s))
        high = least_rate(at, floor, least_s) if least_s > 0 else np.full(len(self.mac_per_s), np.inf)
        return low, high

    def memory_fraction(self, bandwidth: FloatArray) -> FloatArray:
        """Return the share of the step in operators that wait for memory."""
        step = decode_phase(self.serving, self.machine(bandwidth), self.software, self.formats)
        if self.whole_step:
            return (step.sum(step.times.memory_s) >= step.sum(step.times.arithmetic_s)).astype(np.float64)
        waits = np.where(step.times.memory_s >= step.times.arithmetic_s, step.total_s, 0.0).sum(axis=0)
        return np.asarray(waits / step.pass_s)
