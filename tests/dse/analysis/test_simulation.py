"""The simulation of continuous batching against a twin that goes step by step, and against what is known by hand."""

import math

import numpy as np
import pytest

from cost_models.workload.trace import Trace
from dse.analysis.simulated_engine import Request, SimulatedEngine, SimulatedSessions
from dse.analysis.simulation import SimulatedRequests, lengths, simulate, simulate_surely

ENGINE = SimulatedEngine(
    decode_s=np.array([0.0, 0.010, 0.011, 0.013, 0.016]),
    prompt_token_s=1e-4,
    alone_token_s=0.8e-4,
    chunk_tokens=64,
    most=4,
)
MEAN_TOKENS = 120.0


def step_s(running):
    """Along the line from one sequence to the four that fit where there are more, as they are shorter than the mean."""
    return [0.0, 0.010, 0.011, 0.013, 0.016][running] if running <= 4 else 0.016 + (running - 4) * 0.002


def step_by_step(arrivals, prompts, outputs, *, wait_s=0.0, follow=0):
    """The same engine, one step after the other; `follow` more requests come whenever one leaves."""
    come = [[time + wait_s, number] for number, time in enumerate(arrivals)]
    born, first, last, left = list(arrivals), {}, {}, list(prompts)
    reading, writing, now, line = [], {}, 0.0, []

    def size(number):
        return (prompts[number] + outputs[number]) / MEAN_TOKENS

    while come or reading or writing:
        while come and come[0][0] <= now + 1e-12:
            inside = sum(map(size, [*reading, *writing]))
            if (reading or writing) and inside + size(come[0][1]) > 4 + 1e-9:
                break
            reading.append(come.pop(0)[1])
        waiting = sum(time <= now + 1e-12 for time, _ in come) + len(reading)
        if not reading and not writing:
            line.append((now, 0, 0, 0.0))
            now = come[0][0]
            continue
        room, read, through = 64.0, 0.0, []
        for number in list(reading):
            part = min(room, left[number])
            room, read, left[number] = room - part, read + part, left[number] - part
            if left[number] > 0:
                break
            through.append(number)
            reading.remove(number)
        line.append((now, len(writing), waiting, read))
        now += step_s(len(writing)) + read * (1e-4 if writing else 0.8e-4)
        for number in writing:
            writing[number] -= 1
        for number in through:
            first[number], writing[number] = now, outputs[number] - 1
        for number in [number for number, tokens in writing.items() if tokens < 1]:
            del writing[number]
            last[number] = now
            if follow:
                follow -= 1
                come.append([now, len(born)])
                born.append(now)
    return np.array(born), np.array([first[k] for k in sorted(first)]), np.array([last[k] for k in sorted(last)]), line


def merged(line):
    """When the steps of as many sequences and as many tokens of prompts begin that follow one another."""
    steps = [(one[0], one[1], one[3]) for one in line if one[1] or one[3]]
    return [one for place, one in enumerate(steps) if not place or one[1:] != steps[place - 1][1:]]


@pytest.mark.parametrize(("every_s", "wait_s"), [(0.5, 0.0), (0.04, 0.0), (0.01, 0.003)], ids=["idle", "busy", "full"])
def test_a_trace_is_served_as_a_twin_serves_it_step_by_step(every_s, wait_s):
    rng = np.random.default_rng(7)
    arrivals = np.cumsum(rng.exponential(every_s, 60))
    prompts, outputs = rng.integers(10, 200, 60).astype(float), rng.integers(1, 30, 60).astype(float)
    trace = Trace(arrivals, prompts, outputs)
    engine = SimulatedEngine(ENGINE.decode_s, 1e-4, 0.8e-4, 64, 4, wait_s=wait_s)
    found = simulate(
        engine, prompt_tokens=90, output_tokens=30, arrivals_per_s=trace.arrivals_per_s, trace=trace, requests=3
    )
    born, first, last, line = step_by_step(arrivals - arrivals[0], prompts, outputs, wait_s=wait_s)
    np.testing.assert_allclose(found.ttft_s, first - born, rtol=1e-9)
    alone = outputs == 1
    np.testing.assert_allclose(found.tpot_s[~alone], ((last - first)[~alone]) / (outputs[~alone] - 1), rtol=1e-9)
    assert np.isnan(found.tpot_s[alone]).all() and alone.any()
    assert found.output_tokens.tolist() == outputs.tolist()
    assert found.span_s == pytest.approx(born[-1] - born[0])
    inside = np.minimum(last, born[-1]) - born
    assert found.mean_requests == pytest.approx(np.maximum(inside, 0).sum() / found.span_s)
    # What happens between two events is one line of the simulation and many steps of the twin.
    assert np.array(merged(found.timeline)) == pytest.approx(np.array(merged(line)))
    reads = [[one for one in told if one[3] > 0] for told in (found.timeline.tolist(), line)]
    assert np.array(reads[0]) == pytest.approx(np.array(reads[1]))


