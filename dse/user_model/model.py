"""A user's model as columns: the same shape as the built-in evaluation, however slow what stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from cost_models.table import INACTIVE, Choice, Designs, FloatArray, Table
from dse.errors import Issue, RunError, SpecError
from dse.sweep import Spec
from dse.sweep.user_model import ModelSpec
from dse.user_model.answers import Answer
from dse.user_model.cache import AnswerCache, key_of
from dse.user_model.calls import Row, answered, issue_of

CALLS_AT_ONCE = 32
"""Calls after which it is said how it goes."""

MAX_FAILURES = 8
"""Designs after which a model that has failed for every one is taken to be wrong as a whole."""

Tasks: TypeAlias = Sequence[tuple[ModelSpec, Sequence[Row]]]


Ask: TypeAlias = Callable[[ModelSpec, Sequence[Row]], list[Answer]]
Map: TypeAlias = Callable[[Ask, Tasks], Iterator[list[Answer]]]
"""Makes calls, several at a time, and yields their answers in order."""


@dataclass(frozen=True)
class Modelled:
    """What a model says of a table of designs.

    Attributes:
        metrics: its metrics, NaN where it has no answer.
        failed: why there is none, inactive where there is one; None where it was not asked.
    """

    metrics: Mapping[str, FloatArray]
    failed: Choice | None


class UserModel:
    """The model of a sweep.

    Args:
        spec: the sweep; it has a model.

    Attributes:
        map: how calls are made; one after the other unless set otherwise.
        memory: every answer.
    """

    def __init__(self, spec: Spec) -> None:
        assert spec.model is not None
        self._spec, self.model = spec, spec.model
        self.memory = AnswerCache()
        self.map: Map = _one_by_one

    @property
    def rows_at_once(self) -> int:
        """Designs after which it is said how it goes."""
        return CALLS_AT_ONCE * (self.model.batch or 1)

    def check(self) -> None:
        """Refuse a model that cannot be called.

        Raises:
            SpecError: there is no such module, function or program.
        """
        issue = issue_of(self.model)
        if issue:
            path = "model.function" if self.model.function else "model.command"
            raise SpecError([Issue(self._spec.place_of(path), path, issue)])

    def keep_in(self, file: Path) -> None:
        """Keep every answer in a file as it comes, and take over those that it holds."""
        self.memory.keep_in(file)

    def __call__(self, designs: Designs, inputs: Mapping[str, FloatArray], rows: int) -> Modelled:
        """Return the metrics of designs; none that is known already is asked about again.

        Args:
            designs: parameters, with defaults filled in.
            inputs: built-in metrics that the model gets.
            rows: number of designs.

        Raises:
            RunError: the model has failed for each of the first designs.
        """
        parameters = Table.broadcast(designs, rows).to_settings()
        keys = [key_of(row) for row in parameters]
        given = Table.broadcast(inputs, rows).to_settings() if inputs else [{} for _ in range(rows)]
        fresh = {key: row for row, key in enumerate(keys) if key not in self.memory}
        requested = [{**parameters[row], **given[row]} for row in fresh.values()]
        self._ask(list(fresh), requested)
        return self._columns([self.memory[key] for key in keys])

    def _ask(self, keys: Sequence[str], rows: Sequence[Row]) -> None:
        size = self.model.batch or 1
        # A worker may have been started elsewhere: what this process calls "." is another folder to it.
        model = self.model.model_copy(update={"folder": str(Path(self.model.folder).resolve())})
        tasks = [(model, rows[first : first + size]) for first in range(0, len(rows), size)]
        done = 0
        for answers in self.map(answered, tasks):
            self.memory.add(dict(zip(keys[done : done + len(answers)], answers, strict=True)))
            done += len(answers)
            reason = self.memory.all_failed(MAX_FAILURES)
            if reason:
                what = f"failed for each of the first {len(self.memory)} designs, at last because it {reason}"
                raise RunError(f"the model {self.model.words} {what}")

    def _columns(self, answers: Sequence[Answer]) -> Modelled:
        nothing = dict.fromkeys(self.model.metrics, np.nan)
        result = [nothing if answer.values is None else answer.values for answer in answers]
        metrics = {name: np.array([values[name] for values in result], dtype=np.float64) for name in self.model.metrics}
        reasons = tuple(dict.fromkeys(answer.reason for answer in answers if answer.values is None))
        place = {reason: code for code, reason in enumerate(reasons)}
        codes = [INACTIVE if answer.values is not None else place[answer.reason] for answer in answers]
        return Modelled(metrics, Choice(reasons, np.array(codes, dtype=np.intp)))


def _one_by_one(function: Ask, tasks: Tasks) -> Iterator[list[Answer]]:
    return (function(*task) for task in tasks)
