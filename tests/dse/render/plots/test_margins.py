"""Histograms of margins whose bars are known."""

from textwrap import fill
from types import SimpleNamespace

import pandas as pd
import pytest
from matplotlib.ticker import NullFormatter

from dse.render.plots import margins, style
from tests.dse.render.plots.read import bar, entries, hexed, plain_axes, title


def counts(constraint, rows):
    return pd.DataFrame([{"constraint": constraint, "low": low, "high": high, "designs": n} for low, high, n in rows])


SOME = [(-float("inf"), -1.0, 3), (-1.0, -0.5, 2), (-0.5, 0.0, 1), (0.0, 0.5, 40), (1.0, float("inf"), 7)]


def test_bars_are_missed_left_of_zero_and_met_right_of_it():
    axes = plain_axes()
    margins._draw_panel(axes, counts("a", SOME), "tdp_w of all the boards together <= 300 W")
    assert [(bar(one)[0], bar(one)[2], bar(one)[3]) for one in axes.patches] == [
        pytest.approx(one) for one in [(-115, 15, 3), (-100, 50, 2), (-50, 50, 1), (0, 50, 40), (100, 15, 7)]
    ]
    assert [hexed(one.get_facecolor()) for one in axes.patches] == [style.VERMILION] * 3 + [style.BLUE] * 2
    assert [one.get_hatch() for one in axes.patches] == ["///"] * 3 + [""] * 2
    assert axes.lines[0].get_xdata()[0] == 0 and axes.get_yscale() == "log"
    assert axes.get_xlim() == pytest.approx((-115, 115)) and axes.get_xticks().tolist() == [-100, -50, 0, 50, 100]
    assert isinstance(axes.yaxis.get_minor_formatter(), NullFormatter)
    assert title(axes) == "tdp_w of all the boards together\n<= 300 W"
    assert not any(line.get_visible() for line in axes.get_xgridlines())


def drawn(shown, tmp_path, missed, met, most=40):
    tables = [counts(f"c{k}", [*SOME[:3], (0.0, 0.5, most)]) for k in range(missed)]
    tables += [counts(f"always {k}", [(0.0, 0.5, 5)]) for k in range(met)]
    run = SimpleNamespace(name="run", margins=pd.concat(tables))
    assert margins.draw_margins(run, tmp_path, ["svg"]) == [tmp_path / "margins.svg"]
    return shown["margins"]


def test_constraints_that_some_design_misses_have_a_panel_in_three_columns(shown, tmp_path):
    words = "run: designs by their margin to each constraint"
    for missed, met, panels, grid in (
        (1, 2, ["c0"], (1, 1)), (3, 0, ["c0", "c1", "c2"], (1, 3)), (4, 1, ["c0", "c1", "c2", "c3"], (2, 3)),
        (0, 2, ["always 0", "always 1"], (1, 2)),
    ):  # fmt: skip
        figure = drawn(shown, tmp_path, missed, met)
        assert [title(axes) for axes in figure.axes] == panels
        assert figure.axes[0].get_subplotspec().get_gridspec().get_geometry() == grid
        kept = ", ".join(f"always {k}" for k in range(met)) if missed and met else ""
        assert figure._suptitle.get_text() == words + (f"\nmet by every design: {kept}" if kept else "")
        assert entries(figure) == ["missed", "met"]
        first = figure.axes[0]
        # What the legend shows stands in no panel.
        assert [(one.get_height(), one.get_x() + one.get_width() / 2) for one in first.patches[-2:]] == [(0, 0)] * 2
        for axes in figure.axes:
            shared = first.get_shared_x_axes(), first.get_shared_y_axes()
            assert axes is first or all(one.joined(first, axes) for one in shared)
            assert axes.xaxis.get_tick_params()["labelbottom"] is True
    # From below one design to twice the most.
    for most, top in ((40, 80), (6, 20), (8, 20), (12, 24)):
        axes = drawn(shown, tmp_path, 1, 0, most).axes[0]
        assert axes.get_ylim() == (0.7, top)


def test_the_title_is_as_wide_as_the_panels(shown, tmp_path):
    for missed, width in ((1, 76), (2, 76), (3, 114)):
        lines = drawn(shown, tmp_path, missed, 40)._suptitle.get_text().split("\n")
        kept = "met by every design: " + ", ".join(f"always {k}" for k in range(40))
        assert "\n".join(lines[1:]) == fill(kept, width)
