"""``dse explain``."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dse.cli.options import Format, ImageFormats, Library, Output, Plots, Quiet, Workloads, command, image_formats
from dse.cli.output import emit
from dse.cli.stored import evaluated_run

if TYPE_CHECKING:
    from dse.analysis.explain.curve import Curve
    from dse.analysis.explain.records import Explanation
    from dse.analysis.explain.simulated import SimulatedRun
    from dse.render.terminal.tables import Part

app = command()

_CHIPS = re.compile(r"[0-9]+\s*[xX×]\s*\S+")


@dataclass(frozen=True)
class _Subject:
    """What is to be explained.

    Attributes:
        what: a design file, chips of the library without their settings, or a run.
        design: id, pick or baseline of the run; its knee where None.
        workloads: of a design file or of chips.
        settings: number formats and stack of chips, each like ``weight_format=fp8``.
        library: directories whose entries are added, for a design file and chips.
        kind: "file", "chips" or "run".
    """

    what: str
    design: str | None
    workloads: list[str]
    settings: list[str]
    library: list[Path]
    kind: str


@app.command()
def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT", help="run, DESIGN.yaml, or chips like '2x h100_sxm weight_format=fp8 kv_bits=8'"
        ),
    ],
    design: Annotated[
        str | None, typer.Argument(metavar="DESIGN", help="id, pick or baseline of the run; default: knee")
    ] = None,
    workloads: Workloads = None,
    curve: Annotated[
        bool, typer.Option("--curve", help="throughput against speed per user, with the baselines")
    ] = False,
    simulation: Annotated[
        bool,
        typer.Option("--simulate", help="continuous batching in closed form beside its simulation, event by event"),
    ] = False,
    plots: Plots = None,
    formats: ImageFormats = None,
    library: Library = None,
    output: Output = Format.table,
    quiet: Quiet = False,
) -> None:
    """Explain a design or chip: time, energy, area, cost, memory.

    Time by operator, and what bounds it. With --curve or --plots: throughput against speed per user instead; with
    --simulate and --plots: the engine's steps over time.

    Example: dse explain latest knee

    Example: dse explain "2x a100_80gb_sxm weight_format=bf16" --workload "llama2_70b batch=32"
    """
    from dse.render.terminal.curve import curve_rows, curve_table
    from dse.render.terminal.explanation import explanation_parts, operator_rows

    subject = _subject(what, design, workloads or [], library or [])
    if simulation:
        from dse.render.terminal.simulation import simulation_table

        runs = _simulated(subject)
        compared = [row for run in runs.values() for row in run.metrics]
        if plots is not None:
            from dse.render.plots.timeline import draw_timelines

            for file in draw_timelines(runs, plots, image_formats(formats)):
                print(file, file=sys.stderr)
        emit(output, lambda: [simulation_table(compared)], lambda: compared)
        return
    if curve or plots is not None:
        curves = _curves(subject)
        if plots is not None:
            from dse.render.plots.curve import draw_curves

            for file in draw_curves(curves, plots, image_formats(formats)):
                print(file, file=sys.stderr)
        emit(output, lambda: map(curve_table, curves), lambda: curves, lambda: curve_rows(curves))
        return
    explanation = _explained(subject)
    emit(
        output,
        lambda: [*explanation_parts(explanation), *_beside(subject)],
        explanation.to_json,
        lambda: operator_rows(explanation),
    )


def _beside(of: _Subject) -> list[Part]:
    """Return the design of a file beside the baselines that the file names."""
    from cost_models.table import Table
    from dse.analysis.compare import compare
    from dse.analysis.explain.inputs import load_design
    from dse.evaluator import Evaluator
    from dse.render.terminal.comparison import comparison_parts
    from dse.results.picks import settings_of

    if of.kind != "file":
        return []
    spec, settings = load_design(of.what, of.workloads, library=of.library)
    if not spec.baselines:
        return []
    whole = settings_of(Table.from_settings(settings), 0)
    return comparison_parts(compare(Evaluator(spec), {spec.name: whole}), short=True)


def _subject(what: str, design: str | None, workloads: list[str], library: list[Path]) -> _Subject:
    """Return what is meant; refuse arguments that do not go with it."""
    from dse.errors import NOWHERE, Issue, SpecError
    from dse.results.directory import RESULTS
    from dse.sweep.hints import NAME_ALIASES, quoted, suggest
    from dse.sweep.library_additions import library_with

    is_file = Path(what).suffix in (".yaml", ".yml")
    words = re.split(r"[,\s]+(?=\w+=)", what.strip())
    chips, settings = words[0], [part for word in words[1:] for part in re.split(r"[,\s]+", word)]
    known = library_with(library).chips
    is_chips = not is_file and bool(settings or _CHIPS.fullmatch(chips) or (chips in known and not Path(what).exists()))
    if not (is_file or is_chips or Path(what).exists() or (RESULTS / what).exists()) and (
        perhaps := suggest(chips, known, NAME_ALIASES)
    ):
        raise SpecError([Issue(NOWHERE, quoted(what), "is neither a run nor chips", perhaps=perhaps)])
    issues = []
    if design is not None and (is_file or is_chips):
        issues.append(Issue(NOWHERE, "DESIGN", f"{design!r} goes with a run; {what} is not one"))
    if workloads and not (is_chips or is_file):
        issues.append(Issue(NOWHERE, "--workload", f"does not go with a run: {what} has workloads of its own"))
    if library and not (is_chips or is_file):
        issues.append(Issue(NOWHERE, "--library", f"does not go with a run: {what} carries what its sweep added"))
    if issues:
        raise SpecError(issues)
    if is_chips:
        return _Subject(chips, None, workloads, settings, library, "chips")
    return _Subject(what, design, workloads, [], library, "file" if is_file else "run")


def _explained(of: _Subject) -> Explanation:
    from dse.analysis.explain.inputs import explain_design_file, explain_library_chip, explain_run_row

    if of.kind == "file":
        return explain_design_file(of.what, of.workloads, library=of.library)
    if of.kind == "chips":
        return explain_library_chip(of.what, of.workloads, of.settings, library=of.library)
    return explain_run_row(evaluated_run(of.what, "explain"), of.design)


def _simulated(of: _Subject) -> dict[str, SimulatedRun]:
    """Return what is batched continuously, in closed form and simulated, by workload."""
    from cost_models.table import Table
    from dse.analysis.explain.inputs import chips_spec, design_of_run, load_design
    from dse.analysis.explain.simulated import simulated_runs
    from dse.evaluator import Evaluator

    if of.kind == "chips":
        spec = chips_spec(of.what, of.workloads, of.settings, library=of.library)
        evaluator, entry = Evaluator(spec), spec.baselines["chips"]
        results = {name: evaluator.serve_baseline(entry, name) for name in spec.workloads}
    else:
        if of.kind == "file":
            spec, chosen = load_design(of.what, of.workloads, library=of.library)
        else:
            run = evaluated_run(of.what, "explain --simulate")
            spec, chosen = run.spec, design_of_run(run, of.design)[0]
        results = Evaluator(spec).results(Table.from_settings(chosen))
    traces = {name: one.trace.read() if one.trace else None for name, one in spec.workloads.items()}
    return simulated_runs(results, traces)


def _curves(of: _Subject) -> list[Curve]:
    """Return the curves of the subject, and of what its sweep compares with."""
    from dse.analysis.explain.curve import all_curves, baseline_curves
    from dse.analysis.explain.inputs import chips_spec, design_of_run, load_design
    from dse.evaluator import Evaluator

    if of.kind == "chips":
        spec = chips_spec(of.what, of.workloads, of.settings, library=of.library)
        name = spec.baselines["chips"].chips
        return [replace(curve, name=name) for curve in baseline_curves(Evaluator(spec), "chips")]
    if of.kind == "file":
        spec, chosen = load_design(of.what, of.workloads, library=of.library)
        name = spec.name
    else:
        run = evaluated_run(of.what, "explain --curve")
        spec = run.spec
        chosen, name = design_of_run(run, of.design)
    return all_curves(Evaluator(spec), {name: chosen})
