"""Weights as small integers: uniform quantisation in groups that share a scale.

A code of b bits is the two's complement of q: weight = q * scale. Code 0 is the weight 0 exactly, which is what pruned
weights are stored as. Asymmetric groups have a zero point z: q runs from -z to 2^b - 1 - z, modulo 2^b as stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.bitstream import CompressionError
from cost_models.columns import FloatArray

Codes = NDArray[np.unsignedinteger[Any]]

SCALE_BITS = 16
SECOND_SCALE_BITS = 8
"""Bits of a scale that is itself quantised: a share of the greatest of its second group."""


@dataclass(frozen=True, eq=False)
class Quantised:
    """Codes and what turns them back into weights.

    Attributes:
        codes: unsigned integers of `bits` bits in the shape of the tensor; 0 is the weight 0.
        bits: bits of a code.
        group: weights of a row that share a scale; the last group of a row may be shorter.
        scales: ``(rows, groups)`` as stored, float16 values.
        zeros: ``(rows, groups)`` zero points, None for symmetric groups.
        second_group: scales that share a scale of their own, 0 when scales are stored as float16.
    """

    codes: Codes
    bits: int
    group: int
    scales: FloatArray
    zeros: NDArray[np.int64] | None = None
    second_group: int = 0

    @property
    def scale_bits(self) -> int:
        """Stored bits of all scales and zero points."""
        count = self.scales.size
        zeros = 0 if self.zeros is None else count * self.bits
        if self.second_group:
            return count * SECOND_SCALE_BITS + -(-count // self.second_group) * SCALE_BITS + zeros
        return count * SCALE_BITS + zeros

    def weights(self) -> FloatArray:
        """Return the weights that the codes stand for."""
        rows = self.codes.reshape(len(self.scales), -1).astype(np.int64)
        index = np.arange(rows.shape[1]) // self.group
        highest = (1 << (self.bits - 1)) - 1 if self.zeros is None else (1 << self.bits) - 1 - self.zeros[:, index]
        signed = rows - np.where(rows > highest, 1 << self.bits, 0)
        return np.asarray((signed * self.scales[:, index]).reshape(self.codes.shape))


def quantise(
    weights: FloatArray,
    *,
    bits: int,
    group: int,
    symmetric: bool = True,
    second_group: int = 0,
    mask: NDArray[np.bool_] | None = None,
) -> Quantised:
    """Return weights rounded to the nearest level of their group.

    Args:
        weights: finite, at least one axis; groups run along the last.
        bits: bits of a code, 2 to 8 (from 1 for asymmetric groups).
        group: weights that share a scale, 0 for one per row.
        symmetric: levels from -(2^(b-1) - 1) to 2^(b-1) - 1; otherwise 2^b levels over the range of the group, 0 among
            them.
        second_group: scales that are stored in 8 bits of a common scale; 0 for float16 scales.
        mask: survivors of pruning. The others become 0; survivors keep off 0 and take the nearest other level.

    Raises:
        CompressionError: settings out of range, or a scale beyond float16.
    """
    fewest = 2 if symmetric else 1
    if not fewest <= bits <= 8:
        raise CompressionError(f"codes of uniform groups must have {fewest} to 8 bits, got {bits}")
    if group < 0 or second_group < 0:
        raise CompressionError(f"groups must have 0 weights or more, got {min(group, second_group)}")
    rows = np.where(True if mask is None else mask, weights, 0.0).reshape(-1, weights.shape[-1])
    size = group or rows.shape[1]
    starts = np.arange(0, rows.shape[1], size)
    lowest = np.minimum(np.minimum.reduceat(rows, starts, axis=1), 0.0)
    highest = np.maximum(np.maximum.reduceat(rows, starts, axis=1), 0.0)
    if symmetric:
        half = (1 << (bits - 1)) - 1
        scales = _stored_scales(np.maximum(highest, -lowest) / half, second_group)
        zeros = np.full(scales.shape, half)
        least, most = -zeros, zeros
    else:
        scales = _stored_scales((highest - lowest) / ((1 << bits) - 1), second_group)
        zeros = np.clip(
            np.rint(np.divide(-lowest, scales, out=np.zeros_like(scales), where=scales > 0)), 0, (1 << bits) - 1
        )
        zeros = zeros.astype(np.int64)
        least, most = -zeros, (1 << bits) - 1 - zeros
    index = np.arange(rows.shape[1]) // size
    scale, least, most = scales[:, index], least[:, index], most[:, index]
    levels = np.rint(np.divide(rows, scale, out=np.zeros_like(rows), where=scale > 0))
    levels = np.clip(levels, least, most).astype(np.int64)
    if mask is not None:
        levels = _off_zero(levels, rows, mask.reshape(rows.shape), least, most)
    codes = (levels & ((1 << bits) - 1)).astype(np.uint8).reshape(weights.shape)
    return Quantised(codes, bits, size, scales, None if symmetric else zeros, second_group)


def _off_zero(
    levels: NDArray[np.int64], rows: FloatArray, mask: NDArray[np.bool_], least: FloatArray, most: FloatArray
) -> NDArray[np.int64]:
    """Return levels whose survivors are not 0: the level next to 0 on the side of the weight, if the group has one."""
    upwards = np.where(most > 0, np.where(rows >= 0, 1, np.where(least < 0, -1, 1)), -1)
    return np.where(mask & (levels == 0), upwards, levels)


def _stored_scales(scales: FloatArray, second_group: int) -> FloatArray:
    """Return scales as they are after being stored, none rounded to 0 that was not 0.

    Raises:
        CompressionError: a scale beyond float16.
    """
    greatest = float(np.finfo(np.float16).max)
    if scales.max(initial=0.0) > greatest:
        raise CompressionError(
            f"a scale of {scales.max():g} does not fit float16, whose greatest value is {greatest:g}"
        )
    tiny = float(np.finfo(np.float16).smallest_subnormal)
    if not second_group:
        return np.where(scales > 0, np.maximum(scales.astype(np.float16).astype(np.float64), tiny), 0.0)
    flat = scales.reshape(-1)
    starts = np.arange(0, len(flat), second_group)
    steps = (1 << SECOND_SCALE_BITS) - 1
    unit = np.maximum((np.maximum.reduceat(flat, starts) / steps).astype(np.float16).astype(np.float64), tiny)
    unit = np.repeat(unit, second_group)[: len(flat)]
    shares = np.clip(np.rint(flat / unit), flat > 0, steps)
    return (shares * unit).reshape(scales.shape)
