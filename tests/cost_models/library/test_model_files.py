"""Hugging Face files as they are downloaded: read right, against published counts and hand counts, or refused."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.errors import LibraryError
from cost_models.library import Model, shipped_library
from cost_models.library.config_layers import config_types
from cost_models.library.foreign import MAX_TEXT_BYTES
from cost_models.library.huggingface import model_of_config, read_config, sections_of_config
from cost_models.workload.mixing import cache_bytes, decode_attention, kv_cache_elements, state_bytes
from cost_models.workload.operators import Shape, linear_operators
from cost_models.workload.param_count import attentions, count_parameters

FILES = Path(__file__).parent / "model_files"
PUBLISHED = yaml.safe_load((FILES / "published.yaml").read_text())
LLAMA = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
    "num_hidden_layers": 32, "num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": False,
}  # fmt: skip
ONE = Shape(1.0, 1, 1)
NEARLY = """
    Jamba-1.5-Mini Qwen3-Next-80B Qwen3.5-35B-A3B DeepSeek-V3.2 GLM-5 Gemma-4-26B-A4B Phi-2 OLMo2-13B OLMoE Phi-3.5-MoE
    Falcon-H1-7B GLM-5.2 DSA-indexers-shared DSA-indexers-listed Qwen3.5-397B-A17B Olmo-3-7B StableLM-2-12B
    Jamba-1.5-Large FlexOlmo-7x7B Apertus-8B BLOOM-7b1 OPT-6.7b GPT-J-6B Pythia-6.9b BitNet-b1.58-2B-4T Persimmon-8B
    Laguna-XS.2 Minitron-8B A.X-K1 Gemma-3n-E4B Gemma-4-E2B Gemma-4-E4B Kimi-Linear-48B-A3B LongCat-Flash MiMo-V2-Flash
    MiniMax-M3 OLMo-Hybrid-7B Bailing-hybrid-KDA Nemotron-latent-experts
