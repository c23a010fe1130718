import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.library.technology import Technology
from cost_models.table import Table
from dse.errors import SpecError
from dse.evaluator import Evaluator
from dse.front import nondominated
from dse.results.picks import settings_of
from dse.results.store import open_run
from dse.runs import run
from dse.samplers import sampler_of
from dse.space import Space
from dse.sweep import parse_spec
from dse.uncertainty.confidence import weak_points
from dse.uncertainty.intervals import QUANTILES, parameters_of, robustness
from dse.uncertainty.monte_carlo import monte_carlo_samples
from dse.uncertainty.sensitivity import Swing, inputs_of, swings_of, variance_fractions
from dse.uncertainty.stored_run import robust_run
from dse.violation import violation

DRAWS = 60


@pytest.fixture
def spec(sweep):
    sweep["constraints"] = [
        {"metric": "chat.tpot_ms", "max": 60},
        {"metric": "tdp_w", "max": 200},
        {"metric": "chat.tokens_per_joule", "min": 2, "relative_to": "gpus"},
    ]
    sweep["baselines"] = {"gpus": {"chips": "2x a100_80gb_sxm"}}
    return parse_spec(sweep)


def designs_in(spec, count=6):
    designs = sampler_of(spec, Space(spec)).ask(64)
    result = Evaluator(spec).evaluate(designs)
    order = np.argsort(violation(result), kind="stable")[:count]
    return [settings_of(designs, int(row)) for row in order]


def test_equals_one_evaluation_per_draw(spec):
    designs = designs_in(spec)
    result = robustness(spec, designs, draws=DRAWS, seed=5)
    sampled = monte_carlo_samples(result.spreads, draws=DRAWS, seed=5)
    metrics, feasible, points = [], [], []
    for draw in range(DRAWS):
        parameters = {path: float(values[draw]) for path, values in sampled.items()}
        evaluator = Evaluator(spec, parameters)
        one = [evaluator.evaluate(Table.from_settings(design)) for design in designs]
        metrics.append([[e.metrics["tdp_w"][0], e.metrics["chat.tpot_ms"][0]] for e in one])
        feasible.append([e.feasible[0] for e in one])
        points.append(nondominated(np.concatenate([e.objectives for e in one]), keep_equal=True))
    for place, name in enumerate(("tdp_w", "chat.tpot_ms")):
        expected = np.nanquantile(np.array(metrics)[:, :, place], QUANTILES, axis=0).T
        assert result.quantiles[name] == pytest.approx(expected, rel=1e-9)
    assert result.p_feasible == pytest.approx(np.mean(feasible, axis=0))
    assert result.nondominated_fraction == pytest.approx(np.mean(points, axis=0), abs=0.02)


def test_same_seed_same_numbers_whatever_the_company(spec):
    designs = designs_in(spec)
    first, again = (robustness(spec, designs, draws=DRAWS, seed=1) for _ in range(2))
    alone = robustness(spec, designs[:1], draws=DRAWS, seed=1)
    for name in first.quantiles:
        assert np.array_equal(first.quantiles[name], again.quantiles[name], equal_nan=True)
        assert np.array_equal(first.quantiles[name][0], alone.quantiles[name][0], equal_nan=True)
    assert first.p_feasible[0] == alone.p_feasible[0]
    other = robustness(spec, designs, draws=DRAWS, seed=2)
    assert not np.array_equal(first.quantiles["tdp_w"], other.quantiles["tdp_w"])


@given(st.floats(20, 300), st.floats(1, 3))
@settings(max_examples=8, deadline=None)
def test_a_looser_target_is_never_less_likely(watts, looser):
    def probability(limit):
        spec = parse_spec({
            "name": "one",
            "workloads": {"chat": {"model": "llama3_8b"}},
            "space": {"node": "tsmc_5"},
            "objectives": [{"metric": "cost_usd", "direction": "minimize"}],
            "constraints": [{"metric": "tdp_w", "max": limit}],
            "search": {"sampler": "grid"},
        })  # fmt: skip
        result = robustness(spec, [{"node": "tsmc_5", "macs": 65536}], draws=40)
        return result.p_meets["tdp_w <= " + f"{limit:.12g}"][0], result.p_feasible[0]

    tight, loose = probability(watts), probability(watts * looser)
    assert loose[0] >= tight[0]
    assert loose[1] >= tight[1]


