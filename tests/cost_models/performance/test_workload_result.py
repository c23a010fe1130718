"""What metrics are put together from, term by term: batches, prompts in flight, users, tiers, pools and servers."""

from dataclasses import replace

import numpy as np
import pytest

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import serve_chip
from cost_models.evaluate.workload import Conversation, Drafting, Workload
from cost_models.library.technology import Technology
from cost_models.performance.operating_point import Slo
from cost_models.performance.queue_chain import Traffic
from cost_models.performance.workload_result import Terms
from cost_models.silicon.carbon import g_per_million_tokens
from cost_models.silicon.cost import usd_per_million_tokens
from tests.cost_models.performance.test_disaggregation import served as pooled

TECHNOLOGY = Technology()
LOAD, LIMITS = Traffic(arrivals_per_s=3.0), Slo(2000.0, 50.0)
TALK = Conversation(5.0, 30.0, kept_gib=1.0, tier="ddr5", tier_gib=32.0, tier_gbps=32.0)
USED = {"batching": "continuous", "batch": 1.0, "traffic": LOAD}
CASES = {
    "batch": {},
    "drafted": {"drafting": Drafting(3.0, 0.7, "llama32_1b")},
    "flying": {"batching": "in_flight"},
    "servers": {"n_chips": 4.0, "node_chips": 2.0, "network_gbps": 25.0},
    "one server": {"n_chips": 2.0, "node_chips": 2.0, "network_gbps": 25.0},
    "users": USED,
    "prefix": {**USED, "prefix_cached": 300.0},
    "talk": {**USED, "conversation": TALK},
    "replicas": {**USED, "n_chips": 2.0, "parallelism": "dp2"},
}


def only(column):
    return float(np.ravel(column)[0])


def terms_of(case):
    if case == "pools":
        return Terms(pooled(traffic=LOAD), TECHNOLOGY)
    fields = {"batch": 12.0, "prompt_tokens": 900.0, "output_tokens": 64.0, "n_chips": 1.0, **CASES[case]}
    limits = LIMITS if case in ("users", "replicas", "prefix", "talk") else None
    setup = ChipSetup("h100_sxm", "fp8", act_bits=8, serving_stack="vllm")
    return Terms(serve_chip(setup, Workload("w", "llama3_8b", **fields), TECHNOLOGY, limits=limits), TECHNOLOGY)


