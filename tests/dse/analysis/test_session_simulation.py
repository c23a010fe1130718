"""The cache of one replica's conversations, of users whose numbers are made up."""

from types import SimpleNamespace

import numpy as np
import pytest

from dse.analysis import session_simulation
from dse.analysis.session_simulation import simulate_sessions, simulated_sessions


def users(tier=True):
    one = lambda value: np.array([value])  # noqa: E731
    held = SimpleNamespace(bytes_per_s=one(2000.0), latency_s=one(0.25), capacity_bytes=one(8000.0)) if tier else None
    serving = SimpleNamespace(
        prompt_tokens=one(500.0), output_tokens=one(40.0), chips=one(8.0), model=SimpleNamespace(layers=10)
    )
    return SimpleNamespace(
        sessions=SimpleNamespace(
            history_tokens=one(400.0), turns=one(5.6), think_s=one(30.0), kept_bytes=one(1000.0), tier=held
        ),
        result=SimpleNamespace(serving=serving),
        bytes_per_token=one(20.0), replicas=one(2.0), found_s=one(0.3), computed_s=one(2.0), most_line_s=one(1.5),
        served=SimpleNamespace(requests_per_s=one(0.7)),
    )  # fmt: skip


def test_a_cache_holds_what_a_chips_memory_does_of_its_share():
    found = simulated_sessions(users())
    # Of 20 bytes a token, 4 chips of a replica hold 5 each.
    assert (found.chip_tokens, found.tier_tokens, found.token_s, found.latency_s) == (200, 1600, 5 / 2000, 0.25)
    assert (found.turns, found.think_s, found.prompt_tokens, found.most_line_s) == (6, 30, 100, 1.5)
    # A prompt of 500 tokens takes 2 s, 4 ms each; one of 100 whose history is found 3 ms each.
    assert found.found_weight == pytest.approx(0.75)
    assert (found.asked, found.found, found.busy_until_s) == (0, 0, 0) and not found.near and not found.far
    alone = simulated_sessions(users(tier=False))
    assert (alone.tier_tokens, alone.token_s, alone.latency_s, alone.chip_tokens) == (0, 0, 0, 200)


@pytest.mark.parametrize(("read_s", "exposed"), [(0.1, 0.01), (0.3, 0.03), (1.0, 0.73), (0.0, 0.0)])
def test_layers_hide_what_is_read_for_those_behind_them(read_s, exposed):
    # The first of ten layers waits for its own part; nine hide reading behind 0.27 s of work.
    assert simulated_sessions(users()).exposed_s(read_s) == pytest.approx(exposed)


def test_the_engine_sees_the_turns_of_one_replica(monkeypatch):
    asked = {}
    monkeypatch.setattr(session_simulation, "engine_of", lambda result: ("engine", result))
    monkeypatch.setattr(
        session_simulation, "simulate", lambda engine, **traffic: asked.update(traffic, engine=engine) or "run"
    )
    made = users()
    run, cache = simulate_sessions(made, requests=70, seed=3)
    assert run == "run" and asked.pop("sessions") is cache and cache.turns == 6
    assert asked.pop("engine") == ("engine", made.result)
    assert asked == {"prompt_tokens": 500, "output_tokens": 40, "arrivals_per_s": 0.7, "requests": 70, "seed": 3}
    simulate_sessions(made)
    assert (asked["requests"], asked["seed"]) == (4000, 0)
