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
