"""A matrix through every format."""

from dataclasses import replace

import numpy as np
import pytest

from cost_models.errors import CompressionError
from dse.weight_codes import codecs
from dse.weight_codes.bitstream import read_fields, write_fields
from dse.weight_codes.codecs import compress_matrix, entropy_bound, format_names
from dse.weight_codes.entropy_coding import WORD_BITS, EntropyCoded
from dse.weight_codes.pruning import generate_matrix

MATRIX = generate_matrix((64, 256), seed=1)


def records(matrix=MATRIX, **options):
    return {record.format: record for record in compress_matrix(matrix, **options)}


@pytest.mark.parametrize("bits", [2, 3, 4, 8, 16])
@pytest.mark.parametrize("sparsity", [0.5, 0.9])
def test_every_format_gives_every_code_back_above_its_bound(bits, sparsity):
    result = records(sparsity=sparsity, bits=bits)
    assert tuple(result) == format_names(sparsity=sparsity, bits=bits)
    for record in result.values():
        assert record.lossless
        assert 0 < record.efficiency <= 1 + 1e-12
        assert record.encode_s >= 0 and record.decode_s >= 0
        assert np.isnan(record.encoding_efficiency) != record.format.startswith("xor")


def test_sizes_at_four_bits_and_half_sparsity():
    result = {name: record.stored_bits for name, record in records(sparsity=0.5, group=128).items()}
    scales = 16 / 128
    assert result["group"] == 4 + scales
    assert result["group_asymmetric"] == 4 + scales + 4 / 128
    assert result["binary_coded"] == 4 * (1 + 16 / 128) + 16 / 128
    assert result["bitmap"] == 3 + scales
    assert result["nm_2of4"] == 3 + scales
    assert result["nm_2of4_ranked"] == 2 + 3 / 4 + scales
    assert result["csr16"] == 0.5 * 20 + 32 / 256 + scales
    assert result["xor_8x1"] < result["xor_8x0"]


def test_the_entropy_of_int4_on_normal_weights_is_below_four_bits_and_reached():
    # Groups of 128 normal weights have their greatest at about 2.6 sigma: 15 levels 0.37 sigma apart, whose entropy is
    # that of the density, log2(sigma sqrt(2 pi e)), less log2 of the step.
    result = records(np.random.default_rng(3).standard_normal((256, 1024)), sparsity=0.5, group=128)
    greatest = np.abs(np.random.default_rng(4).standard_normal((4096, 128))).max(axis=1)
    closed_form = np.log2(np.sqrt(2 * np.pi * np.e)) - np.log2(greatest / 7).mean()
    assert result["group"].entropy_bound == pytest.approx(closed_form, abs=0.03)
    assert result["ans"].stored_bits - result["ans"].scale_bits == pytest.approx(closed_form, abs=0.05)
    # bfloat16: sign and mantissa are random, the exponent of normal weights is not: DFloat11 stores about 11 bits.
    assert 10.3 < result["ans_bf16"].stored_bits < 11


def test_a_pruned_entropy_code_beats_every_fixed_width_of_its_nonzeros():
    result = records(np.random.default_rng(3).standard_normal((256, 1024)), sparsity=0.5, shift_registers=(0,))
    others = [result[name].stored_bits for name in ("bitmap", "rice", "run_length", "csr16", "tiled", "xor_8x0")]
    assert result["ans_pruned"].stored_bits < min(others)


@pytest.mark.parametrize("codes", [np.zeros((3, 5)), np.arange(64).reshape(8, 8), np.full((1, 9000), 7)])
def test_entropy_coding_gives_extreme_distributions_back(codes):
    stored = EntropyCoded().write(codes.astype(np.uint8), 6)
    assert np.array_equal(EntropyCoded().read(stored), codes)
    cut = replace(stored, parts={**stored.parts, "frequencies": write_fields(np.zeros(64, np.int64), 13)})
    with pytest.raises(CompressionError, match="add up to 0"):
        EntropyCoded().read(cut)


