"""Entries of the library just inside and just outside of each rule that ties their fields together."""

import re
from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from cost_models.library import Chip, Model, WeightFormat, shipped_library
from cost_models.library.chip_peaks import OPERAND_WIDTHS, peak_ops_per_s
from cost_models.library.layers import StateLayers
from cost_models.library.models import Moe
from cost_models.library.records import Bounds, Conflict, LibraryParameter, LibraryRecord, MacFormat

LIBRARY = shipped_library()
GROUP = {"layers": 4, "reach": 64}
STATE = {"kind": "mamba2", "layers": 16, "heads": 4, "head_dim": 8, "key_dim": 16}
MLA = {"kv_lora_rank": 64, "qk_nope_head_dim": 32, "qk_rope_head_dim": 16, "v_head_dim": 32}
INDEXER = {"heads": 4, "head_dim": 16, "top_k": 128}
MOE = {"experts": 8, "active_experts": 2, "expert_d_ff": 64, "shared_experts": 3, "first_dense_layers": 0}
PLAIN = {"lut_tops": None, "binary_tops": None, "executions": ("dense", "direct")}
BASE = {
    Chip: LIBRARY.chip("a100_80gb_sxm").model_copy(update=PLAIN), Model: LIBRARY.model("llama2_7b"),
    WeightFormat: LIBRARY.weight_format("int4_g128"),
}  # fmt: skip


def made(kind, changes):
    """Return an entry with changes; what is None by default is left out."""
    told = {name: value for name, value in BASE[kind].model_dump().items() if value is not None}
    return kind.model_validate({name: v for name, v in {**told, **changes}.items() if v != "absent"})


ALLOWED = [
    (Chip, {"rental_usd_per_hour": 2.0, "rental_basis": "a page"}),
    (Chip, {"second_capacity_gib": 2.0, "second_bandwidth_gbps": 2.0}),
    (Chip, {"executions": ("dense", "direct", "look_up", "bit_plane"), "lut_tops": 1.0, "binary_tops": 1.0}),
    (Chip, {"executions": ("dense",), "peak_tops": {"bf16": 312.0}}),
    (Model, {"window_layers": 32, "sliding_window": 64}),
    (Model, {"attention": "MLA", "mla": MLA, "indexer": INDEXER}),
    (Model, {"attention_layers": [GROUP, {"layers": 28}]}),
    (Model, {"attention_layers": [{"layers": 32, "indexed": True}], "indexer": INDEXER}),
    (Model, {"attention_layers": [{"layers": 16}], "state_layers": [STATE]}),
    (Model, {"attention": "none", "state_layers": [{**STATE, "layers": 32}]}),
    (Model, {"attention": "none", "state_layers": [STATE], "heads": "absent", "kv_heads": "absent",
             "head_dim": "absent"}),
    (Model, {"dense_layers": [], "d_ff": "absent"}),
    (Model, {"dense_layers": [{"layers": 32, "d_ff": 8}]}),
    (Model, {"complete": False, "d_ff": "absent", "layers": "absent"}),
    (Model, {"complete": False, "layers": 8, "window_layers": 9, "sliding_window": 64}),
    (Model, {"moe": {**MOE, "active_experts": 8}}),
    (WeightFormat, {"kind": "nm", "n": 2, "m": 4, "sparsity": 0.5, "index_bits": 2, "pruning": "wanda"}),
    (WeightFormat, {"kind": "nm", "n": 1, "m": 3, "sparsity": 1 - 1 / 3, "index_bits": 2, "pruning": "wanda"}),
    (WeightFormat, {"kind": "bitmap", "sparsity": 0.5, "pruning": "wanda"}),
    (WeightFormat, {"kind": "double_group", "group": 64, "scale_bits": 8, "second_group": 4, "second_scale_bits": 16}),
    (WeightFormat, {"free": ("weight_bits", "sparsity")}),
]  # fmt: skip

