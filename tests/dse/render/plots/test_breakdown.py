"""Stacked bars of a few made-up explanations whose parts and totals are known."""

import math
from types import SimpleNamespace

import pytest

from dse.render.plots import breakdown, style
from dse.render.plots.breakdown import OTHER, Bar, block_bar, block_names, grouped_parts, power_bar
from tests.dse.render.plots.read import bar, entries, hexed, plain_axes, ticks, title

NAN = math.nan


def explained(power=None, *, fits=True, area=None, cost=None, die_mm2=NAN, cost_usd=NAN, board_w=NAN):
    """What a bar is made from."""
    decode = SimpleNamespace(power_w=power or {}, board_w=board_w)
    blocks = {name: one for name, one in (("area_mm2", area), ("cost_usd", cost)) if one is not None}
    return SimpleNamespace(
        workloads={"chat": SimpleNamespace(fits=fits, decode=decode)}, blocks=blocks,
        metrics={"die_mm2": die_mm2, "cost_usd": cost_usd},
    )  # fmt: skip


def test_a_bar_of_power_says_what_the_design_limit_holds():
    assert power_bar("a", explained({"static": 30.0, "active": 70.0}, board_w=100.0), "chat") == Bar(
        "a", {"static": 30.0, "active": 70.0}, 100.0
    )
    held = explained({"static": 30.0, "active": 90.0, "held_at_tdp": -20.0}, board_w=100.0)
    assert power_bar("a", held, "chat") == Bar(
        "a", {"static": 30.0, "active": 90.0}, 100.0, "asks for 120 W, held at the design limit"
    )
    lost = power_bar("a", explained({"static": 1.0}, fits=False, board_w=1.0), "chat")
    assert (lost.parts, lost.remark) == ({}, "does not fit") and math.isnan(lost.total)


def test_a_single_block_is_no_breakdown():
    two = explained(area={"sram": 1.0, "compute": 2.0}, die_mm2=3.0)
    assert block_bar("a", two, "area_mm2", "die_mm2") == Bar("a", {"sram": 1.0, "compute": 2.0}, 3.0)
    assert block_bar("a", explained(area={"die": 3.0}, die_mm2=3.0), "area_mm2", "die_mm2") == Bar("a", {}, 3.0)
    none = block_bar("a", explained(), "cost_usd", "cost_usd")
    assert (none.parts, none.remark) == ({}, "n/a") and math.isnan(none.total)


def test_blocks_are_told_apart_the_largest_first_and_small_ones_together():
    assert block_names([]) == block_names([Bar("a", {}, 5.0)]) == ()
    assert block_names([Bar("a", {"x": 1.0, "y": 3.0}, 4.0)]) == ("y", "x")
    assert block_names([Bar("a", {"x": 0.4, "y": 0.6}, 1.0)]) == ("y", "x")
    # By the largest share that it has of any bar; 3 in 100 are enough, less is of the rest; nothing is nothing.
    bars = [
        Bar("a", {"x": 3.0, "y": 2.9, "z": 94.1, "none": 0.0}, 100.0),
        Bar("b", {"x": 4.0, "y": 0.2, "z": 5.8}, 10.0),
    ]
    assert block_names(bars) == ("z", "x", OTHER)
    assert block_names([Bar("a", {"x": 3.0, "z": 97.0}, 100.0)]) == ("z", "x")
    # What is called other is of the rest, whatever it takes; the palette has eight colours and that of the rest.
    assert block_names([Bar("a", {OTHER: 60.0, "x": 40.0}, 100.0)]) == ("x", OTHER)
    for count in (8, 9):
        names = block_names([Bar("a", {f"p{k}": 20.0 - k for k in range(count)}, 1.0)])
        assert names == tuple(f"p{k}" for k in range(8)) + ((OTHER,) if count == 9 else ())
    assert grouped_parts(Bar("a", {"x": 1.0, "y": 2.0, "z": 4.0}, 7.0), ("z", "w", OTHER)) == {"z": 4, "w": 0, OTHER: 3}
    assert grouped_parts(Bar("a", {"x": 1.0}, 1.0), ("x",)) == {"x": 1}


