"""Stored bits against the table of the compression facts and against entropy."""

import math

import numpy as np
import pytest

from cost_models.library import WeightFormat, shipped_library
from cost_models.weights.compression import entropy_bound, nm_mask_bits, stored_bits

LIBRARY = shipped_library()


def form(kind, bits, sparsity=0.0, **fields):
    base = LIBRARY.weight_format({"bitmap": "bitmap_int4_s50"}.get(kind, "bf16"))
    return base.model_copy(update={"kind": kind, "weight_bits": bits, "sparsity": sparsity, "group": None, **fields})


@pytest.mark.parametrize(
    ("bits", "sparsity", "entropy", "bitmap", "csr16", "run_length"),
    [
        (16, 0.5, 9.00, 9.0, 16.0, 9.54),
        (16, 0.9, 2.07, 2.6, 3.2, 2.18),
        (8, 0.7, 3.28, 3.4, 7.2, 3.50),
        (4, 0.5, 3.00, 3.0, 10.0, 3.20),
        (4, 0.6, 2.57, 2.6, 8.0, 2.76),
        (4, 0.8, 1.52, 1.8, 4.0, 1.65),
        (4, 0.9, 0.87, 1.4, 2.0, 0.93),
        (3, 0.7, 1.78, 1.9, 5.7, 1.91),
        (2, 0.9, 0.67, 1.2, 1.8, 0.73),
        (2, 0.5, 2.00, 2.0, 9.0, 2.00),
    ],
)
def test_sparse_formats_store_what_the_table_says(bits, sparsity, entropy, bitmap, csr16, run_length):
    assert entropy_bound(form("bitmap", bits, sparsity)) == pytest.approx(entropy, abs=0.006)
    assert stored_bits(form("bitmap", bits, sparsity)) == pytest.approx(bitmap, abs=0.006)
    csr = form("csr", bits, sparsity, index_bits=16, row_pointer_bits=0)
    assert stored_bits(csr) == pytest.approx(csr16, abs=0.006)
    assert stored_bits(form("run_length", bits, sparsity)) == pytest.approx(run_length, abs=0.006)


def test_pointers_of_rows_and_what_a_run_code_keeps_for_padding_by_hand():
    # A pointer of 32 bits for each row of 64 weights; of each four one is kept.
    assert stored_bits(form("csr", 4, 0.75, index_bits=16, row_pointer_bits=32, columns=64)) == 0.25 * 20 + 0.5
    # One of 16 values says that a run goes on: 15 are left to nonzeros.
    spread = 0.25 * math.log2(4) + 0.75 * math.log2(4 / 3)
    assert entropy_bound(form("run_length", 4, 0.75)) == pytest.approx(spread + 0.25 * math.log2(15))
    assert entropy_bound(form("bitmap", 4, 0.75)) == pytest.approx(spread + 0.25 * 4)


@pytest.mark.parametrize(
    ("key", "bits"),
    [("int4_g128", 4.125), ("int3_g128", 3.125 + 3 / 128), ("bf16", 16), ("fp8", 8), ("bcq4_g128", 4.625),
     ("bitmap_int4_s50", 3.0), ("mxfp4", 4.25), ("exact_4bit", 4.0)],
)  # fmt: skip
def test_named_formats_store_what_their_makers_say(key, bits):
    stored = stored_bits(LIBRARY.weight_format(key))
    scales = 0.25 if key == "bitmap_int4_s50" else 1e-9
    assert bits <= stored <= bits + scales


@pytest.mark.parametrize("key", ["group_int", "group_int_asymmetric", "binary_coded"])
def test_one_scale_per_output_channel_is_not_counted(key):
    assert stored_bits(LIBRARY.weight_format(key).model_copy(update={"weight_bits": 3.0, "group": 0})) == 3.0


def test_scales_that_are_quantised_themselves_by_hand():
    # QLoRA: a scale of 8 bits for 64 weights, and one of 32 bits for 256 of those scales: 0.127 bits.
    assert stored_bits(LIBRARY.weight_format("nf4_dq")) == pytest.approx(4 + 8 / 64 + 32 / (64 * 256))


