"""The answer on one screen: what it says is what the run found, and it stands on forty lines."""

import re
from pathlib import Path

import numpy as np
import pytest

from cost_models.silicon.cost import Economics
from dse.number_texts import number_text
from dse.render.terminal.overview import overview_table, users_lines
from dse.render.terminal.prices import price_words
from dse.render.terminal.verdict import chance_of, chip_words, seconds_text, verdict
from dse.results.store import open_run
from dse.runs import run
from dse.sweep import load_spec, parse_spec
from tests.sweeps import tiny


def found(tmp_path, **changes):
    done = run(parse_spec(tiny(baselines={"a100": {"chips": "2x a100_80gb_sxm"}}, **changes)), out=tmp_path / "run")
    return open_run(done.path)


def test_yes_says_how_many_what_it_is_and_how_sure(tmp_path):
    done = found(tmp_path)
    answer, design, probability = verdict(done).lines
    counts = done.manifest["counts"]
    assert verdict(done).yes and answer.startswith("YES") and f"{counts['feasible']} of 320" in answer
    knee = next(pick for pick in done.picks if pick["name"] == "knee")
    assert f"first token after {seconds_text(knee['metrics']['chat.ttft_ms'])}" in design
    assert knee["design"]["memory"] in design and "Against a100 (2x a100_80gb_sxm)" in design
    share = float(re.search(r"([\d.]+) % \(knee\)", probability)[1])
    # The same draws by the command that draws for itself.
    again = chance_of(done.spec, {"knee": knee["design"]}, "knee")
    assert share == pytest.approx(100 * again.shares["knee"], abs=0.06)


def test_dies_of_a_package_are_told_one_by_one():
    design = {"node": "tsmc_5", "memory": "hbm4", "memory_devices": 4, "weight_format": "fp8"}
    assert chip_words({**design, "dies": 2}, {"die_mm2": 1630.0}).startswith("2 dies of 815 mm² in tsmc_5, 4x hbm4")
    assert chip_words({**design, "dies": 1}, {"die_mm2": 815.0}).startswith("815 mm² in tsmc_5, 4x hbm4")


def test_what_it_hangs_on_is_met_least_often(tmp_path):
    done = found(tmp_path)
    knee = next(pick for pick in done.picks if pick["name"] == "knee")
    probability = chance_of(done.spec, {"knee": knee["design"]}, "knee")
    assert probability.shares["knee"] <= probability.hardest_fraction


def test_no_says_what_the_nearest_misses_and_by_how_many_gib(tmp_path):
    big = {"chat": {"model": "llama2_70b", "batch": 1}}
    space = {
        "memory": "gddr6_16",
        "memory_device_gib": 2,
        "memory_devices": {"values": [8, 12]},
        "weight_format": "bf16",
    }
    done = found(tmp_path, workloads=big, space=space, constraints=[])
    answer, misses, *_ = verdict(done).lines
    assert answer.startswith("NO: none of 2 designs")
    pick = done.picks[0]
    lacks = float(re.search(r"lacks ([\d ]+(?:\.\d+)?) GiB", misses)[1].replace(" ", ""))
    # One chip holds everything or nothing: what lacks is what there is to hold, less what the chip has.
    held = pick["metrics"]["chat.memory_gib"] - pick["metrics"]["capacity_gib"]
    assert lacks == pytest.approx(held, rel=2e-3)
    assert f"{pick['metrics']['chat.chips_needed']:.0f} such chips would do" in misses


def test_a_price_is_explained_to_the_cent():
    terms = Economics(units=1000, margin=0.5, nre_share=0.25, krw_per_usd=1)
    price = (100 + (3e4 + 0.25 * 8e4) / terms.units) / (1 - terms.margin)
    words = price_words({"cost_usd": 100.0, "price_usd": price}, terms)
    assert "Costs 100 USD" in words and "50 USD of NRE" in words and "25 %" in words and "margin 50 %" in words


def test_totals_of_baselines_count_every_chip(tmp_path):
    done = found(tmp_path)
    table = overview_table(done)
    column = next(place for place, heading in enumerate(table.headings) if heading.startswith("tdp"))
    row = next(row for row in table.cells if row[0].startswith("a100"))
    assert float(row[column].replace(" ", "")) == 2 * float(done.baselines["tdp_w"][0])


@pytest.mark.parametrize("width", [80, 118])
@pytest.mark.parametrize("name", ["mach1", "quickstart"])
def test_an_outcome_stands_on_forty_lines(call, tmp_path, monkeypatch, name, width):
    monkeypatch.setenv("COLUMNS", str(width))
    sweeps = Path("sweeps").resolve()
    monkeypatch.chdir(tmp_path)
    few = ["--n-designs", "4096"] if name == "mach1" else []
    status, out, err = call("run", sweeps / f"{name}.yaml", "--draw", "none", "--no-report", "--out", "here", *few)
    assert status == 0, err
    assert len(out.splitlines()) <= 40
    assert max(map(len, out.splitlines())) <= width


def test_users_beside_the_batch_have_their_goodput_and_chips_in_the_answer_and_change_no_front(tmp_path):
    chat = tiny()["workloads"]["chat"]
    live = {
        "model": chat["model"], "batching": "continuous", "tpot_limit_ms": 100, "load_tokens_per_s": 5000,
        "required": False,
    }  # fmt: skip
    with_users = found(tmp_path, workloads={"chat": chat, "live": live})
    without = found(tmp_path / "other")
    assert list(with_users.front["id"]) == list(without.front["id"])
    (line,) = users_lines(with_users)
    knee = next(pick["metrics"] for pick in with_users.picks if pick["name"] == "knee")
    rate, chips = knee["live.goodput_tokens_per_s"], knee["live.chips_for_load"]
    assert line.startswith("live goodput, token/s (chips): knee ") and "a100 " in line
    assert f"knee {number_text(rate)} ({number_text(chips)})" in line
    assert chips == np.ceil(5000 / rate)
    assert not users_lines(without)


def test_ten_designs_of_a_long_front_stand_evenly_along_it(tmp_path):
    from dse.render.terminal.summary import front_table, sorted_front

    done = run(load_spec("sweeps/mach1.yaml", overrides=["search.n_designs=4096"]), out=tmp_path / "run")
    front = sorted_front(open_run(done.path))
    assert len(front) > 20
    shown = [int(row[0]) for row in front_table(open_run(done.path), 10, spread=True).cells]
    places = np.array([list(front["id"]).index(one) for one in shown])
    assert places[0] == 0 and places[-1] == len(front) - 1 and np.ptp(np.diff(places)) <= 1


def test_no_says_why_a_price_that_is_too_high_is_so(tmp_path):
    done = found(tmp_path, constraints=[{"metric": "price_usd", "max": 500}])
    words = verdict(done).design
    assert price_words(done.picks[0]["metrics"], done.spec.economics) in words and "of NRE" in words
    short_of_time = run(parse_spec(tiny(constraints=[{"metric": "chat.tpot_ms", "max": 0.1}])), out=tmp_path / "other")
    assert "of NRE" not in verdict(open_run(short_of_time.path)).design