REFUSED = [
    (Chip, {"rental_usd_per_hour": 2.0, "rental_basis": ""}, "rental_usd_per_hour and rental_basis, its date"),
    (Chip, {"rental_usd_per_hour": "absent", "rental_basis": "a page"}, "rental_usd_per_hour and rental_basis"),
    (Chip, {"second_capacity_gib": 2.0}, "second_capacity_gib and second_bandwidth_gbps go together"),
    (Chip, {"second_bandwidth_gbps": 2.0}, "second_capacity_gib and second_bandwidth_gbps go together"),
    (Chip, {"executions": ("dense",)}, "executions must hold direct where peak_tops has int8, int4"),
    (Chip, {"executions": ("direct", "bit_plane")}, "binary_tops must be given where executions hold bit_plane"),
    (Chip, {"executions": ("direct", "look_up")}, "lut_tops must be given where executions hold look_up and nowhere"),
    (Chip, {"lut_tops": 1.0}, "lut_tops must be given where executions hold look_up and nowhere else"),
    (Chip, {"binary_tops": 1.0}, "binary_tops must be given where executions hold bit_plane and nowhere else"),
    (Model, {"d_model": "absent", "d_ff": "absent"}, "needs d_model, d_ff, or complete: false where they are not pub"),
    (Model, {"heads": "absent", "kv_heads": "absent"}, "needs heads, kv_heads, or complete"),
    (Model, {"attention": "none", "state_layers": [STATE], "d_ff": "absent"}, "needs d_ff, or complete"),
    (Model, {"attention": "MLA"}, "mla must be given for attention MLA and for no other"),
    (Model, {"mla": MLA}, "mla must be given for attention MLA and for no other"),
    (Model, {"sliding_window": 64}, "sliding_window and window_layers must be given together"),
    (Model, {"window_layers": 4}, "sliding_window and window_layers must be given together"),
    (Model, {"window_layers": 33, "sliding_window": 64}, "window_layers must be at most 32, got 33"),
    (Model, {"attention": "none", "attention_layers": [GROUP]}, "state_layers need attention_layers beside them, or"),
    (Model, {"state_layers": [STATE]}, "state_layers need attention_layers beside them, or attention: none"),
    (Model, {"window_layers": 4, "sliding_window": 64, "attention_layers": [GROUP]}, "sliding_window does not go with"),
    (Model, {"indexer": INDEXER}, "indexer goes with mla, or with attention_layers that are indexed"),
    (Model, {"attention_layers": [{"layers": 4, "indexed": True}]}, "indexer goes with mla, or with attention_layers"),
    (Model, {"attention": "MLA", "mla": MLA, "attention_layers": [{"layers": 4, "indexed": True}],
             "indexer": INDEXER}, "indexer goes with mla, or with attention_layers"),
    (Model, {"attention_layers": [{"layers": 33}]}, "attention_layers must be at most 32 layers, got 33"),
    (Model, {"attention": "none", "state_layers": [STATE, {**STATE, "layers": 17}]}, "state_layers must be at most 32"),
    (Model, {"dense_layers": [{"layers": 33, "d_ff": 8}]}, "dense_layers must be at most 32 layers, got 33"),
    (Model, {"attention_layers": [{"layers": 4, "chunked": True}]}, "chunked needs reach, the tokens of a chunk"),
    (Model, {"moe": {**MOE, "active_experts": 9}}, "active_experts must be at most 8, got 9"),
    (WeightFormat, {"sparsity": -0.5}, "greater than or equal to 0"),
    (WeightFormat, {"correlation": 1}, "less than 1"),
    (WeightFormat, {"sparsity": 0.5, "pruning": "wanda"}, "sparsity 0.5 does not go with kind group"),
    (WeightFormat, {"kind": "bitmap"}, "sparsity 0 does not go with kind bitmap"),
    (WeightFormat, {"kind": "bitmap", "sparsity": 0.5}, "pruning must be given where sparsity is above 0 and nowhere"),
    (WeightFormat, {"pruning": "wanda"}, "pruning must be given where sparsity is above 0 and nowhere else"),
    (WeightFormat, {"kind": "nm", "n": 2, "m": 4, "sparsity": 0.51, "index_bits": 2, "pruning": "wanda"},
     "n of m must leave the sparsity 0.51, got 2 of 4"),
    (WeightFormat, {"kind": "nm", "n": 2, "m": 4, "sparsity": 0.49, "index_bits": 2, "pruning": "wanda"},
     "n of m must leave the sparsity 0.49, got 2 of 4"),
    (WeightFormat, {"kind": "nm", "n": 4, "m": 4, "sparsity": 1e-10, "index_bits": 2, "pruning": "wanda"},
     "n of m must leave the sparsity 1e-10, got 4 of 4"),
    (WeightFormat, {"kind": "csr", "sparsity": 0.5, "pruning": "wanda", "index_bits": 16},
     "kind csr needs row_pointer_bits"),
    (WeightFormat, {"kind": "double_group", "group": 64, "scale_bits": 8}, "needs second_group, second_scale_bits"),
    (WeightFormat, {"free": ("weight_bits", "colour")}, "free 'colour' must be one of weight_bits, weight_group"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "changes"), ALLOWED)
