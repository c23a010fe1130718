"""Time of one pass over the model: a prefill, or the mean decode step.

Decode runs over contexts from prompt + 1 to prompt + output. Every term but attention is the same at each;
attention's memory and arithmetic times are straight lines in the context, so the mean of their maximum has a
closed form (`mean_of_larger`) that is exact even where the bound changes on the way. Layers of limited reach are
taken at their mean clipped context, which is exact while one bound holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from cost_models.performance.interconnect import send_s
from cost_models.performance.near_memory import faster, near_times
from cost_models.performance.roofline import OperatorTime, decode_attention_fraction, time_operators
from cost_models.performance.serving_stack import Software
from cost_models.silicon.machine import Machine
from cost_models.table import FloatArray, Number, rows_where
from cost_models.tape import asarray, row_by_row
from cost_models.workload.formats import Formats
from cost_models.workload.mixing import decode_attention, prefill_attention, shared_queries
from cost_models.workload.operators import AMOUNTS, Operators, Shape, WeightClass, linear_operators
from cost_models.workload.serving import ServingConfig


@dataclass(frozen=True)
class PhaseTime:
    """One pass over the model: its operators with their times, `operators` in step with the first axis.

    Attributes:
        operators: what is executed (attention at the mean context in decode).
        times: where the time of each goes.
        total_s: ``(ops, n)`` time of each operator over the whole pass.
        fixed_s: ``(n,)`` time outside operators: host, hand-over between stages.
        capped_s: ``(n,)`` time that a clock lowered by a power cap adds.
        sharing: queries that meet an element of the cache together, once it is read; as many as one likes in prefill.
        moved_j: energy of what it moves and computes (`energy.moved_j`), once it has been worked out.
    """

    operators: Operators
    times: OperatorTime
    total_s: FloatArray
    fixed_s: FloatArray
    capped_s: FloatArray = field(default_factory=lambda: np.zeros(1))
    sharing: FloatArray = field(default_factory=lambda: np.full(1, np.inf))
    moved_j: Mapping[str, FloatArray] | None = None

    @cached_property
    def pass_s(self) -> FloatArray:
        """``(n,)`` time of the pass."""
        return summed(self.total_s) + self.fixed_s + self.capped_s

    @cached_property
    def dram_bytes(self) -> FloatArray:
        """``(n,)`` bytes through the memory interface."""
        return self.sum(self.times.dram_bytes)

    @cached_property
    def chip_macs(self) -> FloatArray:
        """``(ops, n)`` multiply-accumulates of an execution on the chip, none of what runs beside the banks."""
        near = self.times.near_bytes
        return np.where(near > 0, 0.0, self.operators.macs) if near.any() else self.operators.macs

    def sum(self, amount: FloatArray) -> FloatArray:
        """Return ``(n,)`` an amount per execution, summed over all executions of the pass."""
        return _summed_times(amount, self.operators.times)

    def sum_of_class(self, weight_class: WeightClass, amount: FloatArray) -> FloatArray:
        """Return ``(n,)`` an amount per execution, summed over all executions of operators of one class."""
        return self.sum(amount * self.operators.of_class(weight_class))


@row_by_row
def _summed_times(amounts: FloatArray, times: FloatArray) -> FloatArray:
    """Return `summed` of products, of which one is held at a time."""
    total = asarray(amounts[0] * times[0])
    for some, often in zip(amounts[1:], times[1:], strict=True):
        total += some * often
    return total


@row_by_row
def summed(amounts: FloatArray) -> FloatArray:
    """Return the sum over the first axis, always in the same order: a sum of NumPy's depends on the other axis."""
    total: FloatArray = amounts[0].copy()
    for amount in amounts[1:]:
        total += amount
    return total


