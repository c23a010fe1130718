"""Intervals and tornados of tables of a few made-up designs."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cost_models.quantities.metrics import METRICS
from dse.render.plots import robustness, style
from tests.dse.render.plots.read import bar, entries, hexed, plain_axes, ticks, title, xy

NAN = math.nan


def limit(metric, *, most=None, least=None, relative_to=None):
    label = f"{metric} <= {most}" if most is not None else f"{metric} >= {least}"
    return SimpleNamespace(metric=metric, max=most, min=least, relative_to=relative_to, label=label)


def run_with(*constraints, objectives=("tdp_w",)):
    wanted = [SimpleNamespace(metric=name) for name in objectives]
    return SimpleNamespace(name="r", spec=SimpleNamespace(objectives=wanted, constraints=constraints, metrics=METRICS))


def designs_with(count, **columns):
    ends = {f"tdp_w{end}": 10.0 + k for k, end in enumerate(("", " p10", " p50", " p90"))}
    chances = {"p_feasible": 0.5, "nondominated_fraction": 0.25, "picks": NAN, "front": True}
    table = pd.DataFrame({"id": range(count), **chances, **ends})
    return table.astype({"picks": object}).assign(**columns)


def test_the_hardest_limit_is_missed_in_most_of_the_draws():
    designs = designs_with(2, **{
        "p die_mm2 <= 5": [0.5, 0.7], "die_mm2 p50": 1.0, "p cost_usd <= 5": [0.1, 0.3], "cost_usd p50": 1.0,
        "p cost_usd >= 1": [1.0, 1.0], "p tdp_w <= 5": [0.0, 0.0], "p chat.tpot_ms <= 5": [0.0, 0.0],
    })  # fmt: skip
    limits = [limit("die_mm2", most=5), limit("cost_usd", most=5), limit("cost_usd", least=1), limit("tdp_w", most=5),
              limit("chat.tpot_ms", most=5), limit("absent", most=5)]  # fmt: skip
    # 0.8 of the draws miss the cost, its other limit none; what has no percentiles or is drawn anyway does not count.
    assert robustness._hardest(run_with(*limits), designs, but=["tdp_w"]) == "cost_usd"
    assert robustness._hardest(run_with(limits[0], limits[1]), designs, but=["cost_usd"]) == "die_mm2"
    assert robustness._hardest(run_with(*limits[3:]), designs, but=["tdp_w"]) == ""
    even = designs.assign(**{"p die_mm2 <= 5": 1.0})
    assert robustness._hardest(run_with(limits[0]), even, but=[]) == "die_mm2"


def test_designs_are_called_by_what_they_were_picked_for():
    for picks, front, words in (
        ("best_chat.tpot_ms knee", True, "best tpot_ms, knee  7"),
        ("nearest_to_targets best_cost_usd", False, "nearest to targets, best cost_usd  7"),
        (NAN, True, "front  7"),
        (NAN, False, "infeasible  7"),
    ):
        assert robustness._design_words(pd.Series({"picks": picks, "front": front, "id": 7}, dtype=object)) == words


def test_an_interval_has_its_median_the_typical_value_and_limits():
    axes, rows = plain_axes(), np.arange(2)
    shown = designs_with(
        2, **{"tdp_w": [11.0, 12.0], "tdp_w p10": [1.0, 3.0], "tdp_w p50": [2.0, 4.0], "tdp_w p90": [8.0, NAN]}
    )
    limits = [limit("tdp_w", most=20.0), limit("tdp_w", least=0.5), limit("tdp_w", most=9.0, relative_to="a100"),
              limit("die_mm2", most=7.0)]  # fmt: skip
    robustness._draw_interval(axes, shown, rows, "tdp_w", run_with(*limits))
    spans = [segment.tolist() for segment in axes.collections[0].get_segments()]
    assert spans == [[[1, 0], [8, 0]], []]
    median, typical, most, least, shape = axes.lines
    assert xy(median) == [[2, 0], [4, 1]] and xy(typical) == [[11, 0], [12, 1]] and xy(shape) == []
    assert [line.get_label() for line in axes.lines] == ["P50", "typical parameters", "limit", "limit", "P10 to P90"]
    assert [line.get_xdata()[0] for line in (most, least)] == [20, 0.5] and median.get_linestyle() == "None"
    assert axes.get_xlabel() == "tdp_w [W]" and not any(line.get_visible() for line in axes.get_ygridlines())
    # In ratios where the ends are over eight times apart and none is zero or below.
    for low, high, scale in ((1.0, 8.0, "linear"), (1.0, 8.1, "log"), (0.0, 8.1, "linear"), (-1.0, 9.0, "linear"),
                             (2.0, 16.0, "linear"), (2.0, 16.1, "log"), (NAN, NAN, "linear")):  # fmt: skip
        axes = plain_axes()
        table = designs_with(2, **{"tdp_w p10": low, "tdp_w p90": high})
        robustness._draw_interval(axes, table, rows, "tdp_w", run_with())
        assert axes.get_xscale() == scale, (low, high)


def test_chances_are_shares_of_the_draws():
    axes = plain_axes()
    shown = designs_with(2, p_feasible=[0.25, 1.0], nondominated_fraction=[0.0, 0.5])
    robustness._draw_chances(axes, shown, np.arange(2))
    assert [bar(patch)[2] for patch in axes.patches] == [25, 100] and xy(axes.lines[0]) == [[0, 0], [50, 1]]
    assert all(0.5 < patch.get_height() < 1 for patch in axes.patches)
    assert axes.get_xlim() == (0, 100) and not axes.lines[0].get_clip_on()
    assert ticks(axes.yaxis) == {0: "front  0", 1: "front  1"} and axes.lines[0].get_linestyle() == "None"
    assert not any(line.get_visible() for line in axes.get_ygridlines())
    assert axes.get_legend_handles_labels()[1] == ["no other is better", "meets every target"]


def test_the_likeliest_designs_and_the_picks_are_drawn(shown, tmp_path):
    # Of 14, those with the ten greatest chances, of equal ones those that fewer others beat; and a pick.
    chances = [0.1, 0.2, 0.3, 0.3, *np.linspace(0.4, 0.9, 10)]
    designs = designs_with(
        14, p_feasible=chances, nondominated_fraction=[0, 0, 0.2, 0.1] + 10 * [0], picks=["knee"] + 13 * [NAN]
    )
    area = {"p die_mm2 <= 5": 0.5, "die_mm2": 1.0, "die_mm2 p10": 1.0, "die_mm2 p50": 2.0, "die_mm2 p90": 3.0}
    designs = designs.drop(index=13).assign(**area)
    run = run_with(limit("die_mm2", most=5), objectives=["tdp_w"])
    paths = robustness._draw_intervals(run, designs, {"draws": 64}, tmp_path, ["svg"])
    figure = shown["robust_intervals"]
    chances, power, area = figure.axes
    assert paths == [tmp_path / "robust_intervals.svg"] and (power.get_xlabel(), area.get_xlabel()) == (
        "tdp_w [W]",
        "die_mm2 [mm²]",
    )
    assert [text.get_text() for text in chances.get_yticklabels()] == ["knee  0"] + [
        f"front  {k}" for k in (2, *range(4, 13))
    ]
    assert chances.get_shared_y_axes().joined(chances, area)
    assert figure._suptitle.get_text() == "r: 11 of 13 designs under 64 Monte Carlo samples of the ranged parameters"
    assert 0 <= figure._suptitle.get_position()[0] < 0.1
    words = ["P50", "typical parameters", "P10 to P90", "no other is better", "meets every target"]
    assert entries(figure) == [*words[:3], "limit", *words[3:]]
    robustness._draw_intervals(run_with(objectives=["tdp_w"]), designs, {"draws": 64}, tmp_path, ["svg"])
    assert len(shown["robust_intervals"].axes) == 2 and entries(shown["robust_intervals"]) == words


def inputs_of(metric, count, **columns):
    values = {"at_typical": 10.0, "at_low": 8.0, "at_high": 13.0, "variance_fraction": 0.5}
    names = [f"i{k}" for k in range(count)]
    return pd.DataFrame({"metric": metric, "input": names, "confidence": "guess", **values}).assign(**columns)


def test_bars_reach_from_the_typical_value_to_the_ends():
    axes = plain_axes()
    table = inputs_of("tdp_w", 5, at_low=[8.0, 12.0, 9.0, NAN, 9.0], at_high=[13.0, 7.0, 9.5, 11.0, 10.0],
                      variance_fraction=[0.5, 1.2, -0.1, 0.0049, 0.005])  # fmt: skip
    robustness._draw_bars(axes, table, "tdp_w", run_with())
    lows, highs = axes.patches[:5], axes.patches[5:]
    for patches, lengths, colour in (
        (lows, [-2, 2, -1, NAN, -1], style.BLUE),
        (highs, [3, -3, -0.5, 1, 0], style.ORANGE),
    ):
        assert [patch.get_width() for patch in patches] == pytest.approx(lengths, nan_ok=True)
        assert {patch.get_x() for patch in patches} == {10} and hexed(patches[0].get_facecolor()) == colour
        # The first on top.
        assert [patch.get_y() + patch.get_height() / 2 for patch in patches] == pytest.approx([4, 3, 2, 1, 0])
        assert 0.5 < patches[0].get_height() < 1
    assert axes.lines[0].get_xdata()[0] == 10
    # Shares of half a per cent or more, right of what reaches farthest.
    assert [(text.get_text(), text.xy, text.xyann) for text in axes.texts] == [
        ("50 %", (13, 4), (4, 0)), ("100 %", (12, 3), (4, 0)), ("0 %", (10, 0), (4, 0)),
    ]  # fmt: skip
    assert ticks(axes.yaxis) == {4 - k: f"i{k}  (guess)" for k in range(5)}
    assert title(axes) == "tdp_w [W]" and axes.margins()[0] == 0.08 and axes.get_xscale() == "linear"
    assert not any(line.get_visible() for line in axes.get_ygridlines())
    assert axes.get_legend_handles_labels()[1] == ["parameter at its low", "parameter at its high"]


def test_a_parameter_alone_has_its_bar():
    axes = plain_axes()
    robustness._draw_bars(axes, inputs_of("tdp_w", 1), "tdp_w", run_with())
    assert ticks(axes.yaxis) == {0: "i0  (guess)"}


def test_a_tornado_has_a_panel_per_metric_in_two_columns(shown, tmp_path):
    record = {"inputs_of": {"pick": "nearest_to_targets", "id": 9}}
    for names, places in (
        (["tdp_w"], [(0, 0)]),
        (["tdp_w", "die_mm2"], [(0, 0), (0, 1)]),
        (["tdp_w", "die_mm2", "cost_usd"], [(0, 0), (0, 1), (1, 0)]),
    ):
        inputs = pd.concat([inputs_of(name, 10) for name in names])
        paths = robustness._draw_tornado(run_with(), inputs, record, tmp_path, ["svg"])
        figure = shown["robust_tornado"]
        spots = [axes.get_subplotspec() for axes in figure.axes]
        assert paths == [tmp_path / "robust_tornado.svg"]
        assert [(spot.rowspan.start, spot.colspan.start) for spot in spots] == places
        assert [title(axes).partition(" ")[0] for axes in figure.axes] == names
        assert spots[0].get_gridspec().get_geometry() == (places[-1][0] + 1, min(2, len(names)))
        # Nine bars of each kind at most.
        assert all(len(axes.patches) == 2 * robustness.MAX_BARS for axes in figure.axes)
        assert figure._suptitle.get_text().startswith("r: what moves nearest to targets (design 9), one parameter at")
        assert 0 <= figure._suptitle.get_position()[0] < 0.1
        assert entries(figure) == ["parameter at its low", "parameter at its high"]
    assert robustness._draw_tornado(run_with(), inputs.iloc[:0], record, tmp_path, ["svg"]) == []


def test_both_are_drawn_from_the_files_of_a_run(monkeypatch, shown, tmp_path):
    data = {"draws": 3, "inputs_of": {"pick": "knee", "id": 1}}
    monkeypatch.setattr(
        robustness, "read_robust", lambda _: (designs_with(2), inputs_of("tdp_w", 2), SimpleNamespace(data=data))
    )
    assert [path.name for path in robustness.draw_robustness(run_with(), tmp_path, ["svg"])] == [
        "robust_intervals.svg", "robust_tornado.svg",
    ]  # fmt: skip
