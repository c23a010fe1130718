"""Continuous batching: known queues, bounds, monotony, and the simulation as judge."""

from dataclasses import replace

import numpy as np
import pytest

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import serve_chip
from cost_models.evaluate.workload import Workload
from cost_models.library.technology import Technology
from cost_models.performance import queue_chain
from cost_models.performance.goodput import goodput
from cost_models.performance.metrics import workload_metrics
from cost_models.performance.operating_point import Slo
from cost_models.performance.queue_chain import Traffic
from cost_models.performance.serving_queue import Queue
from cost_models.performance.step_times import StepTimes, decode_step_s, most_requests, step_times
from cost_models.performance.waits import Wait, lognormal_cv
from cost_models.table import rows_of
from cost_models.workload.serving import footprint
from dse.analysis.simulated_engine import SimulatedEngine, engine_of
from dse.analysis.simulation import lengths, simulate
from dse.evaluator import Evaluator
from dse.samplers import sampler_of
from dse.space import Space
from dse.sweep import load_spec
from tests.cost_models.performance.plain_queue import Engine, Plain, closed
from tests.cost_models.performance.test_steady_state import ENGINES, steps_of


def engine(*, prompt_s=0.0, alone_s=0.0, step_s=0.01, slope_s=0.0, tokens=100.0, most=1.0, room=1e6):
    """Return step times of one row whose decode step is a straight line in the sequences."""
    row = np.ones(1)
    batches = np.stack([0 * row, row, np.maximum(most, 1.0) * row])
    decode = np.stack([(alone_s - prompt_s) * row, step_s * row, (step_s + slope_s * (max(most, 1.0) - 1)) * row])
    chunks = max(np.ceil(1 / room), 1.0)
    decode[0] /= chunks
    columns = (prompt_s, alone_s, chunks, room, tokens, most)
    return StepTimes(batches, decode, *(value * row for value in columns))


def served(model="llama3_70b", chip="h100_sxm", chips=8, limits=None, fmt="fp8", kv_bits=16.0, **fields):
    workload = Workload(
        "w", model, n_chips=chips, batching="continuous",
        **{"prompt_tokens": 2048.0, "output_tokens": 256.0, **fields},
    )  # fmt: skip
    return serve_chip(ChipSetup(chip, fmt, kv_bits=kv_bits, act_bits=8), workload, Technology(), limits=limits)


LOADS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])


@pytest.mark.parametrize("cv", [0.0, 0.5, 1.0])
def test_one_place_is_the_queue_of_pollaczek_and_khinchine(cv):
    times = engine(alone_s=0.0, step_s=0.01, tokens=100.0)
    queue = Queue(times, Traffic(output_cv=cv))
    rate = LOADS / 1.0
    wait = queue.open(rate).ttft.mean_s
    np.testing.assert_allclose(wait, LOADS * (1 + cv**2) / (2 * (1 - LOADS)), rtol=1e-6)


def test_steps_in_proportion_to_sequences_are_processor_sharing():
    times = engine(step_s=0.01, slope_s=0.01, tokens=1e5, most=2000.0)
    found = Queue(times, Traffic()).open(LOADS[:-1] / (1e5 * 0.01)).concurrency
    np.testing.assert_allclose(found, LOADS[:-1] / (1 - LOADS[:-1]), rtol=0.01)


@pytest.mark.parametrize(("prompt_cv", "output_cv"), [(0.0, 0.0), (0.7, 0.0), (0.0, 1.3), (0.7, 1.3)])
def test_work_varies_as_the_sum_of_its_two_parts(prompt_cv, output_cv):
    one = engine(prompt_s=0.2, alone_s=0.3, step_s=0.01, tokens=50.0, most=4.0)
    parts = np.array([0.3 * prompt_cv, 0.5 * output_cv])
    cv2 = Queue(one, Traffic(prompt_cv=prompt_cv, output_cv=output_cv)).work_cv2
    assert cv2 == pytest.approx((parts**2).sum() / 0.8**2)


