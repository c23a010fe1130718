"""GGUF files: headers as their writer makes them, tensors summed to the bytes that are stored, and hostile ones."""

import os
import resource
import struct
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.errors import LibraryError
from cost_models.library import Model, WeightFormat, shipped_library
from cost_models.library.files import read_yaml
from cost_models.library.gguf_header import MOST_BYTES, MOST_ITEMS, Tensor, read_header
from cost_models.weights.compression import stored_bits
from cost_models.workload.mixing import cache_bytes
from cost_models.workload.operators import Shape
from cost_models.workload.param_count import count_parameters
from dse.sweep import gguf_models
from dse.sweep.gguf_models import sections_of_gguf

FILES = Path(__file__).parent / "gguf_files"
TYPES = read_yaml(shipped_library().directory / "gguf_types.yaml")["tensor_types"]
TYPE_OF = {name: number for number, (name, *_) in TYPES.items()}


def model_of(file):
    return Model.model_validate({**sections_of_gguf(file, "x", source=file.name)["models"]["x"], "key": "x"})


@pytest.mark.parametrize(
    ("name", "params", "active", "kv_gib"),
    [
        ("gptoss20b", 20.915e9, 4.193e9, (12 * 32768 + 12 * 128) * 1024 * 2 / 2**30),
        ("qwen15moe", 14.316e9, 2.689e9, 6.0),
        ("qwen3moe", 30.532e9, 3.353e9, 3.0),
        ("llama32-1b", 1.2358e9, 1.2358e9, 1.0),
        ("gemma2-9b", 9.242e9, 9.242e9, (21 * 32768 + 21 * 4096) * 2 * 8 * 256 * 2 / 2**30),
    ],
)
def test_headers_are_read_as_config_files_are(name, params, active, kv_gib):
    model = model_of(FILES / f"{name}.gguf")
    count = count_parameters(model)
    assert count.total == pytest.approx(params, rel=1e-3)
    assert count.active == pytest.approx(active, rel=1e-3)
    held = float(cache_bytes(model, Shape(1.0, 1, 1), tokens=32768.0, kv_bits=16.0)) / 2**30
    assert held == pytest.approx(kv_gib, rel=1e-9)


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def field(name, value):
    if isinstance(value, str):
        return text(name) + struct.pack("<I", 8) + text(value)
    if isinstance(value, list):
        items = b"".join(struct.pack("<I", item) for item in value)
        return text(name) + struct.pack("<IIQ", 9, 4, len(value)) + items
    return text(name) + struct.pack("<II", 4, value)


def header(fields, tensors=(), *, magic=b"GGUF", version=3):
    """Return the bytes of a header; tensors are (name, shape, type name)."""
    made = [magic, struct.pack("<IQQ", version, len(tensors), len(fields))]
    made += [field(name, value) for name, value in fields.items()]
    for name, shape, kind in tensors:
        made.append(text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, TYPE_OF[kind], 0))
    return b"".join(made)


MIXTURE = {
    "general.architecture": "qwen3moe", "qwen3moe.block_count": 2, "qwen3moe.embedding_length": 512,
    "qwen3moe.feed_forward_length": 1024, "qwen3moe.attention.head_count": 8, "qwen3moe.attention.head_count_kv": 2,
    "qwen3moe.attention.key_length": 64, "qwen3moe.expert_count": 4, "qwen3moe.expert_used_count": 2,
    "qwen3moe.expert_feed_forward_length": 256, "qwen3moe.vocab_size": 1024, "qwen3moe.context_length": 4096,
}  # fmt: skip


def tensors_of_mixture():
    yield "token_embd.weight", (512, 1024), "q6_k"
    yield "output.weight", (512, 1024), "q8_0"
    yield "output_norm.weight", (512,), "f32"
    for layer in range(2):
        block = f"blk.{layer}"
        yield f"{block}.attn_q.weight", (512, 512), "q4_k"
        yield f"{block}.attn_k.weight", (512, 128), "q4_k"
        yield f"{block}.attn_v.weight", (512, 128), "q6_k"
        yield f"{block}.attn_output.weight", (512, 512), "iq4_xs"
        yield f"{block}.ffn_gate_inp.weight", (512, 4), "f32"
        for part in ("gate", "up"):
            yield f"{block}.ffn_{part}_exps.weight", (512, 256, 4), "q3_k"
        yield f"{block}.ffn_down_exps.weight", (256, 512, 4), "q5_k"
        for norm in ("attn_norm", "ffn_norm"):
            yield f"{block}.{norm}.weight", (512,), "f32"


