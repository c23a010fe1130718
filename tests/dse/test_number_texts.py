"""Numbers as people read them: digits, thousands, shares, and that nothing has a sign."""

import doctest
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dse.number_texts
from dse.number_texts import (
    counted,
    number_text,
    percent_text,
    ratio_text,
    share_text,
    signed_percent_text,
    whole_number,
)


def test_the_examples_are_true():
    assert doctest.testmod(dse.number_texts).failed == 0


def test_nothing_has_no_sign_and_what_is_not_quite_nothing_is_not_rounded_to_it():
    for share, plain, signed in (
        (0.0, "0", "+0.0"), (-0.0, "0", "+0.0"), (0.0004, "< 0.1", "+0.0"), (-0.0004, "> -0.1", "+0.0"),
        (-1e-300, "> -0.1", "+0.0"), (-0.0005, "-0.1", "-0.1"), (-0.9999, "-100", "-100.0"), (-1.0, "-100", "-100.0"),
        (0.0006, "0.1", "+0.1"), (-0.0006, "-0.1", "-0.1"), (1.0001, "100", "+100.0"), (-0.5, "-50", "-50.0"),
    ):  # fmt: skip
        assert (percent_text(share), signed_percent_text(share)) == (plain, signed), share
        assert share_text(share) == f"{plain} %"
    for value in (0.0, -0.0):
        assert number_text(value) == number_text(value, 1) == "0" and ratio_text(value) == "0x"


@given(st.floats(1e-9, 1e11))
def test_numbers_keep_four_digits_and_their_sign(value):
    text = number_text(value)
    assert float(text.replace(" ", "")) == pytest.approx(value, rel=5.1e-4)
    assert number_text(-value) == f"-{text}"


@given(st.floats(0, 1))
def test_a_fraction_is_nothing_or_everything_only_if_it_is(share):
    text = percent_text(share)
    assert (text == "0") == (share == 0) and (text == "100") == (share == 1)


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("007", 7), ("9" * 18, 10**18 - 1), ("1" + "0" * 18, None), ("", None), ("-1", None), ("1.0", None),
     ("²", None), (" 1", None)],
)  # fmt: skip
def test_a_whole_number_is_of_eighteen_digits_at_most(text, number):
    assert whole_number(text) == number


@pytest.mark.parametrize(
    ("share", "plain", "signed", "sentence"),
    [(9.994, "999.4", "+999.4", "999.4 %"), (10.0, "1 000", "+1 000", "1 000 %"),
     (-10.0, "-1 000", "-1 000", "-1 000 %"),
     (-9.994, "-999.4", "-999.4", "-999.4 %"), (0.0, "0", "+0.0", "0 %"),
     (math.nan, "n/a", "n/a", "n/a"), (12.3456, "1 235", "+1 235", "1 235 %")],
)  # fmt: skip
def test_shares_in_every_form_have_thousands_apart_from_ten_times_on(share, plain, signed, sentence):
    assert (percent_text(share), signed_percent_text(share), share_text(share)) == (plain, signed, sentence)


def test_what_is_counted_is_in_the_plural_unless_it_is_one():
    assert [counted(n, "chip") for n in (0, 1, 1.0, 2, 1000)] == [
        "0 chips",
        "1 chip",
        "1 chip",
        "2 chips",
        "1 000 chips",
    ]
    assert [ratio_text(ratio) for ratio in (1.0, 0.12345, 12345.0, math.nan)] == ["1x", "0.123x", "12 345x", "n/a"]


@given(st.floats(1e-9, 1e15), st.integers(2, 6), st.booleans())
def test_numbers_have_so_many_digits_and_no_exponent_where_it_can_be_avoided(value, digits, negative):
    value = -value if negative else value
    text = number_text(value, digits)
    assert float(text.replace(" ", "")) == pytest.approx(value, rel=10.0 ** (1 - digits) / 1.99)
    whole, _, _ = text.partition(".")
    if 1e-4 <= abs(value) < 10 ** (digits - 1):
        assert "e" not in text
        assert len(text.replace(".", "").replace("-", "").lstrip("0")) <= digits
    if 10 ** (digits - 1) <= abs(value) < 1e12:
        # Beyond the digits that count every one before the point is shown, in threes.
        assert text.replace(" ", "") == f"{value:.0f}" and "." not in text
        assert all(len(part) == 3 for part in whole.lstrip("-").split(" ")[1:])


@pytest.mark.parametrize(
    ("value", "text"),
    [(9.5, "9.5"), (999.4, "999.4"), (999.96, "1000"), (0.95, "0.95"), (1e12, "1e+12"), (None, "n/a"),
     (float("inf"), "inf"), (float("-inf"), "-inf"), (0.0, "0"), (9400.4, "9 400"), (950.25, "950.2")],
)  # fmt: skip
def test_numbers_at_the_edges(value, text):
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0"), (1.0, "100"), (0.0004, "< 0.1"), (0.0005, "0.1"), (0.0006, "0.1"), (0.9995, "> 99.9"),
     (0.9994, "99.9"), (0.5, "50"), (0.123, "12.3"), (None, "n/a"), (float("nan"), "n/a")],
)  # fmt: skip
def test_shares_are_not_rounded_to_nothing_or_everything(share, text):
    assert percent_text(share) == text
