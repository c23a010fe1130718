"""Goodput: the most requests per second at which limits on both times hold, for all rows at once.

Beyond the times of a single request, times grow about in proportion to u = l / (c - l), l being the load and c what the
engine finishes at most: as waiting times of a queue, and as shares of a processor. The load at which limits cease to
hold is found by straight lines in u, through the last two loads (secants) or through both ends of what is left (regula
falsi, Illinois), each row for as long as it takes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cost_models.performance.queue_chain import Traffic
from cost_models.performance.serving_queue import Queue
from cost_models.performance.step_times import StepTimes
from cost_models.performance.waits import TINY
from cost_models.table import FloatArray, Number, rows_of
from cost_models.tape import asarray

TRIES = 40
"""Most loads that are tried; few rows take more than a handful."""

HALVINGS = range(4, TRIES, 2)
"""Tries after which the middle of what is left is tried next, where straight lines are slow."""

COARSE_TRIES = 3
"""Loads that are tried before the queue's states are placed anew, where limits hold at a percentile."""

CLOSE = 1e-2
"""By how much a limit is missed or kept where one more straight line leads close enough to the load sought."""

NARROW = 1e-3
"""Width of a bracket, as a share of its load, at which a limit that is missed in a jump counts as found."""

NEAR = 0.01
"""Least share of what is left below the capacity that a load is tried at."""

FARTHEST = 8.0
"""Most that u grows from one try to the next."""

CROWDED = 0.7
"""Share of rows still searched below which the others are dropped; it takes time to pick rows out."""


def goodput(steps: StepTimes, traffic: Traffic, limits_s: tuple[Number, Number]) -> FloatArray:
    """Return ``(n,)`` the most arrivals per second at which limits hold; 0 where they hold at no load.

    Args:
        steps: the engines.
        traffic: burstiness, lengths, and the percentile at which limits hold.
        limits_s: most time to first token and per token, infinite for none.
    """
    possible = steps.most >= 1
    for least, limit in zip(steps.least_s, limits_s, strict=True):
        possible = possible & (least <= limit)
    rate, rows = np.zeros(possible.shape), np.flatnonzero(possible)
    if len(rows):
        limits = asarray(limits_s[0], dtype=np.float64), asarray(limits_s[1], dtype=np.float64)
        # What the load might be has no part in what it may be.
        traffic = replace(traffic, arrivals_per_s=np.nan, concurrency=np.nan)
        rate[rows] = _crossing(*rows_of((steps, traffic, limits), rows, len(rate)))
    return rate