def test_the_rest_is_white_and_dotted_and_others_follow_the_palette():
    for place in range(9):
        found = breakdown._fill(place, "x")
        assert (found["facecolor"], found["hatch"]) == (style.FILLS[place % 8], style.HATCHES[place % 8])
        assert 0 < found["linewidth"] < 1
    assert breakdown._fill(0, OTHER)["facecolor"] == "#FFFFFF" and breakdown._fill(3, OTHER)["hatch"] == "ooo"
    labels = [patch.get_label() for patch in breakdown._handles(["static", "weight_codes", OTHER])]
    assert labels == ["static (leakage, standby, board)", "weight codes", "other"]
    assert hexed(breakdown._handles(["a", "b"])[1].get_facecolor()) == style.FILLS[1]


def test_text_within_a_bar_is_seen_on_its_fill():
    # By how light the eye finds a colour: a red that is too dark alone, a green that is light.
    for fill, colour in (("#FFFFFF", "black"), ("#000000", "white"), ("#FF0000", "white"), ("#00FF00", "black"),
                         ("#0000FF", "white"), ("#0072B2", "white"), ("#FFC000", "black"), ("#800080", "white"),
                         ("#00C800", "white"), ("#FF60FF", "black"), ("#FF50FF", "black"), ("#D55E00", "white"),
                         ("#808080", "black"), ("#7F7F7F", "white")):  # fmt: skip
        axes = plain_axes()
        breakdown._write_inside(axes, 0.5, 1, "text", fill)
        (text,) = axes.texts
        assert (text.get_color(), text.get_position(), text.get_ha(), text.get_va()) == (
            colour,
            (0.5, 1),
            "center",
            "center",
        ), fill
        assert hexed(text.get_bbox_patch().get_facecolor()) == fill


def test_bars_are_stacked_from_the_left_the_first_on_top():
    axes = plain_axes()
    bars = [
        Bar("first, a", {"x": 60.0, "y": 36.0, "z": 4.0}, 100.0, "held"),
        Bar("second", {}, 50.0),
        Bar("third", {}, NAN, "n/a"),
        Bar("fourth", {"x": 5.2, "y": 5.0}, 30.0),
    ]
    breakdown._draw_bars(axes, bars, ("x", "y", OTHER), "W", longest=100.0)
    assert axes.get_xlim() == (0, 128) and axes.get_ylim() == (3.5, -0.5)
    assert [*ticks(axes.xaxis)] == [0, 25, 50, 75, 100, 125]
    middle = [(left, bottom + height / 2, width) for left, bottom, width, height in map(bar, axes.patches)]
    assert middle == [
        pytest.approx(one)
        for one in [(0, 0, 60), (60, 0, 36), (96, 0, 4), (0, 1, 50), (0, 3, 5.2), (5.2, 3, 5), (10.2, 3, 0)]
    ]
    assert all(0.5 < patch.get_height() < 1 for patch in axes.patches)
    # Amounts stand in parts of more than 4 % of the axis, 5.12 here; the total at the end, or what is known of it.
    written = {(text.xy if hasattr(text, "xyann") else text.get_position()): text.get_text() for text in axes.texts}
    assert written == {
        (30, 0): "60", (78, 0): "36", (25, 1): "blocks not published", (2.6, 3): "5.2", (100, 0): "100 W; held",
        (50, 1): "50 W", (0, 2): "n/a", (30, 3): "30 W",
    }  # fmt: skip
    assert all(text.xyann == (4, 0) for text in axes.texts if hasattr(text, "xyann"))
    assert ticks(axes.yaxis) == {0: "first,\na", 1: "second", 2: "third", 3: "fourth"}
    assert not any(line.get_visible() for line in axes.get_ygridlines())
    assert hexed(axes.patches[3].get_facecolor()) == "#EDEDED"


