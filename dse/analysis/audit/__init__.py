"""Claims held against the equations: verdicts on known machines, consistent sets of unknown ones."""

from __future__ import annotations

from dataclasses import dataclass

from dse.analysis.audit.rates import RatesSet, rates_set
from dse.analysis.audit.reader import load_claims, read_claims
from dse.analysis.audit.records import ChipSubject, Claim, ClaimsFile, DesignSubject, RatesSubject, SpaceSubject
from dse.analysis.audit.spaces import JointSet, joint_set
from dse.analysis.audit.verdicts import Court, Verdict, verdict_on

__all__ = [
    "Audit",
    "ChipSubject",
    "Claim",
    "ClaimsFile",
    "Court",
    "DesignSubject",
    "JointSet",
    "RatesSet",
    "RatesSubject",
    "SpaceSubject",
    "Verdict",
    "audit",
    "joint_set",
    "load_claims",
    "rates_set",
    "read_claims",
    "verdict_on",
]


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
    verdicts: tuple[Verdict, ...]
    spaces: tuple[JointSet, ...]
    rates: tuple[RatesSet, ...]


def audit(case: ClaimsFile) -> Audit:
    """Return the verdict on every claim, and the set of machines that each unknown one could be."""
    court = Court(case)
    subjects = case.subjects.values()
    known = {subject.name for subject in subjects if isinstance(subject, ChipSubject | DesignSubject)}
    return Audit(
        case=case,
        verdicts=tuple(court.judge(claim) for claim in case.claims if claim.of in known),
        spaces=tuple(joint_set(subject) for subject in subjects if isinstance(subject, SpaceSubject)),
        rates=tuple(
            rates_set(subject, case.of(subject.name)) for subject in subjects if isinstance(subject, RatesSubject)
        ),
    )
