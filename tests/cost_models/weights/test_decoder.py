"""The code's efficiency for the cost model, and what its decoder takes in hardware."""

import csv
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.errors import CompressionError
from cost_models.weights.decoder import (
    TABLE,
    decoder_hardware,
    encoding_efficiency,
    measured_codes,
    measured_loads,
    plane_bits,
)
from dse.weight_codes.codecs import compress_matrix
from dse.weight_codes.pruning import generate_matrix

with TABLE.open(newline="", encoding="utf-8") as file:
    ROWS = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def row(n_in, registers, sparsity, n_out, rho=0.0):
    key = dict(n_in=n_in, shift_registers=registers, sparsity=sparsity, n_out=n_out, rho=rho)
    return next(line for line in ROWS if all(line[name] == value for name, value in key.items()))


# Section 4 of the compression facts: n_in, sparsity, n_out and per cent for 0, 1, 2 ... registers.
PUBLISHED = [
    (8, 0.5, 16, [93.4, 99.1, 99.6]),
    (8, 0.6, 20, [93.7, 99.0, 99.5]),
    (8, 0.7, 26, [93.8, 99.2, 99.7]),
    (8, 0.8, 40, [93.1, 98.8, 99.5]),
    (8, 0.9, 80, [93.4, 98.7, 99.4]),
    (8, 0.5, 15, [94.0, 99.6, 99.92]),
    (8, 0.5, 14, [95.7, 99.84, 100.0]),
    (8, 0.9, 72, [94.6, 99.4]),
    (4, 0.9, 40, [88.1, 95.9, 98.2, 99.2, 99.25]),
    (5, 0.9, 50, [90.8, 97.3, 98.9]),
    (6, 0.9, 60, [91.4, 97.9, 99.2]),
    (10, 0.9, 100, [94.6, 99.1]),
    (12, 0.9, 120, [95.4, 99.4]),
]


@pytest.mark.parametrize(
    ("n_in", "registers", "sparsity", "n_out", "published"),
    [(n_in, k, s, n_out, e) for n_in, s, n_out, line in PUBLISHED for k, e in enumerate(line)],
)
def test_the_shipped_table_is_the_published_one(n_in, registers, sparsity, n_out, published):
    measured = row(n_in, registers, sparsity, n_out)
    # Without registers one random map differs from the next by more than half a point (column `spread`), and a
    # published value is of one map.
    allowed = 0.5 if registers else max(0.5, 200 * measured["spread"])
    assert 100 * measured["efficiency"] == pytest.approx(published, abs=allowed)


@pytest.mark.parametrize(
    ("rho", "sparsity", "published"),
    [
        (0.02, 0.5, (99.0, 99.6)), (0.02, 0.7, (98.7, 99.6)), (0.02, 0.9, (97.4, 98.9)),
        (0.05, 0.5, (98.7, 99.5)), (0.05, 0.7, (98.4, 99.4)), (0.05, 0.9, (96.0, 97.8)),
        (0.10, 0.5, (98.5, 99.2)), (0.10, 0.7, (97.6, 98.9)), (0.10, 0.9, (93.7, 95.7)),
        (0.24, 0.5, (97.6, 98.7)), (0.24, 0.7, (95.7, 97.8)), (0.24, 0.9, (88.9, 91.9)),
    ],
)  # fmt: skip
def test_the_shipped_table_covers_unequal_blocks(rho, sparsity, published):
    n_out = {0.5: 16, 0.7: 26, 0.9: 80}[sparsity]
    for registers, per_cent in enumerate(published, start=1):
        measured = row(8, registers, sparsity, n_out, rho)
        # With two registers the published values are of 1000 to 1500 blocks, as many as one map has here: errors come
        # in clusters, and `spread` is how far such a sample strays. At 0.9, 12 further maps of 1280 blocks gave 96.24
        # +- 0.11 (rho 0.10; one map strays by 0.38) and 92.42 +- 0.14 (rho 0.24; by 0.48).
        allowed = 0.5 if registers == 1 else 0.5 + 100 * measured["spread"]
        assert 100 * measured["efficiency"] == pytest.approx(per_cent, abs=allowed)


