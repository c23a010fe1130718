"""Records read one by one: what stands where a value is empty, and numbers that a comma took apart."""

from __future__ import annotations

from dse.sweep.record_reader import _without_comma
from dse.yaml_positions import node_of


def test_a_number_with_a_comma_is_put_together() -> None:
    told = "the rest of a number with a comma: write "
    for around, key, number in (
        ({"max": 1, "500": None}, "500", "1500"), ({"max": 0, "125": None}, "125", "0.125"),
        ({"max": 0, "5": None}, "5", "0.5"), ({"max": 12, "75": None}, "75", "12.75"),
        ({"max": 1, "5000": None}, "5000", "1.5000"), ({"min": 3, "max": 1.5, "500": None}, "500", "1.5500"),
        ({"max": -2, "500": None}, "500", "-2500"), ({"max": 1, "500": None, "min": 2}, "500", "1500"),
        ({"500": None, "max": 1}, "500", ""), ({"max": True, "500": None}, "500", ""),
        ({"max": "1 W", "500": None}, "500", ""), ({"max": 1, "5x": None}, "5x", ""), ({"max": 1}, "max", ""),
        ({"max": None, "500": None}, "500", ""), ({}, "500", ""),
    ):  # fmt: skip
        below = node_of(around).value
        assert isinstance(below, dict)
        assert _without_comma(below, key) == (told + number if number else ""), around
