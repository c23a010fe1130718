"""The best inputs of a sequential linear code, by dynamic programming over its trellis.

A decoder step emits y = G_0 u_t ^ G_1 u_(t-1) ^ ... ^ G_k u_(t-k) over GF(2): u are inputs of N_in bits, k is the
number of shift registers. Only the w outputs that carry a surviving weight matter. Writing P for the choice of those,
s for the bits wanted there, v for the input that leaves the registers and rest for those that stay,

    cost'(rest, u) = min_v  cost(v, rest) + |P (G_k v ^ G rest ^ G_0 u) ^ s|.

Trying every pair (u, v) takes 2^(2 N_in) distances for each rest. But that minimum is a Hamming-distance transform:
put cost(v, rest) at the point P (G_k v ^ G rest) ^ s of {0, 1}^w, spread one coordinate at a time by
f(x) <- min(f(x), f(x with that bit flipped) + 1), and read the points P G_0 u. That takes w 2^w operations, and a code
at the rate of its nonzeros has w near N_in. Streams that have the same w at a step go through together; bit planes of
one matrix share the mask and lie side by side. Blocks too full for it (w above `spread_bits`) are done pair by pair.

Only costs are kept on the way forward; the way back finds each v again from the costs before its step.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dse.weight_codes.gf2 import Bits, Integers, count_bits, pack_words, span

FILLING_RESTS = 128
"""Rests from which a stream is taken by itself: they all share its points."""

HISTORY_BYTES = 1 << 28
"""Costs kept for the way back, at most, unless a single stream needs more."""


def best_inputs(
    generator: Bits, care: Bits, bits: Bits, *, spread_bits: int = 15, columns: int = 8192
) -> NDArray[np.uint16]:
    """Return the inputs whose outputs differ from `bits` in the fewest places that `care` marks.

    Args:
        generator: ``(1 + registers, n_in, n_out)``: outputs that each bit of each input flips, the newest input first.
        care: ``(streams, steps, n_out)``: where a bit matters.
        bits: ``(planes, streams, steps, n_out)``: what it must be.
        spread_bits: nonzeros in a block up to which costs are spread over {0, 1}^w; has no influence on the result.
        columns: trellis columns (rests x streams x planes) taken at a time: what they spread over stays in the cache.

    Returns:
        ``(planes, streams, registers + steps)`` inputs; the first `registers` fill the registers before the first step.
    """
    planes, streams, steps, _ = bits.shape
    registers = len(generator) - 1
    inputs = np.empty((planes, streams, registers + steps), np.uint16)
    if registers == 0:
        (taps,) = generator
        for plane in range(planes):
            inputs[plane] = _nearest(taps, care, bits[plane])
        return inputs
    most = (registers + 1) * int(care.sum(axis=-1).max(initial=0))
    narrow = np.dtype(np.uint8)
    cost_type = narrow if most < _unreached(narrow) else np.dtype(np.uint16)
    search = _Search(generator, cost_type, spread_bits, columns)
    for first, last in _plane_groups(planes, 8 // search.cost_type.itemsize):
        batch = search.batch(steps, last - first)
        for start in range(0, streams, batch):
            part = slice(start, start + batch)
            wanted = np.moveaxis(bits[first:last, part], 0, 1)
            inputs[first:last, part] = np.moveaxis(search.run(care[part], wanted), 1, 0)
    return inputs


def _plane_groups(planes: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield first and past-the-last plane of groups of 1, 2, 4 or 8, so that the costs of a group fill one word."""
    first = 0
    while first < planes:
        size = min(most, 1 << ((planes - first).bit_length() - 1))
        yield first, first + size
        first += size


def _nearest(generator: Bits, care: Bits, bits: Bits) -> Integers:
    """Return per block the input with the nearest outputs, for a code without registers."""
    table = span(np.moveaxis(pack_words(generator), 0, -1))  # (inputs, words)
    mask, wanted = pack_words(care), pack_words(bits)
    best = np.full(care.shape[:-1], np.iinfo(np.uint32).max, np.uint32)
    for u, outputs in enumerate(table):
        missed = count_bits((wanted ^ outputs[:, None, None]) & mask)
        np.minimum(best, (missed.astype(np.uint32) << 16) | u, out=best)
    return (best & 0xFFFF).astype(np.uint16)


