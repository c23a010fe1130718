"""A finished run as a study that Optuna's dashboard and plots open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from cost_models.table import column_of, evenly
from dse.errors import RunError
from dse.results.rows import MARGIN_PREFIX
from dse.results.store import StoredRun
from dse.space import Space

if TYPE_CHECKING:
    import pandas as pd

MAX_TRIALS = 10_000
"""Designs that a study gets unless more are asked for: the dashboard is made for thousands."""


@dataclass(frozen=True)
class ExportedStudy:
    """What was written.

    Attributes:
        url: the storage.
        name: the study.
        trials: designs in it.
        kept: designs that the run keeps.
        front: designs of the front among the trials.
    """

    url: str
    name: str
    trials: int
    kept: int
    front: int


def export_study(
    run: StoredRun, url: str, *, name: str | None = None, at_most: int = MAX_TRIALS, every_metric: bool = False
) -> ExportedStudy:
    """Write the designs of a run to a study of Optuna's, one trial each.

    Its directions and values are those of the objectives; every limit and constraint is a constraint of the trial, at
    most 0 where it is met; ``run``, ``id``, ``feasible``, ``pareto`` and the metrics that the sweep asks for are user
    attributes. A design without a value of every objective is a failed trial.

    Args:
        run: the run.
        url: address of the storage (see `dse.sweep.storage_url`).
        name: name of the study; the name of the sweep and of the run directory where None.
        at_most: designs to write: the front, and of the rest that the run keeps an even choice by id.
        every_metric: whether every metric becomes an attribute, not just those of the constraints.

    Raises:
        RunError: there is a study of that name, or the storage cannot be written.
        MissingPackageError: the driver of the database is not installed.
    """
    from dse.samplers import study_place_of
    from dse.samplers.optuna.export import write_study

    spec = run.spec
    if not len(run.designs):
        raise RunError(f"{run.path}: has no designs to export")
    table = _chosen(run.designs, at_most)
    place = study_place_of(spec, url, name=name or f"{run.name}-{run.path.name}")
    about = {"run": str(run.path.name), "sampler": run.manifest["sampler"], "seed": run.manifest["seed"]}
    space = Space(spec)
    write_study(place, space, _exported(run, space, table, every_metric=every_metric), about)
    return ExportedStudy(url, place.name, len(table), len(run.designs), int(table["pareto"].sum()))


def _chosen(table: pd.DataFrame, at_most: int) -> pd.DataFrame:
    """Return at most so many designs: the front, and of the rest an even choice by id."""
    front = table.index[table["pareto"].astype(bool)]
    rest = table.index[~table["pareto"].astype(bool)]
    front = front[evenly(len(front), at_most)]
    rest = rest[evenly(len(rest), at_most - len(front))]
    return table.loc[[*front, *rest]].sort_values("id")


def _exported(run: StoredRun, space: Space, table: pd.DataFrame, *, every_metric: bool) -> Any:
    from dse.samplers.optuna.export import Exported

    spec = run.spec
    objectives = [objective.metric for objective in spec.objectives]
    margins = [str(name) for name in table if str(name).startswith(MARGIN_PREFIX)]
    parameters = set(space.parameters)
    named = [constraint.metric for constraint in spec.constraints]
    others = {"id", "feasible", "violation", "pareto", "sampled", *margins, *parameters, *objectives}
    metrics = [str(name) for name in table if name not in others] if every_metric else dict.fromkeys(named)
    shown = [name for name in metrics if name in table and name not in objectives]
    attributes = [
        _attributes(run, row, shown) for row in table[["id", "feasible", "pareto", *shown]].to_dict("records")
    ]
    return Exported(
        designs={name: column_of(table[name], p.names) for name, p in space.parameters.items() if name in table},
        values=table[objectives].to_numpy(dtype=np.float64),
        constraints={name.removeprefix(MARGIN_PREFIX): -table[name].to_numpy(dtype=np.float64) for name in margins},
        attributes=attributes,
        finished=datetime.fromisoformat(run.manifest["finished"]),
    )


def _attributes(run: StoredRun, row: Mapping[Any, Any], shown: list[str]) -> dict[str, Any]:
    known = {"run": run.path.name, "id": int(row["id"])}
    flags = {name: bool(row[name]) for name in ("feasible", "pareto")}
    values = {name: row[name] for name in shown}
    return known | flags | {k: v if isinstance(v, str) else float(v) for k, v in values.items() if v == v}