def test_a_trace_at_twice_its_rate_takes_half_its_time():
    trace = Trace(np.arange(50.0), np.full(50, 10.0), np.full(50, 1.5))
    found = simulate(ENGINE, prompt_tokens=10, output_tokens=2, arrivals_per_s=2 * trace.arrivals_per_s, trace=trace)
    assert found.span_s == pytest.approx(49 / 2)
    # Half a token is one.
    assert found.output_tokens.tolist() == [2.0] * 50


@pytest.mark.parametrize("concurrency", [1, 3, 6])
def test_a_closed_loop_is_served_as_a_twin_serves_it(concurrency):
    count, skipped = 40, 8
    found = simulate(ENGINE, prompt_tokens=90, output_tokens=30, concurrency=concurrency, requests=count, seed=3)
    outputs = np.full(count, 30.0)
    outputs[:concurrency] = np.ceil(30 * np.random.default_rng(3).random(concurrency))
    born, first, last, _ = step_by_step([0.0] * concurrency, [90.0] * count, outputs, follow=count - concurrency)
    # The first fifth warms up; behind the last fifth nobody follows.
    kept = slice(skipped, count - skipped)
    np.testing.assert_allclose(found.ttft_s, (first - born)[kept], rtol=1e-9)
    np.testing.assert_allclose(found.tpot_s, ((last - first) / 29)[kept], rtol=1e-9)
    assert found.span_s == pytest.approx(born[count - skipped - 1] - born[skipped])


def test_arrivals_come_at_their_rate_and_as_unevenly_as_is_said():
    steady = simulate(ENGINE, prompt_tokens=1, output_tokens=1, arrivals_per_s=5, arrival_cv=0, requests=100)
    # The first 20 warm up, and between 80 arrivals lie 79 gaps.
    assert steady.span_s == pytest.approx(79 / 5, rel=1e-3)
    assert steady.ttft_s == pytest.approx(np.full(80, 0.8e-4))
    assert steady.mean_requests == pytest.approx(80 * 0.8e-4 / steady.span_s, rel=0.02)
    # The span of n gaps is their sum, whose standard deviation is the root of n that of one.
    spans = [
        simulate(ENGINE, prompt_tokens=1, output_tokens=1, arrivals_per_s=5, arrival_cv=2, requests=125, seed=k).span_s
        for k in range(60)
    ]
    assert np.mean(spans) == pytest.approx(99 / 5, rel=4 * 2 / math.sqrt(99 * 60))
    assert np.std(spans) == pytest.approx(2 * math.sqrt(99) / 5, rel=0.3)


def test_one_of_arrivals_and_concurrency_is_given():
    with pytest.raises(ValueError, match="one of"):
        simulate(ENGINE, prompt_tokens=1, output_tokens=1)
    with pytest.raises(ValueError, match="one of"):
        simulate(ENGINE, prompt_tokens=1, output_tokens=1, arrivals_per_s=1, concurrency=1)


# -- conversations ------------------------------------------------------------------------------------------------

TURNS, PROMPT, OUTPUT = 3, 20.0, 10


