"""How long a run will take on this machine, from a few designs of its space."""

from __future__ import annotations

import math
import time

from dse.evaluator import Evaluator
from dse.replay import NOTED_ROWS
from dse.samplers import planned_designs
from dse.space import Space
from dse.sweep import Spec

PROBES = (64, 2048)
"""Designs by which the time of a run is estimated: what a call costs whatever it evaluates, and each design more."""

REPEATS = 2
"""Times that they are evaluated, of which the quicker counts: the first takes memory that is used again."""

LONG_S = 10.0
"""Time from which it is estimated again as long searches go, with the model noted; noting takes a hundredth of this."""

LONG_PROBES = (512, 16_384)
"""Designs by which it is then."""

SEARCH_FRACTION = 2.0
"""Time of a whole run over that of its evaluations, at most: proposing and keeping designs take about as long again."""


def seconds_estimate(spec: Spec, space: Space, evaluator: Evaluator) -> float:
    """Return how long evaluating every design of a run takes on this machine, from a few designs of the space."""
    seconds = _seconds(spec, space, evaluator, PROBES)
    if seconds > LONG_S:
        evaluator.note(space.scattered(NOTED_ROWS))
        seconds = _seconds(spec, space, evaluator, LONG_PROBES)
    return seconds


def _seconds(spec: Spec, space: Space, evaluator: Evaluator, probes: tuple[int, int]) -> float:
    """Return how long it takes by what two tables of designs take."""
    total = planned_designs(spec.search, space)
    seconds = []
    for count in probes:
        designs, least = space.scattered(count), math.inf
        for _ in range(REPEATS):
            start = time.perf_counter()
            evaluator.evaluate(designs, metrics=())
            least = min(least, time.perf_counter() - start)
        seconds.append(least)
    each = max(seconds[1] - seconds[0], 0.0) / (probes[1] - probes[0])
    calls = math.ceil(total / spec.search.batch_size)
    return each * total + max(seconds[0] - each * probes[0], 0.0) * calls
