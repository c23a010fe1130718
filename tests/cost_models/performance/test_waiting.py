"""What users of a batching engine wait for, against queues with known answers and against the simulation.

Engines are made up, so that each term of the closed form has one in which it is what counts: prompts that share a step
or take many, few places or more than are ever taken, steps that lengthen and steps that do not.
"""

from dataclasses import replace

import numpy as np
import pytest

from cost_models.performance.goodput import goodput
from cost_models.performance.queue_chain import Traffic
from cost_models.performance.serving_queue import Queue, _interpolated
from cost_models.performance.steady_state import SteadyState
from cost_models.performance.step_times import StepTimes
from cost_models.performance.waits import Wait
from dse.analysis.simulated_engine import SimulatedEngine
from dse.analysis.simulation import simulate

PROMPT = 1000


def engine(*, prompt_s, alone_s, step_s, slope_s, tokens, most, room):
    """Return the step times of one engine whose decode step is a straight line in the sequences."""
    chunks = max(np.ceil(1 / room), 1.0)
    batches = np.array([0.0, 1.0, 2.0, 16.0, 128.0, 1024.0, 8192.0])
    decode = np.concatenate([[(alone_s - prompt_s) / chunks], step_s + slope_s * (batches[1:] - 1)])
    columns = (np.full(1, float(one)) for one in (prompt_s, alone_s, chunks, room, tokens, most))
    return StepTimes(batches[:, None], decode[:, None], *columns)


NAMES = ("prompt_s", "alone_s", "step_s", "slope_s", "tokens", "most", "room")
ENGINES = {
    name: dict(zip(NAMES, numbers, strict=True))
    for name, numbers in {
        "shared": (0.05, 0.06, 0.01, 2e-4, 99, 64, 4),  # prompts that share steps, half of the time
        "chunked": (0.03, 0.05, 0.01, 1e-4, 99, 64, 0.4),  # prompts of three steps each
        "sharing": (0.002, 0.01, 0.01, 1e-3, 99, 200, 8),  # steps that lengthen, and a memory that is never full
        "reading": (0.2, 0.25, 0.02, 1e-4, 20, 40, 1),  # long prompts, short answers
        "writing": (0.01, 0.02, 0.01, 1e-4, 400, 100, 2),  # long answers
        "crowded": (0.02, 0.03, 0.01, 3e-4, 50, 8, 2),  # few places
        "uneven": (0.05, 0.06, 0.01, 2e-4, 99, 64, 4),  # lengths that vary
    }.items()
}
LOADS = {"shared": 0.7, "chunked": 0.5, "sharing": 0.6, "reading": 0.4, "writing": 0.5, "crowded": 0.4, "uneven": 0.5}
TRAFFIC = {"uneven": {"prompt_cv": 0.7, "output_cv": 0.5}}

NEAR = {
    # how near means and percentiles of the time to first token are, then means and percentiles of the time per token
    "shared": (0.05, 0.09, 0.035, 0.05),
    "chunked": (0.09, 0.2, 0.015, 0.02),
    "sharing": (0.06, 0.23, 0.02, 0.03),
    "reading": (0.05, 0.08, 0.035, 0.06),
    "writing": (0.035, 0.14, 0.01, 0.012),
    "crowded": (0.06, 0.12, 0.02, 0.045),
    "uneven": (0.035, 0.31, 0.025, 0.08),
}


@pytest.fixture(scope="module", params=ENGINES)
def both(request):
    """What the closed form says of an engine, and what the simulation measures."""
    made = ENGINES[request.param]
    traffic = TRAFFIC.get(request.param, {})
    queue = Queue(engine(**made), Traffic(**traffic))
    rate = LOADS[request.param] * float(queue.capacity_per_s[0])
    decode_s = np.concatenate([[0.0], made["step_s"] + made["slope_s"] * np.arange(made["most"])])
    one = SimulatedEngine(
        decode_s, made["prompt_s"] / PROMPT, made["alone_s"] / PROMPT, made["room"] * PROMPT, made["most"]
    )
    run = simulate(
        one, prompt_tokens=PROMPT, output_tokens=made["tokens"] + 1, arrivals_per_s=rate, requests=30_000, **traffic
    )
    return NEAR[request.param], queue.open(rate), run


