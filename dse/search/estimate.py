"""How long a run will take on this machine, from a few designs of its space."""

from __future__ import annotations

import time

import numpy as np

from dse.evaluator import Evaluator
from dse.space import Space
from dse.sweep import Spec

PROBE_DESIGNS = 2048
"""Designs by which the time of a run is estimated."""

SEARCH_FRACTION = 2.0
"""Time of a whole run over that of its evaluations, at most: proposing and keeping designs take about as long again."""


def seconds_estimate(spec: Spec, space: Space, evaluator: Evaluator) -> float:
    """Return how long evaluating every design of a run takes on this machine, from a few designs of the space."""
    total = space.grid_size if spec.search.n_designs is None else spec.search.n_designs
    # Multiples of irrational numbers fill the cube as evenly as random ones, whose module takes a while to import.
    steps = np.sqrt(2.0) * np.exp(np.arange(len(space.dimensions)) / 7)
    unit = np.outer(np.arange(1, PROBE_DESIGNS + 1), steps) % 1.0
    designs = space.decode(unit)
    start = time.perf_counter()
    evaluator.evaluate(designs, metrics=())
    return (time.perf_counter() - start) * total / PROBE_DESIGNS
