"""Users of an engine that batches continuously: waiting times, percentiles and goodput, for all rows at once.

The engine of `cost_models.performance.step_times` under Poisson (or burstier) arrivals, or with a fixed number of
requests. With j requests inside, one goes round in C(j) = j X + m D(j - 1) + G D(j): everybody's prompt, its own
prompt's steps and its own decode steps. The number inside is then a birth-death chain of arrivals at rate l and
departures at rate j / C(j) (the flow-equivalent server of Chandy, Herzog and Woo 1975), at most K of them, behind a
queue for memory; with one place it is the M/G/1 queue of Pollaczek and Khinchine, without prompts or with linear steps
it is processor sharing. Prompts go before decode steps, so that numbers vary by 1 / (1 - l X) more than processor
sharing says (the variance of a Hawkes process of branching ratio l X). A request that finds the engine at work waits
for the end of a step whose length is biased by its length, and for the prompts that came before.

Waits beyond the least are taken as gamma distributed with the right mean and variance (quantiles by Wilson and
Hilferty 1931). Preemption is left out: memory for the whole request is held from admission on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cost_models.performance.steady_state import SMALLEST_RATE, SteadyState
from cost_models.performance.step_times import StepTimes
from cost_models.performance.waits import Served, Wait, in_turn
from cost_models.table import FloatArray, Number

STATES = 16
"""Numbers of requests at which the chain is evaluated, beside the empty engine."""

WIDTH = 1.5
"""Distance over which states around the mean number lie close, in square roots of it: the spread of a Poisson number
is one, and prompts that come in clusters widen it."""

SMALLEST_SHARE, LARGEST_SHARE = 1e-12, 1 - 1e-3
"""Shares of requests beyond a limit between which differences are made."""


@dataclass(frozen=True)
class Traffic:
    """How requests come; numbers are scalars or ``(n,)`` columns.

    Attributes:
        arrivals_per_s: requests per second; NaN where they come as fast as the limits allow.
        concurrency: requests that are there at all times in a closed loop; NaN where they arrive.
        arrival_cv: coefficient of variation of the gaps between arrivals, 1 for Poisson.
        prompt_cv: coefficient of variation of prompt lengths.
        output_cv: coefficient of variation of output lengths.
        limit_percentile: percentile at which limits hold; the mean where NaN.
    """

    arrivals_per_s: Number = np.nan
    concurrency: Number = np.nan
    arrival_cv: Number = 1.0
    prompt_cv: Number = 0.0
    output_cv: Number = 0.0
    limit_percentile: Number = np.nan


@dataclass(frozen=True)
class Queue:
    """An engine and the traffic that it meets.

    Attributes:
        steps: the engine.
        traffic: burstiness and lengths; its load has no part in the chain.
        decoding: about how many decode at the loads that are asked for; as each load says where infinite.
    """

    steps: StepTimes
    traffic: Traffic
    decoding: Number = np.inf

    @cached_property
    def places(self) -> FloatArray:
        """K, 1 at least: where nothing fits, what one request would see."""
        return np.maximum(self.steps.most, 1.0)

    @cached_property
    def share(self) -> FloatArray:
        """Share of its steps in which a request decodes."""
        steps = self.steps
        return np.asarray(steps.decode_steps / (steps.decode_steps + steps.chunks))

    @cached_property
    def states(self) -> FloatArray:
        """``(STATES + 1, n)`` numbers inside: all of them where K is small, else close around their mean.

        From there on ever wider apart (as a hyperbolic sine), and one at least: numbers may vary as little as those of
        many servers do, or as much as those of processor sharing.
        """
        index, mean = np.arange(STATES + 1.0)[:, None], np.clip(self.decoding, 1.0, self.places)
        spread = WIDTH * np.sqrt(mean)
        low, high = (np.arcsinh((end - mean) / spread) for end in (2.0, np.maximum(self.places, STATES)))
        apart = mean + spread * np.sinh(low + (high - low) * (index - 2) / (STATES - 3))
        states = np.minimum(np.maximum(index, apart), np.maximum(self.places - STATES, 0.0) + index)
        states[:3] = index[:3]
        return np.asarray(states)

    @cached_property
    def widths(self) -> FloatArray:
        """``(STATES + 1, n)`` whole numbers that each state stands for; 0 beyond K."""
        gaps = np.diff(self.states, axis=0)
        width = np.concatenate([(gaps[:1] + 1) / 2, (gaps[:-1] + gaps[1:]) / 2, (gaps[-1:] + 1) / 2])
        return np.where(self.states <= self.places * (1 + 1e-9), width, 0.0)

    @cached_property
    def _others(self) -> FloatArray:
        """``(STATES + 1, n)`` how many decode beside one of j requests."""
        return np.maximum(self.states - 1, 0.0) * self.share

    @cached_property
    def at_work(self) -> FloatArray:
        """``(STATES + 1, n)`` time of a decode step that one of j requests sees; a mean where numbers vary.

        They vary where a state stands for several numbers, and where some of the requests are at their prompts.
        """
        varied = np.maximum(self.widths - 1, 0.0) + np.sqrt(12 * self._others * (1 - self.share))
        return self.steps.step_s(1 + self._others, varied=varied)

    @cached_property
    def beside_s(self) -> FloatArray:
        """``(STATES + 1, n)`` time of a step of those that decode beside one of j requests."""
        knots, few = self.steps.decode_s, np.minimum(self._others, 1.0)
        return np.asarray(self.at_work - (1 - few) * (knots[1] - knots[0]) - few * (self.at_work[2] - self.at_work[1]))

    @cached_property
    def cycle_s(self) -> FloatArray:
        """``(STATES + 1, n)`` C(j)."""
        steps = self.steps
        prompts = np.maximum(self.states, 1.0) * steps.prompt_s
        return np.asarray(prompts + steps.chunks * self.beside_s + steps.decode_steps * self.at_work)

    @cached_property
    def rate_per_s(self) -> FloatArray:
        """``(STATES + 1, n)`` requests that j of them finish per second, j / C(j)."""
        return np.asarray(self.states / self.cycle_s)

    @cached_property
    def capacity_per_s(self) -> FloatArray:
        """Requests that K of them finish per second."""
        return self.at_last(self.rate_per_s)

    def _at(self, number: FloatArray, values: FloatArray) -> FloatArray:
        """Return values of states at a number inside: straight lines between states."""
        return _interpolated(self.states, values, number)

    @cached_property
    def last(self) -> NDArray[np.intp]:
        """``(1, n)`` place of the state of K requests."""
        return np.minimum(self.places, STATES).astype(np.intp)[None]

    def at_last(self, values: FloatArray) -> FloatArray:
        """Return values of the state of K requests."""
        rows = np.broadcast_shapes(values.shape[1:], self.last.shape[1:])
        values, last = np.broadcast_to(values, (len(values), *rows)), np.broadcast_to(self.last, (1, *rows))
        return np.asarray(np.take_along_axis(values, last, axis=0)[0])

    @cached_property
    def moments(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """``(STATES + 1, n)`` j d, j d^2 and j^2, where d is what a decode step takes beyond that of one request."""
        longer = self.at_work - self.at_work[1]
        each = self.states * longer
        return each, each * longer, self.states**2

    @cached_property
    def log_rates(self) -> FloatArray:
        """``(STATES + 1, n)`` sum of the logarithms of departure rates of 1 .. j (Euler and Maclaurin's sum)."""
        rates = np.log(np.concatenate([self.rate_per_s[1:2], self.rate_per_s[1:]]))
        gaps, rises = np.diff(self.states, axis=0), np.diff(rates, axis=0)
        parts = gaps * (rates[1:] + rates[:-1]) / 2 + rises / 2
        return np.concatenate([np.zeros_like(parts[:1]), np.cumsum(parts, axis=0)])

    @cached_property
    def work_cv2(self) -> FloatArray:
        """Squared coefficient of variation of a request's work."""
        steps, traffic = self.steps, self.traffic
        first, rest = steps.alone_s, steps.decode_steps * steps.step_s(np.ones(1))
        spread = (first * traffic.prompt_cv) ** 2 + (rest * traffic.output_cv) ** 2
        return np.asarray(spread / (first + rest) ** 2)

    @cached_property
    def _away_s(self) -> FloatArray:
        """``(STATES + 1, n)`` time from one request's end to the start of a step that takes the next, beside j inside.

        Without a fixed wait the next step takes it. With one it comes during a step of the others, of which there is
        one since the end of the last request, and waits for its end.
        """
        wait, steps = np.asarray(self.steps.wait_s), self.steps
        if not wait.any():
            return np.zeros_like(self.states)
        step = self.beside_s / np.maximum(1 - self.rate_per_s * steps.prompt_s, 1e-9)
        others = np.clip(self.states - 1, 0.0, 1.0)
        return np.where(wait > 0, wait + others * np.maximum(step - wait, step / 2), 0.0)

    def closed(self, requests: Number) -> Served:
        """Return the engine with a fixed number of requests, each followed by the next at once."""
        steps = self.steps
        total = np.maximum(np.asarray(requests, dtype=np.float64), 1.0)
        inside = np.minimum(total, self.places)
        away = self._away_s
        # Of all, those that finish while one is away are on their way to the engine.
        inside = np.minimum(_interpolated(self.states + self.rate_per_s * away, self.states, total), inside)
        round_s, full = self._at(inside, self.cycle_s), inside >= self.places
        away_s = np.where(full, steps.wait_s, self._at(inside, away))
        rate = np.where(full, inside / round_s, total / (round_s + away_s))
        inside = np.where(full, inside, rate * round_s)
        decoding = np.maximum(inside - 1, 0.0) * self.share
        mean_step = steps.step_s(decoding)
        together = np.minimum(rate * mean_step / np.maximum(1 - rate * steps.prompt_s, 1e-9), inside - 1)
        own = steps.chunks * mean_step + steps.prompt_s * (1 + np.maximum(together, 0.0))
        queued = np.where(full, np.maximum((total - inside) / rate - away_s, 0.0), away_s - steps.wait_s)
        whole = inside / rate
        tokens = np.maximum(steps.decode_steps, 1.0)
        token = np.where(steps.decode_steps > 0, np.maximum(whole - own, 0.0) / tokens, self.at_work[1])
        spread = np.maximum(inside - 1, 0.0) * (steps.prompt_s / tokens) ** 2
        everyone = np.ones_like(own)
        late = np.maximum(queued + own - steps.alone_s, 0.0)
        ttft = Wait.of(steps.alone_s, ((everyone, late, (steps.prompt_s / 2) ** 2 * everyone),))
        slow = np.maximum(token - self.at_work[1], 0.0)
        tpot = Wait.of(self.at_work[1], ((everyone, slow, spread / inside),))
        return self._seen(Served(rate, ttft, tpot, steps.decode_steps, rate / self.capacity_per_s, decoding))

    def open(self, arrivals_per_s: Number) -> Served:
        """Return the engine at a rate of arrivals; times without bound where it cannot take them."""
        if np.isinf(self.decoding).all():
            even = replace(self, decoding=self.steps.even_number(arrivals_per_s))
            return replace(self, decoding=even.open(arrivals_per_s).decoding).open(arrivals_per_s)
        capacity = self.capacity_per_s
        rate = np.asarray(arrivals_per_s, dtype=np.float64) + 0.0 * capacity
        stable = rate < capacity
        load = np.where(stable, np.maximum(rate, SMALLEST_RATE * capacity), SMALLEST_RATE * capacity)
        return self._seen(SteadyState(self, load).served(rate, stable))

    @property
    def alone(self) -> Served:
        """What a single request sees."""
        none = np.zeros((1, *self.capacity_per_s.shape))
        ttft, tpot = (Wait(least + none[0], none, none, none) for least in (self.steps.alone_s, self.at_work[1]))
        return self._seen(Served(none[0], ttft, tpot, self.steps.decode_steps, none[0], none[0]))

    def _seen(self, served: Served) -> Served:
        """Return what users see: after the fixed wait before the engine, of steps that may yield several tokens."""
        late = replace(served.ttft, least_s=served.ttft.least_s + self.steps.wait_s)
        if self.apart is not None:
            late = in_turn(late, self.apart)
        return replace(served, ttft=late).per_token(self.steps.speculation)

    @cached_property
    def apart(self) -> Wait | None:
        """By how much first tokens are apart because prompts are; None where all prompts are alike."""
        if self.steps.apart is not None or not np.any(self.traffic.prompt_cv):
            return self.steps.apart
        own = self.steps.alone_s + 0.0 * np.asarray(self.traffic.prompt_cv)
        spread = (own * self.traffic.prompt_cv) ** 2
        return Wait.of(-own, ((np.ones_like(own), own, spread),))

    def missed(self, served: Served, limits_s: tuple[Number, Number]) -> FloatArray:
        """Return ``(n,)`` by how much the worse limit is missed, negative where both are kept.

        As a share of a limit on the mean; of a limit at a percentile, as the logarithm of the mean w over the one that
        just keeps the limit, were times exponential: so many as exp(-limit / w) are beyond it.
        """
        share = np.asarray(self.traffic.limit_percentile, dtype=np.float64) / 100
        pairs = tuple(zip((served.ttft, served.tpot), limits_s, strict=True))
        if np.isnan(share).all():
            bound = [np.asarray(wait.mean_s / limit) - 1 for wait, limit in pairs if np.isfinite(limit).all()]
            return np.asarray(np.maximum.reduce([*bound, np.full_like(served.utilisation, -1.0)]))
        late = 1 - np.minimum(*(wait.share_within(limit) for wait, limit in pairs))
        return np.asarray(np.log(np.log1p(-share) / np.log(np.clip(late, SMALLEST_SHARE, LARGEST_SHARE))))


def _interpolated(knots: FloatArray, values: FloatArray, at: FloatArray) -> FloatArray:
    """Return ``(n,)`` values at a place between ascending knots of each row."""
    shape = np.broadcast_shapes(knots.shape[1:], values.shape[1:], at.shape)
    knots, values = (np.broadcast_to(column, (len(column), *shape)) for column in (knots, values))
    above = np.clip((knots < at).sum(axis=0), 1, len(knots) - 1)[None]
    x0, x1 = (np.take_along_axis(knots, above - 1 + k, axis=0)[0] for k in (0, 1))
    y0, y1 = (np.take_along_axis(values, above - 1 + k, axis=0)[0] for k in (0, 1))
    return np.asarray(y0 + (y1 - y0) * np.clip((at - x0) / (x1 - x0), 0.0, 1.0))
