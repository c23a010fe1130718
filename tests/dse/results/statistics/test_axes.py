"""Axes are counted value by value, or in intervals."""

import numpy as np
import pytest

from cost_models.table import INACTIVE
from dse.results.statistics.axes import Binning, binning_of
from dse.space import Space
from dse.sweep import parse_spec
from tests.sweeps import small


def cut(axis):
    base = {"node": "tsmc_5", "memory": "hbm3", "memory_device_gib": 16, "memory_devices": 8}
    ((name, entry),) = axis.items() if len(axis) == 1 and "values" not in axis else [("sram_mib", axis)]
    return binning_of(Space(parse_spec(small(space={**base, name: entry}))).parameters[name])


def test_axes_of_few_values_are_counted_value_by_value_and_others_in_intervals():
    assert len(cut({"values": list(range(1, 33))}).levels) == 32 and not len(cut({"values": list(range(1, 34))}).levels)
    whole = {"macs": {"low": 1024, "high": 1024 + 31}}
    assert cut(whole).levels.tolist() == list(range(1024, 1056))
    assert cut({"macs": {"low": 1024, "high": 1024 + 32}}).edges.tolist() == list(range(1024, 1057, 4))
    even, wide, log = (
        cut({"link_gbps": {"low": 1.5, "high": high, **more}})
        for high, more in ((45, {}), (45.1, {}), (20, {"log": True}))
    )
    assert np.ptp(np.diff(even.edges)) == pytest.approx(0, abs=1e-9) and len(even.edges) == 9
    assert np.ptp(np.diff(np.log(wide.edges))) == pytest.approx(0, abs=1e-9)
    assert np.ptp(np.diff(np.log(log.edges))) == pytest.approx(0, abs=1e-9)
    zero = cut({"link_gbps": {"low": 0, "high": 64}})
    assert zero.edges.tolist() == [0, 8, 16, 24, 32, 40, 48, 56, 64]
    assert zero.words[:2] == ("0 to 8", "8 to 16") and zero.bounds[0] == (0, 8)
    levels = Binning(np.array([1.0, 2.0, 4.0]), np.empty(0))
    assert levels.bounds == [(1, 1), (2, 2), (4, 4)] and levels.words == ("1", "2", "4")
    assert levels.codes(np.array([0, 1, 1.49, 1.5, 2, 3, 9, np.nan])).tolist() == [0, 0, 0, 1, 1, 2, 2, INACTIVE]
