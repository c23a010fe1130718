"""Serving a workload on a machine: prefill, decode step, whole request, memory, energy and power.

Decode runs over contexts from prompt + 1 to prompt + output. Every term but attention is the same at each;
attention's memory and arithmetic times are straight lines in the context, so the mean of their maximum has a
closed form (`mean_of_larger`) that is exact even where the bound changes on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cost_models.columns import FloatArray, Number
from cost_models.interconnect import send_s
from cost_models.library import Model
from cost_models.machine import Machine
from cost_models.parameters import count_parameters
from cost_models.roofline import Formats, OperatorTime, time_operators
from cost_models.software import Software
from cost_models.workload import (
    Operators,
    Shape,
    decode_attention,
    kv_cache_elements,
    linear_operators,
    prefill_attention,
)

Parallelism = Literal["tensor", "pipeline", "layer_split"]


@dataclass(frozen=True)
class Serving:
    """A workload as served: the model and who shares it; numbers are scalars or ``(n,)`` columns.

    Attributes:
        model: the architecture.
        batch: sequences served together.
        prompt_tokens: prompt length.
        output_tokens: generated tokens per sequence.
        tensor_parallel: chips that share every layer.
        stages: chips (or tensor-parallel groups) that share the layers.
        parallelism: "pipeline" keeps all stages busy with parts of the batch, "layer_split" lets them work in turn;
            "tensor" has one stage.
    """

    model: Model
    batch: Number
    prompt_tokens: Number
    output_tokens: Number
    tensor_parallel: Number = 1.0
    stages: Number = 1.0
    parallelism: Parallelism = "tensor"

    @property
    def chips(self) -> Number:
        """Chips that serve the workload."""
        return np.asarray(self.tensor_parallel) * self.stages

    @property
    def batch_parts(self) -> Number:
        """Parts that the batch is cut into, one per busy pipeline stage."""
        return np.minimum(self.stages, self.batch) if self.parallelism == "pipeline" else np.float64(1.0)

    @property
    def shape(self) -> Shape:
        """What one stage sees at a time: the fullest part of the batch."""
        part = np.ceil(np.asarray(self.batch) / self.batch_parts)
        return Shape(part, self.prompt_tokens, self.output_tokens, self.tensor_parallel)


@dataclass(frozen=True)
class PassTime:
    """One pass over the model: its operators with their times, `operators` in step with the first axis.

    Attributes:
        operators: what is executed (attention at the mean context in decode).
        times: where the time of each goes.
        total_s: ``(ops, n)`` time of each operator over the whole pass.
        fixed_s: ``(n,)`` time outside operators: host, hand-over between pipeline stages.
    """

    operators: Operators
    times: OperatorTime
    total_s: FloatArray
    fixed_s: FloatArray

    @property
    def pass_s(self) -> FloatArray:
        """``(n,)`` time of the pass."""
        return self.total_s.sum(axis=0) + self.fixed_s

    def sum(self, amount: FloatArray) -> FloatArray:
        """Return ``(n,)`` an amount per execution, summed over all executions of the pass."""
        return (amount * self.operators.times).sum(axis=0)


def mean_of_larger(first: tuple[FloatArray, FloatArray], second: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Return the mean of ``max(f, g)`` over an interval for two straight lines given by their end values.

    With d = g - f from u to v: mean f + mean max(d, 0), the latter (u + v) / 2, 0, or max(u, v)^2 / (2 |v - u|)
    as d stays positive, stays negative or changes sign.
    """
    u, v = second[0] - first[0], second[1] - first[1]
    top, bottom = np.maximum(u, v), np.minimum(u, v)
    spread = np.where(top > bottom, top - bottom, 1.0)
    crossing = top * top / (2 * spread)
    rise = np.where(bottom >= 0, (u + v) / 2, np.where(top <= 0, 0.0, crossing))
    return (first[0] + first[1]) / 2 + rise


def _joined(first: Operators, second: Operators) -> Operators:
    names, classes = first.names + second.names, first.classes + second.classes
    return Operators(names, classes, **_stacked(first, second, tuple(Operators.__dataclass_fields__)[2:]))


def _stacked(first: object, second: object, fields: tuple[str, ...]) -> dict[str, FloatArray]:
    """Stack each field of two records on the first axis, columns broadcast to a common length."""
    stacked = {}
    for field in fields:
        a, b = getattr(first, field), getattr(second, field)
        width = np.broadcast_shapes(a.shape[1:], b.shape[1:])
        stacked[field] = np.concatenate(
            [np.broadcast_to(a, (a.shape[0], *width)), np.broadcast_to(b, (b.shape[0], *width))]
        )
    return stacked


def _fixed_s(serving: Serving, tokens: Number, machine: Machine, software: Software, formats: Formats) -> FloatArray:
    """Return host time and hand-overs of one pass of `tokens` activation rows."""
    handed = np.asarray(tokens) * serving.model.d_model * np.asarray(formats.activation_bits) / 8
    several = np.asarray(serving.stages) > 1
    hop = send_s(handed * several, machine.link_bytes_per_s, software)
    return software.step_s + np.where(several, (np.asarray(serving.stages) - 1) * hop, 0.0)


