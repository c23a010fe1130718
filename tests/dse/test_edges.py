"""Random legal designs under random legal workloads; ``python -m tests.soak.edges`` tries ten million."""

import warnings

import numpy as np

from cost_models.errors import LibraryError
from cost_models.quantities.parameters import PARAMETERS
from cost_models.quantities.records import LEAST_SIZE, MOST_SIZE
from cost_models.quantities.workload_fields import WORKLOAD_FIELDS
from dse.errors import DseError
from dse.evaluator import Evaluator
from dse.space import Space
from dse.sweep import parse_spec
from tests.soak.edges import faults_of, sweep_of
from tests.sweeps import tiny

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


def test_no_number_that_a_sweep_may_hold_is_too_much_for_the_computer():
    """Each at its least and most, all else as in a small sweep; what the sweep refuses is not evaluated."""
    judged = []
    numbers = [one for one in (*PARAMETERS.values(), *WORKLOAD_FIELDS.values()) if not one.is_choice]
    for one in numbers:
        least = one.low if not one.open_low else max(one.low, 1.0 if one.integer else LEAST_SIZE)
        for value in (least, max(one.low, LEAST_SIZE), min(one.high, MOST_SIZE)):
            sweep = tiny()
            if one.name in PARAMETERS:
                sweep["space"][one.name] = value
            else:
                sweep["workloads"]["chat"][one.name] = value
            try:
                spec = parse_spec(sweep)
            except DseError:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                found = Evaluator(spec).evaluate(Space(spec).grid(0, 8))
            assert not np.isnan(found.metrics["cost_usd"]).any(), (one.name, value)
            judged.append(one.name)
    assert len(set(judged)) > 30 and len(judged) > 60
