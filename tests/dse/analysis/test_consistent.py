"""What a set of machines says, on sets small enough to be worked out by hand; and the choice of the best design."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cost_models.table import Choice, Table
from dse.analysis.audit.consistent import MAX_LISTED, ValueRange, extents_of, plain_row, settling_facts
from dse.analysis.audit.rates import _seconds, _values
from dse.analysis.nearest import Best, _first_of_each_name, by_violation, ranked
from dse.violation import violation


def test_extents_are_the_ends_of_numbers_and_the_shares_of_names():
    table = pd.DataFrame({
        "gbps": [3.0, 1.0, math.nan, 2.0],
        "none": [math.nan] * 4,
        "memory": ["hbm3", "gddr6", "hbm3", "hbm3"],
    })  # fmt: skip
    gbps, memory = extents_of(table, ["gbps", "none", "memory"])
    assert (gbps.name, gbps.low, gbps.high, gbps.text) == ("gbps", 1, 3, "1 to 3")
    assert memory.names == (("hbm3", 0.75), ("gddr6", 0.25)) and memory.text == "hbm3 (75 %), gddr6 (25 %)"
    assert ValueRange("same", 2, 2, ()).text == "2"
    listed = [ValueRange("", math.nan, math.nan, (("n", 0.1),) * count).text for count in (MAX_LISTED, MAX_LISTED + 1)]
    assert [text.count("n (10 %)") for text in listed] == [MAX_LISTED] * 2
    assert not listed[0].endswith(", ...") and listed[1].endswith(", ...")


def test_what_a_fact_leaves_open_is_the_spread_within_its_groups():
    # Knowing a name leaves of the logarithms 0, 1 | 2, 3 a variance of 1/4 in place of 5/4.
    table = pd.DataFrame({
        "name": ["a", "a", "b", "b"],
        "number": np.exp([0.0, 1.0, 2.0, 3.0]),
        "other": ["x", "x", "y", "x"],
        "constant": [7.0] * 4,
    })  # fmt: skip
    (fact,) = settling_facts(table, ["name"], ["name", "number", "constant"])
    assert (fact.name, fact.left) == ("name", pytest.approx(0.2))
    # Two members differ in `other` with the chance 1 - (3/4)^2 - (1/4)^2 = 3/8; within a 0, within b 1/2, so 1/4 left.
    (fact,) = settling_facts(table, ["name"], ["number", "other"])
    assert fact.left == pytest.approx((0.2 + 0.25 / 0.375) / 2)
    # A number of few values is as good as a name; what has one value tells nothing; the most telling comes first.
    facts = settling_facts(table, ["constant", "name", "number"], ["name", "number"])
    assert [one.name for one in facts] == ["number", "name"] and [one.left for one in facts] == pytest.approx([0, 0.2])


def test_numbers_of_many_values_are_known_within_even_parts():
    numbers = np.exp(np.linspace(0, 1, 4000))
    (fact,) = settling_facts(pd.DataFrame({"fact": numbers, "same": numbers}), ["fact"], ["same"])
    # Of an even spread k even parts leave 1 / k^2.
    bins = round(fact.left**-0.5)
    assert bins > 3 and fact.left == pytest.approx(bins**-2, rel=0.01)


def test_a_plain_row_holds_what_there_is():
    assert plain_row({"a": np.float64(2), "b": math.nan, "c": "x", "d": None, 5: np.int64(3)}) == {
        "a": 2.0, "c": "x", "5": 3,
    }  # fmt: skip


def test_axes_are_even_or_even_in_ratios():
    assert _values(1, 5, 3, False).tolist() == [1, 3, 5]
    assert _values(1, 9, 3, True).tolist() == pytest.approx([1, 3, 9])


SERVING = SimpleNamespace(batch=np.array([32.0]), output_tokens=np.array([100.0]))


@pytest.mark.parametrize(
    ("metric", "interval", "seconds"),
    [
        ("tpot_ms", (10, 20), (0.01, 0.02)),
        ("ttft_ms", (0, 1500), (0, 1.5)),
        ("request_s", (2, 3), (2, 3)),
        ("tokens_per_s", (320, 640), (0.05, 0.1)),
        ("tokens_per_s", (0, 640), (0.05, math.inf)),
        ("tokens_per_s", (-math.inf, 0), (math.inf, math.inf)),
        ("tokens_per_s_end_to_end", (320, math.inf), (0, 10)),
    ],
)
def test_a_claim_allows_these_seconds(metric, interval, seconds):
    assert _seconds(SimpleNamespace(interval=interval), metric, SERVING) == pytest.approx(seconds)


def best(missed, score):
    return Best({}, Table({}), missed, score)


def test_the_nearest_comes_first_and_of_equally_near_ones_the_best():
    score, missed = np.array([1.0, 3.0, 2.0, np.nan, 0.0]), np.array([0.0, 0.0, 0.0, 0.0, 0.5])
    assert ranked(score, missed).tolist() == [0, 2, 1, 4]
    assert best(0.1, 9).is_better_than(best(0.2, 1)) and not best(0.2, 1).is_better_than(best(0.1, 9))
    assert best(0.2, 1).is_better_than(best(0.2, 2)) and not best(0.2, 2).is_better_than(best(0.2, 2))
    # Nearer by less than rounding is as near, and then the score must be better.
    assert not best(0.2 * (1 - 1e-12), 3).is_better_than(best(0.2, 2))
    assert best(0.2 * (1 - 1e-12), 1).is_better_than(best(0.2, 2))
    assert best(0.1, 9).rank() == (0.1, 9)


def test_a_search_starts_at_the_best_of_every_name():
    designs = Table({"memory": Choice(("a", "b", "c"), np.array([0, 0, 2, 1])), "macs": np.arange(4.0)})
    order = np.array([1, 0, 2, 3])
    assert sorted(map(int, _first_of_each_name(designs, order))) == [1, 2, 3]


def test_a_condition_that_is_ignored_only_breaks_ties():
    margins = {"a": np.array([0.5, -0.5, -0.5]), "b": np.array([-0.2, -0.2, 0.1])}
    found = SimpleNamespace(margins=margins, feasible=np.zeros(3, dtype=bool), missing=None)
    np.testing.assert_allclose(by_violation(found), [violation(found)] * 2)
    ties = by_violation(found, ignored="a")[0] - violation(found, without=("a",))
    np.testing.assert_allclose(ties, [0, 0.005, 0.005], atol=1e-12)
