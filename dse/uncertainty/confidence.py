"""Which conclusions of a run rest on parameters of low confidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cost_models.table import Setting
from dse.sweep import Spec
from dse.sweep.library_additions import library_of
from dse.uncertainty.intervals import parameters_of
from dse.uncertainty.monte_carlo import spreads_of
from dse.uncertainty.sensitivity import Swing, swings_of

MIN_NOTABLE_CHANGE = 0.1
"""Relative change of a metric from which a parameter is said to carry it."""


@dataclass(frozen=True)
class WeakPoint:
    """A parameter of low confidence that a conclusion rests on.

    Attributes:
        swing: what its range does to a metric, or to the margin of a constraint.
        breaks: whether it breaks a constraint that is met at the typical parameters; the swing is of its margin then.
    """

    swing: Swing
    breaks: bool


def weak_points(spec: Spec, design: Mapping[str, Setting]) -> list[WeakPoint]:
    """Return parameters of low confidence that carry a design: those that break a constraint, then the widest swings.

    A parameter counts where an end of its range breaks a constraint that the design meets, or moves an objective by
    more than `MIN_NOTABLE_CHANGE` of its value, everything else at its typical value.
    """
    spreads = spreads_of(parameters_of(spec, [design]), spec.parameters, library_of(spec.library))
    labels = [one.label for one in spec.constraints]
    broken, wide = [], []
    for swing in swings_of(spec, design, spreads, [*labels, *dict.fromkeys(one.metric for one in spec.objectives)]):
        if swing.input.confidence != "low":
            continue
        worst = np.nanmin([swing.at_low, swing.at_high])
        if swing.metric in labels:
            if worst < 0 <= swing.at_typ:
                broken.append(WeakPoint(swing, breaks=True))
        elif swing.width > MIN_NOTABLE_CHANGE * abs(swing.at_typ):
            wide.append(WeakPoint(swing, breaks=False))
    return broken + sorted(wide, key=lambda point: -point.swing.width / abs(point.swing.at_typ))
