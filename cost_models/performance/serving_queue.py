"""Users of an engine that batches continuously: waiting times, percentiles and goodput, for all rows at once.

The engine of `cost_models.performance.step_times` under Poisson (or burstier) arrivals, or with a fixed number of
requests: the chain of `queue_chain` behind a queue for memory. With one place it is the M/G/1 queue of Pollaczek and
Khinchine, without prompts or with linear steps it is processor sharing. Prompts go before decode steps, so that numbers
vary by 1 / (1 - l X) more than processor sharing says (the variance of a Hawkes process of branching ratio l X). A
request that finds the engine at work waits for the end of a step whose length is biased by its length, and for the
prompts that came before.

Waits beyond the least are taken as gamma distributed with the right mean and variance (quantiles by Wilson and
Hilferty 1931). Preemption is left out: memory for the whole request is held from admission on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, reduce

import numpy as np

from cost_models.performance.queue_chain import Chain
from cost_models.performance.steady_state import SMALLEST_RATE, SteadyState
from cost_models.performance.waits import Served, Wait, in_turn
from cost_models.table import FloatArray, Number
from cost_models.tape import asarray

SMALLEST_SHARE, LARGEST_SHARE = 1e-12, 1 - 1e-3
"""Shares of requests beyond a limit between which differences are made."""


@dataclass(frozen=True)
class Queue(Chain):
    """An engine and the traffic that it meets; attributes are those of the chain."""

    def _at(self, number: FloatArray, values: FloatArray) -> FloatArray:
        """Return values of states at a number inside: straight lines between states."""
        return _interpolated(self.states, values, number)

    @cached_property
    def _away_s(self) -> FloatArray:
        """``(STATES + 1, n)`` time from one request's end to the start of a step that takes the next, beside j inside.

        Without a fixed wait the next step takes it. With one it comes during a step of the others, of which there is
        one since the end of the last request, and waits for its end.
        """
        wait, steps = asarray(self.steps.wait_s), self.steps
        if not wait.any():
            return np.zeros_like(self.states)
        step = self.beside_s / np.maximum(1 - self.rate_per_s * steps.prompt_s, 1e-9)
        others = np.clip(self.states - 1, 0.0, 1.0)
        return np.where(wait > 0, wait + others * np.maximum(step - wait, step / 2), 0.0)

    def closed(self, requests: Number) -> Served:
        """Return the engine with a fixed number of requests, each followed by the next at once."""
        steps = self.steps
        total = np.maximum(asarray(requests, dtype=np.float64), 1.0)
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
        rate = asarray(arrivals_per_s, dtype=np.float64) + 0.0 * capacity
        stable = rate < capacity
        load = np.where(stable, np.maximum(rate, SMALLEST_RATE * capacity), SMALLEST_RATE * capacity)
        return self._seen(SteadyState(self, load).served(rate, stable))

    @property
    def alone(self) -> Served:
        """What a single request sees."""
        none = np.zeros_like(self.capacity_per_s)
        cases = ((none, none, none),)
        ttft, tpot = (Wait.of(least + none, cases) for least in (self.steps.alone_s, self.at_work[1]))
        return self._seen(Served(none, ttft, tpot, self.steps.decode_steps, none, none))

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
        own = self.steps.alone_s + 0.0 * asarray(self.traffic.prompt_cv)
        spread = (own * self.traffic.prompt_cv) ** 2
        return Wait.of(-own, ((np.ones_like(own), own, spread),))

    def missed(self, served: Served, limits_s: tuple[Number, Number]) -> FloatArray:
        """Return ``(n,)`` by how much the worse limit is missed, negative where both are kept.

        As a share of a limit on the mean; of a limit at a percentile, as the logarithm of the mean w over the one that
        just keeps the limit, were times exponential: so many as exp(-limit / w) are beyond it.
        """
        share = asarray(self.traffic.limit_percentile, dtype=np.float64) / 100
        pairs = tuple(zip((served.ttft, served.tpot), limits_s, strict=True))
        if np.isnan(share).all():
            bound = [asarray(wait.mean_s / limit) - 1 for wait, limit in pairs if np.isfinite(limit).all()]
            return asarray(reduce(np.maximum, [*bound, np.full_like(served.utilisation, -1.0)]))
        late = 1 - np.minimum(*(wait.share_within(limit) for wait, limit in pairs))
        return asarray(np.log(np.log1p(-share) / np.log(np.clip(late, SMALLEST_SHARE, LARGEST_SHARE))))


def _interpolated(knots: FloatArray, values: FloatArray, at: FloatArray) -> FloatArray:
    """Return ``(n,)`` values at a place between ascending knots of each row."""
    shape = np.broadcast_shapes(knots.shape[1:], values.shape[1:], at.shape)
    knots, values = (np.broadcast_to(column, (len(column), *shape)) for column in (knots, values))
    above = np.clip((knots < at).sum(axis=0), 1, len(knots) - 1)[None]
    x0, x1 = (np.take_along_axis(knots, above - 1 + k, axis=0)[0] for k in (0, 1))
    y0, y1 = (np.take_along_axis(values, above - 1 + k, axis=0)[0] for k in (0, 1))
    return asarray(y0 + (y1 - y0) * np.clip((at - x0) / (x1 - x0), 0.0, 1.0))
