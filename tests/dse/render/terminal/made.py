"""Sweeps and runs made by hand of the few fields that tables and sentences read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd

from cost_models.quantities.metrics import METRICS
from cost_models.silicon.cost import Economics
from dse.sweep import FixedSpec, ValuesSpec


def goal(metric: str, direction: str = "minimize") -> SimpleNamespace:
    """Return an objective."""
    return SimpleNamespace(metric=metric, direction=direction)


def limit(label: str, relative_to: str | None = None) -> SimpleNamespace:
    """Return a constraint by its label, which begins with its metric."""
    return SimpleNamespace(label=label, metric=label.partition(" ")[0], relative_to=relative_to)


def workload(**changes: Any) -> SimpleNamespace:
    """Return a workload of a static batch on one chip."""
    usual = {
        "model": "llama3_8b", "n_chips": 1, "parallelism": "tensor", "required": True, "prefix_cached": 0,
        "prompt_tokens": 512, "output_tokens": 256, "batching": "static", "batch": 16, "speculation": None,
        "sessions": None, "trace": None, "arrivals_per_s": None, "concurrency": None, "load_tokens_per_s": None,
    }  # fmt: skip
    return SimpleNamespace(**{**usual, **changes})


def fixed(value: Any) -> list[Any]:
    """Return a parameter that every design shares."""
    return [FixedSpec.model_construct(value=value, when={})]


def listed(*values: Any) -> list[Any]:
    """Return a parameter with several values."""
    return [ValuesSpec.model_construct(values=values, when={})]


def sweep(**changes: Any) -> Any:
    """Return a sweep of one workload with two objectives."""
    usual = {
        "objectives": [goal("chat.tpot_ms"), goal("cost_usd")], "workloads": {"chat": workload()}, "constraints": [],
        "deployment": None, "robustness": None, "probabilities": [], "metrics": METRICS, "builtin_disabled": False,
        "space": {"memory": listed("hbm3", "gddr6_16"), "macs": listed(8192, 16384), "node": fixed("tsmc_5")},
        "baselines": {}, "model": None, "economics": Economics(units=1000, margin=0.5, nre_share=0.25, krw_per_usd=1),
        "search": SimpleNamespace(sampler="grid", n_designs=None), "library": (),
    }  # fmt: skip
    return SimpleNamespace(**{**usual, **changes})


def pick(
    name: str, design: int, metrics: dict[str, float], *, feasible: bool = True, **settings: Any
) -> dict[str, Any]:
    """Return a pick."""
    return {"name": name, "reason": "", "id": design, "feasible": feasible, "design": settings, "metrics": metrics}


def run(spec: Any, **changes: Any) -> Any:
    """Return a run of a sweep: 10 designs evaluated, 4 feasible, 2 on the front."""
    counts = {"evaluated": 10, "feasible": 4, "front": 2, "planned": 10, **changes.pop("counts", {})}
    manifest = {
        "counts": counts, "status": "complete", "seconds": {"total": 2.3456}, "designs_per_s": 4.0, "sampler": "grid",
        "seed": 3, "kept": "all", **changes.pop("manifest", {}),
    }  # fmt: skip
    usual = {
        "spec": spec, "manifest": manifest, "picks": [], "found_feasible": bool(counts["feasible"] and counts["front"]),
        "baseline_metrics": {}, "baselines": pd.DataFrame({"baseline": []}), "name": "made", "path": "nowhere",
    }  # fmt: skip
    made = SimpleNamespace(**{**usual, **changes})
    made.row = lambda design: made.designs[made.designs["id"] == design].iloc[0]
    return made
