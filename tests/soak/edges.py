"""Random legal designs under random legal workloads: numbers where numbers are due, and what must be monotone is.

    python -m tests.soak.edges [--workloads N] [--designs N] [--seed S]

Every sweep draws a workload and the parameters that it varies from all that the sweep language has. Warnings are
faults; so is an infinity anywhere, a missing or negative metric of a feasible design, a row that is another number
alone than in its table, and an answer that gets worse where more of something free is given.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from cost_models.errors import LibraryError
from cost_models.library import shipped_library
from cost_models.quantities.metrics import METRICS
from cost_models.quantities.parameters import PARAMETERS
from cost_models.table import Table
from dse.errors import DseError
from dse.evaluator import Evaluation, Evaluator
from dse.space import Space
from dse.sweep import Spec, parse_spec

ROUNDED, SEARCHED = 1e-12, 1e-9
"""Most that a row alone may differ from that row in a table; the second where loads are sought, near the capacity."""

SIGNED = ("headroom", "margin", "spare")
"""Words of metrics that may be negative."""

OPTIONAL = ("load_s", "max_batch", "tokens_per_s_at_max_batch", "chips_for_load", "usd_per_million_cached_tokens",
            "cached_j_per_token")  # fmt: skip
"""Metrics that have no value where a workload sets no limits, or caches nothing."""

PER_TOKEN = "per_million"
"""In the names of metrics that have no value where limits can be kept at no load: no token is served."""

ROUNDING = 1e-12
"""How far below 0 rounding may leave a difference of equal numbers."""

NUMBERS: Mapping[str, tuple[float, float, bool]] = {
    # Parameter: least, most, whether on a logarithmic scale.
    "memory_devices": (1, 64, True), "memory_device_gib": (0.5, 64, True), "macs": (16, 2**22, True),
    "clock_ghz": (0.1, 3.0, False), "sram_mib": (0.25, 2048, True), "dies": (1, 8, False),
    "die_link_gbps": (10, 10_000, True), "cores": (1, 256, True), "spare_cores": (0, 8, False),
    "host_lanes": (0, 32, False), "link_gbps": (0, 2000, False), "supply_rails": (1, 2, False),
    "vector_lanes": (1, 65536, True), "kv_bits": (2, 32, False), "act_bits": (4, 32, False),
}  # fmt: skip

USUAL = {"memory_devices": 12, "macs": 2**18, "sram_mib": 128, "link_gbps": 400, "dies": 2, "spare_cores": 2}
"""Most of parameters in most sweeps: few dies of ends of all ranges can be built."""

MORE = {
    # Parameter and the metric that must not rise with it, all else equal, where both designs fit.
    "memory_devices": "roofline_tpot_ms", "macs": "roofline_tpot_ms", "clock_ghz": "roofline_tpot_ms",
}  # fmt: skip

DEARER = {"memory_devices": 1e-12, "macs": 1e-12, "clock_ghz": 1e-3, "link_gbps": 1e-12}
"""Parameters with which the design limit must rise, all else equal, and the share by which it may fall.

