"""Work out the prediction intervals of times from rows of chips and sources left out of the fits.

Every open end-to-end row of grades A and B is predicted by constants fitted without its chip, and by the generic stack
of its chip's family fitted without its source. The quantiles of measured over predicted time go into ``intervals.csv``
of the library, from which `dse explain` and `dse validate` take them (`dse.validation.intervals`); there once more for
every die with its rows left out, so that `dse validate` can say how many rows of chips never seen lie inside.
Run it after ``studies/fits/stacks.py``.

    python -m studies.fits.intervals            work out and print
    python -m studies.fits.intervals --write    and put them into the library
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from dse.time_intervals import FILE
from dse.validation import requests
from dse.validation.held_out import unseen_chips, unseen_sources
from dse.validation.intervals import GRADES, die_of, lines_of
from dse.validation.rows import read_measurements
from dse.validation.score import source_of
from dse.validation.setups import stacks

LIBRARY = shipped_library()
FILES = ("open.csv", "e2e2_open.csv")


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
    chips, sources = unseen_chips(rows, technology), unseen_sources(rows, technology)
    chips, sources = chips.assign(group=chips["die"]), sources.assign(group=sources["source"])
    return pd.DataFrame(
        [
            line
            for left_out in ("", *sorted(chips["die"].unique()))
            for kind, made in (("chip", chips), ("source", sources))
            for line in lines_of(made, kind, left_out)
        ]
    )


def main() -> None:
    """Print, and write when asked to."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--write", action="store_true", help=f"put {FILE} into the library")
    made = intervals()
    if options.parse_args().write:
        made.to_csv(LIBRARY.directory / "measurements" / "folds" / FILE, index=False)
    whole = made[made["left_out"] == ""]
    width = whole["high"].astype(np.float64) / whole["low"].astype(np.float64)
    print(whole.assign(width=width.round(3)).drop(columns="left_out").to_string(index=False))


if __name__ == "__main__":
    main()
