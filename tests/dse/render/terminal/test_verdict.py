"""The answer to a sweep in whole sentences, of runs made by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dse.render.terminal.prices import price_words
from dse.render.terminal.verdict import (
    Chance,
    Verdict,
    chance_of,
    chance_words,
    chip_words,
    design_words,
    remedy_words,
    seconds_text,
    served_words,
    short_of_memory,
    verdict,
)
from tests.dse.render.terminal.made import goal, limit, pick, run, sweep, workload

CHIP = {"node": "tsmc_5", "memory": "hbm4", "memory_devices": 4, "weight_format": "fp8"}
METRICS = {
    "die_mm2": 815.0, "capacity_gib": 96.0, "bandwidth_gbps": 4000.0, "tdp_w": 126.1, "cost_usd": 600.0,
    "price_usd": 1700.0, "chat.tpot_ms": 8.0, "chat.ttft_ms": 999.0, "chat.decode_w": 90.0,
    "chat.tokens_per_s_end_to_end": 200.0, "chat.usd_per_million_tokens": 0.5, "chat.request_j_per_token": 3.0,
}  # fmt: skip
CHIP_WORDS = "815 mm² in tsmc_5, 4x hbm4 (96 GiB, 4 000 GB/s), fp8, TDP 126.1 W"
SERVED = "chat: 8 ms per token, first token after 999 ms, 90 W in decode"
PRICE = "Costs 600 USD, price 1 700 USD: 250 USD of NRE (masks and 25 % of the design's, 1 000 boards), margin 50 %"
KNEE = pick("knee", 5, METRICS, **CHIP)


def test_how_many_of_how_many():
    for counts, changes, words in (
        ({}, {}, "YES at typical parameters: 4 of 10 designs of the space meet every constraint (front: 2)."),
        ({"feasible": 1, "front": 1}, {},
         "YES at typical parameters: 1 of 10 designs of the space meets every constraint (front: 1)."),
        ({"planned": 11}, {}, "YES at typical parameters: 4 of 10 designs searched meet every constraint (front: 2)."),
        ({"evaluated": 1, "planned": 1, "feasible": 1, "front": 1}, {},
         "YES at typical parameters: 1 of 1 design of the space meets every constraint (front: 1)."),
        ({}, {"search": SimpleNamespace(sampler="sobol", n_designs=None)},
         "YES at typical parameters: 4 of 10 designs searched meet every constraint (front: 2)."),
        ({}, {"search": SimpleNamespace(sampler="grid", n_designs=10)},
         "YES at typical parameters: 4 of 10 designs searched meet every constraint (front: 2)."),
        ({"feasible": 0, "front": 0}, {},
         "NO: none of 10 designs of the space meets every constraint at typical parameters."),
        ({"front": 0}, {}, "NO: 4 of 10 designs of the space meet every constraint at typical parameters, none often "
                           "enough."),
    ):  # fmt: skip
        spec = sweep(**changes)
        assert verdict(run(spec, counts=counts)).answer == words
        halted = run(spec, counts=counts, manifest={"status": "interrupted"})
        head, _, tail = words.partition(": ")
        assert verdict(halted).answer == f"{head}: interrupted, so far {tail}"


def test_a_verdict_without_picks_says_yes_or_no_alone():
    assert verdict(run(sweep())) == Verdict(True, verdict(run(sweep())).answer, "", "")
    assert not verdict(run(sweep(), counts={"feasible": 0})).yes
    assert Verdict(True, "a", "", "c").lines == ["a", "c"]


def test_only_what_was_searched_to_the_end_by_the_models_here_is_drawn(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "dse.render.terminal.verdict.chance_of",
        lambda spec, designs, name: (
            asked.append((designs, name))
            or Chance(400, {"best_cost_usd": 0.5, "knee": 0.5}, "", 1.0, "", math.nan, math.nan)
        ),
    )
    picks = [pick("best_cost_usd", 4, METRICS, **{**CHIP, "memory_devices": 2}), KNEE]
    whole = verdict(run(sweep(), picks=picks))
    assert whole.yes and whole.design == f"knee: {CHIP_WORDS}. {SERVED}. {PRICE}."
    assert whole.probability == (
        "Chance over the parameters' ranges: 50 % (knee); every condition holds in all 400 draws."
    )
    assert asked == [({"best_cost_usd": picks[0]["design"], "knee": CHIP}, "knee")]
    for made in (run(sweep(), picks=picks, manifest={"status": "interrupted"}), run(sweep(model="own"), picks=picks)):
        assert (verdict(made).design, verdict(made).probability) == (whole.design, "")
    assert len(asked) == 1


def test_a_design_in_a_sentence():
    assert chip_words(CHIP, METRICS) == CHIP_WORDS
    assert chip_words({**CHIP, "dies": 2}, METRICS).startswith("2 dies of 407.5 mm² in tsmc_5")
    assert chip_words(CHIP, {}) == "n/a mm² in tsmc_5, 4x hbm4 (n/a GiB, n/a GB/s), fp8, TDP n/a W"
    own = sweep(builtin_disabled=True, objectives=[goal("speed"), goal("gone")])
    assert design_words(run(own), pick("best_speed", 1, {"speed": 2.5})) == "best speed: speed 2.5, gone n/a."


def test_of_workloads_the_first_two_that_objectives_name_are_told():
    three = {name: workload() for name in ("a", "b", "c")}
    for goals, told in (
        (["cost_usd"], "a: does not fit; b: does not fit"), (["c.tpot_ms"], "c: does not fit"),
        (["c.tpot_ms", "b.tpot_ms", "x.tpot_ms"], "b: does not fit; c: does not fit"),
    ):  # fmt: skip
        spec = sweep(workloads=three, objectives=[goal(name) for name in goals])
        assert design_words(run(spec), KNEE) == f"knee: {CHIP_WORDS}. {told}. {PRICE}."


def test_how_fast_a_workload_is_served():
    for metrics, words in (
        ({"chat.tpot_ms": 8.0}, "8 ms per token"), ({"chat.ttft_ms": 1000.0}, "first token after 1 s"),
        ({"chat.decode_w": 5.0}, "5 W in decode"), ({"live.tpot_ms": 8.0}, "does not fit"),
    ):  # fmt: skip
        assert served_words("chat", metrics) == f"chat: {words}"
    assert served_words("chat", METRICS) == SERVED
    for ms, text in ((999.9, "999.9 ms"), (1000.0, "1 s"), (12345.0, "12.3 s"), (math.nan, "n/a ms"), (0.0, "0 ms")):
        assert seconds_text(ms) == text


def baseline(name, **changes):
    return {
        "baseline": name, "chip": "a100_80gb_sxm", "chips": 2.0, "chat.tokens_per_s_end_to_end": 100.0,
        "chat.decode_w": 450.0, "chat.usd_per_million_tokens": 2.0, "chat.request_j_per_token": 30.0, **changes,
    }  # fmt: skip


def test_beside_the_first_baseline_that_runs_the_first_workload():
    def against(*rows, metrics=METRICS, **changes):
        made = run(sweep(**changes), baselines=pd.DataFrame(rows))
        return design_words(made, pick("knee", 5, metrics, **CHIP)).partition(
            f"{price_words(metrics, made.spec.economics)}."
        )[2]

    said = " Against a100 (2x a100_80gb_sxm): 2x tokens/s end to end, 0.2x decode power."
    none = baseline("none", **{"chat.tokens_per_s_end_to_end": 0.0})
    gone = baseline("gone", **{"chat.tokens_per_s_end_to_end": math.nan})
    assert against(baseline("a100"), baseline("h100")) == against(none, gone, baseline("a100")) == said
    assert against() == against(none, gone) == ""
    without = {name: value for name, value in METRICS.items() if name != "chat.tokens_per_s_end_to_end"}
    assert against(baseline("a100"), metrics=without) == ""
    fast = " Against a100 (2x a100_80gb_sxm): 2x tokens/s end to end."
    assert against(baseline("a100", **{"chat.decode_w": math.nan})) == fast
    without = {name: value for name, value in METRICS.items() if name != "chat.decode_w"}
    assert against(baseline("a100"), metrics=without) == fast
    both = {"workloads": {"chat": workload(), "live": workload()}, "objectives": [goal("cost_usd")]}
    assert against(baseline("a100"), **both) == said
    by_token = " Against a100 (2x a100_80gb_sxm): 0.25x cost per token, 0.1x energy per token."
    assert against(baseline("a100"), deployment="pools") == by_token


@pytest.fixture
def drawn(monkeypatch):
    """What a chance is worked out from: draws of three designs, and swings of one."""
    asked = SimpleNamespace(
        p_meets={"tdp": np.array([1.0, 0.75, 0.5]), "area": np.array([0.25, 1.0, 0.75])},
        p_feasible=np.array([0.25, 0.75, 0.375]),
        swings=[("a", 0.5, -0.25), ("b", math.nan, -0.5), ("c", -0.375, 1.0)],
    )

    def robustness(spec, designs, *, draws, seed, metrics):
        asked.drawn = (designs, draws, seed, metrics)
        return SimpleNamespace(p_meets=asked.p_meets, p_feasible=asked.p_feasible)

    def swings_of(spec, design, spreads, labels):
        asked.swung = (design, spreads, labels)
        return [SimpleNamespace(input=SimpleNamespace(name=name), at_low=low, at_high=high)
                for name, low, high in asked.swings]  # fmt: skip

    monkeypatch.setattr("dse.uncertainty.intervals.robustness", robustness)
    monkeypatch.setattr("dse.uncertainty.intervals.parameters_of", lambda spec, designs, metrics: (designs, metrics))
    monkeypatch.setattr("dse.uncertainty.monte_carlo.spreads_of", lambda names, parameters, library: names)
    monkeypatch.setattr("dse.uncertainty.sensitivity.swings_of", swings_of)
    monkeypatch.setattr("dse.sweep.library_additions.library_of", lambda added: added)
    return asked


DESIGNS = {"best": {"macs": 1}, "knee": {"macs": 2}, "near": {"macs": 3}}


def test_a_chance_hangs_on_what_the_named_pick_misses_most_and_on_what_moves_that_most(drawn):
    spec = sweep(parameters={})
    shares = {"best": 0.25, "knee": 0.75, "near": 0.375}
    assert chance_of(spec, DESIGNS, "knee") == Chance(
        400, shares, "tdp", 0.75, "b", pytest.approx(math.nan, nan_ok=True), -0.5
    )
    assert drawn.drawn == ([*DESIGNS.values()], 400, 0, ())
    assert drawn.swung == ({"macs": 2}, ([{"macs": 2}], ()), ["tdp"])
    drawn.swings = [("a", 0.5, -0.25), ("c", -0.375, 1.0)]
    spec.robustness = SimpleNamespace(seed=7)
    assert chance_of(spec, DESIGNS, "best", draws=9) == Chance(9, shares, "area", 0.25, "c", -0.375, 1.0)
    assert drawn.drawn[1:3] == (9, 7)


def test_a_chance_hangs_on_nothing_where_everything_holds_or_nothing_moves(drawn):
    spec = sweep(parameters={})
    drawn.swings = []
    told = chance_of(spec, DESIGNS, "near")
    assert (told.hardest, told.hardest_fraction, told.parameter) == ("tdp", 0.5, "") and math.isnan(told.at_low)
    del drawn.swung
    drawn.p_meets = {"tdp": np.ones(3)}
    told = chance_of(spec, DESIGNS, "near")
    assert (told.hardest, told.hardest_fraction, told.parameter) == ("tdp", 1.0, "") and not hasattr(drawn, "swung")
    drawn.p_meets = {}
    told = chance_of(spec, DESIGNS, "near")
    assert (told.hardest, told.hardest_fraction, told.parameter) == ("", 1.0, "") and math.isnan(told.at_high)


def test_a_chance_in_words():
    shares, spec = {"knee": 0.5, "best_cost_usd": 0.75, "nearest_to_targets": 0.5}, sweep()
    hard = Chance(400, shares, "tdp_w <= 150", 0.625, "beachfront", -0.25, 0.125)
    head = "Chance over the parameters' ranges: "
    assert chance_words(hard, "knee", spec) == (
        f"{head}50 % (knee), 75 % (best cost_usd); it hangs on tdp_w <= 150, met in 62.5 % (margin -25 % to +12 % over "
        "beachfront)."
    )
    ended = Chance(400, {"knee": 0.5, "other": 0.5}, "tdp", 0.999, "x", math.nan, -0.001)
    assert chance_words(ended, "other", spec) == (
        f"{head}50 % (other); it hangs on tdp, met in 99.9 % (margin n/a to +0 % over x)."
    )
    still = Chance(400, {"knee": 0.5}, "tdp", 0.5, "", math.nan, math.nan)
    assert chance_words(still, "knee", spec) == f"{head}50 % (knee); it hangs on tdp, met in 50 %."
    sure = Chance(2000, {"knee": 1.0}, "tdp", 1.0, "", math.nan, math.nan)
    assert chance_words(sure, "knee", spec) == f"{head}100 % (knee); every condition holds in all 2 000 draws."


def missed(margins, **changes):
    """What is said of the nearest design with these margins."""
    columns = {"id": [5], "p_feasible": [changes.pop("chance", math.nan)]}
    columns |= {f"margin {name}": [value] for name, value in margins.items()}
    made = run(sweep(**changes), counts={"feasible": 0}, picks=[KNEE], designs=pd.DataFrame(columns))
    made.path = None
    return verdict(made)


@pytest.fixture
def relaxed(monkeypatch):
    rows = []
    monkeypatch.setattr("dse.analysis.relaxation.files.read_relaxations", lambda path: list(rows))
    return rows


def test_what_the_nearest_design_misses(relaxed):
    head = f"The nearest design ({CHIP_WORDS}) misses: "
    live = {"chat": workload(), "live": workload(arrivals_per_s=2.0)}
    for margins, changes, words in (
        ({"tdp_w <= 150": -0.25, "area": 0.0, "heat": -0.5}, {}, "heat by 50 %, tdp_w <= 150 by 25 %."),
        ({"chat.capacity": -0.25}, {}, "chat lacks 24 GiB on its most-loaded chip, which holds 96."),
        ({"other.capacity": -0.25}, {}, "other.capacity by 25 %."),
        ({"chat.link": -1.0}, {}, "its chips have no link to serve chat together (link_gbps)."),
        ({"other.link": -1.0}, {}, "other.link by 100 %."),
        ({"chat.load": -0.5}, {}, "chat.load by 50 % (no load keeps the limits)."),
        ({"live.load": -0.5}, {"workloads": live}, "live.load by 50 % (more requests come than it finishes)."),
        ({"other.load": -0.5}, {}, "other.load by 50 %."),
        ({"tdp_w <= 150": 0.0}, {}, "an objective has no value."),
        ({"tdp_w <= 150": 0.0}, {"chance": 0.12345, "probabilities": [limit("p_feasible >= 0.9")]},
         "p_feasible >= 0.9 (it is 0.123)."),
        ({"tdp_w <= 150": -0.5}, {"chance": 0.12345, "probabilities": [limit("p_feasible >= 0.9")]},
         "tdp_w <= 150 by 50 %."),
        ({"price_usd <= 500": -2.4}, {}, f"price_usd <= 500 by 240 %. {PRICE}."),
    ):  # fmt: skip
        answer = missed(margins, **changes)
        assert (answer.yes, answer.design, answer.probability) == (False, head + words, "")
    own = missed({"tdp_w <= 150": -0.25}, builtin_disabled=True)
    assert own.design == "The nearest design misses: tdp_w <= 150 by 25 %."


def test_how_many_such_chips_would_do():
    metrics = {"capacity_gib": 96.0, "chat.chips_needed": 3.0}
    words = "chat lacks 48 GiB on its most-loaded chip, which holds 96; 3 such chips would do"
    assert short_of_memory("chat", -0.5, metrics) == words


def test_the_least_that_would_do(relaxed):
    def row(kind, what, then, feasible=True):
        return {"kind": kind, "what": what, "then": then, "feasible": feasible}

    made = run(sweep())
    for rows, words in (
        ([], ""), ([row("pair", "a", 1.0)], ""), ([row("constraint", "tdp_w", 160.0, feasible=False)], ""),
        ([row("constraint", "tdp_w", 1234.5), row("constraint", "area", 2.0)], "tdp_w at 1 234"),
        ([row("axis", "memory", "hbm4"), row("axis", "macs", 8.0)], "memory hbm4"),
        ([row("axis", "macs", 65536.0), row("constraint", "tdp_w", 160.0)], "tdp_w at 160 or macs 65 536"),
    ):  # fmt: skip
        relaxed[:] = rows
        assert remedy_words(made) == (f"What would do: {words}." if words else "")
    assert missed({"tdp_w": -0.5}).probability == "What would do: tdp_w at 160 or macs 65 536."