def test_entries_just_inside_their_rules(kind, changes):
    made(kind, changes)


@pytest.mark.parametrize(("kind", "changes", "told"), REFUSED)
def test_entries_just_outside_their_rules(kind, changes, told):
    with pytest.raises(ValidationError) as caught:
        made(kind, changes)
    assert told in str(caught.value)


def records(kind=LibraryRecord):
    """Return every class of records."""
    return [kind, *(one for below in kind.__subclasses__() for one in records(below))]


OF_THEMSELVES = (Bounds, Conflict, LibraryParameter)
"""Ranges, numbers that are held to one, and what sources print."""


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in records()
        if kind not in OF_THEMSELVES
        for name, field in kind.model_fields.items()
        if {"int", "float"} & set(re.findall(r"\w+", str(field.annotation)))
    ],
)
def test_every_number_of_a_record_has_a_range(kind, name):
    field = kind.model_fields[name]
    text = str(field.annotation)
    told = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    for number in (10**16, 10**19, -(10**19), -1, *((1e300, 1e-300) if "float" in text else ())):
        for value in (number, [number], {"fp16": number}):
            with pytest.raises(ValidationError):
                TypeAdapter(told).validate_python(value)


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        (Model, {"head_dim": 2**24 - 1, "layers": 4096, "max_context": 2**31 - 1, "published_params": 1e15}),
        (WeightFormat, {"weight_bits": 64, "scale_bits": 64, "group": 2**31 - 1}),
        (Chip, {"link_gbps": 1e15, "tdp_w": 1e15, "devices": 2**24 - 1, "year": 2200}),
    ],
)
def test_the_most_of_a_number_may_be_and_one_more_may_not(kind, most):
    made(kind, most)
    for name, number in most.items():
        with pytest.raises(ValidationError, match=name):
            made(kind, {name: number * 1.01 if isinstance(number, float) else number + 1})


@pytest.mark.parametrize(
    ("peaks", "executions"),
    [
        ({"bf16": 1.0, "fp32": 1.0}, ("dense", "dequantize")),
        *(({"bf16": 1.0, name: 1.0}, ("dense", "direct", "dequantize")) for name in ("fp8", "int8", "int4", "fp4")),
    ],
)
def test_a_chip_multiplies_narrow_codes_where_it_has_a_peak_for_them(peaks, executions):
    assert made(Chip, {"peak_tops": peaks, "executions": "absent"}).executions == executions


SERVER = {"fp8": 2000.0, "bf16": 1000.0, "int8": 2100.0, "int4": 4000.0}


@pytest.mark.parametrize(
    ("peaks", "kind", "bits", "name", "tops"),
    [
        # The format of the width, or the next wider one; a part of a bit is the share of a block's scales.
        (SERVER, "float", 16, "bf16", 1000), (SERVER, "float", 8, "fp8", 2000), (SERVER, "float", 4, "fp8", 2000),
        (SERVER, "float", 8.99, "fp8", 2000), (SERVER, "float", 9, "bf16", 1000), (SERVER, "int", 16, "bf16", 1000),
        (SERVER, "int", 8, "int8", 2100), (SERVER, "int", 4.5, "int4", 4000), (SERVER, "int", 2, "int4", 4000),
        (SERVER, "int", 5, "int8", 2100), ({"fp16": 5.0, "fp32": 2.0}, "float", 16, "fp16", 5),
        ({"fp16": 5.0, "bf16": 4.0}, "int", 3, "bf16", 4), ({"fp32": 2.0}, "int", 4, "fp32", 2),
        # Nothing as wide: the widest below, half as fast for each doubling.
        (SERVER, "float", 32, "fp32", 500), (SERVER, "int", 40, "fp32", 500), ({"int8": 6.0}, "float", 16, "bf16", 3),
        ({"int4": 8.0}, "int", 32, "fp32", 1), ({"fp8": 6.0, "int8": 9.0}, "int", 16, "bf16", 4.5),
        ({"fp8": 6.0, "int8": 9.0}, "float", 16, "bf16", 3), ({"int8": 9.0, "fp4": 16.0}, "float", 8, "fp8", 8),
    ],
)  # fmt: skip
def test_the_peak_that_operands_reach(peaks, kind, bits, name, tops):
    chip = BASE[Chip].model_copy(update={"peak_tops": peaks})
    assert peak_ops_per_s(chip, kind=kind, bits=bits) == (name, pytest.approx(tops * 1e12))


