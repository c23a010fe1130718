"""From designs to metrics, and from metrics to margins: the same equations for designs and baselines.

A table of metrics is a mapping of column name to ``(n,)`` array: design-level names bare, workload-level ones as
``workload.metric``.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cost_models.evaluate.number_formats import body_bits
from cost_models.evaluate.serve import Prefill, designs_machine, serve_chip, serve_chips, serve_designs
from cost_models.evaluate.workload import Workload, prompts_of
from cost_models.library.technology import Technology
from cost_models.performance.batching import CONTINUOUS
from cost_models.performance.derived import derived_metrics, with_inputs
from cost_models.performance.disaggregation import Network
from cost_models.performance.metrics import design_metrics, workload_metrics
from cost_models.performance.mix import MIX, MIXED, mix_metrics
from cost_models.performance.operating_point import Slo
from cost_models.performance.workload_result import WorkloadResult
from cost_models.quantities.columns import PREFILL_PREFIX, TECHNOLOGY_PREFIX
from cost_models.quantities.metrics import AS_METRICS
from cost_models.silicon.defaults import fill_defaults
from cost_models.silicon.machine import Machine
from cost_models.table import INACTIVE, Choice, Column, Designs, FloatArray, Number, numbers_of, rows_where
from dse.margins import UNMET, Metrics, capacity_margin, constraint_margin, limit_margins, link_margin, load_margin
from dse.replay import Replayed
from dse.space.parameters import parameters_of
from dse.sweep import BaselineSpec, Spec
from dse.sweep.fields import LARGEST
from dse.sweep.library_additions import library_of
from dse.sweep.served_workload import field_of, on_chips, workload_of
from dse.sweep.user_model import ModelSpec

if TYPE_CHECKING:
    from dse.user_model.model import Modelled, UserModel

MODEL_ANSWERS = "the model answers"
"""Label of the condition that the sweep's own model has an answer."""

MOST_LEVELS = 64
"""Values of a numeric parameter up to which what hangs on it is looked up (`dse.level_tables`)."""


@dataclass(frozen=True)
class Evaluation:
    """Metrics and margins of a table of designs.

    Attributes:
        metrics: each ``(n,)``, NaN where missing.
        margins: each ``(n,)``; `dse.margins.UNMET` where the metric behind it is missing.
        objectives: ``(n, objectives)``, all to be minimised; NaN where missing.
        feasible: ``(n,)`` whether every condition is met and every objective is there.
        missing: ``(n,)`` conditions and objectives without a value; None where no design lacks any.
        failed: why the sweep's own model has no answer, inactive where it has; None where it was not asked.
    """

    metrics: Metrics
    margins: Mapping[str, FloatArray]
    objectives: FloatArray
    feasible: NDArray[np.bool_]
    missing: NDArray[np.intp] | None = None
    failed: Choice | None = None


Measured: TypeAlias = tuple[dict[str, FloatArray], dict[str, FloatArray], int, "Choice | None"]
"""Metrics and margins, each as long as what it depends on, the number of designs, and what failed."""


