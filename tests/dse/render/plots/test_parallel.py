"""Parallel coordinates: where values stand on an axis, what is written beside it, and what is drawn across them."""

import math
import textwrap

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import LogNorm

from cost_models.quantities.metrics import METRICS
from dse.render.plots import parallel, style
from dse.render.plots.scene import Scene, ShownPick
from tests.dse.render.plots.read import entries, hexed, plain_axes, title

NAN = math.nan


def scene_with(front, *, objectives=("tdp_w", "cost_usd"), parameters=None, maximised=(), **rest):
    """A scene whose parameters are what is no objective."""
    table = pd.DataFrame(front)
    names = tuple(name for name in table if name not in objectives) if parameters is None else parameters
    return Scene("s", tuple(objectives), frozenset(maximised), names, table, rest.pop("feasible", True),
                 table.iloc[:0], **rest)  # fmt: skip


def rail(values, column="macs", **rest):
    one = scene_with({column: values, "tdp_w": range(len(values)), "cost_usd": 1.0}, **rest)
    return parallel._rail(one, one.front, column)


def test_values_stand_between_the_ends_of_their_axis():
    found = rail([10.0, 20.0, 40.0, 50.0])
    assert found.heights.tolist() == [0, 0.25, 0.75, 1] and not found.logarithmic
    assert found.ticks == ((0, "10"), (0.25, "20"), (0.75, "40"), (1, "50"))
    assert [found.height(value) for value in (10, 30, 50)] == [0, 0.5, 1]
    # In ratios over more than a decade, or where the sweep spreads it so and nothing is zero or below.
    for values, logarithmic, counts in (
        ([1.0, 10.0, 100.0], (), True),
        ([1.0, 2.0, 4.0], ("macs",), True),
        ([1.0, 2.0, 4.0], ("tdp_w",), False),
        ([0.0, 2.0, 4.0], ("macs",), False),
    ):
        found = rail(values, logarithmic=frozenset(logarithmic))
        assert found.logarithmic is counts and found.heights[1] == pytest.approx(
            0.5 if values[0] == 0 or counts else 1 / 3
        )
        assert found.height(values[1]) == pytest.approx(found.heights[1])
    assert rail([7.0, 7.0]).heights.tolist() == [0.5, 0.5]
    # What does not apply passes below the axis.
    found = rail([10.0, NAN, 20.0])
    assert found.heights.tolist() == [0, -0.09, 1] and found.ticks[-1] == (-0.09, "n/a")
    assert found.height(NAN) == found.height("hbm3") == -0.09
    found = rail([NAN, NAN])
    assert (found.low, found.high, found.ticks) == (0, 1, ((-0.09, "n/a"),))


def test_up_to_six_values_are_written_and_of_more_round_ones_between_the_ends():
    assert [text for _, text in rail([1.0, 2.0, 3.5, 5.0, 6.0, 7.0]).ticks] == ["1", "2", "3.5", "5", "6", "7"]
    assert [text for _, text in rail([2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 18.0]).ticks] == ["2", "6", "9", "12", "15", "18"]
    assert [text for _, text in rail([0.5, 0.6, 0.7, 0.9, 1.0, 1.1, 1.7]).ticks] == [
        "0.5",
        "0.6",
        "0.8",
        "1",
        "1.2",
        "1.4",
        "1.6",
        "1.7",
    ]
    # Whole numbers have no halves between them.
    for values, texts in (([0.0], ["0", "2", "4", "6", "8"]), ([0.0, 0.5], ["0", "1.5", "3", "4.5", "6", "8"])):
        assert [text for _, text in rail([*values, *np.arange(1.0, 9.0)]).ticks] == texts
    for low, high, logarithmic, levels in (
        (1, 1000, True, [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]),
        # Half of a fourth of the axis is 0.075 of it, too little to be written.
        (1, 10_000, True, [1, 5, 20, 50, 200, 500, 2000, 10_000]),
        (0, 6, False, [0, 1, 2, 3, 4, 5, 6]),
        # The last and the end would be 0.02 apart.
        (0, 10.2, False, [0, 2, 4, 6, 8, 10.2]),
        (0.9, 6.9, False, [0.9, 2, 3, 4, 5, 6, 6.9]),
    ):
        found = parallel._round_levels(low, high, logarithmic=logarithmic, whole=False)
        assert found.tolist() == pytest.approx(levels)
    assert parallel._round_levels(0, 3, logarithmic=False, whole=True).tolist() == [0, 1, 2, 3]
    assert parallel._round_levels(0, 3, logarithmic=False, whole=False).tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3]


