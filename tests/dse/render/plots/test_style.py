"""Numbers at ticks, scales of axes and files, by readings worked out by hand."""

import math

import matplotlib
import numpy as np
import pytest
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from cost_models.quantities.metrics import METRICS
from dse.render.plots import style
from tests.dse.render.plots.read import plain_axes, ticks, title


def test_numbers_in_short():
    for value, text in {
        math.nan: "n/a", math.inf: "n/a", -math.inf: "n/a", 0.0: "0", 1e-7: "1e-07", 0.0012345: "0.00123", 0.5: "0.5",
        99.94: "99.9", 100.6: "101", -100.6: "-101", 1234.5: "1\u2009234", 999_999_999: "999\u2009999\u2009999",
        1e9: "1e+09", -2.5e10: "-2.5e+10", -3.456: "-3.46",
    }.items():  # fmt: skip
        assert style.short(value) == text
    assert (style.short(-0.0), style.short(-1.0), style.short(1.0)) == ("0", "-1", "1")


def test_ticks_have_the_decimals_that_place_them_between_their_neighbours():
    for values, texts in (
        ([], []),
        ([7.0], ["7"]),
        ([3.14159, 3.14159], ["3.14", "3.14"]),
        ([1, 2, 3], ["1", "2", "3"]),
        ([0.1, 0.15, 0.2], ["0.1", "0.15", "0.2"]),
        ([1000, 1000.5, 1001], ["1\u2009000.0", "1\u2009000.5", "1\u2009001.0"]),
        # 3.33 is off by a 1000th of the least distance, 1 234 by 0.15 of it: as much as is allowed.
        ([0, 10 / 3, 1234.5], ["0", "3.33", "1\u2009234"]),
        ([0, 3.3, 1234.5], ["0.0", "3.3", "1\u2009234.5"]),
        # Nine decimals at most.
        ([1, 1 + 1e-9], ["1.000000000", "1.000000001"]),
        ([1, 1 + 1.6e-9], ["1.000000000", "1.000000002"]),
    ):
        assert style.told_apart(values) == texts
    plain = style._PlainTicks()
    assert plain(1234.5) == "1\u2009234" and plain.format_ticks(np.array([1000, 1000.5])) == [
        "1\u2009000.0", "1\u2009000.5",
    ]  # fmt: skip


def test_what_spreads_over_a_decade_and_what_is_one_value():
    for values, spread in (
        ([], False), ([1, 10], False), ([1, 10.5], True), ([0, 1], False), ([-1, 100], False),
        ([1, math.nan, 9], False), ([math.nan, 1, 100, math.inf], True), ([math.nan], False), ([0.02, 0.3], True),
    ):  # fmt: skip
        assert style.spans_decades(values) is spread
    for values, one in (
        ([0, 0], True), ([1, 1 + 1e-7], True), ([-5, -5 * (1 + 1e-7)], True), ([1, 1 + 1e-5], False),
        ([-1e-9, 1e-9], False), ([0.5, 1.2], False),
    ):  # fmt: skip
        assert style.one_value(np.array(values)) is one


def test_names_with_unit_and_meaning():
    assert (style.words("tdp_w"), style.words("chat.tpot_ms"), style.words("a.b.c")) == (
        "tdp_w",
        "tpot_ms, chat",
        "c, a.b",
    )
    assert style.with_unit("chat.tpot_ms", METRICS) == "tpot_ms, chat [ms]"
    assert style.with_unit("macs", METRICS) == "macs"
    assert style.axis_label("die_mm2", METRICS) == "die_mm2 [mm²]\narea of the logic dies, per chip"
    assert "per chip" not in style.axis_label("macs", METRICS) + style.axis_label("weight_bits", METRICS)
    assert "per chip" not in style.axis_label("chat.tpot_ms", METRICS)
    name, *lines = style.axis_label("chat.tpot_ms", METRICS, width=20).split("\n")
    assert name == "tpot_ms, chat [ms]" and len(lines) > 1 and max(map(len, lines)) <= 20


def test_ticks_of_a_linear_axis_are_round_and_make_six_steps_at_most():
    for which in "xy":
        axes = plain_axes()
        style.scale_axis(axes, which, logarithmic=False)
        axis = getattr(axes, f"{which}axis")
        for reach, step in ((6, 1), (6.1, 2), (12, 2), (12.1, 2.5), (15, 2.5), (15.1, 5), (30, 5), (30.1, 10)):
            getattr(axes, f"set_{which}lim")(0, reach)
            assert set(np.diff([*ticks(axis)])) == {step}
        assert ticks(axis) == {0: "0", 10: "10", 20: "20", 30: "30"} and axis.get_scale() == "linear"


