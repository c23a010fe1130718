"""The GPU benchmark: the same code on a CPU at tiny sizes, its rows through validation. No GPU is measured here."""

import csv
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from cost_models.library import shipped_library
from dse.validation.run import run_validation
from tests.tools.bench import bench

pytestmark = pytest.mark.torch

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "measure_gpu" / "measure.py"
FORMS = ("gpu_micro", "gpu_steps", "gpu_energy", "gpu_weight_only", "gpu_sparse")


def script(*words):
    # One thread: small products gain nothing from more, and lose much on a busy machine.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, words)], capture_output=True, text=True, env=environment, check=False
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    out = tmp_path_factory.mktemp("rows")
    done = script("--device", "cpu", "--tiny", "--out", out, "--point-seconds", 0.001)
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def table(folder, name):
    return pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)


def report(folder):
    return json.loads((folder / "report.json").read_text())


def called(capsys, *words):
    """Return (exit status, output, errors) of the command, run in this process."""
    from tools.measure_gpu.arguments import parse
    from tools.measure_gpu.session import run

    try:
        status = run(parse(["--device", "cpu", *map(str, words)]))
    except SystemExit as stop:
        status = stop.code
    printed = capsys.readouterr()
    return status, printed.out, printed.err


# --- the round trip ---------------------------------------------------------------------------------------------------


def test_validation_takes_the_rows_as_they_are_and_says_why_it_predicts_none(measured):
    folder, _ = measured
    validation = run_validation([folder / f"{name}.csv" for name in FORMS])
    assert set(validation.files) == {f"{name}.csv" for name in FORMS}
    for name, rows in validation.files.items():
        assert len(rows) == len(table(folder, name.removesuffix(".csv"))) > 0
        assert rows["predicted"].isna().all()
        assert (rows["reason"] != "").all()
    assert set(validation.files["gpu_micro.csv"]["reason"]) == {"chip 'CPU' is not in the library"}


def test_rows_of_a_known_chip_are_predicted_or_say_why_not(measured, tmp_path):
    # Not the CPU's parameters but the way through validation is tested: the names are changed in a temporary copy only.
    folder, _ = measured
    for name in FORMS:
        rows = table(folder, name)
        for column, value in {"chip": "h100_sxm", "gpu": "A100", "model": "llama2_7b"}.items():
            if column in rows:
                rows[column] = value
        if name == "gpu_energy":
            rows["model"] = rows["model"].where(rows["kind"] == "", "")
            rows["energy_J_per_output_token"] = "1.0"
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
    files = run_validation([tmp_path / f"{name}.csv" for name in FORMS]).files
    for rows in files.values():
        assert (rows["predicted"].notna() == (rows["reason"] == "")).all()
    micro = files["gpu_micro.csv"]
    predicted = set(micro.loc[micro["predicted"].notna(), "kind"])
    assert predicted == {"gemm", "decode_attention", "prefill_attention", "memory_bandwidth"}
    assert set(micro.loc[micro["predicted"].isna(), "kind"]) == {"gemm_csr", "kernel_launch"}
    assert files["gpu_steps.csv"]["predicted"].notna().all()
    assert files["gpu_weight_only.csv"]["predicted"].notna().all()
    energy = files["gpu_energy.csv"]
    assert energy.loc[energy["kind"] == "", "predicted"].notna().all()


def test_every_row_is_marked_as_a_check_by_a_cpu(measured):
    folder, printed = measured
    for name in ("gpu_micro", "gpu_steps", "gpu_energy"):
        rows = table(folder, name)
        assert (rows["chip"] == "CPU").all()
        assert (rows["source_id"] == "cpu_check").all()
        assert (rows["grade"] == "C").all()
        assert rows["note"].str.contains("no measurement of a GPU").all()
        assert rows["id"].is_unique
    assert report(folder)["is_a_measurement"] is False
    assert "do not belong in the library" in printed


def test_no_row_of_this_script_is_in_the_library():
    # There was no GPU to measure on: the day there is one, this list says where its rows are.
    for path in (shipped_library().directory / "measurements").glob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            sources = {row["source_id"] for row in csv.DictReader(file)}
        assert not [source for source in sources if source == "cpu_check" or source.startswith("own_")], path.name


def test_rows_of_a_cpu_stay_out_of_the_repository(capsys):
    status, _, err = called(capsys, "--out", ROOT / "cost_models" / "library" / "measurements")
    assert status == 2
    assert "only check the script" in err


# --- what is there, what is not ---------------------------------------------------------------------------------------


