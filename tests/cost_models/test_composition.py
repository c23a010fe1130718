"""What is validated is what users run: every measured row, typed as a user would type it, gives the same bits."""

import numpy as np
import pandas as pd
import pytest

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import serve_chip
from cost_models.evaluate.workload import Workload
from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.performance.metrics import workload_metrics
from cost_models.workload.param_count import count_parameters
from cost_models.workload.serving import Layout
from dse.analysis.explain.inputs import explain_library_chip
from dse.errors import SpecError
from dse.evaluator import Evaluator
from dse.sweep import parse_spec
from dse.validation import requests
from dse.validation.rows import read_measurements
from dse.validation.run import shipped
from dse.validation.setups import typed

LIBRARY, TECHNOLOGY = shipped_library(), Technology()


@pytest.fixture(scope="module")
def rows():
    """All shipped end-to-end rows that validation predicts, with what a user types for each."""
    parts = []
    for path in shipped(LIBRARY):
        form, measured = read_measurements(path, LIBRARY)
        if form not in ("requests", "excluded"):
            continue
        requested = requests.prepare(measured)
        made = requests.predict(requested, TECHNOLOGY)
        for _, part in made[made["reason"] == ""].groupby("model"):
            # The batch as it was asked for: prediction fills in the largest.
            parts.append(part.assign(typed=typed(part.assign(used_batch=requested["used_batch"]), LIBRARY)))
    return pd.concat(parts, ignore_index=True)


def sweep(part):
    """Return a sweep whose baselines and workloads are those of rows of one model, each once."""
    baselines, workloads = {}, {}
    for baseline, workload in part["typed"]:
        baselines.setdefault(repr(baseline), (f"b{len(baselines)}", baseline))
        workloads.setdefault(repr(workload), (f"w{len(workloads)}", workload))
    spec = parse_spec(
        {
            "name": "rows",
            "workloads": dict(workloads.values()),
            "baselines": dict(baselines.values()),
            "space": {"kv_bits": 16},
            "objectives": [{"metric": "tdp_w", "direction": "minimize"}],
            "search": {"sampler": "grid"},
        }
    )
    return Evaluator(spec), baselines, workloads


SECONDS = {"decode": "decode_s", "prefill": "prefill_s", "request": "request_s"}


def test_a_measured_row_and_what_a_user_types_give_the_same_bits(rows):
    for _, part in rows.iloc[::2].groupby("model"):
        evaluator, baselines, workloads = sweep(part)
        served = {}
        for row in part.itertuples():
            pair = tuple(map(repr, row.typed))
            if pair not in served:
                entry = evaluator.spec.baselines[baselines[pair[0]][0]]
                served[pair] = evaluator.serve_baseline(entry, workloads[pair[1]][0]).inference
            result = getattr(served[pair], SECONDS[row.quantity])
            assert result.shape == (1,)
            assert result[0] == row.predicted_s, (row.Index, row.typed)


def test_there_are_rows_of_every_kind(rows):
    assert len(rows) > 2500
    assert set(rows["batching"]) == {"static", "waves", "in_flight"}
    assert set(rows["kind"]) == {"tensor", "pipeline", "layer_split"}
    assert (rows["replicas"] > 1).any()
    assert rows["same_prompts"].any()
    assert rows["chunk_rows"].notna().any()
    assert any("expert_format" in baseline for baseline, _ in rows["typed"])
    assert any(workload["batch"] == "largest" for _, workload in rows["typed"])


