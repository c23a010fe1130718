"""Pruning, generated masks, quantisation and every container's round trip."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.errors import CompressionError
from cost_models.weights.lanes import block_correlation
from dse.weight_codes import pruning
from dse.weight_codes.binary_coding import binary_code
from dse.weight_codes.pruning import block_mask, check_matrix, generate_matrix, interleaving, magnitude_mask, nm_mask
from dse.weight_codes.quantising import Quantised, quantise

RNG = np.random.default_rng(0)
WEIGHTS = RNG.standard_normal((16, 96))


@given(sparsity=st.floats(0.01, 0.99), per_row=st.booleans())
@settings(deadline=None)
def test_pruning_takes_the_smallest_and_exactly_its_fraction(sparsity, per_row):
    mask = magnitude_mask(WEIGHTS, sparsity=sparsity, per_row=per_row)
    for line, kept in zip(WEIGHTS, mask, strict=True) if per_row else [(WEIGHTS, mask)]:
        assert np.count_nonzero(~kept) == round(sparsity * line.size)
        if kept.any() and not kept.all():
            assert np.abs(line[kept]).min() >= np.abs(line[~kept]).max()


def test_equal_magnitudes_go_in_order():
    assert magnitude_mask(np.ones((1, 4)), sparsity=0.5).tolist() == [[False, False, True, True]]


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (4, 8)])
def test_n_of_m_keeps_the_greatest_of_every_group(n, m):
    mask = nm_mask(WEIGHTS, n=n, m=m).reshape(-1, m)
    groups = np.abs(WEIGHTS).reshape(-1, m)
    assert (mask.sum(axis=1) == n).all()
    assert (np.where(mask, groups, np.inf).min(axis=1) >= np.where(mask, 0, groups).max(axis=1)).all()


@pytest.mark.parametrize("rho", [0.0, 0.05, 0.235])
@pytest.mark.parametrize("sparsity", [0.5, 0.9])
def test_generated_masks_have_the_correlation_asked_for(rho, sparsity):
    mask = block_mask((4000, 100), sparsity=sparsity, block=100, rho=rho, seed=1)
    assert mask.mean() == pytest.approx(1 - sparsity, abs=0.01)
    assert block_correlation(mask.sum(axis=1), 100) == pytest.approx(rho, abs=0.015)


def test_interleaving_takes_the_correlation_away_and_can_be_undone():
    mask = block_mask((4000, 100), sparsity=0.7, block=100, rho=0.235, seed=2).reshape(-1)
    order = interleaving(mask.size)
    spread = mask[order]
    assert abs(block_correlation(spread.reshape(-1, 100).sum(axis=1), 100)) < 0.005
    restored = np.empty_like(spread)
    restored[order] = spread
    np.testing.assert_array_equal(restored, mask)


def test_generated_matrices_are_repeatable_and_zero_where_pruned():
    first, again = (generate_matrix((64, 64), sparsity=0.7, block=64, rho=0.1, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.count_nonzero(generate_matrix((64, 64), seed=3)) == 64 * 64
    assert 0.5 < (first == 0).mean() < 0.9


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("group", [0, 32, 40])
def test_rounding_errs_by_half_a_step_at_most(bits, symmetric, group):
    weights = WEIGHTS.astype(np.float16).astype(float)
    result = quantise(weights, bits=bits, group=group, symmetric=symmetric)
    step = np.repeat(result.scales, result.group, axis=1)[:, : weights.shape[1]]
    # A float16 scale is off by up to 2^-11, which shifts the outermost levels by that share of the range; a zero
    # point is rounded, which moves the ends of the range by up to half a step.
    allowed = step * (0.5 + 2.0**-11 * 2**bits + (0 if symmetric else 0.5))
    assert (np.abs(result.weights() - weights) <= allowed).all()
    assert result.codes.max() < 1 << bits


def test_scales_cost_what_the_formulas_say():
    for symmetric, zero in ((True, 0), (False, 4)):
        result = quantise(WEIGHTS, bits=4, group=32, symmetric=symmetric)
        assert result.scale_bits / WEIGHTS.size == (16 + zero) / 32
    double = quantise(WEIGHTS, bits=4, group=32, second_group=16)
    assert double.scale_bits / WEIGHTS.size == 8 / 32 + 16 / (32 * 16)
    plain = quantise(WEIGHTS, bits=4, group=32)
    np.testing.assert_allclose(double.scales, plain.scales, rtol=0.02)


@pytest.mark.parametrize("symmetric", [True, False])
def test_code_zero_is_weight_zero_and_survivors_stay_survivors(symmetric):
    mask = magnitude_mask(WEIGHTS, sparsity=0.3)
    result = quantise(WEIGHTS, bits=2, group=32, symmetric=symmetric, mask=mask)
    np.testing.assert_array_equal(result.codes != 0, mask)
    assert (result.weights()[~mask] == 0).all()


def test_constant_and_empty_groups():
    weights = np.zeros((2, 8))
    weights[0] = 3.0
    for symmetric in (True, False):
        result = quantise(weights, bits=4, group=0, symmetric=symmetric)
        np.testing.assert_allclose(result.weights(), weights, rtol=1e-3)
    tiny = quantise(np.full((1, 4), 1e-12), bits=4, group=0)  # a scale below float16 is the least float16, not 0
    assert tiny.scales.min() > 0


def test_binary_coding_of_one_plane_is_mean_and_mean_deviation():
    result = binary_code(WEIGHTS, bits=1, group=0)
    centred = WEIGHTS - WEIGHTS.mean(axis=1, keepdims=True)
    best = np.where(centred >= 0, 1, -1) * np.abs(centred).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(result.weights() - WEIGHTS.mean(axis=1, keepdims=True), best, atol=2e-3)
    assert result.scale_bits == 2 * 16 * 16


def test_more_planes_err_less_and_cost_a_scale_each():
    errors = [np.linalg.norm(binary_code(WEIGHTS, bits=q, group=32).weights() - WEIGHTS) for q in (1, 2, 3, 4)]
    assert errors == sorted(errors, reverse=True)
    assert errors[3] < 0.15 * np.linalg.norm(WEIGHTS)
    coded = binary_code(WEIGHTS, bits=4, group=32)
    assert coded.scale_bits / WEIGHTS.size == (4 * 16 + 16) / 32
    assert binary_code(WEIGHTS, bits=2, group=40).codes.shape == WEIGHTS.shape  # a last group that is shorter


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (np.empty((0, 3)), "shape \\(0, 3\\) is empty"),
        (np.array([[1.0, np.nan], [np.inf, 2.0]]), "got nan at \\(0, 1\\) and 1 more"),
        (np.array([["a"]]), "real numbers"),
        (np.array([[1j]]), "real numbers"),
    ],
)
def test_tensors_that_are_no_weights(matrix, words):
    with pytest.raises(CompressionError, match=words):
        check_matrix(matrix)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: magnitude_mask(WEIGHTS, sparsity=0.0), "above 0 and below 1, got 0"),
        (lambda: magnitude_mask(WEIGHTS, sparsity=1.0), "above 0 and below 1, got 1$"),
        (lambda: magnitude_mask(WEIGHTS, sparsity=1.5), "got 1.5; perhaps 0.015$"),
        (lambda: magnitude_mask(WEIGHTS, sparsity=99.0), "got 99; perhaps 0.99$"),
        (lambda: magnitude_mask(WEIGHTS, sparsity=100.0), "got 100$"),
        (lambda: magnitude_mask(WEIGHTS, sparsity=-50.0), "got -50$"),
        (lambda: nm_mask(WEIGHTS, n=4, m=4), "got 4 of 4"),
        (lambda: nm_mask(WEIGHTS, n=2, m=5), "96 weights do not divide into groups of 5"),
        (lambda: block_mask((4,), sparsity=0.5, block=0), "1 weight or more"),
        (lambda: block_mask((4,), sparsity=0.5, block=4, rho=1.0), "rho must be 0 or more and below 1, got 1"),
        (lambda: block_mask((4,), sparsity=0.5, block=4, rho=-0.1), "rho must be 0 or more and below 1, got -0.1"),
        (lambda: generate_matrix((0, 4)), "positive sizes"),
        (lambda: generate_matrix(()), "positive sizes"),
        (lambda: generate_matrix((2**14, 2**14 + 1)), "at most 268,435,456 weights, not 268,451,840"),
        (lambda: quantise(WEIGHTS, bits=1, group=0), "2 to 8 bits, got 1"),
        (lambda: quantise(WEIGHTS, bits=9, group=0), "2 to 8 bits, got 9"),
        (lambda: quantise(WEIGHTS, bits=0, group=0, symmetric=False), "1 to 8 bits, got 0"),
        (lambda: quantise(WEIGHTS, bits=4, group=-1), "0 weights or more, got -1"),
        (lambda: quantise(WEIGHTS, bits=4, group=4, second_group=-1), "0 weights or more, got -1"),
        (lambda: quantise(1e7 * WEIGHTS, bits=4, group=0), "does not fit float16"),
        (lambda: binary_code(WEIGHTS, bits=9, group=0), "1 to 8 planes, got 9"),
        (lambda: binary_code(1e7 * WEIGHTS, bits=2, group=0), "does not fit float16"),
    ],
)
def test_settings_out_of_range_are_named(call, words):
    with pytest.raises(CompressionError, match=words):
        call()


@pytest.mark.parametrize(
    ("weights", "options", "codes", "scales", "scale_bits"),
    [
        # Three levels each way; 1.5 goes to the even level; the last group has three weights.
        ([-3, -1, 0, 1.5, 6, 2, 0], {"bits": 3, "group": 4}, [5, 7, 0, 2, 3, 1, 0], [1, 2], 32),
        # Zero points 1, 0 and 3: codes are levels modulo 4.
        (
            [-1, 0, 2, 1, 0.4, 3, 2, 1, -3, -2, -0.4, -1], {"bits": 2, "group": 4, "symmetric": False},
            [3, 0, 2, 1, 0, 3, 2, 1, 1, 2, 0, 3], [1, 1, 1], 3 * 18,
        ),
        ([0, 3, 3, 0], {"bits": 1, "group": 0, "symmetric": False}, [0, 1, 1, 0], [3], 17),
        # What is left by pruning keeps off 0: upwards where it is 0 or more and there are levels above, else downwards.
        ([6, 0.1, -0.1, 9, 0], {"bits": 3, "group": 0, "mask": [1, 1, 1, 0, 1]}, [3, 1, 7, 0, 1], [2], 16),
        (
            [-1, 0.1, 2, -0.1, 3, 0.1, 1, 2, -3, -0.1, -1, 0],
            {"bits": 2, "group": 4, "symmetric": False, "mask": [1] * 12},
            [3, 1, 2, 3, 3, 1, 1, 2, 1, 3, 3, 3], [1, 1, 1], 3 * 18,
        ),
        # Scales in eight bits of the greatest of two: 255, 1 in place of 0.1; 0 stays 0; and 2, 1 of 255 / 127.5.
        (
            [255, -3, 0.1, 0.1, 0, 0, 510, 2.2], {"bits": 2, "group": 2, "second_group": 2},
            [1, 0, 0, 0, 0, 0, 1, 0], [255, 1, 0, 510], 4 * 8 + 2 * 16,
        ),
        ([65504, -65504, 1e-12, 1e-12], {"bits": 2, "group": 2}, [1, 3, 0, 0], [65504, 2.0**-24], 32),
        # A group of zeros has a scale of 0; what has been pruned takes no part in the range, and stays 0.
        ([0, 0, 3, -3], {"bits": 2, "group": 2}, [0, 0, 1, 3], [0, 3], 32),
        ([3, 9, -9, -2], {"bits": 3, "group": 4, "mask": [1, 0, 0, 1]}, [3, 0, 0, 6], [1], 16),
        # Of 255 quarters half is 127.5, which goes to the even; less than half of one is one.
        (
            [63.75, 31.875, 0.1, 127.5], {"bits": 2, "group": 1, "second_group": 3},
            [1, 1, 0, 1], [63.75, 32, 0.25, 127.5], 4 * 8 + 2 * 16,
        ),
    ],
)  # fmt: skip
def test_codes_and_scales_worked_out_by_hand(weights, options, codes, scales, scale_bits):
    if "mask" in options:
        options = options | {"mask": np.array([options["mask"]], bool)}
    result = quantise(np.array([weights], float), **options)
    assert result.codes.tolist() == [codes]
    assert result.scales.tolist() == [scales]
    assert result.scale_bits == scale_bits
    bits = options["bits"]
    if result.zeros is None:
        signed = [code - (code >> bits - 1 << bits) for code in codes]
    else:
        lasts = np.repeat((1 << bits) - 1 - result.zeros[0], result.group)
        signed = [code - (1 << bits if code > last else 0) for code, last in zip(codes, lasts, strict=True)]
    group = options["group"] or len(codes)
    assert result.weights().tolist() == [[one * scales[place // group] for place, one in enumerate(signed)]]


def test_codes_are_twos_complements_of_the_levels():
    codes = np.array([[4, 3, 5], [7, 0, 1]], np.uint8)
    one = Quantised(codes, 3, 2, np.array([[2.0, 0.5], [1.0, 4.0]]))
    assert one.weights().tolist() == [[-8, 6, -1.5], [-1, 0, 4]] and one.scale_bits == 4 * 16
    # With zero points 0 and 3 levels run to 7 and to 4.
    shifted = Quantised(codes, 3, 3, np.array([[2.0], [1.0]]), np.array([[0], [3]]))
    assert shifted.weights().tolist() == [[8, 6, 10], [-1, 0, 1]] and shifted.scale_bits == 2 * (16 + 3)
    assert len({one, shifted, replace(one)}) == 3, "each is itself alone: arrays have no truth"


def test_sums_of_signed_scales_come_back_as_they_were_made():
    # Groups of four with every choice of signs have their offset as mean and give both scales; a last one has a single.
    signs = np.array([[1, 1], [-1, 1], [1, -1], [-1, -1]])
    weights = np.concatenate([3 + signs @ [2, 0.5], -1 + signs @ [8, 1], [5 + 0.25, 5 - 0.25]])[None]
    result = binary_code(weights, bits=2, group=4)
    np.testing.assert_allclose(result.weights(), weights, atol=1e-6)
    np.testing.assert_allclose(result.offsets, [[3, -1, 5]])
    np.testing.assert_allclose(result.scales[0, :2], [[2, 0.5], [8, 1]])
    assert result.codes[0, :8].tolist() == [3, 2, 1, 0, 3, 2, 1, 0]
    assert result.scale_bits == 3 * (2 + 1) * 16
    edge = binary_code(np.array([[65504.0, -65504.0]]), bits=1, group=0)  # the greatest of float16
    assert edge.weights().tolist() == [[65504, -65504]]


@pytest.mark.parametrize("bits", [1, 2, 3, 8])
def test_every_weight_has_the_nearest_sum_of_the_scales_before_they_were_stored(bits):
    result = binary_code(WEIGHTS, bits=bits, group=40)
    signs = 2 * ((np.arange(1 << bits)[:, None] >> np.arange(bits)) & 1) - 1
    index = np.arange(WEIGHTS.shape[1]) // 40
    levels = result.offsets[:, index, None] + result.scales[:, index] @ signs.T
    least = np.abs(WEIGHTS[..., None] - levels).min(axis=-1)
    # Halves are off by up to 2^-11 of each scale and offset.
    slack = 2.0**-10 * (np.abs(result.scales).sum(axis=-1) + np.abs(result.offsets))[:, index]
    assert (np.abs(result.weights() - WEIGHTS) <= least + slack).all()


def test_so_little_sparsity_that_no_weight_goes():
    assert magnitude_mask(WEIGHTS[:1, :10], sparsity=0.04).all()
    assert magnitude_mask(WEIGHTS[:1, :10], sparsity=0.06).sum() == 9
    ties = np.array([[2.0, 1.0, -1.0, 1.0], [1.0, 3.0, 3.0, 3.0]])
    assert magnitude_mask(ties, sparsity=0.5, per_row=True).tolist() == [[1, 0, 0, 1], [0, 0, 1, 1]]
    assert magnitude_mask(ties, sparsity=0.5).tolist() == [[1, 0, 0, 0], [0, 1, 1, 1]]


@pytest.mark.parametrize(("block", "blocks"), [(1, 10), (3, 4), (4, 3), (5, 2), (10, 1), (11, 1)])
def test_blocks_draw_a_density_each_and_then_their_weights(block, blocks):
    mask = block_mask((2, 5), sparsity=0.3, block=block, rho=0.25, seed=8)
    random = np.random.default_rng(8)
    density = random.beta(0.7 * 3, 0.3 * 3, blocks)  # (1 - rho) / rho = 3
    assert mask.ravel().tolist() == [draw < density[place // block] for place, draw in enumerate(random.random(10))]
    plain = np.random.default_rng(0).random(10) < 0.7
    assert block_mask((10,), sparsity=0.3, block=block).tolist() == plain.tolist()


def test_a_generated_matrix_is_normal_and_then_masked(monkeypatch):
    normal = np.random.default_rng(0).standard_normal((5, 40))
    np.testing.assert_array_equal(generate_matrix((5, 40)), normal)
    random = np.random.default_rng(2)
    normal = random.standard_normal((5, 40))
    for settings_, mask in (({}, {"block": 100, "rho": 0.0}), ({"block": 7, "rho": 0.2}, {"block": 7, "rho": 0.2})):
        random = np.random.default_rng(2)
        normal = random.standard_normal((5, 40))
        kept = block_mask((5, 40), sparsity=0.4, seed=random, **mask)
        found = generate_matrix((5, 40), sparsity=0.4, seed=2, **settings_)
        np.testing.assert_array_equal(found, np.where(kept, normal, 0.0))
    assert generate_matrix((1, 1)).shape == (1, 1)
    np.testing.assert_array_equal(interleaving(9), np.random.default_rng(0).permutation(9))
    nothing = SimpleNamespace(standard_normal=lambda shape: np.zeros(shape))
    monkeypatch.setattr(pruning.np.random, "default_rng", lambda seed: nothing)
    assert generate_matrix((1, 3)).tolist() == [[1, 1, 1]], "no weight is pruned by chance"


def test_a_place_of_many_that_are_not_finite_is_told():
    matrix = np.ones((3, 4))
    matrix[2, 1] = np.inf
    with pytest.raises(CompressionError, match=r"^weights must be finite, got inf at \(2, 1\)$"):
        check_matrix(matrix)
    matrix[1, 2:] = np.nan
    with pytest.raises(
        CompressionError, match=r"^weights must be finite, got nan at \(1, 2\) and 2 more that are not$"
    ):
        check_matrix(matrix)
    assert check_matrix(np.array([[1, 2]], np.uint8)).tolist() == [[1, 2]]


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_binary_coding_is_that_of_a_plain_twin(bits):
    """Greedy planes, then four times scales of least squares for the signs and the nearest sum for every weight."""
    weights = np.round(np.random.default_rng(5).standard_normal((2, 7)), 2)
    found = binary_code(weights, bits=bits, group=4)
    codes, scales, offsets = np.zeros((2, 7), int), np.zeros((2, 2, bits)), np.zeros((2, 2))
    for row, first in itertools.product(range(2), (0, 4)):
        group = weights[row, first : first + 4]
        offset = group.mean()
        rest = group - offset
        left, signs = rest.copy(), np.zeros((len(group), bits))
        for plane in range(bits):
            signs[:, plane] = np.where(left >= 0, 1, -1)
            left = left - signs[:, plane] * np.abs(left).mean()
        for _ in range(4):
            # Signs may be those of fewer planes: a billionth of the unit matrix decides between scales that are alike.
            fitted = np.linalg.solve(signs.T @ signs + 1e-9 * np.eye(bits), signs.T @ rest)
            every = [[1 if code >> plane & 1 else -1 for plane in range(bits)] for code in range(1 << bits)]
            near = [min(range(1 << bits), key=lambda code, w=w: abs(w - np.dot(fitted, every[code]))) for w in rest]
            signs = np.array([every[code] for code in near], float)
        codes[row, first : first + 4] = near
        scales[row, first // 4], offsets[row, first // 4] = fitted, offset
    assert found.codes.tolist() == codes.tolist() and (found.bits, found.group) == (bits, 4)
    np.testing.assert_allclose(found.scales, scales, rtol=2.0**-10, atol=1e-6)
    np.testing.assert_allclose(found.offsets, offsets, rtol=2.0**-10, atol=1e-6)
    assert len({found, replace(found)}) == 2, "each is itself alone: arrays have no truth"


def test_planes_and_groups_out_of_range_are_named():
    for bits in (0, 9):
        with pytest.raises(CompressionError, match=f"binary coding takes 1 to 8 planes, got {bits}"):
            binary_code(WEIGHTS, bits=bits, group=0)
    with pytest.raises(CompressionError, match="groups must have 0 weights or more, got -1"):
        binary_code(WEIGHTS, bits=2, group=-1)
    assert binary_code(WEIGHTS[:1, :3], bits=8, group=1).codes.shape == (1, 3)
