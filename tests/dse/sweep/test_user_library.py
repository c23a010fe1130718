import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import gguf
import numpy as np
import pytest
import yaml

from cost_models.errors import LibraryError
from cost_models.library import shipped_library
from cost_models.library.huggingface import model_of_config
from cost_models.library.models import DIMENSIONS
from cost_models.workload.param_count import count_parameters
from dse.errors import SpecError
from dse.evaluator import Evaluator
from dse.results.store import open_run
from dse.runs import run
from dse.space import Space
from dse.sweep import load_spec, parse_spec
from dse.sweep.library_additions import library_of, library_with
from tests.sweeps import tiny

pytestmark = pytest.mark.bounded

# The fields that tell the architecture, with the values that the makers publish on Hugging Face.
CONFIGS = {
    "llama2_70b": {
        "model_type": "llama", "hidden_size": 8192, "intermediate_size": 28672, "num_attention_heads": 64,
        "num_hidden_layers": 80, "num_key_value_heads": 8, "vocab_size": 32000, "tie_word_embeddings": False,
        "max_position_embeddings": 4096, "hidden_act": "silu", "rms_norm_eps": 1e-05, "rope_scaling": None,
    },
    "llama3_8b": {
        "model_type": "llama", "attention_bias": False, "hidden_size": 4096, "intermediate_size": 14336,
        "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "vocab_size": 128256,
        "tie_word_embeddings": False, "max_position_embeddings": 8192, "rope_theta": 500000.0,
    },
    "mistral_7b": {
        "model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
        "num_hidden_layers": 32, "num_key_value_heads": 8, "vocab_size": 32000, "sliding_window": 4096,
        "tie_word_embeddings": False, "max_position_embeddings": 32768,
    },
    "mixtral_8x7b": {
        "model_type": "mixtral", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
        "num_experts_per_tok": 2, "num_hidden_layers": 32, "num_key_value_heads": 8, "num_local_experts": 8,
        "vocab_size": 32000, "sliding_window": None, "tie_word_embeddings": False, "max_position_embeddings": 32768,
    },
    "qwen2_7b": {
        "model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "num_attention_heads": 28,
        "num_hidden_layers": 28, "num_key_value_heads": 4, "vocab_size": 152064, "sliding_window": 131072,
        "use_sliding_window": False, "tie_word_embeddings": False, "max_window_layers": 28,
    },
    "qwen3_8b": {
        "model_type": "qwen3", "attention_bias": False, "head_dim": 128, "hidden_size": 4096,
        "intermediate_size": 12288, "num_attention_heads": 32, "num_hidden_layers": 36, "num_key_value_heads": 8,
        "vocab_size": 151936, "sliding_window": None, "use_sliding_window": False, "tie_word_embeddings": False,
    },
    "qwen3_30b_a3b": {
        "model_type": "qwen3_moe", "attention_bias": False, "decoder_sparse_step": 1, "head_dim": 128,
        "hidden_size": 2048, "intermediate_size": 6144, "moe_intermediate_size": 768, "num_attention_heads": 32,
        "num_experts": 128, "num_experts_per_tok": 8, "num_hidden_layers": 48, "num_key_value_heads": 4,
        "vocab_size": 151936, "sliding_window": None, "tie_word_embeddings": False, "mlp_only_layers": [],
    },
    "deepseek_v3": {
        "model_type": "deepseek_v3", "attention_bias": False, "first_k_dense_replace": 3, "hidden_size": 7168,
        "intermediate_size": 18432, "kv_lora_rank": 512, "moe_intermediate_size": 2048, "moe_layer_freq": 1,
        "n_routed_experts": 256, "n_shared_experts": 1, "num_attention_heads": 128, "num_experts_per_tok": 8,
        "num_hidden_layers": 61, "num_key_value_heads": 128, "q_lora_rank": 1536, "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64, "v_head_dim": 128, "vocab_size": 129280, "tie_word_embeddings": False,
        "quantization_config": {"quant_method": "fp8"},
    },
    "gpt_oss_120b": {
        "model_type": "gpt_oss", "attention_bias": True, "head_dim": 64, "hidden_size": 2880,
        "intermediate_size": 2880, "num_attention_heads": 64, "num_experts_per_tok": 4, "num_hidden_layers": 36,
        "num_key_value_heads": 8, "num_local_experts": 128, "sliding_window": 128, "vocab_size": 201088,
        "layer_types": ["sliding_attention", "full_attention"] * 18, "tie_word_embeddings": False,
        "quantization_config": {"quant_method": "mxfp4"},
    },
}  # fmt: skip

