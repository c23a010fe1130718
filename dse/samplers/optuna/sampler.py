"""Optuna's samplers by ask and tell on a study in memory: for small budgets and slow models.

Names are categorical to Optuna; every number is a float in ``[0, 1)`` that our own
space decodes, which keeps steps, logarithms and lists out of Optuna's slow paths (QMC and CMA-ES see floats alone).
All dimensions are always suggested; those of inactive parameters are ignored. Designs come in batches of a fixed size,
each of which must be told before the next is made, so how many rows an `ask` wants has no influence. What is kept is
written to a study in a storage where the sweep names one (`optuna_study`).
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cost_models.table import FloatArray, Table
from dse.errors import Issue, MissingPackageError, SamplerError, SpecError
from dse.packing import Data, Record, packed, read_packed
from dse.samplers.base import BEYOND_ANY, AskTellCounter, Feedback, feedback_data, feedback_of
from dse.samplers.optuna.options import made_arguments
from dse.samplers.optuna.quiet import quiet
from dse.samplers.optuna.study import CompletedTrial, ForeignTrials, SharedStudy, StudyConfig
from dse.space import Space
from dse.sweep.hints import one_of, quoted, suggest
from dse.sweep.search import OPTUNA_PREFIX, OPTUNA_SAMPLERS, OptunaOptions

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, Trial

FLOATS_ONLY = ("QMCSampler", "CmaEsSampler")
"""Samplers that have no notion of categories."""

SINGLE_OBJECTIVE = ("CmaEsSampler",)
IGNORES_CONSTRAINTS = ("CmaEsSampler", "QMCSampler", "RandomSampler")
GENERATIONS = ("NSGAIISampler", "NSGAIIISampler")
"""Samplers whose batch is their population."""

PACKAGES: Mapping[str, tuple[str, ...]] = {"GPSampler": ("torch",), "CmaEsSampler": ("cmaes",)}
"""Packages that Optuna needs beyond its own for a sampler."""

MEANT_FOR: Mapping[str, int] = {"TPESampler": 500, "GPSampler": 200, "NSGAIISampler": 3000, "NSGAIIISampler": 3000}
"""Budgets up to which a sampler is worth its time, as measured on a model that costs nothing."""

DEFAULT_BATCH = 10
DEFAULT_GENERATION = 50


class OptunaSampler:
    """One of Optuna's samplers.

    Args:
        name: short name or ``optuna:Class``.
        space: the space.
        n_designs: designs to propose.
        seed: seed of the sampler.
        n_objectives: number of objectives.
        options: size of a batch, and arguments of the sampler's constructor.
        place: a study in a storage that takes part; none where None.

    Raises:
        MissingPackageError: the sampler needs a package that is not installed.
        SpecError: no such sampler or argument, or it cannot do what is asked of it.
    """

    def __init__(
        self,
        name: str,
        space: Space,
        *,
        n_designs: int,
        seed: int,
        n_objectives: int,
        options: OptunaOptions,
        place: StudyConfig | None = None,
    ) -> None:
        self._space, self._total, self._name = space, n_designs, name
        self.kind = class_of(name, space)
        if self.kind in SINGLE_OBJECTIVE and n_objectives > 1:
            path = "search.sampler"
            what = f"{name} takes one objective; this sweep has {n_objectives}"
            raise SpecError([Issue(space.place_of(path), path, what, perhaps="evolve, nsgaii or tpe")])
        arguments = dict(options.model_extra or {})
        population = arguments.get("population_size", DEFAULT_GENERATION)
        self.batch = options.batch or (int(population) if self.kind in GENERATIONS else DEFAULT_BATCH)
        settings = options.model_dump_json()
        self._identity: Data = [name, list(space.dimensions), n_designs, seed, n_objectives, settings]
        self._distributions = distributions(space, floats_only=self.kind in FLOATS_ONLY)
        self._outside = None if place is None else SharedStudy(place, space)
        self._fractions = place is not None and place.join
        self._seed, self._n_objectives, self._arguments = seed, n_objectives, arguments
        self._connected, self._pending = False, list[tuple[int, int, bool]]()
        self._begin()

    def _begin(self) -> None:
        """Make a study in which nothing has happened."""
        # Processes that share a study must not all propose the same.
        own_seed = int(self._outside.run[:8], 16) if self._outside is not None and self._fractions else self._seed
        self._study = _study(self.kind, own_seed, self._n_objectives, self._arguments, self._space)
        self._turns = AskTellCounter()
        self._open: list[Trial] = []
        self._points: FloatArray = np.empty((0, len(self._space.dimensions)))
        self._start = 0
        self._seeds = self._points
        self._batches: list[FloatArray] = []
        self._heard: list[Feedback] = []
        self._learned: list[tuple[int, ForeignTrials]] = []

    @property
    def total(self) -> int:
        """Number of designs it proposes."""
        return self._total

    def describe(self) -> tuple[str, ...]:
        """Return the batch, and what the sampler is not made for."""
        notes = [f"Optuna's {self.kind} in batches of {self.batch} designs"]
        if self._total > MEANT_FOR.get(self.kind, self._total):
            notes.append(f"{self._name} slows down with every design; it is meant for up to {MEANT_FOR[self.kind]}")
        if self.kind in IGNORES_CONSTRAINTS:
            notes.append(f"{self._name} does not see constraints")
        notes += _sharing_notes(self._outside, self._fractions)
        return tuple(notes)

    def extend(self, more: int) -> None:
        """Propose more designs."""
        self._total += more

    def warm_start(self, unit: FloatArray, feedback: Feedback) -> None:
        """Put the best known designs, one batch of them, at the head of the queue; they are evaluated again."""
        if self._turns.asked:
            raise SamplerError(f"{self._name} can only be seeded before it is asked")
        self._seeds = unit[np.argsort(feedback.violation, kind="stable")[: self.batch]]
        self._put_first(self._seeds)

    def _put_first(self, points: FloatArray) -> None:
        """Put designs in the queue of what is asked next."""
        for point in points:
            self._study.enqueue_trial(_parameters(self._space, self._distributions, point))

    def ask(self, n: int) -> Table:
        """Return the next designs of the batch, at most `n`; none when the budget is used up.

        Raises:
            SamplerError: the batch has been handed out and not been told of entirely.
        """
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        if self._turns.asked == self._total:
            return Table()
        if self._turns.asked == self._start + len(self._points):
            if self._turns.told < self._turns.asked:
                raise SamplerError(f"{self._name} needs to be told of a whole batch before it makes the next")
            self._next_batch()
        first = self._turns.asked - self._start
        chosen = self._points[first : first + n]
        self._turns.asked += len(chosen)
        return self._space.decode(chosen)

    def _next_batch(self) -> None:
        size = min(self.batch, self._total - self._turns.asked)
        with quiet():
            self._learn()
            self._ask_study(size)

    def _ask_study(self, size: int) -> None:
        """Let the study propose a batch."""
        self._open = [self._study.ask(self._distributions) for _ in range(size)]
        self._start = self._turns.asked
        self._points = np.array([_point(self._space, self._distributions, trial.params) for trial in self._open])
        self._batches.append(self._points)

    def tell(self, feedback: Feedback) -> None:
        """Hear what became of the next rows."""
        first = self._turns.told - self._start
        self._hear(feedback)
        if self._outside is not None:
            for row, trial in enumerate(self._open[first : first + len(feedback)]):
                self._pending.append((int(feedback.ids[row]), trial.number, bool(feedback.feasible[row])))

    def _hear(self, feedback: Feedback) -> None:
        """Tell the study what became of the next rows."""
        first = self._turns.told - self._start
        self._turns.take(feedback)
        self._heard.append(feedback)
        with quiet():
            for row, trial in enumerate(self._open[first : first + len(feedback)]):
                self._tell_one(trial, feedback, row)

    def _tell_one(self, trial: Trial, feedback: Feedback, row: int) -> None:
        """Tell one trial: what is missing counts as failed, or by its violations where the sampler sees those."""
        from optuna.trial import TrialState

        if self.kind not in IGNORES_CONSTRAINTS:
            for place, violation in enumerate(feedback.violations[row]):
                # Optuna ranks infeasible trials by the sum of their constraints: the violation of every report.
                trial.set_constraint(f"violation_{place}", float(violation))
        elif not feedback.feasible[row]:
            self._study.tell(trial, state=TrialState.FAIL)
            return
        if self.kind == "GPSampler" and not np.isfinite(feedback.objectives[row]).all():
            # A made-up objective would bend the surrogate.
            self._study.tell(trial, state=TrialState.FAIL)
            return
        self._study.tell(trial, feedback.finite_objectives[row].tolist())

    # -- the study outside --------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Open the study in the storage, where there is one, and add what is kept and not there yet.

        Raises:
            RunError: it cannot be used.
        """
        if self._outside is None or self._connected:
            return
        there = self._outside.connect(self._turns.told)
        self._pending = [one for one in self._pending if one[0] not in there]
        self._connected = True
        self.publish()

    def publish(self) -> None:
        """Add the designs that have been told to the study in the storage, once they are kept on disk.

        Raises:
            RunError: it cannot be written.
        """
        if self._outside is None or not self._connected:
            return
        trials = self._study.get_trials(deepcopy=False)
        self._outside.publish([self._told(trials[number], id, usable) for id, number, usable in self._pending])
        self._pending = []

    def _told(self, trial: FrozenTrial, id: int, usable: bool) -> CompletedTrial:
        values = trial.values if trial.values and max(trial.values) < BEYOND_ANY else None
        unit = tuple(_point(self._space, self._distributions, trial.params))
        return CompletedTrial(id, unit, None if values is None else tuple(values), usable, dict(trial.system_attrs))

    def _learn(self) -> None:
        """Take over what other processes have added to a shared study."""
        if self._outside is None or not self._fractions:
            return
        self.connect()
        self._replay(self._outside.news())

    def _replay(self, news: ForeignTrials) -> None:
        """Add what others have found to the study."""
        from optuna.trial import create_trial

        self._learned.append((len(self._batches), news))
        for unit, values, attributes in zip(news.unit, news.values, news.attributes, strict=True):
            self._study.add_trial(
                create_trial(
                    values=values.tolist(),
                    params=_parameters(self._space, self._distributions, unit),
                    distributions=dict(self._distributions),
                    system_attrs=attributes,
                )
            )

    # -- state --------------------------------------------------------------------------------------------------

    def state(self) -> bytes:
        """Return what was proposed, told and learned: Optuna's objects, made again and told the same, are the same."""
        n = len(self._space.dimensions)
        state: Data = {
            "identity": self._identity,
            "seeds": self._seeds,
            "batches": [len(points) for points in self._batches],
            "points": np.concatenate([np.empty((0, n)), *self._batches]),
            "turns": self._turns.data(),
            "heard": [feedback_data(_joined(self._heard))] if self._heard else [],
            "learned": [{"before": before, **news.data()} for before, news in self._learned if len(news.values)],
            "outside": None if self._outside is None else self._outside.state(),
            "pending": [list(one) for one in self._pending],
        }
        return packed(state)

    def restore(self, state: bytes) -> None:
        """Go on from a state: all of it is proposed and told again.

        Raises:
            SamplerError: the state is of another sampler.
            RecordError: it is damaged, or no state at all.
        """
        record = read_packed(state, f"the state of {self._name}")
        if record.data.get("identity") != self._identity:
            raise SamplerError(f"the state is not one of {self._name} with these settings")
        if self._outside is not None and "outside" in record:
            self._outside.restore(record.part("outside"))
            self._pending = [(one[0], one[1], bool(one[2])) for one in record.matrix("pending", 3)]
        # Another machine may round elsewhere and propose other designs: then the study is made to propose these.
        if not self._again(record, forced=False):
            self._again(record, forced=True)

    def _again(self, record: Record, *, forced: bool) -> bool:
        """Repeat what a record tells, and return whether the study proposed the same."""
        n = len(self._space.dimensions)
        self._begin()
        sizes, turns = record.wholes("batches"), AskTellCounter.of(record, "turns")
        points, seeds = record.array("points", np.float64, sum(sizes), n), record.array("seeds", np.float64, None, n)
        heard = [feedback_of(one, self._n_objectives) for one in record.parts("heard")]
        feedback = _joined(heard) if heard else None
        if turns.asked > len(points) or turns.told != (0 if feedback is None else len(feedback)):
            raise record.wrong("turns", "what was proposed and told")
        learned = [
            (one.whole("before"), ForeignTrials.of(one, n, self._n_objectives)) for one in record.parts("learned")
        ]
        with quiet():
            self._put_first(points if forced else seeds)
            for number, size in enumerate(sizes):
                for _, news in [one for one in learned if one[0] == number]:
                    self._replay(news)
                self._ask_study(size)
                if not forced and not np.array_equal(self._points, points[self._start : self._start + size]):
                    return False
                self._turns.asked = min(self._start + size, turns.asked)
                if feedback is not None and self._start < turns.told:
                    self._hear(feedback.rows(self._start, min(self._start + size, turns.told)))
        self._seeds = seeds
        return True