def test_steps_that_sequences_do_not_lengthen_are_enough_servers():
    times = engine(step_s=0.01, tokens=100.0, most=2000.0)
    found = Queue(times, Traffic()).open(np.array([1.0, 10.0, 100.0]))
    np.testing.assert_allclose(found.tpot.mean_s, 0.01, rtol=1e-9)
    np.testing.assert_allclose(found.decoding, [1.0, 10.0, 100.0], rtol=1e-6)


def test_prompts_stretch_decode_steps_as_a_delay_cycle():
    times = engine(prompt_s=0.05, alone_s=0.05, step_s=0.01, tokens=1000.0, most=2000.0)
    rate = np.array([2.0, 8.0, 14.0])
    found = Queue(times, Traffic()).open(rate).tpot.mean_s
    np.testing.assert_allclose(found, 0.01 / (1 - 0.05 * rate), rtol=0.02)


def test_no_load_gives_the_times_of_a_single_request():
    many = served(traffic=Traffic(arrivals_per_s=1e-9))
    one = serve_chip(
        ChipSetup("h100_sxm", "fp8", act_bits=8),
        Workload("w", "llama3_70b", batch=1.0, prompt_tokens=2048, output_tokens=256, n_chips=8), Technology(),
    ).inference  # fmt: skip
    seen = many.users.served
    first = one.prefill_s + many.users.result.software.wait_s
    np.testing.assert_allclose(seen.ttft.mean_s, first, rtol=1e-6)
    np.testing.assert_allclose(seen.tpot.mean_s, one.decode_s, rtol=1e-6)
    for share in (0.5, 0.95, 0.99):
        np.testing.assert_allclose(seen.ttft.quantile_s(share), first, rtol=1e-6)


WAITS = np.array([0.0, 0.02, 1.0])


def test_a_fixed_wait_delays_every_first_token_and_nothing_else():
    times = engine(prompt_s=0.05, alone_s=0.05, step_s=0.01, tokens=1000.0, most=2000.0)
    bare, late = (Queue(replace(times, wait_s=wait), Traffic()).open(8.0 + 0 * WAITS) for wait in (0.0, WAITS))
    np.testing.assert_allclose(late.ttft.mean_s, bare.ttft.mean_s + WAITS)
    np.testing.assert_allclose(late.ttft.quantile_s(0.95), bare.ttft.quantile_s(0.95) + WAITS)
    np.testing.assert_array_equal(late.tpot.mean_s, bare.tpot.mean_s + 0 * WAITS)
    # A limit that is later by as much leaves the same goodput; one within the wait leaves none.
    least = goodput(times, Traffic(), (0.5, np.inf))
    waiting = replace(times, wait_s=np.full(1, 0.2))
    np.testing.assert_allclose(goodput(waiting, Traffic(), (0.7, np.inf)), least)
    assert goodput(waiting, Traffic(), (0.24, np.inf))[0] == 0 < goodput(times, Traffic(), (0.24, np.inf))[0]


@pytest.mark.parametrize("requests", [1.0, 7.0, 60.0])
def test_a_closed_loop_with_a_fixed_wait_keeps_littles_law_and_is_near_the_simulation(requests):
    times = engine(prompt_s=0.02, alone_s=0.03, step_s=0.01, slope_s=2e-4, tokens=99.0, most=30.0, room=2.0)
    seen = Queue(replace(times, wait_s=WAITS), Traffic()).closed(requests)
    np.testing.assert_allclose(seen.concurrency, requests, rtol=1e-9)
    assert (np.diff(seen.requests_per_s) <= 1e-12).all() and (np.diff(seen.ttft.mean_s) > -1e-12).all()
    decode_s = np.concatenate([[0.0], 0.01 + 2e-4 * np.arange(30)])
    one = SimulatedEngine(decode_s, 0.02 / 1000, 0.03 / 1000, 2000.0, 30, wait_s=float(WAITS[-1]))
    run = simulate(one, prompt_tokens=1000, output_tokens=100, concurrency=int(requests), requests=3000, output_cv=0.3)
    assert seen.requests_per_s[-1] == pytest.approx(len(run.ttft_s) / run.span_s, rel=0.05)
    assert seen.ttft.mean_s[-1] == pytest.approx(run.ttft_s.mean(), rel=0.05)


