"""Latency of a made-up machine: a step takes a ms per sequence and the prompt; memory is full at 64 of the longest."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.performance.batching import CONTINUOUS
from dse.render.plots import latency, style
from tests.dse.render.plots.read import entries, hexed, plain_axes, ticks, title, xy

NAN = math.nan


class Made:
    """Stands for an evaluator."""

    def __init__(self, *, full=1e9, tpot=None, ttft=None, **workloads):
        self.full, self.limits, self.asked = full, SimpleNamespace(tpot_ms=tpot, ttft_ms=ttft), []
        entry = {"model": "m", "batching": "static", "batch": 12, "prompt_tokens": 100, "output_tokens": 50}
        self.spec = SimpleNamespace(
            workloads={name: SimpleNamespace(**{**entry, **own}) for name, own in workloads.items()}
        )
        models = {"m": SimpleNamespace(encoder=False), "encoder": SimpleNamespace(encoder=True)}
        self.technology = SimpleNamespace(library=SimpleNamespace(models=models))

    def slo_of(self, workload):
        return self.limits

    def evaluate(self, columns, metrics):
        (name,) = {metric.partition(".")[0] for metric in metrics}
        batch, prompt, output = (columns[f"{name}.{key}"] for key in ("batch", "prompt_tokens", "output_tokens"))
        self.asked.append(dict(columns))
        held = np.where(batch * (prompt + output) > self.full, NAN, 1.0)
        return SimpleNamespace(
            metrics={metrics[0]: held * (batch + prompt), metrics[1]: held * 1e3 * (batch * prompt + output)}
        )


def test_latencies_are_a_table_of_lengths_by_batches():
    made = Made(chat={}, full=20 * 3)
    found = latency.latencies_of(
        made,
        {"macs": 64, "memory": "hbm3", "chat.batch": 7, "code.batch": 9},
        "chat",
        np.array([1.0, 10.0, 30.0]),
        [(1, 2), (3, 4)],
    )
    assert found[0] == pytest.approx(np.array([(2, 11, NAN), (4, NAN, NAN)]), nan_ok=True)
    assert found[1] == pytest.approx(1e3 * np.array([(3, 12, NAN), (7, NAN, NAN)]), nan_ok=True)
    (columns,) = made.asked
    # The design's own batch of this workload gives way, that of another stays.
    assert columns["macs"].tolist() == [64] * 6 and columns["code.batch"].tolist() == [9] * 6
    assert columns["chat.batch"].tolist() == [1, 10, 30] * 2
    assert latency._own(made, {"chat.batch": 7, "chat.output_tokens": 8}, "chat") == (7, 100, 8)


def lines_of(table, limit, unit="ms", own=12.0):
    axes = plain_axes()
    lengths = [(100, 50), *((one, one) for one in latency.CONTEXTS)][: len(table)]
    latency._draw_lines(axes, np.array([1.0, 12.0, 128.0]), np.array(table), lengths, own, limit, unit)
    return axes


def test_batches_and_contexts_grow_by_a_ratio():
    assert [*latency.BATCHES] == [2**k for k in range(8)] and set(np.diff(np.log2(latency.CONTEXTS))) == {2}


def test_the_workload_is_the_thick_line_and_its_batch_the_star():
    axes = lines_of([[1.0, 2.0, 3.0]] + [[k, k + 1.0, NAN] for k in range(2, 6)], 4.0)
    own, star, *others, limit = axes.lines
    assert xy(own) == [[1, 1], [12, 2], [128, 3]] and xy(star) == [[12, 2]] and star.get_linestyle() == "None"
    assert own.get_linewidth() > max(line.get_linewidth() for line in others)
    assert [line.get_label() for line in axes.lines] == [
        "100 in, 50 out (the workload's)", "its batch, 12", *(f"{one} in, {one} out" for one in latency.CONTEXTS),
        "its limit",
    ]  # fmt: skip
    for place, line in enumerate(others):
        assert line.get_ydata().tolist() == pytest.approx([place + 2, place + 3, NAN], nan_ok=True)
        assert hexed(line.get_color()) == style.SERIES[place] and line.get_marker() == style.MARKERS[place]
    assert len({str(line._dash_pattern) for line in others}) == 4 and others[0]._dash_pattern[1] is None
    assert title(axes) == "2 ms at batch 12" and limit.get_ydata()[0] == 4
    (text,) = axes.texts
    assert (text.get_text(), text.xy, text.xyann) == ("≤ 4 ms", (0.02, 4), (0, 3))
    assert axes.get_xlim() == pytest.approx((1 / 1.1, 128 * 1.15)) and axes.get_xscale() == "log"
    assert ticks(axes.xaxis) == {batch: str(batch) for batch in latency.BATCHES} and axes.get_xlabel() == "batch"
    # The vertical axis counts in ratios where its values, the limit among them, spread over a decade.
    for table, limit, scale in (
        ([[1.0, 2.0, 3.0]], None, "linear"),
        ([[1.0, 2.0, 3.0]], 11.0, "log"),
        ([[1.0, NAN, 30.0]], None, "log"),
    ):
        axes = lines_of(table, limit)
        assert axes.get_yscale() == scale and len(axes.texts) == bool(limit)
    assert title(axes) == "" and len(axes.lines) == 2


def test_every_workload_that_decodes_has_a_figure(shown, tmp_path):
    made = Made(
        chat={}, encode={"model": "encoder"}, served={"batching": CONTINUOUS}, long={"prompt_tokens": 1e9, "batch": 4},
        tpot=500.0, ttft=3e6,
    )  # fmt: skip
    assert latency.draw_latency("the knee", made, {"macs": 8}, tmp_path, ["svg"]) == [
        tmp_path / "latency-chat.svg", tmp_path / "latency-long.svg",
    ]  # fmt: skip
    figure = shown["latency-chat"]
    left, right = figure.axes
    batches = sorted({*latency.BATCHES, 12})
    assert xy(left.lines[0]) == [[batch, batch + 100] for batch in batches]
    assert xy(right.lines[0]) == [[batch, batch * 100 + 50] for batch in batches]
    assert xy(left.lines[2])[0] == [1, 513] and xy(right.lines[2])[0] == [1, 1024]
    assert (left.get_ylabel(), right.get_ylabel()) == (
        "time per token of the whole batch [ms]",
        "time to first token [s]",
    )
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["≤ 500 ms", "≤ 3\u2009000 s"]
    assert [title(axes) for axes in figure.axes] == ["112 ms at batch 12", "1\u2009250 s at batch 12"]
    assert figure._suptitle.get_text() == "chat (m) on the knee; lines end where memory is full"
    assert entries(figure)[:2] == ["100 in, 50 out (the workload's)", "its batch, 12"] and len(entries(figure)) == 7
    # Without limits none is drawn; without a batch that memory holds there is nothing to show, with one there is.
    assert latency.draw_latency("", Made(chat={}, full=100), {}, tmp_path, ["svg"]) == []
    assert len(latency.draw_latency("", Made(chat={}, full=150), {}, tmp_path, ["svg"])) == 1
    assert not shown["latency-chat"].axes[1].texts
