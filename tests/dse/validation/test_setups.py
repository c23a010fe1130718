"""Measured rows as what a user types: formats, chips and layouts."""

import numpy as np
import pandas as pd
import pytest

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from dse.validation import setups

LIBRARY, TECHNOLOGY = shipped_library(), Technology()


@pytest.mark.parametrize(
    ("chip", "bits", "form"),
    [
        ("h100_sxm", 16, "bf16"), ("h100_sxm", 8.01, "bf16"), ("h100_sxm", 8, "fp8"), ("h100_sxm", 4.6, "fp8"),
        ("h100_sxm", 4.5, "nvfp4"), ("a100_80gb_sxm", 8, "int8"), ("tpu_v4", 8, "int8"), ("a100_80gb_sxm", 4, "nvfp4"),
        ("tpu_v2", 8, "fp8"),
    ],
)  # fmt: skip
def test_activations_meet_weights_of_their_width_as_the_chip_multiplies(chip, bits, form):
    entry = LIBRARY.chip(chip)
    assert setups.multiplied_format(entry, bits) == form
    assert chip != "tpu_v2" or {"fp8", "int8"}.isdisjoint(entry.peak_tops), "neither is published: fp8"


@pytest.mark.parametrize(
    ("model", "cells", "form", "expert", "stored"),
    [
        ("llama3_8b", (16, 16), "bf16", None, None), ("llama3_8b", (8, 8), "fp8", None, None),
        ("llama3_8b", (8, 16), "bf16", None, 8.0), ("llama3_8b", (4.5, 16), "bf16", None, 4.5),
        ("llama3_8b", (4.5, 4), "nvfp4", None, None), ("llama3_8b", (4.25, 4), "nvfp4", None, 4.25),
        # Bits and activations of the format that the maker publishes, or that the row names.
        ("deepseek_v3", (8, 8), "fp8_block128", None, 8.0), ("deepseek_v3", (8, 16), "bf16", None, 8.0),
        ("deepseek_v3", (8.4, 8), "fp8_block128", None, 8.4), ("deepseek_v3", (8.6, 8), "fp8", None, 8.6),
        ("llama3_8b", (8, 8, "fp8_block128"), "fp8_block128", None, 8.0),
        ("llama3_8b", (4.125, 4, "int4_g128"), "int4_g128", None, None),
        ("llama3_8b", (4.125, 16, "int4_g128"), "bf16", None, 4.125),
        ("llama3_8b", (8.4, 8, "int8"), "int8", None, 8.4), ("llama3_8b", (8.5, 8, "int8"), "fp8", None, 8.5),
        # Experts in their narrow format beside the rest as it was trained.
        ("gpt_oss_20b", (4.25, 16), "bf16", None, None), ("gpt_oss_20b", (7.9, 16), "bf16", None, None),
        ("gpt_oss_20b", (4.25, 4), "bf16", "nvfp4", None), ("gpt_oss_20b", (4.25, 8), "bf16", None, None),
        ("gpt_oss_20b", (8, 8), "fp8", None, 8.0), ("gpt_oss_20b", (16, 16), "bf16", None, 16.0),
    ],
)  # fmt: skip
def test_a_row_is_a_chip_with_formats(model, cells, form, expert, stored):
    weight_bits, act_bits, *told = cells
    row = {"chip": "b200", "stack": "vllm", "weight_bits": weight_bits, "act_bits": act_bits, "kv_bits": np.nan}
    table = pd.DataFrame([row | ({"weight_format": told[0]} if told else {})])
    (setup,) = setups.chip_setups(table, LIBRARY, LIBRARY.model(model))
    assert (setup.weight_format, setup.expert_format, setup.stored_bits) == (form, expert, stored)
    assert (setup.chip, setup.serving_stack, setup.act_bits, setup.kv_bits) == ("b200", "vllm", act_bits, 16.0)


def test_llama_cpp_narrows_what_a_maker_left_wide():
    row = {"chip": "rtx_4090", "weight_bits": 4.25, "act_bits": 16.0, "kv_bits": 8.0}
    table = pd.DataFrame([row | {"stack": "llama_cpp"}, row | {"stack": "vllm"}])
    narrow, wide = setups.chip_setups(table, LIBRARY, LIBRARY.model("gpt_oss_20b"))
    assert (narrow.stored_bits, wide.stored_bits, narrow.kv_bits) == (4.25, None, 8.0)
    (kernel,) = setups.chip_setups(table[:1], LIBRARY)
    assert (kernel.weight_format, kernel.stored_bits) == ("bf16", 4.25)


TYPED = {
    "model": "llama3_8b", "chip": "h100_sxm", "stack": "vllm", "weight_bits": 8.0, "act_bits": 16.0, "kv_bits": 8.0,
    "tensor": 1.0, "stages": 1.0, "replicas": 1.0, "dealt": 1.0, "kind": "tensor", "cache_split": "heads",
    "used_batch": 4.0, "prompt": 100.0, "output": 10.0, "batching": "static", "chunk_rows": np.nan,
    "expert_spread": np.nan, "same_prompts": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "chips", "layout"),
    [
        ({}, 1, "tensor"), ({"tensor": 8}, 8, "tp8"), ({"tensor": 2, "stages": 3}, 6, "tp2_pp3"),
        ({"stages": 4, "kind": "layer_split"}, 4, "layer_split4"), ({"replicas": 4, "dealt": 4}, 4, "dp4"),
        ({"tensor": 2, "replicas": 4, "dealt": 8}, 8, "tp2_dp4"), ({"tensor": 2, "replicas": 4}, 8, "tp2_dp4_ep1"),
        ({"tensor": 8, "dealt": 4}, 8, "tp8_ep4"), ({"tensor": 4, "cache_split": "batch"}, 4, "tp4_kv_batch"),
    ],
)  # fmt: skip
def test_a_row_is_typed_as_it_stands_in_a_sweep(changed, chips, layout):
    ((baseline, workload),) = setups.typed(pd.DataFrame([TYPED | changed]), LIBRARY)
    assert baseline == {
        "chips": f"{chips}x h100_sxm", "weight_format": "bf16", "kv_bits": 8.0, "act_bits": 16.0,
        "serving_stack": "vllm", "parallelism": layout, "stored_bits": 8.0,
    }  # fmt: skip
    assert workload == {
        "model": "llama3_8b", "batch": 4.0, "prompt_tokens": 100.0, "output_tokens": 10.0, "batching": "static",
    }  # fmt: skip


def test_what_is_not_usual_is_typed_too():
    odd = TYPED | {"used_batch": np.nan, "chunk_rows": 512.0, "expert_spread": 0.5, "same_prompts": True}
    odd |= {"model": "gpt_oss_20b", "chip": "b200", "weight_bits": 4.25, "act_bits": 4.0}
    ((baseline, workload),) = setups.typed(pd.DataFrame([odd]), LIBRARY)
    assert (baseline["expert_format"], "stored_bits" in baseline, workload["batch"]) == ("nvfp4", False, "largest")
    assert (workload["chunk_rows"], workload["expert_spread"], workload["same_prompts"]) == (512, 0.5, True)
