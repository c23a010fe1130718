"""Constraints, values and margins counted beside a plain twin: whole, in pieces, merged, and read again."""

import math

import numpy as np
import pytest

from cost_models.table import Choice, Table
from dse.errors import RecordError
from dse.packing import packed, read_packed
from dse.results.rows import Rows
from dse.results.statistics.axes import Binning
from dse.results.statistics.counts import NO_OBJECTIVE, Statistics
from dse.results.statistics.pruned import PrunedDesigns
from dse.results.statistics.records import Violation
from tests.dse.results.streams import LABELS, MACS, changed, stream, value_of

METRICS = {"chat.tpot_ms <= 50": "chat.tpot_ms", "tdp_w <= 150": "tdp_w"}
BINNINGS = {"macs": Binning(MACS, np.empty(0)), "sram": Binning(np.empty(0), np.array([0.0, 5.0, 10.0, 14.0]))}


def empty():
    return Statistics(("memory", "macs", "sram"), BINNINGS, METRICS)


def counted(rows, cuts=()):
    tally = empty()
    for part in np.split(np.arange(len(rows)), cuts):
        if len(part):
            tally.add(rows.take(part))
    return tally


def causes(rows, i):
    """What a row breaks for a reason of its own, and what only follows: missing where something else explains it."""
    found = rows.evaluation
    broken = [label for label in LABELS if found.margins[label][i] < 0]
    lacking = [label for label in broken if label in METRICS and math.isnan(found.metrics[METRICS[label]][i])]
    undefined = not np.isfinite(found.objectives[i]).all()
    own = [label for label in broken if label not in lacking]
    if own:
        return own, lacking + [NO_OBJECTIVE] * undefined
    return broken + [NO_OBJECTIVE] * undefined, []


@pytest.mark.parametrize(("n", "seed"), [(1, 0), (7, 1), (60, 2), (400, 3)])
def test_constraints_and_values_are_counted_as_a_plain_twin_counts(n, seed):
    rows = stream(n, seed)
    found, own = rows.evaluation, [causes(rows, i) for i in range(n)]
    tally = counted(rows)
    assert (tally.evaluated, tally.feasible, tally.decided) == (n, found.feasible.sum(), 0)
    by_label = {one.constraint: one for one in tally.constraints()}
    assert (NO_OBJECTIVE in by_label) == any(NO_OBJECTIVE in broken for broken, _ in own)
    for label in LABELS:
        one, margin = by_label[label], found.margins[label]
        known = [margin[i] for i in range(n) if label not in own[i][1]]
        met = margin[found.feasible]
        assert one.violated == sum(label in broken for broken, _ in own)
        assert one.missing == sum(label in follows for _, follows in own)
        assert one.sole_cause == sum(broken == [label] for broken, _ in own)
        assert one.best_margin == pytest.approx(max(known) if known else math.nan, nan_ok=True)
        assert one.tightest_margin == pytest.approx(min(met) if len(met) else math.nan, nan_ok=True)
        told = [count for count in tally.margins() if count.constraint == label]
        assert sum(count.designs for count in told) == len(known)
        for count in told:
            assert count.designs == sum(count.low <= value < count.high for value in np.round(known, 2)), count
    if (one := by_label.get(NO_OBJECTIVE)) is not None:
        assert one.violated == sum(NO_OBJECTIVE in broken for broken, _ in own)
        assert one.sole_cause == sum(broken == [NO_OBJECTIVE] for broken, _ in own)
        assert math.isnan(one.best_margin) and math.isnan(one.tightest_margin)
    distance = rows.violation
    counts = tally.values()
    for axis in tally.axes:
        assert sum(one.evaluated for one in counts if one.axis == axis) == n, "each row has one value"
    for one in counts:
        here = [i for i in range(n) if value_of(rows, one.axis, i) == one.value]
        good = [i for i in here if found.feasible[i]]
        assert (one.evaluated, one.feasible) == (len(here), len(good))
        if good:
            assert one.removed_by == one.nearest_miss == ()
            number = one.axis != "memory" and one.value != "inactive"
            ends = [rows.designs[one.axis][i] for i in good] if number else [math.nan]
            assert (one.feasible_low, one.feasible_high) == pytest.approx((min(ends), max(ends)), nan_ok=True)
            continue
        assert math.isnan(one.feasible_low) and math.isnan(one.feasible_high)
        nearest = min(here, key=lambda i: (distance[i], i))
        labels = [label for label in (*LABELS, NO_OBJECTIVE) if label in own[nearest][0]]
        by = [1.0 if label == NO_OBJECTIVE else -found.margins[label][nearest] for label in labels]
        assert one.nearest_miss == tuple(map(Violation, labels, by))
        for block in one.removed_by:
            assert block.share == sum(block.constraint in own[i][0] for i in here) / len(here)


