"""Conversations: the cache's closed form, limits, monotony, what they cost, and the simulation as judge."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import serve_chip
from cost_models.evaluate.workload import Conversation, Workload
from cost_models.library.technology import Technology
from cost_models.performance.conversations import _between
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


# Turns; thinking; memory per chip for histories and behind a link, GiB; its GB/s; shares that are told.
ROWS = [
    (10.0, 60.0, 0.0, 20.0, 64.0, np.nan), (2.0, 60.0, 1.0, 200.0, 8.0, np.nan), (5.0, 5.0, 2.0, 0.0, 32.0, np.nan),
    (5.0, 60.0, 0.0, 64.0, 64.0, 0.7), (30.0, 20.0, 0.5, 9.0, 0.2, np.nan), (3.0, 90.0, 0.0, 500.0, 0.01, np.nan),
    (5.0, 60.0, 1.0, 64.0, 64.0, 0.0), (8.0, 300.0, 4.0, 2000.0, 16.0, 1.0),
]  # fmt: skip


def test_each_term_of_a_conversation_is_what_it_says():
    turns, think, kept, gib, gbps, told = np.array(ROWS).T
    rate = 9.0
    users = served(
        limits=Slo(), traffic=Traffic(arrivals_per_s=np.full(len(ROWS), rate), prompt_cv=0.4), turns=turns,
        think_s=think, kept_gib=kept, tier="ddr5", tier_gib=gib, tier_gbps=gbps, hit_share=told,
    ).users  # fmt: skip
    tier, layers, chips, growth = users.sessions.tier, 80, 8, 500.0
    each, latency, most_taken = 80 * 2 * 8 * 128 * 2, float(tier.latency_s), float(tier.most_utilisation)
    np.testing.assert_allclose(users.bytes_per_token, each)
    near, far = users.found_shares(rate)
    steps, traffic = users.steps_at(rate), users._traffic_at(rate)
    columns = (users._missing.alone_s, users._finding.alone_s)
    for row, (turn, wait, own, behind, link, share) in enumerate(ROWS):
        missing, finding = (float(np.broadcast_to(column, len(ROWS))[row]) for column in columns)
        history, returning, varied = (turn - 1) / 2 * growth, 1 - 1 / turn, (4 * turn - 2) / (3 * turn)
        later = (missing - finding) / returning
        assert later > 0 and users._later_s[row] == pytest.approx(later)
        read = latency + history / returning * each / (link * 1e9 * chips)
        exposed = max(read / layers, read - finding * (1 - 1 / layers))
        line = max(later - exposed, 0)
        assert (users.read_s[row], users.most_line_s[row]) == pytest.approx((read, line))

        def held(gib, row=row):
            one = Sessions(turns[row], think[row], growth)
            return float(one.found_share(gib * 2**30 * chips / each, rate))

        here = held(own)
        there = (held(own + behind) if np.isnan(share) else here + share) - here
        there = min(max(there, 0), 1 - here)
        carried = min(line / (line + read * varied / 2), most_taken) if line > 0 else 0.0
        written = min(most_taken * link * 1e9 * chips / (rate * growth * each), 1)
        there = min(there, carried / (rate * returning * read) * written)
        assert (near[row], far[row]) == pytest.approx((here, there), abs=1e-12)
        # Prompts are a mixture of those whose history is computed and of those that find it.
        lost = 1 - here - there
        taken = rate * returning * there * (read if there > 0 else 0)
        queued = taken * read * varied / (2 * (1 - taken)) if there > 0 else 0.0
        apart = steps.apart
        assert apart.least_s[row] == pytest.approx(-lost * returning * later)
        cases = [
            (returning * lost, later, later**2 * (varied - 1)),
            (returning * there, exposed + queued if there > 0 else 0.0,
             (read**2 * (varied - 1) if there > 0 else 0.0) + queued**2),
        ]  # fmt: skip
        found = list(zip(apart.shares[:, row], apart.extra_s[:, row], apart.extra_var[:, row], strict=True))
        for one, wanted in zip(found, cases, strict=True):
            assert one == pytest.approx(wanted, abs=1e-12)
        mean = (1 - lost) * finding + lost * missing
        assert steps.alone_s[row] == pytest.approx(mean)
        # Of all turns a share computes a history: its length varies, and what prompts vary by themselves beside it.
        late = lost * returning
        square = (late * later**2 * varied - (late * later) ** 2 + (finding * 0.4) ** 2) ** 0.5
        assert traffic.prompt_cv[row] == pytest.approx(square / (finding + late * later))
        # Across the link goes what is read, what a turn adds, and what is computed anew.
        moved = (there * history + growth + (1 - here - there) * history) * each * (behind > 0)
        assert users.moved_bytes[row] == pytest.approx(moved)
        assert users.asked_bytes[row] == pytest.approx(rate * wait * history * each)
        assert users.hit_share[row] == pytest.approx(here + there)
        assert users.delay_s[row] == pytest.approx(cases[1][1], abs=1e-12)


def test_where_a_straight_line_crosses_nothing():
    rows = ((0, 2, 10, -2, 5), (0, 3, 10, -1, 7.5), (4, 0, 10, -5, 4), (4, 1, 10, 0, 10), (4, 0, 10, 0, 10))
    low, at_low, high, at_high, wanted = np.array(rows, float).T
    assert _between(low, at_low, high, at_high).tolist() == wanted.tolist()


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
