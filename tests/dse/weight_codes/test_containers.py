"""Containers: bit-exact round trips, sizes by formula, and entropy as the floor."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cost_models.errors import CompressionError
from cost_models.weights.compression import run_length_bits
from dse.weight_codes.bitstream import BitString, field_width, read_fields, read_unary, write_fields, write_unary
from dse.weight_codes.containers import Bitmap, Csr, Dense, RiceGaps, RunLength
from dse.weight_codes.patterns import NofM, Tiled, _patterns
from dse.weight_codes.planes import XorPlanes

UNSTRUCTURED = [
    Dense(), Bitmap(), Csr(16), Csr(32), RunLength(), RunLength(3), RiceGaps(), Tiled(), Tiled(4, 8, index_bits=5),
]  # fmt: skip


def random_codes(shape, sparsity, bits, seed=0):
    """Masks of independent weights and nonzeros of equal probability: the family that the entropy bound is about."""
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 1 << bits, shape)
    return np.where(rng.random(shape) >= sparsity, values, 0).astype(np.uint16 if bits > 8 else np.uint8)


@st.composite
def matrices(draw):
    bits = draw(st.integers(1, 16))
    kind = np.uint8 if bits <= 8 else np.uint16
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=40))
    elements = st.one_of(st.just(0), st.integers(0, (1 << bits) - 1))
    return draw(hnp.arrays(kind, shape, elements=elements)), bits


@given(matrix=matrices())
@settings(max_examples=60, deadline=None)
def test_every_code_comes_back(matrix):
    codes, bits = matrix
    for container in UNSTRUCTURED:
        stored = container.write(codes, bits)
        back = container.read(stored)
        assert back.dtype == codes.dtype
        np.testing.assert_array_equal(back, codes)
        for part in stored.parts.values():
            assert len(part.octets) == -(-part.size // 8)


@given(matrix=matrices(), n_in=st.integers(1, 5), registers=st.integers(0, 2), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_every_code_comes_back_from_the_xor_code(matrix, n_in, registers, seed):
    codes, bits = matrix
    codes = codes.copy()
    codes.flat[0] = 0
    codes.flat[-1] = 1
    if codes.size == 1:
        return
    for container in (
        XorPlanes(n_in, registers, seed=seed, correction_block=64),
        XorPlanes(n_in, registers, 2 * n_in, mask="rice", interleaved=True, seed=seed),
    ):
        np.testing.assert_array_equal(container.read(container.write(codes, bits)), codes)


@given(seed=st.integers(0, 999), n=st.integers(1, 7), m=st.integers(2, 8), bits=st.integers(1, 9), ranked=st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_code_comes_back_from_n_of_m(seed, n, m, bits, ranked):
    n = min(n, m - 1)
    codes = random_codes((6, 5 * m), 0.3, bits, seed).reshape(-1, m)
    kept = np.random.default_rng(seed).random(codes.shape).argsort(axis=1) < n
    codes = np.where(kept, codes, 0).astype(codes.dtype).reshape(6, 5 * m)
    container = NofM(n, m, ranked=ranked)
    stored = container.write(codes, bits)
    np.testing.assert_array_equal(container.read(stored), codes)
    index = math.ceil(math.log2(math.comb(m, n))) if ranked else n * math.ceil(math.log2(m))
    assert stored.size == codes.size // m * (n * bits + index)
    assert stored.size / codes.size >= math.log2(math.comb(m, n)) / m + n / m * bits - 1e-12


@pytest.mark.parametrize("bits", [2, 4, 16])
@pytest.mark.parametrize("sparsity", [0.5, 0.7, 0.9])
def test_sizes_are_those_of_the_formulas(bits, sparsity):
    codes = random_codes((256, 1024), sparsity, bits)
    share = np.count_nonzero(codes) / codes.size

    def stored(container):
        return container.write(codes, bits).size / codes.size

    assert stored(Dense()) == bits
    assert stored(Bitmap()) == pytest.approx(1 + share * bits, rel=1e-12)
    assert stored(Csr(16)) == pytest.approx(share * (bits + 16) + 32 / 1024, rel=1e-12)
    assert stored(Csr(32)) == pytest.approx(share * (bits + 32) + 32 / 1024, rel=1e-12)
    assert stored(Tiled()) == pytest.approx(share * (bits + 16) + 32 / (128 * 64), rel=1e-12)
    best = min(run_length_bits(bits, 1 - share, k) for k in range(1, 17))
    assert stored(RunLength()) == pytest.approx(best, rel=0.005)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("sparsity", [0.3, 0.5, 0.7, 0.9, 0.97])
def test_nothing_lossless_is_smaller_than_the_entropy(bits, sparsity):
    codes = random_codes((128, 1024), sparsity, bits, seed=bits)
    share = np.count_nonzero(codes) / codes.size
    mask = -share * math.log2(share) - (1 - share) * math.log2(1 - share)
    for container in (*UNSTRUCTURED[1:], XorPlanes(4, 1), XorPlanes(4, 1, mask="rice")):
        # Runs take one of the nonzero's values for themselves, which is left out of the width.
        width = math.log2(2**bits - 1) if isinstance(container, RunLength) else bits
        assert container.write(codes, bits).size / codes.size >= mask + share * width


def test_a_bitmap_is_the_entropy_at_half_sparsity():
    codes = np.tile(np.array([0, 3], np.uint8), (8, 8))
    assert Bitmap().write(codes, 4).size / codes.size == 1 + 0.5 * 4


def test_rice_runs_come_within_three_per_cent_of_the_entropy():
    for sparsity in (0.7, 0.9, 0.97):
        codes = random_codes((256, 1024), sparsity, 1)
        share = np.count_nonzero(codes) / codes.size
        mask = -share * math.log2(share) - (1 - share) * math.log2(1 - share)
        assert (RiceGaps().write(codes, 1).size / codes.size - share) / mask < 1.035


@pytest.mark.parametrize("container", [*UNSTRUCTURED, NofM(2, 4), XorPlanes(4, 1)])
def test_what_is_cut_off_is_refused(container):
    codes = random_codes((8, 16), 0.6, 4)
    if isinstance(container, NofM):
        codes = np.where(np.arange(16) % 4 < 2, codes, 0).astype(np.uint8)
    stored = container.write(codes, 4)
    for name, part in stored.parts.items():
        if part.size:
            short = BitString(part.octets[:-1], part.size)
            broken = dataclasses.replace(stored, parts={**stored.parts, name: short})
            with pytest.raises(CompressionError, match="cut off"):
                container.read(broken)


@pytest.mark.parametrize(
    ("container", "codes", "bits", "words"),
    [
        (Bitmap(), np.zeros((0, 3), np.uint8), 4, "empty"),
        (Bitmap(), np.zeros(3, np.uint8), 4, "must be a matrix"),
        (Bitmap(), np.zeros((1, 3)), 4, "unsigned integers, got float64"),
        (Dense(), np.array([[16]], np.uint8), 4, "code 16 does not fit 4 bits"),
        (Csr(4), np.zeros((1, 17), np.uint8), 4, "17 columns need more than 4 bits"),
        (Csr(), np.zeros((1, 2**16 + 1), np.uint8), 4, "65537 columns need more than 16 bits"),
        (Tiled(0, 4), np.zeros((1, 1), np.uint8), 4, "tiles of 0 x 4 do not fit"),
        (Tiled(4, 0), np.zeros((1, 1), np.uint8), 4, "tiles of 4 x 0 do not fit"),
        (Tiled(4, 8, index_bits=4), np.zeros((1, 1), np.uint8), 4, "4 x 8 do not fit positions of 4 bits"),
        (Tiled(256, 512), np.zeros((1, 1), np.uint8), 4, "256 x 512 do not fit positions of 16 bits"),
        (NofM(2, 4), np.ones((1, 4), np.uint8), 4, "has 4 nonzeros, more than 2"),
        (NofM(2, 4), np.ones((1, 6), np.uint8), 4, "do not divide into groups of 4"),
        (XorPlanes(), np.zeros((2, 2), np.uint8), 4, "no nonzero"),
        (XorPlanes(), np.ones((2, 2), np.uint8), 4, "no pruned weight"),
        (XorPlanes(8, n_out=4), np.eye(2, dtype=np.uint8), 4, "n_in must not exceed n_out, got 8 and 4"),
    ],
)
def test_what_cannot_be_stored_is_named(container, codes, bits, words):
    with pytest.raises(CompressionError, match=words):
        container.write(codes, bits)


@given(st.lists(st.integers(0, 2**20)), st.integers(21, 64))
def test_fields_hold_their_values(values, width):
    string = write_fields(np.array(values, np.int64), width)
    assert string.size == width * len(values)
    assert read_fields(string, width, len(values)).tolist() == values


@given(st.lists(st.integers(0, 50)))
def test_unary_holds_its_counts(counts):
    string = write_unary(np.array(counts, np.int64))
    assert string.size == sum(counts) + len(counts)
    assert read_unary(string).tolist() == counts


def test_fields_refuse_what_they_cannot_hold():
    with pytest.raises(CompressionError, match="do not fit fields of 3 bits"):
        write_fields(np.array([8]), 3)
    with pytest.raises(CompressionError, match="do not fit"):
        write_fields(np.array([-1]), 3)
    with pytest.raises(CompressionError, match="2 fields of 3 bits"):
        read_fields(write_fields(np.array([1]), 3), 3, 2)


@pytest.mark.parametrize(("gap", "k"), [(2**14 - 1, 13), (2**15, 14), (2**18 - 1, 15), (3 * 2**17, 15)])
def test_the_longest_runs_take_fifteen_bits_of_rest(gap, k):
    codes = np.zeros((2, gap + 1), np.uint8)
    codes[:, -1] = 1
    stored = RiceGaps().write(codes, 1)
    # What one run costs: the unary part and its end, and the rest; the parameter has four bits.
    cost = {rest: (gap >> rest) + 1 + rest for rest in range(16)}
    assert read_fields(stored.parts["rice_bits"], 4, 1) == [k] and cost[k] == min(cost.values())
    assert stored.size == 4 + 2 * (cost[k] + 1)
    np.testing.assert_array_equal(RiceGaps().read(stored), codes)


def test_as_many_patterns_as_a_table_holds():
    table = _patterns(4, 36)
    assert len(table) == math.comb(36, 4) == 58_905 and (np.diff(table) > 0).all() and table[-1] == 0b1111 << 32
    assert (np.unpackbits(table.view(np.uint8)).reshape(-1, 64).sum(axis=1) == 4).all()
    with pytest.raises(CompressionError, match=r"^5 of 26 has 65780 patterns, more than 65536$"):
        _patterns(5, 26)
    assert (_patterns(1, 63) == 1 << np.arange(63)).all()
    for n, m in ((1, 64), (63, 64), (500_000, 1_000_000)):
        with pytest.raises(CompressionError, match=f"^{n} of {m} has no numbered patterns: those are of at most 63"):
            _patterns(n, m)


def test_what_just_fits_is_stored():
    one = np.ones((1, 16), np.uint8)
    for container in (Csr(4), Tiled(1, 1), Tiled(2, 2, index_bits=2), Dense(), RunLength(1), NofM(15, 16)):
        codes = np.where(np.arange(16), one, 0).astype(np.uint8)
        np.testing.assert_array_equal(container.read(container.write(codes, 1)), codes)
    for bits, kind in ((8, np.uint8), (9, np.uint16)):
        assert Dense().read(Dense().write(codes, bits)).dtype == kind
    wide = np.zeros((1, 2**16), np.uint8)
    wide[0, -1] = 1
    np.testing.assert_array_equal(Csr().read(Csr().write(wide, 1)), wide)


@pytest.mark.parametrize(("gap", "k"), [(0, 1), (1, 1), (2**15 - 1, 15), (2**16 - 1, 16), (2**17 - 1, 16)])
def test_runs_have_one_to_sixteen_bits(gap, k):
    codes = np.zeros((2, gap + 1), np.uint8)
    codes[:, -1] = 3
    stored = RunLength().write(codes, 2)
    cost = {bits: ((gap >> bits) + 1) * (2 + bits) for bits in range(1, 17)}
    assert cost[k] == min(cost.values()) and stored.size == 4 + 2 * cost[k]
    assert read_fields(stored.parts["run_bits"], 4, 1) == [k - 1]
    np.testing.assert_array_equal(RunLength().read(stored), codes)


def test_a_nonzero_outside_of_the_matrix_is_refused():
    stored = RunLength(2).write(np.array([[0, 1, 0], [1, 0, 1]], np.uint8), 1)
    assert RunLength(2).read(stored).tolist() == [[0, 1, 0], [1, 0, 1]]
    with pytest.raises(CompressionError, match="a nonzero at place 5 lies outside a matrix of 5 weights"):
        RunLength(2).read(dataclasses.replace(stored, shape=(1, 5)))
    masked = RiceGaps().write(np.array([[0, 1]], np.uint8), 1)
    with pytest.raises(CompressionError, match="a nonzero at place 1 lies outside a matrix of 1 weights"):
        RiceGaps().read(dataclasses.replace(masked, shape=(1, 1)))
    string = write_fields(np.array([1, 2]), 2)
    assert len({stored, masked, string, dataclasses.replace(string)}) == 4, "each is itself alone: arrays have no truth"


def test_fields_of_every_width_are_the_digits_of_their_values():
    for width in range(1, 64):
        values = [(1 << width) - 1, 0, 1, 1 << (width - 1)]
        string = write_fields(np.array(values), width)
        assert string.size == 4 * width and read_fields(string, width, 4).tolist() == values
        digits = "".join(f"{value:0{width}b}"[::-1] for value in values)
        assert "".join("01"[bit] for bit in string.bits().astype(int)) == digits
        with pytest.raises(CompressionError, match=f"do not fit fields of {width} bits"):
            write_fields(np.array([1 << width if width < 63 else -1]), width)
    none = BitString.of(np.zeros(0, bool))
    assert write_fields(np.zeros(3, int), 0).size == 0 and read_fields(none, 0, 3).tolist() == [0, 0, 0]
    assert [field_width(count) for count in (1, 2, 3, 4, 5, 1024, 1025)] == [0, 1, 2, 2, 3, 10, 11]