def test_explain_of_a_row_is_validate_of_it(rows):
    for row in rows.iloc[:: len(rows) // 60].itertuples():
        baseline, workload = (dict(part) for part in row.typed)
        chips, model = baseline.pop("chips"), workload.pop("model")
        words = [
            f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in workload.items()
        ]
        explained = explain_library_chip(
            chips, [" ".join([model, *words])], [f"{name}={value}" for name, value in baseline.items()]
        )
        table = next(iter(explained.workloads.values()))
        joining_ms = table.settings.get("joining_prompts_ms", 0.0)
        if row.quantity == "decode":
            assert table.decode.ms == row.decode_s * 1e3
            assert joining_ms == row.interference_s * 1e3
        elif row.quantity == "prefill":
            assert table.prefill.ms == row.predicted_s * 1e3
        elif table.fits:
            assert table.metrics["request_s"] == row.predicted_s


def test_kept_parameters_of_the_paths_that_differed():
    """Values that only validation had before there was one path: 13.4 ms where 8.95 are measured, and no fit."""
    gpu = explain_library_chip(
        "1x rtx_3090", ["llama3_8b batch=1 prompt_tokens=0"], ["weight_format=gguf_q4_k_m", "serving_stack=llama_cpp"]
    )
    assert next(iter(gpu.workloads.values())).decode.ms == pytest.approx(8.95, rel=0.1)
    native = explain_library_chip("1x h100_sxm", ["gpt_oss_120b batch=1"])
    table = next(iter(native.workloads.values()))
    assert table.fits
    assert np.isclose(table.settings["expert_bits"], 4.25)
    assert table.settings["weight_bits"] == 16


def served(chip="a100_80gb_sxm", **fields):
    setup = {name: fields.pop(name) for name in list(fields) if name in ChipSetup.__dataclass_fields__}
    workload = {"model": "llama3_8b", "batch": 16.0, "prompt_tokens": 512.0, "output_tokens": 128.0, **fields}
    return serve_chip(ChipSetup(chip, **setup), Workload("chat", **workload), TECHNOLOGY)


def test_a_copy_of_a_chip_under_another_key_is_the_same_chip():
    mine = LIBRARY.chip("a100_80gb_sxm").model_copy(update={"key": "mine", "name": "Mine"})
    ours, copied = (workload_metrics(served(chip), TECHNOLOGY) for chip in ("a100_80gb_sxm", mine))
    for name, value in ours.items():
        np.testing.assert_array_equal(value, copied[name], err_msg=name)


def test_waves_take_as_long_as_their_batches_one_after_the_other():
    whole = served(batch=4096.0, batching="waves").inference
    waves = float(whole.waves[0])
    assert waves > 1
    one = served(batch=4096.0 / waves).inference
    assert one.fits.all()
    assert whole.request_s[0] == pytest.approx(waves * one.request_s[0], rel=1e-12)
    assert whole.tokens_per_s_end_to_end[0] == pytest.approx(one.tokens_per_s_end_to_end[0], rel=1e-12)


def test_the_largest_batch_fits_and_the_next_does_not():
    most = float(served(batch=np.nan).serving.batch[0])
    assert served(batch=most).inference.fits.all()
    assert not served(batch=most + 1).inference.fits.any()


def test_requests_in_flight_pay_for_the_prompts_that_join():
    static, flying = served(batch=64.0), served(batch=64.0, batching="in_flight")
    step, mixed = static.inference.decode_s[0], flying.inference.decode_s[0]
    # Every 128 steps each of 64 sequences brings a prompt: half a prompt per step, no less than its bare arithmetic.
    macs_s = 0.5 * 512 * 6.98e9 / flying.machine.linear_mac_per_s[0]
    assert mixed - step > macs_s
    assert mixed - step < 0.5 * served(batch=1.0).inference.prefill_s[0]
    assert flying.inference.tokens_per_s_end_to_end[0] == pytest.approx(64 / mixed)
    result = workload_metrics(flying, TECHNOLOGY)
    assert result["requests_per_s"][0] == pytest.approx(64 / mixed / 128)
    assert result["decode_j_per_token"][0] > workload_metrics(static, TECHNOLOGY)["decode_j_per_token"][0]


def test_a_mean_over_a_file_is_what_the_file_holds():
    model = LIBRARY.model("gpt_oss_120b")
    count = count_parameters(model)
    for mean in (4.3, 4.4, 4.45):
        formats = served("h100_sxm", model="gpt_oss_120b", stored_bits=mean, serving_stack="llama_cpp").formats
        body, expert = float(formats.weight_bits[0]), float(formats.expert_bits[0])
        assert expert == 4.25
        whole = count.experts * expert + (count.total - count.experts) * body
        assert whole / count.total == pytest.approx(mean, rel=1e-12)
        assert float(formats.head_bits[0]) == body, "files of llama.cpp quantise the head"
    dequantized = served("h100_sxm", model="gpt_oss_120b", stored_bits=16.0).formats
    assert float(dequantized.expert_bits[0]) == 16
    named = served("h100_sxm", model="gpt_oss_120b", weight_format="fp8", expert_format="nvfp4").formats
    assert (float(named.weight_bits[0]), float(named.expert_bits[0])) == (8.0, 4.5)
    narrow = served("h100_sxm", model="gpt_oss_120b", weight_format="int3_g128").formats
    assert float(narrow.expert_bits[0]) == float(narrow.weight_bits[0]) < 4.25


def damage(**fields):
    """Return u of u / (1 + u / ceiling), the rise of ln perplexity."""
    rise = float(np.log(served("h100_sxm", **fields).quality.ratio[0]))
    return rise / (1 - rise / float(TECHNOLOGY.value("quality.ceiling")))


def test_parts_of_a_mixture_lose_in_proportion_to_what_a_token_meets():
    experts = 32 * 2 * 3 * 4096 * 14336
    rest = 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 4096 * 8)
    whole = damage(model="mixtral_8x7b", weight_format="int3_g128")
    of_experts = damage(model="mixtral_8x7b", weight_format="bf16", expert_format="int3_g128")
    assert of_experts / whole == pytest.approx(experts / (experts + rest), rel=1e-12)
    both = damage(model="mixtral_8x7b", weight_format="int3_g128", expert_format="int3_g128")
    assert both == pytest.approx(whole, rel=1e-12)


