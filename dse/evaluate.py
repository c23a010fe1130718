"""From designs to metrics, and from metrics to margins: the same equations for designs and baselines.

A table of metrics is a mapping of column name to ``(n,)`` array: design-level names bare, workload-level ones as
``workload.metric``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

from cost_models.columns import INACTIVE, Choice, Column, Designs, FloatArray, Number, row_count
from cost_models.compression import stored_bits
from cost_models.inference import infer
from cost_models.library import Library, Model, WeightFormat, load_library
from cost_models.machine import Machine
from cost_models.metrics import Served, design_metrics, workload_metrics
from cost_models.published import chip_machine
from cost_models.quality import Quality, format_quality, perplexity
from cost_models.quantities import PARAMETERS, TECHNOLOGY_PREFIX, WORKLOAD_FIELDS
from cost_models.roofline import Formats
from cost_models.serving import Parallelism, Serving
from cost_models.silicon import design_machine
from cost_models.software import default_stack, software
from cost_models.technology import Technology
from dse.margins import MISSED, Metrics, constraint_margin, limit_margins
from dse.spec import BaselineSpec, Spec, WorkloadSpec


@dataclass(frozen=True)
class Evaluation:
    """Metrics and margins of a table of designs."""

    metrics: Metrics
    margins: Mapping[str, FloatArray]
    objectives: FloatArray
    feasible: NDArray[np.bool_]

    @property
    def violations(self) -> FloatArray:
        """``(n, margins)``: 0 where a condition is met, else how far it is missed."""
        if not self.margins:
            return np.zeros((len(self.feasible), 0))
        return np.stack([np.maximum(-margin, 0.0) for margin in self.margins.values()], axis=1)


def filled(designs: Designs) -> dict[str, Column]:
    """Return the designs with one row of the default for every parameter that the sweep leaves out."""
    columns: dict[str, Column] = {}
    for name, parameter in PARAMETERS.items():
        column = designs.get(name)
        if column is None:
            column = _default_column(parameter.default, parameter.is_choice)
        elif isinstance(column, Choice) and isinstance(parameter.default, str):
            column = column.filled(parameter.default)
        elif not isinstance(column, Choice) and isinstance(parameter.default, int | float):
            column = np.where(np.isnan(column), parameter.default, column) if np.isnan(column).any() else column
        columns[name] = column
    return columns


def _default_column(default: float | str | None, is_choice: bool) -> Column:
    if not is_choice:
        return np.array([np.nan if default is None else float(default)])
    if default is None:
        return Choice((), np.array([INACTIVE], dtype=np.intp))
    return Choice.of(str(default))


def _numeric(column: Column) -> FloatArray:
    if isinstance(column, Choice):
        raise TypeError("a column of names stands where numbers are needed")
    return column


class Evaluator:
    """Evaluates designs of one sweep.

    Args:
        spec: the checked sweep.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.library: Library = load_library()
        self.technology = Technology(spec.technology)
        self.economics = spec.economics
        self._quality_table: dict[tuple[str, str, str], tuple[float, bool]] = {}

    # -- designs ------------------------------------------------------------------------------------------------

    def evaluate(self, designs: Designs) -> Evaluation:
        """Return metrics, margins and feasibility of every design."""
        n = row_count(designs)
        technology = self._technology_of(designs)
        columns = filled(designs)
        machine = self.machine(columns, technology)
        metrics = design_metrics(machine, self._stored_bits(columns))
        margins = limit_margins(machine)
        for name in self.spec.workloads:
            served = self.serve(name, designs, columns, machine, technology)
            values, capacity = self._workload_metrics(served, technology)
            metrics.update({f"{name}.{metric}": value for metric, value in values.items()})
            if self.spec.workloads[name].required:
                margins[f"{name}.capacity"] = capacity
        metrics = {name: np.broadcast_to(value, (n,)) for name, value in metrics.items()}
        margins.update(self.constraint_margins(metrics))
        margins = {name: np.broadcast_to(np.where(np.isnan(m), MISSED, m), (n,)) for name, m in margins.items()}
        objectives = self.signed_objectives(metrics)
        feasible = np.isfinite(objectives).all(axis=1)
        for margin in margins.values():
            feasible &= margin >= 0
        return Evaluation(metrics, margins, objectives, feasible)

    def machine(self, columns: Designs, technology: Technology) -> Machine:
        """Return the Machine that filled design columns describe."""
        return design_machine(columns, technology, economics=self.economics, stored_bits=self._stored_bits(columns))

    def _technology_of(self, designs: Designs) -> Technology:
        drawn = {
            name.removeprefix(TECHNOLOGY_PREFIX): _numeric(column)
            for name, column in designs.items()
            if name.startswith(TECHNOLOGY_PREFIX)
        }
        return self.technology.with_overrides(drawn) if drawn else self.technology

    def _stored_bits(self, columns: Designs) -> FloatArray:
        return self._of_format(columns, stored_bits)

    def _of_format(self, columns: Designs, function: Callable[[WeightFormat], float]) -> FloatArray:
        chosen = cast("Choice", columns["weight_format"])
        return chosen.map(lambda name: function(self.library.weight_format(name)))

    def serve(self, name: str, designs: Designs, columns: Designs, machine: Machine, technology: Technology) -> Served:
        """Return one workload on the designs' machines.

        Args:
            name: the workload.
            designs: the sweep's columns, which may set fields of the workload.
            columns: the filled design parameters.
            machine: the machines they describe.
            technology: figures.
        """
        workload = self.spec.workloads[name]
        own = self._own_formats(workload, columns)
        if own is not columns:
            columns, machine = own, self.machine(own, technology)
        model = self.library.model(workload.model)
        field = _Fields(name, workload, designs)
        chips = field.number("n_chips")
        serving = Serving(
            model=model,
            batch=field.number("batch"),
            prompt_tokens=field.number("prompt_tokens"),
            output_tokens=field.number("output_tokens"),
            tensor_parallel=chips if workload.parallelism == "tensor" else np.array([1.0]),
            stages=np.array([1.0]) if workload.parallelism == "tensor" else chips,
            parallelism=cast("Parallelism", workload.parallelism),
        )
        formats = self._formats(columns, technology)
        quality = self._quality(model, columns, technology)
        stack = software(cast("Choice", columns["stack"]), technology)
        chunk = technology.value("serving.prefill_chunk_tokens")
        return Served(
            name, serving, machine, formats, infer(serving, machine, stack, formats, chunk_tokens=chunk), quality
        )

    def _own_formats(self, workload: WorkloadSpec, columns: Designs) -> Designs:
        """Return the columns with the workload's own number formats in place of the design's, if it has any."""
        own: dict[str, Column] = {
            key: np.array([float(value)])
            for key in ("kv_bits", "act_bits")
            if (value := getattr(workload, key)) is not None
        }
        if workload.weight_format is not None:
            own["weight_format"] = Choice.of(workload.weight_format)
        return {**columns, **own} if own else columns

    def _formats(self, columns: Designs, technology: Technology) -> Formats:
        return Formats(
            weight_bits=self._stored_bits(columns),
            head_bits=self._of_format(columns, lambda form: form.head_bits),
            kv_bits=_numeric(columns["kv_bits"]),
            activation_bits=technology.value("serving.activation_bits"),
        )

    def _quality(self, model: Model, columns: Designs, technology: Technology) -> Quality:
        """Return perplexity ratios; one look-up per pair of format and method."""
        form, method = cast("Choice", columns["weight_format"]), cast("Choice", columns["weight_method"])
        methods = (*method.values, "")
        method_codes = np.where(method.codes == INACTIVE, len(method.values), method.codes)
        pairs = [(f, m) for f in form.values for m in methods]
        codes = form.codes * len(methods) + method_codes
        table = [self._damage(model, f, m, technology) for f, m in pairs]
        pair = Choice(tuple(f"{f}+{m}" for f, m in pairs), codes)
        y, extrapolated = pair.gather([t[0] for t in table]), pair.gather([float(t[1]) for t in table])
        return perplexity(y, extrapolated, _numeric(columns["kv_bits"]), technology)

    def _damage(self, model: Model, form: str, method: str, technology: Technology) -> tuple[Number, bool]:
        entry = self.library.weight_format(form)
        method = method or entry.method
        if technology.columns():
            return format_quality(model, entry, method, technology)
        key = (model.key, form, method)
        if key not in self._quality_table:
            y, outside = format_quality(model, entry, method, technology)
            self._quality_table[key] = (float(y), outside)
        return self._quality_table[key]

    def _workload_metrics(self, served: Served, technology: Technology) -> tuple[dict[str, FloatArray], FloatArray]:
        """Return metrics of a workload (missing where it does not fit) and the margin of its memory."""
        values = workload_metrics(served, technology, self.economics)
        capacity = 1 - served.inference.footprint.fullest_bytes / served.machine.capacity_bytes
        return values, capacity

    # -- baselines ----------------------------------------------------------------------------------------------

    @cached_property
    def baselines(self) -> dict[str, dict[str, float]]:
        """Metrics of every baseline of the sweep, by the same equations; missing ones are NaN."""
        return {name: self.baseline(entry) for name, entry in self.spec.baselines.items()}

    def baseline(self, entry: BaselineSpec) -> dict[str, float]:
        """Return the metrics of library chips serving the sweep's workloads."""
        served = {name: self.serve_baseline(entry, name) for name in self.spec.workloads}
        machine = next(iter(served.values())).machine
        form = self.library.weight_format(entry.weight_format)
        metrics = {name: float(v[0]) for name, v in design_metrics(machine, np.array([stored_bits(form)])).items()}
        for name, one in served.items():
            values = workload_metrics(one, self.technology, self.economics)
            metrics.update({f"{name}.{metric}": float(np.ravel(value)[0]) for metric, value in values.items()})
        return metrics

    def serve_baseline(self, entry: BaselineSpec, name: str) -> Served:
        """Return one workload on a baseline's chips, tensor parallel over all of them."""
        workload = self.spec.workloads[name]
        return serve_chip(
            chip=entry.chip,
            n_chips=entry.count,
            weight_format=entry.weight_format,
            kv_bits=entry.kv_bits,
            act_bits=entry.act_bits,
            stack=entry.stack,
            workload=workload if entry.batch is None else workload.model_copy(update={"batch": entry.batch}),
            name=name,
            technology=self.technology,
        )

    # -- judgement ----------------------------------------------------------------------------------------------

    def constraint_margins(self, metrics: Metrics) -> dict[str, FloatArray]:
        """Return the signed relative margin of every constraint of the sweep."""
        return {
            constraint.label: constraint_margin(constraint, metrics, self.baselines if constraint.relative_to else {})
            for constraint in self.spec.constraints
        }

    def signed_objectives(self, metrics: Metrics) -> FloatArray:
        """Return ``(n, objectives)``, all to be minimised."""
        signs = [1.0 if objective.direction == "minimize" else -1.0 for objective in self.spec.objectives]
        return np.stack([sign * metrics[o.metric] for sign, o in zip(signs, self.spec.objectives, strict=True)], axis=1)


