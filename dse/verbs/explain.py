"""``dse explain``: where the time, energy, area, money and memory of one design, or of some chips, go."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from dse.errors import NOWHERE, Fault, SpecError
from dse.evaluate import Evaluator
from dse.explain import Explanation
from dse.explain.curve import COLUMNS, Curve, baseline_curves, design_curves
from dse.explain.inputs import (
    chips_spec,
    design_of_run,
    explain_design_file,
    explain_library_chip,
    explain_run_row,
    load_design,
)
from dse.require import finite
from dse.results.store import open_run
from dse.spec.additions import library_with
from dse.terminal import console, print_table
from dse.terminal.explanation import render
from dse.terminal.tables import Table, csv_text, number_text

_CHIPS = re.compile(r"[0-9]+\s*[xX×]\s*\S+")


def explain_one(
    what: str,
    design: str | None,
    workloads: Sequence[str],
    settings: Sequence[str],
    *,
    output: str,
    library: Sequence[Path] = (),
) -> None:
    """Print an explanation.

    Args:
        what: a run, a design file, or chips of the library like ``2x a100_80gb_sxm``.
        design: id, pick or baseline of the run; its knee where None.
        workloads: of a design file or of chips, each like ``llama2_70b batch=32``.
        settings: number formats and stack of chips, each like ``weight_format=fp8``.
        output: "table", "json" or "csv" (the time by operator).
        library: directories of entries that are added to the library, for chips and for a design file.

    Raises:
        SpecError: every fault of a design file or of the arguments.
        LibraryError: what is added to the library is at fault.
        RunError: there is no such run, or it has no such design.
    """
    explanation = _explained(what, design, workloads, settings, library)
    if output == "json":
        print(json.dumps(explanation.to_json(), indent=2, allow_nan=False))
    elif output == "csv":
        print(operators_csv(explanation), end="")
    else:
        render(explanation, console())


def _kind(
    what: str, design: str | None, workloads: Sequence[str], settings: Sequence[str], library: Sequence[Path]
) -> str:
    """Return what is meant, "file", "chips" or "run"; refuse arguments that do not go with it."""
    chips = library_with(library).chips
    is_file = Path(what).suffix in (".yaml", ".yml")
    is_chips = not is_file and (_CHIPS.fullmatch(what) or (what in chips and not Path(what).exists()))
    faults = []
    if design is not None and (is_file or is_chips):
        faults.append(Fault(NOWHERE, "DESIGN", f"{design!r} goes with a run; {what} is not one"))
    if settings and not is_chips:
        faults.append(Fault(NOWHERE, "--with", f"goes with chips of the library; {what} is not that"))
    if workloads and not (is_chips or is_file):
        faults.append(Fault(NOWHERE, "--workload", f"does not go with a run: {what} has workloads of its own"))
    if library and not (is_chips or is_file):
        faults.append(Fault(NOWHERE, "--library", f"does not go with a run: {what} carries what its sweep added"))
    if faults:
        raise SpecError(faults)
    return "file" if is_file else "chips" if is_chips else "run"


def _explained(
    what: str, design: str | None, workloads: Sequence[str], settings: Sequence[str], library: Sequence[Path]
) -> Explanation:
    match _kind(what, design, workloads, settings, library):
        case "file":
            return explain_design_file(what, workloads, library=library)
        case "chips":
            return explain_library_chip(what, workloads, settings, library=library)
        case _:
            return explain_run_row(open_run(what).needs_ours("explain"), design)


def show_curve(
    what: str,
    design: str | None,
    workloads: Sequence[str],
    settings: Sequence[str],
    *,
    output: str,
    plot: Path | None,
    library: Sequence[Path] = (),
) -> None:
    """Print throughput against speed per user of a machine and of what its sweep compares with.

    Args:
        what: as in `explain_one`.
        design: as in `explain_one`.
        workloads: as in `explain_one`.
        settings: as in `explain_one`.
        output: "table", "json" or "csv".
        plot: folder to draw into, a file per workload; none is drawn where None.
        library: as in `explain_one`.

    Raises:
        SpecError: every fault of a design file or of the arguments.
        LibraryError: what is added to the library is at fault.
        RunError: there is no such run, or it has no such design.
    """
    curves = _curves(what, design, workloads, settings, library)
    if plot is not None:
        from dse.plots.curve import draw_curves

        for file in draw_curves(curves, plot):
            print(file, file=sys.stderr)
    if output == "json":
        print(json.dumps(finite([asdict(curve) for curve in curves]), indent=2, allow_nan=False))
    elif output == "csv":
        print(csv_text(_CURVE_HEADINGS, [row for curve in curves for row in _curve_rows(curve)]), end="")
    else:
        for curve in curves:
            print_table(console(), curve_table(curve))


def _curves(
    what: str, design: str | None, workloads: Sequence[str], settings: Sequence[str], library: Sequence[Path]
) -> list[Curve]:
    kind = _kind(what, design, workloads, settings, library)
    if kind == "chips":
        spec = chips_spec(what, workloads, settings, library=library)
        named = [
            replace(curve, name=spec.baselines["chips"].chips) for curve in baseline_curves(Evaluator(spec), "chips")
        ]
        return named
    if kind == "file":
        spec, chosen = load_design(what, workloads, library=library)
        name = spec.name
    else:
        run = open_run(what).needs_ours("explain --curve")
        spec = run.spec
        chosen, name = design_of_run(run, design)
    evaluator = Evaluator(spec)
    curves = design_curves(evaluator, chosen, name)
    for baseline in spec.baselines:
        curves += baseline_curves(evaluator, baseline)
    return curves


_CURVE_HEADINGS = ("machine", "workload", "batch", "user_tokens_per_s", *COLUMNS, "within_limits")


def _curve_rows(curve: Curve) -> list[tuple[object, ...]]:
    return [
        (
            curve.name,
            curve.workload,
            point.batch,
            point.user_tokens_per_s,
            *(point.metrics[name] for name in COLUMNS),
            point.within_limits,
        )
        for point in curve.points
    ]


def curve_table(curve: Curve) -> Table:
    """Return a curve at every power of two and at its largest batch within limits."""
    shown = [p for p in curve.points if p.batch & (p.batch - 1) == 0 or p.batch == curve.max_batch]
    rows = tuple(
        (
            str(point.batch),
            number_text(point.user_tokens_per_s),
            *(number_text(point.metrics[name]) for name in COLUMNS),
            "yes" if point.within_limits else "no",
        )
        for point in shown
    )
    limits = [
        f"{words} <= {number_text(limit)} ms"
        for words, limit in (("TTFT", curve.ttft_limit_ms), ("TPOT", curve.tpot_limit_ms))
        if limit is not None
    ]
    promise = f"; largest batch on the curve with {', '.join(limits)}: {curve.max_batch}" if limits else ""
    title = f"{curve.name} on {curve.workload}: throughput against speed per user{promise}"
    headings = (
        "batch", "per user\ntoken/s", "step\nms", "decode\ntoken/s", "end to end\ntoken/s", "TTFT\nms", "decode\nW",
        "token/J", "within",
    )  # fmt: skip
    return Table(title, headings, rows)


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
