"""Blocks of the page on accuracy that show the scores of `dse validate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cost_models.library import Library
from dse.time_intervals import fitted_constants
from dse.validation.results import ScoreTable, Validation
from dse.validation.score import QUANTITY_NAMES, collapse, peer_rows, score, static_rows
from dse.validation.score_tables import JUDGED_ROWS
from studies.fits import intervals
from studies.pages import table

Lines = list[str]


def percent(value: object, digits: int = 1) -> str:
    """Return a fraction in per cent, "" where there is none."""
    number = float(str(value))
    return "" if np.isnan(number) else f"{number * 100:.{digits}f} %"


def bias(value: object) -> str:
    """Return predicted over measured with two digits behind the point."""
    return f"{float(str(value)):.2f}"


def of(frame: pd.DataFrame, columns: Sequence[tuple[str, str]], *, labels: Sequence[str] = ()) -> Lines:
    """Return a table of scores.

    Args:
        frame: of a `ScoreTable`; the levels of its index come first.
        columns: (column, heading): errors and shares become per cent, biases two digits, all others stand as they are.
        labels: headings of the levels of the index; their names where empty.
    """
    shown = {"n": str, "sources": str, "bias": bias}

    def line(label: object, cells: pd.Series) -> list[str]:
        names = label if isinstance(label, tuple) else (label,)
        return [str(name) for name in names] + [
            shown.get(column, percent)(int(cells[column]) if column in ("n", "sources") else cells[column])
            for column, _ in columns
        ]

    heads = [*(labels or [str(name) for name in frame.index.names]), *(heading for _, heading in columns)]
    return table(heads, [line(label, cells) for label, cells in frame.iterrows()])


ERROR, BIAS, WORST = ("mdape", "error"), ("bias", "bias"), ("p90", "P90")
ROWS, SOURCES, CONSTANT = ("n", "rows"), ("sources", "sources"), ("baseline_mdape", "roofline x one constant")


def score_blocks(made: Validation, library: Library) -> dict[str, Lines]:
    """Return the blocks that show tables of `dse validate` on all shipped rows."""
    found: Mapping[str, ScoreTable] = {one.key: one for one in made.tables}
    frames = {key: one.frame for key, one in found.items()}
    regimes = [SOURCES, ROWS, ERROR, BIAS, WORST]
    files = frames["files"].astype(str).to_numpy().tolist()
    return {
        "files": table(("file", "rows", "predicted", "not predicted"), files),
        "static": of(frames["static_headline"], [*regimes, CONSTANT], labels=[""]),
        **{key: _unseen(found[key], regimes) for key in ("unseen_chip", "unseen_source")},
        "static_sources": of(frames["static_sources"], [ROWS, ERROR, BIAS, WORST, CONSTANT], labels=["", "source"]),
        "intervals": table(
            ("", "rows", "inside", "median P90/P10"),
            [
                (name, int(cells["n"]), percent(cells["within"]), f"{cells['width']:.2f}")
                for name, cells in frames["intervals_unseen_chip"].iterrows()
            ],
        ),
        "interval_trials": _trials(),
        "peers": _peers(frames["peers"], made.internal, library),
        "weight_gain": _gains(found["weight_gain"]),
        "weight_only": _kernels(frames["weight_only"]),
        "sparse": _kernels(frames["sparse"]),
        "constants": _constants(library),
        "served": of(frames["served"], [ROWS, ERROR, BIAS], labels=["", "source", "stack"]),
        "mlperf": _mlperf(frames["served_chips"]),
        "operators": of(frames["operators"], [ROWS, ERROR, BIAS, WORST], labels=["kind"]),
        **_energy(found),
        "baseline_chips": _chips(made.internal),
    }  # fmt: skip


def _unseen(one: ScoreTable, regimes: Sequence[tuple[str, str]]) -> Lines:
    return [*of(one.frame, [*regimes, ("target", "target")], labels=[""]), "", f"By source: {one.note}."]


def _trials() -> Lines:
    frame = intervals.trials()
    return table([str(name) for name in frame.columns], frame.astype(str).to_numpy().tolist())


def _peers(frame: pd.DataFrame, rows: pd.DataFrame, library: Library) -> Lines:
    usable = rows[rows["reason"] == ""]
    chosen = usable[peer_rows(usable, library)]
    names = list(QUANTITY_NAMES.values())
    lines = [
        (one["predictor"], *(f"{one[f'error {name}'] * 100:.1f} ({one[f'bias {name}']:.2f})" for name in names))
        for _, one in frame.iterrows()
    ]
    counts = f"{len(chosen)} rows, {len(collapse(chosen))} without repeats."
    return [counts, "", *table(("predictor", *names), lines)]


def _gains(one: ScoreTable) -> Lines:
    frame = one.frame.rename(index=QUANTITY_NAMES)
    rows = [
        (*label, int(cells["pairs"]), *(f"{cells[name]:.2f}" for name in ("measured_gain", "predicted_gain")),
         percent(cells["error"]))
        for label, cells in frame.iterrows()
    ]  # fmt: skip
    return [
        *table(("source", "", "pairs", "measured", "predicted", "error"), rows),
        "", f"{one.note.capitalize()}.",
    ]  # fmt: skip


def _kernels(frame: pd.DataFrame) -> Lines:
    """Return kernels on compressed weights: names of those that were not fitted in italics, where they turn last."""
    turn, first = frame.columns[-2:]

    def line(one: pd.Series) -> tuple[object, ...]:
        name = one["kernel"] if one["constants"] == "fitted" else f"*{one['kernel']}*"
        ends = (f"{one[column]:.2g}" if np.isfinite(one[column]) else "none" for column in (turn, first))
        return name, one["gpu"], int(one["n"]), percent(one["mdape"]), *ends

    return table(
        ("kernel", "GPU", "rows", "error", str(turn), f"{first} measured"), [line(one) for _, one in frame.iterrows()]
    )


def _constants(library: Library) -> Lines:
    counts = {key: count for key, count in fitted_constants(library).items() if count}
    names = ", ".join(f"{key} {count}" for key, count in counts.items())
    return [f"{sum(counts.values())} fitted constants: {names}."]


def _mlperf(frame: pd.DataFrame) -> Lines:
    rounds = frame[[str(source).startswith("mlperf") for source in frame.index.get_level_values("source")]]
    judged = rounds[(rounds["n"] >= JUDGED_ROWS) & (rounds.index.get_level_values("grade") != "C")]["mdape"]
    note = f"Chips of grade B with {JUDGED_ROWS} rows or more: median {percent(judged.median())}, "
    return [
        *of(rounds, [ROWS, ERROR, BIAS], labels=["round", "grade", "chip"]), "",
        f"{note}worst {percent(judged.max())}.",
    ]  # fmt: skip


def _energy(found: Mapping[str, ScoreTable]) -> dict[str, Lines]:
    energy, power = found["energy"].frame, found["power"].frame
    both = energy[["n", "mdape", "bias"]].join(power[["mdape", "bias"]].add_suffix("_w"), how="left")
    rows = [
        (*label, int(one["n"]), *(shape(one[name]) for name, shape in
          (("mdape", percent), ("bias", bias), ("mdape_w", percent), ("bias_w", bias))))
        for label, one in both.iterrows()
    ]  # fmt: skip
    head = ("kind", "source", "chip", "grade", "rows", "error of energy", "bias", "error of power", "bias")
    sides = [found[f"power_unseen_{kind}"].frame.drop("C", level="grade") for kind in ("chip", "source")]
    unseen = [
        (source, chip, int(one["n"]), *(cell for side in sides for cell in (
            percent(side.loc[kind, source, chip, grade]["mdape"]), bias(side.loc[kind, source, chip, grade]["bias"]),
            percent(side.loc[kind, source, chip, grade]["energy_mdape"]))))
        for (kind, source, chip, grade), one in sides[0].iterrows()
    ]  # fmt: skip
    columns = [f"{what} without the {kind}" for kind in ("chip", "source") for what in ("power", "bias", "energy")]
    notes = [found[key].note for key in ("energy", "power", "power_unseen_chip", "power_unseen_source")]
    return {
        "energy": [*table(head, rows), "", f"Of these, {notes[0]}; {notes[1]}."],
        "power_unseen": [
            *table(("source", "chip", "rows", *columns), unseen), "",
            f"Without the chip: {notes[2]}. Without the source: {notes[3]}.",
        ],
    }  # fmt: skip


BASELINES = (
    "a100_40gb_sxm",
    "a100_80gb_pcie",
    "a100_80gb_sxm",
    "h100_pcie",
    "h100_sxm",
    "h200_sxm",
    "tpu_v4",
    "tpu_v5e",
)


def _chips(rows: pd.DataFrame) -> Lines:
    usable = rows[(rows["reason"] == "") & static_rows(rows) & rows["chip"].isin(BASELINES)]
    frame = score(collapse(usable), ("chip", "quantity")).rename(index=QUANTITY_NAMES)
    return of(frame, [ROWS, ERROR, BIAS], labels=["chip", ""])
