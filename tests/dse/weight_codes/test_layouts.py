"""Bits of every format against strings written by hand, and the entropy code against a decoder of its definition."""

import numpy as np
import pytest

from cost_models.errors import CompressionError
from dse.weight_codes.bitstream import read_fields
from dse.weight_codes.codecs import compress_matrix, entropy_bound, format_names
from dse.weight_codes.coding import STREAM_WEIGHTS, stream_shape
from dse.weight_codes.containers import Bitmap, Csr, Dense, RiceGaps, RunLength
from dse.weight_codes.entropy_coding import (
    EntropyCoded,
    brain_patterns,
    empirical_entropy,
    lane_count,
    quantised_frequencies,
)
from dse.weight_codes.patterns import NofM, Tiled
from dse.weight_codes.planes import XorPlanes

CODES = np.array([[0, 5, 0, 0, 0, 0, 0, 2], [0, 0, 0, 7, 0, 0, 1, 0]], np.uint8)
NONZEROS = "101 010 111 100"  # 5, 2, 7, 1: three bits each, the lowest first


@pytest.mark.parametrize(
    ("container", "parts"),
    [
        (Dense(), {"values": "000 101 000 000 000 000 000 010  000 000 000 111 000 000 100 000"}),
        (Bitmap(), {"mask": "01000001 00010010", "values": NONZEROS}),
        (Csr(4, 5), {"row_ends": "01000 00100", "columns": "1000 1110 1100 0110", "values": NONZEROS}),
        # Zeros before nonzeros: 1, 5, 3, 2. In two bits 5 takes an entry of its own for 3 zeros and a code 0.
        (RunLength(2), {"runs": "10 11 10 11 01", "values": "101 000 010 111 100"}),
        # 32, 25, 24, 28 bits with runs of 1, 2, 3, 4: three are best, stored as one less.
        (RunLength(), {"run_bits": "0100", "runs": "100 101 110 010", "values": NONZEROS}),
        # 15, 12, 13 bits with rests of 0, 1, 2.
        (RiceGaps(), {"rice_bits": "1000", "runs": "0 110 10 10", "rests": "1 1 1 0", "values": NONZEROS}),
        (NofM(2, 4), {"places": "00 10 00 11 00 11 00 01", "values": "000 101 000 010 000 111 000 100"}),
        # Pairs of four places in order: 01, 02, 12, 03, 13, 23.
        (NofM(2, 4, ranked=True), {"patterns": "000 110 110 100", "values": "000 101 000 010 000 111 000 100"}),
        (
            Tiled(2, 4, 3, 4),
            {"tile_ends": "0100 0010", "positions": "100 111 110 011", "values": "101 111 010 100"},
        ),
        (
            Tiled(1, 3, 2, 3),  # the third tile of a row is narrower
            {"tile_ends": "100 100 010 010 110 001", "positions": "10 10 00 00", "values": NONZEROS},
        ),
    ],
    ids=["dense", "bitmap", "csr", "runs", "best_runs", "rice", "2of4", "2of4_ranked", "tiles", "narrow_tiles"],
)
def test_bits_are_those_written_by_hand(container, parts):
    stored = container.write(CODES, 3)
    spelt = {name: "".join("01"[int(bit)] for bit in part.bits()) for name, part in stored.parts.items()}
    assert spelt == {name: bits.replace(" ", "") for name, bits in parts.items()}
    assert stored.size == sum(len(bits) for bits in spelt.values())
    np.testing.assert_array_equal(container.read(stored), CODES)


def test_default_widths_are_those_of_the_published_formats():
    size = {name: part.size for name, part in Csr().write(CODES, 3).parts.items()}
    assert size == {"row_ends": 2 * 32, "columns": 4 * 16, "values": 4 * 3}
    codes = np.ones((129, 65), np.uint8)  # a row and a column beyond a tile of 128 by 64: four tiles
    size = {name: part.size for name, part in Tiled().write(codes, 3).parts.items()}
    assert size == {"tile_ends": 4 * 32, "positions": codes.size * 16, "values": codes.size * 3}