def test_ticks_of_a_logarithmic_axis_are_decades_or_one_two_five():
    axes = plain_axes()
    axes.set(xlim=(1, 100), ylim=(1, 1e4))
    style.scale_axis(axes, "x", logarithmic=True)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
    style.scale_axis(axes, "y", logarithmic=True)
    assert axes.get_yscale() == "log"
    assert ticks(axes.xaxis) == {1: "1", 2: "2", 5: "5", 10: "10", 20: "20", 50: "50", 100: "100"}
    assert ticks(axes.yaxis) == {1: "1", 10: "10", 100: "100", 1000: "1\u2009000", 1e4: "10\u2009000"}
    for axis in (axes.xaxis, axes.yaxis):
        assert isinstance(axis.get_minor_formatter(), NullFormatter)
    for high, least in ((599, [1, 2, 5]), (600, [1])):
        assert [*style._decades(2, high)._subs] == least


def test_a_colour_bar_has_plain_numbers():
    for norm, texts in (
        (LogNorm(1, 100), ["1", "2", "5", "10", "20", "50", "100"]),
        (Normalize(1000, 1001), ["1\u2009000.0", "1\u2009000.2", "1\u2009000.4", "1\u2009000.6", "1\u2009000.8",
                                 "1\u2009001.0"]),
    ):  # fmt: skip
        axes = plain_axes()
        bar = axes.figure.colorbar(ScalarMappable(norm), ax=axes)
        style.bar_ticks(bar)
        assert [*ticks(bar.ax.yaxis).values()] == texts
        assert isinstance(bar.ax.yaxis.get_minor_formatter(), NullFormatter)


def test_a_title_says_where_nothing_is_feasible():
    axes = plain_axes()
    style.write_titles(axes.figure, axes, "s: 3 designs", feasible=True)
    assert title(axes) == "s: 3 designs" and axes.figure._suptitle is None
    # Six points above its axes.
    assert axes.titleOffsetTrans.transform((0, 0)) == pytest.approx((0, 6))
    style.write_titles(axes.figure, axes, "s: 3 designs", feasible=False, pad=11)
    assert axes.figure._suptitle.get_text() == "s: 3 designs" and 0 <= axes.figure._suptitle.get_position()[0] < 0.1
    assert title(axes).startswith("No design meets every constraint") and "s:" not in title(axes)
    assert 0 <= axes.title.get_position()[0] < 0.1 and axes.titleOffsetTrans.transform((0, 0))[1] > 11


def test_the_style_is_that_of_this_project_while_it_draws():
    with matplotlib.rc_context({"font.size": 30, "axes.grid": False}):
        with style.drawing():
            found = dict(matplotlib.rcParams)
        assert matplotlib.rcParams["font.size"] == 30
    # Text, labels of axes and titles; the smallest at ticks and in legends.
    sizes = [found[name] for name in ("font.size", "axes.labelsize", "axes.titlesize")]
    assert sizes == [9, 9, 10]
    assert {found[name] for name in ("xtick.labelsize", "ytick.labelsize", "legend.fontsize")} == {8, style.MIN_POINTS}
    for name, wanted in (
        ("axes.grid", True), ("axes.axisbelow", True), ("path.simplify", True), ("legend.frameon", False),
        ("axes.spines.top", False), ("axes.spines.right", False),
    ):  # fmt: skip
        assert found[name] is wanted
    assert all(0 < found[name] < 1 for name in ("grid.linewidth", "axes.linewidth", "hatch.linewidth"))
    # A long dash and two dots, a gap of one behind each; dots.
    assert style.DASHES[4:] == ((0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))


def test_a_figure_is_laid_out_once_and_written_in_every_format(tmp_path):
    with style.drawing():
        figure = style.new_figure(2, 1)
        axes = figure.subplots()
        axes.set_ylabel("a label")
        before = axes.get_position().bounds
        where = tmp_path / "a" / "b"
        paths = style.save(figure, where, "name", ("png", "svg", "pdf"))
        after = axes.get_position().bounds
        # Another label, and no new layout.
        axes.set_xlabel("another")
        assert style.save(figure, where, "name", ("svg",)) == [where / "name.svg"]
    assert paths == [where / f"name.{suffix}" for suffix in ("png", "svg", "pdf")]
    assert before != after == axes.get_position().bounds
    png, svg, pdf = (path.read_bytes() for path in paths)
    assert png.startswith(b"\x89PNG") and b"Software" not in png
    assert svg.startswith(b"<?xml") and b"dc:date" not in svg and b"another" in svg
    assert pdf.startswith(b"%PDF") and b"CreationDate" not in pdf
    bare = Figure()
    style.freeze_layout(bare)
    assert bare.get_layout_engine() is None
