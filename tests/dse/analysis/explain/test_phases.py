"""A pass of three made operators on two designs, beside a plain twin that goes cell by cell."""

from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.performance.energy import Energy
from cost_models.performance.phases import PhaseTime
from dse.analysis.explain import phases
from dse.analysis.explain.phases import _energy_parts, pass_columns

NAMES = ("qkv", "attend", "send")
COUNTS = np.array([[80.0, 80.0], [80.0, 40.0], [1.0, 2.0]])
MACS = np.array([[6e9, 1e9], [0.0, 2e9], [0.0, 0.0]])
BYTES = np.array([[4e6, 4e6], [3e6, 2e6], [0.0, 0.0]])
NEAR = np.array([[0.0, 5.0], [0.0, 0.0], [0.0, 0.0]])
MEMORY = np.array([[4e-3, 1e-3], [3e-3, 2e-3], [0.0, 0.0]])
COMPUTE = np.array([[6e-3, 0.5e-3], [1e-3, 3e-3], [0.0, 0.0]])
UNPACK = np.array([[1e-3, 0.1e-3], [3.5e-3, 0.1e-3], [0.0, 0.0]])
KERNEL = np.array([[2e-4, 1e-2], [1e-4, 1e-4], [1e-4, 1e-4]])
TOGETHER = np.array([[1e-4, 1e-4], [0.0, 0.0], [5e-3, 6e-3]])
EXPOSED = np.array([[2e-4, 3e-4], [1e-4, 2e-4], [0.0, 0.0]])
EACH = np.maximum(np.maximum(MEMORY, COMPUTE), UNPACK) + KERNEL + TOGETHER + EXPOSED
TURNS = np.array([1.0, 1.5])
FIXED, CAPPED = np.array([1e-3, 2e-3]), np.array([0.0, 5e-4])
MACHINE = SimpleNamespace(conversion_efficiency=np.array([0.9, 0.8]))


def work(together=TOGETHER, fixed=FIXED):
    times = SimpleNamespace(
        near_bytes=NEAR, dram_bytes=BYTES, memory_s=MEMORY, arithmetic_s=COMPUTE, dequantize_s=UNPACK, kernel_s=KERNEL,
        collective_s=together, non_overlapped_s=EXPOSED, total_s=EACH - TOGETHER + together,
    )  # fmt: skip
    operators = SimpleNamespace(names=NAMES, times=COUNTS, macs=MACS)
    return PhaseTime(operators, times, times.total_s * COUNTS * TURNS, fixed, CAPPED)


ENERGY = Energy(
    {"memory": np.array([90.0, 40.0]), "static": np.array([90.0, 40.0])}, np.array([200.0, 90.0]), np.array([7.0, 8.0])
)


@pytest.fixture
def told(monkeypatch):
    monkeypatch.setattr(phases, "decode_bound_s", lambda work, machine: np.array([0.1, 0.2]))
    monkeypatch.setattr(phases, "roofline_s", lambda operators, times, machine: EACH / 4)
    return lambda within=None: pass_columns(work(), ENERGY, None, MACHINE, within)


def whole_ms(column):
    return (
        sum(EACH[op, column] * COUNTS[op, column] * TURNS[column] for op in range(3)) * 1e3
        + (FIXED[column] + CAPPED[column]) * 1e3
    )


@pytest.mark.parametrize("column", [0, 1])
def test_rows_are_the_times_of_all_executions(told, column):
    found, total = told(), whole_ms(column)
    assert found["ms"][column] == pytest.approx(total) and found["bound_ms"][column] == pytest.approx(
        [100, 200][column]
    )
    assert found["overhead_fraction"][column] == pytest.approx(1 - [100, 200][column] / total)
    assert list(found["operators"]) == [*NAMES, "outside_operators"]
    bounds = [["arithmetic", "kernels"], ["dequantizing", "arithmetic"], ["collective", "collective"]]
    for op, name in enumerate(NAMES):
        row, often = found["operators"][name], COUNTS[op, column]
        ms = EACH[op, column] * often * TURNS[column] * 1e3
        assert row["times"][column] == often and row["ms"][column] == pytest.approx(ms)
        assert row["share"][column] == pytest.approx(ms / total)
        assert row["bound"].names()[column] == bounds[op][column]
        assert (
            row["bytes_moved"][column] == BYTES[op, column] * often and row["macs"][column] == MACS[op, column] * often
        )
        assert row["roofline_fraction"][column] == pytest.approx(1 / 4 / TURNS[column])
        near = NEAR[op, column] > 0
        parts = {
            "memory": 0 if near else MEMORY[op, column], "near_memory": MEMORY[op, column] if near else 0,
            "arithmetic": COMPUTE[op, column], "dequantizing": UNPACK[op, column], "kernels": KERNEL[op, column],
            "collective": TOGETHER[op, column], "not_overlapped": EXPOSED[op, column],
        }  # fmt: skip
        scale = often * TURNS[column] * 1e3
        assert {cause: ms[column] for cause, ms in row["causes_ms"].items()} == pytest.approx(
            {cause: seconds * scale for cause, seconds in parts.items()}
        )
    outside = found["operators"]["outside_operators"]
    assert outside["ms"][column] == pytest.approx((FIXED + CAPPED)[column] * 1e3)
    assert outside["share"][column] == pytest.approx((FIXED + CAPPED)[column] * 1e3 / total)
    assert (outside["times"].tolist(), outside["macs"].tolist(), outside["bytes_moved"].tolist()) == ([1], [0], [0])
    assert outside["bound"].names().tolist() == [None] and outside["causes_ms"] == {}
    assert np.isnan(outside["ops_per_byte"]).all() and np.isnan(outside["roofline_fraction"]).all()


