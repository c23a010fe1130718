"""``dse audit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dse.cli.options import Format, Output, Quiet, command
from dse.cli.output import emit

if TYPE_CHECKING:
    from dse.analysis.audit import Audit

app = command()

SHIPPED = ("claims", "claims_2026")
"""Cases that the library ships: Mach-1, and chips on LPDDR and SRAM of 2024 to 2026."""


@app.command()
def audit(
    claims: Annotated[
        Path, typer.Argument(metavar="CLAIMS", help=f"claims file, or a shipped case: {' or '.join(SHIPPED)}")
    ] = Path(SHIPPED[0]),
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="folder for the page, the tables and the plots")
    ] = None,
    output: Output = Format.table,
    quiet: Quiet = False,
) -> None:
    """Check published claims against the model.

    Verdicts on known machines, and what unknown ones could be.

    Example: dse audit

    Example: dse audit claims_2026

    Example: dse audit my_claims.yaml --out audit
    """
    from cost_models.library import shipped_library
    from dse.analysis.audit import audit as judged
    from dse.analysis.audit.plain import audit_json
    from dse.analysis.audit.reader import load_claims
    from dse.render.terminal.audit import audit_parts, verdict_rows
    from dse.render.terminal.tables import Lines

    named = str(claims) in SHIPPED and not claims.exists()
    result = judged(load_claims(shipped_library().directory / f"{claims}.yaml" if named else claims))
    files: list[str] = []
    if out is not None:
        _write(result, out)
        files = sorted(str(path) for path in out.iterdir())
    emit(
        output,
        lambda: [*audit_parts(result), Lines(files, "Files")],
        lambda: audit_json(result),
        lambda: verdict_rows(result),
    )


def _write(found: Audit, folder: Path) -> None:
    """Write ``audit.md``, ``verdicts.csv``, a table per unknown machine and the plots into a folder."""
    import pandas as pd

    from dse.analysis.audit.page import page
    from dse.analysis.audit.plain import VERDICT_COLUMNS, verdict_row
    from dse.render.plots.audit import draw_audit

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "audit.md").write_text(page(found), encoding="utf-8")
    rows = [verdict_row(verdict) for verdict in found.verdicts]
    tables = {"verdicts": pd.DataFrame(rows, columns=list(VERDICT_COLUMNS))}
    tables |= {f"consistent-{joint.subject}": joint.table for joint in found.spaces}
    tables |= {f"consistent-{rates.subject}": rates.table for rates in found.rates}
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")
    draw_audit(found, folder)
