"""An audit of claims as tables."""

from __future__ import annotations

from collections import Counter

from dse.analysis.audit import Audit
from dse.analysis.audit.page import claimed_words, finding_words, rates_words, settling_words
from dse.analysis.audit.plain import VERDICT_COLUMNS, verdict_row
from dse.analysis.audit.records import ChipSubject, ClaimsFile, DesignSubject, RatesSubject, SpaceSubject, Subject
from dse.number_texts import number_text
from dse.render.terminal.relaxation import explanation_parts
from dse.render.terminal.tables import Lines, Part, Rows, TextTable, cell_text


def audit_parts(found: Audit) -> list[Part]:
    """Return what unknown machines could be, and the verdicts on known ones."""
    head = Lines(_counted(found), f"{found.case.name}: published claims against the model")
    parts: list[Part] = [head, Lines(_subject_lines(found.case), "What the claims are about")]
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
            parts.append(Lines([settling_words(joint.settling)]))
    return [*parts, verdicts_table(found)] if found.verdicts else parts


def _counted(found: Audit) -> list[str]:
    """Return in a few lines whose claims these are, and what became of them."""
    claims, sources = found.case.claims, dict.fromkeys(claim.source for claim in found.case.claims)
    counts = Counter(verdict.finding for verdict in found.verdicts)
    words = ", ".join(f"{count} {finding}" for finding, count in counts.most_common())
    lines = [
        f"{len(claims)} claims of {len(sources)} sources about {len(found.case.subjects)} machines; "
        "--out writes every claim with its source"
    ]
    return lines + ([f"of {len(found.verdicts)} claims about known machines: {words}"] if words else [])


def _subject_lines(case: ClaimsFile) -> list[str]:
    """Return a line per machine that says what it is."""
    return [f"{name}: {_subject_words(subject)}" for name, subject in case.subjects.items()]


def _subject_words(subject: Subject) -> str:
    match subject:
        case ChipSubject():
            return subject.entry.words
        case DesignSubject():
            chosen = {name: value for name, value in subject.settings.items() if value is not None}
            return "one design: " + ", ".join(f"{name} {cell_text(value)}" for name, value in chosen.items())
        case SpaceSubject():
            return f"a design that is not known, searched in a space of {len(subject.spec.space)} parameters"
        case RatesSubject():
            return "a machine of which only rates and bits are asked: which of them satisfy the claims at once"


def verdict_rows(found: Audit) -> Rows:
    """Return the verdicts as a sheet."""
    rows = [verdict_row(verdict) for verdict in found.verdicts]
    return VERDICT_COLUMNS, [[row[name] for name in VERDICT_COLUMNS] for row in rows]


def verdicts_table(found: Audit) -> TextTable:
    """Return the verdicts on known machines."""
    headings = ("machine", "metric", "claimed", "predicted", "90 % interval", "verdict")
    rows = [
        (one.claim.of, one.claim.metric, claimed_words(one), one.predicted,
         f"{number_text(one.low)} to {number_text(one.high)}", finding_words(one))
        for one in found.verdicts
    ]  # fmt: skip
    return TextTable("Known machines", headings, rows, names=2)
