"""Draws, swings and shares of the variance of made functions whose answers are known; and who meets the draws."""

import inspect
import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr, ndtri

from cost_models.errors import UnknownEntryError
from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.quantities.metrics import P_FEASIBLE
from cost_models.table import Table
from dse.errors import RunError
from dse.evaluator import Evaluation
from dse.results.rows import Rows
from dse.sweep import LibraryParameterSpec
from dse.sweep.records import RobustnessSpec
from dse.uncertainty import calibration, confidence, intervals, post_search, sensitivity, stored_run, usage
from dse.uncertainty.files import RobustRun, designs_frame, drawn_facts, inputs_frame, parameters_frame, write_robust
from dse.uncertainty.monte_carlo import Distribution, monte_carlo_samples, spreads_of
from dse.uncertainty.sensitivity import Input, Swing, inputs_of, swings_of, variance_fractions

LIBRARY = shipped_library()


def spread(path, low=0.0, typ=0.5, high=1.0, *, log=False, factor=None, tied=0.0, sure="high"):
    return Distribution(path, low, typ, high, log, factor, tied, sure, "")


# --- draws ------------------------------------------------------------------------------------------------------------


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


# --- swings and shares of the variance --------------------------------------------------------------------------------


@pytest.fixture
def of_function(monkeypatch):
    """Put made metrics, functions of columns of parameters by name, in place of the models."""

    def put(functions):
        def metrics(spec, design, columns, names):
            rows = len(next(iter(columns.values())))
            return np.array([np.broadcast_to(functions[name](columns), rows).astype(float) for name in names])

        monkeypatch.setattr(sensitivity, "_metrics", metrics)

    return put


FUNCTIONS = {
    "sum": lambda c: 3 * c["a"] + 4 * c["b"],
    "product": lambda c: (c["a"] - 0.5) * (c["b"] - 0.5),
    "tie": lambda c: c["t1"] + 2 * c["t2"],
    "gap": lambda c: np.where(c["a"] > 0.9, np.nan, c["a"]),
    "hole": lambda c: np.where((c["a"] > 0.4) & (c["a"] < 0.45), np.nan, c["a"]),
    "none": lambda c: np.full(len(c["a"]), np.nan),
    "flat": lambda c: np.full(len(c["a"]), 7.0),
}
SPREADS = [
    spread("a"), spread("b", 0.0, 0.5, 2.0), spread("d"),
    spread("t1", factor="f", sure="medium"), spread("t2", 1.0, 2.0, 4.0, factor="f", sure="low"),
]  # fmt: skip


