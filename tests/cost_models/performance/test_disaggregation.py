"""Prefill and decode on different chips: known queues, flows that balance, costs that add up, and a simulation."""

from dataclasses import replace

import numpy as np
import pytest

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import Prefill, serve_chip
from cost_models.evaluate.workload import Drafting, Workload, prompts_of
from cost_models.library.technology import Technology
from cost_models.performance.disaggregation import Disaggregated, Network
from cost_models.performance.metrics import workload_metrics
from cost_models.performance.operating_point import Slo
from cost_models.performance.queue_chain import Traffic
from cost_models.performance.waits import Wait, in_turn
from dse.analysis.pool_simulation import _departures, simulate_pools

TECHNOLOGY = Technology()
LIMITS = Slo(ttft_ms=2000, tpot_ms=50)
H100, CPX = ChipSetup("h100_sxm", "fp8", kv_bits=8), ChipSetup("rubin_cpx", "fp8", kv_bits=8)


def workload(**fields):
    fields = {"prompt_tokens": 2048.0, "output_tokens": 512.0, "n_chips": 2, **fields}
    return Workload("w", "llama3_70b", batching="continuous", **fields)


def served(*, limits=LIMITS, first=H100, first_chips=1.0, network=None, technology=TECHNOLOGY, setup=H100, **fields):
    one = workload(**fields)
    prompts = serve_chip(first, replace(prompts_of(one, "tensor"), n_chips=first_chips), technology)
    prefill = Prefill(prompts, network or Network.of(technology))
    return serve_chip(setup, one, technology, limits=limits, prefill=prefill)


def users_of(**fields):
    users = served(**fields).users
    assert isinstance(users, Disaggregated)
    return users


def metrics_of(**fields):
    technology = fields.get("technology", TECHNOLOGY)
    return {name: float(value[0]) for name, value in workload_metrics(served(**fields), technology).items()}


def test_what_crosses_is_the_cache_of_a_prompt():
    users = users_of(network=Network(50e9, 0.002, 0.0, 0.0))
    crossing = 80 * 2 * 8 * 128 * 2048  # layers, keys and values, heads, width, tokens; a byte each
    assert users.transfer_bytes[0] == crossing
    # Two chips decode, one sends.
    assert users.transfer_s[0] == pytest.approx(crossing / 50e9 + 0.002)
    assert users_of(first_chips=4.0, network=Network(50e9, 0, 0, 0)).transfer_s[0] == pytest.approx(crossing / 100e9)


def test_a_draft_reads_the_prompt_and_sends_its_cache_too():
    drafted_by = Drafting(4, 0.7, "llama3_8b")
    plain, drafted = users_of(), users_of(drafting=drafted_by)
    # 32 layers in place of 80, of as many heads for keys and values.
    assert drafted.transfer_bytes[0] == plain.transfer_bytes[0] * (1 + 32 / 80)
    assert drafted.pool.result.prefill_work_s[0] > plain.pool.result.prefill_work_s[0]
    few = Traffic(arrivals_per_s=np.array([0.2]))
    faster, alone = (users_of(traffic=few, drafting=one) for one in (drafted_by, None))
    assert faster.served.tpot.mean_s[0] < alone.served.tpot.mean_s[0]
    idle = users_of(drafting=Drafting(0, 0.7, "llama3_8b"))
    assert idle.transfer_bytes[0] == plain.transfer_bytes[0]


@pytest.mark.parametrize("load", [0.3, 0.7, 0.9])
def test_prefill_waits_as_a_queue_of_even_service(load):
    """DistServe (arXiv 2401.09670), section 3.1: D + R D^2 / (2 (1 - R D)) for prompts that all take D."""
    users = users_of()
    took = users.pool.result.prefill_work_s[0]
    rate = np.array([load / took])
    assert users._prefill.open(rate).ttft.mean_s[0] == pytest.approx(took + rate[0] * took**2 / (2 * (1 - load)))


def test_without_a_queue_a_prompt_takes_the_stacks_wait_its_prefill_and_its_crossing():
    users = users_of()
    first = users.pool.result
    assert first.software.wait_s[0] > 0
    assert users.ready_s[0] == pytest.approx((first.software.wait_s + first.prefill.pass_s + users.transfer_s)[0])


def test_a_crossing_that_takes_longer_than_a_prefill_makes_the_queue():
    slow = Network(1e8, 0.0, 0.0, 0.0)
    users = users_of(network=slow, limits=Slo(ttft_ms=60_000, tpot_ms=50))
    assert users._prefill.capacity_per_s[0] == pytest.approx(1e8 / users.transfer_bytes[0])