CHIP = {
    "name": "House chip", "vendor": "us", "year": 2026, "family": "ampere", "node": "tsmc_5", "process": "5 nm",
    "foundry": "TSMC", "die_mm2": 400, "peak_tops": {"bf16": 200, "int8": 400}, "memory_technology": "hbm2e",
    "capacity_gib": 64, "bandwidth_gbps": 1600, "unified_memory": False, "sram_mib": 40, "tdp_w": 250,
    "link_name": "none", "link_gbps": 100, "link_topology": "ring", "price_low_usd": 3000, "price_high_usd": 4000,
    "price_basis": "our own estimate", "sources": ["our own design"],
}  # fmt: skip
LAYER = {
    "layers": 24, "d_model": 2048, "heads": 16, "kv_heads": 4, "head_dim": 128, "d_ff": 8192, "vocab": 50000,
    "name": "House model", "family": "llama", "gated_ffn": True, "tied_embeddings": True, "attention": "GQA",
    "linear_bias": False, "qkv_bias": False, "parallel_block": False, "post_norms": False, "qk_norm": False,
    "verified": False, "sources": ["our own model"],
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_published_configs_give_the_models_of_the_library(name):
    ours, theirs = shipped_library().models[name], model_of_config(CONFIGS[name], name, source="config.json")
    for field in (*DIMENSIONS, "attention", "moe", "mla", "qk_norm", "qkv_bias", "tied_embeddings", "expert_format"):
        assert getattr(theirs, field) == getattr(ours, field), field
    assert (theirs.sliding_window, theirs.window_layers) == (ours.sliding_window, ours.window_layers)
    assert count_parameters(theirs) == count_parameters(ours)


def with_additions(sweep):
    return {
        **sweep,
        "library": {"chips": {"house": CHIP}, "models": {"house_model": LAYER}},
        "workloads": {"chat": {"model": "house_model", "batch": 4}},
        "baselines": {"ours": {"chips": "2x house"}},
    }


def test_entries_are_added_and_used(sweep):
    spec = parse_spec(with_additions(sweep))
    metrics = Evaluator(spec).baselines["ours"]
    assert metrics["bandwidth_gbps"] == pytest.approx(1600) and metrics["price_usd"] > 0
    assert "house" not in shipped_library().chips and "house" in library_of(spec.library).chips


def test_a_chip_whose_memory_is_not_published_is_no_baseline(sweep):
    added = with_additions(sweep)
    added["library"]["chips"]["house"] = {**CHIP, "capacity_gib": None}
    with pytest.raises(SpecError, match="the chip house cannot be evaluated: its capacity_gib is not"):
        parse_spec(added)


def test_a_run_holds_what_was_added(sweep, tmp_path):
    done = run(parse_spec(with_additions(sweep)), out=tmp_path / "run")
    again = open_run(done.path).spec
    assert again.hash == parse_spec(with_additions(sweep)).hash
    theirs, ours = (Evaluator(spec).baselines["ours"] for spec in (again, parse_spec(with_additions(sweep))))
    np.testing.assert_array_equal(list(theirs.values()), list(ours.values()))


def test_sweeps_with_and_without_additions_take_turns(sweep):
    plain, added = parse_spec(sweep), parse_spec({**with_additions(sweep), "baselines": {}})
    design = Space(plain).default_design()
    one, other = Evaluator(plain), Evaluator(added)
    first = one.evaluate(design).metrics["chat.tpot_ms"]
    second = other.evaluate(design).metrics["chat.tpot_ms"]
    np.testing.assert_array_equal(one.evaluate(design).metrics["chat.tpot_ms"], first)
    np.testing.assert_array_equal(other.evaluate(design).metrics["chat.tpot_ms"], second)
    assert first[0] != second[0]


MINE = {"base": 4.0, "other": 2.0}
"""Stored bits of the format `mine` of two sweeps that know nothing of each other."""


def sweep_with_mine(sweep, bits):
    form = {**shipped_library().weight_formats["int4_g128"].model_dump(exclude={"key"}), "name": "mine"}
    entries = {"weight_formats": {"mine": {**form, "weight_bits": bits, "operand_bits": bits, "zero_bits": 0.0}}}
    return parse_spec({**sweep, "library": entries, "space": {**sweep["space"], "weight_format": "mine"}})


def lazily_served(evaluator):
    """Return what a sweep serves; perplexity is worked out when it is asked for."""
    return evaluator.results(Space(evaluator.spec).default_design())["chat"]


def test_what_is_worked_out_late_is_of_its_own_library(sweep):
    specs = [sweep_with_mine(sweep, bits) for bits in MINE.values()]
    alone = [float(np.ravel(lazily_served(Evaluator(spec)).quality.ratio)[0]) for spec in specs]
    assert alone[0] < alone[1]
    first = lazily_served(Evaluator(specs[0]))
    second = lazily_served(Evaluator(sweep_with_mine(sweep, MINE["other"])))
    parse_spec(sweep)
    late = [float(np.ravel(served.quality.ratio)[0]) for served in (first, second)]
    assert late == alone
    plain = Evaluator(parse_spec(sweep)).technology.library
    assert "mine" not in plain.weight_formats and "mine" not in shipped_library().weight_formats


def test_an_overridden_entry_is_that_of_its_own_sweep_only(sweep):
    entry = {"weight_formats": {"int4_g128": {"weight_bits": 3.0, "operand_bits": 3.0}}}
    space = {**sweep["space"], "weight_format": "int4_g128"}
    changed, plain = parse_spec({**sweep, "library": entry, "space": space}), parse_spec({**sweep, "space": space})
    theirs, ours = lazily_served(Evaluator(changed)), lazily_served(Evaluator(plain))
    assert (np.asarray(theirs.formats.weight_bits) < np.asarray(ours.formats.weight_bits)).all()
    assert (np.asarray(theirs.quality.ratio) > np.asarray(ours.quality.ratio)).all()


def test_threads_keep_their_libraries_apart(sweep):
    evaluators = [Evaluator(sweep_with_mine(sweep, bits)) for bits in MINE.values()]
    design = Space(evaluators[0].spec).grid(0, 64)
    names = ("chat.perplexity_ratio", "stored_bits", "chat.tpot_ms")

    def evaluated(place):
        return [evaluators[place % 2].evaluate(design).metrics[name] for name in names]

    alone = [evaluated(place) for place in range(2)]
    assert all((one != other).any() for one, other in zip(*alone, strict=True))
    with ThreadPoolExecutor(4) as pool:
        for place, result in enumerate(pool.map(evaluated, range(32))):
            np.testing.assert_array_equal(result, alone[place % 2])


def test_reading_a_run_leaves_another_sweep_alone(sweep, tmp_path):
    done = run(sweep_with_mine(sweep, MINE["other"]), out=tmp_path / "run")
    spec = sweep_with_mine(sweep, MINE["base"])
    served, alone = lazily_served(Evaluator(spec)), lazily_served(Evaluator(spec)).quality.ratio
    assert open_run(done.path).spec.library["weight_formats"]["mine"]["weight_bits"] == MINE["other"]
    np.testing.assert_array_equal(served.quality.ratio, alone)


def test_a_worker_that_gets_the_sweep_gets_its_library(sweep):
    spec = pickle.loads(pickle.dumps(parse_spec(with_additions(sweep))))
    assert Evaluator(spec).baselines["ours"]["tdp_w"] == pytest.approx(250)


def test_faults_of_entries_in_a_sweep_have_their_place(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(
        yaml.dump(tiny(), sort_keys=False)
        + "library:\n  memory:\n    lpddr5x:\n      efficiency_stream: {typ: -1, src: [unsourced], conf: low}\n"
        + "  chips:\n    mine:\n      tdp_w: -5\n"
    )
    lines = file.read_text().splitlines()
    with pytest.raises(LibraryError) as caught:
        load_spec(file)
    told = str(caught.value).splitlines()
    first = next(line for line in told if "efficiency_stream: typ must be above 0" in line)
    assert first.startswith(f"{file}:{len(lines) - 3}:")
    power = next(line for line in told if "chips.mine.tdp_w" in line)
    assert power.startswith(f"{file}:{len(lines)}:")
    assert all(line.startswith(f"{file}:") for line in told if "chips.mine" in line)


def test_a_directory_adds_and_changes_entries(sweep, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "chips.yaml").write_text(
        yaml.safe_dump({"chips": {"house": CHIP, "a100_80gb_sxm": {"price_low_usd": 1000, "price_high_usd": 1000}}})
    )
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump({**sweep, "library": "lib", "baselines": {"a": {"chips": "1x a100_80gb_sxm"}}}))
    spec = load_spec(file)
    assert Evaluator(spec).baselines["a"]["price_usd"] == pytest.approx(1000)
    theirs, ours = (one.chips["a100_80gb_sxm"] for one in (library_of(spec.library), shipped_library()))
    assert theirs.price_low_usd != ours.price_low_usd and theirs.bandwidth_gbps == ours.bandwidth_gbps
    file.write_text(yaml.safe_dump({**sweep, "baselines": {"h": {"chips": "1x house"}}}))
    assert "h" in load_spec(file, library=[tmp_path / "lib"]).baselines


@pytest.mark.parametrize(
    ("chip", "told"),
    [
        ({**CHIP, "tdp_w": -5}, r"chips.yaml:\d+: chips.house.tdp_w"),
        ({**CHIP, "node": "tsmc_99"}, r"chips.yaml:\d+: chips.house.node.*tsmc_99"),
        ({"name": "x"}, r"chips.yaml:\d+: chips.house.*missing"),
        ({**CHIP, "colour": "red"}, r"chips.house.*colour"),
    ],
)
def test_added_entries_meet_the_same_checks(sweep, tmp_path, chip, told):
    (tmp_path / "chips.yaml").write_text(yaml.safe_dump({"chips": {"house": chip}}))
    with pytest.raises(LibraryError, match=told):
        parse_spec(sweep, library=[tmp_path])


@pytest.mark.parametrize(
    ("path", "wrong", "told"),
    [
        ("memory.lpddr5x.efficiency_stream", -0.8, "must be above 0"),
        ("memory.lpddr5x.efficiency_stream", 1.7, "must be at most 1"),
        ("memory.lpddr5x.price_usd_per_gb", -3.5, "must be above 0"),
        ("nodes.tsmc_5.wafer_price_usd", -17000, "must be above 0"),
        ("stacks.tensorrt_llm.kernel_s", -1e-6, "must be at least 0"),
        ("tco.utilisation", 60, "must be at most 1"),
        ("carbon.grid_g_per_kwh.taiwan", -1, "must be at least 0"),
    ],
)
def test_libraries_and_sweeps_are_held_to_the_same_bounds(sweep, tmp_path, path, wrong, told):
    """A negative streaming efficiency in a user's file made feasible designs with negative times."""
    section, *keys = path.split(".")
    entry = {"value": wrong, "src": ["unsourced"], "conf": "low"}
    for key in reversed(keys):
        entry = {key: entry}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({section: entry}))
    with pytest.raises(LibraryError, match=rf"mine.yaml:\d+: {path}: typ {told}, got {wrong:g}"):
        parse_spec(sweep, library=[tmp_path])
    with pytest.raises(SpecError, match=told.removeprefix("must be ")):
        parse_spec({**sweep, "technology": {path: wrong}})
    with pytest.raises(SpecError, match=told.removeprefix("must be ")):
        parse_spec({**sweep, "space": {**sweep["space"], f"technology.{path}": {"values": [wrong]}}})


