"""Prediction intervals: quantiles of rows left out, the rows most like a prediction, and how many are inside."""

import numpy as np
import pandas as pd
import pytest

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.table import Choice
from dse.analysis.explain.inputs import explain_library_chip
from dse.time_intervals import ratios
from dse.validation.intervals import LEAST_ROWS, coverage, die_of, lines_of, with_intervals
from dse.validation.run import run_validation
from studies.fits.intervals import open_rows

LIBRARY = shipped_library()


def rows_of(log_ratio, *, chips=4, **cells):
    n = len(log_ratio)
    group = [f"chip{i % chips}" for i in range(n)]
    told = {
        "die": group,
        "quantity": "decode",
        "batch_mode": "static",
        "stack": "vllm",
        "weight_bits": 16.0,
        "predicted_s": 1.0,
    }
    return pd.DataFrame({"group": group, "measured_s": np.exp(log_ratio), **(told | cells)})


def test_four_in_five_of_a_sample_lie_between_its_quantiles():
    spread = np.random.default_rng(3).normal(0.1, 0.2, 4000)
    whole = {(line["batching"], line["stack"], line["format"]): line for line in lines_of(rows_of(spread), "chip")}
    assert len(whole) == 5, "one line per rung, all of the same rows"
    low, high = (np.log(float(whole["static", "vllm", "wide"][end])) for end in ("low", "high"))
    assert low == pytest.approx(0.1 - 1.2816 * 0.2, abs=0.02) and high == pytest.approx(0.1 + 1.2816 * 0.2, abs=0.02)
    assert np.mean((spread > low) & (spread < high)) == pytest.approx(0.8, abs=0.01)


def test_a_chip_counts_as_the_root_of_its_rows():
    # 900 rows of one chip weigh as much as 100 of each of three others: 30 = 3 x 10; so their border is the median.
    rows = rows_of(np.concatenate([(np.arange(900) + 0.5) / 900, 1 + (np.arange(300) + 0.5) / 300]))
    rows["die"] = rows["group"] = np.repeat(["many", "a", "b", "c"], (900, 100, 100, 100))
    for line in lines_of(rows, "chip"):
        assert np.log([float(line["low"]), float(line["high"])]) == pytest.approx([0.2, 1.8], abs=0.002)


def test_few_rows_or_few_chips_make_no_line_of_their_own():
    few = rows_of(np.zeros(LEAST_ROWS - 1))
    lone = rows_of(np.zeros(LEAST_ROWS + 1), chips=2, quantity="prefill")
    for rows in (few, lone):
        assert [(line["batching"], line["stack"], line["format"]) for line in lines_of(rows, "chip")] == [("", "", "")]
    assert not list(lines_of(rows_of(np.zeros(9), chips=1), "chip", "chip0")), "nothing is left of the chip left out"


def test_intervals_hold_most_rows_of_chips_left_out_of_constants_and_quantiles():
    from dse.validation.held_out import unseen_chips

    made = with_intervals(unseen_chips(open_rows(), Technology(library=LIBRARY)), LIBRARY, own_left_out=True)
    found = coverage(made)
    assert found.loc["all", "n"] > 1000
    assert ((found["within"] >= 0.70) & (found["within"] <= 0.90)).all()
    assert found.loc["all", "width"] <= 1.4
    assert len({die_of(chip, LIBRARY) for chip in made["chip"]}) >= 5
    assert die_of("a100_80gb_pcie", LIBRARY) == die_of("a100_40gb_sxm", LIBRARY) != die_of("h100_sxm", LIBRARY)


def test_rows_are_answered_one_by_one_and_unknown_software_is_less_sure():
    names = Choice.of("tensorrt_llm", "gpu_serving", "ideal", "tensorrt_llm")
    bits, flying = np.array([16.0, 16.0, 16.0, 4.0]), np.array([False, False, False, True])
    found = ratios("request", names, flying, bits, LIBRARY)
    for row, name in enumerate(names.names()):
        alone = ratios("request", Choice.of(name), flying[row], bits[row], LIBRARY)
        np.testing.assert_array_equal([found.low[row], found.high[row]], [alone.low[0], alone.high[0]])
    width = found.high / found.low
    assert width[1] > width[0] > 1
    assert np.isnan(width[2]) and found.origin.names()[2] == "", "nothing of an ideal stack was fitted"


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
    assert "gpu_serving" in one["origin"] and "left out" in one["origin"]
    assert {table.key for table in found.tables} >= {"intervals"}