CLOSED = [
    (Plain(replace(one, wait_s=wait), 4.0), requests)
    for one in ENGINES for wait in (0.0, 0.3, 0.004) for requests in (0.0, 1.0, 1.5, 2.0, 9.0, 60.0, 5000.0)
]  # fmt: skip


def test_closed_loops_are_those_of_each_engine_by_itself():
    queues = [one for one, _ in CLOSED]
    queue = Queue(steps_of([one.engine for one in queues]), Traffic(), np.full(len(queues), 4.0))
    seen = queue.closed(np.array([requests for _, requests in CLOSED]))
    for row, (one, requests) in enumerate(CLOSED):
        rate, first, token, decoding = closed(one, requests)
        assert seen.requests_per_s[row] == pytest.approx(rate)
        assert seen.decoding[row] == pytest.approx(decoding)
        assert seen.utilisation[row] == pytest.approx(rate / one.capacity)
        assert seen.ttft.least_s[row] == pytest.approx(one.engine.alone_s + one.engine.wait_s)
        assert seen.tpot.least_s[row] == pytest.approx(one.at_work[1])
        for wait, case in ((seen.ttft, first), (seen.tpot, token)):
            found = [column[0, row] for column in (wait.shares, wait.extra_s, wait.extra_var)]
            assert found == pytest.approx(case, rel=1e-9, abs=1e-12)


def test_by_how_much_the_worse_limit_is_missed():
    queue = Queue(steps_of([Engine()]), Traffic())
    seen = queue.open(5.0)
    first, token = float(seen.ttft.mean_s[0]), float(seen.tpot.mean_s[0])
    for limits, missed in (
        ((first * 2, token * 4), -0.5), ((first * 2, token / 4), 3.0), ((first / 2, np.inf), 1.0),
        ((np.inf, token * 1.25), -0.2), ((np.inf, np.inf), -1.0),
    ):  # fmt: skip
        assert queue.missed(seen, limits)[0] == pytest.approx(missed)
    # At a percentile: times are exponential if a twentieth is beyond three means; later than that, by how much.
    late = Queue(queue.steps, Traffic(limit_percentile=95.0))
    limits = (float(seen.ttft.quantile_s(0.9, halvings=50)[0]), np.inf)
    assert late.missed(seen, limits)[0] == pytest.approx(np.log(np.log(0.05) / np.log(0.1)), rel=1e-6)
    for kept, share in (((1e9, 1e9), 1e-12), ((1e-9, 1.0), 1 - 1e-3)):
        assert late.missed(seen, kept)[0] == pytest.approx(np.log(np.log(0.05) / np.log(share)), rel=1e-9)


def test_first_tokens_are_apart_by_what_prompts_are():
    steps = steps_of([Engine()])
    assert Queue(steps, Traffic()).apart is None
    apart = Queue(steps, Traffic(prompt_cv=0.5)).apart
    found = [column[0].item() for column in (apart.shares, apart.extra_s, apart.extra_var)]
    assert apart.least_s[0] == -0.06 and found == pytest.approx([1, 0.06, 0.03**2])
    alone = Queue(steps, Traffic(prompt_cv=0.5)).alone
    assert alone.ttft.mean_s[0] == pytest.approx(0.06)
    assert (alone.requests_per_s[0], alone.utilisation[0], alone.decoding[0]) == (0, 0, 0)
    assert (alone.tpot.shares == 0).all() and alone.tpot.mean_s[0] == pytest.approx(0.01)
    # What an engine itself says of its prompts goes before.
    said = Wait.of(np.full(1, -1.0), ((np.ones(1), np.ones(1), np.zeros(1)),))
    assert Queue(replace(steps, apart=said), Traffic(prompt_cv=0.5)).apart is said


