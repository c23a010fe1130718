"""Short sections of a sweep, just inside and outside of their ranges."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from dse.sweep.records import EconomicsSpec, LibraryParameterSpec, ResultsSpec, RobustnessSpec
from tests.dse.sweep.faults import assert_ends

ENDS = (
    (RobustnessSpec, "draws", (2, 100_000), (1, 100_001)), (RobustnessSpec, "seed", (0, 2**32 - 1), (-1, 2**32)),
    (RobustnessSpec, "designs", (1, 9), (0,)), (ResultsSpec, "keep_all_up_to", (0, 9), (-1, 0.5)),
    (EconomicsSpec, "margin", (0, 0.99), (-0.1, 0.991)), (EconomicsSpec, "units", (0.5, 1e6), (0, -1)),
    (EconomicsSpec, "nre_share", (0, 1), (-0.1, 1.1)), (EconomicsSpec, "price_year", (2023, 2026), (2022, 2027)),
    (EconomicsSpec, "krw_per_usd", (0.5,), (0,)), (EconomicsSpec, "yield_model", ("murphy", "poisson"), ("bose",)),
)  # fmt: skip


def test_a_number_is_taken_up_to_its_ends() -> None:
    assert_ends(ENDS)
    assert RobustnessSpec().model_dump() == {"draws": 2000, "seed": 0, "designs": 1000}
    assert ResultsSpec().keep_all_up_to == 200_000 and set(EconomicsSpec().model_dump().values()) == {None}


@pytest.mark.parametrize(
    ("ends", "fine"),
    [
        ((1, 1, 1), True),
        ((1, 2, 3), True),
        ((2.1, 2, 3), False),
        ((1, 2, 1.9), False),
        ((None, 2, 2), True),
        ((2, 2, None), True),
    ],
)
def test_a_parameter_lies_within_its_range(ends: Any, fine: bool) -> None:
    low, typ, high = ends
    told = {"typ": typ} | ({} if low is None else {"low": low}) | ({} if high is None else {"high": high})
    found = LibraryParameterSpec.model_construct(**{"low": None, "high": None, **told})
    if fine:
        assert found._in_order() is found
    else:
        with pytest.raises(PydanticCustomError):
            found._in_order()