"""
"""Models of which some norms or biases are counted otherwise than they are; all others to the last weight."""


def of_file(name):
    return model_of_config(read_config(FILES / name / "config.json"), "x", source=name)


def published(name, **changes):
    return model_of_config({**PUBLISHED[name]["config"], **changes}, "x", source=name)


def kv_gib(model, tokens):
    return float(cache_bytes(model, ONE, tokens=float(tokens), kv_bits=16.0)) / 2**30


@pytest.mark.parametrize(
    ("name", "params", "tokens", "kv_bytes"),
    # The KV cache at 16 bits, by hand: layers that see all x tokens + layers with a window x its width, ...
    [
        ("Gemma-3-1B", 0.99989e9, 32768, (22 * 512 + 4 * 32768) * 512 * 2),
        ("Gemma-3-4B-completed", 3.88e9, 131072, (29 * 1024 + 5 * 131072) * 2 * 4 * 256 * 2),
        ("Gemma-3-12B-completed", 11.766e9, 131072, (40 * 1024 + 8 * 131072) * 2 * 8 * 256 * 2),
        ("DeepSeek-V2-Lite", 15.706e9, 1000, 31104 * 1000),
        ("qwen2-window-none", 3.086e9, 32768, 36 * 32768 * 512 * 2),
        ("qwen2-window-some", 3.086e9, 32768, (28 * 32768 + 8 * 4096) * 512 * 2),
        ("Qwen3-VL-2B", 1.72e9, 1000, 114688 * 1000),
        ("Llama-4-Scout", 107.77e9, 100_000, (12 * 100_000 + 36 * 8192) * 2 * 8 * 128 * 2),
        ("MiniMax-M2.5", 228.7e9, 1000, 62 * 2 * 8 * 128 * 2 * 1000),
        ("Llama-3.1-70B-AWQ", 70.554e9, 1000, 327680 * 1000),
        ("Mistral-Small-3.1-24B", 23.572e9, 32768, 163840 * 32768),
        ("gpt-oss-20b-hf", 20.915e9, 32768, (12 * 32768 + 12 * 128) * 1024 * 2),
        ("Pixtral-12B", 12.25e9, 1000, 163840 * 1000),
        ("bom", 8.03e9, 1000, 131072 * 1000),
    ],
)
def test_files_are_read_as_published(name, params, tokens, kv_bytes):
    model = of_file(name)
    assert count_parameters(model).total == pytest.approx(params, rel=1e-3)
    assert float(cache_bytes(model, ONE, tokens=float(tokens), kv_bits=16.0)) == kv_bytes


def test_active_weights_of_files_with_experts():
    assert count_parameters(of_file("Llama-4-Scout")).active == pytest.approx(17.17e9, rel=2e-3)
    assert count_parameters(of_file("DeepSeek-V2-Lite")).active == pytest.approx(2.66e9, rel=5e-3)


@pytest.mark.parametrize("name", PUBLISHED)
def test_counts_of_public_models(name):
    entry, model = PUBLISHED[name], published(name)
    total = count_parameters(model).total
    if "params" in entry:
        assert total == pytest.approx(entry["params"], rel=2e-4 if name in NEARLY.split() else 1e-12)
    else:
        assert total == pytest.approx(entry["params_billion"] * 1e9, rel=0.01)
    if "kv_elements" in entry:
        assert kv_cache_elements(model, ONE, tokens=1.0) == entry["kv_elements"]
    if "windows" in entry:
        layers, width = entry["windows"]
        assert [one.reach for one in attentions(model) for _ in range(one.layers) if one.reach] == [width] * layers


@pytest.mark.parametrize(
    ("name", "of_sequence", "of_token"),
    # Bytes by hand: layers x (matrices + 3 inputs of the convolution), and KV of the layers with softmax attention.
    [
        ("Nemotron-H-8B", 24 * (128 * 64 * 128 + 3 * (8192 + 2 * 1024)) * 2, 4 * 2 * 8 * 128 * 2),
        ("Granite-4.0-H-Small", 36 * (128 * 64 * 128 + 3 * (8192 + 2 * 128)) * 2, 4 * 2 * 8 * 128 * 2),
        ("Jamba-1.5-Mini", 28 * (8192 * 16 + 3 * 8192) * 2, 4 * 2 * 8 * 128 * 2),
        ("Qwen3-Next-80B", 36 * (32 * 128 * 128 + 3 * 8192) * 2, 12 * 2 * 2 * 256 * 2),
        ("Qwen3.5-27B", 48 * (48 * 128 * 128 * 4 + 3 * (6144 + 4096) * 2), 16 * 2 * 4 * 256 * 2),
        ("MiniMax-Text-01", 70 * 64 * 128 * 128 * 2, 10 * 2 * 8 * 128 * 2),
        ("Codestral-Mamba", 64 * (128 * 64 * 128 + 3 * (8192 + 2 * 1024)) * 2, 0),
        ("Mamba-2.8b", 64 * (5120 * 16 + 3 * 5120) * 2, 0),
        ("Falcon-H1-7B", 44 * (24 * 128 * 256 + 3 * (3072 + 512)) * 2, 44 * 2 * 2 * 128 * 2),
        ("DeepSeek-V3.2", 0, 61 * (576 + 128) * 2),
        ("GLM-5", 0, 78 * (576 + 128) * 2),
        ("Bamba-9B", 29 * (128 * 64 * 128 + 3 * (8192 + 2 * 128)) * 2, 3 * 2 * 8 * 128 * 2),
        ("Granite-4.0-H-Micro", 36 * (64 * 64 * 128 + 3 * (4096 + 2 * 128)) * 2, 4 * 2 * 8 * 64 * 2),
        ("Jamba-1.5-Large", 63 * (16384 * 16 + 3 * 16384) * 2, 9 * 2 * 8 * 128 * 2),
        ("Falcon-Mamba-7B", 64 * (8192 * 16 + 3 * 8192) * 2, 0),
        ("LFM2-8B-A1B", 18 * 2 * 2048 * 2, 6 * 2 * 8 * 64 * 2),
        ("Qwen3.5-397B-A17B", 45 * (64 * 128 * 128 + 3 * (8192 + 4096)) * 2, 15 * 2 * 2 * 256 * 2),
        ("GLM-5.2", 0, 78 * (576 + 128) * 2),
        ("DSA-indexers-shared", 0, (8 * 576 + 3 * 128) * 2),
        ("DSA-indexers-listed", 0, (8 * 576 + 3 * 128) * 2),
        ("MiniCPM3-4B", 0, 62 * (256 + 32) * 2),
        ("Gemma-4-31B", 0, (50 * 2 * 16 * 256 + 10 * 2 * 4 * 512) * 2),
        # The last layers of Gemma 3n and 4 read the cache of a layer before them; all four copies share it.
        ("Gemma-3n-E4B", 0, 20 * 2 * 2 * 256 * 2),
        ("Gemma-4-E4B", 0, (20 * 2 * 2 * 256 + 4 * 2 * 2 * 512) * 2),
        ("Kimi-Linear-48B-A3B", 20 * (32 * 128 * 128 + 3 * 3 * 4096) * 2, 7 * 576 * 2),
        ("OLMo-Hybrid-7B", 24 * (30 * 192 * 96 + 3 * (5760 + 5760)) * 2, 8 * 2 * 30 * 128 * 2),
        ("LongCat-Flash", 0, 2 * 28 * 576 * 2),
        ("MiMo-V2-Flash", 0, (9 * 4 + 39 * 8) * (192 + 128) * 2),
        ("MiniMax-M3", 0, (60 * 2 * 4 * 128 + 57 * 128) * 2),
    ],
)
def test_states_and_caches_of_public_models(name, of_sequence, of_token):
    model = published(name)
    assert float(state_bytes(model, ONE)) == of_sequence
    assert float(kv_cache_elements(model, ONE, tokens=1.0)) * 2 == of_token


def test_layers_follow_the_rule_of_the_type_or_the_list_of_the_file():
    base = {**LLAMA, "model_type": "qwen2", "sliding_window": 1024, "max_window_layers": 20}
    assert kv_gib(model_of_config(base, "x", source="a"), 8192) == kv_gib(
        model_of_config({**base, "use_sliding_window": False}, "x", source="a"), 8192
    )
    on = model_of_config({**base, "use_sliding_window": True}, "x", source="a")
    assert on.window_layers == 12
    listed = ["sliding_attention"] * 3 + ["full_attention"] * 29
    by_list = model_of_config({**base, "use_sliding_window": True, "layer_types": listed}, "x", source="a")
    assert by_list.window_layers == 3
    pattern = {**LLAMA, "model_type": "exaone4", "sliding_window": 64, "sliding_window_pattern": "LLLG"}
    assert model_of_config(pattern, "x", source="a").window_layers == 24
    odd = {**LLAMA, "model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 2, "head_dim": 128,
           "moe_intermediate_size": 512, "decoder_sparse_step": 2, "mlp_only_layers": [1, 3]}  # fmt: skip
    assert model_of_config(odd, "x", source="a").moe.first_dense_layers == 32 - (16 - 2)


def test_a_field_that_is_null_is_not_the_default_of_the_type():
    chunked = read_config(FILES / "Llama-4-Scout" / "config.json")
    whole = {**chunked, "text_config": {**chunked["text_config"], "attention_chunk_size": None}}
    with pytest.raises(LibraryError, match="attention_chunk_size missing"):
        model_of_config(whole, "x", source="a")
    gemma = read_config(FILES / "Gemma-3-1B" / "config.json")
    assert model_of_config({**gemma, "sliding_window": None}, "x", source="a").window_layers == 0
    kv = model_of_config({**LLAMA, "model_type": "mistral", "num_key_value_heads": None}, "x", source="a")
    assert kv.kv_heads == 32


def test_a_default_gives_way_to_the_field_by_any_of_its_names():
    mixtral = {**LLAMA, "model_type": "mixtral"}
    assert model_of_config(mixtral, "x", source="a").moe.experts == 8
    assert model_of_config({**mixtral, "num_experts": 16}, "x", source="a").moe.experts == 16
    assert published("DBRX").kv_heads == 8
    gemma = {**read_config(FILES / "Gemma-3-1B" / "config.json"), "_sliding_window_pattern": 2}
    gemma.pop("sliding_window_pattern", None)
    assert model_of_config(gemma, "x", source="a").window_layers == 13


def test_fields_by_their_older_names():
    told = PUBLISHED["BLOOM-7b1"]["config"]
    old = {**{name: value for name, value in told.items() if name != "hidden_size"}, "n_embed": 4096}
    assert model_of_config(old, "x", source="a") == model_of_config(told, "x", source="a")
    mpt = PUBLISHED["MPT-7B"]["config"]
    single = {**mpt, "attn_config": {"attn_type": "multiquery_attention", "alibi": True}}
    assert model_of_config(mpt, "x", source="a").kv_heads == 32
    assert model_of_config(single, "x", source="a").kv_heads == 1


def test_heads_that_are_not_told_share_the_width_or_are_missing():
    """The classes of these types divide the width by the heads where others of their family have a width of a head."""
    told = PUBLISHED["Qwen3-235B-A22B"]["config"]
    assert model_of_config({**told, "head_dim": None}, "x", source="a").head_dim == 4096 // 64
    with pytest.raises(LibraryError, match="head_dim missing"):
        published("GLM-4.7", head_dim=None)


def test_lists_that_tell_layer_by_layer():
    """A list of one number is that number; one that differs is followed where a rule reads it, else refused."""
    hunyuan = published("Hunyuan-A13B", moe_topk=[8] * 32, num_shared_expert=[1] * 32)
    assert hunyuan == published("Hunyuan-A13B")
    with pytest.raises(LibraryError, match="moe_topk must be"):
        published("Hunyuan-A13B", moe_topk=[8] * 31 + [4])
    with pytest.raises(LibraryError, match="layer_ffn_ratios differs from layer to layer, which is not read"):
        model_of_config({**LLAMA, "layer_ffn_ratios": [1] * 31 + [2]}, "x", source="a")
    experts = ["dense"] * 5 + ["sparse"] * 42
    assert published("GLM-4.7-Flash", mlp_layer_types=experts).moe.first_dense_layers == 5
    with pytest.raises(LibraryError, match="mlp_layer_types must be 47 times"):
        published("GLM-4.7-Flash", mlp_layer_types=experts[1:])
    wide = [layer.layers for layer in attentions(published("Laguna-XS.2")) if layer.heads == 64]
    assert sum(wide) == 30
    listed = {"layers_block_type": ["mamba", "moe", "attention", "mlp"], "hybrid_override_pattern": None}
    assert published("Nemotron-3-Nano-30B", num_hidden_layers=None, **listed).layers == 4


def test_what_is_not_read_is_told():
    assert model_of_config({**LLAMA, "ffn_ratio": 3, "rope_theta": 5}, "x", source="a").note == "Not read: ffn_ratio."
    for name, entry in PUBLISHED.items():
        assert "Not read" not in published(name).note, (name, entry)


def test_text_models_inside_a_type_that_is_not_known_are_read_with_a_note():
    assert "'kimi_vl', which is not known, only the text model is read" in published("Kimi-VL-A3B").note
    assert "'qwen3_omni_moe'" in published("Qwen3-Omni-30B-A3B").note
    with pytest.raises(LibraryError, match="'new_text' is not one of"):
        model_of_config({"model_type": "new", "text_config": {**LLAMA, "model_type": "new_text"}}, "x", source="a")
    flat = {**PUBLISHED["Kimi-K2.5-NVFP4"]["config"]["text_config"], "model_type": "kimi_k25"}
    assert count_parameters(model_of_config(flat, "x", source="a")).total == count_parameters(
        published("Kimi-K2.5-NVFP4")
    ).total  # fmt: skip


@pytest.mark.parametrize(("version", "tied"), [("4.57.1", False), ("5.2.0", True), (None, False)])
def test_the_whole_ties_embeddings_from_version_5_on(version, tied):
    text = {**LLAMA, "tie_word_embeddings": False}
    whole = {"model_type": "llava", "text_config": text, "tie_word_embeddings": True, "transformers_version": version}
    assert model_of_config(whole, "x", source="a").tied_embeddings is tied


def test_every_type_takes_from_types_that_are_known():
    for kind, rules in config_types().items():
        assert rules.refuse or rules.text in config_types() or rules.family, kind


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model_type": "llamma"}, r"model_type 'llamma' is not one of the \d+ that are known; perhaps llama"),
        ({"model_type": None}, "model_type missing"),
        ({"model_type": ["llama"]}, "model_type missing"),
        ({"model_type": "whisper"}, "cannot be described: it has an encoder beside the decoder"),
        ({"model_type": "kimi_linear"}, "layer_types missing, which model_type 'kimi_linear' needs"),
        ({"hidden_size": None}, "hidden_size missing"),
        ({"hidden_size": "4096"}, "hidden_size must be a valid integer, got '4096'"),
        ({"hidden_size": [4096]}, r"hidden_size must be .* got \[4096\]"),
        ({"hidden_size": float("nan")}, "hidden_size must be .* got nan"),
        ({"hidden_size": 1e300}, "hidden_size must be .* got 1e.300"),
        ({"hidden_size": 0, "vocab_size": -1}, "hidden_size must be greater than 0.*; vocab_size must be greater"),
        ({"model_type": "gpt2", "hidden_size": 2**23, "intermediate_size": None}, "d_ff must be less than 16777216"),
        ({"num_hidden_layers": 10**7}, "num_hidden_layers must be less than or equal to 4096"),
        ({"num_hidden_layers": True}, "num_hidden_layers must be"),
        ({"vocab_size": 10**40}, "vocab_size must be less than"),
        ({"layer_types": "sliding"}, "layer_types must be"),
        ({"layer_types": ["full_attention"] * 5}, "layer_types names 5 layers, num_hidden_layers is 32"),
        ({"layer_types": ["sparse_attention"] * 32}, "'sparse_attention' is no kind of layer"),
        ({"layer_types": ["linear_attention"] * 32}, "linear attention, which this model_type is not known to have"),
        ({"layer_types": ["sliding_attention"] * 32}, "sliding_window missing"),
        ({"num_key_value_heads": 7}, "num_key_value_heads 7 must divide num_attention_heads 32"),
        ({"kv_lora_rank": 512}, "kv_lora_rank is there, which model_type 'llama' is not known to use"),
        ({"num_local_experts": 8}, "experts is there, which model_type 'llama'"),
        ({"hidden_size_per_layer_input": 256}, "per-layer embeddings, which cannot be described"),
        ({"is_encoder_decoder": True}, "an encoder beside the decoder"),
        ({"is_encoder_decoder": True, "text_config": LLAMA}, "an encoder beside the decoder"),
        ({"use_bidirectional_attention": True}, "tells of an encoder"),
        ({"model_type": "mixtral", "num_experts_per_tok": 9, "num_local_experts": 8}, "must be at most 8"),
        (
            {"model_type": "minimax_m2", "num_key_value_heads": None, "head_dim": 128, "num_local_experts": 0},
            "num_key_value_heads missing",
        ),
        ({"model_type": "minimax_m2", "num_local_experts": 0}, "head_dim missing"),
        ({"model_type": "qwen3_moe"}, "number of experts missing"),
        (
            {"model_type": "deepseek_v3", "kv_lora_rank": 512, "n_routed_experts": 0},
            "q_lora_rank, .*missing, which multi-head latent",
        ),
        ({"model_type": "qwen3_vl", "text_config": {"model_type": "qwen3"}}, "missing"),
        (
            {"quantization_config": {"quant_method": "fp8", "weight_block_size": [1, 64]}},
            r"blocks must be \[128, 128\], got \[1, 64\]",
        ),
        ({"model_type": "deberta-v2"}, "an encoder, which generates nothing"),
        ({"model_type": "rwkv7"}, "recurrence of its own kind"),
        ({"model_type": "bailing_hybrid"}, "kda_safe_gate, layer_group_size missing"),
        ({"model_type": "deepseek_v4"}, "compressed sparse attention"),
        ({"model_type": "mixtral", "num_local_experts": 8, "num_experts": 16}, "spellings of one field and disagree"),
        ({"zero_expert_num": 256}, "experts without weights, which cannot be described"),
        ({"laurel_rank": 64}, "low-rank residuals, which cannot be described"),
        ({"hybrid_layer_pattern": [0, 1]}, "windows with heads of their own"),
        ({"hybrid_layer_pattern": [0, 2]}, "hybrid_layer_pattern must be a list of 0 and 1"),
        ({"linear_attn_config": {"full_attn_layers": [1], "kda_layers": [1]}}, "must name every layer once"),
        ({"sparse_attention_config": {"sparse_block_size": 128}}, "must be given together"),
        ({"moe_layers_enum": "4,5,x"}, "moe_layers_enum must be places of layers"),
        ({"attention_other_setting": {"attention_type": "linear"}}, "must be sliding_attention"),
        (
            {"model_type": "nemotron-nas", "block_configs": [{"attention": {}, "ffn": {}}]},
            "n_heads_in_group must divide",
        ),
        ({"block_configs": [[]]}, r"block_configs\[0\] must be a mapping"),
        ({"layer_types": ["minimax_m3_sparse"] * 32}, "sparse attention, which this model_type is not known"),
        (
            {
                "model_type": "arctic",
                "num_local_experts": 8,
                "num_experts_per_tok": 2,
                "moe_layer_frequency": 2,
                "parallel_attn_mlp_res": True,
            },
            "moe_layer_freq is there",
        ),
        ({"model_type": "gpt2", "add_cross_attention": True}, "cross-attention, which cannot be described"),
        ({"model_type": "opt", "word_embed_proj_dim": 512}, "embeddings of another width"),
        ({"model_type": "laguna", "head_dim": 128, "gating": "per-element"}, "gating must be true"),
        ({"per_layer_config": {"3": {"head_dim": 64}}}, "layers of several shapes"),
        ({"index_topk": 2048}, "index_topk is there, which model_type 'llama'"),
        ({"layer_types": ["indexed_attention"] * 32}, "index_topk missing"),
        ({"mlp_layer_types": ["sparse"] * 32}, "experts, which this model_type is not known to have"),
        ({"num_attention_heads_per_layer": [32, 16]}, "num_attention_heads_per_layer must be 32 whole numbers"),
        ({"quantization_config": [1]}, "quantization_config must be a mapping"),
        ({"quantization_config": {"quant_method": "exl3", "bits": True}}, "bits must be from 1 to 8"),
        ({"quantization_config": {"quant_method": "aqlm"}}, "in_group_size missing"),
        (
            {"quantization_config": {"quant_method": "compressed-tensors", "sparsity_config": {"format": "bitmask"}}},
            "is not read",
        ),
        ({"quantization_config": {"quant_method": "awq", "bits": "4"}}, "bits must be a whole number"),
        ({"mlp_bias": "yes"}, "mlp_bias must be true or false"),
        ({"text_config": [1]}, "text_config must be a mapping"),
        ({"num_attention_heads": 2**30}, "num_attention_heads must be less than 16777216"),
    ],
)
def test_what_is_wrong_or_unknown_is_refused_with_its_reason(change, told):
    with pytest.raises(LibraryError, match=told) as caught:
        model_of_config({**LLAMA, **change}, "x", source="config.json")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


WRONG = st.one_of(
    st.none(), st.booleans(), st.text(max_size=5), st.floats(), st.integers(-(10**30), 10**30),
    st.lists(st.integers(-5, 5), max_size=3), st.dictionaries(st.text(max_size=2), st.none(), max_size=2),
)  # fmt: skip


@settings(max_examples=300)
@given(name=st.sampled_from([*PUBLISHED]), data=st.data())
def test_wrong_values_are_refused_or_mean_a_model(name, data):
    """Any field of a public model replaced by anything: a sentence, or a model that counts something."""
    config = PUBLISHED[name]["config"]
    inside = config.get("text_config", config)
    field = data.draw(st.sampled_from([*inside]))
    changed = {**inside, field: data.draw(WRONG)}
    whole = changed if inside is config else {**config, "text_config": changed}
    try:
        sections = sections_of_config(whole, "x", source=name)
        model = Model.model_validate({**sections["models"]["x"], "key": "x"})
    except LibraryError as error:
        assert "\n" not in str(error)
        return
    assert count_parameters(model).total > 0


def test_files_that_are_no_json_of_a_model(tmp_path):
    with pytest.raises(LibraryError, match="a Git LFS pointer"):
        read_config(FILES / "lfs" / "config.json")
    with pytest.raises(LibraryError, match="an HTML page"):
        read_config(FILES / "html" / "config.json")
    file = tmp_path / "config.json"
    for content, reported in (
        (json.dumps(LLAMA).encode("utf-16"), "is not UTF-8 text"),
        (b"[" * 100_000, "nested deeper|not JSON"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "nested deeper"),
        (b"[1, 2]", "holds no mapping"),
        (b"", "not JSON"),
        (b" " * (MAX_TEXT_BYTES + 2), "at most 16,000,000"),
        (b'{"a": 1, "a": 2}', "'a' is given twice"),
        (b'{"a": NaN}', "not a finite number"),
        (b'{"a": 1e999}', "not a finite number"),
        (b'{"a": "\\ud800"}', "half of a character"),
        (b'{"a": 1,\n "b" 2}', ":2: is not JSON"),
        (b'{"vocab_size": ' + b"9" * 5000 + b"}", "5000 digits"),
    ):
        file.write_bytes(content)
        with pytest.raises(LibraryError, match=reported):
            read_config(file)


@pytest.mark.parametrize(
    ("told", "bits", "words"),
    [
        ({"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}, 4 + 20 / 128, "zero points"),
        ({"quant_method": "gptq", "bits": 8, "group_size": 32, "sym": True}, 8 + 16 / 32, "int8 in groups of 32"),
        ({"quant_method": "gptq", "bits": 4, "group_size": -1, "sym": True}, 4, "scale per channel"),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, 8 + 32 / 128**2, "fp8_block128"),
        ({"quant_method": "fp8", "activation_scheme": "static"}, 8, "fp8"),
        ({"quant_method": "bitnet", "linear_class": "autobitlinear"}, 2, "int2 with a scale per channel"),
        ({"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp4", "group_size": 32}}}, 4.25, "mx"),
        ({"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "int4", "group_size": 64}}}, 4.25, "in"),
        ({"quant_method": "modelopt", "quant_algo": "FP8_PB_WO"}, 8 + 32 / 128**2, "fp8_block128"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, 4.5, "nvfp4"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_use_double_quant": True}, None, "nf4_dq"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, 4 + 32 / 64, "nf4 in groups of 64"),
        ({"quant_method": "eetq", "weights": "int8"}, 8, "int8_channel"),
        ({"quant_method": "quanto", "weights": "int4"}, 4 + 20 / 128, "zero points"),
        ({"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 4, "group_size": 64}}}, 4 + 20 / 64,
         "int4 in groups of 64, zero points"),
        ({"quant_method": "exl3", "bits": 3.5, "head_bits": 6}, 3.5, "codes of 3.5 bits"),
        ({"quant_method": "aqlm", "nbits_per_codebook": 16, "num_codebooks": 1, "in_group_size": 8}, 2,
         "codes of 2 bits"),
        ({"quant_method": "compressed-tensors", "config_groups": {}, "sparsity_config": {
            "format": "sparse-24-bitmask", "sparsity_structure": "2:4"}}, 9, "nm2of4_bf16"),
        ({"quant_method": "fp8", "kv_cache_scheme": {"num_bits": 8, "type": "float"}}, 8, "KV cache of 8 bits"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "dynamic": {"+:.*down.*": {"bits": 8}}}, 4 + 16 / 128,
         "other widths of single layers (dynamic)"),
        ({"quant_method": "fp8", "modules_to_not_convert": ["model.layers.0.self_attn.q_proj"]}, 8,
         "attention, which the file leaves at 16 bits"),
        (
            {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {
                "num_bits": 4, "type": "int", "group_size": 64, "symmetric": True}}}},
            4 + 16 / 64, "int4 in groups of 64",
        ),
        (
            {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {
                "num_bits": 8, "type": "float", "strategy": "channel"}}}},
            8, "fp8",
        ),
        (
            {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {
                "num_bits": 8, "type": "float", "strategy": "block", "block_structure": [128, 128]}}}},
            8 + 32 / 128**2, "fp8_block128",
        ),
    ],
)  # fmt: skip
def test_quantised_files_say_how_weights_are_stored(told, bits, words):
    from cost_models.library import WeightFormat
    from cost_models.weights.compression import stored_bits

    sections = sections_of_config({**LLAMA, "quantization_config": told}, "x", source="config.json")
    model = sections["models"]["x"]
    assert words in model["published_as"]
    name = model["weight_format"]
    own = sections["weight_formats"].get(name)
    form = WeightFormat.model_validate({**own, "key": name}) if own else shipped_library().weight_format(name)
    if bits is not None:
        assert float(stored_bits(form)) == bits


def test_states_are_as_many_and_as_wide_as_heads_where_a_file_says_nothing_of_them():
    (state,) = published("Bailing-hybrid-KDA", head_dim=64, num_attention_heads=16).state_layers
    assert (state.heads, state.head_dim, state.keys, state.rank) == (16, 64, 16 * 64, 0)
    (state,) = published("Bailing-hybrid-KDA", linear_head_dim=96, linear_num_heads=8).state_layers
    assert (state.heads, state.head_dim) == (8, 96)


def test_groups_of_fields_that_nothing_reads_are_told():
    told = {**LLAMA, "sparse_config": {"topk": 64}, "rope_scaling": {"factor": 8.0}, "auto_map": {"AutoConfig": "x.y"}}
    assert model_of_config(told, "x", source="x").note == "Not read: sparse_config."


def test_weights_that_a_token_meets_of_models_with_parts_of_their_own():
    # LongCat-Flash's paper says 18.6 to 31.3 billion, 27 in the mean; Arctic's card 17; MiMo's 15; Kimi-Linear's 3.
    for name, billions in (
        ("LongCat-Flash", 27.1), ("Arctic-480B", 17), ("MiMo-V2-Flash", 15), ("Kimi-Linear-48B-A3B", 3.1),
        ("Gemma-4-E2B", 2.3),
    ):  # fmt: skip
        model = published(name)
        embedding = model.vocab * model.d_model * (0 if model.tied_embeddings else 1)
        assert (count_parameters(model).active - embedding) / 1e9 == pytest.approx(billions, rel=0.04), name
    # Tables of rows are held, and a token reads a row: they change what is held and not what is read.
    model = published("Gemma-4-E2B")
    without = model.model_copy(update={"further": model.further.model_copy(update={"table": 0})})
    assert count_parameters(model).total - count_parameters(without).total == 262144 * 35 * 256
    assert count_parameters(model).active == count_parameters(without).active


def test_a_layer_that_chooses_blocks_meets_no_more_than_they_hold():
    model = published("MiniMax-M3")
    short, long = (decode_attention(model, ONE, context=x, over=(x - 0.5, x + 0.5)) for x in (4096.0, 65536.0))
    grows = dict(zip(long.names, (long.macs / short.macs)[:, 0], strict=True))
    assert grows == pytest.approx({"attention": 16, "attention_2": 1, "index": 16})
    assert list(long.times[:, 0]) == [3, 57, 57]
    # Every key of the context is scored by four heads of 128, in the layers that choose.
    assert long.macs[2, 0] == 4 * 128 * 65536


def test_experts_on_narrower_vectors_read_and_send_less():
    latent = published("Nemotron-latent-experts")
    whole = latent.model_copy(update={"moe": latent.moe.model_copy(update={"latent_d": None})})
    shape = Shape(64.0, 1, 1, replicas=4.0, expert_parallel=4.0)
    one, other = (linear_operators(model, shape, tokens_per_sequence=1.0, head_rows=64.0) for model in (latent, whole))
    place, before = one.names.index("experts"), other.names.index("experts")
    for amount in ("weights", "macs", "exchanged", "reduced"):
        assert getattr(one, amount)[place] == pytest.approx(getattr(other, amount)[before] * 128 / 512)
    # What brings a token there and back every chip holds and does as a whole.
    assert one.weights[one.names.index("latent_projections")] == 2 * 512 * 128
    assert "latent_projections" not in other.names


def test_key_heads_of_each_layer_are_followed():
    config = {**LLAMA, "model_type": "deci", "num_hidden_layers": 3, "num_key_value_heads": None}
    model = model_of_config({**config, "num_key_value_heads_per_layer": [4, 1, 4]}, "x", source="x")
    assert kv_cache_elements(model, ONE, tokens=1.0) == 2 * 9 * 128
    with pytest.raises(LibraryError, match="3 divisors of the heads"):
        model_of_config({**config, "num_key_value_heads_per_layer": [4, 3, 4]}, "x", source="x")


def test_blocks_that_are_left_out_or_are_one_matrix():
    attention, dense = {"n_heads_in_group": 8, "no_op": False}, {"ffn_mult": 2.625, "no_op": False}
    blocks = [
        {"attention": attention, "ffn": dense}, {"attention": {"no_op": True}, "ffn": dense},
        {"attention": {**attention, "n_heads_in_group": 4}, "ffn": {"no_op": True}},
        {"attention": {"replace_with_linear": True}, "ffn": {"replace_with_linear": True}},
    ]  # fmt: skip
    config = {**LLAMA, "model_type": "nemotron-nas", "num_hidden_layers": 4, "num_key_value_heads": None,
              "intermediate_size": None, "block_configs": blocks}  # fmt: skip
    model, d = model_of_config(config, "x", source="x"), 4096
    width = 7168  # 2 x 2.625 x 4096 / 3 in whole 256
    matrices = (2 * d * d + 2 * d * 4 * 128) + (2 * d * d + 2 * d * 8 * 128) + 2 * 3 * d * width + 2 * d * d
    assert count_parameters(model).body == matrices
    assert kv_cache_elements(model, ONE, tokens=1.0) == 2 * 4 * 128 + 2 * 8 * 128
    for missing in ("num_attention_heads", "hidden_size"):
        with pytest.raises(LibraryError, match="must be a list, beside num_attention_heads and hidden_size"):
            model_of_config({**config, missing: None}, "x", source="x")
    # What most layers have stands for all: 4 or 8 key heads here, as many as heads where none has any.
    assert (model.attention, model.kv_heads) == ("GQA", 4)
    eights = [blocks[2], blocks[2], blocks[0], blocks[1]]
    for told in ({}, {"num_key_value_heads": None}):
        some = {name: value for name, value in config.items() if name != "num_key_value_heads"} | told
        assert model_of_config({**some, "block_configs": eights}, "x", source="x").kv_heads == 8


def test_queries_of_a_narrow_vector_and_experts_by_their_places():
    # Step-3 as recalled from its card: 316 billion weights of the language model, 38 that a token meets.
    config = {"model_type": "step3_text", "hidden_size": 7168, "intermediate_size": 18432, "num_attention_heads": 64,
              "num_attention_groups": 1, "head_dim": 256, "share_q_dim": 2048, "num_hidden_layers": 61,
              "vocab_size": 128815, "moe_layers_enum": ",".join(map(str, range(4, 60))), "moe_num_experts": 48,
              "moe_top_k": 3, "moe_intermediate_size": 5120, "share_expert_dim": 5120,
              "tie_word_embeddings": False}  # fmt: skip
    model = model_of_config(config, "x", source="x")
    assert count_parameters(model).total == pytest.approx(316e9, rel=2e-3)
    assert count_parameters(model).active == pytest.approx(38.9e9, rel=0.005)  # with both embeddings
    assert kv_cache_elements(model, ONE, tokens=1.0) == 61 * 512


def test_a_method_that_is_not_known_is_told_and_not_followed():
    sections = sections_of_config({**LLAMA, "quantization_config": {"quant_method": "vptq"}}, "x", source="c")
    model = sections["models"]["x"]
    assert "weight_format" not in model and "vptq, which is not known: 16 bits are taken" in model["published_as"]


def test_experts_alone_are_narrow_where_the_file_spares_the_rest():
    model = of_file("gpt-oss-20b-hf")
    assert (model.weight_format, model.expert_format) == (None, "mxfp4")
    kimi = published("Kimi-K2.5-NVFP4")
    assert (kimi.weight_format, kimi.expert_format) == (None, "nvfp4")


def test_what_a_file_does_not_name_is_not_there():
    shared = published("dots.llm1")
    none = published("dots.llm1", n_shared_experts=None)
    assert shared.moe.shared_width == 2 * shared.moe.expert_d_ff and none.moe.shared_width == 0
    per_layer = 3 * shared.d_model * shared.moe.shared_width
    layers = shared.layers - shared.moe.first_dense_layers
    assert count_parameters(shared).total - count_parameters(none).total == layers * per_layer
    (state,) = published("MiniMax-Text-01").state_layers
    assert (state.kind, state.conv_width, state.conv_channels * state.conv_width) == ("lightning", 0, 0)
    # The rank of Mamba's steps is a sixteenth of its width where it is "auto".
    (state,) = published("Mamba-2.8b", time_step_rank="auto").state_layers
    assert state.rank == 2560 / 16


@pytest.mark.parametrize(
    ("kind", "changes", "windows"),
    [("gemma2", {"sliding_window": 1024}, 16), ("mistral", {"sliding_window": 1024}, 32), ("mistral", {}, 0)],
)
def test_which_layers_have_a_window_where_no_list_says_it(kind, changes, windows):
    model = model_of_config({**LLAMA, "model_type": kind, "sliding_window": None, **changes}, "x", source="x")
    assert model.window_layers == windows
    # Every other layer of Gemma 2, all of Mistral: what they hold of long texts.
    held = windows * min(4096, 1024) + (32 - windows) * 4096
    assert kv_cache_elements(model, ONE, tokens=4096.0) == held * 2 * model.kv_heads * model.head_dim


def test_layers_that_share_a_cache_may_be_twice_as_wide():
    config = PUBLISHED["Gemma-4-31B"]["config"]
    text = config.get("text_config", config)
    wide = {"use_double_wide_mlp": True, "num_kv_shared_layers": 10}
    changed = {**config, "text_config": {**text, **wide}} if "text_config" in config else {**config, **wide}
    plain = published("Gemma-4-31B")
    model = model_of_config(changed, "x", source="x")
    widths = [(block.layers, block.d_ff) for block in model.dense_layers]
    assert widths == [(plain.layers - 10, plain.d_ff), (10, 2 * plain.d_ff)]