def test_groups_share_a_scale_unless_one_is_six_times_as_long():
    def drawn(*groups, names=("x",)):
        figure = breakdown._draw("area", "mm²", groups, names)
        return figure, [title(axes) for axes in figure.axes], [axes.get_xlim()[1] / 1.28 for axes in figure.axes]

    one, other = [Bar("a", {"x": 10.0}, 10.0)], [Bar("b", {"x": 60.0}, 60.0), Bar("c", {}, NAN, "n/a")]
    figure, titles, longest = drawn(one, other)
    assert titles == ["picks", "baselines"] and longest == pytest.approx([60, 60])
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "[mm²]"] and entries(figure) == ["x"]
    assert figure._suptitle.get_text() == "area" and 0 <= figure._suptitle.get_position()[0] < 0.1
    _, titles, longest = drawn(one, [Bar("b", {"x": 60.1}, 60.1)])
    assert titles == ["picks", "baselines, ON A SCALE OF THEIR OWN"] and longest == pytest.approx([10, 60.1])
    # A group that nothing is known of is told below the other; one that is empty is not missed.
    figure, titles, longest = drawn(one, [Bar("c", {}, NAN, "n/a")])
    assert titles == ["picks"] and figure.axes[0].get_xlabel() == "[mm²]; baselines n/a"
    figure, titles, _ = drawn([Bar("c", {}, NAN, "n/a")], other, names=())
    assert titles == ["baselines"] and figure.axes[0].get_xlabel() == "[mm²]; picks n/a" and not entries(figure)
    assert drawn(one, [])[0].axes[0].get_xlabel() == "[mm²]"
    assert breakdown._draw("area", "mm²", [[], [Bar("c", {}, NAN)]], ()) is None
    # A bar ends where its parts do or where its total stands, whichever is farther.
    ends = [breakdown._end(Bar("", {"x": 3.0, "y": 4.0}, total)) for total in (5.0, 9.0, NAN)]
    assert ends == [7, 9, 7] and breakdown._end(Bar("", {}, NAN)) == 0


def test_every_workload_has_its_power_and_a_part_one_colour(shown, tmp_path):
    pick = explained({"x": 30.0, "y": 70.0}, board_w=100.0, area={"m": 3.0, "n": 1.0}, die_mm2=4.0, cost_usd=NAN)
    pick.workloads["code"] = SimpleNamespace(
        fits=True, decode=SimpleNamespace(power_w={"x": 80.0, "y": 20.0}, board_w=100.0)
    )
    pick.workloads["lost"] = SimpleNamespace(fits=False)
    chip = explained({"x": 40.0}, board_w=40.0, area={"die": 800.0}, die_mm2=800.0)
    chip.workloads |= {"code": chip.workloads["chat"], "lost": pick.workloads["lost"]}
    paths = breakdown.draw_breakdowns({"knee": pick}, {"chip": chip}, tmp_path, ["svg", "png"])
    stems = ["breakdown-power-chat", "breakdown-power-code", "breakdown-area"]
    assert paths == [tmp_path / f"{stem}.{kind}" for stem in stems for kind in ("svg", "png")] and [*shown] == stems
    assert [shown[stem]._suptitle.get_text() for stem in stems] == [
        "chat: power of all boards in decode", "code: power of all boards in decode", "area of the logic die",
    ]  # fmt: skip
    assert [entries(shown[stem]) for stem in stems] == [["x", "y"], ["x", "y"], ["m", "n"]]
    assert [ticks(axes.yaxis)[0] for axes in shown["breakdown-area"].axes] == ["knee", "chip"]
    cost = explained(cost={"board": 9.0, "die": 1.0}, cost_usd=10.0)
    breakdown.draw_breakdowns({"knee": cost}, {}, tmp_path, ["svg"])
    assert shown["breakdown-cost"]._suptitle.get_text() == "production cost of one board, without NRE"
    assert entries(shown["breakdown-cost"]) == ["board", "die"]
