"""``dse check``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dse.cli.options import Format, Library, Output, Quiet, Set, command
from dse.cli.output import emit

if TYPE_CHECKING:
    from cost_models.table import Designs
    from dse.evaluator import Evaluation, Evaluator
    from dse.space import Space
    from dse.sweep import Spec

app = command()


@app.command()
def check(
    spec: Annotated[
        Path | None, typer.Argument(metavar="SPEC", help="sweep file; none with --schema", show_default=False)
    ] = None,
    overrides: Set = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="print the JSON Schema of sweep files instead, for editors")
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="file for the schema")] = None,
    exploits: Annotated[
        bool, typer.Option("--exploits", help="move every axis alone; list those whose best end costs nothing")
    ] = False,
    library: Library = None,
    output: Output = Format.table,
    quiet: Quiet = False,
) -> None:
    """Validate a sweep and evaluate one design; write nothing.

    Example: dse check sweeps/mach1.yaml

    Example: dse check --exploits sweeps/mach1.yaml

    Example: dse check --schema --out sweep.schema.json
    """
    from dse.errors import NOWHERE, Issue, SpecError
    from dse.sweep.shipped import sweep_file

    spec = None if spec is None else sweep_file(spec)
    issues = []
    if spec is None and not schema:
        issues.append(Issue(NOWHERE, "SPEC", "is missing: the sweep file to check, or --schema"))
    if schema and (spec is not None or overrides):
        issues.append(Issue(NOWHERE, "--schema", "is that of every sweep file; no file and no --set go with it"))
    if schema and exploits:
        issues.append(Issue(NOWHERE, "--exploits", "is a check of a sweep; it does not go with --schema"))
    if out is not None and not schema:
        issues.append(Issue(NOWHERE, "--out", "goes with --schema; a check writes nothing"))
    if issues:
        raise SpecError(issues)
    if spec is None:
        _print_schema(out, library or [])
    elif exploits:
        _exploits(spec, overrides or [], library or [], output)
    else:
        _check(spec, overrides or [], library or [], output)


def _print_schema(out: Path | None, library: list[Path]) -> None:
    import json

    from dse.sweep.library_additions import library_with
    from dse.sweep.schema import sweep_schema

    text = json.dumps(sweep_schema(library_with(library)), indent=2) + "\n"
    if out is None:
        print(text, end="")
        return
    out.write_text(text, encoding="utf-8")


def _exploits(file: Path, overrides: list[str], library: list[Path], output: Format) -> None:
    from dataclasses import asdict

    from dse.analysis.exploits import find_exploits
    from dse.evaluator import Evaluator
    from dse.render.terminal.exploits import exploit_parts, exploit_table
    from dse.space import Space
    from dse.sweep import load_spec

    spec = load_spec(file, overrides=overrides, library=library)
    found = find_exploits(Evaluator(spec), Space(spec))
    table = exploit_table(found)
    emit(output, lambda: exploit_parts(found, spec.name), lambda: asdict(found), lambda: (table.headings, table.cells))


def _check(file: Path, overrides: list[str], library: list[Path], output: Format) -> None:
    from dse.evaluator import Evaluator
    from dse.margins import check_baselines
    from dse.render.terminal.sweep import parameters_table, sweep_parts, told_metrics
    from dse.samplers import sampler_of
    from dse.search.estimate import seconds_estimate
    from dse.space import Space
    from dse.sweep import load_spec
    from dse.sweep.notices import warnings_of

    spec = load_spec(file, overrides=overrides, library=library)
    if not spec.space and spec.model is None:
        from dse.analysis.choose import choose_baselines
        from dse.cli.choose import show

        # A sweep that varies nothing is about its baselines, which are evaluated at once.
        show(choose_baselines(spec), output)
        return
    space, evaluator = Space(spec), Evaluator(spec)
    if spec.search.sampler == "grid":
        sampler_of(spec, space)  # refuses a budget that does not hold the grid
    # Tables tell of few metrics, and the others take longer than all the rest.
    told = told_metrics(spec) if output is Format.table else None
    baselines = evaluator.baselines if told is None else evaluator.some_of_baselines(told)
    check_baselines(spec, baselines)
    judged, remarks = _asked(spec, evaluator, space.default_design(), told)
    remarks = [*remarks, *warnings_of(spec)]
    table = parameters_table(space, spec)
    emit(
        output,
        lambda: sweep_parts(
            file, spec, space, baselines, judged, seconds=seconds_estimate(spec, space, evaluator), remarks=remarks
        ),
        lambda: _data(spec, space, evaluator, judged),
        lambda: (table.headings, table.cells),
    )


def _asked(
    spec: Spec, evaluator: Evaluator, designs: Designs, told: frozenset[str] | None
) -> tuple[Evaluation, list[str]]:
    """Return what a design is worth, and what is to be known of the sweep's own model, which is asked once.

    Args:
        spec: the sweep.
        evaluator: its evaluator, without the model.
        designs: the design.
        told: metrics that are wanted beside those of judging; all where None.
    """
    if spec.model is None:
        return evaluator.evaluate(designs, metrics=told), []
    from dse.evaluator import Evaluator
    from dse.number_texts import number_text
    from dse.user_model.model import UserModel

    own = UserModel(spec)
    own.check()
    start = time.perf_counter()
    judged = Evaluator(spec, model=own).evaluate(designs)
    took = time.perf_counter() - start
    words = [f"the model {own.model.words} took {number_text(took, 2)} s for one design"]
    assert judged.failed is not None
    if (reason := judged.failed.names()[0]) is not None:
        words.append(f"THE MODEL FAILED for the default design: {reason}")
    return judged, words


def _data(spec: Spec, space: Space, evaluator: Evaluator, judged: Evaluation) -> dict[str, Any]:
    from dse.results.picks import settings_of
    from dse.search.estimate import seconds_estimate
    from dse.sweep.notices import warnings_of

    return {
        "name": spec.name,
        "hash": spec.hash,
        "dimensions": space.dimensions,
        "seconds_estimate": seconds_estimate(spec, space, evaluator),
        "grid_size": space.grid_size if space.is_enumerable else None,
        "fixed": space.fixed,
        "resolved": spec.resolved(),
        "default_design": settings_of(space.default_design(), 0),
        "metrics": {name: value[0] for name, value in judged.metrics.items()},
        "margins": {name: value[0] for name, value in judged.margins.items()},
        "feasible": bool(judged.feasible[0]),
        "baselines": evaluator.baselines,
        "warnings": warnings_of(spec),
    }
