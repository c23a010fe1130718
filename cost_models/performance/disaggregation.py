"""Prefill and decode on different chips: two pools, a network between them, and as many prefill chips as it takes.

A request is prefilled by a group of the prefill pool, one prompt after the other, its keys and values cross the
network, and a group of the decode pool takes it over between two steps (Splitwise, arXiv 2311.18677; DistServe,
arXiv 2401.09670). Prefill is the M/G/1 queue of Pollaczek and Khinchine, as in DistServe's section 3.1; of prefill and
crossing, one after the other without room for waiting between prompts, the longer one makes the queue. Decode is the
engine of `cost_models.performance.step_times` without prompts. Waits in both are taken as independent.

What is left of the limit on the time to first token after prefill and crossing is for waiting: decode may use half of
it, and prefill what decode leaves at its load. A decode pool works at its goodput or somewhat below, where it waits for
less and leaves prefill more, whichever makes a request cheapest. Groups of the prefill pool take as many requests as
keep the limit, and the pools stand in the ratio of what their groups take. Left out: prompts prefilled together, keys
and values that cross while later layers are at work, groups that change sides, and attention apart from feed-forward
layers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cost_models.library.technology import Technology
from cost_models.performance.continuous import Continuous
from cost_models.performance.goodput import goodput
from cost_models.performance.inference import Inference
from cost_models.performance.operating_point import Slo
from cost_models.performance.queue_chain import Traffic
from cost_models.performance.serving_queue import Queue
from cost_models.performance.step_times import StepTimes, step_times
from cost_models.performance.waits import TINY, Served, in_turn
from cost_models.table import FloatArray, Number, as_rows, positive
from cost_models.tape import asarray
from cost_models.workload.serving import request_cache_bytes

SHARES = (1.0, 63 / 64, 31 / 32, 15 / 16, 7 / 8, 3 / 4)
"""Shares of its goodput at which a decode pool may work, of which the one is taken by which a request is cheapest."""

WHOLE_PROMPTS = 1e9
"""Prompts that a step has room for where it has none to take: any number."""


@dataclass(frozen=True)
class Network:
    """What keys and values cross; numbers are scalars or ``(n,)`` columns.

    Attributes:
        bytes_per_s: bandwidth of each chip, one way.
        latency_s: time of a crossing by itself.
        usd_per_chip: price of a chip's port and its share of switches.
        w_per_chip: power of those, whatever crosses.
    """

    bytes_per_s: Number
    latency_s: Number
    usd_per_chip: Number
    w_per_chip: Number

    @classmethod
    def of(cls, technology: Technology, *, gbps: Number | None = None) -> Network:
        """Return the network of a bandwidth in GB/s, ``deployment.network_gbps`` where None."""
        wide = asarray(technology.value("deployment.network_gbps") if gbps is None else gbps)
        usd, watts = (technology.value(f"deployment.network_{unit}_per_gbps") for unit in ("usd", "w"))
        return cls(wide * 1e9, asarray(technology.value("deployment.transfer_s")), wide * usd, wide * watts)


@dataclass(frozen=True)
class PrefillPool:
    """Chips that only prefill, a group as large as serves a prompt.

    Attributes:
        result: one prompt per replica on a group.
        network: between the pools.
        most_utilisation: share of what either pool finishes at most up to which it is loaded.
    """

    result: Inference
    network: Network
    most_utilisation: Number = 1.0

    @property
    def chips(self) -> FloatArray:
        """Chips of a group."""
        return asarray(self.result.serving.chips, dtype=np.float64)

    @property
    def prompts(self) -> FloatArray:
        """Prompts that a group is at, at a time."""
        return asarray(self.result.serving.replicas, dtype=np.float64)

    def cache_bytes(self, kv_bits: Number) -> FloatArray:
        """Return what crosses of a prompt in the decode pool's format: keys, values and states, a draft's among them.

        Those of a cached prefix are there already.
        """
        serving = self.result.serving
        return request_cache_bytes(serving, serving.computed_tokens, kv_bits)


@dataclass(frozen=True)
class Decoders(Continuous):
    """A group of the decode pool, as users of an engine whose steps no prompt joins.

    Attributes:
        waiting_s: most time to wait for its memory and for the end of a step.
    """

    waiting_s: Number

    @property
    def _limits_s(self) -> tuple[Number, Number]:
        return self.waiting_s, super()._limits_s[1]

    @cached_property
    def _steps(self) -> StepTimes:
        steps = step_times(self.result).wide(np.shape(self.waiting_s))
        none = np.zeros_like(steps.most)
        return replace(
            steps,
            prompt_s=none,
            alone_s=none + TINY,
            chunks=np.where(steps.decode_steps > 0, 0.0, 1.0),
            prompts_per_step=np.full_like(none, WHOLE_PROMPTS),
            wait_s=0.0,
        )

    def at(self, rate_per_s: FloatArray) -> Served:
        """Return what users of a replica see at a rate of arrivals."""
        return self._good_queue.open(rate_per_s)

    @property
    def capacity_per_s(self) -> FloatArray:
        """Requests that a replica finishes per second at most."""
        return self._good_queue.capacity_per_s

    def keeps(self, served: Served) -> NDArray[np.bool_]:
        """Return whether limits are kept, to the part in a thousand that the goodput is found to."""
        return asarray(self._good_queue.missed(served, self._limits_s) <= 1e-3)


@dataclass(frozen=True)
class Disaggregated:
    """Requests of a workload whose prompts are prefilled elsewhere; ``(n,)`` columns.

    Everything counts for a group of the decode pool, which has as much of the prefill pool beside it as it needs.

    Attributes:
        result: the workload on the decode pool's machine; its batch has no part in it.
        traffic: how requests come to a decode group.
        limits: what users are promised, a time to first token among it.
        pool: the chips that prefill.
    """

    result: Inference
    traffic: Traffic
    limits: Slo
    pool: PrefillPool

    @cached_property
    def replicas(self) -> FloatArray:
        """Engines of a decode group."""
        return asarray(self.result.serving.replicas, dtype=np.float64)

    @cached_property
    def transfer_bytes(self) -> FloatArray:
        """Bytes that cross per request."""
        return self.pool.cache_bytes(self.result.formats.kv_bits)

    @cached_property
    def _crossing_s(self) -> FloatArray:
        """Time that a request's bytes occupy the ports of the smaller side; all chips of a replica have one each."""
        senders = self.pool.chips / self.pool.prompts
        takers = asarray(self.result.serving.chips, dtype=np.float64) / self.replicas
        return asarray(self.transfer_bytes / (self.pool.network.bytes_per_s * np.minimum(senders, takers)))

    @property
    def transfer_s(self) -> FloatArray:
        """Time from the end of a prefill to all of its keys and values."""
        return asarray(self._crossing_s + self.pool.network.latency_s)

    @property
    def busy_s(self) -> FloatArray:
        """Time for which a prompt holds up the next one."""
        return np.maximum(self.pool.result.prefill_work_s, self._crossing_s)

    @property
    def ready_s(self) -> FloatArray:
        """Time from a request's arrival to the decode pool, without any queue."""
        return asarray(self.pool.result.software.wait_s + self.pool.result.prefill_work_s + self.transfer_s)

    @cached_property
    def decoders(self) -> Decoders:
        """A decode group, which may use half of the time that is left for waiting."""
        return Decoders(self.result, self.traffic, self.limits, (self.limits.ttft_s - self.ready_s) / 2)

    @property
    def queue(self) -> Queue:
        """The queue of a decode replica."""
        return self.decoders.queue

    @cached_property
    def _prefill(self) -> Queue:
        """The queue before a replica of the prefill pool: one place."""
        service = self.busy_s
        one = np.ones_like(service)
        places, times = np.stack([0 * one, one]), np.zeros((2, *one.shape))
        steps = StepTimes(places, times, service, service, one, one, 0 * one, one * self.pool.result.fits)
        return Queue(steps, self.traffic)

    def _prefill_rate(self, decoding: Served) -> FloatArray:
        """Return the requests per second that a prefill replica takes beside a decode pool; 0 where not any.

        What is left of the limit after the decode pool's wait is prefill's; at a percentile, after the same percentile
        of that wait: together the two are below their sum as often at least. The mean wait of prompts of s seconds is
        W = l s^2 g / (1 - l s), g being half of the sum of the squared coefficients of variation.
        """
        steps, share = self._prefill.steps, asarray(self.traffic.limit_percentile, dtype=np.float64) / 100
        left, most = self.limits.ttft_s - self._beyond_s, self.pool.most_utilisation / steps.alone_s
        if not np.isnan(share).all():
            left = left - decoding.ttft.quantile_s(share)
            return np.minimum(goodput(steps.wide(left.shape), self.traffic, (left, np.inf)), most)
        wait = left - decoding.ttft.mean_s - steps.alone_s
        spread = (asarray(self.traffic.arrival_cv) ** 2 + self._prefill.work_cv2) / 2
        with np.errstate(invalid="ignore"):
            rate = wait / (steps.alone_s * (wait + steps.alone_s * spread))
        return np.where((wait > 0) & np.isfinite(wait) & (steps.most >= 1), np.minimum(rate, most), 0.0)

    def _sized(self, decoding: Served) -> tuple[FloatArray, Served]:
        """Return the requests per second of a prefill replica beside a decode pool, and what they see there."""
        rate = self._prefill_rate(decoding)
        return rate, Queue(self._prefill.steps.wide(rate.shape), self.traffic).open(rate)

    def _request_usd(self, decoding: Served) -> FloatArray:
        """Return what chips cost over the requests per second that they take, chips alone where one has no price."""
        first, rates = self.pool.result, (self._prefill_rate(decoding) * self.pool.prompts, decoding.requests_per_s)
        prices = [asarray(machine.price_usd) for machine in (first.machine, self.result.machine)]
        unknown = np.isnan(prices[0]) | np.isnan(prices[1])
        groups = (self.pool.chips, asarray(self.result.serving.chips) / self.replicas)
        each = [np.where(unknown, 1.0, price) * chips for price, chips in zip(prices, groups, strict=True)]
        with np.errstate(divide="ignore", invalid="ignore"):
            cost = each[0] / rates[0] + each[1] / rates[1]
        return np.where(np.isnan(cost), np.inf, cost)

    @property
    def _beyond_s(self) -> FloatArray:
        """Time of a fixed wait, prefill and crossing beyond what occupies the longer of the latter."""
        return self.ready_s - self._prefill.steps.alone_s

    @cached_property
    def _port_per_s(self) -> FloatArray:
        """Requests per second whose keys and values the ports of a decode replica take."""
        ports = self.pool.network.bytes_per_s * asarray(self.result.serving.chips) / self.replicas
        with np.errstate(divide="ignore"):
            return asarray(ports / self.transfer_bytes)

    @cached_property
    def _decoding_at_goodput(self) -> Served:
        """A decode replica at the load by which a request is cheapest."""
        bounds = (self._port_per_s, self.pool.most_utilisation * self.decoders.capacity_per_s)
        most = np.minimum(self.decoders._goodput, np.minimum(*bounds))
        tried = [self.decoders.at(most * share) for share in SHARES]
        # Steps that rise in stairs may miss a limit at the goodput that straight lines find, and keep it below.
        kept = [self.decoders.keeps(one) for one in tried[:-1]] + [np.ones(1, dtype=bool)]
        costs = [np.where(met, self._request_usd(one), np.inf) for met, one in zip(kept, tried, strict=True)]
        best = np.argmin(as_rows(*costs), axis=0)
        return self.decoders.at(most * asarray(SHARES)[best])

    @cached_property
    def _decoding(self) -> Served:
        """A decode replica at the load; times without bound where its ports cannot take that."""
        if not self.decoders.has_load:
            return self._decoding_at_goodput
        seen = self.decoders.served
        endless = np.where(seen.requests_per_s > self._port_per_s, np.inf, 0.0)
        return replace(seen, ttft=replace(seen.ttft, least_s=seen.ttft.least_s + endless))

    @cached_property
    def _sized_at_load(self) -> tuple[FloatArray, Served]:
        return self._sized(self._decoding)

    @cached_property
    def _sized_at_goodput(self) -> tuple[FloatArray, Served]:
        return self._sized(self._decoding_at_goodput)

    def _together(self, decoding: Served, prefilled: Served) -> Served:
        """Return what users of both pools see."""
        both = in_turn(prefilled.ttft, decoding.ttft)
        return replace(decoding, ttft=replace(both, least_s=both.least_s + self._beyond_s))

    @property
    def goodput_per_s(self) -> FloatArray:
        """Most requests per second of a decode group, with as many prefill chips as that takes."""
        most = self._decoding_at_goodput.requests_per_s * self.replicas
        return np.where(self._sized_at_goodput[0] > 0, most, 0.0)

    @property
    def least_s(self) -> tuple[FloatArray, FloatArray]:
        """Time to first token and time per token that a single request sees, the least at any load."""
        return self.ready_s, self.decoders.least_s[1]

    @cached_property
    def at_goodput(self) -> Served:
        """What users see at the goodput."""
        return self._together(self._decoding_at_goodput, self._sized_at_goodput[1])

    @cached_property
    def served(self) -> Served:
        """What users see at the load; at the goodput where no load is told."""
        return self._together(self._decoding, self._sized_at_load[1])

    @property
    def prefill_per_s(self) -> FloatArray:
        """Requests per second that a group of the prefill pool takes."""
        return asarray(self._sized_at_load[0] * self.pool.prompts)

    @property
    def prefill_utilisation(self) -> FloatArray:
        """Share of the time in which a group of the prefill pool is at work."""
        return asarray(self._sized_at_load[0] * self.pool.result.prefill_work_s)

    @property
    def prefill_chips(self) -> FloatArray:
        """Chips that prefill beside a decode group, in part; NaN where no number of them keeps the limit."""
        rate, load = self.prefill_per_s, self._decoding.requests_per_s * self.replicas
        return asarray(load / positive(rate) * self.pool.chips)

    def at_work(self) -> Inference:
        """Return the decode pool with as many sequences as decode at the load, for energy and memory."""
        sequences = np.maximum(self._decoding.decoding, 1.0)
        return replace(self.result, serving=replace(self.result.serving, batch=sequences))
