"""What the page of `dse explore` asks: the page itself, one design by the run's equations, and a design file."""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib import resources
from threading import Lock
from typing import Any, cast

import numpy as np

from cost_models.quantities.columns import TECHNOLOGY_PREFIX, describe, parameter_of
from cost_models.quantities.parameters import PARAMETERS
from cost_models.quantities.records import Parameter
from cost_models.silicon.defaults import fill_defaults
from cost_models.table import Choice, Table, column_of
from dse.analysis.explain.columns import known_intervals
from dse.analysis.explain.inputs import SECTIONS
from dse.errors import RunError
from dse.evaluator import Evaluation, Evaluator
from dse.plain import plain
from dse.render.report.breakdowns import breakdowns
from dse.render.report.designs import MAX_POINTS
from dse.render.report.page import Live, page
from dse.results.picks import default_pick, settings_of
from dse.results.store import StoredRun
from dse.results.yaml_text import yaml_text
from dse.space import Space
from dse.space.given import given_designs
from dse.sweep import FixedSpec, RangeSpec, Spec, WorkloadSpec
from dse.sweep.fields import known_names
from dse.sweep.library_additions import library_of
from dse.sweep.reader import SWEPT_FIELDS
from dse.time_intervals import has_intervals

Settings = Mapping[str, Any]
"""Parameter to its value; None, like one left out, for what the library decides."""