def test_nothing_ranged_means_nothing_uncertain(spec):
    designs = designs_in(spec, 1)
    fixed = {path: {"typ": Technology().value(path)} for path in parameters_of(spec, designs)}
    result = robustness(
        spec.model_copy(update={"parameters": {path: _Fixed(one["typ"]) for path, one in fixed.items()}}),
        designs,
        draws=8,
    )
    assert not result.spreads
    for name, values in result.quantiles.items():
        assert np.array_equal(values[0], np.repeat(result.nominal[name][0], 3), equal_nan=True), name
    assert result.p_feasible[0] in (0, 1)


class _Fixed:
    low = high = None

    def __init__(self, typ):
        self.typ = typ


def test_swept_parameters_are_decided_not_drawn(sweep):
    sweep["space"]["technology.tco.pue"] = {"values": [1.1, 1.5]}
    spec = parse_spec(sweep)
    designs = [{**one, "technology.tco.pue": 1.5} for one in designs_in(spec, 2)]
    result = robustness(spec, designs, draws=8)
    assert "tco.pue" not in {spread.path for spread in result.spreads}
    assert "tco.utilisation" in {spread.path for spread in result.spreads}


def test_swings_are_evaluations_at_the_ends(spec):
    (design,) = designs_in(spec, 1)
    (spreads) = [s for s in robustness(spec, [design], draws=4).spreads]
    swings = swings_of(spec, design, spreads, ["tdp_w"])
    assert [swing.width for swing in swings] == sorted((swing.width for swing in swings), reverse=True)
    for swing in swings[:5]:
        for value, end in ((swing.at_low, "low"), (swing.at_high, "high")):
            parameters = {spread.path: getattr(spread, end) for spread in swing.input.spreads}
            result = Evaluator(spec, parameters).evaluate(Table.from_settings(design))
            assert value == pytest.approx(result.metrics["tdp_w"][0], rel=1e-9)


def test_variance_fractions_of_a_sum_are_those_of_its_terms(spec):
    # TDP is close to a sum of independent terms: first-order indices near the totals, and they add up to about one.
    (design,) = designs_in(spec, 1)
    spreads = robustness(spec, [design], draws=4).spreads
    swings = variance_fractions(spec, design, swings_of(spec, design, spreads, ["tdp_w"]), samples=512)
    assert sum(swing.variance_fraction for swing in swings) == pytest.approx(1, abs=0.15)
    assert all(swing.total_fraction >= swing.variance_fraction - 0.12 for swing in swings)
    again = variance_fractions(spec, design, swings, samples=512)
    assert [swing.variance_fraction for swing in again] == [swing.variance_fraction for swing in swings]


@pytest.mark.parametrize(("estimate", "share"), [(1.01, 1.0), (-0.02, 0.0), (0.3, 0.3), (np.nan, np.nan)])
def test_an_estimate_beyond_a_share_is_shown_as_one(estimate, share):
    swing = Swing(None, "tdp_w", 1.0, 2.0, 3.0, variance_fraction=estimate)
    assert swing.share_alone == pytest.approx(share, nan_ok=True)


def test_parameters_of_one_cause_are_one_input(spec):
    spreads = robustness(spec, designs_in(spec, 1), draws=4).spreads
    inputs = inputs_of(spreads)
    assert sorted(path for one in inputs for path in one.paths) == [spread.path for spread in spreads]
    assert len({one.name for one in inputs}) == len(inputs)


CHANCE = {"metric": "p_feasible", "min": 0.3}


