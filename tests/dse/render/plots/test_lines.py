"""Plain line plots: where the looks come round, and axes that are told to be linear."""

from dse.render.plots import lines, style
from dse.render.plots.lines import LineChart, draw_lines, shrink
from tests.dse.render.plots.read import entries, hexed


def test_looks_come_round(shown, tmp_path):
    series = {f"s{k}": ([1, 2], [3, 4]) for k in range(13)}
    assert draw_lines(LineChart("stem", "t", "x", "y", series), tmp_path) == [tmp_path / "stem.png"]
    (axes,) = shown["stem"].axes
    assert [hexed(line.get_color()) for line in axes.lines] == [style.SERIES[k % 8] for k in range(13)]
    assert [line.get_marker() for line in axes.lines] == [style.MARKERS[k % 12] for k in range(13)]
    dashes = [str(line._dash_pattern) for line in axes.lines]
    assert dashes[:6] == dashes[6:12] and len(set(dashes)) == 6 and entries(axes) == [*series]
    # In ratios unless told otherwise, and without a level.
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    draw_lines(LineChart("stem", "t", "x", "y", series, log_x=False), tmp_path)
    assert [shown["stem"].axes[0].get_xscale(), shown["stem"].axes[0].get_yscale()] == ["linear", "log"]
    assert lines.LineChart is LineChart


def test_a_picture_is_shrunk_to_few_colours(tmp_path):
    import numpy as np
    from PIL import Image

    path = tmp_path / "p.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)
    before = path.stat().st_size
    shrink(path)
    with Image.open(path) as picture:
        assert picture.size == (64, 64) and 32 < len(picture.convert("RGB").getcolors(4096)) <= 64
    assert path.stat().st_size < before / 2
