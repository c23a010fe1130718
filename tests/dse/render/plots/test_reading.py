"""What the plots read of a run that is made up."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cost_models.quantities.metrics import METRICS
from dse.render.plots import reading
from dse.sweep import FixedSpec, parse_spec
from tests.sweeps import tiny

NAN = math.nan


def stored(designs, *, feasible=True, judged=None, picks=(), **changes):
    frame = pd.DataFrame(designs)
    front = frame[frame["pareto"]] if "pareto" in frame else frame
    spec = parse_spec(tiny(**changes))
    return SimpleNamespace(name="run", spec=spec, designs=frame, front=front, found_feasible=feasible, picks=picks,
                           baselines=pd.DataFrame(judged or {}))  # fmt: skip


def test_a_scene_holds_the_front_other_designs_and_what_the_sweep_says():
    designs = {"id": [1, 2, 3, 4], "feasible": [True, True, False, True], "pareto": [True, False, False, False]}
    judged = {"baseline": ["a", "b"], "chat.tpot_ms": [10.0, NAN], "cost_usd": ["7", "8"], "node": ["x", "y"]}
    picks = [{"name": "knee", "id": 1, "metrics": {"chat.tpot_ms": 3.0}, "design": {"macs": 8192}}]
    run = stored(
        designs, judged=judged, picks=picks,
        space={**tiny()["space"], "kv_bits": 8, "node": "tsmc_5"},
        constraints=[{"metric": "chat.tpot_ms", "max": 20}, {"metric": "chat.tpot_ms", "max": 0.5, "relative_to": "b"},
                     {"metric": "tdp_w", "min": 5, "max": 200}],
        baselines={"a": {"chips": "1x a100_80gb_sxm"}, "b": {"chips": "1x h100_sxm"}},
    )  # fmt: skip
    scene = reading.scene_of(run)
    assert (scene.name, scene.objectives, scene.maximised) == (
        "run", ("chat.tpot_ms", "chat.tokens_per_joule"), {"chat.tokens_per_joule"},
    )  # fmt: skip
    assert scene.front["id"].tolist() == [1] and scene.others["id"].tolist() == [2, 4] and scene.feasible
    assert scene.parameters == tuple(tiny()["space"]) and scene.logarithmic == {"macs"}
    assert scene.shared == {"kv_bits": 8, "node": "tsmc_5"}
    assert [(pick.text, dict(pick.values)) for pick in scene.picks] == [("knee", {"chat.tpot_ms": 3.0, "macs": 8192})]
    assert scene.baselines["a"] == {"chat.tpot_ms": 10, "cost_usd": 7} and math.isnan(
        scene.baselines["b"]["chat.tpot_ms"]
    )
    # A limit relative to what is not known is none.
    assert {name: [limit.text for limit in limits] for name, limits in scene.limits.items()} == {
        "chat.tpot_ms": ["≤ 20 ms"], "tdp_w": ["≤ 200 W", "≥ 5 W"],
    }  # fmt: skip
    assert reading._baselines(stored(designs)) == {}


def test_where_nothing_is_feasible_the_least_violations_with_values_are_the_front():
    count = 70
    designs = {
        "id": np.arange(count), "feasible": False, "pareto": False, "violation": np.arange(count)[::-1] // 2,
        "chat.tpot_ms": [1.0] * (count - 1) + [NAN], "chat.tokens_per_joule": [NAN] + [1.0] * (count - 1),
    }  # fmt: skip
    scene = reading.scene_of(stored(designs, feasible=False))
    # Of equal violations the first number; the last and the first lack an objective.
    wanted = sorted(range(1, count - 1), key=lambda k: ((count - 1 - k) // 2, k))[: reading.MAX_MISSES]
    assert scene.front["id"].tolist() == wanted and not scene.feasible and scene.others.empty


def test_what_varies_and_what_counts_in_ratios():
    spec = parse_spec(tiny(space={**tiny()["space"], "kv_bits": 8}))
    assert [name for name, entries in spec.space.items() if not reading._varies(entries)] == ["kv_bits"]
    fixed = FixedSpec.model_construct(value=1)
    assert reading._varies((fixed, fixed)) and not reading._varies((fixed,)) and reading._varies((object(),))
    assert [name for name, entries in spec.space.items() if reading.counts_in_ratios(entries)] == ["macs"]


def test_limits_stand_in_the_unit_of_their_metric():
    def limits(**fields):
        none = dict.fromkeys(("max", "min", "near", "within", "relative_to"))
        constraint = SimpleNamespace(**{**none, "metric": "chat.tpot_ms", **fields})
        found = reading.limits_of(constraint, METRICS, {"a100": {"chat.tpot_ms": 10.0}})
        return [(pytest.approx(one.value), one.side, one.text) for one in found]

    assert limits(min=3.0, max=40.0) == [(40, "max", "≤ 40 ms"), (3, "min", "≥ 3 ms")]
    assert limits(max=0.5, relative_to="a100") == [(5, "max", "≤ 5 ms (0.5x a100)")]
    assert limits(near=10.0, within=0.25) == [(12.5, "max", "≤ 12.5 ms"), (7.5, "min", "≥ 7.5 ms")]
    assert limits(max=0.5, relative_to="unknown") == limits(near=10.0) == limits(within=0.1, metric="macs") == []