def test_measured_settings_come_back_from_the_interpolation():
    for line in ROWS:
        if line["efficiency"] < 1 and line["sparsity"] in (0.5, 0.9):
            arguments = (line["n_in"], line["shift_registers"], line["sparsity"])
            result = encoding_efficiency(*arguments, rho=line["rho"], n_out=line["n_out"])
            # Orders that noise has reversed are put right; nothing else moves.
            assert result == pytest.approx(line["efficiency"], abs=4 * line["standard_error"] + 1e-6)


@pytest.mark.parametrize(("sparsity", "n_out"), [(0.6, 20), (0.8, 40)])
@pytest.mark.parametrize("registers", [0, 1, 2])
def test_settings_left_out_of_the_interpolation_are_predicted(sparsity, n_out, registers):
    measured = row(8, registers, sparsity, n_out)["efficiency"]
    assert encoding_efficiency(8, registers, sparsity) == pytest.approx(
        measured, abs=0.005 if registers == 0 else 0.002
    )


def curves_of(n_in, registers):
    """Return, by sparsity and correlation, (load, logarithm of the share missed) of a code, in order of load."""
    points = {}
    for line in ROWS:
        if (line["n_in"], line["shift_registers"]) == (n_in, registers):
            load = line["n_out"] * (1 - line["sparsity"]) / n_in
            missed = max(1 - line["efficiency"], 0.5 / (line["blocks"] * n_in * load))
            points.setdefault((line["sparsity"], line["rho"]), []).append((load, math.log(missed)))
    correlations = sorted({rho for _, rho in points})
    sparsities = sorted({s for s, _ in points})
    whole = [s for s in sparsities if all(len(points.get((s, rho), [])) >= 2 for rho in correlations)]
    rising = {}
    for s in whole:
        for rho in correlations:
            worst = -math.inf
            rising[s, rho] = []
            for load, missed in sorted(points[s, rho]):
                worst = max(worst, missed)
                rising[s, rho].append((load, worst))
    return whole, correlations, rising


def between(x, known):
    """Return the value at x of a line through known points."""
    for (a, at_a), (b, at_b) in itertools.pairwise(known):
        if a <= x <= b:
            return at_a + (at_b - at_a) * (x - a) / (b - a)
    raise AssertionError(x)


def test_the_code_between_measurements_against_a_plain_twin():
    """One row after the other: along load, then sparsity, then correlation, never better with a higher one."""
    rng = np.random.default_rng(3)
    codes = measured_codes()
    assert set(codes) == {(int(line["n_in"]), int(line["shift_registers"])) for line in ROWS}
    for n_in, registers in codes:
        sparsities, correlations, curves = curves_of(n_in, registers)
        assert codes[n_in, registers] == (sparsities[0], sparsities[-1], correlations[-1])
        least = max(curve[0][0] for curve in curves.values())
        most = min(curve[-1][0] for curve in curves.values())
        assert measured_loads(n_in, registers) == (least, most)
        rows = [*itertools.product(sparsities[:3], correlations[:2], (least, most))]
        draws = rng.uniform(size=(12, 3))
        lowest = np.array([sparsities[0], 0.0, least])
        rows += [*(lowest + draws * (np.array([sparsities[-1], correlations[-1], most]) - lowest))]
        expected = []
        for s, rho, load in rows:
            column, worst = [], -math.inf
            for one in correlations:
                near = [(level, curves[level, one]) for level in sparsities]
                sides = [(level, between(load, curve)) for level, curve in near]
                worst = max(worst, between(s, sides))
                column.append((one, worst))
            expected.append(1 - math.exp(between(rho, column) if len(column) > 1 else worst))
        s, rho, load = np.array(rows).T
        n_out = load * n_in / (1 - s)
        found = encoding_efficiency(n_in, registers, s, rho=rho, n_out=n_out)
        assert found == pytest.approx(expected, rel=1e-9), (n_in, registers)