class Answers:
    """Answers the questions of one page, one at a time.

    Args:
        run: a run by the built-in equations.

    Raises:
        RunError: the run evaluated nothing.
    """

    def __init__(self, run: StoredRun) -> None:
        if not run.manifest["counts"]["evaluated"]:
            raise RunError(f"{run.path}: evaluated no design, so there is nothing to explore")
        self.run, self._lock = run, Lock()
        self._spec, self._space = run.spec, Space(run.spec)
        self._evaluator = Evaluator(run.spec)
        signs = [1.0 if one.direction == "minimize" else -1.0 for one in self._spec.objectives]
        self._front = run.front[[one.metric for one in self._spec.objectives]].to_numpy(dtype=np.float64) * signs

    def page(self, *, points: int = MAX_POINTS) -> str:
        """Return the report of the run with the controls of a design."""
        script = resources.files("dse.render.explore").joinpath("template", "live.js").read_text(encoding="utf-8")
        picks = {str(pick["name"]): pick for pick in self.run.picks}
        first = default_pick(picks)
        start = self._own(picks[first]["design"]) if first is not None else {}
        return page(self.run, points=points, live=Live({"groups": self._groups(), "start": start}, script))

    def design(self, number: int) -> dict[str, Any]:
        """Return the settings of a kept design of the run.

        Raises:
            RunError: it was not kept.
        """
        with self._lock:
            return self._own(self.run.settings(number))

    def evaluate(self, settings: Settings, changed: str = "") -> dict[str, Any]:
        """Return a design with its metrics, its margins, its breakdown and its place beside the front.

        Args:
            settings: the design.
            changed: the parameter that was changed last; those whose values depend on it follow it into the space.

        Raises:
            SpecError: every name that is no parameter, and every value that a parameter cannot have.
        """
        with self._lock, np.errstate(all="ignore"):
            started = time.perf_counter()
            given = {name: value for name, value in settings.items() if value is not None}
            design = given_designs(self._space, self._spec, given)
            design, followed = self._following(design, changed)
            found = self._evaluator.evaluate(design)
            details = breakdowns(self._evaluator, design)
            (own,) = design.to_settings()
            (filled,) = Table(fill_defaults(design)).to_settings()
            answer = {
                "design": {name: value for name, value in own.items() if value is not None},
                "filled": filled,
                "followed": followed,
                "metrics": {name: float(values[0]) for name, values in found.metrics.items()},
                "missed": [name for name, margin in found.margins.items() if margin[0] < 0],
                "intervals": self._intervals(design, found),
                "place": self._place(found),
                "details": [[list(path), float(values[0])] for path, values in details.items()],
            }
            return {**plain(answer), "ms": 1e3 * (time.perf_counter() - started)}

    def design_file(self, settings: Settings) -> str:
        """Return a design file of the design, which every command that takes DESIGN.yaml reads.

        Raises:
            SpecError: as `evaluate`.
        """
        given = {name: value for name, value in settings.items() if value is not None}
        (design,) = given_designs(self._space, self._spec, given).to_settings()
        whole = settings_of(Table.from_settings(design), 0)
        written = self._spec.written()
        parts = {name: written[name] for name in SECTIONS if written.get(name)}
        return yaml_text({**parts, "name": f"{self._spec.name}_what_if", "design": plain(whole)})

    def _own(self, settings: Settings) -> dict[str, Any]:
        """Return settings without what the library decides per entry, unless the sweep says it."""
        return {
            name: value
            for name, value in settings.items()
            if name in self._spec.space or name not in PARAMETERS or PARAMETERS[name].default is not None
        }

    def _following(self, design: Table, changed: str) -> tuple[Table, list[str]]:
        """Return the design with the parameters that depend on the changed one taken to what the space holds."""
        names = [name for name, one in self._space.parameters.items() if changed in one.needs]
        if not names:
            return design, []
        inside = Table({**self._space.default_design(), **fill_defaults(design)})
        nearest = self._space.decode(self._space.encode(inside))
        (here,), (there,) = inside.to_settings(), nearest.to_settings()
        if here.get(changed) != there.get(changed):
            return design, []
        moved = {name: there[name] for name in names if there.get(name) not in (None, here.get(name))}
        columns = {name: column_of([value], None if isinstance(value, str) else ()) for name, value in moved.items()}
        return Table({**design, **columns}), sorted(moved)

    def _intervals(self, design: Table, found: Evaluation) -> dict[str, tuple[float, float]]:
        """Return the 80 % prediction intervals of times, by metric; none of a stack that was not measured."""
        library = self._evaluator.technology.library
        stack = cast("Choice", fill_defaults(design)["serving_stack"])
        if not has_intervals(stack.names()[0], library):
            return {}
        ends: dict[str, tuple[float, float]] = {}
        for name, served in self._evaluator.results(design).items():
            of_workload = {
                key.removeprefix(f"{name}."): one for key, one in found.metrics.items() if key.startswith(f"{name}.")
            }
            times = known_intervals(served, of_workload, stack, library)
            ends |= {f"{name}.{time}": one for time, one in times.items()}
        return ends

    def _place(self, found: Evaluation) -> dict[str, Any]:
        """Return whether the design is feasible, and how many of the front are as good in everything and better."""
        own = found.objectives[0]
        beats = (self._front <= own).all(axis=1) & (self._front < own).any(axis=1)
        known = bool(np.isfinite(own).all())
        return {"feasible": bool(found.feasible[0]), "beaten_by": int(beats.sum()) if known else None}

    def _groups(self) -> list[dict[str, Any]]:
        """Return the controls in groups: what the sweep varies, its workloads, all else."""
        varied = [name for name in self._space.dimensions if name in self._spec.space]
        fields = {
            workload: [name for name in (f"{workload}.{field}" for field in _numbers_of(one)) if name not in varied]
            for workload, one in self._spec.workloads.items()
        }
        groups = {
            "what the sweep varies": varied,
            "the rest of the chip": [name for name in PARAMETERS if name not in varied],
            **fields,
        }
        return [
            {"title": title, "controls": [self._control(name) for name in names]}
            for title, names in groups.items()
            if names
        ]

    def _control(self, name: str) -> dict[str, Any]:
        """Return what a control of a parameter needs: names, or bounds and the span of its slider."""
        parameter = _parameter(name)
        what = describe(name, self._spec.metrics)
        value = None if parameter is None else parameter.default
        workload, _, field = name.rpartition(".")
        if workload in self._spec.workloads:
            value = _numbers_of(self._spec.workloads[workload]).get(field)
        result = {"name": name, "unit": what.unit, "meaning": what.meaning, "default": value}
        if parameter is not None and parameter.is_choice:
            return {**result, "names": list(known_names(parameter, library_of(self._spec.library)))}
        low, high = _span(self._spec, name)
        return {
            **result,
            "names": [],
            "whole": parameter is not None and parameter.integer,
            "least": None if parameter is None or parameter.open_low else parameter.low,
            "most": None if parameter is None or not np.isfinite(parameter.high) else parameter.high,
            "low": low,
            "high": high,
        }


def _numbers_of(workload: WorkloadSpec) -> dict[str, float]:
    """Return the numbers that a workload says and designs may set."""
    return {name: said for name in SWEPT_FIELDS if isinstance(said := workload.said(name), int | float)}


def _parameter(name: str) -> Parameter | None:
    if name.startswith(TECHNOLOGY_PREFIX):
        return None
    return parameter_of(name)


def _span(spec: Spec, name: str) -> tuple[float | None, float | None]:
    """Return the least and the largest number that the sweep allows a parameter; None where it does not vary it."""
    ends: list[float] = []
    for entry in spec.space.get(name, ()):
        if isinstance(entry, RangeSpec):
            ends += [float(entry.low), float(entry.high)]
        elif not isinstance(entry, FixedSpec):
            ends += [float(value) for value in entry.values if not isinstance(value, str)]
    return (min(ends), max(ends)) if ends and min(ends) < max(ends) else (None, None)
