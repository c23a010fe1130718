"""NSGA-III of pymoo, with our own cells, repeats and mutation put in.

The only room that knows pymoo; imported by `dse.samplers.evolve.sampler` when it is needed, since it takes a while.
"""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
from pymoo.algorithms.moo.nsga3 import NSGA3
from pymoo.core.duplicate import DuplicateElimination, NoDuplicateElimination
from pymoo.core.evaluator import Evaluator
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.repair import NoRepair, Repair
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.problems.static import StaticProblem
from pymoo.util.ref_dirs import get_reference_directions

from cost_models.table import FloatArray
from dse.packing import Data, Record
from dse.samplers.evolve.nsga2 import MATING_ROUNDS, GeneticOperators, Proposed, Rows, row_keys, snap_to_levels
from dse.space import Space


class ToCells(Repair):  # type: ignore[misc]
    """Moves points to the middle of their cells, so that equal designs are equal points."""

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.space = space

    def _do(self, problem: Any, X: FloatArray, **kwargs: Any) -> FloatArray:
        return snap_to_levels(self.space, X)


class Unseen(DuplicateElimination):  # type: ignore[misc]
    """Keeps individuals whose designs have never been proposed."""

    def __init__(self) -> None:
        super().__init__()
        self.proposed = Proposed()

    def do(self, pop: Any, *others: Any, **kwargs: Any) -> Any:
        """Return the individuals of `pop` that are new, also among themselves and to `others`."""
        if not len(pop):
            return pop
        pending = {key for other in others if len(other) for key in row_keys(other.get("X")).tolist()}
        return pop[self.proposed.new(pop.get("X"), pending)]


class MixedMutation(Mutation):  # type: ignore[misc]
    """The mutation of `dse.samplers.evolve.nsga2` as an operator of pymoo."""

    def __init__(self, operators: GeneticOperators) -> None:
        super().__init__(prob=1.0)
        self.operators = operators

    def _do(self, problem: Any, X: FloatArray, *args: Any, random_state: Any = None, **kwargs: Any) -> FloatArray:
        return self.operators.mutate(X, random_state)


def by_violation(pop: Any, pairs: Rows, *, random_state: Any, **kwargs: Any) -> Rows:
    """Return the winner of each pair: by violation, then probability. The selection of NSGA-III (Deb and Jain 2014)."""
    first, second = pairs[:, 0], pairs[:, 1]
    violation = pop.get("CV")[:, 0]
    probability = np.where(random_state.random(len(pairs)) < 0.5, 1, -1)
    score = np.sign(violation[second] - violation[first])
    return np.where(np.where(score == 0, probability, score) > 0, first, second)[:, None]


class PymooEngine:
    """NSGA-III, run by generations of points of the unit cube.

    Args:
        space: the space.
        start: ``(n, dimensions)`` points of the first generation that are to be judged.
        known: points that are judged already, with their objectives and violations.
        population: size of the later generations.
        n_objectives: number of objectives.
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
        n_objectives: int,
        seed: int,
        operators: GeneticOperators,
    ) -> None:
        self._unseen = Unseen()
        cells = ToCells(space)
        points, self._known_objectives, self._known_violation = known
        self._unseen.proposed.add(points)
        fresh = self._unseen.do(Population.new(X=cells._do(None, start)))
        fresh_points = fresh.get("X").reshape(len(fresh), len(space.dimensions))
        self._problem = Problem(n_var=len(space.dimensions), n_obj=n_objectives, n_ieq_constr=1, xl=0.0, xu=1.0)
        self._algorithm = _nsga3(
            population,
            n_objectives,
            sampling=np.concatenate([points, fresh_points]),
            crossover=SBX(prob=operators.crossover_probability, eta=operators.crossover_eta),
            mutation=MixedMutation(operators),
            repair=cells,
            eliminate_duplicates=self._unseen,
        )
        # The first population is free of repeats, and what is known must stay in it.
        self._algorithm.initialization.eliminate_duplicates = NoDuplicateElimination()
        self._algorithm.initialization.repair = NoRepair()
        self._algorithm.setup(self._problem, seed=seed, termination=NoTermination(), verbose=False)
        self._algorithm.mating.n_max_iterations = MATING_ROUNDS
        self._off: Any = None
        self._told: list[tuple[FloatArray, FloatArray]] = []
        self._asked = 0

    def propose(self) -> FloatArray:
        """Return the points of the next generation that are to be judged; none when nothing new is found."""
        self._off, self._asked = self._algorithm.ask(), self._asked + 1
        known = len(self._known_objectives)
        dimensions = self._problem.n_var
        if self._off is None or len(self._off) == 0:
            return np.empty((0, dimensions))
        points = np.asarray(self._off.get("X"), dtype=np.float64).reshape(-1, dimensions)[known:]
        self._unseen.proposed.add(points)
        return points

    def accept(self, objectives: FloatArray, violation: FloatArray) -> None:
        """Take the judgement of the last generation."""
        self._told.append((objectives, violation))
        objectives = np.concatenate([self._known_objectives, objectives])
        violation = np.concatenate([self._known_violation, violation])
        self._known_objectives, self._known_violation = self._known_objectives[:0], self._known_violation[:0]
        Evaluator().eval(StaticProblem(self._problem, F=objectives, G=violation[:, None]), self._off)
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

    # -- state --------------------------------------------------------------------------------------------------

    def state(self) -> Data:
        """Return what was told, as plain data: pymoo's objects, made again and told the same, come to the same."""
        reported = [{"objectives": objectives, "violation": violation} for objectives, violation in self._told]
        return {"told": reported, "asked": self._asked}

    def restore(self, record: Record) -> None:
        """Go on from a state: ask and tell all of it again.

        Raises:
            RecordError: it is not of these settings.
        """
        reported = record.parts("told")
        for number in range(record.whole("asked", high=len(reported) + 1)):
            points = self.propose()
            if number == len(reported):
                return
            objectives = reported[number].array("objectives", np.float64, None, self._problem.n_obj)
            if len(objectives) != len(points):
                raise record.wrong("told", f"of the {len(points)} designs of generation {number}")
            self.accept(objectives, reported[number].array("violation", np.float64, len(points)))


def _nsga3(population: int, n_objectives: int, **parts: Any) -> Any:
    # As many reference directions as the population can serve (Das and Dennis 1998).
    partitions = 1
    while n_objectives > 1 and comb(partitions + n_objectives, n_objectives - 1) <= population:
        partitions += 1
    directions = get_reference_directions("das-dennis", n_objectives, n_partitions=partitions)
    return NSGA3(directions, pop_size=population, selection=TournamentSelection(func_comp=by_violation), **parts)
