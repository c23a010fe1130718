"""Any two columns of a made-up run against each other."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import LogNorm

from dse.errors import SpecError
from dse.render.plots import pair, style
from dse.render.plots.scene import Limit, Scene
from tests.dse.render.plots.read import entries, hexed, plain_axes, ticks, title, xy

NAN = math.nan


@pytest.fixture
def draw(monkeypatch, shown, tmp_path):
    """A function of a table and of the columns to draw; returns the axes and the figure."""

    def drawn(table, x, y, by=None, **rest):
        frame = pd.DataFrame({"feasible": True, "pareto": False, "margin tdp_w <= 5": 0.5, **table})
        run = SimpleNamespace(name="run", designs=frame, path=Path("here"))
        scene = Scene("run", ("tdp_w",), frozenset(), (), frame, True, frame, **rest)
        monkeypatch.setattr(pair, "scene_of", lambda _: scene)
        (path,) = pair.draw_pair(run, x, y, by, folder=tmp_path, formats=("svg",))
        assert path == tmp_path / f"{'-'.join(filter(None, ['plot', x, y, by]))}.svg"
        return shown[path.stem].axes[0], shown[path.stem]

    return drawn


def test_designs_that_miss_a_constraint_are_hollow_and_one_per_place_is_joined(draw):
    table = {"macs": [3.0, 1.0, 2.0], "tdp_w": [30.0, 10.0, 20.0], "feasible": [True, True, False]}
    axes, figure = draw(table, "macs", "tdp_w")
    joined, met, missed, legend = axes.lines
    assert xy(joined) == [[1, 10], [2, 20], [3, 30]] and joined.get_linestyle() == "-"
    assert xy(met) == [[1, 10], [3, 30]] and xy(missed) == [[2, 20]] and xy(legend) == []
    assert hexed(met.get_color()) == style.BLUE and hexed(missed.get_markerfacecolor()) == "#FFFFFF"
    assert met.get_zorder() > joined.get_zorder() > missed.get_zorder()
    assert entries(figure) == ["designs", "hollow: misses a constraint"]
    assert title(axes) == "run: tdp_w over macs\n2 of 3 kept designs meet every constraint"
    assert axes.get_xlabel().startswith("macs\n") and axes.get_ylabel().startswith("tdp_w [W]\n")
    # Two designs at one place, or a design alone, are no line.
    axes, figure = draw({**table, "macs": [1.0, 1.0, 2.0], "feasible": True}, "macs", "tdp_w")
    assert axes.lines[0].get_linestyle() == "None" and entries(figure) == ["designs"]
    axes, _ = draw({"macs": [1.0], "tdp_w": [5.0]}, "macs", "tdp_w")
    assert axes.lines[0].get_linestyle() == "None"


def test_series_have_a_look_each_up_to_eight(draw):
    table = {"macs": [*range(8)] * 2, "memory": ["b"] * 8 + ["a"] * 8, "tdp_w": np.arange(16.0)}
    axes, figure = draw(table, "macs", "tdp_w", "memory")
    assert entries(figure) == ["memory a", "memory b"] and xy(axes.lines[1])[0] == [0, 8]
    eight = {"macs": [*range(8)] * 2, "tdp_w": np.arange(16.0), "cost_usd": [*range(1000, 1008)] * 2}
    axes, figure = draw(eight, "macs", "tdp_w", "cost_usd")
    assert entries(figure) == [f"cost_usd 1\u2009{k:03}" for k in range(8)]
    met = axes.lines[1::3]
    assert [hexed(line.get_color()) for line in met] == [*style.SERIES]
    assert [line.get_marker() for line in met] == [*style.MARKERS[:8]]
    assert axes.lines[0].get_linestyle() == "None"
    nine = {"macs": [*range(9)] * 9, "tdp_w": np.arange(81.0), "cost_usd": np.repeat(np.arange(9) + 1.0, 9)}
    axes, figure = draw(nine, "macs", "tdp_w", "cost_usd")
    assert len(axes.collections) == 2 and entries(figure) == ["misses a constraint", "meets every constraint"]
    axes = plain_axes()
    frame = pd.DataFrame({**nine, "feasible": True})
    pair._draw_series(axes, frame, ("macs", "tdp_w", "cost_usd"))
    joined = axes.lines[::3]
    assert [hexed(line.get_color()) for line in joined] == [*style.SERIES, style.SERIES[0]]
    dashes = [str(line._dash_pattern) for line in joined]
    assert dashes[:3] == dashes[6:] and len(set(dashes)) == 6
    # Of what misses a constraint, a thousand at even steps.
    axes = plain_axes()
    pair._draw_series(axes, pd.DataFrame({"x": range(1999), "y": 1.0, "feasible": False}), ("x", "y", None))
    assert axes.lines[2].get_xdata().tolist() == [*range(0, 1999, 2)]


def test_many_values_of_the_third_are_a_colour(draw):
    count = 9
    for third, feasible, logarithmic, scale in (
        (np.arange(count) + 2.0, True, (), "linear"),
        (np.arange(count) + 2.0, True, ("cost_usd",), "log"),
        (np.arange(count) + 0.5, True, (), "log"),
        # Only those that meet every constraint count, unless none does.
        (np.arange(count) + 0.5, np.arange(count) > 3, (), "linear"),
        (np.arange(count) + 0.5, False, (), "log"),
    ):
        table = {"macs": range(count), "tdp_w": np.arange(count) + 5.0, "cost_usd": third, "feasible": feasible}
        axes, figure = draw(table, "macs", "tdp_w", "cost_usd", logarithmic=frozenset(logarithmic))
        missed, dots = axes.collections
        met = np.broadcast_to(feasible, count)
        kept = met if met.any() else ~met
        assert [point[0] for point in xy(missed)] == np.arange(count)[~met].tolist()
        assert dots.get_array().tolist() == third[kept].tolist() and isinstance(dots.norm, LogNorm) is (scale == "log")
        assert figure.axes[1].get_ylabel() == "cost_usd [USD]" and dots.get_zorder() > missed.get_zorder()
        assert entries(figure) == ["misses a constraint"] + ["meets every constraint"] * bool(met.any())


def test_names_stand_at_whole_numbers_and_numbers_on_a_scale(draw):
    axes, _ = draw({"memory": ["hbm3", "gddr6", None], "tdp_w": [1.0, 2.0, 30.0]}, "memory", "tdp_w")
    assert ticks(axes.xaxis) == {0: "gddr6", 1: "hbm3"} and xy(axes.lines[0])[:2] == [[0, 2], [1, 1]]
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "log")
    for values, logarithmic, scale in (
        ([1.0, 2.0, 3.0], (), "linear"),
        ([1.0, 2.0, 3.0], ("macs",), "log"),
        ([1.0, 2.0, 3.0], ("tdp_w",), "linear"),
        ([0.0, 2.0, 3.0], ("macs",), "linear"),
        ([NAN, 2.0, 3.0], ("macs",), "log"),
        ([1.0, 2.0, 30.0], (), "log"),
    ):
        axes, _ = draw({"macs": values, "tdp_w": [2.0, 3.0, 4.0]}, "macs", "tdp_w", logarithmic=frozenset(logarithmic))
        assert axes.get_xscale() == scale
    one = pair._place_axis(plain_axes(), "y", pd.Series(["b", "a"]))
    assert one.names == ["a", "b"] and pair._place_axis(plain_axes(), "x", pd.Series([1.0])) is None
    axes = plain_axes()
    axes.set_ylim(-1, 2)
    pair._place_axis(axes, "y", pd.Series(["b", "a"]))
    assert ticks(axes.yaxis) == {0: "a", 1: "b"}


def test_limits_of_both_columns_are_lines(draw):
    limits = {
        "macs": [Limit(2.0, "max", "≤ 2")],
        "chat.tpot_ms": [Limit(3.0, "min", "≥ 3 ms")],
        "tdp_w": [Limit(1, "max", "")],
    }
    axes, figure = draw({"macs": [1.0, 2.0], "chat.tpot_ms": [2.0, 4.0]}, "macs", "chat.tpot_ms", limits=limits)
    across, up = axes.lines[-2:]
    assert (across.get_xdata()[0], up.get_ydata()[0]) == (2, 3)
    assert entries(figure)[1:] == ["macs ≤ 2", "tpot_ms, chat ≥ 3 ms"]


def test_columns_that_are_none_are_all_told(draw):
    table = {"macs": [1.0], "memory": ["a"], "tdp_w": [2.0]}
    with pytest.raises(SpecError) as caught:
        draw(table, "mecs", "pareto", "margin tdp_w <= 5")
    assert [str(issue.place) for issue in caught.value.issues] == ["--by", "--x", "--y"]
    with pytest.raises(SpecError, match="'memory', whose values are names, is not a column of numbers"):
        draw(table, "macs", "memory")
