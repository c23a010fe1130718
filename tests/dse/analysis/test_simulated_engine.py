"""A simulated engine step by step, followed by hand, and the engine of a workload whose steps are made up."""

from types import SimpleNamespace

import numpy as np
import pytest

from dse.analysis import simulated_engine
from dse.analysis.simulated_engine import EngineState, Request, SimulatedEngine, SimulatedSessions, engine_of

ENGINE = SimulatedEngine(np.array([0.0, 0.010, 0.012, 0.016]), 1e-4, 1e-4, 100.0, 3)


def request(prompt, output, **changed):
    return Request(0.0, prompt, output, **changed)


def state(*waiting, mean=100.0):
    made = EngineState(ENGINE, mean_tokens=mean)
    made.waiting.extend(waiting)
    return made


def test_steps_beyond_what_fits_lie_on_the_line_through_one_and_all():
    assert [ENGINE.step_s(count) for count in (0, 1, 2, 3)] == [0.0, 0.010, 0.012, 0.016]
    assert [ENGINE.step_s(count) for count in (4, 5)] == pytest.approx([0.019, 0.022])
    alone = SimulatedEngine(np.array([0.0, 0.01]), 0, 0, 1, 1)
    assert alone.step_s(3) == 0.01
    two = SimulatedEngine(np.array([0.0, 0.01, 0.012]), 0, 0, 1, 2)
    assert two.step_s(4) == pytest.approx(0.016)


def test_requests_are_admitted_in_order_while_their_whole_length_fits():
    # Three of 100 tokens fit: 150, 100 and 50 do, and a fourth waits, though a fifth would.
    made = state(*(request(p, o) for p, o in ((100, 50), (80, 20), (30, 20), (90, 10), (1, 1))))
    made.admit()
    assert [one.prompt for one in made.prefilling] == [100, 80, 30] and made.held == 3
    assert [one.prompt for one in made.waiting] == [90, 1]
    # A history that is kept takes its room too.
    made = state(request(100, 50, context=100), request(40, 10), request(1, 0))
    made.admit()
    assert len(made.prefilling) == 2 and made.held == 3 and len(made.waiting) == 1
    # What is larger than everything runs alone, and nothing beside it.
    made = state(request(500, 50), request(1, 1))
    made.admit()
    assert [one.prompt for one in made.prefilling] == [500] and made.held == 5.5
    made.prefilling.clear()
    made.decoding.append((5, 1, request(500, 50)))
    made.admit()
    assert len(made.waiting) == 1


def test_a_step_takes_prompt_tokens_in_order_up_to_its_chunk():
    made = state()
    made.prefilling.extend([request(60, 5, weight=2.0), request(70, 5), request(10, 5)])
    taken, weighed, through = made.take_chunk()
    assert (taken, weighed) == (100, 60 * 2 + 40) and [one.prompt for one in through] == [60]
    assert [one.prefilled for one in made.prefilling] == [40, 0]
    taken, weighed, through = made.take_chunk()
    assert (taken, weighed) == (40, 40) and [one.prompt for one in through] == [70, 10] and not made.prefilling
    assert made.take_chunk() == (0, 0, [])
    # A prompt that ends with the chunk is through, the next one is not begun.
    made.prefilling.extend([request(100, 5), request(5, 5)])
    taken, _, through = made.take_chunk()
    assert taken == 100 and len(through) == 1 and made.prefilling[0].prefilled == 0
    # Half a token more is read in the next step, and what needs none waits for it behind a full one.
    made.prefilling.clear()
    made.prefilling.extend([request(99.5, 5), request(1, 5)])
    assert made.take_chunk()[0] == 100 and made.prefilling[0].prefilled == 0.5
    made.prefilling.clear()
    made.prefilling.extend([request(100.5, 5), request(0, 5)])
    assert made.take_chunk()[2] == [] and made.prefilling[0].prefilled == 100
    assert len(made.take_chunk()[2]) == 2
    made.prefilling.extend([request(100, 5), request(0, 5)])
    assert len(made.take_chunk()[2]) == 1
    # So is one of which a rounding is left.
    made.prefilling[0] = request(100 + 1e-10, 5)
    assert len(made.take_chunk()[2]) == 1


def test_first_tokens_come_at_the_end_of_a_step_and_last_ones_when_all_are_out():
    made, one, two, three = state(mean=10.0), request(6, 1), request(5, 3), request(4, 2)
    made.held, made.step = 10.0, 4
    assert made.end_of_step(1.0, [one, two, three]) == [one]
    assert (one.first_s, one.last_s, two.first_s) == (1.0, 1.0, 1.0) and np.isnan(two.last_s)
    assert [(step, serial) for step, serial, _ in sorted(made.decoding, key=lambda held: held[0])] == [(5, 2), (6, 1)]
    assert made.held == pytest.approx(10 - 0.7)
    made.step = 5
    assert made.end_of_step(2.0, []) == [three] and (three.first_s, three.last_s) == (1.0, 2.0)
    made.step = 6
    assert made.end_of_step(3.0, []) == [two] and two.last_s == 3.0 and not made.decoding
    assert made.held == pytest.approx(10 - 0.7 - 0.6 - 0.8)
    held = request(5, 1, context=5)
    assert made.end_of_step(4.0, [held]) == [held] and made.held == pytest.approx(10 - 2.1 - 1.1)