Decoders of coded weights work at the rate of the memory: the faster their clock, the fewer of them leak.
"""


def space_of(rng: np.random.Generator) -> dict[str, Any]:
    """Return ranges and names of some parameters, all legal by themselves."""
    library, is_usual = shipped_library(), rng.random() < 0.7
    space: dict[str, Any] = {}
    tables: dict[str, Mapping[str, object]] = {
        "nodes": library.nodes, "memory_grades": library.memory_grades, "mac_formats": library.mac_formats,
        "weight_formats": library.weight_formats, "stacks": library.stacks,
    }  # fmt: skip
    for name, parameter in PARAMETERS.items():
        if rng.random() < 0.5:
            continue
        names = [*parameter.names, *tables.get(parameter.section or "", {})]
        if parameter.is_choice and names:
            space[name] = {"values": sorted({str(one) for one in rng.choice(names, size=min(len(names), 6))})}
        elif name in NUMBERS:
            low, high, is_log = NUMBERS[name]
            high = USUAL.get(name, high) if is_usual else high
            ends = sorted(np.exp(rng.uniform(np.log(low), np.log(high), 2)) if is_log else rng.uniform(low, high, 2))
            if parameter.integer:
                ends = [int(ends[0]), int(ends[0]) + 1 + int(ends[1] - ends[0])]
                ends[1] = min(ends[1], int(high))
            space[name] = {"low": ends[0], "high": ends[1]} if ends[0] < ends[1] else ends[0]
            if is_log and isinstance(space[name], dict):
                space[name]["log"] = True
    return space


def workload_of(rng: np.random.Generator) -> dict[str, Any]:
    """Return a workload, legal by itself."""
    models = [key for key, model in shipped_library().models.items() if model.complete]
    chips = int(2 ** rng.integers(0, 5))
    result: dict[str, Any] = {
        "model": str(rng.choice(models)),
        "batch": int(2 ** (rng.uniform(0, 10) * rng.random())),
        "prompt_tokens": int(2 ** (rng.uniform(0, 17) * rng.random())),
        "output_tokens": int(2 ** rng.uniform(0, 13)),
        "n_chips": chips,
        "batching": str(rng.choice(["static", "waves", "in_flight", "continuous"])),
    }
    if chips > 1:
        result["parallelism"] = str(rng.choice(["tensor", "pipeline", "layer_split"]))
    if rng.random() < 0.3:
        result["tpot_limit_ms"] = float(10 ** rng.uniform(0, 3))
    return result


def sweep_of(rng: np.random.Generator) -> Spec:
    """Return a random sweep.

    Raises:
        DseError: its parts do not go together.
    """
    objective = [{"metric": "w.tpot_ms", "direction": "minimize"}, {"metric": "cost_usd", "direction": "minimize"}]
    return parse_spec(
        {
            "name": "edges",
            "workloads": {"w": workload_of(rng)},
            "space": space_of(rng),
            "objectives": objective,
            "search": {"sampler": "sobol", "n_designs": 16},
        }
    )


def faults_of(spec: Spec, designs: Table, rng: np.random.Generator) -> tuple[list[str], Evaluation]:
    """Return what is wrong with the evaluation of a table, and the evaluation."""
    faults = []
    evaluator = Evaluator(spec)
    found = evaluator.evaluate(designs)
    for name, values in found.metrics.items():
        bare = name.rpartition(".")[2]
        if np.isinf(values).any():
            faults.append(f"{name} is infinite for {int(np.isinf(values).sum())} designs")
        served = np.nan_to_num(found.metrics.get("w.goodput_requests_per_s", np.ones(1)), nan=1.0) > 0
        due = values[found.feasible & served] if PER_TOKEN in bare else values[found.feasible]
        if bare not in OPTIONAL and np.isnan(due).any():
            faults.append(f"{name} is missing for {int(np.isnan(due).sum())} feasible designs")
        if (due < -ROUNDING).any() and not any(word in bare for word in SIGNED):
            faults.append(f"{name} is {due.min():g} for a feasible design")
    for row in rng.integers(designs.rows, size=3):
        alone = evaluator.evaluate(designs.take(slice(int(row), int(row) + 1)))
        for name, values in alone.metrics.items():
            there = found.metrics[name][row]
            close = SEARCHED if spec.workloads["w"].batching == "continuous" else ROUNDED
            if not np.isclose(values[0], there, rtol=close, atol=0, equal_nan=True):
                faults.append(f"{name} of row {row} is {values[0]!r} alone and {there!r} in its table")
    for name, metric in MORE.items():
        if spec.workloads["w"].batching != "static" or name not in designs or not isinstance(designs[name], np.ndarray):
            continue
        grown = designs | {name: np.asarray(designs[name]) * 2}
        before, after = found.metrics[f"w.{metric}"], evaluator.evaluate(grown).metrics[f"w.{metric}"]
        both = np.isfinite(before) & np.isfinite(after)
        worse = both & (after > before * (1 + 1e-9))
        if worse.any():
            row = int(np.flatnonzero(worse)[0])
            faults.append(
                f"twice the {name}: w.{metric} of {int(worse.sum())} of {designs.rows} designs rises, of row {row} "
                f"from {before[row]:g} to {after[row]:g}"
            )
    limits = evaluator.machine(designs).tdp_w
    for name, spared in DEARER.items():
        if not isinstance(designs.get(name), np.ndarray):
            continue
        lower = evaluator.machine(designs | {name: np.asarray(designs[name]) * 2}).tdp_w < limits * (1 - spared)
        if lower.any():
            faults.append(f"twice the {name}: tdp_w of {int(lower.sum())} of {designs.rows} designs falls")
    return faults, found


def main() -> None:
    """Evaluate, and end with status 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workloads", type=int, default=10_000)
    parser.add_argument("--designs", type=int, default=1_000, help="per workload")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    assert all(metric.name for metric in METRICS.values())
    tally: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    began = time.process_time()
    number = 0
    while tally["workloads"] < asked.workloads:
        rng = np.random.default_rng([asked.seed, number])
        number += 1
        try:
            spec = sweep_of(rng)
        except (DseError, LibraryError):
            tally["refused"] += 1
            continue
        space = Space(spec)
        designs = space.decode(rng.random((asked.designs, len(space.dimensions))))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                faults, found = faults_of(spec, designs, rng)
        except (Warning, ArithmeticError, ValueError, TypeError, KeyError, IndexError, AssertionError) as error:
            faults = [f"{type(error).__name__}: {error}"]
        else:
            tally["feasible"] += int(found.feasible.sum())
        tally["workloads"] += 1
        tally["designs"] += designs.rows
        for fault in faults:
            kind = fault.partition(" of ")[0].partition(" for ")[0]
            kinds[kind] += 1
            if kinds[kind] <= 2:
                print(f"seed [{asked.seed}, {number - 1}]: {fault}", flush=True)
    print(
        f"{tally['designs']:,} designs, {tally['feasible']:,} feasible, under {tally['workloads']:,} workloads; "
        f"{tally['refused']:,} sweeps refused; {sum(kinds.values())} faults; {time.process_time() - began:.0f} s"
    )
    for kind, count in kinds.most_common():
        print(f"  {count} times: {kind}")
    raise SystemExit(bool(kinds))


if __name__ == "__main__":
    main()
