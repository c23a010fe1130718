"""What is refused in a sweep, and where the messages point."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse.errors import NOWHERE, Issue, SpecError
from dse.space import Space
from dse.sweep import load_spec, parse_spec
from dse.sweep.issues import places_of, unknown_key
from dse.yaml_positions import parse_yaml, path_text
from tests.sweeps import TEXT as SWEEP
from tests.sweeps import small


def replaced(file: Path, *pairs: tuple[str, str]) -> list[str]:
    """Load the sweep with pieces of its text replaced and return its issues, without the directory."""
    text = SWEEP
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_spec(file)
    return [str(issue).replace(f"{file.parent}/", "") for issue in caught.value.issues]


def test_the_form_of_an_issue(file: Path) -> None:
    expected = "small.yaml:9:39  objectives[0].direction: 'minimise' is not minimize or maximize; perhaps 'minimize'"
    assert replaced(file, ("minimize", "minimise")) == [expected]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        # keys
        ("space:", "parameters:", "small.yaml:4:1  parameters: the key 'parameters' is not"),
        (
            "batch: 32",
            "batch_size: 32",
            "small.yaml:3:29  workloads.chat.batch_size: the key 'batch_size' is not .{,40}; perhaps batch",
        ),
        ("levels: 7", "level: 7", "space.macs.level: the key 'level' is not .*perhaps levels"),
        ("values: [tsmc_7, tsmc_5]", "choices: [tsmc_7]", "small.yaml:5:10  space.node.choices: .*perhaps values"),
        ("low: 1024, high: 65536", "min: 1024, max: 65536", "space.macs.min: the key 'min' .*perhaps low"),
        ("direction: minimize", "goal: minimize", "objectives.0..goal: the key 'goal' .*perhaps direction"),
        ("max: 150 W", "upper: 150 W", "constraints.0..upper: .*perhaps max"),
        ("n_designs:", "n_trials:", "search.n_trials: .*perhaps n_designs"),
        ("sampler:", "method:", "search.method: .*perhaps sampler"),
        ("memory: hbm3", "memori: hbm3", "small.yaml:7:3  space.memori: 'memori' is not a parameter.*perhaps memory"),
        # commas in numbers
        ("max: 150 W", "max: 1,500", r"constraints.0..500: is empty; perhaps .*: write 1500$"),
        ("max: 150 W", "max: 0,5", r"constraints.0..5: is empty; perhaps .*: write 0\.5$"),
        ("max: 150 W", "max: 0,125", r"write 0\.125$"),
        ("max: 150 W", "max: 12,75", r"write 12\.75$"),
        ("max: 150 W", "500, max: 150", r"constraints.0..500: is empty$"),
        ("max: 150 W", "max: 150 W, 500", r"constraints.0..500: is empty$"),
        ("max: 150 W", "max: 1,000,000", r"000 is given twice .*; perhaps .*write 1500, not 1,500$"),
        # names
        (
            "llama2_70b",
            "llama2-71b",
            "workloads.chat.model: 'llama2-71b' is not a model of the library .*perhaps llama2_7",
        ),
        ("llama2_70b", "hyperclova_204b", "the model hyperclova_204b cannot be evaluated: "),
        ("tsmc_5]", "tsmc5]", r"space.node.values\[1\]: 'tsmc5' is not a node of the library .*perhaps tsmc_5"),
        ("hbm3", "hbm33", "space.memory: 'hbm33' is not a memory grade of the library .*perhaps hbm3"),
        ("weight_format: bf16", "weight_format: bf17", "baselines.pair.weight_format: 'bf17' is not .*perhaps bf16"),
        ("2x a100_80gb_sxm", "2x a100", "baselines.pair.chips: 'a100' is not a chip of the library .*perhaps 2x a100"),
        ("2x a100_80gb_sxm", "0x a100_80gb_sxm", "'0x a100_80gb_sxm' is not a chip of the library, or a count of one"),
        ("chat.tpot_ms", "tpot_ms", "'tpot_ms' is not a metric of this sweep; perhaps chat.tpot_ms"),
        ("chat.tpot_ms", "chat.latency_ms", "perhaps chat.tpot_ms"),
        ("chat.tpot_ms", "chart.tpot_ms", "perhaps chat.tpot_ms"),
        ("metric: tdp_w", "metric: power_w", "'power_w' is not a metric of this sweep; perhaps chat.decode_w"),
        ("sampler: sobol", "sampler: nsga2", "'nsga2' is not .*perhaps evolve"),
        ("sampler: sobol", "sampler: evolve+sobol", "'sobol' takes nothing over from evolve"),
        ("sampler: sobol", "sampler: optuna:Tpe", "'optuna:Tpe' is not optuna:TPESampler"),
        # values
        ("batch: 32", "batch: 0", "workloads.chat.batch: 0 is not above 0"),
        ("batch: 32", "batch: -2.5", "workloads.chat.batch: -2.5 is not above 0 and at most"),
        ("batch: 32", "batch: 1e19", "batch: 1e.?19 is not above 0 and at most"),
        ("batch: 32", "batch: 32, prompt_tokens: 1e300", "prompt_tokens: 1e.?300 is not at least 0 and at most"),
        ("batch: 32", "batch: 32, tpot_limit_ms: 1e-320", "tpot_limit_ms: .* is not 0, or at least 1e-15 in size .ms."),
        ("max: 150 W", "max: -150 W", "max: '-150 W' is not at least 0: tdp_w is never below it; perhaps 150"),
        ("max: 150 W", "max: 1e-320", "max: .* is not 0, or at least 1e-15 in size .W."),
        ("max: 150 W", "near: 150 W, within: 1e-320", "within: .* is not 0, or at least 1e-15"),
        ("levels: 7", "levels: 1e999", "levels: 1e999 is not a finite number"),
        ("batch: 32", "batch: true", "workloads.chat.batch: true is not a number"),
        ("batch: 32", "batch: [32]", "workloads.chat.batch: a list is not a number"),
        ("batch: 32", "batch: ~", "workloads.chat.batch: is empty"),
        ("batch: 32", "required: yes", "workloads.chat.required: 'yes' is not true or false; perhaps true"),
        ("{model: llama2_70b, batch: 32}", "{batch: 32}", "workloads.chat.model: is missing"),
        ("{model: llama2_70b, batch: 32}", "llama2_70b", "'llama2_70b' is not a mapping with the keys model, "),
        ("chat: {", "2chat: {", "workloads.2chat: the name '2chat' is not letters"),
        ("max: 150 W", "max: 150 ms", "constraints.0..max: '150 ms' is not a number, or a quantity that converts to W"),
        ("max: 150 W", "max: 150 w", "perhaps 150 W"),
        ("max: 150 W", "min: 200 W, max: 150 W", "min 200 is not at most max 150; perhaps min and max swapped"),
        ("max: 150 W", "near: 3", "within is missing; near and within go together"),
        ("max: 150 W", "within: 3 %", "constraints.0.: a constraint needs max, min, or near and within"),
        ("max: 150 W", "max: 1, relative_to: par", "relative_to: 'par' is not a baseline of this sweep; perhaps pair"),
        ("seed: 7", "seed: -1", "search.seed: -1 is not at least 0"),
        ("n_designs: 1_000, ", "", "search: n_designs is missing; only the sampler grid can do without"),
        ("name: small", "name: a b", "small.yaml:1:7  name: 'a b' is not letters.*perhaps a_b"),
        ("name: small", "name: 2024", "name: 2024 is not text; perhaps '2024'"),
        ("name: small", "title: small", "name: is missing"),
        # ranges
        (
            "low: 1024, high: 65536",
            "low: 65536, high: 1024",
            "low 65536 is not below high 1024; perhaps low and high swapped",
        ),
        ("low: 1024, high: 65536", "low: 4096, high: 4096", "low 4096 is not below high 4096"),
        ("low: 1024, high: 65536", "low: 0, high: 65536", "space.macs.low: 0 is not above 0"),
        ("low: 1024, high: 65536", "low: 10.5, high: 20", "space.macs.low: 10.5 is not a whole number"),
        ("log: true, levels: 7", "step: 4, levels: 7", "step and levels are both given"),
        ("log: true, levels: 7", "log: true, step: 4", "step does not go with log: true; perhaps levels"),
        ("log: true, levels: 7", "step: 0", "space.macs.step: 0 is not above 0"),
        ("log: true, levels: 7", "step: 70000", "step 70000 is not at most high - low"),
        ("log: true, levels: 7", "levels: 1", "space.macs.levels: 1 is not at least 2"),
        ("{low: 1024, high: 65536, log: true, levels: 7}", "{low: 1024}", "space.macs.high: is missing"),
        ("{low: 1024, high: 65536, log: true, levels: 7}", "{}", "needs values, or low and high, or a bare value"),
        (
            "{low: 1024, high: 65536, log: true, levels: 7}",
            "[1, 2]",
            r"a bare list is not a declaration; perhaps \{values: \[1, 2\]\}",
        ),
        ("{low: 1024, high: 65536, log: true, levels: 7}", "{values: [1, 1]}", "space.macs.values: 1 is listed twice"),
        (
            "{low: 1024, high: 65536, log: true, levels: 7}",
            "{values: []}",
            "an empty list is not a list of at least one",
        ),
        (
            "{low: 1024, high: 65536, log: true, levels: 7}",
            "{values: [1], low: 2}",
            "values and low or high are both given",
        ),
        ("{values: [tsmc_7, tsmc_5]}", "{low: 1, high: 2}", "a range, but node takes names"),
        # conditions
        (
            "memory: hbm3",
            "memory: {values: [hbm3], when: {nod: tsmc_5}}",
            "'nod' is not a parameter of this space; perhaps node",
        ),
        ("memory: hbm3", "memory: {values: [hbm3], when: {node: tsmc_3}}", "'tsmc_3' is not 'tsmc_7' or 'tsmc_5'"),
        (
            "memory: hbm3",
            "memory: {values: [hbm3], when: {macs: 1024}}",
            "macs is a range: a condition needs one with values",
        ),
        ("memory: hbm3", "memory: {values: [hbm3], when: {memory: hbm3}}", "goes round in a circle: memory -> memory"),
        (
            "memory: hbm3",
            "kv_bits: [{values: [4]}, {values: [8], when: {node: tsmc_5}}]",
            r"may hold together with \[0\]",
        ),
        ("memory: hbm3", "technology.tco.pue: {values: [1.1], when: {node: tsmc_5}}", "when does not go with it"),
        # workload fields and parameters
        ("memory: hbm3", "chat.model: llama2_7b", "'model' is not a number of the workload"),
        ("memory: hbm3", "chat.batches: 3", "perhaps chat.batch"),
        ("memory: hbm3", "technology.tco.peu: 1.2", "'tco.peu' is not a parameter of the library .*perhaps tco.pue"),
        ("memory: hbm3", "technology.economics.units: 10", "is a business term"),
    ],
)
def test_issues_say_what_is_wrong(old: str, new: str, says: str, file: Path) -> None:
    result = replaced(file, (old, new))
    assert any(re.search(says, issue) for issue in result), result


def test_all_issues_of_a_file_come_at_once_in_its_order(file: Path) -> None:
    result = replaced(
        file,
        ("llama2_70b", "llama2-71b"),
        ("tsmc_5]", "tsmc5]"),
        ("minimize", "minimise"),
        ("150 W", "150 ms"),
        ("2x a100_80gb_sxm", "2x a100"),
        ("seed: 7", "sead: 7"),
    )
    lines = [int(issue.split(":")[1]) for issue in result]
    assert lines == [3, 5, 9, 11, 13, 14]


def test_objectives_and_constraints_stand_once(file: Path) -> None:
    objective, constraint = ("  - {metric: chat.tpot_ms, direction: minimize}\n", "  - {metric: tdp_w, max: 150 W}\n")
    assert "is the metric of objectives[0] already" in replaced(file, (objective, objective * 2))[0]
    assert "is the same as constraints[0]" in replaced(file, (constraint, constraint * 2))[0]
    assert "objectives: has no item" in replaced(file, (objective, ""), ("objectives:\n", "objectives: []\n"))[0]


@pytest.mark.parametrize(
    ("old", "new"), [("chat:", f"{'a' * 900}:"), ("values: [tsmc_7, tsmc_5]", f"values: {'a' * 5000}")]
)
def test_endless_words_are_cut(old: str, new: str, file: Path) -> None:
    for issue in replaced(file, (old, new)):
        assert len(issue) < 500 and "aaa..." in issue


def test_grid_wants_levels(file: Path) -> None:
    result = replaced(file, ("sampler: sobol, n_designs: 1_000", "sampler: grid"), (", log: true, levels: 7", ""))
    assert result == [
        "small.yaml:6:9  space.macs: a range that the sampler grid cannot enumerate; perhaps add step or levels"
    ]


def test_options_are_checked_with_the_file(file: Path) -> None:
    one = replaced(file, ("sampler: sobol,", "sampler: evolve, options: {populatio: 3},"))
    known = "algorithm, population, crossover_probability, crossover_eta, mutation_eta or mutation_probability"
    where = "small.yaml:14:37  search.options.populatio"
    assert one == [f"{where}: the key 'populatio' is not {known}; perhaps population"]
    chain = "sampler: sobol+evolve, options: {shares: [0.5, 0.6], evolv: {population: 8}, evolve: {population: 1}},"
    text = " ".join(replaced(file, ("sampler: sobol,", chain)))
    assert "the sum of the shares, 1.1, is not 1" in text
    file.write_text(SWEEP.replace("sampler: sobol,", "sampler: sobol+evolve, options: {shares: [0.9, 0.1]},"))
    assert load_spec(file).search.options == {"shares": [0.9, 0.1]}


def test_python_mappings_are_checked_alike(sweep: dict[str, Any]) -> None:
    assert parse_spec(sweep).hash == parse_spec(copy.deepcopy(sweep)).hash
    sweep["space"]["macs"]["low"] = float("nan")
    with pytest.raises(SpecError, match=r"^space.macs.low: nan is not a finite number"):
        parse_spec(sweep)
    sweep["space"]["macs"]["low"] = {1, 2}
    with pytest.raises(SpecError, match=r"space.macs.low: a set is not"):
        parse_spec(sweep)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
    | st.sampled_from(["hbm3", "chat.batch", "tsmc_5", "3 W", "2x tpu_v4", "grid", "technology.tco.pue", "macs"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["values", "low", "high", "when", "metric", "max", "macs"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_a_sweep_is_a_sweep_or_an_issue(data: st.DataObject) -> None:
    """Any part replaced by anything: never another exception."""
    sweep = small()
    place: Any = sweep
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(JUNK)
    try:
        spec = parse_spec(sweep)
    except SpecError as error:
        assert all(isinstance(issue, Issue) and issue.what for issue in error.issues)
    else:
        Space(spec).default_design()
        assert parse_spec(spec.resolved()).hash == spec.hash


def test_of_a_key_that_nobody_means_only_the_beginning_is_told():
    assert path_text(("claims", 17, "source")) == "claims[17].source"
    assert path_text(("claims", 17, "k" * 200)) == f"claims[17].{'k' * 200}"
    assert path_text(("claims", 17, "k" * 5000)) == f"claims[17].{'k' * 200}..."


@pytest.mark.parametrize(
    ("known", "says"),
    [
        ((), "the key 'batc' stands where there are no keys"),
        (("batch",), "the key 'batc' is not batch; perhaps batch"),
        ((*"abcdefghijk", "batch"), "the key 'batc' is not a, b, c, d, e, f, g, h, i, j, k or batch; perhaps batch"),
        ((*"abcdefghijkl", "batch"), "the key 'batc' is not one of the 13 that go here; perhaps batch"),
        (tuple("abcdefghijklm"), "the key 'batc' is not a, b, c, d, e, f, g, h, i, j, k, l or m"),
    ],
)  # fmt: skip
def test_an_unknown_key_is_answered_with_those_that_go_there(known: tuple[str, ...], says: str) -> None:
    assert str(unknown_key("batc", known, NOWHERE, ())) == says


def test_what_is_not_there_stands_where_the_nearest_key_above_it_does() -> None:
    tree = parse_yaml("a:\n  b:\n    c: 1\n", "f")
    for path, line in ((("a", "b", "c"), 3), (("a", "b", "x"), 2), (("a", "b", "x", "y"), 2), (("a", "x"), 1)):
        assert {place.line for place in places_of(tree, path)} == {line}, path
