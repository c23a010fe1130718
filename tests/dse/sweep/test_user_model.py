"""What a sweep says of a model of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from cost_models.quantities.metrics import METRICS
from dse.sweep.user_model import ModelSpec, UserMetric, check_user_metric_name, metric_entry
from tests.dse.sweep.faults import says


@pytest.mark.parametrize(
    ("name", "unit", "fine"),
    [
        ("noise_db", None, True), ("noise_db", "dB", True), ("tdp_w", None, True), ("tdp_w", "W", True),
        ("tdp_w", "kW", False),
        ("chat.tpot_ms", "ms", True), ("chat.tpot_ms", "s", False), ("tpot_ms", None, False),
        ("code.tpot_ms", None, False),
        ("noise-db", None, False), ("1x", None, False), ("macs", None, False), ("feasible", None, False),
        ("id", None, False), (3, None, False),
    ],
)  # fmt: skip
def test_a_metric_of_a_model_has_a_name_of_its_own_or_a_built_in_ones_unit(name: Any, unit: Any, fine: bool) -> None:
    known = ("tdp_w", "chat.tpot_ms")
    if fine:
        check_user_metric_name(name, unit, known)
    else:
        with pytest.raises(PydanticCustomError):
            check_user_metric_name(name, unit, known)


def test_a_metric_has_the_unit_of_its_name_unless_it_is_told() -> None:
    assert metric_entry("noise_w", UserMetric()).unit == "W" and metric_entry("noise", UserMetric()).unit == ""
    assert (
        metric_entry("noise_w", UserMetric(unit="")).unit == ""
        and metric_entry("x", UserMetric(better="max")).better == "max"
    )
    own = {name: UserMetric() for name in ("noise", "chat.tpot_ms", "tdp_w")}
    made = ModelSpec.model_construct(function=None, command=("python3", "x.py"), metrics=own)
    assert list(made.described) == ["noise"] and made.words == "python3 x.py" and "tpot_ms" in METRICS


@pytest.mark.parametrize(
    ("fields", "fine"),
    [
        ({"function": "a:b"}, True), ({"command": ["x"]}, True), ({}, False), ({"function": "a:b",
        "command": ["x"]}, False),
        ({"function": "a"}, False), ({"function": "a.b:c.d"}, True), ({"function": "1a:b"}, False),
        ({"command": []}, False),
        ({"command": [""]}, False), ({"command": "x"}, False), ({"function": "a:b", "retries": 100}, True),
        ({"function": "a:b", "retries": 101}, False), ({"function": "a:b", "retries": -1}, False),
        ({"function": "a:b", "timeout_s": 0}, False),
        ({"function": "a:b", "timeout_s": 0.1}, True), ({"function": "a:b", "batch": 0}, False),
        ({"function": "a:b", "metrics": {}}, False),
        ({"function": "a:b", "replace": 1}, False),
    ],
)  # fmt: skip
def test_a_model_is_a_function_or_a_command(fields: Any, fine: bool) -> None:
    assert (says(ModelSpec, **fields) == "") == fine


def test_every_rule_of_an_own_model_answers_as_it_did(answers_as_stored: Callable[[str], None]) -> None:
    answers_as_stored("own_model")
