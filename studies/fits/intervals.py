"""Work out the prediction intervals of times from rows of chips and sources left out of the fits.

Every open end-to-end row of grades A and B is predicted by constants fitted without its chip, and by the generic stack
of its chip's family fitted without its source. The intervals of measured over predicted time go into ``intervals.csv``
of the library, from which `dse explain` and `dse validate` take them (`dse.validation.intervals`); there once more for
every die with its rows left out, so that `dse validate` can say how many rows of chips never seen lie inside.
Run it after ``studies/fits/stacks.py``.

    python -m studies.fits.intervals            work out and print
    python -m studies.fits.intervals --write    and put them into the library
    python -m studies.fits.intervals --trials   score other choices of like rows, each die left out in its turn
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import pandas as pd

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from dse.time_intervals import FILE, LADDER
from dse.validation import requests
from dse.validation.held_out import unseen_chips, unseen_sources
from dse.validation.intervals import GRADES, INSIDE, die_of, ends_of, lines_of, marked, sets_of
from dse.validation.rows import read_measurements
from dse.validation.score import QUANTITY_NAMES, source_of
from dse.validation.setups import stacks

LIBRARY = shipped_library()
FILES = ("open.csv", "e2e2_open.csv")

TRIALS: Sequence[tuple[bool, Sequence[Sequence[str]]]] = (
    (False, (("batching", "stack", "format"), ("batching", "stack"), ("batching", "format"), ("batching",), ())),
    *((False, ladder) for ladder in (((),), (("format",), ()), LADDER)),
    *(
        (True, ladder)
        for ladder in (
            ((),),
            (("format",), ()),
            (("model",), ()),
            LADDER,
            (("format", "model"), ("format",), ()),
            (("stack", "format", "model"), *LADDER),
            (("batching", "format", "model"), *LADDER),
            (("chips", "format", "model"), *LADDER),
            (("far", "format"), ("format",), ()),
            (("rows", "format"), ("format",), ()),
        )
    ),
)
"""Whether the interval is symmetric, and what like rows share; the first is what the library had before."""


def open_rows() -> pd.DataFrame:
    """Return the rows that intervals come from, with stack, source and measured time."""
    parts = [requests.prepare(read_measurements(LIBRARY.data_file(name), LIBRARY)[1]) for name in FILES]
    rows = pd.concat(parts, ignore_index=True)
    rows = rows[(rows["reason"] == "") & rows["grade"].isin(GRADES) & rows["batch_given"]].copy()
    rows["stack"], rows["source"] = stacks(rows, LIBRARY)[0].names(), source_of(rows)
    rows["die"] = rows["chip"].map({chip: die_of(chip, LIBRARY) for chip in rows["chip"].unique()})
    rows["measured_s"] = requests.measured_s(rows)
    return rows


def intervals() -> pd.DataFrame:
    """Return the lines of the library's file."""
    rows, technology = open_rows(), Technology(library=LIBRARY)
    chips, sources = (marked(made(rows, technology), LIBRARY) for made in (unseen_chips, unseen_sources))
    chips, sources = chips.assign(group=chips["die"]), sources.assign(group=sources["source"])
    return pd.DataFrame(
        [
            line
            for left_out in ("", *sorted(chips["die"].unique()))
            for kind, made in (("chip", chips), ("source", sources))
            for line in lines_of(made, kind, left_out)
        ]
    )


def candidates() -> pd.DataFrame:
    """Return the rows of chips left out, with everything known beforehand that the trials tell rows apart by."""
    rows, technology = open_rows(), Technology(library=LIBRARY)
    bound_s = requests.predict(rows, technology)["bound_s"]
    made = marked(unseen_chips(rows, technology), LIBRARY)
    tokens = made["used_batch"] * np.where(made["regime"] == "prefill", made["prompt"], 1.0)
    return made[np.isfinite(made["log"])].assign(
        group=made["die"],
        batching=np.where(made["batch_mode"] == "static", "static", "in flight"),
        chips=np.where(made["n_chips"] > 1, "several chips", "one chip"),
        far=np.where(made["predicted_s"] > 1.5 * bound_s.loc[made.index], "far from the bound", "near the bound"),
        rows=np.where(tokens > 64, "many rows", "few rows"),
    )


def trial(rows: pd.DataFrame, ladder: Sequence[Sequence[str]], *, symmetric: bool) -> dict[str, object]:
    """Return how many rows of each die lie between ends that do not know it, how wide these are, and their score.

    The score is that of Gneiting and Raftery (2007, eq. 43): the width of the interval in log time, and for a row
    outside its distance to the nearer end times 2 over the share meant to be outside; the mean over dies and regimes.
    """
    log, dies, ends = rows["log"].to_numpy(), rows["die"].to_numpy(), np.full((2, len(rows)), np.nan)
    for _, index in sets_of(rows, ladder):
        place = rows.index.get_indexer(index)
        for die in np.unique(dies[place]):
            known = place[dies[place] != die]
            judged = place[(dies[place] == die) & np.isnan(ends[0, place])]
            if len(known) and len(judged):
                found = ends_of(log[known], rows["group"].iloc[known], symmetric=symmetric)
                ends[:, judged] = found[:, None]
    low, high = ends
    beyond = np.maximum(low - log, 0) + np.maximum(log - high, 0)
    score = pd.Series(high - low + 2 / (1 - INSIDE) * beyond, index=rows.index)
    line: dict[str, object] = {
        "ends": "symmetric" if symmetric else "quantiles",
        "like rows share": "; ".join(", ".join(shared) or "nothing" for shared in ladder),
    }
    for regime, name in QUANTITY_NAMES.items():
        of = rows["regime"].to_numpy() == regime
        if of.any():
            line[name] = f"{(beyond[of] == 0).mean():.1%}, {np.median(np.exp(high - low)[of]):.2f}"
    return line | {"score": round(score.groupby([rows["regime"], rows["die"]]).mean().mean(), 3)}


def trials() -> pd.DataFrame:
    """Return one line per trial: by regime the share of rows inside and the median of P90 over P10, and the score."""
    rows = candidates()
    return pd.DataFrame([trial(rows, ladder, symmetric=symmetric) for symmetric, ladder in TRIALS])


def main() -> None:
    """Print, and write when asked to."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--write", action="store_true", help=f"put {FILE} into the library")
    options.add_argument("--trials", action="store_true", help="score other choices of like rows")
    asked = options.parse_args()
    if asked.trials:
        print(trials().to_string(index=False))
        return
    made = intervals()
    if asked.write:
        made.to_csv(LIBRARY.directory / "measurements" / "folds" / FILE, index=False)
    whole = made[made["left_out"] == ""]
    width = whole["high"].astype(np.float64) / whole["low"].astype(np.float64)
    print(whole.assign(width=width.round(3)).drop(columns="left_out").to_string(index=False))


if __name__ == "__main__":
    main()
