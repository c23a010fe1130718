"""What constraints ask of time, in seconds."""

from types import SimpleNamespace

import pytest

from dse.analysis.require.targets import bounds_of, targets_of
from dse.sweep import ConstraintSpec


def bound(metric, **sides):
    return ConstraintSpec.model_construct(metric=metric, **sides)


def evaluator(*constraints):
    workloads = {
        "chat": SimpleNamespace(batch=4, output_tokens=100), "auto": SimpleNamespace(batch="max", output_tokens=100),
    }  # fmt: skip
    spec = SimpleNamespace(constraints=constraints, workloads=workloads)
    return SimpleNamespace(spec=spec, baselines={"pair": {"chat.tpot_ms": 30.0, "chat.tokens_per_s": 20.0, "x": -5.0}})


@pytest.mark.parametrize(
    ("sides", "ends"),
    [
        ({"max": 4.0}, (None, 4)), ({"min": 4.0}, (4, None)), ({"min": 2.0, "max": 4.0}, (2, 4)),
        ({"near": 10.0, "within": 0.25}, (7.5, 12.5)), ({"near": -10.0, "within": 0.25}, (-12.5, -7.5)),
        ({"max": 2.0, "relative_to": "pair"}, (None, 60)), ({"min": 0.5, "relative_to": "pair"}, (15, None)),
        ({"near": 2.0, "within": 0.25, "relative_to": "pair"}, (45, 75)),
    ],
)  # fmt: skip
def test_bounds_are_in_the_unit_of_the_metric(sides, ends):
    assert bounds_of(bound("chat.tpot_ms", **sides), evaluator()) == ends


@pytest.mark.parametrize(
    ("metric", "sides", "target"),
    [
        ("chat.tpot_ms", {"max": 40.0}, ("step", 0.04)),
        ("chat.ttft_ms", {"max": 2000.0}, ("prompt", 2.0)),
        ("chat.request_s", {"max": 9.0}, ("request", 9.0)),
        ("chat.tokens_per_s", {"min": 80.0}, ("step", 4 / 80)),
        ("chat.tokens_per_s_end_to_end", {"min": 50.0}, ("request", 4 * 100 / 50)),
        ("chat.tpot_ms", {"near": 40.0, "within": 0.1}, ("step", 0.044)),
        ("chat.tokens_per_s", {"near": 80.0, "within": 0.25}, ("step", 4 / 60)),
        ("chat.tpot_ms", {"max": 2.0, "relative_to": "pair"}, ("step", 0.06)),
        ("chat.tokens_per_s", {"min": 2.0, "relative_to": "pair"}, ("step", 0.1)),
        # Time of what the memory holds is time, a rate of it is none.
        ("auto.tpot_ms", {"max": 40.0}, ("step", 0.04)),
        ("auto.tokens_per_s", {"min": 80.0}, None),
        ("chat.tpot_ms", {"min": 40.0}, None),
        ("chat.tokens_per_s", {"max": 80.0}, None),
        ("chat.tokens_per_s", {"min": 0.0}, None),
        ("chat.tokens_per_s", {"min": 0.5}, ("step", 8.0)),
        ("chat.decode_w", {"max": 80.0}, None),
        ("tdp_w", {"max": 80.0}, None),
        ("none.tpot_ms", {"max": 40.0}, None),
    ],
)
def test_a_constraint_on_time_or_rate_is_a_most_of_seconds(metric, sides, target):
    # What says nothing of time hides nothing that comes after it.
    asked = bound(metric, **sides), bound("chat.ttft_ms", max=1000.0)
    found = [(one.workload, one.span, one.seconds, one.label) for one in targets_of(evaluator(*asked))]
    own = [] if target is None else [(metric.partition(".")[0], target[0], pytest.approx(target[1]), asked[0].label)]
    assert found == [*own, ("chat", "prompt", 1.0, asked[1].label)]