@pytest.mark.parametrize(("n", "m", "ways"), [(2, 4, 6), (1, 4, 4), (4, 8, 70), (4, 16, 1820)])
def test_a_mask_of_few_of_many_costs_the_logarithm_of_its_ways(n, m, ways):
    kept = form("nm", 8, 1 - n / m, n=n, m=m, index_bits=2)
    assert nm_mask_bits(kept) == pytest.approx(math.log2(ways) / m)
    assert entropy_bound(kept) == pytest.approx(math.log2(ways) / m + 8 * n / m)
    assert stored_bits(kept) == pytest.approx(n / m * (8 + 2))


def test_the_xor_code_costs_four_percent_over_ideal_at_half_sparsity():
    xor = LIBRARY.weight_format("xor_int4_s50")
    planes = (stored_bits(xor.model_copy(update={"group": None})) - 1) / xor.weight_bits
    assert planes / 0.5 == pytest.approx(1.04, abs=0.01)


def test_a_code_of_which_nothing_is_said_misses_nothing():
    named = LIBRARY.weight_format("xor_int4_s50").model_dump(exclude={"encoding_efficiency", "key"}, exclude_none=True)
    ideal = WeightFormat.model_validate({**named, "group": 0, "key": "ideal"})
    # A bit of mask, and of each of four planes 8 bits for 16 and the bit that ends a block of 512.
    assert stored_bits(ideal) == pytest.approx(1 + 4 * (8 / 16 + 1 / 512))


@pytest.mark.parametrize("key", sorted(LIBRARY.weight_formats))
def test_no_format_beats_the_entropy_of_what_it_stores(key):
    entry = LIBRARY.weight_formats[key]
    assert stored_bits(entry) >= entropy_bound(entry) * (1 - 1e-9)


def test_published_files_have_the_bits_of_their_formats():
    formats = shipped_library().weight_formats
    # DFloat11 stores Llama 3.3 70B in 95.4 of 141 GB; sign and mantissa are 8 bits of it, the exponent 2.6 to 3.
    assert stored_bits(formats["dfloat11"]) == pytest.approx(16 * 95.4 / 141, abs=0.01)
    assert stored_bits(formats["fp8_block128"]) == 8 + 32 / 128**2
    # Narrower names of one maker store less, and all less than 16 bits.
    names = ("iq1_m", "iq2_xxs", "iq2_m", "q2_k", "iq3_xxs", "q3_k_m", "iq4_xs", "q4_k_m", "q5_k_m", "q6_k", "q8_0")
    bits = [float(stored_bits(formats[f"gguf_{name}"])) for name in names]
    assert bits == sorted(bits) and bits[-1] == 8.5
    assert [float(stored_bits(formats[f"qtip_{b}bit"])) for b in (2, 3, 4)] == [2, 3, 4]


def test_entropy_coded_integers_take_what_their_codes_are_worth():
    """Symmetric codes of Gaussian weights: the density of x over half the step of its group's largest magnitude."""
    formats, rng = shipped_library().weight_formats, np.random.default_rng(0)
    for name, group in (("int3_g128_ans", 128), ("int4_g128_ans", 128), ("int8_channel_ans", 4096)):
        form = formats[name]
        weights = rng.standard_normal((2**21 // group, group))
        step = np.abs(weights).max(axis=1, keepdims=True) / (2 ** (form.weight_bits - 1) - 1)
        _, counts = np.unique(np.rint(weights / step), return_counts=True)
        entropy = -float(np.sum(counts / weights.size * np.log2(counts / weights.size)))
        assert 0 < form.coded_bits - entropy < 0.03, name
        scales = 16 / group if form.group else 0.0
        assert float(stored_bits(form)) == form.coded_bits + scales
        assert float(stored_bits(form)) < float(stored_bits(formats[name.removesuffix("_ans")]))
        assert float(entropy_bound(form)) == form.coded_bits