def _joined(heard: Sequence[Feedback]) -> Feedback:
    """Return what was heard in pieces as one."""
    return Feedback(
        np.concatenate([feedback.ids for feedback in heard]),
        np.concatenate([feedback.objectives for feedback in heard]),
        np.concatenate([feedback.violations for feedback in heard]),
        np.concatenate([feedback.feasible for feedback in heard]),
    )


def _sharing_notes(outside: SharedStudy | None, shares: bool) -> list[str]:
    if outside is None:
        return []
    study = f"the study {outside.place.name} in {outside.place.url}"
    if not shares:
        return [f"written to {study}"]
    return [f"shared {study}; what is proposed depends on who came first: these rows cannot be repeated"]


def class_of(name: str, space: Space) -> str:
    """Return the class in ``optuna.samplers`` that a sampler's name means.

    Raises:
        MissingPackageError: it needs a package that is not installed.
        SpecError: Optuna has no such sampler.
    """
    kind = OPTUNA_SAMPLERS.get(name, name.removeprefix(OPTUNA_PREFIX))
    known = tuple(OPTUNA_SAMPLERS.values())
    if kind not in known:
        path = "search.sampler"
        raise SpecError([Issue(space.place_of(path), path, quoted(kind), one_of(known), suggest(kind, known))])
    for package in PACKAGES.get(kind, ()):
        if importlib.util.find_spec(package) is None:
            raise MissingPackageError(package, f"the sampler {name}")
    return kind


