"""A sweep as it is understood: what varies, and its default design beside the baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cost_models.quantities.columns import describe
from cost_models.quantities.parameters import PARAMETERS
from cost_models.table import FloatArray
from dse.analysis.relaxation.axes import LINK, linked
from dse.evaluator import Evaluation
from dse.number_texts import counted, number_text, share_text, signed_percent_text
from dse.render.terminal.prices import price_words
from dse.render.terminal.summary import asked, extrapolated_lines, shown_metrics
from dse.render.terminal.tables import Lines, Part, TextTable, cell_text
from dse.results.picks import in_force, settings_of
from dse.samplers import planned_designs
from dse.search.estimate import SEARCH_FRACTION
from dse.space import Space, SpaceParameter
from dse.sweep import Spec
from dse.sweep.search import OWN_SAMPLERS

HEAT = "heat_w_per_mm2"
"""Limit that cooling sets."""

PRICES = ("price_usd", "price_krw")
"""Metrics that volume, margin and NRE enter."""

UNITS_OF_TIME = (("h", 3600.0), ("min", 60.0), ("s", 1.0))
"""Units that the time of a search is told in, the longest first."""

MAX_LISTED_LEVELS = 12
"""Values of a parameter that are written out."""


def sweep_parts(
    file: Path,
    spec: Spec,
    space: Space,
    baselines: Mapping[str, Mapping[str, float]],
    judged: Evaluation,
    *,
    seconds: float,
    remarks: Sequence[str] = (),
) -> list[Part]:
    """Return a sweep as it is understood.

    Args:
        file: where it stands.
        spec: the sweep.
        space: its space.
        baselines: metrics of its baselines by name, those of `told_metrics` at least.
        judged: what its default design is worth.
        seconds: how long evaluating its designs takes.
        remarks: what else is to be known of the search.
    """
    shown = in_force(settings_of(space.default_design(), 0))
    design = [f"{name} {cell_text(value)}" for name, value in shown.items()]
    compared = [f"{name}: {entry.words}" for name, entry in spec.baselines.items()]
    unseen = extrapolated_lines({"": {name: float(value[0]) for name, value in judged.metrics.items()}})
    return [
        Lines(asked(spec), f"{spec.name}: {file} is a valid sweep"),
        Lines([_search_words(spec, space), *_time_words(spec, seconds), *remarks], "Search"),
        parameters_table(space, spec),
        Lines(hidden_lines(spec, judged), "Mind"),
        Lines([f"{name} = {cell_text(value)}" for name, value in space.fixed.items()], "Fixed"),
        Lines([", ".join(design), *unseen], "The default design"),
        design_table(spec, baselines, judged),
        Lines([price_words({name: float(value[0]) for name, value in judged.metrics.items()}, spec.economics)]),
        margins_table(judged),
        Lines(compared, "Baselines"),
    ]


def told_metrics(spec: Spec) -> frozenset[str]:
    """Return the metrics that `sweep_parts` tells of."""
    unseen = [f"{workload}.perplexity_extrapolated" for workload in spec.workloads]
    return frozenset([*shown_metrics(spec), *_headline(spec), *unseen, "cost_usd", "price_usd"])


def hidden_lines(spec: Spec, judged: Evaluation) -> list[str]:
    """Return which defaults that the sweep does not mention decide whether designs are feasible, or what they cost."""
    lines = []
    if linked(spec) and LINK not in spec.space:
        names = [name for name, one in spec.workloads.items() if one.n_chips > 1 or f"{name}.n_chips" in spec.space]
        lines.append(
            f"several chips serve {', '.join(names)}, but {LINK} is {number_text(_default(LINK))} by default: no chip "
            f"reaches another, and no design is feasible; put {LINK} into space"
        )
    heat = judged.margins.get(HEAT)
    if "cooling" not in spec.space and heat is not None and float(heat[0]) < 0:
        lines.append(f"cooling is {PARAMETERS['cooling'].default} by default, and the default design misses {HEAT}")
    named = {one.metric for one in spec.objectives} | {one.metric for one in spec.constraints}
    if named & set(PRICES) and "economics" not in spec.places and spec.places:
        terms = spec.economics
        lines.append(
            f"prices rest on economics that the sweep does not set: {number_text(terms.units)} boards, margin "
            f"{share_text(terms.margin)}, {share_text(terms.nre_share)} of the node's design NRE"
        )
    return lines


def _default(name: str) -> float:
    return float(str(PARAMETERS[name].default))


def _search_words(spec: Spec, space: Space) -> str:
    search = spec.search
    size = f"a grid of {counted(space.grid_size, 'design')}" if space.is_enumerable else "a continuous space"
    planned = planned_designs(search, space)
    count = counted(planned, "design")
    if search.n_designs is None or search.sampler == "grid":
        count = "all of them"
    elif planned > search.n_designs:
        count += f" ({number_text(search.n_designs)} asked for; Sobol points come in powers of two)"
    return f"{search.sampler} over {size} in {counted(len(space.dimensions), 'dimension')}: {count}, seed {search.seed}"


def _time_words(spec: Spec, least: float) -> list[str]:
    most = SEARCH_FRACTION * least
    words = "about a second on this machine"
    if least >= 1:
        unit, length = next((name, one) for name, one in UNITS_OF_TIME if most >= 2 * one)
        words = f"about {number_text(least / length, 2)} to {number_text(most / length, 2)} {unit} on this machine"
    asking = [stage for stage in spec.search.stages if stage not in OWN_SAMPLERS]
    return [words, *(f"{stage} asks Optuna design by design, which takes longer than that" for stage in asking)]


def parameters_table(space: Space, spec: Spec) -> TextTable:
    """Return what varies, and over which values."""
    rows = [
        (name, describe(name, spec.metrics).unit, *_values_words(space, parameter, index))
        for name, parameter in space.parameters.items()
        if parameter.is_free or parameter.is_conditional
        for index in range(len(parameter.alternatives))
    ]
    headings = ("parameter", "unit", "values", "how many", "when")
    return TextTable("What varies", headings, rows)


def _conditions(space: Space, name: str, values: FloatArray) -> str:
    names = space.parameters[name].names
    return ", ".join(names[int(value)] if names else number_text(value) for value in values)


def _values_words(space: Space, parameter: SpaceParameter, index: int) -> tuple[str, str, str]:
    """Return values, their number and the condition of one declaration of a parameter."""
    alternative = parameter.alternatives[index]
    levels = alternative.codec.levels
    when = "; ".join(f"{name}: {_conditions(space, name, values)}" for name, values in alternative.when.items())
    if levels is None:
        low, high = alternative.codec.decode(np.array([0.0, 1.0]))
        scale = " (log)" if getattr(alternative.codec, "log", False) else ""
        return f"{number_text(low)} to {number_text(high)}{scale}", "any", when
    if parameter.names:
        return ", ".join(parameter.names[int(level)] for level in levels), str(len(levels)), when
    if len(levels) <= MAX_LISTED_LEVELS:
        return ", ".join(number_text(level) for level in levels), str(len(levels)), when
    return f"{number_text(levels.min())} to {number_text(levels.max())}", str(len(levels)), when


def design_table(spec: Spec, baselines: Mapping[str, Mapping[str, float]], judged: Evaluation) -> TextTable:
    """Return the default design and the baselines side by side."""
    sides = {"default design": {name: float(value[0]) for name, value in judged.metrics.items()}, **baselines}
    rows = [
        (name, describe(name, spec.metrics).unit, *(metrics[name] for metrics in sides.values()))
        for name in dict.fromkeys([*shown_metrics(spec), *_headline(spec)])
        if name in judged.metrics
    ]
    title = "The default design and the baselines, one chip's area, power and price"
    return TextTable(title, ("", "unit", *sides), rows)


def _headline(spec: Spec) -> list[str]:
    return [f"{workload}.{metric}" for workload in spec.workloads for metric in ("tpot_ms", "decode_w", "memory_gib")]


def margins_table(judged: Evaluation) -> TextTable:
    """Return how a design stands to every limit and constraint."""
    rows = tuple(
        (name, signed_percent_text(float(margin[0])), "yes" if margin[0] >= 0 else "NO")
        for name, margin in judged.margins.items()
    )
    return TextTable("Does the default design meet the limits?", ("limit", "margin\n%", "met"), rows)
