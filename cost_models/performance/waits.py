"""Times that users see, as mixtures of cases, and lengths that vary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.table import FloatArray, Number, as_rows, rows_of
from cost_models.tape import as_one, asarray
from cost_models.workload.speculation import Speculation

LEAST_SHAPE = 0.2
"""Least shape of a gamma distribution for which the quantile's approximation is used."""

Z95 = NormalDist().inv_cdf(0.95)
"""Standard deviations that the 95th percentile of a normal distribution is above its mean."""

MOST_P95 = float(np.exp(Z95**2 / 2))
"""Largest 95th percentile of lognormal lengths, in multiples of their mean."""

TINY = 1e-30
"""What no time is as short as."""


def lognormal_cv(p95: Number) -> FloatArray:
    """Return the coefficient of variation of lognormal lengths from their 95th percentile over their mean.

    r = exp(z s - s^2 / 2) gives s = z - sqrt(z^2 - 2 ln r), and sqrt(exp(s^2) - 1) is the coefficient; 0 where `p95`
    is NaN: all lengths are alike. No lognormal has more than `MOST_P95` or less than 1.
    """
    ratio = np.clip(np.nan_to_num(asarray(p95, dtype=np.float64)), 1.0, MOST_P95)
    sigma = Z95 - np.sqrt(np.maximum(Z95**2 - 2 * np.log(ratio), 0.0))
    return asarray(np.sqrt(np.expm1(sigma**2)))


