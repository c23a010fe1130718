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
    """Viterbi over a dictionary of register contents."""
    registers, n_in = len(generator) - 1, generator.shape[1]
    flips = [[sum(((u >> b) & 1) * g[b].astype(int) for b in range(n_in)) for u in range(1 << n_in)] for g in generator]
    cost = dict.fromkeys(itertools.product(range(1 << n_in), repeat=registers), 0)
    for want, matters in zip(bits, care, strict=True):
        after = {}
        for held, so_far in cost.items():
            for u in range(1 << n_in):
                line = (u, *held)
                y = sum(flips[age][line[age]] for age in range(registers + 1)) % 2
                total = so_far + int(((y != want) & matters).sum())
                after[line[:-1]] = min(total, after.get(line[:-1], total))
        cost = after
    return min(cost.values())


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
        (3, 1, 70, 0.1, 1),  # two words of outputs, costs beyond a byte
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


@pytest.mark.parametrize("registers", [1, 2])
def test_both_ways_of_a_step_agree(registers):
    problem = random_problem(np.random.default_rng(11), 3, registers, 8, 0.4, 4, streams=5, steps=12)
    spread = best_inputs(*problem)
    np.testing.assert_array_equal(best_inputs(*problem, spread_bits=0), spread)


def test_batches_do_not_change_what_is_found():
    problem = random_problem(np.random.default_rng(5), 3, 1, 6, 0.5, 3, streams=9, steps=6)
    whole = best_inputs(*problem)
    np.testing.assert_array_equal(best_inputs(*problem, columns=4), whole)


@pytest.mark.parametrize("size", [1, 7, 8, 20, 33, 64, 65, 130])
def test_words_hold_bits(size):
    bits = np.random.default_rng(size).random((3, 2, size)) < 0.5
    words = pack_words(bits)
    np.testing.assert_array_equal(dequantize_words(words, size), bits)
    np.testing.assert_array_equal(count_bits(words), bits.sum(axis=-1))


def test_a_span_holds_every_sum():
    basis = np.array([1, 6, 12])
    assert span(basis).tolist() == [0, 1, 6, 7, 12, 13, 10, 11]
    assert span(basis, np.array(16)).tolist() == [16, 17, 22, 23, 28, 29, 26, 27]
