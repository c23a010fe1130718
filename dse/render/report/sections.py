"""The sections of a report that are words and tables: what was asked and found, what binds, comparison, provenance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cost_models.errors import ForeignFileError
from cost_models.library import LibraryParameter, Source
from cost_models.library.foreign import read_text
from dse.analysis.compare import compare
from dse.analysis.explain.sensitivity import space_sensitivity
from dse.errors import RunError
from dse.evaluator import Evaluator
from dse.number_texts import MISSING, number_text
from dse.render.report import markup
from dse.render.terminal.comparison import comparison_table, what_they_are
from dse.render.terminal.overview import differing_parts, overview_table
from dse.render.terminal.robustness import confidence_lines
from dse.render.terminal.summary import asked, axes_table, constraints_table, found, misses_table, picks_table
from dse.render.terminal.tables import TextTable
from dse.results.rows import MARGIN_PREFIX
from dse.results.store import StoredRun
from dse.space import Space

IMPORTANCE_SAMPLES = 256
"""Base samples of the indices that a report shows; the plot of `dse plot --kind sensitivity` takes more."""


def head_section(run: StoredRun) -> str:
    """Return what was asked and what was found."""
    return (
        '<div class="two">'
        f"<div>{markup.heading('What was asked')}{markup.bullets(asked(run.spec))}</div>"
        f"<div>{markup.heading('What was found')}{markup.bullets(found(run))}{_confidence(run)}</div></div>"
    )


def overview_section(run: StoredRun) -> str:
    """Return picks beside baselines, and which parameters differ between the picks."""
    if not run.picks and not run.spec.baselines:
        return ""
    tables, lines = differing_parts(run, None)
    parts = [markup.table(one) for one in (overview_table(run), *tables) if isinstance(one, TextTable)]
    return "".join(parts) + "".join(markup.paragraph(line, "hint") for line in lines)


def importance_section(run: StoredRun) -> str:
    """Return the share of each metric's variance over the space that goes with each parameter; "" where none varies."""
    if not Space(run.spec).dimensions:
        return ""
    shares = space_sensitivity(run.spec, samples=IMPORTANCE_SAMPLES)
    wide = shares.pivot(index="parameter", columns="metric", values="total_order")
    wide = wide[list(dict.fromkeys(shares["metric"]))]
    wide = wide.loc[wide.fillna(0).sum(axis=1).sort_values(ascending=False, kind="stable").index]
    table = TextTable(
        "Share of each metric's variance over the whole space that goes with a parameter, interactions included",
        ("parameter", *(f"{name}" for name in wide.columns)),
        tuple(
            (str(name), *(MISSING if math.isnan(share) else f"{max(share, 0.0):z.2f}" for share in row))
            for name, row in zip(wide.index, wide.to_numpy(dtype=float), strict=True)
        ),
    )
    words = (
        "1 means that nothing else matters, 0 that the parameter does not matter; a design that holds no model counts "
        "as the worst value seen."
    )
    return markup.paragraph(words) + markup.shaded_table(table)


def _confidence(run: StoredRun) -> str:
    lines = confidence_lines(run)
    return f"{markup.heading('Results that depend on low-confidence inputs')}{markup.bullets(lines)}" if lines else ""


def picks_section(run: StoredRun) -> str:
    """Return the picks, and the least infeasible designs where nothing is feasible."""
    parts = [markup.table(picks_table(run))] if run.picks else []
    if not run.found_feasible and run.manifest["counts"]["evaluated"]:
        parts.append(markup.table(misses_table(run)))
    return "".join(parts)


def binding_section(run: StoredRun) -> str:
    """Return which constraints bind, and which values of the axes survive them."""
    words = (
        "A margin is relative to its bound: +10 % is met with a tenth to spare, -10 % is missed by a tenth. "
        "'Only this one' counts designs that meet everything else."
    )
    return markup.paragraph(words) + markup.table(constraints_table(run)) + markup.table(axes_table(run))


def comparison_section(run: StoredRun, evaluator: Evaluator) -> str:
    """Return the picks beside the baselines, a table per workload."""
    chosen = {int(pick["id"]): pick for pick in reversed(run.picks)}
    designs = {str(pick["name"]): pick["design"] for pick in reversed(chosen.values())}
    if not designs and not run.spec.baselines:
        return markup.paragraph("There is nothing to compare.")
    comparisons = compare(evaluator, designs)
    parts = [markup.table(comparison_table(one, with_ratios=True)) for one in comparisons]
    if comparisons:
        parts.append(markup.folded("What is compared", markup.bullets(what_they_are(comparisons[0]))))
    return "".join(parts)


def parameters_section(parameters: Sequence[tuple[str, LibraryParameter]], sources: Mapping[str, Source]) -> str:
    """Return every parameter of the library that the picks depend on, with range, year, confidence and sources."""
    rows = tuple(
        (path, one.unit, one.typ, _range_text(one), str(one.year or ""), one.confidence,
         "; ".join(dict.fromkeys(sources[key].title for key in one.sources)))
        for path, one in parameters
    )  # fmt: skip
    headings = ("parameter", "unit", "typical", "low to high", "year", "confidence", "sources")
    counts = {
        level: sum(parameter.confidence == level for _, parameter in parameters) for level in ("high", "medium", "low")
    }
    summary = ", ".join(f"{count} of {level} confidence" for level, count in counts.items())
    listed = markup.table(TextTable("Parameters of the library", headings, rows, names=len(headings)), with_title=False)
    return markup.paragraph(f"The designs shown depend on {len(rows)} parameters of the library: {summary}.") + (
        markup.folded("All of them, with sources", listed)
    )


def _range_text(parameter: LibraryParameter) -> str:
    if parameter.low is None or parameter.high is None:
        return ""
    return f"{number_text(parameter.low)} to {number_text(parameter.high)}"


def provenance_section(run: StoredRun) -> str:
    """Return where the run comes from: sweep, seed, versions, hashes, commit."""
    manifest = run.manifest
    entries = {
        "run": str(run.path),
        "started": str(manifest["started"]),
        "finished": str(manifest.get("finished", "")),
        "sampler": f"{manifest['sampler']}, seed {manifest['seed']}",
        "sweep (SHA-256)": str(manifest["spec_sha256"]),
        "library (SHA-256)": str(manifest["library_sha256"]),
        "commit": str(manifest.get("commit") or "not run from a checkout"),
        "python": str(manifest["python"]),
        "packages": ", ".join(f"{name} {version}" for name, version in manifest["packages"].items()),
    }
    return (
        markup.definitions(entries)
        + markup.folded("The sweep file as it was written", markup.preformatted(_text_of(run, "sweep.yaml")))
        + markup.folded(
            "The sweep with every default, and the parameters read", markup.preformatted(_text_of(run, "resolved.yaml"))
        )
    )


def _text_of(run: StoredRun, name: str) -> str:
    try:
        return read_text(run.file(name))
    except ForeignFileError as error:
        raise RunError(str(error)) from None


def shared_settings(run: StoredRun) -> dict[str, Any]:
    """Return what every design of the run shares, defaults included."""
    picks = run.picks
    settings = dict(picks[0]["design"]) if picks else {}
    varied = {name for name in map(str, run.designs) if not name.startswith(MARGIN_PREFIX)}
    return {name: value for name, value in settings.items() if name not in varied}
