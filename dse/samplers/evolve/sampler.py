"""Evolutionary search, a generation at a time: NSGA-II in arrays, or NSGA-III of pymoo.

Individuals are points of the unit cube, moved to the middle of their cell wherever values are discrete, so that two of
them are equal exactly if their designs are; no design is proposed twice. Infeasible individuals rank below all
feasible ones, by how far they miss. A generation can be asked for in pieces; the next one needs all of it told.
"""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING

import numpy as np

from cost_models.table import FloatArray, Table
from dse.errors import SamplerError
from dse.packing import Data, packed, read_packed
from dse.samplers.base import AskTellCounter, Feedback, feedback_data, feedback_of
from dse.samplers.sobol import SobolPoints
from dse.space import Space
from dse.sweep.search import EvolveOptions

if TYPE_CHECKING:
    from dse.samplers.evolve.nsga2 import ArrayEngine
    from dse.samplers.evolve.pymoo import PymooEngine

MIN_POPULATION, MAX_POPULATION = 20, 1000


def default_population(n_designs: int) -> int:
    """Return the size of a generation for a budget: twice its square root, within bounds and a fourth of the budget."""
    wanted = min(max(2 * isqrt(n_designs), MIN_POPULATION), MAX_POPULATION)
    return max(4, min(wanted, n_designs // 4))


class EvolveSampler:
    """A multi-objective evolutionary algorithm.

    Args:
        space: the space.
        n_designs: designs to propose.
        seed: seed of everything random.
        n_objectives: number of objectives.
        options: algorithm and its settings.
    """

    def __init__(self, space: Space, *, n_designs: int, seed: int, n_objectives: int, options: EvolveOptions) -> None:
        self._space, self._budget, self._seed = space, n_designs, seed
        self._n_objectives, self._options = n_objectives, options
        self.population = options.population or default_population(n_designs)
        self._turns = AskTellCounter()
        self._engine: ArrayEngine | PymooEngine | None = None
        self._points: FloatArray = np.empty((0, len(space.dimensions)))
        self._start = 0
        self._pending_feedback: list[Feedback] = []
        self._seeds: tuple[FloatArray, Feedback] | None = None
        self._exhausted = False
        self._extra = 0

    @property
    def total(self) -> int:
        """Number of designs it proposes; fewer where the space runs out of new ones."""
        return self._budget + self._extra

    def describe(self) -> tuple[str, ...]:
        """Return the algorithm and its population."""
        return (f"{self._options.algorithm} with generations of {self.population} designs",)

    def extend(self, more: int) -> None:
        """Propose more designs, in generations of the same size."""
        self._extra += more

    def warm_start(self, unit: FloatArray, feedback: Feedback) -> None:
        """Start from known designs, which are not proposed again.

        Raises:
            SamplerError: it has been asked already.
        """
        if self._engine is not None:
            raise SamplerError("evolve can only be seeded before it is asked")
        self._seeds = (unit, feedback)

    def ask(self, n: int) -> Table:
        """Return the next designs of the generation, at most `n`; none when the budget or the space is used up.

        Raises:
            SamplerError: the generation has been handed out and not been told of entirely.
        """
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        if self._exhausted or self._turns.asked == self.total:
            return Table()
        if self._turns.asked == self._start + len(self._points):
            if self._turns.told < self._turns.asked:
                raise SamplerError("evolve needs to be told of a whole generation before it makes the next")
            self._next_generation()
            if self._exhausted:
                return Table()
        first = self._turns.asked - self._start
        chosen = self._points[first : first + min(n, self.total - self._turns.asked)]
        self._turns.asked += len(chosen)
        return self._space.decode(chosen)

    def tell(self, feedback: Feedback) -> None:
        """Hear what became of the next rows; the algorithm moves on when it has heard of a whole generation."""
        self._turns.take(feedback)
        self._pending_feedback.append(feedback)
        if self._turns.told == self._start + len(self._points) and self._engine is not None:
            self._engine.accept(*_ranked(self._pending_feedback))
            self._pending_feedback = []

    def _next_generation(self) -> None:
        if self._engine is None:
            self._engine = self._first_engine()
        points = self._engine.propose()
        if not len(points) and self._turns.asked == 0 and self._seeds is not None:
            # All of the first generation is known already.
            self._engine.accept(np.empty((0, self._n_objectives)), np.empty(0))
            points = self._engine.propose()
        self._start, self._points = self._turns.asked, points
        self._exhausted = not len(points)

    def _first_engine(self) -> ArrayEngine | PymooEngine:
        from dse.samplers.evolve.nsga2 import ArrayEngine, GeneticOperators

        dimensions = len(self._space.dimensions)
        known = np.empty((0, dimensions)), np.empty((0, self._n_objectives)), np.empty(0)
        if self._seeds is not None:
            unit, feedback = self._seeds
            known = (unit, *_ranked([feedback]))
        missing = max(0, self.population - len(known[0]))
        start = SobolPoints(dimensions, seed=self._seed, total=self.population).take(missing)
        operators = GeneticOperators.of(self._space, self._options)
        size, seed = self.population, self._seed
        if self._options.algorithm == "nsga2":
            return ArrayEngine(self._space, start, known, population=size, seed=seed, operators=operators)
        from dse.samplers.evolve.pymoo import PymooEngine

        return PymooEngine(
            self._space, start, known, population=size, seed=seed, operators=operators, n_objectives=self._n_objectives
        )

    # -- state --------------------------------------------------------------------------------------------------

    def _identity(self) -> Data:
        settings = self._options.model_dump_json()
        return ["evolve", list(self._space.dimensions), self._budget, self._seed, self._n_objectives, settings]

    def state(self) -> bytes:
        """Return the population, the random numbers and what has been seen."""
        seeds = self._seeds
        state: Data = {
            "identity": self._identity(),
            "turns": self._turns.data(),
            "engine": None if self._engine is None else self._engine.state(),
            "points": self._points,
            "start": self._start,
            "heard": [feedback_data(feedback) for feedback in self._pending_feedback],
            "seeds": None if seeds is None else {"unit": seeds[0], "judged": feedback_data(seeds[1])},
            "exhausted": self._exhausted,
            "extra": self._extra,
        }
        return packed(state)

    def restore(self, state: bytes) -> None:
        """Go on from a state.

        Raises:
            SamplerError: the state is of another sampler.
            RecordError: it is damaged, or no state at all.
        """
        record = read_packed(state, "the state of evolve")
        if record.data.get("identity") != self._identity():
            raise SamplerError("the state is not one of evolve with these settings")
        n = len(self._space.dimensions)
        self._turns, self._seeds, self._engine = AskTellCounter.of(record, "turns"), None, None
        if "seeds" in record:
            seeds = record.part("seeds")
            feedback = feedback_of(seeds.part("judged"), self._n_objectives)
            self._seeds = seeds.array("unit", np.float64, len(feedback), n), feedback
        self._points, self._start = record.array("points", np.float64, None, n), record.whole("start")
        self._pending_feedback = [feedback_of(one, self._n_objectives) for one in record.parts("heard")]
        self._exhausted, self._extra = record.flag("exhausted"), record.whole("extra")
        if "engine" in record:
            self._engine = self._first_engine()
            self._engine.restore(record.part("engine"))


def _ranked(heard: list[Feedback]) -> tuple[FloatArray, FloatArray]:
    """Return objectives, as finite numbers, and violations."""
    objectives = np.concatenate([feedback.finite_objectives for feedback in heard])
    return objectives, np.concatenate([feedback.violation for feedback in heard])