def test_everything_is_measured_or_has_its_reason(measured):
    folder, _ = measured
    ids = set(itertools.chain.from_iterable(table(folder, name)["id"] for name in FORMS[:3]))
    planned = script("--device", "cpu", "--tiny", "--out", folder.parent / "empty", "--list").stdout.splitlines()[2:]
    assert ids | set(report(folder)["not_measured"]) == set(planned)
    assert ids.isdisjoint(report(folder)["not_measured"])


def test_absent_packages_are_named(measured):
    folder, printed = measured
    reasons = report(folder)["not_measured"]
    reported = {key.split("|")[1]: reason for key, reason in reasons.items() if key.startswith("weight_only")}
    for kernel, package in {"marlin": "vllm", "gemlite": "gemlite", "bitsandbytes": "bitsandbytes"}.items():
        if kernel in reported:
            assert package in reported[kernel]
            assert reported[kernel] in printed
    assert reasons["launch|graph"] == "no graphs on this device"
    assert "2:4" in next(reason for key, reason in reasons.items() if key.startswith("sparse|sparse24"))


def test_power_columns_are_empty_where_nothing_reads_power(measured):
    folder, printed = measured
    rows = table(folder, "gpu_energy")
    for column in ("power_W_total", "energy_J_per_output_token", "energy_uJ_per_call"):
        assert (rows[column] == "").all()
    assert rows["power_basis"].str.startswith("not read: ").all()
    assert "board power: not read" in printed


def test_a_second_run_measures_only_what_is_missing(measured):
    folder, _ = measured
    path = folder / "gpu_micro.csv"
    whole = path.read_text()
    lost = table(folder, "gpu_micro")["id"].iloc[5]
    path.write_text("".join(line for line in whole.splitlines(keepends=True) if not line.startswith(f"{lost},")))
    kept = table(folder, "gpu_micro").set_index("id")["value"]
    again = script("--device", "cpu", "--tiny", "--out", folder, "--point-seconds", 0.001, "--only", lost.split("|")[0])
    assert "1 rows to measure" in again.stdout
    now = table(folder, "gpu_micro").set_index("id")["value"]
    assert set(now.index) == {*kept.index, lost}
    assert now[kept.index].equals(kept)


def test_rows_of_another_torch_are_not_mixed_in(measured, tmp_path, capsys):
    folder, _ = measured
    rows = table(folder, "gpu_micro")
    rows.loc[3, "torch_version"] = "0.4"
    rows.to_csv(tmp_path / "gpu_micro.csv", index=False)
    status, _, err = called(capsys, "--tiny", "--out", tmp_path)
    assert status == 2
    assert "take another folder" in err


def test_a_spent_time_budget_leaves_rows_and_says_so(tmp_path, capsys):
    status, out, _ = called(capsys, "--tiny", "--out", tmp_path, "--minutes", 1e-9, "--only", "stream")
    assert status == 0
    assert "4 rows left" in out
    assert len(report(tmp_path)["left_by_the_time_budget"]) == 4


def test_what_does_not_fit_is_reported_and_the_rest_goes_on(tmp_path, monkeypatch):
    import torch

    from tools.measure_gpu.arguments import parse
    from tools.measure_gpu.device import Device
    from tools.measure_gpu.session import start

    monkeypatch.setattr(Device, "free_bytes", lambda self: 10**6)
    session = start(parse(["--device", "cpu", "--tiny", "--out", str(tmp_path), "--only", "stream"]))
    with torch.inference_mode():
        for point in session.points():
            session.measure(point)
    assert {key.split("|")[2] for key in session.reasons} == {str(2**20)}
    assert all("does not fit: takes" in reason for reason in session.reasons.values())
    assert len(session.tables["operators"].rows) == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--only", "gemms"], "'gemms' is not one of"),
        (["--minutes", "0"], "--minutes must be above 0"),
        (["--models", "mixtral_8x7b,nope"], "only dense models"),
        (["--models", "mixtral_8x7b,nope"], "nope"),
        (["--tiny", "--models", "llama2_7b"], "does not go with --tiny"),
    ],
)
def test_wrong_words_are_told_without_a_traceback(tmp_path, capsys, words, told):
    status, _, err = called(capsys, "--out", tmp_path, *words)
    assert status == 2
    assert told in err


def test_without_a_gpu_the_script_says_so(tmp_path, monkeypatch, capsys):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    status, _, err = called(capsys, "--device", "cuda", "--out", tmp_path)
    assert status == 2
    assert "sees no CUDA or ROCm device" in err