def test_entropy_coding_misses_its_last_word():
    codes = np.random.default_rng(0).integers(0, 64, (8, 64)).astype(np.uint8)
    stored = EntropyCoded().write(codes, 6)
    words = stored.parts["words"]
    count = words.size // WORD_BITS
    short = write_fields(read_fields(words, WORD_BITS, count)[:-1], WORD_BITS)
    with pytest.raises(CompressionError, match=f"a stream of {count - 1} words is cut off"):
        EntropyCoded().read(replace(stored, parts={**stored.parts, "words": short}))


def test_an_unstructured_code_never_beats_a_bitmap_of_exact_survivors_at_half_sparsity():
    result = records(sparsity=0.5, shift_registers=(1,), bits=4)
    assert result["xor_8x1"].stored_bits > result["bitmap"].stored_bits


def test_zeros_that_are_there_are_taken_as_pruned():
    pruned = generate_matrix((64, 256), sparsity=0.7, block=64, rho=0.1, seed=2)
    result = records(pruned, formats=["bitmap", "xor_8x1", "nm_2of4"], bits=4)
    assert result["bitmap"].sparsity == (pruned == 0).mean()
    assert result["nm_2of4"].lossless


def test_interleaving_brings_unequal_blocks_back_to_the_efficiency_of_equal_ones():
    pruned = generate_matrix((128, 256), sparsity=0.8, block=64, rho=0.24, seed=2)
    plain, spread = (records(pruned, formats=["xor_8x1"], interleaved=flag)["xor_8x1"] for flag in (False, True))
    assert plain.encoding_efficiency < 0.97 < 0.98 < spread.encoding_efficiency
    assert spread.stored_bits < plain.stored_bits


def test_rounding_is_reported_apart_from_storing():
    result = records(sparsity=0.5, bits=8, group=32)
    assert result["group"].relative_error < 0.01
    # Half of the energy of normal weights above and below the median of their magnitude: 7 % goes with the smaller.
    assert result["bitmap"].relative_error == pytest.approx(0.27, abs=0.02)
    assert result["bitmap"].relative_error == result["csr16"].relative_error


def test_vectors_and_higher_axes_become_rows():
    assert records(MATRIX.reshape(4, 16, 256), sparsity=0.5).keys() == records(sparsity=0.5).keys()
    assert records(np.arange(1.0, 65.0), formats=["bitmap"], sparsity=0.5)["bitmap"].stored_bits == 3 + 16 / 64


def test_the_bound_of_a_family():
    assert entropy_bound(np.array([[0, 1]]), 4) == 3
    assert entropy_bound(np.array([[1, 1]]), 4) == 4
    assert entropy_bound(np.array([[0, 0]]), 4) == 0
    assert entropy_bound(np.array([[0, 1, 0, 1]]), 4, pattern=(2, 4)) == pytest.approx(np.log2(6) / 4 + 2)


@pytest.mark.parametrize(
    ("matrix", "options", "words"),
    [
        (np.full((4, 4), np.nan), {"sparsity": 0.5}, "weights must be finite, got nan at \\(0, 0\\)"),
        (np.empty((0, 4)), {"sparsity": 0.5}, "empty"),
        (MATRIX, {"sparsity": 0.0}, "above 0 and below 1, got 0"),
        (MATRIX, {"sparsity": 1.0}, "above 0 and below 1, got 1"),
        (MATRIX, {}, "has no zero: give a sparsity"),
        (np.zeros((4, 4)), {}, "has only zeros"),
        (MATRIX, {"formats": ["zip", "tar"], "sparsity": 0.5}, "'zip' is not a format; there are group"),
        (MATRIX, {"bits": 9, "sparsity": 0.5}, "8 (bits|planes), got 9"),
        (1e6 * MATRIX, {"bits": 16, "sparsity": 0.5}, "does not fit float16"),
        (MATRIX, {"pattern": (3, 5), "sparsity": 0.5}, "groups of 5"),
    ],
)
def test_what_cannot_be_compressed_is_named(matrix, options, words):
    with pytest.raises(CompressionError, match=words):
        compress_matrix(matrix, **options)


