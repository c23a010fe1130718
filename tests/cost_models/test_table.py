"""Columns of names and numbers, row by row in plain Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.table import (
    INACTIVE,
    MANY_ROWS,
    Choice,
    Table,
    cells_of,
    column_of,
    distinct_rows,
    evenly,
    first_number,
    numbers_of,
    rows_of,
    rows_where,
    stacked,
)

NAMES = ("a", "b", "c")
cells = st.lists(st.sampled_from([*NAMES, None]), min_size=1, max_size=12)


def choice(row, names=NAMES):
    return Choice(names, np.array([INACTIVE if one is None else names.index(one) for one in row], dtype=np.intp))


@given(cells)
def test_names_are_those_of_each_row(row):
    column = choice(row)
    assert column.names().tolist() == row == cells_of(column)
    assert len(column) == len(row)
    assert column[::-1].names().tolist() == row[::-1]
    assert column_of(row, NAMES).names().tolist() == row


@given(cells, st.sampled_from(["a", "c", "z"]))
def test_what_does_not_apply_takes_the_default(row, default):
    assert choice(row).filled(default).names().tolist() == [default if one is None else one for one in row]


def test_no_row_may_have_a_name_and_all_may_have_the_same():
    assert choice([None, None]).filled("b").names().tolist() == ["b", "b"]
    assert choice([None], ()).filled("b").names().tolist() == ["b"]
    assert Choice.same("x", 3).names().tolist() == ["x", "x", "x"]
    assert Choice.of("x", "y", "x").names().tolist() == ["x", "y", "x"]


@given(cells)
def test_each_row_takes_what_its_name_says(row):
    column, n = choice(row), len(row)
    numbers = {"a": 1.5, "b": -2.0, "c": 0.0}
    expected = [np.nan if one is None else numbers[one] for one in row]
    np.testing.assert_array_equal(column.map(numbers.__getitem__), expected)
    columns = [np.arange(n) + 10.0 * place for place in range(3)]
    told = [np.nan if one is None else columns[NAMES.index(one)][place] for place, one in enumerate(row)]
    np.testing.assert_array_equal(column.gather(columns), told)
    np.testing.assert_array_equal(column.gather([columns[0], 7.0, 8.0]), [
        np.nan if one is None else {"a": float(place), "b": 7.0, "c": 8.0}[one] for place, one in enumerate(row)
    ])  # fmt: skip
    renamed = column.translate(lambda name: "x" if name in "ac" else "y")
    assert renamed.names().tolist() == [None if one is None else "x" if one in "ac" else "y" for one in row]
    assert renamed.values == ("x", "y")


def test_one_name_in_every_row_is_its_column():
    numbers = np.array([3.0, 4.0])
    one = Choice.same("a", 2).gather([numbers])
    np.testing.assert_array_equal(one, numbers)
    one[0] = 9.0
    assert numbers[0] == 3.0, "what is gathered is a copy"
    np.testing.assert_array_equal(Choice.same("a", 1).gather([numbers]), numbers)
    np.testing.assert_array_equal(choice(["a", None], ("a",)).gather([numbers]), [3.0, np.nan])


@given(cells, cells)
def test_columns_one_after_the_other(first, second):
    other = choice(second, ("c", "z", "a", "b"))
    assert stacked([choice(first), other]).names().tolist() == first + second
    np.testing.assert_array_equal(stacked([np.arange(2.0), np.arange(3.0)]), [0, 1, 0, 1, 2])
    for mixed in ([choice(first), np.zeros(2)], [np.zeros(2), choice(first)]):
        with pytest.raises(TypeError, match="names in some rows and numbers in others"):
            stacked(mixed)
    with pytest.raises(TypeError, match="where numbers are needed"):
        numbers_of(choice(first))


@pytest.mark.parametrize("rows", [1, MANY_ROWS + 1])
@pytest.mark.parametrize("wide", [(False, False), (True, False), (False, True), (True, True)])
def test_the_bits_of_either_row_are_kept(rows, wide):
    rng = np.random.default_rng(0)
    kinds = np.array([0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, 1.5, 5e-324])
    condition = rng.random(rows) < 0.5
    one, other = (rng.choice(kinds, rows) if column else float(rng.choice(kinds)) for column in wide)
    result = rows_where(condition, one, other)
    assert result.tobytes() == np.where(condition, one, other).tobytes()
    assert rows_where(condition, np.atleast_1d(one)[:, None], other).shape == (len(np.atleast_1d(one)), rows)


@given(st.integers(0, 40), st.integers(0, 12))
def test_places_at_even_steps(rows, most):
    places = evenly(rows, most).tolist()
    assert len(places) == min(rows, most) and places == sorted(set(places))
    assert not places or (places[0] == 0 and (places[-1] == rows - 1 or most == 1))
    steps = np.diff(places)
    assert not len(steps) or steps.max() - steps.min() <= 1


def test_a_column_of_what_people_write():
    np.testing.assert_array_equal(column_of([1, None, 2.5]), [1.0, np.nan, 2.5])
    np.testing.assert_array_equal(column_of([1, "x"], ()), [1.0, np.nan])
    assert column_of(["x", None, "y"]).names().tolist() == ["x", None, "y"]
    assert column_of(["x", 3.0, "z"], ("x", "y")).names().tolist() == ["x", None, None]
    assert cells_of(np.array([1.0, np.nan])) == [1.0, None]
    assert first_number(np.array([[2.0, 3.0]])) == 2.0 == first_number(2)


def test_tables_repeat_broadcast_and_come_apart_into_settings():
    designs = Table.from_settings({"macs": 4096.0, "node": "tsmc_5"}, {"macs": 8192.0, "clock_ghz": 0.5})
    assert designs.rows == 2 and Table().rows == 0
    assert designs.to_settings() == [{"macs": 4096, "node": "tsmc_5"}, {"macs": 8192, "clock_ghz": 0.5}]
    assert isinstance(designs.to_settings()[0]["macs"], int)
    assert designs.repeated(2).to_settings() == [one for one in designs.to_settings() for _ in range(2)]
    assert designs.take(np.array([1, 0])).to_settings() == designs.to_settings()[::-1]
    wide = Table.broadcast({"macs": np.array([1.0]), "node": Choice.same("tsmc_5", 3)}, 3)
    assert wide.to_settings() == [{"macs": 1, "node": "tsmc_5"}] * 3
    assert Table.concat([designs, designs.take(slice(0, 1))]).rows == 3
    for coded in (False, True):
        assert Table.from_frame(designs.to_frame(coded=coded)).to_settings() == designs.to_settings()


@pytest.mark.parametrize("of", [1, 2, 3])
def test_rows_of_a_record_are_those_of_its_columns_and_the_rest_is_as_it_was(of):
    column, matrix, other = np.arange(of) + 10.0, np.arange(4.0 * of).reshape(4, of), np.arange(of + 1.0)
    last = np.array([of - 1])
    cut = rows_of({"both": (column, matrix), "other": other, "number": 3.0}, last, of)
    assert cut["both"][0].tolist() == [10.0 + of - 1]
    assert cut["both"][1].tolist() == [[row * of + of - 1.0] for row in range(4)]
    assert cut["other"] is other
    # A column of one row stands for all that are asked for.
    assert (cut["both"][0] is column) == (cut["both"][1] is matrix) == (of == 1)
    assert cut["number"] == 3.0


@given(st.lists(st.tuples(*3 * [st.sampled_from([-1.0, 0.0, 2.5])]), max_size=30), st.booleans())
def test_kinds_of_equal_rows_in_their_order(rows, many):
    columns = np.array(rows, float).reshape(-1, 3).T
    # So many columns that the numbers of kinds cannot be multiplied without end.
    first, same = distinct_rows([*columns, *(columns if many else ()), *(45 * [columns[0]] if many else ())])
    assert [rows[place] for place in first] == sorted(set(rows))
    assert [rows[first[kind]] for kind in same] == rows
    assert all(rows.index(rows[place]) == place for place in first)
