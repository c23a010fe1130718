"""The files of a run hold what pandas would write, cell by cell."""

import numpy as np
import pandas as pd
import pytest

from dse.results.writer import _write_csv, kept_words

TEXTS = ["plain", "a, b", 'say "so"', "two\nlines", "", "1.50", None, "unit [mm²]", "%s %d"]


def tables():
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=40) * 10.0 ** rng.integers(-12, 12, 40)
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1e300, 5e-324, 123456789.5, 0.1])
    yield "numbers", pd.DataFrame({"x [ms]": numbers, "y, z": np.round(numbers), "n": np.arange(40), "b": numbers > 0})
    yield "special", pd.DataFrame({"id": np.arange(9), "x": special, "text": TEXTS})
    yield "names", pd.DataFrame({"a": pd.Categorical.from_codes([0, 1, -1, 0], ["tsmc_5", "n, m"]), "x": np.ones(4)})
    yield "mixed", pd.DataFrame({"a": ["one", 2, 3.5, np.float64(0.1), None, True], "b": np.arange(6) / 7})
    yield "no rows", pd.DataFrame({"a": np.empty(0), "b": []})
    yield "nothing", pd.DataFrame()


@pytest.mark.parametrize(("name", "table"), list(tables()), ids=[name for name, _ in tables()])
def test_a_table_is_written_as_pandas_writes_it(tmp_path, name, table):
    table.to_csv(tmp_path / "pandas.csv", index=False, float_format="%.9g", lineterminator="\n", encoding="utf-8")
    _write_csv(tmp_path / "ours.csv", table)
    assert (tmp_path / "ours.csv").read_bytes() == (tmp_path / "pandas.csv").read_bytes()


def test_no_spreadsheet_takes_a_text_for_a_formula(tmp_path):
    _write_csv(tmp_path / "a.csv", pd.DataFrame({"name": ["=1+1", "-5", "+a"], "x": [1.0, 2.0, np.nan]}))
    assert (tmp_path / "a.csv").read_text() == "name,x\n'=1+1,1\n-5,2\n'+a,\n"


def test_what_is_kept_is_told_in_words():
    matter = "the front, the picks and the least infeasible designs"
    assert kept_words(1) == "every design" and kept_words(0) == matter
    assert kept_words(2) == f"{matter}, and of the rest one in 2 by id"
