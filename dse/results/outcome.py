"""What a run found, in memory: filled by the loop, written by the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dse.results.picks import Pick
from dse.results.rows import Rows
from dse.results.statistics.margins import MarginCount
from dse.results.statistics.records import AxisValueStats, ConstraintCount

Status = Literal["complete", "interrupted"]


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes:
        evaluated: designs evaluated so far.
        planned: designs that the sampler will propose; None where it cannot tell.
        feasible: those that meet every constraint.
        front: size of the front.
        hypervolume: volume that the front dominates below the worst corner of the first feasible designs, each
            objective scaled to the range of those; NaN before there are any.
        seconds: time since the start.
    """

    evaluated: int
    planned: int | None
    feasible: int
    front: int
    hypervolume: float
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """Everything that a run keeps.

    Attributes:
        status: "interrupted" where it was stopped before its sampler was done.
        planned: designs that the sampler would propose; None where it could not tell.
        evaluated: designs searched.
        decided: those of them that were found infeasible by constraints of few parameters, without evaluation.
        feasible: those that meet every constraint.
        front: the feasible non-dominated designs in the order of their ids; None where there are none.
        misses: the infeasible designs with the least summed violation, nearest first; None where there are none.
        sampled: works out every metric of the sample, which takes longer than all the rest (see `sample`).
        sample_ids: the designs of the sample.
        stride: 1 where the sample holds every design.
        picks: the designs to look at first.
        top: by objective the feasible designs with the best values of it, best first.
        constraints: what each constraint did.
        margins: how many designs have a margin in each interval, by constraint.
        values: which values of each axis survive.
        baselines: metrics of each baseline; NaN where missing.
        history: progress after every batch.
        seconds: time by part: "sample", "evaluate", "keep", "total".
        notes: what the sampler has to say: roundings, limits, choices made.
        parameters_read: paths of the library parameters that the models asked for.
    """

    status: Status
    planned: int | None
    evaluated: int
    decided: int
    feasible: int
    front: Rows | None
    misses: Rows | None
    sampled: Callable[[], Rows | None]
    sample_ids: NDArray[np.int64]
    stride: int
    picks: tuple[Pick, ...]
    top: Mapping[str, Rows]
    constraints: tuple[ConstraintCount, ...]
    margins: tuple[MarginCount, ...]
    values: tuple[AxisValueStats, ...]
    baselines: Mapping[str, Mapping[str, float]]
    history: tuple[Progress, ...]
    seconds: Mapping[str, float]
    notes: tuple[str, ...]
    parameters_read: frozenset[str]

    @cached_property
    def sample(self) -> Rows | None:
        """Every `stride`-th design; None where nothing was evaluated."""
        return self.sampled()
