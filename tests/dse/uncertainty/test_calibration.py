"""Dies inside of their intervals, with and without themselves."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from dse.uncertainty import calibration

LIBRARY = shipped_library()


def test_calibration_counts_dies_inside_and_above_the_median(monkeypatch):
    table = pd.DataFrame({"architecture": ["gpu", "gpu", "gpu", "npu"], "die": list("abcd")})
    chips = SimpleNamespace(table=table)
    real = {"area": np.array([1.0, 2.0, np.nan, 4.0]), "power": np.array([1.0, 1.0, 1.0, 5.0])}
    ends = np.array([[1.0, 1.0, 1.0, 1.0], [1.0, 1.5, 2.0, 3.0], [2.0, 2.0, 9.0, 3.5]])
    monkeypatch.setattr(calibration, "published", lambda chips, quantity: real[quantity])
    monkeypatch.setattr(calibration, "drawn", lambda chips, unaware, technology: 1.0 if unaware is None else 2.0)
    monkeypatch.setattr(
        calibration, "intervals", lambda chips, wide: {name: np.r_[ends[:2], ends[2:] * wide] for name in real}
    )
    unseen = SimpleNamespace(unaware={})
    found = calibration.calibration_check(chips, unseen, None).set_index(["quantity", "class"])
    assert found.index.tolist() == [(q, name) for q in ("area", "power") for name in ("gpu", "npu", "all")]
    assert found["dies"].tolist() == [2, 1, 3, 3, 1, 4]
    assert found["inside_open"].tolist() == pytest.approx([1, 0, 2 / 3, 1, 0, 3 / 4])
    assert found["inside_left_out"].tolist() == pytest.approx([1, 1, 1, 1, 1, 1])
    assert found["above_median_open"].tolist() == pytest.approx([1 / 2, 1, 2 / 3, 0, 1, 1 / 4])
    assert found["median_p90_over_p10_open"].tolist() == pytest.approx([2, 3.5, 2, 2, 3.5, 2.75])
    assert found["median_p90_over_p10_left_out"].tolist() == pytest.approx([4, 7, 4, 4, 7, 5.5])
    assert calibration.calibration_table(chips, unseen, None).frame.shape == (6, 9)


def test_draws_of_a_die_left_out_move_in_proportion(monkeypatch):
    """Around what a parameter would be without the die; of others around the library's value."""
    monkeypatch.setattr(calibration, "DRAWS", 50)
    read = "tco.pue"
    fixed = next(path for path, one in LIBRARY.parameters.items() if one.low is None and path not in LIBRARY.evidence)

    def area(chips, technology):
        return np.asarray(technology.value(read)) * np.ones(len(chips))

    monkeypatch.setattr(calibration, "PREDICTED", {"area": area})
    monkeypatch.setattr(calibration, "QUANTITIES", ("area",))

    class Chips:
        dies = ("x", "y")

        def __init__(self, times=1):
            self.times = times

        def __len__(self):
            return 2 * self.times

        def repeated(self, times):
            return Chips(times)

    known, typ = Technology(), LIBRARY.parameters[read].typ
    usual = calibration.drawn(Chips(), None, Technology())
    moved = calibration.drawn(Chips(), {"y": {read: 2 * typ, fixed: 3.0}}, Technology())
    values = [np.asarray(one.value(read)).reshape(50, 2) for one in (usual, moved)]
    np.testing.assert_array_equal(values[0][:, 0], values[0][:, 1])
    np.testing.assert_array_equal(values[1][:, 0], values[0][:, 0])
    np.testing.assert_allclose(values[1][:, 1], 2 * values[0][:, 1])
    other = np.asarray(moved.value(fixed)).reshape(50, 2)
    np.testing.assert_allclose(other[:, 0], float(np.asarray(known.value(fixed))))
    np.testing.assert_allclose(other[:, 1], 3.0)
    (found,) = calibration.intervals(Chips(), moved).values()
    np.testing.assert_allclose(found, np.quantile(values[1], [0.1, 0.5, 0.9], axis=0))
