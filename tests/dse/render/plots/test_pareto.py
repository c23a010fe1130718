"""The front over two metrics, from tables of a few designs whose places are known by hand."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import LogNorm
from matplotlib.ticker import NullLocator

from dse.render.plots import pareto, style
from dse.render.plots.scene import Limit, Scene, ShownPick
from tests.dse.render.plots.read import bar, entries, hexed, plain_axes, same_mark, ticks, title, xy

NAN = math.nan


def scene_with(front, *, others=(), maximised=(), objectives=("tdp_w", "cost_usd"), **rest):
    """A scene over the columns of its front."""
    table = pd.DataFrame(front, columns=objectives, dtype=float)
    spare = pd.DataFrame(others, columns=objectives, dtype=float)
    return Scene("s", tuple(objectives), frozenset(maximised), (), table, rest.pop("feasible", True), spare, **rest)


def test_two_objectives_are_axes_and_the_third_is_the_colour(monkeypatch, shown, tmp_path):
    monkeypatch.setattr(pareto, "_draw", lambda scene, *columns: columns)
    limits = {"a": [Limit(1, "max", "")], "d": [Limit(1, "max", "")], "e": [Limit(1, "max", "")]}
    pairs = []
    for objectives, first, others in (
        ("abc", ("a", "b", "c"), [("a", "c"), ("b", "c")]),
        ("ab", ("a", "b", None), []),
        # Beside a single one, the first other metric that is limited.
        ("a", ("a", "d", None), []),
    ):
        one = scene_with([range(len(objectives))], objectives=[*objectives], limits=limits)
        (path,) = pareto.draw_pareto(one, tmp_path, ["svg"])
        assert path == tmp_path / f"pareto-{first[0]}-{first[1]}.svg" and shown.pop(path.stem) == first
        pairs = pareto.draw_pairs(one, tmp_path, ["png", "pdf"])
        assert pairs == [tmp_path / f"pareto-{x}-{y}.{kind}" for x, y in others for kind in ("png", "pdf")]
        assert [*shown.values()] == [(x, y, None) for x, y in others]
        shown.clear()
    assert pareto.draw_pareto(scene_with([[1]], objectives=["a"], limits={"a": limits["a"]}), tmp_path, ["svg"]) == []


def test_the_edge_is_what_nothing_beats_in_two_alone():
    points = [(3, 1), (1, 3), (2, 2), (2, 3), (3, 1), (NAN, 0), (0, math.inf), (4, 1)]
    for maximised, edge in (
        ((), [[1, 3], [2, 2], [3, 1]]),
        (("tdp_w", "cost_usd"), [[2, 3], [4, 1]]),
        (("tdp_w",), [[4, 1]]),
        (("cost_usd",), [[1, 3]]),
    ):
        assert pareto.edge_of_pair(scene_with(points, maximised=maximised), "tdp_w", "cost_usd").tolist() == edge
    assert not len(pareto.edge_of_pair(scene_with([(NAN, 1)]), "tdp_w", "cost_usd"))


def test_values_of_the_front_are_its_designs_picks_and_limits_near_by():
    limits = [Limit(value, "max", "") for value in (-5.1, -5, 4, 15, 15.1)]
    one = scene_with(
        [(0, 1), (8, 1)], others=[(99, 1), (98, 1)], picks=(ShownPick("knee", {"tdp_w": 10}),),
        baselines={"a": {"tdp_w": 77}}, limits={"tdp_w": limits},
    )  # fmt: skip
    assert sorted(pareto._front_values(one, "tdp_w")) == [-5, 0, 4, 8, 10, 15]
    assert sorted(one.values("tdp_w")) == [-5.1, -5, 0, 4, 8, 10, 15, 15.1, 77, 98, 99]
    assert not len(pareto._front_values(scene_with([(NAN, 1)], limits={"tdp_w": limits}), "tdp_w"))


def test_the_share_of_an_axis_that_designs_take():
    for front, others, share in (
        ([10, 14], [18], 0.5),
        # In ratios where all of them spread over more than a decade.
        ([10, 100], [1000], 0.5),
        # A point has no extent to shrink, nor has nothing.
        ([10, 10], [18], 1),
        ([10, 10], [10], 1),
        ([NAN, NAN], [18], 1),
    ):
        one = scene_with([(value, 1) for value in front], others=[(value, 1) for value in others])
        assert pareto._front_fraction(one, "tdp_w") == pytest.approx(share)
    assert pareto._front_points(scene_with([(1, 2), (NAN, 2), (3, 4)]), "tdp_w", "cost_usd") == [[1, 2], [3, 4]]


def test_an_axis_has_room_at_its_sides():
    for values, low, high in (
        ([10, 20], 9.2, 20.8),
        ([-2, 8], -2.8, 8.8),
        ([0, 10], -0.8, 10.8),
        ([-4, -4], -4.2, -3.8),
        ([50], 47.5, 52.5),
        ([0], -1, 1),
        ([2, 200], 2 * 100**-0.08, 200 * 100**0.08),
    ):
        for which in "xy":
            axes = plain_axes()
            pareto._set_range(axes, which, np.array(values, dtype=float))
            assert getattr(axes, f"get_{which}lim")() == pytest.approx((low, high))
            assert getattr(axes, f"get_{which}scale")() == ("log" if high > 100 else "linear")
            assert getattr(axes, f"get_{'yx'['xy'.index(which)]}lim")() == (0, 1)
    pareto._set_range(axes, "x", np.array([]))
    assert axes.get_xlim() == (0, 1)


def test_what_a_limit_forbids_is_shaded_to_the_end_of_the_axis():
    limits = [Limit(value, "max", f"≤ {value}") for value in (-1, 0, 6, 11)] + [Limit(4, "min", "≥ 4")]
    for which in "xy":
        for at_end in (True, False):
            axes = plain_axes()
            axes.set(xlim=(0, 10), ylim=(0, 10))
            pareto._shade_limits(axes, which, limits, text_at_end=at_end)
            spans = [bar(patch)[0:4:2] if which == "x" else bar(patch)[1:4:2] for patch in axes.patches]
            assert spans == [(0, 10), (6, 4), (0, 4)]
            lines = [(line.get_xdata() if which == "x" else line.get_ydata())[0] for line in axes.lines]
            assert lines == [0, 6, 4]
            assert [text.get_text() for text in axes.texts] == ["≤ 0", "≤ 6", "≥ 4"]
            _, above, below = axes.texts
            if which == "x":
                assert above.xy == (6, 0.985 if at_end else 0.015) and above.get_rotation() == 90
                assert above.get_va() == ("top" if at_end else "bottom")
                assert (above.xyann, above.get_ha()) == ((3, 0), "left")
                assert (below.xyann, below.get_ha()) == ((-3, 0), "right")
            else:
                assert above.xy == (0.01, 6) and above.get_rotation() == 0 and above.get_ha() == "left"
                assert (above.xyann, above.get_va()) == ((0, 3), "bottom")
                assert (below.xyann, below.get_va()) == ((0, -3), "top")
            # Above other designs (2), below those of the front (4), cut at the frame.
            assert {text.get_zorder() for text in axes.texts} == {3}
            assert all(text.get_clip_on() for text in axes.texts)


BASELINES = {"known": {"x": 3, "y": 4}, "no x": {"y": 5}, "no y": {"x": 6, "y": NAN}, "neither": {}}


def test_what_lacks_a_metric_stands_in_a_band_beyond_the_axis():
    one = scene_with([(1, 1)], baselines=BASELINES)
    for which in "xy":
        axes = plain_axes()
        getattr(axes, f"set_{which}lim")(0, 10)
        style.scale_axis(axes, which, logarithmic=False)
        assert pareto._band(axes, which, one, which) == pytest.approx(10.45)
        assert getattr(axes, f"get_{which}lim")() == pytest.approx((0, 10.9))
        (band,) = axes.patches
        assert bar(band)[which == "y" :: 2] == pytest.approx((10, 0.9))
        axis = getattr(axes, f"{which}axis")
        assert [*ticks(axis)] == [0, 2, 4, 6, 8, 10] and [*axis.get_ticklocs()] == [0, 2, 4, 6, 8, 10]
        assert isinstance(axis.get_minor_locator(), NullLocator)
        assert getattr(axes, f"get_{'yx'['xy'.index(which)]}lim")() == (0, 1)
        axes = plain_axes()
        getattr(axes, f"set_{which}scale")("log")
        getattr(axes, f"set_{which}lim")(1, 100)
        assert pareto._band(axes, which, one, which) == pytest.approx(100 * 100**0.045)
        assert getattr(axes, f"get_{which}lim")() == pytest.approx((1, 100 * 100**0.09))
        # None where all have a value.
        known = replace(one, baselines={"known": BASELINES["known"]})
        assert math.isnan(pareto._band(axes, which, known, which)) and len(axes.patches) == 1


def test_baselines_keep_colour_and_mark_and_say_what_they_lack():
    axes = plain_axes()
    labels = pareto._draw_baselines(axes, scene_with([(1, 1)], baselines=BASELINES), "x", "y", {"x": 11, "y": 12})
    texts = ["known", "no x (x n/a)", "no y (y n/a)", "neither (x and y n/a)"]
    assert [one.get_label() for one in axes.collections] == texts
    assert [(one.x, one.y, one.text) for one in labels] == [(3, 4, texts[0]), (11, 5, texts[1]), (6, 12, texts[2])]
    assert [xy(one) for one in axes.collections[:3]] == [[[3, 4]], [[11, 5]], [[6, 12]]]
    across, up = axes.lines
    assert (xy(across), xy(up)) == ([[0, 5], [1, 5]], [[6, 0], [6, 1]])
    axes = plain_axes()
    many = {f"b{k}": {"x": 1, "y": 2} for k in range(12)}
    labels = pareto._draw_baselines(axes, scene_with([(1, 1)], baselines=many), "x", "y", {})
    # The first colour and the filled circle belong to the designs.
    colours = [style.SERIES[1 + k % 7] for k in range(12)]
    assert [hexed(one.get_edgecolor()) for one in axes.collections] == colours == [one.colour for one in labels]
    assert all(same_mark(one, style.MARKERS[1 + k % 11]) for k, one in enumerate(axes.collections)) and not axes.lines


def test_picks_are_ringed_and_named_where_they_have_both_metrics():
    axes = plain_axes()
    picks = [ShownPick("lost", {"x": NAN, "y": 1}), ShownPick("a", {"x": 1, "y": 2}), ShownPick("b", {"x": 3, "y": 4}),
             ShownPick("c", {"x": 3, "y": "text"})]  # fmt: skip
    labels = pareto._draw_picks(axes, scene_with([(1, 1)], picks=tuple(picks)), "x", "y")
    assert [(one.x, one.y, one.text) for one in labels] == [(1, 2, "a"), (3, 4, "b")]
    assert [xy(one) for one in axes.collections] == [[[1, 2]], [[3, 4]]]
    assert axes.get_legend_handles_labels()[1] == ["picks"]


def test_designs_are_dots_joined_by_the_edge_or_coloured_by_a_third():
    points = [(3, 1), (1, 3), (2, 2)]
    for maximised, feasible, drawstyle, labels in (
        ((), True, "steps-post", ["front"]),
        (("tdp_w",), True, None, ["front"]),
        (("tdp_w", "cost_usd"), True, "steps-pre", ["front"]),
        ((), False, None, ["least infeasible designs"]),
    ):
        axes = plain_axes()
        one = scene_with(points, maximised=maximised, feasible=feasible)
        pareto._draw_designs(axes.figure, axes, one, "tdp_w", "cost_usd", None)
        assert [line.get_drawstyle() for line in axes.lines] == ([drawstyle] if drawstyle else [])
        assert axes.get_legend_handles_labels()[1] == labels
        assert [xy(dots) for dots in axes.collections] == [[list(point) for point in points]]
    axes = plain_axes()
    three = scene_with([(3, 1, 5), (1, 3, 6)], others=[(9, 9, 9)], objectives=("tdp_w", "cost_usd", "die_mm2"))
    pareto._draw_designs(axes.figure, axes, three, "tdp_w", "cost_usd", None)
    assert axes.get_legend_handles_labels()[1] == [
        "other feasible designs", "best in these two alone", "front in all 3 objectives",
    ]  # fmt: skip
    assert xy(axes.lines[0]) == [[1, 3], [3, 1]] and xy(axes.collections[0]) == [[9, 9]]
    # Thousands of dots are pixels in a drawing of lines too.
    assert axes.collections[0].get_rasterized() and not axes.collections[1].get_rasterized()
    for values, limits, scale in (
        ([5, 6], (5, 6), "linear"),
        ([10, NAN], (9, 11), "linear"),
        ([1, 100], (1, 100), "log"),
        ([NAN, NAN], (0, 1), "linear"),
    ):
        axes = plain_axes()
        three = scene_with([(3, 1, values[0]), (1, 3, values[1])], objectives=("tdp_w", "cost_usd", "die_mm2"))
        pareto._draw_designs(axes.figure, axes, three, "tdp_w", "cost_usd", "die_mm2")
        (dots,) = axes.collections
        assert (dots.norm.vmin, dots.norm.vmax) == pytest.approx(limits) and isinstance(dots.norm, LogNorm) == (
            scale == "log"
        )
        assert (
            np.ma.filled(dots.get_array(), NAN) == pytest.approx(np.array(values, dtype=float), nan_ok=True)
            and not axes.lines
        )
        assert dots.colorbar.ax.get_ylabel() == "die_mm2 [mm²]"


def drawn(monkeypatch, one, colour=None):
    """The figure of a scene, and what was asked of its labels, panel by panel."""
    asked = []
    monkeypatch.setattr(style, "freeze_layout", lambda _: None)
    monkeypatch.setattr(pareto, "place_labels", lambda *given, **named: asked.append((given[2], named)))
    with style.drawing():
        return pareto._draw(one, "tdp_w", "cost_usd", colour), asked


def test_a_front_that_would_shrink_to_a_corner_has_a_panel_of_its_own(monkeypatch):
    limits = {"tdp_w": [Limit(14, "max", "≤ 14 W"), Limit(99, "max", "≤ 99 W")]}
    front = [(10, 1), (14, 0.5), (NAN, 2)]
    one = scene_with(front, others=[(20, 9)], limits=limits, baselines={"a100": {"tdp_w": 17}},
                     picks=(ShownPick("knee", {"tdp_w": 10, "cost_usd": 1}),))  # fmt: skip
    figure, asked = drawn(monkeypatch, one)
    near, whole = figure.axes
    assert near.get_xlim() == pytest.approx((10 - 0.32, 14.32)) and whole.get_xlim()[1] > 99
    assert (title(near), title(whole)) == (
        "s: Pareto front, 3 designs", "the same beside other designs, baselines and limits",
    )  # fmt: skip
    # Only the first tells what its axes mean; both stand in one legend, every entry once.
    assert near.get_xlabel().startswith("tdp_w [W]\n") and whole.get_xlabel() == "tdp_w [W]"
    assert near.get_ylabel().startswith("cost_usd [USD]\n") and whole.get_ylabel() == "cost_usd [USD]"
    assert entries(figure) == ["other feasible designs", "front", "picks", "a100 (cost_usd n/a)"]
    (first, of_first), (second, of_second) = asked
    assert [label.text for label in first] == ["knee"] and len(second) == 2
    assert of_first["marks"].tolist() == [[10, 1], [10, 1], [14, 0.5]] and len(of_second["marks"]) == 4
    # The legend and what stands beside limits.
    assert [len(named["keep_clear"]) for _, named in asked] == [2, 3]
    assert len(near.patches) == 1 and len(whole.patches) == 3


def test_a_front_that_fills_its_axes_has_one_panel(monkeypatch):
    for feasible, points, words in (
        (True, [(10, 1)], "Pareto front, 1 design"),
        (False, [(10, 1), (20, 0.5)], "nothing feasible, nearest 2 designs"),
    ):
        figure, _ = drawn(monkeypatch, scene_with(points, feasible=feasible, baselines={"a": {"cost_usd": 1}}))
        (axes,) = figure.axes
        # A baseline beside it, in its band.
        assert axes.get_xlabel().startswith("tdp_w [W]\n") and len(axes.patches) == 1
        told = title(axes) if feasible else figure._suptitle.get_text()
        assert told == f"s: {words}" and ("No design meets" in title(axes)) == (not feasible)
    # Just the share of the axes from which one is enough: 4 of 10, and a little less.
    for reach, panels in ((20, 1), (20.1, 2)):
        one = scene_with([(10, 10), (14, 20)], others=[(reach, 10)])
        assert len(drawn(monkeypatch, one)[0].axes) == panels
    # Where more of what is up is better, limits are written at the other end of their lines.
    limits = {"tdp_w": [Limit(15, "max", "≤ 15 W")]}
    for maximised, place in (((), "top"), (("cost_usd",), "bottom")):
        one = scene_with([(10, 10), (20, 20)], limits=limits, maximised=maximised)
        (text,) = drawn(monkeypatch, one)[0].axes[0].texts
        assert text.get_va() == place
