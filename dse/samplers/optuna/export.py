"""Evaluated designs as a finished study of Optuna's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from cost_models.table import Designs, FloatArray
from dse.errors import RunError
from dse.samplers.optuna.quiet import quiet
from dse.samplers.optuna.storage import append, open_storage
from dse.samplers.optuna.study import QUESTION, SWEEP, StudyConfig
from dse.samplers.optuna.trials import parameter_distributions, trial_parameters
from dse.space import Space

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

BATCH = 2000
"""Trials that are written in one transaction."""


@dataclass(frozen=True)
class Exported:
    """Evaluated designs.

    Attributes:
        designs: their columns.
        values: ``(n, objectives)`` in the metrics' own direction; a row that lacks one becomes a failed trial.
        constraints: label to ``(n,)``, at most 0 where it is met.
        attributes: what else is known of each.
        finished: when they had been evaluated.
    """

    designs: Designs
    values: FloatArray
    constraints: Mapping[str, FloatArray]
    attributes: Sequence[Mapping[str, Any]]
    finished: datetime

    def __len__(self) -> int:
        return len(self.values)


def write_study(place: StudyConfig, space: Space, rows: Exported, attributes: Mapping[str, Any]) -> None:
    """Make a study of evaluated designs.

    Args:
        place: where; there must be no study of that name.
        space: the space of the designs.
        rows: the designs.
        attributes: what is known of the study as a whole.

    Raises:
        RunError: there is a study of that name, or the storage cannot be written.
    """
    import optuna

    storage = open_storage(place.url)
    with quiet():
        try:
            study = optuna.create_study(
                storage=storage, study_name=place.name, directions=list(place.directions), load_if_exists=False
            )
        except optuna.exceptions.DuplicatedStudyError:
            where = f"{place.url}: holds a study {place.name} already"
            raise RunError(f"{where}; another name: --study NAME") from None
        study.set_metric_names(list(place.metrics))
    for key, value in {SWEEP: place.sweep, QUESTION: place.question, **attributes}.items():
        study.set_user_attr(key, value)
    for trials in _batches(space, rows):
        append(study, storage, trials)


def _batches(space: Space, rows: Exported) -> list[list[FrozenTrial]]:
    from optuna.trial import TrialState, create_trial

    distributions = parameter_distributions(space)
    trials = []
    for row, parameters in enumerate(trial_parameters(distributions, rows.designs)):
        known = bool(np.isfinite(rows.values[row]).all())
        with quiet():
            trial = create_trial(
                state=TrialState.COMPLETE if known else TrialState.FAIL,
                values=rows.values[row].tolist() if known else None,
                params=parameters,
                distributions={name: distributions[name] for name in parameters},
                user_attrs=dict(rows.attributes[row]),
                constraints={label: float(column[row]) for label, column in rows.constraints.items()},
            )
        trial.datetime_start = trial.datetime_complete = rows.finished
        trials.append(trial)
    return [trials[first : first + BATCH] for first in range(0, len(trials), BATCH)]
