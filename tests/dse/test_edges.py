"""Random legal designs under random legal workloads; ``python -m tests.soak.edges`` tries ten million."""

import warnings

import numpy as np

from cost_models.errors import LibraryError
from dse.errors import DseError
from dse.space import Space
from tests.soak.edges import faults_of, sweep_of

SWEEPS, DESIGNS = 25, 64


def test_random_designs_have_numbers_where_numbers_are_due():
    tried = feasible = 0
    for number in range(20 * SWEEPS):
        rng = np.random.default_rng([1, number])
        try:
            spec = sweep_of(rng)
        except (DseError, LibraryError):
            continue
        space = Space(spec)
        designs = space.decode(rng.random((DESIGNS, len(space.dimensions))))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            faults, found = faults_of(spec, designs, rng)
        assert not faults, number
        tried, feasible = tried + 1, feasible + int(found.feasible.sum())
        if tried == SWEEPS:
            break
    assert tried == SWEEPS and feasible >= 10