def test_what_is_no_library_is_refused(sweep, tmp_path):
    for wrong in (7, "nowhere", [3]):
        with pytest.raises(SpecError, match="library"):
            parse_spec({**sweep, "library": wrong})
    with pytest.raises(LibraryError, match="section"):
        parse_spec({**sweep, "library": {"chip": {"house": CHIP}}})


def test_a_config_file_is_a_model(sweep, tmp_path, monkeypatch):
    folder = tmp_path / "My-Llama"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIGS["llama2_70b"]))
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump({**sweep, "workloads": {"chat": {"model": "My-Llama/config.json", "batch": 32}}}))
    spec = load_spec(file)
    assert spec.workloads["chat"].model == "my_llama"
    theirs = Evaluator(spec).evaluate(Space(spec).default_design()).metrics
    plain = parse_spec(sweep)
    ours = Evaluator(plain).evaluate(Space(plain).default_design()).metrics
    for name in ("chat.tpot_ms", "chat.memory_gib", "chat.decode_w"):
        np.testing.assert_allclose(theirs[name], ours[name])


def test_a_config_file_that_is_none_is_an_issue_with_its_place(sweep, tmp_path):
    file = tmp_path / "sweep.yaml"
    (tmp_path / "bad.json").write_text("{not json")
    for name, reported in (("nowhere.json", "that is there"), ("bad.json", "Expecting")):
        file.write_text(yaml.safe_dump({**sweep, "workloads": {"chat": {"model": name}}}))
        with pytest.raises(SpecError, match=rf"sweep.yaml:\d+:\d+ +workloads.chat.model.*{reported}"):
            load_spec(file)


