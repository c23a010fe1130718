"""What must hold of a sweep where some chips prefill and others decode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cost_models.library import Library
from cost_models.performance.batching import CONTINUOUS
from cost_models.performance.metrics import OF_POOLS
from cost_models.quantities.columns import PREFILL_PREFIX
from cost_models.workload.serving import KINDS, Layout
from dse.errors import Issue
from dse.sweep.checks import Declared, issue_at, unlike_layout
from dse.sweep.chips import BaselineSpec, ChipsSpec, DeploymentSpec
from dse.sweep.workloads import WorkloadSpec
from dse.yaml_positions import KeyPath, Node, path_text


def check_pools(
    root: Node,
    workloads: Mapping[str, WorkloadSpec],
    deployment: DeploymentSpec | None,
    baselines: Mapping[str, BaselineSpec],
    metrics: Mapping[KeyPath, str],
    space: Declared,
    library: Library,
) -> Iterator[Issue]:
    """Yield an issue for every pair of pools that cannot be, and for metrics of pools that are not there."""
    pools: dict[KeyPath, ChipsSpec | None] = {
        ("baselines", name, "prefill"): entry.prefill for name, entry in baselines.items() if entry.prefill is not None
    }
    for name, entry in baselines.items():
        node = entry.node_chips or library.chip(entry.chip).node_chips
        if entry.network_gbps is not None and entry.prefill is None and (node is None or entry.count <= node):
            what = "has no part without prefill, nor in one node: it stands between pools and between nodes"
            yield issue_at(root, ("baselines", name, "network_gbps"), what)
    if deployment is None:
        yield from _metrics_without_pools(root, metrics)
    else:
        pools = {("deployment", "prefill"): deployment.prefill, ("deployment", "decode"): deployment.decode} | pools
        if deployment.prefill is not None and deployment.decode is not None:
            what = "has no design in it: both pools are chips of the library"
            yield issue_at(root, ("deployment",), what, perhaps="decode: design")
        if deployment.prefill is not None or deployment.decode is not None:
            for name in space:
                if name.startswith(PREFILL_PREFIX):
                    what = "has no part where chips of the library are a pool: one design is searched"
                    yield issue_at(root, ("space", name), what, perhaps=name.removeprefix(PREFILL_PREFIX))
        if PREFILL_PREFIX.rstrip(".") in workloads:
            what = "is what parameters of the design that prefills begin with"
            yield issue_at(root, ("workloads", "prefill"), what, "another name")
    for path, pool in pools.items():
        yield from _unlike_layouts(root, path, pool, workloads)
    if pools:
        yield from _workloads_without_users(root, path_text(next(iter(pools))), workloads, metrics)


def _metrics_without_pools(root: Node, metrics: Mapping[KeyPath, str]) -> Iterator[Issue]:
    for path, metric in metrics.items():
        bare = metric.rpartition(".")[2]
        if bare in OF_POOLS:
            perhaps = "deployment: {prefill: 1x h100_sxm, decode: design}"
            yield issue_at(root, path, f"{bare} needs chips that only prefill", perhaps=perhaps)


def _unlike_layouts(
    root: Node, path: KeyPath, pool: ChipsSpec | None, workloads: Mapping[str, WorkloadSpec]
) -> Iterator[Issue]:
    """Yield an issue for a pool whose chips cannot share a workload as it is to be shared."""
    for name, workload in workloads.items() if pool is not None else ():
        assert pool is not None
        layout = pool.parallelism or workload.parallelism
        if layout not in KINDS and int(Layout.of(layout).chips) != pool.count:
            what = unlike_layout(pool.count, name, layout)
            perhaps = "" if pool.parallelism else f"parallelism: {KINDS[0]}"
            yield issue_at(root, path, what, perhaps=perhaps)


def _workloads_without_users(
    root: Node, pools: str, workloads: Mapping[str, WorkloadSpec], metrics: Mapping[KeyPath, str]
) -> Iterator[Issue]:
    """Yield an issue for every workload that has no promise by which chips that prefill could be counted."""
    bounded = {metric for path, metric in metrics.items() if path[0] == "constraints"}
    for name, workload in workloads.items():
        if workload.batching != CONTINUOUS:
            what = f"a batch, but {pools} serves requests as they come"
            yield issue_at(root, ("workloads", name, "batching"), what, perhaps=f"batching: {CONTINUOUS}")
        elif workload.ttft_limit_ms is None and f"{name}.ttft_ms" not in bounded:
            what = f"promises no time to first token, by which the chips of {pools} are counted"
            yield issue_at(root, ("workloads", name), what, perhaps="ttft_limit_ms: 2000")
