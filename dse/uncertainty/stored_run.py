"""A finished run under Monte Carlo samples.

Its front and its least infeasible designs, and what moves one of its picks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from cost_models.table import evenly
from dse.errors import RunError
from dse.parallelism import Parallelism
from dse.results.archive import LEAST_INFEASIBLE
from dse.results.picks import default_pick
from dse.results.store import StoredRun, designs_of
from dse.sweep import Spec
from dse.sweep.library_additions import library_of
from dse.uncertainty.files import RobustRun
from dse.uncertainty.intervals import DRAWS, Counted, parameters_of, robustness
from dse.uncertainty.monte_carlo import spreads_of
from dse.uncertainty.sensitivity import swings_of, variance_fractions

if TYPE_CHECKING:
    import pandas as pd

MAX_DESIGNS = 1000
"""Designs of the front that meet the draws unless told otherwise."""


def robust_run(
    run: StoredRun,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    at_most: int = MAX_DESIGNS,
    pick: str | None = None,
    misses: bool = True,
    fractions: bool = True,
    progress: Counted | None = None,
    spread: Parallelism | None = None,
) -> RobustRun:
    """Re-evaluate the front and the least infeasible designs of a run under Monte Carlo samples.

    Of a front of more than `at_most` designs, the picks and designs evenly along the first objective are taken.

    Args:
        run: the run.
        draws: number of Monte Carlo samples.
        seed: their seed.
        at_most: designs of the front to take.
        pick: name of the pick whose inputs are analysed; the knee, or else the first, where None.
        misses: whether the least infeasible designs meet the draws too.
        fractions: whether the shares of the variance of the inputs are estimated, NaN otherwise.
        progress: told after every few designs.
        spread: where designs are evaluated; in this process where None.

    Raises:
        RunError: the run kept no design, or has no such pick.
    """
    named = _picks(run)
    subject = _subject(run, pick)
    front = _thinned(run.front, run.spec.objectives[0].metric, at_most, named)
    table = _joined(front, _nearest_misses(run)) if misses or not len(front) else front
    ids = [int(one) for one in table["id"]]
    designs = designs_of(run.spec, table).to_settings()
    result = robustness(run.spec, designs, draws=draws, seed=seed, progress=progress, spread=spread)
    design = designs[ids.index(subject[0])] if subject[0] in ids else run.settings(subject[0])
    spreads = spreads_of(parameters_of(run.spec, [design]), run.spec.parameters, library_of(run.spec.library))
    swings = swings_of(run.spec, design, spreads, watched(run.spec))
    if fractions:
        swings = variance_fractions(run.spec, design, swings, seed=seed)
    return RobustRun(
        ids=ids,
        on_front=[place < len(front) for place in range(len(ids))],
        names=named,
        found=result,
        subject=subject,
        swings=swings,
    )


def watched(spec: Spec) -> list[str]:
    """Return the metrics that a sweep asks for, objectives first, each once."""
    requested = [one.metric for one in spec.objectives] + [one.metric for one in spec.constraints]
    return list(dict.fromkeys(requested))


def _picks(run: StoredRun) -> dict[int, tuple[str, ...]]:
    named: dict[int, tuple[str, ...]] = {}
    for one in run.picks:
        named[int(one["id"])] = (*named.get(int(one["id"]), ()), str(one["name"]))
    return named


def _subject(run: StoredRun, pick: str | None) -> tuple[int, str]:
    names = {str(one["name"]): int(one["id"]) for one in run.picks}
    if not names:
        raise RunError(f"{run.path}: has no picks: no design was kept")
    if pick is None:
        pick = default_pick(names)
    if pick is None or pick not in names:
        raise RunError(f"{run.path}: {pick!r} is not one of its picks: {', '.join(names)}")
    return names[pick], pick


def _thinned(front: pd.DataFrame, first: str, at_most: int, named: Mapping[int, object]) -> pd.DataFrame:
    if len(front) <= at_most:
        return front
    is_pick = front["id"].isin(list(named)).to_numpy()
    others = np.flatnonzero(~is_pick)
    others = others[np.argsort(front[first].to_numpy(dtype=np.float64)[others], kind="stable")]
    wanted = max(at_most - int(is_pick.sum()), 0)
    spread = others[evenly(len(others), wanted)]
    return front.iloc[np.sort(np.concatenate([np.flatnonzero(is_pick), spread]))].reset_index(drop=True)


def _nearest_misses(run: StoredRun) -> pd.DataFrame:
    designs = run.designs
    missed = np.flatnonzero(~designs["feasible"].to_numpy(dtype=bool))
    order = np.lexsort((designs["id"].to_numpy()[missed], designs["violation"].to_numpy()[missed]))
    return designs.iloc[missed[order[:LEAST_INFEASIBLE]]]


def _joined(front: pd.DataFrame, misses: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([front, misses], ignore_index=True) if len(front) else misses.reset_index(drop=True)