@pytest.mark.parametrize("case", [*CASES, "pools"])
def test_each_term_is_what_it_says(case):
    terms = terms_of(case)
    served, result, users, machine = terms.served, terms.result, terms.served.users, terms.served.machine
    value, serving = lambda path: float(TECHNOLOGY.value(path)), served.serving
    chips, batch, output = only(serving.chips), only(serving.sequences), only(served.planned.serving.output_tokens)
    # Servers beside others have ports, chips of conversations a tier, pools chips and ports of their own.
    ports_usd = ports_w = 0.0
    if case == "servers":
        ports_usd, ports_w = (25 * value(f"deployment.network_{unit}_per_gbps") * chips for unit in ("usd", "w"))
    tier, pool = terms.tier, terms.pool
    assert (tier is None) == (case != "talk") and (pool is None) == (case != "pools")
    of_tier = ("price_usd", "idle_w", "embodied_kg")
    tiers = {name: only(getattr(tier, name)) * chips if tier else 0.0 for name in of_tier}
    pools = {name: only(getattr(pool, name)) if pool else 0.0
             for name in ("chips", "price_usd", "tdp_w", "waiting_w", "embodied_kg", "request_j")}  # fmt: skip
    every, hosts = chips + pools["chips"], (chips + pools["chips"]) * value("board.host_w_per_accelerator")
    assert only(terms.chips) == pytest.approx(every) and only(terms.host_w) == pytest.approx(hosts)
    assert only(terms.prices) == pytest.approx(
        only(machine.price_usd) * chips + ports_usd + tiers["price_usd"] + pools["price_usd"]
    )
    set_aside = only(machine.tdp_w) * chips + ports_w + tiers["idle_w"] + pools["tdp_w"]
    assert only(terms.provisioned_w) == pytest.approx(set_aside)
    idle = only(machine.static_w) / only(machine.conversion_efficiency) * chips
    idle += ports_w + tiers["idle_w"] + pools["waiting_w"] + hosts
    assert only(terms.waiting_w) == pytest.approx(idle)
    # Times, of users the mean.
    if users is None:
        first, token = only(result.prefill_s), only(result.decode_s)
        whole, rate = only(result.request_s), batch / only(result.request_s)
        rate = batch / token / output if case == "flying" else rate
        assert only(terms.tokens_per_s) == pytest.approx(batch / token)
        assert terms.seen is None and np.isnan(terms.prompt_fraction).all()
    else:
        seen = users.served
        first, token = only(seen.ttft.mean_s), only(seen.tpot.mean_s)
        whole = first + only(seen.decode_steps) * token
        rate = only(seen.requests_per_s) * (2 if case == "replicas" else 1)
        assert rate == pytest.approx(3.0) and only(terms.tokens_per_s) == pytest.approx(rate * output)
    assert (only(terms.ttft_s), only(terms.tpot_s)) == pytest.approx((first, token))
    assert only(terms.request_s) == pytest.approx(whole) and only(terms.requests_per_s) == pytest.approx(rate)
    assert only(terms.end_to_end) == pytest.approx(rate * output)
    # Energy of boards per output token.
    step = only(result.step_energy.board_j) / batch
    if case in ("batch", "drafted", "servers", "one server"):
        joules = only(result.prefill_energy.board_j) + only(result.decode_energy.board_j) * 63
        joules /= batch * output
    elif tier is not None:
        moved = only(users.moved_bytes) * only(tier.j_per_byte)
        joules = step + (moved + tiers["idle_w"] / rate) / output
        assert only(terms.tier_j) == pytest.approx(moved)
    else:
        joules = step + pools["request_j"] / output
    assert only(terms.decode_j) == pytest.approx(step) and only(terms.request_j) == pytest.approx(joules)
    assert only(terms.writing_j) == pytest.approx(only(result.decode_energy.board_j) / batch)
    prefilling = users.pool.result if pool else result
    prompts = 1.0 if case == "flying" or (users and not pool) else only(prefilling.serving.sequences)
    computed = only(serving.computed_tokens)
    assert only(terms.prompt_j) == pytest.approx(only(prefilling.prefill_energy.board_j) / prompts / computed)
    # Money and carbon of those.
    serving_w = joules * rate * output + hosts + ports_w
    assert only(terms.served_w) == pytest.approx(serving_w)
    dollars = usd_per_million_tokens(
        terms.prices, serving_w, rate * output, chips=every, technology=TECHNOLOGY, idle_w=idle,
        provisioned_w=set_aside + hosts,
    )  # fmt: skip
    assert only(terms.usd_per_million_tokens) == pytest.approx(only(dollars))
    made = only(machine.embodied_kg) * chips + tiers["embodied_kg"] + pools["embodied_kg"]
    grams = g_per_million_tokens(made, serving_w, idle, rate * output, technology=TECHNOLOGY)
    assert only(terms.co2e_g_per_million_tokens) == pytest.approx(only(grams))
    # What waits for memory, of the drafts as well.
    waiting = 0.0
    for often, one in ((1.0, result), (3.0, result.draft)):
        if one is not None:
            times = one.decode.times
            longer = np.broadcast_to(times.memory_s >= times.arithmetic_s, one.decode.total_s.shape)
            waiting += often * float(one.decode.total_s[longer].sum())
    assert only(terms.memory_fraction) == pytest.approx(waiting / only(result.tokens_per_step) / only(result.decode_s))
    held = result.footprint
    whole = only(held.weights_bytes) + only(held.kv_bytes) + only(held.activations_bytes)
    assert only(terms.memory_gib) == pytest.approx(whole / 2**30)


