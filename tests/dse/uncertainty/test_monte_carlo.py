import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtr, ndtri

from cost_models.library import shipped_library
from dse.sweep import LibraryParameterSpec
from dse.uncertainty.monte_carlo import halved_quantile, monte_carlo_samples, spreads_of
from tests.dse.uncertainty.spreads import spread

LIBRARY = shipped_library()
LIBRARY_PARAMETERS = LIBRARY.parameters
RANGED = [path for path, f in LIBRARY_PARAMETERS.items() if f.low is not None and f.high is not None and f.low < f.high]
ENERGIES = ["memory.lpddr5x.energy_total_pj_per_bit", "memory.hbm3.energy_total_pj_per_bit"]


@given(st.floats(0, 1), st.floats(0.1, 5), st.floats(0.01, 0.99), st.floats(0, 1))
def test_the_quantile_is_that_of_two_triangles_of_equal_weight(low, span, part, probability):
    median, high = low + part * span, low + span
    below = stats.triang.ppf(2 * probability, 1, loc=low, scale=median - low)
    above = stats.triang.ppf(2 * probability - 1, 0, loc=median, scale=high - median)
    expected = below if probability <= 0.5 else above
    assert halved_quantile(probability, low, median, high) == pytest.approx(expected, abs=1e-9)


def test_every_draw_lies_in_the_range_of_its_parameter():
    spreads = spreads_of(RANGED, {}, LIBRARY)
    assert len(spreads) == len(RANGED)
    sampled = monte_carlo_samples(spreads, draws=64, seed=3)
    for path in RANGED:
        parameter, values = LIBRARY_PARAMETERS[path], sampled[path]
        assert values.shape == (64,)
        assert (parameter.low <= values).all(), path
        assert (values <= parameter.high).all(), path
        assert np.ptp(values) > 0, path


def test_spread_has_its_median_and_its_peak_at_typ_and_its_moments():
    (spread,) = spreads_of(["tco.pue"], {}, LIBRARY)
    values = monte_carlo_samples([spread], draws=20_000, seed=0)["tco.pue"]
    assert not spread.log
    assert values.mean() == pytest.approx((1.10 + 4 * 1.35 + 1.58) / 6, abs=1e-3)
    assert np.median(values) == pytest.approx(1.35, abs=1e-3)
    wide = spreads_of(["nodes.tsmc_5.leakage_w_per_mm2"], {}, LIBRARY)[0]
    logs = np.log(monte_carlo_samples([wide], draws=20_000, seed=0)[wide.path])
    assert wide.log
    assert logs.mean() == pytest.approx(np.log([0.01, *[0.04] * 4, 0.15]).mean(), abs=2e-3)
    counts, edges = np.histogram(logs, bins=24)
    peak = edges[counts.argmax()]
    assert abs(peak - np.log(0.04)) < 0.25


def test_same_seed_same_draws_whatever_else_is_drawn():
    alone = monte_carlo_samples(spreads_of(ENERGIES[:1], {}, LIBRARY), draws=500, seed=7)
    among = monte_carlo_samples(spreads_of(RANGED[:50] + ENERGIES, {}, LIBRARY), draws=500, seed=7)
    assert np.array_equal(alone[ENERGIES[0]], among[ENERGIES[0]])
    other = monte_carlo_samples(spreads_of(ENERGIES[:1], {}, LIBRARY), draws=500, seed=8)
    assert not np.array_equal(alone[ENERGIES[0]], other[ENERGIES[0]])


def test_shared_causes_tie_parameters_as_strongly_as_they_say():
    sampled = monte_carlo_samples(spreads_of([*ENERGIES, "tco.pue"], {}, LIBRARY), draws=20_000, seed=1)
    rank = stats.spearmanr(sampled[ENERGIES[0]], sampled[ENERGIES[1]]).statistic
    strength = LIBRARY_PARAMETERS["shared_causes.memory_energy.correlation"].typ
    assert rank == pytest.approx(6 / np.pi * np.arcsin(strength / 2), abs=0.02)  # Spearman of a Gaussian copula
    assert abs(stats.spearmanr(sampled[ENERGIES[0]], sampled["tco.pue"]).statistic) < 0.03


