"""Serving a workload on a machine: prefill, decode step, whole request, memory, energy and power."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cost_models.performance.energy import Energy, phase_energy
from cost_models.performance.phases import PhaseTime, decode_phase, prefill_phase, prompt_chunks
from cost_models.performance.placement import placed
from cost_models.performance.power_cap import cap_stretch, capped_phase
from cost_models.performance.roofline import memory_slowdown
from cost_models.performance.serving_stack import Software
from cost_models.silicon.machine import Machine
from cost_models.table import FloatArray, Number, positive
from cost_models.tape import asarray
from cost_models.workload.formats import Formats
from cost_models.workload.serving import Footprint, ServingConfig, footprint

STEPS_WAITED = 1.5
"""Decode steps before a first token in flight: half of the one that goes on, and the whole of the prompt's own."""


@dataclass(frozen=True)
class Inference:
    """A workload on a machine; every result is worked out when it is first asked for, ``(n,)`` or ``(1,)``.

    Attributes:
        serving: the workload and who shares it.
        machine: one of the chips.
        software: the stack's parameters.
        formats: stored bits.
        waves: batches that are served one after the other.
        in_flight: 1 where a steady number of requests is served, whose prompts join the decode steps of the others.
    """

    serving: ServingConfig
    machine: Machine
    software: Software
    formats: Formats
    waves: Number = 1.0
    in_flight: Number = 0.0

    @cached_property
    def placed(self) -> Machine:
        """The chip with the tensors of the workload in its memories; a draft, read the most, takes its place first."""
        if self.machine.second is None:
            return self.machine
        drafts = None if self.draft is None else self.draft.placed.placement
        return placed(
            self.serving, self.machine, self.software, self.formats, chunk_rows=self.software.chunk_rows, before=drafts
        )

    @cached_property
    def decode(self) -> PhaseTime:
        """The model's pass of the mean decode step, at the clock that the design limit allows."""
        work = decode_phase(self.serving, self.placed, self.software, self.formats)
        return capped_phase(work, self.serving, self.placed, self.formats, self.software)

    @cached_property
    def draft(self) -> Inference | None:
        """The draft on the same machine, as a workload of its own; None where drafts cost nothing."""
        drafting = self.serving.drafting
        return None if drafting is None else replace(self, serving=drafting)

    @property
    def draft_steps(self) -> Number:
        """Steps of the draft before each pass over the model."""
        return 0.0 if self.serving.speculation is None else self.serving.speculation.draft_tokens

    @property
    def tokens_per_step(self) -> Number:
        """Mean tokens that a sequence gains in a decode step."""
        return 1.0 if self.serving.speculation is None else self.serving.speculation.tokens_per_step

    @cached_property
    def step_s(self) -> FloatArray:
        """Time of a decode step for the whole batch: drafts, then the model."""
        if self.draft is None:
            return self.decode.pass_s
        return self.decode.pass_s + self.draft_steps * self.draft.decode.pass_s

    @cached_property
    def prefill(self) -> PhaseTime:
        """The prefill of the batch, of one prompt in flight; without time where no arithmetic rate is known."""
        serving = self.serving
        if np.any(self.in_flight):
            serving = replace(serving, batch=np.where(self.in_flight, 1.0, serving.batch))
        work = prefill_phase(serving, self.placed, self.software, self.formats)
        work = capped_phase(work, self.serving, self.placed, self.formats, self.software)
        if self.machine.arithmetic_known.all():
            return work
        return replace(work, total_s=np.where(self.machine.arithmetic_known > 0, work.total_s, np.nan))

    @cached_property
    def prompts_per_step(self) -> FloatArray:
        """Prompts that join a decode step in flight: as many as requests end in it, batch / output tokens."""
        return asarray(self.serving.batch) / self.serving.output_tokens

    @property
    def _joined(self) -> FloatArray:
        """Prompts that are taken together: those of a step, or one where they are fewer."""
        return np.maximum(self.prompts_per_step * self.tokens_per_step, 1.0)

    @cached_property
    def joining(self) -> PhaseTime:
        """The model's pass of a decode step that takes prompts, a chunk of them at most."""
        work = decode_phase(self.serving, self.placed, self.software, self.formats, prompts=self._joined)
        return capped_phase(work, self.serving, self.placed, self.formats, self.software)

    @cached_property
    def _prompt_passes(self) -> tuple[FloatArray, FloatArray]:
        """Passes with prompts in the time of a token: those that are steps of the sequences as well, and the others."""
        chunks = prompt_chunks(self.serving, self._joined, self.software)
        passes = chunks * self.prompts_per_step / self._joined
        shared = np.minimum(passes, 1 / asarray(self.tokens_per_step))
        return shared, passes - shared

    @cached_property
    def _apart(self) -> PhaseTime:
        """Prompts that find no step to join, in passes of their own."""
        alone = replace(self.serving, batch=self._joined)
        work = prefill_phase(alone, self.placed, self.software, self.formats)
        return capped_phase(work, alone, self.placed, self.formats, self.software)

    @property
    def _apart_s(self) -> FloatArray:
        """Time of one of those passes; what it costs to start one is in the step that it follows."""
        work = self._apart
        return (work.pass_s - work.fixed_s) / prompt_chunks(self.serving, self._joined, self.software)

    @cached_property
    def joining_s(self) -> FloatArray:
        """What prompts add to the time of a token; 0 where nothing is in flight."""
        if not np.any(self.in_flight):
            return np.zeros(1)
        shared, apart = self._prompt_passes
        joined = shared * (self.joining.pass_s - self.decode.pass_s)
        if apart.any():
            joined = joined + np.where(apart > 0, apart * self._apart_s, 0.0)
        if self.draft is not None:
            joined = joined + self._drafts * self.draft.joining_s
        return np.where(self.in_flight, joined, 0.0)

    @cached_property
    def decode_s(self) -> FloatArray:
        """Time in which each sequence gains a token (TPOT), with the prompts that join meanwhile."""
        each = self.step_s if self.serving.speculation is None else self.step_s / self.tokens_per_step
        return each + self.joining_s if np.any(self.in_flight) else each

    @cached_property
    def prefill_s(self) -> FloatArray:
        """Time to first token; in flight with what a prompt waits for.

        It comes half way through a step of the others and then shares one with them.
        """
        if not np.any(self.in_flight):
            return self.prefill_work_s
        return self.prefill_work_s + self.in_flight * (STEPS_WAITED * self.decode_s + self.software.wait_s)

    @property
    def prefill_work_s(self) -> FloatArray:
        """Time that a prompt takes by itself: a draft reads it as well."""
        if self.draft is None:
            return self.prefill.pass_s
        return self.prefill.pass_s + self._drafts * self.draft.prefill.pass_s

    @property
    def _drafts(self) -> Number:
        return 0.0 if self.serving.speculation is None else self.serving.speculation.drafts

    @cached_property
    def request_s(self) -> FloatArray:
        """Prefill, which yields the first token, and every decode step, of all waves."""
        if self.serving.model.encoder:
            return self.waves * self.prefill_s
        return self.waves * (self.prefill_s + self.decode_s * self.serving.decode_steps)

    @cached_property
    def tokens_per_s_end_to_end(self) -> FloatArray:
        """Output tokens per second, prefill included."""
        tokens = asarray(self.serving.sequences) * self.waves * self.serving.output_tokens
        whole = asarray(tokens / self.request_s)
        if not np.any(self.in_flight):
            return whole
        return np.where(self.in_flight, self.serving.sequences / self.decode_s, whole)

    @cached_property
    def bound_s(self) -> FloatArray:
        """Time in which each sequence gains a token at full bandwidth and arithmetic rate, nothing else."""
        bound = decode_bound_s(self.decode, self.placed)
        if self.draft is not None:
            bound = bound + self.draft_steps * self.draft.bound_s
        return bound if self.serving.speculation is None else bound / self.tokens_per_step

    @property
    def decode_cap_stretch(self) -> FloatArray:
        """Time of a decode step at the design limit over that at the highest clock."""
        return cap_stretch(self.decode, self.serving, self.placed, self.formats, self.software)

    @property
    def prefill_cap_stretch(self) -> FloatArray:
        """The same of the prefill."""
        return cap_stretch(self.prefill, self.serving, self.placed, self.formats, self.software)

    @cached_property
    def pass_energy(self) -> Energy:
        """Energy and power of the model's pass of a decode step."""
        return self._energy(self.decode, self.decode.pass_s)

    def _energy(self, work: PhaseTime, seconds: FloatArray) -> Energy:
        return phase_energy(work, seconds, self.serving, self.placed, self.formats, self.software)

    @cached_property
    def decode_energy(self) -> Energy:
        """Energy and power of the time in which each sequence gains a token by decoding."""
        whole = self.pass_energy
        if self.draft is not None:
            whole = whole.with_fraction(self.draft.pass_energy, self.draft_steps, self.step_s)
        return whole if self.serving.speculation is None else whole.divided(self.tokens_per_step)

    @cached_property
    def step_energy(self) -> Energy:
        """Energy and power of the decode step with the prompts that join it in flight."""
        if not np.any(self.in_flight):
            return self.decode_energy
        shared, apart = (self.in_flight * passes for passes in self._prompt_passes)
        joined = self._energy(self.joining, self.joining.pass_s)
        with_prompts = self.decode_energy.with_fraction(joined, shared, self.decode_s)
        with_prompts = with_prompts.with_fraction(self.pass_energy, -shared, self.decode_s)
        if apart.any():
            with_prompts = with_prompts.with_fraction(self._energy(self._apart, self._apart_s), apart, self.decode_s)
        if self.draft is None:
            return with_prompts
        return with_prompts.with_fraction(
            self.draft.prefill_pass_energy, self._drafts * self.prompts_per_step, self.decode_s
        )

    @cached_property
    def prefill_pass_energy(self) -> Energy:
        """Energy and power of the model's part of the prefill."""
        return self._energy(self.prefill, self.prefill.pass_s)

    @cached_property
    def prefill_energy(self) -> Energy:
        """Energy and power of the prefill."""
        if self.draft is None:
            return self.prefill_pass_energy
        return self.prefill_pass_energy.with_fraction(self.draft.prefill_pass_energy, self._drafts, self.prefill_work_s)

    @cached_property
    def footprint(self) -> Footprint:
        """Memory taken."""
        return footprint(
            self.serving,
            self.formats,
            chunk_rows=self.software.chunk_rows,
            read_mostly_bytes=self.machine.read_mostly_bytes,
        )

    @cached_property
    def fits(self) -> NDArray[np.bool_]:
        """Whether the most-loaded chip holds its share, and the chips can reach each other."""
        return (self.footprint.most_loaded_bytes <= self.machine.capacity_bytes) & np.isfinite(self.decode_s)

    @cached_property
    def chips_needed(self) -> FloatArray:
        """Least chips that could hold it, perfectly shared."""
        held, capacity = self.footprint, self.machine.capacity_bytes
        needed = np.ceil((held.weights_bytes + held.kv_bytes + held.activations_bytes) / capacity)
        if self.machine.read_mostly_bytes.any():
            written, room = held.kv_bytes + held.activations_bytes, capacity - self.machine.read_mostly_bytes
            needed = np.maximum(needed, np.ceil(written / positive(room)))
        return asarray(needed)


def decode_bound_s(work: PhaseTime, machine: Machine) -> FloatArray:
    """Return the least time of a decode step: all bytes at peak bandwidth or all MACs at peak rate.

    Where units beside the banks may multiply, one operator after the other, each in the better place.
    """
    moved, macs = work.dram_bytes, work.chip_macs
    if machine.placement is not None:
        moved = work.sum(work.times.dram_bytes * memory_slowdown(work.operators, machine))
    computing = (
        work.sum_of_class("linear", macs) / machine.linear_mac_per_s
        + work.sum_of_class("head", macs) / machine.head_mac_per_s
        + work.sum_of_class("attention", macs) / machine.attention_mac_per_s
    )
    bound = np.maximum(moved / machine.bandwidth_bytes_per_s, computing)
    if machine.near is None:
        return bound
    return np.where(machine.near.bytes_per_s > 0, work.sum(work.times.least_s), bound)
