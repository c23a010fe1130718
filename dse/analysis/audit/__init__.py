"""Claims held against the equations: verdicts on known machines, consistent sets of unknown ones."""

from __future__ import annotations

from dataclasses import dataclass

from dse.analysis.audit.rates import ConsistentRates, find_consistent_rates
from dse.analysis.audit.records import ChipSubject, ClaimsFile, DesignSubject, RatesSubject, SpaceSubject
from dse.analysis.audit.spaces import JointSet, joint_set
from dse.analysis.audit.verdicts import ClaimChecker, ClaimResult


@dataclass(frozen=True)
class Audit:
    """Everything that became of a claims file.

    Attributes:
        case: the claims.
        verdicts: on claims about known machines, in the order of the file.
        spaces: consistent designs of each unknown design.
        rates: consistent rates of each unknown machine.
    """

    case: ClaimsFile
    verdicts: tuple[ClaimResult, ...]
    spaces: tuple[JointSet, ...]
    rates: tuple[ConsistentRates, ...]


def audit(case: ClaimsFile) -> Audit:
    """Return the verdict on every claim, and the set of machines that each unknown one could be."""
    court = ClaimChecker(case)
    subjects = case.subjects.values()
    known = {subject.name for subject in subjects if isinstance(subject, ChipSubject | DesignSubject)}
    return Audit(
        case=case,
        verdicts=tuple(court.judge(claim) for claim in case.claims if claim.of in known),
        spaces=tuple(joint_set(subject) for subject in subjects if isinstance(subject, SpaceSubject)),
        rates=tuple(
            find_consistent_rates(subject, case.of(subject.name))
            for subject in subjects
            if isinstance(subject, RatesSubject)
        ),
    )