@pytest.mark.parametrize(
    ("bits", "fine"), [(1, False), (2, True), (8, True), (9, False), (15, False), (16, True), (17, False)]
)
def test_codes_have_two_to_eight_bits_or_sixteen(bits, fine):
    matrix = np.arange(64.0).reshape(4, 16)
    if fine:
        (found,) = compress_matrix(matrix, formats=["group"], bits=bits, group=16)
        assert found.lossless and found.stored_bits - found.scale_bits == bits
    else:
        with pytest.raises(CompressionError, match=f"codes must have 16 bits or 2 to 8 bits, got {bits}"):
            compress_matrix(matrix, formats=["group"], bits=bits)


def test_times_of_writing_and_reading_are_those_of_the_clock(monkeypatch):
    clock = iter([1.0, 3.5, 9.0])
    monkeypatch.setattr(codecs.time, "perf_counter", lambda: next(clock))
    (found,) = compress_matrix(np.array(2.5), formats=["group"], group=0)
    assert (found.encode_s, found.decode_s, found.stored_bits) == (2.5, 5.5, 4 + 16)


def test_a_matrix_of_zeros_has_no_error_and_no_sparse_form():
    found = {one.format: one for one in codecs.each_format(np.zeros((4, 8)))}
    assert found["group"].relative_error == 0 and found["group"].sparsity == 1
    assert "only zeros" in found["bitmap"].reason and not hasattr(found["bitmap"], "sparsity")
    whole = {one.format: one for one in codecs.each_format(np.ones((4, 8)), bits=16)}
    assert "no zero" in whole["rice"].reason and whole["nm_2of4"].lossless


def test_halves_reach_their_greatest_and_none_is_lost_to_zero():
    row = np.array([[65504.0, -65504.0, 1e-12, 0.0]])
    (dense,) = compress_matrix(row, bits=16, formats=["group"])
    assert dense.lossless and dense.sparsity == 0.5 and dense.scale_bits == 0
    (pruned,) = compress_matrix(row * [[1, 1, -1, 1]], bits=16, formats=["bitmap"])
    assert pruned.sparsity == 0.25 and pruned.relative_error == pytest.approx(2.0**-24 / 65504, rel=1e-3)
    with pytest.raises(CompressionError, match="a weight of 65505 does not fit float16"):
        compress_matrix(row - [[0, 1, 0, 0]], bits=16, formats=["group"])


def test_options_are_checked_before_anything_is_stored():
    one = np.eye(4)
    for options, words in (
        ({"sparsity": 1.0}, "below 1"), ({"pattern": (0, 4)}, "0 of 4"), ({"n_in": 8, "n_out": 7}, "got 8 and 7"),
        ({"shift_registers": (0, -1)}, "got -1"), ({"n_in": 0}, "n_in must be from 1"),
        ({"formats": ["group", "tar", "zip"]}, "'tar' is not a format"),
    ):  # fmt: skip
        with pytest.raises(CompressionError, match=words):
            next(codecs.each_format(one, **options))
    names = [one.format for one in codecs.each_format(one, formats=["bitmap", "group"])]
    assert names == ["group", "bitmap"] and compress_matrix(one, formats=[]) == []
    few = set(format_names(bits=4)) - set(format_names(bits=16))
    assert few == {"group_asymmetric", "group_double", "binary_coded"}
    settings = codecs.CodecOptions()
    assert (settings.bits, settings.group, settings.pattern, settings.n_in) == (4, 128, (2, 4), 8)
    assert (settings.shift_registers, settings.symmetric, settings.interleaved, settings.seed) == (
        (0, 1),
        True,
        False,
        0,
    )
