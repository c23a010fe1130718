"""A mix of workloads, counted token by token and request by request."""

import numpy as np
import pytest

from cost_models.performance.mix import ADDED, INVERTED, MIXED, PER_REQUEST, WORST, mix_metrics

SHARES, OUTPUT = {"long": 0.7, "short": 0.2, "tiny": 0.1}, {"long": 1000.0, "short": 100.0, "tiny": 4.0}
VALUES = {"long": np.array([2.0, 5.0]), "short": np.array([3.0, 4.0]), "tiny": np.array([11.0, 1.0])}
MILLION = {name: share * 1_000_000 for name, share in SHARES.items()}


def mixed(metric, values=VALUES):
    metrics = {f"{name}.{one}": column for name, column in values.items() for one in MIXED}
    return mix_metrics(SHARES, metrics, OUTPUT, (metric,))[f"mix.{metric}"]


@pytest.mark.parametrize("metric", MIXED)
def test_a_million_tokens_one_workload_after_the_other(metric):
    """700,000 tokens in 700 requests, 200,000 in 2,000 and 100,000 in 25,000."""
    requests = {name: tokens / OUTPUT[name] for name, tokens in MILLION.items()}
    assert [round(number) for number in requests.values()] == [700, 2000, 25_000]
    for row in range(2):
        of = {name: float(column[row]) for name, column in VALUES.items()}
        expected = {
            ADDED: sum(tokens * of[name] for name, tokens in MILLION.items()) / 1e6,
            INVERTED: 1e6 / sum(tokens / of[name] for name, tokens in MILLION.items()),
            PER_REQUEST: sum(number * of[name] for name, number in requests.items()) / sum(requests.values()),
            WORST: max(of.values()),
        }[next(kind for kind in (ADDED, INVERTED, PER_REQUEST, WORST) if metric in kind)]
        assert mixed(metric)[row] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("metric", MIXED)
def test_what_one_workload_lacks_the_mix_lacks(metric):
    lacking = {**VALUES, "short": np.array([np.nan, 4.0])}
    assert np.isnan(mixed(metric, lacking)).tolist() == [True, False]


def test_only_what_is_wanted_is_mixed():
    metrics = {f"{name}.tpot_ms": column for name, column in VALUES.items()}
    assert list(mix_metrics(SHARES, metrics, OUTPUT, ("tpot_ms",))) == ["mix.tpot_ms"]
    assert mixed("tokens_per_s", {**VALUES, "tiny": np.zeros(2)}).tolist() == [0, 0], "one never comes to an end"
