"""``dse report``: one HTML file for a run."""

from __future__ import annotations

from pathlib import Path

from dse.report import write_report
from dse.terminal.tables import number_text


def report_run(where: str, *, out: Path | None, points: int) -> Path:
    """Write the report of a run, print where and how large it is, and return the file.

    Args:
        where: a run directory, a folder of runs or "latest".
        out: the file to write; ``report.html`` in the run directory where None.
        points: designs that the page shows at most.

    Raises:
        RunError: there is no such run, a file of it is damaged, or `out` cannot be written.
    """
    file = write_report(where, out=out, points=points)
    print(f"{file} ({number_text(file.stat().st_size / 1e6, 3)} MB)")
    return file
