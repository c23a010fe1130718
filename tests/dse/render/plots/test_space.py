"""Which parameters decide, as a table of made-up shares; when the growth of a front has marks."""

import math
from types import SimpleNamespace

import pandas as pd
import pytest

from cost_models.quantities.metrics import METRICS
from dse.render.plots import space
from tests.dse.render.plots.read import ticks, title, xy

NAN = math.nan


def test_parameters_that_decide_most_stand_on_top(monkeypatch, shown, tmp_path):
    rows = [("macs", "tdp_w", 0.2), ("memory", "tdp_w", 0.55), ("dies", "tdp_w", 0.004), ("macs", "cost_usd", NAN),
            ("memory", "cost_usd", 0.56), ("dies", "cost_usd", 0.005)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["parameter", "metric", "total_order"])
    monkeypatch.setattr("dse.space.Space", lambda spec: SimpleNamespace(dimensions=spec.dimensions))
    monkeypatch.setattr(space, "write_sensitivity", lambda spec, path: table)
    run = SimpleNamespace(name="run", spec=SimpleNamespace(dimensions=["macs"], metrics=METRICS), path=tmp_path)
    assert space.draw_sensitivity(run, tmp_path, ["svg"]) == [tmp_path / "sensitivity.svg"]
    axes, bar = shown["sensitivity"].axes
    (image,) = axes.images
    assert image.get_array().filled(-1).tolist() == [[0.55, 0.56], [0.2, -1], [0.004, 0.005]]
    assert image.get_clim() == (0, 1) and axes.get_aspect() == "auto"
    assert ticks(axes.xaxis) == {0: "tdp_w [W]", 1: "cost_usd [USD]"}
    assert ticks(axes.yaxis) == {0: "memory", 1: "macs", 2: "dies"}
    # Shares from half a per cent on, dark on light beyond 0.55.
    cells = {text.get_position(): (text.get_text(), text.get_color()) for text in axes.texts}
    assert cells == {
        (0, 0): ("0.55", "white"), (1, 0): ("0.56", "black"), (0, 1): ("0.20", "white"), (1, 1): ("–", "white"),
        (0, 2): ("", "white"), (1, 2): ("0.01", "white"),
    }  # fmt: skip
    assert {(text.get_ha(), text.get_va()) for text in axes.texts} == {("center", "center")}
    assert bar.get_ylabel() == "share of the variance, interactions included"
    assert not any(line.get_visible() for line in (*axes.get_xgridlines(), *axes.get_ygridlines()))
    assert title(axes) == "run: which parameters decide, over the whole space"
    run.spec.dimensions = []
    assert space.draw_sensitivity(run, tmp_path, ["svg"]) == []


def test_names_are_broken_behind_underscores_commas_and_dots():
    for name, text in (
        ("tdp_w [W]", "tdp_w [W]"),
        ("memory_device_gib [GiB]", "memory_device_\ngib [GiB]"),
        ("tpot_ms, chat [ms]", "tpot_ms, chat\n[ms]"),
        ("technology.tco.pue", "technology.\ntco.pue"),
        # Fourteen letters have room.
        ("twelve_twelve_x", "twelve_twelve_\nx"),
        ("twelve_fifteenx", "twelve_\nfifteenx"),
    ):
        assert space._broken(name) == text
    assert space._broken("a_b_c", width=2) == "a_\nb_\nc"


def test_few_steps_of_a_search_have_marks(shown, tmp_path):
    for rows, mark in (([(10 * k, k, 0.1 + k) for k in range(1, 20)], "o"), ([(10, 1, 0.1), (20, 2, 0.2)], "o")):
        progress = pd.DataFrame(rows, columns=["evaluated", "front", "hypervolume"])
        run = SimpleNamespace(name="run", manifest={"sampler": "nsgaii", "seed": 3}, progress=progress)
        assert space.draw_hypervolume(run, tmp_path, ["svg"])
        share, count = shown["hypervolume"].axes
        assert count.spines["right"].get_visible()
        assert share.lines[0].get_marker() == mark and xy(share.lines[0])[-1] == [rows[-1][0], pytest.approx(100)]
