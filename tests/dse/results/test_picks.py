import numpy as np
import pytest

from cost_models.table import Table
from dse.evaluator import Evaluation, Evaluator
from dse.results.picks import choose_picks, default_pick, in_force, settings_of
from dse.results.rows import Rows
from dse.space import Space
from dse.sweep import parse_spec

OBJECTIVES = ["chat.tpot_ms", "cost_usd"]


def rows_of(points, margins=None, ids=None):
    points = np.asarray(points, dtype=float)
    n = len(points)
    margins = np.ones(n) if margins is None else np.asarray(margins, dtype=float)
    evaluation = Evaluation(
        {"chat.tpot_ms": points[:, 0], "cost_usd": points[:, 1], "price_usd": np.full(n, np.nan)},
        {"tdp_w <= 150": margins},
        points,
        margins >= 0,
    )
    ids = np.arange(n) if ids is None else np.asarray(ids)
    return Rows(ids.astype(np.int64), Table({"macs": 1024.0 * (1 + np.arange(n))}), evaluation)


def test_the_best_the_knee_and_the_nearest_are_what_they_say():
    # On a right angle the corner is the knee; the least margin is that of row 3.
    front = rows_of([[0, 10], [1, 1], [10, 0], [4, 0.9]], margins=[0.9, 0.5, 0.4, 0.01])
    picks = {pick.name: pick for pick in choose_picks(front, None, objectives=OBJECTIVES, targets=["tdp_w <= 150"])}
    assert {name: pick.id for name, pick in picks.items()} == {
        "best_chat.tpot_ms": 0,
        "best_cost_usd": 2,
        "knee": 1,
        "nearest_to_targets": 3,
    }
    assert picks["knee"].feasible and picks["knee"].design["macs"] == 2048
    assert picks["knee"].metrics == {"chat.tpot_ms": 1, "cost_usd": 1}, "what is missing is left out"


def chosen(points, **more):
    targets = ["tdp_w <= 150"] if "margins" in more else []
    front = rows_of(points, **more)
    return {pick.name: pick.id for pick in choose_picks(front, None, objectives=OBJECTIVES, targets=targets)}


def test_distances_are_those_of_a_straight_line():
    # From (0, 0): by sums the second of each is nearer, or by the greatest the first.
    ends = [[0, 1], [1, 0]]
    assert chosen([*ends, [0.5, 0.5], [0.02, 0.71]])["knee"] == 2
    assert chosen([*ends, [0.45, 0.45], [0.02, 0.63]])["knee"] == 3
    for near, third, nearest in ((0.5, 0.71, 0), (0.45, 0.63, 1)):
        front = rows_of([[0, 1], [1, 0]], margins=[near, 0.02])
        front.evaluation.margins["size"] = np.array([near, third])
        picks = choose_picks(front, None, objectives=OBJECTIVES, targets=["tdp_w <= 150", "size"])
        assert picks[-1].id == nearest, "of two margins"


def test_one_objective_has_no_knee_and_a_default_pick_is_the_first():
    front = rows_of([[2, 1], [1, 1]])
    assert [pick.name for pick in choose_picks(front, None, objectives=OBJECTIVES[:1])] == ["best_chat.tpot_ms"]
    assert default_pick(["best_cost_usd", "knee"]) == "knee" and default_pick([]) is None
    assert default_pick(["best_cost_usd", "least_violation"]) == "best_cost_usd"


def test_ties_of_the_best_go_to_the_one_that_is_nearer_to_the_rest():
    front = rows_of([[0, 9], [0, 3], [5, 0]], margins=[0.2, 0.1, 0.1])
    assert chosen(front.evaluation.objectives, margins=[0.2, 0.1, 0.1]) == {
        "best_chat.tpot_ms": 1, "best_cost_usd": 2, "knee": 1, "nearest_to_targets": 1,
    }  # fmt: skip


def test_the_least_miss_says_what_that_design_misses():
    misses = rows_of([[3, 3], [1, 1], [2, 2]], margins=[0.0, -0.5, -0.7])
    misses.evaluation.margins["size"] = np.array([-0.5, 0.2, 0.3])
    (pick,) = choose_picks(None, misses, objectives=OBJECTIVES)
    assert (pick.id, pick.reason) == (0, "nothing is feasible; this misses by least: size")
    misses.evaluation.margins["size"][0] = 0
    (pick,) = choose_picks(None, misses, objectives=OBJECTIVES)
    assert pick.reason.endswith("this misses by least: an objective has no value")


