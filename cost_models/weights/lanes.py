"""Lanes in lockstep: the most-loaded decides when all may go on.

Each of L lanes works through a block of n weights of which X survive pruning; all wait for the greatest X.

    E[max of L] = sum over k >= 0 of (1 - F(k)^L)         exact, F the distribution function of X
    efficiency  = n p / E[max of L]

Independent pruning makes X binomial(n, p). Real masks are more unequal: with intra-block correlation rho, X is
beta-binomial, of variance n p (1 - p) (1 + (n - 1) rho). A queue in front of every lane lets lanes drift apart by
`depth` blocks, so that they synchronise on sums over that many blocks. Blocks of a lane are taken as independent of
each other (rho acts inside a block): the sum is binomial(depth n, p) at rho = 0, and otherwise the convolution of
`depth` beta-binomials, which is narrower than one beta-binomial over depth n weights would be.

Where many rows are to be summed, most are interpolated. In units of its standard deviation s, the most-loaded lane lies
(E - mean) / s above the mean, a smooth function of n^-1/2, arcsin sqrt p, log L and sqrt rho at every depth, wherever s
is so wide that steps of one weight no longer show: a polynomial through 10 to 28 points along each is as good as sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cost_models.errors import CompressionError
from cost_models.table import FloatArray, distinct_rows
from cost_models.tape import as_one, asarray
from cost_models.weights.block_nonzeros import survival
from cost_models.weights.interpolation import Axis, Scale, interpolated

CHUNK = 1 << 17
"""Probabilities held at a time."""

FEWEST_NODES = 65
"""Densities at which a column is summed exactly before it is interpolated, to begin with."""

NODES = (10, 14, 28, 12)
"""Values of block, density, lanes and correlation between which sums are interpolated, to begin with."""

GROWTH, TRIALS = 1.5, 3
"""By how much these numbers grow where they are too few, and how often they are tried."""

SAVING = 4
"""Least rows per sum for interpolation to pay."""

WIDE, WIDER = 40.0, 7.0
"""Least n p (1 - p) depth for steps of one weight not to show, and that per log of the most lanes."""

CHECKED, AGREEMENT = 24, 1e-10
"""Interpolated rows that are summed as well, most of them of short blocks, and how far they may be off, relative."""

SCALES = (
    Scale(lambda n: n**-0.5, lambda x: np.round(x**-2.0)),
    Scale(lambda p: np.arcsin(np.sqrt(p)), lambda x: np.sin(x) ** 2),
    Scale(np.log, np.exp),
    Scale(np.sqrt, np.square),
)
"""On which each of them is interpolated."""


@as_one
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
            between densities so close that exact sums half-way between them agree within the tolerance; of many that
            differ in more, those of wide distributions between sums that agree with others within `AGREEMENT`.

    Raises:
        CompressionError: a value outside its range.
    """
    rows = np.broadcast_arrays(*(asarray(x, np.float64) for x in (block, density, lanes, correlation, depth)))
    shape = rows[0].shape
    table = np.stack([row.reshape(-1) for row in rows], axis=1)
    known = ~np.isnan(table).any(axis=1)
    given = table[known]
    _check(given)
    # Independent weights do not know where a block ends.
    independent = given[:, 3] == 0
    given[independent, 0] *= given[independent, 4]
    given[independent, 4] = 1.0
    efficiency = np.full(len(table), np.nan)
    efficiency[known] = _rows(given, tolerance)
    return efficiency.reshape(shape)


