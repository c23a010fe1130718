"""Opening the run that a command works on anew."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dse.results.store import StoredRun


def evaluated_run(where: str, command: str, *, model: bool = True) -> StoredRun:
    """Return a run whose designs a command evaluates again; say where they have other numbers today than the run's.

    Args:
        where: the run, as the user names it.
        command: what is asked for.
        model: whether a model of the sweep's own beside the built-in evaluation is no hindrance.

    Raises:
        RunError: there is no such run, or the built-in evaluation has nothing to say of it.
    """
    from dse.plain import printable
    from dse.results.moved import moved_numbers
    from dse.results.store import open_run

    run = open_run(where).require_builtin(command, model=model)
    if words := moved_numbers(run):
        print(printable(words), file=sys.stderr)
    return run
