from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.errors import UnknownEntryError
from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.silicon.memory import MemorySystem, memory_system, memory_technology, none_where, together
from cost_models.table import Choice

LIBRARY = shipped_library()
GRADES = tuple(
    grade
    for grade, entry in LIBRARY.memory_grades.items()
    if LIBRARY.memory(entry.technology).packaging_class != "on_die"
)


def system(*grades, devices=1.0, bits=np.nan, gib=None, sram=64.0, technology=None):
    first = LIBRARY.memory(LIBRARY.memory_grade(grades[0]).technology).package_gib[0]
    column = lambda number: np.full(len(grades), number)  # noqa: E731
    return memory_system(
        Choice.of(*grades),
        devices=column(devices),
        device_bits=column(bits),
        device_gib=column(first if gib is None else gib),
        sram_mib=column(sram),
        clock_ghz=column(1.0),
        technology=technology or Technology(),
    )


@pytest.mark.parametrize(
    ("grade", "bits", "gbps"),
    [
        ("lpddr5x_8533", 64, 68.3),
        ("lpddr5x_9600", 32, 38.4),
        ("lpddr5_6400", 32, 25.6),
        ("gddr6_16", 32, 64),
        ("gddr7_28", 32, 112),
        ("ddr5_4800", 64, 38.4),
        ("hbm2", np.nan, 256),
        ("hbm2e", np.nan, 410),
        ("hbm2e_3600", np.nan, 461),
        ("hbm3_5200", np.nan, 665),
        ("hbm3", np.nan, 819),
        ("hbm3e", np.nan, 1024),
        ("hbm4", np.nan, 2048),
        ("hbm4_11000", np.nan, 2816),
        ("hbm4e", np.nan, 3584),
        ("lpddr6_14400", 24, 38.4),
        ("socamm_8533", 128, 136.5),
        ("socamm_9600", 128, 153.6),
    ],
)
def test_bandwidth_of_one_device(grade, bits, gbps):
    assert system(grade, bits=bits).bandwidth_bytes_per_s / 1e9 == pytest.approx([gbps], rel=2e-3)


def test_one_terabyte_per_second_takes_sixty_channels():
    # Technology page, section 4: 60 x16 channels of LPDDR5X-8533 at peak, 68 at the streaming efficiency.
    channel = system("lpddr5x_8533", bits=16)
    peak = channel.bandwidth_bytes_per_s[0]
    assert 58 < 1e12 / peak < 60
    assert np.ceil(1e12 / (peak * channel.stream_efficiency[0])) in (68, 69)
    # Along the edge they are as wide as those of M1 Max: 80 mm, nearly all of the outline of a 500 mm2 die.
    assert 1e12 / peak * channel.edge_mm[0] == pytest.approx(80, rel=0.03)


def test_m1_max_fits_the_edge_it_has():
    # 512 bits of LPDDR5 along about 44 mm of edge, of some 83 mm around its 432 mm2.
    edge = system("lpddr5_6400", devices=8.0, bits=64, gib=8).edge_mm[0]
    assert edge == pytest.approx(44)
    assert edge < 0.85 * 4 * np.sqrt(432)


def test_interface_area_of_known_stacks():
    assert system("hbm2e").interface_mm2 == pytest.approx([10.45 + 5.7])
    assert system("hbm3").interface_mm2 == pytest.approx([11 + 4])
    assert system("lpddr5x_9600", bits=64).interface_mm2 == pytest.approx([4 * 1.1])


def test_capacity_is_binary_and_priced_as_printed():
    lpddr = system("lpddr5x_9600", devices=16.0, bits=64, gib=8)
    assert lpddr.capacity_bytes == pytest.approx([128 * 2**30])
    assert lpddr.price_usd == pytest.approx([128 * Technology().value("memory.lpddr5x.price_usd_per_gb")])
    assert lpddr.idle_w == pytest.approx([128 * 0.005])
    assert lpddr.j_per_byte * 1e12 == pytest.approx([40])


def test_what_sits_on_an_interposer():
    both = system("hbm3", "lpddr5x_9600", devices=6.0, gib=16)
    assert both.on_interposer.tolist() == [1, 0]
    assert both.stacks.tolist() == [6, 0]


def test_missing_width_is_the_first_listed():
    assert system("lpddr5x_9600").bandwidth_bytes_per_s == system("lpddr5x_9600", bits=32).bandwidth_bytes_per_s
    assert system("gddr6_16").bandwidth_bytes_per_s == system("gddr6_16", bits=32).bandwidth_bytes_per_s