@given(
    sparsity=st.floats(0.3, 0.95), step=st.floats(0, 0.05), rho=st.floats(0, 0.24), registers=st.integers(0, 1),
    load=st.floats(0.85, 1),
)  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_more_load_or_correlation_never_helps_and_registers_do(sparsity, step, rho, registers, load):
    def found(registers=registers, rho=rho, load=load):
        return encoding_efficiency(8, registers, sparsity, rho=rho, n_out=8 * load / (1 - sparsity))[()]

    assert 0.7 < found() <= 1
    assert found(load=max(load - step, 0.85)) >= found()
    assert found(rho=max(rho - step, 0)) >= found()
    assert found(registers=registers + 1) >= found()


def test_columns_are_the_rows_one_by_one():
    sparsity = np.linspace(0.35, 0.9, 12)
    n_in = np.resize([4, 8, 8, 10], 12)
    registers = np.resize([2, 1, 2, 1], 12)
    column = encoding_efficiency(n_in, registers, sparsity)
    assert column.shape == (12,)
    singles = [encoding_efficiency(*each)[()] for each in zip(n_in, registers, sparsity, strict=True)]
    np.testing.assert_allclose(column, singles, rtol=1e-14)
    assert np.isnan(encoding_efficiency(np.array([8, np.nan]), 1, 0.5)).tolist() == [False, True]


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((7, 1, 0.5), {}, "n_in 7 with 1 shift registers; measured: n_in 4 with 0, 1, 2, 3, 4"),
        ((10, 2, 0.5), {}, "n_in 10 with 2 shift registers"),
        ((8, 1, 0.1), {}, "sparsity from 0.3 to 0.95, got 0.1"),
        ((8, 1, 0.5), {"rho": 0.5}, "rho from 0 to 0.24, got 0.5"),
        ((10, 1, 0.5), {"rho": 0.1}, "rho from 0 to 0, got 0.1"),
        ((8, 1, 0.5), {"n_out": 32}, "load"),
        ((8, 1, 1.0), {}, "sparsity below 1, got 1"),
    ],
)
def test_what_has_not_been_measured_is_named(arguments, options, words):
    with pytest.raises(CompressionError, match=words):
        encoding_efficiency(*arguments, **options)


@pytest.mark.parametrize(("sparsity", "registers"), [(0.5, 1), (0.7, 1), (0.9, 1), (0.7, 0)])
def test_predicted_bits_are_the_bits_that_the_encoder_stores(sparsity, registers):
    matrix = generate_matrix((192, 256), seed=5)
    name = f"xor_8x{registers}"
    result = compress_matrix(matrix, formats=[name], sparsity=sparsity, bits=4, group=0, shift_registers=(registers,))[
        0
    ]
    n_out = {0.5: 16, 0.7: 26, 0.9: 80}[sparsity]
    expected = plane_bits(8, n_out, sparsity, encoding_efficiency(8, registers, sparsity))
    assert result.stored_bits - result.scale_bits == pytest.approx(1 + 4 * expected, rel=0.02)


def test_hardware_of_the_published_decoders():
    needed = np.ceil(8 * 1.134e12 / (8 * 1e9))  # decoders of 8 bits per cycle that take in 1.134 TB/s at 1 GHz
    gates = {key: float(needed * decoder_hardware(8, n_out, key[1]).xor2_gates) / 1e6
             for key, n_out in (((0.5, 1), 16), ((0.5, 2), 16), ((0.9, 1), 80), ((0.9, 2), 80))}  # fmt: skip
    assert [round(value, 2) for value in gates.values()] == [0.13, 0.20, 0.64, 1.00]
    one = decoder_hardware(8, 16, [0, 1, 2])
    assert one.depth.tolist() == [3, 4, 5]
    assert one.flip_flops.tolist() == [0, 8, 16]
    assert one.bits_per_cycle == 16