def test_a_design_that_lacks_an_objective_alone_misses_that():
    rows = stream(60, 2).take(np.array([0]))
    found = rows.evaluation
    lacking = changed(rows, margins=dict.fromkeys(found.margins, np.ones(1)), objectives=np.array([[1.0, np.nan]]),
                      feasible=np.zeros(1, bool), missing=np.ones(1, np.intp))  # fmt: skip
    for one in counted(lacking).values():
        assert one.nearest_miss == (Violation(NO_OBJECTIVE, 1.0),) and one.removed_by[0].constraint == NO_OBJECTIVE


def test_what_is_missing_is_not_the_best_of_what_is_known():
    speed, capacity = LABELS[:2]
    two = stream(60, 2).take(np.array([0, 1]))
    margins = {speed: np.array([-3.0, -1.0]), capacity: np.array([0.5, -0.5]), LABELS[2]: np.ones(2)}
    lacking = changed(
        two, margins=margins, metrics={"chat.tpot_ms": np.array([9.0, np.nan]), "tdp_w": np.ones(2)},
        objectives=np.ones((2, 2)), feasible=np.zeros(2, bool), missing=np.array([0, 1], np.intp),
    )  # fmt: skip
    by_label = {one.constraint: one for one in counted(lacking).constraints()}
    assert (by_label[speed].best_margin, by_label[speed].missing, by_label[speed].violated) == (-3, 1, 1)
    assert by_label[capacity].best_margin == 0.5


def test_of_designs_that_miss_by_as_much_the_first_is_told():
    two = stream(60, 2).take(np.array([0, 0]))
    margins = {LABELS[0]: np.array([-0.5, 1.0]), LABELS[1]: np.array([1.0, -0.5]), LABELS[2]: np.ones(2)}
    rows = changed(
        two, margins=margins, metrics={"chat.tpot_ms": np.ones(2), "tdp_w": np.ones(2)}, objectives=np.ones((2, 2)),
        feasible=np.zeros(2, bool), missing=None,
    )  # fmt: skip
    first, second = counted(rows.take(np.array([0]))), counted(rows.take(np.array([1])))
    first.merge(second)
    for tally in (first, counted(rows), counted(rows, [1])):
        assert {one.nearest_miss for one in tally.values()} == {(Violation(LABELS[0], 0.5),)}


def told(tally):
    return repr((tally.constraints(), tally.margins(), tally.values(), tally.evaluated, tally.feasible, tally.decided))


def again(tally):
    fresh = empty()
    fresh.restore(read_packed(packed(tally.state()), "it"))
    return fresh


@pytest.mark.parametrize("seed", range(4))
def test_tallies_are_the_same_in_pieces_merged_and_read_again(seed):
    rows = stream(90, seed)
    whole = counted(rows)
    assert told(counted(rows, [1, 8, 30, 31])) == told(again(whole)) == told(whole)
    first = empty()
    for part in np.split(np.arange(90), [5, 40]):
        later = empty()
        later.add(rows.take(part))
        first.merge(again(later))
    first.merge(empty())
    assert told(first) == told(whole)
    assert told(again(empty())) == told(empty()) == "([], [], [], 0, 0, 0)"
    (alone,) = np.flatnonzero(~rows.evaluation.feasible)[:1]
    one = counted(rows.take(np.array([alone])))
    assert told(again(one)) == told(one)
    half = counted(rows.take(np.arange(40)))
    resumed = again(half)
    resumed.add(rows.take(np.arange(40, 90)))
    assert told(resumed) == told(whole)


def decided(rows):
    """The same rows, judged by what they draw alone."""
    label = LABELS[2]
    tally = empty()
    codes = {axis: [tally.begin(rows), tally.codes(axis, rows.designs[axis])][1] for axis in tally.axes}
    return PrunedDesigns({label: rows.evaluation.margins[label]}, codes)


