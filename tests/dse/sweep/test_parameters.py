"""Declarations of parameters: fixed, lists and ranges, just inside and outside of each rule."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cost_models.library import shipped_library
from cost_models.quantities.parameters import PARAMETERS
from dse.sweep.fields import ValidationContext
from dse.sweep.parameters import FixedSpec, RangeSpec, ValuesSpec, kind_of


def declared(kind: Any, name: str, **fields: Any) -> str:
    """What is wrong with a declaration of a parameter, and what was perhaps meant; "" where nothing is."""
    context = ValidationContext(shipped_library(), (), {}, (), parameter=PARAMETERS[name])
    try:
        kind.model_validate(fields, context=context)
    except ValidationError as error:
        told = error.errors()[0].get("ctx", {})
        must_be = f" is not {told['must_be']}" if told["must_be"] else ""
        return f"{told['what']}{must_be}" + (f"; {told['perhaps']}" if told["perhaps"] else "")
    return ""


@pytest.mark.parametrize(
    ("name", "fields", "told"),
    [
        ("link_gbps", {"low": 1, "high": 2}, ""), ("link_gbps", {"low": 2, "high": 2}, "low 2 is not below high 2"),
        ("link_gbps", {"low": 3, "high": 2}, "low 3 is not below high 2; low and high swapped"),
        ("link_gbps", {"low": 0, "high": 2}, ""), ("link_gbps", {"low": 0, "high": 2,
        "log": True}, "low 0 of a range with log: true is not above 0"),
        ("link_gbps", {"low": 1, "high": 2, "log": True}, ""), ("link_gbps", {"low": 1, "high": 2, "levels": 2}, ""),
        ("link_gbps", {"low": 1, "high": 2, "levels": 1}, "1 is not at least 2 and at most 1000000"),
        ("link_gbps", {"low": 1, "high": 2, "levels": 1_000_000}, ""),
        ("link_gbps", {"low": 1, "high": 2, "levels": 1_000_001}, "1000001 is not at least 2 and at most 1000000"),
        ("link_gbps", {"low": 1, "high": 2, "levels": 2.5}, "2.5 is not a whole number"),
        ("link_gbps", {"low": 1, "high": 2, "step": "500 MB/s"}, ""), ("link_gbps", {"low": 1, "high": 2,
        "step": "2 GB/s"}, "step 2 is not at most high - low = 1"),
        ("link_gbps", {"low": 1, "high": 2, "step": 0}, "0 is not above 0"), ("link_gbps", {"low": 1,
        "high": 2, "step": -1}, "-1 is not above 0"),
        ("link_gbps", {"low": 1, "high": 2, "step": 1}, ""), ("link_gbps", {"low": 0.6, "high": 0.7, "step": 0.1}, ""),
        ("link_gbps", {"low": 1, "high": 2, "step": 1.1}, "step 1.1 is not at most high - low = 1"),
        ("link_gbps", {"low": 0, "high": 1000, "step": 0.001}, ""), ("link_gbps", {"low": 0, "high": 1001,
        "step": 0.001}, "step 0.001 makes more than 1000000 values"),
        ("link_gbps", {"low": 1, "high": 9, "step": 1,
        "levels": 3}, "step and levels are both given; one of them says which values there are"),
        ("link_gbps", {"low": 1, "high": 9, "step": 1, "log": True}, "step does not go with log: true; levels"),
        ("link_gbps", {"low": 1, "high": 9.5, "type": "int"}, "high 9.5 of a range of type int is not a whole number"),
        ("link_gbps", {"low": 1, "high": 9, "step": 0.5,
        "type": "int"}, "step 0.5 of a range of type int is not a whole number"),
        ("memory_devices", {"low": 1, "high": 9,
        "type": "float"}, "memory_devices takes whole numbers only: type float is not possible here; int"),
        ("link_gbps", {"low": 1, "high": 9,
        "when": {}}, "a mapping is not a mapping from another parameter to its values; {memory: [hbm3]}"),
        ("link_gbps", {"low": 1, "high": 9,
        "when": "x"}, "'x' is not a mapping from another parameter to its values; {memory: [hbm3]}"),
        ("link_gbps", {"low": 1, "high": 9, "when": {"memory": []}}, "the list of values of memory is empty"),
        ("link_gbps", {"low": 1, "high": 9, "when": {"memory": [True]}}, "true for memory is not a name or a number"),
        ("link_gbps", {"low": 1, "high": 9, "when": {"memory": [None]}}, "None for memory is not a name or a number"),
        ("link_gbps", {"low": 1, "high": 9, "when": {"memory": "hbm3", "dies": [1, 2.5]}}, ""),
    ],
)  # fmt: skip
def test_a_range_is_one_that_can_be(name: str, fields: Any, told: str) -> None:
    assert declared(RangeSpec, name, **fields) == told


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([1, 2], ""), ([1, 2, 1.0], "1 is listed twice"), ([], "an empty list is not a list of at least one value"),
        (7, "7 is not a list; [7]"),
        ("x", "'x' is not a list; [x]"), ({}, "a mapping is not a list"), ((3,), ""),
    ],
)  # fmt: skip
def test_values_are_a_list_without_repeats(values: Any, told: str) -> None:
    assert declared(ValuesSpec, "link_gbps", values=values) == told


@pytest.mark.parametrize(
    ("fields", "whole"),
    [({"low": 1, "high": 9}, True), ({"low": 1, "high": 9.0}, False), ({"low": "1", "high": "9"}, True),
    ({"low": "1 GB/s", "high": 9}, False),
     ({"low": 1, "high": 9, "step": 0.5}, False), ({"low": 1, "high": 9, "step": 2}, True), ({"low": 1.5,
     "high": 9, "type": "float"}, False)],
)  # fmt: skip
def test_a_range_is_of_whole_numbers_where_none_has_a_decimal(fields: Any, whole: bool) -> None:
    context = ValidationContext(shipped_library(), (), {}, (), parameter=PARAMETERS["link_gbps"])
    assert RangeSpec.model_validate(fields, context=context).type == ("int" if whole else "float")
    devices = ValidationContext(shipped_library(), (), {}, (), parameter=PARAMETERS["memory_devices"])
    assert RangeSpec.model_validate({"low": 1.0, "high": 9.0}, context=devices).type == "int"


def test_a_mapping_is_a_list_or_a_range_by_its_keys() -> None:
    told = {"values": ValuesSpec, "low": RangeSpec, "high": RangeSpec, "step": None}
    assert {key: kind_of({key: 1}) for key in told} == told
    assert kind_of({"values": 1, "low": 1}) is kind_of({"values": 1, "high": 1}) is None


def test_a_declaration_is_written_as_it_stands_in_a_file() -> None:
    context = ValidationContext(shipped_library(), (), {}, (), parameter=PARAMETERS["link_gbps"])
    when = {"memory": ("hbm3",)}
    for kind, fields, written, finite in (
        (FixedSpec, {"value": 3}, 3.0, None), (FixedSpec, {"value": "2 MB/ms"}, 2.0, None),
        (ValuesSpec, {"values": [1, 2]}, {"values": [1.0, 2.0]}, None),
        (ValuesSpec, {"values": [1], "when": when}, {"values": [1.0], "when": {"memory": ["hbm3"]}}, None),
        (RangeSpec, {"low": 1, "high": 2}, {"low": 1.0, "high": 2.0, "type": "int"}, False),
        (RangeSpec, {"low": 1, "high": 2.5, "log": True}, {"low": 1.0, "high": 2.5, "log": True,
         "type": "float"}, False),
        (RangeSpec, {"low": 1, "high": 3, "step": 1}, {"low": 1.0, "high": 3.0, "step": 1.0, "type": "int"}, True),
        (RangeSpec, {"low": 1, "high": 3, "levels": 2}, {"low": 1.0, "high": 3.0, "levels": 2, "type": "int"}, True),
    ):  # fmt: skip
        made = kind.model_validate(fields, context=context)
        assert made.written() == written, fields
        assert not isinstance(made, FixedSpec) or made.values == (written,)
        assert not isinstance(made, RangeSpec) or (made.is_finite, made.bounds) == (finite, (1.0, written["high"]))
        with pytest.raises(ValidationError, match="frozen"):
            made.when = {}
