"""The XOR code: lossless, as efficient as published, and clear about what it cannot do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.errors import CompressionError
from dse.weight_codes.bitstream import read_fields, write_fields
from dse.weight_codes.coding import STREAM_WEIGHTS, Corrections, EncodedBits, XorCode, outputs_at, stream_shape
from dse.weight_codes.pruning import block_mask


def efficiency(n_in, registers, sparsity, n_out, *, rho=0.0, maps=3, streams=8, steps=128):
    """Mean over random maps, as `studies/fits/xor_efficiency.py` measures it, with fewer blocks."""
    result = []
    for seed in range(maps):
        rng = np.random.default_rng([seed, n_out])
        care = block_mask((streams, steps * n_out), sparsity=sparsity, block=n_out, rho=rho, seed=rng)
        bits = rng.random(care.shape) < 0.5
        result.append(XorCode(n_in, n_out, registers, seed).encode(care, bits).efficiency)
    return 100 * np.mean(result)


@given(
    n_in=st.integers(1, 5), extra=st.integers(0, 9), registers=st.integers(0, 2), seed=st.integers(0, 99),
    planes=st.integers(1, 5), streams=st.integers(1, 4), length=st.integers(1, 60), block=st.sampled_from([1, 7, 512]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_bits_that_matter_come_back(n_in, extra, registers, seed, planes, streams, length, block):
    rng = np.random.default_rng(seed)
    care = rng.random((streams, length)) < rng.random()
    bits = rng.random((planes, streams, length)) < 0.5
    code = XorCode(n_in, n_in + extra, registers, seed)
    encoded = code.encode(care, bits, correction_block=block)
    back = code.decode(encoded)
    assert back.shape == bits.shape
    np.testing.assert_array_equal(back[:, care], bits[:, care])
    steps = -(-length // (n_in + extra))
    assert encoded.inputs.size == planes * streams * (registers + steps) * n_in
    per_error = max(block - 1, 0).bit_length() + 1
    blocks = -(-planes * streams * length // block)
    assert encoded.size == encoded.inputs.size + encoded.errors * per_error + blocks
    assert encoded.nonzeros == planes * care.sum()


def test_one_plane_is_encoded_as_part_of_several():
    rng = np.random.default_rng(0)
    care, bits = rng.random((4, 160)) < 0.5, rng.random((3, 4, 160)) < 0.5
    code = XorCode(6, 12)
    together = code.encode(care, bits)
    alone = [code.encode(care, plane) for plane in bits]
    assert together.errors == sum(one.errors for one in alone)
    assert code.decode(alone[0]).shape == care.shape


# Section 4 of the compression facts; efficiency in per cent at n_out = n_in / (1 - S) unless another n_out is given.
@pytest.mark.parametrize(
    ("n_in", "registers", "sparsity", "n_out", "published"),
    [
        (8, 1, 0.5, 16, 99.1),
        (8, 1, 0.6, 20, 99.0),
        (8, 1, 0.7, 26, 99.2),
        (8, 1, 0.8, 40, 98.8),
        (8, 1, 0.9, 80, 98.7),
        (8, 1, 0.5, 15, 99.6),
        (8, 1, 0.5, 14, 99.84),
        (8, 1, 0.9, 72, 99.4),
        (4, 2, 0.9, 40, 98.2),
        (4, 3, 0.9, 40, 99.2),
        (5, 2, 0.9, 50, 98.9),
        (6, 1, 0.9, 60, 97.9),
    ],
)
def test_published_efficiency_within_half_a_point(n_in, registers, sparsity, n_out, published):
    assert efficiency(n_in, registers, sparsity, n_out) == pytest.approx(published, abs=0.5)


@pytest.mark.parametrize(("sparsity", "n_out", "published"), [(0.5, 16, 99.6), (0.5, 15, 99.92), (0.7, 26, 99.7)])
def test_two_registers_reproduce_more(sparsity, n_out, published):
    assert efficiency(8, 2, sparsity, n_out, maps=2, streams=1) == pytest.approx(published, abs=0.5)


@pytest.mark.parametrize(
    ("rho", "sparsity", "n_out", "published"),
    [(0.02, 0.7, 26, 98.7), (0.05, 0.9, 80, 96.0), (0.1, 0.5, 16, 98.5), (0.24, 0.7, 26, 95.7)],
)
def test_unequal_blocks_cost_what_was_published(rho, sparsity, n_out, published):
    assert efficiency(8, 1, sparsity, n_out, rho=rho, maps=4) == pytest.approx(published, abs=0.6)


@pytest.mark.parametrize(("n_in", "registers", "n_out"), [(3, 1, 6), (4, 2, 8), (2, 3, 5)])
def test_the_decoder_is_the_xor_of_what_each_input_flips(n_in, registers, n_out):
    code = XorCode(n_in, n_out, registers, seed=4)
    assert code.generator.shape == (registers + 1, n_in, n_out)
    care = np.zeros((1, 4 * n_out), np.bool_)
    encoded = code.encode(care, care)
    words = encoded.inputs.bits().reshape(-1, n_in)
    expected = [
        np.bitwise_xor.reduce(words[registers + t - np.arange(registers + 1)][..., None] & code.generator, axis=(0, 1))
        for t in range(4)
    ]
    np.testing.assert_array_equal(code.decode(encoded).reshape(4, n_out), expected)


def test_the_same_seed_gives_the_same_code():
    np.testing.assert_array_equal(XorCode(8, 16, 1, 5).generator, XorCode(8, 16, 1, 5).generator)
    assert (XorCode(8, 16, 1, 5).generator != XorCode(8, 16, 1, 6).generator).any()


@given(st.integers(1, 2**20), st.integers(1, 200))
def test_streams_hold_every_weight_and_waste_little(weights, n_out):
    streams, length = stream_shape(weights, n_out)
    assert streams * length >= weights > (streams - 1) * length
    if streams > 1:
        assert length % n_out == 0
        assert STREAM_WEIGHTS // 2 - n_out <= length <= 3 * STREAM_WEIGHTS // 2


@pytest.mark.parametrize(
    ("n_in", "sparsity", "n_out"),
    [(8, 0.5, 16), (8, 0.7, 26), (8, 0.8, 40), (8, 0.9, 80), (10, 0.9, 100), (4, 0.95, 80)],
)
def test_outputs_never_outnumber_what_inputs_can_pay(n_in, sparsity, n_out):
    assert outputs_at(n_in, sparsity) == n_out


@given(st.integers(1, 600), st.integers(1, 100), st.integers(0, 99))
def test_corrections_hold_every_position(length, block, seed):
    wrong = np.random.default_rng(seed).random(length) < 0.1
    np.testing.assert_array_equal(Corrections.of(wrong, block).bits(), wrong)


def test_corrections_by_hand():
    wrong = np.zeros((2, 10), bool)
    wrong[0, [1, 9]] = wrong[1, 3] = True
    # Of blocks of eight: one at 1; at 9 - 8 and 13 - 8; none.
    found = Corrections.of(wrong, 8)
    assert "".join("01"[bit] for bit in found.counts.bits().astype(int)) == "101100"
    assert "".join("01"[bit] for bit in found.offsets.bits().astype(int)) == "100100101"
    assert (found.length, found.block, found.size) == (20, 8, 6 + 9)
    assert np.flatnonzero(found.bits()).tolist() == [1, 9, 13]
    code = XorCode(2, 4)
    encoded = EncodedBits(code, (2, 10), write_fields(np.array([1, 2, 3]), 2), found, nonzeros=12)
    assert encoded.errors == 3 and encoded.efficiency == 0.75 and encoded.size == 6 + 15
    assert EncodedBits(code, (2, 10), found.counts, Corrections.of(0 * wrong, 8), nonzeros=0).efficiency == 1


def test_a_code_of_one_input_is_followed_by_hand():
    """Two outputs per step: the newest input flips the first, the one before both."""
    code = XorCode(1, 2)
    code.__dict__["generator"] = np.array([[[True, False]], [[True, True]]])
    care, bits = np.ones((1, 4), bool), np.array([[True, True, True, False]])
    # Input 1 in the register and 0 after it put out 11, then 1 puts out 10: nothing is wrong.
    encoded = code.encode(care, bits)
    assert read_fields(encoded.inputs, 1, 3).tolist() == [1, 0, 1] and encoded.errors == 0 and encoded.nonzeros == 4
    np.testing.assert_array_equal(code.decode(encoded), bits)
    # 11 and then 01: after 1 and 0 come 00 or 10, after 0 and 1 comes 01, whose first step put out 10.
    hard = code.encode(care, np.array([[True, True, False, True]]))
    assert hard.errors == 1 and hard.efficiency == 0.75
    np.testing.assert_array_equal(code.decode(hard), [[True, True, False, True]])
    # Where the fourth does not matter, 11 and 00 are put out; a third step is filled up.
    free = code.encode(np.array([[True, True, True, False, True]]), np.array([[True, True, False, True, False]]))
    assert free.errors == 0 and free.nonzeros == 4 and free.inputs.size == 4
    assert XorCode(8, 16) == XorCode(8, 16, 1, 0) and XorCode(12, 12).n_out == 12 and XorCode(1, 1, 16).n_in == 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: XorCode(1, 2, 17), "17 shift registers of 1 bits make 2\\^17 states"),
        (lambda: XorCode(4, 8).encode(np.ones((1, 1, 8), bool), np.ones((1, 1, 8), bool)), "got \\(1, 1, 8\\) and"),
        (lambda: XorCode(4, 8).encode(np.ones((1, 8), bool), np.ones((1, 1, 1, 8), bool)), "got \\(1, 1, 1, 8\\) and"),
        (lambda: XorCode(12, 8), "n_in must not exceed n_out, got 12 and 8"),
        (lambda: XorCode(0, 8), "n_in must be from 1 to 12, got 0"),
        (lambda: XorCode(13, 26), "n_in must be from 1 to 12, got 13"),
        (lambda: XorCode(8, 16, -1), "shift_registers must be 0 or more, got -1"),
        (lambda: XorCode(8, 16, 3), "3 shift registers of 8 bits make 2\\^24 states"),
        (lambda: outputs_at(8, 0.0), "above 0 and below 1, got 0"),
        (lambda: outputs_at(8, 1.0), "above 0 and below 1, got 1"),
        (lambda: XorCode(4, 8).encode(np.ones((2, 8), bool), np.ones((2, 9), bool)), "got \\(2, 9\\) and \\(2, 8\\)"),
        (lambda: XorCode(4, 8).encode(np.ones((0, 8), bool), np.ones((0, 8), bool)), "no bits to encode"),
        (lambda: XorCode(4, 8).encode(*[np.ones((1, 8), bool)] * 2, correction_block=0), "correction_block must be"),
    ],
)
def test_codes_that_cannot_be_are_named(call, words):
    with pytest.raises(CompressionError, match=words):
        call()
