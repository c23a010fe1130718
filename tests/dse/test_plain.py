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
from dse.plain import json_text, plain

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
