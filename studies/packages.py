"""What silicon of 2026 changes, at equal price and at equal power: dies, stacked DRAM, tiers, and SRAM alone.

Every kind of chip is searched in its own part of the space of ``sweeps/packages.yaml``; the founding kind, one die with
LPDDR, sets price and power.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cost_models.library import shipped_library
from cost_models.table import FloatArray
from dse.analysis.audit.page import number, table
from dse.runs import explore
from dse.sweep import load_spec
from studies.record import Context, Section

SWEEP = Path(__file__).parent.parent / "sweeps" / "packages.yaml"
POWER_W = 150.0
"""The founding chip's design limit."""

NONE = {"dies": "1", "die_link": "organic", "die_link_gbps": "100", "second_memory": "none",
        "memory_decoder": "0"}  # fmt: skip
TIER = {"second_memory_devices": "8", "second_memory_device_bits": "32", "second_memory_device_gib": "8"}
LPDDR = {"memory": "lpddr5x_9600", "memory_device_bits": "{values: [32, 64]}", "memory_device_gib": "{values: [8, 16]}"}
DEVICES = {"memory_devices": "{low: 2, high: 32, step: 2}"}
TWO_DIES = {"dies": "2", "die_link": "{values: [organic, bridge]}", "die_link_gbps": "{values: [50, 100, 200, 400]}"}
SRAM = {"memory": "none", "memory_devices": "2", "memory_device_bits": "32", "memory_device_gib": "8"}
WIDE_TIER = {
    "second_memory": "lpddr5x_9600",
    "second_memory_devices": "{values: [4, 8, 12, 16, 20, 24]}",
    "second_memory_device_bits": "{values: [32, 64]}",
    "second_memory_device_gib": "{values: [8, 16]}",
}
FLASH = {"second_memory": "hbf", "second_memory_devices": "{values: [1, 2]}", "second_memory_device_gib": "512",
         "second_memory_device_bits": "1024"}  # fmt: skip
BANKS = {"memory": "lpddr5x_pim_9600", "memory_device_bits": "{values: [32, 64]}",
         "memory_device_gib": "{values: [4, 8]}", "memory_decoder": "{values: [0, 1]}"}  # fmt: skip
STACKED = {"memory": "stacked_dram", "memory_device_bits": "{values: [1024, 2048]}",
           "memory_device_gib": "{values: [2, 4]}"}  # fmt: skip

FOUNDING, STACKED_KIND = "one die, LPDDR", "DRAM on top of one die"
BANKS_KIND = "one die, LPDDR that multiplies"
KINDS: Mapping[str, Mapping[str, str]] = {
    FOUNDING: {**NONE, **TIER, **LPDDR, **DEVICES},
    "two dies, LPDDR": {**NONE, **TIER, **LPDDR, **DEVICES, **TWO_DIES},
    "SRAM, then LPDDR": {**NONE, **SRAM, **WIDE_TIER},
    "LPDDR, then flash": {**NONE, **LPDDR, **DEVICES, **FLASH},
    STACKED_KIND: {**NONE, **TIER, **STACKED, **DEVICES},
    BANKS_KIND: {**NONE, **TIER, **BANKS, **DEVICES},
}
"""Settings of the space that make each kind of chip."""

DEAR = {
    "die_stacking.mm2_per_gbps": "high",
    "die_stacking.heat_over_bare": "low",
    "die_stacking.bond_yield": "low",
    "die_stacking.bond_usd_per_mm2": "high",
    "memory.stacked_dram.price_usd_per_gb": "high",
    "memory.stacked_dram.energy_total_pj_per_bit": "high",
    "memory.stacked_dram.phy_controller_mm2": "high",
}
"""What is assumed of DRAM on top of logic beside its density, and which end of its range speaks against it."""

ALONE = {"tp8_pp10": 80, "tp8_pp20": 160}
"""How many chips of SRAM alone share the model, and how."""


@dataclass(frozen=True)
class Front:
    """Feasible designs of one kind that nothing else of the kind beats: ``(n,)`` each."""

    tpot_ms: FloatArray
    cost_usd: FloatArray
    tdp_w: FloatArray

    def fastest(self, *, cost_usd: float = np.inf, tdp_w: float = np.inf) -> dict[str, float] | None:
        """Return the fastest design within a cost and a power, None where there is none."""
        inside = (self.cost_usd <= cost_usd) & (self.tdp_w <= tdp_w)
        if not inside.any():
            return None
        row = int(np.flatnonzero(inside)[np.argmin(self.tpot_ms[inside])])
        return {name: float(column[row]) for name, column in vars(self).items()}


def front_of(settings: Mapping[str, str], further: Mapping[str, str] | None = None) -> Front | None:
    """Return the front of a part of the space, None where nothing in it is feasible.

    Args:
        settings: parameters of the space and what replaces them, as YAML.
        further: other keys of the sweep.
    """
    overrides = [f"space.{name}={value}" for name, value in settings.items()]
    overrides += [f"{key}={value}" for key, value in (further or {}).items()]
    found = explore(load_spec(SWEEP, overrides=overrides)).front
    if found is None:
        return None
    metrics = found.evaluation.metrics
    return Front(metrics["chat_70b.tpot_ms"], metrics["cost_usd"], metrics["tdp_w"])


def dear_end() -> dict[str, str]:
    """Return the keys of a sweep that put what is assumed of stacked DRAM at its dear end."""
    parameters = shipped_library().parameters
    return {f"technology.{path}": str(getattr(parameters[path], end)) for path, end in DEAR.items()}


