"""Plain data as JSON: frames by columns say what the same cells say one by one."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from dse.errors import Place
from dse.plain import json_text, members, plain, printable, redacted

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
ROWS = st.integers(0, 3)


@settings(max_examples=60)
@given(tree=TREES, names=st.lists(st.text(max_size=3), unique=True, max_size=4), data=st.data())
def test_json_is_that_of_the_standard_library(tree, names, data):
    rows = data.draw(ROWS)
    kinds = [st.floats(), st.integers(-(2**63), 2**63 - 1), st.booleans(), TREES]
    columns = {name: data.draw(st.lists(kinds[k % 4], min_size=rows, max_size=rows)) for k, name in enumerate(names)}
    frame = pd.DataFrame({name: pd.Series(cells) for name, cells in columns.items()})
    value = {"tree": tree, "frame": frame, "inside": [frame, (tree,)], "empty": [{}, [], frame.iloc[:0]]}
    assert json_text(value) == json.dumps(plain(value), indent=2, allow_nan=False)


def test_json_of_what_is_not_plain():
    frame = pd.DataFrame({"50 %": pd.Series(["é", None, "é"], dtype="category"), "s": np.float32([1.5, math.nan, 0.1])})
    value = {1: np.int64(3), "path": Path("a/b"), "place": Place("axes", 3), "nan": np.float64("nan"), "frame": frame}
    assert json_text(value) == json.dumps(plain(value), indent=2, allow_nan=False)


def test_what_would_steer_a_terminal_is_written_out():
    assert printable("a\x1b[31mb\n\tc\x7f\u202e\ud800é") == "a\\x1b[31mb\n\tc\\x7f\\u202e\\ud800é"


def test_passwords_are_no_part_of_what_is_told():
    for url, told in (
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"), ("postgresql://me@host/db", None),
        ("x?password=abc&b=1", "x?password=***&b=1"), ("x?a=1;My_Token=abc;b=1", "x?a=1;My_Token=***;b=1"),
        ("x?o=a%20pwd%3dabc%20b", "x?o=a%20pwd%3d***%20b"), ("x?o=a+secret+=+abc", "x?o=a+secret+=***"),
        ("sqlite:///runs/pass.db", None), ("http://a:b@h?credential=c", "http://a:***@h?credential=***"),
    ):  # fmt: skip
        assert redacted(url) == (url if told is None else told)


def test_plain_data():
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, math.inf]})
    place = Place("axes", 3)
    given = {1: (np.int64(3), math.nan), "f": frame, "p": Path("a/b"), "d": place, "k": Place, "x": -math.inf}
    assert plain(given) == {
        "1": [3, None], "f": [{"a": 1, "b": 0.5}, {"a": 2, "b": None}], "p": "a/b", 
        "d": {"file": "axes", "line": 3, "column": 0},
        "k": Place, "x": None,
    }  # fmt: skip
    assert plain(np.float64("nan")) is None and plain(True) is True and members(place, "line") == {"line": 3}
    assert json_text({}) == "{}" and json_text([1.5, "é"]) == '[\n  1.5,\n  "\\u00e9"\n]'
    assert json_text(frame) == '[\n  {\n    "a": 1,\n    "b": 0.5\n  },\n  {\n    "a": 2,\n    "b": null\n  }\n]'
    assert json_text({"a": [1]}, "\n    ") == '{\n      "a": [\n        1\n      ]\n    }'
