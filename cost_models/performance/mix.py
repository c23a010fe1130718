"""Traffic of several workloads on one machine: what a mean token of the mix costs.

A share is that of the output tokens. Machines serve one workload at a time, so that times and energies per token add
up by share, and rates are the inverse of added times.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import reduce

import numpy as np

from cost_models.table import FloatArray, Number
from cost_models.tape import asarray

ADDED = ("tpot_ms", "decode_j_per_token", "request_j_per_token", "usd_per_million_tokens")
"""Metrics per token: the mean over tokens."""

INVERTED = (
    "tokens_per_s", "tokens_per_s_end_to_end", "tokens_per_joule", "tokens_per_joule_tdp", "tokens_per_s_per_usd",
    "tokens_per_s_at_max_batch",
)  # fmt: skip
"""Metrics that are tokens over something that adds up: the harmonic mean over tokens."""

PER_REQUEST = ("ttft_ms", "request_s")
"""Metrics per request: the mean over requests, of which a workload with short answers has more."""

WORST = ("chips_needed", "memory_gib", "perplexity_ratio", "perplexity_ratio_high")
"""Metrics of which the largest counts: every workload must be served."""

MIXED = (*ADDED, *INVERTED, *PER_REQUEST, *WORST)
"""Bare names of the metrics that a mix has, as ``mix.tpot_ms``."""

MIX = "mix"
"""What stands before them."""


def mix_metrics(
    shares: Mapping[str, float],
    metrics: Mapping[str, FloatArray],
    output_tokens: Mapping[str, Number],
    names: Collection[str] = MIXED,
) -> dict[str, FloatArray]:
    """Return the metrics of a mix by column name; missing where a workload of it has none.

    Args:
        shares: workload to its share of the output tokens; they add up to 1.
        metrics: metrics of every workload, as ``workload.metric``.
        output_tokens: output tokens of one request of each workload.
        names: bare names of the metrics that are wanted.
    """

    def of(metric: str) -> dict[str, FloatArray]:
        return {name: asarray(metrics[f"{name}.{metric}"]) for name in shares}

    requests = {name: share / asarray(output_tokens[name]) for name, share in shares.items()}
    all_requests = sum(requests.values())
    mixed: dict[str, FloatArray] = {}
    for metric in set(ADDED) & set(names):
        mixed[metric] = asarray(sum(shares[name] * value for name, value in of(metric).items()))
    for metric in set(INVERTED) & set(names):
        with np.errstate(divide="ignore"):
            mixed[metric] = asarray(1 / sum(shares[name] / value for name, value in of(metric).items()))
    for metric in set(PER_REQUEST) & set(names):
        mixed[metric] = asarray(sum(requests[name] * value for name, value in of(metric).items()) / all_requests)
    for metric in set(WORST) & set(names):
        mixed[metric] = reduce(np.maximum, of(metric).values())
    return {f"{MIX}.{metric}": mixed[metric] for metric in MIXED if metric in mixed}
