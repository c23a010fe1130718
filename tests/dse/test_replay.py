"""Replayed tables: the bits of the function for every shipped sweep, and its own answer where it is not noted."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cost_models.table import Choice, Table
from cost_models.tape import NotNotedError, as_one
from dse.evaluator import Evaluator
from dse.replay import (
    CALLS_BEFORE,
    LEAST_ROWS,
    MOST_CALLS,
    MOST_NOTES,
    NOTED_FROM,
    MissError,
    Notes,
    Replayed,
    noted,
    same,
)
from dse.samplers import sampler_of
from dse.space import Space
from dse.sweep import load_spec, parse_spec

from ..sweeps import tiny

SWEEPS = Path(__file__).parents[2] / "sweeps"
REFUSED = {"two_chips": "flatnonzero"}
"""Why some sweeps are not replayed; all others are."""

MEET = {"capacity_planning", "compression", "edge_8b", "lanes", "packages", "speculation", "splitting"}
"""Sweeps of which a design may hang on those beside it, as far as operations tell."""


def tables(spec, *rows):
    """Return tables of designs drawn from the space of a sweep."""
    search = spec.search.model_copy(update={"sampler": "random", "options": {}, "seed": 5, "n_designs": 10**6})
    spec = spec.model_copy(update={"search": search})
    sampler = sampler_of(spec, Space(spec))
    return [sampler.ask(number) for number in rows]


def codes_of(designs):
    return [one.codes if isinstance(one, Choice) else one for one in designs.values()]


@pytest.mark.parametrize("sweep", [file.stem for file in sorted(SWEEPS.glob("*.yaml"))])
def test_shipped_sweeps_are_replayed_bit_for_bit(sweep):
    evaluator = Evaluator(load_spec(SWEEPS / f"{sweep}.yaml"))
    first, other = tables(evaluator.spec, 40, 64)

    def judged(columns):
        pairs = zip(first.items(), columns, strict=True)
        return evaluator.judged(
            {name: Choice(one.values, column) if isinstance(one, Choice) else column for (name, one), column in pairs}
        )

    if sweep in REFUSED:
        with pytest.raises(NotNotedError, match=REFUSED[sweep]):
            noted(judged, codes_of(first))
        return
    levels = [len(one.values) if isinstance(one, Choice) else evaluator.levels.get(name) for name, one in first.items()]
    for notes in (noted(judged, codes_of(first)), noted(judged, codes_of(first), levels)):
        assert same(notes.replay(codes_of(first), 40), evaluator.judged(first))
        amid = notes.amid()
        assert (amid is None) == (sweep in MEET)
        for way, designs in ((notes, other), (amid, other), *((amid, other.take([row] * 3)) for row in range(2))):
            if way is None:
                continue
            try:
                found = way.replay(codes_of(designs), designs.rows)
            except MissError:
                continue
            expected = evaluator.judged(designs)
            assert same({name: np.broadcast_to(one, np.shape(found[name])) for name, one in expected.items()}, found)


def random_function(seed):
    """Return a function of two columns, made of operations on what it has made so far, and the tape's view of it."""

    def function(columns):
        rng, made = np.random.default_rng(seed), [*columns, np.array([0.5]), 2.0]
        for _ in range(60):
            one, other = (made[place] for place in rng.integers(0, len(made), 2))
            kind = rng.integers(0, 7)
            made.append(
                one + other if kind == 0
                else one * 0.5 - other if kind == 1
                else np.where(one > other, one, 0.1) if kind == 2
                else np.sqrt(abs(one)) if kind == 3
                else np.stack(np.broadcast_arrays(columns[0], one, other)).max(axis=0) if kind == 4
                else np.maximum(one, other) if kind == 5
                else as_one(lambda x: x - 1)(one)
            )  # fmt: skip
        return {place: made[place] for place in rng.integers(2, len(made), 5).tolist()} | {"column": columns[1]}

    return function


@pytest.mark.parametrize("seed", range(12))
def test_places_that_are_used_again_hold_what_they_should(seed):
    function, rng = random_function(seed), np.random.default_rng(seed)
    notes = noted(function, rng.normal(size=(2, 11)))
    columns = rng.normal(size=(2, 17))
    assert same({name: np.asarray(one) for name, one in notes.replay(columns, 17).items()},
                {name: np.asarray(one) for name, one in function(columns).items()})  # fmt: skip
    assert len(notes.start) < len(notes.operations) + 70, "places are used again"


def table(rows, low=0.0, high=1.0, **others):
    return Table({"x": np.linspace(low, high, rows), "name": Choice(("a", "b"), np.arange(rows) % 2)} | others)


def answered(function, *given):
    """Return a replayed function that has answered tables, each as the function itself does."""
    replayed = Replayed(function)
    for one in given:
        assert same(replayed(one), function(one))
    return replayed


def doubled(designs):
    return {"y": designs["x"] * 2 + designs["name"].map({"a": 1.0, "b": 3.0}.get)}


def larger(designs):
    return {"y": designs["x"] * (2.0 if (designs["x"] > 1).any() else 3.0)}


LONG = [table(NOTED_FROM + number) for number in range(20)]


def test_tables_are_replayed_after_the_first_ones():
    assert answered(doubled, *LONG[:CALLS_BEFORE]).kind.replays == 0
    replayed = answered(doubled, *LONG)
    assert (replayed.kind.calls, replayed.kind.replays) == (CALLS_BEFORE + 1, len(LONG) - CALLS_BEFORE - 1)


