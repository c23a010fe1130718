"""Measurement files as people write them: names, odd cells, broken tables; and what a faster chip may not do."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cost_models.library import shipped_library
from cost_models.library.names import ALIASES, nearest, resolve
from cost_models.library.technology import Technology
from cost_models.performance.phases import decode_phase, prefill_phase
from cost_models.performance.serving_stack import software, stack_for_software
from cost_models.silicon.chip import chip_machine
from cost_models.table import Choice
from cost_models.workload.formats import Formats
from cost_models.workload.serving import ServingConfig
from dse.errors import DseError
from dse.render.terminal.validation import validation_parts
from dse.validation import requests as served
from dse.validation.rows import MeasurementError, read_measurements
from dse.validation.run import run_validation

LIBRARY, TECHNOLOGY = shipped_library(), Technology()
FORMS = ("open", "micro_open", "micro2_open", "energy_open", "energy2_open", "e2e2_open", "excluded")


def table(name="open", rows=6):
    path = LIBRARY.data_file(f"{name}.csv")
    return pd.read_csv(path, dtype=str, keep_default_na=False).iloc[:: max(1, 200 // rows)].head(rows)


def written(folder, rows, text=None):
    path = folder / "rows.csv"
    if text is None:
        rows.to_csv(path, index=False)
    else:
        path.write_bytes(text)
    return path


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "key"),
    [
        ("chip", "NVIDIA H100", "h100_sxm"), ("chip", "h100 SXM", "h100_sxm"), ("chip", "H100-PCIe", "h100_pcie"),
        ("chip", "NVIDIA GeForce RTX 4090", "rtx_4090"), ("chip", "AMD Instinct MI300X", "mi300x"),
        ("chip", "Intel Gaudi 2", "gaudi2"), ("chip", "TPU v5e", "tpu_v5e"), ("chip", "DGX Spark", "gb10_spark"),
        ("chip", "Apple M2 Ultra", "apple_m2_ultra_76core"), ("chip", "  l40s ", "l40s"),
        ("chip", "NVIDIA L4", "l4"), ("chip", "RTX 5090", "rtx_5090"), ("model", "Llama-3.2-3B-Instruct", "llama32_3b"),
        ("model", "meta-llama/Llama-3.1-70B-Instruct", "llama3_70b"), ("model", "Llama-2-70b-chat-hf", "llama2_70b"),
        ("model", "mistralai/Mixtral-8x7B-Instruct-v0.1", "mixtral_8x7b"), ("model", "LLaMA 3 8B", "llama3_8b"),
        ("model", "openai/gpt-oss-120b", "gpt_oss_120b"), ("model", "deepseek-ai/DeepSeek-R1", "deepseek_v3"),
        ("model", "Qwen/Qwen3-235B-A22B-FP8", "qwen3_235b_a22b"), ("model", "Qwen2.5-7B-Instruct", "qwen2_7b"),
    ],
)  # fmt: skip
def test_other_spellings_find_the_entry(kind, name, key):
    assert resolve(kind, name, LIBRARY, quantized=True) == key


def test_names_that_differ_are_not_taken_for_one_another():
    for name in ("RTX 5080", "L40", "H1", "TPU", "MI360X"):
        assert resolve("chip", name, LIBRARY) == name
    for name in ("Llama-4-Scout", "phi-4", "Qwen3-1.7B", "llama2"):
        assert resolve("model", name, LIBRARY) == name
    assert nearest("chip", "RTX 4091", LIBRARY) == "rtx_4090"
    assert nearest("chip", "xyz", LIBRARY) == ""


def test_every_key_is_its_own_name_and_every_alias_leads_to_one():
    for kind, entries in (("chip", LIBRARY.chips), ("model", LIBRARY.models)):
        assert all(resolve(kind, key, LIBRARY) == key and resolve(kind, key.upper(), LIBRARY) == key for key in entries)
        for name in {entry.name for entry in entries.values()}:
            assert entries[resolve(kind, name, LIBRARY)].name == name
    aliases = pd.read_csv(LIBRARY.data_file(ALIASES), dtype=str)
    assert aliases.notna().all(axis=None)
    assert not aliases.duplicated(["kind", "alias"]).any()
    for kind, alias, key in aliases[["kind", "alias", "key"]].itertuples(index=False):
        assert key in (LIBRARY.chips if kind == "chip" else LIBRARY.models)
        assert resolve(kind, alias, LIBRARY) == key


def test_a_row_says_how_its_names_were_read_and_is_predicted_as_the_entry(tmp_path):
    rows = table(rows=3).assign(chip="h100_sxm", model="llama2_7b", n_chips="1", parallelism="tp1")
    (plain,) = run_validation([written(tmp_path, rows)]).files.values()
    other = rows.assign(chip="NVIDIA H100 SXM", model="meta-llama/Llama-2-7b-hf")
    (named,) = run_validation([written(tmp_path, other)]).files.values()
    pd.testing.assert_series_equal(named["predicted"], plain["predicted"])
    assert named["chip"].tolist() == ["NVIDIA H100 SXM"] * 3
    assert named["remark"].str.contains("chip 'NVIDIA H100 SXM' read as h100_sxm").all()
    (unknown,) = run_validation([written(tmp_path, rows.assign(chip="RTX 4091"))]).files.values()
    assert (unknown["reason"] == "chip 'RTX 4091' is not in the library; perhaps rtx_4090").all()


H100 = {
    "chip_family": "hopper", "chip_memory": "hbm3", "chip_bandwidth_gbps": "3350", "chip_capacity_gib": "80",
    "chip_bf16_tops": "989", "chip_fp8_tops": "1979", "chip_link_gbps": "450", "chip_sram_mib": "50",
}  # fmt: skip


def test_a_row_may_bring_the_figures_of_a_chip_that_nobody_knows(tmp_path):
    rows = table(rows=3).assign(chip="h100_sxm", model="llama2_7b", n_chips="1", parallelism="tp1")
    (known,) = run_validation([written(tmp_path, rows)]).files.values()
    entry = LIBRARY.chip("h100_sxm")
    figures = H100 | {
        "chip_bandwidth_gbps": entry.bandwidth_gbps, "chip_capacity_gib": entry.capacity_gib,
        "chip_sram_mib": entry.sram_mib, "chip_memory": entry.memory_technology,
    }  # fmt: skip
    own = rows.assign(chip="board of ours", **figures)
    (told,) = run_validation([written(tmp_path, own)]).files.values()
    pd.testing.assert_series_equal(told["predicted"], known["predicted"])
    (named,) = run_validation([written(tmp_path, rows.assign(**figures | {"chip_bandwidth_gbps": 1}))]).files.values()
    pd.testing.assert_series_equal(named["predicted"], known["predicted"], obj="a known chip keeps its own figures")


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ({"chip_family": "ampère"}, "chip_family must be one of .*ampere"),
        ({"chip_bandwidth_gbps": "fast"}, "'board of ours', from the columns of its row: bandwidth_gbps .*'fast'"),
        ({"chip_capacity_gib": "-1"}, "capacity_gib .*-1"),
        ({"chip_memory": "hbm9"}, "chip_memory must be one of"),
    ],
)
def test_figures_that_cannot_be_are_refused(tmp_path, cells, says):
    rows = table(rows=3).assign(chip="board of ours", **H100 | cells)
    with pytest.raises(DseError, match=says):
        run_validation([written(tmp_path, rows)])


@pytest.mark.parametrize(
    ("name", "chip", "stack"),
    [
        ("llama.cpp rocm6_4_2", "amd_ryzen_ai_max_395", "llama_cpp_amd"), ("Ollama 0.5", "rtx_4090", "llama_cpp"),
        ("llama.cpp Metal b5000", "apple_m2_ultra_76core", "llama_cpp_metal"), ("vLLM 0.12", "gb10_spark", "vllm"),
        ("TinyChat AWQ W4A16", "jetson_agx_orin_64gb", "weight_only_kernels"), ("Deepspeed", "gaudi2", "gaudi"),
        ("TRTLLM 1.1", "b200", "tensorrt_llm_pytorch"), ("HF transformers 4.40", "l40s", "eager_torch"),
    ],
)  # fmt: skip
def test_software_is_found_by_the_ways_it_is_written(name, chip, stack):
    assert stack_for_software(name, LIBRARY.chip(chip), LIBRARY) == (stack, True)


# --- what a harness did -----------------------------------------------------------------------------------------------


def predicted(rows):
    rows = served.prepare(rows)
    return served.predict(rows, TECHNOLOGY, bounds=False)


def shipped_rows(keep):
    _, rows = read_measurements(LIBRARY.data_file("open.csv"), LIBRARY)
    return rows[keep(rows)].reset_index(drop=True)


def test_sequences_that_are_all_the_same_take_the_same_experts():
    rows = shipped_rows(lambda r: (r["source_id"] == "trtllm_v090") & (r["model"] == "mixtral_8x7b"))
    other, same = predicted(rows), predicted(rows.assign(same_prompts="yes"))
    batched = (rows["batch"] > 1) & (other["quantity"] == "request")
    assert (same["predicted_s"] <= other["predicted_s"]).all()
    assert (same["predicted_s"][batched] < other["predicted_s"][batched]).all()
    dense = shipped_rows(lambda r: (r["source_id"] == "trtllm_v090") & (r["model"] == "llama2_7b"))
    pd.testing.assert_series_equal(
        predicted(dense)["predicted_s"], predicted(dense.assign(same_prompts="yes"))["predicted_s"]
    )


def test_a_row_may_name_its_weight_format(tmp_path):
    path = LIBRARY.data_file("e2e2_open.csv")
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    mine = rows[(rows["weight_format"] == "fp8_block128") & (rows["concurrency"] == "128")].head(2)
    scored = {}
    for name in ("fp8_block128", "fp8", "fp7"):
        form, read = read_measurements(written(tmp_path, mine.assign(weight_format=name)), LIBRARY)
        scored[name] = served.prepare(read)
    assert scored["fp7"]["reason"].str.contains("weight_format 'fp7' is not in the library").all()
    assert form == "requests"
    block, whole = (predicted(scored[name])["predicted_s"] for name in ("fp8_block128", "fp8"))
    assert (block > whole).all()


def test_larger_chunks_read_weights_less_often_and_pass_through_fewer_at_a_time():
    rows = shipped_rows(lambda r: (r["source_id"] == "dgx_spark_llamacpp") & (r["metric"] == "prefill_ms"))
    rows = rows[rows["input_len"] == 8192].reset_index(drop=True)
    small, large = (predicted(rows.assign(chunk_rows=size))["predicted_s"] for size in (512.0, 2048.0))
    assert (large < small).all()
    default = predicted(rows)["predicted_s"]
    pd.testing.assert_series_equal(default, large)


def test_chunks_of_a_prompt_follow_one_another_through_chips_that_hold_layers_in_turn():
    model, form = LIBRARY.model("llama2_7b"), Formats(16.0, 16.0, 16.0, 16.0)
    machine = chip_machine(
        LIBRARY.chip("a100_80gb_sxm"), weight_format=LIBRARY.weight_format("bf16"), act_bits=16, kv_bits=16,
        technology=TECHNOLOGY,
    )  # fmt: skip
    profile = software(Choice.of("ideal"), Technology({"stacks.ideal.chunk_rows": 512.0}))
    one = prefill_phase(ServingConfig(model, 1.0, 2048.0, 1.0), machine, profile, form)
    four = prefill_phase(
        ServingConfig(model, 1.0, 2048.0, 1.0, stages=4.0, parallelism="layer_split"), machine, profile, form
    )
    # Four chunks on four chips take 4 + 4 - 1 turns of a sixteenth.
    assert (four.pass_s - four.fixed_s) == pytest.approx((one.pass_s - one.fixed_s) * 7 / 16)
    whole = software(Choice.of("ideal"), TECHNOLOGY)
    alone, split = (
        prefill_phase(ServingConfig(model, 1.0, 2048.0, 1.0, stages=n, parallelism=kind), machine, whole, form)
        for n, kind in ((1.0, "tensor"), (4.0, "layer_split"))
    )
    assert (split.pass_s - split.fixed_s) == pytest.approx(alone.pass_s - alone.fixed_s)


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_byte_order_mark_and_spaces_in_the_header_do_no_harm(tmp_path):
    plain = table().to_csv(index=False)
    (first,) = run_validation([written(tmp_path, None, plain.encode())]).files.values()
    spaced = plain.replace("source_id,", " source_id ,", 1)
    (second,) = run_validation([written(tmp_path, None, b"\xef\xbb\xbf" + spaced.encode())]).files.values()
    pd.testing.assert_series_equal(first["predicted"], second["predicted"])


def test_columns_that_a_file_lacks_are_taken_as_usual_and_said_so(tmp_path):
    rows = table().assign(n_chips="1", parallelism="tp1", act_bits="16", kv_bits="16")
    (full,) = run_validation([written(tmp_path, rows)]).files.values()
    lean = rows.drop(columns=["n_chips", "act_bits", "kv_bits", "parallelism", "scope", "config_key", "grade", "note"])
    (bare,) = run_validation([written(tmp_path, lean)]).files.values()
    pd.testing.assert_series_equal(bare["predicted"], full["predicted"])
    assert bare["remark"].str.startswith("no column n_chips: 1 taken; no column act_bits: 16 taken").all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace(",", ";"), "parted by semicolons"),
        (lambda text: text.replace(",", "\t"), "parted by tabs"),
        (lambda text: text.replace("model,", "chip,", 1), "two columns have the name chip"),
        (lambda text: text.replace("chip,", "", 1), "more cells than the header"),
        (lambda text: text.replace("chip,", "chips,", 1), "lacks chip"),
        (lambda text: "", "cannot be read"),
        (lambda text: "\n\n\n", "cannot be read"),
        (lambda text: text.encode("utf-16").decode("latin-1"), "rows.csv"),
        (lambda text: '"' + text, "rows.csv"),
    ],
    ids=["semicolons", "tabs", "twice", "short header", "missing", "empty", "blank", "utf16", "quote"],
)
def test_a_broken_table_is_told_in_one_line(tmp_path, change, words):
    path = written(tmp_path, None, change(table().to_csv(index=False)).encode())
    with pytest.raises(MeasurementError, match=words) as reported:
        run_validation([path])
    assert len(str(reported.value).splitlines()) <= 3


CELLS = st.one_of(
    st.sampled_from(
        ["", " ", "nan", "inf", "-inf", "-1", "0", "1e308", "1e-300", "0x10", "1,5", "yes", "tp0", "tp-1", "pp999",
         "dp0", "layer_split0", "tp99999999999999999999", "NULL", "½", "'", '"', "H100", "llama2_70b", "b200"]
    ),
    st.integers(-5, 10**9).map(str),
    st.floats(allow_nan=True, allow_infinity=True).map(str),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12),
)  # fmt: skip


@settings(max_examples=24, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_cell_brings_a_validation_down(tmp_path, data):
    rows = table(data.draw(st.sampled_from(FORMS)), 8).copy()
    for _ in range(data.draw(st.integers(1, 12))):
        row, column = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, rows.shape[1] - 1))
        rows.iat[row, column] = data.draw(CELLS)
    path = written(tmp_path, None, rows.to_csv(index=False).encode())
    validation = run_validation([path])
    (out,) = validation.files.values()
    assert len(out) == len(pd.read_csv(io.BytesIO(path.read_bytes()), dtype=str))
    shown = out["predicted"].notna()
    assert (out["reason"] == "")[shown].all()
    assert (out["reason"] != "")[~shown].all()
    assert np.isfinite(out["predicted"][shown]).all()
    assert validation_parts(validation)
    assert validation.records() and validation.rows()


@pytest.mark.parametrize("column", ["m", "n", "k", "size_bytes"])
def test_sizes_beyond_any_operator_are_slips(tmp_path, column):
    rows = table("micro_open", 8)
    rows[column] = "1e308"
    validation = run_validation([written(tmp_path, rows)])
    (out,) = validation.files.values()
    assert out["predicted"].isna().all() and (out["reason"] != "").all()


def test_thousands_of_odd_rows_are_summed_up(tmp_path):
    rows = pd.concat([table(rows=6)] * 500, ignore_index=True)
    rows.loc[::2, "chip"] = [f"chip {i}" for i in range(len(rows.loc[::2]))]
    rows.loc[1::4, "value"] = "about ten"
    validation = run_validation([written(tmp_path, rows)])
    line = validation.tables[0].frame.iloc[0]
    assert line["rows"] == 3000
    assert "other reasons" in line["not predicted"]
    assert len(line["not predicted"]) < 500


# --- what a faster chip may not do ------------------------------------------------------------------------------------


STACKS = sorted(set(LIBRARY.stacks) - {"ideal"})
CHIPS = sorted(key for key, chip in LIBRARY.chips.items() if chip.peak_tops and chip.bandwidth_gbps)


@settings(max_examples=60, deadline=None)
@given(
    stack=st.sampled_from(STACKS), chip=st.sampled_from(CHIPS), batch=st.integers(1, 256), prompt=st.integers(1, 8192),
    model=st.sampled_from(["llama2_7b", "llama3_70b", "mixtral_8x7b", "deepseek_v3", "gpt_oss_120b"]),
    bits=st.sampled_from([4.5, 8.0]), factor=st.floats(1, 10), what=st.sampled_from(["bandwidth", "bits", "batch"]),
)  # fmt: skip
def test_bandwidth_narrower_weights_and_smaller_batches_never_slow_a_step(
    stack, chip, batch, prompt, model, bits, factor, what
):
    entry = LIBRARY.chip(chip)
    machine = chip_machine(
        entry, weight_format=LIBRARY.weight_format("bf16"), act_bits=16, kv_bits=16, technology=TECHNOLOGY
    )
    profile = software(Choice.of(stack), TECHNOLOGY, Choice.of(entry.family))

    def step(batch, bits, machine):
        form = Formats(bits, 16.0, 16.0, 16.0, 16.0, dequantized=1.0)
        serving = ServingConfig(LIBRARY.model(model), float(batch), float(prompt), 64.0, expert_spread=0.75)
        return [float(work(serving, machine, profile, form).pass_s[0]) for work in (decode_phase, prefill_phase)]

    slow = step(batch, bits, machine)
    match what:
        case "bandwidth":
            fast = step(batch, bits, replace(machine, bandwidth_bytes_per_s=machine.bandwidth_bytes_per_s * factor))
        case "bits":
            fast = step(batch, bits / factor, machine)
        case _:
            fast = step(max(1, int(batch / factor)), bits, machine)
    assert all(a <= b * (1 + 1e-9) for a, b in zip(fast, slow, strict=True))


def test_the_roofline_is_scored_on_the_rows_at_hand_and_nothing_else_is():
    from dse.validation.score_tables import _peers

    bound = np.array([1.0, 2.0, 4.0])
    rows = pd.DataFrame(
        {
            "chip": "h100_sxm", "model": "llama3_8b", "kind": "tensor", "tensor": 1, "batch_mode": "static",
            "grade": "A", "source_id": "mine", "config_key": "", "quantity": "decode",
            "bound_s": bound, "measured_s": 2 * bound, "predicted_s": 3 * bound,
        }
    )  # fmt: skip
    (table,) = _peers(rows, LIBRARY)
    found = table.frame.set_index("predictor")
    assert list(found.index) == ["this model", "ideal roofline", "roofline x one constant"]
    assert list(found["error decode"]) == pytest.approx([0.5, 0.5, 0.0])
    assert list(found["bias decode"]) == pytest.approx([1.5, 0.5, 1.0])
    assert found["error prefill"].isna().all()
