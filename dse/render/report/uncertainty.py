"""What the library's uncertainty does to the picks: intervals, probabilities, and the parameters that move them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cost_models.library import Library
from dse.number_texts import number_text, share_text
from dse.render.report import markup
from dse.render.terminal.robustness import chances_table, drawn_words, intervals_table
from dse.render.terminal.tables import TextTable
from dse.results.store import StoredRun
from dse.sweep.library_additions import library_of
from dse.uncertainty.files import RobustRun
from dse.uncertainty.stored_run import robust_run

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 400
"""Monte Carlo samples that a report makes for the picks and the least infeasible designs.

`dse robust` makes more, for the front too.
"""

MAX_PARAMETERS = 30
"""Parameters that are listed by what they move."""


def drawn_picks(run: StoredRun) -> RobustRun | None:
    """Return the picks or the least infeasible designs under Monte Carlo samples, None where a run has no picks."""
    if not run.picks:
        return None
    return robust_run(run, draws=DRAWS, at_most=1, misses=not run.found_feasible, fractions=False)


def for_page(found: RobustRun, table: pd.DataFrame) -> dict[str, Any]:
    """Return what the scripts draw.

    Intervals and probabilities by row of the page, and the swings of the analysed design.
    """
    known = found.found
    place = {int(one): row for row, one in enumerate(table["id"])}
    shown = [(place[one], k) for k, one in enumerate(found.ids) if one in place]
    design, pick = found.subject
    return {
        "draws": known.draws,
        "of": {"row": place.get(design), "pick": pick},
        "probability": {row: float(known.p_feasible[k]) for row, k in shown},
        "metrics": {
            metric: {
                row: [float(known.nominal[metric][k]), *map(float, known.quantiles[metric][k])] for row, k in shown
            }
            for metric in known.nominal
        },
        "swings": [
            [one.metric, one.input.name, one.at_low, one.at_typ, one.at_high, one.input.confidence]
            for one in found.swings
        ],
    }


def uncertainty_section(run: StoredRun, found: RobustRun) -> str:
    """Return intervals and probabilities of the picks, and what moved the analysed one, with its confidence."""
    words = (
        "Technology numbers are ranges, not points. Each design was evaluated again under Monte Carlo samples of all "
        "of them; "
        f"dse robust {run.path} does the same for the whole front, with more draws and shares of the variance."
    )
    return "".join([
        markup.paragraph(words),
        markup.bullets(drawn_words(found)),
        markup.table(chances_table(found, run.spec)),
        markup.folded("Intervals of every pick", markup.table(intervals_table(found, run.spec))),
        markup.table(_mattered(found, library_of(run.spec.library))),
    ])  # fmt: skip


def _mattered(found: RobustRun, library: Library) -> TextTable:
    """Return the parameters that move the analysed design most, by the largest relative swing of any watched metric."""
    largest: dict[str, tuple[float, Any]] = {}
    for swing in found.swings:
        share = swing.width / abs(swing.at_typ) if swing.at_typ else float("inf")
        for path in swing.input.paths:
            if share > largest.get(path, (0.0, None))[0]:
                largest[path] = (share, swing)
    ranked = sorted(largest.items(), key=lambda item: (-item[1][0], item[0]))[:MAX_PARAMETERS]
    rows = []
    for path, (share, swing) in ranked:
        parameter = library.parameters[path]
        ends = tuple(number_text(end) for end in (parameter.low, parameter.typ, parameter.high))
        moved = f"{swing.metric} by {share_text(share)}" + (" (with others)" if len(swing.input.paths) > 1 else "")
        sources = "; ".join(dict.fromkeys(library.sources[key].title for key in parameter.sources))
        rows.append((path, parameter.unit, *ends, parameter.confidence, moved, sources))
    headings = ("parameter", "unit", "low", "typical", "high", "confidence", "moves most, low to high", "sources")
    design, pick = found.subject
    title = f"Numbers of the library that mattered for {pick.replace('_', ' ')} (design {design})"
    return TextTable(title, headings, rows, names=2)