def test_more_load_shortens_no_percentile():
    queue = served(traffic=Traffic(arrivals_per_s=1.0)).users.queue
    loads = np.linspace(0.001, 0.97, 60) * queue.capacity_per_s
    found = queue.open(loads)
    for wait in (found.ttft, found.tpot):
        for times in (wait.mean_s, *(wait.quantile_s(share, halvings=40) for share in (0.5, 0.95, 0.99))):
            assert (np.diff(times) > -2e-3 * times[1:]).all()
    assert (np.diff(found.concurrency) > 0).all()


def test_more_bandwidth_or_memory_never_lowers_goodput():
    base = served(limits=Slo(1000.0, 40.0))
    for name in ("bandwidth_bytes_per_s", "capacity_bytes"):
        rates = []
        for factor in (1.0, 1.2, 1.5, 2.0):
            machine = replace(base.machine, **{name: getattr(base.machine, name) * factor})
            users = replace(base.users, result=replace(base.users.result, machine=machine))
            rates.append(float(users.goodput_per_s[0]))
        assert (np.diff(rates) > -2e-3 * np.array(rates[1:])).all()


@pytest.mark.parametrize("percentile", [np.nan, 95.0, 99.0])
def test_goodput_keeps_the_limits_and_little_more_does_not(percentile):
    users = served(limits=Slo(500.0, 50.0), traffic=Traffic(limit_percentile=percentile)).users
    rate, queue = users.goodput_per_s, users._good_queue

    def times(load):
        seen = queue.open(load)
        if np.isnan(percentile):
            return seen.ttft.mean_s[0], seen.tpot.mean_s[0]
        share = percentile / 100
        return seen.ttft.quantile_s(share, halvings=40)[0], seen.tpot.quantile_s(share, halvings=40)[0]

    first, token = times(rate)
    assert first <= 0.5 * 1.001 and token <= 0.05 * 1.001
    first, token = times(rate * 1.03)
    assert first > 0.5 or token > 0.05


LIMITS = ((100.0, 0.1), (20.0, 0.06), (np.inf, 0.05), (5.0, 0.2))


@pytest.fixture(scope="module")
def designs():
    """Continuous batching on designs whose steps rise in stairs, by memory and by arithmetic."""
    spec = load_spec("sweeps/mach1.yaml", overrides=["search.sampler=random", "search.n_designs=300"])
    chat = spec.workloads["chat_70b"].model_copy(update={"batching": "continuous", "batch": 1, "tpot_limit_ms": 100})
    spec = spec.model_copy(update={"workloads": {"chat": chat}, "objectives": [], "constraints": []})
    users = Evaluator(spec).results(sampler_of(spec, Space(spec)).ask(300))["chat"].users
    return replace(users, limits=Slo())


def test_steps_are_those_of_the_model_at_every_number(designs):
    steps = designs._steps
    for number in (1, 5, 8, 9, 16, 17, 24, 40, 100, 250):
        exact = decode_step_s(designs.result, np.full(1, float(number)))
        told = steps.step_s(np.full(exact.shape, float(number)))
        apart = np.abs(told / exact - 1)[steps.most >= number]
        assert np.quantile(apart, 0.5) < 0.002 and np.quantile(apart, 0.9) < 0.05, number
        assert number > 16 or apart.max() < 1e-9


