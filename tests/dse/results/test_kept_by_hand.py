"""What is kept and counted of a stream of designs beside plain twins, whole, in pieces, merged, and read again."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.table import INACTIVE, Choice, Table
from dse.errors import RecordError
from dse.evaluator import Evaluation
from dse.packing import packed, read_packed
from dse.results import archive as archive_module
from dse.results.archive import Archive
from dse.results.directory import place_for_run
from dse.results.rows import Rows, UniformSample, distinct, joined, rows_data, rows_of, stride_for
from dse.results.statistics.axes import Binning, binning_of
from dse.results.statistics.counts import NO_OBJECTIVE, Statistics
from dse.results.statistics.margins import interval_of, margin_counts
from dse.results.statistics.patterns import PatternCounts, distinct_patterns
from dse.results.statistics.pruned import PrunedDesigns
from dse.results.statistics.records import Violation
from dse.results.store import headed
from dse.results.top import Top
from dse.results.writer import kept_words
from dse.space import Space
from dse.sweep import parse_spec
from tests.dse.results.test_store import WHEN
from tests.sweeps import small

LABELS = ("chat.tpot_ms <= 50", "capacity", "tdp_w <= 150")
METRICS = {"chat.tpot_ms <= 50": "chat.tpot_ms", "tdp_w <= 150": "tdp_w"}
MACS = np.array([1.0, 2.0, 4.0, 8.0])


def stream(n, seed=0):
    """Rows that repeat, tie, lack objectives and metrics, and are inactive in places."""
    rng = np.random.default_rng(seed)
    margins = np.round(rng.uniform(-1.3, 1.3, (n, 3)), 2)
    objectives = np.round(rng.random((n, 2)), 1)
    speed, watts = objectives[:, 0].copy(), objectives[:, 1].copy()
    full = rng.random(n) < 0.2
    # What does not fit has no speed; some lack a metric for no other reason.
    margins[full, 1], margins[full, 0] = -0.5, -1.0
    lost = full | (rng.random(n) < 0.05)
    speed[lost], objectives[lost, 0], margins[lost, 0] = np.nan, np.nan, -1.0
    objectives[rng.random(n) < 0.05, 1] = np.nan
    missing = np.isnan(objectives).sum(axis=1) + np.isnan(speed)
    feasible = (margins >= 0).all(axis=1) & (missing == 0)
    designs = {
        "memory": Choice(("lpddr", "hbm"), rng.integers(INACTIVE, 2, n)),
        "macs": np.where(rng.random(n) < 0.1, np.nan, MACS[rng.integers(0, 4, n)]),
        "sram": rng.integers(0, 15, n) * 1.0,
    }
    found = Evaluation(
        {"chat.tpot_ms": speed, "tdp_w": watts}, dict(zip(LABELS, margins.T, strict=True)), objectives, feasible,
        missing.astype(np.intp),
    )  # fmt: skip
    return Rows(np.arange(n, dtype=np.int64), Table(designs), found)


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


def value_of(rows, axis, i):
    column = rows.designs[axis]
    if isinstance(column, Choice):
        return "inactive" if column.codes[i] == INACTIVE else column.values[column.codes[i]]
    if math.isnan(column[i]):
        return "inactive"
    if axis == "macs":
        return f"{column[i]:g}"
    return "0 to 5" if column[i] < 5 else "5 to 10" if column[i] < 10 else "10 to 14"


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


@pytest.mark.parametrize(
    "change",
    [
        held(counted=[1, 2]), held(labels=["a"]), lambda s: s.update(axes=s["axes"][:2]),
        held("axes", 1, values=["1", "2", "4"]), held("axes", 0, missed_at=99), held("axes", 0, missed_at=-99),
        held("axes", 0, missed=4), held("axes", 0, missed=-4), held("axes", 0, missed_by=np.zeros(99)),
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


@pytest.mark.parametrize(
    ("margin", "low", "high"),
    [(-1.5, -math.inf, -1), (-1.0, -1, -0.9), (-0.05, -0.1, 0), (0.0, 0, 0.1), (0.09, 0, 0.1), (0.95, 0.9, 1),
     (1.0, 1, math.inf), (7.0, 1, math.inf)],
)  # fmt: skip
def test_a_margin_lies_in_its_interval(margin, low, high):
    counts = np.bincount(interval_of(np.array([margin])), minlength=22)
    (one,) = margin_counts("c", counts)
    assert (one.low, one.high, one.designs) == (low, high, 1)


def test_patterns_are_numbered_as_they_are_met_and_counted_by_value():
    counts = PatternCounts(3, {"x": 2})
    assert not counts
    broken = [np.array([True, False, True, False]), np.array([False, False, False, True]), np.zeros(4, bool)]
    present = counts.add(broken, {"x": np.array([0, 0, 0, 0])})
    assert present["x"].tolist() == [True, False] and counts
    counts.add([mask[:1] for mask in broken], {"x": np.array([1])})
    met = {tuple(row): (total, tuple(values)) for row, total, values in
           zip(counts.broken.tolist(), counts.totals.tolist(), counts.by_axis["x"].tolist(), strict=True)}  # fmt: skip
    assert met == {
        (True, False, False): (3, (2, 1)),
        (False, False, False): (1, (1, 0)),
        (False, True, False): (1, (1, 0)),
    }
    assert counts.violated().tolist() == [3, 1, 0] and [counts.breaking_only(i) for i in range(3)] == [3, 1, 0]


@pytest.mark.parametrize("width", [1, 13, 14, 15, 16, 61, 62, 63, 64, 125])
def test_patterns_of_every_width_are_those_of_the_rows(width):
    rng = np.random.default_rng(width)
    broken = rng.random((50, width)) < 0.5
    broken[:, 0] = True
    broken[:, width // 2] |= width > 1
    patterns, which = distinct_patterns(list(broken.T))
    assert (patterns[which] == broken).all() and len({row.tobytes() for row in patterns}) == len(patterns)
    assert set(which.tolist()) == set(range(len(patterns)))
    same, places = distinct_patterns([np.ones(3, bool), np.zeros(3, bool)])
    assert same.tolist() == [[True, False]] and places.tolist() == [0, 0, 0]
    none, nowhere = distinct_patterns([np.zeros(0, bool)])
    assert none.shape == (0, 1) and nowhere.shape == (0,)


def cut(axis):
    base = {"node": "tsmc_5", "memory": "hbm3", "memory_device_gib": 16, "memory_devices": 8}
    ((name, entry),) = axis.items() if len(axis) == 1 and "values" not in axis else [("sram_mib", axis)]
    return binning_of(Space(parse_spec(small(space={**base, name: entry}))).parameters[name])


def test_axes_of_few_values_are_counted_value_by_value_and_others_in_intervals():
    assert len(cut({"values": list(range(1, 33))}).levels) == 32 and not len(cut({"values": list(range(1, 34))}).levels)
    whole = {"macs": {"low": 1024, "high": 1024 + 31}}
    assert cut(whole).levels.tolist() == list(range(1024, 1056))
    assert cut({"macs": {"low": 1024, "high": 1024 + 32}}).edges.tolist() == list(range(1024, 1057, 4))
    even, wide, log = (
        cut({"link_gbps": {"low": 1.5, "high": high, **more}})
        for high, more in ((45, {}), (45.1, {}), (20, {"log": True}))
    )
    assert np.ptp(np.diff(even.edges)) == pytest.approx(0, abs=1e-9) and len(even.edges) == 9
    assert np.ptp(np.diff(np.log(wide.edges))) == pytest.approx(0, abs=1e-9)
    assert np.ptp(np.diff(np.log(log.edges))) == pytest.approx(0, abs=1e-9)
    zero = cut({"link_gbps": {"low": 0, "high": 64}})
    assert zero.edges.tolist() == [0, 8, 16, 24, 32, 40, 48, 56, 64]
    assert zero.words[:2] == ("0 to 8", "8 to 16") and zero.bounds[0] == (0, 8)
    levels = Binning(np.array([1.0, 2.0, 4.0]), np.empty(0))
    assert levels.bounds == [(1, 1), (2, 2), (4, 4)] and levels.words == ("1", "2", "4")
    assert levels.codes(np.array([0, 1, 1.49, 1.5, 2, 3, 9, np.nan])).tolist() == [0, 0, 0, 1, 1, 2, 2, INACTIVE]


# --- rows -------------------------------------------------------------------------------------------------------------


def same_rows(one, other):
    assert one.ids.tolist() == other.ids.tolist() and list(one.designs) == list(other.designs)
    for name, column in one.designs.items():
        theirs = other.designs[name]
        if isinstance(column, Choice):
            assert column.names().tolist() == theirs.names().tolist()
        else:
            np.testing.assert_array_equal(column, theirs)
    for mine, theirs in ((one.evaluation, other.evaluation),):
        np.testing.assert_array_equal(mine.objectives, theirs.objectives)
        np.testing.assert_array_equal(mine.feasible, theirs.feasible)
        assert (mine.missing is None) == (theirs.missing is None)
        if mine.missing is not None:
            np.testing.assert_array_equal(mine.missing, theirs.missing)
        assert (mine.failed is None) == (theirs.failed is None)
        if mine.failed is not None:
            assert mine.failed.names().tolist() == theirs.failed.names().tolist()
        for kind in ("metrics", "margins"):
            assert list(getattr(mine, kind)) == list(getattr(theirs, kind))
            for name, values in getattr(mine, kind).items():
                np.testing.assert_array_equal(values, getattr(theirs, kind)[name])


def changed(rows, **evaluation):
    found = rows.evaluation
    fields = {
        name: getattr(found, name) for name in ("metrics", "margins", "objectives", "feasible", "missing", "failed")
    }
    return Rows(rows.ids, rows.designs, Evaluation(**fields | evaluation))


def test_rows_are_read_again_as_they_were_and_joined_in_their_order():
    rows = stream(30, 4)
    failed = Choice(("slow", "gone"), np.arange(30) % 3 - 1)
    for one in (rows, changed(rows, missing=None), changed(rows, failed=failed), rows.take(np.arange(0))):
        back = rows_of(read_packed(packed({"rows": rows_data(one)}), "it").part("rows"))
        same_rows(back, one)
        for cuts in ([10], [0, 10], [1, 29]):
            if len(one):
                same_rows(joined([one.take(part) for part in np.split(np.arange(30), cuts)]), one)
    assert rows_data(None) is None
    half, other = rows.take(np.arange(10)), rows.take(np.arange(10, 30))
    mixed = joined([changed(half, missing=None), other]).evaluation.missing
    assert mixed.tolist() == [0] * 10 + other.evaluation.missing.tolist()
    assert joined([changed(half, failed=failed[:10]), other]).evaluation.failed is None
    with pytest.raises(RecordError, match="has not the columns"):
        joined([half, changed(other, metrics={"tdp_w": other.evaluation.metrics["tdp_w"]})])
    assert joined([changed(half, metrics={"tdp_w": half.evaluation.metrics["tdp_w"]}), other]).ids.tolist() == list(
        range(30)
    )


@pytest.mark.parametrize("codes", [[0, 1, -2], [0, 2, 0]])
def test_codes_of_no_value_are_refused(codes):
    state = rows_data(stream(3))
    state["designs"] = [
        {**one, "codes": np.array(codes, np.int16)} if "codes" in one else one for one in state["designs"]
    ]
    with pytest.raises(RecordError, match="codes"):
        rows_of(read_packed(packed({"rows": state}), "it").part("rows"))


def test_codes_are_kept_in_two_bytes_as_long_as_they_fit():
    most = np.iinfo(np.int16).max
    for names, kind in ((1, np.int16), (most - 1, np.int16), (most, np.int64)):
        column = Choice(tuple(map(str, range(names))), np.array([0, names - 1, INACTIVE]))
        one = stream(3)
        state = rows_data(Rows(one.ids, Table({"a": column}), one.evaluation))
        assert state["designs"][0]["codes"].dtype == kind, names


def test_different_designs_are_the_first_of_their_kind_in_an_order():
    rows = stream(80, 6)
    keys = [
        tuple(value_of(rows, axis, i) if axis != "sram" else rows.designs[axis][i] for axis in rows.designs)
        for i in range(80)
    ]
    order = np.random.default_rng(1).permutation(80)
    firsts = {}
    for i in order.tolist():
        firsts.setdefault(keys[i], i)
    assert distinct(rows, order).tolist() == list(firsts.values())


@pytest.mark.parametrize(
    ("total", "at_most", "stride"),
    [(0, 5, 1), (5, 5, 1), (6, 5, 2), (10, 5, 2), (11, 5, 4), (9, 0, 0), (1, 1, 1), (2, 1, 2), (3, 1, 4), (64, 2, 32)],
)
def test_a_stride_is_the_least_power_of_two_that_keeps_few_enough(total, at_most, stride):
    assert stride_for(total, at_most) == stride


@pytest.mark.parametrize("at_most", [0, 1, 7, 16, 99])
def test_a_sample_is_every_kth_row_merged_and_read_again(at_most):
    rows = stream(100, 7)
    expected = list(range(0, 100, stride_for(100, at_most))) if at_most else []
    whole = UniformSample(at_most)
    whole.add(rows)
    known = UniformSample(at_most, total=100)
    known.add(rows)
    parts = UniformSample(at_most)
    for start in (0, 32, 64):
        part = UniformSample(at_most, total=100 if start == 32 else 0)
        part.add(rows.take(np.arange(start, min(start + 32, 100))))
        if start == 64:
            part.add(rows.take(np.arange(96, 100)))
        parts.merge(part)
    for one in (whole, known, parts):
        assert one.ids.tolist() == expected
        fresh = UniformSample(at_most)
        fresh.restore(read_packed(packed(one.state()), "it"))
        assert fresh.ids.tolist() == expected and fresh.stride == one.stride
        fresh.add(stream(200, 7).take(np.arange(100, 200)))
        assert fresh.ids.tolist() == ([*range(0, 200, stride_for(200, at_most))] if at_most else [])
    assert (whole.rows() is None) == (at_most == 0)


def test_a_sample_is_renumbered_by_whole_strides():
    sample = UniformSample(5)
    sample.add(stream(10))
    sample.renumber(4)
    assert sample.ids.tolist() == [4, 6, 8, 10, 12]
    with pytest.raises(ValueError, match="3 is not a multiple of the stride 2"):
        sample.renumber(3)
    UniformSample(0).renumber(3)


# --- what an archive keeps --------------------------------------------------------------------------------------------


SPACE = Space(parse_spec(small(
    space={"memory": {"values": ["hbm3", "lpddr5x_9600"]}, "memory_device_gib": 8, "sram_mib": {"low": 1, "high": 640}},
)))  # fmt: skip


def archived(n, seed=0, values=640):
    rng = np.random.default_rng(seed)
    objectives = np.round(rng.random((n, 2)), 2)
    margin = np.round(rng.uniform(-1, 0.5, n), 2)
    objectives[rng.random(n) < 0.02] = np.nan
    feasible = (margin >= 0) & np.isfinite(objectives).all(axis=1)
    designs = Table(
        {
            "memory": Choice(("hbm3", "lpddr5x_9600"), rng.integers(0, 2, n)),
            "sram_mib": 1.0 * rng.integers(0, values, n),
        }
    )
    found = Evaluation({"cost_usd": objectives[:, 0]}, {"limit": margin}, objectives, feasible)
    return Rows(np.arange(n, dtype=np.int64), designs, found)


def keeper(**more):
    return Archive(SPACE, 2, **{"sample": 16, **more})


def key_of(rows, i):
    return int(rows.designs["memory"].codes[i]), float(rows.designs["sram_mib"][i])


def firsts(rows, places, most):
    found = {}
    for i in places:
        found.setdefault(key_of(rows, i), i)
    return list(found.values())[:most]


def box_by_hand(rows, first):
    good = [i for i in range(first) if rows.evaluation.feasible[i]]
    points = rows.evaluation.objectives[good]
    return points.min(axis=0), [w + 0.1 * (abs(w) if w else 1.0) for w in points.max(axis=0)]


def volume(points, best, worst):
    """The share of the box that points dominate, by a sweep along the first objective."""
    inside = sorted({tuple(p) for p in points if (p < worst).all()})
    area, height = 0.0, worst[1]
    for x, y in inside:
        if y < height:
            area += (worst[0] - x) * (height - y)
            height = y
    return area / ((worst[0] - best[0]) * (worst[1] - best[1]))


@pytest.mark.parametrize(
    ("n", "seed", "values"), [(5, 0, 640), (300, 1, 640), (900, 2, 30), (900, 3, 3), (1500, 4, 640)]
)
def test_an_archive_keeps_what_a_plain_twin_keeps(n, seed, values, monkeypatch):
    monkeypatch.setattr(archive_module, "FIRST_LOOKED_AT", 25)
    rows = archived(n, seed, values)
    found, points = rows.evaluation, rows.evaluation.objectives
    good = np.flatnonzero(found.feasible).tolist()

    def beaten(i):
        return any((points[k] <= points[i]).all() and ((points[k] < points[i]).any() or k < i) for k in good if k != i)

    front = [i for i in good if not beaten(i)]
    missed = [i for i in range(n) if not found.feasible[i]]
    nearest = firsts(rows, sorted(missed, key=lambda i: (rows.violation[i], i)), 20)
    tops = [firsts(rows, sorted(good, key=lambda i: (points[i, k], i)), 20) for k in range(2)]

    def check(one):
        assert one.front_size == len(front)
        assert ([] if one.front is None else one.front.ids.tolist()) == front
        assert ([] if one.misses is None else one.misses.ids.tolist()) == nearest
        assert [[] if top is None else top.ids.tolist() for top in one.tops] == tops
        assert one.sample.ids.tolist() == list(range(0, n, stride_for(n, 16)))
        assert one.tally.evaluated == n and one.tally.feasible == len(good)
        assert one.parameters_read == {"a", "b"}

    def add(one, start, stop, path):
        one.add(rows.take(np.arange(start, stop)))
        one.parameters_read |= {path}
        return one

    whole = keeper()
    add(whole, 0, n, "a")
    whole.parameters_read |= {"b"}
    check(whole)
    step = max(1, n // 4)
    pieces, merged, shifted = keeper(), keeper(), keeper()
    for number, start in enumerate(range(0, n, step)):
        stop = min(start + step, n)
        add(pieces, start, stop, "ab"[number % 2])
        later = add(keeper(), start, stop, "ab"[number % 2])
        merged.merge(again_of(later))
    cut_at = 128 if n > 128 else 0
    own = keeper(total=n)
    if cut_at:
        add(shifted, 0, cut_at, "a")
    part = rows.take(np.arange(cut_at, n))
    own.add(Rows(part.ids - cut_at, part.designs, part.evaluation))
    own.parameters_read |= {"a", "b"}
    shifted.merge(own, offset=cut_at)
    pieces.parameters_read |= {"a", "b"}
    merged.parameters_read |= {"a", "b"}
    for one in (pieces, merged, shifted, again_of(whole)):
        check(one)
    if good:
        best, worst = box_by_hand(rows, n)
        expected = volume(points[front], best, np.array(worst))
        assert whole.hypervolume() == pytest.approx(expected) and again_of(whole).hypervolume() == pytest.approx(
            expected
        )
        monkeypatch.setattr(archive_module, "MAX_FRONT_FOR_VOLUME", {2: len(front)})
        assert whole.hypervolume() == pytest.approx(expected)
        monkeypatch.setattr(archive_module, "MAX_FRONT_FOR_VOLUME", {2: len(front) - 1})
        assert math.isnan(whole.hypervolume())


def again_of(one):
    return keeper().restore(read_packed(packed(one.state()), "it"))


def test_the_box_of_the_volume_is_that_of_the_first_feasible_designs():
    def point(ids, objectives):
        objectives = np.array(objectives, float)
        n = len(objectives)
        designs = Table(
            {"memory": Choice(("hbm3", "lpddr5x_9600"), np.zeros(n, np.intp)), "sram_mib": np.array(ids, float)}
        )
        found = Evaluation({"cost_usd": objectives[:, 0]}, {"limit": np.ones(n)}, objectives, np.ones(n, bool))
        return Rows(np.array(ids), designs, found)

    one = keeper()
    assert math.isnan(one.hypervolume())
    one.add(point([0, 1], [[-1, 0], [-4, -2]]))
    # To 0.1 beyond the worst of either, -1 + 0.1 and 0 + 0.1: the second point spans the whole of it.
    assert one._box[0].tolist() == [-4, -2] and one._box[1].tolist() == pytest.approx([-0.9, 0.1])
    assert one.hypervolume() == pytest.approx(1)
    one.add(point([2], [[-8, -2]]))
    assert one.hypervolume() == pytest.approx((8 - 0.9) / (4 - 0.9)), "better than all of the first: more than all"
    two = keeper()
    two.merge(one)
    assert two.hypervolume() == one.hypervolume()


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_best_of_one_objective_are_kept_each_design_once(size):
    rows = archived(400, 8, values=6)
    found = rows.evaluation
    expected = firsts(rows, sorted(np.flatnonzero(found.feasible), key=lambda i: (found.objectives[i, 1], i)), size)
    whole, pieces, backwards = Top(1, size), Top(1, size), Top(1, size)
    whole.add(rows)
    parts = np.split(np.arange(400), [3, 50, 51, 300])
    for part in parts:
        pieces.add(rows.take(part))
    for part in reversed(parts):
        other = Top(1, size)
        other.add(rows.take(part))
        backwards.merge(other)
    for one in (whole, pieces, backwards):
        assert one.rows.ids.tolist() == expected
    whole.renumber(7)
    assert whole.rows.ids.tolist() == [i + 7 for i in expected]
    none = Top(0)
    none.add(rows.take(~found.feasible))
    none.renumber(1)
    whole.merge(none)
    assert none.rows is None and len(whole.rows) == size


# --- words ------------------------------------------------------------------------------------------------------------


def test_what_is_kept_is_told_in_words():
    matter = "the front, the picks and the least infeasible designs"
    assert kept_words(1) == "every design" and kept_words(0) == matter
    assert kept_words(2) == f"{matter}, and of the rest one in 2 by id"


def test_a_second_run_of_a_second_has_the_next_number(tmp_path):
    names = []
    for _ in range(3):
        place = place_for_run("tiny", "0123456789abcdef", started=WHEN, results=tmp_path)
        place.mkdir(parents=True)
        names.append(place.name)
    assert names == [f"20260304T050607Z-01234567{end}" for end in ("", "-2", "-3")]


@pytest.mark.parametrize(
    ("name", "unit", "heading"),
    [
        ("tokens_per_s", "token/s", "tokens_per_s"), ("speed", "token/s", "speed [token/s]"),
        ("area_mm2", "mm²", "area_mm2"),
        ("link_gbps", "GB/s", "link_gbps"), ("years", "year", "years"), ("share", "", "share"),
        ("tokens_per_joule", "token/J", "tokens_per_joule"), ("chat.tpot_ms", "ms", "chat.tpot_ms"),
        ("rate_mbps", "Mb/s", "rate_mbps"),
    ],
)  # fmt: skip
def test_a_heading_has_a_unit_where_the_name_says_none(name, unit, heading, monkeypatch):
    from cost_models.quantities import columns

    monkeypatch.setattr(columns, "describe", lambda name, metrics: SimpleNamespace(unit=unit))
    assert headed(name, {}) == heading