def expected_most_loaded(
    block: int, density: ArrayLike, lanes: ArrayLike, *, correlation: ArrayLike = 0.0, depth: int = 1
) -> FloatArray:
    """Return the exact expected nonzeros in the most-loaded of `lanes` lanes, over `depth` blocks of `block` weights.

    Density, lanes and correlation broadcast to ``(n,)`` at most.
    """
    p, many, rho = np.broadcast_arrays(*(np.atleast_1d(asarray(x, np.float64)) for x in (density, lanes, correlation)))
    most_loaded = np.empty(p.shape)
    step = max(1, CHUNK // (block * depth + 1))
    first, same = np.zeros(min(len(p), 1), np.intp), np.zeros(len(p), np.intp)
    if (p != p[:1]).any() or (rho != rho[:1]).any():
        first, same = distinct_rows((p, rho))
    for start in range(0, len(first), step):
        distinct = first[start : start + step]
        with np.errstate(divide="ignore"):  # below the least possible number of nonzeros F = 0: log 0, and 1 - 0^L = 1
            logs = np.log1p(-survival(block, p[distinct], rho[distinct], depth))
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
    counts = asarray(nonzeros, np.float64)
    if counts.size == 0 or counts.max() <= 0:
        raise CompressionError("lane efficiency needs at least one block with a nonzero")
    return float(counts.mean() / counts.max(axis=-1).mean())


def block_correlation(nonzeros: ArrayLike, block: int) -> float:
    """Return rho by moments: what makes n p (1 - p) (1 + (n - 1) rho) the sample variance of nonzeros per block.

    Negative where blocks are more equal than probability makes them, as N:M patterns are.

    Raises:
        CompressionError: fewer than two blocks, blocks of one weight, or all or none surviving.
    """
    counts = asarray(nonzeros, np.float64).reshape(-1)
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
        block, density, lanes, rho, depth = table.T
        if (density != density[:1]).any():
            for rows in _alike(table[:, [0, 2, 3, 4]]):
                if len(rows) > 2 * FEWEST_NODES:
                    alike = int(block[rows[0]]), density[rows], lanes[rows[0]], rho[rows[0]], int(depth[rows[0]])
                    efficiency[rows] = _along_density(*alike, tolerance)
        wide = block * depth * density * (1 - density) >= max(WIDE, WIDER * math.log(lanes.max(initial=1.0)))
        wide_rows = np.flatnonzero(wide & np.isnan(efficiency))
        for group in _alike(np.stack([rho > 0, depth], axis=1)[wide_rows]):
            if len(group):
                efficiency[wide_rows[group]] = _interpolated(table[wide_rows[group]])
    rest = np.flatnonzero(np.isnan(efficiency))
    if len(rest):
        efficiency[rest] = _summed(table[rest])
    return efficiency


def _summed(table: FloatArray) -> FloatArray:
    """Return the exact efficiency of rows, each distinct one summed once."""
    first, same = distinct_rows(table.T)
    efficiency = np.empty(len(first))
    for rows in _alike(table[first][:, [0, 4]]):
        block, depth = table[first[rows[0]], [0, 4]]
        density, lanes, rho = table[first[rows], 1:4].T
        efficiency[rows] = _exact(int(block), density, lanes, rho, int(depth))
    return asarray(efficiency[same])


def _moments(table: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and standard deviation of what a lane keeps."""
    block, density, _, rho, depth = table.T
    mean = depth * block * density
    return mean, np.sqrt(mean * (1 - density) * (1 + (block - 1) * rho))


def _above(table: FloatArray) -> FloatArray:
    """Return by how many standard deviations the most-loaded lane lies above the mean."""
    mean, deviation = _moments(table)
    return asarray((1 / _summed(table) - 1) * mean / deviation)


def _efficiency(table: FloatArray, above: FloatArray) -> FloatArray:
    """Return the efficiency of rows whose most-loaded lane lies so far above the mean (`_above`)."""
    mean, deviation = _moments(table)
    return asarray(mean / (mean + above * deviation))


def _interpolated(table: FloatArray) -> FloatArray:
    """Return the efficiency of rows of one depth, NaN where enough sums to agree with others cost no less."""
    columns = [np.unique(column, return_inverse=True) for column in table.T[:4]]
    most = min(len(table), math.prod(len(values) for values, _ in columns)) / SAVING
    ranks = np.geomspace(1, len(table), CHECKED).astype(np.intp) - 1
    checked, exact = table[np.argsort(table[:, 0], kind="stable")[ranks]], np.empty(0)
    for trial in range(TRIALS):
        axes = [
            Axis.between(values, math.ceil(count * GROWTH**trial), scale)
            for (values, _), count, scale in zip(columns, NODES, SCALES, strict=True)
        ]
        sizes = [len(axis.nodes) for axis in axes]
        if math.prod(sizes) > most:
            break
        exact = exact if exact.size else _summed(checked)
        grid = np.meshgrid(*(axis.nodes for axis in axes), table[0, 4], indexing="ij")
        known = _above(np.stack([x.reshape(-1) for x in grid], axis=1)).reshape(sizes)
        here = [(column, np.arange(CHECKED)) for column in checked.T[:4]]
        if np.abs(_efficiency(checked, interpolated(known, axes, here)) / exact - 1).max() <= AGREEMENT:
            return _efficiency(table, interpolated(known, axes, columns))
    return np.full(len(table), np.nan)


def _alike(table: FloatArray) -> list[NDArray[np.intp]]:
    """Return the indices of equal rows, group by group."""
    _, code = distinct_rows(table.T)
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
