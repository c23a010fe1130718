"""The profile of PyTorch with CUDA graphs: constants come back from rows that the model itself made with known ones.

No row here is a measurement: all are the model's own predictions, made in a temporary folder and thrown away.
"""

import itertools

import numpy as np
import pandas as pd
import pytest
import yaml

from cost_models.library.technology import Technology
from studies.fits import gpu

KNOWN = {
    "bandwidth_efficiency": 0.8, "attention_bandwidth_efficiency": 0.85, "gemm_efficiency": 0.65,
    "narrow_gemm_efficiency": 0.9, "attention_compute_efficiency": 0.55, "kernel_s": 3.0e-6, "step_s": 8.0e-5,
    "prefill_s": 5.0e-4, "dequantize_macs": 40.0, "dequantize_bandwidth_efficiency": 0.7,
}  # fmt: skip
CHIP = "h100_sxm"
SOFTWARE = "PyTorch 9.9 with CUDA graphs"


def operator(kind, dtype, **shape):
    base = {
        "source_id": "made_up_by_the_model", "chip": CHIP, "n_chips": 1, "kind": kind, "dtype": dtype, "size_bytes": "",
        "metric": "latency_us", "value": 1.0, "software": SOFTWARE, "grade": "A", "bound_flag": "ok",
    }  # fmt: skip
    empty = dict.fromkeys(("m", "n", "k", "batch", "seq_len", "heads", "kv_heads", "head_dim"), "")
    return base | empty | shape


def passed(metric, model, batch, prompt, bits=16):
    return {
        "source_id": "made_up_by_the_model", "chip": CHIP, "n_chips": 1, "parallelism": "tp1", "model": model,
        "weight_bits": bits, "act_bits": 16, "kv_bits": 16, "batch": batch, "batch_mode": "static", "input_len": prompt,
        "output_len": 1, "metric": metric, "scope": "", "value": 1.0, "software": SOFTWARE, "grade": "A",
        "config_key": "",
    }  # fmt: skip


def made_up(folder, constants):
    """Write the two files of a benchmark, every value predicted by the model with the given constants."""
    shapes = [(4096, 4096), (8192, 8192), (10240, 8192), (57344, 8192), (8192, 28672), (22016, 4096)]
    rows = [
        operator("gemm", dtype, m=m, n=n, k=k)
        for dtype in ("bfloat16", "fp8", "int4_wo")
        for (n, k), m in itertools.product(shapes, (1, 16, 128, 1024, 4096))
    ]
    rows += [
        operator("decode_attention", "kv_bf16", batch=b, seq_len=c, heads=64, kv_heads=kv, head_dim=128)
        for b, c, kv in itertools.product((1, 8, 32, 64), (2048, 16384), (8, 64))
    ]
    rows += [
        operator("prefill_attention", "bfloat16", batch=b, seq_len=c, heads=64, kv_heads=kv, head_dim=128)
        for b, c, kv in itertools.product((1, 4), (2048, 16384), (8, 64))
    ]
    passes = [
        passed(metric, model, b, c)
        for metric in ("ms_per_token", "prefill_ms")
        for model, b, c in itertools.product(("llama2_7b", "llama2_13b", "llama2_70b"), (1, 4, 16, 64), (127, 2047))
    ]
    passes += [passed("ms_per_token", m, b, 511, 4.25) for m in ("llama2_7b", "llama2_70b") for b in (1, 16)]
    for name, made in (("gpu_micro.csv", rows), ("gpu_steps.csv", passes)):
        pd.DataFrame(made).to_csv(folder / name, index=False)
    truth = gpu.Fitted(constants, {}, 0).technology()
    for name in ("gpu_micro.csv", "gpu_steps.csv"):
        read = gpu.read_rows([folder / name])
        frame = pd.read_csv(folder / name, keep_default_na=False)
        unit = 1e6 if name == "gpu_micro.csv" else 1e3
        frame["value"] = gpu.predict(read, truth, stack=gpu.SETTINGS["stack"]).to_numpy() * unit
        frame.to_csv(folder / name, index=False)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made_up(tmp_path_factory.mktemp("rows"), KNOWN)


@pytest.fixture(scope="module")
def fitted(folder):
    rows = gpu.read_rows(gpu.files_of([folder]))
    return rows, gpu.fit(rows[rows["half"] == "fitted"])


def test_known_constants_come_back(fitted):
    _, result = fitted
    reported = [name for name in KNOWN if result.errors[name] < 0.25]
    assert {"bandwidth_efficiency", "gemm_efficiency", "attention_bandwidth_efficiency", "kernel_s"} <= set(reported)
    for name in reported:
        assert result.values[name] == pytest.approx(KNOWN[name], rel=0.1), name
    # What the rows tell badly has a range that says so, and the range holds the truth.
    for name, value in KNOWN.items():
        assert abs(np.log(result.values[name] / value)) < 2 * result.errors[name] + 0.02, name


def test_shapes_that_were_not_fitted_are_predicted(fitted):
    rows, result = fitted
    out = rows[rows["half"] == "held out"]
    ratio = gpu.predict(out, result.technology(), stack=gpu.SETTINGS["stack"]) / out["measured_s"]
    assert (ratio - 1).abs().median() < 0.01
    before = gpu.predict(out, Technology()) / out["measured_s"]
    assert (before - 1).abs().median() > 0.05


def test_halves_hold_whole_shapes_of_every_kind(fitted):
    rows, _ = fitted
    gemm = rows[rows["tells"] == "gemm"]
    assert (gemm.groupby(["n", "k"])["half"].nunique() == 1).all()
    sizes = rows.groupby(["tells", "half"]).size().unstack()
    assert sizes.notna().all(axis=None)
    assert ((sizes["fitted"] / sizes["held out"]).between(0.5, 2)).all()


def test_the_command_prints_scores_and_a_profile(folder, tmp_path, capsys):
    out = tmp_path / "profile.yaml"
    # Operators alone: the passes cost most of a fit.
    assert gpu.main([str(folder / "gpu_micro.csv"), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "held out" in printed
    entry = yaml.safe_load(out.read_text())[gpu.SETTINGS["key"]]
    assert entry["base"] == gpu.SETTINGS["stack"]
    assert entry["gemm_efficiency"]["low"] <= entry["gemm_efficiency"]["typ"] <= entry["gemm_efficiency"]["high"] <= 1
    assert "step_s" not in entry


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ({"chip": "CPU"}, "no row of"),
        ({"software": "PyTorch 9.9 without graphs"}, "no row of"),
        ({"bound_flag": "fits_on_chip_memory"}, "no row of"),
    ],
)
def test_rows_that_do_not_tell_the_profile_are_refused(folder, tmp_path, capsys, cells, told):
    rows = pd.read_csv(folder / "gpu_micro.csv").assign(**cells)
    rows.to_csv(tmp_path / "gpu_micro.csv", index=False)
    assert gpu.main([str(tmp_path)]) == 2
    assert told in capsys.readouterr().err


def test_rows_of_two_chips_are_refused(folder, tmp_path, capsys):
    rows = pd.read_csv(folder / "gpu_micro.csv")
    rows.loc[0, "chip"] = "a100_80gb_sxm"
    rows.to_csv(tmp_path / "gpu_micro.csv", index=False)
    assert gpu.main([str(tmp_path)]) == 2
    assert "one chip at a time" in capsys.readouterr().err