@pytest.mark.parametrize(
    ("grade", "bits", "gib", "refused"),
    [
        ("lpddr5x_9600", 64, 8, 0),
        ("lpddr5x_9600", 48, 8, 1),
        ("lpddr5x_9600", 64, 10, 1),
        ("hbm3", 1024, 16, 0),
        ("hbm3", np.nan, 24, 0),
        ("hbm3", 64, 16, 1),
        ("hbm3", 1024, 8, 1),
        ("gddr6_16", np.nan, 2, 0),
        ("gddr6_16", np.nan, 8, 1),
    ],
)
def test_only_devices_that_exist(grade, bits, gib, refused):
    assert system(grade, bits=bits, gib=gib).not_offered.tolist() == [refused]


def test_offers_are_looked_up_per_row():
    rows = memory_system(
        Choice.of("hbm3", "lpddr5x_9600", "gddr6_16", "hbm3"),
        devices=np.ones(4),
        device_bits=np.array([np.nan, 64, 32, np.nan]),
        device_gib=np.array([16.0, 64, 2, 2]),
        sram_mib=np.ones(1),
        clock_ghz=np.ones(1),
        technology=Technology(),
    )
    assert rows.not_offered.tolist() == [0, 0, 0, 1]


def test_without_memory_outside_the_die_the_sram_is_all_there_is():
    alone, beside = system("none", "lpddr5x_9600", devices=4.0, bits=32, gib=8, sram=220.0), system("lpddr5x_9600")
    rate = 220 * 1e9 * LIBRARY.parameter("on_chip.sram_bytes_per_cycle_per_mib").typ
    assert alone.bandwidth_bytes_per_s.tolist() == [pytest.approx(rate), 4 * beside.bandwidth_bytes_per_s[0]]
    assert alone.capacity_bytes.tolist() == [220 * 2**20, 32 * 2**30]
    assert alone.off_die_bytes_per_s[0] == alone.not_offered[0] == alone.price_usd[0] == alone.edge_mm[0] == 0


@given(st.sampled_from(GRADES), st.integers(1, 40))
def test_everything_grows_with_devices(grade, devices):
    one, more = system(grade, devices=devices), system(grade, devices=devices + 1)
    place = "on_top_mm2" if one.on_top_mm2.any() else "edge_mm"
    for field in ("bandwidth_bytes_per_s", "capacity_bytes", "idle_w", "interface_mm2", place, "price_usd"):
        assert getattr(more, field) > getattr(one, field) > 0
    assert more.j_per_byte == one.j_per_byte > 0
    assert 0 < one.stream_efficiency < 1


def test_all_grades_at_once_as_one_by_one():
    together = system(*GRADES, gib=8)
    for row, grade in enumerate(GRADES):
        alone = system(grade, gib=8)
        for field in alone.__dataclass_fields__:
            assert np.broadcast_to(getattr(together, field), len(GRADES))[row] == getattr(alone, field)[0], field


def test_what_is_told_of_memory_is_told_of_every_row_or_of_all():
    for grades in (("hbm3",), ("hbm3", "lpddr5_6400", "gddr6_16")):
        found = system(*grades)
        assert {np.shape(getattr(found, one.name)) for one in fields(MemorySystem)} <= {(1,), (len(grades),)}


def test_two_memories_add_and_one_that_is_none_changes_nothing():
    first, other = system(*GRADES, devices=3.0), system(*GRADES[::-1], devices=2.0)
    none = none_where(np.ones(len(GRADES), dtype=bool), other)
    assert all((getattr(none, one.name) == 0).all() for one in fields(MemorySystem))
    both, alone = together(first, other), together(first, none)
    for one in fields(MemorySystem):
        np.testing.assert_array_equal(getattr(alone, one.name), getattr(first, one.name), err_msg=one.name)
    rates = [one.bandwidth_bytes_per_s for one in (first, other, both)]
    np.testing.assert_allclose(rates[0] + rates[1], rates[2])
    np.testing.assert_allclose(rates[0] * first.j_per_byte + rates[1] * other.j_per_byte, rates[2] * both.j_per_byte)


def test_unknown_grade_is_named_with_the_closest():
    with pytest.raises(UnknownEntryError, match="perhaps lpddr5x_9600"):
        memory_technology(Choice.of("lpddr5x_960"), LIBRARY)
