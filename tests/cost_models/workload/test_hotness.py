"""Hot and cold experts against the law of their choices, with its roots found by SciPy."""

import numpy as np
import pytest
from scipy.optimize import brentq

from cost_models.library import shipped_library
from cost_models.workload.hotness import hotness, hottest

MIXTRAL = shipped_library().model("mixtral_8x7b")
MANY = shipped_library().model("deepseek_v3")


def shares(told, parts):
    """Return the share of the choices of each part, where each fifth is chosen y times as often as the one before."""
    y = brentq(lambda y: told * (1 + y + y**2 + y**3 + y**4) - 1, 0, 1, xtol=1e-15)
    edges = (1 - y ** (5 * np.arange(parts + 1) / parts)) / (1 - y**5)
    return np.diff(edges)


@pytest.mark.parametrize("told", [0.2, 0.3, 0.6, 0.95])
def test_fifths_are_chosen_geometrically(told):
    fifths = np.diff([float(hottest(np.array(told), np.array(part / 5))) for part in range(6)])
    assert fifths[0] == pytest.approx(told, rel=1e-9) and fifths.sum() == pytest.approx(1, rel=1e-12)
    assert fifths[1:] * fifths[0] == pytest.approx(fifths[:-1] * fifths[1], rel=1e-6)


@pytest.mark.parametrize(("model", "parts"), [(MIXTRAL, 8), (MANY, 64)])
@pytest.mark.parametrize("told", [0.25, 0.6, 0.9])
@pytest.mark.parametrize("tokens", [0.01, 1.0, 40.0, 3000.0])
def test_what_a_step_reads_of_each_part_is_what_its_tokens_choose(model, parts, told, tokens):
    chance = np.minimum(shares(told, parts) * parts * model.moe.active_experts / model.moe.experts, 1 - 1e-9)
    met = 1 - (1 - chance) ** tokens
    found = hotness(model, np.array([told]), np.array([met.mean()]))
    assert found.shape == (parts, 1)
    assert found[:, 0] == pytest.approx(met / met.sum(), rel=1e-5)


def test_experts_that_are_alike_and_models_without_any_have_one_part():
    for model, told in ((MIXTRAL, np.nan), (MIXTRAL, [np.nan, np.nan]), (shipped_library().model("llama2_7b"), 0.5)):
        assert hotness(model, np.asarray(told), np.array([0.5])).tolist() == [[1.0]]
    # Where some rows say so and others do not, these are those of a fifth.
    both = hotness(MIXTRAL, np.array([np.nan, 0.2, 0.5]), np.array([0.5, 0.5, 0.5]))
    assert both[:, 0] == pytest.approx(1 / 8) and both[:, 1] == pytest.approx(1 / 8)
    assert both[0, 2] > 0.2 > 0.05 > both[-1, 2]
    # All are read where a step reads all of them, or as good as.
    assert hotness(MIXTRAL, np.array([0.6]), np.array([1.0])) == pytest.approx(1 / 8, rel=1e-3)
