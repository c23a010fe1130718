"""What users of an engine see in the steady state below its capacity; the chain is `queue_chain`'s."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cost_models.performance.queue_chain import Chain
from cost_models.performance.waits import TINY, Served, Wait
from cost_models.table import FloatArray, as_rows
from cost_models.tape import asarray

MOST_LOADED = 0.98
"""Most load at which prompts one after the other are taken to settle; above it decoding thins out instead."""

SMALLEST_RATE = 1e-12
"""Load at which an engine counts as idle, as a share of its capacity."""


@dataclass(frozen=True)
class SteadyState:
    """The steady state of an engine below its capacity."""

    queue: Chain
    rate: FloatArray

    @cached_property
    def busy(self) -> FloatArray:
        """Load of prompts, l X: share of the time that goes to prompts."""
        return np.minimum(self.rate * self.queue.steps.prompt_s, 1 - 1e-9)

    @property
    def _burst(self) -> FloatArray:
        """Squared coefficient of variation of the gaps beyond that of Poisson arrivals."""
        return np.maximum(asarray(self.queue.traffic.arrival_cv, dtype=np.float64) ** 2 - 1, 0.0)

    @cached_property
    def _bunched(self) -> FloatArray:
        """By how much more than after Poisson arrivals numbers inside vary: the peakedness of bursty ones, 1 at least.

        1 + (c^2 - 1) times the integral of (1 - F)^2 over the mean of the time F inside, which is 1 where times are
        alike and 1/2 where they are exponential (Eckberg 1983).
        """
        return asarray(1 + self._burst / (1 + self.queue.work_cv2))

    @cached_property
    def _ratio(self) -> FloatArray:
        """Share that find one more waiting for memory, over those that find one less: as of load^(1 / z) (Hayward)."""
        return asarray((self.rate / self.queue.capacity_per_s) ** (1 / self._bunched))

    @cached_property
    def _weights(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Probabilities of the states, of exactly K requests, and of more: arrivals that wait for memory."""
        queue = self.queue
        narrower = (1 - self.busy * (1 - 1 / queue.places)) / self._bunched
        logs = queue.states * (np.log(self.rate) * narrower) - queue.log_rates * narrower
        logs -= logs.max(axis=0)
        single = np.exp(logs)
        last = np.take_along_axis(single, np.broadcast_to(queue.last, (1, *single.shape[1:])), axis=0)[0]
        weights, ratio = single * queue.widths, self._ratio
        tail = last * ratio / (1 - ratio)
        total = weights.sum(axis=0) + tail
        return weights / total, last / total, tail / total

    @property
    def full(self) -> FloatArray:
        """Share of arrivals that find no memory."""
        return asarray(self._weights[1] + self._weights[2])

    @property
    def idle(self) -> FloatArray:
        """Share of arrivals that find an empty engine."""
        return asarray(self._weights[0][0])

    @cached_property
    def _inside(self) -> FloatArray:
        """Mean number of requests inside where none waits for memory."""
        return _mean(self._weights[0], self.queue.states)

    @cached_property
    def _found(self) -> FloatArray:
        """Share of arrivals that find the engine at work and memory free."""
        weights, last, _ = self._weights
        return asarray(np.maximum(weights.sum(axis=0) - self.idle - last, 0.0))

    @cached_property
    def step(self) -> FloatArray:
        """The decode step that they find, in the mean."""
        weights, last, _ = self._weights
        found, queue = self._found, self.queue
        mean = _mean(weights[1:], queue.beside_s[1:]) - last * queue.at_last(queue.beside_s)
        return np.where(found > SMALLEST_RATE, mean / np.maximum(found, SMALLEST_RATE), queue.beside_s[1])

    @cached_property
    def biased(self) -> FloatArray:
        """Mean length of the step that they find, biased by its length, where all waiting prompts join the next one."""
        x, rest = self.queue.steps.prompt_s, 1 - self.idle
        spread = 1 + asarray(self.queue.traffic.prompt_cv) ** 2
        return asarray(self.step / (1 - self.busy) + self.rate / rest * x**2 * spread / (1 - self.busy**2))

    @cached_property
    def ttft(self) -> Wait:
        """Time to first token: on an idle engine, between decode steps, behind other prompts, behind full memory."""
        queue, x, step = self.queue, self.queue.steps.prompt_s, self.step
        steps, traffic, room = queue.steps, queue.traffic, queue.steps.prompts_per_step
        found, rest = self._found, 1 - self.idle
        own = steps.chunks * (step - steps.decode_s[0])
        shared = self.biased / 2 + x * self.rate * self.biased
        # Bursts queue for prompts (Kingman's bound, less what Poisson arrivals wait).
        shared = shared + self.rate * x**2 * self._burst / (2 * (1 - self.busy)) / rest
        # Prompts one after the other: a queue with vacations, which are the decode steps between.
        taken = step * np.where(room < 1, steps.chunks, 1 / room) + x
        load = np.minimum(self.rate * taken, MOST_LOADED)
        variable = asarray(traffic.arrival_cv) ** 2 + asarray(traffic.prompt_cv) ** 2
        mix, mean_step = 1 - 1 / np.maximum(room, 1.0), step / (1 - self.busy)
        in_step = 1 - np.exp(-self.rate * mean_step) * (1 - self.busy)
        queued = self.rate * taken**2 * variable / (2 * (1 - load)) / rest
        behind = np.minimum((mix * in_step + (1 - mix) * load) / rest, 1.0)
        # The step of one's last tokens is filled up with those of the next prompts.
        filled = x * self._filled(self.rate * queued)
        single = queued + filled + np.maximum(1 - load / rest, 0.0) * step / 2
        mean = mix * shared + (1 - mix) * single
        after = np.maximum(mean - (1 - behind) * step / 2, 0.0) / np.maximum(behind, TINY)
        varied = np.maximum(after - (1 - mix) * filled / np.maximum(behind, TINY), 0.0)
        # Waits behind even work are a stretch of time at low load and exponential at high load. Squared deviations of a
        # stretch are a third of its squared mean; a gamma distribution of a quarter has its upper quantiles.
        deviation = 1 - (1 - np.minimum(variable - 1, 1.0)) * (1 - load) * 3 / 4
        # Arrivals that wait for memory.
        gap = (asarray(traffic.arrival_cv) ** 2 + queue.work_cv2) / 2
        memory = gap / (queue.capacity_per_s * (1 - self._ratio) * self._bunched)
        even = np.maximum(1 - queue.work_cv2, 0.0) * (1 - self.rate / queue.capacity_per_s) / queue.places
        inner = steps.chunks * (queue.at_last(queue.beside_s) - steps.decode_s[0])
        return Wait.of(
            steps.alone_s,
            (
                (found * (1 - behind), step / 2 + own, step**2 / 12),
                (found * behind, after + own, varied**2 * deviation),
                (self.full, memory + inner, memory**2 * (1 - even * 3 / 4)),
            ),
            even=True,
        )

    @cached_property
    def tpot(self) -> Wait:
        """Time per output token, as the mean over a request."""
        queue, (weights, _, tail), x = self.queue, self._weights, self.queue.steps.prompt_s
        steps, room = queue.steps, queue.steps.prompts_per_step
        tokens = np.maximum(steps.decode_steps, 1.0)
        others = 1 - 1 / queue.places
        # One of those inside sees more of them than somebody outside: states count by their number.
        total = self._inside + tail * queue.places
        first, second, seen = (
            (_mean(weights, moment) + tail * queue.at_last(moment)) / total for moment in queue.moments
        )
        var = np.maximum(second - first**2, 0.0)
        busy = self.busy * others
        # Prompts that came while this one waited, less what its own last step took of them.
        came = self.rate * (self.ttft.mean_s - self.full * self.ttft.extra_s[-1])
        beside = self.rate * self.biased
        waiting = self._waiting(came, beside)
        left = np.maximum(came - self._filled(waiting), 0.0) * others
        # Steps grow faster than in proportion: a number that varies costs more than its mean.
        bent = first + queue.at_work[1] - steps.mean_step_s(1 + np.maximum(seen - 1, 0.0) * queue.share)
        # Steps that grow ever more slowly bend the other way: a step takes what it takes alone at least.
        step = np.maximum(self._own_step(busy) + bent, queue.at_work[1])
        mean = step - queue.at_work[1]
        # A step takes the prompts of the step before: their excess over the mean dies out as busy^i.
        died = -np.expm1(tokens * np.log(np.maximum(busy, TINY)))
        excess = (x * left - busy * step / (1 - busy)) * died / (1 - busy)
        full_step, mix = room * x, 1 - 1 / np.maximum(room, 1.0)
        slow = _both(np.maximum(excess, 0.0) / tokens, full_step) + np.minimum(excess, 0.0) / tokens
        slow = slow + step * busy / (1 - busy)
        # Prompts beget prompts, one in each step: k steps see m = (1 - b^k) / (1 - b) of one, and about m^3 squared.
        family = died / (1 - busy)
        mean_family = (1 - busy * family / tokens) / (1 - busy)
        gain = np.minimum(
            mean / np.maximum(self.rate * tokens * (step + slow), 1.0) * self.rate * tokens / (1 - busy), 0.9
        )
        # What is left varies as a queue does, or as those who came beside oneself where a step takes them all.
        apart = mix * (busy * beside) ** 2 + (1 - mix) * left**2
        born = self.rate * others * tokens * step * mean_family**3
        spread = (x / tokens) ** 2 * (born + left * family**3 + apart * family**2) / (1 - gain)
        # A number that changes within a request's life: two thirds of its variance are left in the mean over it.
        around = var * 2 / 3 / (1 - busy) ** 2
        # Few prompts come in whole numbers: none, one, or more.
        none = np.exp(-self.rate * others * tokens * step) * (mix * np.exp(-left) + (1 - mix) / (1 + left))
        one = -none * np.log(np.maximum(none, TINY)) * np.exp(-busy)
        least, each = np.broadcast_to(queue.at_work[1], slow.shape), np.minimum(x / tokens, full_step)
        one = np.minimum(one, slow / np.maximum(each, TINY))
        more = np.maximum(1 - none - one, TINY)
        many = np.maximum(slow - one * each, 0.0) / more
        varied = np.maximum((spread + slow**2 - one * each**2) / more - many**2, 0.0)
        cases = (
            (none, mean, around),
            (one, mean + each, around),
            (more, mean + many, varied + around + np.sqrt(varied * around) * 0.6),
        )
        # Of several there are two at least.
        floor = as_rows(0 * more, 0 * more, np.minimum(2 * each, 0.9 * many))
        return Wait.of(least, cases, most_s=mean + 2 * np.sqrt(around) + full_step, floor_s=floor)

    def _waiting(self, came: FloatArray, beside: FloatArray) -> FloatArray:
        """Return how many prompts wait when the last step of a request's own begins, of those that came until it ended.

        A prompt of one chunk shares its step with those beside it. The last of several chunks is what the others leave
        of the prompt, of an engine at work any part of a chunk, and is filled up with the prompts that wait.
        """
        steps, x = self.queue.steps, self.queue.steps.prompt_s
        room, chunks = steps.prompts_per_step, steps.chunks
        rest = (1 - self.busy) * (1 - (chunks - 1) * room) + self.busy * room / 2
        first = np.maximum(came - self.rate * (self.step + x * rest), 0.0)
        last = np.where(chunks > 1, rest + self._filled(first), 1 + beside)
        return np.maximum(came - self.rate * (self.step + x * np.minimum(last, room)), 0.0)

    def _filled(self, waiting: FloatArray) -> FloatArray:
        """Return how much of a prompt a step takes beside a request's last tokens, from so many that wait."""
        room, chunks = self.queue.steps.prompts_per_step, self.queue.steps.chunks
        spare = (1 - self.busy) * (chunks * room - 1) + self.busy * room / 2
        few = np.minimum(spare, 1.0) * waiting / (1 + waiting)
        several = _both(np.maximum(room - 1 - self.rate * self.biased / 2, 0.0), waiting)
        return np.where(room < 2, few, several)

    def _own_step(self, busy: FloatArray) -> FloatArray:
        """Return the decode step that a request sees: beside those who came evenly, and those who came with it.

        While a prompt is taken more come, so that requests begin to decode in clusters: in busy periods, of which one
        request sees 1 / (1 - l X)^2 members (Borel's distribution), all of them for most of its life.
        """
        steps, queue = self.queue.steps, self.queue
        tokens = steps.decode_steps
        cluster = 1 / (1 - busy) ** 2
        apart = cluster / (3 * np.maximum(steps.prompts_per_step, 1.0))
        together = (cluster - 1) * tokens / (tokens + apart)
        # Bursty arrivals bring others along, of whom the fewer find room the higher the load.
        together = together + (self._bunched - 1) * np.maximum(1 - self.rate / queue.capacity_per_s, 0.0)

        def beside(step: FloatArray) -> FloatArray:
            return asarray(np.minimum(self.rate * tokens * step / (1 - busy) + together, queue.places - 1))

        first = np.minimum(self._inside * queue.share, queue.places - 1)
        step = steps.mean_step_s(1 + first)
        second = beside(step)
        next_step = steps.mean_step_s(1 + second)
        third = beside(next_step)
        # Steps towards the fixed point shrink in the same ratio (Aitken).
        apart = np.where(second == first, 1.0, second - first)
        ratio = np.minimum((third - second) / apart, 0.9)
        number = np.clip(second + (third - second) / (1 - ratio), 0.0, queue.places - 1)
        return asarray(next_step + (next_step - step) / apart * (number - second))

    def served(self, rate: FloatArray, stable: NDArray[np.bool_]) -> Served:
        """Return what users see; no bound where the load is more than the engine takes."""
        endless = np.where(stable, 0.0, np.inf)
        late = replace(self.ttft, least_s=self.ttft.least_s + endless)
        capacity, steps = self.queue.capacity_per_s, self.queue.steps
        finished = np.where(stable, rate, capacity)
        decoding = np.minimum(finished * steps.decode_steps * self.tpot.mean_s, self.queue.places)
        return Served(finished, late, self.tpot, steps.decode_steps, rate / capacity, decoding)


def _both(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return a smooth lesser of two amounts: 1 / sqrt(1 / a^2 + 1 / b^2)."""
    return asarray(first * second / np.sqrt(np.maximum(first * first + second * second, TINY)))


def _mean(weights: FloatArray, values: FloatArray) -> FloatArray:
    """Return ``(n,)`` the sum of weighted values of states."""
    return asarray(np.einsum("in,in->n", weights, np.broadcast_to(values, weights.shape)))
