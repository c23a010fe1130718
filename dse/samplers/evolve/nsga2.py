"""NSGA-II (Deb, Pratap, Agarwal and Meyarivan 2002) with constraint domination, a generation at a time in arrays.

A population is a few arrays, so a generation of a thousand costs some milliseconds; libraries that keep an object per
individual need ten times as long. Sampling without repeats, and mutation that treats names as names, are added here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.table import FloatArray
from dse.front import ranks
from dse.packing import Data, Record
from dse.space import Space
from dse.sweep.search import EvolveOptions

MAX_CATEGORICAL_LEVELS = 8
"""Listed numbers up to this many are mutated like names, to any of them alike; more are moved along the list."""

MATING_ROUNDS = 10
"""Times that mating is tried before a generation stays smaller than the population."""

FEW_CHILDREN = 4
"""Where mating finds less than this part of a generation, strangers make up the rest."""

RANDOM_IMMIGRANTS = 1000
"""Random points that are looked through for them; where those are known as well, the space is used up."""

Rows = NDArray[np.intp]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIXING = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST_SHIFT = np.uint64(31)


def snap_to_levels(space: Space, points: FloatArray) -> FloatArray:
    """Return points moved to the middle of their cells, so that equal designs are equal points."""
    return space.snapped(np.clip(points, 0.0, 1.0))


def row_keys(points: FloatArray) -> NDArray[np.uint64]:
    """Return a 64-bit key per row: equal rows have equal keys, others practically never."""
    bits = np.ascontiguousarray(points + 0.0).view(np.uint64)
    # The finaliser of splitmix64 (Steele, Lea and Flood, OOPSLA 2014), another for every column.
    bits += np.arange(1, bits.shape[1] + 1, dtype=np.uint64) * _STEP
    for shift, factor in _MIXING:
        bits ^= bits >> shift
        bits *= factor
    bits ^= bits >> _LAST_SHIFT
    return np.asarray(bits.sum(axis=1))


@dataclass
class Proposed:
    """The points that have been proposed so far."""

    keys: set[int] = field(default_factory=set)

    def new(self, points: FloatArray, pending: set[int]) -> Rows:
        """Return the places of the points that are neither known nor pending nor repeated; `pending` takes them up."""
        keys = row_keys(points).tolist()
        # Of equal points the first: it is put in last.
        places = dict(zip(reversed(keys), range(len(keys) - 1, -1, -1), strict=True))
        new = places.keys() - self.keys - pending
        pending |= new
        return np.array(sorted(map(places.__getitem__, new)), dtype=np.intp)

    def add(self, points: FloatArray) -> None:
        """Count points as proposed."""
        self.keys.update(row_keys(points).tolist())


@dataclass(frozen=True, eq=False)
class GeneticOperators:
    """Crossing and mutation of points of the unit cube.

    Attributes:
        categorical: ``(dimensions,)`` which coordinates mutate to any value alike.
        crossover_probability: probability that a pair is crossed.
        crossover_eta: distribution index of the crossover.
        mutation_probability: probability per coordinate.
        mutation_eta: distribution index of the mutation.
    """

    categorical: NDArray[np.bool_]
    crossover_probability: float
    crossover_eta: float
    mutation_probability: float
    mutation_eta: float

    @classmethod
    def of(cls, space: Space, options: EvolveOptions) -> GeneticOperators:
        """Return the operators for a space."""
        categorical = []
        for name in space.dimensions:
            parameter = space.parameters[name]
            counts = [len(levels) for a in parameter.alternatives if (levels := a.codec.levels) is not None]
            listed = len(counts) == len(parameter.alternatives)
            categorical.append(bool(parameter.names) or (listed and max(counts) <= MAX_CATEGORICAL_LEVELS))
        given = options.mutation_probability
        return cls(
            np.array(categorical),
            options.crossover_probability,
            options.crossover_eta,
            min(0.5, 1 / len(categorical)) if given is None else given,
            options.mutation_eta,
        )

    def cross(self, first: FloatArray, second: FloatArray, random: np.random.Generator) -> FloatArray:
        """Return two children of each pair by simulated binary crossover within ``[0, 1]`` (Deb and Agrawal 1995)."""
        shape = first.shape
        crossed = (random.random(len(first)) < self.crossover_probability)[:, None] & (random.random(shape) < 0.5)
        low, high = np.minimum(first, second), np.maximum(first, second)
        crossed &= high - low > 1e-14
        draw = random.random(shape)[crossed]
        ends, span = (low[crossed], high[crossed]), (high - low)[crossed]

        def spread(room: FloatArray) -> FloatArray:
            # The distribution cut off where a child would leave the cube (Deb's bounded form).
            power = self.crossover_eta + 1
            alpha = 2 - (1 + 2 * room / span) ** -power
            inner = np.where(draw <= 1 / alpha, draw * alpha, 1 / np.maximum(2 - draw * alpha, 1e-300))
            return np.asarray(inner ** (1 / power))

        middle = (ends[0] + ends[1]) / 2
        below, above = low, high
        below[crossed] = middle - spread(ends[0]) * span / 2
        above[crossed] = middle + spread(1 - ends[1]) * span / 2
        swap = np.where(crossed, random.random(shape) < 0.5, first > second)
        children = np.concatenate([np.where(swap, above, below), np.where(swap, below, above)])
        return np.asarray(np.clip(children, 0.0, 1.0))

    def mutate(self, points: FloatArray, random: np.random.Generator) -> FloatArray:
        """Return mutated points: numbers by polynomial mutation (Deb and Goyal 1996), the others drawn anew."""
        hit = random.random(points.shape) < self.mutation_probability
        mutated = np.where(hit, random.random(points.shape), points)
        moved = hit & ~self.categorical
        draw, own, power = mutated[moved], points[moved], self.mutation_eta + 1
        falling = (2 * draw + (1 - 2 * draw) * (1 - own) ** power) ** (1 / power) - 1
        rising = 1 - (2 * (1 - draw) + (2 * draw - 1) * own**power) ** (1 / power)
        mutated[moved] = own + np.where(draw < 0.5, falling, rising)
        return np.asarray(np.clip(mutated, 0.0, 1.0))


class ArrayEngine:
    """NSGA-II on arrays.

    Args:
        space: the space.
        start: ``(n, dimensions)`` points of the first generation that are to be judged.
        known: points that are judged already, with their objectives and violations.
        population: size of the later generations.
        seed: seed of everything random.
        operators: crossing and mutation.
    """

    def __init__(
        self,
        space: Space,
        start: FloatArray,
        known: tuple[FloatArray, FloatArray, FloatArray],
        *,
        population: int,
        seed: int,
        operators: GeneticOperators,
    ) -> None:
        self._space, self._population, self._operators = space, population, operators
        self._random = np.random.default_rng(seed)
        self._proposed = Proposed()
        self._points, self._objectives, self._violation = known
        self._proposed.add(self._points)
        self._crowding: FloatArray = np.empty(0)
        self._offspring = start
        self._is_first = True
        self._survive()

    def propose(self) -> FloatArray:
        """Return the points of the next generation that are to be judged; none when nothing new is found."""
        if self._is_first:
            self._is_first = False
            cells = snap_to_levels(self._space, self._offspring)
            self._offspring = cells[self._proposed.new(cells, set())]
        if not len(self._offspring):
            self._offspring = self._mate()
        self._proposed.add(self._offspring)
        return self._offspring

    def accept(self, objectives: FloatArray, violation: FloatArray) -> None:
        """Take the judgement of the last generation: parents and children compete for the places."""
        self._points = np.concatenate([self._points, self._offspring])
        self._objectives = np.concatenate([self._objectives, objectives])
        self._violation = np.concatenate([self._violation, violation])
        self._offspring = self._offspring[:0]
        self._survive()

    def _survive(self) -> None:
        order, self._crowding = best_first(self._objectives, self._violation, self._population)
        self._points, self._objectives = self._points[order], self._objectives[order]
        self._violation = self._violation[order]

    def _mate(self) -> FloatArray:
        """Return a generation of new points."""
        offspring = self._points[:0]
        pending: set[int] = set()
        for _ in range(MATING_ROUNDS):
            missing = self._population - len(offspring)
            if missing <= 0 or len(self._points) < 2:
                break
            pairs = (missing + 1) // 2
            first, second = self._parents(pairs)
            children = self._operators.cross(self._points[first], self._points[second], self._random)
            children = snap_to_levels(self._space, self._operators.mutate(children, self._random))
            offspring = np.concatenate([offspring, children[self._proposed.new(children, pending)][:missing]])
        if len(offspring) < self._population // FEW_CHILDREN:
            # Around the population nearly everything is known: strangers make up the generation.
            strangers = snap_to_levels(
                self._space, self._random.random((RANDOM_IMMIGRANTS, len(self._space.dimensions)))
            )
            strangers = strangers[self._proposed.new(strangers, pending)]
            offspring = np.concatenate([offspring, strangers[: self._population - len(offspring)]])
        return offspring

    def _parents(self, pairs: int) -> Rows:
        """Return ``(2, pairs)`` winners of tournaments of two."""
        drawn = [
            (self._random.integers(len(self._points), size=(2, pairs)), self._random.random(pairs)) for _ in range(2)
        ]
        one, other = np.concatenate([places for places, _ in drawn], axis=1)
        wins = tournament(self._objectives, self._violation, self._crowding, one, other)
        toss = np.concatenate([tosses for _, tosses in drawn]) < 0.5
        return np.asarray(np.where((wins > 0) | ((wins == 0) & toss), one, other).reshape(2, pairs))

    # -- state --------------------------------------------------------------------------------------------------

    def state(self) -> Data:
        """Return the population, what was proposed and the random numbers as plain data."""
        return {
            "points": self._points,
            "objectives": self._objectives,
            "violation": self._violation,
            "crowding": self._crowding,
            "offspring": self._offspring,
            "is_first": self._is_first,
            "proposed": np.fromiter(self._proposed.keys, np.uint64, len(self._proposed.keys)),
            "random": self._random.bit_generator.state,
        }

    def restore(self, record: Record) -> None:
        """Go on from a state.

        Raises:
            RecordError: it is something else.
        """
        points = record.array("points", np.float64, None, len(self._space.dimensions))
        n = len(points)
        self._objectives = record.array("objectives", np.float64, n, self._objectives.shape[1])
        self._violation = record.array("violation", np.float64, n)
        self._crowding = record.array("crowding", np.float64, n)
        self._offspring = record.array("offspring", np.float64, None, len(self._space.dimensions))
        self._points, self._is_first = points, record.flag("is_first")
        self._proposed.keys = set(record.array("proposed", np.uint64, None).tolist())
        self._random.bit_generator.state = generator_state(record.part("random"))


def generator_state(record: Record) -> dict[str, Any]:
    """Return the state of NumPy's generator PCG64 from a record.

    Raises:
        RecordError: it is something else.
    """
    inner = record.part("state")
    large, small = 2**128 - 1, 2**32 - 1
    if record.text("bit_generator") != "PCG64":
        raise record.wrong("bit_generator", "PCG64")
    return {
        "bit_generator": "PCG64",
        "state": {"state": inner.whole("state", high=large), "inc": inner.whole("inc", high=large)},
        "has_uint32": record.whole("has_uint32", high=1),
        "uinteger": record.whole("uinteger", high=small),
    }


def best_first(objectives: FloatArray, violation: FloatArray, most: int) -> tuple[Rows, FloatArray]:
    """Return the places of at most so many individuals, the best first, and the crowding of each.

    Feasible ones by rank, then crowding; infeasible ones, whose crowding is 0, by violation; the older first where all
    is equal.
    """
    rank = np.zeros(len(objectives), dtype=np.intp)
    crowding = np.zeros(len(objectives))
    feasible = np.flatnonzero(violation <= 0)
    rank[feasible] = own = ranks(objectives[feasible])
    better = 0
    for members in np.split(feasible[np.argsort(own, kind="stable")], np.cumsum(np.bincount(own))[:-1]):
        if better < most:  # those beyond are not needed
            crowding[members] = crowding_distance(objectives[members])
        better += len(members)
    order = np.lexsort((-crowding, rank, violation))[:most]
    return order, crowding[order]


def tournament(
    objectives: FloatArray, violation: FloatArray, crowding: FloatArray, first: Rows, second: Rows
) -> NDArray[np.int8]:
    """Return 1 where `first` wins, -1 where `second` does, 0 where they are alike.

    By violation where either is infeasible; else by dominance, then crowding.
    """
    left, right = objectives[first], objectives[second]
    dominates = _sign(np.all(left <= right, axis=1), np.all(right <= left, axis=1))
    by_crowding = _sign(crowding[first] > crowding[second], crowding[first] < crowding[second])
    by_violation = _sign(violation[second] > violation[first], violation[second] < violation[first])
    feasible = (violation[first] <= 0) & (violation[second] <= 0)
    return np.asarray(np.where(feasible, np.where(dominates != 0, dominates, by_crowding), by_violation))


def _sign(more: Any, less: Any) -> NDArray[np.int8]:
    """Return 1 where only the first of two masks holds, -1 where only the second does, else 0."""
    return np.asarray(np.subtract(more, less, dtype=np.int8))


def crowding_distance(objectives: FloatArray) -> FloatArray:
    """Return how far apart the neighbours of each row of one front are, summed over the objectives.

    Infinite at the ends of each objective; each objective counts as a share of its range.
    """
    rows = len(objectives)
    distance = np.zeros(rows)
    if not rows:
        return distance
    for column in objectives.T:
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        span = ordered[-1] - ordered[0]
        if span > 0:
            distance[order[1:-1]] += (ordered[2:] - ordered[:-2]) / span
        distance[order[[0, -1]]] = np.inf
    return distance