def test_drafts_before_the_first_refused_one_count():
    engine = SimulatedEngine(ENGINE.decode_s, 0, 0, 1, 3, draft_tokens=2, acceptance=0.5)

    class Drawn:
        def random(self, shape):
            # Refused at once; the second; none; at once.
            return np.array([[0.5, 0.0], [0.4, 0.9], [0.1, 0.2], [0.7, 0.7], [0.7, 0.7], [0.7, 0.7], [0.7, 0.7]])[
                : shape[0]
            ]

    # They give 1, 2, 3 and 1 tokens: after 1, 3, 6 and 7.
    assert [engine.steps_for(tokens, Drawn()) for tokens in (1, 2, 3, 4, 6, 7)] == [1, 2, 2, 3, 3, 4]
    assert engine.steps_for(0, Drawn()) == 0


def sessions(**changed):
    usual = {
        "turns": 5, "think_s": 0.0, "prompt_tokens": 20.0, "chip_tokens": 1e9, "tier_tokens": 1e9, "token_s": 0.01,
        "latency_s": 0.5, "exposed_s": lambda read_s: read_s / 2, "most_line_s": 2.0, "found_weight": 1.5,
    }  # fmt: skip
    return SimulatedSessions(**{**usual, **changed})


def turn(number, session=1, output=10):
    return request(20.0, output, turn=number, session=session)


def test_a_first_turn_has_no_history_and_asks_for_none():
    made, one = sessions(), turn(1)
    assert made.find(one, 0.0) == 0 and (one.weight, one.context, one.prompt) == (1.5, 0, 20)
    assert (made.asked, made.found) == (0, 0)


def test_a_history_is_all_turns_before_and_is_found_where_it_was_kept():
    made, one = sessions(), turn(3)
    made.keep(turn(2))
    assert dict(made.near) == {1: 60}
    assert made.find(one, 0.0) == 0 and (one.context, one.prompt, one.weight) == (60, 20, 1.5)
    assert (made.asked, made.found) == (1, 1) and not made.near
    # In neither memory: it is a part of the prompt.
    two = turn(3)
    assert made.find(two, 0.0) == 0 and (two.context, two.prompt, two.weight) == (0, 80, 1.0)
    assert (made.asked, made.found) == (2, 1)


def test_reads_of_the_tier_stand_in_line_for_as_long_as_it_is_worth():
    made = sessions(chip_tokens=0.0)
    for number in range(4):
        made.keep(turn(1, session=number))
    assert list(made.far) == [0, 1, 2, 3] and not made.near
    # A history of 30 tokens takes 0.8 s, of which half delays its turn.
    assert made.find(turn(2, session=0), 10.0) == pytest.approx(0.4) and made.busy_until_s == pytest.approx(10.8)
    assert made.find(turn(2, session=1), 10.2) == pytest.approx(0.6 + 0.4) and made.busy_until_s == pytest.approx(11.6)
    lost = turn(2, session=2)
    made.busy_until_s = 12.0
    # A line as long as the most is too long.
    assert made.find(lost, 10.0) == 0 and lost.prompt == 50 and made.busy_until_s == 12.0
    assert 2 not in made.far and (made.asked, made.found) == (3, 2)
    # An idle link has no line.
    assert made.find(turn(2, session=3), 20.0) == pytest.approx(0.4) and made.busy_until_s == pytest.approx(20.8)
    # What the chips hold themselves is not read from the tier.
    made.near[9], made.far[9] = 30.0, 30.0
    assert made.find(turn(2, session=9), 20.0) == 0 and made.busy_until_s == pytest.approx(20.8) and not made.far


def test_what_was_used_the_longest_ago_moves_to_the_tier_and_out_of_it():
    made = sessions(chip_tokens=60.0, tier_tokens=30.0)
    for number in range(2):
        made.keep(turn(1, session=number))
    assert dict(made.near) == {0: 30, 1: 30} and not made.far
    made.keep(turn(1, session=2))
    assert (dict(made.near), dict(made.far)) == ({1: 30, 2: 30}, {0: 30})
    made.keep(turn(1, session=3))
    assert (dict(made.near), dict(made.far)) == ({2: 30, 3: 30}, {1: 30})


def result(drafts=None, wait=0.0):
    serving = SimpleNamespace(computed_tokens=np.array([50.0]), speculation=drafts)
    return SimpleNamespace(serving=serving, wait=wait)


@pytest.fixture
def steps(monkeypatch):
    """Steps of as many ms as sequences, of which 3.7 fit unless told otherwise."""

    def put(most=3.7):
        times = SimpleNamespace(
            most=np.array([most]), prompt_s=np.array([0.5]), alone_s=np.array([0.4]), prompts_per_step=np.array([2.0]),
            wait_s=np.array([0.25]),
        )  # fmt: skip
        monkeypatch.setattr(simulated_engine, "step_times", lambda one: times)
        monkeypatch.setattr(simulated_engine, "decode_step_s", lambda one, counts: counts / 1000)

    return put


def test_an_engine_knows_its_steps_at_every_number_of_sequences(steps):
    steps()
    found = engine_of(result())
    assert found.decode_s.tolist() == [0, 0.001, 0.002, 0.003] and found.most == 3
    assert (found.prompt_token_s, found.alone_token_s, found.chunk_tokens) == (0.01, 0.008, 100)
    assert (found.draft_tokens, found.acceptance, found.wait_s) == (0, 0, 0.25)
    assert engine_of(result(), most=2).most == 2 and engine_of(result(), most=9).most == 3
    drafts = SimpleNamespace(draft_tokens=np.array([4.0]), acceptance=np.array([0.75]))
    assert (engine_of(result(drafts)).draft_tokens, engine_of(result(drafts)).acceptance) == (4, 0.75)
    # One runs at least, of a length below the mean.
    steps(0.4)
    assert engine_of(result()).most == 1
