"""Goodput: the most requests per second at which limits on both times hold, for all rows at once.

Beyond the times of a single request, times grow about in proportion to u = l / (c - l), l being the load and c what the
engine finishes at most: as waiting times of a queue, and as shares of a processor. The load at which limits cease to
hold is found by straight lines in u (regula falsi, Illinois).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from cost_models.performance.serving_queue import Queue, Traffic
from cost_models.performance.step_times import StepTimes
from cost_models.performance.waits import TINY
from cost_models.table import FloatArray, Number

TRIES = 5
"""Loads that are tried."""

NEAR = 0.01
"""Least share of what is left below the capacity that a load is tried at."""

FARTHEST = 8.0
"""Most that u grows from one try to the next."""


def goodput(steps: StepTimes, traffic: Traffic, limits_s: tuple[Number, Number], *, tries: int = TRIES) -> FloatArray:
    """Return ``(n,)`` the most arrivals per second at which limits hold; 0 where they hold at no load.

    Args:
        steps: the engines.
        traffic: burstiness, lengths, and the percentile at which limits hold.
        limits_s: most time to first token and per token, infinite for none.
        tries: loads that are tried.
    """
    alone, step = steps.alone_s + steps.wait_s, steps.decode_s[1]
    possible = (steps.most >= 1) & (alone <= limits_s[0]) & (step <= limits_s[1] * steps.tokens_per_step)
    rate = np.zeros(possible.shape)
    if possible.any():
        steps, traffic = steps.of_rows(possible), _of_rows(traffic, possible)
        ttft, tpot = (limit[possible] if np.size(limit) > 1 else limit for limit in map(np.asarray, limits_s))
        rate[possible] = _crossing(steps, traffic, (ttft, tpot), tries)
    return rate


def _of_rows(traffic: Traffic, rows: NDArray[np.bool_]) -> Traffic:
    """Return the traffic of some of the rows, without its load, which has no part in what it might be."""
    names = {field.name for field in fields(traffic)} - {"arrivals_per_s", "concurrency"}
    values = {name: np.asarray(getattr(traffic, name)) for name in names}
    return replace(
        traffic,
        arrivals_per_s=np.nan,
        concurrency=np.nan,
        **{name: value[rows] for name, value in values.items() if value.size > 1},
    )


def _crossing(steps: StepTimes, traffic: Traffic, limits_s: tuple[Number, Number], tries: int) -> FloatArray:
    # Prompts alone are a queue, in which one waits for l X^2 / (2 (1 - l X)).
    wait, x = np.maximum(limits_s[0] - steps.alone_s - steps.wait_s, TINY), steps.prompt_s
    if not np.isnan(traffic.limit_percentile).all():
        wait = wait / -np.log1p(-np.asarray(traffic.limit_percentile) / 100)
    prompts = 1 / np.maximum(x * (1 + x / (2 * wait)), TINY)
    decoding = np.minimum(steps.even_flow(limits_s[1] * steps.tokens_per_step), steps.even_number(prompts))
    queue = Queue(steps, traffic, decoding)
    capacity, least = queue.capacity_per_s, queue.missed(queue.alone, limits_s)
    pace = steps.decode_steps * steps.step_s(decoding) + decoding * steps.prompt_s
    load = np.minimum(decoding / np.maximum(pace, TINY), (1 - NEAR) * capacity)
    tried = load / (capacity - load)
    bracket = _Bracket(0.0 * tried, np.full_like(tried, np.inf), least, 0.0 * tried, least)
    for _ in range(tries):
        bracket = bracket.with_tried(tried, queue.missed(queue.open(capacity * tried / (1 + tried)), limits_s))
        tried = np.minimum(bracket.crossing(), (1 - NEAR) / NEAR)
    # Some of those who are alone may miss a limit at a percentile, where luck decides how many tokens a step yields.
    return np.where(least <= 0, capacity * tried / (1 + tried), 0.0)


@dataclass(frozen=True)
class _Bracket:
    """Two loads u between which limits cease to hold, ``(n,)``.

    Attributes:
        low: a load at which they hold.
        high: a load at which they do not; infinite where none is known.
        at_low: by how much they are missed at `low`, negative.
        at_high: the same at `high`.
        at_none: the same without load.
        side: 1 where `low` moved last, -1 where `high` did.
    """

    low: FloatArray
    high: FloatArray
    at_low: FloatArray
    at_high: FloatArray
    at_none: FloatArray
    side: Number = 0.0

    def crossing(self) -> FloatArray:
        """Return where a straight line through both says that they cease to hold."""
        with np.errstate(divide="ignore", invalid="ignore"):
            between = (self.low * self.at_high - self.high * self.at_low) / (self.at_high - self.at_low)
            beyond = self.low * self.at_none / np.minimum(self.at_none - self.at_low, 0.0)
        beyond = np.clip(np.nan_to_num(beyond, nan=np.inf), self.low, FARTHEST * self.low)
        return np.where(np.isfinite(self.high), np.clip(between, self.low, self.high), beyond)

    def with_tried(self, tried: FloatArray, missed: FloatArray) -> _Bracket:
        """Return the bracket with one end moved; an end that stays twice counts half, so that it moves."""
        kept = missed <= 0
        at_high = np.where(kept & (self.side > 0), self.at_high / 2, np.where(kept, self.at_high, missed))
        at_low = np.where(~kept & (self.side < 0), self.at_low / 2, np.where(kept, missed, self.at_low))
        low, high = np.where(kept, tried, self.low), np.where(kept, self.high, tried)
        return replace(self, low=low, high=high, at_low=at_low, at_high=at_high, side=np.where(kept, 1.0, -1.0))
