"""Trees of YAML: every value with its path and its place, as deep and as many as are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dse import yaml_positions
from dse.errors import Place, SpecError
from dse.sweep.issues import places_of
from dse.yaml_positions import TextError, node_of, parse_yaml, path_text, read_text

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
    assert parse_yaml(f"{twenty}\nb: " + "[" * 19 + "*x" + "]" * 19, "f")
    with pytest.raises(SpecError, match="deeper than 40 levels"):
        parse_yaml(f"{twenty}\nb: " + "[" * 20 + "*x" + "]" * 20, "f")
    assert parse_yaml("a: &x 1\nb: " + "[" * 39 + "*x" + "]" * 39, "f"), "a number adds no level"


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


def issues_of(text: str, **more: Any) -> SpecError:
    with pytest.raises(SpecError) as caught:
        parse_yaml(text, "f", **more)
    return caught.value


def test_scalars_in_quotes_and_blocks_are_texts() -> None:
    text = "a: '1'\nb: \"2\"\nc: |\n  3\nd: >-\n  4\ne: '.nan'\nf: 6\n'7': .5\n"
    assert parse_yaml(text, "f").plain() == {"a": "1", "b": "2", "c": "3\n", "d": "4", "e": ".nan", "f": 6, "7": 0.5}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{a: 1, a: 2, a: 3}", ["f:1:8  a: the key a is given twice (first in line 1)",
                                "f:1:14  a: the key a is given twice (first in line 1)"]),
        ("x:\n  500: 1\n  500: 2", ["f:3:3  x.500: the key 500 is given twice (first in line 2); "
                                    "perhaps numbers with commas: write 1500, not 1,500"]),
        ("- !f x\n- a: !g {}\n- !!h [1]", [
            "f:1:3  [0]: the tag !f has no meaning in a sweep", "f:2:6  [1].a: the tag !g has no meaning in a sweep",
            "f:3:3  [2]: the tag tag:yaml.org,2002:h has no meaning in a sweep"]),
        ("a: {b: {<<: 1}}", ["f:1:9  a.b: merge keys (<<) are not followed; use extends"]),
        ("a: &x b\n*x : 1", ["f:2:1: the alias *x stands where a key must be"]),
        ("a: [0, *y]", ["f:1:8  a[1]: the alias *y has no anchor &y that ends before it"]),
        ("a: {? {b: 1} : 2}", ["f:1:7  a: a key is a list or a mapping; keys are text"]),
        ("a: .inf\n---\n- 1", ["f:1:4  a: .inf is not a finite number",
                               "f:2:1: a second document (---) starts here; one file is one sweep"]),
        ("- a\n- " + "9" * 400, [f"f:2:3  [1]: {'9' * 40} is not a finite number"]),
        ("a:\n\t- 1", ["f:2:1: is not YAML: while scanning for the next token found character that cannot start any "
                       "token; perhaps a tab, where YAML wants spaces"]),
        ("a: b: c", ["f:1:5: is not YAML: mapping values are not allowed in this context"]),
    ],
)  # fmt: skip
def test_each_issue_of_a_text_stands_at_its_place(text: str, told: list[str]) -> None:
    assert [str(issue) for issue in issues_of(text).issues] == told


def test_what_could_be_read_comes_with_the_issues() -> None:
    error = issues_of("a: 1\nb: 2\na: 3\n")
    assert isinstance(error, TextError) and error.tree is not None and error.tree.plain() == {"a": 1, "b": 2}
    empty = issues_of("# nothing\n")
    assert isinstance(empty, TextError) and empty.tree is None and str(empty) == "f: is empty"
    assert str(issues_of("", fixed=Place("--set a"))) == "--set a: is empty"
    assert str(issues_of("a: [", fixed=Place("--set a"))).startswith("--set a: is not YAML: ")
    assert parse_yaml("---\na: 1\n...\n", "f").plain() == {"a": 1}
    assert parse_yaml("null", "f").plain() is None, "which is a document"


def test_a_file_that_cannot_be_read_is_named_where_it_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    assert read_text(tmp_path / "file") == "text"
    missing = tmp_path / "missing"
    for asked_at, begins in ((None, f"{missing}: cannot be read"), (Place("f", 3), f"f:3: {missing} cannot be read")):
        with pytest.raises(SpecError) as caught:
            read_text(missing, asked_at=asked_at)
        assert str(caught.value).startswith(begins)