def test_published_experts_cost_nothing_until_they_are_made_narrower():
    gpt = {"model": "gpt_oss_120b"}
    whole, experts = damage(**gpt, weight_format="nvfp4", expert_format="nvfp4"), damage(**gpt, expert_format="nvfp4")
    assert damage(**gpt) == 0
    assert damage(**gpt, weight_format="nvfp4") == pytest.approx(whole - experts, rel=1e-9), "the body alone"
    narrow = damage(**gpt, weight_format="int3_g128")
    assert narrow == damage(**gpt, weight_format="int3_g128", expert_format="int3_g128") > whole


def test_a_chip_without_a_published_peak_is_predicted_as_far_as_memory_bounds():
    result = served("grace_hopper_480gb", batch=1.0)
    metrics = workload_metrics(result, TECHNOLOGY)
    weights = result.inference.decode.sum(result.inference.decode.times.weight_bytes)
    assert result.inference.decode_s[0] >= weights[0] / result.machine.bandwidth_bytes_per_s[0]
    assert np.isnan(metrics["ttft_ms"]).all()
    assert np.isnan(metrics["request_s"]).all()
    explained = explain_library_chip("1x grace_hopper_480gb", ["llama3_8b batch=1"])
    assert "no peak is published" in explained.settings["arithmetic"]


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("tp4_pp2", Layout(4, 2, kind="pipeline")),
        ("dp8_tp2", Layout(2, replicas=8, expert_parallel=16)),
        ("dp4_ep1", Layout(replicas=4, expert_parallel=1)),
        ("tp8_ep8", Layout(8, expert_parallel=8)),
        ("tp5_kv_context", Layout(5, cache_split="context")),
        ("layer_split3", Layout(stages=3, kind="layer_split")),
    ],
)
def test_layouts_are_typed_by_numbers_of_chips(text, layout):
    assert Layout.of(text) == layout
    assert Layout.of("tensor_kv_batch", 4.0) == Layout(4.0, cache_split="batch")
    assert Layout.of("pipeline", 4.0) == Layout(stages=4.0, kind="pipeline")


@pytest.mark.parametrize(
    "text", ["tp0", "tp4_tp2", "tp4_ep3", "tp4_kv_heads", "pp2_layer_split2", "tp4 pp2", "ring", ""]
)
def test_what_is_no_layout_is_refused(text):
    with pytest.raises(ValueError, match="no layout"):
        Layout.of(text)


