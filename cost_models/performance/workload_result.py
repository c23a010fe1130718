"""One workload on one machine, and the terms that its metrics are put together from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cost_models.library.technology import Technology
from cost_models.performance.continuous import Continuous
from cost_models.performance.conversations import Conversations
from cost_models.performance.disaggregation import Disaggregated
from cost_models.performance.inference import Inference
from cost_models.performance.operating_point import OperatingPoint, Slo, operating_point
from cost_models.performance.phases import summed
from cost_models.performance.pool_costs import PoolCosts, pool_costs
from cost_models.performance.step_times import PromptTimes, single
from cost_models.performance.waits import TINY, Served
from cost_models.silicon.carbon import g_per_million_tokens
from cost_models.silicon.cost import usd_per_million_tokens
from cost_models.silicon.machine import Machine
from cost_models.table import FloatArray, Number, positive
from cost_models.tape import asarray
from cost_models.weights.quality import Quality
from cost_models.workload.formats import Formats
from cost_models.workload.serving import ServingConfig
from cost_models.workload.sessions import Tier


@dataclass(frozen=True)
class WorkloadResult:
    """One workload on one machine, with everything that explains it.

    Attributes:
        workload: its name.
        machine: one of the chips.
        formats: stored bits.
        planned: time, memory and power of the batch; of a single request where there are users.
        judge_quality: works out what compression costs in perplexity.
        limits: what it promises its users; None where no operating point is asked for.
        users: what users of an engine that batches continuously see; None for other ways of batching.
    """

    workload: str
    machine: Machine
    formats: Formats
    planned: Inference
    judge_quality: Callable[[], Quality]
    limits: Slo | None = None
    users: Continuous | Disaggregated | None = None

    @cached_property
    def inference(self) -> Inference:
        """Time, memory and power, of users of as many sequences as decode together at the load."""
        return self.planned if self.users is None else self.users.at_work()

    @property
    def serving(self) -> ServingConfig:
        """The workload and who shares it."""
        return self.inference.serving

    @cached_property
    def quality(self) -> Quality:
        """What compression costs in perplexity."""
        return self.judge_quality()

    @property
    def prefilling(self) -> Inference:
        """The workload on the machine that prefills it."""
        return self.users.pool.result if isinstance(self.users, Disaggregated) else self.inference

    @cached_property
    def fits(self) -> NDArray[np.bool_]:
        """Whether the chips of every pool hold their share."""
        held = self.planned.fits
        return held & self.users.pool.result.fits if isinstance(self.users, Disaggregated) else held

    @cached_property
    def operating(self) -> OperatingPoint:
        """The largest batch within limits, of users the requests at goodput; missing where nothing is promised."""
        if self.users is not None:
            rate, inside = self.users.goodput_per_s, self.users.at_goodput.concurrency * self.users.replicas
            # Without a limit on the time to first token a queue has no bound; the memory has.
            held = np.minimum(inside, self.users.queue.steps.most * self.users.replicas)
            return OperatingPoint(np.where(rate > 0, held, 0.0), rate * asarray(self.planned.serving.output_tokens))
        if self.limits is None:
            missing = np.array([np.nan])
            return OperatingPoint(missing, missing)
        return operating_point(self.inference, self.limits)


@dataclass(frozen=True)
class Terms:
    """What several metrics are made of, each worked out when it is first asked for."""

    served: WorkloadResult
    technology: Technology

    @property
    def result(self) -> Inference:
        """Time, memory and power of the workload."""
        return self.served.inference

    @cached_property
    def batch(self) -> FloatArray:
        """Sequences in flight."""
        return asarray(self.served.serving.sequences)

    @cached_property
    def tokens(self) -> FloatArray:
        """Output tokens of a batch."""
        return asarray(self.batch * asarray(self.served.serving.output_tokens))

    @cached_property
    def seen(self) -> Served | None:
        """What users of a replica see; None where they are no users of a queue."""
        return None if self.served.users is None else self.served.users.served

    @cached_property
    def pool(self) -> PoolCosts | None:
        """What a prefill pool adds; None where prompts are prefilled by the chips that decode."""
        return pool_costs(self.served.users) if isinstance(self.served.users, Disaggregated) else None

    @cached_property
    def tier(self) -> Tier | None:
        """The memory per chip that keeps histories of conversations; None without one."""
        sessions = self.served.planned.serving.sessions
        return None if sessions is None else sessions.tier

    def _with_tier(self, own: Number, of_chip: str) -> FloatArray:
        """Return an amount of all chips with that of their tiers."""
        if self.tier is None:
            return asarray(own)
        return asarray(own + asarray(getattr(self.tier, of_chip)) * self.served.serving.chips)

    @cached_property
    def tier_j(self) -> FloatArray:
        """Energy of a turn's histories, read and written; 0 without a tier."""
        users = self.served.users
        if self.tier is None or not isinstance(users, Conversations):
            return np.zeros(1)
        return asarray(users.moved_bytes * self.tier.j_per_byte)

    @cached_property
    def chips(self) -> FloatArray:
        """Chips of all pools."""
        own = asarray(self.served.serving.chips)
        return own if self.pool is None else asarray(own + self.pool.chips)

    @property
    def load_s(self) -> FloatArray:
        """Time to load the weights of each chip over its host interface; NaN where it has none."""
        rate = self.result.machine.host_bytes_per_s
        return self.result.footprint.weights_bytes / self.result.serving.chips / positive(rate)

    @cached_property
    def tpot_s(self) -> FloatArray:
        """Time per output token, of users the mean."""
        return self.result.decode_s if self.seen is None else self.seen.tpot.mean_s

    @cached_property
    def ttft_s(self) -> FloatArray:
        """Time to first token, of users the mean."""
        return self.result.prefill_s if self.seen is None else self.seen.ttft.mean_s

    @cached_property
    def request_s(self) -> FloatArray:
        """Time of a whole request."""
        return self.result.request_s if self.seen is None else self.ttft_s + self.seen.decode_steps * self.tpot_s

    @cached_property
    def tokens_per_s(self) -> FloatArray:
        """Output tokens per second of decode steps; of users at their load."""
        return asarray(self.batch / self.result.decode_s) if self.seen is None else self.end_to_end

    @cached_property
    def end_to_end(self) -> FloatArray:
        """Output tokens per second, prompts included."""
        if self.seen is None:
            return self.result.tokens_per_s_end_to_end
        return asarray(self.requests_per_s * asarray(self.served.serving.output_tokens))

    @cached_property
    def decode_j(self) -> FloatArray:
        """Energy of boards per output token of a decode step."""
        return asarray(self.result.step_energy.board_j / self.batch)

    @cached_property
    def prompt_j(self) -> FloatArray:
        """Energy of boards per prompt token that is computed."""
        prefilling = self.served.prefilling
        prompts = asarray(prefilling.serving.sequences)
        if np.any(prefilling.in_flight):
            prompts = np.where(prefilling.in_flight, 1.0, prompts)
        rows = prompts * asarray(self.served.serving.computed_tokens)
        return asarray(prefilling.prefill_energy.board_j / positive(rows))

    @cached_property
    def request_j(self) -> FloatArray:
        """Energy of boards per output token, prefill included."""
        if self.tier is not None:
            idle = self._with_tier(0.0, "idle_w") / positive(self.requests_per_s)
            return asarray(self.decode_j + (self.tier_j + idle) / asarray(self.served.serving.output_tokens))
        if self.pool is not None:
            return asarray(self.decode_j + self.pool.request_j / asarray(self.served.serving.output_tokens))
        decoding = self.result.decode_energy.board_j * asarray(self.served.serving.decode_steps)
        whole = asarray((self.result.prefill_energy.board_j + decoding) / self.tokens)
        return np.where(self.result.in_flight, self.decode_j, whole) if np.any(self.result.in_flight) else whole

    @cached_property
    def requests_per_s(self) -> FloatArray:
        """Requests per second."""
        result = self.result
        if self.served.users is not None:
            return asarray(self.served.users.served.requests_per_s * self.served.users.replicas)
        whole = self.batch * result.waves / result.request_s
        if not np.any(result.in_flight):
            return asarray(whole)
        return np.where(result.in_flight, self.tokens_per_s / asarray(result.serving.output_tokens), whole)

    @cached_property
    def provisioned_w(self) -> FloatArray:
        """Design limits of all that serves the workload."""
        boards = self.served.machine.tdp_w * self.served.serving.chips + self.ports("w_per_chip")
        own = self._with_tier(boards, "idle_w")
        return own if self.pool is None else asarray(own + self.pool.tdp_w)

    @cached_property
    def prices(self) -> FloatArray:
        """Prices of all that serves the workload."""
        boards = self.served.machine.price_usd * self.served.serving.chips + self.ports("usd_per_chip")
        own = self._with_tier(boards, "price_usd")
        return own if self.pool is None else asarray(own + self.pool.price_usd)

    @property
    def memory_fraction(self) -> FloatArray:
        """Share of a decode step in operators that wait for memory."""
        by_memory, seconds, draft = _by_memory(self.result), self.result.decode_s, self.result.draft
        if draft is not None:
            by_memory = by_memory + self.result.draft_steps * _by_memory(draft)
        by_memory = by_memory / self.result.tokens_per_step
        return np.where(self.result.fits, by_memory, 0.0) * np.where(np.isfinite(seconds), 1 / seconds, 0.0)

    @cached_property
    def paid_rate(self) -> FloatArray:
        """Output tokens per second that costs are shared by; missing where none are served."""
        return positive(self.end_to_end)

    @cached_property
    def host_w(self) -> FloatArray:
        """Power of the servers around the boards."""
        return asarray(self.chips * asarray(self.technology.value("board.host_w_per_accelerator")))

    def ports(self, each: str) -> Number:
        """Return a field of `Nodes` times chips, in rows whose chips stand in several nodes."""
        nodes, chips = self.served.machine.nodes, asarray(self.served.serving.chips)
        return 0.0 if nodes is None else np.where(chips > nodes.chips, getattr(nodes, each) * chips, 0.0)

    @property
    def served_w(self) -> FloatArray:
        """Power of boards, their servers and the network between those while they serve."""
        return self.request_j * self.paid_rate + self.host_w + self.ports("w_per_chip")

    @property
    def waiting_w(self) -> FloatArray:
        """Power of boards, their servers and the network between those while they wait."""
        machine = self.served.machine
        boards = machine.static_w / machine.conversion_efficiency * self.served.serving.chips + self.ports("w_per_chip")
        boards = self._with_tier(boards, "idle_w")
        if self.pool is not None:
            boards = boards + self.pool.waiting_w
        return asarray(boards + self.host_w)

    @property
    def usd_per_million_tokens(self) -> FloatArray:
        """Cost of a million output tokens."""
        return usd_per_million_tokens(
            self.prices, self.served_w, self.paid_rate, chips=self.chips, technology=self.technology,
            idle_w=self.waiting_w, provisioned_w=self.provisioned_w + self.host_w,
        )  # fmt: skip

    @property
    def prompt_fraction(self) -> FloatArray:
        """Share of an engine's time for a request that its prompt takes; missing where no engine does both."""
        users = self.served.users
        if not isinstance(users, Continuous):
            return np.array([np.nan])
        steps, sequences = users.queue.steps, np.maximum(users.served.decoding, 1.0)
        decoding = steps.decode_steps * steps.step_s(sequences) / sequences
        return asarray(steps.prompt_s / (steps.prompt_s + decoding))

    @cached_property
    def prompt_fraction_j(self) -> tuple[FloatArray, FloatArray]:
        """Energy per request that its prompt takes: of the tokens that are computed, and of what is cached.

        Cached tokens take what new ones spend on meeting them, in the share of time, and what a tier of them takes.
        """
        users, output = self.served.users, asarray(self.served.planned.serving.output_tokens)
        if users is None:
            return np.array([np.nan]), np.array([np.nan])
        beyond = asarray((self.request_j - self.writing_j) * output)
        if not isinstance(users, Continuous):
            return beyond, np.zeros(1)
        kept = self.tier_j if self.tier is None else asarray(self.request_j - self.decode_j) * output
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.nan_to_num(self.cached_fraction / self.prompt_fraction)
        computing = beyond - kept
        return asarray(computing * (1 - share)), asarray(computing * share + kept)

    @cached_property
    def writing_j(self) -> FloatArray:
        """Energy per output token of decode steps by themselves."""
        return asarray(self.result.decode_energy.board_j / self.batch)

    def _each_j(self, joules: FloatArray, tokens: Number) -> FloatArray:
        """Return energy per token of some of a request's; missing where it has none of them."""
        return asarray(joules / positive(tokens))

    @property
    def usd_per_million_input_tokens(self) -> FloatArray:
        """Of tokens that a prefill computes."""
        paid = self.prompt_fraction - self.cached_fraction
        return self._per_million(paid, self.served.serving.computed_tokens)

    @property
    def usd_per_million_cached_tokens(self) -> FloatArray:
        """Cost of a million prompt tokens that are found."""
        return self._per_million(self.cached_fraction, self.served.serving.cached_tokens)

    def _per_million(self, fraction: FloatArray, tokens: Number) -> FloatArray:
        """Return what a share of a request's cost is per million of some of its tokens; missing where it has none."""
        output = asarray(self.served.planned.serving.output_tokens)
        return asarray(self.usd_per_million_tokens * fraction * output / positive(tokens))

    @cached_property
    def cached_fraction(self) -> FloatArray:
        """Share of an engine's time for a request in which its prompt meets the prefix: 0 without one."""
        users, work = self.served.users, self.served.serving
        cached = asarray(work.cached_tokens)
        if not isinstance(users, Continuous) or not (cached > 0).any():
            return np.zeros(1)
        serving = replace(work, prompt_tokens=work.computed_tokens, prefix_tokens=0.0, reused_tokens=0.0)
        bare = PromptTimes.of(single(replace(users.result, serving=serving))).prompt_s
        whole = PromptTimes.of(single(replace(users.result, serving=work))).prompt_s
        beside = np.maximum(1 - bare / np.maximum(whole, TINY), 0.0)
        return np.where(cached > 0, self.prompt_fraction * beside, 0.0)

    @property
    def co2e_g_per_million_tokens(self) -> FloatArray:
        """Emissions of a million output tokens."""
        embodied_kg = self._with_tier(self.served.machine.embodied_kg * self.served.serving.chips, "embodied_kg")
        if self.pool is not None:
            embodied_kg = embodied_kg + self.pool.embodied_kg
        return g_per_million_tokens(
            embodied_kg, self.served_w, self.waiting_w, self.paid_rate, technology=self.technology
        )

    @property
    def chips_for_load(self) -> FloatArray:
        """Chips that serve the load."""
        limits, rate = self.served.limits, self.served.operating.tokens_per_s
        load: Number = np.nan if limits is None or limits.load_tokens_per_s is None else limits.load_tokens_per_s
        if self.served.users is not None:
            arriving = self.served.users.traffic.arrivals_per_s * asarray(self.served.serving.output_tokens)
            load = np.where(np.isnan(load), arriving, load)
        if np.isnan(load).all():
            return np.array([np.nan])
        groups = np.ceil(load / positive(rate))
        chips = asarray(groups * self.served.serving.chips)
        users = self.served.users
        if not isinstance(users, Disaggregated):
            return chips
        requests = load / asarray(self.served.serving.output_tokens)
        return asarray(chips + np.ceil(requests / positive(users.prefill_per_s)) * users.pool.chips)

    @property
    def memory_gib(self) -> FloatArray:
        """Weights, KV cache and activations, all chips together."""
        held = self.result.footprint
        return (held.weights_bytes + held.kv_bytes + held.activations_bytes) / 2**30


def _by_memory(result: Inference) -> FloatArray:
    """Return the time of those operators of a decode step that wait for memory."""
    step = result.decode
    waiting = np.where(step.times.memory_s >= step.times.arithmetic_s, step.total_s, 0.0)
    return summed(waiting)