def test_as_many_chips_prefill_as_keep_the_limit():
    users = users_of(traffic=Traffic(arrivals_per_s=np.array([4.0])))
    seen, took = users.served, users.pool.result.prefill_work_s[0]
    wait = 2.0 - users.ready_s[0] - users._decoding.ttft.mean_s[0]
    # The queue of even service, solved for its rate.
    assert users.prefill_per_s[0] == pytest.approx(2 * wait / (took * (took + 2 * wait)), rel=0.01)
    assert users.prefill_chips[0] * users.prefill_per_s[0] == pytest.approx(4.0)
    assert seen.ttft.mean_s[0] == pytest.approx(2.0, rel=0.01)
    assert users.prefill_utilisation[0] < 1


@pytest.mark.parametrize("percentile", [np.nan, 95.0])
def test_goodput_keeps_both_limits(percentile):
    users = users_of(traffic=Traffic(limit_percentile=percentile))
    seen = users.at_goodput
    ttft, tpot = ((wait.mean_s if np.isnan(percentile) else wait.quantile_s(0.95)) for wait in (seen.ttft, seen.tpot))
    assert users.goodput_per_s[0] > 0
    assert ttft[0] <= 2.0 * 1.01 and tpot[0] <= 0.05 * 1.002
    assert max(ttft[0] / 2.0, tpot[0] / 0.05) > 0.95


def test_no_prompt_joins_the_steps_of_the_decode_pool():
    traffic = Traffic(arrivals_per_s=np.array([1.0]))
    apart = users_of(traffic=traffic)
    together = serve_chip(H100, workload(traffic=traffic), TECHNOLOGY, limits=LIMITS).users
    assert apart.served.tpot.mean_s[0] < together.served.tpot.mean_s[0]
    step = replace(apart.result, serving=replace(apart.result.serving, batch=apart.served.decoding)).step_s
    assert apart.served.tpot.mean_s[0] == pytest.approx(step[0], rel=0.01)


def test_what_a_deployment_costs_is_the_sum_of_its_pools():
    found = metrics_of(traffic=Traffic(arrivals_per_s=np.array([4.0])))
    chips, ports = found["prefill_chips"], found["prefill_chips"] + 2
    price = float(served().machine.price_usd[0])
    port = TECHNOLOGY.value("deployment.network_usd_per_gbps") * TECHNOLOGY.value("deployment.network_gbps")
    assert found["deployment_usd"] == pytest.approx((2 + chips) * price + ports * port)
    assert found["deployment_tdp_w"] == pytest.approx((2 + chips) * 700 + ports * 0.8 * 50)
    assert found["tokens_per_s_per_usd"] == pytest.approx(4 * 512 / found["deployment_usd"])
    reading = found["prefill_j_per_token"] * 2048 / 512
    assert found["request_j_per_token"] > found["decode_j_per_token"] + reading


def test_whole_chips_carry_a_load():
    found = metrics_of(limits=replace(LIMITS, load_tokens_per_s=100_000.0))
    users = users_of(limits=replace(LIMITS, load_tokens_per_s=100_000.0))
    requests = 100_000 / 512
    decoding, reading = (np.ceil(requests / rate[0]) for rate in (users.goodput_per_s, users.prefill_per_s))
    assert found["chips_for_load"] == decoding * 2 + reading


def test_a_wider_network_and_faster_prefill_never_cost_goodput():
    wide = [users_of(network=Network(gbps * 1e9, 0.001, 0.0, 0.0), prompt_tokens=4096.0) for gbps in (1, 4, 50, 400)]
    goodputs, chips = ([float(value[0]) for value in values] for values in (
        [users.goodput_per_s for users in wide], [users.prefill_chips for users in wide],
    ))  # fmt: skip
    assert goodputs == sorted(goodputs) and goodputs[0] < goodputs[-1]
    per_request = [number / goodput for number, goodput in zip(chips, goodputs, strict=True)]
    assert per_request == sorted(per_request, reverse=True)
    assert users_of(first_chips=2.0).prefill_per_s[0] > users_of().prefill_per_s[0]


def test_a_port_too_narrow_for_the_load_bounds_it():
    narrow = users_of(network=Network(1e8, 0.001, 0.0, 0.0), limits=Slo(ttft_ms=60_000, tpot_ms=50))
    most = 2 * 1e8 / narrow.transfer_bytes[0]
    assert narrow.goodput_per_s[0] == pytest.approx(most) and narrow.served.requests_per_s[0] == pytest.approx(most)
    busy = users_of(
        network=Network(1e8, 0.001, 0.0, 0.0), limits=Slo(ttft_ms=60_000, tpot_ms=50),
        traffic=Traffic(arrivals_per_s=np.array([2 * most])),
    )  # fmt: skip
    assert np.isinf(busy.served.ttft.mean_s[0])


