"""Trees, addresses, words, units and rules between parts of a sweep: small tables with answers written by hand."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest

from dse import yaml_positions
from dse.errors import NOWHERE, Issue, Place, SpecError
from dse.sweep import parse_spec
from dse.sweep.checks import _circles, _overlaps, values_of
from dse.sweep.files import apply_overrides, merge
from dse.sweep.hints import METRIC_ALIASES, one_of, quoted, suggest, suggest_metric
from dse.sweep.issues import places_of, unknown_key
from dse.sweep.notices import context_warning, warnings_of
from dse.sweep.storage_url import Kind, check_storage_url, given_storage, kind_of, plain_url
from dse.units import UnitError, parse_quantity, split_quantity, unit_of_name, unit_of_suffix, wanted
from dse.yaml_positions import TextError, node_of, parse_yaml, path_text
from tests.sweeps import small

# --- trees ------------------------------------------------------------------------------------------------------------


TEXT = "a: &x {b: [1, {c: 2}], d: ~}\ne: *x\n\u00e9: 'w'\n"


def test_every_value_knows_its_path_and_its_place() -> None:
    tree = parse_yaml(TEXT, "f")
    told = {path_text(path): (node.plain(), str(node.place), str(node.key_place)) for path, node in tree.walk()}
    inner = {"b": [1, {"c": 2}], "d": None}
    assert told[""] == ({"a": inner, "e": inner, "\u00e9": "w"}, "f:1:1", "f:1:1")
    assert told["a"] == (inner, "f:1:4", "f:1:1") and told["a.b"] == (inner["b"], "f:1:11", "f:1:8")
    assert told["a.b[0]"] == (1, "f:1:12", "f:1:12") and told["a.b[1]"] == ({"c": 2}, "f:1:15", "f:1:15")
    assert told["a.b[1].c"] == (2, "f:1:19", "f:1:16") and told["a.d"] == (None, "f:1:27", "f:1:24")
    assert told["e"] == (inner, "f:2:4", "f:2:1"), "an alias stands where it is written"
    assert told["e.b[1].c"] == (2, "f:1:19", "f:1:16") and told["\u00e9"] == ("w", "f:3:4", "f:3:1")
    assert len(told) == 14


@pytest.mark.parametrize(
    ("path", "value"),
    [((), "whole"), (("a", "b", 0), 1), (("a", "b", 1, "c"), 2), (("a", "b", 2), None), (("a", 0), None),
    (("x",), None),
     (("a", "b", "0"), None), (("\u00e9", 0), None), (("a", "d", "x"), None)],
)  # fmt: skip
def test_a_path_leads_to_a_node_or_nowhere(path: Any, value: Any) -> None:
    tree = parse_yaml(TEXT, "f")
    found = tree.at(path)
    assert (found is tree) if value == "whole" else (found is None) == (value is None)
    assert value in (None, "whole") or (found is not None and found.value == value)


def test_places_of_what_is_not_there_are_those_of_what_is_above() -> None:
    tree = parse_yaml(TEXT, "f")
    assert [str(place) for place in places_of(tree, ("a", "b", 0))] == ["f:1:12", "f:1:12"]
    assert [str(place) for place in places_of(tree, ("a", "b"))] == ["f:1:11", "f:1:8"]
    assert [str(place) for place in places_of(tree, ("a", "x", "y"))] == ["f:1:1", "f:1:1"]
    assert [str(place) for place in places_of(tree, ("x",))] == ["f:1:1", "f:1:1"]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"a": [1, float("inf")]}, "a[1]: inf is not a finite number"), ({1: 2}, "the key 1 is not text"),
        ({"a": object()}, "a: a object is not text, a number, a list or a dict"),
        ({"a": {"b": {2: 1}}}, "a.b: the key 2"),
        ({"a": float("nan")}, "a: nan is not a finite number"),
    ],
)  # fmt: skip
def test_what_is_not_data_is_no_tree(value: Any, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        node_of(value)
    assert says in str(caught.value)


def test_data_is_a_tree_as_deep_as_forty() -> None:
    def nested(depth: int) -> Any:
        return [nested(depth - 1)] if depth else 1

    assert node_of((1, "a", None, True, {"b": 2.5})).plain() == [1, "a", None, True, {"b": 2.5}]
    assert node_of(nested(40)).plain() == nested(40)
    with pytest.raises(SpecError, match="deeper than 40 levels"):
        node_of(nested(41))
    assert parse_yaml("[" * 40 + "]" * 40, "f").plain() == nested_list(40)
    with pytest.raises(SpecError, match="deeper than 40 levels"):
        parse_yaml("[" * 41 + "]" * 41, "f")
    # An anchor of 20 levels below 20 others is as deep as is read.
    twenty = "a: &x " + "[" * 20 + "1" + "]" * 20
    assert parse_yaml(f"{twenty}\nb: " + "[" * 18 + "*x" + "]" * 18, "f")
    with pytest.raises(SpecError, match="deeper than 40 levels"):
        parse_yaml(f"{twenty}\nb: " + "[" * 19 + "*x" + "]" * 19, "f")


def nested_list(depth: int) -> Any:
    return [nested_list(depth - 1)] if depth > 1 else []


def test_so_many_values_are_read_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_positions, "MAX_VALUES", 9)
    # A mapping, two lists and six numbers; an alias counts what it stands for.
    for text, fine in (
        ("a: [1, 2, 3]\nb: [1, 2, 3]", True), ("a: [1, 2, 3]\nb: [1, 2, 3, 4]", False),
        ("a: &x [1, 2, 3]\nb: *x", True),
        ("a: &x [1, 2]\nb: [*x, 1]", True), ("a: &x [1, 2]\nb: [*x, 1, 2]", False),
        ("a: &x 1\nb: [*x, *x, *x, *x, *x, *x]", True),
        ("a: &x 1\nb: [*x, *x, *x, *x, *x, *x, *x]", False), ("a: &x [&y [1]]\nb: [*x, *y]", False),
        ("a: &x [&y [1]]\nb: [*y]", True),
    ):  # fmt: skip
        if fine:
            assert parse_yaml(text, "f")
        else:
            with pytest.raises(SpecError, match="holds more than 9 values"):
                parse_yaml(text, "f")


def test_a_repeated_key_keeps_its_first_value_and_digits_may_be_a_comma() -> None:
    with pytest.raises(TextError) as caught:
        parse_yaml("a: {low: 1,500, high: 2,500}", "f")
    assert str(caught.value.issues[-1]).endswith(
        "the key 500 is given twice (first in line 1); perhaps numbers with commas: write 1500, not 1,500"
    )
    with pytest.raises(TextError) as twice:
        parse_yaml("b: 1\nb: 2\n", "f")
    assert twice.value.tree is not None and twice.value.tree.plain() == {"b": 1}
    assert "perhaps" not in str(twice.value)
    fixed = parse_yaml("a: 1", "f", fixed=Place("--set"))
    assert {str(node.place) for _, node in fixed.walk()} == {"--set"}


@pytest.mark.parametrize(
    ("path", "text"),
    [((), ""), (("a",), "a"), (("a", 0, "b", 12), "a[0].b[12]"), ((0, "a"), "[0].a"), (("x" * 200,), "x" * 200),
     (("x" * 201, "b"), "x" * 200 + "....b")],
)  # fmt: skip
def test_a_path_is_written_as_people_do(path: Any, text: str) -> None:
    assert path_text(path) == text


# --- issues -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("issue", "text"),
    [
        (Issue(NOWHERE, "", "is empty"), "is empty"), (Issue(Place("f"), "", "is empty"), "f: is empty"),
        (Issue(Place("f", 3), "a.b", "7", "a name"), "f:3  a.b: 7 is not a name"),
        (Issue(Place("f", 3, 4), "a", "7", "a name", "seven"), "f:3:4  a: 7 is not a name; perhaps seven"),
        (Issue(NOWHERE, "a", "is odd", perhaps="even"), "a: is odd; perhaps even"),
        (Issue(NOWHERE, "", "x" * 299), "x" * 299), (Issue(NOWHERE, "", "y " + "x" * 300), "y " + "x" * 100 + "..."),
    ],
)  # fmt: skip
def test_an_issue_says_where_what_and_what_was_meant(issue: Issue, text: str) -> None:
    assert str(issue) == text


def test_issues_stand_in_the_order_of_the_file_each_once() -> None:
    one, two, three = Issue(Place("f", 2), "b", "x"), Issue(Place("f", 1, 5), "c", "x"), Issue(Place("f", 2), "a", "x")
    assert SpecError([one, two, three, one]).issues == (two, one, three)
    with pytest.raises(ValueError, match="at least one issue"):
        SpecError([])


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


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "'a'"), ("x" * 60, repr("x" * 60)), ("x" * 61, repr("x" * 57 + "...")), (True, "true"), ({}, "a mapping"),
        ((1,), "a list"), (2.0, "2"), (-3.0, "-3"), (2.5, "2.5"), (1e15, "1000000000000000.0"),
        (999999999999999.0, "999999999999999"),
        (None, "None"), (7, "7"),
    ],
)  # fmt: skip
def test_a_value_is_shown_short(value: Any, text: str) -> None:
    assert quoted(value) == text


def test_names_are_a_choice_in_words() -> None:
    assert [one_of(names) for names in ("abc", "ab", "a", "")] == ["a, b or c", "a or b", "a", "none"]


NAMES = ("memory_devices", "memory_device_gib", "macs", "clock_ghz", "h100_sxm", "llama3_8b", "llama3_70b", "int4_g128")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("Memory-Devices", "memory_devices"), ("memory devices", "memory_devices"), ("memory_device", "memory_devices"),
        ("mac", "macs"), ("ma", ""), ("h10", "h100_sxm"), ("h1", ""), ("clock_gzh", "clock_ghz"), ("tp", "tensor"),
        ("xyzzy", ""),
        ("int4", "int4_g128"), ("llama3", "llama3_8b or llama3_70b"),
        ("meta-llama/Llama3-8B-Instruct", "llama3_8b or llama3_70b"),
        ("memory_dev", "memory_devices or memory_device_gib"), ("sxm", ""),
        ("_sxm", "h100_sxm"), ("my_macs_x", "macs"),
        ("100_s", "h100_sxm"),
    ],
)  # fmt: skip
def test_what_was_probably_meant(word: str, meant: str) -> None:
    assert suggest(word, NAMES, {"tp": "tensor"}) == meant


METRICS = (
    "tdp_w",
    "cost_usd",
    "chat.tpot_ms",
    "chat.ttft_ms",
    "code.tpot_ms",
    "chat.tokens_per_s",
    "code.tokens_per_s",
)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("tpot_ms", "chat.tpot_ms or code.tpot_ms"), ("chat.tpot", "chat.tpot_ms"), ("chta.tpot_ms", "chat.tpot_ms"),
        ("code.latency_ms", "code.tpot_ms"), ("code.ttft_ms", "chat.ttft_ms"), ("tdp", "tdp_w"), ("cost", "cost_usd"),
        ("latency", "chat.tpot_ms, code.tpot_ms or chat.ttft_ms"), ("chat.throughput", "chat.tokens_per_s"),
        ("nonsense", ""),
        ("nobody.tdp_w", "tdp_w"),
    ],
)  # fmt: skip
def test_metrics_are_meant_for_the_workload_that_is_named(word: str, meant: str) -> None:
    assert suggest_metric(word, METRICS) == meant
    assert METRIC_ALIASES["latency_ms"] == "tpot_ms"


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "kind", "plain"),
    [
        ("journal:study", Kind.JOURNAL, "study"), ("journal:a", Kind.JOURNAL, "a"), ("journal:", None, ""),
        ("a/study.log", Kind.JOURNAL, "a/study.log"), ("study.txt", None, None),
        ("sqlite:///a.db", Kind.SQLITE, "a.db"),
        ("sqlite:////a.db", Kind.SQLITE, "/a.db"), ("sqlite://a.db", None, None), ("sqlite:///", None, None),
        ("sqlite+pysqlite:///a", Kind.SQLITE, "a"), ("sqlite://", None, None),
        ("postgresql://u@h/d", Kind.SERVER, None),
        ("postgresql+psycopg://u@h/d", Kind.SERVER, None), ("mysql://h/d", Kind.SERVER, None),
        ("mariadb://h", Kind.SERVER, None),
        ("mssql+pyodbc://h", Kind.SERVER, None), ("oracle://h", Kind.SERVER, None), ("redis://h", None, None),
        ("postgres://u@h/d", None, None), ("env:NAME", Kind.ENVIRONMENT, None), ("env:_N9", Kind.ENVIRONMENT, None),
        ("env:9N", None, None), ("env:", None, None), ("env:A B", None, None), ("", None, None),
    ],
)  # fmt: skip
def test_an_address_is_of_one_kind_or_of_none(url: str, kind: Kind | None, plain: str | None) -> None:
    assert kind_of(url) is kind
    assert plain is None or plain_url(url) == plain
    assert (given_storage(url) is None) == (kind is not None)


@pytest.mark.parametrize(
    ("url", "perhaps"),
    [
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"), ("sqlite:a.db", "sqlite:///a.db"),
        ("sqlite://a.db", "sqlite:///a.db"),
        ("a.db", "sqlite:///a.db"), ("a.sqlite", "sqlite:///a.sqlite"), ("a.sqlite3", "sqlite:///a.sqlite3"),
        ("a.txt", "journal:a.txt"), ("study", ""), ("redis://h/a.db", ""), ("redis://h/a.txt", ""), ("journal:", ""),
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_answered_with_one(url: str, perhaps: str) -> None:
    found = given_storage(url)
    assert found is not None and found.perhaps == perhaps
    assert str(found.place) == f"--storage {url}" and found.must_be.startswith("journal:FILE, sqlite:///FILE")
    assert check_storage_url("env:OK") == "env:OK"


# --- units ------------------------------------------------------------------------------------------------------------


PREFIXES = {"p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
SIZES = {
    "s": 1, "min": 60, "h": 3600, "day": 86400, "a": 8760 * 3600, "J": 1, "Wh": 3600, "B": 8,
    "bit": 1, "MAC": 2, "FLOP": 1,
}  # fmt: skip
BASE = {
    "s": "s",
    "min": "s",
    "h": "s",
    "day": "s",
    "a": "s",
    "J": "J",
    "Wh": "J",
    "B": "bit",
    "bit": "bit",
    "MAC": "OP",
    "FLOP": "OP",
}


def test_prefixes_and_units_multiply() -> None:
    for prefix, factor in PREFIXES.items():
        assert parse_quantity(f"3 {prefix}J", "J") == pytest.approx(3 * factor)
        assert parse_quantity(f"3 J/{prefix}bit", "J/bit") == pytest.approx(3 / factor)
    for prefix, factor in BINARY.items():
        assert parse_quantity(f"3 {prefix}B", "bit") == pytest.approx(3 * factor * 8)
    for unit, size in SIZES.items():
        assert parse_quantity(f"2 {unit}", BASE[unit]) == pytest.approx(2 * size)
        assert parse_quantity(f"2 {BASE[unit]}^2/{unit}^2", "") == pytest.approx(2 / size**2)


@pytest.mark.parametrize(
    ("text", "unit", "must_be", "perhaps"),
    [
        ("4k", "", "a number", "4000"), ("4K", "", "a number", "4000"), ("4M", "", "a number", "4000000"),
        ("4x", "", "a number", "4"),
        ("4 ms", "", "a number", ""), ("4 x2", "", "a number", ""),
        ("4 GBps", "GB/s", "a number, or a quantity that converts to GB/s", ""),
        ("4 gbit/s", "GB/s", "a number, or a quantity that converts to GB/s", "4 Gbit/s"),
        ("4 W", "ms", "a number, or a quantity that converts to ms", ""),
        ("4 mib", "MiB", "a number, or a quantity that converts to MiB", "4 MiB"),
    ],
)  # fmt: skip
def test_a_slip_of_a_unit_is_answered(text: str, unit: str, must_be: str, perhaps: str) -> None:
    with pytest.raises(UnitError) as caught:
        parse_quantity(text, unit)
    assert (caught.value.must_be, caught.value.perhaps) == (must_be, perhaps) and wanted(unit) == must_be


def test_numbers_and_names_of_units() -> None:
    assert split_quantity(" 1_000.5e3  GB/s ", "") == (1000.5e3, "GB/s") and split_quantity("-.5", "") == (-0.5, "")
    assert [unit_of_name(name) for name in ("tdp_w", "w", "link_gbps", "a_b_c", "sram_mib")] == [
        "W",
        "",
        "GB/s",
        "",
        "MiB",
    ]
    assert unit_of_suffix("pj_per_bit") == "pJ/bit" and unit_of_suffix("usd_per_unknown") == "usd_per_unknown"


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("below", "above", "merged"),
    [
        ({"a": 1, "b": {"c": 1, "d": 2}}, {"b": {"d": 3, "e": 4}}, {"a": 1, "b": {"c": 1, "d": 3, "e": 4}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}), ({"a": {"b": 1}}, {"a": 2}, {"a": 2}), ({"a": 1,
        "b": 2}, {"a": None}, {"b": 2}),
        ({"a": 1}, {"b": None}, {"a": 1, "b": None}), ({"search": {"sampler": "grid",
        "seed": 1}}, {"search": {"seed": 2}},
         {"search": {"sampler": "grid", "seed": 2}}),
        ({"search": {"sampler": "grid", "seed": 1}}, {"search": {"sampler": "tpe"}}, {"search": {"sampler": "tpe"}}),
        ({"space": {"m": {"low": 1, "high": 2, "log": True}}}, {"space": {"m": {"low": 3}}},
         {"space": {"m": {"low": 3, "high": 2, "log": True}}}),
        ({"space": {"m": {"low": 1, "high": 2, "log": True}}}, {"space": {"m": {"low": 3,
        "high": 4}}}, {"space": {"m": {"low": 3, "high": 4}}}),
        ({"space": {"m": {"low": 1,
        "when": {}}}}, {"space": {"m": {"values": [1]}}}, {"space": {"m": {"values": [1]}}}),
        ({"other": {"m": {"low": 1}}}, {"other": {"m": {"values": [1]}}}, {"other": {"m": {"low": 1, "values": [1]}}}),
        ({"space": {"m": {"a": {"low": 1}}}}, {"space": {"m": {"a": {"values": 1}}}},
         {"space": {"m": {"a": {"low": 1, "values": 1}}}}),
        ({"x": {"sampler": 1}}, {"x": {"sampler": 2, "b": 1}}, {"x": {"sampler": 2, "b": 1}}),
    ],
)  # fmt: skip
def test_a_file_is_merged_over_what_it_extends(below: Any, above: Any, merged: Any) -> None:
    assert merge(node_of(below), node_of(above)).plain() == merged


TREE = {
    "search": {"seed": 1, "options": {"a": 1}}, "constraints": [{"max": 1}, {"max": 2}],
    "space": {"macs": 5, "chat.batch": {"low": 1}},
    "technology": {"tco.pue": 1.2}, "workloads": {"chat_70b": {"batch": 1}},
}  # fmt: skip
KNOWN = ("tco.pue", "tco.share", "nodes.tsmc_5.x")


@pytest.mark.parametrize(
    ("argument", "path", "value"),
    [
        ("search.seed=7", ("search", "seed"), 7), ("search.new=x", ("search", "new"), "x"),
        ("constraints[1].max=9", ("constraints", 1, "max"), 9),
        ("space.macs.low=3", ("space", "macs"), {"low": 3}),
        ("space.chat.batch.low=4", ("space", "chat.batch"), {"low": 4}),
        ("space.other.batch=4", ("space", "other.batch"), 4),
        ("space.other.batch.low=4", ("space", "other.batch"), {"low": 4}),
        ("space.kv_bits.low=4", ("space", "kv_bits"), {"low": 4}),
        ("space.kv_bits.values=[4]", ("space", "kv_bits"), {"values": [4]}),
        ("space.technology.tco.pue.low=1", ("space", "technology.tco.pue"), {"low": 1}),
        ("space.technology.tco.unknown=1", ("space", "technology.tco.unknown"), 1),
        ("technology.tco.pue=2", ("technology", "tco.pue"), 2),
        ("technology.tco.share.typ=2", ("technology", "tco.share"), {"typ": 2}),
        ("technology.nodes.tsmc_5.x=2", ("technology", "nodes.tsmc_5.x"), 2),
        ("technology.what.is.this=2", ("technology", "what.is.this"), 2),
        ("workloads.chat_70b.batch=2", ("workloads", "chat_70b", "batch"), 2),
        ("search={seed: 3}", ("search",), {"seed": 3}), ("search.options.b.c=1", ("search", "options", "b", "c"), 1),
        ("search.seed=", ("search", "seed"), None), ("search.seed=null", ("search", "seed"), None),
        (" search.seed = 8", ("search", "seed"), 8),
    ],
)  # fmt: skip
def test_an_argument_is_put_in_its_place(argument: str, path: Any, value: Any) -> None:
    tree = apply_overrides(node_of(TREE), [argument], KNOWN)
    found = tree.at(path)
    assert (found is None) == (value is None) and (found is None or found.plain() == value)
    if found is not None:
        assert any(str(node.place).startswith("--set ") for _, node in found.walk())
    plain = tree.plain()
    assert sorted(plain) == sorted(TREE), "nothing else is changed"


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("search.seed", "of the form a.b=value"), ("=3", "of the form a.b=value"), (" =3", "of the form a.b=value"),
        ("[0]=3", "a dotted path such as"),
        ("constraints[2].max=3", "2 is not an entry of constraints, which has 2"),
        ("constraints[1]x=3", "a dotted path such as"), ("search.seed.x=3", "1 has no key x"),
        ("search[0]=3", "has no key 0"),
        ("search.none=", "search.none: is not there, so it cannot be removed"), ("search.seed={", "is not YAML"),
    ],
)  # fmt: skip
def test_an_argument_that_leads_nowhere_is_refused(argument: str, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        apply_overrides(node_of(TREE), [argument, "search.seed=1"], KNOWN)
    assert says in str(caught.value) and len(caught.value.issues) == 1


# --- conditions -------------------------------------------------------------------------------------------------------


def declared(needs: dict[str, str]) -> dict[str, tuple[Any, ...]]:
    return {name: (SimpleNamespace(when=dict.fromkeys(after, ())),) for name, after in needs.items()}


def in_circles(needs: dict[str, str]) -> set[str]:
    """Parameters from which a walk over conditions comes back."""
    found = set()
    for start in needs:
        reached, open_names = set(), set(needs[start]) & set(needs)
        while open_names:
            reached |= open_names
            open_names = {n for one in open_names for n in needs[one] if n in needs} - reached
        if start in reached:
            found.add(start)
    return found


def test_circles_of_conditions_are_found_once_each() -> None:
    def trails(needs: dict[str, str]) -> list[str]:
        return [issue.what.partition(": ")[2] for issue in _circles(node_of({"space": {}}), declared(needs))]

    assert trails({"a": "b", "b": "c", "c": ""}) == [] and trails({"a": "xy"}) == []
    assert trails({"a": "a"}) == ["a -> a"] and trails({"a": "b", "b": "a"}) == ["a -> b -> a"]
    assert trails({"a": "b", "b": "c", "c": "b"}) == ["b -> c -> b"]
    assert sorted(trails({"a": "b", "b": "a", "c": "d", "d": "c"})) == ["a -> b -> a", "c -> d -> c"]
    for edges in itertools.product(["", "a", "b", "c", "ab", "bc"], repeat=3):
        needs = dict(zip("abc", edges, strict=True))
        named = {name for trail in trails(needs) for name in trail.split(" -> ")}
        assert named == in_circles(needs), needs


@pytest.mark.parametrize(
    ("conditions", "overlaps"),
    [
        ([{"a": (1,)}, {"a": (2,)}], 0), ([{"a": (1,)}, {"a": (1, 2)}], 1), ([{"a": (1,)}, {"b": (2,)}], 1),
        ([{}, {"a": (1,)}], 1),
        ([{"a": (1,), "b": (1,)}, {"a": (1,), "b": (2,)}], 0), ([{"a": (1,)}, {"a": (2,)}, {"a": (2, 3)}], 1),
        ([{"a": (1,)}, {"a": (1,)}, {"a": (1,)}], 3), ([{}], 0),
    ],
)  # fmt: skip
def test_declarations_that_may_hold_together_overlap(conditions: Any, overlaps: int) -> None:
    alternatives: list[Any] = [SimpleNamespace(when=when, values=()) for when in conditions]
    assert len(list(_overlaps(node_of({"space": {}}), "x", alternatives))) == overlaps
    listed: list[Any] = [SimpleNamespace(values=(1, 2)), SimpleNamespace(values=(2, 3))]
    assert values_of(listed) == (1, 2, 3)


# --- notices ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("workload", "space", "beyond"),
    [
        ({"arrival_cv": 1.6}, {}, ""),
        ({"arrival_cv": 1.61}, {}, "arrival_cv 1.61 is beyond 1.6"),
        ({}, {"chat.arrival_cv": {"values": [1, 2.5]}}, "arrival_cv 2.5 is beyond 1.6"),
        # A lognormal with a coefficient of variation of 1.5 has its 95th percentile at 3.3083 times its mean.
        ({"output_p95_tokens": 3308}, {}, ""),
        ({"output_p95_tokens": 3309}, {}, "cv of output_tokens 1.5 is beyond 1.5"),
        ({"prompt_p95_tokens": 3800}, {}, "cv of prompt_tokens 2.71"),
        ({}, {"chat.prompt_p95_tokens": {"low": 1100, "high": 3800}}, "cv of prompt_tokens 2.71"),
    ],
)
def test_traffic_beyond_what_was_simulated_is_told(workload: Any, space: Any, beyond: str) -> None:
    chat = {"model": "llama3_70b", "prompt_tokens": 1000, "output_tokens": 1000, "batching": "continuous"}
    spec = parse_spec(
        small(workloads={"chat": {**chat, "arrivals_per_s": 1, **workload}}, space={"memory_devices": 16, **space})
    )
    told = [line for line in warnings_of(spec) if line.startswith("workloads.")]
    assert [f"workloads.chat: WARNING: {beyond}" in line for line in told] == ([True] if beyond else [])


def test_a_workload_longer_than_its_model_takes_is_told() -> None:
    assert context_warning(4096, 4096) == ""
    assert context_warning(10_000.4, 4096, "x") == "WARNING: 10 000 tokens in and out exceed the 4 096 that x takes"

    def told(space: dict[str, Any], **workload: Any) -> list[str]:
        chat = {"model": "llama2_70b", "prompt_tokens": 2000, "output_tokens": 2096, **workload}
        spec = parse_spec(small(workloads={"chat": chat}, space={"memory_devices": 16, **space}))
        return [line for line in warnings_of(spec) if line.startswith("workloads.")]

    assert told({}) == [] and len(told({}, output_tokens=2097)) == 1
    for axis in ({"low": 1, "high": 2097}, {"values": [1, 2097]}, 2097):
        assert len(told({"chat.output_tokens": axis})) == 1, axis
    for axis in ({"low": 1, "high": 2096}, {"values": [1, 2096]}, 2096, 5):
        assert told({"chat.output_tokens": axis}) == [], axis