def test_operations_per_byte_are_two_per_mac_or_endless_or_unknown(monkeypatch, told):
    rows = told()["operators"]
    assert rows["qkv"]["ops_per_byte"].tolist() == [3000, 500] and rows["attend"]["ops_per_byte"].tolist() == [0, 2000]
    assert np.isnan(rows["send"]["ops_per_byte"]).all()
    monkeypatch.setitem(globals(), "BYTES", np.zeros((3, 2)))
    assert told()["operators"]["qkv"]["ops_per_byte"].tolist() == [np.inf, np.inf]


@pytest.mark.parametrize("column", [0, 1])
def test_time_is_spent_on_the_longest_of_what_overlaps_and_on_all_that_does_not(told, column):
    spent = {cause: np.broadcast_to(ms, 2)[column] for cause, ms in told()["spent_ms"].items()}
    expected = dict.fromkeys(("memory", "arithmetic", "dequantizing", "near_memory"), 0.0)
    longest = [["arithmetic", "near_memory"], ["dequantizing", "arithmetic"], ["memory", "memory"]]
    for op in range(3):
        scale = COUNTS[op, column] * TURNS[column] * 1e3
        overlapped = max(MEMORY[op, column], COMPUTE[op, column], UNPACK[op, column])
        expected[longest[op][column]] += overlapped * scale
        for cause, amount in (("kernels", KERNEL), ("collective", TOGETHER), ("not_overlapped", EXPOSED)):
            expected[cause] = expected.get(cause, 0.0) + amount[op, column] * scale
    expected["outside_operators"] = (FIXED + CAPPED)[column] * 1e3
    assert spent == pytest.approx(expected)
    assert sum(spent.values()) == pytest.approx(whole_ms(column))


@pytest.mark.parametrize("column", [0, 1])
def test_what_the_network_takes_is_told_apart(told, column):
    # In one node collectives would take a quarter, of the first design, and more of the second; the rest is network.
    near = TOGETHER * np.array([0.25, 2.0])
    found = told(work(near, FIXED / 4))
    for op, name in enumerate(NAMES):
        causes, scale = found["operators"][name]["causes_ms"], COUNTS[op, column] * TURNS[column] * 1e3
        network = max(TOGETHER[op, column] - near[op, column], 0.0) * scale
        assert causes["network"][column] == pytest.approx(network)
        assert causes["collective"][column] == pytest.approx(TOGETHER[op, column] * scale - network)
    assert found["operators"]["send"]["bound"].names().tolist() == ["network", "collective"]
    crossing = FIXED[column] * 0.75 * 1e3
    outside = found["operators"]["outside_operators"]
    assert outside["causes_ms"]["network"][column] == pytest.approx(crossing)
    assert outside["ms"][column] == pytest.approx((FIXED + CAPPED)[column] * 1e3)
    spent = {cause: np.broadcast_to(ms, 2)[column] for cause, ms in found["spent_ms"].items()}
    assert sum(spent.values()) == pytest.approx(whole_ms(column))
    assert spent["outside_operators"] == pytest.approx((FIXED + CAPPED)[column] * 1e3 - crossing)
    inside = sum(
        max(TOGETHER[op, column] - near[op, column], 0.0) * COUNTS[op, column] * TURNS[column] * 1e3 for op in range(3)
    )
    assert spent["network"] == pytest.approx(inside + crossing)


def test_an_endless_pass_waits_for_nothing_that_could_be_named(told, monkeypatch):
    endless = EACH.copy()
    endless[2, 0] = np.inf
    monkeypatch.setitem(globals(), "EACH", endless)
    found = told()["operators"]
    assert found["send"]["bound"].names().tolist() == [None, "collective"]
    assert found["attend"]["bound"].names().tolist() == ["dequantizing", "arithmetic"]


def test_energy_sums_to_the_boards_losses_and_holding_in(told):
    found = told()
    assert found["board_j"].tolist() == [200, 90] and found["board_w"].tolist() == [7, 8]
    # 180 J ask for 200 at 90 %; 80 J ask for 100 at 80 %, of which the board draws 90.
    parts = {name: joules.tolist() for name, joules in found["energy_j"].items()}
    assert parts == {
        "memory": [90, 40], "static": [90, 40], "conversion_loss": [pytest.approx(20), 20], "held_at_tdp": [0, -10],
    }  # fmt: skip
    for name, joules in parts.items():
        watts = [joules[column] / whole_ms(column) * 1e3 for column in (0, 1)]
        assert found["power_w"][name].tolist() == pytest.approx(watts)


@pytest.mark.parametrize(("more", "held"), [(1, 0), (0, 0), (-5e-13, 0), (-5e-12, -5e-10), (-0.1, -10)])
def test_a_rounding_is_not_held(more, held):
    energy = Energy({"a": np.array([50.0])}, np.array([100 * (1 + more)]), np.array([1.0]))
    found = _energy_parts(energy, SimpleNamespace(conversion_efficiency=0.5))
    assert found["held_at_tdp"][0] == pytest.approx(held, rel=1e-3) and found["conversion_loss"][0] == 50