def test_a_gguf_header_is_a_model(sweep, tmp_path):
    file = tmp_path / "house.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    config = CONFIGS["llama3_8b"]
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tensor("output.weight", np.zeros((1, 32), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    spec = parse_spec({**sweep, "workloads": {"chat": {"model": str(file)}}})
    model = library_of(spec.library).models[spec.workloads["chat"].model]
    assert count_parameters(model) == count_parameters(shipped_library().models["llama3_8b"])


@pytest.fixture
def ours(tmp_path):
    """Return a directory of entries, and a sweep that adds the same by its ``library`` key."""
    entries = {"chips": {"house": CHIP}, "models": {"house_model": LAYER}}
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "entries.yaml").write_text(yaml.safe_dump(entries))
    (tmp_path / "adds.yaml").write_text(yaml.safe_dump({"library": "lib"}))
    return tmp_path / "lib", tmp_path / "adds.yaml"


def test_verbs_know_what_was_added(call, ours):
    for where in ours:
        for verb in (
            ("library", "show", "house"),
            ("library", "list", "chips"),
            ("library", "show", "house_model"),
            ("explain", "2x house", "--workload", "house_model batch=4"),
            ("check", "--schema"),
        ):
            status, out, err = call(*verb, "--library", where)
            assert status == 0, err
            assert "house" in out
            assert "house" not in call(*verb)[1]
    assert call("library", "where", "tco.pue", "--library", ours[0])[0] == 0


def test_a_design_file_may_add_and_name_its_additions(call, ours, tmp_path):
    design = {"memory": "hbm3", "memory_devices": 4, "memory_device_gib": 16, "macs": 65536}
    plain = {
        "design": design,
        "workloads": {"chat": {"model": "house_model"}},
        "baselines": {"b": {"chips": "1x house"}},
    }
    file = tmp_path / "design.yaml"
    file.write_text(yaml.safe_dump(plain))
    assert call("explain", file)[0] == 2
    status, by_option, err = call("explain", file, "--library", ours[0], "--format", "json")
    assert status == 0, err
    file.write_text(yaml.safe_dump({**plain, "library": "lib"}))
    assert call("explain", file, "--format", "json") == (0, by_option, "")
    status, _, err = call("require", file)
    assert status == 0, err


def test_a_comparison_takes_chips_that_were_added(call, ours, sweep, tmp_path):
    done = run(parse_spec(sweep), out=tmp_path / "run")
    status, out, err = call("compare", done.path, "--baseline", "2x house", "--library", ours[0], "--format", "csv")
    assert status == 0, err
    assert "house_2" in out
    assert call("compare", done.path, "--baseline", "2x house")[0] == 2
    status, out, err = call("explain", done.path, "--library", ours[0])
    assert status == 2 and "does not go with a run" in err


def test_a_library_that_is_not_there_is_told(call, tmp_path):
    for verb in (("library", "list"), ("check", "--schema"), ("explain", "2x house")):
        status, _, err = call(*verb, "--library", tmp_path / "nowhere")
        assert status == 2 and "nowhere" in err and len(err.splitlines()) == 1


def test_a_file_in_a_folder_named_like_an_entry_is_read_all_the_same(tmp_path):
    folder = tmp_path / "Llama3-8B"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**CONFIGS["llama3_8b"], "num_hidden_layers": 16}))
    spec = parse_spec(tiny(workloads={"chat": {"model": str(folder / "config.json")}}))
    mine, shipped = (library_of(spec.library).models[name] for name in (spec.workloads["chat"].model, "llama3_8b"))
    # Half the layers of the library's own: it is the file that was read.
    assert count_parameters(mine).body * 2 == pytest.approx(count_parameters(shipped).body, rel=1e-3)


@pytest.mark.parametrize(
    ("text", "says"),
    [("chips:\n  mine:\n    ? " + "a" * 10_000 + "\n    : 3\n", "chips.mine.aaaa"), ("7692: {a: 1}\n", "7692")],
)
def test_a_key_that_nobody_would_write_is_told_in_short(tmp_path, text, says):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(LibraryError) as fault:
        library_with([tmp_path])
    assert says in str(fault.value) and len(str(fault.value)) < 2000
