"""How measurement files are read, cell by cell."""

import json

import pandas as pd
import pytest

from cost_models.errors import ForeignFileError
from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from dse.validation import bench_results, rows
from dse.validation.rows import MeasurementError, layout, read_measurements, read_table
from tests.dse.validation.bench_files import LLAMA

LIBRARY, TECHNOLOGY = shipped_library(), Technology()


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


ROW = {
    "source_id": "mine", "chip": "h100_sxm", "model": "llama3_8b", "weight_bits": "16", "batch": "8",
    "input_len": "512", "output_len": "128", "metric": "tpot_ms", "value": "10", "software": "vLLM",
}  # fmt: skip


def read(folder, *changes, given=rows.NOTHING):
    path = folder / "mine.csv"
    pd.DataFrame([ROW | one for one in changes]).to_csv(path, index=False)
    return read_measurements(path, LIBRARY, given)[1]


def test_a_measured_machine_has_a_chip_at_least(tmp_path):
    assert read(tmp_path, {"n_chips": "0"}, {"n_chips": "1"})["reason"].tolist() == ["n_chips must be at least 1", ""]


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
