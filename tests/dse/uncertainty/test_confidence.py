"""The weak points of a design."""

import math
from types import SimpleNamespace

from dse.uncertainty import confidence
from dse.uncertainty.sensitivity import Input, Swing
from tests.dse.uncertainty.spreads import spread


def test_a_weak_point_breaks_a_constraint_or_moves_an_objective_by_a_tenth(monkeypatch):
    low, sure = Input((spread("low", sure="low"),)), Input((spread("sure", sure="medium"),))
    swings = [
        Swing(low, "limit", -0.1, 0.0, 1.0), Swing(low, "limit", 0.5, 0.2, -0.1), Swing(sure, "limit", -1.0, 0.5, 1.0),
        Swing(low, "limit", 0.0, 0.1, 0.1), Swing(low, "limit", -0.2, -0.1, 0.5),
        Swing(low, "limit", math.nan, 0.1, -0.1),
        Swing(low, "cost", 90.0, 100.0, 101.0), Swing(low, "cost", 100.0, 100.0, 110.0),
        Swing(sure, "cost", 1.0, 9.0, 99.0),
        Swing(low, "time", -2.0, -1.0, -1.0), Swing(low, "cost", 100.0, 100.0, 150.0),
    ]  # fmt: skip
    monkeypatch.setattr(confidence, "parameters_of", lambda spec, designs: frozenset())
    monkeypatch.setattr(confidence, "swings_of", lambda spec, design, spreads, names: swings if asked(names) else [])
    asked = ["limit", "cost", "time"].__eq__
    metric = SimpleNamespace
    spec = SimpleNamespace(
        parameters={}, library=(), constraints=[metric(label="limit")],
        objectives=[metric(metric="cost"), metric(metric="time"), metric(metric="cost")],
    )  # fmt: skip
    found = confidence.weak_points(spec, {})
    assert [swings.index(point.swing) for point in found] == [0, 1, 5, 9, 10, 6]
    assert [point.breaks for point in found] == [True] * 3 + [False] * 3