def test_a_chip_without_peaks_has_no_rate():
    name, rate = peak_ops_per_s(BASE[Chip].model_copy(update={"peak_tops": {}}), kind="int", bits=8)
    assert name == "int8" and rate != rate
    assert OPERAND_WIDTHS == {
        "fp4": 4, "int4": 4, "fp8": 8, "int8": 8, "bf16": 16, "fp16": 16, "fp32": 32,
    }  # fmt: skip


def test_a_number_lies_between_its_ends_or_on_them():
    rest = {"sources": ("a",), "confidence": "low"}
    for low, high in ((2, 2), (None, None), (1, None), (None, 3)):
        assert LibraryParameter(typ=2, low=low, high=high, **rest).typ == 2
    for low, high in ((2.1, None), (None, 1.9), (-1, None)):
        with pytest.raises(ValidationError):
            LibraryParameter(typ=2, low=low, high=high, **rest)


@pytest.mark.parametrize(("weights", "told", "takes"), [(True, None, True), (False, None, False), (False, True, True)])
def test_a_unit_takes_floating_point_activations_as_weights_unless_told(weights, told, takes):
    unit = MacFormat(key="x", weight_bits=4, activation_bits=8, float_weights=weights, float_activations=told)
    assert unit.takes_float_activations is takes


def test_what_a_mixture_and_a_state_hold_by_hand():
    mixture = Moe(**MOE)
    assert (mixture.routed, mixture.shared_width) == (8, 3 * 64)
    assert Moe(**{**MOE, "shared_d_ff": 50, "zero_experts": 4}).shared_width == 50
    assert Moe(**{**MOE, "zero_experts": 4}).routed == 12
    # 4 heads of 8 x 16, and 3 inputs of the convolution over 32 values and twice two groups of 16.
    state = StateLayers(**STATE, key_heads=2, conv_width=4, state_bits=32)
    assert (state.inner, state.keys, state.conv_channels, state.matrix_elements) == (32, 32, 96, 512)
    assert state.state_bytes == 512 * 4 + 3 * 96 * 2
    for kind, channels in (("mamba", 32), ("convolution", 32), ("gated_delta", 96)):
        assert StateLayers(**{**STATE, "kind": kind}, key_heads=2, conv_width=1).conv_channels == channels
    without = StateLayers(**STATE, key_heads=2)
    assert (without.conv_channels, without.state_bytes) == (0, 512 * 2)


def test_dimensions_that_are_not_public_are_not_given_out():
    model = made(Model, {"complete": False, "d_ff": "absent", "note": "not public"})
    assert model.layers == 32 and model.complete is False
    with pytest.raises(Exception, match="'llama2_7b' cannot be computed: not public"):
        _ = model.d_ff
    with pytest.raises(AttributeError):
        _ = model.colour


@pytest.mark.parametrize(
    ("key", "floats", "scaled"),
    [("bf16", True, False), ("fp8", True, False), ("int4_g128", False, True), ("nf4_dq", False, False),
     ("vector_2bit", False, False), ("bcq4_g128", False, False), ("mxfp4", True, False), ("int8_channel", False, True)],
)  # fmt: skip
def test_what_stored_codes_are(key, floats, scaled):
    form = LIBRARY.weight_format(key)
    assert (form.has_float_codes, form.has_scaled_integers) == (floats, scaled)