def test_tensor_types_sum_to_the_stored_bytes(tmp_path):
    file = tmp_path / "mixture.gguf"
    tensors = list(tensors_of_mixture())
    file.write_bytes(header(MIXTURE, tensors))
    sections = sections_of_gguf(file, "m", source="mixture")
    entry = sections["models"]["m"]
    forms = {
        name: WeightFormat.model_validate({**form, "key": name}) for name, form in sections["weight_formats"].items()
    }
    count = count_parameters(Model.model_validate({**entry, "key": "m"}))
    body, experts = forms[entry["weight_format"]], forms[entry["expert_format"]]
    bits = (
        (count.body - count.experts) * float(stored_bits(body))
        + count.experts * float(stored_bits(experts))
        + (count.embedding + count.head) * body.head_bits
    )
    stored = 0
    for _, shape, kind in tensors:
        _, block, size = TYPES[TYPE_OF[kind]]
        elements = 1
        for width in shape:
            elements *= width
        stored += elements // block * size if len(shape) > 1 else 0
    assert bits / 8 == pytest.approx(stored, rel=1e-9)
    assert entry["published_as"].startswith("GGUF: q3_k ")


def test_types_are_those_of_the_writers_library():
    gguf = pytest.importorskip("gguf")
    for number, (name, block, size) in TYPES.items():
        kind = gguf.GGMLQuantizationType(number)
        assert (kind.name.lower(), *gguf.GGML_QUANT_SIZES[kind]) == (name, block, size)