def test_designs_that_are_decided_count_for_what_was_looked_at():
    rows = stream(200, 5)
    bad = rows.take(rows.evaluation.margins[LABELS[2]] < 0)
    good = rows.take(rows.evaluation.margins[LABELS[2]] >= 0)
    tally = empty()
    tally.begin(rows)
    tally.add_decided(decided(bad.take(np.arange(0))))
    assert tally.decided == 0
    tally.add_decided(decided(bad))
    assert tally.evaluated == tally.decided == len(bad) and tally.feasible == 0
    tally.add(good)
    for one in (tally, again(tally)):
        by_label = {count.constraint: count for count in one.constraints()}
        assert by_label[LABELS[2]].evaluated == 200 and by_label[LABELS[0]].evaluated == len(good)
        assert by_label[LABELS[2]].violated == len(bad)
        assert by_label[LABELS[2]].best_margin == rows.evaluation.margins[LABELS[2]].max()
        assert sum(count.designs for count in one.margins() if count.constraint == LABELS[2]) == 200
        alone = counted(good)
        assert by_label[LABELS[0]].violated == {c.constraint: c for c in alone.constraints()}[LABELS[0]].violated
        for count in one.values():
            here = [i for i in range(200) if value_of(rows, count.axis, i) == count.value]
            assert count.evaluated == len(here)
            assert count.feasible == sum(rows.evaluation.feasible[i] for i in here)
    two = empty()
    two.begin(rows)
    two.add_decided(decided(bad.take(np.arange(10))))
    three = empty()
    three.begin(rows)
    three.add_decided(decided(bad.take(np.arange(10, len(bad)))))
    two.merge(three)
    later = counted(good)
    two.merge(later)
    assert told(two) == told(tally)
    other = PrunedDesigns({LABELS[1]: np.array([-1.0])}, {axis: np.array([0]) for axis in tally.axes})
    with pytest.raises(ValueError, match="cannot be decided by"):
        tally.add_decided(other)
    unknown = PrunedDesigns({"nobody": np.array([-1.0])}, {axis: np.array([0]) for axis in tally.axes})
    with pytest.raises(ValueError, match="cannot be decided by"):
        counted(good).add_decided(unknown)
    four = empty()
    four.begin(rows)
    four.add_decided(other)
    with pytest.raises(ValueError, match="decided by different constraints"):
        tally.merge(four)


def held(*path, **change):
    """A change of a part of a state: of an array by what is added to it, else by what stands in its place."""

    def put(state):
        for key in path:
            state = state[key]
        for key, value in change.items():
            state[key] = state[key] + value if isinstance(value, int) else value

    return put


def of_first(state, key, value):
    """Let all numbers of a part of the first axis be one."""
    state["axes"][0][key] = np.full_like(state["axes"][0][key], value)


@pytest.mark.parametrize(
    "change",
    [
        held(counted=[1, 2]), held(labels=["a"]), lambda s: s.update(axes=s["axes"][:2]),
        held("axes", 1, values=["1", "2", "4"]), held("axes", 0, missed_at=99), held("axes", 0, missed_at=-99),
        held("axes", 0, missed=4), held("axes", 0, missed=-4), held("axes", 0, missed_by=np.zeros(99)),
        lambda s: of_first(s, "missed", len(s["labels"])), lambda s: of_first(s, "missed", -1),
        lambda s: of_first(s, "missed_at", -1),
        lambda s: s["patterns"].update(broken=np.concatenate([s["patterns"]["broken"]] * 2)),
        lambda s: s["patterns"].update(axes=s["patterns"]["axes"][:1]),
    ],
)  # fmt: skip
def test_a_state_of_other_counts_is_refused(change):
    state = counted(stream(60, 2)).state()
    state["axes"], state["patterns"] = [dict(one) for one in state["axes"]], dict(state["patterns"])
    change(state)
    with pytest.raises(RecordError):
        empty().restore(read_packed(packed(state), "it"))


def test_names_that_change_and_tallies_of_other_axes_are_refused():
    rows = stream(20)
    tally = counted(rows)
    other = Rows(
        rows.ids,
        Table(rows.designs | {"memory": Choice(("hbm", "lpddr"), rows.designs["memory"].codes)}),
        rows.evaluation,
    )
    with pytest.raises(ValueError, match="memory changed its values"):
        tally.add(other)
    with pytest.raises(ValueError, match="different constraints or axes"):
        tally.merge(counted(other))
