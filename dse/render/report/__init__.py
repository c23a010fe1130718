"""The report: one HTML file per run that opens from disk, without a server and without the network.

The page, its style and its scripts are files under ``template/``; plotly comes from its package.
"""

from __future__ import annotations

from pathlib import Path

from dse.errors import RunError
from dse.results.directory import replacing
from dse.results.store import StoredRun, open_run

REPORT = "report.html"
"""Name of the file in a run directory."""


def write_report(run_path: Path | str | StoredRun, *, out: Path | None = None, points: int | None = None) -> Path:
    """Write the report of a run and return the file.

    The same run gives the same bytes.

    Args:
        run_path: a run, its directory, a folder of runs or "latest".
        out: the file to write; ``report.html`` in the run directory where None.
        points: designs that are shown at most; `dse.render.report.designs.MAX_POINTS` where None.

    Raises:
        RunError: there is no such run, a file of it is damaged, it evaluated nothing, or `out` cannot be written.
    """
    from dse.render.report.designs import MAX_POINTS
    from dse.render.report.page import page

    run = open_run(run_path).require_builtin("report")
    if not run.manifest["counts"]["evaluated"]:
        raise RunError(f"{run.path}: evaluated no design, so there is nothing to report")
    file = run.path / REPORT if out is None else out
    text = page(run, points=MAX_POINTS if points is None else points)
    with replacing(file) as partial:
        partial.write_text(text, encoding="utf-8")
    return file
