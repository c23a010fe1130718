"""The record that a sweep file becomes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, Field

from cost_models.performance.derived import DerivedMetric, described
from cost_models.quantities.metrics import AS_METRICS, FIELDS_AS_METRICS
from cost_models.quantities.parameters import PARAMETERS
from cost_models.quantities.records import Metric
from cost_models.silicon.cost import Economics
from dse.errors import NOWHERE, Place
from dse.sweep.chips import BaselineSpec, DeploymentSpec
from dse.sweep.fields import Identifier
from dse.sweep.goals import ConstraintSpec, ObjectiveSpec
from dse.sweep.parameters import FixedSpec, RangeSpec, ValuesSpec
from dse.sweep.records import LibraryParameterSpec, ResultsSpec, RobustnessSpec, SweepRecord
from dse.sweep.search import SearchSpec
from dse.sweep.user_model import BUILT_IN, ModelSpec
from dse.sweep.workloads import WorkloadSpec


class HeaderSpec(BaseModel):
    """What stands at the top of a sweep beside its sections."""

    name: Identifier


class Spec(SweepRecord):
    """A checked sweep.

    Attributes:
        name: name of the sweep and of its results directory.
        workloads: by name.
        mix: workloads to their shares of the output tokens; empty where the sweep has no mix.
        space: what the file says of each parameter; several declarations hold under disjoint conditions.
        economics: business terms.
        parameters: parameters of the library that are replaced, by dotted path.
        objectives: at least one.
        constraints: all must hold.
        baselines: by name.
        deployment: which chips prefill and which decode; None where the same do both.
        search: how the space is searched.
        results: what is kept.
        library: what the sweep adds to the library, sections with entries; empty where it adds nothing.
        robustness: Monte Carlo samples after the search; None where the sweep asks for none.
        probabilities: constraints on ``p_feasible``, judged after the search for the designs that meet the draws.
        model: a user-defined model, beside the built-in evaluation or in its place; None without one.
        derived: metrics that were derived from built-in ones in Python; no part of the file.
        source_text: the file, byte for byte ("" for a sweep made in Python).
        places: where each key stands, by path, for issues that are found later.
    """

    name: Identifier
    workloads: Mapping[str, WorkloadSpec]
    mix: Mapping[str, float] = Field(default_factory=dict)
    space: Mapping[str, tuple[FixedSpec | ValuesSpec | RangeSpec, ...]]
    economics: Economics
    parameters: Mapping[str, LibraryParameterSpec]
    objectives: tuple[ObjectiveSpec, ...]
    constraints: tuple[ConstraintSpec, ...]
    baselines: Mapping[str, BaselineSpec]
    deployment: DeploymentSpec | None = None
    search: SearchSpec
    results: ResultsSpec
    library: Mapping[str, Any] = Field(default_factory=dict)
    robustness: RobustnessSpec | None = None
    probabilities: tuple[ConstraintSpec, ...] = ()
    model: ModelSpec | None = None
    derived: tuple[DerivedMetric, ...] = Field(default=(), exclude=True, repr=False)
    source_text: str = Field(exclude=True, repr=False)
    places: Mapping[str, Place] = Field(exclude=True, repr=False)

    @property
    def technology(self) -> dict[str, float]:
        """Replaced parameters: dotted path to value."""
        return {path: parameter.typ for path, parameter in self.parameters.items()}

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Every metric that the sweep may use, by bare name: built-in, derived ones, and those of its own model.

        Parameters and varied numbers of workloads that objectives or constraints name are among them.
        """
        named = {one.metric for one in self.objectives} | {one.metric for one in self.constraints}
        parameters = {name: metric for name, metric in AS_METRICS.items() if name in named}
        fields = {name.rpartition(".")[2] for name in named.intersection(self.space)}
        parameters |= {name: metric for name, metric in FIELDS_AS_METRICS.items() if name in fields}
        return {**parameters, **described(self.derived), **({} if self.model is None else self.model.described)}

    def place_of(self, path: str) -> Place:
        """Return where `path` (``space.macs``) stands: its own key, or the nearest one above it."""
        while path and path not in self.places:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.places.get(path, NOWHERE)

    def written(self) -> dict[str, Any]:
        """Return the sweep with the defaults of its sections filled in, as plain data that `parse_spec` reads back."""
        data = self.model_dump(mode="json", exclude_none=True, exclude={"space", "parameters", "economics"})
        data["space"] = {name: _written(entries) for name, entries in self.space.items()}
        for section in ("mix", "library"):
            if not data[section]:
                del data[section]
        data["constraints"] += data.pop("probabilities")
        data["economics"] = asdict(self.economics)
        data["technology"] = {
            path: parameter.typ
            if parameter.low is None and parameter.high is None
            else parameter.model_dump(exclude_none=True)
            for path, parameter in self.parameters.items()
        }
        for section in BUILT_IN if self.builtin_disabled else ():
            data.pop(section, None)
        return data

    def resolved(self) -> dict[str, Any]:
        """Return the sweep as `written`, with the parameters that the file does not mention at the value they have."""
        # As they are read back: numbers as floats, so that the sweep that is read back has the same hash.
        defaults = {
            name: float(p.default) if isinstance(p.default, int) else p.default
            for name, p in PARAMETERS.items()
            if p.default is not None
        }
        data = self.written()
        space = data["space"]
        data["space"] = {name: space.get(name, defaults.get(name)) for name in {**defaults, **space}}
        return data

    @property
    def builtin_disabled(self) -> bool:
        """Whether the sweep's own model stands in the place of the built-in evaluation."""
        return self.model is not None and self.model.replace

    @property
    def hash(self) -> str:
        """SHA-256 of the resolved sweep; the order of its keys has no part in it."""
        return _sha256(self.resolved())

    @property
    def question(self) -> str:
        """SHA-256 of what decides what a design is worth: the resolved sweep without name, search and results."""
        kept = {key: value for key, value in self.resolved().items() if key not in ("name", "search", "results")}
        return _sha256(kept)


def _sha256(data: Mapping[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _written(entries: tuple[FixedSpec | ValuesSpec | RangeSpec, ...]) -> Any:
    """Return the declarations of one parameter as they would stand in a file."""
    written = [entry.written() for entry in entries]
    return written[0] if len(written) == 1 else written