def test_software_parameters_have_a_factor_each():
    paths = [
        "stacks.vllm.gemm_efficiency",
        "stacks.gpu_serving.gemm_efficiency",
        "stacks.gpu_serving.bandwidth_efficiency",
    ]
    factors = {spread.path: spread.factor for spread in spreads_of(paths, {}, LIBRARY)}
    assert factors == {
        "stacks.vllm.gemm_efficiency": "software.gemm_efficiency",
        "stacks.gpu_serving.gemm_efficiency": "software.gemm_efficiency",
        "stacks.gpu_serving.bandwidth_efficiency": "software.bandwidth_efficiency",
    }


def test_replaced_parameters_keep_their_own_range_or_none():
    replaced = {
        "tco.pue": LibraryParameterSpec.model_construct(typ=1.2, low=None, high=None),
        "tco.utilisation": LibraryParameterSpec.model_construct(typ=0.5, low=0.4, high=0.6),
    }
    (spread,) = spreads_of(["tco.pue", "tco.utilisation"], replaced, LIBRARY)
    assert (spread.path, spread.low, spread.typ, spread.high) == ("tco.utilisation", 0.4, 0.5, 0.6)


def test_every_stratum_has_one_draw_and_a_factor_mixes_by_its_correlation():
    n = 400
    free, tied = (
        monte_carlo_samples([spread("a", 0, 1, 2, factor="f", tied=share), spread("b")], draws=n, seed=5)
        for share in (0.0, 0.36)
    )
    with_factor = monte_carlo_samples([spread("c", 0, 1, 2, factor="f", tied=1.0)], draws=n, seed=5)
    np.testing.assert_array_equal(free["b"], tied["b"])

    def score(values):
        # Of two right triangles that meet at 1: p = x^2 / 2 below, 1 - (2 - x)^2 / 2 above.
        return ndtri(np.where(values <= 1, values**2 / 2, 1 - (2 - values) ** 2 / 2))

    for values in (free["a"], with_factor["c"]):
        assert sorted(np.floor(ndtr(score(values)) * n).astype(int)) == list(range(n))
    np.testing.assert_allclose(score(tied["a"]), 0.6 * score(with_factor["c"]) + 0.8 * score(free["a"]), atol=1e-9)


def test_a_range_of_ratios_spreads_in_its_logarithm_from_a_ratio_on():
    def shape(low, high, **replaced):
        told = {"tco.pue": LibraryParameterSpec.model_construct(typ=low, low=low, high=high)}
        more = {
            name.replace("__", "."): LibraryParameterSpec.model_construct(typ=value, low=None, high=None)
            for name, value in replaced.items()
        }
        (found,) = spreads_of(["tco.pue"], told | more, LIBRARY)
        return found.log

    ratio = LIBRARY.parameters["spread.log_above_ratio"].typ
    assert [shape(2.0, 2.0 * ratio * factor) for factor in (0.99, 1.0, 1.01)] == [False, True, True]
    assert not shape(0.0, 10.0) and not shape(-1.0, 10.0)
    assert shape(2.0, 8.0, spread__log_above_ratio=4.0) and not shape(2.0, 7.9, spread__log_above_ratio=4.0)
    assert spreads_of(["tco.pue", "tco.pue"], {}, LIBRARY) == spreads_of(["tco.pue"], {}, LIBRARY)


def test_a_cause_ties_as_strongly_as_the_sweep_says():
    path = "memory.hbm3.energy_total_pj_per_bit"
    told = {"shared_causes.memory_energy.correlation": LibraryParameterSpec.model_construct(typ=0.25)}
    (own,), (usual,), (alone,) = (
        spreads_of([one], t, LIBRARY) for one, t in ((path, told), (path, {}), ("tco.pue", {}))
    )
    assert (own.correlation, own.factor) == (0.25, usual.factor)
    assert usual.correlation == LIBRARY.parameters["shared_causes.memory_energy.correlation"].typ
    assert (alone.factor, alone.correlation) == (None, 0.0)
    sides = {"tco.pue": LibraryParameterSpec.model_construct(typ=2.0, low=1.0, high=None)}
    (half,) = spreads_of(["tco.pue"], sides, LIBRARY)
    assert (half.low, half.typ, half.high) == (1.0, 2.0, 2.0)
