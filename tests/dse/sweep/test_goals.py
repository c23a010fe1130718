"""Objectives and constraints: what one says, and what none says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from dse.sweep.goals import ConstraintSpec


def constraint(**fields: Any) -> ConstraintSpec:
    usual = {"metric": "m", "relative_to": None, "max": None, "min": None, "near": None, "within": None}
    return ConstraintSpec.model_construct(**{**usual, **fields})


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"max": 3.0}, "m <= 3"), ({"min": 0.5}, "m >= 0.5"), ({"min": 1.0, "max": 1.0}, "1 <= m <= 1"),
        ({"min": 1.0, "max": 2.0, "relative_to": "b"}, "1 x b <= m <= 2 x b"), ({"near": 2.0,
        "within": 0.05}, "m = 2 +- 5 %"),
        ({"near": 2.0, "within": 0.05, "relative_to": "b"}, "m = 2 x b +- 5 %"), ({"near": -2.0,
        "within": 0.0}, "m = -2 +- 0 %"),
        ({"max": 0.0}, "m <= 0"), ({"max": 1e-9, "relative_to": "b"}, "m <= 1e-09 x b"),
        ({}, None), ({"near": 2.0}, None), ({"within": 0.1}, None), ({"near": 2.0, "within": 0.1, "max": 3.0}, None),
        ({"near": 2.0, "within": 0.1, "min": 3.0}, None), ({"near": 0.0, "within": 0.1}, None), ({"min": 2.0,
        "max": 1.9}, None),
        ({"max": 0.0, "relative_to": "b"}, None), ({"min": -1.0, "relative_to": "b"}, None),
        ({"near": -1.0, "within": 0.1, "relative_to": "b"}, None), ({"max": 1.0, "within": 0.1}, None),
    ],
)  # fmt: skip
def test_a_constraint_says_one_thing(fields: Any, label: str | None) -> None:
    one = constraint(**fields)
    if label is None:
        with pytest.raises(PydanticCustomError):
            one._says_one_thing()
    else:
        assert one._says_one_thing().label == label


def test_every_rule_of_a_goal_answers_as_it_did(answers_as_stored: Callable[[str], None]) -> None:
    answers_as_stored("goals")