class Evaluator:
    """Evaluates designs of one sweep.

    Args:
        spec: the checked sweep.
        parameters: replacements of parameters beside those of the sweep. Where some are ``(draws,)`` columns, a table
            of one design is evaluated once per draw.
        model: the sweep's own model; its metrics are missing where None, since it may be slow.

    Attributes:
        levels: the numbers of each parameter that has few.
        replayed: `judged`, by the operations that it is made of.
    """

    def __init__(
        self, spec: Spec, parameters: Mapping[str, Number] = MappingProxyType({}), *, model: UserModel | None = None
    ) -> None:
        self.spec, self.model = spec, model
        self.technology = Technology({**spec.technology, **parameters}, library_of(spec.library))
        self.economics = spec.economics
        self._drawn = any(np.ndim(value) for value in parameters.values())
        self._known: dict[str, tuple[frozenset[str] | None, dict[str, FloatArray]]] = {}
        numbers = {name: one.few_numbers(MOST_LEVELS) for name, one in parameters_of(spec.space, [*spec.space]).items()}
        self.levels = {name: few for name, few in numbers.items() if few is not None}
        self.replayed = Replayed(self.judged, self.levels)

    # -- designs ------------------------------------------------------------------------------------------------

    def evaluate(self, designs: Designs, *, metrics: Collection[str] | None = None) -> Evaluation:
        """Return metrics, margins and feasibility of every design.

        Args:
            designs: the sweep's columns.
            metrics: which metrics are wanted beside those of `judging`; all where None. What nobody wants is not
                worked out, which is several times as fast.
        """
        wanted = None if metrics is None else self._wanted(self.judging.union(metrics)) if metrics else self._searched
        result, margins, n, failed = self._asked(designs, wanted)
        kept = None if wanted is None else wanted.union(self.spec.model.metrics if self.spec.model is not None else ())
        result = {name: np.broadcast_to(value, (n,)) for name, value in result.items() if kept is None or name in kept}
        objectives = self.signed_objectives(result)
        there = [np.isfinite(column) for column in objectives.T]
        feasible = np.logical_and.reduce(there)
        judged = {}
        for name, margin in margins.items():
            there.append(margin > -np.inf)
            judged[name] = np.broadcast_to(margin, (n,)) if there[-1].all() else _judged(margin, n)
            feasible &= margin >= 0
        return Evaluation(result, judged, objectives, feasible, _missing(there, n), failed)

    def margins(self, designs: Designs) -> dict[str, FloatArray]:
        """Return the margin of every condition, as long as the columns that it depends on.

        Where some columns have one row for all designs, a margin of one row depends on none of the longer columns.
        """
        _, margins, _, _ = self._measured(designs, self._searched)
        return {name: _judged(margin, len(margin)) for name, margin in margins.items()}

    def _measured(self, designs: Designs, wanted: frozenset[str] | None) -> Measured:
        """Return metrics and margins of designs."""
        own, failed = self.spec.model, None
        if wanted is not None and own is not None:
            wanted |= with_inputs(frozenset(own.inputs), self.spec.derived)
        technology = self.technology_of(designs)
        n = max([*map(len, designs.values()), *map(len, technology.columns().values())])
        columns = fill_defaults(designs)
        result, margins = (
            ({}, {}) if own is not None and own.replace else self._ours(designs, columns, technology, wanted)
        )
        if own is not None:
            answers = self._answers(own, designs, columns, result, n)
            failed = answers.failed
            result.update(answers.metrics)
            if failed is not None:
                margins[MODEL_ANSWERS] = np.where(failed.codes == INACTIVE, 1.0, UNMET)
        named = {name: numbers_of(columns[name]) for name in self._judged_columns}
        result.update({name: values for name, values in named.items() if name not in result})
        whole = wanted is None and not self._drawn
        margins.update(self.constraint_margins(result, self.references if whole else None))
        return result, {name: np.atleast_1d(margin) for name, margin in margins.items()}, n, failed

    def _asked(self, designs: Designs, wanted: frozenset[str] | None) -> Measured:
        """Return `_measured`, replayed where a search asks for it and neither draws nor a user's code have a part."""
        if wanted != self._searched or not self._is_replayed:
            return self._measured(designs, wanted)
        parts: dict[str, dict[str, FloatArray]] = {"metrics": {}, "margins": {}}
        for (kind, name), values in self.replayed(designs).items():
            parts[kind][name] = values
        return parts["metrics"], parts["margins"], max(map(len, designs.values())), None

    @property
    def _is_replayed(self) -> bool:
        return self.spec.model is None and not self.spec.derived and not self._drawn

    def note(self, designs: Designs) -> None:
        """Note what is done to tables like this one before a search brings the first, so that all are judged sooner."""
        if self._is_replayed:
            self.replayed.note(designs)

    def judged(self, designs: Designs) -> dict[tuple[str, str], FloatArray]:
        """Return what designs are judged by: ("metrics", name) and ("margins", name), each as long as it depends on."""
        metrics, margins, _, _ = self._measured(designs, self._searched)
        judged = {("metrics", name): value for name, value in metrics.items() if name in self._searched}
        return judged | {("margins", name): margin for name, margin in margins.items()}

    def _answers(self, own: ModelSpec, designs: Designs, columns: Designs, found: Metrics, rows: int) -> Modelled:
        """Return what the sweep's own model says of designs; missing metrics where it is not to be asked."""
        if self.model is None:
            from dse.user_model.model import Modelled

            return Modelled({name: np.full(rows, np.nan) for name in own.metrics}, None)
        requested = dict(columns)
        return self.model(requested, {name: np.atleast_1d(found[name]) for name in own.inputs}, rows)

    def _ours(
        self, designs: Designs, columns: Designs, technology: Technology, wanted: frozenset[str] | None
    ) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Return the metrics and the margins of physical limits by the built-in equations."""
        machine = designs_machine(columns, technology, self.economics)
        result = design_metrics(machine, body_bits(columns, technology.library), krw_per_usd=self.economics.krw_per_usd)
        margins = limit_margins(machine)
        reading = self._reading(designs, columns, machine, technology)
        if reading[1] is not machine:
            margins |= {f"{PREFILL_PREFIX}{name}": margin for name, margin in limit_margins(reading[1]).items()}
        for name, workload in self.spec.workloads.items():
            own = None if wanted is None else _of_workload(name, wanted)
            if not workload.required and own is not None and not own:
                continue
            # Chips that lack a link take for ever: differences of infinities are no numbers, and are left out at last.
            with np.errstate(invalid="ignore"):
                served = self._result(name, designs, columns, machine, technology, reading)
                values = workload_metrics(served, technology, own)
                if workload.required and served.users is not None:
                    margins[f"{name}.load"] = load_margin(served)
            result.update({f"{name}.{metric}": value for metric, value in values.items()})
            if workload.required:
                margins[f"{name}.capacity"] = capacity_margin(served)
                if workload.n_chips > 1 or f"{name}.n_chips" in designs:
                    margins[f"{name}.link"] = link_margin(served)
        result.update(self._mixed(result, designs, wanted))
        result.update(derived_metrics(result, self.spec.workloads, wanted, self.spec.derived))
        return result, margins

    @property
    def has_pools(self) -> bool:
        """Whether some chips of the sweep only prefill."""
        pools = (self.spec.deployment, *(entry.prefill for entry in self.spec.baselines.values()))
        return any(one is not None for one in pools)

    @cached_property
    def judging(self) -> frozenset[str]:
        """The metrics that designs are judged by: those of objectives and constraints."""
        objectives = {objective.metric for objective in self.spec.objectives}
        return frozenset(objectives.union(constraint.metric for constraint in self.spec.constraints))

    @cached_property
    def _searched(self) -> frozenset[str]:
        """The metrics of `judging` and all that they are made of."""
        return self._wanted(self.judging)

    @cached_property
    def _judged_columns(self) -> tuple[str, ...]:
        """The metrics of those that are parameters, or varied numbers of workloads."""
        return tuple(sorted(self.judging & (AS_METRICS.keys() | self.spec.space.keys())))

    def _wanted(self, metrics: frozenset[str]) -> frozenset[str]:
        """Return metrics and all that they are made of."""
        return self._with_parts_of_mix(with_inputs(metrics, self.spec.derived))

    def _with_parts_of_mix(self, wanted: frozenset[str]) -> frozenset[str]:
        """Return the wanted metrics and those that wanted ones of the mix are made of."""
        mixed = _of_workload(MIX, wanted)
        return wanted | {f"{name}.{metric}" for name in self.spec.mix for metric in mixed}

    def _mixed(self, metrics: Metrics, designs: Designs, wanted: Collection[str] | None) -> dict[str, FloatArray]:
        """Return the wanted metrics of the sweep's mix, none where it has no mix."""
        names = MIXED if wanted is None else _of_workload(MIX, wanted)
        if not self.spec.mix or not names:
            return {}
        tokens = {name: field_of(name, self.spec.workloads[name], "output_tokens", designs) for name in self.spec.mix}
        return mix_metrics(self.spec.mix, metrics, tokens, names)

    @cached_property
    def limits(self) -> dict[str, Slo | None]:
        """What each workload promises its users; None where no operating point is asked for.

        The workload's own limits, and for those that it leaves out the sweep's constraints on the same times, as far
        as the sweep asks for a metric of the operating point.
        """
        return {name: self._limits_of(name) for name in self.spec.workloads}

    def _limits_of(self, name: str) -> Slo | None:
        workload = self.spec.workloads[name]
        own = (workload.ttft_limit_ms, workload.tpot_limit_ms, workload.load_tokens_per_s)
        requested = {f"{name}.{metric}" for metric in ("max_batch", "tokens_per_s_at_max_batch", "chips_for_load")}
        needed = workload.batching == CONTINUOUS or bool(requested & self._with_parts_of_mix(self.judging))
        if own == (None, None, None) and not needed:
            return None
        return self.slo_of(name)

    def slo_of(self, name: str) -> Slo:
        """Return the limits of a workload: its own, else the sweep's constraints on the same times."""
        workload, constraints = self.spec.workloads[name], self.spec.constraints
        own = (workload.ttft_limit_ms, workload.tpot_limit_ms, workload.load_tokens_per_s)
        bounds = {one.metric: one.max for one in constraints if one.max is not None and one.relative_to is None}
        return Slo(
            own[0] if own[0] is not None else bounds.get(f"{name}.ttft_ms"),
            own[1] if own[1] is not None else bounds.get(f"{name}.tpot_ms"),
            own[2],
        )

    def machine(self, designs: Designs) -> Machine:
        """Return the Machine of every design."""
        return designs_machine(designs, self.technology_of(designs), self.economics)

    def results(
        self, designs: Designs, workloads: Collection[str] | None = None, *, machine: Machine | None = None
    ) -> dict[str, WorkloadResult]:
        """Return every workload of the sweep as the designs serve it, by name.

        Args:
            designs: the sweep's columns.
            workloads: those that are wanted; all where None.
            machine: the machines of the designs, where they have been worked out already.
        """
        technology, columns = self.technology_of(designs), fill_defaults(designs)
        if machine is None:
            machine = designs_machine(columns, technology, self.economics)
        reading = self._reading(designs, columns, machine, technology)
        return {
            name: self._result(name, designs, columns, machine, technology, reading)
            for name in self.spec.workloads
            if workloads is None or name in workloads
        }

    def technology_of(self, designs: Designs) -> Technology:
        """Return the parameters, those replaced that the designs sweep."""
        sampled = {
            name.removeprefix(TECHNOLOGY_PREFIX): numbers_of(column)
            for name, column in designs.items()
            if name.startswith(TECHNOLOGY_PREFIX)
        }
        return self.technology.with_overrides(sampled) if sampled else self.technology

    def workload(self, name: str, designs: Designs = MappingProxyType({})) -> Workload:
        """Return a workload of the sweep, with the numbers that designs set of it (``name.field``)."""
        if any([column.startswith(f"{name}.") for column in designs]):
            return workload_of(name, self.spec.workloads[name], designs)
        return self._workloads[name]

    @cached_property
    def _workloads(self) -> dict[str, Workload]:
        """The workloads of the sweep as they are where designs set nothing of them."""
        return {name: workload_of(name, workload) for name, workload in self.spec.workloads.items()}

    def _reading(
        self, designs: Designs, columns: Designs, machine: Machine, technology: Technology
    ) -> tuple[Designs, Machine]:
        """Return the designs that prefill and their machines: those that decode but for what is said of them alone."""
        own = {name: column for name, column in designs.items() if name.startswith(PREFILL_PREFIX)}
        if not own or self.spec.deployment is None:
            return columns, machine
        shared = {name: column for name, column in designs.items() if name not in own}
        table = fill_defaults({**shared, **{name.removeprefix(PREFILL_PREFIX): one for name, one in own.items()}})
        return table, designs_machine(table, technology, self.economics)

    def _result(
        self,
        name: str,
        designs: Designs,
        columns: Designs,
        machine: Machine,
        technology: Technology,
        reading: tuple[Designs, Machine],
    ) -> WorkloadResult:
        """Return one workload on filled design columns and their machines, or on what stands beside them."""
        workload, limits, pools = self.workload(name, designs), self.limits[name], self.spec.deployment
        if pools is None:
            return serve_designs(columns, workload, technology, self.economics, machine=machine, limits=limits)
        spec = self.spec.workloads[name]
        if pools.prefill is None:
            prompts = prompts_of(workload, workload.layout)
            first = serve_designs(reading[0], prompts, technology, self.economics, machine=reading[1])
        else:
            prompts = prompts_of(on_chips(workload, network_gbps=pools.network_gbps), pools.prefill.layout(spec))
            first = serve_chip(pools.prefill.setup, prompts, technology)
        prefill = Prefill(first, Network.of(technology, gbps=pools.network_gbps))
        if pools.decode is None:
            return serve_designs(
                columns, workload, technology, self.economics, machine=machine, limits=limits, prefill=prefill
            )
        decoding = replace(on_chips(workload, network_gbps=pools.network_gbps), parallelism=pools.decode.layout(spec))
        return serve_chip(pools.decode.setup, decoding, technology, limits=limits, prefill=prefill)

    # -- baselines ----------------------------------------------------------------------------------------------

    @cached_property
    def baselines(self) -> dict[str, dict[str, float]]:
        """Metrics of every baseline of the sweep, by the same equations; missing ones are NaN."""
        return _first_rows(self._columns_of(self.spec.baselines))

    def some_of_baselines(self, metrics: frozenset[str]) -> dict[str, dict[str, float]]:
        """Return some metrics of every baseline of the sweep, and what comes with them; missing ones are NaN."""
        return _first_rows(self._columns_of(self.spec.baselines, metrics))

    def baseline(self, entry: BaselineSpec) -> dict[str, float]:
        """Return the metrics of library chips serving the sweep's workloads."""
        return {name: float(value[0]) for name, value in self.baseline_columns(entry).items()}

    def baseline_columns(
        self, *entries: BaselineSpec, batches: FloatArray | None = None, metrics: frozenset[str] | None = None
    ) -> dict[str, FloatArray]:
        """Return metrics of baselines as columns: a row per baseline, or per draw of one where a parameter is a column.

        Args:
            entries: the baselines; several differ in chips and how these are run alone.
            batches: batches of every workload, a row each, in place of the baseline's.
            metrics: those that are wanted; all where None.
        """
        wanted = None if metrics is None else self._wanted(metrics)
        names = {name: None if wanted is None else _of_workload(name, wanted) for name in self.spec.workloads}
        served = {name: self._serve_alike(entries, name, batches) for name in names}
        krw_per_usd = self.economics.krw_per_usd
        first = next(iter(served.values()))
        result = _joined([design_metrics(x.machine, x.formats.weight_bits, krw_per_usd=krw_per_usd) for x in first])
        for name, own in names.items():
            if own is None or own:
                values = [workload_metrics(x, self.technology, own, pools=self.has_pools) for x in served[name]]
                result.update({f"{name}.{metric}": value for metric, value in _joined(values).items()})
        result.update(self._mixed(result, {}, wanted))
        result.update(derived_metrics(result, self.spec.workloads, wanted, self.spec.derived))
        # A chip that can be bought has no parameters of a design.
        result.update({name: np.array([np.nan]) for name in self._judged_columns})
        if self.spec.model is not None:
            # The model knows designs, not chips that can be bought.
            result.update({name: np.array([np.nan]) for name in self.spec.model.metrics})
        return result

    @cached_property
    def references(self) -> dict[str, dict[str, FloatArray]]:
        """Metrics of the baselines that constraints are relative to, ``(1,)`` or one per draw."""
        return self._columns_of(self._referred)

    @cached_property
    def judging_references(self) -> dict[str, dict[str, FloatArray]]:
        """The same, as far as constraints name them."""
        return {name: self._columns_of([name], metrics)[name] for name, metrics in self._referred.items()}

    @cached_property
    def _referred(self) -> dict[str, frozenset[str]]:
        """The baselines that constraints are relative to, with the metrics that they are relative to."""
        relative = [(one.relative_to, one.metric) for one in self.spec.constraints if one.relative_to is not None]
        return {name: frozenset(metric for other, metric in relative if other == name) for name, _ in relative}

    def _columns_of(
        self, names: Collection[str], metrics: frozenset[str] | None = None
    ) -> dict[str, dict[str, FloatArray]]:
        """Return metrics of baselines of the sweep, all where `metrics` is None, new ones as few tables."""
        tables: dict[Hashable, list[str]] = {}
        for name in names:
            known = self._known.get(name)
            if known is not None and (known[0] is None or (metrics is not None and metrics <= known[0])):
                continue
            entry = self.spec.baselines[name]
            alike = (entry.batch, entry.parallelism, entry.prefill, entry.node_chips, entry.network_gbps)
            # Where parameters are columns of draws, these are the rows.
            tables.setdefault(name if self._drawn else alike, []).append(name)
        for table in tables.values():
            columns = self.baseline_columns(*(self.spec.baselines[name] for name in table), metrics=metrics)
            rows = [columns] if len(table) == 1 else _rows(columns, len(table))
            self._known |= {name: (metrics, row) for name, row in zip(table, rows, strict=True)}
        return {name: self._known[name][1] for name in names}

    def serve_baseline(self, entry: BaselineSpec, name: str, *, batches: FloatArray | None = None) -> WorkloadResult:
        """Return one workload on a baseline's chips, sharing it as the workload says.

        Args:
            entry: the baseline.
            name: the workload.
            batches: batches, a row each, in place of the baseline's.
        """
        (served,) = self._serve_alike((entry,), name, batches)
        return served

    def _serve_alike(
        self, entries: Sequence[BaselineSpec], name: str, batches: FloatArray | None
    ) -> list[WorkloadResult]:
        """Return one workload on baselines that differ in chips and how these run alone, as tables of a row each."""
        continuous = self.spec.workloads[name].batching == CONTINUOUS
        if continuous and len(entries) > 1:
            # Places at which a queue is worked out are those of its table: each by itself keeps its last digits.
            return [self.serve_baseline(entry, name) for entry in entries]
        entry = entries[0]
        fields: dict[str, Column] = {f"{name}.n_chips": np.array([float(one.count) for one in entries])}
        if batches is None and entry.batch is not None and entry.batch != LARGEST:
            batches = np.array([float(entry.batch)])
        if batches is not None:
            # So many requests at all times are what a batch is where requests follow one another.
            fields[f"{name}.concurrency" if continuous else f"{name}.batch"] = batches
        workload = on_chips(self.workload(name, fields), node_chips=entry.node_chips, network_gbps=entry.network_gbps)
        if batches is None and entry.batch == LARGEST:
            workload = replace(workload, batch=np.nan)
        if entry.parallelism is not None:
            workload = replace(workload, parallelism=entry.parallelism)
        prefill = None
        if entry.prefill is not None:
            prompts = prompts_of(workload, entry.prefill.layout(self.spec.workloads[name]))
            first = serve_chip(entry.prefill.setup, prompts, self.technology)
            prefill = Prefill(first, Network.of(self.technology, gbps=entry.network_gbps))
        setups = [one.setup for one in entries]
        return [serve_chips(setups, workload, self.technology, limits=self.limits[name], prefill=prefill)]

    # -- judgement ----------------------------------------------------------------------------------------------

    def constraint_margins(
        self, metrics: Metrics, references: Mapping[str, Metrics] | None = None
    ) -> dict[str, FloatArray]:
        """Return the signed relative margin of every constraint of the sweep.

        Args:
            metrics: by name, those that constraints are of.
            references: metrics of the baselines that constraints are relative to; `judging_references` where None.
        """
        known = self.judging_references if references is None else references
        return {one.label: constraint_margin(one, metrics, known) for one in self.spec.constraints}

    def signed_objectives(self, metrics: Metrics) -> FloatArray:
        """Return ``(n, objectives)``, all to be minimised."""
        signs = [1.0 if objective.direction == "minimize" else -1.0 for objective in self.spec.objectives]
        return np.stack([sign * metrics[o.metric] for sign, o in zip(signs, self.spec.objectives, strict=True)], axis=1)


