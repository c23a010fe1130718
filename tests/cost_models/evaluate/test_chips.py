"""Chips as they are run: which formats are meant, and how a file's mean of bits is shared by experts and the rest."""

from dataclasses import replace

import numpy as np
import pytest

from cost_models.evaluate.chips import ChipSetup, chip_columns, chip_formats
from cost_models.evaluate.number_formats import number_formats
from cost_models.library.technology import Technology
from cost_models.workload.param_count import expert_fraction

TECHNOLOGY = Technology()
LIBRARY = TECHNOLOGY.library
OSS, LLAMA = LIBRARY.model("gpt_oss_120b"), LIBRARY.model("llama3_8b")


def test_formats_that_are_left_open_are_those_of_the_models_maker():
    assert OSS.expert_format == "mxfp4" and OSS.weight_format is None and LLAMA.weight_format is None
    both, dense = (model.model_copy(update={"weight_format": "fp8"}) for model in (OSS, LLAMA))
    bare = ChipSetup("h100_sxm")
    cases = (
        (bare, None, "bf16", None),
        (bare, LLAMA, "bf16", None),
        (bare, OSS, "bf16", None),
        (bare, dense, "fp8", None),
        (bare, both, "fp8", "mxfp4"),
        (replace(bare, expert_format="int4_g128"), both, "fp8", "int4_g128"),
        (replace(bare, expert_format="int4_g128"), None, "bf16", "int4_g128"),
        (replace(bare, weight_format="int8"), both, "int8", None),
    )
    for setup, model, weights, experts in cases:
        named = setup.named(model)
        assert (named.weight_format, named.expert_format) == (weights, experts)
        assert named.named(model) == named
    assert (bare.format_words, replace(bare, weight_format="fp8").format_words) == ("bf16 or as published", "fp8")
    assert replace(bare, serving_stack="vllm").serving_stack_name(LIBRARY) == "vllm"
    chip = bare.entry(LIBRARY)
    assert chip is LIBRARY.chip("h100_sxm") and replace(bare, chip=chip).entry(LIBRARY) is chip


def formats(*setups, model=OSS):
    named = [setup.named(model) for setup in setups]
    return number_formats(chip_columns(named, LIBRARY), TECHNOLOGY, model)


@pytest.mark.parametrize("mean", [4.3, 4.5, 4.6, 4.7])
def test_a_files_mean_is_what_experts_and_the_rest_have_together(mean):
    found = formats(ChipSetup("h100_sxm", stored_bits=mean))
    share, least = expert_fraction(OSS), float(formats(ChipSetup("h100_sxm")).stored_expert_bits[0])
    body, experts = float(found.weight_bits[0]), float(found.stored_expert_bits[0])
    assert experts == least and least <= body <= 16
    most = share * least + (1 - share) * 16
    assert share * experts + (1 - share) * body == pytest.approx(np.clip(mean, least, most))


@pytest.mark.parametrize("mean", [5.0, 8.5, 16.0])
def test_a_mean_that_experts_of_their_own_format_cannot_have_is_that_of_all_weights(mean):
    found = formats(ChipSetup("h100_sxm", stored_bits=mean))
    assert found.weight_bits == found.stored_expert_bits == [mean]
    assert formats(ChipSetup("h100_sxm", "int4_g128", stored_bits=mean), model=LLAMA).weight_bits == [mean]


def test_experts_have_the_narrower_of_the_named_and_the_published_format():
    wide, narrow, own = formats(
        ChipSetup("h100_sxm", "bf16"), ChipSetup("h100_sxm", "vector_2bit"), ChipSetup("h100_sxm", "bf16", "int8")
    ).stored_expert_bits
    published = float(formats(ChipSetup("h100_sxm")).stored_expert_bits[0])
    assert wide == published < own and narrow < published
    body = formats(ChipSetup("h100_sxm", "vector_2bit")).weight_bits
    assert narrow == body


def test_rows_of_one_table_are_machines_of_their_own():
    setups = (
        ChipSetup("h100_sxm", "fp8", act_bits=8),
        ChipSetup("a100_80gb_sxm", "int4_g128"),
        ChipSetup("h100_sxm", "bf16"),
        ChipSetup("h100_sxm", "fp8", act_bits=8),
        ChipSetup("rtx_4090", "bf16", serving_stack="llama_cpp"),
    )
    columns = chip_columns(setups, LIBRARY)
    machine, found = chip_formats(setups, columns, TECHNOLOGY, LLAMA)
    for row, setup in enumerate(setups):
        one, alone = chip_formats((setup,), chip_columns((setup,), LIBRARY), TECHNOLOGY, LLAMA)
        for name in ("linear_mac_per_s", "head_mac_per_s", "bandwidth_bytes_per_s", "static_w", "price_usd"):
            assert getattr(machine, name)[row] == getattr(one, name)[0], name
        for name in ("weight_bits", "operand_bits", "dequantized", "scaled_blocks"):
            assert np.broadcast_to(getattr(found, name), 5)[row] == getattr(alone, name)[0], name
