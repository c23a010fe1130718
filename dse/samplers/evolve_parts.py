"""The parts that pymoo's algorithms are put together from here: arrays instead of loops over individuals.

Imported by `dse.samplers.evolve` when it is needed, since pymoo takes a while to import.
"""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.algorithms.moo.nsga3 import NSGA3
from pymoo.core.duplicate import DuplicateElimination, NoDuplicateElimination
from pymoo.core.evaluator import Evaluator
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.repair import NoRepair, Repair
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.problems.static import StaticProblem
from pymoo.util.ref_dirs import get_reference_directions

from cost_models.columns import FloatArray
from dse.space import Space
from dse.spec_search import EvolveOptions

FEW_LEVELS = 8
"""Listed numbers up to this many are mutated like names, to any of them alike; more are moved along the list."""

MATING_ROUNDS = 10
"""Times that mating is tried before a generation stays smaller than the population."""


class ToCells(Repair):  # type: ignore[misc]
    """Moves points to the middle of their cells, so that equal designs are equal points."""

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.space = space

    def _do(self, problem: Any, X: FloatArray, **kwargs: Any) -> FloatArray:
        return self.space.encode(self.space.decode(np.clip(X, 0.0, 1.0)))


class Unseen(DuplicateElimination):  # type: ignore[misc]
    """Keeps individuals whose designs have never been proposed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[int] = set()

    def do(self, pop: Any, *others: Any, **kwargs: Any) -> Any:
        """Return the individuals of `pop` that are new, also among themselves and to `others`."""
        if not len(pop):
            return pop
        blocked = set(self.seen)
        for other in others:
            blocked |= set(row_keys(other.get("X")).tolist()) if len(other) else set()
        kept = []
        for place, key in enumerate(row_keys(pop.get("X")).tolist()):
            if key not in blocked:
                blocked.add(key)
                kept.append(place)
        return pop[kept]

    def remember(self, points: FloatArray) -> None:
        """Count these points as proposed."""
        self.seen |= set(row_keys(points).tolist())


def row_keys(points: FloatArray) -> NDArray[np.uint64]:
    """Return a 64-bit key per row: equal rows have equal keys, others practically never."""
    bits = np.ascontiguousarray(points + 0.0).view(np.uint64)
    key = np.zeros(len(points), dtype=np.uint64)
    for column in bits.T:
        # The finaliser of splitmix64 (Steele, Lea and Flood, OOPSLA 2014) over a running sum.
        key = key * np.uint64(0x9E3779B97F4A7C15) + column
        key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        key = key ^ (key >> np.uint64(31))
    return key


class MixedMutation(Mutation):  # type: ignore[misc]
    """Polynomial mutation of numbers; names and short lists change to any of their values alike."""

    def __init__(self, redrawn: NDArray[np.bool_], *, eta: float, probability: float) -> None:
        super().__init__(prob=1.0)
        self.redrawn, self.probability = redrawn, probability
        self.polynomial = PM(prob=1.0, prob_var=probability, eta=eta)

    def _do(self, problem: Any, X: FloatArray, *args: Any, random_state: Any = None, **kwargs: Any) -> FloatArray:
        mutated = self.polynomial._do(problem, X, random_state=random_state)
        anew = random_state.random(X.shape)
        hit = random_state.random(X.shape) < self.probability
        redrawn = np.broadcast_to(self.redrawn, X.shape)
        return np.where(redrawn, np.where(hit, anew, X), mutated)


def tournament(pop: Any, pairs: NDArray[np.intp], *, random_state: Any, **kwargs: Any) -> NDArray[np.intp]:
    """Return the winner of each pair: by shortfall, then dominance, then crowding, then chance.

    The binary tournament of NSGA-II (Deb et al. 2002) with constraint domination, all pairs at once.
    """
    first, second = pairs[:, 0], pairs[:, 1]
    shortfall, objectives = pop.get("CV")[:, 0], pop.get("F")
    crowding = np.array([np.nan if c is None else c for c in pop.get("crowding")], dtype=np.float64)
    left, right = objectives[first], objectives[second]
    dominates = (left <= right).all(axis=1).astype(int) - (right <= left).all(axis=1).astype(int)
    by_shortfall = np.sign(shortfall[second] - shortfall[first])
    with np.errstate(invalid="ignore"):
        by_crowding = np.nan_to_num(np.sign(crowding[first] - crowding[second]))
    both_feasible = (shortfall[first] <= 0) & (shortfall[second] <= 0)
    score = np.where(both_feasible, np.where(dominates != 0, dominates, by_crowding), by_shortfall)
    chance = np.where(random_state.random(len(pairs)) < 0.5, 1, -1)
    return np.where(np.where(score == 0, chance, score) > 0, first, second)[:, None]


def by_shortfall(pop: Any, pairs: NDArray[np.intp], *, random_state: Any, **kwargs: Any) -> NDArray[np.intp]:
    """Return the winner of each pair: by shortfall, then chance. The selection of NSGA-III (Deb and Jain 2014)."""
    first, second = pairs[:, 0], pairs[:, 1]
    shortfall = pop.get("CV")[:, 0]
    chance = np.where(random_state.random(len(pairs)) < 0.5, 1, -1)
    score = np.sign(shortfall[second] - shortfall[first])
    return np.where(np.where(score == 0, chance, score) > 0, first, second)[:, None]


class Engine:
    """One of pymoo's algorithms, run by generations of points of the unit cube.

    Args:
        space: the space.
        start: ``(n, dimensions)`` points of the first generation that are to be judged.
        known: points that are judged already, with their objectives and shortfalls.
        population: size of the later generations.
        n_objectives: number of objectives.
        seed: seed of everything random.
        options: algorithm and settings of its operators.
    """

    def __init__(
        self,
        space: Space,
        start: FloatArray,
        known: tuple[FloatArray, FloatArray, FloatArray],
        *,
        population: int,
        n_objectives: int,
        seed: int,
        options: EvolveOptions,
    ) -> None:
        self._unseen = Unseen()
        cells = ToCells(space)
        points, self._known_objectives, self._known_shortfall = known
        self._unseen.remember(points)
        fresh = self._unseen.do(Population.new(X=cells._do(None, start)))
        fresh_points = fresh.get("X").reshape(len(fresh), len(space.dimensions))
        self._problem = Problem(n_var=len(space.dimensions), n_obj=n_objectives, n_ieq_constr=1, xl=0.0, xu=1.0)
        self._algorithm = _algorithm(
            options,
            population,
            n_objectives,
            sampling=np.concatenate([points, fresh_points]),
            crossover=SBX(prob=options.crossover_probability, eta=options.crossover_eta),
            mutation=_mutation(space, options),
            repair=cells,
            eliminate_duplicates=self._unseen,
        )
        # The first population is free of repeats, and what is known must stay in it.
        self._algorithm.initialization.eliminate_duplicates = NoDuplicateElimination()
        self._algorithm.initialization.repair = NoRepair()
        self._algorithm.setup(self._problem, seed=seed, termination=NoTermination(), verbose=False)
        self._algorithm.mating.n_max_iterations = MATING_ROUNDS
        self._off: Any = None

    def propose(self) -> FloatArray:
        """Return the points of the next generation that are to be judged; none when nothing new is found."""
        self._off = self._algorithm.ask()
        known = len(self._known_objectives)
        dimensions = self._problem.n_var
        if self._off is None or len(self._off) == 0:
            return np.empty((0, dimensions))
        points = np.asarray(self._off.get("X"), dtype=np.float64).reshape(-1, dimensions)[known:]
        self._unseen.remember(points)
        return points

    def accept(self, objectives: FloatArray, shortfall: FloatArray) -> None:
        """Take the judgement of the last generation."""
        objectives = np.concatenate([self._known_objectives, objectives])
        shortfall = np.concatenate([self._known_shortfall, shortfall])
        self._known_objectives, self._known_shortfall = self._known_objectives[:0], self._known_shortfall[:0]
        Evaluator().eval(StaticProblem(self._problem, F=objectives, G=shortfall[:, None]), self._off)
        self._algorithm.tell(infills=self._off)
        if len(self._algorithm.pop) > self._algorithm.pop_size:
            # More was known than fits a generation: only the best of it are parents.
            self._algorithm.pop = self._algorithm.survival.do(
                self._problem,
                self._algorithm.pop,
                n_survive=self._algorithm.pop_size,
                algorithm=self._algorithm,
                random_state=self._algorithm.random_state,
            )


def _algorithm(options: EvolveOptions, population: int, n_objectives: int, **parts: Any) -> Any:
    if options.algorithm == "nsga2":
        return NSGA2(pop_size=population, selection=TournamentSelection(func_comp=tournament), **parts)
    # As many reference directions as the population can serve (Das and Dennis 1998).
    partitions = 1
    while n_objectives > 1 and comb(partitions + n_objectives, n_objectives - 1) <= population:
        partitions += 1
    directions = get_reference_directions("das-dennis", n_objectives, n_partitions=partitions)
    return NSGA3(directions, pop_size=population, selection=TournamentSelection(func_comp=by_shortfall), **parts)


def _mutation(space: Space, options: EvolveOptions) -> MixedMutation:
    redrawn = []
    for name in space.dimensions:
        parameter = space.parameters[name]
        counts = [len(levels) for a in parameter.alternatives if (levels := a.codec.levels) is not None]
        listed = len(counts) == len(parameter.alternatives)
        redrawn.append(bool(parameter.names) or (listed and max(counts) <= FEW_LEVELS))
    given = options.mutation_probability
    probability = min(0.5, 1 / len(redrawn)) if given is None else given
    return MixedMutation(np.array(redrawn), eta=options.mutation_eta, probability=probability)