@dataclass(frozen=True)
class Wait:
    """A time that users see, a mixture of cases; columns ``(n,)``, of cases ``(cases, n)``.

    Attributes:
        least_s: the least, which those see who are in no case.
        shares: share of the users in each case.
        extra_s: mean of what the users of a case see beyond the least.
        extra_var: variance of that.
        even: whether the first case is a stretch of time of which every moment is as likely.
        most_s: what nobody waits beyond the least.
        floor_s: ``(cases, n)`` what everybody in a case waits beyond the least.
    """

    least_s: FloatArray
    shares: FloatArray
    extra_s: FloatArray
    extra_var: FloatArray
    even: bool
    most_s: Number
    floor_s: Number

    @classmethod
    def of(
        cls,
        least_s: FloatArray,
        cases: Sequence[tuple[FloatArray, FloatArray, FloatArray]],
        *,
        even: bool = False,
        most_s: Number = np.inf,
        floor_s: Number = 0.0,
    ) -> Wait:
        """Return the wait with cases (share, mean, variance) beside those who see the least."""
        shares, extra, var = (as_rows(*[case[k] for case in cases]) for k in range(3))
        return cls(
            least_s, np.clip(shares, 0.0, 1.0), np.maximum(extra, 0.0), np.maximum(var, 0.0), even, most_s, floor_s
        )

    @property
    def mean_s(self) -> FloatArray:
        """Mean over all users."""
        return asarray(self.least_s + (self.shares * self.extra_s).sum(axis=0))

    def share_within(self, limit_s: Number) -> FloatArray:
        """Return the share of the users who wait no longer than a limit."""
        beyond = asarray(limit_s - self.least_s, dtype=np.float64)
        met = self._none + self._below(beyond)
        return np.where(beyond >= 0, np.where(beyond >= self.most_s, 1.0, met), 0.0)

    def quantile_s(self, share: Number, *, halvings: int = 14) -> FloatArray:
        """Return the time that a share of the users does not exceed.

        Args:
            share: of the users.
            halvings: of the interval between the quantiles of the cases.
        """
        mean, shift, root = self._gamma
        from scipy.special import ndtri

        each = self.floor_s + mean * np.maximum(shift + ndtri(share) / root, 0.0) ** 3
        if self.even:
            each[0] = self.extra_s[0] + (2 * asarray(share) - 1) * np.sqrt(3 * self.extra_var[0])
        high = np.where(self.shares > 0, each, 0.0).max(axis=0)
        waits = (self._none < share) & (self.least_s + high != self.least_s)
        found = _halved(waits, high, share, self._none, halvings, self._cases)
        return asarray(self.least_s + np.where(waits, np.minimum(found, self.most_s), 0.0))

    @cached_property
    def _none(self) -> FloatArray:
        """Share of the users who are in no case."""
        return asarray(1 - self.shares.sum(axis=0))

    @cached_property
    def _gamma(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean, shift and root of the normal variable that the cube root of each case's time is."""
        mean = np.maximum(self.extra_s - self.floor_s, TINY)
        shape = np.maximum(mean**2 / np.maximum(self.extra_var, TINY), LEAST_SHAPE)
        return mean, 1 - 1 / (9 * shape), 3 * np.sqrt(shape)

    @cached_property
    def _cases(self) -> tuple[Any, ...]:
        """What `_share_below` takes beside the time: shares, floors, gammas, and the even case apart from those."""
        if not self.even:
            return self.shares, self.floor_s, self._gamma, ()
        floor_s = self.floor_s[1:] if isinstance(self.floor_s, np.ndarray) and self.floor_s.ndim > 1 else self.floor_s
        even = self.extra_s[0], np.sqrt(3 * self.extra_var[0])
        return self.shares, floor_s, tuple(one[1:] for one in self._gamma), even

    def _below(self, beyond_s: FloatArray) -> FloatArray:
        """Return the share of all users who are in a case and no later than a time beyond the least."""
        return _share_below(beyond_s, *self._cases)


def _share_below(
    beyond_s: FloatArray,
    shares: FloatArray,
    floor_s: Number,
    gamma: tuple[FloatArray, FloatArray, FloatArray],
    even: tuple[FloatArray, ...],
) -> FloatArray:
    """Return `Wait._below` of a time, from `Wait._cases`."""
    from scipy.special import ndtr

    mean, shift, root = gamma
    over = beyond_s - floor_s
    below = np.where(over >= 0, ndtr((np.cbrt(over / mean) - shift) * root), 0.0)
    if even:
        middle, half = even
        first = np.clip((beyond_s - middle + half) / np.maximum(2 * half, TINY), 0.0, 1.0)
        below = np.concatenate([first[None], below])
    return asarray((shares * below).sum(axis=0))


@as_one
def _halved(
    wanted: NDArray[np.bool_], high: FloatArray, share: Number, none: FloatArray, halvings: int, cases: tuple[Any, ...]
) -> FloatArray:
    """Return the time up to which a share of the users waits in wanted rows, found from 0 to `high`; 0 in others."""
    rows, found = np.flatnonzero(wanted), np.zeros(len(wanted))
    high, share, none, cases = rows_of((high, share, none, cases), rows, len(wanted))
    low = np.zeros_like(high)
    for _ in range(halvings):
        tried = (low + high) / 2
        below = none + _share_below(tried, *cases) < share
        low, high = np.where(below, tried, low), np.where(below, high, tried)
    found[rows] = high
    return found


def in_turn(first: Wait, second: Wait) -> Wait:
    """Return the wait for one thing and then for another, independent of it: every pair of their cases."""

    def cases(wait: Wait) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
        none = np.zeros_like(wait.least_s)
        return [(1 - wait.shares.sum(axis=0), none, none), *zip(wait.shares, wait.extra_s, wait.extra_var, strict=True)]

    pairs = list(product(cases(first), cases(second)))[1:]
    both = [(one[0] * other[0], one[1] + other[1], one[2] + other[2]) for one, other in pairs]
    return Wait.of(first.least_s + second.least_s, both)


@dataclass(frozen=True)
class Served:
    """An engine at a load; ``(n,)`` columns, of one replica.

    Attributes:
        requests_per_s: requests that are finished per second.
        ttft: time to first token.
        tpot: time per output token after the first.
        decode_steps: of a mean request.
        utilisation: load over the most that the engine can take.
        decoding: mean sequences in a decode step.
    """

    requests_per_s: FloatArray
    ttft: Wait
    tpot: Wait
    decode_steps: FloatArray
    utilisation: FloatArray
    decoding: FloatArray

    @property
    def concurrency(self) -> FloatArray:
        """Mean number of requests in engine and queue, by Little's law."""
        return asarray(self.requests_per_s * (self.ttft.mean_s + self.decode_steps * self.tpot.mean_s))

    def per_token(self, speculation: Speculation | None) -> Served:
        """Return the same with times per token where a step yields several.

        A request of G tokens takes N steps, in the mean G / E at E tokens a step, with the variance G v / E^3 of a
        renewal process, v being that of a step's tokens; a step never yields more than all its rows.
        """
        if speculation is None:
            return self
        each, step = speculation.tokens_per_step, self.tpot
        tokens = self.decode_steps * each
        varied = speculation.step_variance / (each * np.maximum(tokens, 1.0))
        least, none = step.least_s / speculation.rows, 1 - step.shares.sum(axis=0)
        shares = [none, *step.shares]
        extra = [np.zeros_like(step.least_s), *step.extra_s]
        var = [np.zeros_like(step.least_s), *step.extra_var]
        cases = []
        for share, beyond, spread in zip(shares, extra, var, strict=True):
            mean = (step.least_s + beyond) / each
            cases.append((share, mean - least, spread / each**2 + mean**2 * varied))
        return replace(self, tpot=Wait.of(least, cases), decode_steps=tokens)