@pytest.fixture
def drawn_sweep(sweep):
    sweep["constraints"] = [{"metric": "chat.tpot_ms", "max": 60}, {"metric": "tdp_w", "max": 300}]
    sweep["space"] |= {"sram_mib": 200, "cooling": "liquid", "weight_format": "int4_g128"}
    sweep["robustness"] = {"draws": 40, "seed": 3}
    sweep["search"] = {"sampler": "sobol", "n_designs": 1024}
    return sweep


def test_a_sweep_asks_for_draws_and_for_chances(drawn_sweep, tmp_path):
    plain = run(parse_spec(drawn_sweep), out=tmp_path / "plain")
    assert plain.manifest["robustness"]["draws"] == 40
    assert (plain.path / "robust" / "designs.csv").is_file()
    assert plain.front["p_feasible"].notna().all()
    requested = {**drawn_sweep, "constraints": [*drawn_sweep["constraints"], CHANCE]}
    chosen = run(parse_spec(requested), out=tmp_path / "chosen")
    assert len(chosen.front)
    assert (chosen.front["p_feasible"] >= 0.3).all()
    assert all(pick["metrics"]["p_feasible"] >= 0.3 for pick in chosen.picks)
    # The probability of a design is the one that `dse robust` finds, and no judged design that has it is better.
    again = robust_run(chosen, draws=40, seed=3)
    probabilities = dict(zip(again.ids, again.found.p_feasible, strict=True))
    for _, row in chosen.front.iterrows():
        assert probabilities[int(row["id"])] == pytest.approx(row["p_feasible"])
    judged = chosen.designs[chosen.designs["p_feasible"] >= 0.3]
    judged = judged[judged["feasible"].astype(bool)]
    best = nondominated(judged[["chat.tpot_ms", "cost_usd"]].to_numpy(), keep_equal=True)
    assert set(chosen.front["id"]) <= set(judged["id"][best])
    counted = chosen.constraints.set_index("constraint").loc["p_feasible >= 0.3"]
    assert counted["evaluated"] == chosen.manifest["robustness"]["designs"]
    assert open_run(chosen.path).spec.probabilities[0].label == "p_feasible >= 0.3"


def test_no_design_often_enough_is_no_front(drawn_sweep, tmp_path):
    drawn_sweep["constraints"].append({**CHANCE, "min": 1.1})
    result = run(parse_spec(drawn_sweep), out=tmp_path / "none")
    assert result.manifest["counts"]["feasible"] > 0
    assert not result.found_feasible
    assert "comes nearest with" in result.picks[0]["reason"]


def test_same_seed_same_robust_files(drawn_sweep, tmp_path):
    one, two = (run(parse_spec(drawn_sweep), out=tmp_path / name) for name in ("one", "two"))
    for name in ("designs.csv", "inputs.csv", "parameters.csv", "draws.json"):
        assert (one.path / "robust" / name).read_bytes() == (two.path / "robust" / name).read_bytes()


def test_chances_need_draws_and_cannot_steer(drawn_sweep):
    drawn_sweep["objectives"].append({"metric": "p_feasible", "direction": "maximize"})
    drawn_sweep["constraints"].insert(0, CHANCE)
    with pytest.raises(SpecError) as caught:
        parse_spec(drawn_sweep)
    assert "cannot steer" in str(caught.value)
    assert "must stand last" in str(caught.value)
    del drawn_sweep["robustness"], drawn_sweep["objectives"][-1]
    with pytest.raises(SpecError, match="p_feasible needs Monte Carlo samples; perhaps add robustness"):
        parse_spec(drawn_sweep)


def test_weak_points_are_low_and_change_the_conclusion(spec):
    (design,) = designs_in(spec, 1)
    for point in weak_points(spec, design):
        swing = point.swing
        assert swing.input.confidence == "low"
        if point.breaks:
            assert min(swing.at_low, swing.at_high) < 0 <= swing.at_typ
        else:
            assert swing.width > 0.1 * abs(swing.at_typ)
