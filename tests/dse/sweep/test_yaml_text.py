"""YAML as sweeps and the library read it: scalars, places, and what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse.errors import Place, SpecError
from dse.sweep import load_spec
from dse.yaml_positions import Node, parse_yaml
from tests.sweeps import TEXT as SWEEP


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
    with pytest.raises(SpecError, match="cannot be read: it is a folder, not a file"):
        load_spec(tmp_path)
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SWEEP.encode())
    assert load_spec(path).name == "small"
