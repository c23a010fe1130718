"""Software stacks: which one a name means, what it inherits, how chips pace it."""

import dataclasses
import re

import numpy as np
import pytest

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.performance.serving_stack import PACED, Software, default_stack, software, stack_for_software
from cost_models.table import Choice

LIBRARY = shipped_library()


@pytest.mark.parametrize(
    ("name", "chip", "expected"),
    [
        ("TensorRT-LLM v0.9.0", "h100_sxm", ("tensorrt_llm", True)),
        ("llama.cpp b6918", "gb10_spark", ("llama_cpp", True)),
        ("llama.cpp (May 2024)", "a100_80gb_sxm", ("llama_cpp", True)),
        ("llama.cpp vulkan_radv", "amd_ryzen_ai_max_395", ("llama_cpp_vulkan", True)),
        ("vLLM 0.12.0", "mi300x", ("vllm", True)),
        ("vLLM 0.12.0", "tpu_v6e", ("accelerator_serving", False)),
        ("Transformers NeuronX (Neuron 2.18.0)", "trainium1", ("neuron", True)),
        ("an engine nobody heard of", "h200_sxm", ("gpu_serving", False)),
        ("", "apple_m3_max_40core", ("llama_cpp_metal", False)),
    ],
)
def test_a_name_finds_its_stack_or_the_generic_one_of_the_chip(name, chip, expected):
    assert stack_for_software(name, LIBRARY.chip(chip), LIBRARY) == expected


def test_every_chip_has_a_generic_stack_and_a_pace():
    for chip in LIBRARY.chips.values():
        assert default_stack(chip, LIBRARY) in LIBRARY.stacks
        assert f"chip_families.{chip.family}.floor_factor" in LIBRARY.parameters


def test_every_pattern_is_one_and_every_stack_has_every_parameter():
    names = {field.name for field in dataclasses.fields(Software)}
    for stack in LIBRARY.stacks.values():
        assert set(stack.parameters) == names
        for pattern in stack.software:
            re.compile(pattern)


def test_what_a_stack_does_not_give_stands_in_its_base():
    own, base = LIBRARY.stack("tensorrt_llm"), LIBRARY.stack("gpu_serving")
    assert own.parameters["attention_bandwidth_efficiency"] is base.parameters["attention_bandwidth_efficiency"]
    assert own.parameters["kernel_s"] is not base.parameters["kernel_s"]


def test_a_generation_scales_floors_and_what_large_gemms_reach_and_nothing_else():
    numbers = {
        "chip_families.hopper.floor_factor": 0.5,
        "chip_families.hopper.gemm_factor": 0.8,
        "chip_families.hopper.portable_factor": 0.6,
    }
    stack, technology = Choice.of("tensorrt_llm"), Technology(numbers)
    plain, paced = software(stack, technology), software(stack, technology, Choice.of("hopper"))
    for field in dataclasses.fields(Software):
        before, after = getattr(plain, field.name), getattr(paced, field.name)
        others = {"stream_limit_gbps": 2.0, "cache_read_gbps": 2.0, "gemm_efficiency": 0.8}
        # Kernels that dequantize the weights of experts use instructions of every generation.
        others["expert_dequantize_efficiency"] = 0.6
        factor = 0.5 if field.name in PACED else others.get(field.name, 1.0)
        np.testing.assert_allclose(after, before * factor)


def test_every_parameter_of_a_fit_says_so_with_its_rows_and_spread():
    fitted = [
        f for stack in LIBRARY.stacks.values() for f in stack.parameters.values() if f.note.startswith("fitted on")
    ]
    assert fitted
    for parameter in fitted:
        assert re.search(r"fitted on (\d+ end-to-end rows|the power of \d+ rows) \(\w", parameter.note)
        assert parameter.low is not None and parameter.high is not None
