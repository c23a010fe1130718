"""Conversations: the cache's closed form, limits, monotony, what they cost, and the simulation as judge."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import serve_chip
from cost_models.evaluate.workload import Conversation, Workload
from cost_models.library.technology import Technology
from cost_models.performance.metrics import workload_metrics
from cost_models.performance.operating_point import Slo
from cost_models.performance.queue_chain import Traffic
from cost_models.workload.sessions import Sessions
from dse.analysis.session_simulation import simulate_sessions
from dse.errors import SpecError
from dse.sweep import parse_spec
from tests.cli import call
from tests.sweeps import tiny

LIMITS = Slo(1000.0, 50.0)


def served(limits=LIMITS, prompt=300.0, output=200.0, traffic=None, prefix=np.nan, **conversation):
    workload = Workload(
        "w", "llama3_70b", n_chips=8, batching="continuous", prompt_tokens=prompt, output_tokens=output,
        prefix_cached=prefix, traffic=traffic or Traffic(),
        conversation=Conversation(**{"turns": 10.0, "think_s": 60.0, **conversation}) if conversation else None,
    )  # fmt: skip
    setup = ChipSetup("h100_sxm", "fp8", act_bits=8)
    return serve_chip(setup, workload, Technology(), limits=limits)


def test_a_cache_keeps_what_the_characteristic_time_says():
    """C = l g (z h (T - 1) / 2 + t) with h = 1 - exp(-t / z), put in and solved for."""
    kept_s = np.array([0.0, 0.1, 3.0, 40.0, 400.0])
    for turns in (2.0, 7.0, 60.0):
        sessions = Sessions(turns, 30.0, 500.0)
        share = 1 - np.exp(-kept_s / 30.0)
        tokens = 4.0 * 500.0 * (30.0 * share * (turns - 1) / 2 + kept_s)
        np.testing.assert_allclose(sessions.found_share(tokens, 4.0), share, atol=1e-12)
    assert Sessions(5.0, 30.0, 500.0).found_share(1.0, 0.0) == 1.0


def test_histories_have_the_moments_of_their_turns():
    turns, growth = 9, 130.0
    histories = growth * np.arange(turns)
    sessions = Sessions(float(turns), 10.0, growth)
    assert sessions.history_tokens == pytest.approx(histories.mean())
    assert sessions.returning == pytest.approx(np.mean(histories > 0))
    some = histories[1:]
    assert sessions.spread == pytest.approx(np.mean(some**2) / some.mean() ** 2)
    # Little's law: those who will return hold what they have said for as long as they think.
    assert sessions.asked_tokens(3.0) == pytest.approx(3.0 * 10.0 * np.sum(histories[1:]) / turns)


def test_one_turn_is_a_request_by_itself():
    names = ("ttft_ms", "ttft_p95_ms", "tpot_p95_ms", "goodput_requests_per_s", "usd_per_million_tokens")
    one, alone = (workload_metrics(users, Technology(), names) for users in (served(turns=1.0), served()))
    for name in names:
        np.testing.assert_allclose(one[name], alone[name], rtol=2e-3, err_msg=name)


def test_no_capacity_and_no_hits_are_no_cache():
    none = served(turns=10.0).users
    for empty in (
        served(tier="ddr5", tier_gib=0.0), served(tier="ddr5", tier_gib=64.0, hit_share=0.0), served(kept_gib=0.0)
    ):  # fmt: skip
        np.testing.assert_array_equal(empty.users.hit_share, 0.0)
        np.testing.assert_allclose(empty.users.goodput_per_s, none.goodput_per_s, rtol=1e-9)


def test_a_link_without_end_is_a_prefix_that_is_cached():
    """Every history found at once computes as much as a cached prefix of that length does, in the same time."""
    prefix = 4.5 * 500.0
    whole = served(limits=Slo(), prompt=300.0 + prefix, prefix=prefix, traffic=Traffic(arrivals_per_s=1e-9))
    found = served(
        limits=Slo(), traffic=Traffic(arrivals_per_s=1e-9), tier="ddr5", tier_gib=1e4, tier_gbps=1e12, hit_share=1.0
    )
    latency = float(Technology().value("deployment.tier_latency_s")) / whole.users.result.serving.model.layers
    assert found.users.served.ttft.mean_s[0] - 0.9 * latency == pytest.approx(
        whole.users.served.ttft.mean_s[0], rel=1e-6
    )
    np.testing.assert_allclose(found.users.served.tpot.mean_s, whole.users.served.tpot.mean_s, rtol=1e-9)
    computed = [one.inference.serving.computed_tokens for one in (found, whole)]
    np.testing.assert_allclose(computed[0], computed[1])


def test_more_of_a_cache_or_of_its_link_never_lowers_goodput():
    for fields in (
        {"tier": "ddr5", "tier_gib": np.array([0.0, 1.0, 8.0, 40.0, 200.0, 1e4])},
        {"tier": "ddr5", "tier_gib": 100.0, "tier_gbps": np.array([0.1, 0.5, 1.0, 2.0, 5.0, 50.0, 1e5])},
        {"kept_gib": np.array([0.0, 1.0, 4.0])},
        {"tier": "ddr5", "tier_gib": 64.0, "hit_share": np.array([0.0, 0.3, 0.8, 1.0])},
    ):
        rate = served(**fields).users.goodput_per_s
        assert (np.diff(rate) > -2e-3 * rate[1:]).all() and rate[-1] > rate[0], fields


def test_more_load_finds_less_and_shortens_nothing():
    loads = np.array([1e-9, 2.0, 6.0, 10.0])
    users = served(limits=Slo(), traffic=Traffic(arrivals_per_s=loads), tier="ddr5", tier_gib=20.0).users
    assert (np.diff(users.hit_share) <= 0).all()
    for wait in (users.served.ttft, users.served.tpot):
        assert (np.diff(wait.mean_s) > -1e-9).all() and (np.diff(wait.quantile_s(0.95)) > -2e-3).all()


def test_goodput_is_the_load_at_which_as_many_are_found_as_it_assumes():
    users = served(tier="ddr5", tier_gib=30.0).users
    rate = users.goodput_per_s
    np.testing.assert_allclose(users._asked(rate), rate, rtol=5e-3)
    assert 0.3 < users.hit_share[0] < 0.9
    seen = users.at_goodput
    assert seen.ttft.mean_s[0] <= 1.0 and seen.tpot.mean_s[0] <= 0.05 * 1.005


def test_a_tier_costs_money_power_and_energy():
    names = ("usd_per_million_tokens", "request_j_per_token", "tokens_per_joule_tdp", "co2e_g_per_million_tokens")
    small, large = (
        workload_metrics(served(tier="ddr5", tier_gib=gib, hit_share=0.9), Technology(), names) for gib in (64.0, 640.0)
    )
    worse = {name: float(large[name][0] / small[name][0]) for name in names}
    assert worse["tokens_per_joule_tdp"] < 1 and min(worse[name] for name in names if "joule" not in name) > 1


def test_input_cached_and_output_tokens_take_a_request_s_energy_between_them():
    names = ("request_j_per_token", "input_j_per_token", "cached_j_per_token", "output_j_per_token")
    for result in (served(), served(turns=10.0), served(tier="ddr5", tier_gib=50.0), served(kept_gib=2.0)):
        whole, read, kept, written = (workload_metrics(result, Technology(), names)[name][0] for name in names)
        serving = result.serving
        computed, cached = float(serving.computed_tokens[0]), float(np.ravel(serving.cached_tokens)[0])
        assert read * computed + np.nan_to_num(kept) * cached + written * 200 == pytest.approx(whole * 200)
        assert 0 < read < written and (np.isnan(kept) if cached == 0 else 0 < kept < read)


@pytest.mark.parametrize(
    ("rate", "fields"),
    [
        (10.0, {"turns": 6.0, "think_s": 30.0, "tier": "ddr5", "tier_gib": 16.0}),
        (6.0, {"turns": 6.0, "think_s": 30.0, "kept_gib": 4.0}),
        (8.0, {"turns": 4.0, "think_s": 20.0, "kept_gib": 2.0, "tier": "ddr5", "tier_gib": 30.0, "tier_gbps": 3.0}),
    ],
    ids=["tier", "chip", "both"],
)
def test_the_simulation_finds_as_many_and_is_near_the_closed_form(rate, fields):
    users = served(limits=Slo(), traffic=Traffic(arrivals_per_s=rate), **fields).users
    run, cache = simulate_sessions(users, requests=15_000, seed=1)
    assert cache.found / cache.asked == pytest.approx(users.hit_share[0], abs=0.02)
    seen = users.served
    assert seen.ttft.mean_s[0] == pytest.approx(run.ttft_s.mean(), rel=0.12)
    assert seen.ttft.quantile_s(0.95)[0] == pytest.approx(np.quantile(run.ttft_s, 0.95), rel=0.15)
    assert seen.tpot.mean_s[0] == pytest.approx(run.tpot_s.mean(), rel=0.1)


def test_prompts_that_vary_vary_their_own_time_to_first_token():
    users = served(limits=Slo(), prompt=4000.0, traffic=Traffic(arrivals_per_s=1e-9, prompt_cv=0.6)).users
    seen = users.served.ttft
    alike = replace(users, traffic=Traffic(arrivals_per_s=1e-9)).served.ttft
    np.testing.assert_allclose(seen.mean_s, alike.mean_s, rtol=1e-6)
    sigma = np.sqrt(np.log1p(0.6**2))
    own = alike.mean_s[0] - float(users.queue.steps.wait_s[0])
    lognormal = own * np.exp(1.645 * sigma - sigma**2 / 2) + float(users.queue.steps.wait_s[0])
    assert seen.quantile_s(0.95)[0] == pytest.approx(lognormal, rel=0.05)


CHAT = {
    "model": "llama3_8b", "prompt_tokens": 300, "output_tokens": 200, "batching": "continuous", "ttft_limit_ms": 1000,
    "sessions": {"turns": 5, "think_s": 30, "tier": "ddr5", "tier_gib": 64},
}  # fmt: skip


def test_sessions_that_cannot_be_are_refused():
    parse_spec(tiny(workloads={"chat": CHAT}))
    for change, said in (
        ({"batching": "static"}, "no part in batching"),
        ({"prefix_cached": 0.5}, "beside prefix_cached"),
        ({"sessions": {"turns": 5}}, "think_s"),
        ({"sessions": {"turns": 500, "think_s": 5}}, "context of llama3_8b"),
        ({"sessions": {"turns": 5, "think_s": 5, "tier_gib": 5}}, "without a tier"),
        ({"sessions": {"turns": 5, "think_s": 5, "tier": "ddr55", "tier_gib": 5}}, "ddr5"),
        ({"sessions": {"turns": 5, "think_s": 5, "hit_share": 1.5}}, "hit_share"),
    ):
        with pytest.raises(SpecError, match=said):
            parse_spec(tiny(workloads={"chat": {**CHAT, **change}}))


def test_explain_simulates_conversations():
    words = (
        "llama3_8b batching=continuous prompt_tokens=300 output_tokens=100 arrivals_per_s=4 "
        "sessions.turns=4 sessions.think_s=10 sessions.tier=ddr5 sessions.tier_gib=2"
    )
    result = call(
        "explain", "1x h100_sxm weight_format=fp8", "--workload", words, "--simulate", "--format", "json"
    )  # fmt: skip
    assert result.status == 0, result.err
    rows = {row["metric"]: row for row in json.loads(result.out)}
    assert rows["found_share"]["closed_form"] == pytest.approx(rows["found_share"]["simulated"], abs=0.03)
