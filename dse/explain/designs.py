"""Explanations of designs, of a sweep's baselines and of chips of the library, by the equations that judged them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from cost_models.chip_execution import chip_execution
from cost_models.cost import Economics
from cost_models.evaluate import ChipSetup, serve_chip
from cost_models.library import Library
from cost_models.machine import Machine
from cost_models.metrics import WorkloadResult, design_metrics, workload_metrics
from cost_models.quantities import METRICS
from cost_models.silicon import fill_defaults
from cost_models.table import Choice, FloatArray, Table
from cost_models.technology import Technology
from dse.evaluate import Evaluator, workload_of
from dse.explain.passes import number, pass_table
from dse.explain.records import Explanation, LimitRow, WorkloadTable
from dse.margins import capacity_margin, limit_margins
from dse.spec import WorkloadSpec


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
    machine = evaluator.machine(designs)
    evaluation = evaluator.evaluate(designs)
    workloads = {}
    for workload, served in evaluator.results(designs, machine=machine).items():
        prefix = f"{workload}."
        metrics = {k.removeprefix(prefix): v for k, v in evaluation.metrics.items() if k.startswith(prefix)}
        workloads[workload] = _workload_table(served, metrics)
    bare = {metric: number(value) for metric, value in evaluation.metrics.items() if "." not in metric}
    margins = {label: number(margin) for label, margin in evaluation.margins.items()}
    settings = {key: _setting(column) for key, column in fill_defaults(designs).items()}
    return Explanation(
        name, settings, bare, workloads, _blocks(machine), _limits(machine), margins, evaluator.spec.metrics
    )


def explain_baseline(evaluator: Evaluator, baseline: str) -> Explanation:
    """Return the explanation of one of a sweep's baselines.

    Raises:
        KeyError: the sweep has no such baseline.
    """
    entry = evaluator.spec.baselines[baseline]
    served = {name: evaluator.serve_baseline(entry, name) for name in evaluator.spec.workloads}
    settings = _chip_settings(entry.setup, entry.count, evaluator.technology.library)
    return _explain_served(baseline, settings, served, evaluator.technology)


def explain_chip(
    chip: str,
    n_chips: int,
    workload: WorkloadSpec,
    weight_format: str,
    kv_bits: float,
    act_bits: float,
    stack: str | None,
    *,
    technology: Technology | None = None,
    name: str = "workload",
) -> Explanation:
    """Return the explanation of chips of the library that serve a workload.

    Args:
        chip: key of the chip in the library.
        n_chips: how many share the model.
        workload: what they serve.
        weight_format: how weights are stored.
        kv_bits: stored bits of a KV-cache element.
        act_bits: bits of an activation in the linear layers.
        stack: software stack; that of the chip's family where None.
        technology: figures; the library's where None.
        name: what to call the workload.

    Raises:
        UnknownEntryError: the library has no such chip, model, format or stack.
    """
    technology = technology or Technology()
    setup = ChipSetup(chip, weight_format, kv_bits, act_bits, stack=stack)
    served = serve_chip(setup, replace(workload_of(name, workload), n_chips=float(n_chips)), technology)
    settings = _chip_settings(setup, n_chips, technology.library)
    return _explain_served(f"{n_chips}x {chip}", settings, {name: served}, technology)


def _chip_settings(setup: ChipSetup, n_chips: int, library: Library) -> dict[str, float | str | None]:
    entry, form = setup.entry(library), library.weight_format(setup.weight_format)
    way = chip_execution(entry, form, act_bits=setup.act_bits, chosen=setup.weight_execution)
    return {
        "chip": entry.key,
        "chips": float(n_chips),
        "weight_format": setup.weight_format,
        "weight_execution": way.way,
        "kv_bits": float(setup.kv_bits),
        "act_bits": float(setup.act_bits),
        "stack": setup.stack_name(library),
    }


def _explain_served(
    name: str,
    settings: Mapping[str, float | str | None],
    served: Mapping[str, WorkloadResult],
    technology: Technology,
) -> Explanation:
    """Return the explanation of published chips; they have no constraints but their memory."""
    tables, margins = {}, {}
    for workload, one in served.items():
        tables[workload] = _workload_table(one, workload_metrics(one, technology))
        margins[f"{workload}.capacity"] = number(capacity_margin(one))
    first = next(iter(served.values()))
    weight_bits = np.asarray(first.formats.weight_bits)
    metrics = design_metrics(first.machine, weight_bits, krw_per_usd=Economics.of(technology.library).krw_per_usd)
    return Explanation(
        name=name,
        settings=settings,
        metrics={metric: number(value) for metric, value in metrics.items()},
        workloads=tables,
        blocks=_blocks(first.machine),
        limits=_limits(first.machine),
        margins={**{label: row.margin for label, row in _limits(first.machine).items()}, **margins},
        described=METRICS,
    )


def _setting(column: FloatArray | Choice) -> float | str | None:
    return column.names()[0] if isinstance(column, Choice) else number(column)


def _blocks(machine: Machine) -> dict[str, dict[str, float]]:
    return {total: {name: number(column) for name, column in parts.items()} for total, parts in machine.blocks.items()}


def _limits(machine: Machine) -> dict[str, LimitRow]:
    margins = limit_margins(machine)
    return {
        name: LimitRow(number(used), number(allowed), number(margins[name]))
        for name, (used, allowed) in machine.limits.items()
    }


def _workload_table(served: WorkloadResult, metrics: Mapping[str, FloatArray]) -> WorkloadTable:
    result, machine, serving = served.inference, served.machine, served.serving
    held = result.footprint
    settings: dict[str, float | str] = {"model": serving.model.key, "parallelism": serving.parallelism}
    for field in ("batch", "prompt_tokens", "output_tokens", "chips"):
        settings[field] = number(getattr(serving, field))
    for field in ("weight_bits", "expert_bits", "head_bits", "kv_bits", "activation_bits"):
        bits = getattr(served.formats, field)
        if bits is not None:
            settings[field] = number(bits)
    return WorkloadTable(
        settings=settings,
        fits=bool(result.fits.all()),
        decode=pass_table(result.decode, result.decode_energy, serving, machine),
        prefill=pass_table(result.prefill, result.prefill_energy, serving, machine),
        memory_gib={
            "weights": number(held.weights_bytes) / 2**30,
            "kv_cache": number(held.kv_bytes) / 2**30,
            "activations": number(held.activations_bytes) / 2**30,
        },
        fullest_gib=number(held.fullest_bytes) / 2**30,
        capacity_gib=number(machine.capacity_bytes) / 2**30,
        roofs={
            "bandwidth_gbps": number(machine.bandwidth_bytes_per_s) / 1e9,
            "linear_tflops": number(machine.linear_mac_per_s) * 2 / 1e12,
            "head_tflops": number(machine.head_mac_per_s) * 2 / 1e12,
            "attention_tflops": number(machine.attention_mac_per_s) * 2 / 1e12,
        },
        metrics={name: number(value) for name, value in metrics.items()},
    )
