"""A model and how it is used, as the models take it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cost_models.library import Library, Model
from cost_models.library.technology import Technology
from cost_models.performance.batching import CONTINUOUS
from cost_models.performance.queue_chain import Traffic
from cost_models.silicon.carbon import dram_kg
from cost_models.table import Number, as_column
from cost_models.tape import asarray
from cost_models.units import BITS_PER_BYTE, GIB, GIGA, PICO
from cost_models.workload.serving import Layout, ServingConfig
from cost_models.workload.sessions import Sessions, Tier
from cost_models.workload.speculation import MTP, NGRAM, Speculation, mtp_module


@dataclass(frozen=True)
class Drafting:
    """How a workload drafts tokens (`cost_models.workload.speculation`).

    Attributes:
        draft_tokens: tokens that are drafted per step.
        acceptance: chance that a drafted token is accepted.
        draft: a model of the library, "mtp" for a further layer of the model itself, or "ngram" for copies of what was
            said before.
    """

    draft_tokens: Number
    acceptance: Number
    draft: str

    def of(self, model: Model, library: Library) -> Speculation:
        """Return the same with the draft as a model."""
        numbers = as_column(self.draft_tokens), as_column(self.acceptance)
        if self.draft == NGRAM:
            return Speculation(*numbers)
        if self.draft == MTP:
            return Speculation(*numbers, mtp_module(model), shares_vocabulary=True)
        return Speculation(*numbers, library.model(self.draft))


@dataclass(frozen=True)
class Conversation:
    """How users talk in turns (`cost_models.workload.sessions`), each of which adds the workload's prompt and answer.

    Attributes:
        turns: turns of a session.
        think_s: mean time from an answer to the next message.
        kept_gib: of each chip's memory, what is set aside for histories.
        tier: memory technology of the library that holds histories behind a link of the chip; None for none.
        tier_gib: capacity of that per chip.
        tier_gbps: bandwidth of a chip's link to it, each way; ``deployment.tier_gbps`` where NaN.
        hit_share: share of the histories that is found; worked out from the capacity where NaN.
    """

    turns: Number
    think_s: Number
    kept_gib: Number = 0.0
    tier: str | None = None
    tier_gib: Number = 0.0
    tier_gbps: Number = np.nan
    hit_share: Number = np.nan

    def of(self, growth_tokens: Number, technology: Technology) -> Sessions:
        """Return the sessions, whose contexts grow by so much per turn."""
        kept = as_column(np.nan_to_num(self.kept_gib)) * GIB
        numbers = (as_column(self.turns), as_column(self.think_s), as_column(growth_tokens), kept)
        return Sessions(*numbers, self._tier(technology), as_column(self.hit_share))

    def _tier(self, technology: Technology) -> Tier | None:
        if self.tier is None:
            return None
        value, memory = technology.value, f"memory.{self.tier}"
        gib, told = as_column(np.nan_to_num(self.tier_gib)), as_column(self.tier_gbps)
        pj_per_bit = asarray(value(f"{memory}.energy_total_pj_per_bit")) + value("deployment.tier_link_pj_per_bit")
        price = asarray(value(f"{memory}.price_usd_per_gb")) * value("memory_market.price_over_2025")
        return Tier(
            capacity_bytes=gib * GIB,
            bytes_per_s=np.where(np.isnan(told), value("deployment.tier_gbps"), told) * GIGA,
            latency_s=value("deployment.tier_latency_s"),
            j_per_byte=pj_per_bit * (PICO * BITS_PER_BYTE),
            price_usd=gib * price,
            idle_w=gib * value(f"{memory}.idle_w_per_gib"),
            embodied_kg=dram_kg(gib, asarray(value(f"{memory}.embodied_g_per_gib"))),
            most_utilisation=value("deployment.most_utilisation"),
        )


@dataclass(frozen=True)
class Workload:
    """A model and how it is used; numbers are scalars or ``(n,)`` columns.

    Attributes:
        name: what it is called.
        model: architecture in the library.
        batch: sequences that all chips serve together; where NaN, the most that their memory holds.
        prompt_tokens: prompt length.
        output_tokens: generated tokens per sequence.
        prefix_cached: what of a prompt is a cached prefix: a share up to 1, tokens above 1; none where NaN.
        n_chips: chips that serve it together, where `parallelism` is a kind.
        parallelism: how they share the model: a kind, or numbers of chips (`cost_models.workload.serving.Layout`).
        node_chips: chips of a server or rack, that reach each other by links of their own; where NaN as the chip's
            entry says, else all.
        network_gbps: bandwidth of each chip into the network between those, one way, GB/s; where NaN as the chip's
            entry says, else parameter ``deployment.network_gbps``.
        batching: one of `cost_models.performance.batching.BATCHINGS`, or one per row.
        traffic: how requests come where `batching` is "continuous"; the batch has no part in it then.
        drafting: how tokens are drafted; None where the model decodes alone.
        conversation: how users talk in turns, each of which has `prompt_tokens` new ones; None where every request is
            by itself.
        chunk_rows: most tokens that a prefill takes together; as the stack does it where NaN.
        same_prompts: 1 where all sequences have one text, and so choose the same experts.
        expert_spread: exponent by which tokens choose experts (`ServingConfig`); parameter ``serving.expert_spread``,
            of requests in flight ``serving.served_expert_spread``,
            where NaN.
        hottest_fifth: share of the choices of experts that fall on the fifth of them that is chosen most; all are alike
            where NaN.
        weight_format: weight format where it is not the design's.
        expert_format: format of routed experts where it is not the design's.
        kv_bits: bits of a KV-cache element where they are not the design's.
        act_bits: bits of an activation in linear layers where they are not the design's.
    """

    name: str
    model: str
    batch: Number = 1.0
    prompt_tokens: Number = 1024.0
    output_tokens: Number = 1024.0
    prefix_cached: Number = np.nan
    n_chips: Number = 1.0
    parallelism: str | Layout = "tensor"
    node_chips: Number = np.nan
    network_gbps: Number = np.nan
    batching: str | NDArray[np.object_] = "static"
    traffic: Traffic = field(default_factory=Traffic)
    drafting: Drafting | None = None
    conversation: Conversation | None = None
    chunk_rows: Number = np.nan
    same_prompts: Number = 0.0
    expert_spread: Number = np.nan
    hottest_fifth: Number = np.nan
    weight_format: str | None = None
    expert_format: str | None = None
    kv_bits: float | None = None
    act_bits: float | None = None

    @property
    def layout(self) -> Layout:
        """How chips share the model."""
        return self.parallelism if isinstance(self.parallelism, Layout) else Layout.of(self.parallelism, self.n_chips)


def prompts_of(workload: Workload, layout: str | Layout) -> Workload:
    """Return the prompts of a workload, one at a time, on chips that share the model so."""
    return replace(workload, batching="in_flight", batch=1.0, parallelism=layout)


def serving_config(workload: Workload, technology: Technology) -> ServingConfig:
    """Return how a workload is served: model, lengths, sharing, how tokens choose experts; ``(n,)`` or ``(1,)``."""
    layout, batch = workload.layout, as_column(workload.batch)
    if np.any(asarray(layout.replicas) > 1):
        # A pass serves the sequences of one replica.
        batch = np.maximum(batch / layout.replicas, 1.0)
    spread: Number = technology.value("serving.expert_spread")
    flying = np.isin(asarray(workload.batching), ("in_flight", CONTINUOUS))
    if flying.any():
        spread = np.where(flying, technology.value("serving.served_expert_spread"), spread)
    reported, same = asarray(workload.expert_spread, dtype=np.float64), asarray(workload.same_prompts)
    if not np.isnan(reported).all():
        spread = np.where(np.isnan(reported), spread, reported)
    model = technology.library.model(workload.model)
    told = as_column(workload.prefix_cached)
    prefix: Number = 0.0
    if not np.isnan(told).all() and not model.encoder:
        prompt = asarray(workload.prompt_tokens, dtype=np.float64)
        # A step yields the first token from the last of the prompt, which is computed whatever is cached.
        tokens = np.where(told > 1, told, told * prompt)
        prefix = np.where(np.isnan(told), 0.0, np.clip(tokens, 0.0, np.maximum(prompt - 1, 0.0)))
    prompt, output = as_column(workload.prompt_tokens), as_column(workload.output_tokens)
    sessions = None
    if workload.conversation is not None:
        sessions = workload.conversation.of(prompt + output, technology)
        prompt = prompt + sessions.history_tokens
    return ServingConfig(
        model=model,
        batch=batch,
        prompt_tokens=prompt,
        output_tokens=output,
        tensor_parallel=as_column(layout.tensor_parallel),
        stages=as_column(layout.stages),
        parallelism=layout.kind,
        replicas=layout.replicas,
        expert_parallel=layout.expert_parallel,
        cache_split=layout.cache_split,
        expert_spread=np.where(same > 0, 0.0, spread) if same.any() else spread,
        hottest_fifth=workload.hottest_fifth,
        prefix_tokens=prefix,
        sessions=sessions,
        speculation=None if workload.drafting is None else workload.drafting.of(model, technology.library),
    )