def test_a_limit_that_a_prompt_alone_breaks_leaves_no_goodput_and_no_number_of_chips():
    found = metrics_of(limits=Slo(ttft_ms=100, tpot_ms=50))
    assert found["goodput_requests_per_s"] == 0 and np.isnan(found["prefill_chips"])
    assert np.isnan(found["usd_per_million_tokens"])


def test_no_pool_is_loaded_to_the_brim():
    loose = users_of(limits=Slo(ttft_ms=600_000, tpot_ms=10_000))
    most = TECHNOLOGY.value("deployment.most_utilisation")
    assert loose.served.utilisation[0] == pytest.approx(most)
    assert loose.prefill_utilisation[0] == pytest.approx(most)


def test_rows_of_a_table_do_not_depend_on_one_another():
    loads = np.array([0.5, 2.0, 6.0])
    together = users_of(traffic=Traffic(arrivals_per_s=loads))
    for place, load in enumerate(loads):
        alone = users_of(traffic=Traffic(arrivals_per_s=np.array([load])))
        assert alone.prefill_chips[0] == pytest.approx(together.prefill_chips[place], rel=1e-12)
        assert alone.served.ttft.mean_s[0] == pytest.approx(together.served.ttft.mean_s[place], rel=1e-12)


def test_two_waits_one_after_the_other_have_the_sum_of_their_moments():
    one = np.ones(1)
    first = Wait.of(0.1 * one, ((0.5 * one, 0.3 * one, 0.04 * one), (0.2 * one, 1.0 * one, 0.5 * one)))
    second = Wait.of(0.2 * one, ((0.7 * one, 0.4 * one, 0.1 * one),))

    def variance(wait):
        square = (wait.shares * (wait.extra_var + wait.extra_s**2)).sum(axis=0)
        return square - (wait.shares * wait.extra_s).sum(axis=0) ** 2

    both = in_turn(first, second)
    assert both.mean_s == pytest.approx(first.mean_s + second.mean_s)
    assert variance(both) == pytest.approx(variance(first) + variance(second))
    assert both.quantile_s(0.95)[0] <= first.quantile_s(0.95)[0] + second.quantile_s(0.95)[0]


@pytest.mark.parametrize(("rate", "prompt"), [(1.0, 2048.0), (5.0, 2048.0), (1.5, 16384.0)])
def test_users_of_two_pools_see_what_the_simulation_of_both_sees(rate, prompt):
    # A prefill replica reads less than one of the long prompts a second: several feed one that decodes.
    limits = replace(LIMITS, ttft_ms=prompt)
    traffic = Traffic(arrivals_per_s=np.array([rate]))
    users = users_of(traffic=traffic, prompt_tokens=prompt, output_tokens=256.0, limits=limits)
    run, seen = simulate_pools(users, requests=6000), users.served
    assert seen.tpot.mean_s[0] == pytest.approx(np.nanmean(run.tpot_s), rel=0.03)
    assert seen.ttft.mean_s[0] == pytest.approx(run.ttft_s.mean(), rel=0.08)
    assert seen.ttft.quantile_s(0.95)[0] == pytest.approx(np.quantile(run.ttft_s, 0.95), rel=0.12)
    assert seen.concurrency[0] == pytest.approx(run.mean_requests, rel=0.05)


