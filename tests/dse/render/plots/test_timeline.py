"""The timeline of an engine: the stretch that is shown, and what of it."""

from types import SimpleNamespace

import numpy as np
import pytest

from dse.render.plots import style, timeline
from tests.dse.render.plots.read import hexed, xy


def lines_of(count, queued=0.0):
    """Steps of half a second, with as many decoding as their place, some waiting and ten prompt tokens."""
    place = np.arange(count, dtype=float)
    return np.column_stack([5 + 0.5 * place, place, np.full(count, queued), np.full(count, 10.0)])


def test_the_busiest_stretch_past_the_first_fifth_is_shown():
    for count in (1, 400):
        assert timeline.busiest(lines_of(count)).shape == (count, 4)
    # Short ones from their begin, long ones past their first fifth; of equal stretches the first.
    assert timeline.busiest(lines_of(800))[[0, -1], 1].tolist() == [0, 399]
    assert timeline.busiest(lines_of(801))[[0, -1], 1].tolist() == [160, 559]
    for count, begin in ((800, 300), (1000, 450), (1000, 600)):
        some = lines_of(count)
        some[begin : begin + 400, 2] = 1
        assert timeline.busiest(some)[[0, -1], 1].tolist() == [begin, begin + 399]
    some = lines_of(1000)
    some[:200, 2], some[500, 2], some[999, 3] = 9, 1, 7
    assert timeline.busiest(some)[0, 1] == 200
    some[899:, 2] = 1
    assert timeline.busiest(some)[[0, -1], 1].tolist() == [600, 999]


def test_steps_batch_queue_and_chunks_stand_above_each_other(shown, tmp_path):
    some = lines_of(4, queued=3.0)
    for most, over in ((6, False), (5, True)):
        run = SimpleNamespace(requests=SimpleNamespace(timeline=some), most=most, chunk_tokens=512)
        assert timeline.draw_timelines({"chat": run}, tmp_path) == [tmp_path / "timeline-chat.png"]
        figure = shown["timeline-chat"]
        steps, batch, queue, chunks = figure.axes
        assert xy(steps.lines[0]) == [[0, 500], [0.5, 500], [1, 500]]
        assert xy(batch.lines[0]) == [[0, 0], [0.5, 1], [1, 2], [1.5, 3]]
        assert queue.lines[0].get_ydata().tolist() == [3] * 4 and chunks.lines[0].get_ydata().tolist() == [10] * 4
        # The most that memory holds, where the batch comes to more than half of it; the most of a step.
        assert [line.get_ydata()[0] for line in batch.lines[1:]] == ([most] if over else [])
        assert chunks.lines[1].get_ydata()[0] == 512
        for place, axes in enumerate(figure.axes):
            assert axes.get_ylim()[0] == 0 and axes.lines[0].get_drawstyle() == "steps-post"
            assert hexed(axes.lines[0].get_color()) == style.SERIES[place] and steps.get_shared_x_axes().joined(
                steps, axes
            )
        assert [axes.get_ylabel().partition("\n")[0] for axes in figure.axes] == [
            "time to the", "decoding", "waiting or", "prompt tokens",
        ]  # fmt: skip
        assert chunks.get_xlabel() == "time, s" and not steps.get_xlabel()
        assert figure._suptitle.get_text().startswith("chat: one engine over time, 4 steps;")
        assert 0 <= figure._suptitle.get_position()[0] < 0.1
        tops = [axes.get_position().y1 for axes in figure.axes]
        assert tops == pytest.approx(sorted(tops, reverse=True))
