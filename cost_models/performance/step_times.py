"""Step times of an engine that batches continuously, as columns that a queue can be solved on.

An engine works in steps. Each gives every decoding sequence its next token and takes up to a chunk of the tokens of
waiting prompts, first come first served: a step of n sequences and p prompt tokens lasts D(n) + X p / S, where D is
the decode step and X what a prompt of S tokens adds to steps that run anyway; without sequences it lasts P p / S, P
being the prefill of a single prompt. A request holds memory for all its tokens from admission on, so that none is ever
preempted, and K requests fit.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cost_models.performance.waits import TINY, Wait
from cost_models.table import FloatArray, Number, as_rows, rows_of
from cost_models.tape import as_one, asarray
from cost_models.workload.serving import footprint
from cost_models.workload.speculation import Speculation

if TYPE_CHECKING:
    from cost_models.performance.inference import Inference

SPACING = 8.0
"""Ratio of the batches at which the decode step is worked out before any refinement, from two tiles of rows on.

They are the same for all rows whose tiles are alike, which is several times as fast, and what a row has does not
depend on the others.
"""

LEAST_REACH = 2 * SPACING + 1
"""Tiles up to which steps are known whatever the memory holds."""

COLUMNS = (
    "batches", "decode_s", "prompt_s", "alone_s", "chunks", "prompts_per_step", "decode_steps", "most", "tile_rows",
    "wait_s",
)  # fmt: skip
"""Fields of `StepTimes` that have a number per row."""


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
        decode_steps: steps of a mean request after its first token (G), in part where the last yields too many.
        most: requests that fit the memory (K); 0 where not even one does.
        tile_rows: sequences that a tile of a matrix kernel takes: the step rises in stairs so wide.
        wait_s: fixed time before a request reaches the engine: network, tokenising, scheduling.
        speculation: what a step yields where it drafts; None where it yields a token.
        apart: by how much later a first token is than that of a request whose prompt is the mean one, where prompts
            differ; its mean over all requests is what none of the above has. None where all are alike.
    """

    batches: FloatArray
    decode_s: FloatArray
    prompt_s: FloatArray
    alone_s: FloatArray
    chunks: FloatArray
    prompts_per_step: FloatArray
    decode_steps: FloatArray
    most: FloatArray
    tile_rows: Number = 1.0
    wait_s: Number = field(default=0.0, kw_only=True)
    speculation: Speculation | None = field(default=None, kw_only=True)
    apart: Wait | None = field(default=None, kw_only=True)

    def step_s(self, sequences: FloatArray, *, varied: Number = 0.0) -> FloatArray:
        """Return the decode step at numbers of sequences, ``(m, n)`` or ``(n,)``: stairs under the line of their ends.

        Within a stair it rises as within the first one, as far as that is not below the line. Where numbers vary by a
        stair or more it is the mean over one.

        Args:
            sequences: in the step.
            varied: width of the numbers that each stands for, beyond itself.
        """
        tile = asarray(self.tile_rows, dtype=np.float64)
        if (tile <= 1).all():
            return self._line_s(sequences)
        smooth = np.clip(varied / tile, 0.0, 1.0)
        ahead = np.where(sequences > tile, tile * np.ceil(sequences / tile) - sequences, 0.0)
        ahead = ahead + smooth * ((tile - 1) / 2 - ahead)
        rise, concave = self._rise
        stair = asarray(self._line_s(sequences + ahead) - rise * ahead)
        return stair if concave is None else np.where(concave, np.maximum(stair, self._line_s(sequences)), stair)

    def mean_step_s(self, sequences: FloatArray) -> FloatArray:
        """Return the decode step at a mean number of sequences that varies by a stair or more."""
        return self.step_s(sequences, varied=np.inf)

    @cached_property
    def _slopes(self) -> FloatArray:
        """``(k - 1, n)`` slope from each knot to the next; that before it where two knots are one."""
        width = np.diff(self.batches, axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = np.diff(self.decode_s, axis=0) / width
        filled = [slopes[0]]
        for knot in range(1, len(slopes)):
            filled.append(np.where(width[knot] > 0, slopes[knot], filled[-1]))
        return np.stack(filled)

    @cached_property
    def _rise(self) -> tuple[FloatArray, NDArray[np.bool_] | None]:
        """Slope within the first stair, and the rows where the line rises less somewhere; None where it never does."""
        rise = np.maximum(self._slopes[1], 0.0)
        concave = rise > self._slopes[2:].min(axis=0) * (1 + 1e-9)
        return rise, concave if concave.any() else None

    @cached_property
    def _ramps(self) -> tuple[FloatArray, FloatArray]:
        """Places where the line through the knots bends, and by how much its slope grows there.

        The larger of two straight lines, of memory and of arithmetic, bends between knots: where slopes grow from knot
        to knot, the lines before and after a gap are followed to where they meet.
        """
        knots, slopes, times = self.batches, self._slopes, self.decode_s
        starts, bends = [knots[0]], [slopes[0]]
        before, reach = slopes[0], np.maximum(self.most, LEAST_REACH * asarray(self.tile_rows))
        for gap in range(1, len(slopes)):
            left = right = slopes[gap]
            if 2 <= gap < len(slopes) - 1:
                flat, steep = slopes[gap - 1], slopes[gap + 1]
                bent = (flat < slopes[gap]) & (slopes[gap] < steep) & (knots[gap + 1] < reach)
                if bent.any():
                    with np.errstate(divide="ignore", invalid="ignore"):
                        rise = times[gap + 1] - times[gap] - steep * (knots[gap + 1] - knots[gap])
                        place = knots[gap] + rise / (flat - steep)
                    left, right = np.where(bent, flat, left), np.where(bent, steep, right)
                    starts += [knots[gap], np.where(bent, place, knots[gap])]
                    bends += [left - before, right - left]
                    before = right
                    continue
            starts.append(knots[gap])
            bends.append(left - before)
            before = right
        return as_rows(*starts), as_rows(*bends)

    def _line_s(self, sequences: FloatArray) -> FloatArray:
        """Return the line through the knots."""
        return _along(sequences, self.decode_s[0], *self._ramps)

    def refined(self, batch: FloatArray, decode_s: FloatArray) -> StepTimes:
        """Return the same with one more knot per row."""
        rows = np.broadcast_shapes(self.batches.shape[1:], batch.shape, decode_s.shape)
        batches, times = (
            np.concatenate([np.broadcast_to(old, (len(old), *rows)), np.broadcast_to(new, rows)[None]])
            for old, new in ((self.batches, batch), (self.decode_s, decode_s))
        )
        order = np.argsort(batches, axis=0, kind="stable")
        return replace(
            self, batches=np.take_along_axis(batches, order, axis=0), decode_s=np.take_along_axis(times, order, axis=0)
        )

    def wide(self, shape: tuple[int, ...]) -> StepTimes:
        """Return the same with a row for each of a shape."""
        rows = np.broadcast_shapes(self.most.shape, shape)
        columns = {name: asarray(getattr(self, name)) for name in COLUMNS}
        wide: dict[str, Any] = {name: np.broadcast_to(x, (*x.shape[:-1], *rows)) for name, x in columns.items()}
        return replace(self, **wide)

    @property
    def tokens_per_step(self) -> Number:
        """Mean tokens that a sequence gains in a step."""
        return 1.0 if self.speculation is None else self.speculation.tokens_per_step

    @property
    def least_s(self) -> tuple[FloatArray, FloatArray]:
        """``(n,)`` time to first token and time per token that a single request sees, the least at any load."""
        return asarray(self.alone_s + self.wait_s), asarray(self.decode_s[1] / self.tokens_per_step)

    def even_flow(self, tpot_s: Number) -> FloatArray:
        """Return ``(n,)`` the sequences that decode together where each takes a step every so often.

        Were numbers even, n sequences would take a step of D(n) and the prompts of the n / G requests that begin in it.
        """
        prompts = self.prompt_s / np.maximum(self.decode_steps, 1.0)
        pace = self.decode_s[1:] + self.batches[1:] * prompts
        number = np.clip((tpot_s - self.decode_s[1]) / np.maximum(prompts, TINY), 0.0, 1.0)
        for before, after, low, high in zip(self.batches[1:-1], self.batches[2:], pace[:-1], pace[1:], strict=True):
            reached = np.clip((tpot_s - low) / np.maximum(high - low, TINY), 0.0, 1.0)
            number += np.where(number >= before, (after - before) * reached, 0.0)
        return asarray(np.minimum(number, np.maximum(self.most, 1.0)))

    def even_number(self, rate_per_s: Number) -> FloatArray:
        """Return ``(n,)`` the sequences that decode together at a rate of arrivals, were numbers even."""
        cycle = self.decode_steps * self.decode_s[1:] + self.batches[1:] * self.prompt_s
        number = np.clip(rate_per_s * cycle[0], 0.0, 1.0)
        for before, after, low, high in zip(self.batches[1:-1], self.batches[2:], cycle[:-1], cycle[1:], strict=True):
            # Where j requests go round in a time that rises by s with each, j = l (C_0 - j_0 s) / (1 - l s).
            rise = rate_per_s * (high - low) / np.maximum(after - before, TINY)
            reached = (rate_per_s * low - before * rise) / np.maximum(1 - rise, TINY)
            reached = np.where(rise < 1, np.clip(reached, before, after), after)
            number = np.where((number >= before) & (rate_per_s * low >= before), reached, number)
        return asarray(np.minimum(number, np.maximum(self.most, 1.0)))


@as_one
def _along(sequences: FloatArray, first_s: FloatArray, starts: FloatArray, bends: FloatArray) -> FloatArray:
    """Return a line from its first value, bent where others start."""
    total = asarray(first_s + bends[0] * sequences)
    part = np.empty_like(total)
    for start, bend in zip(starts[1:], bends[1:], strict=True):
        np.subtract(sequences, start, out=part)
        np.maximum(part, 0.0, out=part)
        part *= bend
        total += part
    return total


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
    if result.serving.sessions is not None:
        room = room - result.serving.sessions.kept_bytes
    small, full = held(1.0, np.inf) - bare, held(2.0**40, result.software.chunk_rows) - held(2.0**40, 0.0)
    weights = bare - each
    with np.errstate(divide="ignore", invalid="ignore"):
        fitting = np.maximum((room - weights) / (each + small), (room - weights - full) / each)
        if result.machine.read_mostly_bytes.any():
            # What is written has the rest of the memory, however few the weights are.
            room = room - result.machine.read_mostly_bytes
            fitting = np.minimum(fitting, np.maximum(room / (each + small), (room - full) / each))
    most = np.floor(np.clip(np.nan_to_num(fitting), 0.0, 2.0**16) * (1 + 1e-12))
    return asarray(most)


def decode_step_s(result: Inference, batch: FloatArray) -> FloatArray:
    """Return ``(n,)`` the mean decode step of a replica at a number of sequences."""
    return replace(result, serving=replace(result.serving, batch=batch)).step_s


def step_times(result: Inference, within_s: tuple[Number, Number] | None = None) -> StepTimes:
    """Return the step times of each row's engine.

    Args:
        result: the workload; its batch has no part in it, its stack's ``chunk_rows`` are the tokens of a step.
        within_s: limits on time to first token and time per token. A row that a single request misses them in, or
            where none fits, is not worked out any further: its step is that of one sequence at every number.
    """
    one = single(result)
    most, prompt, step = most_requests(result), PromptTimes.of(one), one.step_s
    steps = np.maximum(asarray(one.serving.decode_steps, dtype=np.float64), 0.0) / one.tokens_per_step
    tile = np.maximum(np.floor(asarray(result.software.tile_rows, dtype=np.float64) / one.serving.step_rows), 1.0)
    batches = _knots(tile[:1] if (tile == tile[:1]).all() else tile, float(np.max(most, initial=2.0)))
    rows = np.broadcast_shapes(*(np.shape(x) for x in (*vars(prompt).values(), most, steps, step, *batches)))
    possible = np.ones(rows, dtype=bool)
    if within_s is not None:
        first = prompt.alone_s + asarray(result.software.wait_s)
        possible &= (most >= 1) & (first <= within_s[0]) & (step <= within_s[1] * one.tokens_per_step)
    times = [step, *_decode_times(one, batches[1:], step, np.flatnonzero(possible), len(possible))]
    knots = [np.broadcast_to(x, rows) for x in (np.zeros(1), *batches, prompt.empty_step_s, *times)]
    count = len(batches) + 1
    columns = (prompt.prompt_s, prompt.alone_s, prompt.chunks, prompt.prompts_per_step, steps, most, tile)
    return StepTimes(
        np.stack(knots[:count]),
        np.stack(knots[count:]),
        *(np.broadcast_to(column, rows) for column in columns),
        wait_s=np.broadcast_to(result.software.wait_s, rows),
        speculation=one.serving.speculation,
    )


def single(result: Inference) -> Inference:
    """Return a workload with a single sequence."""
    if (asarray(result.serving.batch) == 1).all():
        return result
    return replace(result, serving=replace(result.serving, batch=np.ones(1)), waves=1.0, in_flight=0.0)


@dataclass(frozen=True)
class PromptTimes:
    """What `StepTimes` say of a mean prompt, ``(n,)`` columns; `empty_step_s` is the step without sequences."""

    prompt_s: FloatArray
    alone_s: FloatArray
    chunks: FloatArray
    prompts_per_step: FloatArray
    empty_step_s: FloatArray

    @classmethod
    def of(cls, one: Inference) -> PromptTimes:
        """Return those of a workload with a single sequence."""
        prompt, chunk = asarray(one.serving.computed_tokens, dtype=np.float64), one.software.chunk_rows
        alone, fixed = one.prefill_s, one.prefill.fixed_s
        chunks = np.maximum(np.ceil(prompt / chunk), 1.0)
        return cls(alone - fixed, alone, chunks, asarray(chunk / np.maximum(prompt, 1.0)), fixed / chunks)


def _decode_times(
    one: Inference, batches: list[FloatArray], step_s: FloatArray, rows: NDArray[np.intp], of: int
) -> list[FloatArray]:
    """Return the decode step at numbers of sequences in some of the rows; that of one sequence in the others."""
    if len(rows) == of:
        return [decode_step_s(one, batch) for batch in batches]
    whole = np.broadcast_to(step_s, (of,))
    if not len(rows):
        return [whole] * len(batches)
    bare = replace(one.machine, blocks={}, limits={}, peak_ops_per_s={})
    part, numbers = rows_of((replace(one, machine=bare), tuple(batches)), rows, of)
    found = []
    for batch in numbers:
        times = whole.copy()
        times[rows] = decode_step_s(part, batch)
        found.append(times)
    return found


def _knots(tile: FloatArray, most: float) -> list[FloatArray]:
    """Return ascending numbers of sequences: 1, on to a tile, two tiles, and ever wider apart, up to the most."""
    knots = [np.ones(1)]
    while (knots[-1] * SPACING < tile).any():
        knots.append(np.minimum(knots[-1] * SPACING, tile))
    knots += [tile, 2 * tile] if (tile > 1).any() else [2 * tile]
    while (knots[-1] < np.maximum(most, LEAST_REACH * tile)).any():
        knots.append(knots[-1] * SPACING)
    return knots
