"""The number of requests inside an engine that batches continuously, as a birth-death chain, for all rows at once.

With j requests inside, one goes round in C(j) = j X + m D(j - 1) + G D(j): everybody's prompt, its own prompt's steps
and its own decode steps. Arrivals come at rate l and departures at rate j / C(j) (the flow-equivalent server of Chandy,
Herzog and Woo 1975), at most K inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cost_models.performance.step_times import StepTimes
from cost_models.table import FloatArray, Number
from cost_models.tape import asarray

STATES = 16
"""Numbers of requests at which the chain is evaluated, beside the empty engine."""

WIDTH = 1.5
"""Distance over which states around the mean number lie close, in square roots of it: the spread of a Poisson number
is one, and prompts that come in clusters widen it."""


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
class Chain:
    """The number of requests inside an engine, as a chain.

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
        return asarray(steps.decode_steps / (steps.decode_steps + steps.chunks))

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
        return np.where(index < 3, index, states)

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
        return asarray(self.at_work - (1 - few) * (knots[1] - knots[0]) - few * (self.at_work[2] - self.at_work[1]))

    @cached_property
    def cycle_s(self) -> FloatArray:
        """``(STATES + 1, n)`` C(j)."""
        steps = self.steps
        prompts = np.maximum(self.states, 1.0) * steps.prompt_s
        return asarray(prompts + steps.chunks * self.beside_s + steps.decode_steps * self.at_work)

    @cached_property
    def rate_per_s(self) -> FloatArray:
        """``(STATES + 1, n)`` requests that j of them finish per second, j / C(j)."""
        return asarray(self.states / self.cycle_s)

    @cached_property
    def capacity_per_s(self) -> FloatArray:
        """Requests that K of them finish per second."""
        return self.at_last(self.rate_per_s)

    @cached_property
    def last(self) -> NDArray[np.intp]:
        """``(1, n)`` place of the state of K requests."""
        return np.minimum(self.places, STATES).astype(np.intp)[None]

    def at_last(self, values: FloatArray) -> FloatArray:
        """Return values of the state of K requests."""
        rows = np.broadcast_shapes(values.shape[1:], self.last.shape[1:])
        values, last = np.broadcast_to(values, (len(values), *rows)), np.broadcast_to(self.last, (1, *rows))
        return asarray(np.take_along_axis(values, last, axis=0)[0])

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
        return asarray(spread / (first + rest) ** 2)