def decode_pass(serving: Serving, machine: Machine, software: Software, formats: Formats) -> PassTime:
    """Return the mean decode step of the whole batch."""
    shape, model, tp = serving.shape, serving.model, serving.tensor_parallel
    linear = linear_operators(model, shape, tokens_per_sequence=1.0, head_rows=shape.batch)
    linear_time = time_operators(linear, machine, software, formats, chips=tp)
    # Contexts prompt+1 .. prompt+output, one per step: the integral between half-steps equals their sum.
    first = np.asarray(serving.prompt_tokens) + 0.5
    last = first + np.asarray(serving.output_tokens)
    windowed = _mean_clipped(first, last, float(model.sliding_window or np.inf))
    ends = [decode_attention(model, shape, context=context, windowed=windowed) for context in (first, last)]
    at_start, at_end = (time_operators(operators, machine, software, formats, chips=tp) for operators in ends)
    middle = decode_attention(model, shape, context=(first + last) / 2, windowed=windowed)
    middle_time = time_operators(middle, machine, software, formats, chips=tp)
    memory, arithmetic = (at_start.memory_s, at_end.memory_s), (at_start.arithmetic_s, at_end.arithmetic_s)
    attention_s = mean_of_larger(memory, arithmetic) + middle_time.kernel_s
    total = _stacked_pair(linear_time.total_s * linear.times, attention_s * middle.times)
    times = OperatorTime(**_stacked(linear_time, middle_time, tuple(OperatorTime.__dataclass_fields__)))
    fixed = _fixed_s(serving, shape.batch, machine, software, formats)
    return PassTime(_joined(linear, middle), times, total, fixed)


def prefill_pass(serving: Serving, machine: Machine, software: Software, formats: Formats) -> PassTime:
    """Return the prefill of the whole batch; in a pipeline of p stages and m parts, (m + p - 1) / p times a part's."""
    shape, model, tp = serving.shape, serving.model, serving.tensor_parallel
    linear = linear_operators(model, shape, tokens_per_sequence=serving.prompt_tokens, head_rows=shape.batch)
    operators = _joined(linear, prefill_attention(model, shape))
    times = time_operators(operators, machine, software, formats, chips=tp)
    rows = np.asarray(shape.batch) * serving.prompt_tokens
    fixed = _fixed_s(serving, rows, machine, software, formats)
    turns = np.float64(1.0)
    if serving.parallelism == "pipeline":
        turns = (serving.batch_parts + np.asarray(serving.stages) - 1) / serving.stages
    return PassTime(operators, times, times.total_s * operators.times * turns, fixed)


def _stacked_pair(first: FloatArray, second: FloatArray) -> FloatArray:
    width = np.broadcast_shapes(first.shape[1:], second.shape[1:])
    return np.concatenate([np.broadcast_to(x, (x.shape[0], *width)) for x in (first, second)])


def _mean_clipped(first: Number, last: Number, window: float) -> FloatArray:
    """Return the mean of min(context, window) over contexts from `first` to `last`."""
    first, last = np.asarray(first, dtype=np.float64), np.asarray(last, dtype=np.float64)
    below = np.clip(window, first, last) if np.isfinite(window) else last
    held = window if np.isfinite(window) else 0.0
    return np.minimum(((below**2 - first**2) / 2 + (last - below) * held) / (last - first), window)


@dataclass(frozen=True)
class Footprint:
    """Memory that a workload takes, bytes, ``(n,)``.

    Attributes:
        weights_bytes: stored weights of all chips.
        kv_bytes: KV cache at full length of all chips.
        activations_bytes: activations of one prefill chunk.
        fullest_bytes: what the fullest chip holds.
    """

    weights_bytes: FloatArray
    kv_bytes: FloatArray
    activations_bytes: FloatArray
    fullest_bytes: FloatArray


def footprint(serving: Serving, formats: Formats, *, chunk_tokens: Number) -> Footprint:
    """Return the memory that a workload takes.

    Args:
        serving: the workload.
        formats: stored bits.
        chunk_tokens: prompt tokens that prefill processes together.
    """
    model, shape = serving.model, serving.shape
    count = count_parameters(model)
    weights = np.asarray(
        (count.body * np.asarray(formats.weight_bits) + (count.embedding + count.head) * np.asarray(formats.head_bits))
        / 8
        + count.small * np.asarray(formats.activation_bits) / 8
    )
    length = np.asarray(serving.prompt_tokens) + serving.output_tokens
    whole = Shape(serving.batch, serving.prompt_tokens, serving.output_tokens)
    element = np.asarray(formats.kv_bits) / 8
    kv = kv_cache_elements(model, whole, tokens=length) * element
    sharded = Shape(serving.batch, serving.prompt_tokens, serving.output_tokens, serving.tensor_parallel)
    kv_of_group = kv_cache_elements(model, sharded, tokens=length) * element
    widest = 2 * model.d_model + 2 * (
        model.d_ff or (model.moe.expert_d_ff * model.moe.active_experts if model.moe else 0)
    )
    tokens = np.minimum(np.asarray(shape.batch) * serving.prompt_tokens, chunk_tokens)
    activations = tokens * widest * np.asarray(formats.activation_bits) / 8
    stages = np.asarray(serving.stages)
    layer_share = np.ceil(model.layers / stages) / model.layers
    fullest = weights / serving.chips * (layer_share * stages) + kv_of_group * layer_share
    return Footprint(weights, kv, activations, fullest + activations / serving.tensor_parallel)


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


