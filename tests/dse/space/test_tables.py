"""Tables of designs made on purpose: values of an axis, crossings, and all that differ from a design in one or two."""

import itertools

import numpy as np
import pytest

from cost_models.table import Table, cells_of
from dse.errors import SpecError
from dse.space import Space, grid
from dse.space.tables import axis_values, coded, crossed, neighbours, within
from dse.sweep import parse_spec
from tests.sweeps import small

AXES = {
    "node": {"values": ["tsmc_7", "tsmc_5", "samsung_5"]}, "memory": "hbm3", "memory_device_gib": 16,
    "memory_devices": {"low": 2, "high": 10, "step": 2}, "clock_ghz": {"low": 0.5, "high": 1.5},
    "macs": {"low": 1024, "high": 4096},
}  # fmt: skip
SPACE = Space(parse_spec(small(space=AXES)))


def test_values_of_an_axis_are_its_list_or_nine_of_a_range():
    assert axis_values(SPACE, "node") == ["tsmc_7", "tsmc_5", "samsung_5"]
    assert axis_values(SPACE, "memory_devices") == [2, 4, 6, 8, 10] and axis_values(SPACE, "memory_devices", 3) == [
        2,
        6,
        10,
    ]
    assert axis_values(SPACE, "clock_ghz") == pytest.approx(np.linspace(0.5, 1.5, 9))
    assert axis_values(SPACE, "clock_ghz", 3) == pytest.approx([0.5, 1.0, 1.5])
    assert axis_values(SPACE, "clock_ghz", 8) == pytest.approx(np.linspace(0.5, 1.5, 8))
    whole = axis_values(SPACE, "macs")
    assert len(whole) == 9 and (whole[0], whole[-1]) == (1024, 4096)


def test_a_crossing_is_every_combination():
    table = crossed({"node": ["a", "b"], "macs": [1, 2, 3]})
    found = list(zip(*map(cells_of, table.values()), strict=True))
    assert found == list(itertools.product(["a", "b"], [1.0, 2.0, 3.0]))


def test_designs_are_moved_into_the_space():
    table = within(
        SPACE, Table.from_settings({"clock_ghz": 9.0, "node": "tsmc_5"}, {"clock_ghz": 0.7, "node": "samsung_5"})
    )
    assert table["clock_ghz"].tolist() == pytest.approx([1.5, 0.7]) and table["node"].names().tolist() == [
        "tsmc_5",
        "samsung_5",
    ]
    low = within(SPACE, Table.from_settings({"clock_ghz": 0.1, "node": "tsmc_5", "macs": 3}))
    assert low["clock_ghz"].tolist() == [0.5] and low["macs"].tolist() == [1024]
    default = SPACE.default_design()
    assert table["memory_devices"].tolist() == [default["memory_devices"][0]] * 2


@pytest.mark.parametrize("kept", [(), ("node",)])
def test_neighbours_differ_in_one_parameter_or_in_two(kept):
    settings = {"node": "tsmc_5", "memory_devices": 4, "clock_ghz": 1.0, "macs": 2048}
    table = neighbours(SPACE, settings, kept=kept, alone=4, together=2)
    rows = list(zip(*(cells_of(table[name]) for name in settings), strict=True))
    names = [name for name in SPACE.dimensions if name not in kept]
    expected = [settings]
    for name in names:
        expected += [{**settings, name: value} for value in axis_values(SPACE, name, 4)]
    for one, two in itertools.combinations(names, 2):
        expected += [
            {**settings, one: a, two: b} for a in axis_values(SPACE, one, 2) for b in axis_values(SPACE, two, 2)
        ]
    assert rows == [tuple(design[name] for name in settings) for design in expected]
    assert set(table["memory"].names()) == {"hbm3"}
    assert coded(SPACE, "node", ["samsung_5", None, "tsmc_7"]).tolist() == [2, -1, 0]
    assert coded(SPACE, "macs", [5, None]).tolist() == pytest.approx([5, np.nan], nan_ok=True)


def test_a_grid_as_large_as_can_be_numbered_is_numbered(monkeypatch):
    devices = [
        {"values": [2, 4, 6], "when": {"cooling": ["air"]}}, {"values": [8, 10], "when": {"cooling": ["liquid"]}},
    ]  # fmt: skip
    axes = {
        "memory": "hbm3",
        "memory_device_gib": 16,
        "cooling": {"values": ["air", "liquid"]},
        "memory_devices": devices,
    }
    whole = [2, 4, 6, 8, 10]
    for most, fine in ((2**62, True), (5, True), (4, False)):
        monkeypatch.setattr(grid, "MAX_SIZE", most)
        space = Space(parse_spec(small(space=axes)))
        if fine:
            assert space.grid(0, 5)["memory_devices"].tolist() == whole
        else:
            with pytest.raises(SpecError, match="too many to enumerate"):
                space.grid(0, 5)
