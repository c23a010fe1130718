"""Quantities: what converts, what does not, and that nothing is guessed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.units import UnitError, parse_quantity, split_quantity, unit_of_name, unit_of_suffix, wanted

pytestmark = pytest.mark.bounded


@pytest.mark.parametrize(
    ("text", "unit", "number"),
    [
        ("40", "ms", 40),
        ("150_000", "", 150_000),
        ("40 ms", "ms", 40),
        ("0.04 s", "ms", 40),
        ("1.2 TB/s", "GB/s", 1200),
        ("1.2TB/s", "GB/s", 1200),
        ("1 kB/ms", "GB/s", 1e-3),
        ("8 Gbit/s", "GB/s", 1),
        ("3 %", "", 0.03),
        ("3%", "", 0.03),
        ("1 GiB", "MiB", 1024),
        ("8 GB", "GiB", 8e9 / 2**30),
        ("64 Gbit", "GB", 8),
        ("400 mm2", "mm²", 400),
        ("4 cm^2", "mm²", 400),
        ("800 mV", "V", 0.8),
        ("1 kWh", "J", 3.6e6),
        ("100 TOPS", "TFLOP/s", 100),
        ("50 TMAC/s", "TFLOP/s", 100),
        ("5 token/J", "token/J", 5),
        ("2 $", "USD", 2),
        ("$2", "USD", 2),
        (" $ 1_000.5 ", "USD", 1000.5),
        ("$0.08/kWh", "USD/kWh", 0.08),
        ("$36/h", "USD/s", 0.01),
        ("9 $2", "USD2", 9),
        ("₩1_300", "KRW", 1300),
        ("1_300 ₩", "KRW", 1300),
        ("1000 MHz", "GHz", 1),
        ("1 W s", "J", 1),
        ("1 1/s", "Hz", 1),
        ("-3e-3 s", "ms", -3),
    ],
)
def test_quantities_convert(text: str, unit: str, number: float) -> None:
    assert parse_quantity(text, unit) == pytest.approx(number, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("40 W", "ms"),
        ("1 %", "GiB"),
        ("8 bit", ""),
        ("3 b", "bit"),
        ("40 parsec", "mm"),
        ("nan", ""),
        ("inf", ""),
        ("1e999", ""),
        ("fast", "ms"),
        ("", "ms"),
        ("3 s/", "s"),
        ("3 s)", "s"),
        ("9**9 ms", "ms"),
        ("1 s**9**9", "s"),
        ("1 __import__", "s"),
        ("1/2 s", "s"),
        ("3 2", "s"),
        ("1,5 ms", "ms"),
        ("1 USD", "ms"),
        ("$2", "ms"),
        ("$2 USD", "USD"),
        ("$2 $", "USD"),
        ("$2 -1", "1/USD"),
        ("$$2", "USD"),
        ("$", "USD"),
        ("₩2", "USD"),
        ("%2", ""),
    ],
)
def test_everything_else_is_refused(text: str, unit: str) -> None:
    with pytest.raises(UnitError, match="is not a number"):
        parse_quantity(text, unit)


@pytest.mark.parametrize(
    ("text", "unit", "perhaps"),
    [("1.2 tb/s", "GB/s", "1.2 TB/s"), ("40 MS", "ms", "40 ms"), ("8 gib", "GiB", "8 GiB"), ("5 w", "W", "5 W")],
)
def test_the_wrong_case_is_answered_with_the_right_one(text: str, unit: str, perhaps: str) -> None:
    with pytest.raises(UnitError) as caught:
        parse_quantity(text, unit)
    assert caught.value.perhaps == perhaps


@given(st.floats(1e-6, 1e6), st.sampled_from([("GB/s", "TB/s"), ("ms", "s"), ("GiB", "MiB"), ("mm²", "cm²")]))
def test_there_and_back(number: float, units: tuple[str, str]) -> None:
    one, other = units
    there = parse_quantity(f"{number!r} {one}", other)
    assert parse_quantity(f"{there!r} {other}", one) == pytest.approx(number, rel=1e-12)


@pytest.mark.parametrize(
    ("suffix", "unit"),
    [
        ("pj_per_bit", "pJ/bit"),
        ("usd_per_mm2", "USD/mm²"),
        ("w", "W"),
        ("", ""),
        ("usd_per_card_700w", "usd_per_card_700w"),
    ],
)
def test_the_last_words_of_a_parameter_are_its_unit(suffix: str, unit: str) -> None:
    assert unit_of_suffix(suffix) == unit


def test_pint_is_not_imported_before_a_unit_is_met() -> None:
    code = "import sys, dse.units as u; u.parse_quantity('3', 'ms'); assert 'pint' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


PREFIXES = {"p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
SIZES = {
    "s": 1, "min": 60, "h": 3600, "day": 86400, "a": 8760 * 3600, "J": 1, "Wh": 3600, "B": 8,
    "bit": 1, "MAC": 2, "FLOP": 1,
}  # fmt: skip
BASE = {
    "s": "s",
    "min": "s",
    "h": "s",
    "day": "s",
    "a": "s",
    "J": "J",
    "Wh": "J",
    "B": "bit",
    "bit": "bit",
    "MAC": "OP",
    "FLOP": "OP",
}


def test_prefixes_and_units_multiply() -> None:
    for prefix, factor in PREFIXES.items():
        assert parse_quantity(f"3 {prefix}J", "J") == pytest.approx(3 * factor)
        assert parse_quantity(f"3 J/{prefix}bit", "J/bit") == pytest.approx(3 / factor)
    for prefix, factor in BINARY.items():
        assert parse_quantity(f"3 {prefix}B", "bit") == pytest.approx(3 * factor * 8)
    for unit, size in SIZES.items():
        assert parse_quantity(f"2 {unit}", BASE[unit]) == pytest.approx(2 * size)
        assert parse_quantity(f"2 {BASE[unit]}^2/{unit}^2", "") == pytest.approx(2 / size**2)


@pytest.mark.parametrize(
    ("text", "unit", "must_be", "perhaps"),
    [
        ("4k", "", "a number", "4000"), ("4K", "", "a number", "4000"), ("4M", "", "a number", "4000000"),
        ("4x", "", "a number", "4"),
        ("4 ms", "", "a number", ""), ("4 x2", "", "a number", ""),
        ("4 GBps", "GB/s", "a number, or a quantity that converts to GB/s", ""),
        ("4 gbit/s", "GB/s", "a number, or a quantity that converts to GB/s", "4 Gbit/s"),
        ("4 W", "ms", "a number, or a quantity that converts to ms", ""),
        ("4 mib", "MiB", "a number, or a quantity that converts to MiB", "4 MiB"),
    ],
)  # fmt: skip
def test_a_slip_of_a_unit_is_answered(text: str, unit: str, must_be: str, perhaps: str) -> None:
    with pytest.raises(UnitError) as caught:
        parse_quantity(text, unit)
    assert (caught.value.must_be, caught.value.perhaps) == (must_be, perhaps) and wanted(unit) == must_be


def test_numbers_and_names_of_units() -> None:
    assert split_quantity(" 1_000.5e3  GB/s ", "") == (1000.5e3, "GB/s") and split_quantity("-.5", "") == (-0.5, "")
    assert [unit_of_name(name) for name in ("tdp_w", "w", "link_gbps", "a_b_c", "sram_mib")] == [
        "W",
        "",
        "GB/s",
        "",
        "MiB",
    ]
    assert unit_of_suffix("pj_per_bit") == "pJ/bit" and unit_of_suffix("usd_per_unknown") == "usd_per_unknown"


def test_what_was_probably_meant() -> None:
    for text, unit, perhaps in (
        ("40 foo", "", "40"), ("4k", "", "4000"), ("4.5 K", "", "4500"), ("2M", "", "2000000"), ("8 bit", "", ""),
        ("3 x2", "", ""), ("40 parsec", "mm", ""), ("2 tb/sec", "GB/s", "2 TB/s"), ("1.50 msec", "s", "1.5 ms"),
        ("3 gbits", "B", "3 Gbit"), ("3 gbit/s", "GB/s", "3 Gbit/s"), ("5 MS", "W", ""), ("fast", "ms", ""),
    ):  # fmt: skip
        with pytest.raises(UnitError) as caught:
            parse_quantity(text, unit)
        assert (caught.value.perhaps, caught.value.must_be) == (perhaps, wanted(unit)), text
    assert wanted("") == "a number" and wanted("ms") == "a number, or a quantity that converts to ms"


def test_numbers_exponents_and_quotients_are_read() -> None:
    for text, number, unit in (
        ("1_000 ms", 1000, "ms"), (" -.5W ", -0.5, "W"), ("5e1", 50, ""), ("+2. GB/s", 2, "GB/s"), ("1e-3s", 1e-3, "s"),
    ):  # fmt: skip
        assert split_quantity(text, "ms") == (number, unit)
    for text, unit, number in (
        ("5 s^-1", "Hz", 5), ("6 1/min", "Hz", 0.1), ("3 m2", "mm²", 3e6), ("2 mm³", "m3", 2e-9), ("7 1", "", 7),
        ("8 B*s/s", "bit", 64), ("8 W·h", "J", 28800), ("4 J s", "W s2", 4), ("5 token/s/USD", "token/s/USD", 5),
        ("50 %", "%", 50), ("1 µs", "ns", 1000), ("1 μs", "us", 1),
    ):  # fmt: skip
        assert parse_quantity(text, unit) == pytest.approx(number, rel=1e-12), text


def test_the_last_word_of_a_name_is_its_unit_where_it_is_one() -> None:
    for name, unit in (
        ("chat.tpot_ms", "ms"), ("ms", ""), ("tokens_per_s", "s"), ("die_mm2", "mm²"), ("perplexity_ratio", ""),
        ("tdp_w", "W"), ("link_gbps", "GB/s"), ("life_years", "year"), ("_", ""),
    ):  # fmt: skip
        assert unit_of_name(name) == unit
    assert [unit_of_suffix(one) for one in ("pj_per_thing", "thing_per_bit", "usd_per_kw_per_s")] == [
        "pj_per_thing", "thing_per_bit", "USD/kW/s",
    ]  # fmt: skip