def conversations(**changed):
    """Conversations that meet nobody: turns follow at once, sessions begin 100 s apart."""
    sessions = SimulatedSessions(
        **{
            "turns": TURNS, "think_s": 0.0, "prompt_tokens": PROMPT, "chip_tokens": 1e9, "tier_tokens": 0.0,
            "token_s": 1e-3, "latency_s": 0.05, "exposed_s": lambda read_s: read_s / 4, "most_line_s": 1.0,
            "found_weight": 1.5, **changed,
        }
    )  # fmt: skip
    found = simulate(
        ENGINE, prompt_tokens=1000, output_tokens=OUTPUT, arrivals_per_s=0.01 * TURNS, arrival_cv=0,
        requests=30, sessions=sessions,
    )  # fmt: skip
    return found.ttft_s.reshape(-1, TURNS), sessions


def test_a_turn_whose_history_is_kept_reads_its_own_prompt_alone():
    ttft, sessions = conversations()
    np.testing.assert_allclose(ttft, 0.8e-4 * PROMPT * 1.5, rtol=1e-6)
    assert (sessions.asked, sessions.found) == (20, 20)
    # Every session is still there with all that was said in it.
    assert [*sessions.near.values()] == [TURNS * (PROMPT + OUTPUT)] * 10 and not sessions.far


def test_a_history_in_the_tier_delays_its_turn_by_what_of_its_reading_nothing_hides():
    ttft, sessions = conversations(chip_tokens=0.0, tier_tokens=1e9)
    histories = np.arange(TURNS) * (PROMPT + OUTPUT)
    read = np.where(histories > 0, 0.05 + 1e-3 * histories, 0.0)
    np.testing.assert_allclose(ttft, np.broadcast_to(0.8e-4 * PROMPT * 1.5 + read / 4, ttft.shape), rtol=1e-6)
    assert (sessions.asked, sessions.found) == (20, 20) and not sessions.near


@pytest.mark.parametrize("lost", [{"chip_tokens": 0.0}, {"chip_tokens": 0.0, "tier_tokens": 1e9, "most_line_s": 0.0}])
def test_a_history_that_is_lost_or_waits_too_long_is_read_anew(lost):
    ttft, sessions = conversations(**lost)
    histories = np.arange(TURNS) * (PROMPT + OUTPUT)
    weights = np.where(histories > 0, 1.0, 1.5)
    chunks = 0.8e-4 * (PROMPT + histories) * weights
    np.testing.assert_allclose(ttft, np.broadcast_to(chunks, ttft.shape), rtol=1e-6)
    assert (sessions.asked, sessions.found) == (20, 0)


def test_what_was_used_the_longest_ago_goes_first_and_through_the_tier():
    whole = TURNS * (PROMPT + OUTPUT)
    _, sessions = conversations(chip_tokens=2 * whole, tier_tokens=3 * whole)
    numbers = [*sessions.far, *sessions.near]
    assert (len(sessions.far), len(sessions.near)) == (3, 2) and numbers == sorted(numbers)


def test_reads_wait_for_the_links_one_after_the_other():
    sessions = SimulatedSessions(2, 0.0, PROMPT, 0.0, 1e9, 1e-3, 0.05, lambda read_s: read_s, 0.1, 1.0)

    def turn(number):
        return Request(0.0, PROMPT, OUTPUT, session=number, turn=2)

    for number in range(4):
        sessions.keep(Request(0.0, PROMPT, OUTPUT, session=number))
    read = 0.05 + 1e-3 * (PROMPT + OUTPUT)
    assert sessions.find(turn(0), 5.0) == pytest.approx(read)
    assert sessions.find(turn(1), 5.0) == pytest.approx(2 * read)
    # The line is longer than is waited for, and the prompt holds the history.
    third = turn(2)
    assert sessions.find(third, 5.0) == 0.0 and third.prompt == 2 * PROMPT + OUTPUT
    assert sessions.find(turn(3), 5.0 + 2 * read) == pytest.approx(read)


# -- drafts, lengths, doubt ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("acceptance", "tokens", "steps"), [(0.0, 7, 7), (1.0, 7, 2), (1.0, 8, 2), (1.0, 9, 3), (1.0, 0, 0)]
)
def test_all_or_no_drafts_are_accepted(acceptance, tokens, steps):
    engine = SimulatedEngine(ENGINE.decode_s, 1e-4, 1e-4, 64, 4, draft_tokens=3, acceptance=acceptance)
    assert engine.steps_for(tokens, np.random.default_rng(0)) == steps


