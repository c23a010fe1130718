import json
from pathlib import Path

import numpy as np
import pytest

from cost_models.library import shipped_library
from cost_models.table import Table
from dse.analysis.relaxation.constraints import explain_infeasible, relaxed_spec, rounded
from dse.analysis.relaxation.files import read_relaxations, relaxation_rows, write_relaxations
from dse.analysis.require.changes import VIOLATION, Change, best_changes
from dse.analysis.require.requirements import least_rate, requirements
from dse.errors import RunError
from dse.evaluator import Evaluator
from dse.render.terminal.requirements import quality_lines
from dse.results.picks import settings_of
from dse.runs import run
from dse.space import Space
from dse.space.tables import neighbours, within
from dse.sweep import parse_spec
from dse.violation import violation
from tests import sweeps

SWEEP = {
    "name": "sized",
    "workloads": {"chat": {"model": "llama2_70b", "batch": 32}},
    "space": {
        "node": {"values": ["tsmc_5", "samsung_5"]},
        "memory": {"values": ["lpddr5x_9600", "hbm3"]},
        "memory_devices": {"low": 2, "high": 20, "step": 2},
        "memory_device_bits": {"values": [64], "when": {"memory": ["lpddr5x_9600"]}},
        "memory_device_gib": 16,
        "macs": {"low": 32768, "high": 262144, "log": True, "levels": 4},
        "weight_format": {"values": ["int4_g128", "bf16"]},
        "kv_bits": {"values": [8, 16]},
        "sram_mib": 192,
    },
    "objectives": [{"metric": "cost_usd", "direction": "minimize"}],
    "constraints": [{"metric": "chat.tpot_ms", "max": "50 ms"}, {"metric": "tdp_w", "max": 300}],
    "search": {"sampler": "grid"},
}


def sweep(**constraints):
    kept = [entry for entry in SWEEP["constraints"] if entry["metric"] not in constraints]
    return parse_spec({**SWEEP, "constraints": [*kept, *({"metric": k, **v} for k, v in constraints.items())]})


def whole(spec):
    space = Space(spec)
    designs = space.grid(0, space.grid_size)
    return space, designs, Evaluator(spec).evaluate(designs)


# -- the least that targets ask ----------------------------------------------------------------------------------------


def test_no_design_that_meets_the_targets_brings_less_than_the_least():
    spec = sweep()
    result = requirements(spec)
    _, designs, judged = whole(spec)
    assert judged.feasible.any()
    for need in result.needs:
        mine = (designs["weight_format"].names() == need.weight_format) & (designs["kv_bits"] == need.kv_bits)
        met = mine & (judged.metrics["chat.tpot_ms"] <= 50)
        if not met.any():
            continue
        delivered = judged.metrics["bandwidth_gbps"][met]
        assert (delivered >= need.bandwidth_stack_gbps).all() and need.bandwidth_stack_gbps > need.bandwidth_gbps
        assert (judged.metrics["peak_tflops"][met] >= need.tflops_stack).all() and need.tflops_stack > need.tflops
        assert (judged.metrics["capacity_gib"][met] >= need.capacity_gib).all()


def test_the_least_bandwidth_is_bytes_over_time():
    need = next(n for n in requirements(sweep()).needs if (n.weight_format, n.kv_bits) == ("bf16", 16))
    body, head = 80 * (8192 * 8192 * 2 + 2 * 8192 * 1024 + 3 * 8192 * 28672), 8192 * 32000
    moved = 2 * (body + head) + 2 * 32 * 163_840 * 1537.5
    assert need.bandwidth_gbps == pytest.approx(moved / 0.05 / 1e9, rel=1e-6)


def test_a_rate_that_never_suffices_is_endless():
    floor = np.array([1.0, 1.0])
    result = least_rate(lambda rate: 1 / rate + np.array([0.5, 2.0]), floor, 1.0)
    assert result == pytest.approx([2.0, np.inf])


def test_rates_and_times_are_the_same_target():
    time = requirements(sweep(**{"chat.tpot_ms": {"max": 40}}))
    rate = requirements(sweep(**{"chat.tpot_ms": {"max": 1e6}, "chat.tokens_per_s": {"min": 800}}))
    assert rate.chosen.bandwidth_gbps == pytest.approx(time.chosen.bandwidth_gbps)


