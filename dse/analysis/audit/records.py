"""Claims and what they are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cost_models.table import Setting
from dse.errors import Place
from dse.sweep import BaselineSpec, ConstraintSpec, Spec, WorkloadSpec

Grade = Literal["high", "medium", "low"]


@dataclass(frozen=True)
class Claim:
    """A number that somebody stated.

    Attributes:
        key: its name, unique in the file.
        of: the subject that it is about.
        asks: metric, bounds and what they are relative to, as a constraint of a sweep.
        value: the number as stated.
        source: where it was stated.
        grade: how much the source is worth.
        note: what there is to say beside it.
        question: name of the question of which it is one reading, "" where it is read in one way only.
        reading: how it is read.
        not_comparable: why it cannot be held against a prediction, "" where it can.
        place: where it stands in the file.
    """

    key: str
    of: str
    asks: ConstraintSpec
    value: float
    source: str
    grade: Grade
    note: str
    question: str
    reading: str
    not_comparable: str
    place: Place

    @property
    def metric(self) -> str:
        """The metric, ``workload.metric`` or bare."""
        return self.asks.metric

    @property
    def relative_to(self) -> str | None:
        """The subject that the value is a multiple of, None where it is a value."""
        return self.asks.relative_to

    @property
    def interval(self) -> tuple[float, float]:
        """The values that the claim allows."""
        if self.asks.near is not None and self.asks.within is not None:
            ends = sorted(self.asks.near * (1 + sign * self.asks.within) for sign in (-1, 1))
            return ends[0], ends[1]
        low = float("-inf") if self.asks.min is None else self.asks.min
        return low, float("inf") if self.asks.max is None else self.asks.max


@dataclass(frozen=True)
class ChipSubject:
    """Chips of the library.

    Attributes:
        name: what it is called.
        entry: how many of which, in which formats.
    """

    name: str
    entry: BaselineSpec


@dataclass(frozen=True)
class DesignSubject:
    """A design of which everything is given.

    Attributes:
        name: what it is called.
        spec: its sweep of one design.
        settings: the design.
    """

    name: str
    spec: Spec
    settings: Mapping[str, Setting]


@dataclass(frozen=True)
class SpaceSubject:
    """A design that is not known: a space, to be searched for those that satisfy every claim.

    Attributes:
        name: what it is called.
        spec: the space with the claims as constraints.
    """

    name: str
    spec: Spec


@dataclass(frozen=True)
class RatesSubject:
    """A machine of which not even the space is known: only rates and bits.

    Attributes:
        name: what it is called.
        axes: ``weight_bits``, ``kv_bits`` and ``tflops``, each (low, high, number of values, whether in ratios).
        stack: software stack.
        overlap: "step" where all traffic of a step may hide all its arithmetic, "operators" where each operator's does.
        spec: workloads and parameters.
    """

    name: str
    axes: Mapping[str, tuple[float, float, int, bool]]
    stack: str
    overlap: str
    spec: Spec


Subject = ChipSubject | DesignSubject | SpaceSubject | RatesSubject


@dataclass(frozen=True)
class ClaimsFile:
    """Everything that a claims file says.

    Attributes:
        name: of the file's case.
        workloads: by name.
        subjects: by name.
        claims: in the order of the file, lists written out.
        spec: the workloads with every chip subject as a baseline, for relative claims.
    """

    name: str
    workloads: Mapping[str, WorkloadSpec]
    subjects: Mapping[str, Subject]
    claims: tuple[Claim, ...]
    spec: Spec

    def of(self, subject: str) -> list[Claim]:
        """Return the claims about a subject."""
        return [claim for claim in self.claims if claim.of == subject]
