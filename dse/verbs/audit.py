"""``dse audit``: claims held against the equations."""

from __future__ import annotations

import json
from pathlib import Path

from cost_models.library import shipped_library
from dse.audit import Audit, audit, load_claims
from dse.audit.page import claimed_words, finding_words, page, rates_words, settling_words
from dse.audit.plain import VERDICT_COLUMNS, audit_json, verdict_row
from dse.terminal import console, print_lines, print_table
from dse.terminal.tables import Table, csv_text, number_text

SHIPPED = "claims.yaml"
"""The claims that the library ships."""


def audit_claims(file: Path | None, *, out: Path | None, output: str) -> Audit:
    """Judge the claims of a file and print what became of them.

    Args:
        file: the claims; the library's own where None.
        out: folder for the page, the tables and the figures; none are written where None.
        output: "table", "json" or "csv" (the verdicts).

    Raises:
        SpecError: every fault of the file.
    """
    case = load_claims(shipped_library().directory / SHIPPED if file is None else file)
    found = audit(case)
    if out is not None:
        write_audit(found, out)
    if output == "json":
        print(json.dumps(audit_json(found), indent=2, allow_nan=False))
    elif output == "csv":
        rows = [verdict_row(verdict) for verdict in found.verdicts]
        print(csv_text(VERDICT_COLUMNS, [[row[name] for name in VERDICT_COLUMNS] for row in rows]), end="")
    else:
        report(found)
        if out is not None:
            print_lines(console(), sorted(str(path) for path in out.iterdir()), heading="Files")
    return found


def write_audit(found: Audit, folder: Path) -> None:
    """Write ``audit.md``, ``verdicts.csv``, a table per unknown machine and the figures into a folder."""
    import pandas as pd

    from dse.plots.audit import draw_audit

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "audit.md").write_text(page(found), encoding="utf-8")
    rows = [verdict_row(verdict) for verdict in found.verdicts]
    tables = {"verdicts": pd.DataFrame(rows, columns=list(VERDICT_COLUMNS))}
    tables |= {f"consistent-{joint.subject}": joint.table for joint in found.spaces}
    tables |= {f"consistent-{rates.subject}": rates.table for rates in found.rates}
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")
    draw_audit(found, folder)


def report(found: Audit) -> None:
    """Print an audit."""
    out = console()
    for rates in found.rates:
        words = [line for line in rates_words(found.case, rates) if not line.startswith("|")]
        print_lines(out, words, heading=f"{rates.subject}: rates that satisfy every claim")
    for joint in found.spaces:
        heading = (
            f"{joint.subject}: {number_text(joint.found)} of {number_text(joint.searched)} designs satisfy every claim"
        )
        rows = tuple((extent.name, extent.text) for extent in joint.extents)
        print_table(out, Table(heading, ("quantity", "values in the set"), rows, names=2))
        if not joint.found and joint.why_none is not None:
            from dse.terminal.relaxation import print_explanation

            print_explanation(out, joint.why_none)
        elif joint.found:
            print_lines(out, [settling_words(joint.settling).replace("**", "")])
    if found.verdicts:
        print_table(out, verdicts_table(found))


def verdicts_table(found: Audit) -> Table:
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
    return Table(
        "Known machines", ("machine", "metric", "claimed", "predicted", "90 % interval", "verdict"), rows, names=2
    )