def test_both_times_are_near_the_simulation_in_the_mean_and_at_percentiles(both):
    near, told, run = both
    cases = ((told.ttft, run.ttft_s, *near[:2]), (told.tpot, run.tpot_s, *near[2:]))
    for wait, measured, of_mean, of_share in cases:
        assert float(wait.mean_s[0]) == pytest.approx(measured.mean(), rel=of_mean)
        for share in (0.25, 0.5, 0.8, 0.95):
            # Prompts come in whole numbers, so that times rise in stairs: near the edge of one, either counts.
            least, most = np.quantile(measured, (share - 0.03, share + 0.03))
            quantile = float(wait.quantile_s(share, halvings=30)[0])
            assert least * (1 - of_share) <= quantile <= most * (1 + of_share), share
    assert float(told.concurrency[0]) == pytest.approx(run.mean_requests, rel=near[0] + near[2])


@pytest.mark.parametrize(("prompt_cv", "output_cv"), [(0.0, 0.0), (0.8, 0.0), (0.0, 1.5), (1.1, 0.6)])
def test_lengths_that_vary_lengthen_the_queue_of_pollaczek_and_khinchine(prompt_cv, output_cv):
    # One place: 0.3 s of a prompt and 70 steps of 10 ms, which vary independently of each other.
    one = engine(prompt_s=0.3, alone_s=0.3, step_s=0.01, slope_s=0.0, tokens=70, most=1, room=1e6)
    queue = Queue(one, Traffic(prompt_cv=prompt_cv, output_cv=output_cv))
    assert float(queue.capacity_per_s[0]) == pytest.approx(1.0)
    cv2, load = (0.3 * prompt_cv) ** 2 + (0.7 * output_cv) ** 2, np.array([0.1, 0.5, 0.9])
    wait = queue.open(load).ttft.mean_s - 0.3
    np.testing.assert_allclose(wait, load * (1 + cv2) / (2 * (1 - load)), rtol=1e-6)


@pytest.mark.parametrize("cv", [0.5, 2.0])
def test_steps_that_prompts_join_lengthen_with_the_variance_of_their_length(cv):
    # A step takes in what came in the one before: of T' = s + sum of lengths, E T = s / (1 - r) and E T^2 / E T is
    # E T + l E[x^2] / (1 - r^2), whose second term is in proportion to 1 + cv^2.
    one = engine(**ENGINES["shared"])
    even, varied = (SteadyState(Queue(one, Traffic(prompt_cv=each)), np.array([0.3, 4.0, 9.0])) for each in (0.0, cv))
    beyond = even.biased - even.step / (1 - even.busy)
    assert (beyond > 0).all()
    np.testing.assert_allclose(varied.biased - varied.step / (1 - varied.busy), (1 + cv**2) * beyond)


def test_a_memory_that_holds_no_request_has_no_goodput():
    made = ENGINES["shared"]
    none = engine(**{**made, "most": 0})
    assert goodput(none, Traffic(), (np.inf, np.inf))[0] == 0 < goodput(engine(**made), Traffic(), (np.inf, 1.0))[0]
    # A limit is kept that a single request just keeps: at that limit there is goodput, a hair below it none.
    exact = (made["alone_s"], made["step_s"])
    assert goodput(engine(**made), Traffic(), exact)[0] >= 0
    for shorter in ((exact[0] * (1 - 1e-6), np.inf), (np.inf, exact[1] * (1 - 1e-6))):
        assert goodput(engine(**made), Traffic(), shorter)[0] == 0


