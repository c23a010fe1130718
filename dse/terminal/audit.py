"""An audit of claims as tables."""

from __future__ import annotations

from dse.audit import Audit
from dse.audit.page import claimed_words, finding_words, rates_words, settling_words
from dse.audit.plain import VERDICT_COLUMNS, verdict_row
from dse.terminal.relaxation import explanation_parts
from dse.terminal.tables import Lines, Part, Rows, TextTable, number_text


def audit_parts(found: Audit) -> list[Part]:
    """Return what unknown machines could be, and the verdicts on known ones."""
    parts: list[Part] = []
    for rates in found.rates:
        words = [line for line in rates_words(found.case, rates) if not line.startswith("|")]
        parts.append(Lines(words, f"{rates.subject}: rates that satisfy every claim"))
    for joint in found.spaces:
        heading = (
            f"{joint.subject}: {number_text(joint.found)} of {number_text(joint.searched)} designs satisfy every claim"
        )
        rows = tuple((extent.name, extent.text) for extent in joint.extents)
        parts.append(TextTable(heading, ("quantity", "values in the set"), rows, names=2))
        if not joint.found and joint.why_none is not None:
            parts += explanation_parts(joint.why_none, found.case.spec)
        elif joint.found:
            parts.append(Lines([settling_words(joint.settling).replace("**", "")]))
    return [*parts, verdicts_table(found)] if found.verdicts else parts


def verdict_rows(found: Audit) -> Rows:
    """Return the verdicts as a sheet."""
    rows = [verdict_row(verdict) for verdict in found.verdicts]
    return VERDICT_COLUMNS, [[row[name] for name in VERDICT_COLUMNS] for row in rows]


def verdicts_table(found: Audit) -> TextTable:
    """Return the verdicts on known machines."""
    rows = tuple(
        (
            verdict.claim.of,
            verdict.claim.metric,
            claimed_words(verdict),
            number_text(verdict.predicted),
            f"{number_text(verdict.low)} to {number_text(verdict.high)}",
            finding_words(verdict),
        )
        for verdict in found.verdicts
    )
    return TextTable(
        "Known machines", ("machine", "metric", "claimed", "predicted", "90 % interval", "verdict"), rows, names=2
    )
