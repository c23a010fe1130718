"""Weights as sums of signed scales: binary-coding quantisation, w = offset + sum over i of scale_i * (+1 or -1).

Each of q bit planes has its own scale per group, and a group one offset: b_eff = q (1 + 16 / g) + 16 / g (LUT-GEMM,
arXiv 2206.09557). Products with such codes need additions and look-ups only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import CompressionError
from cost_models.table import FloatArray

SCALE_BITS = 16
REFINEMENTS = 4
"""Rounds of fitting scales to signs and signs to scales after the greedy start; the error never grows."""


@dataclass(frozen=True, eq=False)
class BinaryCoded:
    """Signs, scales and offsets.

    Attributes:
        codes: ``(rows, columns)``; bit i is set where plane i has +1.
        bits: planes, q.
        group: weights of a row that share scales; the last group of a row may be shorter.
        scales: ``(rows, groups, planes)`` float16 values.
        offsets: ``(rows, groups)`` float16 values.
    """

    codes: NDArray[np.unsignedinteger[Any]]
    bits: int
    group: int
    scales: FloatArray
    offsets: FloatArray

    @property
    def scale_bits(self) -> int:
        """Stored bits of all scales and offsets."""
        return (self.scales.size + self.offsets.size) * SCALE_BITS

    def weights(self) -> FloatArray:
        """Return the weights that the codes stand for."""
        index = np.arange(self.codes.shape[1]) // self.group
        weights = self.offsets[:, index]
        for i in range(self.bits):
            weights = weights + np.where((self.codes >> i) & 1, 1.0, -1.0) * self.scales[:, index, i]
        return np.asarray(weights)


def binary_code(weights: FloatArray, *, bits: int, group: int) -> BinaryCoded:
    """Return ``(rows, columns)`` weights in binary coding, scales fitted by alternating least squares.

    Args:
        weights: finite.
        bits: planes, 1 to 8.
        group: weights that share scales, 0 for one group per row.

    Raises:
        CompressionError: planes or group out of range, or a scale beyond float16.
    """
    if not 1 <= bits <= 8:
        raise CompressionError(f"binary coding takes 1 to 8 planes, got {bits}")
    if group < 0:
        raise CompressionError(f"groups must have 0 weights or more, got {group}")
    rows, columns = weights.shape
    size = group or columns
    groups = -(-columns // size)
    padded = np.full((rows, groups * size), np.nan)
    padded[:, :columns] = weights
    values = padded.reshape(rows * groups, size)
    offsets = np.nanmean(values, axis=1)
    rest = np.nan_to_num(values - offsets[:, None])
    inside = np.isfinite(values)
    scales, codes = _greedy(rest, inside, bits)
    for _ in range(REFINEMENTS):
        scales = _fitted(rest, inside, codes, bits)
        codes = _nearest(rest, scales, bits)
    if max(np.abs(scales).max(), np.abs(offsets).max()) > np.finfo(np.float16).max:
        raise CompressionError(
            f"a scale or offset does not fit float16, whose greatest value is {np.finfo(np.float16).max:g}"
        )
    return BinaryCoded(
        codes=codes.reshape(rows, -1)[:, :columns].astype(np.uint8),
        bits=bits,
        group=size,
        scales=scales.astype(np.float16).astype(np.float64).reshape(rows, groups, bits),
        offsets=offsets.astype(np.float16).astype(np.float64).reshape(rows, groups),
    )


def _signs(bits: int) -> FloatArray:
    """Return ``(2^bits, bits)`` signs of every code."""
    return np.where((np.arange(1 << bits)[:, None] >> np.arange(bits)) & 1, 1.0, -1.0)


def _greedy(rest: FloatArray, inside: NDArray[np.bool_], bits: int) -> tuple[FloatArray, NDArray[np.int64]]:
    """Return scales and codes when each plane takes the signs of what the planes before have left."""
    left, codes = rest.copy(), np.zeros(rest.shape, np.int64)
    scales = np.empty((len(rest), bits))
    for i in range(bits):
        scales[:, i] = np.abs(left).sum(axis=1, where=inside) / inside.sum(axis=1)
        up = left >= 0
        codes |= up.astype(np.int64) << i
        left -= np.where(up, 1.0, -1.0) * scales[:, i, None]
    return scales, codes


def _fitted(rest: FloatArray, inside: NDArray[np.bool_], codes: NDArray[np.int64], bits: int) -> FloatArray:
    """Return the scales of least squared error for given signs."""
    signs = _signs(bits)[codes] * inside[..., None]
    left = np.einsum("gwi,gwj->gij", signs, signs) + 1e-9 * np.eye(bits)
    return np.linalg.solve(left, np.einsum("gwi,gw->gi", signs, rest)[..., None])[..., 0]


def _nearest(rest: FloatArray, scales: FloatArray, bits: int) -> NDArray[np.int64]:
    """Return the code of the nearest of the 2^bits sums of signed scales."""
    best = np.full(rest.shape, np.inf)
    codes = np.zeros(rest.shape, np.int64)
    for code, level in enumerate((scales @ _signs(bits).T).T):
        error = np.abs(rest - level[:, None])
        nearer = error < best
        best[nearer] = error[nearer]
        codes[nearer] = code
    return codes