def test_a_whole_request_needs_more_of_both_than_its_steps():
    loose = {"chat.tpot_ms": {"max": 1e6}}
    steps = requirements(sweep(**loose, **{"chat.tokens_per_s": {"min": 600}})).chosen
    request = requirements(sweep(**loose, **{"chat.tokens_per_s_end_to_end": {"min": 600}})).chosen
    assert request.tflops > steps.tflops and request.bandwidth_gbps > steps.bandwidth_gbps


def test_options_deliver_what_is_needed_and_no_device_less_would():
    result = requirements(sweep())
    for option in result.options:
        each = option.delivered_gbps / option.devices
        assert option.devices_ideal * each >= result.chosen.bandwidth_gbps * (1 - 1e-9)
        assert (option.devices_ideal - 1) * each < result.chosen.bandwidth_gbps
        assert option.bandwidth_slack >= -1e-9 and option.capacity_slack >= -1e-9


def test_the_sized_design_of_a_small_space_is_the_best_there_is():
    spec = sweep()
    _, designs, judged = whole(spec)
    for sized in requirements(spec).sized:
        mine = judged.feasible & (designs["memory"].names() == sized.memory)
        assert sized.feasible == mine.any()
        if mine.any():
            assert sized.metrics["cost_usd"] == pytest.approx(judged.metrics["cost_usd"][mine].min())


# -- the best single change ------------------------------------------------------------------------------------------


def test_the_best_change_is_the_best_of_all_single_changes():
    spec = sweep()
    space, designs, judged = whole(spec)
    slowest = np.where(judged.feasible, judged.metrics["chat.tpot_ms"], -np.inf)
    settings = settings_of(designs, int(slowest.argmax()))
    change = next(c for c in best_changes(Evaluator(spec), settings, space=space) if c.goal == "chat.tpot_ms")
    best = np.inf
    for other in np.flatnonzero(judged.feasible):
        moved = settings_of(designs, int(other))
        apart = [name for name in space.dimensions if moved.get(name) != settings.get(name)]
        if len(apart) == 1:
            best = min(best, judged.metrics["chat.tpot_ms"][other])
    assert change.value_after == pytest.approx(best)
    assert change.meets_all


def test_a_design_that_misses_is_told_what_mends_it_most():
    spec = sweep(**{"chat.tpot_ms": {"max": 1}})
    space, designs, _ = whole(spec)
    changes = best_changes(Evaluator(spec), settings_of(designs, 0), space=space)
    assert changes[0].goal == VIOLATION and changes[0].value_after < changes[0].value_before


def test_a_change_that_makes_answers_worse_says_so_where_nothing_limits_them():
    settings = {"node": "tsmc_5", "memory": "hbm3", "memory_devices": 4, "memory_device_gib": 16, "macs": 65536,
                "weight_format": "bf16"}  # fmt: skip
    two = {"chat": {"model": "llama3_8b"}, "code": {"model": "llama3_8b", "batch": 2}}
    told = {}
    for limit in ({}, {"constraints": [{"metric": "chat.perplexity_ratio_high", "max": 1.001}]}):
        spec = parse_spec({**SWEEP, "workloads": two, "constraints": [], **limit})
        changes = {change.goal: change for change in best_changes(Evaluator(spec), settings)}
        narrower = changes["chat.tpot_ms" if "chat.tpot_ms" in changes else "chat.tokens_per_joule"]
        ratio = narrower.beside["chat.perplexity_ratio"]
        assert "code.perplexity_ratio" not in narrower.beside
        # A goal of no workload may cost the quality of every one.
        assert {"chat.perplexity_ratio", "code.perplexity_ratio"} <= set(changes["cost_usd"].beside)
        told[bool(limit)] = (narrower.parameter, ratio, quality_lines(list(changes.values()), spec))
    parameter, (before, after), (line,) = told[False]
    assert parameter == "weight_format" and before < 1.001 < after < np.exp(0.7), "a collapsed model is none"
    assert line.startswith("no constraint limits the quality of answers")
    assert "chat.perplexity_ratio_high, max: ..." in line
    assert max(told[True][1]) < 1.001 and told[True][2] == []
    kept = Change("cost_usd", "macs", 1, 2, 3.0, 2.0, {"tdp_w": (1.0, 2.0), "chat.perplexity_ratio": (1.0, 1.0)})
    assert quality_lines([kept], parse_spec({**SWEEP, "constraints": []})) == []


