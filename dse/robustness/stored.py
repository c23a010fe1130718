"""A finished run under joint draws: its front and its nearest misses, and what moves one of its picks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from dse.errors import RunError
from dse.results.keeper import NEAREST_MISSES
from dse.results.picks import Setting
from dse.results.store import StoredRun
from dse.robustness.draws import spreads_of
from dse.robustness.files import RobustRun
from dse.robustness.intervals import DRAWS, Counted, figures_of, robustness
from dse.robustness.sensitivity import swings_of, variance_shares
from dse.spec import FixedSpec, Spec

if TYPE_CHECKING:
    import pandas as pd

MOST_DESIGNS = 1000
"""Designs of the front that meet the draws unless told otherwise."""

DEFAULT_PICK = "knee"
"""The pick whose inputs are analysed where none is named."""


def robust_run(
    run: StoredRun,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    at_most: int = MOST_DESIGNS,
    pick: str | None = None,
    progress: Counted | None = None,
) -> RobustRun:
    """Re-evaluate the front and the nearest misses of a run under joint draws.

    Of a front of more than `at_most` designs, the picks and designs evenly along the first objective are taken.

    Args:
        run: the run.
        draws: number of joint draws.
        seed: their seed.
        at_most: designs of the front to take.
        pick: name of the pick whose inputs are analysed; the knee, or else the first, where None.
        progress: told after every design.

    Raises:
        RunError: the run kept no design, or has no such pick.
    """
    named = _picks(run)
    subject = _subject(run, pick)
    front = _thinned(run.front, run.spec.objectives[0].metric, at_most, named)
    table = _joined(front, _nearest_misses(run))
    ids = [int(one) for one in table["id"]]
    designs = [settings_of_row(run.spec, row) for _, row in table.iterrows()]
    found = robustness(run.spec, designs, draws=draws, seed=seed, progress=progress)
    design = designs[ids.index(subject[0])] if subject[0] in ids else settings_of_row(run.spec, run.row(subject[0]))
    spreads = spreads_of(figures_of(run.spec, [design]), run.spec.figures)
    swings = variance_shares(run.spec, design, swings_of(run.spec, design, spreads, watched(run.spec)), seed=seed)
    return RobustRun(
        ids=ids,
        on_front=[place < len(front) for place in range(len(ids))],
        names=named,
        found=found,
        subject=subject,
        swings=swings,
    )


def watched(spec: Spec) -> list[str]:
    """Return the metrics that a sweep asks for, objectives first, each once."""
    asked = [one.metric for one in spec.objectives] + [one.metric for one in spec.constraints]
    return list(dict.fromkeys(asked))


def settings_of_row(spec: Spec, row: pd.Series) -> dict[str, Setting]:
    """Return the design of a row of a run's table, parameter to value; what does not apply is left out."""
    settings: dict[str, Setting] = {}
    for name, entries in spec.space.items():
        # What every design shares has no column of its own.
        value = row[name] if name in row else entries[0].value if isinstance(entries[0], FixedSpec) else None
        if isinstance(value, str):
            settings[name] = value
        elif value is not None and value == value:
            settings[name] = float(value)
    return settings


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
        pick = DEFAULT_PICK if DEFAULT_PICK in names else next(iter(names))
    if pick not in names:
        raise RunError(f"{run.path}: {pick!r} is not one of its picks: {', '.join(names)}")
    return names[pick], pick


def _thinned(front: pd.DataFrame, first: str, at_most: int, named: Mapping[int, object]) -> pd.DataFrame:
    if len(front) <= at_most:
        return front
    is_pick = front["id"].isin(list(named)).to_numpy()
    others = np.flatnonzero(~is_pick)
    others = others[np.argsort(front[first].to_numpy(dtype=np.float64)[others], kind="stable")]
    wanted = max(at_most - int(is_pick.sum()), 0)
    spread = (
        others[np.unique(np.linspace(0, len(others) - 1, wanted).round().astype(np.intp))] if wanted else others[:0]
    )
    return front.iloc[np.sort(np.concatenate([np.flatnonzero(is_pick), spread]))].reset_index(drop=True)


def _nearest_misses(run: StoredRun) -> pd.DataFrame:
    designs = run.designs
    missed = designs[~designs["feasible"].astype(bool)]
    return missed.sort_values(["violation", "id"], kind="stable").head(NEAREST_MISSES)


def _joined(front: pd.DataFrame, misses: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([front, misses], ignore_index=True) if len(front) else misses.reset_index(drop=True)