class _Search:
    """The dynamic programme of one code; costs are ``(oldest input, rest, streams, planes)``."""

    def __init__(self, generator: Bits, cost_type: np.dtype[Any], spread_bits: int, columns: int) -> None:
        self.spread_bits, self.columns = spread_bits, columns
        self.registers, self.n_in, self.n_out = len(generator) - 1, generator.shape[1], generator.shape[2]
        self.inputs, self.rests = 1 << self.n_in, 1 << (self.n_in * (self.registers - 1))
        self.cost_type = cost_type
        self.rooms: dict[str, NDArray[Any]] = {}
        self.taps = generator.reshape(-1, self.n_out)
        self.rows = np.zeros((self.n_out + 1, len(self.taps)), np.int64)  # inputs that flip an output; none the last
        self.rows[:-1] = self.taps.T
        self.alone = self.rests >= FILLING_RESTS  # a stream fills the field by itself
        # Blocks with few nonzeros go together, as wide as this: a wider field costs less than one more pass.
        self.least_width = 0 if self.alone else self.n_in - 1

    def batch(self, steps: int, planes: int) -> int:
        """Return how many streams to take at a time."""
        if self.alone:
            return 1
        kept = self.inputs * self.rests * planes * max(steps, 1) * self.cost_type.itemsize
        return int(max(1, min(self.columns // planes, HISTORY_BYTES // kept)))

    def room(self, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return an array of costs with anything in it; the memory under a name is taken once and used again."""
        size = int(np.prod(shape))
        if name not in self.rooms or self.rooms[name].size < size:
            self.rooms[name] = np.empty(size, self.cost_type)
        return self.rooms[name][:size].reshape(shape)

    def run(self, care: Bits, bits: Bits) -> NDArray[np.uint16]:
        """Return ``(streams, planes, registers + steps)`` best inputs of ``(streams, planes, steps, n_out)`` bits."""
        streams, planes, steps, _ = bits.shape
        shape = (self.inputs, self.rests, streams, planes)
        history = self.room("history", (steps, *shape))
        counts = care.sum(axis=-1)
        widths = np.where(
            counts > self.spread_bits, counts, np.maximum(counts, min(self.least_width, self.spread_bits))
        )
        chosen, wanted = self._nonzeros(care, bits)
        orders = np.argsort(widths, axis=0, kind="stable")
        cost = np.zeros(shape, self.cost_type)
        place = np.arange(streams)
        for step in range(steps):
            order = orders[:, step]
            before = _arrange(cost, place[order], out=history[step])
            place[order] = np.arange(streams)
            after = self.room("after", (self.rests, self.inputs, streams, planes))
            for part, width in self._groups(widths[order, step], planes):
                rows = order[part]
                if width > self.spread_bits:
                    after[:, :, part] = self._pairs(before[:, :, part], care[rows, step], bits[rows, :, step])
                else:
                    spread = self._spread_rests if self.alone else self._spread
                    after[:, :, part] = spread(before[:, :, part], chosen[rows, step, :width], wanted[rows, :, step])
            cost = after.reshape(shape)
            _normalise(cost)
        return self._trace(history, orders, _arrange(cost, place, out=np.empty_like(cost)), care, bits)

    def _nonzeros(self, care: Bits, bits: Bits) -> tuple[Integers, Integers]:
        """Return outputs with nonzeros, and the bits wanted there as a number.

        The first is ``(streams, steps, spread_bits)``, filled up with the output n_out, which no input flips.
        """
        order = np.where(care, np.arange(self.n_out), self.n_out)
        order.sort(axis=-1)
        chosen = np.full((*care.shape[:2], self.spread_bits), self.n_out)
        chosen[..., : self.n_out] = order[..., : self.spread_bits]
        padded = np.concatenate([bits, np.zeros((*bits.shape[:-1], 1), np.bool_)], axis=-1)
        return chosen, np.take_along_axis(padded, chosen[:, None], axis=-1) @ (1 << np.arange(self.spread_bits))

    def _groups(self, widths: Integers, planes: int) -> Iterator[tuple[slice, int]]:
        """Yield runs of streams of equal width, cut to what one pass takes."""
        most = max(1, self.columns // (planes * self.rests))
        edges = [0, *(np.flatnonzero(np.diff(widths)) + 1), len(widths)]
        for first, last in pairwise(edges):
            for start in range(first, last, most):
                yield slice(start, min(start + most, last)), int(widths[first])

    def _spread(self, cost: NDArray[Any], chosen: Integers, wanted: Integers) -> NDArray[Any]:
        """Return costs after a step, ``(rest, newest input, streams, planes)``.

        Rests, streams and planes are the columns of the field; each stream and plane has its own points.
        """
        _, rests, streams, planes = cost.shape
        width = chosen.shape[-1]
        basis = np.einsum("swk,w->ks", self.rows[chosen], 1 << np.arange(width))  # (bits of both inputs, streams)
        columns = rests * streams * planes
        points = span(np.repeat(basis[-self.n_in :], planes, axis=1), wanted.ravel())
        points *= columns
        points = points[:, None] + np.arange(columns).reshape(rests, -1)
        field = self.room("field", (1 << width, columns))
        field.fill(_unreached(self.cost_type))
        np.minimum.at(field.ravel(), points.ravel(), cost.ravel())
        _relax(field, self.room("spare", (2, field.size // 2)))
        read = span(basis[self.n_in : -self.n_in])[:, None] ^ span(basis[: self.n_in])
        read *= rests * streams
        read += np.arange(rests * streams).reshape(rests, 1, streams)
        after = np.take(_together(field, planes), read, mode="clip")
        return after.view(self.cost_type).reshape(rests, -1, streams, planes)

    def _spread_rests(self, cost: NDArray[Any], chosen: Integers, wanted: Integers) -> NDArray[Any]:
        """Do the same for one stream: all rests share its points."""
        _, rests, _, planes = cost.shape
        width = chosen.shape[-1]
        (outputs,), (shifts,) = chosen, wanted
        basis = (1 << np.arange(width)) @ self.rows[outputs]
        oldest = span(basis[-self.n_in :])
        order = np.argsort(oldest, kind="stable")
        points = np.unique(oldest)  # each is reached by equally many oldest inputs
        least = cost.reshape(self.inputs, -1)[order].reshape(len(points), -1, rests * planes).min(axis=1)
        least = least.reshape(-1, rests, planes)
        field = self.room("field", (1 << width, rests, planes))
        if len(points) < len(field):
            field.fill(_unreached(self.cost_type))
        for plane, shift in enumerate(shifts):
            field[points ^ shift, :, plane] = least[..., plane]
        _relax(field.reshape(len(field), -1), self.room("spare", (2, field.size // 2)))
        read = span(basis[self.n_in : -self.n_in])[:, None] ^ span(basis[: self.n_in])
        read *= rests
        read += np.arange(rests)[:, None]
        return np.take(_together(field, planes), read, mode="clip").view(self.cost_type).reshape(rests, -1, 1, planes)

    def _pairs(self, cost: NDArray[Any], care: Bits, bits: Bits) -> NDArray[Any]:
        """Return what `_spread` does, by trying every pair of oldest and newest input."""
        _, rests, streams, planes = cost.shape
        after = np.empty((rests, self.inputs, streams, planes), cost.dtype)
        for stream in range(streams):
            newest, rest, oldest = self._tables(care[stream])
            pairs = oldest[:, :, None] ^ newest[:, None, :]
            wanted = pack_words(bits[stream][:, care[stream]])
            for plane in range(planes):
                for r in range(rests):
                    missed = count_bits(pairs ^ (rest[:, r] ^ wanted[:, plane])[:, None, None])
                    after[r, :, stream, plane] = (cost[:, r, stream, plane, None] + missed).min(axis=0)
        return after

    def _tables(self, outputs: Bits) -> tuple[Integers, Integers, Integers]:
        """Return words ``(words, values)`` that newest input, rest and oldest input put out at the marked outputs."""
        words = np.moveaxis(pack_words(self.taps[:, outputs]), 0, -1)
        parts = words[: self.n_in], words[self.n_in : -self.n_in], words[-self.n_in :]
        newest, rest, oldest = (np.ascontiguousarray(span(part).T) for part in parts)
        return newest, rest, oldest

    def _trace(
        self, history: NDArray[Any], orders: Integers, final: NDArray[Any], care: Bits, bits: Bits
    ) -> NDArray[np.uint16]:
        """Return the inputs on the cheapest way to the end."""
        steps, _, rests, streams, planes = history.shape
        inputs = np.empty((streams, planes, self.registers + steps), np.uint16)
        state = final.reshape(-1, streams, planes).argmin(axis=0)  # oldest input in the high bits
        for k in range(self.registers):
            inputs[..., steps + k] = (state >> (self.n_in * (self.registers - 1 - k))) & (self.inputs - 1)
        mask, wanted = pack_words(care), pack_words(bits)
        newest, rest_words, oldest = self._tables(np.ones(self.n_out, np.bool_))
        piece = max(1, self.columns // (4 * planes))
        for step in reversed(range(steps)):
            for start in range(0, streams, piece):
                part = slice(start, start + piece)
                order = orders[part, step]
                u, rest = state[order] & (self.inputs - 1), state[order] >> self.n_in
                before = history[step][:, :, part]
                if rests == 1:
                    costs = before[:, 0]
                else:
                    costs = before[:, rest, np.arange(len(order))[:, None], np.arange(planes)]
                here = wanted[..., step][:, order] ^ newest[:, u] ^ rest_words[:, rest]
                matters = np.repeat(mask[..., step][:, order], planes, axis=-1)
                best = _cheapest(costs.reshape(self.inputs, -1), oldest, here.reshape(len(here), -1), matters)
                inputs[order, :, step] = best.reshape(u.shape)
                state[order] = best.reshape(u.shape) * rests + rest
        return inputs


def _cheapest(costs: NDArray[Any], outputs: Integers, wanted: Integers, mask: Integers) -> NDArray[np.int64]:
    """Return per column the value whose cost plus misses is least, the first of equals.

    Costs are ``(values, columns)``, outputs ``(words, values)``, what is wanted and where ``(words, columns)``.
    """
    values = len(costs)
    missed = count_bits((outputs[:, :, None] ^ wanted[:, None]) & mask[:, None])
    key_type = np.uint16 if values <= 256 and costs.itemsize == 1 else np.uint32
    shift = 4 * np.dtype(key_type).itemsize
    key = np.add(costs, missed, dtype=key_type)  # cost in the high half, value in the low
    key <<= shift
    key |= np.arange(values, dtype=key_type)[:, None]
    return np.asarray(key.min(axis=0) & ((1 << shift) - 1), np.int64)


def _relax(field: NDArray[Any], spare: NDArray[Any]) -> None:
    """Spread costs in place: every point takes its neighbours' cost plus one, two coordinates at a time.

    `spare` are two rows of half the size, to work in.
    """
    points, columns = field.shape
    coordinates = points.bit_length() - 1
    if coordinates % 2:
        low, high = field.reshape(2, -1)
        least = np.minimum(low, high, out=spare[0])
        least += 1
        np.minimum(low, least, out=low)
        np.minimum(high, least, out=high)
    for k in range(0, coordinates - 1, 2):
        quarters = field.reshape(-1, 4, (1 << k) * columns)
        none, first, second, both = (quarters[:, i] for i in range(4))
        even, odd = (half[: none.size].reshape(none.shape) for half in spare)
        np.minimum(none, both, out=even)
        np.minimum(first, second, out=odd)
        even += 1
        np.minimum(odd, even, out=odd)
        odd += 1  # the least cost of reaching none or both by an odd flip
        np.minimum(none, odd, out=none)
        np.minimum(both, odd, out=both)
        odd += 1
        np.minimum(even, odd, out=even)
        np.minimum(first, even, out=first)
        np.minimum(second, even, out=second)


def _normalise(cost: NDArray[Any]) -> None:
    """Take the least cost of every stream and plane off, in place; the planes of a stream as one word."""
    states = cost.reshape(len(cost), -1).min(axis=0).reshape(-1, *cost.shape[2:])
    least = states.min(axis=0)
    if least.any():
        word = f"u{least.shape[-1] * cost.itemsize}"
        cost.view(word)[...] -= least.view(word)  # no byte is less than what is taken off it


def _together(field: NDArray[Any], planes: int) -> NDArray[Any]:
    """Return an array whose last axis ends with the planes as one word per place, flat."""
    return field.ravel().view(f"u{planes * field.itemsize}")


def _arrange(cost: NDArray[Any], places: Integers, *, out: NDArray[Any]) -> NDArray[Any]:
    """Return the costs with streams in another order; the planes of a stream move as one word."""
    word = f"u{cost.shape[-1] * cost.itemsize}"
    np.take(cost.view(word), places, axis=2, out=out.view(word), mode="clip")
    return out


def _unreached(cost_type: np.dtype[Any]) -> int:
    """Return a cost above all others from which `_relax` may still count up."""
    return int(np.iinfo(cost_type).max) - 3