def pass_energy(work: PassTime, pass_s: FloatArray, serving: Serving, machine: Machine, formats: Formats) -> Energy:
    """Return the energy of a pass: what moves and computes, and what flows meanwhile.

    Parts of a batch in a pipeline each pay their own weight reads. Power is held at the board's design limit, as
    boards do by lowering the clock; the time is not stretched for it.
    """
    operators, times = work.operators, work.times
    # The groups' layers add up to one model: a stage's share times stages is the whole pass.
    groups = np.asarray(serving.tensor_parallel) * serving.batch_parts
    element_bytes = np.asarray(formats.activation_bits) / 8
    crossing = times.dram_bytes + operators.activations * element_bytes
    joules_per_mac = (
        operators.of_class("linear") * machine.linear_j_per_mac
        + operators.of_class("head") * machine.head_j_per_mac
        + operators.of_class("attention") * machine.attention_j_per_mac
    )
    parts = {
        "memory": work.sum(times.dram_bytes) * machine.dram_j_per_byte * groups,
        "arithmetic": work.sum(operators.macs * joules_per_mac) * groups,
        "on_chip": work.sum(crossing) * machine.sram_j_per_byte * groups,
        "unpacking": work.sum(times.weight_bytes) * machine.unpack_j_per_byte * groups,
        "links": work.sum(times.link_bytes) * machine.link_j_per_byte * groups,
        "static": machine.static_w * pass_s * serving.chips,
    }
    drawn = np.asarray(sum(parts.values()) / machine.conversion_efficiency)
    watts = np.minimum(drawn / pass_s, machine.tdp_w * serving.chips)
    return Energy(parts, watts * pass_s, watts)


@dataclass(frozen=True)
class Inference:
    """A workload on a machine; ``(n,)`` columns.

    Attributes:
        decode: the mean decode step.
        prefill: the prefill of the batch.
        decode_s: its time, for the whole batch (TPOT).
        prefill_s: time to first token.
        request_s: prefill and every decode step.
        bound_s: decode step at full bandwidth and arithmetic rate, nothing else.
        decode_energy: energy and power of the step.
        prefill_energy: energy and power of the prefill.
        footprint: memory taken.
        fits: whether the fullest chip holds its share.
        chips_needed: least chips that could hold it, perfectly shared.
    """

    decode: PassTime
    prefill: PassTime
    decode_s: FloatArray
    prefill_s: FloatArray
    request_s: FloatArray
    bound_s: FloatArray
    decode_energy: Energy
    prefill_energy: Energy
    footprint: Footprint
    fits: FloatArray
    chips_needed: FloatArray


def decode_bound_s(work: PassTime, serving: Serving, machine: Machine) -> FloatArray:
    """Return the least time of a decode step: all bytes at peak bandwidth or all MACs at peak rate, perfectly shared."""
    operators = work.operators
    seconds_per_mac = (
        operators.of_class("linear") / machine.linear_mac_per_s
        + operators.of_class("head") / machine.head_mac_per_s
        + operators.of_class("attention") / machine.attention_mac_per_s
    )
    moving = work.sum(work.times.dram_bytes) / machine.bandwidth_bytes_per_s
    return np.maximum(moving, work.sum(operators.macs * seconds_per_mac))


def infer(
    serving: Serving, machine: Machine, software: Software, formats: Formats, *, chunk_tokens: Number
) -> Inference:
    """Return time, memory and power of a workload on a machine.

    Args:
        serving: the workload and who shares it.
        machine: one of the chips.
        software: the stack's parameters.
        formats: stored bits.
        chunk_tokens: prompt tokens that prefill processes together (figure ``serving.prefill_chunk_tokens``).
    """
    decode = decode_pass(serving, machine, software, formats)
    prefill = prefill_pass(serving, machine, software, formats)
    decode_s, prefill_s = decode.pass_s, prefill.pass_s
    held = footprint(serving, formats, chunk_tokens=chunk_tokens)
    needed = np.ceil((held.weights_bytes + held.kv_bytes + held.activations_bytes) / machine.capacity_bytes)
    return Inference(
        decode=decode,
        prefill=prefill,
        decode_s=decode_s,
        prefill_s=prefill_s,
        request_s=prefill_s + decode_s * serving.output_tokens,
        bound_s=decode_bound_s(decode, serving, machine),
        decode_energy=pass_energy(decode, decode_s, serving, machine, formats),
        prefill_energy=pass_energy(prefill, prefill_s, serving, machine, formats),
        footprint=held,
        fits=held.fullest_bytes <= machine.capacity_bytes,
        chips_needed=needed,
    )