def test_neighbours_differ_in_at_most_two_parameters():
    space, designs, _ = whole(sweep())
    settings = settings_of(designs, 40)
    table = within(space, neighbours(space, settings))
    for row in range(len(table["macs"])):
        moved = settings_of(table, row)
        apart = [name for name in space.dimensions if moved.get(name) != settings.get(name)]
        # A width that applies to one memory only comes and goes with it.
        assert len(set(apart) - {"memory_device_bits"}) <= 2


# -- infeasible sweeps -----------------------------------------------------------------------------------------------

TIGHT = {"chat.tpot_ms": {"max": "20 ms"}, "tdp_w": {"max": 80}}


@pytest.fixture(scope="module")
def why():
    return explain_infeasible(sweep(**TIGHT))


def test_every_relaxation_makes_the_sweep_feasible_and_a_smaller_one_does_not(why):
    spec = sweep(**TIGHT)
    assert not whole(spec)[2].feasible.any()
    assert why.relaxations
    for relaxation in why.relaxations:
        wider = relaxed_spec(spec, relaxation)
        _, _, judged = whole(wider)
        assert judged.feasible.any()
        assert Evaluator(wider).evaluate(Table.from_settings(relaxation.design)).feasible.all()
        # A percent less of the way and the whole grid is infeasible again.
        less = [f"{given.key}={given.bound + 0.99 * (given.new_bound - given.bound)!r}" for given in relaxation.gives]
        assert not whole(parse_spec(spec.resolved(), overrides=less))[2].feasible.any()


def test_a_pair_is_named_only_where_it_asks_less_of_each(why):
    singles = {one.gives[0].constraint: one.by for one in why.relaxations if len(one.gives) == 1}
    for pair in (one for one in why.relaxations if len(one.gives) == 2):
        assert all(pair.by < singles.get(given.constraint, np.inf) for given in pair.gives)


def test_what_cannot_give_enough_is_said(why):
    single = {one.gives[0].constraint for one in why.relaxations if len(one.gives) == 1}
    labels = {constraint.label for constraint in sweep(**TIGHT).constraints}
    assert single | set(why.stuck) == labels and not single & set(why.stuck)


def test_widened_axes_hold_the_design_they_show(why):
    assert why.axis_extensions
    for extension in why.axis_extensions:
        judged = Evaluator(sweep(**TIGHT)).evaluate(Table.from_settings(extension.design))
        assert bool(judged.feasible[0]) == extension.feasible
        assert violation(judged)[0] == pytest.approx(extension.violation, abs=1e-12)
        assert extension.violation < extension.violation_before
        declared = SWEEP["space"].get(extension.axis)
        if isinstance(declared, dict) and "values" in declared:
            assert extension.value not in declared["values"] or extension.value is None


def test_every_kind_of_bound_gives_way():
    for metric, bound in {
        "cost_usd": {"near": 5, "within": 0.1},
        "chat.tokens_per_s": {"min": 1e5},
        "chat.tpot_ms": {"max": 1e-3},
    }.items():
        loose = {"chat.tpot_ms": {"max": 1e6}, "tdp_w": {"max": 1e6}}
        spec = sweep(**{**loose, metric: bound})
        relaxation = explain_infeasible(spec, extend=False).smallest
        assert relaxation is not None and len(relaxation.gives) == 1
        assert whole(relaxed_spec(spec, relaxation))[2].feasible.any()


def test_limits_of_nature_do_not_give():
    spec = parse_spec({**SWEEP, "space": {**SWEEP["space"], "memory_device_gib": 7}})
    why = explain_infeasible(spec, extend=False)
    assert not why.relaxations and "memory_device" in why.unbuildable


def test_rows_of_the_table_hold_arguments_that_relax(why):
    rows = relaxation_rows(why)
    given = [row["set"] for row in rows if row["kind"] == "constraint"]
    spec = sweep(**TIGHT)
    for argument in given:
        assert whole(parse_spec(spec.resolved(), overrides=[argument]))[2].feasible.any()


