"""Labels on a page of 400 by 300 points whose data are its points, so that every place is known by hand; lines."""

import math
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from dse.render.plots import labels as labels_module
from dse.render.plots.labels import (
    Label,
    _box,
    _cost,
    _crossings,
    _overlap,
    _runs_through,
    _size,
    place_labels,
)
from dse.render.plots.lines import LineChart, draw_lines
from dse.render.plots.space import draw_hypervolume
from dse.render.plots.style import DASHES, GREY, MARKERS, SERIES

WIDTH, HEIGHT = 400, 300
FRAME = Bbox.from_bounds(0, 0, WIDTH, HEIGHT)
NOWHERE = np.empty((0, 2))


@pytest.fixture
def axes():
    figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    return axes


def placed(axes, *labels, marks=NOWHERE, **options):
    """The boxes of labels, with the width and height that they are given room for, and the lines back to points."""
    before = len(axes.lines)
    place_labels(axes.figure, axes, labels, marks=np.asarray(marks, dtype=float), **options)
    boxes = []
    for text in axes.texts[-len(labels) :]:
        extent = text.get_window_extent()
        x, y = text.get_position()
        boxes.append(Bbox.from_bounds(x - extent.width / 2 - 2, y - extent.height / 2 - 1.5,
                                      extent.width + 4, extent.height + 3))  # fmt: skip
    return boxes, axes.lines[before:]


def test_a_label_alone_stands_right_above_its_point_two_points_from_its_mark(axes):
    (box,), lines = placed(axes, Label(200, 150, "here"), radius=6)
    angle = math.radians(20)
    assert (box.x0, box.y0) == pytest.approx((200 + 8 * math.cos(angle), 150 + 8 * math.sin(angle)), abs=0.6)
    assert not lines


@pytest.mark.parametrize(
    ("x", "y", "right", "above"), [(398, 150, False, True), (200, 298, True, False), (398, 298, False, False)]
)
def test_a_label_stays_within_the_frame(axes, x, y, right, above):
    (box,), _ = placed(axes, Label(x, y, "near the frame"))
    assert (box.x0 > x, box.x1 < x) == (right, not right) and (box.y0 > y, box.y1 < y) == (above, not above)
    assert box.x0 >= 0 and box.x1 <= WIDTH and box.y0 >= 0 and box.y1 <= HEIGHT


def test_labels_keep_clear_of_marks_of_legends_and_of_each_other(axes):
    crowd = [(x, y) for x in range(203, 280, 6) for y in range(150, 200, 4)]
    (box,), _ = placed(axes, Label(200, 150, "here"), marks=crowd)
    assert box.x1 < 200 and box.y0 > 150
    (box,), _ = placed(axes, Label(100, 150, "there"), keep_clear=[Bbox.from_bounds(100, 150, 60, 60)])
    assert not Bbox.intersection(box, Bbox.from_bounds(100, 150, 60, 60))
    boxes, _ = placed(axes, *(Label(200, 100, f"one of six {k}") for k in range(6)))
    assert not [1 for k, one in enumerate(boxes) for other in boxes[:k] if Bbox.intersection(one.padded(-1), other)]


def test_a_label_far_from_its_point_has_a_line_back_to_it(axes):
    around = Bbox.from_bounds(150, 110, 100, 80)
    (box,), (line,) = placed(axes, Label(200, 150, "away", "red"), keep_clear=[around])
    (x0, x1), (y0, y1) = line.get_data()
    assert (x0, y0) == (200, 150) and line.get_color() == "red"
    assert (x1, y1) == pytest.approx((np.clip(200, box.x0, box.x1), np.clip(150, box.y0, box.y1)), abs=1)
    assert abs(box.x0 + box.width / 2 - 200) > 50 or abs(box.y0 + box.height / 2 - 150) > 40


