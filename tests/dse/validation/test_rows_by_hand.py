"""What a measured row is taken to say, cell by cell: formats, layouts, batches, units, and why a row says nothing."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from cost_models.errors import ForeignFileError
from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from dse.validation import bench_results, operators, power, requests, rows, setups
from dse.validation.harness import chunk_rows, same_prompts
from dse.validation.rows import MeasurementError, layout, read_measurements, read_table
from dse.validation.run import run_validation
from tests.dse.validation.bench_files import LLAMA, SGLANG, VLLM

LIBRARY, TECHNOLOGY = shipped_library(), Technology()


def same(found, expected):
    """Whether two cells are one, NaN beside NaN too."""
    return found == expected or (isinstance(expected, float) and math.isnan(expected) and math.isnan(found))


def assert_cells(row, cells):
    wrong = {name: row[name] for name, cell in cells.items() if not same(row[name], cell)}
    assert not wrong, f"{wrong} in place of {cells}"


# --- formats ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chip", "bits", "form"),
    [
        ("h100_sxm", 16, "bf16"), ("h100_sxm", 8.01, "bf16"), ("h100_sxm", 8, "fp8"), ("h100_sxm", 4.6, "fp8"),
        ("h100_sxm", 4.5, "nvfp4"), ("a100_80gb_sxm", 8, "int8"), ("tpu_v4", 8, "int8"), ("a100_80gb_sxm", 4, "nvfp4"),
        ("tpu_v2", 8, "fp8"),
    ],
)  # fmt: skip
def test_activations_meet_weights_of_their_width_as_the_chip_multiplies(chip, bits, form):
    entry = LIBRARY.chip(chip)
    assert setups.multiplied_format(entry, bits) == form
    assert chip != "tpu_v2" or {"fp8", "int8"}.isdisjoint(entry.peak_tops), "neither is published: fp8"


@pytest.mark.parametrize(
    ("model", "cells", "form", "expert", "stored"),
    [
        ("llama3_8b", (16, 16), "bf16", None, None), ("llama3_8b", (8, 8), "fp8", None, None),
        ("llama3_8b", (8, 16), "bf16", None, 8.0), ("llama3_8b", (4.5, 16), "bf16", None, 4.5),
        ("llama3_8b", (4.5, 4), "nvfp4", None, None), ("llama3_8b", (4.25, 4), "nvfp4", None, 4.25),
        # Bits and activations of the format that the maker publishes, or that the row names.
        ("deepseek_v3", (8, 8), "fp8_block128", None, 8.0), ("deepseek_v3", (8, 16), "bf16", None, 8.0),
        ("deepseek_v3", (8.4, 8), "fp8_block128", None, 8.4), ("deepseek_v3", (8.6, 8), "fp8", None, 8.6),
        ("llama3_8b", (8, 8, "fp8_block128"), "fp8_block128", None, 8.0),
        ("llama3_8b", (4.125, 4, "int4_g128"), "int4_g128", None, None),
        ("llama3_8b", (4.125, 16, "int4_g128"), "bf16", None, 4.125),
        ("llama3_8b", (8.4, 8, "int8"), "int8", None, 8.4), ("llama3_8b", (8.5, 8, "int8"), "fp8", None, 8.5),
        # Experts in their narrow format beside the rest as it was trained.
        ("gpt_oss_20b", (4.25, 16), "bf16", None, None), ("gpt_oss_20b", (7.9, 16), "bf16", None, None),
        ("gpt_oss_20b", (4.25, 4), "bf16", "nvfp4", None), ("gpt_oss_20b", (4.25, 8), "bf16", None, None),
        ("gpt_oss_20b", (8, 8), "fp8", None, 8.0), ("gpt_oss_20b", (16, 16), "bf16", None, 16.0),
    ],
)  # fmt: skip
def test_a_row_is_a_chip_with_formats(model, cells, form, expert, stored):
    weight_bits, act_bits, *told = cells
    row = {"chip": "b200", "stack": "vllm", "weight_bits": weight_bits, "act_bits": act_bits, "kv_bits": np.nan}
    table = pd.DataFrame([row | ({"weight_format": told[0]} if told else {})])
    (setup,) = setups.chip_setups(table, LIBRARY, LIBRARY.model(model))
    assert (setup.weight_format, setup.expert_format, setup.stored_bits) == (form, expert, stored)
    assert (setup.chip, setup.serving_stack, setup.act_bits, setup.kv_bits) == ("b200", "vllm", act_bits, 16.0)


def test_llama_cpp_narrows_what_a_maker_left_wide():
    row = {"chip": "rtx_4090", "weight_bits": 4.25, "act_bits": 16.0, "kv_bits": 8.0}
    table = pd.DataFrame([row | {"stack": "llama_cpp"}, row | {"stack": "vllm"}])
    narrow, wide = setups.chip_setups(table, LIBRARY, LIBRARY.model("gpt_oss_20b"))
    assert (narrow.stored_bits, wide.stored_bits, narrow.kv_bits) == (4.25, None, 8.0)
    (kernel,) = setups.chip_setups(table[:1], LIBRARY)
    assert (kernel.weight_format, kernel.stored_bits) == ("bf16", 4.25)


TYPED = {
    "model": "llama3_8b", "chip": "h100_sxm", "stack": "vllm", "weight_bits": 8.0, "act_bits": 16.0, "kv_bits": 8.0,
    "tensor": 1.0, "stages": 1.0, "replicas": 1.0, "dealt": 1.0, "kind": "tensor", "cache_split": "heads",
    "used_batch": 4.0, "prompt": 100.0, "output": 10.0, "batching": "static", "chunk_rows": np.nan,
    "expert_spread": np.nan, "same_prompts": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "chips", "layout"),
    [
        ({}, 1, "tensor"), ({"tensor": 8}, 8, "tp8"), ({"tensor": 2, "stages": 3}, 6, "tp2_pp3"),
        ({"stages": 4, "kind": "layer_split"}, 4, "layer_split4"), ({"replicas": 4, "dealt": 4}, 4, "dp4"),
        ({"tensor": 2, "replicas": 4, "dealt": 8}, 8, "tp2_dp4"), ({"tensor": 2, "replicas": 4}, 8, "tp2_dp4_ep1"),
        ({"tensor": 8, "dealt": 4}, 8, "tp8_ep4"), ({"tensor": 4, "cache_split": "batch"}, 4, "tp4_kv_batch"),
    ],
)  # fmt: skip
def test_a_row_is_typed_as_it_stands_in_a_sweep(changed, chips, layout):
    ((baseline, workload),) = setups.typed(pd.DataFrame([TYPED | changed]), LIBRARY)
    assert baseline == {
        "chips": f"{chips}x h100_sxm", "weight_format": "bf16", "kv_bits": 8.0, "act_bits": 16.0,
        "serving_stack": "vllm", "parallelism": layout, "stored_bits": 8.0,
    }  # fmt: skip
    assert workload == {
        "model": "llama3_8b", "batch": 4.0, "prompt_tokens": 100.0, "output_tokens": 10.0, "batching": "static",
    }  # fmt: skip


def test_what_is_not_usual_is_typed_too():
    odd = TYPED | {"used_batch": np.nan, "chunk_rows": 512.0, "expert_spread": 0.5, "same_prompts": True}
    odd |= {"model": "gpt_oss_20b", "chip": "b200", "weight_bits": 4.25, "act_bits": 4.0}
    ((baseline, workload),) = setups.typed(pd.DataFrame([odd]), LIBRARY)
    assert (baseline["expert_format"], "stored_bits" in baseline, workload["batch"]) == ("nvfp4", False, "largest")
    assert (workload["chunk_rows"], workload["expert_spread"], workload["same_prompts"]) == (512, 0.5, True)


# --- end-to-end rows --------------------------------------------------------------------------------------------------


SERVED = {
    "metric": "tpot_ms", "parallelism": "tp2", "n_chips": 2.0, "weight_bits": 16.0, "act_bits": 16.0, "kv_bits": 16.0,
    "input_len": 100.0, "output_len": 50.0, "value": 5.0, "batch": 8.0, "batch_mode": "static", "reason": "",
}  # fmt: skip
"""A row as it is read; `requests.prepare` adds what it is taken to say."""


@pytest.mark.parametrize(
    ("changed", "cells"),
    [
        ({}, {"quantity": "decode", "tensor": 2, "used_batch": 8, "prompt": 100, "output": 50, "batching": "static",
              "batch_given": True, "remark": "", "reason": "", "same_prompts": False, "chunk_rows": np.nan}),
        ({"metric": "ttft_ms"}, {"quantity": "prefill", "batching": "static", "used_batch": 8}),
        ({"metric": "request_latency_s"}, {"quantity": "request", "batching": "waves"}),
        ({"metric": "output_tokens_per_s", "batch": np.nan},
         {"quantity": "request", "batching": "static", "used_batch": np.nan, "batch_given": False}),
        ({"metric": "speed"}, {"quantity": "", "reason": f"metric speed is none of {', '.join(requests.QUANTITIES)}"}),
        ({"weight_bits": 0.0}, {"reason": "weight_bits is not given"}),
        ({"act_bits": np.nan}, {"reason": "act_bits is not given"}),
        ({"kv_bits": 0.5}, {"reason": ""}),
        ({"input_len": np.nan}, {"reason": "input_len is not given"}),
        ({"input_len": 0.0}, {"reason": "", "prompt": 0}),
        ({"output_len": np.nan}, {"reason": "", "output": 1}),
        ({"output_len": np.nan, "metric": "request_latency_s"}, {"reason": "output_len is not given", "output": 1}),
        ({"output_len": 0.0}, {"output": 1}),
        ({"value": 0.0}, {"reason": "value must be above 0"}), ({"value": 0.5}, {"reason": ""}),
        ({"batch": 0.5}, {"used_batch": 1}), ({"batch": 1.5}, {"used_batch": 1.5}),
        ({"effective_batch": 3.0}, {"used_batch": 3}), ({"effective_batch": np.nan}, {"used_batch": 8}),
        ({"batch": np.nan}, {"used_batch": np.nan, "batch_given": False, "remark": "", "batching": "static"}),
        ({"batch": np.nan, "metric": "ttft_ms"},
         {"used_batch": 1, "batch_given": True, "remark": "no batch given: one prompt"}),
        ({"batch": np.nan, "metric": "ttft_ms", "parallelism": "ring", "n_chips": 4.0},
         {"used_batch": 1, "remark": "layout 'ring' taken as tensor parallel", "tensor": 4}),
        ({"batch_mode": "static_max_unknown"}, {"used_batch": np.nan, "batch_given": False}),
        ({"batch_mode": "static_max_unknown", "batch": np.nan, "metric": "ttft_ms"},
         {"used_batch": np.nan, "batch_given": False, "remark": ""}),
        ({"mean_input_len": 70.0, "mean_output_len": 30.0}, {"prompt": 70, "output": 30}),
        ({"mean_input_len": np.nan, "mean_output_len": np.nan}, {"prompt": 100, "output": 50}),
        ({"mean_input_len": 70.0}, {"prompt": 100, "output": 50}),
        ({"batch_mode": "inflight"}, {"batching": "in_flight"}),
        ({"batch_mode": "inflight", "input_len": 0.0}, {"batching": "static"}),
        ({"batch_mode": "inflight", "prefill_ms_per_step_ideal": 0.0}, {"batching": "static"}),
        ({"batch_mode": "inflight", "prefill_ms_per_step_ideal": 0.5}, {"batching": "in_flight"}),
        ({"batch_mode": "inflight", "metric": "ttft_ms"}, {"batching": "in_flight", "used_batch": 8}),
        ({"batch_mode": "inflight", "metric": "ttft_ms", "concurrency": 20.0}, {"used_batch": 20}),
        ({"batch_mode": "inflight", "metric": "ttft_ms", "concurrency": np.nan}, {"used_batch": 8, "reason": ""}),
        ({"batch_mode": "inflight", "metric": "ttft_ms", "concurrency": 0.0},
         {"used_batch": 8, "reason": "concurrency must be above 0"}),
        ({"batch_mode": "inflight", "concurrency": 0.0}, {"used_batch": 8, "reason": ""}),
        ({"concurrency": 20.0, "metric": "ttft_ms"}, {"used_batch": 8, "batching": "static"}),
        ({"batch_mode": "inflight", "metric": "request_latency_s"}, {"batching": "waves"}),
        ({"parallelism": "tp2_dp4_ep8_pp3", "n_chips": 24.0},
         {"tensor": 2, "replicas": 4, "dealt": 8, "stages": 3, "kind": "pipeline", "cache_split": "heads"}),
        ({"same_prompts": "Yes", "chunk_rows": 512}, {"same_prompts": True, "chunk_rows": 512}),
    ],
)  # fmt: skip
def test_what_an_end_to_end_row_says(changed, cells):
    assert_cells(requests.prepare(pd.DataFrame([SERVED | changed])).iloc[0], cells)


@pytest.mark.parametrize(
    ("metric", "value", "seconds"),
    [
        ("ms_per_token", 5.0, 0.005), ("tpot_ms", 5.0, 0.005), ("prefill_ms", 5.0, 0.005), ("ttft_ms", 5.0, 0.005),
        ("request_latency_s", 5.0, 5.0), ("output_tokens_per_s", 5.0, 8 * 50 / 5.0),
    ],
)  # fmt: skip
def test_a_metric_is_a_time_and_a_time_is_a_metric(metric, value, seconds):
    row = pd.DataFrame([{"metric": metric, "value": value, "used_batch": 8.0, "output": 50.0}])
    assert requests.measured_s(row).tolist() == pytest.approx([seconds])
    assert requests.in_metric_units(row, pd.Series([seconds])).tolist() == pytest.approx([value])


def test_prompts_are_the_same_where_a_row_says_so():
    told = pd.DataFrame({"same_prompts": ["yes", "True", "1", "no", "", 0, np.nan]})
    assert same_prompts(told).tolist() == [True] * 3 + [False] * 4
    assert same_prompts(told[[]]).tolist() == [False] * 7
    assert np.isnan(chunk_rows(told)).all() and chunk_rows(pd.DataFrame({"chunk_rows": [3]})).tolist() == [3.0]


def layouts(text, chips=8, **cells):
    found, remark = layout(text, chips)
    names = {"tp": "tensor_parallel", "pp": "stages", "dp": "replicas", "ep": "expert_parallel"}
    read = {short: getattr(found, name) for short, name in names.items()}
    return {name: value for name, value in read.items() if value != 1}, found.kind, remark


@pytest.mark.parametrize(
    ("text", "cells", "kind", "remark"),
    [
        ("tp8", {"tp": 8}, "tensor", ""), ("tp0", {}, "tensor", ""), ("tp1", {}, "tensor", ""),
        ("tp2pp4", {"tp": 2, "pp": 4}, "pipeline", ""), ("tp2_pp1", {"tp": 2}, "tensor", ""),
        ("tp2_pp0", {"tp": 2}, "tensor", ""), ("pp4", {"tp": 8}, "tensor", "layout 'pp4' taken as tensor parallel"),
        ("layer_split3", {"pp": 3}, "layer_split", ""), ("layer_split0", {}, "layer_split", ""),
        ("dp4", {"dp": 4, "ep": 4}, "tensor", ""), ("dp1", {}, "tensor", ""), ("dp0_tp2", {"tp": 2}, "tensor", ""),
        ("tp2_dp2", {"tp": 2, "dp": 2, "ep": 4}, "tensor", ""), ("dp_or_tp8", {"tp": 8}, "tensor", ""),
        ("tp4_ep2", {"tp": 4, "ep": 2}, "tensor", ""), ("tp4_ep0", {"tp": 4}, "tensor", ""),
        ("tp4_ep3", {"tp": 4, "ep": 4}, "tensor", "ep3 does not divide 4 chips: experts taken as dealt to all"),
        ("dp2_or_4_tp2", {"tp": 2}, "tensor", ""), ("", {"tp": 8}, "tensor", "layout '' taken as tensor parallel"),
    ],
)  # fmt: skip
def test_a_layout_is_read_word_by_word(text, cells, kind, remark):
    assert layouts(text) == (cells, kind, remark)
    alone, nothing = layout("", 1), layout("", 0)
    assert alone[1] == nothing[1] == "" and alone[0].tensor_parallel == nothing[0].tensor_parallel == 1
    assert layout("odd", 1)[1] == "layout 'odd' taken as tensor parallel"


# --- reading ----------------------------------------------------------------------------------------------------------


ROW = {
    "source_id": "mine", "chip": "h100_sxm", "model": "llama3_8b", "weight_bits": "16", "batch": "8",
    "input_len": "512", "output_len": "128", "metric": "tpot_ms", "value": "10", "software": "vLLM",
}  # fmt: skip


def read(folder, *changes, given=rows.NOTHING):
    path = folder / "mine.csv"
    pd.DataFrame([ROW | one for one in changes]).to_csv(path, index=False)
    return read_measurements(path, LIBRARY, given)[1]


@pytest.mark.parametrize("column", sorted(set(rows.LIMITS) - {"size_bytes", "m", "n", "k"}))
def test_a_number_beyond_its_column_is_a_slip(tmp_path, column):
    most = rows.LIMITS[column]
    cells = [most, most * 1.001, -1, "inf", "some"]
    found = read(tmp_path, *({column: cell} for cell in cells))
    assert found["reason"].tolist() == [
        "", f"{column} must be at most {most:g}, got {cells[1]}", f"{column} must be at least 0, got -1",
        f"{column} must be a number, got inf", f"{column} must be a number, got some",
    ]  # fmt: skip
    assert found[column].isna().tolist()[:2] == [False, True]


@pytest.mark.parametrize(
    ("cells", "parallelism"),
    [
        # 70 billion weights of 16 bits need two chips of 80 GiB, 8 billion fit on one.
        ({"parallelism": "dp_or_tp8", "model": "llama3_70b"}, "dp4_tp2"),
        ({"parallelism": "dp_or_tp8"}, "dp8"), ({"parallelism": "dp_or_tp1"}, "tp1"),
        ({"parallelism": "replicas of any kind", "n_chips": "2", "model": "llama3_70b"}, "tp2"),
        ({"parallelism": "dp_or_tp1", "model": "llama3_70b"}, "tp1"),
        ({"parallelism": "dp_or_tp8", "model": "llama3_70b", "weight_bits": "8"}, "dp8"),
        ({"parallelism": "dp_or_tp6", "model": "llama31_405b"}, "tp6"),
        ({"parallelism": "dp_or_tp8", "model": "llama31_405b", "weight_bits": "4"}, "dp2_tp4"),
        ({"parallelism": "replicas", "n_chips": "4"}, "dp4"),
    ],
)  # fmt: skip
def test_a_layout_that_is_left_open_shares_a_model_as_little_as_its_weights_allow(tmp_path, cells, parallelism):
    (found,) = read(tmp_path, {"n_chips": "8"} | cells).to_dict("records")
    assert found["parallelism"] == parallelism
    assert f"layout read as {parallelism}: the fewest chips that hold the weights share them" in found["read_as"]


@pytest.mark.parametrize(
    ("chip", "weights", "activations"),
    [
        ("h100_sxm", "8", 8), ("h100_sxm", "8.9", 8), ("h100_sxm", "9", 16), ("h100_sxm", "4.5", 16),
        ("h100_sxm", "7.9", 16), ("a100_80gb_sxm", "8", 8), ("b200", "4", 4), ("b200", "4.9", 4), ("b200", "5", 16),
        ("b200", "3.9", 16), ("a100_80gb_sxm", "4", 16), ("v100_32gb_sxm", "8", 16),
    ],
)  # fmt: skip
def test_activations_that_are_not_told_are_as_wide_as_the_chip_multiplies_such_weights(
    tmp_path, chip, weights, activations
):
    known = chip in LIBRARY.chips
    chip = chip if known else next(k for k in LIBRARY.chips if k.startswith("v100"))
    told, empty = read(
        tmp_path,
        {"chip": chip, "weight_bits": weights, "act_bits": "32"},
        {"chip": chip, "weight_bits": weights, "act_bits": ""},
    ).to_dict("records")
    assert (told["act_bits"], empty["act_bits"]) == (32, activations)
    said = f"act_bits is not given: {activations} taken, as the chip multiplies such weights"
    assert said in empty["read_as"] and said not in told["read_as"]


def test_given_cells_fill_what_is_empty_and_leave_what_is_told(tmp_path):
    path = tmp_path / "mine.csv"
    pd.DataFrame([ROW, ROW | {"chip": ""}]).to_csv(path, index=False)
    table = read_table(path, {"chip": "a100", "note": "n"})
    assert table["chip"].tolist() == ["h100_sxm", "a100"] and table["note"].tolist() == ["n", "n"]


@pytest.mark.parametrize(("reader", "letters"), [("csv", rows.MAX_HEAD), ("csv", rows.MAX_HEAD + 1)])
def test_a_head_of_the_longest_kind_is_read_and_a_longer_one_is_not(tmp_path, reader, letters):
    path, names = tmp_path / f"a.{reader}", ",".join(ROW)
    path.write_text(f"{names},{'x' * (letters - len(names) - 1)}\n" + ",".join(ROW.values()) + ",1\n")
    if letters > rows.MAX_HEAD:
        with pytest.raises(MeasurementError, match="its first line is longer than 10,000 characters"):
            read_table(path)
    else:
        assert len(read_table(path)) == 1


def test_files_of_the_most_rows_are_read_and_longer_ones_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "MAX_ROWS", 3)
    monkeypatch.setattr(bench_results, "MAX_ROWS", 3)
    for count in (3, 4):
        path = tmp_path / f"{count}.csv"
        pd.DataFrame([ROW] * count).to_csv(path, index=False)
        records = tmp_path / f"{count}.json"
        records.write_text(json.dumps([LLAMA[0]] * count))
        for file, what in ((path, "rows"), (records, "records")):
            if count == 3:
                assert len(read_table(file)) == 3
            else:
                with pytest.raises(ForeignFileError, match=f"has 4 {what}, at most 3 are read"):
                    read_table(file)


@pytest.mark.parametrize(
    ("columns", "form", "lacks"),
    [
        (["source_id", "chip", "model", "weight_bits", "batch"], "requests", "input_len, metric, output_len, value"),
        (["kind", "dtype", "m", "n", "k", "size_bytes", "chip", "value"], "operators", "grade, metric, n_chips"),
        (["gpu", "kernel", "sparsity"], "sparse", "source, speedup_vs_cublas"), (["a"], "requests", "batch, chip"),
        (["gpu", "method"], "weight_only", "batch_M, bits"), (["reason", "chip", "n_chips"], "excluded", "batch"),
    ],
)  # fmt: skip
def test_a_file_of_no_form_is_told_what_the_nearest_lacks(tmp_path, columns, form, lacks):
    path = tmp_path / "mine.csv"
    path.write_text(",".join(columns) + "\n" + ",".join("1" for _ in columns) + "\n")
    with pytest.raises(MeasurementError, match=f"as a file of {form} it lacks {lacks}"):
        read_measurements(path, LIBRARY)


# --- single operators -------------------------------------------------------------------------------------------------


OPERATOR = {
    "kind": "gemm", "dtype": "bf16", "m": 2.0, "n": 3.0, "k": 5.0, "size_bytes": np.nan, "metric": "latency_us",
    "value": 4.0, "n_chips": 1.0, "reason": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "cells"),
    [
        ({}, {"measured_s": 4e-6, "weight_bits": 16, "act_bits": 16, "kv_bits": 16, "remark": "", "reason": ""}),
        ({"metric": "achieved_TFLOPS"}, {"measured_s": 2 * 30 / 4e12}),
        ({"metric": "achieved_GBps", "kind": "memory_bandwidth"}, {"measured_s": 1 / 4e9, "reason": ""}),
        ({"dtype": "nvfp4"}, {"weight_bits": 4.5, "act_bits": 4, "kv_bits": 16, "weight_format": ""}),
        ({"dtype": "int8_wo"}, {"weight_bits": 8, "act_bits": 16}), ({"dtype": None}, {"weight_bits": 16}),
        ({"dtype": "fp8_block"}, {"weight_format": "fp8_block128", "weight_bits": 8, "act_bits": 8}),
        ({"n": np.nan, "n_chips": 64.0}, {"n": 64, "n_chips": 1, "remark": "n read from n_chips", "reason": ""}),
        ({"n": np.nan, "n_chips": 1.0}, {"n": np.nan, "n_chips": 1, "remark": "", "reason": "n is not given"}),
        ({"n_chips": 64.0}, {"n": 3, "n_chips": 64, "remark": ""}),
        ({"kind": "softmax"}, {"reason": "operators of kind softmax are not predicted"}),
        ({"kind": None}, {"reason": "operators of kind  are not predicted"}),
        ({"m": 0.0}, {"reason": "m is not given"}), ({"value": 0.0}, {"reason": "value must be above 0"}),
        ({"m": 0.5}, {"reason": ""}), ({"kind": "all_reduce", "n_chips": 8.0}, {"reason": "size_bytes is not given"}),
        ({"kind": "all_reduce", "n": np.nan, "n_chips": 8.0, "size_bytes": 8.0}, {"reason": "", "n_chips": 8}),
        ({"kind": "decode_attention", "dtype": "kv_fp8"}, {"kv_bits": 8, "reason": "batch is not given"}),
        ({"kind": "decode_mla", "dtype": "kv_fp8", "batch": 1.0, "seq_len": 2.0, "heads": 3.0},
         {"kv_bits": 8, "reason": ""}),
        ({"kind": "prefill_mla", "dtype": "kv_fp8", "batch": 1.0, "seq_len": 2.0}, {"kv_bits": 16,
         "reason": "heads is not given"}),
    ],
)  # fmt: skip
def test_what_a_row_of_an_operator_says(changed, cells):
    made = operators.prepare(pd.DataFrame([OPERATOR | changed]))
    assert_cells(made.iloc[0], cells)
    if not made["reason"].iloc[0]:
        assert operators.in_metric_units(made, made["measured_s"]).tolist() == pytest.approx([4.0])


def test_link_and_memory_by_hand():
    shared = {"chip": "h100_sxm", "software": "x", "kv_bits": 16.0, "weight_bits": 16.0, "act_bits": 16.0}
    moved = {"metric": "latency_us", "value": 1.0, "size_bytes": 1e12, "n": 1.0}
    rows = [
        OPERATOR | shared | moved | {"kind": kind, "n_chips": chips}
        for kind in ("all_reduce", "all_gather", "alltoall") for chips in (1.0, 2.0, 8.0)
    ]  # fmt: skip
    made = operators.predict(operators.prepare(pd.DataFrame(rows)), TECHNOLOGY)
    bound = made["bound_s"].to_numpy().reshape(3, 3)
    assert (bound[:, 0] == 0).all(), "a chip alone has nobody to talk to"
    # A terabyte on links of 450 GB/s: what is left of latencies is nothing.
    gather = 1e12 / 450e9
    assert bound[:, 1:] == pytest.approx(
        np.array([[2 * gather / 2, 2 * gather * 7 / 8], [gather / 2, gather * 7 / 8], [gather / 2, gather * 7 / 8]]),
        rel=1e-3,
    )
    assert (made["predicted_s"] >= made["bound_s"]).all() and (made["memory_fraction"] == 0).all()
    stream = OPERATOR | shared | {"kind": "memory_bandwidth", "metric": "achieved_GBps"}
    (found,) = operators.predict(operators.prepare(pd.DataFrame([stream])), TECHNOLOGY).to_dict("records")
    assert found["bound_s"] == pytest.approx(1 / (LIBRARY.chip("h100_sxm").bandwidth_gbps * 1e9))
    assert found["predicted_s"] > found["bound_s"] and found["memory_fraction"] == 1


# --- energy -----------------------------------------------------------------------------------------------------------


ENERGY = {
    "chip": "h100_sxm", "model": "llama3_8b", "n_chips": 8.0, "weight_bits": 16.0, "batch": 4.0, "input_len": 100.0,
    "output_len": 10.0, "phase": "decode", "energy_J_per_output_token": 2.0, "reason": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "cells"),
    [
        ({}, {"quantity": "served", "measured_j": 2, "remark": "", "reason": "", "tensor": 8, "replicas": 1, "dealt": 1,
              "act_bits": 16, "kv_bits": 16, "used_batch": 4, "prompt": 100, "output": 10, "software": ""}),
        ({"note": "TP 2, DP 4"}, {"tensor": 2, "replicas": 4, "dealt": 8}),
        ({"note": "TP 2, EP 4"}, {"tensor": 2, "replicas": 4, "dealt": 4}),
        ({"note": "TP 1, EP 8, DP 1", "n_chips": 8.0}, {"tensor": 1, "replicas": 8, "dealt": 8}),
        ({"note": "TP 2, EP 3"}, {"tensor": 2, "replicas": 4, "dealt": 8}),
        ({"note": "TP 8, EP 1"}, {"tensor": 8, "replicas": 1, "dealt": 1}),
        ({"note": "TP 8, EP 8"}, {"tensor": 8, "replicas": 1, "dealt": 8}),
        ({"note": "TP 16"}, {"tensor": 16, "replicas": 1, "dealt": 1}),
        ({"note": "TP 0"}, {"tensor": 0, "replicas": 8}), ({"n_chips": np.nan}, {"tensor": 1, "replicas": 1}),
        ({"n_chips": 0.0}, {"tensor": 1, "replicas": 1}), ({"note": "STP 4"}, {"tensor": 8}),
        ({"weight_bits": 8.0}, {"act_bits": 8}), ({"weight_bits": 0.0}, {"reason": "weight_bits is not given"}),
        ({"weight_bits": 0.5}, {"reason": ""}), ({"batch": 0.0}, {"reason": "batch is not given", "used_batch": 1}),
        ({"batch": 0.5}, {"reason": "", "used_batch": 1}), ({"model": "gpt9"}, {"reason": "model is not given"}),
        ({"output_len": 0.0}, {"reason": "output_len is not given", "output": 1}),
        ({"output_len": 0.5}, {"reason": "", "output": 1}),
        ({"output_len": np.nan}, {"reason": "output_len is not given", "output": 1}),
        ({"energy_J_per_output_token": 0.0}, {"reason": "no energy per output token or call is given"}),
        ({"energy_J_per_output_token": 0.5}, {"reason": ""}),
        ({"input_len": np.nan}, {"remark": "prompt length assumed (serving.chat_prompt_tokens)", "reason": ""}),
        ({"input_len": np.nan, "batch": 0.0}, {"remark": "", "reason": "batch is not given"}),
        ({"note": "vLLM 0.9"}, {"software": "vLLM"}), ({"note": "runs on TensorRT-LLM"}, {"software": ""}),
        ({"source_title": "ML.ENERGY v3"}, {"software": "vLLM"}),
        ({"note": "Deepspeed-MII", "software": "mine"}, {"software": "mine"}),
        ({"kind": "gemm", "energy_uJ_per_call": 5.0, "model": None, "batch": np.nan, "weight_bits": np.nan,
          "input_len": np.nan, "output_len": np.nan},
         {"quantity": "gemm", "measured_j": 5e-6, "reason": "", "remark": "", "output": 1}),
        ({"kind": "", "energy_uJ_per_call": 5.0}, {"quantity": "served", "measured_j": 2}),
        ({"kind": "gemm"}, {"quantity": "gemm", "measured_j": 2}),
    ],
)  # fmt: skip
def test_what_a_row_of_energy_says(changed, cells):
    made = power.prepare(pd.DataFrame([ENERGY | changed]), TECHNOLOGY).iloc[0]
    assert_cells(made, cells)
    if "prompt length" in made["remark"]:
        assert made["prompt"] == LIBRARY.parameters["serving.chat_prompt_tokens"].typ


def test_energy_of_a_request_is_that_of_its_prompt_and_its_steps():
    rows = power.prepare(
        pd.DataFrame([ENERGY | {"n_chips": 1.0, "output_tokens_per_s": 100.0, "batch_mode": "static"}] * 3), TECHNOLOGY
    )
    rows = rows.assign(stack="vllm", phase=["decode", "all", np.nan])
    rows.loc[2, "prompt"] = 0.0
    steps, whole, bare = power.served_power(rows, TECHNOLOGY).to_dict("records")
    assert bare["predicted_w"] < whole["predicted_w"], "without a prompt nothing but steps is left"
    assert steps["predicted_j"] < whole["predicted_j"]
    for timed in (False, True):
        made = power.served_power(rows, TECHNOLOGY, timed=timed)
        seconds = 4 * 10 / 100 if timed else 4 * 10 / 100 / made["stretch"]
        # Watts are joules over time, of 4 sequences of 10 tokens at 100 tokens a second if that was measured.
        np.testing.assert_allclose(made["predicted_w"], made["predicted_j"] * 40 / seconds)
    np.testing.assert_allclose(steps["predicted_s"] * 10 * steps["stretch"], 0.4)


# --- what is written --------------------------------------------------------------------------------------------------


def test_every_column_that_a_validation_adds_is_what_its_neighbours_say(tmp_path):
    rows = [
        ROW | {"value": "6", "batch": "1"}, ROW | {"metric": "ttft_ms", "value": "60"},
        ROW | {"metric": "request_latency_s", "value": "1.5"}, ROW | {"metric": "output_tokens_per_s", "value": "900"},
        ROW | {"software": "some tool"}, ROW | {"chip": "banana"}, ROW | {"batch": "100000"},
        ROW | {"metric": "ttft_ms", "input_len": "4096", "batch": "8"},
    ]  # fmt: skip
    path = tmp_path / "mine.csv"
    pd.DataFrame(rows).assign(kv_bits="16", act_bits="16").to_csv(path, index=False)
    validation = run_validation([path, path])
    assert list(validation.files) == ["mine.csv", str(path)]
    out = validation.files["mine.csv"]
    value, good = out["value"].astype(float), out["reason"] == ""
    assert good.tolist() == [True] * 5 + [False, True, True]
    rate = out["metric"] == "output_tokens_per_s"
    expected = (out["predicted"] / value) ** np.where(rate, -1, 1)
    np.testing.assert_allclose(out["ratio"][good], expected[good])
    assert (out["bound_by"] == ["memory", "arithmetic", "memory", "memory", "memory", "", "memory", "arithmetic"]).all()
    slower = out["predicted"].where(~rate, out["bound"]) > out["bound"].where(~rate, out["predicted"])
    assert (slower == good).all()
    assert (
        out["stack"].str.endswith(" (generic: software has no profile)").tolist() == [False] * 4 + [True] + [False] * 3
    )
    assert out["stack"].iloc[5] == "" and out["stack"].iloc[0] == "vllm"
    assert out["fits"].tolist() == ["yes"] * 5 + ["", "no", "yes"]
    assert (out["p10"] < out["p90"])[good].all() and out["p10"].isna().tolist() == (~good).tolist()
    inside = (value >= out["p10"]) & (value <= out["p90"])
    assert out["inside"].tolist() == np.where(good, np.where(inside, "yes", "no"), "").tolist()
    assert out["remark"].iloc[0] == "no column n_chips: 1 taken"
    assert out["interference_ms"][good].notna().all()
    many = rows[0] | {"metric": "ttft_ms", "value": "20", "batch": ""}
    pd.DataFrame([many]).to_csv(path, index=False)
    (said,) = run_validation([path]).files.values()
    assert said["remark"].iloc[0].endswith("no column kv_bits: 16 taken; no batch given: one prompt")


# --- results of tools -------------------------------------------------------------------------------------------------


def tool(folder, record, **given):
    path = folder / "result.json"
    path.write_text(json.dumps(record))
    return read_table(path, given)


LATENCY = {"avg_latency": 2.5, "latencies": [2.0, 3.0]}


def test_what_a_latency_benchmark_tells_is_one_number(tmp_path):
    (row,) = tool(tmp_path, LATENCY).to_dict("records")
    assert_cells(row, {"metric": "request_latency_s", "value": "2.5", "batch_mode": "static", "software": "vllm",
                       "chip": "", "source_id": "result", "grade": "B", "input_len": ""})  # fmt: skip
    assert "n_chips" not in row and "kv_bits" not in row and "parallelism" not in row


BOARDS = "NVIDIA GeForce RTX 3090, NVIDIA GeForce RTX 3090"


@pytest.mark.parametrize(
    ("changed", "cells"),
    [
        ({}, {"n_chips": "1", "parallelism": "tp1", "gpu_layers": "99.0", "batch": "1", "batch_mode": "static"}),
        ({"gpu_info": BOARDS}, {"n_chips": "2", "parallelism": "layer_split2"}),
        ({"gpu_info": BOARDS, "split_mode": "row"}, {"n_chips": "2", "parallelism": "tp2"}),
        ({"gpu_info": BOARDS, "split_mode": "none"}, {"n_chips": "1", "parallelism": "tp1"}),
        ({"gpu_info": "", "cpu_info": "Some CPU"}, {"chip": "Some CPU", "gpu_layers": "", "n_chips": "1"}),
        ({"gpu_info": "", "cpu_info": " "}, {"chip": ""}), ({"n_gpu_layers": 0}, {"gpu_layers": "0.0"}),
        ({"n_gpu_layers": -1}, {"gpu_layers": ""}), ({"n_gpu_layers": None}, {"gpu_layers": ""}),
        ({"type_k": "q8_0"}, {"kv_bits": "8.5"}), ({"type_k": "odd"}, {}), ({"model_n_params": 0}, {"weight_bits": ""}),
        ({"model_filename": "C:\\m\\a-b.gguf"}, {"model": "a-b"}),
        ({"n_depth": 7}, {"refused": "a prompt behind 7 cached tokens is not predicted"}),
        ({"n_cpu_moe": 3}, {"refused": "the host ran the experts of 3 layers (n_cpu_moe)"}),
        ({"n_cpu_moe": 3, "gpu_info": ""}, {"refused": ""}),
        ({"no_kv_offload": "1"}, {"refused": "the host kept the KV cache (no_kv_offload)"}),
        ({"no_kv_offload": "TRUE"}, {"refused": "the host kept the KV cache (no_kv_offload)"}),
        ({"no_kv_offload": 0}, {"refused": ""}), ({"no_kv_offload": 1, "gpu_info": ""}, {"refused": ""}),
        ({"n_prompt": 0, "n_gen": 0}, {"metric": "tpot_ms", "value": ""}),
        ({"n_prompt": 0, "n_gen": 2, "avg_ns": 3e6, "n_depth": 9},
         {"metric": "tpot_ms", "value": "1.5", "input_len": "9.0", "output_len": "2.0", "refused": ""}),
        ({"n_gen": 2, "avg_ns": 3e9}, {"metric": "request_latency_s", "value": "3.0", "output_len": "2.0"}),
        ({"avg_ns": 3e6}, {"metric": "ttft_ms", "value": "3.0", "output_len": "1"}),
    ],
)  # fmt: skip
def test_what_a_test_of_llama_bench_says(tmp_path, changed, cells):
    (row,) = tool(tmp_path, [LLAMA[0] | changed]).to_dict("records")
    assert_cells(row, cells)
    assert ("kv_bits" in row) == (changed.get("type_k") != "odd")


@pytest.mark.parametrize(
    ("record", "batch", "cells"),
    [
        (VLLM, 4.0, {"input_len": "1024.0", "output_len": "128.0", "software": "vllm"}),
        # Little's law: requests a second times seconds a request, of the first token and 255 more at 11 ms.
        (SGLANG, 6.0, {"software": "sglang"}),
        ({k: v for k, v in SGLANG.items() if "e2e" not in k}, 2 * (0.080 + 0.011 * 255), {}),
        (SGLANG | {"mean_e2el_ms": 5000.0}, 10.0, {}), (SGLANG | {"request_throughput": None}, None, {}),
        ({k: v for k, v in SGLANG.items() if "e2e" not in k and "ttft" not in k}, None, {}),
        (SGLANG | {"max_concurrency": 3}, 3.0, {}), (VLLM | {"completed": 0}, 4.0, {"input_len": "", "output_len": ""}),
        (SGLANG | {"total_input_tokens": 0}, 6.0, {"input_len": "0.0"}),
        (SGLANG | {"total_output_tokens": 0, "mean_e2e_latency_ms": None}, 0.16, {"output_len": "0.0"}),
    ],
)  # fmt: skip
def test_what_a_serving_benchmark_says(tmp_path, record, batch, cells):
    step, first, rate = tool(tmp_path, record).to_dict("records")
    assert_cells(step, cells | {"batch_mode": "inflight", "metric": "tpot_ms"})
    for row in (step, rate):
        assert (float(row["batch"]) if row["batch"] else None) == (None if batch is None else pytest.approx(batch))
    assert float(first["batch"]) == 1 and first["concurrency"] == step["batch"]


def test_lines_of_json_are_records_and_a_list_is_too(tmp_path):
    path = tmp_path / "x.json"
    for text in (json.dumps(LLAMA), "\n\n".join(json.dumps(one) for one in LLAMA), json.dumps(LLAMA, indent=1)):
        path.write_text(text)
        assert len(read_table(path)) == 3
    path.write_text(json.dumps(VLLM, indent=1))
    assert len(read_table(path)) == 3, "one record, of several lines"
    path.write_text(json.dumps([VLLM, 3]))
    with pytest.raises(MeasurementError):
        read_measurements(path, LIBRARY)