def packages(context: Context) -> list[Section]:
    """Each kind of chip at the founding kind's price and at its power, and what SRAM alone takes."""
    fronts = {name: front_of(settings) for name, settings in KINDS.items()}
    fronts["DRAM on top, every assumption but density at its dear end"] = front_of(KINDS[STACKED_KIND], dear_end())
    founding = fronts[FOUNDING]
    assert founding is not None
    reference = founding.fastest(tdp_w=POWER_W)
    assert reference is not None
    text, numbers, frame = _compared(fronts, reference)
    words = (
        f"The founding kind, one die with LPDDR, is fastest within {POWER_W:g} W at {number(reference['tpot_ms'])} ms "
        f"per token, {number(reference['cost_usd'])} USD and {number(reference['tdp_w'])} W. Every other kind is "
        "searched on its own, with the same weights, cache and node; -: none is so cheap, or draws so little. No "
        "product says yet what DRAM on top of logic costs: its figures are assumptions, and so it stands here twice. "
        f"At the dear end of its density too, a die of the reticle's size holds {number(_least_gib())} GiB, less than "
        "this model takes."
    )
    return [
        Section("At equal cost and at equal power", f"{words}\n\n{text}", numbers, {"kinds": frame}),
        _one_sequence(),
        _alone(reference),
    ]


def _compared(
    fronts: Mapping[str, Front | None], reference: Mapping[str, float]
) -> tuple[str, dict[str, float], pd.DataFrame]:
    """Return the fastest of each front at the reference's cost and at its power: as text, by name, and as a table."""
    limits = {"price": {"cost_usd": reference["cost_usd"]}, "power": {"tdp_w": reference["tdp_w"]}}
    rows, records = [], []
    for name, front in fronts.items():
        found = {kind: None if front is None else front.fastest(**limit) for kind, limit in limits.items()}
        rows.append((name, *(_words(one, reference) for one in found.values())))
        records += [{"kind": name, "equal": kind, **one} for kind, one in found.items() if one is not None]
    text = table(("kind of chip", "fastest at equal cost: ms, USD, W", "fastest at equal power: ms, USD, W"), rows)
    numbers = {f"{one['kind']} at equal {one['equal']}, ms": float(one["tpot_ms"]) for one in records}
    return text, numbers, pd.DataFrame(records)


def _one_sequence() -> Section:
    """Return what multiplying beside the banks gains where one sequence is served, which is what it is for."""
    single = {"workloads.chat_70b.batch": "1"}
    fronts = {
        f"{kind}, {bits}-bit activations": front_of({**KINDS[kind], "act_bits": bits}, single)
        for kind, bits in ((FOUNDING, "16"), (BANKS_KIND, "16"), (BANKS_KIND, "8"))
    }
    founding = next(iter(fronts.values()))
    assert founding is not None
    reference = founding.fastest(tdp_w=POWER_W)
    assert reference is not None
    text, numbers, frame = _compared(fronts, reference)
    words = (
        "Units beside the banks multiply each weight that they read with one row: of 32 sequences they gain nothing, "
        "and cost capacity. With a single sequence, weights of 4 bits are decoded there into 16 bits, or into 8 where "
        "activations have as many (whose loss of quality is not in this table). The reference is the founding kind "
        "with one sequence. Prices of such memory are assumptions."
    )
    named = {f"one sequence, {name}": value for name, value in numbers.items()}
    return Section("One sequence at a time", f"{words}\n\n{text}", named, {"one_sequence": frame})


def _least_gib() -> float:
    """Return how much DRAM lies on the largest die if it is as large per GiB as its range says."""
    parameters = shipped_library().parameters
    most_mm2_per_gib = parameters["die_stacking.mm2_per_gib"].high
    assert most_mm2_per_gib is not None
    return parameters["reticle.limit_mm2"].typ / most_mm2_per_gib


def _words(found: Mapping[str, float] | None, reference: Mapping[str, float]) -> str:
    if found is None:
        return "-"
    gain = reference["tpot_ms"] / found["tpot_ms"]
    cells = (number(found[name]) for name in ("tpot_ms", "cost_usd", "tdp_w"))
    return f"{', '.join(cells)} ({gain:.2f}x)"


def _alone(reference: Mapping[str, float]) -> Section:
    """Return what chips without memory outside of them take to hold and serve the model."""
    rows, numbers = [], {}
    links = {"link_gbps": "{values: [100, 400, 900]}", "sram_mib": "{low: 128, high: 1024, log: true}"}
    for layout, chips in ALONE.items():
        front = front_of({**NONE, **TIER, **SRAM, **links}, {"workloads.chat_70b.parallelism": layout})
        best = None if front is None else front.fastest()
        cheapest = None if front is None else float(front.cost_usd.min())
        if best is None or cheapest is None:
            rows.append((layout, number(chips), "-", "-", "-", "-"))
            continue
        whole = {name: best[name] * chips for name in ("cost_usd", "tdp_w")}
        times = whole["cost_usd"] / reference["cost_usd"]
        cells = (best["tpot_ms"], whole["cost_usd"], whole["tdp_w"], cheapest * chips)
        rows.append((layout, number(chips), *map(number, cells)))
        numbers |= {f"SRAM alone {layout}, ms": best["tpot_ms"], f"SRAM alone {layout}, times the cost": times}
    headings = ("layout", "chips", "fastest, ms", "USD of all", "W of all", "USD of the cheapest that hold it")
    words = (
        "A chip whose SRAM is all there is cannot hold the model: as many as the layouts below share it, and cost "
        "and power are of all of them. It is no alternative at equal cost or power, and the comparison is one of "
        "kinds: the batch of 32 is the same."
    )
    return Section("SRAM alone", f"{words}\n\n{table(headings, rows)}", numbers)