def _crossing(steps: StepTimes, traffic: Traffic, limits_s: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Return the largest load that is found to keep the limits, each row by itself."""
    queue, load = _started(steps, traffic, limits_s)
    if not np.isnan(traffic.limit_percentile).all():
        # The load is further from the first one, which is found by means, than the states of the queue reach.
        load = _searched(queue, load, limits_s, tries=COARSE_TRIES)
        queue = replace(queue, decoding=queue.open(load).decoding)
    return _searched(queue, load, limits_s, tries=TRIES)


def _searched(queue: Queue, load: FloatArray, limits_s: tuple[FloatArray, FloatArray], *, tries: int) -> FloatArray:
    """Return the largest load that is found to keep the limits in so many tries at most, from a first one."""
    capacity, least = queue.capacity_per_s, queue.missed(queue.alone, limits_s)
    most, rate = (1 - NEAR) / NEAR, np.zeros_like(capacity)
    # Some of those who are alone may miss a limit at a percentile, where luck decides how many tokens a step yields.
    places, left = np.arange(len(rate)), least <= 0
    tried, bracket = np.clip(load / np.maximum(capacity - load, TINY), TINY, most), _Bracket.of(least)
    for turn in range(tries):
        missed = queue.missed(queue.open(capacity * tried / (1 + tried)), limits_s)
        bracket = bracket.with_tried(tried, missed)
        crossing = np.minimum(bracket.middle() if turn in HALVINGS else bracket.crossing(), most)
        close = np.abs(missed) <= CLOSE
        narrow = bracket.high - bracket.low <= NARROW * bracket.low
        done = left & (close | narrow | ((missed <= 0) & (tried >= most)))
        found = np.where(close, np.minimum(bracket.crossing(), most), bracket.low)
        rate[places[done]] = (capacity * found / (1 + found))[done]
        left = left & ~done
        if not left.any():
            return rate
        tried = np.where(left, crossing, tried)
        if left.mean() < CROWDED:
            searched = (queue, bracket, limits_s, capacity, tried, places)
            queue, bracket, limits_s, capacity, tried, places = rows_of(searched, np.flatnonzero(left), len(left))
            left = np.ones(len(places), dtype=bool)
    rate[places[left]] = (capacity * tried / (1 + tried))[left]
    return rate


def _started(steps: StepTimes, traffic: Traffic, limits_s: tuple[FloatArray, FloatArray]) -> tuple[Queue, FloatArray]:
    """Return the queue, its states placed for the loads to be tried, and the first of them."""
    # Prompts alone are a queue, in which one waits for l X^2 / (2 (1 - l X)).
    wait, x = np.maximum(limits_s[0] - steps.alone_s - steps.wait_s, TINY), steps.prompt_s
    if not np.isnan(traffic.limit_percentile).all():
        wait = wait / -np.log1p(-asarray(traffic.limit_percentile) / 100)
    prompts = 1 / np.maximum(x * (1 + x / (2 * wait)), TINY)
    decoding = np.minimum(steps.even_flow(limits_s[1] * steps.tokens_per_step), steps.even_number(prompts))
    queue = Queue(steps, traffic, decoding)
    pace = steps.decode_steps * steps.step_s(decoding) + decoding * steps.prompt_s
    return queue, np.minimum(decoding / np.maximum(pace, TINY), (1 - NEAR) * queue.capacity_per_s)


@dataclass(frozen=True)
class _Bracket:
    """Two loads u between which limits cease to hold, and the last two that were tried, ``(n,)``.

    Attributes:
        low: a load at which they hold.
        high: a load at which they do not; infinite where none is known.
        at_low: by how much they are missed at `low`, negative.
        at_high: the same at `high`.
        before: the load that was tried before the last one.
        at_before: by how much they are missed at it.
        last: the last one.
        at_last: by how much they are missed at it.
        side: 1 where `low` moved last, -1 where `high` did, 0 where neither has.
    """

    low: FloatArray
    high: FloatArray
    at_low: FloatArray
    at_high: FloatArray
    before: FloatArray
    at_before: FloatArray
    last: FloatArray
    at_last: FloatArray
    side: FloatArray

    @classmethod
    def of(cls, at_none: FloatArray) -> _Bracket:
        """Return the bracket that is known where nothing has been tried, from what no load misses."""
        none = np.zeros_like(at_none)
        return cls(none, none + np.inf, at_none, none, none, at_none, none, at_none, none)

    def crossing(self) -> FloatArray:
        """Return where they are said to cease to hold: by a straight line through the last two loads (secant).

        By one through both ends where that leads outside of them.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            between = (self.low * self.at_high - self.high * self.at_low) / (self.at_high - self.at_low)
            secant = self.last - self.at_last * (self.last - self.before) / (self.at_last - self.at_before)
        known = np.isfinite(self.high)
        highest = np.where(known, self.high, FARTHEST * self.low)
        inside = (secant >= self.low) & (secant <= highest)
        return np.where(inside, secant, np.where(known, np.clip(between, self.low, self.high), highest))

    def middle(self) -> FloatArray:
        """Return the geometric mean of both ends, the crossing where one of them is not known."""
        known = np.isfinite(self.high) & (self.low > 0)
        with np.errstate(invalid="ignore"):
            return np.where(known, np.sqrt(self.low * self.high), self.crossing())

    def with_tried(self, tried: FloatArray, missed: FloatArray) -> _Bracket:
        """Return the bracket with one end moved; an end that stays twice counts half (Illinois), so that it moves."""
        kept = missed <= 0
        at_high = np.where(kept & (self.side > 0), self.at_high / 2, np.where(kept, self.at_high, missed))
        at_low = np.where(~kept & (self.side < 0), self.at_low / 2, np.where(kept, missed, self.at_low))
        low, high = np.where(kept, tried, self.low), np.where(kept, self.high, tried)
        side = np.where(kept, 1.0, -1.0)
        return _Bracket(low, high, at_low, at_high, self.last, self.at_last, tried, missed, side)
