"""The sweep file as a JSON Schema, for editors that complete and check while one types.

Looser than `load_spec` where a schema cannot follow (units, names that depend on one another); never stricter.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from cost_models.library import Library
from cost_models.quantities.columns import PREFILL_PREFIX, TECHNOLOGY_PREFIX
from cost_models.quantities.metrics import METRICS, P_FEASIBLE
from cost_models.quantities.parameters import PARAMETERS
from cost_models.quantities.records import Parameter
from cost_models.quantities.workload_fields import WORKLOAD_FIELDS
from dse.sweep.chips import BaselineSpec, ChipsSpec, DeploymentSpec
from dse.sweep.fields import known_names
from dse.sweep.goals import ConstraintSpec, ObjectiveSpec
from dse.sweep.parameters import RangeSpec
from dse.sweep.reader import SWEPT_FIELDS
from dse.sweep.record_reader import REQUIRED
from dse.sweep.records import EconomicsSpec, LibraryParameterSpec, ResultsSpec, RobustnessSpec
from dse.sweep.search import SAMPLERS, SearchSpec
from dse.sweep.user_model import ModelSpec
from dse.sweep.workloads import SessionsSpec, SpeculationSpec, WorkloadSpec

Schema = dict[str, Any]

QUANTITY: Schema = {"type": ["number", "string"]}
"""A number, or text with a unit."""

EMPTY: Schema = {"type": "null"}
"""Removes what an extended file says."""


_NAMES: Schema = {"type": "array", "items": {"type": "string"}}
_MODEL_FIELDS: Schema = {
    "function": {"type": "string"},
    "command": _NAMES,
    "metrics": {"type": "object"},
    "inputs": _NAMES,
    "replace": {"type": "boolean"},
}

_ADDITION: Schema = {"type": ["string", "object"], "description": "a directory of entries, or the entries themselves"}


def sweep_schema(library: Library) -> Schema:
    """Return the JSON Schema (draft 2020-12) of a sweep file.

    Args:
        library: whose names are known. Names that a sweep itself adds are not.
    """
    design = [name for name, metric in METRICS.items() if metric.scope == "design"]
    workload = [name for name, metric in METRICS.items() if metric.scope == "workload"]
    metric = {
        "anyOf": [
            {"enum": [*design, P_FEASIBLE]},
            {"pattern": rf"^[A-Za-z][A-Za-z0-9_-]*\.({'|'.join(workload)})$"},
            # A bare name may be of a metric that the sweep's own model returns.
            {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "not": {"enum": workload}},
        ]
    }
    fields = {name: _parameter(parameter, library) for name, parameter in {**PARAMETERS, **WORKLOAD_FIELDS}.items()}
    # A layout may be numbers of chips, which no list of names holds.
    fields["parallelism"] = {"type": "string", "description": WORKLOAD_FIELDS["parallelism"].meaning}
    names = {"metric": {"type": "string", **metric}, "direction": {"enum": ["minimize", "maximize"]}}
    fields["speculation"] = _record(
        SpeculationSpec, fields | {"draft": {"type": "string", "description": "a model of the library, mtp or ngram"}}
    )
    fields["sessions"] = _record(SessionsSpec, fields)
    chips = {"chips": {"type": "string"}}
    pool = {
        "anyOf": [{"type": "string"}, _record(ChipsSpec, fields | chips)],
        "description": "chips of the library, 2x h100_sxm, or the design",
    }
    flags = {name: {"type": "boolean"} for name in ("required", "same_prompts")}
    trace = {"trace": {"type": ["string", "object"], "description": "a CSV file of requests"}}
    sections: Schema = {
        "name": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]*$"},
        "extends": {"type": "string", "description": "another sweep file that this one is merged over"},
        "workloads": _mapping(_record(WorkloadSpec, fields | flags | trace)),
        "mix": _mapping(QUANTITY),
        "space": _space(library),
        "economics": _record(EconomicsSpec, {"yield_model": {"type": "string"}}),
        "technology": _parameters(library, {"anyOf": [QUANTITY, _record(LibraryParameterSpec, {})]}),
        "objectives": {"type": "array", "minItems": 1, "items": _record(ObjectiveSpec, names)},
        "constraints": {"type": "array", "items": _record(ConstraintSpec, names | {"relative_to": {"type": "string"}})},
        "baselines": _mapping(_record(BaselineSpec, fields | chips | {"prefill": pool})),
        "deployment": _record(DeploymentSpec, {"prefill": pool, "decode": pool}),
        "search": _record(SearchSpec, _search_fields()),
        "results": _record(ResultsSpec, {}),
        "library": {"anyOf": [_ADDITION, {"type": "array", "items": _ADDITION}]},
        "robustness": _record(RobustnessSpec, {}),
        "model": {"anyOf": [{"type": "string", "description": "module:function"}, _record(ModelSpec, _MODEL_FIELDS)]},
    }
    model = sections["workloads"]["additionalProperties"]["anyOf"][0]["properties"]["model"]
    model["anyOf"].append({"type": "string", "pattern": r"\.(json|gguf)$", "description": "the file of a model"})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A design-space sweep",
        "type": "object",
        "additionalProperties": False,
        # A file that extends another needs nothing of its own.
        "anyOf": [{"required": list(REQUIRED)}, {"required": ["extends"]}],
        "properties": sections,
    }


def _record(kind: type[BaseModel], known: Schema) -> Schema:
    """Return the schema of a record whose fields are quantities unless `known` says otherwise."""
    properties = {name: {"anyOf": [known.get(name, QUANTITY), EMPTY]} for name in kind.model_fields}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _mapping(of: Schema) -> Schema:
    return {"type": "object", "additionalProperties": {"anyOf": [of, EMPTY]}}


def _parameter(parameter: Parameter, library: Library) -> Schema:
    """Return the schema of one value of a parameter."""
    schema: Schema = {"enum": list(known_names(parameter, library))} if parameter.is_choice else QUANTITY
    unit = f" ({parameter.unit})" if parameter.unit else ""
    return {**schema, "description": f"{parameter.meaning}{unit}"}


def _space(library: Library) -> Schema:
    """Return the schema of the space: every parameter, any workload's numbers, any parameter."""
    number = _declared(QUANTITY, is_choice=False)
    fields = "|".join(SWEPT_FIELDS)
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: _declared(_parameter(parameter, library), is_choice=parameter.is_choice)
            for name, parameter in PARAMETERS.items()
        },
        "patternProperties": {
            rf"^[A-Za-z][A-Za-z0-9_-]*\.({fields})$": number,
            rf"^{PREFILL_PREFIX.replace('.', '[.]')}({'|'.join(PARAMETERS)})$": {},
            rf"^{TECHNOLOGY_PREFIX.replace('.', '[.]')}.+$": number,
        },
    }


def _declared(value: Schema, *, is_choice: bool) -> Schema:
    """Return the schema of what a sweep may say of a parameter with such values."""
    when = {"type": "object", "additionalProperties": True, "minProperties": 1}
    values = {"type": "array", "items": value, "minItems": 1}
    listed = {"type": "object", "additionalProperties": False, "properties": {"values": values, "when": when}}
    flags: Schema = {"log": {"type": "boolean"}, "type": {"enum": ["int", "float"]}, "when": when}
    ranged = _record(RangeSpec, flags)
    declared = [listed] if is_choice else [listed, ranged]
    return {"anyOf": [value, *declared, {"type": "array", "items": {"anyOf": declared}, "minItems": 1}, EMPTY]}


def _parameters(library: Library, of: Schema) -> Schema:
    names = {"enum": list(library.parameters)}
    return {"type": "object", "propertyNames": names, "additionalProperties": {"anyOf": [of, EMPTY]}}


def _search_fields() -> Schema:
    sampler = {"type": "string", "description": f"one of {', '.join(SAMPLERS)}, or several joined by +"}
    return {"sampler": sampler, "options": {"type": "object"}, "join": {"type": "boolean"}}
