"""Rooflines of made-up operators: a chip of 1000 GB/s and 100 TFLOP/s, whose ridge is at 100 operations per byte."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from dse.analysis.explain.records import OUTSIDE
from dse.render.plots import roofline, style
from tests.dse.render.plots.read import entries, hexed, plain_axes, same_mark, title, xy

NAN = math.nan
DECODE, PREFILL = roofline._PHASES


def row(name, intensity, tflops, share=0.5, macs=5e9):
    """An operator at a place of the picture: two operations per MAC, its time in ms."""
    return SimpleNamespace(name=name, ops_per_byte=intensity, macs=macs, ms=2 * macs / tflops / 1e9, share=share)


def table(decode=(), prefill=(), *, gbps=1000.0, linear=100.0, attention=100.0, head=100.0, fits=True):
    roofs = {"bandwidth_gbps": gbps, "linear_tflops": linear, "attention_tflops": attention, "head_tflops": head}
    passes = [SimpleNamespace(operators=rows) for rows in (decode, prefill)]
    return SimpleNamespace(decode=passes[0], prefill=passes[1], roofs=roofs, fits=fits)


ROWS = (
    row("qkv", 2, 2, 0.25),
    row(OUTSIDE, 1, 1),
    row("none", NAN, 1),
    row("copy", 1, 1, macs=0.0),
    row("ffn", 40, 30, 0.75),
)


def test_operators_with_an_intensity_have_a_place():
    names, points = roofline._points(SimpleNamespace(operators=ROWS))
    assert names == ["qkv", "ffn"] and points == pytest.approx(np.array([(2, 2, 0.25), (40, 30, 0.75)]))
    assert roofline._points(SimpleNamespace(operators=ROWS[1:4]))[1].shape == (0, 3)
    assert DECODE.table_of(table(ROWS)).operators is ROWS and PREFILL.table_of(table((), ROWS)).operators is ROWS


def test_every_operator_and_every_ridge_is_in_view():
    one, other = table(ROWS, [row("ffn", 50, 60)]), table(gbps=100.0, linear=400.0)
    # From half of the least to two and a half times the most intensity, and to twice the most rate.
    for others, wanted in (
        ([], ((2 / 2, 100 * 2.5), (2 / 2, 100 * 2))),
        ([other], ((1, 4000 * 2.5), (1, 400 * 2))),
    ):
        assert roofline._extent(one, others) == pytest.approx(np.array(wanted))
    assert roofline._extent(table([row("a", 400, 1)], [row("b", 300, 90)]), []) == (
        (50, pytest.approx(1000)), (pytest.approx(0.5), 200),
    )  # fmt: skip
    points = roofline._roof_points(table(attention=50.0, head=25.0), {"b": other}, (1.0, 1000.0))
    assert len(points) == 4 * 80 and points[0] == pytest.approx([1, 1]) and points[79] == pytest.approx([1000, 100])
    ends = [points[80 * k + 79][1] for k in range(4)]
    assert ends == pytest.approx([100, 100, 50, 25]) and points[80][1] == pytest.approx(0.1)
    assert points[160][1] == pytest.approx(1) == points[240][1]


def test_roofs_rise_with_intensity_to_the_peak():
    axes = plain_axes()
    roofline._draw_roof(axes, table(), (1.0, 1000.0), color="red")
    assert np.array(xy(axes.lines[0])) == pytest.approx(np.array([(1, 1), (100, 100), (1000, 100)]))
    for attention, head, lower in (
        (100.0, 100.5, []),
        (50.0, 50.2, [("attention", 50)]),
        (50.0, 25.0, [("attention", 50), ("the output head", 25)]),
        (100.0, 25.0, [("the output head", 25)]),
    ):
        axes = plain_axes()
        roofline._draw_lower_roofs(axes, table(attention=attention, head=head), (1.0, 1000.0))
        assert [line.get_label() for line in axes.lines] == [
            f"roof of {name} on it: {peak} TFLOP/s" for name, peak in lower
        ]
        for line, (_, peak) in zip(axes.lines, lower, strict=True):
            assert xy(line) == [[peak, peak], [1000, peak]]
    assert roofline._peaks(table(gbps=3350.0, linear=989.4)) == "3\u2009350 GB/s, 989 TFLOP/s"


def test_operators_are_the_larger_the_longer_they_take():
    axes = plain_axes()
    for phase in (DECODE, PREFILL):
        roofline._draw_operators(axes, SimpleNamespace(operators=ROWS), phase)
    assert [xy(dot)[0] for dot in axes.collections] == [pytest.approx(place) for place in [(2, 2), (40, 30)] * 2]
    filled, _, hollow, _ = axes.collections
    assert same_mark(filled, "o") and same_mark(hollow, "s")
    assert (hexed(filled.get_facecolor()), hexed(filled.get_edgecolor())) == (style.BLUE, "#FFFFFF")
    assert (hexed(hollow.get_facecolor()), hexed(hollow.get_edgecolor())) == ("#FFFFFF", style.VERMILION)
    assert [dot.get_sizes()[0] for dot in axes.collections[:2]] == [22 + 178 / 4, 22 + 178 * 3 / 4]
    assert filled.get_zorder() > hollow.get_zorder() and filled.get_linewidths()[0] < hollow.get_linewidths()[0]


def test_operators_on_top_of_each_other_share_a_label():
    axes = plain_axes(400 / 72, 300 / 72)
    axes.set(xlim=(1, 401), ylim=(1, 301))
    # 20 of them a pixel apart each from the first, 22 from the one before; far ones alone.
    rows = [row("b", 121, 101, 0.1), row("a", 101, 101, 0.2), row("c", 123, 101, 0.3), row("d", 301, 101, 0.005)]
    first, second, third = roofline._labels(axes, SimpleNamespace(operators=rows), DECODE)
    assert first.text.replace("\n", " ") == "b, a: 30\u00a0%\u00a0of\u00a0decode"
    assert (first.x, first.y, first.colour) == (pytest.approx(math.sqrt(121 * 101)), pytest.approx(101), style.BLUE)
    assert (second.text, third.text) == ("c: 30\u00a0%\u00a0of\u00a0decode", "d: 0.5\u00a0%\u00a0of\u00a0decode")
    # A third joins the group of the first that it is near to.
    rows = [row("a", 101, 101), row("b", 121, 101), row("c", 121, 104, 0.0), row("d", 101, 131)]
    found = [
        label.text.replace("\n", " ").partition(":")[0]
        for label in roofline._labels(axes, SimpleNamespace(operators=rows), PREFILL)
    ]
    assert found == ["a, b, c", "d"]
    # Of two groups that it is near to, it joins the first.
    rows = [row("a", 101, 101), row("b", 106, 126), row("c", 108, 112)]
    found = [
        label.text.replace("\n", " ").partition(":")[0]
        for label in roofline._labels(axes, SimpleNamespace(operators=rows), DECODE)
    ]
    assert found == ["a, c", "b"]
    many = [row(f"operator {k}", 101, 101, 0.1) for k in range(5)]
    (label,) = roofline._labels(axes, SimpleNamespace(operators=many), PREFILL)
    assert len(label.text.split("\n")) > 2 and max(map(len, label.text.split("\n"))) <= 30
    assert label.text.endswith("50\u00a0%\u00a0of\u00a0prefill") and label.colour == style.VERMILION


def test_a_roofline_per_workload_beside_those_of_the_baselines(monkeypatch, shown, tmp_path):
    asked = []
    monkeypatch.setattr(roofline, "place_labels", lambda *given, **named: asked.append((given[2], named)))
    design = SimpleNamespace(
        workloads={"chat": table(ROWS, [row("ffn", 50, 60)], head=50.0), "code": table(ROWS, fits=False)}
    )
    baselines = {f"b{k}": SimpleNamespace(workloads={"chat": table(gbps=500.0)}) for k in range(9)}
    paths = roofline.draw_rooflines("knee", design, baselines, tmp_path, ["svg", "png"])
    stems = ["roofline-chat", "roofline-code"]
    assert paths == [tmp_path / f"{stem}.{kind}" for stem in stems for kind in ("svg", "png")] and [*shown] == stems
    chat, code = (shown[stem].axes[0] for stem in stems)
    assert title(chat) == "chat: operators on the pick knee"
    assert title(code) == "code: operators on the pick knee (which cannot hold it)"
    assert chat.get_xlim() == pytest.approx((1, 500)) and chat.get_ylim() == pytest.approx((1, 200))
    assert (chat.get_xscale(), chat.get_yscale()) == ("log", "log")
    own, lower, *others = chat.lines
    assert own.get_label() == "knee: 1\u2009000 GB/s, 100 TFLOP/s" and lower.get_label().startswith(
        "roof of the output head"
    )
    assert [line.get_label().partition(":")[0] for line in others] == [*baselines] and len(code.lines) == 1
    assert [hexed(line.get_color()) for line in others] == [style.SERIES[(2 + k) % 8] for k in range(9)]
    patterns = [str(line._dash_pattern) for line in (own, *others)]
    # Broken lines of five kinds beside a line of the design.
    assert patterns[0] not in patterns[1:] and patterns[1:5] == patterns[6:10] and len(set(patterns)) == 6
    assert entries(shown["roofline-code"]) == ["knee: 1\u2009000 GB/s, 100 TFLOP/s", "decode", "prefill"]
    _, operators = shown["roofline-code"].legends
    first, second = operators.legend_handles
    assert (first.get_marker(), hexed(first.get_markerfacecolor()), hexed(first.get_markeredgecolor())) == (
        "o",
        style.BLUE,
        style.BLUE,
    )
    assert (second.get_marker(), hexed(second.get_markerfacecolor()), hexed(second.get_markeredgecolor())) == (
        "s", "#FFFFFF", style.VERMILION,
    )  # fmt: skip
    labels, named = asked[0]
    assert len(labels) == 3 and len(named["marks"]) == 3 + 80 * (1 + 9 + 2)
    assert named["marks"][0] == pytest.approx((labels[0].x, labels[0].y))
    # Clear of the largest dots.
    assert named["radius"] == pytest.approx(math.sqrt(roofline._MAX_AREA / math.pi), abs=0.5)
