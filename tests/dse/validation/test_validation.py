"""Validation: every row kept, scored as stated, issues told, invariants held on the shipped rows."""

import functools

import numpy as np
import pandas as pd
import pytest

from cost_models.errors import ForeignFileError
from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.workload.serving import Layout
from dse.validation import power
from dse.validation import requests as served
from dse.validation.rows import MeasurementError, layout, read_measurements
from dse.validation.run import run_validation
from dse.validation.score import collapse, headline, one_constant, score, static_rows, weight_gain
from studies.accuracy.__main__ import blocks
from tests.pages import assert_made

LIBRARY, TECHNOLOGY = shipped_library(), Technology()


@functools.cache
def shipped():
    return run_validation()


def odd_file(folder, **cells):
    rows = pd.read_csv(LIBRARY.data_file("open.csv"), dtype=str, keep_default_na=False).head(4)
    for column, text in cells.items():
        rows.loc[1, column] = text
    path = folder / "odd.csv"
    rows.to_csv(path, index=False)
    return path


# --- rows -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("open", "requests"), ("e2e2_open", "requests"), ("micro_open", "operators"), ("micro2_open", "operators"),
        ("energy_open", "energy"), ("energy2_open", "energy"), ("excluded", "excluded"),
    ],
)  # fmt: skip
def test_every_shipped_file_is_known_by_its_columns(name, form):
    path = LIBRARY.data_file(f"{name}.csv")
    result, rows = read_measurements(path, LIBRARY)
    assert result == form
    assert len(rows) == len(path.read_text(encoding="utf-8").splitlines()) - 1


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"chip": "banana"}, "chip 'banana' is not in the library"),
        ({"chip": ""}, "chip is not given"),
        ({"model": "gpt9"}, "model 'gpt9' is not in the library"),
        ({"model": "hyperclova_204b"}, "dimensions of the model are not public"),
        ({"batch": "many"}, "batch must be a number, got many"),
        ({"value": "-5"}, "value must be at least 0, got -5"),
        ({"value": "0"}, "value must be above 0"),
        ({"weight_bits": "inf"}, "weight_bits must be a number, got inf"),
        ({"input_len": "1e30"}, "input_len must be at most 1e+08, got 1e30"),
        ({"input_len": ""}, "input_len is not given"),
        ({"metric": "hugs_per_s"}, f"metric hugs_per_s is none of {', '.join(served.QUANTITIES)}"),
        ({"chip": "tpu_v2", "n_chips": "2", "parallelism": "tp2"}, "no link between the chips is published"),
        ({"chip": "grace_hopper_480gb"}, "no peak arithmetic rate of the chip is published"),
        ({"n_chips": "0"}, "n_chips must be at least 1"),
    ],
)
def test_a_row_that_cannot_be_predicted_stays_and_says_why(tmp_path, cells, reason):
    (rows,) = run_validation([odd_file(tmp_path, **cells)]).files.values()
    assert len(rows) == 4
    assert rows["reason"].tolist() == ["", reason, "", ""]
    assert rows["predicted"].notna().tolist() == [True, False, True, True]


@pytest.mark.parametrize(
    "content", ["", "a,b\n1,2\n", "\x00\x00", "chip,model\nh100_sxm,llama2_7b\n"], ids=["empty", "other", "zero", "few"]
)
def test_a_file_of_no_known_form_is_told(tmp_path, content):
    path = tmp_path / "bad.csv"
    path.write_text(content)
    with pytest.raises(MeasurementError, match=r"bad\.csv"):
        run_validation([path])


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ForeignFileError, match="cannot be read"):
        run_validation([tmp_path / "none.csv"])


def test_a_file_without_rows_has_no_scores(tmp_path):
    path = tmp_path / "none.csv"
    pd.read_csv(LIBRARY.data_file("open.csv"), nrows=0).to_csv(path, index=False)
    validation = run_validation([path])
    assert [table.key for table in validation.tables] == ["files"]


def test_a_product_of_many_rows_waits_for_arithmetic_and_one_of_few_for_memory(tmp_path):
    # An H100 does 989e12 / 3.35e12 = 295 operations per byte: of 16-bit operands, as many rows as that at least.
    rows = pd.read_csv(LIBRARY.data_file("micro_open.csv"), dtype=str, keep_default_na=False)
    rows = rows[(rows["chip"] == "h100_sxm") & (rows["kind"] == "gemm") & rows["dtype"].isin(["bf16", "bfloat16"])]
    rows.to_csv(tmp_path / "products.csv", index=False)
    (out,) = run_validation([tmp_path / "products.csv"]).files.values()
    least = out[["m", "n", "k"]].astype(float).min(axis=1)
    for some, bound in ((least <= 64, "memory"), (least >= 1024, "arithmetic")):
        assert some.sum() > 3 and set(out["bound_by"][some]) == {bound}


