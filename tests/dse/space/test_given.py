"""Designs as people write them: one value or one per design, frames, and what no parameter can be."""

import numpy as np
import pytest

from cost_models.table import cells_of
from dse.errors import SpecError
from dse.space import Space
from dse.space.given import given_designs
from dse.sweep import parse_spec
from tests.sweeps import small

SPEC = parse_spec(small(space={"node": "tsmc_5", "macs": {"low": 1024, "high": 4096}, "kv_bits": 8}))
SPACE = Space(SPEC)


def cells(designs):
    return {name: cells_of(column) for name, column in given_designs(SPACE, SPEC, designs).items()}


def wrong(designs):
    with pytest.raises(SpecError) as told:
        given_designs(SPACE, SPEC, designs)
    return [str(issue) for issue in told.value.issues]


def test_one_value_stands_for_every_design_and_the_sweep_for_what_is_left_out():
    assert cells({}) == {"node": ["tsmc_5"], "kv_bits": [8.0]}
    two = cells({"macs": [2048, 1], "node": "samsung_5", "memory": ["hbm3", None], "clock_ghz": np.array([0.7])})
    assert two == {
        "node": ["samsung_5"] * 2, "kv_bits": [8.0] * 2, "macs": [2048.0, 1.0], "memory": ["hbm3", None],
        "clock_ghz": [0.7, 0.7],
    }  # fmt: skip
    assert cells({"chat.batch": 4, "technology.tco.pue": np.float64(1.2)}) == {
        "node": ["tsmc_5"], "kv_bits": [8.0], "chat.batch": [4.0], "technology.tco.pue": [1.2],
    }  # fmt: skip


def test_a_frame_is_designs_in_rows():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"macs": [1024.0, None], "memory": ["hbm3", None], "sram_mib": [8, 16]})
    found = cells(frame)
    assert found["memory"] == ["hbm3", None] and found["sram_mib"] == [8.0, 16.0]
    assert found["macs"][0] == 1024 and found["macs"][1] is None


def test_every_fault_is_told_with_its_column():
    first, second, third = wrong({"mac": 1, "macs": [1, 2, 3], "clock_ghz": [1.0, 2.0], "node": "tsmc_50"})
    assert first == "mac: is no parameter; perhaps macs"
    assert second.startswith("node: 'tsmc_50' is not ") and "perhaps tsmc_5" in second
    assert third == "clock_ghz: has 2 values is not 1 value or 3, one per design"
    for value in (True, "four", [[1, 2], [3, 4]], -1, np.inf):
        (fault,) = wrong({"macs": value})
        assert fault.startswith("macs: ")
    assert "a number" in wrong({"macs": True})[0] and "a number" in wrong({"macs": "four"})[0]
    assert "a value, or one per design" in wrong({"macs": [[1, 2], [3, 4]]})[0]
    assert "a number" in wrong({"technology.tco.pue": "high"})[0]
    (fault,) = wrong({"macs": [1, -2, -3]})
    assert "-2" in fault and "-3" not in fault, "the first of a column"
