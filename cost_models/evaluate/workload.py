"""A model and how it is used, as the models take it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cost_models.library import Library, Model
from cost_models.library.technology import Technology
from cost_models.performance.batching import CONTINUOUS
from cost_models.performance.serving_queue import Traffic
from cost_models.table import Number, as_column
from cost_models.workload.serving import Layout, ServingConfig
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
        batching: one of `cost_models.performance.batching.BATCHINGS`, or one per row.
        traffic: how requests come where `batching` is "continuous"; the batch has no part in it then.
        drafting: how tokens are drafted; None where the model decodes alone.
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
    batching: str | NDArray[np.object_] = "static"
    traffic: Traffic = field(default_factory=Traffic)
    drafting: Drafting | None = None
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
    if np.any(np.asarray(layout.replicas) > 1):
        # A pass serves the sequences of one replica.
        batch = np.maximum(batch / layout.replicas, 1.0)
    spread: Number = technology.value("serving.expert_spread")
    flying = np.isin(np.asarray(workload.batching), ("in_flight", CONTINUOUS))
    if flying.any():
        spread = np.where(flying, technology.value("serving.served_expert_spread"), spread)
    reported, same = np.asarray(workload.expert_spread, dtype=np.float64), np.asarray(workload.same_prompts)
    if not np.isnan(reported).all():
        spread = np.where(np.isnan(reported), spread, reported)
    model = technology.library.model(workload.model)
    told = as_column(workload.prefix_cached)
    prefix: Number = 0.0
    if not np.isnan(told).all() and not model.encoder:
        prompt = np.asarray(workload.prompt_tokens, dtype=np.float64)
        # A step yields the first token from the last of the prompt, which is computed whatever is cached.
        tokens = np.where(told > 1, told, told * prompt)
        prefix = np.where(np.isnan(told), 0.0, np.clip(tokens, 0.0, np.maximum(prompt - 1, 0.0)))
    return ServingConfig(
        model=model,
        batch=batch,
        prompt_tokens=as_column(workload.prompt_tokens),
        output_tokens=as_column(workload.output_tokens),
        tensor_parallel=as_column(layout.tensor_parallel),
        stages=as_column(layout.stages),
        parallelism=layout.kind,
        replicas=layout.replicas,
        expert_parallel=layout.expert_parallel,
        cache_split=layout.cache_split,
        expert_spread=np.where(same > 0, 0.0, spread) if same.any() else spread,
        hottest_fifth=workload.hottest_fifth,
        prefix_tokens=prefix,
        speculation=None if workload.drafting is None else workload.drafting.of(model, technology.library),
    )
