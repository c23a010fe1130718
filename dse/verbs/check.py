"""``dse check``: validate a sweep, show its space, evaluate its default design; nothing is written."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.table import Designs, FloatArray
from dse.compare import baseline_words
from dse.evaluate import Evaluation, Evaluator
from dse.margins import check_baselines
from dse.modelling.user_model import UserModel
from dse.results.picks import settings_of
from dse.space import Space, SpaceParameter
from dse.spec import Spec, load_spec
from dse.spec.search import OWN_SAMPLERS
from dse.terminal import console, print_lines, print_table
from dse.terminal.summary import asked, shown_metrics, unit_of
from dse.terminal.tables import Table, cell_text, csv_text, number_text

FEW = 12
"""Values of a parameter that are written out."""


PROBE_DESIGNS = 2048
"""Designs by which the time of a run is estimated."""

SEARCH_SHARE = 2.0
"""Time of a whole run over that of its evaluations, at most: proposing and keeping designs take about as long again."""


def check_sweep(
    sweep: Path, overrides: Sequence[str], *, output: str, quiet: bool = False, library: Sequence[Path] = ()
) -> None:
    """Print a sweep as it is understood, with one design and every baseline evaluated.

    Args:
        sweep: the sweep file.
        overrides: ``a.b=c`` arguments.
        output: "table", "json" or "csv" (the parameters).
        quiet: print nothing but faults.
        library: directories whose entries are added to the library.

    Raises:
        SpecError: every fault of the sweep.
    """
    spec = load_spec(sweep, overrides=overrides, library=library)
    space, evaluator = Space(spec), Evaluator(spec)
    check_baselines(spec, evaluator.baselines)
    designs = space.default_design()
    judged, model_words = _asked(spec, designs)
    if quiet:
        return
    if output == "json":
        print(json.dumps(_check_json(spec, space, evaluator, judged), indent=2, allow_nan=False))
        return
    parameters = parameters_table(space)
    if output == "csv":
        print(csv_text(parameters.headings, parameters.rows), end="")
        return
    out = console()
    print_lines(out, asked(spec), heading=f"{spec.name}: {sweep} is a valid sweep")
    print_lines(out, [_search_words(spec, space), *_time_words(spec, space, evaluator), *model_words], heading="Search")
    print_table(out, parameters)
    print_lines(out, [f"{name} = {cell_text(value)}" for name, value in space.fixed.items()], heading="Fixed")
    design = [f"{name} {cell_text(value)}" for name, value in settings_of(designs, 0).items()]
    print_lines(out, [", ".join(design)], heading="The default design")
    print_table(out, _design_table(spec, evaluator, judged))
    print_table(out, _margins_table(judged))
    print_lines(
        out, [f"{name}: {baseline_words(entry)}" for name, entry in spec.baselines.items()], heading="Baselines"
    )


def _asked(spec: Spec, designs: Designs) -> tuple[Evaluation, list[str]]:
    """Return what a design is worth, and what is to be known of the sweep's own model, which is asked once."""
    if spec.model is None:
        return Evaluator(spec).evaluate(designs), []
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


def _search_words(spec: Spec, space: Space) -> str:
    search = spec.search
    size = f"a grid of {number_text(space.grid_size)} designs" if space.is_enumerable else "a continuous space"
    count = "all of them" if search.n_designs is None else f"{number_text(search.n_designs)} designs"
    return f"{search.sampler} over {size} in {len(space.dimensions)} dimensions: {count}, seed {search.seed}"


def seconds_estimate(spec: Spec, space: Space, evaluator: Evaluator) -> float:
    """Return how long evaluating every design of a run takes on this machine, from a few designs of the space."""
    total = space.grid_size if spec.search.n_designs is None else spec.search.n_designs
    unit = np.random.default_rng(0).random((PROBE_DESIGNS, len(space.dimensions)))
    designs = space.decode(unit)
    start = time.perf_counter()
    evaluator.evaluate(designs, metrics=())
    return (time.perf_counter() - start) * total / PROBE_DESIGNS


def _time_words(spec: Spec, space: Space, evaluator: Evaluator) -> list[str]:
    least = seconds_estimate(spec, space, evaluator)
    words = f"about {_duration(least)} to {_duration(SEARCH_SHARE * least)} on this machine"
    if least < 1:
        words = "about a second on this machine"
    asking = [stage for stage in spec.search.stages if stage not in OWN_SAMPLERS]
    return [words, *(f"{stage} asks Optuna design by design, which takes longer than that" for stage in asking)]


def _duration(seconds: float) -> str:
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{number_text(seconds / length, 2)} {unit}"
    return f"{number_text(max(seconds, 1.0), 2)} s"


def parameters_table(space: Space) -> Table:
    """Return what varies, and over which values."""
    rows = [
        (name, unit_of(name), *_values_words(space, parameter, index))
        for name, parameter in space.parameters.items()
        if parameter.is_free or parameter.is_conditional
        for index in range(len(parameter.alternatives))
    ]
    headings = ("parameter", "unit", "values", "how many", "when")
    return Table("What varies", headings, tuple((*row[:3], row[3], row[4]) for row in rows))


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
    if len(levels) <= FEW:
        return ", ".join(number_text(level) for level in levels), str(len(levels)), when
    return f"{number_text(levels.min())} to {number_text(levels.max())}", str(len(levels)), when


def _design_table(spec: Spec, evaluator: Evaluator, judged: Evaluation) -> Table:
    """Return the default design and the baselines side by side."""
    sides = {"default design": {name: float(value[0]) for name, value in judged.metrics.items()}, **evaluator.baselines}
    rows = [
        (name, unit_of(name), *(number_text(metrics[name]) for metrics in sides.values()))
        for name in [*shown_metrics(spec), *_headline(spec)]
        if name in judged.metrics
    ]
    return Table(
        "The default design and the baselines, one chip's area, power and price",
        ("", "unit", *sides),
        tuple(dict.fromkeys(rows)),
    )


def _headline(spec: Spec) -> list[str]:
    return [
        f"{workload}.{metric}" for workload in spec.workloads for metric in ("ms_per_token", "decode_w", "memory_gib")
    ]


def _margins_table(judged: Evaluation) -> Table:
    rows = tuple(
        (name, f"{100 * float(margin[0]):+.1f}", "yes" if margin[0] >= 0 else "NO")
        for name, margin in judged.margins.items()
    )
    return Table("Does the default design meet the limits?", ("limit", "margin\n%", "met"), rows)


def _check_json(spec: Spec, space: Space, evaluator: Evaluator, judged: Evaluation) -> dict[str, Any]:
    def one(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        "name": spec.name,
        "hash": spec.hash,
        "dimensions": list(space.dimensions),
        "seconds_estimate": seconds_estimate(spec, space, evaluator),
        "grid_size": space.grid_size if space.is_enumerable else None,
        "fixed": dict(space.fixed),
        "resolved": spec.resolved(),
        "default_design": settings_of(space.default_design(), 0),
        "metrics": {name: one(float(value[0])) for name, value in judged.metrics.items()},
        "margins": {name: one(float(value[0])) for name, value in judged.margins.items()},
        "feasible": bool(judged.feasible[0]),
        "baselines": {
            name: {metric: one(value) for metric, value in metrics.items()}
            for name, metrics in evaluator.baselines.items()
        },
    }
