"""Lanes in lockstep: the most-loaded decides when all may go on.

Each of L lanes works through a block of n weights of which X survive pruning; all wait for the greatest X.

    E[max of L] = sum over k >= 0 of (1 - F(k)^L)         exact, F the distribution function of X
    efficiency  = n p / E[max of L]

Independent pruning makes X binomial(n, p). Real masks are more unequal: with intra-block correlation rho, X is
beta-binomial, of variance n p (1 - p) (1 + (n - 1) rho). A queue in front of every lane lets lanes drift apart by
`depth` blocks, so that they synchronise on sums over that many blocks. Blocks of a lane are taken as independent of
each other (rho acts inside a block): the sum is binomial(depth n, p) at rho = 0, and otherwise the convolution of
`depth` beta-binomials, which is narrower than one beta-binomial over depth n weights would be.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cost_models.errors import CompressionError
from cost_models.table import FloatArray

CHUNK = 1 << 21
"""Probabilities held at a time."""

FEWEST_NODES = 65
"""Densities at which a column is summed exactly before it is interpolated, to begin with."""


def lane_efficiency(
    block: ArrayLike,
    density: ArrayLike,
    lanes: ArrayLike,
    *,
    correlation: ArrayLike = 0.0,
    depth: ArrayLike = 1,
    tolerance: float = 0.0,
) -> FloatArray:
    """Return the share of lane time spent on surviving weights, 1 when all lanes always have the same work.

    All arguments broadcast; a row with a NaN gives NaN (a parameter that does not apply there).

    Args:
        block: weights per block, n.
        density: share that survives, p = 1 - S, above 0.
        lanes: lanes in lockstep, L.
        correlation: intra-block correlation rho, 0 for independent pruning.
        depth: blocks that a lane may run ahead.
        tolerance: 0 sums every distinct row exactly. Above 0, rows that differ in density alone are interpolated
            between densities so close that exact sums half-way between them agree within the tolerance.

    Raises:
        CompressionError: a value outside its range.
    """
    rows = np.broadcast_arrays(*(np.asarray(x, np.float64) for x in (block, density, lanes, correlation, depth)))
    shape = rows[0].shape
    table = np.stack([row.reshape(-1) for row in rows], axis=1)
    known = ~np.isnan(table).any(axis=1)
    _check(table[known])
    efficiency = np.full(len(table), np.nan)
    if known.any():
        efficiency[known] = _rows(table[known], tolerance)
    return efficiency.reshape(shape)


def expected_most_loaded(
    block: int, density: ArrayLike, lanes: ArrayLike, *, correlation: ArrayLike = 0.0, depth: int = 1
) -> FloatArray:
    """Return the exact expected nonzeros in the most-loaded of `lanes` lanes, over `depth` blocks of `block` weights.

    Density, lanes and correlation broadcast to ``(n,)`` at most.
    """
    p, many, rho = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(x, np.float64)) for x in (density, lanes, correlation))
    )
    most_loaded = np.empty(p.shape)
    step = max(1, CHUNK // (block * depth + 1))
    first, same = np.zeros(min(len(p), 1), np.intp), np.zeros(len(p), np.intp)
    if (p != p[:1]).any() or (rho != rho[:1]).any():
        _, first, same = np.unique(_row_codes(np.stack([p, rho], axis=1)), return_index=True, return_inverse=True)
    for start in range(0, len(first), step):
        distinct = first[start : start + step]
        with np.errstate(divide="ignore"):  # below the least possible number of nonzeros F = 0: log 0, and 1 - 0^L = 1
            logs = np.log1p(-_survival(block, p[distinct], rho[distinct], depth))
        rows = np.flatnonzero((same >= start) & (same < start + step))
        for begin in range(0, len(rows), step):
            part = rows[begin : begin + step]
            most_loaded[part] = -np.expm1(many[part, None] * logs[same[part] - start]).sum(axis=1)
    return most_loaded


def observed_efficiency(nonzeros: ArrayLike) -> float:
    """Return the lane efficiency of counted nonzeros, ``(..., lanes)``: mean of all over mean of the most-loaded.

    Every index before the last is a round that ends when its most-loaded lane does.

    Raises:
        CompressionError: no lanes, or no nonzero.
    """
    counts = np.asarray(nonzeros, np.float64)
    if counts.size == 0 or counts.max() <= 0:
        raise CompressionError("lane efficiency needs at least one block with a nonzero")
    return float(counts.mean() / counts.max(axis=-1).mean())


def block_correlation(nonzeros: ArrayLike, block: int) -> float:
    """Return rho by moments: what makes n p (1 - p) (1 + (n - 1) rho) the sample variance of nonzeros per block.

    Negative where blocks are more equal than probability makes them, as N:M patterns are.

    Raises:
        CompressionError: fewer than two blocks, blocks of one weight, or all or none surviving.
    """
    counts = np.asarray(nonzeros, np.float64).reshape(-1)
    if counts.size < 2 or block < 2:
        raise CompressionError(f"correlation needs 2 blocks of 2 weights or more, got {counts.size} of {block}")
    share = counts.mean() / block
    if not 0 < share < 1:
        raise CompressionError(f"correlation needs nonzeros and pruned weights, got a share of {share:g}")
    return float((counts.var(ddof=1) / (block * share * (1 - share)) - 1) / (block - 1))


def _check(table: FloatArray) -> None:
    """Raise on the first column with a value outside its range."""
    rules: tuple[tuple[str, Callable[[FloatArray], NDArray[np.bool_]], str], ...] = (
        ("block", lambda x: (x >= 1) & (x == np.round(x)), "a whole number of 1 or more"),
        ("density", lambda x: (x > 0) & (x <= 1), "above 0 and at most 1"),
        ("lanes", lambda x: (x >= 1) & np.isfinite(x), "1 or more"),
        ("correlation", lambda x: (x >= 0) & (x < 1), "0 or more and below 1"),
        ("depth", lambda x: (x >= 1) & (x == np.round(x)), "a whole number of 1 or more"),
    )
    for column, (name, holds, rule) in zip(table.T, rules, strict=True):
        wrong = column[~holds(column)]
        if wrong.size:
            raise CompressionError(f"{name} of lanes must be {rule}, got {wrong[0]:g}")


def _rows(table: FloatArray, tolerance: float) -> FloatArray:
    """Return the efficiency of ``(n, 5)`` rows of block, density, lanes, correlation and depth."""
    efficiency = np.full(len(table), np.nan)
    if tolerance > 0:
        for rows in _alike(table[:, [0, 2, 3, 4]]):
            if len(rows) > 2 * FEWEST_NODES:
                block, _, lanes, rho, depth = table[rows[0]]
                efficiency[rows] = _along_density(int(block), table[rows, 1], lanes, rho, int(depth), tolerance)
        rest = np.flatnonzero(np.isnan(efficiency))
        if len(rest):
            efficiency[rest] = _rows(table[rest], 0.0)
        return efficiency
    _, first, same = np.unique(_row_codes(table), return_index=True, return_inverse=True)
    for rows in _alike(table[first][:, [0, 4]]):
        block, depth = table[first[rows[0]], [0, 4]]
        density, lanes, rho = table[first[rows], 1:4].T
        efficiency[first[rows]] = _exact(int(block), density, lanes, rho, int(depth))
    return np.asarray(efficiency[first][same])


def _row_codes(table: FloatArray) -> NDArray[np.intp]:
    """Return a number per row, equal for equal rows."""
    code = np.zeros(len(table), np.intp)
    for column in table.T:
        values, index = np.unique(column, return_inverse=True)
        _, code = np.unique(code * len(values) + index, return_inverse=True)
    return code


def _alike(table: FloatArray) -> list[NDArray[np.intp]]:
    """Return the indices of equal rows, group by group."""
    code = _row_codes(table)
    order = np.argsort(code, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(code[order])) + 1)


def _exact(block: int, density: FloatArray, lanes: ArrayLike, rho: ArrayLike, depth: int) -> FloatArray:
    return block * depth * density / expected_most_loaded(block, density, lanes, correlation=rho, depth=depth)


def _along_density(
    block: int, density: FloatArray, lanes: float, rho: float, depth: int, tolerance: float
) -> FloatArray:
    """Return the efficiency along densities, interpolated where that takes fewer sums than the rows themselves.

    The variable is arcsin sqrt(p), in which the width of a binomial hardly changes.
    """
    angle = np.arcsin(np.sqrt(density))
    nodes = np.linspace(angle.min(), angle.max(), FEWEST_NODES)
    exact = np.empty(0)
    while 2 * len(nodes) < len(density):
        if not exact.size:
            exact = _exact(block, np.sin(nodes) ** 2, lanes, rho, depth)
        between = (nodes[1:] + nodes[:-1]) / 2
        result = _exact(block, np.sin(between) ** 2, lanes, rho, depth)
        worst = np.abs((exact[1:] + exact[:-1]) / 2 - result).max()
        nodes, exact = _interleave(nodes, between), _interleave(exact, result)
        if worst <= tolerance:
            return np.interp(angle, nodes, exact)
    return _exact(block, density, lanes, rho, depth)


def _interleave(nodes: FloatArray, between: FloatArray) -> FloatArray:
    merged = np.empty(len(nodes) + len(between))
    merged[::2], merged[1::2] = nodes, between
    return merged


def _survival(block: int, density: FloatArray, rho: FloatArray, depth: int) -> NDArray[np.float64]:
    """Return P(X > k) of the nonzeros in `depth` blocks, ``(n, depth * block)`` for k from 0."""
    mass = np.empty((len(density), block * depth + 1))
    plain = rho == 0
    mass[plain] = _binomial(block * depth, density[plain])
    if not plain.all():
        mass[~plain] = _pooled(_beta_binomial(block, density[~plain], rho[~plain]), depth)
    # Summed from the far end, so that the small tails that decide among many lanes keep their relative precision.
    above = np.cumsum(mass[:, :0:-1], axis=1)[:, ::-1]
    return np.clip(above, 0.0, 1.0)


def _log_ways(n: int) -> FloatArray:
    """Return log C(n, k) for k from 0 to n."""
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1.0, n + 1)))])
    return np.asarray(factorials[-1] - factorials - factorials[::-1])


def _binomial(n: int, p: FloatArray) -> FloatArray:
    k = np.arange(n + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        # 0 log 0 is 0: a density of 1 leaves no pruned weight to count.
        kept, pruned = k * np.log(p[:, None]), np.where(k == n, 0.0, (n - k) * np.log1p(-p[:, None]))
    mass = np.exp(_log_ways(n) + kept + pruned)
    return np.asarray(mass / mass.sum(axis=1, keepdims=True))


def _beta_binomial(n: int, p: FloatArray, rho: FloatArray) -> FloatArray:
    from scipy import special

    k = np.arange(n + 1)
    mass = np.empty((len(p), n + 1))
    sure = p == 1
    mass[sure] = k == n
    strength = ((1 - rho) / rho)[~sure, None]
    a, b = p[~sure, None] * strength, (1 - p[~sure, None]) * strength
    mass[~sure] = np.exp(_log_ways(n) + special.betaln(k + a, n - k + b) - special.betaln(a, b))
    return np.asarray(mass / mass.sum(axis=1, keepdims=True))


def _pooled(mass: FloatArray, depth: int) -> FloatArray:
    """Return the distribution of the sum of `depth` independent draws, by the power of its transform."""
    from scipy import fft

    if depth == 1:
        return mass
    length = depth * (mass.shape[1] - 1) + 1
    size = fft.next_fast_len(length, real=True)
    pooled = fft.irfft(fft.rfft(mass, size, axis=1) ** depth, size, axis=1)[:, :length]
    return np.asarray(np.maximum(pooled, 0.0))
