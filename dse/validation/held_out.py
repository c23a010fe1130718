"""Scores for what was not seen: a chip left out of its stack's fit, a source left out of the generic stack's fit."""

from __future__ import annotations

import functools
from typing import cast

import pandas as pd

from cost_models.library import Library
from cost_models.library.technology import Technology
from cost_models.table import Choice
from dse.validation import power
from dse.validation.requests import predict
from dse.validation.setups import generic_stack

FOLDS = "stack_folds.csv"
"""Constants refitted without one chip or one source, written by ``studies/fits/stacks.py`` into the library."""


POWER_FOLDS = "power_folds.csv"
"""Energy constants refitted without one chip or one source, written by ``studies/fits/power.py`` into the library."""


@functools.lru_cache(maxsize=8)
def _power_folds(library: Library) -> dict[tuple[str, str], dict[str, float]]:
    table = pd.read_csv(library.data_file(POWER_FOLDS))
    return {
        (str(kind), str(left_out)): {
            str(path): float(value) for path, value in zip(part["parameter"], part["value"], strict=True)
        }
        for (kind, left_out), part in table.groupby(["kind", "left_out"])
    }


@functools.lru_cache(maxsize=8)
def _folds(library: Library) -> dict[tuple[str, str, str], dict[str, float]]:
    table = pd.read_csv(library.data_file(FOLDS))
    return {
        (str(kind), str(left_out), str(stack)): {
            f"stacks.{stack}.{name}": float(value) for name, value in zip(part["parameter"], part["value"], strict=True)
        }
        for (kind, left_out, stack), part in table.groupby(["kind", "left_out", "stack"])
    }


def unseen_chips(rows: pd.DataFrame, technology: Technology) -> pd.DataFrame:
    """Return rows of known software, each predicted by constants fitted without any row of its chip.

    Rows whose stack was fitted on their chip alone are left out: without it the stack would be unknown.
    """
    return _predicted(rows, rows["stack"], "chip", rows["chip"], technology)


def unseen_sources(rows: pd.DataFrame, technology: Technology) -> pd.DataFrame:
    """Return rows predicted by the generic stack of their chip's family, fitted without any row of their source."""
    generic = rows["chip"].map({name: generic_stack(name, technology.library) for name in rows["chip"].unique()})
    return _predicted(rows, generic, "source", rows["source"], technology)


def unseen_power(rows: pd.DataFrame, kind: str, technology: Technology) -> pd.DataFrame:
    """Return served energy rows, each predicted by energy constants fitted without its chip or its source.

    Rows of chips or sources that the fit never saw take the constants as they are.

    Args:
        rows: prepared rows with ``stack``.
        kind: "chip" or "source_id".
        technology: parameters.
    """
    parts = []
    for (left_out, _), part in rows.groupby([kind, "model"], sort=False):
        reported = _power_folds(technology.library).get((kind, str(left_out)), {})
        made = power.served_power(part, technology.with_overrides(reported))
        parts.append(part.assign(**{name: made[name] for name in ("predicted_s", "predicted_j", "predicted_w")}))
    return pd.concat(parts) if parts else rows.iloc[:0]


def _predicted(
    rows: pd.DataFrame, stack: pd.Series, kind: str, left_out: pd.Series, technology: Technology
) -> pd.DataFrame:
    """Return the rows that have a fold, predicted with its constants; those without one keep no place."""
    folds, parts = _folds(technology.library), []
    for pair, index in rows.groupby([stack, left_out], sort=False).groups.items():
        name, out = cast("tuple[str, str]", pair)
        values = folds.get((kind, str(out), str(name)))
        if values is None and kind == "source":
            values = {}
        if values is None:
            continue
        part = rows.loc[index]
        choice = Choice.same(str(name), len(part))
        made = predict(part, technology.with_overrides(values), stack=choice, bounds=False)
        parts.append(part.assign(predicted_s=made["predicted_s"], stack=name))
    return pd.concat(parts) if parts else rows.iloc[:0]