@dataclass(frozen=True)
class _Fields:
    """Numbers of a workload: swept as ``workload.field`` or as the sweep file says."""

    name: str
    workload: WorkloadSpec
    designs: Designs

    def number(self, field: str) -> FloatArray:
        column = self.designs.get(f"{self.name}.{field}")
        if column is None:
            return np.array([float(getattr(self.workload, field))])
        column = _numeric(column)
        default = WORKLOAD_FIELDS[field].default
        return np.where(np.isnan(column), float(default or 1), column) if np.isnan(column).any() else column


def serve_chip(
    *,
    chip: str,
    n_chips: int,
    weight_format: str,
    kv_bits: float,
    act_bits: float,
    stack: str | None,
    workload: WorkloadSpec,
    name: str,
    technology: Technology,
) -> Served:
    """Return a workload on `n_chips` chips of the library."""
    library = load_library()
    entry, form, model = library.chip(chip), library.weight_format(weight_format), library.model(workload.model)
    machine = chip_machine(entry, weight_format=form, act_bits=act_bits, kv_bits=kv_bits, technology=technology)
    tensor = workload.parallelism == "tensor"
    one = np.array([1.0])
    serving = Serving(
        model,
        np.array([float(workload.batch)]),
        np.array([float(workload.prompt_tokens)]),
        np.array([float(workload.output_tokens)]),
        tensor_parallel=one * n_chips if tensor else one,
        stages=one if tensor else one * n_chips,
        parallelism=cast("Parallelism", workload.parallelism),
    )
    bits = technology.value("serving.activation_bits")
    formats = Formats(np.array([stored_bits(form)]), np.array([form.head_bits]), np.array([kv_bits]), bits)
    profile = software(Choice.of(stack or default_stack(entry)), technology)
    chunk = technology.value("serving.prefill_chunk_tokens")
    inference = infer(serving, machine, profile, formats, chunk_tokens=chunk)
    y, outside = format_quality(model, form, form.method, technology)
    quality = perplexity(np.array([y]), np.array([float(outside)]), np.array([kv_bits]), technology)
    return Served(name, serving, machine, formats, inference, quality)