def test_places_are_tried_near_first_and_the_first_of_the_cheapest_is_taken(monkeypatch):
    figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=144)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    tried, best = [], 0

    def cost(box, frame, taken, dots):
        tried.append((box, [one.bounds for one in taken], dots))
        return 50.0 if len(tried) > best else 99.0

    monkeypatch.setattr(labels_module, "_cost", cost)
    legend = Bbox.from_bounds(1, 2, 3, 4)
    place_labels(
        figure, axes, [Label(200, 150, "a"), Label(100, 50, "b")], marks=np.array([(1, 2)]), keep_clear=[legend]
    )
    # Two pixels a point; from the mark, of five points, in twelve directions.
    degrees = [20, 160, -20, -160, 60, 120, -60, -120, 0, 180, 90, -90]
    width, height = _size(figure, axes, Label(200, 150, "a"))
    assert [box.bounds for box, _, _ in tried[:84]] == [
        pytest.approx(_box(np.array([400, 300]), math.radians(angle), 2 * (5 + distance), width, height).bounds)
        for distance in (2, 9, 19, 33, 51, 73, 99)
        for angle in degrees
    ]
    assert tried[0][1] == [(1, 2, 3, 4), (390, 290, 20, 20), (190, 90, 20, 20)] and tried[0][2].tolist() == [[2, 4]]
    assert tried[84][1] == [*tried[0][1], pytest.approx(tried[0][0].bounds)] and len(tried) == 168
    assert not axes.lines and [text.get_text() for text in axes.texts] == ["a", "b"]
    # The text itself needs less, and is not left behind.
    extent = axes.texts[0].get_window_extent()
    assert (width, height) == pytest.approx((extent.width + 4, extent.height + 3))
    for text in axes.texts:
        assert 0.5 < text.get_bbox_patch().get_alpha() < 1 and not text.get_in_layout()
        assert text.get_ha() == text.get_va() == "center"
    # From the second distance on there is a line back to the point.
    for place, lines in ((11, 0), (12, 1)):
        best = place
        tried.clear()
        before = len(axes.lines)
        place_labels(figure, axes, [Label(200, 150, "a")], marks=NOWHERE)
        assert len(axes.lines) - before == lines


def test_places_that_cannot_be_better_are_not_looked_at(monkeypatch, axes):
    tried, told = [], []
    monkeypatch.setattr(labels_module, "_cost", lambda box, *others: tried.append(box) or float(len(tried) < 3))
    monkeypatch.setattr(labels_module, "_crossings", lambda box, *others: told.append(box) or 0.0)
    placed(axes, Label(200, 150, "a"))
    # The third place costs nothing: lines to others of its distance are not looked at, nor places that are further.
    assert len(tried) == 12 and told == [tried[0], tried[2]]


@pytest.mark.parametrize(
    ("degrees", "left", "bottom"),
    [(0, 10, -4), (20, 10 * math.cos(math.radians(20)), 10 * math.sin(math.radians(20))), (90, -10, 10),
     (180, -30, -4), (-90, -10, -18), (160, -20 - 10 * math.cos(math.radians(20)), 10 * math.sin(math.radians(20)))],
)  # fmt: skip
def test_the_near_side_of_a_box_stands_at_its_distance(degrees, left, bottom):
    box = _box(np.zeros(2), math.radians(degrees), 10, 20, 8)
    assert (box.x0, box.y0, box.width, box.height) == pytest.approx((left, bottom, 20, 8), abs=1e-9)


@pytest.mark.parametrize(
    ("corner", "taken", "marks", "cost"),
    [
        ((100, 100), (), (), 0),
        ((-5, 100), (), (), 10),
        ((390, 295), (), (), 2 * (10 + 5)),
        ((100, -3), (), (), 6),
        # A quarter of it is covered, at 100 for all of it and 40 for any.
        ((100, 100), ((110, 95, 50, 10),), (), 25 + 40),
        ((100, 100), ((120, 100, 10, 10), (90, 90, 10, 10)), (), 0),
        # Marks within three points of it; one at that distance is outside.
        ((100, 100), (), ((98, 105), (122.9, 112.9), (97, 105), (123, 105), (110, 97), (110, 113)), 3),
    ],
)
def test_what_a_place_costs(corner, taken, marks, cost):
    box = Bbox.from_bounds(*corner, 20, 10)
    dots = np.array(marks, dtype=float).reshape(-1, 2)
    assert _cost(box, FRAME, [Bbox.from_bounds(*one) for one in taken], dots) == pytest.approx(cost)


def test_overlaps_of_boxes():
    box = Bbox.from_bounds(0, 0, 10, 10)
    assert _overlap(box, Bbox.from_bounds(5, 8, 10, 10)) == 5 * 2
    for apart in ((11, 11), (11, 5), (5, 11), (-6, 5), (5, -6)):
        assert _overlap(box, Bbox.from_bounds(*apart, 5, 5)) == 0


