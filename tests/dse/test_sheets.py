"""CSV as the standard library and pandas write it, and numbers to the last digit."""

import csv
import io
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dse.number_texts import column_texts, exact_texts
from dse.sheets import csv_text, without_formula

CELLS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text('abc ,"\n1.', max_size=4)


@settings(max_examples=60)
@given(st.lists(st.tuples(CELLS, CELLS, st.floats()), max_size=5))
def test_a_sheet_is_that_of_the_standard_library(rows):
    out = io.StringIO()
    known = [[*row[:2], "" if math.isnan(row[2]) else row[2]] for row in rows]
    csv.writer(out, lineterminator="\n").writerows([["a", "b, c", "d [W]"], *known])
    columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
    for numbers in (columns[2], np.array(columns[2], dtype=np.float64)):
        assert csv_text(["a", "b, c", "d [W]"], [*columns[:2], numbers]) == out.getvalue()


def test_sheets_leave_out_what_is_missing_and_keep_what_is_infinite():
    columns = [[None, "=1+2", 0], [math.nan, "a,b", False], np.array([math.inf, math.nan, -2.5])]
    assert csv_text(["a", "b [W]", "c"], columns) == 'a,b [W],c\n,,inf\n\'=1+2,"a,b",\n0,False,-2.5\n'
    assert csv_text(["x"], [np.array([1 / 3, math.nan, 2e9])], digits=3) == "x\n0.333\n\n2e+09\n"
    assert csv_text([], []) == "\n"


def test_numbers_are_written_as_they_are_read_back():
    random = np.random.default_rng(0)
    numbers = np.concatenate([
        random.integers(-(2**63), 2**63 - 1, 5000).view(np.float64), 10 ** random.uniform(-7, 18, 5000),
        random.integers(-(10**9), 10**9, 5000) / 1000, [0.0, -0.0, 1e-3, np.nextafter(1e-3, 0), 1e9, 5e-324, np.inf],
    ])  # fmt: skip
    assert (
        exact_texts(numbers).tolist()
        == column_texts(numbers).tolist()
        == ["n/a" if math.isnan(one) else repr(one) for one in numbers.tolist()]
    )
    assert exact_texts(numbers[:0]).tolist() == []


def test_what_would_steer_a_spreadsheet_is_written_out():
    for value, cell in (
        ("=1+2", "'=1+2"), ("@a", "'@a"), ("+a", "'+a"), ("-a", "'-a"), ("\ta", "'\ta"), ("\ra", "'\ra"), ("-3", "-3"),
        ("+1e5", "+1e5"), ("a=1", "a=1"), ("", ""),
    ):  # fmt: skip
        assert without_formula(value) == cell