def test_rows_are_read_as_they_were_written(why, tmp_path):
    path = run(parse_spec(sweeps.tiny(search={"sampler": "sobol", "n_designs": 8})), out=tmp_path / "run").path
    assert read_relaxations(path) == []
    write_relaxations(why, path)
    read = read_relaxations(path)
    assert [row["what"] for row in read] == [row["what"] for row in relaxation_rows(why)]
    assert read[0]["by"] == pytest.approx(why.relaxations[0].gives[0].by)
    assert "design" in (path / "relaxations.yaml").read_text()
    (path / "relaxations.csv").write_text((path / "relaxations.csv").read_text() + " ")
    with pytest.raises(RunError, match=r"relaxations\.csv: is damaged"):
        read_relaxations(path)
    (path / "relaxations.csv").unlink()
    with pytest.raises(RunError, match=r"relaxations\.csv: is missing"):
        read_relaxations(path)


@pytest.mark.parametrize("value", [0.123456, 123456.0, 9.99999, 1.0, 40.0])
def test_bounds_are_rounded_to_the_lenient_side(value):
    assert rounded(value, up=True) >= value >= rounded(value, up=False)
    assert rounded(value, up=True) == pytest.approx(value, rel=1.1e-3)


def test_a_bound_next_to_a_rounded_number_is_rounded_past_it_all_the_same():
    assert rounded(1234 * (1 + 1e-13), up=True) == 1235 and rounded(1234 * (1 - 1e-13), up=False) == 1233
    assert rounded(-1234.0, up=True) == rounded(-1234.0, up=False) == -1234 and rounded(0.0, up=True) == 0
    assert (rounded(0.01234567, up=True), rounded(0.01234567, up=False)) == (0.01235, 0.01234)


# -- the command -----------------------------------------------------------------------------------------------------


def test_the_command_prints_json_and_draws(tmp_path, call):
    file = tmp_path / "sized.yaml"
    file.write_text(json.dumps(SWEEP))
    requested = ("--plots", tmp_path / "need", "--image-format", "svg", "--image-format", "png", "--memory", "hbm3")
    data = json.loads(call("require", file, *requested, "--format", "json").out)
    assert data["needs"] and data["memory_options"] and data["best_changes"]
    assert {row["grade"] for row in data["die_bandwidths"]} == {"hbm3"}
    assert sorted(path.name for path in (tmp_path / "need").iterdir()) == ["require.png", "require.svg"]
    assert (tmp_path / "need" / "require.png").stat().st_size > 10_000


def test_the_bandwidth_of_a_die_needs_no_sweep_and_follows_what_a_sweep_replaces(tmp_path, call):
    alone = json.loads(call("require", "--memory", "lpddr5x_9600", "--format", "json").out)
    file = tmp_path / "sized.yaml"
    # Every channel takes half the edge: the sides of a die hold at least twice as many.
    edge = shipped_library().parameters["memory.lpddr5x.beachfront_mm"].typ
    for factor in (1.0, 0.5):
        parameters = {"memory.lpddr5x.beachfront_mm": factor * edge}
        file.write_text(json.dumps({**SWEEP, "technology": parameters}))
        beside = json.loads(call("require", file, "--memory", "lpddr5x_9600", "--format", "json").out)
        rows = zip(alone, beside["die_bandwidths"], strict=True)
        for one, other in rows:
            if factor == 1:
                assert other["peak_gbps"] == one["peak_gbps"] and other["units"] == one["units"]
            elif other["binds"] == "sides":
                assert other["units"] >= 2 * one["units"]
    assert "sides" in {row["binds"] for row in alone}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("sized.yaml", "knee"), "goes with a run"),
        (("sized.yaml", "--workload", "llama3_8b"), "goes with a design file"),
        (("run", "--plots", "here"), "goes with a sweep file"),
        (("run", "--memory", "hbm3"), "goes with a sweep file, or alone"),
        ((), "is missing"),
        (("--memory", "hbm33"), "perhaps hbm3"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(tmp_path, monkeypatch, call, arguments, says):
    monkeypatch.chdir(tmp_path)
    Path("sized.yaml").write_text(json.dumps(SWEEP))
    status, out, err = call("require", *arguments)
    assert (status, out) == (2, "") and says in err
