"""``dse require``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dse.cli.options import Format, ImageFormats, Output, Plots, Quiet, Set, Workloads, command, image_formats
from dse.cli.output import emit
from dse.cli.stored import evaluated_run

if TYPE_CHECKING:
    from dse.sweep import Spec

app = command()


@app.command()
def require(
    what: Annotated[
        str | None, typer.Argument(metavar="WHAT", help="sweep file, DESIGN.yaml or run; none with --memory alone")
    ] = None,
    design: Annotated[str | None, typer.Argument(metavar="DESIGN", help="id or pick of the run; default: knee")] = None,
    overrides: Set = None,
    memory: Annotated[
        list[str] | None,
        typer.Option(metavar="GRADE", help="most bandwidth that one die can have of a memory grade; repeatable"),
    ] = None,
    workloads: Workloads = None,
    plots: Plots = None,
    formats: ImageFormats = None,
    output: Output = Format.table,
    quiet: Quiet = False,
) -> None:
    """Compute the least bandwidth, compute and memory for targets.

    For a sweep: the least that meets its constraints, the bits per weight that can be streamed in time, what can
    deliver it, and the best design per memory. For a design: the best single change for each goal. With --memory: the
    most memory bandwidth of one die, by its area, from its sides, package and interposer.

    Example: dse require sweeps/mach1.yaml

    Example: dse require latest knee

    Example: dse require --memory lpddr5x_10667 --memory hbm3
    """
    from dse.errors import NOWHERE, Issue, SpecError
    from dse.sweep.shipped import shipped_sweeps

    path = None if what is None else Path(what)
    if path is not None and not path.exists():
        path = shipped_sweeps().get(str(path), path)  # any other bare name is a run's
    is_file = path is not None and path.suffix in (".yaml", ".yml")
    is_design = path is not None and is_file and "design" in _keys(path)
    is_sweep = is_file and not is_design
    issues = []
    if what is None and not memory:
        issues.append(Issue(NOWHERE, "WHAT", "is missing: a sweep file, a design file or a run, or --memory"))
    if memory and what is not None and not is_sweep:
        issues.append(Issue(NOWHERE, "--memory", "goes with a sweep file, or alone"))
    if is_file and design is not None:
        issues.append(Issue(NOWHERE, "DESIGN", f"{design!r} goes with a run; {what} is not one"))
    if overrides and not is_sweep:
        issues.append(Issue(NOWHERE, "--set", "goes with a sweep file"))
    if workloads and not is_design:
        issues.append(Issue(NOWHERE, "--workload", "goes with a design file"))
    if plots is not None and not is_sweep:
        issues.append(Issue(NOWHERE, "--plots", "goes with a sweep file"))
    if issues:
        raise SpecError(issues)
    if path is None:
        _of_grades(memory or [], output)
    elif is_sweep:
        from dse.sweep import load_spec

        _of_sweep(load_spec(path, overrides=overrides or []), memory or [], plots, image_formats(formats), output)
    else:
        _of_design(str(path), design, workloads or [], is_design, output)


def _keys(path: Path) -> tuple[str, ...]:
    from dse.yaml_positions import parse_yaml, read_text

    node = parse_yaml(read_text(path), str(path))
    return tuple(node.value) if isinstance(node.value, dict) else ()


def _of_grades(grades: list[str], output: Format) -> None:
    from dse.analysis.require.bandwidth_limit import bandwidth_by_area
    from dse.render.terminal.bandwidth import bandwidth_parts

    rows = bandwidth_by_area(grades)
    emit(output, lambda: bandwidth_parts(rows), lambda: rows)


def _of_sweep(spec: Spec, grades: list[str], folder: Path | None, formats: tuple[str, ...], output: Format) -> None:
    from dse.analysis.require.bandwidth_limit import bandwidth_by_area
    from dse.analysis.require.changes import best_changes
    from dse.analysis.require.requirements import requirements
    from dse.errors import Issue, SpecError
    from dse.evaluator import Evaluator
    from dse.render.terminal.bandwidth import bandwidth_parts
    from dse.render.terminal.requirements import (
        changes_table,
        need_rows,
        needs_table,
        options_table,
        quality_lines,
        sized_table,
        summary_lines,
    )
    from dse.render.terminal.summary import asked
    from dse.render.terminal.tables import Lines, Part
    from dse.space import Space

    if spec.model is not None:
        what = f"require is of the built-in evaluation; this sweep has a model of its own, {spec.model.words}"
        raise SpecError([Issue(spec.place_of("model"), "model", what)])
    result = requirements(spec)
    bandwidths = bandwidth_by_area(grades, spec)
    files = []
    if folder is not None:
        from dse.render.plots.require import plot_requirements

        files = plot_requirements(result, folder, formats)
    nearest = min(result.sized, key=lambda one: one.violation, default=None)
    changes = best_changes(Evaluator(spec), nearest.design, space=Space(spec)) if nearest else []

    def parts() -> list[Part]:
        made: list[Part] = [
            Lines(asked(spec), f"{spec.name}: what is asked"),
            Lines(summary_lines(result), "What it takes at least, per chip"),
            needs_table(result),
            options_table(result),
            sized_table(result),
        ]
        if nearest is not None:
            made.append(changes_table(changes, f"Best single changes to the {nearest.memory} design above", spec))
            made.append(Lines(quality_lines(changes, spec)))
        if bandwidths:
            made += bandwidth_parts(bandwidths)
        return [*made, Lines([str(file) for file in files], "Files")]

    emit(
        output,
        parts,
        lambda: {**result.to_json(), "best_changes": changes, "die_bandwidths": bandwidths},
        lambda: need_rows(result),
    )


def _of_design(what: str, design: str | None, workloads: list[str], is_file: bool, output: Format) -> None:
    from dse.analysis.explain.inputs import design_of_run, load_design
    from dse.analysis.require.changes import best_changes
    from dse.evaluator import Evaluator
    from dse.render.terminal.requirements import changes_table, quality_lines
    from dse.render.terminal.tables import Lines, cell_text
    from dse.results.picks import in_force
    from dse.space import Space

    if is_file:
        spec, settings = load_design(what, workloads)
        space, name = None, spec.name
    else:
        run = evaluated_run(what, "require", model=False)
        settings, name = design_of_run(run, design)
        spec, space = run.spec, Space(run.spec)
    changes = best_changes(Evaluator(spec), settings, space=space)
    words = ", ".join(f"{key} {cell_text(value)}" for key, value in in_force(settings).items())
    table = changes_table(changes, f"{name}: the best single change for each goal", spec)
    emit(
        output,
        lambda: [Lines([words], name), table, Lines(quality_lines(changes, spec))],
        lambda: {"name": name, "best_changes": changes},
        lambda: (table.headings, table.cells),
    )
