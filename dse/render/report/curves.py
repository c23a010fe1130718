"""The section of a report that shows throughput against speed per user."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from dse.analysis.explain.curve import RATES, Curve
from dse.plain import members
from dse.render.report import markup
from dse.render.terminal.curve import curve_table


def for_page(curves: Sequence[Curve]) -> dict[str, Any]:
    """Return curves as the scripts read them, one list of values per quantity."""
    return {
        "rates": RATES,
        "lines": [
            {
                **members(curve, "name", "workload", "chips", "baseline"),
                "limit": curve.tpot_limit_ms,
                "batches": [point.batch for point in curve.points],
                "users": [point.user_tokens_per_s for point in curve.points],
                "rates": {rate: [point.rates[rate] for point in curve.points] for rate in RATES},
                "within": [point.within_limits for point in curve.points],
            }
            for curve in curves
            if curve.points
        ],
    }


def curves_section(curves: Sequence[Curve]) -> str:
    """Return the chart's place and the tables behind it; "" where nothing is served."""
    shown = [curve for curve in curves if curve.points]
    if not shown:
        return ""
    words = (
        "Every machine at every batch (or number of requests at a time) that its memory holds: more users at once are "
        "served cheaper and slower. Filled marks keep the limits of the workload."
    )
    workloads = _options({name: name for name in dict.fromkeys(curve.workload for curve in shown)})
    controls = (
        f'<p><label>workload <select id="curve-workload">{workloads}</select></label> '
        f'<label>throughput per <select id="curve-rate">{_options(RATES)}</select></label></p>'
        '<div id="curve-chart" class="chart tall" role="img" '
        'aria-label="Throughput against speed per user; the tables below hold the same numbers"></div>'
    )
    tables = "".join(markup.table(curve_table(curve)) for curve in shown)
    return markup.paragraph(words, "hint") + controls + markup.folded("The numbers", tables)


def _options(texts: dict[str, str]) -> str:
    return "".join(f'<option value="{escape(value)}">{escape(text)}</option>' for value, text in texts.items())
