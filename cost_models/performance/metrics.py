"""Metrics of a machine and of a workload on it, by the names that `quantities` gives them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np

from cost_models.library.technology import Technology
from cost_models.performance.continuous import Continuous
from cost_models.performance.conversations import Conversations
from cost_models.performance.disaggregation import Disaggregated
from cost_models.performance.pool_costs import PoolCosts
from cost_models.performance.workload_result import Terms, WorkloadResult
from cost_models.silicon.machine import Machine
from cost_models.table import FloatArray, Number, rows_where
from cost_models.tape import asarray


def design_metrics(machine: Machine, stored_bits: Number, *, krw_per_usd: float) -> dict[str, FloatArray]:
    """Return the metrics of a machine that no workload enters."""
    used, allowed = machine.limits.get("die_edge_mm", (np.array([np.nan]), np.array([1.0])))
    return {
        "die_mm2": machine.die_mm2,
        "tdp_w": machine.tdp_w,
        "cost_usd": machine.cost_usd,
        "price_usd": machine.price_usd,
        "nre_usd": machine.nre_usd,
        "margin_usd": machine.price_usd - machine.cost_usd - machine.nre_usd,
        "price_krw": machine.price_usd * krw_per_usd,
        "embodied_kg": machine.embodied_kg,
        "bandwidth_gbps": machine.bandwidth_bytes_per_s / 1e9,
        "capacity_gib": machine.capacity_bytes / 2**30,
        "peak_tflops": machine.linear_mac_per_s * 2 / 1e12,
        "stored_bits": asarray(stored_bits),
        "edge_fraction": used / allowed,
    }


OF_SERVING: Mapping[str, Callable[[Terms], FloatArray]] = {
    "tpot_ms": lambda t: t.tpot_s * 1e3,
    "ttft_ms": lambda t: t.ttft_s * 1e3,
    "request_s": lambda t: t.request_s,
    "tokens_per_s": lambda t: t.tokens_per_s,
    "tokens_per_s_end_to_end": lambda t: t.end_to_end,
    "roofline_tpot_ms": lambda t: t.result.bound_s * 1e3,
    "overhead_fraction": lambda t: 1 - t.result.bound_s / t.result.decode_s,
    "memory_fraction": lambda t: t.memory_fraction,
    "decode_w": lambda t: t.result.step_energy.board_w,
    "prefill_w": lambda t: t.served.prefilling.prefill_energy.board_w,
    "decode_cap_stretch": lambda t: t.result.decode_cap_stretch,
    "prefill_cap_stretch": lambda t: t.served.prefilling.prefill_cap_stretch,
    "decode_j_per_token": lambda t: t.decode_j,
    "prefill_j_per_token": lambda t: t.prompt_j,
    "request_j_per_token": lambda t: t.request_j,
    "tokens_per_joule": lambda t: 1 / t.decode_j,
    "tokens_per_joule_tdp": lambda t: t.tokens_per_s / t.provisioned_w,
    "usd_per_million_tokens": lambda t: t.usd_per_million_tokens,
    "co2e_g_per_million_tokens": lambda t: t.co2e_g_per_million_tokens,
    "tokens_per_s_per_usd": lambda t: t.end_to_end / t.prices,
    "requests_per_s": lambda t: t.requests_per_s,
}
"""Metrics that a workload has where the chips hold it."""

OF_STORING: Mapping[str, Callable[[Terms], FloatArray]] = {
    "chips_needed": lambda t: asarray(t.result.chips_needed, dtype=np.float64),
    "memory_gib": lambda t: t.memory_gib,
    "load_s": lambda t: t.load_s,
    "perplexity_ratio": lambda t: asarray(t.served.quality.ratio),
    "perplexity_ratio_high": lambda t: asarray(t.served.quality.ratio_high),
    "perplexity_unusable": lambda t: asarray(t.served.quality.unusable, dtype=np.float64),
    "perplexity_extrapolated": lambda t: asarray(t.served.quality.extrapolated, dtype=np.float64),
    "max_batch": lambda t: t.served.operating.batch,
    "tokens_per_s_at_max_batch": lambda t: t.served.operating.tokens_per_s,
    "chips_for_load": lambda t: t.chips_for_load,
}
"""Metrics that a workload has whether the chips hold it or not."""


def _quantile(time: str, percent: int) -> Callable[[Terms], FloatArray]:
    def of(terms: Terms) -> FloatArray:
        if terms.seen is None:
            return np.array([np.nan])
        return asarray(getattr(terms.seen, time).quantile_s(percent / 100) * 1e3)

    return of


def _of_users(function: Callable[[Continuous | Disaggregated], Number]) -> Callable[[Terms], FloatArray]:
    def of(terms: Terms) -> FloatArray:
        users = terms.served.users
        return np.atleast_1d(np.nan if users is None else function(users))

    return of


OF_USERS: Mapping[str, Callable[[Terms], FloatArray]] = {
    **{f"{time}_p{percent}_ms": _quantile(time, percent) for time in ("ttft", "tpot") for percent in (50, 95, 99)},
    "concurrency": _of_users(lambda users: users.served.concurrency * users.replicas),
    "utilisation": _of_users(lambda users: users.served.utilisation),
    "usd_per_million_input_tokens": lambda t: t.usd_per_million_input_tokens,
    "usd_per_million_cached_tokens": lambda t: t.usd_per_million_cached_tokens,
    "usd_per_million_output_tokens": lambda t: t.usd_per_million_tokens * (1 - t.prompt_fraction),
    "input_j_per_token": lambda t: t._each_j(t.prompt_fraction_j[0], t.served.serving.computed_tokens),
    "cached_j_per_token": lambda t: t._each_j(t.prompt_fraction_j[1], t.served.serving.cached_tokens),
    "output_j_per_token": lambda t: t.writing_j if t.served.users is not None else np.array([np.nan]),
    "goodput_requests_per_s": _of_users(lambda users: users.goodput_per_s),
    "goodput_tokens_per_s": _of_users(lambda u: u.goodput_per_s * asarray(u.result.serving.output_tokens)),
}
"""Metrics that a workload has where its requests are batched continuously."""


def _of_sessions(function: Callable[[Conversations], Number]) -> Callable[[Terms], FloatArray]:
    def of(terms: Terms) -> FloatArray:
        users = terms.served.users
        return np.atleast_1d(function(users) if isinstance(users, Conversations) else np.nan)

    return of


OF_SESSIONS: Mapping[str, Callable[[Terms], FloatArray]] = {
    "found_share": _of_sessions(lambda users: users.hit_share),
    "asked_kv_gib": _of_sessions(lambda users: users.asked_bytes / 2**30),
    "history_delay_ms": _of_sessions(lambda users: users.delay_s * 1e3),
}
"""Metrics that a workload has where its users talk in turns."""


def _of_pools(function: Callable[[Disaggregated, PoolCosts], Number]) -> Callable[[Terms], FloatArray]:
    def of(terms: Terms) -> FloatArray:
        users, pool = terms.served.users, terms.pool
        if pool is None or not isinstance(users, Disaggregated):
            return np.array([np.nan])
        return np.atleast_1d(function(users, pool))

    return of


OF_POOLS: Mapping[str, Callable[[Terms], FloatArray]] = {
    "prefill_chips": _of_pools(lambda users, pool: pool.chips),
    "prefill_utilisation": _of_pools(lambda users, pool: users.prefill_utilisation),
    "transfer_ms": _of_pools(lambda users, pool: users.transfer_s * 1e3),
    "deployment_usd": lambda t: t.prices,
    "deployment_tdp_w": lambda t: t.provisioned_w,
}
"""Metrics that a workload has where its prompts are prefilled by other chips."""


OF_ENCODERS = ("ttft_ms", "request_s", "prefill_w", "prefill_cap_stretch", "prefill_j_per_token", "requests_per_s")
"""Metrics of time and energy that a model without decode steps has."""


def workload_metrics(
    served: WorkloadResult, technology: Technology, names: Collection[str] | None = None, *, pools: bool = False
) -> dict[str, FloatArray]:
    """Return the metrics of a workload on a machine; missing (NaN) in rows whose chips cannot hold it.

    Args:
        served: the workload on the machine.
        technology: parameters.
        names: the metrics that are wanted; only what they need is worked out. All where None.
        pools: whether those of pools are among all, though the same chips do both.
    """
    terms = Terms(served, technology)
    # Without users or pools a table has no columns of theirs, unless they are asked for by name.
    served_by = {**OF_SERVING, **(OF_USERS if names is not None or served.users is not None else {})}
    if names is not None or pools or isinstance(served.users, Disaggregated):
        served_by |= OF_POOLS
    if names is not None or isinstance(served.users, Conversations):
        served_by |= OF_SESSIONS
    values = {name: of(terms) for name, of in served_by.items() if names is None or name in names}
    if served.planned.serving.model.encoder:
        missing = np.array([np.nan])
        values = {name: value if name in OF_ENCODERS else missing for name, value in values.items()}
    if values and not served.fits.all():
        values = {name: rows_where(served.fits, value, np.nan) for name, value in values.items()}
    return values | {name: of(terms) for name, of in OF_STORING.items() if names is None or name in names}
