"""Claims about known machines: what the equations say, how sure they are, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cost_models.quantities.columns import metric_of
from cost_models.quantities.metrics import METRICS
from cost_models.table import FloatArray, Table, first_number
from dse.analysis.audit.records import ChipSubject, Claim, ClaimsFile, DesignSubject
from dse.evaluator import Evaluator
from dse.uncertainty.monte_carlo import monte_carlo_samples, spreads_of

DRAWS, SEED = 400, 0
"""Monte Carlo samples of the library's ranged parameters, and their seed."""

QUANTILES = (0.05, 0.95)
"""Ends of the interval that a prediction is given with."""

BOUNDED = (
    "tpot_ms", "ttft_ms", "request_s", "tokens_per_s", "tokens_per_s_end_to_end", "requests_per_s",
    "roofline_tpot_ms", "chips_needed",
)  # fmt: skip
"""Metrics that peak bandwidth, peak arithmetic and room for the bytes bound, whatever the software."""

Finding = Literal["consistent", "optimistic", "pessimistic", "impossible", "not comparable"]


@dataclass(frozen=True)
class ClaimResult:
    """What became of a claim.

    Attributes:
        claim: the claim.
        finding: consistent with the interval of the prediction; optimistic or pessimistic by `factor` against the
            typical prediction; impossible: beats the bound by `factor`; or not comparable.
        predicted: typical value; NaN where there is none.
        low: lower end of the 90 % interval.
        high: upper end.
        bound: the best that peak rates allow; NaN where the metric has no such bound.
        factor: 1 where consistent.
        why: why it cannot be compared, "" otherwise.
    """

    claim: Claim
    finding: Finding
    predicted: float
    low: float
    high: float
    bound: float
    factor: float
    why: str = ""


@dataclass(frozen=True)
class _Predicted:
    """Metrics of one subject: typical, over the draws, and at peak rates."""

    typical: Mapping[str, FloatArray]
    drawn: Mapping[str, FloatArray]
    bound: Mapping[str, FloatArray]


class ClaimChecker:
    """Judges claims about known machines.

    Args:
        case: the claims.
        draws: Monte Carlo samples.
    """

    def __init__(self, case: ClaimsFile, *, draws: int = DRAWS) -> None:
        self.case, self.draws = case, draws
        self._known: dict[str, _Predicted] = {}

    def judge(self, claim: Claim) -> ClaimResult:
        """Return the verdict on a claim about chips or a given design."""
        missing = float("nan")
        if claim.not_comparable:
            return ClaimResult(
                claim, "not comparable", missing, missing, missing, missing, missing, claim.not_comparable
            )
        own = self.predicted(claim.of)
        typical, sampled = own.typical[claim.metric], own.drawn[claim.metric]
        bound = first_number(own.bound[claim.metric]) if metric_of(claim.metric, METRICS).name in BOUNDED else missing
        if claim.relative_to is not None:
            other = self.predicted(claim.relative_to)
            typical, sampled, bound = (
                typical / other.typical[claim.metric], sampled / other.drawn[claim.metric], missing,
            )  # fmt: skip
        predicted = first_number(typical)
        if not np.isfinite(predicted):
            return ClaimResult(claim, "not comparable", missing, missing, missing, missing, missing, self._why(claim))
        low, high = (float(end) for end in np.nanquantile(sampled, QUANTILES))
        low, high = min(low, predicted), max(high, predicted)
        finding, factor = check_claim(
            claim.interval, claim.value, predicted, (low, high), bound, metric_of(claim.metric, METRICS).better
        )
        return ClaimResult(claim, finding, predicted, low, high, bound, factor)

    def _why(self, claim: Claim) -> str:
        sides = [claim.of, *([claim.relative_to] if claim.relative_to else [])]
        workload = claim.metric.rpartition(".")[0]
        for side in sides:
            if not np.isfinite(first_number(self.predicted(side).typical[claim.metric])):
                if workload and not np.isfinite(first_number(self.predicted(side).typical[f"{workload}.tpot_ms"])):
                    return f"{side} cannot hold or run {workload}"
                return f"{side} has no {claim.metric}"
        return "no value"

    def predicted(self, subject: str) -> _Predicted:
        """Return the metrics of a known subject."""
        if subject not in self._known:
            self._known[subject] = self._predict(subject)
        return self._known[subject]

    def _predict(self, name: str) -> _Predicted:
        subject = self.case.subjects[name]
        spec = subject.spec if isinstance(subject, DesignSubject) else self.case.spec
        plain = Evaluator(spec)
        library = plain.technology.library
        typical = _metrics(plain, subject)
        drawn = monte_carlo_samples(
            spreads_of(plain.technology.reads, spec.parameters, library), draws=self.draws, seed=SEED
        )
        sampled = _metrics(Evaluator(spec, drawn), subject)
        # Long reads reach the peak of every memory.
        peak = {path: 1.0 for path in library.parameters if path.endswith(".efficiency_stream")}
        bound = _metrics(Evaluator(spec, peak), _ideal(subject))
        return _Predicted(typical, sampled, bound)


def _ideal(subject: object) -> object:
    """Return a subject with software that costs nothing."""
    if isinstance(subject, ChipSubject):
        return replace(subject, entry=subject.entry.model_copy(update={"serving_stack": "ideal"}))
    assert isinstance(subject, DesignSubject)
    return replace(subject, settings={**subject.settings, "serving_stack": "ideal"})


def _metrics(evaluator: Evaluator, subject: object) -> Mapping[str, FloatArray]:
    if isinstance(subject, ChipSubject):
        return evaluator.baseline_columns(subject.entry)
    assert isinstance(subject, DesignSubject)
    return evaluator.evaluate(Table.from_settings(subject.settings)).metrics


def check_claim(
    claimed: tuple[float, float],
    value: float,
    predicted: float,
    interval: tuple[float, float],
    bound: float,
    better: str | None,
) -> tuple[Finding, float]:
    """Return the finding and its factor.

    Args:
        claimed: values that the claim allows.
        value: the value as stated.
        predicted: typical prediction.
        interval: its interval.
        bound: best value possible, NaN for none.
        better: "min" or "max", None where neither is.
    """
    low, high = claimed
    if low <= interval[1] and interval[0] <= high:
        return "consistent", 1.0
    above = low > interval[1]
    if above == (better == "min"):
        return "pessimistic", max(value, predicted) / min(value, predicted)
    edge = low if above else high
    if np.isfinite(bound) and (edge > bound if above else edge < bound):
        return "impossible", edge / bound if above else bound / edge
    return "optimistic", max(value, predicted) / min(value, predicted)