def _joined(tables: Sequence[dict[str, FloatArray]]) -> dict[str, FloatArray]:
    """Return tables of like columns as one, the rows of each behind those of the one before."""
    if len(tables) == 1:
        return tables[0]
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def _rows(columns: Metrics, n: int) -> list[dict[str, FloatArray]]:
    """Return each of the `n` rows of columns, of which those of one row hold for all, as columns of one row."""
    whole = {name: np.broadcast_to(column, (n,)) for name, column in columns.items()}
    return [{name: column[row : row + 1] for name, column in whole.items()} for row in range(n)]


def _first_rows(tables: Mapping[str, Metrics]) -> dict[str, dict[str, float]]:
    """Return the first row of each table as numbers."""
    return {name: {metric: float(column[0]) for metric, column in table.items()} for name, table in tables.items()}


def _of_workload(name: str, wanted: Collection[str]) -> frozenset[str]:
    """Return the bare names of the wanted metrics that are of one workload."""
    return frozenset(metric.removeprefix(f"{name}.") for metric in wanted if metric.startswith(f"{name}."))


def _missing(there: Sequence[NDArray[np.bool_]], rows: int) -> NDArray[np.intp] | None:
    """Return how many constraints and objectives are not there in each row; None where all are."""
    some = [one for one in there if not one.all()]
    if not some:
        return None
    present = np.zeros(rows, dtype=np.intp)
    for one in some:
        present += one
    return len(some) - present


def _judged(margin: FloatArray, rows: int) -> FloatArray:
    """Return a margin as a column, missed where it is missing."""
    absent = np.isnan(margin)
    return np.broadcast_to(rows_where(absent, UNMET, margin) if absent.any() else margin, (rows,))
