"""What is counted over all designs of a run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ConstraintCount:
    """What one constraint did to the designs of a run.

    Attributes:
        constraint: its label.
        evaluated: designs judged.
        violated: designs that break it.
        missing: designs in which its metric has no value because of something else that they break, mostly memory that
            a workload does not fit; they are not counted as violated.
        sole_cause: designs that break it and nothing else.
        best_margin: largest margin of any design, negative where no design meets it; NaN where all are missing.
        tightest_margin: smallest margin of a feasible design, NaN where there is none.
    """

    constraint: str
    evaluated: int
    violated: int
    missing: int
    sole_cause: int
    best_margin: float
    tightest_margin: float


@dataclass(frozen=True)
class BlockingConstraint:
    """A constraint that keeps a value of an axis from surviving.

    Attributes:
        constraint: its label.
        share: designs with the value that break it, over all designs with the value.
    """

    constraint: str
    share: float


@dataclass(frozen=True)
class Violation:
    """A constraint that a design breaks, and by how much relative to its bound."""

    constraint: str
    by: float


@dataclass(frozen=True)
class AxisValueStats:
    """How the designs with one value (or one interval of values) of an axis fared.

    Attributes:
        axis: the parameter.
        value: the value as text; ``inactive`` where the parameter does not apply.
        low: lower end of the interval, or the value; NaN for names.
        high: upper end of the interval, or the value; NaN for names.
        evaluated: designs with it.
        feasible: those that meet every constraint.
        feasible_low: smallest number among those, NaN for names and where there are none.
        feasible_high: largest number among those.
        removed_by: where none survives, the constraints that break all its designs; where no single one does,
            the fewest that together do, the most frequent first.
        nearest_miss: where none survives, what the design with the least summed violation breaks.
    """

    axis: str
    value: str
    low: float
    high: float
    evaluated: int
    feasible: int
    feasible_low: float
    feasible_high: float
    removed_by: tuple[BlockingConstraint, ...]
    nearest_miss: tuple[Violation, ...]