def test_a_layout_is_read_as_it_is_spelt():
    assert layout("tp8pp3", 24) == (Layout(8, 3, kind="pipeline"), "")
    assert layout("layer_split4", 4) == (Layout(stages=4, kind="layer_split"), "")
    disaggregated, _ = layout("disagg_decode_tp1_dp32_moetp1_ep32", 32)
    assert (disaggregated.tensor_parallel, disaggregated.replicas) == (1, 32)
    assert layout("tp4_moetp1_ep4", 4) == (Layout(4, expert_parallel=4), "")
    assert layout("", 1)[1] == ""
    assert layout("2d_ws", 64) == (Layout(64, cache_split="batch"), "")
    reported, remark = layout("weight_gathered", 64)
    assert (reported, remark != "") == (Layout(64), True)


# --- scores -----------------------------------------------------------------------------------------------------------


def some_rows(**columns):
    n = len(columns["measured_s"])
    base = {
        "source_id": ["a"] * n, "config_key": [f"k{i}" for i in range(n)], "quantity": ["decode"] * n,
        "bound_s": [1.0] * n, "predicted_s": [1.0] * n,
    }  # fmt: skip
    return pd.DataFrame(base | columns)


def test_scores_are_what_they_say():
    rows = some_rows(measured_s=[1.0, 2.0, 4.0], predicted_s=[1.1, 1.0, 4.0], source=["a"] * 3)
    line = score(rows).loc[("decode", "a")]
    assert line["mdape"] == pytest.approx(0.1)
    assert line["mape"] == pytest.approx((0.1 + 0.5 + 0) / 3)
    assert line["bias"] == pytest.approx((1.1 * 0.5) ** (1 / 3))
    assert line["rank"] == pytest.approx(0.5)


def test_a_source_of_many_rows_does_not_outvote_small_ones():
    rows = some_rows(
        measured_s=[1.0] * 12, predicted_s=[2.0] * 10 + [1.1, 1.0], source=["large"] * 10 + ["small", "tiny"]
    )
    assert headline(score(rows)).loc["decode", "mdape"] == pytest.approx(0.1)


def test_repeats_collapse_to_their_median_and_editions_to_the_newest():
    rows = some_rows(
        source_id=["a", "a", "a", "trtllm_v050", "trtllm_v090"],
        config_key=["k", "k", "k", "t", "t"],
        measured_s=[1.0, 2.0, 9.0, 5.0, 3.0],
    )
    one = collapse(rows).set_index("source")["measured_s"]
    assert one.to_dict() == {"a": 2.0, "trtllm_static": 3.0}


def test_one_constant_removes_the_median_ratio():
    rows = some_rows(measured_s=[2.0, 3.0, 4.0])
    assert one_constant(rows).tolist() == pytest.approx([3.0] * 3)


def test_the_gain_of_narrow_weights_is_that_of_time_per_token():
    rows = some_rows(measured_s=[8.0, 4.0], predicted_s=[6.0, 4.0], source=["a", "a"]).assign(
        weight_bits=[16.0, 4.0], quantity="request", output=10.0, used_batch=[8.0, 8.0], chip="c", n_chips=1,
        model="m", input_len=1, output_len=10,
    )  # fmt: skip
    pair = weight_gain(rows).iloc[0]
    assert (pair["measured_gain"], pair["predicted_gain"]) == pytest.approx((2.0, 1.5))


# --- invariants on the shipped rows -----------------------------------------------------------------------------------


def test_no_prediction_beats_its_bound_and_none_is_missing_without_a_reason():
    rows = shipped().internal
    predicted = rows["predicted_s"].notna()
    assert (predicted == (rows["reason"] == "")).all()
    assert (rows["predicted_s"][predicted] >= rows["bound_s"][predicted] * (1 - 1e-9)).all()
    for name in ("open.csv", "e2e2_open.csv", "mlperf_open.csv"):
        source = pd.read_csv(LIBRARY.data_file(name), dtype=str, keep_default_na=False)
        pd.testing.assert_frame_equal(shipped().files[name][source.columns], source)


