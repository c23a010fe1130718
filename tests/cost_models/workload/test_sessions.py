"""Conversations: moments of their histories against adding them up, and what a cache has against SciPy's root."""

import numpy as np
import pytest
from scipy.optimize import brentq

from cost_models.workload.sessions import Sessions, Tier


@pytest.mark.parametrize("turns", [1, 2, 3, 10])
def test_histories_of_all_turns_added_up(turns):
    sessions = Sessions(float(turns), 30.0, 100.0)
    histories = np.arange(turns) * 100.0
    met = histories[1:] if turns > 1 else np.array([100.0])
    assert sessions.returning == pytest.approx((turns - 1) / turns)
    assert sessions.history_tokens == pytest.approx(histories.mean())
    assert sessions.spread == pytest.approx((met**2).mean() / met.mean() ** 2)
    # Turns that come in the time that a user thinks, each with its history.
    assert sessions.asked_tokens(0.5) == pytest.approx(0.5 * 30 * histories.mean())


@pytest.mark.parametrize("turns", [2.0, 9.0])
@pytest.mark.parametrize("tokens", [1.0, 5e3, 4e5])
def test_what_a_cache_still_has_is_the_root_of_its_balance(turns, tokens):
    sessions = Sessions(turns, 30.0, 100.0)
    half, room = (turns - 1) / 2, tokens / (2.0 * 30 * 100)
    kept = brentq(lambda x: half * -np.expm1(-x) + x - room, 0, room + 1, xtol=1e-15, rtol=1e-14)
    assert sessions.found_share(tokens, 2.0) == pytest.approx(-np.expm1(-kept), rel=1e-9)


def test_an_empty_cache_has_nothing_and_one_that_nobody_asks_everything():
    sessions = Sessions(5.0, 30.0, 100.0)
    assert (sessions.found_share(0.0, 2.0), sessions.found_share(10.0, 0.0)) == (0.0, 1.0)
    assert sessions.found_share(0.0, 0.0) == 0.0 and np.isnan(sessions.hit_share) and sessions.kept_bytes == 0
    assert Tier(*[1.0] * 7).most_utilisation == 1