def distributions(space: Space, *, floats_only: bool) -> dict[str, BaseDistribution]:
    """Return Optuna's view of every dimension: names as categories, numbers as floats in the unit interval."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    def one(name: str) -> BaseDistribution:
        parameter = space.parameters[name]
        if parameter.names and len(parameter.alternatives) == 1 and not floats_only:
            return CategoricalDistribution(parameter.names)
        return FloatDistribution(0.0, 1.0)

    return {name: one(name) for name in space.dimensions}


def _point(space: Space, known: Mapping[str, BaseDistribution], parameters: Mapping[str, Any]) -> list[float]:
    """Return Optuna's parameters as a point of the unit cube."""
    point = []
    for name in known:
        value = parameters[name]
        names = space.parameters[name].names
        point.append((names.index(value) + 0.5) / len(names) if isinstance(value, str) else float(value))
    return point


def _parameters(space: Space, known: Mapping[str, BaseDistribution], point: FloatArray) -> dict[str, Any]:
    """Return a point of the unit cube as Optuna's parameters."""
    from optuna.distributions import CategoricalDistribution

    parameters: dict[str, Any] = {}
    for (name, distribution), coordinate in zip(known.items(), point, strict=True):
        names = space.parameters[name].names
        is_name = isinstance(distribution, CategoricalDistribution)
        parameters[name] = names[min(int(coordinate * len(names)), len(names) - 1)] if is_name else float(coordinate)
    return parameters


def _study(kind: str, seed: int, n_objectives: int, arguments: Mapping[str, Any], space: Space) -> Any:
    import optuna

    maker = getattr(optuna.samplers, kind)
    known = tuple(inspect.signature(maker).parameters)
    given = made_arguments(kind, known, arguments, seed=seed, space=space)
    seeded = {"seed": seed} if "seed" in known and "seed" not in given else {}
    with quiet():
        try:
            sampler = maker(**seeded, **given)
        except (TypeError, ValueError) as error:
            path = "search.options"
            raise SpecError([Issue(space.place_of(path), path, f"Optuna's {kind} refuses them: {error}")]) from None
        return optuna.create_study(directions=["minimize"] * n_objectives, sampler=sampler)
