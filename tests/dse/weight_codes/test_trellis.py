"""The encoder's search against a plain Viterbi, and against trying every sequence of inputs."""

import itertools

import numpy as np
import pytest

from dse.weight_codes.gf2 import count_bits, dequantize_words, pack_words, span
from dse.weight_codes.trellis import best_inputs


def outputs(generator, inputs):
    """Decode slowly: one stream of inputs, bit by bit."""
    registers = len(generator) - 1
    n_in = generator.shape[1]
    steps = []
    for t in range(registers, len(inputs)):
        y = np.zeros(generator.shape[2], int)
        for age in range(registers + 1):
            for b in range(n_in):
                if inputs[t - age] >> b & 1:
                    y ^= generator[age, b].astype(int)
        steps.append(y)
    return np.array(steps)


def missed(generator, inputs, care, bits):
    return int(((outputs(generator, inputs) != bits) & care).sum())


def least_missed(generator, care, bits):
    """Viterbi over all register contents, the newest input first, costs in 64 bits."""
    registers, n_in = len(generator) - 1, generator.shape[1]
    chosen = (np.arange(1 << n_in)[:, None] >> np.arange(n_in)) & 1
    flips = [chosen @ taps.astype(int) % 2 == 1 for taps in generator]
    put_out = np.zeros(generator.shape[2], bool)
    for table in flips:
        put_out = put_out[..., None, :] ^ table
    cost = np.zeros((1 << n_in,) * registers, int)
    for want, matters in zip(bits, care, strict=True):
        cost = (cost + ((put_out != want) & matters).sum(axis=-1)).min(axis=-1)
    return int(cost.min())


def random_problem(rng, n_in, registers, n_out, sparsity, planes, streams=3, steps=7):
    generator = rng.random((registers + 1, n_in, n_out)) < 0.5
    care = rng.random((streams, steps, n_out)) >= sparsity
    return generator, care, rng.random((planes, streams, steps, n_out)) < 0.5


@pytest.mark.parametrize(
    ("n_in", "registers", "n_out", "sparsity", "planes"),
    [
        (2, 0, 6, 0.5, 2),
        (2, 1, 6, 0.5, 1),
        (2, 2, 6, 0.5, 3),
        (2, 3, 8, 0.6, 2),
        (1, 2, 4, 0.5, 1),
        (3, 1, 20, 0.1, 5),  # nonzeros beyond SPREAD_BITS: pairs
        (2, 2, 19, 0.1, 2),
        (3, 1, 70, 0.1, 1),  # two words of outputs
        (3, 1, 150, 0.1, 2),  # costs beyond a byte
        (9, 1, 14, 0.5, 1),  # inputs beyond a byte
        (9, 0, 20, 0.5, 3),
        (4, 1, 8, 0.5, 8),
        (1, 8, 3, 0.3, 7),  # 128 rests: a stream by itself
        (3, 0, 70, 0.3, 2),
        (2, 2, 6, 0.95, 4),  # steps without any nonzero
    ],
)
def test_the_search_finds_the_least_errors(n_in, registers, n_out, sparsity, planes):
    generator, care, bits = random_problem(np.random.default_rng(7), n_in, registers, n_out, sparsity, planes)
    inputs = best_inputs(generator, care, bits)
    for plane, stream in np.ndindex(inputs.shape[:2]):
        best = least_missed(generator, care[stream], bits[plane, stream])
        assert missed(generator, inputs[plane, stream], care[stream], bits[plane, stream]) == best


def test_the_search_beats_or_ties_every_sequence():
    generator, care, bits = random_problem(np.random.default_rng(3), 2, 1, 5, 0.3, 1, streams=1, steps=3)
    inputs = best_inputs(generator, care, bits)[0, 0]
    every = (missed(generator, line, care[0], bits[0, 0]) for line in itertools.product(range(4), repeat=4))
    assert missed(generator, inputs, care[0], bits[0, 0]) == min(every)


@pytest.mark.parametrize("planes", [1, 3, 8])
@pytest.mark.parametrize(("n_out", "other"), [(126, 1), (140, 20), (200, 50)])
def test_costs_that_a_byte_does_not_hold_stay_apart(n_out, other, planes):
    # One register of one bit. The first step asks for 0: input 1 misses all n_out. The second asks for what only
    # input 1 after 1 puts out, but for the last outputs, so that ways through 1 cost up to twice n_out in sum, which
    # in eight bits would look next to nothing.
    generator = np.zeros((2, 1, n_out), bool)
    generator[0], generator[1, 0, :other] = True, True
    bits = np.zeros((planes, 1, 4, n_out), bool)
    bits[:, 0, 1] = True
    bits[:, 0, 2, :other] = True
    bits[:, 0, 3] = np.arange(n_out) % 2
    care = np.ones((1, 4, n_out), bool)
    for spread_bits in (15, 0):
        inputs = best_inputs(generator, care, bits, spread_bits=spread_bits)
        for plane in range(planes):
            best = least_missed(generator, care[0], bits[plane, 0])
            assert missed(generator, inputs[plane, 0], care[0], bits[plane, 0]) == best


@pytest.mark.parametrize("registers", [1, 2])
def test_both_ways_of_a_step_agree(registers):
    problem = random_problem(np.random.default_rng(11), 3, registers, 8, 0.4, 4, streams=5, steps=12)
    spread = best_inputs(*problem)
    np.testing.assert_array_equal(best_inputs(*problem, spread_bits=0), spread)


def test_batches_do_not_change_what_is_found():
    problem = random_problem(np.random.default_rng(5), 3, 1, 6, 0.5, 3, streams=9, steps=6)
    whole = best_inputs(*problem)
    np.testing.assert_array_equal(best_inputs(*problem, columns=4), whole)


@pytest.mark.parametrize("size", [1, 7, 8, 9, 16, 20, 32, 33, 64, 65, 130])
def test_words_hold_bits(size):
    bits = np.random.default_rng(size).random((3, 2, size)) < 0.5
    words = pack_words(bits)
    np.testing.assert_array_equal(dequantize_words(words, size), bits)
    np.testing.assert_array_equal(count_bits(words), bits.sum(axis=-1))
    assert words.itemsize * 8 == min(width for width in (8, 16, 32, 64) if width >= min(size, 64))


def test_a_span_holds_every_sum():
    basis = np.array([1, 6, 12])
    assert span(basis).tolist() == [0, 1, 6, 7, 12, 13, 10, 11]
    assert span(basis, np.array(16)).tolist() == [16, 17, 22, 23, 28, 29, 26, 27]
