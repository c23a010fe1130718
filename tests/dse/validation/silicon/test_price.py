"""Costs of modules beside the analysts' ranges."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dse.validation.silicon import price


@pytest.mark.parametrize(
    ("item", "low", "high", "predicted", "error", "inside"),
    [
        ("die", 30, 32, 31.0, 0.0, "yes"), ("die", 31, 40, 31.0, 31 / 35.5 - 1, "yes"),
        ("die", 32, 40, 31.0, 31 / 36 - 1, "no"),
        ("die", 20, 31, 31.0, 31 / 25.5 - 1, "yes"), ("die", 20, 30, 31.0, 31 / 25 - 1, "no"),
        ("memory", 40, 40, 42.0, 0.05, "yes"), ("memory", 47, 47, 42.0, 42 / 47 - 1, "no"),
        ("memory", 46, 46, 42.0, 42 / 46 - 1, "yes"), ("memory", 38, 38, 42.0, 42 / 38 - 1, "no"),
        ("package", 8, 8, 8.0, 0.0, "yes"), ("module", 81, 81, 81.0, 0.0, "yes"),
    ],
)  # fmt: skip
def test_a_cost_lies_inside_the_analysts_range_or_a_tenth_from_one_estimate(
    item, low, high, predicted, error, inside, monkeypatch
):
    blocks = {"die": 30.0, "die_test": 1.0, "memory": 42.0, "package": 5.0, "bond_loss": 3.0, "board": 100.0}
    columns = {name: np.array([7.0, one]) if name != "board" else np.array([one]) for name, one in blocks.items()}
    machine = SimpleNamespace(blocks={"cost_usd": columns})
    monkeypatch.setattr(price, "real_chips", lambda library: SimpleNamespace(table=pd.DataFrame({"chip": ["x", "y"]})))
    monkeypatch.setattr(price, "machines_of", lambda chips, technology: machine)
    entry = {"chip": "y", "item": item, "low_usd": float(low), "high_usd": float(high)}
    monkeypatch.setattr(price, "records", lambda name, library: [entry])
    (found,) = price.price_check(SimpleNamespace(library=None)).to_dict("records")
    assert (found["predicted_usd"], found["in_range"]) == (predicted, inside)
    assert found["error"] == pytest.approx(error)