@pytest.mark.parametrize("case", ["users", "prefix", "talk", "replicas"])
def test_prompts_and_answers_share_time_energy_and_money(case):
    terms = terms_of(case)
    users, serving = terms.served.users, terms.served.serving
    steps, number = users.queue.steps, max(only(users.served.decoding), 1.0)
    prompt = only(steps.prompt_s)
    share = prompt / (prompt + only(steps.decode_steps) * only(steps.step_s(np.full(1, number))) / number)
    assert only(terms.prompt_fraction) == pytest.approx(share)
    cached, computed = only(serving.cached_tokens), only(serving.computed_tokens)
    beside = only(terms.cached_fraction)
    assert (cached > 0) == (beside > 0) == (case in ("prefix", "talk")) and beside < share
    if cached:
        # As a prompt of the new tokens alone takes less.
        bare = replace(serving, prompt_tokens=serving.computed_tokens, prefix_tokens=0.0, reused_tokens=0.0)
        times = []
        for one in (bare, serving):
            work = replace(users.result, serving=replace(one, batch=np.ones(1)), in_flight=0.0)
            times.append(only(work.prefill_s) - only(work.prefill.fixed_s))
        assert beside == pytest.approx(share * (1 - times[0] / times[1]))
    dollars = only(terms.usd_per_million_tokens) * 64
    assert only(terms.usd_per_million_input_tokens) == pytest.approx(dollars * (share - beside) / computed)
    joules = (only(terms.request_j) - only(terms.writing_j)) * 64
    kept = (only(terms.request_j) - only(terms.decode_j)) * 64 if case == "talk" else 0.0
    new, old = (only(one) for one in terms.prompt_fraction_j)
    meeting = (joules - kept) * beside / share
    assert (new, old) == pytest.approx((joules - kept - meeting, meeting + kept))
    if cached:
        assert only(terms.usd_per_million_cached_tokens) == pytest.approx(dollars * beside / cached)
    else:
        assert np.isnan(terms.usd_per_million_cached_tokens).all() and old == 0


def test_chips_for_a_load_are_whole_groups():
    batch, flying = terms_of("batch"), terms_of("users")
    assert np.isnan(batch.chips_for_load).all() and np.isnan(batch.served.operating.batch).all()
    planned = replace(batch.served, limits=replace(LIMITS, load_tokens_per_s=None))
    assert np.isnan(Terms(planned, TECHNOLOGY).chips_for_load).all()
    rate = only(planned.operating.tokens_per_s)
    for load, groups in ((rate, 1), (rate * 1.001, 2), (rate * 6.5, 7)):
        told = replace(batch.served, limits=replace(LIMITS, load_tokens_per_s=load))
        assert only(Terms(told, TECHNOLOGY).chips_for_load) == groups
    # Users bring their load where none is told beside it.
    goodput = only(flying.served.users.goodput_per_s) * 64
    assert only(flying.chips_for_load) == np.ceil(3 * 64 / goodput)
    told = replace(flying.served, limits=replace(LIMITS, load_tokens_per_s=2.5 * goodput))
    assert only(Terms(told, TECHNOLOGY).chips_for_load) == 3


def test_weights_are_loaded_over_the_host_interface_of_each_chip():
    terms = terms_of("servers")
    assert np.isnan(terms.load_s).all()
    planned = terms.served.planned
    wide = replace(planned, machine=replace(planned.machine, host_bytes_per_s=np.array([32e9, 0.0])))
    told = Terms(replace(terms.served, planned=wide), TECHNOLOGY).load_s
    assert told[0] == pytest.approx(only(wide.footprint.weights_bytes) / 4 / 32e9) and np.isnan(told[1])