# --- kernels against 64-bit floats ------------------------------------------------------------------------------------


def test_every_measured_kernel_was_checked_against_64_bit_floats(measured):
    folder, _ = measured
    errors = report(folder)["relative_error_against_64_bit_floats"]
    assert {
        "bf16",
        "fp8",
        "int8",
        "torch_int4",
        "csr50",
        "stack bf16",
        "stack torch_int4",
        "sdpa decode_attention",
    } <= set(errors)
    assert errors["int8"] == 0
    assert all(error < 0.05 for error in errors.values())


def test_a_wrong_kernel_is_not_timed(tmp_path):
    import dataclasses

    from tools.measure_gpu.bench import NotMeasured
    from tools.measure_gpu.dense import dense_kernels
    from tools.measure_gpu.gemm import prepared
    from tools.measure_gpu.kernels import Prepared

    instrument = bench(tmp_path)
    right = dense_kernels(instrument.device)[0]

    def prepare(weight):
        made = right.prepare(weight)
        return Prepared(lambda x: made.call(x) * 1.05, made.stored)

    off = dataclasses.replace(right, name="off", prepare=prepare)
    with pytest.raises(NotMeasured, match="wrong result"):
        prepared(instrument, off, 256, 256)


@pytest.mark.parametrize("name", ["bf16", "torch_int4"])
def test_decoding_the_last_token_is_prefilling_it(name, tmp_path):
    import torch

    from tools.measure_gpu.kernels import relative_error
    from tools.measure_gpu.stack import build_stack, rotary_tables
    from tools.measure_gpu.transformer import CHECK, kernel_of

    kernel = kernel_of(bench(tmp_path), name)
    stack = build_stack(CHECK, 2, torch.device("cpu"), 0, kernel, lean=False).double()
    tokens = torch.arange(24).reshape(2, 12)
    logits, cache = stack.prefill(tokens, 2, rotary_tables(CHECK, 0, 12, stack.head))
    cache = [(k.clone(), v.clone()) for k, v in cache]
    for keys, values in cache:
        # The step must write its own keys and values.
        keys[:, :, -1:], values[:, :, -1:] = 0.0, 0.0
    step = stack.decode(tokens[:, -1], cache, rotary_tables(CHECK, 11, 1, stack.head))
    assert relative_error(step, logits) < 1e-12


def test_packed_weights_take_no_more_memory_than_their_bits(tmp_path, monkeypatch):
    import gc
    import weakref

    from tools.measure_gpu import weight_only
    from tools.measure_gpu.gemm import prepared
    from tools.measure_gpu.transformer import kernel_of

    instrument, made, quantise = bench(tmp_path), [], weight_only.quantise

    def watched(weight, group):
        result = quantise(weight, group)
        made.append(weakref.ref(result[0]))
        return result

    monkeypatch.setattr(weight_only, "quantise", watched)
    several = prepared(instrument, kernel_of(instrument, "torch_int4"), 256, 256)
    gc.collect()
    assert made
    assert not any(codes() is not None for codes in made)
    with pytest.raises(RuntimeError, match="let go"):
        several[0].stored()


def test_pruning_keeps_the_largest():
    import torch

    from tools.measure_gpu.sparse import prune, prune_2_of_4

    weight = torch.tensor([[1.0, -4.0, 3.0, 2.0, 0.5, 0.1, -0.2, 0.3]])
    assert prune_2_of_4(weight).tolist() == [[0.0, -4.0, 3.0, 0.0, 0.5, 0.0, 0.0, pytest.approx(0.3)]]
    assert prune(weight, 0.75).tolist() == [[0.0, -4.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0]]


def test_shapes_are_those_of_the_library():
    from cost_models.workload.param_count import count_parameters
    from tools.measure_gpu.shapes import MODELS, layers_of

    for name in MODELS:
        layers, model = layers_of(name), shipped_library().model(name)
        weights = (layers.layers * layers.layer_bytes() + layers.head_bytes()) / 2
        assert weights == pytest.approx(count_parameters(model).total, rel=1e-3)
        per_token = layers.layers * layers.cache_bytes(1, 1)
        assert per_token == model.layers * 4 * model.kv_heads * model.head_dim


def test_the_package_never_imports_torch():
    program = "import sys, dse.cli, dse.api, dse.validation; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_without_torch_the_script_says_what_to_install():
    program = (
        "import sys, runpy; sys.modules['torch'] = None; sys.argv = ['measure.py']; "
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install" in done.stderr