@pytest.mark.parametrize("mask", ["bitmap", "rice"])
def test_the_xor_code_stores_inputs_per_step_and_plane(mask):
    codes = np.where(np.arange(2 * STREAM_WEIGHTS) % 2, 1 + np.arange(2 * STREAM_WEIGHTS) % 7, 0).astype(np.uint8)
    assert XorPlanes() == XorPlanes(8, 1, None, correction_block=512, mask="bitmap", interleaved=False, seed=0)
    container = XorPlanes(4, 2, mask=mask)
    stored, efficiency = container.write_measured(codes.reshape(32, -1), 3)
    streams, length = stream_shape(codes.size, 8)  # half of the weights are zero: four bits pay for eight
    assert stored.parts["inputs"].size == 3 * streams * (2 + length // 8) * 4
    blocks = 3 * streams * length // 512
    errors = stored.parts["correction_counts"].size - blocks
    assert stored.parts["correction_offsets"].size == errors * 9
    assert efficiency == pytest.approx(1 - errors / (3 * codes.size / 2), rel=1e-12)
    # Every second weight is there: a bitmap takes a bit per weight, runs of one zero an end and a bit for the rest.
    assert sum(stored.parts[name].size for name in stored.parts if name in ("mask", "rice_bits", "runs", "rests")) == (
        codes.size if mask == "bitmap" else 4 + codes.size
    )
    np.testing.assert_array_equal(container.read(stored), codes.reshape(32, -1))


def ans_decoded(stored):
    """Return codes by the definition of rANS: plain integers, one lane after the other within a step."""
    rows, columns = stored.shape
    width = min(stored.bits, 8)
    lanes = max(1, rows * columns // 4096)
    steps = -(-rows * columns // lanes)
    share = read_fields(stored.parts["frequencies"], 13, 1 << width).tolist()
    states = read_fields(stored.parts["states"], 32, lanes).tolist()
    words = iter(read_fields(stored.parts["words"], 16, stored.parts["words"].size // 16).tolist())
    owners = [symbol for symbol, times in enumerate(share) for _ in range(times)]
    assert len(owners) == 4096
    symbols = [[0] * steps for _ in range(lanes)]
    for step in range(steps):
        for lane in range(lanes):
            place = states[lane] % 4096
            symbol = symbols[lane][step] = owners[place]
            states[lane] = share[symbol] * (states[lane] // 4096) + place - owners.index(symbol)
            if states[lane] < 1 << 16:
                states[lane] = states[lane] << 16 | next(words)
    assert states == [1 << 16] * lanes and next(words, None) is None  # where the coder began
    rests = read_fields(stored.parts["rest"], stored.bits - width, rows * columns).tolist()
    flat = [symbol for line in symbols for symbol in line][: rows * columns]
    if stored.bits <= 8:
        return flat
    # The sign was moved below the eight upper bits that are left.
    turned = [symbol << (stored.bits - 8) | rest for symbol, rest in zip(flat, rests, strict=True)]
    return [one >> 1 | (one & 1) << (stored.bits - 1) for one in turned]


@pytest.mark.parametrize(
    ("bits", "rows", "columns"), [(1, 1, 5), (4, 3, 2731), (8, 1, 4095), (11, 7, 13), (16, 3, 2731)]
)
def test_the_entropy_code_is_read_by_its_definition(bits, rows, columns):
    places = np.arange(rows * columns)
    codes = (places * places * 37 % 257 * (places % 3) * 211 & (1 << bits) - 1).reshape(rows, columns)
    codes = codes.astype(np.uint8 if bits <= 8 else np.uint16)
    stored = EntropyCoded().write(codes, bits)
    assert ans_decoded(stored) == codes.reshape(-1).tolist()
    np.testing.assert_array_equal(EntropyCoded().read(stored), codes)
    assert stored.parts["rest"].size == max(0, bits - 8) * codes.size


def test_lanes_hold_about_4096_weights():
    assert [lane_count(weights) for weights in (1, 4095, 8191, 8192)] == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("counts", "frequencies"),
    [
        ([3, 1], [3072, 1024]),
        ([0, 1, 1, 1], [0, 1366, 1365, 1365]),  # one is left over
        ([100000, *[1] * 255], [3841, *[1] * 255]),  # 4086 and 255 are 245 too many
        # 200 of 1 and 56 of 73 are 192 too many: five give up half, 36, and the sixth the twelve that are left.
        ([*[1] * 200, *[1000] * 56], [*[1] * 200, *[37] * 5, 61, *[73] * 50]),
    ],
)
def test_frequencies_add_up_and_leave_nobody_out(counts, frequencies):
    assert quantised_frequencies(np.array(counts)).tolist() == frequencies


def test_entropies_of_known_distributions():
    for codes, bits in (
        ([0, 0, 1, 1], 1),
        ([0, 1, 2, 3], 2),
        ([7, 7], 0),
        ([], 0),
        ([0, 0, 0, 1], 2 - 0.75 * np.log2(3)),
    ):
        entropy = empirical_entropy(np.array(codes, np.uint8))
        assert entropy == pytest.approx(bits, abs=1e-15) and not np.signbit(entropy)
    assert entropy_bound(np.array([[0, 1, 0, 1]]), 2.5, pattern=(1, 4)) == 2 / 4 + 2.5 / 4


def test_brain_floats_round_to_the_nearest_and_ties_to_even():
    patterns = np.array([0x3F80_0000, 0x3F80_8000, 0x3F80_8001, 0x3F81_8000, 0xBF80_7FFF, 0x7F7F_7FFF, 0x8000_0000])
    weights = patterns.astype(np.uint32).view(np.float32).astype(float)
    assert brain_patterns(weights).tolist() == [0x3F80, 0x3F80, 0x3F81, 0x3F82, 0xBF80, 0x7F7F, 0x8000]
    for beyond in (float(np.uint32(0x7F7F_8000).view(np.float32)), 1e39):
        with pytest.raises(CompressionError, match="does not fit bfloat16"):
            brain_patterns(np.array([1.0, -beyond]))


@pytest.mark.parametrize("n_out", [1, 7, 80, 3000, 9000])
def test_streams_are_those_that_trying_every_length_finds(n_out):
    most = max(1, 6144 // n_out)
    for weights in (1, n_out, 4095, 4096, 6144, 6145, 8192, 100_003):
        if weights <= most * n_out:
            best = weights
        else:
            lengths = [steps * n_out for steps in range(max(1, most // 3), most + 1)]
            best = min(lengths, key=lambda length: (-(-weights // length) * length, -length))
        assert stream_shape(weights, n_out) == (-(-weights // best), best)


# A matrix made without a generator: no weight is zero, magnitudes from 0.01 to 5 with ties, rows of 64.
MATRIX = ((np.arange(24 * 64) * 7919 % 1009 - 504.5) / 100).reshape(24, 64)
SPARSE = np.where(np.arange(24 * 64).reshape(24, 64) % 5 > 2, 0.0, MATRIX)


@pytest.mark.parametrize(
    ("name", "matrix", "options"),
    [
        ("default", MATRIX, {"sparsity": 0.5}),
        ("asymmetric", MATRIX, {"sparsity": 0.7, "bits": 2, "group": 24, "symmetric": False, "pattern": (1, 4)}),
        (
            "rice",
            SPARSE,
            {"bits": 3, "group": 0, "xor_mask": "rice", "n_in": 4, "shift_registers": (0, 2), "run_bits": 2},
        ),
        ("spread", SPARSE, {"bits": 8, "group": 10, "interleaved": True, "seed": 3, "n_out": 9, "pattern": (4, 8)}),
        ("half", SPARSE, {"bits": 16}),
        ("tiny", 1e-9 * SPARSE, {"bits": 16}),
    ],
)
def test_what_is_stored_is_what_was_stored(name, matrix, options, num_regression):
    records = compress_matrix(matrix, **options)
    assert tuple(record.format for record in records) == format_names(**options)
    fields = (
        "sparsity",
        "stored_bits",
        "scale_bits",
        "entropy_bound",
        "relative_error",
        "encoding_efficiency",
        "efficiency",
    )
    assert all(record.lossless for record in records)
    num_regression.check(
        {record.format: np.array([getattr(record, field) for field in fields]) for record in records},
        basename=f"stored_{name}",
        default_tolerance={"rtol": 1e-9, "atol": 1e-12},
    )
