"""The record of a sweep: what it is written as, where its keys stand, and what its hash is of."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from dse.sweep import parse_spec
from dse.sweep.search import EvolveOptions
from tests.dse.sweep.verdict import changed
from tests.sweeps import TEXT, small

ENDS: list[Any] = [{"low": 1.1}, {"high": 1.3}, {"low": 1.1, "high": 1.3}]


@pytest.mark.parametrize("told", [1.2, *({"typ": 1.2, **ends} for ends in ENDS)])
def test_a_replaced_parameter_is_written_as_it_is_read(told: Any) -> None:
    spec = parse_spec(small(technology={"tco.pue": told}))
    assert spec.written()["technology"] == {"tco.pue": told} and spec.technology == {"tco.pue": 1.2}
    assert parse_spec(spec.written()).hash == spec.hash != parse_spec(small()).hash


def test_defaults_are_those_that_users_know(data_regression: Any) -> None:
    """Results change in silence where a default does."""
    spec = parse_spec(changed(yaml.safe_load(TEXT), {"robustness": {}}))
    resolved = spec.resolved()
    rest = {key: one for key, one in resolved.items() if key not in ("space", "economics", "technology")}
    data_regression.check({**rest, "evolve": EvolveOptions().model_dump()})