def test_every_measured_static_row_fits_and_every_row_left_out_for_memory_does_not():
    rows = shipped().internal
    assert rows.loc[static_rows(rows) & (rows["reason"] == ""), "fits"].all()
    left_out = shipped().files["excluded.csv"]
    full = left_out[left_out["excluded_for"].str.startswith("weights + KV")]
    assert len(full) == 23
    assert (full["fits"] == "no").all()


def test_static_rows_are_predicted_better_than_by_one_constant():
    tables = {table.key: table.frame for table in shipped().tables}
    head = tables["static_headline"]
    assert (head["mdape"] < head["baseline_mdape"]).all()
    assert (head["mdape"] <= 0.18).all()
    for key in ("unseen_chip", "unseen_source"):
        assert len(tables[key]) == 3
        assert (tables[key]["mdape"] <= tables[key]["target"]).all(), key


def test_the_tables_of_the_page_are_what_is_made():
    assert_made("validation.md", blocks(shipped()), "python -m studies.accuracy --write")


def test_interference_of_other_prompts_is_apart_from_the_step():
    rows = shipped().internal
    steps = rows[(rows["quantity"] == "decode") & rows["prefill_ms_per_step_ideal"].notna()]
    np.testing.assert_allclose(steps["predicted_s"], steps["decode_s"] + steps["interference_s"])
    alone = steps["prefill_ms_per_step_ideal"] == 0
    assert (steps.loc[alone, "interference_s"] == 0).all()
    assert (steps.loc[~alone, "interference_s"] > 0).all()


def test_an_unknown_batch_is_the_largest_that_fits(tmp_path):
    path = odd_file(tmp_path, batch="", batch_mode="inflight")
    _, rows = read_measurements(path, LIBRARY)
    made = served.predict(served.prepare(rows), TECHNOLOGY).iloc[1]
    again = served.prepare(rows).iloc[[1, 1]].copy()
    again["used_batch"] = [made["used_batch"], made["used_batch"] + 1]
    assert served.predict(again.reset_index(drop=True), TECHNOLOGY)["fits"].tolist() == [True, False]


def test_power_and_energy_are_scored_apart_and_without_each_chip_and_source():
    tables = {table.key: table for table in shipped().tables}
    for key in ("energy", "power", "power_unseen_chip", "power_unseen_source"):
        assert {"mdape", "bias", "p90"} <= set(tables[key].frame.columns), key
    seen = tables["power"].frame
    for chip in ("a100_40gb_sxm", "h100_sxm", "amd_ryzen_ai_max_395"):
        assert (seen.xs(chip, level="chip")["mdape"] < 0.20).all()
    refitted = tables["power_unseen_chip"].frame["bias"]
    assert (refitted != seen["bias"][refitted.index]).all(), "constants without the chip are other constants"


def test_power_of_a_request_lies_between_that_of_its_prefill_and_its_steps():
    _, rows = read_measurements(LIBRARY.data_file("energy_open.csv"), LIBRARY)
    rows = power.prepare(rows, TECHNOLOGY)
    row = rows[(rows["source_id"] == "llm_inference_bench_power") & (rows["chip"] == "h100_sxm")].head(1)
    row = row.assign(stack="vllm")
    whole, steps = (power.served_power(row.assign(phase=phase), TECHNOLOGY) for phase in ("whole request", "decode"))
    longer = power.served_power(row.assign(phase="whole request", output=1e5, prompt=16.0), TECHNOLOGY)
    alone = power.served_power(row.assign(phase="decode", output=1e5, prompt=16.0), TECHNOLOGY)
    assert whole["predicted_w"].item() > steps["predicted_w"].item()
    assert whole["predicted_j"].item() > steps["predicted_j"].item()
    assert longer["predicted_w"].item() == pytest.approx(alone["predicted_w"].item(), rel=1e-3)


def test_a_batch_that_no_engine_holds_is_served_in_waves():
    _, rows = read_measurements(LIBRARY.data_file("open.csv"), LIBRARY)
    rows = served.prepare(rows)
    here = (rows["chip"] == "a100_40gb_sxm") & (rows["model"] == "llama2_70b") & (rows["batch"] == 16)
    rows = rows[here & (rows["quantity"] == "request") & (rows["prompt"] == 2048)]
    assert len(rows)
    held, queued = (
        served.predict(rows, Technology({"serving.memory_fraction": share}), bounds=False) for share in (1e6, 0.9)
    )
    assert (queued["predicted_s"] > 1.5 * held["predicted_s"]).all()
    assert (queued["used_batch"] == held["used_batch"]).all()
    assert queued["remark"].str.contains("waves").all() and not held["remark"].str.contains("waves").any()
