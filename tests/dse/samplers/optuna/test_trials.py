"""Parameters as distributions, designs as trials and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cost_models.table import cells_of
from dse.samplers.optuna.trials import designs_of_trials, parameter_distributions, trial_parameters
from dse.space import Space
from dse.sweep import parse_spec
from tests.dse.samplers.plain import space_of
from tests.sweeps import small


@pytest.mark.parametrize(
    ("axis", "kind", "cells"),
    [
        ({"values": [1024, 2048]}, "Categorical", {"choices": (1024, 2048)}),
        ({"low": 1024, "high": 4096, "step": 1024}, "Int", {"low": 1024, "high": 4096, "step": 1024, "log": False}),
        ({"low": 1024, "high": 4100, "step": 1024}, "Int", {"low": 1024, "high": 4096, "step": 1024}),
        ({"low": 1024, "high": 4096}, "Int", {"low": 1024, "high": 4096, "step": 1, "log": False}),
        ({"low": 1024, "high": 4096, "log": True}, "Int", {"log": True, "step": 1}),
        ({"low": 1024, "high": 4096, "log": True, "levels": 3}, "Int", {"log": True, "low": 1024, "high": 4096}),
    ],
)  # fmt: skip
def test_a_parameter_is_the_distribution_that_the_sweep_declares(
    axis: dict[str, Any], kind: str, cells: dict[str, Any]
) -> None:
    space = space_of(macs=axis)
    (found,) = parameter_distributions(space).values()
    assert type(found).__name__ == f"{kind}Distribution"
    assert {name: getattr(found, name) for name in cells} == cells


def test_designs_are_trials_and_trials_are_designs() -> None:
    space = Space(parse_spec(small()))
    designs = space.decode(np.random.default_rng(0).random((40, len(space.dimensions))))
    distributions = parameter_distributions(space)
    assert set(distributions) == set(space.parameters) - set(space.fixed)
    trials = trial_parameters(distributions, designs)
    for name, distribution in distributions.items():
        column = cells_of(designs[name])
        for trial, cell in zip(trials, column, strict=True):
            assert trial.get(name) == cell and (name in trial) == (cell is not None)
            if cell is not None:
                assert distribution._contains(distribution.to_internal_repr(trial[name]))
                whole = type(distribution).__name__ == "IntDistribution"
                assert not whole or type(trial[name]) is int
                choices = getattr(distribution, "choices", ())
                assert not choices or type(trial[name]) in {type(choice) for choice in choices}
    back = designs_of_trials(space, trials)
    for name in space.parameters:
        assert cells_of(back[name]) == cells_of(designs[name]), name
    assert trial_parameters(distributions, designs.take(slice(0, 0))) == []
