"""Checks of real chips, by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dse.validation.results import ScoreTable
from dse.validation.silicon import checks
from dse.validation.silicon.fit import Fits, LeftOut
from tests.dse.validation.told import Told


def real_table(**columns):
    usual = {"chip": list("xyz"), "architecture": ["npu", "gpu", "gpu"], "node": "n5",
             "power_is": ["limit", "drawn", "limit"],
             "power_scope": ["board", "package", "package"], "sources": "s", "die_mm2": [1.0, 2.0, np.nan],
             "supply_v": 0.7}  # fmt: skip
    return pd.DataFrame(usual | columns)


def test_errors_of_real_chips_are_those_of_what_is_published(monkeypatch):
    chips = SimpleNamespace(table=real_table())
    monkeypatch.setattr(checks, "published", lambda chips, quantity: np.array([100.0, 200.0, np.nan]))
    unseen = LeftOut({}, {}, {"power": np.array([120.0, 100.0, 1.0]), "area": np.array([120.0, 100.0, 1.0])}, {})
    table = checks.error_table(chips, "power", np.array([110.0, 180.0, 5.0]), unseen)
    assert table["error"].tolist() == pytest.approx([0.1, -0.1])
    assert table["error_left_out"].tolist() == pytest.approx([0.2, -0.5])
    assert table["real_is"].tolist() == ["limit, board", "drawn, package"] and table["real_w"].tolist() == [100, 200]
    assert checks.error_note(table) == (
        "2 dies: mean 10 % in sample, 35 % leave-one-out (1 gpu: 10 % in sample, 50 % leave-one-out; "
        "1 npu: 10 % in sample, 20 % leave-one-out); against 1 drawn: 10 % in sample, 50 % leave-one-out; "
        "1 limit: 10 % in sample, 20 % leave-one-out"
    )
    area = checks.error_table(chips, "area", np.array([110.0, 180.0, 5.0]), unseen)
    assert (
        "real_is" not in area
        and area["predicted_mm2"].tolist() == [110, 180]
        and "against" not in checks.error_note(area)
    )


def test_limits_that_real_chips_break_are_told_with_what_is_published():
    machine = SimpleNamespace(limits={
        "reticle_mm2": (np.array([1.5, 0.5, 2.0]), np.array([1.0])),
        "supply_v": (np.array([1.0]), np.array([1.0, 0.9, 1.1])),
        "lanes": (np.array([3.0, 1.0, 1.0]), 2.0),
    })  # fmt: skip
    found = checks.broken_limits(Three(), machine)
    told = [(row["limit"], row["chip"], row["used"], row["allowed"]) for row in found.to_dict("records")]
    assert told == [
        ("reticle_mm2", "x", 1.5, 1.0), ("reticle_mm2", "z", 2.0, 1.0), ("supply_v", "y", 1.0, 0.9),
        ("lanes", "x", 3.0, 2.0),
    ]  # fmt: skip
    assert found["real"].tolist() == pytest.approx([1.0, np.nan, 0.7, np.nan], nan_ok=True)
    empty = checks.broken_limits(Three(), SimpleNamespace(limits={}))
    assert list(empty) == list(found) and not len(empty)


class Three:
    table = real_table()

    def __len__(self):
        return 3


def test_blocks_of_a_photo_are_sums_of_blocks_of_a_design(monkeypatch):
    areas = {"memory_interface": [10.0], "link_interface": [1.0, 2.0, 4.0], "host_interface": [0.5], "blank": [0.5],
             "cores": [20.0], "caches": [5.0]}  # fmt: skip
    machine = SimpleNamespace(blocks={"area_mm2": {name: np.array(one) for name, one in areas.items()} | {
        "periphery": np.array([0.25])}})  # fmt: skip
    photo = pd.DataFrame({
        "chip": ["x", "y", "y", "z", "z"], "photo_mm2": [8.0, 4.0, 40.0, 9.0, 50.0],
        "peer_mm2": [10.0, 2.0, 50.0, 9.0, 40.0],
        "block": ["memory_phy_and_controller", "off_chip_phy_and_controller", "total", "rest",
                  "cores_caches_and_network"],
    })  # fmt: skip
    monkeypatch.setattr(checks, "read_checks", lambda name, library: photo)
    found = checks.block_check(Three(), machine, SimpleNamespace(library=None))
    assert found["predicted_mm2"].tolist() == [10, 2, 38.25, 1.25, 25]
    assert found["error"].tolist() == pytest.approx([0.25, -0.5, 38.25 / 40 - 1, np.nan, -0.5], nan_ok=True)
    assert found["peers"].tolist() == pytest.approx([0.25, -0.5, 0.25, np.nan, -0.2], nan_ok=True)


def test_constants_stand_with_their_range_without_each_die():
    fits = {"area": Fits(("a",), np.array([[2.0], [1.5], [3.0], [2.5]]), np.array([[0.1], [9.0], [9.0], [9.0]]))}
    found = checks.constants(LeftOut(fits, {}, {}, {}), Told(a=2.1)).to_dict("records")
    assert found == [{
        "parameter": "a", "fitted_on": "area", "library": 2.1, "fitted": 2.0, "error_of_log": 0.1,
        "least_left_out": 1.5, "most_left_out": 3.0,
    }]  # fmt: skip


def test_every_check_is_a_table_in_the_order_of_the_page(monkeypatch):
    machine = SimpleNamespace(die_mm2=np.array([1.0]), blocks={}, limits={})
    given = {
        "real_chips": "chips", "machines_of": machine, "left_out": "unseen", "scoped_power_w": np.array([2.0]),
        "error_note": "note", "block_check": pd.DataFrame({"a": [3]}), "broken_limits": pd.DataFrame({"b": [4]}),
        "price_check": pd.DataFrame({"c": [5]}), "constants": pd.DataFrame({"d": [6]}),
        "read_checks": pd.DataFrame({"e": [7]}),
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setattr(checks, name, lambda *args, value=value: value)
    told = []
    monkeypatch.setattr(checks, "error_table", lambda *args: told.append(args) or pd.DataFrame({"x": args[2]}))
    further = ScoreTable("further", "", pd.DataFrame())
    found = checks.silicon_validation([lambda *args: told.append(args) or further])
    assert [one.key for one in found.tables] == [
        "area", "power", "further", "blocks", "limits", "price", "constants", "not_typed",
    ]  # fmt: skip
    assert [float(one.frame.iloc[0, 0]) for one in found.tables if len(one.frame)] == [1, 2, 3, 4, 5, 6, 7]
    assert [args[1] for args in told] == ["area", "power", "unseen"] and found.files == {}
    assert [one.title for one in found.tables[:2]] == ["Area of the die, mm2", "Power, W"]
    assert found.tables[0].note == found.tables[1].note == "note"
