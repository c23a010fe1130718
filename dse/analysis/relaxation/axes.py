"""Axes of a sweep extended beyond what it declares, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cost_models.library import Library
from cost_models.quantities.columns import parameter_of
from cost_models.quantities.parameters import PARAMETERS
from cost_models.quantities.records import Parameter
from dse.errors import SpecError
from dse.sweep import FixedSpec, ParameterSpec, RangeSpec, Spec, parse_spec
from dse.sweep.library_additions import library_of

FACTOR = 4.0
"""A numeric range is extended to this many times its highest and one such part of its lowest value."""

LEVELS = 8
"""Values that are added on each side of a list of numbers."""

LINK = "link_gbps"

KEPT = ("serving_stack", "act_bits", "act_method", "architecture")
"""Parameters that are circumstances rather than choices of an architect."""


def widened_axes(spec: Spec) -> Iterator[tuple[str, str, Spec]]:
    """Yield (axis, values tried beyond the declared ones in words, the sweep with that axis extended).

    Defaults count as axes of one value; what the user fixed stays as it is. Names are extended to every one of the
    library that stands for something real, links to those of its chips where several chips serve a workload. Axes that
    cannot be extended, or only against the sweep's own conditions, are left out.
    """
    data, library = spec.resolved(), library_of(spec.library)
    for axis, entries in parse_spec(data, metrics=spec.derived).space.items():
        parameter = parameter_of(axis)
        if parameter is None or axis in KEPT or "." in axis or _is_fixed(spec, axis):
            continue
        if axis == LINK and not linked(spec):
            continue
        extended = [_extended(parameter, entry, library) for entry in entries]
        if all(one is None for one in extended):
            continue
        written = [
            entry.written() if one is None else {**one[0], **_when(entry)}
            for one, entry in zip(extended, entries, strict=True)
        ]
        words = "; ".join(dict.fromkeys(one[1] for one in extended if one is not None))
        try:
            changed = {**data, "space": {**data["space"], axis: written}}
            wider = parse_spec(changed, metrics=spec.derived)
        except SpecError:
            # A range cannot stand under a condition that lists values; such an axis stays as it is.
            continue
        yield axis, words, wider


def linked(spec: Spec) -> bool:
    """Return whether a sweep has a workload that several chips serve, so that they need links."""
    swept = any(name.endswith(".n_chips") for name in spec.space)
    return swept or any(workload.n_chips > 1 for workload in spec.workloads.values())


def _is_fixed(spec: Spec, axis: str) -> bool:
    """Return whether the user gave a parameter one value, as far as a sweep that is written out in full still tells."""
    match spec.space.get(axis):
        case (FixedSpec(value=value),):
            pass
        case _:
            return False
    defaults = {name: one.default for name, one in PARAMETERS.items() if one.default is not None}
    # A sweep that has been written out holds every default beside what the user fixed.
    return not (defaults.keys() <= spec.space.keys() and value == defaults.get(axis))


def _when(entry: ParameterSpec) -> dict[str, Any]:
    return {"when": {name: list(values) for name, values in entry.when.items()}} if entry.when else {}


def _extended(parameter: Parameter, entry: ParameterSpec, library: Library) -> tuple[dict[str, Any], str] | None:
    """Return a declaration with more values and those values in words; None where there are none."""
    if isinstance(entry, RangeSpec):
        low, high = entry.bounds
        wide_low, wide_high = _ends(parameter, low, high)
        declaration: dict[str, Any] = {"low": wide_low, "high": wide_high, "log": entry.log, "type": entry.type}
        if entry.levels is not None:
            declaration["levels"] = 2 * entry.levels
        elif entry.step is not None:
            declaration["step"] = entry.step
            declaration["low"] = low - entry.step * np.floor((low - wide_low) / entry.step)
        return declaration, _words(wide_low, wide_high)
    if parameter.is_choice:
        more = [name for name in _names(parameter, library) if name not in entry.values]
        return ({"values": [*entry.values, *more]}, ", ".join(more)) if more else None
    numbers = [float(value) for value in entry.values]
    if parameter.name == LINK:
        speeds = sorted({float(chip.link_gbps) for chip in library.chips.values() if chip.link_gbps})
        faster = [speed for speed in speeds if speed > max(numbers)]
        return ({"values": [*numbers, *faster]}, _words(faster[0], faster[-1])) if faster else None
    low, high = min(numbers), max(numbers)
    if low <= 0:
        # Values are extended by factors, and zero has none.
        return None
    wide_low, wide_high = _ends(parameter, low, high)
    below, above = np.geomspace(wide_low, low, LEVELS), np.geomspace(high, wide_high, LEVELS)
    added = [float(round(value)) if parameter.integer else float(f"{value:.4g}") for value in (*below, *above)]
    if parameter.name == "memory_device_gib":
        sizes = {float(size) for memory in library.memories.values() for size in memory.package_gib}
        added = sorted(sizes)
    if parameter.name == "memory_device_bits":
        added = sorted({float(bits) for memory in library.memories.values() for bits in memory.package_bits})
    values = sorted(dict.fromkeys([*numbers, *added]))
    if values == sorted(numbers):
        return None
    whole = [int(value) if parameter.integer else value for value in values]
    return {"values": whole}, _words(min(values), max(values))


def _ends(parameter: Parameter, low: float, high: float) -> tuple[float, float]:
    least, most = low / FACTOR, min(high * FACTOR, parameter.high)
    return (max(1.0, float(np.ceil(least))), float(np.floor(most))) if parameter.integer else (least, most)


def _names(parameter: Parameter, library: Library) -> list[str]:
    known: Mapping[str, Any] | tuple[str, ...]
    known = getattr(library, parameter.section) if parameter.section else parameter.names
    if parameter.section == "weight_formats":
        return [name for name, form in library.weight_formats.items() if not form.hypothetical]
    return list(known)


def _words(low: float, high: float) -> str:
    return f"{low:g} to {high:g}"
