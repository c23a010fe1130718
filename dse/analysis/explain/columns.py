"""Explanations as columns, a row per design: what `Explanation` says of one design is a row of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np

from cost_models.library import Library, Model
from cost_models.performance.continuous import Continuous
from cost_models.performance.disaggregation import Disaggregated
from cost_models.performance.inference import Inference
from cost_models.performance.phases import PhaseTime
from cost_models.performance.workload_result import WorkloadResult
from cost_models.quantities.records import Metric
from cost_models.silicon.defaults import fill_defaults
from cost_models.silicon.machine import Machine
from cost_models.table import Choice, FloatArray, Number, Table
from cost_models.workload.param_count import count_parameters
from dse.analysis.explain.phases import pass_columns
from dse.analysis.explain.records import HELD, Explanation, LimitRow, OperatorRow, PassTable, WorkloadTable
from dse.evaluator import Evaluator
from dse.margins import limit_margins
from dse.time_intervals import ratios


def explained(evaluator: Evaluator, designs: Table) -> dict[str, Any]:
    """Return the fields of `Explanation` for designs of a sweep: mappings of columns, of one row or one per design."""
    machine = evaluator.machine(designs)
    evaluation = evaluator.evaluate(designs)
    settings = fill_defaults(designs)
    stack, library = cast("Choice", settings["serving_stack"]), evaluator.technology.library
    return {
        "settings": settings,
        "metrics": {name: column for name, column in evaluation.metrics.items() if "." not in name},
        "workloads": {
            name: workload_columns(served, _of_workload(name, evaluation.metrics), stack, library)
            for name, served in evaluator.results(designs, machine=machine).items()
        },
        "margins": evaluation.margins,
        **machine_columns(machine),
    }


def _of_workload(name: str, metrics: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    prefix = f"{name}."
    return {key.removeprefix(prefix): column for key, column in metrics.items() if key.startswith(prefix)}


def machine_columns(machine: Machine) -> dict[str, Any]:
    """Return the blocks and the limits of machines."""
    margins = limit_margins(machine)
    return {
        "blocks": machine.blocks,
        "limits": {
            name: {"used": used, "allowed": allowed, "margin": margins[name]}
            for name, (used, allowed) in machine.limits.items()
        },
    }


def _model_words(model: Model) -> dict[str, Any]:
    """Return what a model is: its key, its weights, and what its maker or its file says of them."""
    count = count_parameters(model)
    numbers = {"params_billion": count.total / 1e9, "active_params_billion": count.active / 1e9}
    words = {"published_as": model.published_as, "note": model.note}
    if model.max_context is not None:
        numbers["max_context_tokens"] = float(model.max_context)
    return {"model": model.key, **numbers, **{name: text for name, text in words.items() if text}}


TIMES = {"tpot_ms": "decode", "ttft_ms": "prefill", "request_s": "request"}
"""Metrics that are times, and the regime whose measurements tell how far they may be off."""


def interval_columns(
    served: WorkloadResult, metrics: Mapping[str, FloatArray], stack: Choice, library: Library
) -> dict[str, dict[str, Any]]:
    """Return by time the ends of its 80 % prediction interval and what measurements they come from."""
    columns, mixture = {}, served.serving.model.moe is not None
    for name in TIMES.keys() & metrics.keys():
        found = ratios(TIMES[name], stack, served.formats.weight_bits, mixture, library)
        columns[name] = {
            "p10": metrics[name] * found.low,
            "p90": metrics[name] * found.high,
            "rows": found.rows,
            "groups": found.groups,
            "origin": found.origin,
        }
    return {name: columns[name] for name in TIMES if name in columns}


def known_intervals(
    served: WorkloadResult, metrics: Mapping[str, FloatArray], stack: Choice, library: Library
) -> dict[str, tuple[float, float]]:
    """Return by time the ends of its 80 % prediction interval, of one row; none where the stack was not measured."""
    ends = {
        name: (float(one["p10"].flat[0]), float(one["p90"].flat[0]))
        for name, one in interval_columns(served, metrics, stack, library).items()
    }
    return {name: (low, high) for name, (low, high) in ends.items() if math.isfinite(low) and math.isfinite(high)}


def in_one_node(result: Inference, phase: str) -> PhaseTime | None:
    """Return a pass were all chips in one node; None where they are."""
    if result.machine.nodes is None:
        return None
    near: PhaseTime = getattr(replace(result, machine=replace(result.machine, nodes=None)), phase)
    return near


def workload_columns(
    served: WorkloadResult, metrics: Mapping[str, FloatArray], stack: Choice, library: Library
) -> dict[str, Any]:
    """Return the fields of `WorkloadTable` for a workload on machines that run a stack."""
    result, machine, serving, first = served.inference, served.inference.placed, served.serving, served.prefilling
    held = result.footprint
    numbers = {"batch": serving.sequences * result.waves}
    if np.any(np.asarray(result.waves) > 1):
        numbers["waves"] = result.waves
    if np.any(result.in_flight):
        numbers["joining_prompts_ms"] = result.joining_s * 1e3
    if serving.speculation is not None:
        numbers |= {
            name: getattr(serving.speculation, name) for name in ("draft_tokens", "acceptance", "tokens_per_step")
        }
        if result.draft is not None:
            numbers["draft_ms"] = result.draft_steps * result.draft.decode.pass_s * 1e3
    if served.users is not None:
        numbers |= _promised(served.users)
    if np.any(serving.reused_tokens):
        numbers["reused_tokens"] = serving.reused_tokens
    if np.any(serving.prefix_tokens):
        numbers["prefix_tokens"] = serving.prefix_tokens
    split = ("tensor_parallel", "stages", "replicas")
    numbers |= {name: getattr(serving, name) for name in ("prompt_tokens", "output_tokens", "chips", *split)}
    for name in ("weight_bits", "expert_bits", "head_bits", "kv_bits", "activation_bits"):
        bits = getattr(served.formats, name)
        if bits is not None:
            numbers[name] = bits
    if machine.nodes is not None:
        numbers |= {"node_chips": machine.nodes.chips, "network_gbps": machine.nodes.bytes_per_s / 1e9}
    rates = {part: getattr(machine, f"{part}_mac_per_s") for part in ("linear", "head", "attention")}
    return {
        "settings": {**_model_words(serving.model), "parallelism": serving.parallelism, **numbers},
        "fits": result.fits,
        "decode": pass_columns(result.decode, result.pass_energy, serving, machine, in_one_node(result, "decode")),
        "prefill": pass_columns(
            first.prefill, first.prefill_pass_energy, first.serving, first.placed, in_one_node(first, "prefill")
        ),
        "memory_gib": {
            "weights": np.asarray(held.weights_bytes) / 2**30,
            "kv_cache": np.asarray(held.kv_bytes) / 2**30,
            "activations": np.asarray(held.activations_bytes) / 2**30,
        },
        "most_loaded_gib": np.asarray(held.most_loaded_bytes) / 2**30,
        "capacity_gib": machine.capacity_bytes / 2**30,
        "placement": placement_columns(machine),
        "roofs": {
            "bandwidth_gbps": machine.bandwidth_bytes_per_s / 1e9,
            **{f"{part}_tflops": rate * 2 / 1e12 for part, rate in rates.items()},
            **({} if machine.near is None else {"near_memory_gbps": machine.near.bytes_per_s / 1e9}),
        },
        "metrics": metrics,
        "intervals": interval_columns(served, metrics, stack, library),
    }


def _promised(users: Continuous | Disaggregated) -> dict[str, Number]:
    """Return the limits on both times, and the times of a single request."""
    least = {f"least_{name}_ms": one * 1e3 for name, one in zip(("ttft", "tpot"), users.least_s, strict=True)}
    limits = {"ttft_limit_ms": users.limits.ttft_ms, "tpot_limit_ms": users.limits.tpot_ms}
    return {**least, **{name: limit for name, limit in limits.items() if limit is not None}}


def placement_columns(machine: Machine) -> dict[str, dict[str, FloatArray]]:
    """Return by tensor what a chip holds of it, what a step moves, and how much lies in which memory; empty for one."""
    where = machine.placement
    if where is None:
        return {}
    return {
        name: {
            "gib": held / 2**30,
            "second_gib": held * where.second_fraction[name] / 2**30,
            "second_reads": where.second_reads[name],
            "moved_gib": where.read_bytes[name] / 2**30,
            "slowdown": where.slowdown[name],
        }
        for name, held in where.held_bytes.items()
    }


def explanation_of(columns: Mapping[str, Any], row: int, *, name: str, described: Mapping[str, Metric]) -> Explanation:
    """Return one row of explained designs.

    Args:
        columns: as `explained` makes them.
        row: which.
        name: what to call it.
        described: what its metrics are, by bare name.
    """
    result = _cell(columns, row)
    return Explanation(
        name=name,
        workloads={
            key: WorkloadTable(**{**one, "decode": _pass_table(one["decode"]), "prefill": _pass_table(one["prefill"])})
            for key, one in result["workloads"].items()
        },
        limits={key: LimitRow(**limit) for key, limit in result["limits"].items()},
        described=described,
        **{key: result[key] for key in ("settings", "metrics", "blocks", "margins")},
    )


def _pass_table(found: Mapping[str, Any]) -> PassTable:
    rows = found["operators"].items()
    operators = tuple(OperatorRow(**{"name": name, **one, "bound": one["bound"] or ""}) for name, one in rows)
    sampled = {
        field: {part: amount for part, amount in found[field].items() if part != HELD or amount}
        for field in ("energy_j", "power_w")
    }
    return PassTable(**{**found, **sampled, "operators": operators})


def _cell(value: Any, row: int) -> Any:
    """Return one row of nested mappings of columns; a column of one row stands for all."""
    if isinstance(value, Mapping):
        return {name: _cell(inner, row) for name, inner in value.items()}
    if value is None or isinstance(value, str):
        return value
    column = value.names() if isinstance(value, Choice) else np.ravel(value)
    cell = column[row if len(column) > 1 else 0]
    if cell is None or isinstance(cell, str | np.bool_):
        return bool(cell) if isinstance(cell, np.bool_) else cell
    # One NaN for all: records that miss the same numbers are equal.
    return float(cell) if cell == cell else math.nan
