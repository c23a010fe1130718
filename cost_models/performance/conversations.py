"""Users who talk in several turns, under continuous batching: prompts that a cache may have most of.

A turn whose history is found computes its new tokens only; one whose history lies in a tier behind a link reads it from
there first, one after the other on each replica's links (the queue of Pollaczek and Khinchine). A tier hands over layer
by layer, so that the prefill of the new tokens runs behind: the first layer, or what takes longer than the prefill,
delays the first token (CachedAttention, arXiv 2403.19708). Histories are read only where that is sooner than computing
them, the line for the link included, and as many as the link carries, both ways. How many are found depends on the
load, and the load that keeps the limits on that: the fixed point is found by straight lines for all rows at once. Left
out: prompts that are found in part, memory that a history takes while it is read, and pools.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from cost_models.performance.continuous import Continuous
from cost_models.performance.goodput import goodput
from cost_models.performance.inference import Inference
from cost_models.performance.queue_chain import Traffic
from cost_models.performance.serving_queue import Queue
from cost_models.performance.step_times import PromptTimes, StepTimes, single, step_times
from cost_models.performance.waits import TINY, Wait
from cost_models.table import FloatArray, Number
from cost_models.tape import asarray
from cost_models.workload.serving import request_cache_bytes
from cost_models.workload.sessions import Sessions

ROUNDS = 5
"""Loads that are tried for the one at which as many histories are found as it assumes."""


@dataclass(frozen=True)
class Conversations(Continuous):
    """Turns of conversations on an engine that batches continuously; ``(n,)`` columns; a request is a turn."""

    @property
    def sessions(self) -> Sessions:
        """The conversations."""
        sessions = self.result.serving.sessions
        assert sessions is not None
        return sessions

    @cached_property
    def _missing(self) -> PromptTimes:
        """A mean prompt all of which is computed."""
        return PromptTimes.of(single(self.result))

    @cached_property
    def _finding(self) -> StepTimes:
        """The engine where every history is found."""
        found = replace(self.result.serving, reused_tokens=self.sessions.history_tokens)
        limits = None if self.has_load else self._limits_s
        return step_times(replace(self.result, serving=found), limits)

    @cached_property
    def bytes_per_token(self) -> FloatArray:
        """Keys, values and states of a token of a mean history."""
        history = np.maximum(self.sessions.history_tokens, self.sessions.growth_tokens)
        held = request_cache_bytes(self.result.serving, history, self.result.formats.kv_bits)
        return asarray(held / history)

    @property
    def _chips(self) -> FloatArray:
        """Chips of a replica."""
        return asarray(self.result.serving.chips, dtype=np.float64) / self.replicas

    @cached_property
    def _later_s(self) -> FloatArray:
        """Time that computing a history takes, in the mean over turns that have one."""
        more = np.maximum(self._missing.alone_s - self._finding.alone_s, 0.0)
        return asarray(more / np.maximum(self.sessions.returning, TINY))

    @property
    def computed_s(self) -> FloatArray:
        """Prefill of a mean prompt all of which is computed."""
        return self._missing.alone_s

    @property
    def found_s(self) -> FloatArray:
        """Prefill of a mean prompt whose history is found."""
        return self._finding.alone_s

    @property
    def most_line_s(self) -> FloatArray:
        """Longest line for the links with which a history is read and not computed anew."""
        return np.maximum(self._later_s - self._exposed_s, 0.0)

    @cached_property
    def read_s(self) -> FloatArray:
        """Time that a mean history occupies the links to the tier; infinite without one."""
        sessions, tier = self.sessions, self.sessions.tier
        if tier is None:
            return np.full(1, np.inf)
        tokens = sessions.history_tokens / np.maximum(sessions.returning, TINY)
        with np.errstate(divide="ignore"):
            return asarray(tier.latency_s + tokens * self.bytes_per_token / (tier.bytes_per_s * self._chips))

    @cached_property
    def _exposed_s(self) -> FloatArray:
        """What of that delays the first token: of L layers, the first one's part or what is beyond the prefill."""
        layers = self.result.serving.model.layers
        return asarray(np.maximum(self.read_s / layers, self.read_s - self._finding.alone_s * (1 - 1 / layers)))

    def found_shares(self, rate_per_s: Number) -> tuple[FloatArray, FloatArray]:
        """Return the shares of histories that a replica finds in the chips' memory, and that it reads from the tier.

        Args:
            rate_per_s: turns that come to the replica per second.
        """
        sessions, tier = self.sessions, self.sessions.tier
        each = self.bytes_per_token / self._chips
        near = sessions.found_share(sessions.kept_bytes / each, rate_per_s)
        told = asarray(sessions.hit_share, dtype=np.float64)
        if tier is None:
            near = np.where(np.isnan(told), near, told)
            return near, np.zeros_like(near)
        whole = sessions.found_share((asarray(sessions.kept_bytes) + tier.capacity_bytes) / each, rate_per_s)
        far = np.minimum(np.maximum(np.where(np.isnan(told), whole, near + told) - near, 0.0), 1 - near)
        # Links are taken until their line, W = u s m / (2 (1 - u)), is as long as computing takes beyond reading.
        line = self.read_s * sessions.spread / 2
        most = np.minimum(self.most_line_s / (self.most_line_s + line), tier.most_utilisation)
        # All that turns add is written as well.
        added = rate_per_s * sessions.growth_tokens * self.bytes_per_token
        with np.errstate(divide="ignore", invalid="ignore"):
            reads = most / (rate_per_s * sessions.returning * self.read_s)
            writes = tier.most_utilisation * asarray(tier.bytes_per_s) * self._chips / added
        return near, np.where(most > 0, np.minimum(far, reads * np.minimum(writes, 1.0)), 0.0)

    def steps_at(self, rate_per_s: Number) -> StepTimes:
        """Return the step times of a replica at a rate of turns: those of turns that find their history and others."""
        missing, finding, sessions = self._missing, self._finding, self.sessions
        near, far = self.found_shares(rate_per_s)
        lost, returning = 1 - near - far, sessions.returning
        read = np.where(far > 0, self.read_s, 0.0)
        taken = rate_per_s * returning * far * read
        queued = taken * read * sessions.spread / (2 * np.maximum(1 - taken, TINY))
        delay = np.where(far > 0, self._exposed_s, 0.0) + queued
        # Prompts of all kinds are one mean prompt to the engine; what is its own to each kind is told apart.
        least = -lost * returning * self._later_s
        cases = (
            (returning * lost, self._later_s, self._later_s**2 * (sessions.spread - 1)),
            (returning * far, delay, read**2 * (sessions.spread - 1) + queued**2),
        )

        def mean(found: FloatArray, computed: FloatArray) -> FloatArray:
            return asarray((1 - lost) * found + lost * computed)

        columns: dict[str, Any] = {
            "prompt_s": mean(finding.prompt_s, missing.prompt_s),
            "alone_s": mean(finding.alone_s, missing.alone_s),
            "chunks": mean(finding.chunks, missing.chunks),
            "prompts_per_step": 1 / mean(1 / finding.prompts_per_step, 1 / missing.prompts_per_step),
        }
        empty = mean(finding.decode_s[0], missing.empty_step_s)
        wide = finding.wide(empty.shape)
        decode_s = np.concatenate([empty[None], wide.decode_s[1:]])
        return replace(wide, decode_s=decode_s, apart=Wait.of(least + np.zeros_like(empty), cases), **columns)

    def _traffic_at(self, rate_per_s: Number) -> Traffic:
        """Return the traffic with what prompts vary by: those that compute their history, and how long that is."""
        sessions, alone = self.sessions, self._finding.alone_s
        near, far = self.found_shares(rate_per_s)
        share = (1 - near - far) * sessions.returning
        mean = alone + share * self._later_s
        spread = share * self._later_s**2 * sessions.spread - (share * self._later_s) ** 2
        own = (alone * asarray(self.traffic.prompt_cv)) ** 2
        return replace(self.traffic, prompt_cv=np.sqrt(np.maximum(spread, 0.0) + own) / mean)

    def _asked(self, rate_per_s: FloatArray) -> FloatArray:
        """Return the turns per second of a replica that are asked for or borne where so many are assumed."""
        steps, traffic = self.steps_at(rate_per_s), self._traffic_at(rate_per_s)
        if not self.has_load:
            return goodput(steps, traffic, self._limits_s)
        requests = asarray(self.traffic.concurrency, dtype=np.float64) / self.replicas
        return Queue(steps, traffic).closed(requests).requests_per_s

    @cached_property
    def _rate(self) -> FloatArray:
        """Turns per second of a replica: those that come, or as many as lead to as many."""
        arrivals = asarray(self.traffic.arrivals_per_s, dtype=np.float64) / self.replicas
        if not np.isnan(arrivals).all():
            return arrivals + np.zeros_like(self._finding.most)
        # The more are assumed, the fewer find their history and the fewer are borne: one crossing.
        high = self._asked(np.zeros_like(self._finding.most))
        low = np.minimum(self._asked(high), high)
        at_high, at_low = low - high, np.maximum(self._asked(low) - low, 0.0)
        for _ in range(ROUNDS):
            tried = _between(low, at_low, high, at_high)
            missed = self._asked(tried) - tried
            # An end that stays counts half (Illinois).
            kept = missed >= 0
            at_low, at_high = np.where(kept, missed, at_low / 2), np.where(kept, at_high / 2, missed)
            low, high = np.where(kept, tried, low), np.where(kept, high, tried)
        return _between(low, at_low, high, at_high)

    @cached_property
    def _goodput(self) -> FloatArray:
        if not self.has_load:
            return self._rate
        return replace(self, traffic=replace(self.traffic, arrivals_per_s=np.nan, concurrency=np.nan))._goodput

    @cached_property
    def _traffic(self) -> Traffic:
        return self._traffic_at(self._rate)

    @cached_property
    def _steps(self) -> StepTimes:
        return self.steps_at(self._rate)

    @cached_property
    def _shares(self) -> tuple[FloatArray, FloatArray]:
        """Shares of the histories that are found at the load, in each memory."""
        return self.found_shares(self._rate)

    @property
    def hit_share(self) -> FloatArray:
        """Share of the histories that are found, in either memory."""
        near, far = self._shares
        return asarray(near + far)

    @property
    def asked_bytes(self) -> FloatArray:
        """Bytes of histories of all replicas that will be asked for again."""
        return asarray(self.sessions.asked_tokens(self._rate) * self.bytes_per_token * self.replicas)

    @property
    def delay_s(self) -> FloatArray:
        """Mean delay of a first token by reads of the tier, over those that are read; 0 where none is."""
        apart = self._steps.apart
        assert apart is not None
        return asarray(apart.extra_s[1])

    @property
    def moved_bytes(self) -> FloatArray:
        """Bytes that cross a replica's links to the tier per turn, both ways."""
        sessions = self.sessions
        if sessions.tier is None:
            return np.zeros(1)
        _, far = self._shares
        tokens = far * sessions.history_tokens + sessions.growth_tokens + (1 - self.hit_share) * sessions.history_tokens
        return asarray(tokens * self.bytes_per_token * (asarray(sessions.tier.capacity_bytes) > 0))

    def at_work(self) -> Inference:
        """Return the workload with as many sequences in flight as decode at the load, their histories found or not."""
        work = super().at_work()
        reused = self.hit_share * self.sessions.history_tokens
        return replace(work, serving=replace(work.serving, reused_tokens=reused))


def _between(low: FloatArray, at_low: FloatArray, high: FloatArray, at_high: FloatArray) -> FloatArray:
    """Return where a straight line from an amount of at least 0 to one of at most 0 crosses it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        line = (low * at_high - high * at_low) / (at_high - at_low)
    return asarray(np.clip(np.where(np.isfinite(line), line, high), low, high))
