"""What every rule of a sweep says on both sides of its edge: small changes of sweeps, and the words that answer them.

The words were read when they were stored; `pytest --force-regen` writes them anew after a change that is meant.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from dse.errors import SpecError
from dse.sweep import parse_spec
from dse.sweep.notices import warnings_of
from dse.sweep.search import EvolveOptions
from tests.sweeps import TEXT, minimized, small

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


@pytest.mark.parametrize("name", SWEEPS)
def test_every_rule_answers_as_it_did(name: str, data_regression: Any) -> None:
    cases = yaml.safe_load(Path(__file__).with_name("verdicts.yaml").read_text())[name].splitlines()
    data_regression.check(
        {case: verdict(changed(copy.deepcopy(SWEEPS[name]), yaml.safe_load(case))) for case in cases}, basename=name
    )


def test_defaults_are_those_that_users_know(data_regression: Any) -> None:
    """Results change in silence where a default does."""
    spec = parse_spec(changed(yaml.safe_load(TEXT), {"robustness": {}}))
    resolved = spec.resolved()
    rest = {key: one for key, one in resolved.items() if key not in ("space", "economics", "technology")}
    data_regression.check({**rest, "evolve": EvolveOptions().model_dump()})
