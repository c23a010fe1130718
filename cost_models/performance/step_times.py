"""Step times of an engine that batches continuously, as columns that a queue can be solved on.

An engine works in steps. Each gives every decoding sequence its next token and takes up to a chunk of the tokens of
waiting prompts, first come first served: a step of n sequences and p prompt tokens lasts D(n) + X p / S, where D is
the decode step and X what a prompt of S tokens adds to steps that run anyway; without sequences it lasts P p / S, P
being the prefill of a single prompt. A request holds memory for all its tokens from admission on, so that none is ever
preempted, and K requests fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from cost_models.table import FloatArray, Number
from cost_models.workload.serving import footprint

if TYPE_CHECKING:
    from cost_models.performance.inference import Inference

SPACING = 4.0
"""Ratio of the batches at which the decode step is worked out before any refinement: 1, 4, 16, ...

They are the same for all rows, which is several times as fast, and what a row has does not depend on the others.
"""


@dataclass(frozen=True)
class StepTimes:
    """An engine of one replica; ``(n,)`` columns unless stated.

    Attributes:
        batches: ``(k, n)`` ascending numbers of decoding sequences, 0 first.
        decode_s: ``(k, n)`` step time at those; at 0 what a step costs that only takes prompts.
        prompt_s: what a mean prompt adds to steps with decoding sequences (X).
        alone_s: prefill of a single prompt on an idle engine (P).
        chunks: steps that a mean prompt takes.
        prompts_per_step: mean prompts that a step can take; below 1 where a prompt takes several.
        decode_steps: steps of a mean request after its first token (G).
        most: requests that fit the memory (K); 0 where not even one does.
    """

    batches: FloatArray
    decode_s: FloatArray
    prompt_s: FloatArray
    alone_s: FloatArray
    chunks: FloatArray
    prompts_per_step: FloatArray
    decode_steps: FloatArray
    most: FloatArray

    def step_s(self, sequences: FloatArray) -> FloatArray:
        """Return the decode step at numbers of sequences, ``(m, n)`` or ``(n,)``: straight lines between knots."""
        total = np.asarray(self.decode_s[0] + self._slopes[0] * np.minimum(sequences, self.batches[-1]))
        for start, bend in zip(self.batches[1:-1], np.diff(self._slopes, axis=0), strict=True):
            total += bend * np.clip(sequences - start, 0.0, self.batches[-1] - start)
        return total

    @cached_property
    def _slopes(self) -> FloatArray:
        """``(k - 1, n)`` slope from each knot to the next; that before it where two knots are one."""
        width = np.diff(self.batches, axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = np.diff(self.decode_s, axis=0) / width
        for knot in range(1, len(slopes)):
            slopes[knot] = np.where(width[knot] > 0, slopes[knot], slopes[knot - 1])
        return slopes

    def refined(self, batch: FloatArray, decode_s: FloatArray) -> StepTimes:
        """Return the same with one more knot per row."""
        rows = np.broadcast_shapes(self.batches.shape[1:], batch.shape, decode_s.shape)
        batches, times = (
            np.concatenate([np.broadcast_to(old, (len(old), *rows)), np.broadcast_to(new, rows)[None]])
            for old, new in ((self.batches, batch), (self.decode_s, decode_s))
        )
        order = np.argsort(batches, axis=0, kind="stable")
        return replace(
            self,
            batches=np.take_along_axis(batches, order, axis=0),
            decode_s=np.take_along_axis(times, order, axis=0),
        )


def most_requests(result: Inference) -> FloatArray:
    """Return ``(n,)`` how many requests of full length the memory of a replica holds, 0 where not one.

    What a replica holds is weights + k b + the activations of a step, min(a b, A) for b requests: a straight line
    while their prompts fit a chunk and another beyond.
    """

    def held(batch: float, chunk: Number) -> FloatArray:
        serving = replace(result.serving, batch=np.full(1, batch))
        return footprint(serving, result.formats, chunk_rows=chunk).most_loaded_bytes

    bare, two = held(1.0, 0.0), held(2.0, 0.0)
    each, room = two - bare, result.machine.capacity_bytes
    small, full = held(1.0, np.inf) - bare, held(2.0**40, result.software.chunk_rows) - held(2.0**40, 0.0)
    weights = bare - each
    with np.errstate(divide="ignore", invalid="ignore"):
        fitting = np.maximum((room - weights) / (each + small), (room - weights - full) / each)
    most = np.floor(np.clip(np.nan_to_num(fitting, nan=0.0, posinf=2.0**16), 0.0, 2.0**16) * (1 + 1e-12))
    return np.asarray(most)


def decode_step_s(result: Inference, batch: FloatArray) -> FloatArray:
    """Return ``(n,)`` the mean decode step of a replica at a number of sequences."""
    return replace(result, serving=replace(result.serving, batch=batch), waves=1.0, in_flight=0.0).decode.pass_s


def step_times(result: Inference) -> StepTimes:
    """Return the step times of each row's engine.

    Args:
        result: the workload; its batch has no part in it, its stack's ``chunk_rows`` are the tokens of a step.
    """
    chunk = result.software.chunk_rows
    one = replace(result, serving=replace(result.serving, batch=np.ones(1)), waves=1.0, in_flight=0.0)
    most = most_requests(result)
    prompt = np.asarray(one.serving.prompt_tokens, dtype=np.float64)
    steps = np.maximum(np.asarray(one.serving.decode_steps, dtype=np.float64), 0.0)
    alone, fixed = one.prefill_s, one.prefill.fixed_s
    chunks = np.maximum(np.ceil(prompt / chunk), 1.0)
    batches = [np.ones(1)]
    while batches[-1][0] < np.max(most, initial=2.0):
        batches.append(batches[-1] * SPACING)
    times = [decode_step_s(one, batch) for batch in batches]
    knots = np.broadcast_arrays(np.zeros(1), *batches, fixed / chunks, *times)
    count = len(batches) + 1
    rows = np.broadcast_shapes(*(np.shape(x) for x in (alone, fixed, chunks, most, steps, knots[0])))
    columns = (alone - fixed, alone, chunks, chunk / np.maximum(prompt, 1.0), steps, most)
    return StepTimes(
        np.broadcast_to(np.stack(knots[:count]), (count, *rows)),
        np.broadcast_to(np.stack(knots[count:]), (count, *rows)),
        *(np.broadcast_to(column, rows) for column in columns),
    )
