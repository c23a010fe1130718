"""Small changes of sweeps, and the words that answer them: what every rule says on both sides of its edge.

The words were read when they were stored; `pytest --force-regen` writes them anew after a change that is meant.
"""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import yaml

from dse.errors import SpecError
from dse.sweep import parse_spec
from dse.sweep.notices import warnings_of
from tests.sweeps import minimized, small

FOLDER = Path(__file__).with_name("verdicts")

SHOWN = 200
"""Characters of an issue that are kept: what comes after are mostly lists of what the library has."""


def changed(sweep: Any, changes: Any) -> Any:
    """Return a sweep with keys replaced, those of mappings one by one; an empty key goes."""
    if not isinstance(sweep, dict) or not isinstance(changes, dict):
        return changes
    kept = {key: changed(sweep.get(key), one) for key, one in changes.items()}
    return {key: one for key, one in {**sweep, **kept}.items() if one is not None}


def verdict(sweep: dict[str, Any]) -> list[str] | str:
    """Return the issues of a sweep, or what is to be said of it all the same."""
    try:
        spec = parse_spec(sweep)
    except SpecError as error:
        return [str(issue)[:SHOWN] for issue in error.issues]
    return warnings_of(spec) or "accepted"


TRAFFIC = {
    "name": "traffic",
    "workloads": {
        "chat": {
            "model": "llama3_8b",
            "batching": "continuous",
            "prompt_tokens": 512,
            "output_tokens": 128,
            "concurrency": 8,
        }
    },
    "space": {"memory_devices": {"values": [8, 16]}},
    "objectives": [{"metric": "chat.goodput_tokens_per_s", "direction": "maximize"}],
    "search": {"sampler": "grid"},
}

SWEEPS: dict[str, dict[str, Any]] = {
    "goals": small(),
    "names_and_numbers": small(),
    "parameters": small(),
    "conditions": small(
        space={"memory_devices": {"values": [2, 3, 4, 5, 6, 7, 8, 9]}, "memory": {"values": ["hbm3", "lpddr5x_9600"]}}
    ),
    "search": small(),
    "layouts": small(),
    "traffic": TRAFFIC,
    "pools": changed(
        TRAFFIC,
        {"workloads": {"chat": {"ttft_limit_ms": 200}}, "deployment": {"prefill": "2x h100_sxm", "decode": "design"}},
    ),
    "formats": small(space={"weight_format": "group_int"}, objectives=minimized("cost_usd")),
    "own_model": small(
        model={"function": "mine:noise", "metrics": {"noise_db": "dB"}}, objectives=minimized("noise_db")
    ),
}
"""The sweep that each group of changes begins from."""


@functools.cache
def _changes() -> dict[str, str]:
    read: dict[str, str] = yaml.safe_load((FOLDER / "changes.yaml").read_text())
    return read


def verdicts(name: str) -> dict[str, list[str] | str]:
    """Return what answers every change of a group."""
    return {
        case: verdict(changed(copy.deepcopy(SWEEPS[name]), yaml.safe_load(case)))
        for case in _changes()[name].splitlines()
    }
