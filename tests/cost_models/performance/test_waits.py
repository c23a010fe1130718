"""Waits as mixtures: beside a plain twin that takes one case after the other, and at the edges of each case."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from cost_models.performance.waits import MOST_P95, Served, Wait, in_turn, lognormal_cv
from cost_models.workload.speculation import Speculation

NORMAL = NormalDist()
ONE = np.ones(1)


def made(least, cases, **further):
    """Return a wait of one row."""
    floors = further.pop("floors", None)
    if floors is not None:
        further["floor_s"] = np.array(floors)[:, None]
    columns = [tuple(np.full(1, float(one)) for one in case) for case in cases]
    return Wait.of(np.full(1, float(least)), columns, **further)


def reached(case, beyond, floor):
    """Return the share of a gamma case that is over after a time: cube roots of it are about normal."""
    _, mean, var = case
    if beyond < floor:
        return 0.0
    rest = max(mean - floor, 1e-30)
    shape = max(rest**2 / max(var, 1e-30), 0.2)
    return NORMAL.cdf((math.cbrt((beyond - floor) / rest) - (1 - 1 / (9 * shape))) * 3 * math.sqrt(shape))


def twin_share(least, cases, limit, *, even=False, most_s=math.inf, floors=None):
    """Return the share of users within a limit, case by case."""
    beyond = limit - least
    if beyond < 0:
        return 0.0
    if beyond >= most_s:
        return 1.0
    total = 1 - sum(share for share, _, _ in cases)
    for place, case in enumerate(cases):
        if even and place == 0:
            half = math.sqrt(3 * case[2])
            part = min(max((beyond - case[1] + half) / (2 * half), 0.0), 1.0)
        else:
            part = reached(case, beyond, 0.0 if floors is None else floors[place])
        total += case[0] * part
    return total


MIXTURES = (
    (1.0, [(0.5, 2.0, 4.0)], {}),
    # A spread of ten times the squared mean, where the approximation's shape is held; and one of nothing.
    (0.25, [(0.4, 1.0, 10.0), (0.3, 2.0, 0.0)], {}),
    (1.0, [(0.25, 4.0, 3.0), (0.5, 2.0, 1.0)], {"even": True}),
    (0.0, [(0.3, 2.0, 0.5), (0.7, 4.0, 1.0)], {"floors": [0.5, 3.0], "most_s": 6.0}),
    (2.0, [(0.2, 0.0, 0.0), (0.5, 1.0, 0.3)], {}),
)


def test_shares_within_a_limit_and_quantiles_are_those_of_case_after_case():
    for least, cases, further in MIXTURES:
        wait = made(least, cases, **further)
        assert wait.mean_s[0] == pytest.approx(least + sum(share * mean for share, mean, _ in cases))
        for limit in (least - 1e-9, least + 1e-9, *np.linspace(least, least + 9, 37)):
            assert wait.share_within(limit)[0] == pytest.approx(twin_share(least, cases, limit, **further), abs=1e-9)
        none, most = 1 - sum(share for share, _, _ in cases), further.get("most_s", math.inf)
        for share in (0.05, 0.35, 0.6, 0.85, 0.97):
            quantile = wait.quantile_s(share, halvings=50)[0]
            if none >= share or quantile == least + most:
                assert quantile == least or share > none
                continue
            below, above = (twin_share(least, cases, quantile * (1 + by), **further) for by in (-1e-6, 1e-6))
            assert below <= share <= above


def test_what_nobody_exceeds_and_what_everybody_waits_are_kept_to_the_moment():
    # From 1.5 s on, and 2 s at the most; at the floor itself there is the little that the approximation puts below.
    late = made(1.0, [(1.0, 1.75, 0.04)], floors=[1.5], most_s=2.0)
    assert late.share_within(3.0)[0] == 1.0 > late.share_within(3.0 - 1e-9)[0]
    assert late.share_within(2.5 - 1e-9)[0] == 0.0
    at_floor = reached((1, 1.75, 0.04), 1.5, 1.5)
    assert at_floor > 0 and late.share_within(2.5)[0] == pytest.approx(at_floor)
    assert late.quantile_s(0.999)[0] == 3.0
    # Half of all see the least: so many are no later, and a share of just so many asks for no more.
    half = made(1.0, [(0.5, 2.0, 4.0)])
    assert half.quantile_s(0.5)[0] == 1.0 < half.quantile_s(0.5 + 1e-9)[0]
    assert half.share_within(1.0)[0] >= 0.5 and half.share_within(1.0 - 1e-12)[0] == 0.0


def test_quantiles_are_found_by_halving_what_lies_below_the_longest_case():
    # Half within a stretch of 0 to 2 s, half at 4 s: shares of 0.25 and 0.35 come after 1 and 1.4 s.
    wait = made(0.0, [(0.5, 1.0, 1 / 3), (0.5, 4.0, 0.0)], even=True, floors=[0.0, 4.0])
    assert wait.quantile_s(0.25)[0] == 1.0
    assert wait.quantile_s(0.35)[0] == math.ceil(1.4 / 4 * 2**14) * 4 / 2**14
    # A case that nobody is in is none.
    beside = made(0.0, [(1.0, 1.0, 1 / 3), (0.0, 400.0, 0.0)], even=True)
    assert beside.quantile_s(0.7)[0] == pytest.approx(1.4, rel=1e-12)
    # Of a single case a quantile is what the approximation says, and no less than what everybody waits.
    for mean, var, share in ((2.0, 1.0, 0.3), (2.0, 6.0, 0.95), (2.0, 8.0, 0.02), (3.0, 0.5, 0.6)):
        shape = mean**2 / var
        root = 1 - 1 / (9 * shape) + NORMAL.inv_cdf(share) / 3 / math.sqrt(shape)
        found = made(1.0, [(1.0, mean + 0.5, var)], floors=[0.5]).quantile_s(share)[0]
        assert found == pytest.approx(1.5 + mean * max(root, 0) ** 3, rel=1e-12)


def test_cases_are_shares_and_times():
    wait = made(1.0, [(-0.5, 2.0, 1.0), (1.5, -3.0, -1.0)])
    assert wait.shares[:, 0].tolist() == [0, 1]
    assert (wait.extra_s[:, 0].tolist(), wait.extra_var[:, 0].tolist()) == ([2, 0], [1, 0])


def test_one_wait_after_another_has_a_case_for_each_pair_of_theirs():
    first, second = made(1.0, [(0.25, 2.0, 3.0)]), made(0.5, [(0.5, 1.0, 0.5), (0.125, 4.0, 1.0)])
    both = in_turn(first, second)
    assert both.least_s[0] == 1.5
    told = {
        (0.75 * 0.5, 1, 0.5), (0.75 * 0.125, 4, 1), (0.25 * 0.375, 2, 3), (0.25 * 0.5, 3, 3.5), (0.25 * 0.125, 6, 4),
    }  # fmt: skip
    found = zip(both.shares[:, 0], both.extra_s[:, 0], both.extra_var[:, 0], strict=True)
    assert set(found) == told
    assert both.mean_s[0] == pytest.approx(first.mean_s[0] + second.mean_s[0])
    # Where everybody is in a case nobody is in none.
    whole = in_turn(made(0.0, [(0.75, 2.0, 0.0), (0.5, 1.0, 0.0)]), made(0.0, [(1.0, 1.0, 0.0)]))
    assert whole.shares[:, 0].tolist() == [0, 0, 0.75, 0, 0.5]


@pytest.mark.parametrize("steps", [10.0, 0.2])
def test_times_per_token_where_a_step_yields_several(steps):
    # Two are drafted, each taken with one half: 1 + 1/2 + 1/4 tokens, of mean square 1 + 3/2 + 5/4; three at the most.
    mean, variance = 1.75, 3.75 - 1.75**2
    step = made(0.3, [(0.25, 0.1, 0.04), (0.5, 0.2, 0.01)])
    seen = Served(2 * ONE, made(1.0, [(0.5, 2.0, 1.0)]), step, steps * ONE, 0.5 * ONE, 3 * ONE)
    assert seen.per_token(None) is seen
    assert seen.concurrency[0] == pytest.approx(2 * (2.0 + steps * step.mean_s[0]))
    told = seen.per_token(Speculation(2.0, 0.5))
    tokens = steps * mean
    assert told.decode_steps[0] == pytest.approx(tokens) and told.tpot.least_s[0] == pytest.approx(0.1)
    assert told.tpot.mean_s[0] == pytest.approx(step.mean_s[0] / mean)
    # A request's tokens vary by G v / E^3 of a renewal process, a request of one token being the shortest.
    spread = variance / (mean * max(tokens, 1))
    for place, (share, beyond, var) in enumerate([(0.25, 0.0, 0.0), (0.25, 0.1, 0.04), (0.5, 0.2, 0.01)]):
        each = (0.3 + beyond) / mean
        found = (told.tpot.shares, told.tpot.extra_s, told.tpot.extra_var)
        assert [one[place, 0] for one in found] == pytest.approx([share, each - 0.1, var / mean**2 + each**2 * spread])


def test_lengths_from_their_percentile_over_their_mean():
    z = NORMAL.inv_cdf(0.95)
    for sigma in (0.0, 0.3, 1.0, z):
        ratio = math.exp(z * sigma - sigma**2 / 2)
        assert lognormal_cv(ratio) == pytest.approx(math.sqrt(math.expm1(sigma**2)), abs=1e-7)
    # The percentile is largest where sigma is its number of deviations; no lognormal is above it or below its mean.
    assert pytest.approx(math.exp(z**2 / 2)) == MOST_P95
    assert lognormal_cv(2 * MOST_P95) == lognormal_cv(MOST_P95)
    assert lognormal_cv(np.array([np.nan, 0.5, 0.0, 1.0])).tolist() == [0, 0, 0, 0]