@pytest.mark.parametrize("limits", LIMITS)
def test_goodput_is_that_of_patient_bisection_over_many_states(designs, limits, monkeypatch):
    steps, traffic = designs._steps, Traffic()
    quick = goodput(steps, traffic, limits)
    monkeypatch.setattr(queue_chain, "STATES", 160)
    queue = Queue(steps, traffic)
    low, high = np.zeros_like(quick), 1.0 * queue.capacity_per_s
    for _ in range(30):
        middle = (low + high) / 2
        kept = queue.missed(queue.open(middle), limits) <= 0
        low, high = np.where(kept, middle, low), np.where(kept, high, middle)
    served = quick > 0
    assert served.sum() > 40 and (low[~served & (steps.most >= 1)] < 1e-6).all()
    apart = np.abs(quick / np.maximum(low, 1e-12) - 1)[served]
    assert np.quantile(apart, 0.5) < 0.005 and np.quantile(apart, 0.9) < 0.05


@pytest.mark.parametrize("percentile", [np.nan, 95.0])
def test_what_a_design_has_does_not_depend_on_others(designs, percentile):
    limits, steps, traffic = LIMITS[0], designs._steps, Traffic(limit_percentile=percentile)
    every = goodput(steps, traffic, limits)
    for row in np.flatnonzero(every)[:5]:
        one = rows_of(steps, np.array([row]), 300)
        assert goodput(one, traffic, limits)[0] == pytest.approx(every[row], rel=1e-9)


@pytest.mark.parametrize("limits", LIMITS)
def test_percentiles_are_kept_at_the_goodput_of_every_design(designs, limits):
    """Of those who are promised a time at a percentile so many see it kept, to a hundredth of the requests."""
    steps, traffic = designs._steps, Traffic(limit_percentile=95.0)
    rate = goodput(steps, traffic, limits)
    served = np.flatnonzero(rate)
    seen = Queue(rows_of(steps, served, 300), traffic).open(rate[served])
    met = np.minimum(seen.ttft.share_within(limits[0]), seen.tpot.share_within(limits[1]))
    assert len(served) > 40 and np.median(met) == pytest.approx(0.95, abs=0.002)
    assert np.quantile(met, 0.05) > 0.94 and met.min() > 0.9


def test_times_do_not_depend_on_where_the_states_of_the_chain_are_placed(designs, monkeypatch):
    steps, traffic = designs._steps, Traffic()
    rate = 0.9 * goodput(steps, traffic, (20.0, 0.1))
    served = np.flatnonzero(rate)
    steps, rate = rows_of(steps, served, 300), rate[served]
    few = Queue(steps, traffic).open(rate)
    monkeypatch.setattr(queue_chain, "STATES", 240)
    many = Queue(steps, traffic).open(rate)
    for name in ("ttft", "tpot"):
        one, other = getattr(few, name), getattr(many, name)
        for told, exact in ((one.mean_s, other.mean_s), (one.quantile_s(0.95), other.quantile_s(0.95))):
            apart = np.abs(told / exact - 1)
            assert np.median(apart) < 0.005 and np.quantile(apart, 0.9) < 0.05


def test_designs_that_miss_a_limit_alone_are_left_out_without_a_change_to_the_others(designs):
    limits = (5.0, 0.05)
    every, within = step_times(designs.result), step_times(designs.result, limits)
    kept = (every.decode_s[1] <= limits[1]) & (every.alone_s + every.wait_s <= limits[0]) & (every.most >= 1)
    assert 20 < kept.sum() < 280
    np.testing.assert_allclose(within.decode_s[:, kept], every.decode_s[:, kept], rtol=1e-12)
    np.testing.assert_array_equal(
        within.decode_s[1:, ~kept], np.tile(every.decode_s[1, ~kept], (len(every.batches) - 1, 1))
    )
    np.testing.assert_array_equal(goodput(within, Traffic(), limits) > 0, kept)


