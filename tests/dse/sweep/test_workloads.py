"""What a sweep says of a workload."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from dse.sweep.workloads import SessionsSpec


@pytest.mark.parametrize(
    ("tier", "fine"),
    [({}, True), ({"tier": "ddr5", "tier_gib": 4.0}, True), ({"tier": "ddr5"}, False), ({"tier_gib": 4.0}, False),
    ({"tier_gbps": 4.0}, False),
     ({"tier": "ddr5", "tier_gbps": 4.0}, False), ({"tier": "ddr5", "tier_gib": 4.0, "tier_gbps": 4.0}, True)],
)  # fmt: skip
def test_a_tier_has_a_capacity_and_nothing_without_it(tier: Any, fine: bool) -> None:
    fields = {"turns": 3, "think_s": 2.0, "tier": None, "tier_gib": None, "tier_gbps": None, **tier}
    one = SessionsSpec.model_construct(**fields)
    if fine:
        assert one._tier_whole() is one
    else:
        with pytest.raises(PydanticCustomError):
            one._tier_whole()
