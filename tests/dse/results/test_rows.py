from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.table import Choice, Table
from dse.evaluator import Evaluation, Evaluator
from dse.results.rows import MARGIN_PREFIX, Rows, UniformSample, joined
from dse.sweep import parse_spec
from dse.violation import MISSING


def rows_of(ids, memory=("lpddr", "hbm")):
    ids = np.asarray(ids, dtype=np.int64)
    margin = 2.0 - ids
    evaluation = Evaluation({"tdp_w": ids * 10.0}, {"tdp_w <= 20": margin}, ids[:, None] * 1.0, margin >= 0)
    return Rows(ids, Table({"memory": Choice(memory, ids % len(memory)), "macs": ids * 2.0}), evaluation)


@given(st.integers(1, 400), st.integers(1, 40), st.integers(1, 97))
def test_a_thinned_stream_depends_on_the_stream_alone(total, at_most, piece):
    whole, pieces = UniformSample(at_most), UniformSample(at_most)
    whole.add(rows_of(range(total)))
    for start in range(0, total, piece):
        pieces.add(rows_of(range(start, min(start + piece, total))))
    kept = whole.rows().ids
    assert list(kept) == list(pieces.rows().ids)
    assert list(kept) == list(range(0, total, whole.stride))
    assert len(kept) <= at_most
    assert len(kept) == total or 2 * len(kept) >= at_most


def test_keeping_nothing_keeps_nothing():
    thinned = UniformSample(0)
    thinned.add(rows_of(range(9)))
    assert thinned.rows() is None and thinned.stride == 0


def test_rows_join_whatever_names_their_columns_list():
    both = joined([rows_of([0, 1]), rows_of([2, 3], memory=("hbm", "gddr"))])
    assert list(both.designs["memory"].names()) == ["lpddr", "hbm", "hbm", "gddr"]
    assert list(both.evaluation.metrics["tdp_w"]) == [0, 10, 20, 30]
    with pytest.raises(TypeError, match="names in some rows"):
        numbers = Table({"memory": np.ones(1), "macs": np.ones(1)})
        joined([rows_of([0]), Rows(np.array([1]), numbers, rows_of([1]).evaluation)])


def test_the_frame_says_everything_known_of_a_row():
    table = rows_of(range(5)).frame()
    assert list(table) == ["id", "memory", "macs", "tdp_w", "feasible", "violation", MARGIN_PREFIX + "tdp_w <= 20"]
    assert list(table["memory"].astype(str)) == ["lpddr", "hbm", "lpddr", "hbm", "lpddr"]
    assert list(table["violation"]) == [0, 0, 0, 1, 2]
    assert list(table["feasible"]) == [True, True, True, False, False]


def test_a_row_that_lacks_nothing_but_an_objective_still_misses():
    rows = rows_of([0, 1, 4])
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
