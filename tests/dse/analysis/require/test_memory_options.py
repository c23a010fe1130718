"""What memory delivers a need, of devices that are made up: 64 GB/s per 64 bits, 2 mm of edge, half a watt each."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from dse.analysis.require import memory_options as options
from dse.analysis.require.memory_options import _in_space, _option, memory_options
from dse.space import Space
from dse.sweep import parse_spec
from tests.sweeps import tiny

VALUES = {"reticle.limit_mm2": 800.0, "interfaces.host_edge_mm": 3.0}
NEED = SimpleNamespace(bandwidth_gbps=200.0, bandwidth_stack_gbps=300.0, capacity_gib=100.0)
LINES = [(112e9, 100e9), (12e9, 100e9), (0.0, 0.0)]


@pytest.fixture
def option(monkeypatch):
    def option(need=NEED, lines=LINES, stacked=0.0, width=64.0, sizes=(16, 8)):
        def system(grade, *, devices, device_bits, device_gib, sram_mib, clock_ghz, technology):
            (name,) = grade.names()
            assert name == "lpddr5x_9600" and (sram_mib.tolist(), clock_ghz.tolist()) == ([0], [1])
            return SimpleNamespace(
                bandwidth_bytes_per_s=devices * device_bits * 1e9, stream_efficiency=np.array([0.8]),
                edge_mm=2 * devices, units=2 * devices, unit_mm=np.ones(1), on_interposer=np.array([stacked]),
                j_per_byte=np.array([1e-10]),
                idle_w=devices / 2, price_usd=3 * devices * device_gib,
            )  # fmt: skip

        def around(die, edge, technology):
            assert die.tolist() == [800] and edge.host_mm.tolist() == [3] and edge.stacked.tolist() == [stacked]
            return np.array([21.0])

        monkeypatch.setattr(options, "memory_system", system)
        monkeypatch.setattr(options, "units_around", around)
        monkeypatch.setattr(options, "memory_price_factor", lambda year, technology: {2025: 1.5}[year])
        evaluator = SimpleNamespace(
            technology=SimpleNamespace(value=VALUES.__getitem__),
            spec=SimpleNamespace(economics=SimpleNamespace(price_year=2025)),
        )
        space = SimpleNamespace(parameters={})
        return _option(evaluator, space, need, lines, "lpddr5x_9600", width, sizes)

    return option


def test_devices_stream_with_the_stack_and_hold_the_data(option):
    found = option()
    # Of 51.2 GB/s each 4 stream 200, 6 stream 300, and 7 of 16 GiB hold 100.
    assert (found.devices_ideal, found.devices, found.device_gib, found.device_bits) == (4, 7, 16, 64)
    assert (found.peak_gbps, found.delivered_gbps) == (448, pytest.approx(358.4))
    assert found.bandwidth_slack == pytest.approx(358.4 / 300 - 1) and found.capacity_slack == pytest.approx(0.12)
    # 21 of 14 units that take 14 mm.
    assert (found.edge_mm, found.edge_allowed_mm, found.edge_slack) == (14, 21, pytest.approx(1 / 3))
    assert found.memory_w == pytest.approx(200e9 * 1e-10 + 3.5) and found.in_space
    assert found.price_usd == 3 * 7 * 16 * 1.5 and option(stacked=1.0).price_usd == 3 * 7 * 16
    # Ten devices of two units stand around a die: 512 GB/s.
    assert (
        found.most_bits == 4
        and math.isnan(option(lines=[]).most_bits)
        and math.isnan(option(lines=[(1.0, 0.0)]).most_bits)
    )


@pytest.mark.parametrize(
    ("capacity", "devices", "gib"), [(96, 6, 16), (97, 7, 16), (48, 6, 8), (48.1, 6, 16), (1e6, 4096, 16), (0, 6, 8)]
)
def test_the_smallest_package_that_holds_the_data_is_taken(option, capacity, devices, gib):
    found = option(SimpleNamespace(bandwidth_gbps=200.0, bandwidth_stack_gbps=300.0, capacity_gib=capacity))
    assert (found.devices, found.device_gib) == (devices, gib)


@pytest.mark.parametrize(
    ("devices", "gib", "inside"),
    [(2, 16, True), (16, 16, True), (1, 16, False), (17, 16, False), (8, 2, True), (8, 24, True), (8, 1, False),
     (8, 25, False)],
)  # fmt: skip
def test_a_number_of_packages_is_in_the_space_between_its_ends(devices, gib, inside):
    assert _in_space(Space(parse_spec(tiny())), devices, gib) == inside


def test_what_the_space_does_not_name_is_no_bound():
    bare = Space(parse_spec(tiny(space={"macs": 4096, "memory_device_gib": 16})))
    assert _in_space(bare, 999, 16) and not _in_space(bare, 999, 8)
    assert _in_space(Space(parse_spec(tiny(space={"macs": 4096, "memory_devices": 4}))), 4, 999)


def test_every_grade_of_the_space_is_asked_in_every_width_that_is_made(monkeypatch):
    asked = []
    monkeypatch.setattr(options, "_option", lambda *given: asked.append(given[4:]) or given[4:])
    from cost_models.library import shipped_library

    library = shipped_library()
    evaluator = SimpleNamespace(technology=SimpleNamespace(library=library))

    def found(**space):
        asked.clear()
        memory_options(evaluator, Space(parse_spec(tiny(space={"memory_device_gib": 16, **space}))), NEED, LINES)
        return [(grade, width) for grade, width, _ in asked]

    made = {
        grade: library.memories[library.memory_grade(grade).technology]
        for grade in ("lpddr5x_9600", "hbm3", "gddr6_16")
    }
    widths = {grade: [float(width) for width in one.package_bits] for grade, one in made.items()}
    both = [("hbm3", width) for width in widths["hbm3"]] + [("gddr6_16", width) for width in widths["gddr6_16"]]
    assert found(memory={"values": ["hbm3", "gddr6_16"]}) == both
    assert found(macs=4096) == [("lpddr5x_9600", width) for width in widths["lpddr5x_9600"]]
    assert asked[0][2] == made["lpddr5x_9600"].package_gib
    narrow = widths["lpddr5x_9600"][0]
    assert len(widths["lpddr5x_9600"]) > 1
    assert found(memory="lpddr5x_9600", memory_device_bits=narrow) == [("lpddr5x_9600", narrow)]
