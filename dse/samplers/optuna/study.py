"""A study outside of this process: what a run writes there, and what it learns from others.

A run searches on a study in its own memory, which makes it repeatable and resumable to the byte. Designs that are kept
on disk are then added to the study in the storage, never twice. Processes that join a study read, before each batch,
what the others have added; what they propose then depends on who came first.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from cost_models.table import FloatArray
from dse.errors import RunError
from dse.packing import Data, Record
from dse.plain import redacted
from dse.samplers.optuna.quiet import quiet
from dse.samplers.optuna.storage import append, open_storage
from dse.samplers.optuna.trials import parameter_distributions, trial_parameters, unit_points
from dse.space import Space

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

Direction: TypeAlias = Literal["minimize", "maximize"]

RUN, ID, FEASIBLE = "run", "id", "feasible"
"""Attributes of a trial: which run evaluated it, as which of its designs, and whether it meets every constraint."""

_RUN = re.compile("[0-9a-f]{32}")

SWEEP, QUESTION = "sweep", "question"
"""Attributes of a study: name and hash of what it searches."""

PRIVATE = ("tpe:", "cma:", "fixed_params")
"""Attributes that samplers note for themselves alone."""

CONSTRAINTS = "constraints:"
"""Before the names of attributes that hold a constraint of a trial."""


@dataclass(frozen=True)
class StudyConfig:
    """Which study, where, and of what.

    Attributes:
        url: address of the storage.
        name: name of the study.
        join: whether other processes may work on it too.
        sweep: name of the sweep.
        question: hash of everything in the sweep that decides what a design is worth.
        metrics: metric of each objective.
        directions: "minimize" or "maximize" for each.
    """

    url: str
    name: str
    join: bool
    sweep: str
    question: str
    metrics: tuple[str, ...]
    directions: tuple[Direction, ...]

    @property
    def signs(self) -> FloatArray:
        """What turns values into ones to be minimised, and back."""
        return np.array([1.0 if direction == "minimize" else -1.0 for direction in self.directions])


@dataclass(frozen=True)
class CompletedTrial:
    """A design that a run has evaluated.

    Attributes:
        id: its number in the run.
        unit: its point in the unit cube.
        values: objectives to be minimised; None where one is missing.
        feasible: whether it meets every constraint.
        attributes: what the sampler and the constraints have noted of it.
    """

    id: int
    unit: tuple[float, ...]
    values: tuple[float, ...] | None
    feasible: bool
    attributes: dict[str, Any]


@dataclass(frozen=True)
class ForeignTrials:
    """What others have added: points ``(n, dimensions)``, values ``(n, objectives)`` to be minimised, attributes."""

    unit: FloatArray
    values: FloatArray
    attributes: tuple[dict[str, Any], ...]

    def data(self) -> dict[str, Data]:
        """Return it as plain data (`dse.packing`)."""
        return {"unit": self.unit, "values": self.values, "attributes": list(self.attributes)}

    @classmethod
    def of(cls, record: Record, dimensions: int, n_objectives: int) -> ForeignTrials:
        """Return what `data` made plain data of.

        Raises:
            RecordError: it is something else.
        """
        values = record.array("values", np.float64, None, n_objectives)
        unit = record.array("unit", np.float64, len(values), dimensions)
        attributes = record.parts("attributes")
        if len(attributes) != len(values):
            raise record.wrong("attributes", f"of {len(values)} designs")
        return cls(unit, values, tuple(_constraints(one.data) for one in attributes))


def _constraints(attributes: Mapping[str, Any]) -> dict[str, float]:
    """Return the constraints among the attributes of a trial: others may be code that a sampler would run."""
    return {
        key: float(value)
        for key, value in attributes.items()
        if key.startswith(CONSTRAINTS) and isinstance(value, int | float)
    }


class SharedStudy:
    """The study in a storage.

    Args:
        place: which one.
        space: the space of its designs.
    """

    def __init__(self, place: StudyConfig, space: Space) -> None:
        self.place, self._space = place, space
        self.run = uuid.uuid4().hex
        self._distributions = parameter_distributions(space)
        self._study: Any = None
        self._storage: Any = None
        self._seen: set[int] = set()

    def connect(self, told: int) -> set[int]:
        """Open the study, or make it, and return which of this run's designs it holds already.

        Args:
            told: designs that this run knows.

        Raises:
            RunError: the storage cannot be used, or the study is not one that this run may write to.
        """
        import optuna

        place = self.place
        self._storage = open_storage(place.url)
        with quiet():
            try:
                self._study = optuna.create_study(
                    storage=self._storage, study_name=place.name, directions=list(place.directions)
                )
            except optuna.exceptions.DuplicatedStudyError:
                self._study = optuna.load_study(storage=self._storage, study_name=place.name)
            trials = self._study.get_trials(deepcopy=False)
            own = {int(trial.user_attrs[ID]) for trial in trials if trial.user_attrs.get(RUN) == self.run}
            self._check(bool(trials), bool(own))
            if own and max(own) >= told:
                raise RunError(f"{self._words}: holds designs that this run does not know: it was continued elsewhere")
            if not self._study.user_attrs:
                self._study.set_user_attr(SWEEP, place.sweep)
                self._study.set_user_attr(QUESTION, place.question)
                self._study.set_metric_names(list(place.metrics))
        return own

    @property
    def _words(self) -> str:
        return f"the study {self.place.name} in {redacted(self.place.url)}"

    def _check(self, has_trials: bool, is_ours: bool) -> None:
        place, study = self.place, self._study
        directions = tuple(direction.name.lower() for direction in study.directions)
        if directions != place.directions:
            raise RunError(f"{self._words}: its directions are {', '.join(directions)}; another name: --study NAME")
        question = study.user_attrs.get(QUESTION)
        if question is None and has_trials:
            raise RunError(f"{self._words}: was not made by this program; another name: --study NAME")
        if question not in (None, place.question):
            raise RunError(f"{self._words}: is of another sweep; another name: --study NAME")
        if has_trials and not is_ours and not place.join:
            raise RunError(f"{self._words}: holds trials already; take part with --join, or --study NAME for another")

    def publish(self, designs: Sequence[CompletedTrial]) -> None:
        """Add designs of this run.

        Raises:
            RunError: the storage cannot be written.
        """
        if not designs:
            return
        unit = np.array([one.unit for one in designs]).reshape(len(designs), -1)
        parameters = trial_parameters(self._distributions, self._space.decode(unit))
        trials = [self._trial(one, values) for one, values in zip(designs, parameters, strict=True)]
        append(self._study, self._storage, trials)

    def _trial(self, told: CompletedTrial, parameters: dict[str, Any]) -> FrozenTrial:
        from optuna.trial import TrialState, create_trial

        values = None if told.values is None else (self.place.signs * np.array(told.values)).tolist()
        with quiet():
            return create_trial(
                state=TrialState.FAIL if values is None else TrialState.COMPLETE,
                values=values,
                params=parameters,
                distributions={name: self._distributions[name] for name in parameters},
                user_attrs={RUN: self.run, ID: told.id, FEASIBLE: told.feasible},
                system_attrs={key: value for key, value in told.attributes.items() if not key.startswith(PRIVATE)},
            )

    def news(self) -> ForeignTrials:
        """Return what others have added since the last time.

        Raises:
            RunError: the storage cannot be read.
        """
        from optuna.trial import TrialState

        complete = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        fresh = [t for t in complete if t.number not in self._seen and t.user_attrs.get(RUN) != self.run]
        self._seen.update(trial.number for trial in complete)
        values = np.array([trial.values for trial in fresh]).reshape(len(fresh), len(self.place.directions))
        unit = unit_points(self._space, [trial.params for trial in fresh]) if fresh else np.empty((0, 0))
        return ForeignTrials(
            unit, values * self.place.signs, tuple(_constraints(trial.system_attrs) for trial in fresh)
        )

    # -- state --------------------------------------------------------------------------------------------------

    def state(self) -> Data:
        """Return which run it is, and what it has seen of others."""
        return {"run": self.run, "seen": sorted(self._seen)}

    def restore(self, record: Record) -> None:
        """Go on as the run of a state.

        Raises:
            RecordError: it is something else.
        """
        run = record.text("run")
        if not _RUN.fullmatch(run):
            raise record.wrong("run", "32 hexadecimal digits")
        self.run, self._seen = run, set(record.wholes("seen"))
