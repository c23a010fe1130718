"""An audit as plain data, for JSON and CSV."""

from __future__ import annotations

from typing import Any

from dse.analysis.audit import Audit
from dse.analysis.audit.consistent import plain_row
from dse.analysis.audit.page import finding_words
from dse.analysis.audit.rates import ConsistentRates
from dse.analysis.audit.spaces import JointSet
from dse.analysis.audit.verdicts import ClaimResult
from dse.plain import members, plain

VERDICT_COLUMNS = (
    "claim", "of", "metric", "relative_to", "claimed", "predicted", "low", "high", "bound", "finding", "factor",
    "grade", "why",
)  # fmt: skip


def verdict_row(verdict: ClaimResult) -> dict[str, Any]:
    """Return a verdict as a row."""
    claim = verdict.claim
    row = {
        "claim": claim.key, "relative_to": claim.relative_to or "", "claimed": claim.value,
        **members(claim, "of", "metric", "grade"),
        **members(verdict, "predicted", "low", "high", "bound", "finding", "factor", "why"),
    }  # fmt: skip
    return {name: row[name] for name in VERDICT_COLUMNS}


def audit_json(found: Audit) -> dict[str, Any]:
    """Return everything as plain data; None stands for what is missing."""
    data: dict[str, Any] = plain(
        {
            "case": found.case.name,
            "verdicts": [{**verdict_row(one), "words": finding_words(one)} for one in found.verdicts],
            "designs": [_joint_json(joint) for joint in found.spaces],
            "rates": [_rates_json(rates) for rates in found.rates],
        }
    )
    return data


def _joint_json(joint: JointSet) -> dict[str, Any]:
    smallest = joint.why_none.smallest if joint.why_none else None
    return {
        **members(joint, "subject", "searched", "found", "extents"),
        "plausible": [dict(row) for row in joint.plausible],
        "settling": joint.settling,
        "least_relaxation": smallest,
    }


def _rates_json(rates: ConsistentRates) -> dict[str, Any]:
    return {
        **members(rates, "subject", "searched"),
        "found": len(rates.table),
        **members(rates, "extents", "settling"),
        "unused": [list(pair) for pair in rates.unused],
        "set": [plain_row(row) for row in rates.table.to_dict("records")],
    }
