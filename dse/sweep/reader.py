"""A tree to a `Spec`: every section and entry is read on its own, so that one issue hides no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cost_models.library import Library
from cost_models.performance.derived import DerivedMetric, described
from cost_models.performance.mix import MIX, MIXED
from cost_models.quantities.columns import PREFILL_PREFIX, TECHNOLOGY_PREFIX, metric_names
from cost_models.quantities.metrics import AS_METRICS, FIELDS_AS_METRICS, P_FEASIBLE
from cost_models.quantities.parameters import PARAMETERS
from cost_models.quantities.records import Parameter
from cost_models.quantities.workload_fields import WORKLOAD_FIELDS
from dse.errors import Issue, SpecError
from dse.sweep import hints
from dse.sweep.checks import (
    check_chances,
    check_conditions,
    check_enumerable,
    check_layouts,
    check_model,
    check_prefixes,
    check_repeats,
    check_sessions,
    check_speculation,
    check_traffic,
)
from dse.sweep.chips import BaselineSpec, DeploymentSpec
from dse.sweep.fields import ValidationContext
from dse.sweep.goals import ConstraintSpec, ObjectiveSpec
from dse.sweep.hints import one_of, quoted, suggest
from dse.sweep.issues import places_of
from dse.sweep.parameters import FixedSpec, ParameterSpec, RangeSpec, kind_of
from dse.sweep.pool_checks import check_pools
from dse.sweep.record_reader import REQUIRED, RecordReader
from dse.sweep.records import EconomicsSpec, LibraryParameterSpec, ResultsSpec, RobustnessSpec, ShareSpec
from dse.sweep.search import ChainOptions, SearchSpec, options_kind
from dse.sweep.spec import HeaderSpec, Spec
from dse.sweep.user_model import ModelSpec, UserMetric
from dse.sweep.weight_format_checks import check_baselines, check_storage
from dse.sweep.workloads import WorkloadSpec
from dse.units import unit_of_suffix
from dse.yaml_positions import KeyPath, Node, path_text

SECTIONS = (
    *REQUIRED, "extends", "mix", "economics", "technology", "constraints", "baselines", "results", "robustness",
    "library", "model", "deployment",
)  # fmt: skip
SWEPT_FIELDS = tuple(name for name, parameter in WORKLOAD_FIELDS.items() if not parameter.is_choice)
"""Fields of a workload that the space may sweep as ``workload.field``."""


def read_spec(root: Node, source_text: str, library: Library, derived: Sequence[DerivedMetric] = ()) -> Spec:
    """Return the sweep that a tree describes.

    Args:
        root: the tree.
        source_text: what it was read from.
        library: whose entries it may name.
        derived: metrics that it may use beside the built-in ones.

    Raises:
        SpecError: every issue of the tree.
        ValueError: a derived metric cannot be.
    """
    return _Reader(root, library, derived).read(source_text)


class _Reader(RecordReader):
    """Reads the sections of one sweep."""

    def __init__(self, root: Node, library: Library, derived: Sequence[DerivedMetric]) -> None:
        self.library, self.derived = library, tuple(derived)
        if not isinstance(root.value, dict):
            raise SpecError([Issue(root.place, "", f"{quoted(root.plain())}", f"a mapping with {', '.join(REQUIRED)}")])
        if "design" in root.value and "space" not in root.value:
            verbs = "dse explain, dse compare and dse require read it"
            place = places_of(root, ("design",))[1]
            raise SpecError([Issue(place, "design", f"makes this a design file, one value per parameter: {verbs}")])
        super().__init__(root)
        workloads = tuple(self._mapping_at(("workloads",)))
        table = described(derived)
        metrics = metric_names(workloads, table)
        if self._mapping_at((MIX,)):
            metrics = (*metrics, *(f"{MIX}.{name}" for name in MIXED))
        if self._has("robustness"):
            metrics = (*metrics, P_FEASIBLE)
        fields = (f"{workload}.{name}" for workload in workloads for name in FIELDS_AS_METRICS)
        varied = self._mapping_at(("space",))
        metrics = (*metrics, *AS_METRICS, *(name for name in fields if name in varied))
        table = {**FIELDS_AS_METRICS, **AS_METRICS, **table}
        self.context = ValidationContext(library, metrics, table, tuple(self._mapping_at(("baselines",))))
        self.model = self._model() if self._has("model") else None
        if self.model is not None:
            builtin = () if self.model.replace else metrics
            named = (*builtin, *(name for name in self.model.metrics if name not in builtin))
            self.context = replace(self.context, metrics=named, described={**table, **self.model.described})

    def read(self, source_text: str) -> Spec:
        """Read everything, then check what holds between the parts."""
        self._check_sections()
        header = self._record(HeaderSpec, ()) if self._has("name") else None
        workloads = dict(self._entries("workloads", WorkloadSpec, hints.WORKLOAD_ALIASES))
        baselines = dict(self._entries("baselines", BaselineSpec, hints.BASELINE_ALIASES))
        objectives = self._listed("objectives", ObjectiveSpec, hints.OBJECTIVE_ALIASES)
        constraints = self._listed("constraints", ConstraintSpec, hints.CONSTRAINT_ALIASES)
        pools = None
        if self._has("deployment"):
            pools = self._record(DeploymentSpec, ("deployment",), hints.BASELINE_ALIASES)
        mix = self._mix()
        space = self._space()
        economics = self._record(EconomicsSpec, ("economics",)) if self._has("economics") else EconomicsSpec()
        parameters = self._parameters()
        search = self._search() if self._has("search") else None
        results = self._record(ResultsSpec, ("results",)) if self._has("results") else ResultsSpec()
        robustness = self._record(RobustnessSpec, ("robustness",)) if self._has("robustness") else None
        self.issues += check_repeats(self.root, objectives, constraints)
        self.issues += check_chances(self.root, objectives, constraints)
        self.issues += check_conditions(self.root, space)
        self.issues += check_model(self.root, self.model)
        self.issues += check_storage(self.root, space, self.library)
        whole = {name: one for name, one in baselines.items() if one is not None}
        served = {name: one for name, one in workloads.items() if one is not None}
        self.issues += check_baselines(self.root, whole, [one.model for one in served.values()], self.library)
        self.issues += check_layouts(self.root, served, whole, space)
        named: dict[KeyPath, str] = {("objectives", k, "metric"): one.metric for k, one in objectives.items()}
        named |= {("constraints", k, "metric"): one.metric for k, one in constraints.items()}
        self.issues += check_traffic(self.root, served, named, space, self.library)
        self.issues += check_pools(self.root, served, pools, whole, named, space, self.library)
        self.issues += check_prefixes(self.root, served, space, self.library)
        self.issues += check_speculation(self.root, served, space, self.library)
        apart = pools is not None or any(one.prefill is not None for one in whole.values())
        self.issues += check_sessions(self.root, served, space, self.library, pools=apart)
        if search is not None:
            self.issues += check_enumerable(self.root, space, search)
        if self.model is None and self._has("model"):
            # Which metrics there are is known once the model is right.
            self.issues = [one for one in self.issues if not one.path.endswith(".metric")]
        if self.issues:
            raise SpecError(self.issues)
        assert header is not None and search is not None and economics is not None and results is not None
        return Spec(
            name=header.name,
            workloads=workloads,
            mix=mix,
            space=space,
            economics=economics.resolved(self.library),
            parameters=parameters,
            objectives=tuple(objectives.values()),
            constraints=tuple(one for one in constraints.values() if one.metric != P_FEASIBLE),
            probabilities=tuple(one for one in constraints.values() if one.metric == P_FEASIBLE),
            robustness=robustness,
            baselines=baselines,
            deployment=pools,
            search=search,
            results=results,
            model=self.model,
            derived=self.derived,
            source_text=source_text,
            places={path_text(path): node.key_place for path, node in self.root.walk()},
        )

    def _check_sections(self) -> None:
        for key in self._mapping_at(()):
            if key not in SECTIONS:
                self._unknown_key((key,), SECTIONS, hints.TOP_LEVEL_ALIASES)
        for key in REQUIRED:
            if not self._has(key) and (key,) not in self._emptied:
                self._fault((key,), "is missing")

    def _mix(self) -> dict[str, float]:
        """Return the share of each workload of the mix."""
        if not self._collection(MIX, dict, required=False):
            return {}
        workloads, shares = self._mapping_at(("workloads",)), {}
        for name in self._mapping_at((MIX,)):
            if name not in workloads:
                self._unknown_key((MIX, name), tuple(workloads))
            record = self._record(ShareSpec, (MIX, name), wrapped_as="share")
            if record is not None:
                shares[name] = record.share
        if len(shares) == len(self._mapping_at((MIX,))) and abs(sum(shares.values()) - 1) > 1e-6:
            self._fault((MIX,), f"the sum of the shares, {sum(shares.values()):.7g},", "1")
        return shares

    def _model(self) -> ModelSpec | None:
        """Return the model defined by the user, with its folder and metrics."""
        path: KeyPath = ("model",)
        node = self.root.at(path)
        assert node is not None
        bare = "" if isinstance(node.value, dict) else "function"
        model = self._record(ModelSpec, path, wrapped_as=bare)
        if model is None:
            return None
        if self.root.at(("model", "folder")) is None:
            model = model.model_copy(update={"folder": str(Path(node.place.file).parent) if node.place.line else "."})
        if not model.metrics:
            model = model.model_copy(update={"metrics": dict.fromkeys(self._unknown_metrics(), UserMetric())})
        if not model.metrics:
            self._fault(path, "has no metrics, and objectives and constraints name only built-in ones")
            return None
        return model

    def _unknown_metrics(self) -> list[str]:
        """Return what objectives and constraints name that is not built in, nor meant to be."""
        listed = [self.root.at((section,)) for section in ("objectives", "constraints")]
        items = [item for node in listed if node is not None and isinstance(node.value, list) for item in node.value]
        names = [
            item.value["metric"].value for item in items if isinstance(item.value, dict) and "metric" in item.value
        ]
        result = [name for name in names if isinstance(name, str) and name not in self.context.metrics]
        return [name for name in dict.fromkeys(result) if name.isidentifier() and name != P_FEASIBLE]

    # -- space and parameters --------------------------------------------------------------------------------------

    def _space(self) -> dict[str, tuple[ParameterSpec, ...]]:
        """Return the declarations of every parameter of the space that is not at fault.

        A sweep that varies nothing compares its baselines; without any there is nothing to do.
        """
        if not self._collection("space", dict, required=not self._mapping_at(("baselines",))):
            return {}
        space = {}
        for name, node in self._mapping_at(("space",)).items():
            parameter = self._parameter(name)
            if parameter is None:
                continue
            path = ("space", name)
            if isinstance(node.value, list):
                if not node.value or not all(isinstance(item.value, dict) for item in node.value):
                    items = ", ".join(str(item.plain()) for item in node.value if not isinstance(item.value, dict))
                    self._fault(path, "a bare list", "a declaration", f"{{values: [{items}]}}")
                    continue
                entries = [self._declaration((*path, index), parameter) for index in range(len(node.value))]
            else:
                entries = [self._declaration(path, parameter)]
            if all(entry is not None for entry in entries):
                space[name] = tuple(entry for entry in entries if entry is not None)
        return space

    def _declaration(self, path: KeyPath, parameter: Parameter) -> ParameterSpec | None:
        node = self.root.at(path)
        assert node is not None
        if not isinstance(node.value, dict):
            return self._record(FixedSpec, path, parameter=parameter, wrapped_as="value")
        kind = kind_of(node.value)
        if kind is None and "values" in node.value:
            self._fault(path, "values and low or high are both given; it is either a list or a range")
        elif kind is None:
            foreign = [key for key in node.value if key not in RangeSpec.model_fields]
            for key in foreign:
                self._unknown_key((*path, key), ("values", *RangeSpec.model_fields), hints.KEY_ALIASES)
            if not foreign:
                self._fault(path, "needs values, or low and high, or a bare value")
        elif kind is RangeSpec and parameter.is_choice:
            self._fault(path, f"a range, but {parameter.name} takes names", perhaps="values: [...]")
        else:
            return self._record(kind, path, hints.KEY_ALIASES, parameter=parameter)
        return None

    def _parameter(self, name: str) -> Parameter | None:
        """Return the parameter that a key of the space means, None (and an issue) where there is none."""
        if name in PARAMETERS:
            return PARAMETERS[name]
        if name.startswith(TECHNOLOGY_PREFIX):
            return self._library_parameter(("space", name), name.removeprefix(TECHNOLOGY_PREFIX))
        workload, _, field = name.partition(".")
        workloads = tuple(self._mapping_at(("workloads",)))
        path = ("space", name)
        if name.startswith(PREFILL_PREFIX) and self._has("deployment"):
            if field not in PARAMETERS:
                known = tuple(f"{PREFILL_PREFIX}{one}" for one in PARAMETERS)
                self._fault(
                    path, quoted(name), "a parameter of the design that prefills", suggest(name, known), at_key=True
                )
            return PARAMETERS.get(field)
        if workload in workloads and field in SWEPT_FIELDS:
            return WORKLOAD_FIELDS[field]
        if workload in workloads and (field in WORKLOAD_FIELDS or field in WorkloadSpec.model_fields):
            must_be = f"a number of the workload that can be swept ({one_of(SWEPT_FIELDS)})"
            self._fault(path, quoted(field), must_be, f"workloads.{name}", at_key=True)
            return None
        known = (*PARAMETERS, *(f"{workload}.{field}" for workload in workloads for field in SWEPT_FIELDS))
        what = "a parameter, a workload's number or technology.PARAMETER"
        self._fault(path, quoted(name), what, suggest(name, known), at_key=True)
        return None

    def _library_parameter(self, path: KeyPath, name: str) -> Parameter | None:
        """Return a parameter of the library as a parameter, None (and an issue) where there is none."""
        parameter = self.library.parameters.get(name)
        if parameter is None and name in self.library.evidence:
            self._fault(path, f"{name} is evidence only: no model reads it", at_key=True)
            return None
        if parameter is None:
            must_be = "a parameter of the library (dse library parameters lists them)"
            self._fault(path, quoted(name), must_be, suggest(name, self.library.parameters), at_key=True)
            return None
        if name.startswith("economics."):
            field = name.removeprefix("economics.")
            self._fault(path, f"{name} is a business term; it is set under economics", perhaps=f"economics.{field}")
            return None
        bounds = parameter.bounds
        return Parameter(
            name, unit_of_suffix(parameter.unit), parameter.note, parameter.typ,
            low=bounds.low, high=bounds.high, open_low=bounds.open_low,
        )  # fmt: skip

    def _parameters(self) -> dict[str, LibraryParameterSpec]:
        if not self._collection("technology", dict, required=False):
            return {}
        parameters = {}
        for name, node in self._mapping_at(("technology",)).items():
            path = ("technology", name)
            parameter = self._library_parameter(path, name)
            if parameter is None:
                continue
            bare = "" if isinstance(node.value, dict) else "typ"
            record = self._record(LibraryParameterSpec, path, parameter=parameter, wrapped_as=bare)
            if record is not None:
                parameters[name] = record
        return parameters

    # -- search -------------------------------------------------------------------------------------------------

    def _search(self) -> SearchSpec | None:
        search = self._record(SearchSpec, ("search",), hints.SEARCH_ALIASES)
        if search is None or not self.root.at(("search", "options")):
            return search
        path: KeyPath = ("search", "options")
        if len(search.stages) == 1:
            return search if self._record(options_kind(search.sampler), path) else None
        known = ("shares", *search.stages)
        for key in search.options:
            if key in search.stages:
                self._record(options_kind(key), (*path, key))
            elif key != "shares":
                self._unknown_key((*path, key), known)
        self._record(ChainOptions, path)
        return search
