"""Points that fill the unit cube: a scrambled Sobol sequence, or plain random numbers. Both stream."""

from __future__ import annotations

from typing import Any

import numpy as np

from cost_models.table import FloatArray, Table
from dse.samplers.base import StreamingSampler
from dse.space import Space

MIN_BITS = 30
"""Binary digits of a coordinate; more where there are more than 2^30 points."""


def sobol_count(n_designs: int) -> int:
    """Return how many points a sequence has that is to hold so many designs: the next power of two."""
    return 1 << (n_designs - 1).bit_length()


class SobolSampler(StreamingSampler):
    """Scrambled Sobol points (Owen 1998, direction numbers of Joe and Kuo 2008), a power of two of them.

    Point i is the same whatever the batches. A sequence is balanced over its powers of two only, so the
    count is rounded up, and `describe` says so.

    Args:
        space: the space.
        n_designs: designs wanted.
        seed: seed of the scrambling.
    """

    def __init__(self, space: Space, *, n_designs: int, seed: int) -> None:
        self._wanted, self._seed = n_designs, seed
        super().__init__("sobol", space, sobol_count(n_designs), {"seed": seed})
        self._points = SobolPoints(len(space.dimensions), seed=seed, total=self.total)

    def describe(self) -> tuple[str, ...]:
        """Return the rounding, and whether the space is smaller than the sequence."""
        notes = []
        if self.total != self._wanted:
            notes.append(f"n_designs {self._wanted} was raised to {self.total}: Sobol points come in powers of two")
        if self._space.is_enumerable and self._space.grid_size <= self.total:
            notes.append(f"the space has only {self._space.grid_size} distinct designs: grid would meet each once")
        return tuple(notes)

    def _rows(self, start: int, stop: int) -> Table:
        return self._space.decode(self._points.take(stop - start))

    def _seek(self, position: int) -> None:
        if position >= self._next:
            self._points.skip(position - self._next)
            return
        self._points = SobolPoints(len(self._space.dimensions), seed=self._seed, total=self.total)
        self._points.skip(position)


class SobolPoints:
    """A scrambled Sobol sequence that can be taken in pieces of any size.

    Args:
        dimensions: number of coordinates.
        seed: seed of the scrambling.
        total: points that will be taken at most.
    """

    def __init__(self, dimensions: int, *, seed: int, total: int) -> None:
        from scipy.stats import qmc

        bits = max(MIN_BITS, (total - 1).bit_length())
        self._engine: Any = qmc.Sobol(dimensions, scramble=True, bits=bits, rng=np.random.default_rng(seed))

    def take(self, count: int) -> FloatArray:
        """Return the next ``(count, dimensions)`` points."""
        if self._engine.num_generated or count == 0:
            return np.asarray(self._engine.random(count))
        # SciPy warns when the first piece is not a power of two; one point is.
        first = self._engine.random(1)
        return np.concatenate([first, self._engine.random(count - 1)])

    def skip(self, count: int) -> None:
        """Leave out the next points."""
        if count:
            self._engine.fast_forward(count)


class RandomSampler(StreamingSampler):
    """Independent points, evenly over the unit cube.

    Args:
        space: the space.
        n_designs: number of designs.
        seed: seed of the generator.
    """

    def __init__(self, space: Space, *, n_designs: int, seed: int) -> None:
        super().__init__("random", space, n_designs, {"seed": seed})
        self._seed = seed
        self._seek(0)

    def _rows(self, start: int, stop: int) -> Table:
        return self._space.decode(self._random.random((stop - start, len(self._space.dimensions))))

    def _seek(self, position: int) -> None:
        bits = np.random.PCG64(self._seed)
        # One draw of the generator per coordinate.
        bits.advance(position * len(self._space.dimensions))
        self._random = np.random.Generator(bits)