def test_a_step_gives_drafts_up_to_the_first_that_is_refused_and_one_more():
    engine = SimulatedEngine(ENGINE.decode_s, 1e-4, 1e-4, 64, 4, draft_tokens=3, acceptance=0.6)
    expected = (1 - 0.6**4) / (1 - 0.6)
    assert 20_000 / engine.steps_for(20_000, np.random.default_rng(0)) == pytest.approx(expected, rel=0.02)
    assert SimulatedEngine(ENGINE.decode_s, 1e-4, 1e-4, 64, 4).steps_for(9, np.random.default_rng(0)) == 9


def test_lengths_have_their_mean_and_their_spread():
    rng = np.random.default_rng(0)
    assert lengths(10.4, 0, 3, rng).tolist() == [10.0] * 3 and lengths(0.2, 0, 1, rng).tolist() == [1.0]
    drawn = lengths(500, 0.8, 200_000, rng)
    assert drawn.mean() == pytest.approx(500, rel=0.01) and drawn.std() / drawn.mean() == pytest.approx(0.8, rel=0.02)
    assert (drawn == drawn.round()).all() and lengths(1, 3, 1000, rng).min() == 1


def measured(ttft, span=10.0, inside=1.0):
    ttft = np.asarray(ttft, dtype=float)
    return SimulatedRequests(ttft, np.full(len(ttft), np.nan), np.ones(len(ttft)), span, inside, np.zeros((1, 4)))


def test_doubt_is_that_of_the_means_of_twenty_parts():
    # Parts of two: their means are 0 to 19 and 1 more, the variance of which is that of 20 whole numbers, 35.
    run = measured(np.repeat(np.arange(20.0), 2) + 1)
    half = 1.96 * math.sqrt(35) / math.sqrt(20)
    assert run.interval(run.ttft_s, np.mean) == pytest.approx(half)
    assert run.doubt == pytest.approx(half / 10.5)
    both = SimulatedRequests(run.ttft_s, np.repeat([1.0, 3.0], 20), run.ttft_s, 1.0, 1.0, run.timeline)
    # Ten parts of 1 and ten of 3: the variance is 20 / 19.
    assert both.doubt == pytest.approx(max(half / 10.5, 1.96 * math.sqrt(20 / 19) / math.sqrt(20) / 2))


def test_runs_that_follow_one_another_are_one_and_time_is_weighed():
    joined = SimulatedRequests.joined([measured([1, 2], 10, 3), measured([3], 30, 5)])
    assert joined.ttft_s.tolist() == [1, 2, 3] and joined.span_s == 40
    assert joined.mean_requests == pytest.approx((10 * 3 + 30 * 5) / 40)


def test_runs_are_added_until_the_mean_is_known_well_enough():
    traffic = {"prompt_tokens": 60, "output_tokens": 10, "output_cv": 1.0, "arrivals_per_s": 12.0}
    one = simulate(ENGINE, requests=150, seed=5, **traffic)
    assert len(simulate_surely(ENGINE, within=1e9, requests=150, seed=5, **traffic).ttft_s) == len(one.ttft_s)
    most = simulate_surely(ENGINE, within=0.0, requests=150, seed=5, most_runs=3, **traffic)
    parts = [simulate(ENGINE, requests=150, seed=seed, **traffic) for seed in (5, 6, 7)]
    assert most.ttft_s.tolist() == np.concatenate([part.ttft_s for part in parts]).tolist()
    two = SimulatedRequests.joined(parts[:2])
    usual, near = (
        simulate_surely(ENGINE, requests=150, most_runs=2, **traffic, **within) for within in ({}, {"within": 0.02})
    )
    assert len(usual.ttft_s) == len(near.ttft_s) == len(two.ttft_s)
    enough = simulate_surely(ENGINE, within=two.doubt, requests=150, seed=5, most_runs=3, **traffic)
    assert len(enough.ttft_s) == (len(one.ttft_s) if one.doubt <= two.doubt else len(two.ttft_s))
