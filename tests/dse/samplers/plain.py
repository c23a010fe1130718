"""A plain NSGA-II, spaces and generators for tests that follow a sampler by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cost_models.table import Table, cells_of
from dse.samplers import Feedback
from dse.samplers.evolve.nsga2 import GeneticOperators
from dse.space import Space
from dse.sweep import parse_spec
from tests.sweeps import small


def space_of(**axes: Any) -> Space:
    base = {"node": "tsmc_5", "memory": "hbm3", "memory_device_gib": 16, "memory_devices": 8}
    return Space(parse_spec(small(space={**base, **axes})))


NUMBERS = {
    "macs": {"low": 1024, "high": 65536, "log": True}, "clock_ghz": {"low": 0.5, "high": 1.5},
    "cooling": {"values": ["air", "liquid"]}, "memory_devices": {"low": 2, "high": 16, "step": 2},
}  # fmt: skip


def spread(room: float, span: float, draw: float, eta: float) -> float:
    """Half the distance of two children over that of their parents, which leaves no child farther than the room."""
    alpha = 2 - (1 + 2 * room / span) ** (-(eta + 1))
    if draw <= 1 / alpha:
        return float((draw * alpha) ** (1 / (eta + 1)))
    return float((1 / (2 - draw * alpha)) ** (1 / (eta + 1)))


def crossed(operators: GeneticOperators, first: Any, second: Any, random: np.random.Generator) -> np.ndarray:
    rows, width = first.shape
    pair, coordinate, draw, swap = (
        random.random(rows), random.random((rows, width)), random.random((rows, width)), random.random((rows, width)),
    )  # fmt: skip
    one, other = np.empty((rows, width)), np.empty((rows, width))
    for i in range(rows):
        for j in range(width):
            a, b = first[i, j], second[i, j]
            low, high = min(a, b), max(a, b)
            if pair[i] < operators.crossover_probability and coordinate[i, j] < 0.5 and high - low > 1e-14:
                eta, span, middle = operators.crossover_eta, high - low, (low + high) / 2
                below = middle - spread(low, span, draw[i, j], eta) * span / 2
                above = middle + spread(1 - high, span, draw[i, j], eta) * span / 2
                a, b = (above, below) if swap[i, j] < 0.5 else (below, above)
            one[i, j], other[i, j] = min(max(a, 0.0), 1.0), min(max(b, 0.0), 1.0)
    return np.concatenate([one, other])


def mutated(operators: GeneticOperators, points: Any, random: np.random.Generator) -> np.ndarray:
    hit, draw = random.random(points.shape), random.random(points.shape)
    out = points.copy()
    power = operators.mutation_eta + 1
    for i, j in np.ndindex(*points.shape):
        if hit[i, j] >= operators.mutation_probability:
            continue
        x, u = points[i, j], draw[i, j]
        if operators.categorical[j]:
            out[i, j] = u
        elif u < 0.5:
            out[i, j] = x + (2 * u + (1 - 2 * u) * (1 - x) ** power) ** (1 / power) - 1
        else:
            out[i, j] = x + 1 - (2 * (1 - u) + (2 * u - 1) * x**power) ** (1 / power)
    return np.clip(out, 0.0, 1.0)


def dominates(a: Any, b: Any) -> bool:
    return bool((a <= b).all() and (a < b).any())


def survivors(objectives: Any, violation: Any) -> tuple[list[int], list[float]]:
    """Places, the best first, and the crowding of each: fronts peeled one by one, gaps between neighbours summed."""
    n = len(objectives)
    crowding, rank = [0.0] * n, [0] * n
    left, front = [i for i in range(n) if violation[i] <= 0], 0
    while left:
        members = [i for i in left if not any(dominates(objectives[k], objectives[i]) for k in left)]
        for i in members:
            rank[i] = front
        for column in np.transpose(objectives):
            line = sorted(members, key=lambda i: (column[i], i))
            span = column[line[-1]] - column[line[0]]
            for place, i in enumerate(line):
                if len(members) < 3 or place in (0, len(line) - 1):
                    crowding[i] = math.inf
                elif span > 0:
                    crowding[i] += (column[line[place + 1]] - column[line[place - 1]]) / span
        left, front = [i for i in left if i not in members], front + 1
    return sorted(range(n), key=lambda i: (violation[i], rank[i], -crowding[i], i)), crowding


def winner(objectives: Any, violation: Any, crowding: Any, i: int, k: int) -> int:
    if violation[i] > 0 or violation[k] > 0:
        return int(np.sign(violation[k] - violation[i]))
    if dominates(objectives[i], objectives[k]) or dominates(objectives[k], objectives[i]):
        return 1 if dominates(objectives[i], objectives[k]) else -1
    return int(crowding[i] > crowding[k]) - int(crowding[i] < crowding[k])


class Plain:
    """The same search with a list of individuals."""

    def __init__(self, space: Space, start: Any, population: int, seed: int, operators: GeneticOperators) -> None:
        self.space, self.size, self.operators, self.random = space, population, operators, np.random.default_rng(seed)
        self.offspring, self.first, self.seen = start, True, set[bytes]()
        self.points, self.objectives, self.violation, self.crowding = start[:0], None, None, None

    def new(self, points: Any, pending: set[bytes]) -> list[int]:
        places = []
        for place, point in enumerate(points):
            if (key := point.tobytes()) not in self.seen | pending:
                pending.add(key)
                places.append(place)
        return places

    def parents(self, count: int) -> list[int]:
        first, second = self.random.integers(len(self.points), size=(2, count))
        won = [winner(self.objectives, self.violation, self.crowding, i, k) for i, k in zip(first, second, strict=True)]
        toss = self.random.random(count) < 0.5
        return [
            i if (win > 0 or (win == 0 and head)) else k
            for i, k, win, head in zip(first, second, won, toss, strict=True)
        ]

    def propose(self) -> Any:
        if self.first:
            self.first = False
            cells = self.space.snapped(np.clip(self.offspring, 0, 1))
            self.offspring = cells[self.new(cells, set())]
        else:
            made, pending = self.points[:0], set[bytes]()
            for _ in range(10):
                if len(made) >= self.size or len(self.points) < 2:
                    break
                pairs = math.ceil((self.size - len(made)) / 2)
                mothers, fathers = self.parents(pairs), self.parents(pairs)
                children = crossed(self.operators, self.points[mothers], self.points[fathers], self.random)
                children = self.space.snapped(mutated(self.operators, children, self.random))
                made = np.concatenate([made, children[self.new(children, pending)][: self.size - len(made)]])
            if len(made) < self.size // 4:
                strangers = self.space.snapped(self.random.random((1000, self.points.shape[1])))
                strangers = strangers[self.new(strangers, pending)]
                made = np.concatenate([made, strangers[: self.size - len(made)]])
            self.offspring = made
        self.seen.update(point.tobytes() for point in self.offspring)
        return self.offspring

    def accept(self, objectives: Any, violation: Any) -> None:
        if self.objectives is not None:
            objectives = np.concatenate([self.objectives, objectives])
            violation = np.concatenate([self.violation, violation])
        points = np.concatenate([self.points, self.offspring])
        order, crowding = survivors(objectives, violation)
        order = order[: self.size]
        self.points, self.objectives, self.violation = points[order], objectives[order], violation[order]
        self.crowding = [crowding[i] for i in order]


def worth(points: Any) -> tuple[Any, Any]:
    """Objectives that conflict in two coordinates, ties by rounding; a part of the space is infeasible."""
    first = np.round((points**2).sum(axis=1), 3)
    second = np.round(((points - 0.7) ** 2).sum(axis=1), 3)
    return np.stack([first, second], axis=1), np.maximum(0.0, np.round(points[:, 0] - 0.6, 2))


class Drawn:
    """A generator that gives what it is told to, one number for every call."""

    def __init__(self, *draws: float) -> None:
        self.draws = list(draws)

    def random(self, shape: Any) -> Any:
        return np.full(shape, self.draws.pop(0))

    def integers(self, high: int, size: tuple[int, int]) -> Any:
        return np.arange(size[0] * size[1]).reshape(size) % high


def feedback(points: Any, start: int, *, objectives: Any = None) -> Feedback:
    values, violation = worth(points)
    values = values if objectives is None else objectives
    return Feedback(np.arange(start, start + len(points)), values, violation[:, None], violation == 0)


def sobol(dimensions: int, seed: int) -> Any:
    """SciPy's first 64 points."""
    from scipy.stats import qmc

    return qmc.Sobol(dimensions, scramble=True, bits=30, rng=np.random.default_rng(seed)).random_base2(6)


def cells(designs: Table) -> list[tuple[object, ...]]:
    return list(zip(*map(cells_of, designs.values()), strict=True))
