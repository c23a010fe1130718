"""The sweep file: what is read, what is refused, and where the messages point."""

from __future__ import annotations

import copy
import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.library import shipped_library
from cost_models.quantities.parameters import PARAMETERS
from dse.errors import Issue, Place, SpecError
from dse.samplers import make_sampler
from dse.space import Space
from dse.sweep import FixedSpec, RangeSpec, Spec, ValuesSpec, WorkloadSpec, load_spec, parse_spec
from dse.sweep.reader import SECTIONS
from dse.sweep.schema import sweep_schema
from dse.sweep.search import OWN_SAMPLERS, SAMPLERS
from dse.yaml_positions import Node, parse_yaml
from tests.sweeps import small

SWEEP = """\
name: small
workloads:
  chat: {model: llama2_70b, batch: 32}
space:
  node: {values: [tsmc_7, tsmc_5]}
  macs: {low: 1024, high: 65536, log: true, levels: 7}
  memory: hbm3
objectives:
  - {metric: chat.tpot_ms, direction: minimize}
constraints:
  - {metric: tdp_w, max: 150 W}
baselines:
  pair: {chips: 2x a100_80gb_sxm, weight_format: bf16}
search: {sampler: sobol, n_designs: 1_000, seed: 7}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SWEEP)
    return path


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


# -- what is read -------------------------------------------------------------------------------------------------


def test_a_sweep_becomes_records(file: Path) -> None:
    spec = load_spec(file)
    assert spec.name == "small"
    assert spec.workloads["chat"].batch == 32
    assert spec.workloads["chat"].required
    assert spec.constraints[0].max == 150
    assert spec.constraints[0].label == "tdp_w <= 150"
    assert (spec.baselines["pair"].count, spec.baselines["pair"].chip) == (2, "a100_80gb_sxm")
    assert (spec.search.n_designs, spec.search.seed) == (1000, 7)
    assert spec.source_text == SWEEP
    node, macs, memory = (spec.space[name][0] for name in ("node", "macs", "memory"))
    assert isinstance(node, ValuesSpec) and node.values == ("tsmc_7", "tsmc_5")
    assert isinstance(macs, RangeSpec) and macs.type == "int" and macs.log
    assert isinstance(memory, FixedSpec) and memory.value == "hbm3"


def test_every_sweep_of_the_repository_is_valid() -> None:
    sweeps = sorted((Path(__file__).parents[3] / "sweeps").glob("*.yaml"))
    assert sweeps
    for sweep in sweeps:
        assert load_spec(sweep).name == sweep.stem


def test_records_are_frozen_and_travel(file: Path) -> None:
    spec = load_spec(file)
    with pytest.raises(ValueError, match="frozen"):
        spec.name = "other"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(spec)) == spec


@pytest.mark.parametrize(
    ("written", "metric", "bound"),
    [
        ("max: 0.04 s", "chat.tpot_ms", 40.0),
        ("max: 1.2 kW", "tdp_w", 1200.0),
        ("max: 8 cm2", "die_mm2", 800.0),
        ("max: 5 %", "edge_fraction", 0.05),
        ("max: 1_000", "cost_usd", 1000.0),
        ("max: 1e3", "cost_usd", 1000.0),
    ],
)
def test_bounds_are_in_the_unit_of_their_metric(written: str, metric: str, bound: float, file: Path) -> None:
    file.write_text(SWEEP.replace("metric: tdp_w, max: 150 W", f"metric: {metric}, {written}"))
    assert load_spec(file).constraints[0].max == pytest.approx(bound)


@pytest.mark.parametrize(("within", "share"), [("3 %", 0.03), ("0.03", 0.03), ("20 W", 0.02)])
def test_near_has_a_tolerance_as_a_fraction_or_in_the_unit(within: str, share: float, file: Path) -> None:
    file.write_text(SWEEP.replace("max: 150 W", f"near: 1 kW, within: {within}"))
    constraint = load_spec(file).constraints[0]
    assert (constraint.near, constraint.within) == (1000.0, pytest.approx(share))


def test_a_relative_bound_is_a_multiple(file: Path) -> None:
    file.write_text(SWEEP.replace("max: 150 W", "max: 50 %, relative_to: pair"))
    constraint = load_spec(file).constraints[0]
    assert (constraint.max, constraint.relative_to) == (0.5, "pair")
    assert constraint.label == "tdp_w <= 0.5 x pair"
    assert "'150 W' is not a number" in replaced(file, ("max: 150 W", "max: 150 W, relative_to: pair"))[0]


@pytest.mark.parametrize(
    ("declared", "kind", "levels"),
    [
        ("{low: 1, high: 3, step: 1}", "int", [1, 2, 3]),
        ("{low: 1, high: 2.0, step: 0.5}", "float", [1, 1.5, 2]),
        ("{low: 1, high: 2, levels: 3, type: float}", "float", [1, 1.5, 2]),
        ("{low: 1.0, high: 3.0, step: 1.0, type: int}", "int", [1, 2, 3]),
        ("{low: 500 MHz, high: 1.5 GHz, levels: 3}", "float", [0.5, 1, 1.5]),
    ],
)
def test_the_type_of_a_range_is_how_it_is_written(declared: str, kind: str, levels: list[float], file: Path) -> None:
    file.write_text(SWEEP.replace("  memory: hbm3", f"  clock_ghz: {declared}"))
    spec = load_spec(file)
    clock = spec.space["clock_ghz"][0]
    assert isinstance(clock, RangeSpec) and clock.type == kind
    assert list(Space(spec).grid_levels("clock_ghz")) == levels


def test_parameters_that_are_counts_are_whole_however_they_are_written(file: Path) -> None:
    file.write_text(SWEEP.replace("low: 1024, high: 65536", "low: 1e3, high: 1.0e5"))
    macs = load_spec(file).space["macs"][0]
    assert isinstance(macs, RangeSpec) and macs.type == "int"


def test_economics_and_parameters(file: Path) -> None:
    file.write_text(
        SWEEP + "economics: {units: 150_000}\ntechnology: {tco.pue: 1.2, tco.utilisation: {typ: 50 %, low: 0.4}}\n"
    )
    spec = load_spec(file)
    assert spec.economics.units == 150_000
    assert 0 < spec.economics.margin < 1
    assert spec.technology == {"tco.pue": 1.2, "tco.utilisation": 0.5}
    assert spec.parameters["tco.utilisation"].low == 0.4


# -- YAML ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e9", 1e9), ("1.0e9", 1e9), ("1e-3", 1e-3), (".5", 0.5), ("150_000", 150_000), ("010", 10), ("0x1F", 31),
        ("0o17", 15), ("on", "on"), ("off", "off"), ("yes", "yes"), ("no", "no"), ("y", "y"), ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"), ("true", True), ("False", False), ("'1e9'", "1e9"), ("1.2 TB/s", "1.2 TB/s"),
        ("1_", "1_"), ("~", None), ("", None), ("=", "="),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    read = parse_yaml(f"a: {text}\n", "f").plain()["a"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "f: is empty"),
        ("# nothing\n", "f: is empty"),
        ("a: 1\na: 2\n", "f:2:1  a: the key a is given twice (first in line 1)"),
        ("a: {b: 1,\n  b: 2}\n", "f:2:3  a.b: the key b is given twice (first in line 1)"),
        ("a: [1, .nan]", "f:1:8  a[1]: .nan is not a finite number"),
        ("a: -.inf", "f:1:4  a: -.inf is not a finite number"),
        ("a: 1e999", "f:1:4  a: 1e999 is not a finite number"),
        ("a: 1\n---\nb: 2\n", "f:2:1: a second document"),
        ("a: !!python/object:os.system x", "the tag tag:yaml.org,2002:python/object:os.system has no meaning"),
        ("a: !f x", "the tag !f has no meaning"),
        ("<<: {a: 1}", "f:1:1: merge keys (<<) are not followed; use extends"),
        ("a: *x", "f:1:4  a: the alias *x has no anchor"),
        ("a: &x [*x]", "the alias *x has no anchor"),
        ("? [1]\n: 2", "f:1:3: a key is a list or a mapping"),
        ("a: [1", "f:2:1: is not YAML: while parsing a flow sequence"),
        ("a: b: c", "is not YAML: mapping values are not allowed in this context"),
        ("\ta: 1", "f:1:1: is not YAML"),
        ("a: \x07", "is not YAML: unacceptable character"),
        *((text * count, "is nested deeper than 40 levels") for text in ("[", "{a: ", "- ") for count in (50, 3000)),
        ("[" * 40 + "]" * 39, "is not YAML: while parsing a flow sequence"),
        ("a: " + "9" * 5000, "is not a finite number"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(text: str, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_yaml(text, "f")
    assert any(says in str(issue) for issue in caught.value.issues), str(caught.value)


def test_aliases_are_followed_but_not_to_the_end_of_memory() -> None:
    assert parse_yaml("a: &x [1, 2]\nb: *x\n", "f").plain() == {"a": [1, 2], "b": [1, 2]}
    laughs = "a0: &a0 [x]\n" + "".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 12))
    with pytest.raises(SpecError, match="more than 20000 values"):
        parse_yaml(laughs, "f")


def test_columns_count_characters() -> None:
    tree = parse_yaml("é: {ü: [ö, 1]}\n", "f")
    node = tree.at(("é", "ü", 1))
    assert isinstance(node, Node)
    assert (node.value, node.place) == (1, Place("f", 1, 12))


@settings(max_examples=150)
@given(st.text(st.sampled_from("ab1:-_ \n{}[],&*!|>'\"#?%@\t.e~é\x00"), max_size=40))
def test_any_text_is_a_tree_or_an_issue(text: str) -> None:
    try:
        parse_yaml(text, "f").plain()
    except SpecError as error:
        assert error.issues


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe\x00a", "is not UTF-8 text"),
        (None, "cannot be read: No such file"),
        (b"- a\n", "a list is not a mapping"),
    ],
)
def test_unreadable_files(content: bytes | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecError, match=says):
        load_spec(path)


def test_a_directory_is_not_a_sweep_and_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read: it is not a regular file"):
        load_spec(tmp_path)
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SWEEP.encode())
    assert load_spec(path).name == "small"


# -- issues -------------------------------------------------------------------------------------------------------


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
            "small.yaml:3:29  workloads.chat.batch_size: the key 'batch_size' is not .*perhaps batch",
        ),
        ("levels: 7", "level: 7", "space.macs.level: the key 'level' is not .*perhaps levels"),
        ("values: [tsmc_7, tsmc_5]", "choices: [tsmc_7]", "small.yaml:5:10  space.node.choices: .*perhaps values"),
        ("low: 1024, high: 65536", "min: 1024, max: 65536", "space.macs.min: the key 'min' .*perhaps low"),
        ("direction: minimize", "goal: minimize", "objectives.0..goal: the key 'goal' .*perhaps direction"),
        ("max: 150 W", "upper: 150 W", "constraints.0..upper: .*perhaps max"),
        ("n_designs:", "n_trials:", "search.n_trials: .*perhaps n_designs"),
        ("sampler:", "method:", "search.method: .*perhaps sampler"),
        ("memory: hbm3", "memori: hbm3", "small.yaml:7:3  space.memori: 'memori' is not a parameter.*perhaps memory"),
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
        ("batch: 32", "batch: -2.5", "workloads.chat.batch: -2.5 is not above 0"),
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
    assert "the shares add up to 1.1" in text
    assert "perhaps evolve" in text
    assert "search.options.evolve.population: 1 is not at least 4" in text


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


@settings(max_examples=300, deadline=None)
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


# -- extends and overrides ----------------------------------------------------------------------------------------


def test_extends_merges_and_the_child_wins(file: Path) -> None:
    child = file.parent / "child.yaml"
    child.write_text(
        "extends: small.yaml\nname: child\nworkloads: {chat: {batch: 1}}\n"
        "space:\n  macs: {high: 2048}\n  memory:\n  kv_bits: 4\n"
    )
    spec = load_spec(child)
    macs = spec.space["macs"][0]
    assert isinstance(macs, RangeSpec) and (macs.low, macs.high, macs.levels) == (1024, 2048, 7)
    assert set(spec.space) == {"node", "macs", "kv_bits"}
    assert (spec.name, spec.workloads["chat"].batch, spec.workloads["chat"].model) == ("child", 1, "llama2_70b")
    assert spec.source_text == child.read_text()


def test_what_is_declared_anew_replaces_the_old(file: Path) -> None:
    child = file.parent / "child.yaml"
    child.write_text(
        "extends: small.yaml\nsearch: {sampler: grid}\nconstraints: []\n"
        "space:\n  macs: {values: [1, 2]}\n  node: tsmc_5\n"
    )
    spec = load_spec(child)
    assert isinstance(spec.space["macs"][0], ValuesSpec)
    assert isinstance(spec.space["node"][0], FixedSpec)
    assert (spec.search.sampler, spec.search.n_designs, spec.search.seed) == ("grid", None, 0)
    assert spec.constraints == ()


def test_issues_point_into_the_file_they_stand_in(file: Path) -> None:
    child = file.parent / "child.yaml"
    file.write_text(SWEEP.replace("llama2_70b", "llama2_71b"))
    child.write_text("extends: small.yaml\nsearch: {sede: 3}\n")
    with pytest.raises(SpecError) as caught:
        load_spec(child)
    assert [(Path(f.place.file).name, f.place.line) for f in caught.value.issues] == [
        ("child.yaml", 2),
        ("small.yaml", 3),
    ]


@pytest.mark.parametrize(
    ("extends", "says"),
    [
        ("child.yaml", "child.yaml:1:10  extends: goes round in a circle: child.yaml -> child.yaml"),
        ("nothing.yaml", "nothing.yaml cannot be read: No such file"),
        ("[small.yaml]", "a list is not the path of one sweep file"),
    ],
)
def test_extends_that_leads_nowhere(extends: str, says: str, tmp_path: Path) -> None:
    child = tmp_path / "child.yaml"
    child.write_text(f"extends: {extends}\n")
    with pytest.raises(SpecError) as caught:
        load_spec(child)
    assert says in str(caught.value)


def test_a_circle_of_two_is_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(SpecError, match=r"circle: a\.yaml -> b\.yaml -> a\.yaml"):
        load_spec(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("search.seed=3", ("search", "seed"), 3),
        ("search.n_designs=2e6", ("search", "n_designs"), 2_000_000),
        ("name=other", ("name",), "other"),
        ("constraints[0].max=80 W", ("constraints", 0, "max"), 80.0),
        ("constraints.0.max=80 W", ("constraints", 0, "max"), 80.0),
        ("space.macs.levels=3", ("space", "macs", "levels"), 3),
        ("space.macs=4096", ("space", "macs"), 4096.0),
        ("space.chat.batch=4", ("space", "chat.batch"), 4.0),
        ("space.chat.batch.values=[1, 2]", ("space", "chat.batch", "values"), [1.0, 2.0]),
        ("space.technology.tco.pue=1.1", ("space", "technology.tco.pue"), 1.1),
        ("technology.tco.pue=1.1", ("technology", "tco.pue"), 1.1),
        ("technology.tco.pue.typ=1.1", ("technology", "tco.pue"), 1.1),
        ("workloads.chat.batch=64", ("workloads", "chat", "batch"), 64),
        ("workloads.more={model: llama2_7b}", ("workloads", "more", "model"), "llama2_7b"),
    ],
)
def test_overrides(override: str, path: tuple[Any, ...], value: object, file: Path) -> None:
    data: Any = load_spec(file, overrides=[override]).resolved()
    for key in path:
        data = data[key]
    assert data == value


def test_later_overrides_win_and_empty_ones_remove(file: Path) -> None:
    spec = load_spec(file, overrides=["search.seed=3", "search.seed=4", "space.memory="])
    assert spec.search.seed == 4
    assert "memory" not in spec.space


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("search.sede=3", "--set search.sede=3  search.sede: the key 'sede' is not .*perhaps seed"),
        ("search.seed", "'search.seed' is not of the form a.b=value"),
        ("=3", "'=3' is not of the form a.b=value"),
        ("search.seed.x=3", "--set search.seed.x=3  search.seed: 7 has no key x"),
        ("constraints[4].max=3", "4 is not an entry of constraints, which has 1"),
        ("a[b=3", r"'a\[b' is not a dotted path"),
        ("chat.batch=64", "'chat.batch' is no key of a sweep; perhaps workloads.chat.batch"),
        ("search.seed=[1", "--set search.seed=.1: is not YAML"),
        ("space.nothing=", "space.nothing: is not there, so it cannot be removed"),
        ("space.macs.low=-1", "--set space.macs.low=-1  space.macs.low: -1 is not above 0"),
    ],
)
def test_wrong_overrides(override: str, says: str, file: Path) -> None:
    with pytest.raises(SpecError, match=says):
        load_spec(file, overrides=[override])


# -- resolved and hash --------------------------------------------------------------------------------------------


def test_the_resolved_sweep_reads_back_and_lists_every_default(sweep: dict[str, Any]) -> None:
    sweep |= {"technology": {"tco.pue": {"typ": 1.2, "low": 1.1}}, "baselines": {"one": {"chips": "tpu_v4"}}}
    spec = parse_spec(sweep)
    resolved = spec.resolved()
    again = parse_spec(yaml.safe_load(yaml.safe_dump(resolved)))
    assert again.resolved() == resolved
    assert again.hash == spec.hash
    assert {name for name, p in PARAMETERS.items() if p.default is not None} <= set(resolved["space"])
    assert resolved["baselines"]["one"]["chips"] == "1x tpu_v4"
    assert Space(again).dimensions == Space(spec).dimensions


def test_defaults_that_are_whole_numbers_read_back_with_the_same_hash(sweep: dict[str, Any]) -> None:
    whole = {name for name, p in PARAMETERS.items() if isinstance(p.default, int)}
    sweep["space"] = {"node": {"values": ["tsmc_5", "tsmc_7"]}}
    spec = parse_spec(sweep)
    assert whole and not whole & set(sweep["space"])
    assert parse_spec(spec.resolved()).hash == spec.hash


def test_the_hash_is_of_the_meaning_not_of_the_writing(file: Path) -> None:
    spec = load_spec(file)
    data = yaml.safe_load(SWEEP.replace("1_000", "1000"))
    assert parse_spec(dict(reversed(data.items()))).hash == spec.hash
    data["search"]["batch_size"] = 65_536
    assert parse_spec(data).hash == spec.hash


CHANGES: list[tuple[tuple[Any, ...], Any]] = [
    (("name",), "x"),
    (("workloads", "chat", "batch"), 31),
    (("workloads", "chat", "model"), "llama2_7b"),
    (("workloads", "chat", "n_chips"), 2),
    (("workloads", "chat", "parallelism"), "pipeline"),
    (("workloads", "chat", "required"), False),
    (("workloads", "chat", "kv_bits"), 4),
    (("workloads", "chat", "act_bits"), 8),
    (("workloads", "chat", "weight_format"), "bf16"),
    (("workloads", "chat", "prompt_tokens"), 7),
    (("workloads", "chat", "output_tokens"), 7),
    (("space", "kv_bits"), 4),
    (("space", "macs", "levels"), 5),
    (("space", "macs", "log"), False),
    (("space", "memory_devices", "high"), 20),
    (("space", "memory_device_bits", "when"), {"memory": "hbm3"}),
    (("economics",), {"units": 3}),
    (("economics",), {"margin": 0.1}),
    (("economics",), {"nre_share": 0.9}),
    (("economics",), {"krw_per_usd": 1000}),
    (("economics",), {"yield_model": "poisson"}),
    (("technology",), {"tco.pue": 1.21}),
    (("technology",), {"tco.pue": {"typ": 1.3, "high": 1.4}}),
    (("objectives", 0, "direction"), "maximize"),
    (("objectives", 1, "metric"), "tdp_w"),
    (("constraints",), [{"metric": "tdp_w", "max": 3}]),
    (("constraints",), [{"metric": "tdp_w", "near": 3, "within": 0.1}]),
    (("baselines",), {"a": {"chips": "tpu_v4", "batch": 3}}),
    (("search", "sampler"), "random"),
    (("search", "seed"), 1),
    (("search", "n_designs"), 257),
    (("search", "batch_size"), 3),
    (("results",), {"keep_all_up_to": 5}),
]


@pytest.mark.parametrize(("path", "value"), CHANGES, ids=lambda part: str(part))
def test_no_key_is_read_and_forgotten(path: tuple[Any, ...], value: object, sweep: dict[str, Any]) -> None:
    before = parse_spec(sweep).hash
    place: Any = sweep
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert parse_spec(sweep).hash != before


def test_where_a_key_stands(file: Path) -> None:
    spec: Spec = load_spec(file)
    assert spec.place_of("space.macs") == Place(str(file), 6, 3)
    assert spec.place_of("space.macs.step") == Place(str(file), 6, 3)
    assert spec.place_of("constraints[0].max") == Place(str(file), 11, 21)


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name not in ("gp", "cmaes")])
def test_every_sampler_that_a_sweep_may_name_exists(name: str, sweep: dict[str, Any]) -> None:
    space = Space(parse_spec(sweep))
    n_designs = None if name == "grid" else 16
    sampler = make_sampler(name, space, n_designs=n_designs, seed=0, n_objectives=2)
    assert sampler.ask(4)
    assert name in OWN_SAMPLERS or "Optuna" in sampler.describe()[0]


# -- schema for editors -------------------------------------------------------------------------------------------


def test_the_schema_knows_every_key_and_name() -> None:
    schema = sweep_schema(shipped_library())
    library = shipped_library()
    assert set(schema["properties"]) == set(SECTIONS)
    workload = schema["properties"]["workloads"]["additionalProperties"]["anyOf"][0]
    assert set(workload["properties"]) == set(WorkloadSpec.model_fields)
    assert workload["properties"]["model"]["anyOf"][0]["enum"] == list(library.models)
    space = schema["properties"]["space"]
    assert set(space["properties"]) == set(PARAMETERS)
    assert space["properties"]["node"]["anyOf"][0]["enum"] == list(library.nodes)
    assert schema["properties"]["technology"]["propertyNames"]["enum"] == list(library.parameters)
    assert len(json.dumps(schema)) < 300_000


def test_issues_of_the_text_and_of_the_content_are_told_together(tmp_path: Path) -> None:
    file = tmp_path / "both.yaml"
    file.write_text(
        "name: a\nname: b\nworkloads: {w: {model: llama3_8b}}\nspace: {node: tsmc_99, clock_ghz: .inf}\n"
        "objectives: [{metric: cost_usd, direction: minimise}]\nsearch: {sampler: grid}\n"
    )
    with pytest.raises(SpecError) as caught:
        load_spec(file)
    reported = [(issue.place.line, issue.path) for issue in caught.value.issues]
    assert reported == [(2, "name"), (4, "space.node"), (4, "space.clock_ghz"), (5, "objectives[0].direction")]


def test_a_tab_is_called_a_tab(tmp_path: Path) -> None:
    (tmp_path / "tab.yaml").write_text("name: a\nworkloads:\n\tchat: {model: llama3_8b}\n")
    with pytest.raises(SpecError, match="perhaps a tab"):
        load_spec(tmp_path / "tab.yaml")


def _continuous(**fields):
    """Return a sweep with one workload that is batched continuously."""
    chat = {"model": "llama3_8b", "batching": "continuous", "prompt_tokens": 512, "output_tokens": 128, **fields}
    return {
        "name": "traffic",
        "workloads": {"chat": {key: value for key, value in chat.items() if value is not None}},
        "space": {"memory_devices": {"values": [8, 16]}},
        "objectives": [{"metric": "chat.goodput_tokens_per_s", "direction": "maximize"}],
        "search": {"sampler": "grid"},
    }


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"batching": "static"}, "needs requests that are batched continuously"),
        ({"batching": "static", "arrivals_per_s": 2}, "has no part in batching: static"),
        ({"arrivals_per_s": 2, "concurrency": 8}, "requests arrive, or follow one another"),
        ({"batch": 16, "arrivals_per_s": 2}, "batch has no part in batching: continuous"),
        ({"prompt_p95_tokens": 400, "arrivals_per_s": 2}, "above prompt_tokens 512"),
        ({"prompt_p95_tokens": 40000, "arrivals_per_s": 2}, "above prompt_tokens 512"),
        ({"arrivals_per_s": -1}, "above 0"),
        ({"limit_percentile": 101, "arrivals_per_s": 2}, "at most 99.9"),
        ({}, "arrivals_per_s, concurrency, ttft_limit_ms or tpot_limit_ms"),
    ],
)
def test_traffic_that_cannot_be_is_refused_with_its_place(fields, words):
    with pytest.raises(SpecError) as caught:
        parse_spec(_continuous(**fields))
    assert words in str(caught.value) and "chat" in str(caught.value)


def test_traffic_is_read_back_as_it_was():
    spec = parse_spec(_continuous(arrivals_per_s=2, arrival_cv=1.5, output_p95_tokens=300, limit_percentile=95))
    assert parse_spec(spec.resolved()).hash == spec.hash
