"""``dse explain``: where the time, energy, area, money and memory of one design, or of some chips, go."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from cost_models.library import load_library
from dse.errors import NOWHERE, Fault, SpecError
from dse.explain import Explanation
from dse.explain.inputs import explain_design_file, explain_library_chip, explain_run_row
from dse.results.store import open_run
from dse.terminal import console
from dse.terminal.explanation import render
from dse.terminal.tables import csv_text

_CHIPS = re.compile(r"[0-9]+\s*[xX×]\s*\S+")


def explain_one(
    what: str, design: str | None, workloads: Sequence[str], settings: Sequence[str], *, output: str
) -> None:
    """Print an explanation.

    Args:
        what: a run, a design file, or chips of the library like ``2x a100_80gb_sxm``.
        design: id, pick or baseline of the run; its knee where None.
        workloads: of a design file or of chips, each like ``llama2_70b batch=32``.
        settings: number formats and stack of chips, each like ``weight_format=fp8``.
        output: "table", "json" or "csv" (the time by operator).

    Raises:
        SpecError: every fault of a design file or of the arguments.
        RunError: there is no such run, or it has no such design.
    """
    explanation = _explained(what, design, workloads, settings)
    if output == "json":
        print(json.dumps(explanation.to_json(), indent=2, allow_nan=False))
    elif output == "csv":
        print(operators_csv(explanation), end="")
    else:
        render(explanation, console())


def _explained(what: str, design: str | None, workloads: Sequence[str], settings: Sequence[str]) -> Explanation:
    is_file = Path(what).suffix in (".yaml", ".yml")
    is_chips = not is_file and (_CHIPS.fullmatch(what) or (what in load_library().chips and not Path(what).exists()))
    faults = []
    if design is not None and (is_file or is_chips):
        faults.append(Fault(NOWHERE, "DESIGN", f"{design!r} goes with a run; {what} is not one"))
    if settings and not is_chips:
        faults.append(Fault(NOWHERE, "--with", f"goes with chips of the library; {what} is not that"))
    if workloads and not (is_chips or is_file):
        faults.append(Fault(NOWHERE, "--workload", f"does not go with a run: {what} has workloads of its own"))
    if faults:
        raise SpecError(faults)
    if is_file:
        return explain_design_file(what, workloads)
    if is_chips:
        return explain_library_chip(what, workloads, settings)
    return explain_run_row(open_run(what), design)


def operators_csv(explanation: Explanation) -> str:
    """Return the time of every operator of every workload, in decode and prefill."""
    headings = ("workload", "pass", "operator", "times", "ms", "share", "bound", "bytes_moved", "macs", "ops_per_byte")
    rows = [
        (name, phase, row.name, row.times, row.ms, row.share, row.bound, row.bytes_moved, row.macs, row.ops_per_byte)
        for name, workload in explanation.workloads.items()
        for phase, table in (("decode", workload.decode), ("prefill", workload.prefill))
        for row in table.operators
    ]
    return csv_text(headings, rows)
