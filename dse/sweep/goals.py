"""What a sweep asks for: objectives and constraints."""

from __future__ import annotations

from pydantic import model_validator

from dse.sweep.fields import BaselineName, Bound, Direction, MetricName, Tolerance, issue
from dse.sweep.hints import quoted
from dse.sweep.records import SweepRecord


class ObjectiveSpec(SweepRecord):
    """A metric to make small or large."""

    metric: MetricName
    direction: Direction


class ConstraintSpec(SweepRecord):
    """A metric with bounds, in the metric's unit, or as multiples of a baseline's value.

    Attributes:
        metric: the metric.
        relative_to: the baseline whose value of the metric the bounds multiply.
        max: upper bound.
        min: lower bound.
        near: target value.
        within: tolerance around `near`, as a share of it.
    """

    metric: MetricName
    relative_to: BaselineName | None = None
    max: Bound | None = None
    min: Bound | None = None
    near: Bound | None = None
    within: Tolerance | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> ConstraintSpec:
        if self.max is None and self.min is None and self.near is None:
            raise issue("a constraint needs max, min, or near and within")
        if (self.near is None) != (self.within is None):
            missing = "within" if self.within is None else "near"
            raise issue(f"{missing} is missing; near and within go together")
        if self.near is not None and (self.max is not None or self.min is not None):
            raise issue("near and within do not go with max or min; write two constraints")
        if self.near == 0:
            raise issue("near 0", "possible (within is a share of it)", "max and min")
        if self.max is not None and self.min is not None and self.min > self.max:
            raise issue(f"min {quoted(self.min)}", f"at most max {quoted(self.max)}", "min and max swapped")
        if self.relative_to and any(bound is not None and bound <= 0 for bound in (self.max, self.min, self.near)):
            raise issue("a bound relative to a baseline", "possible below or at 0: it is a multiple")
        return self

    @property
    def label(self) -> str:
        """The constraint in one line, unique within a sweep: ``tdp_w <= 150``."""
        scale = f" x {self.relative_to}" if self.relative_to else ""
        if self.near is not None:
            return f"{self.metric} = {self.near:.12g}{scale} +- {100 * (self.within or 0):.12g} %"
        low = f"{self.min:.12g}{scale} <= " if self.min is not None and self.max is not None else ""
        if self.max is not None:
            return f"{low}{self.metric} <= {self.max:.12g}{scale}"
        return f"{self.metric} >= {self.min:.12g}{scale}"
