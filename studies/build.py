"""Builds the studies: runs each sweep, writes its page, tables, plots and numbers."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dse.analysis.compare import compare
from dse.analysis.relaxation.constraints import explain_infeasible
from dse.evaluator import Evaluator
from dse.render.plots import plot_run
from dse.render.plots.lines import draw_lines, shrink
from dse.render.terminal.comparison import comparison_table
from dse.render.terminal.relaxation import axis_extensions_table, relaxations_table
from dse.render.terminal.summary import asked, constraints_table, named_workloads, picks_table
from dse.results.store import StoredRun, headed
from dse.runs import run
from dse.sweep import load_spec
from studies import STUDIES, Context, Section, Study
from studies.record import markdown

FRONT_ROWS = 60
"""Designs of the front that are kept in a study."""

NUMBERS = "numbers.json"


def build(into: Path, sweeps: Path, names: Sequence[str] = ()) -> list[Path]:
    """Build studies and return their folders.

    Args:
        into: folder of all studies.
        sweeps: folder of the sweep files.
        names: which; all where empty, with the index.
    """
    chosen = [study for study in STUDIES if not names or study.key in names]
    folders = []
    for study in chosen:
        folders.append(build_one(study, into / study.key, sweeps / f"{study.key}.yaml"))
        print(folders[-1])
    if not names:
        (into / "README.md").write_text(_index(chosen, into), encoding="utf-8")
    return folders


def build_one(study: Study, folder: Path, sweep: Path) -> Path:
    """Build one study into its folder, which holds nothing else afterwards but run directories."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()
    spec = load_spec(sweep)
    with tempfile.TemporaryDirectory() as scratch:
        done = run(spec, out=Path(scratch) / "run")
        sections = [_sweep_section(done)]
        context = Context(spec, done, folder)
        sections += study.sections(context)
        if done.manifest["counts"]["evaluated"] > 1:
            shutil.copy(plot_run(done.path, kinds=["pareto"])[0], folder / "front.png")
        _write_front(done, folder)
    shutil.copy(sweep, folder / "sweep.yaml")
    for section in sections:
        for stem, frame in section.tables.items():
            frame.to_csv(folder / f"{stem}.csv", index=False, float_format="%.6g", lineterminator="\n")
        for figure in section.figures:
            draw_lines(figure, folder)
    for file in folder.glob("*.png"):
        shrink(file)
    (folder / NUMBERS).write_text(json.dumps(numbers_of(sections), indent=2) + "\n", encoding="utf-8")
    (folder / "page.md").write_text(_page(study, sections, folder), encoding="utf-8")
    return folder


def numbers_of(sections: Sequence[Section]) -> dict[str, float]:
    """Return every number that the sections rest on, to six digits."""
    return {name: float(f"{value:.6g}") for section in sections for name, value in section.numbers.items()}


def _page(study: Study, sections: Sequence[Section], folder: Path) -> str:
    parts = [f"# {study.title}"]
    for section in sections:
        parts += [f"## {section.title}", section.text]
    figures = sorted(path.name for path in folder.glob("*.png"))
    parts += [f"![{name.removesuffix('.png')}]({name})" for name in figures]
    parts.append(f"Rebuilt by `make studies` from `sweeps/{study.key}.yaml`; every number on this page is computed.")
    return "\n\n".join(part for part in parts if part) + "\n"


def _sweep_section(done: StoredRun) -> Section:
    """Return what the sweep asked and found."""
    spec, counts = done.spec, done.manifest["counts"]
    parts = ["\n".join(f"- {line}" for line in asked(spec))]
    parts.append(f"{counts['evaluated']} designs, {counts['feasible']} feasible, {counts['front']} on the front.")
    if done.picks:
        parts.append(markdown(picks_table(done)))
    if not done.found_feasible:
        why = explain_infeasible(spec)
        parts.append(markdown(relaxations_table(why, spec)))
        if why.axis_extensions:
            parts.append(markdown(axis_extensions_table(why)))
    if len(done.constraints):
        parts.append(markdown(constraints_table(done)))
    knee = {str(pick["name"]): pick["design"] for pick in done.picks if pick["name"] in ("knee", "least_violation")}
    shown = named_workloads(spec)
    for comparison in compare(Evaluator(spec), knee):
        if comparison.workload in shown and comparison.entries:
            parts += [f"**{comparison.workload}**", markdown(comparison_table(comparison, with_ratios=True))]
    numbers = {f"sweep {name}": float(counts[name]) for name in ("evaluated", "feasible", "front")}
    for pick in done.picks:
        for objective in spec.objectives:
            if objective.metric in pick["metrics"]:
                numbers[f"{pick['name']} {objective.metric}"] = float(pick["metrics"][objective.metric])
    return Section("The sweep", "\n\n".join(parts), numbers)


def _write_front(done: StoredRun, folder: Path) -> None:
    """Write the front, or the least infeasible designs where there is none.

    Parameters, objectives and constrained metrics.
    """
    spec = done.spec
    table = done.front if done.found_feasible else done.designs.sort_values("violation", kind="stable").head(20)
    named = [
        *(o.metric for o in spec.objectives),
        *(c.metric for c in spec.constraints),
        "tdp_w",
        "die_mm2",
        "cost_usd",
    ]
    columns = [name for name in dict.fromkeys(["id", *spec.space, *named]) if name in table]
    kept = table[columns].head(FRONT_ROWS)
    kept = kept.rename(columns={name: headed(str(name), spec.metrics) for name in kept})
    kept.to_csv(folder / "front.csv", index=False, float_format="%.6g", lineterminator="\n")


def _index(studies: Sequence[Study], into: Path) -> str:
    lines = [
        "# Studies",
        "",
        "One folder per question: page, plots, front and the sweep that asks it. `make studies` rebuilds them.",
        "",
    ]
    lines += [f"- [{study.title}]({study.key}/page.md)" for study in studies]
    known = {study.key for study in studies}
    for page in sorted(into.glob("*/page.md")):
        if page.parent.name not in known:
            title = page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
            lines.append(f"- [{title}]({page.parent.name}/page.md)")
    return "\n".join(lines) + "\n"
