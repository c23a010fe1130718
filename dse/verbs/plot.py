"""``dse plot``: the figures of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dse.results.store import find_run


def plot_figures(where: str, kinds: Sequence[str], formats: Sequence[str]) -> list[Path]:
    """Draw figures of a run into its ``plots/`` folder, print where, and return the files.

    Args:
        where: a run directory, a folder of runs or "latest".
        kinds: which figures; every one where empty.
        formats: "png", "svg", "pdf"; what `dse.plots` draws by itself where empty.
    """
    from dse.plots import plot_run

    files = plot_run(find_run(where), kinds=kinds or None, formats=formats or ("png",))
    for file in files:
        print(file)
    return files
