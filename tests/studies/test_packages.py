"""Kinds of chips at equal cost and power: limits are kept, and what is given away makes no design better."""

import numpy as np
import pytest

from cost_models.library import shipped_library
from studies.packages import BANKS_KIND, DEAR, FOUNDING, KINDS, STACKED_KIND, Front, dear_end, front_of

FEW = {"search.n_designs": "1500"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_designs_and_none_beats_its_limits(kind):
    front = front_of(KINDS[kind], FEW)
    assert front is not None
    middle = float(np.median(front.cost_usd))
    within, anyhow = front.fastest(cost_usd=middle), front.fastest()
    assert within is not None and anyhow is not None
    assert within["cost_usd"] <= middle
    assert anyhow["tpot_ms"] == front.tpot_ms.min() <= within["tpot_ms"]
    assert front.fastest(cost_usd=0.0) is None


def test_the_fastest_is_that_of_the_limit():
    front = Front(np.array([3.0, 2.0, 1.0]), np.array([1.0, 2.0, 3.0]), np.array([9.0, 8.0, 7.0]))
    assert front.fastest(cost_usd=2.5) == {"tpot_ms": 2.0, "cost_usd": 2.0, "tdp_w": 8.0}
    assert front.fastest(cost_usd=2.5, tdp_w=7.5) is None


def test_banks_that_multiply_gain_for_one_sequence_and_not_for_many():
    def fastest(kind, batch, **settings):
        further = {**FEW, "search.n_designs": "6000", "workloads.chat_70b.batch": str(batch)}
        front = front_of({**KINDS[kind], **settings}, further)
        assert front is not None
        found = front.fastest(tdp_w=150.0)
        assert found is not None
        return found["tpot_ms"]

    assert fastest(BANKS_KIND, 32) > 0.98 * fastest(FOUNDING, 32)
    wide, narrow = fastest(BANKS_KIND, 1), fastest(BANKS_KIND, 1, act_bits="8")
    # Weights of 4.25 bits met by one row of 16 bits: half of the operands' rate, 0.7 of 8 times the pins' bandwidth.
    most = 8 * 0.7 / 0.86 * 4.25 / 16
    assert 1.2 < fastest(FOUNDING, 1) / wide < 1.05 * most
    assert 1.5 < wide / narrow <= 2.0


def test_dear_ends_make_stacked_dram_no_better():
    typical, dear = front_of(KINDS[STACKED_KIND], FEW), front_of(KINDS[STACKED_KIND], {**FEW, **dear_end()})
    assert typical is not None and dear is not None
    assert dear.cost_usd.min() > typical.cost_usd.min()
    assert dear.tpot_ms.min() > typical.tpot_ms.min()
    parameters = shipped_library().parameters
    assert all(parameters[path].low < parameters[path].typ < parameters[path].high for path in DEAR)
    assert FOUNDING in KINDS
