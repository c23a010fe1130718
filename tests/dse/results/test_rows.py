from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.table import INACTIVE, Choice, Table
from dse.errors import RecordError
from dse.evaluator import Evaluation, Evaluator
from dse.packing import packed, read_packed
from dse.results.rows import MARGIN_PREFIX, Rows, UniformSample, distinct, joined, rows_data, rows_of, stride_for
from dse.sweep import parse_spec
from dse.violation import MISSING
from tests.dse.results.streams import changed, stream, value_of


def numbered(ids, memory=("lpddr", "hbm")):
    ids = np.asarray(ids, dtype=np.int64)
    margin = 2.0 - ids
    evaluation = Evaluation({"tdp_w": ids * 10.0}, {"tdp_w <= 20": margin}, ids[:, None] * 1.0, margin >= 0)
    return Rows(ids, Table({"memory": Choice(memory, ids % len(memory)), "macs": ids * 2.0}), evaluation)


@given(st.integers(1, 400), st.integers(1, 40), st.integers(1, 97))
def test_a_thinned_stream_depends_on_the_stream_alone(total, at_most, piece):
    whole, pieces = UniformSample(at_most), UniformSample(at_most)
    whole.add(numbered(range(total)))
    for start in range(0, total, piece):
        pieces.add(numbered(range(start, min(start + piece, total))))
    kept = whole.rows().ids
    assert list(kept) == list(pieces.rows().ids)
    assert list(kept) == list(range(0, total, whole.stride))
    assert len(kept) <= at_most
    assert len(kept) == total or 2 * len(kept) >= at_most


def test_keeping_nothing_keeps_nothing():
    thinned = UniformSample(0)
    thinned.add(numbered(range(9)))
    assert thinned.rows() is None and thinned.stride == 0


def test_rows_join_whatever_names_their_columns_list():
    both = joined([numbered([0, 1]), numbered([2, 3], memory=("hbm", "gddr"))])
    assert list(both.designs["memory"].names()) == ["lpddr", "hbm", "hbm", "gddr"]
    assert list(both.evaluation.metrics["tdp_w"]) == [0, 10, 20, 30]
    with pytest.raises(TypeError, match="names in some rows"):
        numbers = Table({"memory": np.ones(1), "macs": np.ones(1)})
        joined([numbered([0]), Rows(np.array([1]), numbers, numbered([1]).evaluation)])


def test_the_frame_says_everything_known_of_a_row():
    table = numbered(range(5)).frame()
    assert list(table) == ["id", "memory", "macs", "tdp_w", "feasible", "violation", MARGIN_PREFIX + "tdp_w <= 20"]
    assert list(table["memory"].astype(str)) == ["lpddr", "hbm", "lpddr", "hbm", "lpddr"]
    assert list(table["violation"]) == [0, 0, 0, 1, 2]
    assert list(table["feasible"]) == [True, True, True, False, False]


def test_a_row_that_lacks_nothing_but_an_objective_still_misses():
    rows = numbered([0, 1, 4])
    result = replace(rows.evaluation, feasible=np.array([True, False, False]), missing=np.array([0, 1, 0]))
    assert list(replace(rows, evaluation=result).violation) == [0, MISSING, 2]


def test_designs_that_do_not_fit_come_after_slow_ones_and_by_what_they_lack():
    sweep = {
        "name": "tiny",
        "workloads": {"chat": {"model": "llama2_70b", "batch": 1}},
        "space": {"memory": "lpddr5x_9600", "memory_devices": {"values": [1, 2, 4, 24]}, "memory_device_gib": 8},
        "objectives": [{"metric": "cost_usd", "direction": "minimize"}],
        "constraints": [{"metric": "chat.tpot_ms", "max": 0.01}],
        "search": {"sampler": "grid"},
    }
    evaluator = Evaluator(parse_spec(sweep))
    same = {"memory": "lpddr5x_9600", "memory_device_gib": 8}
    designs = Table.from_settings(*({**same, "memory_devices": devices} for devices in (1, 2, 4, 24)))
    result = evaluator.evaluate(designs)
    rows = Rows(np.arange(4), designs, result)
    assert list(result.missing) == [1, 1, 1, 0]
    slow = -next(margin for name, margin in result.margins.items() if name.startswith("chat.tpot_ms"))[3]
    assert slow > 100 and not result.feasible.any()
    assert list(np.argsort(rows.violation)) == [3, 2, 1, 0]
    again = joined([rows.take(np.array([3])), rows.take(np.array([0, 1]))])
    assert list(again.violation) == [rows.violation[3], *rows.violation[:2]]


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


@pytest.mark.parametrize("at_most", [0, 1, 7, 16, 99, 100])
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
