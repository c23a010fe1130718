"""Puts a report together: one HTML file with its data, its scripts and plotly inside, and no way out to the network."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

from cost_models.quantities.columns import describe
from cost_models.table import evenly
from dse.evaluator import Evaluator
from dse.plain import plain
from dse.render.plots.reading import curves_of, scene_of
from dse.render.report import curves, markup, sections, uncertainty
from dse.render.report.breakdowns import breakdowns
from dse.render.report.designs import MAX_POINTS, missed, page_columns, page_metrics, position_of, shown_designs, states
from dse.render.report.packing import Packable, packed, packed_columns, rounded
from dse.render.terminal.summary import named_picks
from dse.render.terminal.verdict import verdict
from dse.results.moved import moved_numbers
from dse.results.store import StoredRun, designs_of
from dse.sweep.library_additions import library_of

if TYPE_CHECKING:
    import pandas as pd

    from dse.uncertainty.files import RobustRun

MAX_DETAILED = 2000
"""Designs whose breakdown a report holds.

Of the front, or of the least infeasible designs where nothing is feasible.
"""

DETAIL_BITS = 13
"""Bits of the mantissa kept of a breakdown: 60 parts in a million."""

_SCRIPTS = ("data.js", "charts.js", "explorer.js", "lines.js", "design.js", "curves.js", "main.js")
_PLACE = re.compile(r"\{\{([a-z_]+)\}\}")


@dataclass(frozen=True)
class Live:
    """What makes a page ask the server that it comes from.

    Attributes:
        data: what its script finds as ``report.live``.
        script: the script, with a function ``startLive``.
    """

    data: Mapping[str, Any]
    script: str


def page(run: StoredRun, *, points: int = MAX_POINTS, live: Live | None = None) -> str:
    """Return the report of a run as one HTML page.

    Args:
        run: the run; at least one design must have been evaluated.
        points: designs that are shown at most.
        live: what the page asks a server; None for a page that asks nobody.
    """
    evaluator = Evaluator(run.spec)
    sampled = uncertainty.drawn_picks(run)
    data, blobs = _data(run, evaluator, shown_designs(run, points), sampled)
    data["live"] = None if live is None else live.data
    speeds = curves_of(run)
    data["curves"] = curves.for_page(speeds)
    library = evaluator.technology.library
    parameters = [(path, library.parameters[path]) for path in sorted(evaluator.technology.reads)]
    moved = "" if sampled is None else uncertainty.uncertainty_section(run, sampled)
    listed = sections.parameters_section(parameters, library.sources)
    return fill_template(
        _template("page.html"),
        {
            "title": escape(f"{run.name}: design-space exploration"),
            "name": escape(run.name),
            "verdict": "".join(markup.paragraph(line) for line in verdict(run).lines),
            "style": _template("page.css"),
            "overview": sections.overview_section(run),
            "sections": "".join(
                markup.section(name, title, inner)
                for name, title, inner in (
                    ("importance", "Which parameters decide", sections.importance_section(run)),
                    ("asked", "What was asked and found", sections.head_section(run)),
                    ("binds", "Picks, and what binds", sections.picks_section(run) + sections.binding_section(run)),
                    ("comparison", "Comparison with the baselines", sections.comparison_section(run, run.evaluator)),
                    ("curves", "Throughput against speed per user", curves.curves_section(speeds)),
                    ("parameters", "Uncertainty, and the library's numbers that mattered", moved + listed),
                    ("provenance", "Provenance", sections.provenance_section(run)),
                )
            ),
            "data": script_json(data),
            "designs": blobs["designs"],
            "details": blobs["details"],
            "plotly": packed(_plotly().encode("utf-8")),
            "asks": "'none'" if live is None else "'self'",
            "script": "\n".join([*map(_template, _SCRIPTS), *([] if live is None else [live.script])]),
        },
    )


def _template(name: str) -> str:
    return resources.files("dse.render.report").joinpath("template", name).read_text(encoding="utf-8")


def fill_template(template: str, parts: Mapping[str, str]) -> str:
    """Return the template with every ``{{name}}`` replaced, each once and none within what was put in."""
    return _PLACE.sub(lambda match: parts[match[1]], template)


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def script_json(data: object) -> str:
    """Return JSON that can stand in a script element: no ``<`` ends it, NaN and infinity are null."""
    return json.dumps(plain(data), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _data(
    run: StoredRun, evaluator: Evaluator, table: pd.DataFrame, drawn: RobustRun | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the scripts need, and the packed columns."""
    columns = page_columns(run.spec, table)
    labels, bits = missed(table)
    ids = table["id"].to_numpy().astype("uint32")
    blocks: list[Packable] = [ids, states(table), bits, *(column.values for column in columns)]
    details, packed_details = _details(run, evaluator, table)
    data = {
        "name": run.name,
        "run": str(run.path),
        "counts": {**run.manifest["counts"], "shown": len(table)},
        "columns": [column.described() for column in columns],
        "conditions": labels,
        "details": details,
        "shared": sections.shared_settings(run),
        "stale": bool(moved_numbers(run)),
        "uncertainty": None if drawn is None else uncertainty.for_page(drawn, table),
        **_marks(run, table),
    }
    return data, {"designs": packed_columns(blocks), "details": packed_details}


def _details(run: StoredRun, evaluator: Evaluator, table: pd.DataFrame) -> tuple[dict[str, Any], str]:
    """Return which designs have a breakdown and its paths, and the packed numbers, path after path."""
    wanted = table["pareto"] if run.found_feasible else ~table["feasible"].astype(bool)
    order = table[wanted.astype(bool)].sort_values(["violation", "id"])
    picked = table["id"].isin([int(pick["id"]) for pick in run.picks])
    kept = table.loc[sorted({*table.index[picked], *_evenly_spread(order.index, run.found_feasible)})]
    result = breakdowns(evaluator, designs_of(run.spec, kept))
    described = {"rows": [int(place) for place in kept.index], "paths": [list(path) for path in result]}
    return described, packed_columns([rounded(values, DETAIL_BITS) for values in result.values()])


def _evenly_spread(index: Any, feasible: bool) -> list[int]:
    """Return at most `MAX_DETAILED` of an index: spread over a front, the first of the least infeasible designs."""
    if not feasible:
        return [int(place) for place in index[:200]]
    return [int(place) for place in index[evenly(len(index), MAX_DETAILED)]]


def _marks(run: StoredRun, table: pd.DataFrame) -> dict[str, Any]:
    """Return what stands out among the designs: objectives, limits, picks, baselines."""
    scene = scene_of(run)
    spec = run.spec
    shown = page_metrics(spec)
    picks = named_picks(run.picks, spec)
    return {
        "objectives": [{"metric": one.metric, "direction": one.direction} for one in spec.objectives],
        "limits": [
            {"metric": metric, "value": limit.value, "side": limit.side, "text": limit.text}
            for metric, limits in scene.limits.items()
            for limit in limits
        ],
        "picks": [
            {"row": place, "names": names}
            for place, names in zip(position_of(table, [int(one["id"]) for one in picks.values()]), picks, strict=True)
        ],
        "baselines": [
            {
                "name": name,
                "words": spec.baselines[name].words,
                "values": {metric: values.get(metric, math.nan) for metric in shown},
            }
            for name, values in scene.baselines.items()
        ],
        "units": {name: describe(name, spec.metrics).unit for name in shown},
        "floorplan": {
            path: library_of(spec.library).parameters[f"floorplan.{path}"].typ
            for path in ("aspect_ratio", "usable_edge_fraction")
        },
    }