@pytest.mark.parametrize(
    ("workload", "baseline", "says"),
    [
        ({"parallelism": "ring"}, {}, r"workloads.chat.parallelism: 'ring' is not .*tp4_pp2"),
        ({"parallelism": "tp4_pp2", "n_chips": 4}, {}, "n_chips 4 is not 8, as parallelism tp4_pp2 says"),
        ({"parallelism": "tp4_pp2"}, {"chips": "2x h100_sxm"}, "2 chips cannot share a model as tp4_pp2"),
        ({"batching": "continuous"}, {}, "workloads.chat.batching"),
        ({}, {"chips": "1x h100_sxm", "expert_format": "mxfp5"}, "mxfp5.*perhaps mxfp4"),
    ],
)
def test_issues_of_how_a_model_is_served(workload, baseline, says):
    data = {
        "name": "issues",
        "workloads": {"chat": {"model": "gpt_oss_20b", **workload}},
        "baselines": {"b": baseline} if baseline else {},
        "space": {"kv_bits": 16},
        "objectives": [{"metric": "tdp_w", "direction": "minimize"}],
        "search": {"sampler": "grid"},
    }
    if not baseline:
        del data["baselines"]
    with pytest.raises(SpecError, match=says):
        parse_spec(data)


def test_chips_that_share_experts_hold_the_rest_each():
    """DeepSeek-V3 in FP8 on eight H100: experts an eighth each, attention, shared experts and embedding everywhere."""
    model = LIBRARY.model("deepseek_v3")
    count = count_parameters(model)
    whole = served(
        "h100_sxm", model="deepseek_v3", weight_format="fp8", batch=8.0, parallelism="dp8", prompt_tokens=1.0
    )
    rest = count.body - count.experts + 2 * (count.embedding + count.head)
    assert whole.inference.footprint.most_loaded_bytes[0] == pytest.approx(count.experts / 8 + rest, rel=0.01)
    assert whole.inference.footprint.most_loaded_bytes[0] > 98e9
    assert not whole.inference.fits.any()
    # Dense models are held whole by every replica.
    dense = served("h100_sxm", parallelism="dp4", batch=4.0).inference.footprint
    alone = served("h100_sxm", batch=1.0).inference.footprint
    np.testing.assert_allclose(dense.most_loaded_bytes, alone.most_loaded_bytes)


def test_replicas_exchange_what_their_tokens_need():
    common = {"model": "deepseek_v3", "weight_format": "fp8", "act_bits": 8, "prompt_tokens": 1024.0}
    shared = served("h200_sxm", parallelism="dp8", batch=1024.0, **common)
    step = shared.inference.decode
    place = step.operators.names.index("experts")
    # 128 tokens of a chip reach 8 (1 - (7/8)^8) chips in the mean, an eighth of them itself: 1 byte there, 2 back.
    reached = 8 * (1 - (7 / 8) ** 8) * 7 / 8
    assert step.times.link_bytes[place, 0] == pytest.approx(128 * 7168 * reached * 3, rel=0.1)
    assert step.times.link_bytes[place, 0] >= 128 * 7168 * reached * 3
    assert step.times.collective_s[place, 0] > step.times.link_bytes[place, 0] / shared.machine.link_bytes_per_s[0]
    # Alone, a replica exchanges nothing.
    assert served("h200_sxm", batch=8.0, **common).inference.decode.operators.exchanges.sum() == 0


@pytest.mark.parametrize("split", ["batch", "context"])
def test_a_cache_dealt_out_by_sequences_or_tokens_is_held_once(split):
    common = {"model": "palm_540b", "batch": 512.0, "prompt_tokens": 2048.0}
    heads, dealt = (served("tpu_v4", parallelism=f"tp64{tail}", **common) for tail in ("", f"_kv_{split}"))
    held = [
        (one.inference.decode.operators.kv_elements * one.inference.decode.operators.times).sum()
        for one in (heads, dealt)
    ]
    # PaLM has one KV head: every chip holds all of it, or a 64th.
    assert held[1] == pytest.approx(held[0] / 64, rel=1e-3)
    exchanged = dealt.inference.decode.operators
    assert (exchanged.exchanges * exchanged.times).sum() == 2 * LIBRARY.model("palm_540b").layers
    assert dealt.inference.decode_s[0] < heads.inference.decode_s[0]
    five = served("tpu_v4", model="llama2_70b", batch=32.0, parallelism=f"tp5_kv_{split}").inference
    plain = served("tpu_v4", model="llama2_70b", batch=32.0, parallelism="tp5").inference
    ratio = plain.decode.operators.kv_elements.sum() / five.decode.operators.kv_elements.sum()
    # Eight KV heads on five chips are two on the fullest, 1.6 in the mean; 256 heads of sequences are 52, 51.2.
    assert ratio == pytest.approx(0.25 / (52 / 256 if split == "batch" else 0.2))
