"""Explanations of designs, of a sweep's baselines and of chips of the library, by the equations that judged them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import serve_chip, serve_designs
from cost_models.evaluate.workload import Workload
from cost_models.library import Library
from cost_models.library.technology import Technology
from cost_models.performance.metrics import design_metrics, workload_metrics
from cost_models.performance.workload_result import WorkloadResult
from cost_models.quantities.metrics import METRICS
from cost_models.silicon.cost import Economics
from cost_models.table import Choice, Table
from cost_models.weights.chip_execution import chip_execution
from dse.analysis.explain.columns import explained, explanation_of, machine_columns, workload_columns
from dse.analysis.explain.records import Explanation
from dse.evaluator import Evaluator
from dse.margins import capacity_margin, load_margin

SPLITS = ("tensor", "pipeline")
"""Ways of sharing a model that are tried where it does not fit."""

MAX_CHIPS = 1024
"""Most chips that are tried then."""


def explain_designs(evaluator: Evaluator, designs: Table, *, name: str = "design") -> Explanation:
    """Return the explanation of one design of a sweep.

    Args:
        evaluator: the sweep's evaluator.
        designs: a table of one row.
        name: what to call it.

    Raises:
        ValueError: the table does not have exactly one row.
    """
    if designs.rows != 1:
        raise ValueError(f"designs: {designs.rows} rows is not one row")
    result = explanation_of(explained(evaluator, designs), 0, name=name, described=evaluator.spec.metrics)

    def serve(workload: Workload) -> WorkloadResult:
        return serve_designs(designs, workload, evaluator.technology_of(designs), evaluator.economics)

    requested = {
        key: evaluator.workload(key, designs) for key, table in result.workloads.items() if table.lacks_gib > 0
    }
    holders = {key: least_chips(serve, workload) for key, workload in requested.items()}
    return replace(result, holders=holders, economics=evaluator.economics)


def explain_baseline(evaluator: Evaluator, baseline: str) -> Explanation:
    """Return the explanation of one of a sweep's baselines.

    Raises:
        KeyError: the sweep has no such baseline.
    """
    entry = evaluator.spec.baselines[baseline]
    served = {name: evaluator.serve_baseline(entry, name) for name in evaluator.spec.workloads}
    settings = _chip_settings(entry.setup, entry.count, served, evaluator.technology.library)
    result = _explain_served(baseline, settings, served, evaluator.technology)

    def serve(workload: Workload) -> WorkloadResult:
        return serve_chip(entry.setup, workload, evaluator.technology)

    requested = {key: evaluator.workload(key) for key, table in result.workloads.items() if table.lacks_gib > 0}
    return replace(result, holders={key: least_chips(serve, workload) for key, workload in requested.items()})


def least_chips(serve: Callable[[Workload], WorkloadResult], workload: Workload) -> dict[str, int]:
    """Return for every way of sharing a workload the least number of chips that hold it; ways that none holds left out.

    Args:
        serve: a workload with a column of chips to how they serve it.
        workload: what is served.
    """
    counts, found = np.arange(1.0, MAX_CHIPS + 1), {}
    for split in SPLITS:
        result = serve(replace(workload, n_chips=counts, parallelism=split))
        held = np.broadcast_to(
            result.inference.footprint.most_loaded_bytes <= result.machine.capacity_bytes, counts.shape
        )
        if held.any():
            found[split] = int(counts[np.argmax(held)])
    return found


def _chip_settings(
    setup: ChipSetup, n_chips: int, served: Mapping[str, WorkloadResult], library: Library
) -> dict[str, float | str | None]:
    """Return how chips are run; formats of the first workload where they follow from the models."""
    models = [one.serving.model for one in served.values()]
    formats = list(dict.fromkeys(setup.named(model).weight_format for model in models))
    setup = setup.named(models[0])
    entry, form = setup.entry(library), library.weight_format(str(setup.weight_format))
    execution_mode = chip_execution(
        entry, form, act_bits=setup.act_bits, chosen=setup.weight_execution, stored=setup.stored_bits
    )
    further = {"expert_format": setup.expert_format, "stored_bits": setup.stored_bits}
    return {
        "chip": entry.key,
        "chips": float(n_chips),
        "weight_format": ", ".join(map(str, formats)),
        "weight_execution": execution_mode.execution_mode,
        "kv_bits": float(setup.kv_bits),
        "act_bits": float(setup.act_bits),
        "serving_stack": setup.serving_stack_name(library),
        **{name: value for name, value in further.items() if value is not None},
    }


def _explain_served(
    name: str, settings: Mapping[str, float | str | None], served: Mapping[str, WorkloadResult], technology: Technology
) -> Explanation:
    """Return the explanation of published chips; they have no constraints but their memory."""
    first = next(iter(served.values()))
    if not first.machine.arithmetic_known.all():
        settings = {**settings, "arithmetic": "no peak is published: only what memory bounds is predicted"}
    weight_bits = np.asarray(first.formats.weight_bits)
    machine = machine_columns(first.machine)
    stack, library = Choice.of(str(settings["serving_stack"])), technology.library
    columns = {
        "settings": settings,
        "metrics": design_metrics(first.machine, weight_bits, krw_per_usd=Economics.of(technology.library).krw_per_usd),
        "workloads": {
            key: workload_columns(one, workload_metrics(one, technology), stack, library) for key, one in served.items()
        },
        "margins": {
            **{label: limit["margin"] for label, limit in machine["limits"].items()},
            **{f"{key}.capacity": capacity_margin(one) for key, one in served.items()},
            **{f"{key}.load": load_margin(one) for key, one in served.items() if one.users is not None},
        },
        **machine,
    }
    return explanation_of(columns, 0, name=name, described=METRICS)
