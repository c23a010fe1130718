"""Numbers, samplers, names and files that a sweep may say, just inside and just outside of each rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from cost_models.library import shipped_library
from cost_models.quantities.metrics import METRICS
from cost_models.quantities.parameters import PARAMETERS
from cost_models.workload.trace import read_trace
from dse.errors import Place, SpecError
from dse.sweep import library_additions, parse_spec, shipped
from dse.sweep.fields import ValidationContext
from dse.sweep.goals import ConstraintSpec
from dse.sweep.library_additions import model_stem
from dse.sweep.parameters import RangeSpec, ValuesSpec, kind_of
from dse.sweep.records import EconomicsSpec, LibraryParameterSpec, ResultsSpec, RobustnessSpec
from dse.sweep.search import ChainOptions, EvolveOptions, OptunaOptions, SearchSpec, is_optuna, options_kind, stages_of
from dse.sweep.traces import TraceSpec
from dse.sweep.user_model import ModelSpec, UserMetric, check_user_metric_name, metric_entry
from dse.sweep.workloads import SessionsSpec
from dse.yaml_positions import parse_yaml
from tests.sweeps import small


def says(kind: Any, **fields: Any) -> str:
    """What is wrong with a record, "" where nothing is."""
    try:
        kind.model_validate(fields)
    except ValidationError as error:
        (one,) = error.errors()
        told = one.get("ctx", {})
        return f"{told['what']} is not {told['must_be']}" if told.get("must_be") else str(told.get("what", one["msg"]))
    return ""


@pytest.mark.parametrize(
    ("kind", "field", "inside", "outside"),
    [
        (EvolveOptions, "population", (4, 100_000), (3, 100_001, 4.5)),
        (EvolveOptions, "crossover_probability", (0, 1), (-0.01, 1.01)),
        (EvolveOptions, "crossover_eta", (1e-3, 900), (0, -1)), (EvolveOptions, "mutation_eta", (1e-3, 900), (0, -1)),
        (EvolveOptions, "mutation_probability", (0, 1), (-0.01, 1.01)),
        (EvolveOptions, "algorithm", ("nsga2", "nsga3"), ("nsga", 2)),
        (OptunaOptions, "batch", (1, 50), (0, 1.5)), (RobustnessSpec, "draws", (2, 100_000), (1, 100_001)),
        (RobustnessSpec, "seed", (0, 2**32 - 1), (-1, 2**32)), (RobustnessSpec, "designs", (1, 9), (0,)),
        (ResultsSpec, "keep_all_up_to", (0, 9), (-1, 0.5)), (EconomicsSpec, "margin", (0, 0.99), (-0.1, 0.991)),
        (EconomicsSpec, "units", (0.5, 1e6), (0, -1)), (EconomicsSpec, "nre_share", (0, 1), (-0.1, 1.1)),
        (EconomicsSpec, "price_year", (2023, 2026), (2022, 2027)), (EconomicsSpec, "krw_per_usd", (0.5,), (0,)),
        (EconomicsSpec, "yield_model", ("murphy", "poisson"), ("bose",)),
    ],
)  # fmt: skip
def test_a_number_is_taken_up_to_its_ends(kind: Any, field: str, inside: Any, outside: Any) -> None:
    for value in inside:
        assert says(kind, **{field: value}) == "", value
    for value in outside:
        assert says(kind, **{field: value}) != "", value


def test_what_is_left_out_is_as_users_know_it() -> None:
    assert EvolveOptions().model_dump() == {
        "algorithm": "nsga2", "population": None, "crossover_probability": 0.9, "crossover_eta": 15.0,
        "mutation_eta": 20.0,
        "mutation_probability": None,
    }  # fmt: skip
    assert RobustnessSpec().model_dump() == {"draws": 2000, "seed": 0, "designs": 1000}
    assert ResultsSpec().keep_all_up_to == 200_000 and set(EconomicsSpec().model_dump().values()) == {None}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"sampler": "grid"}, ""), ({"sampler": "sobol"}, "n_designs is missing; only the sampler grid can do without"),
        ({"sampler": "sobol", "n_designs": 1}, ""), ({"sampler": "sobol", "n_designs": 0}, "0 is not at least 1"),
        ({"sampler": "sobol + evolve", "n_designs": 9}, ""), ({"sampler": "evolve+sobol",
        "n_designs": 9}, "'sobol' takes nothing over"),
        ({"sampler": "random+optuna:TPESampler", "n_designs": 9}, ""), ({"sampler": "evolve+evolve",
        "n_designs": 9}, "'evolve' stands twice"),
        ({"sampler": "optuna:Nothing", "n_designs": 9}, "'optuna:Nothing' is not optuna:TPESampler"),
        ({"sampler": 7}, "7 is not grid"),
        ({"sampler": "tpe", "n_designs": 9, "storage": "a.log"}, ""), ({"sampler": "sobol", "n_designs": 9,
        "storage": "a.log"}, "a storage goes with"),
        ({"sampler": "tpe+nsgaii", "n_designs": 9, "storage": "a.log"}, "a storage goes with"),
        ({"sampler": "tpe", "n_designs": 9, "study": "s"}, "study goes with a storage"),
        ({"sampler": "tpe", "n_designs": 9, "join": True}, "join goes with a storage"),
        ({"sampler": "tpe", "n_designs": 9, "join": False}, ""),
        ({"sampler": "tpe", "n_designs": 9, "study": "s", "join": True, "storage": "a.log"}, ""),
        ({"sampler": "sobol+evolve", "n_designs": 9,
        "options": {"shares": [1]}}, "options.shares has 1 entries for 2 stages"),
        ({"sampler": "sobol+evolve", "n_designs": 9, "options": {"shares": [0.5, 0.5]}}, ""),
        ({"sampler": "evolve", "n_designs": 9, "options": {"shares": [1, 2]}}, ""), ({"sampler": "grid",
        "options": [1]}, "a list is not a mapping"),
    ],
)  # fmt: skip
def test_a_search_is_what_its_sampler_can_do(fields: Any, told: str) -> None:
    found = says(SearchSpec, **fields)
    assert found == told if not told else found.startswith(told)


@pytest.mark.parametrize(
    ("shares", "fine"),
    [([0.5, 0.5], True), ([0.5, 0.5 + 0.9e-6], True), ([0.5, 0.5 - 0.9e-6], True), ([0.5, 0.5 + 1.1e-6], False),
    ([1.0, 0.0], False),
     ([1.5, -0.5], False), ([True], False), ([1], True), ("all", False), (0.5, False), (["1"], False)],
)  # fmt: skip
def test_shares_add_up_to_the_whole(shares: Any, fine: bool) -> None:
    assert (says(ChainOptions, shares=shares) == "") == fine


def test_names_of_samplers_are_told_apart() -> None:
    assert [is_optuna(name) for name in ("tpe", "optuna:TPESampler", "evolve", "tpe+nsgaii", "optuna:A+tpe")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert stages_of(" sobol + evolve") == ("sobol", "evolve") and stages_of("grid") == ("grid",)
    kinds = {
        "grid": "Grid",
        "evolve": "Evolve",
        "sobol": "Sampler",
        "random": "Sampler",
        "tpe": "Optuna",
        "optuna:X": "Optuna",
    }
    assert {name: options_kind(name).__name__ for name in kinds} == {name: f"{k}Options" for name, k in kinds.items()}


@pytest.mark.parametrize(
    ("ends", "fine"),
    [
        ((1, 1, 1), True),
        ((1, 2, 3), True),
        ((2.1, 2, 3), False),
        ((1, 2, 1.9), False),
        ((None, 2, 2), True),
        ((2, 2, None), True),
    ],
)
def test_a_parameter_lies_within_its_range(ends: Any, fine: bool) -> None:
    low, typ, high = ends
    told = {"typ": typ} | ({} if low is None else {"low": low}) | ({} if high is None else {"high": high})
    found = LibraryParameterSpec.model_construct(**{"low": None, "high": None, **told})
    if fine:
        assert found._in_order() is found
    else:
        with pytest.raises(PydanticCustomError):
            found._in_order()


def constraint(**fields: Any) -> ConstraintSpec:
    usual = {"metric": "m", "relative_to": None, "max": None, "min": None, "near": None, "within": None}
    return ConstraintSpec.model_construct(**{**usual, **fields})


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"max": 3.0}, "m <= 3"), ({"min": 0.5}, "m >= 0.5"), ({"min": 1.0, "max": 1.0}, "1 <= m <= 1"),
        ({"min": 1.0, "max": 2.0, "relative_to": "b"}, "1 x b <= m <= 2 x b"), ({"near": 2.0,
        "within": 0.05}, "m = 2 +- 5 %"),
        ({"near": 2.0, "within": 0.05, "relative_to": "b"}, "m = 2 x b +- 5 %"), ({"near": -2.0,
        "within": 0.0}, "m = -2 +- 0 %"),
        ({"max": 0.0}, "m <= 0"), ({"max": 1e-9, "relative_to": "b"}, "m <= 1e-09 x b"),
        ({}, None), ({"near": 2.0}, None), ({"within": 0.1}, None), ({"near": 2.0, "within": 0.1, "max": 3.0}, None),
        ({"near": 2.0, "within": 0.1, "min": 3.0}, None), ({"near": 0.0, "within": 0.1}, None), ({"min": 2.0,
        "max": 1.9}, None),
        ({"max": 0.0, "relative_to": "b"}, None), ({"min": -1.0, "relative_to": "b"}, None),
        ({"near": -1.0, "within": 0.1, "relative_to": "b"}, None), ({"max": 1.0, "within": 0.1}, None),
    ],
)  # fmt: skip
def test_a_constraint_says_one_thing(fields: Any, label: str | None) -> None:
    one = constraint(**fields)
    if label is None:
        with pytest.raises(PydanticCustomError):
            one._says_one_thing()
    else:
        assert one._says_one_thing().label == label


@pytest.mark.parametrize(
    ("tier", "fine"),
    [({}, True), ({"tier": "ddr5", "tier_gib": 4.0}, True), ({"tier": "ddr5"}, False), ({"tier_gib": 4.0}, False),
    ({"tier_gbps": 4.0}, False),
     ({"tier": "ddr5", "tier_gbps": 4.0}, False), ({"tier": "ddr5", "tier_gib": 4.0, "tier_gbps": 4.0}, True)],
)  # fmt: skip
def test_a_tier_has_a_capacity_and_nothing_without_it(tier: Any, fine: bool) -> None:
    fields = {"turns": 3, "think_s": 2.0, "tier": None, "tier_gib": None, "tier_gbps": None, **tier}
    one = SessionsSpec.model_construct(**fields)
    if fine:
        assert one._tier_whole() is one
    else:
        with pytest.raises(PydanticCustomError):
            one._tier_whole()


# --- a model of one's own ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "unit", "fine"),
    [
        ("noise_db", None, True), ("noise_db", "dB", True), ("tdp_w", None, True), ("tdp_w", "W", True),
        ("tdp_w", "kW", False),
        ("chat.tpot_ms", "ms", True), ("chat.tpot_ms", "s", False), ("tpot_ms", None, False),
        ("code.tpot_ms", None, False),
        ("noise-db", None, False), ("1x", None, False), ("macs", None, False), ("feasible", None, False),
        ("id", None, False), (3, None, False),
    ],
)  # fmt: skip
def test_a_metric_of_a_model_has_a_name_of_its_own_or_a_built_in_ones_unit(name: Any, unit: Any, fine: bool) -> None:
    known = ("tdp_w", "chat.tpot_ms")
    if fine:
        check_user_metric_name(name, unit, known)
    else:
        with pytest.raises(PydanticCustomError):
            check_user_metric_name(name, unit, known)


def test_a_metric_has_the_unit_of_its_name_unless_it_is_told() -> None:
    assert metric_entry("noise_w", UserMetric()).unit == "W" and metric_entry("noise", UserMetric()).unit == ""
    assert (
        metric_entry("noise_w", UserMetric(unit="")).unit == ""
        and metric_entry("x", UserMetric(better="max")).better == "max"
    )
    own = {name: UserMetric() for name in ("noise", "chat.tpot_ms", "tdp_w")}
    made = ModelSpec.model_construct(function=None, command=("python3", "x.py"), metrics=own)
    assert list(made.described) == ["noise"] and made.words == "python3 x.py" and "tpot_ms" in METRICS


@pytest.mark.parametrize(
    ("fields", "fine"),
    [
        ({"function": "a:b"}, True), ({"command": ["x"]}, True), ({}, False), ({"function": "a:b",
        "command": ["x"]}, False),
        ({"function": "a"}, False), ({"function": "a.b:c.d"}, True), ({"function": "1a:b"}, False),
        ({"command": []}, False),
        ({"command": [""]}, False), ({"command": "x"}, False), ({"function": "a:b", "retries": 100}, True),
        ({"function": "a:b", "retries": 101}, False), ({"function": "a:b", "retries": -1}, False),
        ({"function": "a:b", "timeout_s": 0}, False),
        ({"function": "a:b", "timeout_s": 0.1}, True), ({"function": "a:b", "batch": 0}, False),
        ({"function": "a:b", "metrics": {}}, False),
        ({"function": "a:b", "replace": 1}, False),
    ],
)  # fmt: skip
def test_a_model_is_a_function_or_a_command(fields: Any, fine: bool) -> None:
    assert (says(ModelSpec, **fields) == "") == fine


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_file_of_a_model_is_called_after_itself_or_its_folder(tmp_path: Path) -> None:
    (tmp_path / "Qwen3-8B").mkdir()
    assert model_stem(tmp_path / "Qwen3-8B" / "config.json") == "Qwen3-8B" and model_stem(tmp_path / "a.gguf") == "a"
    assert library_additions._beside(Place("x/y.yaml", 3), "m.json") == Path("x/m.json")
    assert library_additions._beside(Place("--set a=b"), "m.json") == Path("m.json")


def test_what_is_added_stands_at_the_innermost_place_that_is_there() -> None:
    node = parse_yaml("chips:\n  mine:\n    year: 1\n", "f")
    places = {
        keys: library_additions._place_in(node, keys)
        for keys in ((), ("chips",), ("chips", "mine", "year"), ("chips", "x", "y"), ("z",))
    }
    assert list(places.values()) == ["f:1:1", "f:2:3", "f:3:11", "f:2:3", "f:1:1"]


def test_shipped_sweeps_are_found_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = shipped.shipped_sweeps()
    assert shipped.sweep_file(Path("mach1")) == known["mach1"] == shipped.shipped_sweep("mach1") and list(
        known
    ) == sorted(known)
    assert shipped.sweep_file(Path("mach1.yaml")) == Path("mach1.yaml") and shipped.sweep_file(Path("a/mach1")) == Path(
        "a/mach1"
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mach1").mkdir()
    assert shipped.sweep_file(Path("mach1")) == Path("mach1")
    for ask in (lambda: shipped.sweep_file(Path("mach2")), lambda: shipped.shipped_sweep("mach2")):
        with pytest.raises(SpecError, match="perhaps mach1"):
            ask()
    file = tmp_path / "a.yaml"
    file.write_text("# one\n#  two #\n\n# three\n")
    assert shipped.first_words(file) == "one two #"
    file.write_text("name: x\n# one\n")
    assert shipped.first_words(file) == ""


def test_a_trace_is_kept_as_its_summary(tmp_path: Path) -> None:
    file = tmp_path / "requests.csv"
    file.write_text("arrival_s,prompt_tokens,output_tokens\n0,100,10\n1,300,20\n3,200,60\n")
    found = TraceSpec.of(file, read_trace(file))
    assert (found.requests, found.prompt_tokens, found.output_tokens) == (3, 200, 30) and found.file == str(file)
    assert (found.longest_tokens, found.longest_line) == (320, 3)
    assert found.percentiles["prompt_tokens"] == pytest.approx({50: 200, 95: 290, 99: 298})
    assert found.read().sha256 == found.sha256


# --- declarations -----------------------------------------------------------------------------------------------------


def declared(kind: Any, name: str, **fields: Any) -> str:
    """What is wrong with a declaration of a parameter, and what was perhaps meant; "" where nothing is."""
    context = ValidationContext(shipped_library(), (), {}, (), parameter=PARAMETERS[name])
    try:
        kind.model_validate(fields, context=context)
    except ValidationError as error:
        told = error.errors()[0].get("ctx", {})
        must_be = f" is not {told['must_be']}" if told["must_be"] else ""
        return f"{told['what']}{must_be}" + (f"; {told['perhaps']}" if told["perhaps"] else "")
    return ""


@pytest.mark.parametrize(
    ("name", "fields", "told"),
    [
        ("link_gbps", {"low": 1, "high": 2}, ""), ("link_gbps", {"low": 2, "high": 2}, "low 2 is not below high 2"),
        ("link_gbps", {"low": 3, "high": 2}, "low 3 is not below high 2; low and high swapped"),
        ("link_gbps", {"low": 0, "high": 2}, ""), ("link_gbps", {"low": 0, "high": 2,
        "log": True}, "low 0 of a range with log: true is not above 0"),
        ("link_gbps", {"low": 1, "high": 2, "log": True}, ""), ("link_gbps", {"low": 1, "high": 2, "levels": 2}, ""),
        ("link_gbps", {"low": 1, "high": 2, "levels": 1}, "1 is not at least 2 and at most 1000000"),
        ("link_gbps", {"low": 1, "high": 2, "levels": 1_000_000}, ""),
        ("link_gbps", {"low": 1, "high": 2, "levels": 1_000_001}, "1000001 is not at least 2 and at most 1000000"),
        ("link_gbps", {"low": 1, "high": 2, "levels": 2.5}, "2.5 is not a whole number"),
        ("link_gbps", {"low": 1, "high": 2, "step": 0}, "0 is not above 0"), ("link_gbps", {"low": 1,
        "high": 2, "step": -1}, "-1 is not above 0"),
        ("link_gbps", {"low": 1, "high": 2, "step": 1}, ""), ("link_gbps", {"low": 0.6, "high": 0.7, "step": 0.1}, ""),
        ("link_gbps", {"low": 1, "high": 2, "step": 1.1}, "step 1.1 is not at most high - low = 1"),
        ("link_gbps", {"low": 0, "high": 1000, "step": 0.001}, ""), ("link_gbps", {"low": 0, "high": 1001,
        "step": 0.001}, "step 0.001 makes more than 1000000 values"),
        ("link_gbps", {"low": 1, "high": 9, "step": 1,
        "levels": 3}, "step and levels are both given; one of them says which values there are"),
        ("link_gbps", {"low": 1, "high": 9, "step": 1, "log": True}, "step does not go with log: true; levels"),
        ("link_gbps", {"low": 1, "high": 9.5, "type": "int"}, "high 9.5 of a range of type int is not a whole number"),
        ("link_gbps", {"low": 1, "high": 9, "step": 0.5,
        "type": "int"}, "step 0.5 of a range of type int is not a whole number"),
        ("memory_devices", {"low": 1, "high": 9,
        "type": "float"}, "memory_devices takes whole numbers only: type float is not possible here; int"),
        ("link_gbps", {"low": 1, "high": 9,
        "when": {}}, "a mapping is not a mapping from another parameter to its values; {memory: [hbm3]}"),
        ("link_gbps", {"low": 1, "high": 9,
        "when": "x"}, "'x' is not a mapping from another parameter to its values; {memory: [hbm3]}"),
        ("link_gbps", {"low": 1, "high": 9, "when": {"memory": []}}, "the list of values of memory is empty"),
        ("link_gbps", {"low": 1, "high": 9, "when": {"memory": [True]}}, "true for memory is not a name or a number"),
        ("link_gbps", {"low": 1, "high": 9, "when": {"memory": [None]}}, "None for memory is not a name or a number"),
        ("link_gbps", {"low": 1, "high": 9, "when": {"memory": "hbm3", "dies": [1, 2.5]}}, ""),
    ],
)  # fmt: skip
def test_a_range_is_one_that_can_be(name: str, fields: Any, told: str) -> None:
    assert declared(RangeSpec, name, **fields) == told


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([1, 2], ""), ([1, 2, 1.0], "1 is listed twice"), ([], "an empty list is not a list of at least one value"),
        (7, "7 is not a list; [7]"),
        ("x", "'x' is not a list; [x]"), ({}, "a mapping is not a list"), ((3,), ""),
    ],
)  # fmt: skip
def test_values_are_a_list_without_repeats(values: Any, told: str) -> None:
    assert declared(ValuesSpec, "link_gbps", values=values) == told


@pytest.mark.parametrize(
    ("fields", "whole"),
    [({"low": 1, "high": 9}, True), ({"low": 1, "high": 9.0}, False), ({"low": "1", "high": "9"}, True),
    ({"low": "1 GB/s", "high": 9}, False),
     ({"low": 1, "high": 9, "step": 0.5}, False), ({"low": 1, "high": 9, "step": 2}, True), ({"low": 1.5,
     "high": 9, "type": "float"}, False)],
)  # fmt: skip
def test_a_range_is_of_whole_numbers_where_none_has_a_decimal(fields: Any, whole: bool) -> None:
    context = ValidationContext(shipped_library(), (), {}, (), parameter=PARAMETERS["link_gbps"])
    assert RangeSpec.model_validate(fields, context=context).type == ("int" if whole else "float")
    devices = ValidationContext(shipped_library(), (), {}, (), parameter=PARAMETERS["memory_devices"])
    assert RangeSpec.model_validate({"low": 1.0, "high": 9.0}, context=devices).type == "int"


def test_a_mapping_is_a_list_or_a_range_by_its_keys() -> None:
    told = {"values": ValuesSpec, "low": RangeSpec, "high": RangeSpec, "step": None}
    assert {key: kind_of({key: 1}) for key in told} == told
    assert kind_of({"values": 1, "low": 1}) is kind_of({"values": 1, "high": 1}) is None


ENDS: list[Any] = [{"low": 1.1}, {"high": 1.3}, {"low": 1.1, "high": 1.3}]


@pytest.mark.parametrize("told", [1.2, *({"typ": 1.2, **ends} for ends in ENDS)])
def test_a_replaced_parameter_is_written_as_it_is_read(told: Any) -> None:
    spec = parse_spec(small(technology={"tco.pue": told}))
    assert spec.written()["technology"] == {"tco.pue": told} and spec.technology == {"tco.pue": 1.2}
    assert parse_spec(spec.written()).hash == spec.hash != parse_spec(small()).hash