@pytest.mark.parametrize("shapes", [(1, 1, 5), (5, 1, 1), (1, 5, 1), (5, 5, 5)])
def test_lines_between_states_of_each_row(shapes):
    rng = np.random.default_rng(3)
    knots, values = np.sort(rng.random((7, shapes[0])), axis=0), rng.random((7, shapes[1]))
    at = rng.random(shapes[2]) * 1.4 - 0.2
    found = _interpolated(knots, values, at)
    rows = [
        np.broadcast_to(column, (*column.shape[:-1], 5))[..., row] for row in range(5) for column in (knots, values, at)
    ]
    expected = [np.interp(rows[3 * row + 2], rows[3 * row], rows[3 * row + 1]) for row in range(5)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found.shape == (5,)


@pytest.mark.parametrize("most", [1, 3, 16, 17, 40, 1000])
def test_states_stand_for_every_number_of_requests_once(most):
    queue = Queue(engine(**{**ENGINES["shared"], "most": most}), Traffic(), decoding=5.0)
    assert float(queue.widths.sum()) == pytest.approx(most + 1)
    assert float(queue.states[int(queue.last[0, 0]), 0]) == most
    inside = queue.states[:, 0][queue.widths[:, 0] > 0]
    assert (np.diff(inside) > 0).all() and inside[-1] == most


@pytest.mark.parametrize("most", [1, 4, 15])
def test_few_places_are_the_birth_death_chain_itself(most):
    made = {**ENGINES["shared"], "most": most}
    queue = Queue(engine(**made), Traffic(), decoding=5.0)
    rates = queue.rate_per_s[1 : most + 1, 0]
    # j requests go round in j prompts, one prompt's steps beside the others, and their own decode steps.
    logs = [sum(np.log(rates[:number])) for number in range(most + 1)]
    np.testing.assert_allclose(queue.log_rates[: most + 1, 0], logs, rtol=1e-12, atol=1e-12)


def test_a_load_of_all_that_is_taken_has_no_end_and_one_just_below_has():
    queue = Queue(engine(**ENGINES["crowded"]), Traffic())
    capacity = queue.capacity_per_s
    assert np.isinf(queue.open(capacity).ttft.mean_s).all()
    assert np.isfinite(queue.open(capacity * (1 - 1e-9)).ttft.mean_s).all()


def test_answers_of_one_token_decode_nothing():
    made = engine(**{**ENGINES["crowded"], "tokens": 0})
    queue = Queue(made, Traffic())
    for seen in (queue.closed(4.0), queue.open(0.5 * queue.capacity_per_s), queue.alone):
        assert np.isfinite(seen.ttft.mean_s).all() and np.isfinite(seen.tpot.mean_s).all()
        assert float(seen.tpot.mean_s[0]) >= 0.01 and float(seen.decode_steps[0]) == 0
    # A loop of four prompts, one after the other, of 20 ms each once the engine runs.
    assert float(queue.closed(4.0).requests_per_s[0]) == pytest.approx(1 / 0.02, rel=0.35)


@pytest.mark.parametrize("requests", [2, 8])
def test_a_closed_loop_spreads_as_the_simulation_does(requests):
    made = ENGINES["reading"]
    seen = Queue(engine(**made), Traffic()).closed(float(requests))
    decode_s = np.concatenate([[0.0], made["step_s"] + made["slope_s"] * np.arange(made["most"])])
    one = SimulatedEngine(decode_s, made["prompt_s"] / PROMPT, made["alone_s"] / PROMPT, PROMPT, made["most"])
    run = simulate(
        one, prompt_tokens=PROMPT, output_tokens=made["tokens"] + 1, concurrency=requests, requests=6000, output_cv=0.5
    )
    assert float(seen.ttft.quantile_s(0.95)[0]) == pytest.approx(np.quantile(run.ttft_s, 0.95), rel=0.15)
    assert float(seen.requests_per_s[0]) == pytest.approx(len(run.ttft_s) / run.span_s, rel=0.05)


def test_more_places_than_are_taken_change_nothing():
    made = ENGINES["writing"]
    few, many = (Queue(engine(**{**made, "most": most}), Traffic()) for most in (300, 3000))
    rate = 0.3 * float(few.capacity_per_s[0])
    for name in ("ttft", "tpot"):
        one, other = (getattr(queue.open(rate), name) for queue in (few, many))
        np.testing.assert_allclose(one.mean_s, other.mean_s, rtol=2e-3)
        np.testing.assert_allclose(one.quantile_s(0.95), other.quantile_s(0.95), rtol=1e-2)


def test_a_closed_loop_without_a_wait_is_itself_beside_one_with():
    made, requests = engine(**ENGINES["crowded"]), np.array([1.0, 5.0, 8.0, 30.0])
    bare = Queue(made, Traffic()).closed(requests)
    for place, number in enumerate(requests):
        beside = Queue(replace(made, wait_s=np.array([0.0, 0.3])), Traffic()).closed(number)
        assert beside.requests_per_s[0] == pytest.approx(bare.requests_per_s[place], rel=1e-12)
        assert beside.ttft.mean_s[0] == pytest.approx(bare.ttft.mean_s[place], rel=1e-12)
        assert beside.requests_per_s[1] <= bare.requests_per_s[place]


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_a_stretch_of_which_every_moment_is_as_likely_has_its_own_quantiles(share):
    # Between 2 and 4 s beyond 1: a mean of 3 and a variance of 2^2 / 12.
    wait = Wait.of(np.ones(1), ((np.ones(1), np.full(1, 3.0), np.full(1, 4 / 12)),), even=True)
    assert wait.quantile_s(share)[0] == pytest.approx(1 + 2 + 2 * share, rel=1e-12)
    assert wait.share_within(1 + 2 + 2 * share)[0] == pytest.approx(share, rel=1e-12)


def test_wait_for_nothing_is_the_least():
    queue = Queue(replace(engine(**ENGINES["crowded"]), wait_s=np.full(1, 0.5)), Traffic())
    alone = queue.alone
    assert float(alone.ttft.mean_s[0]) == pytest.approx(0.03 + 0.5)
    assert float(alone.tpot.mean_s[0]) == pytest.approx(0.01)
    idle = queue.open(1e-9)
    np.testing.assert_allclose(idle.ttft.mean_s, alone.ttft.mean_s, rtol=1e-6)
    np.testing.assert_allclose(idle.ttft.quantile_s(0.95), alone.ttft.mean_s, rtol=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("highest", [0.02, 2.0, 200.0])
def test_steps_that_rise_at_once_and_then_no_more_take_no_less_than_the_shortest(highest):
    # The mean over states of such steps lies far below the step at their mean number.
    made = engine(prompt_s=0.01, alone_s=0.02, step_s=0.01, slope_s=1e-4, tokens=5, most=2000, room=4)
    decode = np.where(made.batches > 16, highest, made.decode_s)
    queue = Queue(replace(made, decode_s=decode), Traffic())
    for load in (0.02, 0.1, 0.3, 0.6, 0.9):
        seen = queue.open(load * queue.capacity_per_s)
        assert 0.01 * (1 - 1e-9) <= seen.tpot.mean_s[0] < np.inf, load
        assert seen.tpot.quantile_s(0.5)[0] >= 0.01 * (1 - 1e-9)


def test_an_engine_that_does_nothing_but_prompts_has_an_end_just_below_its_capacity():
    # All of its time goes to prompts, at a load that is 1 to the last bit: the queue is long and no division by 0.
    one = engine(prompt_s=0.1, alone_s=0.1, step_s=0.01, slope_s=0.0, tokens=0, most=50, room=1)
    queue = Queue(one, Traffic())
    assert queue.capacity_per_s[0] == pytest.approx(10.0)
    state = SteadyState(queue, np.nextafter(queue.capacity_per_s, 0))
    assert 1 - 1e-8 < state.busy[0] < 1
    for seen in (state.ttft, state.tpot, queue.open(np.nextafter(queue.capacity_per_s, 0)).ttft):
        assert np.isfinite(seen.mean_s).all() and np.isfinite(seen.quantile_s(0.95)).all()
    assert state.ttft.mean_s[0] > 1.0
