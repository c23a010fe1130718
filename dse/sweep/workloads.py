"""What a sweep says of a workload."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationInfo, field_validator, model_validator

from cost_models.library import Library
from cost_models.quantities.parameters import PARAMETERS
from cost_models.quantities.workload_fields import WORKLOAD_FIELDS
from cost_models.workload.serving import KINDS, Layout
from cost_models.workload.speculation import MTP, NGRAM
from dse.sweep.fields import (
    Batch,
    CachedPrefix,
    Counted,
    DraftName,
    Flag,
    Measured,
    Milliseconds,
    Named,
    OutputTokens,
    ParallelismName,
    Percentile,
    PromptTokens,
    TokenRate,
    issue,
    validation_context,
)
from dse.sweep.records import SweepRecord
from dse.sweep.traces import TraceFile


def _default(name: str) -> Any:
    return (WORKLOAD_FIELDS.get(name) or PARAMETERS[name]).default


class SpeculationSpec(SweepRecord):
    """How a workload drafts tokens, for the model to verify several at a time.

    Attributes:
        draft_tokens: tokens that are drafted per decode step.
        acceptance: chance that a drafted token is accepted.
        draft: a model of the library, "mtp" for a further layer of the workload's own model, or "ngram".
    """

    draft_tokens: Counted
    acceptance: Measured
    draft: DraftName

    @field_validator("draft")
    @classmethod
    def _can_draft(cls, name: str, info: ValidationInfo) -> str:
        if name not in (MTP, NGRAM):
            check_complete(name, validation_context(info).library)
        return name


class SessionsSpec(SweepRecord):
    """How users talk in turns, each of which adds the workload's prompt and answer to what its prompt repeats.

    Attributes:
        turns: turns of a session.
        think_s: mean time from an answer to the next message, exponential.
        kept_gib: of each chip's memory, what is set aside for histories of users who think.
        tier: memory technology that keeps histories behind a link of each chip; none where not given.
        tier_gib: capacity of that memory per chip.
        tier_gbps: bandwidth of each chip's link to it, each way; ``deployment.tier_gbps`` where not given.
        hit_share: share of the histories that is found; worked out from capacity and load where not given.
    """

    turns: Counted
    think_s: Measured
    kept_gib: Measured | None = None
    tier: Named | None = None
    tier_gib: Measured | None = None
    tier_gbps: Measured | None = None
    hit_share: Measured | None = None

    @model_validator(mode="after")
    def _tier_whole(self) -> SessionsSpec:
        if self.tier is None and (self.tier_gib is not None or self.tier_gbps is not None):
            raise issue("tier_gib and tier_gbps say nothing without a tier", perhaps="tier: ddr5")
        if self.tier is not None and self.tier_gib is None:
            raise issue("a tier needs its capacity", perhaps="tier_gib: 128")
        return self


def check_complete(name: str, library: Library) -> None:
    """Refuse a model that cannot be evaluated."""
    model = library.models[name]
    if not model.complete:
        raise issue(f"the model {name} cannot be evaluated: {model.note or 'its dimensions are not public'}")


class WorkloadSpec(SweepRecord):
    """A model and how it is used.

    Attributes:
        model: architecture in the library.
        batch: sequences served together.
        prompt_tokens: prompt length.
        output_tokens: generated tokens per sequence.
        prefix_cached: what of every prompt is a cached prefix: a share up to 1, tokens above; none where not given.
        n_chips: chips that serve it together.
        parallelism: how they share the model.
        required: whether a design that cannot hold it is infeasible; its metrics are missing otherwise.
        node_chips: chips of a server or rack that reach each other by links of their own; all where not given.
        network_gbps: bandwidth of each chip into the network between nodes, one way; ``deployment.network_gbps`` where
            not given.
        batching: whether the batch is served at once, in waves of what an engine's memory takes, in flight, or
            continuously as requests arrive.
        arrivals_per_s: requests that come per second, where they are batched continuously.
        arrival_cv: coefficient of variation of the gaps between them; 1 where not given.
        concurrency: requests that are there at all times, in place of arrivals.
        prompt_p95_tokens: 95th percentile of prompt lengths, lognormal; all alike where not given.
        output_p95_tokens: the same of output lengths.
        speculation: how tokens are drafted; the model decodes alone where not given.
        sessions: how users talk in turns, of which `prompt_tokens` are what each adds; every request is by itself where
            not given.
        trace: a CSV file of requests, in place of arrivals and lengths.
        chunk_rows: most tokens that a prefill takes together; as the stack does it where not given.
        same_prompts: whether all sequences have one text, and so choose the same experts.
        expert_spread: exponent by which tokens choose experts; ``serving.expert_spread`` where not given.
        hottest_fifth: share of the choices of experts that fall on the fifth of them that is chosen most; all are
            alike where not given.
        weight_format: weight format of this workload where it is not the design's.
        expert_format: format of routed experts where it is not the design's.
        kv_bits: bits of the KV cache where they are not the design's.
        act_bits: bits of the activations where they are not the design's.
        ttft_limit_ms: most time to first token that users bear, for ``max_batch``.
        tpot_limit_ms: most time per token that users bear, for ``max_batch``.
        limit_percentile: percentile of the requests at which the limits hold for goodput; the mean where not given.
        load_tokens_per_s: output tokens per second to be delivered, for ``chips_for_load``.
    """

    model: Named
    batch: Batch = _default("batch")
    prompt_tokens: PromptTokens = _default("prompt_tokens")
    output_tokens: OutputTokens = _default("output_tokens")
    prefix_cached: CachedPrefix | None = None
    n_chips: Counted = _default("n_chips")
    parallelism: ParallelismName = _default("parallelism")
    node_chips: Counted | None = None
    network_gbps: Measured | None = None
    batching: Named = _default("batching")
    arrivals_per_s: Measured | None = None
    arrival_cv: Measured | None = None
    concurrency: Measured | None = None
    prompt_p95_tokens: Measured | None = None
    output_p95_tokens: Measured | None = None
    speculation: SpeculationSpec | None = None
    sessions: SessionsSpec | None = None
    trace: TraceFile | None = None
    chunk_rows: Counted | None = None
    same_prompts: Flag = False
    expert_spread: Measured | None = None
    hottest_fifth: Measured | None = None
    required: Flag = True
    weight_format: Named | None = None
    expert_format: Named | None = None
    kv_bits: Measured | None = None
    act_bits: Measured | None = None
    ttft_limit_ms: Milliseconds | None = None
    tpot_limit_ms: Milliseconds | None = None
    limit_percentile: Percentile | None = None
    load_tokens_per_s: TokenRate | None = None

    def said(self, field: str) -> Any:
        """Return what the workload says of a field of its own, its speculation or sessions; None where nothing."""
        for record in (self, self.speculation, self.sessions):
            if record is not None and field in type(record).model_fields:
                return getattr(record, field)
        return None

    @field_validator("model")
    @classmethod
    def _dimensions_known(cls, name: str, info: ValidationInfo) -> str:
        check_complete(name, validation_context(info).library)
        return name

    @model_validator(mode="after")
    def _traffic_of_trace(self) -> WorkloadSpec:
        """Take arrivals and lengths from a trace."""
        if self.trace is None:
            return self
        for name in ("arrivals_per_s", "arrival_cv", "prompt_tokens", "output_tokens"):
            told = getattr(self.trace, name)
            if name in self.model_fields_set and getattr(self, name) != told:
                raise issue(f"{name} {getattr(self, name)} stands beside a trace", f"{told:.6g}, as the trace has it")
            object.__setattr__(self, name, told)
        for name in ("concurrency", "prompt_p95_tokens", "output_p95_tokens"):
            if getattr(self, name) is not None:
                raise issue(f"{name} stands beside a trace, which has arrivals and lengths of its own")
        return self

    @model_validator(mode="after")
    def _chips_of_layout(self) -> WorkloadSpec:
        """Take the number of chips from a layout that states it."""
        if self.parallelism in KINDS:
            return self
        chips = int(Layout.of(self.parallelism).chips)
        if "n_chips" in self.model_fields_set and self.n_chips != chips:
            raise issue(f"n_chips {self.n_chips}", f"{chips}, as parallelism {self.parallelism} says")
        object.__setattr__(self, "n_chips", chips)
        return self
