"""The space against enumerations written out by hand and against itself."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.table import INACTIVE, Choice, Column, Designs, cells_of
from dse.errors import SpecError
from dse.space import Space
from dse.space.codecs import Continuous, Listed, WholeNumbers, spread, stepped
from dse.sweep import parse_spec
from tests.sweeps import small


def space_of(sweep: dict[str, Any], **parameters: Any) -> Space:
    sweep["space"] = parameters
    return Space(parse_spec(sweep))


def tuples(designs: Designs) -> list[tuple[Any, ...]]:
    return list(zip(*map(cells_of, designs.values()), strict=True))


def same(one: Mapping[str, Column], other: Mapping[str, Column]) -> bool:
    return list(one) == list(other) and tuples(one) == tuples(other)


# -- codecs -------------------------------------------------------------------------------------------------------


@given(st.floats(0, 1))
def test_every_coordinate_lands_in_its_range(unit: float) -> None:
    point = np.array([unit])
    for codec in (Continuous(2, 5, False), Continuous(2, 5, True), WholeNumbers(2, 5, False), WholeNumbers(2, 5, True)):
        assert 2 <= codec.decode(point)[0] <= 5
    assert Listed(np.array([2.0, 3.0, 5.0])).decode(point)[0] in (2, 3, 5)


def test_cells_of_whole_numbers_are_equal_or_equal_over_the_logarithm() -> None:
    unit = (np.arange(100_000) + 0.5) / 100_000
    even = np.bincount(WholeNumbers(1, 4, False).decode(unit).astype(int))[1:] / 100_000
    assert even == pytest.approx([0.25] * 4, abs=1e-4)
    log = np.bincount(WholeNumbers(1, 3, True).decode(unit).astype(int))[1:] / 100_000
    assert log == pytest.approx(np.diff(np.log([1, 2, 3, 4])) / np.log(4), abs=1e-4)


@given(st.integers(-50, 50), st.integers(1, 60), st.integers(1, 9))
def test_steps_are_those_of_range(low: int, width: int, step: int) -> None:
    assert stepped(low, low + width, min(step, width)).tolist() == list(range(low, low + width + 1, min(step, width)))


def test_steps_are_the_decimals_that_were_written() -> None:
    assert stepped(0.6, 1.6, 0.1).tolist() == [0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6]
    assert stepped(0.1, 0.3, 0.1).tolist() == [0.1, 0.2, 0.3]
    assert stepped(1.0, 2.0, 0.3).tolist() == [1.0, 1.3, 1.6, 1.9]


def test_steps_have_up_to_twelve_decimals() -> None:
    assert stepped(0.1, 0.1000000000061, 3e-12).tolist() == [0.1, 0.100000000003, 0.100000000006]
    beyond = stepped(0.1, 0.10000000000061, 3e-13).tolist()
    assert beyond == [0.1, 0.1 + 3e-13, 0.1 + 2 * 3e-13] and beyond[2] != 0.1000000000006


def test_coordinates_of_ranges_are_shares_of_them() -> None:
    assert Continuous(2.0, 32.0, True).encode(np.array([2.0, 8.0, 32.0])) == pytest.approx([0, 0.5, 1], abs=1e-15)
    assert Continuous(2.0, 32.0, False).encode(np.array([2.0, 9.5, 32.0])).tolist() == [0, 0.25, 1]
    assert WholeNumbers(2, 5, False).encode(np.array([2.0, 5.0])).tolist() == [0.125, 0.875]
    # Over the logarithm [k, k + 1) of [1, 8): its middle is that of the logarithms.
    assert WholeNumbers(1, 7, True).encode(np.array([1.0, 7.0])) == pytest.approx(
        [1 / 6, (np.log2(7) + 3) / 6], abs=1e-15
    )


def test_levels_include_both_ends_and_whole_ones_do_not_repeat() -> None:
    assert spread(8192, 524288, 13, log=True, whole=True)[[0, 2, 12]].tolist() == [8192, 16384, 524288]
    assert spread(0.6, 1.6, 3, log=False, whole=False).tolist() == [0.6, 1.1, 1.6]
    assert spread(1, 4, 20, log=True, whole=True).tolist() == [1, 2, 3, 4]


# -- decode and encode --------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 50))
def test_encoding_keeps_the_design(seed: int, rows: int) -> None:
    sweep = small(space={**small()["space"], "sram_mib": {"low": 1.0, "high": 64.0, "log": True}})
    space = Space(parse_spec(sweep))
    unit = np.random.default_rng(seed).random((rows, len(space.dimensions)))
    designs = space.decode(unit)
    again = space.decode(space.encode(designs))
    assert space.snapped(unit).tolist() == space.encode(designs).tolist()
    exact = [name for name in designs if name != "sram_mib"]
    assert same({name: designs[name] for name in exact}, {name: again[name] for name in exact})
    assert np.asarray(again["sram_mib"]) == pytest.approx(np.asarray(designs["sram_mib"]), rel=1e-12)


def test_encoded_points_lie_in_the_middle_of_their_cells(sweep: dict[str, Any]) -> None:
    space = space_of(sweep, macs={"values": [1024, 2048, 4096, 8192]}, clock_ghz={"low": 1.0, "high": 3.0})
    unit = space.encode(space.decode(np.array([[0.26, 0.25], [0.99, 0.5]])))
    assert unit == pytest.approx(np.array([[0.375, 0.25], [0.875, 0.5]]))


def test_conditions_hold_in_every_row(sweep: dict[str, Any]) -> None:
    space = Space(parse_spec(sweep))
    designs = space.decode(np.random.default_rng(0).random((2000, len(space.dimensions))))
    memory, bits, gib = (designs[name] for name in ("memory", "memory_device_bits", "memory_device_gib"))
    assert isinstance(memory, Choice)
    allowed = {"lpddr5x_9600": {8, 16, 32}, "gddr6_16": {2}, "hbm3": {16, 24}}
    for name, width, size in zip(memory.names(), np.asarray(bits), np.asarray(gib), strict=True):
        assert (width in (32, 64)) if name == "lpddr5x_9600" else np.isnan(width)
        assert size in allowed[name]


def test_coordinates_of_inactive_parameters_are_ignored(sweep: dict[str, Any]) -> None:
    space = Space(parse_spec(sweep))
    unit = np.random.default_rng(0).random((500, len(space.dimensions)))
    other = unit.copy()
    column = space.dimensions.index("memory_device_bits")
    memory = space.decode(unit)["memory"]
    assert isinstance(memory, Choice)
    inactive = memory.names() != "lpddr5x_9600"
    other[inactive, column] = 1 - other[inactive, column]
    assert same(space.decode(unit), space.decode(other))


def test_choices_fraction_one_tuple_of_names(sweep: dict[str, Any]) -> None:
    space = space_of(
        sweep,
        weight_format={"values": ["int4_g128", "bf16"]},
        weight_method=[{"values": ["gptq", "awq"], "when": {"weight_format": "int4_g128"}}],
    )
    method = space.grid(0, space.grid_size)["weight_method"]
    assert isinstance(method, Choice)
    assert method.values == ("gptq", "awq")
    assert sorted(method.codes.tolist()) == [INACTIVE, 0, 1]


def test_what_is_fixed_is_in_every_row(sweep: dict[str, Any]) -> None:
    space = Space(parse_spec(sweep))
    assert space.fixed == {"kv_bits": 8.0}
    designs = space.decode(np.zeros((3, len(space.dimensions))))
    assert np.asarray(designs["kv_bits"]).tolist() == [8.0, 8.0, 8.0]
    assert {len(column) for column in designs.values()} == {3}


@pytest.mark.parametrize("unit", [np.zeros((2, 3)), np.zeros(7), np.full((1, 7), 1.01), np.full((1, 7), np.nan)])
def test_points_outside_of_the_cube_are_refused(unit: np.ndarray, sweep: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="unit must"):
        Space(parse_spec(sweep)).decode(unit)


def test_the_order_of_the_file_has_no_part_in_the_order_of_the_dimensions(sweep: dict[str, Any]) -> None:
    space = Space(parse_spec(sweep))
    sweep["space"] = dict(reversed(sweep["space"].items()))
    assert Space(parse_spec(sweep)).dimensions == space.dimensions


# -- grid ---------------------------------------------------------------------------------------------------------


def by_hand() -> set[tuple[Any, ...]]:
    """The designs of `small`, written as loops."""
    rows = set()
    memories = [("lpddr5x_9600", bits, gib) for bits in (32.0, 64.0) for gib in (8.0, 16.0, 32.0)]
    memories += [("gddr6_16", None, 2.0), ("hbm3", None, 16.0), ("hbm3", None, 24.0)]
    macs = [1024.0 * 2**k for k in range(7)]
    clocks = [0.5, 0.75, 1.0, 1.25, 1.5]
    nodes = ["tsmc_7", "tsmc_5", "samsung_5"]
    for node, (memory, bits, gib), count, mac, clock in itertools.product(
        nodes, memories, range(2, 25, 2), macs, clocks
    ):
        rows.add((node, memory, float(count), bits, gib, mac, clock, 8.0))
    return rows


def test_the_grid_is_the_loops(sweep: dict[str, Any]) -> None:
    space = Space(parse_spec(sweep))
    rows = tuples(space.grid(0, space.grid_size))
    assert len(rows) == space.grid_size == len(set(rows))
    assert set(rows) == by_hand()


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_slice_of_the_grid_is_that_slice(data: st.DataObject) -> None:
    space = Space(parse_spec(small()))
    start = data.draw(st.integers(0, space.grid_size))
    stop = data.draw(st.integers(start, min(space.grid_size, start + 500)))
    whole = space.grid(0, space.grid_size)
    assert same(space.grid(start, stop), whole.take(slice(start, stop)))


def test_conditions_on_conditions(sweep: dict[str, Any]) -> None:
    space = space_of(
        sweep,
        architecture={"values": ["npu", "static"]},
        cooling={"values": ["air", "liquid"], "when": {"architecture": "npu"}},
        link_gbps={"values": [10, 20, 30], "when": {"cooling": "liquid"}},
        macs={"values": [1024, 2048]},
    )
    # npu-air, npu-liquid with three links, static: five, times two.
    assert space.grid_size == 10
    rows = tuples(space.grid(0, 10))
    assert len(set(rows)) == 10
    names = list(space.parameters)
    at = {name: names.index(name) for name in names}
    for row in rows:
        assert (row[at["cooling"]] is None) == (row[at["architecture"]] == "static")
        assert (row[at["link_gbps"]] is None) == (row[at["cooling"]] != "liquid")
    unit = np.random.default_rng(0).random((100, len(space.dimensions)))
    assert space.snapped(unit).tolist() == space.encode(space.decode(unit)).tolist()


def test_conditions_on_what_has_one_value(sweep: dict[str, Any]) -> None:
    space = space_of(sweep, memory={"values": ["hbm3"]}, macs={"values": [1024, 2048], "when": {"memory": "hbm3"}})
    rows = space.grid(0, 2)
    assert [cells_of(rows[name]) for name in ("memory", "macs")] == [["hbm3", "hbm3"], [1024, 2048]]


def test_a_fixed_parameter_can_be_asked_for(sweep: dict[str, Any]) -> None:
    space = space_of(
        sweep,
        memory="hbm3",
        memory_device_gib={"values": [16, 24], "when": {"memory": "hbm3"}},
        macs={"values": [8, 9]},
    )
    assert space.grid_size == 4


def test_numbers_can_be_asked_for(sweep: dict[str, Any]) -> None:
    space = space_of(
        sweep,
        kv_bits={"values": [4, 8]},
        macs=[
            {"values": [1024], "when": {"kv_bits": 4}},
            {"low": 2048, "high": 4096, "step": 1024, "when": {"kv_bits": 8}},
        ],
    )
    assert space.grid_size == 1 + 3
    grid = space.grid(0, 4)
    assert set(zip(grid["kv_bits"], grid["macs"], strict=True)) == {(4, 1024), (8, 2048), (8, 3072), (8, 4096)}


def test_workload_fields_and_parameters_are_parameters(sweep: dict[str, Any]) -> None:
    space = space_of(
        sweep,
        **{"chat.batch": {"values": [1, 8]}, "technology.tco.pue": {"values": [1.1, 1.4]}, "macs": {"values": [8, 9]}},
    )
    assert space.dimensions == ("macs", "chat.batch", "technology.tco.pue")
    assert space.grid_size == 8


def test_a_range_without_levels_has_no_grid(sweep: dict[str, Any]) -> None:
    space = space_of(sweep, macs={"low": 1024, "high": 2048}, clock_ghz={"low": 0.5, "high": 1.0}, node="tsmc_5")
    assert not space.is_enumerable
    for attempt in (lambda: space.grid_size, lambda: space.grid(0, 1)):
        with pytest.raises(SpecError, match="add step or levels") as caught:
            attempt()
        assert [issue.path for issue in caught.value.issues] == ["space.macs", "space.clock_ghz"]


def test_rows_beyond_the_grid_are_refused(sweep: dict[str, Any]) -> None:
    space = Space(parse_spec(sweep))
    with pytest.raises(IndexError):
        space.grid(0, space.grid_size + 1)


def test_a_grid_beyond_numbering_still_has_a_size(sweep: dict[str, Any]) -> None:
    names = ("macs", "sram_mib", "clock_ghz", "link_gbps")
    space = space_of(sweep, **{name: {"low": 1.0, "high": 2.0, "levels": 2_000} for name in names if name != "macs"})
    assert space.grid_size == 2_000**3
    space = space_of(
        sweep,
        **{name: {"low": 1, "high": 65_000, "levels": 60_000} for name in ("macs", "memory_devices")},
        sram_mib={"low": 1.0, "high": 2.0, "levels": 60_000},
        link_gbps={"low": 1.0, "high": 2.0, "levels": 60_000},
    )
    assert space.grid_size > 2**62
    with pytest.raises(SpecError, match="too many to enumerate"):
        space.grid(0, 1)


# -- default ------------------------------------------------------------------------------------------------------


def test_the_default_design_is_one_of_the_space(sweep: dict[str, Any]) -> None:
    space = Space(parse_spec(sweep))
    row = tuples(space.default_design())
    assert row == [("tsmc_5", "lpddr5x_9600", 16.0, 64.0, 8.0, 65536.0, 1.0, 8.0)]
    assert set(row) <= by_hand()


def test_a_swept_workload_field_defaults_to_the_workloads_own(sweep: dict[str, Any]) -> None:
    space = space_of(sweep, **{"chat.batch": {"low": 1, "high": 64}, "node": {"values": ["tsmc_7", "samsung_5"]}})
    assert tuples(space.default_design()) == [("tsmc_7", 32.0)]


def test_a_step_as_long_as_its_range_gives_both_ends():
    spec = parse_spec(
        {
            "name": "ends",
            "workloads": {"chat": {"model": "llama3_8b"}},
            "space": {"clock_ghz": {"low": 0.6, "high": 0.7, "step": 0.1}},
            "objectives": [{"metric": "tdp_w", "direction": "minimize"}],
            "search": {"sampler": "grid"},
        }
    )
    assert Space(spec).grid(0, 2)["clock_ghz"].tolist() == [0.6, 0.7]