def test_names_stand_in_the_order_of_the_sweep():
    kinds = pd.Categorical(["c", "a", None, "c"], categories=["c", "b", "a"])
    found = rail(kinds, "memory")
    assert (found.names, found.heights.tolist()) == (("c", "a"), [0, 1, -0.09, 0])
    assert found.ticks == ((0, "c"), (1, "a"), (-0.09, "n/a"))
    assert [found.height(name) for name in ("c", "a", "b")] == [0, 1, -0.09]
    assert (found.low, found.high, found.logarithmic) == (0, 1, False)
    found = rail(["b", "a", "c"], "memory")
    assert (found.names, found.heights.tolist(), found.ticks) == (
        ("a", "b", "c"), [0.5, 0, 1], ((0, "a"), (0.5, "b"), (1, "c")),
    )  # fmt: skip
    (tick,) = rail(["one"], "memory").ticks
    assert tick == (0.5, "one")
    # Fourteen of them are written, sixteen letters of each.
    many = [f"{k:02}" for k in range(15)]
    assert [text for _, text in rail(many, "memory").ticks] == many[:14]
    assert parallel._clipped("x" * 16) == "x" * 16 and parallel._clipped("x" * 17) == "x" * 15 + "…"


def test_headings_are_broken_behind_underscores():
    for column, heading in (
        ("tdp_w", "tdp_w\n[W]"),
        ("macs", "macs"),
        ("memory_device_gib", "memory_\ndevice_gib\n[GiB]"),
        ("chat.tpot_ms", "chat\ntpot_ms\n[ms]"),
        # Thirteen letters have room.
        ("eight_eight_x", "eight_eight_x"),
        ("eight_eight_xy", "eight_eight_\nxy"),
    ):
        assert parallel._heading(column, METRICS) == heading, column


def test_what_all_share_is_told_without_parts_that_none_has():
    front = {
        "memory": ["lpddr5x_9600", "hbm3"], "memory_device_bits": [32.0, NAN], "node": ["tsmc_5"] * 2,
        "dies": [1.0] * 2, "tdp_w": [1.0, 2.0], "cost_usd": [2.0, 1.0],
    }  # fmt: skip
    one = scene_with(front, shared={"kv_bits": 8, "die_link": "organic", "macs": NAN, "sram_mib": 1234.0})
    words = parallel._shared_words(one, ["memory", "memory_device_bits"])
    assert words == "the same in all of them: node tsmc_5, dies 1, kv_bits 8, sram_mib 1\u2009234"
    assert "memory hbm3" not in words
    two = scene_with({**front, "dies": [1.0, 2.0]}, shared={"die_link": "organic"})
    assert parallel._shared_words(two, [*front]) == "the same in all of them: die_link organic"
    assert parallel._shared_words(one, []).startswith("the same in all of them: memory lpddr5x_9600")
    none = scene_with({"tdp_w": [1.0], "cost_usd": [2.0]}, shared={"die_link": "organic"})
    assert parallel._shared_words(none, []) == ""


def test_of_a_large_front_lines_at_even_steps_of_the_first_objective():
    one = scene_with({"macs": range(799, -1, -1), "tdp_w": [*range(799, -1, -1)], "cost_usd": 1.0})
    found = parallel._thinned(one)["tdp_w"].to_numpy()
    assert len(found) == parallel.MAX_LINES and (found[0], found[-1]) == (0, 799) and set(np.diff(found)) <= {2, 3}
    small = scene_with({"macs": [3, 1, 2], "tdp_w": [2.0, 1.0, 1.0], "cost_usd": 1.0})
    assert parallel._thinned(small)["macs"].tolist() == [1, 2, 3]


