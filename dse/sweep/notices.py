"""What a sweep may do but its user should know: conversations longer than a model takes, settings without effect."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cost_models.library import Library
from cost_models.performance.batching import CONTINUOUS
from cost_models.performance.waits import lognormal_cv
from cost_models.quantities.parameters import unmet_needs
from dse.sweep.library_additions import library_of
from dse.sweep.parameters import FixedSpec, RangeSpec, ValuesSpec
from dse.sweep.served_workload import workload_of
from dse.sweep.spec import Spec

POISSON_CV = 1.0
"""Coefficient of variation of exponential gaps and lengths: what is no wilder was checked before anything else."""


def context_warning(tokens: float, context: float, model: str = "its model") -> str:
    """Return what is to be said of prompt and output together, "" where the model takes as many."""
    if tokens <= context:
        return ""
    return f"WARNING: {tokens:,.0f} tokens in and out exceed the {context:,.0f} that {model} takes".replace(",", " ")


def warnings_of(spec: Spec) -> list[str]:
    """Return one line per parameter that nothing reads, and per workload longer than the context of its model."""
    if spec.builtin_disabled:
        return []
    known = library_of(spec.library)
    told = [*_without_effect(spec), *_beyond_what_was_checked(spec, known)]
    for name, workload in spec.workloads.items():
        model = known.models[workload.model]
        if model.max_context is None:
            continue
        longest = sum(
            max([float(getattr(workload, field)), *_declared(spec, f"{name}.{field}")])
            for field in ("prompt_tokens", "output_tokens")
        )
        if line := context_warning(longest, model.max_context, workload.model):
            told.append(f"workloads.{name}: {line}")
    return told


def _without_effect(spec: Spec) -> list[str]:
    given: dict[str, object] = {}
    for name, (first, *others) in spec.space.items():
        given[name] = first.value if isinstance(first, FixedSpec) and not others else first
    unmet = {name: unmet_needs(name, given) for name in given}
    return [
        f"space.{name}: WARNING: has no effect, as no {' or '.join(needs)} is given"
        for name, needs in unmet.items()
        if needs
    ]


def _beyond_what_was_checked(spec: Spec, known: Library) -> Iterator[str]:
    """Yield a line per workload whose requests come, or differ, more wildly than any whose times were simulated."""
    users = {name: workload for name, workload in spec.workloads.items() if workload.batching == CONTINUOUS}
    if not users:
        return
    for name, workload in users.items():
        traffic = workload_of(name, workload).traffic
        found = {"arrival_cv": [float(np.max(traffic.arrival_cv)), *_declared(spec, f"{name}.arrival_cv")]}
        for kind, cv in (("prompt", traffic.prompt_cv), ("output", traffic.output_cv)):
            mean = float(getattr(workload, f"{kind}_tokens"))
            others = [float(lognormal_cv(p95 / mean)) for p95 in _declared(spec, f"{name}.{kind}_p95_tokens")]
            found[f"cv of {kind}_tokens"] = [float(np.max(cv)), *others]
        for what, values in found.items():
            if max(values) <= POISSON_CV:
                continue  # and need not read the evidence
            limit = known.evidence[f"serving_checks.most_{'arrival' if what == 'arrival_cv' else 'length'}_cv"].typ
            if max(values) > limit:
                yield (
                    f"workloads.{name}: WARNING: {what} {max(values):.3g} is beyond {limit:g}, up to which times were "
                    "held against simulation: they may be far too short; dse explain --simulate tells"
                )


def _declared(spec: Spec, parameter: str) -> Iterator[float]:
    """Yield the largest numbers that the space gives a parameter."""
    for entry in spec.space.get(parameter, ()):
        if isinstance(entry, RangeSpec):
            yield float(entry.high)
        elif isinstance(entry, ValuesSpec):
            yield from (float(value) for value in entry.values if isinstance(value, int | float))
        elif isinstance(entry, FixedSpec) and isinstance(entry.value, int | float):
            yield float(entry.value)
