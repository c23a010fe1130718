"""Grids are begun up to a size."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dse.errors import SpecError
from dse.samplers import base, grid


def sized(size: int) -> Any:
    return SimpleNamespace(grid_size=size, dimensions=["a"], place_of=lambda path: path)


@pytest.mark.parametrize(
    ("size", "asked", "says"),
    [
        (grid.MAX_GRID, None, ""), (grid.MAX_GRID + 1, None, "or say n_designs: 2000000001"),
        (base.MAX_DESIGNS, None, "or say n_designs"),
        (base.MAX_DESIGNS + 1, None, "sobol.evolve$"), (base.MAX_DESIGNS, base.MAX_DESIGNS, ""),
        (10, 9, "enough for the 10"),
        (10, 10, ""), (base.MAX_DESIGNS + 1, base.MAX_DESIGNS + 1, "more than the 100,000,000,000 that are begun"),
    ],
)  # fmt: skip
def test_grids_are_begun_up_to_a_size(size: int, asked: int | None, says: str) -> None:
    if says:
        with pytest.raises(SpecError, match=says) as told:
            grid.GridSampler(sized(size), n_designs=asked)
        assert [one.path for one in told.value.issues] == [f"search.{'n_designs' if asked else 'sampler'}"]
    else:
        made = grid.GridSampler(sized(size), n_designs=asked)
        assert made.total == size and made.describe() == () and made.prune is False
