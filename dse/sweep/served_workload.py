"""A workload of a sweep as the models take it, with the numbers that designs set of it."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np

from cost_models.evaluate.workload import Conversation, Drafting, Workload
from cost_models.performance.queue_chain import Traffic
from cost_models.performance.waits import lognormal_cv
from cost_models.quantities.workload_fields import WORKLOAD_FIELDS
from cost_models.table import Designs, FloatArray, numbers_of
from dse.sweep.fields import LARGEST
from dse.sweep.workloads import SessionsSpec, WorkloadSpec


def on_chips(workload: Workload, *, network_gbps: float | None = None, node_chips: float | None = None) -> Workload:
    """Return a workload with what chips of the library are said to be linked by, where anything is."""
    if network_gbps is not None:
        workload = replace(workload, network_gbps=float(network_gbps))
    return workload if node_chips is None else replace(workload, node_chips=float(node_chips))


def workload_of(name: str, workload: WorkloadSpec, designs: Designs = MappingProxyType({})) -> Workload:
    """Return a workload of a sweep as the models take it, with the numbers that designs set of it (``name.field``)."""
    return Workload(
        name=name,
        model=workload.model,
        batch=field_of(name, workload, "batch", designs),
        prompt_tokens=field_of(name, workload, "prompt_tokens", designs),
        output_tokens=field_of(name, workload, "output_tokens", designs),
        prefix_cached=field_of(name, workload, "prefix_cached", designs),
        n_chips=field_of(name, workload, "n_chips", designs),
        parallelism=workload.parallelism,
        node_chips=field_of(name, workload, "node_chips", designs),
        network_gbps=field_of(name, workload, "network_gbps", designs),
        batching=workload.batching,
        traffic=_traffic(name, workload, designs),
        drafting=_drafting(name, workload, designs),
        conversation=_conversation(name, workload, designs),
        chunk_rows=field_of(name, workload, "chunk_rows", designs),
        same_prompts=float(workload.same_prompts),
        expert_spread=field_of(name, workload, "expert_spread", designs),
        hottest_fifth=field_of(name, workload, "hottest_fifth", designs),
        weight_format=workload.weight_format,
        expert_format=workload.expert_format,
        kv_bits=workload.kv_bits,
        act_bits=workload.act_bits,
    )


def _drafting(name: str, workload: WorkloadSpec, designs: Designs) -> Drafting | None:
    """Return how a workload drafts tokens."""
    drafts = workload.speculation
    if drafts is None:
        return None
    tokens, acceptance = (field_of(name, workload, field, designs) for field in ("draft_tokens", "acceptance"))
    return Drafting(tokens, acceptance, drafts.draft)


def _conversation(name: str, workload: WorkloadSpec, designs: Designs) -> Conversation | None:
    """Return how users of a workload talk in turns."""
    if workload.sessions is None:
        return None
    fields = [field for field in SessionsSpec.model_fields if field != "tier"]
    numbers = {field: field_of(name, workload, field, designs) for field in fields}
    return Conversation(tier=workload.sessions.tier, **numbers)


def _traffic(name: str, workload: WorkloadSpec, designs: Designs) -> Traffic:
    """Return how requests of a workload come."""
    trace = workload.trace

    def of(field: str) -> FloatArray:
        return field_of(name, workload, field, designs)

    return Traffic(
        arrivals_per_s=of("arrivals_per_s"),
        concurrency=of("concurrency"),
        arrival_cv=np.nan_to_num(of("arrival_cv"), nan=1.0),
        prompt_cv=lognormal_cv(of("prompt_p95_tokens") / of("prompt_tokens")) if trace is None else trace.prompt_cv,
        output_cv=lognormal_cv(of("output_p95_tokens") / of("output_tokens")) if trace is None else trace.output_cv,
        limit_percentile=np.nan if workload.limit_percentile is None else workload.limit_percentile,
    )


def field_of(name: str, workload: WorkloadSpec, field: str, designs: Designs) -> FloatArray:
    """Return a number of a workload: swept as ``workload.field``, or as the sweep file says."""
    column = designs.get(f"{name}.{field}")
    if column is None:
        reported = workload.said(field)
        return np.array([np.nan if reported in (None, LARGEST) else float(reported)])
    default, numbers = WORKLOAD_FIELDS[field].default, numbers_of(column)
    return numbers if default is None else np.where(np.isnan(numbers), default, numbers)
