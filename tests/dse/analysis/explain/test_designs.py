"""The least number of chips that hold a workload, of ways to serve that are made up."""

from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.evaluate.workload import Workload
from cost_models.table import Table
from dse.analysis.explain.designs import explain_designs, least_chips

CHAT = Workload("chat", "llama3_8b", 1.0, 64.0, 10.0)


def held(**bytes_of):
    """Serve such that chips of 25 bytes hold what a function of their number says."""

    def serve(workload):
        chips = workload.n_chips
        footprint = SimpleNamespace(most_loaded_bytes=bytes_of[workload.parallelism](chips))
        return SimpleNamespace(
            inference=SimpleNamespace(footprint=footprint), machine=SimpleNamespace(capacity_bytes=np.array([25.0]))
        )

    return least_chips(serve, CHAT)


@pytest.mark.parametrize(
    ("whole", "chips"), [(20, 1), (25, 1), (100, 4), (101, 5), (25 * 1024, 1024), (25 * 1024 + 1, None)]
)
def test_the_least_number_that_holds_its_share(whole, chips):
    found = held(tensor=lambda n: whole / n, pipeline=lambda n: 2 * whole / n)
    assert found.get("tensor") == chips
    assert found.get("pipeline") == (None if 2 * whole > 25 * 1024 else -(-2 * whole // 25))


def test_a_split_that_never_holds_is_left_out_and_one_number_may_stand_for_all():
    assert held(tensor=lambda n: np.full(1, 30.0), pipeline=lambda n: np.full(1, 20.0)) == {"pipeline": 1}
    # The first that holds counts, whatever follows.
    assert held(tensor=lambda n: np.where(n == 3, 20.0, 30.0), pipeline=lambda n: 30.0 + n) == {"tensor": 3}


@pytest.mark.parametrize("rows", [0, 2])
def test_one_design_is_explained(rows):
    with pytest.raises(ValueError, match=f"{rows} rows is not one row"):
        explain_designs(None, Table({"macs": np.ones(rows)}))