def mean_of_larger(first: tuple[FloatArray, FloatArray], second: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Return the mean of ``max(f, g)`` over an interval for two straight lines given by their end values.

    With d = g - f from u to v: mean f + mean max(d, 0), the latter (u + v) / 2, 0, or max(u, v)^2 / (2 |v - u|)
    as d stays positive, stays negative or changes sign.
    """
    u, v = second[0] - first[0], second[1] - first[1]
    top, bottom = np.maximum(u, v), np.minimum(u, v)
    spread = rows_where(top > bottom, top - bottom, 1.0)
    crossing = top * top / (2 * spread)
    rise = rows_where(bottom >= 0, (u + v) / 2, rows_where(top <= 0, 0.0, crossing))
    return (first[0] + first[1]) / 2 + rise


def _joined(first: Operators, second: Operators) -> Operators:
    names, classes = first.names + second.names, first.classes + second.classes
    return Operators(names, classes, **_joined_fields(first, second, AMOUNTS))


def _both(first: OperatorTime, second: OperatorTime) -> OperatorTime:
    return OperatorTime(**_joined_fields(first, second, OperatorTime.__dataclass_fields__))


def _joined_fields(first: object, second: object, fields: Iterable[str]) -> dict[str, FloatArray]:
    return {name: _both_rows(getattr(first, name), getattr(second, name)) for name in fields}


def _both_rows(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the rows of two ``(ops, n)`` arrays as one, columns broadcast to a common length."""
    n = max(first.shape[1], second.shape[1])
    # Copies of a column are made once, by the joining.
    return np.concatenate(
        [one if one.shape[1] == n else np.broadcast_to(one, (len(one), n)) for one in (first, second)]
    )


def _dealt(serving: ServingConfig, machine: Machine, software: Software) -> Shape:
    """Return what one stage sees, heads dealt to the devices of a chip and experts chosen as the stack does it."""
    return replace(serving.shape, ranks_per_chip=machine.devices, all_experts=software.all_experts)


def _fixed_s(
    serving: ServingConfig,
    tokens: Number,
    machine: Machine,
    software: Software,
    formats: Formats,
    *,
    scored: Number = 1.0,
) -> FloatArray:
    """Return host time and hand-overs of one pass of `tokens` activation rows, `scored` of each sequence scored."""
    handed = asarray(tokens) * serving.model.d_model * asarray(formats.activation_bits) / 8
    handed = handed * (asarray(serving.stages) > 1)
    group = asarray(serving.tensor_parallel) * serving.replicas
    hops = send_s(handed, machine, software, stages=serving.stages, chips=group)
    each = software.sequence_s + serving.model.vocab * software.logit_s * scored
    return asarray(software.step_s + asarray(serving.batch) * each + hops)


def decode_phase(
    serving: ServingConfig, machine: Machine, software: Software, formats: Formats, *, prompts: Number = 0.0
) -> PhaseTime:
    """Return the mean decode step of the whole batch: one pass over the model, of all rows that it verifies.

    Tokens of prompts that join it go through the layers with those of the sequences: weights are read, kernels started
    and sums exchanged once for both (Orca's selective batching, OSDI 2022; chunked prefill, arXiv 2403.02310).

    Args:
        serving: the workload.
        machine: the chip.
        software: stack parameters.
        formats: stored bits.
        prompts: prompts that join the step, of which it takes an equal share of no more than a chunk (`prompt_chunks`).
    """
    shape, model, tp = _dealt(serving, machine, software), serving.model, serving.tensor_parallel
    rows = serving.step_rows
    sharing = asarray(shared_queries(model, shape) * rows)
    share = decode_attention_fraction(sharing, machine, software, formats)
    tokens, scored = rows, shape.batch * rows
    if np.any(prompts):
        taken = prompts / prompt_chunks(serving, prompts, software) / serving.batch_parts
        tokens, scored = rows + taken * serving.computed_tokens / shape.batch, scored + taken
    linear = linear_operators(model, shape, tokens_per_sequence=tokens, head_rows=scored)
    linear_time = _timed(linear, serving, machine, software, formats, attention_fraction=share)
    # Contexts prompt+1 .. prompt+output, one per step: the integral between half-steps equals their sum.
    first = asarray(serving.prompt_tokens) + 0.5
    last = first + asarray(serving.output_tokens)
    if machine.static_shapes.any():
        # A schedule made beforehand has the length of the longest context, whichever step it runs.
        first = np.where(machine.static_shapes > 0, last - 1, first)
    over = (first, last)
    ends = [decode_attention(model, shape, context=context, over=over, queries=rows) for context in over]
    at_ends = [time_operators(one, machine, software, formats, chips=tp, attention_fraction=share) for one in ends]
    middle = decode_attention(model, shape, context=(first + last) / 2, over=over, queries=rows)
    middle_time, attention_s = _mean_over(at_ends, software)
    if machine.near is not None:
        beside = [near_times(one, at, machine, software, formats) for one, at in zip(ends, at_ends, strict=True)]
        near_time, near_s = _mean_over([times for times, _ in beside], software)
        middle_time, attention_s = faster(middle, machine, middle_time, near_time, beside[0][1], attention_s, near_s)
    fixed = _fixed_s(serving, shape.batch * tokens, machine, software, formats, scored=scored / shape.batch)
    total = _both_rows(linear_time.total_s * linear.times, attention_s * middle.times)
    step = PhaseTime(_joined(linear, middle), _both(linear_time, middle_time), total, fixed, sharing=sharing)
    if not np.any(prompts):
        return step
    whole = prefill_attention(model, replace(shape, batch=taken))
    prompt_time = _timed(
        whole, serving, machine, software, formats, attention_fraction=software.attention_compute_efficiency
    )
    # Queries of a prompt share what is read with as many others as one likes.
    shared = sharing * (1 + _summed_times(whole.macs, whole.times) / _summed_times(middle.macs, middle.times))
    return PhaseTime(
        _joined(step.operators, whole), _both(step.times, prompt_time),
        _both_rows(total, prompt_time.total_s * whole.times), fixed, sharing=shared,
    )  # fmt: skip


def prompt_chunks(serving: ServingConfig, prompts: Number, software: Software) -> FloatArray:
    """Return the parts in which prompts go through the layers, of no more than the stack's rows each."""
    rows = asarray(prompts) * asarray(serving.computed_tokens)
    return asarray(np.maximum(np.ceil(rows / software.chunk_rows), 1.0))


def _timed(
    operators: Operators,
    serving: ServingConfig,
    machine: Machine,
    software: Software,
    formats: Formats,
    *,
    attention_fraction: Number,
) -> OperatorTime:
    """Return where the time of each operator goes, on the chip or beside the banks of its memory (`time_operators`)."""
    times = time_operators(
        operators, machine, software, formats, chips=serving.tensor_parallel, replicas=serving.replicas,
        attention_fraction=attention_fraction,
    )  # fmt: skip
    if machine.near is None:
        return times
    near, can = near_times(operators, times, machine, software, formats)
    return faster(operators, machine, times, near, can, times.total_s, near.total_s)[0]


def _mean_over(ends: Sequence[OperatorTime], software: Software) -> tuple[OperatorTime, FloatArray]:
    """Return the mean times of operators whose times are straight lines between two ends, and their sums."""
    at_start, at_end = ends
    memory, arithmetic = (at_start.memory_s, at_end.memory_s), (at_start.arithmetic_s, at_end.arithmetic_s)
    larger = mean_of_larger(memory, arithmetic)
    # The smaller of two is their sum less the larger, so its mean is exact as well.
    smaller = (memory[0] + memory[1] + arithmetic[0] + arithmetic[1]) / 2 - larger
    exposed = software.non_overlapped_fraction * smaller
    mean = replace(
        at_start,
        memory_s=(memory[0] + memory[1]) / 2,
        arithmetic_s=(arithmetic[0] + arithmetic[1]) / 2,
        non_overlapped_s=exposed,
        dram_bytes=(at_start.dram_bytes + at_end.dram_bytes) / 2,
        near_bytes=(at_start.near_bytes + at_end.near_bytes) / 2,
    )
    return mean, larger + exposed + mean.kernel_s + mean.collective_s


def prefill_phase(serving: ServingConfig, machine: Machine, software: Software, formats: Formats) -> PhaseTime:
    """Return the prefill of the whole batch; in a pipeline of p stages and m parts, (m + p - 1) / p times a part's.

    Prompts go through the layers in chunks of the stack's rows at most; each chunk reads the weights anew. Chunks of
    one prompt follow one another through chips that hold layers in turn, so that m chunks over p chips take
    (m + p - 1) / (m p) of the time on one.
    """
    shape, model = _dealt(serving, machine, software), serving.model
    rows = asarray(shape.batch) * asarray(serving.computed_tokens)
    chunks = prompt_chunks(serving, shape.batch, software)
    linear = linear_operators(
        model, shape, tokens_per_sequence=asarray(serving.computed_tokens) / chunks, head_rows=shape.batch
    )
    once = np.array([[name == "lm_head"] for name in linear.names])
    linear = replace(linear, times=linear.times * np.where(once, 1.0, chunks))
    operators = _joined(linear, prefill_attention(model, shape))
    times = _timed(
        operators, serving, machine, software, formats, attention_fraction=software.attention_compute_efficiency
    )
    fixed = _fixed_s(serving, rows, machine, software, formats) + software.prefill_s
    turns: Number = 1.0
    stages = asarray(serving.stages)
    if serving.parallelism == "pipeline":
        turns = (serving.batch_parts + stages - 1) / stages
    elif serving.parallelism == "layer_split":
        turns = (chunks + stages - 1) / (chunks * stages)
    return PhaseTime(operators, times, times.total_s * operators.times * turns, fixed)
