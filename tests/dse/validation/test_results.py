"""What a validation returns, as rows."""

import math

import numpy as np
import pandas as pd

from dse.validation.results import ScoreTable, Validation


def test_all_tables_are_told_as_one():
    plain = ScoreTable("plain", "", pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
    index = pd.MultiIndex.from_tuples([("p", 1), ("q", 2)], names=["source", "n"])
    named = ScoreTable("named", "", pd.DataFrame({"c": [0.5, np.nan]}, index=index))
    single = ScoreTable("single", "", pd.DataFrame({"c": [7]}, index=pd.Index(["row"], name="quantity")))
    found = Validation({}, (plain, named, single))
    told = found.rows()
    assert told[:5] == [
        ("plain", 0, "a", 1), ("plain", 0, "b", "x"), ("plain", 1, "a", 2), ("plain", 1, "b", "y"),
        ("named", "p 1", "c", 0.5),
    ]  # fmt: skip
    assert told[5][:3] == ("named", "q 2", "c") and math.isnan(told[5][3]) and told[6] == ("single", "row", "c", 7)
    assert found.records()["named"][1] == {"source": "q", "n": 2, "c": None}
