"""What-if, live: the report of a run with a slider or a choice for every parameter of a design.

A server on this machine alone answers each change by the same equations as the run; the page asks nobody else.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dse.results.store import StoredRun, open_run

if TYPE_CHECKING:
    from dse.render.explore.server import Explorer


def explore(run: StoredRun | Path | str, *, port: int = 0) -> Explorer:
    """Serve a run on 127.0.0.1 and return the server, which answers from a thread of its own until it is closed.

    Args:
        run: a run, its directory, a folder of runs or "latest".
        port: 0 for any that is free.

    Raises:
        RunError: there is no such run, it evaluated nothing, or the port is taken.
    """
    from dse.render.explore.answers import Answers
    from dse.render.explore.server import Explorer

    return Explorer(Answers(open_run(run).require_builtin("explore")), port=port)
