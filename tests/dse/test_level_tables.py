"""Looked up results: the bits of the operations themselves, whatever values and rows a table has."""

import numpy as np
import pytest

from cost_models.table import INACTIVE, Choice
from cost_models.tape import Slot, Tape, as_one, row_by_row
from dse.level_tables import FEW_ROWS, MOST_COMBINATIONS, LevelTables, codes_of
from dse.replay import UnseenError, noted, same

LEVELS = np.array([0.5, 2.0, 3.0, 7.0])


@pytest.mark.parametrize("rows", [1, 5, FEW_ROWS, FEW_ROWS + 1])
def test_the_code_of_a_number_is_its_place(rows):
    places = np.arange(rows) * 7 % (len(LEVELS) + 1) - 1
    column = np.where(places < 0, np.nan, LEVELS[places])
    assert (codes_of(LEVELS, column) == places).all() and INACTIVE == -1
    for other in (0.4, 0.6, np.nextafter(2.0, 3.0), 7.1, np.inf, -np.inf):
        with pytest.raises(UnseenError):
            codes_of(LEVELS, np.append(column, other))
    with pytest.raises(UnseenError):
        codes_of(np.array([0.0, 1.0]), np.append(np.ones(rows), -0.0))


@row_by_row
def halved(column):
    return column * 0.5


@as_one
def reversed_rows(column):
    return column[::-1].copy()


def function(columns):
    """Do some of what models do: names a (3) and b (2), numbers x (4) and y (any)."""
    a, b, x, y = columns
    first, second = Choice(("a", "b", "c"), a), Choice(("k", "l"), b)
    cost = first.gather([1.0, 2.5, 1 / 3]) * np.sqrt(x) + second.gather([0.1, 7.0])
    both = np.stack([cost, halved(cost) / 3, y])
    several = np.stack([x, first.gather([5.0, 6.0, 7.0])]) ** 2
    assert not (x < 0).any() and (x > 0.1).all()
    worst = cost * (2.0 if (cost > 4).any() else 3.0)
    return {
        "cost": cost, "y": both.max(axis=0), "share": x / len(x), "reversed": reversed_rows(x) + x, "x": x,
        "of": several.sum(axis=0), "codes": a, "worst": worst, "one": np.broadcast_to(np.array(2.0), x.shape) * x,
    }  # fmt: skip


def columns(rows, seed=0, inactive=False):
    random = np.random.default_rng(seed)
    first = random.integers(-1 if inactive else 0, 3, rows)
    x = LEVELS[random.integers(0, 4, rows)]
    return [first, random.integers(0, 2, rows), x, random.random(rows)]


COUNTS = [3, 2, LEVELS, None]


def test_what_is_looked_up_is_what_is_worked_out():
    notes, plain = noted(function, columns(200), COUNTS), noted(function, columns(200))
    assert len(notes.operations) < len(plain.operations)
    for rows, seed, inactive in ((200, 0, False), (17, 1, True), (FEW_ROWS + 9, 2, True)):
        table = columns(rows, seed, inactive)
        assert same(notes.replay(table, rows), plain.replay(table, rows))
        assert same(notes.replay(table, rows), function(table))


def test_other_numbers_are_worked_out():
    notes, table = noted(function, columns(200), COUNTS), columns(50)
    table[2] = table[2] + np.where(np.arange(50) == 31, 0.25, 0.0)
    assert same(notes.replay(table, 50), function(table))


def test_only_what_each_row_gives_on_its_own_is_looked_up():
    tape = Tape(30)
    a, b, x, y = map(tape.column, columns(30))
    fine = {"x * 2": x * 2.0, "halved": halved(x), "crossed": x * Choice(("p", "q", "r"), a).gather([1.0, 2.0, 3.0])}
    not_fine = {
        "y": y * 1.0, "of y": x + y, "share": x / len(x), "reversed": reversed_rows(x), "sorted": np.sort(x),
        "summed": x * x.sum(), "few": x[:3] * 2.0, "cumulated": np.cumsum(x), "turned": np.stack([x, x], axis=-1),
    }  # fmt: skip
    found = LevelTables(tape, COUNTS)._sets()
    assert {name for name, one in {**fine, **not_fine}.items() if one.place in found} == fine.keys()
    assert found[fine["crossed"].place] == (a.place, x.place) and b.place in found


def test_a_table_is_no_larger_than_it_may_be():
    tape, most = Tape(30), MOST_COMBINATIONS
    one, other = tape.column(np.arange(30)), tape.column(np.arange(30))
    product = one * other
    for count, fits in ((most // 4 - 1, True), (most // 4, False)):
        assert (product.place in LevelTables(tape, [count, 3])._sets()) is fits


def test_conditions_that_hold_for_every_value_are_dropped_and_others_are_met():
    tape = Tape(30)
    x = tape.column(columns(30)[2])
    settled, open_ = (x < 0).any(), [(x > 6.0).any(), (x < 7.0).all(), x.max() > 6, np.any(np.stack([x, x]) > 6)]
    for condition in (settled, *open_):
        bool(condition)
    _, conditions = LevelTables(tape, [LEVELS]).applied({"x": Slot(1)})
    assert {*conditions} == {one.place for one in open_} and settled.place in tape.conditions
