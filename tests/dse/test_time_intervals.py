"""Intervals of times by hand: which line of the file a prediction is told, and of which stacks there is one."""

from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.table import Choice
from dse import time_intervals
from dse.time_intervals import built_on, fitted_constants, has_intervals, ratios

LINES = """left_out,kind,regime,format,model,low,high,rows,groups
,chip,decode,wide,dense,0.8,1.25,40,5
,chip,decode,wide,mixture,0.7,1.5,30,4
,chip,decode,narrow,dense,0.6,1.75,20,3
,chip,decode,,,0.5,2,100,9
,source,decode,,,0.4,3,90,7
h100,chip,decode,wide,dense,0.9,1.1,10,2
"""


class Shelf:
    """A library of stacks and one file."""

    def __init__(self, folder, **stacks):
        self.folder, self.stacks = folder, stacks

    def stack(self, name):
        return self.stacks[name]

    def data_file(self, name):
        return self.folder / name


def stack(base="", families=(), **notes):
    parameters = {name: SimpleNamespace(note=one) if isinstance(one, str) else one for name, one in notes.items()}
    return SimpleNamespace(base=base, families=families, parameters=parameters)


@pytest.fixture
def shelf(tmp_path):
    (tmp_path / time_intervals.FILE).write_text(LINES)
    base = stack(a="fitted on 9 end-to-end rows", b="fitted on kernels", c="a guess of end-to-end rows")
    kept = base.parameters["a"]
    return Shelf(
        tmp_path,
        base=base,
        vllm=stack("base", a=kept, b="fitted on end-to-end rows", c="fitted on end-to-end rows too"),
        plain=stack("base", a=kept),
        twice=stack("plain", a=kept),
        served=stack("base", ("any",), a=kept),
        ideal=stack(a="no time is lost"),
    )


def test_what_was_fitted_counts_once_and_stands_for_what_is_built_on_it(shelf):
    assert fitted_constants(shelf) == {"base": 1, "vllm": 2, "plain": 0, "twice": 0, "served": 0, "ideal": 0}
    assert built_on("twice", shelf) == {"twice", "plain", "base"} and built_on("ideal", shelf) == {"ideal"}
    assert [name for name in shelf.stacks if has_intervals(name, shelf)] == ["base", "vllm", "plain", "twice", "served"]


def test_a_prediction_is_told_the_rows_most_like_it(shelf):
    names = ("vllm", "ideal", "served")
    rows = [
        # stack, bits, mixture: low, high, rows, groups, origin
        ("vllm", 16, False, 0.8, 1.25, 40, 5, "dense models, 8 and 16-bit weights; 40 rows of 5 chips left out"),
        ("vllm", 5.51, True, 0.7, 1.5, 30, 4, "mixtures of experts, 8 and 16-bit weights; 30 rows of 4 chips left out"),
        ("vllm", 5.5, False, 0.6, 1.75, 20, 3, "dense models, 4-bit weights; 20 rows of 3 chips left out"),
        ("vllm", 4, True, 0.5, 2, 100, 9, "all models; 100 rows of 9 chips left out"),
        ("ideal", 16, False, np.nan, np.nan, np.nan, np.nan, ""),
        ("served", 4, False, 0.4, 3, 90, 7, "all models; 90 rows of 7 sources left out"),
        ("vllm", 16, False, 0.8, 1.25, 40, 5, "dense models, 8 and 16-bit weights; 40 rows of 5 chips left out"),
    ]
    stacks, bits, mixture, *numbers, origins = (list(column) for column in zip(*rows, strict=True))
    chosen = Choice(names, np.array([names.index(one) for one in stacks]))
    found = ratios("decode", chosen, np.array(bits), np.array(mixture), shelf)
    told = (found.low, found.high, found.rows, found.groups)
    for mine, wanted in zip(told, numbers, strict=True):
        np.testing.assert_array_equal(mine, wanted)
    assert found.origin.names().tolist() == origins
    one = Choice.of("vllm")
    assert ratios("decode", one, 4, 0, shelf).low.tolist() == [0.6]
    assert ratios("decode", one, 16, 0, shelf, left_out="h100").low.tolist() == [0.9]
    assert ratios("decode", one, 16, 0, shelf, left_out="b200").low.tolist() == [0.8], "of which nothing is known"
    for nothing in (("decode", 16, 1, "h100"), ("prefill", 16, 0, "")):
        regime, width, experts, die = nothing
        found = ratios(regime, one, width, experts, shelf, left_out=die)
        assert np.isnan(found.low).all() and found.origin.names().tolist() == [""], nothing