def test_goodput_is_that_of_the_mixed_steps_and_not_of_the_prefill_of_a_batch():
    users = served(limits=Slo(500.0, 50.0)).users
    step = users.at_goodput.tpot.mean_s
    np.testing.assert_allclose(step, 0.05, rtol=1e-3)
    # Sequences over step time, the steady state of decode steps with prompts mixed in.
    inside = users.at_goodput.decoding
    np.testing.assert_allclose(users.goodput_per_s * 255, inside / step, rtol=1e-3)
    assert 90 < float(inside[0]) < 110 and 1850 < float(users.goodput_per_s[0]) * 256 < 2100


def test_input_and_output_tokens_pay_for_the_request_between_them():
    names = ("usd_per_million_tokens", "usd_per_million_input_tokens", "usd_per_million_output_tokens")
    found = {}
    for prompt in (512.0, 4096.0):
        one = served(limits=Slo(2000.0, 50.0), prompt_tokens=prompt)
        whole, read, written = (workload_metrics(one, Technology(), names)[name][0] for name in names)
        assert read * prompt + written * 256 == pytest.approx(whole * 256)
        assert 0 < read < written
        found[prompt] = whole, read * prompt
    # A longer prompt makes a request dearer, and more of it is the prompt's.
    assert found[4096.0][0] > found[512.0][0]
    assert found[4096.0][1] / found[4096.0][0] > found[512.0][1] / found[512.0][0]


def test_limits_that_a_single_request_breaks_leave_no_goodput():
    assert float(served(limits=Slo(None, 5.0)).users.goodput_per_s[0]) == 0.0
    assert float(served(limits=Slo(50.0, None)).users.goodput_per_s[0]) == 0.0


def test_more_than_the_chips_finish_has_no_bound():
    seen = served(traffic=Traffic(arrivals_per_s=1e3)).users.served
    assert np.isinf(seen.ttft.mean_s).all() and np.isinf(seen.ttft.quantile_s(0.95)).all()
    assert seen.utilisation[0] > 1


@pytest.mark.parametrize(("model", "chip", "chips"), [("llama3_70b", "h100_sxm", 8), ("llama3_8b", "l4", 2)])
def test_as_many_requests_fit_as_the_footprint_says(model, chip, chips):
    for prompt, output in ((128.0, 64.0), (6000.0, 500.0), (60000.0, 500.0)):
        users = served(model, chip, chips, prompt_tokens=prompt, output_tokens=output).users
        most = most_requests(users.result)

        def fits(batch, users=users):
            serving = replace(users.result.serving, batch=batch)
            held = footprint(serving, users.result.formats, chunk_rows=users.result.software.chunk_rows)
            return bool(held.most_loaded_bytes[0] <= users.result.machine.capacity_bytes[0])

        assert most[0] == 0 or fits(most)
        assert not fits(most + 1)


def test_quantiles_are_those_of_the_mixture():
    none = np.array([0.0])
    wait = Wait.of(np.array([1.0]), ((np.array([0.5]), np.array([2.0]), np.array([4.0])),))
    assert wait.mean_s[0] == pytest.approx(2.0)
    assert wait.quantile_s(0.4)[0] == pytest.approx(1.0)
    # Half the users wait an exponential time of mean 2.
    assert wait.quantile_s(0.95, halvings=40)[0] == pytest.approx(1 - 2 * np.log(0.1), rel=0.02)
    assert wait.share_within(wait.quantile_s(0.9, halvings=40))[0] == pytest.approx(0.9, abs=1e-6)
    assert wait.share_within(0.5 + none)[0] == 0.0


def test_a_case_that_begins_late_keeps_its_mean_and_spares_what_is_before():
    one, floor = np.ones(1), np.full((1, 1), 1.5)
    late = Wait.of(0 * one, ((one, 2 * one, 0.25 * one),), floor_s=floor)
    assert late.mean_s[0] == 2.0 and late.share_within(1.49)[0] == 0.0
    # Beyond 1.5 it is exponential of mean 0.5.
    assert late.quantile_s(0.95, halvings=40)[0] == pytest.approx(1.5 - 0.5 * np.log(0.05), rel=0.01)
    assert late.share_within(late.quantile_s(0.9, halvings=40))[0] == pytest.approx(0.9, abs=1e-6)


