"""Curves of machines with a few points whose places are known."""

import math

import numpy as np
import pytest

from dse.analysis.explain.curve import RATES, Curve, CurvePoint
from dse.render.plots import curve, style
from tests.dse.render.plots.read import entries, hexed, plain_axes, title, xy

CHIP, KW, USD = RATES


def curve_with(
    name="a",
    batches=(1, 2, 4, 8),
    *,
    workload="chat",
    chips=1,
    baseline=False,
    most=0,
    ttft=None,
    tpot=None,
    usd=math.nan,
):
    """Speed per user falls with the batch, throughput rises."""
    points = tuple(CurvePoint(b, 100 / b, {CHIP: 10.0 * b, KW: b, USD: usd * b}, {}, True) for b in batches)
    return Curve(name, workload, chips, baseline, points, most, ttft, tpot)


def test_marks_stand_at_powers_of_four_at_the_ends_and_at_the_largest_within_limits():
    for given, marked, labelled in (
        ({}, [(100, 3.5), (25, 3.5), (12.5, 3.5)], ["1", "8"]),
        ({"most": 2, "tpot": 60.0}, [(100, 3.5), (50, 9), (25, 3.5), (12.5, 3.5)], ["1", "2", "8"]),
        ({"most": 8, "ttft": 60.0}, [(100, 3.5), (25, 3.5), (12.5, 9)], ["1", "8"]),
        # What fits is no limit.
        ({"most": 2}, [(100, 3.5), (25, 3.5), (12.5, 3.5)], ["1", "8"]),
        ({"batches": (2, 3, 16, 20)}, [(6.25, 3.5), (5, 3.5)], ["20"]),
        ({"batches": (65536, 65537, 65538)}, [(100 / 65536, 3.5), (100 / 65538, 3.5)], ["65536", "65538"]),
        ({"batches": (1, 65535, 65536, 65538)}, [(100, 3.5), (100 / 65536, 3.5), (100 / 65538, 3.5)], ["1", "65538"]),
        ({"batches": (1, 262144, 262145)}, [(100, 3.5), (100 / 262145, 3.5)], ["1", "262145"]),
    ):
        one, axes = curve_with(**given), plain_axes()
        users, rates = zip(*((point.user_tokens_per_s, point.rates[CHIP]) for point in one.points), strict=True)
        labels = curve._mark_batches(axes, one, users, rates, 9)
        assert [(line.get_xdata()[0], line.get_markersize()) for line in axes.lines] == marked
        assert [label.text for label in labels] == labelled
        assert all(label.y == pytest.approx(1000 / label.x) for label in labels)
        assert {label.colour for label in labels} == {style.SERIES[1]}
        assert {(hexed(line.get_color()), line.get_marker()) for line in axes.lines} == {
            (style.SERIES[1], style.MARKERS[9])
        }


def test_machines_are_lines_designs_through_and_chips_broken():
    axes = plain_axes()
    curves = [curve_with(f"m{k}", chips=1 + k % 2, baseline=k > 0, usd=1.0 if k else math.nan) for k in range(13)]
    labels = curve._draw_panel(axes, curves, USD)
    # The first has no price, and so no marks; it stands in the legend like the others.
    lines = [line for line in axes.lines if len(line.get_xdata()) == 4]
    assert [line.get_label() for line in lines] == [f"m{k}" + (", 2 chips" if k % 2 else "") for k in range(13)]
    assert xy(lines[1]) == [[100, 1], [50, 2], [25, 4], [12.5, 8]] and np.isnan(lines[0].get_ydata()).all()
    assert [label.text for label in labels] == ["1", "8"] * 12
    assert [hexed(line.get_color()) for line in lines] == [style.SERIES[k % 8] for k in range(13)]
    assert [line.get_marker() for line in lines] == [style.MARKERS[k % 12] for k in range(13)]
    assert all(line.get_markevery() == [] for line in lines)
    through, *broken = (str(line._dash_pattern[1]) for line in lines)
    assert through == "None" and "None" not in broken and broken[:5] == broken[5:10] and len(set(broken)) == 5
    assert lines[0].get_linewidth() > lines[1].get_linewidth() and axes.get_xscale() == axes.get_yscale() == "log"
    assert title(axes) == "per USD of price"
    assert axes.get_legend_handles_labels()[1][13:] == ["batches 1, 4, 16, ...; written at the ends"]
    axes = plain_axes()
    curve._draw_panel(axes, [curve_with(), curve_with(tpot=50.0, most=4)], CHIP)
    assert axes.get_legend_handles_labels()[1][2:] == [
        "limit: 50 ms per token", "largest batch within the limits", "batches 1, 4, 16, ...; written at the ends",
    ]  # fmt: skip
    (limit,) = (line for line in axes.lines if "limit:" in line.get_label())
    assert limit.get_xdata()[0] == 20
    # Within limits that no batch keeps, or where memory alone bounds the batch, there is no largest.
    axes = plain_axes()
    curve._draw_panel(axes, [curve_with(tpot=50.0), curve_with(most=4)], CHIP)
    assert "largest batch within the limits" not in axes.get_legend_handles_labels()[1]


def test_a_workload_with_several_batches_has_a_figure_with_a_panel_per_rate(monkeypatch, shown, tmp_path):
    asked = []
    monkeypatch.setattr(curve, "place_labels", lambda *given, **named: asked.append((given[2], named)))
    curves = [
        curve_with("a"), curve_with("b", batches=(2,), baseline=True, usd=2.0), curve_with("none", batches=()),
        curve_with("c", batches=(1,), workload="single"), curve_with("d", workload="code"),
    ]  # fmt: skip
    assert curve.draw_curves(curves, tmp_path) == [tmp_path / "curve-chat.png", tmp_path / "curve-code.png"]
    figure = shown["curve-chat"]
    assert [title(axes) for axes in figure.axes] == [f"per {RATES[rate]}" for rate in RATES]
    assert [title(axes) for axes in shown["curve-code"].axes] == [f"per {RATES[rate]}" for rate in (CHIP, KW)]
    assert figure._suptitle.get_text() == "chat: throughput against speed per user"
    assert 0 <= figure._suptitle.get_position()[0] < 0.1
    assert entries(figure) == ["a", "b", "batches 1, 4, 16, ...; written at the ends"]
    labels, named = asked[0]
    assert [label.text for label in labels] == ["1", "8", "2"] and named["radius"] == 3
    # Every point of the curves.
    assert named["marks"].tolist() == [[100, 10], [50, 20], [25, 40], [12.5, 80], [50, 20]]
