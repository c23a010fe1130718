"""Which weights go: pruning by magnitude, N of M, and generated masks whose blocks are more unequal than probability.

rho is the intra-block correlation of a beta-binomial mask: each block draws its own density from a beta distribution
of mean 1 - S, so that nonzeros per block of n have the variance n p (1 - p) (1 + (n - 1) rho).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import CompressionError
from cost_models.table import FloatArray
from dse.weight_codes.tensors import MAX_WEIGHTS

Mask = NDArray[np.bool_]
Seed = int | np.random.Generator


def check_matrix(matrix: NDArray[Any]) -> FloatArray:
    """Return the weights as floats.

    Raises:
        CompressionError: no weights, not numbers, or not all finite.
    """
    if matrix.size == 0:
        raise CompressionError(f"the tensor of shape {matrix.shape} is empty")
    if matrix.dtype.kind not in "fiu":
        raise CompressionError(f"the tensor must hold real numbers, got {matrix.dtype}")
    with np.errstate(invalid="ignore"):
        weights = matrix.astype(np.float64)
    wrong = np.flatnonzero(~np.isfinite(weights))
    if wrong.size:
        place = tuple(int(i) for i in np.unravel_index(wrong[0], weights.shape))
        raise CompressionError(
            f"weights must be finite, got {weights[place]:g} at {place}"
            + (f" and {wrong.size - 1} more that are not" if wrong.size > 1 else "")
        )
    return weights


def check_sparsity(sparsity: float) -> None:
    """Raise `CompressionError` unless some weights go and some stay."""
    if not 0 < sparsity < 1:
        perhaps = f"; perhaps {sparsity / 100:g}" if 1 < sparsity < 100 else ""
        raise CompressionError(f"sparsity must be above 0 and below 1, got {sparsity:g}{perhaps}")


def magnitude_mask(weights: FloatArray, *, sparsity: float, per_row: bool = False) -> Mask:
    """Return the nonzeros when the smallest magnitudes go, exactly round(S n) of them.

    Of equal magnitudes the earlier go first.

    Args:
        weights: any shape.
        sparsity: share that goes, of the tensor or of every row.
        per_row: prune every row (last axis) to the same sparsity, as Wanda does per output.
    """
    check_sparsity(sparsity)
    rows = np.abs(weights).reshape(-1, weights.shape[-1]) if per_row else np.abs(weights).reshape(1, -1)
    gone = round(sparsity * rows.shape[1])
    if gone == 0:
        return np.ones(weights.shape, np.bool_)
    greatest_gone = np.partition(rows, gone - 1, axis=1)[:, gone - 1, None]
    ties = rows == greatest_gone
    left = gone - np.count_nonzero(rows < greatest_gone, axis=1)
    kept = (rows >= greatest_gone) & ~(ties & (np.cumsum(ties, axis=1) <= left[:, None]))
    return np.asarray(kept.reshape(weights.shape))


def nm_mask(weights: FloatArray, *, n: int, m: int) -> Mask:
    """Return the nonzeros when every `m` neighbours of a row keep their `n` greatest magnitudes.

    Raises:
        CompressionError: n is not from 1 to m - 1, or m does not divide the rows.
    """
    check_pattern(n, m, weights.shape[-1])
    groups = np.abs(weights).reshape(-1, m)
    mask = np.zeros(groups.shape, np.bool_)
    np.put_along_axis(mask, np.argsort(-groups, axis=1, kind="stable")[:, :n], True, axis=1)
    return mask.reshape(weights.shape)


def check_pattern(n: int, m: int, columns: int) -> None:
    """Raise `CompressionError` unless n of m can be kept in rows of that many columns."""
    if not 0 < n < m:
        raise CompressionError(f"n of m must keep at least 1 and drop at least 1, got {n} of {m}")
    if columns % m:
        raise CompressionError(f"rows of {columns} weights do not divide into groups of {m}")


def block_mask(shape: tuple[int, ...], *, sparsity: float, block: int, rho: float = 0.0, seed: Seed = 0) -> Mask:
    """Return a random mask whose blocks of `block` consecutive weights have beta-binomial nonzeros.

    Args:
        shape: shape of the mask; the last block may be shorter.
        sparsity: expected share that goes.
        block: weights that share a density.
        rho: correlation within a block, 0 for independent weights.
        seed: seed or generator.

    Raises:
        CompressionError: sparsity outside (0, 1), rho outside [0, 1) or a block without weights.
    """
    check_sparsity(sparsity)
    if not 0 <= rho < 1:
        raise CompressionError(f"rho must be 0 or more and below 1, got {rho:g}")
    if block < 1:
        raise CompressionError(f"a block must have 1 weight or more, got {block}")
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    density: float | FloatArray = 1 - sparsity
    if rho:
        strength = (1 - rho) / rho
        blocks = -(-size // block)
        density = np.repeat(rng.beta((1 - sparsity) * strength, sparsity * strength, blocks), block)[:size]
    return (rng.random(size) < density).reshape(shape)


def generate_matrix(
    shape: tuple[int, ...], *, sparsity: float = 0.0, block: int = 100, rho: float = 0.0, seed: int = 0
) -> FloatArray:
    """Return normal random weights of which a `block_mask` of the given sparsity has made the rest zero.

    Raises:
        CompressionError: an empty shape, more weights than a file may hold, or settings that `block_mask` refuses;
            a sparsity of 0 keeps every weight.
    """
    if any(size < 1 for size in shape) or not shape:
        raise CompressionError(f"a generated tensor needs a shape of positive sizes, got {shape}")
    if math.prod(shape) > MAX_WEIGHTS:
        raise CompressionError(f"a generated tensor has at most {MAX_WEIGHTS:,} weights, not {math.prod(shape):,}")
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal(shape)
    weights[weights == 0] = 1.0
    if sparsity:
        weights[~block_mask(shape, sparsity=sparsity, block=block, rho=rho, seed=rng)] = 0.0
    return weights


def interleaving(size: int, *, seed: int = 0) -> NDArray[np.intp]:
    """Return the order in which an interleaver takes `size` weights.

    ``weights[order]`` spreads neighbours over the whole tensor, which brings the correlation within blocks to 0;
    ``restored[order] = weights`` undoes it. A decoder has the order in its wiring or its addresses: it stores nothing.
    """
    return np.random.default_rng(seed).permutation(size)