@pytest.mark.parametrize("cv", [0.3, 1.0, 2.0])
def test_lognormal_lengths_have_the_percentile_they_are_made_of(cv):
    sigma = np.sqrt(np.log1p(cv**2))
    p95 = np.exp(1.6448536269514722 * sigma - sigma**2 / 2)
    if sigma < 1.64:
        assert lognormal_cv(p95) == pytest.approx(cv)
    drawn = lengths(10000.0, cv, 400_000, np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(10000.0, rel=0.02)
    assert np.quantile(drawn, 0.95) == pytest.approx(10000.0 * p95, rel=0.03)
    assert lognormal_cv(np.nan) == 0.0


# -- the simulation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_the_simulation_of_one_place_is_the_queue_of_pollaczek_and_khinchine(load):
    one = SimulatedEngine(np.array([0.0, 0.01]), 0.0, 1e-9, 8192.0, 1)
    run = simulate(one, prompt_tokens=1, output_tokens=101, arrivals_per_s=load, requests=60_000)
    wait, half = run.ttft_s.mean(), run.interval(run.ttft_s, np.mean)
    assert abs(wait - load / (2 * (1 - load))) < 2 * half + 1e-6


def test_the_simulation_keeps_tokens_and_littles_law():
    one = SimulatedEngine(0.01 + 1e-4 * np.arange(101), 1e-5, 1.2e-5, 2048.0, 100)
    run = simulate(one, prompt_tokens=1000, output_tokens=100, arrivals_per_s=6.0, requests=20_000, output_cv=0.7)
    stay = run.ttft_s + np.where(run.output_tokens > 1, (run.output_tokens - 1) * np.nan_to_num(run.tpot_s), 0.0)
    rate = len(stay) / run.span_s
    assert rate == pytest.approx(6.0, rel=0.03)
    assert run.mean_requests == pytest.approx(rate * stay.mean(), rel=0.02)
    assert run.timeline[:, 1].max() <= 100
    assert run.output_tokens.mean() == pytest.approx(100, rel=0.03)


CASES = (
    # model, chip, chips, format, prompt, output, share of capacity
    ("llama3_70b", "h100_sxm", 8, "fp8", 2048.0, 256.0, 0.75),
    ("llama3_8b", "l4", 2, "fp8", 700.0, 490.0, 0.5),
    ("llama3_8b", "h100_sxm", 1, "fp8", 300.0, 22.0, 0.3),
    ("llama3_8b", "l40s", 1, "fp8", 800.0, 100.0, 0.7),
    ("llama3_70b", "a100_80gb_sxm", 8, "bf16", 14000.0, 300.0, 0.6),
    ("llama3_70b", "h200_sxm", 4, "fp8", 140.0, 770.0, 0.3),
)


@pytest.mark.parametrize("case", CASES, ids=[f"{case[0]}-{case[1]}-{case[4]:g}-{case[5]:g}" for case in CASES])
def test_the_closed_form_is_near_the_simulation(case):
    model, chip, chips, fmt, prompt, output, share = case
    users = served(model, chip, chips, fmt=fmt, prompt_tokens=prompt, output_tokens=output).users
    load = share * float(users.queue.capacity_per_s[0])
    users = replace(users, traffic=Traffic(arrivals_per_s=load))
    seen = users.served
    engine = engine_of(users.result)
    assert (engine.draft_tokens, engine.acceptance) == (0, 0.0)
    run = simulate(engine, prompt_tokens=prompt, output_tokens=output, arrivals_per_s=load, requests=15_000)
    assert seen.ttft.mean_s[0] == pytest.approx(run.ttft_s.mean(), rel=0.10)
    assert seen.ttft.quantile_s(0.95)[0] == pytest.approx(np.quantile(run.ttft_s, 0.95), rel=0.15)
    assert seen.tpot.mean_s[0] == pytest.approx(np.nanmean(run.tpot_s), rel=0.10)
    assert seen.tpot.quantile_s(0.95)[0] == pytest.approx(np.nanquantile(run.tpot_s, 0.95), rel=0.15)
    assert seen.concurrency[0] == pytest.approx(run.mean_requests, rel=0.12)


@pytest.mark.parametrize(("places", "prompt_s"), [(1, 0.0), (6, 0.0), (6, 0.05), (30, 0.0)])
def test_bursty_arrivals_at_few_places_are_near_the_simulation(places, prompt_s):
    one = engine(prompt_s=prompt_s, alone_s=prompt_s, most=float(places), room=4.0)
    queue = Queue(one, Traffic(arrival_cv=1.6))
    loads = np.array([0.3, 0.6]) * queue.capacity_per_s
    steps, token_s = np.append(0.0, np.full(places, 0.01)), max(prompt_s, 1e-9) / 1000
    simulated = SimulatedEngine(steps, token_s, token_s, 4000.0, places)
    for load in loads:
        run = simulate(
            simulated, prompt_tokens=1000, output_tokens=101, arrivals_per_s=load, arrival_cv=1.6, requests=10_000
        )
        # As numbers of Poisson arrivals vary, it was 62 to 76 % below at six places.
        assert queue.open(np.array([load])).ttft.mean_s[0] == pytest.approx(run.ttft_s.mean(), rel=0.28)


@pytest.mark.parametrize(("arrival_cv", "prompt_cv"), [(1.0, 0.0), (2.0, 0.0), (3.0, 0.0), (1.0, 1.0), (2.0, 1.5)])
def test_prompts_one_after_the_other_wait_as_kingman_says(arrival_cv, prompt_cv):
    one = engine(prompt_s=0.1, alone_s=0.1, step_s=1e-6, tokens=1.0, most=1e6, room=1.0)
    queue, load = Queue(one, Traffic(arrival_cv=arrival_cv, prompt_cv=prompt_cv)), np.array([0.5, 0.8])
    waits = queue.open(load / 0.1).ttft.mean_s - 0.1
    assert waits == pytest.approx(0.1 * load * (arrival_cv**2 + prompt_cv**2) / (2 * (1 - load)), rel=0.13)


def test_more_bursty_arrivals_wait_longer_and_poisson_ones_are_the_limit():
    one = engine(prompt_s=0.02, alone_s=0.03, slope_s=1e-4, most=20.0, room=4.0)
    rates = LOADS * Queue(one, Traffic()).capacity_per_s
    waits = [Queue(one, Traffic(arrival_cv=cv)).open(rates).ttft.mean_s for cv in (1.0, 1.0 + 1e-9, 1.3, 1.8, 3.0)]
    assert waits[1] == pytest.approx(waits[0], rel=1e-7)
    assert (np.diff(waits[1:], axis=0) > 0).all()
    alone = Queue(one, Traffic(arrival_cv=1.6)).open(np.full(1, 1e-9))
    assert alone.ttft.mean_s == pytest.approx(0.03, rel=1e-3)


@pytest.mark.parametrize("requests", [1, 4, 32, 112])
def test_a_closed_loop_is_near_the_simulation(requests):
    users = served(traffic=Traffic(concurrency=float(requests))).users
    seen = users.served
    run = simulate(engine_of(users.result), prompt_tokens=2048, output_tokens=256, concurrency=requests, requests=4000)
    assert seen.tpot.mean_s[0] == pytest.approx(np.nanmean(run.tpot_s), rel=0.05)
    assert seen.ttft.mean_s[0] == pytest.approx(run.ttft_s.mean(), rel=0.20)
    assert seen.requests_per_s[0] == pytest.approx(len(run.ttft_s) / run.span_s, rel=0.05)
