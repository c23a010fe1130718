"""Which metrics a parameter of the library moves: found by moving it, in designs and chips that use every model."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.errors import UnknownEntryError
from cost_models.library import Library
from cost_models.quantities.parameters import PARAMETERS
from cost_models.table import FloatArray, Setting, Table
from dse.evaluator import Evaluator
from dse.sweep import Spec, parse_spec
from dse.sweep.library_additions import library_of

MARGIN = "margin of "
"""Before the name of a limit whose margin moves."""

STEP = 0.1
"""Relative step of a parameter that has no range."""


@dataclass(frozen=True)
class Use:
    """What a parameter does to one metric, in the design or chip that it moves most.

    Attributes:
        metric: the metric, or the limit it is part of.
        seen_in: the design, by what sets it apart from the default one, or the chips.
        at_low: with the parameter at the low end of its range.
        at_typ: at its typical value.
        at_high: at the high end.
    """

    metric: str
    seen_in: str
    at_low: float
    at_typ: float
    at_high: float

    @property
    def change(self) -> float:
        """How far the metric moves over its typical value."""
        moves = [abs(end - self.at_typ) for end in (self.at_low, self.at_high) if np.isfinite(end - self.at_typ)]
        # A margin is relative already.
        scale = 1.0 if self.metric.startswith(MARGIN) else abs(self.at_typ) or 1.0
        return max(moves, default=0.0) / scale


def uses_of(path: str, *, library: Sequence[Path] = ()) -> list[Use]:
    """Return the metrics and limits that a parameter moves, those it moves most first; none for evidence.

    Args:
        path: dotted path of the parameter.
        library: directories and sweep files whose entries are added to the library.

    Raises:
        UnknownEntryError: no such parameter.
        LibraryError: an addition is at fault.
    """
    added = tuple(library)
    known = library_of(probe_sweeps(added)[0][0].library)
    parameter = known.parameters.get(path)
    if path in known.evidence:
        return []
    if parameter is None:
        raise UnknownEntryError("parameter", path, known.parameters)
    low = parameter.typ * (1 - STEP) if parameter.low is None else parameter.low
    high = parameter.typ * (1 + STEP) if parameter.high is None else parameter.high
    result: dict[str, Use] = {}
    for seen_in, values in _moved(added, path, np.array([low, parameter.typ, high])):
        for metric, at in values.items():
            use = Use(metric, seen_in, *map(float, at))
            if np.isfinite(use.change) and use.change > 1e-9 and use.change > getattr(result.get(metric), "change", 0):
                result[metric] = use
    return sorted(result.values(), key=lambda use: (use.metric.startswith(MARGIN), -use.change, use.metric))


@functools.lru_cache(maxsize=1)
def probe_sweeps(added: tuple[Path, ...]) -> tuple[tuple[Spec, dict[str, dict[str, Setting]]], ...]:
    """Return sweeps, and designs of each by what sets them apart: together they use every model.

    Beside the many designs of the first, some decode what other chips prefill, and some serve users who talk in turns,
    with their histories in a tier.
    """

    def sweep(name: str, workloads: Mapping[str, Any], **sections: Any) -> Spec:
        usual = {
            "space": {"node": "tsmc_5"}, "objectives": [{"metric": "cost_usd", "direction": "minimize"}],
            "search": {"sampler": "grid"},
        }  # fmt: skip
        return parse_spec({"name": name, "workloads": workloads, **usual, **sections}, library=added)

    static = {
        "chat": {"model": "llama2_70b", "batch": 32, "n_chips": 2},
        "experts": {"model": "mixtral_8x7b", "batch": 4, "n_chips": 2},
    }
    chips = ("a100_80gb_sxm", "h100_sxm", "tpu_v4", "mi300x", "gaudi3", "groq_lpu1", "gb10_spark")
    served = {"model": "llama3_8b", "batching": "continuous", "ttft_limit_ms": 2000, "tpot_limit_ms": 50}
    sessions = {"turns": 6, "think_s": 60, "tier": "ddr5", "tier_gib": 16}
    talkers = {**served, "sessions": sessions, "prompt_tokens": 512, "output_tokens": 256}
    probe = sweep("probe", static, baselines={name: {"chips": f"2x {name}"} for name in chips})
    base: dict[str, Setting] = {"memory_devices": 8.0, "memory_device_gib": 16.0}
    return (
        (probe, _probes(library_of(probe.library))),
        (
            sweep("pools", {"users": served}, deployment={"prefill": "1x h100_sxm"}),
            {"the default design beside chips that prefill": base},
        ),
        (sweep("sessions", {"talkers": talkers}), {"the default design with users who talk in turns": base}),
    )


def _probes(library: Library) -> dict[str, dict[str, Setting]]:
    """Return designs that differ from a default one in one thing each, by that thing."""
    base: dict[str, Setting] = {"link_gbps": 100.0, "memory_devices": 8.0, "memory_device_gib": 16.0}
    probes: dict[str, dict[str, Setting]] = {"the default design": base}
    for axis, names in (
        ("node", library.nodes), ("mac_format", library.mac_formats), ("weight_format", library.weight_formats),
        ("serving_stack", library.stacks), ("architecture", ("programmable", "static")), ("cooling", ("liquid",)),
    ):  # fmt: skip
        probes |= {name: {**base, axis: name} for name in names}
    for name, grade in library.memory_grades.items():
        device = library.memories[grade.technology]
        size = {"memory_device_gib": max(device.package_gib), "memory_device_bits": float(max(device.package_bits))}
        decoder = {"memory_decoder": 1.0} if device.near_operands else {}
        probes[name] = {**base, "memory": name, **size, "memory_devices": 8.0, **decoder}
    for name in PARAMETERS["die_link"].names:
        probes[f"two dies, {name}"] = {**base, "dies": 2.0, "die_link": name}
    probes["kv_bits 4, spare cores"] = {**base, "kv_bits": 4.0, "spare_cores": 2.0}
    probes["one chip of much clock"] = {**base, "clock_ghz": 2.0}
    for method in ("rtn", "gptq", "omniquant"):
        probes[f"weight_method {method}"] = {**base, "weight_format": "int3_g128", "weight_method": method}
    for method in ("scaled", "rotated", "floating"):
        probes[f"act_method {method}"] = {**base, "weight_format": "mxfp4", "act_bits": 4.0, "act_method": method}
    for method in ("rotated", "grouped", "calibrated"):
        probes[f"kv_method {method}"] = {**base, "kv_bits": 3.0, "kv_method": method}
    return probes


def _moved(added: tuple[Path, ...], path: str, values: FloatArray) -> Iterator[tuple[str, dict[str, FloatArray]]]:
    """Yield for each design and the chips the metrics and limits at some values of a parameter."""
    sweeps, times = probe_sweeps(added), len(values)
    for spec, probes in sweeps:
        moved = Evaluator(spec, {path: np.tile(values, len(probes))})
        result = moved.evaluate(Table.from_settings(*probes.values()).repeated(times))
        named = {**result.metrics, **{f"{MARGIN}{limit}": margin for limit, margin in result.margins.items()}}
        columns = {
            metric: np.broadcast_to(column, len(probes) * times).reshape(-1, times) for metric, column in named.items()
        }
        for place, name in enumerate(probes):
            yield name, {metric: column[place] for metric, column in columns.items()}
    spec = sweeps[0][0]
    moved = Evaluator(spec, {path: values})
    for name, entry in spec.baselines.items():
        columns = moved.baseline_columns(entry)
        yield f"2x {name}", {metric: np.broadcast_to(column, times) for metric, column in columns.items()}
