"""How the load is found at which limits cease to hold: moves of the bracket by hand, and searches with known ends."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from cost_models.performance import goodput as searching
from cost_models.performance.goodput import _Bracket, _searched, _started, goodput
from cost_models.performance.queue_chain import Traffic
from cost_models.performance.serving_queue import Queue
from tests.cost_models.performance.plain_queue import Engine
from tests.cost_models.performance.test_steady_state import steps_of

NAMES = ("low", "high", "at_low", "at_high", "before", "at_before", "last", "at_last", "side")


def bracket(**told):
    return _Bracket(*(np.full(1, float(told.get(name, 0.0))) for name in NAMES))


def test_where_limits_are_said_to_cease_to_hold():
    for told, crossing, middle in (
        # Through the last two loads, 1 and 2: from -4 to -2, so 3, which both ends include.
        ({"low": 2, "high": 8, "at_low": -2, "at_high": 6, "before": 1, "at_before": -4, "last": 2, "at_last": -2},
         3, 4),
        ({"low": 2, "high": 3, "at_low": -2, "at_high": 6, "before": 1, "at_before": -4, "last": 2, "at_last": -2},
         3, np.sqrt(6)),
        # It leads beyond an end, backwards, or nowhere: the line through both ends.
        ({"low": 2, "high": 8, "at_low": -2, "at_high": 4, "before": 1, "at_before": -2.2, "last": 2, "at_last": -2},
         4, 4),
        ({"low": 2, "high": 8, "at_low": -2, "at_high": 1, "before": 8, "at_before": -3, "last": 2, "at_last": -2},
         6, 4),
        ({"low": 2, "high": 8, "at_low": -2, "at_high": 2, "before": 1, "at_before": -2, "last": 2, "at_last": -2},
         5, 4),
        ({"low": 2, "high": 8, "at_low": -2, "at_high": -2, "before": 1, "at_before": -2, "last": 2, "at_last": -2},
         8, 4),
        # No end is known: eight times as far at the most, and as far where the line says nothing.
        ({"low": 2, "high": np.inf, "at_low": -2, "before": 1, "at_before": -4, "last": 2, "at_last": -2}, 3, 3),
        ({"low": 2, "high": np.inf, "at_low": -2, "before": 1, "at_before": -2.1, "last": 2, "at_last": -2}, 16, 16),
        ({"low": 2, "high": np.inf, "at_low": -2, "before": 1, "at_before": -2, "last": 2, "at_last": -2}, 16, 16),
        # It leads to an end itself: to the high one, and to the low one where a limit is just kept.
        ({"low": 2, "high": 8, "at_low": -6, "at_high": 6, "before": 1, "at_before": -7, "last": 2, "at_last": -6},
         8, 4),
        ({"low": 2, "high": np.inf, "at_low": 0, "before": 1, "at_before": -2, "last": 2, "at_last": 0}, 2, 2),
        # An end that is no load has no geometric mean.
        ({"low": 0, "high": 8, "at_low": -2, "at_high": 2, "before": 0, "at_before": -2, "last": 8, "at_last": 2},
         4, 4),
    ):  # fmt: skip
        one = bracket(**told)
        assert one.crossing()[0] == pytest.approx(crossing, nan_ok=True), told
        assert one.middle()[0] == pytest.approx(middle, nan_ok=True), told


def test_one_end_moves_to_what_was_tried_and_one_that_stays_twice_counts_half():
    start = _Bracket.of(np.full(1, -3.0))
    assert [getattr(start, name)[0] for name in NAMES] == [0, np.inf, -3, 0, 0, -3, 0, -3, 0]
    for tries, wanted in (
        ([(1, -2)], [1, np.inf, -2, 0, 0, -3, 1, -2, 1]),
        ([(4, 5)], [0, 4, -3, 5, 0, -3, 4, 5, -1]),
        # Limits that are just kept are kept.
        ([(4, 0)], [4, np.inf, 0, 0, 0, -3, 4, 0, 1]),
        ([(4, 5), (1, -2)], [1, 4, -2, 5, 4, 5, 1, -2, 1]),
        ([(4, 5), (1, -2), (2, -1)], [2, 4, -1, 2.5, 1, -2, 2, -1, 1]),
        ([(4, 5), (3, 2)], [0, 3, -1.5, 2, 4, 5, 3, 2, -1]),
    ):
        one = start
        for tried, missed in tries:
            one = one.with_tried(np.full(1, float(tried)), np.full(1, float(missed)))
        assert [getattr(one, name)[0] for name in NAMES] == wanted


@dataclass(frozen=True)
class Known:
    """What stands for a queue: by how much a limit is missed is told by the load u, each row by its own rule."""

    capacity_per_s: np.ndarray
    edge: np.ndarray
    kind: np.ndarray
    seen: list

    alone = None

    def open(self, rate):
        load = rate / (self.capacity_per_s - rate)
        self.seen.append(load)
        return load

    def missed(self, load, _):
        if load is None:
            return np.where(self.kind == 3, 1.0, -1.0)
        rules = (
            load / self.edge - 1,
            np.where(load < self.edge, -0.5, 3.0),
            np.full_like(load, -1.0),
            np.ones_like(load),
            (load / self.edge) ** 3 - 1,
            np.log(load / self.edge) / 8,
        )
        return np.choose(self.kind, rules)


def known(*rows, capacity=10.0):
    edge, kind = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows])
    return Known(np.full(len(rows), capacity), edge, kind, [])


def found(queue, start, tries=searching.TRIES):
    rate = _searched(queue, np.full(len(queue.edge), start), (np.inf, np.inf), tries=tries)
    return rate / (queue.capacity_per_s - rate)


def test_a_search_ends_where_it_must():
    # Rows go their own ways, so that those that have ended are left out on the way.
    rows = ((2.0, 0), (5.0, 1), (1.0, 2), (1.0, 3), (0.7, 4), (30.0, 4), (0.02, 1), (3.0, 5), (60.0, 0))
    loads = found(known(*rows), 5.0)
    # In proportion: exactly. What nothing misses: a hundredth below the capacity. Missed when alone: at no load.
    assert loads[[0, 8]] == pytest.approx([2.0, 60.0]) and loads[2] == pytest.approx(99.0) and loads[3] == 0
    # A jump: a part in a thousand below it; other curves to less than a hundredth of the limit.
    for row in (1, 6):
        assert rows[row][0] * (1 - 1e-3) <= loads[row] < rows[row][0]
    for row in (4, 5):
        assert abs((loads[row] / rows[row][0]) ** 3 - 1) < 1e-3
    assert abs(np.log(loads[7] / 3.0) / 8) < 1e-3
    for row, one in enumerate(rows):
        assert found(known(one), 5.0)[0] == pytest.approx(loads[row], rel=1e-12)


def test_a_search_begins_at_the_load_that_it_is_given_within_what_may_be():
    for start, first in ((5.0, 1.0), (0.0, 1e-30), (9.999, 99.0), (20.0, 99.0)):
        queue = known((2.0, 0))
        found(queue, start, tries=1)
        assert queue.seen[0][0] == pytest.approx(first, rel=1e-6)
    # After its last try it ends at what it would have tried next: eight times as far where so little is missed less.
    assert found(known((2.0, 4)), 5.0, tries=1)[0] == pytest.approx(8.0)
    assert found(known((2.0, 0)), 5.0, tries=1)[0] == pytest.approx(2.0)
    assert found(known((2.0, 4)), 5.0, tries=0)[0] == pytest.approx(1.0)


def test_every_second_try_from_the_fifth_on_halves_what_is_left():
    queue = known((20.0, 1))
    found(queue, 5.0)
    loads = [seen[0] for seen in queue.seen]
    low, high, halved = 0.0, np.inf, []
    for turn, load in enumerate(loads):
        halved += [turn] if load == pytest.approx(np.sqrt(low * high), rel=1e-9) else []
        low, high = (load, high) if load < 20 else (low, load)
    assert halved == [turn for turn in range(5, len(loads), 2)] and len(loads) > 7


@pytest.mark.parametrize("percentile", [np.nan, 95.0])
def test_the_first_load_is_that_of_even_numbers(percentile):
    one = Engine(most=40.0, wait_s=0.1)
    steps, limits = steps_of([one]), (np.full(1, 0.5), np.full(1, 0.03))
    queue, load = _started(steps, Traffic(limit_percentile=percentile), limits)
    # Prompts wait for l X^2 / (2 (1 - l X)) of what the limit leaves; a percentile of it were waits exponential.
    wait = 0.5 - 0.06 - 0.1
    wait /= 1 if np.isnan(percentile) else np.log(20)
    rate = 1 / (0.05 + 0.05**2 / (2 * wait))
    assert rate * 0.05**2 / (2 * (1 - rate * 0.05)) == pytest.approx(wait)
    decoding = min(steps.even_flow(0.03)[0], steps.even_number(rate)[0])
    assert queue.decoding[0] == pytest.approx(decoding)
    pace = 99 * one.step(decoding) + decoding * 0.05
    assert load[0] == pytest.approx(min(decoding / pace, 0.99 * queue.capacity_per_s[0]))
    # Without limits an engine is tried next to its capacity.
    endless = _started(steps, Traffic(), (np.full(1, np.inf), np.full(1, np.inf)))
    assert endless[1][0] <= 0.99 * endless[0].capacity_per_s[0]


def test_what_the_load_might_be_has_no_part_in_what_it_may_be():
    steps, limits = steps_of([Engine(), Engine(most=0.0), Engine(tokens=10.0)]), (0.3, 0.02)
    rate = goodput(steps, Traffic(), limits)
    told = Traffic(arrivals_per_s=np.full(3, 9.0), concurrency=np.full(3, 4.0))
    assert goodput(steps, told, limits).tolist() == rate.tolist()
    assert rate[1] == 0 < min(rate[0], rate[2])
    # A limit that a single request just keeps leaves a load, one that it misses none.
    for first, token in ((0.06, np.inf), (np.inf, 0.01)):
        assert goodput(steps_of([Engine()]), Traffic(), (first * (1 - 1e-9), token * (1 - 1e-9)))[0] == 0


def test_at_a_percentile_the_states_are_placed_anew_after_three_loads(monkeypatch):
    tried = []

    def noted(queue, load, limits, *, tries):
        tried.append((tries, queue, load))
        return _searched(queue, load, limits, tries=tries)

    monkeypatch.setattr(searching, "_searched", noted)
    steps, limits = steps_of([Engine(most=400.0)]), (0.5, 0.02)
    goodput(steps, Traffic(), limits)
    assert [one for one, _, _ in tried] == [searching.TRIES]
    tried.clear()
    goodput(steps, replace(Traffic(), limit_percentile=95.0), limits)
    (coarse, first, _), (fine, second, load) = tried
    assert (coarse, fine) == (3, 40)
    assert second.decoding[0] == pytest.approx(Queue(steps, first.traffic, first.decoding).open(load).decoding[0])