@pytest.mark.parametrize(
    "fields",
    [
        {}, {"traffic": Traffic(arrivals_per_s=np.array([3.0]), arrival_cv=1.8, prompt_cv=0.7)},
        {"network": Network(2e9, 0.003, 5.0, 2.0), "first_chips": 2.0, "limits": Slo(8000, 60)},
        {"setup": CPX, "first": CPX, "n_chips": 4, "parallelism": "dp2"},
        {"traffic": Traffic(limit_percentile=95.0)}, {"limits": Slo(ttft_ms=150, tpot_ms=50)},
    ],
)  # fmt: skip
def test_each_term_of_two_pools_is_what_it_says(fields):
    users = users_of(**fields)
    pool, network, result = users.pool, users.pool.network, users.result

    def only(column):
        return float(np.ravel(column)[0])

    chips, replicas, prompts = only(result.serving.chips), only(users.replicas), only(pool.prompts)
    assert (only(pool.chips), prompts) == (only(pool.result.serving.chips), only(pool.result.serving.replicas))
    sent, wide = only(users.transfer_bytes), only(network.bytes_per_s)
    crossing = sent / (wide * min(only(pool.chips) / prompts, chips / replicas))
    reading = only(pool.result.prefill_work_s)
    busy, ready = (
        max(reading, crossing),
        only(pool.result.software.wait_s) + reading + crossing + only(network.latency_s),
    )
    assert (only(users.busy_s), only(users.ready_s)) == pytest.approx((busy, ready))
    assert only(users.transfer_s) == pytest.approx(crossing + only(network.latency_s))
    assert only(users._port_per_s) == pytest.approx(wide * chips / replicas / sent)
    assert only(users.decoders.waiting_s) == pytest.approx((users.limits.ttft_s - ready) / 2)
    # Prefill waits as long as the limit leaves: W = l s^2 g / (1 - l s), g half of both squared variations.
    steps, traffic = users._prefill.steps, users.traffic
    assert (only(steps.alone_s), only(steps.prompt_s), only(steps.decode_steps), only(steps.most)) == (busy, busy, 0, 1)
    assert only(users._prefill.work_cv2) == pytest.approx(float(traffic.prompt_cv) ** 2)
    decoding = users._decoding_at_goodput
    rate, most = only(users._prefill_rate(decoding)), only(pool.most_utilisation) / busy
    wait = users.limits.ttft_s - (ready - busy) - only(decoding.ttft.mean_s) - busy
    if np.isnan(traffic.limit_percentile) and wait > 0:
        spread = (float(traffic.arrival_cv) ** 2 + float(traffic.prompt_cv) ** 2) / 2
        assert rate == pytest.approx(min(wait / (busy * (wait + busy * spread)), most))
        waited = rate * busy**2 * spread / (1 - rate * busy)
        assert rate == pytest.approx(most) or waited == pytest.approx(wait)
    elif wait <= 0:
        assert rate == 0 == only(users.goodput_per_s)
    # Costs of chips over what they take, chips alone where one has no price; the cheapest share of the goodput.
    prices = [only(one.machine.price_usd) for one in (pool.result, result)]
    prices = [1.0, 1.0] if np.isnan(prices).any() else prices

    def dollars(decoding):
        taken = only(users._prefill_rate(decoding)) * prompts
        cost = prices[0] * only(pool.chips) / taken if taken else np.inf
        return cost + prices[1] * chips / replicas / only(decoding.requests_per_s)

    bounds = (only(users._port_per_s), only(pool.most_utilisation) * only(users.decoders.capacity_per_s))
    goodput = min(only(users.decoders._goodput), *bounds)
    if goodput:
        tried = [
            users.decoders.at(np.full(1, goodput * share)) for share in (1, 63 / 64, 31 / 32, 15 / 16, 7 / 8, 3 / 4)
        ]
        assert [only(users._request_usd(one)) for one in tried] == pytest.approx([dollars(one) for one in tried])
        kept = [bool(np.all(users.decoders.keeps(one))) for one in tried[:-1]] + [True]
        costs = [dollars(one) if met else np.inf for one, met in zip(tried, kept, strict=True)]
        best = tried[int(np.argmin(costs))]
        assert only(decoding.requests_per_s) == pytest.approx(only(best.requests_per_s))
        assert only(users.goodput_per_s) == pytest.approx(only(best.requests_per_s) * replicas if rate else 0.0)
    # What a group of the prefill pool takes at the load, and how many chips that makes.
    at_load = only(users._prefill_rate(users._decoding))
    assert only(users.prefill_per_s) == pytest.approx(at_load * prompts)
    assert only(users.prefill_utilisation) == pytest.approx(at_load * reading)
    load = only(users._decoding.requests_per_s) * replicas
    wanted = load / (at_load * prompts) * only(pool.chips) if at_load else np.nan
    assert only(users.prefill_chips) == pytest.approx(wanted, nan_ok=True)
    assert only(users.least_s[0]) == pytest.approx(ready)
    work = users.at_work().serving
    assert only(work.batch) == pytest.approx(max(only(users._decoding.decoding), 1.0))


def test_a_step_of_the_decode_pool_takes_no_prompt():
    steps = users_of().decoders._steps
    assert (steps.prompt_s == 0).all() and (steps.chunks == 0).all() and (steps.prompts_per_step > 1e6).all()
    assert (steps.alone_s < 1e-20).all() and steps.wait_s == 0
    assert (users_of(output_tokens=1.0).decoders._steps.chunks == 1).all()


def test_the_simulation_of_a_prefill_replica_is_a_queue_of_one_place():
    arrival, service = np.array([0.0, 1.0, 1.5, 9.0]), np.array([2.0, 1.0, 3.0, 1.0])
    np.testing.assert_allclose(_departures(arrival, service), [2.0, 3.0, 6.0, 10.0])