def test_few_rows_and_a_row_that_stands_for_all_are_left_to_the_function():
    few, one = table(NOTED_FROM - 1), LONG[0] | {"name": Choice(("a", "b"), np.array([1]))}
    replayed = answered(doubled, *[few, one] * (CALLS_BEFORE + 1))
    assert (replayed.kind.calls, replayed.kind.replays) == (0, 0)
    replayed.note(LONG[0])
    for rows, replays in ((LEAST_ROWS - 1, 0), (LEAST_ROWS, 1), (NOTED_FROM - 1, 2)):
        assert same(replayed(table(rows)), doubled(table(rows)))
        assert (replayed.kind.calls, replayed.kind.replays) == (0, replays), "noted ahead, fewer rows are replayed"


def test_other_columns_begin_anew():
    other = [designs | {"name": Choice(("b", "a"), designs["name"].codes)} for designs in LONG]
    replayed = answered(doubled, *LONG, *other[: CALLS_BEFORE + 1], LONG[0])
    assert (replayed.kind.calls, replayed.kind.replays) == (1, 0)


def test_a_table_that_misses_a_condition_is_answered_by_the_function_and_noted_itself():
    above = [table(NOTED_FROM + number, high=2.0) for number in range(5)]
    replayed = answered(larger, *LONG[:5], *above, *LONG[5:])
    assert not replayed.kind.refusal
    assert (replayed.kind.calls, replayed.kind.replays) == (CALLS_BEFORE + 2, len(LONG) + 5 - CALLS_BEFORE - 2)


def told_apart(designs):
    """Work out one branch for some rows only, where there are such rows."""
    named = designs["name"].map({"a": 0.0, "b": 1.0}.get)
    return {"y": np.where(named > 0, designs["x"] * 3, designs["x"]) if (named > 0).any() else designs["x"] * 1.0}


def test_a_table_without_some_rows_is_replayed_amid_rows_that_have_them():
    alike = [table(len(one["x"]), name=Choice(("a", "b"), np.zeros(len(one["x"]), dtype=np.intp))) for one in LONG]
    replayed = answered(told_apart, *LONG[:4], *alike, *LONG[4:])
    assert (len(replayed.kind.notes), replayed.kind.calls) == (2, CALLS_BEFORE + 2), "one call shows that it holds"
    assert replayed.kind.replays == 2 * len(LONG) - CALLS_BEFORE - 2


def test_a_table_whose_rows_hang_on_others_is_not_replayed_amid_other_rows():
    above = [table(NOTED_FROM + number, high=2.0) for number in range(CALLS_BEFORE + 3)]
    replayed = answered(larger, *above, *LONG)
    assert all(isinstance(notes, Notes) for notes in replayed.kind.notes) and len(replayed.kind.notes) == 2


@pytest.mark.parametrize(
    "look", [lambda x: float(x.max()), lambda x: x.mean().item(), lambda x: int(x[0]), lambda x: (x > 90).any() + x[0]]
)
def test_where_every_table_meets_other_conditions_nothing_is_replayed(look):
    moved = [table(NOTED_FROM + number, number, number + 1) for number in range(MOST_CALLS + MOST_NOTES + 4)]
    replayed = answered(lambda designs: {"y": designs["x"] * float(look(designs["x"]))}, *moved)
    assert replayed.kind.replays == 0
    assert replayed.kind.refusal == "tables meet too different conditions"
    assert len(replayed.kind.notes) == 0


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x: np.asarray(x) * 2, "no longer noted"),
        (lambda x: x * np.unique(x % 1).size, "unique"),
        (lambda x: x * (2.0 if isinstance(x, np.ndarray) else 3.0), "not what is done"),
        (lambda x: x + np.linspace(0, 1, len(x)), "does not come from its columns"),
        (lambda x: np.interp(0.5, [0, 1], [2, 3]) * x * x[[True] * len(x)], "too different"),
    ],
)
def test_what_cannot_be_noted_is_left_to_the_function(function, why):
    replayed = answered(lambda designs: {"y": function(designs["x"])}, *LONG)
    assert replayed.kind.replays == 0 and why in replayed.kind.refusal and replayed.kind.refusal


def test_a_number_that_hangs_on_the_length_of_a_table_is_no_constant():
    def share(designs):
        rows = len(designs["x"])
        return {"y": designs["x"] * np.full(rows, 1 / rows), "z": designs["x"] * (rows + 1)}

    assert answered(share, *LONG).kind.replays == 0
    assert answered(lambda designs: {"y": designs["x"] / len(designs["x"])}, *LONG).kind.replays > 0


def test_what_a_search_asks_for_is_replayed_and_nothing_else():
    spec = parse_spec(tiny())
    evaluator, usual = Evaluator(spec), Evaluator(spec)
    for designs in tables(spec, *range(NOTED_FROM, NOTED_FROM + CALLS_BEFORE + 4)):
        found, expected = evaluator.evaluate(designs, metrics=()), usual.evaluate(designs, metrics=("chat.ttft_ms",))
        assert [*found.margins] == [*expected.margins] and [*found.metrics] == [
            name for name in expected.metrics if name in found.metrics
        ]
        for kind in ("metrics", "margins"):
            there = getattr(found, kind)
            assert same(there, {name: getattr(expected, kind)[name] for name in there})
        assert found.objectives.tobytes() == expected.objectives.tobytes()
        assert (found.feasible == expected.feasible).all()
    assert evaluator.replayed.kind.replays == 3
    assert usual.replayed.kind.calls == usual.replayed.kind.replays == 0
    assert evaluator.technology.reads == usual.technology.reads


def test_draws_are_not_replayed():
    drawn = Evaluator(parse_spec(tiny()), {"tco.pue": np.linspace(1.1, 1.5, NOTED_FROM)})
    one = tables(drawn.spec, 1)[0].repeated(NOTED_FROM)
    for _ in pairwise(range(CALLS_BEFORE + 3)):
        drawn.evaluate(one, metrics=())
    assert drawn.replayed.kind.calls == drawn.replayed.kind.replays == 0
