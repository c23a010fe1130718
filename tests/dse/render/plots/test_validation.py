"""Pictures of a validation of made-up rows."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dse.render.plots import style, validation
from tests.dse.render.plots.read import entries, hexed, plain_axes, same_mark, title, xy


def rows_with(count=1, **columns):
    return pd.DataFrame({
        "quantity": ["decode"] * count, "source": "s0", "measured_s": 1.0, "predicted_s": 1.0, "prompt": 100.0,
        "output": 100.0, "used_batch": 4.0, "batch_mode": "static", "grade": "A",
    }).assign(**columns)  # fmt: skip


def test_only_known_static_rows_of_grades_a_and_b_are_drawn(monkeypatch, tmp_path):
    taken = []
    monkeypatch.setattr(validation, "_predicted_measured", lambda rows, *_: taken.append([*rows["prompt"]]) or ["a"])
    monkeypatch.setattr(validation, "_error_by", lambda *_: ["b"])
    rows = rows_with(
        7, prompt=range(7), grade=[*"ABCAAAA"], batch_mode=["static"] * 6 + ["continuous"],
        predicted_s=[1, 1, 1, math.nan, math.inf, 1, 1], measured_s=[1, 1, 1, 1, 1, 0, 1],
    )  # fmt: skip
    assert validation.draw_validation(SimpleNamespace(internal=rows), tmp_path) == ["a", "b"] and taken == [[0, 1]]
    for none in (rows.iloc[:0], rows.iloc[2:]):
        assert validation.draw_validation(SimpleNamespace(internal=none), tmp_path) == []


def test_sources_keep_a_colour_and_a_mark_across_the_panels(shown, tmp_path):
    rows = rows_with(
        14, source=[f"s{k:02}" for k in range(14)], measured_s=np.arange(14) + 1.0, predicted_s=np.arange(14) + 2.0
    )
    both = pd.concat([rows.iloc[3:4].assign(quantity="request"), rows])
    assert validation._predicted_measured(both, tmp_path, ["svg"]) == [tmp_path / "predicted_measured.svg"]
    figure = shown["predicted_measured"]
    decode, request = figure.axes
    assert title(decode).startswith("Decode step\n14 rows") and title(request).startswith("Whole request\n1 rows")
    assert decode.get_position().x1 <= request.get_position().x0
    assert (decode.get_ylabel(), request.get_ylabel()) == ("predicted time [s]", "")
    assert decode.get_xlabel() == request.get_xlabel() == "measured time [s]"
    dots = decode.collections[:14]
    assert [xy(one) for one in dots] == [[[k + 1, k + 2]] for k in range(14)]
    assert [hexed(one.get_facecolor()) for one in dots] == [style.SERIES[k % 8] for k in range(14)]
    # After a round of the colours the marks are one on, so that no two sources look alike; then they come round too.
    marks = [style.MARKERS[k] for k in (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 0, 1, 2)]
    assert all(same_mark(one, mark) for one, mark in zip(dots, marks, strict=True))
    assert hexed(request.collections[0].get_facecolor()) == style.SERIES[3]
    assert entries(figure) == [f"s{k:02}" for k in range(14)]


def test_errors_are_told_in_words():
    part = rows_with(3, predicted_s=[0.5, 1.1, 1.2])
    assert validation._error_words(part) == "3 rows, median error +10 %,\nmedian of its size 20 %"


def test_equality_and_a_fifth_to_either_side_cross_axes_of_equal_reach():
    axes = plain_axes()
    validation._diagonal(axes, rows_with(2, measured_s=[3.0, 4.0], predicted_s=[6.0, 12.0]))
    assert xy(axes.lines[0]) == [[2, 2], [18, 18]]
    assert axes.get_xlim() == axes.get_ylim() == (2, 18) and axes.get_aspect() == 1
    assert axes.get_xscale() == axes.get_yscale() == "log"
    (band,) = axes.collections
    corners = {tuple(np.round(point, 9)) for point in band.get_paths()[0].vertices}
    assert corners == {(2, round(2 / 1.2, 9)), (2, 2.4), (18, 15), (18, 21.6)} and band.get_label() == "within 20 %"


def test_bins_of_five_rows_have_a_median_and_quartiles():
    part = pd.DataFrame({
        "x": [0.5] * 5 + [1, 2, 3, 3.5, 3.9] + [4, 5, 6, 7],
        "percent": [0, 1, 2, 3, 4, 10, 30, 20, 50, 40, 9, 9, 9, 9],
    })  # fmt: skip
    middle, median, low, high = validation._binned(part, "x", (1, 4))
    # Four rows are too few; what lies below one stands at one.
    assert (middle.tolist(), median.tolist(), low.tolist(), high.tolist()) == ([1, 3], [2, 30], [1, 20], [3, 40])
    assert [len(one) for one in validation._binned(part.iloc[:4], "x", (1, 4))] == [0, 0, 0, 0]
    middle, *_ = validation._binned(part.assign(x=1.5), "x", (1, 4))
    assert middle.tolist() == [1.5]
    for edges in (validation.BATCHES, validation.CONTEXTS):
        assert set(np.log2(edges) % 1) == {0} and sorted(set(edges)) == [*edges]
    assert validation.BATCHES[:9] == tuple(2**k for k in range(9))


def test_errors_are_drawn_by_batch_and_by_mean_context(shown, tmp_path):
    decode = rows_with(5, predicted_s=[0.9, 1.0, 1.1, 1.2, 1.3], prompt=1000.0, output=48.0)
    rows = pd.concat(
        [decode, decode.assign(quantity="request", used_batch=32.0), decode.iloc[:4].assign(quantity="prefill")]
    )
    stems = ["error_by_batch", "error_by_context"]
    assert validation._error_by(rows, tmp_path, ["svg"]) == [tmp_path / f"{stem}.svg" for stem in stems]
    for stem, places, label in (
        ("error_by_batch", (4, 32), "sequences in the batch"),
        ("error_by_context", (1024, 1024), "mean context [tokens]"),
    ):
        (axes,) = shown[stem].axes
        assert axes.get_xlabel() == label and axes.get_xscale() == "log" and axes.get_legend() is not None
        assert [container.get_label() for container in axes.containers] == ["Decode step", "Whole request"]
        # Those of one bin stand beside each other.
        for container, place, shift, number in zip(axes.containers, places, (0.94, 1.06), (0, 2), strict=True):
            line, _, (bars,) = container
            assert np.array(xy(line)) == pytest.approx(np.array([(place * shift, 10)]))
            assert np.array(bars.get_segments()[0])[:, 1] == pytest.approx([0, 20], abs=1e-9)
            assert hexed(line.get_color()) == style.SERIES[number] and line.get_marker() == style.MARKERS[number]
        assert axes.lines[-1].get_ydata()[0] == 0
        assert title(axes) == "Median error with quartiles, static rows of grades A and B"
