"""What a sweep's search makes: budgets, stages, samplers and studies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dse.errors import SpecError
from dse.samplers import base, make_sampler, planned_designs, sampler_of, stage_budgets, study_place, study_place_of
from dse.space import Space
from dse.sweep import parse_spec
from dse.sweep.search import SearchSpec
from tests.dse.samplers.plain import cells, space_of
from tests.sweeps import small


@pytest.mark.parametrize(
    ("count", "fine"), [(0, False), (1, True), (base.MAX_DESIGNS, True), (base.MAX_DESIGNS + 1, False)]
)
def test_budgets_are_begun_up_to_a_size(count: int, fine: bool) -> None:
    space = space_of(clock_ghz={"low": 0.5, "high": 1.5})
    if fine:
        assert make_sampler("random", space, n_designs=count, seed=0, n_objectives=2).total == count
    else:
        with pytest.raises(SpecError, match="needs n_designs" if count < 1 else "are more than the 100,000,000,000"):
            make_sampler("random", space, n_designs=count, seed=0, n_objectives=2)


def test_stages_share_a_budget() -> None:
    assert stage_budgets(["sobol"], 100, {}) == [100]
    assert stage_budgets(["a", "b"], 100, {"shares": [0.25, 0.75]}) == [25, 75]
    assert stage_budgets(["a", "b"], 10, {"shares": [0.01, 0.99]}) == [1, 10]
    assert stage_budgets(["a", "b", "c"], 10**7, {}) == [9_500_000, 250_000, 250_000]
    space = space_of(clock_ghz={"low": 0.5, "high": 1.5, "levels": 8})
    for sampler, shares, planned in (
        ("sobol", None, 128), ("random", None, 100), ("evolve", None, 100), ("sobol+evolve", [0.3, 0.7], 32 + 70),
        ("random+evolve", [0.3, 0.7], 30 + 70),
    ):  # fmt: skip
        options = {"shares": shares} if shares else {}
        search = SearchSpec(sampler=sampler, n_designs=100, options=options)
        assert planned_designs(search, space) == planned, sampler
    assert planned_designs(SearchSpec(sampler="grid", n_designs=100), space) == 8
    assert planned_designs(SearchSpec(sampler="grid"), space) == 8


def test_the_sampler_and_the_study_of_a_sweep() -> None:
    space = {"clock_ghz": {"low": 0.5, "high": 1.5}, "macs": {"low": 1024, "high": 4096}}
    search = {"sampler": "random", "n_designs": 40, "seed": 6}
    spec = parse_spec(small(space=space, search=search))
    made: Any = sampler_of(spec, Space(spec))
    assert cells(made.ask(40)) == cells(Space(spec).decode(np.random.default_rng(6).random((40, 2))))
    assert study_place(spec) is None
    search = {"sampler": "tpe", "n_designs": 40, "storage": "sqlite:///a.db"}
    goals = [
        {"metric": "cost_usd", "direction": "minimize"}, {"metric": "chat.tokens_per_joule", "direction": "maximize"},
    ]  # fmt: skip
    for asked, name, join in (({}, "small", False), ({"study": "mine", "join": True}, "mine", True)):
        spec = parse_spec(small(space=space, search={**search, **asked}, objectives=goals))
        place = study_place(spec)
        assert place is not None
        assert (place.url, place.name, place.join, place.sweep) == ("sqlite:///a.db", name, join, "small")
        assert place.question == spec.question and place.metrics == ("cost_usd", "chat.tokens_per_joule")
        assert place.directions == ("minimize", "maximize") and place.signs.tolist() == [1, -1]
    assert study_place_of(spec, "journal:x", name="other").join is False


def test_later_stages_must_be_told_of_a_whole_grid() -> None:
    space = space_of(clock_ghz={"low": 0.5, "high": 1.5, "levels": 8})
    options = {"shares": [0.5, 0.5], "grid": {"prune": True}}
    with pytest.raises(SpecError, match=r"search\.options\.grid\.prune: the later stages must be told"):
        make_sampler("grid+evolve", space, n_designs=40, seed=0, n_objectives=2, options=options)
    options["grid"] = {"prune": False}
    made = make_sampler("grid+evolve", space, n_designs=40, seed=0, n_objectives=2, options=options)
    assert made.describe()[0] == "8 + 20 designs in 2 stages" and made.total == 28
