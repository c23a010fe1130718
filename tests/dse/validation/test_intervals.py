"""Prediction intervals: ends from rows left out, the rows most like a prediction, and how many are inside."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.table import Choice
from dse.analysis.explain.inputs import explain_library_chip
from dse.time_intervals import ratios
from dse.validation import intervals
from dse.validation.intervals import LEAST_ROWS, coverage, die_of, ends_of, lines_of, marked, with_intervals
from dse.validation.run import run_validation
from studies.fits.intervals import open_rows, trial

LIBRARY = shipped_library()


def rows_of(log_ratio, *, chips=4, **cells):
    n = len(log_ratio)
    group = [f"chip{i % chips}" for i in range(n)]
    told = {"die": group, "quantity": "decode", "model": "llama2_7b", "weight_bits": 16.0, "predicted_s": 1.0}
    rows = pd.DataFrame({"group": group, "measured_s": np.exp(log_ratio), **(told | cells)})
    return marked(rows, LIBRARY)


def logs(line):
    return np.log([float(line["low"]), float(line["high"])])


def test_four_in_five_of_a_sample_lie_between_its_ends():
    spread = np.random.default_rng(3).normal(0.1, 0.2, 4000)
    both = {kind: list(lines_of(rows_of(spread), kind)) for kind in ("chip", "source")}
    for kind, lines in both.items():
        assert [(line["format"], line["model"]) for line in lines] == [("wide", "dense"), ("", "")], kind
        low, high = logs(lines[0])
        assert np.mean((spread > low) & (spread < high)) == pytest.approx(0.8, abs=0.01)
    assert logs(both["source"][0]) == pytest.approx([0.1 - 1.2816 * 0.2, 0.1 + 1.2816 * 0.2], abs=0.02)
    low, high = logs(both["chip"][0])
    assert low == pytest.approx(-high, abs=1e-3), "of chips left out as far below the prediction as above"


def test_a_chip_counts_as_the_root_of_its_rows():
    # 900 rows of one chip weigh as much as 100 of each of three others: 30 = 3 x 10; so their border is the median.
    log = np.concatenate([(np.arange(900) + 0.5) / 900, 1 + (np.arange(300) + 0.5) / 300])
    group = pd.Series(np.repeat(["many", "a", "b", "c"], (900, 100, 100, 100)))
    assert ends_of(log, group, symmetric=False) == pytest.approx([0.2, 1.8], abs=0.002)
    assert ends_of(-log, group, symmetric=True) == pytest.approx([-1.6, 1.6], abs=0.002)


def test_few_rows_or_few_chips_make_no_line_of_their_own():
    few = rows_of(np.zeros(LEAST_ROWS - 1))
    lone = rows_of(np.zeros(LEAST_ROWS + 1), chips=2, quantity="prefill")
    for rows in (few, lone):
        assert [(line["format"], line["model"]) for line in lines_of(rows, "chip")] == [("", "")]
    assert not list(lines_of(rows_of(np.zeros(9), chips=1), "chip", "chip0")), "nothing is left of the chip left out"


def test_the_same_rows_answer_with_a_chip_left_out_and_they_do_not_know_it():
    rows = rows_of(np.r_[np.zeros(LEAST_ROWS), np.full(30, 0.5)], chips=3)
    rows["group"] = rows["die"] = ["a", "b"] * (LEAST_ROWS // 2) + ["odd"] * 30
    (line, _), (left_out, _) = (list(lines_of(rows, "chip", out)) for out in ("", "odd"))
    assert (line["format"], line["groups"]) == (left_out["format"], left_out["groups"] + 1) == ("wide", 3)
    assert logs(line)[1] == pytest.approx(0.5, abs=1e-3) and logs(left_out)[1] == 0


def test_the_score_of_a_trial_is_width_and_ten_times_what_lies_beyond():
    # Each of two dies is judged by the other: 0.1 lies inside of what 0.2 says, 0.2 lies 0.1 beyond what 0.1 says.
    rows = rows_of(np.r_[np.full(40, 0.1), np.full(40, 0.2)])
    rows["group"] = rows["die"] = ["near"] * 40 + ["far"] * 40
    found = trial(rows, [()], symmetric=True)
    assert found["score"] == pytest.approx(((0.2 + 10 * 0.1) + 0.4) / 2, abs=1e-3)
    assert found["decode"] == f"50.0%, {(np.exp(0.2) + np.exp(0.4)) / 2:.2f}"


def test_intervals_hold_most_rows_of_chips_left_out_of_constants_and_quantiles():
    from dse.validation.held_out import unseen_chips

    made = with_intervals(unseen_chips(open_rows(), Technology(library=LIBRARY)), LIBRARY, own_left_out=True)
    found = coverage(made)
    assert found.loc["all", "n"] > 1000
    assert ((found["within"] >= 0.70) & (found["within"] <= 0.90)).all()
    assert (found["width"] <= 1.4).all()
    assert len({die_of(chip, LIBRARY) for chip in made["chip"]}) >= 5
    assert die_of("a100_80gb_pcie", LIBRARY) == die_of("a100_40gb_sxm", LIBRARY) != die_of("h100_sxm", LIBRARY)


def test_rows_are_answered_one_by_one_and_unknown_software_is_less_sure():
    names = Choice.of("tensorrt_llm", "gpu_serving", "ideal", "tensorrt_llm")
    bits, mixture = np.array([16.0, 16.0, 16.0, 4.0]), np.array([False, False, False, True])
    found = ratios("decode", names, bits, mixture, LIBRARY)
    for row, name in enumerate(names.names()):
        alone = ratios("decode", Choice.of(name), bits[row], mixture[row], LIBRARY)
        np.testing.assert_array_equal([found.low[row], found.high[row]], [alone.low[0], alone.high[0]])
    width = found.high / found.low
    assert width[1] > width[0] > 1
    assert np.isnan(width[2]) and found.origin.names()[2] == "", "nothing of an ideal stack was fitted"
    assert found.origin.names()[3].startswith("mixtures of experts, 4-bit weights; ")


def test_explained_times_and_validated_rows_have_the_same_interval(tmp_path):
    row = {
        "source_id": "mine", "chip": "h100_sxm", "model": "llama3_8b", "weight_bits": 16, "batch": 8, "input_len": 512,
        "output_len": 128, "metric": "tpot_ms", "value": 10, "software": "",
    }  # fmt: skip
    path = tmp_path / "mine.csv"
    alone, rate = {"batch": 1, "value": 1e4}, {"metric": "output_tokens_per_s", "value": 900}
    pd.DataFrame([row, row | alone, row | rate]).to_csv(path)
    found = run_validation([path])
    (out,) = found.files.values()
    assert ((out["p10"] < out["predicted"]) & (out["predicted"] < out["p90"])).all()
    assert out["inside"].tolist()[1] == "no"
    value = out["value"].astype(float)
    assert (out["inside"] == np.where((value >= out["p10"]) & (value <= out["p90"]), "yes", "no")).all()
    workload = "llama3_8b batch=8 prompt_tokens=512 output_tokens=128"
    told = explain_library_chip("1x h100_sxm", [workload], ["weight_format=bf16", "kv_bits=16", "act_bits=16"])
    (table,) = told.workloads.values()
    one = table.intervals["tpot_ms"]
    assert one["p10"] / table.metrics["tpot_ms"] == pytest.approx(out["p10"][0] / out["predicted"][0], rel=1e-6)
    assert "dense models, 8 and 16-bit weights" in one["origin"] and "sources left out" in one["origin"]
    assert {table.key for table in found.tables} >= {"intervals"}


def test_packages_of_one_die_are_one_die():
    chips = {
        "a": ("nvidia", "p", 800.0), "b": ("nvidia", "p", 800.0), "c": ("amd", "p", 800.0), "d": ("nvidia", "q", 800.0),
        "e": ("nvidia", "p", None), "f": ("nvidia", "p", None),
    }  # fmt: skip
    made = {key: SimpleNamespace(vendor=v, process=p, die_mm2=area) for key, (v, p, area) in chips.items()}
    library = SimpleNamespace(chips=made, chip=made.__getitem__)
    assert [intervals.die_of(key, library) for key in "abcdef"] == ["a", "a", "c", "d", "e", "f"]
    assert intervals.variants("b", library) == {"a", "b"}