def test_ties_go_to_the_lowest_id():
    front = rows_of([[1, 1], [1, 1]], ids=[7, 3])
    assert {pick.id for pick in choose_picks(front, None, objectives=OBJECTIVES)} == {3}


def test_scaling_an_objective_does_not_move_the_knee():
    points = np.random.default_rng(0).random((40, 2))
    for scale in (1e-6, 1.0, 1e9):
        scaled = rows_of(points * [scale, 1])
        (knee,) = [pick.id for pick in choose_picks(scaled, None, objectives=OBJECTIVES) if pick.name == "knee"]
        assert knee == np.argmin((((points - points.min(0)) / np.ptp(points, axis=0)) ** 2).sum(axis=1))


def test_without_a_front_the_nearest_miss_is_picked_and_says_what_it_misses():
    (pick,) = choose_picks(None, rows_of([[3, 3], [1, 1]], margins=[-0.1, -0.5]), objectives=OBJECTIVES)
    assert (pick.name, pick.id, pick.feasible) == ("least_violation", 0, False)
    assert "tdp_w <= 150" in pick.reason
    also = rows_of([[3, 3], [1, 1]], margins=[-0.1, -0.5])
    also.evaluation.margins["die_mm2 <= 800"] = np.array([0.0, 0.2])
    (pick,) = choose_picks(None, also, objectives=OBJECTIVES)
    assert "tdp_w <= 150" in pick.reason and "die_mm2" not in pick.reason, "what is kept is not said to be missed"
    assert choose_picks(None, None, objectives=OBJECTIVES) == []


def test_settings_leave_out_what_does_not_apply_and_write_defaults_out():
    designs = Table.from_settings(
        {"memory": "hbm3", "chat.batch": 8},
        {"memory": "lpddr5x_9600", "memory_device_bits": 64, "weight_method": "gptq", "chat.batch": 16},
    )
    first, second = settings_of(designs, 0), settings_of(designs, 1)
    assert first["memory"] == "hbm3" and "memory_device_bits" not in first and "weight_method" not in first
    assert (second["memory_device_bits"], second["weight_method"], second["chat.batch"]) == (64, "gptq", 16)
    assert first["macs"] == 131072 and isinstance(first["macs"], int)


def test_a_design_written_out_is_the_same_design():
    sweep = {
        "name": "again",
        "workloads": {"chat": {"model": "llama3_8b", "batch": 4}},
        "space": {
            "memory": {"values": ["lpddr5x_9600", "hbm3"]},
            "memory_device_bits": {"values": [32, 64], "when": {"memory": ["lpddr5x_9600"]}},
            "memory_devices": {"low": 1, "high": 8},
            "macs": {"low": 4096, "high": 65536, "log": True},
            "clock_ghz": {"low": 0.5, "high": 1.5},
            "chat.batch": {"values": [1, 8]},
            "technology.tco.pue": {"low": 1.1, "high": 1.5},
        },
        "objectives": [{"metric": "chat.tpot_ms", "direction": "minimize"}],
        "search": {"sampler": "sobol", "n_designs": 16},
    }
    spec = parse_spec(sweep)
    space = Space(spec)
    designs = space.decode(np.random.default_rng(1).random((16, len(space.dimensions))))
    result = Evaluator(spec).evaluate(designs)
    for row in range(16):
        settings = settings_of(designs, row)
        again = Evaluator(spec).evaluate(Table.from_settings(settings))
        fixed = parse_spec({**sweep, "space": settings, "search": {"sampler": "grid"}})
        rerun = Evaluator(fixed).evaluate(Space(fixed).grid(0, 1))
        for name, value in result.metrics.items():
            assert again.metrics[name][0] == pytest.approx(value[row], rel=1e-12, nan_ok=True)
            assert rerun.metrics[name][0] == pytest.approx(value[row], rel=1e-12, nan_ok=True)


def test_settings_of_a_part_that_a_design_lacks_are_not_in_force():
    one_die = {"dies": 1, "die_link": "bridge", "macs": 4096}
    assert in_force(one_die) == {"dies": 1, "macs": 4096}
    assert in_force({**one_die, "dies": 2}) == {**one_die, "dies": 2}
    one_memory = {"second_memory": "none", "second_memory_devices": 4}
    assert in_force(one_memory) == {"second_memory": "none"}
    assert in_force({**one_memory, "second_memory": "ddr5_6400"}) == {**one_memory, "second_memory": "ddr5_6400"}
