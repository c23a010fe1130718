"""Monte Carlo samples as tables, of results made by hand."""

import math
from types import SimpleNamespace

import numpy as np

from dse.render.terminal.robustness import (
    chances_table,
    confidence_lines,
    drawn_words,
    inputs_table,
    intervals_table,
)
from dse.uncertainty.confidence import WeakPoint
from dse.uncertainty.sensitivity import Swing
from tests.dse.render.terminal.made import pick, run, sweep


def spread(confidence, factor=""):
    return SimpleNamespace(confidence=confidence, factor=factor)


SPREADS = (spread("high", "a"), spread("low", "a"), spread("low", "b"), spread("low"), spread("low"),
           spread("high", "c"), spread("high", "c"), spread("high", "c"))  # fmt: skip


def entry(name, confidence="low"):
    return SimpleNamespace(name=name, confidence=confidence, paths=(name,))


def robust(ids, **changes):
    """Designs with chances that fall from the first to the last."""
    count, names = len(ids), ("chat.tpot_ms", "cost_usd", "die_mm2", "tdp_w", "price_usd")
    fell = np.linspace(1, 0, count) if count > 1 else np.ones(1)
    found = SimpleNamespace(
        draws=2000, seed=3, spreads=SPREADS, p_feasible=fell, nondominated_fraction=np.full(count, 0.5),
        p_meets={"tdp": np.full(count, 0.75), "area": np.linspace(0.5, 1, count) if count > 1 else np.ones(1)},
        nominal={name: np.arange(count) + 0.5 for name in names},
        quantiles={name: np.arange(count)[:, None] + np.array([0.25, 0.75, 1.0]) for name in names},
    )  # fmt: skip
    usual = {"ids": ids, "on_front": [True] * count, "names": {}, "found": found, "subject": (5, "knee"), "swings": ()}
    made = SimpleNamespace(**{**usual, **changes})
    return made


def test_what_was_drawn():
    assert drawn_words(robust([5, 6, 7], on_front=[True, False, True])) == [
        "2 000 Monte Carlo samples of 8 ranged parameters (4 of high confidence, 4 of low confidence), seed 3",
        "2 causes tie several of them together; typical parameters are the most likely ones, not the medians",
        "2 designs of the front, 1 least infeasible design",
    ]
    one = robust([5], on_front=[False])
    one.found.spreads = SPREADS[2:]
    assert drawn_words(one)[1:] == [
        "1 cause ties several of them together; typical parameters are the most likely ones, not the medians",
        "0 designs of the front, 1 least infeasible design",
    ]
    assert drawn_words(one)[0].endswith("6 ranged parameters (3 of high confidence, 3 of low confidence), seed 3")


def test_intervals_of_the_picks_alone(monkeypatch):
    monkeypatch.setattr("dse.render.terminal.robustness.watched", lambda spec: ["chat.tpot_ms", "cost_usd"])
    made = robust([4, 5, 6], names={5: ("knee", "best_cost_usd")})
    table = intervals_table(made, sweep())
    assert table.names == 3 and table.cells == (
        ("knee, best_cost_usd (5)", "chat.tpot_ms", "ms", "1.5", "1.25", "1.75", "2"),
        ("", "cost_usd", "USD", "1.5", "1.25", "1.75", "2"),
        ("", "die_mm2", "mm²", "1.5", "1.25", "1.75", "2"),
        ("", "tdp_w", "W", "1.5", "1.25", "1.75", "2"),
        ("", "price_usd", "USD", "1.5", "1.25", "1.75", "2"),
    )  # fmt: skip


def test_designs_by_their_chance():
    made = robust([9, 8, 7, 6], on_front=[True, False, True, True], names={6: ("knee", "best_cost_usd")})
    made.found.p_feasible = np.array([0.25, 0.75, 0.75, 0.0])
    made.found.nondominated_fraction = np.array([0.5, 0.25, 0.125, 0.0])
    table = chances_table(made, sweep())
    assert table.names == 2 and table.headings[5:] == ("chat.tpot_ms\nP50 ms", "cost_usd\nP50 USD")
    assert table.cells == (
        ("8", "infeasible", "75", "25", "area (66.7 %)", "1.75", "1.75"),
        ("7", "front", "75", "12.5", "tdp (75 %)", "2.75", "2.75"),
        ("9", "front", "25", "50", "area (50 %)", "0.75", "0.75"),
        ("6", "knee, best_cost_usd", "0", "0", "tdp (75 %)", "3.75", "3.75"),
    )
    # Alike by both, they stand by id; picks are shown beyond the most that are.
    made.found.p_feasible = made.found.nondominated_fraction = np.full(4, 0.5)
    assert [row[0] for row in chances_table(made, sweep()).cells] == ["6", "7", "8", "9"]
    made.names = {9: ("knee",)}
    assert [row[0] for row in chances_table(made, sweep(), 2).cells] == ["6", "7", "9"]
    assert len(chances_table(robust([*range(20)]), sweep()).cells) == 12


def test_what_moves_the_pick_at_most_ten_inputs_of_each_metric():
    swings = [Swing(entry(f"p{k}"), "tpot", 1.0, 2.0, 3.0, 0.25) for k in range(11)]
    swings += [Swing(entry("q", "high"), "cost", 1.5, 2.5, math.nan, 1.01)]
    table = inputs_table(robust([5], swings=swings))
    assert table.title == "What moves knee (design 5) most, one at a time" and table.names == 2
    assert table.cells == (
        ("tpot", "p0", "1", "2", "3", "25", "low"),
        *(("", f"p{k}", "1", "2", "3", "25", "low") for k in range(1, 10)),
        ("cost", "q", "1.5", "2.5", "n/a", "100", "high"),
    )


def test_what_a_run_rests_on(monkeypatch):
    asked = []
    points = [
        WeakPoint(Swing(entry("beachfront"), "tdp <= 150", -0.25, 0.5, 12.0), breaks=True),
        *(WeakPoint(Swing(entry(f"p{k}"), "chat.tpot_ms", 1.0, 2.0, 3.5), breaks=False) for k in range(5)),
    ]
    monkeypatch.setattr(
        "dse.render.terminal.robustness.weak_points", lambda spec, design: asked.append(design) or points
    )
    picks = [pick("best_cost_usd", 4, {}, macs=1), pick("knee", 5, {}, macs=2)]
    lines = confidence_lines(run(sweep(), picks=picks))
    assert lines == [
        "beachfront can break tdp <= 150: margin of knee -25.0 % at its low, +1 200 % at its high",
        *(f"p{k} moves chat.tpot_ms of knee from 2: 1 at its low, 3.5 at its high" for k in range(3)),
        "and 2 more; dse robust draws all of them together",
    ]
    assert asked == [{"macs": 2}]
    assert confidence_lines(run(sweep(), picks=picks), 6) == [*lines[:4], *(
        f"p{k} moves chat.tpot_ms of knee from 2: 1 at its low, 3.5 at its high" for k in (3, 4)
    )]  # fmt: skip
    assert confidence_lines(run(sweep(), picks=picks), 5)[-1] == "and 1 more; dse robust draws all of them together"
    for made in (
        run(sweep()), run(sweep(builtin_disabled=True), picks=picks),
        run(sweep(), picks=picks, manifest={"status": "interrupted"}),
    ):  # fmt: skip
        assert confidence_lines(made) == []
