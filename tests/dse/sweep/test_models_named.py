"""Models of files and names as users type them: their formats, states, names and context in sweeps and commands."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from cost_models.library import shipped_library
from cost_models.library.huggingface import read_config, sections_of_config
from cost_models.workload.mixing import cache_bytes, state_bytes
from cost_models.workload.operators import Shape
from dse.errors import SpecError
from dse.evaluator import Evaluator
from dse.sweep import parse_spec
from dse.sweep.notices import warnings_of

FILES = Path(__file__).parents[2] / "cost_models" / "library" / "model_files"
PUBLISHED = yaml.safe_load((FILES / "published.yaml").read_text())
BARE = {
    "name": "bare", "space": {"kv_bits": 16}, "search": {"sampler": "grid"},
    "objectives": [{"metric": "tdp_w", "direction": "minimize"}],
}  # fmt: skip


def explained(call, file, *settings):
    status, out, err = call("explain", " ".join(("2x h200_sxm", *settings)), "--workload", f"{file} batch=1")
    return status, out, err


def bits_line(out):
    return next(line for line in out.splitlines() if line.strip().startswith("bits:"))


def test_the_command_reads_files_and_refuses_in_one_line(call, tmp_path):
    status, out, err = explained(call, FILES / "Gemma-3-1B" / "config.json", "kv_bits=16")
    assert status == 0, err
    assert "attention_window" in out and "0.9999 billion weights" in out
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    for file in (FILES / "Whisper-large-v3" / "config.json", FILES / "lfs" / "config.json", tmp_path / "pipe.json",
                 tmp_path / "folder.json"):  # fmt: skip
        status, out, err = explained(call, file)
        assert status == 2 and len(err.strip().splitlines()) == 1, err
        assert not re.search("Traceback|defect", err)


def test_published_formats_hold_where_nothing_else_is_asked_and_are_told(call):
    file = FILES / "Llama-3.1-70B-AWQ" / "config.json"
    _, as_published, _ = explained(call, file)
    assert bits_line(as_published).startswith("  bits: weights 4.156, head 16")
    _, as_asked, _ = explained(call, file, "weight_format=bf16")
    assert bits_line(as_asked).startswith("  bits: weights 16,")
    for out in (as_published, as_asked):
        assert "published as int4 in groups of 128, zero points (awq)" in out
    _, fp8, _ = explained(call, FILES / "MiniMax-M2.5" / "config.json")
    assert bits_line(fp8).startswith("  bits: weights 8.002, head 16")
    _, plain, _ = explained(call, FILES / "Pixtral-12B" / "config.json")
    assert bits_line(plain).startswith("  bits: weights 16,") and "published as" not in plain


def perplexity_of(entry, **design):
    """Return ratio of perplexity and whether it is extrapolated, of a chip with one model of a file."""
    spec = parse_spec({**BARE, "library": entry, "workloads": {"chat": {"model": "one"}},
                       "baselines": {"b": {"chips": "8x h200_sxm", **design}}})  # fmt: skip
    quality = Evaluator(spec).serve_baseline(spec.baselines["b"], "chat").quality
    return float(np.ravel(quality.ratio)[0]), float(np.ravel(quality.extrapolated)[0])


def test_what_a_maker_trains_or_releases_costs_nothing_and_what_others_make_of_it_does():
    """8-bit blocks of DeepSeek and 4-bit experts of gpt-oss are the models themselves; AWQ of a Llama is not."""
    plain = {**PUBLISHED["Mistral-Small-4-119B"]["config"]}
    blocks = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    native = sections_of_config({**plain, "quantization_config": blocks}, "one", source="file")
    assert perplexity_of(native) == (1.0, 0.0)
    made = sections_of_config({**plain, "quantization_config": {"quant_method": "modelopt", "quant_algo": "FP8_PB_WO"}},
                              "one", source="file")  # fmt: skip
    assert perplexity_of(made)[0] > 1.0
    assert perplexity_of(native, weight_format="int4_g128")[0] > 1.01
    oss = sections_of_config(read_config(FILES / "gpt-oss-20b-hf" / "config.json"), "one", source="file")
    assert oss["models"]["one"]["expert_format"] == "mxfp4" and perplexity_of(oss) == (1.0, 0.0)
    awq = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}
    for config in (
        PUBLISHED["Apertus-8B"]["config"],
        {**plain, "quantization_config": {**awq, "modules_to_not_convert": ["self_attn"]}},
    ):
        entry = sections_of_config({"quantization_config": awq, **config}, "one", source="file")
        assert 1.005 < perplexity_of(entry)[0] < 1.1
    kimi = PUBLISHED["Kimi-K2.5-NVFP4"]["config"]
    assert perplexity_of(sections_of_config(kimi, "one", source="file"))[0] > 1.0


def test_each_workload_of_a_baseline_has_the_format_of_its_model():
    evaluator = Evaluator(
        parse_spec(
            {
                **BARE,
                "workloads": {
                    "wide": {"model": str(FILES / "bom" / "config.json")},
                    "narrow": {"model": str(FILES / "Llama-3.1-70B-AWQ" / "config.json")},
                },
                "baselines": {"b": {"chips": "8x h100_sxm"}, "asked": {"chips": "8x h100_sxm", "weight_format": "fp8"}},
            }
        )
    )
    for name, (wide, narrow) in {"b": (16.0, 4 + 20 / 128), "asked": (8.0, 8.0)}.items():
        entry = evaluator.spec.baselines[name]
        for workload, bits in (("wide", wide), ("narrow", narrow)):
            assert float(np.ravel(evaluator.serve_baseline(entry, workload).formats.weight_bits)[0]) == bits


def test_states_take_part_in_what_a_chip_holds_and_reads():
    """Nemotron-H at batch 64: 64 states of 49.4 MiB stand in the memory, and are read and written at every step."""
    entry = sections_of_config(PUBLISHED["Nemotron-H-8B"]["config"], "nemotron_h", source="file")
    spec = parse_spec({**BARE, "library": entry, "workloads": {"chat": {"model": "nemotron_h", "batch": 64}},
                       "baselines": {"b": {"chips": "1x h200_sxm"}}})  # fmt: skip
    evaluator = Evaluator(spec)
    served = evaluator.serve_baseline(spec.baselines["b"], "chat")
    model = served.serving.model
    held = float(state_bytes(model, Shape(64.0, 1, 1)))
    cached = float(cache_bytes(model, Shape(64.0, 1, 1), tokens=2048.0, kv_bits=16.0))
    assert float(served.inference.footprint.kv_bytes[0]) == pytest.approx(cached)
    assert cached > held == 64 * 24 * (128 * 64 * 128 + 3 * (8192 + 2 * 1024)) * 2
    place = served.inference.decode.operators.names.index("state")
    moved = served.inference.decode.times.dram_bytes[place] * served.inference.decode.operators.times[place]
    assert float(moved[0]) == pytest.approx(2 * held)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "llama3_8b"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "qwen3_30b_a3b"),
        ("openai/gpt-oss-120b", "gpt_oss_120b"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mixtral_8x7b"),
        ("deepseek-ai/DeepSeek-R1-0528", "deepseek_v3"),
        ("llama2_70b", "llama2_70b"),
    ],
)
def test_names_of_hugging_face_find_the_model_wherever_one_is_named(call, name, key):
    library = shipped_library()
    assert library.model(name).key == key
    spec = parse_spec({**BARE, "workloads": {"chat": {"model": name}}})
    assert spec.workloads["chat"].model == key
    assert call("library", "show", name)[1] == call("library", "show", key)[1] != ""
    status, out, err = call("explain", "8x h200_sxm", "--workload", f"{name} batch=1")
    assert status == 0 and f": {key}" in out, err


def test_a_name_that_tells_of_other_weights_is_not_taken_for_the_model():
    with pytest.raises(SpecError, match="perhaps llama3_70b"):
        parse_spec({**BARE, "workloads": {"chat": {"model": "hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ"}}})


def test_context_beyond_the_models_own_is_a_warning(call, tmp_path):
    sweep = {**BARE, "workloads": {"chat": {"model": "llama2_7b", "prompt_tokens": 4000, "output_tokens": 96}}}
    assert warnings_of(parse_spec(sweep)) == []
    longer = {**sweep, "space": {"kv_bits": 16, "chat.prompt_tokens": {"values": [100, 5000]}}}
    told = "workloads.chat: WARNING: 5 096 tokens in and out exceed the 4 096 that llama2_7b takes"
    assert warnings_of(parse_spec(longer)) == [told]
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(longer))
    assert told in " ".join(call("check", file)[1].split())
    status, _, err = call("run", file, "--out", tmp_path / "run", "--draw", "none", "--no-report")
    assert status == 0 and told in err
    _, out, _ = call("explain", "1x h100_sxm", "--workload", "llama2_7b prompt_tokens=5000")
    assert "exceed the 4 096" in out


@pytest.mark.parametrize(
    ("space", "idle"),
    [
        ({"second_memory_devices": 4}, ["second_memory_devices"]),
        ({"second_memory_devices": 4, "second_memory": "ddr5_4800"}, []),
        ({"dies": 1, "die_link": {"values": ["organic", "bridge"]}}, ["die_link"]),
        ({"dies": {"values": [1, 2]}, "die_link": "bridge"}, []),
        ({"array_columns": 64, "dataflow": "outputs"}, []),
    ],
)
def test_a_setting_that_nothing_reads_is_a_warning(space, idle):
    chat = {"chat": {"model": "llama2_7b"}}
    told = warnings_of(parse_spec({**BARE, "workloads": chat, "space": {"kv_bits": 16, **space}}))
    assert [line.split()[0] for line in told] == [f"space.{name}:" for name in idle]
