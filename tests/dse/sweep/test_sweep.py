"""The sweep file: what is read, what is refused, and where the messages point."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml

from cost_models.library import shipped_library
from cost_models.quantities.parameters import PARAMETERS
from dse.errors import Place, SpecError
from dse.samplers import make_sampler
from dse.space import Space
from dse.sweep import FixedSpec, RangeSpec, Spec, ValuesSpec, WorkloadSpec, load_spec, parse_spec
from dse.sweep.reader import SECTIONS
from dse.sweep.schema import sweep_schema
from dse.sweep.search import OWN_SAMPLERS, SAMPLERS
from tests.dse.sweep.test_issues import replaced
from tests.sweeps import TEXT as SWEEP

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
    space = Space(spec)
    assert sorted(set(space.grid(0, space.grid_size)["clock_ghz"])) == levels


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