def test_files_whose_tensors_are_not_what_the_fields_describe(tmp_path):
    file = tmp_path / "more.gguf"
    extra = [("blk.0.altup.weight", (512, 4096), "f16")]
    file.write_bytes(header(MIXTURE, [*tensors_of_mixture(), *extra]))
    with pytest.raises(LibraryError, match=r"tensors hold .* its fields describe .*give the config.json"):
        sections_of_gguf(file, "m", source="more")
    tensors = list(tensors_of_mixture())
    file.write_bytes(header({**MIXTURE, "split.count": 2}, tensors[:9]))
    assert "weight_format" not in sections_of_gguf(file, "m", source="part")["models"]["m"]
    # Fewer tensors than layers are a header alone; as many are a model that lacks most of its weights.
    layers = MIXTURE["qwen3moe.block_count"]
    file.write_bytes(header(MIXTURE, tensors[: layers - 1]))
    assert "weight_format" not in sections_of_gguf(file, "m", source="header")["models"]["m"]
    file.write_bytes(header(MIXTURE, tensors[:layers]))
    with pytest.raises(LibraryError, match=r"tensors hold .* its fields describe"):
        sections_of_gguf(file, "m", source="most")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "not a GGUF file"),
        (b"GG", "not a GGUF file"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
        (header(MIXTURE, magic=b"ggml"), "not a GGUF file"),
        (header(MIXTURE, version=1), "GGUF version 1 is not one of 2, 3"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 1), "tensors, .* at most are read"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 2**60), "fields, .* at most are read"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2**62), "cut off"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 4, 2**62), "items of an array"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 4, MOST_ITEMS), "cut off"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 9, 1), "an array of kind 9"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<I", 77), "a value of kind 77"),
        (header({**MIXTURE, "general.architecture": "rwkv7"}), "'rwkv7' is not read from GGUF files; give the config"),
        (header({**MIXTURE, "qwen3moe.attention.head_count_kv": [2, 4]}), "head_count_kv: differs from layer to layer"),
        (header({**MIXTURE, "qwen3moe.attention.key_length_swa": 32}), "tells of windows with heads of another width"),
        (header({**MIXTURE, "qwen3moe.moe_latent_size": 128}), "moe_latent_size tells of experts on latent vectors"),
        (header({**MIXTURE, "qwen3moe.some_width": [2, 4]}), "some_width: differs from layer to layer"),
        (header({**MIXTURE, "qwen3moe.block_count": 0}), "num_hidden_layers must be greater than 0"),
        (header({**MIXTURE, "qwen3moe.block_count": "two"}), "num_hidden_layers must be"),
        (header({**MIXTURE, "qwen3moe.attention.value_length": 32}), "values 32 wide beside keys of 64"),
        (header({"general.architecture": "llama"}), "missing"),
    ],
)
def test_hostile_headers_give_one_line_and_take_nothing(tmp_path, content, told):
    file = tmp_path / "bad.gguf"
    file.write_bytes(content)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    with pytest.raises(LibraryError, match=told) as caught:
        sections_of_gguf(file, "x", source="bad.gguf")
    assert "\n" not in str(caught.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 65536
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("dimensions", [0, 1, 8, 9])
def test_tensors_of_more_dimensions_than_any_are_refused(tmp_path, dimensions):
    file = tmp_path / "model.gguf"
    file.write_bytes(header(MIXTURE, [("a", (2,) * dimensions, "f32")]))
    if dimensions == 9:
        with pytest.raises(LibraryError, match="a tensor of 9 dimensions"):
            read_header(file)
    else:
        (tensor,) = read_header(file).tensors
        assert tensor.shape == (2,) * dimensions


def test_values_that_are_one_for_all_layers_may_be_lists(tmp_path):
    file = tmp_path / "lists.gguf"
    file.write_bytes(header({**MIXTURE, "qwen3moe.attention.head_count_kv": [2, 2]}))
    assert model_of(file).kv_heads == 2


def test_layers_that_predict_further_tokens_and_windows_layer_by_layer(tmp_path):
    file = tmp_path / "lists.gguf"
    file.write_bytes(header({**MIXTURE, "qwen3moe.block_count": 3, "qwen3moe.nextn_predict_layers": 1}))
    model = model_of(file)
    assert model.layers == 2 and "predict further tokens" in model.note
    # OLMo 3 as llama.cpp writes it: the architecture of OLMo 2, and which of its layers have a window.
    dense = {name.replace("qwen3moe", "olmo2"): value for name, value in MIXTURE.items() if "expert" not in name}
    windows = {"olmo2.attention.sliding_window": 16, "olmo2.attention.sliding_window_pattern": [1, 0]}
    file.write_bytes(header({**dense, "general.architecture": "olmo2", **windows}))
    held = cache_bytes(model_of(file), Shape(1.0, 1, 1), tokens=64.0, kv_bits=16.0)
    assert float(held) == (16 + 64) * 2 * 2 * 64 * 2


def test_per_layer_embeddings_and_shared_caches_of_a_header(tmp_path):
    kind, sizes = "gemma3n", {
        "block_count": 35, "embedding_length": 2048, "feed_forward_length": [16384] * 35, "attention.head_count": 8,
        "attention.head_count_kv": 2, "attention.key_length": 256, "attention.value_length": 256, "vocab_size": 262400,
        "attention.sliding_window": 512, "attention.sliding_window_pattern": [1, 1, 1, 1, 0] * 7,
        "context_length": 32768, "embedding_length_per_layer_input": 256, "altup.num_inputs": 4,
        "attention.shared_kv_layers": 15,
    }  # fmt: skip
    file = tmp_path / "gemma3n.gguf"
    file.write_bytes(header({"general.architecture": kind, **{f"{kind}.{one}": told for one, told in sizes.items()}}))
    model = model_of(file)
    # What the class of transformers 5.24.0 counts; 4 layers of 20 with a cache of their own see the whole context.
    assert count_parameters(model).total == pytest.approx(6835235584, rel=1e-5)
    held = cache_bytes(model, Shape(1.0, 1, 1), tokens=32768.0, kv_bits=16.0)
    assert float(held) == (16 * 512 + 4 * 32768) * 2 * 2 * 256 * 2


def test_keys_and_values_that_tensors_make_are_those_that_are_described(tmp_path):
    file, tensors = tmp_path / "narrow.gguf", list(tensors_of_mixture())
    narrow = [(name, (512, 64) if name == "blk.1.attn_v.weight" else shape, kind) for name, shape, kind in tensors]
    file.write_bytes(header(MIXTURE, narrow))
    with pytest.raises(LibraryError, match="make 448 keys and values of a token, its fields describe 512"):
        sections_of_gguf(file, "m", source="narrow")


def test_latent_attention_is_read_where_its_sizes_are_there(tmp_path):
    """DeepSeek-V2-Lite as newer converters write it; the older file in hand is refused with a way out."""
    file = tmp_path / "lite.gguf"
    kind = "deepseek2"
    sizes = {
        "block_count": 27, "embedding_length": 2048, "feed_forward_length": 10944, "attention.head_count": 16,
        "attention.head_count_kv": 1, "attention.kv_lora_rank": 512, "attention.key_length": 576,
        "attention.value_length": 512, "attention.key_length_mla": 192, "attention.value_length_mla": 128,
        "rope.dimension_count": 64, "expert_count": 64, "expert_used_count": 6, "expert_feed_forward_length": 1408,
        "expert_shared_count": 2, "leading_dense_block_count": 1, "context_length": 163840, "vocab_size": 102400,
    }  # fmt: skip
    fields = {"general.architecture": kind, **{f"{kind}.{name}": value for name, value in sizes.items()}}
    file.write_bytes(header(fields, [("output.weight", (32, 32), "f16")]))
    assert count_parameters(model_of(file)).total == pytest.approx(15.706e9, rel=1e-3)
    with pytest.raises(LibraryError, match=r"give the config.json"):
        model_of(FILES / "deepseek2.gguf")


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_broken_bytes_never_end_in_anything_but_a_sentence(tmp_path_factory, data):
    whole = bytearray(header(MIXTURE, list(tensors_of_mixture())))
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        whole[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    file = tmp_path_factory.mktemp("broken") / "x.gguf"
    file.write_bytes(whole[:cut] if data.draw(st.booleans()) else whole)
    try:
        model_of(file)
    except LibraryError as error:
        assert "\n" not in str(error)


def test_a_header_without_end_is_refused(tmp_path):
    file = tmp_path / "long.gguf"
    with file.open("wb") as stream:
        stream.write(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", MOST_BYTES + 5))
        os.truncate(file, MOST_BYTES + 100)
    with pytest.raises(LibraryError, match="longer than 64 MiB"):
        read_header(file)


def test_the_command_tells_a_cut_off_file(call):
    status, _, err = call("explain", "1x h100_sxm", "--workload", f"{FILES / 'truncated.gguf'} batch=1")
    assert status == 2 and len(err.strip().splitlines()) == 1
    assert "cut off within its header" in err


def test_a_header_is_cut_off_or_longer_than_any(tmp_path, monkeypatch):
    file = tmp_path / "m.gguf"
    cut = header(MIXTURE)[:-1]
    monkeypatch.setattr("cost_models.library.gguf_header.MOST_BYTES", len(cut))
    for content, says in ((cut, "cut off within its header"), (cut + b"\0\0", "longer than 0 MiB")):
        file.write_bytes(content)
        with pytest.raises(LibraryError, match=says):
            read_header(file)


def made(name, shape, kind):
    return Tensor(name, tuple(shape), TYPE_OF[kind.lower()])


def test_formats_are_the_mean_bits_of_body_experts_and_head():
    body = [made("blk.0.attn_q.weight", (256, 256), "Q4_K"), made("blk.0.ffn.weight", (256, 768), "F16")]
    experts = [made("blk.0.ffn_up_exps.weight", (256, 256, 4), "Q8_0")]
    norms = [made("blk.0.attn_norm.weight", (256,), "F32")]
    q4, q8 = 144 * 8 / 256, 34 * 8 / 32
    published, formats = gguf_models._formats([*body, *experts, *norms], "x")
    assert formats["x_body"]["weight_bits"] == (q4 + 3 * 16) / 4 and formats["x_experts"]["weight_bits"] == q8
    assert formats["x_body"]["head_bits"] == 16, "without tensors of a head it is as wide as models are published"
    assert published == {
        "published_as": "GGUF: q8_0 50 %, f16 37.5 %, q4_k 12.5 %", "native_formats": False, "weight_format": "x_body",
        "expert_format": "x_experts",
    }  # fmt: skip
    head = [made("token_embd.weight", (256, 64), "Q8_0"), made("output.weight", (256, 64), "F16")]
    _, dense = gguf_models._formats([*body, *head], "x")
    assert list(dense) == ["x_body"] and dense["x_body"]["head_bits"] == (q8 + 16) / 2
    assert (formats["x_body"]["method"], formats["x_body"]["execution"]) == ("kquant", "dequantize")
    whole = gguf_models._entry("n", 16.0, 16.0)
    assert (whole["method"], whole["execution"], whole["operand_bits"]) == ("none", "dense", 16)


@pytest.mark.parametrize(
    ("name", "layer"),
    [("blk.7.attn_q.weight", 7), ("blk.12.x", 12), ("blk.x.y", -1), ("blk.3", -1), ("output.1.weight", -1), ("", -1)],
)
def test_the_layer_of_a_tensor_stands_in_its_name(name, layer):
    assert gguf_models._layer(Tensor(name, (1,), 0)) == layer
