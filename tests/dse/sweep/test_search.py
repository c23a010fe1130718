"""How a sweep is searched: samplers, chains of them and their options, just inside and outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dse.sweep.search import ChainOptions, EvolveOptions, OptunaOptions, SearchSpec, is_optuna, options_kind, stages_of
from tests.dse.sweep.faults import assert_ends, says

ENDS = (
    (EvolveOptions, "population", (4, 100_000), (3, 100_001, 4.5)),
    (EvolveOptions, "crossover_probability", (0, 1), (-0.01, 1.01)),
    (EvolveOptions, "crossover_eta", (1e-3, 900), (0, -1)), (EvolveOptions, "mutation_eta", (1e-3, 900), (0, -1)),
    (EvolveOptions, "mutation_probability", (0, 1), (-0.01, 1.01)),
    (EvolveOptions, "algorithm", ("nsga2", "nsga3"), ("nsga", 2)), (OptunaOptions, "batch", (1, 50), (0, 1.5)),
)  # fmt: skip


def test_a_number_is_taken_up_to_its_ends() -> None:
    assert_ends(ENDS)
    assert EvolveOptions().model_dump() == {
        "algorithm": "nsga2", "population": None, "crossover_probability": 0.9, "crossover_eta": 15.0,
        "mutation_eta": 20.0, "mutation_probability": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"sampler": "grid"}, ""), ({"sampler": "sobol"}, "n_designs is missing; only the sampler grid can do without"),
        ({"sampler": "sobol", "n_designs": 1}, ""), ({"sampler": "sobol", "n_designs": 0}, "0 is not at least 1"),
        ({"sampler": "sobol + evolve", "n_designs": 9}, ""), ({"sampler": "evolve+sobol",
        "n_designs": 9}, "'sobol' takes nothing over"),
        ({"sampler": "random+optuna:TPESampler", "n_designs": 9}, ""), ({"sampler": "evolve+evolve",
        "n_designs": 9}, "'evolve' stands twice"),
        ({"sampler": "optuna:Nothing", "n_designs": 9}, "'optuna:Nothing' is not optuna:TPESampler"),
        ({"sampler": 7}, "7 is not grid"),
        ({"sampler": "tpe", "n_designs": 9, "storage": "a.log"}, ""), ({"sampler": "sobol", "n_designs": 9,
        "storage": "a.log"}, "a storage goes with"),
        ({"sampler": "tpe+nsgaii", "n_designs": 9, "storage": "a.log"}, "a storage goes with"),
        ({"sampler": "tpe", "n_designs": 9, "study": "s"}, "study goes with a storage"),
        ({"sampler": "tpe", "n_designs": 9, "join": True}, "join goes with a storage"),
        ({"sampler": "tpe", "n_designs": 9, "join": False}, ""),
        ({"sampler": "tpe", "n_designs": 9, "study": "s", "join": True, "storage": "a.log"}, ""),
        ({"sampler": "sobol+evolve", "n_designs": 9,
        "options": {"shares": [1]}}, "options.shares has 1 entries for 2 stages"),
        ({"sampler": "sobol+evolve", "n_designs": 9, "options": {"shares": [0.5, 0.5]}}, ""),
        ({"sampler": "evolve", "n_designs": 9, "options": {"shares": [1, 2]}}, ""), ({"sampler": "grid",
        "options": [1]}, "a list is not a mapping"),
    ],
)  # fmt: skip
def test_a_search_is_what_its_sampler_can_do(fields: Any, told: str) -> None:
    found = says(SearchSpec, **fields)
    assert found == told if not told else found.startswith(told)


@pytest.mark.parametrize(
    ("shares", "fine"),
    [([0.5, 0.5], True), ([0.5, 0.5 + 0.9e-6], True), ([0.5, 0.5 - 0.9e-6], True), ([0.5, 0.5 + 1.1e-6], False),
    ([1.0, 0.0], False),
     ([1.5, -0.5], False), ([True], False), ([1], True), ("all", False), (0.5, False), (["1"], False)],
)  # fmt: skip
def test_shares_add_up_to_the_whole(shares: Any, fine: bool) -> None:
    assert (says(ChainOptions, shares=shares) == "") == fine


def test_names_of_samplers_are_told_apart() -> None:
    assert [is_optuna(name) for name in ("tpe", "optuna:TPESampler", "evolve", "tpe+nsgaii", "optuna:A+tpe")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert stages_of(" sobol + evolve") == ("sobol", "evolve") and stages_of("grid") == ("grid",)
    kinds = {
        "grid": "Grid",
        "evolve": "Evolve",
        "sobol": "Sampler",
        "random": "Sampler",
        "tpe": "Optuna",
        "optuna:X": "Optuna",
    }
    assert {name: options_kind(name).__name__ for name in kinds} == {name: f"{k}Options" for name, k in kinds.items()}


def test_every_rule_of_a_search_answers_as_it_did(answers_as_stored: Callable[[str], None]) -> None:
    answers_as_stored("search")
