"""Expected most-loaded lane: the published table, Monte Carlo, limits and orders."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cost_models.errors import CompressionError
from cost_models.weights import lanes
from cost_models.weights.lanes import block_correlation, expected_most_loaded, lane_efficiency, observed_efficiency
from dse.weight_codes.pruning import block_mask

LANES = [4, 64, 1024, 16384]


@pytest.mark.parametrize(
    ("block", "density", "rho", "published"),
    [
        (100, 0.5, 0, [0.907, 0.811, 0.756, 0.718]),
        (100, 0.3, 0, [0.863, 0.732, 0.661, 0.613]),
        (100, 0.1, 0, [0.761, 0.569, 0.479, 0.424]),
        (100, 0.5, 0.05, [0.799, 0.646, 0.583, 0.549]),
        (100, 0.1, 0.05, [0.554, 0.303, 0.221, 0.182]),
        (100, 0.3475, 0.235, [0.574, 0.389, 0.355, 0.348]),
        (100, 0.1, 0.235, [0.385, 0.154, 0.116, 0.105]),
        (1024, 0.1, 0, [0.911, 0.816, 0.760, 0.719]),
        (4096, 0.1, 0, [0.954, 0.900, 0.866, 0.840]),
    ],
)
def test_the_table_to_three_digits(block, density, rho, published):
    np.testing.assert_array_equal(np.round(lane_efficiency(block, density, LANES, correlation=rho), 3), published)


def test_queues_to_three_digits():
    efficiency = lane_efficiency(100, 0.1, 1024, depth=[1, 4, 16, 64])
    np.testing.assert_array_equal(np.round(efficiency, 3), [0.479, 0.659, 0.799, 0.890])


def test_the_blocks_of_the_founding_article():
    blocks = [25, 35, 67, 12]
    assert observed_efficiency(blocks) == pytest.approx(0.519, abs=5e-4)
    assert block_correlation(blocks, 100) == pytest.approx(0.235, abs=5e-4)
    # With that correlation and 90 % pruned, some block of a thousand keeps almost 90 of its 100 weights.
    assert expected_most_loaded(100, 0.1, [1024, 16384], correlation=0.235) == pytest.approx([86, 95], abs=0.5)


@pytest.mark.parametrize("rho", [0.0, 0.1])
def test_a_generated_matrix_keeps_its_lanes_as_busy_as_predicted(rho):
    mask = block_mask((2000, 64, 100), sparsity=0.7, block=100, rho=rho, seed=4)
    counts = mask.sum(axis=2)
    assert observed_efficiency(counts) == pytest.approx(lane_efficiency(100, 0.3, 64, correlation=rho), rel=0.01)
    drifting = counts.reshape(500, 4, 64).sum(axis=1)
    assert observed_efficiency(drifting) == pytest.approx(
        lane_efficiency(100, 0.3, 64, correlation=rho, depth=4), rel=0.01
    )


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize(("density", "rho"), [(0.5, 0.0), (0.1, 0.0), (0.3, 0.1)])
def test_monte_carlo_within_its_error(density, rho, depth):
    rng = np.random.default_rng(20)
    rounds, lanes, block = 4000, 32, 60
    shape = (rounds, lanes, depth)
    p = rng.beta(density * (1 - rho) / rho, (1 - density) * (1 - rho) / rho, shape) if rho else np.full(shape, density)
    most_loaded = rng.binomial(block, p).sum(axis=2).max(axis=1)
    error = most_loaded.std(ddof=1) / rounds**0.5
    exact = expected_most_loaded(block, density, lanes, correlation=rho, depth=depth)[0]
    assert abs(exact - most_loaded.mean()) < 4 * error


@pytest.mark.parametrize(("block", "density"), [(1, 0.3), (2, 0.6), (50, 0.3)])
def test_the_distributions_are_those_of_scipy(block, density):
    for rho in (0.0, 0.2):
        a, b = (share * (1 - rho) / (rho or 1) for share in (density, 1 - density))
        law = stats.betabinom(block, a, b) if rho else stats.binom(block, density)
        slow = sum(1 - law.cdf(k) ** 7 for k in range(block))
        assert expected_most_loaded(block, density, 7, correlation=rho)[0] == pytest.approx(slow, rel=1e-12)
        if not rho:
            assert expected_most_loaded(block, density, 7)[0] == pytest.approx(slow, rel=1e-12)
        # Two blocks ahead: the sum of two, each with each.
        one = law.pmf(range(block + 1))
        two = np.cumsum(np.convolve(one, one))[:-1]
        found = expected_most_loaded(block, density, 7, correlation=rho, depth=2)[0]
        assert found == pytest.approx((1 - two**7).sum(), rel=1e-11)


def test_limits():
    assert lane_efficiency(64, 0.3, 1) == pytest.approx(1)
    assert lane_efficiency(64, 0.3, 1, correlation=0.3, depth=4) == pytest.approx(1)
    assert lane_efficiency(64, 1.0, 1000) == 1
    assert lane_efficiency(64, 1.0, 1000, correlation=0.2) == 1
    assert lane_efficiency(1, 0.25, 10**9) == pytest.approx(0.25)  # of very many single weights one survives
    assert lane_efficiency(64, 0.3, 1000, depth=2000) == pytest.approx(1, abs=0.02)


def test_independent_blocks_in_a_queue_lose_less_than_one_block_of_their_size():
    queue = lane_efficiency(100, 0.3, 64, correlation=0.1, depth=8)
    assert lane_efficiency(800, 0.3, 64, correlation=0.1) < queue < lane_efficiency(800, 0.3, 64)
    assert lane_efficiency(100, 0.3, 64, depth=8) == pytest.approx(lane_efficiency(800, 0.3, 64), rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    block=st.integers(2, 200), density=st.floats(0.01, 0.99), lanes=st.integers(1, 5000),
    rho=st.floats(0.001, 0.9), depth=st.integers(1, 6),
)  # fmt: skip
def test_orders(block, density, lanes, rho, depth):
    def efficiency(block=block, density=density, lanes=lanes, rho=rho, depth=depth):
        return lane_efficiency(block, density, lanes, correlation=rho, depth=depth)[()]

    slack = 1e-9
    here = efficiency()
    assert density - slack <= here <= 1 + slack
    assert efficiency(lanes=lanes + 1) <= here + slack
    assert efficiency(depth=depth + 1) >= here - slack
    assert efficiency(rho=0.0) >= here - slack


def test_interpolated_rows_keep_the_stated_error():
    rng = np.random.default_rng(0)
    density = rng.uniform(0.02, 1, 3000)
    # Rows of five kinds, each of which differs from the first in one thing.
    block, lanes, rho, depth = np.array([
        [60, 16, 0.05, 1], [30, 16, 0.05, 1], [60, 1024, 0.05, 1], [60, 16, 0.3, 1], [60, 16, 0.05, 2],
    ])[rng.integers(0, 5, 3000)].T  # fmt: skip
    exact = lane_efficiency(block, density, lanes, correlation=rho, depth=depth)
    for tolerance in (1e-3, 1e-5):
        result = lane_efficiency(block, density, lanes, correlation=rho, depth=depth, tolerance=tolerance)
        assert 0 < np.abs(result - exact).max() <= tolerance
    # Few rows of a kind are summed exactly, whatever the tolerance.
    few = slice(0, 300)
    options = {"correlation": rho[few], "depth": depth[few]}
    result = lane_efficiency(block[few], density[few], lanes[few], tolerance=0.1, **options)
    np.testing.assert_array_equal(result, exact[few])


@pytest.mark.parametrize(
    ("density", "rho", "depth", "most_lanes"),
    [(0.5, 0.0, (1, 16), 4096), (0.1, 0.0, (4, 16), 1e6), ((0.3, 0.7), 0.0, (2, 3), 12), (0.4, 0.1, (4, 4), 4096)],
)
def test_many_rows_of_wide_ranges_are_what_plain_sums_give(density, rho, depth, most_lanes):
    rng = np.random.default_rng(7)
    n = 20_000
    block = np.round(np.exp(rng.uniform(np.log(32), np.log(1024), n)))
    lanes = np.round(np.exp(rng.uniform(0, np.log(most_lanes), n)))
    share = rng.uniform(*density, n) if isinstance(density, tuple) else np.full(n, density)
    share[:40], lanes[40:80], block[80:120], lanes[120:160] = 1.0, 1, 1, most_lanes
    queue = rng.integers(*depth, n, endpoint=True)
    many = lane_efficiency(block, share, lanes, correlation=rho, depth=queue, tolerance=1e-4)
    some = np.r_[:160, rng.integers(0, n, 200)]
    plain = lane_efficiency(block[some], share[some], lanes[some], correlation=rho, depth=queue[some])
    np.testing.assert_allclose(many[some], plain, rtol=1e-9)
    assert (many[some] != plain).mean() > 0.2  # most of them were interpolated
    assert (many[:40] == 1).all() and many[40:80] == pytest.approx(1)


def test_columns_broadcast_and_rows_that_do_not_apply_stay_empty():
    efficiency = lane_efficiency([[100], [200]], [0.5, np.nan, 0.5], 64)
    assert efficiency.shape == (2, 3)
    assert np.isnan(efficiency[:, 1]).all()
    np.testing.assert_array_equal(efficiency[:, 0], efficiency[:, 2])
    assert np.isnan(lane_efficiency(np.nan, 0.5, 4))


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((0, 0.5, 4), {}, "block of lanes must be a whole number of 1 or more, got 0"),
        ((100, 0.0, 4), {}, "density of lanes must be above 0 and at most 1, got 0"),
        ((100, 1.5, 4), {}, "density"),
        ((100, 0.5, 0), {}, "lanes"),
        ((100, 0.5, 4), {"correlation": 1.0}, "correlation of lanes must be 0 or more and below 1"),
        ((100, 0.5, 4), {"depth": 1.5}, "depth of lanes must be a whole number"),
    ],
)
def test_values_out_of_range_are_named(arguments, options, words):
    with pytest.raises(CompressionError, match=words):
        lane_efficiency(*arguments, **options)


@pytest.mark.parametrize(("block", "density", "rho", "depth"), [(60, 0.3, 0.1, 2), (7, 0.5, 0.0, 3), (1, 0.2, 0.4, 1)])
def test_what_a_lane_keeps_has_the_moments_of_scipy(block, density, rho, depth):
    a, b = (share * (1 - rho) / (rho or 1) for share in (density, 1 - density))
    law = stats.betabinom(block, a, b) if rho else stats.binom(block, density)
    row = np.array([[block, density, 16.0, rho, depth]])
    mean, deviation = lanes._moments(row)
    assert mean[0] == pytest.approx(depth * law.mean()) and deviation[0] == pytest.approx(law.std() * depth**0.5)
    # The most-loaded lane lies so many deviations above: there and back.
    above = lanes._above(row)
    most = expected_most_loaded(block, density, 16, correlation=rho, depth=depth)
    assert above[0] == pytest.approx(((most - mean) / deviation)[0])
    assert lanes._efficiency(row, above)[0] == pytest.approx((mean / most)[0])


def test_correlation_of_the_least_that_can_be_compared():
    # Two blocks of two: 2 and 1 kept, a share of 3/4; variance 1/2 over 2 x 3/16, less 1. One and one are as even as
    # can be: of variance 0.
    assert block_correlation([2, 1], 2) == pytest.approx(0.5 / (2 * 3 / 16) - 1)
    assert block_correlation([1, 1], 2) == pytest.approx(-1)


def test_correlation_needs_something_to_compare():
    for counts, block in (([3], 10), ([1, 0], 1)):
        with pytest.raises(CompressionError, match="2 blocks of 2 weights or more"):
            block_correlation(counts, block)
    with pytest.raises(CompressionError, match="share of 1"):
        block_correlation([10, 10], 10)
    with pytest.raises(CompressionError, match="nonzero"):
        observed_efficiency([0, 0])
