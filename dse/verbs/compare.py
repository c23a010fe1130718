"""``dse compare``: the picks of a run beside baselines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from cost_models.table import Setting
from dse.compare import MEASURES, Comparison, compare, with_baselines
from dse.evaluate import Evaluator
from dse.results.store import StoredRun, open_run
from dse.terminal import console, print_lines, print_table
from dse.terminal.comparison import comparison_table, overhead_lines, ratio_table, what_they_are
from dse.terminal.summary import pick_words
from dse.terminal.tables import csv_text


def compare_picks(where: str, baselines: Sequence[str], *, output: str, library: Sequence[Path] = ()) -> None:
    """Print the picks of a run beside its baselines and further ones.

    Args:
        where: a run directory, a folder of runs or "latest".
        baselines: further chips, like ``8x h200_sxm weight_format=fp8``.
        output: "table", "json" or "csv".
        library: directories of entries that are added to the library of the run.

    Raises:
        RunError: there is no such run, or a file of it is damaged.
        SpecError: a baseline is not one.
        LibraryError: what is added to the library is at fault.
    """
    comparisons = comparisons_of(open_run(where).needs_ours("compare"), baselines, library=library)
    if output == "json":
        print(json.dumps([one.to_json() for one in comparisons], indent=2, allow_nan=False))
    elif output == "csv":
        print(comparison_csv(comparisons), end="")
    else:
        print_comparisons(console(), comparisons)


def comparisons_of(
    run: StoredRun, baselines: Sequence[str] = (), *, only: str | None = None, library: Sequence[Path] = ()
) -> list[Comparison]:
    """Return the picks of a run beside its baselines and further ones, each design once.

    Args:
        run: the run.
        baselines: further chips.
        only: the one pick to compare, or the first where there is none of that name; all where None.
        library: directories of entries that are added to the library of the run.
    """
    if run.spec.is_replaced:
        return []
    picks = [pick for pick in run.picks if pick["name"] == only] or run.picks[: None if only is None else 1]
    spec = with_baselines(run.spec, baselines, library)
    designs: dict[int, tuple[list[str], Mapping[str, Setting]]] = {}
    for pick in picks:
        names, _ = designs.setdefault(int(pick["id"]), ([], pick["design"]))
        names.append(pick_words(str(pick["name"]), run.spec))
    return compare(Evaluator(spec), {", ".join(names): design for names, design in designs.values()})


def print_comparisons(out: Console, comparisons: Sequence[Comparison], *, short: bool = False) -> None:
    """Print the tables of comparisons, their ratios, and what the baselines lose to overhead.

    Args:
        out: where.
        comparisons: one per workload.
        short: one table per workload, with the ratios in brackets.
    """
    for comparison in comparisons:
        print_table(out, comparison_table(comparison, with_ratios=short))
        if not short and (ratios := ratio_table(comparison)) is not None:
            print_table(out, ratios)
    if comparisons:
        print_lines(out, what_they_are(comparisons[0]), heading="What is compared")
    if lines := [line for comparison in comparisons for line in overhead_lines(comparison)]:
        print_lines(out, lines, heading="Overhead of the baselines")


def comparison_csv(comparisons: Sequence[Comparison]) -> str:
    """Return comparisons as CSV: a row per workload and side, ratios behind the values."""
    ratios = [measure.name for measure in MEASURES if measure.in_ratio]
    headings = [measure.name if measure.unit != "%" else f"{measure.name} [1]" for measure in MEASURES]
    rows = [
        [
            comparison.workload,
            entry.name,
            entry.kind,
            entry.what,
            *(entry.values[measure.name] for measure in MEASURES),
            *(entry.ratios.get(name, float("nan")) for name in ratios),
        ]
        for comparison in comparisons
        for entry in comparison.entries
    ]
    reference = comparisons[0].reference if comparisons else None
    behind = [f"{name} over {reference}" for name in ratios]
    return csv_text(["workload", "name", "kind", "what", *headings, *behind], rows)
