"""A stack fitted to own rows: rows of other constants are met, left out or not, and what is written works."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from dse.sweep.library_additions import library_with
from dse.validation import requests
from dse.validation.calibrate import _constant, _starts, calibrate
from dse.validation.rows import MeasurementError, read_measurements

LIBRARY = shipped_library()
TRUTH = {"stacks.llama_cpp.kernel_s": 1.6e-5, "stacks.llama_cpp.bandwidth_efficiency": 0.8}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Rows that llama.cpp with other constants would have given."""
    path = tmp_path_factory.mktemp("own") / "own.csv"
    told = {"source_id": "own", "chip": "rtx_4090", "output_len": 64, "metric": "tpot_ms", "software": "llama.cpp"}
    rows = pd.DataFrame(
        {**told, "model": model, "weight_bits": bits, "batch": batch, "input_len": 256, "value": 1.0}
        for model in ("llama3_8b", "qwen3_4b", "qwen2_7b")
        for bits in (4.5, 8.5) for batch in (1, 4)
    )  # fmt: skip
    rows.to_csv(path, index=False)
    prepared = requests.prepare(read_measurements(path, LIBRARY)[1])
    rows["value"] = requests.predict(prepared, Technology(TRUTH), bounds=False)["predicted_s"].to_numpy() * 1e3
    rows.to_csv(path, index=False)
    return path


def test_rows_of_other_constants_are_met_and_what_is_written_predicts_them(own, tmp_path, call):
    status, out, err = call("calibrate", own, "--out", tmp_path / "mine", "--format", "json")
    found = json.loads(out)
    assert (status, err) == (0, "")
    assert found["error_after"] < 0.06 and found["error_left_out"] < 0.08 < found["error_before"]
    assert all(one["low"] <= one["value"] <= one["high"] for one in found["constants"])
    library = library_with([tmp_path / "mine"])
    stack = library.stack("llama_cpp_calibrated")
    assert "CALIBRATED" in stack.note and stack.base == "llama_cpp"
    status, out, err = call(
        "validate", "--measurements", own, "--library", tmp_path / "mine", "--out", tmp_path / "scored.csv"
    )
    assert status == 0, err
    scored = pd.read_csv(tmp_path / "scored.csv")
    assert status == 0 and set(scored["stack"]) == {"llama_cpp_calibrated"}
    assert (scored["ratio"] - 1).abs().median() < 0.06
    status, out, _ = call(
        "explain",
        "rtx_4090 serving_stack=llama_cpp_calibrated",
        "--library",
        tmp_path / "mine",
        "--workload",
        "llama3_8b",
    )
    assert status == 0 and "llama_cpp_calibrated" in out


def test_too_few_rows_several_stacks_and_no_constants_are_told(own, tmp_path):
    rows = pd.read_csv(own)
    rows.head(3).to_csv(tmp_path / "few.csv", index=False)
    rows.assign(software=["llama.cpp", "vLLM"] * (len(rows) // 2)).to_csv(tmp_path / "two.csv", index=False)
    for name, base, told in (("few", None, "at least 4"), ("two", None, "say --stack"), ("two", "ideal", "no fitted")):
        with pytest.raises(MeasurementError, match=told):
            calibrate([tmp_path / f"{name}.csv"], base, LIBRARY)


def parameter(typ, low, high, note="fitted on 9 end-to-end rows", most=np.inf):
    return SimpleNamespace(typ=typ, low=low, high=high, note=note, bounds=SimpleNamespace(high=most))


def test_a_stack_starts_from_its_fitted_constants_within_their_ranges():
    told = {
        "a": parameter(2.0, 1.0, 4.0), "b": parameter(2.0, 1.0, 4.0, "assumed"), "c": parameter(2.0, None, 4.0),
        "d": parameter(2.0, 2.0, 2.0), "e": parameter(2.0, 1.0, 4.0, "fitted on power"), "f": parameter(3.0, 1.0, 16.0),
        "g": parameter(2.0, 0.0, 4.0),
    }  # fmt: skip
    library = SimpleNamespace(
        stack=lambda key: SimpleNamespace(parameters=dict.fromkeys(told), base=None),
        parameters={f"stacks.s.{name}": one for name, one in told.items()},
    )
    start, spread = _starts("s", library)
    assert start == {"a": 2.0, "f": 3.0} and spread == pytest.approx([np.log(4) / 4, np.log(16) / 4])
    none = SimpleNamespace(stack=lambda key: SimpleNamespace(parameters={}, base=None), parameters={})
    with pytest.raises(MeasurementError, match="stack s has no fitted constants to start from"):
        _starts("s", none)


@pytest.mark.parametrize(("most", "high", "value"), [(np.inf, 3 * np.e, 3.0), (4.0, 4.0, 3.0), (2.0, 2.0, 2.0)])
def test_a_constant_ends_two_standard_errors_away_and_within_its_bound(most, high, value):
    whole = SimpleNamespace(values={"a": 3.0}, errors={"a": 0.5})
    library = SimpleNamespace(parameters={"stacks.s.a": parameter(1.0, 1.0, 1.0, most=most)})
    one = _constant("a", 1.0, whole, "s", library)
    assert (one.low, one.value, one.high) == pytest.approx((3 / np.e, value, high)) and one.base == 1.0