def test_lines_are_coloured_by_the_first_objective():
    for values, ends, logarithmic in (
        ([3.0, NAN, 4.0], (3, 4), False), ([1.0, 20.0, NAN], (1, 20), True), ([NAN, NAN, NAN], (0, 1), False),
    ):  # fmt: skip
        one = scene_with({"macs": [1, 2, 3], "tdp_w": values, "cost_usd": [1.0, 2.0, 3.0]})
        rails = [parallel._rail(one, one.front, column) for column in ("macs", "tdp_w", "cost_usd")]
        axes = plain_axes()
        parallel._draw_lines(axes.figure, axes, one, one.front, rails)
        (lines,) = axes.collections
        assert (lines.norm.vmin, lines.norm.vmax) == ends and isinstance(lines.norm, LogNorm) is logarithmic
        # Where it is unknown, as the most.
        assert lines.get_array().tolist() == [ends[1] if math.isnan(value) else value for value in values]
        segments = lines.get_segments()
        assert [segment[:, 0].tolist() for segment in segments] == [[0, 1, 2]] * 3
        assert [segment[0, 1] for segment in segments] == [0, 0.5, 1] == [segment[2, 1] for segment in segments]
        assert axes.figure.axes[1].get_ylabel() == "tdp_w [W]"
    for count, shade in ((1, 0.7), (100, 0.3), (400, 0.18)):
        one = scene_with({"tdp_w": np.arange(count) + 1.0, "cost_usd": 1.0})
        axes = plain_axes()
        parallel._draw_lines(axes.figure, axes, one, one.front, [parallel._rail(one, one.front, "tdp_w")])
        assert axes.collections[0].get_alpha() == pytest.approx(shade)


def test_picks_are_lines_of_a_look_of_their_own():
    picks = tuple(ShownPick(f"p{k}", {"macs": k, "memory": "b", "tdp_w": 12.0}) for k in range(13))
    one = scene_with(
        {"macs": range(13), "memory": [*"abcabcabcabca"], "tdp_w": np.arange(13.0), "cost_usd": 1.0}, picks=picks
    )
    rails = [parallel._rail(one, one.front, column) for column in ("macs", "memory", "tdp_w", "cost_usd")]
    axes = plain_axes()
    parallel._draw_picks(axes, one, rails)
    for place, line in enumerate(axes.lines):
        assert line.get_xdata().tolist() == [0, 1, 2, 3]
        assert line.get_ydata() == pytest.approx([place / 12, 0.5, 1, -0.09])
        assert hexed(line.get_color()) == style.SERIES[place % 8] and line.get_marker() == style.MARKERS[place % 12]
        assert line.get_label() == f"p{place}"
    patterns = [str(line._dash_pattern) for line in axes.lines]
    assert patterns[:6] == patterns[6:12] and len(set(patterns)) == 6


def test_axes_have_headings_values_and_which_way_is_better():
    one = scene_with({"macs": [1.0, 2.0], "tdp_w": [1.0, 2.0], "cost_usd": [1.0, 3.0]}, maximised=["cost_usd"])
    rails = [parallel._rail(one, one.front, column) for column in ("macs", "tdp_w", "cost_usd")]
    axes = plain_axes()
    parallel._draw_rails(axes, one, rails, n_parameters=1)
    assert [[*line.get_xdata()] for line in axes.lines] == [[0, 0], [1, 1], [2, 2]]
    assert [hexed(line.get_color()) for line in axes.lines] == [style.GREY, style.BLACK, style.BLACK]
    assert len({line.get_linewidth() for line in axes.lines}) == 2
    # From the least value up, which stands a tenth above the lower end.
    assert all(tuple(line.get_ydata()) == (0.1, 1) for line in axes.lines)
    headings = [text for text in axes.texts if text.get_va() == "bottom"]
    assert [text.get_text() for text in headings] == ["macs", "tdp_w\n[W]\n▼ better", "cost_usd\n[USD]\n▲ better"]
    assert [(text.xy, text.xyann, text.get_ha()) for text in headings] == [
        ((place, 1), (0, 11), "center") for place in range(3)
    ]  # fmt: skip
    assert [text.get_fontweight() for text in headings] == ["normal", "bold", "bold"]
    assert not any(text.get_annotation_clip() for text in headings)
    values = [text for text in axes.texts if text.get_va() == "center"]
    assert [(text.get_text(), text.xy, text.xyann) for text in values] == [
        (text, (place, height), (4, 0))
        for place, pair in enumerate(("12", "12", "13"))
        for height, text in enumerate(pair)
    ]
    for text in values:
        assert 0.5 < text.get_bbox_patch().get_alpha() < 1 and text.get_zorder() > 6
    assert axes.get_xlim() == (-0.25, 2.55) and axes.get_ylim() == (-0.14, 1.04)
    assert not len(axes.get_xticks()) and not len(axes.get_yticks())
    assert not any(spine.get_visible() for spine in axes.spines.values())
    assert not any(line.get_visible() for line in (*axes.get_xgridlines(), *axes.get_ygridlines()))


