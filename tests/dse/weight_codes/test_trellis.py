"""The encoder's search against a plain Viterbi, and against trying every sequence of inputs."""

import itertools

import numpy as np
import pytest

from dse.weight_codes import trellis
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
        (2, 1, 4, 0.5, 16),  # two words of planes
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


# --- the steps of the search ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coordinates", range(7))
def test_costs_spread_by_one_for_every_coordinate_that_differs(coordinates):
    points = 1 << coordinates
    field = np.random.default_rng(coordinates).integers(0, 9, (points, 4)).astype(np.uint8)
    field[np.random.default_rng(1).random((points, 4)) < 0.5] = trellis._unreached(field.dtype)
    field[0] = np.minimum(field[0], 9)
    apart = np.array([[(i ^ k).bit_count() for k in range(points)] for i in range(points)])
    expected = (field[None].astype(int) + apart[:, :, None]).min(axis=1)
    trellis._relax(field, np.empty((2, field.size // 2), np.uint8))
    assert field.tolist() == expected.tolist()
    assert [trellis._unreached(np.dtype(kind)) for kind in (np.uint8, np.uint16)] == [252, 65532]


@pytest.mark.parametrize(("values", "kind"), [(4, np.uint8), (256, np.uint8), (257, np.uint8), (300, np.uint16)])
def test_the_cheapest_value_is_the_first_of_the_least(values, kind):
    random = np.random.default_rng(values)
    costs = random.integers(0, 4, (values, 30)).astype(kind)
    outputs, wanted, mask = (random.integers(0, 1 << 6, (2, n)).astype(np.uint8) for n in (values, 30, 30))
    found = trellis._cheapest(costs, outputs, wanted, mask)
    for column in range(30):
        whole = [
            int(costs[v, column])
            + sum(int((outputs[w, v] ^ wanted[w, column]) & mask[w, column]).bit_count() for w in range(2))
            for v in range(values)
        ]
        assert found[column] == whole.index(min(whole))
    # The last of 256 values at a cost of 240: neither runs into the other.
    high = np.full((values, 1), 250, kind)
    high[-1] = 240
    assert trellis._cheapest(high, 0 * outputs, 0 * wanted[:, :1], mask[:, :1]).tolist() == [values - 1]


def test_planes_go_together_by_powers_of_two():
    spans = [[last - first for first, last in trellis._plane_groups(planes, 8)] for planes in range(1, 18)]
    assert spans[:8] == [[1], [2], [2, 1], [4], [4, 1], [4, 2], [4, 2, 1], [8]] and spans[16] == [8, 8, 1]
    assert list(trellis._plane_groups(7, 4)) == [(0, 4), (4, 6), (6, 7)]


def test_the_least_cost_is_taken_off_every_stream_and_plane():
    cost = np.random.default_rng(0).integers(3, 9, (4, 2, 5, 2)).astype(np.uint8)
    expected = cost - cost.min(axis=(0, 1))
    trellis._normalise(cost)
    assert cost.tolist() == expected.tolist() and cost.min(axis=(0, 1)).max() == 0
    trellis._normalise(cost)
    assert cost.tolist() == expected.tolist()
    order = np.array([3, 0, 4, 1, 2])
    assert trellis._arrange(cost, order, out=np.empty_like(cost)).tolist() == cost[:, :, order].tolist()


def test_streams_are_taken_in_batches_of_equal_width():
    search = trellis._Search(np.ones((3, 2, 6), bool), np.dtype(np.uint8), 15, 100)
    assert (search.registers, search.n_in, search.n_out, search.inputs, search.rests) == (2, 2, 6, 4, 4)
    # Of 100 columns four rests and five planes take 20: five streams at most at a time.
    cut = list(search._groups(np.array([1, 1, 1, 1, 1, 1, 3, 4, 4]), 5))
    assert cut == [(slice(0, 5), 1), (slice(5, 6), 1), (slice(6, 7), 3), (slice(7, 9), 4)]
    assert [part for part, _ in search._groups(np.array([2, 2]), 8)] == [slice(0, 2)]
    assert [part for part, _ in search._groups(np.array([2, 2]), 26)] == [slice(0, 1), slice(1, 2)]
    care = np.array([[[0, 1, 0, 1, 1, 0]], [[0] * 6]], bool)
    bits = np.array([[[[1, 1, 0, 0, 1, 1]]], [[[1] * 6]]], bool)
    chosen, wanted = search._nonzeros(care, bits)
    assert chosen[:, 0, :4].tolist() == [[1, 3, 4, 6], [6] * 4] and wanted[:, :, 0].tolist() == [[0b101], [0]]
    room = search.room("it", (2, 3))
    assert room.shape == (2, 3) and search.room("it", (5,)).base is room.base and search.room("it", (7,)).size == 7
    assert search.room("other", (2,)).base is not search.room("it", (2,)).base


@pytest.mark.parametrize(("n_in", "registers", "planes", "batch"), [(2, 1, 1, 100), (2, 1, 3, 33), (2, 1, 200, 1)])
def test_a_batch_fits_the_columns_and_the_memory(n_in, registers, planes, batch, monkeypatch):
    search = trellis._Search(np.ones((registers + 1, n_in, 4), bool), np.dtype(np.uint16), 15, 100)
    assert search.batch(10, planes) == batch
    # Four inputs, one rest, ten steps and two bytes: 80 bytes a plane.
    monkeypatch.setattr(trellis, "HISTORY_BYTES", 80 * planes * 5)
    assert search.batch(10, planes) == min(batch, 5) and search.batch(0, planes) == min(batch, 50)
    assert trellis._Search(np.ones((3, 7, 7), bool), np.dtype(np.uint8), 15, 100).batch(1, 1) == 1


def test_costs_stay_in_a_byte_as_long_as_they_fit(monkeypatch):
    kinds = []
    whole = trellis._Search

    def noted(generator, cost_type, *others):
        kinds.append(cost_type.itemsize)
        return whole(generator, cost_type, *others)

    monkeypatch.setattr(trellis, "_Search", noted)
    for registers, counts in ((1, (125, 126)), (2, (83, 84))):
        for count in counts:
            care = np.zeros((1, 1, 130), bool)
            care[..., :count] = True
            best_inputs(np.zeros((registers + 1, 1, 130), bool), care, np.zeros((1, 1, 1, 130), bool))
    # Twice 125 is 250, thrice 83 is 249; 252 stands for what is not reached.
    assert kinds == [1, 2, 1, 2]