def test_lines_through_text_are_told():
    anchor, box, between = np.array([0.0, 5.0]), Bbox.from_bounds(100, 0, 10, 10), Bbox.from_bounds(40, 0, 20, 10)
    aside = Bbox.from_bounds(40, 20, 20, 10)
    assert _runs_through(anchor, box, between)
    # Beside it, along one of its sides, behind the point, beyond the label.
    for place in ((40, 20), (40, 5), (40, -5), (-60, 0), (150, 0)):
        assert not _runs_through(anchor, box, Bbox.from_bounds(*place, 20, 10))
    up = np.array([50.0, -100.0])
    for place, through in ((40, True), (50, False), (30, False)):
        assert _runs_through(up, Bbox.from_bounds(45, 100, 10, 10), Bbox.from_bounds(place, 0, 20, 10)) is through
    # A legend between costs, as do a label that it crosses and a label that crosses it.
    assert _crossings(box, anchor, [], [between, aside]) == 40
    assert _crossings(box, anchor, [(between, np.array([50.0, 100.0]))], []) == 40
    assert _crossings(box, anchor, [(Bbox.from_bounds(100, 40, 10, 10), np.array([105.0, -20.0]))], []) == 40
    assert _crossings(box, anchor, [(aside, np.array([50.0, 60.0]))], []) == 0


def test_a_line_chart_holds_its_series_in_their_looks(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(
        "dse.render.plots.lines.save", lambda figure, folder, stem, formats: shown.append((figure, stem)) or [folder]
    )
    series = {f"series {k}": ([1.0, 10.0, 100.0], [k + 1.0, k + 2.0, k + 3.0]) for k in range(3)}
    draw_lines(LineChart("stem", "title", "x, s", "y, W", series, log_y=False, level=2.5), tmp_path)
    ((figure, stem),) = shown
    (axes,) = figure.axes
    *lines, level = axes.lines
    assert stem == "stem" and [*map(lambda line: line.get_label(), lines)] == [*series]
    for place, (line, (x, y)) in enumerate(zip(lines, series.values(), strict=True)):
        assert line.get_xydata().tolist() == np.column_stack([x, y]).tolist()
        assert mpl.colors.same_color(line.get_color(), SERIES[place]) and line.get_marker() == MARKERS[place]
    assert len(DASHES) > 1 and len({str(line._dash_pattern) for line in lines}) > 1
    assert [*level.get_ydata()] == [2.5, 2.5] and mpl.colors.same_color(level.get_color(), GREY)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
    assert (
        axes.get_title(mpl.rcParams["axes.titlelocation"]) or axes.get_title("left"),
        axes.get_xlabel(),
        axes.get_ylabel(),
    ) == ("title", "x, s", "y, W")
    assert axes.get_legend() is not None


def grown(rows):
    progress = pd.DataFrame(rows, columns=["evaluated", "front", "hypervolume"])
    return SimpleNamespace(name="run", manifest={"sampler": "nsgaii", "seed": 3}, progress=progress)


def test_a_front_grows_from_the_first_feasible_design_on(monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr(
        "dse.render.plots.space.save", lambda figure, folder, stem, formats: shown.append(figure) or [folder]
    )
    rows = [(100, 0, math.nan), (200, 0, 0.0), (300, 2, 0.2), (400, 5, 0.3), (900, 7, 0.4)]
    assert draw_hypervolume(grown(rows), tmp_path, ["png"]) == [tmp_path]
    share, count = shown[0].axes
    assert share.lines[0].get_xydata().tolist() == [[300, 50], [400, pytest.approx(75)], [900, 100]]
    assert count.lines[0].get_xydata().tolist() == [[300, 2], [400, 5], [900, 7]]
    assert share.lines[0].get_marker() == "o" and share.get_xscale() == "linear" == share.get_yscale()
    assert share.get_title(loc="left") + share.get_title() == "run: nsgaii, seed 3"
    assert [text.get_text() for text in shown[0].legends[0].get_texts()] == [
        "hypervolume of the front", "designs on the front",
    ]  # fmt: skip
    assert not any(line.get_visible() for line in count.get_ygridlines()) and count.spines["right"].get_visible()
    # Over decades in ratios; of many points none has a mark; what did not grow is not drawn.
    draw_hypervolume(grown([(10 * 2**k, k, 0.1 + k) for k in range(20)]), tmp_path, ["png"])
    assert shown[1].axes[0].get_xscale() == "log" and shown[1].axes[0].lines[0].get_marker() == "None"
    for few in ([], rows[:3]):
        assert draw_hypervolume(grown(few), tmp_path, ["png"]) == []
    assert len(shown) == 2
