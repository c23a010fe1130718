"""Verdicts on made-up claims, and rates of a made-up machine."""

import math
from types import SimpleNamespace

import pandas as pd

from dse.render.plots import audit, style
from tests.dse.render.plots.read import entries, hexed, same_mark, ticks, title, xy

NAN = math.nan


def verdict(finding, predicted, low, high, *, bound=NAN, value=10.0, key="speed", of="a100"):
    claim = SimpleNamespace(value=value, key=key, of=of)
    return SimpleNamespace(claim=claim, finding=finding, predicted=predicted, low=low, high=high, bound=bound)


def rates(subject, *rows):
    return SimpleNamespace(
        subject=subject, table=pd.DataFrame(rows, columns=["weight_bits", "kv_bits", "memory_bound", "gbps_low"])
    )


def test_claims_stand_below_each_other_by_how_far_they_are_off(shown, tmp_path):
    verdicts = [
        verdict("consistent", 11.0, 9.0, 12.0), verdict("optimistic", 20.0, 10.0, 40.0, bound=8.0, value=20.0),
        verdict("not comparable", NAN, NAN, NAN), verdict("impossible", 5.0, 4.0, 6.0),
        verdict("pessimistic", 1.0, 1.0, 2.0),
    ]  # fmt: skip
    found = SimpleNamespace(
        case=SimpleNamespace(name="case"), verdicts=verdicts, rates=[rates("none"), rates("x", (4, 8, True, 9.0))]
    )
    assert audit.draw_audit(found, tmp_path) == [tmp_path / "verdicts.png", tmp_path / "rates-x.png"]
    (axes,) = shown["verdicts"].axes
    lines = [line for line in axes.lines if len(line.get_xdata())]
    # A bar and a mark each, the bound of the second, and equality.
    assert [xy(line) for line in lines[:-1]] == [
        [[0.9, 0], [1.2, 0]], [[1.1, 0]], [[0.5, 1], [2, 1]], [[1, 1]], [[0.4, 1]], [[0.4, 2], [0.6, 2]], [[0.5, 2]],
        [[0.1, 3], [0.2, 3]], [[0.1, 3]],
    ]  # fmt: skip
    assert lines[-1].get_xdata()[0] == 1
    marks = [lines[k] for k in (1, 3, 6, 8)]
    assert [line.get_marker() for line in marks] == ["o", "s", "X", "v"]
    assert [hexed(line.get_color()) for line in marks] == [style.GREEN, style.ORANGE, style.VERMILION, style.BLUE]
    assert axes.get_xscale() == "log" and axes.get_ylim() == (3.6, -0.6) and [*ticks(axes.yaxis)] == [0, 1, 2, 3]
    assert title(axes) == "case: claims against the equations"
    assert entries(shown["verdicts"]) == ["consistent", "optimistic", "impossible", "pessimistic"]
    shown.clear()
    assert audit.draw_audit(SimpleNamespace(case=found.case, verdicts=verdicts[2:3], rates=[]), tmp_path) == []


def test_a_claim_is_called_by_its_name_its_machine_and_the_rest():
    for key, of, text in (
        ("speed", "a100", "speed: a100"),
        ("speed, a100, batch 4, chat", "a100", "speed: a100 batch 4 chat"),
        ("speed, ", "a100", "speed: a100"),
    ):
        assert audit._label(verdict("consistent", 1, 1, 1, key=key, of=of)) == text


def test_rates_are_coloured_by_the_least_bandwidth_and_marked_by_what_sets_them(shown, tmp_path):
    rows = [(4, 8, True, 30.0), (4, 8, True, 10.0), (4, 8, False, 20.0), (8, 16, True, 50.0)]
    assert audit._draw_rates(rates("x", *rows), tmp_path) == [tmp_path / "rates-x.png"]
    axes, bar = shown["rates-x"].axes
    memory, arithmetic = axes.collections
    # Of one place and kind the least bandwidth, whatever stands first in the table.
    assert xy(memory) == [[4, 8], [8, 16]] and memory.get_array().tolist() == [10, 50]
    assert xy(arithmetic) == [[4, 8]] and arithmetic.get_array().tolist() == [20]
    assert memory.get_clim() == arithmetic.get_clim() == (10, 50)
    assert same_mark(memory, "o") and same_mark(arithmetic, "^")
    assert entries(axes) == ["every step waits for memory", "arithmetic sets a rate"]
    assert bar.get_ylabel() == "least delivered bandwidth [GB/s]" and title(axes) == "x: what satisfies every claim"
    audit._draw_rates(rates("x", rows[2]), tmp_path)
    assert entries(shown["rates-x"].axes[0]) == ["arithmetic sets a rate"]
    assert xy(shown["rates-x"].axes[0].collections[0]) == [[4, 8]]