def test_swings_are_the_ends_of_each_input_alone(of_function):
    of_function(FUNCTIONS)
    names = list(FUNCTIONS)
    found = [
        (swing.metric, swing.input.name, swing.at_low, swing.at_typ, swing.at_high, swing.width)
        for swing in swings_of(None, {}, SPREADS, names)
    ]
    expected = [
        ("sum", "b", 1.5, 3.5, 9.5, 8.0), ("sum", "a", 2.0, 3.5, 5.0, 3.0),
        # Both parameters of one cause at once; a product of what is 0 alone moves by neither.
        ("tie", "f (2 parameters)", 2.0, 4.5, 9.0, 7.0), ("gap", "a", 0.0, 0.5, math.nan, math.inf),
        ("hole", "a", 0.0, 0.5, 1.0, 1.0),
    ]  # fmt: skip
    assert [one[:2] for one in found] == [one[:2] for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one[2:] == pytest.approx(other[2:], nan_ok=True)


def test_an_input_that_moves_a_rounding_moves_nothing(of_function):
    moved = {"tiny": lambda c: 1e6 + 1e-7 * c["a"], "small": lambda c: 1e6 + 1e-5 * c["a"]}
    of_function(moved)
    assert [swing.metric for swing in swings_of(None, {}, [spread("a")], list(moved))] == ["small"]


def test_swings_of_one_width_stand_by_name(of_function):
    of_function({"sum": lambda c: c["z"] + c["b"] - c["k"], "first": lambda c: c["k"]})
    found = swings_of(None, {}, [spread("z"), spread("b"), spread("k")], ["first", "sum"])
    assert [(one.metric, one.input.name) for one in found] == [("first", "k"), ("sum", "b"), ("sum", "k"), ("sum", "z")]


@pytest.mark.parametrize(
    ("ends", "width"),
    [((1, 2, 5), 4), ((5, 2, 1), 4), ((2, 1, 2), 1), ((np.nan,) * 3, 0), ((np.nan, 1, 2), np.inf),
     ((1, np.nan, 2), np.inf)],
)  # fmt: skip
def test_a_swing_is_as_wide_as_its_farthest_ends(ends, width):
    assert Swing(Input((spread("a"),)), "m", *ends).width == width


def test_an_input_is_as_sure_as_its_least_sure_parameter():
    one, two = (
        inputs_of([spread("t1", factor="f", sure="medium"), spread("t2", factor="f")])[0],
        spread("x", sure="low"),
    )
    assert (one.name, one.paths, one.confidence) == ("f (2 parameters)", ("t1", "t2"), "medium")
    (alone,), (lone,) = inputs_of([two]), inputs_of([spread("x", factor="f")])
    assert (alone.name, alone.paths, alone.confidence) == ("x", ("x",), "low") and lone.name == "x"


def test_shares_of_the_variance_of_a_sum_and_of_a_product(of_function):
    of_function(FUNCTIONS)
    swings = [Swing(one, metric, 0, 0, 1) for metric in FUNCTIONS for one in inputs_of(SPREADS)]
    shares = {
        (swing.metric, swing.input.name): (swing.variance_fraction, swing.total_fraction)
        for swing in variance_fractions(None, {}, swings, samples=4096, seed=1)
    }
    # Two right triangles of weight 1/2 that meet at the median, below and above it: the variance by its integral.
    probability = (np.arange(200_000) + 0.5) / 200_000
    a, b = (9 * spread("a").quantile(probability).var(), 16 * spread("b", 0, 0.5, 2).quantile(probability).var())
    for name, share in (("a", a / (a + b)), ("b", b / (a + b)), ("d", 0)):
        assert shares["sum", name] == pytest.approx((share, share), abs=0.02)
    # (a - 1/2) has the mean 0, (b - 1/2) has not: a alone counts by that mean, b by the interaction only.
    mean, var = spread("b", 0, 0.5, 2).quantile(probability).mean() - 0.5, b / 16
    alone = mean**2 / (mean**2 + var)
    assert shares["product", "a"] == pytest.approx((alone, 1), abs=0.06)
    assert shares["product", "b"] == pytest.approx((0, 1 - alone), abs=0.06)
    assert shares["tie", "f (2 parameters)"] == pytest.approx((1, 1), abs=0.02)
    for metric in ("gap", "hole", "none"):
        assert np.isnan(shares[metric, "a"]).all() and np.isnan(shares[metric, "b"]).all()


def test_no_swing_shares_nothing_and_the_seed_decides(of_function):
    of_function(FUNCTIONS)
    assert variance_fractions(None, {}, []) == []
    swings = swings_of(None, {}, SPREADS, ["sum"])
    one, two, three = (
        [swing.total_fraction for swing in variance_fractions(None, {}, swings, samples=64, seed=seed)]
        for seed in (0, 0, 1)
    )
    assert one == two != three
    default = [swing.total_fraction for swing in variance_fractions(None, {}, swings)]
    assert default == [one.total_fraction for one in variance_fractions(None, {}, swings, samples=256, seed=0)]


# --- quantiles and who is dominated -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 10, 11, 12, 97])
def test_quantiles_lie_between_the_values_in_proportion(count):
    rng = np.random.default_rng(count)
    values = {name: rng.normal(size=count) for name in ("plain", "holes", "empty", "equal", "first")}
    values["holes"][: count // 2] = np.nan
    values["first"][:1] = np.nan
    values["empty"][:] = np.nan
    values["equal"][:] = 3.0
    found = intervals._quantiles(values)
    assert list(found["equal"]) == [3.0] * 3 and np.isnan(found["empty"]).all()
    for name in ("plain", "holes", "first"):
        known = values[name][~np.isnan(values[name])]
        expected = np.quantile(known, [0.1, 0.5, 0.9]) if len(known) else [np.nan] * 3
        np.testing.assert_allclose(found[name], expected, atol=1e-12)


def test_a_design_is_kept_in_the_share_of_draws_in_which_nobody_beats_it():
    rng = np.random.default_rng(2)
    points = rng.integers(0, 4, (5, 40, 2)).astype(np.float32)
    points[0, 7] = np.nan
    kept = np.zeros(5)
    for draw in range(40):
        for one in range(5):
            own = points[one, draw]
            beaten = any((points[k, draw] <= own).all() and (points[k, draw] < own).any() for k in range(5))
            kept[one] += not beaten and np.isfinite(own).all()
    np.testing.assert_allclose(intervals._nondominated_fraction(points), kept / 40)


def test_designs_meet_the_draws_a_few_at_a_time_and_the_same_ones(sweep, monkeypatch):
    from dse.sweep import parse_spec

    sweep["constraints"] = [{"metric": "tdp_w", "max": 60}]
    spec = parse_spec(sweep)
    base = {"memory": "lpddr5x_9600", "memory_devices": 16.0, "memory_device_gib": 16.0, "macs": 8192.0}
    designs = [
        base | {"node": node, "clock_ghz": clock}
        for clock in (0.5, 1.0) for node in ("tsmc_7", "tsmc_5", "samsung_5")
    ][:5]  # fmt: skip
    told = {}
    for rows in (1, 16, 10**6):
        monkeypatch.setattr(intervals, "ROWS_AT_ONCE", rows)
        steps = []
        found = intervals.robustness(spec, designs, draws=8, seed=3, progress=lambda *one, to=steps: to.append(one))
        told[rows] = (steps, found)
    assert told[1][0] == [(one, 5) for one in range(1, 6)]
    assert told[16][0] == [(2, 5), (4, 5), (5, 5)] and told[10**6][0] == [(5, 5)]
    first = told[1][1]
    assert len(first.p_feasible) == 5 and 0 < np.mean(first.p_meets["tdp_w <= 60"]) < 1
    for _, other in list(told.values())[1:]:
        for name in first.quantiles:
            np.testing.assert_allclose(other.quantiles[name], first.quantiles[name], rtol=1e-12)
        np.testing.assert_array_equal(other.p_feasible, first.p_feasible)
        np.testing.assert_array_equal(other.nondominated_fraction, first.nondominated_fraction)


# --- weak points, uses, calibration -----------------------------------------------------------------------------------


def test_a_weak_point_breaks_a_constraint_or_moves_an_objective_by_a_tenth(monkeypatch):
    low, sure = Input((spread("low", sure="low"),)), Input((spread("sure", sure="medium"),))
    swings = [
        Swing(low, "limit", -0.1, 0.0, 1.0), Swing(low, "limit", 0.5, 0.2, -0.1), Swing(sure, "limit", -1.0, 0.5, 1.0),
        Swing(low, "limit", 0.0, 0.1, 0.1), Swing(low, "limit", -0.2, -0.1, 0.5),
        Swing(low, "limit", math.nan, 0.1, -0.1),
        Swing(low, "cost", 90.0, 100.0, 101.0), Swing(low, "cost", 100.0, 100.0, 110.0),
        Swing(sure, "cost", 1.0, 9.0, 99.0),
        Swing(low, "time", -2.0, -1.0, -1.0), Swing(low, "cost", 100.0, 100.0, 150.0),
    ]  # fmt: skip
    monkeypatch.setattr(confidence, "parameters_of", lambda spec, designs: frozenset())
    monkeypatch.setattr(confidence, "swings_of", lambda spec, design, spreads, names: swings if asked(names) else [])
    asked = ["limit", "cost", "time"].__eq__
    metric = SimpleNamespace
    spec = SimpleNamespace(
        parameters={}, library=(), constraints=[metric(label="limit")],
        objectives=[metric(metric="cost"), metric(metric="time"), metric(metric="cost")],
    )  # fmt: skip
    found = confidence.weak_points(spec, {})
    assert [swings.index(point.swing) for point in found] == [0, 1, 5, 9, 10, 6]
    assert [point.breaks for point in found] == [True] * 3 + [False] * 3


@pytest.mark.parametrize(
    ("metric", "ends", "change"),
    [
        ("cost", (8, 10, 11), 0.2), ("cost", (10, 10, 15), 0.5), ("cost", (-3, -2, -2), 0.5), ("cost", (1, 0, 3), 3),
        ("margin of tdp_w", (8, 10, 11), 2), ("cost", (np.nan, 10, 11), 0.1), ("cost", (np.nan, 1, np.nan), 0),
        ("cost", (np.inf, 1, 1), 0),
    ],
)  # fmt: skip
def test_a_use_is_the_larger_move_over_the_typical_value(metric, ends, change):
    assert usage.Use(metric, "", *ends).change == pytest.approx(change)


def test_uses_are_the_largest_moves_of_each_metric_and_margins_stand_last(monkeypatch):
    asked = []
    told = [
        ("one", {"cost": [9, 10, 11], "time": [1, 1, 1], "margin of x": [0, 0, 5], "b": [1, 1, 1.5], "a": [1, 1, 1.5]}),
        ("two", {"cost": [8, 10, 11], "time": [1, 1, 1 + 5e-10], "margin of x": [0, 0, 1], "b": [1, 1, 1.5]}),
        ("three", {"cost": [10, 10, 10.5], "time": [1, np.nan, 1]}),
    ]

    def moved(added, path, values):
        asked.append(values)
        return [(name, {metric: np.array(at, float) for metric, at in cells.items()}) for name, cells in told]

    monkeypatch.setattr(usage, "_moved", moved)
    monkeypatch.setattr(usage, "probe_sweeps", lambda added: ((SimpleNamespace(library=()), {}),))
    ranged = next(path for path, one in LIBRARY.parameters.items() if one.low is not None and one.high is not None)
    fixed = next(path for path, one in LIBRARY.parameters.items() if one.low is None and path not in LIBRARY.evidence)
    found = usage.uses_of(ranged)
    assert [(one.metric, one.seen_in) for one in found] == [
        ("a", "one"), ("b", "one"), ("cost", "two"), ("margin of x", "one"),
    ]  # fmt: skip
    usage.uses_of(fixed)
    one, typ = LIBRARY.parameters[ranged], LIBRARY.parameters[fixed].typ
    assert asked[0].tolist() == [one.low, one.typ, one.high] and asked[1].tolist() == [typ * 0.9, typ, typ * 1.1]
    with pytest.raises(UnknownEntryError, match="no_such"):
        usage.uses_of("no_such.path")
    evidence = next(iter(LIBRARY.evidence), None)
    assert evidence is None or usage.uses_of(evidence) == []


def test_probes_differ_from_the_default_design_in_one_thing_each():
    probes = usage._probes(LIBRARY)
    base = probes["the default design"]
    assert base == {"link_gbps": 100.0, "memory_devices": 8.0, "memory_device_gib": 16.0}
    for name, design in probes.items():
        assert {key: design[key] for key in base if key in design} == base or design["memory"] == name
    axes = {axis for design in probes.values() for axis in design}
    assert axes >= {"node", "mac_format", "weight_format", "serving_stack", "architecture", "cooling", "dies"}
    assert {design.get("memory_decoder") for design in probes.values()} == {None, 1.0}
    assert probes["kv_bits 4, spare cores"] == {**base, "kv_bits": 4.0, "spare_cores": 2.0}
    assert all(design["dies"] == 2 for name, design in probes.items() if name.startswith("two dies"))
    assert probes["one chip of much clock"]["clock_ghz"] == 2


def test_calibration_counts_dies_inside_and_above_the_median(monkeypatch):
    table = pd.DataFrame({"architecture": ["gpu", "gpu", "gpu", "npu"], "die": list("abcd")})
    chips = SimpleNamespace(table=table)
    real = {"area": np.array([1.0, 2.0, np.nan, 4.0]), "power": np.array([1.0, 1.0, 1.0, 5.0])}
    ends = np.array([[1.0, 1.0, 1.0, 1.0], [1.0, 1.5, 2.0, 3.0], [2.0, 2.0, 9.0, 3.5]])
    monkeypatch.setattr(calibration, "published", lambda chips, quantity: real[quantity])
    monkeypatch.setattr(calibration, "drawn", lambda chips, unaware, technology: 1.0 if unaware is None else 2.0)
    monkeypatch.setattr(
        calibration, "intervals", lambda chips, wide: {name: np.r_[ends[:2], ends[2:] * wide] for name in real}
    )
    unseen = SimpleNamespace(unaware={})
    found = calibration.calibration_check(chips, unseen, None).set_index(["quantity", "class"])
    assert found.index.tolist() == [(q, name) for q in ("area", "power") for name in ("gpu", "npu", "all")]
    assert found["dies"].tolist() == [2, 1, 3, 3, 1, 4]
    assert found["inside_open"].tolist() == pytest.approx([1, 0, 2 / 3, 1, 0, 3 / 4])
    assert found["inside_left_out"].tolist() == pytest.approx([1, 1, 1, 1, 1, 1])
    assert found["above_median_open"].tolist() == pytest.approx([1 / 2, 1, 2 / 3, 0, 1, 1 / 4])
    assert found["median_p90_over_p10_open"].tolist() == pytest.approx([2, 3.5, 2, 2, 3.5, 2.75])
    assert found["median_p90_over_p10_left_out"].tolist() == pytest.approx([4, 7, 4, 4, 7, 5.5])
    assert calibration.calibration_table(chips, unseen, None).frame.shape == (6, 9)


def test_draws_of_a_die_left_out_move_in_proportion(monkeypatch):
    """Around what a parameter would be without the die; of others around the library's value."""
    monkeypatch.setattr(calibration, "DRAWS", 50)
    read = "tco.pue"
    fixed = next(path for path, one in LIBRARY.parameters.items() if one.low is None and path not in LIBRARY.evidence)

    def area(chips, technology):
        return np.asarray(technology.value(read)) * np.ones(len(chips))

    monkeypatch.setattr(calibration, "PREDICTED", {"area": area})
    monkeypatch.setattr(calibration, "QUANTITIES", ("area",))

    class Chips:
        dies = ("x", "y")

        def __init__(self, times=1):
            self.times = times

        def __len__(self):
            return 2 * self.times

        def repeated(self, times):
            return Chips(times)

    known, typ = Technology(), LIBRARY.parameters[read].typ
    usual = calibration.drawn(Chips(), None, Technology())
    moved = calibration.drawn(Chips(), {"y": {read: 2 * typ, fixed: 3.0}}, Technology())
    values = [np.asarray(one.value(read)).reshape(50, 2) for one in (usual, moved)]
    np.testing.assert_array_equal(values[0][:, 0], values[0][:, 1])
    np.testing.assert_array_equal(values[1][:, 0], values[0][:, 0])
    np.testing.assert_allclose(values[1][:, 1], 2 * values[0][:, 1])
    other = np.asarray(moved.value(fixed)).reshape(50, 2)
    np.testing.assert_allclose(other[:, 0], float(np.asarray(known.value(fixed))))
    np.testing.assert_allclose(other[:, 1], 3.0)
    (found,) = calibration.intervals(Chips(), moved).values()
    np.testing.assert_allclose(found, np.quantile(values[1], [0.1, 0.5, 0.9], axis=0))


# --- after a search ---------------------------------------------------------------------------------------------------


def rows_of(ids, points, *, feasible=None, margins=None):
    n, points = len(ids), np.array(points, dtype=float)
    feasible = np.ones(n, bool) if feasible is None else np.array(feasible)
    margins = {"limit": np.ones(n) if margins is None else np.array(margins, float)}
    found = Evaluation({"cost": points[:, 0], "time": points[:, 1]}, margins, points, feasible)
    return Rows(np.array(ids), Table({"macs": np.array(ids, float) * 1024}), found)


SPEC = SimpleNamespace(
    objectives=[SimpleNamespace(metric="cost"), SimpleNamespace(metric="time")],
    constraints=[SimpleNamespace(label="limit", metric="limit")],
    probabilities=[SimpleNamespace(label="p_feasible >= 0.5")],
)


def outcome_of(front=None, misses=None, sample=None):
    return _Outcome(front, misses, lambda: sample, (), ())


def _made_outcome():
    from dataclasses import make_dataclass

    made = make_dataclass("Outcome", ["front", "misses", "sampled", "constraints", "picks"])
    made.sample = property(lambda self: self.sampled())
    return made


_Outcome = _made_outcome()


def test_who_keeps_a_distance_is_whom_nobody_beats_among_those_that_keep_it():
    # Costs and times that trade, with the better the nearer to the limit; one infeasible, one beaten.
    rows = rows_of(
        range(7), [[1, 9], [2, 8], [3, 7], [4, 6], [5, 5], [0, 0], [9, 9]],
        margins=[0.02, 0.019, 0.1, 0.2, 0.3, -0.1, 0.5], feasible=[True] * 5 + [False, True],
    )  # fmt: skip
    found = [list(places) for places in post_search._keeping_distance(rows, ["limit"])]
    assert found == [[0, 2, 3, 4], [2, 3, 4], [2, 3, 4], [3, 4], [4]]
    two = replace(
        rows, evaluation=replace(rows.evaluation, margins={"limit": np.full(7, 0.4), "other": np.full(7, 0.1)})
    )
    kept = [len(places) for places in post_search._keeping_distance(two, ["limit", "other"])]
    assert kept == [5, 5, 5, 0, 0]
    assert post_search._keeping_distance(rows, []) == []


def test_candidates_are_front_then_misses_then_who_keeps_a_distance():
    front = rows_of([4, 2], [[1, 2], [2, 1]], margins=[0.0, 0.0])
    misses = rows_of([7, 9], [[0, 0], [0, 0]], feasible=[False, False], margins=[-1, -2])
    sample = rows_of([2, 3, 4, 7], [[2, 1], [5, 5], [1, 2], [0, 0]], feasible=[True, True, True, False],
                     margins=[0.0, 0.4, 0.0, -1])  # fmt: skip
    none = SimpleNamespace(probabilities=(), constraints=SPEC.constraints)
    found = post_search._candidates(outcome_of(front, misses, sample), SPEC, 99)
    assert found.ids.tolist() == [2, 3, 4, 7, 9]
    assert post_search._candidates(outcome_of(front, misses, sample), none, 99).ids.tolist() == [2, 4, 7, 9]
    # Of too many, evenly from the list 2, 4, 7, 9, 3: its ends and its middle.
    assert post_search._candidates(outcome_of(front, misses, sample), SPEC, 3).ids.tolist() == [2, 3, 7]
    assert post_search._candidates(outcome_of(front), none, 9).ids.tolist() == [2, 4]
    assert post_search._candidates(outcome_of(None, misses), none, 9).ids.tolist() == [7, 9]
    assert post_search._candidates(outcome_of(), SPEC, 9) is None


def test_a_constraint_on_the_probability_is_counted_as_any_other():
    margin, feasible = np.array([-0.1, 0.0, 0.3, -0.2, 0.5]), np.array([True, True, True, False, False])
    one = post_search._count("p", margin, feasible)
    assert (one.constraint, one.evaluated, one.violated, one.missing, one.sole_cause) == ("p", 5, 2, 0, 1)
    assert (one.best_margin, one.tightest_margin) == (0.5, 0.0)
    assert math.isnan(post_search._count("p", margin, np.zeros(5, bool)).tightest_margin)


def test_a_row_has_the_probability_of_its_design_or_none():
    candidates = rows_of([2, 4, 7], [[1, 1]] * 3)
    found = SimpleNamespace(p_feasible=np.array([0.2, 0.4, 0.7]))
    outcome = outcome_of(rows_of([7, 2, 1], [[1, 1]] * 3), None, rows_of([4, 5, 9], [[1, 1]] * 3))
    told = post_search._with_chances(outcome, candidates, found)
    assert told.misses is None
    for rows, expected in ((told.front, [0.7, 0.2, np.nan]), (told.sample, [0.4, np.nan, np.nan])):
        np.testing.assert_array_equal(rows.evaluation.metrics[P_FEASIBLE], expected)
        assert set(rows.evaluation.metrics) == {"cost", "time", P_FEASIBLE}


def test_front_and_picks_are_among_those_that_are_likely_enough():
    sample = rows_of([1, 2, 3, 4, 5], [[1, 9], [2, 8], [3, 3], [9, 9], [0, 0]], feasible=[True] * 4 + [False])
    front, ids = rows_of([1, 2], [[1, 9], [2, 8]]), np.array([1, 2, 3, 4])
    likely = np.array([0.1, 0.6, 0.9, 0.9])
    found = post_search._chosen(outcome_of(front, None, sample), SPEC, ids, likely, likely >= 0.5)
    assert found.front.ids.tolist() == [2, 3], "4 is beaten, 1 not likely, 5 has met no draws"
    assert {pick.name: pick.id for pick in found.picks} == {
        "best_cost": 2, "best_time": 3, "knee": 2, "nearest_to_targets": 2,
    }  # fmt: skip
    none = post_search._chosen(outcome_of(front, None, sample), SPEC, ids, likely, np.zeros(4, bool))
    assert none.front is None and none.misses.ids.tolist() == [3, 4, 2, 1]
    (pick,) = none.picks
    assert pick.id == 3 and pick.reason == (
        "no sampled design has the probability asked for (p_feasible >= 0.5); this one comes nearest with 0.9"
    )
    many = rows_of(range(30), [[1, 1]] * 30)
    kept = post_search._chosen(outcome_of(many), SPEC, many.ids, np.arange(30) / 30, np.zeros(30, bool))
    assert kept.misses.ids.tolist() == list(range(29, 9, -1))


def test_without_draws_or_designs_a_run_stays_as_it_was():
    asked = SimpleNamespace(designs=9)
    for outcome, robustness in ((outcome_of(rows_of([1], [[1, 1]])), None), (outcome_of(), asked)):
        spec = SimpleNamespace(robustness=robustness, probabilities=(), constraints=[])
        assert post_search.under_draws(outcome, spec) == (outcome, None)


# --- of a stored run --------------------------------------------------------------------------------------------------


def test_a_long_front_is_thinned_to_its_picks_and_designs_evenly_along_the_first_objective():
    front = pd.DataFrame({"id": range(10), "cost": [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]})
    kept = {k: stored_run._thinned(front, "cost", k, {3: (), 99: ()})["id"].tolist() for k in (0, 1, 3, 4, 9, 10)}
    assert kept[10] == list(range(10)) and kept[9] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert kept[0] == kept[1] == [3] and kept[3] == [0, 3, 9]
    # Of 9 others by cost, the first, the middle and the last.
    assert kept[4] == [0, 3, 5, 9]


@pytest.mark.parametrize(
    ("front", "misses", "ids", "on_front"),
    [([5, 6], True, [5, 6, 8, 9], [True, True, False, False]), ([5, 6], False, [5, 6], [True, True]),
     ([], False, [8, 9], [False, False]), ([], True, [8, 9], [False, False])],
)  # fmt: skip
def test_front_and_nearest_misses_of_a_run_meet_the_draws(front, misses, ids, on_front, monkeypatch):
    columns = {"feasible": False, "violation": [1.0, 2.0], "macs": [8.0, 9.0], "cost": 1.0}
    run = SimpleNamespace(
        picks=[{"id": 5, "name": "knee"}], path="here", front=pd.DataFrame({"id": front, "macs": front, "cost": 1.0}),
        designs=pd.DataFrame({"id": [8, 9], **columns}), settings=lambda design: {"macs": float(design)},
        spec=SimpleNamespace(objectives=[SimpleNamespace(metric="cost")], constraints=[], parameters={}, library=()),
    )  # fmt: skip
    monkeypatch.setattr(
        stored_run, "designs_of", lambda spec, table: Table({"macs": table["macs"].to_numpy(dtype=float)})
    )
    asked = []
    monkeypatch.setattr(stored_run, "robustness", lambda spec, designs, **more: asked.append((designs, more)))
    monkeypatch.setattr(stored_run, "parameters_of", lambda spec, designs: asked.append(designs) or frozenset())
    monkeypatch.setattr(stored_run, "swings_of", lambda *arguments: ["swing"])
    monkeypatch.setattr(stored_run, "variance_fractions", lambda spec, design, swings, seed: [*swings, seed])
    found = stored_run.robust_run(run, draws=7, seed=3, misses=misses)
    assert (found.ids, found.on_front, found.subject, found.names) == (ids, on_front, (5, "knee"), {5: ("knee",)})
    assert [design["macs"] for design in asked[0][0]] == ids and asked[1] == [{"macs": 5.0}]
    assert (asked[0][1]["draws"], asked[0][1]["seed"]) == (7, 3) and found.swings == ["swing", 3]
    assert stored_run.robust_run(run, misses=misses, fractions=False).swings == ["swing"]


PICKS = [{"id": 4, "name": "best_cost"}, {"id": 2, "name": "knee"}, {"id": 4, "name": "best_time"}]


def test_a_run_is_analysed_by_its_knee_or_the_pick_that_is_named():
    run = SimpleNamespace(picks=PICKS, path="here")
    assert stored_run._picks(run) == {4: ("best_cost", "best_time"), 2: ("knee",)}
    assert stored_run._subject(run, None) == (2, "knee") and stored_run._subject(run, "best_time") == (4, "best_time")
    assert stored_run._subject(SimpleNamespace(picks=PICKS[:1], path="here"), None) == (4, "best_cost")
    with pytest.raises(RunError, match="here: 'nose' is not one of its picks: best_cost, knee, best_time"):
        stored_run._subject(run, "nose")
    with pytest.raises(RunError, match="no design was kept"):
        stored_run._subject(SimpleNamespace(picks=[], path="here"), None)


def test_the_nearest_misses_are_those_that_miss_by_least_and_of_those_the_first():
    told = [(3, False, 0.5), (2, False, 0.5), (1, True, 0.0), (0, False, 0.1)]
    designs = pd.DataFrame(told, columns=["id", "feasible", "violation"])
    found = stored_run._nearest_misses(SimpleNamespace(designs=designs))
    assert found["id"].tolist() == [0, 2, 3]
    many = pd.DataFrame({"id": range(99), "feasible": False, "violation": np.arange(99.0)[::-1]})
    kept = stored_run._nearest_misses(SimpleNamespace(designs=many))["id"].tolist()
    assert kept == list(range(98, 98 - stored_run.LEAST_INFEASIBLE, -1))
    front = pd.DataFrame({"id": [7]})
    assert stored_run._joined(front, found)["id"].tolist() == [7, 0, 2, 3]
    assert stored_run._joined(front[:0], found).index.tolist() == [0, 1, 2]


def test_draws_are_the_same_from_python_and_from_a_sweep():
    told = {
        name: (parameters["draws"].default, parameters["seed"].default)
        for name, one in {"designs": intervals.robustness, "run": stored_run.robust_run}.items()
        if (parameters := inspect.signature(one).parameters)
    }
    usual = RobustnessSpec()
    assert set(told.values()) == {(usual.draws, usual.seed)}


def test_what_is_watched_is_objectives_then_constraints_each_once():
    one = SimpleNamespace
    spec = one(objectives=[one(metric="b"), one(metric="a")], constraints=[one(metric="a"), one(metric="c")])
    assert stored_run.watched(spec) == ["b", "a", "c"]


def robust(**changes):
    found = intervals.Robustness(
        draws=8, seed=3, spreads=(spread("a"), spread("b", 1, 2, 4, log=True, factor="f", tied=0.5, sure="low")),
        nominal={"cost": np.array([1.0, 2.0])}, quantiles={"cost": np.array([[1, 2, 3], [4, 5, 6.0]])},
        p_meets={"cost <= 2": np.array([0.5, 0.25])}, p_feasible=np.array([0.5, 0.1]),
        nondominated_fraction=np.array([1.0, 0.0]),
    )  # fmt: skip
    swing = Swing(Input(found.spreads[1:]), "cost", 1.0, 2.0, 4.0, 0.25, 0.5)
    usual = {"ids": [4, 9], "on_front": [True, False], "names": {4: ("knee", "best_cost")}, "found": found,
             "subject": (4, "knee"), "swings": [swing]}  # fmt: skip
    return RobustRun(**usual | changes)


def test_tables_of_draws_hold_what_was_found_and_come_back(tmp_path):
    run = robust()
    (first, second) = designs_frame(run).to_dict("records")
    assert first == {
        "id": 4, "picks": "knee best_cost", "front": True, "p_feasible": 0.5, "nondominated_fraction": 1.0,
        "p cost <= 2": 0.5, "cost": 1.0, "cost p10": 1.0, "cost p50": 2.0, "cost p90": 3.0,
    }  # fmt: skip
    assert (second["picks"], second["cost p10"], second["cost p90"]) == ("", 4.0, 6.0)
    (line,) = inputs_frame(run.swings).to_dict("records")
    assert line == {
        "metric": "cost", "input": "b", "at_low": 1.0, "at_typical": 2.0, "at_high": 4.0, "variance_fraction": 0.25,
        "variance_fraction_with_interactions": 0.5, "confidence": "low", "parameters": "b",
    }  # fmt: skip
    alone, tied = parameters_frame(run.found).to_dict("records")
    assert (alone["shape"], alone["shared_factor"], alone["confidence"]) == ("triangular", "", "high")
    assert math.isnan(alone["correlation"])
    assert (tied["shape"], tied["shared_factor"], tied["correlation"]) == ("log-triangular", "f", 0.5)
    assert drawn_facts(SPEC, None) == {}
    assert drawn_facts(SPEC, run) == {"robustness": {"draws": 8, "seed": 3, "designs": 2, "front": 1}}
    unasked = SimpleNamespace(probabilities=())
    assert drawn_facts(unasked, run) == {"robustness": {"draws": 8, "seed": 3, "designs": 2}}
    (tmp_path / "manifest.json").write_text("{}")
    files = write_robust(tmp_path, run)
    assert [file.name for file in files] == ["designs.csv", "inputs.csv", "parameters.csv", "draws.json"]
    write_robust(tmp_path, run)
    assert json.loads(files[3].read_text()) == {"draws": 8, "seed": 3, "inputs_of": {"id": 4, "pick": "knee"}}
