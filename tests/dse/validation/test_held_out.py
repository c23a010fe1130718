"""Rows predicted by constants that do not know them."""

import pandas as pd

from dse.validation import held_out
from tests.dse.validation.told import Told

ROW = {"chip": "x", "source": "s", "stack": "vllm", "model": "m", "measured_s": 1.0}


def test_rows_are_predicted_by_the_constants_of_their_fold(monkeypatch):
    folds = {("chip", "x", "vllm"): {"a": 2.0}, ("chip", "y", "vllm"): {"a": 3.0}, ("source", "s", "ideal"): {"a": 5.0}}
    monkeypatch.setattr(held_out, "_folds", lambda library: folds)
    monkeypatch.setattr(
        held_out, "predict", lambda rows, told, *, stack, bounds: rows.assign(predicted_s=told.get("a", 1.0))
    )
    monkeypatch.setattr(held_out, "generic_stack", lambda chip, library: "ideal")
    rows = pd.DataFrame([ROW, ROW | {"chip": "z"}, ROW | {"chip": "y", "source": "t"}, ROW | {"stack": "other"}])
    found = held_out.unseen_chips(rows, Told())
    assert found["predicted_s"].to_dict() == {0: 2.0, 2: 3.0}, "a chip that alone made its stack has no prediction"
    sources = held_out.unseen_sources(rows, Told())
    assert sources["predicted_s"].to_dict() == {0: 5.0, 1: 5.0, 3: 5.0, 2: 1.0} and set(sources["stack"]) == {"ideal"}
    assert not len(held_out.unseen_chips(rows[1:2], Told())) and not len(held_out.unseen_chips(rows[:0], Told()))


def test_energy_is_predicted_by_the_constants_of_its_fold(monkeypatch):
    monkeypatch.setattr(held_out, "_power_folds", lambda library: {("chip", "x"): {"a": 2.0}})

    def served(part, told):
        value = told.get("a", 1.0)
        return part.assign(predicted_s=value, predicted_j=2 * value, predicted_w=3 * value)

    monkeypatch.setattr(held_out.power, "served_power", served)
    rows = pd.DataFrame([ROW, ROW | {"chip": "y"}, ROW | {"model": "n"}])
    found = held_out.unseen_power(rows, "chip", Told()).sort_index()
    assert found["predicted_w"].tolist() == [6.0, 3.0, 6.0] and found["predicted_j"].tolist() == [4.0, 2.0, 4.0]
    assert len(held_out.unseen_power(rows[:0], "chip", Told())) == 0