FRONT = {"macs": [1.0, 2.0], "memory": ["a", "a"], "tdp_w": [1.0, 2.0], "cost_usd": [2.0, 1.0]}


def test_what_varies_is_drawn_and_all_of_a_single_design(shown, tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "_draw", lambda _, columns: [*columns])
    for front, objectives, columns in (
        (FRONT, ("tdp_w", "cost_usd"), ["macs"]),
        ({**FRONT, "macs": [1.0, NAN]}, ("tdp_w", "cost_usd"), ["macs"]),
        ({name: values[:1] for name, values in FRONT.items()}, ("tdp_w", "cost_usd"), ["macs", "memory"]),
        ({**FRONT, "macs": [1.0, 1.0]}, ("tdp_w", "cost_usd"), []),
        ({"macs": [1.0, 2.0], "tdp_w": [1.0, 2.0]}, ("tdp_w",), ["macs"]),
        # Fewer than two axes are none, and so is a front of nothing.
        ({"macs": [1.0, 1.0], "tdp_w": [1.0, 2.0]}, ("tdp_w",), None),
        ({name: values[:0] for name, values in FRONT.items()}, ("tdp_w", "cost_usd"), None),
    ):
        parameters = tuple(name for name in (*front, "absent") if name not in objectives)
        one = scene_with(front, objectives=objectives, parameters=parameters)
        paths = parallel.draw_parallel(one, tmp_path, ["svg"])
        assert paths == ([] if columns is None else [tmp_path / "parallel.svg"])
        assert shown.pop("parallel", None) == columns


def test_the_title_counts_the_designs(monkeypatch):
    words = " ".join(["x" * 75, "y", "z" * 60, "v" * 13, "w"])
    monkeypatch.setattr(parallel, "_shared_words", lambda *_: words)
    picks = (ShownPick("knee", {"macs": 1.0, "tdp_w": 1.0, "cost_usd": 2.0}),)
    for count, feasible, told in (
        (401, True, "s: 400 of 401 designs on the front"),
        (400, True, "s: 400 designs on the front"),
        (1, True, "s: 1 design on the front"),
        (2, False, "s: 2 designs that miss by least"),
    ):
        front = {"macs": np.arange(count), "a_b": 1, "tdp_w": np.arange(count), "cost_usd": np.arange(count)}
        one = scene_with(front, feasible=feasible, picks=picks if feasible else ())
        with style.drawing():
            figure = parallel._draw(one, ["macs", "a_b"])
        axes = figure.axes[0]
        assert (title(axes) if feasible else figure._suptitle.get_text()) == told
        assert [entries(figure)] == ([["knee"]] if feasible else [[]])
        # Under it room for headings of two lines and the word that says which way is better.
        offset = axes.titleOffsetTrans.transform((0, 0))[1] / figure.dpi * 72
        assert offset == pytest.approx(44 if feasible else 48)
        # Fourteen letters for each axis and twenty more.
        assert axes.get_xlabel() == textwrap.fill(words, 76)
        assert axes.get_xlabel() not in (textwrap.fill(words, 75), textwrap.fill(words, 77))
        assert next(text.get_text() for text in axes.texts if text.get_ha() == "center") == "macs"
        assert sum("better" in text.get_text() for text in axes.texts) == 2
