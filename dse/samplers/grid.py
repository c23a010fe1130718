"""Every design of the space once, in a fixed order."""

from __future__ import annotations

from cost_models.table import Table
from dse.errors import Issue, SpecError
from dse.samplers.base import MAX_DESIGNS, StreamingSampler
from dse.space import Space

MAX_GRID = 2 * 10**9
"""Designs of a grid that is searched without being asked for by its size: hours on one core."""


class GridSampler(StreamingSampler):
    """Enumerates the space.

    Args:
        space: a space whose ranges all have steps or levels.
        n_designs: most designs that may be evaluated; all are where None.
        prune: whether designs may be decided by constraints of few parameters (`dse.search.pruning`).

    Raises:
        SpecError: a range cannot be enumerated, or there are more designs than `n_designs`: a part of a grid
            would say nothing of the rest.
    """

    def __init__(self, space: Space, *, n_designs: int | None, prune: bool = False) -> None:
        size = space.grid_size
        if n_designs is not None and n_designs < size:
            path = "search.n_designs"
            must_be = f"enough for the {size} designs of the grid"
            raise SpecError([Issue(space.place_of(path), path, str(n_designs), must_be, "fewer levels, or sobol")])
        limit = MAX_GRID if n_designs is None else MAX_DESIGNS
        if size > limit:
            path = "search.sampler" if n_designs is None else "search.n_designs"
            what = f"the grid has {size:,} designs, more than the {limit:,} that are begun"
            asked = f", or say n_designs: {size}" if size <= MAX_DESIGNS else ""
            raise SpecError([Issue(space.place_of(path), path, what, perhaps=f"fewer levels, or sobol+evolve{asked}")])
        self._budget, self.prune = n_designs, prune
        super().__init__("grid", space, size, {})

    def describe(self) -> tuple[str, ...]:
        """Return how much of the budget the grid needs."""
        if self._budget is None or self._budget == self.total:
            return ()
        return (f"the grid has {self.total} designs, fewer than the {self._budget} of n_designs",)

    def _rows(self, start: int, stop: int) -> Table:
        return self._space.grid(start, stop)

    def _seek(self, position: int) -> None:
        """Do nothing: any row can be made at any time."""
